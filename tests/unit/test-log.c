/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The log: what a line looks like, that nobody can forge one, what happens when there is no room, where lines go.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "daemon/server-private.h"
#include "log/log-private.h"

/* --- records ------------------------------------------------------------------------------------------------------ */

static char *
line_of (const char *value)
{
  g_autoptr (RookLogRecord) record = rook_log_record_new (ROOK_LOG_INFO, "test.event");
  GString *line = g_string_new (NULL);

  rook_log_record_add (record, "key", value);
  rook_log_record_append_text (record, line);
  return g_string_free (line, FALSE);
}

static void
assert_value (const char *value, const char *expected)
{
  g_autofree char *line = line_of (value);
  g_autofree char *whole = g_strconcat ("test.event key=", expected, NULL);

  g_assert_cmpstr (line, ==, whole);
}

static void
test_line (void)
{
  g_autoptr (RookLogRecord) record = rook_log_record_new (ROOK_LOG_WARNING, "imap.login");
  g_autoptr (GString) line = g_string_new (NULL);

  record->time_us = G_GINT64_CONSTANT (1136214245006789);
  rook_log_record_add (record, "user", "anna");
  rook_log_record_add (record, "tls-version", "TLSv1.3");
  rook_log_record_add (record, "none", NULL);
  rook_log_record_append_line (record, line);
  g_assert_cmpstr (line->str, ==, "2006-01-02T15:04:05.006Z warning imap.login user=anna tls-version=TLSv1.3\n");
}

static void
test_escaping (void)
{
  assert_value ("a=b/c@d[1]", "a=b/c@d[1]");
  assert_value ("M\xc3\xbcller", "M\xc3\xbcller");
  assert_value ("", "\"\"");
  assert_value ("a b", "\"a b\"");
  assert_value ("a\"b\\c", "\"a\\\"b\\\\c\"");
  assert_value ("a\n2024 error forged", "\"a\\n2024 error forged\"");
  assert_value ("\r\t\x1b[2J\x7f", "\"\\r\\t\\x1b[2J\\x7f\"");
  assert_value ("\xff"
                "a",
                "\"\\xffa\"");
  assert_value ("a\xe2\x80\xae"
                "b",
                "\"a\\u{202e}b\"");
  assert_value ("a\xc2\xa0"
                "b",
                "\"a\xc2\xa0"
                "b\"");
  assert_value ("a\xe2\x80\xa8"
                "b",
                "\"a\\u{2028}b\"");
}

static void
test_long_value (void)
{
  g_autofree char *value = g_strnfill (10000, 'x');
  g_autofree char *line = line_of (value);
  g_autofree char *umlauts = g_strnfill (ROOK_LOG_VALUE_MAX + 1, 'x');
  g_autofree char *cut = NULL;

  g_assert_cmpuint (strlen (line), ==, strlen ("test.event key=...") + ROOK_LOG_VALUE_MAX);
  memcpy (umlauts + ROOK_LOG_VALUE_MAX - 1, "\xc3\xbc", 2);
  cut = line_of (umlauts);
  g_assert_true (g_utf8_validate (cut, -1, NULL));
  g_assert_null (strchr (cut, '"'));
}

static void
test_secrets (void)
{
  g_autoptr (RookLogRecord) record = rook_log_record_new (ROOK_LOG_INFO, "x");
  g_autoptr (GString) line = g_string_new (NULL);

  rook_log_record_add (record, "password", "hunter2");
  rook_log_record_append_line (record, line);
  g_assert_null (strstr (line->str, "hunter2"));
}

static void
test_fields (void)
{
  g_autoptr (RookLogRecord) record = rook_log_record_new (ROOK_LOG_NOTICE, "imap.login");
  g_autoptr (GPtrArray) fields = NULL;
  static const char *const expected[] = { "MESSAGE=imap.login user=\"a b\" tls-version=1",
                                          "PRIORITY=5",
                                          "SYSLOG_IDENTIFIER=rookeryd",
                                          "ROOKERY_EVENT=imap.login",
                                          "ROOKERY_USER=a b",
                                          "ROOKERY_TLS_VERSION=1" };

  rook_log_record_add (record, "user", "a b");
  rook_log_record_add (record, "tls-version", "1");
  fields = rook_log_record_to_fields (record);
  g_assert_cmpuint (fields->len, ==, G_N_ELEMENTS (expected));
  for (guint i = 0; i < fields->len; i++)
    g_assert_cmpstr (((GString *) fields->pdata[i])->str, ==, expected[i]);
}

