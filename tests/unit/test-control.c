/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control socket: who may use it, what goes over it, its limits, its verbs. Clients are threads with a real socket,
 * the server's main worker is the test's own thread.
 */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "control/control-private.h"
#include "daemon/server-private.h"
#include "log/log-private.h"
#include "rookctl-private.h"

/* --- requests ------------------------------------------------------------------------------------------------------ */

static void
assert_words (const char *line, gsize length, const char *const *expected)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) words = rook_control_parse_request (line, length, &error);

  if (expected == NULL)
    {
      g_assert_null (words);
      g_assert_nonnull (error);
      return;
    }
  g_assert_no_error (error);
  g_assert_cmpstrv (words, expected);
}

#define ASSERT_WORDS(line, ...) assert_words (line, strlen (line), (const char *const[]){ __VA_ARGS__, NULL })
#define ASSERT_NO_WORDS(line) assert_words (line, sizeof (line) - 1, NULL)

static void
test_request (void)
{
  ASSERT_WORDS ("plugin list", "plugin", "list");
  ASSERT_WORDS ("  user   add 'a b' \"c\\\"d\"\r", "user", "add", "a b", "c\"d");
  ASSERT_WORDS ("x $HOME `id` * ;", "x", "$HOME", "`id`", "*", ";");
  ASSERT_NO_WORDS ("");
  ASSERT_NO_WORDS ("   ");
  ASSERT_NO_WORDS ("x 'unclosed");
  ASSERT_NO_WORDS ("x \0 y");
  ASSERT_NO_WORDS ("x \xff");
}

/* --- a server and its clients --------------------------------------------------------------------------------------- */

typedef struct Fixture Fixture;
typedef void (*ClientFunc) (Fixture *fixture);

struct Fixture {
  RookServer *server;
  RookControl *control;
  char *path;
  ClientFunc client;
  RookControlCall *held; /* (nullable) what verb "hold" was called with */
  gint n_held;           /* atomic */
};

static void
run_echo (gpointer data G_GNUC_UNUSED, RookControlCall *call, const char *const *arguments)
{
  rook_control_call_done (call, g_variant_new_strv (arguments, -1));
}

static void
run_echo_loud (gpointer data G_GNUC_UNUSED, RookControlCall *call, const char *const *arguments)
{
  g_autofree char *text = g_ascii_strup (arguments[0], -1);

  rook_control_call_done (call, g_variant_new_string (text));
}

static void
run_nothing (gpointer data G_GNUC_UNUSED, RookControlCall *call, const char *const *arguments G_GNUC_UNUSED)
{
  rook_control_call_done (call, NULL);
}

static void
run_refuse (gpointer data G_GNUC_UNUSED, RookControlCall *call, const char *const *arguments G_GNUC_UNUSED)
{
  rook_control_call_fail (call, "%s\n%s", "no", "and again no");
}

static gint came_too_soon; /* atomic: the second progress below was surely within a tenth of a second of the first */

static void *
answer_later (void *data)
{
  gint64 began = g_get_monotonic_time ();

  rook_control_call_progress (data, 12.5, "half\nway");
  rook_control_call_progress (data, 13, "too soon");
  g_atomic_int_set (&came_too_soon, g_get_monotonic_time () - began < 50000);
  g_usleep (150000);
  rook_control_call_progress (data, 250, "all");
  rook_control_call_done (data, g_variant_new_uint64 (42));
  return NULL;
}

static void
run_slow (gpointer data G_GNUC_UNUSED, RookControlCall *call, const char *const *arguments G_GNUC_UNUSED)
{
  pthread_t thread;

  g_assert_cmpint (pthread_create (&thread, NULL, answer_later, call), ==, 0);
  pthread_detach (thread);
}

static void
run_hold (gpointer data, RookControlCall *call, const char *const *arguments G_GNUC_UNUSED)
{
  Fixture *fixture = data;

  fixture->held = call;
  g_atomic_int_inc (&fixture->n_held);
}

