/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The real saslauthd, started on a socket of its own with shadow, PAM and sasldb behind it (needs root, for the shadow
 * file), and false ones that hang, hang up or talk nonsense.
 */
#include "auth-fixture.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SASLAUTHD "backend=saslauthd\nsaslauthd-socket=@SCRATCH@/mux\nfailure-delay=0\n"

static void run (const char *format, ...) G_GNUC_PRINTF (1, 2);

static void
run (const char *format, ...)
{
  g_autofree char *command = NULL;
  const char *argv[] = { "/bin/sh", "-c", NULL, NULL };
  va_list arguments;
  int status = -1;

  va_start (arguments, format);
  command = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  argv[2] = command;
  g_assert_true (g_spawn_sync (NULL, (char **) argv, NULL, 0, NULL, NULL, NULL, NULL, &status, NULL));
  g_assert_cmpint (status, ==, 0);
}

/* --- the real one ------------------------------------------------------------------------------------------------- */

/* It ends its whole process group. */
static void
in_own_session (G_GNUC_UNUSED gpointer data)
{
  setsid ();
}

static gboolean
somebody_listens (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  gboolean listens;

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  listens = connect (fd, (struct sockaddr *) &address, sizeof address) == 0;
  close (fd);
  return listens;
}

static GPid
start_saslauthd (AuthFixture *fixture, const char *mechanism)
{
  const char *argv[] = { "/usr/sbin/saslauthd", "-d", "-n", "2", "-m", fixture->scratch, "-a", mechanism, NULL };
  g_autofree char *mux = g_build_filename (fixture->scratch, "mux", NULL);
  GPid pid;

  g_assert_true (g_spawn_async (NULL, (char **) argv, NULL,
                                G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL,
                                in_own_session, NULL, &pid, NULL));
  while (!somebody_listens (mux))
    g_usleep (10000);
  return pid;
}

/* Now and then it does not mind the first signal. */
static void
stop_saslauthd (GPid pid)
{
  int status;
  pid_t ended = 0;

  for (guint tries = 0; ended == 0 && tries < 100; tries++)
    {
      kill (pid, SIGTERM);
      g_usleep (10000);
      ended = waitpid (pid, &status, WNOHANG);
    }
  if (ended == 0)
    {
      kill (-pid, SIGKILL);
      ended = waitpid (pid, &status, 0);
    }
  g_assert_cmpint (ended, ==, pid);
}

/* A system user that goes with the test. */
static char *
add_system_user (void)
{
  char *user = g_strdup_printf ("rooktest%d", (int) getpid ());

  run ("useradd -M -N -s /bin/false -p \"$(openssl passwd -6 wonder)\" %s", user);
  return user;
}

static gboolean
is_root (void)
{
  if (geteuid () == 0)
    return TRUE;
  g_test_skip ("only root can read the shadow file");
  return FALSE;
}

static void
expect_login (AuthFixture *fixture, const char *user, const char *password, int code)
{
  g_auto (Answer) plain = { 0 }, login = { 0 };

  auth_fixture_plain (fixture, PEER_TLS, "", user, password, &plain);
  auth_fixture_login (fixture, PEER_TLS, user, password, NULL, &login);
  if (code < 0)
    {
      assert_user (&plain, user);
      assert_user (&login, user);
      return;
    }
  assert_failed (&plain, code);
  assert_failed (&login, code);
}

static void
test_shadow (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SASLAUTHD);
  g_autofree char *user = NULL;
  GPid pid;

  if (!is_root ())
    return;
  user = add_system_user ();
  pid = start_saslauthd (fixture, "shadow");
  expect_login (fixture, user, "wonder", -1);
  expect_login (fixture, user, "wrong", ROOK_AUTH_ERROR_FAILED);
  expect_login (fixture, user, "", ROOK_AUTH_ERROR_FAILED);
  expect_login (fixture, "no-such-user-here", "wrong", ROOK_AUTH_ERROR_FAILED);
  run ("chage -E 1 %s", user);
  expect_login (fixture, user, "wonder", ROOK_AUTH_ERROR_DISABLED);
  expect_login (fixture, user, "wrong", ROOK_AUTH_ERROR_FAILED);
  stop_saslauthd (pid);
  run ("userdel %s", user);
}

