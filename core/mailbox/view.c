/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Views: a session's numbers for the messages of a mailbox, and what it sees of each.
 *
 * A view belongs to one worker. It shares the durable head's uid array until it is brought up to date.
 */
#include "mailbox/box.h"

RookView *
rook_view_ref (RookView *view)
{
  g_atomic_int_inc (&view->ref);
  return view;
}

void
rook_view_unref (RookView *view)
{
  if (!g_atomic_int_dec_and_test (&view->ref))
    return;
  rook_mailbox_unref (view->mailbox);
  g_clear_pointer (&view->identity, rook_identity_unref);
  rook_uids_clear (&view->uids);
  g_array_unref (view->recent);
  g_hash_table_unref (view->silenced);
  g_free (view);
}

static void
unref_view (gpointer view)
{
  rook_view_unref (view);
}

static void
tell_changed (gpointer data)
{
  RookView *view = data;

  if (!view->freed && view->changed != NULL)
    view->changed (view->data);
}

void
rook_view_wake (RookView *view)
{
  if (view->notified)
    return;
  view->notified = TRUE;
  rook_worker_invoke (view->worker, tell_changed, rook_view_ref (view), unref_view);
}

void
rook_view_claim_recent (RookView *view, guint from)
{
  RookMailbox *mailbox = view->mailbox;
  guint32 begin, end;
  guint first = MAX (from, rook_uids_find (&view->uids, mailbox->claimed + 1));

  if (first >= view->uids.n)
    return;
  begin = rook_uids_get (&view->uids, first);
  end = rook_uids_get_last (&view->uids);
  g_array_append_val (view->recent, begin);
  g_array_append_val (view->recent, end);
  if (!view->read_only)
    mailbox->claimed = MAX (mailbox->claimed, end);
}

gboolean
rook_view_is_recent (RookView *view, guint32 uid)
{
  for (guint i = 0; i + 1 < view->recent->len; i += 2)
    if (uid >= g_array_index (view->recent, guint32, i) && uid <= g_array_index (view->recent, guint32, i + 1))
      return TRUE;
  return FALSE;
}

guint32
rook_view_get_recent (RookView *view)
{
  guint32 n = 0;

  for (guint i = 0; i + 1 < view->recent->len; i += 2)
    n += rook_uids_find (&view->uids, g_array_index (view->recent, guint32, i + 1) + 1)
         - rook_uids_find (&view->uids, g_array_index (view->recent, guint32, i));
  return n;
}

/* Whoever may not look it up is not told that it is there (RFC 4314, 6). */
static GError *
make_refusal (RookRights rights)
{
  if ((rights & ROOK_RIGHT_LOOKUP) == 0)
    return g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_FOUND, "no such mailbox");
  return g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NO_PERMISSION, "permission denied");
}

RookView *
rook_view_new (RookMailbox *mailbox, RookIdentity *identity, gboolean read_only, RookFunc changed, gpointer data,
               GError **error)
{
  RookRights rights = rook_mailbox_rights (mailbox, identity);
  RookView *view;

  if ((rights & ROOK_RIGHT_READ) == 0)
    {
      g_propagate_error (error, make_refusal (rights));
      return NULL;
    }
  view = g_new0 (RookView, 1);
  g_atomic_int_set (&view->ref, 1);
  view->mailbox = rook_mailbox_ref (mailbox);
  view->identity = identity != NULL ? rook_identity_ref (identity) : NULL;
  view->worker = rook_worker_current ();
  view->read_only =
      read_only || (rights & (ROOK_RIGHT_SEEN | ROOK_RIGHT_WRITE | ROOK_RIGHT_DELETE_MSG | ROOK_RIGHT_EXPUNGE)) == 0;
  view->changed = changed;
  view->data = data;
  view->recent = g_array_new (FALSE, FALSE, sizeof (guint32));
  view->silenced = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  rook_mutex_lock (&mailbox->lock);
  view->rights_stamp = mailbox->rights_stamp - 1;
  view->uidvalidity = rook_mailbox_get_uidvalidity (mailbox);
  view->uids = rook_uids_copy (&mailbox->durable.uids);
  view->told_modseq = view->scanned_modseq = view->kept_modseq = view->pinned_modseq =
      mailbox->durable.header.highest_modseq;
  rook_view_claim_recent (view, 0);
  g_ptr_array_add (mailbox->views, view);
  if (mailbox->gone)
    rook_view_wake (view);
  rook_mutex_unlock (&mailbox->lock);
  view->told_recent = rook_view_get_recent (view);
  return view;
}

