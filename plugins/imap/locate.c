/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Asks the directory where a mailbox is, and opens those that are here.
 */
#include "imap/locate.h"

#include "rookery/directory.h"

typedef struct {
  RookMailCallback callback;
  gpointer data;
} Locate;

static void
on_located (const RookLocation *location, const GError *error, gpointer data)
{
  g_autofree Locate *locate = data;
  g_autoptr (GError) failed = NULL;

  if (location != NULL && !location->local)
    failed = g_error_new (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_REMOTE, "the mailbox is on %s", location->server);
  else if (error != NULL && !g_error_matches (error, ROOK_DIRECTORY_ERROR, ROOK_DIRECTORY_ERROR_NOT_FOUND))
    failed = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE, error->message);
  locate->callback (failed, locate->data);
}

void
imap_locate (ImapSession *session, const char *name, RookMailCallback callback, gpointer data)
{
  Locate *locate = g_new (Locate, 1);

  *locate = (Locate){ callback, data };
  rook_directory_locate (rook_server_get_directory (session->server), name, on_located, locate);
}

typedef struct {
  ImapSession *session; /* (owned) */
  char *name;           /* (owned) */
  RookMailOpenCallback callback;
  gpointer data;
} Open;

static void
open_located (const GError *error, gpointer data)
{
  g_autofree Open *open = data;
  g_autoptr (RookImapSession) session = open->session;
  g_autofree char *name = open->name;

  if (error != NULL || imap_session_is_gone (session))
    open->callback (NULL, error, open->data);
  else
    rook_mail_open (rook_server_get_mail (session->server), session->identity, name, open->callback, open->data);
}

void
imap_open (ImapSession *session, const char *name, RookMailOpenCallback callback, gpointer data)
{
  Open *open = g_new (Open, 1);

  *open = (Open){ imap_session_ref (session), g_strdup (name), callback, data };
  imap_locate (session, name, open_located, open);
}
