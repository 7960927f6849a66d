/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection's insides, shared by the files that are about one.
 *
 * A connection moves by being run (rook_connection_run()): when its socket is ready, when a timer fires, or when
 * somebody scheduled it. A run does whatever can be done in the phase it is in, calls the handler, sends what was
 * written and says what to wait for. The handler is only called from within a run; runs don't nest.
 */
#pragma once

#include "net/filter.h"
#include "net/input.h"
#include "net/internal.h"
#include "net/output.h"

G_BEGIN_DECLS

typedef enum {
  ROOK_PHASE_CONNECTING, /* outbound: resolving, connecting */
  ROOK_PHASE_PROXY,      /* waiting for a PROXY header */
  ROOK_PHASE_HANDSHAKE,  /* TLS */
  ROOK_PHASE_OPEN,
  ROOK_PHASE_CLOSING,   /* the handler closed: output is being flushed */
  ROOK_PHASE_LINGERING, /* over for the handler; the peer gets a moment to read what we sent */
  ROOK_PHASE_DEAD
} RookPhase;

typedef struct RookConnect RookConnect; /* connect.c: an outbound connection that is not up */

struct RookConnection {
  RookNet *net;                         /* (unowned) */
  RookNetWorker *home;                  /* (unowned) */
  RookNetProtocol *protocol;            /* (owned) (nullable) NULL: outbound */
  RookListener *listener;               /* (owned) (nullable) */
  RookPlugin *plugin;                   /* (owned) (nullable) a reference while we are there */
  const RookConnectionHandler *handler; /* (unowned) the protocol's or connector's */
  gpointer session;                     /* (unowned) the handler's */
  GList link, scheduled_link;           /* in home's queues */
  char id[16];

  RookSocket socket;
  RookFilter *read_top, *write_top; /* (unowned) the socket, or the last of filters */
  GSList *filters;                  /* (element-type RookFilter) (owned) the highest first */
  RookFilter *tls;                  /* (unowned) (nullable) one of filters */
  gboolean tls_up, deflate;
  RookWatch *watch;     /* (owned) (nullable) */
  RookConnect *connect; /* (owned) (nullable) */

  RookPhase phase;
  GError *error;           /* (owned) (nullable) why it ends, now */
  GError *reason;          /* (owned) (nullable) why it ends once output is flushed */
  RookFilter *tls_pending; /* (owned) (nullable) what the mark of a STARTTLS stands for */
  RookInput input;
  RookOutput output;
  RookBucket bucket;
  guint paused : 1;
  guint held : 1; /* too much output waits: no input until it has drained */
  guint scheduled : 1;
  guint running : 1; /* within rook_connection_run() */
  guint opened : 1;  /* there is a session */
  guint eof : 1;
  guint tls_wanted : 1; /* TLS begins once the mark is reached: no input until then */
  guint want_drained : 1;
  guint drain_told : 1;
  guint counted_address : 1;
  guint counted_listener : 1;
  guint more : 1;                 /* the run stopped for others' sake: run again */
  guint flushed : 1;              /* the last pump of output left nothing behind */
  guint hangup : 1, readable : 1; /* what the loop reported for this run */
  guint reading : 1;              /* the watch asks for input */

  RookTimer timer; /* for the nearest of these, in ms of the worker's clock; 0: none */
  gint64 login_due, write_due, linger_due, delay_due, connect_due, drain_due;
  gint64 armed_ms; /* when the timer, if it runs, fires */
  gsize linger_left;
  guint idle_ms;
  gint64 active_ms; /* when the peer last did something */
  gint64 since_ms;

  guint64 before_login;      /* bytes received before there was an identity */
  guint64 told_in, told_out; /* of the socket's bytes: what metrics know */
  RookIdentity *identity;    /* (owned) (nullable) */
  const char *activity;      /* (nullable) constant */
  const char *farewell;      /* (nullable) constant: it is to drain, and why */
  RookAddress peer, local;
};

/* @fd: (transfer full), -1: none yet. Its addresses are set by the caller. It has no watch and is not in a queue. */
RookConnection *rook_connection_new (RookNetWorker *home, int fd);
/* An accepted one begins, on its worker. */
void rook_connection_start (gpointer connection);
/* Its peer's address is known: counts it, then lets it in. */
void rook_connection_accept (RookConnection *connection);
/* Frees one that never began. */
void rook_connection_discard (RookConnection *connection);
/* Turns away one that has no session yet, and counts it. */
void rook_connection_refuse (RookConnection *connection, RookRefusal reason, RookCounter *counter);

/* It is to say good-bye and end, and may be told @farewell as the reason. The first one counts. */
void rook_connection_drain (RookConnection *connection, const char *farewell);
/* Runs it soon, from the loop. */
void rook_connection_schedule (RookConnection *connection);
void rook_connection_run (RookConnection *connection);
/* It is to end with @error (transfer full), in this run or one scheduled. The first reason counts. */
void rook_connection_fail (RookConnection *connection, GError *error);
void rook_connection_fail_with (RookConnection *connection, RookNetError code, const char *message);
/* The socket is connected: watches it. Fails it otherwise. */
void rook_connection_watch (RookConnection *connection);
/* Begins TLS, PHASE_HANDSHAKE, on a stack without filters. @filter: (transfer full) */
void rook_connection_begin_tls (RookConnection *connection, RookFilter *filter);
/* Once all below is up: the session, or `ready`. */
void rook_connection_open (RookConnection *connection);

/* --- pump.c --- */
gboolean rook_connection_wants_input (RookConnection *connection);
void rook_connection_pump_input (RookConnection *connection);
/* Sends what can be sent; calls nobody. */
void rook_connection_pump_output (RookConnection *connection);
gboolean rook_connection_is_flushed (RookConnection *connection);

/* --- deadline.c --- */
void rook_deadline_init (RookConnection *connection);
void rook_deadline_touch (RookConnection *connection); /* the peer did something */
/* Deals with what has passed; in a run. */
void rook_deadline_check (RookConnection *connection);
void rook_deadline_expire (RookConnection *connection, RookDeadline deadline, RookNetError code, const char *message);
void rook_deadline_update (RookConnection *connection);
gint64 rook_connection_now (RookConnection *connection);

/* --- proxy-header.c, connect.c --- */
void rook_connection_read_proxy (RookConnection *connection);
void rook_connect_run (RookConnection *connection);
void rook_connect_free (RookConnect *connect);
RookFilter *rook_connect_new_tls (RookConnection *connection, GError **error);
void rook_connect_up (RookConnection *connection);

G_END_DECLS
