/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Batches: building them, handing them to the backend, and bringing the outcome home. Here it is kept that no batch
 * is accepted that may be built on one that failed: after a failure the store takes none until the callbacks of all
 * that failed have returned.
 */
#include "storage/storage-private.h"

/* What an operation costs in a log beyond its bytes, generously. */
#define OP_OVERHEAD 64

RookBatch *
rook_batch_new (RookStore *store)
{
  RookBatch *batch;

  g_return_val_if_fail (store != NULL, NULL);
  batch = g_new0 (RookBatch, 1);
  batch->store = store;
  rook_store_ref (store);
  batch->ops = g_array_new (FALSE, FALSE, sizeof (RookOp));
  return batch;
}

static void
unreserve (RookBatch *batch)
{
  const RookStorageBackend *backend = batch->store->backend;

  if (batch->reserved > 0 && backend->unreserve != NULL)
    backend->unreserve (batch->store->self, batch->reserved);
  batch->reserved = 0;
}

static void
batch_destroy (RookBatch *batch)
{
  for (guint i = 0; i < batch->ops->len; i++)
    {
      RookOp *op = &g_array_index (batch->ops, RookOp, i);

      g_clear_pointer (&op->key, g_bytes_unref);
      g_clear_pointer (&op->value, g_bytes_unref);
      g_clear_pointer (&op->label, g_bytes_unref);
    }
  g_array_unref (batch->ops);
  g_clear_error (&batch->error);
  rook_store_unref (batch->store);
  g_free (batch);
}

static void
drop_stages (RookBatch *batch)
{
  for (guint i = 0; i < batch->ops->len; i++)
    {
      const RookOp *op = &g_array_index (batch->ops, RookOp, i);

      if (op->kind == ROOK_OP_ADOPT)
        rook_store_stage_drop (batch->store, op->offset);
    }
}

void
rook_batch_free (RookBatch *batch)
{
  g_return_if_fail (!batch->submitted);
  drop_stages (batch);
  unreserve (batch);
  batch_destroy (batch);
}

/* --- building ------------------------------------------------------------------------------------------------------- */

static gsize
size_of (GBytes *bytes)
{
  return bytes != NULL ? g_bytes_get_size (bytes) : 0;
}

static GBytes *
ref_or_null (GBytes *bytes)
{
  return bytes != NULL ? g_bytes_ref (bytes) : NULL;
}

/* Takes over nothing: what @op points to is referenced. */
static void
add_op (RookBatch *batch, const RookOp *op)
{
  RookOp copy = *op;
  guint64 metadata = OP_OVERHEAD + size_of (op->key) + size_of (op->label);

  g_return_if_fail (!batch->submitted);
  g_return_if_fail (size_of (op->label) <= ROOK_STORE_MAX_LABEL);
  if (op->kind != ROOK_OP_BLOB)
    metadata += size_of (op->value);
  else
    batch->size += size_of (op->value);
  copy.key = ref_or_null (op->key);
  copy.value = ref_or_null (op->value);
  copy.label = ref_or_null (op->label);
  g_array_append_val (batch->ops, copy);
  batch->metadata += metadata;
  batch->size += metadata;
}

static gboolean
is_good_key (RookTable table, GBytes *key)
{
  return table <= ROOK_STORE_MAX_TABLE && key != NULL && g_bytes_get_size (key) >= 1
         && g_bytes_get_size (key) <= ROOK_STORE_MAX_KEY;
}

static gboolean
is_good_content_key (GBytes *key)
{
  return key == NULL || (g_bytes_get_size (key) >= 1 && g_bytes_get_size (key) <= ROOK_STORE_MAX_CONTENT_KEY);
}

void
rook_batch_put (RookBatch *batch, RookTable table, GBytes *key, GBytes *value)
{
  RookOp op = { .kind = ROOK_OP_PUT, .table = table, .key = key, .value = value };

  g_return_if_fail (is_good_key (table, key));
  g_return_if_fail (value != NULL && g_bytes_get_size (value) <= ROOK_STORE_MAX_VALUE);
  add_op (batch, &op);
}

void
rook_batch_delete (RookBatch *batch, RookTable table, GBytes *key)
{
  RookOp op = { .kind = ROOK_OP_DELETE, .table = table, .key = key };

  g_return_if_fail (is_good_key (table, key));
  add_op (batch, &op);
}

void
rook_batch_patch (RookBatch *batch, RookTable table, GBytes *key, guint64 offset, GBytes *bytes)
{
  RookOp op = { .kind = ROOK_OP_PATCH, .table = table, .key = key, .value = bytes, .offset = offset };

  g_return_if_fail (is_good_key (table, key));
  g_return_if_fail (bytes != NULL && offset <= ROOK_STORE_MAX_VALUE
                    && g_bytes_get_size (bytes) <= ROOK_STORE_MAX_VALUE - offset);
  add_op (batch, &op);
}

static RookBlobId
new_blob_id (RookBatch *batch)
{
  RookBlobId id = batch->store->backend->new_blob_id (batch->store->self);

  g_assert (id != 0);
  return id;
}

