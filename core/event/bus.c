/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bus: who has subscribed to what, and the order of all changes. One lock, held for memory work: publishing is a
 * look-up by mailbox and an append to each queue concerned.
 */
#include "daemon/server-private.h"
#include "event/event-private.h"

struct RookEventBus {
  RookServer *server;    /* (unowned) outlives us */
  RookCursors *cursors;  /* (owned) */
  RookEventOrder *order; /* (owned) its lock guards what follows */
  GPtrArray *wide;       /* (element-type RookSubscription) of every mailbox */
  GHashTable *narrow;    /* mailbox id to GPtrArray of RookSubscription */
  guint64 wide_types;    /* of all of `wide` together */
};

RookEventBus *
rook_event_bus_new (RookServer *server)
{
  RookEventBus *bus = g_new0 (RookEventBus, 1);

  bus->server = server;
  bus->cursors = rook_cursors_new (server);
  bus->order = rook_event_order_new (rook_cursors_get_highest (bus->cursors));
  bus->wide = g_ptr_array_new ();
  bus->narrow = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
  return bus;
}

void
rook_event_bus_free (RookEventBus *bus)
{
  if (bus->wide->len + g_hash_table_size (bus->narrow) > 0)
    g_critical ("the event bus goes while somebody is subscribed");
  rook_event_bus_clear_source (bus);
  rook_cursors_free (bus->cursors);
  rook_event_order_unref (bus->order);
  g_ptr_array_unref (bus->wide);
  g_hash_table_unref (bus->narrow);
  g_free (bus);
}

/* --- the order of changes ------------------------------------------------------------------------------------------- */

RookEventOrder *
rook_event_order_new (RookPosition last_given)
{
  RookEventOrder *order = g_new0 (RookEventOrder, 1);

  order->references = 1;
  rook_mutex_init (&order->lock);
  rook_cond_init (&order->recovered);
  g_queue_init (&order->open);
  order->last_given = last_given;
  return order;
}

RookEventOrder *
rook_event_order_ref (RookEventOrder *order)
{
  __atomic_fetch_add (&order->references, 1, __ATOMIC_RELAXED);
  return order;
}

void
rook_event_order_unref (RookEventOrder *order)
{
  if (__atomic_sub_fetch (&order->references, 1, __ATOMIC_ACQ_REL) != 0)
    return;
  g_queue_clear_full (&order->open, g_free);
  rook_cond_clear (&order->recovered);
  rook_mutex_clear (&order->lock);
  g_free (order);
}

RookPosition
rook_event_order_get_floor (RookEventOrder *order)
{
  RookPosition *oldest = g_queue_peek_head (&order->open);

  return oldest != NULL ? *oldest - 1 : order->last_given;
}

RookPosition
rook_event_bus_begin (RookEventBus *bus)
{
  RookEventOrder *order = bus->order;
  RookPosition *position = g_new (RookPosition, 1);
  g_autoptr (RookLocker) locker = rook_locker_new (&order->lock);

  /* The clock, so that positions go on rising even if the last ones of a killed server are not known. */
  order->last_given = MAX (order->last_given + 1, (RookPosition) g_get_real_time ());
  *position = order->last_given;
  g_queue_push_tail (&order->open, position);
  return order->last_given;
}

void
rook_event_bus_end (RookEventBus *bus, RookPosition position)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&bus->order->lock);

  for (GList *link = bus->order->open.head; link != NULL; link = link->next)
    if (*(RookPosition *) link->data == position)
      {
        g_free (link->data);
        g_queue_delete_link (&bus->order->open, link);
        return;
      }
  g_critical ("position %" G_GUINT64_FORMAT " ended twice, or never begun", position);
}

/* --- subscribing ------------------------------------------------------------------------------------------------------ */

/* With the lock held. */
static void
count_wide_types (RookEventBus *bus)
{
  bus->wide_types = 0;
  for (guint i = 0; i < bus->wide->len; i++)
    bus->wide_types |= rook_subscription_get_types (bus->wide->pdata[i]);
}

