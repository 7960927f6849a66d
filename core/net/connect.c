/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Outbound connections until they are up: the name is looked up in the pool, its addresses are tried in turn (the next
 * begins when one fails or has not answered in 250 ms, a simple form of RFC 8305), then TLS if it is implicit.
 */
#include "net/connection.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/filter-tls.h"

#define CONNECT_MS 30000
#define NEXT_ATTEMPT_MS 250
#define MAX_ATTEMPTS 16

typedef struct {
  RookConnection *connection; /* (unowned) */
  int fd;                     /* (owned) */
  RookWatch *watch;           /* (owned) */
  struct sockaddr_storage address;
} Attempt;

/* What the pool thread works on; it outlives the connection if that is aborted meanwhile. */
typedef struct {
  RookConnection *connection; /* (unowned) (nullable) own thread: NULL when it is gone */
  char *host, *tls_group;     /* (owned) */
  guint16 port;
  RookTlsStore *store;  /* (owned) (nullable) if TLS is wanted: its files are read there too */
  GPtrArray *addresses; /* (element-type sockaddr_storage) (owned) */
  GError *error;        /* (owned) (nullable) */
} Lookup;

struct RookConnect {
  char *host, *tls_group; /* (owned) */
  RookTlsMode tls;
  gboolean no_verify;
  guint16 port;
  RookTlsStore *store;  /* (owned) */
  Lookup *lookup;       /* (unowned) (nullable) on its way */
  GPtrArray *addresses; /* (owned) (nullable) */
  guint next;           /* of addresses */
  Attempt *attempts[MAX_ATTEMPTS];
  guint n_attempts, n_open;
  Attempt *winner; /* (unowned) (nullable) connected */
  gint64 next_due;
  GError *last_error; /* (owned) (nullable) */
  RookTimer timer;
};

/* --- looking up ----------------------------------------------------------------------------------------------------------- */

static void
lookup_free (Lookup *lookup)
{
  g_free (lookup->host);
  g_free (lookup->tls_group);
  g_clear_pointer (&lookup->store, rook_tls_store_unref);
  g_ptr_array_unref (lookup->addresses);
  g_clear_error (&lookup->error);
  g_free (lookup);
}

static void
add_address (Lookup *lookup, const void *address, gsize length)
{
  struct sockaddr_storage *copy = g_new0 (struct sockaddr_storage, 1);

  memcpy (copy, address, length);
  g_ptr_array_add (lookup->addresses, copy);
}

static void
lookup_run (gpointer data)
{
  Lookup *lookup = data;
  const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG };
  struct addrinfo *found = NULL;
  char port[8];
  int code;

  if (lookup->store != NULL)
    {
      SSL *ssl = rook_tls_store_new_client (lookup->store, lookup->tls_group, &lookup->error);

      SSL_free (ssl); /* the context stays made */
      if (lookup->error != NULL)
        return;
    }
  if (lookup->addresses->len > 0)
    return;
  g_snprintf (port, sizeof port, "%u", lookup->port);
  code = getaddrinfo (lookup->host, port, &hints, &found);
  if (code != 0)
    {
      g_set_error (&lookup->error, ROOK_NET_ERROR, ROOK_NET_ERROR_RESOLVE, "%s: %s", lookup->host, gai_strerror (code));
      return;
    }
  for (struct addrinfo *info = found; info != NULL && lookup->addresses->len < MAX_ATTEMPTS; info = info->ai_next)
    add_address (lookup, info->ai_addr, info->ai_addrlen);
  freeaddrinfo (found);
}

static void
lookup_done (RookPoolOutcome outcome, gpointer data)
{
  Lookup *lookup = data;
  RookConnection *self = lookup->connection;

  if (self != NULL)
    {
      self->connect->lookup = NULL;
      if (outcome != ROOK_POOL_RAN)
        rook_connection_fail_with (self, ROOK_NET_ERROR_RESOLVE, "too busy to look the name up");
      else if (lookup->error != NULL)
        rook_connection_fail (self, g_steal_pointer (&lookup->error));
      else
        self->connect->addresses = g_ptr_array_ref (lookup->addresses);
      rook_connection_schedule (self);
    }
  lookup_free (lookup);
}

/* A numeric address or a path needs no look-up. */
static void
add_literal (Lookup *lookup)
{
  struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons (lookup->port) };
  struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons (lookup->port) };
  struct sockaddr_un un = { .sun_family = AF_UNIX };

  if (lookup->host[0] == '/')
    {
      if (g_strlcpy (un.sun_path, lookup->host, sizeof un.sun_path) < sizeof un.sun_path)
        add_address (lookup, &un, sizeof un);
    }
  else if (inet_pton (AF_INET, lookup->host, &in.sin_addr) == 1)
    add_address (lookup, &in, sizeof in);
  else if (inet_pton (AF_INET6, lookup->host, &in6.sin6_addr) == 1)
    add_address (lookup, &in6, sizeof in6);
}

