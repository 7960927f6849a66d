/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the event bus share.
 */
#pragma once

#include "rookery/event.h"

G_BEGIN_DECLS

/* --- the bus, as the daemon sees it ------------------------------------------------------------------------------- */

RookEventBus *rook_event_bus_new (RookServer *server);
/* Writes the cursors. Nobody subscribes or publishes any more. */
void rook_event_bus_free (RookEventBus *bus);

/* --- cursors.c: the positions of durable subscribers, in a file of the state directory ----------------------------- */

typedef struct RookCursors RookCursors;

/* Reads `cursors` in the state directory; a missing one is empty, a damaged one too, and is logged. */
RookCursors *rook_cursors_new (RookServer *server);
void rook_cursors_free (RookCursors *cursors); /* writes what is not written yet; blocks */
/* Any thread. Returns: %FALSE: unknown. */
gboolean rook_cursors_get (RookCursors *cursors, const char *name, RookPosition *out_position);
/* Moves it forward, never back, and has the file written soon. Any thread. */
void rook_cursors_advance (RookCursors *cursors, const char *name, RookPosition position);
/* The highest of all. */
RookPosition rook_cursors_get_highest (RookCursors *cursors);
/* Writes what is not written yet. Blocks. */
void rook_cursors_write (RookCursors *cursors);

/* --- subscription.c: one subscriber's queue ------------------------------------------------------------------------- */

/* What a subscription needs of its bus, and may need a moment longer: the lock over all queues, how far everything has
 * ended, and who can be asked what changed. */
typedef struct {
  gint references;    /* atomic: the bus's, and one for each subscription */
  RookMutex lock;     /* guards the queues of all subscriptions, and what follows */
  RookCond recovered; /* one recovery less is in the pool */
  GQueue open;        /* (element-type RookPosition *) begun and not ended, ascending */
  RookPosition last_given;
  gboolean has_source;
  RookChangedSince changed_since; /* (nullable) */
  gpointer source_data;
  guint n_recovering; /* in the pool, waiting or at work */
} RookEventOrder;

RookEventOrder *rook_event_order_new (RookPosition last_given);
RookEventOrder *rook_event_order_ref (RookEventOrder *order);
void rook_event_order_unref (RookEventOrder *order);

/* With the lock held: every change up to it has ended. */
RookPosition rook_event_order_get_floor (RookEventOrder *order);

RookSubscription *rook_subscription_new (RookEventOrder *order, RookCursors *cursors, RookWorker *worker,
                                         const RookSubscriber *subscriber, gpointer data);
/* Atomic; any thread. The bus has the first reference. */
RookSubscription *rook_subscription_ref (RookSubscription *subscription);
void rook_subscription_unref (RookSubscription *subscription);
guint64 rook_subscription_get_types (RookSubscription *subscription);
const char *rook_subscription_get_mailbox_id (RookSubscription *subscription); /* (nullable) */
const char *rook_subscription_get_name (RookSubscription *subscription);
/* With the lock held. */
void rook_subscription_queue (RookSubscription *subscription, RookEvent *event);
/* With the lock held: nothing is called from now on (a call may be under way on its worker), then it is freed there. */
void rook_subscription_end (RookSubscription *subscription, GDestroyNotify destroy);

gboolean rook_subscription_is_held (RookSubscription *subscription); /* durable, and not recovered yet; lock held */
/* Starts the recovery of a held one, if there is a source. With the lock not held. */
void rook_subscription_recover (RookSubscription *subscription, RookPool *pool);

G_END_DECLS
