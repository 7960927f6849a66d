/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parsing PROXY headers: see proxy.h. Pure, no sockets; proxy-header.c reads one from a connection.
 */
#include "net/proxy.h"

#include <string.h>

static const guint8 v2_signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };
#define V1_PREFIX "PROXY "
#define V1_MAX 107 /* with CRLF */
#define V2_HEAD 16

/* --- version 1: a line ---------------------------------------------------------------------------------------------------- */

static gboolean
parse_port (const char *text, guint16 *port)
{
  guint64 number;

  if (text[0] == '0' && text[1] != '\0')
    return FALSE;
  if (!g_ascii_string_to_unsigned (text, 10, 0, 65535, &number, NULL))
    return FALSE;
  *port = number;
  return TRUE;
}

static RookProxyResult
parse_v1_line (const char *line, RookAddress *out_peer, RookAddress *out_local)
{
  g_auto (GStrv) words = g_strsplit (line, " ", 7);
  RookAddress peer, local;
  guint16 peer_port, local_port;
  int family;

  if (g_strcmp0 (words[1], "UNKNOWN") == 0)
    return ROOK_PROXY_LOCAL;
  if (g_strv_length (words) != 6)
    return ROOK_PROXY_BAD;
  family = g_str_equal (words[1], "TCP4") ? AF_INET : g_str_equal (words[1], "TCP6") ? AF_INET6 : 0;
  if (family == 0 || !parse_port (words[4], &peer_port) || !parse_port (words[5], &local_port)
      || (strchr (words[2], ':') != NULL) != (family == AF_INET6)
      || (strchr (words[3], ':') != NULL) != (family == AF_INET6) || !rook_address_parse (&peer, words[2], peer_port)
      || !rook_address_parse (&local, words[3], local_port))
    return ROOK_PROXY_BAD;
  *out_peer = peer;
  *out_local = local;
  return ROOK_PROXY_FOUND;
}

static RookProxyResult
parse_v1 (const guint8 *data, gsize length, gsize *out_length, RookAddress *out_peer, RookAddress *out_local)
{
  const guint8 *lf = memchr (data, '\n', MIN (length, V1_MAX));
  gsize text = lf != NULL ? (gsize) (lf - data) : 0;
  char line[V1_MAX];

  if (lf == NULL)
    return length < V1_MAX ? ROOK_PROXY_MORE : ROOK_PROXY_BAD;
  if (data[text - 1] != '\r' || memchr (data, '\0', text) != NULL)
    return ROOK_PROXY_BAD;
  memcpy (line, data, text - 1);
  line[text - 1] = '\0';
  *out_length = text + 1;
  return parse_v1_line (line, out_peer, out_local);
}

/* --- version 2: binary ---------------------------------------------------------------------------------------------------- */

static guint16
get_u16 (const guint8 *data)
{
  return data[0] << 8 | data[1];
}

static RookProxyResult
parse_v2_addresses (const guint8 *data, gsize length, guint8 family, RookAddress *out_peer, RookAddress *out_local)
{
  switch (family)
    {
    case 0x11: /* TCP over IPv4 */
      if (length < 12)
        return ROOK_PROXY_BAD;
      rook_address_set (out_peer, AF_INET, data, get_u16 (data + 8));
      rook_address_set (out_local, AF_INET, data + 4, get_u16 (data + 10));
      return ROOK_PROXY_FOUND;
    case 0x21: /* TCP over IPv6 */
      if (length < 36)
        return ROOK_PROXY_BAD;
      rook_address_set (out_peer, AF_INET6, data, get_u16 (data + 32));
      rook_address_set (out_local, AF_INET6, data + 16, get_u16 (data + 34));
      return ROOK_PROXY_FOUND;
    case 0x31: /* UNIX stream: the paths say nothing to us */
      if (length < 216)
        return ROOK_PROXY_BAD;
      rook_address_set (out_peer, AF_UNIX, NULL, 0);
      rook_address_set (out_local, AF_UNIX, NULL, 0);
      return ROOK_PROXY_FOUND;
    case 0x00: /* the balancer does not know */
      return ROOK_PROXY_LOCAL;
    default: /* datagrams, or nothing we know */
      return ROOK_PROXY_BAD;
    }
}

static RookProxyResult
parse_v2 (const guint8 *data, gsize length, gsize *out_length, RookAddress *out_peer, RookAddress *out_local)
{
  gsize rest;

  if (length < V2_HEAD)
    return ROOK_PROXY_MORE;
  rest = get_u16 (data + 14);
  if (data[12] >> 4 != 2 || (data[12] & 0xf) > 1 || V2_HEAD + rest > ROOK_PROXY_MAX)
    return ROOK_PROXY_BAD;
  if (length < V2_HEAD + rest)
    return ROOK_PROXY_MORE;
  *out_length = V2_HEAD + rest; /* with TLVs, which are skipped */
  if ((data[12] & 0xf) == 0)
    return ROOK_PROXY_LOCAL;
  return parse_v2_addresses (data + V2_HEAD, rest, data[13], out_peer, out_local);
}

RookProxyResult
rook_proxy_parse (const guint8 *data, gsize length, gsize *out_length, RookAddress *out_peer, RookAddress *out_local)
{
  gsize v1 = MIN (length, strlen (V1_PREFIX));
  gsize v2 = MIN (length, sizeof v2_signature);

  if (length == 0)
    return ROOK_PROXY_MORE;
  if (memcmp (data, V1_PREFIX, v1) == 0)
    return v1 < strlen (V1_PREFIX) ? ROOK_PROXY_MORE : parse_v1 (data, length, out_length, out_peer, out_local);
  if (memcmp (data, v2_signature, v2) == 0)
    return v2 < sizeof v2_signature ? ROOK_PROXY_MORE : parse_v2 (data, length, out_length, out_peer, out_local);
  return ROOK_PROXY_BAD;
}