/* The service's name is PAM's: a file of its own under /etc/pam.d, for as long as the test runs. */
static void
expect_pam_login (AuthFixture *fixture, const char *service, const char *user, const char *password, int code)
{
  RookAuthPeer peer = auth_peer (PEER_TLS);
  g_autoptr (RookAuthExchange) exchange = NULL;
  g_auto (Answer) answer = { 0 };

  g_free (peer.service);
  peer.service = g_strdup (service);
  exchange = rook_auth_login_for_peer (fixture->auth, rook_loop_get_main_worker (fixture->loop), &peer, user, password,
                                       NULL, answer_callback, &answer);
  auth_fixture_wait (fixture, &answer);
  if (code < 0)
    assert_user (&answer, user);
  else
    assert_failed (&answer, code);
}

static void
test_pam (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SASLAUTHD);
  g_autofree char *user = NULL, *path = NULL;
  GPid pid;

  if (!is_root ())
    return;
  user = add_system_user ();
  path = g_build_filename ("/etc/pam.d", user, NULL);
  g_assert_true (
      g_file_set_contents (path, "auth required pam_unix.so nodelay\naccount required pam_unix.so\n", -1, NULL));
  pid = start_saslauthd (fixture, "pam");
  expect_pam_login (fixture, user, user, "wonder", -1);
  expect_pam_login (fixture, user, user, "wrong", ROOK_AUTH_ERROR_FAILED);
  expect_pam_login (fixture, user, "no-such-user-here", "wonder", ROOK_AUTH_ERROR_FAILED);
  run ("chage -E 1 %s", user);
  expect_pam_login (fixture, user, user, "wonder", ROOK_AUTH_ERROR_DISABLED);
  stop_saslauthd (pid);
  g_assert_no_errno (g_unlink (path));
  run ("userdel %s", user);
}

/* saslauthd knows no other file than /etc/sasldb2: the test adds to it and takes away again. */
static void
test_sasldb (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SASLAUTHD "default-realm=one.rooktest\nvirtual-domains=yes\n");
  gboolean existed = g_file_test ("/etc/sasldb2", G_FILE_TEST_EXISTS);
  GPid pid;

  if (!is_root ())
    return;
  run ("printf wonder | saslpasswd2 -p -c -u one.rooktest alice");
  run ("printf other | saslpasswd2 -p -c -u two.rooktest alice");
  pid = start_saslauthd (fixture, "sasldb");
  expect_login (fixture, "alice", "wonder", -1);
  expect_login (fixture, "alice", "other", ROOK_AUTH_ERROR_FAILED);
  expect_login (fixture, "alice@two.rooktest", "other", -1);
  expect_login (fixture, "alice@two.rooktest", "wonder", ROOK_AUTH_ERROR_FAILED);
  expect_login (fixture, "nobody", "wonder", ROOK_AUTH_ERROR_FAILED);
  stop_saslauthd (pid);
  run ("saslpasswd2 -d -u one.rooktest alice && saslpasswd2 -d -u two.rooktest alice");
  if (!existed)
    g_assert_no_errno (g_unlink ("/etc/sasldb2"));
}

static void
test_stops_and_comes_back (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SASLAUTHD);
  g_autofree char *user = NULL, *mux = g_build_filename (fixture->scratch, "mux", NULL);
  GPid pid;

  if (!is_root ())
    return;
  user = add_system_user ();
  expect_login (fixture, user, "wonder", ROOK_AUTH_ERROR_UNAVAILABLE);
  pid = start_saslauthd (fixture, "shadow");
  expect_login (fixture, user, "wonder", -1);
  stop_saslauthd (pid);
  expect_login (fixture, user, "wonder", ROOK_AUTH_ERROR_UNAVAILABLE);
  g_unlink (mux);
  pid = start_saslauthd (fixture, "shadow");
  expect_login (fixture, user, "wonder", -1);
  stop_saslauthd (pid);
  run ("userdel %s", user);
}

/* --- false ones --------------------------------------------------------------------------------------------------- */

typedef struct {
  int fd;
  const char *reply; /* (nullable) %NULL: accept and say nothing */
  gsize length;
  gboolean slowly; /* a byte at a time */
  GByteArray *seen;
  gint stop;
  GThread *thread;
} Fake;

