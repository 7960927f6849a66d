/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * NAMESPACE (RFC 2342).
 */
#include "imap/commands.h"

#include "imap/write.h"

static void
write_namespace (GString *out, const char *prefix, char separator)
{
  g_autofree char *encoded = prefix != NULL ? rook_utf7_from_utf8 (prefix) : NULL;

  g_string_append_c (out, ' ');
  if (encoded == NULL)
    {
      g_string_append (out, "NIL");
      return;
    }
  g_string_append (out, "((");
  imap_write_string (out, encoded);
  g_string_append_printf (out, " \"%c\"))", separator);
}

void
imap_cmd_namespace (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  g_autoptr (GString) out = g_string_new ("* NAMESPACE");
  RookNamespace *ns = session->ns;
  char separator = rook_namespace_get_separator (ns);

  if (!imap_expect_end (session, arguments))
    return;
  write_namespace (out, rook_namespace_get_personal_prefix (ns), separator);
  write_namespace (out, rook_namespace_get_other_prefix (ns), separator);
  write_namespace (out, rook_namespace_get_shared_prefix (ns), separator);
  g_string_append (out, "\r\n");
  rook_connection_write (session->connection, out->str, out->len);
  imap_session_ok (session, NULL, "Completed");
}
