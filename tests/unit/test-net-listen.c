/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Listeners: where they are, when they take connections, and what a reload does to them.
 */
#include "net-echo.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/config-private.h"
#include "net/listener.h"
#include <glib/gstdio.h>

#define LISTENER "[listener one]\nprotocol=echo\naddress=127.0.0.1:0\n"

static RookConfig *
read_config (Fixture *fixture, const char *text)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (GString) own = g_string_new (text);
  RookConfig *config;

  g_string_replace (own, "@SCRATCH@", fixture->server->scratch, 0);
  config = rook_config_read_data ("test", own->str, own->len, &mistakes);
  rook_services_declare (config);
  rook_config_validate (config, mistakes);
  g_assert_cmpuint (mistakes->len, ==, 0);
  return config;
}

static guint
count_mistakes (Fixture *fixture, const char *text)
{
  g_autoptr (GPtrArray) mistakes = rook_config_mistakes_new ();
  g_autoptr (RookConfig) config = read_config (fixture, text);

  rook_net_check (NULL, config, mistakes);
  return mistakes->len;
}

static void
reconfigure (Fixture *fixture, const char *text)
{
  g_autoptr (GPtrArray) mistakes = rook_config_mistakes_new ();
  g_autoptr (RookConfig) config = read_config (fixture, text);

  rook_net_prepare (fixture->net, config, mistakes);
  g_assert_cmpuint (mistakes->len, ==, 0);
  rook_net_reconfigure (fixture->net, config);
}

static int
try_connect (guint16 port)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons (port) };
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int code;

  address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  code = connect (fd, (struct sockaddr *) &address, sizeof address) == 0 ? 0 : errno;
  close (fd);
  return code;
}

static guint16
free_port (void)
{
  struct sockaddr_in address = { .sin_family = AF_INET };
  socklen_t length = sizeof address;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &address, sizeof address));
  g_assert_no_errno (getsockname (fd, (struct sockaddr *) &address, &length));
  close (fd);
  return ntohs (address.sin_port);
}

/* Bound but not listening until there is a protocol, and the service says so. */
static void
test_two_phases (void)
{
  RookServer *server = rook_server_new_for_test ("[listener one]\nprotocol=late\naddress=127.0.0.1:0\n");
  RookNet *net = rook_server_get_net (server);
  g_autoptr (GError) error = NULL;
  guint16 port;

  rook_net_bind (net, &error);
  g_assert_no_error (error);
  port = rook_net_get_port (net, "one");
  g_assert_cmpuint (port, !=, 0);
  g_assert_cmpint (try_connect (port), ==, ECONNREFUSED);
  rook_net_listen (net);
  g_assert_cmpint (try_connect (port), ==, ECONNREFUSED);
  rook_server_free_for_test (server);
}

static void
test_address_in_use_is_named (void)
{
  struct sockaddr_in address = { .sin_family = AF_INET };
  socklen_t length = sizeof address;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_autofree char *text = NULL, *name = NULL;
  g_autoptr (GError) error = NULL;
  RookServer *server;

  address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &address, sizeof address));
  g_assert_no_errno (listen (fd, 1));
  g_assert_no_errno (getsockname (fd, (struct sockaddr *) &address, &length));
  name = g_strdup_printf ("127.0.0.1:%u", ntohs (address.sin_port));
  text = g_strdup_printf ("[listener one]\nprotocol=echo\naddress=%s\n", name);
  server = rook_server_new_for_test (text);
  g_assert_false (rook_net_bind (rook_server_get_net (server), &error));
  g_assert_nonnull (strstr (error->message, name));
  rook_server_free_for_test (server);
  close (fd);
}

static void
test_protocol_drains_and_comes_back (void)
{
  RookNetProtocol *protocol;
  guint16 port = free_port ();
  g_autofree char *text = g_strdup_printf ("[listener one]\nprotocol=echo\naddress=127.0.0.1:%u\n", port);
  g_autoptr (Fixture) fixture = fixture_new (text);

  protocol = rook_net_find_protocol (fixture->net, "echo");
  for (guint round = 0; round < 3; round++)
    {
      g_autoptr (Client) client = client_greeted (fixture, "one");

      g_atomic_int_set (&protocol->draining, TRUE);
      rook_listeners_update (fixture->net->listeners);
      g_assert_cmpint (try_connect (port), ==, ECONNREFUSED); /* at once */
      client_send (client, "ECHO still here\r\n");
      client_expect (client, "still here");
      g_assert_cmpuint (rook_net_get_port (fixture->net, "one"), ==, port); /* still ours */
      g_atomic_int_set (&protocol->draining, FALSE);
      rook_listeners_update (fixture->net->listeners);
    }
}

