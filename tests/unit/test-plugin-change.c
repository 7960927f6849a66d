/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starting the plugins of a configuration, and changing to another one: all or nothing.
 */
#include "plugin-fixture.h"

#define assert_change(groups, expected)                                  \
  G_STMT_START                                                           \
  {                                                                      \
    g_autofree char *outcome = fixture_change (fixture, (groups), NULL); \
    g_assert_cmpstr (outcome, ==, (expected));                           \
  }                                                                      \
  G_STMT_END

static void
start (Fixture *fixture, const char *groups)
{
  g_autoptr (GError) error = NULL;

  fixture_start (fixture, groups, &error);
  g_assert_no_error (error);
}

static void
test_start (Fixture *fixture, gconstpointer data)
{
  (void) data;
  start (fixture,
         "[plugin needs-good]\n[plugin good]\n[plugin failing]\n[plugin nosuch]\n[plugin stubborn]\nenabled=0\n");
  assert_trace ("good hello, needs-good init, failing init, failing undo");
  g_assert_cmpint (fixture_get_state (fixture, "good"), ==, ROOK_PLUGIN_RUNNING);
  g_assert_cmpint (fixture_get_state (fixture, "needs-good"), ==, ROOK_PLUGIN_RUNNING);
  g_assert_cmpint (fixture_get_state (fixture, "failing"), ==, ROOK_PLUGIN_FAILED);
  g_assert_cmpstr (fixture_get_reason (fixture, "failing"), ==, "init failed without saying why");
  g_assert_cmpint (fixture_get_state (fixture, "nosuch"), ==, ROOK_PLUGIN_FAILED);
  g_assert_cmpint (fixture_get_state (fixture, "stubborn"), ==, ROOK_PLUGIN_DISABLED);
}

static void
test_required (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  (void) data;
  g_assert_false (fixture_start (fixture, "[plugin good]\n[plugin failing]\nrequired=true\n", &error));
  g_assert_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_INIT);
  g_assert_true (g_str_has_prefix (error->message, "plugin 'failing' is required and failed: "));
}

static void
test_failed_provider (Fixture *fixture, gconstpointer data)
{
  (void) data;
  start (fixture, "[plugin good]\nsize=10\n[plugin needs-good]\n[plugin stubborn]\n");
  g_assert_cmpstr (fixture_get_reason (fixture, "needs-good"), ==,
                   "needs plugin 'good', which does not run: 10 is too much for me");
  g_assert_cmpint (fixture_get_state (fixture, "stubborn"), ==, ROOK_PLUGIN_RUNNING);
}

static void
test_come_and_go (Fixture *fixture, gconstpointer data)
{
  (void) data;
  start (fixture, "[plugin good]\n");
  assert_trace ("good hello");
  assert_change ("[plugin good]\n[plugin needs-good]\n", "started needs-good");
  assert_trace ("needs-good init");
  assert_change ("[plugin good]\n", "stopped needs-good");
  assert_trace ("needs-good fini");
  assert_change ("[plugin good]\nenabled=no\n", "stopped good");
  assert_trace ("good drain, good undo 2, good undo 1, good fini, good data");
  g_assert_cmpint (fixture_get_state (fixture, "good"), ==, ROOK_PLUGIN_DISABLED);
  assert_change ("", "");
  g_assert_null (rook_plugins_find (fixture->plugins, "good"));
  assert_change ("[plugin good]\n", "started good");
}

static void
test_live (Fixture *fixture, gconstpointer data)
{
  (void) data;
  start (fixture, "[plugin good]\n");
  assert_trace ("good hello");
  assert_change ("[plugin good]\ngreeting=hi\n", "reconfigured good");
  assert_trace ("good reconfigure hi");
  assert_change ("[plugin good]\ngreeting=hi\nsize=3\nenabled=yes\n", "");
  assert_trace ("");
}

static void
test_restart (Fixture *fixture, gconstpointer data)
{
  (void) data;
  start (fixture, "[plugin stubborn]\n[plugin good]\n[plugin chain]\n[plugin needs-needs]\n");
  assert_trace ("good hello, chain init, needs-needs init");
  assert_change ("[plugin stubborn]\n[plugin good]\nsize=4\n[plugin chain]\n[plugin needs-needs]\n",
                 "restarted good, restarted chain, restarted needs-needs");
  assert_trace ("good drain, needs-needs fini, chain fini, good undo 2, good undo 1, good fini, good data, "
                "good hello, chain init, needs-needs init");
}

static void
test_refused_start (Fixture *fixture, gconstpointer data)
{
  (void) data;
  start (fixture, "[plugin good]\n[plugin stubborn]\nenabled=no\n");
  assert_trace ("good hello");
  assert_change ("[plugin good]\ngreeting=other\n[plugin stubborn]\n[plugin failing]\n",
                 "(plugin 'failing': init failed without saying why)");
  assert_trace ("failing init, failing undo, stubborn drain, stubborn fini");
  g_assert_cmpint (fixture_get_state (fixture, "good"), ==, ROOK_PLUGIN_RUNNING);
  g_assert_cmpint (fixture_get_state (fixture, "stubborn"), ==, ROOK_PLUGIN_DISABLED);
  g_assert_null (rook_plugins_find (fixture->plugins, "failing"));
}

