/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Answers for people: a dictionary as lines, an array of dictionaries as a table, numbers in readable units.
 *
 * What a server says may hold names that strangers chose: control characters are shown, never sent to the terminal.
 */
#include "rookctl-private.h"

#include <string.h>

/* --- one value ----------------------------------------------------------------------------------------------------- */

static void
append_clean (GString *out, const char *text, gboolean keep_lines)
{
  for (; *text != '\0'; text = g_utf8_next_char (text))
    {
      gunichar c = g_utf8_get_char (text);
      gboolean plain = g_unichar_isprint (c) && g_unichar_type (c) != G_UNICODE_FORMAT;

      if (plain || (keep_lines && (c == '\n' || c == '\t')))
        g_string_append_unichar (out, c);
      else
        g_string_append_printf (out, "\\u%04x", c);
    }
}

static gboolean
get_integer (GVariant *number, gint64 *out_n)
{
  switch (g_variant_classify (number))
    {
    case G_VARIANT_CLASS_BYTE:
      *out_n = g_variant_get_byte (number);
      return TRUE;
    case G_VARIANT_CLASS_INT16:
      *out_n = g_variant_get_int16 (number);
      return TRUE;
    case G_VARIANT_CLASS_UINT16:
      *out_n = g_variant_get_uint16 (number);
      return TRUE;
    case G_VARIANT_CLASS_INT32:
      *out_n = g_variant_get_int32 (number);
      return TRUE;
    case G_VARIANT_CLASS_UINT32:
      *out_n = g_variant_get_uint32 (number);
      return TRUE;
    case G_VARIANT_CLASS_INT64:
      *out_n = g_variant_get_int64 (number);
      return TRUE;
    case G_VARIANT_CLASS_UINT64:
      *out_n = (gint64) MIN (g_variant_get_uint64 (number), (guint64) G_MAXINT64);
      return TRUE;
    default:
      return FALSE;
    }
}

static char *
show_seconds (gint64 seconds)
{
  if (seconds < 60)
    return g_strdup_printf ("%" G_GINT64_FORMAT "s", seconds);
  if (seconds < 3600)
    return g_strdup_printf ("%dm %ds", (int) (seconds / 60), (int) (seconds % 60));
  if (seconds < 86400)
    return g_strdup_printf ("%dh %dm", (int) (seconds / 3600), (int) (seconds % 3600 / 60));
  return g_strdup_printf ("%" G_GINT64_FORMAT "d %dh", seconds / 86400, (int) (seconds % 86400 / 3600));
}

static char *
show_time (gint64 time_us)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_local (time_us / G_USEC_PER_SEC);

  return time != NULL && time_us > 0 ? g_date_time_format (time, "%Y-%m-%d %H:%M:%S") : g_strdup ("never");
}

static char *
show_plain (GVariant *value)
{
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN))
    return g_strdup (g_variant_get_boolean (value) ? "yes" : "no");
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_DOUBLE))
    return g_strdup_printf ("%g", g_variant_get_double (value));
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_UINT64))
    return g_strdup_printf ("%" G_GUINT64_FORMAT, g_variant_get_uint64 (value));
  return g_variant_print (value, FALSE);
}

char *
rookctl_show_number (const char *key, GVariant *number)
{
  gint64 n;

  if (!get_integer (number, &n))
    return show_plain (number);
  if (g_str_has_suffix (key, "-bytes"))
    return g_format_size_full ((guint64) MAX (n, 0), G_FORMAT_SIZE_IEC_UNITS);
  if (g_str_has_suffix (key, "-seconds"))
    return show_seconds (n);
  if (g_str_has_suffix (key, "-ms"))
    return n < 10000 ? g_strdup_printf ("%" G_GINT64_FORMAT "ms", n) : show_seconds (n / 1000);
  if (g_str_has_suffix (key, "-time"))
    return show_time (n);
  return show_plain (number);
}

