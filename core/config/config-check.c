/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checking what was read against what was declared, and what is declared against the rules for tables.
 *
 * Each group is checked once, when its table is declared; rook_config_validate() gathers what was found then and adds
 * the groups that nobody declared.
 */
#include <string.h>

#include "config/config-private.h"

#define KEY_NAME_MAX 40

static const char *
suggest_key (const RookConfigSchema *schema, const char *word)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();

  for (const RookConfigKey *key = schema->keys; key->name != NULL; key++)
    g_ptr_array_add (names, (gpointer) key->name);
  return rook_config_suggest (word, (const char *const *) names->pdata, names->len);
}

/* The group in which a key of that very name exists. */
static const RookConfigSchema *
find_home (RookConfig *config, const char *key)
{
  for (guint i = 0; i < config->schemas->len; i++)
    {
      const RookConfigSchema *schema = config->schemas->pdata[i];

      for (const RookConfigKey *k = schema->keys; k->name != NULL; k++)
        if (strcmp (k->name, key) == 0)
          return schema;
    }
  return NULL;
}

/* --- groups and keys --------------------------------------------------------------------------------------------- */

gint
rook_config_schema_find (const RookConfigSchema *schema, const char *name)
{
  for (gint i = 0; schema->keys[i].name != NULL; i++)
    if (strcmp (schema->keys[i].name, name) == 0)
      return i;
  return -1;
}

static void
check_entry (RookConfigGroup *group, const RookConfigEntry *entry)
{
  gint index = rook_config_schema_find (group->schema, entry->name);
  g_autoptr (GError) error = NULL;
  RookConfigValue value;

  if (index < 0)
    return; /* told when all tables are known, so that it can be said where it belongs */
  if (!rook_config_value_parse (&group->schema->keys[index], entry->raw, &value, &error))
    {
      /* What is wrong with a secret is told without showing it. */
      rook_config_add_mistake (group->mistakes, group, entry->name, ROOK_CONFIG_ERROR_VALUE, "%s",
                               group->schema->keys[index].secret ? "not a good value" : error->message);
      return;
    }
  rook_config_value_clear (&group->values[index]);
  group->values[index] = value;
}

void
rook_config_group_check (RookConfigGroup *group)
{
  const RookConfigKey *keys = group->schema->keys;
  gsize n = 0;

  while (keys[n].name != NULL)
    n++;
  group->values = g_new0 (RookConfigValue, n + 1);
  for (gsize i = 0; i < n; i++)
    if (keys[i].default_value != NULL)
      rook_config_value_parse (&keys[i], keys[i].default_value, &group->values[i], NULL);
  for (guint i = 0; i < group->entries->len; i++)
    check_entry (group, group->entries->pdata[i]);
  /* A group of one's own name ("plugin imap") that no file opens is not asked for. */
  if (group->file == NULL && group->instance != NULL)
    return;
  for (gsize i = 0; i < n; i++)
    if (keys[i].required && !g_hash_table_contains (group->by_name, keys[i].name))
      rook_config_add_mistake (group->mistakes, group, NULL, ROOK_CONFIG_ERROR_MISSING, "%s must be set", keys[i].name);
}

static void
report_unknown_key (RookConfigGroup *group, const RookConfigEntry *entry, GPtrArray *mistakes)
{
  g_autofree char *title = rook_config_group_get_title (group);
  g_autofree char *quoted = rook_config_quote (entry->name);
  const char *likely = suggest_key (group->schema, entry->name);
  const RookConfigSchema *home = find_home (group->config, entry->name);
  g_autofree char *hint = NULL;

  if (home != NULL)
    hint = g_strdup_printf ("; it belongs to [%s%s]", home->name, home->instances ? " NAME" : "");
  else if (likely != NULL)
    hint = g_strdup_printf ("; did you mean \"%s\"?", likely);
  rook_config_add_mistake_at (mistakes, entry->file, entry->line, ROOK_CONFIG_ERROR_UNKNOWN, "[%s] unknown key %s%s",
                              title, quoted, hint != NULL ? hint : "");
}

/* (nullable) The declared kind of group that a title or a kind was likely meant to be. */
static const char *
suggest_group (RookConfig *config, RookConfigGroup *group, const char *title)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  const char *likely;

  for (guint i = 0; i < config->schemas->len; i++)
    g_ptr_array_add (names, (gpointer) ((const RookConfigSchema *) config->schemas->pdata[i])->name);
  likely = rook_config_suggest (title, (const char *const *) names->pdata, names->len);
  return likely != NULL ? likely : rook_config_suggest (group->name, (const char *const *) names->pdata, names->len);
}

/* (nullable) The table for groups of the same first word. */
static const RookConfigSchema *
find_kind (RookConfig *config, const char *name)
{
  for (guint i = 0; i < config->schemas->len; i++)
    {
      const RookConfigSchema *schema = config->schemas->pdata[i];

      if (strcmp (schema->name, name) == 0)
        return schema;
    }
  return NULL;
}

static void
report_unknown_group (RookConfig *config, RookConfigGroup *group, GPtrArray *mistakes)
{
  g_autofree char *title = rook_config_group_get_title (group);
  g_autofree char *quoted = rook_config_quote (title);
  const RookConfigSchema *kind = find_kind (config, group->name);
  const char *likely = kind == NULL ? suggest_group (config, group, title) : NULL;
  g_autofree char *message = NULL;

  if (kind != NULL && kind->instances)
    message = g_strdup_printf ("[%s] needs a name: [%s NAME]", group->name, group->name);
  else if (kind != NULL)
    message = g_strdup_printf ("[%s] takes no name", group->name);
  else if (likely != NULL)
    message = g_strdup_printf ("unknown group %s; did you mean [%s]?", quoted, likely);
  else
    message = g_strdup_printf ("unknown group %s", quoted);
  rook_config_add_mistake_at (mistakes, group->file, group->line, ROOK_CONFIG_ERROR_UNKNOWN, "%s", message);
}

