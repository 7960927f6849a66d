/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loop: workers that serve, a pool for what blocks, and the way between them.
 *
 * A #RookLoop has a number of #RookWorker threads (default: one a core). A worker runs a GMainContext into which one
 * epoll descriptor is nested as a single source: ten thousand idle descriptors cost nothing per wake-up. All deadlines
 * of a worker sit on one timer wheel; an idle server wakes up for the next deadline and for nothing else. What may
 * block (a sync, a cold read, saslauthd, DNS) goes to a #RookPool, and its result comes back to the worker that asked.
 *
 * The main thread is a worker too (rook_loop_get_main_worker()): it runs signals, control, reload and the schedule,
 * and serves no connections.
 */
#pragma once

#include "rookery/macros.h"
#include "rookery/thread.h"

G_BEGIN_DECLS

typedef struct RookLoop RookLoop;
typedef struct RookWorker RookWorker;
typedef struct RookPool RookPool;
typedef struct RookWatch RookWatch;

/**
 * rook_loop_new:
 * @n_workers: serving threads; 0 for one a core the process may use
 *
 * Makes the calling thread the main worker and starts the others. Abort if the system has no threads to give.
 * Free: rook_loop_free() from the same thread, which stops the workers (each runs what was invoked before) and joins
 * them.
 */
ROOK_EXPORT RookLoop *rook_loop_new (guint n_workers);
ROOK_EXPORT void rook_loop_free (RookLoop *loop);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookLoop, rook_loop_free)

/* Runs the main worker until rook_loop_quit(), which may be called from any thread. */
ROOK_EXPORT void rook_loop_run (RookLoop *loop);
ROOK_EXPORT void rook_loop_quit (RookLoop *loop);

ROOK_EXPORT RookWorker *rook_loop_get_main_worker (RookLoop *loop);
ROOK_EXPORT guint rook_loop_get_n_workers (RookLoop *loop); /* without the main worker; at least 1 */
ROOK_EXPORT RookWorker *rook_loop_get_worker (RookLoop *loop, guint index);
/* The worker that serves the fewest watches now: where a new connection goes. Any thread. */
ROOK_EXPORT RookWorker *rook_loop_get_quietest_worker (RookLoop *loop);

/* The worker whose thread is calling, or %NULL (a pool thread, a foreign thread). */
ROOK_EXPORT RookWorker *rook_worker_current (void);
ROOK_EXPORT guint rook_worker_get_index (RookWorker *worker); /* 0 ... n-1; the main worker is n */
ROOK_EXPORT GMainContext *rook_worker_get_context (RookWorker *worker);
ROOK_EXPORT RookLoop *rook_worker_get_loop (RookWorker *worker);
/* How often the worker has woken up, ever: for measurements. */
ROOK_EXPORT guint64 rook_worker_get_wakeups (RookWorker *worker);
/* g_get_monotonic_time() / 1000 as of this wake-up: costs no system call. Own thread only. */
ROOK_EXPORT gint64 rook_worker_get_now_ms (RookWorker *worker);

/**
 * rook_worker_invoke:
 * @destroy: (nullable): frees @data after @func ran, or if the worker ends first
 *
 * Runs @func (@data) once on @worker's thread, soon, never inside this call. Calls made by one thread to one worker run
 * in the order made. Everything that the caller wrote before is seen by @func. Any thread; never blocks, never fails.
 */
ROOK_EXPORT void rook_worker_invoke (RookWorker *worker, RookFunc func, gpointer data, GDestroyNotify destroy);

/* --- descriptors ------------------------------------------------------------------------------------------------ */

typedef enum { ROOK_IO_NONE = 0, ROOK_IO_READ = 1 << 0, ROOK_IO_WRITE = 1 << 1, ROOK_IO_HANGUP = 1 << 2 } RookIo;
typedef void (*RookWatchFunc) (RookIo ready, gpointer data);

