/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The in-memory backend: what the mailbox service is tested on, and the shortest example of a backend. One thread
 * commits, in the order of its queue; everything else is a look-up under one lock. It does not share bodies.
 */
#include "storage/memory.h"

#include <string.h>

typedef struct {
  RookBlobClass blob_class;
  GBytes *label; /* (owned) (nullable) */
  GBytes *body;  /* (owned) */
} Blob;

struct RookMemoryDisk {
  gint endless; /* atomic */
  RookMutex lock;
  RookCond cond;      /* the queue, hold or stop changed */
  char *id;           /* (owned) (nullable) no store yet */
  GHashTable *values; /* GBytes (table number, key) to GBytes */
  GHashTable *blobs;  /* RookBlobId to Blob */
  GHashTable *stages; /* RookBlobId to GByteArray, of the store that is open */
  guint64 next_id;    /* of blobs and stages */
  guint64 position;
  guint64 size; /* 0: it is not said */
  gboolean open;
  gboolean hold, step;
  gboolean stop;
  gboolean unknown; /* the outcome of a batch is unknown: nothing more until reopened */
  guint calls;
  guint fail_in; /* calls that may fail with fail_code; 0: none will */
  RookStoreError fail_code;
  gboolean fail_applied;
  GQueue queue;     /* (element-type RookBatch) */
  RookStore *store; /* (unowned) of the one open */
  pthread_t committer;
};

static void
blob_free (gpointer data)
{
  Blob *blob = data;

  g_clear_pointer (&blob->label, g_bytes_unref);
  g_bytes_unref (blob->body);
  g_free (blob);
}

RookMemoryDisk *
rook_memory_disk_new (void)
{
  RookMemoryDisk *disk = g_new0 (RookMemoryDisk, 1);

  rook_mutex_init (&disk->lock);
  rook_cond_init (&disk->cond);
  g_queue_init (&disk->queue);
  disk->values = g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref,
                                        (GDestroyNotify) g_bytes_unref);
  disk->blobs = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, blob_free);
  disk->stages = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, (GDestroyNotify) g_byte_array_unref);
  disk->next_id = 1;
  return disk;
}

void
rook_memory_disk_free (RookMemoryDisk *disk)
{
  g_assert (!disk->open);
  g_hash_table_unref (disk->stages);
  g_hash_table_unref (disk->blobs);
  g_hash_table_unref (disk->values);
  g_free (disk->id);
  rook_cond_clear (&disk->cond);
  rook_mutex_clear (&disk->lock);
  g_free (disk);
}

void
rook_memory_disk_set_size (RookMemoryDisk *disk, guint64 bytes)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);

  disk->size = bytes;
}

void
rook_memory_disk_set_endless (RookMemoryDisk *disk, gboolean endless)
{
  g_atomic_int_set (&disk->endless, endless);
}

void
rook_memory_disk_hold (RookMemoryDisk *disk, gboolean hold)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);

  disk->hold = hold;
  rook_cond_broadcast (&disk->cond);
}

void
rook_memory_disk_step (RookMemoryDisk *disk)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);

  disk->step = TRUE;
  rook_cond_broadcast (&disk->cond);
}

gboolean
rook_memory_disk_has_stepped (RookMemoryDisk *disk)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);

  return !disk->step;
}

void
rook_memory_disk_fail (RookMemoryDisk *disk, guint nth, RookStoreError code, gboolean applied)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);

  disk->fail_in = nth;
  disk->fail_code = code;
  disk->fail_applied = applied;
}

gboolean
rook_memory_disk_will_fail (RookMemoryDisk *disk)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);

  return disk->fail_in > 0;
}

guint
rook_memory_disk_get_calls (RookMemoryDisk *disk)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);

  return disk->calls;
}

guint
rook_memory_disk_count_blobs (RookMemoryDisk *disk)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);
  GHashTableIter iter;
  gpointer blob;
  guint n = 0;

  g_hash_table_iter_init (&iter, disk->blobs);
  while (g_hash_table_iter_next (&iter, NULL, &blob))
    n += ((Blob *) blob)->blob_class == ROOK_BLOB_MAIL;
  return n;
}

guint
rook_memory_disk_count_stages (RookMemoryDisk *disk)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);

  return g_hash_table_size (disk->stages);
}

RookStore *
rook_memory_disk_get_store (RookMemoryDisk *disk)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);

  return disk->open ? disk->store : NULL;
}

