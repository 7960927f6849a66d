/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The network: listeners from the configuration, and one type of connection for both directions.
 *
 * A #RookConnection is pinned to one worker; its functions may be called, and its handler is called, on that worker's
 * thread only. Input comes as lines, literals, dot-terminated text or raw bytes, as the handler asks; output is
 * buffered and never blocks. Below both lies a stack of filters (TLS, a SASL security layer, DEFLATE) that the handler
 * does not see.
 *
 * A connection ends once: after rook_connection_close() (output is flushed first, within the write deadline),
 * rook_connection_abort(), the peer's end, an error or a deadline the handler did not take; then `closed` is called,
 * nothing is called after it, and the connection is gone.
 */
#pragma once

#include "rookery/auth.h"
#include "rookery/loop.h"
#include "rookery/plugin.h"

G_BEGIN_DECLS

#define ROOK_NET_ERROR (rook_net_error_quark ())
ROOK_EXPORT GQuark rook_net_error_quark (void);
typedef enum {
  ROOK_NET_ERROR_CLOSED,      /* the peer closed */
  ROOK_NET_ERROR_IO,          /* read or write failed */
  ROOK_NET_ERROR_TIMEOUT,     /* a deadline */
  ROOK_NET_ERROR_TLS,         /* handshake or record layer */
  ROOK_NET_ERROR_CERTIFICATE, /* the peer's is not valid or not for the name asked */
  ROOK_NET_ERROR_FILTER,      /* a SASL layer or DEFLATE stream that does not decode */
  ROOK_NET_ERROR_LIMIT,       /* a limit crossed: too much before login, and the like */
  ROOK_NET_ERROR_RESOLVE,     /* name not found */
  ROOK_NET_ERROR_CONNECT,     /* refused, unreachable */
  ROOK_NET_ERROR_SHUTDOWN     /* the plugin or the server goes */
} RookNetError;

/* What was odd about a line; the handler answers in its own terms. */
typedef enum {
  ROOK_LINE_OK = 0,
  ROOK_LINE_BARE_LF = 1 << 0,  /* ended by LF alone */
  ROOK_LINE_BARE_CR = 1 << 1,  /* a CR inside */
  ROOK_LINE_NUL = 1 << 2,      /* a NUL byte inside */
  ROOK_LINE_TOO_LONG = 1 << 3, /* only its beginning is given (up to the limit), the rest was dropped */
  ROOK_LINE_EIGHT_BIT = 1 << 4 /* a byte over 127 inside */
} RookLineFlags;

/* How far a connection may go without what is due. */
typedef enum {
  ROOK_DEADLINE_LOGIN, /* limits/login-timeout passed before login */
  ROOK_DEADLINE_IDLE,  /* nothing came or went for too long */
  ROOK_DEADLINE_WRITE, /* limits/write-timeout passed before the peer read what it was sent */
  ROOK_DEADLINE_BYTES /* more than limits/bytes-before-login came before login; as LOGIN never of a protocol with no_login */
} RookDeadline;

/* Why a connection is turned away before its session opens. */
typedef enum {
  ROOK_REFUSAL_TOO_MANY,         /* connections in all */
  ROOK_REFUSAL_TOO_MANY_ADDRESS, /* from this address */
  ROOK_REFUSAL_SHUTDOWN,         /* draining */
  ROOK_REFUSAL_BAD_PROXY         /* no or a broken PROXY header */
} RookRefusal;

/**
 * RookConnectionHandler: the functions of whoever speaks on a connection.
 * Each gets the @session that `open` or rook_connection_connect() gave. All on the connection's worker; none may block.
 * Any of them may close or abort the connection; the session must not be freed before `closed`.
 */
typedef struct {
  gsize struct_size;
  /* A line, without its line end; @line is NUL-terminated too and the handler's to modify, until it returns. */
  void (*line) (RookConnection *connection, gpointer session, char *line, gsize length, RookLineFlags flags);
  /* (nullable) A piece of a literal, of dot-terminated text (dots unstuffed, CRLF line ends kept as they came) or of raw
   * input. @last with the final piece, which may be empty; the mode is then lines again (not after raw). */
  void (*data) (RookConnection *connection, gpointer session, const guint8 *data, gsize length, gboolean last);
  /* (nullable) Output has fallen below the low mark after rook_connection_is_full() said %TRUE. */
  void (*drained) (RookConnection *connection, gpointer session);
  /* (nullable) TLS asked for with rook_connection_start_tls() is up. (A failed handshake ends the connection.) For
   * outbound connections also: connected (and with implicit TLS, up). */
  void (*ready) (RookConnection *connection, gpointer session);
  /* (nullable) A deadline passed: say good-bye and close. If it is NULL, or does not close, the core aborts. Not called for
   * ROOK_DEADLINE_WRITE: such a peer does not read. */
  void (*expired) (RookConnection *connection, gpointer session, RookDeadline deadline);
  /* (nullable) The plugin or server goes, or the administrator wants the connection closed: finish the command in hand, say
   * good-bye, close. rook_connection_get_farewell() says which. After the drain deadline the core aborts. NULL: closed at once; outbound: left to whoever called out. */
  void (*drain) (RookConnection *connection, gpointer session);
  /* The end; free the session. @reason: (nullable) NULL after rook_connection_close(). */
  void (*closed) (RookConnection *connection, gpointer session, const GError *reason);
} RookConnectionHandler;

