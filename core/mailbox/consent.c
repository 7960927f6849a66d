/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Consent: the directory asked about all the changes of one operation, one after the other, before any is made.
 *
 * prepare may refuse, and then nothing happens; commit comes when the changes are durable and can't be undone any more.
 */
#include "mailbox/mail.h"

typedef struct {
  RookChangeKind kind;
  RookEntry *before, *after; /* (owned) (nullable) */
  gpointer token;
} Change;

struct RookConsent {
  RookMail *mail; /* (unowned) */
  GArray *changes;
  guint next;
  RookConsentFunc func;
  gpointer data;
};

static void
clear_change (gpointer data)
{
  Change *change = data;

  g_clear_pointer (&change->before, rook_entry_unref);
  g_clear_pointer (&change->after, rook_entry_unref);
}

RookConsent *
rook_consent_new (RookMail *mail)
{
  RookConsent *consent = g_new0 (RookConsent, 1);

  consent->mail = mail;
  consent->changes = g_array_new (FALSE, TRUE, sizeof (Change));
  g_array_set_clear_func (consent->changes, clear_change);
  return consent;
}

static void
consent_free (RookConsent *consent)
{
  g_array_unref (consent->changes);
  g_free (consent);
}

void
rook_consent_add (RookConsent *consent, RookChangeKind kind, const RookEntry *before, const RookEntry *after)
{
  Change change = { .kind = kind };

  change.before = before != NULL ? rook_entry_ref ((RookEntry *) before) : NULL;
  change.after = after != NULL ? rook_entry_ref ((RookEntry *) after) : NULL;
  g_array_append_val (consent->changes, change);
}

static Change *
change_at (RookConsent *consent, guint index)
{
  return &g_array_index (consent->changes, Change, index);
}

/* Takes back the first @n, which were prepared. */
static void
abort_first (RookConsent *consent, guint n)
{
  for (guint i = 0; i < n; i++)
    rook_directory_abort (rook_server_get_directory (consent->mail->server), change_at (consent, i)->token);
}

static void prepare_next (RookConsent *consent);

static void
prepared (gpointer token, const GError *error, gpointer data)
{
  RookConsent *consent = data;

  if (error == NULL)
    {
      change_at (consent, consent->next++)->token = token;
      prepare_next (consent);
      return;
    }
  {
    g_autoptr (GError) ours = rook_mail_error_from_directory (error);

    abort_first (consent, consent->next);
    consent->func (NULL, ours, consent->data);
    consent_free (consent);
  }
}

static void
prepare_next (RookConsent *consent)
{
  RookDirectoryService *directory = rook_server_get_directory (consent->mail->server);
  const Change *change;
  const RookEntry *any;

  if (consent->next == consent->changes->len || directory == NULL)
    {
      consent->next = 0;
      consent->func (consent, NULL, consent->data);
      return;
    }
  change = change_at (consent, consent->next);
  any = change->before != NULL ? change->before : change->after;
  rook_directory_prepare (directory,
                          &(RookChange){ .struct_size = sizeof (RookChange),
                                         .kind = change->kind,
                                         .mailbox_id = any->id,
                                         .name = any->name,
                                         .new_name = change->kind == ROOK_CHANGE_RENAME ? change->after->name : NULL,
                                         .partition = (change->after != NULL ? change->after : any)->partition,
                                         .acl = change->after != NULL ? change->after->acl : NULL },
                          prepared, consent);
}

void
rook_consent_prepare (RookConsent *consent, RookConsentFunc func, gpointer data)
{
  consent->func = func;
  consent->data = data;
  prepare_next (consent);
}

static void commit_next (RookConsent *consent);

static void
committed (const GError *error, gpointer data)
{
  RookConsent *consent = data;

  if (error != NULL)
    rook_log_message (rook_server_get_log (consent->mail->server), ROOK_LOG_ERROR, "mailbox.directory-commit", "%s",
                      error->message);
  consent->next++;
  commit_next (consent);
}

static void
commit_next (RookConsent *consent)
{
  RookDirectoryService *directory = rook_server_get_directory (consent->mail->server);

  if (consent->next == consent->changes->len || directory == NULL)
    {
      consent->func (NULL, NULL, consent->data);
      consent_free (consent);
      return;
    }
  rook_directory_commit (directory, change_at (consent, consent->next)->token, committed, consent);
}

void
rook_consent_commit (RookConsent *consent, RookConsentFunc func, gpointer data)
{
  consent->func = func;
  consent->data = data;
  consent->next = 0;
  commit_next (consent);
}

void
rook_consent_abort (RookConsent *consent)
{
  if (rook_server_get_directory (consent->mail->server) != NULL)
    abort_first (consent, consent->changes->len);
  consent_free (consent);
}
