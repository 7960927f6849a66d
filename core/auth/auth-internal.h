/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of core/auth share. Grouped by file; nothing here is used outside this folder and its unit tests.
 */
#pragma once

#include <sasl/sasl.h>

#include "auth/auth-private.h"
#include "net/tls-binding.h"
#include "rookery/control.h"
#include "rookery/log.h"
#include "rookery/loop.h"
#include "rookery/metrics.h"

G_BEGIN_DECLS

/* --- settings.c: `[auth]` as a struct ----------------------------------------------------------------------------- */

typedef enum { ROOK_AUTH_SASLAUTHD, ROOK_AUTH_SASLDB, ROOK_AUTH_CHECKER } RookAuthBackend;

/* A list of people: canonical names, and groups written "group:NAME". */
typedef struct {
  GHashTable *users; /* (owned) set of char* */
  char **groups;     /* (owned) */
} RookAuthPeople;

typedef struct {
  guint first_ms;  /* after the first failure; 0: never a delay */
  guint growth;    /* per cent, of the delay before */
  guint cap_ms;    /* the longest */
  guint memory_ms; /* a failure is forgotten after this long without another */
  guint table;     /* addresses and users remembered, at most */
  guint tolerance; /* failures that an address has free, beyond those of one user */
} RookAuthDelays;

/* Immutable, reference counted: an exchange keeps the one it began with. */
typedef struct {
  gint references; /* atomic */
  RookAuthBackend backend;
  char *backend_name; /* (owned) */
  char **mechanisms;  /* (owned) upper case, in the order of preference */
  char **client_mechanisms;
  char *hostname;      /* (owned) */
  char *default_realm; /* (owned) as configured; "" if not */
  char *realm;         /* (owned) the one that names without a domain are in: default_realm, or hostname */
  GHashTable *realms;  /* (owned) set of further domains allowed */
  gboolean virtual_domains, lower_case;
  RookAuthPeople admins, proxyservers;
  gboolean system_groups;
  char *groups_file; /* (owned) (nullable) */
  gboolean plaintext_on_loopback;
  guint minimum_ssf, maximum_ssf;
  gsize maximum_response;
  char *saslauthd_socket; /* (owned) */
  guint saslauthd_timeout_ms;
  char *sasldb_path;     /* (owned) */
  gboolean sasldb_named; /* whether sasldb-path was set: saslauthd may have that file behind it */
  guint threads, queue, queue_ms;
  RookAuthDelays delays;
  char **delay_exempt, **delay_shared; /* (owned) networks */
} RookAuthSettings;

RookAuthSettings *rook_auth_settings_new (RookConfig *config, const char *hostname);
RookAuthSettings *rook_auth_settings_ref (RookAuthSettings *settings);
void rook_auth_settings_unref (RookAuthSettings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookAuthSettings, rook_auth_settings_unref)

/* --- names.c ------------------------------------------------------------------------------------------------------ */

/* See rook_auth_canonical_user(). @length: -1 if NUL-terminated; a NUL byte inside is refused. */
gboolean rook_auth_canonical (const RookAuthSettings *settings, const char *name, gssize length, char **out_user,
                              GError **error);
/* The same with the case of the name's letters as it is given: what backends are asked for. */
gboolean rook_auth_spelled (const RookAuthSettings *settings, const char *name, gssize length, char **out_user,
                            GError **error);
/* Whether users may have it behind their "@". */
gboolean rook_auth_is_domain (const char *text);
/* Cuts a canonical name. @out_realm: (out) (transfer full) "" for the default one */
void rook_auth_split (const char *user, char **out_name, char **out_realm);

/* --- groups.c ----------------------------------------------------------------------------------------------------- */

/* The groups of a canonical user, sorted; may block (NSS, disk): on the pool. (transfer full) NULL-terminated */
char **rook_auth_groups_of (const RookAuthSettings *settings, const char *user);
/* Whether a list names @user or one of its groups. */
gboolean rook_auth_people_have (const RookAuthPeople *people, const char *user, const char *const *groups);

