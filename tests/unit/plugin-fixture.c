/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the plugin tests share. The trace is the one thing at file scope: modules know no test's data.
 */
#include "plugin-fixture.h"

#include "modules/module.h"

static GString *trace_text;
static guint n_starts;
static pthread_mutex_t trace_lock = PTHREAD_MUTEX_INITIALIZER;

/* Exported to the modules. */
__attribute__ ((visibility ("default"))) void
test_trace (const char *name, const char *what)
{
  pthread_mutex_lock (&trace_lock);
  g_string_append_printf (trace_text, "%s%s %s", trace_text->len > 0 ? ", " : "", name, what);
  pthread_mutex_unlock (&trace_lock);
}

__attribute__ ((visibility ("default"))) guint
test_count_starts (void)
{
  return ++n_starts;
}

char *
take_trace (void)
{
  char *text;

  pthread_mutex_lock (&trace_lock);
  text = g_strdup (trace_text->str);
  g_string_truncate (trace_text, 0);
  pthread_mutex_unlock (&trace_lock);
  return text;
}

char *
fixture_dup_module_directory (void)
{
  return g_test_build_filename (G_TEST_BUILT, "tests", "unit", "modules", ".libs", NULL);
}

void
fixture_set_up (Fixture *fixture, gconstpointer data)
{
  g_autofree char *directory = fixture_dup_module_directory ();
  g_autofree char *text = g_strdup_printf ("[server]\nplugin-directory=%s\n[log]\nlevel=error\n", directory);

  (void) data;
  trace_text = g_string_new (NULL);
  n_starts = 0;
  fixture->server = rook_server_new_for_test (text);
  fixture->plugins = fixture->server->plugins;
}

void
fixture_tear_down (Fixture *fixture, gconstpointer data)
{
  (void) data;
  rook_server_free_for_test (fixture->server);
  g_string_free (g_steal_pointer (&trace_text), TRUE);
}

RookConfig *
fixture_configure (Fixture *fixture, const char *groups, const char *const *force, RookPluginPlan **out_plan,
                   GPtrArray **out_mistakes)
{
  g_autofree char *directory = fixture_dup_module_directory ();
  g_autofree char *text = g_strdup_printf ("[server]\nplugin-directory=%s\n%s", directory, groups);
  RookConfig *config = rook_config_read_data ("test.conf", text, strlen (text), out_mistakes);

  rook_services_declare (config);
  *out_plan = rook_plugin_plan_new (fixture->plugins, config, force);
  rook_config_validate (config, *out_mistakes);
  return config;
}

gboolean
fixture_start (Fixture *fixture, const char *groups, GError **error)
{
  g_autoptr (RookPluginPlan) plan = NULL;
  g_autoptr (GPtrArray) mistakes = NULL;
  RookConfig *config = fixture_configure (fixture, groups, NULL, &plan, &mistakes);

  g_assert_cmpuint (mistakes->len, ==, 0);
  rook_server_set_config (fixture->server, config);
  return rook_plugins_start (fixture->plugins, plan, error);
}

typedef struct {
  RookLoop *loop;
  char *outcome;
} Waiter;

static void
on_changed (GPtrArray *changes, const GError *error, gpointer data)
{
  Waiter *waiter = data;
  g_autofree char *list = NULL;

  g_ptr_array_add (changes, NULL);
  list = g_strjoinv (", ", (char **) changes->pdata);
  waiter->outcome = error == NULL ? g_steal_pointer (&list)
                                  : g_strdup_printf ("(%s)%s%s", error->message, *list != '\0' ? " " : "", list);
  rook_loop_quit (waiter->loop);
}

char *
fixture_change (Fixture *fixture, const char *groups, const char *const *force)
{
  RookPluginPlan *plan = NULL;
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) before = rook_server_get_config (fixture->server);
  g_autoptr (RookConfig) config G_GNUC_UNUSED = fixture_configure (fixture, groups, force, &plan, &mistakes);
  Waiter waiter = { fixture->server->loop, NULL };

  g_assert_cmpuint (mistakes->len, ==, 0);
  rook_plugins_change (fixture->plugins, plan, before, 100, NULL, NULL, on_changed, &waiter);
  g_assert_null (waiter.outcome);
  rook_loop_run (waiter.loop);
  return waiter.outcome;
}

static void
on_time (gpointer data)
{
  rook_loop_quit (data);
}

void
fixture_wait (Fixture *fixture, guint ms)
{
  RookTimer timer;

  rook_timer_init (&timer, rook_loop_get_main_worker (fixture->server->loop), on_time, fixture->server->loop);
  rook_timer_start (&timer, ms);
  rook_loop_run (fixture->server->loop);
}

void
fixture_await_trace (Fixture *fixture, const char *expected)
{
  g_autofree char *heard = take_trace ();

  while (strlen (heard) < strlen (expected))
    {
      g_autofree char *before = g_steal_pointer (&heard);
      g_autofree char *more = NULL;

      fixture_wait (fixture, 2);
      more = take_trace ();
      heard = g_strconcat (before, *before != '\0' && *more != '\0' ? ", " : "", more, NULL);
    }
  g_assert_cmpstr (heard, ==, expected);
}

RookPluginState
fixture_get_state (Fixture *fixture, const char *name)
{
  RookPlugin *plugin = rook_plugins_find (fixture->plugins, name);

  g_assert_nonnull (plugin);
  return plugin->state;
}

const char *
fixture_get_reason (Fixture *fixture, const char *name)
{
  RookPlugin *plugin = rook_plugins_find (fixture->plugins, name);

  g_assert_nonnull (plugin);
  g_assert_nonnull (plugin->error);
  return plugin->error->message;
}
