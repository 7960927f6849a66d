/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What memory knows: tables that lie one over the other, over the copies on disk. Whatever is done with them takes but a
 * moment of the lock, however much they hold: a table is laid over the others, or left as it is, as a whole, and what has to
 * become one table is moved an entry at a time, the lock given up between. What an entry says together with all that lies
 * below is the same before its move and after, so nobody sees how far that is.
 */
#include "storage-gdbm/gs-store.h"

#define SLICE_US 100
#define SLICE_CHECK 8 /* entries between two looks at the clock */
#define PAUSE_US 20   /* so that who waits for the lock gets it */
#define N_LAYERS 5

GHashTable *
gs_keys_new (void)
{
  return g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, NULL);
}

void
gs_miss_nothing (GsStore *store)
{
  GHashTable *none = gs_keys_new (), *missed;

  rook_mutex_lock (&store->lock);
  missed = store->missed;
  store->missed = none;
  rook_mutex_unlock (&store->lock);
  g_hash_table_unref (missed);
}

GsEntry *
gs_memory_find (GsStore *store, GsTable *pending, const guint8 *key, guint length)
{
  GsTable *tables[N_LAYERS] = { pending, store->arriving, store->live, store->held, store->frozen };
  const GsEntry *found[N_LAYERS];
  GsEntry *combined = NULL;
  int n = 0;

  do
    found[n] = tables[n] != NULL ? gs_table_lookup (tables[n], key, length) : NULL;
  while ((found[n] == NULL || !gs_entry_is_whole (found[n])) && ++n < N_LAYERS);
  for (n = MIN (n, N_LAYERS - 1); n >= 0; n--)
    if (found[n] != NULL && combined == NULL)
      combined = gs_entry_copy (found[n]);
    else if (found[n] != NULL)
      gs_entry_merge (combined, found[n]);
  return combined;
}

guint64
gs_memory_bytes (GsStore *store)
{
  return gs_table_bytes (store->live) + (store->arriving != NULL ? gs_table_bytes (store->arriving) : 0)
         + (store->held != NULL ? gs_table_bytes (store->held) : 0);
}

/* --- moving ------------------------------------------------------------------------------------------------------------- */

/* With the lock. Returns: (transfer full) (nullable): the table that arrived, once there is nothing in it any more. */
static GsTable *
move_some (GsStore *store)
{
  gint64 end_us = g_get_monotonic_time () + SLICE_US;

  for (guint n = 1; gs_table_size (store->arriving) > 0; n++)
    {
      GsEntry *entry = gs_table_take (store->arriving), *old;

      gs_cache_forget (store, entry->key, entry->length);
      old = gs_table_lay (store->live, entry);
      if (old != NULL)
        gs_entry_free (old);
      if (n % SLICE_CHECK == 0 && g_get_monotonic_time () >= end_us)
        return NULL;
    }
  return g_steal_pointer (&store->arriving);
}

void
gs_memory_arrive (GsStore *store, GsTable *table)
{
  GsTable *empty;

  while (store->arriving != NULL)
    rook_cond_wait (&store->cond, &store->lock);
  store->arriving = table;
  empty = move_some (store); /* of most groups it is all */
  g_clear_pointer (&empty, gs_table_free);
}

void
gs_memory_settle (GsStore *store)
{
  GsTable *empty = NULL;
  gboolean more;

  do
    {
      rook_mutex_lock (&store->lock);
      more = store->arriving != NULL && (empty = move_some (store)) == NULL;
      if (empty != NULL)
        rook_cond_broadcast (&store->cond);
      rook_mutex_unlock (&store->lock);
      if (more)
        g_usleep (PAUSE_US);
    }
  while (more);
  g_clear_pointer (&empty, gs_table_free);
}

void
gs_memory_await (GsStore *store)
{
  while (store->arriving != NULL || store->held != NULL)
    rook_cond_wait (&store->cond, &store->lock);
}

void
gs_memory_lay (GsStore *store, GsTable **lower)
{
  while (store->arriving != NULL)
    rook_cond_wait (&store->cond, &store->lock);
  store->arriving = store->live;
  store->live = g_steal_pointer (lower);
}

/* --- holding ------------------------------------------------------------------------------------------------------------ */

void
gs_memory_hold (GsStore *store)
{
  gs_memory_await (store);
  store->held = store->live;
  store->live = gs_table_new ();
}

void
gs_memory_release (GsStore *store)
{
  rook_mutex_lock (&store->lock);
  gs_memory_lay (store, &store->held);
  rook_mutex_unlock (&store->lock);
  gs_memory_settle (store);
}
