/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SUBSCRIBE and UNSUBSCRIBE (RFC 3501 6.3.6, 6.3.7).
 */
#include "imap/commands.h"

static void
run (ImapSession *session, ImapParser *arguments, gboolean subscribed)
{
  g_autofree char *name = NULL;
  g_autoptr (GError) error = NULL;

  if (!imap_parse_space (arguments, &error) || !imap_parse_mailbox (session, arguments, &name, &error)
      || !imap_parse_end (arguments, &error))
    imap_session_fail (session, error);
  else
    rook_mail_subscribe (rook_server_get_mail (session->server), session->identity, name, subscribed,
                         imap_end_with_outcome, imap_session_ref (session));
}

void
imap_cmd_subscribe (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  run (session, arguments, TRUE);
}

void
imap_cmd_unsubscribe (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  run (session, arguments, FALSE);
}
