/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Room: a batch is refused while the file system has less than the headroom left, unless it frees space in the end, so that
 * deletes, expunges and a checkpoint still work on a full disk.
 */
#include "storage-gdbm/gs-store.h"

#include <sys/statvfs.h>

#define FRESH_US (200 * 1000)
/* What is written for a byte of a batch: in the log or a segment, and in two copies of a table, in classes of sizes. */
#define FACTOR 4

static guint64
free_bytes (GsStore *store)
{
  struct statvfs st;

  if (fstatvfs (store->dir, &st) != 0)
    return G_MAXUINT64 / 2; /* then a write will tell */
  return (guint64) st.f_bavail * st.f_frsize;
}

/* With the lock. What was asked a moment ago does, but to refuse anybody. */
static void
refresh (GsStore *store, gboolean at_once)
{
  gint64 now = g_get_monotonic_time ();

  if (!at_once && now - store->space_time <= FRESH_US && now >= store->space_time)
    return;
  store->space = free_bytes (store);
  store->space_time = now;
}

/* With the lock. */
static gboolean
take (GsStore *store, guint64 bytes, gboolean frees)
{
  guint64 needed = (store->reserved + bytes) * FACTOR + store->settings.headroom;

  refresh (store, FALSE);
  if (!frees && needed > store->space)
    refresh (store, TRUE);
  if (!frees && needed > store->space)
    return FALSE;
  store->reserved += bytes;
  return TRUE;
}

gboolean
gs_reserve (GsStore *store, guint64 bytes, gboolean frees, GError **error)
{
  gboolean ok;

  rook_mutex_lock (&store->lock);
  ok = take (store, bytes, frees);
  rook_mutex_unlock (&store->lock);
  if (!ok)
    g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_FULL, "%s: no space left", store->path);
  return ok;
}

void
gs_unreserve (GsStore *store, guint64 bytes)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);

  store->reserved -= bytes;
  store->space -= MIN (store->space, bytes * FACTOR); /* it may have been written since that was asked */
}

guint64
gs_room (GsStore *store)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);
  guint64 kept;

  refresh (store, TRUE);
  kept = store->reserved * FACTOR + store->settings.headroom;
  return store->space > kept ? (store->space - kept) / FACTOR : 0;
}
