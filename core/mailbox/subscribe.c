/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Subscriptions: a user's list of names, kept whether or not there are such mailboxes.
 */
#include "mailbox/mail.h"
#include "mailbox/record.h"

typedef struct {
  RookMail *mail; /* (unowned) */
  char *user, *name;
  gboolean subscribed;
  RookMailCallback callback;
  gpointer data;
} Subscribing;

static void
subscription_written (guint64 position, const GError *error, gpointer data)
{
  Subscribing *s = data;
  g_autoptr (GError) ours = error != NULL ? rook_mail_error_from_store (s->mail, error) : NULL;

  (void) position;
  if (error == NULL)
    {
      g_autoptr (RookIdentity) identity = rook_identity_new (s->user, s->user, NULL, FALSE);
      g_autoptr (RookEntry) entry = rook_mail_ref_entry (s->mail, s->name);

      rook_mutex_lock (&s->mail->lock);
      rook_names_set_subscribed (s->mail, s->user, s->name, s->subscribed);
      rook_mutex_unlock (&s->mail->lock);
      if (entry != NULL)
        rook_mail_publish (s->mail, s->subscribed ? ROOK_EVENT_MAILBOX_SUBSCRIBE : ROOK_EVENT_MAILBOX_UNSUBSCRIBE,
                           entry, NULL, identity, NULL);
    }
  s->callback (ours, s->data);
  g_free (s->user);
  g_free (s->name);
  g_free (s);
}

void
rook_mail_subscribe (RookMail *mail, RookIdentity *identity, const char *name, gboolean subscribed,
                     RookMailCallback callback, gpointer data)
{
  g_autoptr (GBytes) key = NULL, value = NULL;
  RookStore *state = rook_mail_get_state (mail);
  GError *error = NULL;
  Subscribing *s;
  RookBatch *batch;

  g_return_if_fail (identity != NULL);
  if (!rook_name_is_valid (name))
    error = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_BAD_NAME, "Not a mailbox name");
  else if (state == NULL)
    error = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE, "the server is not ready");
  if (error != NULL)
    {
      rook_mail_answer_later (callback, data, error);
      return;
    }
  s = g_new0 (Subscribing, 1);
  *s = (Subscribing){ .mail = mail,
                      .user = g_strdup (rook_identity_get_user (identity)),
                      .name = g_strdup (name),
                      .subscribed = subscribed,
                      .callback = callback,
                      .data = data };
  key = rook_subscription_key (s->user, name);
  value = g_bytes_new_static ("\001", 1);
  batch = rook_batch_new (state);
  if (subscribed)
    rook_batch_put (batch, ROOK_STATE_SUBSCRIPTIONS, key, value);
  else
    rook_batch_delete (batch, ROOK_STATE_SUBSCRIPTIONS, key);
  rook_store_commit (state, batch, subscription_written, s);
}
