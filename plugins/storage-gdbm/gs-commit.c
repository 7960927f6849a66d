/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The committer: one thread a store. It takes all batches that wait, writes their blobs to the segments and syncs those,
 * writes one frame to the log and syncs it, then completes them all: two syncs a group, whatever its size. It also decides
 * what a failure means.
 */
#include "storage-gdbm/gs-compact.h"
#include "storage-gdbm/gs-store.h"

#define GROUP_BATCHES 4096
#define GROUP_BYTES (32 * 1024 * 1024)
#define RETRY_US (G_USEC_PER_SEC)
#define SLOW_US (100 * 1000)    /* how long a full memory table holds a group up, for each */
#define SLOW_BYTES (128 * 1024) /* of the log that it has written */

void
gs_commit (GsStore *store, RookBatch *batch)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->queue_lock);

  g_queue_push_tail (&store->queue, batch);
  rook_cond_signal (&store->queue_cond);
}

/* --- failure ---------------------------------------------------------------------------------------------------------- */

/* All that waits fails too: it may have been built on what failed. */
static void
fail_queue (GsStore *store)
{
  g_autoptr (GError) behind = g_error_new (ROOK_STORE_ERROR, ROOK_STORE_ERROR_RECOVERING, "an earlier batch failed");
  RookBatch *batch;

  do
    {
      rook_mutex_lock (&store->queue_lock);
      batch = g_queue_pop_head (&store->queue);
      rook_mutex_unlock (&store->queue_lock);
      if (batch != NULL)
        rook_batch_complete (batch, 0, behind);
    }
  while (batch != NULL);
}

static void
fail_moves (GsStore *store, GQueue *moves)
{
  GsMove *move;

  rook_mutex_lock (&store->queue_lock);
  while ((move = g_queue_pop_head (moves)) != NULL)
    move->done = TRUE;
  rook_cond_broadcast (&store->queue_cond);
  rook_mutex_unlock (&store->queue_lock);
}

/* Nothing comes in from the first failure on until all that was in is failed. */
static void
fail_batches (GsStore *store, GQueue *batches, const GError *error)
{
  RookBatch *batch;

  gs_log_notice (store, ROOK_LOG_ERROR, "store.commit", "a commit failed: %s", error->message);
  rook_store_set_state (store->handle, ROOK_STORE_RECOVERING);
  while ((batch = g_queue_pop_head (batches)) != NULL)
    rook_batch_complete (batch, 0, error);
  fail_queue (store);
  if (!store->broken)
    rook_store_set_state (store->handle, ROOK_STORE_OPEN);
}

/* The frame that failed may be on the disk, or a part of it. A new file whose head says that it begins with the same
 * sequence number makes it void: then nothing of the group was done, for certain. */
static gboolean
begin_new_log (GsStore *store)
{
  g_autoptr (GError) error = NULL;

  if (gs_log_start (store, &error))
    return TRUE;
  gs_log_notice (store, ROOK_LOG_ERROR, "store.log", "no new log file: %s", error->message);
  return FALSE;
}

static void
log_failed (GsStore *store, GQueue *batches, const GError *error)
{
  g_autoptr (GError) unknown = NULL;

  if (begin_new_log (store))
    {
      fail_batches (store, batches, error);
      return;
    }
  unknown = g_error_new (ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNKNOWN, "%s", error->message);
  store->broken = TRUE;
  fail_batches (store, batches, unknown);
}

/* --- a group ------------------------------------------------------------------------------------------------------------ */

/* What the batches of a group wait for, since compaction is at work. */
static void
add_moves (GsStore *store, GsGroup *group, GQueue *moves)
{
  gint64 start_us = g_get_monotonic_time (), took_us;

  for (GList *l = moves->head; l != NULL; l = l->next)
    gs_group_add_move (group, l->data);
  took_us = g_get_monotonic_time () - start_us;
  rook_mutex_lock (&store->lock);
  store->longest_move_us = MAX (store->longest_move_us, took_us);
  rook_mutex_unlock (&store->lock);
}

static gboolean
add_batches (GsStore *store, GsGroup *group, GQueue *batches, GQueue *moves, GError **error)
{
  for (GList *l = batches->head; l != NULL; l = l->next)
    if (!gs_group_add (group, l->data, error))
      return FALSE;
  if (!g_queue_is_empty (moves))
    add_moves (store, group, moves);
  return gs_group_write_segments (group, error);
}

static void
measure (GsStore *store, GsGroup *group, gint64 start_us, gint64 sync_us)
{
  if (store->batch_histogram == NULL || gs_group_n_batches (group) == 0)
    return;
  rook_histogram_add (store->batch_histogram, gs_group_n_batches (group));
  rook_histogram_add (store->bytes_histogram, gs_group_bytes (group) + gs_group_payload (group)->len);
  rook_histogram_add (store->sync_histogram, (guint64) sync_us);
  rook_histogram_add (store->commit_histogram, (guint64) (g_get_monotonic_time () - start_us));
}

