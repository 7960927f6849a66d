/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The destination's part of a copy: all of it in one batch, prepared before the lock is taken.
 *
 * A move expunges at the source once the copies are durable: a crash in between leaves two copies, never none.
 */
#include "mailbox/copy.h"

#define MAX_ATTEMPTS 3 /* at having all prepared before the lock is taken, on a mailbox that others append to */

/* What of the asker decides about the copies: to be found out before the lock is taken. */
typedef struct {
  RookRights rights;
  const char *seen_user; /* (nullable) */
  RookEntry *source;     /* (owned) */
  RookEntry *dest;       /* (owned) */
} CopyTerms;

/* --- before the lock is taken: blobs, labels, and uids as they will be unless somebody else appends ------------- */

static RookFlags
allowed_flags (RookRights rights)
{
  return ((rights & ROOK_RIGHT_SEEN) != 0 ? ROOK_FLAG_SEEN : 0)
         | ((rights & ROOK_RIGHT_DELETE_MSG) != 0 ? ROOK_FLAG_DELETED : 0)
         | ((rights & ROOK_RIGHT_WRITE) != 0 ? ROOK_FLAG_ANSWERED | ROOK_FLAG_FLAGGED | ROOK_FLAG_DRAFT : 0);
}

/* The body and its cache under new ids: shared in one store, written in another. */
static void
add_blobs (RookCopy *copy, const CopyTerms *terms, RookBatch *batch, guint i, RookRecord *record)
{
  const RookRecord *from = rook_copy_record_at (copy, i);
  g_autoptr (GBytes) label = rook_make_label (terms->dest, terms->dest->uidvalidity, record);

  if (copy->bodies == NULL)
    {
      record->blob = rook_batch_share (batch, from->blob, label);
      record->cache = rook_batch_share (batch, from->cache, label);
    }
  else
    {
      g_autoptr (GBytes) body_key = rook_content_key (from->guid, 'b'), cache_key = rook_content_key (from->guid, 'c');

      record->blob = rook_batch_blob (batch, ROOK_BLOB_MAIL, body_key, label, g_ptr_array_index (copy->bodies, i));
      record->cache = rook_batch_blob (batch, ROOK_BLOB_CACHE, cache_key, label, g_ptr_array_index (copy->caches, i));
    }
}

static void
prepare (RookCopy *copy, const CopyTerms *terms, RookBatch *batch, guint32 uidnext)
{
  RookFlags may = allowed_flags (terms->rights);
  gint64 now = g_get_real_time () / G_USEC_PER_SEC;

  g_array_set_size (copy->prepared, 0);
  g_array_set_size (copy->seen, 0);
  for (guint i = 0; i < copy->records->len; i++)
    {
      RookRecord record = *rook_copy_record_at (copy, i);

      record.uid = uidnext + i;
      record.save_date = now;
      record.flags &= 0x1f & may;
      if (terms->seen_user != NULL && (record.flags & ROOK_FLAG_SEEN) != 0)
        {
          record.flags &= ~(guint32) ROOK_FLAG_SEEN;
          g_array_append_val (copy->seen, record.uid);
        }
      add_blobs (copy, terms, batch, i, &record);
      g_array_append_val (copy->prepared, record);
    }
}

static guint32
read_uidnext (RookMailbox *mailbox)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mailbox->lock);

  return mailbox->pending.header.uidnext;
}

/* --- and with the lock ------------------------------------------------------------------------------------------ */

static void
source_expunged (const GError *error, gpointer data)
{
  rook_copy_finish (data, error);
}

static void
copies_durable (RookCommit *commit, const GError *error, gpointer data)
{
  RookCopy *copy = data;

  if (error != NULL || !copy->move)
    {
      copy->uidvalidity = commit->after.header.uidvalidity;
      rook_copy_finish (copy, error);
      return;
    }
  copy->uidvalidity = commit->after.header.uidvalidity;
  rook_mailbox_expunge (copy->source, copy->identity, (guint32 *) (gpointer) copy->source_uids->data,
                        copy->source_uids->len, FALSE, ROOK_EVENT_MESSAGE_EXPUNGE, source_expunged, copy);
}

/* The bits of the destination for those of the source; keywords that do not fit, or may not be set, are left behind. */
static void
map_keywords (RookCopy *copy, RookCommit *commit, gboolean may, gint *map)
{
  guint64 used[ROOK_MAX_KEYWORDS / 64] = { 0 };
  guint index;

  for (guint i = 0; i < copy->records->len; i++)
    for (guint k = 0; k < G_N_ELEMENTS (used); k++)
      used[k] |= rook_copy_record_at (copy, i)->keywords[k];
  for (guint k = 0; k < ROOK_MAX_KEYWORDS; k++)
    {
      map[k] = -1;
      if (may && (used[k / 64] >> (k % 64) & 1) != 0 && k < g_strv_length (copy->keywords)
          && rook_commit_keyword (commit, copy->keywords[k], &index))
        map[k] = (gint) index;
    }
}

