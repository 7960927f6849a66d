/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A group of batches on its way to the disk. Everything that a batch says of blobs is worked out here, in commit order, into
 * plain puts and deletes of our own tables, so that the log holds nothing but keys and values, and recovery needs no rules:
 * which body is shared, how many ids share it, when it dies, how much of a segment is alive.
 */
#include "storage-gdbm/gs-store.h"

#include <string.h>

#include "storage-gdbm/gs-bytes.h"
#include "storage-gdbm/gs-checksum.h"
#include "storage-gdbm/gs-compact.h"

/* What goes to one segment in one stretch. */
typedef struct {
  GsSegment *segment; /* (owned reference) */
  guint64 start;
  GArray *parts; /* (element-type struct iovec) */
} Run;

struct GsGroup {
  GsStore *store;
  GByteArray *payload; /* of the log frame */
  GsTable *pending;    /* what it changes; the store's once that is durable */
  GPtrArray *runs;     /* (element-type Run) */
  GPtrArray *kept;     /* (element-type GBytes) what the runs point to */
  GHashTable *live;    /* segment number to gint64: live bytes more or less */
  GArray *adopted;     /* (element-type guint64) stages */
  GArray *unwanted;    /* the same: their bodies were there already */
  GPtrArray *full;     /* (element-type GsSegment) nobody writes to them after this group */
  guint n_batches;
  guint64 bytes;
  GError *unread; /* (nullable) the first look-up that failed: what it hides may be there */
};

static void
run_free (gpointer data)
{
  Run *run = data;

  gs_segment_unref (run->segment);
  g_array_unref (run->parts);
  g_free (run);
}

GsGroup *
gs_group_new (GsStore *store)
{
  GsGroup *group = g_new0 (GsGroup, 1);

  group->store = store;
  group->payload = g_byte_array_new ();
  group->pending = gs_table_new ();
  group->runs = g_ptr_array_new_with_free_func (run_free);
  group->kept = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  group->live = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  group->adopted = g_array_new (FALSE, FALSE, sizeof (guint64));
  group->unwanted = g_array_new (FALSE, FALSE, sizeof (guint64));
  group->full = g_ptr_array_new_with_free_func ((GDestroyNotify) gs_segment_unref);
  return group;
}

void
gs_group_free (GsGroup *group)
{
  g_byte_array_unref (group->payload);
  g_clear_pointer (&group->pending, gs_table_free);
  g_ptr_array_unref (group->runs);
  g_ptr_array_unref (group->kept);
  g_hash_table_unref (group->live);
  g_array_unref (group->adopted);
  g_array_unref (group->unwanted);
  g_ptr_array_unref (group->full);
  g_clear_error (&group->unread);
  g_free (group);
}

/* --- keys and values -------------------------------------------------------------------------------------------------- */

static void
put (GsGroup *group, const GsKey *key, GBytes *value)
{
  gs_log_put (group->payload, key->bytes, gs_key_length (key), value);
  gs_table_put (group->pending, key->bytes, gs_key_length (key), value);
}

static void
put_taken (GsGroup *group, const GsKey *key, GBytes *value)
{
  put (group, key, value);
  g_bytes_unref (value);
}

static void
del (GsGroup *group, const GsKey *key)
{
  gs_log_delete (group->payload, key->bytes, gs_key_length (key));
  gs_table_delete (group->pending, key->bytes, gs_key_length (key));
}

/* A damaged record counts as missing, and is reported: a batch does not fail for it. One that could not be read, or will be
 * there once a copy is repaired, may be there, so the whole group fails (gs_group_write_segments()): else a body could be
 * lost, or counted wrongly. */
static GBytes *
look_up (GsGroup *group, const GsKey *key)
{
  g_autoptr (GError) error = NULL;
  GBytes *value = NULL;

  if (!gs_lookup (group->store, &group->store->reader, group->pending, key->bytes, gs_key_length (key), &value, &error))
    {
      gboolean damaged = g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT);

      if (damaged)
        gs_log_notice (group->store, ROOK_LOG_ERROR, "store.damaged", "%s", error->message);
      if (group->unread == NULL && (!damaged || gs_repair_is_due (group->store)))
        group->unread = g_steal_pointer (&error);
    }
  return value;
}

static gboolean
find_blob (GsGroup *group, RookBlobId id, GsBlobEntry *out_entry)
{
  g_autoptr (GBytes) value = NULL;
  GsKey key;

  gs_blob_key (&key, id);
  value = look_up (group, &key);
  return value != NULL && gs_blob_entry_decode (value, out_entry);
}

