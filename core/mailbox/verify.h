/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Verify: whether mailboxes are what they say of themselves. What the stores hold is theirs to verify (rook_store_verify());
 * here it is what it means.
 */
#pragma once

#include "mailbox/box.h"

G_BEGIN_DECLS

/* On the calling thread. @mailbox: (nullable) its name; @uid: 0: of no message */
typedef struct {
  void (*fault) (const char *mailbox, guint32 uid, const char *text, gpointer data);
  void (*note) (const char *mailbox, const char *text, gpointer data);    /* what is no fault, and yet worth a word */
  gboolean (*progress) (double percent, const char *text, gpointer data); /* FALSE: stop */
} RookVerifyEvents;

typedef struct {
  guint n_mailboxes;
  guint64 n_messages;
} RookVerifySums;

/**
 * rook_mail_verify:
 * @name: (nullable): the mailbox; %NULL: all of them, and what belongs to none
 * @full: read every body, and compare it with its GUID
 *
 * Returns: %FALSE with an error if it could not be done, or was stopped; faults are no error.
 * Thread: a pool thread, between rook_mail_begin_blocking() and its end. Blocks. Holds no lock while it reads: a mailbox that
 * changes meanwhile is looked at again.
 */
gboolean rook_mail_verify (RookMail *mail, const char *name, gboolean full, const RookVerifyEvents *events,
                           gpointer data, RookVerifySums *out_sums, GError **error);

/* --- between verify.c and verify-box.c --------------------------------------------------------------------------------- */

typedef struct RookVerify RookVerify;

/* A mailbox, as the state store has it. */
typedef struct {
  char *id, *name, *partition;
  guint32 uidvalidity;
  gboolean was_renamed; /* its header may say what its uidvalidity was before */
} RookVerifyPlace;

/* \Seen of one user, as stored. */
typedef struct {
  char *user;
  GBytes *value;
} RookVerifySeen;

struct RookVerify {
  RookMail *mail; /* (unowned) */
  gboolean full;
  const RookVerifyEvents *events; /* (unowned) */
  gpointer data;
  RookVerifySums sums;
  gint64 told_us; /* monotonic */
  gboolean stopped;
  double percent;
  const char *at;   /* (unowned) the mailbox that it is at */
  RookStore *store; /* (unowned) of the partition that it is at; and what was found there: */
  GHashTable *seen; /* mailbox id -> GPtrArray of RookVerifySeen */
  GArray *blobs;    /* (nullable) (element-type RookBlobId) sorted */
  guint8 *named;    /* one a blob: some record names it */
  gboolean partial; /* there are records that could not be read, and so no blob can be said to be named by none */
  GError *error;    /* (nullable) what ends it */
};

/* Whether to go on. */
gboolean rook_verify_go_on (RookVerify *v);
void rook_verify_fault (RookVerify *v, const char *mailbox, guint32 uid, const char *format, ...) G_GNUC_PRINTF (4, 5);
/* %FALSE: it can't be read, which is a fault if it is damage (of @mailbox), else ends it all. @out_value: (nullable) */
gboolean rook_verify_get (RookVerify *v, const char *mailbox, RookTable table, GBytes *key, GBytes **out_value);
void rook_verify_name_blob (RookVerify *v, RookBlobId blob);
/* Whether the mailbox is still there: one that is deleted while it is looked at has no faults. */
gboolean rook_verify_is_there (RookVerify *v, const char *id);

/* The same, and there. */
gboolean rook_verify_is_here (RookVerify *v, const RookVerifyPlace *place);

/* verify-box.c */
void rook_verify_box (RookVerify *v, const RookVerifyPlace *place);
/* Names the blobs of a mailbox that is not to be verified: one that is being cleared away, or came meanwhile. Returns: how many
 * pages it has. */
guint rook_verify_name_all (RookVerify *v, const char *id);

G_END_DECLS
