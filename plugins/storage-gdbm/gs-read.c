/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading: what memory knows is answered where it is asked; the rest goes to the store's own threads, which may wait for
 * the disk. Nothing is given out that was not checked against its checksum.
 */
#include "storage-gdbm/gs-store.h"

#include <errno.h>
#include <sys/uio.h>

#include "storage-gdbm/gs-bytes.h"
#include "storage-gdbm/gs-checksum.h"

/* Of a frame before its body: enough for the checksums of a terabyte. */
#define MAX_HEAD (128 * 1024 * 1024)

typedef struct {
  RookStoreReply *reply;
  GBytes *key; /* (owned) (nullable) in full: a get */
  RookBlobId blob;
  guint64 offset;
  gsize length;
} Job;

/* --- tables ----------------------------------------------------------------------------------------------------------- */

guint
gs_pin (GsStore *store)
{
  store->pins[store->current.current]++;
  return store->current.current;
}

void
gs_unpin (GsStore *store, guint index)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);

  if (--store->pins[index] == 0)
    rook_cond_broadcast (&store->cond);
}

gboolean
gs_lookup_memory (GsStore *store, GsTable *pending, const guint8 *key, guint length, GBytes **out_value)
{
  g_autoptr (GsEntry) entry = NULL;

  rook_mutex_lock (&store->lock);
  entry = gs_memory_find (store, pending, key, length);
  rook_mutex_unlock (&store->lock);
  if (entry == NULL || !gs_entry_is_whole (entry))
    return FALSE;
  *out_value = gs_entry_resolve (entry, NULL);
  return TRUE;
}

/* With the lock: the copy that is not in use, if it holds what the current one holds of @key. */
static gboolean
pin_other (GsStore *store, guint current, const guint8 *key, guint length, guint *out_index)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static (key, length);
  guint other = 1 - current;

  if (store->current.current != current || !store->current.copies[other].clean
      || g_hash_table_contains (store->missed, bytes))
    return FALSE;
  store->pins[other]++;
  *out_index = other;
  return TRUE;
}

/* What the other copy says, if it holds what the pinned one holds of @key. */
static gboolean
ask_other (GsStore *store, GsReader *reader, guint pinned, const guint8 *key, guint length, GBytes **out_value)
{
  gboolean ok;
  guint other;

  rook_mutex_lock (&store->lock);
  ok = pin_other (store, pinned, key, length, &other);
  rook_mutex_unlock (&store->lock);
  if (!ok)
    return FALSE;
  ok = gs_copy_fetch (store, reader, other, key, length, out_value, NULL);
  gs_unpin (store, other);
  return ok;
}

/* GDBM may lose a key and not notice: that there is none both copies must say, but of content keys, most of which are not
 * there, and with which nothing is lost but room. */
