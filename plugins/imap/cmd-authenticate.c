/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * AUTHENTICATE (RFC 3501 6.2.2) with an initial response (RFC 4959).
 */
#include "imap/commands.h"

static void on_step (GBytes *challenge, RookIdentity *identity, const GError *error, gpointer data);

/* The client's answer to a challenge. */
static void
on_line (ImapSession *session, char *line, gsize length G_GNUC_UNUSED)
{
  rook_auth_exchange_step_base64 (session->exchange, line, FALSE, on_step, session);
}

static void
send_challenge (ImapSession *session, GBytes *challenge, ImapLineFunc next)
{
  gsize length;
  const guchar *data = g_bytes_get_data (challenge, &length);
  g_autofree char *encoded = length > 0 ? g_base64_encode (data, length) : g_strdup ("");

  if (session->draining) /* whoever answers it would come too late */
    {
      imap_session_bye (session, "UNAVAILABLE", rook_connection_get_farewell (session->connection));
      return;
    }
  session->line = next;
  rook_connection_printf (session->connection, "+ %s\r\n", encoded);
  rook_connection_resume (session->connection);
}

/* The client's empty answer to the server's last word, for which IMAP has no other place. */
static void
on_last_line (ImapSession *session, char *line G_GNUC_UNUSED, gsize length)
{
  g_autoptr (RookIdentity) identity = g_steal_pointer (&session->call.data);

  session->call.destroy = NULL;
  if (length == 0)
    imap_login_succeed (session, identity);
  else
    {
      g_autoptr (GError) error =
          g_error_new_literal (ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_PROTOCOL, "the last answer was not empty");

      imap_login_fail (session, error);
    }
}

static void
on_step (GBytes *challenge, RookIdentity *identity, const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = imap_session_ref (data);

  if (error != NULL)
    imap_login_fail (session, error);
  else if (identity != NULL && challenge != NULL)
    {
      imap_session_set_call_data (session, rook_identity_ref (identity), (GDestroyNotify) rook_identity_unref);
      send_challenge (session, challenge, on_last_line);
    }
  else if (identity != NULL)
    imap_login_succeed (session, identity);
  else
    send_challenge (session, challenge, on_line);
}

/* The initial response: base64, or "=" for an empty one. */
static gboolean
parse_response (ImapParser *arguments, char **out_response, GError **error)
{
  *out_response = NULL;
  if (!imap_parse_try_char (arguments, ' '))
    return TRUE;
  return imap_parse_atom (arguments, out_response, error);
}

void
imap_cmd_authenticate (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  RookAuth *auth = rook_server_get_auth (session->server);
  g_autofree char *mechanism = NULL, *response = NULL;
  g_autoptr (GError) error = NULL;

  if (!imap_parse_space (arguments, &error) || !imap_parse_atom (arguments, &mechanism, &error)
      || !parse_response (arguments, &response, &error) || !imap_parse_end (arguments, &error))
    {
      imap_session_fail (session, error);
      return;
    }
  session->exchange = rook_auth_exchange_new (auth, session->connection, mechanism);
  if (response != NULL)
    rook_auth_exchange_step_base64 (session->exchange, response, TRUE, on_step, session);
  else
    rook_auth_exchange_step (session->exchange, NULL, on_step, session);
}
