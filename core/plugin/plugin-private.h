/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The plugin service as the rest of the core sees it.
 *
 * Three users: the services, which ask here whether a plugin may register now and say what of it is in flight or in use;
 * the daemon, which prepares a set of plugins from a configuration, starts it, drains it and ends it; and unit tests,
 * which run a plugin from a descriptor in memory. Everything without "any thread" belongs on the main worker.
 */
#pragma once

#include "rookery/plugin.h"

typedef struct RookPlugins RookPlugins;
typedef struct RookPluginPlan RookPluginPlan;

/* --- for services ------------------------------------------------------------------------------------------------- */


/**
 * rook_plugin_on_drain:
 * @drain: stop taking new work for @self and let what is in flight come to its end: close listeners, tell sessions
 * @abort: (nullable): the deadline has passed: end what is left, at once
 *
 * Registers what to do when @self is about to go, both before any undo. Whatever is in flight (a session, a job's run)
 * holds a reference of its own (rook_plugin_ref()): the drain is over when no more are held than init left behind.
 */
void rook_plugin_on_drain (RookPlugin *self, RookFunc drain, RookFunc abort, gpointer data);

/* @self can't be switched off while pinned: an open store pins its backend. @why: "partition default". Any thread. */
void rook_plugin_pin (RookPlugin *self, const char *why);
void rook_plugin_unpin (RookPlugin *self, const char *why);

/* --- for the daemon ----------------------------------------------------------------------------------------------- */

RookPlugins *rook_plugins_new (RookServer *server);
/* All plugins must have been finished. */
void rook_plugins_free (RookPlugins *self);

/**
 * rook_plugin_plan_new:
 * @plugins: (nullable): the running plugins, whose modules are used where they are loaded already
 * @config: as read, not validated yet: the plan declares `[plugin NAME]` of each plugin in it
 * @force: (nullable): names of plugins to take as enabled (`+NAME`) or disabled (`-NAME`) whatever the files say
 *
 * Loads the modules of all enabled plugins and checks them, runs nothing of theirs. What can't be loaded is in the plan
 * as failed. Blocks (disk).
 */
RookPluginPlan *rook_plugin_plan_new (RookPlugins *plugins, RookConfig *config, const char *const *force);
/* Somebody asked for this one: it may not fail, be it that it did before. */
void rook_plugin_plan_insist (RookPluginPlan *plan, const char *name);
void rook_plugin_plan_free (RookPluginPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookPluginPlan, rook_plugin_plan_free)
/* Adds a mistake for each plugin of the plan that can't be loaded or lacks what it needs, but for those that are in
 * @except (nullable) and not required. */
void rook_plugin_plan_check (RookPluginPlan *plan, const char *const *except, GPtrArray *mistakes);

/* What plugins offer by name, and list in their descriptors. */
typedef enum { ROOK_OFFER_PROTOCOL, ROOK_OFFER_STORAGE, ROOK_OFFER_CHECKER, ROOK_OFFER_JOB } RookOffer;
/* Whether @name is among those that the descriptor of @self lists; one built for an older ABI has no such list. Errors:
 * %ROOK_PLUGIN_ERROR_CONTRACT. */
gboolean rook_plugin_check_offer (RookPlugin *self, RookOffer offer, const char *name, GError **error);
/* Adds a mistake for each enabled [listener NAME] whose protocol no plugin of the plan offers; none if one of them can't
 * say. One that can't be loaded is named in the mistake: it may be the one. */
void rook_plugin_plan_check_listeners (RookPluginPlan *plan, GPtrArray *mistakes);
/* The same of storage backends, where there are partitions; of one that is only the default, if a plugin serves mail. */
void rook_plugin_plan_check_stores (RookPluginPlan *plan, GPtrArray *mistakes);
/* The same of auth/backend, and of [job NAME]; @own: those of the core. */
void rook_plugin_plan_check_backend (RookPluginPlan *plan, const char *const *own, GPtrArray *mistakes);
void rook_plugin_plan_check_jobs (RookPluginPlan *plan, const char *const *own, GPtrArray *mistakes);
/* Adds a mistake for each plugin that serves mail if there is no partition. */
void rook_plugin_plan_check_needs_store (RookPluginPlan *plan, GPtrArray *mistakes);
/* Whether the files of @config say of a plugin they want that it provides the directory. */
gboolean rook_plugin_wants_directory (RookConfig *config);
/* Whether the files of @config want that plugin to run. */
gboolean rook_plugin_is_wanted (RookConfig *config, const char *name);

