/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Delivery: the one entry for "this message, these recipients", whoever brings it (LMTP, a news feed, rookctl).
 *
 * For each recipient: find the mailbox, let the filters that plugins registered have their say (in order of priority),
 * suppress duplicates, append. A message to many recipients is stored once. Answers come one a recipient.
 *
 * Addresses: a route (`@a,@b:`) is dropped, `<>` around is allowed, the user name becomes what the same name is at login
 * (rook_auth_canonical_user()). `user` and `user+detail` go to that user's INBOX or folder. A domain that users may have
 * (auth/realms, auth/virtual-domains) is part of the name; any other is dropped, if delivery/local-domains has it or is
 * empty. A folder that is missing, or where the sender lacks `p`, means the INBOX, which needs no right. `+shared/box` (in
 * any domain) goes to a shared mailbox, which needs `p`. Folders and shared mailboxes are named as administrators name them
 * (mailbox/separator).
 *
 * Duplicates: two messages with equal Message-ID and equal text of Date delivered to one mailbox are one (delivery/
 * suppress-duplicates); a message that lacks either never matches. The second is answered OK, once the first is safe.
 *
 * Several mailboxes for one recipient (filters): OK says that the message is durable in each of them, or in the INBOX in place
 * of one that can't be had. If one can't be had for now, nothing is stored in its place and the answer is TEMPORARY, or FULL: when
 * the message comes again, those that have it know it for a duplicate, and what is missing is stored. A message that would not
 * be known again goes to the INBOX in place of such a mailbox too, and if that can't be had either, the answer is OK all
 * the same once the message is stored anywhere: no failure is answered that would make somebody send again, or bounce,
 * what the recipient has.
 */
#pragma once

#include "rookery/auth.h"
#include "rookery/plugin.h"

G_BEGIN_DECLS

typedef struct RookDelivery RookDelivery;

/* How it went for one recipient. Protocols turn these into replies by one table each. */
typedef enum {
  ROOK_DELIVERY_OK,
  ROOK_DELIVERY_UNKNOWN_USER,
  ROOK_DELIVERY_NO_PERMISSION,
  ROOK_DELIVERY_OVER_QUOTA,
  ROOK_DELIVERY_TOO_BIG,
  ROOK_DELIVERY_BAD_ADDRESS,
  ROOK_DELIVERY_BAD_MESSAGE,
  ROOK_DELIVERY_REJECTED,  /* by a filter, for good: see the text */
  ROOK_DELIVERY_MOVED,     /* the mailbox lives on another server */
  ROOK_DELIVERY_TEMPORARY, /* try again later */
  ROOK_DELIVERY_FULL       /* Since ABI 2.3: no space on the server's disk: try again later */
} RookDeliveryStatus;

/* A recipient, taken apart. */
typedef struct {
  char *address; /* as given */
  char *user;    /* (nullable) canonical; NULL: a shared mailbox */
  char *detail;  /* (nullable) what follows "+" */
  char *mailbox; /* internal name to deliver to, unless a filter says otherwise */
} RookRecipient;
ROOK_EXPORT void rook_recipient_free (RookRecipient *recipient);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookRecipient, rook_recipient_free)

ROOK_EXPORT RookDelivery *rook_server_get_delivery (RookServer *server);

/* @recipient: (nullable) (transfer full) unless @status is OK. On the worker that asked, after this has returned. */
typedef void (*RookResolveCallback) (RookDeliveryStatus status, const char *text, RookRecipient *recipient,
                                     gpointer data);
typedef struct {
  gsize struct_size;
  const char *address;  /* as in RCPT TO */
  RookIdentity *sender; /* (nullable) who the message is from by MAIL AUTH= or login; NULL: anonymous */
  guint64 size;         /* announced, or 0 */
  gboolean ignore_quota;
  /* Since ABI 1.2: (nullable) for the log: envelope sender, connection id, name of the protocol */
  const char *from, *session, *protocol;
} RookResolveRequest;
/* May the address receive (RCPT TO)? Creates nothing. A user exists who has an INBOX, or may get one (mailbox/autocreate).
 * OVER_QUOTA: neither the mailbox nor the INBOX would take it now, wherever filters would put it. On a worker.
 * Whatever is not OK is counted and logged as a recipient's answer, for nothing will be delivered. */
