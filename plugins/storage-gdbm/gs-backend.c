/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The backend's table of functions, and an open store's beginning and end.
 */
#include "storage-gdbm/gs-compact.h"
#include "storage-gdbm/gs-store.h"

/* Records that are still written to a copy when the store is closed. */
#define LAST_CHECKPOINT 20000

const GsSettings gs_default_settings = {
  .log_size = 8 * 1024 * 1024,
  .segment_size = 64 * 1024 * 1024,
  .memory_size = 32 * 1024 * 1024,
  .log_limit = 64 * 1024 * 1024,
  .headroom = 64 * 1024 * 1024,
  .n_readers = 2,
};

void
gs_log_notice (GsStore *store, RookLogLevel level, const char *event, const char *format, ...)
{
  RookLog *log = store->server != NULL ? rook_server_get_log (store->server) : NULL;
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  if (log != NULL)
    rook_log_event (log, level, event, "path", store->path, "message", text, NULL);
  else
    g_debug ("%s: %s", event, text);
}

RookBlobId
gs_new_blob_id (GsStore *store)
{
  guint32 n = (guint32) __atomic_fetch_add (&store->next_blob, 1, __ATOMIC_RELAXED);

  if (n == 0 || n == G_MAXUINT32)
    g_error ("a store has given all the blob ids of one opening");
  return (guint64) store->opening << 32 | n;
}


/* --- beginning and end ---------------------------------------------------------------------------------------------------- */

static GsStore *
store_new (RookServer *server, RookStore *handle, const GsSettings *settings, const char *path)
{
  GsStore *store = g_new0 (GsStore, 1);

  store->server = server;
  store->handle = handle;
  store->settings = *settings;
  store->io = settings->io;
  store->path = g_strdup (path);
  store->dir = store->lock_fd = store->log.fd = -1;
  store->log.sequence = 1;
  store->next_blob = 1;
  rook_mutex_init (&store->queue_lock);
  rook_cond_init (&store->queue_cond);
  rook_mutex_init (&store->lock);
  rook_cond_init (&store->cond);
  rook_mutex_init (&store->current_lock);
  rook_mutex_init (&store->segments_lock);
  rook_mutex_init (&store->readers_lock);
  rook_cond_init (&store->readers_cond);
  rook_mutex_init (&store->stages_lock);
  store->live = gs_table_new ();
  store->missed = gs_keys_new ();
  store->log_files = g_array_new (FALSE, FALSE, sizeof (GsLogFile));
  store->segments = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) gs_segment_unref);
  store->next_segment = 1;
  store->cache = g_new0 (GsCacheSlot, GS_CACHE_SLOTS);
  gs_stages_init (store);
  return store;
}

static void
seal_writing (GsStore *store)
{
  for (int c = 0; c < 2; c++)
    {
      GsSegment **held[] = { &store->writing[c], &store->compacting[c] };

      for (guint i = 0; i < G_N_ELEMENTS (held); i++)
        if (*held[i] != NULL)
          {
            gs_segment_seal (store, *held[i]);
            g_clear_pointer (held[i], gs_segment_unref);
          }
    }
}

static void
store_free (GsStore *store)
{
  gs_stages_clear (store);
  seal_writing (store);
  gs_log_stop (store);
  gs_reader_clear (&store->reader);
  g_hash_table_unref (store->segments);
  g_array_unref (store->log_files);
  g_hash_table_unref (store->missed);
  g_clear_pointer (&store->frozen, gs_table_free);
  gs_table_free (store->live);
  g_free (store->cache);
  rook_mutex_clear (&store->stages_lock);
  rook_cond_clear (&store->readers_cond);
  rook_mutex_clear (&store->readers_lock);
  rook_mutex_clear (&store->segments_lock);
  rook_mutex_clear (&store->current_lock);
  rook_cond_clear (&store->cond);
  rook_mutex_clear (&store->lock);
  rook_cond_clear (&store->queue_cond);
  rook_mutex_clear (&store->queue_lock);
  gs_directory_close (store);
  g_free (store->path);
  g_free (store);
}

