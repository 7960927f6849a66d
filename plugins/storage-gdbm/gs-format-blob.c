/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Blob frames, the values of our own tables, and records, as bytes.
 */
#include "storage-gdbm/gs-bytes.h"
#include "storage-gdbm/gs-checksum.h"
#include "storage-gdbm/gs-format.h"

#define BLOB_MAGIC 0x46424b52u /* "RKBF" */
#define FLAG_NAMELESS 1
#define ENTRY_SIZE 96 /* then the content key */
#define MAX_BODY (G_GUINT64_CONSTANT (1) << 40)

/* --- blob frames: the head's checksum, at 12, covers everything before the body -------------------------------------- */

void
gs_blob_frame_clear (GsBlobFrame *frame)
{
  g_clear_pointer (&frame->content_key, g_bytes_unref);
  g_clear_pointer (&frame->label, g_bytes_unref);
  g_clear_pointer (&frame->chunk_crcs, g_free);
}

static gsize
size_of (GBytes *bytes)
{
  return bytes != NULL ? g_bytes_get_size (bytes) : 0;
}

guint64
gs_blob_frame_total (const GsBlobFrame *frame)
{
  return frame->head_length + (frame->kind == GS_FRAME_BODY ? GS_PADDED (frame->length) : 0);
}

static void
compute_chunks (GsBlobFrame *frame, GBytes *body)
{
  const guint8 *data = g_bytes_get_data (body, NULL);

  frame->length = g_bytes_get_size (body);
  frame->n_chunks = (guint) ((frame->length + GS_CHUNK - 1) / GS_CHUNK);
  frame->chunk_crcs = g_new (guint32, frame->n_chunks + 1);
  for (guint i = 0; i < frame->n_chunks; i++)
    frame->chunk_crcs[i] =
        gs_crc32c (0, data + (gsize) i * GS_CHUNK, MIN (GS_CHUNK, frame->length - (guint64) i * GS_CHUNK));
}

void
gs_blob_frame_prepare (GsBlobFrame *frame, GBytes *body)
{
  if (body != NULL)
    compute_chunks (frame, body);
  frame->head_length = (guint32) GS_PADDED (GS_BLOB_FRAME_SIZE + size_of (frame->content_key) + size_of (frame->label)
                                            + 4 * (gsize) frame->n_chunks);
}

static guint8 *
put_bytes (guint8 *p, GBytes *bytes)
{
  gsize size = size_of (bytes);

  if (size > 0)
    memcpy (p, g_bytes_get_data (bytes, NULL), size);
  return p + size;
}

GBytes *
gs_blob_frame_encode (const GsBlobFrame *frame)
{
  guint8 *out = g_malloc0 (frame->head_length), *p;

  gs_put32 (out, BLOB_MAGIC);
  out[4] = GS_FORMAT_VERSION;
  out[5] = (guint8) frame->kind;
  out[6] = (guint8) frame->blob_class;
  out[7] = frame->codec;
  gs_put32 (out + 8, frame->head_length);
  gs_put64 (out + 16, frame->id);
  gs_put64 (out + 24, frame->body);
  gs_put64 (out + 32, frame->length);
  gs_put64 (out + 40, frame->length); /* decoded: differs once there are codecs */
  gs_put32 (out + 48, frame->n_chunks);
  gs_put32 (out + 52, (guint32) size_of (frame->label));
  gs_put16 (out + 56, (guint16) size_of (frame->content_key));
  out[58] = frame->nameless ? FLAG_NAMELESS : 0;
  out[59] = frame->label != NULL;
  memcpy (out + 64, frame->digest, 32);
  p = put_bytes (out + GS_BLOB_FRAME_SIZE, frame->content_key);
  p = put_bytes (p, frame->label);
  for (guint i = 0; i < frame->n_chunks; i++, p += 4)
    gs_put32 (p, frame->chunk_crcs[i]);
  gs_put32 (out + 12, gs_crc32c (0, out, frame->head_length));
  return g_bytes_new_take (out, frame->head_length);
}

guint32
gs_blob_frame_head_length (const guint8 *data)
{
  guint32 length = gs_get32 (data + 8);
  guint64 needed =
      GS_BLOB_FRAME_SIZE + (guint64) gs_get16 (data + 56) + gs_get32 (data + 52) + 4 * (guint64) gs_get32 (data + 48);

  return gs_get32 (data) == BLOB_MAGIC && length == GS_PADDED (needed) ? length : 0;
}

static gboolean
is_kind (guint8 kind, guint8 blob_class)
{
  return (kind == GS_FRAME_BODY || kind == GS_FRAME_ALIAS) && blob_class <= ROOK_BLOB_CACHE;
}

