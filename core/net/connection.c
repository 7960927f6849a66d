/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection's life: it begins, is run through its phases, and ends once. See connection.h. What the handler may call
 * is in connection-api.c.
 */
#include "net/connection.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "net/filter-tls.h"

#define ROUNDS_A_RUN 16            /* then others have their turn */
#define LINGER_MS 2000             /* how long a peer may take to read our last words */
#define LINGER_BYTES (1024 * 1024) /* and how much it may send meanwhile */

RookConnection *
rook_connection_new (RookNetWorker *home, int fd)
{
  RookConnection *self = g_new0 (RookConnection, 1);
  guint64 id = __atomic_add_fetch (&home->net->next_id, 1, __ATOMIC_RELAXED);

  self->net = home->net;
  self->home = home;
  self->link.data = self;
  self->scheduled_link.data = self;
  self->activity = "idle";
  g_snprintf (self->id, sizeof self->id, "c%" G_GINT64_MODIFIER "x", id);
  rook_socket_init (&self->socket, fd);
  self->read_top = self->write_top = &self->socket.filter;
  rook_input_init (&self->input, 0);
  return self;
}

/* --- the end ----------------------------------------------------------------------------------------------------------- */

static void
release_counts (RookConnection *self)
{
  char key[ROOK_ADDRESS_KEY_SIZE];

  if (self->counted_address)
    {
      rook_address_key (&self->peer, key);
      rook_tally_give_back (self->net->by_address, key);
    }
  if (self->counted_listener)
    rook_tally_give_back (self->net->by_listener, self->listener->name);
  if (self->identity != NULL)
    rook_tally_give_back (self->net->by_user, rook_identity_get_user (self->identity));
  self->counted_address = self->counted_listener = FALSE;
  g_clear_pointer (&self->identity, rook_identity_unref);
  if (self->protocol != NULL)
    {
      rook_gauge_add (self->protocol->now, -1);
      __atomic_fetch_sub (&self->net->n_accepted, 1, __ATOMIC_RELAXED);
    }
  else
    rook_gauge_add (self->net->metrics.outbound_now, -1);
}

static void
free_filters (RookConnection *self)
{
  for (GSList *l = self->filters; l != NULL; l = l->next)
    {
      RookFilter *filter = l->data;

      filter->class->free (filter);
    }
  g_clear_pointer (&self->filters, g_slist_free);
  self->tls = NULL;
  self->read_top = self->write_top = &self->socket.filter;
}

void
rook_connection_discard (RookConnection *self)
{
  RookPlugin *plugin = self->plugin;

  release_counts (self);
  __atomic_fetch_sub (&self->home->n_connections, 1, __ATOMIC_RELAXED);
  g_clear_pointer (&self->connect, rook_connect_free);
  g_clear_pointer (&self->watch, rook_watch_free);
  free_filters (self);
  if (self->tls_pending != NULL)
    self->tls_pending->class->free (self->tls_pending);
  rook_socket_clear (&self->socket);
  rook_input_clear (&self->input);
  rook_output_clear (&self->output);
  g_clear_error (&self->error);
  g_clear_error (&self->reason);
  g_clear_pointer (&self->protocol, rook_net_protocol_unref);
  g_clear_pointer (&self->listener, rook_listener_unref);
  g_free (self);
  if (plugin != NULL)
    rook_plugin_unref (plugin); /* last: the handler's code may go with it */
}

static void
destroy (RookConnection *self)
{
  rook_timer_stop (&self->timer);
  g_queue_unlink (&self->home->connections, &self->link);
  if (self->scheduled)
    g_queue_unlink (&self->home->scheduled, &self->scheduled_link);
  rook_connection_discard (self);
}

static void
log_end (RookConnection *self, const GError *reason)
{
  gboolean tls = reason != NULL && reason->domain == ROOK_NET_ERROR
                 && (reason->code == ROOK_NET_ERROR_TLS || reason->code == ROOK_NET_ERROR_CERTIFICATE);
  RookLogLevel level = tls && self->protocol != NULL ? ROOK_LOG_INFO : ROOK_LOG_DEBUG;
  char in[24], out[24];

  if (!rook_log_enabled (self->net->log, level))
    return;
  g_snprintf (in, sizeof in, "%" G_GUINT64_FORMAT, self->socket.bytes_in);
  g_snprintf (out, sizeof out, "%" G_GUINT64_FORMAT, self->socket.bytes_out);
  rook_log_connection (self->net->log, level, self, "net.closed", "reason", reason != NULL ? reason->message : "closed",
                       "bytes-in", in, "bytes-out", out, NULL);
}

