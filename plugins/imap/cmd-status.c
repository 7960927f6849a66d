/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * STATUS (RFC 3501 6.3.10), with what an EXPUNGE would free (RFC 9208 4.1.4).
 */
#include <string.h>

#include "imap/commands.h"

#include "imap/locate.h"
#include "imap/write.h"

#define PIECE 2000 /* messages looked at at a time */

enum { MESSAGES, RECENT, UIDNEXT, UIDVALIDITY, UNSEEN, DELETED, DELETED_STORAGE, N_ITEMS };
static const char *const items[N_ITEMS] = { "MESSAGES", "RECENT",  "UIDNEXT",        "UIDVALIDITY",
                                            "UNSEEN",   "DELETED", "DELETED-STORAGE" };

typedef struct {
  char *name; /* (owned) internal */
  guint n_items;
  guint8 items[N_ITEMS]; /* the order asked for */
  RookMailboxStatus values;
  guint64 deleted_bytes;
  RookView *view;      /* (owned) (nullable) while messages with \Deleted are looked for, */
  guint32 first, last; /* these now */
} Status;

static void
status_free (gpointer data)
{
  Status *status = data;

  g_free (status->name);
  g_clear_pointer (&status->view, rook_view_free);
  g_free (status);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Status, status_free)

static gboolean
parse_item (ImapParser *arguments, Status *status, GError **error)
{
  for (guint8 i = 0; i < N_ITEMS; i++)
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

static guint64
get_value (const Status *status, guint item)
{
  const RookMailboxStatus *values = &status->values;
  const guint64 all[N_ITEMS] = { values->messages, values->recent,  values->uidnext,      values->uidvalidity,
                                 values->unseen,   values->deleted, status->deleted_bytes };

  return all[item];
}

static void
answer (ImapSession *session, const Status *status)
{
  g_autoptr (GString) out = g_string_new ("* STATUS ");
  g_autofree char *name = rook_namespace_to_external (session->ns, status->name);

  imap_write_mailbox (out, name != NULL ? name : status->name);
  for (guint i = 0; i < status->n_items; i++)
    g_string_append_printf (out, "%s%s %" G_GUINT64_FORMAT, i == 0 ? " (" : " ", items[status->items[i]],
                            get_value (status, status->items[i]));
  g_string_append (out, ")\r\n");
  rook_connection_write (session->connection, out->str, out->len);
  imap_session_ok (session, NULL, "Completed");
}

/* --- the bytes of messages with \\Deleted: the header does not have them --------------------------------------------------- */

static void look_at_more (ImapSession *session, Status *status);

/* Messages that are damaged are left out. */
static void
on_loaded (const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;
  Status *status = session->call.data;

  if (imap_session_is_gone (session))
    return;
  if (error != NULL && !g_error_matches (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_CORRUPT))
    {
      imap_session_fail (session, error);
      return;
    }
  for (guint32 seq = status->first; seq <= status->last; seq++)
    {
      RookMessage message;

      if (rook_view_get_message (status->view, seq, &message) && (message.flags & ROOK_FLAG_DELETED) != 0)
        status->deleted_bytes += message.size;
    }
  look_at_more (session, status);
}

static void
look_at_more (ImapSession *session, Status *status)
{
  guint32 count = rook_view_get_count (status->view);

  if (status->last >= count)
    {
      answer (session, status);
      return;
    }
  status->first = status->last + 1;
  status->last = MIN (count, status->last + PIECE);
  rook_view_load (status->view, status->first, status->last, on_loaded, imap_session_ref (session));
}

static gboolean
wants (const Status *status, guint8 item)
{
  return memchr (status->items, item, status->n_items) != NULL;
}

/* --- opening ------------------------------------------------------------------------------------------------------------ */

/* It may be put into, say, and not read. Whoever may not look it up is not told that it is there (RFC 4314, 6). */
static void
refuse (ImapSession *session, RookMailbox *mailbox)
{
  g_autofree char *rights = rook_mailbox_get_rights (mailbox, session->identity);
  gboolean visible = strchr (rights, 'l') != NULL;
  g_autoptr (GError) error = g_error_new_literal (
      ROOK_MAIL_ERROR, visible ? ROOK_MAIL_ERROR_NO_PERMISSION : ROOK_MAIL_ERROR_NOT_FOUND, "it may not be read");

  imap_session_fail (session, error);
}

static void
on_opened (RookMailbox *opened, const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;
  g_autoptr (RookMailbox) mailbox = opened;
  g_autoptr (GError) unreadable = NULL;
  Status *status = session->call.data;

  if (imap_session_is_gone (session))
    return;
  if (error != NULL)
    {
      imap_session_fail (session, error);
      return;
    }
  rook_mailbox_get_status (mailbox, session->identity, &status->values);
  if (status->values.uidvalidity == 0)
    {
      refuse (session, mailbox);
      return;
    }
  if (!wants (status, DELETED_STORAGE) || status->values.deleted == 0)
    {
      answer (session, status);
      return;
    }
  status->view = rook_view_new (mailbox, session->identity, TRUE, NULL, NULL, &unreadable);
  if (status->view == NULL)
    imap_session_fail (session, unreadable);
  else
    look_at_more (session, status);
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
