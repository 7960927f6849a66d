/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Connections over real sockets: reading, writing, deadlines, limits, the end. TLS is in test-net-tls.c,
 * the parts without sockets in test-net-parts.c.
 */
#include "log/log-private.h"
#include "net-echo.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/connection.h"

#define LISTENER "[listener one]\nprotocol=echo\naddress=127.0.0.1:0\n"

static void
test_listens_and_greets (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);
  g_autoptr (Client) client = client_greeted (fixture, "one");

  client_send (client, "ECHO a b\r\n");
  client_expect (client, "a b");
  client_send (client, "QUIT\r\n");
  client_expect (client, "BYE");
  client_expect_eof (client);
  g_clear_pointer (&client, client_free);
  fixture_wait (fixture, g_atomic_int_get (&fixture->closed) == 1);
  g_assert_cmpint (g_atomic_int_get (&fixture->last_reason), ==, -1);
}

/* --- reading ---------------------------------------------------------------------------------------------------------------- */

static void
test_pipelined (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);
  g_autoptr (Client) client = client_greeted (fixture, "one");

  client_send (client, "ECHO 1\r\nLIT 3\r\nabcDOT\r\n..x\r\n.\r\nECHO 2\r\nLIT 0\r\nECHO 3\r\n");
  client_expect (client, "1");
  client_expect (client, "GOT 3");
  client_expect (client, "GOT 4");
  client_expect (client, "2");
  client_expect (client, "GOT 0");
  client_expect (client, "3");
}

static void
test_many_lines (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);
  g_autoptr (Client) client = client_new (fixture, "one");
  g_autoptr (GString) many = g_string_new ("LOGIN a\r\n");

  for (guint i = 0; i < 20000; i++)
    g_string_append_printf (many, "ECHO %u\r\n", i);
  client_expect (client, "HELLO");
  client_send (client, many->str);
  client_expect (client, "IN");
  for (guint i = 0; i < 20000; i++)
    {
      g_autofree char *expected = g_strdup_printf ("%u", i);

      client_expect (client, expected);
    }
}

static void
test_pause_keeps_order (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);
  g_autoptr (Client) client = client_greeted (fixture, "one");

  client_send (client, "PAUSE 600\r\nECHO 1\r\nPAUSE 50\r\nLIT 3\r\na");
  g_assert_false (client_has_input (client, 50));
  client_send (client, "bcECHO 2\r\n");
  client_expect (client, "1");
  client_expect (client, "GOT 3");
  client_expect (client, "2");
}

/* rookery/log.h: rook_log_connection(), of which this is the log's only caller so far. */
static void
test_log_names_the_connection (void)
{
  g_autofree char *path = NULL;
  g_autofree char *text = NULL;
  const char *line;
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "[log]\ntarget=file\nfile=@SCRATCH@/log\nlevel=debug\n");

  path = g_build_filename (fixture->server->scratch, "log", NULL);
  {
    g_autoptr (Client) client = client_greeted (fixture, "one");

    client_send (client, "LOGIN anna\r\n");
    client_expect (client, "IN");
  }
  fixture_wait (fixture, g_atomic_int_get (&fixture->closed) == 1);
  rook_log_flush (rook_server_get_log (fixture->server));
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  line = strstr (text, " net.accept conn=");
  g_assert_nonnull (line);
  g_assert_true (
      g_regex_match_simple ("^ net.accept conn=[^ ]+ protocol=echo address=127.0.0.1 listener=one\n", line, 0, 0));
  line = strstr (text, " net.closed conn=");
  g_assert_nonnull (line);
  g_assert_true (
      g_regex_match_simple ("^ net.closed conn=[^ ]+ protocol=echo user=anna address=127.0.0.1 reason=", line, 0, 0));
}

