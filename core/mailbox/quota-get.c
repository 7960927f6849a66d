/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Questions about quota: usage and limits of a root, the root that a mailbox counts for, which roots there are.
 */
#include "mailbox/box.h"
#include "mailbox/quota.h"

#define DEFAULT_LIMIT 1000

static gboolean
is_admin (RookIdentity *identity)
{
  return identity == NULL || rook_identity_is_admin (identity);
}

/* --- one ------------------------------------------------------------------------------------------------------------------ */

typedef struct {
  RookMail *mail;   /* (unowned) */
  char *name;       /* of a root, or of a mailbox below it */
  gboolean is_root; /* the former */
  RookQuotaCallback callback;
  gpointer data;
} Question;

static void
answer (Question *question, const RookQuota *quota, const GError *error)
{
  question->callback (quota, error, question->data);
  g_free (question->name);
  g_free (question);
}

static void
refuse (const GError *error, gpointer data)
{
  answer (data, NULL, error);
}

/* Fills in *@out, whose name is @out_entry's. %FALSE: there is no such root. *@out_is_known: whether its usage is. */
static gboolean
look (const Question *question, RookQuota *out, RookEntry **out_entry, gboolean *out_is_known)
{
  RookQuotas *quotas = question->mail->quotas;
  g_autoptr (RookLocker) locker = rook_locker_new (&quotas->lock);
  RookQuotaRoot *root = rook_quota_find_root (quotas, question->name);

  if (root == NULL || (question->is_root && !g_str_equal (rook_quota_root_name (root), question->name)))
    return FALSE;
  *out_entry = rook_entry_ref (root->entry);
  *out_is_known = rook_quota_root_is_known (root);
  out->root = root->entry->name;
  memcpy (out->limits, root->entry->quota, sizeof out->limits);
  memcpy (out->usage, root->usage, sizeof out->usage);
  return TRUE;
}

static void
usage_known (const GError *error, gpointer data)
{
  Question *question = data;
  g_autoptr (RookEntry) entry G_GNUC_UNUSED = NULL;
  g_autoptr (GError) missing = NULL;
  RookQuota quota;
  gboolean is_known = TRUE, is_there = look (question, &quota, &entry, &is_known);

  if (error == NULL && !is_known)
    {
      rook_quota_await (question->mail, question->name, usage_known, question);
      return;
    }
  if (error == NULL && !is_there && question->is_root)
    error = missing = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_FOUND, "no such quota root");
  answer (question, error == NULL && is_there ? &quota : NULL, error);
}

static void
ask (RookMail *mail, const char *name, gboolean is_root, GError *error, RookQuotaCallback callback, gpointer data)
{
  Question *question = g_new (Question, 1);

  *question = (Question){ mail, g_strdup (name), is_root, callback, data };
  if (error != NULL)
    rook_mail_answer_later (refuse, question, error);
  else
    rook_quota_await (mail, name, usage_known, question);
}

void
rook_mail_get_quota (RookMail *mail, RookIdentity *identity, const char *root, RookQuotaCallback callback,
                     gpointer data)
{
  GError *error = NULL;
  g_autoptr (RookEntry) entry = rook_mail_check_entry (mail, identity, root, ROOK_RIGHT_LOOKUP, &error);

  if (entry != NULL && !is_admin (identity) && g_strcmp0 (entry->owner, rook_identity_get_user (identity)) != 0)
    error = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NO_PERMISSION, "permission denied");
  ask (mail, root, TRUE, error, callback, data);
}

void
rook_mail_get_mailbox_quota (RookMail *mail, RookIdentity *identity, const char *name, RookQuotaCallback callback,
                             gpointer data)
{
  RookRights needed = is_admin (identity) ? ROOK_RIGHT_LOOKUP : ROOK_RIGHT_READ;
  GError *error = NULL;
  g_autoptr (RookEntry) entry G_GNUC_UNUSED = rook_mail_check_entry (mail, identity, name, needed, &error);

  ask (mail, name, FALSE, error, callback, data);
}

/* --- whether there is room ------------------------------------------------------------------------------------------------ */

typedef struct {
  RookMail *mail; /* (unowned) */
  char *name;
  guint64 amounts[ROOK_QUOTA_N_RESOURCES];
  RookQuotaRule rule;
  RookMailCallback callback;
  gpointer data;
} Probe;

static void
probe_end (const GError *error, gpointer data)
{
  Probe *probe = data;

  probe->callback (error, probe->data);
  g_free (probe->name);
  g_free (probe);
}

static void
probe_run (const GError *error G_GNUC_UNUSED, gpointer data)
{
  Probe *probe = data;
  RookQuotaClaim claim = { 0 };
  GError *refusal = NULL;

  switch (rook_quota_claim_name (probe->mail, probe->name, probe->amounts, probe->rule, &claim))
    {
    case ROOK_QUOTA_LATER:
      rook_quota_await (probe->mail, probe->name, probe_run, probe);
      return;
    case ROOK_QUOTA_OVER:
      refusal = rook_quota_refuse (probe->mail, &claim, NULL, NULL);
      break;
    case ROOK_QUOTA_GRANTED:
    default:
      rook_quota_unclaim (probe->mail, &claim);
      break;
    }
  rook_mail_answer_later (probe_end, probe, refusal);
}

void
rook_mail_probe_quota (RookMail *mail, const char *name, guint64 size, gboolean strict, RookMailCallback callback,
                       gpointer data)
{
  Probe *probe = g_new0 (Probe, 1);

  *probe = (Probe){ .mail = mail,
                    .name = g_strdup (name),
                    .amounts = { [ROOK_QUOTA_STORAGE] = MAX (size, 1), [ROOK_QUOTA_MESSAGE] = 1 },
                    .rule = strict ? ROOK_QUOTA_STRICT : ROOK_QUOTA_OVERSHOOT,
                    .callback = callback,
                    .data = data };
  probe_run (NULL, probe);
}

/* --- all ------------------------------------------------------------------------------------------------------------------ */

gboolean
rook_mail_list_quota_roots (RookMail *mail, RookIdentity *identity, const char *after, guint limit,
                            RookQuotaRootFunc func, gpointer data)
{
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_entry_unref);
  guint most = MIN (limit > 0 ? limit : DEFAULT_LIMIT, DEFAULT_LIMIT);
  GTreeNode *node;

  if (!is_admin (identity))
    return FALSE;
  rook_mutex_lock (&mail->lock);
  node = after != NULL ? g_tree_upper_bound (mail->names->limited, after) : g_tree_node_first (mail->names->limited);
  for (; node != NULL && found->len < most; node = g_tree_node_next (node))
    g_ptr_array_add (found, rook_entry_ref (g_tree_node_value (node)));
  rook_mutex_unlock (&mail->lock);
  for (guint i = 0; i < found->len; i++)
    {
      const RookEntry *entry = g_ptr_array_index (found, i);

      func (entry->name, entry->quota, data);
    }
  return node != NULL;
}