/**
 * RookProtocol: what a listener's `protocol` names.
 */
typedef struct {
  gsize struct_size;
  const char *name;         /* "imap": in listeners, log and metrics */
  const char *sasl_service; /* "imap": to SASL and PAM */
  const char *alpn;         /* (nullable) protocol id offered under implicit TLS, "imap" (RFC 7301) */
  guint16 default_port, default_tls_port;
  RookConnectionHandler handler;
  /* A connection was accepted (and with implicit TLS, secured): make a session and send the greeting. @data is that of
   * rook_plugin_add_protocol(). Returns: the session, never %NULL. */
  gpointer (*open) (RookConnection *connection, gpointer data);
  /* (nullable) What to say to one turned away: a constant line with CRLF. */
  const char *(*refusal) (RookRefusal reason);
  /* Sessions have no login (who may connect is the listener's business, as with LMTP): the limits before login, by time
   * and by bytes, do not apply, only the idle deadline. */
  gboolean no_login;
} RookProtocol;

/* Makes a protocol available to listeners. @protocol is constant. On undo its listeners close and its sessions are
 * drained first. Errors: %ROOK_PLUGIN_ERROR_CONTRACT. */
ROOK_EXPORT gboolean rook_plugin_add_protocol (RookPlugin *self, const RookProtocol *protocol, gpointer data,
                                               GError **error);

/* --- who is there ------------------------------------------------------------------------------------------------ */

ROOK_EXPORT RookServer *rook_connection_get_server (RookConnection *connection);
ROOK_EXPORT RookWorker *rook_connection_get_worker (RookConnection *connection);
/* Unique while the server runs, printable. */
ROOK_EXPORT const char *rook_connection_get_id (RookConnection *connection);
/* (nullable) NULL: outbound */
ROOK_EXPORT const RookProtocol *rook_connection_get_protocol (RookConnection *connection);
ROOK_EXPORT const char *rook_connection_get_listener (RookConnection *connection); /* instance name; (nullable) */
/* "192.0.2.1", "2001:db8::1", or "unix"; as the PROXY header says, if there was one, and "unknown" if that names no
 * client, or one that is local to the balancer. Port 0 for these two. */
ROOK_EXPORT const char *rook_connection_get_peer_address (RookConnection *connection);
ROOK_EXPORT guint16 rook_connection_get_peer_port (RookConnection *connection);
ROOK_EXPORT const char *rook_connection_get_local_address (RookConnection *connection);
ROOK_EXPORT guint16 rook_connection_get_local_port (RookConnection *connection);
ROOK_EXPORT gboolean rook_connection_is_unix (RookConnection *connection);
/* UNIX sockets too; by the address above: so nobody behind a balancer. */
ROOK_EXPORT gboolean rook_connection_is_loopback (RookConnection *connection);
/* Whether the peer lies in one of the networks ("192.0.2.0/24", "::1", "unix"). Who is unknown lies in none. */
ROOK_EXPORT gboolean rook_connection_peer_in (RookConnection *connection, const char *const *networks);
/* Whether a list such as rook_connection_peer_in() takes is well-formed, else the error names all that is not; for checking settings. */
ROOK_EXPORT gboolean rook_net_check_networks (const char *const *networks, GError **error);

/* TLS: version and cipher are %NULL while there is none. */
ROOK_EXPORT gboolean rook_connection_has_tls (RookConnection *connection);
/* The listener says starttls, and none is up yet. */
ROOK_EXPORT gboolean rook_connection_can_start_tls (RookConnection *connection);
ROOK_EXPORT const char *rook_connection_get_tls_version (RookConnection *connection); /* "TLSv1.3" */
ROOK_EXPORT const char *rook_connection_get_tls_cipher (RookConnection *connection);
ROOK_EXPORT guint rook_connection_get_tls_bits (RookConnection *connection);
/* The verified client certificate's name, for EXTERNAL; (nullable) */
ROOK_EXPORT const char *rook_connection_get_tls_peer_name (RookConnection *connection);

/* The person: until one is set the connection is bound by the limits before login (bytes, deadline). Fails with
 * %ROOK_NET_ERROR_LIMIT if the user has too many connections already. %NULL takes it back (UNAUTHENTICATE). */
ROOK_EXPORT gboolean rook_connection_set_identity (RookConnection *connection, RookIdentity *identity, GError **error);
ROOK_EXPORT RookIdentity *rook_connection_get_identity (RookConnection *connection); /* (nullable) (unowned) */
/* Since ABI 1.2: once `drain` was called, why, in words for the client: "Server is going down". (nullable) Constant. */
ROOK_EXPORT const char *rook_connection_get_farewell (RookConnection *connection);
/* What it is doing, for `rookctl status`: a constant string. */
ROOK_EXPORT void rook_connection_set_activity (RookConnection *connection, const char *activity);

