/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The administrator's side of sasldb, held against the real saslpasswd2 and sasldblistusers2, and what logins see of a
 * file that is changed, missing or broken.
 */
#include "auth-fixture.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SASLDB "backend=sasldb\nsasldb-path=@SCRATCH@/sasldb2\nfailure-delay=0\n"

static gboolean
change (AuthFixture *fixture, RookSasldbChange what, const char *user, const char *password, GError **error)
{
  g_autoptr (RookAuthSettings) settings = rook_auth_get_settings (fixture->auth);

  return rook_sasldb_change (settings, what, user, password, error);
}

static void
expect_change (AuthFixture *fixture, RookSasldbChange what, const char *user, const char *password)
{
  g_autoptr (GError) error = NULL;

  change (fixture, what, user, password, &error);
  g_assert_no_error (error);
}

static void
expect_refusal (AuthFixture *fixture, RookSasldbChange what, const char *user, const char *password, int code)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (change (fixture, what, user, password, &error));
  g_assert_error (error, ROOK_AUTH_ERROR, code);
}

static void
expect_list (AuthFixture *fixture, const char *wanted)
{
  g_autoptr (RookAuthSettings) settings = rook_auth_get_settings (fixture->auth);
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) list = rook_sasldb_list (settings, settings->sasldb_path, &error);
  g_autofree char *joined = NULL;

  g_assert_no_error (error);
  joined = g_strjoinv (" ", list);
  g_assert_cmpstr (joined, ==, wanted);
}

static void
expect_login (AuthFixture *fixture, const char *user, const char *password, int code)
{
  g_auto (Answer) answer = { 0 };
  g_autofree char *canonical = g_ascii_strdown (user, -1);

  auth_fixture_login (fixture, PEER_TLS, user, password, NULL, &answer);
  if (code < 0)
    assert_user (&answer, canonical);
  else
    assert_failed (&answer, code);
}

/* Nothing is left lying about beside the file. */
static void
expect_tidy (AuthFixture *fixture)
{
  g_autoptr (GDir) dir = g_dir_open (fixture->scratch, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir)) != NULL)
    g_assert_cmpstr (name, ==, "sasldb2");
}

static char *
list_by_tool (AuthFixture *fixture)
{
  g_autofree char *path = g_build_filename (fixture->scratch, "sasldb2", NULL);
  const char *argv[] = { "/usr/sbin/sasldblistusers2", "-f", path, NULL };
  char *output = NULL;
  int status;

  g_assert_true (g_spawn_sync (NULL, (char **) argv, NULL, 0, NULL, NULL, &output, NULL, &status, NULL));
  g_assert_cmpint (status, ==, 0);
  return output;
}

static void
test_life_of_a_user (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SASLDB);
  g_autofree char *listed = NULL;

  expect_list (fixture, "");
  expect_change (fixture, ROOK_SASLDB_ADD, "alice", "wonder");
  expect_change (fixture, ROOK_SASLDB_ADD, "Bob", "builder");
  expect_list (fixture, "alice bob");
  expect_login (fixture, "alice", "wonder", -1);
  expect_change (fixture, ROOK_SASLDB_PASSWORD, "alice", "land");
  expect_login (fixture, "alice", "land", -1);
  expect_login (fixture, "alice", "wonder", ROOK_AUTH_ERROR_FAILED);
  listed = list_by_tool (fixture);
  g_assert_nonnull (strstr (listed, "alice@mail.example.org: userPassword"));
  expect_change (fixture, ROOK_SASLDB_DELETE, "alice", NULL);
  expect_login (fixture, "alice", "land", ROOK_AUTH_ERROR_FAILED);
  expect_login (fixture, "Bob", "builder", -1);
  expect_list (fixture, "bob");
  expect_tidy (fixture);
}

static void
test_mistakes (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SASLDB);
  g_autofree char *too_long = g_strnfill (1025, 'x');

  expect_refusal (fixture, ROOK_SASLDB_PASSWORD, "alice", "wonder", ROOK_AUTH_ERROR_FAILED);
  expect_refusal (fixture, ROOK_SASLDB_DELETE, "alice", NULL, ROOK_AUTH_ERROR_FAILED);
  expect_change (fixture, ROOK_SASLDB_ADD, "alice", "wonder");
  expect_refusal (fixture, ROOK_SASLDB_ADD, "alice", "other", ROOK_AUTH_ERROR_FAILED);
  expect_refusal (fixture, ROOK_SASLDB_ADD, "a/b", "other", ROOK_AUTH_ERROR_FAILED);
  expect_refusal (fixture, ROOK_SASLDB_ADD, "bob@elsewhere.example", "other", ROOK_AUTH_ERROR_FAILED);
  expect_refusal (fixture, ROOK_SASLDB_ADD, "bob", "", ROOK_AUTH_ERROR_WEAK);
  expect_refusal (fixture, ROOK_SASLDB_ADD, "bob", too_long, ROOK_AUTH_ERROR_WEAK);
  expect_login (fixture, "alice", "wonder", -1);
  expect_tidy (fixture);
}