/* Reads and drops, so that no reset overtakes what we sent. */
static void
linger (RookConnection *self)
{
  char waste[4096];
  gssize n = 0;

  self->socket.drained = FALSE;
  while (self->linger_left > 0 && (n = recv (self->socket.fd, waste, sizeof waste, MSG_DONTWAIT)) > 0)
    self->linger_left -= MIN ((gsize) n, self->linger_left);
  if (n == 0 || self->linger_left == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)
      || rook_connection_now (self) >= self->linger_due)
    {
      destroy (self);
      return;
    }
  rook_deadline_update (self);
}

static void
begin_linger (RookConnection *self)
{
  if (self->tls_up)
    self->tls->class->shutdown (self->tls);
  if (self->eof || self->watch == NULL || shutdown (self->socket.fd, SHUT_WR) != 0)
    {
      destroy (self);
      return;
    }
  self->phase = ROOK_PHASE_LINGERING;
  /* The session is over: its plugin need not wait for what is left, which is ours. */
  g_clear_pointer (&self->plugin, rook_plugin_unref);
  self->linger_due = rook_connection_now (self) + LINGER_MS;
  self->linger_left = LINGER_BYTES;
  rook_input_clear (&self->input);
  rook_output_clear (&self->output);
  rook_watch_set_events (self->watch, ROOK_IO_READ);
  linger (self);
}

static void
finish (RookConnection *self)
{
  const GError *reason = self->error != NULL ? self->error : self->reason;
  gboolean clean = self->error == NULL;

  self->phase = ROOK_PHASE_DEAD;
  log_end (self, reason);
  if (self->opened)
    {
      self->opened = FALSE;
      self->running = TRUE; /* what the handler still calls does nothing */
      self->handler->closed (self, self->session, reason);
      self->running = FALSE;
    }
  if (clean)
    begin_linger (self);
  else
    destroy (self);
}

void
rook_connection_fail (RookConnection *self, GError *error)
{
  if (self->error != NULL || self->phase >= ROOK_PHASE_LINGERING)
    {
      g_clear_error (&error);
      return;
    }
  self->error = error;
  rook_connection_schedule (self);
}

void
rook_connection_fail_with (RookConnection *self, RookNetError code, const char *message)
{
  rook_connection_fail (self, g_error_new_literal (ROOK_NET_ERROR, code, message));
}

/* --- the beginning ------------------------------------------------------------------------------------------------------- */

static void
on_ready (RookIo ready, gpointer data)
{
  RookConnection *self = data;

  if (ready & (ROOK_IO_READ | ROOK_IO_HANGUP))
    self->socket.drained = FALSE;
  if (ready & (ROOK_IO_WRITE | ROOK_IO_HANGUP))
    self->socket.blocked = FALSE;
  self->hangup = (ready & ROOK_IO_HANGUP) != 0;
  self->readable = (ready & ROOK_IO_READ) != 0;
  rook_connection_run (self);
}

void
rook_connection_watch (RookConnection *self)
{
  self->watch = rook_watch_new (self->home->worker, self->socket.fd, ROOK_IO_READ, on_ready, self);
  if (self->watch == NULL)
    rook_connection_fail_with (self, ROOK_NET_ERROR_IO, "the system has no room to watch another connection");
}

void
rook_connection_begin_tls (RookConnection *self, RookFilter *filter)
{
  self->filters = g_slist_prepend (self->filters, filter);
  self->tls = filter;
  self->read_top = self->write_top = filter;
  self->phase = ROOK_PHASE_HANDSHAKE;
  if (self->login_due == 0 && self->connect_due == 0)
    self->login_due = rook_connection_now (self) + self->home->settings->login_ms;
}