static void
find_metrics (GsStore *store)
{
  RookMetrics *metrics = store->server != NULL ? rook_server_get_metrics (store->server) : NULL;
  g_autofree char *name = g_path_get_basename (store->path);

  if (metrics == NULL)
    return;
  store->batch_histogram = rook_metrics_histogram (metrics, "store.commit.batches", "store", name, "batches",
                                                   "batches that a group commit took together");
  store->sync_histogram =
      rook_metrics_histogram (metrics, "store.commit.sync", "store", name, "us", "time that the log's sync took");
  store->commit_histogram = rook_metrics_histogram (metrics, "store.commit.time", "store", name, "us",
                                                    "time that a group took from its first write to durable");
  store->bytes_histogram = rook_metrics_histogram (metrics, "store.commit.bytes", "store", name, "bytes",
                                                   "bytes that a group wrote to log and segments");
  store->checkpoints = rook_metrics_counter (metrics, "store.checkpoints", "store", name, "checkpoints made");
}

static gboolean
find_or_make (GsStore *store, const RookStoreSpec *spec, GError **error)
{
  gboolean create = spec->create && spec->store_id == NULL, there;

  if (!gs_directory_open (store, create, error) || !gs_identity_read (store, &there, error))
    return FALSE;
  if (there)
    return TRUE;
  if (create)
    return gs_identity_make (store, error);
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY, "there is no store in %s", store->path);
  return FALSE;
}

/* Before anything is changed: the wrappers check it again. */
static gboolean
check_id (GsStore *store, const RookStoreSpec *spec, GError **error)
{
  if (spec->store_id == NULL || g_strcmp0 (spec->store_id, store->id) == 0)
    return TRUE;
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY, "%s holds store %s, not %s", store->path, store->id,
               spec->store_id);
  return FALSE;
}

static gpointer
backend_open (gpointer backend, RookServer *server, RookStore *handle, const RookStoreSpec *spec, GError **error)
{
  const GsSettings *settings = backend != NULL ? backend : &gs_default_settings;
  GsStore *store = store_new (server, handle, settings, spec->path);

  find_metrics (store);
  if (!find_or_make (store, spec, error) || !check_id (store, spec, error) || !gs_recover (store, spec, error))
    {
      store_free (store);
      return NULL;
    }
  if (store->n_witnesses > 0)
    gs_identity_repair (store);
  gs_readers_start (store);
  gs_committer_start (store);
  gs_upkeep_start (store);
  return store;
}

/* A checkpoint at the end makes the next start a quick one; without it nothing is lost, and where it would take long the next
 * start reads the log instead. */
static void
backend_close (gpointer self)
{
  GsStore *store = self;
  g_autoptr (GError) error = NULL;

  gs_upkeep_stop (store);
  gs_committer_stop (store);
  gs_readers_stop (store);
  if (gs_checkpoint_count (store) <= LAST_CHECKPOINT && !gs_checkpoint (store, &error))
    gs_log_notice (store, ROOK_LOG_WARNING, "store.checkpoint", "no checkpoint at the end: %s", error->message);
  store_free (store);
}

/* --- the functions ---------------------------------------------------------------------------------------------------------- */

static const char *
backend_get_id (gpointer self)
{
  return ((GsStore *) self)->id;
}

static guint64
backend_get_position (gpointer self)
{
  GsStore *store = self;
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);

  return store->position;
}

static RookBlobId
backend_new_blob_id (gpointer self)
{
  return gs_new_blob_id (self);
}

static gboolean
backend_reserve (gpointer self, guint64 bytes, gboolean frees, GError **error)
{
  return gs_reserve (self, bytes, frees, error);
}

static void
backend_unreserve (gpointer self, guint64 bytes)
{
  gs_unreserve (self, bytes);
}

static void
backend_commit (gpointer self, RookBatch *batch)
{
  gs_commit (self, batch);
}

static void
backend_get (gpointer self, RookTable table, GBytes *key, RookStoreReply *reply)
{
  gs_get (self, table, key, reply);
}

static gboolean
backend_try_get (gpointer self, RookTable table, GBytes *key, GBytes **out_value)
{
  return gs_try_get (self, table, key, out_value);
}

static void
backend_read (gpointer self, RookBlobId blob, guint64 offset, gsize length, RookStoreReply *reply)
{
  gs_read (self, blob, offset, length, reply);
}

static GBytes *
backend_try_read (gpointer self, RookBlobId blob, guint64 offset, gsize length)
{
  return gs_try_read (self, blob, offset, length);
}