/* What the contract lets a call fail with. */
#define CODE(code) (1u << ROOK_STORE_ERROR_##code)
#define OPEN_CODES (CODE (IO) | CODE (CORRUPT))
#define GET_CODES (CODE (IO) | CODE (CORRUPT))
#define READ_CODES (CODE (IO) | CODE (CORRUPT) | CODE (NOT_FOUND))
#define RESERVE_CODES CODE (FULL)
#define COMMIT_CODES (CODE (IO) | CODE (FULL) | CODE (UNKNOWN))
#define STAGE_CODES (CODE (IO) | CODE (FULL))

/* Counts a call, which may fail with one of @codes. With the lock. */
static gboolean
check_call (RookMemoryDisk *disk, const char *what, guint codes, GError **error)
{
  disk->calls++;
  if (disk->fail_in == 0 || (codes & 1u << disk->fail_code) == 0 || --disk->fail_in > 0)
    return TRUE;
  g_set_error (error, ROOK_STORE_ERROR, (int) disk->fail_code, "%s was told to fail", what);
  return FALSE;
}

/* --- values --------------------------------------------------------------------------------------------------------- */

static GBytes *
table_key (RookTable table, GBytes *key)
{
  gsize length;
  const guint8 *data = g_bytes_get_data (key, &length);
  guint8 *joined = g_malloc (length + 1);

  joined[0] = (guint8) table;
  memcpy (joined + 1, data, length);
  return g_bytes_new_take (joined, length + 1);
}

static void
apply_patch (RookMemoryDisk *disk, GBytes *key, const RookOp *op)
{
  GBytes *old = g_hash_table_lookup (disk->values, key);
  gsize old_size = old != NULL ? g_bytes_get_size (old) : 0, patch_size, size;
  gconstpointer patch = g_bytes_get_data (op->value, &patch_size);
  guint8 *data;

  size = MAX (old_size, op->offset + patch_size);
  data = g_malloc0 (size + 1);
  if (old_size > 0)
    memcpy (data, g_bytes_get_data (old, NULL), old_size);
  if (patch_size > 0)
    memcpy (data + op->offset, patch, patch_size);
  g_hash_table_insert (disk->values, g_bytes_ref (key), g_bytes_new_take (data, size));
}

static void
apply_value (RookMemoryDisk *disk, const RookOp *op)
{
  g_autoptr (GBytes) key = table_key (op->table, op->key);

  if (op->kind == ROOK_OP_PUT)
    g_hash_table_insert (disk->values, g_bytes_ref (key), g_bytes_ref (op->value));
  else if (op->kind == ROOK_OP_DELETE)
    g_hash_table_remove (disk->values, key);
  else
    apply_patch (disk, key, op);
}

/* --- blobs ---------------------------------------------------------------------------------------------------------- */

static void
add_blob (RookMemoryDisk *disk, RookBlobId id, RookBlobClass blob_class, GBytes *label, GBytes *body)
{
  Blob *blob = g_new (Blob, 1);

  *blob = (Blob){ blob_class, label != NULL ? g_bytes_ref (label) : NULL, g_bytes_ref (body) };
  g_hash_table_insert (disk->blobs, g_memdup2 (&id, sizeof id), blob);
}

static void
adopt (RookMemoryDisk *disk, const RookOp *op)
{
  GByteArray *stage = g_hash_table_lookup (disk->stages, &op->offset);
  g_autoptr (GBytes) body = NULL;

  g_assert (stage != NULL);
  body = g_bytes_new (stage->data, stage->len);
  add_blob (disk, op->blob, op->blob_class, op->label, body);
  g_hash_table_remove (disk->stages, &op->offset);
}

static void
share (RookMemoryDisk *disk, const RookOp *op)
{
  Blob *blob = g_hash_table_lookup (disk->blobs, &op->source);

  if (blob != NULL)
    add_blob (disk, op->blob, blob->blob_class, op->label, blob->body);
}

static void
apply_op (RookMemoryDisk *disk, const RookOp *op)
{
  switch (op->kind)
    {
    case ROOK_OP_PUT:
    case ROOK_OP_DELETE:
    case ROOK_OP_PATCH:
      apply_value (disk, op);
      break;
    case ROOK_OP_BLOB:
      add_blob (disk, op->blob, op->blob_class, op->label, op->value);
      break;
    case ROOK_OP_ADOPT:
      adopt (disk, op);
      break;
    case ROOK_OP_SHARE:
      share (disk, op);
      break;
    case ROOK_OP_RELEASE:
      g_hash_table_remove (disk->blobs, &op->blob);
      break;
    }
}

