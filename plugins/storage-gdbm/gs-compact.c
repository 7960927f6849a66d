/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Compaction: segments that are mostly dead are emptied, a slice at a time. What is alive is copied to a segment of
 * compaction's own and synced there; then the committer is asked to change the index, which is the only part that
 * commits wait for. Blob ids do not change, and a file goes only when nothing durable names it.
 */
#include "storage-gdbm/gs-compact.h"

#include "storage-gdbm/gs-bytes.h"

#define SLICE_BYTES (2 * 1024 * 1024)
#define SLICE_FRAMES 256

typedef struct {
  GsStore *store;
  GsReader reader;
  GsSegment *from; /* (owned reference) */
  GsSegment *to;   /* (unowned) the store's; %NULL until something is copied */
  GsMove *move;
  guint64 bytes;
  guint frames;
  GError **error;
} Slice;

/* --- asking the committer ----------------------------------------------------------------------------------------------- */

GsMove *
gs_move_new (void)
{
  GsMove *move = g_new0 (GsMove, 1);

  move->blobs = g_array_new (FALSE, FALSE, sizeof (GsMovedBlob));
  move->gone = g_array_new (FALSE, FALSE, sizeof (guint32));
  return move;
}

void
gs_move_free (GsMove *move)
{
  g_array_unref (move->blobs);
  g_array_unref (move->gone);
  g_free (move);
}

gboolean
gs_move_run (GsStore *store, GsMove *move)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->queue_lock);

  if (store->stopping)
    return FALSE;
  g_queue_push_tail (&store->moves, move);
  rook_cond_broadcast (&store->queue_cond);
  while (!move->done)
    rook_cond_wait (&store->queue_cond, &store->queue_lock);
  return move->ok;
}

/* --- what to empty -------------------------------------------------------------------------------------------------------- */

gboolean
gs_compact_worth (const GsSegment *segment)
{
  return !segment->writing && !segment->spoilt && segment->live < (segment->offset - GS_HEAD_SIZE + 1) / 2;
}

/* The one with the least alive. */
static GsSegment *
choose (GsStore *store, gboolean *out_more)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->segments_lock);
  GsSegment *best = NULL;
  GHashTableIter iter;
  gpointer value;
  guint n = 0;

  g_hash_table_iter_init (&iter, store->segments);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      GsSegment *segment = value;

      if (!gs_compact_worth (segment))
        continue;
      n++;
      if (segment->number == store->compact_number) /* go on where the last slice stopped */
        best = segment;
      else if (best == NULL || (best->number != store->compact_number && segment->live < best->live))
        best = segment;
    }
  *out_more = n > 1;
  return best != NULL ? gs_segment_ref (best) : NULL;
}

static guint64
live_bytes (GsStore *store, GsSegment *segment)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->segments_lock);

  return segment->live;
}

/* --- copying ---------------------------------------------------------------------------------------------------------------- */

/* The segment that compaction writes to. A full one is sealed once what was copied to it is durable: see slice_commit(). */
static GsSegment *
target (Slice *slice, guint64 size)
{
  GsStore *store = slice->store;
  GsSegment **to = &store->compacting[slice->from->blob_class];

  if (*to != NULL && (*to)->offset > GS_HEAD_SIZE && (*to)->offset + size > store->settings.segment_size
      && slice->to == NULL)
    {
      gs_segment_seal (store, *to);
      g_clear_pointer (to, gs_segment_unref);
    }
  if (*to == NULL)
    *to = gs_segment_create (store, slice->from->blob_class, size, slice->error);
  else if (!gs_segment_reserve (store, *to, size, slice->error))
    return NULL;
  return *to;
}

static gboolean
write_copy (Slice *slice, GsSegment *to, const GsBlobFrame *frame, GBytes *body)
{
  static const guint8 zeros[GS_ALIGN] = { 0 };
  g_autoptr (GBytes) head = gs_blob_frame_encode (frame);
  gsize size = body != NULL ? g_bytes_get_size (body) : 0;
  struct iovec parts[3] = {
    { (gpointer) g_bytes_get_data (head, NULL), frame->head_length },
    { body != NULL ? (gpointer) g_bytes_get_data (body, NULL) : NULL, size },
    { (gpointer) zeros, (gsize) (GS_PADDED (size) - size) },
  };

  return gs_io_pwritev (slice->store->io, to->fd, parts, 3, to->offset, to->name, slice->error);
}

/* A body that nobody names by this frame's own id any more leaves its label behind. */
static gboolean
copy_frame (Slice *slice, GsBlobFrame *frame, const GsBlobEntry *entry)
{
  g_autoptr (GBytes) body = NULL;
  GsMovedBlob moved = { .id = frame->id, .from = *entry };

  if (frame->kind == GS_FRAME_BODY)
    body = gs_read_body (slice->store, slice->from, entry, 0, G_MAXSIZE, 0, slice->error);
  if (frame->kind == GS_FRAME_BODY && body == NULL)
    return FALSE;
  if (entry->nameless)
    g_clear_pointer (&frame->label, g_bytes_unref);
  frame->nameless = entry->nameless;
  gs_blob_frame_prepare (frame, NULL);
  moved.total = gs_blob_frame_total (frame);
  slice->to = target (slice, moved.total);
  if (slice->to == NULL || !write_copy (slice, slice->to, frame, body))
    return FALSE;
  moved.segment = slice->to->number;
  moved.offset = slice->to->offset;
  moved.head_length = frame->head_length;
  slice->to->offset += moved.total;
  slice->bytes += moved.total;
  g_array_append_val (slice->move->blobs, moved);
  return TRUE;
}