static void
report_group (RookConfigGroup *group, GPtrArray *mistakes)
{
  for (guint i = 0; i < group->entries->len; i++)
    {
      const RookConfigEntry *entry = group->entries->pdata[i];

      if (rook_config_schema_find (group->schema, entry->name) < 0)
        report_unknown_key (group, entry, mistakes);
    }
  for (guint i = 0; i < group->mistakes->len; i++)
    {
      const RookConfigMistake *mistake = group->mistakes->pdata[i];

      rook_config_add_mistake_at (mistakes, mistake->file, mistake->line, mistake->code, "%s", mistake->message);
    }
}

static guint
file_index (RookConfig *config, const char *file)
{
  for (guint i = 0; file != NULL && i < config->files->len; i++)
    if (strcmp (config->files->pdata[i], file) == 0)
      return i;
  return G_MAXUINT;
}

static int
compare_places (gconstpointer a, gconstpointer b, gpointer data)
{
  const RookConfigMistake *x = *(RookConfigMistake *const *) a, *y = *(RookConfigMistake *const *) b;
  guint i = file_index (data, x->file), j = file_index (data, y->file);

  if (i != j)
    return i < j ? -1 : 1;
  return x->line < y->line ? -1 : x->line > y->line;
}

void
rook_config_validate (RookConfig *config, GPtrArray *mistakes)
{
  for (guint i = 0; i < config->groups->len; i++)
    {
      RookConfigGroup *group = config->groups->pdata[i];

      if (group->unchecked)
        continue;
      if (group->schema == NULL)
        report_unknown_group (config, group, mistakes);
      else
        report_group (group, mistakes);
    }
  g_ptr_array_sort_with_data (mistakes, compare_places, config);
}

/* --- tables ------------------------------------------------------------------------------------------------------ */

static gboolean
schema_error (GError **error, const RookConfigSchema *schema, const char *key, const char *problem)
{
  g_set_error (error, ROOK_CONFIG_ERROR, ROOK_CONFIG_ERROR_VALUE, "%s/%s: %s",
               schema->name != NULL ? schema->name : "(no name)", key != NULL ? key : "", problem);
  return FALSE;
}

static gboolean
is_key_name (const char *name)
{
  gsize length = strlen (name);

  return length > 0 && length <= KEY_NAME_MAX && g_ascii_islower (*name)
         && strspn (name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static gboolean
is_unit (const RookConfigKey *key)
{
  static const char *const sizes[] = { "K", "M", "G", "T", NULL };
  static const char *const durations[] = { "ms", "s", "m", "h", "d", "w", NULL };

  if (key->unit == NULL)
    return TRUE;
  if (key->type == ROOK_CONFIG_SIZE)
    return g_strv_contains (sizes, key->unit);
  return key->type == ROOK_CONFIG_DURATION && g_strv_contains (durations, key->unit);
}

static gboolean
key_check (const RookConfigSchema *schema, const RookConfigKey *key, GError **error)
{
  g_autoptr (GError) bad_default = NULL;
  RookConfigValue value = { 0 };

  if (!is_key_name (key->name))
    return schema_error (error, schema, key->name, "not a key name: lower case letters, digits and -, at most 40");
  if (key->type > ROOK_CONFIG_MODE || key->change > ROOK_CONFIG_SERVER_RESTART)
    return schema_error (error, schema, key->name, "unknown type or change");
  if (key->help == NULL || *key->help == '\0')
    return schema_error (error, schema, key->name, "has no help");
  if (key->type == ROOK_CONFIG_CHOICE && (key->choices == NULL || key->choices[0] == NULL))
    return schema_error (error, schema, key->name, "a choice without choices");
  if (!is_unit (key))
    return schema_error (error, schema, key->name, "not a unit of its type");
  if (key->required && key->default_value != NULL)
    return schema_error (error, schema, key->name, "required, and yet with a default");
  if (rook_config_schema_find (schema, key->name) != (gint) (key - schema->keys))
    return schema_error (error, schema, key->name, "declared twice");
  if (key->default_value != NULL && !rook_config_value_parse (key, key->default_value, &value, &bad_default))
    return schema_error (error, schema, key->name, bad_default->message);
  rook_config_value_clear (&value);
  return TRUE;
}

gboolean
rook_config_schema_check (const RookConfigSchema *schema, GError **error)
{
  if (schema->struct_size < G_STRUCT_OFFSET (RookConfigSchema, help) + sizeof schema->help)
    return schema_error (error, schema, NULL, "has no struct_size");
  if (schema->name == NULL || *schema->name == '\0' || schema->keys == NULL || schema->help == NULL)
    return schema_error (error, schema, NULL, "needs a name, keys and help");
  if (schema->instances && strchr (schema->name, ' ') != NULL)
    return schema_error (error, schema, NULL, "takes instances, so its name is one word");
  for (const RookConfigKey *key = schema->keys; key->name != NULL; key++)
    if (!key_check (schema, key, error))
      return FALSE;
  return TRUE;
}
