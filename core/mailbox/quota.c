/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Quota in memory: roots, the totals of the mailboxes below them, and claims for what is on its way. See quota.h.
 */
#include "mailbox/quota.h"

#include "mailbox/box.h"

static void
unref_root (gpointer root)
{
  rook_quota_root_unref (root);
}

static void
unref_entry (gpointer entry)
{
  rook_entry_unref (entry);
}

static void
free_total (gpointer data)
{
  RookQuotaTotal *total = data;

  g_clear_pointer (&total->root, rook_quota_root_unref);
  g_free (total);
}

RookQuotas *
rook_quotas_new (void)
{
  RookQuotas *quotas = g_new0 (RookQuotas, 1);

  rook_mutex_init (&quotas->lock);
  quotas->roots = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, unref_root);
  quotas->totals = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, free_total);
  quotas->news = g_ptr_array_new_with_free_func (unref_entry);
  return quotas;
}

void
rook_quotas_free (RookQuotas *quotas)
{
  g_hash_table_unref (quotas->totals);
  g_hash_table_unref (quotas->roots);
  g_ptr_array_unref (quotas->news);
  rook_mutex_clear (&quotas->lock);
  g_free (quotas);
}

RookQuotaRoot *
rook_quota_root_ref (RookQuotaRoot *root)
{
  g_atomic_int_inc (&root->ref);
  return root;
}

void
rook_quota_root_unref (RookQuotaRoot *root)
{
  if (!g_atomic_int_dec_and_test (&root->ref))
    return;
  g_assert (root->waiting == NULL);
  rook_entry_unref (root->entry);
  g_free (root);
}

RookQuotaRoot *
rook_quota_find_root (RookQuotas *quotas, const char *name)
{
  g_autofree char *at = g_hash_table_size (quotas->roots) > 0 ? g_strdup (name) : NULL;
  char *slash = at;

  while (slash != NULL)
    {
      RookQuotaRoot *root = g_hash_table_lookup (quotas->roots, at);

      if (root != NULL)
        return root;
      slash = strrchr (at, '/');
      if (slash != NULL)
        *slash = '\0';
    }
  return NULL;
}

/* --- totals ----------------------------------------------------------------------------------------------------------- */

/* At a limit, or beyond. */
static gboolean
is_over (const RookQuotaRoot *root)
{
  for (guint i = 0; i < ROOK_QUOTA_N_RESOURCES; i++)
    if (root->entry->quota[i] >= 0 && root->usage[i] > 0 && root->usage[i] >= (guint64) root->entry->quota[i])
      return TRUE;
  return FALSE;
}

/* Adds (@sign 1) a total to what its root has, or takes it away (-1). */
static void
count (RookQuotaTotal *total, int sign)
{
  RookQuotaRoot *root = total->root;

  root->changes++;
  root->n_totals += (guint) sign;
  root->usage[ROOK_QUOTA_MAILBOX] += (guint64) sign;
  if (!total->is_known)
    {
      root->n_unknown += (guint) sign;
      return;
    }
  root->usage[ROOK_QUOTA_STORAGE] += (guint64) sign * total->size;
  root->usage[ROOK_QUOTA_MESSAGE] += (guint64) ((gint64) sign * total->messages);
}

static void
note_if_within (RookQuotas *quotas, RookQuotaRoot *root, gboolean was_over)
{
  if (!was_over || root->gone || is_over (root))
    return;
  g_ptr_array_add (quotas->news, rook_entry_ref (root->entry));
  g_atomic_int_set (&quotas->n_news, 1);
}

static void
set_total (RookQuotas *quotas, RookQuotaTotal *total, gboolean is_known, guint32 messages, guint64 size)
{
  gboolean was_over = is_over (total->root);

  count (total, -1);
  total->is_known = is_known;
  total->messages = messages;
  total->size = size;
  count (total, 1);
  if (is_known)
    note_if_within (quotas, total->root, was_over);
}

static void
forget_total (RookQuotas *quotas, RookQuotaTotal *total)
{
  g_autoptr (RookQuotaRoot) root = rook_quota_root_ref (total->root);
  gboolean was_over = is_over (root);

  count (total, -1);
  g_hash_table_remove (quotas->totals, total->id);
  g_atomic_int_set (&quotas->n_totals, (gint) g_hash_table_size (quotas->totals));
  note_if_within (quotas, root, was_over);
}

static void
add_total (RookQuotas *quotas, const char *id, RookQuotaRoot *root)
{
  gsize length = strlen (id) + 1;
  RookQuotaTotal *total = g_malloc0 (sizeof (RookQuotaTotal) + length);

  memcpy (total->id, id, length);
  total->root = rook_quota_root_ref (root);
  count (total, 1);
  g_hash_table_insert (quotas->totals, total->id, total);
  g_atomic_int_set (&quotas->n_totals, (gint) g_hash_table_size (quotas->totals));
}