static gboolean
find_entry (Slice *slice, RookBlobId id, GsBlobEntry *out_entry, gboolean *out_found)
{
  g_autoptr (GBytes) value = NULL;
  GsKey key;

  gs_blob_key (&key, id);
  if (!gs_lookup (slice->store, &slice->reader, NULL, key.bytes, gs_key_length (&key), &value, slice->error))
    return FALSE;
  *out_found = value != NULL && gs_blob_entry_decode (value, out_entry);
  return TRUE;
}

/* Where no frame is, the segment ends: behind it lies what was allocated and not used, or a write that was cut off. If it is
 * damage and not the end, bytes that should be alive will be found missing. */
static gboolean
read_head (Slice *slice, guint64 offset, GsBlobFrame *out_frame)
{
  g_autoptr (GError) failed = NULL;

  if (gs_read_frame (slice->store, slice->from, offset, out_frame, &failed)
      || g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
    return TRUE;
  g_propagate_error (slice->error, g_steal_pointer (&failed));
  return FALSE;
}

/* One frame; *@offset is moved on. */
static gboolean
visit (Slice *slice, guint64 *offset)
{
  g_auto (GsBlobFrame) frame = { 0 };
  guint64 at = *offset;
  GsBlobEntry entry;
  gboolean found;

  if (!read_head (slice, at, &frame))
    return FALSE;
  if (frame.head_length == 0)
    {
      *offset = slice->from->offset;
      return TRUE;
    }
  if (!find_entry (slice, frame.id, &entry, &found))
    return FALSE;
  *offset += gs_blob_frame_total (&frame);
  slice->frames++;
  return !found || entry.segment != slice->from->number || entry.offset != at || copy_frame (slice, &frame, &entry);
}

static guint64
first_offset (Slice *slice)
{
  g_autofree guint8 *data = g_malloc (GS_HEAD_SIZE);
  GsSegmentHead head;

  if (!gs_io_pread (slice->store->io, slice->from->fd, data, GS_HEAD_SIZE, 0, slice->from->name, slice->error)
      || !gs_segment_head_decode (data, GS_HEAD_SIZE, &head, slice->error))
    return 0;
  return head.first_frame;
}

/* Copies on from where the last slice stopped. */
static gboolean
copy_on (Slice *slice)
{
  GsStore *store = slice->store;
  guint64 offset = store->compact_offset;

  if (store->compact_number != slice->from->number)
    offset = first_offset (slice);
  if (offset == 0)
    return FALSE;
  store->compact_number = slice->from->number;
  while (offset < slice->from->offset && slice->bytes < SLICE_BYTES && slice->frames < SLICE_FRAMES)
    if (!visit (slice, &offset))
      return FALSE;
  store->compact_offset = offset;
  return slice->to == NULL || gs_io_sync (store->io, slice->to->fd, slice->to->name, slice->error);
}

/* --- a slice ---------------------------------------------------------------------------------------------------------------- */

static gboolean
commit_moves (Slice *slice)
{
  if (slice->move->blobs->len == 0 || gs_move_run (slice->store, slice->move))
    return TRUE;
  g_set_error (slice->error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IO, "what was compacted could not be committed");
  return FALSE;
}

/* The segment is empty: first the index forgets it, then the file goes. */
static gboolean
drop_segment (Slice *slice)
{
  g_autoptr (GsMove) gone = gs_move_new ();

  g_array_append_val (gone->gone, slice->from->number);
  if (!gs_move_run (slice->store, gone))
    {
      g_set_error (slice->error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IO, "a segment could not be given up");
      return FALSE;
    }
  gs_segment_remove (slice->store, slice->from);
  slice->store->compact_number = 0;
  return TRUE;
}

/* A slice that failed has moved nothing, so the next one looks at the whole segment again. What was written before a sync that
 * failed is never synced again: nothing more may come to lie behind it. */
static void
give_up (Slice *slice)
{
  slice->store->compact_number = 0;
  if (slice->to == NULL)
    return;
  gs_segment_seal (slice->store, slice->to);
  g_clear_pointer (&slice->store->compacting[slice->to->blob_class], gs_segment_unref);
}

static void
spoil (Slice *slice)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&slice->store->segments_lock);

  slice->from->spoilt = TRUE;
}

static gboolean
run_slice (Slice *slice, gboolean *out_more)
{
  GsStore *store = slice->store;

  if (live_bytes (store, slice->from) > 0)
    {
      if (!copy_on (slice) || !commit_moves (slice))
        return FALSE;
      if (store->compact_offset < slice->from->offset)
        {
          *out_more = TRUE;
          return TRUE;
        }
    }
  if (live_bytes (store, slice->from) == 0)
    return drop_segment (slice);
  /* Something alive was not found among its frames. */
  g_set_error (slice->error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "%s holds less than it should",
               slice->from->name);
  return FALSE;
}

gboolean
gs_compact (GsStore *store, gboolean *out_more, GError **error)
{
  g_autoptr (GsMove) move = gs_move_new ();
  g_autoptr (GError) failed = NULL;
  Slice slice = { .store = store, .move = move, .error = &failed };
  gboolean ok = TRUE;

  *out_more = FALSE;
  if (store->damaged) /* nothing is thrown away until somebody has looked at it */
    return TRUE;
  gs_upkeep_begin (store);
  slice.from = choose (store, out_more);
  if (slice.from != NULL)
    {
      ok = run_slice (&slice, out_more);
      if (!ok)
        give_up (&slice);
      if (!ok && g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
        {
          spoil (&slice);
          ok = slice.from->blob_class == ROOK_BLOB_CACHE; /* what a crash took of the cache is nobody's fault */
        }
      gs_segment_unref (slice.from);
    }
  gs_reader_clear (&slice.reader);
  gs_upkeep_end (store);
  if (!ok)
    g_propagate_error (error, g_steal_pointer (&failed));
  return ok;
}
