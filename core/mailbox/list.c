/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lists of mailboxes: a piece at a time, so that the names are never locked for long, and without looking at mailboxes
 * that only their owners can see.
 */
#include "mailbox/mail.h"

#define PIECE 256 /* names looked at under the lock at a time */
#define DEFAULT_LIMIT 1000

/* Where the list is: the asker's own mailboxes come first, then those of others. */
typedef struct {
  RookMail *mail;
  RookIdentity *identity; /* (nullable) */
  const char *user;       /* (nullable) */
  char *own;              /* (nullable) "user/NAME" */
  const char *prefix;
  gboolean first_part; /* the asker's own */
  char *after;         /* (nullable) go on behind it */
  gboolean subscribed;
} Cursor;

static gboolean
is_own (const Cursor *cursor, const char *name)
{
  return cursor->own != NULL && (g_str_equal (name, cursor->own) || rook_name_is_below (name, cursor->own));
}

/* With the lock held. Which tree to walk: somebody who is no administrator need not look at what only owners see. */
static GTree *
choose_tree (Cursor *cursor)
{
  if (cursor->first_part || cursor->identity == NULL || rook_identity_is_admin (cursor->identity))
    return cursor->mail->names->tree;
  return cursor->mail->names->others;
}

/* With the lock held: the node to go on with. */
static GTreeNode *
next_node (Cursor *cursor)
{
  GTree *tree = choose_tree (cursor);

  if (cursor->after != NULL)
    return g_tree_upper_bound (tree, cursor->after);
  if (cursor->first_part)
    return g_tree_lower_bound (tree, cursor->own);
  return g_tree_node_first (tree);
}

typedef struct {
  char *name;
  RookEntry *entry; /* (nullable) */
  gboolean has_children, subscribed;
} Found;

static void
clear_found (gpointer data)
{
  Found *found = data;

  g_free (found->name);
  g_clear_pointer (&found->entry, rook_entry_unref);
}

static gboolean
has_prefix (const Cursor *cursor, const char *name)
{
  return cursor->prefix == NULL || g_str_has_prefix (name, cursor->prefix);
}

/* With the lock held. %FALSE: this part of the list has ended before it. */
static gboolean
take_name (Cursor *cursor, const char *name, GArray *out)
{
  Found found;

  if (cursor->first_part && !is_own (cursor, name))
    return FALSE;
  g_free (cursor->after);
  cursor->after = g_strdup (name);
  if ((!cursor->first_part && is_own (cursor, name)) || !has_prefix (cursor, name))
    return TRUE;
  found.name = g_strdup (name);
  found.entry = rook_names_find (cursor->mail, name);
  if (found.entry != NULL)
    rook_entry_ref (found.entry);
  found.has_children = rook_names_has_children (cursor->mail, name);
  found.subscribed = cursor->user != NULL && rook_users_is_subscribed (cursor->mail->users, cursor->user, name);
  g_array_append_val (out, found);
  return TRUE;
}

/* Takes up to PIECE names; %FALSE: this part of the list has ended. */
static gboolean
take_piece (Cursor *cursor, GArray *out)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&cursor->mail->lock);
  GTreeNode *node = next_node (cursor);
  guint n = 0;

  for (; node != NULL && n < PIECE; node = g_tree_node_next (node), n++)
    if (!take_name (cursor, g_tree_node_key (node), out))
      return FALSE;
  return node != NULL;
}

/* The same of the asker's subscriptions. */
static gboolean
take_subscribed_piece (Cursor *cursor, GArray *out)
{
  g_autoptr (GPtrArray) names = rook_users_list_subscriptions (
      cursor->mail->users, cursor->user, cursor->first_part ? cursor->own : NULL, cursor->after, PIECE);
  g_autoptr (RookLocker) locker = rook_locker_new (&cursor->mail->lock);

  for (guint i = 0; i < names->len; i++)
    if (!take_name (cursor, g_ptr_array_index (names, i), out))
      return FALSE;
  return names->len == PIECE;
}

static gboolean
may_see (const Cursor *cursor, const Found *found)
{
  if (cursor->subscribed && found->entry == NULL)
    return TRUE;
  return found->entry != NULL && (rook_entry_get_rights (found->entry, cursor->identity) & ROOK_RIGHT_LOOKUP) != 0;
}

static void
tell (const Found *found, RookMailListFunc func, gpointer data)
{
  RookMailboxInfo info = { .name = found->name,
                           .id = found->entry != NULL ? found->entry->id : NULL,
                           .partition = found->entry != NULL ? found->entry->partition : NULL,
                           .special_use = found->entry != NULL ? found->entry->special_use : NULL,
                           .has_children = found->has_children,
                           .subscribed = found->subscribed };

  func (&info, data);
}

/* Gives the rest of one part. Returns the number still allowed; 0 with *@out_more: the limit was met. */
static guint
list_part (Cursor *cursor, guint limit, RookMailListFunc func, gpointer data, gboolean *out_more)
{
  gboolean more = TRUE;

  while (more && limit > 0)
    {
      g_autoptr (GArray) piece = g_array_new (FALSE, FALSE, sizeof (Found));

      g_array_set_clear_func (piece, clear_found);
      if (!cursor->subscribed)
        more = take_piece (cursor, piece);
      else
        more = cursor->user != NULL && take_subscribed_piece (cursor, piece);
      for (guint i = 0; i < piece->len; i++)
        {
          const Found *found = &g_array_index (piece, Found, i);

          if (!may_see (cursor, found))
            continue;
          if (limit == 0)
            {
              *out_more = TRUE;
              return 0;
            }
          tell (found, func, data);
          limit--;
        }
    }
  *out_more = more;
  return limit;
}

gboolean
rook_mail_list (RookMail *mail, RookIdentity *identity, const RookListQuery *query, RookMailListFunc func,
                gpointer data)
{
  const char *user = identity != NULL ? rook_identity_get_user (identity) : NULL;
  g_autofree char *own = user != NULL ? rook_name_of_user (user) : NULL;
  const char *after = query != NULL ? query->after : NULL;
  guint limit = query != NULL && query->limit > 0 ? query->limit : DEFAULT_LIMIT;
  Cursor cursor = { .mail = mail,
                    .identity = identity,
                    .user = user,
                    .own = own,
                    .prefix = query != NULL ? query->prefix : NULL,
                    .subscribed = query != NULL && query->subscribed };
  gboolean more = FALSE;

  cursor.first_part = own != NULL && (after == NULL || is_own (&cursor, after));
  cursor.after = g_strdup (after);
  if (cursor.first_part)
    {
      limit = list_part (&cursor, limit, func, data, &more);
      cursor.first_part = FALSE;
      g_clear_pointer (&cursor.after, g_free);
      if (limit == 0)
        return TRUE;
    }
  list_part (&cursor, limit, func, data, &more);
  g_free (cursor.after);
  return more;
}
