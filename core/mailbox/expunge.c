/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Expunge: messages leave the mailbox; their records stay, marked, and their bodies, until they are purged. So a session
 * that has not been told yet can still read them.
 */
#include "mailbox/box.h"

#define SLICE 64
#define SPAN 256 /* pages that are gone through at a time for what is to be expunged */

typedef struct {
  RookMailbox *mailbox;   /* (owned) */
  RookIdentity *identity; /* (owned) (nullable) */
  guint32 *uids;
  guint n_uids, next, outstanding;
  gboolean coming;    /* the next slice is: a commit that ends does not end it all */
  gboolean is_filled; /* pages of the slice that are hollow still are damaged */
  gboolean only_deleted;
  RookEventType event;
  GError *error;
  RookMailCallback callback;
  gpointer data;
} Expunge;

static void
expunge_finish (Expunge *expunge)
{
  expunge->callback (expunge->error, expunge->data);
  rook_mailbox_unref (expunge->mailbox);
  g_clear_pointer (&expunge->identity, rook_identity_unref);
  g_free (expunge->uids);
  g_clear_error (&expunge->error);
  g_free (expunge);
}

/* The first, but that one is damage gives way to one that ends all. */
static void
note_error (Expunge *expunge, const GError *error)
{
  if (expunge->error != NULL && !g_error_matches (expunge->error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_CORRUPT))
    return;
  g_clear_error (&expunge->error);
  expunge->error = g_error_copy (error);
}

static gboolean
may_go_on (const Expunge *expunge)
{
  return expunge->error == NULL || g_error_matches (expunge->error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_CORRUPT);
}

static void
slice_done (RookCommit *commit, const GError *error, gpointer data)
{
  Expunge *expunge = data;

  (void) commit;
  if (error != NULL)
    note_error (expunge, error);
  expunge->outstanding--;
  if (expunge->outstanding == 0 && !expunge->coming && (!may_go_on (expunge) || expunge->next == expunge->n_uids))
    expunge_finish (expunge);
}

static RookCommit *
begin (Expunge *expunge)
{
  RookBatch *batch = rook_batch_new (expunge->mailbox->place->store);
  g_autoptr (GError) reason = NULL, error = NULL;
  RookCommit *commit = NULL;

  if (rook_batch_reserve (batch, SLICE * 128 + 4096, TRUE, &reason))
    commit = rook_commit_begin (expunge->mailbox, batch, &error);
  else
    {
      error = rook_mail_error_from_store (expunge->mailbox->mail, reason);
      rook_batch_free (batch);
    }
  if (error != NULL)
    note_error (expunge, error);
  return commit;
}

static void
add_event (Expunge *expunge, RookCommit *commit, GArray *gone)
{
  RookEvent *event = rook_commit_event (commit, expunge->event, expunge->identity, NULL);

  if (event == NULL)
    return;
  event->first_uid = g_array_index (gone, guint32, 0);
  event->last_uid = g_array_index (gone, guint32, gone->len - 1);
  event->uids = g_array_ref (gone);
}

static void
submit (Expunge *expunge, RookCommit *commit, GArray *gone)
{
  rook_commit_drop_uids (commit, (guint32 *) (gpointer) gone->data, gone->len);
  add_event (expunge, commit, gone);
  expunge->outstanding++;
  rook_commit_submit (commit, slice_done, expunge);
}

/* With the lock held. */
static void
expunge_some (Expunge *expunge)
{
  guint end = MIN (expunge->next + SLICE, expunge->n_uids);
  g_autoptr (GArray) gone = g_array_new (FALSE, FALSE, sizeof (guint32));
  RookCommit *commit = NULL;

  for (; expunge->next < end; expunge->next++)
    {
      RookRecord before, after;
      guint page, slot;

      if (!rook_head_get_uid (&expunge->mailbox->pending, expunge->uids[expunge->next], &before, &page, &slot)
          || (expunge->only_deleted && (before.flags & ROOK_FLAG_DELETED) == 0))
        continue;
      if (commit == NULL && (commit = begin (expunge)) == NULL)
        return;
      after = before;
      after.flags |= ROOK_RECORD_EXPUNGED;
      after.modseq = commit->modseq;
      after.last_updated = commit->now;
      rook_commit_change (commit, page, slot, &before, &after);
      g_array_append_val (gone, before.uid);
    }
  if (commit != NULL)
    submit (expunge, commit, gone);
}

