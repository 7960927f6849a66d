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
  GHashTable *systemd; /* (owned) name to GArray of descriptors (owned) */
  int reserve_fd;      /* (owned) given up when there are no descriptors left, to turn somebody away with */
  RookTimer pause;     /* accepting waits for it */
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
  RookWatch *watch; /* (owned) (nullable) */
  dev_t device;     /* of a UNIX socket's file, to know it again */
  ino_t inode;
} RookListenSocket;

/* (transfer full) */
char *rook_listen_socket_key (const RookListener *listener, const RookPlace *place);
RookListenSocket *rook_listen_socket_new (RookListeners *owner, RookListener *listener, const RookPlace *place);
void rook_listen_socket_free (RookListenSocket *socket);
void rook_listen_socket_set_listener (RookListenSocket *socket, RookListener *listener);
/* Succeeds without doing anything if the port is not known yet. */
gboolean rook_listen_socket_bind (RookListenSocket *socket, GError **error);
/* Listens and accepts; binds first if that is still to be done. */
gboolean rook_listen_socket_start (RookListenSocket *socket, GError **error);
/* Connections are refused from here on; a TCP port stays ours. */
void rook_listen_socket_stop (RookListenSocket *socket);
guint16 rook_listen_socket_get_port (RookListenSocket *socket);
/* What systemd handed over (LISTEN_FDS), by name; (transfer full) */
GHashTable *rook_listen_take_systemd_sockets (void);
guint rook_listen_count_systemd_sockets (RookListeners *listeners, const char *name);

/* 0: not known (yet) */
guint16 rook_listener_default_port (RookNet *net, const RookListener *listener);

void rook_accept_init (RookListeners *listeners);
void rook_accept_clear (RookListeners *listeners);
/* A listening socket has somebody for us. */
void rook_accept_ready (RookIo ready, gpointer socket);

G_END_DECLS
