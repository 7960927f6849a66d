/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rookery/thread.h: locks and what waits on them. (That sanitizers follow them is seen when this runs under one.)
 */
#include <errno.h>
#include <sched.h>
#include <sys/resource.h>

#include "rookery/thread.h"

typedef struct {
  RookMutex lock;
  RookCond cond;
  gboolean go;
  guint waiting, gone;
} Gate;

static void
gate_init (Gate *gate)
{
  *gate = (Gate){ .go = FALSE };
  rook_mutex_init (&gate->lock);
  rook_cond_init (&gate->cond);
}

static void
gate_clear (Gate *gate)
{
  rook_cond_clear (&gate->cond);
  rook_mutex_clear (&gate->lock);
}

static void *
pass (void *data)
{
  Gate *gate = data;
  g_autoptr (RookLocker) locker = rook_locker_new (&gate->lock);

  gate->waiting++;
  while (!gate->go)
    rook_cond_wait (&gate->cond, &gate->lock);
  g_assert_cmpint (pthread_mutex_trylock (&gate->lock.native), ==, EBUSY); /* it is ours again */
  gate->gone++;
  return NULL;
}

/* Until @n threads are inside rook_cond_wait(): they can be counted only while it has let the lock go. */
static void
await_waiting (Gate *gate, guint n)
{
  rook_mutex_lock (&gate->lock);
  while (gate->waiting < n)
    {
      rook_mutex_unlock (&gate->lock);
      sched_yield ();
      rook_mutex_lock (&gate->lock);
    }
  g_assert_cmpuint (gate->gone, ==, 0);
}

/* @n threads wait in @waits (with a gate) until @wake lets them go. */
static void
check_passed (void *(*waits) (void *), guint n, void (*wake) (RookCond *))
{
  g_autofree pthread_t *threads = g_new (pthread_t, n);
  Gate gate;

  gate_init (&gate);
  for (guint i = 0; i < n; i++)
    g_assert_cmpint (pthread_create (&threads[i], NULL, waits, &gate), ==, 0);
  await_waiting (&gate, n);
  gate.go = TRUE;
  wake (&gate.cond);
  rook_mutex_unlock (&gate.lock);
  for (guint i = 0; i < n; i++)
    pthread_join (threads[i], NULL);
  g_assert_cmpuint (gate.gone, ==, n);
  gate_clear (&gate);
}

static void
test_wait (void)
{
  check_passed (pass, 1, rook_cond_signal);
}

static void
test_broadcast (void)
{
  check_passed (pass, 3, rook_cond_broadcast);
}

/* Whoever comes too late does not wait at all. */
static void
test_moment_has_passed (void)
{
  Gate gate;

  gate_init (&gate);
  rook_mutex_lock (&gate.lock);
  g_assert_false (rook_cond_wait_until (&gate.cond, &gate.lock, g_get_monotonic_time () - 1));
  g_assert_cmpint (pthread_mutex_trylock (&gate.lock.native), ==, EBUSY);
  rook_mutex_unlock (&gate.lock);
  gate_clear (&gate);
}

static void *
pass_until (void *data)
{
  Gate *gate = data;
  g_autoptr (RookLocker) locker = rook_locker_new (&gate->lock);

  gate->waiting++;
  while (!gate->go)
    g_assert_true (rook_cond_wait_until (&gate->cond, &gate->lock,
                                         g_get_monotonic_time () + G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC));
  gate->gone++;
  return NULL;
}

static void
test_signal_before_the_moment (void)
{
  check_passed (pass_until, 1, rook_cond_signal);
}

static void *
let_go (void *data)
{
  rook_mutex_unlock (data);
  return NULL;
}

static void
test_released_by_another_aborts (void)
{
#ifdef __SANITIZE_THREAD__
  g_test_skip ("the sanitizer reports it first");
  return;
#endif
  if (g_test_subprocess ())
    {
      struct rlimit no_core = { 0, 0 };
      RookMutex lock;
      pthread_t thread;

      setrlimit (RLIMIT_CORE, &no_core);
      rook_mutex_init (&lock);
      rook_mutex_lock (&lock);
      g_assert_cmpint (pthread_create (&thread, NULL, let_go, &lock), ==, 0);
      pthread_join (thread, NULL);
      return;
    }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_failed ();
  g_test_trap_assert_stderr ("*pthread_mutex_unlock*");
}

static void
test_locker (void)
{
  RookMutex lock;

  rook_mutex_init (&lock);
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (RookLocker) locker = rook_locker_new (&lock);

      g_assert_cmpint (pthread_mutex_trylock (&lock.native), ==, EBUSY);
      if (i == 1)
        continue; /* out of the block by the back door */
    }
  g_assert_cmpint (pthread_mutex_trylock (&lock.native), ==, 0);
  rook_mutex_unlock (&lock);
  rook_mutex_clear (&lock);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/thread/cond/wait-lets-the-lock-go-and-takes-it-again", test_wait);
  g_test_add_func ("/thread/cond/broadcast-wakes-all", test_broadcast);
  g_test_add_func ("/thread/cond/false-when-the-moment-has-passed", test_moment_has_passed);
  g_test_add_func ("/thread/cond/true-when-signalled-before", test_signal_before_the_moment);
  g_test_add_func ("/thread/mutex/released-by-another-aborts", test_released_by_another_aborts);
  g_test_add_func ("/thread/locker/holds-to-the-end-of-the-block", test_locker);
  return g_test_run ();
}
