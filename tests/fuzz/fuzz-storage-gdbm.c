/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What storage-gdbm reads back from its files, as bytes: heads of files, log frames and their operations, blob frames,
 * values of its own tables, records. The first byte says which; its highest bit has the checksums made right, so that what
 * lies behind them is reached. Whole directories are fuzz-storage-gdbm-store's.
 *
 * A reader refuses, or gives what lies within its bytes and is written again as it was.
 */
#include "storage-gdbm/gs-bytes.h"
#include "storage-gdbm/gs-checksum.h"
#include "storage-gdbm/gs-format.h"

#define FIX_CHECKSUMS 0x80
#define MAX_EXTENT (256 * 1024) /* of values: what is longer is slow, and no different */

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

/* --- heads of files ------------------------------------------------------------------------------------------------- */

static guint8 *
make_head (const guint8 *data, gsize size, gboolean fix)
{
  guint8 *head = g_malloc0 (GS_HEAD_SIZE);

  memcpy (head, data, MIN (size, GS_HEAD_SIZE));
  if (fix)
    gs_put32 (head + 252, gs_crc32c (0, head, 252));
  return head;
}

static void
read_log_head (const guint8 *data, gsize size, gboolean fix)
{
  g_autofree guint8 *head = make_head (data, size, fix);
  g_autofree guint8 *again = g_malloc (GS_HEAD_SIZE);
  GsLogHead read, back;

  g_assert (!gs_log_head_decode (data, MIN (size, GS_HEAD_SIZE - 1), &read, NULL));
  if (!gs_log_head_decode (head, GS_HEAD_SIZE, &read, NULL))
    return;
  g_assert (strlen (read.store_id) <= GS_ID_SIZE);
  gs_log_head_encode (&read, again);
  g_assert (gs_log_head_decode (again, GS_HEAD_SIZE, &back, NULL));
  g_assert (strcmp (read.store_id, back.store_id) == 0 && memcmp (head + 80, again + 80, 40) == 0);
}

static void
read_segment_head (const guint8 *data, gsize size, gboolean fix)
{
  g_autofree guint8 *head = make_head (data, size, fix);
  g_autofree guint8 *again = g_malloc (GS_HEAD_SIZE);
  GsSegmentHead read, back;

  if (!gs_segment_head_decode (head, GS_HEAD_SIZE, &read, NULL))
    return;
  g_assert (strlen (read.store_id) <= GS_ID_SIZE);
  gs_segment_head_encode (&read, again);
  g_assert (gs_segment_head_decode (again, GS_HEAD_SIZE, &back, NULL));
  g_assert (strcmp (read.store_id, back.store_id) == 0 && memcmp (head + 80, again + 80, 24) == 0);
}

/* --- log frames: what they do to a table is compared with what a simple one makes of it ---------------------------------- */

typedef struct {
  GHashTable *model;            /* GBytes (keys) to GByteArray, or to NULL: deleted */
  GsTable *all, *lower, *upper; /* all operations; the first few; the others */
} Tables;

static void
unref_value (gpointer value)
{
  if (value != NULL)
    g_byte_array_unref (value);
}

static void
model_apply (GHashTable *model, const GsLogOp *op)
{
  g_autoptr (GBytes) key = g_bytes_new (op->key, op->key_length);
  GByteArray *old = g_hash_table_lookup (model, key), *value = NULL;

  if (op->kind != ROOK_OP_DELETE)
    {
      value = g_byte_array_new ();
      if (op->kind == ROOK_OP_PATCH && old != NULL)
        g_byte_array_append (value, old->data, old->len);
      if (value->len < op->offset + op->size)
        gs_grow (value, (gsize) (op->offset + op->size - value->len));
      if (op->size > 0)
        memcpy (value->data + op->offset, op->data, op->size);
    }
  g_hash_table_replace (model, g_steal_pointer (&key), value);
}

static void
check_value (const GsTable *table, GBytes *key, const GByteArray *value)
{
  gsize length;
  const guint8 *bytes = g_bytes_get_data (key, &length);
  const GsEntry *entry = gs_table_lookup ((GsTable *) table, bytes, (guint) length);
  g_autoptr (GBytes) found = entry != NULL ? gs_entry_resolve (entry, NULL) : NULL;

  g_assert (entry != NULL && (found != NULL) == (value != NULL));
  if (value != NULL)
    {
      g_assert (g_bytes_get_size (found) == value->len);
      g_assert (value->len == 0 || memcmp (g_bytes_get_data (found, NULL), value->data, value->len) == 0);
    }
}

static void
check_tables (Tables *tables)
{
  GHashTableIter iter;
  gpointer key, value;
  GsEntry *entry, *old;

  while ((entry = gs_table_take (tables->upper)) != NULL)
    if ((old = gs_table_lay (tables->lower, entry)) != NULL)
      gs_entry_free (old);
  g_assert (gs_table_size (tables->upper) == 0 && gs_table_bytes (tables->upper) == 0);
  g_assert (gs_table_size (tables->all) == g_hash_table_size (tables->model));
  g_assert (gs_table_size (tables->lower) == g_hash_table_size (tables->model));
  g_hash_table_iter_init (&iter, tables->model);
  while (g_hash_table_iter_next (&iter, &key, &value))
    {
      check_value (tables->all, key, value);
      check_value (tables->lower, key, value);
    }
}