static void
test_reload (void)
{
  guint16 port;
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "[listener two]\nprotocol=open\naddress=127.0.0.1:0\n");

  port = rook_net_get_port (fixture->net, "one");
  {
    g_autoptr (Client) one = client_new (fixture, "one");
    g_autoptr (Client) two = client_new (fixture, "two");
    g_autoptr (Client) three = NULL;
    g_autoptr (Client) again = NULL;

    client_expect (one, "HELLO");
    client_expect (two, "HELLO");
    reconfigure (fixture, LISTENER "max-connections=2\n[listener three]\nprotocol=echo\naddress=127.0.0.1:0\n");
    g_assert_cmpuint (rook_net_get_port (fixture->net, "one"), ==, port);
    g_assert_cmpuint (rook_net_get_port (fixture->net, "two"), ==, 0); /* gone, */
    client_send (two, "ECHO two\r\n");
    client_expect (two, "two"); /* but not its connection */
    client_send (one, "ECHO one\r\n");
    client_expect (one, "one");
    three = client_new (fixture, "three");
    client_expect (three, "HELLO");
    again = client_new (fixture, "one");
    client_expect (again, "HELLO");
    {
      g_autoptr (Client) refused = client_new (fixture, "one");

      client_expect (refused, "TOO MANY");
    }
  }
}

static void
test_reload_changes_limits (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);
  g_autoptr (Client) one G_GNUC_UNUSED = client_greeted (fixture, "one");
  g_autoptr (Client) two = NULL;

  reconfigure (fixture, LISTENER "[limits]\nconnections=1\n");
  two = client_new (fixture, "one");
  client_expect (two, "TOO MANY");
}

/* What can't be bound refuses the reload, and leaves all as it was. */
static void
test_reload_all_or_nothing (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);
  g_autoptr (GPtrArray) mistakes = rook_config_mistakes_new ();
  g_autoptr (RookConfig) config =
      read_config (fixture, "[listener new]\nprotocol=echo\naddress=127.0.0.1:0;192.0.2.77:7\n");
  g_autoptr (Client) client = NULL;

  rook_net_prepare (fixture->net, config, mistakes);
  g_assert_cmpuint (mistakes->len, ==, 1);
  rook_net_abandon (fixture->net);
  client = client_new (fixture, "one");
  client_expect (client, "HELLO");
}

/* --- reload: what takes a place that is ours still ------------------------------------------------------------------------- */

static char *
on_port (const char *host, guint16 port)
{
  return g_strdup_printf ("[listener one]\nprotocol=echo\naddress=%s:%u\n", host, port);
}

/* Another rookeryd, say, can't bind beside us. */
static void
assert_alone (const char *host, guint16 port)
{
  const int on = 1;
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons (port) };
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_assert_cmpint (inet_pton (AF_INET, host, &address.sin_addr), ==, 1);
  g_assert_no_errno (setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
  g_assert_cmpint (bind (fd, (struct sockaddr *) &address, sizeof address), ==, -1);
  g_assert_cmpint (errno, ==, EADDRINUSE);
  close (fd);
}

/* From everywhere to loopback and back. Sessions go on; who waits to be accepted (nobody accepts meanwhile) is let in. */
static void
test_reload_moves (void)
{
  static const char *const hosts[] = { "*", "127.0.0.1", "0.0.0.0", "127.0.0.1", "*" };
  guint16 port = free_port ();
  g_autofree char *text = on_port (hosts[0], port);
  g_autoptr (GPtrArray) clients = g_ptr_array_new_with_free_func ((GDestroyNotify) client_free);
  g_autoptr (Fixture) fixture = fixture_new (text);

  for (guint i = 0; i < G_N_ELEMENTS (hosts); i++)
    {
      g_autofree char *next = on_port (hosts[i], port);
      Client *waiting = client_new (fixture, "one");

      g_ptr_array_add (clients, waiting);
      reconfigure (fixture, next);
      assert_alone ("127.0.0.1", port);
      g_ptr_array_add (clients, client_new (fixture, "one"));
      client_expect (waiting, "HELLO");
      client_expect (clients->pdata[clients->len - 1], "HELLO");
      for (guint j = 0; j < clients->len; j++)
        {
          client_send (clients->pdata[j], "ECHO on\r\n");
          client_expect (clients->pdata[j], "on");
        }
    }
  g_ptr_array_set_size (clients, 0);
}

/* The same address said in another way. */
static void
test_reload_names_the_port (void)
{
  guint16 port = free_port ();
  RookProtocol protocol = echo_protocol;
  g_autofree char *text = on_port ("127.0.0.1", port);
  g_autoptr (Fixture) fixture = NULL;

  protocol.name = "ported";
  protocol.default_port = port;
  fixture = fixture_new (text);
  rook_net_add_protocol (fixture->net, &protocol, fixture);
  reconfigure (fixture, "[listener one]\nprotocol=ported\naddress=127.0.0.1\n");
  {
    g_autoptr (Client) client = client_greeted (fixture, "one");

    g_assert_cmpuint (rook_net_get_port (fixture->net, "one"), ==, port);
    reconfigure (fixture, text);
    client_send (client, "ECHO on\r\n");
    client_expect (client, "on");
  }
}

