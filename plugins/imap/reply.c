/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of errors. Rows without a text have that of the error, which is made for clients: what is wrong with a name,
 * a message, or a command.
 */
#include "imap/reply.h"

#include "rookery/auth.h"
#include "rookery/mailbox.h"
#include "rookery/net.h"

#include "imap/parse.h"

typedef struct {
  gint error;
  ImapReply reply;
} Row;

static const Row mail_rows[] = {
  { ROOK_MAIL_ERROR_NOT_FOUND, { FALSE, "NONEXISTENT", "Mailbox does not exist", FALSE } },
  { ROOK_MAIL_ERROR_EXISTS, { FALSE, "ALREADYEXISTS", "Mailbox already exists", FALSE } },
  { ROOK_MAIL_ERROR_BAD_NAME, { FALSE, "CANNOT", NULL, FALSE } },
  { ROOK_MAIL_ERROR_NO_PERMISSION, { FALSE, "NOPERM", "Permission denied", FALSE } },
  { ROOK_MAIL_ERROR_QUOTA, { FALSE, "OVERQUOTA", "Over quota", FALSE } },
  { ROOK_MAIL_ERROR_TOO_BIG, { FALSE, "TOOBIG", "Message too large", FALSE } },
  { ROOK_MAIL_ERROR_BAD_MESSAGE, { FALSE, "CANNOT", NULL, FALSE } },
  { ROOK_MAIL_ERROR_NOT_ALLOWED, { FALSE, "CANNOT", NULL, FALSE } },
  { ROOK_MAIL_ERROR_READ_ONLY, { FALSE, "READ-ONLY", "Mailbox is read-only", FALSE } },
  { ROOK_MAIL_ERROR_LIMIT, { FALSE, "LIMIT", "Limit reached", FALSE } },
  { ROOK_MAIL_ERROR_EXPUNGED, { FALSE, "EXPUNGEISSUED", "Some messages are expunged", FALSE } },
  { ROOK_MAIL_ERROR_CORRUPT, { FALSE, "CORRUPTION", "Mailbox is damaged", TRUE } },
  { ROOK_MAIL_ERROR_UNAVAILABLE, { FALSE, "UNAVAILABLE", "Not available now", TRUE } },
  { ROOK_MAIL_ERROR_TEMPORARY, { FALSE, "UNAVAILABLE", "Temporary failure", TRUE } },
  { ROOK_MAIL_ERROR_REMOTE, { FALSE, "UNAVAILABLE", "Mailbox is on another server", FALSE } },
  /* LIMIT and OVERQUOTA tell of bounds that stay (RFC 5530 3): a client may give up, or blame its user. */
  { ROOK_MAIL_ERROR_FULL, { FALSE, "UNAVAILABLE", "No space left on the server", TRUE } },
};

static const Row auth_rows[] = {
  { ROOK_AUTH_ERROR_FAILED, { FALSE, "AUTHENTICATIONFAILED", "Authentication failed", FALSE } },
  { ROOK_AUTH_ERROR_UNAVAILABLE, { FALSE, "UNAVAILABLE", "Authentication is not available now", FALSE } },
  { ROOK_AUTH_ERROR_MECHANISM, { FALSE, "CANNOT", "Mechanism is not offered", FALSE } },
  { ROOK_AUTH_ERROR_PRIVACY, { FALSE, "PRIVACYREQUIRED", "Needs TLS", FALSE } },
  { ROOK_AUTH_ERROR_NOT_AUTHORIZED, { FALSE, "AUTHORIZATIONFAILED", "May not act as that user", FALSE } },
  { ROOK_AUTH_ERROR_PROTOCOL, { TRUE, NULL, "Invalid authentication exchange", FALSE } },
  { ROOK_AUTH_ERROR_CANCELLED, { TRUE, NULL, "Authentication cancelled", FALSE } },
  { ROOK_AUTH_ERROR_DISABLED, { FALSE, "CONTACTADMIN", "Account is disabled", FALSE } },
  { ROOK_AUTH_ERROR_WEAK, { FALSE, "CANNOT", "Password or mechanism is too weak", FALSE } },
};

static const Row net_rows[] = {
  { ROOK_NET_ERROR_LIMIT, { FALSE, "LIMIT", "Too many connections", FALSE } },
};

static const Row parse_rows[] = {
  { IMAP_PARSE_ERROR_SYNTAX, { TRUE, NULL, NULL, FALSE } },
  { IMAP_PARSE_ERROR_LIMIT, { TRUE, "LIMIT", NULL, FALSE } },
  { IMAP_PARSE_ERROR_CHARSET, { FALSE, "BADCHARSET", NULL, FALSE } },
};

static gboolean
find (const Row *rows, guint n_rows, gint error, ImapReply *out_reply)
{
  for (guint i = 0; i < n_rows; i++)
    if (rows[i].error == error)
      {
        *out_reply = rows[i].reply;
        return TRUE;
      }
  return FALSE;
}

void
imap_reply_for_error (const GError *error, ImapReply *out_reply)
{
  const struct {
    GQuark domain;
    const Row *rows;
    guint n_rows;
  } tables[] = {
    { ROOK_MAIL_ERROR, mail_rows, G_N_ELEMENTS (mail_rows) },
    { ROOK_AUTH_ERROR, auth_rows, G_N_ELEMENTS (auth_rows) },
    { ROOK_NET_ERROR, net_rows, G_N_ELEMENTS (net_rows) },
    { IMAP_PARSE_ERROR, parse_rows, G_N_ELEMENTS (parse_rows) },
  };

  *out_reply = (ImapReply){ FALSE, "SERVERBUG", "Internal error", TRUE };
  for (guint i = 0; i < G_N_ELEMENTS (tables); i++)
    if (error->domain == tables[i].domain && find (tables[i].rows, tables[i].n_rows, error->code, out_reply))
      break;
  if (out_reply->text == NULL)
    out_reply->text = error->message;
}
