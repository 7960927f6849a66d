/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The description of what can be configured, from the very tables that are checked: for `rookctl config describe`, for
 * the sample configuration and for the part of rookery.conf(5) that lists the keys.
 */
#include <string.h>

#include "config/config-private.h"

#define WIDTH 100 /* columns of text and sample */

/* Appends @text in lines of @prefix and at most WIDTH columns. */
static void
append_wrapped (GString *out, const char *prefix, const char *text)
{
  g_auto (GStrv) words = g_strsplit (text, " ", -1);
  gsize column = 0;

  for (gsize i = 0; words[i] != NULL; i++)
    {
      gsize width = (gsize) g_utf8_strlen (words[i], -1);

      if (column > 0 && column + 1 + width > WIDTH)
        {
          g_string_append_c (out, '\n');
          column = 0;
        }
      g_string_append (out, column == 0 ? prefix : " ");
      g_string_append (out, words[i]);
      column += (column == 0 ? strlen (prefix) : 1) + width;
    }
  g_string_append_c (out, '\n');
}

/* --- a key in words ---------------------------------------------------------------------------------------------- */

static const char *
type_word (const RookConfigKey *key)
{
  switch (key->type)
    {
    case ROOK_CONFIG_STRING:
      return "text";
    case ROOK_CONFIG_BOOLEAN:
      return "true or false";
    case ROOK_CONFIG_INTEGER:
      return "number";
    case ROOK_CONFIG_SIZE:
      return "size";
    case ROOK_CONFIG_DURATION:
      return "duration";
    case ROOK_CONFIG_CHOICE:
      return "one of";
    case ROOK_CONFIG_LIST:
      return key->choices != NULL ? "list of" : "list";
    case ROOK_CONFIG_PATH:
      return "path";
    case ROOK_CONFIG_MODE:
      return "octal permissions";
    }
  g_assert_not_reached ();
}

static const char *
change_words (RookConfigChange change)
{
  switch (change)
    {
    case ROOK_CONFIG_LIVE:
      return "acts at reload";
    case ROOK_CONFIG_PLUGIN_RESTART:
      return "reload restarts the plugin";
    case ROOK_CONFIG_SERVER_RESTART:
      return "needs a restart of the server";
    }
  g_assert_not_reached ();
}

static void
append_limit (GString *out, const RookConfigKey *key, gint64 limit)
{
  g_autofree char *text = key->type == ROOK_CONFIG_SIZE       ? rook_config_format_size ((guint64) limit)
                          : key->type == ROOK_CONFIG_DURATION ? rook_config_format_duration ((guint64) limit)
                                                              : g_strdup_printf ("%" G_GINT64_FORMAT, limit);

  g_string_append (out, text);
}

static void
append_range (GString *out, const RookConfigKey *key)
{
  const char *of = key->type == ROOK_CONFIG_LIST ? " items" : key->type == ROOK_CONFIG_STRING ? " characters" : "";

  if ((key->min == 0 && key->max == 0) || key->type == ROOK_CONFIG_MODE)
    return;
  g_string_append (out, ", ");
  if (key->max >= key->min)
    {
      append_limit (out, key, key->min);
      g_string_append (out, " to ");
      append_limit (out, key, key->max);
    }
  else
    {
      g_string_append (out, "at least ");
      append_limit (out, key, key->min);
    }
  g_string_append (out, of);
}

/* "size, 1K to 64M; default 64K; acts at reload" */
static char *
key_facts (const RookConfigKey *key)
{
  GString *out = g_string_new (type_word (key));

  if (key->choices != NULL)
    {
      g_autofree char *all = g_strjoinv (", ", (char **) key->choices);
      g_string_append_printf (out, " %s", all);
    }
  append_range (out, key);
  if (key->unit != NULL)
    g_string_append_printf (out, ", in %s if no unit is written", key->unit);
  if (key->required)
    g_string_append (out, "; must be set");
  else if (key->default_value != NULL && *key->default_value != '\0')
    g_string_append_printf (out, "; default %s", key->default_value);
  else
    g_string_append (out, "; no default");
  g_string_append_printf (out, "; %s", change_words (key->change));
  if (key->secret)
    g_string_append (out, "; secret");
  return g_string_free (out, FALSE);
}

static char *
group_title (const RookConfigSchema *schema)
{
  return g_strdup_printf ("[%s%s]", schema->name, schema->instances ? " NAME" : "");
}

/* --- text and sample --------------------------------------------------------------------------------------------- */

static void
append_text (GString *out, const RookConfigSchema *schema)
{
  g_autofree char *title = group_title (schema);

  g_string_append_printf (out, "%s\n", title);
  append_wrapped (out, "  ", schema->help);
  for (const RookConfigKey *key = schema->keys; key->name != NULL; key++)
    {
      g_autofree char *facts = key_facts (key);

      g_string_append_printf (out, "\n  %s\n", key->name);
      append_wrapped (out, "      ", key->help);
      append_wrapped (out, "      ", facts);
    }
  g_string_append_c (out, '\n');
}

/* All commented out: what is written is what holds anyway. */
static void
append_sample (GString *out, const RookConfigSchema *schema)
{
  g_autofree char *title = group_title (schema);

  append_wrapped (out, "# ", schema->help);
  g_string_append_printf (out, "%s%s\n", strchr (title, ' ') != NULL ? "#" : "", title);
  for (const RookConfigKey *key = schema->keys; key->name != NULL; key++)
    {
      g_autofree char *facts = key_facts (key);

      append_wrapped (out, "# ", key->help);
      g_string_append_printf (out, "# (%s)\n", facts);
      g_string_append_printf (out, "#%s=%s\n", key->name, key->default_value != NULL ? key->default_value : "");
    }
  g_string_append_c (out, '\n');
}

