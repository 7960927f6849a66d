/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Subscriptions: a user's list of names, kept whether or not there are such mailboxes.
 *
 * Each change has the user's turn until it is durable and in memory: so what is in memory is what the state store says, however
 * many sessions change it, and on whatever workers.
 */
#include "mailbox/mail.h"
#include "mailbox/record.h"

typedef struct {
  RookMail *mail; /* (unowned) */
  RookTurn *turn;
  char *user, *name;
  gboolean subscribed;
  RookMailCallback callback;
  gpointer data;
} Subscribing;

/* @error: (nullable) (transfer full) */
static void
subscribing_end (Subscribing *s, GError *error)
{
  rook_turn_end (s->turn);
  s->callback (error, s->data);
  g_clear_error (&error);
  g_free (s->user);
  g_free (s->name);
  g_free (s);
}

static void
tell (Subscribing *s)
{
  g_autoptr (RookIdentity) identity = rook_identity_new (s->user, s->user, NULL, FALSE);
  g_autoptr (RookEntry) entry = rook_mail_ref_entry (s->mail, s->name);

  if (entry != NULL)
    rook_mail_publish (s->mail, s->subscribed ? ROOK_EVENT_MAILBOX_SUBSCRIBE : ROOK_EVENT_MAILBOX_UNSUBSCRIBE, entry,
                       NULL, identity, NULL);
}

static void
subscription_written (guint64 position G_GNUC_UNUSED, const GError *error, gpointer data)
{
  Subscribing *s = data;

  if (error == NULL)
    {
      rook_users_note_stored (s->mail->users, s->user);
      rook_users_set_subscribed (s->mail->users, s->user, s->name, s->subscribed);
      tell (s);
    }
  subscribing_end (s, error != NULL ? rook_mail_error_from_store (s->mail, error) : NULL);
}

/* Whether there may be one more. */
static gboolean
check_limit (Subscribing *s, GError **error)
{
  g_autoptr (RookMailSettings) settings = rook_mail_ref_settings (s->mail);

  if (!s->subscribed || rook_users_count_subscriptions (s->mail->users, s->user) < settings->max_subscriptions
      || rook_users_is_subscribed (s->mail->users, s->user, s->name))
    return TRUE;
  g_set_error_literal (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_LIMIT, "too many subscriptions");
  return FALSE;
}

static void
my_turn (RookTurn *turn, gpointer data)
{
  Subscribing *s = data;
  RookStore *state = rook_mail_get_state (s->mail);
  g_autofree char *packed = rook_subscription_pack (s->user, s->name);
  g_autoptr (GBytes) key = NULL, value = NULL;
  GError *error = NULL;
  RookBatch *batch;

  s->turn = turn;
  if (!rook_mail_is_available (s->mail, &error) || !check_limit (s, &error))
    {
      subscribing_end (s, error);
      return;
    }
  batch = rook_batch_new (state);
  key = rook_subscription_key (rook_users_need (s->mail->users, s->user, batch)->named.id, packed);
  value = g_bytes_new_static ("\001", 1);
  if (s->subscribed)
    rook_batch_put (batch, ROOK_STATE_SUBSCRIPTIONS, key, value);
  else
    rook_batch_delete (batch, ROOK_STATE_SUBSCRIPTIONS, key);
  rook_store_commit (state, batch, subscription_written, s);
}

void
rook_mail_subscribe (RookMail *mail, RookIdentity *identity, const char *name, gboolean subscribed,
                     RookMailCallback callback, gpointer data)
{
  GError *error = NULL;
  Subscribing *s;

  g_return_if_fail (identity != NULL);
  if (!rook_name_is_valid (name))
    error = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_BAD_NAME, "Not a mailbox name");
  else
    rook_mail_is_available (mail, &error);
  if (error != NULL)
    {
      rook_mail_answer_later (callback, data, error);
      return;
    }
  s = g_new (Subscribing, 1);
  *s = (Subscribing){ .mail = mail,
                      .user = g_strdup (rook_identity_get_user (identity)),
                      .name = g_strdup (name),
                      .subscribed = subscribed,
                      .callback = callback,
                      .data = data };
  rook_user_turn_take (mail, s->user, NULL, my_turn, s);
}
