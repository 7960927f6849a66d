/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CAPABILITY (RFC 3501 6.1.1).
 */
#include "imap/commands.h"

void
imap_cmd_capability (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  g_autofree char *list = NULL;

  if (!imap_expect_end (session, arguments))
    return;
  list = imap_list_capabilities (session->imap, session);
  rook_connection_printf (session->connection, "* CAPABILITY %s\r\n", list);
  imap_session_ok (session, NULL, "Completed");
}
