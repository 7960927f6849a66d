/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The job that purges: bodies of messages that were expunged long enough ago (mailbox/keep-expunged) are released. Their
 * records stay, marked: numbers and history are what synchronisation asks for.
 *
 * Headers tell which mailboxes have something to purge; only those are opened. A mailbox is gone through in slices of a few
 * pages, one batch each, so that neither its lock nor the store is held up.
 */
#include "mailbox/expire.h"

#define SLICE_PAGES 4

static void next_mailbox (RookExpire *expire);
static void run_slice (gpointer data);

static void
place_free (gpointer data)
{
  g_free (((RookExpirePlace *) data)->id);
  g_free (data);
}

void
rook_expire_init (RookExpire *expire, RookMail *mail, RookJobRun *run)
{
  g_autoptr (RookMailSettings) settings = rook_mail_ref_settings (mail);

  *expire = (RookExpire){ .mail = mail,
                          .run = run,
                          .unpinned = (g_get_real_time () - (gint64) settings->pin_limit * 1000) / G_USEC_PER_SEC + 1,
                          .places = g_ptr_array_new_with_free_func (place_free) };
}

void
rook_expire_clear (RookExpire *expire)
{
  g_clear_pointer (&expire->mailbox, rook_mailbox_unref);
  g_clear_pointer (&expire->places, g_ptr_array_unref);
  g_clear_error (&expire->error);
}

/* That a mailbox was deleted meanwhile is none. */
void
rook_expire_note_error (RookExpire *expire, const GError *error)
{
  if (expire->error == NULL && !g_error_matches (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_FOUND))
    expire->error = g_error_copy (error);
}

gboolean
rook_expire_must_stop (RookExpire *expire)
{
  return rook_job_run_is_cancelled (expire->run) || rook_mail_is_closing (expire->mail);
}

/* --- one mailbox ------------------------------------------------------------------------------------------------------ */

/* Whether a session has not been told that it is gone, and so may ask for it. */
static gboolean
is_pinned (RookExpire *expire, const RookRecord *record)
{
  const GPtrArray *views = expire->mailbox->views;

  for (guint i = 0; record->last_updated >= expire->unpinned && i < views->len; i++)
    if (((RookView *) g_ptr_array_index (views, i))->pinned_modseq < record->modseq)
      return TRUE;
  return FALSE;
}

/* With the lock held. */
static gboolean
is_due (RookExpire *expire, const RookRecord *record)
{
  return (record->flags & (ROOK_RECORD_EXPUNGED | ROOK_RECORD_PURGED)) == ROOK_RECORD_EXPUNGED
         && record->last_updated < expire->before && !is_pinned (expire, record);
}

static RookCommit *
begin (RookExpire *expire)
{
  RookBatch *batch = rook_batch_new (expire->mailbox->place->store);
  g_autoptr (GError) reason = NULL, error = NULL;
  RookCommit *commit = NULL;

  if (!rook_batch_reserve (batch, SLICE_PAGES * ROOK_PAGE_RECORDS * 128 + 4096, TRUE, &reason))
    {
      error = rook_mail_error_from_store (expire->mail, reason);
      rook_batch_free (batch);
    }
  else
    commit = rook_commit_begin (expire->mailbox, batch, &error);
  if (error != NULL)
    {
      rook_expire_note_error (expire, error);
      expire->is_last = TRUE;
    }
  return commit;
}

static void
purge (RookExpire *expire, RookCommit *commit, guint page, guint slot, const RookRecord *before)
{
  RookHeader *header = &expire->mailbox->pending.header;
  RookRecord after = *before;

  after.flags |= ROOK_RECORD_PURGED;
  rook_commit_change (commit, page, slot, before, &after);
  rook_batch_release (commit->batch, before->blob);
  rook_batch_release (commit->batch, before->cache);
  header->purged_modseq = MAX (header->purged_modseq, before->modseq);
  expire->n_in_slice++;
}

static void
slice_done (RookCommit *commit, const GError *error, gpointer data)
{
  RookExpire *expire = data;

  (void) commit;
  if (error != NULL)
    {
      rook_expire_note_error (expire, error);
      next_mailbox (expire);
    }
  else
    {
      expire->n_purged += expire->n_in_slice;
      run_slice (expire);
    }
}

/* What is left begins with the oldest that was seen; if there were changes meanwhile, perhaps with one of them. */
static void
note_oldest (RookExpire *expire, RookHeader *header)
{
  gint64 oldest = expire->oldest;

  if (header->highest_modseq != expire->modseq)
    oldest = oldest == 0 ? expire->began : MIN (oldest, expire->began);
  header->oldest_expunged = expire->place->oldest = oldest;
}