gboolean
gs_lookup_below (GsStore *store, GsReader *reader, guint pinned, const guint8 *key, guint length, GBytes **out_value,
                 GError **error)
{
  g_autoptr (GError) failed = NULL;
  g_autoptr (GBytes) other = NULL;
  gboolean ok = gs_copy_fetch (store, reader, pinned, key, length, out_value, &failed);

  if (ok && (*out_value != NULL || gs_key_table (key) == GS_TABLE_CONTENT))
    return TRUE;
  if (!ok && g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
    gs_repair_want (store, pinned, failed->message);
  if (ask_other (store, reader, pinned, key, length, &other) && (!ok || other != NULL))
    {
      if (ok)
        gs_repair_want (store, pinned, "it lacks a record that the other has");
      *out_value = g_steal_pointer (&other);
      return TRUE;
    }
  if (!ok)
    g_propagate_error (error, g_steal_pointer (&failed));
  return ok;
}

gboolean
gs_lookup (GsStore *store, GsReader *reader, GsTable *pending, const guint8 *key, guint length, GBytes **out_value,
           GError **error)
{
  g_autoptr (GsEntry) entry = NULL;
  g_autoptr (GBytes) below = NULL;
  gboolean ok = TRUE;
  guint index;

  rook_mutex_lock (&store->lock);
  entry = gs_memory_find (store, pending, key, length);
  index = gs_pin (store);
  rook_mutex_unlock (&store->lock);
  if (entry == NULL || !gs_entry_is_whole (entry))
    ok = gs_lookup_below (store, reader, index, key, length, &below, error);
  gs_unpin (store, index);
  if (ok)
    *out_value = entry != NULL ? gs_entry_resolve (entry, below) : g_steal_pointer (&below);
  return ok;
}

/* --- where a blob lies ------------------------------------------------------------------------------------------------- */

static GsCacheSlot *
cache_slot (GsStore *store, RookBlobId id)
{
  return &store->cache[(id ^ id >> 32) % GS_CACHE_SLOTS];
}

void
gs_cache_forget (GsStore *store, const guint8 *key, guint length)
{
  RookBlobId id;

  if (length != 10 || gs_key_table (key) != GS_TABLE_BLOBS)
    return;
  id = gs_get64_be (key + 2);
  cache_slot (store, id)->id = 0;
  cache_slot (store, id)->version++;
}

static void
forget (GsStore *store, RookBlobId id)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);

  cache_slot (store, id)->id = 0;
}

/* What arrives is news, and forgotten here only as it is moved: see gs-memory.c. */
static gboolean
is_news (GsStore *store, RookBlobId id)
{
  GsKey key;

  gs_blob_key (&key, id);
  return store->arriving != NULL && gs_table_lookup (store->arriving, key.bytes, gs_key_length (&key)) != NULL;
}

static gboolean
cache_find (GsStore *store, RookBlobId id, GsBlobEntry *out_entry)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);
  GsCacheSlot *slot = cache_slot (store, id);

  if (slot->id != id || is_news (store, id))
    return FALSE;
  *out_entry = slot->entry;
  return TRUE;
}

static gboolean
not_found (GError **error)
{
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_NOT_FOUND, "no such blob");
  return FALSE;
}

/* The entry of @id. @reader %NULL: only if memory knows; then *@out_waits says that it doesn't. */
static gboolean
find_entry (GsStore *store, GsReader *reader, RookBlobId id, GsBlobEntry *out_entry, gboolean *out_waits,
            GError **error)
{
  g_autoptr (GBytes) value = NULL;
  GsKey key;

  gs_blob_key (&key, id);
  if (reader == NULL && !gs_lookup_memory (store, NULL, key.bytes, gs_key_length (&key), &value))
    {
      *out_waits = TRUE;
      return FALSE;
    }
  if (reader != NULL && !gs_lookup (store, reader, NULL, key.bytes, gs_key_length (&key), &value, error))
    return FALSE;
  if (value == NULL)
    return not_found (error);
  if (gs_blob_entry_decode (value, out_entry))
    return TRUE;
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "a blob's entry is malformed");
  return FALSE;
}

/* The entry that holds the body of @id, and its segment. */
static GsSegment *
locate (GsStore *store, GsReader *reader, RookBlobId id, GsBlobEntry *out_entry, gboolean *out_waits, GError **error)
{
  if (cache_find (store, id, out_entry))
    return gs_segment_find (store, out_entry->segment);
  if (!find_entry (store, reader, id, out_entry, out_waits, error))
    return NULL;
  if (out_entry->kind == GS_FRAME_ALIAS)
    {
      RookBlobId body = out_entry->body;

      if (!find_entry (store, reader, body, out_entry, out_waits, error))
        return NULL;
    }
  else if (out_entry->nameless)
    {
      not_found (error);
      return NULL;
    }
  return gs_segment_find (store, out_entry->segment);
}

static guint32
cache_version (GsStore *store, RookBlobId id)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);

  return cache_slot (store, id)->version;
}