static void
test_level_names (void)
{
  for (RookLogLevel level = ROOK_LOG_ERROR; level <= ROOK_LOG_DEBUG; level++)
    {
      RookLogLevel again;

      g_assert_true (rook_log_level_from_name (rook_log_level_get_name (level), &again));
      g_assert_cmpint (level, ==, again);
    }
  g_assert_false (rook_log_level_from_name ("verbose", NULL));
}

/* --- the service -------------------------------------------------------------------------------------------------- */

typedef struct {
  RookServer *server;
  RookLog *log;
  char *path;
} Fixture;

#define TO_FILE "[log]\ntarget=file\nfile=@SCRATCH@/log\nlevel=info\n"

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->server = rook_server_new_for_test (data != NULL ? data : TO_FILE);
  fixture->log = rook_server_get_log (fixture->server);
  fixture->path = g_build_filename (fixture->server->scratch, "log", NULL);
}

static void
tear_down (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  rook_server_free_for_test (fixture->server);
  g_free (fixture->path);
}

/* What the file holds, without the times. */
static char *
contents (Fixture *fixture, const char *path)
{
  g_autofree char *text = NULL;
  g_autoptr (GString) out = g_string_new (NULL);
  g_auto (GStrv) lines = NULL;

  rook_log_flush (fixture->log);
  if (!g_file_get_contents (path, &text, NULL, NULL))
    return g_strdup ("(no file)");
  lines = g_strsplit (text, "\n", -1);
  for (gsize i = 0; lines[i] != NULL; i++)
    if (*lines[i] != '\0')
      g_string_append_printf (out, "%s\n", strchr (lines[i], ' ') + 1);
  return g_string_free (g_steal_pointer (&out), FALSE);
}

static void
assert_contents (Fixture *fixture, const char *expected)
{
  g_autofree char *text = contents (fixture, fixture->path);

  g_assert_cmpstr (text, ==, expected);
}

static void
test_event (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  struct stat info;

  rook_log_event (fixture->log, ROOK_LOG_INFO, "a.b", "x", "1", "left-out", NULL, "y", "2 3", NULL);
  rook_log_message (fixture->log, ROOK_LOG_ERROR, "c.d", "%d bottles", 7);
  rook_log_event (fixture->log, ROOK_LOG_DEBUG, "not.written", NULL);
  assert_contents (fixture, "info a.b x=1 y=\"2 3\"\nerror c.d message=\"7 bottles\"\n");
  g_assert_no_errno (stat (fixture->path, &info));
  g_assert_cmpuint (info.st_mode & 07777, ==, 0640);
}

static void
test_enabled (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_true (rook_log_enabled (fixture->log, ROOK_LOG_INFO));
  g_assert_false (rook_log_enabled (fixture->log, ROOK_LOG_DEBUG));
  rook_log_set_level (fixture->log, ROOK_LOG_DEBUG);
  g_assert_true (rook_log_enabled (fixture->log, ROOK_LOG_DEBUG));
  rook_log_set_level (fixture->log, ROOK_LOG_ERROR);
  g_assert_true (rook_log_enabled (fixture->log, ROOK_LOG_ERROR));
  g_assert_false (rook_log_enabled (fixture->log, ROOK_LOG_WARNING));
}

static void
test_reopen (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (RookConfig) config = rook_server_get_config (fixture->server);
  g_autofree char *rotated = g_strconcat (fixture->path, ".1", NULL);
  g_autofree char *old = NULL;

  rook_log_event (fixture->log, ROOK_LOG_INFO, "one", NULL);
  assert_contents (fixture, "info one\n");
  g_assert_no_errno (g_rename (fixture->path, rotated));
  rook_log_reconfigure (fixture->log, config);
  rook_log_event (fixture->log, ROOK_LOG_INFO, "two", NULL);
  assert_contents (fixture, "info two\n");
  old = contents (fixture, rotated);
  g_assert_cmpstr (old, ==, "info one\n");
}

