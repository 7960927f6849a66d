/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An operation on names: takes its turn, asks the directory, writes the partitions, writes the state store, tells everybody.
 *
 * Intermediate states, and what a crash in each leaves:
 *
 *   operation  written first                then                        a crash in between leaves
 *   create     header, entry (partition)    entry (state store)         a header nobody knows: harmless, found by verify
 *   delete     tombstone (state store)      contents off (partition)    contents of a tombstone: removed at the next start
 *   rename     entries (state store)        copies (partition)          an old name in a copy: the state store counts
 *   INBOX's    header of the new INBOX      entries (state store)       a header nobody knows
 *   rename
 *   ACL, quota entry (state store)          copy (partition)            an old ACL, or old limits, in a copy
 */
#pragma once

#include "mailbox/box.h"

G_BEGIN_DECLS

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
  GPtrArray *before;     /* (element-type RookEntry) (nullable elements) what the changed entries were; */
  GPtrArray *after;      /* (element-type RookEntry) what they become */
  GPtrArray *subscribe;  /* (nullable) (element-type utf8) names to subscribe the owner of the first entry to */
  char *forget_user;     /* (nullable) whose subscriptions go */
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
gboolean rook_change_plan_place (RookChangeOp *op, const char *name, char **out_partition, char **out_acl,
                                 GError **error);
/* Takes the contents of a deleted mailbox off its partition, a page at a time. On a worker. */
void rook_mail_clear_contents (RookMail *mail, RookEntry *tombstone);
/* The same of all whose contents are still there and which nobody is at: what failed is tried again. */
void rook_mail_clear_rest (RookMail *mail);
/* A new entry with id and uidvalidity. */
RookEntry *rook_change_new_entry (RookChangeOp *op, const char *name, const char *partition, const char *acl);

G_END_DECLS
