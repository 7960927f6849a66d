/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The schedule: jobs, one timer for the next of them, and the file in which their last runs are kept.
 *
 * All of it lives on the main worker; the file is written by the pool, at most one write at a time.
 */
#include "schedule/schedule-private.h"

#include <string.h>

#include "daemon/server-private.h"
#include "rookery/log.h"
#include "rookery/metrics.h"

#define LOOK_MS (3600 * 1000) /* the clock may be set: look at least this often */
#define SPREAD_US (60 * G_USEC_PER_SEC)
#define RETRY_MS 5000

/* A write of the state under way; outlives the schedule if need be. */
typedef struct {
  RookSchedule *schedule; /* (nullable) (unowned) main worker only */
  char *path, *text;
  GError *error;
  RookMutex lock; /* guards finished */
  RookCond cond;
  gboolean finished;
} Save;

struct RookSchedule {
  RookServer *server; /* (unowned) we are part of it */
  RookWorker *worker; /* (unowned) the main one */
  GPtrArray *entries; /* (element-type RookJobEntry) (owned) */
  GHashTable *states; /* name to RookJobState */
  char *path;         /* of the file */
  RookTimer timer;
  Save *save;     /* (nullable) under way */
  gboolean dirty; /* there is something to save */
  gboolean closed;
};

/* --- settings ------------------------------------------------------------------------------------------------------ */

static const RookConfigKey job_keys[] = {
  { .name = "when",
    .type = ROOK_CONFIG_STRING,
    .min = 1,
    .max = 100,
    .help = "When the job runs, if not at its own default: \"every 1h\", \"daily 03:30\", \"weekly sun 04:00\" (local "
            "time) or \"never\". `rookctl job list` shows the jobs there are." },
  { .name = "command",
    .type = ROOK_CONFIG_STRING,
    .min = 1,
    .max = 4096,
    .help = "Makes a job of this name that runs a program, as the server's user: an absolute path and its arguments, "
            "quoted as "
            "for a shell, without being one. See HOOKS in rookeryd(8)." },
  { .name = "deadline",
    .type = ROOK_CONFIG_DURATION,
    .default_value = "1h",
    .min = 1000,
    .max = G_GINT64_CONSTANT (7) * 24 * 3600 * 1000,
    .unit = "s",
    .help = "How long the command may take: then its process group gets SIGTERM, and SIGKILL ten seconds later." },
  { .name = NULL },
};

const RookConfigSchema rook_schedule_schemas[] = {
  { .struct_size = sizeof (RookConfigSchema),
    .name = "job",
    .instances = TRUE,
    .keys = job_keys,
    .help = "When a job of the server's or a plugin's runs; or a job of your own, with a command." },
  { .name = NULL },
};

void
rook_schedule_check (RookConfig *config, GPtrArray *mistakes)
{
  g_autoptr (GPtrArray) groups = rook_config_get_instances (config, "job");

  for (guint i = 0; i < groups->len; i++)
    {
      RookConfigGroup *group = groups->pdata[i];
      const char *when = rook_config_group_get_string (group, "when");
      g_autoptr (GError) error = NULL;

      if (when != NULL && !rook_schedule_parse (when, 0, NULL, &error))
        rook_config_add_mistake (mistakes, group, "when", ROOK_CONFIG_ERROR_VALUE, "%s", error->message);
      if (rook_hook_get_command (group) != NULL)
        rook_hook_check (group, mistakes);
      else if (rook_config_group_is_set (group, "deadline"))
        rook_config_add_mistake (mistakes, group, "deadline", ROOK_CONFIG_ERROR_CONFLICT, "goes only with a command");
    }
}

void
rook_schedule_warn (RookConfig *config, GPtrArray *warnings)
{
  g_autoptr (GPtrArray) groups = rook_config_get_instances (config, "job");

  for (guint i = 0; i < groups->len; i++)
    if (rook_hook_get_command (groups->pdata[i]) != NULL)
      rook_hook_warn (groups->pdata[i], warnings);
}

/* --- the file ------------------------------------------------------------------------------------------------------ */

static void start_save (RookSchedule *schedule);
static void arm (RookSchedule *schedule);

static void
save_free (Save *save)
{
  rook_cond_clear (&save->cond);
  rook_mutex_clear (&save->lock);
  g_clear_error (&save->error);
  g_free (save->path);
  g_free (save->text);
  g_free (save);
}

