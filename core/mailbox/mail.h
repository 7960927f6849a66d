/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The service's insides: settings, stores, the names in memory, and the lock by which changes of names take turns.
 *
 * Locks, in this order: RookMail.lock (names, what is open), RookMailbox.lock, the store's. Held for memory work only.
 */
#pragma once

#include "mailbox/entry.h"
#include "mailbox/mailbox-private.h"
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
  guint open_cache;       /* mailboxes kept in memory when nobody has them open */
  guint64 duplicate_life; /* ms */
} RookMailSettings;
RookMailSettings *rook_mail_settings_new (RookConfig *config);
RookMailSettings *rook_mail_settings_ref (RookMailSettings *settings);
void rook_mail_settings_unref (RookMailSettings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookMailSettings, rook_mail_settings_unref)
/* The settings in force. Any thread. */
RookMailSettings *rook_mail_ref_settings (RookMail *mail);

/* --- stores ----------------------------------------------------------------------------------------------------------- */

typedef struct {
  char *name, *path, *backend;
  RookStore *store; /* (owned) (nullable) NULL: unavailable */
} RookPartition;

struct RookMail {
  RookServer *server; /* (unowned) */
  RookMutex lock;     /* guards everything up to the line below */
  RookMailSettings *settings;
  GTree *names;              /* name (of the entry) -> RookEntry; no tombstones */
  GTree *others;             /* the same, of those that somebody but the owner may have rights on */
  GHashTable *by_id;         /* id -> RookEntry; tombstones too */
  GHashTable *subscriptions; /* user -> GTree of names */
  GHashTable *turns;         /* root -> GQueue of those who wait for it */
  GHashTable *open;          /* id -> RookMailbox */
  GQueue idle;               /* of RookMailbox: open, used by nobody, the coldest first */
  guint32 last_uidvalidity;
  gboolean closing;
  guint n_blocking;   /* threads that are reading a store at length */
  RookCond unblocked; /* none are */
  /* --- set before the first connection, then constant: */
  GPtrArray *partitions;                  /* (element-type RookPartition) */
  RookStore *state;                       /* (owned) (nullable) */
  const RookStorageBackend *test_backend; /* (nullable) */
  gpointer test_backend_data;
  RookCounter *appends, *duplicates, *commits, *failures;
  RookGauge *n_mailboxes, *n_open;
};

RookPartition *rook_mail_find_partition (RookMail *mail, const char *name); /* (nullable) */
/* The partition's store, or an error that says why not. */
RookStore *rook_mail_get_store (RookMail *mail, const char *partition, GError **error);

/* --- errors (error.c) ------------------------------------------------------------------------------------------------- */

/* A store's or directory's error in our terms; its text goes to the log. (transfer full) */
GError *rook_mail_error_from_store (RookMail *mail, const GError *error);
GError *rook_mail_error_from_directory (const GError *error);

/* A callback that comes later, on this worker, never inside the call. */
void rook_mail_answer_later (RookMailCallback callback, gpointer data,
                             GError *error); /* @error: (transfer full) (nullable) */

/* --- names in memory (names.c): all with RookMail.lock held ----------------------------------------------------------- */

void rook_names_init (RookMail *mail);
void rook_names_clear (RookMail *mail);
/* Puts @entry in place of the one with its id; a tombstone leaves the tree. */
void rook_names_put (RookMail *mail, RookEntry *entry);
RookEntry *rook_names_find (RookMail *mail, const char *name);  /* (transfer none) (nullable) */
RookEntry *rook_names_find_id (RookMail *mail, const char *id); /* (transfer none) (nullable) */
gboolean rook_names_has_children (RookMail *mail, const char *name);
/* @name and all below it, in order. (element-type RookEntry) (transfer full) */
GPtrArray *rook_names_below (RookMail *mail, const char *name, gboolean with_itself);
/* The nearest ancestor that is a mailbox. */
RookEntry *rook_names_find_parent (RookMail *mail, const char *name);

gboolean rook_names_is_subscribed (RookMail *mail, const char *user, const char *name);
void rook_names_set_subscribed (RookMail *mail, const char *user, const char *name, gboolean subscribed);

/* With the lock taken inside. (transfer full) (nullable) */
RookEntry *rook_mail_ref_entry (RookMail *mail, const char *name);
RookEntry *rook_mail_ref_entry_by_id (RookMail *mail, const char *id);
/* The entry of @name if @identity has @needed there; else NOT_FOUND, or NO_PERMISSION if it may at least look it up. */
RookEntry *rook_mail_check_entry (RookMail *mail, RookIdentity *identity, const char *name, RookRights needed,
                                  GError **error);

/* --- turns (turn.c): changes of names below one root come one after the other ----------------------------------------- */

typedef struct RookTurn RookTurn;
typedef void (*RookTurnFunc) (RookTurn *turn, gpointer data);
/* Calls @func on this worker, later, when nobody else has the roots of @name and @other (nullable). */
void rook_turn_take (RookMail *mail, const char *name, const char *other, RookTurnFunc func, gpointer data);
void rook_turn_end (RookTurn *turn);

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

/* Around work on a pool thread that uses the stores: closing waits for its end. %FALSE: closing already. */
gboolean rook_mail_begin_blocking (RookMail *mail);
void rook_mail_end_blocking (RookMail *mail);

/* prune.c: the job that forgets old deliveries. */
void rook_mail_add_jobs (RookMail *mail);

/* --- recover.c: after the stores are open --------------------------------------------------------------------------- */

/* Looks through the headers of all partitions: finds the highest position, goes on clearing away what was deleted, and
 * tells the event bus that it can ask. */
void rook_mail_recover (RookMail *mail);

/* --- stores.c ------------------------------------------------------------------------------------------- */

gboolean rook_mail_read_names (RookMail *mail, GError **error);
GBytes *rook_bytes_of_text (const char *text); /* without the NUL */
GBytes *rook_subscription_key (const char *user, const char *name);
#define ROOK_META_UIDVALIDITY "uidvalidity"

/* The uidvalidity for a new mailbox: greater than every one given before. */
guint32 rook_mail_next_uidvalidity (RookMail *mail);

/* verbs.c */
void rook_mail_add_verbs (RookMail *mail);

G_END_DECLS
