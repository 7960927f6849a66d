/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading a whole configuration: for the start, for --check-config and for a reload alike.
 */
#pragma once

#include "daemon/server-private.h"

G_BEGIN_DECLS

/**
 * rook_daemon_load:
 * @running: (nullable): the server that is to take it
 * @force: (nullable): see rook_plugin_plan_new()
 * @out_plan: (out) (transfer full) (nullable): %NULL if a file can't be read: then there is nothing to say but that
 * @out_mistakes: (out) (element-type RookConfigMistake) (transfer full): all but those of plugins, for which
 *   rook_plugin_plan_check() is to be asked
 *
 * Reads the files, loads the modules of the plugins they name, declares every table and checks everything. Changes nothing.
 * Blocks (disk). Returns: (transfer full): to be used only if there are no mistakes.
 */
RookConfig *rook_daemon_load (const char *path, RookServer *running, const char *const *force,
                              RookPluginPlan **out_plan, GPtrArray **out_mistakes);

/* The rest, which --check-config tells: what is wrong with plugins, and what a server starts with all the same. */
void rook_daemon_check_all (RookServer *running, RookConfig *config, RookPluginPlan *plan, GPtrArray *mistakes);
/* Adds the latter alone, but for what is logged anyway when it turns out: listeners that nobody serves, stores that nobody
 * opens. */
void rook_daemon_warn (RookServer *running, RookConfig *config, RookPluginPlan *plan, GPtrArray *warnings);
/* Of these the one that a reload refuses, where a start does not: nobody offers auth/backend. */
void rook_daemon_check_backend (RookPluginPlan *plan, GPtrArray *mistakes);
void rook_daemon_log_warnings (RookServer *server, GPtrArray *warnings);

/* Adds a mistake for each key, or group, that has changed and can't change in a running server. */
/* Adds what differs in keys that belong to neither a plugin nor a listener. @changes: (element-type utf8) (owned) */
void rook_daemon_describe_changes (RookConfig *before, RookConfig *after, GPtrArray *changes);
void rook_daemon_check_restart (RookConfig *before, RookConfig *after, GPtrArray *mistakes);

/* One line each, in the order of files and lines. (transfer full) */
char *rook_daemon_format_mistakes (GPtrArray *mistakes, const char *prefix);

G_END_DECLS
