/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes values of the IMAP grammar.
 */
#include "imap/write.h"

#include <string.h>

#include "imap/names.h"

/* A longer quoted string is legal, but a literal is kinder to clients' line buffers. */
#define QUOTED_MAX 1000

void
imap_write_literal (GString *out, gconstpointer data, gsize length)
{
  g_string_append_printf (out, "{%" G_GSIZE_FORMAT "}\r\n", length);
  g_string_append_len (out, data, (gssize) length);
}

void
imap_write_string (GString *out, const char *text)
{
  gsize length = strlen (text);

  for (gsize i = 0; i < length; i++)
    if ((guchar) text[i] >= 0x80 || text[i] == '\r' || text[i] == '\n' || length > QUOTED_MAX)
      {
        imap_write_literal (out, text, length);
        return;
      }
  g_string_append_c (out, '"');
  for (; *text != '\0'; text++)
    {
      if (*text == '"' || *text == '\\')
        g_string_append_c (out, '\\');
      g_string_append_c (out, *text);
    }
  g_string_append_c (out, '"');
}

void
imap_write_astring (GString *out, const char *text)
{
  const char *pos = text;

  while ((guchar) *pos > ' ' && (guchar) *pos < 0x7f && strchr ("(){%*\"\\", *pos) == NULL)
    pos++;
  if (*pos == '\0' && pos > text && g_ascii_strcasecmp (text, "NIL") != 0)
    g_string_append (out, text);
  else
    imap_write_string (out, text);
}

void
imap_write_date_time (GString *out, gint64 time, gint16 zone_minutes)
{
  g_autoptr (GTimeZone) zone = g_time_zone_new_offset (zone_minutes * 60);
  g_autoptr (GDateTime) utc = g_date_time_new_from_unix_utc (time);
  g_autoptr (GDateTime) local = utc != NULL ? g_date_time_to_timezone (utc, zone) : NULL;
  int minutes = ABS (zone_minutes);

  if (local == NULL)
    {
      g_string_append (out, "\" 1-Jan-1970 00:00:00 +0000\"");
      return;
    }
  g_string_append_printf (out, "\"%2d-%s-%04d %02d:%02d:%02d %c%02d%02d\"", g_date_time_get_day_of_month (local),
                          imap_month_name (g_date_time_get_month (local)), g_date_time_get_year (local),
                          g_date_time_get_hour (local), g_date_time_get_minute (local), g_date_time_get_second (local),
                          zone_minutes < 0 ? '-' : '+', minutes / 60, minutes % 60);
}
