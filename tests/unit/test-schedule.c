/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The schedule: times, runs that never overlap, what is remembered over restarts, jobs of plugins.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "control/control-private.h"
#include "daemon/server-private.h"
#include "log/log-private.h"
#include "schedule/schedule-private.h"

/* --- times --------------------------------------------------------------------------------------------------------- */

static gint64
moment (const char *text)
{
  g_autoptr (GTimeZone) zone = g_time_zone_new_utc ();
  g_autoptr (GDateTime) time = g_date_time_new_from_iso8601 (text, zone);

  g_assert_nonnull (time);
  return g_date_time_to_unix (time) * G_USEC_PER_SEC;
}

static void
assert_next (const char *when, const char *from, const char *expected)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDateTime) time = NULL;
  g_autofree char *text = NULL;
  gint64 next = -1;

  g_assert_true (rook_schedule_parse (when, moment (from), &next, &error));
  g_assert_no_error (error);
  if (expected == NULL)
    {
      g_assert_cmpint (next, ==, 0);
      return;
    }
  time = g_date_time_new_from_unix_utc (next / G_USEC_PER_SEC);
  text = g_date_time_format_iso8601 (time);
  g_assert_cmpstr (text, ==, expected);
}

/* The tests run in Berlin: UTC+1, in summer UTC+2. */
static void
test_next (void)
{
  assert_next ("never", "2024-01-01T00:00:00Z", NULL);
  assert_next ("every 1h", "2024-01-01T00:30:00Z", "2024-01-01T01:30:00Z");
  assert_next ("every 90", "2024-01-01T00:00:00Z", "2024-01-01T00:01:30Z");
  assert_next ("daily 03:30", "2024-01-10T00:00:00Z", "2024-01-10T02:30:00Z");
  assert_next ("daily 03:30", "2024-01-10T02:30:00Z", "2024-01-11T02:30:00Z");
  assert_next ("daily 00:15", "2024-01-10T23:30:00Z", "2024-01-11T23:15:00Z");
  assert_next ("daily 03:30", "2024-12-31T12:00:00Z", "2025-01-01T02:30:00Z");
  assert_next ("weekly sun 04:00", "2024-01-10T00:00:00Z", "2024-01-14T03:00:00Z");
  assert_next ("weekly wed 04:00", "2024-01-10T02:59:00Z", "2024-01-10T03:00:00Z");
  assert_next ("weekly Wed 04:00", "2024-01-10T03:00:00Z", "2024-01-17T03:00:00Z");
}

static void
test_clock_changes (void)
{
  /* 2024-03-31: 02:00 becomes 03:00; there is no 02:30. */
  assert_next ("daily 02:30", "2024-03-30T12:00:00Z", "2024-03-31T01:00:00Z");
  assert_next ("daily 02:30", "2024-03-31T01:00:00Z", "2024-04-01T00:30:00Z");
  /* 2024-10-27: 03:00 becomes 02:00; 02:30 comes twice and counts once. */
  assert_next ("daily 02:30", "2024-10-26T12:00:00Z", "2024-10-27T01:30:00Z");
  assert_next ("daily 02:30", "2024-10-27T01:30:00Z", "2024-10-28T01:30:00Z");
}

static void
test_bad_times (void)
{
  static const char *const bad[] = { "",
                                     "sometimes",
                                     "every",
                                     "every -1h",
                                     "every 1x",
                                     "every 10ms",
                                     "every 1h 2",
                                     "daily",
                                     "daily 3:30",
                                     "daily 24:00",
                                     "daily 03:60",
                                     "daily 03:3x",
                                     "weekly 04:00",
                                     "weekly someday 04:00",
                                     "weekly sun 4",
                                     "never ever",
                                     "Daily 03:30",
                                     "every  1h" };

  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (rook_schedule_parse (bad[i], 0, NULL, &error));
      g_assert_error (error, ROOK_CONFIG_ERROR, ROOK_CONFIG_ERROR_VALUE);
    }
  g_assert_true (rook_schedule_parse ("every 1h", 0, NULL, NULL));
}