/* --- identity.c --------------------------------------------------------------------------------------------------- */

RookIdentity *rook_identity_new_full (const char *user, const char *authcid, const char *const *groups, gboolean admin,
                                      gboolean proxied);
/* Whether @authcid may act as @user, both canonical, and who that then is. May block (groups). Errors:
 * ROOK_AUTH_ERROR_NOT_AUTHORIZED. */
RookIdentity *rook_auth_authorize (const RookAuthSettings *settings, const char *authcid, const char *user,
                                   GError **error);

/* --- base64.c ----------------------------------------------------------------------------------------------------- */

/* Strict RFC 4648: no white space, right padding, no stray bits. Returns: (nullable) bytes that are wiped when freed. */
GBytes *rook_auth_base64_decode (const char *text, gsize length);
/* Bytes that are wiped when freed. */
GBytes *rook_auth_secret_bytes (gconstpointer data, gsize length);
void rook_auth_wipe_free (char *secret); /* (nullable) a string */

/* --- mechanism.c -------------------------------------------------------------------------------------------------- */

/* What auth needs to know of a connection, so that it can be tested without one. Strings are owned. */
typedef struct {
  char *id;             /* (nullable) */
  char *protocol;       /* (nullable) "imap"; of the log alone */
  char *service;        /* "imap" */
  char *address;        /* "192.0.2.1", "unix" */
  char *local, *remote; /* (nullable) "192.0.2.1;143", as libsasl2 wants them */
  char *tls_name;       /* (nullable) verified client certificate's */
  gboolean has_tls, loopback;
  guint tls_bits;
  gboolean delay_exempt, delay_shared;
  GBytes *bindings[ROOK_TLS_N_BINDINGS]; /* (owned) (nullable) what SCRAM can be bound to */
} RookAuthPeer;
void rook_auth_peer_clear (RookAuthPeer *peer);

typedef enum {
  ROOK_MECHANISM_PLAINTEXT = 1 << 0, /* shows the password to the server */
  ROOK_MECHANISM_SECRET = 1 << 1,    /* needs the stored password: sasldb alone has it */
  ROOK_MECHANISM_EXTERNAL = 1 << 2,
  ROOK_MECHANISM_ANONYMOUS = 1 << 3,
  ROOK_MECHANISM_BINDING = 1 << 4,  /* -PLUS */
  ROOK_MECHANISM_MAY_BLOCK = 1 << 5 /* a client's step may talk to somebody else */
} RookMechanismTraits;
guint rook_mechanism_get_traits (const char *name);
gboolean rook_mechanism_is_scram (const char *name);
/* As libsasl2 knows it: without "-PLUS". (transfer full) */
char *rook_mechanism_dup_base (const char *name);
/* Whether libsasl2 has it. */
gboolean rook_mechanism_is_installed (const char *name);
/* Whether it may be used by @peer now. Errors: MECHANISM, PRIVACY, WEAK. */
gboolean rook_mechanism_permitted (const RookAuthSettings *settings, const RookAuthPeer *peer, const char *name,
                                   GError **error);
char **rook_mechanism_list (const RookAuthSettings *settings, const RookAuthPeer *peer);
gboolean rook_auth_plaintext_permitted (const RookAuthSettings *settings, const RookAuthPeer *peer);
/* Whether a plain login (IMAP's LOGIN and the like) may be used: PLAIN or LOGIN would be. Errors as above. */
gboolean rook_auth_login_permitted (const RookAuthSettings *settings, const RookAuthPeer *peer, GError **error);

/* --- binding.c ---------------------------------------------------------------------------------------------------- */

/* Whether @peer has anything to bind to. */
gboolean rook_binding_available (const RookAuthPeer *peer);
/* Binds @sasl to what @peer has of @kind. @binding: filled in; it and @peer must outlive @sasl. */
gboolean rook_binding_set (sasl_conn_t *sasl, sasl_channel_binding_t *binding, const RookAuthPeer *peer,
                           RookTlsBinding kind);

