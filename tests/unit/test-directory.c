/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The directory: the local answer, a plugin's, and what the service checks at the border.
 */
#include "daemon/server-private.h"
#include "directory/directory-private.h"

/* What came back. */
typedef struct {
  guint n_answers;
  gboolean local;
  char *server;
  char *partition;
  gint code; /* of the error; -1: none */
  gpointer token;
} Answer;

static void
answer_clear (Answer *answer)
{
  g_free (answer->server);
  g_free (answer->partition);
  *answer = (Answer){ .code = -1 };
}

static void
located (const RookLocation *location, const GError *error, gpointer data)
{
  Answer *answer = data;

  g_assert_true ((location == NULL) == (error != NULL));
  g_assert_nonnull (rook_worker_current ());
  answer->n_answers++;
  answer->code = error != NULL ? error->code : -1;
  if (location == NULL)
    return;
  answer->local = location->local;
  answer->server = g_strdup (location->server);
  answer->partition = g_strdup (location->partition);
}

static void
prepared (gpointer token, const GError *error, gpointer data)
{
  Answer *answer = data;

  g_assert_true ((token == NULL) == (error != NULL));
  answer->n_answers++;
  answer->code = error != NULL ? error->code : -1;
  answer->token = token;
}

static void
committed (const GError *error, gpointer data)
{
  Answer *answer = data;

  answer->n_answers++;
  answer->code = error != NULL ? error->code : -1;
}

static void
settle (Answer *answer)
{
  gint64 end_us = g_get_monotonic_time () + 10 * G_USEC_PER_SEC;

  g_assert_cmpuint (answer->n_answers, ==, 0); /* never before the call returned */
  while (answer->n_answers == 0 && g_get_monotonic_time () < end_us)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (answer->n_answers, ==, 1);
}

static void
test_local (void)
{
  RookServer *server = rook_server_new_for_test (NULL);
  RookDirectoryService *service = rook_server_get_directory (server);
  RookChange change = { .struct_size = sizeof change, .kind = ROOK_CHANGE_CREATE, .name = "user/alice" };
  Answer answer = { .code = -1 };

  g_assert_cmpstr (rook_directory_get_name (service), ==, "local");
  rook_directory_locate (service, "user/alice", located, &answer);
  settle (&answer);
  g_assert_true (answer.local);
  g_assert_null (answer.server);
  answer_clear (&answer);
  rook_directory_prepare (service, &change, prepared, &answer);
  settle (&answer);
  g_assert_nonnull (answer.token);
  answer.n_answers = 0;
  rook_directory_commit (service, answer.token, committed, &answer);
  settle (&answer);
  g_assert_cmpint (answer.code, ==, -1);
  answer_clear (&answer);
  rook_directory_prepare (service, &change, prepared, &answer);
  settle (&answer);
  rook_directory_abort (service, answer.token);
  rook_server_free_for_test (server);
}

/* --- a plugin's ----------------------------------------------------------------------------------------------------- */

typedef struct {
  guint n_commits, n_aborts;
  gboolean refuse;
} Elsewhere;

static Elsewhere elsewhere; /* of the test's plugin */

static void
elsewhere_locate (G_GNUC_UNUSED gpointer self, const char *name, RookLocateCallback callback, gpointer data)
{
  RookLocation there = { .server = "backend1", .partition = "default" };
  g_autoptr (GError) error = NULL;

  if (g_str_equal (name, "nowhere"))
    there.server = NULL; /* neither here nor elsewhere: a broken answer */
  if (g_str_equal (name, "missing"))
    {
      error = g_error_new (ROOK_DIRECTORY_ERROR, ROOK_DIRECTORY_ERROR_NOT_FOUND, "no %s", name);
      callback (NULL, error, data);
    }
  else
    callback (&there, NULL, data);
}

typedef struct {
  RookPrepareCallback callback;
  gpointer data;
} Later;

static void
answer_in_pool (gpointer data)
{
  Later *later = data;
  g_autoptr (GError) error = NULL;

  if (elsewhere.refuse)
    error = g_error_new (ROOK_DIRECTORY_ERROR, ROOK_DIRECTORY_ERROR_CONFLICT, "taken");
  later->callback (NULL, error, later->data);
  g_free (later);
}

static void
elsewhere_prepare (gpointer self, G_GNUC_UNUSED const RookChange *change, RookPrepareCallback callback, gpointer data)
{
  Later *later = g_new (Later, 1);

  *later = (Later){ callback, data };
  g_assert_true (rook_pool_run (rook_server_get_pool (self), 0, answer_in_pool, NULL, later));
}

