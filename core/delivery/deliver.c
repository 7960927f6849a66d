/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Delivering: one message, many recipients. Taken apart once; each recipient then goes its own way through filters and
 * into its mailboxes, and is answered when its own copy is durable.
 */
#include <string.h>

#include "delivery/delivery-private.h"

/* One request. */
typedef struct {
  RookDelivery *delivery; /* (unowned) */
  RookMail *mail;         /* (unowned) */
  guint n_left;           /* recipients not answered */
  RookContent *content;   /* (owned) (nullable) until prepared */
  RookIdentity *identity; /* (owned) (nullable) */
  gboolean ignore_quota;
  char *session;  /* (owned) (nullable) as in RookDeliveryRequest */
  char *protocol; /* (owned) (nullable) */
  gint64 started_us;
  GPtrArray *ways; /* (element-type Way) until they start */
  RookDeliveryCallback callback;
  gpointer data;
} Request;

/* One recipient's way. */
typedef struct {
  Request *request;
  guint index;
  RookDeliveryItem *item; /* (owned) */
  RookContent *content;   /* (owned) */
  guint next;             /* target */
  gboolean fell_back;     /* the present target is the INBOX instead */
  GPtrArray *stored;      /* (owned) (element-type utf8) mailboxes that have it already */
  char *reason;           /* (owned) (nullable) why it is not where it was to go, for the log */
} Way;

static void next_target (Way *way);

static void
request_unref (Request *request)
{
  if (--request->n_left > 0)
    return;
  g_clear_pointer (&request->content, rook_content_unref);
  g_clear_pointer (&request->identity, rook_identity_unref);
  g_free (request->session);
  g_free (request->protocol);
  g_ptr_array_unref (request->ways);
  g_free (request);
}

/* Who delivers, if they logged in. */
static const char *
user_of (const Request *request)
{
  return request->identity != NULL ? rook_identity_get_user (request->identity) : NULL;
}

static RookTarget *
target_of (Way *way)
{
  return g_ptr_array_index (way->item->targets, way->next);
}

/* Where it is, or was to go; %NULL: nowhere. (transfer full) */
static char *
where (Way *way, RookDeliveryStatus status)
{
  if (way->stored->len > 0)
    {
      g_ptr_array_add (way->stored, NULL);
      return g_strjoinv (", ", (char **) way->stored->pdata);
    }
  if (way->next < way->item->targets->len)
    return g_strdup (target_of (way)->mailbox);
  return status != ROOK_DELIVERY_OK ? g_strdup (way->item->recipient->mailbox) : NULL;
}

static void
note_answer (Way *way, RookDeliveryStatus status, const char *text)
{
  Request *request = way->request;
  g_autofree char *mailbox = where (way, status);

  rook_histogram_add (request->delivery->time, (guint64) (g_get_monotonic_time () - request->started_us));
  rook_delivery_note_answer (request->delivery,
                             &(RookAnswer){ .status = status,
                                            .session = request->session,
                                            .protocol = request->protocol,
                                            .user = user_of (request),
                                            .recipient = way->item->recipient->address,
                                            .mailbox = mailbox,
                                            .reason = way->reason,
                                            .sender = way->item->sender,
                                            .message_id = way->content != NULL ? way->content->message_id : NULL,
                                            .reply = text });
}

static void
answer (Way *way, RookDeliveryStatus status, const char *text)
{
  Request *request = way->request;

  note_answer (way, status, text);
  request->callback (way->index, status, text, request->data);
  rook_delivery_item_free (way->item);
  g_clear_pointer (&way->content, rook_content_unref);
  g_ptr_array_unref (way->stored);
  g_free (way->reason);
  g_free (way);
  request_unref (request);
}

/* --- into one mailbox ------------------------------------------------------------------------------------------- */

static char *
inbox_of (Way *way)
{
  return way->item->recipient->user != NULL ? g_strconcat ("user/", way->item->recipient->user, NULL) : NULL;
}

/* Nothing is to be done for the present target any more. */
static void
next_after (Way *way)
{
  way->fell_back = FALSE;
  way->next++;
  next_target (way);
}

static void
note_reason (Way *way, const char *mailbox, const char *why)
{
  g_autofree char *before = g_steal_pointer (&way->reason);

  way->reason = g_strdup_printf ("%s%s%s: %s", before != NULL ? before : "", before != NULL ? "; " : "", mailbox, why);
}

static gboolean
is_target (Way *way, const char *mailbox)
{
  for (guint i = 0; i < way->item->targets->len; i++)
    if (g_str_equal (((RookTarget *) g_ptr_array_index (way->item->targets, i))->mailbox, mailbox))
      return TRUE;
  return FALSE;
}

