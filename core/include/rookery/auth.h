/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Authentication: who somebody is and as whom they may act.
 *
 * Passwords are checked by the configured backend (saslauthd, auxprop sasldb, or a checker that a plugin registered),
 * mechanisms by libsasl2. Everything that may block runs on a pool of this service's own, with a queue deadline
 * (ROOK_AUTH_ERROR_UNAVAILABLE), so that a hung saslauthd holds up nobody but those who log in by it. Failed attempts
 * delay the next answer, good or bad, by address, and by user from that address: what a protocol has to do for that is
 * to wait for its callback. Attempts are counted and logged here; a protocol logs sessions.
 *
 * Only mechanisms in auth/mechanisms that the backend can complete are offered, plaintext ones only under TLS (or on
 * loopback, if auth/allow-plaintext-on-loopback).
 */
#pragma once

#include "rookery/macros.h"
#include "rookery/plugin.h"

G_BEGIN_DECLS

typedef struct RookAuth RookAuth;
typedef struct RookAuthExchange RookAuthExchange;
typedef struct RookAuthClient RookAuthClient;

ROOK_EXPORT RookAuth *rook_server_get_auth (RookServer *server);

#define ROOK_AUTH_ERROR (rook_auth_error_quark ())
ROOK_EXPORT GQuark rook_auth_error_quark (void);
typedef enum {
  ROOK_AUTH_ERROR_FAILED,         /* unknown user or wrong password: never say which */
  ROOK_AUTH_ERROR_UNAVAILABLE,    /* the backend is down or too slow: try again later */
  ROOK_AUTH_ERROR_MECHANISM,      /* not offered here */
  ROOK_AUTH_ERROR_PRIVACY,        /* needs TLS first */
  ROOK_AUTH_ERROR_NOT_AUTHORIZED, /* may not act as the one asked for */
  ROOK_AUTH_ERROR_PROTOCOL,       /* not what the mechanism expects, bad base64 */
  ROOK_AUTH_ERROR_CANCELLED,      /* the client sent "*" */
  ROOK_AUTH_ERROR_DISABLED,       /* account locked or expired */
  ROOK_AUTH_ERROR_WEAK            /* password or mechanism too weak for the configuration */
} RookAuthError;

/* --- identities: immutable, reference counted, any thread -------------------------------------------------------- */

/* Makes one, as the mailbox service and tests need. @groups: (nullable) */
ROOK_EXPORT RookIdentity *rook_identity_new (const char *user, const char *authcid, const char *const *groups,
                                             gboolean admin);
ROOK_EXPORT RookIdentity *rook_identity_ref (RookIdentity *identity);
ROOK_EXPORT void rook_identity_unref (RookIdentity *identity);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookIdentity, rook_identity_unref)
/* The user acted as, in its canonical form: "alice", or "alice@example.org" outside the default realm. */
ROOK_EXPORT const char *rook_identity_get_user (const RookIdentity *identity);
ROOK_EXPORT const char *rook_identity_get_authcid (const RookIdentity *identity); /* who proved it */
ROOK_EXPORT gboolean rook_identity_is_admin (const RookIdentity *identity);
/* An authcid in `proxyservers` (or an admin) that acts as somebody else. */
ROOK_EXPORT gboolean rook_identity_is_proxied (const RookIdentity *identity);
ROOK_EXPORT gboolean rook_identity_in_group (const RookIdentity *identity, const char *group);
ROOK_EXPORT const char *const *rook_identity_get_groups (const RookIdentity *identity); /* NULL-terminated */

/* Brings a name to its canonical form, the same at login and for delivery: surrounding space dropped, lower case (the
 * name unless auth/lower-case is off, the domain always), default realm dropped; refuses what can be no user: empty, over 255 bytes, not UTF-8, with characters that control or are not seen, "/", "*" or "%", an empty part between
 * dots, a domain that is not configured (auth/realms, unless auth/virtual-domains), or what access lists have a meaning
 * of their own for ("anyone", "-x", "group:x"). Any thread, never blocks. Errors: ROOK_AUTH_ERROR_FAILED.
 * @out_user: (out) (transfer full) */
ROOK_EXPORT gboolean rook_auth_canonical_user (RookAuth *auth, const char *name, char **out_user, GError **error);

/* --- server side ------------------------------------------------------------------------------------------------- */

/* What may be offered on @connection as it is now. Returns: (transfer full) NULL-terminated, may be empty */
ROOK_EXPORT char **rook_auth_get_mechanisms (RookAuth *auth, RookConnection *connection);
/* Whether LOGIN, USER/PASS and the like may be used on it now. */
ROOK_EXPORT gboolean rook_auth_allows_plaintext (RookAuth *auth, RookConnection *connection);