static guint64
count_told (const char *text)
{
  static const char words[] = "warning log.dropped lines=";
  guint64 n = 0;

  /* Only whole lines: a number may be cut. */
  for (; (text = strstr (text, words)) != NULL && strchr (text, '\n') != NULL; text++)
    n += g_ascii_strtoull (text + strlen (words), NULL, 10);
  return n;
}

static guint64
count_floods (const char *text)
{
  guint64 n = 0;

  for (; (text = strstr (text, "info flood x=")) != NULL && strchr (text, '\n') != NULL; text++)
    n++;
  return n;
}

/* The thread is held up by a pipe that nobody reads. */
static void
test_full_queue (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *text G_GNUC_UNUSED = NULL;
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = NULL;
  g_autofree char *setting = g_strdup_printf ("[log]\ntarget=stderr\nqueue=100\nlevel=info\n");
  g_autofree char *filler = g_strnfill (4000, 'x');
  GString *read_back = g_string_new (NULL);
  char buffer[65536];
  int pipe_fds[2], saved = dup (STDERR_FILENO);
  guint64 lost;
  ssize_t n;

  config = rook_config_read_data ("x", setting, strlen (setting), &mistakes);
  rook_services_declare (config);
  rook_log_reconfigure (fixture->log, config);
  g_assert_no_errno (pipe (pipe_fds));
  g_assert_no_errno (dup2 (pipe_fds[1], STDERR_FILENO));
  close (pipe_fds[1]);
  for (guint i = 0; i < 1000; i++)
    rook_log_event (fixture->log, ROOK_LOG_INFO, "flood", "x", filler, NULL);
  lost = rook_log_get_dropped (fixture->log);
  g_assert_cmpuint (lost, >=, 500); /* the pipe's 64 KiB, one batch in hand, 100 in the queue: the rest is dropped */
  g_assert_cmpuint (lost, <, 1000);
  /* To the last line: the thread may still be held up by the pipe when all that was lost has been told. */
  while (count_told (read_back->str) < lost || count_floods (read_back->str) < 1000 - lost)
    {
      n = read (pipe_fds[0], buffer, sizeof buffer);
      g_assert_cmpint (n, >, 0);
      g_string_append_len (read_back, buffer, n);
    }
  rook_log_flush (fixture->log);
  g_assert_no_errno (dup2 (saved, STDERR_FILENO));
  close (saved);
  close (pipe_fds[0]);
  g_assert_cmpuint (count_told (read_back->str), ==, lost);
  g_string_free (read_back, TRUE);
}

static void
test_file_fails (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (RookConfig) config G_GNUC_UNUSED = rook_server_get_config (fixture->server);
  g_autofree char *captured = g_build_filename (fixture->server->scratch, "stderr", NULL);
  g_autofree char *text = NULL, *recovered = NULL;
  int saved = dup (STDERR_FILENO);

  rook_log_flush (fixture->log);
  g_assert_no_errno (g_mkdir (fixture->path, 0700)); /* a folder where the file should be */
  g_assert_nonnull (freopen (captured, "w", stderr));
  for (guint i = 0; i < 3; i++)
    {
      rook_log_event (fixture->log, ROOK_LOG_ERROR, "bad.news", NULL);
      rook_log_flush (fixture->log); /* each is a write of its own */
    }
  text = contents (fixture, captured);
  g_assert_true (g_str_has_prefix (text, "error log.file-failed path=")); /* once, and then what the file lacks */
  g_assert_true (g_str_has_suffix (text, "directory\"\nerror bad.news\nerror bad.news\nerror bad.news\n"));
  g_assert_null (strstr (strstr (text, "log.file-failed") + 1, "log.file-failed"));
  /* Room comes back. */
  g_assert_no_errno (g_rmdir (fixture->path));
  rook_log_event (fixture->log, ROOK_LOG_ERROR, "good.news", NULL);
  rook_log_flush (fixture->log);
  g_assert_no_errno (dup2 (saved, STDERR_FILENO));
  close (saved);
  recovered = g_strdup_printf ("warning log.file-recovered path=%s lines=3 message=\"so many lines went to standard "
                               "error\"\nerror good.news\n",
                               fixture->path);
  assert_contents (fixture, recovered);
}

