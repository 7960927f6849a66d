/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SEARCH programs (RFC 3501 6.4.4): parsed into a tree, then judged message by message.
 *
 * A program is judged with whatever is known of a message; what can't be decided so says what more it needs. So bodies are
 * read only for messages that nothing cheaper rules out.
 */
#pragma once

#include "imap/sequence.h"

typedef struct ImapSearch ImapSearch;
typedef struct ImapSearchScan ImapSearchScan; /* search-scan.h */

/* CHARSET and all keys up to the end. Errors: %IMAP_PARSE_ERROR. */
ImapSearch *imap_search_parse (ImapParser *parser, GError **error);
/* Finds out which messages of @view its sets mean; before it is judged. Errors: as imap_sequence_resolve(). */
gboolean imap_search_bind (ImapSearch *search, RookView *view, GError **error);
void imap_search_free (ImapSearch *search);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ImapSearch, imap_search_free)

/* Sequence numbers outside these can't match. (nullable) (transfer none) (element-type ImapRange) NULL: any can */
const GArray *imap_search_get_ranges (ImapSearch *search);

/* What is known of a message; each level has those before it. */
typedef enum {
  IMAP_SEARCH_RECORD, /* flags, dates, size */
  IMAP_SEARCH_MIME,   /* and the cached headers */
  IMAP_SEARCH_TEXT    /* and its text, as far as the scan has been fed with it */
} ImapSearchLevel;

typedef struct {
  guint32 seq;
  const RookMessage *message;
  RookMailbox *mailbox;
  RookMime *mime;             /* (nullable) */
  const ImapSearchScan *scan; /* of the program */
} ImapSearchSubject;

typedef enum { IMAP_SEARCH_NO, IMAP_SEARCH_YES, IMAP_SEARCH_UNKNOWN } ImapSearchVerdict;

/* @out_need: (out): if UNKNOWN, the level at which to ask again */
ImapSearchVerdict imap_search_judge (ImapSearch *search, const ImapSearchSubject *subject, ImapSearchLevel *out_need);

/* --- search-text.c --- */

/* Text to look for, brought to the form in which it is compared. NULL: not valid in @charset. (transfer full) */
char *imap_search_fold (const char *text, const char *charset);
/* Appends @data in the same form. A line that is no UTF-8 is taken for Latin-1, so that it can be compared at all. */
void imap_search_fold_bytes (GString *folded, const char *data, gsize length);
/* Whether folded @needle occurs in a header value (encoded words are decoded). */
gboolean imap_search_in_header (const char *value, const char *needle);
/* The day of a Date field's value, in its own zone; FALSE: it says none. */
gboolean imap_search_date_day (const char *value, gint32 *out_day);