static void
test_line_flags (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "[limits]\nline=512\n");
  g_autoptr (Client) client = client_new (fixture, "one");
  char line[1000];

  memset (line, 'x', sizeof line);
  client_expect (client, "HELLO");
  client_send_bytes (client, line, sizeof line);
  client_send (client, "\r\nbare\n");
  client_expect (client, "FLAGS 8 512");
  client_expect (client, "FLAGS 1 4");
  client_send_bytes (client, "n\0l\r\n", 5);
  client_expect (client, "FLAGS 4 3");
}

static void
test_raw (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);
  g_autoptr (Client) client = client_greeted (fixture, "one");

  client_send (client, "RAW\r\nQUIT\r\n");
  g_assert_false (client_has_input (client, 50));
}

/* A literal that never ends costs nothing but the time it takes. */
static void
test_endless_literal (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);
  g_autoptr (Client) client = client_greeted (fixture, "one");
  g_autofree char *block = g_malloc0 (1 << 20);

  client_send (client, "LOGIN a\r\nLIT 18446744073709551615\r\n");
  client_expect (client, "IN");
  for (guint i = 0; i < 16; i++)
    client_send_bytes (client, block, 1 << 20);
  g_clear_pointer (&client, client_free);
  fixture_wait (fixture, g_atomic_int_get (&fixture->closed) == 1);
  g_assert_cmpint (g_atomic_int_get (&fixture->last_reason), ==, ROOK_NET_ERROR_CLOSED);
}

/* --- writing ---------------------------------------------------------------------------------------------------------------- */

static void
test_back_pressure (void)
{
  const guint64 total = 64 << 20;
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "[limits]\noutput-buffer=64K\n");
  g_autoptr (Client) slow = client_greeted (fixture, "one");
  g_autoptr (Client) other = client_greeted (fixture, "one");

  client_send (slow, "SEND 67108864\r\nECHO after\r\n");
  g_assert_true (client_has_input (slow, 60000));
  for (guint i = 0; i < 100; i++) /* nobody else waits */
    {
      client_send (other, "ECHO x\r\n");
      client_expect (other, "x");
    }
  client_skip (slow, total);
  client_expect (slow, "SENT");
  client_expect (slow, "after");
  g_assert_cmpint (fixture->most_pending, >=, 64 * 1024);
  g_assert_cmpint (fixture->most_pending, <, 64 * 1024 + 4096); /* the mark, and the block that crossed it */
}

#define FLOOD_LINES 16000
#define FLOOD_TEXT 1000

/* Asks as fast as it may, and takes a few answers only when its questions aren't taken. Returns: answers taken. */
static gsize
flood (Fixture *fixture, int fd, const GString *questions)
{
  char room[65536];
  gsize sent = 0, taken = 0;

  while (sent < questions->len)
    {
      gssize n = send (fd, questions->str + sent, questions->len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

      if (n < 0)
        g_assert_cmpint (errno, ==, EAGAIN);
      else
        sent += n;
      fixture_iterate (fixture);
      n = n < 0 ? recv (fd, room, sizeof room, MSG_DONTWAIT) : 0;
      taken += MAX (n, 0);
    }
  return taken;
}

/* Commands whose answers nobody reads are not heard until those that came before are out. @extra: after each hundredth */
static void
check_flood (const char *extra)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "[limits]\noutput-buffer=64K\ncommands-per-second=0\n");
  g_autoptr (Client) client = client_new (fixture, "one");
  g_autoptr (GString) questions = g_string_new (NULL);
  const int size = 65536; /* else the system's buffers take it all */

  g_assert_no_errno (setsockopt (client->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size));
  client_expect (client, "HELLO");
  client_send (client, "LOGIN a\r\n");
  client_expect (client, "IN");
  for (guint i = 0; i < FLOOD_LINES; i++)
    g_string_append_printf (questions, "ECHO %0*u\r\n%s", FLOOD_TEXT, i, i % 100 == 0 ? extra : "");
  g_string_append (questions, "ECHO end\r\n");
  client_skip (client, FLOOD_LINES * (FLOOD_TEXT + 2) - flood (fixture, client->fd, questions));
  client_expect (client, "end");
  g_assert_cmpint (fixture->most_pending, >=, 64 * 1024);
  g_assert_cmpint (fixture->most_pending, <, 64 * 1024 + FLOOD_TEXT + 2);
}