/* Whether its numbers go together: a right checksum says only that they are what was written. */
static gboolean
check_numbers (const guint8 *data)
{
  guint64 length = gs_get64 (data + 32), n_chunks = gs_get32 (data + 48);
  guint32 label_length = gs_get32 (data + 52);

  return is_kind (data[5], data[6]) && data[7] == 0 && length <= MAX_BODY
         && n_chunks == (data[5] == GS_FRAME_BODY ? (length + GS_CHUNK - 1) / GS_CHUNK : 0)
         && label_length <= (data[59] ? ROOK_STORE_MAX_LABEL : 0) && gs_get16 (data + 56) <= ROOK_STORE_MAX_CONTENT_KEY;
}

static gboolean
check_head (const guint8 *data, gsize length)
{
  static const guint8 zero[4] = { 0 };
  guint32 crc;

  if (length < GS_BLOB_FRAME_SIZE || gs_blob_frame_head_length (data) != length || data[4] != GS_FORMAT_VERSION
      || !check_numbers (data))
    return FALSE;
  crc = gs_crc32c (0, data, 12);
  crc = gs_crc32c (crc, zero, 4);
  crc = gs_crc32c (crc, data + 16, length - 16);
  return crc == gs_get32 (data + 12);
}

gboolean
gs_blob_frame_decode (const guint8 *data, gsize length, GsBlobFrame *out_frame)
{
  const guint8 *p = data + GS_BLOB_FRAME_SIZE;
  guint32 label_length;
  guint16 key_length;

  if (!check_head (data, length))
    return FALSE;
  key_length = gs_get16 (data + 56);
  label_length = gs_get32 (data + 52);
  *out_frame = (GsBlobFrame){ .kind = (GsFrameKind) data[5],
                              .blob_class = (RookBlobClass) data[6],
                              .codec = data[7],
                              .nameless = (data[58] & FLAG_NAMELESS) != 0,
                              .id = gs_get64 (data + 16),
                              .body = gs_get64 (data + 24),
                              .length = gs_get64 (data + 32),
                              .n_chunks = gs_get32 (data + 48),
                              .head_length = (guint32) length };
  memcpy (out_frame->digest, data + 64, 32);
  if (key_length > 0)
    out_frame->content_key = g_bytes_new (p, key_length);
  if (data[59])
    out_frame->label = g_bytes_new (p + key_length, label_length);
  p += key_length + label_length;
  out_frame->chunk_crcs = g_new (guint32, out_frame->n_chunks + 1);
  for (guint i = 0; i < out_frame->n_chunks; i++)
    out_frame->chunk_crcs[i] = gs_get32 (p + 4 * (gsize) i);
  return TRUE;
}

/* --- blob entries ----------------------------------------------------------------------------------------------------- */

GBytes *
gs_blob_entry_encode (const GsBlobEntry *entry)
{
  gsize size = ENTRY_SIZE + entry->content_key_length;
  guint8 *out = g_malloc0 (size);

  out[0] = GS_FORMAT_VERSION;
  out[1] = (guint8) entry->kind;
  out[2] = (guint8) entry->blob_class;
  out[3] = entry->nameless ? FLAG_NAMELESS : 0;
  gs_put32 (out + 4, entry->segment);
  gs_put64 (out + 8, entry->offset);
  gs_put32 (out + 16, entry->head_length);
  gs_put32 (out + 20, entry->first_crc);
  gs_put64 (out + 24, entry->length);
  gs_put64 (out + 32, entry->total);
  gs_put64 (out + 40, entry->body);
  gs_put32 (out + 48, entry->refs);
  out[52] = entry->content_key_length;
  memcpy (out + 64, entry->digest, 32);
  memcpy (out + ENTRY_SIZE, entry->content_key, entry->content_key_length);
  return g_bytes_new_take (out, size);
}

/* Whether the numbers of an entry go together; where it points is looked at when it is read. */
static gboolean
check_entry (const guint8 *data)
{
  guint64 length = gs_get64 (data + 24), head_length = gs_get32 (data + 16);

  return is_kind (data[1], data[2]) && length <= MAX_BODY && gs_get64 (data + 8) <= MAX_BODY
         && gs_get64 (data + 32) == head_length + (data[1] == GS_FRAME_BODY ? GS_PADDED (length) : 0);
}

