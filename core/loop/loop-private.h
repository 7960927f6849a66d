/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the loop share: the timer wheel, and a worker's insides.
 */
#pragma once

#include "rookery/loop.h"

G_BEGIN_DECLS

/* --- the wheel: deadlines of one worker ---------------------------------------------------------------------------
 *
 * Level L has 512 slots of 8 * 4^L ms. A timer is put once into the level whose span holds it, and is never moved: it
 * fires when its slot's time has come, at most one slot late, which is under a hundredth of its length from level 1 on.
 * So there is no cascading, and no wake-up but for a slot that holds a timer.
 */
#define ROOK_WHEEL_LEVELS 11
#define ROOK_WHEEL_SLOTS 512
#define ROOK_WHEEL_WORDS (ROOK_WHEEL_SLOTS / 64)

typedef struct {
  RookTimer *slots[ROOK_WHEEL_LEVELS][ROOK_WHEEL_SLOTS];
  guint64 filled[ROOK_WHEEL_LEVELS][ROOK_WHEEL_WORDS]; /* a bit a slot that holds a timer */
  gint64 position[ROOK_WHEEL_LEVELS];                  /* the last tick of the level that has been served */
  gint64 next_ms;                                      /* when the next slot is due; G_MAXINT64: never */
  guint n_timers;
} RookWheel;

void rook_wheel_init (RookWheel *wheel, gint64 now_ms);
void rook_wheel_add (RookWheel *wheel, RookTimer *timer, gint64 now_ms);
void rook_wheel_remove (RookWheel *wheel, RookTimer *timer);
/* When to wake up; G_MAXINT64: not at all. */
gint64 rook_wheel_next (const RookWheel *wheel);
/* Calls every timer that is due at @now_ms, once. */
void rook_wheel_run (RookWheel *wheel, gint64 now_ms);

/* --- a worker ------------------------------------------------------------------------------------------------------ */

typedef struct {
  RookFunc func;
  gpointer data;
  GDestroyNotify destroy; /* (nullable) */
} RookInvocation;

struct RookWorker {
  RookLoop *loop; /* (unowned) the loop outlives us */
  guint index;
  pthread_t thread;
  gboolean started;
  GMainContext *context; /* (owned) */
  GSource *source;       /* (owned) polls epoll_fd */
  gpointer source_tag;
  int epoll_fd;
  int event_fd;         /* written to by other threads that invoke */
  gint64 now_ms;        /* own thread */
  guint64 wakeups;      /* atomic */
  guint n_watches;      /* atomic */
  GPtrArray *dead;      /* (owned) watches freed during a dispatch; own thread */
  gboolean dispatching; /* own thread */
  gboolean quit;        /* own thread */
  RookWheel wheel;      /* own thread */

  RookMutex lock;     /* guards what follows */
  GArray *queue;      /* (element-type RookInvocation) */
  gboolean signalled; /* event_fd was written since the queue was last taken */
  GArray *spare;      /* own thread: the array that the queue is swapped with */
};

RookWorker *rook_worker_new (RookLoop *loop, guint index, GMainContext *context);
void rook_worker_start (RookWorker *worker);
/* Joins the thread, which runs first what was invoked before; a worker without a thread of its own runs it here. */
void rook_worker_stop (RookWorker *worker);
void rook_worker_free (RookWorker *worker);
/* Makes @worker the calling thread's. */
void rook_worker_adopt_thread (RookWorker *worker);
void rook_worker_run (RookWorker *worker);
/* Own thread: runs what is queued now, and not what that invokes in turn. */
void rook_worker_run_invocations (RookWorker *worker);

/* --- coming to rest --------------------------------------------------------------------------------------------------- */

/* Waits until every other worker has run what was invoked before. Thread: the main worker. */
void rook_loop_wait_for_workers (RookLoop *loop);
/* The same, and then runs what was invoked on the main worker. What these functions invoke in turn may still be due. */
void rook_loop_settle (RookLoop *loop);

/* --- the loop -------------------------------------------------------------------------------------------------------- */

/* rook_loop_new() in two steps. A loop without threads can be freed; what is invoked on its workers meanwhile waits, or
 * is run by the main thread when that waits for them; what its pools are given waits. */
RookLoop *rook_loop_new_without_threads (guint n_workers);
void rook_loop_start (RookLoop *loop);
gboolean rook_loop_has_threads (RookLoop *loop);
/* After rook_loop_start(): begins with what waits. */
void rook_pool_start (RookPool *pool);

G_END_DECLS