static void
test_flood (void)
{
  check_flood ("");
}

/* The handler pauses and is resumed by a timer, now and then while input is held back. */
static void
test_flood_paused (void)
{
  check_flood ("PAUSE 1\r\n");
}

static void
test_write_deadline (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "[limits]\nwrite-timeout=200ms\n");
  g_autoptr (Client) client = client_greeted (fixture, "one");

  client_send (client, "SEND 67108864\r\n");
  fixture_wait (fixture, g_atomic_int_get (&fixture->closed) == 1);
  g_assert_cmpint (g_atomic_int_get (&fixture->last_reason), ==, ROOK_NET_ERROR_TIMEOUT);
  g_assert_cmpint (g_atomic_int_get (&fixture->expired), ==, 0); /* the handler is not asked */
}

static void
test_flood_ends (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "[limits]\noutput-buffer=64K\nwrite-timeout=200ms\n");
  g_autoptr (Client) client = client_greeted (fixture, "one");
  g_autoptr (GString) questions = g_string_new ("LOGIN a\r\n");

  while (questions->len < 32 << 20)
    g_string_append_printf (questions, "ECHO %0*u\r\n", FLOOD_TEXT, 0);
  client_send_bytes (client, questions->str, questions->len); /* returns when the server has closed */
  fixture_wait (fixture, g_atomic_int_get (&fixture->closed) == 1);
  g_assert_cmpint (g_atomic_int_get (&fixture->last_reason), ==, ROOK_NET_ERROR_TIMEOUT);
}

/* --- the end ------------------------------------------------------------------------------------------------------------------ */

/* A peer that has said all it wants to still gets every answer. */
static void
test_half_close (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);
  g_autoptr (Client) client = client_greeted (fixture, "one");

  client_send (client, "PAUSE 50\r\nECHO 1\r\nSEND 10000000\r\nECHO 2\r\nECHO unfinished");
  g_assert_no_errno (shutdown (client->fd, SHUT_WR));
  client_expect (client, "1");
  client_skip (client, 10000000);
  client_expect (client, "SENT");
  client_expect (client, "2");
  client_expect_eof (client);
  g_clear_pointer (&client, client_free);
  fixture_wait (fixture, g_atomic_int_get (&fixture->closed) == 1);
  g_assert_cmpint (g_atomic_int_get (&fixture->last_reason), ==, ROOK_NET_ERROR_CLOSED);
}

static void
test_reset (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);
  g_autoptr (Client) client = client_greeted (fixture, "one");
  const struct linger hard = { 1, 0 };

  client_send (client, "PAUSE 10000\r\n");
  g_assert_false (client_has_input (client, 50));
  setsockopt (client->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  g_clear_pointer (&client, client_free);
  fixture_wait (fixture, g_atomic_int_get (&fixture->closed) == 1); /* though it is paused */
}

/* The last words arrive although the peer goes on sending. */
static void
test_close_is_heard (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);
  g_autoptr (Client) client = client_greeted (fixture, "one");
  g_autofree char *block = g_malloc0 (100000);

  client_send (client, "SEND 1000000\r\nQUIT\r\n");
  client_send_bytes (client, block, 100000);
  client_skip (client, 1000000);
  client_expect (client, "SENT");
  client_expect (client, "BYE");
  client_expect_eof (client);
  g_clear_pointer (&client, client_free);
  fixture_wait (fixture, g_atomic_int_get (&fixture->closed) == 1);
  g_assert_cmpint (g_atomic_int_get (&fixture->last_reason), ==, -1);
}