/* What was shown as \Recent is written down, if no other change has done so. With the lock held. */
static void
save_recent (RookMailbox *mailbox)
{
  RookCommit *commit;

  if (mailbox->gone || mailbox->failed || mailbox->held || mailbox->aside != NULL
      || mailbox->claimed <= mailbox->pending.header.recent_uid)
    return;
  commit = rook_commit_begin (mailbox, NULL, NULL);
  if (commit != NULL)
    rook_commit_submit (commit, NULL, NULL);
}

void
rook_view_free (RookView *view)
{
  RookMailbox *mailbox = view->mailbox;

  view->freed = TRUE;
  rook_mutex_lock (&mailbox->lock);
  g_ptr_array_remove_fast (mailbox->views, view);
  save_recent (mailbox);
  rook_mutex_unlock (&mailbox->lock);
  rook_view_unref (view);
}

RookMailbox *
rook_view_get_mailbox (RookView *view)
{
  return view->mailbox;
}

gboolean
rook_view_is_read_only (RookView *view)
{
  return view->read_only;
}

/* With the lock held. */
static gboolean
is_gone (RookView *view)
{
  return view->mailbox->gone || view->uidvalidity != rook_mailbox_get_uidvalidity (view->mailbox);
}

gboolean
rook_view_is_gone (RookView *view)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&view->mailbox->lock);

  return is_gone (view);
}

RookRights
rook_view_get_rights (RookView *view)
{
  if (view->rights_stamp != view->mailbox->rights_stamp)
    {
      view->rights = rook_entry_get_rights (view->mailbox->entry, view->identity);
      view->rights_stamp = view->mailbox->rights_stamp;
    }
  return view->rights;
}

/* With the lock held. */
static GError *
find_error (RookView *view)
{
  if (is_gone (view))
    return rook_mailbox_make_gone_error (view->mailbox);
  if ((rook_view_get_rights (view) & ROOK_RIGHT_READ) == 0) /* that it is there is no news */
    return g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NO_PERMISSION, "permission denied");
  return NULL;
}

GError *
rook_view_find_error (RookView *view)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&view->mailbox->lock);

  return find_error (view);
}

guint32
rook_view_get_count (RookView *view)
{
  return view->uids.n;
}

guint32
rook_view_get_uid (RookView *view, guint32 seq)
{
  g_return_val_if_fail (seq >= 1 && seq <= view->uids.n, 0);
  return rook_uids_get (&view->uids, seq - 1);
}

guint32
rook_view_find_uid (RookView *view, guint32 uid)
{
  return rook_uids_find (&view->uids, uid) + 1;
}

/* --- records ---------------------------------------------------------------------------------------------------- */

/* *@out_hollow: (nullable) what has to be filled first. *@out_place: (nullable) (transfer full) if it is found */
static gboolean
get_record (RookView *view, guint32 seq, RookRecord *out, RookPlace **out_place, GArray **out_hollow)
{
  RookMailbox *mailbox = view->mailbox;
  g_autoptr (RookLocker) locker = NULL;
  guint page, slot;
  guint32 uid;

  *out_hollow = NULL;
  if (seq < 1 || seq > view->uids.n)
    return FALSE;
  uid = rook_uids_get (&view->uids, seq - 1);
  locker = rook_locker_new (&mailbox->lock);
  if ((rook_view_get_rights (view) & ROOK_RIGHT_READ) == 0)
    return FALSE;
  if (!rook_head_find (&mailbox->durable, uid, &page, &slot))
    {
      *out_hollow = rook_mailbox_find_hollow (mailbox, &uid, 0, 1);
      return FALSE;
    }
  rook_head_get (&mailbox->durable, page, slot, out);
  if ((out->flags & ROOK_RECORD_PURGED) != 0)
    return FALSE;
  *out_place = rook_place_ref (mailbox->place);
  return TRUE;
}

