/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Verify: reads everything that is durable and compares. Small files and heads against what they were written as, the log
 * where it is still needed, the copies against the counts and digests that CURRENT keeps of them, every blob entry against
 * its frame and body, the sharing of bodies against the ids that share them, and the live bytes of segments against what
 * lies in them.
 */
#include "storage-gdbm/gs-store.h"

#include <string.h>

#include "storage-gdbm/gs-bytes.h"

#define TELL_US (100 * 1000)

typedef struct {
  GsStore *store;
  RookStoreReport report;
  gpointer data;
  RookStoreProgress progress; /* (nullable) */
  gpointer progress_data;
  const char *phase; /* what is being read, */
  double from, to;   /* from and to which percent, */
  guint64 n, n_all;  /* and how many records of it have been, of about so many */
  gint64 told_us;    /* monotonic */
  gboolean stopped;
  GHashTable *refs; /* RookBlobId to guint: ids found that share a body */
  GHashTable *live; /* segment number to guint64 */
  GArray *bodies;   /* (element-type Body) */
} Verify;

typedef struct {
  RookBlobId id;
  guint32 refs;
} Body;

static void report (Verify *v, const RookStoreFault *what, const char *format, ...) G_GNUC_PRINTF (3, 4);

static void
report (Verify *v, const RookStoreFault *what, const char *format, ...)
{
  RookStoreFault fault = { 0 };
  g_autofree char *text = NULL;
  va_list args;

  if (what != NULL)
    fault = *what;
  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  fault.struct_size = sizeof fault;
  fault.text = text;
  v->report (&fault, v->data);
}

static gboolean
tell (Verify *v)
{
  double part = v->n_all > 0 ? MIN ((double) v->n / (double) v->n_all, 1.0) : 0;

  v->told_us = g_get_monotonic_time ();
  if (v->progress != NULL && !v->progress (v->from + (v->to - v->from) * part, v->phase, v->progress_data))
    v->stopped = TRUE;
  return !v->stopped;
}

/* Whether to go on, which is asked now and then. */
static gboolean
go_on (Verify *v)
{
  return !v->stopped && (g_get_monotonic_time () - v->told_us < TELL_US || tell (v));
}

static gboolean
begin (Verify *v, const char *phase, double from, double to, guint64 n_all)
{
  v->phase = phase;
  v->from = from;
  v->to = to;
  v->n = 0;
  v->n_all = n_all;
  return tell (v);
}

static gboolean
stopped (GError **error)
{
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CANCELLED, "stopped before it was done");
  return FALSE;
}

/* --- copies ------------------------------------------------------------------------------------------------------------------ */

static void
report_key (Verify *v, const guint8 *key, guint length, const char *what)
{
  g_autoptr (GBytes) bytes = NULL;
  RookStoreFault fault = { 0 };

  if (gs_key_table (key) <= ROOK_STORE_MAX_TABLE)
    {
      bytes = g_bytes_new (key + 2, length - 2);
      fault.table = gs_key_table (key);
      fault.key = bytes;
    }
  else if (gs_key_table (key) == GS_TABLE_BLOBS && length == 10)
    fault.blob = gs_get64_be (key + 2);
  report (v, &fault, "%s: a record of table %u is damaged", what, gs_key_table (key));
}

static gboolean
look_at_record (const guint8 *key, guint length, GBytes *value, gpointer data)
{
  Verify *v = data;

  v->n++;
  if (value == NULL && gs_key_table (key) < GS_N_TABLES)
    report_key (v, key, length, "copy");
  return go_on (v);
}

static guint64
count_records (const GsCopyInfo *info)
{
  guint64 n = 0;

  for (guint i = 0; i < GS_N_TABLES; i++)
    n += info->counts[i];
  return n;
}

/* Takes @failed. A copy that is damaged is seen to once this is over. */
static gboolean
note_copy (Verify *v, guint index, GError *failed, GError **error)
{
  if (!g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
    {
      g_propagate_error (error, failed);
      return FALSE;
    }
  report (v, NULL, "copy %u: %s", index, failed->message);
  gs_repair_want (v->store, index, failed->message);
  g_error_free (failed);
  return TRUE;
}

static gboolean
check_mark (Verify *v, guint index, const GsCopyInfo *info, GError **error)
{
  g_autoptr (GError) failed = NULL;

  return gs_copy_check_mark (v->store, index, info, &failed) || note_copy (v, index, g_steal_pointer (&failed), error);
}

static gboolean
verify_copy (Verify *v, guint index, GError **error)
{
  g_autoptr (GError) failed = NULL;
  GsCopyInfo info;

  rook_mutex_lock (&v->store->lock);
  info = v->store->current.copies[index];
  rook_mutex_unlock (&v->store->lock);
  if (!begin (v, index == 0 ? "first copy" : "second copy", index * 10, index * 10 + 10, count_records (&info)))
    return stopped (error);
  if (!info.clean) /* it will be made from the other */
    return TRUE;
  if (gs_copy_check (v->store, index, &info, look_at_record, v, &failed))
    return check_mark (v, index, &info, error);
  if (v->stopped)
    return stopped (error);
  return note_copy (v, index, g_steal_pointer (&failed), error);
}

/* --- blobs ------------------------------------------------------------------------------------------------------------------- */

static void
add_ref (Verify *v, RookBlobId body)
{
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (v->refs, &body));

  g_hash_table_insert (v->refs, g_memdup2 (&body, sizeof body), GUINT_TO_POINTER (n + 1));
}

