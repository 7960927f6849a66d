/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A worker: one thread, one GMainContext, and in it one source that polls one epoll descriptor for all of its watches.
 * GLib polls two descriptors whatever the number of connections. The worker's queue of invocations is its own, and not
 * GLib's, so that the hand-over costs one lock and the thread sanitizer can follow it.
 */
#include "loop/loop-private.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_A_WAKEUP 128

struct RookWatch {
  RookWorker *worker; /* (unowned) */
  int fd;
  RookIo events;
  RookWatchFunc func; /* (nullable) NULL: freed during a dispatch */
  gpointer data;
};

typedef struct {
  GSource source;
  RookWorker *worker;
} WorkerSource;

static __thread RookWorker *current_worker; /* the one thing that a thread, and nothing else, can know */

RookWorker *
rook_worker_current (void)
{
  return current_worker;
}

guint
rook_worker_get_index (RookWorker *worker)
{
  return worker->index;
}

GMainContext *
rook_worker_get_context (RookWorker *worker)
{
  return worker->context;
}

RookLoop *
rook_worker_get_loop (RookWorker *worker)
{
  return worker->loop;
}

guint64
rook_worker_get_wakeups (RookWorker *worker)
{
  return __atomic_load_n (&worker->wakeups, __ATOMIC_RELAXED);
}

gint64
rook_worker_get_now_ms (RookWorker *worker)
{
  return worker->now_ms;
}

/* --- watches --------------------------------------------------------------------------------------------------- */

/* A watch of nothing stays with epoll, edge-triggered: a hang-up wakes the worker once at most, and to ask for something
 * again is a change, which can't want memory. */
static guint32
to_epoll (RookIo events)
{
  if (events == ROOK_IO_NONE)
    return EPOLLET;
  return (events & ROOK_IO_READ ? EPOLLIN : 0) | (events & ROOK_IO_WRITE ? EPOLLOUT : 0);
}

static RookIo
from_epoll (guint32 events)
{
  return (events & EPOLLIN ? ROOK_IO_READ : 0) | (events & EPOLLOUT ? ROOK_IO_WRITE : 0)
         | (events & (EPOLLHUP | EPOLLERR) ? ROOK_IO_HANGUP : 0);
}

static gboolean
control (RookWatch *watch, int operation, RookIo events)
{
  struct epoll_event event = { .events = to_epoll (events), .data.ptr = watch };

  if (epoll_ctl (watch->worker->epoll_fd, operation, watch->fd, &event) == 0)
    return TRUE;
  if (errno != ENOMEM && errno != ENOSPC)
    g_error ("epoll_ctl of descriptor %d: %s", watch->fd, g_strerror (errno));
  return FALSE;
}

RookWatch *
rook_watch_new (RookWorker *worker, int fd, RookIo events, RookWatchFunc func, gpointer data)
{
  RookWatch *watch;

  g_return_val_if_fail (worker == current_worker, NULL);
  g_return_val_if_fail (fd >= 0 && func != NULL, NULL);
  watch = g_new (RookWatch, 1);
  *watch = (RookWatch){ .worker = worker, .fd = fd, .events = events, .func = func, .data = data };
  if (!control (watch, EPOLL_CTL_ADD, events))
    {
      g_free (watch);
      return NULL;
    }
  __atomic_fetch_add (&worker->n_watches, 1, __ATOMIC_RELAXED);
  return watch;
}

void
rook_watch_set_events (RookWatch *watch, RookIo events)
{
  g_return_if_fail (watch->worker == current_worker);
  events &= ROOK_IO_READ | ROOK_IO_WRITE | ROOK_IO_HANGUP;
  if (watch->events == events)
    return;
  if (!control (watch, EPOLL_CTL_MOD, events))
    g_error ("epoll wants memory to change descriptor %d", watch->fd);
  watch->events = events;
}

void
rook_watch_free (RookWatch *watch)
{
  RookWorker *worker = watch->worker;

  g_return_if_fail (worker == current_worker);
  control (watch, EPOLL_CTL_DEL, ROOK_IO_NONE);
  __atomic_fetch_sub (&worker->n_watches, 1, __ATOMIC_RELAXED);
  watch->func = NULL;
  watch->events = ROOK_IO_NONE;
  if (worker->dispatching) /* it may be among the events that were fetched already */
    g_ptr_array_add (worker->dead, watch);
  else
    g_free (watch);
}

