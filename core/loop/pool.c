/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A pool of threads for what blocks. A piece of work goes in from a worker and its end is told to that same worker.
 * A piece that no thread takes in time is taken back by a timer on its worker: so a pool whose threads all hang still
 * answers.
 */
#include "loop/loop-private.h"

#define IDLE_SECONDS 10

typedef enum { TASK_QUEUED, TASK_TAKEN, TASK_ENDED } TaskState;

typedef struct {
  RookPool *pool;     /* (owned) a reference */
  RookWorker *worker; /* (nullable) (unowned) where `done` runs */
  RookFunc work;
  RookPoolDone done; /* (nullable) */
  gpointer data;
  RookPoolOutcome outcome;
  RookTimer timer; /* the queue deadline; on the worker */
  TaskState state; /* under the pool's lock */
  GList link;      /* in the pool's queue */
} Task;

struct RookPool {
  RookLoop *loop;  /* (unowned) (nullable) without its threads there are none of ours */
  gint references; /* atomic */
  char *name;
  RookMutex lock;    /* guards what follows */
  RookCond work;     /* there is something to take, or the end has come */
  RookCond finished; /* a thread has ended */
  GQueue queue;      /* of Task.link */
  guint max_threads, max_queued;
  guint n_threads, n_busy; /* n_busy of them are at work */
  GArray *ended;           /* (element-type pthread_t) that have nothing left to do, to be joined */
  gboolean closing;
};

static void
pool_unref (RookPool *pool)
{
  if (!g_atomic_int_dec_and_test (&pool->references))
    return;
  rook_cond_clear (&pool->work);
  rook_cond_clear (&pool->finished);
  rook_mutex_clear (&pool->lock);
  g_array_unref (pool->ended);
  g_free (pool->name);
  g_free (pool);
}

static void
task_free (Task *task)
{
  pool_unref (task->pool);
  g_free (task);
}

/* On the worker that asked. */
static void
task_done (gpointer data)
{
  Task *task = data;

  if (task->worker != NULL)
    rook_timer_stop (&task->timer);
  if (task->done != NULL)
    task->done (task->outcome, task->data);
}

static void
task_end (Task *task, RookPoolOutcome outcome)
{
  task->outcome = outcome;
  if (task->worker != NULL)
    rook_worker_invoke (task->worker, task_done, task, (GDestroyNotify) task_free);
  else
    task_free (task);
}

static void
task_expired (gpointer data)
{
  Task *task = data;
  RookPool *pool = task->pool;

  rook_mutex_lock (&pool->lock);
  if (task->state != TASK_QUEUED)
    {
      rook_mutex_unlock (&pool->lock);
      return;
    }
  g_queue_unlink (&pool->queue, &task->link);
  task->state = TASK_ENDED;
  rook_mutex_unlock (&pool->lock);
  task_end (task, ROOK_POOL_EXPIRED);
}

/* With the lock held. Returns: (nullable): what to do; NULL: there has been nothing for a while, or the end has come. */
static Task *
take (RookPool *pool)
{
  gint64 end_us = g_get_monotonic_time () + IDLE_SECONDS * G_USEC_PER_SEC;
  gboolean in_time = TRUE;
  Task *task;

  while (g_queue_is_empty (&pool->queue) && !pool->closing && in_time && pool->n_threads <= pool->max_threads)
    in_time = rook_cond_wait_until (&pool->work, &pool->lock, end_us);
  if (g_queue_is_empty (&pool->queue) || pool->n_threads > pool->max_threads)
    return NULL;
  task = g_queue_pop_head_link (&pool->queue)->data;
  task->state = TASK_TAKEN;
  pool->n_busy++;
  return task;
}

static void *
pool_thread (void *data)
{
  RookPool *pool = data;
  pthread_t self = pthread_self ();
  Task *task;

  rook_mutex_lock (&pool->lock);
  while ((task = take (pool)) != NULL)
    {
      rook_mutex_unlock (&pool->lock);
      task->work (task->data);
      task_end (task, ROOK_POOL_RAN);
      rook_mutex_lock (&pool->lock);
      pool->n_busy--;
    }
  pool->n_threads--;
  g_array_append_val (pool->ended, self);
  rook_cond_broadcast (&pool->finished);
  rook_mutex_unlock (&pool->lock);
  pool_unref (pool);
  return NULL;
}

/* With the lock held: whether as much waits as may, beyond what free threads will take. */
static gboolean
is_full (RookPool *pool)
{
  guint n_free = pool->max_threads > pool->n_busy ? pool->max_threads - pool->n_busy : 0;

  return pool->queue.length >= pool->max_queued + n_free;
}

