/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The job that purges: bodies of messages that were expunged long enough ago (mailbox/keep-expunged) are released. Their
 * records stay, marked: numbers and history are what synchronisation asks for.
 *
 * Headers tell which mailboxes have something to purge; only those are opened. A mailbox is gone through in slices of a few
 * pages, one batch each, so that neither its lock nor the store is held up.
 */
#include "mailbox/box.h"
#include "rookery/schedule.h"

#define SLICE_PAGES 4

typedef struct {
  RookMail *mail; /* (unowned) */
  RookJobRun *run;
  gint64 before; /* seconds since 1970: what was expunged earlier goes */
  GPtrArray *ids;
  guint next;
  guint n_purged;
  GError *error; /* (nullable) the first */
  /* Of the mailbox that it is at: */
  RookMailbox *mailbox; /* (owned) (nullable) */
  guint page, n_in_slice;
  gboolean is_last;   /* it has been gone through, or can't be */
  gboolean is_filled; /* pages of the slice that are hollow still are damaged: they are passed over */
  guint64 modseq;     /* as the walk began */
  gint64 began, oldest;
} Expire;

static void next_mailbox (Expire *expire);
static void run_slice (gpointer data);

static void
finish (Expire *expire)
{
  g_autofree char *summary = g_strdup_printf ("%u messages purged in %u mailboxes", expire->n_purged, expire->next);

  rook_job_run_done (expire->run, summary, expire->error);
  g_clear_pointer (&expire->mailbox, rook_mailbox_unref);
  g_ptr_array_unref (expire->ids);
  g_clear_error (&expire->error);
  g_free (expire);
}

/* That a mailbox was deleted meanwhile is none. */
static void
note_error (Expire *expire, const GError *error)
{
  if (expire->error == NULL && !g_error_matches (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_FOUND))
    expire->error = g_error_copy (error);
}

/* --- one mailbox ------------------------------------------------------------------------------------------------------ */

static gboolean
is_due (Expire *expire, const RookRecord *record)
{
  return (record->flags & (ROOK_RECORD_EXPUNGED | ROOK_RECORD_PURGED)) == ROOK_RECORD_EXPUNGED
         && record->last_updated < expire->before;
}

static RookCommit *
begin (Expire *expire)
{
  RookBatch *batch = rook_batch_new (expire->mailbox->store);
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
      note_error (expire, error);
      expire->is_last = TRUE;
    }
  return commit;
}

static void
purge (Expire *expire, RookCommit *commit, guint page, guint slot, const RookRecord *before)
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
  Expire *expire = data;

  (void) commit;
  if (error != NULL)
    {
      note_error (expire, error);
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
note_oldest (Expire *expire, RookHeader *header)
{
  gint64 oldest = expire->oldest;

  if (header->highest_modseq != expire->modseq)
    oldest = oldest == 0 ? expire->began : MIN (oldest, expire->began);
  header->oldest_expunged = oldest;
}

/* Whether there is anything in page @number for the job. */
static gboolean
is_of_interest (const RookHead *head, guint number)
{
  return rook_head_page (head, number)->summary.n_kept > 0;
}

/* With the lock held: what the next slice would look at, if some of it is not in memory. (nullable) */
static GArray *
find_hollow (Expire *expire)
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
purge_pages (Expire *expire, guint end)
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

static gboolean
must_stop (Expire *expire)
{
  return rook_job_run_is_cancelled (expire->run) || rook_mail_is_closing (expire->mail);
}

/* With the lock held. Whether a commit is under way, behind which it goes on. The last one notes what is left. */
static gboolean
submit_slice (Expire *expire)
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
  Expire *expire = data;

  if (error != NULL)
    note_error (expire, error);
  expire->is_filled = TRUE;
  run_slice (expire);
}

static void
run_slice (gpointer data)
{
  Expire *expire = data;
  GArray *hollow;
  gboolean submitted;

  if (expire->is_last || must_stop (expire))
    {
      next_mailbox (expire);
      return;
    }
  rook_mutex_lock (&expire->mailbox->lock);
  hollow = expire->is_filled ? NULL : find_hollow (expire);
  submitted = hollow == NULL && submit_slice (expire);
  rook_mutex_unlock (&expire->mailbox->lock);
  expire->is_filled = FALSE;
  if (hollow != NULL)
    rook_mailbox_fill (expire->mailbox, hollow, slice_filled, expire);
  else if (!submitted)
    rook_worker_invoke (rook_worker_current (), run_slice, expire, NULL);
}

static void
opened (RookMailbox *mailbox, const GError *error, gpointer data)
{
  Expire *expire = data;

  if (error != NULL)
    {
      note_error (expire, error);
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
next_mailbox (Expire *expire)
{
  g_clear_pointer (&expire->mailbox, rook_mailbox_unref);
  while (expire->next < expire->ids->len && !must_stop (expire))
    {
      g_autoptr (RookEntry) entry =
          rook_mail_ref_entry_by_id (expire->mail, g_ptr_array_index (expire->ids, expire->next++));

      if (entry == NULL || entry->deleted)
        continue;
      rook_job_run_progress (expire->run, 100.0 * expire->next / expire->ids->len, entry->name);
      rook_mailbox_open_entry (expire->mail, entry, opened, expire);
      return;
    }
  finish (expire);
}

static gboolean
look_at_header (RookTable table, GBytes *key, GBytes *value, gpointer data)
{
  Expire *expire = data;
  RookHeader header;
  gsize length;
  const char *id = g_bytes_get_data (key, &length);

  (void) table;
  if (rook_header_decode (value, &header) && header.oldest_expunged != 0 && header.oldest_expunged < expire->before)
    g_ptr_array_add (expire->ids, g_strndup (id, length));
  return !must_stop (expire);
}

/* On a pool thread. */
static void
look_through (gpointer data)
{
  Expire *expire = data;

  for (guint i = 0; i < expire->mail->partitions->len && !must_stop (expire); i++)
    {
      RookStore *store = rook_partition_get_store (g_ptr_array_index (expire->mail->partitions, i));
      g_autoptr (GError) error = NULL;

      if (store != NULL && !rook_store_foreach (store, ROOK_PART_HEADERS, look_at_header, expire, &error))
        note_error (expire, error);
    }
  rook_mail_end_blocking (expire->mail);
}

static void
looked_through (RookPoolOutcome outcome, gpointer data)
{
  if (outcome == ROOK_POOL_RAN)
    next_mailbox (data);
  else
    finish (data);
}

static void
run_expire (gpointer data, RookJobRun *run)
{
  RookMail *mail = data;
  g_autoptr (RookMailSettings) settings = rook_mail_ref_settings (mail);
  Expire *expire = g_new0 (Expire, 1);

  *expire = (Expire){ .mail = mail,
                      .run = run,
                      .before = (g_get_real_time () - (gint64) settings->keep_expunged * 1000) / G_USEC_PER_SEC + 1,
                      .ids = g_ptr_array_new_with_free_func (g_free) };
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
