/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One page of a mailbox brought to another partition: its records, with ids of that store for the bodies they name, which are
 * written there in the same batch. A few megabytes at a time; what is there already keeps its ids.
 */
#include "mailbox/move.h"

#define BATCH_BYTES (4 * 1024 * 1024) /* of bodies: then what there is of the page is written */
#define MAX_TURNS 3 /* readings of a page of which a body was purged meanwhile, before that is damage */

typedef struct {
  RookMailbox *mailbox; /* (owned) */
  RookPlace *from, *to; /* (owned) */
  guint number;
  gboolean is_there; /* something of it */
  guint turns;
  RookPage *source;     /* (owned) (nullable) as it is; */
  RookPage *known;      /* (owned) (nullable) as it was when it was copied before; */
  RookPage *page;       /* (owned) (nullable) as it will be there */
  RookBatch *batch;     /* (owned) (nullable) */
  guint64 bytes;        /* in it */
  RookRecord record;    /* the one that it is at */
  GBytes *body, *cache; /* (nullable) its */
  RookPageMoved done;
  gpointer data;
} PageMove;

static void copy_records (PageMove *move);
static void begin_turn (PageMove *move);

static void
clear_turn (PageMove *move)
{
  g_clear_pointer (&move->source, rook_page_unref);
  g_clear_pointer (&move->known, rook_page_unref);
  g_clear_pointer (&move->page, rook_page_unref);
  g_clear_pointer (&move->batch, rook_batch_free);
  g_clear_pointer (&move->from, rook_place_unref);
  g_clear_pointer (&move->body, g_bytes_unref);
  g_clear_pointer (&move->cache, g_bytes_unref);
  move->bytes = 0;
}

/* @error: (transfer full) (nullable) ours */
static void
finish (PageMove *move, GError *error)
{
  g_autoptr (GError) ours = error;

  move->done (ours == NULL ? move->page : NULL, ours, move->data);
  clear_turn (move);
  rook_place_unref (move->to);
  rook_mailbox_unref (move->mailbox);
  g_free (move);
}

static void
fail_damaged (PageMove *move, const RookPlace *place, const char *reason)
{
  g_autofree char *number = g_strdup_printf ("%u", move->number);

  rook_log_event (rook_server_get_log (move->mailbox->mail->server), ROOK_LOG_ERROR, "mailbox.damaged", "id",
                  move->mailbox->id, "partition", place->partition->name, "page", number, "reason", reason, NULL);
  finish (move, g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_CORRUPT, "the stored mailbox is damaged"));
}

static void
fail_store (PageMove *move, const GError *error)
{
  finish (move, rook_mail_error_from_store (move->mailbox->mail, error));
}

/* --- bodies ----------------------------------------------------------------------------------------------------- */

static void
others_settled (guint64 position G_GNUC_UNUSED, const GError *error, gpointer data)
{
  if (error != NULL)
    fail_store (data, error);
  else
    begin_turn (data);
}

/* The page is read again once all that was in flight is settled, what has purged the body too: an empty batch comes after it. */
static void
take_another_turn (PageMove *move)
{
  RookStore *store = move->from->store;

  clear_turn (move);
  rook_store_commit (store, rook_batch_new (store), others_settled, move);
}

/* One that was purged since the page was read is not there: then it is read again. */
static void
fail_body (PageMove *move, const GError *error)
{
  GError *ours = rook_mailbox_make_read_error (move->mailbox, move->record.uid, error);

  if (!g_error_matches (ours, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_EXPUNGED))
    finish (move, ours);
  else if (++move->turns == MAX_TURNS)
    {
      g_error_free (ours);
      rook_mailbox_tell_damage (move->mailbox, move->record.uid, "the body of an expunged message is missing");
      finish (move, g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_CORRUPT, "the stored mailbox is damaged"));
    }
  else
    {
      g_error_free (ours);
      take_another_turn (move);
    }
}

static void
body_read (GBytes *bytes, const GError *error, gpointer data)
{
  PageMove *move = data;

  if (error != NULL)
    {
      fail_body (move, error);
      return;
    }
  move->body = g_bytes_ref (bytes);
  copy_records (move);
}

