/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An open mailbox: its two heads, the commits between them, and the views on it.
 *
 * The *pending* head is what writers build on, the *durable* head what readers see. A change is made to the pending
 * head under the lock, written as patches into a batch, and submitted under the same lock, so that the store's commit
 * order is the order of changes. The store settles batches in that order, and each moves the durable head on. If one
 * fails, all later ones fail too, and the pending head goes back to the durable one when the last has.
 *
 * Pages and uids are shared between heads and views and copied when written: what is durable never changes.
 *
 * A page whose records are not in memory is hollow (record.h): the same object in both heads. Whoever needs its records has
 * it filled (pages.c), without the lock, and looks again. It may become hollow once it is the same in both heads again, unless
 * a view has it loaded or has not been told of its changes.
 *
 * A mailbox may be moved to another partition while it is in use (move.c): at the end of that it is held for a moment, in which
 * no commit begins and no page is filled, and then lies in another place, with other ids for the same bodies.
 */
#pragma once

#include "mailbox/mail.h"
#include "mailbox/record.h"
#include "mailbox/seen.h"
#include "mailbox/uids.h"

G_BEGIN_DECLS

typedef struct {
  RookHeader header;
  GPtrArray *pages; /* (element-type RookPage) */
  RookUids uids;    /* of the messages that are not expunged; its runs are of the pages of the same numbers */
  guint n_keywords; /* of RookMailbox.keywords */
} RookHead;

/* Where a mailbox lies; constant. Whoever reads what its records name keeps the place that was the mailbox's when it looked at
 * them: a place that was left is cleared away when nobody does any more. */
typedef struct {
  gint ref;                 /* atomic */
  RookPartition *partition; /* (unowned) */
  RookStore *store;         /* (unowned) */
  RookWorker *worker;       /* (unowned) (nullable) where it is told that nobody is here any more: */
  RookFunc left;
  gpointer data;
} RookPlace;

typedef struct RookCommit RookCommit;

struct RookMailbox {
  RookMail *mail; /* (unowned) */
  gint ref;       /* atomic; 0 only under RookMail.lock, while idle */
  char *id;       /* constant */
  /* --- guarded by RookMail.lock: */
  GList idle_link; /* in RookMail.idle */
  gboolean is_idle;
  gboolean is_listed; /* in RookMail.open */
  GPtrArray *waiting; /* (nullable) who waits for it to be loaded; NULL: it is */
  /* --- guarded by lock: */
  RookMutex lock;
  RookEntry *entry;
  guint rights_stamp;       /* raised whenever an entry comes by which rights may be others */
  RookPlace *place;         /* (owned) */
  gboolean has_told_spoilt; /* that a cached structure does not read: once */
  gboolean held;            /* by who moves it; whom it tells when nothing is in flight and no page is being filled: */
  RookWorker *hold_worker;  /* (nullable) */
  RookFunc hold_quiet;
  gpointer hold_data;
  GPtrArray *held_back; /* fills that wait for the end of that (pages.c) */
  gboolean gone;        /* deleted, or its store failed in an unknown way: views end, writers are refused */
  RookHead durable, pending;
  guint8 image[ROOK_HEADER_SIZE]; /* of the pending header, as submitted */
  GPtrArray *keywords;            /* (element-type utf8) those of the pending head; only ever appended to */
  guint in_flight;
  gboolean failed;        /* a batch failed: no new ones until the last in flight has */
  RookCommit *aside;      /* (unowned) (nullable) being built without the lock: until it is submitted no other begins */
  guint32 claimed;        /* the highest uid that was shown as \Recent */
  guint hand;             /* the page that is looked at next when some are to become hollow */
  GPtrArray *fills;       /* (element-type GArray) (unowned) numbers of pages that are to be filled */
  GPtrArray *views;       /* (element-type RookView) (unowned) */
  GHashTable *deliveries; /* duplicate keys in flight -> GPtrArray of those who wait */
  RookSeenTable seen;     /* of users who are not the owner */
};

