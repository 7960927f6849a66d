/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rookery/net.h: what a connection says of itself, and smaller promises of input and deadlines.
 */
#include "net-echo.h"

#define LISTENER "[listener one]\nprotocol=echo\naddress=127.0.0.1:0\n"

static char *
ask (Client *client, const char *command)
{
  client_expect (client, "HELLO");
  client_send (client, command);
  return client_read_line (client);
}

static void
test_id (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < 20; i++)
    {
      g_autoptr (Client) client = client_new (fixture, "one");
      char *id = ask (client, "ID\r\n");

      g_assert_cmpstr (id, !=, "");
      for (const char *c = id; *c != '\0'; c++)
        g_assert_true (g_ascii_isgraph (*c));
      g_assert_true (g_hash_table_add (seen, id));
    }
}

static void
test_loopback (void)
{
  g_autoptr (Fixture) fixture =
      fixture_new (LISTENER "proxy-from=127.0.0.0/8\n[listener two]\nprotocol=echo\n"
                            "address=@SCRATCH@/socket\n[listener three]\nprotocol=echo\naddress=127.0.0.1:0\n");
  g_autofree char *path = g_build_filename (fixture->server->scratch, "socket", NULL);
  g_autoptr (Client) far = client_new (fixture, "one");
  g_autoptr (Client) local = client_new_unix (fixture, path);
  g_autoptr (Client) near = client_new (fixture, "three");
  g_autofree char *by_proxy = NULL;
  g_autofree char *by_unix = NULL;
  g_autofree char *by_address = NULL;

  client_send (far, "PROXY TCP4 192.0.2.1 127.0.0.1 4711 143\r\n");
  by_proxy = ask (far, "LOOPBACK\r\n");
  by_unix = ask (local, "LOOPBACK\r\n");
  by_address = ask (near, "LOOPBACK\r\n");
  g_assert_cmpstr (by_proxy, ==, "no");
  g_assert_cmpstr (by_unix, ==, "yes");
  g_assert_cmpstr (by_address, ==, "yes");
}

/* echo_data() looks at the length of each piece. */
static void
test_dot_pieces_are_bounded (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);
  g_autoptr (Client) client = client_greeted (fixture, "one");
  g_autofree char *line = g_strnfill (300000, 'x');

  client_send (client, "LOGIN a\r\nDOT\r\n");
  client_expect (client, "IN");
  client_send (client, line);
  client_send (client, "\r\n.\r\nECHO behind\r\n");
  client_expect (client, "GOT 300002");
  client_expect (client, "behind");
}

/* It is paused for six times as long as it may be idle, and answers first. */
static void
test_paused_does_not_idle (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);
  g_autoptr (Client) client = client_greeted (fixture, "one");

  client_send (client, "LOGIN a\r\nIDLE 50\r\nPAUSE 300\r\nECHO still here\r\n");
  client_expect (client, "IN");
  client_expect (client, "still here");
  client_expect (client, "EXPIRED");
  client_expect_eof (client);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/connection/id-is-unique-and-printable", test_id);
  g_test_add_func ("/net/connection/loopback-by-address-and-unix", test_loopback);
  g_test_add_func ("/net/input/dot-pieces-are-bounded", test_dot_pieces_are_bounded);
  g_test_add_func ("/net/deadline/paused-does-not-idle", test_paused_does_not_idle);
  return g_test_run ();
}