static void
test_abort (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);
  g_autoptr (Client) client = client_greeted (fixture, "one");

  client_send (client, "ABORT\r\nECHO never\r\n");
  fixture_wait (fixture, (client_has_input (client, 5), client->eof));
  g_assert_cmpuint (client->input->len, ==, 0);
}

static void
test_drain (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);
  g_autoptr (Client) client = client_greeted (fixture, "one");

  rook_net_drain (fixture->net);
  client_expect (client, "DRAIN");
  client_expect_eof (client);
  g_assert_cmpuint (rook_net_get_port (fixture->net, "one"), ==, 0);
  g_clear_pointer (&client, client_free);
  fixture_wait (fixture, rook_net_get_n_connections (fixture->net) == 0);
}

static void
test_stop_ends_all (void)
{
  Client *clients[20];
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);

  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    {
      clients[i] = client_greeted (fixture, "one");
    }
  client_send (clients[0], "SEND 100000000\r\n");
  client_send (clients[1], "PAUSE 100000\r\n");
  client_send (clients[2], "QUIT\r\n");
  client_expect (clients[2], "BYE"); /* it lingers now */
  g_clear_pointer (&fixture, fixture_free);
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    client_free (clients[i]);
}

/* --- deadlines ---------------------------------------------------------------------------------------------------------------- */

static void
test_login_deadline (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "[listener two]\nprotocol=open\naddress=127.0.0.1:0\n"
                                                      "[limits]\nlogin-timeout=1500ms\n");
  g_autoptr (Client) late = client_greeted (fixture, "one");
  g_autoptr (Client) in_time = client_greeted (fixture, "one");
  g_autoptr (Client) without = client_greeted (fixture, "two");

  client_send (in_time, "LOGIN a\r\n");
  client_expect (in_time, "IN");
  client_expect (late, "EXPIRED");
  client_expect_eof (late);
  g_assert_cmpint (g_atomic_int_get (&fixture->expired), ==, 1 << ROOK_DEADLINE_LOGIN);
  g_assert_false (client_has_input (in_time, 500));
  g_assert_false (client_has_input (without, 0));
  client_send (in_time, "LOGOUT\r\n"); /* and the deadline is back */
  client_expect (in_time, "EXPIRED");
}

static void
test_idle_deadline (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);
  g_autoptr (Client) client = client_greeted (fixture, "one");
  gint64 start;

  client_send (client, "LOGIN a\r\nIDLE 900\r\n");
  client_expect (client, "IN");
  start = g_get_monotonic_time ();
  for (guint i = 0; i < 4; i++) /* what is sent begins it anew */
    {
      g_assert_false (client_has_input (client, 300));
      client_send (client, "ECHO x\r\n");
      client_expect (client, "x");
    }
  client_send (client, "PAUSE 1500\r\n"); /* a paused connection does not idle */
  client_expect (client, "EXPIRED");
  g_assert_cmpint (g_get_monotonic_time () - start, >, 3500 * 1000);
  client_expect_eof (client);
  g_assert_cmpint (g_atomic_int_get (&fixture->expired), ==, 1 << ROOK_DEADLINE_IDLE);
}

/* A handler that does not close on a deadline is closed all the same. */
static void
test_deadline_not_taken (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "[limits]\nlogin-timeout=100ms\n");

  g_atomic_int_set (&fixture->keep_open, TRUE);
  {
    g_autoptr (Client) client G_GNUC_UNUSED = client_new (fixture, "one");

    fixture_wait (fixture, g_atomic_int_get (&fixture->closed) == 1);
    g_assert_cmpint (g_atomic_int_get (&fixture->last_reason), ==, ROOK_NET_ERROR_TIMEOUT);
  }
}

/* --- limits ------------------------------------------------------------------------------------------------------------------- */

