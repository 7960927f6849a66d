/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Gathers a message in memory, up to its limit. (Streaming to disk is to come; nobody but this file will notice.)
 */
#include "lmtp/message.h"

#include <string.h>

void
lmtp_message_init (LmtpMessage *self, guint64 limit, const char *trace)
{
  *self = (LmtpMessage){ .bytes = g_byte_array_new (), .limit = limit + strlen (trace) };
  g_byte_array_append (self->bytes, (const guint8 *) trace, (guint) strlen (trace));
}

void
lmtp_message_clear (LmtpMessage *self)
{
  g_clear_pointer (&self->bytes, g_byte_array_unref);
  *self = (LmtpMessage){ 0 };
}

static void
find_fault (LmtpMessage *self, LmtpMessageFault fault)
{
  if (self->fault == LMTP_MESSAGE_OK)
    self->fault = fault;
}

/* Every CR is followed by LF, every LF follows a CR; no NUL. */
static void
check_bytes (LmtpMessage *self, const guint8 *data, gsize length)
{
  for (gsize i = 0; i < length; i++)
    {
      if ((data[i] == '\n') != self->after_cr)
        find_fault (self, LMTP_MESSAGE_BARE_LINE_END);
      if (data[i] == 0)
        find_fault (self, LMTP_MESSAGE_NUL);
      self->after_cr = data[i] == '\r';
    }
}

void
lmtp_message_add (LmtpMessage *self, const guint8 *data, gsize length)
{
  if (self->fault == LMTP_MESSAGE_TOO_BIG)
    {
      self->swallowed += length;
      return;
    }
  if (self->bytes->len + length > self->limit)
    {
      self->fault = LMTP_MESSAGE_TOO_BIG; /* whatever else is wrong with it */
      g_byte_array_set_size (self->bytes, 0);
      return;
    }
  check_bytes (self, data, length);
  if (self->fault == LMTP_MESSAGE_OK)
    g_byte_array_append (self->bytes, data, (guint) length);
}

gboolean
lmtp_message_is_endless (const LmtpMessage *self)
{
  return self->swallowed > LMTP_SWALLOW_MAX;
}

/* --- the header --------------------------------------------------------------------------------------------------------- */

static gsize
line_length (const char *line, gsize left)
{
  const char *end = memchr (line, '\n', left);

  return end != NULL ? (gsize) (end - line) + 1 : left;
}

/* "name:" with printable characters, perhaps with space before the colon (RFC 5322 4.5). */
static gboolean
begins_field (const char *line, gsize length)
{
  gsize i = 0;

  while (i < length && line[i] > ' ' && line[i] < 0x7f && line[i] != ':')
    i++;
  if (i == 0)
    return FALSE;
  while (i < length && (line[i] == ' ' || line[i] == '\t'))
    i++;
  return i < length && line[i] == ':';
}

static gboolean
is_continuation (const char *line)
{
  return *line == ' ' || *line == '\t';
}

/* Checks every line of the header; takes out fields named Return-Path but the first, which is ours. One pass, whatever it
 * holds. */
static gboolean
clean_header (GByteArray *bytes)
{
  gsize from = 0, to = 0;
  guint n = 0;
  gboolean dropping = FALSE;

  while (from < bytes->len && bytes->data[from] != '\r')
    {
      const char *line = (const char *) bytes->data + from;
      gsize length = line_length (line, bytes->len - from);

      if (!is_continuation (line))
        {
          if (!begins_field (line, length))
            return FALSE;
          dropping = n++ > 0 && length > 12 && g_ascii_strncasecmp (line, "Return-Path", 11) == 0
                     && strchr (" \t:", line[11]) != NULL;
        }
      if (!dropping)
        {
          memmove (bytes->data + to, line, length);
          to += length;
        }
      from += length;
    }
  memmove (bytes->data + to, bytes->data + from, bytes->len - from);
  g_byte_array_set_size (bytes, (guint) (bytes->len - (from - to)));
  return TRUE;
}

GBytes *
lmtp_message_end (LmtpMessage *self)
{
  if (self->after_cr)
    find_fault (self, LMTP_MESSAGE_BARE_LINE_END);
  if (self->fault == LMTP_MESSAGE_OK && !clean_header (self->bytes))
    self->fault = LMTP_MESSAGE_BAD_HEADER;
  if (self->fault != LMTP_MESSAGE_OK)
    return NULL;
  return g_byte_array_free_to_bytes (g_steal_pointer (&self->bytes));
}

/* --- trace -------------------------------------------------------------------------------------------------------------- */

/* What a client says of itself goes into a comment-free field: printable ASCII only, nothing that ends a word. */
static char *
sanitize (const char *text)
{
  char *copy = g_strndup (text, 255);

  for (char *pos = copy; *pos != '\0'; pos++)
    if (!g_ascii_isgraph (*pos) || strchr ("()<>;\\\"", *pos) != NULL)
      *pos = '?';
  return copy;
}

char *
lmtp_message_make_trace (const LmtpTrace *trace)
{
  g_autofree char *lhlo = sanitize (trace->lhlo);
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_local (trace->time);
  static const char *const days[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };
  static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
  gint zone = (gint) (g_date_time_get_utc_offset (time) / G_TIME_SPAN_MINUTE);

  return g_strdup_printf ("Return-Path: <%s>\r\n"
                          "Received: from %s ([%s])\r\n\tby %s (Rookery %s) with %s id %s;\r\n"
                          "\t%s, %d %s %04d %02d:%02d:%02d %c%02d%02d\r\n",
                          trace->sender, lhlo, trace->address, trace->hostname, trace->version, trace->protocol,
                          trace->id, days[g_date_time_get_day_of_week (time) - 1], g_date_time_get_day_of_month (time),
                          months[g_date_time_get_month (time) - 1], g_date_time_get_year (time),
                          g_date_time_get_hour (time), g_date_time_get_minute (time), g_date_time_get_second (time),
                          zone < 0 ? '-' : '+', ABS (zone) / 60, ABS (zone) % 60);
}
