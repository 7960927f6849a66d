/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Times at which work comes round: `every 1h`, `daily 03:30`, `weekly sun 04:00`, `never`. Reckoning alone, no clock.
 *
 * Days are those of local time. On the day that clocks go forward a time that is left out comes right after the gap; when
 * they go back, one that comes twice counts once.
 */
#include <string.h>

#include "config/config-private.h"
#include "schedule/schedule-private.h"

static const char *const weekdays[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun", NULL };

static gboolean
bad_when (GError **error)
{
  g_set_error_literal (error, ROOK_CONFIG_ERROR, ROOK_CONFIG_ERROR_VALUE,
                       "a time is \"every 1h\", \"daily 03:30\", \"weekly sun 04:00\" or \"never\"");
  return FALSE;
}

static gboolean
parse_number (const char *text, gsize length, gint max, gint *out_n)
{
  gint n = 0;

  for (gsize i = 0; i < length; i++)
    {
      if (!g_ascii_isdigit (text[i]))
        return FALSE;
      n = n * 10 + (text[i] - '0');
    }
  *out_n = n;
  return n <= max;
}

/* "03:30" */
static gboolean
parse_clock (const char *text, RookWhen *when)
{
  return strlen (text) == 5 && text[2] == ':' && parse_number (text, 2, 23, &when->hour)
         && parse_number (text + 3, 2, 59, &when->minute);
}

static gboolean
parse_weekday (const char *text, RookWhen *when)
{
  for (gint i = 0; weekdays[i] != NULL; i++)
    if (g_ascii_strcasecmp (text, weekdays[i]) == 0)
      {
        when->weekday = i + 1;
        return TRUE;
      }
  return FALSE;
}

static gboolean
parse_interval (const char *text, RookWhen *when, GError **error)
{
  const RookConfigKey key = { .type = ROOK_CONFIG_DURATION, .unit = "s", .min = 1000, .max = 31622400000 };
  RookConfigValue value;

  if (!rook_config_value_parse (&key, text, &value, error))
    {
      g_prefix_error (error, "the interval: ");
      return FALSE;
    }
  when->interval_us = (gint64) value.amount * 1000;
  return TRUE;
}

gboolean
rook_when_parse (const char *text, RookWhen *out_when, GError **error)
{
  g_auto (GStrv) words = g_strsplit (text, " ", -1);
  guint n = g_strv_length (words);
  RookWhen when = { ROOK_WHEN_NEVER, 0, 0, 0, 0 };

  if (n == 2 && strcmp (words[0], "every") == 0)
    {
      when.kind = ROOK_WHEN_EVERY;
      if (!parse_interval (words[1], &when, error))
        return FALSE;
    }
  else if (n == 2 && strcmp (words[0], "daily") == 0 && parse_clock (words[1], &when))
    when.kind = ROOK_WHEN_DAILY;
  else if (n == 3 && strcmp (words[0], "weekly") == 0 && parse_weekday (words[1], &when)
           && parse_clock (words[2], &when))
    when.kind = ROOK_WHEN_WEEKLY;
  else if (n != 1 || strcmp (words[0], "never") != 0)
    return bad_when (error);
  *out_when = when;
  return TRUE;
}

/* @when on the day @days after that of @from. Returns: 0 if it does not come on that day. */
static gint64
time_on_day (const RookWhen *when, GDateTime *from, gint days)
{
  g_autoptr (GDateTime) time = NULL;
  gint year, month, day;
  GDate date;

  g_date_time_get_ymd (from, &year, &month, &day);
  g_date_set_dmy (&date, (GDateDay) day, (GDateMonth) month, (GDateYear) year);
  g_date_add_days (&date, (guint) days);
  if (when->kind == ROOK_WHEN_WEEKLY && (gint) g_date_get_weekday (&date) != when->weekday)
    return 0;
  time = g_date_time_new_local (g_date_get_year (&date), (gint) g_date_get_month (&date), g_date_get_day (&date),
                                when->hour, when->minute, 0);
  return time != NULL ? g_date_time_to_unix (time) * G_USEC_PER_SEC : 0;
}

gint64
rook_when_next (const RookWhen *when, gint64 from_us)
{
  g_autoptr (GDateTime) from = NULL;

  if (when->kind == ROOK_WHEN_NEVER)
    return 0;
  if (when->kind == ROOK_WHEN_EVERY)
    return from_us + when->interval_us;
  from = g_date_time_new_from_unix_local (from_us / G_USEC_PER_SEC);
  for (gint days = 0; from != NULL && days <= 8; days++)
    {
      gint64 time_us = time_on_day (when, from, days);

      if (time_us > from_us)
        return time_us;
    }
  return 0;
}

gboolean
rook_schedule_parse (const char *when, gint64 from_us, gint64 *out_next_us, GError **error)
{
  RookWhen parsed;

  if (!rook_when_parse (when, &parsed, error))
    return FALSE;
  if (out_next_us != NULL)
    *out_next_us = rook_when_next (&parsed, from_us);
  return TRUE;
}
