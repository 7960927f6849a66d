/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * AUTH (RFC 4954). Only administrators may: whoever authenticates can send mail as anybody.
 */
#include "lmtp/session.h"

#include <string.h>

#include "lmtp/reply.h"

static void on_step (GBytes *challenge, RookIdentity *identity, const GError *error, gpointer data);

static void
on_line (LmtpSession *session, char *line)
{
  rook_auth_exchange_step_base64 (session->exchange, line, FALSE, on_step, session);
}

static void
succeed (LmtpSession *session, RookIdentity *identity)
{
  g_autoptr (RookAuthExchange) exchange = g_steal_pointer (&session->exchange);

  if (!rook_identity_is_admin (identity))
    {
      lmtp_session_bad (session, "501 5.5.4 Only administrators may authenticate");
      return;
    }
  if (!rook_connection_set_identity (session->connection, identity, NULL))
    {
      lmtp_session_reply (session, "454 4.7.0 Too many connections");
      return;
    }
  session->identity = rook_identity_ref (identity);
  lmtp_session_reply (session, "235 2.7.0 Ok");
  if (session->connection != NULL)
    rook_connection_start_sasl_layer (session->connection, exchange);
}

/* The client's empty answer to the server's last word. */
static void
on_last_line (LmtpSession *session, char *line)
{
  g_autoptr (RookIdentity) identity = g_steal_pointer (&session->proven);

  if (line[0] == '\0')
    succeed (session, identity);
  else
    {
      g_clear_pointer (&session->exchange, rook_auth_exchange_free);
      lmtp_session_bad (session, "501 5.5.2 Invalid authentication exchange");
    }
}

static void
send_challenge (LmtpSession *session, GBytes *challenge)
{
  gsize length;
  const guchar *bytes = g_bytes_get_data (challenge, &length);
  g_autofree char *encoded = length > 0 ? g_base64_encode (bytes, length) : g_strdup ("");

  if (session->draining)
    {
      lmtp_session_leave (session);
      return;
    }
  rook_connection_printf (session->connection, "334 %s\r\n", encoded);
  rook_connection_resume (session->connection);
}

static void
on_step (GBytes *challenge, RookIdentity *identity, const GError *error, gpointer data)
{
  g_autoptr (LmtpSession) session = lmtp_session_ref (data);

  if (error != NULL)
    {
      g_clear_pointer (&session->exchange, rook_auth_exchange_free);
      lmtp_session_bad (session, lmtp_reply_for_auth (error));
    }
  else if (challenge == NULL)
    succeed (session, identity);
  else
    {
      if (identity != NULL)
        session->proven = rook_identity_ref (identity);
      session->line = identity != NULL ? on_last_line : on_line;
      send_challenge (session, challenge);
    }
}

void
lmtp_cmd_auth (LmtpSession *session, char *arguments)
{
  RookAuth *auth = rook_server_get_auth (session->server);
  char *initial = strchr (arguments, ' ');

  if (arguments[0] == '\0')
    lmtp_session_bad (session, "501 5.5.4 AUTH needs a mechanism");
  else if (session->identity != NULL || session->in_mail)
    lmtp_session_bad (session, "503 5.5.1 Not now");
  else
    {
      if (initial != NULL)
        *initial++ = '\0';
      session->exchange = rook_auth_exchange_new (auth, session->connection, arguments);
      if (initial != NULL)
        rook_auth_exchange_step_base64 (session->exchange, initial, TRUE, on_step, session);
      else
        rook_auth_exchange_step (session->exchange, NULL, on_step, session);
    }
}
