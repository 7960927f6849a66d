/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * STARTTLS (RFC 3501 6.2.1). The core throws away what was pipelined in clear.
 */
#include "imap/commands.h"

void
imap_cmd_starttls (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;
  RookConnection *connection = session->connection;

  if (!imap_expect_end (session, arguments))
    return;
  if (!rook_connection_can_start_tls (connection))
    {
      imap_session_bad (session, NULL,
                        rook_connection_has_tls (connection) ? "TLS is in use already" : "TLS is not available");
      return;
    }
  imap_session_ok (session, NULL, "Begin TLS negotiation now");
  if (session->connection != NULL && !rook_connection_start_tls (connection, &error))
    imap_session_bye (session, NULL, "TLS is not available");
}
