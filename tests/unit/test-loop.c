/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Workers: invocations, watches, timers, on real threads.
 */
#include "loop/loop-private.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/test-calm.h"

/* --- helpers: run something on a worker and wait for it ---------------------------------------------------------- */

typedef struct {
  RookMutex lock;
  RookCond cond;
  RookFunc func;
  gpointer data;
  gboolean done;
} Call;

static void
call_run (gpointer data)
{
  Call *call = data;

  call->func (call->data);
  rook_mutex_lock (&call->lock);
  call->done = TRUE;
  rook_cond_signal (&call->cond);
  rook_mutex_unlock (&call->lock);
}

static void
run_on (RookWorker *worker, RookFunc func, gpointer data)
{
  Call call = { .func = func, .data = data };

  rook_mutex_init (&call.lock);
  rook_cond_init (&call.cond);
  rook_worker_invoke (worker, call_run, &call, NULL);
  rook_mutex_lock (&call.lock);
  while (!call.done)
    rook_cond_wait (&call.cond, &call.lock);
  rook_mutex_unlock (&call.lock);
  rook_cond_clear (&call.cond);
  rook_mutex_clear (&call.lock);
}

static void
do_nothing (G_GNUC_UNUSED gpointer data)
{
}

/* --- workers ------------------------------------------------------------------------------------------------------ */

static void
test_one_worker_a_core (void)
{
  g_autoptr (RookLoop) loop = rook_loop_new (0);
  cpu_set_t set;

  g_assert_cmpint (sched_getaffinity (0, sizeof set, &set), ==, 0);
  g_assert_cmpuint (rook_loop_get_n_workers (loop), ==, CPU_COUNT (&set));
}

static void
check_current (gpointer data)
{
  g_assert_true (rook_worker_current () == data);
  g_assert_true (g_main_context_get_thread_default () == rook_worker_get_context (data));
}

static void
test_current_is_the_calling_threads (void)
{
  g_autoptr (RookLoop) loop = rook_loop_new (3);

  g_assert_true (rook_worker_current () == rook_loop_get_main_worker (loop));
  g_assert_cmpuint (rook_worker_get_index (rook_loop_get_main_worker (loop)), ==, 3);
  for (guint i = 0; i < 3; i++)
    {
      RookWorker *worker = rook_loop_get_worker (loop, i);

      g_assert_cmpuint (rook_worker_get_index (worker), ==, i);
      g_assert_true (rook_worker_get_loop (worker) == loop);
      run_on (worker, check_current, worker);
    }
}

static void
quit_loop (gpointer data)
{
  rook_loop_quit (data);
}

static void
test_quit_from_any_thread (void)
{
  g_autoptr (RookLoop) loop = rook_loop_new (1);

  rook_worker_invoke (rook_loop_get_worker (loop, 0), quit_loop, loop, NULL);
  rook_loop_run (loop); /* returns */
  rook_loop_quit (loop);
  rook_loop_run (loop); /* and again */
}

/* --- invoke ------------------------------------------------------------------------------------------------------- */

typedef struct {
  guint thread;
  guint number;
  guint *expected; /* a counter a thread; touched on the worker only */
} Numbered;

static void
check_number (gpointer data)
{
  Numbered *numbered = data;

  g_assert_cmpuint (numbered->expected[numbered->thread]++, ==, numbered->number);
}

typedef struct {
  RookWorker *worker;
  guint thread;
  guint *expected;
} Caller;

static void *
call_in_order (void *data)
{
  Caller *caller = data;

  for (guint i = 0; i < 2000; i++)
    {
      Numbered *numbered = g_new (Numbered, 1);

      *numbered = (Numbered){ caller->thread, i, caller->expected };
      rook_worker_invoke (caller->worker, check_number, numbered, g_free);
    }
  return NULL;
}

