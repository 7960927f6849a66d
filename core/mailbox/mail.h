/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The service's insides: settings, stores, the names in memory, and the lock by which changes of names take turns.
 *
 * Locks, in this order: RookMail.lock (names, what is open), RookMailbox.lock, the store's. Held for memory work only.
 */
#pragma once

#include "mailbox/entry.h"
#include "mailbox/mailbox-private.h"
#include "mailbox/quota.h"
#include "mailbox/users.h"
#include "rookery/directory.h"
#include "rookery/log.h"
#include "rookery/metrics.h"
#include "rookery/server.h"

G_BEGIN_DECLS

/* --- settings: immutable, replaced whole at reload ------------------------------------------------------------------ */

typedef struct {
  gint ref; /* atomic */
  char separator;
  gboolean alternative;
  char *other_prefix, *shared_prefix;
  char *default_acl; /* in the list's form */
  guint autocreate;  /* index of the choice: never, login, delivery */
  GStrv autocreate_folders;
  guint64 max_message_size;
  char *default_partition;
  guint open_cache;          /* mailboxes kept in memory when nobody has them open */
  guint64 duplicate_life;    /* ms */
  guint64 keep_expunged;     /* ms */
  guint64 purge_early_below; /* bytes of room */
  guint64 pin_limit;         /* ms */
  guint64 page_cache;        /* bytes */
  guint max_subscriptions;   /* a user */
} RookMailSettings;
RookMailSettings *rook_mail_settings_new (RookConfig *config);
RookMailSettings *rook_mail_settings_ref (RookMailSettings *settings);
void rook_mail_settings_unref (RookMailSettings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookMailSettings, rook_mail_settings_unref)
/* The settings in force. Any thread. */
RookMailSettings *rook_mail_ref_settings (RookMail *mail);

/* --- stores ----------------------------------------------------------------------------------------------------------- */

/* As the configuration has it: there from the beginning, and constant but for its store. */
typedef struct {
  char *name, *path, *backend;
  RookStore *store;    /* (owned) (nullable) NULL: unavailable; atomic, see rook_partition_get_store() */
  gboolean has_failed; /* of whoever opens: it was tried, and could not be opened */
  char *reason;        /* (owned) (nullable) why not, the last time; RookMail.lock */
  guint64 noted;       /* atomic: the position that the state store knows, at least */
  guint32 renewed;     /* atomic: no mailbox in it has a lower uidvalidity; 0: see renew.c */
} RookPartition;

typedef struct RookOpening RookOpening;

#define ROOK_NAMES_MAX_PAST 100000

/* What the state store says, in memory. */
typedef struct {
  GTree *tree;       /* name (of the entry) -> RookEntry; no tombstones */
  GTree *others;     /* the same, of those that somebody but the owner may have rights on */
  GTree *limited;    /* the same, of those that are quota roots */
  GHashTable *by_id; /* id -> RookEntry; tombstones too */
  GHashTable *past;  /* name -> the highest uidvalidity (guint32) of mailboxes that had it before */
  guint32
      past_unknown; /* the same of those whose histories are full, or that found the table full: they may have had any name */
  guint32 last_uidvalidity;
} RookNames;

struct RookMail {
  RookServer *server; /* (unowned) */
  RookMutex lock;     /* guards everything up to the line below */
  RookMailSettings *settings;
  RookNames *names;     /* (owned) empty while there is no state store */
  GHashTable *turns;    /* root -> GQueue of those who wait for it */
  GHashTable *open;     /* id -> RookMailbox */
  GHashTable *clearing; /* ids of deleted ones whose contents are being cleared away */
  GHashTable *doubtful; /* ids of those that may have been deleted, see rook_mail_doubt() */
  GHashTable *vacating; /* places that were left, and somebody still reads in: see rook_mail_vacate() */
  GPtrArray *sweeps;    /* (element-type Sweep) that are under way (sweep.c) */
  GQueue idle;          /* of RookMailbox: open, used by nobody, the coldest first */
  guint trim_hand;      /* which of the open ones gives up pages next, if none is idle */
  gboolean closing;
  char *reason;       /* (owned) (nullable) why the state store could not be opened the last time */
  guint n_blocking;   /* threads that are reading a store at length */
  RookCond unblocked; /* none are */
  /* --- */
  RookStore *state;     /* (owned) (nullable) NULL: unavailable; atomic, see rook_mail_get_state() */
  RookOpening *opening; /* (owned) (nullable) main worker: what a reload has opened and not published yet */
  gsize page_cache;     /* atomic: the setting of that name */
  gint64 noted_us;      /* atomic, monotonic: when positions were noted last */
  RookQuotas *quotas;   /* (owned) constant */
  RookUsers *users;     /* (owned) constant; empty while there is no state store */
  /* --- constant: */
  GPtrArray *partitions;                  /* (element-type RookPartition) */
  const RookStorageBackend *test_backend; /* (nullable) */
  gpointer test_backend_data;
  RookCounter *appends, *duplicates, *commits, *failures;
  RookGauge *n_mailboxes, *n_open;
};

