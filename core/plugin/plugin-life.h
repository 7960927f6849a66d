/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of core/plugin share: a module, a plugin's handle, the service that holds them, and a plan.
 *
 * A handle is one life of a plugin, from its init to its fini: switched off and on again it gets a new one. The handle
 * and everything in it belongs to the main worker, but for what `lock` guards.
 */
#pragma once

#include "daemon/server-private.h"
#include "plugin/plugin-private.h"

/* --- module.c: a shared object, and whether it is one of ours ------------------------------------------------------ */

typedef struct {
  guint refs;
  GModule *handle; /* (nullable) NULL: a descriptor in memory */
  char *name;
  char *path;
  const RookPluginDescriptor *descriptor;
} RookModule;

/* Errors: %ROOK_PLUGIN_ERROR_LOAD, _ABI, _CONTRACT; the message begins with the path. */
RookModule *rook_module_open (const char *directory, const char *name, GError **error);
RookModule *rook_module_new_static (const RookPluginDescriptor *descriptor, GError **error);
/* Whether it is one that registers a directory. */
gboolean rook_plugin_is_directory (const RookPluginDescriptor *descriptor);
RookModule *rook_module_ref (RookModule *module);
/* The last one closes it: nothing of it may be running or referred to. */
void rook_module_unref (RookModule *module);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookModule, rook_module_unref)
/* Whether @name is one that a plugin may have. */
gboolean rook_plugin_name_is_valid (const char *name);
/* Takes "imap/1" apart. @out_name: (out) (transfer full) */
gboolean rook_plugin_parse_interface (const char *text, char **out_name, guint *out_version);

/* --- plugin.c: the handle ------------------------------------------------------------------------------------------ */

typedef enum {
  ROOK_PLUGIN_DISABLED, /* the configuration says so */
  ROOK_PLUGIN_LOADED,   /* its init has not run */
  ROOK_PLUGIN_RUNNING,
  ROOK_PLUGIN_DRAINING,
  ROOK_PLUGIN_STOPPED,  /* taken back, finished */
  ROOK_PLUGIN_RESIDENT, /* taken back, but references are left: fini waits for the last one */
  ROOK_PLUGIN_FAILED
} RookPluginState;

const char *rook_plugin_state_get_name (RookPluginState state);

typedef struct {
  RookFunc undo;
  gpointer data;
} RookUndo;

typedef struct {
  RookFunc drain;
  RookFunc abort; /* (nullable) */
  gpointer data;
} RookDrainHook;

struct RookPlugin {
  RookPlugins *plugins; /* (unowned) outlives us */
  char *name;
  char *version; /* (owned) (nullable) */
  char *summary; /* (owned) (nullable) */
  RookPluginState state;
  gboolean required;
  GError *error;      /* (owned) (nullable) why it failed */
  RookModule *module; /* (owned) (nullable) NULL: nothing of it is in memory */
  RookConfig *config; /* (owned) (nullable) the one its group is in */
  gpointer data;
  GDestroyNotify destroy; /* (nullable) */
  gboolean in_init;
  gboolean aborted;     /* the drain deadline has passed for it */
  GArray *undos;        /* (element-type RookUndo) in the order registered */
  GArray *drains;       /* (element-type RookDrainHook) */
  GPtrArray *providers; /* (element-type RookPlugin) (unowned) whose interfaces it needs: each counts us as dependent */
  guint dependents;
  guint refs_at_rest; /* after init: registrations may hold some; those beyond are of what is in flight */
  gboolean stopping;  /* a RookPluginStop looks after it */

  /* Guarded by the service's lock: any thread. */
  guint refs; /* 1 is the service's own */
  gboolean drained;
  GPtrArray *pins; /* (element-type utf8) (owned) who uses it */
};

RookPlugin *rook_plugin_new (RookPlugins *plugins, const char *name);
void rook_plugin_free (RookPlugin *self);
RookConfigGroup *rook_plugin_get_group (RookPlugin *self);
/* Runs init; if that fails takes back what it registered, and sets state and error. */
gboolean rook_plugin_init (RookPlugin *self);
void rook_plugin_fail (RookPlugin *self, GError *error);
/* References, without the service's own and without what is counted otherwise. */
guint rook_plugin_count_refs (RookPlugin *self);
/* Why it can't be switched off. (nullable) (transfer full) */
char *rook_plugin_dup_pins (RookPlugin *self);
/* Starts its drain; it is drained when rook_plugin_is_drained(). */
void rook_plugin_begin_drain (RookPlugin *self);
gboolean rook_plugin_is_drained (RookPlugin *self);
void rook_plugin_abort_drain (RookPlugin *self);
/* Takes all registrations back, last one first. */
void rook_plugin_undo (RookPlugin *self);
/* Whether nothing can call into it any more, once no thread is on its way out of it. */
gboolean rook_plugin_is_unused (RookPlugin *self);
/* Runs fini, if init had succeeded, and frees its data. */
void rook_plugin_fini (RookPlugin *self);