static void
answer_as_told (Fake *fake, int fd)
{
  guint8 buffer[4096];
  ssize_t n = recv (fd, buffer, sizeof buffer, 0);

  if (n > 0)
    {
      g_byte_array_set_size (fake->seen, 0);
      g_byte_array_append (fake->seen, buffer, (guint) n);
    }
  if (fake->slowly)
    for (gsize i = 0; i < fake->length; i++)
      {
        g_usleep (5000);
        g_assert_cmpint (send (fd, fake->reply + i, 1, MSG_NOSIGNAL), ==, 1);
      }
  else
    g_assert_cmpint (send (fd, fake->reply, fake->length, MSG_NOSIGNAL), ==, (int) fake->length);
}

static gpointer
serve (gpointer data)
{
  Fake *fake = data;
  g_autoptr (GArray) held = g_array_new (FALSE, FALSE, sizeof (int));

  while (!g_atomic_int_get (&fake->stop))
    {
      int fd = accept (fake->fd, NULL, NULL);

      if (fd < 0)
        continue;
      if (fake->reply == NULL)
        {
          g_array_append_val (held, fd);
          continue;
        }
      answer_as_told (fake, fd);
      close (fd);
    }
  for (guint i = 0; i < held->len; i++)
    close (g_array_index (held, int, i));
  return NULL;
}

static void
fake_start (Fake *fake, AuthFixture *fixture, int backlog)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  struct timeval patience = { .tv_usec = 20000 };

  g_snprintf (address.sun_path, sizeof address.sun_path, "%s/mux", fixture->scratch);
  fake->seen = g_byte_array_new ();
  fake->fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_no_errno (bind (fake->fd, (struct sockaddr *) &address, sizeof address));
  g_assert_no_errno (listen (fake->fd, backlog));
  g_assert_no_errno (setsockopt (fake->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience));
  if (backlog > 0)
    fake->thread = g_thread_new ("fake", serve, fake);
}

static void
fake_stop (Fake *fake, AuthFixture *fixture)
{
  g_autofree char *mux = g_build_filename (fixture->scratch, "mux", NULL);

  g_atomic_int_set (&fake->stop, 1);
  if (fake->thread != NULL)
    g_thread_join (fake->thread);
  close (fake->fd);
  g_byte_array_unref (fake->seen);
  g_unlink (mux);
}

static void
expect_from (const char *reply, gsize length, int code)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SASLAUTHD "saslauthd-timeout=300ms\n");
  Fake fake = { .reply = reply, .length = length };

  fake_start (&fake, fixture, 8);
  expect_login (fixture, "alice", "wonder", code);
  fake_stop (&fake, fixture);
}

#define REPLY(text) "\0" text, sizeof ("\0" text) - 1

static void
test_answers (void)
{
  expect_from (REPLY ("\x02OK"), -1);
  expect_from (REPLY ("\x02NO"), ROOK_AUTH_ERROR_FAILED);
  expect_from (REPLY ("\x15NO Incorrect password"), ROOK_AUTH_ERROR_FAILED);
  expect_from (REPLY ("\x12NO Account expired"), ROOK_AUTH_ERROR_DISABLED);
  expect_from (REPLY ("\x13NO Password expired"), ROOK_AUTH_ERROR_DISABLED);
  expect_from (REPLY ("\x11NO account locked"), ROOK_AUTH_ERROR_DISABLED);
  expect_from (REPLY ("\x11NO PAM acct error"), ROOK_AUTH_ERROR_DISABLED);
  expect_from (REPLY ("\x12NO PAM start error"), ROOK_AUTH_ERROR_UNAVAILABLE);
  expect_from (REPLY ("\x1bNO saslauthd internal error"), ROOK_AUTH_ERROR_UNAVAILABLE);
}

static void
test_nonsense (void)
{
  expect_from ("", 0, ROOK_AUTH_ERROR_UNAVAILABLE);
  expect_from (REPLY (""), ROOK_AUTH_ERROR_UNAVAILABLE);
  expect_from (REPLY ("\x02O"), ROOK_AUTH_ERROR_UNAVAILABLE);
  expect_from (REPLY ("\x01O"), ROOK_AUTH_ERROR_UNAVAILABLE);
  expect_from (REPLY ("\x05MAYBE"), ROOK_AUTH_ERROR_UNAVAILABLE);
  expect_from ("\xff\xffOK", 4, ROOK_AUTH_ERROR_UNAVAILABLE);
  expect_from ("OK\r\n", 4, ROOK_AUTH_ERROR_UNAVAILABLE);
}

