/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bodies streamed ahead. Each has a segment file of its own: first a hole, in which the frame's head will stand right before
 * the body once its checksums are known, then the body as it comes. Adopted, the file is a segment like any other.
 */
#include "storage-gdbm/gs-store.h"

#include <openssl/evp.h>
#include <string.h>

#include "storage-gdbm/gs-bytes.h"
#include "storage-gdbm/gs-checksum.h"

/* Where the body begins: room for the checksums of 16 GiB. The hole takes no space. */
#define BODY_OFFSET (GS_HEAD_SIZE + 1024 * 1024 + 4096)
#define MAX_LENGTH (16 * (guint64) 1024 * 1024 * 1024)

typedef struct {
  GsSegment *segment; /* (owned reference) */
  guint64 length;
  guint32 crc;  /* of the chunk begun */
  GArray *crcs; /* (element-type guint32) of whole chunks */
  EVP_MD_CTX *sha;
  gboolean finished; /* under stages_lock */
  GsBlobEntry entry; /* once it is finished */
} Stage;

static void
stage_free (gpointer data)
{
  Stage *stage = data;

  g_clear_pointer (&stage->segment, gs_segment_unref);
  g_array_unref (stage->crcs);
  EVP_MD_CTX_free (stage->sha);
  g_free (stage);
}

static Stage *
find (GsStore *store, guint64 id)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->stages_lock);

  if (store->stages == NULL)
    return NULL;
  return g_hash_table_lookup (store->stages, &id);
}

gboolean
gs_stage_begin (GsStore *store, RookBlobClass blob_class, guint64 *out_stage, GError **error)
{
  GsSegment *segment = gs_segment_create (store, blob_class, 0, error);
  RookBlobId id;
  Stage *stage;

  if (segment == NULL)
    return FALSE;
  stage = g_new0 (Stage, 1);
  stage->segment = segment;
  stage->crcs = g_array_new (FALSE, FALSE, sizeof (guint32));
  stage->sha = EVP_MD_CTX_new ();
  if (stage->sha == NULL || EVP_DigestInit_ex (stage->sha, EVP_sha256 (), NULL) != 1)
    g_error ("no SHA-256");
  segment->offset = BODY_OFFSET;
  segment->allocated = BODY_OFFSET;
  id = gs_new_blob_id (store);
  rook_mutex_lock (&store->stages_lock);
  g_hash_table_insert (store->stages, g_memdup2 (&id, sizeof id), stage);
  rook_mutex_unlock (&store->stages_lock);
  *out_stage = id;
  return TRUE;
}

static void
end_chunk (Stage *stage)
{
  g_array_append_val (stage->crcs, stage->crc);
  stage->crc = 0;
}

static void
add_checksums (Stage *stage, const guint8 *data, gsize length)
{
  EVP_DigestUpdate (stage->sha, data, length);
  while (length > 0)
    {
      gsize room = GS_CHUNK - (gsize) (stage->length % GS_CHUNK), step = MIN (room, length);

      stage->crc = gs_crc32c (stage->crc, data, step);
      stage->length += step;
      data += step;
      length -= step;
      if (step == room)
        end_chunk (stage);
    }
}

gboolean
gs_stage_write (GsStore *store, guint64 id, gconstpointer data, gsize length, GError **error)
{
  Stage *stage = find (store, id);
  GsSegment *segment;

  g_return_val_if_fail (stage != NULL && !stage->finished, FALSE);
  segment = stage->segment;
  if (length > MAX_LENGTH - stage->length)
    {
      g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_FULL, "the body is too large");
      return FALSE;
    }
  if (!gs_segment_reserve (store, segment, GS_PADDED (length + GS_ALIGN), error)
      || !gs_io_pwrite (store->io, segment->fd, data, length, segment->offset, segment->name, error))
    return FALSE;
  segment->offset += length;
  add_checksums (stage, data, length);
  return TRUE;
}

