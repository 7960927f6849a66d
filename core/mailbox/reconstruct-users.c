/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Users, when the state store is made again of what partitions know: each has noted the names of the ids under which it has
 * something. Of two names for an id, or two ids for a name, the one that was given later counts. What lies under an id whose
 * name nobody knows is of no use to anybody, and may not come to somebody else: the id is given up, and that is told.
 */
#include "mailbox/reconstruct.h"
#include "mailbox/record.h"
#include "mailbox/seen.h"

struct RookFoundUsers {
  GHashTable *named;   /* id (guint64) -> RookUserName */
  GHashTable *unnamed; /* (element-type guint64) ids that have something somewhere */
};

RookFoundUsers *
rook_found_users_new (void)
{
  RookFoundUsers *found = g_new (RookFoundUsers, 1);

  found->named = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, (GDestroyNotify) rook_user_name_free);
  found->unnamed = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  return found;
}

void
rook_found_users_free (RookFoundUsers *found)
{
  g_hash_table_unref (found->named);
  g_hash_table_unref (found->unnamed);
  g_free (found);
}

void
rook_found_users_take_row (RookFoundUsers *found, GBytes *value)
{
  RookUserName *named = rook_user_row_decode (value);
  const RookUserName *before = named != NULL ? g_hash_table_lookup (found->named, &named->id) : NULL;

  if (named == NULL)
    return;
  if (before == NULL || before->since < named->since)
    g_hash_table_replace (found->named, &named->id, named);
  else
    rook_user_name_free (named);
}

void
rook_found_users_take_seen (RookFoundUsers *found, GBytes *key)
{
  g_autofree char *id = NULL, *user = NULL;
  gboolean old;
  guint64 number;

  if (!rook_seen_key_parse (key, &id, &user, &old) || old)
    return; /* of an earlier version: that has the name itself */
  number = rook_user_key_parse (user);
  if (!g_hash_table_contains (found->unnamed, &number))
    g_hash_table_add (found->unnamed, g_memdup2 (&number, sizeof number));
}

/* name -> the RookUserName that has it. (element-type utf8 RookUserName) (unowned) */
static GHashTable *
choose_names (RookFoundUsers *found)
{
  GHashTable *chosen = g_hash_table_new (g_str_hash, g_str_equal);
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, found->named);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      RookUserName *named = value, *other = g_hash_table_lookup (chosen, named->name);

      if (other == NULL || other->since < named->since || (other->since == named->since && other->id < named->id))
        g_hash_table_replace (chosen, named->name, named);
    }
  return chosen;
}

RookUsers *
rook_found_users_settle (RookFoundUsers *found, guint *out_n_lost)
{
  RookUsers *users = rook_users_new ();
  g_autoptr (GHashTable) chosen = choose_names (found);
  GHashTableIter iter;
  gpointer value, id;

  g_hash_table_iter_init (&iter, found->named);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      RookUserName *named = value;

      if (g_hash_table_lookup (chosen, named->name) == named)
        rook_users_add_known (users, named);
      else
        g_hash_table_add (users->gone, g_memdup2 (&named->id, sizeof named->id));
    }
  *out_n_lost = 0;
  g_hash_table_iter_init (&iter, found->unnamed);
  while (g_hash_table_iter_next (&iter, &id, NULL))
    if (!g_hash_table_contains (found->named, id))
      {
        g_hash_table_add (users->gone, g_memdup2 (id, sizeof (guint64)));
        ++*out_n_lost;
      }
  return users;
}
