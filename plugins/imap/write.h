/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Response writers: values as RFC 3501 section 9 spells them, appended to a string.
 */
#pragma once

#include "rookery/mailbox.h"

/* A string without NUL: quoted if that can say it, else a literal. */
void imap_write_string (GString *out, const char *text);
/* The same, as a bare atom where possible. */
void imap_write_astring (GString *out, const char *text);
/* "{n}" CRLF and the bytes. */
void imap_write_literal (GString *out, gconstpointer data, gsize length);
/* date-time with quotes: "17-Jul-1996 02:44:25 -0700" */
void imap_write_date_time (GString *out, gint64 time, gint16 zone_minutes);
/* "(\Seen \Recent $Forwarded)" */
void imap_write_flags (GString *out, RookMailbox *mailbox, const RookMessage *message);
/* A mailbox name as the client sees it: UTF-8 in, modified UTF-7 out. */
void imap_write_mailbox (GString *out, const char *utf8_name);
