/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Errors of the service: one closed list, and what becomes of those of the rooms below. Their text stays in the log.
 */
#include "mailbox/mail.h"

G_DEFINE_QUARK (rook - mail - error - quark, rook_mail_error)

GError *
rook_mail_error_from_store (RookMail *mail, const GError *error)
{
  gint code = ROOK_MAIL_ERROR_TEMPORARY;
  const char *text = "storage trouble, try again later";

  rook_counter_add (mail->failures, 1);
  rook_log_message (rook_server_get_log (mail->server), ROOK_LOG_ERROR, "mailbox.store-failed", "%s", error->message);
  if (error->domain == ROOK_STORE_ERROR && error->code == ROOK_STORE_ERROR_CORRUPT)
    {
      code = ROOK_MAIL_ERROR_CORRUPT;
      text = "the stored data is damaged";
    }
  else if (error->domain == ROOK_STORE_ERROR && error->code == ROOK_STORE_ERROR_NOT_FOUND)
    {
      code = ROOK_MAIL_ERROR_EXPUNGED;
      text = "the message is gone";
    }
  else if (error->domain == ROOK_STORE_ERROR && error->code == ROOK_STORE_ERROR_CLOSED)
    {
      code = ROOK_MAIL_ERROR_UNAVAILABLE;
      text = "the server is closing";
    }
  else if (error->domain == ROOK_STORE_ERROR && error->code == ROOK_STORE_ERROR_FULL)
    {
      code = ROOK_MAIL_ERROR_FULL;
      text = "no space left, try again later";
      rook_mail_want_room (mail);
    }
  return g_error_new_literal (ROOK_MAIL_ERROR, code, text);
}

GError *
rook_mail_error_from_directory (const GError *error)
{
  if (error->domain != ROOK_DIRECTORY_ERROR)
    return g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_TEMPORARY, "the directory did not agree");
  switch ((RookDirectoryError) error->code)
    {
    case ROOK_DIRECTORY_ERROR_NOT_FOUND:
      return g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_FOUND, "no such mailbox");
    case ROOK_DIRECTORY_ERROR_CONFLICT:
      return g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_EXISTS, "another server has that mailbox");
    case ROOK_DIRECTORY_ERROR_UNAVAILABLE:
    default:
      return g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE, "the directory can't be asked now");
    }
}

GError *
rook_mail_error_missing (GError *unavailable)
{
  return unavailable != NULL ? unavailable
                             : g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_FOUND, "no such mailbox");
}

/* --- answers that must not come inside the call ----------------------------------------------------------------- */

typedef struct {
  RookMailCallback callback;
  gpointer data;
  GError *error;
} Later;

static void
run_later (gpointer data)
{
  Later *later = data;

  later->callback (later->error, later->data);
}

static void
free_later (gpointer data)
{
  Later *later = data;

  g_clear_error (&later->error);
  g_free (later);
}

void
rook_mail_answer_later (RookMailCallback callback, gpointer data, GError *error)
{
  Later *later = g_new (Later, 1);

  *later = (Later){ callback, data, error };
  rook_worker_invoke (rook_worker_current (), run_later, later, free_later);
}
