/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of core/delivery share, and what the daemon calls.
 */
#pragma once

#include "mailbox/mailbox-private.h"
#include "rookery/delivery.h"
#include "rookery/directory.h"
#include "rookery/log.h"
#include "rookery/metrics.h"
#include "rookery/server.h"

G_BEGIN_DECLS

/* --- the service, as the daemon sees it ------------------------------------------------------------------------------ */

extern const RookConfigSchema rook_delivery_schemas[];
RookDelivery *rook_delivery_new (RookServer *server);
void rook_delivery_free (RookDelivery *delivery);
void rook_delivery_reconfigure (RookDelivery *delivery, RookConfig *config);

/* --- filters (filter.c) ---------------------------------------------------------------------------------------------- */

/* One registration: constant, reference counted, any thread. */
typedef struct {
  gint ref;                         /* atomic */
  const RookDeliveryFilter *filter; /* (unowned) constant */
  gpointer data;
  RookPlugin *plugin; /* (unowned) (nullable) who gave it */
} RookFilterEntry;

/* All filters there are now, the lowest priority first. (transfer full) (element-type RookFilterEntry), each with a
 * reference to its plugin, so that it stays until the list is freed. */
GPtrArray *rook_delivery_get_filters (RookDelivery *delivery);
gboolean rook_delivery_add_filter (RookDelivery *delivery, RookPlugin *plugin, const RookDeliveryFilter *filter,
                                   gpointer data, GError **error);
void rook_delivery_remove_filter (RookDelivery *delivery, const char *name);

struct RookDelivery {
  RookServer *server; /* (unowned) */
  RookMutex lock;     /* guards what follows up to the metrics */
  GPtrArray *filters; /* (element-type RookFilterEntry) by priority */
  gboolean suppress_duplicates;
  gboolean strict_quota;
  GStrv local_domains; /* (owned) */
  RookCounter *results[ROOK_DELIVERY_FULL + 1];
  RookHistogram *time;
};

/* Settings in force. Any thread. */
gboolean rook_delivery_suppresses_duplicates (RookDelivery *delivery);
gboolean rook_delivery_is_strict (RookDelivery *delivery); /* about quota */
/* Whether @domain is listed as one whose users are those of the default realm; and whether none is, so that any may be. */
gboolean rook_delivery_is_local_domain (RookDelivery *delivery, const char *domain);
gboolean rook_delivery_takes_any_domain (RookDelivery *delivery);

/* --- addresses (address.c) ------------------------------------------------------------------------------------------- */

typedef struct {
  char *local;  /* quotes undone */
  char *domain; /* (nullable) lower case */
} RookAddress;
/* An address as in RCPT TO: route and angle brackets dropped. %FALSE: none. */
gboolean rook_address_split (const char *text, RookAddress *out);
void rook_address_clear (RookAddress *address);

RookRecipient *rook_recipient_copy (const RookRecipient *recipient);

/* Why mail for @recipient, who has a detail and lands in the INBOX, is not in the folder of that name (resolve.c). %NULL: it
 * could be. Constant. */
const char *rook_delivery_why_not_folder (RookMail *mail, RookIdentity *sender, const RookRecipient *recipient);

/* --- errors (status.c) ----------------------------------------------------------------------------------------------- */

/* What an error of the mailbox service means for a delivery. */
RookDeliveryStatus rook_delivery_status_from_error (const GError *error);
const char *rook_delivery_status_get_name (RookDeliveryStatus status);  /* "ok", "unknown-user" ... */
gboolean rook_delivery_status_is_temporary (RookDeliveryStatus status); /* the same may succeed when it comes again */

/* --- answers (answer.c) ---------------------------------------------------------------------------------------------- */

/* One recipient's. Everything but the status is (unowned) (nullable). */
typedef struct {
  RookDeliveryStatus status;
  const char *session, *protocol, *user; /* whose connection it is */
  const char *recipient, *mailbox, *reason, *sender, *message_id, *reply;
} RookAnswer;
/* Counts it, and logs it as delivery.done. Any thread. */
void rook_delivery_note_answer (RookDelivery *delivery, const RookAnswer *answer);

/* --- items (item.c) -------------------------------------------------------------------------------------------------- */

/* Where an item goes. */
typedef struct {
  char *mailbox;
  RookFlags flags;
  GPtrArray *keywords; /* (element-type utf8) */
} RookTarget;
RookTarget *rook_target_new (const char *mailbox);
void rook_target_add_flag (RookTarget *target, const char *flag);

typedef void (*RookItemFiltered) (RookDeliveryItem *item, RookFilterVerdict verdict, const char *text, gpointer data);

struct RookDeliveryItem {
  RookDelivery *delivery; /* (unowned) */
  RookWorker *worker;     /* (unowned) where it goes on */
  RookRecipient *recipient;
  char *sender;
  GBytes *message;
  gboolean changed;   /* the message is no longer the one that came */
  GPtrArray *targets; /* (element-type RookTarget) empty: the recipient's mailbox */
  GPtrArray *flags;   /* (element-type utf8) for wherever it goes */
  GPtrArray *filters;
  guint next; /* filter */
  gint asked; /* atomic: a filter has it */
  RookFilterVerdict verdict;
  char *text; /* (nullable) */
  RookItemFiltered done;
  gpointer data;
};

RookDeliveryItem *rook_delivery_item_new (RookDelivery *delivery, const RookRecipient *recipient, const char *sender,
                                          GBytes *message);
void rook_delivery_item_free (RookDeliveryItem *item);
/* Runs the filters, then calls @done on this worker, once: CONTINUE, DISCARD, or the verdict that ended it. */
void rook_delivery_item_filter (RookDeliveryItem *item, RookItemFiltered done, gpointer data);

G_END_DECLS