static void
insert (RookEventBus *bus, RookSubscription *subscription)
{
  const char *mailbox_id = rook_subscription_get_mailbox_id (subscription);
  GPtrArray *list = bus->wide;

  if (mailbox_id != NULL && (list = g_hash_table_lookup (bus->narrow, mailbox_id)) == NULL)
    {
      list = g_ptr_array_new ();
      g_hash_table_insert (bus->narrow, g_strdup (mailbox_id), list);
    }
  g_ptr_array_add (list, subscription);
  count_wide_types (bus);
}

static gboolean
take_out (RookEventBus *bus, RookSubscription *subscription)
{
  const char *mailbox_id = rook_subscription_get_mailbox_id (subscription);
  GPtrArray *list = mailbox_id != NULL ? g_hash_table_lookup (bus->narrow, mailbox_id) : bus->wide;

  if (list == NULL || !g_ptr_array_remove_fast (list, subscription))
    return FALSE;
  if (list->len == 0 && mailbox_id != NULL)
    g_hash_table_remove (bus->narrow, mailbox_id);
  count_wide_types (bus);
  return TRUE;
}

static gboolean
is_subscriber (const RookSubscriber *subscriber)
{
  return subscriber->struct_size >= G_STRUCT_OFFSET (RookSubscriber, overflow) + sizeof subscriber->overflow
         && subscriber->name != NULL && subscriber->events != NULL && subscriber->overflow != NULL;
}

RookSubscription *
rook_event_bus_subscribe (RookEventBus *bus, RookWorker *worker, const RookSubscriber *subscriber, gpointer data)
{
  RookSubscription *subscription;

  g_return_val_if_fail (worker != NULL && is_subscriber (subscriber), NULL);
  subscription = rook_subscription_new (bus->order, bus->cursors, worker, subscriber, data);
  rook_mutex_lock (&bus->order->lock);
  insert (bus, subscription);
  rook_mutex_unlock (&bus->order->lock);
  rook_subscription_recover (subscription, rook_server_get_pool (bus->server));
  return subscription;
}

void
rook_event_bus_unsubscribe (RookEventBus *bus, RookSubscription *subscription, GDestroyNotify destroy)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&bus->order->lock);

  g_return_if_fail (take_out (bus, subscription));
  rook_subscription_end (subscription, destroy);
}

void
rook_event_bus_set_source (RookEventBus *bus, RookPosition highest, RookChangedSince changed_since, gpointer data)
{
  g_autoptr (GPtrArray) held = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_subscription_unref);

  rook_mutex_lock (&bus->order->lock);
  bus->order->last_given = MAX (bus->order->last_given, highest);
  bus->order->has_source = TRUE;
  bus->order->changed_since = changed_since;
  bus->order->source_data = data;
  for (guint i = 0; i < bus->wide->len; i++)
    if (rook_subscription_is_held (bus->wide->pdata[i]))
      g_ptr_array_add (held, rook_subscription_ref (bus->wide->pdata[i])); /* another thread may unsubscribe it */
  rook_mutex_unlock (&bus->order->lock);
  for (guint i = 0; i < held->len; i++)
    rook_subscription_recover (held->pdata[i], rook_server_get_pool (bus->server));
}

void
rook_event_bus_clear_source (RookEventBus *bus)
{
  RookEventOrder *order = bus->order;
  g_autoptr (RookLocker) locker = rook_locker_new (&order->lock);

  order->has_source = FALSE;
  while (order->n_recovering > 0)
    rook_cond_wait (&order->recovered, &order->lock);
}

/* --- publishing ------------------------------------------------------------------------------------------------------- */

static void
queue_for (GPtrArray *list, RookEvent *event)
{
  for (guint i = 0; i < list->len; i++)
    if (rook_subscription_get_types (list->pdata[i]) & ROOK_EVENT_MASK (event->type))
      rook_subscription_queue (list->pdata[i], event);
}

