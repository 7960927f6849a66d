/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Flags: STORE on any number of messages, in slices, so that nobody waits for the lock.
 *
 * What the asker may not change stays as it is. \Seen of a user who does not own the mailbox goes to that user's set; the
 * record's modseq moves on all the same, so that the user's other sessions notice.
 */
#include <string.h>

#include "mailbox/box.h"

#define SLICE 64

typedef struct {
  RookMailbox *mailbox;   /* (owned) */
  RookIdentity *identity; /* (owned) (nullable) */
  RookView *view;         /* (owned) (nullable) to be kept silent */
  guint32 *uids;
  guint n_uids, next;
  gboolean coming; /* the next slice is: a commit that ends does not end it all */
  RookStoreMode mode;
  RookFlags flags, may; /* asked for; what the asker may change */
  gboolean may_keywords;
  gboolean frees; /* worth the room kept for freeing space */
  GStrv keywords; /* (nullable) */
  guint64 unchanged_since;
  char *session;
  char *seen_user; /* (nullable) whose set has \Seen */
  guint outstanding;
  GArray *modified; /* (element-type guint32) */
  GError *error;
  RookStoreFlagsCallback callback;
  gpointer data;
} Store;

/* One slice at work, under the lock. */
typedef struct {
  Store *store;
  RookCommit *commit; /* (nullable) until something is to be changed */
  guint64 keywords[ROOK_MAX_KEYWORDS / 64];
  gboolean resolved;
  GArray *seen_add, *seen_remove;         /* for the user's set */
  GArray *read, *trashed, *set, *cleared; /* for events */
} Slice;

static void run_slice (gpointer data);

static void
store_finish (Store *store)
{
  store->callback (store->modified->len > 0 ? store->modified : NULL, store->error, store->data);
  rook_mailbox_unref (store->mailbox);
  g_clear_pointer (&store->identity, rook_identity_unref);
  g_clear_pointer (&store->view, rook_view_unref);
  g_free (store->uids);
  g_strfreev (store->keywords);
  g_free (store->session);
  g_free (store->seen_user);
  g_array_unref (store->modified);
  g_clear_error (&store->error);
  g_free (store);
}

static void
slice_done (RookCommit *commit, const GError *error, gpointer data)
{
  Store *store = data;

  (void) commit;
  if (error != NULL && store->error == NULL)
    store->error = g_error_copy (error);
  if (error != NULL && store->view != NULL)
    g_hash_table_remove_all (store->view->silenced);
  store->outstanding--;
  if (store->outstanding == 0 && !store->coming && (store->error != NULL || store->next == store->n_uids))
    store_finish (store);
}

/* --- one slice -------------------------------------------------------------------------------------------------- */

static gboolean
ensure_commit (Slice *slice)
{
  Store *store = slice->store;
  RookBatch *batch;
  g_autoptr (GError) reason = NULL;

  if (slice->commit != NULL)
    return TRUE;
  batch = rook_batch_new (store->mailbox->place->store);
  if (!rook_batch_reserve (batch, SLICE * 128 + 16384, store->frees, &reason))
    {
      store->error = rook_mail_error_from_store (store->mailbox->mail, reason);
      rook_batch_free (batch);
      return FALSE;
    }
  slice->commit = rook_commit_begin (store->mailbox, batch, &store->error);
  return slice->commit != NULL;
}

/* The bits of the keywords asked for; new ones are added to the mailbox, unless they are to be removed. */
static gboolean
resolve_keywords (Slice *slice)
{
  Store *store = slice->store;
  RookMailbox *mailbox = store->mailbox;

  if (slice->resolved)
    return TRUE;
  slice->resolved = TRUE;
  for (guint i = 0; store->may_keywords && store->keywords != NULL && store->keywords[i] != NULL; i++)
    {
      guint k = 0;

      while (k < mailbox->pending.n_keywords
             && g_ascii_strcasecmp (g_ptr_array_index (mailbox->keywords, k), store->keywords[i]) != 0)
        k++;
      if (k == mailbox->pending.n_keywords)
        {
          if (store->mode == ROOK_STORE_REMOVE)
            continue;
          if (!ensure_commit (slice))
            return FALSE;
          if (!rook_commit_keyword (slice->commit, store->keywords[i], &k))
            {
              store->error = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_LIMIT, "too many keywords");
              return TRUE; /* what was begun is submitted */
            }
        }
      slice->keywords[k / 64] |= G_GUINT64_CONSTANT (1) << (k % 64);
    }
  return TRUE;
}