/* --- manual page ------------------------------------------------------------------------------------------------- */

/* @text for roff: backslashes and minus signs, nothing that looks like a request at a line's start, and lists that may be
 * broken behind each item. */
static void
append_roff (GString *out, const char *text)
{
  if (*text == '.' || *text == '\'')
    g_string_append (out, "\\&");
  for (; *text != '\0'; text++)
    if (*text == '\\')
      g_string_append (out, "\\e");
    else if (*text == '-')
      g_string_append (out, "\\-");
    else if (*text == '\n')
      g_string_append_c (out, ' ');
    else if (*text == ';' && text[1] > ' ')
      g_string_append (out, ";\\:");
    else
      g_string_append_c (out, *text);
}

static void
append_roff_line (GString *out, const char *macro, const char *text)
{
  g_string_append (out, macro);
  append_roff (out, text);
  g_string_append_c (out, '\n');
}

static void
append_man (GString *out, const RookConfigSchema *schema)
{
  g_autofree char *title = group_title (schema);

  g_string_append (out, ".SS \"");
  append_roff (out, title);
  g_string_append (out, "\"\n");
  append_roff_line (out, "", schema->help);
  for (const RookConfigKey *key = schema->keys; key->name != NULL; key++)
    {
      g_autofree char *facts = key_facts (key);

      append_roff_line (out, ".TP\n.B ", key->name);
      append_roff_line (out, "", key->help);
      append_roff_line (out, ".br\n", facts);
    }
}

/* ----------------------------------------------------------------------------------------------------------------- */

/* "listener", "listener imaps", "plugin imap", with or without brackets. */
static gboolean
is_asked_for (const RookConfigSchema *schema, const char *title)
{
  g_auto (GStrv) words = g_strsplit (title, " ", 2);

  return strcmp (schema->name, title) == 0
         || (schema->instances && words[0] != NULL && strcmp (schema->name, words[0]) == 0);
}

gboolean
rook_config_format_from_option (const char *option, RookConfigFormat *out_format)
{
  if (strcmp (option, "--sample") == 0)
    *out_format = ROOK_CONFIG_DESCRIBE_SAMPLE;
  else if (strcmp (option, "--man") == 0)
    *out_format = ROOK_CONFIG_DESCRIBE_MAN;
  else
    return FALSE;
  return TRUE;
}

char *
rook_config_describe (RookConfig *config, RookConfigFormat format, const char *title)
{
  static void (*const append[]) (GString *, const RookConfigSchema *) = { append_text, append_sample, append_man };
  g_autoptr (GString) out = g_string_new (NULL);

  for (guint i = 0; i < config->schemas->len; i++)
    {
      const RookConfigSchema *schema = config->schemas->pdata[i];

      if (title == NULL || is_asked_for (schema, title))
        append[format](out, schema);
    }
  return title != NULL && out->len == 0 ? NULL : g_string_free (g_steal_pointer (&out), FALSE);
}

/* --- for programs ------------------------------------------------------------------------------------------------ */

static void
add_text (GVariantDict *row, const char *name, const char *text)
{
  if (text != NULL)
    g_variant_dict_insert (row, name, "s", text);
}

static GVariant *
describe_key (const RookConfigKey *key)
{
  g_autoptr (GString) range = g_string_new (NULL);
  GVariantDict row;

  append_range (range, key);
  g_variant_dict_init (&row, NULL);
  add_text (&row, "key", key->name);
  add_text (&row, "type", type_word (key));
  add_text (&row, "range", range->len > 0 ? range->str + strspn (range->str, ", ") : NULL);
  if (key->choices != NULL)
    g_variant_dict_insert_value (&row, "choices", g_variant_new_strv (key->choices, -1));
  add_text (&row, "unit", key->unit);
  add_text (&row, "default", key->default_value);
  g_variant_dict_insert (&row, "required", "b", key->required);
  g_variant_dict_insert (&row, "secret", "b", key->secret);
  add_text (&row, "change", change_words (key->change));
  add_text (&row, "help", key->help);
  return g_variant_dict_end (&row);
}

static GVariant *
describe_group (const RookConfigSchema *schema)
{
  GVariantBuilder keys;
  GVariantDict row;

  g_variant_builder_init (&keys, G_VARIANT_TYPE ("aa{sv}"));
  for (const RookConfigKey *key = schema->keys; key->name != NULL; key++)
    g_variant_builder_add_value (&keys, describe_key (key));
  g_variant_dict_init (&row, NULL);
  add_text (&row, "group", schema->name);
  g_variant_dict_insert (&row, "named", "b", schema->instances);
  add_text (&row, "help", schema->help);
  g_variant_dict_insert_value (&row, "keys", g_variant_builder_end (&keys));
  return g_variant_dict_end (&row);
}

GVariant *
rook_config_describe_data (RookConfig *config, const char *title)
{
  GVariantBuilder groups;
  guint n = 0;

  g_variant_builder_init (&groups, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < config->schemas->len; i++)
    {
      const RookConfigSchema *schema = config->schemas->pdata[i];

      if (title != NULL && !is_asked_for (schema, title))
        continue;
      g_variant_builder_add_value (&groups, describe_group (schema));
      n++;
    }
  if (n > 0 || title == NULL)
    return g_variant_builder_end (&groups);
  g_variant_builder_clear (&groups);
  return NULL;
}