/* Starts all plugins of the plan in their order. Returns: %FALSE as soon as a required one fails; of the others those that
 * failed are logged. */
gboolean rook_plugins_start (RookPlugins *self, RookPluginPlan *plan, GError **error);
/* The names of those that failed. (transfer full) */
char **rook_plugins_dup_failed (RookPlugins *self);

/**
 * RookPluginsDone:
 * @changes: (element-type utf8): what was done, for people: "started pop3"; on failure what could not be put back, and
 *   why: "lost pop3: its port is taken"
 * @error: (nullable): why everything else is as it was
 */
typedef void (*RookPluginsDone) (GPtrArray *changes, const GError *error, gpointer data);
/**
 * RookPluginsReady: whether what hangs on plugins that have come is as it should be. Asked when those are initialised that
 * can be without disturbing anybody, and again when all are. Returns: %FALSE to have everything put back.
 */
typedef gboolean (*RookPluginsReady) (gpointer data, GError **error);
/**
 * RookPluginsSettle: the last step, once all run and are as they should be: calls @answer with @change, at once or later on
 * the main worker, with an error to have everything put back. Nothing can fail after it.
 */
typedef void (*RookPluginsAnswer) (const GError *error, gpointer change);
typedef void (*RookPluginsSettle) (RookPluginsAnswer answer, gpointer change, gpointer data);
/**
 * rook_plugins_change:
 * @plan: (transfer full): without mistakes
 * @before: the configuration whose plugins run
 * @ready: (nullable)
 * @settle: (nullable)
 *
 * Goes from what runs to @plan, all or nothing: plugins that came are initialised, those that went, and those that have
 * another value in a key that takes a restart, are drained with the deadline first, with whoever needs them; of the rest
 * live keys are applied. If one that did not run refuses to start, or a pinned one would have to go, all is put back. One
 * that had failed before and fails again just stays so. The plan's configuration is in force already.
 */
void rook_plugins_change (RookPlugins *self, RookPluginPlan *plan, RookConfig *before, guint deadline_ms,
                          RookPluginsReady ready, RookPluginsSettle settle, RookPluginsDone callback, gpointer data);

/* Drains and ends all plugins, in reverse order of their init: without the pinned ones, while stores are open, and then
 * with them. Calls back at the end, never before it returns. */
void rook_plugins_stop_all (RookPlugins *self, gboolean pinned_too, guint deadline_ms, RookFunc done, gpointer data);
/* The deadline of all drains that are under way is now. */
void rook_plugins_hurry (RookPlugins *self);
/* Whether a plugin is being ended now. */
gboolean rook_plugins_is_busy (RookPlugins *self);

/* What `plugin list` shows: aa{sv}. (transfer floating) */
GVariant *rook_plugins_list (RookPlugins *self);
/* Registers `plugin list`. */
void rook_plugins_add_verbs (RookPlugins *self);

/* --- for tests ---------------------------------------------------------------------------------------------------- */

/* Runs a plugin from a descriptor in memory. @settings: (nullable): lines of its group. Returns: (nullable): it is ended
 * with the test server, or by rook_plugins_remove_static(). */
RookPlugin *rook_plugins_add_static (RookPlugins *self, const RookPluginDescriptor *descriptor, const char *settings,
                                     GError **error);
/* Drains (up to @deadline_ms) and ends it, running the main worker meanwhile. Returns: whether it has gone; else it is
 * resident. */
gboolean rook_plugins_remove_static (RookPlugins *self, RookPlugin *plugin, guint deadline_ms);
/* Ends all plugins, running the main worker meanwhile. */
void rook_plugins_remove_all (RookPlugins *self);
