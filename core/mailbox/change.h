/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An operation on names: takes its turn, asks the directory, writes the partitions, writes the state store, tells everybody.
 *
 * Intermediate states, and what a crash in each leaves:
 *
 *   operation  written first                then                        a crash in between leaves
 *   create     header, entry (partition)    entry (state store)         a header nobody knows: harmless, found by verify
 *   delete     tombstone (state store)      contents off (partition)    contents of a tombstone: removed at the next start
 *   rename     entries (state store)        copies (partition)          an old name in a copy, an old uidvalidity in a header:
 *                                                                        the state store counts
 *   INBOX's    header of the new INBOX      entries (state store)       a header nobody knows
 *   rename
 *   ACL, quota entry (state store)          copy (partition)            an old ACL, or old limits, in a copy
 *
 *   move to another partition (move.c), where the entry says
 *   lies on A                     nothing was done
 *   lies on A, left on B          B may have a part of a copy, or all of it: cleared away at the next start
 *   lies on B, left on A          A may have all of it, or a part: cleared away, at the next start at the latest
 *   lies on B                     it is done
 *
 * What is left is cleared before the mailbox may be moved there again; that something may be left is written before it is, and
 * taken back after it was looked for in vain. So a partition may be named in `left` that has nothing, never the other way round;
 * and what a partition has of a mailbox counts only where the entry says that it lies.
 */
#pragma once

#include "mailbox/box.h"

G_BEGIN_DECLS

typedef struct RookMove RookMove;
struct RookChangeOp {
  RookMail *mail;         /* (unowned) */
  RookIdentity *identity; /* (owned) (nullable) */
  char *name;
  char *new_name;            /* (nullable) */
  char *partition;           /* (nullable) as asked */
  char *special_use;         /* (nullable) */
  char *identifier, *rights; /* (nullable) of an ACL change */
  gint64 *quota;             /* (nullable) limits to be set */
  RookQuotaClaim claim;      /* of what comes below a quota root by it */
  RookMailCallback callback;
  gpointer data;
  RookTurn *turn;
  RookConsent *consent;  /* (nullable) between prepare and commit */
  RookMove *move;        /* (nullable) those that go to another partition */
  GPtrArray *before;     /* (element-type RookEntry) (nullable elements) what the changed entries were; */
  GPtrArray *after;      /* (element-type RookEntry) what they become */
  GPtrArray *subscribe;  /* (nullable) (element-type utf8) names to subscribe the owner of the first entry to */
  char *user, *new_user; /* (nullable) who has another name by it, and which: NULL: none any more */
  RookTurn *user_turn;   /* (nullable) while the state store writes what concerns a user */
  guint waiting;         /* partitions that are writing */
  RookPosition position; /* 0: none yet */
  GError *error;         /* (nullable) */
  /* What an operation does at each station; NULL: nothing. */
  gboolean (*plan) (RookChangeOp *op, GError **error); /* in its turn: checks, then fills before and after */
  void (*done) (RookChangeOp *op);                     /* durable and known: events, cleaning up */
};

RookChangeOp *rook_change_new (RookMail *mail, RookIdentity *identity, const char *name, const char *new_name,
                               RookMailCallback callback, gpointer data);
void rook_change_run (RookChangeOp *op);
/* For plan(). @before: (nullable) @after: (transfer full) */
void rook_change_add (RookChangeOp *op, RookEntry *before, RookEntry *after);
/* Checks that @identity may make @name and that it is not there, and adds the missing parents below a user's INBOX.
 * @out_partition, @out_acl: (out) (transfer full): what a new mailbox there gets. */
/* Whether there is one of that name that can be used. */
gboolean rook_change_check_partition (RookChangeOp *op, const char *name, GError **error);
gboolean rook_change_plan_place (RookChangeOp *op, const char *name, char **out_partition, char **out_acl,
                                 GError **error);

/* --- clearing away (clear.c) --------------------------------------------------------------------------------------------- */

/* Takes the contents of a deleted mailbox off its partition, a page at a time. On a worker. */
void rook_mail_clear_contents (RookMail *mail, RookEntry *tombstone);
/* The same of all whose contents are still there and which nobody is at: what failed is tried again. */
void rook_mail_clear_rest (RookMail *mail);

typedef struct RookClearing RookClearing;
/* @more: it has only come to the end of its slice. @error: (nullable) ours */
typedef void (*RookClearDone) (RookClearing *clearing, gboolean more, const GError *error, gpointer data);
/* What @store holds of mailbox @id. @users: (nullable) (element-type utf8) who are not the owner, and have seen messages */
RookClearing *rook_clearing_new (RookMail *mail, RookStore *store, const char *id, GPtrArray *users);
void rook_clearing_free (RookClearing *clearing);
/* Up to @max_pages of it. @entry: what its copy there says until it is gone. On this worker. */
void rook_clearing_run (RookClearing *clearing, const RookEntry *entry, guint max_pages, RookClearDone done,
                        gpointer data);

/* --- what moves leave (sweep.c) ------------------------------------------------------------------------------------------- */

/* What users who are not the owner have seen: mailbox id -> (user -> value as stored). */
GHashTable *rook_seen_rows_new (void);
void rook_seen_rows_want (GHashTable *rows, const char *id);            /* it is to be looked for */
GPtrArray *rook_seen_rows_dup_users (GHashTable *rows, const char *id); /* @rows: (nullable) */
typedef void (*RookSeenScanDone) (GHashTable *rows, const GError *error, gpointer data);
/* Adds what @store has of those that are wanted: looks through a whole table, on the pool. On this worker, later. */
void rook_seen_scan (RookMail *mail, RookStore *store, GHashTable *rows, RookSeenScanDone done, gpointer data);
/* Clears away what is left of mailboxes @ids (element-type utf8) on @partition, and has their entries say so: each in its turn,
 * in slices. Goes on by itself; what can't be done now stays for the next start. @rows: (nullable) looked for */
void rook_mail_sweep (RookMail *mail, const char *partition, GPtrArray *ids, GHashTable *rows);
/* The same of one that lies elsewhere now, once nobody reads in @place any more, which the caller gives up after this. */
void rook_mail_vacate (RookMail *mail, const char *id, RookPlace *place, GHashTable *rows);
/* %TRUE: somebody still reads there; @func will run on this worker instead of that sweep. */
gboolean rook_mail_await_vacant (RookMail *mail, const char *id, const char *partition, RookFunc func, gpointer data);

/* --- moving to another partition (move.c) ---------------------------------------------------------------------------------- */

/* Whether an entry of @op is to lie on another partition. */
gboolean rook_move_is_needed (RookChangeOp *op);
/* Copies them, while they are in use, and then holds them: @callback, on success, finds everything there. */
void rook_move_begin (RookChangeOp *op, RookMailCallback callback);
typedef enum { ROOK_MOVE_DONE, ROOK_MOVE_FAILED, ROOK_MOVE_UNKNOWN } RookMoveOutcome;
/* What the state store says now: they are let go, here or there, and what is left is cleared away (UNKNOWN: later). */
void rook_move_end (RookChangeOp *op, RookMoveOutcome outcome);
/* A new entry with id and uidvalidity. */
RookEntry *rook_change_new_entry (RookChangeOp *op, const char *name, const char *partition, const char *acl);

G_END_DECLS
