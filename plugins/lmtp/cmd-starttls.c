/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * STARTTLS (RFC 3207): the client begins anew under TLS. The core throws away what was pipelined in clear.
 */
#include "lmtp/session.h"

void
lmtp_cmd_starttls (LmtpSession *session, char *arguments)
{
  g_autoptr (GError) error = NULL;

  if (arguments[0] != '\0')
    lmtp_session_bad (session, "501 5.5.4 STARTTLS takes no argument");
  else if (!rook_connection_can_start_tls (session->connection))
    lmtp_session_bad (session, "454 4.7.0 TLS is not available");
  else
    {
      lmtp_session_reset (session);
      g_clear_pointer (&session->lhlo, g_free);
      lmtp_session_reply (session, "220 2.0.0 Begin TLS negotiation now");
      if (session->connection != NULL && !rook_connection_start_tls (session->connection, &error))
        lmtp_session_close (session, "421 4.7.0 TLS is not available");
    }
}
