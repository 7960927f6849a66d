/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commits: a change to a mailbox on its way from the pending to the durable head.
 *
 * Everything between begin and submit happens under the mailbox's lock and in memory. Only what appends a lot is built aside, on a
 * head of its own while other writers wait, and put in place of the pending one under the lock: that costs what its pages do. What is written are patches: the
 * bytes of a record or of the header that differ. Settling happens on the store's thread, in commit order.
 */
#include "mailbox/box.h"

/* --- filling ---------------------------------------------------------------------------------------------------- */

static gboolean
may_begin (RookMailbox *mailbox, GError **error)
{
  if (mailbox->gone)
    g_propagate_error (error, rook_mailbox_make_gone_error (mailbox));
  else if (mailbox->failed || mailbox->held || mailbox->aside != NULL)
    g_set_error_literal (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_TEMPORARY, "storage trouble, try again later");
  else
    return TRUE;
  return FALSE;
}

/* @batch: (transfer full) (nullable) */
static RookCommit *
commit_new (RookMailbox *mailbox, RookBatch *batch)
{
  RookCommit *commit = g_new0 (RookCommit, 1);

  commit->mailbox = rook_mailbox_ref (mailbox);
  commit->batch = batch != NULL ? batch : rook_batch_new (mailbox->place->store);
  commit->head = &mailbox->pending;
  mailbox->pending.header.uidvalidity = rook_mailbox_get_uidvalidity (mailbox);
  commit->modseq = mailbox->pending.header.highest_modseq + 1;
  commit->now = g_get_real_time () / G_USEC_PER_SEC;
  commit->page_numbers = g_array_new (FALSE, FALSE, sizeof (guint));
  commit->events = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_event_unref);
  commit->seen = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_seen_set_unref);
  return commit;
}

RookCommit *
rook_commit_begin (RookMailbox *mailbox, RookBatch *batch, GError **error)
{
  if (may_begin (mailbox, error))
    return commit_new (mailbox, batch);
  g_clear_pointer (&batch, rook_batch_free);
  return NULL;
}

static void
commit_free (RookCommit *commit)
{
  g_array_unref (commit->page_numbers);
  g_clear_pointer (&commit->pages, g_ptr_array_unref);
  rook_head_clear (&commit->after);
  rook_head_clear (&commit->own);
  g_clear_pointer (&commit->own_keywords, g_ptr_array_unref);
  g_clear_pointer (&commit->batch, rook_batch_free);
  g_ptr_array_unref (commit->events);
  g_ptr_array_unref (commit->seen);
  rook_mailbox_unref (commit->mailbox);
  g_free (commit);
}

static GPtrArray *
keywords_of (RookCommit *commit)
{
  return commit->own_keywords != NULL ? commit->own_keywords : commit->mailbox->keywords;
}

/* Page @number of the pending head, for this commit alone to write, with room for @capacity records. */
static RookPage *
writable_page (RookCommit *commit, guint number, guint capacity)
{
  RookHead *pending = commit->head;
  RookPage *page, *copy;

  if (number == pending->pages->len)
    g_ptr_array_add (pending->pages, rook_page_new (capacity));
  page = rook_head_page (pending, number);
  if (page->owner == commit && capacity <= page->capacity)
    return page;
  if (page->owner != commit)
    g_array_append_val (commit->page_numbers, number);
  copy = rook_page_copy (page, capacity);
  copy->owner = commit;
  g_ptr_array_index (pending->pages, number) = copy;
  rook_page_unref (page);
  return copy;
}

/* The part of two byte strings in which they differ, as a patch at @offset. */
static void
patch_difference (RookBatch *batch, RookTable table, GBytes *key, gsize offset, const guint8 *before,
                  const guint8 *after, gsize length)
{
  gsize begin = 0, end = length;
  g_autoptr (GBytes) bytes = NULL;

  while (begin < end && before[begin] == after[begin])
    begin++;
  while (end > begin && before[end - 1] == after[end - 1])
    end--;
  if (begin == end)
    return;
  bytes = g_bytes_new (after + begin, end - begin);
  rook_batch_patch (batch, table, key, offset + begin, bytes);
}

