/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of capabilities, in the order in which they are listed; AUTH= is made from what SASL offers now (imap.c).
 */
#include "imap/session.h"

static gboolean
offers_starttls (RookImapSession *session, gpointer data G_GNUC_UNUSED)
{
  return rook_connection_can_start_tls (session->connection);
}

static gboolean
refuses_plaintext (RookImapSession *session, gpointer data G_GNUC_UNUSED)
{
  return !rook_auth_allows_plaintext (rook_server_get_auth (session->server), session->connection);
}

#define ROW(name_, states_, offered_)                     \
  {                                                       \
    sizeof (RookImapCapability), name_, states_, offered_ \
  }

/* clang-format off */
const RookImapCapability imap_capabilities[] = {
  ROW ("IMAP4rev1",     ROOK_IMAP_ANY, NULL),
  ROW ("LITERAL+",      ROOK_IMAP_ANY, NULL),
  ROW ("SASL-IR",       ROOK_IMAP_ANY, NULL),
  ROW ("ID",            ROOK_IMAP_ANY, NULL),
  ROW ("ENABLE",        ROOK_IMAP_ANY, NULL),
  ROW ("STARTTLS",      ROOK_IMAP_NOT_AUTHENTICATED, offers_starttls),
  ROW ("LOGINDISABLED", ROOK_IMAP_NOT_AUTHENTICATED, refuses_plaintext),
  ROW ("IDLE",          ROOK_IMAP_LOGGED_IN, NULL),
  ROW ("NAMESPACE",     ROOK_IMAP_LOGGED_IN, NULL),
  ROW ("UIDPLUS",       ROOK_IMAP_LOGGED_IN, NULL),
  ROW ("MOVE",          ROOK_IMAP_LOGGED_IN, NULL),
  ROW ("UNSELECT",      ROOK_IMAP_LOGGED_IN, NULL),
  ROW ("CHILDREN",      ROOK_IMAP_LOGGED_IN, NULL),
  ROW ("SPECIAL-USE",   ROOK_IMAP_LOGGED_IN, NULL),
  ROW ("QUOTA",         ROOK_IMAP_LOGGED_IN, NULL),
  ROW ("QUOTASET",      ROOK_IMAP_LOGGED_IN, NULL),
  ROW ("QUOTA=RES-STORAGE", ROOK_IMAP_LOGGED_IN, NULL),
  ROW ("QUOTA=RES-MESSAGE", ROOK_IMAP_LOGGED_IN, NULL),
  ROW ("QUOTA=RES-MAILBOX", ROOK_IMAP_LOGGED_IN, NULL),
  { 0 },
};
/* clang-format on */
