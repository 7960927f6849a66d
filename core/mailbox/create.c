/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CREATE, and a user's first mailboxes.
 */
#include "log/log-private.h"
#include "mailbox/change.h"

static gboolean
fail (GError **error, RookMailError code, const char *text)
{
  g_set_error_literal (error, ROOK_MAIL_ERROR, (gint) code, text);
  return FALSE;
}

static gboolean
is_admin (RookIdentity *identity)
{
  return identity == NULL || rook_identity_is_admin (identity);
}

static gboolean
is_own (RookIdentity *identity, const char *name)
{
  g_autofree char *owner = rook_name_dup_owner (name);

  return identity != NULL && g_strcmp0 (owner, rook_identity_get_user (identity)) == 0;
}

/* --- where a new mailbox may be --------------------------------------------------------------------------------- */

static gboolean
may_create_below (RookChangeOp *op, RookEntry *parent, const char *name, GError **error)
{
  if (is_admin (op->identity))
    return TRUE;
  if (parent == NULL ? is_own (op->identity, name)
                     : (rook_entry_get_rights (parent, op->identity) & ROOK_RIGHT_CREATE) != 0)
    return TRUE;
  return fail (error, ROOK_MAIL_ERROR_NO_PERMISSION, "permission denied");
}

static char *
choose_partition (RookChangeOp *op, RookEntry *parent)
{
  g_autoptr (RookMailSettings) settings = rook_mail_ref_settings (op->mail);

  if (op->partition != NULL)
    return g_strdup (op->partition);
  return g_strdup (parent != NULL ? parent->partition : settings->default_partition);
}

static char *
choose_acl (RookChangeOp *op, RookEntry *parent, const char *name)
{
  g_autoptr (RookMailSettings) settings = rook_mail_ref_settings (op->mail);
  g_autofree char *owner = rook_name_dup_owner (name);

  if (parent != NULL)
    return g_strdup (parent->acl);
  return owner != NULL ? rook_acl_for_owner (owner) : g_strdup (settings->default_acl);
}

/* The ancestors of @name, from the user's INBOX down, that are missing. */
static void
add_parents (RookChangeOp *op, const char *name, const char *partition, const char *acl)
{
  g_autofree char *root = rook_name_dup_root (name);

  if (!g_str_has_prefix (name, "user/"))
    return;
  for (const char *slash = name + strlen (root); *slash == '/';)
    {
      g_autofree char *parent = g_strndup (name, (gsize) (slash - name));
      const char *next = strchr (slash + 1, '/');

      if (!rook_mail_exists (op->mail, parent))
        rook_change_add (op, NULL, rook_change_new_entry (op, parent, partition, acl));
      if (next == NULL)
        break;
      slash = next;
    }
}

gboolean
rook_change_check_partition (RookChangeOp *op, const char *name, GError **error)
{
  g_autofree char *shown = NULL;

  if (rook_mail_find_partition (op->mail, name) != NULL)
    return rook_mail_get_store (op->mail, name, error) != NULL;
  shown = g_strescape (name, NULL);
  g_set_error (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_ALLOWED, "There is no partition %.64s", shown);
  return FALSE;
}

gboolean
rook_change_plan_place (RookChangeOp *op, const char *name, char **out_partition, char **out_acl, GError **error)
{
  g_autoptr (RookEntry) parent = NULL;
  g_autofree char *partition = NULL, *acl = NULL;

  if (!rook_name_is_valid (name))
    return fail (error, ROOK_MAIL_ERROR_BAD_NAME, "Not a mailbox name");
  if (rook_name_get_fault (name) != NULL)
    return fail (error, ROOK_MAIL_ERROR_BAD_NAME, rook_name_get_fault (name));
  if (rook_mail_exists (op->mail, name))
    return fail (error, ROOK_MAIL_ERROR_EXISTS, "the mailbox exists");
  rook_mutex_lock (&op->mail->lock);
  parent = rook_names_find_parent (op->mail, name);
  if (parent != NULL)
    rook_entry_ref (parent);
  rook_mutex_unlock (&op->mail->lock);
  if (!may_create_below (op, parent, name, error))
    return FALSE;
  partition = choose_partition (op, parent);
  if (!rook_change_check_partition (op, partition, error))
    return FALSE;
  acl = choose_acl (op, parent, name);
  add_parents (op, name, partition, acl);
  *out_partition = g_steal_pointer (&partition);
  *out_acl = g_steal_pointer (&acl);
  return TRUE;
}

/* --- CREATE ----------------------------------------------------------------------------------------------------- */

static gboolean
is_special_use (const char *text)
{
  static const char *const known[] = { "\\All",  "\\Archive", "\\Drafts", "\\Flagged",
                                       "\\Junk", "\\Sent",    "\\Trash",  "\\Important" };

  for (guint i = 0; i < G_N_ELEMENTS (known); i++)
    if (g_ascii_strcasecmp (known[i], text) == 0)
      return TRUE;
  return FALSE;
}

static gboolean
plan_create (RookChangeOp *op, GError **error)
{
  g_autofree char *partition = NULL, *acl = NULL;
  RookEntry *entry;

  if (op->partition != NULL && !is_admin (op->identity))
    return fail (error, ROOK_MAIL_ERROR_NO_PERMISSION, "only administrators choose partitions");
  if (op->special_use != NULL && !is_special_use (op->special_use))
    return fail (error, ROOK_MAIL_ERROR_NOT_ALLOWED, "There is no such special use");
  if (!rook_change_plan_place (op, op->name, &partition, &acl, error))
    return FALSE;
  entry = rook_change_new_entry (op, op->name, partition, acl);
  entry->special_use = g_strdup (op->special_use);
  rook_change_add (op, NULL, entry);
  return TRUE;
}

