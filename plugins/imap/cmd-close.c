/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CLOSE (RFC 3501 6.4.2): expunges without telling, as far as this session may.
 */
#include "imap/commands.h"

static void
on_expunged (const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;

  imap_session_unselect (session);
  if (error != NULL && !g_error_matches (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NO_PERMISSION))
    imap_session_fail (session, error);
  else
    imap_session_ok (session, NULL, "Completed");
}

void
imap_cmd_close (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  if (!imap_expect_end (session, arguments))
    return;
  if (rook_view_is_read_only (session->view))
    on_expunged (NULL, imap_session_ref (session));
  else
    rook_view_expunge (session->view, NULL, 0, on_expunged, imap_session_ref (session));
}
