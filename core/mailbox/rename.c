/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RENAME, and SETACL: changes of what the state store says of mailboxes that stay.
 */
#include "log/log-private.h"
#include "mailbox/change.h"

static gboolean
fail (GError **error, RookMailError code, const char *text)
{
  g_set_error_literal (error, ROOK_MAIL_ERROR, (gint) code, text);
  return FALSE;
}

/* @owner's rights become @new_owner's. */
static void
hand_over (RookEntry *entry, const char *owner, const char *new_owner)
{
  g_auto (GStrv) words = g_strsplit (entry->acl, "\t", -1);
  GString *acl = g_string_new (NULL);

  for (guint i = 0; words[i] != NULL && words[i + 1] != NULL; i += 2)
    g_string_append_printf (acl, "%s\t%s\t", g_str_equal (words[i], owner) ? new_owner : words[i], words[i + 1]);
  g_free (entry->acl);
  entry->acl = g_string_free (acl, FALSE);
}

static void
add_renamed (RookChangeOp *op, RookEntry *before, const char *name)
{
  RookEntry *after = rook_entry_new (before);

  after->uidvalidity = MAX (after->uidvalidity, rook_mail_get_renewed (op->mail, before->partition));
  if (!g_str_equal (before->name, name))
    {
      rook_entry_rename (after, name);
      after->uidvalidity = rook_mail_uidvalidity_for (op->mail, name, after->uidvalidity);
    }
  if (op->partition != NULL)
    rook_entry_set (&after->partition, op->partition);
  rook_entry_derive (after);
  after->changed = g_get_real_time () / G_USEC_PER_SEC;
  if (before->owner != NULL && after->owner != NULL && !g_str_equal (before->owner, after->owner))
    {
      hand_over (after, before->owner, after->owner);
      rook_entry_derive (after);
    }
  rook_change_add (op, before, after);
}

/* The mailbox takes its messages along, to another partition if one was asked for; a fresh INBOX takes its place, and its children stay. */
static gboolean
plan_inbox (RookChangeOp *op, RookEntry *inbox)
{
  RookEntry *fresh = rook_change_new_entry (op, inbox->name, inbox->partition, inbox->acl);

  add_renamed (op, inbox, op->new_name);
  fresh->quota = g_steal_pointer (&((RookEntry *) g_ptr_array_index (op->after, op->after->len - 1))->quota);
  rook_change_add (op, NULL, fresh);
  return TRUE;
}

static gboolean
plan_tree (RookChangeOp *op, GError **error)
{
  g_autoptr (GPtrArray) tree = NULL;

  rook_mutex_lock (&op->mail->lock);
  tree = rook_names_below (op->mail, op->name, TRUE);
  rook_mutex_unlock (&op->mail->lock);
  for (guint i = 0; i < tree->len; i++)
    {
      RookEntry *entry = g_ptr_array_index (tree, i);
      g_autofree char *name = g_strconcat (op->new_name, entry->name + strlen (op->name), NULL);

      if ((rook_entry_get_rights (entry, op->identity) & ROOK_RIGHT_DELETE_BOX) == 0)
        return fail (error, ROOK_MAIL_ERROR_NO_PERMISSION, "permission denied");
      if (!rook_name_is_valid (name))
        return fail (error, ROOK_MAIL_ERROR_BAD_NAME, "Mailbox names below it would be too long");
      if (rook_mail_exists (op->mail, name))
        return fail (error, ROOK_MAIL_ERROR_EXISTS, "the mailbox exists");
      add_renamed (op, entry, name);
    }
  return TRUE;
}

/* What is kept for the user follows the root. */
static void
plan_user (RookChangeOp *op)
{
  if (!rook_name_is_inbox (op->name) || !rook_name_is_inbox (op->new_name))
    return;
  op->user = rook_name_dup_owner (op->name);
  op->new_user = rook_name_dup_owner (op->new_name);
}

/* Its name and all below it stay. What lies there already is no change. */
static gboolean
plan_move (RookChangeOp *op)
{
  g_autoptr (GPtrArray) tree = NULL;

  rook_mutex_lock (&op->mail->lock);
  tree = rook_names_below (op->mail, op->name, TRUE);
  rook_mutex_unlock (&op->mail->lock);
  for (guint i = 0; i < tree->len; i++)
    {
      RookEntry *entry = g_ptr_array_index (tree, i);

      if (!g_str_equal (entry->partition, op->partition))
        add_renamed (op, entry, entry->name);
    }
  return TRUE;
}

static gboolean
may_choose_partition (RookChangeOp *op, gboolean admin, GError **error)
{
  if (op->partition == NULL)
    return TRUE;
  if (!admin)
    return fail (error, ROOK_MAIL_ERROR_NO_PERMISSION, "only administrators choose partitions");
  return rook_change_check_partition (op, op->partition, error);
}

/* Owners have rights that no list gives: whose a mailbox is, and that it is nobody's, is not for its users to say. */
static gboolean
keeps_owner (RookChangeOp *op)
{
  g_autofree char *owner = rook_name_dup_owner (op->name), *new_owner = rook_name_dup_owner (op->new_name);

  return g_strcmp0 (owner, new_owner) == 0;
}

