/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What makes a TLS connection unlike any other, for SASL to be bound to: the same at both ends, unless somebody sits
 * between them.
 */
#pragma once

#include <glib.h>
#include <openssl/ssl.h>

G_BEGIN_DECLS

typedef enum {
  ROOK_TLS_UNIQUE,           /* RFC 5929 3 */
  ROOK_TLS_EXPORTER,         /* RFC 9266 */
  ROOK_TLS_SERVER_END_POINT, /* RFC 5929 4 */
  ROOK_TLS_N_BINDINGS
} RookTlsBinding;

/* As SASL spells them, by kind. */
extern const char *const rook_tls_binding_names[ROOK_TLS_N_BINDINGS];

/* (transfer full) (nullable): this connection has none of that kind. */
GBytes *rook_tls_binding_new (SSL *ssl, RookTlsBinding kind);

G_END_DECLS
