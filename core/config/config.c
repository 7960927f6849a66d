/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A reading of the configuration: files, groups, tables and the getters that cannot fail.
 *
 * Made by one thread (read, declare, validate), then never changed and read by all. Checking happens when a table is
 * declared, so that the daemon can ask where its plugins are before they bring their own tables.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "config/config-private.h"

G_DEFINE_QUARK (rook - config - error - quark, rook_config_error)

/* --- life -------------------------------------------------------------------------------------------------------- */

static void
entry_free (gpointer data)
{
  RookConfigEntry *entry = data;

  g_free (entry->name);
  g_free (entry->raw);
  g_free (entry);
}

static void
group_free (gpointer data)
{
  RookConfigGroup *group = data;

  for (gsize i = 0; group->values != NULL && group->schema->keys[i].name != NULL; i++)
    rook_config_value_clear (&group->values[i]);
  g_free (group->values);
  g_hash_table_unref (group->by_name);
  g_ptr_array_unref (group->entries);
  g_ptr_array_unref (group->mistakes);
  g_free (group->name);
  g_free (group->instance);
  g_free (group);
}

static RookConfig *
config_new (void)
{
  RookConfig *config = g_new0 (RookConfig, 1);

  config->ref_count = 1;
  config->warnings = rook_config_mistakes_new ();
  config->files = g_ptr_array_new_with_free_func (g_free);
  config->groups = g_ptr_array_new_with_free_func (group_free);
  config->by_title = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  config->schemas = g_ptr_array_new_with_free_func (g_free);
  config->key_tables = g_ptr_array_new_with_free_func (g_free);
  config->strings = g_string_chunk_new (4096);
  return config;
}

RookConfig *
rook_config_ref (RookConfig *config)
{
  g_return_val_if_fail (config != NULL, NULL);
  g_atomic_int_inc (&config->ref_count);
  return config;
}

