/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a mailbox is, before a command opens it: on a server that is one of many it may be elsewhere.
 */
#pragma once

#include "imap/session.h"

/* Called back on the session's worker, never before it returns. %NULL: the mailbox service may be asked, which also knows
 * whether there is such a mailbox. REMOTE: it lives on another server; UNAVAILABLE: nobody can say now. */
void imap_locate (ImapSession *session, const char *name, RookMailCallback callback, gpointer data);
/* Then opens it, if it is here. */
void imap_open (ImapSession *session, const char *name, RookMailOpenCallback callback, gpointer data);