static void
begin_lookup (RookConnection *self)
{
  RookConnect *connect = self->connect;
  Lookup *lookup = g_new0 (Lookup, 1);

  lookup->connection = self;
  lookup->host = g_strdup (connect->host);
  lookup->tls_group = g_strdup (connect->tls_group);
  lookup->port = connect->port;
  lookup->store = connect->tls != ROOK_TLS_NONE ? rook_tls_store_ref (connect->store) : NULL;
  lookup->addresses = g_ptr_array_new_with_free_func (g_free);
  add_literal (lookup);
  if (lookup->addresses->len > 0 && lookup->store == NULL)
    {
      connect->addresses = g_ptr_array_ref (lookup->addresses);
      lookup_free (lookup);
      rook_connection_schedule (self);
    }
  else if (rook_pool_run (rook_server_get_pool (self->net->server), 0, lookup_run, lookup_done, lookup))
    connect->lookup = lookup;
  else
    {
      lookup_free (lookup);
      rook_connection_fail_with (self, ROOK_NET_ERROR_RESOLVE, "too busy to look the name up");
    }
}

/* --- attempts ------------------------------------------------------------------------------------------------------------- */

static void
attempt_close (RookConnect *connect, Attempt *attempt)
{
  g_clear_pointer (&attempt->watch, rook_watch_free);
  if (attempt->fd < 0)
    return;
  close (attempt->fd);
  attempt->fd = -1;
  connect->n_open--;
}

static void
attempt_failed (RookConnection *self, Attempt *attempt, int code)
{
  RookConnect *connect = self->connect;
  RookAddress address;

  rook_address_from_sockaddr (&address, (struct sockaddr *) &attempt->address);
  g_clear_error (&connect->last_error);
  g_set_error (&connect->last_error, ROOK_NET_ERROR, ROOK_NET_ERROR_CONNECT, "%s: %s", address.text, g_strerror (code));
  attempt_close (connect, attempt);
  connect->next_due = 0; /* the next at once */
}

