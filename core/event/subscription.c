/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One subscriber's queue, and how what is in it reaches its worker: events in order while they fit, else the set of
 * mailboxes that changed. A durable subscriber is held until it has been told what it missed.
 */
#include "event/event-private.h"

#define DEFAULT_LIMIT 1000

struct RookSubscription {
  gint references;       /* atomic: the bus's one, and one for each invocation or recovery under way */
  RookEventOrder *order; /* (owned) */
  RookCursors *cursors;  /* (unowned) outlives every recovery in the pool */
  RookWorker *worker;    /* (unowned) */
  RookSubscriber subscriber;
  gpointer data;
  GDestroyNotify destroy; /* (nullable) */
  RookPosition position;  /* own worker */

  /* Under the lock. */
  GPtrArray *queue;    /* (owned) (element-type RookEvent) */
  GHashTable *changed; /* (owned) (nullable) the mailbox ids of an overflow that was not told yet */
  guint64 lost_others;
  gboolean scheduled; /* an invocation is on its way */
  gboolean held;      /* durable, and not recovered yet */
  gboolean recovering;
  gboolean dead;
};

void
rook_subscription_unref (RookSubscription *self)
{
  if (__atomic_sub_fetch (&self->references, 1, __ATOMIC_ACQ_REL) != 0)
    return;
  g_ptr_array_unref (self->queue);
  g_clear_pointer (&self->changed, g_hash_table_unref);
  g_free ((char *) self->subscriber.name);
  g_free ((char *) self->subscriber.mailbox_id);
  rook_event_order_unref (self->order);
  g_free (self);
}

RookSubscription *
rook_subscription_ref (RookSubscription *self)
{
  __atomic_fetch_add (&self->references, 1, __ATOMIC_RELAXED);
  return self;
}

RookSubscription *
rook_subscription_new (RookEventOrder *order, RookCursors *cursors, RookWorker *worker,
                       const RookSubscriber *subscriber, gpointer data)
{
  RookSubscription *self = g_new0 (RookSubscription, 1);

  self->references = 1;
  self->order = rook_event_order_ref (order);
  self->cursors = cursors;
  self->worker = worker;
  memcpy (&self->subscriber, subscriber, MIN (subscriber->struct_size, sizeof self->subscriber));
  self->subscriber.name = g_strdup (subscriber->name);
  self->subscriber.mailbox_id = g_strdup (subscriber->mailbox_id);
  if (self->subscriber.queue_limit == 0)
    self->subscriber.queue_limit = DEFAULT_LIMIT;
  self->data = data;
  self->queue = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_event_unref);
  self->held = self->subscriber.durable;
  return self;
}

guint64
rook_subscription_get_types (RookSubscription *self)
{
  return self->subscriber.types;
}

const char *
rook_subscription_get_mailbox_id (RookSubscription *self)
{
  return self->subscriber.mailbox_id;
}

const char *
rook_subscription_get_name (RookSubscription *self)
{
  return self->subscriber.name;
}

gboolean
rook_subscription_is_held (RookSubscription *self)
{
  return self->held && !self->dead;
}

/* --- delivery: on the worker ------------------------------------------------------------------------------------- */

/* What was taken out of the queue at one moment. */
typedef struct {
  GPtrArray *events;   /* (owned) */
  GHashTable *changed; /* (owned) (nullable) */
  guint64 lost_others;
} Taken;

static gboolean
take (RookSubscription *self, Taken *out_taken)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->order->lock);

  self->scheduled = FALSE;
  if (self->dead || self->held)
    return FALSE;
  *out_taken = (Taken){ self->queue, g_steal_pointer (&self->changed), self->lost_others };
  self->queue = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_event_unref);
  self->lost_others = 0;
  self->position = rook_event_order_get_floor (self->order);
  return TRUE;
}

static gboolean
is_dead (RookSubscription *self)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->order->lock);

  return self->dead;
}

static void
tell_overflow (RookSubscription *self, Taken *taken)
{
  g_autofree const char **ids = NULL;

  if (taken->changed == NULL)
    return;
  ids = (const char **) g_hash_table_get_keys_as_array (taken->changed, NULL);
  self->subscriber.overflow (self->data, ids, taken->lost_others);
}

static void
deliver (gpointer data)
{
  RookSubscription *self = data;
  Taken taken;

  if (!take (self, &taken))
    return;
  tell_overflow (self, &taken);
  if (taken.events->len > 0 && !is_dead (self))
    self->subscriber.events (self->data, (RookEvent *const *) taken.events->pdata, taken.events->len);
  g_ptr_array_unref (taken.events);
  g_clear_pointer (&taken.changed, g_hash_table_unref);
}

/* With the lock held. */
static void
schedule (RookSubscription *self)
{
  if (self->scheduled || self->held || self->dead)
    return;
  self->scheduled = TRUE;
  rook_worker_invoke (self->worker, deliver, rook_subscription_ref (self), (GDestroyNotify) rook_subscription_unref);
}

/* --- queueing: with the lock held ----------------------------------------------------------------------------------- */

static void
note_lost (RookSubscription *self, RookEvent *event)
{
  if (event->mailbox_id != NULL)
    g_hash_table_add (self->changed, g_strdup (event->mailbox_id));
  else
    self->lost_others++;
}

