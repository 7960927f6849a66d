/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A server whose plugin directory is the test modules', and a list of what was done to its plugins.
 */
#pragma once

#include "daemon/server-private.h"
#include "plugin/plugin-life.h"

typedef struct {
  RookServer *server;
  RookPlugins *plugins;
} Fixture;

void fixture_set_up (Fixture *fixture, gconstpointer data);
void fixture_tear_down (Fixture *fixture, gconstpointer data);
#define FIXTURE_TEST(path, func) g_test_add (path, Fixture, NULL, fixture_set_up, func, fixture_tear_down)

/* The directory of the modules. (transfer full) */
char *fixture_dup_module_directory (void);
/* A configuration with these groups, as read and declared; @out_plan: (out) of its plugins. */
RookConfig *fixture_configure (Fixture *fixture, const char *groups, const char *const *force,
                               RookPluginPlan **out_plan, GPtrArray **out_mistakes);
/* Starts the plugins of these groups, which must be without mistakes; puts the configuration in force. */
gboolean fixture_start (Fixture *fixture, const char *groups, GError **error);
/* Goes to these groups as a reload does. Returns: the changes, joined by ", "; on failure the error's message in
 * parentheses comes first. */
char *fixture_change (Fixture *fixture, const char *groups, const char *const *force);
/* Runs the main worker until @ms have passed. */
void fixture_wait (Fixture *fixture, guint ms);
RookPluginState fixture_get_state (Fixture *fixture, const char *name);
const char *fixture_get_reason (Fixture *fixture, const char *name);

/* Runs the main worker until the modules have said @expected, and no more. */
void fixture_await_trace (Fixture *fixture, const char *expected);

/* What the modules said since the last call, joined by ", ". (transfer full) */
char *take_trace (void);
#define assert_trace(expected)              \
  G_STMT_START                              \
  {                                         \
    g_autofree char *trace = take_trace (); \
    g_assert_cmpstr (trace, ==, expected);  \
  }                                         \
  G_STMT_END
