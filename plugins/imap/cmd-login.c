/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LOGIN (RFC 3501 6.2.3).
 */
#include "imap/commands.h"

static void
on_login (GBytes *challenge G_GNUC_UNUSED, RookIdentity *identity, const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = imap_session_ref (data);

  if (identity != NULL)
    imap_login_succeed (session, identity);
  else
    imap_login_fail (session, error);
}

void
imap_cmd_login (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  RookAuth *auth = rook_server_get_auth (session->server);
  g_autofree char *user = NULL, *password = NULL;
  g_autoptr (GError) error = NULL;

  if (!imap_parse_space (arguments, &error) || !imap_parse_astring (arguments, &user, &error)
      || !imap_parse_space (arguments, &error) || !imap_parse_astring (arguments, &password, &error)
      || !imap_parse_end (arguments, &error))
    imap_session_fail (session, error);
  else
    session->exchange = rook_auth_login (auth, session->connection, user, password, NULL, on_login, session);
}