/* A move with something else wrong: the former socket is as it was, alone, and can be moved later. */
static void
test_reload_that_moves_is_refused_whole (void)
{
  guint16 port = free_port ();
  g_autofree char *before = on_port ("*", port), *after = on_port ("127.0.0.1", port);
  g_autofree char *wrong = g_strconcat (after, "[listener two]\nprotocol=echo\naddress=192.0.2.77:7\n", NULL);
  g_autoptr (Fixture) fixture = fixture_new (before);
  g_autoptr (GPtrArray) mistakes = rook_config_mistakes_new ();
  g_autoptr (RookConfig) config = read_config (fixture, wrong);
  g_autoptr (Client) client = NULL;

  rook_net_prepare (fixture->net, config, mistakes);
  g_assert_cmpuint (mistakes->len, ==, 1);
  rook_net_abandon (fixture->net);
  assert_alone ("127.0.0.1", port);
  client = client_new (fixture, "one");
  client_expect (client, "HELLO");
  reconfigure (fixture, after);
  client_send (client, "ECHO on\r\n");
  client_expect (client, "on");
}

static void
test_reload_moves_ipv6 (void)
{
  guint16 port = free_port ();
  g_autofree char *any = on_port ("[::]", port), *loopback = on_port ("[::1]", port), *v4 = on_port ("127.0.0.1", port);
  struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
  int fd = socket (AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_autoptr (Fixture) fixture = NULL;

  if (fd < 0 || bind (fd, (struct sockaddr *) &address, sizeof address) != 0)
    {
      g_test_skip ("no IPv6 here");
      close (fd);
      return;
    }
  close (fd);
  address.sin6_port = htons (port);
  fixture = fixture_new (v4);
  for (guint i = 0; i < 3; i++)
    {
      reconfigure (fixture, i == 1 ? loopback : any);
      fd = socket (AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
      g_assert_no_errno (connect (fd, (struct sockaddr *) &address, sizeof address));
      close (fd);
      g_assert_cmpint (try_connect (port), ==, ECONNREFUSED); /* IPv4 has gone */
    }
}

/* Two of one configuration that would fight for connections: refused, not found out when the second one listens. */
static void
test_overlaps_are_refused (void)
{
  guint16 port = free_port ();
  RookProtocol protocol = echo_protocol;
  g_autofree char *text = g_strdup_printf ("[listener two]\nprotocol=ported\naddress=*\n"
                                           "[listener one]\nprotocol=ported\naddress=127.0.0.1:%u\n",
                                           port);
  g_autoptr (Fixture) fixture = NULL;

  protocol.name = "ported";
  protocol.default_port = port;
  fixture = fixture_new (LISTENER);
  rook_net_add_protocol (fixture->net, &protocol, fixture);
  {
    g_autoptr (GPtrArray) mistakes = rook_config_mistakes_new ();
    g_autoptr (RookConfig) config = read_config (fixture, text);

    rook_net_prepare (fixture->net, config, mistakes);
    g_assert_cmpuint (mistakes->len, ==, 1);
    rook_net_abandon (fixture->net);
  }
}

/* What only a protocol that has come meanwhile can tell is bound before the commit, or refuses it. */
static void
test_late_binding (void)
{
  struct sockaddr_in address = { .sin_family = AF_INET };
  guint16 port = free_port ();
  RookProtocol protocol = echo_protocol;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_autoptr (Fixture) fixture = NULL;

  protocol.name = "ported";
  protocol.default_port = port;
  address.sin_port = htons (port);
  address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &address, sizeof address));
  g_assert_no_errno (listen (fd, 1));
  fixture = fixture_new (LISTENER);
  for (guint round = 0; round < 2; round++)
    {
      g_autoptr (GPtrArray) mistakes = rook_config_mistakes_new ();
      g_autoptr (RookConfig) config = read_config (fixture, "[listener one]\nprotocol=ported\naddress=127.0.0.1\n");
      g_autoptr (GError) error = NULL;

      g_hash_table_remove (fixture->net->protocols, "ported");
      rook_net_prepare (fixture->net, config, mistakes);
      g_assert_cmpuint (mistakes->len, ==, 0);
      rook_net_add_protocol (fixture->net, &protocol, fixture);
      if (round == 0)
        {
          g_assert_false (rook_net_prepare_late (fixture->net, &error));
          g_assert_nonnull (strstr (error->message, "Address already in use"));
          rook_net_abandon (fixture->net);
          close (fd);
          continue;
        }
      g_assert_true (rook_net_prepare_late (fixture->net, &error));
      rook_net_reconfigure (fixture->net, config);
      g_assert_cmpuint (rook_net_get_port (fixture->net, "one"), ==, port);
      g_assert_cmpint (try_connect (port), ==, 0);
    }
}