/* On a pool thread. */
static void
save_work (gpointer data)
{
  Save *save = data;

  rook_schedule_save_state (save->path, save->text, &save->error);
  rook_mutex_lock (&save->lock);
  save->finished = TRUE;
  rook_cond_signal (&save->cond);
  rook_mutex_unlock (&save->lock);
}

static void
save_done (RookPoolOutcome outcome, gpointer data)
{
  Save *save = data;
  RookSchedule *schedule = save->schedule;

  if (schedule != NULL)
    {
      schedule->save = NULL;
      if (save->error != NULL)
        rook_log_message (rook_server_get_log (schedule->server), ROOK_LOG_WARNING, "schedule.not-saved", "%s",
                          save->error->message);
      if (schedule->dirty && outcome == ROOK_POOL_RAN)
        start_save (schedule);
      arm (schedule);
    }
  save_free (save);
}

static void
start_save (RookSchedule *schedule)
{
  Save *save;

  schedule->dirty = TRUE;
  if (schedule->save != NULL)
    return;
  save = g_new0 (Save, 1);
  save->schedule = schedule;
  save->path = g_strdup (schedule->path);
  save->text = rook_schedule_format_state (schedule->states);
  rook_mutex_init (&save->lock);
  rook_cond_init (&save->cond);
  if (rook_pool_run (rook_server_get_pool (schedule->server), 0, save_work, save_done, save))
    {
      schedule->save = save;
      schedule->dirty = FALSE;
    }
  else /* the timer tries again */
    save_free (save);
}

/* At the end: nothing runs any more that could write, and nobody is served. */
static void
finish_saving (RookSchedule *schedule)
{
  g_autofree char *text = rook_schedule_format_state (schedule->states);
  g_autoptr (GError) error = NULL;

  if (schedule->save != NULL)
    {
      Save *save = schedule->save;

      rook_mutex_lock (&save->lock);
      while (!save->finished)
        rook_cond_wait (&save->cond, &save->lock);
      rook_mutex_unlock (&save->lock);
      save->schedule = NULL;
    }
  if (schedule->dirty && !rook_schedule_save_state (schedule->path, text, &error))
    rook_log_message (rook_server_get_log (schedule->server), ROOK_LOG_WARNING, "schedule.not-saved", "%s",
                      error->message);
}

/* --- time ---------------------------------------------------------------------------------------------------------- */

/* Sets the timer to the next job, or to another try at saving. */
static void
arm (RookSchedule *schedule)
{
  gint64 now = g_get_real_time (), next = G_MAXINT64;

  if (schedule->closed)
    return;
  if (schedule->dirty && schedule->save == NULL)
    next = now + RETRY_MS * 1000;
  for (guint i = 0; i < schedule->entries->len; i++)
    {
      const RookJobEntry *entry = schedule->entries->pdata[i];

      if (entry->next_us > 0 && !entry->closed)
        next = MIN (next, entry->next_us);
    }
  if (next == G_MAXINT64)
    rook_timer_stop (&schedule->timer);
  else
    rook_timer_start (&schedule->timer, (guint) CLAMP ((next - now) / 1000 + 1, 1, LOOK_MS));
}

static void
skip (RookJobEntry *entry)
{
  RookServer *server = entry->schedule->server;

  entry->state->n_skipped++;
  entry->schedule->dirty = TRUE;
  rook_counter_add (rook_metrics_counter (rook_server_get_metrics (server), "schedule.skipped", "job", entry->job->name,
                                          "times a job was still running when its time came"),
                    1);
  rook_log_event (rook_server_get_log (server), ROOK_LOG_WARNING, "job.skipped", "job", entry->job->name, NULL);
}

static void
look_at (RookJobEntry *entry, gint64 now)
{
  /* A clock that was set back must not hold an interval up. */
  if (entry->when.kind == ROOK_WHEN_EVERY && entry->next_us > now + entry->when.interval_us + SPREAD_US)
    entry->next_us = now + entry->when.interval_us;
  if (entry->next_us == 0 || entry->next_us > now)
    return;
  entry->next_us = rook_when_next (&entry->when, now);
  if (entry->run != NULL)
    skip (entry);
  else
    rook_schedule_start (entry);
}

static void
on_timer (gpointer data)
{
  RookSchedule *schedule = data;
  g_autoptr (GPtrArray) entries = rook_schedule_list (schedule);
  gint64 now = g_get_real_time ();

  for (guint i = 0; i < entries->len; i++)
    look_at (entries->pdata[i], now);
  if (schedule->dirty)
    start_save (schedule);
  arm (schedule);
}

