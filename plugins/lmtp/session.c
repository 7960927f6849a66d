/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A session's life and the dispatch of its commands.
 */
#include "lmtp/session.h"

#include <stdarg.h>
#include <string.h>

#include "rookery/log.h"
#include "rookery/server.h"

/* clang-format off */
const LmtpCommand lmtp_commands[LMTP_N_COMMANDS] = {
  { "LHLO",     FALSE, lmtp_cmd_lhlo },
  { "MAIL",     TRUE,  lmtp_cmd_mail },
  { "RCPT",     TRUE,  lmtp_cmd_rcpt },
  { "DATA",     TRUE,  lmtp_cmd_data },
  { "RSET",     FALSE, lmtp_cmd_rset },
  { "NOOP",     FALSE, lmtp_cmd_noop },
  { "VRFY",     FALSE, lmtp_cmd_vrfy },
  { "QUIT",     FALSE, lmtp_cmd_quit },
  { "STARTTLS", TRUE,  lmtp_cmd_starttls },
  { "AUTH",     TRUE,  lmtp_cmd_auth },
};
/* clang-format on */

/* --- life --------------------------------------------------------------------------------------------------------- */

void
lmtp_recipient_free (gpointer data)
{
  LmtpRecipient *recipient = data;

  g_clear_pointer (&recipient->recipient, rook_recipient_free);
  g_free (recipient->reply);
  g_free (recipient);
}

static gpointer
session_open (RookConnection *connection, gpointer data)
{
  LmtpSession *self = g_new0 (LmtpSession, 1);

  self->references = 1;
  self->lmtp = lmtp_ref (data);
  rook_plugin_ref (lmtp_get_plugin (self->lmtp));
  self->server = rook_connection_get_server (connection);
  self->connection = connection;
  self->command = -1;
  self->recipients = g_ptr_array_new_with_free_func (lmtp_recipient_free);
  lmtp_get_limits (self->lmtp, &self->limits);
  rook_connection_set_line_limit (connection, self->limits.line);
  rook_connection_set_idle_timeout (connection, self->limits.idle_ms);
  rook_connection_printf (connection, "220 %s Rookery LMTP ready\r\n", rook_server_get_hostname (self->server));
  return self;
}

LmtpSession *
lmtp_session_ref (LmtpSession *self)
{
  self->references++;
  return self;
}

void
lmtp_session_unref (LmtpSession *self)
{
  RookPlugin *plugin = lmtp_get_plugin (self->lmtp);

  g_assert (self->references > 0);
  if (--self->references > 0)
    return;
  lmtp_session_reset (self);
  g_ptr_array_unref (self->recipients);
  g_clear_pointer (&self->exchange, rook_auth_exchange_free);
  g_clear_pointer (&self->proven, rook_identity_unref);
  g_clear_pointer (&self->identity, rook_identity_unref);
  g_free (self->lhlo);
  lmtp_unref (self->lmtp);
  g_free (self);
  rook_plugin_unref (plugin);
}

void
lmtp_session_reset (LmtpSession *self)
{
  self->in_mail = FALSE;
  self->answered = 0;
  lmtp_envelope_clear (&self->mail);
  self->mail = (LmtpEnvelope){ 0 };
  lmtp_message_clear (&self->message);
  g_clear_pointer (&self->sender, rook_identity_unref);
  g_ptr_array_set_size (self->recipients, 0);
}

