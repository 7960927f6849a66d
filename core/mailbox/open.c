/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening: one object for all who use the same mailbox, kept for a while when nobody does.
 */
#include "mailbox/box.h"

typedef struct {
  RookMail *mail; /* (unowned) */
  RookWorker *worker;
  RookMailOpenCallback callback;
  gpointer data;
  RookMailbox *mailbox; /* (owned) (nullable) a reference for the callback */
  GError *error;
} Opening;

/* --- objects ---------------------------------------------------------------------------------------------------- */

RookMailbox *
rook_mailbox_new (RookMail *mail, RookEntry *entry, RookPartition *partition)
{
  RookMailbox *mailbox = g_new0 (RookMailbox, 1);

  mailbox->mail = mail;
  mailbox->ref = 1;
  mailbox->id = g_strdup (entry->id);
  mailbox->idle_link.data = mailbox;
  mailbox->entry = rook_entry_ref (entry);
  mailbox->place = rook_place_new (partition);
  mailbox->held_back = g_ptr_array_new ();
  mailbox->keywords = g_ptr_array_new_with_free_func (g_free);
  mailbox->views = g_ptr_array_new ();
  mailbox->fills = g_ptr_array_new ();
  mailbox->deliveries = g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref,
                                               (GDestroyNotify) g_ptr_array_unref);
  rook_seen_table_init (&mailbox->seen);
  rook_mutex_init (&mailbox->lock);
  rook_gauge_add (mail->n_open, 1);
  return mailbox;
}

void
rook_mailbox_free (RookMailbox *mailbox)
{
  g_assert (mailbox->in_flight == 0 && mailbox->views->len == 0);
  rook_gauge_add (mailbox->mail->n_open, -1);
  rook_head_clear (&mailbox->durable);
  rook_head_clear (&mailbox->pending);
  rook_entry_unref (mailbox->entry);
  rook_place_unref (mailbox->place);
  g_ptr_array_unref (mailbox->held_back);
  g_ptr_array_unref (mailbox->keywords);
  g_ptr_array_unref (mailbox->views);
  g_ptr_array_unref (mailbox->fills);
  g_hash_table_unref (mailbox->deliveries);
  rook_seen_table_clear (&mailbox->seen);
  rook_mutex_clear (&mailbox->lock);
  g_free (mailbox->id);
  g_free (mailbox);
}

RookMailbox *
rook_mailbox_ref (RookMailbox *mailbox)
{
  g_atomic_int_inc (&mailbox->ref);
  return mailbox;
}

/* With RookMail.lock held: one more user, who may be the first. */
static RookMailbox *
take_ref (RookMailbox *mailbox)
{
  if (mailbox->is_idle)
    {
      g_queue_unlink (&mailbox->mail->idle, &mailbox->idle_link);
      mailbox->is_idle = FALSE;
    }
  return rook_mailbox_ref (mailbox);
}

/* With RookMail.lock held: it is no longer to be found. */
static void
unlist (RookMailbox *mailbox)
{
  if (mailbox->is_listed)
    g_hash_table_remove (mailbox->mail->open, mailbox->id);
  mailbox->is_listed = FALSE;
  if (mailbox->is_idle)
    g_queue_unlink (&mailbox->mail->idle, &mailbox->idle_link);
  mailbox->is_idle = FALSE;
}

void
rook_mailbox_unref (RookMailbox *mailbox)
{
  RookMail *mail = mailbox->mail;
  RookMailbox *cold = NULL;

  rook_mutex_lock (&mail->lock);
  if (g_atomic_int_dec_and_test (&mailbox->ref))
    {
      if (!mailbox->is_listed || mail->closing)
        {
          unlist (mailbox);
          cold = mailbox;
        }
      else
        {
          g_queue_push_tail_link (&mail->idle, &mailbox->idle_link);
          mailbox->is_idle = TRUE;
          if (mail->idle.length > mail->settings->open_cache || rook_mail_has_too_many_pages (mail))
            {
              cold = g_queue_peek_head (&mail->idle);
              unlist (cold);
            }
        }
    }
  rook_mutex_unlock (&mail->lock);
  g_clear_pointer (&cold, rook_mailbox_free);
}

/* With RookMail.lock held: each time another of those that are open. (nullable) (transfer full) */
static RookMailbox *
ref_next (RookMail *mail)
{
  guint at = 0, wanted = mail->trim_hand++ % MAX (1, g_hash_table_size (mail->open));
  GHashTableIter iter;
  gpointer value = NULL;

  g_hash_table_iter_init (&iter, mail->open);
  while (g_hash_table_iter_next (&iter, NULL, &value) && at++ < wanted)
    continue;
  return value != NULL && ((RookMailbox *) value)->waiting == NULL ? take_ref (value) : NULL;
}