/* When it comes next, going by what is remembered: one that was due while nobody was there comes soon. */
static void
reckon (RookJobEntry *entry)
{
  gint64 now = g_get_real_time ();
  gint64 last = MIN (MAX (entry->state->start_us, entry->state->since_us), now);

  entry->next_us = rook_when_next (&entry->when, last);
  if (entry->next_us > 0 && entry->next_us <= now)
    entry->next_us = now + (gint64) (g_random_double () * SPREAD_US);
}

/* Takes the time from the configuration, else the job's own. */
static void
configure (RookJobEntry *entry, RookConfig *config)
{
  RookConfigGroup *group = rook_config_get_group (config, "job", entry->job->name);
  const char *text = group != NULL ? rook_config_group_get_string (group, "when") : NULL;

  if (text == NULL)
    text = entry->job->when;
  if (g_strcmp0 (text, entry->when_text) == 0)
    return;
  if (!rook_when_parse (text, &entry->when, NULL))
    g_error ("job %s: %s is no time", entry->job->name, text);
  g_free (entry->when_text);
  entry->when_text = g_strdup (text);
  reckon (entry);
}

typedef struct {
  RookServer *server; /* (unowned) it outlives its workers */
  const char *name;
  gint64 pause_us;
} Haste;

/* On the main worker. */
static void
hasten (gpointer data)
{
  const Haste *haste = data;
  RookSchedule *schedule = rook_server_get_schedule (haste->server);
  RookJobEntry *entry = schedule != NULL ? rook_schedule_find (schedule, haste->name) : NULL;
  gint64 now = g_get_real_time (), at;

  if (entry == NULL || entry->run != NULL || entry->next_us == 0)
    return;
  /* A clock that was set back must not hold it up. */
  at = CLAMP (entry->state->start_us + haste->pause_us, now, now + haste->pause_us);
  entry->next_us = MIN (entry->next_us, at);
  arm (schedule);
}

void
rook_schedule_hasten (RookServer *server, const char *name, guint pause_ms)
{
  Haste *haste = g_new (Haste, 1);

  *haste = (Haste){ server, name, (gint64) pause_ms * 1000 };
  rook_worker_invoke (rook_loop_get_main_worker (rook_server_get_loop (server)), hasten, haste, g_free);
}

/* --- runs ---------------------------------------------------------------------------------------------------------- */

RookJobRun *
rook_schedule_start (RookJobEntry *entry)
{
  RookSchedule *schedule = entry->schedule;

  if (entry->run != NULL || entry->closed || schedule->closed)
    return NULL;
  entry->run = rook_job_run_new (entry, schedule->worker);
  entry->state->start_us = g_get_real_time ();
  entry->state->end_us = 0;
  start_save (schedule);
  rook_log_event (rook_server_get_log (schedule->server), ROOK_LOG_DEBUG, "job.started", "job", entry->job->name, NULL);
  entry->job->run (entry->data, entry->run);
  return entry->run;
}

/* A hook that has gone from the configuration, and runs no more. */
static gboolean
is_retired (const RookJobEntry *entry)
{
  return entry->hook != NULL && entry->closed && entry->run == NULL && !entry->schedule->closed;
}

void
rook_schedule_finish (RookJobEntry *entry, const char *summary, const char *problem)
{
  RookSchedule *schedule = entry->schedule;
  RookMetrics *metrics = rook_server_get_metrics (schedule->server);
  RookJobState *state = entry->state;
  /* A job of the server's that found nothing to do. */
  gboolean idle = problem == NULL && summary == NULL && entry->hook == NULL;
  RookLogLevel level = problem != NULL ? ROOK_LOG_WARNING : idle ? ROOK_LOG_DEBUG : ROOK_LOG_INFO;
  g_autofree char *took = NULL;

  entry->run = NULL;
  state->end_us = g_get_real_time ();
  state->failed = problem != NULL;
  state->n_runs++;
  state->n_failed += problem != NULL;
  g_free (state->summary);
  state->summary = g_strdup (problem != NULL ? problem : summary);
  rook_histogram_add (
      rook_metrics_histogram (metrics, "schedule.run", "job", entry->job->name, "us", "how long jobs take"),
      (guint64) MAX (state->end_us - state->start_us, 0));
  took = g_strdup_printf ("%" G_GINT64_FORMAT, (state->end_us - state->start_us) / 1000);
  rook_log_event (rook_server_get_log (schedule->server), level, problem != NULL ? "job.failed" : "job.done", "job",
                  entry->job->name, "took-ms", took, "message", state->summary, NULL);
  start_save (schedule);
  if (is_retired (entry))
    g_ptr_array_remove (schedule->entries, entry);
  arm (schedule);
}