/* --- many threads ------------------------------------------------------------------------------------------------- */

static void *
chatter (void *data)
{
  for (guint i = 0; i < 500; i++)
    rook_log_event (data, ROOK_LOG_INFO, "chatter", "text", "a b", NULL);
  return NULL;
}

static void
test_threads (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  pthread_t threads[4];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_assert_cmpint (pthread_create (&threads[i], NULL, chatter, fixture->log), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    pthread_join (threads[i], NULL);
  text = contents (fixture, fixture->path);
  lines = g_strsplit (text, "\n", -1);
  g_assert_cmpuint (g_strv_length (lines), ==, 2001);
  for (guint i = 0; i < 2000; i++)
    g_assert_cmpstr (lines[i], ==, "info chatter text=\"a b\"");
}

/* --- settings ----------------------------------------------------------------------------------------------------- */

static guint
count_mistakes (const char *text)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = rook_config_read_data ("x", text, strlen (text), &mistakes);

  rook_services_declare (config);
  rook_config_validate (config, mistakes);
  rook_log_check (config, mistakes);
  return mistakes->len;
}

static void
test_check (void)
{
  g_assert_cmpuint (count_mistakes (""), ==, 0);
  g_assert_cmpuint (count_mistakes ("[log]\ntarget=file\n"), ==, 1);
  g_assert_cmpuint (count_mistakes ("[log]\ntarget=file\nfile=/nowhere/at/all.log\n"), ==, 1);
  g_assert_cmpuint (count_mistakes ("[log]\ntarget=file\nfile=/tmp\n"), ==, 1);
  g_assert_cmpuint (count_mistakes ("[log]\ntarget=file\nfile=/tmp/x.log\n"), ==, 0);
  g_assert_cmpuint (count_mistakes ("[log]\nlevel=loud\n"), ==, 1);
}

static void
test_journal_stream (void)
{
  struct stat info;
  g_autofree char *right = NULL;

  g_assert_no_errno (fstat (STDERR_FILENO, &info));
  right = g_strdup_printf ("%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT, (guint64) info.st_dev, (guint64) info.st_ino);
  g_unsetenv ("JOURNAL_STREAM");
  g_assert_false (rook_log_stderr_is_journal ());
  g_setenv ("JOURNAL_STREAM", right, TRUE);
  g_assert_true (rook_log_stderr_is_journal ());
  g_setenv ("JOURNAL_STREAM", "1:2", TRUE);
  g_assert_false (rook_log_stderr_is_journal ());
  g_setenv ("JOURNAL_STREAM", "rubbish", TRUE);
  g_assert_false (rook_log_stderr_is_journal ());
  g_unsetenv ("JOURNAL_STREAM");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/log/line/time-level-event-fields-and-null-is-left-out", test_line);
  g_test_add_func ("/log/line/values-are-escaped-so-that-nobody-can-forge-one", test_escaping);
  g_test_add_func ("/log/line/long-values-are-cut", test_long_value);
  g_test_add_func ("/log/line/never-a-password", test_secrets);
  g_test_add_func ("/log/journal/fields", test_fields);
  g_test_add_func ("/log/journal/only-if-standard-error-is-its", test_journal_stream);
  g_test_add_func ("/log/level/names", test_level_names);
  g_test_add_func ("/log/settings/are-checked", test_check);
#define SERVER(path, func) g_test_add (path, Fixture, NULL, set_up, func, tear_down)
  SERVER ("/log/service/event-and-message", test_event);
  SERVER ("/log/service/enabled", test_enabled);
  SERVER ("/log/service/file-is-opened-anew-at-reload", test_reopen);
  SERVER ("/log/service/full-queue-drops-counts-and-tells", test_full_queue);
  SERVER ("/log/service/what-cannot-go-to-its-file-goes-to-stderr", test_file_fails);
  SERVER ("/log/service/any-thread", test_threads);
  return g_test_run ();
}
