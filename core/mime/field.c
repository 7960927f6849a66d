/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Header fields: where each begins and ends (RFC 5322 2.2), folded or not, CRLF or bare LF.
 *
 * Knows nothing of what fields mean. One pass, no allocation but of results.
 */
#include <string.h>

#include "mime/mime-private.h"

/* The offset behind the line that starts at @i. */
static gsize
line_end (RookSpan text, gsize i)
{
  const char *newline = memchr (text.data + i, '\n', text.length - i);

  return newline == NULL ? text.length : (gsize) (newline - text.data) + 1;
}

/* The offset behind a field that starts at @i, with all its folded lines. */
static gsize
field_end (RookSpan header, gsize i)
{
  i = line_end (header, i);
  while (i < header.length && (header.data[i] == ' ' || header.data[i] == '\t'))
    i = line_end (header, i);
  return i;
}

/* Finds the colon of the field's first line; @out_name_length without space before it. */
static gboolean
split_field (RookSpan raw, gsize *out_name_length, gsize *out_value)
{
  gsize first_line = line_end (raw, 0);
  const char *colon = memchr (raw.data, ':', first_line);
  gsize n;

  if (colon == NULL || colon == raw.data)
    return FALSE;
  n = colon - raw.data;
  *out_value = n + 1;
  while (n > 0 && rook_is_space (raw.data[n - 1]))
    n--;
  for (gsize i = 0; i < n; i++)
    if ((guchar) raw.data[i] <= ' ' || raw.data[i] == 0x7f)
      return FALSE;
  *out_name_length = n;
  return n > 0;
}

gboolean
rook_field_next (RookSpan header, gsize *position, RookField *out_field)
{
  while (*position < header.length)
    {
      gsize start = *position, end = field_end (header, start), name_length, value;
      RookSpan raw = { header.data + start, end - start };

      *position = end;
      if (!split_field (raw, &name_length, &value))
        continue;
      while (end > start && (header.data[end - 1] == '\n' || header.data[end - 1] == '\r'))
        end--;
      out_field->raw = raw;
      out_field->name = (RookSpan){ raw.data, name_length };
      out_field->value = (RookSpan){ raw.data + value, MAX (end - start, value) - value };
      return TRUE;
    }
  return FALSE;
}

gboolean
rook_span_equal_nocase (RookSpan span, const char *text)
{
  return strlen (text) == span.length && g_ascii_strncasecmp (span.data, text, span.length) == 0;
}

char *
rook_field_unfold (RookSpan value)
{
  g_autoptr (GString) out = g_string_sized_new (value.length);
  gsize i = 0, end = value.length;

  while (i < end && rook_is_space (value.data[i]))
    i++;
  while (end > i && rook_is_space (value.data[end - 1]))
    end--;
  for (; i < end; i++)
    if (value.data[i] != '\r' && value.data[i] != '\n' && value.data[i] != '\0')
      g_string_append_c (out, value.data[i]);
  return g_string_free (g_steal_pointer (&out), FALSE);
}
