/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RENAME (RFC 3501 6.3.5). A third argument, which administrators' tools send, is the partition to move to; the names may then be
 * the same.
 */
#include "imap/commands.h"

/* *@out_partition: (nullable) */
static gboolean
parse (ImapSession *session, ImapParser *arguments, char **out_name, char **out_new_name, char **out_partition,
       GError **error)
{
  return imap_parse_space (arguments, error) && imap_parse_mailbox (session, arguments, out_name, error)
         && imap_parse_space (arguments, error) && imap_parse_mailbox (session, arguments, out_new_name, error)
         && (!imap_parse_try_char (arguments, ' ') || imap_parse_astring (arguments, out_partition, error))
         && imap_parse_end (arguments, error);
}

static void
on_renamed (const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;

  if (error == NULL && session->view != NULL && rook_view_is_gone (session->view))
    imap_session_unselect (session); /* it was ours, has another uidvalidity, and we know */
  imap_end_with_outcome (error, g_steal_pointer (&session));
}

void
imap_cmd_rename (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  g_autofree char *name = NULL, *new_name = NULL, *partition = NULL;
  g_autoptr (GError) error = NULL;

  if (!parse (session, arguments, &name, &new_name, &partition, &error))
    imap_session_fail (session, error);
  else
    rook_mail_rename (rook_server_get_mail (session->server), session->identity, name, new_name, partition, on_renamed,
                      imap_session_ref (session));
}