static void
test_settings (void)
{
  static const char text[] = "[job expire]\nwhen=every tuesday\n[job other]\nwhen=daily 01:00\n[job none]\n";
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = rook_config_read_data ("x", text, sizeof text - 1, &mistakes);

  rook_services_declare (config);
  rook_config_validate (config, mistakes);
  g_assert_cmpuint (mistakes->len, ==, 0);
  rook_schedule_check (config, mistakes);
  g_assert_cmpuint (mistakes->len, ==, 1);
  g_assert_cmpuint (((RookConfigMistake *) mistakes->pdata[0])->line, ==, 2);
}

/* --- the file ------------------------------------------------------------------------------------------------------ */

static void
test_state (void)
{
  g_autofree char *directory = g_dir_make_tmp ("rookery-schedule-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (directory, "schedule", NULL);
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  RookJobState *state;

  {
    g_autoptr (GHashTable) states = rook_schedule_load_state (path, &error);

    g_assert_no_error (error);
    g_assert_cmpuint (g_hash_table_size (states), ==, 0);
    state = g_new0 (RookJobState, 1);
    *state = (RookJobState){ 1, 2, 3, TRUE, g_strdup ("it's\nbroken"), 4, 5, 6 };
    g_hash_table_insert (states, g_strdup ("expire"), state);
    text = rook_schedule_format_state (states);
    g_assert_true (rook_schedule_save_state (path, text, &error));
  }
  {
    g_autoptr (GHashTable) states = rook_schedule_load_state (path, &error);

    g_assert_no_error (error);
    state = g_hash_table_lookup (states, "expire");
    g_assert_cmpint (state->since_us, ==, 1);
    g_assert_cmpint (state->start_us, ==, 2);
    g_assert_cmpint (state->end_us, ==, 3);
    g_assert_true (state->failed);
    g_assert_cmpstr (state->summary, ==, "it's\nbroken");
    g_assert_cmpuint (state->n_runs, ==, 4);
    g_assert_cmpuint (state->n_failed, ==, 5);
    g_assert_cmpuint (state->n_skipped, ==, 6);
  }
  g_unlink (path);
  g_rmdir (directory);
}

static void
assert_bad_state (const char *contents)
{
  g_autofree char *directory = g_dir_make_tmp ("rookery-schedule-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (directory, "schedule", NULL);
  g_autoptr (GHashTable) states = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_set_contents (path, contents, -1, NULL));
  states = rook_schedule_load_state (path, &error);
  g_assert_nonnull (states);
  g_assert_cmpuint (g_hash_table_size (states), ==, 0);
  g_assert_nonnull (error);
  g_unlink (path);
  g_rmdir (directory);
}

static void
test_bad_state (void)
{
  assert_bad_state ("rubbish");
  assert_bad_state ("[schedule]\nformat=2\n[job a]\nstart=1\n");
  assert_bad_state ("[job a]\nstart=1\n");
}

/* --- jobs ---------------------------------------------------------------------------------------------------------- */

typedef struct {
  RookServer *server;
  RookSchedule *schedule;
  gint n_started;
  RookJobRun *held; /* the run of "hold" */
} Fixture;

static void
run_quick (gpointer data, RookJobRun *run)
{
  Fixture *fixture = data;

  g_assert_true (rook_worker_current () == rook_loop_get_main_worker (rook_server_get_loop (fixture->server)));
  fixture->n_started++;
  rook_job_run_progress (run, 50, "half");
  rook_job_run_done (run, "all is well", NULL);
}

static void
run_bad (gpointer data, RookJobRun *run)
{
  g_autoptr (GError) error = g_error_new_literal (G_FILE_ERROR, G_FILE_ERROR_NOSPC, "no room");

  ((Fixture *) data)->n_started++;
  rook_job_run_done (run, "not shown", error);
}

static void
run_hold (gpointer data, RookJobRun *run)
{
  Fixture *fixture = data;

  fixture->n_started++;
  fixture->held = run;
}

static void *
end_from_thread (void *run)
{
  rook_job_run_done (run, NULL, NULL);
  return NULL;
}

static const RookJob quick = { sizeof (RookJob), "quick", "Quick.", "never", run_quick };
static const RookJob bad = { sizeof (RookJob), "bad", "Bad.", "never", run_bad };
static const RookJob hold = { sizeof (RookJob), "hold", "Holds.", "never", run_hold };
static const RookJob often = { sizeof (RookJob), "often", "Often.", "every 1s", run_quick };
static const RookJob held_often = { sizeof (RookJob), "held-often", "Often, and slow.", "every 1s", run_hold };

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->server = rook_server_new_for_test (data);
  fixture->schedule = rook_server_get_schedule (fixture->server);
  rook_log_set_level (rook_server_get_log (fixture->server), ROOK_LOG_ERROR);
}

