/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading messages: bytes of the body, and what is known of its structure, from the cache or else from the body.
 */
#include "mailbox/box.h"

#define RENEWAL_ROOM 1024 /* bytes, for what is written beside a structure */

/* --- bytes ------------------------------------------------------------------------------------------------------ */

typedef struct {
  RookView *view;   /* (owned) keeps the mailbox open */
  RookPlace *place; /* (owned) (nullable) where it reads */
  guint32 seq, uid;
  guint64 offset;
  gsize length;
  RookViewReadCallback callback;
  gpointer data;
  GBytes *bytes; /* (owned) (nullable) */
  GError *error;
} Reading;

static void
reading_free (gpointer data)
{
  Reading *reading = data;

  rook_view_unref (reading->view);
  g_clear_pointer (&reading->place, rook_place_unref);
  g_clear_pointer (&reading->bytes, g_bytes_unref);
  g_clear_error (&reading->error);
  g_free (reading);
}

static void
answer_reading (gpointer data)
{
  Reading *reading = data;

  reading->callback (reading->bytes, reading->error, reading->data);
}

static void
reading_explained (const GError *error, gpointer data)
{
  Reading *reading = data;

  reading->callback (NULL, error, reading->data);
  reading_free (reading);
}

static void
bytes_read (GBytes *bytes, const GError *error, gpointer data)
{
  Reading *reading = data;

  if (error != NULL)
    {
      rook_mailbox_explain_read (reading->view->mailbox, reading->place->store, reading->uid, error, reading_explained,
                                 reading);
      return;
    }
  reading->callback (bytes, NULL, reading->data);
  reading_free (reading);
}

/* Finds the record, or sets @error to why there is none. %FALSE: @callback comes. */
static gboolean
find_record (RookView *view, guint32 seq, RookRecord *out, RookPlace **out_place, GError **error,
             RookMailCallback callback, gpointer data)
{
  GError *why = rook_view_find_error (view);
  RookFound found = why == NULL ? rook_view_find_record (view, seq, out, out_place, callback, data) : ROOK_FOUND_NOT;

  if (found == ROOK_FOUND_NOT && why == NULL)
    why = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_EXPUNGED, "the message is gone");
  *error = why;
  return found != ROOK_FOUND_LATER;
}

static void read_record (Reading *reading);

static void
read_filled (const GError *error, gpointer data)
{
  Reading *reading = data;

  if (error == NULL)
    {
      read_record (reading);
      return;
    }
  reading->callback (NULL, error, reading->data);
  reading_free (reading);
}

static void
read_record (Reading *reading)
{
  RookView *view = reading->view;
  RookRecord record;

  if (!find_record (view, reading->seq, &record, &reading->place, &reading->error, read_filled, reading))
    return;
  if (reading->error == NULL)
    {
      reading->uid = record.uid;
      reading->bytes = rook_store_try_read (reading->place->store, record.blob, reading->offset, reading->length);
      if (reading->bytes == NULL)
        {
          rook_store_read (reading->place->store, record.blob, reading->offset, reading->length, bytes_read, reading);
          return;
        }
    }
  rook_worker_invoke (view->worker, answer_reading, reading, reading_free);
}

void
rook_view_read (RookView *view, guint32 seq, guint64 offset, gsize length, RookViewReadCallback callback, gpointer data)
{
  Reading *reading = g_new0 (Reading, 1);

  *reading = (Reading){
    .view = rook_view_ref (view), .seq = seq, .offset = offset, .length = length, .callback = callback, .data = data
  };
  read_record (reading);
}

/* --- structure -------------------------------------------------------------------------------------------------- */

typedef struct {
  RookView *view;   /* (owned) */
  RookPlace *place; /* (owned) (nullable) where it reads */
  guint32 seq, uid;
  RookBlobId body, cache;
  gboolean is_spoilt; /* the cache: it is made again */
  RookViewMimeCallback callback;
  gpointer data;
  GBytes *message; /* (owned) (nullable) to be parsed */
  RookMime *mime;  /* (owned) (nullable) */
  GError *error;
} Looking;

static void
looking_free (gpointer data)
{
  Looking *looking = data;

  rook_view_unref (looking->view);
  g_clear_pointer (&looking->place, rook_place_unref);
  g_clear_pointer (&looking->message, g_bytes_unref);
  g_clear_pointer (&looking->mime, rook_mime_unref);
  g_clear_error (&looking->error);
  g_free (looking);
}

static void
answer_looking (gpointer data)
{
  Looking *looking = data;

  looking->callback (looking->mime, looking->error, looking->data);
}

/* --- a structure that does not read is made again ----------------------------------------------------------------- */

/* Lost with a crash, or damaged: nothing is lost by it but time. */
static void
tell_spoilt (Looking *looking)
{
  RookMailbox *mailbox = looking->view->mailbox;
  g_autoptr (RookEntry) entry = rook_mailbox_ref_entry (mailbox);
  g_autofree char *uid = g_strdup_printf ("%u", looking->uid);
  gboolean told;

  rook_mutex_lock (&mailbox->lock);
  told = mailbox->has_told_spoilt;
  mailbox->has_told_spoilt = TRUE;
  rook_mutex_unlock (&mailbox->lock);
  if (!told)
    rook_log_event (rook_server_get_log (mailbox->mail->server), ROOK_LOG_WARNING, "mailbox.structure-spoilt",
                    "mailbox", entry->name, "id", mailbox->id, "partition", looking->place->partition->name, "uid", uid,
                    NULL);
}