/* The target can't be had: its copy goes to the INBOX, which never needs a right. One that goes there anyway will do. */
static gboolean
fall_back (Way *way, const char *why)
{
  g_autofree char *inbox = inbox_of (way);

  if (way->fell_back || inbox == NULL || g_str_equal (inbox, target_of (way)->mailbox))
    return FALSE;
  note_reason (way, target_of (way)->mailbox, why);
  if (is_target (way, inbox))
    {
      next_after (way);
      return TRUE;
    }
  way->fell_back = TRUE;
  g_free (target_of (way)->mailbox);
  target_of (way)->mailbox = g_steal_pointer (&inbox);
  next_target (way);
  return TRUE;
}

/* Message-ID and Date as they stand; %NULL: this message never matches. */
static char *
duplicate_key (Way *way)
{
  RookDelivery *delivery = way->request->delivery;

  if (!rook_delivery_suppresses_duplicates (delivery) || way->content->message_id == NULL
      || *way->content->message_id == '\0' || way->content->date == NULL || *way->content->date == '\0')
    return NULL;
  return g_strdup_printf ("%s\n%s", way->content->message_id, way->content->date);
}

/* It is somewhere, and if it came again that copy would not be known for one: so it must not come again. */
static gboolean
must_be_last (Way *way, RookDeliveryStatus status)
{
  g_autofree char *key = duplicate_key (way);

  return way->stored->len > 0 && (key == NULL || !rook_delivery_status_is_temporary (status));
}

static void
log_partly (Way *way, const GError *error)
{
  rook_log_event (rook_server_get_log (way->request->delivery->server), ROOK_LOG_WARNING, "delivery.partly", "conn",
                  way->request->session, "protocol", way->request->protocol, "user", user_of (way->request),
                  "recipient", way->item->recipient->address, "mailbox", target_of (way)->mailbox, "reason",
                  error->message, NULL);
}

static void
target_failed (Way *way, const GError *error)
{
  RookDeliveryStatus status = rook_delivery_status_from_error (error);
  gboolean missing = error->code == ROOK_MAIL_ERROR_NOT_FOUND || error->code == ROOK_MAIL_ERROR_NO_PERMISSION
                     || error->code == ROOK_MAIL_ERROR_BAD_NAME || error->code == ROOK_MAIL_ERROR_QUOTA
                     || error->code == ROOK_MAIL_ERROR_NOT_ALLOWED;
  gboolean last = must_be_last (way, status);

  if ((missing || last) && fall_back (way, error->message))
    return;
  if (!last)
    {
      answer (way, status, NULL);
      return;
    }
  log_partly (way, error);
  next_after (way);
}

static void
appended (guint32 uidvalidity, guint32 uid, const GError *error, gpointer data)
{
  Way *way = data;

  (void) uidvalidity;
  (void) uid;
  if (error != NULL)
    {
      target_failed (way, error);
      return;
    }
  g_ptr_array_add (way->stored, g_strdup (target_of (way)->mailbox));
  next_after (way);
}

static void
append (Way *way, RookMailbox *mailbox)
{
  RookTarget *target = target_of (way);
  g_autofree char *key = duplicate_key (way);
  g_autoptr (GPtrArray) keywords = g_ptr_array_new ();

  for (guint i = 0; i < target->keywords->len; i++)
    g_ptr_array_add (keywords, g_ptr_array_index (target->keywords, i));
  g_ptr_array_add (keywords, NULL);
  rook_mailbox_append_content (mailbox, NULL, way->content,
                               &(RookAppend){ .struct_size = sizeof (RookAppend),
                                              .flags = target->flags,
                                              .keywords = (const char *const *) keywords->pdata,
                                              .ignore_quota = way->request->ignore_quota,
                                              .may_overshoot = !rook_delivery_is_strict (way->request->delivery),
                                              .duplicate_key = key,
                                              .event = ROOK_EVENT_MESSAGE_NEW,
                                              .session = way->request->session },
                               appended, way);
}

static void
opened (RookMailbox *mailbox, const GError *error, gpointer data)
{
  Way *way = data;

  if (error != NULL)
    {
      target_failed (way, error);
      return;
    }
  append (way, mailbox);
  rook_mailbox_unref (mailbox);
}

static void
user_ready (const GError *error, gpointer data)
{
  Way *way = data;

  if (error != NULL)
    target_failed (way, error);
  else
    rook_mail_open (way->request->mail, NULL, target_of (way)->mailbox, opened, way);
}