gboolean
lmtp_session_may_send (LmtpSession *self)
{
  return self->identity != NULL || lmtp_trusts (self->lmtp, self->connection);
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

void
lmtp_session_leave (LmtpSession *self)
{
  g_autofree char *reply = g_strconcat ("421 4.3.2 ", rook_connection_get_farewell (self->connection), NULL);

  lmtp_session_close (self, reply);
}

void
lmtp_session_done (LmtpSession *self)
{
  if (self->command >= 0)
    rook_histogram_add (lmtp_get_latency (self->lmtp, (guint) self->command),
                        (guint64) MAX (0, g_get_monotonic_time () - self->started_us));
  self->command = -1;
  if (self->connection == NULL || self->ending)
    return;
  if (self->bad_commands > self->limits.bad_commands)
    lmtp_session_close (self, "421 4.7.0 Too many bad commands");
  else if (self->draining)
    lmtp_session_leave (self);
  else
    rook_connection_resume (self->connection);
}

void
lmtp_session_reply (LmtpSession *self, const char *reply)
{
  if (self->connection != NULL && !self->ending)
    rook_connection_printf (self->connection, "%s\r\n", reply);
  lmtp_session_done (self);
}

void
lmtp_session_replyf (LmtpSession *self, const char *format, ...)
{
  g_autofree char *reply = NULL;
  va_list args;

  va_start (args, format);
  reply = g_strdup_vprintf (format, args);
  va_end (args);
  lmtp_session_reply (self, reply);
}

void
lmtp_session_bad (LmtpSession *self, const char *reply)
{
  self->bad_commands++;
  lmtp_session_reply (self, reply);
}

void
lmtp_session_close (LmtpSession *self, const char *reply)
{
  if (self->connection == NULL || self->ending)
    return;
  self->ending = TRUE;
  rook_connection_printf (self->connection, "%s\r\n", reply);
  rook_connection_close (self->connection);
}

/* --- input -------------------------------------------------------------------------------------------------------- */

static gint
find_command (const char *line, gsize length)
{
  for (gint i = 0; i < LMTP_N_COMMANDS; i++)
    if (strlen (lmtp_commands[i].name) == length && g_ascii_strncasecmp (line, lmtp_commands[i].name, length) == 0)
      return i;
  return -1;
}

static const char *
line_fault (RookLineFlags flags)
{
  if ((flags & ROOK_LINE_TOO_LONG) != 0)
    return "500 5.5.2 Line too long";
  if ((flags & ROOK_LINE_NUL) != 0)
    return "500 5.5.2 NUL in a command";
  if ((flags & (ROOK_LINE_BARE_LF | ROOK_LINE_BARE_CR)) != 0)
    return "500 5.5.2 Lines end in CRLF";
  return NULL;
}

static void
run_command (LmtpSession *self, char *line)
{
  gsize length = strcspn (line, " ");
  char *arguments = line + length + strspn (line + length, " ");

  self->started_us = g_get_monotonic_time ();
  self->command = find_command (line, length);
  rook_connection_pause (self->connection);
  if (self->command < 0)
    {
      lmtp_session_bad (self, "500 5.5.2 Unknown command");
      return;
    }
  rook_connection_set_activity (self->connection, lmtp_commands[self->command].name);
  g_strchomp (arguments);
  if (lmtp_commands[self->command].needs_lhlo && self->lhlo == NULL)
    lmtp_session_bad (self, "503 5.5.1 Say LHLO first");
  else
    lmtp_commands[self->command].run (self, arguments);
}

static void
on_line (RookConnection *connection, gpointer session, char *line, gsize length G_GNUC_UNUSED, RookLineFlags flags)
{
  g_autoptr (LmtpSession) self = lmtp_session_ref (session);
  const char *fault = line_fault (flags);

  if (self->ending)
    return;
  if (fault != NULL)
    {
      rook_connection_pause (connection);
      self->line = NULL;
      g_clear_pointer (&self->exchange, rook_auth_exchange_free);
      g_clear_pointer (&self->proven, rook_identity_unref);
      lmtp_session_bad (self, fault);
    }
  else if (self->line != NULL)
    {
      void (*func) (LmtpSession *, char *) = self->line;

      self->line = NULL;
      rook_connection_pause (connection);
      func (self, line);
    }
  else
    run_command (self, line);
}

static void
on_data (RookConnection *connection G_GNUC_UNUSED, gpointer session, const guint8 *data, gsize length, gboolean last)
{
  g_autoptr (LmtpSession) self = lmtp_session_ref (session);

  lmtp_data_add (self, data, length, last);
}

/* --- the rest of the handler ---------------------------------------------------------------------------------------- */

static void
on_expired (RookConnection *connection G_GNUC_UNUSED, gpointer session, RookDeadline deadline G_GNUC_UNUSED)
{
  lmtp_session_close (session, "421 4.4.1 Idle for too long");
}

static void
on_drain (RookConnection *connection G_GNUC_UNUSED, gpointer session)
{
  LmtpSession *self = session;

  self->draining = TRUE;
  if (self->command < 0 || self->line != NULL) /* else when the command or the message in hand is done */
    lmtp_session_leave (self);
}

static void
on_closed (RookConnection *connection, gpointer session, const GError *reason)
{
  LmtpSession *self = session;

  rook_log_connection (rook_server_get_log (self->server), ROOK_LOG_INFO, connection, "lmtp.closed", "reason",
                       reason != NULL ? reason->message : NULL, NULL);
  self->connection = NULL;
  self->line = NULL;
  g_clear_pointer (&self->exchange, rook_auth_exchange_free);
  lmtp_session_unref (self);
}

static const char *
refusal (RookRefusal reason)
{
  switch (reason)
    {
    case ROOK_REFUSAL_SHUTDOWN:
      return "421 4.3.2 Server is going down\r\n";
    case ROOK_REFUSAL_BAD_PROXY:
      return "421 4.7.0 PROXY header expected\r\n";
    default:
      return "421 4.7.0 Too many connections\r\n";
    }
}

const RookProtocol lmtp_protocol = {
  .struct_size = sizeof (RookProtocol),
  .name = "lmtp",
  .sasl_service = "lmtp",
  .default_port = 24,
  .handler = {
    .struct_size = sizeof (RookConnectionHandler),
    .line = on_line,
    .data = on_data,
    .expired = on_expired,
    .drain = on_drain,
    .closed = on_closed,
  },
  .open = session_open,
  .refusal = refusal,
  .no_login = TRUE,
};
