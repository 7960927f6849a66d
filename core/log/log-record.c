/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records: what somebody said, copied at once, and turned into a line or into journald's fields by the writing thread.
 *
 * A value is somebody else's text: nothing in it may end a line, look like another field, or move a terminal's cursor.
 */
#include <string.h>
#include <time.h>

#include "log/log-private.h"

static const char *const level_names[] = { "error", "warning", "notice", "info", "debug" };
static const int level_priorities[] = { 3, 4, 5, 6, 7 }; /* syslog's */

const char *
rook_log_level_get_name (RookLogLevel level)
{
  g_return_val_if_fail (level < G_N_ELEMENTS (level_names), NULL);
  return level_names[level];
}

gboolean
rook_log_level_from_name (const char *name, RookLogLevel *out_level)
{
  for (guint i = 0; i < G_N_ELEMENTS (level_names); i++)
    if (strcmp (name, level_names[i]) == 0)
      {
        *out_level = (RookLogLevel) i;
        return TRUE;
      }
  return FALSE;
}

/* --- building ----------------------------------------------------------------------------------------------------- */

RookLogRecord *
rook_log_record_new (RookLogLevel level, const char *event)
{
  RookLogRecord *record = g_new0 (RookLogRecord, 1);

  record->time_us = g_get_real_time ();
  record->level = level;
  record->data = g_string_sized_new (128);
  g_string_append_len (record->data, event, (gssize) strlen (event) + 1);
  return record;
}

static gboolean
is_key (const char *key)
{
  return *key != '\0' && key[strspn (key, "abcdefghijklmnopqrstuvwxyz-")] == '\0';
}

/* The last line of defence for whoever forgets that a password is never logged. */
static gboolean
is_secret (const char *key)
{
  static const char *const secrets[] = {
    "password", "passwd", "pass", "secret", "credentials", "initial-response", NULL
  };

  return g_strv_contains (secrets, key);
}

/* Cuts a value at a character's end. */
static gsize
cut_length (const char *value)
{
  gsize length = strnlen (value, ROOK_LOG_VALUE_MAX + 1);

  if (length <= ROOK_LOG_VALUE_MAX)
    return length;
  length = ROOK_LOG_VALUE_MAX;
  while (length > ROOK_LOG_VALUE_MAX - 4 && ((guchar) value[length] & 0xc0) == 0x80)
    length--;
  return length;
}

void
rook_log_record_add (RookLogRecord *record, const char *key, const char *value)
{
  gsize length;

  g_return_if_fail (is_key (key));
  if (value == NULL)
    return;
  if (is_secret (key))
    value = "(hidden)";
  length = cut_length (value);
  g_string_append_len (record->data, key, (gssize) strlen (key) + 1);
  g_string_append_len (record->data, value, (gssize) length);
  if (value[length] != '\0')
    g_string_append (record->data, "...");
  g_string_append_c (record->data, '\0');
}

void
rook_log_record_free (RookLogRecord *record)
{
  g_string_free (record->data, TRUE);
  g_free (record);
}

/* --- text --------------------------------------------------------------------------------------------------------- */

/* A character that a line may show as it is. Those that reorder text or end lines are not. */
static gboolean
is_harmless (gunichar c)
{
  GUnicodeType type = g_unichar_type (c);

  return g_unichar_isprint (c) && type != G_UNICODE_FORMAT && type != G_UNICODE_LINE_SEPARATOR
         && type != G_UNICODE_PARAGRAPH_SEPARATOR;
}

static gboolean
needs_quotes (const char *value)
{
  if (*value == '\0' || !g_utf8_validate (value, -1, NULL))
    return TRUE;
  for (; *value != '\0'; value = g_utf8_next_char (value))
    {
      gunichar c = g_utf8_get_char (value);

      if (c == '"' || c == '\\' || g_unichar_isspace (c) || !is_harmless (c))
        return TRUE;
    }
  return FALSE;
}