/* @bytes: of the operation as it was read */
static void
check_op (const GsLogOp *op, const guint8 *bytes, gsize length)
{
  g_autoptr (GByteArray) again = g_byte_array_new ();
  g_autoptr (GBytes) data = g_bytes_new (op->data, op->size);

  g_assert (op->key > bytes && op->key + op->key_length == op->data && op->data + op->size == bytes + length);
  g_assert (op->key_length >= 2 && op->key_length <= GS_MAX_KEY && gs_key_table (op->key) < GS_N_TABLES);
  if (op->kind == ROOK_OP_PUT)
    gs_log_put (again, op->key, op->key_length, data);
  else if (op->kind == ROOK_OP_PATCH)
    gs_log_patch (again, op->key, op->key_length, op->offset, data);
  else
    gs_log_delete (again, op->key, op->key_length);
  g_assert (again->len == length && again->data[0] == bytes[0] && memcmp (again->data + 2, bytes + 2, length - 2) == 0);
}

static void
read_ops (const guint8 *payload, gsize length)
{
  Tables tables = { g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, unref_value),
                    gs_table_new (), gs_table_new (), gs_table_new () };
  g_autoptr (GError) error = NULL;
  gsize at = 0, start = 0;
  GsLogOp op;

  for (guint n = 0; gs_log_next (payload, length, &at, &op, &error); n++, start = at)
    {
      g_assert (at > start && at <= length);
      check_op (&op, payload + start, at - start);
      if (op.offset + op.size > MAX_EXTENT)
        continue;
      gs_log_apply (&op, tables.all);
      gs_log_apply (&op, n < 4 ? tables.lower : tables.upper);
      model_apply (tables.model, &op);
    }
  g_assert (error != NULL || at == length);
  check_tables (&tables);
  gs_table_free (tables.all);
  gs_table_free (tables.lower);
  gs_table_free (tables.upper);
  g_hash_table_unref (tables.model);
}

static void
read_log_frame (guint8 *data, gsize size, gboolean fix)
{
  guint8 again[GS_LOG_FRAME_SIZE];
  GsLogFrame frame, back;

  if (fix && size >= GS_LOG_FRAME_SIZE)
    {
      gs_put64 (data + 32, MIN (gs_get64 (data + 32), size - GS_LOG_FRAME_SIZE));
      gs_put32 (data + 48, gs_crc32c (0, data + GS_LOG_FRAME_SIZE, gs_get64 (data + 32)));
      gs_put32 (data + 60, gs_crc32c (0, data, 60));
    }
  if (!gs_log_frame_decode (data, size, size >= 16 ? gs_get64 (data + 8) : 0, &frame))
    return;
  g_assert (frame.length <= size - GS_LOG_FRAME_SIZE);
  back = frame;
  gs_log_frame_encode (&back, data + GS_LOG_FRAME_SIZE, again);
  g_assert (back.payload_crc == frame.payload_crc && memcmp (again + 8, data + 8, 44) == 0);
  read_ops (data + GS_LOG_FRAME_SIZE, frame.length);
}

/* --- blobs -------------------------------------------------------------------------------------------------------------- */

static gsize
size_of (GBytes *bytes)
{
  return bytes != NULL ? g_bytes_get_size (bytes) : 0;
}

static void
check_blob_frame (const guint8 *data, gsize length, const GsBlobFrame *frame)
{
  g_autoptr (GBytes) again = gs_blob_frame_encode (frame);
  const guint8 *bytes = g_bytes_get_data (again, NULL);
  gsize used = size_of (frame->content_key) + size_of (frame->label) + 4 * (gsize) frame->n_chunks;
  g_auto (GsBlobFrame) back = { 0 };

  g_assert (frame->kind == GS_FRAME_BODY || frame->kind == GS_FRAME_ALIAS);
  g_assert (frame->blob_class <= ROOK_BLOB_CACHE && frame->codec == 0);
  g_assert (frame->head_length == length && GS_BLOB_FRAME_SIZE + used <= length);
  g_assert (size_of (frame->content_key) <= ROOK_STORE_MAX_CONTENT_KEY);
  g_assert (size_of (frame->label) <= ROOK_STORE_MAX_LABEL);
  g_assert (frame->n_chunks == (frame->kind == GS_FRAME_BODY ? (frame->length + GS_CHUNK - 1) / GS_CHUNK : 0));
  g_assert (gs_blob_frame_total (frame) >= length);
  g_assert (memcmp (bytes, data, 12) == 0 && memcmp (bytes + 16, data + 16, 24) == 0);
  g_assert (memcmp (bytes + 48, data + 48, 10) == 0 && memcmp (bytes + 64, data + 64, 32) == 0);
  g_assert (memcmp (bytes + GS_BLOB_FRAME_SIZE, data + GS_BLOB_FRAME_SIZE, used) == 0);
  g_assert (gs_blob_frame_decode (bytes, length, &back) && (back.label != NULL) == (frame->label != NULL));
}

