/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CHECK (RFC 3501 6.4.1): everything is on stable storage before it is answered, so this is a NOOP.
 */
#include "imap/commands.h"

void
imap_cmd_check (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  if (imap_expect_end (session, arguments))
    imap_session_ok (session, NULL, "Completed");
}
