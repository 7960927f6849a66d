/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Both copies of the tables are lost: they are made again. What lies in the segments says which blobs there are; what they mean
 * is for whoever opens the store to say (rook_store_open()'s rebuild), who is also told what the log still knows, as far back as
 * it goes. All of it is made in memory and then written as a fresh copy, which counts once CURRENT names it: an attempt that
 * is cut short has changed nothing.
 */
#include "storage-gdbm/gs-store.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "storage-gdbm/gs-bytes.h"

typedef struct {
  GsBlobEntry entry;
  GBytes *label; /* (owned) (nullable) */
  gboolean kept;
} Blob;

typedef struct {
  GsStore *store;
  const RookStoreSpec *spec;
  GHashTable *blobs; /* RookBlobId -> Blob */
  GsTable *fresh;    /* what the tables become */
  guint n_lost;      /* values of which the log knows only parts */
} Rebuild;

static void
blob_free (gpointer data)
{
  Blob *blob = data;

  g_clear_pointer (&blob->label, g_bytes_unref);
  g_free (blob);
}

static Blob *
find (Rebuild *r, RookBlobId id)
{
  return g_hash_table_lookup (r->blobs, &id);
}

static gboolean
tell (Rebuild *r, double percent, const char *text, GError **error)
{
  if (r->spec->progress == NULL || r->spec->progress (percent, text, r->spec->progress_data))
    return TRUE;
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CANCELLED, "rebuilding was stopped");
  return FALSE;
}

/* --- what lies in segments ---------------------------------------------------------------------------------------------- */

/* Of two frames of one blob (compaction copied it) either will do. */
static void
take_frame (Rebuild *r, guint32 segment, guint64 offset, GsBlobFrame *frame)
{
  Blob *blob = g_new0 (Blob, 1);

  blob->entry = (GsBlobEntry){ .kind = frame->kind,
                               .blob_class = frame->blob_class,
                               .nameless = frame->nameless,
                               .segment = segment,
                               .offset = offset,
                               .head_length = frame->head_length,
                               .first_crc = frame->n_chunks > 0 ? frame->chunk_crcs[0] : 0,
                               .length = frame->length,
                               .total = gs_blob_frame_total (frame),
                               .body = frame->kind == GS_FRAME_ALIAS ? frame->body : 0 };
  memcpy (blob->entry.digest, frame->digest, sizeof blob->entry.digest);
  if (frame->content_key != NULL)
    {
      blob->entry.content_key_length = (guint8) g_bytes_get_size (frame->content_key);
      memcpy (blob->entry.content_key, g_bytes_get_data (frame->content_key, NULL), blob->entry.content_key_length);
    }
  blob->label = g_steal_pointer (&frame->label);
  r->store->current.opening = MAX (r->store->current.opening, (guint32) (frame->id >> 32));
  g_hash_table_insert (r->blobs, g_memdup2 (&frame->id, sizeof frame->id), blob);
}

/* Where a frame does not read the next one is looked for. */
static void
read_frames (Rebuild *r, guint32 number, const guint8 *data, gsize size)
{
  for (gsize at = GS_HEAD_SIZE; at + GS_BLOB_FRAME_SIZE <= size;)
    {
      g_auto (GsBlobFrame) frame = { 0 };
      guint32 head_length = gs_blob_frame_head_length (data + at);

      if (head_length == 0 || head_length > size - at || !gs_blob_frame_decode (data + at, head_length, &frame)
          || gs_blob_frame_total (&frame) > size - at)
        {
          at += GS_ALIGN;
          continue;
        }
      take_frame (r, number, at, &frame);
      at += (gsize) gs_blob_frame_total (&frame);
    }
}