/* --- jobs ---------------------------------------------------------------------------------------------------------- */

static int
compare_entries (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(RookJobEntry *const *) a)->job->name, (*(RookJobEntry *const *) b)->job->name);
}

GPtrArray *
rook_schedule_list (RookSchedule *schedule)
{
  GPtrArray *list = g_ptr_array_new ();

  for (guint i = 0; i < schedule->entries->len; i++)
    g_ptr_array_add (list, schedule->entries->pdata[i]);
  g_ptr_array_sort (list, compare_entries);
  return list;
}

RookJobEntry *
rook_schedule_find (RookSchedule *schedule, const char *name)
{
  for (guint i = 0; i < schedule->entries->len; i++)
    {
      RookJobEntry *entry = schedule->entries->pdata[i];

      if (strcmp (entry->job->name, name) == 0)
        return entry;
    }
  return NULL;
}

static RookJobState *
find_state (RookSchedule *schedule, const char *name)
{
  RookJobState *state = g_hash_table_lookup (schedule->states, name);

  if (state == NULL)
    {
      state = g_new0 (RookJobState, 1);
      state->since_us = g_get_real_time ();
      g_hash_table_insert (schedule->states, g_strdup (name), state);
      start_save (schedule);
    }
  return state;
}

static RookJobEntry *
add_job (RookSchedule *schedule, const RookJob *job, gpointer data, RookPlugin *plugin)
{
  g_autoptr (RookConfig) config = rook_server_get_config (schedule->server);
  RookJobEntry *entry = g_new0 (RookJobEntry, 1);

  entry->schedule = schedule;
  entry->job = job;
  entry->data = data;
  entry->plugin = plugin;
  entry->state = find_state (schedule, job->name);
  g_ptr_array_add (schedule->entries, entry);
  configure (entry, config);
  arm (schedule);
  return entry;
}

static void
entry_free (gpointer data)
{
  RookJobEntry *entry = data;

  if (entry->run != NULL)
    rook_job_run_detach (entry->run);
  g_clear_pointer (&entry->hook, rook_hook_free);
  g_free (entry->when_text);
  g_free (entry);
}

static void
close_entry (gpointer data)
{
  RookJobEntry *entry = data;

  entry->closed = TRUE;
  if (entry->run != NULL)
    rook_job_run_cancel (entry->run);
  if (entry->hook != NULL)
    rook_hook_stop (entry->hook);
}

