/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sequence sets (RFC 3501 section 9): "1:5,7,*", of sequence numbers or of UIDs.
 */
#pragma once

#include "imap/parse.h"

typedef struct {
  guint32 first, last; /* first <= last, once normalised */
} ImapRange;

/* Parses a set. "*" is 0 in it, which no message has. Ranges are as written, in any order.
 * (transfer full) (element-type ImapRange) */
gboolean imap_parse_sequence_set (ImapParser *self, GArray **out_set, GError **error);

/* The sequence numbers that @set means in @view: sorted, disjoint, not adjacent; may be empty. Numbers that no message has are
 * left out if these are UIDs, and an error (%IMAP_PARSE_ERROR_SYNTAX) if not (RFC 3501 section 9, seq-number).
 * (transfer full) (element-type ImapRange) (nullable) */
GArray *imap_sequence_resolve (GArray *set, RookView *view, gboolean uids, GError **error);

/* The same without a view, for whoever has numbers: "*" becomes @largest, then sorted and merged, cut at @largest. */
GArray *imap_sequence_normalise (GArray *set, guint32 largest);

/* Sorts, and joins what overlaps or touches. */
void imap_sequence_merge (GArray *set);

/* Whether @number lies in a set that was normalised: O(log n). */
gboolean imap_sequence_contains (GArray *set, guint32 number);

/* Appends sorted numbers in the shortest form: "1:3,7". */
void imap_sequence_write (GString *out, const guint32 *numbers, guint n_numbers);
