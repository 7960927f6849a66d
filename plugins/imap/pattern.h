/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LIST patterns (RFC 3501 6.3.8): "*" stands for anything, "%" for anything without the separator.
 */
#pragma once

#include <glib.h>

typedef struct ImapPattern ImapPattern;

/* @pattern: reference and pattern, joined; "INBOX" in it is taken in any case. */
ImapPattern *imap_pattern_new (const char *pattern, char separator);
void imap_pattern_free (ImapPattern *pattern);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ImapPattern, imap_pattern_free)

/* Time: at most the product of both lengths, whatever the pattern. */
gboolean imap_pattern_matches (ImapPattern *pattern, const char *name);
/* Whether a name below @name could match, so that @name may have to be listed for its children's sake. */
gboolean imap_pattern_ends_with_percent (ImapPattern *pattern);