static void
run_big (gpointer data G_GNUC_UNUSED, RookControlCall *call, const char *const *arguments G_GNUC_UNUSED)
{
  rook_control_call_done (call, g_variant_new_take_string (g_strnfill (3000000, 'x')));
}

#define VERB(n, a, min, max, f)                                                                                \
  {                                                                                                            \
    .struct_size = sizeof (RookControlVerb), .name = n, .arguments = a, .help = "Help.", .min_arguments = min, \
    .max_arguments = max, .run = f                                                                             \
  }
static const RookControlVerb test_verbs[] = {
  VERB ("echo", "[WORD ...]", 0, 10, run_echo),
  VERB ("echo loud", "WORD", 1, 1, run_echo_loud),
  VERB ("nothing", "", 0, 0, run_nothing),
  VERB ("refuse", "", 0, 0, run_refuse),
  VERB ("slow", "", 0, 0, run_slow),
  VERB ("hold", "", 0, 0, run_hold),
  VERB ("big", "", 0, 0, run_big),
  VERB ("one two three", "", 0, 0, run_nothing),
};

static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autofree char *directory = NULL;

  fixture->server = rook_server_new_for_test (data);
  fixture->control = rook_server_get_control (fixture->server);
  directory = rook_server_dup_run_directory (fixture->server);
  fixture->path = g_build_filename (directory, ROOK_CONTROL_SOCKET, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (test_verbs); i++)
    rook_control_add (fixture->control, &test_verbs[i], fixture);
}

static void
tear_down (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  rook_server_free_for_test (fixture->server);
  g_assert_false (g_file_test (fixture->path, G_FILE_TEST_EXISTS));
  g_free (fixture->path);
}

static void *
client_thread (void *data)
{
  Fixture *fixture = data;

  fixture->client (fixture);
  rook_loop_quit (rook_server_get_loop (fixture->server));
  return NULL;
}

/* Runs @client in a thread while this one is the server. */
static void
serve (Fixture *fixture, ClientFunc client)
{
  pthread_t thread;

  fixture->client = client;
  g_assert_cmpint (pthread_create (&thread, NULL, client_thread, fixture), ==, 0);
  rook_loop_run (rook_server_get_loop (fixture->server));
  pthread_join (thread, NULL);
}

static int
connect_raw (Fixture *fixture)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, fixture->path, sizeof address.sun_path);
  g_assert_no_errno (connect (fd, (struct sockaddr *) &address, sizeof address));
  return fd;
}

static char *
read_all (int fd)
{
  GString *text = g_string_new (NULL);
  char buffer[4096];
  ssize_t n;

  while ((n = read (fd, buffer, sizeof buffer)) > 0)
    g_string_append_len (text, buffer, n);
  close (fd);
  return g_string_free (text, FALSE);
}

/* Sends bytes, and nothing more ever; what comes back. */
static char *
exchange (Fixture *fixture, const char *request, gsize length)
{
  int fd = connect_raw (fixture);

  send (fd, request, length, MSG_NOSIGNAL);
  shutdown (fd, SHUT_WR);
  return read_all (fd);
}

static void
assert_exchange (Fixture *fixture, const char *request, const char *expected)
{
  g_autofree char *answer = exchange (fixture, request, strlen (request));

  g_assert_cmpstr (answer, ==, expected);
}

/* --- the protocol --------------------------------------------------------------------------------------------------- */

static void
client_answers (Fixture *fixture)
{
  assert_exchange (fixture, "echo a 'b c'\n", "ok\n['a', 'b c']\n");
  assert_exchange (fixture, "echo\n", "ok\n@as []\n");
  assert_exchange (fixture, "nothing\n", "ok\n");
  assert_exchange (fixture, "refuse\n", "error no\nand again no\n");
  assert_exchange (fixture, "nothing\nrefuse\nwhatever follows", "ok\n");
  {
    g_autofree char *answer = exchange (fixture, "slow\n", 5);
    char *soon = strstr (answer, "progress 13 too soon\n");

    if (soon != NULL && !g_atomic_int_get (&came_too_soon))
      memmove (soon, strchr (soon, '\n') + 1, strlen (strchr (soon, '\n')));
    g_assert_cmpstr (answer, ==, "progress 12 half way\nprogress 100 all\nok\nuint64 42\n");
  }
}