/* Whether there is anything in page @number for the job. */
static gboolean
is_of_interest (const RookHead *head, guint number)
{
  return rook_head_page (head, number)->summary.n_kept > 0;
}

/* With the lock held: what the next slice would look at, if some of it is not in memory. (nullable) */
static GArray *
find_hollow (RookExpire *expire)
{
  RookHead *head = &expire->mailbox->pending;
  GArray *numbers = g_array_new (FALSE, FALSE, sizeof (guint));
  gboolean has_hollow = FALSE;

  for (guint number = expire->page; number < MIN (expire->page + SLICE_PAGES, head->pages->len); number++)
    if (is_of_interest (head, number))
      {
        has_hollow |= rook_page_is_hollow (rook_head_page (head, number));
        g_array_append_val (numbers, number);
      }
  if (!has_hollow)
    g_clear_pointer (&numbers, g_array_unref);
  return numbers;
}

/* With the lock held. (nullable) NULL: there is nothing to write, or it can't be. */
static RookCommit *
purge_pages (RookExpire *expire, guint end)
{
  RookHead *head = &expire->mailbox->pending;
  RookCommit *commit = NULL;

  for (; expire->page < end; expire->page++)
    for (guint slot = 0; is_of_interest (head, expire->page) && slot < rook_head_page (head, expire->page)->n; slot++)
      {
        RookRecord record;

        if (rook_page_is_hollow (rook_head_page (head, expire->page)))
          {
            expire->oldest = 1; /* they stay due, and are found again */
            break;
          }
        rook_head_get (head, expire->page, slot, &record);
        if (is_due (expire, &record))
          {
            if (commit == NULL && (commit = begin (expire)) == NULL)
              return NULL;
            purge (expire, commit, expire->page, slot, &record);
          }
        else if ((record.flags & (ROOK_RECORD_EXPUNGED | ROOK_RECORD_PURGED)) == ROOK_RECORD_EXPUNGED)
          expire->oldest = expire->oldest == 0 ? record.last_updated : MIN (expire->oldest, record.last_updated);
      }
  return commit;
}

/* With the lock held. Whether a commit is under way, behind which it goes on. The last one notes what is left. */
static gboolean
submit_slice (RookExpire *expire)
{
  RookHead *head = &expire->mailbox->pending;
  RookCommit *commit;

  expire->n_in_slice = 0;
  commit = purge_pages (expire, MIN (expire->page + SLICE_PAGES, head->pages->len));
  if (!expire->is_last && expire->page == head->pages->len && (commit != NULL || (commit = begin (expire)) != NULL))
    {
      note_oldest (expire, &head->header);
      expire->is_last = TRUE;
    }
  if (commit == NULL)
    return FALSE;
  rook_commit_submit (commit, slice_done, expire);
  return TRUE;
}

static void
slice_filled (const GError *error, gpointer data)
{
  RookExpire *expire = data;

  if (error != NULL)
    rook_expire_note_error (expire, error);
  expire->is_filled = TRUE;
  run_slice (expire);
}

/* It was held: pages may be hollow again. */
static void
slice_released (const GError *error G_GNUC_UNUSED, gpointer data)
{
  run_slice (data);
}

static void
run_slice (gpointer data)
{
  RookExpire *expire = data;
  GArray *hollow;
  gboolean submitted;

  if (expire->is_last || rook_expire_must_stop (expire))
    {
      next_mailbox (expire);
      return;
    }
  rook_mutex_lock (&expire->mailbox->lock);
  hollow = rook_mailbox_find_hold (expire->mailbox);
  if (hollow == NULL && !expire->is_filled)
    hollow = find_hollow (expire);
  submitted = hollow == NULL && submit_slice (expire);
  rook_mutex_unlock (&expire->mailbox->lock);
  expire->is_filled = FALSE;
  if (hollow != NULL)
    rook_mailbox_fill (expire->mailbox, hollow, hollow->len > 0 ? slice_filled : slice_released, expire);
  else if (!submitted)
    rook_worker_invoke (rook_worker_current (), run_slice, expire, NULL);
}

static void
opened (RookMailbox *mailbox, const GError *error, gpointer data)
{
  RookExpire *expire = data;

  if (error != NULL)
    {
      rook_expire_note_error (expire, error);
      next_mailbox (expire);
      return;
    }
  expire->mailbox = mailbox;
  expire->page = 0;
  expire->is_last = FALSE;
  expire->oldest = 0;
  expire->began = g_get_real_time () / G_USEC_PER_SEC;
  rook_mutex_lock (&mailbox->lock);
  expire->modseq = mailbox->pending.header.highest_modseq;
  rook_mutex_unlock (&mailbox->lock);
  run_slice (expire);
}

