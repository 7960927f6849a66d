/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What connections may cost: the live part of [limits], and counts by address and by user.
 */
#pragma once

#include "net/address.h"
#include "rookery/config.h"
#include "rookery/thread.h"

G_BEGIN_DECLS

/* One reading of [limits]. Immutable, reference counted, any thread. */
typedef struct {
  gint ref_count;
  guint connections;
  guint per_address; /* 0: no limit */
  guint per_user;    /* 0: no limit */
  guint64 bytes_before_login;
  guint login_ms, idle_ms, write_ms;
  gsize line;
  gsize output_buffer;
  guint commands_per_second; /* 0: no limit */
  RookNetworks *exempt;      /* (owned) */
} RookNetSettings;

RookNetSettings *rook_net_settings_new (RookConfig *config);
RookNetSettings *rook_net_settings_ref (RookNetSettings *settings);
void rook_net_settings_unref (RookNetSettings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookNetSettings, rook_net_settings_unref)

/* How many there are of each key. Any thread; its locks are held for a hash look-up. */
typedef struct RookTally RookTally;
RookTally *rook_tally_new (void);
void rook_tally_free (RookTally *tally);
/* One more of @key, unless there are @max already (0: no limit). */
gboolean rook_tally_take (RookTally *tally, const char *key, guint max);
void rook_tally_give_back (RookTally *tally, const char *key);
guint rook_tally_get (RookTally *tally, const char *key);

/* The key under which an address is counted: the address, or the /64 that an IPv6 address lies in. */
#define ROOK_ADDRESS_KEY_SIZE INET6_ADDRSTRLEN
void rook_address_key (const RookAddress *address, char key[ROOK_ADDRESS_KEY_SIZE]);

/* A bucket of tokens: @per_second of them, twice that in store. */
typedef struct {
  gint64 filled_ms;
  gint64 millitokens; /* below zero: taken in advance */
} RookBucket;

/* Takes one, in advance if there is none. Returns: for how many ms to take no more. @per_second: not 0 */
guint rook_bucket_take (RookBucket *bucket, guint per_second, gint64 now_ms);

G_END_DECLS