static void
test_answers (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  serve (fixture, client_answers);
}

static void
client_verbs (Fixture *fixture)
{
  assert_exchange (fixture, "echo loud x\n", "ok\n'X'\n");
  assert_exchange (fixture, "echo louder x\n", "ok\n['louder', 'x']\n");
  assert_exchange (fixture, "one two three\n", "ok\n");
  assert_exchange (fixture, "one two\n", "error unknown verb \"one ...\": there are one two three\n");
  assert_exchange (fixture, "zebra\n", "error unknown verb \"zebra\": see rookctl help\n");
  assert_exchange (fixture, "echo loud\n", "error usage: echo loud WORD\n");
  assert_exchange (fixture, "echo loud x y\n", "error usage: echo loud WORD\n");
  assert_exchange (fixture, "nothing x\n", "error usage: nothing\n");
}

static void
test_verbs_match (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  serve (fixture, client_verbs);
}

static void
client_secret (Fixture *fixture)
{
  assert_exchange (fixture, "echo hunter2 'and more'\n", "ok\n['hunter2', 'and more']\n");
  assert_exchange (fixture, "refuse\n", "error no\nand again no\n");
  assert_exchange (fixture, "echo loud hunter2\n", "ok\n'HUNTER2'\n");
}

static void
test_logged_by_verb_alone (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *path = g_build_filename (fixture->server->scratch, "log", NULL);
  g_autofree char *text = NULL;

  serve (fixture, client_secret);
  rook_log_flush (rook_server_get_log (fixture->server));
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_nonnull (strstr (text, "verb=\"echo loud\""));
  g_assert_null (strstr (text, "unter"));
  g_assert_null (strstr (text, "UNTER"));
  g_assert_null (strstr (text, "more"));
}

static void
client_bad_requests (Fixture *fixture)
{
  static const char nul[] = "echo a\0b\n";
  g_autofree char *answer = exchange (fixture, nul, sizeof nul - 1);

  g_assert_cmpstr (answer, ==, "error a request must be UTF-8 without NUL bytes\n");
  assert_exchange (fixture, "echo \xff\n", "error a request must be UTF-8 without NUL bytes\n");
  assert_exchange (fixture, "echo 'a\n", "error a quote is not closed\n");
  assert_exchange (fixture, "\n", "error an empty request\n");
  assert_exchange (fixture, "no line end", "");
}

static void
test_bad_requests (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  serve (fixture, client_bad_requests);
}

static void
client_long_request (Fixture *fixture)
{
  g_autofree char *filler = g_strnfill (ROOK_CONTROL_REQUEST_MAX, 'x');
  g_autofree char *just = g_strdup_printf ("echo %.*s\n", ROOK_CONTROL_REQUEST_MAX - 6, filler);
  g_autofree char *over = g_strdup_printf ("echo %.*s\n", ROOK_CONTROL_REQUEST_MAX - 5, filler);
  g_autofree char *answer = exchange (fixture, just, strlen (just));

  g_assert_true (g_str_has_prefix (answer, "ok\n['xxx"));
  assert_exchange (fixture, over, "error the request is longer than 64 KiB\n");
}

static void
test_long_request (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  serve (fixture, client_long_request);
}

static void
client_many (Fixture *fixture)
{
  int fds[ROOK_CONTROL_CLIENTS_MAX];

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    fds[i] = connect_raw (fixture);
  assert_exchange (fixture, "", "error too many clients\n");
  close (fds[0]);
  for (gboolean is_in = FALSE; !is_in;) /* once it has noticed */
    {
      g_autofree char *answer = exchange (fixture, "nothing\n", 8);

      is_in = strcmp (answer, "ok\n") == 0;
    }
  for (guint i = 1; i < G_N_ELEMENTS (fds); i++)
    close (fds[i]);
}