static void
set_addresses (RookConnection *self, const Attempt *attempt)
{
  struct sockaddr_storage local = { 0 };
  socklen_t length = sizeof local;
  const int on = 1;

  rook_address_from_sockaddr (&self->peer, (const struct sockaddr *) &attempt->address);
  getsockname (attempt->fd, (struct sockaddr *) &local, &length);
  rook_address_from_sockaddr (&self->local, (struct sockaddr *) &local);
  if (self->peer.family == AF_UNIX)
    return;
  setsockopt (attempt->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt (attempt->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

/* This one is it. */
static void
attempt_succeeded (RookConnection *self, Attempt *attempt)
{
  RookConnect *connect = self->connect;
  g_autoptr (GError) error = NULL;
  RookFilter *filter;

  set_addresses (self, attempt);
  g_clear_pointer (&attempt->watch, rook_watch_free);
  self->socket.fd = attempt->fd;
  attempt->fd = -1;
  connect->n_open--;
  for (guint i = 0; i < connect->n_attempts; i++)
    attempt_close (connect, connect->attempts[i]);
  rook_timer_stop (&connect->timer);
  self->phase = ROOK_PHASE_PROXY; /* connected; nothing can be read as yet */
  rook_connection_watch (self);
  if (connect->tls != ROOK_TLS_IMPLICIT || self->error != NULL)
    {
      if (self->error == NULL)
        rook_connection_open (self);
      return;
    }
  filter = rook_connect_new_tls (self, &error);
  if (filter != NULL)
    rook_connection_begin_tls (self, filter);
  else
    rook_connection_fail (self, g_steal_pointer (&error));
}

static void
on_attempt_ready (RookIo ready G_GNUC_UNUSED, gpointer data)
{
  Attempt *attempt = data;
  int code = 0;
  socklen_t length = sizeof code;

  if (getsockopt (attempt->fd, SOL_SOCKET, SO_ERROR, &code, &length) != 0)
    code = errno;
  if (code == 0)
    attempt->connection->connect->winner = attempt;
  else
    attempt_failed (attempt->connection, attempt, code);
  rook_connection_run (attempt->connection);
}

/* connect(2), where the local variables of this file have taken its name */
static int
connect_now (int fd, const struct sockaddr_storage *address, socklen_t length)
{
  return connect (fd, (const struct sockaddr *) address, length);
}

static void
attempt_next (RookConnection *self)
{
  RookConnect *connect = self->connect;
  Attempt *attempt = g_new0 (Attempt, 1);
  socklen_t length;

  memcpy (&attempt->address, g_ptr_array_index (connect->addresses, connect->next), sizeof attempt->address);
  connect->next++;
  connect->attempts[connect->n_attempts++] = attempt;
  connect->next_due = rook_connection_now (self) + NEXT_ATTEMPT_MS;
  attempt->connection = self;
  attempt->fd = socket (attempt->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (attempt->fd < 0)
    {
      connect->n_open++;
      attempt_failed (self, attempt, errno);
      connect->n_open--;
      return;
    }
  connect->n_open++;
  length = attempt->address.ss_family == AF_UNIX   ? sizeof (struct sockaddr_un)
           : attempt->address.ss_family == AF_INET ? sizeof (struct sockaddr_in)
                                                   : sizeof (struct sockaddr_in6);
  if (connect_now (attempt->fd, &attempt->address, length) == 0)
    connect->winner = attempt;
  else if (errno != EINPROGRESS)
    attempt_failed (self, attempt, errno);
  else
    attempt->watch = rook_watch_new (self->home->worker, attempt->fd, ROOK_IO_WRITE, on_attempt_ready, attempt);
}

static void
on_next (gpointer data)
{
  rook_connection_run (data);
}

void
rook_connect_run (RookConnection *self)
{
  RookConnect *connect = self->connect;
  gint64 now = rook_connection_now (self);

  if (connect->addresses == NULL)
    return;
  while (connect->winner == NULL && connect->next < connect->addresses->len
         && (connect->n_open == 0 || now >= connect->next_due))
    attempt_next (self);
  if (connect->winner != NULL)
    {
      attempt_succeeded (self, g_steal_pointer (&connect->winner));
      return;
    }
  if (connect->n_open == 0)
    {
      if (connect->last_error != NULL)
        rook_connection_fail (self, g_steal_pointer (&connect->last_error));
      else
        rook_connection_fail_with (self, ROOK_NET_ERROR_RESOLVE, "the name has no address");
      return;
    }
  if (connect->next < connect->addresses->len)
    rook_timer_start (&connect->timer, MAX (connect->next_due - now, 1));
}

void
rook_connect_free (RookConnect *connect)
{
  if (connect->lookup != NULL)
    connect->lookup->connection = NULL;
  rook_timer_stop (&connect->timer);
  for (guint i = 0; i < connect->n_attempts; i++)
    {
      attempt_close (connect, connect->attempts[i]);
      g_free (connect->attempts[i]);
    }
  g_clear_pointer (&connect->addresses, g_ptr_array_unref);
  g_clear_error (&connect->last_error);
  rook_tls_store_unref (connect->store);
  g_free (connect->host);
  g_free (connect->tls_group);
  g_free (connect);
}

RookFilter *
rook_connect_new_tls (RookConnection *self, GError **error)
{
  RookConnect *connect = self->connect;

  return rook_tls_filter_new_client (&self->socket.filter, connect->store, connect->tls_group, connect->host,
                                     connect->no_verify, error);
}

/* It is up: the handler's `ready`, now or after a STARTTLS. */
void
rook_connect_up (RookConnection *self)
{
  self->connect_due = 0;
  self->login_due = 0;
  if (self->handler->ready != NULL)
    self->handler->ready (self, self->session);
}

RookConnection *
rook_connection_connect (RookServer *server, const RookConnectSpec *spec, const RookConnectionHandler *handler,
                         gpointer session)
{
  RookNet *net = rook_server_get_net (server);
  RookNetWorker *home = rook_net_get_worker (net);
  RookConnection *self = rook_connection_new (home, -1);
  RookConnect *connect = g_new0 (RookConnect, 1);

  connect->host = g_strdup (spec->host);
  connect->port = spec->port;
  connect->tls = spec->tls;
  connect->tls_group = g_strdup (spec->tls_group);
  connect->no_verify = spec->tls_no_verify;
  connect->store = rook_tls_store_ref (home->tls);
  rook_timer_init (&connect->timer, home->worker, on_next, self);
  self->connect = connect;
  self->handler = handler;
  self->session = session;
  self->opened = TRUE;
  rook_input_init (&self->input, home->settings->line);
  __atomic_fetch_add (&home->n_connections, 1, __ATOMIC_RELAXED);
  g_queue_push_tail_link (&home->connections, &self->link);
  rook_gauge_add (net->metrics.outbound_now, 1);
  rook_counter_add (net->metrics.outbound_total, 1);
  rook_deadline_init (self);
  self->idle_ms = spec->idle_timeout_ms;
  self->connect_due =
      rook_connection_now (self) + (spec->connect_timeout_ms > 0 ? spec->connect_timeout_ms : CONNECT_MS);
  begin_lookup (self);
  rook_deadline_update (self);
  return self;
}
