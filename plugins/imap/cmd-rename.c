/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RENAME (RFC 3501 6.3.5).
 */
#include "imap/commands.h"

void
imap_cmd_rename (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  g_autofree char *name = NULL, *new_name = NULL;
  g_autoptr (GError) error = NULL;

  if (!imap_parse_space (arguments, &error) || !imap_parse_mailbox (session, arguments, &name, &error)
      || !imap_parse_space (arguments, &error) || !imap_parse_mailbox (session, arguments, &new_name, &error)
      || !imap_parse_end (arguments, &error))
    imap_session_fail (session, error);
  else
    rook_mail_rename (rook_server_get_mail (session->server), session->identity, name, new_name, NULL,
                      imap_end_with_outcome, imap_session_ref (session));
}