static void
test_many (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  serve (fixture, client_many);
}

/* A client that there is no descriptor for waits, and the main worker sleeps meanwhile. */
static void
client_waits (Fixture *fixture)
{
  RookWorker *worker = rook_loop_get_main_worker (rook_server_get_loop (fixture->server));
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct rlimit before, low;
  g_autofree char *answer = NULL;
  guint64 wakeups, before_wakeups;
  gint64 began;

  g_strlcpy (address.sun_path, fixture->path, sizeof address.sun_path);
  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &before));
  low = before;
  low.rlim_cur = 3; /* all taken */
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &low));
  before_wakeups = rook_worker_get_wakeups (worker);
  g_assert_no_errno (connect (fd, (struct sockaddr *) &address, sizeof address));
  g_assert_cmpint (send (fd, "nothing\n", 8, MSG_NOSIGNAL), ==, 8);
  while (rook_worker_get_wakeups (worker) == before_wakeups) /* accepting is tried */
    g_usleep (1000);
  began = g_get_monotonic_time ();
  g_usleep (500000);
  wakeups = rook_worker_get_wakeups (worker) - before_wakeups;
  began = g_get_monotonic_time () - began;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &before));
  answer = read_all (fd);
  g_assert_cmpstr (answer, ==, "ok\n");
  g_assert_cmpint ((gint64) wakeups, <, began / 10000); /* fifty in half a second */
}

static void
test_no_descriptors (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  rook_log_set_level (rook_server_get_log (fixture->server), ROOK_LOG_ERROR);
  serve (fixture, client_waits);
}

static void
client_leaves (Fixture *fixture)
{
  int fd = connect_raw (fixture);

  g_assert_cmpint (send (fd, "hold\n", 5, MSG_NOSIGNAL), ==, 5);
  while (g_atomic_int_get (&fixture->n_held) == 0)
    g_usleep (1000);
  g_assert_false (rook_control_call_is_cancelled (fixture->held));
  close (fd);
  while (!rook_control_call_is_cancelled (fixture->held))
    g_usleep (1000);
  g_assert_true (rook_control_call_is_cancelled (fixture->held));
  /* The call is still to be answered, to nobody. */
  rook_control_call_progress (fixture->held, 1, "x");
  rook_control_call_done (fixture->held, g_variant_new_uint32 (1));
}

static void
test_leaves (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  serve (fixture, client_leaves);
}

static void
client_big (Fixture *fixture)
{
  static const char *const words[] = { "big", NULL };
  g_autoptr (GVariant) result = NULL;
  g_autofree char *message = NULL;

  g_assert_cmpint (rookctl_call (fixture->path, 30, words, NULL, NULL, &result, &message), ==, ROOKCTL_OK);
  g_assert_cmpuint (strlen (g_variant_get_string (result, NULL)), ==, 3000000);
}

static void
test_big (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  serve (fixture, client_big);
}

/* --- who may -------------------------------------------------------------------------------------------------------- */

static void
test_mode (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  struct stat info;

  g_assert_no_errno (stat (fixture->path, &info));
  g_assert_cmpuint (info.st_mode & 07777, ==, 0600);
}