void
rook_commit_change (RookCommit *commit, guint page, guint slot, const RookRecord *before, const RookRecord *after)
{
  RookMailbox *mailbox = commit->mailbox;
  RookHeader *header = &commit->head->header;
  RookPage *writable = writable_page (commit, page, 0);
  g_autoptr (GBytes) key = rook_page_key (mailbox->id, page);
  guint8 old[ROOK_RECORD_SIZE];

  memcpy (old, rook_page_record (writable, slot), sizeof old);
  rook_page_set (writable, slot, after);
  patch_difference (commit->batch, ROOK_PART_PAGES, key, ROOK_PAGE_HEAD + (gsize) slot * ROOK_RECORD_SIZE, old,
                    rook_page_record (writable, slot), ROOK_RECORD_SIZE);
  if ((before->flags & ROOK_RECORD_EXPUNGED) == 0)
    rook_header_count (header, before, mailbox->keywords, -1);
  if ((after->flags & ROOK_RECORD_EXPUNGED) == 0)
    rook_header_count (header, after, mailbox->keywords, 1);
  else if ((before->flags & ROOK_RECORD_EXPUNGED) == 0 && header->oldest_expunged == 0)
    header->oldest_expunged = commit->now;
  header->highest_modseq = MAX (header->highest_modseq, after->modseq);
}

/* What was appended to one page, in one patch. */
static void
write_appended (RookCommit *commit)
{
  RookMailbox *mailbox = commit->mailbox;
  guint first = commit->first_appended, end = first + commit->n_appended;
  gsize offset = first == 0 ? 0 : ROOK_PAGE_HEAD + (gsize) first * ROOK_RECORD_SIZE;
  g_autoptr (GBytes) key = NULL, bytes = NULL;

  if (commit->n_appended == 0)
    return;
  key = rook_page_key (mailbox->id, commit->appended_page);
  bytes = g_bytes_new (rook_head_page (commit->head, commit->appended_page)->data + offset,
                       ROOK_PAGE_HEAD + (gsize) end * ROOK_RECORD_SIZE - offset);
  rook_batch_patch (commit->batch, ROOK_PART_PAGES, key, offset, bytes);
  commit->n_appended = 0;
}

void
rook_commit_append (RookCommit *commit, const RookRecord *record)
{
  RookHead *pending = commit->head;
  guint number = pending->header.n_records / ROOK_PAGE_RECORDS, slot = pending->header.n_records % ROOK_PAGE_RECORDS;
  RookPage *page = writable_page (commit, number, MIN (ROOK_PAGE_RECORDS, MAX (8, slot + slot / 2 + 1)));

  g_assert (record->uid == pending->header.uidnext);
  rook_page_set (page, slot, record);
  if (slot == 0)
    write_appended (commit);
  if (commit->n_appended++ == 0)
    {
      commit->appended_page = number;
      commit->first_appended = slot;
    }
  rook_uids_append (&pending->uids, slot, record->uid);
  pending->header.n_records++;
  pending->header.uidnext++;
  pending->header.last_append = commit->now;
  pending->header.highest_modseq = MAX (pending->header.highest_modseq, record->modseq);
  rook_header_count (&pending->header, record, keywords_of (commit), 1);
}

void
rook_commit_drop_uids (RookCommit *commit, const guint32 *uids, guint n)
{
  rook_uids_drop (&commit->mailbox->pending.uids, uids, n);
}

static GBytes *
encode_keywords (GPtrArray *keywords)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < keywords->len; i++)
    g_string_append_printf (text, "%s\n", (const char *) g_ptr_array_index (keywords, i));
  return rook_bytes_of_text (text->str);
}

GBytes *
rook_mailbox_encode_keywords (RookMailbox *mailbox)
{
  return encode_keywords (mailbox->keywords);
}

static void
write_keywords (RookCommit *commit)
{
  g_autoptr (GBytes) key = rook_bytes_of_text (commit->mailbox->id);
  g_autoptr (GBytes) value = encode_keywords (keywords_of (commit));

  rook_batch_put (commit->batch, ROOK_PART_KEYWORDS, key, value);
}

gboolean
rook_commit_keyword (RookCommit *commit, const char *name, guint *out_index)
{
  GPtrArray *keywords = keywords_of (commit);

  for (guint i = 0; i < commit->head->n_keywords; i++)
    if (g_ascii_strcasecmp (g_ptr_array_index (keywords, i), name) == 0)
      {
        *out_index = i;
        return TRUE;
      }
  if (commit->head->n_keywords == ROOK_MAX_KEYWORDS)
    return FALSE;
  g_assert (keywords->len == commit->head->n_keywords);
  g_ptr_array_add (keywords, g_strdup (name));
  *out_index = commit->head->n_keywords++;
  write_keywords (commit);
  return TRUE;
}

