/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * COPY (RFC 3501 6.4.7) and MOVE (RFC 6851), with COPYUID (RFC 4315).
 */
#include "imap/commands.h"

#include "imap/sequence.h"

static char *
make_code (guint32 uidvalidity, const GArray *sources, const GArray *destinations)
{
  GString *code = g_string_new (NULL);

  g_string_append_printf (code, "COPYUID %u ", uidvalidity);
  imap_sequence_write (code, (const guint32 *) sources->data, sources->len);
  g_string_append_c (code, ' ');
  imap_sequence_write (code, (const guint32 *) destinations->data, destinations->len);
  return g_string_free (code, FALSE);
}

static void
on_copied (guint32 uidvalidity, GArray *sources, GArray *destinations, const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;
  g_autofree char *code = NULL;

  if (imap_session_is_gone (session))
    return;
  if (error != NULL)
    {
      imap_fail_destination (session, error);
      return;
    }
  if (uidvalidity != 0 && sources != NULL && sources->len > 0)
    code = make_code (uidvalidity, sources, destinations);
  if (g_str_equal (session->call.entry->command->name, "MOVE") && code != NULL)
    {
      /* RFC 6851 4.3: before the EXPUNGE responses */
      rook_connection_printf (session->connection, "* OK [%s] Moved\r\n", code);
      imap_session_ok (session, NULL, "Completed");
    }
  else
    imap_session_ok (session, code, "Completed");
}

static void
run (ImapSession *session, ImapParser *arguments, gboolean move)
{
  g_autoptr (GArray) ranges = NULL, uids = NULL;
  g_autofree char *name = NULL;
  g_autoptr (GError) error = NULL;

  if (!imap_parse_space (arguments, &error) || !imap_parse_messages (session, arguments, &ranges, &error)
      || !imap_parse_space (arguments, &error) || !imap_parse_mailbox (session, arguments, &name, &error)
      || !imap_parse_end (arguments, &error))
    {
      imap_session_fail (session, error);
      return;
    }
  if (move && rook_view_is_read_only (session->view))
    {
      imap_session_no (session, "READ-ONLY", "Mailbox is read-only");
      return;
    }
  uids = imap_ranges_to_uids (session->view, ranges);
  rook_view_copy (session->view, (const guint32 *) uids->data, uids->len, name, move, on_copied,
                  imap_session_ref (session));
}

void
imap_cmd_copy (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  run (session, arguments, FALSE);
}

void
imap_cmd_move (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  run (session, arguments, TRUE);
}