/* In a process of another user's, when every door before SO_PEERCRED stands open. */
static void
client_stranger (Fixture *fixture)
{
  g_autofree char *run = g_path_get_dirname (fixture->path);
  char buffer[256] = "";
  int pipe_fds[2], status;
  pid_t child;

  g_assert_no_errno (chmod (fixture->path, 0666));
  g_assert_no_errno (chmod (run, 0755));
  g_assert_no_errno (pipe (pipe_fds));
  child = fork ();
  if (child == 0)
    {
      struct sockaddr_un address = { .sun_family = AF_UNIX };
      int fd = socket (AF_UNIX, SOCK_STREAM, 0);
      ssize_t n;

      /* By a relative path: the folders above are not for strangers. */
      g_strlcpy (address.sun_path, ROOK_CONTROL_SOCKET, sizeof address.sun_path);
      if (chdir (run) != 0 || setuid (65534) != 0 || connect (fd, (struct sockaddr *) &address, sizeof address) != 0)
        _exit (1);
      if (send (fd, "nothing\n", 8, MSG_NOSIGNAL) != 8 && errno != EPIPE) /* it may have been told already */
        _exit (2);
      n = read (fd, buffer, sizeof buffer);
      _exit (n > 0 && write (pipe_fds[1], buffer, (size_t) n) == n ? 0 : 3);
    }
  g_assert_no_errno (waitpid (child, &status, 0));
  g_assert_cmpint (status, ==, 0);
  g_assert_cmpint (read (pipe_fds[0], buffer, sizeof buffer - 1), >, 0);
  g_assert_cmpstr (buffer, ==, "error only root and the server's own user may\n");
  close (pipe_fds[0]);
  close (pipe_fds[1]);
}

static void
test_stranger (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  if (getuid () != 0)
    {
      g_test_skip ("only root can be somebody else");
      return;
    }
  rook_log_set_level (rook_server_get_log (fixture->server), ROOK_LOG_ERROR);
  serve (fixture, client_stranger);
}

static void
test_second_server (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  RookControl *second;

  rook_log_set_level (rook_server_get_log (fixture->server), ROOK_LOG_ERROR);
  g_assert_null (rook_control_get_problem (fixture->control));
  second = rook_control_new (fixture->server);
  g_assert_nonnull (strstr (rook_control_get_problem (second), "another server answers at"));
  rook_control_free (second);
  g_assert_true (g_file_test (fixture->path, G_FILE_TEST_EXISTS));
}

/* What a crash left behind is taken away. */
static void
test_left_over (void)
{
  Fixture fixture = { 0 };
  g_autofree char *copy = NULL;

  set_up (&fixture, NULL);
  copy = g_strconcat (fixture.path, ".copy", NULL);
  g_assert_no_errno (link (fixture.path, copy));
  rook_control_free (fixture.control);
  g_assert_no_errno (g_rename (copy, fixture.path));
  fixture.server->control = rook_control_new (fixture.server);
  g_assert_null (rook_control_get_problem (fixture.server->control));
  tear_down (&fixture, NULL);
}

/* --- verbs of one's own ---------------------------------------------------------------------------------------------- */

static GVariant *
call_good (Fixture *fixture, const char *line)
{
  g_auto (GStrv) words = g_strsplit (line, " ", -1);
  GVariant *result = NULL;
  g_autofree char *message = NULL;

  if (rookctl_call (fixture->path, 30, (const char *const *) words, NULL, NULL, &result, &message) != ROOKCTL_OK)
    g_error ("%s: %s", line, message);
  return result;
}

static GVariant *
make_section (gpointer data)
{
  return data != NULL ? g_variant_new_string (data) : NULL;
}

static void
client_status (Fixture *fixture)
{
  g_autoptr (GVariant) status = call_good (fixture, "status");
  g_autofree char *text = rookctl_show_text (status);
  const char *value;
  guint64 memory = 0;

  g_assert_true (g_variant_lookup (status, "version", "&s", &value));
  g_assert_cmpstr (value, ==, rook_server_get_version ());
  g_assert_true (g_variant_lookup (status, "memory-bytes", "t", &memory));
  g_assert_cmpuint (memory, >, 1000000);
  g_assert_true (g_variant_lookup (status, "first", "&s", &value));
  g_assert_cmpstr (value, ==, "one");
  g_assert_null (g_variant_lookup_value (status, "second", NULL));
  g_assert_null (g_variant_lookup_value (status, "third", NULL));
  g_assert_nonnull (strstr (text, "\nfirst: one\n"));
  g_assert_nonnull (strstr (text, "\nuptime: "));
  g_assert_nonnull (strstr (text, "\nconnections:\n  smoke: 3\n"));
}

