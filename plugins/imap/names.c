/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tables of names.h.
 */
#include "imap/names.h"

const ImapFlagName imap_flag_names[] = {
  { ROOK_FLAG_ANSWERED, "\\Answered" },
  { ROOK_FLAG_FLAGGED, "\\Flagged" },
  { ROOK_FLAG_DELETED, "\\Deleted" },
  { ROOK_FLAG_SEEN, "\\Seen" },
  { ROOK_FLAG_DRAFT, "\\Draft" },
  { ROOK_FLAG_RECENT, "\\Recent" },
  { 0, NULL },
};

RookFlags
imap_flag_from_name (const char *name)
{
  for (const ImapFlagName *flag = imap_flag_names; flag->name != NULL; flag++)
    if (flag->flag != ROOK_FLAG_RECENT && g_ascii_strcasecmp (flag->name + 1, name) == 0)
      return flag->flag;
  return 0;
}

static const char months[12][4] = {
  "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};

gint
imap_month_from_name (const char *name)
{
  for (gint i = 0; i < 12; i++)
    if (g_ascii_strncasecmp (months[i], name, 3) == 0)
      return i + 1;
  return 0;
}

const char *
imap_month_name (gint month)
{
  g_assert (month >= 1 && month <= 12);
  return months[month - 1];
}

gboolean
imap_day_from_date (gint year, gint month, gint day, gint32 *out_day)
{
  /* What GDate counts, from its own first day to 1970-01-01. */
  static const gint32 julian_1970 = 719163;

  if (year < 1 || year > 9999 || !g_date_valid_dmy ((GDateDay) day, (GDateMonth) month, (GDateYear) year))
    return FALSE;
  {
    GDate date;

    g_date_clear (&date, 1);
    g_date_set_dmy (&date, (GDateDay) day, (GDateMonth) month, (GDateYear) year);
    *out_day = (gint32) g_date_get_julian (&date) - julian_1970;
  }
  return TRUE;
}