static void
test_bytes_before_login (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "[limits]\nbytes-before-login=2000\n");
  g_autoptr (Client) good = client_new (fixture, "one");
  g_autoptr (Client) bad = client_new (fixture, "one");
  char block[1990];

  memset (block, 'x', sizeof block);
  client_expect (good, "HELLO");
  client_expect (bad, "HELLO");
  client_send (good, "LOGIN a\r\n");
  client_expect (good, "IN");
  for (guint i = 0; i < 10; i++)
    client_send_bytes (good, block, sizeof block);
  client_send (good, "\r\n");
  client_expect (good, "WHAT");
  client_send_bytes (bad, block, sizeof block);
  g_assert_false (client_has_input (bad, 50));
  client_send_bytes (bad, block, 11);
  client_expect (bad, "EXPIRED");
  client_expect_eof (bad);
  g_assert_cmpint (g_atomic_int_get (&fixture->expired), ==, 1 << ROOK_DEADLINE_BYTES); /* and no other */
}

static void
test_connections_in_all (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "[limits]\nconnections=2\n");
  g_autoptr (Client) one = client_greeted (fixture, "one");
  g_autoptr (Client) two G_GNUC_UNUSED = client_greeted (fixture, "one");
  g_autoptr (Client) three = client_new (fixture, "one");

  client_expect (three, "TOO MANY");
  client_expect_eof (three);
  client_send (one, "QUIT\r\n");
  client_expect (one, "BYE");
  g_clear_pointer (&one, client_free);
  fixture_wait (fixture, rook_net_get_n_connections (fixture->net) == 1);
  one = client_new (fixture, "one");
  client_expect (one, "HELLO");
}

static void
test_connections_of_a_listener (void)
{
  g_autoptr (Fixture) fixture =
      fixture_new (LISTENER "max-connections=1\n[listener two]\nprotocol=echo\naddress=127.0.0.1:0\n");
  g_autoptr (Client) one G_GNUC_UNUSED = client_greeted (fixture, "one");
  g_autoptr (Client) two = client_new (fixture, "one");
  g_autoptr (Client) other = client_new (fixture, "two");

  client_expect (two, "TOO MANY");
  client_expect (other, "HELLO");
}

static void
test_connections_of_an_address (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "proxy-from=127.0.0.1\n[limits]\nconnections-per-address=1\n"
                                                      "exempt-addresses=198.51.100.0/24\n");
  g_autoptr (Client) one = client_new (fixture, "one");
  g_autoptr (Client) two = client_new (fixture, "one");
  g_autoptr (Client) other = client_new (fixture, "one");
  g_autoptr (Client) exempt = client_new (fixture, "one");
  g_autoptr (Client) exempt_too = client_new (fixture, "one");

  client_send (one, "PROXY TCP4 192.0.2.1 192.0.2.9 1000 143\r\n");
  client_expect (one, "HELLO");
  client_send (two, "PROXY TCP4 192.0.2.1 192.0.2.9 1001 143\r\n");
  client_expect (two, "TOO MANY OF YOU");
  client_expect_eof (two);
  client_send (other, "PROXY TCP4 192.0.2.2 192.0.2.9 1000 143\r\n");
  client_expect (other, "HELLO");
  client_send (exempt, "PROXY TCP4 198.51.100.7 192.0.2.9 1000 143\r\n");
  client_expect (exempt, "HELLO");
  client_send (exempt_too, "PROXY TCP4 198.51.100.7 192.0.2.9 1000 143\r\n");
  client_expect (exempt_too, "HELLO");
}

static void
test_connections_of_a_user (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "[limits]\nconnections-per-user=1\n");
  g_autoptr (Client) one = client_new (fixture, "one");
  g_autoptr (Client) two = client_new (fixture, "one");

  client_send (one, "LOGIN a\r\n");
  client_expect (one, "HELLO");
  client_expect (one, "IN");
  client_expect (two, "HELLO");
  client_send (two, "LOGIN a\r\nLOGIN b\r\n");
  client_expect (two, "FULL");
  client_expect (two, "IN");
  client_send (one, "LOGOUT\r\nECHO out\r\n");
  client_expect (one, "out");
  client_send (two, "LOGIN a\r\n");
  client_expect (two, "IN");
}

