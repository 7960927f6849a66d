/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clearing away what a partition holds of a mailbox that is not there any more, or not whole: a page at a time, each a batch of
 * its own, from the last to the first, so that a crash leaves a shorter one that the next start goes on with. The header goes
 * last. A copy that was never finished has no header: its pages are counted first.
 *
 * Of what was deleted the tombstone is told then that nothing is left; what moves leave is sweep.c's.
 */
#include "mailbox/codec.h"
#include "mailbox/change.h"

struct RookClearing {
  RookMail *mail;   /* (unowned) */
  RookStore *store; /* (unowned) */
  char *id;
  GPtrArray *users; /* (nullable) (element-type utf8) whose \Seen goes too */
  guint left;       /* pages */
  guint n_blocks;   /* of summaries */
  guint slice;      /* pages that it may clear yet */
  gboolean is_counted;
  RookClearDone done;
  gpointer data;
};

/* Ends the slice. */
static void
end_slice (RookClearing *clearing, gboolean more, const GError *error)
{
  clearing->done (clearing, more, error, clearing->data);
}

void
rook_clearing_free (RookClearing *clearing)
{
  g_free (clearing->id);
  g_clear_pointer (&clearing->users, g_ptr_array_unref);
  g_free (clearing);
}

/* Whether the last step went well and there may be another. */
static gboolean
may_go_on (RookClearing *clearing, const GError *error)
{
  g_autoptr (GError) ours = NULL;

  if (error != NULL)
    ours = rook_mail_error_from_store (clearing->mail, error);
  else if (rook_mail_is_closing (clearing->mail))
    ours = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE, "the server is closing");
  if (ours != NULL)
    end_slice (clearing, FALSE, ours);
  return ours == NULL;
}

/* On a full disk there is room kept for that. */
static void
commit (RookClearing *clearing, RookBatch *batch, RookStoreCommitCallback done)
{
  g_autoptr (GError) error = NULL;

  if (rook_batch_reserve (batch, 0, TRUE, &error))
    {
      rook_store_commit (clearing->store, batch, done, clearing);
      return;
    }
  rook_batch_free (batch);
  may_go_on (clearing, error);
}

static void read_page (RookClearing *clearing);

static void
all_cleared (guint64 position G_GNUC_UNUSED, const GError *error, gpointer data)
{
  RookClearing *clearing = data;

  if (may_go_on (clearing, error))
    end_slice (clearing, FALSE, NULL);
}

static void
clear_rest (RookClearing *clearing)
{
  RookBatch *batch = rook_batch_new (clearing->store);
  g_autoptr (GBytes) key = rook_bytes_of_text (clearing->id);

  for (guint i = 0; i < clearing->n_blocks; i++)
    {
      g_autoptr (GBytes) block = rook_page_key (clearing->id, i);

      rook_batch_delete (batch, ROOK_PART_SUMMARIES, block);
    }
  for (guint i = 0; clearing->users != NULL && i < clearing->users->len; i++)
    {
      g_autoptr (GBytes) seen = rook_seen_key (clearing->id, g_ptr_array_index (clearing->users, i));

      rook_batch_delete (batch, ROOK_PART_SEEN, seen);
    }
  rook_batch_delete (batch, ROOK_PART_HEADERS, key);
  rook_batch_delete (batch, ROOK_PART_KEYWORDS, key);
  rook_batch_delete (batch, ROOK_PART_ENTRIES, key);
  commit (clearing, batch, all_cleared);
}

static void
page_cleared (guint64 position G_GNUC_UNUSED, const GError *error, gpointer data)
{
  RookClearing *clearing = data;

  if (may_go_on (clearing, error))
    read_page (clearing);
}

/* As many records as there are: the last page of what was not finished may be shorter than its header says. */
static void
release_bodies (RookBatch *batch, GBytes *value)
{
  guint n = rook_page_count_records (value);
  g_autoptr (RookPage) page = rook_page_from_bytes (value, n);

  for (guint i = 0; page != NULL && i < page->n; i++)
    {
      RookRecord record;

      rook_record_decode (rook_page_record (page, i), &record);
      if ((record.flags & ROOK_RECORD_PURGED) != 0)
        continue;
      rook_batch_release (batch, record.blob);
      rook_batch_release (batch, record.cache);
    }
}

static void
page_read (GBytes *value, const GError *error, gpointer data)
{
  RookClearing *clearing = data;
  g_autoptr (GBytes) key = NULL;
  RookBatch *batch;

  if (!may_go_on (clearing, error))
    return;
  key = rook_page_key (clearing->id, --clearing->left);
  if (value == NULL)
    {
      read_page (clearing);
      return;
    }
  clearing->slice--;
  batch = rook_batch_new (clearing->store);
  release_bodies (batch, value);
  rook_batch_delete (batch, ROOK_PART_PAGES, key);
  commit (clearing, batch, page_cleared);
}

static void
read_page (RookClearing *clearing)
{
  g_autoptr (GBytes) key = NULL;

  if (clearing->left == 0)
    {
      clear_rest (clearing);
      return;
    }
  if (clearing->slice == 0)
    {
      end_slice (clearing, TRUE, NULL);
      return;
    }
  key = rook_page_key (clearing->id, clearing->left - 1);
  rook_store_get (clearing->store, ROOK_PART_PAGES, key, page_read, clearing);
}

/* --- how much there is ------------------------------------------------------------------------------------------ */