static gboolean
read_segment (Rebuild *r, guint64 packed, GError **error)
{
  GsStore *store = r->store;
  g_autoptr (GError) failed = NULL;
  g_autoptr (GsSegment) segment = gs_segment_open (store, (guint32) packed, (RookBlobClass) (packed >> 32), &failed);
  g_autofree guint8 *data = NULL;

  if (segment != NULL)
    {
      data = g_malloc (segment->offset + 1);
      if (gs_io_pread (store->io, segment->fd, data, segment->offset, 0, segment->name, &failed))
        {
          read_frames (r, segment->number, data, segment->offset);
          return TRUE;
        }
    }
  if (!g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
    {
      g_propagate_error (error, g_steal_pointer (&failed));
      return FALSE;
    }
  gs_log_notice (store, ROOK_LOG_ERROR, "store.damaged", "a segment is left out: %s", failed->message);
  return TRUE;
}

/* What the log says of a blob since then: it is another's now, or was released. */
static void
recall_blob (const GsEntry *entry, gpointer data)
{
  Rebuild *r = data;
  GsBlobEntry known;
  RookBlobId id;
  Blob *blob;

  if (gs_key_table (entry->key) != GS_TABLE_BLOBS || entry->length != 10)
    return;
  id = gs_get64_be (entry->key + 2);
  blob = find (r, id);
  if (entry->base == GS_ABSENT)
    g_hash_table_remove (r->blobs, &id);
  else if (blob != NULL && entry->base == GS_VALUE && gs_blob_entry_decode (entry->value, &known))
    blob->entry = known;
}

/* An alias without its body is nothing. */
static gboolean
has_body (Rebuild *r, const Blob *blob)
{
  const Blob *body = blob->entry.kind == GS_FRAME_ALIAS ? find (r, blob->entry.body) : blob;

  return body != NULL && body->entry.kind == GS_FRAME_BODY;
}

/* --- for whoever says what it means --------------------------------------------------------------------------------------- */

static void
foreach_blob (gpointer self, RookStoreForeachBlob func, gpointer data)
{
  Rebuild *r = self;
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init (&iter, r->blobs);
  while (g_hash_table_iter_next (&iter, &key, &value))
    {
      const Blob *blob = value;
      RookBlobInfo info = { .struct_size = sizeof info,
                            .id = *(RookBlobId *) key,
                            .blob_class = blob->entry.blob_class,
                            .length = blob->entry.length,
                            .label = blob->label };

      if ((blob->entry.kind != GS_FRAME_BODY || !blob->entry.nameless) && has_body (r, blob) && !func (&info, data))
        return;
    }
}

static void
set_key (GsKey *out, RookTable table, GBytes *key)
{
  gsize length;
  gconstpointer data = g_bytes_get_data (key, &length);

  gs_key_set (out, table, data, length);
}

static GBytes *
recall (gpointer self, RookTable table, GBytes *key, GBytes *base)
{
  Rebuild *r = self;
  const GsEntry *entry;
  GsKey full;

  set_key (&full, table, key);
  entry = gs_table_lookup (r->store->live, full.bytes, gs_key_length (&full));
  if (entry != NULL)
    return gs_entry_resolve (entry, base);
  return base != NULL ? g_bytes_ref (base) : NULL;
}

static void
put (gpointer self, RookTable table, GBytes *key, GBytes *value)
{
  Rebuild *r = self;
  GsKey full;

  set_key (&full, table, key);
  gs_table_put (r->fresh, full.bytes, gs_key_length (&full), value);
}

static void
keep (gpointer self, RookBlobId id)
{
  Blob *blob = find (self, id);

  if (blob != NULL)
    blob->kept = TRUE;
}

/* --- the tables ------------------------------------------------------------------------------------------------------------- */

/* What nobody has put, and the log knows in full. */
static void
take_known (const GsEntry *entry, gpointer data)
{
  Rebuild *r = data;

  if (gs_key_table (entry->key) > ROOK_STORE_MAX_TABLE || entry->base == GS_ABSENT
      || gs_table_lookup (r->fresh, entry->key, entry->length) != NULL)
    return;
  if (entry->base == GS_VALUE)
    {
      g_autoptr (GBytes) value = gs_entry_resolve (entry, NULL);

      gs_table_put (r->fresh, entry->key, entry->length, value);
    }
  else
    r->n_lost++;
}

static void
count_refs (Rebuild *r)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, r->blobs);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    ((Blob *) value)->entry.refs = 0;
  g_hash_table_iter_init (&iter, r->blobs);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Blob *blob = value;

      if (blob->kept && has_body (r, blob))
        (blob->entry.kind == GS_FRAME_ALIAS ? find (r, blob->entry.body) : blob)->entry.refs++;
    }
}

static void
put_content (Rebuild *r, RookBlobId id, const GsBlobEntry *entry)
{
  g_autoptr (GBytes) value = NULL;
  guint8 bytes[8];
  GsKey key;

  if (entry->content_key_length == 0)
    return;
  gs_put64 (bytes, id);
  value = g_bytes_new (bytes, sizeof bytes);
  gs_content_key (&key, entry->blob_class, entry->content_key, entry->content_key_length);
  gs_table_put (r->fresh, key.bytes, gs_key_length (&key), value);
}

static void
put_segments (Rebuild *r, GHashTable *live)
{
  GHashTableIter iter;
  gpointer number, sum;

  g_hash_table_iter_init (&iter, live);
  while (g_hash_table_iter_next (&iter, &number, &sum))
    {
      g_autoptr (GsSegment) segment = gs_segment_find (r->store, GPOINTER_TO_UINT (number));
      g_autoptr (GBytes) value =
          gs_segment_value (segment != NULL ? segment->blob_class : ROOK_BLOB_MAIL, *(guint64 *) sum);
      GsKey key;

      gs_segment_key (&key, GPOINTER_TO_UINT (number));
      gs_table_put (r->fresh, key.bytes, gs_key_length (&key), value);
    }
}