static gboolean
is_simple (GVariant *value)
{
  return !g_variant_is_container (value) || g_variant_is_of_type (value, G_VARIANT_TYPE_STRING_ARRAY);
}

/* A text, a number, or strings in one line. */
static char *
show_cell (const char *key, GVariant *value)
{
  g_autoptr (GString) out = g_string_new (NULL);
  g_autofree char *text = NULL;

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    append_clean (out, g_variant_get_string (value, NULL), FALSE);
  else if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING_ARRAY))
    {
      g_autofree const char **items = g_variant_get_strv (value, NULL);

      text = g_strjoinv (", ", (char **) items);
      append_clean (out, text, FALSE);
    }
  else
    {
      text = rookctl_show_number (key, value);
      append_clean (out, text, FALSE);
    }
  return g_string_free (g_steal_pointer (&out), FALSE);
}

/* A key without the ending that tells its unit. */
static char *
show_key (const char *key)
{
  static const char *const endings[] = { "-bytes", "-seconds", "-ms", "-time" };

  for (gsize i = 0; i < G_N_ELEMENTS (endings); i++)
    if (g_str_has_suffix (key, endings[i]))
      return g_strndup (key, strlen (key) - strlen (endings[i]));
  return g_strdup (key);
}

/* --- tables -------------------------------------------------------------------------------------------------------- */

static guint
text_width (const char *text)
{
  guint width = 0;

  for (; *text != '\0'; text = g_utf8_next_char (text))
    {
      gunichar c = g_utf8_get_char (text);

      width += g_unichar_iszerowidth (c) ? 0 : g_unichar_iswide (c) ? 2 : 1;
    }
  return width;
}

/* The keys of all rows, in the order in which they first appear. */
static GPtrArray *
find_columns (GVariant *rows)
{
  GPtrArray *columns = g_ptr_array_new_with_free_func (g_free);
  GVariantIter iter;
  GVariant *row;

  g_variant_iter_init (&iter, rows);
  while (g_variant_iter_loop (&iter, "@a{sv}", &row))
    {
      GVariantIter cells;
      const char *key;
      GVariant *value;

      g_variant_iter_init (&cells, row);
      while (g_variant_iter_loop (&cells, "{&sv}", &key, &value))
        if (!g_ptr_array_find_with_equal_func (columns, key, g_str_equal, NULL))
          g_ptr_array_add (columns, g_strdup (key));
    }
  return columns;
}

/* The texts of a table, header first, row by row. */
static GPtrArray *
make_cells (GVariant *rows, GPtrArray *columns, gboolean *right)
{
  GPtrArray *cells = g_ptr_array_new_with_free_func (g_free);
  GVariantIter iter;
  GVariant *row;

  for (guint i = 0; i < columns->len; i++)
    {
      g_autofree char *key = show_key (columns->pdata[i]);

      right[i] = TRUE;
      g_ptr_array_add (cells, g_ascii_strup (key, -1));
    }
  g_variant_iter_init (&iter, rows);
  while (g_variant_iter_loop (&iter, "@a{sv}", &row))
    for (guint i = 0; i < columns->len; i++)
      {
        g_autoptr (GVariant) value = g_variant_lookup_value (row, columns->pdata[i], NULL);
        gint64 n;

        g_ptr_array_add (cells, value != NULL ? show_cell (columns->pdata[i], value) : g_strdup (""));
        if (value != NULL && !get_integer (value, &n) && !g_variant_is_of_type (value, G_VARIANT_TYPE_DOUBLE))
          right[i] = FALSE;
      }
  return cells;
}

static void
append_padded (GString *line, const char *text, guint width, gboolean right)
{
  guint pad = width - MIN (text_width (text), width);

  g_string_append_printf (line, "%*s%s%*s", right ? (int) pad : 0, "", text, right ? 0 : (int) pad, "");
}

