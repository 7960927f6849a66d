/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection from a load balancer: its PROXY header is read before anything else, and what was read beyond it is given
 * back, to TLS or the session.
 *
 * Nobody behind a balancer is local. A header without a client (UNKNOWN, or LOCAL of a health check), or with one that is
 * local to the balancer (loopback, a UNIX socket), leaves the peer unknown: such a session is like any other, but trusted
 * by no list of networks and not by way of loopback, whatever the balancer's own address is; all of them count as one
 * address.
 */
#include "net/connection.h"
#include "net/proxy.h"

static void
refuse (RookConnection *self)
{
  rook_connection_refuse (self, ROOK_REFUSAL_BAD_PROXY, self->net->metrics.refused_proxy);
  rook_connection_fail_with (self, ROOK_NET_ERROR_IO, "no PROXY header, or a broken one");
}

/* Returns: %FALSE if nothing new has come (or it has failed). */
static gboolean
read_some (RookConnection *self, guint8 room[ROOK_PROXY_MAX], gsize *have)
{
  gsize length = 0;
  GError *error = NULL;

  switch (rook_filter_read (&self->socket.filter, room + *have, ROOK_PROXY_MAX - *have, &length, &error))
    {
    case ROOK_FILTER_OK:
      *have += length;
      return TRUE;
    case ROOK_FILTER_AGAIN:
      return FALSE;
    case ROOK_FILTER_EOF:
      rook_connection_fail_with (self, ROOK_NET_ERROR_CLOSED, "the peer closed before its PROXY header");
      return FALSE;
    default:
      rook_connection_fail (self, error);
      return FALSE;
    }
}

static void
set_addresses (RookConnection *self, RookProxyResult result, const RookAddress *peer, const RookAddress *local)
{
  if (result == ROOK_PROXY_LOCAL || rook_address_is_loopback (peer))
    {
      rook_address_set (&self->peer, AF_UNSPEC, NULL, 0);
      return;
    }
  self->peer = *peer;
  self->local = *local;
}

void
rook_connection_read_proxy (RookConnection *self)
{
  guint8 room[ROOK_PROXY_MAX];
  gsize have = 0, used = 0;
  RookProxyResult result = ROOK_PROXY_MORE;
  RookAddress peer = { 0 }, local = { 0 };

  while (result == ROOK_PROXY_MORE && have < sizeof room && read_some (self, room, &have))
    result = rook_proxy_parse (room, have, &used, &peer, &local);
  if (self->error != NULL)
    return;
  if (result == ROOK_PROXY_BAD || (result == ROOK_PROXY_MORE && have == sizeof room))
    {
      refuse (self);
      return;
    }
  if (result == ROOK_PROXY_MORE)
    used = 0; /* all of it is read again with what is still to come */
  rook_socket_unread (&self->socket, g_bytes_new (room + used, have - used));
  if (result == ROOK_PROXY_MORE)
    return;
  set_addresses (self, result, &peer, &local);
  rook_connection_accept (self);
}
