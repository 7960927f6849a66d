/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Append: one message into one mailbox, durable with its blob, its cached structure and, for a delivery, the mark by
 * which a second copy is known: all in one batch.
 */
#include <string.h>

#include "mailbox/box.h"
#include "mailbox/codec.h"

#define RECORD_ROOM 2048 /* bytes of a batch beside bodies: patches, keys, keywords, mark */

typedef struct {
  RookMailbox *mailbox;   /* (owned) */
  RookIdentity *identity; /* (owned) (nullable) */
  RookContent *content;   /* (owned) (nullable) until it is prepared */
  RookWorker *worker;
  RookFlags flags;
  GStrv keywords; /* (nullable) */
  gint64 internal_date;
  gint16 zone_minutes;
  GBytes *mark;     /* (nullable) key of its mark */
  RookEntry *entry; /* (owned) (nullable) the entry, while marks are looked for where it lay before, */
  guint earlier;    /* of which this is the next */
  RookQuotaRule rule;
  RookEventType event;
  char *session;
  RookAppendCallback callback;
  gpointer data;
  guint32 uid; /* once it has one */
} Append;

static void
append_free (gpointer data)
{
  Append *append = data;

  rook_mailbox_unref (append->mailbox);
  g_clear_pointer (&append->identity, rook_identity_unref);
  g_clear_pointer (&append->content, rook_content_unref);
  g_strfreev (append->keywords);
  g_clear_pointer (&append->mark, g_bytes_unref);
  g_clear_pointer (&append->entry, rook_entry_unref);
  g_free (append->session);
  g_free (append);
}

static void run_append (Append *append);
static void look_for_mark (Append *append);

/* --- duplicates in flight --------------------------------------------------------------------------------------- */

static void
answer_duplicate (gpointer data)
{
  Append *append = data;
  RookMailboxStatus status;

  rook_counter_add (append->mailbox->mail->duplicates, 1);
  rook_mailbox_get_status (append->mailbox, NULL, &status);
  append->callback (status.uidvalidity, 0, NULL, append->data);
}

static void
try_again (gpointer data)
{
  look_for_mark (data);
}

/* The delivery that held the key is over: whoever waited is a duplicate, or tries in its place. */
static void
release_key (Append *append, gboolean stored)
{
  RookMailbox *mailbox = append->mailbox;
  g_autoptr (GPtrArray) waiting = NULL;

  if (append->mark == NULL)
    return;
  rook_mutex_lock (&mailbox->lock);
  waiting = g_ptr_array_ref (g_hash_table_lookup (mailbox->deliveries, append->mark));
  g_hash_table_remove (mailbox->deliveries, append->mark);
  rook_mutex_unlock (&mailbox->lock);
  for (guint i = 0; i < waiting->len; i++)
    {
      Append *other = g_ptr_array_index (waiting, i);

      if (stored)
        rook_worker_invoke (other->worker, answer_duplicate, other, append_free);
      else
        rook_worker_invoke (other->worker, try_again, other, NULL);
    }
}

static void
finish (Append *append, guint32 uidvalidity, const GError *error)
{
  release_key (append, error == NULL);
  append->callback (error == NULL ? uidvalidity : 0, error == NULL ? append->uid : 0, error, append->data);
  append_free (append);
}

static void
fail_later (const GError *error, gpointer data)
{
  finish (data, 0, error);
}

static gboolean look_for_earlier_mark (Append *append);

static void
mark_read (GBytes *value, const GError *error, gpointer data)
{
  Append *append = data;

  if (error != NULL)
    {
      g_autoptr (GError) ours = rook_mail_error_from_store (append->mailbox->mail, error);

      finish (append, 0, ours);
    }
  else if (value != NULL)
    {
      release_key (append, TRUE);
      answer_duplicate (append);
      append_free (append);
    }
  else if (!look_for_earlier_mark (append))
    run_append (append);
}

gboolean
rook_mail_marks_count (RookMail *mail, const RookEntry *entry, gint64 now)
{
  g_autoptr (RookMailSettings) settings = rook_mail_ref_settings (mail);

  return entry->moved != 0 && entry->moved + (gint64) (settings->duplicate_life / 1000) >= now;
}

