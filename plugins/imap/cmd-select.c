/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SELECT and EXAMINE (RFC 3501 6.3.1, 6.3.2).
 */
#include "imap/commands.h"

#include "imap/locate.h"
#include "imap/updates.h"

typedef struct {
  ImapSession *session; /* (owned) */
  gboolean read_only;
} Select;

static void
write_status (ImapSession *session, const RookMailboxStatus *status)
{
  RookConnection *connection = session->connection;

  imap_updates_write_flags (session, TRUE);
  rook_connection_printf (connection, "* %u EXISTS\r\n* %u RECENT\r\n", rook_view_get_count (session->view),
                          rook_view_get_recent (session->view));
  if (status->first_unseen > 0)
    rook_connection_printf (connection, "* OK [UNSEEN %u] First unseen\r\n", status->first_unseen);
  rook_connection_printf (connection, "* OK [UIDVALIDITY %u] UIDs valid\r\n* OK [UIDNEXT %u] Predicted next UID\r\n",
                          status->uidvalidity, status->uidnext);
}

static void
on_opened (RookMailbox *opened, const GError *open_error, gpointer data)
{
  g_autofree Select *select = data;
  g_autoptr (RookImapSession) session = select->session;
  g_autoptr (RookMailbox) mailbox = opened;
  g_autoptr (GError) error = NULL;
  RookMailboxStatus status;

  if (imap_session_is_gone (session))
    return;
  if (open_error != NULL)
    {
      imap_session_fail (session, open_error);
      return;
    }
  session->view = rook_view_new (mailbox, session->identity, select->read_only, imap_idle_changed, session, &error);
  if (session->view == NULL)
    {
      imap_session_fail (session, error);
      return;
    }
  rook_mailbox_get_status (mailbox, session->identity, &status);
  if (status.uidvalidity == 0)
    {
      imap_session_unselect (session); /* the right was taken away just now */
      imap_session_no (session, "NOPERM", "Permission denied");
      return;
    }
  write_status (session, &status);
  imap_session_ok (session, rook_view_is_read_only (session->view) ? "READ-ONLY" : "READ-WRITE", "Completed");
}

static void
run (ImapSession *session, ImapParser *arguments, gboolean read_only)
{
  g_autofree char *name = NULL;
  g_autoptr (GError) error = NULL;
  Select *select;

  if (!imap_parse_space (arguments, &error) || !imap_parse_mailbox (session, arguments, &name, &error)
      || !imap_parse_end (arguments, &error))
    {
      if (error->domain != IMAP_PARSE_ERROR)
        imap_session_unselect (session);
      imap_session_fail (session, error);
      return;
    }
  imap_session_unselect (session);
  select = g_new0 (Select, 1);
  select->session = imap_session_ref (session);
  select->read_only = read_only;
  imap_open (session, name, on_opened, select);
}

void
imap_cmd_select (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  run (session, arguments, FALSE);
}

void
imap_cmd_examine (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  run (session, arguments, TRUE);
}