/* @from's keywords, as bits of the destination. */
static void
set_keywords (RookRecord *record, const RookRecord *from, const gint *map)
{
  memset (record->keywords, 0, sizeof record->keywords);
  for (guint w = 0; w < G_N_ELEMENTS (from->keywords); w++)
    for (guint64 bits = from->keywords[w]; bits != 0; bits &= bits - 1)
      {
        gint k = map[w * 64 + (guint) __builtin_ctzll (bits)];

        if (k >= 0)
          record->keywords[k / 64] |= G_GUINT64_CONSTANT (1) << (k % 64);
      }
}

static void
add_event (RookCopy *copy, RookCommit *commit, const char *source_name)
{
  RookEvent *event =
      rook_commit_event (commit, copy->move ? ROOK_EVENT_MESSAGE_MOVE : ROOK_EVENT_MESSAGE_COPY, copy->identity, NULL);

  if (event == NULL)
    return;
  event->old_mailbox_name = g_strdup (source_name);
  event->first_uid = g_array_index (copy->dest_uids, guint32, 0);
  event->last_uid = g_array_index (copy->dest_uids, guint32, copy->dest_uids->len - 1);
  event->uids = g_array_copy (copy->dest_uids);
}

/* The asker's \Seen, where it is not in the records there. With the lock held. */
static void
add_seen (RookCopy *copy, RookCommit *commit, const char *user)
{
  RookSeenSet *set = user != NULL ? g_hash_table_lookup (copy->dest->seen.pending, user) : NULL;

  if (set != NULL && copy->seen->len > 0)
    g_ptr_array_add (commit->seen, rook_seen_set_change (set, (guint32 *) (gpointer) copy->seen->data, copy->seen->len,
                                                         TRUE, commit->modseq));
}

/* With the lock held: what is left to do for each is little. */
static void
fill_commit (RookCopy *copy, RookCommit *commit, RookRights rights, const char *seen_user)
{
  gint map[ROOK_MAX_KEYWORDS];

  map_keywords (copy, commit, (rights & ROOK_RIGHT_WRITE) != 0, map);
  for (guint i = 0; i < copy->prepared->len; i++)
    {
      RookRecord *record = &g_array_index (copy->prepared, RookRecord, i);

      record->created_modseq = record->modseq = commit->modseq;
      record->last_updated = commit->now;
      set_keywords (record, rook_copy_record_at (copy, i), map);
      rook_commit_append (commit, record);
      g_array_append_val (copy->source_uids, rook_copy_record_at (copy, i)->uid);
      g_array_append_val (copy->dest_uids, record->uid);
    }
  add_seen (copy, commit, seen_user);
}

/* With the lock of the destination held. What is moved below one root brings nothing there. */
static RookQuotaAnswer
claim_room (RookCopy *copy, const CopyTerms *terms, RookQuotaClaim *claim)
{
  gboolean stays = copy->move && rook_quota_is_shared (copy->dest->mail, terms->source, copy->dest->entry);
  guint64 amounts[ROOK_QUOTA_N_RESOURCES] = { [ROOK_QUOTA_MESSAGE] = copy->records->len };

  for (guint i = 0; i < copy->records->len; i++)
    amounts[ROOK_QUOTA_STORAGE] += rook_copy_record_at (copy, i)->size;
  return rook_quota_claim (copy->dest, amounts, stays ? ROOK_QUOTA_IGNORE : ROOK_QUOTA_STRICT, claim);
}

/* With the lock of the destination held. %FALSE: nothing was submitted. @batch: (transfer full) */
static gboolean
submit_copies (RookCopy *copy, const CopyTerms *terms, RookBatch *batch, RookQuotaClaim *claim, GError **error)
{
  RookCommit *commit = rook_commit_begin (copy->dest, batch, error);

  if (commit == NULL)
    return FALSE;
  fill_commit (copy, commit, terms->rights, terms->seen_user);
  add_event (copy, commit, terms->source->name);
  commit->claim = *claim;
  rook_commit_submit (commit, copies_durable, copy);
  return TRUE;
}

/* --- attempts ---------------------------------------------------------------------------------------------------- */

static void
page_filled (const GError *error, gpointer data)
{
  if (error != NULL)
    rook_copy_finish (data, error);
  else
    rook_copy_write (data);
}