static void
apply_batch (RookMemoryDisk *disk, RookBatch *batch)
{
  guint n_ops;
  const RookOp *ops = rook_batch_get_ops (batch, &n_ops);

  for (guint i = 0; i < n_ops; i++)
    apply_op (disk, &ops[i]);
  disk->position++;
}

/* --- the committer -------------------------------------------------------------------------------------------------- */

/* The batch fails, and with it what was queued behind it; nothing comes in meanwhile. With the lock, which it gives up. */
static void
fail_queue (RookMemoryDisk *disk, RookBatch *batch, const GError *error)
{
  g_autoptr (GError) behind = g_error_new (ROOK_STORE_ERROR, ROOK_STORE_ERROR_RECOVERING, "a batch before it failed");
  gboolean unknown;

  disk->unknown |= error->code == ROOK_STORE_ERROR_UNKNOWN;
  unknown = disk->unknown;
  if (error->code == ROOK_STORE_ERROR_UNKNOWN && disk->fail_applied)
    apply_batch (disk, batch);
  rook_mutex_unlock (&disk->lock);
  rook_store_set_state (disk->store, ROOK_STORE_RECOVERING);
  rook_batch_complete (batch, 0, error);
  rook_mutex_lock (&disk->lock);
  while ((batch = g_queue_pop_head (&disk->queue)) != NULL)
    {
      rook_mutex_unlock (&disk->lock);
      rook_batch_complete (batch, 0, behind);
      rook_mutex_lock (&disk->lock);
    }
  rook_mutex_unlock (&disk->lock);
  if (!unknown)
    rook_store_set_state (disk->store, ROOK_STORE_OPEN);
  rook_mutex_lock (&disk->lock);
}

static void
commit_one (RookMemoryDisk *disk, RookBatch *batch)
{
  g_autoptr (GError) error = NULL;
  guint64 position;

  if (disk->unknown)
    g_set_error (&error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_RECOVERING, "the store is recovering");
  if (error != NULL || !check_call (disk, "commit", COMMIT_CODES, &error))
    {
      fail_queue (disk, batch, error);
      return;
    }
  apply_batch (disk, batch);
  position = disk->position;
  rook_mutex_unlock (&disk->lock);
  rook_batch_complete (batch, position, NULL);
  rook_mutex_lock (&disk->lock);
}

static void *
committer (void *data)
{
  RookMemoryDisk *disk = data;

  rook_mutex_lock (&disk->lock);
  while (TRUE)
    {
      if (!g_queue_is_empty (&disk->queue) && (!disk->hold || disk->step))
        {
          commit_one (disk, g_queue_pop_head (&disk->queue));
          disk->step = FALSE;
        }
      else if (disk->stop)
        break;
      else
        rook_cond_wait (&disk->cond, &disk->lock);
    }
  rook_mutex_unlock (&disk->lock);
  return NULL;
}

/* --- the backend's functions ---------------------------------------------------------------------------------------- */

static gboolean
check_open (RookMemoryDisk *disk, const RookStoreSpec *spec, GError **error)
{
  if (disk->open)
    g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_LOCKED, "it is open already");
  else if (disk->id == NULL && (!spec->create || spec->store_id != NULL))
    g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY, "there is no store");
  else
    return check_call (disk, "open", OPEN_CODES, error);
  return FALSE;
}

static gpointer
memory_open (gpointer backend, RookServer *server G_GNUC_UNUSED, RookStore *store, const RookStoreSpec *spec,
             GError **error)
{
  RookMemoryDisk *disk = backend;
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);

  if (!check_open (disk, spec, error))
    return NULL;
  if (disk->id == NULL)
    disk->id = g_uuid_string_random ();
  disk->open = TRUE;
  disk->stop = FALSE;
  disk->unknown = FALSE;
  disk->store = store;
  if (pthread_create (&disk->committer, NULL, committer, disk) != 0)
    g_error ("no thread for the in-memory store");
  return disk;
}

static void
memory_close (gpointer self)
{
  RookMemoryDisk *disk = self;

  rook_mutex_lock (&disk->lock);
  disk->stop = TRUE;
  disk->hold = FALSE;
  rook_cond_broadcast (&disk->cond);
  rook_mutex_unlock (&disk->lock);
  pthread_join (disk->committer, NULL);
  rook_mutex_lock (&disk->lock);
  g_hash_table_remove_all (disk->stages);
  disk->open = FALSE;
  rook_mutex_unlock (&disk->lock);
}

static const char *
memory_get_id (gpointer self)
{
  return ((RookMemoryDisk *) self)->id;
}