void
rook_mail_free_coldest (RookMail *mail)
{
  RookMailbox *cold, *other = NULL;

  if (!rook_mail_has_too_many_pages (mail))
    return;
  rook_mutex_lock (&mail->lock);
  cold = g_queue_peek_head (&mail->idle);
  if (cold != NULL)
    unlist (cold);
  else
    other = ref_next (mail);
  rook_mutex_unlock (&mail->lock);
  g_clear_pointer (&cold, rook_mailbox_free);
  if (other == NULL)
    return;
  rook_mutex_lock (&other->lock);
  rook_mailbox_trim (other);
  rook_mutex_unlock (&other->lock);
  rook_mailbox_unref (other);
}

RookMailbox *
rook_mail_ref_open (RookMail *mail, const char *id)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->lock);
  RookMailbox *mailbox = g_hash_table_lookup (mail->open, id);

  return mailbox != NULL && mailbox->waiting == NULL ? take_ref (mailbox) : NULL;
}

void
rook_mailbox_detach (RookMailbox *mailbox)
{
  rook_mutex_lock (&mailbox->mail->lock);
  unlist (mailbox);
  rook_mutex_unlock (&mailbox->mail->lock);
  rook_mutex_lock (&mailbox->lock);
  mailbox->gone = TRUE;
  rook_mailbox_notify (mailbox);
  rook_mutex_unlock (&mailbox->lock);
}

GError *
rook_mailbox_make_gone_error (RookMailbox *mailbox)
{
  if (mailbox->entry->deleted)
    return g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_FOUND, "the mailbox is gone");
  return g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_TEMPORARY, "storage trouble, try again later");
}

void
rook_mailbox_set_entry (RookMailbox *mailbox, RookEntry *entry)
{
  RookEntry *before;
  guint stamp;

  rook_mutex_lock (&mailbox->lock);
  before = mailbox->entry;
  stamp = mailbox->rights_stamp;
  mailbox->entry = rook_entry_ref (entry);
  if (!g_str_equal (before->acl, entry->acl) || g_strcmp0 (before->owner, entry->owner) != 0)
    mailbox->rights_stamp++;
  if (mailbox->rights_stamp != stamp || before->uidvalidity != entry->uidvalidity)
    rook_mailbox_notify (mailbox); /* who may read again has something to be told, and whose view is gone */
  rook_mutex_unlock (&mailbox->lock);
  rook_entry_unref (before);
}

RookEntry *
rook_mailbox_ref_entry (RookMailbox *mailbox)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mailbox->lock);

  return rook_entry_ref (mailbox->entry);
}

RookRights
rook_mailbox_rights (RookMailbox *mailbox, RookIdentity *identity)
{
  g_autoptr (RookEntry) entry = rook_mailbox_ref_entry (mailbox);

  return rook_entry_get_rights (entry, identity);
}

guint32
rook_mailbox_get_uidvalidity (RookMailbox *mailbox)
{
  return MAX (mailbox->entry->uidvalidity, mailbox->durable.header.uidvalidity);
}

const char *
rook_mail_find_seen_user (RookMail *mail, const RookEntry *entry, RookIdentity *identity)
{
  const char *key;

  if (identity == NULL || g_strcmp0 (entry->owner, rook_identity_get_user (identity)) == 0)
    return NULL;
  key = rook_users_find_key (mail->users, rook_identity_get_user (identity));
  return key != NULL ? key : "";
}

const char *
rook_mailbox_seen_user (RookMailbox *mailbox, RookIdentity *identity)
{
  g_autoptr (RookEntry) entry = rook_mailbox_ref_entry (mailbox);

  return rook_mail_find_seen_user (mailbox->mail, entry, identity);
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

void
rook_mail_doubt (RookMail *mail, const char *id)
{
  RookMailbox *mailbox;

  rook_mutex_lock (&mail->lock);
  g_hash_table_add (mail->doubtful, g_strdup (id));
  rook_mutex_unlock (&mail->lock);
  mailbox = rook_mail_ref_open (mail, id);
  if (mailbox != NULL)
    rook_mailbox_detach (mailbox);
  g_clear_pointer (&mailbox, rook_mailbox_unref);
}

/* With RookMail.lock held. (nullable) (transfer full) */
static GError *
find_doubt (RookMail *mail, const char *id)
{
  RookStore *state = rook_mail_get_state (mail);

  if (state == NULL || !g_hash_table_contains (mail->doubtful, id))
    return NULL;
  if (rook_store_get_state (state) == ROOK_STORE_RECOVERING)
    return g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_TEMPORARY, "storage trouble, try again later");
  g_hash_table_remove (mail->doubtful, id);
  return NULL;
}