static void
tear_down (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  rook_server_free_for_test (fixture->server);
}

static void
quit (gpointer data)
{
  rook_loop_quit (data);
}

/* Lets the server work for a while. */
static void
serve_ms (Fixture *fixture, guint ms)
{
  RookLoop *loop = rook_server_get_loop (fixture->server);
  RookTimer timer;

  rook_timer_init (&timer, rook_loop_get_main_worker (loop), quit, loop);
  rook_timer_start (&timer, ms);
  rook_loop_run (loop);
  rook_timer_stop (&timer);
}

/* Until it is so; run-tap's deadline is for what never is. */
#define serve_until(fixture, condition) \
  while (!(condition))                  \
  serve_ms (fixture, 5)

static RookJobEntry *
add (Fixture *fixture, const RookJob *job)
{
  rook_schedule_add (fixture->schedule, job, fixture);
  return rook_schedule_find (fixture->schedule, job->name);
}

static void
test_run (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  RookJobEntry *good = add (fixture, &quick), *failing = add (fixture, &bad);

  g_assert_nonnull (rook_schedule_start (good));
  g_assert_nonnull (rook_schedule_start (failing));
  serve_until (fixture, good->run == NULL && failing->run == NULL);
  g_assert_false (good->state->failed);
  g_assert_cmpstr (good->state->summary, ==, "all is well");
  g_assert_cmpint (good->state->end_us, >=, good->state->start_us);
  g_assert_true (failing->state->failed);
  g_assert_cmpstr (failing->state->summary, ==, "no room");
  g_assert_cmpuint (failing->state->n_failed, ==, 1);
  g_assert_cmpint (fixture->n_started, ==, 2);
}

static void
test_never_twice (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  RookJobEntry *entry = add (fixture, &hold);
  g_autofree char *text = NULL;
  pthread_t thread;
  double percent;

  g_assert_nonnull (rook_schedule_start (entry));
  g_assert_null (rook_schedule_start (entry));
  rook_job_run_progress (fixture->held, 25, "a quarter");
  rook_job_run_get_progress (entry->run, &percent, &text);
  g_assert_cmpfloat (percent, ==, 25);
  g_assert_cmpstr (text, ==, "a quarter");
  g_assert_cmpint (pthread_create (&thread, NULL, end_from_thread, fixture->held), ==, 0);
  pthread_join (thread, NULL);
  serve_until (fixture, entry->run == NULL);
  g_assert_cmpint (fixture->n_started, ==, 1);
}

static void
test_comes_round (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  RookJobEntry *entry = add (fixture, &often), *slow = add (fixture, &held_often);

  gint64 first_us;

  serve_until (fixture, entry->state->n_runs == 1);
  first_us = entry->state->start_us;
  /* The slow one is skipped and counted. */
  serve_until (fixture, entry->state->n_runs >= 2 && slow->state->n_skipped >= 1);
  g_assert_cmpint (entry->state->start_us - first_us, >=, G_USEC_PER_SEC);
  g_assert_nonnull (slow->run);
  g_assert_cmpuint (slow->state->n_runs, ==, 0);
  rook_job_run_done (fixture->held, NULL, NULL);
}

/* At once the first time, then no sooner than after the pause; one that never comes is left alone. */
static void
test_hastened (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  static const RookJob yearly = { sizeof (RookJob), "yearly", "Yearly.", "every 365d", run_quick };
  RookJobEntry *entry = add (fixture, &yearly), *off = add (fixture, &quick);
  gint64 first_us;

  rook_schedule_hasten (fixture->server, "yearly", 500);
  rook_schedule_hasten (fixture->server, "quick", 500);
  rook_schedule_hasten (fixture->server, "nobody", 500);
  serve_until (fixture, entry->state->n_runs == 1 && entry->run == NULL);
  g_assert_cmpuint (off->state->n_runs, ==, 0);
  first_us = entry->state->start_us;
  for (guint i = 0; i < 3; i++)
    rook_schedule_hasten (fixture->server, "yearly", 500);
  serve_until (fixture, entry->state->n_runs == 2 && entry->run == NULL);
  g_assert_cmpint (entry->state->start_us - first_us, >=, 500 * 1000);
  g_assert_cmpint (entry->next_us, >, entry->state->start_us + (gint64) 3600 * G_USEC_PER_SEC);
}

