/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names in memory: what exists, in order. The state store has the same; this is what
 * every lookup uses.
 */
#include "mailbox/mail.h"

static void
unref_entry (gpointer entry)
{
  rook_entry_unref (entry);
}

RookNames *
rook_names_new (void)
{
  RookNames *names = g_new0 (RookNames, 1);

  names->tree = g_tree_new_full (rook_name_compare, NULL, NULL, unref_entry);
  names->others = g_tree_new_full (rook_name_compare, NULL, NULL, unref_entry);
  names->limited = g_tree_new_full (rook_name_compare, NULL, NULL, unref_entry);
  names->by_id = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, unref_entry);
  names->past = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return names;
}

void
rook_names_free (RookNames *names)
{
  g_tree_unref (names->tree);
  g_tree_unref (names->others);
  g_tree_unref (names->limited);
  g_hash_table_unref (names->by_id);
  g_hash_table_unref (names->past);
  g_free (names);
}

static void
take_out (RookNames *names, RookEntry *entry)
{
  RookEntry *present = g_tree_lookup (names->tree, entry->name);

  if (present != entry)
    return; /* the name has gone to another mailbox meanwhile */
  g_tree_remove (names->others, entry->name);
  g_tree_remove (names->limited, entry->name);
  g_tree_remove (names->tree, entry->name);
}

/* Who renames for ever fills no memory: beyond the limit it is only known that there were more. */
static void
note_past_name (RookNames *names, const char *name, guint32 uidvalidity)
{
  if (g_hash_table_size (names->past) >= ROOK_NAMES_MAX_PAST && !g_hash_table_contains (names->past, name))
    names->past_unknown = MAX (names->past_unknown, uidvalidity);
  else if (GPOINTER_TO_UINT (g_hash_table_lookup (names->past, name)) < uidvalidity)
    g_hash_table_replace (names->past, g_strdup (name), GUINT_TO_POINTER (uidvalidity));
}

static void
note_past (RookNames *names, const RookEntry *entry)
{
  guint n = 0;

  for (; entry->history != NULL && entry->history[n] != NULL; n++)
    note_past_name (names, entry->history[n], entry->uidvalidity);
  if (n >= ROOK_ENTRY_MAX_HISTORY)
    names->past_unknown = MAX (names->past_unknown, entry->uidvalidity);
  if (entry->deleted)
    note_past_name (names, entry->name, entry->uidvalidity);
}

void
rook_names_add (RookNames *names, RookEntry *entry)
{
  RookEntry *before = g_hash_table_lookup (names->by_id, entry->id);

  if (before != NULL && !before->deleted)
    take_out (names, before);
  g_hash_table_replace (names->by_id, entry->id, rook_entry_ref (entry));
  if (!entry->deleted)
    {
      g_tree_replace (names->tree, entry->name, rook_entry_ref (entry));
      if (entry->for_others)
        g_tree_replace (names->others, entry->name, rook_entry_ref (entry));
      if (entry->quota != NULL)
        g_tree_replace (names->limited, entry->name, rook_entry_ref (entry));
    }
  note_past (names, entry);
  names->last_uidvalidity = MAX (names->last_uidvalidity, entry->uidvalidity);
}

void
rook_names_put (RookMail *mail, RookEntry *entry)
{
  RookEntry *present = rook_names_find_id (mail, entry->id);
  g_autoptr (RookEntry) before = present != NULL ? rook_entry_ref (present) : NULL;

  rook_names_add (mail->names, entry);
  rook_quota_follow (mail, before, entry);
  rook_gauge_set (mail->n_mailboxes, g_tree_nnodes (mail->names->tree));
}

static gboolean
follow_root (gpointer name G_GNUC_UNUSED, gpointer entry, gpointer mail)
{
  rook_quota_follow (mail, NULL, entry);
  return FALSE;
}

void
rook_names_publish (RookMail *mail, RookNames *names)
{
  RookNames *before;

  rook_mutex_lock (&mail->lock);
  before = mail->names;
  names->last_uidvalidity = MAX (names->last_uidvalidity, before->last_uidvalidity);
  mail->names = names;
  g_tree_foreach (names->limited, follow_root, mail);
  rook_gauge_set (mail->n_mailboxes, g_tree_nnodes (names->tree));
  rook_mutex_unlock (&mail->lock);
  rook_names_free (before);
}

RookEntry *
rook_names_find (RookMail *mail, const char *name)
{
  return g_tree_lookup (mail->names->tree, name);
}

RookEntry *
rook_names_find_id (RookMail *mail, const char *id)
{
  return g_hash_table_lookup (mail->names->by_id, id);
}

gboolean
rook_names_has_children (RookMail *mail, const char *name)
{
  GTreeNode *node = g_tree_upper_bound (mail->names->tree, name);

  return node != NULL && rook_name_is_below (g_tree_node_key (node), name);
}

