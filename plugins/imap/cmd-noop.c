/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * NOOP (RFC 3501 6.1.2): what has changed is told at the end of every command, so there is nothing left to do.
 */
#include "imap/commands.h"

void
imap_cmd_noop (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  if (imap_expect_end (session, arguments))
    imap_session_ok (session, NULL, "Completed");
}
