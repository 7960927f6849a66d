/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * DELETE (RFC 3501 6.3.4).
 */
#include "imap/commands.h"

static void
on_deleted (const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;

  if (error == NULL && session->view != NULL && rook_view_is_gone (session->view))
    imap_session_unselect (session); /* it was ours, and we know */
  imap_end_with_outcome (error, g_steal_pointer (&session));
}

void
imap_cmd_delete (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  g_autofree char *name = NULL;
  g_autoptr (GError) error = NULL;

  if (!imap_parse_space (arguments, &error) || !imap_parse_mailbox (session, arguments, &name, &error)
      || !imap_parse_end (arguments, &error))
    imap_session_fail (session, error);
  else
    rook_mail_delete (rook_server_get_mail (session->server), session->identity, name, on_deleted,
                      imap_session_ref (session));
}