/**
 * RookAuthCallback:
 * @challenge: (nullable): raw bytes to send to the client (may be of length 0); then the exchange goes on
 * @identity: (nullable): who it is, when it has succeeded; @challenge may then carry final server data
 * @error: (nullable): why not (#RookAuthError); the exchange is over
 *
 * Of @challenge alone, @identity, and @error exactly one says how it stands. On the worker that asked, never inside the
 * call that asked; the exchange may be freed in it. A mechanism's last words (SCRAM) come as a @challenge that the
 * client answers with nothing, so that a protocol needs no way to send data with its success. @error's message may be
 * for the log only: tell clients by the code.
 */
typedef void (*RookAuthCallback) (GBytes *challenge, RookIdentity *identity, const GError *error, gpointer data);

/**
 * rook_auth_exchange_new:
 *
 * One SASL exchange by the client of @connection. Steps are given one at a time: the next only after the callback of
 * the one before. If the connection goes meanwhile, free the exchange: its callback is then not called any more.
 */
ROOK_EXPORT RookAuthExchange *rook_auth_exchange_new (RookAuth *auth, RookConnection *connection,
                                                      const char *mechanism);
ROOK_EXPORT void rook_auth_exchange_free (RookAuthExchange *exchange);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookAuthExchange, rook_auth_exchange_free)
/* @response: (nullable) raw bytes; %NULL in the first step: no initial response was sent. */
ROOK_EXPORT void rook_auth_exchange_step (RookAuthExchange *exchange, GBytes *response, RookAuthCallback callback,
                                          gpointer data);
/* The same for what came over the wire in base64, strictly; "*" cancels, "=" is empty if @initial. More than
 * auth/maximum-response is ROOK_AUTH_ERROR_PROTOCOL. */
ROOK_EXPORT void rook_auth_exchange_step_base64 (RookAuthExchange *exchange, const char *response, gboolean initial,
                                                 RookAuthCallback callback, gpointer data);

/* A plaintext login (IMAP LOGIN, POP3 USER/PASS, AUTHINFO). Returns: an exchange to free, as above.
 * @authzid: (nullable) */
ROOK_EXPORT RookAuthExchange *rook_auth_login (RookAuth *auth, RookConnection *connection, const char *user,
                                               const char *password, const char *authzid, RookAuthCallback callback,
                                               gpointer data);

/* --- client side (proxies, replication) -------------------------------------------------------------------------- */

/* @mechanisms: those that the peer offers; the strongest allowed is taken. No plaintext without TLS off loopback. */
ROOK_EXPORT RookAuthClient *rook_auth_client_new (RookAuth *auth, RookConnection *connection, const char *service,
                                                  const char *host, const char *const *mechanisms, const char *authcid,
                                                  const char *authzid, const char *password, GError **error);
ROOK_EXPORT void rook_auth_client_free (RookAuthClient *client);
ROOK_EXPORT const char *rook_auth_client_get_mechanism (RookAuthClient *client);
/* @challenge: (nullable) %NULL: first step. @out_response: (out) (nullable) (transfer full): what to send; %NULL only in
 * the first step, of a mechanism in which the server begins. A server that can't take it at once asks with an empty
 * challenge: send it then, without a step. Does not block. Errors: PROTOCOL, FAILED (a server that does not know the
 * password). */
ROOK_EXPORT gboolean rook_auth_client_step (RookAuthClient *client, GBytes *challenge, GBytes **out_response,
                                            GError **error);

/* --- password checkers ------------------------------------------------------------------------------------------- */

typedef struct {
  gsize struct_size;
  const char *name; /* what auth/backend names */
  /* Checks a password; may block (runs on the auth pool, several at a time). @realm: "" for the default one.
   * @user: canonical but for its letters' case, which is as the client has it; without its domain. @password: not empty; wipe copies.
   * Returns: %FALSE with ROOK_AUTH_ERROR_FAILED, _UNAVAILABLE or _DISABLED; anything else is taken as _UNAVAILABLE. */
  gboolean (*check) (gpointer data, const char *service, const char *user, const char *realm, const char *password,
                     GError **error);
} RookPasswordChecker;

ROOK_EXPORT gboolean rook_plugin_add_password_checker (RookPlugin *self, const RookPasswordChecker *checker,
                                                       gpointer data, GError **error);

G_END_DECLS
