/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * IDLE (RFC 2177): driven by the view, which says when there is something new. Nothing is polled.
 */
#include "imap/commands.h"

#include "imap/updates.h"

static void on_line (ImapSession *session, char *line, gsize length);

static gboolean
is_idling (const ImapSession *session)
{
  return session->connection != NULL && session->line == on_line;
}

static void
on_told (ImapSession *session)
{
  if (!is_idling (session) || session->ending)
    return;
  if (session->idle_again)
    {
      session->idle_again = FALSE;
      imap_updates_tell (session, TRUE, on_told);
    }
  else
    rook_connection_resume (session->connection);
}

void
imap_idle_changed (gpointer data)
{
  g_autoptr (RookImapSession) session = imap_session_ref (data);

  session->idle_again = session->updates.running;
  if (!is_idling (session) || session->updates.running || session->ending)
    return;
  /* DONE waits until all is told. */
  rook_connection_pause (session->connection);
  imap_updates_tell (session, TRUE, on_told);
}

static void
on_line (ImapSession *session, char *line, gsize length)
{
  if (length == 4 && g_ascii_strcasecmp (line, "DONE") == 0)
    imap_session_ok (session, NULL, "Completed");
  else
    imap_session_bad (session, NULL, "Expected DONE");
}

void
imap_cmd_idle (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  if (!imap_expect_end (session, arguments))
    return;
  session->line = on_line;
  rook_connection_puts (session->connection, "+ idling\r\n");
  if (session->view != NULL)
    imap_updates_tell (session, TRUE, on_told);
  else
    rook_connection_resume (session->connection);
}
