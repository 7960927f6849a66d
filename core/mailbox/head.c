/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Heads: one state of a mailbox, made of parts that are shared with other states.
 */
#include "mailbox/box.h"

void
rook_head_clear (RookHead *head)
{
  g_clear_pointer (&head->pages, g_ptr_array_unref);
  rook_uids_clear (&head->uids);
}

void
rook_head_assign (RookHead *head, const RookHead *other)
{
  GPtrArray *pages = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_page_unref);
  RookUids uids = rook_uids_copy (&other->uids);

  for (guint i = 0; i < other->pages->len; i++)
    g_ptr_array_add (pages, rook_page_ref (rook_head_page (other, i)));
  rook_head_clear (head);
  *head = *other;
  head->pages = pages;
  head->uids = uids;
}

gboolean
rook_head_find_page (const RookHead *head, guint32 uid, guint *out_page)
{
  guint low = 0, high = head->pages->len;

  while (low < high)
    {
      guint middle = low + (high - low) / 2;

      if (rook_head_page (head, middle)->summary.first_uid <= uid)
        low = middle + 1;
      else
        high = middle;
    }
  *out_page = low - 1;
  return low > 0;
}

gboolean
rook_head_find (const RookHead *head, guint32 uid, guint *out_page, guint *out_slot)
{
  gint slot = -1;

  if (rook_head_find_page (head, uid, out_page) && !rook_page_is_hollow (rook_head_page (head, *out_page)))
    slot = rook_page_find (rook_head_page (head, *out_page), uid);
  *out_slot = (guint) slot;
  return slot >= 0;
}

gboolean
rook_head_get_uid (const RookHead *head, guint32 uid, RookRecord *out, guint *out_page, guint *out_slot)
{
  if (!rook_head_find (head, uid, out_page, out_slot))
    return FALSE;
  rook_head_get (head, *out_page, *out_slot, out);
  return (out->flags & ROOK_RECORD_EXPUNGED) == 0;
}
