/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who is at the other end of a connection, and who they are taken for.
 */
#include "net/connection.h"

#include "net/filter-tls.h"

G_DEFINE_QUARK (rook - net - error - quark, rook_net_error)

RookServer *
rook_connection_get_server (RookConnection *self)
{
  return self->net->server;
}

RookWorker *
rook_connection_get_worker (RookConnection *self)
{
  return self->home->worker;
}

const char *
rook_connection_get_id (RookConnection *self)
{
  return self->id;
}

const RookProtocol *
rook_connection_get_protocol (RookConnection *self)
{
  return self->protocol != NULL ? self->protocol->protocol : NULL;
}

const char *
rook_connection_get_listener (RookConnection *self)
{
  return self->listener != NULL ? self->listener->name : NULL;
}

const char *
rook_connection_get_peer_address (RookConnection *self)
{
  return self->peer.text;
}

guint16
rook_connection_get_peer_port (RookConnection *self)
{
  return self->peer.port;
}

const char *
rook_connection_get_local_address (RookConnection *self)
{
  return self->local.text;
}

guint16
rook_connection_get_local_port (RookConnection *self)
{
  return self->local.port;
}

gboolean
rook_connection_is_unix (RookConnection *self)
{
  return self->peer.family == AF_UNIX;
}

gboolean
rook_connection_is_loopback (RookConnection *self)
{
  return rook_address_is_loopback (&self->peer);
}

gboolean
rook_connection_peer_in (RookConnection *self, const char *const *networks)
{
  g_autoptr (RookNetworks) parsed = rook_networks_new (networks, NULL);

  return rook_networks_contain (parsed, &self->peer);
}

/* --- TLS ------------------------------------------------------------------------------------------------------------------ */

gboolean
rook_connection_has_tls (RookConnection *self)
{
  return self->tls_up;
}

gboolean
rook_connection_can_start_tls (RookConnection *self)
{
  return self->listener != NULL && self->listener->tls == ROOK_TLS_STARTTLS && !self->tls_wanted
         && self->filters == NULL && rook_tls_store_has_certificate (self->listener->store, self->listener->tls_group);
}

const char *
rook_connection_get_tls_version (RookConnection *self)
{
  return self->tls_up ? rook_tls_filter_get_version (self->tls) : NULL;
}

const char *
rook_connection_get_tls_cipher (RookConnection *self)
{
  return self->tls_up ? rook_tls_filter_get_cipher (self->tls) : NULL;
}

guint
rook_connection_get_tls_bits (RookConnection *self)
{
  return self->tls_up ? rook_tls_filter_get_bits (self->tls) : 0;
}

GBytes *
rook_connection_get_tls_binding (RookConnection *self, RookTlsBinding kind)
{
  return self->tls_up ? rook_tls_filter_get_binding (self->tls, kind) : NULL;
}

const char *
rook_connection_get_tls_peer_name (RookConnection *self)
{
  return self->tls_up ? rook_tls_filter_get_peer_name (self->tls) : NULL;
}

/* --- the person ------------------------------------------------------------------------------------------------------------ */

gboolean
rook_connection_set_identity (RookConnection *self, RookIdentity *identity, GError **error)
{
  const RookNetSettings *settings = self->home->settings;
  RookTally *users = self->net->by_user;

  if (identity != NULL && !rook_tally_take (users, rook_identity_get_user (identity), settings->per_user))
    {
      rook_counter_add (self->net->metrics.refused_user, 1);
      g_set_error (error, ROOK_NET_ERROR, ROOK_NET_ERROR_LIMIT, "too many connections of this user");
      return FALSE;
    }
  if (self->identity != NULL)
    {
      rook_tally_give_back (users, rook_identity_get_user (self->identity));
      rook_identity_unref (self->identity);
    }
  self->identity = identity != NULL ? rook_identity_ref (identity) : NULL;
  self->before_login = 0;
  self->login_due = 0;
  if (identity == NULL && self->protocol != NULL && !self->protocol->protocol->no_login)
    self->login_due = rook_connection_now (self) + settings->login_ms;
  if (!self->running)
    rook_connection_schedule (self);
  return TRUE;
}

RookIdentity *
rook_connection_get_identity (RookConnection *self)
{
  return self->identity;
}

void
rook_connection_set_activity (RookConnection *self, const char *activity)
{
  self->activity = activity;
}