static void
add_live (Verify *v, const GsBlobEntry *entry)
{
  guint64 *sum = g_hash_table_lookup (v->live, GUINT_TO_POINTER (entry->segment));

  if (sum == NULL)
    {
      sum = g_new0 (guint64, 1);
      g_hash_table_insert (v->live, GUINT_TO_POINTER (entry->segment), sum);
    }
  *sum += entry->total;
}

/* The body of one blob, in pieces. */
static gboolean
check_body (Verify *v, GsSegment *segment, const GsBlobEntry *entry, GError **error)
{
  for (guint64 at = 0; at < entry->length; at += 64 * GS_CHUNK)
    {
      g_autoptr (GBytes) piece = gs_read_body (v->store, segment, entry, at, 64 * GS_CHUNK, 0, error);

      if (piece == NULL)
        return FALSE;
      if (!go_on (v))
        return TRUE; /* nobody asks any more */
    }
  return TRUE;
}

static gboolean
check_frame (RookBlobId id, const GsBlobEntry *entry, const GsBlobFrame *frame)
{
  return frame->id == id && frame->kind == entry->kind && frame->length == entry->length
         && frame->head_length == entry->head_length && gs_blob_frame_total (frame) == entry->total
         && frame->body == (entry->kind == GS_FRAME_ALIAS ? entry->body : id);
}

/* What is damaged may have been moved, or released, since its entry was read. */
static gboolean
is_current (Verify *v, RookBlobId id, const GsBlobEntry *entry)
{
  GsReader reader = { { NULL, NULL }, { 0, 0 } };
  g_autoptr (GBytes) value = NULL;
  GsBlobEntry now;
  GsKey key;
  gboolean ok;

  gs_blob_key (&key, id);
  ok = gs_lookup (v->store, &reader, NULL, key.bytes, gs_key_length (&key), &value, NULL);
  gs_reader_clear (&reader);
  return !ok
         || (value != NULL && gs_blob_entry_decode (value, &now) && now.segment == entry->segment
             && now.offset == entry->offset);
}

static void
check_blob (Verify *v, RookBlobId id, const GsBlobEntry *entry)
{
  g_autoptr (GsSegment) segment = gs_segment_find (v->store, entry->segment);
  g_auto (GsBlobFrame) frame = { 0 };
  g_autoptr (GError) error = NULL;
  RookStoreFault fault = { .blob = id };
  const char *what = NULL;

  if (segment == NULL)
    what = "its segment is missing";
  else if (!gs_read_frame (v->store, segment, entry->offset, &frame, &error))
    what = error->message;
  else if (!check_frame (id, entry, &frame))
    what = "another frame lies in its place";
  else if (entry->kind == GS_FRAME_BODY && !check_body (v, segment, entry, &error))
    what = error->message;
  if (what == NULL || entry->blob_class == ROOK_BLOB_CACHE || !is_current (v, id, entry))
    return;
  fault.label = frame.label;
  report (v, &fault, "blob %" G_GUINT64_FORMAT ": %s", id, what);
}

static gboolean
verify_blob (const guint8 *key, guint length, GBytes *value, gpointer data)
{
  Verify *v = data;
  GsBlobEntry entry;
  RookBlobId id;

  v->n++;
  if (length != 10 || !gs_blob_entry_decode (value, &entry))
    {
      report_key (v, key, length, "blobs");
      return go_on (v);
    }
  id = gs_get64_be (key + 2);
  add_live (v, &entry);
  if (entry.kind == GS_FRAME_ALIAS)
    add_ref (v, entry.body);
  else
    {
      Body body = { id, entry.refs };

      g_array_append_val (v->bodies, body);
      if (!entry.nameless)
        add_ref (v, id);
    }
  check_blob (v, id, &entry);
  return go_on (v);
}

static gboolean
damaged_blob (const guint8 *key, guint length, GBytes *value G_GNUC_UNUSED, gpointer data)
{
  report_key (data, key, length, "blobs");
  return go_on (data);
}

static guint64
live_bytes (GsStore *store, GsSegment *segment)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->segments_lock);

  return segment->live;
}