static void
answer_opening (gpointer data)
{
  Opening *opening = data;

  opening->callback (g_steal_pointer (&opening->mailbox), opening->error, opening->data);
}

static void
free_opening (gpointer data)
{
  Opening *opening = data;

  g_clear_pointer (&opening->mailbox, rook_mailbox_unref);
  g_clear_error (&opening->error);
  g_free (opening);
}

static void
send_answer (Opening *opening)
{
  rook_worker_invoke (opening->worker, answer_opening, opening, free_opening);
}

/* With RookMail.lock held: what became of its name while it was loaded, when nobody could tell it. @error: (transfer full)
 * (nullable) Returns the same, or that it is not there any more. */
static GError *
catch_up (RookMailbox *mailbox, GError *error)
{
  RookEntry *entry = rook_names_find_id (mailbox->mail, mailbox->id);

  if (entry != NULL && !entry->deleted)
    {
      rook_mailbox_set_entry (mailbox, entry);
      return error;
    }
  g_clear_error (&error);
  return g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_FOUND, "the mailbox is gone");
}

/* Everybody who waited gets the mailbox, or the error. */
static void
loaded (RookMailbox *mailbox, GError *error, gpointer data)
{
  RookMail *mail = mailbox->mail;
  g_autoptr (GPtrArray) waiting = NULL;

  (void) data;
  rook_mutex_lock (&mail->lock);
  error = catch_up (mailbox, error);
  if (error == NULL)
    error = find_doubt (mail, mailbox->id);
  waiting = g_steal_pointer (&mailbox->waiting);
  if (error != NULL)
    unlist (mailbox);
  for (guint i = 0; error == NULL && i < waiting->len; i++)
    ((Opening *) g_ptr_array_index (waiting, i))->mailbox = take_ref (mailbox);
  rook_mutex_unlock (&mail->lock);
  for (guint i = 0; i < waiting->len; i++)
    {
      Opening *opening = g_ptr_array_index (waiting, i);

      opening->error = error != NULL ? g_error_copy (error) : NULL;
      send_answer (opening);
    }
  g_clear_error (&error);
  rook_mailbox_unref (mailbox);
}

/* With RookMail.lock held: where the mailbox is now, by the names: it may have been moved since the caller looked at them.
 * (nullable) NULL: *@error */
static RookPartition *
find_place (RookMail *mail, RookEntry **entry, GError **error)
{
  RookEntry *now = rook_names_find_id (mail, (*entry)->id);

  if (now != NULL)
    *entry = now;
  if ((*entry)->deleted)
    *error = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_FOUND, "the mailbox is gone");
  else
    *error = find_doubt (mail, (*entry)->id);
  if (*error != NULL || rook_mail_get_store (mail, (*entry)->partition, error) == NULL)
    return NULL;
  return rook_mail_find_partition (mail, (*entry)->partition);
}

/* With RookMail.lock held: makes @opening wait for the mailbox, or gives it. (nullable) one that is to be loaded. */
static RookMailbox *
take_open (Opening *opening, RookEntry *entry, RookPartition *partition)
{
  RookMail *mail = opening->mail;
  RookMailbox *load = NULL, *mailbox = g_hash_table_lookup (mail->open, entry->id);

  if (mailbox == NULL)
    {
      load = mailbox = rook_mailbox_new (mail, entry, partition);
      mailbox->waiting = g_ptr_array_new ();
      mailbox->is_listed = TRUE;
      g_hash_table_insert (mail->open, mailbox->id, mailbox);
    }
  if (mailbox->waiting != NULL)
    g_ptr_array_add (mailbox->waiting, opening);
  else
    opening->mailbox = take_ref (mailbox);
  return load;
}

void
rook_mailbox_open_entry (RookMail *mail, RookEntry *entry, RookMailOpenCallback callback, gpointer data)
{
  Opening *opening = g_new0 (Opening, 1);
  RookPartition *partition;
  RookMailbox *load = NULL;
  gboolean is_answered;

  *opening = (Opening){ .mail = mail, .worker = rook_worker_current (), .callback = callback, .data = data };
  rook_mutex_lock (&mail->lock);
  partition = find_place (mail, &entry, &opening->error);
  if (partition != NULL)
    load = take_open (opening, entry, partition);
  is_answered = opening->mailbox != NULL || opening->error != NULL;
  rook_mutex_unlock (&mail->lock);
  if (load != NULL)
    rook_mailbox_load (load, loaded, NULL);
  else if (is_answered)
    send_answer (opening);
}

