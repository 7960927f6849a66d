/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clearing away what a deleted mailbox held: a page at a time, each a batch of its own, from the last to the first, so
 * that a crash leaves a shorter mailbox that the next start goes on with. The header goes last; then the tombstone is told
 * that nothing is left.
 */
#include "mailbox/change.h"

typedef struct {
  RookMail *mail; /* (unowned) */
  RookStore *store;
  RookEntry *tombstone; /* (owned) */
  const char *id;       /* its */
  guint left;           /* pages */
  guint n_records;      /* of what is left */
  guint n_blocks;       /* of summaries */
} Clearing;

static void
clearing_free (Clearing *clearing)
{
  rook_mutex_lock (&clearing->mail->lock);
  g_hash_table_remove (clearing->mail->clearing, clearing->id);
  rook_mutex_unlock (&clearing->mail->lock);
  rook_entry_unref (clearing->tombstone);
  g_free (clearing);
}

/* Whether the last step went well and there may be another: else it is over, and the job
 * that makes room, or the next start, goes on with it. */
static gboolean
may_go_on (Clearing *clearing, const GError *error)
{
  if (error == NULL && !rook_mail_is_closing (clearing->mail))
    return TRUE;
  if (error != NULL)
    {
      g_autoptr (GError) ours G_GNUC_UNUSED = rook_mail_error_from_store (clearing->mail, error);

      rook_log_event (rook_server_get_log (clearing->mail->server), ROOK_LOG_WARNING, "mailbox.clear-later", "id",
                      clearing->id, "reason", ours->message, NULL);
    }
  clearing_free (clearing);
  return FALSE;
}

/* It frees space, so it may use the room kept for that. What the reservation refuses the commit refuses. */
static void
commit_clearing (RookStore *store, RookBatch *batch, RookStoreCommitCallback callback, Clearing *clearing)
{
  rook_batch_reserve (batch, 0, TRUE, NULL);
  rook_store_commit (store, batch, callback, clearing);
}

static void read_page (Clearing *clearing);

static void
tombstone_told (guint64 position, const GError *error, gpointer data)
{
  Clearing *clearing = data;

  (void) position;
  if (!may_go_on (clearing, error))
    return;
  rook_mutex_lock (&clearing->mail->lock);
  rook_names_put (clearing->mail, clearing->tombstone);
  rook_mutex_unlock (&clearing->mail->lock);
  clearing_free (clearing);
}

/* Tombstones do not change otherwise: nobody else writes this entry. */
static void
all_cleared (guint64 position, const GError *error, gpointer data)
{
  Clearing *clearing = data;
  RookStore *state = rook_mail_get_state (clearing->mail);
  g_autoptr (GBytes) key = NULL, value = NULL;
  RookEntry *cleared;
  RookBatch *batch;

  (void) position;
  if (!may_go_on (clearing, error))
    return;
  cleared = rook_entry_new (clearing->tombstone);
  cleared->cleared = TRUE;
  rook_entry_derive (cleared);
  rook_entry_unref (clearing->tombstone);
  clearing->tombstone = cleared;
  clearing->id = cleared->id;
  key = rook_bytes_of_text (cleared->id);
  value = rook_entry_encode (cleared);
  batch = rook_batch_new (state);
  rook_batch_put (batch, ROOK_STATE_MAILBOXES, key, value);
  commit_clearing (state, batch, tombstone_told, clearing);
}

static void
clear_rest (Clearing *clearing)
{
  RookBatch *batch = rook_batch_new (clearing->store);
  g_autoptr (GBytes) key = rook_bytes_of_text (clearing->id);

  for (guint i = 0; i < clearing->n_blocks; i++)
    {
      g_autoptr (GBytes) block = rook_page_key (clearing->id, i);

      rook_batch_delete (batch, ROOK_PART_SUMMARIES, block);
    }
  rook_batch_delete (batch, ROOK_PART_HEADERS, key);
  rook_batch_delete (batch, ROOK_PART_KEYWORDS, key);
  rook_batch_delete (batch, ROOK_PART_ENTRIES, key);
  commit_clearing (clearing->store, batch, all_cleared, clearing);
}