/* --- from mailbox to mailbox ------------------------------------------------------------------------------------------ */

static void
next_mailbox (RookExpire *expire)
{
  g_clear_pointer (&expire->mailbox, rook_mailbox_unref);
  while (expire->next < expire->places->len && !rook_expire_must_stop (expire))
    {
      RookExpirePlace *place = g_ptr_array_index (expire->places, expire->next++);
      g_autoptr (RookEntry) entry = rook_mail_ref_entry_by_id (expire->mail, place->id);

      if (entry == NULL || entry->deleted || place->oldest == 0 || place->oldest >= expire->before)
        continue;
      rook_job_run_progress (expire->run, 100.0 * expire->next / expire->places->len, entry->name);
      expire->place = place;
      expire->n_mailboxes++;
      rook_mailbox_open_entry (expire->mail, entry, opened, expire);
      return;
    }
  expire->done (expire->done_data);
}

void
rook_expire_walk (RookExpire *expire)
{
  expire->next = 0;
  next_mailbox (expire);
}

typedef struct {
  RookExpire *expire;
  gint64 limit;
} Look;

static gboolean
look_at_header (RookTable table, GBytes *key, GBytes *value, gpointer data)
{
  const Look *look = data;
  RookHeader header;
  gsize length;
  const char *id = g_bytes_get_data (key, &length);

  (void) table;
  if (rook_header_decode (value, &header) && header.oldest_expunged != 0 && header.oldest_expunged < look->limit)
    {
      RookExpirePlace *place = g_new (RookExpirePlace, 1);

      *place = (RookExpirePlace){ g_strndup (id, length), header.oldest_expunged };
      g_ptr_array_add (look->expire->places, place);
    }
  return !rook_expire_must_stop (look->expire);
}

void
rook_expire_look (RookExpire *expire, RookStore *store, gint64 limit)
{
  Look look = { expire, limit };
  g_autoptr (GError) error = NULL;

  if (!rook_store_foreach (store, ROOK_PART_HEADERS, look_at_header, &look, &error))
    rook_expire_note_error (expire, error);
}

/* --- the job -------------------------------------------------------------------------------------------------------------- */

static void
finish (gpointer data)
{
  RookExpire *expire = data;
  g_autofree char *summary =
      g_strdup_printf ("%u messages purged in %u mailboxes", expire->n_purged, expire->n_mailboxes);

  rook_job_run_done (expire->run, summary, expire->error);
  rook_expire_clear (expire);
  g_free (expire);
}

/* On a pool thread. */
static void
look_through (gpointer data)
{
  RookExpire *expire = data;

  for (guint i = 0; i < expire->mail->partitions->len && !rook_expire_must_stop (expire); i++)
    {
      RookStore *store = rook_partition_get_store (g_ptr_array_index (expire->mail->partitions, i));

      if (store != NULL)
        rook_expire_look (expire, store, expire->before);
    }
  rook_mail_end_blocking (expire->mail);
}

static void
looked_through (RookPoolOutcome outcome, gpointer data)
{
  if (outcome == ROOK_POOL_RAN)
    rook_expire_walk (data);
  else
    finish (data);
}

static void
run_expire (gpointer data, RookJobRun *run)
{
  RookMail *mail = data;
  g_autoptr (RookMailSettings) settings = rook_mail_ref_settings (mail);
  RookExpire *expire = g_new (RookExpire, 1);

  rook_expire_init (expire, mail, run);
  expire->before = (g_get_real_time () - (gint64) settings->keep_expunged * 1000) / G_USEC_PER_SEC + 1;
  expire->done = finish;
  expire->done_data = expire;
  if (!rook_mail_begin_blocking (mail))
    finish (expire);
  else if (!rook_pool_run (rook_server_get_pool (mail->server), 0, look_through, looked_through, expire))
    {
      rook_mail_end_blocking (mail);
      finish (expire);
    }
}

static const RookJob expire_job = { .struct_size = sizeof (RookJob),
                                    .name = ROOK_MAIL_JOB_EXPIRE,
                                    .summary = "Purges messages that were expunged long enough ago.",
                                    .when = "daily 03:10",
                                    .run = run_expire };

void
rook_mail_add_expire (RookMail *mail)
{
  RookSchedule *schedule = rook_server_get_schedule (mail->server);

  if (schedule != NULL)
    rook_schedule_add (schedule, &expire_job, mail);
}