static guint64
memory_get_position (gpointer self)
{
  RookMemoryDisk *disk = self;
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);

  return disk->position;
}

static RookBlobId
memory_new_blob_id (gpointer self)
{
  RookMemoryDisk *disk = self;
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);

  return disk->next_id++;
}

static gboolean
memory_reserve (gpointer self, guint64 bytes G_GNUC_UNUSED, gboolean frees, GError **error)
{
  RookMemoryDisk *disk = self;
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);

  return frees || check_call (disk, "reserve", RESERVE_CODES, error);
}

static void
memory_unreserve (gpointer self G_GNUC_UNUSED, guint64 bytes G_GNUC_UNUSED)
{
}

static void
memory_commit (gpointer self, RookBatch *batch)
{
  RookMemoryDisk *disk = self;
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);

  g_queue_push_tail (&disk->queue, batch);
  rook_cond_signal (&disk->cond);
}

static void
memory_get (gpointer self, RookTable table, GBytes *key, RookStoreReply *reply)
{
  RookMemoryDisk *disk = self;
  g_autoptr (GBytes) full_key = table_key (table, key);
  g_autoptr (GBytes) value = NULL;
  g_autoptr (GError) error = NULL;

  rook_mutex_lock (&disk->lock);
  if (check_call (disk, "get", GET_CODES, &error))
    value = g_hash_table_lookup (disk->values, full_key);
  if (value != NULL)
    g_bytes_ref (value);
  rook_mutex_unlock (&disk->lock);
  if (error != NULL)
    rook_store_reply_error (reply, error);
  else
    rook_store_reply_value (reply, value);
}

static GBytes *
cut (GBytes *body, guint64 offset, gsize length)
{
  gsize size = g_bytes_get_size (body);

  offset = MIN (offset, size);
  return g_bytes_new_from_bytes (body, offset, MIN (length, size - offset));
}

static void
memory_read (gpointer self, RookBlobId id, guint64 offset, gsize length, RookStoreReply *reply)
{
  RookMemoryDisk *disk = self;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;

  rook_mutex_lock (&disk->lock);
  if (check_call (disk, "read", READ_CODES, &error))
    {
      Blob *blob = g_hash_table_lookup (disk->blobs, &id);

      if (blob != NULL)
        bytes = cut (blob->body, offset, length);
      else
        g_set_error (&error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_NOT_FOUND, "no such blob");
    }
  rook_mutex_unlock (&disk->lock);
  if (error != NULL)
    rook_store_reply_error (reply, error);
  else
    rook_store_reply_value (reply, bytes);
}

static GPtrArray *
list_values (RookMemoryDisk *disk, RookTable table)
{
  GPtrArray *pairs = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init (&iter, disk->values);
  while (g_hash_table_iter_next (&iter, &key, &value))
    if (((const guint8 *) g_bytes_get_data (key, NULL))[0] == table)
      {
        g_ptr_array_add (pairs, g_bytes_ref (key));
        g_ptr_array_add (pairs, g_bytes_ref (value));
      }
  return pairs;
}

static gboolean
memory_foreach (gpointer self, RookTable table, RookStoreForeach func, gpointer data, GError **error)
{
  RookMemoryDisk *disk = self;
  g_autoptr (GPtrArray) pairs = NULL;
  gboolean ok;

  rook_mutex_lock (&disk->lock);
  ok = check_call (disk, "foreach", GET_CODES, error);
  if (ok)
    pairs = list_values (disk, table);
  rook_mutex_unlock (&disk->lock);
  for (guint i = 0; ok && i < pairs->len; i += 2)
    {
      GBytes *full_key = g_ptr_array_index (pairs, i);
      g_autoptr (GBytes) key = g_bytes_new_from_bytes (full_key, 1, g_bytes_get_size (full_key) - 1);

      if (!func (table, key, g_ptr_array_index (pairs, i + 1), data))
        break;
    }
  return ok;
}

static GArray *
list_blobs (RookMemoryDisk *disk)
{
  GArray *infos = g_array_new (FALSE, FALSE, sizeof (RookBlobInfo));
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init (&iter, disk->blobs);
  while (g_hash_table_iter_next (&iter, &key, &value))
    {
      Blob *blob = value;
      RookBlobInfo info = { sizeof info, *(RookBlobId *) key, blob->blob_class, g_bytes_get_size (blob->body),
                            blob->label != NULL ? g_bytes_ref (blob->label) : NULL };

      g_array_append_val (infos, info);
    }
  return infos;
}