static void
assert_changes (Fixture *fixture, const char *before, const char *after, const char *expected)
{
  g_autoptr (RookConfig) one = read_config (fixture, before), other = read_config (fixture, after);
  g_autoptr (GPtrArray) changes = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *text = NULL;

  rook_net_describe_changes (one, other, changes);
  g_ptr_array_add (changes, NULL);
  text = g_strjoinv (", ", (char **) changes->pdata);
  g_assert_cmpstr (text, ==, expected);
}

static void
test_changes_are_named (void)
{
  g_autoptr (Fixture) fixture = NULL;

#define A "[listener a]\nprotocol=x\naddress=127.0.0.1:1\n"
#define B "[listener b]\nprotocol=x\naddress=127.0.0.1:2\n"
  fixture = fixture_new (NULL);
  assert_changes (fixture, A, A, "");
  assert_changes (fixture, A, B, "removed listener a, added listener b");
  assert_changes (fixture, A B, A "enabled=false\n" B, "removed listener a");
  assert_changes (fixture, A "enabled=false\nbacklog=7\n", A, "added listener a");
  assert_changes (fixture, A "enabled=false\nbacklog=7\n", A "enabled=false\n", "");
  assert_changes (fixture, A B, A "backlog=7\n" B, "changed listener a");
  assert_changes (fixture, A, "[listener a]\nprotocol=y\naddress=*:1\nbacklog=7\n", "moved listener a");
#undef A
#undef B
}

static void
test_disabled (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "enabled=false\n");

  g_assert_cmpuint (rook_net_get_port (fixture->net, "one"), ==, 0);
}

static void
test_default_port (void)
{
  g_autofree char *text = g_strdup_printf ("[listener one]\nprotocol=ported\naddress=127.0.0.1\n");
  guint16 port = free_port ();
  RookProtocol protocol = { .struct_size = sizeof (RookProtocol), .name = "ported", .default_port = port };
  RookServer *server = rook_server_new_for_test (text);
  RookNet *net = rook_server_get_net (server);

  g_assert_true (rook_net_bind (net, NULL));
  g_assert_cmpuint (rook_net_get_port (net, "one"), ==, 0); /* nobody knows it yet */
  rook_net_add_protocol (net, &protocol, NULL);
  rook_net_listen (net);
  g_assert_cmpuint (rook_net_get_port (net, "one"), ==, port);
  rook_server_free_for_test (server);
}

static void
test_any_address (void)
{
  g_autofree char *text = g_strdup_printf ("[listener one]\nprotocol=echo\naddress=*:%u\n", free_port ());
  g_autoptr (Fixture) fixture = fixture_new (text);
  g_autoptr (Client) client = client_new (fixture, "one");
  struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
  int fd = socket (AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

  client_send (client, "WHO\r\n");
  client_expect (client, "HELLO");
  {
    g_autofree char *who = client_read_line (client);

    g_assert_true (g_str_has_suffix (who, " 127.0.0.1"));
  }
  address.sin6_port = htons (rook_net_get_port (fixture->net, "one"));
  if (fd >= 0) /* the machine may have no IPv6 */
    g_assert_true (connect (fd, (struct sockaddr *) &address, sizeof address) == 0 || errno == EADDRNOTAVAIL);
  close (fd);
}

/* --- UNIX ----------------------------------------------------------------------------------------------------------------- */

static char *
unix_path (Fixture *fixture)
{
  return g_build_filename (fixture->server->scratch, "sock", NULL);
}

static void
test_unix (void)
{
  g_autofree char *path = NULL;
  struct stat info;
  g_autoptr (Fixture) fixture =
      fixture_new ("[listener one]\nprotocol=echo\naddress=@SCRATCH@/sock\nsocket-mode=0604\n");

  path = unix_path (fixture);
  g_assert_no_errno (stat (path, &info));
  g_assert_cmpuint (info.st_mode & 07777, ==, 0604);
  {
    g_autoptr (Client) client = client_new_unix (fixture, path);

    client_expect (client, "HELLO");
    client_send (client, "WHO\r\n");
    client_expect (client, "unix 0 unix");
    reconfigure (fixture, "[listener one]\nprotocol=echo\naddress=@SCRATCH@/sock\nsocket-mode=0600\n");
    g_assert_no_errno (stat (path, &info));
    g_assert_cmpuint (info.st_mode & 07777, ==, 0600);
    client_send (client, "ECHO x\r\n");
    client_expect (client, "x");
  }
  rook_net_drain (fixture->net);
  g_assert_cmpint (stat (path, &info), ==, -1); /* taken away */
}

/* Another place, other permissions: nobody who waits is lost, and no file is left behind. */
static void
test_unix_moves (void)
{
  static const char *const texts[] = {
    "address=@SCRATCH@/sock\nsocket-mode=0600\n",
    "address=@SCRATCH@/sock\nsocket-mode=0660\n",
    "address=@SCRATCH@/other\nsocket-mode=0660\n",
    "address=@SCRATCH@/sock;@SCRATCH@/other\nsocket-mode=0600\n",
  };
  static const mode_t modes[][2] = { { 0600, 0 }, { 0660, 0 }, { 0, 0660 }, { 0600, 0600 } };
  g_autofree char *path = NULL, *other = NULL;
  g_autoptr (Fixture) fixture =
      fixture_new ("[listener one]\nprotocol=echo\naddress=@SCRATCH@/sock\nsocket-mode=0604\n");

  path = unix_path (fixture);
  other = g_build_filename (fixture->server->scratch, "other", NULL);
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autofree char *text = g_strconcat ("[listener one]\nprotocol=echo\n", texts[i], NULL);
      g_autoptr (Client) waiting = client_new_unix (fixture, i == 3 ? other : path);
      g_autoptr (Client) after = NULL;
      struct stat info;

      reconfigure (fixture, text);
      g_assert_cmpuint (stat (path, &info) == 0 ? info.st_mode & 07777 : 0, ==, modes[i][0]);
      g_assert_cmpuint (stat (other, &info) == 0 ? info.st_mode & 07777 : 0, ==, modes[i][1]);
      after = client_new_unix (fixture, modes[i][0] != 0 ? path : other);
      client_expect (waiting, "HELLO");
      client_expect (after, "HELLO");
    }
  rook_net_drain (fixture->net);
  {
    g_autoptr (GDir) dir = g_dir_open (fixture->server->scratch, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name (dir)) != NULL)
      g_assert_false (g_str_has_prefix (name, "sock") || g_str_has_prefix (name, "other"));
  }
}