/* --- sasl.c: libsasl2, once a process ----------------------------------------------------------------------------- */

/* Starts libsasl2, server and client side, if this is the first call. Returns: whether it runs. */
gboolean rook_sasl_start (void);
/* What our callbacks are called as by libsasl2, which casts them back by their id. */
typedef int (*RookSaslProc) (void);
#define ROOK_SASL_PROC(function) ((RookSaslProc) (void (*) (void)) (function))
/* The options that libsasl2 asks of every exchange. */
int rook_sasl_getopt (void *context, const char *plugin, const char *option, const char **result, unsigned *length);
typedef struct {
  const RookAuthSettings *settings; /* (unowned) */
  const char *sasldb_path;          /* (unowned) in place of the settings' */
  gboolean secrets;                 /* whether sasldb is asked at all */
  gboolean admin;                   /* whether it is to be changed: without decoys */
} RookSaslOptions;
int rook_sasl_quiet (void *context, int level, const char *message);
/* One table from libsasl2's results to ours. */
RookAuthError rook_sasl_error_code (int result);

/* --- decoy.c: users that there are none of ------------------------------------------------------------------------ */

#define ROOK_SASL_DECOY "rookery-decoy"
#define ROOK_SASL_NOTHING "rookery-nothing"
int rook_sasl_add_plugins (void);

/* --- saslauthd.c -------------------------------------------------------------------------------------------------- */

/* Asks saslauthd over its socket; gives up at its deadline. Blocks: on the pool. Errors: FAILED, DISABLED, UNAVAILABLE. */
gboolean rook_saslauthd_check (const char *path, guint timeout_ms, const char *user, const char *password,
                               gsize password_length, const char *service, const char *realm, GError **error);

/* --- sasldb.c: the administrator's side --------------------------------------------------------------------------- */

typedef enum { ROOK_SASLDB_ADD, ROOK_SASLDB_PASSWORD, ROOK_SASLDB_DELETE } RookSasldbChange;
/* What is changed is a person: all spellings that are @name. Durable when it returns. @password: (nullable) for delete. Errors: FAILED (there already, not there), WEAK, UNAVAILABLE;
 * their messages are for the administrator. Blocks; one at a time. */
gboolean rook_sasldb_change (const RookAuthSettings *settings, RookSasldbChange what, const char *name,
                             const char *password, GError **error);

/* Whether the file in force has the user @user, spelled like that. Blocks. */
gboolean rook_sasldb_has (const RookAuthSettings *settings, const char *user);

/* --- sasldb-list.c ------------------------------------------------------------------------------------------------ */

/* The users of the file @path, as they are spelled, sorted; none if there is no file. Errors: UNAVAILABLE. Blocks, but not for
 * ever. (transfer full) (nullable) */
char **rook_sasldb_list (const RookAuthSettings *settings, const char *path, GError **error);
/* What sasldblistusers2 says of @path. (transfer full) (nullable) */
char *rook_sasldb_run_list (const char *path, guint deadline_ms, GError **error);
/* Whoever opens a FIFO waits. */
gboolean rook_sasldb_is_file (const char *path);

/* --- user-verbs.c: rookctl user ... ------------------------------------------------------------------------------- */

void rook_auth_add_verbs (RookAuth *auth, RookControl *control);

/* --- checker.c: those that plugins registered --------------------------------------------------------------------- */

typedef struct RookAuthCheckers RookAuthCheckers;
RookAuthCheckers *rook_auth_checkers_new (void);
RookAuthCheckers *rook_auth_checkers_ref (RookAuthCheckers *checkers);
void rook_auth_checkers_unref (RookAuthCheckers *checkers);
/* @plugin: (nullable) kept referenced during each check. Errors: %ROOK_PLUGIN_ERROR_CONTRACT. */
gboolean rook_auth_checkers_add (RookAuthCheckers *checkers, const RookPasswordChecker *checker, gpointer data,
                                 RookPlugin *plugin, GError **error);
