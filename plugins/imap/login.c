/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What LOGIN and AUTHENTICATE end in.
 */
#include "imap/commands.h"

#include "rookery/log.h"

static void
answer (ImapSession *session)
{
  g_autofree char *capabilities = NULL;
  g_autofree char *code = NULL;

  if (imap_session_is_gone (session))
    return;
  capabilities = imap_list_capabilities (session->imap, session);
  code = g_strdup_printf ("CAPABILITY %s", capabilities);
  imap_session_ok (session, code, "Logged in");
  if (session->exchange != NULL && session->connection != NULL)
    rook_connection_start_sasl_layer (session->connection, session->exchange);
  g_clear_pointer (&session->exchange, rook_auth_exchange_free);
}

/* Without an INBOX there may still be mailboxes of others to see; the lack shows when it is asked for. */
static void
on_ensured (const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;

  if (error != NULL && !g_error_matches (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_FOUND)
      && session->connection != NULL)
    rook_log_connection (rook_server_get_log (session->server), ROOK_LOG_WARNING, session->connection,
                         "imap.autocreate", "message", error->message, NULL);
  answer (session);
}

void
imap_login_succeed (ImapSession *session, RookIdentity *identity)
{
  g_autoptr (GError) error = NULL;

  if (!imap_session_set_identity (session, identity, &error))
    {
      rook_log_connection (rook_server_get_log (session->server), ROOK_LOG_NOTICE, session->connection,
                           "imap.login-refused", "message", error->message, NULL);
      imap_login_fail (session, error);
      return;
    }
  rook_log_connection (rook_server_get_log (session->server), ROOK_LOG_INFO, session->connection, "imap.login", "tls",
                       rook_connection_get_tls_version (session->connection), NULL);
  rook_mail_ensure_user (rook_server_get_mail (session->server), rook_identity_get_user (identity), ROOK_ENSURE_LOGIN,
                         on_ensured, imap_session_ref (session));
}

/* The authentication service has logged it. */
void
imap_login_fail (ImapSession *session, const GError *error)
{
  g_clear_pointer (&session->exchange, rook_auth_exchange_free);
  imap_session_fail (session, error);
}