static void
move_total (RookQuotas *quotas, RookQuotaTotal *total, RookQuotaRoot *root)
{
  g_autoptr (RookQuotaRoot) before = total->root;
  gboolean was_over = is_over (before);

  count (total, -1);
  total->root = rook_quota_root_ref (root);
  count (total, 1);
  note_if_within (quotas, before, was_over);
}

gboolean
rook_quota_place (RookQuotas *quotas, const RookEntry *entry, RookQuotaRoot *summed)
{
  RookQuotaRoot *root = rook_quota_find_root (quotas, entry->name);
  RookQuotaTotal *total = g_hash_table_lookup (quotas->totals, entry->id);

  if (total != NULL && root == NULL)
    forget_total (quotas, total);
  else if (total != NULL && total->root != root)
    move_total (quotas, total, root);
  else if (total == NULL && root != NULL && (root == summed || root->walked || root->waiting != NULL))
    add_total (quotas, entry->id, root);
  if (root == NULL || root != summed)
    return FALSE;
  total = g_hash_table_lookup (quotas->totals, entry->id);
  return !total->is_known;
}

void
rook_quota_take_header (RookQuotas *quotas, const char *id, guint32 messages, guint64 size)
{
  RookQuotaTotal *total = g_hash_table_lookup (quotas->totals, id);

  if (total != NULL && !total->is_known)
    set_total (quotas, total, TRUE, messages, size);
}

/* --- claims ----------------------------------------------------------------------------------------------------------- */

/* The root that a mailbox counts for. Where it has a total that says so: its name may be that of a moment ago. */
static RookQuotaRoot *
root_of (RookQuotas *quotas, const char *id, const char *name)
{
  RookQuotaTotal *total = g_hash_table_lookup (quotas->totals, id);

  return total != NULL && !total->root->gone ? total->root : rook_quota_find_root (quotas, name);
}

/* Whether a limit of @root has a word in it. */
static gboolean
is_limited (const RookQuotaRoot *root, const guint64 *amounts)
{
  for (guint i = 0; i < ROOK_QUOTA_N_RESOURCES; i++)
    if (amounts[i] > 0 && root->entry->quota[i] >= 0)
      return TRUE;
  return FALSE;
}

static gboolean
fits (const RookQuotaRoot *root, const guint64 *amounts, RookQuotaRule rule)
{
  for (guint i = 0; i < ROOK_QUOTA_N_RESOURCES; i++)
    {
      guint64 limit = (guint64) root->entry->quota[i], used = root->usage[i] + root->claimed[i];

      if (amounts[i] == 0 || root->entry->quota[i] < 0)
        continue;
      if (used > limit || (rule == ROOK_QUOTA_STRICT && amounts[i] > limit - used))
        return FALSE;
    }
  return TRUE;
}

/* Whether what is known of its usage has to do for now, since it was found out that the rest can't be had. */
static gboolean
must_do (const RookQuotas *quotas, const RookQuotaRoot *root)
{
  return root->retry_stores == quotas->stores && g_get_monotonic_time () < root->retry_us;
}

static RookQuotaAnswer
claim_of (const RookQuotas *quotas, RookQuotaRoot *root, const guint64 *amounts, RookQuotaRule rule,
          RookQuotaClaim *claim)
{
  if (root == NULL)
    return ROOK_QUOTA_GRANTED;
  if (rule != ROOK_QUOTA_IGNORE && is_limited (root, amounts))
    {
      if (!rook_quota_root_is_known (root) && !must_do (quotas, root))
        return ROOK_QUOTA_LATER;
      if (!fits (root, amounts, rule))
        {
          claim->root = rook_quota_root_ref (root);
          return ROOK_QUOTA_OVER;
        }
    }
  claim->root = rook_quota_root_ref (root);
  for (guint i = 0; i < ROOK_QUOTA_N_RESOURCES; i++)
    {
      claim->amounts[i] = amounts[i];
      root->claimed[i] += amounts[i];
    }
  return ROOK_QUOTA_GRANTED;
}

RookQuotaAnswer
rook_quota_claim (RookMailbox *mailbox, const guint64 *amounts, RookQuotaRule rule, RookQuotaClaim *claim)
{
  RookQuotas *quotas = mailbox->mail->quotas;
  g_autoptr (RookLocker) locker = rook_locker_new (&quotas->lock);

  return claim_of (quotas, root_of (quotas, mailbox->id, mailbox->entry->name), amounts, rule, claim);
}