static void
test_overridden (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  RookJobEntry *entry = add (fixture, &often), *other = add (fixture, &quick);

  g_assert_cmpstr (entry->when_text, ==, "never");
  g_assert_cmpint (entry->next_us, ==, 0);
  g_assert_cmpstr (other->when_text, ==, "daily 03:30");
  g_assert_cmpint (other->next_us, >, g_get_real_time ());
}

/* As if the server had been down: a new service on the same file. */
static void
restart (Fixture *fixture)
{
  rook_schedule_free (fixture->schedule);
  fixture->server->schedule = NULL;
  rook_control_free (fixture->server->control);
  fixture->server->control = rook_control_new (fixture->server);
  fixture->schedule = fixture->server->schedule = rook_schedule_new (fixture->server);
}

static void
test_remembered (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  RookJobEntry *entry = add (fixture, &bad);
  gint64 start_us;

  rook_schedule_start (entry);
  serve_until (fixture, entry->run == NULL);
  start_us = entry->state->start_us;
  restart (fixture);
  entry = add (fixture, &bad);
  g_assert_cmpint (entry->state->start_us, ==, start_us);
  g_assert_cmpint (entry->state->end_us, >=, start_us);
  g_assert_true (entry->state->failed);
  g_assert_cmpstr (entry->state->summary, ==, "no room");
  g_assert_cmpuint (entry->state->n_runs, ==, 1);
}

static void
test_missed (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  static const RookJob hourly = { sizeof (RookJob), "hourly", "Hourly.", "every 1h", run_quick };
  RookJobEntry *entry = add (fixture, &hourly);
  gint64 now = g_get_real_time ();

  g_assert_cmpint (entry->next_us, >, now + G_GINT64_CONSTANT (3500) * G_USEC_PER_SEC);
  entry->state->start_us = entry->state->since_us = now - G_GINT64_CONSTANT (7200) * G_USEC_PER_SEC;
  rook_schedule_start (entry);
  entry->state->start_us = now - G_GINT64_CONSTANT (7200) * G_USEC_PER_SEC;
  serve_until (fixture, entry->run == NULL);
  restart (fixture);
  entry = add (fixture, &hourly);
  g_assert_cmpint (entry->next_us, <=, g_get_real_time () + 60 * G_USEC_PER_SEC);
}

static void
test_drain (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  RookJobEntry *entry = add (fixture, &hold);

  rook_schedule_start (entry);
  g_assert_false (rook_job_run_is_cancelled (fixture->held));
  rook_schedule_drain (fixture->schedule);
  g_assert_true (rook_job_run_is_cancelled (fixture->held));
  rook_job_run_done (fixture->held, NULL, NULL);
  serve_until (fixture, entry->run == NULL);
  g_assert_null (rook_schedule_start (entry));
}

/* To go on at its next time: as often as it was due before. */
static void
test_stopped_early_goes_on (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  static const RookJob hourly = { sizeof (RookJob), "hourly", "Hourly.", "every 1h", run_hold };
  RookJobEntry *entry = add (fixture, &hourly);

  rook_schedule_start (entry);
  rook_schedule_drain (fixture->schedule);
  g_assert_true (rook_job_run_is_cancelled (fixture->held));
  rook_job_run_done (fixture->held, "half of it", NULL);
  serve_until (fixture, entry->run == NULL);
  restart (fixture);
  entry = add (fixture, &hourly);
  g_assert_cmpint (entry->next_us, >, g_get_real_time ());
  g_assert_nonnull (rook_schedule_start (entry));
  g_assert_false (rook_job_run_is_cancelled (fixture->held));
  rook_job_run_done (fixture->held, NULL, NULL);
  serve_until (fixture, entry->run == NULL);
}