static void
parse_body (gpointer data)
{
  PageMove *move = data;
  g_autoptr (RookMime) mime = rook_mime_parse (move->body);

  move->cache = rook_mime_to_cache (mime);
}

static void
body_parsed (RookPoolOutcome outcome, gpointer data)
{
  if (outcome == ROOK_POOL_RAN)
    copy_records (data);
  else
    finish (data, g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE, "the server is closing"));
}

/* Its structure may be gone after a crash, and is made again. */
static void
cache_read (GBytes *bytes, const GError *error G_GNUC_UNUSED, gpointer data)
{
  PageMove *move = data;

  if (bytes != NULL)
    {
      move->cache = g_bytes_ref (bytes);
      copy_records (move);
    }
  else if (!rook_pool_run (rook_server_get_pool (move->mailbox->mail->server), 0, parse_body, body_parsed, move))
    finish (move, g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_TEMPORARY, "too busy, try again later"));
}

/* %FALSE: it comes later. */
static gboolean
have_body (PageMove *move)
{
  RookStore *store = move->from->store;

  if (move->body == NULL)
    move->body = rook_store_try_read (store, move->record.blob, 0, G_MAXSIZE);
  if (move->body == NULL)
    {
      rook_store_read (store, move->record.blob, 0, G_MAXSIZE, body_read, move);
      return FALSE;
    }
  if (move->cache == NULL)
    move->cache = rook_store_try_read (store, move->record.cache, 0, G_MAXSIZE);
  if (move->cache == NULL)
    rook_store_read (store, move->record.cache, 0, G_MAXSIZE, cache_read, move);
  return move->cache != NULL;
}

/* Under the content keys that a delivery there would give them. */
static void
add_bodies (PageMove *move)
{
  RookRecord *record = &move->record;
  g_autoptr (GBytes) body_key = rook_content_key (record->guid, 'b'), label = NULL;
  g_autoptr (GBytes) cache_key = rook_content_key (record->guid, 'c');
  g_autoptr (RookEntry) entry = rook_mailbox_ref_entry (move->mailbox);

  label = rook_make_label (entry, entry->uidvalidity, record);
  record->blob = rook_batch_blob (move->batch, ROOK_BLOB_MAIL, body_key, label, move->body);
  record->cache = rook_batch_blob (move->batch, ROOK_BLOB_CACHE, cache_key, label, move->cache);
  move->bytes += g_bytes_get_size (move->body) + g_bytes_get_size (move->cache);
  g_clear_pointer (&move->body, g_bytes_unref);
  g_clear_pointer (&move->cache, g_bytes_unref);
}

/* --- records ---------------------------------------------------------------------------------------------------- */

static void
release_known (PageMove *move, const RookRecord *known)
{
  if ((known->flags & ROOK_RECORD_PURGED) != 0)
    return;
  rook_batch_release (move->batch, known->blob);
  rook_batch_release (move->batch, known->cache);
}

/* The next record, as it will be there. %FALSE: its body comes later. */
static gboolean
copy_record (PageMove *move)
{
  guint slot = move->page->n;
  gboolean is_known = move->known != NULL && slot < move->known->n;
  RookRecord *record = &move->record, known;

  rook_record_decode (rook_page_record (move->source, slot), record);
  if (is_known)
    rook_record_decode (rook_page_record (move->known, slot), &known);
  if ((record->flags & ROOK_RECORD_PURGED) != 0)
    {
      if (is_known)
        release_known (move, &known);
      record->blob = record->cache = 0;
    }
  else if (is_known)
    {
      record->blob = known.blob;
      record->cache = known.cache;
    }
  else if (have_body (move))
    add_bodies (move);
  else
    return FALSE;
  rook_page_set (move->page, slot, record);
  return TRUE;
}

static void
batch_done (guint64 position G_GNUC_UNUSED, const GError *error, gpointer data)
{
  PageMove *move = data;

  move->is_there |= error == NULL;
  if (error != NULL)
    fail_store (move, error);
  else if (move->page->n < move->source->n)
    copy_records (move);
  else
    finish (move, NULL);
}

