/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hooks: jobs that the administrator writes, `[job NAME]` with a `command`. What each of them is comes from the
 * configuration, what it prints goes to the log, within a rate, and how it ended is the job's result.
 */
#include "schedule/schedule-private.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/config-private.h"
#include "daemon/server-private.h"

/* Lines of the log: so many at once, and then so many a second. */
#define LINES_AT_ONCE 100
#define LINES_A_SECOND 10

struct RookHook {
  RookJob job;        /* ours alone: its texts are below */
  RookServer *server; /* (unowned) */
  char *name, *summary;
  char **argv;
  guint64 deadline_ms;
  RookTimer deadline;

  /* of the run under way */
  RookJobRun *run;      /* (nullable) (unowned) */
  RookCommand *command; /* (nullable) (owned) */
  gboolean late, stopped;
  GString *last_line;
  double may_log; /* so many lines */
  gint64 looked_us;
  guint64 n_dropped;
};

/* --- settings -------------------------------------------------------------------------------------------------------- */

const char *
rook_hook_get_command (RookConfigGroup *group)
{
  return rook_config_group_get_string (group, "command");
}

/* Returns: (nullable) (transfer full): the words of a group's command, as a shell would take its quotes. */
static char **
parse_command (RookConfigGroup *group, GError **error)
{
  char **argv = NULL;

  if (!g_shell_parse_argv (rook_hook_get_command (group), NULL, &argv, error))
    return NULL;
  if (g_path_is_absolute (argv[0]))
    return argv;
  g_set_error (error, ROOK_CONFIG_ERROR, ROOK_CONFIG_ERROR_VALUE, "the program has to be an absolute path");
  g_strfreev (argv);
  return NULL;
}

void
rook_hook_check (RookConfigGroup *group, GPtrArray *mistakes)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) argv = parse_command (group, &error);

  if (argv == NULL)
    rook_config_add_mistake (mistakes, group, "command", ROOK_CONFIG_ERROR_VALUE, "%s", error->message);
  if (!rook_schedule_is_job_name (rook_config_group_get_instance (group)))
    rook_config_add_mistake (mistakes, group, NULL, ROOK_CONFIG_ERROR_VALUE,
                             "the name of a job that runs a command is made of lower case letters, digits and -");
  if (rook_config_group_get_string (group, "when") == NULL)
    rook_config_add_mistake (mistakes, group, NULL, ROOK_CONFIG_ERROR_MISSING, "a command needs its time: write when=");
}

void
rook_hook_warn (RookConfigGroup *group, GPtrArray *warnings)
{
  g_auto (GStrv) argv = parse_command (group, NULL);
  g_autofree char *quoted = argv != NULL ? rook_config_quote (argv[0]) : NULL;
  struct stat info;

  if (argv == NULL)
    return;
  if (stat (argv[0], &info) != 0)
    rook_config_add_mistake (warnings, group, "command", ROOK_CONFIG_ERROR_VALUE, "%s: %s", quoted, g_strerror (errno));
  else if (!S_ISREG (info.st_mode) || access (argv[0], X_OK) != 0)
    rook_config_add_mistake (warnings, group, "command", ROOK_CONFIG_ERROR_VALUE, "%s is no program that can be run",
                             quoted);
}

void
rook_hook_configure (RookHook *self, RookConfigGroup *group)
{
  g_strfreev (self->argv);
  self->argv = parse_command (group, NULL);
  g_assert (self->argv != NULL);
  self->deadline_ms = rook_config_group_get_duration_ms (group, "deadline");
  g_free (self->summary);
  self->summary = g_strconcat ("Runs ", rook_hook_get_command (group), NULL);
  self->job.summary = self->summary;
}

/* --- a run ----------------------------------------------------------------------------------------------------------- */