void rook_auth_checkers_remove (RookAuthCheckers *checkers, const char *name);
gboolean rook_auth_checkers_has (RookAuthCheckers *checkers, const char *name);
gboolean rook_auth_checkers_check (RookAuthCheckers *checkers, const char *name, const char *service, const char *user,
                                   const char *realm, const char *password, GError **error);

/* --- throttle.c: the growing delay -------------------------------------------------------------------------------- */

typedef struct RookThrottle RookThrottle;
RookThrottle *rook_throttle_new (void);
void rook_throttle_free (RookThrottle *throttle);

/* What an attempt says of the password that came with it. */
typedef enum {
  ROOK_GUESS_WRONG,
  ROOK_GUESS_RIGHT, /* and the attempt a success */
  ROOK_GUESS_NONE   /* refused for another reason: neither counted nor forgiving */
} RookGuess;

/**
 * rook_throttle_settle:
 * @address: (nullable) %NULL: only the user is counted (an address that many share)
 * @source: where @user tried from
 * @user: (nullable)
 *
 * Notes how an attempt ended. Returns: for how many ms its answer is to be held back; ROOK_THROTTLE_FULL: so many wait already
 * that it may not be told how it went, and it has not been noted. Any thread.
 */
#define ROOK_THROTTLE_FULL G_MAXUINT
guint rook_throttle_settle (RookThrottle *throttle, const RookAuthDelays *delays, const char *address,
                            const char *source, const char *user, RookGuess guess, gint64 now_ms);
guint rook_throttle_get_size (RookThrottle *throttle);
/* "2001:db8:1:2::/64" of an IPv6 address, else the address. (transfer full) */
char *rook_throttle_network (const char *address);

/* --- auth.c ------------------------------------------------------------------------------------------------------- */

struct RookAuth {
  RookServer *server;                 /* (nullable) (unowned) */
  RookLog *log;                       /* (nullable) (unowned) */
  RookMetrics *metrics;               /* (nullable) (unowned) */
  RookMutex lock;                     /* guards what follows, to at_work */
  RookCond idle;                      /* at_work is 0 */
  RookAuthSettings *settings;         /* (owned) */
  guint at_work;                      /* exchanges that a pool or a worker has in hand */
  RookPool *pool;                     /* (owned) what asks somebody else: saslauthd, checkers */
  RookPool *local_pool;               /* (owned) what asks the disk and NSS at most */
  RookPool *admin_pool;               /* (owned) changes of sasldb, one at a time */
  RookAuthCheckers *checkers;         /* (owned) */
  RookThrottle *throttle;             /* (owned) */
  RookHistogram *latency;             /* (nullable) (unowned) */
  guint8 log_key[32];                 /* random: see mark_of() */
  RookMutex mailboxes_lock;           /* guards what follows, and is held while it is called */
  const RookAuthMailboxes *mailboxes; /* (nullable) */
  gpointer mailboxes_data;
};

/* A service without a server, for tests. @settings: (transfer full) */
RookAuth *rook_auth_new_with (RookLoop *loop, RookAuthSettings *settings, RookLog *log, RookMetrics *metrics);
RookAuthSettings *rook_auth_get_settings (RookAuth *auth); /* (transfer full) any thread */
/* Around the time in which something will come back to an exchange: the service waits for it before it goes. */
void rook_auth_begin_work (RookAuth *auth);
void rook_auth_end_work (RookAuth *auth);
/* Whether @user, canonical, has an INBOX here. Any thread. */
gboolean rook_auth_has_inbox (RookAuth *auth, const char *user);
/* A user was added. Returns: whether @done will be called. On a worker. */
gboolean rook_auth_welcome (RookAuth *auth, const char *user, void (*done) (const GError *error, gpointer user_data),
                            gpointer user_data);
