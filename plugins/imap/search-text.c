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

static void
append_lower (GString *folded, const char *data, gsize length)
{
  gsize start = folded->len;

  g_string_append_len (folded, data, (gssize) length);
  for (char *pos = folded->str + start; length > 0; pos++, length--)
    *pos = (char) (*pos + (*pos >= 'A' && *pos <= 'Z' ? 'a' - 'A' : 0));
}

static void
append_casefold (GString *folded, const char *text, gsize length)
{
  g_autofree char *one = g_utf8_casefold (text, (gssize) length);

  g_string_append (folded, one);
}

static void
fold_line (GString *folded, const char *line, gsize length)
{
  g_autofree char *converted = NULL;
  gsize written;

  if (g_utf8_validate_len (line, length, NULL))
    append_casefold (folded, line, length);
  else if ((converted = g_convert (line, (gssize) length, "UTF-8", "ISO-8859-1", NULL, &written, NULL)) != NULL)
    append_casefold (folded, converted, written);
  else
    append_lower (folded, line, length);
}

static gboolean
is_ascii (const char *data, gsize length)
{
  guchar all = 0;

  for (gsize i = 0; i < length; i++)
    all |= (guchar) data[i];
  return all < 0x80;
}

void
imap_search_fold_bytes (GString *folded, const char *data, gsize length)
{
  if (is_ascii (data, length))
    append_lower (folded, data, length);
  else if (g_utf8_validate_len (data, length, NULL))
    append_casefold (folded, data, length);
  else
    while (length > 0)
      {
        const char *end = memchr (data, '\n', length);
        gsize line = end != NULL ? (gsize) (end - data) + 1 : length;

        fold_line (folded, data, line);
        data += line;
        length -= line;
      }
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
  g_autoptr (GString) folded = g_string_new (NULL);

  imap_search_fold_bytes (folded, decoded, strlen (decoded));
  return strstr (folded->str, needle) != NULL;
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