static void
test_tools_agree (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SASLDB "virtual-domains=yes\n");

  auth_fixture_add_user (fixture, "mail.example.org", "alice", "wonder");
  auth_fixture_add_user (fixture, "two.example", "alice", "other");
  expect_list (fixture, "alice alice@two.example");
  expect_login (fixture, "alice@two.example", "other", -1);
  expect_change (fixture, ROOK_SASLDB_PASSWORD, "alice@two.example", "new");
  expect_login (fixture, "alice@two.example", "new", -1);
  expect_login (fixture, "alice", "wonder", -1);
  auth_fixture_add_user (fixture, "mail.example.org", "carol", "singer");
  expect_login (fixture, "carol", "singer", -1);
  expect_change (fixture, ROOK_SASLDB_DELETE, "alice@two.example", NULL);
  expect_list (fixture, "alice carol");
}

/* Who may log in under one name has one password, whatever saslpasswd2 left. */
static void
test_one_password_a_person (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SASLDB);

  expect_change (fixture, ROOK_SASLDB_ADD, "alice", "wonder");
  expect_refusal (fixture, ROOK_SASLDB_ADD, "Alice", "other", ROOK_AUTH_ERROR_FAILED);
  expect_refusal (fixture, ROOK_SASLDB_ADD, "ALICE@MAIL.example.org", "other", ROOK_AUTH_ERROR_FAILED);
  expect_list (fixture, "alice");
  expect_change (fixture, ROOK_SASLDB_ADD, "J\xc3\x96RG", "wonder");
  expect_refusal (fixture, ROOK_SASLDB_ADD, "j\xc3\xb6rg", "other", ROOK_AUTH_ERROR_FAILED);
  auth_fixture_add_user (fixture, "mail.example.org", "Alice", "other");
  expect_login (fixture, "Alice", "other", -1);
  expect_change (fixture, ROOK_SASLDB_PASSWORD, "ALICE", "land");
  expect_login (fixture, "Alice", "other", ROOK_AUTH_ERROR_FAILED);
  expect_login (fixture, "Alice", "land", -1);
  expect_login (fixture, "alice", "land", -1);
  expect_change (fixture, ROOK_SASLDB_DELETE, "alice", NULL);
  expect_login (fixture, "Alice", "land", ROOK_AUTH_ERROR_FAILED);
  expect_list (fixture, "j\xc3\xb6rg");
  expect_login (fixture, "J\xc3\xb6RG", "wonder", -1);
}

static void
test_two_people (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SASLDB "lower-case=no\n");

  expect_change (fixture, ROOK_SASLDB_ADD, "alice", "wonder");
  expect_change (fixture, ROOK_SASLDB_ADD, "Alice", "other");
  expect_refusal (fixture, ROOK_SASLDB_DELETE, "ALICE", NULL, ROOK_AUTH_ERROR_FAILED);
  expect_change (fixture, ROOK_SASLDB_DELETE, "Alice", NULL);
  expect_list (fixture, "alice");
}

static void
expect_no_list (AuthFixture *fixture, const char *path)
{
  g_autoptr (RookAuthSettings) settings = rook_auth_get_settings (fixture->auth);
  g_autoptr (GError) error = NULL;

  g_assert_null (rook_sasldb_list (settings, path, &error));
  g_assert_error (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_UNAVAILABLE);
}

/* Whoever opens a FIFO waits: neither is it listed, nor copied, nor read at a login. */
static void
test_no_file (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SASLDB);
  g_autofree char *path = g_build_filename (fixture->scratch, "sasldb2", NULL);

  g_assert_no_errno (mkfifo (path, 0600));
  expect_no_list (fixture, path);
  expect_no_list (fixture, fixture->scratch);
  expect_refusal (fixture, ROOK_SASLDB_ADD, "alice", "wonder", ROOK_AUTH_ERROR_UNAVAILABLE);
  expect_login (fixture, "alice", "wonder", ROOK_AUTH_ERROR_UNAVAILABLE);
  expect_tidy (fixture);
}

static void
test_tool_hangs (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SASLDB);
  g_autofree char *tool = g_build_filename (fixture->scratch, "sasldblistusers2", NULL);
  g_autofree char *note = g_build_filename (fixture->scratch, "pid", NULL);
  g_autofree char *script =
      g_strdup_printf ("#!/bin/sh\necho $$ >%s.new; mv %s.new %s; exec sleep 100000\n", note, note, note);
  g_autofree char *before = g_strdup (g_getenv ("PATH"));
  g_autofree char *path = g_strconcat (fixture->scratch, ":", before, NULL);
  g_autofree char *pid = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_set_contents_full (tool, script, -1, G_FILE_SET_CONTENTS_NONE, 0700, NULL));
  g_assert_true (g_setenv ("PATH", path, TRUE));
  for (guint deadline_ms = 250; pid == NULL; deadline_ms *= 2)
    {
      g_clear_error (&error);
      g_assert_null (rook_sasldb_run_list (note, deadline_ms, &error));
      g_assert_error (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_UNAVAILABLE);
      g_file_get_contents (note, &pid, NULL, NULL);
    }
  g_assert_true (g_setenv ("PATH", before, TRUE));
  g_assert_cmpint (kill ((pid_t) atoi (pid), 0), ==, -1);
  g_assert_cmpint (errno, ==, ESRCH);
}

