/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Gathers a message in memory, up to its limit. (Streaming to disk is to come; nobody but this file will notice.) What is to
 * be done to it is done while it comes, so that its end costs nothing, whatever it holds.
 */
#include "lmtp/message.h"

#include <string.h>

/* --- the header --------------------------------------------------------------------------------------------------------- */

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

static gboolean
is_return_path (const char *line, gsize length)
{
  return length > 12 && g_ascii_strncasecmp (line, "Return-Path", 11) == 0 && strchr (" \t:", line[11]) != NULL;
}

/* A whole line of the header. Returns: whether it stays. Fields named Return-Path but the first, which is ours, don't. */
static gboolean
keeps_line (LmtpMessage *self, const char *line, gsize length)
{
  if (!is_continuation (line))
    {
      self->bad_header = self->bad_header || !begins_field (line, length);
      self->dropping = self->n_fields++ > 0 && is_return_path (line, length);
    }
  return !self->dropping;
}

/* Goes through what has become whole of the header since @fresh bytes were there: each byte is looked at once or twice,
 * and what is taken out moves no more than what came with it. @last: what is left is a line */
static void
clean_header (LmtpMessage *self, gsize fresh, gboolean last)
{
  GByteArray *bytes = self->bytes;
  gsize from = self->line, to = from;

  while (from < bytes->len && !(self->in_body = bytes->data[from] == '\r'))
    {
      const char *line = (const char *) bytes->data + from;
      gsize seen = MAX (fresh, from) - from; /* without a line end */
      const char *end = memchr (line + seen, '\n', bytes->len - from - seen);
      gsize length = end != NULL ? (gsize) (end - line) + 1 : bytes->len - from;

      if (end == NULL && !last)
        break;
      from += length;
      if (!keeps_line (self, line, length))
        continue;
      if (to + length < from)
        memmove (bytes->data + to, line, length);
      to += length;
    }
  if (to < from)
    g_byte_array_remove_range (bytes, (guint) to, (guint) (from - to));
  self->line = to;
}

/* --- gathering ---------------------------------------------------------------------------------------------------------- */

void
lmtp_message_init (LmtpMessage *self, guint64 limit, const char *trace)
{
  *self = (LmtpMessage){ .bytes = g_byte_array_new (), .limit = limit };
  g_byte_array_append (self->bytes, (const guint8 *) trace, (guint) strlen (trace));
  clean_header (self, 0, FALSE);
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
  gsize before = self->bytes->len;

  if (self->fault == LMTP_MESSAGE_TOO_BIG)
    {
      self->swallowed += length;
      return;
    }
  self->received += length;
  if (self->received > self->limit)
    {
      self->fault = LMTP_MESSAGE_TOO_BIG; /* whatever else is wrong with it */
      g_byte_array_set_size (self->bytes, 0);
      return;
    }
  check_bytes (self, data, length);
  if (self->fault != LMTP_MESSAGE_OK)
    return;
  g_byte_array_append (self->bytes, data, (guint) length);
  if (!self->in_body)
    clean_header (self, before, FALSE);
}

gboolean
lmtp_message_is_endless (const LmtpMessage *self)
{
  return self->swallowed > LMTP_SWALLOW_MAX;
}

GBytes *
lmtp_message_end (LmtpMessage *self)
{
  if (self->after_cr)
    find_fault (self, LMTP_MESSAGE_BARE_LINE_END);
  if (self->fault == LMTP_MESSAGE_OK && !self->in_body)
    clean_header (self, self->bytes->len, TRUE);
  if (self->bad_header)
    find_fault (self, LMTP_MESSAGE_BAD_HEADER); /* if nothing else is wrong */
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
