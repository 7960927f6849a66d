/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The network service: what it holds, which protocols there are, and how it comes and goes. Sockets that listen are in
 * listener.c.
 */
#include "config/config-private.h"
#include "loop/loop-private.h"
#include "net/connection.h"
#include "plugin/plugin-private.h"
#include "rookery/loop.h"

#include <string.h>

/* --- protocols ------------------------------------------------------------------------------------------------------------ */

RookNetProtocol *
rook_net_protocol_ref (RookNetProtocol *protocol)
{
  g_atomic_int_inc (&protocol->ref_count);
  return protocol;
}

void
rook_net_protocol_unref (RookNetProtocol *protocol)
{
  if (!g_atomic_int_dec_and_test (&protocol->ref_count))
    return;
  g_free (protocol->name);
  g_free (protocol);
}

RookNetProtocol *
rook_net_find_protocol (RookNet *net, const char *name)
{
  return g_hash_table_lookup (net->protocols, name);
}

static void
drain_one (RookConnection *connection, gpointer data G_GNUC_UNUSED)
{
  rook_connection_drain (connection, "Server is going down");
}

static void
drain_one_of (RookConnection *connection, gpointer protocol)
{
  if (connection->protocol == protocol)
    rook_connection_drain (connection, "This service is being switched off");
}

static void
abort_one (RookConnection *connection, gpointer data)
{
  if (data == NULL || connection->protocol == data)
    rook_connection_fail_with (connection, ROOK_NET_ERROR_SHUTDOWN, "the server is going down");
}

static void
unref_protocol (gpointer data)
{
  rook_net_protocol_unref (data);
}

static void
protocol_drain (gpointer data)
{
  RookNetProtocol *protocol = data;

  g_atomic_int_set (&protocol->draining, TRUE);
  rook_listeners_update (protocol->net->listeners);
  rook_net_each_connection (protocol->net, drain_one_of, rook_net_protocol_ref (protocol), unref_protocol);
}

static void
protocol_abort (gpointer data)
{
  RookNetProtocol *protocol = data;

  rook_net_each_connection (protocol->net, abort_one, rook_net_protocol_ref (protocol), unref_protocol);
}

static void
protocol_undo (gpointer data)
{
  RookNetProtocol *protocol = data;
  RookNet *net = protocol->net;

  protocol_abort (protocol); /* if nothing drained it */
  g_hash_table_remove (net->protocols, protocol->name);
  rook_listeners_update (net->listeners);
}

static gboolean
check_protocol (RookNet *net, const RookProtocol *protocol, GError **error)
{
  const char *wrong = NULL;

  if (!ROOK_STRUCT_HAS (protocol, RookProtocol, refusal) || protocol->handler.struct_size < sizeof (gsize)
      || !ROOK_STRUCT_HAS (&protocol->handler, RookConnectionHandler, closed))
    wrong = "its struct is shorter than this version needs";
  else if (protocol->name == NULL || protocol->open == NULL || protocol->handler.line == NULL
           || protocol->handler.closed == NULL)
    wrong = "name, open, line or closed is missing";
  else if (g_hash_table_contains (net->protocols, protocol->name))
    wrong = "it is registered already";
  if (wrong != NULL)
    g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT, "protocol %s: %s",
                 protocol->name != NULL ? protocol->name : "?", wrong);
  return wrong == NULL;
}

gboolean
rook_plugin_add_protocol (RookPlugin *self, const RookProtocol *protocol, gpointer data, GError **error)
{
  RookNet *net = rook_server_get_net (rook_plugin_get_server (self));
  RookNetProtocol *entry;

  if (!rook_plugin_may_register (self, "a protocol", error) || !check_protocol (net, protocol, error))
    return FALSE;
  if (!rook_plugin_check_offer (self, ROOK_OFFER_PROTOCOL, protocol->name, error))
    return FALSE;
  entry = rook_net_add_protocol (net, protocol, data);
  entry->plugin = self;
  rook_plugin_on_drain (self, protocol_drain, protocol_abort, entry);
  rook_plugin_on_undo (self, protocol_undo, entry);
  rook_listeners_update (net->listeners);
  return TRUE;
}

RookNetProtocol *
rook_net_add_protocol (RookNet *net, const RookProtocol *protocol, gpointer data)
{
  RookMetrics *metrics = rook_server_get_metrics (net->server);
  RookNetProtocol *entry = g_new0 (RookNetProtocol, 1);

  entry->ref_count = 1;
  entry->name = g_strdup (protocol->name);
  entry->protocol = protocol;
  entry->data = data;
  entry->net = net;
  entry->now = rook_metrics_gauge (metrics, "net.connections", "protocol", protocol->name, "connections now");
  entry->total = rook_metrics_counter (metrics, "net.connected", "protocol", protocol->name, "connections ever");
  g_hash_table_insert (net->protocols, g_strdup (protocol->name), entry);
  return entry;
}