static gboolean
memory_foreach_blob (gpointer self, RookStoreForeachBlob func, gpointer data, GError **error)
{
  RookMemoryDisk *disk = self;
  g_autoptr (GArray) infos = NULL;
  gboolean go_on = TRUE;

  rook_mutex_lock (&disk->lock);
  if (check_call (disk, "foreach_blob", GET_CODES, error))
    infos = list_blobs (disk);
  rook_mutex_unlock (&disk->lock);
  for (guint i = 0; infos != NULL && i < infos->len; i++)
    {
      RookBlobInfo *info = &g_array_index (infos, RookBlobInfo, i);

      go_on = go_on && func (info, data);
      g_clear_pointer (&info->label, g_bytes_unref);
    }
  return infos != NULL;
}

static gboolean
memory_stage_begin (gpointer self, RookBlobClass blob_class G_GNUC_UNUSED, guint64 *out_stage, GError **error)
{
  RookMemoryDisk *disk = self;
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);

  if (!check_call (disk, "stage_begin", STAGE_CODES, error))
    return FALSE;
  *out_stage = disk->next_id++;
  g_hash_table_insert (disk->stages, g_memdup2 (out_stage, sizeof *out_stage), g_byte_array_new ());
  return TRUE;
}

static gboolean
memory_stage_write (gpointer self, guint64 stage, gconstpointer data, gsize length, GError **error)
{
  RookMemoryDisk *disk = self;
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);
  GByteArray *body = g_hash_table_lookup (disk->stages, &stage);

  g_return_val_if_fail (body != NULL, FALSE);
  if (!check_call (disk, "stage_write", STAGE_CODES, error))
    return FALSE;
  g_byte_array_append (body, data, (guint) length);
  return TRUE;
}

static gboolean
memory_stage_finish (gpointer self, guint64 stage G_GNUC_UNUSED, GError **error)
{
  RookMemoryDisk *disk = self;
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);

  return check_call (disk, "stage_finish", STAGE_CODES, error);
}

static void
memory_stage_drop (gpointer self, guint64 stage)
{
  RookMemoryDisk *disk = self;
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);

  g_hash_table_remove (disk->stages, &stage);
}

static gboolean
memory_verify (gpointer self, RookStoreReport report G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED,
               RookStoreProgress progress, gpointer progress_data, GError **error)
{
  RookMemoryDisk *disk = self;

  do
    if (progress != NULL && !progress (100, "nothing to check", progress_data))
      {
        g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CANCELLED, "stopped");
        return FALSE;
      }
  while (g_atomic_int_get (&disk->endless));
  return TRUE;
}

static GVariant *
memory_stats (gpointer self)
{
  RookMemoryDisk *disk = self;
  g_autoptr (RookLocker) locker = rook_locker_new (&disk->lock);
  guint64 bytes = 0;
  GVariantDict dict;
  GHashTableIter iter;
  gpointer blob;

  g_hash_table_iter_init (&iter, disk->blobs);
  while (g_hash_table_iter_next (&iter, NULL, &blob))
    if (((Blob *) blob)->blob_class == ROOK_BLOB_MAIL)
      bytes += g_bytes_get_size (((Blob *) blob)->body);
  g_variant_dict_init (&dict, NULL);
  if (disk->size > 0)
    g_variant_dict_insert (&dict, "room-bytes", "t", disk->size - MIN (bytes, disk->size));
  return g_variant_dict_end (&dict);
}

const RookStorageBackend rook_memory_backend = {
  .struct_size = sizeof (RookStorageBackend),
  .name = "memory",
  .open = memory_open,
  .close = memory_close,
  .get_id = memory_get_id,
  .get_position = memory_get_position,
  .new_blob_id = memory_new_blob_id,
  .reserve = memory_reserve,
  .unreserve = memory_unreserve,
  .commit = memory_commit,
  .get = memory_get,
  .read = memory_read,
  .foreach = memory_foreach,
  .foreach_blob = memory_foreach_blob,
  .stage_begin = memory_stage_begin,
  .stage_write = memory_stage_write,
  .stage_finish = memory_stage_finish,
  .stage_drop = memory_stage_drop,
  .verify = memory_verify,
  .stats = memory_stats,
};

RookStore *
rook_memory_open (RookMemoryDisk *disk)
{
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = "/nowhere", .create = TRUE };
  g_autoptr (GError) error = NULL;
  RookStore *store = rook_store_open_backend (NULL, &rook_memory_backend, disk, &spec, &error);

  if (store == NULL)
    g_error ("the in-memory store: %s", error->message);
  return store;
}