static void
put_blob (GsGroup *group, RookBlobId id, const GsBlobEntry *entry)
{
  GsKey key;

  gs_blob_key (&key, id);
  put_taken (group, &key, gs_blob_entry_encode (entry));
}

static void
del_blob (GsGroup *group, RookBlobId id)
{
  GsKey key;

  gs_blob_key (&key, id);
  del (group, &key);
}

static void
count_live (GsGroup *group, guint32 segment, gint64 bytes)
{
  gint64 *sum = g_hash_table_lookup (group->live, GUINT_TO_POINTER (segment));

  if (sum == NULL)
    {
      sum = g_new0 (gint64, 1);
      g_hash_table_insert (group->live, GUINT_TO_POINTER (segment), sum);
    }
  *sum += bytes;
}

/* --- frames ------------------------------------------------------------------------------------------------------------- */

static Run *
new_run (GsGroup *group, GsSegment *segment)
{
  Run *run = g_new (Run, 1);

  *run = (Run){ gs_segment_ref (segment), segment->offset, g_array_new (FALSE, FALSE, sizeof (struct iovec)) };
  g_ptr_array_add (group->runs, run);
  return run;
}

static Run *
run_of (GsGroup *group, GsSegment *segment)
{
  for (guint i = group->runs->len; i > 0; i--)
    {
      Run *run = g_ptr_array_index (group->runs, i - 1);

      if (run->segment == segment)
        return run;
    }
  return new_run (group, segment);
}

/* The segment that the next @size bytes of a class go to. */
static GsSegment *
writing_segment (GsGroup *group, RookBlobClass blob_class, guint64 size, GError **error)
{
  GsStore *store = group->store;
  GsSegment **segment = &store->writing[blob_class];

  if (*segment != NULL && (*segment)->offset > GS_HEAD_SIZE && (*segment)->offset + size > store->settings.segment_size)
    g_ptr_array_add (group->full, g_steal_pointer (segment));
  if (*segment == NULL)
    *segment = gs_segment_create (store, blob_class, size, error);
  else if (!gs_segment_reserve (store, *segment, size, error))
    return NULL;
  return *segment;
}

static void
add_part (GsGroup *group, Run *run, GBytes *bytes)
{
  gsize size;
  gconstpointer data = g_bytes_get_data (bytes, &size);
  struct iovec part = { (gpointer) data, size };

  if (size == 0)
    return;
  g_ptr_array_add (group->kept, g_bytes_ref (bytes));
  g_array_append_val (run->parts, part);
}

/* Appends @frame, which is prepared, with @body (nullable), and says where in @entry. */
static gboolean
append_frame (GsGroup *group, const GsBlobFrame *frame, GBytes *body, GsBlobEntry *entry, GError **error)
{
  static const guint8 zeros[GS_ALIGN] = { 0 };
  guint64 total = gs_blob_frame_total (frame), body_size = body != NULL ? g_bytes_get_size (body) : 0;
  GsSegment *segment = writing_segment (group, frame->blob_class, total, error);
  g_autoptr (GBytes) head = NULL;
  g_autoptr (GBytes) padding = NULL;
  Run *run;

  if (segment == NULL)
    return FALSE;
  run = run_of (group, segment);
  head = gs_blob_frame_encode (frame);
  padding = g_bytes_new_static (zeros, (gsize) (GS_PADDED (body_size) - body_size));
  add_part (group, run, head);
  if (body != NULL)
    add_part (group, run, body);
  add_part (group, run, padding);
  entry->segment = segment->number;
  entry->offset = segment->offset;
  entry->head_length = frame->head_length;
  entry->total = total;
  segment->offset += total;
  group->bytes += total;
  count_live (group, segment->number, (gint64) total);
  return TRUE;
}

/* --- blobs ------------------------------------------------------------------------------------------------------------ */

/* @entry: of the body @body, of which one id more makes use. A frame with the label is written, without a body. */
static gboolean
add_alias (GsGroup *group, RookBlobId id, RookBlobId body, GsBlobEntry *entry, GBytes *label, GError **error)
{
  GsBlobFrame frame = { .kind = GS_FRAME_ALIAS,
                        .blob_class = entry->blob_class,
                        .id = id,
                        .body = body,
                        .length = entry->length,
                        .label = label };
  GsBlobEntry alias = {
    .kind = GS_FRAME_ALIAS, .blob_class = entry->blob_class, .length = entry->length, .body = body
  };

  memcpy (frame.digest, entry->digest, sizeof frame.digest);
  gs_blob_frame_prepare (&frame, NULL);
  if (!append_frame (group, &frame, NULL, &alias, error))
    return FALSE;
  put_blob (group, id, &alias);
  entry->refs++;
  put_blob (group, body, entry);
  return TRUE;
}