/* Those that somebody names, and the bodies that they share. */
static guint
put_blobs (Rebuild *r)
{
  g_autoptr (GHashTable) live = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  GHashTableIter iter;
  gpointer id, data;
  guint n = 0;

  count_refs (r);
  g_hash_table_iter_init (&iter, r->blobs);
  while (g_hash_table_iter_next (&iter, &id, &data))
    {
      Blob *blob = data;
      g_autoptr (GBytes) value = NULL;
      guint64 *sum;
      GsKey key;

      if (blob->entry.kind == GS_FRAME_BODY ? blob->entry.refs == 0 : !(blob->kept && has_body (r, blob)))
        continue;
      blob->entry.nameless = blob->entry.kind == GS_FRAME_BODY && !blob->kept;
      value = gs_blob_entry_encode (&blob->entry);
      gs_blob_key (&key, *(RookBlobId *) id);
      gs_table_put (r->fresh, key.bytes, gs_key_length (&key), value);
      if (blob->entry.kind == GS_FRAME_BODY)
        put_content (r, *(RookBlobId *) id, &blob->entry);
      sum = g_hash_table_lookup (live, GUINT_TO_POINTER (blob->entry.segment));
      if (sum == NULL)
        g_hash_table_insert (live, GUINT_TO_POINTER (blob->entry.segment), sum = g_new0 (guint64, 1));
      *sum += blob->entry.total;
      n++;
    }
  put_segments (r, live);
  return n;
}

typedef struct {
  GsWriter writer;
  gboolean ok;
  GError **error;
} Writing;

static void
write_one (const GsEntry *entry, gpointer data)
{
  Writing *writing = data;
  g_autoptr (GBytes) value = writing->ok ? gs_entry_resolve (entry, NULL) : NULL;

  writing->ok = writing->ok && gs_writer_set (&writing->writer, entry->key, entry->length, value, writing->error);
}

/* What is left of the copies is kept beside the new one. That neither counts is said first: what was there must not be taken for
 * what comes. */
static gboolean
set_aside (Rebuild *r, GsCurrent *fresh, GError **error)
{
  GsStore *store = r->store;

  memset (fresh->copies, 0, sizeof fresh->copies);
  if (!gs_current_write (store, fresh, error))
    return FALSE;
  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *name = g_strdup_printf ("table.%u", i), *lost = g_strdup_printf ("table.%u.lost", i);

      if (faccessat (store->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0
          && !gs_io_rename (store->io, store->dir, name, lost, error))
        return FALSE;
    }
  return TRUE;
}

/* The first copy; with CURRENT it counts. */
static gboolean
write_copy (Rebuild *r, GError **error)
{
  GsStore *store = r->store;
  g_autofree GsCurrent *fresh = g_memdup2 (&store->current, sizeof store->current);
  GsCopyInfo *info = &fresh->copies[0];
  Writing writing = { .ok = TRUE, .error = error };

  if (!set_aside (r, fresh, error))
    return FALSE;
  fresh->current = 0;
  info->position = store->position;
  info->sequence = store->sequence;
  if (!gs_copy_create (store, 0, error) || !gs_writer_open (&writing.writer, store, 0, info, error))
    return FALSE;
  gs_table_foreach (r->fresh, write_one, &writing);
  if (!writing.ok)
    {
      gs_writer_abandon (&writing.writer);
      return FALSE;
    }
  if (!gs_writer_finish (&writing.writer, error) || !gs_io_sync_dir (store->io, store->dir, error))
    return FALSE;
  info->clean = TRUE;
  if (!gs_current_write (store, fresh, error))
    return FALSE;
  store->current = *fresh;
  return TRUE;
}

/* --- all of it ---------------------------------------------------------------------------------------------------------------- */

static gboolean
rebuild (Rebuild *r, GArray *segments, GError **error)
{
  const RookStoreRebuilder rebuilder = { sizeof rebuilder, r, foreach_blob, recall, put, keep };
  GsStore *store = r->store;
  guint n_found, n_kept;

  gs_log_notice (store, ROOK_LOG_ERROR, "store.damaged",
                 "both copies of the tables are lost: they are made again of the segments and the log");
  for (guint i = 0; i < segments->len; i++)
    if (!tell (r, 70.0 * i / segments->len, "reading the segments", error)
        || !read_segment (r, g_array_index (segments, guint64, i), error))
      return FALSE;
  gs_table_foreach (store->live, recall_blob, r);
  n_found = g_hash_table_size (r->blobs);
  if (!tell (r, 70, "making the tables again", error) || !r->spec->rebuild (&rebuilder, r->spec->rebuild_data, error))
    return FALSE;
  gs_table_foreach (store->live, take_known, r);
  n_kept = put_blobs (r);
  if (!tell (r, 90, "writing the tables", error) || !write_copy (r, error))
    return FALSE;
  gs_table_free (store->live);
  store->live = gs_table_new ();
  store->damaged = TRUE; /* segments in which nothing is named any more stay for now */
  gs_log_notice (
      store, ROOK_LOG_NOTICE, "store.repaired",
      "the tables were made again: %u of %u blobs that were found are in use; of %u values the log knew only parts",
      n_kept, n_found, r->n_lost);
  return tell (r, 100, "the tables are there again", error);
}

gboolean
gs_rebuild (GsStore *store, const RookStoreSpec *spec, GArray *segments, GError **error)
{
  g_autoptr (GHashTable) blobs = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, blob_free);
  g_autoptr (GsTable) fresh = gs_table_new ();
  Rebuild r = { .store = store, .spec = spec, .blobs = blobs, .fresh = fresh };

  return rebuild (&r, segments, error);
}
