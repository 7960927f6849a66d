/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A load generator for IMAP servers: how long commands take, with and without many idle connections beside.
 *
 *   load idle PORT PID CONNECTIONS COMMANDS ROUNDS USERS [THRESHOLD]
 *
 * Each round measures COMMANDS times NOOP and FETCH 1 FLAGS on one busy session, first alone, then with CONNECTIONS
 * sessions in IDLE. Prints median and 99th percentile in microseconds, how often the server's threads went to sleep
 * a command (its wake-ups), and the ratios; the median over all rounds. The two sides of a ratio are of the same round,
 * so that what else the machine does weighs on both. With a THRESHOLD it exits 1 if the ratio of a time is beyond it, or
 * if a command costs WAKEUPS_SLACK wake-ups more. It speaks to any IMAP server with users user0001 ... (password
 * "pass"), and knows nothing of what that server is.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <glib.h>

/* Of the server's own housekeeping, some falls on either side. */
#define WAKEUPS_SLACK 0.05

#define SAMPLE "Subject: load\r\n\r\nbody\r\n"

typedef struct {
  int fd;
  guint tag;
  gsize used;
  char buffer[8192];
} Session;

typedef struct {
  double median, p99, wakeups;
} Result;

typedef enum { NOOP, FETCH, N_COMMANDS } Command;
static const char *const names[N_COMMANDS] = { "NOOP", "FETCH 1 FLAGS" };

G_GNUC_NORETURN static void
fail (const char *what, const char *detail)
{
  fprintf (stderr, "load: %s: %s\n", what, detail);
  exit (1);
}

/* --- sessions ----------------------------------------------------------------------------------------------------------- */

