/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shared arrays of uids: see uids.h.
 */
#include "mailbox/uids.h"

#include <string.h>

RookUids *
rook_uids_new (guint capacity)
{
  RookUids *uids = g_malloc (sizeof (RookUids) + (gsize) capacity * sizeof (guint32));

  g_atomic_int_set (&uids->ref, 1);
  uids->capacity = capacity;
  return uids;
}

RookUids *
rook_uids_ref (RookUids *uids)
{
  g_atomic_int_inc (&uids->ref);
  return uids;
}

void
rook_uids_unref (RookUids *uids)
{
  if (g_atomic_int_dec_and_test (&uids->ref))
    g_free (uids);
}

void
rook_uids_append (RookUids **uids, guint n, guint32 uid)
{
  if (n == (*uids)->capacity)
    {
      RookUids *larger = rook_uids_new (MAX (16, n + n / 2));

      memcpy (larger->data, (*uids)->data, (gsize) n * sizeof (guint32));
      rook_uids_unref (*uids);
      *uids = larger;
    }
  (*uids)->data[n] = uid;
}

guint
rook_uids_find (const RookUids *uids, guint n, guint32 uid)
{
  guint low = 0, high = n;

  while (low < high)
    {
      guint middle = low + (high - low) / 2;

      if (uids->data[middle] < uid)
        low = middle + 1;
      else
        high = middle;
    }
  return low;
}

gboolean
rook_uids_contain (const RookUids *uids, guint n, guint32 uid)
{
  guint i = rook_uids_find (uids, n, uid);

  return i < n && uids->data[i] == uid;
}

RookUids *
rook_uids_without (const RookUids *uids, guint n, const guint32 *drop, guint n_drop, guint *out_n)
{
  RookUids *left = rook_uids_new (n + n / 8 + 16);
  guint k = 0, d = 0;

  for (guint i = 0; i < n; i++)
    {
      while (d < n_drop && drop[d] < uids->data[i])
        d++;
      if (d == n_drop || drop[d] != uids->data[i])
        left->data[k++] = uids->data[i];
    }
  *out_n = k;
  return left;
}