static void
test_invoked_in_the_order_made (void)
{
  g_autoptr (RookLoop) loop = rook_loop_new (1);
  RookWorker *worker = rook_loop_get_worker (loop, 0);
  guint expected[4] = { 0 };
  Caller callers[4];
  pthread_t threads[4];

  for (guint i = 0; i < 4; i++)
    {
      callers[i] = (Caller){ worker, i, expected };
      g_assert_cmpint (pthread_create (&threads[i], NULL, call_in_order, &callers[i]), ==, 0);
    }
  for (guint i = 0; i < 4; i++)
    pthread_join (threads[i], NULL);
  run_on (worker, do_nothing, NULL);
  for (guint i = 0; i < 4; i++)
    g_assert_cmpuint (expected[i], ==, 2000);
}

typedef struct {
  gboolean inside;
  gboolean called;
} Nested;

static void
nested_inner (gpointer data)
{
  Nested *nested = data;

  g_assert_false (nested->inside);
  nested->called = TRUE;
}

static void
nested_outer (gpointer data)
{
  Nested *nested = data;

  nested->inside = TRUE;
  rook_worker_invoke (rook_worker_current (), nested_inner, nested, NULL);
  g_assert_false (nested->called);
  nested->inside = FALSE;
}

static void
test_invoked_never_inside_the_call (void)
{
  g_autoptr (RookLoop) loop = rook_loop_new (1);
  Nested nested = { 0 };

  run_on (rook_loop_get_worker (loop, 0), nested_outer, &nested);
  run_on (rook_loop_get_worker (loop, 0), do_nothing, NULL);
  g_assert_true (nested.called);
}

static void
increment (gpointer data)
{
  (*(guint *) data)++;
}

static void
test_free_runs_what_was_invoked (void)
{
  RookLoop *loop = rook_loop_new (2);
  guint n_calls = 0, n_main = 0;

  for (guint i = 0; i < 1000; i++)
    rook_worker_invoke (rook_loop_get_worker (loop, 0), increment, &n_calls, NULL);
  rook_worker_invoke (rook_loop_get_main_worker (loop), increment, &n_main, NULL);
  rook_loop_free (loop);
  g_assert_cmpuint (n_calls, ==, 1000);
  g_assert_cmpuint (n_main, ==, 1);
}

static guint
count_threads (void)
{
  g_autoptr (GDir) tasks = g_dir_open ("/proc/self/task", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (tasks) != NULL)
    n++;
  return n;
}

static void
count_run (RookPoolOutcome outcome, gpointer n_runs)
{
  g_assert_cmpint (outcome, ==, ROOK_POOL_RAN);
  increment (n_runs);
}

/* What it is made for: to be root meanwhile, which all threads would be. */
static void
test_without_threads (void)
{
  guint before = count_threads (), n_calls = 0;
  RookLoop *loop = rook_loop_new_without_threads (2);
  RookPool *pool = rook_pool_new (loop, "test", 2, 10);
  guint n_runs = 0;

  rook_worker_invoke (rook_loop_get_worker (loop, 0), increment, &n_calls, NULL);
  g_assert_true (rook_pool_run (pool, 0, do_nothing, count_run, &n_runs));
  g_assert_cmpuint (count_threads (), ==, before);
  g_assert_cmpuint (n_calls, ==, 0);
  rook_loop_start (loop);
  g_assert_cmpuint (count_threads (), ==, before + 2);
  rook_loop_wait_for_workers (loop);
  g_assert_cmpuint (n_calls, ==, 1);
  g_assert_cmpuint (rook_pool_get_queued (pool), ==, 1);
  rook_pool_start (pool);
  while (n_runs == 0)
    g_main_context_iteration (NULL, TRUE);
  rook_pool_free (pool);
  rook_loop_free (loop);
  loop = rook_loop_new_without_threads (2);
  rook_worker_invoke (rook_loop_get_worker (loop, 1), increment, &n_calls, NULL);
  rook_loop_wait_for_workers (loop);
  g_assert_cmpuint (n_calls, ==, 2);
  rook_loop_free (loop);
}

static void
invoke_again (gpointer data)
{
  rook_worker_invoke (rook_worker_current (), do_nothing, data, increment);
}

