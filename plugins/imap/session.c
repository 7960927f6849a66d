/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A session's life: greeting, input, end. Commands are dispatched in call.c and know nothing of input.
 */
#include "imap/session.h"

#include <string.h>

#include "rookery/event.h"
#include "rookery/log.h"
#include "rookery/server.h"

#include "imap/call.h"
#include "imap/updates.h"

/* --- life --------------------------------------------------------------------------------------------------------- */

static void
greet (ImapSession *self)
{
  g_autofree char *capabilities = imap_list_capabilities (self->imap, self);

  rook_connection_printf (self->connection, "* OK [CAPABILITY %s] %s Rookery ready\r\n", capabilities,
                          rook_server_get_hostname (self->server));
}

static gpointer
session_open (RookConnection *connection, gpointer data)
{
  ImapSession *self = g_new0 (ImapSession, 1);

  self->references = 1;
  self->imap = imap_ref (data);
  rook_plugin_ref (imap_get_plugin (self->imap));
  self->server = rook_connection_get_server (connection);
  self->connection = connection;
  imap_get_limits (self->imap, &self->limits);
  imap_input_init (&self->input);
  rook_connection_set_line_limit (connection, self->limits.line);
  rook_connection_set_activity (connection, "greeting");
  greet (self);
  return self;
}

ImapSession *
imap_session_ref (ImapSession *self)
{
  self->references++;
  return self;
}

void
imap_session_unref (ImapSession *self)
{
  RookPlugin *plugin = imap_get_plugin (self->imap);

  g_assert (self->references > 0);
  if (--self->references > 0)
    return;
  imap_call_clear (self);
  imap_updates_clear (self);
  g_clear_pointer (&self->view, rook_view_free);
  g_clear_pointer (&self->exchange, rook_auth_exchange_free);
  g_clear_pointer (&self->ns, rook_namespace_free);
  g_clear_pointer (&self->identity, rook_identity_unref);
  imap_input_clear (&self->input);
  imap_unref (self->imap);
  g_free (self);
  rook_plugin_unref (plugin);
}

gboolean
imap_session_is_gone (const ImapSession *self)
{
  return self->connection == NULL;
}

RookImapState
imap_session_get_state (const ImapSession *self)
{
  if (self->identity == NULL)
    return ROOK_IMAP_NOT_AUTHENTICATED;
  return self->view != NULL ? ROOK_IMAP_SELECTED : ROOK_IMAP_AUTHENTICATED;
}

static void
publish (ImapSession *self, RookEventType type)
{
  g_autoptr (RookEvent) event = rook_event_new (type);

  event->user = g_strdup (rook_identity_get_user (self->identity));
  event->session = g_strdup (rook_connection_get_id (self->connection));
  rook_event_bus_publish (rook_server_get_event_bus (self->server), event);
}

gboolean
imap_session_set_identity (ImapSession *self, RookIdentity *identity, GError **error)
{
  g_assert (self->identity == NULL);
  if (!rook_connection_set_identity (self->connection, identity, error))
    return FALSE;
  self->identity = rook_identity_ref (identity);
  self->ns = rook_mail_get_namespace (rook_server_get_mail (self->server), identity);
  rook_connection_set_idle_timeout (self->connection, self->limits.idle_timeout_ms);
  publish (self, ROOK_EVENT_LOGIN);
  return TRUE;
}

void
imap_session_unselect (ImapSession *self)
{
  imap_updates_clear (self);
  g_clear_pointer (&self->view, rook_view_free);
}

void
imap_session_bye (ImapSession *self, const char *code, const char *text)
{
  if (self->connection == NULL || self->ending)
    return;
  self->ending = TRUE;
  if (code != NULL)
    rook_connection_printf (self->connection, "* BYE [%s] %s\r\n", code, text);
  else
    rook_connection_printf (self->connection, "* BYE %s\r\n", text);
  rook_connection_close (self->connection);
}

void
imap_session_when_drained (ImapSession *self, ImapFunc func)
{
  g_assert (self->drained == NULL);
  if (self->connection == NULL)
    return;
  if (rook_connection_is_full (self->connection))
    self->drained = func;
  else
    func (self);
}

/* --- input -------------------------------------------------------------------------------------------------------- */

/* What is wrong with the line as such. (nullable) */
static const char *
line_fault (RookLineFlags flags)
{
  if ((flags & ROOK_LINE_NUL) != 0)
    return "NUL in a command";
  if ((flags & ROOK_LINE_BARE_LF) != 0)
    return "Lines end in CRLF, not in LF";
  return (flags & ROOK_LINE_BARE_CR) != 0 ? "CR in a command" : NULL;
}

/* A command with such a line is refused, but what belongs to it is still read. */
static void
check_line (ImapSession *self, RookLineFlags flags)
{
  const char *text = line_fault (flags);

  if (text != NULL && self->input.error == NULL)
    g_set_error_literal (&self->input.error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_SYNTAX, text);
}

/* Whether the command that the line is of takes a message as a literal. */
static gboolean
takes_message (ImapSession *self, const char *line, gsize length)
{
  g_autofree char *tag = NULL, *name = NULL;
  g_autoptr (ImapEntry) entry = NULL;
  gboolean uid;

  if (self->identity == NULL || length == 0 || line[length - 1] != '}')
    return FALSE;
  if (self->input.parts->len > 0)
    line = g_bytes_get_data (self->input.parts->pdata[0], &length);
  imap_input_peek (line, length, &tag, &name, &uid);
  entry = name != NULL ? imap_find_command (self->imap, name) : NULL;
  return entry != NULL && (entry->command->flags & ROOK_IMAP_COMMAND_MESSAGE) != 0;
}