/* Remembers where @id lies, unless its slot was told to forget since @version was seen. */
static void
remember (GsStore *store, RookBlobId id, guint32 version, const GsBlobEntry *entry)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);

  if (cache_slot (store, id)->version == version)
    *cache_slot (store, id) = (GsCacheSlot){ id, version, *entry };
}

/* --- bodies -------------------------------------------------------------------------------------------------------------- */

/* Returns: 1: read; 0: it would have to wait; -1: an error. */
static int
read_range (GsStore *store, GsSegment *segment, gpointer buffer, gsize length, guint64 offset, int flags,
            GError **error)
{
  struct iovec part = { buffer, length };
  ssize_t n;

  if (length == 0)
    return 1;
  if (!(flags & RWF_NOWAIT))
    return gs_io_pread (store->io, segment->fd, buffer, length, offset, segment->name, error) ? 1 : -1;
  do
    n = preadv2 (segment->fd, &part, 1, (off_t) offset, flags);
  while (n < 0 && errno == EINTR);
  return n == (ssize_t) length ? 1 : 0;
}

static gboolean
damaged (GsSegment *segment, guint64 offset, GError **error)
{
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "%s is damaged at %" G_GUINT64_FORMAT, segment->name,
               offset);
  return FALSE;
}

gboolean
gs_read_frame (GsStore *store, GsSegment *segment, guint64 offset, GsBlobFrame *out_frame, GError **error)
{
  guint8 head[GS_BLOB_FRAME_SIZE];
  g_autofree guint8 *whole = NULL;
  guint32 length;

  if (!gs_io_pread (store->io, segment->fd, head, sizeof head, offset, segment->name, error))
    return FALSE;
  length = gs_blob_frame_head_length (head);
  if (length == 0 || length > MAX_HEAD)
    return damaged (segment, offset, error);
  whole = g_malloc (length);
  return gs_io_pread (store->io, segment->fd, whole, length, offset, segment->name, error)
         && (gs_blob_frame_decode (whole, length, out_frame) || damaged (segment, offset, error));
}

/* The checksums of chunks [first, last) stand at the end of the frame's head. */
static int
read_checksums (GsStore *store, GsSegment *segment, const GsBlobEntry *entry, guint first, guint last, guint8 *out,
                int flags, GError **error)
{
  guint n_chunks = (guint) ((entry->length + GS_CHUNK - 1) / GS_CHUNK);
  g_auto (GsBlobFrame) frame = { 0 };

  if (n_chunks == 1)
    {
      gs_put32 (out, entry->first_crc);
      return 1;
    }
  if (flags & RWF_NOWAIT) /* large bodies are read piece by piece: the pool does it */
    return 0;
  if (!gs_read_frame (store, segment, entry->offset, &frame, error))
    return -1;
  if (frame.n_chunks != n_chunks)
    {
      damaged (segment, entry->offset, error);
      return -1;
    }
  for (guint i = first; i < last; i++)
    gs_put32 (out + 4 * (gsize) (i - first), frame.chunk_crcs[i]);
  return 1;
}

static gboolean
check_chunks (const guint8 *data, gsize length, const guint8 *crcs)
{
  for (gsize at = 0; at < length; at += GS_CHUNK, crcs += 4)
    if (gs_crc32c (0, data + at, MIN (GS_CHUNK, length - at)) != gs_get32 (crcs))
      return FALSE;
  return TRUE;
}

/* Whether the segment has all of what is to be read: before memory is asked for as much as an entry says. */
static gboolean
reaches (GsSegment *segment, guint64 end, GError **error)
{
  guint64 size;

  return gs_io_size (segment->fd, &size, segment->name, error) && (end <= size || damaged (segment, end, error));
}