static RookFlags
combine (const Store *store, RookFlags before)
{
  RookFlags asked = store->flags & store->may;

  switch (store->mode)
    {
    case ROOK_STORE_ADD:
      return before | asked;
    case ROOK_STORE_REMOVE:
      return before & ~asked;
    case ROOK_STORE_SET:
    default:
      return (before & ~store->may) | asked;
    }
}

static void
combine_keywords (const Slice *slice, RookRecord *record)
{
  for (guint i = 0; slice->store->may_keywords && i < G_N_ELEMENTS (record->keywords); i++)
    switch (slice->store->mode)
      {
      case ROOK_STORE_ADD:
        record->keywords[i] |= slice->keywords[i];
        break;
      case ROOK_STORE_REMOVE:
        record->keywords[i] &= ~slice->keywords[i];
        break;
      case ROOK_STORE_SET:
      default:
        record->keywords[i] = slice->keywords[i];
        break;
      }
}

/* For the events: what was set, what was cleared. */
static void
note_change (Slice *slice, guint32 uid, RookFlags before, RookFlags after, gboolean keywords_changed)
{
  RookFlags added = after & ~before;

  if ((added & ROOK_FLAG_SEEN) != 0)
    g_array_append_val (slice->read, uid);
  if ((added & ROOK_FLAG_DELETED) != 0)
    g_array_append_val (slice->trashed, uid);
  if ((added & ~(RookFlags) (ROOK_FLAG_SEEN | ROOK_FLAG_DELETED)) != 0
      || (keywords_changed && slice->store->mode != ROOK_STORE_REMOVE))
    g_array_append_val (slice->set, uid);
  if ((before & ~after) != 0 || (keywords_changed && slice->store->mode == ROOK_STORE_REMOVE))
    g_array_append_val (slice->cleared, uid);
}

/* Where the user's \Seen lies elsewhere, @record's own is left alone. */
static RookFlags
flags_of_asker (const Store *store, const RookRecord *record)
{
  const RookSeenSet *set;
  RookFlags flags = record->flags & 0x1f;

  if (store->seen_user == NULL)
    return flags;
  set = g_hash_table_lookup (store->mailbox->seen.pending, store->seen_user);
  flags &= ~(RookFlags) ROOK_FLAG_SEEN;
  return set != NULL && rook_seen_set_contains (set, record->uid) ? flags | ROOK_FLAG_SEEN : flags;
}

static void
set_flags (Slice *slice, const RookRecord *before, RookFlags flags_before, RookFlags flags, RookRecord *after)
{
  guint32 kept = before->flags & ~(guint32) 0x1f;

  if (slice->store->seen_user != NULL)
    {
      if (((flags ^ flags_before) & ROOK_FLAG_SEEN) != 0)
        g_array_append_val ((flags & ROOK_FLAG_SEEN) != 0 ? slice->seen_add : slice->seen_remove, before->uid);
      flags = (flags & ~(RookFlags) ROOK_FLAG_SEEN) | (before->flags & ROOK_FLAG_SEEN);
    }
  after->flags = kept | flags;
}

static gboolean
change_one (Slice *slice, guint32 uid)
{
  Store *store = slice->store;
  RookRecord before, after;
  RookFlags flags_before, flags;
  guint page, place;

  if (!rook_head_get_uid (&store->mailbox->pending, uid, &before, &page, &place))
    return TRUE;
  if (before.modseq > store->unchanged_since)
    {
      g_array_append_val (store->modified, uid);
      return TRUE;
    }
  if (!resolve_keywords (slice) || store->error != NULL)
    return FALSE;
  flags_before = flags_of_asker (store, &before);
  flags = combine (store, flags_before);
  after = before;
  combine_keywords (slice, &after);
  if (flags == flags_before && memcmp (after.keywords, before.keywords, sizeof after.keywords) == 0)
    return TRUE;
  if (!ensure_commit (slice))
    return FALSE;
  set_flags (slice, &before, flags_before, flags, &after);
  note_change (slice, uid, flags_before, flags, memcmp (after.keywords, before.keywords, sizeof after.keywords) != 0);
  after.modseq = slice->commit->modseq;
  after.last_updated = slice->commit->now;
  rook_commit_change (slice->commit, page, place, &before, &after);
  if (store->view != NULL)
    g_hash_table_replace (store->view->silenced, GUINT_TO_POINTER (uid),
                          g_memdup2 (&after.modseq, sizeof after.modseq));
  return TRUE;
}

