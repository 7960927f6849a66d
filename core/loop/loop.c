/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loop: makes the workers, and knows them all. It serves nothing itself.
 */
#include "loop/loop-private.h"

#include <sched.h>

struct RookLoop {
  RookWorker *main_worker; /* (owned) */
  GPtrArray *workers;      /* (owned) (element-type RookWorker) */
  gboolean has_threads;    /* set before there are any */
};

static guint
count_cores (void)
{
  cpu_set_t set;

  return sched_getaffinity (0, sizeof set, &set) == 0 ? (guint) CPU_COUNT (&set) : g_get_num_processors ();
}

RookLoop *
rook_loop_new_without_threads (guint n_workers)
{
  RookLoop *loop = g_new0 (RookLoop, 1);

  g_return_val_if_fail (rook_worker_current () == NULL, NULL);
  if (n_workers == 0)
    n_workers = count_cores ();
  loop->workers = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_worker_free);
  loop->main_worker = rook_worker_new (loop, n_workers, g_main_context_default ());
  rook_worker_adopt_thread (loop->main_worker);
  for (guint i = 0; i < n_workers; i++)
    {
      g_autoptr (GMainContext) context = g_main_context_new ();

      g_ptr_array_add (loop->workers, rook_worker_new (loop, i, context));
    }
  return loop;
}

void
rook_loop_start (RookLoop *loop)
{
  loop->has_threads = TRUE;
  for (guint i = 0; i < loop->workers->len; i++)
    rook_worker_start (loop->workers->pdata[i]);
}

gboolean
rook_loop_has_threads (RookLoop *loop)
{
  return loop->has_threads;
}

RookLoop *
rook_loop_new (guint n_workers)
{
  RookLoop *loop = rook_loop_new_without_threads (n_workers);

  if (loop != NULL)
    rook_loop_start (loop);
  return loop;
}

void
rook_loop_free (RookLoop *loop)
{
  g_return_if_fail (rook_worker_current () == loop->main_worker);
  for (guint i = 0; i < loop->workers->len; i++)
    rook_worker_stop (loop->workers->pdata[i]);
  rook_worker_stop (loop->main_worker);
  g_ptr_array_unref (loop->workers);
  rook_worker_free (loop->main_worker);
  g_free (loop);
}

void
rook_loop_run (RookLoop *loop)
{
  g_return_if_fail (rook_worker_current () == loop->main_worker);
  rook_worker_run (loop->main_worker);
}

static void
quit (gpointer data)
{
  RookLoop *loop = data;

  loop->main_worker->quit = TRUE;
}

void
rook_loop_quit (RookLoop *loop)
{
  rook_worker_invoke (loop->main_worker, quit, loop, NULL);
}

/* --- coming to rest -------------------------------------------------------------------------------------------------- */

typedef struct {
  RookMutex lock;
  RookCond cond;
  guint left; /* workers that have not come by */
} Barrier;

static void
pass_barrier (gpointer data)
{
  Barrier *barrier = data;
  g_autoptr (RookLocker) locker = rook_locker_new (&barrier->lock);

  barrier->left--;
  rook_cond_signal (&barrier->cond);
}

void
rook_loop_wait_for_workers (RookLoop *loop)
{
  Barrier barrier = { .left = loop->workers->len };

  g_return_if_fail (rook_worker_current () == loop->main_worker);
  rook_mutex_init (&barrier.lock);
  rook_cond_init (&barrier.cond);
  for (guint i = 0; i < loop->workers->len; i++)
    {
      RookWorker *worker = loop->workers->pdata[i];

      rook_worker_invoke (worker, pass_barrier, &barrier, NULL);
      if (!worker->started)
        rook_worker_run_invocations (worker);
    }
  rook_mutex_lock (&barrier.lock);
  while (barrier.left > 0)
    rook_cond_wait (&barrier.cond, &barrier.lock);
  rook_mutex_unlock (&barrier.lock);
  rook_cond_clear (&barrier.cond);
  rook_mutex_clear (&barrier.lock);
}

void
rook_loop_settle (RookLoop *loop)
{
  rook_loop_wait_for_workers (loop);
  rook_worker_run_invocations (loop->main_worker);
}

/* --- asking ---------------------------------------------------------------------------------------------------------- */

RookWorker *
rook_loop_get_main_worker (RookLoop *loop)
{
  return loop->main_worker;
}

guint
rook_loop_get_n_workers (RookLoop *loop)
{
  return loop->workers->len;
}

RookWorker *
rook_loop_get_worker (RookLoop *loop, guint index)
{
  g_return_val_if_fail (index < loop->workers->len, NULL);
  return loop->workers->pdata[index];
}

RookWorker *
rook_loop_get_quietest_worker (RookLoop *loop)
{
  RookWorker *quietest = loop->workers->pdata[0];

  for (guint i = 1; i < loop->workers->len; i++)
    {
      RookWorker *worker = loop->workers->pdata[i];

      if (__atomic_load_n (&worker->n_watches, __ATOMIC_RELAXED)
          < __atomic_load_n (&quietest->n_watches, __ATOMIC_RELAXED))
        quietest = worker;
    }
  return quietest;
}
