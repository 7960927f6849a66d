/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The destination's part of a copy: all of it in one batch, built aside (box.h) in slices, so that neither the mailbox's lock nor
 * the worker is held over it.
 *
 * A move expunges at the source once the copies are durable: a crash in between leaves two copies, never none.
 */
#include "mailbox/copy.h"

#define SLICE 100 /* records, before others have their turn on this worker */

/* --- one record ------------------------------------------------------------------------------------------------- */

static RookFlags
allowed_flags (RookRights rights)
{
  return ((rights & ROOK_RIGHT_SEEN) != 0 ? ROOK_FLAG_SEEN : 0)
         | ((rights & ROOK_RIGHT_DELETE_MSG) != 0 ? ROOK_FLAG_DELETED : 0)
         | ((rights & ROOK_RIGHT_WRITE) != 0 ? ROOK_FLAG_ANSWERED | ROOK_FLAG_FLAGGED | ROOK_FLAG_DRAFT : 0);
}

/* The body and its cache under new ids: shared in one store, written in another. */
static void
add_blobs (RookCopy *copy, guint i, RookRecord *record)
{
  RookBatch *batch = copy->commit->batch;
  const RookRecord *from = rook_copy_record_at (copy, i);
  g_autoptr (GBytes) label = rook_make_label (copy->dest_entry, copy->dest_entry->uidvalidity, record);

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
add_record (RookCopy *copy, guint i)
{
  RookCommit *commit = copy->commit;
  const RookRecord *from = rook_copy_record_at (copy, i);
  RookRecord record = *from;

  record.uid = commit->head->header.uidnext;
  record.save_date = record.last_updated = commit->now;
  record.created_modseq = record.modseq = commit->modseq;
  record.flags &= 0x1f & allowed_flags (copy->rights);
  if (copy->dest_user != NULL && (record.flags & ROOK_FLAG_SEEN) != 0)
    {
      record.flags &= ~(guint32) ROOK_FLAG_SEEN;
      g_array_append_val (copy->seen, record.uid);
    }
  set_keywords (&record, from, copy->keyword_map);
  add_blobs (copy, i, &record);
  rook_commit_append (commit, &record);
  g_array_append_val (copy->source_uids, from->uid);
  g_array_append_val (copy->dest_uids, record.uid);
}

/* --- the end ---------------------------------------------------------------------------------------------------- */

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

/* What was begun comes to nothing. @error: (transfer full) */
static void
give_up (RookCopy *copy, GError *error)
{
  RookCommit *commit = g_steal_pointer (&copy->commit);
  RookQuotaClaim claim = commit->claim;

  rook_commit_abandon (commit);
  rook_quota_unclaim (copy->dest->mail, &claim);
  rook_mail_answer_later (rook_copy_fail, copy, error);
}

/* With the lock held. */
static void
add_event (RookCopy *copy, const char *source_name)
{
  RookEvent *event = rook_commit_event (copy->commit, copy->move ? ROOK_EVENT_MESSAGE_MOVE : ROOK_EVENT_MESSAGE_COPY,
                                        copy->identity, NULL);

  if (event == NULL)
    return;
  event->old_mailbox_name = g_strdup (source_name);
  event->first_uid = g_array_index (copy->dest_uids, guint32, 0);
  event->last_uid = g_array_index (copy->dest_uids, guint32, copy->dest_uids->len - 1);
  event->uids = g_array_ref (copy->dest_uids);
}

/* The asker's \Seen, where it is not in the records there. Nobody else changes it meanwhile. */
static void
add_seen (RookCopy *copy)
{
  RookSeenSet *set;

  if (copy->dest_user == NULL || copy->seen->len == 0)
    return;
  rook_mutex_lock (&copy->dest->lock);
  set = g_hash_table_lookup (copy->dest->seen.pending, copy->dest_user);
  if (set != NULL)
    rook_seen_set_ref (set);
  rook_mutex_unlock (&copy->dest->lock);
  if (set == NULL)
    return;
  g_ptr_array_add (copy->commit->seen, rook_seen_set_change (set, (guint32 *) (gpointer) copy->seen->data,
                                                             copy->seen->len, TRUE, copy->commit->modseq));
  rook_seen_set_unref (set);
}

/* Before anybody is told a uid. What is left to come is the header, and what was seen. */
static gboolean
reserve (RookCopy *copy, GError **error)
{
  guint64 room = 4096;
  g_autoptr (GError) reason = NULL;

  for (guint i = 0; i < copy->commit->seen->len; i++)
    room += 1024 + 4 * (guint64) ((RookSeenSet *) g_ptr_array_index (copy->commit->seen, i))->ranges->len;
  if (rook_batch_reserve (copy->commit->batch, room, FALSE, &reason))
    return TRUE;
  g_propagate_error (error, rook_mail_error_from_store (copy->dest->mail, reason));
  return FALSE;
}

static void
submit (RookCopy *copy)
{
  g_autoptr (RookEntry) source = rook_mailbox_ref_entry (copy->source);
  GError *error = NULL;
  gboolean ok;

  rook_commit_seal (copy->commit);
  add_seen (copy);
  ok = reserve (copy, &error);
  if (ok)
    {
      rook_mutex_lock (&copy->dest->lock);
      add_event (copy, source->name);
      ok = rook_commit_submit_aside (copy->commit, copies_durable, copy, &error);
      rook_mutex_unlock (&copy->dest->lock);
    }
  if (!ok)
    give_up (copy, error);
}

static void
write_some (gpointer data)
{
  RookCopy *copy = data;
  guint end = MIN (copy->written + SLICE, copy->records->len);

  if (rook_mail_is_closing (copy->dest->mail))
    {
      give_up (copy, g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE, "the server is closing"));
      return;
    }
  for (; copy->written < end; copy->written++)
    add_record (copy, copy->written);
  if (copy->written < copy->records->len)
    rook_worker_invoke (rook_worker_current (), write_some, copy, NULL);
  else
    submit (copy);
}

