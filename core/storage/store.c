/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An open store as its users see it: opening, closing, state, and the calls that go straight to the backend. The
 * wrappers check arguments and answers, so that a backend that breaks its contract is caught at the border. Batches are
 * in batch.c, get and read in reply.c. Nothing here touches a disk.
 */
#include "storage/storage-private.h"

#include <string.h>

G_DEFINE_QUARK (rook - store - error - quark, rook_store_error)

void
rook_store_ref (RookStore *store)
{
  __atomic_fetch_add (&store->refs, 1, __ATOMIC_RELAXED);
}

void
rook_store_unref (RookStore *store)
{
  if (__atomic_fetch_sub (&store->refs, 1, __ATOMIC_ACQ_REL) != 1)
    return;
  g_assert (g_queue_is_empty (&store->parked));
  rook_mutex_clear (&store->lock);
  g_free (store->buckets);
  g_free (store->id);
  g_free (store);
}

guint
rook_store_bucket (RookTable table, GBytes *key)
{
  return (g_bytes_hash (key) * 31u + table) % ROOK_STORE_BUCKETS;
}

static gboolean
unsupported (RookStore *store, const char *what, GError **error)
{
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNSUPPORTED, "the %s backend has no %s", store->backend->name,
               what);
  return FALSE;
}

/* A backend that fails without saying why has broken its contract; its caller still gets an error. */
static gboolean
check_outcome (RookStore *store, const char *what, gboolean ok, GError **error)
{
  if (!ok && error != NULL && *error == NULL)
    {
      g_critical ("storage backend %s: %s failed without an error", store->backend->name, what);
      g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IO, "%s failed", what);
    }
  return ok;
}

/* --- opening and closing -------------------------------------------------------------------------------------------- */

static gboolean
is_good_id (const char *id)
{
  gsize length = id != NULL ? strlen (id) : 0;

  return length >= 1 && length <= 64
         && strspn (id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == length;
}

static gboolean
check_identity (RookStore *store, const RookStoreSpec *spec, GError **error)
{
  const char *id = store->backend->get_id (store->self);

  if (!is_good_id (id))
    g_error ("storage backend %s: a bad store id", store->backend->name);
  if (spec->store_id != NULL && strcmp (spec->store_id, id) != 0)
    {
      g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY, "%s holds store %s, not %s", spec->path, id,
                   spec->store_id);
      return FALSE;
    }
  store->position = store->backend->get_position (store->self);
  if (store->position < spec->min_position)
    {
      g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY,
                   "%s is older than it should be: at position %" G_GUINT64_FORMAT ", not %" G_GUINT64_FORMAT,
                   spec->path, store->position, spec->min_position);
      return FALSE;
    }
  store->id = g_strdup (id);
  return TRUE;
}

RookStore *
rook_store_open_backend (RookServer *server, const RookStorageBackend *backend, gpointer data,
                         const RookStoreSpec *spec, GError **error)
{
  RookStore *store;

  g_return_val_if_fail (backend != NULL && spec != NULL && spec->path != NULL, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);
  store = g_new0 (RookStore, 1);
  store->refs = 1;
  store->backend = backend;
  store->notify = spec->notify;
  store->notify_data = spec->notify_data;
  store->buckets = g_new0 (guint64, ROOK_STORE_BUCKETS);
  rook_mutex_init (&store->lock);
  g_queue_init (&store->parked);
  store->self = backend->open (data, server, store, spec, error);
  if (store->self != NULL && check_identity (store, spec, error))
    return store;
  if (store->self != NULL)
    backend->close (store->self);
  else
    check_outcome (store, "open", FALSE, error);
  rook_store_unref (store);
  return NULL;
}

void
rook_store_close (RookStore *store)
{
  RookFunc closed = store->closed;
  gpointer closed_data = store->closed_data;

  rook_mutex_lock (&store->lock);
  store->closing = TRUE;
  rook_mutex_unlock (&store->lock);
  store->backend->close (store->self);
  rook_mutex_lock (&store->lock);
  if (store->completed != store->submitted)
    g_error ("storage backend %s: closed with batches that were not completed", store->backend->name);
  rook_mutex_unlock (&store->lock);
  rook_store_unref (store);
  if (closed != NULL)
    closed (closed_data);
}

const char *
rook_store_get_id (RookStore *store)
{
  return store->id;
}

guint64
rook_store_get_position (RookStore *store)
{
  return store->backend->get_position (store->self);
}

RookStoreState
rook_store_get_state (RookStore *store)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);

  return store->state;
}

void
rook_store_set_state (RookStore *store, RookStoreState state)
{
  gboolean changed;

  rook_mutex_lock (&store->lock);
  changed = store->state != state;
  store->state = state;
  rook_mutex_unlock (&store->lock);
  if (changed && store->notify != NULL)
    store->notify (state, store->notify_data);
}