/* --- workers -------------------------------------------------------------------------------------------------------------- */

RookNetWorker *
rook_net_get_worker (RookNet *net)
{
  RookWorker *worker = rook_worker_current ();

  g_assert (worker != NULL);
  return &net->workers[rook_worker_get_index (worker)];
}

RookNetWorker *
rook_net_get_quietest_worker (RookNet *net)
{
  RookNetWorker *best = &net->workers[0];

  for (guint i = 1; i + 1 < net->n_workers; i++)
    if (__atomic_load_n (&net->workers[i].n_connections, __ATOMIC_RELAXED)
        < __atomic_load_n (&best->n_connections, __ATOMIC_RELAXED))
      best = &net->workers[i];
  return best;
}

/* The workers' parts stay until the last invocation that knows them has gone. */
static void
unref_workers (RookNetWorkers *all)
{
  if (g_atomic_int_dec_and_test (&all->ref_count))
    g_free (all);
}

static void
worker_release (gpointer data)
{
  RookNetWorker *worker = data;

  unref_workers (worker->all);
}

static void
run_scheduled (gpointer data)
{
  RookNetWorker *worker = data;
  guint n = worker->scheduled.length; /* who is scheduled meanwhile waits, so that others have their turn */

  worker->scheduled_invoked = FALSE;
  while (n-- > 0 && worker->scheduled.length > 0)
    {
      RookConnection *connection = g_queue_pop_head_link (&worker->scheduled)->data;

      connection->scheduled = FALSE;
      rook_connection_run (connection);
    }
  if (worker->scheduled.length > 0)
    rook_net_worker_wake (worker);
}

void
rook_net_worker_wake (RookNetWorker *worker)
{
  if (worker->scheduled_invoked)
    return;
  worker->scheduled_invoked = TRUE;
  g_atomic_int_inc (&worker->all->ref_count);
  rook_worker_invoke (worker->worker, run_scheduled, worker, worker_release);
}

typedef struct {
  gint ref_count;
  RookNetEach func;
  gpointer data;
  GDestroyNotify destroy;
} EachCall;

typedef struct {
  RookNetWorker *worker;
  EachCall *call;
} EachStep;

static void
each_step_run (gpointer data)
{
  EachStep *step = data;
  GList *next;

  for (GList *l = step->worker->connections.head; l != NULL; l = next)
    {
      next = l->next;
      step->call->func (l->data, step->call->data);
    }
}

static void
each_step_free (gpointer data)
{
  EachStep *step = data;
  EachCall *call = step->call;

  if (g_atomic_int_dec_and_test (&call->ref_count))
    {
      if (call->destroy != NULL)
        call->destroy (call->data);
      g_free (call);
    }
  g_free (step);
}

void
rook_net_each_connection (RookNet *net, RookNetEach func, gpointer data, GDestroyNotify destroy)
{
  EachCall *call = g_new0 (EachCall, 1);

  *call = (EachCall){ .ref_count = net->n_workers, .func = func, .data = data, .destroy = destroy };
  for (guint i = 0; i < net->n_workers; i++)
    {
      EachStep *step = g_new (EachStep, 1);

      *step = (EachStep){ &net->workers[i], call };
      rook_worker_invoke (net->workers[i].worker, each_step_run, step, each_step_free);
    }
}

/* --- settings --------------------------------------------------------------------------------------------------------------- */

typedef struct {
  RookNetWorker *worker;
  RookNetSettings *settings; /* (owned) */
  RookTlsStore *tls;         /* (owned) */
} SettingsStep;

static void
settings_step_free (gpointer data)
{
  SettingsStep *step = data;

  g_clear_pointer (&step->settings, rook_net_settings_unref);
  g_clear_pointer (&step->tls, rook_tls_store_unref);
  g_free (step);
}

static void
settings_step_run (gpointer data)
{
  SettingsStep *step = data;
  RookNetSettings *settings = step->worker->settings;
  RookTlsStore *tls = step->worker->tls;

  step->worker->settings = step->settings;
  step->worker->tls = step->tls;
  step->settings = settings;
  step->tls = tls;
}