static void
test_status (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  RookMetrics *metrics = rook_server_get_metrics (fixture->server);

  rook_control_add_status (fixture->control, "first", make_section, (gpointer) "one");
  rook_control_add_status (fixture->control, "second", make_section, (gpointer) "two");
  rook_control_add_status (fixture->control, "third", make_section, NULL);
  rook_control_remove_status (fixture->control, "second");
  rook_gauge_set (rook_metrics_gauge (metrics, "net.connections", "protocol", "smoke", "x"), 3);
  serve (fixture, client_status);
}

static void
client_stats (Fixture *fixture)
{
  g_autoptr (GVariant) stats = call_good (fixture, "stats test.");
  g_autoptr (GVariant) description = call_good (fixture, "stats describe");
  g_autofree char *text = rookctl_show_text (stats);
  g_autofree char *described = rookctl_show_text (description);

  g_assert_cmpstr (text, ==,
                   "METRIC         LABEL    OF     COUNT  MEAN  P50  P90  P99  MAX  UNIT\n"
                   "test.commands  command  FETCH      2\n"
                   "test.latency                       1     7    7    7    7    7  us\n");
  g_assert_nonnull (strstr (described, "test.latency"));
  g_assert_nonnull (strstr (described, "How long."));
}

static void
test_stats (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  RookMetrics *metrics = rook_server_get_metrics (fixture->server);

  rook_counter_add (rook_metrics_counter (metrics, "test.commands", "command", "FETCH", "How many."), 2);
  rook_histogram_add (rook_metrics_histogram (metrics, "test.latency", NULL, NULL, "us", "How long."), 7);
  serve (fixture, client_stats);
}

static void
client_log_level (Fixture *fixture)
{
  RookLog *log = rook_server_get_log (fixture->server);

  assert_exchange (fixture, "log level\n", "ok\n'warning'\n");
  assert_exchange (fixture, "log level error\n", "ok\n");
  g_assert_cmpint (rook_log_get_level (log), ==, ROOK_LOG_ERROR);
  assert_exchange (fixture, "log level loud\n", "error a level is one of error, warning, notice, info, debug\n");
}

static void
test_log_level (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  serve (fixture, client_log_level);
}

static void
client_help (Fixture *fixture)
{
  g_autoptr (GVariant) all = call_good (fixture, "help");
  g_autoptr (GVariant) some = call_good (fixture, "help echo");
  g_autofree char *text = rookctl_show_text (some);

  g_assert_cmpuint (g_variant_n_children (all), >, G_N_ELEMENTS (test_verbs));
  g_assert_cmpstr (text, ==,
                   "VERB       ARGUMENTS   HELP\n"
                   "echo       [WORD ...]  Help.\n"
                   "echo loud  WORD        Help.\n");
  assert_exchange (fixture, "help zebra\n", "error unknown verb \"zebra\": see rookctl help\n");
}

static void
test_help (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  serve (fixture, client_help);
}

static void
client_config (Fixture *fixture)
{
  g_autoptr (GVariant) text = call_good (fixture, "config describe log");
  g_autoptr (GVariant) sample = call_good (fixture, "config describe --sample log");

  g_assert_true (g_str_has_prefix (g_variant_get_string (text, NULL), "[log]\n"));
  g_assert_nonnull (strstr (g_variant_get_string (sample, NULL), "\n[log]\n"));
  assert_exchange (fixture, "config describe zebra\n", "error there is no group [zebra]\n");
  assert_exchange (fixture, "config check\n", "error this server's configuration has no file\n");
}

static void
test_config (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  serve (fixture, client_config);
}

/* --- plugins --------------------------------------------------------------------------------------------------------- */

static const RookControlVerb plugin_verb = VERB ("sing", "", 0, 0, run_nothing);
static const RookControlVerb bad_verb = VERB ("Sing Loud", "", 0, 0, run_nothing);
static const RookControlVerb taken_verb = VERB ("status", "", 0, 0, run_nothing);

