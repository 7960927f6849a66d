/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Purging what was expunged, for the jobs that do it: `expire`, which takes what is old enough, and `make-room`, which takes the
 * oldest there is.
 */
#pragma once

#include "mailbox/box.h"
#include "rookery/schedule.h"

G_BEGIN_DECLS

/* A mailbox that keeps expunged messages. */
typedef struct {
  char *id;
  gint64 oldest; /* none of them was expunged before; 0: there is none */
} RookExpirePlace;

typedef struct RookExpire RookExpire;
struct RookExpire {
  RookMail *mail; /* (unowned) */
  RookJobRun *run;
  gint64 before;     /* seconds since 1970: what was expunged earlier goes */
  gint64 unpinned;   /* what was expunged earlier goes even if a session has not been told */
  GPtrArray *places; /* (element-type RookExpirePlace) */
  guint n_purged;    /* messages, */
  guint n_mailboxes; /* opened */
  GError *error;     /* (nullable) the first */
  RookFunc done;     /* on the worker of rook_expire_walk() */
  gpointer done_data;
  /* Of the walk: */
  guint next;
  RookExpirePlace *place;
  RookMailbox *mailbox; /* (owned) (nullable) */
  guint page, n_in_slice;
  gboolean is_last;   /* it has been gone through, or can't be */
  gboolean is_filled; /* pages of the slice that are hollow still are damaged: they are passed over */
  guint64 modseq;     /* as the walk began */
  gint64 began, oldest;
};

void rook_expire_init (RookExpire *expire, RookMail *mail, RookJobRun *run);
void rook_expire_clear (RookExpire *expire);
/* Adds the mailboxes of @store that have something expunged before @limit. On a pool thread. */
void rook_expire_look (RookExpire *expire, RookStore *store, gint64 limit);
/* Purges in all of the places what was expunged before `before`, then calls `done`, perhaps inside the call. */
void rook_expire_walk (RookExpire *expire);
gboolean rook_expire_must_stop (RookExpire *expire);
void rook_expire_note_error (RookExpire *expire, const GError *error);

G_END_DECLS