static void
read_blob_frame (const guint8 *data, gsize size, gboolean fix)
{
  g_autofree guint8 *bytes = g_memdup2 (data, size);
  g_auto (GsBlobFrame) frame = { 0 };

  if (fix && size >= GS_BLOB_FRAME_SIZE)
    {
      guint64 needed = GS_BLOB_FRAME_SIZE + (guint64) gs_get16 (data + 56) + gs_get32 (data + 52)
                       + 4 * (guint64) gs_get32 (data + 48);

      size = (gsize) GS_PADDED (MIN (needed, 70000));
      g_free (bytes);
      bytes = g_malloc0 (size);
      memcpy (bytes, data, MIN (size, GS_BLOB_FRAME_SIZE));
      gs_put32 (bytes + 8, (guint32) size);
      gs_put32 (bytes + 12, 0);
      gs_put32 (bytes + 12, gs_crc32c (0, bytes, size));
    }
  if (size >= GS_BLOB_FRAME_SIZE && gs_blob_frame_decode (bytes, size, &frame))
    check_blob_frame (bytes, size, &frame);
}

static void
read_blob_entry (GBytes *value)
{
  const guint8 *data = g_bytes_get_data (value, NULL), *bytes;
  g_autoptr (GBytes) again = NULL;
  GsBlobEntry entry;

  if (!gs_blob_entry_decode (value, &entry))
    return;
  g_assert (entry.kind == GS_FRAME_BODY || entry.kind == GS_FRAME_ALIAS);
  g_assert (entry.blob_class <= ROOK_BLOB_CACHE && entry.content_key_length <= ROOK_STORE_MAX_CONTENT_KEY);
  g_assert (entry.total == entry.head_length + (entry.kind == GS_FRAME_BODY ? GS_PADDED (entry.length) : 0));
  again = gs_blob_entry_encode (&entry);
  bytes = g_bytes_get_data (again, NULL);
  g_assert (g_bytes_get_size (again) <= g_bytes_get_size (value) && memcmp (bytes, data, 3) == 0);
  g_assert (memcmp (bytes + 4, data + 4, 49) == 0
            && memcmp (bytes + 64, data + 64, g_bytes_get_size (again) - 64) == 0);
}

static void
read_segment_value (GBytes *value)
{
  g_autoptr (GBytes) again = NULL;
  RookBlobClass blob_class;
  guint64 live, live_again;

  if (!gs_segment_value_decode (value, &blob_class, &live))
    return;
  g_assert (blob_class <= ROOK_BLOB_CACHE);
  again = gs_segment_value (blob_class, live);
  g_assert (gs_segment_value_decode (again, &blob_class, &live_again) && live_again == live);
}

/* --- records: a byte that is the key's length, the key, the record ------------------------------------------------------- */

static void
read_record (guint8 *data, gsize size, gboolean fix)
{
  guint key_length = size > 0 ? data[0] : 0;
  const guint8 *key = data + 1;
  g_autofree guint8 *again = NULL;
  guint8 *record;
  gsize length;

  if (size < 1 + (gsize) key_length)
    return;
  size -= 1 + key_length;
  record = data + 1 + key_length;
  if (fix && size >= GS_RECORD_HEAD)
    {
      length = MIN (gs_get32 (record + 4), size - GS_RECORD_HEAD);
      gs_put32 (record, gs_crc32c (gs_crc32c (0, key, key_length), record + GS_RECORD_HEAD, length));
    }
  if (!gs_record_decode (key, key_length, record, size, &length))
    return;
  g_assert (length <= size - GS_RECORD_HEAD && gs_record_size (length) == size);
  again = g_malloc (size);
  gs_record_encode (key, key_length, record + GS_RECORD_HEAD, length, again);
  g_assert (memcmp (again, record, 9) == 0 && memcmp (again + GS_RECORD_HEAD, record + GS_RECORD_HEAD, length) == 0);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autofree guint8 *copy = size > 1 ? g_memdup2 (data + 1, size - 1) : NULL;
  g_autoptr (GBytes) bytes = NULL;
  gboolean fix;

  if (size < 2)
    return 0;
  fix = (data[0] & FIX_CHECKSUMS) != 0;
  bytes = g_bytes_new (data + 1, size - 1);
  switch ((data[0] & ~FIX_CHECKSUMS) % 8)
    {
    case 0:
      read_log_head (copy, size - 1, fix);
      break;
    case 1:
      read_segment_head (copy, size - 1, fix);
      break;
    case 2:
      read_log_frame (copy, size - 1, fix);
      break;
    case 3:
      read_ops (copy, size - 1);
      break;
    case 4:
      read_blob_frame (copy, size - 1, fix);
      break;
    case 5:
      read_blob_entry (bytes);
      break;
    case 6:
      read_segment_value (bytes);
      break;
    default:
      read_record (copy, size - 1, fix);
      break;
    }
  return 0;
}