GPtrArray *
rook_names_below (RookMail *mail, const char *name, gboolean with_itself)
{
  GPtrArray *found = g_ptr_array_new_with_free_func (unref_entry);
  RookEntry *itself = rook_names_find (mail, name);
  GTreeNode *node = g_tree_upper_bound (mail->names->tree, name);

  if (itself != NULL && with_itself)
    g_ptr_array_add (found, rook_entry_ref (itself));
  for (; node != NULL && rook_name_is_below (g_tree_node_key (node), name); node = g_tree_node_next (node))
    g_ptr_array_add (found, rook_entry_ref (g_tree_node_value (node)));
  return found;
}

RookEntry *
rook_names_find_parent (RookMail *mail, const char *name)
{
  g_autofree char *parent = rook_name_dup_parent (name);

  while (parent != NULL)
    {
      RookEntry *entry = rook_names_find (mail, parent);
      char *next;

      if (entry != NULL)
        return entry;
      next = rook_name_dup_parent (parent);
      g_free (parent);
      parent = next;
    }
  return NULL;
}

/* --- with the lock taken ---------------------------------------------------------------------------------------- */

RookEntry *
rook_mail_ref_entry (RookMail *mail, const char *name)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->lock);
  RookEntry *entry = rook_names_find (mail, name);

  return entry != NULL ? rook_entry_ref (entry) : NULL;
}

RookEntry *
rook_mail_ref_entry_by_id (RookMail *mail, const char *id)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->lock);
  RookEntry *entry = rook_names_find_id (mail, id);

  return entry != NULL ? rook_entry_ref (entry) : NULL;
}

RookEntry *
rook_mail_check_entry (RookMail *mail, RookIdentity *identity, const char *name, RookRights needed, GError **error)
{
  g_autoptr (GError) unknown = NULL;
  g_autoptr (RookEntry) entry = NULL;
  RookRights rights;

  rook_mail_is_available (mail, &unknown); /* before the names are looked at */
  entry = rook_mail_ref_entry (mail, name);
  rights = entry != NULL ? rook_entry_get_rights (entry, identity) : 0;
  if (entry == NULL || ((rights & needed) != needed && (rights & ROOK_RIGHT_LOOKUP) == 0))
    {
      g_propagate_error (error, rook_mail_error_missing (g_steal_pointer (&unknown)));
      return NULL;
    }
  if ((rights & needed) != needed)
    {
      g_set_error_literal (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NO_PERMISSION, "permission denied");
      return NULL;
    }
  return g_steal_pointer (&entry);
}

gboolean
rook_mail_exists (RookMail *mail, const char *name)
{
  g_autoptr (RookEntry) entry = rook_mail_ref_entry (mail, name);

  return entry != NULL;
}

char *
rook_mail_get_rights (RookMail *mail, RookIdentity *identity, const char *name)
{
  g_autoptr (RookEntry) entry = rook_mail_ref_entry (mail, name);
  RookRights rights = entry != NULL ? rook_entry_get_rights (entry, identity) : 0;

  if ((rights
       & (ROOK_RIGHT_LOOKUP | ROOK_RIGHT_READ | ROOK_RIGHT_INSERT | ROOK_RIGHT_CREATE | ROOK_RIGHT_DELETE_BOX
          | ROOK_RIGHT_ADMIN))
      == 0)
    return NULL;
  return rook_rights_to_text (rights);
}

gboolean
rook_mail_sender_has_right (RookMail *mail, RookIdentity *sender, const char *name, char right)
{
  g_autoptr (RookEntry) entry = rook_mail_ref_entry (mail, name);
  const char letter[] = { right, '\0' };
  RookRights rights = 0, wanted = 0;

  if (entry != NULL)
    rights = sender != NULL ? rook_entry_get_rights (entry, sender) : rook_entry_get_anonymous_rights (entry);
  g_assert (rook_rights_parse (letter, &wanted));
  return (rights & wanted) == wanted;
}

char *
rook_mail_get_acl (RookMail *mail, RookIdentity *identity, const char *name, GError **error)
{
  g_autoptr (RookEntry) entry = rook_mail_check_entry (mail, identity, name, ROOK_RIGHT_ADMIN, error);

  return entry != NULL ? g_strdup (entry->acl) : NULL;
}

static guint32
next_uidvalidity (RookNames *names)
{
  guint32 now = (guint32) (g_get_real_time () / G_USEC_PER_SEC);

  names->last_uidvalidity = MAX (now, names->last_uidvalidity + 1);
  return names->last_uidvalidity;
}

guint32
rook_mail_next_uidvalidity (RookMail *mail)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->lock);

  return next_uidvalidity (mail->names);
}

guint32
rook_mail_uidvalidity_for (RookMail *mail, const char *name, guint32 own)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->lock);
  guint32 past = GPOINTER_TO_UINT (g_hash_table_lookup (mail->names->past, name));

  /* As high is its own: none is given twice. */
  return MAX (past, mail->names->past_unknown) > own ? next_uidvalidity (mail->names) : own;
}
