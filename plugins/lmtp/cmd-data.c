/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * DATA (RFC 2033 4.2): the message comes in, is delivered, and is answered once for each recipient, in their order.
 */
#include "lmtp/session.h"

#include "rookery/server.h"

#include "lmtp/reply.h"

/* --- delivering ----------------------------------------------------------------------------------------------------------- */

/* Recipients that are delivered to by one request: those that ignore quota, or those that don't. */
typedef struct {
  LmtpSession *session; /* (owned) */
  guint left;           /* outcomes still to come */
  guint n;
  guint indexes[]; /* of the session's recipients */
} Group;

/* What is known of them in their order; FALSE: there are more to come. */
static gboolean
print_replies (LmtpSession *session)
{
  for (; session->answered < session->recipients->len; session->answered++)
    {
      const LmtpRecipient *recipient = session->recipients->pdata[session->answered];

      if (recipient->reply == NULL)
        return FALSE;
      if (session->connection != NULL)
        rook_connection_printf (session->connection, "%s\r\n", recipient->reply);
    }
  return TRUE;
}

static void
write_replies (LmtpSession *session)
{
  if (!print_replies (session))
    return;
  lmtp_session_reset (session);
  lmtp_session_done (session);
}

static void
on_delivered (guint index, RookDeliveryStatus status, const char *text, gpointer data)
{
  Group *group = data;
  g_autoptr (LmtpSession) session = lmtp_session_ref (group->session);
  LmtpRecipient *recipient = session->recipients->pdata[group->indexes[index]];

  g_assert (recipient->reply == NULL);
  recipient->reply = lmtp_reply_for_delivery (status, text, session->limits.over_quota_is_permanent);
  if (--group->left == 0)
    {
      lmtp_session_unref (group->session);
      g_free (group);
    }
  write_replies (session);
}

static RookDeliveryRequest
make_request (LmtpSession *session, RookRecipient *const *recipients, guint n_recipients)
{
  return (RookDeliveryRequest){ .struct_size = sizeof (RookDeliveryRequest),
                                .sender = session->mail.address,
                                .recipients = recipients,
                                .n_recipients = n_recipients,
                                .identity = session->sender,
                                .session = rook_connection_get_id (session->connection),
                                .protocol = rook_connection_get_protocol (session->connection)->name };
}

static void
deliver_group (LmtpSession *session, GBytes *message, gboolean ignore_quota)
{
  guint n = session->recipients->len;
  Group *group = g_malloc (sizeof (Group) + n * sizeof (guint));
  g_autofree RookRecipient **recipients = g_new0 (RookRecipient *, n + 1);
  RookDeliveryRequest request;

  group->n = 0;
  for (guint i = 0; i < n; i++)
    {
      const LmtpRecipient *recipient = session->recipients->pdata[i];

      if (recipient->ignore_quota != ignore_quota)
        continue;
      recipients[group->n] = recipient->recipient;
      group->indexes[group->n++] = i;
    }
  if (group->n == 0)
    {
      g_free (group);
      return;
    }
  group->left = group->n;
  group->session = lmtp_session_ref (session);
  request = make_request (session, recipients, group->n);
  request.message = message;
  request.ignore_quota = ignore_quota;
  rook_delivery_deliver (rook_server_get_delivery (session->server), &request, on_delivered, group);
}

/* --- receiving ------------------------------------------------------------------------------------------------------------ */

/* The message's fault is the answer to all recipients. */
static void
set_faults (LmtpSession *session)
{
  const char *reply = lmtp_reply_for_fault (session->message.fault);
  g_autoptr (GPtrArray) recipients = g_ptr_array_new ();
  RookDeliveryRequest request;

  for (guint i = 0; i < session->recipients->len; i++)
    {
      LmtpRecipient *recipient = session->recipients->pdata[i];

      recipient->reply = g_strdup (reply);
      g_ptr_array_add (recipients, recipient->recipient);
    }
  request = make_request (session, (RookRecipient *const *) recipients->pdata, recipients->len);
  rook_delivery_refuse (rook_server_get_delivery (session->server), &request,
                        session->message.fault == LMTP_MESSAGE_TOO_BIG ? ROOK_DELIVERY_TOO_BIG
                                                                       : ROOK_DELIVERY_BAD_MESSAGE,
                        reply + LMTP_CODES_LENGTH);
}

/* The client doesn't come to an end by itself. */
static void
give_up (LmtpSession *session)
{
  rook_connection_pause (session->connection);
  set_faults (session);
  print_replies (session);
  lmtp_session_close (session, "421 4.7.0 Message without end");
}

void
lmtp_data_add (LmtpSession *session, const guint8 *data, gsize length, gboolean last)
{
  g_autoptr (GBytes) message = NULL;

  if (session->ending)
    return;
  lmtp_message_add (&session->message, data, length);
  if (!last && lmtp_message_is_endless (&session->message))
    give_up (session);
  if (!last)
    return;
  rook_connection_pause (session->connection);
  session->started_us = g_get_monotonic_time ();
  message = lmtp_message_end (&session->message);
  if (message != NULL)
    {
      deliver_group (session, message, FALSE);
      deliver_group (session, message, TRUE);
      return;
    }
  set_faults (session);
  write_replies (session);
}

static char *
make_trace (LmtpSession *session)
{
  /* By TLS, and by having authenticated. */
  static const char *const protocols[2][2] = { { "LMTP", "LMTPA" }, { "LMTPS", "LMTPSA" } };
  RookConnection *connection = session->connection;
  LmtpTrace trace = {
    .sender = session->mail.address,
    .lhlo = session->lhlo,
    .address = rook_connection_get_peer_address (connection),
    .hostname = rook_server_get_hostname (session->server),
    .version = rook_server_get_version (),
    .protocol = protocols[rook_connection_has_tls (connection)][session->identity != NULL],
    .id = rook_connection_get_id (connection),
    .time = g_get_real_time () / G_USEC_PER_SEC,
  };

  return lmtp_message_make_trace (&trace);
}

void
lmtp_cmd_data (LmtpSession *session, char *arguments)
{
  g_autofree char *trace = NULL;

  if (arguments[0] != '\0')
    lmtp_session_bad (session, "501 5.5.4 DATA takes no argument");
  else if (!session->in_mail)
    lmtp_session_bad (session, "503 5.5.1 Say MAIL first");
  else if (session->recipients->len == 0)
    lmtp_session_bad (session, "503 5.5.1 No recipients");
  else
    {
      trace = make_trace (session);
      lmtp_message_init (&session->message, session->limits.message, trace);
      rook_connection_puts (session->connection, "354 End with <CRLF>.<CRLF>\r\n");
      rook_connection_read_dot (session->connection);
      rook_connection_resume (session->connection);
    }
}
