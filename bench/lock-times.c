/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long Rookery's locks are held: a library that is loaded before all others (LD_PRELOAD) and stands in for pthread's locks.
 *
 * It sees the very server that is shipped, and of its locks those of rookery/thread.h, which are the only ones that check
 * errors. A lock's time is what its holder spent with it: waiting for a condition does not count, and a processor that
 * was given to somebody else is told apart, by measuring both the time and the thread's own. At the end a report goes to
 * the file that LOCK_TIMES names: how many were held for how long, and where the longest were let go.
 *
 * A virtual machine may lose its processor in a way that no clock of its own tells apart: any short piece of work seems to take
 * milliseconds then, once in many times. So each place also says how often it took long, and how long on average.
 */
#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <glib.h>

#define MAX_HELD 8   /* locks at a time, by a thread */
#define N_BUCKETS 24 /* of powers of two, from a microsecond on */
#define N_PLACES 256 /* where a lock was let go after LONG_NS */
#define LONG_NS 100000
#define MS_NS 1000000
#define MAX_FRAMES 12

typedef struct {
  pthread_mutex_t *mutex;
  uint64_t time, own;
} Held;

typedef struct {
  int depth;
  void *frames[MAX_FRAMES];
  char *text; /* where these are; a module may be unloaded later */
  uint64_t count, n_ms,
      sum;            /* of those longer than LONG_NS; of those longer than MS_NS; own time of the former together */
  uint64_t time, own; /* the longest */
} Place;

static int (*real_lock) (pthread_mutex_t *);
static int (*real_unlock) (pthread_mutex_t *);
static int (*real_wait) (pthread_cond_t *, pthread_mutex_t *);
static int (*real_timedwait) (pthread_cond_t *, pthread_mutex_t *, const struct timespec *);

static __thread Held held[MAX_HELD];
static __thread int n_held;
static uint64_t by_time[N_BUCKETS], by_own[N_BUCKETS]; /* atomic */
static Place places[N_PLACES];
static int n_places;
static pthread_mutex_t places_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t
now (clockid_t clock)
{
  struct timespec t;

  clock_gettime (clock, &t);
  return (uint64_t) t.tv_sec * 1000000000 + (uint64_t) t.tv_nsec;
}

static int
is_ours (const pthread_mutex_t *mutex)
{
  return (mutex->__data.__kind & 3) == PTHREAD_MUTEX_ERRORCHECK_NP;
}

static void
count (uint64_t *buckets, uint64_t ns)
{
  int bucket = 0;

  for (uint64_t limit = 1000; ns >= limit && bucket < N_BUCKETS - 1; limit *= 2)
    bucket++;
  __atomic_add_fetch (&buckets[bucket], 1, __ATOMIC_RELAXED);
}

/* --- places ---------------------------------------------------------------------------------------------------------------- */

static char *
describe (const Place *place)
{
  GString *text = g_string_new (NULL);

  for (int i = 0; i < place->depth; i++)
    {
      Dl_info info;

      if (dladdr (place->frames[i], &info) != 0)
        g_string_append_printf (text, " %s+0x%lx", info.dli_fname,
                                (unsigned long) ((uintptr_t) place->frames[i] - (uintptr_t) info.dli_fbase));
    }
  return g_string_free (text, FALSE);
}

static void
note_place (uint64_t time, uint64_t own)
{
  Place place = { .depth = 0 };
  int i = 0;

  place.depth = backtrace (place.frames, MAX_FRAMES);
  real_lock (&places_lock);
  while (i < n_places
         && (places[i].depth != place.depth
             || memcmp (places[i].frames, place.frames, sizeof (void *) * (size_t) place.depth) != 0))
    i++;
  if (i == n_places && n_places < N_PLACES)
    {
      places[n_places] = place;
      places[n_places++].text = describe (&place);
    }
  if (i < n_places)
    {
      places[i].count++;
      places[i].n_ms += own >= MS_NS;
      places[i].sum += own;
      places[i].time = MAX (places[i].time, time);
      places[i].own = MAX (places[i].own, own);
    }
  real_unlock (&places_lock);
}

/* --- in place of pthread's ------------------------------------------------------------------------------------------------- */

static void
begin (pthread_mutex_t *mutex)
{
  if (n_held < MAX_HELD)
    held[n_held] = (Held){ mutex, now (CLOCK_MONOTONIC), now (CLOCK_THREAD_CPUTIME_ID) };
  n_held++;
}

static void
end (pthread_mutex_t *mutex)
{
  int i = MIN (n_held, MAX_HELD) - 1;
  uint64_t time, own;

  while (i >= 0 && held[i].mutex != mutex)
    i--;
  n_held--;
  if (i < 0)
    return;
  time = now (CLOCK_MONOTONIC) - held[i].time;
  own = now (CLOCK_THREAD_CPUTIME_ID) - held[i].own;
  memmove (&held[i], &held[i + 1], sizeof *held * (size_t) (MAX_HELD - 1 - i));
  count (by_time, time);
  count (by_own, own);
  if (own >= LONG_NS)
    note_place (time, own);
}

int
pthread_mutex_lock (pthread_mutex_t *mutex)
{
  int code = real_lock (mutex);

  if (code == 0 && is_ours (mutex))
    begin (mutex);
  return code;
}

int
pthread_mutex_unlock (pthread_mutex_t *mutex)
{
  if (is_ours (mutex))
    end (mutex);
  return real_unlock (mutex);
}

int
pthread_cond_wait (pthread_cond_t *cond, pthread_mutex_t *mutex)
{
  int code;

  if (is_ours (mutex))
    end (mutex);
  code = real_wait (cond, mutex);
  if (is_ours (mutex))
    begin (mutex);
  return code;
}

int
pthread_cond_timedwait (pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
  int code;

  if (is_ours (mutex))
    end (mutex);
  code = real_timedwait (cond, mutex, until);
  if (is_ours (mutex))
    begin (mutex);
  return code;
}

/* --- begin and end of the process ------------------------------------------------------------------------------------------ */

/* Of the two that glibc has on some machines, the one that programs of today are linked with. */
static void *
find_newest (const char *name)
{
  void *symbol = dlvsym (RTLD_NEXT, name, "GLIBC_2.3.2");

  return symbol != NULL ? symbol : dlsym (RTLD_NEXT, name);
}

__attribute__ ((constructor)) static void
find_real (void)
{
  void *frames[1];

  *(void **) &real_lock = dlsym (RTLD_NEXT, "pthread_mutex_lock");
  *(void **) &real_unlock = dlsym (RTLD_NEXT, "pthread_mutex_unlock");
  *(void **) &real_wait = find_newest ("pthread_cond_wait");
  *(void **) &real_timedwait = find_newest ("pthread_cond_timedwait");
  backtrace (frames, 1); /* which loads a library the first time */
}

__attribute__ ((destructor)) static void
report (void)
{
  const char *path = getenv ("LOCK_TIMES");
  FILE *out = path != NULL ? fopen (path, "w") : NULL;

  if (out == NULL)
    return;
  for (int i = 0; i < N_BUCKETS; i++)
    fprintf (out, "held %llu %llu %llu\n", 1ull << i, (unsigned long long) by_own[i], (unsigned long long) by_time[i]);
  for (int i = 0; i < n_places; i++)
    fprintf (out, "place %llu %llu %llu %llu %llu%s\n", (unsigned long long) places[i].count,
             (unsigned long long) places[i].n_ms, (unsigned long long) (places[i].sum / places[i].count),
             (unsigned long long) places[i].own, (unsigned long long) places[i].time, places[i].text);
  fclose (out);
}