/* Where the mailbox lay before it was moved, unless that is too long ago. %FALSE: there is nothing more to look at. */
static gboolean
look_for_earlier_mark (Append *append)
{
  RookMail *mail = append->mailbox->mail;

  if (append->entry == NULL)
    {
      append->entry = rook_mailbox_ref_entry (append->mailbox);
      append->earlier = 0;
    }
  if (!rook_mail_marks_count (mail, append->entry, g_get_real_time () / G_USEC_PER_SEC))
    return FALSE;
  while (append->entry->earlier != NULL && append->entry->earlier[append->earlier] != NULL)
    {
      RookStore *store = rook_mail_get_store (mail, append->entry->earlier[append->earlier++], NULL);

      if (store == NULL) /* none but that partition knows: it is taken for no duplicate */
        continue;
      rook_store_get (store, ROOK_PART_DUPLICATES, append->mark, mark_read, append);
      return TRUE;
    }
  return FALSE;
}

/* Takes the key, or waits for the outcome of who has it. */
static void
look_for_mark (Append *append)
{
  RookMailbox *mailbox = append->mailbox;
  GPtrArray *waiting;
  RookStore *store;

  g_clear_pointer (&append->entry, rook_entry_unref);
  rook_mutex_lock (&mailbox->lock);
  store = mailbox->place->store;
  waiting = g_hash_table_lookup (mailbox->deliveries, append->mark);
  if (waiting != NULL)
    g_ptr_array_add (waiting, append);
  else
    g_hash_table_insert (mailbox->deliveries, g_bytes_ref (append->mark), g_ptr_array_new ());
  rook_mutex_unlock (&mailbox->lock);
  if (waiting == NULL)
    rook_store_get (store, ROOK_PART_DUPLICATES, append->mark, mark_read, append);
}

/* --- the append itself ------------------------------------------------------------------------------------------ */

static void
append_done (RookCommit *commit, const GError *error, gpointer data)
{
  Append *append = data;

  if (error == NULL)
    rook_counter_add (append->mailbox->mail->appends, 1);
  finish (append, commit->after.header.uidvalidity, error);
}

/* Adds the blobs to @batch; their ids go to @record. */
static void
add_blobs (Append *append, RookBatch *batch, RookRecord *record)
{
  g_autoptr (GBytes) body_key = rook_content_key (append->content->guid, 'b');
  g_autoptr (GBytes) cache_key = rook_content_key (append->content->guid, 'c');
  g_autoptr (GBytes) label =
      rook_make_label (append->mailbox->entry, append->mailbox->pending.header.uidvalidity, record);

  record->blob = rook_batch_blob (batch, ROOK_BLOB_MAIL, body_key, label, append->content->message);
  record->cache = rook_batch_blob (batch, ROOK_BLOB_CACHE, cache_key, label, append->content->cache);
}

static void
add_mark (Append *append, RookBatch *batch)
{
  g_autoptr (GBytes) value = NULL;
  guint8 time[8];

  if (append->mark == NULL)
    return;
  rook_put64 (time, (guint64) g_get_real_time ());
  value = g_bytes_new (time, sizeof time);
  rook_batch_put (batch, ROOK_PART_DUPLICATES, append->mark, value);
}

static gboolean
set_keywords (Append *append, RookCommit *commit, RookRecord *record)
{
  for (guint i = 0; append->keywords != NULL && append->keywords[i] != NULL; i++)
    {
      guint index;

      if (!rook_commit_keyword (commit, append->keywords[i], &index))
        return FALSE;
      record->keywords[index / 64] |= G_GUINT64_CONSTANT (1) << (index % 64);
    }
  return TRUE;
}

/* How many keywords the append would add to the mailbox. With the lock held. */
static gboolean
keywords_fit (Append *append)
{
  RookMailbox *mailbox = append->mailbox;
  guint fresh = 0;

  for (guint i = 0; append->keywords != NULL && append->keywords[i] != NULL; i++)
    {
      gboolean known = FALSE;

      for (guint k = 0; !known && k < mailbox->pending.n_keywords; k++)
        known = g_ascii_strcasecmp (g_ptr_array_index (mailbox->keywords, k), append->keywords[i]) == 0;
      fresh += !known;
    }
  return mailbox->pending.n_keywords + fresh <= ROOK_MAX_KEYWORDS;
}

static void
fill_record (Append *append, RookRecord *record)
{
  RookMailbox *mailbox = append->mailbox;
  gint64 now = g_get_real_time () / G_USEC_PER_SEC;

  *record = (RookRecord){ .uid = mailbox->pending.header.uidnext,
                          .zone_minutes = append->zone_minutes,
                          .internal_date = append->internal_date != 0 ? append->internal_date : now,
                          .save_date = now,
                          .last_updated = now,
                          .size = g_bytes_get_size (append->content->message),
                          .flags = append->flags };
  memcpy (record->guid, append->content->guid, sizeof record->guid);
}

