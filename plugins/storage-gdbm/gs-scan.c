/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Going through everything: the current copy, pinned, with what memory knows over it. Slow, and for start-up and checks.
 */
#include "storage-gdbm/gs-store.h"

#include "storage-gdbm/gs-bytes.h"

typedef struct {
  GsStore *store;
  GsReader reader;
  guint table;
  guint index;      /* the pinned copy */
  GsTable *changed; /* what memory knew of the table at the beginning, and was not told yet */
  GsScanFunc func, damaged;
  gpointer data;
  GError **error;
  gboolean ok, go_on;
} Scan;

static void
note_changed (const GsEntry *entry, gpointer data)
{
  Scan *scan = data;

  if (gs_key_table (entry->key) == scan->table)
    gs_table_merge_entry (scan->changed, entry);
}

/* All that memory knows at one moment, and the copy that this lies over. */
static void
begin (Scan *scan)
{
  GsStore *store = scan->store;
  GsTable *held, *frozen;

  rook_mutex_lock (&store->lock);
  gs_memory_hold (store);
  held = store->held;
  frozen = store->frozen;
  scan->index = gs_pin (store);
  rook_mutex_unlock (&store->lock);
  if (frozen != NULL)
    gs_table_foreach (frozen, note_changed, scan);
  gs_table_foreach (held, note_changed, scan);
  gs_memory_release (store);
}

static void
tell_damaged (Scan *scan, const guint8 *key, guint length, GError *failed)
{
  scan->go_on = scan->damaged != NULL && scan->damaged (key, length, NULL, scan->data);
  scan->ok = scan->damaged != NULL;
  if (scan->ok)
    g_error_free (failed);
  else
    g_propagate_error (scan->error, failed);
}

/* @entry: (nullable) what memory knew. @record: (nullable) the copy has none, or it is damaged. */
static gboolean
tell (Scan *scan, const guint8 *key, guint length, const GsEntry *entry, GBytes *record)
{
  g_autoptr (GBytes) below = record != NULL ? g_bytes_ref (record) : NULL;
  g_autoptr (GBytes) value = NULL;
  GError *failed = NULL;

  if (record == NULL && (entry == NULL || !gs_entry_is_whole (entry))
      && !gs_lookup_below (scan->store, &scan->reader, scan->index, key, length, &below, &failed))
    {
      tell_damaged (scan, key, length, failed);
      return scan->go_on;
    }
  value = entry != NULL ? gs_entry_resolve (entry, below) : g_steal_pointer (&below);
  scan->go_on = value == NULL || scan->func (key, length, value, scan->data);
  return scan->go_on;
}

static gboolean
scan_record (const guint8 *key, guint length, GBytes *value, gpointer data)
{
  Scan *scan = data;
  g_autoptr (GsEntry) entry = NULL;

  if (gs_key_table (key) != scan->table)
    return TRUE;
  entry = gs_table_take_key (scan->changed, key, length);
  return tell (scan, key, length, entry, value);
}

/* What the copy has no record of. */
static void
scan_changed (Scan *scan)
{
  while (scan->go_on && gs_table_size (scan->changed) > 0)
    {
      g_autoptr (GsEntry) entry = gs_table_take (scan->changed);

      tell (scan, entry->key, entry->length, entry, NULL);
    }
}

/* Within the pin: a copy that lacks a key does not say so, and what was given can't be taken back. */
static gboolean
is_whole (GsStore *store, guint index, GError **error)
{
  g_autoptr (GError) failed = NULL;
  GsCopyInfo info;

  rook_mutex_lock (&store->lock);
  info = store->current.copies[index];
  rook_mutex_unlock (&store->lock);
  if (gs_copy_check (store, index, &info, NULL, NULL, &failed))
    return TRUE;
  if (g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
    gs_repair_want (store, index, failed->message);
  g_propagate_error (error, g_steal_pointer (&failed));
  return FALSE;
}

gboolean
gs_scan (GsStore *store, guint table, gboolean check, GsScanFunc func, GsScanFunc damaged, gpointer data,
         GError **error)
{
  g_autoptr (GsTable) changed = gs_table_new ();
  Scan scan = { .store = store,
                .table = table,
                .changed = changed,
                .func = func,
                .damaged = damaged,
                .data = data,
                .error = error,
                .ok = TRUE,
                .go_on = TRUE };
  gboolean ok;

  begin (&scan);
  ok =
      (!check || is_whole (store, scan.index, error)) && gs_copy_foreach (store, scan.index, scan_record, &scan, error);
  if (ok)
    scan_changed (&scan);
  gs_unpin (store, scan.index);
  gs_reader_clear (&scan.reader);
  return ok && scan.ok;
}

/* A copy that is damaged is seen to first. Where nothing can be done about it, it is an error. */
static gboolean
scan_whole (GsStore *store, guint table, GsScanFunc func, gpointer data, GError **error)
{
  g_autoptr (GError) failed = NULL;

  for (guint turn = 0; turn < 2; turn++)
    {
      g_clear_error (&failed);
      if (gs_scan (store, table, TRUE, func, NULL, data, &failed))
        return TRUE;
      if (!g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT) || !gs_repair_wait (store))
        break;
    }
  g_propagate_error (error, g_steal_pointer (&failed));
  return FALSE;
}