static void
overflow (RookSubscription *self)
{
  self->changed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < self->queue->len; i++)
    note_lost (self, self->queue->pdata[i]);
  g_ptr_array_set_size (self->queue, 0);
}

void
rook_subscription_queue (RookSubscription *self, RookEvent *event)
{
  if (self->dead)
    return;
  if (self->changed == NULL && self->queue->len >= self->subscriber.queue_limit)
    overflow (self);
  if (self->changed != NULL) /* and everything else until it has been told */
    note_lost (self, event);
  else
    g_ptr_array_add (self->queue, rook_event_ref (event));
  schedule (self);
}

static void
finish (gpointer data)
{
  RookSubscription *self = data;

  if (self->destroy != NULL)
    self->destroy (self->data);
}

void
rook_subscription_end (RookSubscription *self, GDestroyNotify destroy)
{
  self->dead = TRUE;
  self->destroy = destroy;
  g_ptr_array_set_size (self->queue, 0);
  rook_worker_invoke (self->worker, finish, self, (GDestroyNotify) rook_subscription_unref);
}

/* --- recovery of durable subscribers ---------------------------------------------------------------------------------- */

typedef struct {
  RookSubscription *subscription; /* (owned) */
  gboolean cancelled;             /* the source went before it was asked: there may be another */
  char **mailbox_ids;             /* (owned) (nullable) NULL: everything */
} Recovery;

static void
recovery_free (gpointer data)
{
  Recovery *recovery = data;

  rook_subscription_unref (recovery->subscription);
  g_strfreev (recovery->mailbox_ids);
  g_free (recovery);
}

/* With the lock held, which is given up while the source is asked. */
static void
find_out (Recovery *recovery)
{
  RookSubscription *self = recovery->subscription;
  RookEventOrder *order = self->order;
  RookChangedSince changed_since = order->changed_since;
  gpointer data = order->source_data;
  RookPosition cursor;

  recovery->cancelled = !order->has_source;
  if (recovery->cancelled || changed_since == NULL)
    return;
  rook_mutex_unlock (&order->lock);
  if (rook_cursors_get (self->cursors, self->subscriber.name, &cursor))
    recovery->mailbox_ids = changed_since (cursor, data);
  rook_mutex_lock (&order->lock);
}

/* On the subscriber's worker. */
static void
tell (gpointer data)
{
  Recovery *recovery = data;
  RookSubscription *self = recovery->subscription;
  const char *const *ids = (const char *const *) recovery->mailbox_ids;

  if (!is_dead (self) && self->subscriber.recover != NULL && (ids == NULL || ids[0] != NULL))
    self->subscriber.recover (self->data, ids);
  rook_mutex_lock (&self->order->lock);
  self->held = FALSE;
  if (self->queue->len > 0 || self->changed != NULL)
    schedule (self);
  rook_mutex_unlock (&self->order->lock);
}

/* With the lock not held. One recovery less is in the pool, or was to be. */
static void
leave_pool (RookEventOrder *order)
{
  rook_mutex_lock (&order->lock);
  order->n_recovering--;
  rook_cond_broadcast (&order->recovered);
  rook_mutex_unlock (&order->lock);
}

/* What it holds goes on the worker, as always. */
static void
nothing_to_tell (gpointer data G_GNUC_UNUSED)
{
}

static void
find_out_and_tell (gpointer data)
{
  Recovery *recovery = data;
  RookSubscription *self = recovery->subscription;
  RookEventOrder *order = self->order;

  rook_mutex_lock (&order->lock);
  find_out (recovery);
  self->recovering = !recovery->cancelled;
  rook_worker_invoke (self->worker, recovery->cancelled ? nothing_to_tell : tell, recovery, recovery_free);
  rook_mutex_unlock (&order->lock);
  leave_pool (order);
}

/* (transfer full) (nullable) NULL: there is nothing to recover from, or it is being done. */
static Recovery *
begin_recovery (RookSubscription *self)
{
  RookEventOrder *order = self->order;
  g_autoptr (RookLocker) locker = rook_locker_new (&order->lock);
  Recovery *recovery;

  if (!order->has_source || !rook_subscription_is_held (self) || self->recovering)
    return NULL;
  self->recovering = TRUE;
  order->n_recovering++;
  recovery = g_new0 (Recovery, 1);
  recovery->subscription = rook_subscription_ref (self);
  return recovery;
}

void
rook_subscription_recover (RookSubscription *self, RookPool *pool)
{
  Recovery *recovery = begin_recovery (self);

  if (recovery == NULL || rook_pool_run (pool, 0, find_out_and_tell, NULL, recovery))
    return;
  leave_pool (self->order);
  rook_worker_invoke (self->worker, tell, recovery, recovery_free); /* no room: everything */
}

RookPosition
rook_subscription_get_position (RookSubscription *self)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->order->lock);

  g_return_val_if_fail (rook_worker_current () == self->worker, 0);
  if (self->queue->len == 0 && self->changed == NULL && !self->held) /* nothing is waiting: as far as all others */
    self->position = rook_event_order_get_floor (self->order);
  return self->position;
}

void
rook_subscription_advance (RookSubscription *self, RookPosition position)
{
  g_return_if_fail (rook_worker_current () == self->worker);
  g_return_if_fail (self->subscriber.durable);
  rook_cursors_advance (self->cursors, self->subscriber.name, position);
}
