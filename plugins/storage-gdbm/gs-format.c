/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Heads of files and the log's frames and operations, as bytes. Everything read is checked before it is believed: these
 * functions take whatever a disk may hold.
 */
#include "storage-gdbm/gs-format.h"

#include "storage-gdbm/gs-bytes.h"
#include "storage-gdbm/gs-checksum.h"

#define LOG_MAGIC "RookLog\n"
#define SEGMENT_MAGIC "RookSeg\n"
#define FRAME_MAGIC 0x464c4b52u /* "RKLF" */
#define HEAD_USED 252           /* then its checksum */

/* The kinds of operations are bytes of the log: they may not move. */
G_STATIC_ASSERT (ROOK_OP_PUT == 0 && ROOK_OP_DELETE == 1 && ROOK_OP_PATCH == 2);

/* --- heads of files: magic (8), version (2), kind of its own (6), store id (64), numbers from 80 on, CRC at 252 ------ */

static void
head_encode (guint8 *out, const char *magic, const char *store_id)
{
  gsize id_length = strlen (store_id);

  g_assert (id_length <= GS_ID_SIZE);
  memset (out, 0, GS_HEAD_SIZE);
  memcpy (out, magic, 8);
  gs_put16 (out + 8, GS_FORMAT_VERSION);
  memcpy (out + 16, store_id, id_length);
}

static gboolean
head_decode (const guint8 *data, gsize length, const char *magic, char *out_id, GError **error)
{
  if (length < GS_HEAD_SIZE || memcmp (data, magic, 8) != 0
      || gs_get32 (data + HEAD_USED) != gs_crc32c (0, data, HEAD_USED))
    {
      g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "its head is damaged");
      return FALSE;
    }
  if (gs_get16 (data + 8) > GS_FORMAT_VERSION)
    {
      g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_VERSION,
                   "it has format %u, and this version knows formats up to %u", gs_get16 (data + 8), GS_FORMAT_VERSION);
      return FALSE;
    }
  memcpy (out_id, data + 16, GS_ID_SIZE);
  out_id[GS_ID_SIZE] = '\0';
  return TRUE;
}

void
gs_log_head_encode (const GsLogHead *head, guint8 *out)
{
  head_encode (out, LOG_MAGIC, head->store_id);
  gs_put64 (out + 80, head->number);
  gs_put32 (out + 88, head->opening);
  gs_put32 (out + 92, head->previous_crc);
  gs_put64 (out + 96, head->epoch);
  gs_put64 (out + 104, head->first_sequence);
  gs_put64 (out + 112, head->first_position);
  gs_put32 (out + HEAD_USED, gs_crc32c (0, out, HEAD_USED));
}

gboolean
gs_log_head_decode (const guint8 *data, gsize length, GsLogHead *out_head, GError **error)
{
  if (!head_decode (data, length, LOG_MAGIC, out_head->store_id, error))
    return FALSE;
  out_head->number = gs_get64 (data + 80);
  out_head->opening = gs_get32 (data + 88);
  out_head->previous_crc = gs_get32 (data + 92);
  out_head->epoch = gs_get64 (data + 96);
  out_head->first_sequence = gs_get64 (data + 104);
  out_head->first_position = gs_get64 (data + 112);
  return TRUE;
}

void
gs_segment_head_encode (const GsSegmentHead *head, guint8 *out)
{
  head_encode (out, SEGMENT_MAGIC, head->store_id);
  gs_put32 (out + 80, head->number);
  gs_put32 (out + 84, head->blob_class);
  gs_put64 (out + 88, head->epoch);
  gs_put64 (out + 96, head->first_frame);
  gs_put32 (out + HEAD_USED, gs_crc32c (0, out, HEAD_USED));
}

gboolean
gs_segment_head_decode (const guint8 *data, gsize length, GsSegmentHead *out_head, GError **error)
{
  if (!head_decode (data, length, SEGMENT_MAGIC, out_head->store_id, error))
    return FALSE;
  out_head->number = gs_get32 (data + 80);
  out_head->blob_class = gs_get32 (data + 84);
  out_head->epoch = gs_get64 (data + 88);
  out_head->first_frame = gs_get64 (data + 96);
  return TRUE;
}

/* --- log frames ------------------------------------------------------------------------------------------------------- */

void
gs_log_frame_encode (GsLogFrame *frame, const guint8 *payload, guint8 *out)
{
  frame->payload_crc = gs_crc32c (0, payload, frame->length);
  memset (out, 0, GS_LOG_FRAME_SIZE);
  gs_put32 (out, FRAME_MAGIC);
  gs_put16 (out + 4, GS_FORMAT_VERSION);
  gs_put64 (out + 8, frame->epoch);
  gs_put64 (out + 16, frame->sequence);
  gs_put64 (out + 24, frame->first_position);
  gs_put64 (out + 32, frame->length);
  gs_put32 (out + 40, frame->n_batches);
  gs_put32 (out + 44, frame->previous_crc);
  gs_put32 (out + 48, frame->payload_crc);
  frame->crc = gs_crc32c (0, out, 60);
  gs_put32 (out + 60, frame->crc);
}

