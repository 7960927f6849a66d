/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The functions that carry out commands, one file each (cmd-NAME.c), and what several of them share.
 */
#pragma once

#include "imap/sequence.h"
#include "imap/session.h"

void imap_cmd_append (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_authenticate (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_capability (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_check (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_close (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_copy (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_create (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_delete (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_enable (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_examine (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_expunge (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_fetch (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_getquota (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_getquotaroot (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_id (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_idle (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_list (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_login (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_logout (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_lsub (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_move (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_namespace (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_noop (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_rename (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_search (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_select (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_setquota (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_starttls (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_status (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_store (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_subscribe (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_unselect (ImapSession *session, ImapParser *arguments, gpointer data);
void imap_cmd_unsubscribe (ImapSession *session, ImapParser *arguments, gpointer data);

/* --- shared: common.c --- */

/* An astring that names a mailbox, brought to its internal form. (transfer full) */
gboolean imap_parse_mailbox (ImapSession *session, ImapParser *arguments, char **out_name, GError **error);
/* A set, and the messages that it means in the selected mailbox. (transfer full) (element-type ImapRange) */
gboolean imap_parse_messages (ImapSession *session, ImapParser *arguments, GArray **out_ranges, GError **error);
/* The UIDs of these messages. (transfer full) (element-type guint32) */
GArray *imap_ranges_to_uids (RookView *view, const GArray *ranges);
/* A command without arguments: FALSE after having refused it. */
gboolean imap_expect_end (ImapSession *session, ImapParser *arguments);
/* A #RookMailCallback that ends the command; @data: a reference to the session. */
void imap_end_with_outcome (const GError *error, gpointer data);
/* The same where a missing mailbox can be made: [TRYCREATE]. */
void imap_fail_destination (ImapSession *session, const GError *error);

/* --- shared: login.c --- */

/* A #RookAuthCallback has come to an end: logs in or refuses; ends the command. */
void imap_login_succeed (ImapSession *session, RookIdentity *identity);
void imap_login_fail (ImapSession *session, const GError *error);

/* --- cmd-idle.c --- */

/* The view's `changed`: tells an idling session; others hear at their next command. */
void imap_idle_changed (gpointer session);
