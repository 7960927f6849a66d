/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copy and move: records into another mailbox, sharing bodies where both lie in one store. What it takes of the source is
 * brought together here, and written by copy-write.c.
 */
#include "mailbox/copy.h"

#define MAX_COPIES 50000 /* messages at once: what a batch holds */
#define BODIES 16        /* read in one go, if they are in memory */
#define SLICE 250        /* records collected under one lock */

void
rook_copy_finish (RookCopy *copy, const GError *error)
{
  gboolean ok = error == NULL && copy->dest_uids->len > 0;

  copy->callback (ok ? copy->uidvalidity : 0, ok ? copy->source_uids : NULL, ok ? copy->dest_uids : NULL, error,
                  copy->data);
  rook_mailbox_unref (copy->source);
  g_clear_pointer (&copy->place, rook_place_unref);
  g_clear_pointer (&copy->dest, rook_mailbox_unref);
  g_clear_pointer (&copy->identity, rook_identity_unref);
  g_free (copy->uids);
  g_free (copy->destination);
  g_free (copy->seen_user);
  g_array_unref (copy->records);
  g_strfreev (copy->keywords);
  g_clear_pointer (&copy->bodies, g_ptr_array_unref);
  g_clear_pointer (&copy->caches, g_ptr_array_unref);
  g_clear_pointer (&copy->dest_entry, rook_entry_unref);
  g_array_unref (copy->seen);
  g_array_unref (copy->source_uids);
  g_array_unref (copy->dest_uids);
  g_free (copy);
}

void
rook_copy_fail (const GError *error, gpointer data)
{
  rook_copy_finish (data, error);
}

static void
refuse (RookCopy *copy, RookMailError code, const char *text)
{
  rook_mail_answer_later (rook_copy_fail, copy, g_error_new_literal (ROOK_MAIL_ERROR, (gint) code, text));
}

/* --- bodies from another store ---------------------------------------------------------------------------------- */

static void read_bodies (gpointer data);

static const RookRecord *
next_record (RookCopy *copy)
{
  return rook_copy_record_at (copy, copy->caches->len);
}

static void
body_read (GBytes *bytes, const GError *error, gpointer data)
{
  RookCopy *copy = data;
  g_autoptr (GError) ours = NULL;

  if (error != NULL)
    {
      ours = rook_mailbox_make_read_error (copy->source, next_record (copy)->uid, error);
      rook_copy_finish (copy, ours);
      return;
    }
  g_ptr_array_add (copy->bodies, g_bytes_ref (bytes));
  read_bodies (copy);
}

static void
parse_body (gpointer data)
{
  RookCopy *copy = data;
  g_autoptr (RookMime) mime = rook_mime_parse (g_ptr_array_index (copy->bodies, copy->caches->len));

  g_ptr_array_add (copy->caches, rook_mime_to_cache (mime));
}

static void
body_parsed (RookPoolOutcome outcome, gpointer data)
{
  if (outcome == ROOK_POOL_RAN)
    read_bodies (data);
  else
    refuse (data, ROOK_MAIL_ERROR_UNAVAILABLE, "the server is closing");
}

/* Its structure may be gone after a crash, and is made again. */
static void
cache_read (GBytes *bytes, const GError *error G_GNUC_UNUSED, gpointer data)
{
  RookCopy *copy = data;

  if (bytes != NULL)
    {
      g_ptr_array_add (copy->caches, g_bytes_ref (bytes));
      read_bodies (copy);
    }
  else if (!rook_pool_run (rook_server_get_pool (copy->source->mail->server), 0, parse_body, body_parsed, copy))
    refuse (copy, ROOK_MAIL_ERROR_TEMPORARY, "too busy, try again later");
}

/* The next body, and what is known of its structure. %FALSE: it comes later. */
static gboolean
read_next_body (RookCopy *copy)
{
  RookStore *store = copy->place->store;
  const RookRecord *record = next_record (copy);
  GBytes *bytes;

  if (copy->bodies->len == copy->caches->len)
    {
      bytes = rook_store_try_read (store, record->blob, 0, G_MAXSIZE);
      if (bytes == NULL)
        {
          rook_store_read (store, record->blob, 0, G_MAXSIZE, body_read, copy);
          return FALSE;
        }
      g_ptr_array_add (copy->bodies, bytes);
    }
  bytes = rook_store_try_read (store, record->cache, 0, G_MAXSIZE);
  if (bytes == NULL)
    {
      rook_store_read (store, record->cache, 0, G_MAXSIZE, cache_read, copy);
      return FALSE;
    }
  g_ptr_array_add (copy->caches, bytes);
  return TRUE;
}

/* What is in memory already is taken at once, but not all in one go: the worker has others to serve. */
static void
read_bodies (gpointer data)
{
  RookCopy *copy = data;
  guint end = MIN (copy->caches->len + BODIES, copy->records->len);

  if (rook_mail_is_closing (copy->source->mail))
    {
      refuse (copy, ROOK_MAIL_ERROR_UNAVAILABLE, "the server is closing");
      return;
    }
  while (copy->caches->len < end)
    if (!read_next_body (copy))
      return;
  if (end == copy->records->len)
    rook_copy_write (copy);
  else
    rook_worker_invoke (rook_worker_current (), read_bodies, copy, NULL);
}

/* Bodies are shared in one store; to another they go through memory. */
void
rook_copy_reach_dest (RookCopy *copy)
{
  g_autoptr (RookPlace) place = rook_mailbox_ref_place (copy->dest);

  if (copy->bodies != NULL || place->store == copy->place->store)
    {
      rook_copy_write (copy);
      return;
    }
  copy->bodies = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  copy->caches = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  read_bodies (copy);
}

