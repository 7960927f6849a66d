/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CREATE (RFC 3501 6.3.3). A second argument, which administrators' tools send, is the partition to make it on.
 */
#include "imap/commands.h"

#include <string.h>

/* *@out_partition: (nullable). A separator at the end says that the name is meant to have children, which every mailbox may have here. */
static gboolean
parse (ImapSession *session, ImapParser *arguments, char **out_name, char **out_partition, GError **error)
{
  g_autofree char *encoded = NULL, *decoded = NULL;
  gsize length;

  if (!imap_parse_space (arguments, error) || !imap_parse_astring (arguments, &encoded, error)
      || (imap_parse_try_char (arguments, ' ') && !imap_parse_astring (arguments, out_partition, error))
      || !imap_parse_end (arguments, error))
    return FALSE;
  length = strlen (encoded);
  if (length > 1 && encoded[length - 1] == rook_namespace_get_separator (session->ns))
    encoded[length - 1] = '\0';
  decoded = rook_utf7_to_utf8 (encoded);
  if (decoded == NULL)
    {
      g_set_error_literal (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_BAD_NAME, "Mailbox name is not modified UTF-7");
      return FALSE;
    }
  *out_name = rook_namespace_to_internal (session->ns, decoded, error);
  return *out_name != NULL;
}

void
imap_cmd_create (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  g_autofree char *name = NULL, *partition = NULL;
  RookCreateOptions options = { .struct_size = sizeof options };
  g_autoptr (GError) error = NULL;

  if (!parse (session, arguments, &name, &partition, &error))
    imap_session_fail (session, error);
  else
    {
      options.partition = partition;
      rook_mail_create (rook_server_get_mail (session->server), session->identity, name, &options,
                        imap_end_with_outcome, imap_session_ref (session));
    }
}
