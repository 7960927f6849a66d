/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The event bus: what has happened, told to whoever asked. Events bear the names of RFC 5423.
 *
 * The bus informs, it never decides: an event is published after its change is durable, and nothing can be refused here
 * (see rookery/directory.h for that). Events of one mailbox carry a sequence number given under that mailbox's lock and
 * reach each subscriber in that order, on the worker the subscriber chose. A publisher is never blocked: a subscriber
 * with a full queue loses the queued events and gets instead, once, the set of mailbox ids that changed, so that it can
 * look for itself. Events of no mailbox (Login, Logout) are then counted as lost.
 *
 * A *durable* subscriber (replication, search) keeps a cursor: a position up to which its own work is safe. After an
 * unclean stop it is told which mailboxes changed after its cursor; one that is new, or whose cursor is unknown, is told
 * "everything".
 */
#pragma once

#include "rookery/loop.h"
#include "rookery/plugin.h"

G_BEGIN_DECLS

typedef struct RookEventBus RookEventBus;
typedef struct RookSubscription RookSubscription;
typedef guint64 RookPosition; /* see below: durable subscribers */

/* One table of names: rook_event_type_get_name(). New types are appended. */
typedef enum {
  ROOK_EVENT_MESSAGE_NEW,       /* MessageNew: delivered */
  ROOK_EVENT_MESSAGE_APPEND,    /* MessageAppend: by APPEND, POST ... */
  ROOK_EVENT_MESSAGE_COPY,      /* vnd: MessageCopy */
  ROOK_EVENT_MESSAGE_MOVE,      /* vnd: MessageMove */
  ROOK_EVENT_MESSAGE_EXPUNGE,   /* MessageExpunge */
  ROOK_EVENT_MESSAGE_EXPIRE,    /* MessageExpire */
  ROOK_EVENT_MESSAGE_READ,      /* MessageRead: \Seen set */
  ROOK_EVENT_MESSAGE_TRASH,     /* MessageTrash: \Deleted set */
  ROOK_EVENT_FLAGS_SET,         /* FlagsSet */
  ROOK_EVENT_FLAGS_CLEAR,       /* FlagsClear */
  ROOK_EVENT_MAILBOX_CREATE,    /* MailboxCreate */
  ROOK_EVENT_MAILBOX_DELETE,    /* MailboxDelete */
  ROOK_EVENT_MAILBOX_RENAME,    /* MailboxRename */
  ROOK_EVENT_MAILBOX_SUBSCRIBE, /* MailboxSubscribe */
  ROOK_EVENT_MAILBOX_UNSUBSCRIBE,
  ROOK_EVENT_ACL_CHANGE,        /* AclChange */
  ROOK_EVENT_QUOTA_EXCEED,      /* QuotaExceed */
  ROOK_EVENT_QUOTA_WITHIN,      /* QuotaWithin */
  ROOK_EVENT_QUOTA_CHANGE,      /* QuotaChange */
  ROOK_EVENT_LOGIN,             /* Login */
  ROOK_EVENT_LOGOUT,            /* Logout */
  ROOK_EVENT_SEEN_CHANGE,       /* vnd: SeenChange */
  ROOK_EVENT_SIEVE_CHANGE,      /* vnd: SieveChange */
  ROOK_EVENT_ANNOTATION_CHANGE, /* vnd: AnnotationChange */
  ROOK_EVENT_N_TYPES
} RookEventType;

#define ROOK_EVENT_MASK(type) (G_GUINT64_CONSTANT (1) << (type))
#define ROOK_EVENT_MASK_ALL (~G_GUINT64_CONSTANT (0))

ROOK_EXPORT const char *rook_event_type_get_name (RookEventType type); /* "MessageNew"; %NULL: none such */

/* What happened: immutable once published, reference counted, shared by all subscribers. Strings are owned. */
typedef struct {
  RookEventType type;
  guint64 sequence;       /* of the mailbox, from 1; 0: of no mailbox */
  char *mailbox_id;       /* (nullable) */
  char *mailbox_name;     /* (nullable) internal form */
  char *old_mailbox_name; /* (nullable) of a rename, move or copy: where from */
  char *user;             /* (nullable) who did it */
  char *session;          /* (nullable) connection id, so that a session can tell its own doing */
  guint32 uidvalidity;
  guint32 first_uid, last_uid; /* the range touched; 0: none */
  GArray *uids;                /* (nullable) (element-type guint32) the very ones, where they are known */
  guint64 modseq;              /* highest after the change */
  gint64 time_us;              /* g_get_real_time() */
  char *detail;                /* (nullable) flags, ACL, quota root: as its type says */
} RookEvent;

ROOK_EXPORT RookEvent *rook_event_new (RookEventType type);
ROOK_EXPORT RookEvent *rook_event_ref (RookEvent *event);
ROOK_EXPORT void rook_event_unref (RookEvent *event);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookEvent, rook_event_unref)