static void
test_owner_and_mode_stay (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SASLDB);
  g_autofree char *path = g_build_filename (fixture->scratch, "sasldb2", NULL);
  struct stat before, after;

  expect_change (fixture, ROOK_SASLDB_ADD, "alice", "wonder");
  g_assert_no_errno (stat (path, &before));
  g_assert_cmpint (before.st_mode & 07077, ==, 0);
  g_assert_no_errno (chmod (path, 0640));
  if (geteuid () == 0)
    g_assert_no_errno (chown (path, 65534, 65534));
  g_assert_no_errno (stat (path, &before));
  expect_change (fixture, ROOK_SASLDB_ADD, "bob", "builder");
  g_assert_no_errno (stat (path, &after));
  g_assert_cmpint (before.st_mode, ==, after.st_mode);
  g_assert_cmpint (before.st_uid, ==, after.st_uid);
  g_assert_cmpint (before.st_gid, ==, after.st_gid);
}

static void
test_many_users (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SASLDB);

  for (guint i = 0; i < 100; i++)
    {
      g_autofree char *user = g_strdup_printf ("user%04u", i);

      expect_change (fixture, ROOK_SASLDB_ADD, user, "pass");
    }
  for (guint i = 0; i < 100; i += 7)
    {
      g_autofree char *user = g_strdup_printf ("user%04u", i);

      expect_login (fixture, user, "pass", -1);
    }
}

static void
test_file_missing (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SASLDB);

  expect_login (fixture, "alice", "wonder", ROOK_AUTH_ERROR_UNAVAILABLE);
}

static void
test_file_broken (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SASLDB);
  g_autofree char *path = g_build_filename (fixture->scratch, "sasldb2", NULL);
  g_autofree char *junk = g_strnfill (8192, 'j');

  g_assert_true (g_file_set_contents (path, junk, -1, NULL));
  expect_login (fixture, "alice", "wonder", ROOK_AUTH_ERROR_UNAVAILABLE);
  expect_refusal (fixture, ROOK_SASLDB_ADD, "alice", "wonder", ROOK_AUTH_ERROR_UNAVAILABLE);
  expect_tidy (fixture);
}

static void
test_folder_missing (void)
{
  g_autoptr (AuthFixture) fixture =
      auth_fixture_new ("backend=sasldb\nsasldb-path=@SCRATCH@/no/such/sasldb2\nfailure-delay=0\n");

  expect_refusal (fixture, ROOK_SASLDB_ADD, "alice", "wonder", ROOK_AUTH_ERROR_UNAVAILABLE);
}

/* Readers see the old file or the new, never one in between. */
typedef struct {
  RookAuthSettings *settings;
  gint stop;
} Writer;

static gpointer
write_on (gpointer data)
{
  Writer *writer = data;

  for (guint i = 0; !g_atomic_int_get (&writer->stop); i++)
    {
      g_autofree char *password = g_strdup_printf ("builder%u", i);

      g_assert_true (rook_sasldb_change (writer->settings, ROOK_SASLDB_PASSWORD, "bob", password, NULL));
    }
  return NULL;
}

static void
test_read_while_written (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SASLDB);
  Writer writer = { rook_auth_get_settings (fixture->auth), 0 };
  GThread *thread;

  expect_change (fixture, ROOK_SASLDB_ADD, "alice", "wonder");
  expect_change (fixture, ROOK_SASLDB_ADD, "bob", "builder");
  thread = g_thread_new ("writer", write_on, &writer);
  for (guint i = 0; i < 200; i++)
    expect_login (fixture, "alice", "wonder", -1);
  g_atomic_int_set (&writer.stop, 1);
  g_thread_join (thread);
  rook_auth_settings_unref (writer.settings);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/auth/sasldb/life-of-a-user", test_life_of_a_user);
  g_test_add_func ("/auth/sasldb/mistakes", test_mistakes);
  g_test_add_func ("/auth/sasldb/tools-agree", test_tools_agree);
  g_test_add_func ("/auth/sasldb/one-password-a-person", test_one_password_a_person);
  g_test_add_func ("/auth/sasldb/two-people", test_two_people);
  g_test_add_func ("/auth/sasldb/no-file", test_no_file);
  g_test_add_func ("/auth/sasldb/tool-hangs", test_tool_hangs);
  g_test_add_func ("/auth/sasldb/owner-and-mode-stay", test_owner_and_mode_stay);
  g_test_add_func ("/auth/sasldb/many-users", test_many_users);
  g_test_add_func ("/auth/sasldb/file-missing", test_file_missing);
  g_test_add_func ("/auth/sasldb/file-broken", test_file_broken);
  g_test_add_func ("/auth/sasldb/folder-missing", test_folder_missing);
  g_test_add_func ("/auth/sasldb/read-while-written", test_read_while_written);
  return g_test_run ();
}