/* Permissions that can't be given refuse the reload, and the socket that is there stays as it is. */
static void
test_unix_permissions_refuse (void)
{
  g_autofree char *path = NULL;
  g_autoptr (Fixture) fixture =
      fixture_new ("[listener one]\nprotocol=echo\naddress=@SCRATCH@/sock\nsocket-mode=0600\n");

  path = unix_path (fixture);
  {
    const char *text = "[listener one]\nprotocol=echo\naddress=@SCRATCH@/sock\nsocket-group=no-such-group\n";
    g_autoptr (GPtrArray) mistakes = rook_config_mistakes_new ();
    g_autoptr (RookConfig) config = read_config (fixture, text);
    g_autoptr (Client) client = NULL;
    struct stat info;

    g_assert_cmpuint (count_mistakes (fixture, text), ==, 1);
    rook_net_prepare (fixture->net, config, mistakes);
    g_assert_cmpuint (mistakes->len, ==, 1);
    rook_net_abandon (fixture->net);
    g_assert_no_errno (stat (path, &info));
    g_assert_cmpuint (info.st_mode & 07777, ==, 0600);
    client = client_new_unix (fixture, path);
    client_expect (client, "HELLO");
  }
}

/* While its protocol is away its place stays ours, and refuses. */
static void
test_unix_drains_and_comes_back (void)
{
  RookNetProtocol *protocol;
  g_autofree char *path = NULL;
  g_autoptr (Fixture) fixture = fixture_new ("[listener one]\nprotocol=echo\naddress=@SCRATCH@/sock\n");

  path = unix_path (fixture);
  protocol = rook_net_find_protocol (fixture->net, "echo");
  for (guint round = 0; round < 3; round++)
    {
      struct sockaddr_un address = { .sun_family = AF_UNIX };
      int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      g_autoptr (Client) client = client_new_unix (fixture, path);

      client_expect (client, "HELLO");
      g_atomic_int_set (&protocol->draining, TRUE);
      rook_listeners_update (fixture->net->listeners);
      g_strlcpy (address.sun_path, path, sizeof address.sun_path);
      g_assert_cmpint (connect (fd, (struct sockaddr *) &address, sizeof address), ==, -1);
      g_assert_cmpint (errno, ==, ECONNREFUSED);
      close (fd);
      client_send (client, "ECHO still here\r\n");
      client_expect (client, "still here");
      g_atomic_int_set (&protocol->draining, FALSE);
      rook_listeners_update (fixture->net->listeners);
    }
}