void
rook_event_bus_publish (RookEventBus *bus, RookEvent *event)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&bus->order->lock);
  GPtrArray *narrow = event->mailbox_id != NULL ? g_hash_table_lookup (bus->narrow, event->mailbox_id) : NULL;

  g_return_if_fail ((guint) event->type < ROOK_EVENT_N_TYPES);
  queue_for (bus->wide, event);
  if (narrow != NULL)
    queue_for (narrow, event);
}

gboolean
rook_event_bus_wanted (RookEventBus *bus, RookEventType type, const char *mailbox_id)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&bus->order->lock);
  GPtrArray *narrow = mailbox_id != NULL ? g_hash_table_lookup (bus->narrow, mailbox_id) : NULL;

  if (bus->wide_types & ROOK_EVENT_MASK (type))
    return TRUE;
  for (guint i = 0; narrow != NULL && i < narrow->len; i++)
    if (rook_subscription_get_types (narrow->pdata[i]) & ROOK_EVENT_MASK (type))
      return TRUE;
  return FALSE;
}

/* --- a plugin's --------------------------------------------------------------------------------------------------------- */

typedef struct {
  RookPlugin *plugin; /* a reference only from the undo until nothing can call into it */
  RookEventBus *bus;  /* (unowned) */
  RookSubscription *subscription;
  gpointer data; /* the plugin's own */
  RookSubscriber subscriber;
} PluginSubscription;

static void
plugin_events (gpointer data, RookEvent *const *events, guint n_events)
{
  PluginSubscription *self = data;

  self->subscriber.events (self->data, events, n_events);
}

static void
plugin_overflow (gpointer data, const char *const *mailbox_ids, guint64 lost_others)
{
  PluginSubscription *self = data;

  self->subscriber.overflow (self->data, mailbox_ids, lost_others);
}

static void
plugin_recover (gpointer data, const char *const *mailbox_ids)
{
  PluginSubscription *self = data;

  if (self->subscriber.recover != NULL)
    self->subscriber.recover (self->data, mailbox_ids);
}

static void
plugin_gone (gpointer data)
{
  PluginSubscription *self = data;

  rook_plugin_unref (self->plugin);
  g_free (self);
}

/* From here on a reference keeps the module until nothing can call into it. */
static void
plugin_undo (gpointer data)
{
  PluginSubscription *self = data;

  rook_plugin_ref (self->plugin);
  rook_event_bus_unsubscribe (self->bus, g_steal_pointer (&self->subscription), plugin_gone);
}

gboolean
rook_plugin_add_subscriber (RookPlugin *self, RookWorker *worker, const RookSubscriber *subscriber, gpointer data,
                            GError **error)
{
  RookEventBus *bus = rook_server_get_event_bus (rook_plugin_get_server (self));
  PluginSubscription *plugin_subscription;
  RookSubscriber wrapped;

  if (!rook_plugin_may_register (self, "an event subscriber", error))
    return FALSE;
  if (!is_subscriber (subscriber))
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT,
                   "a subscriber must have struct_size, name, events and overflow");
      return FALSE;
    }
  plugin_subscription = g_new0 (PluginSubscription, 1);
  plugin_subscription->plugin = self;
  plugin_subscription->bus = bus;
  plugin_subscription->data = data;
  memcpy (&plugin_subscription->subscriber, subscriber, MIN (subscriber->struct_size, sizeof *subscriber));
  wrapped = plugin_subscription->subscriber;
  wrapped.struct_size = sizeof wrapped;
  wrapped.events = plugin_events;
  wrapped.overflow = plugin_overflow;
  wrapped.recover = plugin_recover;
  plugin_subscription->subscription = rook_event_bus_subscribe (bus, worker, &wrapped, plugin_subscription);
  rook_plugin_on_undo (self, plugin_undo, plugin_subscription);
  return TRUE;
}
