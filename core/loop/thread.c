/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks and conditions on pthread. They exist because the thread sanitizer follows pthread and not GLib's own futexes.
 * Every failure pthread can report here is a mistake of ours, and aborts.
 */
#include "rookery/thread.h"

#include <errno.h>

static void
check (int code, const char *what)
{
  if (G_UNLIKELY (code != 0))
    g_error ("%s: %s", what, g_strerror (code));
}

void
rook_mutex_init (RookMutex *mutex)
{
  pthread_mutexattr_t attr;

  check (pthread_mutexattr_init (&attr), "pthread_mutexattr_init");
  check (pthread_mutexattr_settype (&attr, PTHREAD_MUTEX_ERRORCHECK), "pthread_mutexattr_settype");
  check (pthread_mutex_init (&mutex->native, &attr), "pthread_mutex_init");
  pthread_mutexattr_destroy (&attr);
}

void
rook_mutex_clear (RookMutex *mutex)
{
  check (pthread_mutex_destroy (&mutex->native), "pthread_mutex_destroy");
}

void
rook_mutex_lock (RookMutex *mutex)
{
  check (pthread_mutex_lock (&mutex->native), "pthread_mutex_lock");
}

void
rook_mutex_unlock (RookMutex *mutex)
{
  check (pthread_mutex_unlock (&mutex->native), "pthread_mutex_unlock");
}

void
rook_cond_init (RookCond *cond)
{
  pthread_condattr_t attr;

  check (pthread_condattr_init (&attr), "pthread_condattr_init");
  check (pthread_condattr_setclock (&attr, CLOCK_MONOTONIC), "pthread_condattr_setclock");
  check (pthread_cond_init (&cond->native, &attr), "pthread_cond_init");
  pthread_condattr_destroy (&attr);
}

void
rook_cond_clear (RookCond *cond)
{
  check (pthread_cond_destroy (&cond->native), "pthread_cond_destroy");
}

void
rook_cond_signal (RookCond *cond)
{
  check (pthread_cond_signal (&cond->native), "pthread_cond_signal");
}

void
rook_cond_broadcast (RookCond *cond)
{
  check (pthread_cond_broadcast (&cond->native), "pthread_cond_broadcast");
}

void
rook_cond_wait (RookCond *cond, RookMutex *mutex)
{
  check (pthread_cond_wait (&cond->native, &mutex->native), "pthread_cond_wait");
}

gboolean
rook_cond_wait_until (RookCond *cond, RookMutex *mutex, gint64 end_time_us)
{
  struct timespec end = { .tv_sec = end_time_us / G_USEC_PER_SEC, .tv_nsec = (end_time_us % G_USEC_PER_SEC) * 1000 };
  int code = pthread_cond_timedwait (&cond->native, &mutex->native, &end);

  if (code == ETIMEDOUT)
    return FALSE;
  check (code, "pthread_cond_timedwait");
  return TRUE;
}