/* A body stored under @op's content key that is equal in length and digest. */
static gboolean
find_equal (GsGroup *group, const RookOp *op, const GsBlobEntry *wanted, RookBlobId *out_body, GsBlobEntry *out_entry)
{
  g_autoptr (GBytes) value = NULL;
  GsKey key;

  if (op->key == NULL)
    return FALSE;
  gs_content_key (&key, op->blob_class, g_bytes_get_data (op->key, NULL), g_bytes_get_size (op->key));
  value = look_up (group, &key);
  if (value == NULL || g_bytes_get_size (value) != 8)
    return FALSE;
  *out_body = gs_get64 (g_bytes_get_data (value, NULL));
  return find_blob (group, *out_body, out_entry) && out_entry->kind == GS_FRAME_BODY
         && out_entry->length == wanted->length && memcmp (out_entry->digest, wanted->digest, 32) == 0;
}

/* @body can be found under @op's content key from now on; what was found before no longer is. */
static void
put_content (GsGroup *group, const RookOp *op, RookBlobId body, GsBlobEntry *entry)
{
  guint8 id[8];
  GsKey key;

  if (op->key == NULL)
    return;
  entry->content_key_length = (guint8) g_bytes_get_size (op->key);
  memcpy (entry->content_key, g_bytes_get_data (op->key, NULL), entry->content_key_length);
  gs_content_key (&key, op->blob_class, entry->content_key, entry->content_key_length);
  gs_put64 (id, body);
  put_taken (group, &key, g_bytes_new (id, sizeof id));
}

static void
digest_body (const RookOp *op, GsBlobEntry *entry)
{
  gsize size;
  gconstpointer data = g_bytes_get_data (op->value, &size);

  entry->length = size;
  if (op->key != NULL)
    gs_sha256 (data, size, entry->digest);
}

static gboolean
add_blob (GsGroup *group, const RookOp *op, GError **error)
{
  GsBlobEntry entry = { .kind = GS_FRAME_BODY, .blob_class = op->blob_class, .refs = 1 }, equal;
  GsBlobFrame frame = { .kind = GS_FRAME_BODY,
                        .blob_class = op->blob_class,
                        .id = op->blob,
                        .body = op->blob,
                        .content_key = op->key,
                        .label = op->label };
  RookBlobId body;
  gboolean ok;

  digest_body (op, &entry);
  if (find_equal (group, op, &entry, &body, &equal))
    return add_alias (group, op->blob, body, &equal, op->label, error);
  memcpy (frame.digest, entry.digest, sizeof frame.digest);
  gs_blob_frame_prepare (&frame, op->value);
  ok = append_frame (group, &frame, op->value, &entry, error);
  entry.first_crc = frame.n_chunks > 0 ? frame.chunk_crcs[0] : 0;
  g_free (frame.chunk_crcs);
  if (!ok)
    return FALSE;
  put_content (group, op, op->blob, &entry);
  put_blob (group, op->blob, &entry);
  return TRUE;
}

static gboolean
adopt (GsGroup *group, const RookOp *op, GError **error)
{
  GsBlobEntry entry, equal;
  RookBlobId body;

  if (!gs_stage_find (group->store, op->offset, &entry))
    {
      g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IO, "a stage that was not finished was adopted");
      return FALSE;
    }
  entry.blob_class = op->blob_class;
  if (find_equal (group, op, &entry, &body, &equal))
    {
      g_array_append_val (group->unwanted, op->offset);
      return add_alias (group, op->blob, body, &equal, op->label, error);
    }
  g_array_append_val (group->adopted, op->offset);
  count_live (group, entry.segment, (gint64) entry.total);
  put_content (group, op, op->offset, &entry);
  return add_alias (group, op->blob, op->offset, &entry, op->label, error);
}

static gboolean
share (GsGroup *group, const RookOp *op, GError **error)
{
  RookBlobId body = op->source;
  GsBlobEntry entry;

  if (!find_blob (group, body, &entry))
    return TRUE;
  if (entry.kind == GS_FRAME_ALIAS)
    {
      body = entry.body;
      if (!find_blob (group, body, &entry))
        return TRUE;
    }
  else if (entry.nameless)
    return TRUE;
  return add_alias (group, op->blob, body, &entry, op->label, error);
}