static void
test_unix_stale_and_living (void)
{
  g_autofree char *path = NULL;
  g_autoptr (Fixture) fixture = fixture_new (NULL);

  path = unix_path (fixture);
  {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_autoptr (GPtrArray) mistakes = rook_config_mistakes_new ();
    g_autoptr (RookConfig) config = read_config (fixture, "[listener one]\nprotocol=echo\naddress=@SCRATCH@/sock\n");
    g_autoptr (Client) client = NULL;

    g_strlcpy (address.sun_path, path, sizeof address.sun_path);
    g_assert_no_errno (bind (fd, (struct sockaddr *) &address, sizeof address));
    g_assert_no_errno (listen (fd, 1));
    rook_net_prepare (fixture->net, config, mistakes);
    g_assert_cmpuint (mistakes->len, ==, 1); /* somebody lives there */
    rook_net_abandon (fixture->net);
    close (fd);
    reconfigure (fixture, "[listener one]\nprotocol=echo\naddress=@SCRATCH@/sock\n"); /* not any more */
    client = client_new_unix (fixture, path);
    client_expect (client, "HELLO");
  }
}

/* One of ours does not listen before its plugin is there, and is known all the same. */
static void
test_unix_two_spellings (void)
{
  static const char text[] = "[listener one]\nprotocol=late\naddress=@SCRATCH@/twice.sock\n"
                             "[listener two]\nprotocol=late\naddress=@SCRATCH@/.//twice.sock\n";
  g_autoptr (GPtrArray) mistakes = rook_config_mistakes_new ();
  g_autoptr (Fixture) fixture = fixture_new (NULL);
  g_autoptr (RookConfig) config = read_config (fixture, text);

  g_assert_cmpuint (count_mistakes (fixture, text), ==, 1);
  rook_net_prepare (fixture->net, config, mistakes);
  g_assert_cmpuint (mistakes->len, ==, 1);
  g_assert_nonnull (strstr (((RookConfigMistake *) mistakes->pdata[0])->message, "Address already in use"));
  rook_net_abandon (fixture->net);
}

static void
test_unix_takes_no_file (void)
{
  g_autofree char *path = NULL;
  g_autoptr (Fixture) fixture = fixture_new (NULL);

  path = unix_path (fixture);
  g_assert_true (g_file_set_contents (path, "mail", -1, NULL));
  {
    g_autoptr (GPtrArray) mistakes = rook_config_mistakes_new ();
    g_autoptr (RookConfig) config = read_config (fixture, "[listener one]\nprotocol=echo\naddress=@SCRATCH@/sock\n");
    g_autofree char *content = NULL;

    rook_net_prepare (fixture->net, config, mistakes);
    g_assert_cmpuint (mistakes->len, ==, 1);
    rook_net_abandon (fixture->net);
    g_assert_true (g_file_get_contents (path, &content, NULL, NULL));
    g_assert_cmpstr (content, ==, "mail");
  }
}

/* --- systemd -------------------------------------------------------------------------------------------------------------- */

/* In a process of its own, since descriptor 3 has to be ours. */
static void
systemd_child (void)
{
  struct sockaddr_in address = { .sin_family = AF_INET };
  g_autofree char *pid = g_strdup_printf ("%d", getpid ());
  g_autoptr (Fixture) fixture = NULL;

  address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  for (int i = 3; i < 6; i++)
    {
      int fd = socket (AF_INET, SOCK_STREAM, 0);

      g_assert_no_errno (bind (fd, (struct sockaddr *) &address, sizeof address));
      g_assert_no_errno (listen (fd, 10));
      g_assert_cmpint (dup2 (fd, i), ==, i);
      if (fd != i)
        close (fd);
    }
  g_setenv ("LISTEN_PID", pid, TRUE);
  g_setenv ("LISTEN_FDS", "3", TRUE);
  g_setenv ("LISTEN_FDNAMES", "other:mail:mail", TRUE);
  fixture = fixture_new ("[listener one]\nprotocol=echo\naddress=systemd:mail\n");
  g_assert_null (g_getenv ("LISTEN_FDS"));
  g_assert_cmpuint (fixture->net->listeners->sockets->len, ==, 2);
  g_assert_cmpint (fcntl (3, F_GETFD), ==, FD_CLOEXEC);
  {
    g_autoptr (Client) client = client_greeted (fixture, "one");

    g_assert_cmpuint (count_mistakes (fixture, "[listener one]\nprotocol=echo\naddress=systemd:mail\n"), ==, 0);
    reconfigure (fixture, LISTENER);
    reconfigure (fixture, "[listener one]\nprotocol=echo\naddress=systemd:mail\n"); /* it is still there */
    client_send (client, "ECHO x\r\n");
    client_expect (client, "x");
    client_free (g_steal_pointer (&client));
    client = client_new (fixture, "one");
    client_expect (client, "HELLO");
  }
}

static void
test_systemd (void)
{
  if (g_test_subprocess ())
    {
      systemd_child ();
      return;
    }
  g_test_trap_subprocess (NULL, 30 * G_USEC_PER_SEC, G_TEST_SUBPROCESS_INHERIT_STDERR);
  g_test_trap_assert_passed ();
}