ROOK_EXPORT void rook_delivery_resolve (RookDelivery *delivery, const RookResolveRequest *request,
                                        RookResolveCallback callback, gpointer data);

typedef struct {
  gsize struct_size;
  const char *sender;               /* envelope sender, "" for bounces */
  GBytes *message;                  /* the whole message with CRLF line ends, trace headers already added */
  RookRecipient *const *recipients; /* copied */
  guint n_recipients;
  RookIdentity *identity; /* (nullable) as RookResolveRequest.sender */
  gboolean ignore_quota;
  const char *session; /* (nullable) connection id */
  /* Since ABI 1.2: (nullable) name of the protocol that the message came by, for the log */
  const char *protocol;
} RookDeliveryRequest;

/* Called once for each recipient (@index), in any order, each only when that copy is durable, on the worker that asked and
 * not before that call has returned. @text: (nullable) one line for the reply, printable ASCII */
typedef void (*RookDeliveryCallback) (guint index, RookDeliveryStatus status, const char *text, gpointer data);
/* @request's contents are copied or referenced. */
ROOK_EXPORT void rook_delivery_deliver (RookDelivery *delivery, const RookDeliveryRequest *request,
                                        RookDeliveryCallback callback, gpointer data);
/* Since ABI 1.2: counts and logs that all recipients were refused for the sake of the message itself, which the protocol found
 * to be none: @request's message is not looked at. */
ROOK_EXPORT void rook_delivery_refuse (RookDelivery *delivery, const RookDeliveryRequest *request,
                                       RookDeliveryStatus status, const char *text);

/* --- filters ----------------------------------------------------------------------------------------------------- */

typedef struct RookDeliveryItem RookDeliveryItem; /* one message for one recipient, on its way */

ROOK_EXPORT const RookRecipient *rook_delivery_item_get_recipient (RookDeliveryItem *item);
ROOK_EXPORT const char *rook_delivery_item_get_sender (RookDeliveryItem *item);
ROOK_EXPORT GBytes *rook_delivery_item_get_message (RookDeliveryItem *item); /* (unowned) */
ROOK_EXPORT void rook_delivery_item_set_message (RookDeliveryItem *item, GBytes *message);
/* File into this mailbox (internal name) too, or (the first time) instead of the default one. @flags: (nullable) system flags
 * ("\\Seen") and keywords. If that mailbox can't be had the message goes to the INBOX (see
 * above). Filing into one twice is once, with the flags of both. */
ROOK_EXPORT void rook_delivery_item_file_into (RookDeliveryItem *item, const char *mailbox, const char *const *flags);
/* A keyword or system flag for wherever it goes. */
ROOK_EXPORT void rook_delivery_item_add_flag (RookDeliveryItem *item, const char *flag);

typedef enum { ROOK_FILTER_CONTINUE, ROOK_FILTER_DISCARD, ROOK_FILTER_REJECT, ROOK_FILTER_TEMPORARY } RookFilterVerdict;

typedef struct {
  gsize struct_size;
  const char *name;
  int priority; /* lower first; Sieve is 500 */
  /* Looks at @item, then calls rook_delivery_item_done() exactly once, from any thread. Runs on a worker, must not block. */
  void (*filter) (gpointer data, RookDeliveryItem *item);
} RookDeliveryFilter;

/* @text: (nullable) of a rejection. */
ROOK_EXPORT void rook_delivery_item_done (RookDeliveryItem *item, RookFilterVerdict verdict, const char *text);
ROOK_EXPORT gboolean rook_plugin_add_delivery_filter (RookPlugin *self, const RookDeliveryFilter *filter, gpointer data,
                                                      GError **error);

G_END_DECLS
