/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Users in memory: see users.h. Whoever changes something has the user's turn, so that memory follows the state store in the order
 * of its commits.
 */
#include "mailbox/users.h"

#include <string.h>

#include "mailbox/record.h"

static void
user_free (gpointer data)
{
  RookUser *user = data;

  g_free (user->named.name);
  rook_name_set_clear (&user->subscriptions);
  g_free (user);
}

RookUsers *
rook_users_new (void)
{
  RookUsers *users = g_new0 (RookUsers, 1);

  rook_mutex_init (&users->lock);
  users->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  users->by_id = g_hash_table_new (g_int64_hash, g_int64_equal);
  users->all = g_ptr_array_new_with_free_func (user_free);
  users->gone = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  return users;
}

void
rook_users_free (RookUsers *users)
{
  g_hash_table_unref (users->by_name);
  g_hash_table_unref (users->by_id);
  g_hash_table_unref (users->gone);
  g_ptr_array_unref (users->all);
  rook_mutex_clear (&users->lock);
  g_free (users);
}

void
rook_users_publish (RookUsers *users, RookUsers *from)
{
  RookUsers before;

  rook_mutex_lock (&users->lock);
  before = *users;
  users->by_name = from->by_name;
  users->by_id = from->by_id;
  users->all = from->all;
  users->gone = from->gone;
  rook_mutex_unlock (&users->lock);
  from->by_name = before.by_name;
  from->by_id = before.by_id;
  from->all = before.all;
  from->gone = before.gone;
  rook_users_free (from);
}

/* --- questions ---------------------------------------------------------------------------------------------------------- */

const char *
rook_users_find_key (RookUsers *users, const char *name)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&users->lock);
  RookUser *user = g_hash_table_lookup (users->by_name, name);

  return user != NULL && user->is_stored ? user->key : NULL;
}

RookUserName *
rook_users_dup_name (RookUsers *users, guint64 id)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&users->lock);
  RookUser *user = g_hash_table_lookup (users->by_id, &id);
  RookUserName *named;

  if (user == NULL)
    return NULL;
  named = g_new (RookUserName, 1);
  *named = (RookUserName){ user->named.id, user->named.since, g_strdup (user->named.name) };
  return named;
}

char *
rook_users_describe (RookUsers *users, const char *key)
{
  g_autoptr (RookUserName) named = rook_users_dup_name (users, rook_user_key_parse (key));

  return named != NULL ? g_strdup (named->name) : g_strdup_printf ("a user who is gone (%s)", key);
}

/* With the lock held. */
static const RookNameSet *
find_subscriptions (RookUsers *users, const char *name)
{
  RookUser *user = g_hash_table_lookup (users->by_name, name);

  return user != NULL ? &user->subscriptions : NULL;
}

gboolean
rook_users_is_subscribed (RookUsers *users, const char *name, const char *mailbox)
{
  g_autofree char *packed = rook_subscription_pack (name, mailbox);
  g_autoptr (RookLocker) locker = rook_locker_new (&users->lock);
  const RookNameSet *set = find_subscriptions (users, name);

  return set != NULL && rook_name_set_contains (set, packed);
}

guint
rook_users_count_subscriptions (RookUsers *users, const char *name)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&users->lock);
  const RookNameSet *set = find_subscriptions (users, name);

  return set != NULL ? set->n : 0;
}

GPtrArray *
rook_users_list_subscriptions (RookUsers *users, const char *name, const char *from, const char *after, guint max)
{
  GPtrArray *found = g_ptr_array_new_with_free_func (g_free);
  const char *begin = after != NULL ? after : from;
  g_autofree char *packed = begin != NULL ? rook_subscription_pack (name, begin) : NULL;
  g_autoptr (RookLocker) locker = rook_locker_new (&users->lock);
  const RookNameSet *set = find_subscriptions (users, name);

  if (set == NULL)
    return found;
  for (guint i = packed != NULL ? rook_name_set_bound (set, packed, after != NULL) : 0; i < set->n && found->len < max;
       i++)
    g_ptr_array_add (found, rook_subscription_unpack (name, rook_name_set_get (set, i)));
  return found;
}

void
rook_users_set_subscribed (RookUsers *users, const char *name, const char *mailbox, gboolean subscribed)
{
  g_autofree char *packed = rook_subscription_pack (name, mailbox);
  g_autoptr (RookLocker) locker = rook_locker_new (&users->lock);
  RookUser *user = g_hash_table_lookup (users->by_name, name);

  if (user != NULL && subscribed)
    rook_name_set_add (&user->subscriptions, packed);
  else if (user != NULL)
    rook_name_set_remove (&user->subscriptions, packed);
}

/* --- changes ------------------------------------------------------------------------------------------------------------ */

void
rook_users_put (RookBatch *batch, const RookUserName *named)
{
  g_autoptr (GBytes) key = g_bytes_new (named->name, strlen (named->name)), value = rook_user_row_encode (named);

  rook_batch_put (batch, ROOK_STATE_USERS, key, value);
}

static void
delete_row (RookBatch *batch, const char *name)
{
  g_autoptr (GBytes) key = g_bytes_new (name, strlen (name));

  rook_batch_delete (batch, ROOK_STATE_USERS, key);
}

/* With the lock held. */
static guint64
make_id (RookUsers *users)
{
  guint64 id;

  do
    id = rook_user_make_id ();
  while (g_hash_table_contains (users->by_id, &id) || g_hash_table_contains (users->gone, &id));
  return id;
}