/* --- what rookctl shows ------------------------------------------------------------------------------------------------ */

/* What the socket answers to @request, read by a thread while the server works. */
typedef struct {
  char *path;
  const char *request;
  char *answer;
  gint done; /* atomic */
} Client;

static void *
client_thread (void *data)
{
  Client *client = data;
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  GString *text = g_string_new (NULL);
  char buffer[4096];
  ssize_t n;

  g_strlcpy (address.sun_path, client->path, sizeof address.sun_path);
  g_assert_no_errno (connect (fd, (struct sockaddr *) &address, sizeof address));
  g_assert_cmpint (write (fd, client->request, strlen (client->request)), ==, (gssize) strlen (client->request));
  while ((n = read (fd, buffer, sizeof buffer)) > 0)
    g_string_append_len (text, buffer, n);
  close (fd);
  client->answer = g_string_free (text, FALSE);
  g_atomic_int_set (&client->done, 1);
  return NULL;
}

static char *
ask (Fixture *fixture, const char *request)
{
  g_autofree char *directory = rook_server_dup_run_directory (fixture->server);
  g_autofree char *path = g_build_filename (directory, ROOK_CONTROL_SOCKET, NULL);
  Client client = { path, request, NULL, 0 };
  pthread_t thread;

  g_assert_cmpint (pthread_create (&thread, NULL, client_thread, &client), ==, 0);
  serve_until (fixture, g_atomic_int_get (&client.done) == 1);
  pthread_join (thread, NULL);
  return client.answer;
}

static void
assert_shows (Fixture *fixture, const char *request, const char *what)
{
  g_autofree char *answer = ask (fixture, request);

  if (strstr (answer, what) == NULL)
    g_error ("%s is answered without %s: %s", request, what, answer);
}

static void
test_control (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  add (fixture, &quick);
  add (fixture, &hold);
  assert_shows (fixture, "job list\n", "'quick'");
  assert_shows (fixture, "job run quick\n", "all is well");
  assert_shows (fixture, "job list\n", "all is well");
  g_assert_nonnull (rook_schedule_start (rook_schedule_find (fixture->schedule, "hold")));
  rook_job_run_progress (fixture->held, 25, "a quarter");
  assert_shows (fixture, "job list\n", "25");
  assert_shows (fixture, "job list\n", "a quarter");
  assert_shows (fixture, "job run hold\n", "error ");
  rook_job_run_done (fixture->held, NULL, NULL);
}

/* --- plugins ------------------------------------------------------------------------------------------------------- */

static const char *const job_names[] = { "hold", "in-plugin", "patient", NULL };

static gboolean
init_job (RookPlugin *self, RookConfigGroup *config G_GNUC_UNUSED, GError **error)
{
  static const RookJob no_time = { sizeof (RookJob), "bad-time", "x", "sometimes", run_hold };
  g_autoptr (GError) refused = NULL;

  g_assert_false (rook_plugin_add_job (self, &no_time, NULL, &refused));
  g_assert_error (refused, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT);
  return rook_plugin_add_job (self, &hold, rook_plugin_get_server (self)->scratch, error);
}

static void
run_in_plugin (gpointer data G_GNUC_UNUSED, RookJobRun *run)
{
  rook_job_run_done (run, NULL, NULL);
}

static gboolean
init_quick (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  static const RookJob job = { sizeof (RookJob), "in-plugin", "x", "every 1h", run_in_plugin };

  (void) config;
  return rook_plugin_add_job (self, &job, NULL, error);
}