static void
test_command_rate (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "[limits]\ncommands-per-second=50\n");
  g_autoptr (Client) client = client_greeted (fixture, "one");
  gint64 start = g_get_monotonic_time ();

  for (guint i = 0; i < 150; i++)
    client_send (client, "ECHO x\r\n");
  for (guint i = 0; i < 150; i++)
    client_expect (client, "x");
  g_assert_cmpint (g_get_monotonic_time () - start, >, 900 * 1000); /* 100 at once, 50 in a second */
  g_assert_cmpuint (rook_counter_get (fixture->net->metrics.delayed), >, 10);
}

/* Some descriptors are kept for what else the server does: who comes when the others are used up is told. */
static void
test_descriptors_are_kept_back (void)
{
  struct rlimit before, low;
  g_autoptr (GPtrArray) clients = g_ptr_array_new_with_free_func ((GDestroyNotify) client_free);
  const RookRoom *room;
  guint n;
  g_autoptr (Fixture) fixture = NULL;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &before));
  low = before;
  low.rlim_cur = 300;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &low));
  fixture = fixture_new (LISTENER);
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &before)); /* the clients are in this process too */
  room = &fixture->net->room;
  n = rook_room_get (fixture->net);
  g_assert_cmpuint (room->limit, ==, 300);
  g_assert_cmpuint (room->others, >, 5);
  g_assert_cmpuint (room->reserve, ==, 64);
  g_assert_cmpuint (n, ==, 300 - room->others - 64);
  for (guint i = 0; i < n + 5; i++)
    {
      Client *client = client_new (fixture, "one");

      g_ptr_array_add (clients, client);
      client_expect (client, i < n ? "HELLO" : "TOO MANY");
      if (i >= n)
        client_expect_eof (client);
    }
  g_assert_cmpuint (rook_counter_get (fixture->net->metrics.refused_descriptors), ==, 5);
  g_assert_cmpuint (rook_counter_get (fixture->net->metrics.refused_many), ==, 0);
  g_ptr_array_remove_index (clients, 0);
  fixture_wait (fixture, rook_net_get_n_connections (fixture->net) == n - 1);
  g_ptr_array_add (clients, client_new (fixture, "one"));
  client_expect (clients->pdata[clients->len - 1], "HELLO");
}

/* Where there are few descriptors at all they are shared: somebody is served. */
static void
test_few_descriptors_are_shared (void)
{
  struct rlimit before, low;
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &before));
  low = before;
  low.rlim_cur = fixture->net->room.others + 20;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &low));
  rook_room_count (fixture->net);
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &before));
  g_assert_cmpuint (fixture->net->room.reserve, <, 64);
  g_assert_cmpuint (rook_room_get (fixture->net), >, 0);
}

/* No descriptors at all, whoever took them: those that can't be had are closed, the others live, nothing spins. */
static void
test_descriptor_storm (void)
{
  struct rlimit before, low;
  Client *clients[60];
  guint greeted = 0;
  g_autoptr (Fixture) fixture = fixture_new (LISTENER);

  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    clients[i] = client_new (fixture, "one");
  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &before));
  low = before;
  low.rlim_cur = clients[G_N_ELEMENTS (clients) - 1]->fd + 11;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &low));
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    {
      g_assert_true (client_has_input (clients[i], 30000));
      greeted += clients[i]->input->len > 0;
    }
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &before));
  /* How many there was room for depends on what other services had open just then. */
  g_assert_cmpuint (greeted, <, 20);
  g_assert_cmpuint (rook_counter_get (fixture->net->metrics.refused_descriptors), ==, G_N_ELEMENTS (clients) - greeted);
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    client_free (clients[i]);
  {
    g_autoptr (Client) client G_GNUC_UNUSED = client_greeted (fixture, "one");
  }
}