/* --- heads (head.c): with the lock held --------------------------------------------------------------------------------- */

void rook_head_clear (RookHead *head);
/* @head becomes what @other is, sharing everything. */
void rook_head_assign (RookHead *head, const RookHead *other);
/* The page that @uid lies in, if there is such a message. */
gboolean rook_head_find_page (const RookHead *head, guint32 uid, guint *out_page);
/* The place of @uid's record, expunged or not. %FALSE also if its page is hollow. */
gboolean rook_head_find (const RookHead *head, guint32 uid, guint *out_page, guint *out_slot);
static inline RookPage *
rook_head_page (const RookHead *head, guint number)
{
  return g_ptr_array_index (head->pages, number);
}
static inline void
rook_head_get (const RookHead *head, guint page, guint slot, RookRecord *out)
{
  rook_record_decode (rook_page_record (rook_head_page (head, page), slot), out);
}
/* The record of @uid if it is there and not expunged. */
gboolean rook_head_get_uid (const RookHead *head, guint32 uid, RookRecord *out, guint *out_page, guint *out_slot);

/* --- places, and holding (place.c) -------------------------------------------------------------------------------------- */

RookPlace *rook_place_new (RookPartition *partition);
RookPlace *rook_place_ref (RookPlace *place);
void rook_place_unref (RookPlace *place);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookPlace, rook_place_unref)
/* Takes the lock. (transfer full) */
RookPlace *rook_mailbox_ref_place (RookMailbox *mailbox);
/* From now on until rook_mailbox_release() no commit begins and no page is filled. @quiet runs on this worker, later, once all
 * that were under way have ended. */
void rook_mailbox_hold (RookMailbox *mailbox, RookFunc quiet, gpointer data);
void rook_mailbox_release (RookMailbox *mailbox);
/* With the lock held, by whoever ends a commit or a fill. */
void rook_mailbox_note_quiet (RookMailbox *mailbox);
/* With the lock held, by whoever wants to begin a commit: what is to be given to rook_mailbox_fill() first, if it is held, or a
 * commit is being built aside. No page is named in it. (nullable) (transfer full) */
GArray *rook_mailbox_find_hold (RookMailbox *mailbox);
/* While it is held and quiet: it lies in @place from now on, @pages (of numbers @numbers) are there in place of those that are in
 * memory. */
void rook_mailbox_put_in_place (RookMailbox *mailbox, RookPlace *place, const GArray *numbers, GPtrArray *pages);
/* While it is held and quiet: makes pages hollow that nobody needs, from *@at on, some at a time; to @needed (element-type guint)
 * go the numbers of the others that are in memory. Returns: whether there is more to look at. Takes the lock. */
gboolean rook_mailbox_empty_pages (RookMailbox *mailbox, guint *at, GArray *needed);

/* --- pages that are not in memory (pages.c) --------------------------------------------------------------------------------- */

/* With the lock held: the numbers of the pages in which @uids (sorted) from index @begin up to @end lie, if one of them is hollow:
 * all of them, so that those which are there stay while the others come. (nullable) %NULL: none is hollow. (element-type guint)
 * (transfer full) */
GArray *rook_mailbox_find_hollow (RookMailbox *mailbox, const guint32 *uids, guint begin, guint end);
/* The same of the pages in which messages @first to @last lie, which are indices of @uids. */
GArray *rook_mailbox_find_hollow_range (RookMailbox *mailbox, const RookUids *uids, guint first, guint last);
/* The same of the page that the next record goes into, for whoever wants to write it: rook_mailbox_find_hold() is asked too. */
GArray *rook_mailbox_find_hollow_last (RookMailbox *mailbox);
/* Brings the records of pages @numbers (transfer full) into memory, where they are not. One that is damaged is passed over and
 * told as an error (CORRUPT) at the end. @numbers: sorted; none: only a hold is waited for. On this worker, never inside the call, without the lock.
 * None is made hollow, from the call until @callback has returned. */