static void
test_plugin (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  static const RookPluginDescriptor descriptors[] = {
    { .struct_size = sizeof (RookPluginDescriptor),
      .abi_major = ROOK_ABI_MAJOR,
      .abi_minor = ROOK_ABI_MINOR,
      .name = "one",
      .summary = "x",
      .version = "1",
      .license = "LGPL-2.1-or-later",
      .jobs = job_names,
      .init = init_quick },
    { .struct_size = sizeof (RookPluginDescriptor),
      .abi_major = ROOK_ABI_MAJOR,
      .abi_minor = ROOK_ABI_MINOR,
      .name = "two",
      .summary = "x",
      .version = "1",
      .license = "LGPL-2.1-or-later",
      .jobs = job_names,
      .init = init_job },
  };
  RookPlugins *plugins = rook_server_get_plugins (fixture->server);
  g_autoptr (GError) error = NULL;
  RookPlugin *one = rook_plugins_add_static (plugins, &descriptors[0], NULL, &error);
  RookPlugin *two;
  RookJobEntry *entry;

  g_assert_no_error (error);
  two = rook_plugins_add_static (plugins, &descriptors[1], NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (rook_schedule_find (fixture->schedule, "hold"));
  entry = rook_schedule_find (fixture->schedule, "in-plugin");
  g_assert_nonnull (rook_schedule_start (entry));
  g_assert_true (rook_plugins_remove_static (plugins, one, 1000));
  g_assert_null (rook_schedule_find (fixture->schedule, "in-plugin"));
  g_assert_true (rook_plugins_remove_static (plugins, two, 1000));
  g_assert_null (rook_schedule_find (fixture->schedule, "hold"));
}

static RookJobRun *plugin_run; /* of "patient" */

static void
run_patient (gpointer data G_GNUC_UNUSED, RookJobRun *run)
{
  plugin_run = run;
}

static gboolean
init_patient (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  static const RookJob job = { sizeof (RookJob), "patient", "x", "never", run_patient };

  (void) config;
  return rook_plugin_add_job (self, &job, NULL, error);
}

static void *
end_when_cancelled (void *run)
{
  while (!rook_job_run_is_cancelled (run))
    {
      rook_job_run_progress (run, 1, "waiting");
      sched_yield ();
    }
  rook_job_run_done (run, "stopped early", NULL);
  return NULL;
}

static void
test_plugin_goes (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  static const RookPluginDescriptor descriptor = { .struct_size = sizeof (RookPluginDescriptor),
                                                   .abi_major = ROOK_ABI_MAJOR,
                                                   .abi_minor = ROOK_ABI_MINOR,
                                                   .name = "patient",
                                                   .summary = "x",
                                                   .version = "1",
                                                   .license = "LGPL-2.1-or-later",
                                                   .jobs = job_names,
                                                   .init = init_patient };
  RookPlugins *plugins = rook_server_get_plugins (fixture->server);
  RookPlugin *plugin = rook_plugins_add_static (plugins, &descriptor, NULL, NULL);
  pthread_t thread;

  g_assert_nonnull (plugin);
  g_assert_nonnull (rook_schedule_start (rook_schedule_find (fixture->schedule, "patient")));
  g_assert_cmpint (pthread_create (&thread, NULL, end_when_cancelled, plugin_run), ==, 0);
  g_assert_true (rook_plugins_remove_static (plugins, plugin, 100000));
  pthread_join (thread, NULL);
}

/* --- hooks ----------------------------------------------------------------------------------------------------------- */

static void
assert_mistake (const char *text, RookConfigError code, guint line)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = rook_config_read_data ("x", text, strlen (text), &mistakes);
  RookConfigMistake *mistake;

  rook_services_declare (config);
  rook_config_validate (config, mistakes);
  g_assert_cmpuint (mistakes->len, ==, 0);
  rook_schedule_check (config, mistakes);
  if (mistakes->len == 0)
    rook_schedule_warn (config, mistakes);
  g_assert_cmpuint (mistakes->len, ==, line > 0);
  if (line == 0)
    return;
  mistake = mistakes->pdata[0];
  g_assert_cmpint (mistake->code, ==, code);
  g_assert_cmpuint (mistake->line, ==, line);
}

