/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * APPEND (RFC 3501 6.3.11) with APPENDUID (RFC 4315).
 */
#include "imap/commands.h"

#include "imap/locate.h"

typedef struct {
  char *name;      /* (owned) internal */
  ImapFlags flags; /* (owned) */
  gint64 time;
  gint16 zone;
  GBytes *message; /* (owned) */
} Append;

static void
append_free (gpointer data)
{
  Append *append = data;

  g_free (append->name);
  imap_flags_clear (&append->flags);
  g_clear_pointer (&append->message, g_bytes_unref);
  g_free (append);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Append, append_free)

static gboolean
parse (ImapSession *session, ImapParser *arguments, Append *append, GError **error)
{
  if (!imap_parse_space (arguments, error) || !imap_parse_mailbox (session, arguments, &append->name, error)
      || !imap_parse_space (arguments, error))
    return FALSE;
  if (imap_parser_peek (arguments) == '('
      && (!imap_parse_flag_list (arguments, &append->flags, error) || !imap_parse_space (arguments, error)))
    return FALSE;
  if (imap_parser_peek (arguments) == '"'
      && (!imap_parse_date_time (arguments, &append->time, &append->zone, error)
          || !imap_parse_space (arguments, error)))
    return FALSE;
  return imap_parse_literal (arguments, &append->message, error) && imap_parse_end (arguments, error);
}

static void
on_appended (guint32 uidvalidity, guint32 uid, const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;
  g_autofree char *code = NULL;

  if (error != NULL)
    {
      imap_fail_destination (session, error);
      return;
    }
  code = g_strdup_printf ("APPENDUID %u %u", uidvalidity, uid);
  imap_session_ok (session, code, "Completed");
}

static void
on_opened (RookMailbox *opened, const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;
  g_autoptr (RookMailbox) mailbox = opened;
  const Append *append = session->call.data;
  RookAppend spec = { .struct_size = sizeof spec, .event = ROOK_EVENT_MESSAGE_APPEND };

  if (imap_session_is_gone (session))
    return;
  if (error != NULL)
    {
      imap_fail_destination (session, error);
      return;
    }
  spec.message = append->message;
  spec.flags = append->flags.flags;
  spec.keywords = append->flags.keywords != NULL ? (const char *const *) append->flags.keywords->pdata : NULL;
  spec.internal_date = append->time;
  spec.zone_minutes = append->zone;
  spec.session = rook_connection_get_id (session->connection);
  rook_mailbox_append (mailbox, session->identity, &spec, on_appended, imap_session_ref (session));
}

void
imap_cmd_append (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  g_autoptr (Append) append = g_new0 (Append, 1);
  g_autoptr (GError) error = NULL;
  const char *name;

  if (!parse (session, arguments, append, &error))
    {
      imap_session_fail (session, error);
      return;
    }
  name = append->name;
  imap_session_set_call_data (session, g_steal_pointer (&append), append_free);
  imap_open (session, name, on_opened, imap_session_ref (session));
}
