/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The network service as the rest of the core sees it.
 *
 * Start: rook_net_new() reads the settings, rook_net_bind() opens the sockets while the process may still be root,
 * and once protocols are registered rook_net_listen() lets clients in. All on the main worker.
 */
#pragma once

#include "net/tls-binding.h"
#include "rookery/net.h"

G_BEGIN_DECLS

typedef struct RookNet RookNet;

RookNet *rook_server_get_net (RookServer *server);

/* [listener NAME], [tls], [tls NAME], [limits] */
extern const RookConfigSchema rook_net_schemas[];

RookNet *rook_net_new (RookServer *server);
/* Ends all connections at once (`closed` is called on their workers), waits for that, closes the sockets. */
void rook_net_free (RookNet *net);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookNet, rook_net_free)

/* Addresses and networks well-formed, no two listeners on one address, certificates and keys readable, fitting each
 * other, and with an owner and mode that keep the key secret. Reads files; opens no sockets. @net: (nullable): the one
 * that runs, and may have read as root what can't be read again. */
void rook_net_check (RookNet *net, RookConfig *config, GPtrArray *mistakes);
/* The same of what is no mistake but wants mending: certificates whose time is not now. */
void rook_net_warn (RookNet *net, RookConfig *config, GPtrArray *warnings);

/* Binds the sockets of every enabled listener, without listening. An address without a port whose protocol is not
 * registered yet gets the port that the system's list of services (services(5)) has for it, or waits for
 * rook_net_listen(). Fails at the first that can't be bound, naming it. */
gboolean rook_net_bind (RookNet *net, GError **error);
/* From now on listeners whose protocol is there take connections. What can't be bound only now is logged, and so is a
 * protocol that nobody has registered. */
void rook_net_listen (RookNet *net);

/* For a reload that is all or nothing: binds what @config has and the configuration in force has not, and reads
 * certificates. Failures become mistakes. What was prepared is kept until rook_net_reconfigure() or rook_net_abandon(). */
void rook_net_prepare (RookNet *net, RookConfig *config, GPtrArray *mistakes);
/* Once the plugins of @config run: binds what could not be bound before, for want of a protocol's port. */
gboolean rook_net_prepare_late (RookNet *net, GError **error);
void rook_net_abandon (RookNet *net);
/* Adds what a reload does to listeners: "added listener imap", "removed ...", "moved ...", "changed ...". */
void rook_net_describe_changes (RookConfig *before, RookConfig *after, GPtrArray *changes);
/* Adds the certificates that rook_net_prepare() read anew since their files have changed. */
void rook_net_describe_renewed (RookNet *net, GPtrArray *changes);
/* Takes @config: listeners come, go and change; nobody's connection notices, and whoever waits to be let in is. What was
 * not prepared and fails is logged. */
void rook_net_reconfigure (RookNet *net, RookConfig *config);

/* The server stops: closes all listeners, tells all sessions to finish. */
void rook_net_drain (RookNet *net);
/* The drain deadline has passed: ends what is left. */
void rook_net_abort_all (RookNet *net);
/* Accepted connections that are not over. Any thread. */
guint rook_net_get_n_connections (RookNet *net);

/* What a SASL exchange over @connection may be bound to. (transfer full) (nullable): it has nothing of that kind. */
GBytes *rook_connection_get_tls_binding (RookConnection *connection, RookTlsBinding kind);

/* The port that listener @name is bound to (its first TCP address): for tests with port 0. 0: none. */
guint16 rook_net_get_port (RookNet *net, const char *name);

G_END_DECLS