/* Whole chunks [first, last) of the body. */
static guint8 *
read_chunks (GsStore *store, GsSegment *segment, const GsBlobEntry *entry, guint first, guint last, int flags,
             GError **error)
{
  guint64 start = (guint64) first * GS_CHUNK, end = MIN ((guint64) last * GS_CHUNK, entry->length);
  guint64 place = entry->offset + entry->head_length;
  g_autofree guint8 *data = NULL, *crcs = NULL;

  if (last - first > 1 && !reaches (segment, place + end, error))
    return NULL;
  data = g_malloc (end - start + 1);
  crcs = g_malloc (4 * (gsize) (last - first) + 1);
  if (read_checksums (store, segment, entry, first, last, crcs, flags, error) <= 0
      || read_range (store, segment, data, end - start, place + start, flags, error) <= 0)
    return NULL;
  if (check_chunks (data, end - start, crcs))
    return g_steal_pointer (&data);
  damaged (segment, entry->offset, error);
  return NULL;
}

GBytes *
gs_read_body (GsStore *store, GsSegment *segment, const GsBlobEntry *entry, guint64 offset, gsize length, int flags,
              GError **error)
{
  g_autoptr (GBytes) chunks = NULL;
  guint first, last;
  guint8 *data;

  offset = MIN (offset, entry->length);
  length = (gsize) MIN ((guint64) length, entry->length - offset);
  if (length == 0)
    return g_bytes_new (NULL, 0);
  first = (guint) (offset / GS_CHUNK);
  last = (guint) ((offset + length + GS_CHUNK - 1) / GS_CHUNK);
  data = read_chunks (store, segment, entry, first, last, flags, error);
  if (data == NULL)
    return NULL;
  chunks =
      g_bytes_new_take (data, (gsize) (MIN ((guint64) last * GS_CHUNK, entry->length) - (guint64) first * GS_CHUNK));
  return g_bytes_new_from_bytes (chunks, (gsize) (offset - (guint64) first * GS_CHUNK), length);
}

GBytes *
gs_try_read (GsStore *store, RookBlobId blob, guint64 offset, gsize length)
{
  g_autoptr (GsSegment) segment = NULL;
  gboolean waits = FALSE;
  GsBlobEntry entry;

  segment = locate (store, NULL, blob, &entry, &waits, NULL);
  return segment != NULL ? gs_read_body (store, segment, &entry, offset, length, RWF_NOWAIT, NULL) : NULL;
}

/* Blobs of the cache are not synced: one that a crash has spoilt is simply not there. */
static GBytes *
read_found (GsStore *store, GsSegment *segment, const GsBlobEntry *entry, const Job *job, GError **error)
{
  g_autoptr (GError) failed = NULL;
  GBytes *bytes = gs_read_body (store, segment, entry, job->offset, job->length, 0, &failed);

  if (bytes != NULL)
    return bytes;
  if (entry->blob_class == ROOK_BLOB_CACHE && g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
    not_found (error);
  else
    g_propagate_error (error, g_steal_pointer (&failed));
  return NULL;
}

/* A segment that is gone when its entry was just read has been compacted: the entry says a new place now. */
static GBytes *
read_waiting (GsStore *store, GsReader *reader, const Job *job, GError **error)
{
  GsBlobEntry entry = { .kind = GS_FRAME_BODY };

  for (int attempt = 0; attempt < 10; attempt++)
    {
      g_autoptr (GsSegment) segment = NULL;
      g_autoptr (GError) missing = NULL;
      guint32 version = cache_version (store, job->blob);

      segment = locate (store, reader, job->blob, &entry, NULL, &missing);
      if (segment != NULL)
        {
          remember (store, job->blob, version, &entry);
          return read_found (store, segment, &entry, job, error);
        }
      if (missing != NULL)
        {
          g_propagate_error (error, g_steal_pointer (&missing));
          return NULL;
        }
      forget (store, job->blob);
    }
  if (entry.blob_class == ROOK_BLOB_CACHE)
    not_found (error);
  else
    g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "a blob's segment is missing");
  return NULL;
}

/* --- the readers' threads -------------------------------------------------------------------------------------------------- */

static void
job_free (Job *job)
{
  g_clear_pointer (&job->key, g_bytes_unref);
  g_free (job);
}

