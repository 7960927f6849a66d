/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Listeners: from [listener NAME] to bound sockets, and from one configuration to the next.
 *
 * A socket is known by its address: one that the next configuration still has is kept, whichever listener it then belongs
 * to, and only what is said about it is replaced. Everything that may fail is done while the former sockets are in use
 * and stay so if it fails. Opening sockets is in listen-socket.c, accepting in accept.c, checking in listener-check.c.
 */
#include "net/listener.h"

#include "config/config-private.h"

#include <netdb.h>

#define RETRY_MS 2000

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

/* --- from one configuration to the next -------------------------------------------------------------------------------- */

typedef struct {
  RookListenSocket *socket; /* (unowned) one in use, or (owned) a new one */
  RookListener *listener;   /* (owned) */
  RookConfigGroup *group;   /* (unowned) the plan's config's: valid until it is committed or abandoned */
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

static void
try_again (gpointer data)
{
  rook_listeners_update (data);
}

RookListeners *
rook_listeners_new (RookNet *net)
{
  RookListeners *self = g_new0 (RookListeners, 1);

  self->net = net;
  self->sockets = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_listen_socket_free);
  rook_timer_init (&self->retry, rook_loop_get_main_worker (net->loop), try_again, self);
  rook_systemd_take (self);
  rook_accept_init (self);
  return self;
}

void
rook_listeners_free (RookListeners *self)
{
  rook_timer_stop (&self->retry);
  rook_listeners_abandon (self);
  g_ptr_array_unref (self->sockets);
  rook_systemd_free (self);
  rook_accept_clear (self);
  g_free (self);
}

gboolean
rook_listeners_hold (RookListeners *self, const RookListenSocket *socket)
{
  for (guint i = 0; i < self->sockets->len; i++)
    {
      const RookListenSocket *other = g_ptr_array_index (self->sockets, i);

      if (other != socket && !other->going && rook_listen_socket_lies_at (other, socket->place.host))
        return TRUE;
    }
  for (guint i = 0; self->planned != NULL && i < self->planned->len; i++)
    {
      const Planned *planned = g_ptr_array_index (self->planned, i);

      if (planned->socket != socket && rook_listen_socket_lies_at (planned->socket, socket->place.host))
        return TRUE;
    }
  return FALSE;
}