static gboolean
backend_foreach (gpointer self, RookTable table, RookStoreForeach func, gpointer data, GError **error)
{
  return gs_foreach (self, table, func, data, error);
}

static gboolean
backend_foreach_blob (gpointer self, RookStoreForeachBlob func, gpointer data, GError **error)
{
  return gs_foreach_blob (self, func, data, error);
}

static gboolean
backend_stage_begin (gpointer self, RookBlobClass blob_class, guint64 *out_stage, GError **error)
{
  return gs_stage_begin (self, blob_class, out_stage, error);
}

static gboolean
backend_stage_write (gpointer self, guint64 stage, gconstpointer data, gsize length, GError **error)
{
  return gs_stage_write (self, stage, data, length, error);
}

static gboolean
backend_stage_finish (gpointer self, guint64 stage, GError **error)
{
  return gs_stage_finish (self, stage, error);
}

static void
backend_stage_drop (gpointer self, guint64 stage)
{
  gs_stage_drop (self, stage);
}

static gboolean
backend_checkpoint (gpointer self, GError **error)
{
  return gs_checkpoint (self, error);
}

static gboolean
backend_compact (gpointer self, gboolean *out_more, GError **error)
{
  return gs_compact (self, out_more, error);
}

static gboolean
backend_verify (gpointer self, RookStoreReport report, gpointer data, RookStoreProgress progress,
                gpointer progress_data, GError **error)
{
  return gs_verify (self, report, data, progress, progress_data, error);
}

static void
add_segments (GsStore *store, GVariantDict *dict)
{
  guint64 live = 0, size = 0;
  GHashTableIter iter;
  gpointer value;

  rook_mutex_lock (&store->segments_lock);
  g_hash_table_iter_init (&iter, store->segments);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const GsSegment *segment = value;

      live += segment->live;
      size += segment->writing ? 0 : segment->offset;
    }
  g_variant_dict_insert (dict, "segments", "u", g_hash_table_size (store->segments));
  rook_mutex_unlock (&store->segments_lock);
  g_variant_dict_insert (dict, "segment-bytes-live", "t", live);
  g_variant_dict_insert (dict, "segment-bytes-sealed", "t", size);
}

static GVariant *
backend_stats (gpointer self)
{
  GsStore *store = self;
  GVariantDict dict;
  guint64 records = 0;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "id", "s", store->id);
  g_variant_dict_insert (&dict, "path", "s", store->path);
  g_variant_dict_insert (&dict, "room-bytes", "t", gs_room (store));
  rook_mutex_lock (&store->lock);
  for (guint i = 0; i < GS_N_TABLES; i++)
    records += store->current.copies[store->current.current].counts[i];
  g_variant_dict_insert (&dict, "position", "t", store->position);
  g_variant_dict_insert (&dict, "memory-bytes", "t", gs_memory_bytes (store));
  g_variant_dict_insert (&dict, "log-files", "u", store->log_files->len);
  g_variant_dict_insert (&dict, "log-bytes", "t", store->log_bytes);
  g_variant_dict_insert (&dict, "damaged", "b", store->damaged);
  g_variant_dict_insert (&dict, "longest-move-us", "x", store->longest_move_us);
  rook_mutex_unlock (&store->lock);
  g_variant_dict_insert (&dict, "records-at-checkpoint", "t", records);
  add_segments (store, &dict);
  return g_variant_dict_end (&dict);
}

const RookStorageBackend gs_backend = {
  .struct_size = sizeof (RookStorageBackend),
  .name = "gdbm",
  .open = backend_open,
  .close = backend_close,
  .get_id = backend_get_id,
  .get_position = backend_get_position,
  .new_blob_id = backend_new_blob_id,
  .reserve = backend_reserve,
  .unreserve = backend_unreserve,
  .commit = backend_commit,
  .get = backend_get,
  .try_get = backend_try_get,
  .read = backend_read,
  .try_read = backend_try_read,
  .foreach = backend_foreach,
  .foreach_blob = backend_foreach_blob,
  .stage_begin = backend_stage_begin,
  .stage_write = backend_stage_write,
  .stage_finish = backend_stage_finish,
  .stage_drop = backend_stage_drop,
  .checkpoint = backend_checkpoint,
  .compact = backend_compact,
  .verify = backend_verify,
  .stats = backend_stats,
};