static GBytes *
do_job (GsStore *store, GsReader *reader, const Job *job, GError **error)
{
  GBytes *value = NULL;

  if (job->key == NULL)
    return read_waiting (store, reader, job, error);
  gs_lookup (store, reader, NULL, g_bytes_get_data (job->key, NULL), (guint) g_bytes_get_size (job->key), &value,
             error);
  return value;
}

/* What a damaged copy can't say, the other and the log can, once that is seen to. */
static void
run_job (GsStore *store, GsReader *reader, Job *job)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) value = do_job (store, reader, job, &error);

  if (g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT) && gs_repair_wait (store))
    {
      g_clear_error (&error);
      value = do_job (store, reader, job, &error);
    }
  if (error != NULL)
    rook_store_reply_error (job->reply, error);
  else
    rook_store_reply_value (job->reply, value);
  job_free (job);
}

static void *
reader_thread (void *data)
{
  GsStore *store = data;
  GsReader reader = { { NULL, NULL }, { 0, 0 } };

  rook_mutex_lock (&store->readers_lock);
  while (TRUE)
    {
      Job *job = g_queue_pop_head (&store->jobs);

      if (job == NULL && store->readers_stop)
        break;
      if (job == NULL)
        {
          rook_cond_wait (&store->readers_cond, &store->readers_lock);
          continue;
        }
      rook_mutex_unlock (&store->readers_lock);
      run_job (store, &reader, job);
      rook_mutex_lock (&store->readers_lock);
    }
  rook_mutex_unlock (&store->readers_lock);
  gs_reader_clear (&reader);
  return NULL;
}

void
gs_readers_start (GsStore *store)
{
  store->readers = g_new0 (pthread_t, store->settings.n_readers);
  for (guint i = 0; i < store->settings.n_readers; i++)
    if (pthread_create (&store->readers[i], NULL, reader_thread, store) != 0)
      g_error ("no thread for a store's reader");
}

void
gs_readers_stop (GsStore *store)
{
  rook_mutex_lock (&store->readers_lock);
  store->readers_stop = TRUE;
  rook_cond_broadcast (&store->readers_cond);
  rook_mutex_unlock (&store->readers_lock);
  for (guint i = 0; i < store->settings.n_readers; i++)
    pthread_join (store->readers[i], NULL);
  g_clear_pointer (&store->readers, g_free);
}

static void
queue_job (GsStore *store, const Job *job)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->readers_lock);

  g_queue_push_tail (&store->jobs, g_memdup2 (job, sizeof *job));
  rook_cond_signal (&store->readers_cond);
}

/* --- what the wrappers call --------------------------------------------------------------------------------------------- */

static void
user_key (GsKey *out, RookTable table, GBytes *key)
{
  gsize length;
  gconstpointer data = g_bytes_get_data (key, &length);

  gs_key_set (out, table, data, length);
}

gboolean
gs_try_get (GsStore *store, RookTable table, GBytes *key, GBytes **out_value)
{
  GsKey full;

  user_key (&full, table, key);
  return gs_lookup_memory (store, NULL, full.bytes, gs_key_length (&full), out_value);
}

void
gs_get (GsStore *store, RookTable table, GBytes *key, RookStoreReply *reply)
{
  g_autoptr (GBytes) value = NULL;
  Job job = { .reply = reply };
  GsKey full;

  user_key (&full, table, key);
  if (gs_lookup_memory (store, NULL, full.bytes, gs_key_length (&full), &value))
    {
      rook_store_reply_value (reply, value);
      return;
    }
  job.key = g_bytes_new (full.bytes, gs_key_length (&full));
  queue_job (store, &job);
}

void
gs_read (GsStore *store, RookBlobId blob, guint64 offset, gsize length, RookStoreReply *reply)
{
  g_autoptr (GBytes) bytes = gs_try_read (store, blob, offset, length);
  Job job = { .reply = reply, .blob = blob, .offset = offset, .length = length };

  if (bytes != NULL)
    rook_store_reply_value (reply, bytes);
  else
    queue_job (store, &job);
}