static void
complete (GsStore *store, GQueue *batches, GQueue *moves, guint64 position)
{
  RookBatch *batch;
  GsMove *move;

  while ((batch = g_queue_pop_head (batches)) != NULL)
    rook_batch_complete (batch, ++position, NULL);
  if (g_queue_is_empty (moves))
    return;
  rook_mutex_lock (&store->queue_lock);
  while ((move = g_queue_pop_head (moves)) != NULL)
    move->done = move->ok = TRUE;
  rook_cond_broadcast (&store->queue_cond);
  rook_mutex_unlock (&store->queue_lock);
}

/* Returns: the bytes of log it has written. */
static gsize
commit_group (GsStore *store, GQueue *batches, GQueue *moves)
{
  g_autoptr (GsGroup) group = gs_group_new (store);
  g_autoptr (GError) error = NULL;
  gint64 start_us = g_get_monotonic_time (), sync_us = 0;
  guint64 position = store->position;

  if (!add_batches (store, group, batches, moves, &error))
    {
      gs_group_abandon_segments (group);
      fail_batches (store, batches, error);
      fail_moves (store, moves);
      return 0;
    }
  if (!gs_log_write (store, gs_group_payload (group), gs_group_n_batches (group), position + 1, &sync_us, &error))
    {
      gs_group_abandon_segments (group);
      if (store->log.unsure)
        log_failed (store, batches, error);
      else
        fail_batches (store, batches, error);
      fail_moves (store, moves);
      return 0;
    }
  gs_group_apply (group);
  measure (store, group, start_us, sync_us);
  complete (store, batches, moves, position);
  gs_memory_settle (store);
  return gs_group_payload (group)->len;
}

/* --- the thread ------------------------------------------------------------------------------------------------------------ */

/* A checkpoint is wanted when much has changed; and if it can't follow, writers are slowed, not failed: each group by what it
 * has written. */
static void
watch_memory (GsStore *store, gsize written)
{
  gint64 until = g_get_monotonic_time () + SLOW_US * (1 + (gint64) (written / SLOW_BYTES));

  rook_mutex_lock (&store->lock);
  if (gs_memory_bytes (store) > store->settings.memory_size || store->log_bytes > store->settings.log_limit)
    {
      store->upkeep_wanted = TRUE;
      rook_cond_broadcast (&store->cond);
    }
  while (!store->upkeep_stop && gs_memory_bytes (store) > 2 * store->settings.memory_size
         && rook_cond_wait_until (&store->cond, &store->lock, until))
    continue;
  rook_mutex_unlock (&store->lock);
}

/* With the queue's lock: what the next group is made of. */
static void
gather (GsStore *store, GQueue *out_batches, GQueue *out_moves)
{
  guint64 bytes = 0;

  while (!g_queue_is_empty (&store->queue) && out_batches->length < GROUP_BATCHES && bytes < GROUP_BYTES)
    {
      GList *link = g_queue_pop_head_link (&store->queue);

      bytes += rook_batch_get_size (link->data);
      g_queue_push_tail_link (out_batches, link);
    }
  while (!g_queue_is_empty (&store->moves))
    g_queue_push_tail (out_moves, g_queue_pop_head (&store->moves));
}

/* The log can't be written: tried again every second, while what comes is refused. With the queue's lock. */
static void
mend (GsStore *store)
{
  GQueue moves = store->moves;

  g_queue_init (&store->moves);
  if (!store->stopping)
    rook_cond_wait_until (&store->queue_cond, &store->queue_lock, g_get_monotonic_time () + RETRY_US);
  rook_mutex_unlock (&store->queue_lock);
  fail_moves (store, &moves);
  fail_queue (store);
  if (begin_new_log (store))
    {
      store->broken = FALSE;
      rook_store_set_state (store->handle, ROOK_STORE_OPEN);
      gs_log_notice (store, ROOK_LOG_NOTICE, "store.recovered", "the store takes batches again");
    }
  rook_mutex_lock (&store->queue_lock);
}

static gboolean
has_work (GsStore *store)
{
  return !g_queue_is_empty (&store->queue) || !g_queue_is_empty (&store->moves);
}

static void *
committer_thread (void *data)
{
  GsStore *store = data;

  rook_mutex_lock (&store->queue_lock);
  while (has_work (store) || !store->stopping)
    {
      GQueue batches = G_QUEUE_INIT, moves = G_QUEUE_INIT;

      if (store->broken)
        {
          mend (store);
          continue;
        }
      if (!has_work (store))
        {
          rook_cond_wait (&store->queue_cond, &store->queue_lock);
          continue;
        }
      gather (store, &batches, &moves);
      rook_mutex_unlock (&store->queue_lock);
      watch_memory (store, commit_group (store, &batches, &moves));
      rook_mutex_lock (&store->queue_lock);
    }
  rook_mutex_unlock (&store->queue_lock);
  return NULL;
}

void
gs_committer_start (GsStore *store)
{
  if (pthread_create (&store->committer, NULL, committer_thread, store) != 0)
    g_error ("no thread for a store's committer");
}

void
gs_committer_stop (GsStore *store)
{
  rook_mutex_lock (&store->queue_lock);
  store->stopping = TRUE;
  rook_cond_broadcast (&store->queue_cond);
  rook_mutex_unlock (&store->queue_lock);
  pthread_join (store->committer, NULL);
}
