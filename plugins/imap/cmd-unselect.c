/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * UNSELECT (RFC 3691).
 */
#include "imap/commands.h"

void
imap_cmd_unselect (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  if (!imap_expect_end (session, arguments))
    return;
  imap_session_unselect (session);
  imap_session_ok (session, NULL, "Completed");
}