typedef struct {
  gsize struct_size;
  const char *name;       /* for the log; of a durable one also the name of its cursor */
  guint64 types;          /* ROOK_EVENT_MASK() of each */
  const char *mailbox_id; /* (nullable) copied: only this mailbox's */
  guint queue_limit;      /* events; 0: 1000 */
  gboolean durable;
  /* What happened since the last call, in order. Unsubscribing here, or anywhere, is the normal case: nothing is called
   * after rook_event_bus_unsubscribe() has returned on the subscriber's worker. */
  void (*events) (gpointer data, RookEvent *const *events, guint n_events);
  /* Events were lost; these mailboxes changed (each once; empty only if @lost_others is not zero). */
  void (*overflow) (gpointer data, const char *const *mailbox_ids, guint64 lost_others);
  /* (nullable) durable only, once after subscribing, before any event, when there is something to make up for:
   * @mailbox_ids changed after the cursor; %NULL: everything, for a new subscriber too. */
  void (*recover) (gpointer data, const char *const *mailbox_ids);
} RookSubscriber;

ROOK_EXPORT RookEventBus *rook_server_get_event_bus (RookServer *server);

/* Subscribes from now on; the functions run on @worker. Any thread. @subscriber is copied. */
ROOK_EXPORT RookSubscription *rook_event_bus_subscribe (RookEventBus *bus, RookWorker *worker,
                                                        const RookSubscriber *subscriber, gpointer data);
/* Ends it and frees it. On its worker: nothing is called afterwards. From another thread: a call may be under way. In
 * both cases it returns at once, and @destroy (nullable) is called with the data on the subscriber's worker, later, when
 * nothing can come any more. */
ROOK_EXPORT void rook_event_bus_unsubscribe (RookEventBus *bus, RookSubscription *subscription, GDestroyNotify destroy);
/* The same for a plugin, until it goes. */
ROOK_EXPORT gboolean rook_plugin_add_subscriber (RookPlugin *self, RookWorker *worker, const RookSubscriber *subscriber,
                                                 gpointer data, GError **error);

/* Publishes (takes a reference). Any thread; never blocks: wakes subscribers' workers and returns. */
ROOK_EXPORT void rook_event_bus_publish (RookEventBus *bus, RookEvent *event);
/* Whether anybody would hear of @type in @mailbox_id (nullable): for whoever has to work to make an event. Cheap. */
ROOK_EXPORT gboolean rook_event_bus_wanted (RookEventBus *bus, RookEventType type, const char *mailbox_id);

/* --- durable subscribers -------------------------------------------------------------------------------------------
 *
 * A position says where a change lies in the order of all changes, over restarts too. Whoever makes changes takes one
 * before it commits, writes it into what it commits (so that it can say later what changed after a position), and ends it
 * when all events of the change are published, or the change has failed. A change whose position was never ended (the
 * process died) lies after every cursor.
 */

/* A new position, greater than any before. Any thread. */
ROOK_EXPORT RookPosition rook_event_bus_begin (RookEventBus *bus);
ROOK_EXPORT void rook_event_bus_end (RookEventBus *bus, RookPosition position);

/* The position up to which every change has ended and had all its events handed to the subscription: in `events` and
 * `overflow` those being handed now are included. Own worker only. */
ROOK_EXPORT RookPosition rook_subscription_get_position (RookSubscription *subscription);
/* The subscriber's own work is synced up to @position: the cursor moves (never back) and is written within a second or
 * two, and at a clean stop. Own worker only. */
ROOK_EXPORT void rook_subscription_advance (RookSubscription *subscription, RookPosition position);

/* Which mailboxes changed after @position. Blocks (called on a pool thread). Returns: (transfer full) (nullable)
 * NULL-terminated ids; %NULL: can't be said, so "everything". */
typedef char **(*RookChangedSince) (RookPosition position, gpointer data);
/**
 * rook_event_bus_set_source:
 * @highest: the highest position that is to be found in what was committed; later ones will be greater
 * @changed_since: (nullable): %NULL: the answer to any cursor is "everything"
 *
 * The mailbox service says, once it has recovered, that it can be asked, and again when it has got another store. Durable
 * subscribers hear nothing before: `recover` comes then, and their events after it.
 */
ROOK_EXPORT void rook_event_bus_set_source (RookEventBus *bus, RookPosition highest, RookChangedSince changed_since,
                                            gpointer data);
/* It can't be asked any more, and is not being asked when this returns. Blocks for as long as it takes to answer. Who was not
 * told yet what it missed hears nothing until there is a source again. */
ROOK_EXPORT void rook_event_bus_clear_source (RookEventBus *bus);

G_END_DECLS
