/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Connections over real sockets: reading, writing, deadlines, limits, the end. TLS and the filters are in test-net-tls.c,
 * the parts without sockets in test-net-parts.c.
 */
#include "net-echo.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTENER "[listener one]\nprotocol=echo\naddress=127.0.0.1:0\n"

static void
test_listens_and_greets (void)
{
  Fixture fixture;

  fixture_start (&fixture, LISTENER);
  {
    g_autoptr (Client) client = client_new (&fixture, "one");

    client_expect (client, "HELLO");
    client_send (client, "ECHO a b\r\n");
    client_expect (client, "a b");
    client_send (client, "QUIT\r\n");
    client_expect (client, "BYE");
    client_expect_eof (client);
  }
  fixture_wait (&fixture, g_atomic_int_get (&fixture.closed) == 1);
  g_assert_cmpint (g_atomic_int_get (&fixture.last_reason), ==, -1);
  fixture_stop (&fixture);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/listener/accepts-and-greets", test_listens_and_greets);
  return g_test_run ();
}