gboolean
rook_view_get_record (RookView *view, guint32 seq, RookRecord *out)
{
  g_autoptr (GArray) hollow = NULL;
  g_autoptr (RookPlace) place = NULL;

  return get_record (view, seq, out, &place, &hollow);
}

RookFound
rook_view_find_record (RookView *view, guint32 seq, RookRecord *out, RookPlace **out_place, RookMailCallback callback,
                       gpointer data)
{
  GArray *hollow;

  if (get_record (view, seq, out, out_place, &hollow))
    return ROOK_FOUND;
  if (hollow == NULL)
    return ROOK_FOUND_NOT;
  rook_mailbox_fill (view->mailbox, hollow, callback, data);
  return ROOK_FOUND_LATER;
}

static RookFlags
flags_for (RookView *view, const RookRecord *record)
{
  RookFlags flags = record->flags & 0x1f;
  const char *user = rook_mailbox_seen_user (view->mailbox, view->identity);

  if (user != NULL)
    {
      g_autoptr (RookLocker) locker = rook_locker_new (&view->mailbox->lock);
      const RookSeenSet *set = g_hash_table_lookup (view->mailbox->seen.durable, user);

      flags &= ~(RookFlags) ROOK_FLAG_SEEN;
      if (set != NULL && rook_seen_set_contains (set, record->uid))
        flags |= ROOK_FLAG_SEEN;
    }
  return rook_view_is_recent (view, record->uid) ? flags | ROOK_FLAG_RECENT : flags;
}

gboolean
rook_view_get_message (RookView *view, guint32 seq, RookMessage *out_message)
{
  RookRecord record;

  if (!rook_view_get_record (view, seq, &record))
    return FALSE;
  *out_message = (RookMessage){ .uid = record.uid,
                                .modseq = record.modseq,
                                .internal_date = record.internal_date,
                                .zone_minutes = record.zone_minutes,
                                .size = record.size,
                                .flags = flags_for (view, &record),
                                .created_modseq = record.created_modseq,
                                .save_date = record.save_date,
                                .expunged = (record.flags & ROOK_RECORD_EXPUNGED) != 0 };
  memcpy (out_message->keywords, record.keywords, sizeof record.keywords);
  memcpy (out_message->guid, record.guid, sizeof record.guid);
  return TRUE;
}

typedef struct {
  RookView *view; /* (owned) */
  RookMailCallback callback;
  gpointer data;
} ViewLoad;

static void
view_loaded (const GError *error, gpointer data)
{
  ViewLoad *load = data;
  g_autoptr (GError) unusable = rook_view_find_error (load->view);

  load->callback (unusable != NULL ? unusable : error, load->data);
  rook_view_unref (load->view);
  g_free (load);
}

/* With the lock held: pages of messages @first to @last stay in memory from now on. (nullable) what has to be filled. */
static GArray *
hold_pages (RookView *view, guint32 first, guint32 last)
{
  view->has_loaded = first >= 1 && first <= last && last <= view->uids.n;
  if (!view->has_loaded)
    return NULL;
  view->first_loaded = rook_uids_find_run (&view->uids, first - 1);
  view->last_loaded = rook_uids_find_run (&view->uids, last - 1);
  return rook_mailbox_find_hollow_range (view->mailbox, &view->uids, first - 1, last - 1);
}

void
rook_view_load (RookView *view, guint32 first, guint32 last, RookMailCallback callback, gpointer data)
{
  ViewLoad *load;
  GArray *hollow;
  GError *error;

  rook_mutex_lock (&view->mailbox->lock);
  error = find_error (view);
  hollow = error == NULL ? hold_pages (view, first, last) : NULL;
  rook_mutex_unlock (&view->mailbox->lock);
  if (hollow == NULL)
    {
      rook_mail_answer_later (callback, data, error);
      return;
    }
  load = g_new (ViewLoad, 1);
  *load = (ViewLoad){ rook_view_ref (view), callback, data };
  rook_mailbox_fill (view->mailbox, hollow, view_loaded, load);
}