/* The plugin has to be ended to be started with the value that it then refuses: it gets its old one back. */
static void
test_refused_restart (Fixture *fixture, gconstpointer data)
{
  g_autoptr (RookConfig) before = NULL;
  g_autoptr (RookConfig) after = NULL;

  (void) data;
  start (fixture, "[plugin good]\ngreeting=first\n[plugin needs-good]\n");
  assert_trace ("good first, needs-good init");
  before = rook_server_get_config (fixture->server);
  assert_change ("[plugin good]\ngreeting=second\nsize=10\n[plugin needs-good]\n",
                 "(plugin 'good': 10 is too much for me)");
  after = rook_server_get_config (fixture->server);
  g_assert_true (before == after);
  g_assert_cmpint (fixture_get_state (fixture, "good"), ==, ROOK_PLUGIN_RUNNING);
  g_assert_cmpint (fixture_get_state (fixture, "needs-good"), ==, ROOK_PLUGIN_RUNNING);
  {
    g_autofree char *trace = take_trace ();

    g_assert_true (g_str_has_suffix (trace, "good first, needs-good init"));
  }
}

/* Ended for the sake of another, which then says no, and will not come back. What needs it can't either. */
static void
test_lost (Fixture *fixture, gconstpointer data)
{
  const char *groups = "[plugin once]\n[plugin good]\nsize=4\n";

  (void) data;
  start (fixture, "[plugin once]\n[plugin good]\n");
  assert_change ("[plugin once]\nsize=4\n[plugin good]\nsize=10\n",
                 "(plugin 'once': once was enough) lost once: once was enough");
  g_assert_cmpint (fixture_get_state (fixture, "once"), ==, ROOK_PLUGIN_FAILED);
  g_assert_cmpint (fixture_get_state (fixture, "good"), ==, ROOK_PLUGIN_RUNNING);
  assert_change (groups, "restarted good"); /* as one that had failed, it hinders nothing from here on */
}

static void
test_pinned (Fixture *fixture, gconstpointer data)
{
  RookPlugin *plugin;

  (void) data;
  start (fixture, "[plugin good]\n");
  plugin = rook_plugins_find (fixture->plugins, "good");
  rook_plugin_pin (plugin, "partition default");
  assert_change ("[plugin good]\nenabled=no\n",
                 "(plugin 'good' can't be switched off or started anew: it is in use by partition default)");
  assert_change ("[plugin good]\nsize=4\n",
                 "(plugin 'good' can't be switched off or started anew: it is in use by partition default)");
  assert_change ("[plugin good]\ngreeting=yo\n", "reconfigured good");
  rook_plugin_unpin (plugin, "partition default");
  assert_change ("[plugin good]\nenabled=no\n", "stopped good");
}

static void
test_failed_before (Fixture *fixture, gconstpointer data)
{
  (void) data;
  start (fixture, "[plugin failing]\n[plugin good]\nsize=10\n");
  assert_change ("[plugin failing]\n[plugin good]\nsize=10\n[plugin stubborn]\n", "started stubborn");
  assert_change ("[plugin failing]\n[plugin good]\nsize=4\n[plugin stubborn]\n", "started good");
  g_assert_cmpint (fixture_get_state (fixture, "failing"), ==, ROOK_PLUGIN_FAILED);
}

/* What one gives up another may take in the same reload. */
static void
test_replacement (Fixture *fixture, gconstpointer data)
{
  (void) data;
  start (fixture, "[plugin good]\n");
  assert_change ("[plugin good]\nenabled=no\n[plugin second-good]\n", "started second-good, stopped good");
  assert_change ("[plugin good]\n[plugin second-good]\nenabled=no\n", "started good, stopped second-good");
}

static void
test_force (Fixture *fixture, gconstpointer data)
{
  const char *const off[] = { "-good", NULL }, *const on[] = { "+good", NULL };
  g_autofree char *first = NULL, *second = NULL;

  (void) data;
  start (fixture, "[plugin good]\n");
  first = fixture_change (fixture, "[plugin good]\n", off);
  g_assert_cmpstr (first, ==, "stopped good");
  second = fixture_change (fixture, "[plugin good]\nenabled=no\n", on);
  g_assert_cmpstr (second, ==, "started good");
}

static void
test_many (Fixture *fixture, gconstpointer data)
{
  (void) data;
  start (fixture, "[plugin good]\n");
  for (guint i = 0; i < 200; i++)
    {
      assert_change ("[plugin good]\nenabled=no\n", "stopped good");
      assert_change ("[plugin good]\n", "started good");
    }
  g_assert_cmpuint (fixture->plugins->resident->len, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/plugin/start/what-needs-no-failed-one-runs", test_start);
  FIXTURE_TEST ("/plugin/start/required-one-that-fails-ends-it", test_required);
  FIXTURE_TEST ("/plugin/start/failed-provider-fails-its-users", test_failed_provider);
  FIXTURE_TEST ("/plugin/change/come-and-go", test_come_and_go);
  FIXTURE_TEST ("/plugin/change/live-keys-reconfigure", test_live);
  FIXTURE_TEST ("/plugin/change/restart-takes-users-along", test_restart);
  FIXTURE_TEST ("/plugin/change/failing-newcomer-changes-nothing", test_refused_start);
  FIXTURE_TEST ("/plugin/change/failing-restart-is-put-back", test_refused_restart);
  FIXTURE_TEST ("/plugin/change/what-can-not-be-put-back-is-told", test_lost);
  FIXTURE_TEST ("/plugin/change/pinned-one-stays", test_pinned);
  FIXTURE_TEST ("/plugin/change/one-that-failed-may-fail-again", test_failed_before);
  FIXTURE_TEST ("/plugin/change/name-can-be-handed-over", test_replacement);
  FIXTURE_TEST ("/plugin/change/force-overrides-enabled", test_force);
  FIXTURE_TEST ("/plugin/change/many-rounds", test_many);
  return g_test_run ();
}
