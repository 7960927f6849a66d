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

/* Whether @self may register now: only while its init runs. @what is for the message: "protocol imap". */
gboolean rook_plugin_may_register (RookPlugin *self, const char *what, GError **error);

/**
 * rook_plugin_on_drain:
 * @drain: stop taking new work for @self and let what is in flight come to its end: close listeners, tell sessions
 * @abort: (nullable): the deadline has passed: end what is left, at once
 *
 * Registers what to do when @self is about to go, both before any undo. What is in flight holds a reference
 * (rook_plugin_ref()), so the drain is over when the references are gone.
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
void rook_plugin_plan_free (RookPluginPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookPluginPlan, rook_plugin_plan_free)
/* Adds a mistake for each plugin of the plan that can't be loaded or lacks what it needs, but for those in @except. */
void rook_plugin_plan_check (RookPluginPlan *plan, GPtrArray *mistakes);

/* Starts all plugins of the plan in their order. Returns: %FALSE if a required one failed; the others run. @plan is used
 * up. */
gboolean rook_plugins_start (RookPlugins *self, RookPluginPlan *plan, GError **error);

typedef void (*RookPluginsDone) (GError *error, GPtrArray *changes, gpointer data);
/* From what runs to @plan (used up), all or nothing; see reload.c. @callback comes once, never before this returns. */
void rook_plugins_change (RookPlugins *self, RookPluginPlan *plan, RookConfig *before, RookConfig *after,
                          RookPluginsDone callback, gpointer data);

/* At the server's end: drains all (deadline in ms), then calls back; then, with no session left, ends all. */
void rook_plugins_drain (RookPlugins *self, guint deadline_ms, RookFunc callback, gpointer data);
/* The deadline of a drain that is under way has passed, now. */
void rook_plugins_hurry (RookPlugins *self);
void rook_plugins_finish (RookPlugins *self);

/* --- for tests ---------------------------------------------------------------------------------------------------- */

/* Runs a plugin from a descriptor in memory, with `[plugin NAME]` of the server's configuration, or all defaults.
 * Returns: (nullable): it ends with the server, or by rook_plugins_remove_static(). */
RookPlugin *rook_plugins_add_static (RookPlugins *self, const RookPluginDescriptor *descriptor, GError **error);
/* Aborts what is in flight, undoes and ends it; the caller has run the workers until no reference is left. */
void rook_plugins_remove_static (RookPlugins *self, RookPlugin *plugin);
