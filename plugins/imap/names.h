/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Small tables of names: system flags and months, and days counted.
 */
#pragma once

#include "rookery/mailbox.h"

#define IMAP_KEYWORD_MAX 128 /* bytes */

/* Without the backslash, in any case; 0: none such, or \Recent, which a client can't set. */
RookFlags imap_flag_from_name (const char *name);
/* The system flags in the order in which they are written; ends with a NULL name. */
typedef struct {
  RookFlags flag;
  const char *name; /* with the backslash */
} ImapFlagName;
extern const ImapFlagName imap_flag_names[];

/* Three letters in any case, not necessarily NUL-terminated: 1 to 12, or 0. */
gint imap_month_from_name (const char *name);
const char *imap_month_name (gint month);
/* Days since 1970-01-01. FALSE: no such day. */
gboolean imap_day_from_date (gint year, gint month, gint day, gint32 *out_day);