/* With the lock held, which they need no more: they are gone, their stacks too, when this returns. */
static void
join_ended (RookPool *pool)
{
  for (guint i = 0; i < pool->ended->len; i++)
    pthread_join (g_array_index (pool->ended, pthread_t, i), NULL);
  g_array_set_size (pool->ended, 0);
}

/* With the lock held: one more thread if there is more to do than idle ones to do it. */
static void
start_thread (RookPool *pool)
{
  char name[16];
  pthread_t thread;

  if (pool->n_threads - pool->n_busy >= pool->queue.length || pool->n_threads >= pool->max_threads)
    return;
  if (pool->loop != NULL && !rook_loop_has_threads (pool->loop))
    return;
  join_ended (pool);
  g_atomic_int_inc (&pool->references);
  if (pthread_create (&thread, NULL, pool_thread, pool) != 0)
    {
      pool_unref (pool);
      if (pool->n_threads == 0)
        g_error ("the pool %s can't have a thread", pool->name);
      return; /* the others will do it */
    }
  pool->n_threads++;
  g_strlcpy (name, pool->name, sizeof name);
  pthread_setname_np (thread, name);
}

RookPool *
rook_pool_new (RookLoop *loop, const char *name, guint max_threads, guint max_queued)
{
  RookPool *pool = g_new0 (RookPool, 1);

  g_return_val_if_fail (max_threads > 0, NULL);
  pool->references = 1;
  pool->loop = loop;
  pool->name = g_strdup (name);
  pool->ended = g_array_new (FALSE, FALSE, sizeof (pthread_t));
  pool->max_threads = max_threads;
  pool->max_queued = max_queued;
  g_queue_init (&pool->queue);
  rook_mutex_init (&pool->lock);
  rook_cond_init (&pool->work);
  rook_cond_init (&pool->finished);
  return pool;
}

void
rook_pool_start (RookPool *pool)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&pool->lock);

  for (guint n = pool->queue.length; n > 0; n--)
    start_thread (pool);
}

void
rook_pool_free (RookPool *pool)
{
  GList *link;

  rook_mutex_lock (&pool->lock);
  pool->closing = TRUE;
  while ((link = g_queue_pop_head_link (&pool->queue)) != NULL)
    {
      Task *task = link->data;

      task->state = TASK_ENDED;
      rook_mutex_unlock (&pool->lock);
      task_end (task, ROOK_POOL_CANCELLED);
      rook_mutex_lock (&pool->lock);
    }
  rook_cond_broadcast (&pool->work);
  while (pool->n_threads > 0)
    rook_cond_wait (&pool->finished, &pool->lock);
  join_ended (pool);
  rook_mutex_unlock (&pool->lock);
  pool_unref (pool);
}

gboolean
rook_pool_run (RookPool *pool, guint queue_ms, RookFunc work, RookPoolDone done, gpointer data)
{
  RookWorker *worker = rook_worker_current ();
  Task *task;

  g_return_val_if_fail (work != NULL && (worker != NULL || done == NULL), FALSE);
  task = g_new0 (Task, 1);
  *task = (Task){ .worker = done != NULL || queue_ms != 0 ? worker : NULL, .work = work, .done = done, .data = data };
  task->link.data = task;
  rook_mutex_lock (&pool->lock);
  if (pool->closing || is_full (pool))
    {
      rook_mutex_unlock (&pool->lock);
      g_free (task);
      return FALSE;
    }
  g_atomic_int_inc (&pool->references);
  task->pool = pool;
  if (task->worker != NULL)
    {
      rook_timer_init (&task->timer, worker, task_expired, task);
      if (queue_ms != 0)
        rook_timer_start (&task->timer, queue_ms);
    }
  g_queue_push_tail_link (&pool->queue, &task->link);
  start_thread (pool);
  rook_cond_signal (&pool->work);
  rook_mutex_unlock (&pool->lock);
  return TRUE;
}

void
rook_pool_set_limits (RookPool *pool, guint max_threads, guint max_queued)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&pool->lock);

  g_return_if_fail (max_threads > 0);
  pool->max_threads = max_threads;
  pool->max_queued = max_queued;
  rook_cond_broadcast (&pool->work);
}

guint
rook_pool_get_queued (RookPool *pool)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&pool->lock);

  return pool->queue.length;
}

guint
rook_pool_get_running (RookPool *pool)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&pool->lock);

  return pool->n_busy;
}