static void
elsewhere_commit (G_GNUC_UNUSED gpointer self, G_GNUC_UNUSED gpointer token, RookCommitCallback callback, gpointer data)
{
  elsewhere.n_commits++;
  callback (NULL, data);
}

static void
elsewhere_abort (G_GNUC_UNUSED gpointer self, G_GNUC_UNUSED gpointer token)
{
  elsewhere.n_aborts++;
}

static const RookDirectory elsewhere_directory = {
  .struct_size = sizeof (RookDirectory),
  .name = "elsewhere",
  .locate = elsewhere_locate,
  .prepare = elsewhere_prepare,
  .commit = elsewhere_commit,
  .abort = elsewhere_abort,
};

static gboolean
elsewhere_init (RookPlugin *self, G_GNUC_UNUSED RookConfigGroup *config, GError **error)
{
  RookServer *server = rook_plugin_get_server (self);
  RookDirectory broken = elsewhere_directory;
  g_autoptr (GError) refused = NULL;

  broken.commit = NULL;
  g_assert_false (rook_plugin_add_directory (self, &broken, server, &refused));
  g_assert_error (refused, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT);
  g_clear_error (&refused);
  if (!rook_plugin_add_directory (self, &elsewhere_directory, server, error))
    return FALSE;
  g_assert_false (rook_plugin_add_directory (self, &elsewhere_directory, server, &refused)); /* there is but one */
  g_assert_error (refused, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT);
  return TRUE;
}

static const RookPluginDescriptor elsewhere_plugin = {
  .struct_size = sizeof (RookPluginDescriptor),
  .abi_major = ROOK_ABI_MAJOR,
  .abi_minor = ROOK_ABI_MINOR,
  .name = "elsewhere",
  .summary = "a directory that knows another server",
  .version = "1",
  .license = "LGPL-2.1-or-later",
  .init = elsewhere_init,
};

static void
test_plugin (void)
{
  RookServer *server = rook_server_new_for_test (NULL);
  RookDirectoryService *service = rook_server_get_directory (server);
  RookChange change = { .struct_size = sizeof change, .kind = ROOK_CHANGE_DELETE, .name = "user/alice" };
  g_autoptr (GError) error = NULL;
  RookPlugin *plugin = rook_plugins_add_static (rook_server_get_plugins (server), &elsewhere_plugin, NULL, &error);
  Answer answer = { .code = -1 };

  g_assert_no_error (error);
  elsewhere = (Elsewhere){ 0 };
  g_assert_cmpstr (rook_directory_get_name (service), ==, "elsewhere");
  rook_directory_locate (service, "user/alice", located, &answer);
  settle (&answer);
  g_assert_cmpstr (answer.server, ==, "backend1");
  g_assert_cmpstr (answer.partition, ==, "default");
  answer_clear (&answer);
  rook_directory_locate (service, "missing", located, &answer);
  settle (&answer);
  g_assert_cmpint (answer.code, ==, ROOK_DIRECTORY_ERROR_NOT_FOUND);
  answer_clear (&answer);
  rook_directory_locate (service, "nowhere", located, &answer);
  settle (&answer);
  g_assert_cmpint (answer.code, ==, ROOK_DIRECTORY_ERROR_UNAVAILABLE);
  answer_clear (&answer);
  elsewhere.refuse = TRUE;
  rook_directory_prepare (service, &change, prepared, &answer);
  settle (&answer);
  g_assert_cmpint (answer.code, ==, ROOK_DIRECTORY_ERROR_CONFLICT);
  answer_clear (&answer);
  elsewhere.refuse = FALSE;
  rook_directory_prepare (service, &change, prepared, &answer);
  settle (&answer);
  rook_directory_abort (service, answer.token);
  g_assert_cmpuint (elsewhere.n_aborts, ==, 1);
  answer_clear (&answer);
  rook_directory_prepare (service, &change, prepared, &answer);
  settle (&answer);
  answer.n_answers = 0;
  rook_directory_commit (service, answer.token, committed, &answer);
  settle (&answer);
  g_assert_cmpuint (elsewhere.n_commits, ==, 1);
  answer_clear (&answer);
  g_assert_true (rook_plugins_remove_static (rook_server_get_plugins (server), plugin, 1000));
  g_assert_cmpstr (rook_directory_get_name (service), ==, "local"); /* taken back when the plugin goes */
  rook_server_free_for_test (server);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/directory/local/says-here-and-agrees", test_local);
  g_test_add_func ("/directory/plugin/takes-over-and-its-answers-are-checked", test_plugin);
  return g_test_run ();
}
