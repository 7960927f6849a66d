/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Packed sets of names: see nameset.h.
 */
#include "mailbox/nameset.h"

#include <string.h>

#include "mailbox/entry.h"

#define FIRST_SPACE 64
#define DEAD_TOLERATED 256 /* bytes */

void
rook_name_set_clear (RookNameSet *set)
{
  g_free (set->text);
  g_free (set->at);
  memset (set, 0, sizeof *set);
}

guint
rook_name_set_bound (const RookNameSet *set, const char *name, gboolean after)
{
  guint low = 0, high = set->n;

  while (low < high)
    {
      guint middle = low + (high - low) / 2;

      if (rook_name_compare (rook_name_set_get (set, middle), name, NULL) < (after ? 1 : 0))
        low = middle + 1;
      else
        high = middle;
    }
  return low;
}

static gboolean
is_at (const RookNameSet *set, guint i, const char *name)
{
  return i < set->n && strcmp (rook_name_set_get (set, i), name) == 0;
}

gboolean
rook_name_set_contains (const RookNameSet *set, const char *name)
{
  return is_at (set, rook_name_set_bound (set, name, FALSE), name);
}

/* Room for one more of @length bytes. A quarter is added, so that little lies idle. */
static void
make_room (RookNameSet *set, guint32 length)
{
  if (set->n == set->room)
    {
      set->room += 4 + set->room / 4;
      set->at = g_renew (guint32, set->at, set->room);
    }
  if (length > set->space - set->size)
    {
      set->space = MAX (set->size + length, FIRST_SPACE) + set->space / 4;
      set->text = g_realloc (set->text, set->space);
    }
}

/* The bytes of those that are there, close together; no memory is left over if @fit. */
static void
pack (RookNameSet *set, gboolean fit)
{
  guint32 size = set->size - set->dead, used = 0;
  char *text = size > 0 ? g_malloc (size) : NULL;

  for (guint i = 0; i < set->n; i++)
    {
      const char *name = rook_name_set_get (set, i);
      guint32 length = (guint32) strlen (name) + 1;

      memcpy (text + used, name, length);
      set->at[i] = used;
      used += length;
    }
  g_free (set->text);
  set->text = text;
  set->size = set->space = used;
  set->dead = 0;
  if (fit && set->room > set->n)
    {
      set->at = g_renew (guint32, set->at, set->n);
      set->room = set->n;
    }
}

static guint32
append_text (RookNameSet *set, const char *name)
{
  guint32 length = (guint32) strlen (name) + 1, at = set->size;

  make_room (set, length);
  memcpy (set->text + at, name, length);
  set->size += length;
  return at;
}

gboolean
rook_name_set_add (RookNameSet *set, const char *name)
{
  guint i = rook_name_set_bound (set, name, FALSE);
  guint32 at;

  if (is_at (set, i, name))
    return FALSE;
  at = append_text (set, name);
  memmove (set->at + i + 1, set->at + i, (set->n - i) * sizeof *set->at);
  set->at[i] = at;
  set->n++;
  return TRUE;
}

gboolean
rook_name_set_remove (RookNameSet *set, const char *name)
{
  guint i = rook_name_set_bound (set, name, FALSE);

  if (!is_at (set, i, name))
    return FALSE;
  set->dead += (guint32) strlen (name) + 1;
  set->n--;
  memmove (set->at + i, set->at + i + 1, (set->n - i) * sizeof *set->at);
  if (set->dead > DEAD_TOLERATED && set->dead > set->size / 2)
    pack (set, FALSE);
  return TRUE;
}

void
rook_name_set_append (RookNameSet *set, const char *name)
{
  guint32 at = append_text (set, name);

  set->at[set->n++] = at;
}

static gint
compare (gconstpointer a, gconstpointer b, gpointer text)
{
  const char *base = text;

  return rook_name_compare (base + *(const guint32 *) a, base + *(const guint32 *) b, NULL);
}

void
rook_name_set_sort (RookNameSet *set)
{
  guint n = 0;

  if (set->n == 0)
    return;
  g_qsort_with_data (set->at, (gint) set->n, sizeof *set->at, compare, set->text);
  for (guint i = 0; i < set->n; i++)
    if (n > 0 && strcmp (rook_name_set_get (set, i), rook_name_set_get (set, n - 1)) == 0)
      set->dead += (guint32) strlen (rook_name_set_get (set, i)) + 1;
    else
      set->at[n++] = set->at[i];
  set->n = n;
  pack (set, TRUE);
}

gsize
rook_name_set_get_memory (const RookNameSet *set)
{
  return sizeof *set + set->space + set->room * sizeof *set->at;
}