static void
forget_content (GsGroup *group, RookBlobId body, const GsBlobEntry *entry)
{
  g_autoptr (GBytes) value = NULL;
  GsKey key;

  if (entry->content_key_length == 0)
    return;
  gs_content_key (&key, entry->blob_class, entry->content_key, entry->content_key_length);
  value = look_up (group, &key);
  if (value != NULL && g_bytes_get_size (value) == 8 && gs_get64 (g_bytes_get_data (value, NULL)) == body)
    del (group, &key);
}

/* One id less makes use of the body. */
static void
drop_ref (GsGroup *group, RookBlobId body, GsBlobEntry *entry)
{
  if (entry->refs > 1)
    {
      entry->refs--;
      put_blob (group, body, entry);
      return;
    }
  forget_content (group, body, entry);
  count_live (group, entry->segment, -(gint64) entry->total);
  del_blob (group, body);
}

static void
release (GsGroup *group, RookBlobId id)
{
  GsBlobEntry entry, body;

  if (!find_blob (group, id, &entry) || (entry.kind == GS_FRAME_BODY && entry.nameless))
    return;
  if (entry.kind == GS_FRAME_BODY)
    {
      entry.nameless = TRUE;
      drop_ref (group, id, &entry);
      return;
    }
  count_live (group, entry.segment, -(gint64) entry.total);
  del_blob (group, id);
  if (find_blob (group, entry.body, &body))
    drop_ref (group, entry.body, &body);
}

/* --- batches ------------------------------------------------------------------------------------------------------------ */

static void
add_value (GsGroup *group, const RookOp *op)
{
  gsize length;
  gconstpointer data = g_bytes_get_data (op->key, &length);
  GsKey key;

  gs_key_set (&key, op->table, data, length);
  if (op->kind == ROOK_OP_PUT)
    put (group, &key, op->value);
  else if (op->kind == ROOK_OP_DELETE)
    del (group, &key);
  else
    {
      gs_log_patch (group->payload, key.bytes, gs_key_length (&key), op->offset, op->value);
      data = g_bytes_get_data (op->value, &length);
      gs_table_patch (group->pending, key.bytes, gs_key_length (&key), op->offset, length > 0 ? data : "", length);
    }
}

static gboolean
add_op (GsGroup *group, const RookOp *op, GError **error)
{
  switch (op->kind)
    {
    case ROOK_OP_BLOB:
      return add_blob (group, op, error);
    case ROOK_OP_ADOPT:
      return adopt (group, op, error);
    case ROOK_OP_SHARE:
      return share (group, op, error);
    case ROOK_OP_RELEASE:
      release (group, op->blob);
      return TRUE;
    default:
      add_value (group, op);
      return TRUE;
    }
}

gboolean
gs_group_add (GsGroup *group, RookBatch *batch, GError **error)
{
  guint n_ops;
  const RookOp *ops = rook_batch_get_ops (batch, &n_ops);

  for (guint i = 0; i < n_ops; i++)
    if (!add_op (group, &ops[i], error))
      return FALSE;
  group->n_batches++;
  return TRUE;
}

/* What is known of a blob now, without a look at the disk. %FALSE: it is gone. */
static gboolean
find_moved (GsGroup *group, const GsMovedBlob *moved, GsBlobEntry *out_entry)
{
  g_autoptr (GBytes) value = NULL;
  GsKey key;

  *out_entry = moved->from;
  gs_blob_key (&key, moved->id);
  return !gs_lookup_memory (group->store, group->pending, key.bytes, gs_key_length (&key), &value)
         || (value != NULL && gs_blob_entry_decode (value, out_entry));
}

/* A blob that compaction has copied is where it was, or has been released meanwhile: then the copy is dead. */
static void
move_blob (GsGroup *group, const GsMovedBlob *moved)
{
  GsBlobEntry entry;

  if (!find_moved (group, moved, &entry) || entry.segment != moved->from.segment || entry.offset != moved->from.offset)
    return;
  count_live (group, entry.segment, -(gint64) entry.total);
  entry.segment = moved->segment;
  entry.offset = moved->offset;
  entry.head_length = moved->head_length;
  entry.total = moved->total;
  count_live (group, entry.segment, (gint64) entry.total);
  put_blob (group, moved->id, &entry);
}

void
gs_group_add_move (GsGroup *group, GsMove *move)
{
  for (guint i = 0; i < move->blobs->len; i++)
    move_blob (group, &g_array_index (move->blobs, GsMovedBlob, i));
  for (guint i = 0; i < move->gone->len; i++)
    {
      guint32 number = g_array_index (move->gone, guint32, i);
      GsKey key;

      gs_segment_key (&key, number);
      del (group, &key);
      g_hash_table_remove (group->live, GUINT_TO_POINTER (number));
    }
}