void rook_mailbox_fill (RookMailbox *mailbox, GArray *numbers, RookMailCallback callback, gpointer data);
/* With the lock held: whether page @number has to stay in memory. */
gboolean rook_mailbox_needs_page (RookMailbox *mailbox, guint number);
/* With the lock held: fills that were held back begin, if nothing holds them back any more. */
void rook_mailbox_let_fills_go (RookMailbox *mailbox);
/* With the lock held: makes some pages hollow, if all mailboxes together have more in memory than they should. */
void rook_mailbox_trim (RookMailbox *mailbox);
/* Whether more of pages is in memory than mailbox/page-cache. */
gboolean rook_mail_has_too_many_pages (RookMail *mail);
/* If so: frees the one of the mailboxes that nobody has open that was used the longest ago; if there is none, trims one of the
 * others. Takes RookMail.lock. */
void rook_mail_free_coldest (RookMail *mail);

/* --- opening (open.c, load.c) ------------------------------------------------------------------------------------------- */

/* Opens by entry, rights not looked at. */
void rook_mailbox_open_entry (RookMail *mail, RookEntry *entry, RookMailOpenCallback callback, gpointer data);
RookMailbox *rook_mailbox_new (RookMail *mail, RookEntry *entry, RookPartition *partition);
void rook_mailbox_free (RookMailbox *mailbox);
/* Reads header, keywords and pages, then calls @done on this worker. */
typedef void (*RookLoadDone) (RookMailbox *mailbox, GError *error, gpointer data); /* @error: (transfer full) */
void rook_mailbox_load (RookMailbox *mailbox, RookLoadDone done, gpointer data);
/* The open mailbox of @id, or NULL. (transfer full) */
RookMailbox *rook_mail_ref_open (RookMail *mail, const char *id);
/* Whether @id was deleted is not known: it can't be opened, and who has it open is put off, until the state store takes
 * batches again, and so knows that it was not. */
void rook_mail_doubt (RookMail *mail, const char *id);
/* It is no longer to be found by opening; views are told. */
void rook_mailbox_detach (RookMailbox *mailbox);
/* Why one that is gone can't be used: only if it was deleted is it not to be found. With the lock held. (transfer full) */
GError *rook_mailbox_make_gone_error (RookMailbox *mailbox);
void rook_mailbox_set_entry (RookMailbox *mailbox, RookEntry *entry);
/* The entry as it is now. (transfer full) */
RookEntry *rook_mailbox_ref_entry (RookMailbox *mailbox);
RookRights rook_mailbox_rights (RookMailbox *mailbox, RookIdentity *identity);
/* The key of the user (users.h) whose \Seen is not in the records; NULL: it is. "": of one who has none, having been renamed or
 * deleted since the mailbox was opened. (transfer none) until the server stops */
const char *rook_mailbox_seen_user (RookMailbox *mailbox, RookIdentity *identity);
/* The same of a mailbox with that entry. */
const char *rook_mail_find_seen_user (RookMail *mail, const RookEntry *entry, RookIdentity *identity);
/* With the lock held: the greater of what its entry and its header say. A rename may give it another (rename.c), which is in the
 * entry; the header has it from the next commit on. */
guint32 rook_mailbox_get_uidvalidity (RookMailbox *mailbox);
/* With the lock held: wakes every view. */
void rook_mailbox_notify (RookMailbox *mailbox);

/* --- commits (commit.c): begun, filled and submitted with the lock held throughout, but for those built aside --------------- */

/* On the worker that submitted. @error: (nullable) ours. */
typedef void (*RookCommitDone) (RookCommit *commit, const GError *error, gpointer data);