gboolean
rook_schedule_is_job_name (const char *name)
{
  return name != NULL && g_ascii_islower (*name) && strlen (name) <= 64
         && name[strspn (name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

void
rook_schedule_add (RookSchedule *schedule, const RookJob *job, gpointer data)
{
  if (!rook_schedule_is_job_name (job->name) || job->run == NULL || rook_schedule_find (schedule, job->name) != NULL)
    g_error ("job \"%s\" is no good name, has no function, or is there already", job->name);
  add_job (schedule, job, data, NULL);
}

static void
undo_job (gpointer data)
{
  RookJobEntry *entry = data;
  RookSchedule *schedule = entry->schedule;

  g_ptr_array_remove (schedule->entries, entry);
  arm (schedule);
}

gboolean
rook_plugin_add_job (RookPlugin *self, const RookJob *job, gpointer data, GError **error)
{
  RookSchedule *schedule = rook_server_get_schedule (rook_plugin_get_server (self));
  g_autofree char *what = g_strconcat ("job ", job->name, NULL);
  RookJobEntry *entry;

  if (!rook_plugin_may_register (self, what, error))
    return FALSE;
  if (!ROOK_STRUCT_HAS (job, RookJob, run) || !rook_schedule_is_job_name (job->name) || job->summary == NULL
      || job->run == NULL || job->when == NULL || !rook_schedule_parse (job->when, 0, NULL, NULL))
    {
      g_set_error (
          error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT,
          "%s: needs struct_size, a name of lower case letters, digits and -, a summary, a time and a function", what);
      return FALSE;
    }
  if (!rook_plugin_check_offer (self, ROOK_OFFER_JOB, job->name, error))
    return FALSE;
  if (rook_schedule_find (schedule, job->name) != NULL)
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT, "%s: is there already", what);
      return FALSE;
    }
  entry = add_job (schedule, job, data, self);
  rook_plugin_on_drain (self, close_entry, NULL, entry);
  rook_plugin_on_undo (self, undo_job, entry);
  return TRUE;
}

/* --- hooks ----------------------------------------------------------------------------------------------------------- */

/* Whether @config still makes a hook of that name. */
static RookConfigGroup *
find_hook_group (RookConfig *config, const char *name)
{
  RookConfigGroup *group = rook_config_get_group (config, "job", name);

  return group != NULL && rook_hook_get_command (group) != NULL ? group : NULL;
}

static void
add_hook (RookSchedule *schedule, RookConfigGroup *group)
{
  RookHook *hook;

  /* One of a service or a plugin of that name is first, as --check-config says. */
  if (rook_hook_get_command (group) == NULL
      || rook_schedule_find (schedule, rook_config_group_get_instance (group)) != NULL)
    return;
  hook = rook_hook_new (schedule->server, group);
  add_job (schedule, rook_hook_get_job (hook), hook, NULL)->hook = hook;
}

void
rook_schedule_add_hooks (RookSchedule *schedule, RookConfig *config)
{
  g_autoptr (GPtrArray) groups = rook_config_get_instances (config, "job");

  for (guint i = 0; i < groups->len; i++)
    add_hook (schedule, groups->pdata[i]);
}

/* A hook that has gone while it runs is asked to end, and goes when it has. One that comes again before that stays. */
static void
renew_hooks (RookSchedule *schedule, RookConfig *config)
{
  g_autoptr (GPtrArray) entries = rook_schedule_list (schedule);

  for (guint i = 0; i < entries->len; i++)
    {
      RookJobEntry *entry = entries->pdata[i];
      RookConfigGroup *group = find_hook_group (config, entry->job->name);

      if (entry->hook == NULL)
        continue;
      if (group != NULL)
        rook_hook_configure (entry->hook, group);
      else
        close_entry (entry);
      entry->closed = group == NULL;
      if (is_retired (entry))
        g_ptr_array_remove (schedule->entries, entry);
    }
  rook_schedule_add_hooks (schedule, config);
}

gboolean
rook_schedule_has_commands (RookSchedule *schedule)
{
  for (guint i = 0; i < schedule->entries->len; i++)
    {
      const RookJobEntry *entry = schedule->entries->pdata[i];

      if (entry->hook != NULL && rook_hook_is_running (entry->hook))
        return TRUE;
    }
  return FALSE;
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

RookSchedule *
rook_schedule_new (RookServer *server)
{
  RookSchedule *schedule = g_new0 (RookSchedule, 1);
  g_autofree char *directory = rook_server_dup_state_directory (server);
  g_autoptr (GError) error = NULL;

  schedule->server = server;
  schedule->worker = rook_loop_get_main_worker (rook_server_get_loop (server));
  schedule->entries = g_ptr_array_new_with_free_func (entry_free);
  schedule->path = g_build_filename (directory, "schedule", NULL);
  schedule->states = rook_schedule_load_state (schedule->path, &error);
  if (error != NULL)
    rook_log_message (rook_server_get_log (server), ROOK_LOG_WARNING, "schedule.not-read", "%s", error->message);
  rook_timer_init (&schedule->timer, schedule->worker, on_timer, schedule);
  rook_schedule_add_verbs (schedule, rook_server_get_control (server));
  return schedule;
}

void
rook_schedule_drain (RookSchedule *schedule)
{
  schedule->closed = TRUE;
  rook_timer_stop (&schedule->timer);
  for (guint i = 0; i < schedule->entries->len; i++)
    close_entry (schedule->entries->pdata[i]);
}

void
rook_schedule_free (RookSchedule *schedule)
{
  rook_schedule_drain (schedule);
  finish_saving (schedule);
  g_ptr_array_unref (schedule->entries);
  g_hash_table_unref (schedule->states);
  g_free (schedule->path);
  g_free (schedule);
}

void
rook_schedule_reconfigure (RookSchedule *schedule, RookConfig *config)
{
  if (!schedule->closed)
    renew_hooks (schedule, config);
  for (guint i = 0; i < schedule->entries->len; i++)
    configure (schedule->entries->pdata[i], config);
  arm (schedule);
}
