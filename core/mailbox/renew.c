/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A partition that has lost changes of which clients were told (its store says so, or an older state of it was accepted): numbers
 * that were given will be given again, and what clients have kept under them is wrong. So all its mailboxes get a new
 * uidvalidity at once: one number in the partition's store below which none counts. A header takes it over when it next changes.
 */
#include "mailbox/codec.h"
#include "mailbox/mail.h"
#include "mailbox/record.h"
#include "rookery/control.h"

#define KEY "uidvalidity"

gboolean
rook_renewed_get (RookStore *store, guint32 *out_uidvalidity, GError **error)
{
  g_autoptr (GBytes) key = rook_bytes_of_text (KEY), value = NULL;

  *out_uidvalidity = 0;
  if (!rook_store_get_wait (store, ROOK_PART_META, key, &value, error))
    return FALSE;
  if (value != NULL && g_bytes_get_size (value) == 4)
    *out_uidvalidity = rook_get32 (g_bytes_get_data (value, NULL));
  return TRUE;
}

gboolean
rook_renewed_put (RookStore *store, guint32 uidvalidity, GError **error)
{
  g_autoptr (GBytes) key = rook_bytes_of_text (KEY), value = NULL;
  RookBatch *batch = rook_batch_new (store);
  guint8 bytes[4];

  rook_put32 (bytes, uidvalidity);
  value = g_bytes_new (bytes, sizeof bytes);
  rook_batch_put (batch, ROOK_PART_META, key, value);
  rook_batch_reserve (batch, 0, TRUE, NULL); /* on a full disk too: what is refused here the commit refuses */
  return rook_store_commit_wait (store, batch, NULL, error);
}

void
rook_mail_log_renewed (RookMail *mail, const char *partition, guint32 uidvalidity, const char *reason)
{
  g_autofree char *text = g_strdup_printf ("%u", uidvalidity);

  rook_log_event (rook_server_get_log (mail->server), ROOK_LOG_WARNING, "mailbox.partition-renewed", "partition",
                  partition, "uidvalidity", text, "reason", reason, "message",
                  "clients read its mailboxes anew, since what they keep of them may be wrong", NULL);
}

guint32
rook_mail_get_renewed (RookMail *mail, const char *name)
{
  RookPartition *partition = rook_mail_find_partition (mail, name);

  return partition != NULL ? __atomic_load_n (&partition->renewed, __ATOMIC_RELAXED) : 0;
}

/* --- rookctl store renew -------------------------------------------------------------------------------------------------- */

typedef struct {
  RookMail *mail; /* (unowned) */
  RookPartition *partition;
  RookControlCall *call;
} Renew;

/* On a pool thread. */
static void
renew_work (gpointer data)
{
  g_autofree Renew *renew = data;
  RookStore *store = rook_partition_get_store (renew->partition);
  guint32 uidvalidity = rook_mail_next_uidvalidity (renew->mail);
  g_autoptr (GError) error = NULL;

  if (rook_renewed_put (store, uidvalidity, &error))
    {
      rook_mail_log_renewed (renew->mail, renew->partition->name, uidvalidity, "rookctl store renew");
      rook_control_call_done (renew->call,
                              g_variant_new_printf ("from the next start its mailboxes have the UIDVALIDITY %u, or a "
                                                    "higher one",
                                                    uidvalidity));
    }
  else
    rook_control_call_fail (renew->call, "%s", error->message);
  rook_mail_end_blocking (renew->mail);
}

static void
run_renew (gpointer data, RookControlCall *call, const char *const *arguments)
{
  RookMail *mail = data;
  RookPartition *partition = rook_mail_find_partition (mail, arguments[0]);
  Renew *renew;

  if (partition == NULL)
    rook_control_call_fail (call, "there is no partition %s", arguments[0]);
  else if (!rook_mail_begin_blocking (mail))
    rook_control_call_fail (call, "the server stops");
  else if (rook_partition_get_store (partition) == NULL)
    {
      rook_mail_end_blocking (mail);
      rook_control_call_fail (call, "partition %s is not open: `rookctl store list` says why", arguments[0]);
    }
  else
    {
      renew = g_new (Renew, 1);
      *renew = (Renew){ mail, partition, call };
      if (rook_pool_run (rook_server_get_pool (mail->server), 0, renew_work, NULL, renew))
        return;
      rook_mail_end_blocking (mail);
      g_free (renew);
      rook_control_call_fail (call, "too much to do: try again later");
    }
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
rook_mail_add_renew (RookMail *mail)
{
  RookControl *control = rook_server_get_control (mail->server);

  if (control != NULL)
    rook_control_add (control, &renew_verb, mail);
}
