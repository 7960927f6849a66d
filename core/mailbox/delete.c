/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * DELETE: the name goes first, and with it every way to the mailbox; what it held is cleared away afterwards.
 */
#include "log/log-private.h"
#include "mailbox/change.h"

/* Limits go with their mailbox, and what is below would be without. */
static gboolean
may_lift_quota (RookChangeOp *op, const RookEntry *entry)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&op->mail->lock);

  return entry->quota == NULL || op->identity == NULL || rook_identity_is_admin (op->identity)
         || !rook_names_has_children (op->mail, entry->name);
}

static gboolean
plan_delete (RookChangeOp *op, GError **error)
{
  g_autoptr (RookEntry) entry = rook_mail_check_entry (op->mail, op->identity, op->name, ROOK_RIGHT_DELETE_BOX, error);
  g_autoptr (GPtrArray) doomed = NULL;

  if (entry == NULL)
    return FALSE;
  if (rook_name_is_inbox (op->name) && op->identity != NULL && !rook_identity_is_admin (op->identity))
    {
      g_set_error_literal (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_ALLOWED, "An INBOX can't be deleted");
      return FALSE;
    }
  if (!may_lift_quota (op, entry))
    {
      g_set_error_literal (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_ALLOWED,
                           "Only administrators delete a quota root with mailboxes below");
      return FALSE;
    }
  if (rook_name_is_inbox (op->name))
    {
      rook_mutex_lock (&op->mail->lock);
      doomed = rook_names_below (op->mail, op->name, TRUE);
      rook_mutex_unlock (&op->mail->lock);
      op->user = g_strdup (entry->owner);
    }
  else
    {
      doomed = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_entry_unref);
      g_ptr_array_add (doomed, rook_entry_ref (entry));
    }
  for (guint i = 0; i < doomed->len; i++)
    {
      RookEntry *tombstone = rook_entry_new (g_ptr_array_index (doomed, i));

      tombstone->deleted = TRUE;
      tombstone->uidvalidity = MAX (tombstone->uidvalidity, rook_mail_get_renewed (op->mail, tombstone->partition));
      tombstone->changed = g_get_real_time () / G_USEC_PER_SEC;
      rook_entry_derive (tombstone);
      rook_change_add (op, g_ptr_array_index (doomed, i), tombstone);
    }
  return TRUE;
}

static void
deleted (RookChangeOp *op)
{
  for (guint i = 0; i < op->after->len; i++)
    {
      RookEntry *entry = g_ptr_array_index (op->after, i);

      rook_mail_publish (op->mail, ROOK_EVENT_MAILBOX_DELETE, entry, NULL, op->identity, NULL);
      rook_log_identity (rook_server_get_log (op->mail->server), ROOK_LOG_INFO, op->identity, "mailbox.deleted",
                         "mailbox", entry->name, "id", entry->id, "partition", entry->partition, NULL);
      rook_mail_clear_contents (op->mail, entry);
    }
}

void
rook_mail_delete (RookMail *mail, RookIdentity *identity, const char *name, RookMailCallback callback, gpointer data)
{
  RookChangeOp *op = rook_change_new (mail, identity, name, NULL, callback, data);

  op->plan = plan_delete;
  op->done = deleted;
  rook_change_run (op);
}
