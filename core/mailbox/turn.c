/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Turns: changes of names below one root (a user, or the first part of a shared name) come one after the other, without
 * anybody waiting on a thread. A rename between two roots takes both, always in the same order.
 */
#include "mailbox/mail.h"

struct RookTurn {
  RookMail *mail;     /* (unowned) */
  RookWorker *worker; /* (unowned) */
  char *roots[2];     /* (owned) the second (nullable), in order */
  guint taken;
  RookTurnFunc func;
  gpointer data;
};

static void
run_turn (gpointer data)
{
  RookTurn *turn = data;

  turn->func (turn, turn->data);
}

/* With the lock held: takes what can be taken; runs the turn when it has everything. */
static void
advance (RookTurn *turn)
{
  while (turn->taken < 2 && turn->roots[turn->taken] != NULL)
    {
      GQueue *waiting = g_hash_table_lookup (turn->mail->turns, turn->roots[turn->taken]);

      if (waiting != NULL)
        {
          g_queue_push_tail (waiting, turn);
          return;
        }
      g_hash_table_insert (turn->mail->turns, g_strdup (turn->roots[turn->taken]), g_queue_new ());
      turn->taken++;
    }
  rook_worker_invoke (turn->worker, run_turn, turn, NULL);
}

void
rook_turn_take (RookMail *mail, const char *name, const char *other, RookTurnFunc func, gpointer data)
{
  RookTurn *turn = g_new0 (RookTurn, 1);
  g_autoptr (RookLocker) locker = NULL;

  turn->mail = mail;
  turn->worker = rook_worker_current ();
  turn->func = func;
  turn->data = data;
  turn->roots[0] = rook_name_dup_root (name);
  turn->roots[1] = other != NULL ? rook_name_dup_root (other) : NULL;
  if (turn->roots[1] != NULL && g_str_equal (turn->roots[0], turn->roots[1]))
    g_clear_pointer (&turn->roots[1], g_free);
  if (turn->roots[1] != NULL && g_strcmp0 (turn->roots[0], turn->roots[1]) > 0)
    {
      char *swap = turn->roots[0];

      turn->roots[0] = turn->roots[1];
      turn->roots[1] = swap;
    }
  locker = rook_locker_new (&mail->lock);
  advance (turn);
}

/* With the lock held: the next in the queue has the root now, or nobody. */
static void
hand_on (RookMail *mail, const char *root)
{
  GQueue *waiting = g_hash_table_lookup (mail->turns, root);
  RookTurn *next = g_queue_pop_head (waiting);

  if (next == NULL)
    {
      g_queue_free (waiting);
      g_hash_table_remove (mail->turns, root);
      return;
    }
  next->taken++;
  advance (next);
}

void
rook_turn_end (RookTurn *turn)
{
  RookMail *mail = turn->mail;

  rook_mutex_lock (&mail->lock);
  for (guint i = 0; i < 2 && turn->roots[i] != NULL; i++)
    hand_on (mail, turn->roots[i]);
  rook_mutex_unlock (&mail->lock);
  g_free (turn->roots[0]);
  g_free (turn->roots[1]);
  g_free (turn);
}
