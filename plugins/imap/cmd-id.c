/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ID (RFC 2971). What the client says of itself is not used; it is never trusted.
 */
#include "imap/commands.h"

#include "rookery/server.h"

#define PAIRS_MAX 30 /* RFC 2971 3.3 */

static gboolean
parse_pairs (ImapParser *arguments, GError **error)
{
  guint pairs = 0;

  if (!imap_parse_open (arguments, error))
    return FALSE;
  while (imap_parser_peek (arguments) != ')')
    {
      g_autofree char *field = NULL, *value = NULL;

      if (pairs > 0 && !imap_parse_space (arguments, error))
        return FALSE;
      if (!imap_parse_string (arguments, &field, error) || !imap_parse_space (arguments, error)
          || !imap_parse_nstring (arguments, &value, error))
        return FALSE;
      if (++pairs > PAIRS_MAX)
        {
          g_set_error_literal (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_LIMIT, "Too many fields");
          return FALSE;
        }
    }
  return imap_parse_close (arguments, error);
}

void
imap_cmd_id (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;

  if (!imap_parse_space (arguments, &error)
      || (!imap_parse_try_word (arguments, "NIL") && !parse_pairs (arguments, &error))
      || !imap_parse_end (arguments, &error))
    {
      imap_session_fail (session, error);
      return;
    }
  rook_connection_printf (session->connection, "* ID (\"name\" \"Rookery\" \"version\" \"%s\")\r\n",
                          rook_server_get_version ());
  imap_session_ok (session, NULL, "Completed");
}
