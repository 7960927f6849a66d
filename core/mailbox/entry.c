/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Entries of the state store and their bytes: tagged fields, so that more can be said later.
 */
#include "mailbox/entry.h"

#include <sys/random.h>

#include "mailbox/codec.h"

#define ENTRY_VERSION 1
#define QUOTA_SIZE (ROOK_QUOTA_N_RESOURCES * sizeof (gint64))

enum {
  TAG_NAME = 1,
  TAG_PARTITION = 2,
  TAG_ACL = 3,
  TAG_SPECIAL_USE = 4,
  TAG_QUOTA = 5,
  TAG_HISTORY = 6,
  TAG_UIDVALIDITY = 7,
  TAG_CREATED = 8,
  TAG_CHANGED = 9,
  TAG_DELETED = 10,
  TAG_CHANGE = 11,
  TAG_CLEARED = 12,
  TAG_LEFT = 13,
  TAG_EARLIER = 14,
  TAG_MOVED = 15,
};

RookEntry *
rook_entry_new (const RookEntry *base)
{
  RookEntry *entry = g_new0 (RookEntry, 1);

  g_atomic_int_set (&entry->ref, 1);
  if (base == NULL)
    return entry;
  entry->id = g_strdup (base->id);
  entry->name = g_strdup (base->name);
  entry->partition = g_strdup (base->partition);
  entry->acl = g_strdup (base->acl);
  entry->special_use = g_strdup (base->special_use);
  entry->quota = g_memdup2 (base->quota, base->quota != NULL ? QUOTA_SIZE : 0);
  entry->history = g_strdupv (base->history);
  entry->uidvalidity = base->uidvalidity;
  entry->created = base->created;
  entry->changed = base->changed;
  entry->deleted = base->deleted;
  entry->change = base->change;
  entry->left = g_strdupv (base->left);
  entry->earlier = g_strdupv (base->earlier);
  entry->moved = base->moved;
  return entry;
}

/* Whether @acl names anybody but @owner. */
static gboolean
acl_is_for_others (const char *acl, const char *owner)
{
  g_auto (GStrv) words = g_strsplit (acl, "\t", -1);

  for (guint i = 0; words[i] != NULL && words[i + 1] != NULL; i += 2)
    if (words[i][0] != '-' && g_strcmp0 (words[i], owner) != 0)
      return TRUE;
  return FALSE;
}

void
rook_entry_derive (RookEntry *entry)
{
  g_free (entry->owner);
  entry->owner = rook_name_dup_owner (entry->name);
  entry->for_others = acl_is_for_others (entry->acl, entry->owner);
}

RookEntry *
rook_entry_ref (RookEntry *entry)
{
  g_atomic_int_inc (&entry->ref);
  return entry;
}

void
rook_entry_unref (RookEntry *entry)
{
  if (!g_atomic_int_dec_and_test (&entry->ref))
    return;
  g_free (entry->id);
  g_free (entry->name);
  g_free (entry->partition);
  g_free (entry->acl);
  g_free (entry->special_use);
  g_free (entry->quota);
  g_strfreev (entry->history);
  g_strfreev (entry->left);
  g_strfreev (entry->earlier);
  g_free (entry->owner);
  g_free (entry);
}

void
rook_entry_set (char **slot, const char *value)
{
  char *copy = g_strdup (value);

  g_free (*slot);
  *slot = copy;
}

void
rook_entry_rename (RookEntry *entry, const char *name)
{
  guint n = entry->history != NULL ? g_strv_length (entry->history) : 0;
  guint skip = n + 1 > ROOK_ENTRY_MAX_HISTORY ? n + 1 - ROOK_ENTRY_MAX_HISTORY : 0;
  GStrv history = g_new0 (char *, n - skip + 2);

  for (guint i = skip; i < n; i++)
    history[i - skip] = g_strdup (entry->history[i]);
  history[n - skip] = g_steal_pointer (&entry->name);
  g_strfreev (entry->history);
  entry->history = history;
  entry->name = g_strdup (name);
  rook_entry_derive (entry);
}

/* --- sets of partitions ----------------------------------------------------------------------------------------- */

gboolean
rook_entry_set_contains (GStrv set, const char *name)
{
  return set != NULL && g_strv_contains ((const char *const *) set, name);
}

void
rook_entry_set_add (GStrv *set, const char *name)
{
  guint n = *set != NULL ? g_strv_length (*set) : 0;

  if (rook_entry_set_contains (*set, name))
    return;
  *set = g_renew (char *, *set, n + 2);
  (*set)[n] = g_strdup (name);
  (*set)[n + 1] = NULL;
}

void
rook_entry_set_remove (GStrv *set, const char *name)
{
  guint kept = 0;

  for (guint i = 0; *set != NULL && (*set)[i] != NULL; i++)
    if (g_str_equal ((*set)[i], name))
      g_free ((*set)[i]);
    else
      (*set)[kept++] = (*set)[i];
  if (*set != NULL)
    (*set)[kept] = NULL;
}

static void
add_set (GByteArray *out, guint8 tag, GStrv set)
{
  for (guint i = 0; set != NULL && set[i] != NULL; i++)
    rook_tags_add_text (out, tag, set[i]);
}

static void
take_into_set (GStrv *set, RookTagReader *reader)
{
  g_autofree char *name = rook_tag_reader_dup_text (reader);

  rook_entry_set_add (set, name);
}

