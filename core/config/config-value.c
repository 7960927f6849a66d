/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Values: from the text behind the `=` to a key's type and range, and back to text for people.
 *
 * Errors are sentences that tell what was expected; where the value stands is the caller's to add.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "config/config-private.h"

typedef struct {
  const char *suffix;
  guint64 factor;
} Unit;

/* From large to small, for printing; the last one is the base unit. */
static const Unit size_units[] = {
  { "T", G_GUINT64_CONSTANT (1) << 40 }, { "G", 1 << 30 }, { "M", 1 << 20 }, { "K", 1 << 10 }, { "", 1 }
};
static const Unit duration_units[] = { { "w", 604800000 }, { "d", 86400000 }, { "h", 3600000 },
                                       { "m", 60000 },     { "s", 1000 },     { "ms", 1 } };

static gboolean value_error (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);

static gboolean
value_error (GError **error, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  if (error != NULL)
    *error = g_error_new_valist (ROOK_CONFIG_ERROR, ROOK_CONFIG_ERROR_VALUE, format, args);
  va_end (args);
  return FALSE;
}

static gboolean
bad_value (GError **error, const char *raw, const char *expected)
{
  g_autofree char *quoted = rook_config_quote (raw);
  /* The commonest slip: GKeyFile knows no comments behind a value. */
  const char *hint =
      strstr (raw, " #") != NULL || strstr (raw, "\t#") != NULL ? " (a comment must have a line of its own)" : "";

  return value_error (error, "%s is not %s%s", quoted, expected, hint);
}

/* --- numbers ----------------------------------------------------------------------------------------------------- */

static gboolean
find_unit (const Unit *units, gsize n, const char *suffix, guint64 *out_factor)
{
  for (gsize i = 0; i < n; i++)
    if (g_ascii_strcasecmp (units[i].suffix, suffix) == 0)
      {
        *out_factor = units[i].factor;
        return TRUE;
      }
  return FALSE;
}

/* Digits, blanks, a suffix. @bare: the unit of a number without one. */
static gboolean
parse_amount (const char *text, const Unit *units, gsize n, const char *bare, guint64 *out_amount)
{
  guint64 number, factor;
  char *end;

  if (!g_ascii_isdigit (*text))
    return FALSE;
  errno = 0;
  number = g_ascii_strtoull (text, &end, 10);
  if (errno != 0)
    return FALSE;
  while (*end == ' ')
    end++;
  if (!find_unit (units, n, *end != '\0' || bare == NULL ? end : bare, &factor))
    {
      /* The base unit of durations has a suffix that nobody has to write. */
      if (*end != '\0')
        return FALSE;
      factor = 1;
    }
  return g_uint64_checked_mul (out_amount, number, factor) && *out_amount <= G_MAXINT64;
}

static char *
format_amount (guint64 amount, const Unit *units, gsize n)
{
  for (gsize i = 0; i < n; i++)
    if (amount >= units[i].factor && amount % units[i].factor == 0)
      return g_strdup_printf ("%" G_GUINT64_FORMAT "%s", amount / units[i].factor, units[i].suffix);
  return g_strdup ("0");
}

char *
rook_config_format_size (guint64 bytes)
{
  return format_amount (bytes, size_units, G_N_ELEMENTS (size_units));
}

char *
rook_config_format_duration (guint64 ms)
{
  return format_amount (ms, duration_units, G_N_ELEMENTS (duration_units));
}

static char *
format_limit (const RookConfigKey *key, gint64 limit)
{
  switch (key->type)
    {
    case ROOK_CONFIG_SIZE:
      return rook_config_format_size ((guint64) limit);
    case ROOK_CONFIG_DURATION:
      return rook_config_format_duration ((guint64) limit);
    case ROOK_CONFIG_STRING:
      return g_strdup_printf ("%" G_GINT64_FORMAT " characters", limit);
    case ROOK_CONFIG_LIST:
      return g_strdup_printf ("%" G_GINT64_FORMAT " items", limit);
    default:
      return g_strdup_printf ("%" G_GINT64_FORMAT, limit);
    }
}

static gboolean
check_range (const RookConfigKey *key, gint64 number, GError **error)
{
  if (key->min == 0 && key->max == 0)
    return TRUE;
  if (number < key->min)
    {
      g_autofree char *limit = format_limit (key, key->min);
      return value_error (error, "must be at least %s", limit);
    }
  if (key->max >= key->min && number > key->max)
    {
      g_autofree char *limit = format_limit (key, key->max);
      return value_error (error, "must be at most %s", limit);
    }
  return TRUE;
}

