/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What it means that a body could not be read: that the message is gone for good, or damage, which is told with mailbox and
 * uid. A body may be missing only if its record says that it was purged, or its mailbox is deleted. The record that counts
 * is the one that is there once everything submitted before is settled: the store is ahead of the durable head until then.
 */
#include "mailbox/box.h"

typedef struct {
  RookMailbox *mailbox; /* (owned) */
  guint32 uid;
  GError *error; /* (owned) the store's */
  RookMailCallback callback;
  gpointer data;
} Missing;

void
rook_mailbox_tell_damage (RookMailbox *mailbox, guint32 uid, const char *what)
{
  g_autoptr (RookEntry) entry = rook_mailbox_ref_entry (mailbox);
  g_autoptr (RookPlace) place = rook_mailbox_ref_place (mailbox);
  g_autofree char *number = g_strdup_printf ("%u", uid);

  rook_log_event (rook_server_get_log (mailbox->mail->server), ROOK_LOG_ERROR, "mailbox.damaged", "mailbox",
                  entry->name, "id", mailbox->id, "partition", place->partition->name, "uid", number, "reason", what,
                  NULL);
}

static GError *
make_missing_error (RookMailbox *mailbox, guint32 uid, const GError *error)
{
  g_autoptr (GError) damage = g_error_new (ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "mailbox %s, uid %u: %s",
                                           mailbox->id, uid, error->message);

  rook_mailbox_tell_damage (mailbox, uid, "its body is missing");
  return rook_mail_error_from_store (mailbox->mail, damage);
}

GError *
rook_mailbox_make_read_error (RookMailbox *mailbox, guint32 uid, const GError *error)
{
  RookRecord record = { .flags = ROOK_RECORD_PURGED };
  gboolean is_changing;
  guint page, slot;

  if (g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
    rook_mailbox_tell_damage (mailbox, uid, error->message);
  if (!g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_NOT_FOUND))
    return rook_mail_error_from_store (mailbox->mail, error);
  rook_mutex_lock (&mailbox->lock);
  if (rook_head_find (&mailbox->durable, uid, &page, &slot))
    rook_head_get (&mailbox->durable, page, slot, &record);
  else if (rook_uids_contain (&mailbox->durable.uids, uid))
    record.flags = 0; /* its page is hollow, and it lives */
  is_changing = mailbox->in_flight > 0;
  rook_mutex_unlock (&mailbox->lock);
  /* The store is ahead of the durable head, until it has told of a batch: that may be the one that purged it. */
  if (is_changing && (record.flags & (ROOK_RECORD_EXPUNGED | ROOK_RECORD_PURGED)) == 0)
    return g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_TEMPORARY, "the message is being changed, try again");
  if (!is_changing && (record.flags & ROOK_RECORD_PURGED) == 0)
    return make_missing_error (mailbox, uid, error);
  return rook_mail_error_from_store (mailbox->mail, error);
}

/* --- once all is settled, with the record at hand ---------------------------------------------------------------------- */

/* @ours: (transfer full) */
static void
answer (Missing *missing, GError *ours)
{
  missing->callback (ours, missing->data);
  g_error_free (ours);
  rook_mailbox_unref (missing->mailbox);
  g_error_free (missing->error);
  g_free (missing);
}

/* (nullable) what its mailbox's end makes of it */
static GError *
find_record (Missing *missing, RookRecord *out_record)
{
  RookMailbox *mailbox = missing->mailbox;
  g_autoptr (RookLocker) locker = rook_locker_new (&mailbox->lock);
  guint page, slot;

  if (mailbox->gone)
    return rook_mailbox_make_gone_error (mailbox);
  if (rook_head_find (&mailbox->durable, missing->uid, &page, &slot))
    rook_head_get (&mailbox->durable, page, slot, out_record);
  return NULL;
}

/* While this runs the page stays in memory. */
static void
page_filled (const GError *error, gpointer data)
{
  Missing *missing = data;
  RookRecord record = { .flags = ROOK_RECORD_PURGED };
  GError *ours = error != NULL ? g_error_copy (error) : find_record (missing, &record);

  if (ours == NULL && (record.flags & ROOK_RECORD_PURGED) != 0)
    ours = rook_mail_error_from_store (missing->mailbox->mail, missing->error);
  else if (ours == NULL)
    ours = make_missing_error (missing->mailbox, missing->uid, missing->error);
  answer (missing, ours);
}

static void
fill_page (Missing *missing)
{
  RookMailbox *mailbox = missing->mailbox;
  GArray *numbers = g_array_new (FALSE, FALSE, sizeof (guint));
  guint number;

  rook_mutex_lock (&mailbox->lock);
  if (rook_head_find_page (&mailbox->durable, missing->uid, &number))
    g_array_append_val (numbers, number);
  rook_mutex_unlock (&mailbox->lock);
  rook_mailbox_fill (mailbox, numbers, page_filled, missing);
}

static void
others_settled (guint64 position G_GNUC_UNUSED, const GError *error, gpointer data)
{
  Missing *missing = data;

  if (error != NULL)
    answer (missing, rook_mail_error_from_store (missing->mailbox->mail, error));
  else
    fill_page (missing);
}

void
rook_mailbox_explain_read (RookMailbox *mailbox, RookStore *store, guint32 uid, const GError *error,
                           RookMailCallback callback, gpointer data)
{
  Missing *missing = g_new (Missing, 1);
  RookBatch *batch;

  *missing = (Missing){ rook_mailbox_ref (mailbox), uid, g_error_copy (error), callback, data };
  if (!g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_NOT_FOUND))
    {
      answer (missing, rook_mailbox_make_read_error (mailbox, uid, error));
      return;
    }
  /* An empty batch comes after all that were submitted before; it takes no room, so a full disk is none of its business. */
  batch = rook_batch_new (store);
  rook_batch_reserve (batch, 0, TRUE, NULL);
  rook_store_commit (store, batch, others_settled, missing);
}