/* --- plugins.c: the service ---------------------------------------------------------------------------------------- */

typedef struct {
  char *name;
  guint version;
  RookPlugin *plugin; /* (unowned) */
  gconstpointer table;
  gpointer data;
} RookInterface;

typedef struct RookPluginStop RookPluginStop;
typedef struct RookPlanItem RookPlanItem;

struct RookPlugins {
  gint refs;           /* atomic: ours, and one while poked */
  RookServer *server;  /* (unowned) */
  GPtrArray *current;  /* (element-type RookPlugin) (owned) one a plugin of the configuration, in init order */
  GPtrArray *resident; /* (element-type RookPlugin) (owned) taken back, but still referred to, or just failed */
  GPtrArray *stops;    /* (element-type RookPluginStop) (unowned) under way */

  RookMutex lock;         /* guards what follows, and what the handles say */
  GHashTable *interfaces; /* name to RookInterface (owned); changed on the main worker only */
  gboolean poked;
  gboolean finished; /* no more pokes: the workers end */
};

RookPlugin *rook_plugins_find (RookPlugins *self, const char *name);
/* Something has changed that a stop or a resident plugin may wait for. Any thread; `lock` is held. */
void rook_plugins_poke (RookPlugins *self);
/* The same without the lock. */
void rook_plugins_poke_unlocked (RookPlugins *self);
/* One line of the log. @key, @value: (nullable) */
void rook_plugins_log (RookPlugins *self, RookLogLevel level, const char *event, RookPlugin *plugin, const char *key,
                       const char *value);
/* Makes a handle for a plan's item and puts it at the end of `current`; with @run, and if nothing is wrong with it, its
 * init is run. Look at its state. */
RookPlugin *rook_plugins_add (RookPlugins *self, RookPluginPlan *plan, const RookPlanItem *item);
/* Takes a handle out of `current`. (transfer full) */
void rook_plugins_take (RookPlugins *self, RookPlugin *plugin);

/* --- stop.c: draining and ending some plugins ---------------------------------------------------------------------- */

/**
 * rook_plugin_stop_new:
 * @plugins: (element-type RookPlugin): in init order; they are in `current`, or in `resident` and taken back already
 * @deadline_ms: how long their drains may take
 * @done: called at the end, never before this returns
 *
 * Drains them all at the same time; then, last one first, takes back what each registered, waits for its references to go,
 * finishes and frees it. One whose references do not go becomes resident.
 */
RookPluginStop *rook_plugin_stop_new (RookPlugins *self, GPtrArray *plugins, guint deadline_ms, RookFunc done,
                                      gpointer data);
/* Looks whether what it waits for has come. */
void rook_plugin_stop_look (RookPluginStop *stop);
/* Its deadline is now. */
void rook_plugin_stop_hurry (RookPluginStop *stop);

/* --- plan.c -------------------------------------------------------------------------------------------------------- */

struct RookPlanItem {
  char *name;
  RookConfigGroup *group; /* (unowned) the plan's config's */
  gboolean enabled;
  gboolean required;
  RookModule *module;   /* (owned) (nullable) */
  GError *error;        /* (owned) (nullable) */
  gboolean insisted;    /* it may not fail, be it that it did before */
  GPtrArray *providers; /* (element-type RookPlanItem) (unowned) */
  guint mark;           /* of the sort */
};

struct RookPluginPlan {
  RookConfig *config; /* (owned) */
  GPtrArray *items;   /* (element-type RookPlanItem) (owned) in the order of their init */
};

RookPluginPlan *rook_plugin_plan_new_empty (RookConfig *config);
RookPlanItem *rook_plugin_plan_add (RookPluginPlan *plan, const char *name);
RookPlanItem *rook_plugin_plan_find (RookPluginPlan *plan, const char *name);
/* Declares the table of the item's module; it has one. */
gboolean rook_plugin_plan_declare (RookPlanItem *item, RookConfig *config, GError **error);
/* Resolves needs, orders the items; called by rook_plugin_plan_new(). In order.c. */
void rook_plugin_plan_order (RookPluginPlan *plan);