/* --- input ------------------------------------------------------------------------------------------------------- */

/* The next @length bytes are given to `data`. 0 is allowed: `data` is called once, empty and last. */
ROOK_EXPORT void rook_connection_read_literal (RookConnection *connection, guint64 length);
/* Lines up to one with a single dot are given to `data`, unstuffed (RFC 5321 4.5.2). Only CRLF ends the text: a bare LF
 * before or after the dot does not. Pieces are bounded (64 KiB); a line may be cut anywhere. */
ROOK_EXPORT void rook_connection_read_dot (RookConnection *connection);
/* Everything from here on is given to `data` as it comes. */
ROOK_EXPORT void rook_connection_read_raw (RookConnection *connection);
/* No input is handed over until resumed (what arrives waits in the socket): while a command is being carried out. */
ROOK_EXPORT void rook_connection_pause (RookConnection *connection);
ROOK_EXPORT void rook_connection_resume (RookConnection *connection);
ROOK_EXPORT gboolean rook_connection_is_paused (RookConnection *connection);
/* The longest line, without line end, in bytes (default limits/line). */
ROOK_EXPORT void rook_connection_set_line_limit (RookConnection *connection, gsize bytes);
/* The idle deadline in ms (0: none); starts anew with every input and every output that the peer took. A paused
 * connection does not idle. */
ROOK_EXPORT void rook_connection_set_idle_timeout (RookConnection *connection, guint ms);

/* --- output ------------------------------------------------------------------------------------------------------ */

/* Appends to the output; small writes are gathered and sent when the handler returns. Never blocks, never fails: the
 * end of the connection is told by `closed`. An accepted connection hands over no input while more than limits/output-buffer
 * waits, so that a client that asks and does not read costs that much and one answer. */
ROOK_EXPORT void rook_connection_write (RookConnection *connection, gconstpointer data, gsize length);
ROOK_EXPORT void rook_connection_puts (RookConnection *connection, const char *text);
ROOK_EXPORT void rook_connection_printf (RookConnection *connection, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* The same without a copy of large data. */
ROOK_EXPORT void rook_connection_write_bytes (RookConnection *connection, GBytes *bytes);
/* Sends at once what was gathered. */
ROOK_EXPORT void rook_connection_flush (RookConnection *connection);
/* Whether more waits than the high mark (limits/output-buffer): stop producing, `drained` will be called. */
ROOK_EXPORT gboolean rook_connection_is_full (RookConnection *connection);
ROOK_EXPORT gsize rook_connection_get_pending (RookConnection *connection);

/* --- filters ----------------------------------------------------------------------------------------------------- */

/* What was written so far goes out in clear, whatever was received beyond this point in clear is thrown away, then the
 * handshake runs, then `ready`. Fails if TLS is up already or not configured. */
ROOK_EXPORT gboolean rook_connection_start_tls (RookConnection *connection, GError **error);
/* From here on both directions are DEFLATE (RFC 4978); what was written so far is not. */
ROOK_EXPORT gboolean rook_connection_start_deflate (RookConnection *connection, GError **error);
ROOK_EXPORT gboolean rook_connection_has_deflate (RookConnection *connection);
/* Puts the security layer that @exchange negotiated under the connection, if it did; else nothing. What was written so
 * far goes out without it. @exchange may be freed afterwards. */
ROOK_EXPORT void rook_connection_start_sasl_layer (RookConnection *connection, RookAuthExchange *exchange);

/* --- the end ----------------------------------------------------------------------------------------------------- */

ROOK_EXPORT void rook_connection_close (RookConnection *connection);
ROOK_EXPORT void rook_connection_abort (RookConnection *connection, GError *reason); /* (transfer full) (nullable) */

/* --- outbound ---------------------------------------------------------------------------------------------------- */

typedef enum { ROOK_TLS_NONE, ROOK_TLS_STARTTLS, ROOK_TLS_IMPLICIT } RookTlsMode;

typedef struct {
  gsize struct_size;
  const char *host; /* name, address, or path of a UNIX socket */
  guint16 port;
  RookTlsMode tls;
  const char *tls_group;    /* (nullable) instance of [tls NAME] with CA file, client certificate; NULL: [tls] */
  gboolean tls_no_verify;   /* default: certificate and name are verified */
  guint connect_timeout_ms; /* of resolving, connecting and the handshake together; 0: 30 s */
  guint idle_timeout_ms;    /* 0: none */
} RookConnectSpec;

/* Connects from the calling worker. `ready` is called when it is up, `closed` if it fails (and at its end). Names are
 * resolved in the pool; every address is tried in turn. Never %NULL, never calls back before it returns. */
ROOK_EXPORT RookConnection *rook_connection_connect (RookServer *server, const RookConnectSpec *spec,
                                                     const RookConnectionHandler *handler, gpointer session);

G_END_DECLS