static gboolean
parse_integer (const RookConfigKey *key, const char *text, RookConfigValue *value, GError **error)
{
  char *end;

  errno = 0;
  value->number = g_ascii_strtoll (text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || g_ascii_isspace (*text))
    return bad_value (error, text, "a whole number");
  return check_range (key, value->number, error);
}

static gboolean
parse_size (const RookConfigKey *key, const char *text, RookConfigValue *value, GError **error)
{
  if (!parse_amount (text, size_units, G_N_ELEMENTS (size_units), key->unit, &value->amount))
    return bad_value (error, text, "a size (a whole number, then K, M, G or T if wanted)");
  return check_range (key, (gint64) value->amount, error);
}

static gboolean
parse_duration (const RookConfigKey *key, const char *text, RookConfigValue *value, GError **error)
{
  if (strcmp (text, "never") == 0)
    value->amount = 0;
  else if (!parse_amount (text, duration_units, G_N_ELEMENTS (duration_units), key->unit, &value->amount))
    return bad_value (error, text, "a duration (a whole number, then ms, s, m, h, d or w)");
  return check_range (key, (gint64) value->amount, error);
}

static gboolean
parse_boolean (const char *text, RookConfigValue *value, GError **error)
{
  static const char *const words[] = { "false", "true", "no", "yes", "off", "on", "0", "1" };

  for (gsize i = 0; i < G_N_ELEMENTS (words); i++)
    if (g_ascii_strcasecmp (text, words[i]) == 0)
      {
        value->number = i % 2;
        return TRUE;
      }
  return bad_value (error, text, "true or false");
}

static gboolean
parse_mode (const RookConfigKey *key, const char *text, RookConfigValue *value, GError **error)
{
  gsize length = strlen (text);

  if (length < 3 || length > 5 || strspn (text, "01234567") != length)
    return bad_value (error, text, "octal permissions such as 0660");
  value->number = g_ascii_strtoll (text, NULL, 8);
  if (value->number > 07777)
    return bad_value (error, text, "octal permissions such as 0660");
  return check_range (key, value->number, error);
}

/* --- text -------------------------------------------------------------------------------------------------------- */

/* One character or escape of GKeyFile's at *@p goes to @out. @in_list: `\;` is a semicolon. */
static gboolean
unescape_one (const char **p, GString *out, gboolean in_list, GError **error)
{
  static const char escapes[] = "s n\nt\tr\r\\\\";

  if (**p != '\\')
    {
      g_string_append_c (out, **p);
      (*p)++;
      return TRUE;
    }
  if ((*p)[1] == '\0')
    return value_error (error, "a backslash at the end (write \\\\ for one)");
  for (const char *escape = escapes; *escape != '\0'; escape += 2)
    if ((*p)[1] == *escape)
      {
        g_string_append_c (out, escape[1]);
        *p += 2;
        return TRUE;
      }
  if (in_list && (*p)[1] == ';')
    {
      g_string_append_c (out, ';');
      *p += 2;
      return TRUE;
    }
  return value_error (error, "an unknown escape (known: \\s \\n \\t \\r \\\\%s)", in_list ? " \\;" : "");
}

static char *
unescape (const char *raw, GError **error)
{
  g_autoptr (GString) out = g_string_new (NULL);

  while (*raw != '\0')
    if (!unescape_one (&raw, out, FALSE, error))
      return NULL;
  return g_string_free (g_steal_pointer (&out), FALSE);
}

static gboolean
find_choice (const RookConfigKey *key, const char *text, gint64 *out_index, GError **error)
{
  g_autofree char *quoted = NULL;
  g_autofree char *all = NULL;
  const char *likely;

  for (gsize i = 0; key->choices[i] != NULL; i++)
    if (strcmp (key->choices[i], text) == 0)
      {
        *out_index = (gint64) i;
        return TRUE;
      }
  quoted = rook_config_quote (text);
  all = g_strjoinv (", ", (char **) key->choices);
  likely = rook_config_suggest (text, key->choices, g_strv_length ((char **) key->choices));
  if (likely != NULL)
    return value_error (error, "%s is not one of %s; did you mean \"%s\"?", quoted, all, likely);
  return value_error (error, "%s is not one of %s", quoted, all);
}