static void
dispatch_event (const struct epoll_event *event)
{
  RookWatch *watch = event->data.ptr;
  RookIo ready;

  /* What the watch is no longer interested in, since another's function said so, is not reported. */
  ready = from_epoll (event->events) & (watch->events | (watch->events != ROOK_IO_NONE ? ROOK_IO_HANGUP : 0));
  if (watch->func != NULL && ready != ROOK_IO_NONE)
    watch->func (ready, watch->data);
}

static void
dispatch_watches (RookWorker *worker)
{
  struct epoll_event events[EVENTS_A_WAKEUP];
  gboolean invoked = FALSE;
  int n;

  n = epoll_wait (worker->epoll_fd, events, G_N_ELEMENTS (events), 0);
  worker->dispatching = TRUE;
  for (int i = 0; i < n; i++)
    if (events[i].data.ptr == NULL)
      invoked = TRUE;
    else
      dispatch_event (&events[i]);
  worker->dispatching = FALSE;
  g_ptr_array_set_size (worker->dead, 0);
  if (invoked)
    {
      guint64 count;

      while (read (worker->event_fd, &count, sizeof count) < 0 && errno == EINTR)
        continue;
    }
}

/* --- invocations ------------------------------------------------------------------------------------------------- */

void
rook_worker_invoke (RookWorker *worker, RookFunc func, gpointer data, GDestroyNotify destroy)
{
  RookInvocation invocation = { func, data, destroy };
  gboolean wake;

  g_return_if_fail (func != NULL);
  rook_mutex_lock (&worker->lock);
  g_array_append_val (worker->queue, invocation);
  wake = !worker->signalled && worker != current_worker;
  worker->signalled |= wake;
  rook_mutex_unlock (&worker->lock);
  if (wake)
    {
      guint64 one = 1;

      while (write (worker->event_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
    }
}

static gboolean
has_invocations (RookWorker *worker)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&worker->lock);

  return worker->queue->len > 0;
}

/* Runs what is queued now; what these functions invoke in turn waits for the next round, so that nobody starves. */
void
rook_worker_run_invocations (RookWorker *worker)
{
  GArray *taken;

  rook_mutex_lock (&worker->lock);
  taken = worker->queue;
  worker->queue = worker->spare;
  worker->signalled = FALSE;
  rook_mutex_unlock (&worker->lock);
  for (guint i = 0; i < taken->len; i++)
    {
      RookInvocation *invocation = &g_array_index (taken, RookInvocation, i);

      invocation->func (invocation->data);
      if (invocation->destroy != NULL)
        invocation->destroy (invocation->data);
    }
  g_array_set_size (taken, 0);
  worker->spare = taken;
}

/* --- timers ------------------------------------------------------------------------------------------------------- */

static gint64
clock_ms (void)
{
  return g_get_monotonic_time () / 1000;
}

void
rook_timer_init (RookTimer *timer, RookWorker *worker, RookFunc func, gpointer data)
{
  *timer = (RookTimer){ .worker = worker, .func = func, .data = data };
}

void
rook_timer_start (RookTimer *timer, guint ms)
{
  RookWheel *wheel = &timer->worker->wheel;
  gint64 now_ms;

  g_return_if_fail (timer->worker == current_worker);
  rook_timer_stop (timer);
  now_ms = clock_ms ();
  timer->due_ms = now_ms + 1 + ms; /* the clock was cut down to a ms */
  rook_wheel_add (wheel, timer, now_ms);
}

void
rook_timer_stop (RookTimer *timer)
{
  if (timer->link == NULL)
    return;
  g_return_if_fail (timer->worker == current_worker);
  rook_wheel_remove (&timer->worker->wheel, timer);
}

gboolean
rook_timer_is_running (const RookTimer *timer)
{
  return timer->link != NULL;
}

/* --- the source that GLib sees ------------------------------------------------------------------------------------- */

static gboolean
source_prepare (GSource *source, gint *timeout)
{
  RookWorker *worker = ((WorkerSource *) source)->worker;
  gint64 next_ms = rook_wheel_next (&worker->wheel);
  gint64 wait_ms;

  *timeout = -1;
  if (has_invocations (worker))
    return TRUE;
  if (next_ms == G_MAXINT64)
    return FALSE;
  wait_ms = next_ms - clock_ms ();
  *timeout = CLAMP (wait_ms, 0, G_MAXINT);
  return wait_ms <= 0;
}