/* Gives every worker the settings in force. */
static void
spread_settings (RookNet *net)
{
  for (guint i = 0; i < net->n_workers; i++)
    {
      SettingsStep *step = g_new (SettingsStep, 1);

      step->worker = &net->workers[i];
      step->settings = rook_net_settings_ref (net->settings);
      step->tls = rook_tls_store_ref (net->tls);
      rook_worker_invoke (net->workers[i].worker, settings_step_run, step, settings_step_free);
    }
}

static void
log_mistakes (RookNet *net, GPtrArray *mistakes)
{
  for (guint i = 0; i < mistakes->len; i++)
    {
      const RookConfigMistake *mistake = g_ptr_array_index (mistakes, i);

      rook_log_message (net->log, ROOK_LOG_ERROR, "net.config", "%s", mistake->message);
    }
}

void
rook_net_prepare (RookNet *net, RookConfig *config, GPtrArray *mistakes)
{
  rook_net_abandon (net);
  net->next_tls = rook_tls_store_new (config, net->tls, mistakes);
  rook_listeners_prepare (net->listeners, config, net->next_tls, mistakes);
}

static gboolean
fail_with_first (GPtrArray *mistakes, GError **error)
{
  const RookConfigMistake *mistake = g_ptr_array_index (mistakes, 0);

  g_set_error (error, ROOK_NET_ERROR, ROOK_NET_ERROR_IO, "%s", mistake->message);
  return FALSE;
}

gboolean
rook_net_prepare_late (RookNet *net, GError **error)
{
  g_autoptr (GPtrArray) mistakes = rook_config_mistakes_new ();

  rook_listeners_prepare_late (net->listeners, mistakes);
  return mistakes->len == 0 || fail_with_first (mistakes, error);
}

void
rook_net_abandon (RookNet *net)
{
  rook_listeners_abandon (net->listeners);
  g_clear_pointer (&net->next_tls, rook_tls_store_unref);
}

void
rook_net_reconfigure (RookNet *net, RookConfig *config)
{
  g_autoptr (GPtrArray) mistakes = rook_config_mistakes_new ();

  if (net->next_tls == NULL)
    rook_net_prepare (net, config, mistakes);
  log_mistakes (net, mistakes);
  rook_tls_store_unref (net->tls);
  net->tls = g_steal_pointer (&net->next_tls);
  rook_net_settings_unref (net->settings);
  net->settings = rook_net_settings_new (config);
  spread_settings (net);
  rook_listeners_commit (net->listeners);
  rook_room_count (net);
  rook_room_warn (net);
  rook_listeners_update (net->listeners);
  rook_listeners_settle (net->listeners);
}

/* --- life ------------------------------------------------------------------------------------------------------------------- */

static void
add_metrics (RookNet *net)
{
  RookMetrics *metrics = rook_server_get_metrics (net->server);
  RookNetMetrics *m = &net->metrics;

  m->bytes_in = rook_metrics_counter (metrics, "net.bytes-in", NULL, NULL, "bytes received");
  m->bytes_out = rook_metrics_counter (metrics, "net.bytes-out", NULL, NULL, "bytes sent");
  m->handshakes = rook_metrics_counter (metrics, "net.tls-handshakes", "result", "full", "TLS handshakes");
  m->handshakes_resumed = rook_metrics_counter (metrics, "net.tls-handshakes", "result", "resumed", "TLS handshakes");
  m->handshakes_failed = rook_metrics_counter (metrics, "net.tls-handshakes", "result", "failed", "TLS handshakes");
  m->delayed = rook_metrics_counter (metrics, "net.delayed", NULL, NULL,
                                     "times that limits/commands-per-second held a connection up");
#define REFUSED(reason) rook_metrics_counter (metrics, "net.refused", "reason", reason, "connections turned away")
  m->refused_many = REFUSED ("too-many");
  m->refused_address = REFUSED ("too-many-address");
  m->refused_unserved = REFUSED ("not-served");
  m->refused_proxy = REFUSED ("bad-proxy");
  m->refused_user = REFUSED ("too-many-user");
  m->refused_descriptors = REFUSED ("no-descriptors");
#undef REFUSED
  m->outbound_now = rook_metrics_gauge (metrics, "net.outbound", NULL, NULL, "outbound connections now");
  m->outbound_total = rook_metrics_counter (metrics, "net.outbound-connected", NULL, NULL, "outbound connections ever");
}

