/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pool: what blocks, and how its end comes back.
 */
#include "rookery/loop.h"

/* A gate that work waits at until the test opens it: a hung thread at will. */
typedef struct {
  RookMutex lock;
  RookCond cond;
  gboolean open;
  guint n_waiting;
} Gate;

static void
gate_init (Gate *gate)
{
  rook_mutex_init (&gate->lock);
  rook_cond_init (&gate->cond);
  gate->open = FALSE;
  gate->n_waiting = 0;
}

static void
gate_wait (gpointer data)
{
  Gate *gate = data;
  g_autoptr (RookLocker) locker = rook_locker_new (&gate->lock);

  gate->n_waiting++;
  while (!gate->open)
    rook_cond_wait (&gate->cond, &gate->lock);
}

static void
gate_open (Gate *gate)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&gate->lock);

  gate->open = TRUE;
  rook_cond_broadcast (&gate->cond);
}

static void
gate_clear (Gate *gate)
{
  rook_cond_clear (&gate->cond);
  rook_mutex_clear (&gate->lock);
}

typedef struct {
  RookLoop *loop;
  RookPool *pool;
  Gate *gate;        /* (nullable) */
  guint outcomes[3]; /* how often each */
  guint n_expected;
  gint worked; /* atomic */
} Job;

static void
job_work (gpointer data)
{
  Job *job = data;

  g_assert_null (rook_worker_current ());
  g_atomic_int_set (&job->worked, TRUE);
  if (job->gate != NULL)
    gate_wait (job->gate);
}

static void
job_done (RookPoolOutcome outcome, gpointer data)
{
  Job *job = data;

  g_assert_true (rook_worker_current () == rook_loop_get_main_worker (job->loop));
  job->outcomes[outcome]++;
  if (job->outcomes[0] + job->outcomes[1] + job->outcomes[2] == job->n_expected)
    rook_loop_quit (job->loop);
}

static void
test_done_on_the_calling_worker (void)
{
  g_autoptr (RookLoop) loop = rook_loop_new (1);
  g_autoptr (RookPool) pool = rook_pool_new (loop, "test", 2, 10);
  Job job = { .loop = loop, .n_expected = 1 };

  g_assert_true (rook_pool_run (pool, 0, job_work, job_done, &job));
  g_assert_cmpuint (job.outcomes[ROOK_POOL_RAN], ==, 0);
  rook_loop_run (loop);
  g_assert_true (job.worked);
  g_assert_cmpuint (job.outcomes[ROOK_POOL_RAN], ==, 1);
}

static void
wait_for_running (RookPool *pool, guint n)
{
  while (rook_pool_get_running (pool) != n || rook_pool_get_queued (pool) != 0)
    g_usleep (1000);
}

static void
test_full_says_no_at_once (void)
{
  g_autoptr (RookLoop) loop = rook_loop_new (1);
  g_autoptr (RookPool) pool = rook_pool_new (loop, "test", 1, 2);
  Gate gate;
  Job job = { .loop = loop, .gate = &gate, .n_expected = 3 };

  gate_init (&gate);
  g_assert_true (rook_pool_run (pool, 0, job_work, job_done, &job));
  wait_for_running (pool, 1);
  g_assert_true (rook_pool_run (pool, 0, job_work, job_done, &job));
  g_assert_true (rook_pool_run (pool, 0, job_work, job_done, &job));
  g_assert_cmpuint (rook_pool_get_queued (pool), ==, 2);
  g_assert_false (rook_pool_run (pool, 0, job_work, job_done, &job));
  gate_open (&gate);
  rook_loop_run (loop);
  g_assert_cmpuint (job.outcomes[ROOK_POOL_RAN], ==, 3);
  wait_for_running (pool, 0);
  gate_clear (&gate);
}

static void
test_no_queue_still_runs (void)
{
  g_autoptr (RookLoop) loop = rook_loop_new (1);
  g_autoptr (RookPool) pool = rook_pool_new (loop, "test", 2, 0);
  Gate gate;
  Job job = { .loop = loop, .gate = &gate, .n_expected = 2 };

  gate_init (&gate);
  g_assert_true (rook_pool_run (pool, 0, job_work, job_done, &job));
  g_assert_true (rook_pool_run (pool, 0, job_work, job_done, &job));
  g_assert_false (rook_pool_run (pool, 0, job_work, job_done, &job));
  gate_open (&gate);
  rook_loop_run (loop);
  wait_for_running (pool, 0);
  gate_clear (&gate);
}

