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

/* With the lock. */
static gboolean
take (GsStore *store, guint64 bytes, gboolean frees)
{
  gint64 now = g_get_monotonic_time ();
  guint64 needed;

  if (now - store->space_time > FRESH_US || now < store->space_time)
    {
      store->space = free_bytes (store);
      store->space_time = now;
    }
  needed = (store->reserved + bytes) * FACTOR + (frees ? 0 : store->settings.headroom);
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
}