/* A store is published once, when it is open and what it says has been read, and taken back when the server stops and
 * nobody asks any more: whoever sees it may use it. (nullable) (transfer none) Any thread. */
RookStore *rook_mail_get_state (RookMail *mail);
RookStore *rook_partition_get_store (RookPartition *partition);
RookPartition *rook_mail_find_partition (RookMail *mail, const char *name); /* (nullable) */
/* The partition's store, or an error that says why not. */
RookStore *rook_mail_get_store (RookMail *mail, const char *partition, GError **error);

/* Why a store is not open that isn't: @partition's, or, %NULL, the state store. Any thread. */
void rook_mail_note_reason (RookMail *mail, RookPartition *partition, const char *reason);
char *rook_mail_dup_reason (RookMail *mail, RookPartition *partition); /* (transfer full) */

/* Whether marks of deliveries that were made before a mailbox was moved still count. @now: seconds since 1970 */
gboolean rook_mail_marks_count (RookMail *mail, const RookEntry *entry, gint64 now);

/* --- errors (error.c) ------------------------------------------------------------------------------------------------- */

/* A store's or directory's error in our terms; its text goes to the log. A store without space has `make-room` come.
 * (transfer full) */
GError *rook_mail_error_from_store (RookMail *mail, const GError *error);
GError *rook_mail_error_from_directory (const GError *error);
/* Of a name that was not found. @unavailable: (transfer full) (nullable) what rook_mail_is_available() said before the names
 * were looked at: asked afterwards, the names may have come in between. (transfer full) */
GError *rook_mail_error_missing (GError *unavailable);

/* A callback that comes later, on this worker, never inside the call. */
void rook_mail_answer_later (RookMailCallback callback, gpointer data,
                             GError *error); /* @error: (transfer full) (nullable) */

/* --- names in memory (names.c): all with RookMail.lock held ----------------------------------------------------------- */

/* A set of its own, for whoever reads one: no lock is needed until it is published. */
RookNames *rook_names_new (void);
void rook_names_free (RookNames *names);
void rook_names_add (RookNames *names, RookEntry *entry);
/* Puts them in the place of those there are, which are empty. Takes the lock itself, for a moment. @names: (transfer full) */
void rook_names_publish (RookMail *mail, RookNames *names);

/* Puts @entry in place of the one with its id; a tombstone leaves the tree. */
void rook_names_put (RookMail *mail, RookEntry *entry);
RookEntry *rook_names_find (RookMail *mail, const char *name);  /* (transfer none) (nullable) */
RookEntry *rook_names_find_id (RookMail *mail, const char *id); /* (transfer none) (nullable) */
gboolean rook_names_has_children (RookMail *mail, const char *name);
/* @name and all below it, in order. (element-type RookEntry) (transfer full) */
GPtrArray *rook_names_below (RookMail *mail, const char *name, gboolean with_itself);
/* The nearest ancestor that is a mailbox. */
RookEntry *rook_names_find_parent (RookMail *mail, const char *name);

/* With the lock taken inside. (transfer full) (nullable) */
RookEntry *rook_mail_ref_entry (RookMail *mail, const char *name);
RookEntry *rook_mail_ref_entry_by_id (RookMail *mail, const char *id);
/* The entry of @name if @identity has @needed there; else NOT_FOUND (UNAVAILABLE while that is not known), or NO_PERMISSION
 * if it may at least look it up. */
RookEntry *rook_mail_check_entry (RookMail *mail, RookIdentity *identity, const char *name, RookRights needed,
                                  GError **error);

/* --- turns (turn.c): changes of names below one root come one after the other ----------------------------------------- */

typedef struct RookTurn RookTurn;
typedef void (*RookTurnFunc) (RookTurn *turn, gpointer data);
/* Calls @func on this worker, later, when nobody else has the roots of @name and @other (nullable). */
void rook_turn_take (RookMail *mail, const char *name, const char *other, RookTurnFunc func, gpointer data);
void rook_turn_end (RookTurn *turn);

