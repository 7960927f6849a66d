/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * MAIL (RFC 5321 4.1.1.2) with SIZE, BODY and AUTH.
 */
#include "lmtp/session.h"

/* Who the message is from, as the client says: counts for the right to post if the client may say so, else it is as if
 * it had said AUTH=<> (RFC 4954 5). Only administrators have authenticated. */
static void
set_sender (LmtpSession *session)
{
  RookAuth *auth = rook_server_get_auth (session->server);
  g_autofree char *user = NULL;

  if (session->mail.auth == NULL || (session->identity == NULL && !lmtp_believes (session->lmtp, session->connection)))
    return;
  if (rook_auth_canonical_user (auth, session->mail.auth, &user, NULL))
    session->sender = rook_identity_new (user, user, NULL, FALSE);
}

void
lmtp_cmd_mail (LmtpSession *session, char *arguments)
{
  g_autoptr (GError) error = NULL;

  if (!lmtp_session_may_send (session))
    lmtp_session_bad (session, "430 4.7.0 Authentication required");
  else if (session->in_mail)
    lmtp_session_bad (session, "503 5.5.1 Nested MAIL");
  else if (!lmtp_envelope_parse_mail (arguments, &session->mail, &error))
    {
      session->bad_commands++;
      lmtp_session_replyf (session, "501 5.5.4 %s", error->message);
    }
  else if (session->mail.size > session->limits.message)
    {
      lmtp_session_reset (session);
      lmtp_session_reply (session, "552 5.2.3 Message too large");
    }
  else
    {
      session->in_mail = TRUE;
      set_sender (session);
      lmtp_session_reply (session, "250 2.1.0 Ok");
    }
}