static gboolean
parse_text (const RookConfigKey *key, const char *raw, RookConfigValue *value, GError **error)
{
  value->text = unescape (raw, error);
  if (value->text == NULL)
    return FALSE;
  if (key->type == ROOK_CONFIG_CHOICE)
    {
      if (find_choice (key, value->text, &value->number, NULL))
        return TRUE;
      return strstr (raw, " #") != NULL ? bad_value (error, raw, "one of the choices")
                                        : find_choice (key, value->text, &value->number, error);
    }
  if (key->type == ROOK_CONFIG_PATH)
    {
      if (*value->text != '/')
        return bad_value (error, raw, "an absolute path");
      if (strlen (value->text) >= PATH_MAX)
        return value_error (error, "a path longer than the system allows");
      if (strpbrk (value->text, "\n\r") != NULL)
        return value_error (error, "a line end inside a path");
      return TRUE;
    }
  return check_range (key, g_utf8_strlen (value->text, -1), error);
}

static gboolean
add_item (const RookConfigKey *key, GPtrArray *items, const GString *item, GError **error)
{
  g_autofree char *text = g_strstrip (g_strdup (item->str));
  gint64 choice;

  if (*text == '\0')
    return value_error (error, "an empty item in the list");
  if (key->choices != NULL && !find_choice (key, text, &choice, error))
    return FALSE;
  g_ptr_array_add (items, g_steal_pointer (&text));
  return TRUE;
}

/* Items are separated by semicolons; one at the end is allowed, as GKeyFile writes it. */
static gboolean
parse_list (const RookConfigKey *key, const char *raw, RookConfigValue *value, GError **error)
{
  g_autoptr (GPtrArray) items = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GString) item = g_string_new (NULL);

  while (*raw != '\0')
    {
      if (*raw != ';')
        {
          if (!unescape_one (&raw, item, TRUE, error))
            return FALSE;
          continue;
        }
      if (!add_item (key, items, item, error))
        return FALSE;
      g_string_truncate (item, 0);
      raw++;
    }
  if (item->len > 0 && !add_item (key, items, item, error))
    return FALSE;
  if (!check_range (key, items->len, error))
    return FALSE;
  g_ptr_array_add (items, NULL);
  value->list = (char **) g_ptr_array_free (g_steal_pointer (&items), FALSE);
  return TRUE;
}

/* --- all --------------------------------------------------------------------------------------------------------- */

static gboolean
parse_into (const RookConfigKey *key, const char *raw, RookConfigValue *value, GError **error)
{
  switch (key->type)
    {
    case ROOK_CONFIG_STRING:
    case ROOK_CONFIG_CHOICE:
    case ROOK_CONFIG_PATH:
      return parse_text (key, raw, value, error);
    case ROOK_CONFIG_BOOLEAN:
      return parse_boolean (raw, value, error);
    case ROOK_CONFIG_INTEGER:
      return parse_integer (key, raw, value, error);
    case ROOK_CONFIG_SIZE:
      return parse_size (key, raw, value, error);
    case ROOK_CONFIG_DURATION:
      return parse_duration (key, raw, value, error);
    case ROOK_CONFIG_LIST:
      return parse_list (key, raw, value, error);
    case ROOK_CONFIG_MODE:
      return parse_mode (key, raw, value, error);
    }
  g_assert_not_reached ();
}

gboolean
rook_config_value_parse (const RookConfigKey *key, const char *raw, RookConfigValue *out_value, GError **error)
{
  RookConfigValue value = { 0 };

  if (!parse_into (key, raw, &value, error))
    {
      rook_config_value_clear (&value);
      return FALSE;
    }
  *out_value = value;
  return TRUE;
}

void
rook_config_value_clear (RookConfigValue *value)
{
  g_clear_pointer (&value->text, g_free);
  g_clear_pointer (&value->list, g_strfreev);
  value->number = 0;
  value->amount = 0;
}

gboolean
rook_config_value_equal (const RookConfigValue *a, const RookConfigValue *b)
{
  static const char *const nothing[] = { NULL };
  const char *const *a_list = a->list != NULL ? (const char *const *) a->list : nothing;
  const char *const *b_list = b->list != NULL ? (const char *const *) b->list : nothing;

  return a->number == b->number && a->amount == b->amount && g_strcmp0 (a->text, b->text) == 0
         && g_strv_equal (a_list, b_list);
}