static void
add_workers (RookNet *net)
{
  net->n_workers = rook_loop_get_n_workers (net->loop) + 1;
  net->all_workers = g_malloc0 (sizeof (RookNetWorkers) + net->n_workers * sizeof (RookNetWorker));
  net->all_workers->ref_count = 1;
  net->workers = net->all_workers->list;
  for (guint i = 0; i < net->n_workers; i++)
    {
      RookNetWorker *worker = &net->workers[i];

      worker->net = net;
      worker->all = net->all_workers;
      worker->worker =
          i + 1 < net->n_workers ? rook_loop_get_worker (net->loop, i) : rook_loop_get_main_worker (net->loop);
      worker->settings = rook_net_settings_ref (net->settings);
      worker->tls = rook_tls_store_ref (net->tls);
    }
}

RookNet *
rook_net_new (RookServer *server)
{
  g_autoptr (RookConfig) config = rook_server_get_config (server);
  g_autoptr (GPtrArray) mistakes = rook_config_mistakes_new ();
  RookNet *net = g_new0 (RookNet, 1);

  g_assert (rook_config_get_group (config, rook_net_schemas[0].name, NULL) == NULL); /* it takes instances */
  net->server = server;
  net->log = rook_server_get_log (server);
  net->loop = rook_server_get_loop (server);
  net->settings = rook_net_settings_new (config);
  net->tls = rook_tls_store_new (config, NULL, mistakes);
  log_mistakes (net, mistakes);
  net->by_address = rook_tally_new ();
  net->by_user = rook_tally_new ();
  net->by_listener = rook_tally_new ();
  net->protocols = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, unref_protocol);
  net->listeners = rook_listeners_new (net);
  add_workers (net);
  add_metrics (net);
  rook_net_add_verbs (net);
  return net;
}

/* On its worker: everything ends, now. */
static void
end_worker (gpointer data)
{
  RookNetWorker *worker = data;
  GList *l;

  while ((l = worker->connections.head) != NULL)
    {
      RookConnection *connection = l->data;

      if (connection->phase == ROOK_PHASE_LINGERING)
        connection->linger_due = 1;
      else
        abort_one (connection, NULL);
      rook_connection_run (connection);
    }
}

void
rook_net_free (RookNet *net)
{
  rook_listeners_close_all (net->listeners);
  for (guint i = 0; i + 1 < net->n_workers; i++)
    rook_worker_invoke (net->workers[i].worker, end_worker, &net->workers[i], NULL);
  end_worker (&net->workers[net->n_workers - 1]);
  rook_loop_wait_for_workers (net->loop);
  for (guint i = 0; i < net->n_workers; i++)
    {
      rook_net_settings_unref (net->workers[i].settings);
      rook_tls_store_unref (net->workers[i].tls);
      g_free (net->workers[i].buffer);
    }
  rook_listeners_free (net->listeners);
  unref_workers (net->all_workers);
  g_hash_table_unref (net->protocols);
  rook_tally_free (net->by_address);
  rook_tally_free (net->by_user);
  rook_tally_free (net->by_listener);
  g_clear_pointer (&net->next_tls, rook_tls_store_unref);
  rook_tls_store_unref (net->tls);
  rook_net_settings_unref (net->settings);
  g_free (net);
}

/* Sockets that are bound are left as they are. */
gboolean
rook_net_bind (RookNet *net, GError **error)
{
  g_autoptr (RookConfig) config = rook_server_get_config (net->server);
  g_autoptr (GPtrArray) mistakes = rook_config_mistakes_new ();

  rook_listeners_prepare (net->listeners, config, net->tls, mistakes);
  if (mistakes->len > 0)
    {
      rook_listeners_abandon (net->listeners);
      return fail_with_first (mistakes, error);
    }
  rook_listeners_commit (net->listeners);
  rook_listeners_settle (net->listeners);
  return TRUE;
}

void
rook_net_listen (RookNet *net)
{
  net->listening = TRUE;
  rook_room_count (net);
  rook_room_warn (net);
  rook_listeners_update (net->listeners);
  rook_listeners_warn_unserved (net->listeners);
}

void
rook_net_drain (RookNet *net)
{
  net->stopping = TRUE;
  rook_listeners_close_all (net->listeners);
  rook_net_each_connection (net, drain_one, NULL, NULL);
}

void
rook_net_abort_all (RookNet *net)
{
  rook_net_each_connection (net, abort_one, NULL, NULL);
}

guint
rook_net_get_n_connections (RookNet *net)
{
  return __atomic_load_n (&net->n_accepted, __ATOMIC_RELAXED);
}

guint16
rook_net_get_port (RookNet *net, const char *name)
{
  return rook_listeners_get_port (net->listeners, name);
}
