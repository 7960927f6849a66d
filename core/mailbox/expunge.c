/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Expunge: messages leave the mailbox; their records stay, marked, and their bodies, until they are purged. So a session
 * that has not been told yet can still read them.
 */
#include "mailbox/box.h"

#define SLICE 256

typedef struct {
  RookMailbox *mailbox;   /* (owned) */
  RookIdentity *identity; /* (owned) (nullable) */
  guint32 *uids;
  guint n_uids, next, outstanding;
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

static void
slice_done (RookCommit *commit, const GError *error, gpointer data)
{
  Expunge *expunge = data;

  (void) commit;
  if (error != NULL && expunge->error == NULL)
    expunge->error = g_error_copy (error);
  expunge->outstanding--;
  if (expunge->outstanding == 0 && (expunge->error != NULL || expunge->next == expunge->n_uids))
    expunge_finish (expunge);
}

static RookCommit *
begin (Expunge *expunge)
{
  RookBatch *batch = rook_batch_new (expunge->mailbox->store);
  g_autoptr (GError) reason = NULL;

  if (rook_batch_reserve (batch, SLICE * 128 + 4096, TRUE, &reason))
    return rook_commit_begin (expunge->mailbox, batch, &expunge->error);
  expunge->error = rook_mail_error_from_store (expunge->mailbox->mail, reason);
  rook_batch_free (batch);
  return NULL;
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

static void
run_slice (gpointer data)
{
  Expunge *expunge = data;

  rook_mutex_lock (&expunge->mailbox->lock);
  expunge_some (expunge);
  rook_mutex_unlock (&expunge->mailbox->lock);
  if (expunge->error == NULL && expunge->next < expunge->n_uids)
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

/* Of what @view knows: the uids with \Deleted. */
static GArray *
collect_deleted (RookView *view)
{
  GArray *found = g_array_new (FALSE, FALSE, sizeof (guint32));
  guint32 last = view->n_uids > 0 ? view->uids->data[view->n_uids - 1] : 0;
  g_autoptr (RookLocker) locker = rook_locker_new (&view->mailbox->lock);
  const RookHead *head = &view->mailbox->pending;

  for (guint p = 0; head->header.deleted > found->len && p < head->pages->len; p++)
    for (guint s = 0; s < rook_head_page (head, p)->n; s++)
      {
        RookRecord record;

        rook_head_get (head, p, s, &record);
        if ((record.flags & (ROOK_FLAG_DELETED | ROOK_RECORD_EXPUNGED)) == ROOK_FLAG_DELETED && record.uid <= last)
          g_array_append_val (found, record.uid);
      }
  return found;
}

void
rook_view_expunge (RookView *view, const guint32 *uids, guint n_uids, RookMailCallback callback, gpointer data)
{
  RookRights rights = rook_mailbox_rights (view->mailbox, view->identity);
  g_autoptr (GArray) all = NULL;

  if (view->read_only)
    rook_mail_answer_later (callback, data,
                            g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_READ_ONLY, "opened read-only"));
  else if ((rights & ROOK_RIGHT_EXPUNGE) == 0)
    rook_mail_answer_later (callback, data,
                            g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NO_PERMISSION, "permission denied"));
  else
    {
      if (uids == NULL)
        {
          all = collect_deleted (view);
          uids = (guint32 *) (gpointer) all->data;
          n_uids = all->len;
        }
      rook_mailbox_expunge (view->mailbox, view->identity, uids, n_uids, TRUE, ROOK_EVENT_MESSAGE_EXPUNGE, callback,
                            data);
    }
}
