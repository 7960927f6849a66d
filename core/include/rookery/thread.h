/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks: thin wrappers of pthread's, since the thread sanitizer can follow those and not GLib's.
 *
 * Rules for whoever takes one: it protects memory work only, is held for well under a millisecond, never over a read,
 * a write, a sync, a callback of somebody else or a wait other than rook_cond_wait(). Errors of pthread (a lock taken
 * twice by its holder, one released by another thread) are our own mistakes and abort.
 */
#pragma once

#include <pthread.h>

#include "rookery/macros.h"

G_BEGIN_DECLS

typedef struct {
  pthread_mutex_t native;
} RookMutex;
typedef struct {
  pthread_cond_t native;
} RookCond; /* waits on the monotonic clock */

ROOK_EXPORT void rook_mutex_init (RookMutex *mutex);
ROOK_EXPORT void rook_mutex_clear (RookMutex *mutex);
ROOK_EXPORT void rook_mutex_lock (RookMutex *mutex);
ROOK_EXPORT void rook_mutex_unlock (RookMutex *mutex);

ROOK_EXPORT void rook_cond_init (RookCond *cond);
ROOK_EXPORT void rook_cond_clear (RookCond *cond);
ROOK_EXPORT void rook_cond_signal (RookCond *cond);
ROOK_EXPORT void rook_cond_broadcast (RookCond *cond);
/* Releases @mutex, waits for a signal (or for nothing: spurious wake-ups happen), takes it again. */
ROOK_EXPORT void rook_cond_wait (RookCond *cond, RookMutex *mutex);
/* The same until g_get_monotonic_time() reaches @end_time_us. Returns: %FALSE when that moment has passed. */
ROOK_EXPORT gboolean rook_cond_wait_until (RookCond *cond, RookMutex *mutex, gint64 end_time_us);

/* Holds a lock to the end of the block: g_autoptr (RookLocker) locker = rook_locker_new (&self->lock); no allocation. */
typedef RookMutex RookLocker;
static inline RookLocker *
rook_locker_new (RookMutex *mutex)
{
  rook_mutex_lock (mutex);
  return mutex;
}
static inline void
rook_locker_free (RookLocker *locker)
{
  rook_mutex_unlock (locker);
}
/* What G_DEFINE_AUTOPTR_CLEANUP_FUNC() would make, but marked as unused: a locker's only use is its end, which clang's
 * -Wunused-variable does not count. */
typedef RookLocker *_GLIB_AUTOPTR_TYPENAME (RookLocker) G_GNUC_UNUSED;
static inline void
_GLIB_AUTOPTR_FUNC_NAME (RookLocker) (RookLocker **locker)
{
  if (*locker != NULL)
    rook_locker_free (*locker);
}

G_END_DECLS
