/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text as SEARCH compares it: UTF-8, without case. Encoded words of headers (RFC 2047) are decoded; bodies are compared as
 * they are stored, without undoing their transfer encoding.
 */
#include "imap/search.h"

#include <string.h>

#include "imap/names.h"
#include "rookery/mime-text.h"

#define REPLACEMENT "\357\277\275" /* U+FFFD: what a charset does not have */

/* Whatever is no UTF-8 is taken for Latin-1, so that it can be compared at all. */
static char *
fold_bytes (const char *data, gsize length)
{
  g_autofree char *converted = NULL;

  if (g_utf8_validate (data, (gssize) length, NULL))
    return g_utf8_casefold (data, (gssize) length);
  converted = g_convert (data, (gssize) length, "UTF-8", "ISO-8859-1", NULL, NULL, NULL);
  return converted != NULL ? g_utf8_casefold (converted, -1) : g_ascii_strdown (data, (gssize) length);
}

char *
imap_search_fold (const char *text, const char *charset)
{
  g_autoptr (RookCharsets) charsets = NULL;
  g_autofree char *converted = NULL;

  if (charset == NULL || g_ascii_strcasecmp (charset, "UTF-8") == 0)
    return g_utf8_validate (text, -1, NULL) ? g_utf8_casefold (text, -1) : NULL;
  if (!rook_charset_is_known (charset))
    return NULL;
  charsets = rook_charsets_new ();
  converted = rook_charset_to_utf8 (charsets, charset, text, strlen (text));
  return strstr (converted, REPLACEMENT) == NULL ? g_utf8_casefold (converted, -1) : NULL;
}

/* --- comparing ---------------------------------------------------------------------------------------------------------- */

gboolean
imap_search_in_header (const char *value, const char *needle)
{
  g_autoptr (RookCharsets) charsets = rook_charsets_new ();
  g_autofree char *decoded = rook_mime_decode_header (charsets, value, strlen (value));

  return imap_search_in_bytes (decoded, strlen (decoded), needle);
}

gboolean
imap_search_in_bytes (const char *data, gsize length, const char *needle)
{
  g_autofree char *folded = NULL;

  if (needle[0] == '\0')
    return TRUE;
  if (length == 0)
    return FALSE;
  folded = fold_bytes (data, length);
  return strstr (folded, needle) != NULL;
}

gsize
imap_search_header_length (const char *data, gsize length)
{
  const char *end;

  if (length >= 2 && memcmp (data, "\r\n", 2) == 0)
    return 2;
  end = length > 0 ? memmem (data, length, "\r\n\r\n", 4) : NULL;
  return end != NULL ? (gsize) (end - data) + 4 : length;
}

/* The next field with its continuation lines. */
static gsize
field_length (const char *header, gsize length)
{
  gsize pos = 0;

  do
    {
      const char *end = memchr (header + pos, '\n', length - pos);

      pos = end != NULL ? (gsize) (end - header) + 1 : length;
    }
  while (pos < length && (header[pos] == ' ' || header[pos] == '\t'));
  return pos;
}

static gboolean
field_matches (const char *field, gsize length, const char *name, const char *needle)
{
  g_autofree char *text = NULL;
  gsize skip = 0;
  char *to;

  if (name != NULL)
    {
      skip = strlen (name);
      if (length <= skip || g_ascii_strncasecmp (field, name, skip) != 0)
        return FALSE;
      while (skip < length && (field[skip] == ' ' || field[skip] == '\t'))
        skip++;
      if (skip == length || field[skip++] != ':')
        return FALSE;
    }
  text = g_strndup (field + skip, length - skip);
  to = text;
  for (const char *from = text; *from != '\0'; from++) /* unfold */
    if (*from != '\r' && *from != '\n')
      *to++ = *from;
  *to = '\0';
  return imap_search_in_header (text, needle);
}

gboolean
imap_search_in_fields (const char *header, gsize length, const char *name, const char *needle)
{
  while (length > 0)
    {
      gsize field = field_length (header, length);

      if (field_matches (header, field, name, needle))
        return TRUE;
      header += field;
      length -= field;
    }
  return FALSE;
}

gboolean
imap_search_date_day (const char *value, gint32 *out_day)
{
  const char *comma = strchr (value, ',');
  gchar *end;
  gint64 day, year;
  gint month;

  if (comma != NULL)
    value = comma + 1;
  day = g_ascii_strtoll (value, &end, 10);
  if (end == value)
    return FALSE;
  while (*end == ' ' || *end == '\t')
    end++;
  month = strlen (end) >= 3 ? imap_month_from_name (end) : 0;
  if (month == 0)
    return FALSE;
  value = end + 3;
  year = g_ascii_strtoll (value, &end, 10);
  if (end == value || year < 0 || year > 9999 || day < 1 || day > 31)
    return FALSE;
  if (year < 50)
    year += 2000; /* RFC 5322 4.3 */
  else if (year < 1000)
    year += 1900;
  return imap_day_from_date ((gint) year, month, (gint) day, out_day);
}
