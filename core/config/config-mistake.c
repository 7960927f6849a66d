/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mistakes: how they are gathered, placed and worded, and what somebody who mistyped a name is likely to have meant.
 *
 * Nothing from a file reaches a message without rook_config_quote(): messages go to terminals and logs.
 */
#include <string.h>

#include "config/config-private.h"

#define QUOTE_MAX 64 /* characters of somebody's text in a message */

static void
mistake_free (gpointer data)
{
  RookConfigMistake *mistake = data;

  g_free (mistake->file);
  g_free (mistake->message);
  g_free (mistake);
}

GPtrArray *
rook_config_mistakes_new (void)
{
  return g_ptr_array_new_with_free_func (mistake_free);
}

static void
take_mistake (GPtrArray *mistakes, const char *file, guint line, RookConfigError code, char *message)
{
  RookConfigMistake *mistake;

  if (mistakes->len > ROOK_CONFIG_MISTAKES_MAX)
    {
      g_free (message);
      return;
    }
  mistake = g_new0 (RookConfigMistake, 1);
  mistake->code = code;
  mistake->file = g_strdup (file);
  mistake->line = line;
  mistake->message = message;
  if (mistakes->len == ROOK_CONFIG_MISTAKES_MAX)
    {
      g_free (message);
      mistake->message = g_strdup ("more mistakes follow, which are not shown");
    }
  g_ptr_array_add (mistakes, mistake);
}

static void take_mistake_at (GPtrArray *mistakes, const char *file, guint line, RookConfigError code,
                             const char *format, va_list args) G_GNUC_PRINTF (5, 0);

static void
take_mistake_at (GPtrArray *mistakes, const char *file, guint line, RookConfigError code, const char *format,
                 va_list args)
{
  take_mistake (mistakes, file, line, code, g_strdup_vprintf (format, args));
}

void
rook_config_add_mistake_at (GPtrArray *mistakes, const char *file, guint line, RookConfigError code, const char *format,
                            ...)
{
  va_list args;

  va_start (args, format);
  take_mistake_at (mistakes, file, line, code, format, args);
  va_end (args);
}

void
rook_config_add_mistake (GPtrArray *mistakes, RookConfigGroup *group, const char *key, RookConfigError code,
                         const char *format, ...)
{
  RookConfigEntry *entry = group != NULL && key != NULL ? g_hash_table_lookup (group->by_name, key) : NULL;
  g_autoptr (GString) message = g_string_new (NULL);
  g_autofree char *title = NULL;
  va_list args;

  if (group != NULL)
    {
      title = rook_config_group_get_title (group);
      g_string_append_printf (message, "[%s] ", title);
      if (key != NULL)
        g_string_append_printf (message, "%s: ", key);
    }
  va_start (args, format);
  g_string_append_vprintf (message, format, args);
  va_end (args);
  if (entry != NULL)
    take_mistake (mistakes, entry->file, entry->line, code, g_string_free (g_steal_pointer (&message), FALSE));
  else
    take_mistake (mistakes, group != NULL ? group->file : NULL, group != NULL ? group->line : 0, code,
                  g_string_free (g_steal_pointer (&message), FALSE));
}

char *
rook_config_mistake_to_string (const RookConfigMistake *mistake)
{
  if (mistake->file == NULL)
    return g_strdup (mistake->message);
  if (mistake->line == 0)
    return g_strdup_printf ("%s: %s", mistake->file, mistake->message);
  return g_strdup_printf ("%s:%u: %s", mistake->file, mistake->line, mistake->message);
}

char *
rook_config_quote (const char *text)
{
  g_autoptr (GString) out = g_string_new ("\"");
  guint n = 0;

  for (; *text != '\0' && n < QUOTE_MAX; text = g_utf8_next_char (text), n++)
    {
      gunichar c = g_utf8_get_char (text);

      if (g_unichar_isprint (c))
        g_string_append_unichar (out, c);
      else
        g_string_append_printf (out, "\\u%04x", c);
    }
  g_string_append (out, *text != '\0' ? "...\"" : "\"");
  return g_string_free (g_steal_pointer (&out), FALSE);
}

/* --- near misses ------------------------------------------------------------------------------------------------- */

#define SUGGEST_MAX 40 /* bytes of a name worth comparing */

static guint
min3 (guint a, guint b, guint c)
{
  return MIN (MIN (a, b), c);
}

/* How many letters must be put in, taken out, changed or swapped with their neighbour (Damerau 1964). */
static guint
distance (const char *a, const char *b)
{
  guint rows[3][SUGGEST_MAX + 1];
  guint n = (guint) strlen (b), m = (guint) strlen (a);
  guint *before = rows[0], *last = rows[1], *now = rows[2];

  for (guint j = 0; j <= n; j++)
    last[j] = j;
  for (guint i = 1; i <= m; i++)
    {
      guint *spare = before;

      now[0] = i;
      for (guint j = 1; j <= n; j++)
        {
          char x = a[i - 1] == '_' ? '-' : g_ascii_tolower (a[i - 1]), y = b[j - 1];

          now[j] = min3 (last[j] + 1, now[j - 1] + 1, last[j - 1] + (x != y));
          if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
            now[j] = MIN (now[j], before[j - 2] + 1);
        }
      before = last;
      last = now;
      now = spare;
    }
  return last[n];
}

const char *
rook_config_suggest (const char *word, const char *const *names, gsize n)
{
  gsize length = strlen (word);
  guint best = length <= 4 ? 2 : length <= 8 ? 3 : 4; /* fewer slips than that */
  const char *found = NULL;

  if (length > SUGGEST_MAX)
    return NULL;
  for (gsize i = 0; i < n; i++)
    {
      guint d = strlen (names[i]) <= SUGGEST_MAX ? distance (word, names[i]) : G_MAXUINT;

      if (d < best && d < strlen (names[i]))
        {
          best = d;
          found = names[i];
        }
    }
  return found;
}