RookQuotaAnswer
rook_quota_claim_name (RookMail *mail, const char *name, const guint64 *amounts, RookQuotaRule rule,
                       RookQuotaClaim *claim)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->quotas->lock);

  return claim_of (mail->quotas, rook_quota_find_root (mail->quotas, name), amounts, rule, claim);
}

static void
end_claim (RookQuotaClaim *claim)
{
  for (guint i = 0; i < ROOK_QUOTA_N_RESOURCES; i++)
    {
      claim->root->claimed[i] -= claim->amounts[i];
      claim->amounts[i] = 0;
    }
  g_clear_pointer (&claim->root, rook_quota_root_unref);
}

void
rook_quota_unclaim (RookMail *mail, RookQuotaClaim *claim)
{
  if (claim->root == NULL)
    return;
  rook_mutex_lock (&mail->quotas->lock);
  end_claim (claim);
  rook_mutex_unlock (&mail->quotas->lock);
}

GError *
rook_quota_refuse (RookMail *mail, RookQuotaClaim *claim, RookEntry *entry, RookIdentity *identity)
{
  g_autoptr (RookEntry) root = NULL;

  rook_mutex_lock (&mail->quotas->lock);
  root = rook_entry_ref (claim->root->entry);
  end_claim (claim);
  rook_mutex_unlock (&mail->quotas->lock);
  rook_mail_publish (mail, ROOK_EVENT_QUOTA_EXCEED, entry != NULL ? entry : root, NULL, identity, root->name);
  return g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_QUOTA, "over quota");
}

/* After a failure that nobody knows the end of, the header on the disk has to be asked. */
void
rook_quota_settle (RookMailbox *mailbox, RookQuotaClaim *claim)
{
  RookQuotas *quotas = mailbox->mail->quotas;
  const RookHeader *header = &mailbox->durable.header;
  RookQuotaTotal *total;

  if (claim->root == NULL && g_atomic_int_get (&quotas->n_totals) == 0)
    return;
  rook_mutex_lock (&quotas->lock);
  if (claim->root != NULL)
    end_claim (claim);
  total = g_hash_table_lookup (quotas->totals, mailbox->id);
  if (total != NULL && mailbox->gone)
    set_total (quotas, total, FALSE, 0, 0);
  else if (total != NULL && (!total->is_known || total->messages != header->exists || total->size != header->size))
    set_total (quotas, total, TRUE, header->exists, header->size);
  rook_mutex_unlock (&quotas->lock);
}

gboolean
rook_quota_is_shared (RookMail *mail, const RookEntry *a, const RookEntry *b)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->quotas->lock);

  return root_of (mail->quotas, a->id, a->name) == root_of (mail->quotas, b->id, b->name);
}

/* --- waiting ------------------------------------------------------------------------------------------------------------ */

void
rook_quota_await (RookMail *mail, const char *name, RookMailCallback callback, gpointer data)
{
  RookQuotaRoot *root;
  RookQuotaWaiter *waiter;
  gboolean begin = FALSE;

  rook_mutex_lock (&mail->quotas->lock);
  root = rook_quota_find_root (mail->quotas, name);
  if (root != NULL && !rook_quota_root_is_known (root))
    {
      waiter = g_new0 (RookQuotaWaiter, 1);
      *waiter = (RookQuotaWaiter){ .callback = callback, .data = data, .worker = rook_worker_current () };
      begin = root->waiting == NULL;
      if (begin)
        root->waiting = g_ptr_array_new ();
      g_ptr_array_add (root->waiting, waiter);
      rook_quota_root_ref (root);
    }
  else
    root = NULL;
  rook_mutex_unlock (&mail->quotas->lock);
  if (root == NULL)
    rook_mail_answer_later (callback, data, NULL);
  else if (begin)
    rook_quota_sum (mail, root);
  g_clear_pointer (&root, rook_quota_root_unref);
}

/* --- changes of names --------------------------------------------------------------------------------------------------- */

/* A root has come or gone at @name: what the one above has is to be found out again. */
static void
unsettle_above (RookQuotas *quotas, const char *name)
{
  g_autofree char *parent = rook_name_dup_parent (name);
  RookQuotaRoot *above = parent != NULL ? rook_quota_find_root (quotas, parent) : NULL;

  if (above == NULL)
    return;
  above->walked = FALSE;
  above->structure++;
}

/* Under another name there may be mailboxes below it that it has not counted: they stayed when the one above them was deleted. */
static void
put_root (RookQuotas *quotas, RookQuotaRoot *root, RookEntry *entry)
{
  RookEntry *before = root->entry;

  root->entry = rook_entry_ref (entry);
  g_hash_table_replace (quotas->roots, entry->name, root);
  if (!g_str_equal (before->name, entry->name))
    {
      root->walked = FALSE;
      root->structure++;
      unsettle_above (quotas, entry->name);
    }
  rook_entry_unref (before);
}

