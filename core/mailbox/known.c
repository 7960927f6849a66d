/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the state store knows of each partition's store: its id, and a position that it has reached. So an empty directory, one of
 * another store and an older state of the right one (a disk that is not mounted, a snapshot) are told from the real thing.
 *
 * Positions are noted when stores are opened and closed, by each checkpoint, and by the first change of a second: what is
 * older than that is refused. Whoever means what is there says so by `rookctl store accept`; its mailboxes then get a
 * new uidvalidity, for uids and modseqs that clients know will be given again.
 */
#include "mailbox/codec.h"
#include "mailbox/mail.h"
#include "mailbox/record.h"

#define ID_PREFIX "partition/"
#define POSITION_PREFIX "position/"
#define NOTE_US G_USEC_PER_SEC          /* between notes while something is written */
#define FAILED_US (60 * G_USEC_PER_SEC) /* before the next, after one that failed */

static GBytes *
make_key (const char *prefix, const char *partition)
{
  g_autofree char *text = g_strconcat (prefix, partition, NULL);

  return rook_bytes_of_text (text);
}

gboolean
rook_known_get (RookStore *state, const char *partition, char **out_id, guint64 *out_position, GError **error)
{
  g_autoptr (GBytes) id_key = make_key (ID_PREFIX, partition), position_key = make_key (POSITION_PREFIX, partition);
  g_autoptr (GBytes) id = NULL, position = NULL;

  if (!rook_store_get_wait (state, ROOK_STATE_META, id_key, &id, error)
      || !rook_store_get_wait (state, ROOK_STATE_META, position_key, &position, error))
    return FALSE;
  *out_id = id != NULL ? g_strndup (g_bytes_get_data (id, NULL), g_bytes_get_size (id)) : NULL;
  *out_position =
      position != NULL && g_bytes_get_size (position) == 8 ? rook_get64 (g_bytes_get_data (position, NULL)) : 0;
  return TRUE;
}

void
rook_known_put (RookBatch *batch, const char *partition, const char *id, guint64 position)
{
  g_autoptr (GBytes) id_key = make_key (ID_PREFIX, partition), position_key = make_key (POSITION_PREFIX, partition);
  g_autoptr (GBytes) id_value = rook_bytes_of_text (id), position_value = NULL;
  guint8 bytes[8];

  rook_put64 (bytes, position);
  position_value = g_bytes_new (bytes, sizeof bytes);
  rook_batch_put (batch, ROOK_STATE_META, id_key, id_value);
  rook_batch_put (batch, ROOK_STATE_META, position_key, position_value);
}

/* (transfer full) (nullable) NULL: the state store knows it all */
static RookBatch *
make_notes (RookMail *mail, RookStore *state)
{
  RookBatch *batch = rook_batch_new (state);
  guint n = 0;

  for (guint i = 0; i < mail->partitions->len; i++)
    {
      RookPartition *partition = g_ptr_array_index (mail->partitions, i);
      RookStore *store = rook_partition_get_store (partition);
      guint64 position = store != NULL ? rook_store_get_position (store) : 0;

      if (position <= __atomic_load_n (&partition->noted, __ATOMIC_RELAXED))
        continue;
      rook_known_put (batch, partition->name, rook_store_get_id (store), position);
      __atomic_store_n (&partition->noted, position, __ATOMIC_RELAXED);
      n++;
    }
  if (n > 0)
    rook_batch_reserve (batch, 0, TRUE, NULL); /* on a full disk too: what is refused here the commit refuses */
  else
    g_clear_pointer (&batch, rook_batch_free);
  return batch;
}

static void
positions_noted (guint64 position G_GNUC_UNUSED, const GError *error, gpointer data)
{
  RookMail *mail = data;

  if (error == NULL)
    return;
  for (guint i = 0; i < mail->partitions->len; i++) /* all are written anew by the next */
    __atomic_store_n (&((RookPartition *) g_ptr_array_index (mail->partitions, i))->noted, 0, __ATOMIC_RELAXED);
  __atomic_store_n (&mail->noted_us, g_get_monotonic_time () + FAILED_US, __ATOMIC_RELAXED);
  rook_log_message (rook_server_get_log (mail->server), ROOK_LOG_WARNING, "mailbox.store-failed",
                    "how far partitions are can't be noted: %s", error->message);
}

void
rook_mail_note_positions (RookMail *mail)
{
  RookStore *state = rook_mail_get_state (mail);
  RookBatch *batch = state != NULL ? make_notes (mail, state) : NULL;
  g_autoptr (GError) error = NULL;

  if (batch != NULL && !rook_store_commit_wait (state, batch, NULL, &error))
    positions_noted (0, error, mail);
}

void
rook_mail_note_progress (RookMail *mail)
{
  gint64 now = g_get_monotonic_time (), last = __atomic_load_n (&mail->noted_us, __ATOMIC_RELAXED);
  RookStore *state = rook_mail_get_state (mail);
  RookBatch *batch;

  if (now - last < NOTE_US || state == NULL
      || !__atomic_compare_exchange_n (&mail->noted_us, &last, now, FALSE, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    return;
  batch = make_notes (mail, state);
  if (batch != NULL)
    rook_store_commit (state, batch, positions_noted, mail);
}