/* Counts can only be compared if nothing was committed meanwhile. */
static void
compare_counts (Verify *v)
{
  GHashTableIter iter;
  gpointer number, sum;

  for (guint i = 0; i < v->bodies->len; i++)
    {
      const Body *body = &g_array_index (v->bodies, Body, i);
      guint found = GPOINTER_TO_UINT (g_hash_table_lookup (v->refs, &body->id));
      RookStoreFault fault = { .blob = body->id };

      if (found != body->refs)
        report (v, &fault, "blob %" G_GUINT64_FORMAT ": shared by %u, counted as %u", body->id, found, body->refs);
    }
  g_hash_table_iter_init (&iter, v->live);
  while (g_hash_table_iter_next (&iter, &number, &sum))
    {
      g_autoptr (GsSegment) segment = gs_segment_find (v->store, GPOINTER_TO_UINT (number));

      guint64 counted = segment != NULL ? live_bytes (v->store, segment) : 0;

      if (segment != NULL && counted != *(guint64 *) sum)
        report (v, NULL, "%s: %" G_GUINT64_FORMAT " bytes alive, counted as %" G_GUINT64_FORMAT, segment->name,
                *(guint64 *) sum, counted);
    }
}

/* --- the other files ---------------------------------------------------------------------------------------------------- */

/* %FALSE: it could not be done. @failed: (transfer full) (nullable) */
static gboolean
note_file (Verify *v, GError *failed, GError **error)
{
  if (failed == NULL)
    return TRUE;
  if (g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT)
      || g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY))
    {
      report (v, NULL, "%s", failed->message);
      g_error_free (failed);
      return TRUE;
    }
  g_propagate_error (error, failed);
  return FALSE;
}

/* That of the log which no copy, or only one, holds. Checkpoints of what memory knows do without it. */
static gboolean
verify_log (Verify *v, GError **error)
{
  GsStore *store = v->store;
  GError *failed = NULL;
  guint64 from, to;

  rook_mutex_lock (&store->lock);
  from = store->current.copies[store->current.current].sequence;
  if (store->current.copies[1 - store->current.current].clean)
    from = MIN (from, store->current.copies[1 - store->current.current].sequence);
  to = store->sequence;
  rook_mutex_unlock (&store->lock);
  if (from >= to || gs_log_read (store, from + 1, to, NULL, NULL, &failed))
    return TRUE;
  if (g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
    gs_upkeep_want (store);
  return note_file (v, failed, error);
}

static gboolean
verify_heads (Verify *v, GError **error)
{
  g_autoptr (GPtrArray) segments = g_ptr_array_new_with_free_func ((GDestroyNotify) gs_segment_unref);
  GHashTableIter iter;
  gpointer value;

  rook_mutex_lock (&v->store->segments_lock);
  g_hash_table_iter_init (&iter, v->store->segments);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (((GsSegment *) value)->live > 0)
      g_ptr_array_add (segments, gs_segment_ref (value));
  rook_mutex_unlock (&v->store->segments_lock);
  for (guint i = 0; i < segments->len; i++)
    {
      GError *failed = NULL;

      if (!gs_segment_check (v->store, g_ptr_array_index (segments, i), &failed) && !note_file (v, failed, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
verify_files (Verify *v, GError **error)
{
  GError *failed = NULL;

  if (!begin (v, "files", 0, 0, 0))
    return stopped (error);
  gs_identity_check (v->store, &failed);
  if (!note_file (v, g_steal_pointer (&failed), error))
    return FALSE;
  gs_current_check (v->store, &failed);
  return note_file (v, g_steal_pointer (&failed), error) && verify_heads (v, error) && verify_log (v, error);
}

static guint64
durable_sequence (GsStore *store)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);

  return store->sequence;
}

static gboolean
verify_all (Verify *v, GError **error)
{
  g_autoptr (GError) failed = NULL;
  guint64 before, n_blobs;

  if (!verify_files (v, error) || !verify_copy (v, 0, error) || !verify_copy (v, 1, error))
    return FALSE;
  rook_mutex_lock (&v->store->lock);
  n_blobs = v->store->current.copies[v->store->current.current].counts[GS_TABLE_BLOBS];
  rook_mutex_unlock (&v->store->lock);
  if (!begin (v, "blobs", 20, 100, n_blobs))
    return stopped (error);
  before = durable_sequence (v->store);
  if (gs_scan (v->store, GS_TABLE_BLOBS, FALSE, verify_blob, damaged_blob, v, &failed))
    {
      if (v->stopped)
        return stopped (error);
      if (before == durable_sequence (v->store))
        compare_counts (v);
    }
  else if (g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
    report (v, NULL, "blobs: %s", failed->message);
  else
    {
      g_propagate_error (error, g_steal_pointer (&failed));
      return FALSE;
    }
  return begin (v, "done", 100, 100, 0) || stopped (error);
}

gboolean
gs_verify (GsStore *store, RookStoreReport func, gpointer data, RookStoreProgress progress_func, gpointer progress_data,
           GError **error)
{
  g_autoptr (GHashTable) refs = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  g_autoptr (GHashTable) live = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  g_autoptr (GArray) bodies = g_array_new (FALSE, FALSE, sizeof (Body));
  g_autofree Verify *v = g_new0 (Verify, 1);
  gboolean ok;

  *v = (Verify){ .store = store,
                 .report = func,
                 .data = data,
                 .progress = progress_func,
                 .progress_data = progress_data,
                 .refs = refs,
                 .live = live,
                 .bodies = bodies };
  gs_upkeep_begin (store);
  ok = verify_all (v, error);
  gs_upkeep_end (store);
  return ok;
}
