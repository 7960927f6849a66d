/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Outbound connections, in clear, under TLS and compressed, over real sockets.
 */
#include "net-tls.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Speaks to an echo server: STARTTLS if asked, then ECHO, then the end. */
typedef struct {
  Fixture *fixture;
  RookConnection *connection; /* (nullable) NULL once it is over */
  GString *heard;
  gint reason; /* -2: none yet; -1: closed by us */
  guint ready;
  gboolean deflate;
} Caller;

static void
caller_line (RookConnection *connection, gpointer data, char *line, gsize length G_GNUC_UNUSED,
             RookLineFlags flags G_GNUC_UNUSED)
{
  Caller *self = data;

  g_string_append_printf (self->heard, "%s|", line);
  if (!g_str_equal (line, "BEGIN"))
    return;
  if (self->deflate)
    {
      g_assert_true (rook_connection_start_deflate (connection, NULL));
      rook_connection_puts (connection, "ECHO compressed\r\n");
    }
  else
    g_assert_true (rook_connection_start_tls (connection, NULL));
}

static void
caller_ready (RookConnection *connection G_GNUC_UNUSED, gpointer data)
{
  Caller *self = data;

  self->ready++;
}

static void
caller_closed (RookConnection *connection G_GNUC_UNUSED, gpointer data, const GError *reason)
{
  Caller *self = data;

  if (reason != NULL)
    g_test_message ("%s", reason->message);
  self->connection = NULL;
  self->reason = reason != NULL ? reason->code : -1;
}

static const RookConnectionHandler caller_handler = {
  .struct_size = sizeof (RookConnectionHandler),
  .line = caller_line,
  .ready = caller_ready,
  .closed = caller_closed,
};

static void
call (Caller *self, Fixture *fixture, const RookConnectSpec *spec)
{
  *self = (Caller){ .fixture = fixture, .heard = g_string_new (NULL), .reason = -2 };
  self->connection = rook_connection_connect (fixture->server, spec, &caller_handler, self);
  g_assert_nonnull (self->connection);
  g_assert_cmpint (self->reason, ==, -2); /* nothing is called before it returns */
}

static void
hang_up (Caller *self)
{
  if (self->connection != NULL)
    rook_connection_close (self->connection);
  fixture_wait (self->fixture, self->connection == NULL);
  g_string_free (self->heard, TRUE);
}

static gint
reason_for (Fixture *fixture, RookConnectSpec spec)
{
  Caller caller;
  gint reason;

  spec.struct_size = sizeof spec;
  call (&caller, fixture, &spec);
  fixture_wait (fixture, caller.ready > 0 || caller.reason != -2);
  reason = caller.reason;
  hang_up (&caller);
  return reason;
}

static void
test_connect_plain (void)
{
  Caller caller;
  g_autoptr (Fixture) fixture = tls_fixture_new ("");
  const RookConnectSpec spec = { .struct_size = sizeof spec,
                                 .host = "127.0.0.1",
                                 .port = rook_net_get_port (fixture->net, "plain") };

  call (&caller, fixture, &spec);
  rook_connection_puts (caller.connection, "ECHO 1\r\n"); /* goes out when it is up */
  fixture_wait (fixture, strcmp (caller.heard->str, "HELLO|1|") == 0);
  g_assert_cmpuint (caller.ready, ==, 1);
  g_assert_cmpstr (rook_connection_get_peer_address (caller.connection), ==, "127.0.0.1");
  rook_connection_puts (caller.connection, "QUIT\r\n");
  fixture_wait (fixture, caller.reason == ROOK_NET_ERROR_CLOSED);
  hang_up (&caller);
}

static void
test_connect_by_name (void)
{
  g_autoptr (Fixture) fixture = tls_fixture_new ("");

  /* "localhost" may be ::1 first, where nobody listens */
  g_assert_cmpint (
      reason_for (fixture, (RookConnectSpec){ .host = "localhost", .port = rook_net_get_port (fixture->net, "plain") }),
      ==, -2);
  /* longer than a label may be: no name server is asked */
  g_assert_cmpint (reason_for (fixture, (RookConnectSpec){ .host = "a234567890123456789012345678901234567890"
                                                                   "123456789012345678901234567890.invalid",
                                                           .port = 1 }),
                   ==, ROOK_NET_ERROR_RESOLVE);
}

static void
test_connect_fails (void)
{
  guint16 port;
  g_autoptr (Fixture) fixture = tls_fixture_new ("");

  port = rook_net_get_port (fixture->net, "plain");
  rook_net_drain (fixture->net);
  g_assert_cmpint (reason_for (fixture, (RookConnectSpec){ .host = "127.0.0.1", .port = port }), ==,
                   ROOK_NET_ERROR_CONNECT);
  g_assert_cmpint (reason_for (fixture, (RookConnectSpec){ .host = "/nowhere/at/all" }), ==, ROOK_NET_ERROR_CONNECT);
}

/* A peer that is silent in the handshake. */
static void
test_connect_times_out (void)
{
  g_autoptr (Fixture) fixture = tls_fixture_new ("");

  g_assert_cmpint (reason_for (fixture, (RookConnectSpec){ .host = "127.0.0.1",
                                                           .port = rook_net_get_port (fixture->net, "plain"),
                                                           .tls = ROOK_TLS_IMPLICIT,
                                                           .tls_no_verify = TRUE }),
                   ==, ROOK_NET_ERROR_TLS); /* it greets in clear */
  {
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    g_assert_no_errno (bind (fd, (struct sockaddr *) &address, sizeof address));
    g_assert_no_errno (listen (fd, 1));
    g_assert_no_errno (getsockname (fd, (struct sockaddr *) &address, &length));
    g_assert_cmpint (reason_for (fixture, (RookConnectSpec){ .host = "127.0.0.1",
                                                             .port = ntohs (address.sin_port),
                                                             .tls = ROOK_TLS_IMPLICIT,
                                                             .tls_no_verify = TRUE,
                                                             .connect_timeout_ms = 200 }),
                     ==, ROOK_NET_ERROR_TIMEOUT);
    close (fd);
  }
}

