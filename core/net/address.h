/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Addresses as the network service keeps them: small, comparable, with their text beside them; and lists of networks.
 */
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>

#include "rookery/macros.h"

G_BEGIN_DECLS

/* One end of a connection. An IPv4 address mapped into IPv6 is kept as IPv4. */
typedef struct {
  guint8
      family;   /* AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC: unknown, "unknown", which is not loopback and in no network */
  guint16 port; /* 0: AF_UNIX, AF_UNSPEC */
  guint8 ip[16]; /* the first 4 of them: AF_INET; zero otherwise */
  char text[INET6_ADDRSTRLEN];
} RookAddress;

/* @ip: (nullable) with AF_UNIX and AF_UNSPEC */
void rook_address_set (RookAddress *address, int family, const guint8 *ip, guint16 port);
/* What is neither IPv4 nor IPv6 becomes AF_UNIX. */
void rook_address_from_sockaddr (RookAddress *address, const struct sockaddr *sockaddr);
/* Text without a port, "192.0.2.1" or "2001:db8::1". Returns: %FALSE if it is neither. */
gboolean rook_address_parse (RookAddress *address, const char *text, guint16 port);
gboolean rook_address_is_loopback (const RookAddress *address);

/* A list of networks: "192.0.2.0/24", "::1", "unix". Immutable. */
typedef struct RookNetworks RookNetworks;
/* The error names every one that is none. */
RookNetworks *rook_networks_new (const char *const *list, GError **error);
void rook_networks_free (RookNetworks *networks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookNetworks, rook_networks_free)
/* @networks: (nullable) NULL: none */
gboolean rook_networks_contain (const RookNetworks *networks, const RookAddress *address);

/* Where a listener listens, as written in the configuration. */
typedef enum { ROOK_PLACE_TCP, ROOK_PLACE_UNIX, ROOK_PLACE_SYSTEMD } RookPlaceKind;
typedef struct {
  RookPlaceKind kind;
  char *host;   /* (owned) TCP: numeric, or "*"; UNIX: the path; systemd: the name */
  guint16 port; /* TCP; systemd: which of those with that name */
  gboolean has_port;
} RookPlace;

/* "127.0.0.1:143", "[::1]:143", "*:993", "*", "/path/sock", "systemd:NAME". */
gboolean rook_place_parse (const char *text, RookPlace *out_place, GError **error);
void rook_place_clear (RookPlace *place);
/* Whether both would get the same connections, however the paths of UNIX sockets are written. The ports are those of TCP places as they have become known: 0, not yet. */
gboolean rook_places_overlap (const RookPlace *a, guint16 a_port, const RookPlace *b, guint16 b_port);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (RookPlace, rook_place_clear)

G_END_DECLS