/* --- PROXY -------------------------------------------------------------------------------------------------------------------- */

static void
test_proxy_names_the_peer (void)
{
  static const char v2[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\2\0\x07\x01\xbbWHO\r\n";
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "proxy-from=10.0.0.0/8;127.0.0.0/8\n");
  g_autoptr (Client) one = client_new (fixture, "one");
  g_autoptr (Client) two = client_new (fixture, "one");

  client_send (one, "PROXY TCP6 2001:db8:");
  g_assert_false (client_has_input (one, 50));
  client_send (one, ":1 2001:db8::2 5 143\r\nWHO\r\n");
  client_expect (one, "HELLO");
  client_expect (one, "2001:db8::1 5 2001:db8::2");
  for (gsize i = 0; i < sizeof v2 - 1; i++)
    client_send_bytes (two, v2 + i, 1);
  client_expect (two, "HELLO");
  client_expect (two, "192.0.2.1 7 198.51.100.2");
}

/* Whom a header does not name, or who is local to the balancer, is not local to us. */
static void
test_proxy_leaves_nobody_local (void)
{
  static const char *const headers[] = { "PROXY UNKNOWN\r\n", "PROXY TCP4 127.0.0.1 127.0.0.1 5 6\r\n",
                                         "PROXY TCP6 ::1 ::1 5 6\r\n" };
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "proxy-from=127.0.0.0/8\n[limits]\nconnections-per-address=3\n");
  g_autoptr (GPtrArray) clients = g_ptr_array_new_with_free_func ((GDestroyNotify) client_free);
  g_autoptr (Client) more = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (headers); i++)
    {
      Client *client = client_new (fixture, "one");

      g_ptr_array_add (clients, client);
      client_send (client, headers[i]);
      client_expect (client, "HELLO");
      client_send (client, "WHO\r\n");
      client_expect (client, "unknown 0 127.0.0.1");
    }
  more = client_new (fixture, "one");
  client_send (more, headers[0]);
  client_expect (more, "TOO MANY OF YOU"); /* loopback is exempt, and they are not of it */
}

static void
test_proxy_is_required_from_there (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "proxy-from=127.0.0.0/8\n[limits]\nlogin-timeout=1s\n");
  g_autoptr (Client) without = client_new (fixture, "one");
  g_autoptr (Client) silent = client_new (fixture, "one");
  g_autoptr (Client) gone = client_new (fixture, "one");

  client_send (without, "ECHO x\r\n");
  client_expect (without, "BAD PROXY");
  client_expect_eof (without);
  client_expect_eof (silent);
  client_send (gone, "PROXY TCP4");
  g_clear_pointer (&without, client_free);
  g_clear_pointer (&silent, client_free);
  g_clear_pointer (&gone, client_free);
  fixture_wait (fixture, rook_net_get_n_connections (fixture->net) == 0);
  g_assert_cmpint (g_atomic_int_get (&fixture->opened), ==, 0);
}

static void
test_proxy_is_no_command_elsewhere (void)
{
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "proxy-from=192.0.2.0/24\n");
  g_autoptr (Client) client = client_greeted (fixture, "one");

  client_send (client, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nWHO\r\n");
  client_expect (client, "WHAT");
  {
    g_autofree char *who = client_read_line (client);

    g_assert_true (g_str_has_prefix (who, "127.0.0.1 "));
  }
}

/* --- cost --------------------------------------------------------------------------------------------------------------------- */

