/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an administrator says of a partition as a whole: `rookctl store accept` (known.c says which it was) and `rookctl store
 * renew` (renew.c). Both block, and are done on the pool.
 */
#include "mailbox/mail.h"
#include "rookery/control.h"

typedef struct {
  RookMail *mail; /* (unowned) */
  RookPartition *partition;
  RookControlCall *call;
} Order;

/* Has @work done with an Order, which it frees and ends by rook_mail_end_blocking(), or says why not. */
static void
give_order (RookMail *mail, RookPartition *partition, RookControlCall *call, RookFunc work)
{
  Order *order;

  if (!rook_mail_begin_blocking (mail))
    {
      rook_control_call_fail (call, "the server stops");
      return;
    }
  order = g_new (Order, 1);
  *order = (Order){ mail, partition, call };
  if (rook_pool_run (rook_server_get_pool (mail->server), 0, work, NULL, order))
    return;
  rook_mail_end_blocking (mail);
  g_free (order);
  rook_control_call_fail (call, "too much to do: try again later");
}

/* --- accept --------------------------------------------------------------------------------------------------------- */

static gboolean
accept_store (Order *order, GError **error)
{
  RookStore *state = rook_mail_get_state (order->mail);
  guint32 uidvalidity = rook_mail_next_uidvalidity (order->mail);
  RookStore *store = rook_mail_open_store (
      order->mail, order->partition->backend,
      &(RookStoreSpec){ .struct_size = sizeof (RookStoreSpec), .path = order->partition->path }, error);
  RookBatch *batch;

  if (store == NULL)
    return FALSE;
  if (!rook_renewed_put (store, uidvalidity, error)) /* before it is known, so that it can't be forgotten */
    {
      rook_store_close (store);
      return FALSE;
    }
  rook_mail_log_renewed (order->mail, order->partition->name, uidvalidity, "its store was accepted");
  batch = rook_batch_new (state);
  rook_known_put (batch, order->partition->name, rook_store_get_id (store), rook_store_get_position (store));
  rook_store_close (store);
  rook_batch_reserve (batch, 0, TRUE, NULL);
  return rook_store_commit_wait (state, batch, NULL, error);
}

/* On a pool thread. */
static void
accept_work (gpointer data)
{
  g_autofree Order *order = data;
  RookMail *mail = order->mail;
  g_autoptr (GError) error = NULL;

  if (accept_store (order, &error))
    {
      rook_log_event (rook_server_get_log (mail->server), ROOK_LOG_NOTICE, "mailbox.partition-accepted", "partition",
                      order->partition->name, "path", order->partition->path, NULL);
      rook_control_call_done (
          order->call, g_variant_new_string ("its store is taken for the partition's: `rookctl reload` opens it"));
    }
  else
    rook_control_call_fail (order->call, "%s", error->message);
  rook_mail_end_blocking (mail);
}

static void
run_accept (gpointer data, RookControlCall *call, const char *const *arguments)
{
  RookMail *mail = data;
  RookPartition *partition = rook_mail_find_partition (mail, arguments[0]);
  g_autoptr (GError) error = NULL;

  if (partition == NULL)
    rook_control_call_fail (call, "there is no partition %s", arguments[0]);
  else if (rook_partition_get_store (partition) != NULL)
    rook_control_call_fail (call, "partition %s is open: there is nothing to accept", arguments[0]);
  else if (!rook_mail_is_available (mail, &error))
    rook_control_call_fail (call, "%s", error->message);
  else
    give_order (mail, partition, call, accept_work);
}

static const RookControlVerb accept_verb = {
  .struct_size = sizeof (RookControlVerb),
  .name = "store accept",
  .arguments = "PARTITION",
  .help = "Takes the store that lies in an unavailable partition's place for the partition's, although it is another "
          "one or an older state of it. Its mailboxes get a new UIDVALIDITY, so that clients read them anew.",
  .min_arguments = 1,
  .max_arguments = 1,
  .run = run_accept,
};

/* --- renew ---------------------------------------------------------------------------------------------------------- */

/* On a pool thread. Once begun, a store that is open stays so until this has ended. */
static void
renew_work (gpointer data)
{
  g_autofree Order *order = data;
  RookMail *mail = order->mail;
  RookStore *store = rook_partition_get_store (order->partition);
  guint32 uidvalidity = rook_mail_next_uidvalidity (mail);
  g_autoptr (GError) error = NULL;

  if (store == NULL)
    rook_control_call_fail (order->call, "partition %s is not open: `rookctl store list` says why",
                            order->partition->name);
  else if (!rook_renewed_put (store, uidvalidity, &error))
    rook_control_call_fail (order->call, "%s", error->message);
  else
    {
      rook_mail_log_renewed (mail, order->partition->name, uidvalidity, "rookctl store renew");
      rook_control_call_done (
          order->call, g_variant_new_printf (
                           "from the next start its mailboxes have the UIDVALIDITY %u, or a higher one", uidvalidity));
    }
  rook_mail_end_blocking (mail);
}

static void
run_renew (gpointer data, RookControlCall *call, const char *const *arguments)
{
  RookMail *mail = data;
  RookPartition *partition = rook_mail_find_partition (mail, arguments[0]);

  if (partition == NULL)
    rook_control_call_fail (call, "there is no partition %s", arguments[0]);
  else
    give_order (mail, partition, call, renew_work);
}

static const RookControlVerb renew_verb = {
  .struct_size = sizeof (RookControlVerb),
  .name = "store renew",
  .arguments = "PARTITION",
  .help =
      "Gives all mailboxes of a partition a new UIDVALIDITY at the next start, so that clients read them anew: after "
      "a backup was put back.",
  .min_arguments = 1,
  .max_arguments = 1,
  .run = run_renew,
};

void
rook_mail_add_partition_verbs (RookMail *mail)
{
  RookControl *control = rook_server_get_control (mail->server);

  if (control == NULL)
    return;
  rook_control_add (control, &accept_verb, mail);
  rook_control_add (control, &renew_verb, mail);
}
