/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * STATUS (RFC 3501 6.3.10).
 */
#include "imap/commands.h"

#include "imap/locate.h"
#include "imap/write.h"

static const char *const items[] = { "MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN" };

typedef struct {
  char *name; /* (owned) internal */
  guint n_items;
  guint8 items[G_N_ELEMENTS (items)]; /* indexes, in the order asked for */
} Status;

static void
status_free (gpointer data)
{
  Status *status = data;

  g_free (status->name);
  g_free (status);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Status, status_free)

static gboolean
parse_item (ImapParser *arguments, Status *status, GError **error)
{
  for (guint8 i = 0; i < G_N_ELEMENTS (items); i++)
    if (imap_parse_try_word (arguments, items[i]))
      {
        for (guint j = 0; j < status->n_items; j++)
          if (status->items[j] == i)
            return TRUE;
        status->items[status->n_items++] = i;
        return TRUE;
      }
  g_set_error_literal (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_SYNTAX, "Unknown STATUS item");
  return FALSE;
}

static gboolean
parse (ImapSession *session, ImapParser *arguments, Status *status, GError **error)
{
  if (!imap_parse_space (arguments, error) || !imap_parse_mailbox (session, arguments, &status->name, error)
      || !imap_parse_space (arguments, error) || !imap_parse_open (arguments, error))
    return FALSE;
  do
    if (!parse_item (arguments, status, error))
      return FALSE;
  while (imap_parse_try_char (arguments, ' '));
  return imap_parse_close (arguments, error) && imap_parse_end (arguments, error);
}

static guint32
get_value (const RookMailboxStatus *status, guint item)
{
  const guint32 values[G_N_ELEMENTS (items)] = { status->messages, status->recent, status->uidnext, status->uidvalidity,
                                                 status->unseen };

  return values[item];
}

static void
on_opened (RookMailbox *opened, const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;
  g_autoptr (RookMailbox) mailbox = opened;
  const Status *status = session->call.data;
  g_autoptr (GString) out = g_string_new ("* STATUS ");
  g_autofree char *name = NULL;
  RookMailboxStatus values;

  if (imap_session_is_gone (session))
    return;
  if (error != NULL)
    {
      imap_session_fail (session, error);
      return;
    }
  rook_mailbox_get_status (mailbox, session->identity, &values);
  name = rook_namespace_to_external (session->ns, status->name);
  imap_write_mailbox (out, name != NULL ? name : status->name);
  for (guint i = 0; i < status->n_items; i++)
    g_string_append_printf (out, "%s%s %u", i == 0 ? " (" : " ", items[status->items[i]],
                            get_value (&values, status->items[i]));
  g_string_append (out, ")\r\n");
  rook_connection_write (session->connection, out->str, out->len);
  imap_session_ok (session, NULL, "Completed");
}

void
imap_cmd_status (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  g_autoptr (Status) status = g_new0 (Status, 1);
  g_autoptr (GError) error = NULL;
  const char *name;

  if (!parse (session, arguments, status, &error))
    {
      imap_session_fail (session, error);
      return;
    }
  name = status->name;
  imap_session_set_call_data (session, g_steal_pointer (&status), status_free);
  imap_open (session, name, on_opened, imap_session_ref (session));
}
