/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs: one job being done. The job's own function reports and ends it from any thread; the schedule hears of the end on
 * the main worker, once, unless the job has gone meanwhile.
 */
#include "schedule/schedule-private.h"

#include "rookery/thread.h"

struct RookJobRun {
  RookWorker *worker;    /* (unowned) the main one */
  RookJobEntry *entry;   /* (nullable) (unowned) NULL: gone; main worker only */
  RookPlugin *plugin;    /* (nullable) (owned) a reference */
  gint cancelled, ended; /* atomic */
  RookMutex lock;        /* guards what follows */
  double percent;
  char *text;       /* (owned) (nullable) */
  GPtrArray *calls; /* (element-type RookControlCall) (unowned) to be answered at the end */
};

typedef struct {
  RookJobRun *run;
  char *summary, *problem; /* (owned) (nullable) */
} End;

RookJobRun *
rook_job_run_new (RookJobEntry *entry, RookWorker *worker)
{
  RookJobRun *run = g_new0 (RookJobRun, 1);

  run->worker = worker;
  run->entry = entry;
  run->plugin = entry->plugin != NULL ? rook_plugin_ref (entry->plugin) : NULL;
  rook_mutex_init (&run->lock);
  run->calls = g_ptr_array_new ();
  return run;
}

static void
run_free (RookJobRun *run)
{
  if (run->plugin != NULL)
    rook_plugin_unref (run->plugin);
  g_ptr_array_unref (run->calls);
  rook_mutex_clear (&run->lock);
  g_free (run->text);
  g_free (run);
}

void
rook_job_run_cancel (RookJobRun *run)
{
  g_atomic_int_set (&run->cancelled, TRUE);
}

gboolean
rook_job_run_is_cancelled (RookJobRun *run)
{
  return g_atomic_int_get (&run->cancelled);
}

static GPtrArray *
take_calls (RookJobRun *run)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&run->lock);
  GPtrArray *calls = run->calls;

  run->calls = g_ptr_array_new ();
  return calls;
}

void
rook_job_run_detach (RookJobRun *run)
{
  g_autoptr (GPtrArray) calls = take_calls (run);

  run->entry = NULL;
  rook_job_run_cancel (run);
  for (guint i = 0; i < calls->len; i++)
    rook_control_call_fail (calls->pdata[i], "the job has gone while it ran");
}

void
rook_job_run_follow (RookJobRun *run, RookControlCall *call)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&run->lock);

  g_ptr_array_add (run->calls, call);
}

void
rook_job_run_get_progress (RookJobRun *run, double *out_percent, char **out_text)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&run->lock);

  *out_percent = run->percent;
  *out_text = g_strdup (run->text);
}

void
rook_job_run_progress (RookJobRun *run, double percent, const char *text)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&run->lock);

  run->percent = CLAMP (percent, 0.0, 100.0);
  g_free (run->text);
  run->text = g_strdup (text);
  for (guint i = 0; i < run->calls->len; i++)
    rook_control_call_progress (run->calls->pdata[i], percent, text != NULL ? text : "");
}

/* On the main worker. */
static void
deliver_end (gpointer data)
{
  End *end = data;
  g_autoptr (GPtrArray) calls = take_calls (end->run);

  if (end->run->entry != NULL)
    rook_schedule_finish (end->run->entry, end->summary, end->problem);
  for (guint i = 0; i < calls->len; i++)
    if (end->problem != NULL)
      rook_control_call_fail (calls->pdata[i], "%s", end->problem);
    else
      rook_control_call_done (calls->pdata[i], end->summary != NULL ? g_variant_new_string (end->summary) : NULL);
}

static void
end_free (gpointer data)
{
  End *end = data;

  run_free (end->run);
  g_free (end->summary);
  g_free (end->problem);
  g_free (end);
}

void
rook_job_run_done (RookJobRun *run, const char *summary, const GError *error)
{
  gboolean first = g_atomic_int_compare_and_exchange (&run->ended, FALSE, TRUE);
  End *end;

  g_return_if_fail (first);
  end = g_new0 (End, 1);
  end->run = run;
  end->summary = g_strdup (summary);
  end->problem = error != NULL ? g_strdup (error->message) : NULL;
  rook_worker_invoke (run->worker, deliver_end, end, end_free);
}
