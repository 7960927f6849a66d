/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of functions behind `imap/1`, for other plugins.
 */
#include "imap/commands.h"

static RookConnection *
get_connection (RookImapSession *session)
{
  return session->connection;
}

static RookIdentity *
get_identity (RookImapSession *session)
{
  return session->identity;
}

static RookNamespace *
get_namespace (RookImapSession *session)
{
  return session->ns;
}

static RookView *
get_view (RookImapSession *session)
{
  return session->view;
}

static gboolean
is_uid (RookImapSession *session)
{
  return session->call.uid;
}

static void
bad (RookImapSession *session, const char *text)
{
  imap_session_bad (session, NULL, text);
}

const RookImapInterface imap_interface = {
  .struct_size = sizeof (RookImapInterface),
  .add_command = imap_add_command,
  .add_capability = imap_add_capability,
  .get_connection = get_connection,
  .get_identity = get_identity,
  .get_namespace = get_namespace,
  .get_view = get_view,
  .is_uid = is_uid,
  .ref = imap_session_ref,
  .unref = imap_session_unref,
  .ok = imap_session_ok,
  .no = imap_session_no,
  .bad = bad,
  .fail = imap_session_fail,
  .parse_space = imap_parse_space,
  .parse_end = imap_parse_end,
  .parse_open = imap_parse_open,
  .parse_close = imap_parse_close,
  .parse_atom = imap_parse_atom,
  .parse_astring = imap_parse_astring,
  .parse_nstring = imap_parse_nstring,
  .parse_number = imap_parse_number,
  .parse_mailbox = imap_parse_mailbox,
};