static void
test_hung_threads_expire_the_queue (void)
{
  g_autoptr (RookLoop) loop = rook_loop_new (1);
  g_autoptr (RookPool) pool = rook_pool_new (loop, "test", 1, 10);
  Gate gate;
  Job hung = { .loop = loop, .gate = &gate, .n_expected = 1 };
  Job waiting = { .loop = loop, .n_expected = 1 };

  gate_init (&gate);
  g_assert_true (rook_pool_run (pool, 0, job_work, job_done, &hung));
  wait_for_running (pool, 1);
  g_assert_true (rook_pool_run (pool, 30, job_work, job_done, &waiting));
  rook_loop_run (loop);
  g_assert_cmpuint (waiting.outcomes[ROOK_POOL_EXPIRED], ==, 1);
  g_assert_false (waiting.worked);
  gate_open (&gate);
  rook_loop_run (loop);
  g_assert_cmpuint (hung.outcomes[ROOK_POOL_RAN], ==, 1);
  gate_clear (&gate);
}

static void
test_deadline_is_of_the_queue_only (void)
{
  g_autoptr (RookLoop) loop = rook_loop_new (1);
  g_autoptr (RookPool) pool = rook_pool_new (loop, "test", 1, 10);
  Gate gate;
  Job job = { .loop = loop, .gate = &gate, .n_expected = 1 };

  gate_init (&gate);
  g_assert_true (rook_pool_run (pool, 5, job_work, job_done, &job));
  wait_for_running (pool, 1);
  g_usleep (50000);
  g_main_context_iteration (NULL, FALSE);
  gate_open (&gate);
  rook_loop_run (loop);
  g_assert_cmpuint (job.outcomes[ROOK_POOL_RAN], ==, 1);
  gate_clear (&gate);
}

static void
open_later (gpointer data)
{
  g_usleep (20000);
  gate_open (data);
}

static void
test_free_waits_and_cancels (void)
{
  g_autoptr (RookLoop) loop = rook_loop_new (1);
  RookPool *pool = rook_pool_new (loop, "test", 1, 10);
  RookPool *opener = rook_pool_new (loop, "opener", 1, 1);
  Gate gate;
  Job running = { .loop = loop, .gate = &gate, .n_expected = 1 };
  Job queued = { .loop = loop, .n_expected = 1 };

  gate_init (&gate);
  g_assert_true (rook_pool_run (pool, 0, job_work, job_done, &running));
  wait_for_running (pool, 1);
  g_assert_true (rook_pool_run (pool, 1000, job_work, job_done, &queued));
  g_assert_true (rook_pool_run (opener, 0, open_later, NULL, &gate));
  rook_pool_free (pool);
  rook_pool_free (opener);
  while (g_main_context_iteration (NULL, FALSE))
    continue;
  g_assert_cmpuint (running.outcomes[ROOK_POOL_RAN], ==, 1);
  g_assert_cmpuint (queued.outcomes[ROOK_POOL_CANCELLED], ==, 1);
  g_assert_false (queued.worked);
  gate_clear (&gate);
}

static void
test_limits_change_live (void)
{
  g_autoptr (RookLoop) loop = rook_loop_new (1);
  g_autoptr (RookPool) pool = rook_pool_new (loop, "test", 1, 0);
  Gate gate;
  Job job = { .loop = loop, .gate = &gate, .n_expected = 2 };

  gate_init (&gate);
  g_assert_true (rook_pool_run (pool, 0, job_work, job_done, &job));
  wait_for_running (pool, 1);
  g_assert_false (rook_pool_run (pool, 0, job_work, job_done, &job));
  rook_pool_set_limits (pool, 2, 0);
  g_assert_true (rook_pool_run (pool, 0, job_work, job_done, &job));
  gate_open (&gate);
  rook_loop_run (loop);
  g_assert_cmpuint (job.outcomes[ROOK_POOL_RAN], ==, 2);
  wait_for_running (pool, 0);
  gate_clear (&gate);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/loop/pool/done-on-the-calling-worker", test_done_on_the_calling_worker);
  g_test_add_func ("/loop/pool/full-says-no-at-once", test_full_says_no_at_once);
  g_test_add_func ("/loop/pool/without-queue-takes-what-threads-can", test_no_queue_still_runs);
  g_test_add_func ("/loop/pool/hung-threads-expire-the-queue", test_hung_threads_expire_the_queue);
  g_test_add_func ("/loop/pool/deadline-is-of-the-queue-only", test_deadline_is_of_the_queue_only);
  g_test_add_func ("/loop/pool/free-waits-for-running-and-cancels-queued", test_free_waits_and_cancels);
  g_test_add_func ("/loop/pool/limits-change-live", test_limits_change_live);
  return g_test_run ();
}