struct RookCommit {
  RookMailbox *mailbox; /* (owned) a reference */
  RookBatch *batch;
  RookHead *head;                                  /* what it builds on: the mailbox's pending one, or */
  RookHead own;                                    /* aside, only of those pages that it may touch, */
  GPtrArray *own_keywords;                         /* (nullable) and with names of its own */
  gboolean is_stale;                               /* what it was built on has failed meanwhile */
  guint64 modseq;                                  /* of what it changes */
  gint64 now;                                      /* seconds since 1970 */
  guint appended_page, first_appended, n_appended; /* records of a page that the batch has not got yet */
  GArray *page_numbers;                            /* (element-type guint) what it touched; */
  GPtrArray *pages;                                /* the pages as of this commit, set when submitted */
  RookHead after;                                  /* header, uids, n_keywords as of this commit; no pages */
  GPtrArray *events;                               /* (element-type RookEvent) */
  GPtrArray *seen;                                 /* (element-type RookSeenSet) */
  RookPosition position;                           /* for durable subscribers */
  RookQuotaClaim claim;                            /* room for what it adds */
  gboolean settled;
  RookCommitDone done;
  gpointer data;
};

/* @batch: (transfer full) (nullable) reserved already, of the store that the mailbox lies in now. %NULL with NOT_FOUND, TEMPORARY:
 * nothing was begun, @batch is freed. */
RookCommit *rook_commit_begin (RookMailbox *mailbox, RookBatch *batch, GError **error);
/* Writes a record at its place in the pending head; totals and CRCs follow. */
void rook_commit_change (RookCommit *commit, guint page, guint slot, const RookRecord *before, const RookRecord *after);
/* Adds a record behind the last. Its uid must be the pending uidnext. Costs next to nothing: a page's records are written together. */
void rook_commit_append (RookCommit *commit, const RookRecord *record);
/* Takes @uids (sorted) out of the pending head's list. */
void rook_commit_drop_uids (RookCommit *commit, const guint32 *uids, guint n);
/* The bit of @name, which is added if it is new. %FALSE: there are too many. */
gboolean rook_commit_keyword (RookCommit *commit, const char *name, guint *out_index);
/* An event with the next sequence number, if anybody would hear it; else %NULL. The caller fills in the rest. */
RookEvent *rook_commit_event (RookCommit *commit, RookEventType type, RookIdentity *identity, const char *session);
/* One that appends so much that the lock should not be held over it: it is built aside, in slices, from this call with the lock
 * held until rook_commit_submit_aside() or rook_commit_abandon(). Other writers wait meanwhile (rook_mailbox_find_hold());
 * readers see nothing of it. The last page has to be in memory; keywords and \Seen are looked up under the lock.
 * Its batch is the caller's to reserve, before it is submitted. */
RookCommit *rook_commit_begin_aside (RookMailbox *mailbox, GError **error);
/* Without the lock: nothing more is appended. */
void rook_commit_seal (RookCommit *commit);
/* With the lock held. %FALSE, with TEMPORARY, NOT_FOUND: nothing has changed, it is to be abandoned. */
gboolean rook_commit_submit_aside (RookCommit *commit, RookCommitDone done, gpointer data, GError **error);
/* Takes the lock. */
void rook_commit_abandon (RookCommit *commit);
/* Hands it to the store. @done (nullable) */
void rook_commit_submit (RookCommit *commit, RookCommitDone done, gpointer data);

/* --- views ---------------------------------------------------------------------------------------------------------------- */

struct RookView {
  gint ref;               /* atomic */
  RookMailbox *mailbox;   /* (owned) */
  RookIdentity *identity; /* (owned) (nullable) */
  RookWorker *worker;     /* (unowned) */
  gboolean read_only;
  RookFunc changed; /* (nullable) */
  gpointer data;
  gboolean freed;
  /* --- guarded by the mailbox's lock: */
  RookRights rights;  /* the identity's, */
  guint rights_stamp; /* as of this RookMailbox.rights_stamp */
  gboolean notified;
  gboolean has_loaded; /* pages from first_loaded to last_loaded are to stay in memory */
  guint first_loaded, last_loaded;
  guint64 kept_modseq;   /* scanned_modseq: pages with later changes are to stay */
  guint64 pinned_modseq; /* told_modseq: bodies of what was expunged later are to stay, for a while */
  /* --- */
  guint32 uidvalidity; /* as it was told; when it is another the view is gone */
  RookUids uids;
  guint64 told_modseq;    /* what may be told as HIGHESTMODSEQ */
  guint64 scanned_modseq; /* flag changes up to here have been reported */
  guint32 told_recent;
  GArray *recent;       /* (element-type guint32) pairs: first and last uid that are \Recent here */
  GHashTable *silenced; /* uid -> modseq (guint64) of changes that are not to be reported */
};

