/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a mailbox lies, and how that changes under those who use it: it is held until nothing is in flight, then lies elsewhere.
 *
 * Readers are not held: what they have begun they finish in the place where they began it.
 */
#include "mailbox/box.h"

#define LOOKS 1000 /* pages, each time that the lock is held */

RookPlace *
rook_place_new (RookPartition *partition)
{
  RookPlace *place = g_new0 (RookPlace, 1);

  g_atomic_int_set (&place->ref, 1);
  place->partition = partition;
  place->store = rook_partition_get_store (partition);
  return place;
}

RookPlace *
rook_place_ref (RookPlace *place)
{
  g_atomic_int_inc (&place->ref);
  return place;
}

void
rook_place_unref (RookPlace *place)
{
  if (!g_atomic_int_dec_and_test (&place->ref))
    return;
  if (place->worker != NULL)
    rook_worker_invoke (place->worker, place->left, place->data, NULL);
  g_free (place);
}

RookPlace *
rook_mailbox_ref_place (RookMailbox *mailbox)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mailbox->lock);

  return rook_place_ref (mailbox->place);
}

/* --- holding ---------------------------------------------------------------------------------------------------- */

void
rook_mailbox_hold (RookMailbox *mailbox, RookFunc quiet, gpointer data)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mailbox->lock);

  g_assert (!mailbox->held);
  mailbox->held = TRUE;
  mailbox->hold_worker = rook_worker_current ();
  mailbox->hold_quiet = quiet;
  mailbox->hold_data = data;
  rook_mailbox_note_quiet (mailbox);
}

void
rook_mailbox_note_quiet (RookMailbox *mailbox)
{
  if (mailbox->hold_worker == NULL || mailbox->in_flight > 0 || mailbox->fills->len > 0 || mailbox->aside != NULL)
    return;
  rook_worker_invoke (mailbox->hold_worker, mailbox->hold_quiet, mailbox->hold_data, NULL);
  mailbox->hold_worker = NULL;
}

void
rook_mailbox_release (RookMailbox *mailbox)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mailbox->lock);

  mailbox->held = FALSE;
  mailbox->hold_worker = NULL;
  rook_mailbox_let_fills_go (mailbox);
}

GArray *
rook_mailbox_find_hold (RookMailbox *mailbox)
{
  return mailbox->held || mailbox->aside != NULL ? g_array_new (FALSE, FALSE, sizeof (guint)) : NULL;
}

/* --- another place ---------------------------------------------------------------------------------------------- */

/* Of a page that is the same in both heads. */
static void
replace_page (RookHead *head, guint number, RookPage *page)
{
  rook_page_unref (rook_head_page (head, number));
  g_ptr_array_index (head->pages, number) = rook_page_ref (page);
}

void
rook_mailbox_put_in_place (RookMailbox *mailbox, RookPlace *place, const GArray *numbers, GPtrArray *pages)
{
  RookPlace *before;

  rook_mutex_lock (&mailbox->lock);
  g_assert (mailbox->held && mailbox->in_flight == 0);
  before = mailbox->place;
  mailbox->place = rook_place_ref (place);
  for (guint i = 0; i < pages->len; i++)
    {
      guint number = g_array_index (numbers, guint, i);

      if (rook_page_is_hollow (rook_head_page (&mailbox->durable, number)))
        continue;
      replace_page (&mailbox->durable, number, g_ptr_array_index (pages, i));
      replace_page (&mailbox->pending, number, g_ptr_array_index (pages, i));
    }
  /* What was written there has them. */
  mailbox->durable.header.has_summaries = mailbox->pending.header.has_summaries = TRUE;
  rook_header_encode (&mailbox->pending.header, mailbox->image);
  rook_mutex_unlock (&mailbox->lock);
  rook_place_unref (before);
}

gboolean
rook_mailbox_empty_pages (RookMailbox *mailbox, guint *at, GArray *needed)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mailbox->lock);
  RookHead *durable = &mailbox->durable;
  guint end = MIN (*at + LOOKS, durable->pages->len);

  for (; *at < end; ++*at)
    {
      RookPage *page = rook_head_page (durable, *at);
      g_autoptr (RookPage) hollow = NULL;

      if (rook_page_is_hollow (page))
        continue;
      g_assert (page == rook_head_page (&mailbox->pending, *at));
      if (rook_mailbox_needs_page (mailbox, *at))
        {
          g_array_append_val (needed, *at);
          continue;
        }
      hollow = rook_page_new_hollow (&page->summary, page->n);
      replace_page (durable, *at, hollow);
      replace_page (&mailbox->pending, *at, hollow);
    }
  return end < durable->pages->len;
}