/* --- the public call: rights, and the asker's \Seen ------------------------------------------------------------- */

typedef struct {
  RookIdentity *identity; /* (owned) (nullable) */
  RookMailbox *mailbox;   /* (owned) while its \Seen is being read, */
  RookPlace *place;       /* (owned) (nullable) here */
  char *user;
  RookMailOpenCallback callback;
  gpointer data;
} UserOpening;

static void
answer_user (UserOpening *opening, const GError *error)
{
  opening->callback (error == NULL ? g_steal_pointer (&opening->mailbox) : NULL, error, opening->data);
  g_clear_pointer (&opening->mailbox, rook_mailbox_unref);
  g_clear_pointer (&opening->place, rook_place_unref);
  g_clear_pointer (&opening->identity, rook_identity_unref);
  g_free (opening->user);
  g_free (opening);
}

static void
seen_read (GBytes *value, const GError *error, gpointer data)
{
  UserOpening *opening = data;
  RookMailbox *mailbox = opening->mailbox;
  g_autoptr (GError) ours = error != NULL ? rook_mail_error_from_store (mailbox->mail, error) : NULL;

  if (ours == NULL)
    {
      RookSeenSet *set = value != NULL ? rook_seen_set_decode (opening->user, value) : NULL;

      if (set == NULL && value != NULL)
        rook_log_event (rook_server_get_log (mailbox->mail->server), ROOK_LOG_ERROR, "mailbox.damaged", "id",
                        mailbox->id, "partition", opening->place->partition->name, "user", opening->user, "reason",
                        "what the user has seen does not read, and is taken for nothing", NULL);
      if (set == NULL)
        set = rook_seen_set_new (opening->user);
      rook_mutex_lock (&mailbox->lock);
      if (g_hash_table_lookup (mailbox->seen.durable, opening->user) == NULL)
        rook_seen_table_put (mailbox->seen.durable, set);
      if (g_hash_table_lookup (mailbox->seen.pending, opening->user) == NULL)
        rook_seen_table_put (mailbox->seen.pending, set);
      rook_mutex_unlock (&mailbox->lock);
      rook_seen_set_unref (set);
    }
  answer_user (opening, ours);
}

static void
user_needed (const char *user, const GError *error, gpointer data)
{
  UserOpening *opening = data;
  RookMailbox *mailbox = opening->mailbox;
  g_autoptr (GBytes) key = NULL;
  gboolean known = TRUE;

  if (error == NULL)
    {
      rook_mutex_lock (&mailbox->lock);
      known = g_hash_table_contains (mailbox->seen.pending, user);
      rook_mutex_unlock (&mailbox->lock);
    }
  if (known)
    {
      answer_user (opening, error);
      return;
    }
  opening->user = g_strdup (user);
  key = rook_seen_key (mailbox->id, user);
  opening->place = rook_mailbox_ref_place (mailbox);
  rook_store_get (opening->place->store, ROOK_PART_SEEN, key, seen_read, opening);
}

static void
opened_for_user (RookMailbox *mailbox, const GError *error, gpointer data)
{
  UserOpening *opening = data;

  opening->mailbox = mailbox;
  if (error != NULL || rook_mailbox_seen_user (mailbox, opening->identity) == NULL)
    answer_user (opening, error);
  else
    rook_mail_need_user (mailbox->mail, rook_identity_get_user (opening->identity), user_needed, opening);
}

static void
refuse (const GError *error, gpointer data)
{
  answer_user (data, error);
}

void
rook_mail_open (RookMail *mail, RookIdentity *identity, const char *name, RookMailOpenCallback callback, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (RookEntry) entry = rook_mail_check_entry (mail, identity, name, 0, &error);
  UserOpening *opening = g_new0 (UserOpening, 1);
  RookRights rights = entry != NULL ? rook_entry_get_rights (entry, identity) : 0;

  *opening = (UserOpening){ .identity = identity != NULL ? rook_identity_ref (identity) : NULL,
                            .callback = callback,
                            .data = data };
  if (entry != NULL && (rights & ROOK_RIGHTS_USE) == 0)
    {
      gboolean visible = (rights & ROOK_RIGHT_LOOKUP) != 0;

      error = g_error_new_literal (ROOK_MAIL_ERROR, visible ? ROOK_MAIL_ERROR_NO_PERMISSION : ROOK_MAIL_ERROR_NOT_FOUND,
                                   visible ? "permission denied" : "no such mailbox");
    }
  if (error != NULL)
    rook_mail_answer_later (refuse, opening, g_steal_pointer (&error));
  else
    rook_mailbox_open_entry (mail, entry, opened_for_user, opening);
}