gboolean
gs_log_frame_decode (const guint8 *data, gsize available, guint64 epoch, GsLogFrame *out_frame)
{
  if (available < GS_LOG_FRAME_SIZE || gs_get32 (data) != FRAME_MAGIC || gs_get64 (data + 8) != epoch
      || gs_get32 (data + 60) != gs_crc32c (0, data, 60))
    return FALSE;
  out_frame->epoch = epoch;
  out_frame->sequence = gs_get64 (data + 16);
  out_frame->first_position = gs_get64 (data + 24);
  out_frame->length = gs_get64 (data + 32);
  out_frame->n_batches = gs_get32 (data + 40);
  out_frame->previous_crc = gs_get32 (data + 44);
  out_frame->payload_crc = gs_get32 (data + 48);
  out_frame->crc = gs_get32 (data + 60);
  return out_frame->length <= available - GS_LOG_FRAME_SIZE
         && gs_crc32c (0, data + GS_LOG_FRAME_SIZE, out_frame->length) == out_frame->payload_crc;
}

/* --- operations: kind (1), zero (1), key length (2), size of the data (4), offset (8, patches alone), key, data ------- */

static guint8 *
append_op (GByteArray *payload, RookOpKind kind, const guint8 *key, guint length, gsize extra, gsize size)
{
  guint8 *p = gs_grow (payload, 8 + extra + length + size);

  p[0] = (guint8) (kind + 1);
  gs_put16 (p + 2, (guint16) length);
  gs_put32 (p + 4, (guint32) size);
  memcpy (p + 8 + extra, key, length);
  return p;
}

static void
copy_data (guint8 *p, GBytes *bytes)
{
  gsize size;
  gconstpointer data = g_bytes_get_data (bytes, &size);

  if (size > 0)
    memcpy (p, data, size);
}

void
gs_log_put (GByteArray *payload, const guint8 *key, guint length, GBytes *value)
{
  guint8 *p = append_op (payload, ROOK_OP_PUT, key, length, 0, g_bytes_get_size (value));

  copy_data (p + 8 + length, value);
}

void
gs_log_delete (GByteArray *payload, const guint8 *key, guint length)
{
  append_op (payload, ROOK_OP_DELETE, key, length, 0, 0);
}

void
gs_log_patch (GByteArray *payload, const guint8 *key, guint length, guint64 offset, GBytes *bytes)
{
  guint8 *p = append_op (payload, ROOK_OP_PATCH, key, length, 8, g_bytes_get_size (bytes));

  gs_put64 (p + 8, offset);
  copy_data (p + 16 + length, bytes);
}

static gboolean
malformed (GError **error)
{
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "a log frame holds what is no operation");
  return FALSE;
}

gboolean
gs_log_next (const guint8 *payload, gsize length, gsize *at, GsLogOp *out_op, GError **error)
{
  gsize left = length - *at, extra;
  const guint8 *p;

  if (left == 0) /* an empty payload may have no address at all */
    return FALSE;
  p = payload + *at;
  if (left < 8 || p[0] < 1 || p[0] > ROOK_OP_PATCH + 1)
    return malformed (error);
  out_op->kind = (RookOpKind) (p[0] - 1);
  extra = out_op->kind == ROOK_OP_PATCH ? 8 : 0;
  out_op->key_length = gs_get16 (p + 2);
  out_op->size = gs_get32 (p + 4);
  if (out_op->key_length < 2 || out_op->key_length > GS_MAX_KEY || left - 8 < extra + out_op->key_length
      || left - 8 - extra - out_op->key_length < out_op->size)
    return malformed (error);
  out_op->offset = extra > 0 ? gs_get64 (p + 8) : 0;
  if (out_op->offset > ROOK_STORE_MAX_VALUE || out_op->size > ROOK_STORE_MAX_VALUE
      || (out_op->kind == ROOK_OP_DELETE && out_op->size > 0))
    return malformed (error);
  out_op->key = p + 8 + extra;
  out_op->data = out_op->key + out_op->key_length;
  if (gs_key_table (out_op->key) >= GS_N_TABLES)
    return malformed (error);
  *at += 8 + extra + out_op->key_length + out_op->size;
  return TRUE;
}

void
gs_log_apply (const GsLogOp *op, GsTable *table)
{
  g_autoptr (GBytes) value = NULL;

  switch (op->kind)
    {
    case ROOK_OP_PUT:
      value = g_bytes_new (op->data, op->size);
      gs_table_put (table, op->key, op->key_length, value);
      break;
    case ROOK_OP_DELETE:
      gs_table_delete (table, op->key, op->key_length);
      break;
    default:
      gs_table_patch (table, op->key, op->key_length, op->offset, op->data, op->size);
      break;
    }
}