/* --- out ---------------------------------------------------------------------------------------------------------------- */

static gboolean
write_run (GsStore *store, Run *run, GError **error)
{
  return gs_io_pwritev (store->io, run->segment->fd, (struct iovec *) (gpointer) run->parts->data, run->parts->len,
                        run->start, run->segment->name, error);
}

/* The sums of live bytes go to the log with what changed them. */
static void
log_live (GsGroup *group)
{
  GHashTableIter iter;
  gpointer number, sum;

  g_hash_table_iter_init (&iter, group->live);
  while (g_hash_table_iter_next (&iter, &number, &sum))
    {
      g_autoptr (GsSegment) segment = gs_segment_find (group->store, GPOINTER_TO_UINT (number));
      GsKey key;

      if (segment == NULL)
        continue;
      gs_segment_key (&key, segment->number);
      put_taken (group, &key, gs_segment_value (segment->blob_class, segment->live + (guint64) * (gint64 *) sum));
    }
}

gboolean
gs_group_write_segments (GsGroup *group, GError **error)
{
  if (group->unread != NULL)
    {
      g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IO, "%s", group->unread->message);
      return FALSE;
    }
  log_live (group);
  for (guint i = 0; i < group->runs->len; i++)
    if (!write_run (group->store, g_ptr_array_index (group->runs, i), error))
      return FALSE;
  for (guint i = 0; i < group->runs->len; i++)
    {
      Run *run = g_ptr_array_index (group->runs, i);

      if (run->segment->blob_class == ROOK_BLOB_MAIL
          && !gs_io_sync (group->store->io, run->segment->fd, run->segment->name, error))
        return FALSE;
    }
  return TRUE;
}

const GByteArray *
gs_group_payload (GsGroup *group)
{
  return group->payload;
}

guint
gs_group_n_batches (GsGroup *group)
{
  return group->n_batches;
}

guint64
gs_group_bytes (GsGroup *group)
{
  return group->bytes;
}

/* All at once: whoever reads must not find a body gone, and what named it still there. */
static void
publish (GsGroup *group)
{
  GsStore *store = group->store;
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);

  gs_memory_arrive (store, g_steal_pointer (&group->pending));
  store->position += group->n_batches;
  store->sequence = store->log.sequence - 1;
  store->log_bytes += group->payload->len + GS_LOG_FRAME_SIZE;
}

static void
apply_live (GsGroup *group)
{
  GHashTableIter iter;
  gpointer number, sum;
  gboolean wanted = FALSE;

  rook_mutex_lock (&group->store->segments_lock);
  g_hash_table_iter_init (&iter, group->live);
  while (g_hash_table_iter_next (&iter, &number, &sum))
    {
      GsSegment *segment = g_hash_table_lookup (group->store->segments, number);

      if (segment == NULL)
        continue;
      segment->live += (guint64) * (gint64 *) sum;
      wanted |= *(gint64 *) sum < 0 && gs_compact_worth (segment);
    }
  rook_mutex_unlock (&group->store->segments_lock);
  if (!wanted)
    return;
  rook_mutex_lock (&group->store->lock);
  group->store->compact_wanted = TRUE;
  rook_cond_broadcast (&group->store->cond);
  rook_mutex_unlock (&group->store->lock);
}

static void
seal_full (GsGroup *group)
{
  for (guint i = 0; i < group->full->len; i++)
    gs_segment_seal (group->store, g_ptr_array_index (group->full, i));
}

void
gs_group_apply (GsGroup *group)
{
  GsStore *store = group->store;

  publish (group);
  apply_live (group);
  for (guint i = 0; i < group->adopted->len; i++)
    gs_stage_adopted (store, g_array_index (group->adopted, guint64, i));
  for (guint i = 0; i < group->unwanted->len; i++)
    gs_stage_drop (store, g_array_index (group->unwanted, guint64, i));
  seal_full (group);
}

void
gs_group_abandon_segments (GsGroup *group)
{
  for (guint i = 0; i < group->runs->len; i++)
    {
      Run *run = g_ptr_array_index (group->runs, i);

      for (int c = 0; c < 2; c++)
        if (group->store->writing[c] == run->segment)
          g_ptr_array_add (group->full, g_steal_pointer (&group->store->writing[c]));
    }
  seal_full (group);
}