static void
add_event (Slice *slice, RookEventType type, GArray *uids)
{
  RookEvent *event;

  if (uids->len == 0)
    return;
  event = rook_commit_event (slice->commit, type, slice->store->identity, slice->store->session);
  if (event == NULL)
    return;
  event->first_uid = g_array_index (uids, guint32, 0);
  event->last_uid = g_array_index (uids, guint32, uids->len - 1);
  event->uids = g_array_ref (uids);
}

static void
change_seen_set (Slice *slice)
{
  Store *store = slice->store;
  RookSeenSet *set, *added, *changed;

  if (store->seen_user == NULL || (slice->seen_add->len == 0 && slice->seen_remove->len == 0))
    return;
  set = g_hash_table_lookup (store->mailbox->seen.pending, store->seen_user);
  if (set == NULL)
    return;
  added = rook_seen_set_change (set, (guint32 *) (gpointer) slice->seen_add->data, slice->seen_add->len, TRUE,
                                slice->commit->modseq);
  changed = rook_seen_set_change (added, (guint32 *) (gpointer) slice->seen_remove->data, slice->seen_remove->len,
                                  FALSE, slice->commit->modseq);
  rook_seen_set_unref (added);
  g_ptr_array_add (slice->commit->seen, changed);
}

static void
slice_init (Slice *slice, Store *store)
{
  GArray **arrays[] = { &slice->seen_add, &slice->seen_remove, &slice->read,
                        &slice->trashed,  &slice->set,         &slice->cleared };

  memset (slice, 0, sizeof *slice);
  slice->store = store;
  for (guint i = 0; i < G_N_ELEMENTS (arrays); i++)
    *arrays[i] = g_array_new (FALSE, FALSE, sizeof (guint32));
}

static void
slice_clear (Slice *slice)
{
  GArray *arrays[] = { slice->seen_add, slice->seen_remove, slice->read, slice->trashed, slice->set, slice->cleared };

  for (guint i = 0; i < G_N_ELEMENTS (arrays); i++)
    g_array_unref (arrays[i]);
}

static void
submit_slice (Slice *slice)
{
  if (slice->commit == NULL)
    return;
  change_seen_set (slice);
  add_event (slice, ROOK_EVENT_MESSAGE_READ, slice->read);
  add_event (slice, ROOK_EVENT_MESSAGE_TRASH, slice->trashed);
  add_event (slice, ROOK_EVENT_FLAGS_SET, slice->set);
  add_event (slice, ROOK_EVENT_FLAGS_CLEAR, slice->cleared);
  slice->store->outstanding++;
  rook_commit_submit (slice->commit, slice_done, slice->store);
}

static void
slice_filled (const GError *error, gpointer data)
{
  Store *store = data;

  if (error != NULL && store->error == NULL)
    store->error = g_error_copy (error);
  run_slice (store);
}

/* With the lock held. (nullable) numbers of pages that have to be filled first. */
static GArray *
change_some (Store *store)
{
  guint end = MIN (store->next + SLICE, store->n_uids);
  GArray *hollow = NULL;
  Slice slice;

  if (store->error == NULL)
    hollow = rook_mailbox_find_hold (store->mailbox);
  if (hollow == NULL && store->error == NULL)
    hollow = rook_mailbox_find_hollow (store->mailbox, store->uids, store->next, end);
  if (hollow != NULL)
    return hollow;
  slice_init (&slice, store);
  while (store->next < end && store->error == NULL && change_one (&slice, store->uids[store->next]))
    store->next++;
  submit_slice (&slice);
  slice_clear (&slice);
  return NULL;
}

static void
run_slice (gpointer data)
{
  Store *store = data;
  GArray *hollow;

  rook_mutex_lock (&store->mailbox->lock);
  hollow = change_some (store);
  rook_mutex_unlock (&store->mailbox->lock);
  store->coming = hollow != NULL || (store->error == NULL && store->next < store->n_uids);
  if (hollow != NULL)
    rook_mailbox_fill (store->mailbox, hollow, slice_filled, store);
  else if (store->coming)
    rook_worker_invoke (rook_worker_current (), run_slice, store, NULL);
  else if (store->outstanding == 0)
    store_finish (store);
}

