/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sequence sets against a view: which of its messages are meant.
 */
#include "imap/sequence.h"

static GArray *
resolve_numbers (GArray *set, guint32 count, GError **error)
{
  for (guint i = 0; i < set->len; i++)
    {
      const ImapRange *range = &g_array_index (set, ImapRange, i);

      if (count == 0 || range->first > count || range->last > count)
        {
          g_set_error_literal (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_SYNTAX, "No message has that number");
          return NULL;
        }
    }
  return imap_sequence_normalise (set, count);
}

GArray *
imap_sequence_resolve (GArray *set, RookView *view, gboolean uids, GError **error)
{
  guint32 count = rook_view_get_count (view);
  g_autoptr (GArray) ranges = NULL;
  g_autoptr (GArray) result = NULL;

  if (!uids)
    return resolve_numbers (set, count, error);
  ranges = imap_sequence_normalise (set, count > 0 ? rook_view_get_uid (view, count) : 0);
  result = g_array_sized_new (FALSE, FALSE, sizeof (ImapRange), ranges->len);
  for (guint i = 0; i < ranges->len; i++)
    {
      const ImapRange *range = &g_array_index (ranges, ImapRange, i);
      ImapRange numbers = { rook_view_find_uid (view, range->first), 0 };

      numbers.last = range->last == G_MAXUINT32 ? count : rook_view_find_uid (view, range->last + 1) - 1;
      if (numbers.first <= numbers.last)
        g_array_append_val (result, numbers);
    }
  imap_sequence_merge (result);
  return g_steal_pointer (&result);
}