static gboolean
plan_rename (RookChangeOp *op, GError **error)
{
  gboolean inbox = rook_name_is_inbox (op->name);
  gboolean admin = op->identity == NULL || rook_identity_is_admin (op->identity);
  gboolean move = op->partition != NULL && g_str_equal (op->name, op->new_name);
  g_autoptr (RookEntry) entry = NULL;
  g_autofree char *new_partition = NULL, *acl = NULL;

  if (!may_choose_partition (op, admin, error))
    return FALSE;
  entry = rook_mail_check_entry (op->mail, op->identity, op->name, move ? 0 : ROOK_RIGHT_DELETE_BOX, error);
  if (entry == NULL)
    return FALSE;
  if (move)
    return plan_move (op);
  if (rook_name_is_inbox (op->new_name) && (!inbox || !admin))
    return fail (error, ROOK_MAIL_ERROR_NOT_ALLOWED, "Only administrators rename users");
  if (!admin && !keeps_owner (op))
    return fail (error, ROOK_MAIL_ERROR_NO_PERMISSION, "only administrators give mailboxes to others");
  if (!inbox && rook_name_is_below (op->new_name, op->name))
    return fail (error, ROOK_MAIL_ERROR_NOT_ALLOWED, "A mailbox can't go below itself");
  if (!rook_change_plan_place (op, op->new_name, &new_partition, &acl, error))
    return FALSE;
  if (inbox && !rook_name_is_inbox (op->new_name))
    return plan_inbox (op, entry);
  plan_user (op);
  return plan_tree (op, error);
}

static void
log_move (RookChangeOp *op, const RookEntry *before, const RookEntry *after)
{
  if (!g_str_equal (before->partition, after->partition))
    rook_log_identity (rook_server_get_log (op->mail->server), ROOK_LOG_INFO, op->identity, "mailbox.moved", "mailbox",
                       after->name, "id", after->id, "partition", after->partition, "from", before->partition, NULL);
}

static void
renamed (RookChangeOp *op)
{
  for (guint i = 0; i < op->after->len; i++)
    {
      RookEntry *before = g_ptr_array_index (op->before, i), *after = g_ptr_array_index (op->after, i);

      if (before != NULL)
        log_move (op, before, after);
      if (before != NULL && g_str_equal (before->name, after->name))
        continue;
      rook_mail_publish (op->mail, before != NULL ? ROOK_EVENT_MAILBOX_RENAME : ROOK_EVENT_MAILBOX_CREATE, after,
                         before != NULL ? before->name : NULL, op->identity, NULL);
      if (before != NULL)
        rook_log_identity (rook_server_get_log (op->mail->server), ROOK_LOG_INFO, op->identity, "mailbox.renamed",
                           "mailbox", after->name, "id", after->id, "partition", after->partition, "from", before->name,
                           NULL);
      else
        rook_log_identity (rook_server_get_log (op->mail->server), ROOK_LOG_INFO, op->identity, "mailbox.created",
                           "mailbox", after->name, "id", after->id, "partition", after->partition, NULL);
    }
}

void
rook_mail_rename (RookMail *mail, RookIdentity *identity, const char *name, const char *new_name, const char *partition,
                  RookMailCallback callback, gpointer data)
{
  RookChangeOp *op = rook_change_new (mail, identity, name, new_name, callback, data);

  op->partition = g_strdup (partition);
  op->plan = plan_rename;
  op->done = renamed;
  rook_change_run (op);
}

/* --- SETACL ----------------------------------------------------------------------------------------------------- */

static gboolean
plan_acl (RookChangeOp *op, GError **error)
{
  g_autoptr (RookEntry) entry = rook_mail_check_entry (op->mail, op->identity, op->name, ROOK_RIGHT_ADMIN, error);
  g_autofree char *acl = NULL;
  RookEntry *after;

  if (entry == NULL)
    return FALSE;
  acl = rook_acl_change (entry->acl, op->identifier, op->rights);
  if (acl == NULL)
    return fail (error, ROOK_MAIL_ERROR_NOT_ALLOWED, "Not an identifier, or not rights");
  after = rook_entry_new (entry);
  rook_entry_set (&after->acl, acl);
  after->changed = g_get_real_time () / G_USEC_PER_SEC;
  rook_entry_derive (after);
  rook_change_add (op, entry, after);
  return TRUE;
}

static void
acl_changed (RookChangeOp *op)
{
  RookEntry *entry = g_ptr_array_index (op->after, 0);

  rook_mail_publish (op->mail, ROOK_EVENT_ACL_CHANGE, entry, NULL, op->identity, entry->acl);
}

void
rook_mail_set_acl (RookMail *mail, RookIdentity *identity, const char *name, const char *identifier, const char *rights,
                   RookMailCallback callback, gpointer data)
{
  RookChangeOp *op = rook_change_new (mail, identity, name, NULL, callback, data);

  op->identifier = g_strdup (identifier);
  op->rights = g_strdup (rights);
  op->plan = plan_acl;
  op->done = acl_changed;
  rook_change_run (op);
}
