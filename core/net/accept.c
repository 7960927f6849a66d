/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Accepting: the main worker takes connections from all listening sockets and hands each to the worker that has the
 * fewest. Sessions last, so an even spread is worth more than the hand-over costs (see README.md for numbers).
 *
 * Without descriptors a connection is taken with one held in reserve and turned away; if even that is gone, accepting
 * rests for a moment. Neither spins.
 */
#include "net/connection.h"
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_A_WAKEUP 64
#define PAUSE_MS 100
#define COMPLAIN_EVERY_MS 10000

static void
watch_all (RookListeners *self, RookIo events)
{
  for (guint i = 0; i < self->sockets->len; i++)
    {
      RookListenSocket *socket = g_ptr_array_index (self->sockets, i);

      if (socket->watch != NULL)
        rook_watch_set_events (socket->watch, events);
    }
}

static void
on_pause_over (gpointer data)
{
  RookListeners *self = data;

  if (self->reserve_fd < 0)
    self->reserve_fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  watch_all (self, ROOK_IO_READ);
}

void
rook_accept_init (RookListeners *self)
{
  self->reserve_fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  rook_timer_init (&self->pause, rook_loop_get_main_worker (self->net->loop), on_pause_over, self);
}

void
rook_accept_clear (RookListeners *self)
{
  rook_timer_stop (&self->pause);
  if (self->reserve_fd >= 0)
    close (self->reserve_fd);
}

static void
complain (RookListeners *self, int code)
{
  gint64 now = rook_worker_get_now_ms (rook_loop_get_main_worker (self->net->loop));

  rook_counter_add (self->net->metrics.refused_descriptors, 1);
  if (self->complained_ms != 0 && now - self->complained_ms < COMPLAIN_EVERY_MS)
    return;
  self->complained_ms = now;
  rook_log_message (self->net->log, ROOK_LOG_ERROR, "net.no-descriptors",
                    "connections are turned away: %s (see server/max-open-files and limits/connections)",
                    g_strerror (code));
}

static void
take_in (RookListenSocket *socket, int fd, const struct sockaddr *address)
{
  RookNet *net = socket->owner->net;
  RookNetWorker *home = rook_net_get_quietest_worker (net);
  RookConnection *connection = rook_connection_new (home, fd);
  RookNetProtocol *protocol = rook_net_find_protocol (net, socket->listener->protocol);
  struct sockaddr_storage local = { 0 };
  socklen_t length = sizeof local;

  connection->protocol = rook_net_protocol_ref (protocol);
  connection->plugin = protocol->plugin != NULL ? rook_plugin_ref (protocol->plugin) : NULL;
  connection->listener = rook_listener_ref (socket->listener);
  rook_address_from_sockaddr (&connection->peer, address);
  getsockname (fd, (struct sockaddr *) &local, &length);
  rook_address_from_sockaddr (&connection->local, (struct sockaddr *) &local);
  rook_gauge_add (protocol->now, 1);
  __atomic_fetch_add (&home->n_connections, 1, __ATOMIC_RELAXED);
  if ((guint) __atomic_add_fetch (&net->n_accepted, 1, __ATOMIC_RELAXED) > net->settings->connections
      || !rook_tally_take (net->by_listener, socket->listener->name, socket->listener->max_connections))
    {
      rook_connection_refuse (connection, ROOK_REFUSAL_TOO_MANY);
      rook_connection_discard (connection);
      return;
    }
  connection->counted_listener = TRUE;
  rook_counter_add (protocol->total, 1);
  rook_worker_invoke (home->worker, rook_connection_start, connection, NULL);
}

typedef enum { TURNED_AWAY, NOBODY, STUCK } TurnAway;

/* There is no descriptor left. (The system says so even when nobody is waiting.) */
static TurnAway
turn_away (RookListenSocket *socket, int code)
{
  RookListeners *self = socket->owner;
  int fd = -1;
  int wrong = code;

  if (self->reserve_fd >= 0)
    {
      close (self->reserve_fd);
      fd = accept4 (socket->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
      wrong = errno;
      if (fd >= 0)
        close (fd);
      self->reserve_fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);
    }
  if (fd < 0 && wrong == EAGAIN)
    return NOBODY;
  complain (self, code);
  return fd >= 0 && self->reserve_fd >= 0 ? TURNED_AWAY : STUCK;
}

static void
rest (RookListeners *self)
{
  watch_all (self, ROOK_IO_NONE);
  rook_timer_start (&self->pause, PAUSE_MS);
}

/* Returns: whether to go on. */
static gboolean
accept_failed (RookListenSocket *socket, int code)
{
  TurnAway outcome;

  if (code == EAGAIN || code == EWOULDBLOCK || code == EINVAL)
    return FALSE;
  if (code != EMFILE && code != ENFILE && code != ENOBUFS && code != ENOMEM)
    return TRUE; /* that one connection is gone already (accept(2)); or a signal */
  outcome = turn_away (socket, code);
  if (outcome == STUCK)
    rest (socket->owner);
  return outcome == TURNED_AWAY;
}

void
rook_accept_ready (RookIo ready G_GNUC_UNUSED, gpointer data)
{
  RookListenSocket *socket = data;

  for (guint i = 0; i < ACCEPTS_A_WAKEUP; i++)
    {
      struct sockaddr_storage address = { 0 };
      socklen_t length = sizeof address;
      int fd = accept4 (socket->fd, (struct sockaddr *) &address, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);

      if (fd >= 0)
        take_in (socket, fd, (struct sockaddr *) &address);
      else if (!accept_failed (socket, errno))
        return;
    }
}