static void
add_root (RookQuotas *quotas, RookEntry *entry)
{
  RookQuotaRoot *root = g_new0 (RookQuotaRoot, 1);

  root->ref = 1;
  root->entry = rook_entry_ref (entry);
  g_hash_table_replace (quotas->roots, entry->name, root);
  unsettle_above (quotas, entry->name);
}

/* The root of the mailbox @entry, taken out under its name. (nullable) (transfer full) */
static RookQuotaRoot *
take_root (RookQuotas *quotas, const RookEntry *entry)
{
  RookQuotaRoot *root = g_hash_table_lookup (quotas->roots, entry->name);

  if (root == NULL || !g_str_equal (root->entry->id, entry->id))
    return NULL;
  g_hash_table_steal (quotas->roots, entry->name);
  return root;
}

static void
follow_root (RookMail *mail, const RookEntry *before, RookEntry *after)
{
  RookQuotas *quotas = mail->quotas;
  RookQuotaRoot *root = before != NULL && before->quota != NULL ? take_root (quotas, before) : NULL;
  gboolean is_root = !after->deleted && after->quota != NULL;

  if (root != NULL && is_root)
    put_root (quotas, root, after);
  else if (is_root)
    add_root (quotas, after);
  else if (root != NULL)
    {
      root->gone = TRUE;
      root->structure++;
      unsettle_above (quotas, before->name);
      if (root->waiting == NULL && rook_worker_current () != NULL)
        rook_quota_sum (mail, root);
      rook_quota_root_unref (root);
    }
}

void
rook_quota_follow (RookMail *mail, const RookEntry *before, RookEntry *after)
{
  RookQuotas *quotas = mail->quotas;
  g_autoptr (RookLocker) locker = rook_locker_new (&quotas->lock);
  RookQuotaTotal *total;

  if ((before != NULL && before->quota != NULL) || after->quota != NULL)
    follow_root (mail, before, after);
  if (!after->deleted)
    rook_quota_place (quotas, after, NULL);
  else if ((total = g_hash_table_lookup (quotas->totals, after->id)) != NULL)
    forget_total (quotas, total);
}

void
rook_quota_note_empty (RookMail *mail, const char *id)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->quotas->lock);

  rook_quota_take_header (mail->quotas, id, 0, 0);
}

void
rook_quota_note_stores (RookMail *mail)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->quotas->lock);

  mail->quotas->stores++;
}

void
rook_quota_tell (RookMail *mail)
{
  g_autoptr (GPtrArray) news = NULL;

  if (g_atomic_int_get (&mail->quotas->n_news) == 0)
    return;
  rook_mutex_lock (&mail->quotas->lock);
  news = mail->quotas->news;
  mail->quotas->news = g_ptr_array_new_with_free_func (unref_entry);
  g_atomic_int_set (&mail->quotas->n_news, 0);
  rook_mutex_unlock (&mail->quotas->lock);
  for (guint i = 0; i < news->len; i++)
    {
      const RookEntry *root = g_ptr_array_index (news, i);

      rook_mail_publish (mail, ROOK_EVENT_QUOTA_WITHIN, root, NULL, NULL, root->name);
    }
}

/* --- for verify ----------------------------------------------------------------------------------------------------------- */

static char *
compare_total (RookQuotas *quotas, const char *id, const RookHeader *header)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&quotas->lock);
  const RookQuotaTotal *total = g_hash_table_lookup (quotas->totals, id);

  if (total == NULL || !total->is_known || (total->messages == header->exists && total->size == header->size))
    return NULL;
  return g_strdup_printf ("its quota root counts %u messages of %" G_GUINT64_FORMAT
                          " bytes, its header %u of %" G_GUINT64_FORMAT,
                          total->messages, total->size, header->exists, header->size);
}

/* While it is open its durable head says what counts, and while RookMail.lock is held nobody opens it. */
char *
rook_quota_check_total (RookMail *mail, const char *id, const RookHeader *header)
{
  RookMailbox *mailbox;
  char *text = NULL;

  rook_mutex_lock (&mail->lock);
  mailbox = g_hash_table_lookup (mail->open, id);
  if (mailbox == NULL)
    text = compare_total (mail->quotas, id, header);
  rook_mutex_unlock (&mail->lock);
  if (mailbox == NULL || (mailbox = rook_mail_ref_open (mail, id)) == NULL)
    return text;
  rook_mutex_lock (&mailbox->lock);
  if (!mailbox->gone && mailbox->durable.header.change == header->change)
    text = compare_total (mail->quotas, id, &mailbox->durable.header);
  rook_mutex_unlock (&mailbox->lock);
  rook_mailbox_unref (mailbox);
  return text;
}
