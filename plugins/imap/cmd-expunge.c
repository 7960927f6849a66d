/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * EXPUNGE (RFC 3501 6.4.3) and UID EXPUNGE (RFC 4315).
 */
#include "imap/commands.h"

void
imap_cmd_expunge (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  g_autoptr (GArray) ranges = NULL, uids = NULL;
  g_autoptr (GError) error = NULL;

  if ((session->call.uid
       && (!imap_parse_space (arguments, &error) || !imap_parse_messages (session, arguments, &ranges, &error)))
      || !imap_parse_end (arguments, &error))
    {
      imap_session_fail (session, error);
      return;
    }
  if (rook_view_is_read_only (session->view))
    {
      imap_session_no (session, "READ-ONLY", "Mailbox is read-only");
      return;
    }
  if (ranges != NULL)
    uids = imap_ranges_to_uids (session->view, ranges);
  if (uids != NULL && uids->len == 0)
    imap_session_ok (session, NULL, "Completed");
  else
    rook_view_expunge (session->view, uids != NULL ? (const guint32 *) uids->data : NULL, uids != NULL ? uids->len : 0,
                       imap_end_with_outcome, imap_session_ref (session));
}
