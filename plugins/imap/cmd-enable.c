/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ENABLE (RFC 5161). Nothing that can be enabled is there yet; what is unknown is passed over.
 */
#include "imap/commands.h"

void
imap_cmd_enable (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;

  do
    {
      g_autofree char *name = NULL;

      if (!imap_parse_space (arguments, &error) || !imap_parse_atom (arguments, &name, &error))
        {
          imap_session_fail (session, error);
          return;
        }
    }
  while (!imap_parse_end (arguments, NULL));
  rook_connection_puts (session->connection, "* ENABLED\r\n");
  imap_session_ok (session, NULL, "Completed");
}
