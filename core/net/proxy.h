/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The PROXY protocol, versions 1 and 2 (as HAProxy defines it): who the client behind a load balancer is.
 */
#pragma once

#include "net/address.h"

G_BEGIN_DECLS

#define ROOK_PROXY_MAX 4096 /* a longer header is refused */

typedef enum {
  ROOK_PROXY_MORE,  /* the beginning of a header: more bytes are needed */
  ROOK_PROXY_FOUND, /* it names both ends */
  ROOK_PROXY_LOCAL, /* it says that the balancer itself is asking, or does not know who is */
  ROOK_PROXY_BAD
} RookProxyResult;

/* Reads a header at the beginning of @data. *@out_length: with FOUND and LOCAL, its length; the rest is not looked at.
 * *@out_peer, *@out_local are set with FOUND only. */
RookProxyResult rook_proxy_parse (const guint8 *data, gsize length, gsize *out_length, RookAddress *out_peer,
                                  RookAddress *out_local);

G_END_DECLS