/* The frame's head ends where the body begins. */
static gboolean
write_frame (GsStore *store, guint64 id, Stage *stage, GError **error)
{
  GsSegment *segment = stage->segment;
  GsBlobFrame frame = { .kind = GS_FRAME_BODY,
                        .blob_class = segment->blob_class,
                        .nameless = TRUE,
                        .id = id,
                        .body = id,
                        .length = stage->length,
                        .n_chunks = stage->crcs->len,
                        .chunk_crcs = (guint32 *) (gpointer) stage->crcs->data };
  g_autoptr (GBytes) head = NULL;

  if (EVP_DigestFinal_ex (stage->sha, frame.digest, NULL) != 1)
    g_error ("no SHA-256");
  gs_blob_frame_prepare (&frame, NULL);
  head = gs_blob_frame_encode (&frame);
  segment->offset = BODY_OFFSET + GS_PADDED (stage->length);
  stage->entry = (GsBlobEntry){ .kind = GS_FRAME_BODY,
                                .blob_class = segment->blob_class,
                                .nameless = TRUE,
                                .segment = segment->number,
                                .offset = BODY_OFFSET - frame.head_length,
                                .head_length = frame.head_length,
                                .length = stage->length,
                                .total = gs_blob_frame_total (&frame),
                                .first_crc = frame.n_chunks > 0 ? frame.chunk_crcs[0] : 0 };
  memcpy (stage->entry.digest, frame.digest, sizeof frame.digest);
  return gs_io_pwrite (store->io, segment->fd, g_bytes_get_data (head, NULL), frame.head_length, stage->entry.offset,
                       segment->name, error)
         && gs_io_truncate (store->io, segment->fd, segment->offset, segment->name, error)
         && gs_segment_write_head (store, segment, stage->entry.offset, error)
         && gs_io_sync (store->io, segment->fd, segment->name, error);
}

gboolean
gs_stage_finish (GsStore *store, guint64 id, GError **error)
{
  Stage *stage = find (store, id);

  g_return_val_if_fail (stage != NULL && !stage->finished, FALSE);
  if (stage->length % GS_CHUNK != 0)
    end_chunk (stage);
  if (!write_frame (store, id, stage, error))
    return FALSE;
  rook_mutex_lock (&store->stages_lock);
  stage->finished = TRUE;
  rook_mutex_unlock (&store->stages_lock);
  return TRUE;
}

static Stage *
take (GsStore *store, guint64 id)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->stages_lock);
  gpointer key, stage = NULL;

  if (store->stages != NULL && g_hash_table_steal_extended (store->stages, &id, &key, &stage))
    g_free (key);
  return stage;
}

void
gs_stage_drop (GsStore *store, guint64 id)
{
  Stage *stage = take (store, id);

  if (stage == NULL)
    return;
  gs_segment_remove (store, stage->segment);
  stage_free (stage);
}

gboolean
gs_stage_find (GsStore *store, guint64 id, GsBlobEntry *out_entry)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->stages_lock);
  Stage *stage = g_hash_table_lookup (store->stages, &id);

  if (stage == NULL || !stage->finished)
    return FALSE;
  *out_entry = stage->entry;
  return TRUE;
}

void
gs_stage_adopted (GsStore *store, guint64 id)
{
  Stage *stage = take (store, id);

  rook_mutex_lock (&store->segments_lock);
  stage->segment->writing = FALSE;
  rook_mutex_unlock (&store->segments_lock);
  stage_free (stage);
}

void
gs_stages_init (GsStore *store)
{
  store->stages = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, stage_free);
}

void
gs_stages_clear (GsStore *store)
{
  GHashTableIter iter;
  gpointer stage;

  g_hash_table_iter_init (&iter, store->stages);
  while (g_hash_table_iter_next (&iter, NULL, &stage))
    gs_segment_remove (store, ((Stage *) stage)->segment);
  g_clear_pointer (&store->stages, g_hash_table_unref);
}