void
rook_config_unref (RookConfig *config)
{
  g_return_if_fail (config != NULL);
  if (!g_atomic_int_dec_and_test (&config->ref_count))
    return;
  g_hash_table_unref (config->by_title);
  g_ptr_array_unref (config->groups);
  g_ptr_array_unref (config->schemas);
  g_ptr_array_unref (config->key_tables);
  g_ptr_array_unref (config->files);
  g_ptr_array_unref (config->warnings);
  g_string_chunk_free (config->strings);
  g_free (config);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static gboolean
read_all (int fd, GByteArray *contents)
{
  guint8 buffer[16384];

  /* One byte more than allowed tells a file that is too large. */
  while (contents->len <= ROOK_CONFIG_FILE_MAX)
    {
      ssize_t n = read (fd, buffer, sizeof buffer);

      if (n == 0)
        return TRUE;
      if (n < 0 && errno != EINTR)
        return FALSE;
      if (n > 0)
        g_byte_array_append (contents, buffer, (guint) n);
    }
  return TRUE;
}

static void
read_file (RookConfig *config, const char *path, GPtrArray *mistakes)
{
  g_autoptr (GByteArray) contents = g_byte_array_new ();
  struct stat info;
  /* O_NONBLOCK: a FIFO that lies there must not hold us up. */
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  gboolean good = fd >= 0 && fstat (fd, &info) == 0;

  if (good && !S_ISREG (info.st_mode))
    {
      rook_config_add_mistake_at (mistakes, path, 0, ROOK_CONFIG_ERROR_READ, "cannot be read: not a regular file");
      close (fd);
      return;
    }
  good = good && read_all (fd, contents);
  if (!good)
    rook_config_add_mistake_at (mistakes, path, 0, ROOK_CONFIG_ERROR_READ, "cannot be read: %s", g_strerror (errno));
  if (fd >= 0)
    close (fd);
  if (good)
    rook_config_parse (config, path, (const char *) contents->data, contents->len, mistakes);
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* The files of conf.d by name. No such directory is fine. */
static GPtrArray *
list_snippets (const char *directory, GPtrArray *mistakes)
{
  GPtrArray *paths = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) dir = g_dir_open (directory, 0, &error);
  const char *name;

  if (dir == NULL)
    {
      if (!g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        rook_config_add_mistake_at (mistakes, directory, 0, ROOK_CONFIG_ERROR_READ, "cannot be read: %s",
                                    error->message);
      return paths;
    }
  while ((name = g_dir_read_name (dir)) != NULL)
    if (*name != '.' && g_str_has_suffix (name, ".conf"))
      g_ptr_array_add (paths, g_build_filename (directory, name, NULL));
  g_ptr_array_sort (paths, compare_names);
  if (paths->len > ROOK_CONFIG_FILES_MAX)
    {
      rook_config_add_mistake_at (mistakes, directory, 0, ROOK_CONFIG_ERROR_READ, "has more than %d files",
                                  ROOK_CONFIG_FILES_MAX);
      g_ptr_array_set_size (paths, ROOK_CONFIG_FILES_MAX);
    }
  return paths;
}

RookConfig *
rook_config_read (const char *path, GPtrArray **out_mistakes)
{
  RookConfig *config = config_new ();
  GPtrArray *mistakes = rook_config_mistakes_new ();
  g_autofree char *parent = g_path_get_dirname (path);
  g_autofree char *directory = g_build_filename (parent, "conf.d", NULL);
  g_autoptr (GPtrArray) snippets = NULL;

  read_file (config, path, mistakes);
  snippets = list_snippets (directory, mistakes);
  for (guint i = 0; i < snippets->len; i++)
    read_file (config, snippets->pdata[i], mistakes);
  *out_mistakes = mistakes;
  return config;
}

RookConfig *
rook_config_read_data (const char *name, const char *data, gsize length, GPtrArray **out_mistakes)
{
  RookConfig *config = config_new ();

  *out_mistakes = rook_config_mistakes_new ();
  rook_config_parse (config, name, data, length, *out_mistakes);
  return config;
}

void
rook_config_add_warnings (RookConfig *config, GPtrArray *warnings)
{
  for (guint i = 0; i < config->warnings->len; i++)
    {
      const RookConfigMistake *warning = g_ptr_array_index (config->warnings, i);

      rook_config_add_mistake_at (warnings, warning->file, warning->line, warning->code, "%s", warning->message);
    }
}

GPtrArray *
rook_config_get_files (RookConfig *config)
{
  return config->files;
}

/* --- groups ------------------------------------------------------------------------------------------------------- */

static char *
make_title (const char *name, const char *instance)
{
  return instance != NULL ? g_strconcat (name, " ", instance, NULL) : g_strdup (name);
}

RookConfigGroup *
rook_config_open_group (RookConfig *config, const char *name, const char *instance)
{
  g_autofree char *title = make_title (name, instance);
  RookConfigGroup *group = g_hash_table_lookup (config->by_title, title);

  if (group != NULL)
    return group;
  group = g_new0 (RookConfigGroup, 1);
  group->config = config;
  group->name = g_strdup (name);
  group->instance = g_strdup (instance);
  group->entries = g_ptr_array_new_with_free_func (entry_free);
  group->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  group->mistakes = rook_config_mistakes_new ();
  g_ptr_array_add (config->groups, group);
  g_hash_table_insert (config->by_title, g_steal_pointer (&title), group);
  return group;
}

char *
rook_config_group_get_title (RookConfigGroup *group)
{
  return make_title (group->name, group->instance);
}

RookConfigGroup *
rook_config_get_group (RookConfig *config, const char *name, const char *instance)
{
  g_autofree char *title = make_title (name, instance);

  return g_hash_table_lookup (config->by_title, title);
}

GPtrArray *
rook_config_get_instances (RookConfig *config, const char *name)
{
  GPtrArray *instances = g_ptr_array_new ();

  for (guint i = 0; i < config->groups->len; i++)
    {
      RookConfigGroup *group = config->groups->pdata[i];

      if (group->file != NULL && group->instance != NULL && strcmp (group->name, name) == 0)
        g_ptr_array_add (instances, group);
    }
  return instances;
}

void
rook_config_leave_unchecked (RookConfig *config, RookConfigGroup *group)
{
  g_return_if_fail (group->config == config);
  group->unchecked = TRUE;
}

/* --- tables ------------------------------------------------------------------------------------------------------- */

static const char *
keep (RookConfig *config, const char *text)
{
  return text != NULL ? g_string_chunk_insert_const (config->strings, text) : NULL;
}

static const char *const *
keep_choices (RookConfig *config, const char *const *choices)
{
  gsize n = choices != NULL ? g_strv_length ((char **) choices) : 0;
  const char **copy;

  if (choices == NULL)
    return NULL;
  copy = g_new0 (const char *, n + 1);
  for (gsize i = 0; i < n; i++)
    copy[i] = keep (config, choices[i]);
  g_ptr_array_add (config->key_tables, copy);
  return copy;
}

static const RookConfigKey *
keep_keys (RookConfig *config, const RookConfigKey *keys)
{
  RookConfigKey *copy;
  gsize n = 0;

  while (keys[n].name != NULL)
    n++;
  copy = g_memdup2 (keys, (n + 1) * sizeof *keys);
  for (gsize i = 0; i < n; i++)
    {
      copy[i].name = keep (config, keys[i].name);
      copy[i].default_value = keep (config, keys[i].default_value);
      copy[i].unit = keep (config, keys[i].unit);
      copy[i].help = keep (config, keys[i].help);
      copy[i].choices = keep_choices (config, keys[i].choices);
    }
  g_ptr_array_add (config->key_tables, copy);
  return copy;
}

/* Whether @schema is the table for @group: "plugin imap" for that very group, else by kind. */
static gboolean
schema_fits (const RookConfigSchema *schema, RookConfigGroup *group)
{
  g_autofree char *title = rook_config_group_get_title (group);

  if (!schema->instances)
    return strcmp (schema->name, title) == 0;
  return group->instance != NULL && strcmp (schema->name, group->name) == 0;
}

static void
open_declared_group (RookConfig *config, const RookConfigSchema *schema)
{
  g_auto (GStrv) words = g_strsplit (schema->name, " ", 2);

  rook_config_open_group (config, words[0], words[1]);
}

void
rook_config_declare (RookConfig *config, const RookConfigSchema *schema)
{
  RookConfigSchema *copy = g_new0 (RookConfigSchema, 1);
  g_autoptr (GError) error = NULL;

  if (!rook_config_schema_check (schema, &error))
    g_error ("configuration table: %s", error->message);
  copy->struct_size = sizeof *copy;
  copy->name = keep (config, schema->name);
  copy->instances = schema->instances;
  copy->keys = keep_keys (config, schema->keys);
  copy->help = keep (config, schema->help);
  g_ptr_array_add (config->schemas, copy);
  if (!copy->instances)
    open_declared_group (config, copy);
  for (guint i = 0; i < config->groups->len; i++)
    {
      RookConfigGroup *group = config->groups->pdata[i];

      if (!schema_fits (copy, group))
        continue;
      if (group->schema != NULL)
        g_error ("configuration table [%s] is declared twice", copy->name);
      group->schema = copy;
      rook_config_group_check (group);
    }
}

const RookConfigKey *
rook_config_find_key (RookConfig *config, const char *group, const char *key)
{
  g_auto (GStrv) words = g_strsplit (group, " ", 2);

  for (guint i = 0; i < config->schemas->len; i++)
    {
      const RookConfigSchema *schema = config->schemas->pdata[i];

      if (strcmp (schema->name, group) != 0
          && (!schema->instances || words[0] == NULL || strcmp (schema->name, words[0]) != 0))
        continue;
      for (const RookConfigKey *k = schema->keys; k->name != NULL; k++)
        if (strcmp (k->name, key) == 0)
          return k;
    }
  return NULL;
}

/* --- getters ------------------------------------------------------------------------------------------------------ */

#define TYPE_MASK(type) (1u << (type))

/* Aborts, with the key's name, if it was not declared with one of the types of @mask. */
static const RookConfigValue *
get_value (RookConfigGroup *group, const char *key, guint mask)
{
  const RookConfigKey *keys;

  if (group->schema == NULL)
    g_error ("configuration group [%s] was not declared", group->name);
  keys = group->schema->keys;
  for (gsize i = 0; keys[i].name != NULL; i++)
    {
      if (strcmp (keys[i].name, key) != 0)
        continue;
      if ((TYPE_MASK (keys[i].type) & mask) == 0)
        g_error ("configuration key %s/%s was declared with another type", group->name, key);
      return &group->values[i];
    }
  g_error ("configuration key %s/%s was not declared", group->name, key);
}

const char *
rook_config_group_get_name (RookConfigGroup *group)
{
  return group->name;
}

const char *
rook_config_group_get_instance (RookConfigGroup *group)
{
  return group->instance;
}

gboolean
rook_config_group_is_set (RookConfigGroup *group, const char *key)
{
  return g_hash_table_contains (group->by_name, key);
}

const char *
rook_config_group_get_string (RookConfigGroup *group, const char *key)
{
  return get_value (group, key,
                    TYPE_MASK (ROOK_CONFIG_STRING) | TYPE_MASK (ROOK_CONFIG_PATH) | TYPE_MASK (ROOK_CONFIG_CHOICE))
      ->text;
}

gboolean
rook_config_group_get_boolean (RookConfigGroup *group, const char *key)
{
  return get_value (group, key, TYPE_MASK (ROOK_CONFIG_BOOLEAN))->number != 0;
}

gint64
rook_config_group_get_integer (RookConfigGroup *group, const char *key)
{
  return get_value (group, key, TYPE_MASK (ROOK_CONFIG_INTEGER))->number;
}

guint64
rook_config_group_get_size (RookConfigGroup *group, const char *key)
{
  return get_value (group, key, TYPE_MASK (ROOK_CONFIG_SIZE))->amount;
}

guint64
rook_config_group_get_duration_ms (RookConfigGroup *group, const char *key)
{
  return get_value (group, key, TYPE_MASK (ROOK_CONFIG_DURATION))->amount;
}

guint
rook_config_group_get_choice (RookConfigGroup *group, const char *key)
{
  return (guint) get_value (group, key, TYPE_MASK (ROOK_CONFIG_CHOICE))->number;
}

const char *const *
rook_config_group_get_list (RookConfigGroup *group, const char *key)
{
  static const char *const nothing[] = { NULL };
  const RookConfigValue *value = get_value (group, key, TYPE_MASK (ROOK_CONFIG_LIST));

  return value->list != NULL ? (const char *const *) value->list : nothing;
}

guint
rook_config_group_get_mode (RookConfigGroup *group, const char *key)
{
  return (guint) get_value (group, key, TYPE_MASK (ROOK_CONFIG_MODE))->number;
}
