/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * TLS as a filter. Made before the handshake; until that has succeeded nothing may be read or written through it.
 */
#pragma once

#include "net/filter.h"
#include "net/tls-binding.h"
#include "net/tls-context.h"

G_BEGIN_DECLS

/* @group: (nullable) instance of [tls NAME]; @alpn: (nullable) the one protocol we speak here, constant. Returns: %NULL
 * if the group has no certificate. */
RookFilter *rook_tls_filter_new_server (RookFilter *lower, RookTlsStore *store, const char *group, const char *alpn,
                                        GError **error);
/* @host: a name or an address, sent as SNI (names only) and verified unless @no_verify. May read files. */
RookFilter *rook_tls_filter_new_client (RookFilter *lower, RookTlsStore *store, const char *group, const char *host,
                                        gboolean no_verify, GError **error);

/* OK: it is up. */
RookFilterResult rook_tls_filter_handshake (RookFilter *filter, GError **error);

const char *rook_tls_filter_get_version (RookFilter *filter);
const char *rook_tls_filter_get_cipher (RookFilter *filter);
guint rook_tls_filter_get_bits (RookFilter *filter);
GBytes *rook_tls_filter_get_binding (RookFilter *filter, RookTlsBinding kind); /* (transfer full) (nullable) */
gboolean rook_tls_filter_is_resumed (RookFilter *filter);
/* (nullable) The verified peer's name, as the group's client-name says; valid as long as the filter. */
const char *rook_tls_filter_get_peer_name (RookFilter *filter);

G_END_DECLS