static void
test_request (void)
{
  static const char wanted[] = "\0\5alice\0\6wonder\0\4imap\0\013two.example";
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SASLAUTHD "virtual-domains=yes\n");
  Fake fake = { .reply = "\0\2OK", .length = 4, .slowly = TRUE };

  fake_start (&fake, fixture, 8);
  expect_login (fixture, "alice@two.example", "wonder", -1);
  fake_stop (&fake, fixture);
  fake = (Fake){ .reply = "\0\2OK", .length = 4 };
  fake_start (&fake, fixture, 8);
  expect_login (fixture, "alice@two.example", "wonder", -1);
  g_atomic_int_set (&fake.stop, 1);
  g_thread_join (g_steal_pointer (&fake.thread));
  g_assert_cmpmem (fake.seen->data, fake.seen->len, wanted, sizeof wanted - 1);
  fake_stop (&fake, fixture);
}

/* Twenty logins, two threads, a saslauthd that never answers: all are told so within their deadlines, and with one that
 * answers the next is let in. */
static void
expect_hang_to_end (int backlog)
{
  g_autoptr (AuthFixture) fixture =
      auth_fixture_new (SASLAUTHD "saslauthd-timeout=100ms\nqueue-deadline=300ms\nthreads=2\n");
  Fake hung = { .reply = NULL }, good = { .reply = "\0\2OK", .length = 4 };
  Answer answers[20] = { 0 };
  RookAuthExchange *exchanges[20];

  fake_start (&hung, fixture, backlog);
  for (guint i = 0; i < G_N_ELEMENTS (answers); i++)
    {
      RookAuthPeer peer = auth_peer (PEER_TLS);

      exchanges[i] = rook_auth_login_for_peer (fixture->auth, rook_loop_get_main_worker (fixture->loop), &peer, "alice",
                                               "wonder", NULL, answer_callback, &answers[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (answers); i++)
    {
      auth_fixture_wait (fixture, &answers[i]);
      assert_failed (&answers[i], ROOK_AUTH_ERROR_UNAVAILABLE);
      answer_clear (&answers[i]);
      rook_auth_exchange_free (exchanges[i]);
    }
  fake_stop (&hung, fixture);
  fake_start (&good, fixture, 8);
  expect_login (fixture, "alice", "wonder", -1);
  fake_stop (&good, fixture);
}

static void
test_silent (void)
{
  expect_hang_to_end (8);
}

/* Nobody accepts: the backlog is full at once. */
static void
test_deaf (void)
{
  expect_hang_to_end (0);
}

static void
test_no_socket (void)
{
  g_autofree char *name = g_strnfill (200, 's');
  g_autofree char *keys = g_strdup_printf ("backend=saslauthd\nfailure-delay=0\nsaslauthd-socket=/%s\n", name);
  AuthFixture *fixture = auth_fixture_new (SASLAUTHD);

  expect_login (fixture, "alice", "wonder", ROOK_AUTH_ERROR_UNAVAILABLE);
  auth_fixture_free (fixture);
  fixture = auth_fixture_new (keys);
  expect_login (fixture, "alice", "wonder", ROOK_AUTH_ERROR_UNAVAILABLE);
  auth_fixture_free (fixture);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_setenv ("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin", TRUE);
  g_test_add_func ("/auth/saslauthd/shadow", test_shadow);
  g_test_add_func ("/auth/saslauthd/pam", test_pam);
  g_test_add_func ("/auth/saslauthd/sasldb", test_sasldb);
  g_test_add_func ("/auth/saslauthd/stops-and-comes-back", test_stops_and_comes_back);
  g_test_add_func ("/auth/saslauthd/answers", test_answers);
  g_test_add_func ("/auth/saslauthd/nonsense", test_nonsense);
  g_test_add_func ("/auth/saslauthd/request", test_request);
  g_test_add_func ("/auth/saslauthd/silent", test_silent);
  g_test_add_func ("/auth/saslauthd/deaf", test_deaf);
  g_test_add_func ("/auth/saslauthd/no-socket", test_no_socket);
  return g_test_run ();
}