/* With the mailbox's lock held: has RookView.changed called, unless it is waiting already. */
void rook_view_wake (RookView *view);
RookView *rook_view_ref (RookView *view);
void rook_view_unref (RookView *view);
/* The view's record of sequence number @seq, expunged or not, if its page is in memory. Takes the lock. */
gboolean rook_view_get_record (RookView *view, guint32 seq, RookRecord *out);
/* The same, with the place of what it names (transfer full); if its page is not in memory that is seen to, and @callback comes,
 * upon which this is to be asked again. */
typedef enum { ROOK_FOUND, ROOK_FOUND_NOT, ROOK_FOUND_LATER } RookFound;
RookFound rook_view_find_record (RookView *view, guint32 seq, RookRecord *out, RookPlace **out_place,
                                 RookMailCallback callback, gpointer data);
/* With the lock held: what its identity may do now. Looked up only after the ACL has changed. */
RookRights rook_view_get_rights (RookView *view);
/* Why the view can't be used, for good or as long as its identity may not read. (nullable) (transfer full) Takes the lock. */
GError *rook_view_find_error (RookView *view);
gboolean rook_view_is_recent (RookView *view, guint32 uid);
/* With the lock held: the messages from index @from on that nobody was shown as \Recent are this view's. */
void rook_view_claim_recent (RookView *view, guint from);

/* Expunges @uids whatever their flags (@only_deleted: only those with \Deleted); rights not looked at. */
void rook_mailbox_expunge (RookMailbox *mailbox, RookIdentity *identity, const guint32 *uids, guint n_uids,
                           gboolean only_deleted, RookEventType event, RookMailCallback callback, gpointer data);

/* damage.c: why the body of @uid could not be read, for whoever has its page in memory. One that its record names and the store
 * does not have is damage: only of a message that was purged meanwhile is it said that it is gone; TEMPORARY if that can't
 * be told, for changes are in flight. Takes the lock. (transfer full) */
GError *rook_mailbox_make_read_error (RookMailbox *mailbox, guint32 uid, const GError *error);
/* The same for everybody, for certain: waits until what is in flight to @store, where it was to be read, is settled, and reads the
 * page if it is hollow. @callback always has an error, and may come before this returns. */
void rook_mailbox_explain_read (RookMailbox *mailbox, RookStore *store, guint32 uid, const GError *error,
                                RookMailCallback callback, gpointer data);
/* To the log. */
void rook_mailbox_tell_damage (RookMailbox *mailbox, guint32 uid, const char *what);

/* With the lock held: the value of its keywords. */
GBytes *rook_mailbox_encode_keywords (RookMailbox *mailbox);

/* Label of a message's blob: what a mailbox can be rebuilt from (label.c). */
GBytes *rook_make_label (const RookEntry *entry, guint32 uidvalidity, const RookRecord *record);
typedef struct {
  char *mailbox, *name; /* (owned) its id, and its name then */
  guint32 uid, uidvalidity;
  gint64 internal_date, save_date;
  gint16 zone_minutes;
  guint32 flags;
  guint8 guid[20];
} RookLabel;
/* %FALSE: it does not read. */
gboolean rook_label_decode (GBytes *bytes, RookLabel *out);
void rook_label_clear (RookLabel *label);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (RookLabel, rook_label_clear)
/* The content key of a message (@kind 'b') or of its cached structure ('c'). */
GBytes *rook_content_key (const guint8 *guid, char kind);

G_END_DECLS