static gboolean
source_check (GSource *source)
{
  RookWorker *worker = ((WorkerSource *) source)->worker;

  return g_source_query_unix_fd (source, worker->source_tag) != 0 || has_invocations (worker)
         || clock_ms () >= rook_wheel_next (&worker->wheel);
}

static gboolean
source_dispatch (GSource *source, G_GNUC_UNUSED GSourceFunc callback, G_GNUC_UNUSED gpointer data)
{
  RookWorker *worker = ((WorkerSource *) source)->worker;

  __atomic_fetch_add (&worker->wakeups, 1, __ATOMIC_RELAXED);
  worker->now_ms = clock_ms ();
  dispatch_watches (worker);
  rook_worker_run_invocations (worker);
  rook_wheel_run (&worker->wheel, clock_ms ());
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = { source_prepare, source_check, source_dispatch, NULL, NULL, NULL };

static void
make_source (RookWorker *worker)
{
  worker->source = g_source_new (&source_funcs, sizeof (WorkerSource));
  ((WorkerSource *) worker->source)->worker = worker;
  g_source_set_static_name (worker->source, "rookery worker");
  worker->source_tag = g_source_add_unix_fd (worker->source, worker->epoll_fd, G_IO_IN);
  g_source_attach (worker->source, worker->context);
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

RookWorker *
rook_worker_new (RookLoop *loop, guint index, GMainContext *context)
{
  RookWorker *worker = g_new0 (RookWorker, 1);
  struct epoll_event event = { .events = EPOLLIN };

  worker->loop = loop;
  worker->index = index;
  worker->context = g_main_context_ref (context);
  worker->epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  worker->event_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (worker->epoll_fd < 0 || worker->event_fd < 0
      || epoll_ctl (worker->epoll_fd, EPOLL_CTL_ADD, worker->event_fd, &event) < 0)
    g_error ("a worker can't have its descriptors: %s", g_strerror (errno));
  worker->dead = g_ptr_array_new_with_free_func (g_free);
  worker->queue = g_array_new (FALSE, FALSE, sizeof (RookInvocation));
  worker->spare = g_array_new (FALSE, FALSE, sizeof (RookInvocation));
  worker->now_ms = clock_ms ();
  rook_mutex_init (&worker->lock);
  rook_wheel_init (&worker->wheel, worker->now_ms);
  make_source (worker);
  return worker;
}

void
rook_worker_adopt_thread (RookWorker *worker)
{
  current_worker = worker;
}

void
rook_worker_run (RookWorker *worker)
{
  worker->quit = FALSE;
  while (!worker->quit)
    g_main_context_iteration (worker->context, TRUE);
}

static void *
worker_thread (void *data)
{
  RookWorker *worker = data;

  rook_worker_adopt_thread (worker);
  g_main_context_push_thread_default (worker->context);
  rook_worker_run (worker);
  g_main_context_pop_thread_default (worker->context);
  return NULL;
}

void
rook_worker_start (RookWorker *worker)
{
  char name[16];
  int code = pthread_create (&worker->thread, NULL, worker_thread, worker);

  if (code != 0)
    g_error ("a worker can't have its thread: %s", g_strerror (code));
  worker->started = TRUE;
  g_snprintf (name, sizeof name, "worker %u", worker->index);
  pthread_setname_np (worker->thread, name);
}

static void
worker_quit (gpointer data)
{
  RookWorker *worker = data;

  worker->quit = TRUE;
}

static void
destroy_invocations (GArray *queue)
{
  for (guint i = 0; i < queue->len; i++)
    {
      RookInvocation *invocation = &g_array_index (queue, RookInvocation, i);

      if (invocation->destroy != NULL)
        invocation->destroy (invocation->data);
    }
  g_array_unref (queue);
}

void
rook_worker_stop (RookWorker *worker)
{
  if (!worker->started)
    {
      rook_worker_run_invocations (worker);
      return;
    }
  rook_worker_invoke (worker, worker_quit, worker, NULL);
  pthread_join (worker->thread, NULL);
  worker->started = FALSE;
}

void
rook_worker_free (RookWorker *worker)
{
  destroy_invocations (worker->queue);
  g_array_unref (worker->spare);
  g_source_destroy (worker->source);
  g_source_unref (worker->source);
  g_main_context_unref (worker->context);
  g_ptr_array_unref (worker->dead);
  close (worker->event_fd);
  close (worker->epoll_fd);
  rook_mutex_clear (&worker->lock);
  if (current_worker == worker)
    current_worker = NULL;
  g_free (worker);
}