/* With the lock held: a batch that puts @cache in the place of what is spoilt. (nullable): there is no room */
static RookBatch *
make_renewal (Looking *looking, GBytes *cache, const RookRecord *before, RookRecord *after)
{
  RookMailbox *mailbox = looking->view->mailbox;
  g_autoptr (GBytes) label = rook_make_label (mailbox->entry, rook_mailbox_get_uidvalidity (mailbox), before);
  RookBatch *batch = rook_batch_new (looking->place->store);

  *after = *before;
  /* Without a content key: what is spoilt may be shared, and would be again. */
  after->cache = rook_batch_blob (batch, ROOK_BLOB_CACHE, NULL, label, cache);
  rook_batch_release (batch, before->cache);
  if (rook_batch_reserve (batch, RENEWAL_ROOM, FALSE, NULL))
    return batch;
  rook_batch_free (batch);
  return NULL;
}

/* Nobody waits for it, and if it can't be done now it will be when the structure is asked for again. */
static void
renew (Looking *looking)
{
  RookMailbox *mailbox = looking->view->mailbox;
  g_autoptr (GBytes) cache = rook_mime_to_cache (looking->mime);
  g_autoptr (RookLocker) locker = rook_locker_new (&mailbox->lock);
  RookRecord before, after;
  RookCommit *commit;
  RookBatch *batch;
  guint page, slot;

  if (mailbox->place != looking->place || !rook_head_get_uid (&mailbox->pending, looking->uid, &before, &page, &slot)
      || before.cache != looking->cache)
    return;
  batch = make_renewal (looking, cache, &before, &after);
  commit = batch != NULL ? rook_commit_begin (mailbox, batch, NULL) : NULL;
  if (commit == NULL)
    return;
  rook_commit_change (commit, page, slot, &before, &after);
  rook_commit_submit (commit, NULL, NULL);
}

static void
parse_message (gpointer data)
{
  Looking *looking = data;

  looking->mime = rook_mime_parse (looking->message);
}

static void
message_parsed (RookPoolOutcome outcome, gpointer data)
{
  Looking *looking = data;

  if (outcome != ROOK_POOL_RAN)
    looking->error = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_TEMPORARY, "too busy, try again later");
  else if (looking->is_spoilt)
    renew (looking);
  answer_looking (looking);
  looking_free (looking);
}

static void
looking_explained (const GError *error, gpointer data)
{
  Looking *looking = data;

  looking->callback (NULL, error, looking->data);
  looking_free (looking);
}

static void
body_read (GBytes *bytes, const GError *error, gpointer data)
{
  Looking *looking = data;
  RookMail *mail = looking->view->mailbox->mail;

  if (error != NULL)
    {
      rook_mailbox_explain_read (looking->view->mailbox, looking->place->store, looking->uid, error, looking_explained,
                                 looking);
      return;
    }
  looking->message = g_bytes_ref (bytes);
  if (rook_pool_run (rook_server_get_pool (mail->server), 0, parse_message, message_parsed, looking))
    return;
  looking->error = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_TEMPORARY, "too busy, try again later");
  answer_looking (looking);
  looking_free (looking);
}

/* A cache blob may be gone after a crash, or of another version: then the message is read. */
static void
cache_read (GBytes *bytes, const GError *error, gpointer data)
{
  Looking *looking = data;

  looking->mime = bytes != NULL ? rook_mime_from_cache (bytes) : NULL;
  if (looking->mime == NULL)
    {
      looking->is_spoilt = bytes != NULL || g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_NOT_FOUND)
                           || g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT);
      if (looking->is_spoilt)
        tell_spoilt (looking);
      rook_store_read (looking->place->store, looking->body, 0, G_MAXSIZE, body_read, looking);
      return;
    }
  answer_looking (looking);
  looking_free (looking);
}

static void look (Looking *looking);

static void
look_filled (const GError *error, gpointer data)
{
  Looking *looking = data;

  if (error == NULL)
    {
      look (looking);
      return;
    }
  looking->callback (NULL, error, looking->data);
  looking_free (looking);
}

static void
look (Looking *looking)
{
  RookView *view = looking->view;
  g_autoptr (GBytes) cached = NULL;
  RookRecord record;

  if (!find_record (view, looking->seq, &record, &looking->place, &looking->error, look_filled, looking))
    return;
  if (looking->error == NULL)
    {
      looking->uid = record.uid;
      looking->body = record.blob;
      looking->cache = record.cache;
      cached = rook_store_try_read (looking->place->store, record.cache, 0, G_MAXSIZE);
      looking->mime = cached != NULL ? rook_mime_from_cache (cached) : NULL;
      if (looking->mime == NULL)
        {
          rook_store_read (looking->place->store, record.cache, 0, G_MAXSIZE, cache_read, looking);
          return;
        }
    }
  rook_worker_invoke (view->worker, answer_looking, looking, looking_free);
}

void
rook_view_get_mime (RookView *view, guint32 seq, RookViewMimeCallback callback, gpointer data)
{
  Looking *looking = g_new0 (Looking, 1);

  *looking = (Looking){ .view = rook_view_ref (view), .seq = seq, .callback = callback, .data = data };
  look (looking);
}