/**
 * rook_watch_new:
 *
 * Watches @fd (level-triggered) on @worker, calling @func on its thread with what is ready. ROOK_IO_HANGUP (both
 * halves closed, or an error) is reported even if not asked for, except to a watch of ROOK_IO_NONE, which hears nothing.
 * The watch does not own @fd, and is freed before it is closed. A watch may be freed and its events changed at any time
 * on the worker's thread, inside its own or another watch's callback too: a freed watch's function is never called
 * again. Own thread of @worker only.
 *
 * Returns: (nullable): %NULL if the system has no memory or watches left; a bad @fd is the caller's mistake and aborts.
 */
ROOK_EXPORT RookWatch *rook_watch_new (RookWorker *worker, int fd, RookIo events, RookWatchFunc func, gpointer data);
ROOK_EXPORT void rook_watch_set_events (RookWatch *watch, RookIo events); /* no system call if nothing changes */
ROOK_EXPORT void rook_watch_free (RookWatch *watch);

/* --- timers ----------------------------------------------------------------------------------------------------- */

/* A deadline, to be embedded in the struct that it is for: starting and stopping it allocates nothing and is O(1). */
typedef struct RookTimer RookTimer;
struct RookTimer {
  /*< private >*/
  RookTimer *next;
  RookTimer **link;   /* what points to us; NULL when it does not run */
  RookWorker *worker; /* (unowned) */
  RookFunc func;
  gpointer data;
  gint64 due_ms;
  guint16 slot;
};

/* Prepares a timer of the calling worker's. It must be stopped before its memory goes. */
ROOK_EXPORT void rook_timer_init (RookTimer *timer, RookWorker *worker, RookFunc func, gpointer data);
/* Calls the function once, not before @ms have passed and at most 20 ms (or a hundredth of @ms, if more) later on an
 * idle worker. A running timer is started anew. Own thread only, like all of timers. */
ROOK_EXPORT void rook_timer_start (RookTimer *timer, guint ms);
ROOK_EXPORT void rook_timer_stop (RookTimer *timer); /* a stopped timer's function is not called */
ROOK_EXPORT gboolean rook_timer_is_running (const RookTimer *timer);

/* --- the pool --------------------------------------------------------------------------------------------------- */

typedef enum {
  ROOK_POOL_RAN,      /* the work was done */
  ROOK_POOL_EXPIRED,  /* no thread took it before its queue deadline; it was not and will not be run */
  ROOK_POOL_CANCELLED /* the pool was freed first */
} RookPoolOutcome;
typedef void (*RookPoolDone) (RookPoolOutcome outcome, gpointer data);

/* A pool of at most @max_threads threads (started as needed, ended after some idle time) in front of which at most
 * @max_queued pieces of work wait. */
ROOK_EXPORT RookPool *rook_pool_new (RookLoop *loop, const char *name, guint max_threads, guint max_queued);
/* Waits for work that is running; what waits is handed back as cancelled. */
ROOK_EXPORT void rook_pool_free (RookPool *pool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookPool, rook_pool_free)

/**
 * rook_pool_run:
 * @queue_ms: how long it may wait for a thread; 0 for as long as it takes
 * @work: runs on a pool thread, may block
 * @done: (nullable): runs on the calling worker's thread afterwards, exactly once, in every case in which this
 *   returned %TRUE
 *
 * Returns: %FALSE at once, with nothing called, if @max_queued pieces wait already: answer "try again later".
 * Thread: a worker's (the answer must have somewhere to go); @done %NULL: any. Never blocks.
 */
ROOK_EXPORT gboolean rook_pool_run (RookPool *pool, guint queue_ms, RookFunc work, RookPoolDone done, gpointer data);
ROOK_EXPORT void rook_pool_set_limits (RookPool *pool, guint max_threads, guint max_queued);
ROOK_EXPORT guint rook_pool_get_queued (RookPool *pool);
ROOK_EXPORT guint rook_pool_get_running (RookPool *pool);

/* The shared pool of the server for disk reads, DNS and the like (config: server/pool-threads). */
ROOK_EXPORT RookPool *rook_server_get_pool (RookServer *server);
ROOK_EXPORT RookLoop *rook_server_get_loop (RookServer *server);

G_END_DECLS
