/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * STORE (RFC 3501 6.4.6).
 */
#include "imap/commands.h"

#include "imap/updates.h"

typedef struct {
  GArray *ranges; /* (owned) */
  RookStoreMode mode;
  gboolean silent;
  ImapFlags flags; /* (owned) */
} Store;

static void
store_clear (Store *store)
{
  g_clear_pointer (&store->ranges, g_array_unref);
  imap_flags_clear (&store->flags);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Store, store_clear)

static gboolean
parse_item (ImapParser *arguments, Store *store, GError **error)
{
  store->mode = ROOK_STORE_SET;
  if (imap_parse_try_char (arguments, '+'))
    store->mode = ROOK_STORE_ADD;
  else if (imap_parse_try_char (arguments, '-'))
    store->mode = ROOK_STORE_REMOVE;
  if (imap_parse_try_word (arguments, "FLAGS"))
    return TRUE;
  if (imap_parse_try_word (arguments, "FLAGS.SILENT"))
    {
      store->silent = TRUE;
      return TRUE;
    }
  g_set_error_literal (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_SYNTAX, "Expected FLAGS");
  return FALSE;
}

static gboolean
parse (ImapSession *session, ImapParser *arguments, Store *store, GError **error)
{
  return imap_parse_space (arguments, error) && imap_parse_messages (session, arguments, &store->ranges, error)
         && imap_parse_space (arguments, error) && parse_item (arguments, store, error)
         && imap_parse_space (arguments, error) && imap_parse_flags (arguments, &store->flags, error)
         && imap_parse_end (arguments, error);
}

static void
on_stored (GArray *modified G_GNUC_UNUSED, const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;

  if (error == NULL && session->call.data != NULL && session->view != NULL)
    imap_updates_include (session, g_array_ref (session->call.data));
  imap_end_with_outcome (error, g_steal_pointer (&session));
}

void
imap_cmd_store (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  g_auto (Store) store = { 0 };
  g_autoptr (GArray) uids = NULL;
  g_autoptr (GError) error = NULL;
  RookStoreFlags spec = { .struct_size = sizeof spec, .unchanged_since = G_MAXUINT64 };

  if (!parse (session, arguments, &store, &error))
    {
      imap_session_fail (session, error);
      return;
    }
  if (rook_view_is_read_only (session->view))
    {
      imap_session_no (session, "READ-ONLY", "Mailbox is read-only");
      return;
    }
  uids = imap_ranges_to_uids (session->view, store.ranges);
  spec.uids = (const guint32 *) uids->data;
  spec.n_uids = uids->len;
  spec.mode = store.mode;
  spec.flags = store.flags.flags;
  spec.keywords = (const char *const *) store.flags.keywords->pdata;
  spec.session = rook_connection_get_id (session->connection);
  spec.silent = store.silent;
  if (uids->len == 0)
    {
      imap_session_ok (session, NULL, "Completed");
      return;
    }
  if (!store.silent)
    imap_session_set_call_data (session, g_steal_pointer (&uids), (GDestroyNotify) g_array_unref);
  rook_view_store_flags (session->view, &spec, on_stored, imap_session_ref (session));
}
