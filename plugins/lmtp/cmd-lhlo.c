/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LHLO (RFC 2033 4.1): begins anew, and says what is offered.
 */
#include "lmtp/session.h"

#include "rookery/server.h"

static void
write_mechanisms (LmtpSession *session)
{
  g_auto (GStrv) mechanisms = rook_auth_get_mechanisms (rook_server_get_auth (session->server), session->connection);
  g_autofree char *list = g_strjoinv (" ", mechanisms);

  if (mechanisms[0] != NULL && session->identity == NULL)
    rook_connection_printf (session->connection, "250-AUTH %s\r\n", list);
}

void
lmtp_cmd_lhlo (LmtpSession *session, char *arguments)
{
  RookConnection *connection = session->connection;

  if (arguments[0] == '\0')
    {
      lmtp_session_bad (session, "501 5.5.4 LHLO needs a name");
      return;
    }
  lmtp_session_reset (session);
  g_free (session->lhlo);
  session->lhlo = g_strdup (arguments);
  rook_connection_printf (connection, "250-%s\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-PIPELINING\r\n",
                          rook_server_get_hostname (session->server));
  rook_connection_printf (connection, "250-SIZE %" G_GUINT64_FORMAT "\r\n", session->limits.message);
  if (rook_connection_can_start_tls (connection))
    rook_connection_puts (connection, "250-STARTTLS\r\n");
  write_mechanisms (session);
  lmtp_session_reply (session, "250 IGNOREQUOTA");
}
