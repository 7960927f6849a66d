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

/* --- the real one -------------------------------------------------------------------------------------------------- */

/* It ends its whole process group. */
static void
in_own_session (G_GNUC_UNUSED gpointer data)
{
  setsid ();
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
  for (guint i = 0; i < 1000 && !g_file_test (mux, G_FILE_TEST_EXISTS); i++)
    g_usleep (10000);
  g_usleep (50000);
  return pid;
}

static void
stop_saslauthd (GPid pid)
{
  int status;

  kill (pid, SIGTERM);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
}

static void
test_shadow (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SASLAUTHD);
  g_auto (Answer) answer = { 0 };
  g_autofree char *user = g_strdup_printf ("rooktest%d", (int) getpid ());
  GPid pid;

  run ("useradd -M -N -s /bin/false -p $(openssl passwd -6 wonder) %s", user);
  pid = start_saslauthd (fixture, "shadow");
  auth_fixture_plain (fixture, PEER_TLS, "", user, "wonder", &answer);
  assert_user (&answer, user);
  auth_fixture_login (fixture, PEER_TLS, user, "wonder", NULL, &answer);
  assert_user (&answer, user);
  auth_fixture_plain (fixture, PEER_TLS, "", user, "wrong", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
  auth_fixture_plain (fixture, PEER_TLS, "", "no-such-user-here", "wrong", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
  run ("chage -E 1 %s", user);
  auth_fixture_plain (fixture, PEER_TLS, "", user, "wonder", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_DISABLED);
  stop_saslauthd (pid);
  run ("userdel %s", user);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/auth/saslauthd/shadow", test_shadow);
  return g_test_run ();
}
