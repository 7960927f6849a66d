/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whose turn it is to change what is kept for a user, and the id that somebody gets who has none yet.
 *
 * These turns are not those of names, which last as long as a mailbox is moved: a user who subscribes does not wait for that.
 */
#include "mailbox/mail.h"
#include "mailbox/record.h"

/* No name begins like that, so there is one queue of turns for both. */
static char *
root_of (const char *user)
{
  return g_strconcat ("\001", user, NULL);
}

void
rook_user_turn_take (RookMail *mail, const char *user, const char *other, RookTurnFunc func, gpointer data)
{
  g_autofree char *first = root_of (user), *second = other != NULL ? root_of (other) : NULL;

  rook_turn_take (mail, first, second, func, data);
}

/* --- ids ---------------------------------------------------------------------------------------------------------------- */

typedef struct {
  RookMail *mail; /* (unowned) */
  char *user;
  RookTurn *turn;
  RookUserCallback callback;
  gpointer data;
} Needing;

static void
needing_end (Needing *needing, const GError *error)
{
  const char *key = error == NULL ? rook_users_find_key (needing->mail->users, needing->user) : NULL;

  rook_turn_end (needing->turn);
  needing->callback (key, error, needing->data);
  g_free (needing->user);
  g_free (needing);
}

static void
id_written (guint64 position G_GNUC_UNUSED, const GError *error, gpointer data)
{
  Needing *needing = data;
  g_autoptr (GError) ours = error != NULL ? rook_mail_error_from_store (needing->mail, error) : NULL;

  if (ours == NULL)
    rook_users_note_stored (needing->mail->users, needing->user);
  needing_end (needing, ours);
}

static void
my_turn (RookTurn *turn, gpointer data)
{
  Needing *needing = data;
  g_autoptr (GError) error = NULL;
  RookStore *state = rook_mail_get_state (needing->mail);
  RookBatch *batch;

  needing->turn = turn;
  if (rook_users_find_key (needing->mail->users, needing->user) != NULL
      || !rook_mail_is_available (needing->mail, &error))
    {
      needing_end (needing, error);
      return;
    }
  batch = rook_batch_new (state);
  rook_users_need (needing->mail->users, needing->user, batch);
  rook_batch_reserve (batch, 0, TRUE, NULL); /* who reads mail needs no room: what is refused here the commit refuses */
  rook_store_commit (state, batch, id_written, needing);
}

void
rook_mail_need_user (RookMail *mail, const char *user, RookUserCallback callback, gpointer data)
{
  const char *key = rook_users_find_key (mail->users, user);
  Needing *needing;

  if (key != NULL)
    {
      callback (key, NULL, data);
      return;
    }
  needing = g_new (Needing, 1);
  *needing = (Needing){ .mail = mail, .user = g_strdup (user), .callback = callback, .data = data };
  rook_user_turn_take (mail, user, NULL, my_turn, needing);
}

/* --- what partitions know of it ----------------------------------------------------------------------------------------- */

static void
copy_written (guint64 position G_GNUC_UNUSED, const GError *error, gpointer data)
{
  if (error != NULL)
    g_error_free (rook_mail_error_from_store (data, error));
}

void
rook_mail_tell_user (RookMail *mail, guint64 id, const RookUserName *named)
{
  g_autoptr (GBytes) key = rook_user_id_bytes (id);

  for (guint i = 0; i < mail->partitions->len; i++)
    {
      RookStore *store = rook_partition_get_store (g_ptr_array_index (mail->partitions, i));
      RookBatch *batch;

      if (store == NULL)
        continue;
      batch = rook_batch_new (store);
      if (named != NULL)
        rook_users_put_copy (batch, named);
      else
        rook_batch_delete (batch, ROOK_PART_USERS, key);
      rook_batch_reserve (batch, 0, TRUE, NULL); /* what is refused here the commit refuses */
      rook_store_commit (store, batch, copy_written, mail);
    }
}
