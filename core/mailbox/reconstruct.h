/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The state store, when it is lost, made again of what partitions know of it.
 */
#pragma once

#include "mailbox/mail.h"

G_BEGIN_DECLS

/* On the calling thread. */
typedef struct {
  void (*told) (const char *text, gpointer data);                         /* what could not be had back as it was */
  gboolean (*progress) (double percent, const char *text, gpointer data); /* FALSE: stop */
} RookReconstructEvents;

typedef struct {
  guint n_mailboxes, n_tombstones, n_partitions;
} RookReconstructSums;

/**
 * rook_mail_reconstruct:
 *
 * Makes the state store of the entries that partitions have copies of: ids, names, histories, ACLs, uidvalidities and what is
 * left of tombstones stay, and what users have seen in mailboxes of others; who was subscribed to what is lost, and owners are subscribed to all their mailboxes. A state store
 * that is damaged is moved aside before. All partitions have to be there. Cut short, by a stop or a crash, it counts as not
 * done, and is begun anew by the next call. The stores are closed when this returns: a reload opens them.
 *
 * Thread: a pool thread, between rook_mail_begin_blocking() and its end, while there is no state store. Blocks.
 */
gboolean rook_mail_reconstruct (RookMail *mail, const RookReconstructEvents *events, gpointer data,
                                RookReconstructSums *out_sums, GError **error);

/* --- users (reconstruct-users.c): what partitions know of them, gathered -------------------------------------------------- */

typedef struct RookFoundUsers RookFoundUsers;
RookFoundUsers *rook_found_users_new (void);
void rook_found_users_free (RookFoundUsers *found);
void rook_found_users_take_row (RookFoundUsers *found, GBytes *value); /* of ROOK_PART_USERS */
void rook_found_users_take_seen (RookFoundUsers *found, GBytes *key);  /* of ROOK_PART_SEEN */
/* Who has which id now. (transfer full) @out_n_lost: ids under which there is something, and whose names nobody knows */
RookUsers *rook_found_users_settle (RookFoundUsers *found, guint *out_n_lost);

G_END_DECLS
