/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the network service share: the service itself, its part on each worker, protocols, and the
 * settings of a listener as its connections keep them.
 */
#pragma once

#include "net/limits.h"
#include "net/net-private.h"
#include "net/room.h"
#include "net/tls-context.h"
#include "rookery/log.h"
#include "rookery/metrics.h"

G_BEGIN_DECLS

#define ROOK_READ_LINES 16384 /* how much is read at once while lines are wanted */
#define ROOK_READ_DATA 65536  /* while literals, text or raw bytes are */

/* A protocol that a plugin registered. Reference counted, any thread. */
typedef struct {
  gint ref_count;
  char *name;                   /* (owned) outlives the plugin's own */
  const RookProtocol *protocol; /* (unowned) the plugin's */
  gpointer data;                /* (unowned) the plugin's */
  RookPlugin *plugin;           /* (unowned) (nullable) each connection holds a reference of its own */
  RookNet *net;                 /* (unowned) */
  gint draining;                /* atomic */
  RookGauge *now;
  RookCounter *total;
} RookNetProtocol;

RookNetProtocol *rook_net_protocol_ref (RookNetProtocol *protocol);
void rook_net_protocol_unref (RookNetProtocol *protocol);
/* What rook_plugin_add_protocol() comes down to; tests use it without a plugin. */
RookNetProtocol *rook_net_add_protocol (RookNet *net, const RookProtocol *protocol, gpointer data);
/* (nullable) Main worker. */
RookNetProtocol *rook_net_find_protocol (RookNet *net, const char *name);

/* What [listener NAME] says. Immutable, reference counted, any thread. */
typedef struct {
  gint ref_count;
  char *name, *protocol, *tls_group; /* (owned); tls_group (nullable) */
  RookTlsMode tls;
  RookTlsStore *store;      /* (owned) */
  RookNetworks *proxy_from; /* (owned) (nullable) */
  guint mode, backlog, max_connections;
  char *socket_group; /* (owned) (nullable) */
} RookListener;

RookListener *rook_listener_ref (RookListener *listener);
void rook_listener_unref (RookListener *listener);

typedef struct RookNetWorkers RookNetWorkers;

/* The part of the service on one worker; all of it that worker's own but what is marked. */
typedef struct {
  RookNet *net;              /* (unowned) */
  RookWorker *worker;        /* (unowned) */
  RookNetWorkers *all;       /* (unowned) what we are in */
  gint n_connections;        /* atomic: with those on their way here */
  RookNetSettings *settings; /* (owned) */
  RookTlsStore *tls;         /* (owned) for outbound connections */
  GQueue connections;        /* (element-type RookConnection) by their own link */
  GQueue scheduled;          /* (element-type RookConnection) by their own link */
  gboolean scheduled_invoked;
  guint8 *buffer; /* (owned) (nullable) of ROOK_READ_DATA bytes, for whoever reads now */
} RookNetWorker;

struct RookNetWorkers {
  gint ref_count; /* atomic */
  RookNetWorker list[];
};

typedef struct {
  RookCounter *bytes_in, *bytes_out, *handshakes, *handshakes_resumed, *handshakes_failed, *delayed;
  RookCounter *refused_many, *refused_address, *refused_unserved, *refused_proxy, *refused_user, *refused_descriptors;
  RookGauge *outbound_now;
  RookCounter *outbound_total;
} RookNetMetrics;

typedef struct RookListeners RookListeners;

struct RookNet {
  RookServer *server; /* (unowned) */
  RookLog *log;       /* (unowned) */
  RookLoop *loop;     /* (unowned) */
  RookNetMetrics metrics;
  RookTally *by_address, *by_user, *by_listener; /* (owned) */
  gint n_accepted;                               /* atomic: accepted connections that are not over */
  gint64 next_id;                                /* atomic */
  guint n_workers;                               /* with the main worker, which is the last */
  RookNetWorkers *all_workers;                   /* (owned) */
  RookNetWorker *workers;                        /* the list in it */

  /* Main worker only: */
  RookNetSettings *settings; /* (owned) */
  RookTlsStore *tls;         /* (owned) */
  RookTlsStore *next_tls;    /* (owned) (nullable) prepared */
  GHashTable *protocols;     /* (owned) name to RookNetProtocol (owned) */
  RookListeners *listeners;  /* (owned) */
  RookRoom room;
  gboolean listening, stopping;
};

/* The part on the calling worker. */
RookNetWorker *rook_net_get_worker (RookNet *net);
/* There is something in its `scheduled`. */
void rook_net_worker_wake (RookNetWorker *worker);
/* Where the next accepted connection goes. */
RookNetWorker *rook_net_get_quietest_worker (RookNet *net);

/* Calls @func on every connection there is, each on its worker, soon. @func may end it. */
typedef void (*RookNetEach) (RookConnection *connection, gpointer data);
/* @data: (transfer full) */
void rook_net_each_connection (RookNet *net, RookNetEach func, gpointer data, GDestroyNotify destroy);

/* --- listener.c, accept.c ------------------------------------------------------------------------------------------ */

RookListeners *rook_listeners_new (RookNet *net);
void rook_listeners_free (RookListeners *listeners);
/* Binds what @config has and we have not; on success nothing is in use yet. */
void rook_listeners_prepare (RookListeners *listeners, RookConfig *config, RookTlsStore *store, GPtrArray *mistakes);
void rook_listeners_abandon (RookListeners *listeners);
/* Binds what was prepared and could not be bound then, since nobody knew the protocol's port. */
void rook_listeners_prepare_late (RookListeners *listeners, GPtrArray *mistakes);
/* Puts what was prepared in the place of what is; what is not wanted any more serves on until rook_listeners_settle(). */
void rook_listeners_commit (RookListeners *listeners);
void rook_listeners_settle (RookListeners *listeners);
/* Starts and stops listening as protocols, and the service, are there or not. */
void rook_listeners_update (RookListeners *listeners);
/* Says which listeners stay closed because nobody has registered their protocol: a slip in the name, most likely. */
void rook_listeners_warn_unserved (RookListeners *self);
void rook_listeners_close_all (RookListeners *listeners);
guint16 rook_listeners_get_port (RookListeners *listeners, const char *name);
GVariant *rook_listeners_describe (RookListeners *listeners);

void rook_net_add_verbs (RookNet *net);

G_END_DECLS