static void run_slice (gpointer data);

/* What a damaged page has is left alone, and told at the end. */
static void
slice_filled (const GError *error, gpointer data)
{
  Expunge *expunge = data;

  if (error != NULL)
    note_error (expunge, error);
  expunge->is_filled = TRUE;
  run_slice (expunge);
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
  Expunge *expunge = data;
  guint end = MIN (expunge->next + SLICE, expunge->n_uids);
  GArray *hollow;

  rook_mutex_lock (&expunge->mailbox->lock);
  hollow = may_go_on (expunge) ? rook_mailbox_find_hold (expunge->mailbox) : NULL;
  if (hollow == NULL && !expunge->is_filled && may_go_on (expunge))
    hollow = rook_mailbox_find_hollow (expunge->mailbox, expunge->uids, expunge->next, end);
  if (hollow == NULL && may_go_on (expunge))
    expunge_some (expunge);
  rook_mutex_unlock (&expunge->mailbox->lock);
  expunge->is_filled = FALSE;
  expunge->coming = hollow != NULL || (may_go_on (expunge) && expunge->next < expunge->n_uids);
  if (hollow != NULL)
    rook_mailbox_fill (expunge->mailbox, hollow, hollow->len > 0 ? slice_filled : slice_released, expunge);
  else if (expunge->coming)
    rook_worker_invoke (rook_worker_current (), run_slice, expunge, NULL);
  else if (expunge->outstanding == 0)
    expunge_finish (expunge);
}

void
rook_mailbox_expunge (RookMailbox *mailbox, RookIdentity *identity, const guint32 *uids, guint n_uids,
                      gboolean only_deleted, RookEventType event, RookMailCallback callback, gpointer data)
{
  Expunge *expunge = g_new0 (Expunge, 1);

  *expunge = (Expunge){ .mailbox = rook_mailbox_ref (mailbox),
                        .identity = identity != NULL ? rook_identity_ref (identity) : NULL,
                        .uids = g_memdup2 (uids, n_uids * sizeof (guint32)),
                        .n_uids = n_uids,
                        .only_deleted = only_deleted,
                        .event = event,
                        .callback = callback,
                        .data = data };
  rook_worker_invoke (rook_worker_current (), run_slice, expunge, NULL);
}

/* --- by a view -------------------------------------------------------------------------------------------------- */

/* Goes through the pages, some at a time: what is looked for need not be in memory all at once. */
typedef struct {
  RookView *view; /* (owned) */
  guint page;     /* where the present span begins; */
  guint end;      /* and ends */
  GError *error;  /* (nullable) some pages are damaged */
  RookMailCallback callback;
  gpointer data;
} ExpungeAll;

static void
collect_of_page (const RookHead *head, guint number, guint32 last, GArray *found)
{
  for (guint slot = 0; slot < rook_head_page (head, number)->n; slot++)
    {
      RookRecord record;

      rook_head_get (head, number, slot, &record);
      if ((record.flags & (ROOK_FLAG_DELETED | ROOK_RECORD_EXPUNGED)) == ROOK_FLAG_DELETED && record.uid <= last)
        g_array_append_val (found, record.uid);
    }
}

/* The next span that begins with a page that has some. %FALSE: there is none. */
static gboolean
find_span (ExpungeAll *all)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&all->view->mailbox->lock);
  const RookHead *head = &all->view->mailbox->pending;

  for (all->page = all->end; all->page < head->pages->len; all->page++)
    if (rook_head_page (head, all->page)->summary.n_deleted > 0)
      break;
  all->end = MIN (head->pages->len, all->page + SPAN);
  return all->page < all->end;
}

/* Of the present span, and of what the view knows: the uids with \Deleted. To @pages go the numbers of the pages that have some.
 * %FALSE: not all of these are in memory. */