/* --- users (users-turn.c) --------------------------------------------------------------------------------------------- */

/* The same for what is kept for users @user and @other (nullable), as long as a commit takes. Whoever has turns of names takes it
 * after them. */
void rook_user_turn_take (RookMail *mail, const char *user, const char *other, RookTurnFunc func, gpointer data);
/* Gives @user an id, if there is none yet, and calls back on this worker, perhaps inside the call. @key: (nullable) it stays until
 * the server stops. */
typedef void (*RookUserCallback) (const char *key, const GError *error, gpointer data);
void rook_mail_need_user (RookMail *mail, const char *user, RookUserCallback callback, gpointer data);
/* All partitions that are there are told who has the id now (@named), or (%NULL) that nobody has @id. Nobody waits for it. */
void rook_mail_tell_user (RookMail *mail, guint64 id, const RookUserName *named);
/* forget.c: the job that clears away what lies under ids that were given up. */
void rook_mail_add_forget (RookMail *mail);
/* users-open.c: what the state store says of users; what an earlier version wrote is brought up to date. Blocks. */
gboolean rook_opening_read_users (RookOpening *opening, guint *damaged, GError **error);
/* The same of what a partition's store has. */
gboolean rook_opening_bring_up_to_date (RookOpening *opening, RookStore *store, GError **error);

/* --- the directory, asked about several changes at once (consent.c) --------------------------------------------------- */

typedef struct RookConsent RookConsent;
typedef void (*RookConsentFunc) (RookConsent *consent, const GError *error, gpointer data);
/* Strings of the changes are copied. */
RookConsent *rook_consent_new (RookMail *mail);
void rook_consent_add (RookConsent *consent, RookChangeKind kind, const RookEntry *before, const RookEntry *after);
/* Prepares all; on failure those prepared are aborted, and @consent is gone. */
void rook_consent_prepare (RookConsent *consent, RookConsentFunc func, gpointer data);
/* Commits all, then calls @func (a refusal now is logged: the change is made); @consent is gone. */
void rook_consent_commit (RookConsent *consent, RookConsentFunc func, gpointer data);
void rook_consent_abort (RookConsent *consent);

/* --- events ----------------------------------------------------------------------------------------------------------- */

/* One about a mailbox's name. */
void rook_mail_publish (RookMail *mail, RookEventType type, const RookEntry *entry, const char *old_name,
                        RookIdentity *identity, const char *detail);

/* Around every change, so that durable subscribers can ask later what they missed. */
RookPosition rook_mail_begin_position (RookMail *mail);
void rook_mail_end_position (RookMail *mail, RookPosition position);

/* Stores are closed soon: who does something of its own accord stops. Any thread. */
gboolean rook_mail_is_closing (RookMail *mail);
/* sweep.c: those that wait before they try again do so no more, once it is closing. */
void rook_mail_end_sweeps (RookMail *mail);
/* Around work on a pool thread that uses the stores: closing waits for its end. %FALSE: closing already. */
gboolean rook_mail_begin_blocking (RookMail *mail);
void rook_mail_end_blocking (RookMail *mail);
/* The same while there is no state store, by one thread at a time. */
gboolean rook_mail_begin_reconstruct (RookMail *mail);

/* prune.c: the job that forgets old deliveries. */
void rook_mail_add_jobs (RookMail *mail);
void rook_mail_add_upkeep (RookMail *mail); /* upkeep.c: jobs and verbs of the stores */
void rook_mail_add_expire (RookMail *mail); /* expire.c: the job that purges */
void rook_mail_add_room (RookMail *mail);   /* room.c: the job that makes room */
void rook_mail_want_room (RookMail *mail);  /* has it come soon: something was refused for want of room. Any thread */
void rook_mail_add_verify (RookMail *mail); /* verify.c: the verb */

/* --- stores.c: opening ------------------------------------------------------------------------------------------------ */

/* Stores that have been opened and that nobody sees yet. */
struct RookOpening {
  RookMail *mail;     /* (unowned) */
  RookConfig *config; /* (owned) */
  gboolean serving;   /* a reload: a store that was not tried before must open, or nothing changes */
  RookStore *state;   /* (owned) (nullable) NULL: one is in use already */
  RookNames *names;   /* (owned) (nullable) what the state store says, */
  RookUsers *users;   /* (owned) (nullable) and of users */
  RookStore **stores; /* (owned) by the partition's place: NULL: in use already, or not to be had */
  /* What recover.c finds. */
  guint64 highest;   /* no position above was given before */
  GPtrArray *buried; /* (element-type RookEntry) (owned) */
  GHashTable *left;  /* partition -> GPtrArray of ids: what moves have left there */
  /* Of a reload. */
  GError *error; /* (owned) (nullable) */
  RookMailPrepared callback;
  gpointer data;
};