static void
tell_event (Append *append, RookCommit *commit)
{
  RookEvent *event = rook_commit_event (commit, append->event, append->identity, append->session);

  if (event == NULL)
    return;
  event->first_uid = event->last_uid = append->uid;
  event->uids = g_array_new (FALSE, FALSE, sizeof (guint32));
  g_array_append_val (event->uids, append->uid);
}

/* \Seen of somebody who does not own the mailbox goes to their own set. */
static void
move_seen (Append *append, RookCommit *commit, RookRecord *record)
{
  const char *user = rook_mail_find_seen_user (append->mailbox->mail, append->mailbox->entry, append->identity);
  RookSeenSet *set;

  if (user == NULL || (record->flags & ROOK_FLAG_SEEN) == 0)
    return;
  record->flags &= ~(guint32) ROOK_FLAG_SEEN;
  set = g_hash_table_lookup (append->mailbox->seen.pending, user);
  if (set != NULL)
    g_ptr_array_add (commit->seen, rook_seen_set_change (set, &record->uid, 1, TRUE, commit->modseq));
}

static RookQuotaAnswer
claim_room (Append *append, RookQuotaClaim *claim)
{
  const guint64 amounts[ROOK_QUOTA_N_RESOURCES] = {
    [ROOK_QUOTA_STORAGE] = g_bytes_get_size (append->content->message), [ROOK_QUOTA_MESSAGE] = 1
  };

  return rook_quota_claim (append->mailbox, amounts, append->rule, claim);
}

/* With the lock held. @claim: its own, if it is submitted */
static gboolean
submit_append (Append *append, RookQuotaClaim *claim, GError **error)
{
  RookMailbox *mailbox = append->mailbox;
  RookBatch *batch = rook_batch_new (mailbox->place->store);
  g_autoptr (GError) reason = NULL;
  RookCommit *commit;
  RookRecord record;

  fill_record (append, &record);
  add_blobs (append, batch, &record);
  add_mark (append, batch);
  if (!keywords_fit (append) || mailbox->pending.header.uidnext == G_MAXUINT32)
    g_set_error_literal (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_LIMIT, "too many keywords");
  else if (!rook_batch_reserve (batch, RECORD_ROOM, FALSE, &reason))
    g_propagate_error (error, rook_mail_error_from_store (mailbox->mail, reason));
  else
    {
      commit = rook_commit_begin (mailbox, g_steal_pointer (&batch), error);
      if (commit == NULL)
        return FALSE;
      append->uid = record.uid;
      record.modseq = record.created_modseq = commit->modseq;
      record.last_updated = record.save_date = commit->now;
      set_keywords (append, commit, &record);
      move_seen (append, commit, &record);
      rook_commit_append (commit, &record);
      tell_event (append, commit);
      commit->claim = *claim;
      rook_commit_submit (commit, append_done, append);
      return TRUE;
    }
  rook_batch_free (batch);
  return FALSE;
}

static void
page_filled (const GError *error, gpointer data)
{
  if (error != NULL)
    fail_later (error, data);
  else
    run_append (data);
}

/* What of the usage can't be had now is not counted. */
static void
usage_known (const GError *error G_GNUC_UNUSED, gpointer data)
{
  run_append (data);
}

/* With room, or without. */
static void
go_on (Append *append, RookQuotaAnswer answer, RookQuotaClaim *claim, GError *error)
{
  g_autoptr (RookEntry) entry = rook_mailbox_ref_entry (append->mailbox);

  if (answer == ROOK_QUOTA_LATER)
    {
      rook_quota_await (append->mailbox->mail, entry->name, usage_known, append);
      return;
    }
  if (answer == ROOK_QUOTA_OVER)
    error = rook_quota_refuse (append->mailbox->mail, claim, entry, append->identity);
  else
    rook_quota_unclaim (append->mailbox->mail, claim);
  rook_mail_answer_later (fail_later, append, error);
}

static void
run_append (Append *append)
{
  RookQuotaAnswer answer = ROOK_QUOTA_GRANTED;
  RookQuotaClaim claim = { 0 };
  GError *error = NULL;
  GArray *hollow;
  gboolean ok = FALSE;

  rook_mutex_lock (&append->mailbox->lock);
  hollow = rook_mailbox_find_hollow_last (append->mailbox);
  if (hollow == NULL)
    answer = claim_room (append, &claim);
  if (hollow == NULL && answer == ROOK_QUOTA_GRANTED)
    ok = submit_append (append, &claim, &error);
  rook_mutex_unlock (&append->mailbox->lock);
  if (hollow != NULL)
    rook_mailbox_fill (append->mailbox, hollow, page_filled, append);
  else if (!ok)
    go_on (append, answer, &claim, error);
}

