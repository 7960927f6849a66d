/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Setting the limits of a quota root, which is a change of its mailbox's entry; and what other changes of names need of quota.
 */
#include "log/log-private.h"
#include "mailbox/change.h"
#include "mailbox/quota.h"

static gboolean
is_admin (RookIdentity *identity)
{
  return identity == NULL || rook_identity_is_admin (identity);
}

/* --- limits ----------------------------------------------------------------------------------------------------------- */

static gboolean
plan_quota (RookChangeOp *op, GError **error)
{
  g_autoptr (RookEntry) entry = rook_mail_check_entry (op->mail, op->identity, op->name, ROOK_RIGHT_LOOKUP, error);
  RookEntry *after;

  if (entry == NULL)
    return FALSE;
  if (!is_admin (op->identity))
    {
      g_set_error_literal (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NO_PERMISSION, "permission denied");
      return FALSE;
    }
  after = rook_entry_new (entry);
  g_free (after->quota);
  after->quota = g_steal_pointer (&op->quota);
  after->changed = g_get_real_time () / G_USEC_PER_SEC;
  rook_entry_derive (after);
  rook_change_add (op, entry, after);
  return TRUE;
}

static void
quota_changed (RookChangeOp *op)
{
  RookEntry *entry = g_ptr_array_index (op->after, 0);

  rook_mail_publish (op->mail, ROOK_EVENT_QUOTA_CHANGE, entry, NULL, op->identity, entry->name);
  rook_log_identity (rook_server_get_log (op->mail->server), ROOK_LOG_INFO, op->identity, "mailbox.quota-changed",
                     "mailbox", entry->name, "id", entry->id, NULL);
}

void
rook_mail_set_quota (RookMail *mail, RookIdentity *identity, const char *name, const gint64 *limits,
                     RookMailCallback callback, gpointer data)
{
  RookChangeOp *op = rook_change_new (mail, identity, name, NULL, callback, data);

  op->quota = g_memdup2 (limits, limits != NULL ? ROOK_QUOTA_N_RESOURCES * sizeof (gint64) : 0);
  for (guint i = 0; op->quota != NULL && i < ROOK_QUOTA_N_RESOURCES; i++)
    op->quota[i] = MAX (op->quota[i], -1);
  op->plan = plan_quota;
  op->done = quota_changed;
  rook_change_run (op);
}

/* --- room for what a change of names brings below a root ------------------------------------------------------------------ */

typedef struct {
  RookChangeOp *op;
  void (*func) (RookChangeOp *op);
  guint64 amounts[ROOK_QUOTA_N_RESOURCES];
  GPtrArray *coming; /* (element-type RookEntry) (nullable) what comes from elsewhere, until it has been read */
} Permit;

/* Whether @root moves along with what is renamed. A user's INBOX that gives its messages away keeps it. */
static gboolean
moves_along (const RookChangeOp *op, const RookQuotaRoot *root)
{
  const char *name = rook_quota_root_name (root);
  const RookEntry *first = g_ptr_array_index (op->after, 0);

  return op->new_name != NULL
         && (g_str_equal (name, op->name) ? first->quota != NULL : rook_name_is_below (name, op->name));
}

/* Counts what does not count for @root yet, and will. With RookQuotas.lock held. */
static void
list_coming (Permit *permit, RookQuotaRoot *root)
{
  RookChangeOp *op = permit->op;
  RookQuotas *quotas = op->mail->quotas;

  for (guint i = 0; i < op->after->len; i++)
    {
      RookEntry *before = g_ptr_array_index (op->before, i), *after = g_ptr_array_index (op->after, i);
      RookQuotaRoot *now = before != NULL ? rook_quota_find_root (quotas, before->name) : NULL;

      if (after->deleted || rook_quota_find_root (quotas, after->name) != root || now == root
          || (now != NULL && moves_along (op, now)))
        continue;
      permit->amounts[ROOK_QUOTA_MAILBOX]++;
      if (before != NULL)
        g_ptr_array_add (permit->coming, rook_entry_ref (before));
    }
}

static void
permit_end (Permit *permit)
{
  permit->func (permit->op);
  g_clear_pointer (&permit->coming, g_ptr_array_unref);
  g_free (permit);
}

static const char *
target_of (const RookChangeOp *op)
{
  return op->new_name != NULL ? op->new_name : op->name;
}

static void permit_claim (Permit *permit);

/* What of the usage can't be had now is not counted: see rook_quota_await(). */
static void
usage_known (const GError *error G_GNUC_UNUSED, gpointer data)
{
  permit_claim (data);
}

static void
permit_claim (Permit *permit)
{
  RookChangeOp *op = permit->op;

  switch (rook_quota_claim_name (op->mail, target_of (op), permit->amounts, ROOK_QUOTA_STRICT, &op->claim))
    {
    case ROOK_QUOTA_LATER:
      rook_quota_await (op->mail, target_of (op), usage_known, permit);
      return;
    case ROOK_QUOTA_OVER:
      op->error = rook_quota_refuse (op->mail, &op->claim, NULL, op->identity);
      break;
    case ROOK_QUOTA_GRANTED:
    default:
      break;
    }
  permit_end (permit);
}

static void
add_coming (const RookEntry *entry G_GNUC_UNUSED, guint32 messages, guint64 size, gpointer data)
{
  Permit *permit = data;

  permit->amounts[ROOK_QUOTA_MESSAGE] += messages;
  permit->amounts[ROOK_QUOTA_STORAGE] += size;
}

static void
coming_read (const GError *error, gpointer data)
{
  Permit *permit = data;

  if (error == NULL)
    {
      permit_claim (permit);
      return;
    }
  permit->op->error = g_error_copy (error);
  permit_end (permit);
}

void
rook_quota_permit (RookChangeOp *op, void (*func) (RookChangeOp *op))
{
  Permit *permit = g_new0 (Permit, 1);
  RookQuotaRoot *root;

  permit->op = op;
  permit->func = func;
  permit->coming = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_entry_unref);
  rook_mutex_lock (&op->mail->quotas->lock);
  root = is_admin (op->identity) ? NULL : rook_quota_find_root (op->mail->quotas, target_of (op));
  if (root != NULL)
    list_coming (permit, root);
  rook_mutex_unlock (&op->mail->quotas->lock);
  if (permit->amounts[ROOK_QUOTA_MAILBOX] > 0)
    rook_quota_read (op->mail, g_steal_pointer (&permit->coming), add_coming, coming_read, permit);
  else
    permit_end (permit);
}
