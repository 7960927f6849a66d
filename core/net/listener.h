/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sockets that listen. All of it belongs to the main worker.
 */
#pragma once

#include <sys/stat.h>

#include "net/address.h"
#include "net/internal.h"

G_BEGIN_DECLS

struct RookListeners {
  RookNet *net;        /* (unowned) */
  GPtrArray *sockets;  /* (element-type RookListenSocket) (owned) in use */
  GPtrArray *planned;  /* (owned) (nullable) prepared for the next configuration */
  GPtrArray *gone;     /* (element-type RookListenSocket) (owned) (nullable) no longer in use, but not closed yet */
  GHashTable *systemd; /* (owned) name to GPtrArray of RookSystemdSocket (owned) */
  int reserve_fd;      /* (owned) given up when there are no descriptors left, to turn somebody away with */
  RookTimer pause;     /* accepting waits for it */
  RookTimer retry;     /* what could not listen tries again */
  gint64 complained_ms;
};

typedef struct {
  RookListeners *owner;   /* (unowned) */
  RookListener *listener; /* (owned) */
  RookPlace place;        /* (owned) numeric */
  char *key;              /* (owned) what it is known by */
  int fd;                 /* (owned) -1: not bound */
  gboolean optional;      /* the address family may be missing on this machine */
  gboolean listening;
  gboolean failing; /* it should listen and can't; tried again from time to time */
  gboolean going;   /* the planned configuration has it no more: it makes way for what is bound in its place */
  gboolean sharing; /* TCP: bound beside one that is going, or going beside one */
  RookWatch *watch; /* (owned) (nullable) */
  char *staged;     /* (owned) (nullable) UNIX: where it lies until it takes the place of one that is going */
  dev_t device;     /* of a UNIX socket's file, to know it again */
  ino_t inode;
} RookListenSocket;

/* What systemd handed over. Its descriptor stays open, whatever the configuration becomes: the socket is systemd's too. */
typedef struct {
  RookListeners *owner; /* (unowned) */
  int fd;
  RookWatch *refusing; /* (owned) (nullable) while no listener takes its connections */
} RookSystemdSocket;

/* (transfer full) What it is known by: two of one key are the same socket. */
char *rook_listen_socket_key (const RookListener *listener, const RookPlace *place);
/* Whether it is what @listener wants it to be: a UNIX socket's mode and group are given once. */
gboolean rook_listen_socket_fits (const RookListenSocket *socket, const RookListener *listener);
/* Of a UNIX socket: whether somebody has taken its file away. */
gboolean rook_listen_socket_is_lost (const RookListenSocket *socket);
/* Of a UNIX socket: whether the file at @path is its. */
gboolean rook_listen_socket_lies_at (const RookListenSocket *socket, const char *path);
RookListenSocket *rook_listen_socket_new (RookListeners *owner, RookListener *listener, const RookPlace *place);
void rook_listen_socket_free (RookListenSocket *socket);
void rook_listen_socket_set_listener (RookListenSocket *socket, RookListener *listener);
/* Succeeds without doing anything if the port is not known yet. What is in the way may be one of ours that is going. */
gboolean rook_listen_socket_bind (RookListenSocket *socket, GError **error);
/* Listens and accepts; binds first if that is still to be done. */
gboolean rook_listen_socket_start (RookListenSocket *socket, GError **error);
/* Connections are refused from here on; the place stays ours. */
void rook_listen_socket_stop (RookListenSocket *socket);
/* It is alone from now on: whatever it was bound beside, or in the place of, has gone or has stayed. */
void rook_listen_socket_settle (RookListenSocket *socket);
/* Whether both would get the same connections; for TCP sockets that are bound. */
gboolean rook_listen_socket_overlaps (RookListenSocket *a, RookListenSocket *b);
guint16 rook_listen_socket_get_port (RookListenSocket *socket);

/* --- listen-systemd.c --- */
void rook_systemd_take (RookListeners *listeners);
guint rook_systemd_count (RookListeners *listeners, const char *name);
/* A copy of the descriptor that @place means. Returns: -1 and @error if there is none, or it is no stream socket. */
int rook_systemd_dup (RookListeners *listeners, const RookPlace *place, GError **error);
/* Before they are taken: whether there is one of this name, or it can't be known. */
gboolean rook_systemd_check (const char *name, GError **error);
/* Lets no client wait for a listener that is not there. */
void rook_systemd_update (RookListeners *listeners);
/* Says which of them are no listener's. */
void rook_systemd_warn_unused (RookListeners *listeners);
void rook_systemd_free (RookListeners *listeners);

/* Whether another UNIX socket of ours that stays, be it that it does not listen yet, lies at the place of @socket. */
gboolean rook_listeners_hold (RookListeners *listeners, const RookListenSocket *socket);
/* 0: not known (yet) */
guint16 rook_listener_default_port (RookNet *net, const RookListener *listener);

void rook_accept_init (RookListeners *listeners);
void rook_accept_clear (RookListeners *listeners);
/* A listening socket has somebody for us. */
void rook_accept_ready (RookIo ready, gpointer socket);
/* Takes in whoever still waits at a socket that is about to be closed. */
void rook_accept_last (RookListenSocket *socket);
/* Somebody comes to a socket of systemd's (a RookSystemdSocket) that serves nobody now. */
void rook_accept_refuse (RookIo ready, gpointer systemd_socket);

G_END_DECLS