/* --- asking ----------------------------------------------------------------------------------------------------- */

static GBytes *
make_mark (RookMailbox *mailbox, const char *key)
{
  g_autoptr (GChecksum) sha256 = g_checksum_new (G_CHECKSUM_SHA256);
  guint8 digest[32];
  gsize length = sizeof digest;

  g_checksum_update (sha256, (const guchar *) mailbox->id, (gssize) strlen (mailbox->id) + 1);
  g_checksum_update (sha256, (const guchar *) key, (gssize) strlen (key));
  g_checksum_get_digest (sha256, digest, &length);
  return g_bytes_new (digest, length);
}

/* What the asker may set at all. */
static void
limit_flags (Append *append, RookRights rights)
{
  append->flags &= ~(RookFlags) ROOK_FLAG_RECENT;
  if ((rights & ROOK_RIGHT_SEEN) == 0)
    append->flags &= ~(RookFlags) ROOK_FLAG_SEEN;
  if ((rights & ROOK_RIGHT_DELETE_MSG) == 0)
    append->flags &= ~(RookFlags) ROOK_FLAG_DELETED;
  if ((rights & ROOK_RIGHT_WRITE) == 0)
    {
      append->flags &= ROOK_FLAG_SEEN | ROOK_FLAG_DELETED;
      g_clear_pointer (&append->keywords, g_strfreev);
    }
}

static RookQuotaRule
rule_of (const RookAppend *request)
{
  if (request->ignore_quota)
    return ROOK_QUOTA_IGNORE;
  return ROOK_STRUCT_HAS (request, RookAppend, may_overshoot) && request->may_overshoot ? ROOK_QUOTA_OVERSHOOT
                                                                                        : ROOK_QUOTA_STRICT;
}

static Append *
append_new (RookMailbox *mailbox, RookIdentity *identity, const RookAppend *request, RookAppendCallback callback,
            gpointer data)
{
  Append *append = g_new0 (Append, 1);

  append->mailbox = rook_mailbox_ref (mailbox);
  append->identity = identity != NULL ? rook_identity_ref (identity) : NULL;
  append->worker = rook_worker_current ();
  append->flags = request->flags;
  append->keywords = g_strdupv ((GStrv) request->keywords);
  append->internal_date = request->internal_date;
  append->zone_minutes = request->zone_minutes;
  append->mark = request->duplicate_key != NULL ? make_mark (mailbox, request->duplicate_key) : NULL;
  append->rule = rule_of (request);
  append->event = request->event;
  append->session = g_strdup (request->session);
  append->callback = callback;
  append->data = data;
  return append;
}

/* With content: checks rights, then takes its way. */
static void
begin_append (Append *append)
{
  RookRights rights = rook_mailbox_rights (append->mailbox, append->identity);

  limit_flags (append, rights);
  if ((rights & ROOK_RIGHT_INSERT) == 0)
    {
      g_clear_pointer (&append->mark, g_bytes_unref);
      rook_mail_answer_later (
          fail_later, append,
          g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NO_PERMISSION, "permission denied"));
    }
  else if (append->mark != NULL)
    look_for_mark (append);
  else
    run_append (append);
}

static void
content_ready (RookContent *content, const GError *error, gpointer data)
{
  Append *append = data;

  if (error != NULL)
    {
      g_clear_pointer (&append->mark, g_bytes_unref);
      finish (append, 0, error);
      return;
    }
  append->content = rook_content_ref (content);
  begin_append (append);
}

void
rook_mailbox_append (RookMailbox *mailbox, RookIdentity *identity, const RookAppend *append,
                     RookAppendCallback callback, gpointer data)
{
  g_return_if_fail (append->message != NULL);
  rook_content_prepare (mailbox->mail, append->message, content_ready,
                        append_new (mailbox, identity, append, callback, data));
}

void
rook_mailbox_append_content (RookMailbox *mailbox, RookIdentity *identity, RookContent *content,
                             const RookAppend *append, RookAppendCallback callback, gpointer data)
{
  Append *self = append_new (mailbox, identity, append, callback, data);

  self->content = rook_content_ref (content);
  begin_append (self);
}