RookEvent *
rook_commit_event (RookCommit *commit, RookEventType type, RookIdentity *identity, const char *session)
{
  RookMailbox *mailbox = commit->mailbox;
  RookEventBus *bus = rook_server_get_event_bus (mailbox->mail->server);
  RookEvent *event;

  if (bus == NULL || !rook_event_bus_wanted (bus, type, mailbox->id))
    return NULL;
  event = rook_event_new (type);
  event->sequence = ++commit->head->header.sequence;
  event->mailbox_id = g_strdup (mailbox->id);
  event->mailbox_name = g_strdup (mailbox->entry->name);
  event->user = identity != NULL ? g_strdup (rook_identity_get_user (identity)) : NULL;
  event->session = g_strdup (session);
  event->uidvalidity = mailbox->pending.header.uidvalidity;
  event->modseq = commit->modseq;
  g_ptr_array_add (commit->events, event);
  return event;
}

/* --- submitting and settling ------------------------------------------------------------------------------------ */

/* What the commit has made of pages is in @head now. */
static void
put_pages (RookHead *head, RookCommit *commit)
{
  for (guint i = 0; i < commit->pages->len; i++)
    {
      guint number = g_array_index (commit->page_numbers, guint, i);
      RookPage *page = rook_page_ref (g_ptr_array_index (commit->pages, i));

      if (number == head->pages->len)
        g_ptr_array_add (head->pages, page);
      else
        {
          rook_page_unref (rook_head_page (head, number));
          g_ptr_array_index (head->pages, number) = page;
        }
    }
}

/* The durable head moves to where the commit has left the pending one. */
static void
make_durable (RookCommit *commit)
{
  RookHead *durable = &commit->mailbox->durable;

  put_pages (durable, commit);
  durable->header = commit->after.header;
  durable->n_keywords = commit->after.n_keywords;
  rook_uids_clear (&durable->uids);
  durable->uids = rook_uids_copy (&commit->after.uids);
  for (guint i = 0; i < commit->seen->len; i++)
    rook_seen_table_put (commit->mailbox->seen.durable, g_ptr_array_index (commit->seen, i));
  rook_mailbox_trim (commit->mailbox);
}

/* Nothing is in flight any more: what was pending is forgotten. */
static void
forget_pending (RookMailbox *mailbox)
{
  rook_head_assign (&mailbox->pending, &mailbox->durable);
  g_ptr_array_set_size (mailbox->keywords, (gint) mailbox->durable.n_keywords);
  rook_header_encode (&mailbox->pending.header, mailbox->image);
  rook_seen_table_reset (&mailbox->seen);
  mailbox->failed = FALSE;
}

/* With the lock held. */
static void
settle (RookCommit *commit, const GError *error)
{
  RookMailbox *mailbox = commit->mailbox;

  commit->settled = TRUE;
  mailbox->in_flight--;
  if (error == NULL)
    make_durable (commit);
  else
    mailbox->failed = TRUE;
  if (error != NULL && mailbox->aside != NULL)
    mailbox->aside->is_stale = TRUE;
  if (error != NULL && g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNKNOWN))
    mailbox->gone = TRUE; /* to be loaded again by whoever opens it next */
  rook_quota_settle (mailbox, &commit->claim);
  if (mailbox->failed && mailbox->in_flight == 0)
    forget_pending (mailbox);
  rook_mailbox_note_quiet (mailbox);
  rook_mailbox_notify (mailbox);
}

/* Tells what has happened, in commit order, and that it has been told. */
static void
tell_everybody (RookCommit *commit, const GError *error)
{
  RookMail *mail = commit->mailbox->mail;
  RookEventBus *bus = rook_server_get_event_bus (mail->server);

  for (guint i = 0; error == NULL && i < commit->events->len; i++)
    rook_event_bus_publish (bus, g_ptr_array_index (commit->events, i));
  rook_quota_tell (mail);
  rook_mail_end_position (mail, commit->position);
}

static void
commit_settled (guint64 position, const GError *error, gpointer data)
{
  RookCommit *commit = data;

  (void) position;
  rook_mutex_lock (&commit->mailbox->lock);
  settle (commit, error);
  rook_mutex_unlock (&commit->mailbox->lock);
  tell_everybody (commit, error);
}