RookBlobId
rook_batch_blob (RookBatch *batch, RookBlobClass blob_class, GBytes *content_key, GBytes *label, GBytes *body)
{
  RookOp op = { .kind = ROOK_OP_BLOB, .blob_class = blob_class, .key = content_key, .value = body, .label = label };

  g_return_val_if_fail (body != NULL && is_good_content_key (content_key), 0);
  op.blob = new_blob_id (batch);
  add_op (batch, &op);
  return op.blob;
}

RookBlobId
rook_batch_adopt (RookBatch *batch, RookBlobClass blob_class, GBytes *content_key, GBytes *label, guint64 stage)
{
  RookOp op = { .kind = ROOK_OP_ADOPT, .blob_class = blob_class, .key = content_key, .label = label, .offset = stage };

  g_return_val_if_fail (is_good_content_key (content_key), 0);
  op.blob = new_blob_id (batch);
  add_op (batch, &op);
  return op.blob;
}

RookBlobId
rook_batch_share (RookBatch *batch, RookBlobId blob, GBytes *label)
{
  RookOp op = { .kind = ROOK_OP_SHARE, .source = blob, .label = label };

  g_return_val_if_fail (blob != 0, 0);
  op.blob = new_blob_id (batch);
  add_op (batch, &op);
  return op.blob;
}

void
rook_batch_release (RookBatch *batch, RookBlobId blob)
{
  RookOp op = { .kind = ROOK_OP_RELEASE, .blob = blob };

  g_return_if_fail (blob != 0);
  add_op (batch, &op);
}

void
rook_batch_on_settled (RookBatch *batch, RookStoreCommitCallback func, gpointer data)
{
  g_return_if_fail (!batch->submitted);
  batch->settled = func;
  batch->settled_data = data;
}

const RookOp *
rook_batch_get_ops (RookBatch *batch, guint *out_n_ops)
{
  *out_n_ops = batch->ops->len;
  return (const RookOp *) (gpointer) batch->ops->data;
}

guint64
rook_batch_get_size (RookBatch *batch)
{
  return batch->size;
}

void
rook_batch_set_backend_data (RookBatch *batch, gpointer data)
{
  batch->backend_data = data;
}

gpointer
rook_batch_get_backend_data (RookBatch *batch)
{
  return batch->backend_data;
}

/* --- committing ----------------------------------------------------------------------------------------------------- */

/* Whether the store takes batches now. With its lock. */
static gboolean
check_accepts (RookStore *store, GError **error)
{
  if (store->closing)
    g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CLOSED, "the store is closing");
  else if (store->failed || store->state == ROOK_STORE_RECOVERING)
    g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_RECOVERING, "the store is recovering from a failure");
  else
    return TRUE;
  return FALSE;
}

gboolean
rook_store_accepts (RookStore *store)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);

  return check_accepts (store, NULL);
}

static gboolean
reserve_bytes (RookBatch *batch, guint64 bytes, GError **error)
{
  RookStore *store = batch->store;

  if (store->backend->reserve != NULL && !store->backend->reserve (store->self, bytes, batch->frees, error))
    return FALSE;
  batch->reserved += bytes;
  return TRUE;
}

gboolean
rook_batch_reserve (RookBatch *batch, guint64 more, gboolean frees, GError **error)
{
  RookStore *store = batch->store;
  gboolean accepts;

  g_return_val_if_fail (!batch->submitted && batch->reserved == 0, FALSE);
  rook_mutex_lock (&store->lock);
  accepts = check_accepts (store, error);
  rook_mutex_unlock (&store->lock);
  batch->frees = frees;
  return accepts && reserve_bytes (batch, batch->size + more, error);
}

/* What was not reserved, or outgrew its reservation, is reserved now. */
static gboolean
reserve_rest (RookBatch *batch, GError **error)
{
  if (batch->metadata > ROOK_STORE_MAX_BATCH)
    {
      g_critical ("a batch of %" G_GUINT64_FORMAT " bytes", batch->metadata);
      g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_FULL, "the batch is too large");
      return FALSE;
    }
  return batch->size <= batch->reserved || reserve_bytes (batch, batch->size - batch->reserved, error);
}

/* The callback has returned, or never will be called: the batch is over. */
static void
finish_batch (RookBatch *batch)
{
  RookStore *store = batch->store;

  rook_mutex_lock (&store->lock);
  if (batch->failing)
    store->n_failing--;
  if (store->failed && store->n_failing == 0 && store->completed == store->submitted)
    store->failed = FALSE;
  rook_mutex_unlock (&store->lock);
  batch_destroy (batch);
}

static void
run_callback (gpointer data)
{
  RookBatch *batch = data;

  if (batch->callback != NULL)
    batch->callback (batch->position, batch->error, batch->data);
}

static void
destroy_batch (gpointer data)
{
  finish_batch (data);
}

