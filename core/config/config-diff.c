/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What differs between two readings, in values and not in spelling: `1K` and `1024` are the same.
 */
#include <string.h>

#include "config/config-private.h"

static const char *
get_raw (RookConfigGroup *group, const char *key)
{
  RookConfigEntry *entry = g_hash_table_lookup (group->by_name, key);

  return entry != NULL ? entry->raw : NULL;
}

static gboolean
key_differs (RookConfigGroup *a, RookConfigGroup *b, const char *key)
{
  gint i = a->schema != NULL ? rook_config_schema_find (a->schema, key) : -1;
  gint j = b->schema != NULL ? rook_config_schema_find (b->schema, key) : -1;

  if (i >= 0 && j >= 0)
    return !rook_config_value_equal (&a->values[i], &b->values[j]);
  return g_strcmp0 (get_raw (a, key), get_raw (b, key)) != 0;
}

static void
diff_key (RookConfigGroup *a, RookConfigGroup *b, const char *title, const char *key, GHashTable *found)
{
  char *path = g_strconcat (title, "/", key, NULL);

  if (key_differs (a, b, key))
    g_hash_table_add (found, path);
  else
    g_free (path);
}

static void
diff_groups (RookConfigGroup *a, RookConfigGroup *b, const char *title, GHashTable *found)
{
  RookConfigGroup *const both[] = { a, b };

  for (guint side = 0; side < 2; side++)
    {
      for (guint i = 0; i < both[side]->entries->len; i++)
        diff_key (a, b, title, ((RookConfigEntry *) both[side]->entries->pdata[i])->name, found);
      for (const RookConfigKey *key = both[side]->schema != NULL ? both[side]->schema->keys : NULL;
           key != NULL && key->name != NULL; key++)
        diff_key (a, b, title, key->name, found);
    }
}

/* Whether the group can come and go: `[log]` is always there, `[listener imap]` only if a file says so. */
static gboolean
is_there (RookConfigGroup *group)
{
  return group != NULL && (group->file != NULL || (group->schema != NULL && group->instance == NULL));
}

/* The groups of @one against those of @other; keys only if @with_keys (else they would come twice). */
static void
diff_side (RookConfig *one, RookConfig *other, gboolean with_keys, GHashTable *found)
{
  for (guint i = 0; i < one->groups->len; i++)
    {
      RookConfigGroup *a = one->groups->pdata[i];
      g_autofree char *title = rook_config_group_get_title (a);
      RookConfigGroup *b = g_hash_table_lookup (other->by_title, title);

      if (is_there (a) != is_there (b))
        g_hash_table_add (found, g_steal_pointer (&title));
      else if (with_keys && is_there (a))
        diff_groups (a, b, title, found);
    }
}

static int
compare_texts (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

GPtrArray *
rook_config_diff (RookConfig *before, RookConfig *after)
{
  g_autoptr (GHashTable) found = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GPtrArray *result = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter iter;
  gpointer text;

  diff_side (before, after, TRUE, found);
  diff_side (after, before, FALSE, found);
  g_hash_table_iter_init (&iter, found);
  while (g_hash_table_iter_next (&iter, &text, NULL))
    g_ptr_array_add (result, g_strdup (text));
  g_ptr_array_sort (result, compare_texts);
  return result;
}