void
rook_connection_refuse (RookConnection *self, RookRefusal reason, RookCounter *counter)
{
  static const char *const names[] = { "too-many", "too-many-address", "shutdown", "bad-proxy" };
  const RookProtocol *protocol = self->protocol->protocol;
  const char *text = protocol->refusal != NULL ? protocol->refusal (reason) : NULL;

  rook_counter_add (counter, 1);
  rook_log_event (self->net->log, ROOK_LOG_INFO, "net.refused", "address", self->peer.text, "protocol", protocol->name,
                  "listener", self->listener->name, "reason", names[reason], NULL);
  if (text != NULL && self->listener->tls != ROOK_TLS_IMPLICIT)
    while (send (self->socket.fd, text, strlen (text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EINTR)
      continue;
}

/* Addresses are known and allowed: TLS, or the session. */
static void
begin_stream (RookConnection *self)
{
  g_autoptr (GError) error = NULL;
  RookFilter *filter;

  if (self->listener->tls != ROOK_TLS_IMPLICIT)
    {
      rook_connection_open (self);
      return;
    }
  filter = rook_tls_filter_new_server (&self->socket.filter, self->listener->store, self->listener->tls_group,
                                       self->protocol->protocol->alpn, &error);
  if (filter == NULL)
    rook_connection_fail (self, g_steal_pointer (&error));
  else
    rook_connection_begin_tls (self, filter);
}

void
rook_connection_open (RookConnection *self)
{
  self->phase = ROOK_PHASE_OPEN;
  rook_deadline_touch (self);
  if (self->protocol == NULL)
    {
      rook_connect_up (self);
      return;
    }
  if (self->protocol->protocol->no_login)
    self->login_due = 0;
  self->session = self->protocol->protocol->open (self, self->protocol->data);
  self->opened = TRUE;
}

void
rook_connection_start (gpointer data)
{
  RookConnection *self = data;
  RookNetSettings *settings = self->home->settings;
  gboolean proxied = rook_networks_contain (self->listener->proxy_from, &self->peer);

  g_queue_push_tail_link (&self->home->connections, &self->link);
  self->handler = &self->protocol->protocol->handler;
  rook_deadline_init (self);
  rook_input_init (&self->input, settings->line);
  self->idle_ms = settings->idle_ms;
  self->login_due = rook_connection_now (self) + settings->login_ms;
  self->phase = ROOK_PHASE_PROXY;
  self->running = TRUE;
  rook_connection_watch (self);
  if (self->error == NULL && !proxied)
    rook_connection_accept (self);
  self->running = FALSE;
  rook_connection_run (self);
}

void
rook_connection_accept (RookConnection *self)
{
  RookNetSettings *settings = self->home->settings;
  char key[ROOK_ADDRESS_KEY_SIZE];

  rook_address_key (&self->peer, key);
  if (self->peer.family != AF_UNIX && !rook_networks_contain (settings->exempt, &self->peer))
    {
      if (!rook_tally_take (self->net->by_address, key, settings->per_address))
        {
          rook_connection_refuse (self, ROOK_REFUSAL_TOO_MANY_ADDRESS, self->net->metrics.refused_address);
          rook_connection_fail_with (self, ROOK_NET_ERROR_LIMIT, "too many connections from this address");
          return;
        }
      self->counted_address = TRUE;
    }
  rook_log_connection (self->net->log, ROOK_LOG_DEBUG, self, "net.accept", "listener", self->listener->name, NULL);
  self->phase = ROOK_PHASE_OPEN;
  begin_stream (self);
}

/* --- running --------------------------------------------------------------------------------------------------------------- */

void
rook_connection_schedule (RookConnection *self)
{
  if (self->scheduled || self->running)
    return;
  self->scheduled = TRUE;
  g_queue_push_tail_link (&self->home->scheduled, &self->scheduled_link);
  rook_net_worker_wake (self->home);
}

static void
handshake (RookConnection *self)
{
  const RookNetMetrics *metrics = &self->net->metrics;
  gboolean again = self->tls_wanted; /* it is a STARTTLS */
  GError *error = NULL;
  RookFilterResult result = rook_tls_filter_handshake (self->tls, &error);

  if (result == ROOK_FILTER_AGAIN)
    return;
  if (result != ROOK_FILTER_OK)
    {
      rook_counter_add (metrics->handshakes_failed, 1);
      rook_connection_fail (self, error);
      return;
    }
  rook_counter_add (rook_tls_filter_is_resumed (self->tls) ? metrics->handshakes_resumed : metrics->handshakes, 1);
  self->tls_up = TRUE;
  self->tls_wanted = FALSE;
  if (!again || self->protocol == NULL)
    {
      rook_connection_open (self);
      return;
    }
  self->phase = ROOK_PHASE_OPEN;
  if (self->identity != NULL || self->protocol->protocol->no_login)
    self->login_due = 0;
  rook_deadline_touch (self);
  if (self->handler->ready != NULL)
    self->handler->ready (self, self->session);
}

void
rook_connection_drain (RookConnection *self, const char *farewell)
{
  if (self->farewell == NULL)
    self->farewell = farewell;
  rook_connection_schedule (self);
}

static void
tell_drain (RookConnection *self)
{
  if (self->protocol == NULL && (self->handler->drain == NULL || self->phase != ROOK_PHASE_OPEN))
    return; /* whoever called out may need it to finish */
  if (self->phase < ROOK_PHASE_OPEN)
    {
      rook_connection_fail_with (self, ROOK_NET_ERROR_SHUTDOWN, self->farewell);
      return;
    }
  if (self->phase != ROOK_PHASE_OPEN || self->drain_told)
    return;
  self->drain_told = TRUE;
  if (self->handler->drain != NULL)
    self->handler->drain (self, self->session);
  else
    rook_connection_close (self);
}

/* Output has room again: input goes on, and the handler is told. Returns: whether either waited for it. */
static gboolean
use_room (RookConnection *self)
{
  gboolean wanted = self->want_drained;

  if ((!wanted && !self->held) || self->phase != ROOK_PHASE_OPEN
      || self->output.pending > self->home->settings->output_buffer / 4)
    return FALSE;
  self->held = self->want_drained = FALSE;
  if (wanted && self->handler->drained != NULL)
    self->handler->drained (self, self->session);
  return TRUE;
}

static void
step (RookConnection *self)
{
  switch (self->phase)
    {
    case ROOK_PHASE_CONNECTING:
      rook_connect_run (self);
      break;
    case ROOK_PHASE_PROXY:
      rook_connection_read_proxy (self);
      break;
    case ROOK_PHASE_HANDSHAKE:
      handshake (self);
      break;
    default:
      break;
    }
  if (self->error == NULL && self->farewell != NULL)
    tell_drain (self);
  if (self->error == NULL && self->phase == ROOK_PHASE_OPEN)
    rook_connection_pump_input (self);
}

static void
update_watch (RookConnection *self)
{
  gboolean reading = self->phase < ROOK_PHASE_OPEN || rook_connection_wants_input (self);
  RookIo events = ROOK_IO_HANGUP;

  if (self->watch == NULL || self->phase == ROOK_PHASE_CONNECTING)
    return;
  /* Interest in input is given up only when input comes that nobody wants: most who pause are resumed before that. */
  if (reading || (self->reading && !self->readable))
    events |= ROOK_IO_READ;
  self->reading = (events & ROOK_IO_READ) != 0;
  if (self->socket.blocked)
    events |= ROOK_IO_WRITE;
  if (self->hangup && !reading && self->phase == ROOK_PHASE_OPEN)
    rook_connection_fail_with (self, ROOK_NET_ERROR_CLOSED, "the peer closed the connection");
  self->hangup = self->readable = FALSE;
  rook_watch_set_events (self->watch, events);
}

static void
count_bytes (RookConnection *self)
{
  const RookNetMetrics *metrics = &self->net->metrics;

  if (self->socket.bytes_in != self->told_in)
    rook_counter_add (metrics->bytes_in, self->socket.bytes_in - self->told_in);
  if (self->socket.bytes_out != self->told_out)
    rook_counter_add (metrics->bytes_out, self->socket.bytes_out - self->told_out);
  self->told_in = self->socket.bytes_in;
  self->told_out = self->socket.bytes_out;
}

static void
run_rounds (RookConnection *self)
{
  for (guint round = 0; self->error == NULL; round++)
    {
      RookPhase before = self->phase;

      if (round == ROUNDS_A_RUN)
        {
          self->more = TRUE;
          return;
        }
      step (self);
      if (self->error == NULL && self->phase != ROOK_PHASE_CONNECTING)
        rook_connection_pump_output (self);
      if (self->error != NULL || self->more)
        return;
      if (!use_room (self) && (self->phase == before || self->phase > ROOK_PHASE_OPEN))
        return;
    }
}

void
rook_connection_run (RookConnection *self)
{
  g_assert (!self->running);
  if (self->phase == ROOK_PHASE_LINGERING)
    {
      linger (self);
      return;
    }
  self->running = TRUE;
  self->more = FALSE;
  if (self->error == NULL)
    rook_deadline_check (self);
  run_rounds (self);
  count_bytes (self);
  if (self->error == NULL)
    update_watch (self);
  self->running = FALSE;
  if (self->error != NULL || (self->phase == ROOK_PHASE_CLOSING && rook_connection_is_flushed (self)))
    {
      finish (self);
      return;
    }
  rook_deadline_update (self);
  if (self->more)
    rook_connection_schedule (self);
}