/* What was known of records behind those copied so far stays: the page never becomes shorter. */
static GBytes *
page_value (PageMove *move)
{
  guint n = move->page->n;
  gsize length = ROOK_PAGE_HEAD + (gsize) n * ROOK_RECORD_SIZE;
  GByteArray *value = g_byte_array_new ();

  g_byte_array_append (value, move->page->data, (guint) length);
  if (move->known != NULL && move->known->n > n)
    g_byte_array_append (value, rook_page_record (move->known, n), (move->known->n - n) * ROOK_RECORD_SIZE);
  return g_byte_array_free_to_bytes (value);
}

static void
write_batch (PageMove *move)
{
  g_autoptr (GBytes) key = rook_page_key (move->mailbox->id, move->number), value = page_value (move);
  g_autoptr (GError) error = NULL;

  rook_batch_put (move->batch, ROOK_PART_PAGES, key, value);
  move->bytes = 0;
  if (rook_batch_reserve (move->batch, 0, FALSE, &error))
    rook_store_commit (move->to->store, g_steal_pointer (&move->batch), batch_done, move);
  else
    fail_store (move, error);
}

static void
copy_records (PageMove *move)
{
  if (rook_mail_is_closing (move->mailbox->mail))
    {
      finish (move, g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE, "the server is closing"));
      return;
    }
  if (move->batch == NULL)
    move->batch = rook_batch_new (move->to->store);
  while (move->page->n < move->source->n && move->bytes < BATCH_BYTES)
    if (!copy_record (move))
      return;
  write_batch (move);
}

/* --- pages ------------------------------------------------------------------------------------------------------ */

static void
begin_records (PageMove *move)
{
  for (guint i = 0; move->known != NULL && i < move->known->n; i++)
    if (i >= move->source->n || rook_page_uid (move->known, i) != rook_page_uid (move->source, i))
      {
        fail_damaged (move, move->to, "a page has been copied, and is another");
        return;
      }
  move->page = rook_page_new (ROOK_PAGE_RECORDS);
  copy_records (move);
}

static void
known_read (GBytes *value, const GError *error, gpointer data)
{
  PageMove *move = data;

  move->known = value != NULL ? rook_page_from_bytes (value, rook_page_count_records (value)) : NULL;
  if (error != NULL)
    fail_store (move, error);
  else if (value != NULL && move->known == NULL)
    fail_damaged (move, move->to, "a page does not read");
  else
    begin_records (move);
}

static void
source_there (PageMove *move)
{
  g_autoptr (GBytes) key = rook_page_key (move->mailbox->id, move->number);

  if (move->is_there)
    rook_store_get (move->to->store, ROOK_PART_PAGES, key, known_read, move);
  else
    begin_records (move);
}

static void
source_read (GBytes *value, const GError *error, gpointer data)
{
  PageMove *move = data;

  move->source = value != NULL ? rook_page_from_bytes (value, rook_page_count_records (value)) : NULL;
  if (error != NULL)
    fail_store (move, error);
  else if (move->source == NULL)
    fail_damaged (move, move->from, value == NULL ? "a page is missing" : "a page does not read");
  else
    source_there (move);
}

/* From memory, if it is there; else past it: nobody else has asked for it. */
static void
begin_turn (PageMove *move)
{
  RookMailbox *mailbox = move->mailbox;
  g_autoptr (GBytes) key = rook_page_key (mailbox->id, move->number);
  RookPage *page;

  rook_mutex_lock (&mailbox->lock);
  move->from = rook_place_ref (mailbox->place);
  page = rook_head_page (&mailbox->durable, move->number);
  if (!rook_page_is_hollow (page))
    move->source = rook_page_ref (page);
  rook_mutex_unlock (&mailbox->lock);
  if (move->source != NULL)
    source_there (move);
  else
    rook_store_get (move->from->store, ROOK_PART_PAGES, key, source_read, move);
}

void
rook_page_move (RookMailbox *mailbox, guint number, RookPlace *to, gboolean is_there, RookPageMoved done, gpointer data)
{
  PageMove *move = g_new0 (PageMove, 1);

  *move = (PageMove){ .mailbox = rook_mailbox_ref (mailbox),
                      .to = rook_place_ref (to),
                      .number = number,
                      .is_there = is_there,
                      .done = done,
                      .data = data };
  begin_turn (move);
}
