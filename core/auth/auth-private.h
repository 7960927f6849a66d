/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Authentication as the rest of the core sees it: the service's life, and the security layer that a mechanism may leave
 * behind for the connection. What only core/auth knows is in auth-internal.h.
 */
#pragma once

#include "rookery/auth.h"
#include "rookery/config.h"

G_BEGIN_DECLS

extern const RookConfigSchema rook_auth_schemas[];
RookAuth *rook_auth_new (RookServer *server);
void rook_auth_free (RookAuth *auth);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookAuth, rook_auth_free)
void rook_auth_check (RookConfig *config, GPtrArray *mistakes);
void rook_auth_reconfigure (RookAuth *auth, RookConfig *config);
/* The password file of backend sasldb, there or not. (transfer full) (nullable): none is used. */
char *rook_auth_dup_sasldb_path (RookConfig *config);
/* Whether there is somebody to check passwords: the backend is the core's own, or a plugin that runs has registered it. */
gboolean rook_auth_has_backend (RookAuth *auth);

/* Characters that are not seen, or turn around what follows: with them two names look the same. (Joiners have their use in
 * words and pictures.) */
gboolean rook_auth_is_invisible (gunichar c);

/* --- identities ------------------------------------------------------------------------------------------------------ */

/* The connection that an identity logged in by, and its protocol: what the log says of whatever is done in its name. Set
 * once, by the exchange that made it and before anybody else has it. (nullable) both */
void rook_identity_set_origin (RookIdentity *identity, const char *connection, const char *protocol);
const char *rook_identity_get_connection (const RookIdentity *identity);
const char *rook_identity_get_protocol (const RookIdentity *identity);

/* --- mailboxes ------------------------------------------------------------------------------------------------------ */

/* What the mailbox service does for this one. Users are canonical names. */
typedef struct {
  /* Memory only, any thread. */
  gboolean (*has_inbox) (gpointer data, const char *user);
  /* A user was added: makes the INBOX, if the configuration wants any made. @done runs on the calling worker. */
  void (*welcome) (gpointer data, const char *user, void (*done) (const GError *error, gpointer user_data),
                   gpointer user_data);
} RookAuthMailboxes;
/* @mailboxes: (nullable) constant; %NULL: there are none any more, and none of its functions runs when this returns. */
void rook_auth_set_mailboxes (RookAuth *auth, const RookAuthMailboxes *mailboxes, gpointer data);

/* --- security layers (DIGEST-MD5, GSSAPI) ------------------------------------------------------------------------- */

typedef struct RookAuthLayer RookAuthLayer;

/**
 * rook_auth_exchange_get_layer:
 * @out_layer: (out) (transfer full): what to send output through and read input through from here on
 *
 * After success: takes the security layer that was negotiated out of @exchange, which may be freed before the layer.
 * Returns: %FALSE if there is none (PLAIN, SCRAM, EXTERNAL; always so under TLS), or it was taken already.
 */
gboolean rook_auth_exchange_get_layer (RookAuthExchange *exchange, RookAuthLayer **out_layer);
void rook_auth_layer_free (RookAuthLayer *layer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookAuthLayer, rook_auth_layer_free)

/* The most bytes that one rook_auth_layer_encode() is given at once; more is cut into pieces by it. */
gsize rook_auth_layer_get_max_plain (const RookAuthLayer *layer);
guint rook_auth_layer_get_ssf (const RookAuthLayer *layer); /* its strength in bits; 1: integrity alone */
/* Appends to @out what goes over the wire for @length bytes of any size. Memory work only. One thread at a time. */
gboolean rook_auth_layer_encode (RookAuthLayer *layer, const guint8 *data, gsize length, GByteArray *out,
                                 GError **error);
/* Appends to @out what is whole so far of what came over the wire, cut anywhere. Errors: ROOK_AUTH_ERROR_PROTOCOL for a
 * frame that is forged or too large: end the connection. */
gboolean rook_auth_layer_decode (RookAuthLayer *layer, const guint8 *data, gsize length, GByteArray *out,
                                 GError **error);

G_END_DECLS
