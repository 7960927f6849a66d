/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Segment files: made, opened, found by number, removed. Who writes into one (the committer, a stage, compaction) keeps its
 * own place in it; a segment that was written by an earlier opening of the store is never written again.
 */
#include "storage-gdbm/gs-store.h"

#include <fcntl.h>
#include <unistd.h>

#define ALLOCATE_STEP (4 * 1024 * 1024)

char *
gs_segment_name (guint32 number, RookBlobClass blob_class)
{
  return g_strdup_printf ("%s.%08x", blob_class == ROOK_BLOB_CACHE ? "cache" : "mail", number);
}

static GsSegment *
segment_new (int fd, char *name, guint32 number, RookBlobClass blob_class)
{
  GsSegment *segment = g_new0 (GsSegment, 1);

  *segment = (GsSegment){ .refs = 1, .fd = fd, .name = name, .number = number, .blob_class = blob_class };
  return segment;
}

GsSegment *
gs_segment_ref (GsSegment *segment)
{
  __atomic_fetch_add (&segment->refs, 1, __ATOMIC_RELAXED);
  return segment;
}

void
gs_segment_unref (GsSegment *segment)
{
  if (__atomic_fetch_sub (&segment->refs, 1, __ATOMIC_ACQ_REL) != 1)
    return;
  close (segment->fd);
  g_free (segment->name);
  g_free (segment);
}

GsSegment *
gs_segment_find (GsStore *store, guint32 number)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->segments_lock);
  GsSegment *segment = g_hash_table_lookup (store->segments, GUINT_TO_POINTER (number));

  return segment != NULL ? gs_segment_ref (segment) : NULL;
}

void
gs_segment_add (GsStore *store, GsSegment *segment)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->segments_lock);

  g_hash_table_insert (store->segments, GUINT_TO_POINTER (segment->number), gs_segment_ref (segment));
  store->next_segment = MAX (store->next_segment, segment->number + 1);
}

/* --- files ---------------------------------------------------------------------------------------------------------------- */

gboolean
gs_segment_write_head (GsStore *store, GsSegment *segment, guint64 first_frame, GError **error)
{
  g_autofree guint8 *data = g_malloc (GS_HEAD_SIZE);
  GsSegmentHead head = { .number = segment->number,
                         .blob_class = segment->blob_class,
                         .epoch = (guint64) g_random_int () << 32 | g_random_int (),
                         .first_frame = first_frame };

  g_strlcpy (head.store_id, store->id, sizeof head.store_id);
  gs_segment_head_encode (&head, data);
  return gs_io_pwrite (store->io, segment->fd, data, GS_HEAD_SIZE, 0, segment->name, error);
}

/* The file has to last before a batch names it. The head of one for mail becomes durable with the first body behind it, since
 * no commit goes on before that is synced; bodies of the cache nobody syncs, and a file without a head would be damage. */
static gboolean
begin_file (GsStore *store, GsSegment *segment, GError **error)
{
  return gs_segment_write_head (store, segment, GS_HEAD_SIZE, error)
         && (segment->blob_class == ROOK_BLOB_MAIL || gs_io_sync (store->io, segment->fd, segment->name, error))
         && gs_io_sync_dir (store->io, store->dir, error);
}

static guint32
take_number (GsStore *store)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->segments_lock);

  return store->next_segment++;
}

/* A file that was made and can't be used is removed at once, or else by the next opening. */
GsSegment *
gs_segment_create (GsStore *store, RookBlobClass blob_class, guint64 size, GError **error)
{
  guint32 number = take_number (store);
  char *name = gs_segment_name (number, blob_class);
  int fd = gs_io_open (store->io, store->dir, name, O_RDWR | O_CREAT | O_EXCL, error);
  g_autoptr (GsSegment) segment = NULL;

  if (fd < 0)
    {
      g_free (name);
      return NULL;
    }
  segment = segment_new (fd, name, number, blob_class);
  segment->writing = TRUE;
  segment->offset = GS_HEAD_SIZE;
  if (gs_segment_reserve (store, segment, size, error) && begin_file (store, segment, error))
    {
      gs_segment_add (store, segment);
      return g_steal_pointer (&segment);
    }
  gs_io_unlink (store->io, store->dir, name, NULL);
  return NULL;
}

gboolean
gs_segment_check (GsStore *store, GsSegment *segment, GError **error)
{
  g_autofree guint8 *data = g_malloc (GS_HEAD_SIZE);
  GsSegmentHead head;

  if (!gs_io_pread (store->io, segment->fd, data, GS_HEAD_SIZE, 0, segment->name, error))
    return FALSE;
  if (!gs_segment_head_decode (data, GS_HEAD_SIZE, &head, error))
    {
      g_prefix_error (error, "%s: ", segment->name);
      return FALSE;
    }
  if (head.number == segment->number && g_strcmp0 (head.store_id, store->id) == 0)
    return TRUE;
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "%s is of another store", segment->name);
  return FALSE;
}

GsSegment *
gs_segment_open (GsStore *store, guint32 number, RookBlobClass blob_class, GError **error)
{
  char *name = gs_segment_name (number, blob_class);
  int fd = gs_io_open (store->io, store->dir, name, O_RDONLY, error);
  g_autoptr (GsSegment) segment = NULL;

  if (fd < 0)
    {
      g_free (name);
      return NULL;
    }
  segment = segment_new (fd, name, number, blob_class);
  if (!gs_segment_check (store, segment, error) || !gs_io_size (fd, &segment->offset, name, error))
    return NULL;
  segment->allocated = segment->offset;
  gs_segment_add (store, segment);
  return g_steal_pointer (&segment);
}

gboolean
gs_segment_reserve (GsStore *store, GsSegment *segment, guint64 size, GError **error)
{
  guint64 step;

  if (segment->offset + size <= segment->allocated)
    return TRUE;
  step = MAX (segment->offset + size - segment->allocated, MIN (ALLOCATE_STEP, store->settings.segment_size));
  if (!gs_io_allocate (store->io, segment->fd, segment->allocated, step, segment->name, error))
    return FALSE;
  segment->allocated += step;
  return TRUE;
}

void
gs_segment_seal (GsStore *store, GsSegment *segment)
{
  g_autoptr (GError) error = NULL;

  if (!gs_io_truncate (store->io, segment->fd, segment->offset, segment->name, &error))
    gs_log_notice (store, ROOK_LOG_WARNING, "store.segment", "%s", error->message);
  rook_mutex_lock (&store->segments_lock);
  segment->writing = FALSE;
  rook_mutex_unlock (&store->segments_lock);
}

void
gs_segment_remove (GsStore *store, GsSegment *segment)
{
  g_autoptr (GError) error = NULL;

  if (!gs_io_unlink (store->io, store->dir, segment->name, &error))
    gs_log_notice (store, ROOK_LOG_WARNING, "store.segment", "%s", error->message);
  rook_mutex_lock (&store->segments_lock);
  g_hash_table_remove (store->segments, GUINT_TO_POINTER (segment->number));
  rook_mutex_unlock (&store->segments_lock);
}