static void
append_escaped (GString *line, gunichar c)
{
  switch (c)
    {
    case '"':
    case '\\':
      g_string_append_c (line, '\\');
      g_string_append_c (line, (char) c);
      break;
    case '\n':
      g_string_append (line, "\\n");
      break;
    case '\r':
      g_string_append (line, "\\r");
      break;
    case '\t':
      g_string_append (line, "\\t");
      break;
    default:
      if (is_harmless (c))
        g_string_append_unichar (line, c);
      else
        g_string_append_printf (line, c < 0x80 ? "\\x%02x" : "\\u{%x}", c);
    }
}

static void
append_quoted (GString *line, const char *value)
{
  g_string_append_c (line, '"');
  while (*value != '\0')
    {
      gunichar c = g_utf8_get_char_validated (value, -1);

      if (c == (gunichar) -1 || c == (gunichar) -2)
        g_string_append_printf (line, "\\x%02x", (guchar) *value++);
      else
        {
          append_escaped (line, c);
          value = g_utf8_next_char (value);
        }
    }
  g_string_append_c (line, '"');
}

/* Goes through key and value pairs; @cursor begins as %NULL. */
static gboolean
next_pair (const RookLogRecord *record, const char **cursor, const char **out_key, const char **out_value)
{
  const char *end = record->data->str + record->data->len;
  const char *p = *cursor != NULL ? *cursor : record->data->str + strlen (record->data->str) + 1;

  if (p >= end)
    return FALSE;
  *out_key = p;
  *out_value = p + strlen (p) + 1;
  *cursor = *out_value + strlen (*out_value) + 1;
  return TRUE;
}

void
rook_log_record_append_text (const RookLogRecord *record, GString *line)
{
  const char *cursor = NULL, *key, *value;

  g_string_append (line, record->data->str);
  while (next_pair (record, &cursor, &key, &value))
    {
      g_string_append_printf (line, " %s=", key);
      if (needs_quotes (value))
        append_quoted (line, value);
      else
        g_string_append (line, value);
    }
}

void
rook_log_record_append_line (const RookLogRecord *record, GString *line)
{
  time_t seconds = (time_t) (record->time_us / G_USEC_PER_SEC);
  char text[32];
  struct tm broken_down;

  gmtime_r (&seconds, &broken_down);
  strftime (text, sizeof text, "%Y-%m-%dT%H:%M:%S", &broken_down);
  g_string_append_printf (line, "%s.%03dZ %s ", text, (int) (record->time_us % G_USEC_PER_SEC / 1000),
                          level_names[record->level]);
  rook_log_record_append_text (record, line);
  g_string_append_c (line, '\n');
}

/* --- journald ------------------------------------------------------------------------------------------------------ */

static GString *
add_field (GPtrArray *fields, const char *name)
{
  GString *field = g_string_new (name);

  g_ptr_array_add (fields, field);
  return field;
}

static void
string_free (gpointer data)
{
  g_string_free (data, TRUE);
}

GPtrArray *
rook_log_record_to_fields (const RookLogRecord *record)
{
  GPtrArray *fields = g_ptr_array_new_with_free_func (string_free);
  const char *cursor = NULL, *key, *value;

  rook_log_record_append_text (record, add_field (fields, "MESSAGE="));
  g_string_append_printf (add_field (fields, "PRIORITY="), "%d", level_priorities[record->level]);
  add_field (fields, "SYSLOG_IDENTIFIER=rookeryd");
  g_string_append (add_field (fields, "ROOKERY_EVENT="), record->data->str);
  while (next_pair (record, &cursor, &key, &value))
    {
      GString *field = add_field (fields, "ROOKERY_");

      for (const char *p = key; *p != '\0'; p++)
        g_string_append_c (field, *p == '-' ? '_' : g_ascii_toupper (*p));
      /* Length-counted on the wire: a value's line ends forge nothing here. */
      g_string_append_printf (field, "=%s", value);
    }
  return fields;
}