/* --- what goes straight through ------------------------------------------------------------------------------------ */

gboolean
rook_store_try_get (RookStore *store, RookTable table, GBytes *key, GBytes **out_value)
{
  gboolean waits;

  g_return_val_if_fail (table <= ROOK_STORE_MAX_TABLE && key != NULL && out_value != NULL, FALSE);
  if (store->backend->try_get == NULL)
    return FALSE;
  rook_mutex_lock (&store->lock);
  waits = store->buckets[rook_store_bucket (table, key)] > store->completed;
  rook_mutex_unlock (&store->lock);
  return !waits && store->backend->try_get (store->self, table, key, out_value);
}

GBytes *
rook_store_try_read (RookStore *store, RookBlobId blob, guint64 offset, gsize length)
{
  g_return_val_if_fail (blob != 0, NULL);
  return store->backend->try_read != NULL ? store->backend->try_read (store->self, blob, offset, length) : NULL;
}

gboolean
rook_store_foreach (RookStore *store, RookTable table, RookStoreForeach func, gpointer data, GError **error)
{
  g_return_val_if_fail (table <= ROOK_STORE_MAX_TABLE && func != NULL, FALSE);
  return check_outcome (store, "foreach", store->backend->foreach (store->self, table, func, data, error), error);
}

gboolean
rook_store_foreach_blob (RookStore *store, RookStoreForeachBlob func, gpointer data, GError **error)
{
  g_return_val_if_fail (func != NULL, FALSE);
  if (store->backend->foreach_blob == NULL)
    return unsupported (store, "way to list blobs", error);
  return check_outcome (store, "foreach_blob", store->backend->foreach_blob (store->self, func, data, error), error);
}

gboolean
rook_store_stage_begin (RookStore *store, RookBlobClass blob_class, guint64 *out_stage, GError **error)
{
  g_return_val_if_fail (out_stage != NULL, FALSE);
  if (store->backend->stage_begin == NULL)
    return unsupported (store, "staging", error);
  return check_outcome (store, "stage_begin", store->backend->stage_begin (store->self, blob_class, out_stage, error),
                        error);
}

gboolean
rook_store_stage_write (RookStore *store, guint64 stage, gconstpointer data, gsize length, GError **error)
{
  g_return_val_if_fail (store->backend->stage_write != NULL && (data != NULL || length == 0), FALSE);
  return check_outcome (store, "stage_write", store->backend->stage_write (store->self, stage, data, length, error),
                        error);
}

gboolean
rook_store_stage_finish (RookStore *store, guint64 stage, GError **error)
{
  g_return_val_if_fail (store->backend->stage_finish != NULL, FALSE);
  return check_outcome (store, "stage_finish", store->backend->stage_finish (store->self, stage, error), error);
}

void
rook_store_stage_drop (RookStore *store, guint64 stage)
{
  g_return_if_fail (store->backend->stage_drop != NULL);
  store->backend->stage_drop (store->self, stage);
}

gboolean
rook_store_checkpoint (RookStore *store, GError **error)
{
  if (store->backend->checkpoint == NULL)
    return TRUE;
  return check_outcome (store, "checkpoint", store->backend->checkpoint (store->self, error), error);
}

gboolean
rook_store_compact (RookStore *store, gboolean *out_more, GError **error)
{
  gboolean more = FALSE;

  if (store->backend->compact != NULL
      && !check_outcome (store, "compact", store->backend->compact (store->self, &more, error), error))
    return FALSE;
  if (out_more != NULL)
    *out_more = more;
  return TRUE;
}

/* Who asked to stop is not asked again, whatever a backend makes of it. */
typedef struct {
  RookStoreProgress progress;
  gpointer data;
  gboolean stopped;
} Asking;

static gboolean
ask (double percent, const char *text, gpointer data)
{
  Asking *asking = data;

  asking->stopped = asking->stopped || !asking->progress (percent, text, asking->data);
  return !asking->stopped;
}

gboolean
rook_store_verify (RookStore *store, RookStoreReport report, gpointer data, RookStoreProgress progress,
                   gpointer progress_data, GError **error)
{
  Asking asking = { progress, progress_data, FALSE };
  gboolean ok;

  g_return_val_if_fail (report != NULL, FALSE);
  if (store->backend->verify == NULL)
    return unsupported (store, "verify", error);
  ok = check_outcome (store, "verify",
                      store->backend->verify (store->self, report, data, progress != NULL ? ask : NULL, &asking, error),
                      error);
  if (!ok || !asking.stopped)
    return ok;
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CANCELLED, "stopped before it was done");
  return FALSE;
}

GVariant *
rook_store_stats (RookStore *store)
{
  GVariantDict dict;

  if (store->backend->stats != NULL)
    return store->backend->stats (store->self);
  g_variant_dict_init (&dict, NULL);
  return g_variant_dict_end (&dict);
}
