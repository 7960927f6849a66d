/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The public functions that take a connection: they note down the few facts of it that authentication goes by, and hand
 * over to the functions that work on those.
 */
#include "auth/auth-internal.h"

#include "net/net-private.h"

static char *
sasl_address (const char *address, guint16 port)
{
  return port != 0 ? g_strdup_printf ("%s;%u", address, port) : NULL;
}

static void
note_peer (const RookAuthSettings *settings, RookConnection *connection, RookAuthPeer *out_peer)
{
  const RookProtocol *protocol = rook_connection_get_protocol (connection);

  *out_peer = (RookAuthPeer){
    .id = g_strdup (rook_connection_get_id (connection)),
    .protocol = g_strdup (protocol != NULL ? protocol->name : NULL),
    .service = g_strdup (protocol != NULL && protocol->sasl_service != NULL ? protocol->sasl_service : "rookery"),
    .address = g_strdup (rook_connection_get_peer_address (connection)),
    .local = sasl_address (rook_connection_get_local_address (connection), rook_connection_get_local_port (connection)),
    .remote = sasl_address (rook_connection_get_peer_address (connection), rook_connection_get_peer_port (connection)),
    .has_tls = rook_connection_has_tls (connection),
    .tls_name = g_strdup (rook_connection_get_tls_peer_name (connection)),
    .loopback = rook_connection_is_loopback (connection),
    .delay_exempt = rook_connection_peer_in (connection, (const char *const *) settings->delay_exempt),
    .delay_shared = rook_connection_peer_in (connection, (const char *const *) settings->delay_shared),
  };
  if (out_peer->has_tls)
    out_peer->tls_bits = rook_connection_get_tls_bits (connection);
  for (guint i = 0; i < ROOK_TLS_N_BINDINGS; i++)
    out_peer->bindings[i] = rook_connection_get_tls_binding (connection, i);
}

char **
rook_auth_get_mechanisms (RookAuth *auth, RookConnection *connection)
{
  g_autoptr (RookAuthSettings) settings = rook_auth_get_settings (auth);
  RookAuthPeer peer;
  char **list;

  note_peer (settings, connection, &peer);
  list = rook_mechanism_list (settings, &peer);
  rook_auth_peer_clear (&peer);
  return list;
}

gboolean
rook_auth_allows_plaintext (RookAuth *auth, RookConnection *connection)
{
  g_autoptr (RookAuthSettings) settings = rook_auth_get_settings (auth);
  RookAuthPeer peer;
  gboolean allowed;

  note_peer (settings, connection, &peer);
  allowed = rook_auth_login_permitted (settings, &peer, NULL);
  rook_auth_peer_clear (&peer);
  return allowed;
}

RookAuthExchange *
rook_auth_exchange_new (RookAuth *auth, RookConnection *connection, const char *mechanism)
{
  g_autoptr (RookAuthSettings) settings = rook_auth_get_settings (auth);
  RookAuthPeer peer;

  g_return_val_if_fail (mechanism != NULL, NULL);
  note_peer (settings, connection, &peer);
  return rook_auth_exchange_new_for_peer (auth, rook_connection_get_worker (connection), &peer, mechanism);
}

RookAuthExchange *
rook_auth_login (RookAuth *auth, RookConnection *connection, const char *user, const char *password,
                 const char *authzid, RookAuthCallback callback, gpointer data)
{
  g_autoptr (RookAuthSettings) settings = rook_auth_get_settings (auth);
  RookAuthPeer peer;

  g_return_val_if_fail (user != NULL && password != NULL && callback != NULL, NULL);
  note_peer (settings, connection, &peer);
  return rook_auth_login_for_peer (auth, rook_connection_get_worker (connection), &peer, user, password, authzid,
                                   callback, data);
}

RookAuthClient *
rook_auth_client_new (RookAuth *auth, RookConnection *connection, const char *service, const char *host,
                      const char *const *mechanisms, const char *authcid, const char *authzid, const char *password,
                      GError **error)
{
  g_autoptr (RookAuthSettings) settings = rook_auth_get_settings (auth);
  RookAuthPeer peer;
  RookAuthClient *client;

  note_peer (settings, connection, &peer);
  client = rook_auth_client_new_for_peer (auth, &peer, service, host, mechanisms, authcid, authzid, password, error);
  rook_auth_peer_clear (&peer);
  return client;
}