/* A batch of @store with room for them all. %NULL: there is none. */
static RookBatch *
reserve_batch (RookCopy *copy, RookStore *store, GError **error)
{
  RookBatch *batch = rook_batch_new (store);
  guint64 room = 4096 + (guint64) copy->records->len * 2048;
  g_autoptr (GError) reason = NULL;

  for (guint i = 0; copy->bodies != NULL && i < copy->bodies->len; i++)
    room += 2 * g_bytes_get_size (g_ptr_array_index (copy->bodies, i));
  if (rook_batch_reserve (batch, room, FALSE, &reason))
    return batch;
  g_propagate_error (error, rook_mail_error_from_store (copy->dest->mail, reason));
  rook_batch_free (batch);
  return NULL;
}

/* What of the usage can't be had now is not counted. */
static void
usage_known (const GError *error G_GNUC_UNUSED, gpointer data)
{
  rook_copy_write (data);
}

/* Nothing was submitted. */
static void
go_on (RookCopy *copy, RookQuotaAnswer answer, RookQuotaClaim *claim, GError *error)
{
  g_autoptr (RookEntry) dest = rook_mailbox_ref_entry (copy->dest);

  if (answer == ROOK_QUOTA_LATER)
    {
      rook_quota_await (copy->dest->mail, dest->name, usage_known, copy);
      return;
    }
  if (answer == ROOK_QUOTA_OVER)
    error = rook_quota_refuse (copy->dest->mail, claim, dest, copy->identity);
  else
    rook_quota_unclaim (copy->dest->mail, claim);
  rook_mail_answer_later (rook_copy_fail, copy, error);
}

/* How far one attempt has come. */
typedef struct {
  gboolean submitted, was_late; /* it was late: others have appended what it was prepared to */
  gboolean moved_away;          /* the destination lies elsewhere, and bodies have to be reached in another way */
  GArray *hollow;               /* (nullable) what has to be filled first */
  RookQuotaAnswer answer;
  RookQuotaClaim claim;
  GError *error; /* (nullable) */
} Attempt;

/* With the lock of the destination held. @batch: (transfer full) of @store */
static void
try_submit (RookCopy *copy, const CopyTerms *terms, RookStore *store, RookBatch *batch, guint32 uidnext, Attempt *out)
{
  gboolean may;

  out->moved_away = copy->dest->place->store != store;
  out->hollow = out->moved_away ? NULL : rook_mailbox_find_hollow_last (copy->dest);
  out->was_late = !out->moved_away && out->hollow == NULL && copy->dest->pending.header.uidnext != uidnext;
  may = !out->moved_away && out->hollow == NULL && !out->was_late;
  if (may)
    out->answer = claim_room (copy, terms, &out->claim);
  if (may && out->answer == ROOK_QUOTA_GRANTED)
    out->submitted = submit_copies (copy, terms, g_steal_pointer (&batch), &out->claim, &out->error);
  g_clear_pointer (&batch, rook_batch_free);
}

/* @under_lock: nobody else comes in between. */
static void
attempt (RookCopy *copy, const CopyTerms *terms, gboolean under_lock, Attempt *out)
{
  g_autoptr (RookPlace) place = rook_mailbox_ref_place (copy->dest);
  RookBatch *batch = NULL;
  guint32 uidnext;

  out->moved_away = copy->bodies == NULL && place->store != copy->place->store;
  if (!out->moved_away)
    batch = reserve_batch (copy, place->store, &out->error);
  if (batch == NULL)
    return;
  if (under_lock)
    rook_mutex_lock (&copy->dest->lock);
  uidnext = under_lock ? copy->dest->pending.header.uidnext : read_uidnext (copy->dest);
  prepare (copy, terms, batch, uidnext);
  if (!under_lock)
    rook_mutex_lock (&copy->dest->lock);
  try_submit (copy, terms, place->store, batch, uidnext, out);
  rook_mutex_unlock (&copy->dest->lock);
}

void
rook_copy_write (RookCopy *copy)
{
  CopyTerms terms = { rook_mailbox_rights (copy->dest, copy->identity),
                      rook_mailbox_seen_user (copy->dest, copy->identity), rook_mailbox_ref_entry (copy->source),
                      rook_mailbox_ref_entry (copy->dest) };
  Attempt result = { .was_late = TRUE };

  for (guint i = 1; result.was_late; i++)
    {
      result = (Attempt){ .answer = ROOK_QUOTA_GRANTED };
      attempt (copy, &terms, i > MAX_ATTEMPTS, &result);
    }
  rook_entry_unref (terms.source);
  rook_entry_unref (terms.dest);
  if (result.moved_away)
    rook_copy_reach_dest (copy);
  else if (result.hollow != NULL)
    rook_mailbox_fill (copy->dest, result.hollow, page_filled, copy);
  else if (!result.submitted)
    go_on (copy, result.answer, &result.claim, result.error);
}