/* For a thread that waits the batch is over before it is told, so that it can go on at once. */
static void
deliver_to_waiter (RookBatch *batch)
{
  RookStoreWaiter *waiter = batch->waiter;
  g_autoptr (GError) error = g_steal_pointer (&batch->error);
  guint64 position = batch->position;

  finish_batch (batch);
  rook_store_waiter_answer (waiter, NULL, position, error);
}

static void
deliver (RookBatch *batch)
{
  if (batch->worker != NULL)
    rook_worker_invoke (batch->worker, run_callback, batch, destroy_batch);
  else
    deliver_to_waiter (batch);
}

/* With the store's lock. */
static void
mark_failing (RookBatch *batch)
{
  batch->store->failed = TRUE;
  batch->store->n_failing++;
  batch->failing = TRUE;
}

static void
refuse (RookBatch *batch, GError *error)
{
  RookStore *store = batch->store;

  batch->error = error;
  rook_mutex_lock (&store->lock);
  mark_failing (batch);
  rook_mutex_unlock (&store->lock);
  unreserve (batch);
  drop_stages (batch);
  deliver (batch);
}

/* With the store's lock: later gets of these keys wait for this batch. */
static void
number_batch (RookBatch *batch)
{
  RookStore *store = batch->store;

  batch->number = ++store->submitted;
  for (guint i = 0; i < batch->ops->len; i++)
    {
      const RookOp *op = &g_array_index (batch->ops, RookOp, i);

      if (op->kind <= ROOK_OP_PATCH)
        store->buckets[rook_store_bucket (op->table, op->key)] = batch->number;
    }
}

static void
submit (RookBatch *batch)
{
  RookStore *store = batch->store;
  GError *error = NULL;

  batch->submitted = TRUE;
  if (!reserve_rest (batch, &error))
    {
      refuse (batch, error);
      return;
    }
  /* The backend's queue is entered under the lock, so that numbers and queue have one order. */
  rook_mutex_lock (&store->lock);
  if (check_accepts (store, &error))
    {
      number_batch (batch);
      store->backend->commit (store->self, batch);
    }
  rook_mutex_unlock (&store->lock);
  if (error != NULL)
    refuse (batch, error);
}

void
rook_store_commit (RookStore *store, RookBatch *batch, RookStoreCommitCallback callback, gpointer data)
{
  g_return_if_fail (batch != NULL && batch->store == store && !batch->submitted);
  batch->worker = rook_worker_current ();
  g_return_if_fail (batch->worker != NULL);
  batch->callback = callback;
  batch->data = data;
  submit (batch);
}

gboolean
rook_store_commit_wait (RookStore *store, RookBatch *batch, guint64 *out_position, GError **error)
{
  RookStoreWaiter waiter;
  gboolean ok;

  g_return_val_if_fail (batch != NULL && batch->store == store && !batch->submitted, FALSE);
  rook_store_waiter_init (&waiter);
  batch->waiter = &waiter;
  submit (batch);
  rook_store_waiter_wait (&waiter);
  ok = waiter.error == NULL;
  if (ok && out_position != NULL)
    *out_position = waiter.position;
  if (!ok)
    g_propagate_error (error, g_steal_pointer (&waiter.error));
  rook_store_waiter_clear (&waiter);
  return ok;
}

/* --- the outcome ---------------------------------------------------------------------------------------------------- */

/* With the store's lock. Completions in another order, or successes after a failure, would be lies to clients. */
static void
check_completion (RookBatch *batch, guint64 position, const GError *error)
{
  RookStore *store = batch->store;

  if (!batch->submitted || batch->number != store->completed + 1)
    g_error ("storage backend %s: batches completed out of order", store->backend->name);
  if (error == NULL && position <= store->position)
    g_error ("storage backend %s: position %" G_GUINT64_FORMAT " after %" G_GUINT64_FORMAT, store->backend->name,
             position, store->position);
  if (error == NULL && store->failed_number != 0 && batch->number > store->failed_number)
    g_error ("storage backend %s: a batch succeeded after an earlier one failed", store->backend->name);
}

void
rook_batch_complete (RookBatch *batch, guint64 position, const GError *error)
{
  RookStore *store = batch->store;

  rook_mutex_lock (&store->lock);
  check_completion (batch, position, error);
  if (error != NULL)
    {
      mark_failing (batch);
      if (store->failed_number == 0)
        store->failed_number = batch->number;
    }
  else
    store->position = position;
  rook_mutex_unlock (&store->lock);
  batch->error = error != NULL ? g_error_copy (error) : NULL;
  batch->position = error != NULL ? 0 : position;
  unreserve (batch);
  if (error != NULL && !g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNKNOWN))
    drop_stages (batch);
  if (batch->settled != NULL)
    batch->settled (batch->position, batch->error, batch->settled_data);
  rook_mutex_lock (&store->lock);
  store->completed = batch->number;
  if (store->completed == store->submitted)
    store->failed_number = 0;
  rook_mutex_unlock (&store->lock);
  /* First the callback, then the gets that waited for it; the batch, and its reference, may go with the callback. */
  rook_store_ref (store);
  deliver (batch);
  rook_store_unpark (store);
  rook_store_unref (store);
}
