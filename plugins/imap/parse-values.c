/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Flags and dates as commands carry them (RFC 3501 section 9: flag-list, date-time, date).
 */
#include "imap/parse.h"

#include <string.h>

#include "imap/names.h"

static gboolean
syntax_error (GError **error, const char *text)
{
  g_set_error_literal (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_SYNTAX, text);
  return FALSE;
}

/* --- flags ------------------------------------------------------------------------------------------------------- */

void
imap_flags_clear (ImapFlags *flags)
{
  flags->flags = 0;
  g_clear_pointer (&flags->keywords, g_ptr_array_unref);
}

gboolean
imap_parse_keyword (ImapParser *self, char **out_keyword, GError **error)
{
  g_autofree char *keyword = NULL;

  if (!imap_parse_atom (self, &keyword, error))
    return FALSE;
  if (strlen (keyword) > IMAP_KEYWORD_MAX)
    return syntax_error (error, "Keyword too long");
  *out_keyword = g_steal_pointer (&keyword);
  return TRUE;
}

static gboolean
parse_flag (ImapParser *self, ImapFlags *flags, GError **error)
{
  g_autofree char *name = NULL;
  RookFlags flag;

  if (!imap_parse_try_char (self, '\\'))
    {
      if (!imap_parse_keyword (self, &name, error))
        return FALSE;
      g_ptr_array_add (flags->keywords, g_steal_pointer (&name));
      return TRUE;
    }
  if (!imap_parse_atom (self, &name, error))
    return FALSE;
  flag = imap_flag_from_name (name);
  if (flag == 0)
    return syntax_error (error, "Unknown system flag");
  flags->flags |= flag;
  return TRUE;
}

/* Flags separated by spaces, up to what is neither; at least one unless @may_be_empty. */
static gboolean
parse_flag_run (ImapParser *self, gboolean in_list, ImapFlags *out_flags, GError **error)
{
  g_auto (ImapFlags) flags = { .keywords = g_ptr_array_new_with_free_func (g_free) };

  if (!in_list || imap_parser_peek (self) != ')')
    do
      if (!parse_flag (self, &flags, error))
        return FALSE;
    while (imap_parse_try_char (self, ' '));
  g_ptr_array_add (flags.keywords, NULL);
  *out_flags = flags;
  flags.keywords = NULL;
  return TRUE;
}

gboolean
imap_parse_flag_list (ImapParser *self, ImapFlags *out_flags, GError **error)
{
  g_auto (ImapFlags) flags = { 0 };

  if (!imap_parse_open (self, error) || !parse_flag_run (self, TRUE, &flags, error) || !imap_parse_close (self, error))
    return FALSE;
  *out_flags = flags;
  flags.keywords = NULL;
  return TRUE;
}

gboolean
imap_parse_flags (ImapParser *self, ImapFlags *out_flags, GError **error)
{
  if (imap_parser_peek (self) == '(')
    return imap_parse_flag_list (self, out_flags, error);
  return parse_flag_run (self, FALSE, out_flags, error);
}

/* --- dates ------------------------------------------------------------------------------------------------------- */

/* @n digits at the cursor. */
static gboolean
parse_digits (ImapParser *self, guint n, gint *out_value)
{
  gint value = 0;

  for (guint i = 0; i < n; i++, self->pos++)
    {
      if (self->pos == self->end || !g_ascii_isdigit (*self->pos))
        return FALSE;
      value = value * 10 + (*self->pos - '0');
    }
  *out_value = value;
  return TRUE;
}

static gboolean
parse_month (ImapParser *self, gint *out_month)
{
  if (self->end - self->pos < 3)
    return FALSE;
  *out_month = imap_month_from_name (self->pos);
  self->pos += 3;
  return *out_month > 0;
}

static gboolean
parse_rest_of_date (ImapParser *self, gint day, gint32 *out_day)
{
  gint month, year;

  if (!imap_parse_try_char (self, '-') || !parse_month (self, &month) || !imap_parse_try_char (self, '-')
      || !parse_digits (self, 4, &year))
    return FALSE;
  return imap_day_from_date (year, month, day, out_day);
}

gboolean
imap_parse_date (ImapParser *self, gint32 *out_day, GError **error)
{
  gboolean quoted = imap_parse_try_char (self, '"');
  gint day, digit;
  gint32 number;

  if (!parse_digits (self, 1, &day))
    return syntax_error (error, "Invalid date");
  if (g_ascii_isdigit (imap_parser_peek (self)) && parse_digits (self, 1, &digit))
    day = day * 10 + digit;
  if (!parse_rest_of_date (self, day, &number) || (quoted && !imap_parse_try_char (self, '"')))
    return syntax_error (error, "Invalid date");
  *out_day = number;
  return TRUE;
}

static gboolean
parse_time (ImapParser *self, gint *out_seconds)
{
  gint hour, minute, second;

  if (!parse_digits (self, 2, &hour) || !imap_parse_try_char (self, ':') || !parse_digits (self, 2, &minute)
      || !imap_parse_try_char (self, ':') || !parse_digits (self, 2, &second))
    return FALSE;
  *out_seconds = hour * 3600 + minute * 60 + second;
  return hour < 24 && minute < 60 && second <= 60;
}

static gboolean
parse_zone (ImapParser *self, gint *out_minutes)
{
  gboolean west = imap_parser_peek (self) == '-';
  gint zone;

  if ((!imap_parse_try_char (self, '-') && !imap_parse_try_char (self, '+')) || !parse_digits (self, 4, &zone)
      || zone % 100 >= 60 || zone >= 2400)
    return FALSE;
  *out_minutes = (zone / 100 * 60 + zone % 100) * (west ? -1 : 1);
  return TRUE;
}

gboolean
imap_parse_date_time (ImapParser *self, gint64 *out_time, gint16 *out_zone, GError **error)
{
  gint day, seconds, zone;
  gint32 number;
  gboolean ok = imap_parse_try_char (self, '"');

  if (ok && imap_parse_try_char (self, ' '))
    ok = parse_digits (self, 1, &day);
  else
    ok = ok && parse_digits (self, 2, &day);
  if (!ok || !parse_rest_of_date (self, day, &number) || !imap_parse_try_char (self, ' ')
      || !parse_time (self, &seconds) || !imap_parse_try_char (self, ' ') || !parse_zone (self, &zone)
      || !imap_parse_try_char (self, '"'))
    return syntax_error (error, "Invalid date-time");
  *out_time = (gint64) number * 86400 + seconds - zone * 60;
  *out_zone = (gint16) zone;
  return TRUE;
}
