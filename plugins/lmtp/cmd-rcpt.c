/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RCPT (RFC 5321 4.1.1.3): the delivery service knows who may receive.
 */
#include "lmtp/session.h"

#include "lmtp/reply.h"

static void
on_resolved (RookDeliveryStatus status, const char *text, RookRecipient *recipient, gpointer data)
{
  g_autoptr (LmtpSession) session = data;
  g_autofree char *reply = lmtp_reply_for_delivery (status, text, session->limits.over_quota_is_permanent);
  LmtpRecipient *entry;

  if (status == ROOK_DELIVERY_OK)
    {
      entry = g_new0 (LmtpRecipient, 1);
      entry->recipient = recipient;
      entry->ignore_quota = session->ignore_quota;
      g_ptr_array_add (session->recipients, entry);
    }
  lmtp_session_reply (session, reply);
}

void
lmtp_cmd_rcpt (LmtpSession *session, char *arguments)
{
  g_auto (LmtpEnvelope) envelope = { 0 };
  g_autoptr (GError) error = NULL;
  RookResolveRequest request = { .struct_size = sizeof request };

  if (!session->in_mail)
    lmtp_session_bad (session, "503 5.5.1 Say MAIL first");
  else if (!lmtp_envelope_parse_rcpt (arguments, &envelope, &error))
    {
      session->bad_commands++;
      lmtp_session_replyf (session, "501 5.5.4 %s", error->message);
    }
  else if (session->recipients->len >= session->limits.recipients)
    lmtp_session_reply (session, "452 4.5.3 Too many recipients");
  else
    {
      session->ignore_quota = envelope.ignore_quota;
      request.address = envelope.address;
      request.sender = session->sender;
      request.size = session->mail.size;
      request.ignore_quota = envelope.ignore_quota;
      request.from = session->mail.address;
      request.session = rook_connection_get_id (session->connection);
      request.protocol = rook_connection_get_protocol (session->connection)->name;
      rook_delivery_resolve (rook_server_get_delivery (session->server), &request, on_resolved,
                             lmtp_session_ref (session));
    }
}
