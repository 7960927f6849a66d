/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A copy that is found damaged, or gone, while the store is open. The other copy and the log from there on hold everything
 * that it held: so the other one serves, with what it lacks in memory, and the next checkpoint makes the bad one anew.
 */
#include "storage-gdbm/gs-store.h"

void
gs_repair_want (GsStore *store, guint index, const char *why)
{
  gboolean is_new;

  rook_mutex_lock (&store->lock);
  is_new = (store->suspect & 1u << index) == 0 && !store->beyond_repair;
  if (is_new)
    store->suspect |= 1u << index;
  rook_cond_broadcast (&store->cond);
  rook_mutex_unlock (&store->lock);
  if (is_new)
    gs_log_notice (store, ROOK_LOG_ERROR, "store.damaged", "copy %u is damaged, and is looked at: %s", index, why);
}

gboolean
gs_repair_is_due (GsStore *store)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);

  return store->suspect != 0;
}

gboolean
gs_repair_wait (GsStore *store)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);

  while (store->suspect != 0 && !store->upkeep_stop)
    rook_cond_wait (&store->cond, &store->lock);
  return store->suspect == 0 && !store->beyond_repair;
}

/* --- what the older copy lacks ------------------------------------------------------------------------------------------ */

typedef struct {
  GsTable *table;
  GError *error; /* (nullable) */
} Replay;

static void
replay_frame (const GsLogFrame *frame, const guint8 *payload, gpointer data)
{
  Replay *replay = data;
  gsize at = 0;
  GsLogOp op;

  while (replay->error == NULL && gs_log_next (payload, frame->length, &at, &op, &replay->error))
    gs_log_apply (&op, replay->table);
}

/* (nullable) what the log says between two copies */
static GsTable *
read_between (GsStore *store, guint64 from, guint64 to, GError **error)
{
  Replay replay = { .table = gs_table_new () };

  if ((from > to || gs_log_read (store, from, to, replay_frame, &replay, error)) && replay.error == NULL)
    return replay.table;
  gs_table_free (replay.table);
  if (replay.error != NULL)
    g_propagate_error (error, replay.error);
  return NULL;
}

/* CURRENT says so first: should this be cut short, the next opening finds the same. */
static gboolean
set_aside (GsStore *store, guint bad, GError **error)
{
  g_autofree GsCurrent *fresh = NULL;
  g_autoptr (GsTable) lacking = NULL;
  guint good = 1 - bad;

  rook_mutex_lock (&store->lock);
  fresh = g_memdup2 (&store->current, sizeof store->current);
  rook_mutex_unlock (&store->lock);
  if (fresh->current == bad)
    {
      lacking = read_between (store, fresh->copies[good].sequence + 1, fresh->copies[bad].sequence, error);
      if (lacking == NULL)
        return FALSE;
    }
  fresh->current = good;
  fresh->copies[bad].clean = FALSE;
  if (!gs_current_write (store, fresh, error))
    return FALSE;
  rook_mutex_lock (&store->lock);
  gs_memory_await (store);
  if (lacking != NULL)
    gs_memory_lay (store, &lacking);
  store->current = *fresh;
  __atomic_add_fetch (&store->versions[bad], 1, __ATOMIC_RELEASE);
  store->upkeep_wanted = TRUE;
  rook_cond_broadcast (&store->cond);
  rook_mutex_unlock (&store->lock);
  gs_memory_settle (store);
  gs_miss_nothing (store);
  gs_log_notice (store, ROOK_LOG_NOTICE, "store.repaired",
                 "copy %u serves, with the log; copy %u is made anew from it: nothing is lost", good, bad);
  return TRUE;
}

/* --- looking at them ------------------------------------------------------------------------------------------------------ */

/* @out_unread: set if it can't be told, since it can't be read now */
static gboolean
is_good (GsStore *store, guint index, const GsCopyInfo *info, gboolean *out_unread)
{
  g_autoptr (GError) error = NULL;

  if (!info->clean
      || (gs_copy_check (store, index, info, NULL, NULL, &error) && gs_copy_check_mark (store, index, info, &error)))
    return info->clean;
  if (!g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
    {
      *out_unread = TRUE;
      return FALSE;
    }
  gs_log_notice (store, ROOK_LOG_ERROR, "store.damaged", "copy %u: %s", index, error->message);
  return FALSE;
}

static void
give_up (GsStore *store, const char *why)
{
  rook_mutex_lock (&store->lock);
  store->beyond_repair = store->damaged = TRUE;
  rook_mutex_unlock (&store->lock);
  gs_log_notice (store, ROOK_LOG_ERROR, "store.damaged",
                 "%s: what can be read is served; `rookctl store verify` says more", why);
}

static void
repair (GsStore *store, const GsCurrent *current)
{
  gboolean unread = FALSE, good[2] = { is_good (store, 0, &current->copies[0], &unread),
                                       is_good (store, 1, &current->copies[1], &unread) };
  g_autoptr (GError) error = NULL;

  if (unread)
    return; /* whoever comes upon the damage again asks again */
  if (good[0] && good[1])
    gs_log_notice (store, ROOK_LOG_NOTICE, "store.repaired", "both copies are whole");
  else if (!good[0] && !good[1])
    give_up (store, "neither copy is whole");
  else if (current->copies[good[0] ? 1 : 0].clean && !set_aside (store, good[0] ? 1 : 0, &error))
    give_up (store, error->message);
}

void
gs_repair (GsStore *store)
{
  g_autofree GsCurrent *current = NULL;

  gs_upkeep_begin (store);
  rook_mutex_lock (&store->lock);
  current = g_memdup2 (&store->current, sizeof store->current);
  rook_mutex_unlock (&store->lock);
  repair (store, current);
  rook_mutex_lock (&store->lock);
  store->suspect = 0;
  rook_cond_broadcast (&store->cond);
  rook_mutex_unlock (&store->lock);
  gs_upkeep_end (store);
}

gboolean
gs_repair_look (GsStore *store)
{
  gboolean ok = TRUE;

  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GError) error = NULL;
      const GsCopyInfo *wanted = &store->current.copies[i];

      if (!wanted->clean || gs_copy_check_mark (store, i, wanted, &error))
        continue;
      if (g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
        {
          gs_repair_want (store, i, error->message);
          ok = FALSE;
        }
    }
  return ok;
}