/* --- checks ---------------------------------------------------------------------------------------------------------------- */

static void
test_check (void)
{
  g_autoptr (Fixture) fixture = fixture_new (NULL);

  g_assert_cmpuint (count_mistakes (fixture, LISTENER), ==, 0);
  g_assert_cmpuint (count_mistakes (fixture, "[listener a]\nprotocol=x\naddress=host:1;[::1:2\n"), ==, 2);
  g_assert_cmpuint (count_mistakes (fixture, "[listener a]\nprotocol=x\naddress=127.0.0.1:1\n"
                                             "[listener b]\nprotocol=y\naddress=127.0.0.1:1\n"),
                    ==, 1);
  g_assert_cmpuint (count_mistakes (fixture, "[listener a]\nprotocol=x\naddress=127.0.0.1:1\n"
                                             "[listener b]\nenabled=no\nprotocol=y\naddress=127.0.0.1:1\n"),
                    ==, 0);
  g_assert_cmpuint (count_mistakes (fixture, "[listener a]\nprotocol=x\naddress=127.0.0.1:1\nproxy-from=nowhere\n"), ==,
                    1);
  g_assert_cmpuint (count_mistakes (fixture, "[listener a]\nprotocol=x\naddress=127.0.0.1:1\ntls=implicit\n"), ==, 1);
  g_assert_cmpuint (count_mistakes (fixture, "[listener a]\nprotocol=x\naddress=127.0.0.1:1\n"
                                             "[listener b]\nprotocol=y\naddress=*:1\n"),
                    ==, 1);
  g_assert_cmpuint (count_mistakes (fixture, "[listener a]\nprotocol=x\naddress=127.0.0.1:1;[::]:1;127.0.0.2:1\n"), ==,
                    0);
  g_assert_cmpuint (count_mistakes (fixture, "[limits]\nexempt-addresses=10.0.0.0/40\n"), ==, 1);
}

/* --- protocols of plugins ---------------------------------------------------------------------------------------------------- */

static Fixture *plugin_fixture; /* for the plugin's init, which gets nothing of ours */
static RookProtocol plugin_protocol;

static gboolean
plugin_init (RookPlugin *self, RookConfigGroup *config G_GNUC_UNUSED, GError **error)
{
  return rook_plugin_add_protocol (self, &plugin_protocol, plugin_fixture, error);
}

static const char *const protocols[] = { "plugged", "echo", NULL };

static const RookPluginDescriptor descriptor = {
  .struct_size = sizeof descriptor,
  .abi_major = ROOK_ABI_MAJOR,
  .abi_minor = ROOK_ABI_MINOR,
  .name = "plugged",
  .summary = "a protocol",
  .version = "1",
  .license = "LGPL-2.1-or-later",
  .init = plugin_init,
  .protocols = protocols,
};

static RookPlugin *
plug_in (Fixture *fixture, const char *protocol, GError **error)
{
  plugin_fixture = fixture;
  plugin_protocol = echo_protocol;
  plugin_protocol.name = protocol;
  return rook_plugins_add_static (rook_server_get_plugins (fixture->server), &descriptor, NULL, error);
}

#define PLUGGED "[listener one]\nprotocol=plugged\naddress=127.0.0.1:%u\n"

/* Its port is there before and after it, and refuses; its sessions are told to finish. */
static void
test_plugin_comes_and_goes (void)
{
  guint16 port = free_port ();
  g_autofree char *text = g_strdup_printf (PLUGGED, port);
  g_autoptr (Fixture) fixture = fixture_new (text);

  for (guint round = 0; round < 5; round++)
    {
      RookPlugin *plugin;
      g_autoptr (GError) error = NULL;
      g_autoptr (Client) client = NULL;

      g_assert_cmpint (try_connect (port), ==, ECONNREFUSED);
      plugin = plug_in (fixture, "plugged", &error);
      g_assert_no_error (error);
      client = client_new (fixture, "one");
      client_expect (client, "HELLO");
      g_assert_true (rook_plugins_remove_static (rook_server_get_plugins (fixture->server), plugin, 10000));
      client_expect (client, "DRAIN");
      client_expect_eof (client);
    }
}

/* A session that does not finish is ended at the deadline. */
static void
test_plugin_deadline (void)
{
  g_autofree char *text = g_strdup_printf (PLUGGED, free_port ());
  RookPlugin *plugin;
  g_autoptr (Fixture) fixture = fixture_new (text);

  g_atomic_int_set (&fixture->keep_open, TRUE);
  plugin = plug_in (fixture, "plugged", NULL);
  {
    g_autoptr (Client) client = client_greeted (fixture, "one");

    g_assert_true (rook_plugins_remove_static (rook_server_get_plugins (fixture->server), plugin, 200));
    client_expect (client, "DRAIN");
    client_expect_eof (client);
    g_assert_cmpint (g_atomic_int_get (&fixture->last_reason), ==, ROOK_NET_ERROR_SHUTDOWN);
  }
}