static void
next_target (Way *way)
{
  const char *user = way->item->recipient->user;

  if (way->next == way->item->targets->len)
    answer (way, ROOK_DELIVERY_OK, NULL);
  else if (user != NULL)
    rook_mail_ensure_user (way->request->mail, user, ROOK_ENSURE_DELIVERY, user_ready, way);
  else
    user_ready (NULL, way);
}

/* The folder that the address named is for those who may post there. */
static void
file_by_address (Way *way)
{
  const RookRecipient *recipient = way->item->recipient;
  g_autofree char *inbox = inbox_of (way);
  const char *mailbox = recipient->mailbox;

  if (inbox != NULL && !g_str_equal (inbox, mailbox)
      && !rook_mail_sender_has_right (way->request->mail, way->request->identity, mailbox, 'p'))
    mailbox = inbox;
  if (inbox != NULL && g_str_equal (inbox, mailbox))
    way->reason = g_strdup (rook_delivery_why_not_folder (way->request->mail, way->request->identity, recipient));
  rook_delivery_item_file_into (way->item, mailbox, NULL);
}

/* --- filters ---------------------------------------------------------------------------------------------------- */

static void
begin_targets (Way *way)
{
  RookDeliveryItem *item = way->item;

  if (item->targets->len == 0)
    file_by_address (way);
  for (guint i = 0; i < item->targets->len; i++)
    for (guint f = 0; f < item->flags->len; f++)
      rook_target_add_flag (g_ptr_array_index (item->targets, i), g_ptr_array_index (item->flags, f));
  next_target (way);
}

static void
changed_content_ready (RookContent *content, const GError *error, gpointer data)
{
  Way *way = data;

  if (error != NULL)
    {
      answer (way, rook_delivery_status_from_error (error), NULL);
      return;
    }
  rook_content_unref (way->content);
  way->content = rook_content_ref (content);
  begin_targets (way);
}

static void
filtered (RookDeliveryItem *item, RookFilterVerdict verdict, const char *text, gpointer data)
{
  Way *way = data;

  switch (verdict)
    {
    case ROOK_FILTER_DISCARD:
      way->reason = g_strdup ("discarded by a filter");
      answer (way, ROOK_DELIVERY_OK, NULL);
      break;
    case ROOK_FILTER_REJECT:
      answer (way, ROOK_DELIVERY_REJECTED, text);
      break;
    case ROOK_FILTER_TEMPORARY:
      answer (way, ROOK_DELIVERY_TEMPORARY, text);
      break;
    case ROOK_FILTER_CONTINUE:
    default:
      if (item->changed)
        rook_content_prepare (way->request->mail, item->message, changed_content_ready, way);
      else
        begin_targets (way);
      break;
    }
}

/* --- beginning -------------------------------------------------------------------------------------------------- */

static void
content_ready (RookContent *content, const GError *error, gpointer data)
{
  Request *request = data;
  g_autoptr (GPtrArray) ways = g_ptr_array_ref (request->ways);

  if (content != NULL)
    request->content = rook_content_ref (content);
  for (guint i = 0; i < ways->len; i++)
    {
      Way *way = g_ptr_array_index (ways, i);

      if (error != NULL)
        {
          answer (way, rook_delivery_status_from_error (error), NULL);
          continue;
        }
      way->content = rook_content_ref (content);
      rook_delivery_item_filter (way->item, filtered, way);
    }
}

void
rook_delivery_deliver (RookDelivery *delivery, const RookDeliveryRequest *request, RookDeliveryCallback callback,
                       gpointer data)
{
  Request *self = g_new0 (Request, 1);

  g_return_if_fail (request->message != NULL && request->n_recipients > 0);
  self->delivery = delivery;
  self->mail = rook_server_get_mail (delivery->server);
  self->n_left = request->n_recipients;
  self->identity = request->identity != NULL ? rook_identity_ref (request->identity) : NULL;
  self->ignore_quota = request->ignore_quota;
  self->session = g_strdup (request->session);
  if (ROOK_STRUCT_HAS (request, RookDeliveryRequest, protocol))
    self->protocol = g_strdup (request->protocol);
  self->started_us = g_get_monotonic_time ();
  self->callback = callback;
  self->data = data;
  self->ways = g_ptr_array_new ();
  for (guint i = 0; i < request->n_recipients; i++)
    {
      Way *way = g_new0 (Way, 1);

      way->request = self;
      way->index = i;
      way->stored = g_ptr_array_new_with_free_func (g_free);
      way->item = rook_delivery_item_new (delivery, request->recipients[i], request->sender, request->message);
      g_ptr_array_add (self->ways, way);
    }
  rook_content_prepare (self->mail, request->message, content_ready, self);
}
