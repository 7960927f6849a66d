/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * \Seen of users who do not own the mailbox: for each a set of uids, kept as ranges beside the mailbox in the same store.
 *
 * A set is immutable; a change makes a new one, which like everything else is pending first and durable later.
 */
#pragma once

#include "rookery/macros.h"

G_BEGIN_DECLS

typedef struct {
  gint ref;       /* atomic */
  char *user;     /* the key of a RookUser */
  guint64 stamp;  /* the modseq of its last change */
  GArray *ranges; /* (element-type guint32) pairs first, last; ascending, never touching */
} RookSeenSet;

RookSeenSet *rook_seen_set_new (const char *user);
RookSeenSet *rook_seen_set_ref (RookSeenSet *set);
void rook_seen_set_unref (RookSeenSet *set);
gboolean rook_seen_set_contains (const RookSeenSet *set, guint32 uid);
/* A new set with @uids (sorted) added or taken away. */
RookSeenSet *rook_seen_set_change (const RookSeenSet *set, const guint32 *uids, guint n, gboolean add, guint64 stamp);
GBytes *rook_seen_set_encode (const RookSeenSet *set);
RookSeenSet *rook_seen_set_decode (const char *user, GBytes *value); /* (nullable) damaged */
/* @id: the mailbox's; @user: the key of a RookUser */
GBytes *rook_seen_key (const char *id, const char *user);
/* *@out_old: of an earlier version, which has the user's name in *@out_user. (transfer full) %FALSE: it does not read. */
gboolean rook_seen_key_parse (GBytes *key, char **out_id, char **out_user, gboolean *out_old);

/* The sets of those who have the mailbox open, by user: what is pending and what is durable. */
typedef struct {
  GHashTable *durable, *pending;
} RookSeenTable;
void rook_seen_table_init (RookSeenTable *table);
void rook_seen_table_clear (RookSeenTable *table);
void rook_seen_table_put (GHashTable *sets, RookSeenSet *set); /* (transfer none) */
/* Everything pending goes back to what is durable. */
void rook_seen_table_reset (RookSeenTable *table);

G_END_DECLS
