/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What stores say of users when they are opened. An earlier version kept \Seen of others and subscriptions under the user's name:
 * those rows get ids here, a slice at a time, so that a start that is cut short goes on where it was.
 *
 * A partition says in its META that it has none of them any more. One that does not say so is looked through, once: it is of an
 * earlier version, or new, or has lost its tables; of the last the names of ids are noted again.
 */
#include "mailbox/codec.h"
#include "mailbox/mail.h"
#include "mailbox/record.h"
#include "mailbox/seen.h"

#define SLICE 1000    /* rows a batch */
#define AT_ONCE 50000 /* rows in memory */

/* A row of an earlier version. */
typedef struct {
  GBytes *key, *value; /* (owned) */
  char *user, *id;     /* (owned) @id: the mailbox's id, or the name of a subscription */
} Row;

static void
row_free (gpointer data)
{
  Row *row = data;

  g_bytes_unref (row->key);
  g_bytes_unref (row->value);
  g_free (row->user);
  g_free (row->id);
  g_free (row);
}

static void
add_row (GPtrArray *rows, GBytes *key, GBytes *value, char *user, char *id)
{
  Row *row = g_new (Row, 1);

  *row = (Row){ g_bytes_ref (key), g_bytes_ref (value), user, id };
  g_ptr_array_add (rows, row);
}

/* On a full disk too. What the reservation refuses the commit refuses. */
static gboolean
commit (RookStore *store, RookBatch *batch, GError **error)
{
  rook_batch_reserve (batch, 0, TRUE, NULL);
  return rook_store_commit_wait (store, batch, NULL, error);
}

/* --- the state store ---------------------------------------------------------------------------------------------------- */

typedef struct {
  RookUsers *users;
  GPtrArray *old; /* (element-type Row) */
  guint *damaged;
} Reading;

static gboolean
read_user (RookTable table G_GNUC_UNUSED, GBytes *key, GBytes *value, gpointer data)
{
  Reading *reading = data;
  g_autoptr (RookUserName) named = rook_user_row_decode (value);
  gsize length;
  const char *name = g_bytes_get_data (key, &length);

  if (named != NULL && strlen (named->name) == length && memcmp (named->name, name, length) == 0)
    rook_users_add_known (reading->users, named);
  else
    ++*reading->damaged;
  return TRUE;
}

static gboolean
read_gone (RookTable table G_GNUC_UNUSED, GBytes *key, GBytes *value G_GNUC_UNUSED, gpointer data)
{
  Reading *reading = data;
  guint64 id = rook_user_id_of_bytes (key);

  if (id != 0)
    g_hash_table_add (reading->users->gone, g_memdup2 (&id, sizeof id));
  else
    ++*reading->damaged;
  return TRUE;
}

static gboolean
read_subscription (RookTable table G_GNUC_UNUSED, GBytes *key, GBytes *value, gpointer data)
{
  Reading *reading = data;
  g_autofree char *user_name = NULL, *name = NULL;
  RookUser *user;
  guint64 id;

  if (!rook_subscription_key_parse (key, &id, &user_name, &name))
    ++*reading->damaged;
  else if (id == 0)
    add_row (reading->old, key, value, g_steal_pointer (&user_name), g_steal_pointer (&name));
  else if ((user = g_hash_table_lookup (reading->users->by_id, &id)) != NULL)
    rook_name_set_append (&user->subscriptions, name);
  return TRUE;
}

/* The next slice of @old. */
static gboolean
convert_subscriptions (RookUsers *users, RookStore *state, GPtrArray *old, guint first, GError **error)
{
  g_autoptr (GHashTable) named = g_hash_table_new (g_str_hash, g_str_equal);
  RookBatch *batch = rook_batch_new (state);
  GHashTableIter iter;
  gpointer name;

  for (guint i = first; i < MIN (first + SLICE, old->len); i++)
    {
      const Row *row = g_ptr_array_index (old, i);
      RookUser *user = rook_users_need (users, row->user, g_hash_table_add (named, row->user) ? batch : NULL);
      g_autofree char *packed = rook_subscription_pack (row->user, row->id);
      g_autoptr (GBytes) key = rook_subscription_key (user->named.id, packed);

      rook_batch_put (batch, ROOK_STATE_SUBSCRIPTIONS, key, row->value);
      rook_batch_delete (batch, ROOK_STATE_SUBSCRIPTIONS, row->key);
      rook_name_set_append (&user->subscriptions, packed);
    }
  if (!commit (state, batch, error))
    return FALSE;
  g_hash_table_iter_init (&iter, named);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    rook_users_note_stored (users, name);
  return TRUE;
}

gboolean
rook_opening_read_users (RookOpening *opening, guint *damaged, GError **error)
{
  RookUsers *users = opening->users = rook_users_new ();
  g_autoptr (GPtrArray) old = g_ptr_array_new_with_free_func (row_free);
  Reading reading = { users, old, damaged };

  if (!rook_store_foreach (opening->state, ROOK_STATE_USERS, read_user, &reading, error)
      || !rook_store_foreach (opening->state, ROOK_STATE_GONE, read_gone, &reading, error)
      || !rook_store_foreach (opening->state, ROOK_STATE_SUBSCRIPTIONS, read_subscription, &reading, error))
    return FALSE;
  for (guint i = 0; i < old->len; i += SLICE)
    if (!convert_subscriptions (users, opening->state, old, i, error))
      return FALSE;
  for (guint i = 0; i < users->all->len; i++)
    rook_name_set_sort (&((RookUser *) g_ptr_array_index (users->all, i))->subscriptions);
  return TRUE;
}

