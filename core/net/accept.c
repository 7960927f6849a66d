/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Accepting: the main worker takes connections from all listening sockets and hands each to the worker that has the
 * fewest. Sessions last, so an even spread is worth more than the hand-over costs (see README.md for numbers).
 *
 * When descriptors get short (room.h) a connection is taken to be told so. If there are none at all it is taken with one
 * held back for that, and closed; if even that is gone, accepting rests for a moment. None of it spins.
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
watch_systemd (gpointer name G_GNUC_UNUSED, gpointer list, gpointer events)
{
  for (guint i = 0; i < ((GPtrArray *) list)->len; i++)
    {
      RookSystemdSocket *one = g_ptr_array_index ((GPtrArray *) list, i);

      if (one->refusing != NULL)
        rook_watch_set_events (one->refusing, GPOINTER_TO_UINT (events));
    }
}

static void
watch_all (RookListeners *self, RookIo events)
{
  for (guint i = 0; i < self->sockets->len; i++)
    {
      RookListenSocket *socket = g_ptr_array_index (self->sockets, i);

      if (socket->watch != NULL)
        rook_watch_set_events (socket->watch, events);
    }
  g_hash_table_foreach (self->systemd, watch_systemd, GUINT_TO_POINTER (events));
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
complain (RookListeners *self, const char *why)
{
  gint64 now = rook_worker_get_now_ms (rook_loop_get_main_worker (self->net->loop));

  if (self->complained_ms != 0 && now - self->complained_ms < COMPLAIN_EVERY_MS)
    return;
  self->complained_ms = now;
  rook_log_message (self->net->log, ROOK_LOG_ERROR, "net.no-descriptors",
                    "connections are turned away: %s (see server/max-open-files and limits/connections)", why);
}

/* Returns: whether it has been turned away. */
static gboolean
turned_away (RookListenSocket *socket, RookConnection *connection)
{
  RookNet *net = socket->owner->net;

  if (!rook_room_has (net))
    {
      complain (socket->owner, "what descriptors are left is kept for the stores");
      rook_connection_refuse (connection, ROOK_REFUSAL_TOO_MANY, net->metrics.refused_descriptors);
      return TRUE;
    }
  if (rook_net_get_n_connections (net) > net->settings->connections
      || !rook_tally_take (net->by_listener, socket->listener->name, socket->listener->max_connections))
    {
      rook_connection_refuse (connection, ROOK_REFUSAL_TOO_MANY, net->metrics.refused_many);
      return TRUE;
    }
  return FALSE;
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
  __atomic_add_fetch (&net->n_accepted, 1, __ATOMIC_RELAXED);
  if (turned_away (socket, connection))
    {
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
turn_away (RookListeners *self, int listener, int code)
{
  int fd = -1;
  int wrong = code;

  if (self->reserve_fd >= 0)
    {
      close (self->reserve_fd);
      fd = accept4 (listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
      wrong = errno;
      if (fd >= 0)
        close (fd);
      self->reserve_fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);
    }
  if (fd < 0 && wrong == EAGAIN)
    return NOBODY;
  if (fd >= 0) /* who could not even be accepted still waits, and is counted when its turn comes */
    rook_counter_add (self->net->metrics.refused_descriptors, 1);
  complain (self, g_strerror (code));
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
accept_failed (RookListeners *self, int listener, int code)
{
  TurnAway outcome;

  if (code == EAGAIN || code == EWOULDBLOCK || code == EINVAL)
    return FALSE;
  if (code != EMFILE && code != ENFILE && code != ENOBUFS && code != ENOMEM)
    return TRUE; /* that one connection is gone already (accept(2)); or a signal */
  outcome = turn_away (self, listener, code);
  if (outcome == STUCK)
    rest (self);
  return outcome == TURNED_AWAY;
}

static void
accept_some (RookListenSocket *socket, guint most)
{
  for (guint i = 0; i < most; i++)
    {
      struct sockaddr_storage address = { 0 };
      socklen_t length = sizeof address;
      int fd = accept4 (socket->fd, (struct sockaddr *) &address, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);

      if (fd >= 0)
        take_in (socket, fd, (struct sockaddr *) &address);
      else if (!accept_failed (socket->owner, socket->fd, errno))
        return;
    }
}

void
rook_accept_ready (RookIo ready G_GNUC_UNUSED, gpointer data)
{
  accept_some (data, ACCEPTS_A_WAKEUP);
}

void
rook_accept_last (RookListenSocket *socket)
{
  accept_some (socket, socket->listener->backlog);
}

/* As near to a port that refuses as can be: the client's system hears at once that nobody is there. */
void
rook_accept_refuse (RookIo ready G_GNUC_UNUSED, gpointer data)
{
  const struct linger reset = { .l_onoff = 1 };
  RookSystemdSocket *self = data;

  for (guint i = 0; i < ACCEPTS_A_WAKEUP; i++)
    {
      int fd = accept4 (self->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

      if (fd < 0 && !accept_failed (self->owner, self->fd, errno))
        return;
      if (fd < 0)
        continue;
      rook_counter_add (self->owner->net->metrics.refused_unserved, 1);
      setsockopt (fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
      close (fd);
    }
}