static void
page_counted (GBytes *value, const GError *error, gpointer data)
{
  RookClearing *clearing = data;
  g_autoptr (GBytes) key = NULL;

  if (!may_go_on (clearing, error))
    return;
  if (value == NULL)
    {
      clearing->is_counted = TRUE;
      read_page (clearing);
      return;
    }
  key = rook_page_key (clearing->id, ++clearing->left);
  rook_store_get (clearing->store, ROOK_PART_PAGES, key, page_counted, clearing);
}

/* Pages are written from the first to the last, and cleared the other way. */
static void
count_pages (RookClearing *clearing)
{
  g_autoptr (GBytes) key = rook_page_key (clearing->id, 0);

  rook_store_get (clearing->store, ROOK_PART_PAGES, key, page_counted, clearing);
}

static void
header_read (GBytes *value, const GError *error, gpointer data)
{
  RookClearing *clearing = data;
  RookHeader header;

  if (!may_go_on (clearing, error))
    return;
  if (value == NULL || !rook_header_decode (value, &header))
    {
      count_pages (clearing);
      return;
    }
  clearing->left = (header.n_records + ROOK_PAGE_RECORDS - 1) / ROOK_PAGE_RECORDS;
  clearing->n_blocks = header.has_summaries ? rook_summary_count_blocks (clearing->left) : 0;
  clearing->is_counted = TRUE;
  read_page (clearing);
}

/* Every batch that was in flight when the mailbox went is done now: this one came after them. */
static void
barrier_passed (guint64 position G_GNUC_UNUSED, const GError *error, gpointer data)
{
  RookClearing *clearing = data;
  g_autoptr (GBytes) key = rook_bytes_of_text (clearing->id);

  if (may_go_on (clearing, error))
    rook_store_get (clearing->store, ROOK_PART_HEADERS, key, header_read, clearing);
}

RookClearing *
rook_clearing_new (RookMail *mail, RookStore *store, const char *id, GPtrArray *users)
{
  RookClearing *clearing = g_new0 (RookClearing, 1);

  *clearing = (RookClearing){
    .mail = mail, .store = store, .id = g_strdup (id), .users = users != NULL ? g_ptr_array_ref (users) : NULL
  };
  return clearing;
}

void
rook_clearing_run (RookClearing *clearing, const RookEntry *entry, guint max_pages, RookClearDone done, gpointer data)
{
  g_autoptr (GBytes) key = rook_bytes_of_text (clearing->id), copy = NULL;
  RookBatch *batch;

  clearing->slice = max_pages;
  clearing->done = done;
  clearing->data = data;
  if (clearing->is_counted)
    {
      read_page (clearing);
      return;
    }
  copy = rook_entry_encode (entry);
  batch = rook_batch_new (clearing->store);
  rook_batch_put (batch, ROOK_PART_ENTRIES, key, copy);
  commit (clearing, batch, barrier_passed);
}

/* --- of a tombstone --------------------------------------------------------------------------------------------- */

typedef struct {
  RookMail *mail;       /* (unowned) */
  RookEntry *tombstone; /* (owned) */
} Burying;

static void
bury_end (Burying *burying, const GError *error)
{
  if (error != NULL && !rook_mail_is_closing (burying->mail))
    rook_log_event (rook_server_get_log (burying->mail->server), ROOK_LOG_WARNING, "mailbox.clear-later", "id",
                    burying->tombstone->id, "partition", burying->tombstone->partition, "reason", error->message, NULL);
  rook_mutex_lock (&burying->mail->lock);
  g_hash_table_remove (burying->mail->clearing, burying->tombstone->id);
  rook_mutex_unlock (&burying->mail->lock);
  rook_entry_unref (burying->tombstone);
  g_free (burying);
}

static void
tombstone_told (guint64 position G_GNUC_UNUSED, const GError *error, gpointer data)
{
  Burying *burying = data;
  g_autoptr (GError) ours = error != NULL ? rook_mail_error_from_store (burying->mail, error) : NULL;

  if (ours == NULL)
    {
      rook_mutex_lock (&burying->mail->lock);
      rook_names_put (burying->mail, burying->tombstone);
      rook_mutex_unlock (&burying->mail->lock);
    }
  bury_end (burying, ours);
}

/* Tombstones do not change otherwise, but for what moves have left, which is cleared once more then. */
static void
tell_tombstone (Burying *burying)
{
  RookStore *state = rook_mail_get_state (burying->mail);
  RookEntry *cleared = rook_entry_new (burying->tombstone);
  g_autoptr (GBytes) key = rook_bytes_of_text (cleared->id), value = NULL;
  RookBatch *batch = rook_batch_new (state);

  cleared->cleared = TRUE;
  rook_entry_derive (cleared);
  rook_entry_unref (burying->tombstone);
  burying->tombstone = cleared;
  value = rook_entry_encode (cleared);
  rook_batch_put (batch, ROOK_STATE_MAILBOXES, key, value);
  rook_batch_reserve (batch, 0, TRUE, NULL); /* what that refuses the commit refuses */
  rook_store_commit (state, batch, tombstone_told, burying);
}

static void
contents_cleared (RookClearing *clearing, gboolean more G_GNUC_UNUSED, const GError *error, gpointer data)
{
  Burying *burying = data;

  if (error == NULL)
    tell_tombstone (burying);
  else
    bury_end (burying, error);
  rook_clearing_free (clearing);
}

static gboolean
begin_burying (RookMail *mail, const char *id)
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
  Burying *burying;

  if (store == NULL || !begin_burying (mail, tombstone->id))
    return; /* the next start does it, or somebody is at it */
  burying = g_new (Burying, 1);
  *burying = (Burying){ mail, rook_entry_ref (tombstone) };
  rook_clearing_run (rook_clearing_new (mail, store, tombstone->id, NULL), tombstone, G_MAXUINT, contents_cleared,
                     burying);
}
