/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Telling a session what has changed in its selected mailbox, at the moments at which it may be told (RFC 3501 7.4.1).
 */
#pragma once

#include "imap/session.h"

/* Brings the view up to date and writes EXPUNGE, EXISTS, RECENT and FETCH. @done is called afterwards, at once or later; not
 * if the client has gone meanwhile, unless the command is to be ended. */
void imap_updates_tell (ImapSession *session, gboolean expunges, ImapFunc done);
/* Flags of these messages are told with the next imap_updates_tell() whether they have changed or not. Takes over @uids, sorted
 * (element-type guint32) */
void imap_updates_include (ImapSession *session, GArray *uids);
void imap_updates_clear (ImapSession *session);

/* "* FLAGS (...)" and, @permanent: "* OK [PERMANENTFLAGS (...)]". */
void imap_updates_write_flags (ImapSession *session, gboolean permanent);
/* The same if the mailbox has keywords that the session has not heard of. */
void imap_updates_write_new_keywords (ImapSession *session);