static RookListenSocket *
find_socket (RookListeners *self, const RookListener *listener, const char *key)
{
  for (guint i = 0; i < self->sockets->len; i++)
    {
      RookListenSocket *socket = g_ptr_array_index (self->sockets, i);

      if (!g_str_equal (socket->key, key))
        continue;
      if (rook_listen_socket_fits (socket, listener))
        return socket;
      if (rook_listen_socket_is_lost (socket))
        rook_log_message (self->net->log, ROOK_LOG_WARNING, "net.listen",
                          "[listener %s] somebody has taken %s away: it is made anew", listener->name, key);
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
plan_socket (RookListeners *self, RookConfigGroup *group, RookListener *listener, const RookPlace *place)
{
  g_autofree char *key = rook_listen_socket_key (listener, place);
  Planned *planned = g_new0 (Planned, 1);

  planned->group = group;
  planned->listener = rook_listener_ref (listener);
  planned->socket = find_socket (self, listener, key);
  planned->is_new = planned->socket == NULL;
  if (planned->is_new)
    planned->socket = rook_listen_socket_new (self, listener, place);
  else
    planned->socket->going = FALSE;
  g_ptr_array_add (self->planned, planned);
}

/* "*" is two sockets. */
static void
plan_place (RookListeners *self, RookConfigGroup *group, RookListener *listener, const char *text)
{
  g_auto (RookPlace) place = { 0 };

  if (!rook_place_parse (text, &place, NULL))
    return; /* rook_net_check() has said so */
  if (place.kind == ROOK_PLACE_TCP && g_str_equal (place.host, "*"))
    {
      g_free (place.host);
      place.host = g_strdup ("0.0.0.0");
      plan_socket (self, group, listener, &place);
      g_free (place.host);
      place.host = g_strdup ("::");
    }
  plan_socket (self, group, listener, &place);
  if (place.kind == ROOK_PLACE_SYSTEMD) /* one name may stand for several, as with ListenStream= given twice */
    while (++place.port < rook_systemd_count (self, place.host))
      plan_socket (self, group, listener, &place);
}

static void
plan_all (RookListeners *self, RookConfig *config, RookTlsStore *store)
{
  g_autoptr (GPtrArray) groups = rook_config_get_instances (config, "listener");

  self->planned = g_ptr_array_new_with_free_func (planned_free);
  for (guint i = 0; i < self->sockets->len; i++)
    ((RookListenSocket *) g_ptr_array_index (self->sockets, i))->going = TRUE; /* unless it is planned */
  for (guint i = 0; i < groups->len; i++)
    {
      RookConfigGroup *group = g_ptr_array_index (groups, i);
      const char *const *addresses = rook_config_group_get_list (group, "address");
      RookListener *listener;

      if (!rook_config_group_get_boolean (group, "enabled") || addresses == NULL)
        continue;
      listener = listener_new (group, store);
      for (guint j = 0; addresses[j] != NULL; j++)
        plan_place (self, group, listener, addresses[j]);
      rook_listener_unref (listener);
    }
}

static void
add_conflict (const Planned *planned, GPtrArray *mistakes, const char *what, const char *of)
{
  rook_config_add_mistake (mistakes, planned->group, "address", ROOK_CONFIG_ERROR_CONFLICT, "%s%s", what, of);
}

static void
bind_planned (RookListeners *self, GPtrArray *mistakes)
{
  for (guint i = 0; i < self->planned->len; i++)
    {
      const Planned *planned = g_ptr_array_index (self->planned, i);
      gboolean said = planned->socket->optional;
      g_autoptr (GError) error = NULL;

      if (rook_listen_socket_bind (planned->socket, &error))
        continue;
      if (!planned->socket->optional)
        add_conflict (planned, mistakes, error->message, "");
      else if (!said)
        rook_log_message (self->net->log, ROOK_LOG_WARNING, "net.listen", "%s; going on without it", error->message);
    }
}

/* Two that are bound do not hurt until both listen: that is too late to be refused. */
static void
check_overlaps (RookListeners *self, GPtrArray *mistakes)
{
  for (guint i = 0; i < self->planned->len; i++)
    for (guint j = 0; j < i; j++)
      {
        const Planned *one = g_ptr_array_index (self->planned, i), *other = g_ptr_array_index (self->planned, j);

        if (one->socket != other->socket && rook_listen_socket_overlaps (one->socket, other->socket))
          add_conflict (one, mistakes, "its address overlaps with ", other->socket->key);
      }
}

void
rook_listeners_prepare (RookListeners *self, RookConfig *config, RookTlsStore *store, GPtrArray *mistakes)
{
  rook_listeners_abandon (self);
  plan_all (self, config, store);
  rook_listeners_prepare_late (self, mistakes);
}

void
rook_listeners_prepare_late (RookListeners *self, GPtrArray *mistakes)
{
  bind_planned (self, mistakes);
  check_overlaps (self, mistakes);
}

void
rook_listeners_abandon (RookListeners *self)
{
  if (self->planned == NULL)
    return;
  g_clear_pointer (&self->planned, g_ptr_array_unref);
  for (guint i = 0; i < self->sockets->len; i++)
    rook_listen_socket_settle (g_ptr_array_index (self->sockets, i));
}

void
rook_listeners_commit (RookListeners *self)
{
  g_autoptr (GPtrArray) planned = g_steal_pointer (&self->planned);
  GPtrArray *sockets = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_listen_socket_free);

  g_assert (self->gone == NULL);
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
  self->gone = self->sockets;
  self->sockets = sockets;
}

/* What takes their place listens by now. Whoever came before that, and waits still, is let in. */
void
rook_listeners_settle (RookListeners *self)
{
  g_autoptr (GPtrArray) gone = g_steal_pointer (&self->gone);

  for (guint i = 0; i < self->sockets->len; i++)
    rook_listen_socket_settle (g_ptr_array_index (self->sockets, i));
  for (guint i = 0; gone != NULL && i < gone->len; i++)
    if (((RookListenSocket *) g_ptr_array_index (gone, i))->listening)
      rook_accept_last (g_ptr_array_index (gone, i));
}

/* Somebody else may listen where ours is bound and does not: Linux lets them. It is told once, and tried until they go. */
static void
start (RookListeners *self, RookListenSocket *socket)
{
  g_autoptr (GError) error = NULL;
  gboolean failed_before = socket->failing;

  socket->failing = !rook_listen_socket_start (socket, &error);
  if (socket->failing && !socket->optional)
    rook_timer_start (&self->retry, RETRY_MS);
  if (socket->failing && !failed_before)
    rook_log_message (self->net->log, socket->optional ? ROOK_LOG_WARNING : ROOK_LOG_ERROR, "net.listen",
                      "[listener %s] %s%s", socket->listener->name, error->message,
                      socket->optional ? "" : "; trying again until it can be");
  else if (!socket->failing && failed_before)
    rook_log_message (self->net->log, ROOK_LOG_NOTICE, "net.listen", "[listener %s] listens now at %s",
                      socket->listener->name, socket->key);
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

      if (wanted && !socket->listening)
        start (self, socket);
      else if (!wanted)
        socket->failing = FALSE;
      if (!wanted && socket->listening)
        rook_listen_socket_stop (socket);
    }
  rook_systemd_update (self);
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
  rook_systemd_warn_unused (self);
}

void
rook_listeners_close_all (RookListeners *self)
{
  rook_listeners_abandon (self);
  g_ptr_array_set_size (self->sockets, 0);
  rook_systemd_update (self);
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
      GVariantBuilder row;

      g_variant_builder_init (&row, G_VARIANT_TYPE_VARDICT);
      g_variant_builder_add_parsed (&row, "{'listener', <%s>}", socket->listener->name);
      g_variant_builder_add_parsed (&row, "{'protocol', <%s>}", socket->listener->protocol);
      g_variant_builder_add_parsed (&row, "{'address', <%s>}", socket->key);
      g_variant_builder_add_parsed (&row, "{'port', <%u>}", (guint) rook_listen_socket_get_port (socket));
      g_variant_builder_add_parsed (&row, "{'tls', <%s>}", modes[socket->listener->tls]);
      g_variant_builder_add_parsed (&row, "{'state', <%s>}",
                                    socket->listening ? "listening"
                                    : socket->failing ? "failed"
                                    : socket->fd >= 0 ? "bound"
                                                      : "not bound");
      g_variant_builder_add_parsed (&row, "{'connections', <%u>}", now);
      g_variant_builder_add_value (&list, g_variant_builder_end (&row));
    }
  return g_variant_builder_end (&list);
}