static gboolean
init_good (RookPlugin *self, RookConfigGroup *config G_GNUC_UNUSED, GError **error)
{
  return rook_plugin_add_control_verb (self, &plugin_verb, NULL, error);
}

static gboolean
init_bad (RookPlugin *self, RookConfigGroup *config G_GNUC_UNUSED, GError **error)
{
  g_autoptr (GError) bad_name = NULL;

  g_assert_false (rook_plugin_add_control_verb (self, &bad_verb, NULL, &bad_name));
  g_assert_error (bad_name, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT);
  return rook_plugin_add_control_verb (self, &taken_verb, NULL, error);
}

#define DESCRIPTOR(n, i)                                                                                               \
  {                                                                                                                    \
    .struct_size = sizeof (RookPluginDescriptor), .abi_major = ROOK_ABI_MAJOR, .abi_minor = ROOK_ABI_MINOR, .name = n, \
    .summary = "A test.", .version = "1", .license = "LGPL-2.1-or-later", .init = i                                    \
  }

static void
client_plugin_there (Fixture *fixture)
{
  assert_exchange (fixture, "sing\n", "ok\n");
}

static void
client_plugin_gone (Fixture *fixture)
{
  assert_exchange (fixture, "sing\n", "error unknown verb \"sing\": see rookctl help\n");
}

static void
test_plugin (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  static const RookPluginDescriptor good = DESCRIPTOR ("good", init_good), bad = DESCRIPTOR ("bad", init_bad);
  g_autoptr (GError) error = NULL;
  RookPlugins *plugins = rook_server_get_plugins (fixture->server);
  RookPlugin *plugin = rook_plugins_add_static (plugins, &good, NULL, &error);

  g_assert_no_error (error);
  serve (fixture, client_plugin_there);
  g_assert_true (rook_plugins_remove_static (plugins, plugin, 1000));
  serve (fixture, client_plugin_gone);
  rook_log_set_level (rook_server_get_log (fixture->server), ROOK_LOG_ERROR);
  g_assert_null (rook_plugins_add_static (plugins, &bad, NULL, &error));
  g_assert_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/control/request/shell-quoted-words", test_request);
#define SERVER(path, func) g_test_add (path, Fixture, NULL, set_up, func, tear_down)
  SERVER ("/control/protocol/progress-then-ok-or-error", test_answers);
  SERVER ("/control/protocol/verb-with-most-words-and-usage", test_verbs_match);
  SERVER ("/control/protocol/bad-requests-get-a-clear-error", test_bad_requests);
  SERVER ("/control/protocol/large-results", test_big);
  g_test_add ("/control/log/verbs-alone", Fixture, "[log]\ntarget=file\nfile=@SCRATCH@/log\nlevel=debug\n", set_up,
              test_logged_by_verb_alone, tear_down);
  SERVER ("/control/limits/64-kib-of-request", test_long_request);
  SERVER ("/control/limits/64-clients", test_many);
  SERVER ("/control/limits/without-descriptors-clients-wait-and-nothing-spins", test_no_descriptors);
  SERVER ("/control/client/that-goes-away-cancels-its-call", test_leaves);
  SERVER ("/control/socket/mode-0600", test_mode);
  SERVER ("/control/socket/refuses-strangers-by-peer-credentials", test_stranger);
  SERVER ("/control/socket/another-server-is-not-pushed-aside", test_second_server);
  g_test_add_func ("/control/socket/left-over-is-replaced", test_left_over);
  SERVER ("/control/verb/status-with-sections", test_status);
  SERVER ("/control/verb/stats", test_stats);
  SERVER ("/control/verb/log-level", test_log_level);
  SERVER ("/control/verb/help-lists-verbs", test_help);
  SERVER ("/control/verb/config-describe-and-check", test_config);
  SERVER ("/control/plugin/adds-verbs-for-as-long-as-it-is-there", test_plugin);
  return g_test_run ();
}