static void
test_plugin_name_taken (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);

  g_assert_null (plug_in (fixture, "unlisted", &error));
  g_assert_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT);
  g_assert_nonnull (strstr (error->message, ".protocols"));
  g_clear_error (&error);
  g_assert_null (plug_in (fixture, "echo", &error));
  g_assert_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT);
  {
    g_autoptr (Client) client = client_new (fixture, "one");

    client_expect (client, "HELLO"); /* the one that was there first */
  }
}

/* --- rookctl ------------------------------------------------------------------------------------------------------------------- */

/* The answer to one request to the control socket. */
static char *
ask (Fixture *fixture, const char *request)
{
  g_autofree char *path = g_build_filename (fixture->server->scratch, "run", "control.sock", NULL);
  g_autoptr (Client) client = client_new_unix (fixture, path);

  client_send (client, request);
  return client_read_all (client);
}

static void
test_verbs (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);
  g_autoptr (Client) client = client_new (fixture, "one");
  g_autofree char *before = NULL, *closed = NULL, *listeners = NULL, *after = NULL, *missing = NULL;

  client_send (client, "LOGIN alice\r\n");
  client_expect (client, "HELLO");
  client_expect (client, "IN");
  before = ask (fixture, "connection list\n");
  g_assert_true (g_str_has_prefix (before, "ok"));
  g_assert_nonnull (strstr (before, "'c1'"));
  g_assert_nonnull (strstr (before, "'alice'"));
  listeners = ask (fixture, "listener list\n");
  g_assert_nonnull (strstr (listeners, "'listening'"));
  closed = ask (fixture, "connection close c1\n");
  g_assert_true (g_str_has_prefix (closed, "ok"));
  client_expect (client, "DRAIN");
  client_expect_eof (client);
  after = ask (fixture, "connection list\n");
  g_assert_null (strstr (after, "'c1'"));
  missing = ask (fixture, "connection close c1\n");
  g_assert_true (g_str_has_prefix (missing, "error"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/listener/two-phases", test_two_phases);
  g_test_add_func ("/net/listener/address-in-use-is-named", test_address_in_use_is_named);
  g_test_add_func ("/net/listener/drains-and-comes-back", test_protocol_drains_and_comes_back);
  g_test_add_func ("/net/listener/reload", test_reload);
  g_test_add_func ("/net/listener/reload-changes-limits", test_reload_changes_limits);
  g_test_add_func ("/net/listener/reload-all-or-nothing", test_reload_all_or_nothing);
  g_test_add_func ("/net/listener/reload-moves", test_reload_moves);
  g_test_add_func ("/net/listener/reload-moves-ipv6", test_reload_moves_ipv6);
  g_test_add_func ("/net/listener/reload-names-the-port", test_reload_names_the_port);
  g_test_add_func ("/net/listener/reload-that-moves-is-refused-whole", test_reload_that_moves_is_refused_whole);
  g_test_add_func ("/net/listener/overlaps-are-refused", test_overlaps_are_refused);
  g_test_add_func ("/net/listener/late-binding", test_late_binding);
  g_test_add_func ("/net/listener/changes-are-named", test_changes_are_named);
  g_test_add_func ("/net/listener/disabled", test_disabled);
  g_test_add_func ("/net/listener/default-port", test_default_port);
  g_test_add_func ("/net/listener/any-address", test_any_address);
  g_test_add_func ("/net/listener/unix", test_unix);
  g_test_add_func ("/net/listener/unix-moves", test_unix_moves);
  g_test_add_func ("/net/listener/unix-permissions-refuse", test_unix_permissions_refuse);
  g_test_add_func ("/net/listener/unix-drains-and-comes-back", test_unix_drains_and_comes_back);
  g_test_add_func ("/net/listener/unix-stale-and-living", test_unix_stale_and_living);
  g_test_add_func ("/net/listener/unix-two-spellings", test_unix_two_spellings);
  g_test_add_func ("/net/listener/unix-takes-no-file", test_unix_takes_no_file);
  g_test_add_func ("/net/listener/systemd", test_systemd);
  g_test_add_func ("/net/listener/check", test_check);
  g_test_add_func ("/net/plugin/comes-and-goes", test_plugin_comes_and_goes);
  g_test_add_func ("/net/plugin/deadline", test_plugin_deadline);
  g_test_add_func ("/net/plugin/name-taken", test_plugin_name_taken);
  g_test_add_func ("/net/verbs/list-and-close", test_verbs);
  return g_test_run ();
}