static void
test_destroy_if_the_worker_ends_first (void)
{
  RookLoop *loop = rook_loop_new (1);
  guint n_destroyed = 0;

  rook_worker_invoke (rook_loop_get_main_worker (loop), invoke_again, &n_destroyed, NULL);
  rook_loop_free (loop); /* the main worker's last round runs the first, and destroys what that invoked */
  g_assert_cmpuint (n_destroyed, ==, 1);
}

/* --- watches ------------------------------------------------------------------------------------------------------ */

typedef struct {
  RookLoop *loop;
  int fds[2];
  RookWatch *watch, *other;
  RookIo ready;
  guint n_calls;
} Pair;

static void
pair_ready (RookIo ready, gpointer data)
{
  Pair *pair = data;
  char byte;

  pair->n_calls++;
  pair->ready |= ready;
  if (ready & ROOK_IO_READ)
    g_assert_cmpint (read (pair->fds[0], &byte, 1), >=, 0);
  rook_watch_set_events (pair->watch, ROOK_IO_NONE);
  rook_loop_quit (pair->loop);
}

static void
pair_open (Pair *pair)
{
  *pair = (Pair){ .loop = rook_loop_new (1) };
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fds), ==, 0);
}

static void
pair_close (Pair *pair)
{
  rook_loop_free (pair->loop);
  close (pair->fds[0]);
  if (pair->fds[1] >= 0)
    close (pair->fds[1]);
}

static void
test_watch_says_what_is_ready (void)
{
  Pair pair;

  pair_open (&pair);
  pair.watch = rook_watch_new (rook_worker_current (), pair.fds[0], ROOK_IO_WRITE, pair_ready, &pair);
  rook_loop_run (pair.loop);
  g_assert_cmpint (pair.ready, ==, ROOK_IO_WRITE);
  pair.ready = 0;
  rook_watch_set_events (pair.watch, ROOK_IO_READ);
  g_assert_cmpint (write (pair.fds[1], "x", 1), ==, 1);
  rook_loop_run (pair.loop);
  g_assert_cmpint (pair.ready, ==, ROOK_IO_READ);
  rook_watch_free (pair.watch);
  pair_close (&pair);
}

static void
test_watch_hangup_unasked_but_not_to_none (void)
{
  Pair pair;

  pair_open (&pair);
  pair.watch = rook_watch_new (rook_worker_current (), pair.fds[0], ROOK_IO_NONE, pair_ready, &pair);
  close (pair.fds[1]);
  pair.fds[1] = -1;
  for (guint i = 0; i < 3; i++)
    g_main_context_iteration (NULL, FALSE);
  g_assert_cmpuint (pair.n_calls, ==, 0);
  rook_watch_set_events (pair.watch, ROOK_IO_WRITE);
  rook_loop_run (pair.loop);
  g_assert_true (pair.ready & ROOK_IO_HANGUP);
  rook_watch_free (pair.watch);
  pair_close (&pair);
}

static void
free_both (G_GNUC_UNUSED RookIo ready, gpointer data)
{
  Pair *pair = data;

  pair->n_calls++;
  rook_watch_free (pair->watch);
  rook_watch_free (pair->other);
  rook_loop_quit (pair->loop);
}

static void
test_watch_freed_by_another_is_not_called (void)
{
  Pair pair;

  pair_open (&pair);
  pair.watch = rook_watch_new (rook_worker_current (), pair.fds[0], ROOK_IO_WRITE, free_both, &pair);
  pair.other = rook_watch_new (rook_worker_current (), pair.fds[1], ROOK_IO_WRITE, free_both, &pair);
  rook_loop_run (pair.loop);
  g_main_context_iteration (NULL, FALSE);
  g_assert_cmpuint (pair.n_calls, ==, 1);
  pair_close (&pair);
}

static void
never_ready (G_GNUC_UNUSED RookIo ready, G_GNUC_UNUSED gpointer data)
{
  g_assert_not_reached ();
}

