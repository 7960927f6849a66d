/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bringing a view up to date: what was expunged, what came, what changed, told only as far as the protocol allows now.
 *
 * Everything is taken from the durable head in one short look under the lock; the comparing is done without it.
 */
#include "mailbox/box.h"

/* What an update starts from, taken under the lock once. */
typedef struct {
  RookUids uids;
  guint64 modseq;
  GPtrArray *pages; /* (element-type RookPage) those with changes this view has not seen: never hollow */
} Snapshot;

/* %FALSE: its identity may not be told. */
static gboolean
take_snapshot (RookView *view, Snapshot *out)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&view->mailbox->lock);
  const RookHead *head = &view->mailbox->durable;

  view->notified = FALSE;
  view->has_loaded = FALSE;
  if ((rook_view_get_rights (view) & ROOK_RIGHT_READ) == 0)
    return FALSE;
  out->uids = rook_uids_copy (&head->uids);
  out->modseq = head->header.highest_modseq;
  out->pages = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_page_unref);
  for (guint i = 0; i < head->pages->len && out->modseq > view->scanned_modseq; i++)
    if (rook_head_page (head, i)->summary.max_modseq > view->scanned_modseq)
      g_ptr_array_add (out->pages, rook_page_ref (rook_head_page (head, i)));
  return TRUE;
}

static gboolean
is_silenced (RookView *view, const RookRecord *record)
{
  const guint64 *modseq = g_hash_table_lookup (view->silenced, GUINT_TO_POINTER (record->uid));

  return modseq != NULL && *modseq == record->modseq;
}

/* Whether a silenced change lies behind us. */
static gboolean
is_told (gpointer uid, gpointer modseq, gpointer data)
{
  RookView *view = data;

  (void) uid;
  return *(guint64 *) modseq <= view->scanned_modseq;
}

/* Flag changes of messages that the view had before. */
static void
find_changed (RookView *view, const Snapshot *now, guint32 old_last, RookViewChanges *changes)
{
  for (guint p = 0; p < now->pages->len; p++)
    {
      const RookPage *page = g_ptr_array_index (now->pages, p);

      for (guint s = 0; s < page->n; s++)
        {
          RookRecord record;
          guint32 seq;

          rook_record_decode (rook_page_record (page, s), &record);
          if (record.modseq <= view->scanned_modseq || record.uid > old_last
              || (record.flags & ROOK_RECORD_EXPUNGED) != 0 || is_silenced (view, &record))
            continue;
          seq = rook_view_find_uid (view, record.uid);
          if (seq <= view->uids.n && rook_view_get_uid (view, seq) == record.uid)
            g_array_append_val (changes->changed, seq);
        }
    }
}

static RookViewChanges *
changes_new (void)
{
  RookViewChanges *changes = g_new0 (RookViewChanges, 1);

  changes->expunged = g_array_new (FALSE, FALSE, sizeof (guint32));
  changes->expunged_uids = g_array_new (FALSE, FALSE, sizeof (guint32));
  changes->changed = g_array_new (FALSE, FALSE, sizeof (guint32));
  return changes;
}

void
rook_view_changes_free (RookViewChanges *changes)
{
  g_array_unref (changes->expunged);
  g_array_unref (changes->expunged_uids);
  g_array_unref (changes->changed);
  g_free (changes);
}

/* Takes the snapshot's messages over. Returns whether the view has been told everything. */
static gboolean
move_on (RookView *view, const Snapshot *now, gboolean allow_expunge, RookViewChanges *changes)
{
  gboolean whole = TRUE;

  rook_uids_compare (&view->uids, &now->uids, changes->expunged_uids, changes->expunged);
  if (changes->expunged->len == 0 || allow_expunge)
    {
      rook_uids_clear (&view->uids);
      view->uids = rook_uids_copy (&now->uids);
    }
  else
    {
      whole = FALSE;
      g_array_set_size (changes->expunged, 0);
      g_array_set_size (changes->expunged_uids, 0);
      rook_uids_join (&view->uids, &now->uids); /* for when expunges may not be told */
    }
  return whole;
}

RookViewChanges *
rook_view_update (RookView *view, gboolean allow_expunge)
{
  g_autoptr (RookViewChanges) changes = changes_new ();
  guint old_count = view->uids.n;
  guint32 old_last = rook_uids_get_last (&view->uids);
  Snapshot now;

  if (!take_snapshot (view, &now))
    return NULL;
  if (move_on (view, &now, allow_expunge, changes))
    view->told_modseq = now.modseq;
  find_changed (view, &now, old_last, changes);
  view->scanned_modseq = MAX (view->scanned_modseq, now.modseq);
  g_hash_table_foreach_remove (view->silenced, is_told, view);
  rook_uids_clear (&now.uids);
  g_ptr_array_unref (now.pages);
  rook_mutex_lock (&view->mailbox->lock);
  view->kept_modseq = view->scanned_modseq;
  view->pinned_modseq = view->told_modseq;
  rook_view_claim_recent (view, rook_uids_find (&view->uids, old_last + 1));
  rook_mutex_unlock (&view->mailbox->lock);
  changes->exists = view->uids.n;
  changes->exists_changed = view->uids.n + changes->expunged->len != old_count;
  changes->recent = rook_view_get_recent (view);
  changes->recent_changed = changes->recent != view->told_recent;
  changes->highest_modseq = view->told_modseq;
  view->told_recent = changes->recent;
  if (changes->expunged->len == 0 && changes->changed->len == 0 && !changes->exists_changed && !changes->recent_changed)
    return NULL;
  return g_steal_pointer (&changes);
}