/* Counts and logs an attempt that is over. */
typedef struct {
  const RookAuthPeer *peer;
  const char *mechanism;  /* as offered, "login" for a plain login, or "other" */
  const char *user;       /* (nullable) as attempted */
  const char *wanted;     /* (nullable) whom it may not act for */
  RookIdentity *identity; /* (nullable) on success */
  const GError *error;    /* (nullable) on failure */
  gint64 began_us;
} RookAuthAttempt;
void rook_auth_note (RookAuth *auth, const RookAuthAttempt *attempt);

/* --- exchange.c: the worker's side of an exchange ----------------------------------------------------------------- */

typedef enum { ROOK_EXCHANGE_MORE, ROOK_EXCHANGE_DONE, ROOK_EXCHANGE_FAILED } RookExchangeState;

struct RookAuthExchange {
  RookAuth *auth;                  /* (unowned) outlives it, but for one that was freed while at work */
  RookAuthSettings *settings;      /* (owned) */
  RookAuthCheckers *checkers;      /* (owned) */
  RookWorker *worker;              /* (unowned) */
  RookAuthPeer peer;               /* (owned) */
  char *mechanism;                 /* (owned) upper case; "LOGIN" in lower case is the plain login command */
  gboolean plain_login;            /* rook_auth_login(): user, password, authzid, no mechanism */
  char *user, *password, *authzid; /* (owned) (nullable) of a plain login, and LOGIN */

  /* On the worker. */
  guint holds;      /* its owner, and a layer */
  gboolean layered; /* the layer has been taken */
  gboolean at_work; /* something will come back with us: freeing waits for it */
  gboolean orphan;  /* freed by its owner while at work */
  gboolean over;
  RookTimer delay;
  RookAuthCallback callback;
  gpointer data;
  gint64 began_us;

  /* Handed to the pool thread with a step, and back. */
  GBytes *input;     /* (owned) (nullable) */
  sasl_conn_t *sasl; /* (owned) (nullable) */
  sasl_callback_t callbacks[6];
  RookSaslOptions options;
  gboolean started;
  gboolean judged;                /* how SCRAM is to be bound has been settled */
  sasl_channel_binding_t binding; /* libsasl2 keeps its address */
  RookExchangeState state;
  GBytes *challenge;      /* (owned) (nullable) */
  RookIdentity *identity; /* (owned) (nullable) */
  GError *error;          /* (owned) (nullable) */
  GError *check_error;    /* (owned) (nullable) what the password check itself said */
  char *wanted;           /* (owned) (nullable) as whom it wants to act, and may not */
  char *attempted;        /* (owned) (nullable) who it claims to be, canonical if that can be */
};

RookAuthExchange *rook_auth_exchange_new_for_peer (RookAuth *auth, RookWorker *worker, RookAuthPeer *peer,
                                                   const char *mechanism);
RookAuthExchange *rook_auth_exchange_hold (RookAuthExchange *exchange);
void rook_auth_exchange_drop (RookAuthExchange *exchange);
RookAuthExchange *rook_auth_login_for_peer (RookAuth *auth, RookWorker *worker, RookAuthPeer *peer, const char *user,
                                            const char *password, const char *authzid, RookAuthCallback callback,
                                            gpointer data);

/* Looks at a SCRAM client's @first message (@length > 0) and binds. Returns: (nullable) why it is refused. */
const char *rook_binding_judge (RookAuthExchange *exchange, const char *first, gsize length);

/* --- step.c: the pool's side -------------------------------------------------------------------------------------- */

/* One step of @exchange, with its input, to its outcome. Blocks. */
void rook_exchange_run_step (RookAuthExchange *exchange);

/* --- client.c ----------------------------------------------------------------------------------------------------- */

RookAuthClient *rook_auth_client_new_for_peer (RookAuth *auth, const RookAuthPeer *peer, const char *service,
                                               const char *host, const char *const *mechanisms, const char *authcid,
                                               const char *authzid, const char *password, GError **error);

G_END_DECLS
