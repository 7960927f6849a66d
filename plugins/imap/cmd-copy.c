/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * COPY (RFC 3501 6.4.7) and MOVE (RFC 6851), with COPYUID (RFC 4315).
 */
#include "imap/commands.h"

#include "imap/locate.h"
#include "imap/sequence.h"

typedef struct {
  GArray *uids;      /* (owned) (element-type guint32) */
  char *destination; /* (owned) internal */
  gboolean move;
} Copy;

static void
copy_free (gpointer data)
{
  Copy *copy = data;

  g_array_unref (copy->uids);
  g_free (copy->destination);
  g_free (copy);
}

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
  if (((const Copy *) session->call.data)->move && code != NULL)
    {
      /* RFC 6851 4.3: before the EXPUNGE responses */
      rook_connection_printf (session->connection, "* OK [%s] Moved\r\n", code);
      imap_session_ok (session, NULL, "Completed");
    }
  else
    imap_session_ok (session, code, "Completed");
}

static void
on_located (const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;
  const Copy *copy = session->call.data;

  if (imap_session_is_gone (session))
    return;
  if (error != NULL)
    imap_fail_destination (session, error);
  else
    rook_view_copy (session->view, (const guint32 *) copy->uids->data, copy->uids->len, copy->destination, copy->move,
                    on_copied, imap_session_ref (session));
}

static void
run (ImapSession *session, ImapParser *arguments, gboolean move)
{
  g_autoptr (GArray) ranges = NULL;
  g_autofree char *name = NULL;
  g_autoptr (GError) error = NULL;
  Copy *copy;

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
  copy = g_new (Copy, 1);
  *copy = (Copy){ imap_ranges_to_uids (session->view, ranges), g_steal_pointer (&name), move };
  imap_session_set_call_data (session, copy, copy_free);
  imap_locate (session, copy->destination, on_located, imap_session_ref (session));
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