/* --- asking ----------------------------------------------------------------------------------------------------- */

static void
fail_store (const GError *error, gpointer data)
{
  Store *store = data;

  store->error = g_error_copy (error);
  store_finish (store);
}

static void
set_rights (Store *store, RookRights rights)
{
  if ((rights & ROOK_RIGHT_SEEN) != 0)
    store->may |= ROOK_FLAG_SEEN;
  if ((rights & ROOK_RIGHT_DELETE_MSG) != 0)
    store->may |= ROOK_FLAG_DELETED;
  if ((rights & ROOK_RIGHT_WRITE) != 0)
    {
      store->may |= ROOK_FLAG_ANSWERED | ROOK_FLAG_FLAGGED | ROOK_FLAG_DRAFT;
      store->may_keywords = TRUE;
    }
}

/* Whether nothing of what is asked may be done. */
static gboolean
is_forbidden (const Store *store)
{
  gboolean any_flag = (store->flags & store->may) != 0 || (store->mode == ROOK_STORE_SET && store->may != 0);
  gboolean any_keyword = store->keywords != NULL && store->keywords[0] != NULL && store->may_keywords;
  gboolean asks =
      store->flags != 0 || store->mode == ROOK_STORE_SET || (store->keywords != NULL && store->keywords[0] != NULL);

  return asks && !any_flag && !any_keyword;
}

/* The user has been renamed or deleted since the mailbox was opened: there is nowhere to keep what they have seen. */
static gboolean
lacks_set (Store *store)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->mailbox->lock);

  return store->seen_user != NULL && !g_hash_table_contains (store->mailbox->seen.pending, store->seen_user);
}

void
rook_view_store_flags (RookView *view, const RookStoreFlags *request, RookStoreFlagsCallback callback, gpointer data)
{
  RookRights rights = rook_mailbox_rights (view->mailbox, view->identity);
  Store *store = g_new0 (Store, 1);
  GError *error = NULL;

  store->mailbox = rook_mailbox_ref (view->mailbox);
  store->identity = view->identity != NULL ? rook_identity_ref (view->identity) : NULL;
  store->view = request->silent ? rook_view_ref (view) : NULL;
  store->uids = g_memdup2 (request->uids, request->n_uids * sizeof (guint32));
  store->n_uids = request->n_uids;
  store->mode = request->mode;
  store->flags = request->flags & ~(RookFlags) ROOK_FLAG_RECENT;
  store->keywords = g_strdupv ((GStrv) request->keywords);
  store->unchanged_since = request->unchanged_since;
  store->session = g_strdup (request->session);
  store->seen_user = g_strdup (rook_mailbox_seen_user (view->mailbox, view->identity));
  store->frees = request->mode != ROOK_STORE_REMOVE && (request->flags & ROOK_FLAG_DELETED) != 0;
  store->modified = g_array_new (FALSE, FALSE, sizeof (guint32));
  store->callback = callback;
  store->data = data;
  set_rights (store, rights);
  if (lacks_set (store))
    store->may &= ~(RookFlags) ROOK_FLAG_SEEN;
  if (view->read_only)
    error = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_READ_ONLY, "opened read-only");
  else if ((rights & ROOK_RIGHT_READ) == 0 || is_forbidden (store))
    error = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NO_PERMISSION, "permission denied");
  if (error != NULL)
    rook_mail_answer_later (fail_store, store, error);
  else
    rook_worker_invoke (view->worker, run_slice, store, NULL);
}

gboolean
rook_flag_from_name (const char *name, RookFlags *flags)
{
  static const struct {
    const char *name;
    RookFlags flag;
  } known[] = { { "\\Answered", ROOK_FLAG_ANSWERED },
                { "\\Flagged", ROOK_FLAG_FLAGGED },
                { "\\Deleted", ROOK_FLAG_DELETED },
                { "\\Seen", ROOK_FLAG_SEEN },
                { "\\Draft", ROOK_FLAG_DRAFT } };

  for (guint i = 0; i < G_N_ELEMENTS (known); i++)
    if (g_ascii_strcasecmp (name, known[i].name) == 0)
      {
        *flags |= known[i].flag;
        return TRUE;
      }
  return FALSE;
}
