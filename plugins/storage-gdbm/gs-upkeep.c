/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The upkeep thread: checkpoints when much has changed, a spare log file in advance, compaction, and repair. One piece of upkeep
 * is done at a time, whoever asked for it.
 */
#include "storage-gdbm/gs-compact.h"
#include "storage-gdbm/gs-store.h"

#define REST_US (5 * G_USEC_PER_SEC) /* after a failure */
#define SLICE_REST_US (60 * 1000)    /* between slices of compaction */

void
gs_upkeep_begin (GsStore *store)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);

  while (store->upkeep_busy)
    rook_cond_wait (&store->cond, &store->lock);
  store->upkeep_busy = TRUE;
}

void
gs_upkeep_end (GsStore *store)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);

  store->upkeep_busy = FALSE;
  rook_cond_broadcast (&store->cond);
}

void
gs_upkeep_want (GsStore *store)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);

  store->upkeep_wanted = TRUE;
  rook_cond_broadcast (&store->cond);
}

void
gs_upkeep_want_both (GsStore *store)
{
  rook_mutex_lock (&store->lock);
  store->other_wanted = TRUE;
  rook_mutex_unlock (&store->lock);
  gs_upkeep_want (store);
}

/* One copy has been brought up to date. */
static void
want_the_other (GsStore *store)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);

  store->upkeep_wanted |= store->other_wanted;
  store->other_wanted = FALSE;
}

static gboolean
keep_up (GsStore *store)
{
  g_autoptr (GError) error = NULL;

  if (gs_checkpoint (store, &error))
    {
      want_the_other (store);
      return TRUE;
    }
  if (!g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CANCELLED))
    gs_log_notice (store, ROOK_LOG_ERROR, "store.checkpoint", "a checkpoint failed: %s", error->message);
  return FALSE;
}

/* The spare is made while nobody waits for it; if it can't be, whoever needs it will say so. */
static void
make_spare (GsStore *store)
{
  gs_upkeep_begin (store);
  gs_log_make_spare (store, NULL);
  gs_upkeep_end (store);
}

/* Slices with rests between them, as long as nobody wants anything else. */
static void
compact (GsStore *store)
{
  g_autoptr (GError) error = NULL;
  gboolean more = FALSE;

  if (!gs_compact (store, &more, &error))
    gs_log_notice (store, ROOK_LOG_ERROR, "store.compact", "compaction failed: %s", error->message);
  if (!more)
    return;
  rook_mutex_lock (&store->lock);
  store->compact_wanted = TRUE;
  if (!store->upkeep_stop && !store->upkeep_wanted)
    rook_cond_wait_until (&store->cond, &store->lock, g_get_monotonic_time () + SLICE_REST_US);
  rook_mutex_unlock (&store->lock);
}

typedef enum { NOTHING, REPAIR, CHECKPOINT, SPARE, COMPACT } Work;

/* With the lock. */
static Work
next_work (GsStore *store, gint64 not_before)
{
  if (store->suspect != 0)
    return REPAIR;
  if (store->spare_wanted)
    {
      store->spare_wanted = FALSE;
      return SPARE;
    }
  if (store->upkeep_wanted && g_get_monotonic_time () >= not_before)
    {
      store->upkeep_wanted = FALSE;
      return CHECKPOINT;
    }
  if (store->compact_wanted)
    {
      store->compact_wanted = FALSE;
      return COMPACT;
    }
  return NOTHING;
}

static void
work_on (GsStore *store, Work work, gint64 *not_before)
{
  if (work == REPAIR)
    gs_repair (store);
  else if (work == SPARE)
    make_spare (store);
  else if (work == CHECKPOINT)
    *not_before = keep_up (store) ? 0 : g_get_monotonic_time () + REST_US;
  else
    compact (store);
}

static void *
upkeep_thread (void *data)
{
  GsStore *store = data;
  gint64 not_before = 0;

  rook_mutex_lock (&store->lock);
  while (!store->upkeep_stop)
    {
      Work work = next_work (store, not_before);

      if (work != NOTHING)
        {
          rook_mutex_unlock (&store->lock);
          work_on (store, work, &not_before);
          rook_mutex_lock (&store->lock);
        }
      else if (store->upkeep_wanted)
        rook_cond_wait_until (&store->cond, &store->lock, not_before);
      else
        rook_cond_wait (&store->cond, &store->lock);
    }
  rook_mutex_unlock (&store->lock);
  return NULL;
}

void
gs_upkeep_start (GsStore *store)
{
  if (pthread_create (&store->upkeep, NULL, upkeep_thread, store) != 0)
    g_error ("no thread for a store's upkeep");
}

void
gs_upkeep_stop (GsStore *store)
{
  rook_mutex_lock (&store->lock);
  store->upkeep_stop = TRUE;
  rook_cond_broadcast (&store->cond);
  rook_mutex_unlock (&store->lock);
  g_atomic_int_set (&store->hurry, TRUE);
  pthread_join (store->upkeep, NULL);
  g_atomic_int_set (&store->hurry, FALSE);
}