static void
session_open (Session *self, guint16 port)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons (port) };
  int one = 1;

  *self = (Session){ .fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
  address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  if (self->fd < 0 || connect (self->fd, (struct sockaddr *) &address, sizeof address) < 0)
    fail ("connect", g_strerror (errno));
  setsockopt (self->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* Reads to a line that begins with @prefix; everything up to its end is dropped. Lines only: no literals. */
static void
session_read_to (Session *self, const char *prefix)
{
  gsize length = strlen (prefix);

  for (;;)
    {
      char *end = self->used > 0 ? memchr (self->buffer, '\n', self->used) : NULL;
      gboolean found = end != NULL && self->used >= length && memcmp (self->buffer, prefix, length) == 0;
      gssize n;

      if (end != NULL)
        {
          gsize line = (gsize) (end - self->buffer) + 1;

          if (g_str_has_prefix (self->buffer, "* BYE"))
            fail ("server", "BYE");
          memmove (self->buffer, end + 1, self->used - line);
          self->used -= line;
          if (found)
            return;
          continue;
        }
      if (self->used == sizeof self->buffer)
        fail ("server", "line too long");
      n = read (self->fd, self->buffer + self->used, sizeof self->buffer - self->used);
      if (n <= 0)
        fail ("read", n < 0 ? g_strerror (errno) : "closed");
      self->used += (gsize) n;
    }
}

static void
session_write (Session *self, const char *text)
{
  gsize length = strlen (text);

  if (write (self->fd, text, length) != (gssize) length)
    fail ("write", g_strerror (errno));
}

static void
session_command (Session *self, const char *command)
{
  char line[300], prefix[20];

  g_snprintf (prefix, sizeof prefix, "a%u OK", ++self->tag);
  g_snprintf (line, sizeof line, "a%u %s\r\n", self->tag, command);
  session_write (self, line);
  session_read_to (self, prefix);
}

static void
session_login (Session *self, guint user)
{
  char command[100];

  session_read_to (self, "* OK");
  g_snprintf (command, sizeof command, "LOGIN user%04u pass", user);
  session_command (self, command);
}

/* --- measuring ---------------------------------------------------------------------------------------------------------- */

/* How often the threads of @pid have gone to sleep: a wake-up each. */
static guint64
count_wakeups (int pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/task", pid);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *task;
  guint64 total = 0;

  while (dir != NULL && (task = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *file = g_build_filename (path, task, "status", NULL);
      g_autofree char *text = NULL;
      const char *line;

      if (g_file_get_contents (file, &text, NULL, NULL) && (line = strstr (text, "\nvoluntary_ctxt_switches:")) != NULL)
        total += g_ascii_strtoull (strchr (line, ':') + 1, NULL, 10);
    }
  return total;
}

static gint
compare (gconstpointer a, gconstpointer b)
{
  double left = *(const double *) a, right = *(const double *) b;

  return left < right ? -1 : left > right;
}

static double
quantile (double *values, guint n, double q)
{
  qsort (values, n, sizeof *values, compare);
  return values[MIN (n - 1, (guint) (q * n))];
}

static double
now_us (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (double) now.tv_sec * 1e6 + (double) now.tv_nsec / 1e3;
}

static Result
measure (Session *session, const char *command, guint n, int pid)
{
  g_autofree double *times = g_new (double, n);
  guint64 before;
  Result result;

  for (guint i = 0; i < n / 10; i++)
    session_command (session, command);
  before = count_wakeups (pid);
  for (guint i = 0; i < n; i++)
    {
      double start = now_us ();

      session_command (session, command);
      times[i] = now_us () - start;
    }
  result.wakeups = (double) (count_wakeups (pid) - before) / n;
  result.median = quantile (times, n, 0.5);
  result.p99 = quantile (times, n, 0.99);
  return result;
}

static void
open_idle (Session *sessions, guint n, guint16 port, guint users)
{
  for (guint i = 0; i < n; i++)
    {
      session_open (&sessions[i], port);
      session_login (&sessions[i], 2 + i % (users - 1));
      session_command (&sessions[i], "SELECT INBOX");
      session_write (&sessions[i], "i IDLE\r\n");
      session_read_to (&sessions[i], "+");
    }
}

static void
close_idle (Session *sessions, guint n)
{
  for (guint i = 0; i < n; i++)
    close (sessions[i].fd);
  g_usleep (2 * G_USEC_PER_SEC); /* the server notices */
}

/* --- reporting ---------------------------------------------------------------------------------------------------------- */

typedef struct {
  const char *name;
  gsize member;
  gboolean is_time;
} Column;

static const Column columns[] = { { "median us", G_STRUCT_OFFSET (Result, median), TRUE },
                                  { "p99 us", G_STRUCT_OFFSET (Result, p99), TRUE },
                                  { "wake-ups", G_STRUCT_OFFSET (Result, wakeups), FALSE } };

/* The median over all rounds of one member, or (with @base) of its ratio to the same round's of @base. */
static double
over_rounds (const Result *results, const Result *base, guint rounds, gsize member)
{
  g_autofree double *values = g_new (double, rounds);

  for (guint i = 0; i < rounds; i++)
    {
      values[i] = G_STRUCT_MEMBER (double, &results[i], member);
      if (base != NULL)
        values[i] /= MAX (G_STRUCT_MEMBER (double, &base[i], member), 1e-9);
    }
  return quantile (values, rounds, 0.5);
}

/* Prints one command. Returns: whether it keeps to @threshold (0: none) */
static gboolean
report (const char *name, const Result *alone, const Result *beside, guint rounds, double threshold)
{
  gboolean good = TRUE;

  for (guint i = 0; i < G_N_ELEMENTS (columns); i++)
    {
      double a = over_rounds (alone, NULL, rounds, columns[i].member);
      double b = over_rounds (beside, NULL, rounds, columns[i].member);
      double ratio = over_rounds (beside, alone, rounds, columns[i].member);
      gboolean beyond = threshold > 0 && (columns[i].is_time ? ratio > threshold : b - a > WAKEUPS_SLACK);

      printf ("%-14s %-10s %10.2f %10.2f %8.3f%s\n", name, columns[i].name, a, b, ratio, beyond ? "  too much" : "");
      good = good && !beyond;
    }
  return good;
}

/* Returns: whether everything kept to @threshold */
static gboolean
run_idle (guint16 port, int pid, guint connections, guint commands, guint rounds, guint users, double threshold)
{
  g_autofree Session *idle = g_new0 (Session, connections);
  g_autofree Result *results = g_new0 (Result, rounds * N_COMMANDS * 2);
  gboolean good = TRUE;
  Session busy;

  session_open (&busy, port);
  session_login (&busy, 1);
  session_write (&busy, "x APPEND INBOX {23+}\r\n" SAMPLE "\r\n");
  session_read_to (&busy, "x OK");
  session_command (&busy, "SELECT INBOX");
  for (guint round = 0; round < rounds; round++)
    for (guint beside = 0; beside < 2; beside++)
      {
        if (beside)
          open_idle (idle, connections, port, users);
        for (guint command = 0; command < N_COMMANDS; command++)
          results[(command * 2 + beside) * rounds + round] = measure (&busy, names[command], commands, pid);
        if (beside)
          close_idle (idle, connections);
      }
  printf ("%-14s %-10s %10s %10u %8s\n", "command", "", "alone", connections, "ratio");
  for (guint command = 0; command < N_COMMANDS; command++)
    good =
        report (names[command], &results[command * 2 * rounds], &results[(command * 2 + 1) * rounds], rounds, threshold)
        && good;
  return good;
}

int
main (int argc, char **argv)
{
  struct rlimit limit;

  G_STATIC_ASSERT (sizeof SAMPLE - 1 == 23);
  if (argc < 8 || argc > 9 || !g_str_equal (argv[1], "idle"))
    {
      fprintf (stderr, "usage: load idle PORT PID CONNECTIONS COMMANDS ROUNDS USERS [THRESHOLD]\n");
      return 2;
    }
  if (getrlimit (RLIMIT_NOFILE, &limit) == 0)
    {
      limit.rlim_cur = limit.rlim_max;
      setrlimit (RLIMIT_NOFILE, &limit);
    }
  setvbuf (stdout, NULL, _IOLBF, 0);
  return run_idle ((guint16) atoi (argv[2]), atoi (argv[3]), (guint) atoi (argv[4]), (guint) atoi (argv[5]),
                   (guint) MAX (1, atoi (argv[6])), (guint) MAX (2, atoi (argv[7])),
                   argc > 8 ? g_ascii_strtod (argv[8], NULL) : 0)
             ? 0
             : 1;
}