/* --- foreach ---------------------------------------------------------------------------------------------------------------- */

typedef struct {
  RookTable table;
  RookStoreForeach func;
  gpointer data;
} Foreach;

static gboolean
foreach_one (const guint8 *key, guint length, GBytes *value, gpointer data)
{
  const Foreach *foreach = data;
  g_autoptr (GBytes) bytes = g_bytes_new (key + 2, length - 2);

  return foreach->func (foreach->table, bytes, value, foreach->data);
}

gboolean
gs_foreach (GsStore *store, RookTable table, RookStoreForeach func, gpointer data, GError **error)
{
  Foreach foreach = { table, func, data };

  return scan_whole (store, table, foreach_one, &foreach, error);
}

typedef struct {
  GsStore *store;
  RookStoreForeachBlob func;
  gpointer data;
  GError *unread; /* (nullable) what ends it */
} ForeachBlob;

/* Compaction may have moved it since its entry was read: whether it lies elsewhere now. Or it was released, and is gone. */
static gboolean
is_elsewhere (ForeachBlob *foreach, const guint8 *key, guint length, GsBlobEntry *entry, gboolean *out_gone)
{
  GsReader reader = { { NULL, NULL }, { 0, 0 } };
  g_autoptr (GBytes) value = NULL;
  GsBlobEntry now = *entry;

  *out_gone = gs_lookup (foreach->store, &reader, NULL, key, length, &value, NULL) && value == NULL;
  if (value != NULL)
    gs_blob_entry_decode (value, &now);
  gs_reader_clear (&reader);
  if (now.segment == entry->segment && now.offset == entry->offset)
    return FALSE;
  *entry = now;
  return TRUE;
}

/* What its label says: damage says nothing, and what can't be read now may say something. */
static gboolean
read_label (ForeachBlob *foreach, const guint8 *key, guint length, GsBlobEntry *entry, GsBlobFrame *out_frame)
{
  g_autoptr (GsSegment) segment = gs_segment_find (foreach->store, entry->segment);
  g_autoptr (GError) error = NULL;
  gboolean gone;

  if (segment != NULL && gs_read_frame (foreach->store, segment, entry->offset, out_frame, &error))
    return TRUE;
  if (error != NULL && !g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
    {
      foreach
        ->unread = g_steal_pointer (&error);
      return FALSE;
    }
  if (is_elsewhere (foreach, key, length, entry, &gone))
    return read_label (foreach, key, length, entry, out_frame);
  if (!gone && entry->blob_class == ROOK_BLOB_MAIL) /* what a cut took of the cache is no damage */
    gs_log_notice (foreach->store, ROOK_LOG_ERROR, "store.damaged", "a blob's label can't be read: %s",
                   error != NULL ? error->message : "its segment is missing");
  return TRUE;
}

static gboolean
foreach_blob_one (const guint8 *key, guint length, GBytes *value, gpointer data)
{
  ForeachBlob *foreach = data;
  RookBlobInfo info = { .struct_size = sizeof info };
  g_auto (GsBlobFrame) frame = { 0 };
  GsBlobEntry entry;

  if (length != 10 || !gs_blob_entry_decode (value, &entry) || (entry.kind == GS_FRAME_BODY && entry.nameless))
    return TRUE;
  if (!read_label (foreach, key, length, &entry, &frame))
    return FALSE;
  info.label = frame.label;
  info.id = gs_get64_be (key + 2);
  info.blob_class = entry.blob_class;
  info.length = entry.length;
  return foreach->func (&info, foreach->data);
}

gboolean
gs_foreach_blob (GsStore *store, RookStoreForeachBlob func, gpointer data, GError **error)
{
  ForeachBlob foreach = { store, func, data, NULL };

  if (!scan_whole (store, GS_TABLE_BLOBS, foreach_blob_one, &foreach, error))
    {
      g_clear_error (&foreach.unread);
      return FALSE;
    }
  if (foreach.unread == NULL)
    return TRUE;
  g_propagate_error (error, foreach.unread);
  return FALSE;
}