static void
commit_completed (guint64 position, const GError *error, gpointer data)
{
  RookCommit *commit = data;
  RookMailbox *mailbox = commit->mailbox;
  g_autoptr (GError) ours = error != NULL ? rook_mail_error_from_store (mailbox->mail, error) : NULL;
  gboolean gone, refused = !commit->settled; /* at once: nobody else was told */

  (void) position;
  rook_mutex_lock (&mailbox->lock);
  if (refused)
    settle (commit, error);
  gone = mailbox->gone;
  rook_mutex_unlock (&mailbox->lock);
  if (refused)
    tell_everybody (commit, error);
  if (error != NULL && gone)
    rook_mailbox_detach (mailbox);
  if (error == NULL)
    rook_mail_note_progress (mailbox->mail);
  if (commit->done != NULL)
    commit->done (commit, ours, commit->data);
  commit_free (commit);
}

static void
write_summary (RookCommit *commit, guint number)
{
  RookMailbox *mailbox = commit->mailbox;
  guint8 bytes[ROOK_BLOCK_HEAD + ROOK_SUMMARY_SIZE];
  gboolean begins_block;
  g_autoptr (GBytes) key = NULL, patch = NULL;
  gsize offset;
  gint block;

  rook_summary_locate (number, &block, &offset);
  key = block < 0 ? rook_bytes_of_text (mailbox->id) : rook_page_key (mailbox->id, (guint32) block);
  begins_block = block >= 0 && offset == ROOK_BLOCK_HEAD;
  rook_summary_block_head (bytes);
  rook_summary_encode (&rook_head_page (commit->head, number)->summary, bytes + ROOK_BLOCK_HEAD);
  patch = begins_block ? g_bytes_new (bytes, sizeof bytes) : g_bytes_new (bytes + ROOK_BLOCK_HEAD, ROOK_SUMMARY_SIZE);
  rook_batch_patch (commit->batch, block < 0 ? ROOK_PART_HEADERS : ROOK_PART_SUMMARIES, key, begins_block ? 0 : offset,
                    patch);
}

/* Those of the pages it touched; all, if the mailbox was written before there were summaries. */
static void
write_summaries (RookCommit *commit)
{
  RookHead *pending = commit->head;

  if (pending->header.has_summaries)
    {
      for (guint i = 0; i < commit->page_numbers->len; i++)
        write_summary (commit, g_array_index (commit->page_numbers, guint, i));
      return;
    }
  for (guint number = 0; number < pending->pages->len; number++)
    write_summary (commit, number);
  pending->header.has_summaries = TRUE;
}

static void
write_header (RookCommit *commit)
{
  RookMailbox *mailbox = commit->mailbox;
  RookHeader *header = &mailbox->pending.header;
  g_autoptr (GBytes) key = rook_bytes_of_text (mailbox->id);
  guint8 image[ROOK_HEADER_SIZE];

  header->change = commit->position;
  if (header->recent_uid < mailbox->claimed)
    {
      header->recent_uid = mailbox->claimed;
      header->recent_time = commit->now;
    }
  rook_header_encode (header, image);
  patch_difference (commit->batch, ROOK_PART_HEADERS, key, 0, mailbox->image, image, sizeof image);
  memcpy (mailbox->image, image, sizeof image);
}

static void
write_seen (RookCommit *commit)
{
  for (guint i = 0; i < commit->seen->len; i++)
    {
      RookSeenSet *set = g_ptr_array_index (commit->seen, i);
      g_autoptr (GBytes) key = rook_seen_key (commit->mailbox->id, set->user);
      g_autoptr (GBytes) value = rook_seen_set_encode (set);
      const RookSeenSet *before = g_hash_table_lookup (commit->mailbox->seen.pending, set->user);

      if (before == NULL || before->stamp == 0) /* the first of that user in this mailbox */
        rook_users_add_copy (commit->mailbox->mail->users, commit->batch, set->user);
      rook_batch_put (commit->batch, ROOK_PART_SEEN, key, value);
      rook_seen_table_put (commit->mailbox->seen.pending, set);
    }
}

void
rook_commit_seal (RookCommit *commit)
{
  write_appended (commit);
  write_summaries (commit);
  commit->pages = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_page_unref);
  for (guint i = 0; i < commit->page_numbers->len; i++)
    {
      RookPage *page = rook_head_page (commit->head, g_array_index (commit->page_numbers, guint, i));

      page->owner = NULL;
      g_ptr_array_add (commit->pages, rook_page_ref (page));
    }
}