static void
dest_opened (RookMailbox *mailbox, const GError *error, gpointer data)
{
  RookCopy *copy = data;

  if (error != NULL)
    {
      rook_copy_finish (copy, error);
      return;
    }
  copy->dest = mailbox;
  if ((rook_mailbox_rights (mailbox, copy->identity) & ROOK_RIGHT_INSERT) == 0)
    refuse (copy, ROOK_MAIL_ERROR_NO_PERMISSION, "permission denied");
  else if (copy->records->len == 0)
    rook_copy_finish (copy, NULL);
  else
    rook_copy_reach_dest (copy);
}

/* --- at the source ---------------------------------------------------------------------------------------------- */

/* With the lock held. */
static void
collect_record (RookCopy *copy, guint32 uid, const RookSeenSet *seen)
{
  RookRecord record;
  guint page, slot;

  if (!rook_head_get_uid (&copy->source->durable, uid, &record, &page, &slot))
    return;
  if (copy->seen_user != NULL)
    {
      record.flags &= ~(guint32) ROOK_FLAG_SEEN;
      if (seen != NULL && rook_seen_set_contains (seen, record.uid))
        record.flags |= ROOK_FLAG_SEEN;
    }
  g_array_append_val (copy->records, record);
  copy->size += record.size;
  for (guint k = 0; k < G_N_ELEMENTS (copy->used); k++)
    copy->used[k] |= record.keywords[k];
}

/* With the lock held: what was collected before the source was moved names bodies that are not there any more. */
static void
check_place (RookCopy *copy)
{
  if (copy->place == copy->source->place)
    return;
  g_clear_pointer (&copy->place, rook_place_unref);
  copy->place = rook_place_ref (copy->source->place);
  copy->next = 0;
  g_array_set_size (copy->records, 0);
  copy->size = 0;
}

/* With the lock held. (nullable) numbers of pages that have to be filled first. */
static GArray *
collect_some (RookCopy *copy)
{
  RookMailbox *source = copy->source;
  GArray *hollow;
  const RookSeenSet *seen;
  guint end;

  check_place (copy);
  end = MIN (copy->next + SLICE, copy->n_uids);
  hollow = rook_mailbox_find_hollow (source, copy->uids, copy->next, end);

  if (hollow != NULL)
    return hollow;
  seen = copy->seen_user != NULL ? g_hash_table_lookup (source->seen.durable, copy->seen_user) : NULL;
  for (; copy->next < end; copy->next++)
    collect_record (copy, copy->uids[copy->next], seen);
  return NULL;
}

/* The names of the source's keywords, once all records are there: bits that they have are among them. */
static void
collect_keywords (RookCopy *copy)
{
  RookMailbox *source = copy->source;
  g_autoptr (RookLocker) locker = rook_locker_new (&source->lock);

  copy->keywords = g_new0 (char *, source->durable.n_keywords + 1);
  for (guint k = 0; k < source->durable.n_keywords; k++)
    copy->keywords[k] = g_strdup (g_ptr_array_index (source->keywords, k));
}

static void collect_records (RookCopy *copy);

static void
records_filled (const GError *error, gpointer data)
{
  if (error != NULL)
    rook_copy_finish (data, error);
  else
    collect_records (data);
}

static void
collect_records (RookCopy *copy)
{
  GArray *hollow = NULL;

  while (hollow == NULL && copy->next < copy->n_uids)
    {
      rook_mutex_lock (&copy->source->lock);
      hollow = collect_some (copy);
      rook_mutex_unlock (&copy->source->lock);
    }
  if (hollow != NULL)
    {
      rook_mailbox_fill (copy->source, hollow, records_filled, copy);
      return;
    }
  collect_keywords (copy);
  rook_mail_open (copy->source->mail, copy->identity, copy->destination, dest_opened, copy);
}

void
rook_view_copy (RookView *view, const guint32 *uids, guint n_uids, const char *destination, gboolean move,
                RookCopyCallback callback, gpointer data)
{
  RookRights rights = rook_mailbox_rights (view->mailbox, view->identity);
  RookRights needed = ROOK_RIGHT_READ | (move ? ROOK_RIGHT_DELETE_MSG | ROOK_RIGHT_EXPUNGE : 0);
  RookCopy *copy = g_new0 (RookCopy, 1);

  *copy = (RookCopy){ .source = rook_mailbox_ref (view->mailbox),
                      .identity = view->identity != NULL ? rook_identity_ref (view->identity) : NULL,
                      .move = move,
                      .records = g_array_new (FALSE, FALSE, sizeof (RookRecord)),
                      .seen = g_array_new (FALSE, FALSE, sizeof (guint32)),
                      .source_uids = g_array_new (FALSE, FALSE, sizeof (guint32)),
                      .dest_uids = g_array_new (FALSE, FALSE, sizeof (guint32)),
                      .callback = callback,
                      .data = data };
  if (move && view->read_only)
    refuse (copy, ROOK_MAIL_ERROR_READ_ONLY, "opened read-only");
  else if ((rights & needed) != needed)
    refuse (copy, ROOK_MAIL_ERROR_NO_PERMISSION, "permission denied");
  else if (n_uids > MAX_COPIES)
    refuse (copy, ROOK_MAIL_ERROR_LIMIT, "too many messages at once");
  else
    {
      copy->uids = g_memdup2 (uids, n_uids * sizeof (guint32));
      copy->n_uids = n_uids;
      copy->destination = g_strdup (destination);
      copy->seen_user = g_strdup (rook_mailbox_seen_user (view->mailbox, view->identity));
      collect_records (copy);
    }
}
