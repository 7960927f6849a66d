/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plugins: what a module exports, its life, and what it may register.
 *
 * A module is a shared object in the plugin directory with one exported symbol, `rook_plugin_descriptor`, a constant
 * made by ROOK_PLUGIN_DEFINE(). `[plugin NAME]` in the configuration loads NAME.so. A plugin has no file-scope state: it
 * gets a handle (#RookPlugin) and keeps its data there. Everything is registered through the handle, and what was
 * registered the core takes back in reverse order when the plugin goes.
 *
 * Life: load (descriptor and ABI checked) - init (validates its settings completely before its first registration, then
 * registers; on failure everything registered is undone and the error is kept for `rookctl plugin list`) - optional
 * drain (finish what is in flight; the core has closed its listeners and told its sessions) - fini - unload. The module
 * is closed only when the plugin's registrations, sources, jobs and references are zero; else it stays resident and is
 * reported as such. All of these run on the main worker; the functions of what was registered run where the header of
 * that service says.
 *
 * Order comes from needs: a plugin is initialised after every plugin that provides an interface it needs and is
 * finished before them. Several plugins may not provide the same interface name. A plugin whose need nobody provides
 * fails, by name; a cycle fails all in it. Whatever does not need a failed plugin runs, unless the failed one is marked
 * `required`.
 */
#pragma once

#include <gmodule.h>

#include "rookery/config.h"
#include "rookery/macros.h"

G_BEGIN_DECLS

typedef struct {
  gsize struct_size;   /* filled in by ROOK_PLUGIN_DEFINE() */
  guint32 abi_major;   /* must equal the core's */
  guint32 abi_minor;   /* at most the core's */
  const char *name;    /* [a-z][a-z0-9-]*, equal to the file's name without .so */
  const char *summary; /* one line */
  const char *version;
  const char *license;         /* SPDX identifier */
  const char *const *provides; /* (nullable) names of interfaces, "imap/1": name and version */
  const char *const *needs;    /* (nullable) names of interfaces; a version up to the provided one will do */
  const RookConfigKey *keys;   /* (nullable) of [plugin NAME] */
  gboolean (*init) (RookPlugin *self, RookConfigGroup *config, GError **error);
  /* (nullable) Applies changed live keys; @config is validated, so this can't fail. */
  void (*reconfigure) (RookPlugin *self, RookConfigGroup *config);
  /* (nullable) Finish what is in flight, then call rook_plugin_drained(), from any thread. */
  void (*drain) (RookPlugin *self);
  void (*fini) (RookPlugin *self); /* (nullable) the data of rook_plugin_set_data() is freed after it */
  /* Since ABI 1.1: (nullable) names of the protocols that init may register, so that a listener of a protocol that nobody
   * offers is found before anything runs. */
  const char *const *protocols;
  /* Since ABI 1.2: (nullable) the same of storage backends, password checkers and jobs. */
  const char *const *storages;
  const char *const *checkers;
  const char *const *jobs;
  gboolean needs_store;  /* Since ABI 1.2: it serves mail, and so there has to be a [partition NAME] */
  gboolean is_directory; /* Since ABI 1.2: init registers a directory; until it has, mailboxes are nowhere */
} RookPluginDescriptor;

#define ROOK_PLUGIN_SYMBOL "rook_plugin_descriptor"

#define ROOK_PLUGIN_DEFINE(...)                                                                      \
  extern const RookPluginDescriptor rook_plugin_descriptor __attribute__ ((visibility ("default"))); \
  const RookPluginDescriptor rook_plugin_descriptor = {                                              \
    .struct_size = sizeof (RookPluginDescriptor),                                                    \
    .abi_major = ROOK_ABI_MAJOR,                                                                     \
    .abi_minor = ROOK_ABI_MINOR,                                                                     \
    __VA_ARGS__,                                                                                     \
  };

#define ROOK_PLUGIN_ERROR (rook_plugin_error_quark ())
ROOK_EXPORT GQuark rook_plugin_error_quark (void);
typedef enum {
  ROOK_PLUGIN_ERROR_LOAD,     /* no such file, not a module, no descriptor, wrong owner or mode */
  ROOK_PLUGIN_ERROR_ABI,      /* built for another ABI: what was expected and what was found */
  ROOK_PLUGIN_ERROR_CONTRACT, /* a descriptor or registration that breaks its rules, a name taken twice */
  ROOK_PLUGIN_ERROR_NEEDS,    /* a needed interface is missing, or a cycle */
  ROOK_PLUGIN_ERROR_INIT,     /* init said no without an error of its own */
  ROOK_PLUGIN_ERROR_IN_USE    /* it can't be switched off */
} RookPluginError;

ROOK_EXPORT const char *rook_plugin_get_name (RookPlugin *self);
ROOK_EXPORT RookServer *rook_plugin_get_server (RookPlugin *self);
ROOK_EXPORT void rook_plugin_set_data (RookPlugin *self, gpointer data, GDestroyNotify destroy);
ROOK_EXPORT gpointer rook_plugin_get_data (RookPlugin *self);
/* The drain is over: fini may come. */
ROOK_EXPORT void rook_plugin_drained (RookPlugin *self);

/* What keeps the module in memory: a reference for anything that could still call into it. Any thread. */
ROOK_EXPORT RookPlugin *rook_plugin_ref (RookPlugin *self);
ROOK_EXPORT void rook_plugin_unref (RookPlugin *self);

/**
 * rook_plugin_provide:
 * @name: one of the descriptor's `provides`
 * @interface: (unowned): a constant table of functions whose first member is `gsize struct_size`
 *
 * Offers an interface to other plugins, which find it with rook_plugin_lookup(); @data is handed to its functions by
 * convention. Taken back when the plugin goes, which it can't before those that need it.
 */
ROOK_EXPORT gboolean rook_plugin_provide (RookPlugin *self, const char *name, gconstpointer interface, gpointer data,
                                          GError **error);
/* Finds what this plugin needs (its descriptor must say so). Returns: (nullable) the table; @out_data: (out) its data. */
ROOK_EXPORT gconstpointer rook_plugin_lookup (RookPlugin *self, const char *name, gpointer *out_data, GError **error);

/* For whoever takes registrations, and an interface that offers some: whether @self may make one, since it is in its
 * init. @what: for the error. Errors: %ROOK_PLUGIN_ERROR_CONTRACT. */
ROOK_EXPORT gboolean rook_plugin_may_register (RookPlugin *self, const char *what, GError **error);

/**
 * rook_plugin_on_undo:
 *
 * For the same: registers how to take back one registration of @self. @undo runs on the main worker.
 */
ROOK_EXPORT void rook_plugin_on_undo (RookPlugin *self, RookFunc undo, gpointer data);

/* The registrations a plugin can make, each described in its own header:
 *   rook_plugin_add_protocol()          rookery/net.h
 *   rook_plugin_add_storage()           rookery/storage.h
 *   rook_plugin_add_password_checker()  rookery/auth.h
 *   rook_plugin_add_delivery_filter()   rookery/delivery.h
 *   rook_plugin_add_subscriber()        rookery/event.h
 *   rook_plugin_add_directory()         rookery/directory.h
 *   rook_plugin_add_control_verb()      rookery/control.h
 *   rook_plugin_add_job()               rookery/schedule.h
 * They are called in init (later ones are refused), on the main worker. */

G_END_DECLS