static void
test_hook_settings (void)
{
  assert_mistake ("[job x]\nwhen=never\ncommand=/bin/sh -c 'exit 1'\n", ROOK_CONFIG_ERROR_VALUE, 0);
  assert_mistake ("[job x]\nwhen=never\ncommand=sh -c 'exit 1'\n", ROOK_CONFIG_ERROR_VALUE, 3);
  assert_mistake ("[job x]\nwhen=never\ncommand=/bin/sh 'never ends\n", ROOK_CONFIG_ERROR_VALUE, 3);
  assert_mistake ("[job x]\nwhen=never\ncommand=# a comment\n", ROOK_CONFIG_ERROR_VALUE, 3);
  assert_mistake ("[job x]\ncommand=/bin/sh\n", ROOK_CONFIG_ERROR_MISSING, 1);
  assert_mistake ("[job X]\nwhen=never\ncommand=/bin/sh\n", ROOK_CONFIG_ERROR_VALUE, 1);
  assert_mistake ("[job x]\nwhen=never\ndeadline=5s\n", ROOK_CONFIG_ERROR_CONFLICT, 3);
  assert_mistake ("[job x]\nwhen=never\ncommand=/nowhere/at/all\n", ROOK_CONFIG_ERROR_VALUE, 3);
  assert_mistake ("[job x]\nwhen=never\ncommand=/bin\n", ROOK_CONFIG_ERROR_VALUE, 3);
  assert_mistake ("[job x]\nwhen=never\ncommand=/proc/version\n", ROOK_CONFIG_ERROR_VALUE, 3);
}

/* Runs the hook "hook" of the fixture's configuration to its end. */
static RookJobState *
run_hook (Fixture *fixture)
{
  g_autoptr (RookConfig) config = rook_server_get_config (fixture->server);
  RookJobEntry *entry;

  rook_schedule_reconfigure (fixture->schedule, config);
  entry = rook_schedule_find (fixture->schedule, "hook");
  g_assert_nonnull (entry);
  g_assert_nonnull (rook_schedule_start (entry));
  g_assert_null (rook_schedule_start (entry));
  serve_until (fixture, entry->run == NULL);
  return entry->state;
}

static void
test_hook_good (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  RookJobState *state = run_hook (fixture);

  g_assert_false (state->failed);
  g_assert_cmpstr (state->summary, ==, "exit status 0");
}

static void
test_hook_fails (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  RookJobState *state = run_hook (fixture);

  g_assert_true (state->failed);
  g_assert_cmpstr (state->summary, ==, "exit status 7: no room");
}

static void
test_hook_not_there (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  RookJobState *state = run_hook (fixture);

  g_assert_true (state->failed);
  g_assert_cmpstr (state->summary, ==, "/nowhere/at/all can't be started: No such file or directory");
}

static void
test_hook_deadline (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  RookJobState *state = run_hook (fixture);

  g_assert_true (state->failed);
  g_assert_cmpstr (state->summary, ==, "stopped at its deadline of 1s: ended by signal 15 (Terminated)");
}

static RookJobEntry *
start_hook (Fixture *fixture)
{
  g_autoptr (RookConfig) config = rook_server_get_config (fixture->server);
  RookJobEntry *entry;

  rook_schedule_reconfigure (fixture->schedule, config);
  entry = rook_schedule_find (fixture->schedule, "hook");
  g_assert_nonnull (rook_schedule_start (entry));
  g_assert_true (rook_schedule_has_commands (fixture->schedule));
  return entry;
}

static void
test_hook_abandoned (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  start_hook (fixture);
}

/* It says who it is in a file, and takes no notice of SIGTERM. */
static void
test_hook_abandoned_late (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *path = g_build_filename (fixture->server->scratch, "pid", NULL);
  g_autofree char *text = NULL;
  pid_t pid;

  start_hook (fixture);
  serve_until (fixture, g_file_test (path, G_FILE_TEST_EXISTS));
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  pid = (pid_t) g_ascii_strtoll (text, NULL, 10);
  g_assert_cmpint (kill (pid, 0), ==, 0);
  rook_schedule_free (fixture->schedule);
  fixture->server->schedule = NULL;
  g_assert_cmpint (kill (pid, 0), ==, -1);
  g_assert_cmpint (errno, ==, ESRCH);
}

static gboolean
init_hook (RookPlugin *self, RookConfigGroup *config G_GNUC_UNUSED, GError **error)
{
  static const RookJob job = { sizeof (RookJob), "hook", "x", "never", run_hold };

  return rook_plugin_add_job (self, &job, NULL, error);
}

