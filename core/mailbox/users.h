/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Users, as far as something is kept for them beside mailboxes: who is subscribed to what, and what they have seen in mailboxes of
 * others. Both are kept under an id of 8 bytes, and the state store has a table of which name has which. So a user who is renamed
 * keeps both, and whoever comes by a name later has neither.
 *
 * An id is random, is made with the first batch that needs it, and is never given to anybody else. It is *given up* when the user
 * is deleted, or renamed to a name that had another: from then on nobody has it, and what lies under it is cleared away by a job
 * (forget.c), and the state store says so until then.
 *
 * A partition notes the name of each id under which it has something, to rebuild a lost state store by.
 *
 * Subscriptions to a user's own mailboxes do not say whose they are ("user/", "user//Sent"), and so stay right when the user is
 * renamed.
 */
#pragma once

#include "mailbox/nameset.h"
#include "rookery/storage.h"
#include "rookery/thread.h"

G_BEGIN_DECLS

#define ROOK_USER_KEY_SIZE 17 /* 16 hex digits and a NUL: an id as text */

typedef struct {
  guint64 id;
  guint64 since; /* when the name was given, in microseconds since 1970: a later one counts */
  char *name;    /* (owned) */
} RookUserName;

/* A user in memory; stays until the server stops, so that @key may be held on to. */
typedef struct {
  RookUserName named;
  char key[ROOK_USER_KEY_SIZE]; /* constant */
  gboolean is_stored;           /* the state store has it; else it is what it will be called */
  RookNameSet subscriptions;
} RookUser;

typedef struct {
  RookMutex lock;      /* below every other lock of the service */
  GHashTable *by_name; /* name -> RookUser, which have one */
  GHashTable *by_id;   /* guint64 -> RookUser */
  GPtrArray *all;      /* (element-type RookUser) (owned) those that were deleted too */
  GHashTable *gone;    /* ids given up (guint64) of which something may be left */
} RookUsers;

RookUsers *rook_users_new (void);
void rook_users_free (RookUsers *users);
/* Puts what is in @from in the place of what is in @users, which is empty. @from: (transfer full) */
void rook_users_publish (RookUsers *users, RookUsers *from);

/* With the lock taken inside. The key of @name as a text: (nullable) (transfer none) until the server stops. */
const char *rook_users_find_key (RookUsers *users, const char *name);
/* (transfer full) (nullable) */
RookUserName *rook_users_dup_name (RookUsers *users, guint64 id);
/* What to call whoever has @key: a name, or some words. (transfer full) */
char *rook_users_describe (RookUsers *users, const char *key);
gboolean rook_users_is_subscribed (RookUsers *users, const char *name, const char *mailbox);
guint rook_users_count_subscriptions (RookUsers *users, const char *name);
/* The next @max, in order, behind @after (nullable), @from (nullable) or those behind it. (transfer full) (element-type utf8) */
GPtrArray *rook_users_list_subscriptions (RookUsers *users, const char *name, const char *from, const char *after,
                                          guint max);
void rook_users_set_subscribed (RookUsers *users, const char *name, const char *mailbox, gboolean subscribed);

/* Before anybody sees @users: what the state store says. Of two names for an id the later counts. */
void rook_users_add_known (RookUsers *users, const RookUserName *named);

/* --- changes: in the user's turn (rook_user_turn_take()), or before anybody sees @users ------------------------------------- */

/* Puts a user into @batch, which is the state store's. */
void rook_users_put (RookBatch *batch, const RookUserName *named);
/* The user of that name, made if need be; what the state store does not have of it is put into @batch (nullable). (transfer none) */
RookUser *rook_users_need (RookUsers *users, const char *name, RookBatch *batch);
/* That batch is durable. */
void rook_users_note_stored (RookUsers *users, const char *name);
/* Puts into @batch what a rename of @from to @to does, or (@to %NULL) the end of @from */
void rook_users_add_change (RookUsers *users, RookBatch *batch, const char *from, const char *to);
/* That batch is durable. Returns: (transfer full) (nullable): what partitions are to be told of @to */
RookUserName *rook_users_change (RookUsers *users, const char *from, const char *to);
void rook_user_name_free (RookUserName *named);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookUserName, rook_user_name_free)

/* Puts into @batch, which is a partition's, who has an id, or (add) who has @key, if somebody has. */
void rook_users_put_copy (RookBatch *batch, const RookUserName *named);
void rook_users_add_copy (RookUsers *users, RookBatch *batch, const char *key);
/* Those that were given up (element-type guint64), and that nothing of one is left any more. */
GArray *rook_users_list_gone (RookUsers *users);
void rook_users_forget (RookUsers *users, guint64 id);

/* --- bytes (users-codec.c), described in doc/format.md ----------------------------------------------------------------------- */

void rook_user_key_print (guint64 id, char *out_key);
guint64 rook_user_key_parse (const char *key); /* 0: it is none, as below */
GBytes *rook_user_id_bytes (guint64 id);
guint64 rook_user_id_of_bytes (GBytes *key);
guint64 rook_user_make_id (void);
/* The same in the state store, where the key is the name, and in partitions, where it is the id. */
GBytes *rook_user_row_encode (const RookUserName *named);
RookUserName *rook_user_row_decode (GBytes *value); /* (transfer full) (nullable) */

/* @mailbox as it is kept for @user: without saying whose it is, if it is their own; and back. (transfer full) */
char *rook_subscription_pack (const char *user, const char *mailbox);
char *rook_subscription_unpack (const char *user, const char *packed);
GBytes *rook_subscription_key (guint64 id, const char *packed);
/* *@out_id 0: an earlier version's, of user *@out_user, whose names are whole. (transfer full) %FALSE: it does not read. */
gboolean rook_subscription_key_parse (GBytes *key, guint64 *out_id, char **out_user, char **out_name);

G_END_DECLS