static gboolean
collect_deleted (ExpungeAll *all, GArray *found, GArray *pages)
{
  RookView *view = all->view;
  guint32 last = rook_uids_get_last (&view->uids);
  g_autoptr (RookLocker) locker = rook_locker_new (&view->mailbox->lock);
  const RookHead *head = &view->mailbox->pending;
  gboolean is_all = TRUE;

  for (guint p = all->page; p < MIN (all->end, head->pages->len); p++)
    {
      const RookPage *page = rook_head_page (head, p);

      if (page->summary.n_deleted == 0)
        continue;
      g_array_append_val (pages, p);
      if (rook_page_is_hollow (page))
        is_all = FALSE;
      else
        collect_of_page (head, p, last, found);
    }
  return is_all;
}

static void
all_finish (ExpungeAll *all, const GError *error)
{
  all->callback (error != NULL ? error : all->error, all->data);
  rook_view_unref (all->view);
  g_clear_error (&all->error);
  g_free (all);
}

/* Damage is noted, and told at the end; any other error is the end. */
static gboolean
all_goes_on (ExpungeAll *all, const GError *error)
{
  if (error != NULL && !g_error_matches (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_CORRUPT))
    {
      all_finish (all, error);
      return FALSE;
    }
  if (error != NULL && all->error == NULL)
    all->error = g_error_copy (error);
  return TRUE;
}

static void begin_span (ExpungeAll *all);

static void
span_done (const GError *error, gpointer data)
{
  if (all_goes_on (data, error))
    begin_span (data);
}

static void
expunge_found (ExpungeAll *all, GArray *found)
{
  rook_mailbox_expunge (all->view->mailbox, all->view->identity, (guint32 *) (gpointer) found->data, found->len, TRUE,
                        ROOK_EVENT_MESSAGE_EXPUNGE, span_done, all);
}

/* What is hollow now is damaged, and passed over. */
static void
span_filled (const GError *error, gpointer data)
{
  ExpungeAll *all = data;
  g_autoptr (GArray) found = g_array_new (FALSE, FALSE, sizeof (guint32));
  g_autoptr (GArray) pages = g_array_new (FALSE, FALSE, sizeof (guint));

  if (!all_goes_on (all, error))
    return;
  collect_deleted (all, found, pages);
  expunge_found (all, found);
}

static void
end_later (const GError *error, gpointer data)
{
  all_finish (data, error);
}

static void
begin_span (ExpungeAll *all)
{
  g_autoptr (GArray) found = g_array_new (FALSE, FALSE, sizeof (guint32));
  g_autoptr (GArray) pages = g_array_new (FALSE, FALSE, sizeof (guint));

  if (!find_span (all))
    {
      rook_mail_answer_later (end_later, all, NULL);
      return;
    }
  if (collect_deleted (all, found, pages))
    expunge_found (all, found);
  else
    rook_mailbox_fill (all->view->mailbox, g_steal_pointer (&pages), span_filled, all);
}

static void
expunge_all (RookView *view, RookMailCallback callback, gpointer data)
{
  ExpungeAll *all = g_new0 (ExpungeAll, 1);

  *all = (ExpungeAll){ .view = rook_view_ref (view), .callback = callback, .data = data };
  begin_span (all);
}

void
rook_view_expunge (RookView *view, const guint32 *uids, guint n_uids, RookMailCallback callback, gpointer data)
{
  const RookRights needed = ROOK_RIGHT_READ | ROOK_RIGHT_EXPUNGE;
  RookRights rights = rook_mailbox_rights (view->mailbox, view->identity);

  if (view->read_only)
    rook_mail_answer_later (callback, data,
                            g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_READ_ONLY, "opened read-only"));
  else if ((rights & needed) != needed)
    rook_mail_answer_later (callback, data,
                            g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NO_PERMISSION, "permission denied"));
  else if (uids == NULL)
    expunge_all (view, callback, data);
  else
    rook_mailbox_expunge (view->mailbox, view->identity, uids, n_uids, TRUE, ROOK_EVENT_MESSAGE_EXPUNGE, callback,
                          data);
}