static void
hand_over (RookCommit *commit, RookCommitDone done, gpointer data)
{
  RookMailbox *mailbox = commit->mailbox;
  RookHead *pending = &mailbox->pending;

  commit->done = done;
  commit->data = data;
  commit->position = rook_mail_begin_position (mailbox->mail);
  write_seen (commit);
  write_header (commit);
  commit->after = (RookHead){ .header = pending->header,
                              .uids = rook_uids_copy (&pending->uids),
                              .n_keywords = pending->n_keywords };
  mailbox->in_flight++;
  rook_counter_add (mailbox->mail->commits, 1);
  rook_batch_on_settled (commit->batch, commit_settled, commit);
  rook_store_commit (mailbox->place->store, g_steal_pointer (&commit->batch), commit_completed, commit);
}

void
rook_commit_submit (RookCommit *commit, RookCommitDone done, gpointer data)
{
  rook_commit_seal (commit);
  hand_over (commit, done, data);
}

/* --- aside ------------------------------------------------------------------------------------------------------ */

static void
unref_page (gpointer page)
{
  g_clear_pointer ((RookPage **) &page, rook_page_unref);
}

/* Of the pages only what it may touch: the last, behind which it appends, and all those whose summaries it has to write. */
static void
take_head (RookCommit *commit)
{
  const RookHead *pending = &commit->mailbox->pending;
  guint n = pending->pages->len;

  commit->own = *pending;
  commit->own.uids = rook_uids_copy (&pending->uids);
  commit->own.pages = g_ptr_array_new_with_free_func (unref_page);
  g_ptr_array_set_size (commit->own.pages, (gint) n);
  for (guint i = pending->header.has_summaries && n > 0 ? n - 1 : 0; i < n; i++)
    g_ptr_array_index (commit->own.pages, i) = rook_page_ref (rook_head_page (pending, i));
  commit->own_keywords = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < pending->n_keywords; i++)
    g_ptr_array_add (commit->own_keywords, g_strdup (g_ptr_array_index (commit->mailbox->keywords, i)));
  commit->head = &commit->own;
}

RookCommit *
rook_commit_begin_aside (RookMailbox *mailbox, GError **error)
{
  if (!may_begin (mailbox, error))
    return NULL;
  mailbox->aside = commit_new (mailbox, NULL);
  take_head (mailbox->aside);
  return mailbox->aside;
}

/* With the lock held: others may begin. */
static void
end_aside (RookMailbox *mailbox)
{
  mailbox->aside = NULL;
  rook_mailbox_let_fills_go (mailbox);
  rook_mailbox_note_quiet (mailbox);
}

/* Nothing has come in between, so nothing is lost by it. */
static void
put_in_place (RookCommit *commit)
{
  RookMailbox *mailbox = commit->mailbox;
  RookHead *pending = &mailbox->pending;

  put_pages (pending, commit);
  pending->header = commit->own.header;
  for (guint i = pending->n_keywords; i < commit->own.n_keywords; i++)
    g_ptr_array_add (mailbox->keywords, g_strdup (g_ptr_array_index (commit->own_keywords, i)));
  pending->n_keywords = commit->own.n_keywords;
  rook_uids_clear (&pending->uids);
  pending->uids = rook_uids_copy (&commit->own.uids);
  commit->head = pending;
}

gboolean
rook_commit_submit_aside (RookCommit *commit, RookCommitDone done, gpointer data, GError **error)
{
  RookMailbox *mailbox = commit->mailbox;
  gboolean may = !commit->is_stale && !mailbox->gone && !mailbox->failed;

  if (may)
    {
      put_in_place (commit);
      hand_over (commit, done, data);
      end_aside (mailbox);
    }
  else if (mailbox->gone)
    g_propagate_error (error, rook_mailbox_make_gone_error (mailbox));
  else
    g_set_error_literal (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_TEMPORARY, "storage trouble, try again later");
  return may;
}

void
rook_commit_abandon (RookCommit *commit)
{
  rook_mutex_lock (&commit->mailbox->lock);
  end_aside (commit->mailbox);
  rook_mutex_unlock (&commit->mailbox->lock);
  commit_free (commit);
}
