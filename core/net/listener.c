/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Listeners: from [listener NAME] to bound sockets, and from one configuration to the next.
 *
 * A socket is known by its address: one that the next configuration still has is kept, whichever listener it then belongs
 * to, and only what is said about it is replaced. Opening sockets is in listen-socket.c, accepting in accept.c.
 */
#include "net/listener.h"

#include "config/config-private.h"

#include <netdb.h>
#include <string.h>
#include <unistd.h>

/* --- what a group says ------------------------------------------------------------------------------------------------- */

RookListener *
rook_listener_ref (RookListener *listener)
{
  g_atomic_int_inc (&listener->ref_count);
  return listener;
}

void
rook_listener_unref (RookListener *listener)
{
  if (!g_atomic_int_dec_and_test (&listener->ref_count))
    return;
  rook_tls_store_unref (listener->store);
  rook_networks_free (listener->proxy_from);
  g_free (listener->name);
  g_free (listener->protocol);
  g_free (listener->tls_group);
  g_free (listener->socket_group);
  g_free (listener);
}

static RookListener *
listener_new (RookConfigGroup *group, RookTlsStore *store)
{
  RookListener *listener = g_new0 (RookListener, 1);
  const char *const *proxies = rook_config_group_get_list (group, "proxy-from");

  listener->ref_count = 1;
  listener->name = g_strdup (rook_config_group_get_instance (group));
  listener->protocol = g_strdup (rook_config_group_get_string (group, "protocol"));
  listener->tls_group = g_strdup (rook_config_group_get_string (group, "tls-group"));
  listener->tls = (RookTlsMode) rook_config_group_get_choice (group, "tls");
  listener->store = rook_tls_store_ref (store);
  listener->mode = rook_config_group_get_mode (group, "socket-mode");
  listener->socket_group = g_strdup (rook_config_group_get_string (group, "socket-group"));
  listener->backlog = rook_config_group_get_integer (group, "backlog");
  listener->max_connections = rook_config_group_get_integer (group, "max-connections");
  if (proxies != NULL && proxies[0] != NULL)
    listener->proxy_from = rook_networks_new (proxies, NULL);
  return listener;
}

/* --- checking ---------------------------------------------------------------------------------------------------------- */

static void
check_addresses (RookConfigGroup *group, GHashTable *seen, GPtrArray *mistakes)
{
  const char *const *addresses = rook_config_group_get_list (group, "address");

  for (guint i = 0; addresses != NULL && addresses[i] != NULL; i++)
    {
      g_auto (RookPlace) place = { 0 };
      g_autoptr (GError) error = NULL;
      const char *other = g_hash_table_lookup (seen, addresses[i]);

      if (!rook_place_parse (addresses[i], &place, &error))
        rook_config_add_mistake (mistakes, group, "address", ROOK_CONFIG_ERROR_VALUE, "%s", error->message);
      else if (other != NULL && !(place.has_port && place.port == 0)
               && (place.has_port || place.kind != ROOK_PLACE_TCP))
        rook_config_add_mistake (mistakes, group, "address", ROOK_CONFIG_ERROR_CONFLICT,
                                 "%s is the address of [listener %s] already", addresses[i], other);
      g_hash_table_insert (seen, (gpointer) addresses[i], (gpointer) rook_config_group_get_instance (group));
    }
}

static void
check_group (RookConfigGroup *group, RookTlsStore *store, GPtrArray *mistakes)
{
  const char *const *proxies = rook_config_group_get_list (group, "proxy-from");
  const char *tls_group = rook_config_group_get_string (group, "tls-group");
  g_autoptr (GError) error = NULL;

  if (proxies != NULL && !rook_net_check_networks (proxies, &error))
    rook_config_add_mistake (mistakes, group, "proxy-from", ROOK_CONFIG_ERROR_VALUE, "%s", error->message);
  if (rook_config_group_get_choice (group, "tls") != ROOK_TLS_NONE
      && !rook_tls_store_has_certificate (store, tls_group))
    rook_config_add_mistake (mistakes, group, "tls", ROOK_CONFIG_ERROR_MISSING,
                             "TLS needs a usable certificate in [tls%s%s]", tls_group != NULL ? " " : "",
                             tls_group != NULL ? tls_group : "");
}

void
rook_net_check (RookConfig *config, GPtrArray *mistakes)
{
  g_autoptr (RookTlsStore) store = rook_tls_store_new (config, NULL, mistakes);
  g_autoptr (GPtrArray) groups = rook_config_get_instances (config, "listener");
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  RookConfigGroup *limits = rook_config_get_group (config, "limits", NULL);
  const char *const *exempt = rook_config_group_get_list (limits, "exempt-addresses");
  g_autoptr (GError) error = NULL;

  if (exempt != NULL && !rook_net_check_networks (exempt, &error))
    rook_config_add_mistake (mistakes, limits, "exempt-addresses", ROOK_CONFIG_ERROR_VALUE, "%s", error->message);
  for (guint i = 0; i < groups->len; i++)
    {
      RookConfigGroup *group = g_ptr_array_index (groups, i);

      if (!rook_config_group_get_boolean (group, "enabled"))
        continue;
      check_addresses (group, seen, mistakes);
      check_group (group, store, mistakes);
    }
}

