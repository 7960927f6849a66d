/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * get and read: the way to the backend and back to whoever asked. A get of a key that a batch under way writes to is
 * parked here until that batch has completed, so that no backend needs to know who submitted what.
 */
#include "storage/storage-private.h"

/* --- threads that wait ---------------------------------------------------------------------------------------------- */

void
rook_store_waiter_init (RookStoreWaiter *waiter)
{
  *waiter = (RookStoreWaiter){ 0 };
  rook_mutex_init (&waiter->lock);
  rook_cond_init (&waiter->cond);
}

void
rook_store_waiter_clear (RookStoreWaiter *waiter)
{
  g_clear_pointer (&waiter->bytes, g_bytes_unref);
  g_clear_error (&waiter->error);
  rook_cond_clear (&waiter->cond);
  rook_mutex_clear (&waiter->lock);
}

void
rook_store_waiter_wait (RookStoreWaiter *waiter)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&waiter->lock);

  while (!waiter->done)
    rook_cond_wait (&waiter->cond, &waiter->lock);
}

void
rook_store_waiter_answer (RookStoreWaiter *waiter, GBytes *bytes, guint64 position, const GError *error)
{
  /* Signalled under the lock: the waiter is gone as soon as it sees `done`. */
  g_autoptr (RookLocker) locker = rook_locker_new (&waiter->lock);

  waiter->bytes = bytes != NULL ? g_bytes_ref (bytes) : NULL;
  waiter->error = error != NULL ? g_error_copy (error) : NULL;
  waiter->position = position;
  waiter->done = TRUE;
  rook_cond_signal (&waiter->cond);
}

/* --- replies -------------------------------------------------------------------------------------------------------- */

static void
reply_free (gpointer data)
{
  RookStoreReply *reply = data;

  g_clear_pointer (&reply->key, g_bytes_unref);
  g_clear_pointer (&reply->bytes, g_bytes_unref);
  g_clear_error (&reply->error);
  rook_store_unref (reply->store);
  g_free (reply);
}

static void
run_callback (gpointer data)
{
  RookStoreReply *reply = data;

  reply->callback (reply->bytes, reply->error, reply->data);
}

static void
deliver (RookStoreReply *reply)
{
  g_assert (!reply->answered);
  reply->answered = TRUE;
  if (reply->worker != NULL)
    {
      rook_worker_invoke (reply->worker, run_callback, reply, reply_free);
      return;
    }
  rook_store_waiter_answer (reply->waiter, reply->bytes, 0, reply->error);
  reply_free (reply);
}

void
rook_store_reply_value (RookStoreReply *reply, GBytes *bytes)
{
  if (bytes == NULL && reply->kind == ROOK_REPLY_READ)
    g_error ("storage backend %s: a read was answered with neither bytes nor an error", reply->store->backend->name);
  reply->bytes = bytes != NULL ? g_bytes_ref (bytes) : NULL;
  deliver (reply);
}

void
rook_store_reply_error (RookStoreReply *reply, const GError *error)
{
  g_assert (error != NULL);
  reply->error = g_error_copy (error);
  deliver (reply);
}

static RookStoreReply *
reply_new (RookStore *store, RookReplyKind kind)
{
  RookStoreReply *reply = g_new0 (RookStoreReply, 1);

  reply->store = store;
  rook_store_ref (store);
  reply->kind = kind;
  return reply;
}

/* --- get ------------------------------------------------------------------------------------------------------------ */

static void
start_get (RookStoreReply *reply)
{
  RookStore *store = reply->store;
  gboolean parked;

  rook_mutex_lock (&store->lock);
  reply->wait_for = store->buckets[rook_store_bucket (reply->table, reply->key)];
  parked = reply->wait_for > store->completed;
  if (parked)
    g_queue_push_tail (&store->parked, reply);
  rook_mutex_unlock (&store->lock);
  if (!parked)
    store->backend->get (store->self, reply->table, reply->key, reply);
}

/* The numbers that parked gets wait for are not sorted, but all are of batches under way: few. */
void
rook_store_unpark (RookStore *store)
{
  GQueue ready = G_QUEUE_INIT;
  RookStoreReply *reply;

  rook_mutex_lock (&store->lock);
  for (GList *l = store->parked.head, *next; l != NULL; l = next)
    {
      next = l->next;
      if (((RookStoreReply *) l->data)->wait_for > store->completed)
        continue;
      g_queue_unlink (&store->parked, l);
      g_queue_push_tail_link (&ready, l);
    }
  rook_mutex_unlock (&store->lock);
  while ((reply = g_queue_pop_head (&ready)) != NULL)
    store->backend->get (store->self, reply->table, reply->key, reply);
}

static gboolean
is_good_key (RookTable table, GBytes *key)
{
  return table <= ROOK_STORE_MAX_TABLE && key != NULL && g_bytes_get_size (key) >= 1
         && g_bytes_get_size (key) <= ROOK_STORE_MAX_KEY;
}

void
rook_store_get (RookStore *store, RookTable table, GBytes *key, RookStoreGetCallback callback, gpointer data)
{
  RookStoreReply *reply;

  g_return_if_fail (is_good_key (table, key) && callback != NULL && rook_worker_current () != NULL);
  reply = reply_new (store, ROOK_REPLY_GET);
  reply->table = table;
  reply->key = g_bytes_ref (key);
  reply->worker = rook_worker_current ();
  reply->callback = callback;
  reply->data = data;
  start_get (reply);
}

gboolean
rook_store_get_wait (RookStore *store, RookTable table, GBytes *key, GBytes **out_value, GError **error)
{
  RookStoreWaiter waiter;
  RookStoreReply *reply;
  gboolean ok;

  g_return_val_if_fail (is_good_key (table, key) && out_value != NULL, FALSE);
  rook_store_waiter_init (&waiter);
  reply = reply_new (store, ROOK_REPLY_GET);
  reply->table = table;
  reply->key = g_bytes_ref (key);
  reply->waiter = &waiter;
  start_get (reply);
  rook_store_waiter_wait (&waiter);
  ok = waiter.error == NULL;
  if (ok)
    *out_value = g_steal_pointer (&waiter.bytes);
  else
    g_propagate_error (error, g_steal_pointer (&waiter.error));
  rook_store_waiter_clear (&waiter);
  return ok;
}

/* --- read ----------------------------------------------------------------------------------------------------------- */

void
rook_store_read (RookStore *store, RookBlobId blob, guint64 offset, gsize length, RookStoreReadCallback callback,
                 gpointer data)
{
  RookStoreReply *reply;

  g_return_if_fail (blob != 0 && callback != NULL && rook_worker_current () != NULL);
  reply = reply_new (store, ROOK_REPLY_READ);
  reply->worker = rook_worker_current ();
  reply->callback = callback;
  reply->data = data;
  store->backend->read (store->self, blob, offset, length, reply);
}

GBytes *
rook_store_read_wait (RookStore *store, RookBlobId blob, guint64 offset, gsize length, GError **error)
{
  RookStoreWaiter waiter;
  RookStoreReply *reply;
  GBytes *bytes;

  g_return_val_if_fail (blob != 0, NULL);
  rook_store_waiter_init (&waiter);
  reply = reply_new (store, ROOK_REPLY_READ);
  reply->waiter = &waiter;
  store->backend->read (store->self, blob, offset, length, reply);
  rook_store_waiter_wait (&waiter);
  bytes = g_steal_pointer (&waiter.bytes);
  if (bytes == NULL)
    g_propagate_error (error, g_steal_pointer (&waiter.error));
  rook_store_waiter_clear (&waiter);
  return bytes;
}
