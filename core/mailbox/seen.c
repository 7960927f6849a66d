/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sets of seen uids: see seen.h. Stored as a version byte, the stamp, and pairs of numbers.
 */
#include "mailbox/seen.h"

#include "mailbox/codec.h"
#include "mailbox/users.h"

#define SEEN_VERSION 1
#define SEEN_HEAD 9
#define KEY_TAIL 10 /* two NULs and an id */

RookSeenSet *
rook_seen_set_new (const char *user)
{
  RookSeenSet *set = g_new0 (RookSeenSet, 1);

  g_atomic_int_set (&set->ref, 1);
  set->user = g_strdup (user);
  set->ranges = g_array_new (FALSE, FALSE, sizeof (guint32));
  return set;
}

RookSeenSet *
rook_seen_set_ref (RookSeenSet *set)
{
  g_atomic_int_inc (&set->ref);
  return set;
}

void
rook_seen_set_unref (RookSeenSet *set)
{
  if (!g_atomic_int_dec_and_test (&set->ref))
    return;
  g_free (set->user);
  g_array_unref (set->ranges);
  g_free (set);
}

static guint32
at (const RookSeenSet *set, guint i)
{
  return g_array_index (set->ranges, guint32, i);
}

gboolean
rook_seen_set_contains (const RookSeenSet *set, guint32 uid)
{
  guint low = 0, high = set->ranges->len / 2;

  while (low < high)
    {
      guint middle = (low + high) / 2;

      if (uid < at (set, 2 * middle))
        high = middle;
      else if (uid > at (set, 2 * middle + 1))
        low = middle + 1;
      else
        return TRUE;
    }
  return FALSE;
}

/* Adds a range behind the last, joined to it if they touch. */
static void
push_range (GArray *ranges, guint32 first, guint32 last)
{
  if (ranges->len > 0 && first - 1 <= g_array_index (ranges, guint32, ranges->len - 1))
    {
      guint32 *end = &g_array_index (ranges, guint32, ranges->len - 1);

      *end = MAX (*end, last);
      return;
    }
  g_array_append_val (ranges, first);
  g_array_append_val (ranges, last);
}

static void
add_uids (const RookSeenSet *set, const guint32 *uids, guint n, GArray *out)
{
  guint i = 0, r = 0;

  while (i < n || r < set->ranges->len)
    {
      if (r == set->ranges->len || (i < n && uids[i] < at (set, r)))
        {
          push_range (out, uids[i], uids[i]);
          i++;
        }
      else
        {
          push_range (out, at (set, r), at (set, r + 1));
          r += 2;
        }
    }
}

static void
remove_uids (const RookSeenSet *set, const guint32 *uids, guint n, GArray *out)
{
  guint i = 0;

  for (guint r = 0; r < set->ranges->len; r += 2)
    {
      guint32 first = at (set, r), last = at (set, r + 1);

      while (i < n && uids[i] < first)
        i++;
      for (; i < n && uids[i] <= last; i++)
        {
          if (uids[i] > first)
            push_range (out, first, uids[i] - 1);
          first = uids[i] + 1;
        }
      if (first <= last && first != 0)
        push_range (out, first, last);
    }
}

RookSeenSet *
rook_seen_set_change (const RookSeenSet *set, const guint32 *uids, guint n, gboolean add, guint64 stamp)
{
  RookSeenSet *changed = rook_seen_set_new (set->user);

  changed->stamp = stamp;
  if (add)
    add_uids (set, uids, n, changed->ranges);
  else
    remove_uids (set, uids, n, changed->ranges);
  return changed;
}

GBytes *
rook_seen_set_encode (const RookSeenSet *set)
{
  gsize length = SEEN_HEAD + set->ranges->len * 4;
  guint8 *out = g_malloc (length);

  out[0] = SEEN_VERSION;
  rook_put64 (out + 1, set->stamp);
  for (guint i = 0; i < set->ranges->len; i++)
    rook_put32 (out + SEEN_HEAD + 4 * i, at (set, i));
  return g_bytes_new_take (out, length);
}

RookSeenSet *
rook_seen_set_decode (const char *user, GBytes *value)
{
  RookSeenSet *set;
  gsize length;
  const guint8 *in = g_bytes_get_data (value, &length);
  guint32 last = 0;

  if (length < SEEN_HEAD || in[0] != SEEN_VERSION || (length - SEEN_HEAD) % 8 != 0)
    return NULL;
  set = rook_seen_set_new (user);
  set->stamp = rook_get64 (in + 1);
  for (gsize i = SEEN_HEAD; i < length; i += 4)
    {
      guint32 uid = rook_get32 (in + i);
      gboolean begins = (i - SEEN_HEAD) % 8 == 0;

      /* A range begins behind what lies behind the one before it, and does not end before it began. */
      if (uid == 0 || (begins ? set->ranges->len > 0 && uid - 1 <= last : uid < last))
        {
          rook_seen_set_unref (set);
          return NULL;
        }
      g_array_append_val (set->ranges, uid);
      last = uid;
    }
  return set;
}

GBytes *
rook_seen_key (const char *id, const char *user)
{
  gsize id_length = strlen (id);
  guint8 *key = g_malloc (id_length + KEY_TAIL);

  memcpy (key, id, id_length);
  key[id_length] = key[id_length + 1] = 0; /* no name begins with a NUL */
  rook_put64 (key + id_length + 2, rook_user_key_parse (user));
  return g_bytes_new_take (key, id_length + KEY_TAIL);
}

gboolean
rook_seen_key_parse (GBytes *key, char **out_id, char **out_user, gboolean *out_old)
{
  gsize length;
  const char *bytes = g_bytes_get_data (key, &length);
  gsize id_length = strnlen (bytes, length);
  gboolean old = id_length + 1 < length && bytes[id_length + 1] != '\0';

  if (!old && length != id_length + KEY_TAIL)
    return FALSE;
  *out_id = g_strndup (bytes, id_length);
  *out_old = old;
  if (old)
    *out_user = g_strndup (bytes + id_length + 1, length - id_length - 1);
  else
    {
      *out_user = g_malloc (ROOK_USER_KEY_SIZE);
      rook_user_key_print (rook_get64 ((const guint8 *) bytes + id_length + 2), *out_user);
    }
  return TRUE;
}

/* --- tables ----------------------------------------------------------------------------------------------------- */

static void
unref_set (gpointer set)
{
  rook_seen_set_unref (set);
}

void
rook_seen_table_init (RookSeenTable *table)
{
  table->durable = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, unref_set);
  table->pending = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, unref_set);
}

void
rook_seen_table_clear (RookSeenTable *table)
{
  g_clear_pointer (&table->durable, g_hash_table_unref);
  g_clear_pointer (&table->pending, g_hash_table_unref);
}

void
rook_seen_table_put (GHashTable *sets, RookSeenSet *set)
{
  g_hash_table_replace (sets, set->user, rook_seen_set_ref (set));
}

void
rook_seen_table_reset (RookSeenTable *table)
{
  GHashTableIter iter;
  gpointer set;

  g_hash_table_remove_all (table->pending);
  g_hash_table_iter_init (&iter, table->durable);
  while (g_hash_table_iter_next (&iter, NULL, &set))
    rook_seen_table_put (table->pending, set);
}