static void
page_cleared (guint64 position, const GError *error, gpointer data)
{
  Clearing *clearing = data;

  (void) position;
  if (may_go_on (clearing, error))
    read_page (clearing);
}

static void
page_read (GBytes *value, const GError *error, gpointer data)
{
  Clearing *clearing = data;
  guint n = MIN (clearing->n_records - (clearing->left - 1) * ROOK_PAGE_RECORDS, ROOK_PAGE_RECORDS);
  g_autoptr (RookPage) page = value != NULL ? rook_page_from_bytes (value, n) : NULL;
  g_autoptr (GBytes) key = rook_page_key (clearing->id, --clearing->left);
  RookBatch *batch;

  if (!may_go_on (clearing, error))
    return;
  batch = rook_batch_new (clearing->store);
  for (guint i = 0; page != NULL && i < page->n; i++)
    {
      RookRecord record;

      rook_record_decode (rook_page_record (page, i), &record);
      if ((record.flags & ROOK_RECORD_PURGED) != 0)
        continue;
      rook_batch_release (batch, record.blob);
      rook_batch_release (batch, record.cache);
    }
  rook_batch_delete (batch, ROOK_PART_PAGES, key);
  commit_clearing (clearing->store, batch, page_cleared, clearing);
}

static void
read_page (Clearing *clearing)
{
  g_autoptr (GBytes) key = NULL;

  if (clearing->left == 0)
    {
      clear_rest (clearing);
      return;
    }
  key = rook_page_key (clearing->id, clearing->left - 1);
  rook_store_get (clearing->store, ROOK_PART_PAGES, key, page_read, clearing);
}

static void
header_read (GBytes *value, const GError *error, gpointer data)
{
  Clearing *clearing = data;
  RookHeader header;

  if (!may_go_on (clearing, error))
    return;
  if (value != NULL && rook_header_decode (value, &header))
    {
      clearing->n_records = header.n_records;
      clearing->left = (header.n_records + ROOK_PAGE_RECORDS - 1) / ROOK_PAGE_RECORDS;
      clearing->n_blocks = header.has_summaries ? rook_summary_count_blocks (clearing->left) : 0;
    }
  read_page (clearing);
}

/* Every batch that was in flight when the mailbox went is done now: this one came after them. */
static void
barrier_passed (guint64 position, const GError *error, gpointer data)
{
  Clearing *clearing = data;
  g_autoptr (GBytes) key = rook_bytes_of_text (clearing->id);

  (void) position;
  if (may_go_on (clearing, error))
    rook_store_get (clearing->store, ROOK_PART_HEADERS, key, header_read, clearing);
}

static gboolean
begin_clearing (RookMail *mail, const char *id)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->lock);

  return g_hash_table_add (mail->clearing, g_strdup (id));
}

void
rook_mail_clear_rest (RookMail *mail)
{
  g_autoptr (GPtrArray) buried = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_entry_unref);
  GHashTableIter iter;
  gpointer value;

  rook_mutex_lock (&mail->lock);
  g_hash_table_iter_init (&iter, mail->names->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (((RookEntry *) value)->deleted && !((RookEntry *) value)->cleared)
      g_ptr_array_add (buried, rook_entry_ref (value));
  rook_mutex_unlock (&mail->lock);
  for (guint i = 0; i < buried->len; i++)
    rook_mail_clear_contents (mail, g_ptr_array_index (buried, i));
}

void
rook_mail_clear_contents (RookMail *mail, RookEntry *tombstone)
{
  RookStore *store = rook_mail_get_store (mail, tombstone->partition, NULL);
  g_autoptr (GBytes) key = rook_bytes_of_text (tombstone->id), copy = rook_entry_encode (tombstone);
  Clearing *clearing;
  RookBatch *batch;

  if (store == NULL || !begin_clearing (mail, tombstone->id))
    return; /* the next start does it, or somebody is at it */
  clearing = g_new0 (Clearing, 1);
  *clearing = (Clearing){ .mail = mail, .store = store, .tombstone = rook_entry_ref (tombstone), .id = tombstone->id };
  batch = rook_batch_new (store);
  rook_batch_put (batch, ROOK_PART_ENTRIES, key, copy);
  commit_clearing (store, batch, barrier_passed, clearing);
}