/* --- from one configuration to the next -------------------------------------------------------------------------------- */

typedef struct {
  RookListenSocket *socket; /* (unowned) one in use, or (owned) a new one */
  RookListener *listener;   /* (owned) */
  gboolean is_new;
} Planned;

static void
planned_free (gpointer data)
{
  Planned *planned = data;

  if (planned->is_new && planned->socket != NULL)
    rook_listen_socket_free (planned->socket);
  rook_listener_unref (planned->listener);
  g_free (planned);
}

RookListeners *
rook_listeners_new (RookNet *net)
{
  RookListeners *self = g_new0 (RookListeners, 1);

  self->net = net;
  self->sockets = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_listen_socket_free);
  self->systemd = rook_listen_take_systemd_sockets ();
  rook_accept_init (self);
  return self;
}

void
rook_listeners_free (RookListeners *self)
{
  rook_listeners_abandon (self);
  g_ptr_array_unref (self->sockets);
  g_hash_table_unref (self->systemd); /* the descriptors stay open: systemd's sockets live as long as we do */
  rook_accept_clear (self);
  g_free (self);
}

static RookListenSocket *
find_socket (RookListeners *self, const char *key)
{
  for (guint i = 0; i < self->sockets->len; i++)
    {
      RookListenSocket *socket = g_ptr_array_index (self->sockets, i);

      if (g_str_equal (socket->key, key))
        return socket;
    }
  return NULL;
}

guint16
rook_listener_default_port (RookNet *net, const RookListener *listener)
{
  RookNetProtocol *protocol = rook_net_find_protocol (net, listener->protocol);
  g_autofree char *secure = g_strconcat (listener->protocol, "s", NULL);
  gboolean implicit = listener->tls == ROOK_TLS_IMPLICIT;
  struct servent entry, *found = NULL;
  char room[1024];

  if (protocol != NULL)
    return implicit ? protocol->protocol->default_tls_port : protocol->protocol->default_port;
  if (getservbyname_r (implicit ? secure : listener->protocol, "tcp", &entry, room, sizeof room, &found) != 0
      || found == NULL)
    return 0;
  return ntohs (found->s_port);
}

static void
plan_socket (RookListeners *self, RookConfigGroup *group, RookListener *listener, const RookPlace *place,
             GPtrArray *mistakes)
{
  g_autofree char *key = rook_listen_socket_key (listener, place);
  g_autoptr (GError) error = NULL;
  Planned *planned = g_new0 (Planned, 1);

  planned->listener = rook_listener_ref (listener);
  planned->socket = find_socket (self, key);
  g_ptr_array_add (self->planned, planned);
  if (planned->socket != NULL)
    return;
  planned->socket = rook_listen_socket_new (self, listener, place);
  planned->is_new = TRUE;
  if (!rook_listen_socket_bind (planned->socket, &error) && !planned->socket->optional)
    rook_config_add_mistake (mistakes, group, "address", ROOK_CONFIG_ERROR_CONFLICT, "%s", error->message);
  else if (error != NULL)
    rook_log_message (self->net->log, ROOK_LOG_WARNING, "net.listen", "%s; going on without it", error->message);
}

/* "*" is two sockets. */
static void
plan_place (RookListeners *self, RookConfigGroup *group, RookListener *listener, const char *text, GPtrArray *mistakes)
{
  g_auto (RookPlace) place = { 0 };

  if (!rook_place_parse (text, &place, NULL))
    return; /* rook_net_check() has said so */
  if (place.kind == ROOK_PLACE_TCP && g_str_equal (place.host, "*"))
    {
      g_free (place.host);
      place.host = g_strdup ("0.0.0.0");
      plan_socket (self, group, listener, &place, mistakes);
      g_free (place.host);
      place.host = g_strdup ("::");
    }
  plan_socket (self, group, listener, &place, mistakes);
  if (place.kind == ROOK_PLACE_SYSTEMD) /* one name may stand for several, as with ListenStream= given twice */
    while (++place.port < rook_listen_count_systemd_sockets (self, place.host))
      plan_socket (self, group, listener, &place, mistakes);
}

void
rook_listeners_prepare (RookListeners *self, RookConfig *config, RookTlsStore *store, GPtrArray *mistakes)
{
  g_autoptr (GPtrArray) groups = rook_config_get_instances (config, "listener");

  rook_listeners_abandon (self);
  self->planned = g_ptr_array_new_with_free_func (planned_free);
  for (guint i = 0; i < groups->len; i++)
    {
      RookConfigGroup *group = g_ptr_array_index (groups, i);
      const char *const *addresses = rook_config_group_get_list (group, "address");
      RookListener *listener;

      if (!rook_config_group_get_boolean (group, "enabled") || addresses == NULL)
        continue;
      listener = listener_new (group, store);
      for (guint j = 0; addresses[j] != NULL; j++)
        plan_place (self, group, listener, addresses[j], mistakes);
      rook_listener_unref (listener);
    }
}