static void
append_table (GString *out, GVariant *rows, guint indent)
{
  g_autoptr (GPtrArray) columns = find_columns (rows);
  g_autofree gboolean *right = g_new0 (gboolean, columns->len + 1);
  g_autofree guint *widths = g_new0 (guint, columns->len + 1);
  g_autoptr (GPtrArray) cells = make_cells (rows, columns, right);

  if (columns->len == 0)
    {
      g_string_append_printf (out, "%*s(none)\n", (int) indent, "");
      return;
    }
  for (guint i = 0; i < cells->len; i++)
    widths[i % columns->len] = MAX (widths[i % columns->len], text_width (cells->pdata[i]));
  for (guint i = 0; i < cells->len; i += columns->len)
    {
      g_autoptr (GString) line = g_string_new (NULL);

      for (guint j = 0; j < columns->len; j++)
        {
          g_string_append (line, j > 0 ? "  " : "");
          append_padded (line, cells->pdata[i + j], widths[j], right[j]);
        }
      g_strchomp (line->str);
      g_string_append_printf (out, "%*s%s\n", (int) indent, "", line->str);
    }
}

/* --- anything ------------------------------------------------------------------------------------------------------ */

static void append_value (GString *out, GVariant *value, guint indent);

static void
append_dictionary (GString *out, GVariant *dictionary, guint indent)
{
  GVariantIter iter;
  const char *key;
  GVariant *value;

  g_variant_iter_init (&iter, dictionary);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value))
    {
      g_autofree char *shown = show_key (key);

      g_string_append_printf (out, "%*s", (int) indent, "");
      append_clean (out, shown, FALSE);
      if (is_simple (value))
        {
          gboolean is_list = g_variant_is_of_type (value, G_VARIANT_TYPE_STRING_ARRAY);
          g_autofree char *cell = show_cell (key, value);

          g_string_append_printf (out, ": %s\n", is_list && g_variant_n_children (value) == 0 ? "none" : cell);
        }
      else
        {
          g_string_append (out, ":\n");
          append_value (out, value, indent + 2);
        }
    }
}

static void
append_strings (GString *out, GVariant *strings, guint indent)
{
  g_autofree const char **items = g_variant_get_strv (strings, NULL);

  for (gsize i = 0; items[i] != NULL; i++)
    {
      g_string_append_printf (out, "%*s", (int) indent, "");
      append_clean (out, items[i], FALSE);
      g_string_append_c (out, '\n');
    }
}

static void
append_value (GString *out, GVariant *value, guint indent)
{
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_VARDICT))
    append_dictionary (out, value, indent);
  else if (g_variant_is_of_type (value, G_VARIANT_TYPE ("aa{sv}")))
    append_table (out, value, indent);
  else if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING_ARRAY))
    append_strings (out, value, indent);
  else
    {
      g_autofree char *text =
          g_variant_is_of_type (value, G_VARIANT_TYPE_STRING) ? g_variant_dup_string (value, NULL) : show_plain (value);

      g_string_append_printf (out, "%*s", (int) indent, "");
      append_clean (out, text, TRUE);
      if (!g_str_has_suffix (text, "\n"))
        g_string_append_c (out, '\n');
    }
}

char *
rookctl_show_text (GVariant *value)
{
  GString *out = g_string_new (NULL);

  if (value != NULL)
    append_value (out, value, 0);
  return g_string_free (out, FALSE);
}

char *
rookctl_show_progress (double percent, const char *text, guint columns)
{
  g_autoptr (GString) out = g_string_new ("[");
  g_autoptr (GString) clean = g_string_new (NULL);
  guint width = 20, full = (guint) (percent / 100.0 * width + 0.5);

  for (guint i = 0; i < width; i++)
    g_string_append_c (out, i < full ? '#' : ' ');
  g_string_append_printf (out, "] %3.0f%% ", percent);
  append_clean (clean, text, FALSE);
  for (const char *p = clean->str; *p != '\0' && g_utf8_strlen (out->str, -1) < (glong) columns;
       p = g_utf8_next_char (p))
    g_string_append_unichar (out, g_utf8_get_char (p));
  return g_string_free (g_steal_pointer (&out), FALSE);
}