typedef struct {
  GArray *fds;
  GPtrArray *watches;
} Crowd;

static void
watch_crowd (gpointer data)
{
  Crowd *crowd = data;

  for (guint i = 0; i < crowd->fds->len; i++)
    g_ptr_array_add (crowd->watches, rook_watch_new (rook_worker_current (), g_array_index (crowd->fds, int, i),
                                                     ROOK_IO_READ, never_ready, NULL));
}

static void
unwatch_crowd (gpointer data)
{
  Crowd *crowd = data;

  for (guint i = 0; i < crowd->watches->len; i++)
    rook_watch_free (crowd->watches->pdata[i]);
}

static void
test_idle_watches_wake_nobody (void)
{
  g_autoptr (RookLoop) loop = rook_loop_new (1);
  g_autoptr (GArray) fds = g_array_new (FALSE, FALSE, sizeof (int));
  g_autoptr (GPtrArray) watches = g_ptr_array_new ();
  Crowd crowd = { fds, watches };
  RookWorker *worker = rook_loop_get_worker (loop, 0);
  guint64 wakeups;

  for (guint i = 0; i < 200; i++)
    {
      int pair[2];

      g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
      g_array_append_vals (fds, pair, 2);
    }
  run_on (worker, watch_crowd, &crowd);
  run_on (worker, do_nothing, NULL);
  wakeups = rook_worker_get_wakeups (worker);
  g_usleep (200000);
  /* One more may be left of run_on(), if the machine is busy. */
  g_assert_cmpuint (rook_worker_get_wakeups (worker), <=, wakeups + 1);
  run_on (worker, do_nothing, NULL);
  g_assert_cmpuint (rook_worker_get_wakeups (worker), <=, wakeups + 2);
  run_on (worker, unwatch_crowd, &crowd);
  for (guint i = 0; i < fds->len; i++)
    close (g_array_index (fds, int, i));
}