static void
test_hook_and_plugin (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  static const char *const names[] = { "hook", NULL };
  static const RookPluginDescriptor descriptor = { .struct_size = sizeof (RookPluginDescriptor),
                                                   .abi_major = ROOK_ABI_MAJOR,
                                                   .abi_minor = ROOK_ABI_MINOR,
                                                   .name = "rival",
                                                   .summary = "x",
                                                   .version = "1",
                                                   .license = "LGPL-2.1-or-later",
                                                   .jobs = names,
                                                   .init = init_hook };
  g_autoptr (RookConfig) config = rook_server_get_config (fixture->server);
  g_autoptr (GError) error = NULL;

  rook_schedule_reconfigure (fixture->schedule, config);
  g_assert_null (rook_plugins_add_static (rook_server_get_plugins (fixture->server), &descriptor, NULL, &error));
  g_assert_nonnull (error);
  g_assert_nonnull (strstr (error->message, "job hook: is there already"));
}

int
main (int argc, char **argv)
{
  g_setenv ("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", TRUE);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/schedule/time/next", test_next);
  g_test_add_func ("/schedule/time/clock-changes", test_clock_changes);
  g_test_add_func ("/schedule/time/well-formed-or-refused", test_bad_times);
  g_test_add_func ("/schedule/settings/are-checked", test_settings);
  g_test_add_func ("/schedule/state/file-keeps-everything", test_state);
  g_test_add_func ("/schedule/state/bad-or-newer-file-is-named-and-left", test_bad_state);
#define SERVER(path, text, func) g_test_add (path, Fixture, text, set_up, func, tear_down)
  SERVER ("/schedule/job/runs-and-tells-how-it-went", NULL, test_run);
  SERVER ("/schedule/job/never-twice-at-once-and-ends-from-any-thread", NULL, test_never_twice);
  SERVER ("/schedule/job/comes-round-and-is-skipped-while-it-runs", NULL, test_comes_round);
  SERVER ("/schedule/job/comes-early-when-it-is-wanted", NULL, test_hastened);
  SERVER ("/schedule/job/time-is-overridden-by-config", "[job often]\nwhen=never\n[job quick]\nwhen=daily 03:30\n",
          test_overridden);
  SERVER ("/schedule/job/last-run-is-kept-over-restarts", NULL, test_remembered);
  SERVER ("/schedule/job/one-that-was-due-runs-soon-after-start", NULL, test_missed);
  SERVER ("/schedule/job/is-asked-to-stop-early", NULL, test_drain);
  SERVER ("/schedule/job/stopped-early-goes-on-at-its-next-time", NULL, test_stopped_early_goes_on);
  SERVER ("/schedule/control/lists-jobs-with-progress-and-runs-them", NULL, test_control);
  SERVER ("/schedule/plugin/jobs-go-with-it", NULL, test_plugin);
  SERVER ("/schedule/plugin/running-job-is-asked-to-stop-when-it-goes", NULL, test_plugin_goes);
  g_test_add_func ("/schedule/hook/settings-are-checked", test_hook_settings);
#define HOOK(command) "[job hook]\nwhen=never\n" command "\n"
  SERVER ("/schedule/hook/runs-and-tells-its-status", HOOK ("command=/bin/sh -c 'echo all is well'"), test_hook_good);
  SERVER ("/schedule/hook/fails-with-status-and-last-words",
          HOOK ("command=/bin/sh -c 'echo fine; echo no room >&2; exit 7'"), test_hook_fails);
  SERVER ("/schedule/hook/that-is-not-there-fails", HOOK ("command=/nowhere/at/all"), test_hook_not_there);
  SERVER ("/schedule/hook/is-stopped-at-its-deadline", HOOK ("command=/bin/sleep 1000000\ndeadline=1s"),
          test_hook_deadline);
  SERVER ("/schedule/hook/is-killed-if-the-server-goes-as-it-starts", HOOK ("command=/bin/sleep 1000000"),
          test_hook_abandoned);
  SERVER ("/schedule/hook/is-killed-if-the-server-goes-as-it-runs",
          HOOK ("command=/bin/sh -c \"trap '' TERM; echo $$ >@SCRATCH@/p; mv @SCRATCH@/p @SCRATCH@/pid; while :; do "
                "sleep 1; done\""),
          test_hook_abandoned_late);
  SERVER ("/schedule/hook/is-before-a-plugin-of-its-name", HOOK ("command=/bin/true"), test_hook_and_plugin);
  return g_test_run ();
}
