/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LOGOUT (RFC 3501 6.1.3).
 */
#include "imap/commands.h"

void
imap_cmd_logout (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  if (!imap_expect_end (session, arguments))
    return;
  rook_connection_puts (session->connection, "* BYE Logging out\r\n");
  imap_session_ok (session, NULL, "Completed");
  session->ending = TRUE;
  if (session->connection != NULL)
    rook_connection_close (session->connection);
}
