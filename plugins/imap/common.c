/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What several commands share: names of mailboxes, sets of messages, simple endings.
 */
#include "imap/commands.h"

gboolean
imap_parse_mailbox (ImapSession *session, ImapParser *arguments, char **out_name, GError **error)
{
  g_autofree char *encoded = NULL, *decoded = NULL;
  char *internal;

  if (!imap_parse_astring (arguments, &encoded, error))
    return FALSE;
  decoded = rook_utf7_to_utf8 (encoded);
  if (decoded == NULL)
    {
      g_set_error_literal (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_BAD_NAME, "Mailbox name is not modified UTF-7");
      return FALSE;
    }
  internal = rook_namespace_to_internal (session->ns, decoded, error);
  if (internal == NULL)
    return FALSE;
  *out_name = internal;
  return TRUE;
}

gboolean
imap_parse_messages (ImapSession *session, ImapParser *arguments, GArray **out_ranges, GError **error)
{
  g_autoptr (GArray) set = NULL;
  GArray *ranges;

  if (!imap_parse_sequence_set (arguments, &set, error))
    return FALSE;
  ranges = imap_sequence_resolve (set, session->view, session->call.uid, error);
  if (ranges == NULL)
    return FALSE;
  *out_ranges = ranges;
  return TRUE;
}

GArray *
imap_ranges_to_uids (RookView *view, const GArray *ranges)
{
  GArray *uids = g_array_new (FALSE, FALSE, sizeof (guint32));

  for (guint i = 0; i < ranges->len; i++)
    {
      const ImapRange *range = &g_array_index (ranges, ImapRange, i);

      for (guint32 seq = range->first; seq <= range->last; seq++)
        {
          guint32 uid = rook_view_get_uid (view, seq);

          g_array_append_val (uids, uid);
        }
    }
  return uids;
}

gboolean
imap_expect_end (ImapSession *session, ImapParser *arguments)
{
  g_autoptr (GError) error = NULL;

  if (imap_parse_end (arguments, &error))
    return TRUE;
  imap_session_fail (session, error);
  return FALSE;
}

void
imap_end_with_outcome (const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;

  if (error != NULL)
    imap_session_fail (session, error);
  else
    imap_session_ok (session, NULL, "Completed");
}

void
imap_fail_destination (ImapSession *session, const GError *error)
{
  if (g_error_matches (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_FOUND))
    imap_session_no (session, "TRYCREATE", "Mailbox does not exist");
  else
    imap_session_fail (session, error);
}