/* --- questions -------------------------------------------------------------------------------------------------- */

const char *
rook_mailbox_get_id (RookMailbox *mailbox)
{
  return mailbox->id;
}

char *
rook_mailbox_dup_name (RookMailbox *mailbox)
{
  g_autoptr (RookEntry) entry = rook_mailbox_ref_entry (mailbox);

  return g_strdup (entry->name);
}

char *
rook_mailbox_get_rights (RookMailbox *mailbox, RookIdentity *identity)
{
  return rook_rights_to_text (rook_mailbox_rights (mailbox, identity));
}

const char *
rook_mailbox_get_keyword (RookMailbox *mailbox, guint index)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mailbox->lock);

  return index < mailbox->durable.n_keywords ? g_ptr_array_index (mailbox->keywords, index) : NULL;
}

/* Where the owner's first message lies that is not seen: its sequence number; 0: there is none. Summaries tell. */
static guint
find_unseen (const RookHead *head)
{
  guint before = 0;

  for (guint p = 0; head->header.unseen > 0 && p < head->pages->len; p++)
    {
      const RookSummary *summary = &rook_head_page (head, p)->summary;

      if (summary->unseen != 0)
        {
          guint64 below = (summary->unseen & -summary->unseen) - 1; /* the records before the first */

          return before + (guint) __builtin_popcountll (summary->live & below) + 1;
        }
      before += (guint) __builtin_popcountll (summary->live);
    }
  return 0;
}

/* The same for a user with a set of seen uids: its gaps are looked for in the list of uids. *@out_unseen: how many there are. */
static guint
find_unseen_by (const RookUids *uids, const RookSeenSet *seen, guint *out_unseen)
{
  guint first = 0, n_seen = 0, next = 0; /* next: where the first message lies that no range so far has */

  for (guint i = 0; i + 1 < seen->ranges->len; i += 2)
    {
      guint begin = rook_uids_find (uids, g_array_index (seen->ranges, guint32, i));
      guint32 last = g_array_index (seen->ranges, guint32, i + 1);
      guint end = last == G_MAXUINT32 ? uids->n : rook_uids_find (uids, last + 1);

      if (first == 0 && begin > next)
        first = next + 1;
      n_seen += end - begin;
      next = end;
    }
  if (first == 0 && next < uids->n)
    first = next + 1;
  *out_unseen = uids->n - n_seen;
  return first;
}

/* With the lock held. */
static void
fill_status (RookMailbox *mailbox, RookMailboxStatus *out)
{
  const RookHead *head = &mailbox->durable;

  *out = (RookMailboxStatus){
    .uidvalidity = rook_mailbox_get_uidvalidity (mailbox),
    .uidnext = head->header.uidnext,
    .messages = head->header.exists,
    .recent = head->uids.n - rook_uids_find (&head->uids, mailbox->claimed + 1),
    .unseen = head->header.unseen,
    .deleted = head->header.deleted,
    .highest_modseq = head->header.highest_modseq,
    .size = head->header.size,
  };
}

/* What a user has seen is a long list, perhaps: it is gone through without the lock. */
void
rook_mailbox_get_status (RookMailbox *mailbox, RookIdentity *identity, RookMailboxStatus *out_status)
{
  gboolean may_read = (rook_mailbox_rights (mailbox, identity) & ROOK_RIGHT_READ) != 0;
  const char *user = rook_mailbox_seen_user (mailbox, identity);
  RookSeenSet *seen;
  RookUids uids = { 0 };

  if (!may_read)
    {
      *out_status = (RookMailboxStatus){ 0 };
      return;
    }
  rook_mutex_lock (&mailbox->lock);
  fill_status (mailbox, out_status);
  seen = user != NULL ? g_hash_table_lookup (mailbox->seen.durable, user) : NULL;
  if (seen != NULL)
    {
      rook_seen_set_ref (seen);
      uids = rook_uids_copy (&mailbox->durable.uids);
    }
  else
    out_status->first_unseen = find_unseen (&mailbox->durable);
  rook_mutex_unlock (&mailbox->lock);
  if (seen == NULL)
    return;
  out_status->first_unseen = find_unseen_by (&uids, seen, &out_status->unseen);
  rook_uids_clear (&uids);
  rook_seen_set_unref (seen);
}

void
rook_mailbox_notify (RookMailbox *mailbox)
{
  for (guint i = 0; i < mailbox->views->len; i++)
    rook_view_wake (g_ptr_array_index (mailbox->views, i));
}