static void
add_quota (const RookEntry *entry, GByteArray *out)
{
  guint8 limits[QUOTA_SIZE];

  for (guint i = 0; entry->quota != NULL && i < ROOK_QUOTA_N_RESOURCES; i++)
    rook_put64 (limits + 8 * i, (guint64) entry->quota[i]);
  if (entry->quota != NULL)
    rook_tags_add (out, TAG_QUOTA, limits, sizeof limits);
}

/* --- bytes ------------------------------------------------------------------------------------------------------ */

GBytes *
rook_entry_encode (const RookEntry *entry)
{
  GByteArray *out = rook_tags_new (ENTRY_VERSION);

  rook_tags_add_text (out, TAG_NAME, entry->name);
  rook_tags_add_text (out, TAG_PARTITION, entry->partition);
  rook_tags_add_text (out, TAG_ACL, entry->acl);
  rook_tags_add_text (out, TAG_SPECIAL_USE, entry->special_use);
  add_set (out, TAG_HISTORY, entry->history);
  rook_tags_add_number (out, TAG_UIDVALIDITY, entry->uidvalidity);
  rook_tags_add_number (out, TAG_CREATED, (guint64) entry->created);
  rook_tags_add_number (out, TAG_CHANGED, (guint64) entry->changed);
  if (entry->deleted)
    rook_tags_add_number (out, TAG_DELETED, 1);
  if (entry->cleared)
    rook_tags_add_number (out, TAG_CLEARED, 1);
  rook_tags_add_number (out, TAG_CHANGE, entry->change);
  add_quota (entry, out);
  add_set (out, TAG_LEFT, entry->left);
  add_set (out, TAG_EARLIER, entry->earlier);
  if (entry->moved != 0)
    rook_tags_add_number (out, TAG_MOVED, (guint64) entry->moved);
  return g_byte_array_free_to_bytes (out);
}

static void
take_text (char **slot, RookTagReader *reader)
{
  g_free (*slot);
  *slot = rook_tag_reader_dup_text (reader);
}

/* Limits of resources that were not known when it was written are none. */
static void
take_quota (RookEntry *entry, RookTagReader *reader)
{
  g_free (entry->quota);
  entry->quota = g_new (gint64, ROOK_QUOTA_N_RESOURCES);
  for (guint i = 0; i < ROOK_QUOTA_N_RESOURCES; i++)
    {
      gint64 limit = 8 * (i + 1) <= reader->length ? (gint64) rook_get64 (reader->data + 8 * i) : -1;

      entry->quota[i] = MAX (limit, -1);
    }
}

static void
read_tag (RookEntry *entry, RookTagReader *reader, GPtrArray *history)
{
  switch (reader->tag)
    {
    case TAG_NAME:
      take_text (&entry->name, reader);
      break;
    case TAG_PARTITION:
      take_text (&entry->partition, reader);
      break;
    case TAG_ACL:
      take_text (&entry->acl, reader);
      break;
    case TAG_SPECIAL_USE:
      take_text (&entry->special_use, reader);
      break;
    case TAG_HISTORY:
      g_ptr_array_add (history, rook_tag_reader_dup_text (reader));
      break;
    case TAG_UIDVALIDITY:
      entry->uidvalidity = (guint32) rook_tag_reader_get_number (reader);
      break;
    case TAG_CREATED:
      entry->created = (gint64) rook_tag_reader_get_number (reader);
      break;
    case TAG_CHANGED:
      entry->changed = (gint64) rook_tag_reader_get_number (reader);
      break;
    case TAG_DELETED:
      entry->deleted = TRUE;
      break;
    case TAG_CHANGE:
      entry->change = rook_tag_reader_get_number (reader);
      break;
    case TAG_CLEARED:
      entry->cleared = TRUE;
      break;
    case TAG_QUOTA:
      take_quota (entry, reader);
      break;
    case TAG_LEFT:
      take_into_set (&entry->left, reader);
      break;
    case TAG_EARLIER:
      take_into_set (&entry->earlier, reader);
      break;
    case TAG_MOVED:
      entry->moved = (gint64) rook_tag_reader_get_number (reader);
      break;
    default:
      break;
    }
}

RookEntry *
rook_entry_decode (GBytes *key, GBytes *value)
{
  g_autoptr (RookEntry) entry = rook_entry_new (NULL);
  g_autoptr (GPtrArray) history = g_ptr_array_new_with_free_func (g_free);
  RookTagReader reader;
  gsize length;
  const char *id = g_bytes_get_data (key, &length);

  if (!rook_tag_reader_init (&reader, value, ENTRY_VERSION))
    return NULL;
  entry->id = g_strndup (id, length);
  while (rook_tag_reader_next (&reader))
    read_tag (entry, &reader, history);
  if (!rook_tag_reader_is_whole (&reader) || entry->name == NULL || entry->partition == NULL || entry->acl == NULL)
    return NULL;
  if (history->len > 0)
    {
      g_ptr_array_add (history, NULL);
      entry->history = (GStrv) g_ptr_array_free (g_steal_pointer (&history), FALSE);
    }
  rook_entry_derive (entry);
  return g_steal_pointer (&entry);
}

char *
rook_entry_make_id (void)
{
  guint8 bytes[12];
  GString *out = g_string_new (NULL);

  g_assert (getrandom (bytes, sizeof bytes, 0) == sizeof bytes);
  for (guint i = 0; i < sizeof bytes; i++)
    g_string_append_printf (out, "%02x", bytes[i]);
  return g_string_free (out, FALSE);
}