static void
created (RookChangeOp *op)
{
  for (guint i = 0; i < op->after->len; i++)
    {
      RookEntry *entry = g_ptr_array_index (op->after, i);

      rook_mail_publish (op->mail, ROOK_EVENT_MAILBOX_CREATE, entry, NULL, op->identity, NULL);
      rook_log_identity (rook_server_get_log (op->mail->server), ROOK_LOG_INFO, op->identity, "mailbox.created",
                         "mailbox", entry->name, "id", entry->id, "partition", entry->partition, NULL);
    }
}

void
rook_mail_create (RookMail *mail, RookIdentity *identity, const char *name, const RookCreateOptions *options,
                  RookMailCallback callback, gpointer data)
{
  RookChangeOp *op = rook_change_new (mail, identity, name, NULL, callback, data);

  op->partition = options != NULL ? g_strdup (options->partition) : NULL;
  op->special_use = options != NULL ? g_strdup (options->special_use) : NULL;
  op->plan = plan_create;
  op->done = created;
  rook_change_run (op);
}

/* --- a user's first mailboxes ----------------------------------------------------------------------------------- */

static const char *
guess_special_use (const char *folder)
{
  static const char *const uses[][2] = { { "Sent", "\\Sent" },
                                         { "Drafts", "\\Drafts" },
                                         { "Trash", "\\Trash" },
                                         { "Junk", "\\Junk" },
                                         { "Archive", "\\Archive" } };

  for (guint i = 0; i < G_N_ELEMENTS (uses); i++)
    if (g_str_equal (uses[i][0], folder))
      return uses[i][1];
  return NULL;
}

/* Whether an entry for @name is planned already (as a parent of another folder). */
static gboolean
is_planned (RookChangeOp *op, const char *name)
{
  for (guint i = 0; i < op->after->len; i++)
    if (g_str_equal (((RookEntry *) g_ptr_array_index (op->after, i))->name, name))
      return TRUE;
  return FALSE;
}

static void
plan_folder (RookChangeOp *op, const char *folder, const char *partition, const char *acl)
{
  g_autofree char *name = g_strdup_printf ("%s/%s", op->name, folder);
  RookEntry *entry;

  if (!rook_name_is_valid (name) || is_planned (op, name))
    return;
  for (const char *slash = strchr (folder, '/'); slash != NULL; slash = strchr (slash + 1, '/'))
    {
      g_autofree char *parent = g_strndup (name, strlen (op->name) + 1 + (gsize) (slash - folder));

      if (!is_planned (op, parent))
        rook_change_add (op, NULL, rook_change_new_entry (op, parent, partition, acl));
    }
  entry = rook_change_new_entry (op, name, partition, acl);
  entry->special_use = g_strdup (guess_special_use (folder));
  rook_change_add (op, NULL, entry);
}

static gboolean
plan_user (RookChangeOp *op, GError **error)
{
  g_autoptr (RookMailSettings) settings = rook_mail_ref_settings (op->mail);
  g_autofree char *partition = NULL, *acl = NULL;

  if (rook_mail_exists (op->mail, op->name))
    return TRUE; /* somebody was quicker */
  if (!rook_change_plan_place (op, op->name, &partition, &acl, error))
    return FALSE;
  rook_change_add (op, NULL, rook_change_new_entry (op, op->name, partition, acl));
  for (guint i = 0; settings->autocreate_folders[i] != NULL; i++)
    plan_folder (op, settings->autocreate_folders[i], partition, acl);
  op->subscribe = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < op->after->len; i++)
    g_ptr_array_add (op->subscribe, g_strdup (((RookEntry *) g_ptr_array_index (op->after, i))->name));
  return TRUE;
}

gboolean
rook_mail_user_may_exist (RookMail *mail, const char *user, RookEnsure occasion)
{
  g_autoptr (RookMailSettings) settings = rook_mail_ref_settings (mail);
  g_autofree char *inbox = rook_name_of_user (user);

  if (*user == '\0' || strchr (user, '/') != NULL || !rook_name_is_valid (inbox))
    return FALSE;
  return rook_mail_exists (mail, inbox) || settings->autocreate > (occasion == ROOK_ENSURE_DELIVERY ? 1u : 0u);
}

void
rook_mail_ensure_user (RookMail *mail, const char *user, RookEnsure occasion, RookMailCallback callback, gpointer data)
{
  g_autofree char *inbox = rook_name_of_user (user);
  g_autoptr (GError) error = NULL;
  RookChangeOp *op;

  rook_mail_is_available (mail, &error); /* before the names are looked at */
  if (strchr (user, '/') == NULL && rook_mail_exists (mail, inbox))
    rook_mail_answer_later (callback, data, NULL);
  else if (!rook_mail_user_may_exist (mail, user, occasion))
    rook_mail_answer_later (callback, data, rook_mail_error_missing (g_steal_pointer (&error)));
  else
    {
      op = rook_change_new (mail, NULL, inbox, NULL, callback, data);
      op->plan = plan_user;
      op->done = created;
      rook_change_run (op);
    }
}