/* --- the beginning ---------------------------------------------------------------------------------------------- */

/* The bits of the destination for those of the source; keywords that do not fit, or may not be set, are left behind. With the
 * lock held. */
static void
map_keywords (RookCopy *copy)
{
  gboolean may = (copy->rights & ROOK_RIGHT_WRITE) != 0;
  guint index, n = g_strv_length (copy->keywords);

  for (guint k = 0; k < ROOK_MAX_KEYWORDS; k++)
    {
      copy->keyword_map[k] = -1;
      if (may && (copy->used[k / 64] >> (k % 64) & 1) != 0 && k < n
          && rook_commit_keyword (copy->commit, copy->keywords[k], &index))
        copy->keyword_map[k] = (gint) index;
    }
}

/* With the lock of the destination held. What is moved below one root brings nothing there. */
static RookQuotaAnswer
claim_room (RookCopy *copy, const RookEntry *source, RookQuotaClaim *claim)
{
  gboolean stays = copy->move && rook_quota_is_shared (copy->dest->mail, source, copy->dest->entry);
  const guint64 amounts[ROOK_QUOTA_N_RESOURCES] = {
    [ROOK_QUOTA_STORAGE] = copy->size, [ROOK_QUOTA_MESSAGE] = copy->records->len
  };

  return rook_quota_claim (copy->dest, amounts, stays ? ROOK_QUOTA_IGNORE : ROOK_QUOTA_STRICT, claim);
}

static void
page_filled (const GError *error, gpointer data)
{
  if (error != NULL)
    rook_copy_finish (data, error);
  else
    rook_copy_write (data);
}

/* What of the usage can't be had now is not counted. */
static void
usage_known (const GError *error G_GNUC_UNUSED, gpointer data)
{
  rook_copy_write (data);
}

/* What came of an attempt to begin. */
typedef struct {
  gboolean moved_away; /* the destination lies elsewhere, and bodies have to be reached in another way */
  GArray *hollow;      /* (nullable) what has to be filled first */
  RookQuotaAnswer answer;
  RookQuotaClaim claim;
  GError *error; /* (nullable) */
} Attempt;

/* With the lock of the destination held. */
static void
begin (RookCopy *copy, const RookEntry *source, Attempt *out)
{
  RookMailbox *dest = copy->dest;

  out->moved_away = copy->bodies == NULL && dest->place->store != copy->place->store;
  out->hollow = out->moved_away ? NULL : rook_mailbox_find_hollow_last (dest);
  if (out->moved_away || out->hollow != NULL)
    return;
  if (copy->records->len > G_MAXUINT32 - dest->pending.header.uidnext)
    {
      out->error = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_LIMIT, "too many messages");
      return;
    }
  out->answer = claim_room (copy, source, &out->claim);
  if (out->answer != ROOK_QUOTA_GRANTED)
    return;
  copy->commit = rook_commit_begin_aside (dest, &out->error);
  if (copy->commit == NULL)
    return;
  copy->commit->claim = out->claim;
  copy->dest_entry = rook_entry_ref (dest->entry);
  map_keywords (copy);
}

/* Nothing was begun. */
static void
go_on (RookCopy *copy, Attempt *attempt)
{
  g_autoptr (RookEntry) dest = rook_mailbox_ref_entry (copy->dest);

  if (attempt->moved_away)
    rook_copy_reach_dest (copy);
  else if (attempt->hollow != NULL)
    rook_mailbox_fill (copy->dest, attempt->hollow, page_filled, copy);
  else if (attempt->answer == ROOK_QUOTA_LATER)
    rook_quota_await (copy->dest->mail, dest->name, usage_known, copy);
  else
    {
      if (attempt->answer == ROOK_QUOTA_OVER)
        attempt->error = rook_quota_refuse (copy->dest->mail, &attempt->claim, dest, copy->identity);
      else
        rook_quota_unclaim (copy->dest->mail, &attempt->claim);
      rook_mail_answer_later (rook_copy_fail, copy, attempt->error);
    }
}

void
rook_copy_write (RookCopy *copy)
{
  g_autoptr (RookEntry) source = rook_mailbox_ref_entry (copy->source);
  Attempt attempt = { .answer = ROOK_QUOTA_GRANTED };

  copy->rights = rook_mailbox_rights (copy->dest, copy->identity);
  copy->dest_user = rook_mailbox_seen_user (copy->dest, copy->identity);
  rook_mutex_lock (&copy->dest->lock);
  begin (copy, source, &attempt);
  rook_mutex_unlock (&copy->dest->lock);
  if (copy->commit != NULL)
    write_some (copy);
  else
    go_on (copy, &attempt);
}