/* Nothing of the server's own environment but the time zone. */
static char **
make_environment (RookHook *self)
{
  g_autofree char *state = rook_server_dup_state_directory (self->server);
  g_autofree char *run = rook_server_dup_run_directory (self->server);
  g_autofree char *config =
      self->server->config_path != NULL ? g_canonicalize_filename (self->server->config_path, NULL) : NULL;
  const char *zone = g_getenv ("TZ");
  char **environment = NULL;

  environment =
      g_environ_setenv (environment, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", TRUE);
  environment = g_environ_setenv (environment, "LANG", "C.UTF-8", TRUE);
  if (zone != NULL)
    environment = g_environ_setenv (environment, "TZ", zone, TRUE);
  environment = g_environ_setenv (environment, "ROOKERY_JOB", self->name, TRUE);
  if (config != NULL)
    environment = g_environ_setenv (environment, "ROOKERY_CONFIG", config, TRUE);
  environment = g_environ_setenv (environment, "ROOKERY_STATE_DIRECTORY", state, TRUE);
  return g_environ_setenv (environment, "ROOKERY_RUN_DIRECTORY", run, TRUE);
}

static gboolean
may_log (RookHook *self)
{
  gint64 now_us = g_get_monotonic_time ();

  self->may_log += (double) (now_us - self->looked_us) * LINES_A_SECOND / G_USEC_PER_SEC;
  self->may_log = MIN (self->may_log, LINES_AT_ONCE);
  self->looked_us = now_us;
  if (self->may_log < 1)
    return FALSE;
  self->may_log -= 1;
  return TRUE;
}

static void
on_line (gpointer data, const char *text)
{
  RookHook *self = data;

  g_string_assign (self->last_line, text);
  if (may_log (self))
    rook_log_event (rook_server_get_log (self->server), ROOK_LOG_INFO, "job.output", "job", self->name, "message", text,
                    NULL);
  else
    self->n_dropped++;
}

static char *
describe_status (int status)
{
  if (WIFEXITED (status))
    return g_strdup_printf ("exit status %d", WEXITSTATUS (status));
  return g_strdup_printf ("ended by signal %d (%s)", WTERMSIG (status), g_strsignal (WTERMSIG (status)));
}

static void
tell_dropped (RookHook *self)
{
  g_autofree char *lines = g_strdup_printf ("%" G_GUINT64_FORMAT, self->n_dropped);

  if (self->n_dropped > 0)
    rook_log_event (rook_server_get_log (self->server), ROOK_LOG_WARNING, "job.output-dropped", "job", self->name,
                    "lines", lines, NULL);
}

static void
on_ended (gpointer data, const GError *error, int status)
{
  RookHook *self = data;
  RookJobRun *run = g_steal_pointer (&self->run);
  g_autofree char *how = describe_status (status);
  g_autofree char *limit = rook_config_format_duration (self->deadline_ms);
  g_autoptr (GError) problem = NULL;

  self->command = NULL;
  rook_timer_stop (&self->deadline);
  tell_dropped (self);
  if (error != NULL)
    problem = g_error_copy (error);
  else if (self->late)
    g_set_error (&problem, G_FILE_ERROR, G_FILE_ERROR_FAILED, "stopped at its deadline of %s: %s", limit, how);
  else if (self->stopped)
    g_set_error (&problem, G_FILE_ERROR, G_FILE_ERROR_FAILED, "stopped before its end: %s", how);
  else if (status != 0)
    g_set_error (&problem, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s%s%s", how, self->last_line->len > 0 ? ": " : "",
                 self->last_line->str);
  rook_job_run_done (run, how, problem);
}

static const RookCommandEvents events = { .line = on_line, .ended = on_ended };

static void
on_deadline (gpointer data)
{
  RookHook *self = data;

  self->late = TRUE;
  rook_command_stop (self->command);
}

static void
run_hook (gpointer data, RookJobRun *run)
{
  RookHook *self = data;
  g_auto (GStrv) environment = make_environment (self);

  g_string_truncate (self->last_line, 0);
  self->late = self->stopped = FALSE;
  self->n_dropped = 0;
  self->may_log = LINES_AT_ONCE;
  self->looked_us = g_get_monotonic_time ();
  self->run = run;
  self->command = rook_command_start (rook_server_get_pool (self->server), (const char *const *) self->argv,
                                      (const char *const *) environment, &events, self);
  if (self->command != NULL)
    rook_timer_start (&self->deadline, (guint) self->deadline_ms);
  else
    {
      g_autoptr (GError) error = g_error_new (G_FILE_ERROR, G_FILE_ERROR_AGAIN, "too much waits for a thread");

      on_ended (self, error, 0);
    }
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

RookHook *
rook_hook_new (RookServer *server, RookConfigGroup *group)
{
  RookHook *self = g_new0 (RookHook, 1);

  self->server = server;
  self->last_line = g_string_new (NULL);
  self->name = g_strdup (rook_config_group_get_instance (group));
  self->job = (RookJob){ .struct_size = sizeof (RookJob), .name = self->name, .when = "never", .run = run_hook };
  rook_timer_init (&self->deadline, rook_loop_get_main_worker (rook_server_get_loop (server)), on_deadline, self);
  rook_hook_configure (self, group);
  return self;
}

const RookJob *
rook_hook_get_job (RookHook *self)
{
  return &self->job;
}

gboolean
rook_hook_is_running (RookHook *self)
{
  return self->command != NULL;
}

void
rook_hook_stop (RookHook *self)
{
  if (self->command == NULL)
    return;
  self->stopped = TRUE;
  rook_command_stop (self->command);
}

void
rook_hook_free (RookHook *self)
{
  g_autoptr (GError) error = g_error_new (G_FILE_ERROR, G_FILE_ERROR_FAILED, "stopped before its end");

  rook_timer_stop (&self->deadline);
  g_clear_pointer (&self->command, rook_command_abandon);
  if (self->run != NULL)
    rook_job_run_done (self->run, NULL, error);
  g_strfreev (self->argv);
  g_free (self->name);
  g_free (self->summary);
  g_string_free (self->last_line, TRUE);
  g_free (self);
}