/* What an idle connection that has worked before keeps: no buffers, a struct and a watch. */
static void
test_idle_connection_is_small (void)
{
#ifdef ROOK_SANITIZED
  g_test_skip ("a sanitizer's allocator tells nothing");
#else
  Client *clients[200];
  struct mallinfo2 before;
  gsize each;
  g_autoptr (Fixture) fixture = fixture_new (LISTENER "[limits]\nconnections-per-user=0\n");

  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    {
      if (i == 20) /* tables and read buffers are there */
        before = mallinfo2 ();
      clients[i] = client_greeted (fixture, "one");
      client_send (clients[i], "LOGIN a\r\nECHO x\r\nLIT 5\r\nabcde");
      client_expect (clients[i], "IN");
      client_expect (clients[i], "x");
      client_expect (clients[i], "GOT 5");
    }
  each = (mallinfo2 ().uordblks - before.uordblks) / (G_N_ELEMENTS (clients) - 20);
  g_test_message ("%" G_GSIZE_FORMAT " bytes with the test's own client and session, %" G_GSIZE_FORMAT " our struct",
                  each, sizeof (RookConnection));
  g_assert_cmpuint (each, <, 4096);
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    client_free (clients[i]);
#endif
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/listener/accepts-and-greets", test_listens_and_greets);
  g_test_add_func ("/net/input/pipelined", test_pipelined);
  g_test_add_func ("/net/input/many-lines", test_many_lines);
  g_test_add_func ("/net/input/pause-keeps-order", test_pause_keeps_order);
  g_test_add_func ("/net/input/line-flags", test_line_flags);
  g_test_add_func ("/net/log/own-fields-of-the-connection-in-front", test_log_names_the_connection);
  g_test_add_func ("/net/input/raw", test_raw);
  g_test_add_func ("/net/input/endless-literal", test_endless_literal);
  g_test_add_func ("/net/output/back-pressure", test_back_pressure);
  g_test_add_func ("/net/output/answers-not-read", test_flood);
  g_test_add_func ("/net/output/answers-not-read-of-a-handler-that-pauses", test_flood_paused);
  g_test_add_func ("/net/output/write-deadline", test_write_deadline);
  g_test_add_func ("/net/output/write-deadline-of-answers-not-read", test_flood_ends);
  g_test_add_func ("/net/end/half-close", test_half_close);
  g_test_add_func ("/net/end/reset-while-paused", test_reset);
  g_test_add_func ("/net/end/close-is-heard", test_close_is_heard);
  g_test_add_func ("/net/end/abort", test_abort);
  g_test_add_func ("/net/end/drain", test_drain);
  g_test_add_func ("/net/end/stop-ends-all", test_stop_ends_all);
  g_test_add_func ("/net/deadline/login", test_login_deadline);
  g_test_add_func ("/net/deadline/idle", test_idle_deadline);
  g_test_add_func ("/net/deadline/not-taken", test_deadline_not_taken);
  g_test_add_func ("/net/limits/bytes-before-login", test_bytes_before_login);
  g_test_add_func ("/net/limits/connections-in-all", test_connections_in_all);
  g_test_add_func ("/net/limits/connections-of-a-listener", test_connections_of_a_listener);
  g_test_add_func ("/net/limits/connections-of-an-address", test_connections_of_an_address);
  g_test_add_func ("/net/limits/connections-of-a-user", test_connections_of_a_user);
  g_test_add_func ("/net/limits/command-rate", test_command_rate);
  g_test_add_func ("/net/limits/descriptors-are-kept-back", test_descriptors_are_kept_back);
  g_test_add_func ("/net/limits/few-descriptors-are-shared", test_few_descriptors_are_shared);
  g_test_add_func ("/net/limits/descriptor-storm", test_descriptor_storm);
  g_test_add_func ("/net/proxy/names-the-peer", test_proxy_names_the_peer);
  g_test_add_func ("/net/proxy/leaves-nobody-local", test_proxy_leaves_nobody_local);
  g_test_add_func ("/net/proxy/is-required-from-there", test_proxy_is_required_from_there);
  g_test_add_func ("/net/proxy/is-no-command-elsewhere", test_proxy_is_no_command_elsewhere);
  g_test_add_func ("/net/cost/idle-connection-is-small", test_idle_connection_is_small);
  return g_test_run ();
}
