/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Dispatches one command and ends it: first what has changed in the mailbox, then the tagged answer, then the next one.
 */
#include "imap/call.h"

#include "rookery/log.h"

#include "imap/reply.h"
#include "imap/updates.h"

void
imap_session_set_call_data (ImapSession *self, gpointer data, GDestroyNotify destroy)
{
  g_assert (self->call.data == NULL);
  self->call.data = data;
  self->call.destroy = destroy;
}

void
imap_call_clear (ImapSession *self)
{
  ImapCall *call = &self->call;

  if (call->destroy != NULL)
    call->destroy (call->data);
  g_clear_pointer (&call->tag, g_free);
  g_clear_pointer (&call->answer, g_free);
  g_clear_pointer (&call->entry, imap_entry_unref);
  *call = (ImapCall){ 0 };
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void
end_call (ImapSession *self)
{
  ImapCall *call = &self->call;

  if (call->entry != NULL && call->entry->latency != NULL)
    rook_histogram_add (call->entry->latency, (guint64) MAX (0, g_get_monotonic_time () - call->started_us));
  imap_call_clear (self);
  imap_input_reset (&self->input);
  if (self->connection == NULL || self->ending)
    return;
  rook_connection_set_activity (self->connection, "waiting");
  if (self->bad_commands > self->limits.bad_commands)
    imap_session_bye (self, NULL, "Too many bad commands");
  else if (self->draining)
    imap_session_bye (self, "UNAVAILABLE", rook_connection_get_farewell (self->connection));
  else
    rook_connection_resume (self->connection);
}

static void
answer (ImapSession *self)
{
  if (self->connection != NULL && !self->ending)
    rook_connection_printf (self->connection, "%s %s\r\n", self->call.tag != NULL ? self->call.tag : "*",
                            self->call.answer);
  end_call (self);
}

static gboolean
may_tell_expunges (const ImapSession *self)
{
  return self->call.uid || (self->call.entry->command->flags & ROOK_IMAP_COMMAND_NO_EXPUNGE) == 0;
}

static void
finish (ImapSession *self, const char *condition, const char *code, const char *text)
{
  ImapCall *call = &self->call;

  g_assert (call->answer == NULL);
  if (code != NULL)
    call->answer = g_strdup_printf ("%s [%s] %s", condition, code, text);
  else
    call->answer = g_strdup_printf ("%s %s", condition, text);
  if (self->view == NULL || self->connection == NULL || call->entry == NULL
      || (call->entry->command->flags & ROOK_IMAP_COMMAND_NO_UPDATES) != 0)
    answer (self);
  else
    imap_updates_tell (self, may_tell_expunges (self), answer);
}

void
imap_session_ok (ImapSession *self, const char *code, const char *text)
{
  finish (self, "OK", code, text);
}

void
imap_session_no (ImapSession *self, const char *code, const char *text)
{
  finish (self, "NO", code, text);
}

void
imap_session_bad (ImapSession *self, const char *code, const char *text)
{
  self->bad_commands++;
  if (imap_get_bad_counter (self->imap) != NULL)
    rook_counter_add (imap_get_bad_counter (self->imap), 1);
  finish (self, "BAD", code, text);
}

void
imap_session_fail (ImapSession *self, const GError *error)
{
  ImapReply reply;

  imap_reply_for_error (error, &reply);
  if (reply.log && self->connection != NULL)
    rook_log_connection (rook_server_get_log (self->server), ROOK_LOG_WARNING, self->connection, "imap.failed",
                         "command", self->call.entry != NULL ? self->call.entry->command->name : NULL, "message",
                         error->message, NULL);
  if (reply.bad)
    imap_session_bad (self, reply.code, reply.text);
  else
    imap_session_no (self, reply.code, reply.text);
}

/* --- the beginning -------------------------------------------------------------------------------------------------- */

/* "tag NAME" or "tag UID NAME": what a command begins with. */
static gboolean
parse_name (ImapSession *self, char **out_name, GError **error)
{
  ImapParser *parser = &self->call.parser;
  g_autofree char *name = NULL;

  if (!imap_parse_tag (parser, &self->call.tag, error) || !imap_parse_space (parser, error)
      || !imap_parse_atom (parser, &name, error))
    return FALSE;
  if (g_ascii_strcasecmp (name, "UID") == 0)
    {
      g_clear_pointer (&name, g_free);
      self->call.uid = TRUE;
      if (!imap_parse_space (parser, error) || !imap_parse_atom (parser, &name, error))
        return FALSE;
    }
  *out_name = g_ascii_strup (name, -1);
  return TRUE;
}

static gboolean
check_entry (ImapSession *self, GError **error)
{
  const ImapEntry *entry = self->call.entry;
  RookImapState state = imap_session_get_state (self);
  const char *text = NULL;

  if (entry == NULL || (self->call.uid && (entry->command->flags & ROOK_IMAP_COMMAND_UID) == 0))
    text = "Unknown command";
  else if ((entry->command->states & state) != 0)
    return TRUE;
  else if (state == ROOK_IMAP_NOT_AUTHENTICATED)
    text = "Log in first";
  else if (state == ROOK_IMAP_AUTHENTICATED && (entry->command->states & ROOK_IMAP_SELECTED) != 0)
    text = "Select a mailbox first";
  else
    text = "Already logged in";
  g_set_error_literal (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_SYNTAX, text);
  return FALSE;
}

static gboolean
parse_command (ImapSession *self, GError **error)
{
  g_autofree char *name = NULL;

  imap_parser_init (&self->call.parser, &self->limits, self->input.parts);
  if (!parse_name (self, &name, error))
    return FALSE;
  self->call.entry = imap_find_command (self->imap, name);
  if (!check_entry (self, error))
    {
      g_clear_pointer (&self->call.entry, imap_entry_unref);
      return FALSE;
    }
  return TRUE;
}

void
imap_call_begin (ImapSession *self)
{
  g_autoptr (GError) error = NULL;
  const char *code = self->input.code;

  g_assert (self->call.tag == NULL);
  self->call.started_us = g_get_monotonic_time ();
  rook_connection_pause (self->connection);
  if (!parse_command (self, &error))
    {
      imap_session_bad (self, NULL, self->input.error != NULL ? self->input.error->message : error->message);
      return;
    }
  rook_connection_set_activity (self->connection, self->call.entry->command->name);
  if (g_strcmp0 (code, "TOOBIG") == 0)
    imap_session_no (self, code, self->input.error->message);
  else if (self->input.error != NULL)
    imap_session_bad (self, code, self->input.error->message);
  else
    self->call.entry->command->run (self, &self->call.parser, self->call.entry->data);
}