/* With the lock held, or before anybody sees @users. */
static RookUser *
add_user (RookUsers *users, guint64 id, guint64 since, const char *name)
{
  RookUser *user = g_new0 (RookUser, 1);

  user->named = (RookUserName){ id, since, g_strdup (name) };
  rook_user_key_print (id, user->key);
  g_ptr_array_add (users->all, user);
  g_hash_table_replace (users->by_name, user->named.name, user);
  g_hash_table_replace (users->by_id, &user->named.id, user);
  return user;
}

void
rook_users_add_known (RookUsers *users, const RookUserName *named)
{
  RookUser *user = g_hash_table_lookup (users->by_id, &named->id);

  if (user == NULL)
    user = add_user (users, named->id, named->since, named->name);
  user->is_stored = TRUE;
  if (named->since <= user->named.since)
    return;
  g_hash_table_remove (users->by_name, user->named.name);
  g_free (user->named.name);
  user->named.name = g_strdup (named->name);
  user->named.since = named->since;
  g_hash_table_replace (users->by_name, user->named.name, user);
}

RookUser *
rook_users_need (RookUsers *users, const char *name, RookBatch *batch)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&users->lock);
  RookUser *user = g_hash_table_lookup (users->by_name, name);

  if (user == NULL)
    user = add_user (users, make_id (users), (guint64) g_get_real_time (), name);
  if (!user->is_stored && batch != NULL)
    rook_users_put (batch, &user->named);
  return user;
}

void
rook_users_note_stored (RookUsers *users, const char *name)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&users->lock);
  RookUser *user = g_hash_table_lookup (users->by_name, name);

  if (user != NULL)
    user->is_stored = TRUE;
}

/* With the lock held. @name: (nullable) Returns: (nullable) who may be stored, too: of a batch that failed that is not known. */
static RookUser *
find (RookUsers *users, const char *name)
{
  return name != NULL ? g_hash_table_lookup (users->by_name, name) : NULL;
}

static void
put_gone (RookBatch *batch, const RookUser *user)
{
  g_autoptr (GBytes) key = rook_user_id_bytes (user->named.id), value = g_bytes_new_static ("\001", 1);

  rook_batch_put (batch, ROOK_STATE_GONE, key, value);
}

void
rook_users_add_change (RookUsers *users, RookBatch *batch, const char *from, const char *to)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&users->lock);
  RookUser *user = find (users, from), *other = find (users, to);

  if (user != NULL)
    delete_row (batch, from);
  if (user != NULL && to == NULL)
    put_gone (batch, user);
  if (other != NULL)
    put_gone (batch, other);
  if (user != NULL && to != NULL)
    rook_users_put (batch, &(RookUserName){ user->named.id, (guint64) g_get_real_time (), (char *) to });
  else if (other != NULL)
    delete_row (batch, to);
}

/* With the lock held. */
static void
give_up (RookUsers *users, RookUser *user)
{
  g_hash_table_remove (users->by_name, user->named.name);
  g_hash_table_remove (users->by_id, &user->named.id);
  g_hash_table_add (users->gone, g_memdup2 (&user->named.id, sizeof user->named.id));
  rook_name_set_clear (&user->subscriptions);
}

RookUserName *
rook_users_change (RookUsers *users, const char *from, const char *to)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&users->lock);
  RookUser *user = find (users, from), *other = find (users, to);
  RookUserName *named;

  if (other != NULL)
    give_up (users, other);
  if (user != NULL && to == NULL)
    give_up (users, user);
  if (user == NULL || to == NULL)
    return NULL;
  g_hash_table_remove (users->by_name, from);
  g_free (user->named.name);
  user->named.name = g_strdup (to);
  user->named.since = (guint64) g_get_real_time ();
  user->is_stored = TRUE;
  g_hash_table_replace (users->by_name, user->named.name, user);
  named = g_new (RookUserName, 1);
  *named = (RookUserName){ user->named.id, user->named.since, g_strdup (to) };
  return named;
}

/* --- what partitions know ----------------------------------------------------------------------------------------------- */

void
rook_users_put_copy (RookBatch *batch, const RookUserName *named)
{
  g_autoptr (GBytes) key = rook_user_id_bytes (named->id), value = rook_user_row_encode (named);

  rook_batch_put (batch, ROOK_PART_USERS, key, value);
}

void
rook_users_add_copy (RookUsers *users, RookBatch *batch, const char *key)
{
  g_autoptr (RookUserName) named = rook_users_dup_name (users, rook_user_key_parse (key));

  if (named != NULL)
    rook_users_put_copy (batch, named);
}

/* --- ids that were given up --------------------------------------------------------------------------------------------- */

GArray *
rook_users_list_gone (RookUsers *users)
{
  GArray *gone = g_array_new (FALSE, FALSE, sizeof (guint64));
  g_autoptr (RookLocker) locker = rook_locker_new (&users->lock);
  GHashTableIter iter;
  gpointer id;

  g_hash_table_iter_init (&iter, users->gone);
  while (g_hash_table_iter_next (&iter, &id, NULL))
    g_array_append_vals (gone, id, 1);
  return gone;
}

void
rook_users_forget (RookUsers *users, guint64 id)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&users->lock);

  g_hash_table_remove (users->gone, &id);
}