static void
test_quietest_has_the_fewest_watches (void)
{
  g_autoptr (RookLoop) loop = rook_loop_new (2);
  g_autoptr (GArray) fds = g_array_new (FALSE, FALSE, sizeof (int));
  g_autoptr (GPtrArray) watches = g_ptr_array_new ();
  Crowd crowd = { fds, watches };
  int pair[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
  g_array_append_vals (fds, pair, 2);
  run_on (rook_loop_get_worker (loop, 0), watch_crowd, &crowd);
  g_assert_true (rook_loop_get_quietest_worker (loop) == rook_loop_get_worker (loop, 1));
  run_on (rook_loop_get_worker (loop, 0), unwatch_crowd, &crowd);
  g_assert_true (rook_loop_get_quietest_worker (loop) == rook_loop_get_worker (loop, 0));
  close (pair[0]);
  close (pair[1]);
}

/* --- timers -------------------------------------------------------------------------------------------------------- */

typedef struct {
  RookLoop *loop;
  RookTimer timer;
  gint64 rang_us;
  guint n_calls;
} Alarm;

static void
alarm_rings (gpointer data)
{
  Alarm *alarm = data;

  g_assert_false (rook_timer_is_running (&alarm->timer));
  alarm->rang_us = g_get_monotonic_time ();
  alarm->n_calls++;
  rook_loop_quit (alarm->loop);
}

static void
test_timer_rings_once (void)
{
  Alarm alarm = { .loop = rook_loop_new (1) };
  gint64 started_us;

  rook_timer_init (&alarm.timer, rook_worker_current (), alarm_rings, &alarm);
  rook_timer_start (&alarm.timer, 5000);
  started_us = g_get_monotonic_time ();
  rook_timer_start (&alarm.timer, 50); /* anew */
  g_assert_true (rook_timer_is_running (&alarm.timer));
  rook_loop_run (alarm.loop);
  g_assert_cmpint (alarm.rang_us - started_us, >=, 50000);
  g_usleep (60000);
  g_main_context_iteration (NULL, FALSE);
  g_assert_cmpuint (alarm.n_calls, ==, 1);
  rook_timer_start (&alarm.timer, 1);
  rook_timer_stop (&alarm.timer);
  g_usleep (30000);
  g_main_context_iteration (NULL, FALSE);
  g_assert_cmpuint (alarm.n_calls, ==, 1);
  rook_loop_free (alarm.loop);
}

static void
test_now_is_of_this_wakeup (void)
{
  g_autoptr (RookLoop) loop G_GNUC_UNUSED = rook_loop_new (1);
  gint64 before_ms = g_get_monotonic_time () / 1000;

  rook_worker_invoke (rook_worker_current (), do_nothing, NULL, NULL);
  g_main_context_iteration (NULL, FALSE);
  g_assert_cmpint (rook_worker_get_now_ms (rook_worker_current ()), >=, before_ms);
  g_assert_cmpint (rook_worker_get_now_ms (rook_worker_current ()), <=, g_get_monotonic_time () / 1000);
}

/* --- locks ----------------------------------------------------------------------------------------------------------- */

static void
test_cond_waits_until (void)
{
  RookMutex lock;
  RookCond cond;
  gint64 end_us = g_get_monotonic_time () + 30000;

  rook_mutex_init (&lock);
  rook_cond_init (&cond);
  {
    g_autoptr (RookLocker) locker = rook_locker_new (&lock);

    while (rook_cond_wait_until (&cond, &lock, end_us))
      continue;
    g_assert_cmpint (g_get_monotonic_time (), >=, end_us);
  }
  rook_mutex_lock (&lock); /* the locker let it go */
  rook_mutex_unlock (&lock);
  rook_cond_clear (&cond);
  rook_mutex_clear (&lock);
}

static void
test_lock_taken_twice_aborts (void)
{
  if (g_test_subprocess ())
    {
      struct rlimit no_core = { 0, 0 };
      RookMutex lock;

      setrlimit (RLIMIT_CORE, &no_core);
      rook_mutex_init (&lock);
      rook_mutex_lock (&lock);
      rook_mutex_lock (&lock);
      return;
    }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_failed ();
  g_test_trap_assert_stderr ("*pthread_mutex_lock*");
}

/* --- what can't be had, and the caller's mistakes ----------------------------------------------------------------- */

static void
test_bad_descriptor_aborts (void)
{
  if (g_test_subprocess ())
    {
      struct rlimit no_core = { 0, 0 };
      g_autoptr (RookLoop) loop = rook_loop_new (1);

      setrlimit (RLIMIT_CORE, &no_core);
      rook_watch_new (rook_loop_get_main_worker (loop), 9999, ROOK_IO_READ, NULL, NULL);
      return;
    }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_failed ();
}

static void
test_no_threads_aborts (void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  g_test_skip ("sanitizers need room of their own");
  return;
#endif
  if (g_test_subprocess ())
    {
      struct rlimit no_core = { 0, 0 }, little = { 64 << 20, 64 << 20 };

      setrlimit (RLIMIT_CORE, &no_core);
      setrlimit (RLIMIT_AS, &little); /* a thread's stack is 8 MiB */
      rook_loop_free (rook_loop_new (1000));
      return;
    }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_failed ();
}

typedef struct {
  RookLoop *loop;
  guint n_calls;
} Rings;

static void
ring (gpointer data)
{
  ((Rings *) data)->n_calls++;
  rook_loop_quit (((Rings *) data)->loop);
}

static void
test_timer_started_anew (void)
{
  g_autoptr (RookLoop) loop = rook_loop_new (1);
  Rings moved = { loop, 0 }, other = { loop, 0 };
  RookTimer timer, later;

  rook_timer_init (&timer, rook_loop_get_main_worker (loop), ring, &moved);
  rook_timer_init (&later, rook_loop_get_main_worker (loop), ring, &other);
  rook_timer_start (&timer, 3600000);
  rook_timer_start (&timer, 1); /* sooner */
  rook_loop_run (loop);
  g_assert_cmpuint (moved.n_calls, ==, 1);
  rook_timer_start (&timer, 1);
  rook_timer_start (&timer, 3600000); /* later */
  rook_timer_start (&later, 60);
  rook_loop_run (loop);
  g_assert_cmpuint (other.n_calls, ==, 1);
  g_assert_cmpuint (moved.n_calls, ==, 1);
  g_assert_true (rook_timer_is_running (&timer));
  rook_timer_stop (&timer);
}

#define N_TIMERS 1000

static void
start_and_stop (gpointer data)
{
  RookTimer *timers = data;

  for (guint i = 0; i < N_TIMERS; i++)
    rook_timer_start (&timers[i], (i + 1) * 997);
  for (guint i = 0; i < N_TIMERS; i++)
    rook_timer_start (&timers[i], (i % 7) * 86400000 + 1);
  for (guint i = 0; i < N_TIMERS; i += 2)
    rook_timer_stop (&timers[i]);
}

static void
test_timer_takes_nothing (void)
{
  g_autoptr (RookLoop) loop = rook_loop_new (1);
  RookTimer *timers = g_new0 (RookTimer, N_TIMERS);

  for (guint i = 0; i < N_TIMERS; i++)
    rook_timer_init (&timers[i], rook_loop_get_main_worker (loop), do_nothing, NULL);
  g_assert_cmpuint (test_heap_taken (start_and_stop, timers), ==, 0);
  g_assert_true (test_is_calm (start_and_stop, timers));
  for (guint i = 0; i < N_TIMERS; i++)
    rook_timer_stop (&timers[i]);
  g_free (timers);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/loop/new/one-worker-a-core-by-default", test_one_worker_a_core);
  g_test_add_func ("/loop/new/without-threads-until-started", test_without_threads);
  g_test_add_func ("/loop/current/is-the-calling-threads-worker", test_current_is_the_calling_threads);
  g_test_add_func ("/loop/quit/from-any-thread", test_quit_from_any_thread);
  g_test_add_func ("/loop/invoke/in-the-order-made", test_invoked_in_the_order_made);
  g_test_add_func ("/loop/invoke/never-inside-the-call", test_invoked_never_inside_the_call);
  g_test_add_func ("/loop/invoke/destroyed-if-the-worker-ends-first", test_destroy_if_the_worker_ends_first);
  g_test_add_func ("/loop/free/runs-what-was-invoked-before", test_free_runs_what_was_invoked);
  g_test_add_func ("/loop/watch/says-what-is-ready", test_watch_says_what_is_ready);
  g_test_add_func ("/loop/watch/hangup-unasked-but-not-to-none", test_watch_hangup_unasked_but_not_to_none);
  g_test_add_func ("/loop/watch/freed-by-another-is-never-called", test_watch_freed_by_another_is_not_called);
  g_test_add_func ("/loop/watch/idle-ones-wake-nobody", test_idle_watches_wake_nobody);
  g_test_add_func ("/loop/quietest/has-the-fewest-watches", test_quietest_has_the_fewest_watches);
  g_test_add_func ("/loop/timer/rings-once-not-before-and-not-when-stopped", test_timer_rings_once);
  g_test_add_func ("/loop/now/is-of-this-wake-up", test_now_is_of_this_wakeup);
  g_test_add_func ("/loop/timer/running-one-is-started-anew", test_timer_started_anew);
  g_test_add_func ("/loop/timer/a-thousand-take-nothing-from-the-heap", test_timer_takes_nothing);
  g_test_add_func ("/loop/watch/bad-descriptor-aborts", test_bad_descriptor_aborts);
  g_test_add_func ("/loop/new/aborts-without-threads", test_no_threads_aborts);
  g_test_add_func ("/loop/cond/waits-on-the-monotonic-clock", test_cond_waits_until);
  g_test_add_func ("/loop/mutex/taken-twice-aborts", test_lock_taken_twice_aborts);
  return g_test_run ();
}