gboolean
gs_blob_entry_decode (GBytes *value, GsBlobEntry *out_entry)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (value, &size);

  if (size < ENTRY_SIZE || data[0] != GS_FORMAT_VERSION || data[52] > ROOK_STORE_MAX_CONTENT_KEY
      || size < ENTRY_SIZE + (gsize) data[52] || !check_entry (data))
    return FALSE;
  memset (out_entry, 0, sizeof *out_entry);
  out_entry->kind = (GsFrameKind) data[1];
  out_entry->blob_class = (RookBlobClass) data[2];
  out_entry->nameless = (data[3] & FLAG_NAMELESS) != 0;
  out_entry->segment = gs_get32 (data + 4);
  out_entry->offset = gs_get64 (data + 8);
  out_entry->head_length = gs_get32 (data + 16);
  out_entry->first_crc = gs_get32 (data + 20);
  out_entry->length = gs_get64 (data + 24);
  out_entry->total = gs_get64 (data + 32);
  out_entry->body = gs_get64 (data + 40);
  out_entry->refs = gs_get32 (data + 48);
  out_entry->content_key_length = data[52];
  memcpy (out_entry->digest, data + 64, 32);
  memcpy (out_entry->content_key, data + ENTRY_SIZE, out_entry->content_key_length);
  return TRUE;
}

void
gs_blob_key (GsKey *key, RookBlobId id)
{
  guint8 bytes[8];

  gs_put64_be (bytes, id);
  gs_key_set (key, GS_TABLE_BLOBS, bytes, sizeof bytes);
}

void
gs_content_key (GsKey *key, RookBlobClass blob_class, gconstpointer data, gsize length)
{
  guint8 bytes[1 + ROOK_STORE_MAX_CONTENT_KEY];

  bytes[0] = (guint8) blob_class;
  memcpy (bytes + 1, data, length);
  gs_key_set (key, GS_TABLE_CONTENT, bytes, 1 + length);
}

void
gs_segment_key (GsKey *key, guint32 number)
{
  guint8 bytes[4] = { (guint8) (number >> 24), (guint8) (number >> 16), (guint8) (number >> 8), (guint8) number };

  gs_key_set (key, GS_TABLE_SEGMENTS, bytes, sizeof bytes);
}

guint32
gs_segment_number (const guint8 *key)
{
  return (guint32) key[2] << 24 | (guint32) key[3] << 16 | (guint32) key[4] << 8 | key[5];
}

GBytes *
gs_segment_value (RookBlobClass blob_class, guint64 live)
{
  guint8 out[16] = { GS_FORMAT_VERSION, (guint8) blob_class };

  gs_put64 (out + 8, live);
  return g_bytes_new (out, sizeof out);
}

gboolean
gs_segment_value_decode (GBytes *value, RookBlobClass *out_class, guint64 *out_live)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (value, &size);

  if (size < 16 || data[0] != GS_FORMAT_VERSION || data[1] > ROOK_BLOB_CACHE)
    return FALSE;
  *out_class = (RookBlobClass) data[1];
  *out_live = gs_get64 (data + 8);
  return TRUE;
}

/* --- records: CRC of key and value (4), length (4), version (1), zeros (3), the value, zeros up to the size class ----- */

/* Classes: multiples of 32 up to 256, then four to each doubling. */
gsize
gs_record_size (gsize length)
{
  gsize size = GS_RECORD_HEAD + length, step = 32;

  while (size > step * 8)
    step *= 2;
  return (size + step - 1) / step * step;
}

static guint32
record_crc (const guint8 *key, guint key_length, gconstpointer data, gsize length)
{
  return gs_crc32c (gs_crc32c (0, key, key_length), data, length);
}

void
gs_record_encode (const guint8 *key, guint key_length, gconstpointer data, gsize length, guint8 *out)
{
  memset (out, 0, GS_RECORD_HEAD);
  gs_put32 (out, record_crc (key, key_length, data, length));
  gs_put32 (out + 4, (guint32) length);
  out[8] = GS_FORMAT_VERSION;
  if (length > 0)
    memcpy (out + GS_RECORD_HEAD, data, length);
  memset (out + GS_RECORD_HEAD + length, 0, gs_record_size (length) - GS_RECORD_HEAD - length);
}

gboolean
gs_record_decode (const guint8 *key, guint key_length, const guint8 *record, gsize size, gsize *out_length)
{
  gsize length;

  if (size < GS_RECORD_HEAD || record[8] != GS_FORMAT_VERSION)
    return FALSE;
  length = gs_get32 (record + 4);
  if (length > ROOK_STORE_MAX_VALUE || gs_record_size (length) != size
      || record_crc (key, key_length, record + GS_RECORD_HEAD, length) != gs_get32 (record))
    return FALSE;
  *out_length = length;
  return TRUE;
}

guint64
gs_record_digest (const guint8 *key, guint key_length, gconstpointer data, gsize length)
{
  guint8 parts[24];

  gs_put64 (parts, gs_siphash (key, key_length));
  gs_put64 (parts + 8, gs_siphash (data, length));
  gs_put64 (parts + 16, (guint64) key_length << 32 | length);
  return gs_siphash (parts, sizeof parts);
}
