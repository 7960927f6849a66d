/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The users of sasldb. libsasl2 has no way to list them. sasldblistusers2 has, for whichever database libsasl2 was built
 * with, so it is run: within a deadline, and never longer than the server.
 */
#include "auth/auth-internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOOL "sasldblistusers2"
#define DEADLINE_MS 10000
#define MAX_OUTPUT (256u * 1024 * 1024)

static gboolean
failed (GError **error, const char *why)
{
  g_set_error (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_UNAVAILABLE,
               "users are listed by " TOOL " (of package sasl2-bin): %s", why);
  return FALSE;
}

/* In the child, between fork() and exec(): what is safe in a signal handler, and nothing else. */
static void
die_with_parent (gpointer data)
{
  const pid_t *parent = data;
  sigset_t none;

  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
  signal (SIGPIPE, SIG_DFL);
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  if (getppid () != *parent)
    _exit (1);
}

/* Returns: 0 at the end of the output, or an errno. */
static int
read_all (int fd, gint64 deadline_us, GString *output)
{
  char buffer[65536];

  while (output->len < MAX_OUTPUT)
    {
      struct pollfd wait = { .fd = fd, .events = POLLIN };
      gint64 left_ms = (deadline_us - g_get_monotonic_time ()) / 1000;
      ssize_t n;

      if (left_ms <= 0)
        return ETIMEDOUT;
      if (poll (&wait, 1, (int) left_ms) <= 0)
        continue;
      n = read (fd, buffer, sizeof buffer);
      if (n == 0)
        return 0;
      if (n < 0 && errno != EINTR)
        return errno;
      g_string_append_len (output, buffer, MAX (n, 0));
    }
  return EFBIG;
}

char *
rook_sasldb_run_list (const char *path, guint deadline_ms, GError **error)
{
  const char *argv[] = { TOOL, "-f", path, NULL };
  g_autofree char *program = g_find_program_in_path (TOOL);
  g_autoptr (GString) output = g_string_new (NULL);
  g_autoptr (GError) local = NULL;
  pid_t self = getpid ();
  GPid child;
  int fd, code, status = 0;

  if (program == NULL)
    program = g_strdup ("/usr/sbin/" TOOL);
  argv[0] = program;
  if (!g_spawn_async_with_pipes ("/", (char **) argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDERR_TO_DEV_NULL,
                                 die_with_parent, &self, &child, NULL, &fd, NULL, &local))
    {
      failed (error, local->message);
      return NULL;
    }
  code = read_all (fd, g_get_monotonic_time () + (gint64) deadline_ms * 1000, output);
  close (fd);
  if (code != 0)
    kill (child, SIGKILL);
  while (waitpid (child, &status, 0) < 0 && errno == EINTR)
    ;
  if (code != 0)
    failed (error, code == ETIMEDOUT ? "it did not answer in time" : g_strerror (code));
  else if (!g_spawn_check_wait_status (status, &local))
    failed (error, local->message);
  else
    return g_string_free (g_steal_pointer (&output), FALSE);
  return NULL;
}

static int
compare (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* "alice@mail.example.org: userPassword", a line each property. */
static char **
parse_list (const RookAuthSettings *settings, const char *text)
{
  g_autoptr (GHashTable) users = g_hash_table_new (g_str_hash, g_str_equal);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  char **list;
  guint n;

  for (char **line = lines; *line != NULL; line++)
    {
      char *colon = strrchr (*line, ':'), *user;

      if (colon == NULL)
        continue;
      *colon = '\0';
      if (rook_auth_spelled (settings, *line, -1, &user, NULL))
        g_hash_table_add (users, user);
      else
        g_hash_table_add (users, g_strdup (*line));
    }
  list = (char **) g_hash_table_get_keys_as_array (users, &n);
  qsort (list, n, sizeof *list, compare);
  return list;
}

char **
rook_sasldb_list (const RookAuthSettings *settings, const char *path, GError **error)
{
  g_autofree char *output = NULL;
  struct stat status;

  if (stat (path, &status) != 0 && errno == ENOENT)
    return g_new0 (char *, 1);
  if (!rook_sasldb_is_file (path))
    {
      g_set_error (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_UNAVAILABLE, "%s is no file", path);
      return NULL;
    }
  output = rook_sasldb_run_list (path, DEADLINE_MS, error);
  return output != NULL ? parse_list (settings, output) : NULL;
}

gboolean
rook_sasldb_is_file (const char *path)
{
  struct stat status;

  return stat (path, &status) == 0 && S_ISREG (status.st_mode);
}