/* --- a partition -------------------------------------------------------------------------------------------------------- */

typedef struct {
  RookUsers *users;
  RookStore *state, *store; /* (unowned) */
  GPtrArray *old;           /* (element-type Row) */
  GHashTable *keys;         /* of users who have something there */
} Partition;

static gboolean
look_at_seen (RookTable table G_GNUC_UNUSED, GBytes *key, GBytes *value, gpointer data)
{
  Partition *p = data;
  g_autofree char *id = NULL, *user = NULL;
  gboolean old;

  if (!rook_seen_key_parse (key, &id, &user, &old))
    return TRUE;
  if (old)
    add_row (p->old, key, value, g_steal_pointer (&user), g_steal_pointer (&id));
  else
    g_hash_table_add (p->keys, g_steal_pointer (&user));
  return p->old->len < AT_ONCE;
}

/* Ids first, in the state store: one that a partition has is known, or was given up. */
static gboolean
give_ids (Partition *p, guint first, GError **error)
{
  g_autoptr (GHashTable) named = g_hash_table_new (g_str_hash, g_str_equal);
  RookBatch *batch = rook_batch_new (p->state);
  GHashTableIter iter;
  gpointer name;

  for (guint i = first; i < MIN (first + SLICE, p->old->len); i++)
    {
      const Row *row = g_ptr_array_index (p->old, i);

      if (rook_users_find_key (p->users, row->user) == NULL && g_hash_table_add (named, row->user))
        rook_users_need (p->users, row->user, batch);
    }
  if (g_hash_table_size (named) == 0)
    {
      rook_batch_free (batch);
      return TRUE;
    }
  if (!commit (p->state, batch, error))
    return FALSE;
  g_hash_table_iter_init (&iter, named);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    rook_users_note_stored (p->users, name);
  return TRUE;
}

static gboolean
convert_seen (Partition *p, guint first, GError **error)
{
  RookBatch *batch;

  if (!give_ids (p, first, error))
    return FALSE;
  batch = rook_batch_new (p->store);
  for (guint i = first; i < MIN (first + SLICE, p->old->len); i++)
    {
      const Row *row = g_ptr_array_index (p->old, i);
      const char *user = rook_users_find_key (p->users, row->user);
      g_autoptr (GBytes) key = NULL;

      if (user == NULL)
        continue; /* renamed or deleted this very moment */
      key = rook_seen_key (row->id, user);
      rook_batch_put (batch, ROOK_PART_SEEN, key, row->value);
      rook_batch_delete (batch, ROOK_PART_SEEN, row->key);
      g_hash_table_add (p->keys, g_strdup (user));
    }
  return commit (p->store, batch, error);
}

static gboolean
note_names (Partition *p, GError **error)
{
  GHashTableIter iter;
  gpointer key;
  gboolean more = TRUE;

  g_hash_table_iter_init (&iter, p->keys);
  while (more)
    {
      RookBatch *batch = rook_batch_new (p->store);

      for (guint n = 0; n < SLICE && (more = g_hash_table_iter_next (&iter, &key, NULL)); n++)
        rook_users_add_copy (p->users, batch, key);
      if (!commit (p->store, batch, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
look_through (Partition *p, GError **error)
{
  do
    {
      g_ptr_array_set_size (p->old, 0);
      if (!rook_store_foreach (p->store, ROOK_PART_SEEN, look_at_seen, p, error))
        return FALSE;
      for (guint i = 0; i < p->old->len; i += SLICE)
        if (!convert_seen (p, i, error))
          return FALSE;
    }
  while (p->old->len > 0);
  return note_names (p, error);
}

static gboolean
mark (RookStore *store, GBytes *key, GError **error)
{
  RookBatch *batch = rook_batch_new (store);
  guint8 bytes[4];
  g_autoptr (GBytes) value = NULL;

  rook_put32 (bytes, ROOK_PART_FORMAT);
  value = g_bytes_new (bytes, sizeof bytes);
  rook_batch_put (batch, ROOK_PART_META, key, value);
  return commit (store, batch, error);
}

gboolean
rook_opening_bring_up_to_date (RookOpening *opening, RookStore *store, GError **error)
{
  g_autoptr (GBytes) key = rook_bytes_of_text (ROOK_META_FORMAT), value = NULL;
  g_autoptr (GPtrArray) old = g_ptr_array_new_with_free_func (row_free);
  g_autoptr (GHashTable) keys = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  Partition p = { .users = opening->users != NULL ? opening->users : opening->mail->users,
                  .state = opening->state != NULL ? opening->state : rook_mail_get_state (opening->mail),
                  .store = store,
                  .old = old,
                  .keys = keys };
  guint32 format;

  if (!rook_store_get_wait (store, ROOK_PART_META, key, &value, error))
    return FALSE;
  format = value == NULL                   ? 1
           : g_bytes_get_size (value) == 4 ? rook_get32 (g_bytes_get_data (value, NULL))
                                           : G_MAXUINT32;
  if (format > ROOK_PART_FORMAT)
    {
      g_set_error_literal (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE,
                           "what is in it was written by a newer version");
      return FALSE;
    }
  return format == ROOK_PART_FORMAT || (look_through (&p, error) && mark (store, key, error));
}
