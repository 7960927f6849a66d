/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sequence sets: parsed as written, then resolved against a view into sorted ranges.
 * Work is bounded by the ranges written, never by the numbers they span.
 */
#include "imap/sequence.h"

static gboolean
parse_number_or_star (ImapParser *self, guint32 *out_number, GError **error)
{
  if (imap_parse_try_char (self, '*'))
    {
      *out_number = 0;
      return TRUE;
    }
  return imap_parse_nz_number (self, out_number, error);
}

gboolean
imap_parse_sequence_set (ImapParser *self, GArray **out_set, GError **error)
{
  g_autoptr (GArray) set = g_array_new (FALSE, FALSE, sizeof (ImapRange));

  do
    {
      ImapRange range;

      if (!parse_number_or_star (self, &range.first, error))
        return FALSE;
      range.last = range.first;
      if (imap_parse_try_char (self, ':') && !parse_number_or_star (self, &range.last, error))
        return FALSE;
      g_array_append_val (set, range);
    }
  while (imap_parse_try_char (self, ','));
  *out_set = g_steal_pointer (&set);
  return TRUE;
}

static gint
compare_ranges (gconstpointer a, gconstpointer b)
{
  const ImapRange *left = a, *right = b;

  return left->first < right->first ? -1 : left->first > right->first;
}

void
imap_sequence_merge (GArray *set)
{
  guint n = 0;

  g_array_sort (set, compare_ranges);
  for (guint i = 0; i < set->len; i++)
    {
      ImapRange range = g_array_index (set, ImapRange, i);
      ImapRange *before = n > 0 ? &g_array_index (set, ImapRange, n - 1) : NULL;

      if (before != NULL && (before->last == G_MAXUINT32 || range.first <= before->last + 1))
        before->last = MAX (before->last, range.last);
      else
        g_array_index (set, ImapRange, n++) = range;
    }
  g_array_set_size (set, n);
}

GArray *
imap_sequence_normalise (GArray *set, guint32 largest)
{
  g_autoptr (GArray) result = g_array_sized_new (FALSE, FALSE, sizeof (ImapRange), set->len);

  for (guint i = 0; i < set->len; i++)
    {
      ImapRange range = g_array_index (set, ImapRange, i);
      guint32 a = range.first == 0 ? largest : range.first;
      guint32 b = range.last == 0 ? largest : range.last;

      range.first = MIN (a, b);
      range.last = MIN (MAX (a, b), largest);
      if (range.first > 0 && range.first <= range.last)
        g_array_append_val (result, range);
    }
  imap_sequence_merge (result);
  return g_steal_pointer (&result);
}

gboolean
imap_sequence_contains (GArray *set, guint32 number)
{
  guint low = 0, high = set->len;

  while (low < high)
    {
      guint middle = low + (high - low) / 2;
      const ImapRange *range = &g_array_index (set, ImapRange, middle);

      if (number < range->first)
        high = middle;
      else if (number > range->last)
        low = middle + 1;
      else
        return TRUE;
    }
  return FALSE;
}

void
imap_sequence_write (GString *out, const guint32 *numbers, guint n_numbers)
{
  for (guint i = 0, j; i < n_numbers; i = j)
    {
      for (j = i + 1; j < n_numbers && numbers[j] == numbers[j - 1] + 1; j++)
        ;
      g_string_append_printf (out, "%s%u", i > 0 ? "," : "", numbers[i]);
      if (j - i > 1)
        g_string_append_printf (out, ":%u", numbers[j - 1]);
    }
}
