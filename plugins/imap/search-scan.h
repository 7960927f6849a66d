/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks through the text of messages for the keys of a program that need it: HEADER of fields that are not cached, BODY,
 * TEXT. A message is fed in pieces, each is brought to the form in which it is compared once for all keys, and no more
 * than the last piece is kept. One message after the other; any thread, one at a time.
 */
#pragma once

#include "imap/search-private.h"

ImapSearchScan *imap_search_scan_new (ImapSearch *search);
void imap_search_scan_free (ImapSearchScan *scan);
/* Makes it ready for the next message. */
void imap_search_scan_reset (ImapSearchScan *scan);

/* How much of a message is to be fed at once, so that no piece takes long: the less, the more keys there are. */
gsize imap_search_scan_get_piece_size (const ImapSearchScan *scan);
/* Whether looking through so much is not worth another thread. */
gboolean imap_search_scan_is_cheap (const ImapSearchScan *scan, gsize length);
/* @last: the message ends with it */
void imap_search_scan_feed (ImapSearchScan *scan, const char *data, gsize length, gboolean last);

/* What is known of the key; UNKNOWN until it has matched or can't any more. */
ImapSearchVerdict imap_search_scan_get (const ImapSearchScan *scan, const ImapSearchNode *node);