static void
test_connect_verifies (void)
{
  guint16 port;
  g_autoptr (Fixture) fixture = tls_fixture_new ("[tls]\nca=%s/a.pem\n[tls other]\nca=%s/b.pem\n");

  port = rook_net_get_port (fixture->net, "secure");
#define REASON(name, ...) \
  reason_for (fixture, (RookConnectSpec){ .host = name, .port = port, .tls = ROOK_TLS_IMPLICIT, __VA_ARGS__ })
  g_assert_cmpint (REASON ("127.0.0.1", .connect_timeout_ms = 0), ==, -2);
  g_assert_cmpint (REASON ("127.0.0.1", .tls_group = "other"), ==,
                   ROOK_NET_ERROR_CERTIFICATE); /* an authority we don't know */
  g_assert_cmpint (REASON ("127.0.0.1", .tls_group = "other", .tls_no_verify = TRUE), ==, -2);
  g_assert_cmpint (REASON ("localhost", .connect_timeout_ms = 0), ==,
                   ROOK_NET_ERROR_CERTIFICATE); /* a name that is not in it */
  g_assert_cmpint (REASON ("127.0.0.1", .tls_group = "missing"), ==, ROOK_NET_ERROR_TLS);
#undef REASON
}

static void
test_connect_starttls (void)
{
  Caller caller;
  g_autoptr (Fixture) fixture = tls_fixture_new ("[tls]\nca=%s/a.pem\n");
  const RookConnectSpec spec = { .struct_size = sizeof spec,
                                 .host = "127.0.0.1",
                                 .tls = ROOK_TLS_STARTTLS,
                                 .port = rook_net_get_port (fixture->net, "clear") };

  call (&caller, fixture, &spec);
  rook_connection_puts (caller.connection, "STARTTLS\r\n");
  fixture_wait (fixture, caller.ready == 2 || caller.reason != -2);
  g_assert_cmpint (caller.reason, ==, -2);
  g_assert_true (rook_connection_has_tls (caller.connection));
  rook_connection_puts (caller.connection, "TLS\r\n");
  fixture_wait (fixture, strcmp (caller.heard->str, "HELLO|BEGIN|TLSv1.3 -|") == 0);
  hang_up (&caller);
}

/* Compression on both sides, over TLS: bytes that came with the command line's segment are the compressor's already. */
static void
test_deflate (void)
{
  Caller caller;
  g_autoptr (Fixture) fixture = tls_fixture_new ("[tls]\nca=%s/a.pem\n");
  const RookConnectSpec spec = { .struct_size = sizeof spec,
                                 .host = "127.0.0.1",
                                 .tls = ROOK_TLS_IMPLICIT,
                                 .port = rook_net_get_port (fixture->net, "secure") };
  guint64 before;

  call (&caller, fixture, &spec);
  caller.deflate = TRUE;
  rook_connection_puts (caller.connection, "DEFLATE\r\n");
  fixture_wait (fixture, strcmp (caller.heard->str, "HELLO|BEGIN|compressed|") == 0);
  g_assert_true (rook_connection_has_deflate (caller.connection));
  before = rook_counter_get (fixture->net->metrics.bytes_in);
  for (guint i = 0; i < 1000; i++)
    rook_connection_puts (caller.connection, "ECHO the same again and again\r\n");
  g_string_truncate (caller.heard, 0);
  fixture_wait (fixture, caller.heard->len == 1000 * strlen ("the same again and again|"));
  g_assert_cmpuint (rook_counter_get (fixture->net->metrics.bytes_in) - before, <, 10000);
  hang_up (&caller);
}

static void
test_connect_freed_while_resolving (void)
{
  Caller caller;
  g_autoptr (Fixture) fixture = tls_fixture_new ("");
  const RookConnectSpec spec = { .struct_size = sizeof spec, .host = "localhost", .port = 1 };

  call (&caller, fixture, &spec);
  rook_connection_abort (caller.connection, NULL);
  hang_up (&caller);
  call (&caller, fixture, &spec);
  g_clear_pointer (&fixture, fixture_free); /* with one on its way */
  g_assert_cmpint (caller.reason, ==, ROOK_NET_ERROR_SHUTDOWN);
  g_string_free (caller.heard, TRUE);
}


int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  make_certificates ();
  g_test_add_func ("/net/connect/plain", test_connect_plain);
  g_test_add_func ("/net/connect/by-name", test_connect_by_name);
  g_test_add_func ("/net/connect/fails", test_connect_fails);
  g_test_add_func ("/net/connect/times-out", test_connect_times_out);
  g_test_add_func ("/net/connect/verifies", test_connect_verifies);
  g_test_add_func ("/net/connect/starttls", test_connect_starttls);
  g_test_add_func ("/net/connect/freed-while-resolving", test_connect_freed_while_resolving);
  g_test_add_func ("/net/deflate/over-tls", test_deflate);
  status = g_test_run ();
  remove_certificates ();
  return status;
}