static void
command_line (ImapSession *self, char *line, gsize length, RookLineFlags flags)
{
  gboolean message = takes_message (self, line, length);

  check_line (self, flags);
  switch (imap_input_line (&self->input, &self->limits, line, length, message))
    {
    case IMAP_INPUT_LITERAL_SYNC:
      rook_connection_puts (self->connection, "+ Ready\r\n");
      rook_connection_read_literal (self->connection, self->input.expected);
      break;
    case IMAP_INPUT_LITERAL:
      rook_connection_read_literal (self->connection, self->input.expected);
      break;
    case IMAP_INPUT_COMPLETE:
      imap_call_begin (self);
      break;
    case IMAP_INPUT_HOPELESS:
      imap_session_bye (self, "LIMIT", "Literal too large");
      break;
    }
}

/* A line that the command in hand waits for. */
static void
answer_line (ImapSession *self, char *line, gsize length, RookLineFlags flags)
{
  ImapLineFunc func = g_steal_pointer (&self->line);
  const char *fault = line_fault (flags);

  rook_connection_pause (self->connection);
  if (fault == NULL)
    {
      func (self, line, length);
      return;
    }
  g_clear_pointer (&self->exchange, rook_auth_exchange_free);
  imap_session_bad (self, NULL, fault);
}

static void
on_line (RookConnection *connection, gpointer session, char *line, gsize length, RookLineFlags flags)
{
  g_autoptr (RookImapSession) self = imap_session_ref (session);

  if (self->ending)
    return;
  if ((flags & ROOK_LINE_TOO_LONG) != 0)
    {
      /* What the lost end of the line announced (a literal, say) would be taken for commands: nothing may follow. */
      g_autofree char *tag = NULL, *name = NULL;
      gboolean uid;

      imap_input_peek (line, length, &tag, &name, &uid);
      if (tag != NULL && self->line == NULL && g_str_is_ascii (tag))
        rook_connection_printf (connection, "%s BAD [LIMIT] Line too long\r\n", tag);
      imap_session_bye (self, "LIMIT", "Line too long");
    }
  else if (self->line != NULL)
    answer_line (self, line, length, flags);
  else
    command_line (self, line, length, flags);
}

static void
on_data (RookConnection *connection G_GNUC_UNUSED, gpointer session, const guint8 *data, gsize length,
         gboolean last G_GNUC_UNUSED)
{
  ImapSession *self = session;

  imap_input_data (&self->input, data, length);
}

/* --- the rest of the handler ---------------------------------------------------------------------------------------- */

static void
on_drained (RookConnection *connection G_GNUC_UNUSED, gpointer session)
{
  g_autoptr (RookImapSession) self = imap_session_ref (session);
  ImapFunc func = g_steal_pointer (&self->drained);

  if (func != NULL)
    func (self);
}

static void
on_expired (RookConnection *connection G_GNUC_UNUSED, gpointer session, RookDeadline deadline)
{
  if (deadline == ROOK_DEADLINE_BYTES)
    imap_session_bye (session, "LIMIT", "Too much was sent before login");
  else
    imap_session_bye (session, NULL, deadline == ROOK_DEADLINE_LOGIN ? "Login took too long" : "Idle for too long");
}

static void
on_drain (RookConnection *connection G_GNUC_UNUSED, gpointer session)
{
  ImapSession *self = session;

  self->draining = TRUE;
  if (self->call.tag == NULL || self->line != NULL) /* else when the command in hand has ended */
    imap_session_bye (self, "UNAVAILABLE", rook_connection_get_farewell (self->connection));
}

static void
on_closed (RookConnection *connection G_GNUC_UNUSED, gpointer session, const GError *reason)
{
  ImapSession *self = session;

  if (self->identity != NULL)
    publish (self, ROOK_EVENT_LOGOUT);
  rook_log_connection (rook_server_get_log (self->server), ROOK_LOG_INFO, self->connection, "imap.closed", "reason",
                       reason != NULL ? reason->message : NULL, NULL);
  self->connection = NULL;
  self->drained = NULL;
  self->line = NULL;
  g_clear_pointer (&self->exchange, rook_auth_exchange_free);
  imap_session_unref (self);
}

static const char *
refusal (RookRefusal reason)
{
  switch (reason)
    {
    case ROOK_REFUSAL_TOO_MANY:
      return "* BYE [UNAVAILABLE] Too many connections\r\n";
    case ROOK_REFUSAL_TOO_MANY_ADDRESS:
      return "* BYE [LIMIT] Too many connections from your address\r\n";
    case ROOK_REFUSAL_SHUTDOWN:
      return "* BYE [UNAVAILABLE] Server is going down\r\n";
    default:
      return "* BYE PROXY header expected\r\n";
    }
}

const RookProtocol imap_protocol = {
  .struct_size = sizeof (RookProtocol),
  .name = "imap",
  .sasl_service = "imap",
  .alpn = "imap",
  .default_port = 143,
  .default_tls_port = 993,
  .handler = {
    .struct_size = sizeof (RookConnectionHandler),
    .line = on_line,
    .data = on_data,
    .drained = on_drained,
    .expired = on_expired,
    .drain = on_drain,
    .closed = on_closed,
  },
  .open = session_open,
  .refusal = refusal,
};