/* --- recover.c -------------------------------------------------------------------------------------------------------- */

/* The highest position in what was opened: looks through whole partitions. Blocks. */
guint64 rook_opening_find_highest (RookOpening *opening);
/* What was deleted and is not cleared away. Takes the lock. */
void rook_opening_find_buried (RookOpening *opening);
/* Goes on clearing away, and tells the event bus that it can ask: the stores are published. */
void rook_opening_go_on (RookOpening *opening);

/* --- for all ---------------------------------------------------------------------------------------------------------- */

void rook_mail_add_partitions (RookMail *mail, RookConfig *config);
/* Frees @opening, and closes what of it was not published: blocks. */
void rook_opening_free (RookOpening *opening);
/* Lets everybody see what is in @opening, and frees it. Main worker. */
void rook_opening_publish (RookOpening *opening);
GBytes *rook_bytes_of_text (const char *text); /* without the NUL */
#define ROOK_META_UIDVALIDITY "uidvalidity"

/* The uidvalidity for a new mailbox: greater than every one given before. */
guint32 rook_mail_next_uidvalidity (RookMail *mail);
/* That of a mailbox which comes to be called @name: @own, its present one, unless a mailbox with a greater one had that name;
 * then a new one. */
guint32 rook_mail_uidvalidity_for (RookMail *mail, const char *name, guint32 own);

/* Opens one, by the test's backend if there is one. Blocks. */
RookStore *rook_mail_open_store (RookMail *mail, const char *backend, const RookStoreSpec *spec, GError **error);
const char *rook_mail_get_state_backend (RookConfig *config);
char *rook_mail_make_state_path (RookConfig *config);
gboolean rook_is_empty_place (const char *path); /* nothing is there, not even a directory */
/* In META while the state store is being made of what partitions know: it is not whole yet. */
#define ROOK_META_RECONSTRUCTING "reconstructing"
#define ROOK_META_FORMAT "format"
#define ROOK_STATE_FORMAT 2
#define ROOK_PART_FORMAT 2 /* the same key in a partition's META */

/* --- known.c: what the state store knows of the partitions' stores -------------------------------------------------------- */

/* @out_id: (nullable) it knows of none */
gboolean rook_known_get (RookStore *state, const char *partition, char **out_id, guint64 *out_position, GError **error);
void rook_known_put (RookBatch *batch, const char *partition, const char *id, guint64 position);
/* Notes how far each is: an older state of it will be refused from now on. Blocks. */
void rook_mail_note_positions (RookMail *mail);
/* The same now and then: after a change. Worker; answered by nobody. */
void rook_mail_note_progress (RookMail *mail);
void rook_mail_add_partition_verbs (RookMail *mail); /* partition-verbs.c: accept, renew */
void rook_mail_add_reconstruct (RookMail *mail);     /* reconstruct.c: the verb */

/* --- renew.c: a partition that has lost what clients were told ---------------------------------------------------------------- */

/* The least uidvalidity of its mailboxes; 0: any. Blocks. */
gboolean rook_renewed_get (RookStore *store, guint32 *out_uidvalidity, GError **error);
/* @uidvalidity: greater than every one given before. Blocks. */
gboolean rook_renewed_put (RookStore *store, guint32 uidvalidity, GError **error);
/* The same of an open partition, from memory. Any thread. */
guint32 rook_mail_get_renewed (RookMail *mail, const char *name);
void rook_mail_log_renewed (RookMail *mail, const char *partition, guint32 uidvalidity, const char *reason);

/* --- rebuild.c: a partition whose store has lost its tables ----------------------------------------------------------------- */

typedef struct {
  RookMail *mail;
  RookPartition *partition;
  RookNames *names; /* (nullable) which mailboxes there are; NULL: those that are published */
  RookUsers *users; /* (nullable) the same of users */
} RookRebuildFor;
/* A RookStoreRebuild; @data: a RookRebuildFor */
gboolean rook_mail_rebuild_partition (const RookStoreRebuilder *rebuilder, gpointer data, GError **error);

/* verbs.c */
void rook_mail_add_verbs (RookMail *mail);

G_END_DECLS
