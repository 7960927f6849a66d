/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A partition that has lost changes of which clients were told (its store says so, or an older state of it was accepted): numbers
 * that were given will be given again, and what clients have kept under them is wrong. So all its mailboxes get a new
 * uidvalidity at once: one number in the partition's store below which none counts. A header takes it over when it next changes.
 */
#include "mailbox/codec.h"
#include "mailbox/mail.h"
#include "mailbox/record.h"

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