void
rook_listeners_abandon (RookListeners *self)
{
  g_clear_pointer (&self->planned, g_ptr_array_unref);
}

void
rook_listeners_commit (RookListeners *self)
{
  g_autoptr (GPtrArray) planned = g_steal_pointer (&self->planned);
  GPtrArray *sockets = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_listen_socket_free);

  for (guint i = 0; planned != NULL && i < planned->len; i++)
    {
      Planned *plan = g_ptr_array_index (planned, i);

      guint index;

      if (!plan->is_new)
        {
          if (!g_ptr_array_find (self->sockets, plan->socket, &index))
            continue; /* the same address twice */
          g_ptr_array_steal_index (self->sockets, index);
        }
      plan->is_new = FALSE;
      rook_listen_socket_set_listener (plan->socket, plan->listener);
      g_ptr_array_add (sockets, plan->socket);
    }
  g_ptr_array_unref (self->sockets); /* closes what is no longer wanted */
  self->sockets = sockets;
}

void
rook_listeners_update (RookListeners *self)
{
  for (guint i = 0; i < self->sockets->len; i++)
    {
      RookListenSocket *socket = g_ptr_array_index (self->sockets, i);
      RookNetProtocol *protocol = rook_net_find_protocol (self->net, socket->listener->protocol);
      gboolean wanted =
          self->net->listening && !self->net->stopping && protocol != NULL && !g_atomic_int_get (&protocol->draining);
      g_autoptr (GError) error = NULL;

      if (wanted == socket->listening)
        continue;
      if (!wanted)
        rook_listen_socket_stop (socket);
      else if (!rook_listen_socket_start (socket, &error))
        rook_log_message (self->net->log, socket->optional ? ROOK_LOG_WARNING : ROOK_LOG_ERROR, "net.listen",
                          "[listener %s] %s", socket->listener->name, error->message);
    }
}

void
rook_listeners_warn_unserved (RookListeners *self)
{
  guint n;
  g_autofree const char **names = (const char **) g_hash_table_get_keys_as_array (self->net->protocols, &n);
  const char *warned = NULL;

  for (guint i = 0; i < self->sockets->len; i++)
    {
      const RookListener *listener = ((RookListenSocket *) g_ptr_array_index (self->sockets, i))->listener;
      const char *likely = rook_config_suggest (listener->protocol, names, n);

      if (rook_net_find_protocol (self->net, listener->protocol) != NULL || g_strcmp0 (warned, listener->name) == 0)
        continue;
      warned = listener->name; /* its other addresses follow */
      rook_log_message (self->net->log, ROOK_LOG_WARNING, "net.unserved",
                        "[listener %s] no running plugin offers protocol \"%s\"%s%s%s", listener->name,
                        listener->protocol, likely != NULL ? "; did you mean \"" : "", likely != NULL ? likely : "",
                        likely != NULL ? "\"?" : "");
    }
}

void
rook_listeners_close_all (RookListeners *self)
{
  rook_listeners_abandon (self);
  g_ptr_array_set_size (self->sockets, 0);
}

guint16
rook_listeners_get_port (RookListeners *self, const char *name)
{
  for (guint i = 0; i < self->sockets->len; i++)
    {
      RookListenSocket *socket = g_ptr_array_index (self->sockets, i);

      if (g_str_equal (socket->listener->name, name) && socket->fd >= 0 && socket->place.kind != ROOK_PLACE_UNIX)
        return rook_listen_socket_get_port (socket);
    }
  return 0;
}

GVariant *
rook_listeners_describe (RookListeners *self)
{
  static const char *const modes[] = { "none", "starttls", "implicit" };
  GVariantBuilder list;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < self->sockets->len; i++)
    {
      RookListenSocket *socket = g_ptr_array_index (self->sockets, i);
      guint now = rook_tally_get (self->net->by_listener, socket->listener->name);
      GVariantDict row;

      g_variant_dict_init (&row, NULL);
      g_variant_dict_insert (&row, "listener", "s", socket->listener->name);
      g_variant_dict_insert (&row, "protocol", "s", socket->listener->protocol);
      g_variant_dict_insert (&row, "address", "s", socket->key);
      g_variant_dict_insert (&row, "port", "u", (guint) rook_listen_socket_get_port (socket));
      g_variant_dict_insert (&row, "tls", "s", modes[socket->listener->tls]);
      g_variant_dict_insert (&row, "state", "s",
                             socket->listening ? "listening"
                             : socket->fd >= 0 ? "bound"
                                               : "not bound");
      g_variant_dict_insert (&row, "connections", "u", now);
      g_variant_builder_add_value (&list, g_variant_dict_end (&row));
    }
  return g_variant_builder_end (&list);
}
