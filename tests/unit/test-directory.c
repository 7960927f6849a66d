/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The directory: a test for each sentence of rookery/directory.h.
 */
#include "daemon/server-private.h"
#include "directory/directory-private.h"

/* --- what came back ------------------------------------------------------------------------------------------------- */

typedef struct {
  guint n_answers;
  gboolean local;
  char *server, *partition, *acl;
  gint code; /* of the error, which is of the directory's domain; -1: none */
  gpointer token;
} Answer;

static void
answer_clear (Answer *answer)
{
  g_free (answer->server);
  g_free (answer->partition);
  g_free (answer->acl);
  *answer = (Answer){ .code = -1 };
}

static void
note (Answer *answer, const GError *error)
{
  g_assert_nonnull (rook_worker_current ());
  g_assert_true (error == NULL || error->domain == ROOK_DIRECTORY_ERROR);
  answer->n_answers++;
  answer->code = error != NULL ? error->code : -1;
}

static void
located (const RookLocation *location, const GError *error, gpointer data)
{
  Answer *answer = data;

  g_assert_true ((location == NULL) == (error != NULL));
  note (answer, error);
  if (location == NULL)
    return;
  answer->local = location->local;
  answer->server = g_strdup (location->server);
  answer->partition = g_strdup (location->partition);
  answer->acl = g_strdup (location->acl);
}

static void
prepared (gpointer token, const GError *error, gpointer data)
{
  Answer *answer = data;

  g_assert_true ((token == NULL) == (error != NULL));
  note (answer, error);
  answer->token = token;
}

static void
committed (const GError *error, gpointer data)
{
  note (data, error);
}

/* --- a directory of the tests' ------------------------------------------------------------------------------------- */

typedef enum { INSIDE, IN_POOL, IN_THREAD, LATER } Where; /* it answers */

typedef struct {
  RookServer *server;
  Where where;
  GError *refusal; /* (nullable) (owned) what prepare and commit say */
  guint n_prepares, n_commits, n_aborts;
  gpointer last_token;
  RookChange seen; /* of the last prepare, read when it answered */
  char *seen_name;
  /* LATER: what it was asked and has not answered */
  gpointer prepare; /* a Later */
  RookLocateCallback locate;
  RookCommitCallback commit;
  gpointer data;
} Elsewhere;

static Elsewhere elsewhere;

typedef struct {
  RookPrepareCallback callback;
  const RookChange *change;
  gpointer data;
} Later;

static void
say_prepared (gpointer data)
{
  Later *later = data;

  elsewhere.seen = *later->change;
  g_free (elsewhere.seen_name);
  elsewhere.seen_name = g_strdup (later->change->name);
  if (elsewhere.refusal != NULL)
    later->callback (NULL, elsewhere.refusal, later->data);
  else
    later->callback (&elsewhere.n_prepares, NULL, later->data);
  g_free (later);
}

static void *
run_thread (void *data)
{
  say_prepared (data);
  return NULL;
}

static void
elsewhere_prepare (G_GNUC_UNUSED gpointer self, const RookChange *change, RookPrepareCallback callback, gpointer data)
{
  Later *later = g_new (Later, 1);
  pthread_t thread;

  g_assert_nonnull (rook_worker_current ());
  *later = (Later){ callback, change, data };
  elsewhere.n_prepares++;
  if (elsewhere.where == IN_POOL)
    g_assert_true (rook_pool_run (rook_server_get_pool (elsewhere.server), 0, say_prepared, NULL, later));
  else if (elsewhere.where == IN_THREAD)
    {
      g_assert_cmpint (pthread_create (&thread, NULL, run_thread, later), ==, 0);
      pthread_detach (thread);
    }
  else if (elsewhere.where == LATER)
    elsewhere.prepare = later;
  else
    say_prepared (later);
}

/* What it hands over is gone as soon as the callback returns. */
static void
elsewhere_locate (G_GNUC_UNUSED gpointer self, const char *name, RookLocateCallback callback, gpointer data)
{
  char server[] = "backend1", partition[] = "default", acl[] = "alice lrs";
  RookLocation there = { .server = server, .partition = partition, .acl = acl };
  g_autoptr (GError) error = NULL;

  if (elsewhere.where == LATER)
    {
      elsewhere.locate = callback;
      elsewhere.data = data;
      return;
    }
  if (g_str_equal (name, "nowhere"))
    there.server = NULL;
  else if (g_str_equal (name, "both"))
    there.local = TRUE;
  else if (g_str_equal (name, "missing"))
    error = g_error_new (ROOK_DIRECTORY_ERROR, ROOK_DIRECTORY_ERROR_NOT_FOUND, "no %s", name);
  else if (g_str_equal (name, "foreign"))
    error = g_error_new (G_FILE_ERROR, G_FILE_ERROR_NOENT, "no file");
  callback (error == NULL && !g_str_equal (name, "nothing") ? &there : NULL, error, data);
  memset (server, 'x', sizeof server - 1);
  memset (partition, 'x', sizeof partition - 1);
  memset (acl, 'x', sizeof acl - 1);
}

static void
elsewhere_commit (G_GNUC_UNUSED gpointer self, gpointer token, RookCommitCallback callback, gpointer data)
{
  elsewhere.n_commits++;
  elsewhere.last_token = token;
  elsewhere.commit = callback;
  elsewhere.data = data;
  if (elsewhere.where != LATER)
    callback (elsewhere.refusal, data);
}

static void
elsewhere_abort (G_GNUC_UNUSED gpointer self, gpointer token)
{
  elsewhere.n_aborts++;
  elsewhere.last_token = token;
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
elsewhere_init (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  if (!rook_plugin_add_directory (self, &elsewhere_directory, rook_plugin_get_server (self), error))
    return FALSE;
  if (!rook_config_group_get_boolean (config, "fail"))
    return TRUE;
  g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_INIT, "asked to fail");
  return FALSE;
}

static const RookConfigKey elsewhere_keys[] = {
  { .name = "fail", .type = ROOK_CONFIG_BOOLEAN, .default_value = "false", .help = "Whether init fails." },
  { .name = NULL },
};

#define PLUGIN(title)                                                                                       \
  {                                                                                                         \
    .struct_size = sizeof (RookPluginDescriptor), .abi_major = ROOK_ABI_MAJOR, .abi_minor = ROOK_ABI_MINOR, \
    .name = title, .summary = "knows another server", .version = "1", .license = "LGPL-2.1-or-later",       \
    .keys = elsewhere_keys, .init = elsewhere_init,                                                         \
  }
static const RookPluginDescriptor elsewhere_plugin = PLUGIN ("elsewhere"), second_plugin = PLUGIN ("second");

/* --- fixture -------------------------------------------------------------------------------------------------------- */

typedef struct {
  RookServer *server;
  RookDirectoryService *service;
  RookPlugin *plugin; /* (nullable) */
  Answer answer;
} Fixture;

static void
make_server (Fixture *fixture, const char *config)
{
  *fixture = (Fixture){ .server = rook_server_new_for_test (config), .answer = { .code = -1 } };
  fixture->service = rook_server_get_directory (fixture->server);
  elsewhere = (Elsewhere){ .server = fixture->server };
}

static void
set_up_alone (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  make_server (fixture, NULL);
}

static void
add_plugin (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  fixture->plugin =
      rook_plugins_add_static (rook_server_get_plugins (fixture->server), &elsewhere_plugin, NULL, &error);
  g_assert_no_error (error);
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  set_up_alone (fixture, data);
  add_plugin (fixture);
}

static void
set_up_impatient (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  make_server (fixture, "[directory]\nanswer-timeout=1s\n");
  add_plugin (fixture);
}

static void
tear_down (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  answer_clear (&fixture->answer);
  rook_server_free_for_test (fixture->server);
  g_clear_error (&elsewhere.refusal);
  g_clear_pointer (&elsewhere.seen_name, g_free);
}

/* The one answer to what was just asked, which never comes before the call returns. */
static Answer *
settle (Fixture *fixture)
{
  gint64 end_us = g_get_monotonic_time () + 60 * G_USEC_PER_SEC;

  g_assert_cmpuint (fixture->answer.n_answers, ==, 0);
  while (fixture->answer.n_answers == 0 && g_get_monotonic_time () < end_us)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (fixture->answer.n_answers, ==, 1);
  return &fixture->answer;
}

static Answer *
locate (Fixture *fixture, const char *name)
{
  answer_clear (&fixture->answer);
  rook_directory_locate (fixture->service, name, located, &fixture->answer);
  return settle (fixture);
}

static Answer *
prepare (Fixture *fixture)
{
  RookChange change = { .struct_size = sizeof change, .kind = ROOK_CHANGE_DELETE, .name = "user/alice" };

  answer_clear (&fixture->answer);
  rook_directory_prepare (fixture->service, &change, prepared, &fixture->answer);
  return settle (fixture);
}

static Answer *
commit (Fixture *fixture, gpointer token)
{
  answer_clear (&fixture->answer);
  rook_directory_commit (fixture->service, token, committed, &fixture->answer);
  return settle (fixture);
}

static void
refuse_with (GError *error)
{
  g_clear_error (&elsewhere.refusal);
  elsewhere.refusal = error;
}

static void
remove_plugin (Fixture *fixture)
{
  g_assert_true (rook_plugins_remove_static (rook_server_get_plugins (fixture->server), fixture->plugin, 1000));
}

/* --- who answers ---------------------------------------------------------------------------------------------------- */

static void
test_here (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  g_assert_cmpstr (rook_directory_get_name (fixture->service), ==, "local");
  g_assert_true (locate (fixture, "user/alice")->local);
  g_assert_null (fixture->answer.server);
  g_assert_cmpint (commit (fixture, prepare (fixture)->token)->code, ==, -1);
  rook_directory_abort (fixture->service, prepare (fixture)->token);
}

static void
test_take_over (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  g_assert_cmpstr (rook_directory_get_name (fixture->service), ==, "elsewhere");
  locate (fixture, "user/alice");
  g_assert_false (fixture->answer.local);
  g_assert_cmpstr (fixture->answer.server, ==, "backend1");
  g_assert_cmpstr (fixture->answer.partition, ==, "default");
  g_assert_cmpstr (fixture->answer.acl, ==, "alice lrs");
}

static void
test_but_one (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (rook_plugins_add_static (rook_server_get_plugins (fixture->server), &second_plugin, NULL, &error));
  g_assert_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT);
  g_assert_cmpstr (error->message, ==, "directory elsewhere is in force already, and there is but one");
  g_assert_cmpstr (locate (fixture, "user/alice")->server, ==, "backend1");
}

static gboolean
broken_init (RookPlugin *self, G_GNUC_UNUSED RookConfigGroup *config, G_GNUC_UNUSED GError **error)
{
  for (guint i = 0; i < 6; i++)
    {
      RookDirectory broken = elsewhere_directory;
      g_autoptr (GError) refused = NULL;

      broken.struct_size = i == 0 ? sizeof (gsize) : broken.struct_size;
      broken.name = i == 1 ? NULL : broken.name;
      broken.locate = i == 2 ? NULL : broken.locate;
      broken.prepare = i == 3 ? NULL : broken.prepare;
      broken.commit = i == 4 ? NULL : broken.commit;
      broken.abort = i == 5 ? NULL : broken.abort;
      g_assert_false (rook_plugin_add_directory (self, &broken, NULL, &refused));
      g_assert_error (refused, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT);
    }
  return TRUE;
}

static void
test_incomplete (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  RookPluginDescriptor descriptor = elsewhere_plugin;
  g_autoptr (GError) error = NULL;

  descriptor.init = broken_init;
  g_assert_nonnull (rook_plugins_add_static (rook_server_get_plugins (fixture->server), &descriptor, NULL, &error));
  g_assert_cmpstr (rook_directory_get_name (fixture->service), ==, "local");
  rook_plugins_remove_all (rook_server_get_plugins (fixture->server)); /* the descriptor is ours */
}

static void
reconfigure (Fixture *fixture, const char *text)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = rook_config_read_data ("test", text, strlen (text), &mistakes);

  rook_directory_reconfigure (fixture->service, config);
}

/* A plugin that goes leaves nobody to ask, as long as the configuration wants it. */
static void
test_gone (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  remove_plugin (fixture);
  g_assert_cmpstr (rook_directory_get_name (fixture->service), ==, "unavailable");
  reconfigure (fixture, "[plugin elsewhere]\n");
  g_assert_cmpint (locate (fixture, "user/alice")->code, ==, ROOK_DIRECTORY_ERROR_UNAVAILABLE);
  g_assert_cmpint (prepare (fixture)->code, ==, ROOK_DIRECTORY_ERROR_UNAVAILABLE);
  add_plugin (fixture);
  g_assert_cmpstr (locate (fixture, "user/alice")->server, ==, "backend1");
}

static void
test_dropped (Fixture *fixture, gconstpointer data)
{
  remove_plugin (fixture);
  reconfigure (fixture, data);
  g_assert_cmpstr (rook_directory_get_name (fixture->service), ==, "local");
  g_assert_true (locate (fixture, "user/alice")->local);
}

static void
test_reconfigure_while_it_runs (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  reconfigure (fixture, "[plugin elsewhere]\n");
  g_assert_cmpstr (locate (fixture, "user/alice")->server, ==, "backend1");
}

/* One that registers and then fails to start is as good as gone. */
static void
test_failed (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (
      rook_plugins_add_static (rook_server_get_plugins (fixture->server), &elsewhere_plugin, "fail=yes\n", &error));
  g_assert_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_INIT);
  g_assert_cmpint (locate (fixture, "user/alice")->code, ==, ROOK_DIRECTORY_ERROR_UNAVAILABLE);
}

static gboolean
early_init (G_GNUC_UNUSED RookPlugin *self, G_GNUC_UNUSED RookConfigGroup *config, GError **error)
{
  g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_INIT, "no network yet");
  return FALSE;
}

/* One that says it is a directory and never got so far: on a fresh server too, "here" is not the answer. */
static void
test_failed_early (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  RookPluginDescriptor early_plugin = PLUGIN ("early");
  g_autoptr (GError) error = NULL;

  early_plugin.init = early_init;
  early_plugin.is_directory = TRUE;
  g_assert_null (rook_plugins_add_static (rook_server_get_plugins (fixture->server), &early_plugin, NULL, &error));
  g_assert_cmpstr (rook_directory_get_name (fixture->service), ==, "unavailable");
  g_assert_cmpint (locate (fixture, "user/alice")->code, ==, ROOK_DIRECTORY_ERROR_UNAVAILABLE);
}

/* After a restart the plugin may fail to come: the server still knows that it is not alone. */
static void
test_remembered (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  g_autofree char *state = rook_server_dup_state_directory (fixture->server);
  g_autofree char *path = g_build_filename (state, "directory", NULL);
  RookDirectoryOwners *again = rook_directory_owners_new (path, rook_server_get_log (fixture->server));

  g_assert_false (rook_directory_owners_is_empty (again));
  rook_directory_owners_free (again);
  remove_plugin (fixture);
  reconfigure (fixture, "");
  again = rook_directory_owners_new (path, rook_server_get_log (fixture->server));
  g_assert_true (rook_directory_owners_is_empty (again));
  rook_directory_owners_free (again);
}

/* --- answers -------------------------------------------------------------------------------------------------------- */

static void
test_checked (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  g_assert_cmpint (locate (fixture, "missing")->code, ==, ROOK_DIRECTORY_ERROR_NOT_FOUND);
  g_assert_cmpint (locate (fixture, "nowhere")->code, ==, ROOK_DIRECTORY_ERROR_UNAVAILABLE);
  g_assert_cmpint (locate (fixture, "both")->code, ==, ROOK_DIRECTORY_ERROR_UNAVAILABLE);
  g_assert_cmpint (locate (fixture, "nothing")->code, ==, ROOK_DIRECTORY_ERROR_UNAVAILABLE);
  g_assert_cmpint (locate (fixture, "foreign")->code, ==, ROOK_DIRECTORY_ERROR_UNAVAILABLE);
}

static void
test_any_thread (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  static const Where everywhere[] = { INSIDE, IN_POOL, IN_THREAD };

  for (guint i = 0; i < G_N_ELEMENTS (everywhere); i++)
    {
      elsewhere.where = everywhere[i];
      g_assert_cmpint (commit (fixture, prepare (fixture)->token)->code, ==, -1);
    }
  g_assert_cmpuint (elsewhere.n_commits, ==, G_N_ELEMENTS (everywhere));
  g_assert_true (elsewhere.last_token == &elsewhere.n_prepares); /* its own, as it gave it */
}

/* The caller's is gone long before the directory reads it. */
static void
test_copied (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  char name[] = "user/alice", new_name[] = "user/bob";
  RookChange change = { sizeof change, ROOK_CHANGE_RENAME, "id", name, new_name, "default", "acl" };

  elsewhere.where = IN_POOL;
  rook_directory_prepare (fixture->service, &change, prepared, &fixture->answer);
  memset (name, 'x', sizeof name - 1);
  memset (&change, 0, sizeof change);
  settle (fixture);
  g_assert_cmpint (elsewhere.seen.kind, ==, ROOK_CHANGE_RENAME);
  g_assert_cmpstr (elsewhere.seen_name, ==, "user/alice");
  rook_directory_abort (fixture->service, fixture->answer.token);
}

static void
test_refusals (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  gpointer token = prepare (fixture)->token;

  refuse_with (g_error_new (ROOK_DIRECTORY_ERROR, ROOK_DIRECTORY_ERROR_CONFLICT, "taken"));
  g_assert_cmpint (prepare (fixture)->code, ==, ROOK_DIRECTORY_ERROR_CONFLICT);
  g_assert_cmpint (commit (fixture, token)->code, ==, ROOK_DIRECTORY_ERROR_CONFLICT);
  refuse_with (g_error_new (G_FILE_ERROR, G_FILE_ERROR_IO, "no disk"));
  g_assert_cmpint (prepare (fixture)->code, ==, ROOK_DIRECTORY_ERROR_UNAVAILABLE);
  g_assert_cmpuint (elsewhere.n_aborts, ==, 0);
}

static void
set_flag (gpointer data)
{
  *(gboolean *) data = TRUE;
}

/* Everything that is due on this worker. */
static void
run_due (void)
{
  gboolean done = FALSE;

  rook_worker_invoke (rook_worker_current (), set_flag, &done, NULL);
  while (!done)
    g_main_context_iteration (NULL, TRUE);
}

/* One that does not answer in time has refused; what it says then nobody hears, and what it agrees to is aborted. */
static void
test_in_time (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  RookLocation here = { .local = TRUE };
  gpointer token = prepare (fixture)->token;

  elsewhere.where = LATER;
  g_assert_cmpint (locate (fixture, "user/alice")->code, ==, ROOK_DIRECTORY_ERROR_UNAVAILABLE);
  elsewhere.locate (&here, NULL, elsewhere.data);
  run_due ();
  g_assert_cmpuint (fixture->answer.n_answers, ==, 1);
  g_assert_cmpint (commit (fixture, token)->code, ==, ROOK_DIRECTORY_ERROR_UNAVAILABLE);
  elsewhere.commit (NULL, elsewhere.data);
  run_due ();
  g_assert_cmpuint (fixture->answer.n_answers, ==, 1);
  for (guint i = 0; i < 2; i++)
    {
      if (i == 1)
        refuse_with (g_error_new (ROOK_DIRECTORY_ERROR, ROOK_DIRECTORY_ERROR_CONFLICT, "taken"));
      g_assert_cmpint (prepare (fixture)->code, ==, ROOK_DIRECTORY_ERROR_UNAVAILABLE);
      say_prepared (elsewhere.prepare);
      run_due ();
      g_assert_cmpuint (fixture->answer.n_answers, ==, 1);
      g_assert_cmpuint (elsewhere.n_aborts, ==, 1); /* of the first, which was agreed to */
    }
  g_assert_true (elsewhere.last_token == &elsewhere.n_prepares);
}

/* --- tokens --------------------------------------------------------------------------------------------------------- */

#define EXPECT_REFUSAL(what) g_test_expect_message ("rookery", G_LOG_LEVEL_CRITICAL, "*" what "*failed*")

static void
test_used_up (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  gpointer first = prepare (fixture)->token, second = prepare (fixture)->token;

  commit (fixture, first);
  rook_directory_abort (fixture->service, second);
  g_assert_cmpuint (elsewhere.n_aborts, ==, 1);
  for (guint i = 0; i < 2; i++)
    {
      EXPECT_REFUSAL ("take_token");
      rook_directory_commit (fixture->service, i == 0 ? first : second, committed, &fixture->answer);
      EXPECT_REFUSAL ("take_token");
      rook_directory_abort (fixture->service, i == 0 ? first : second);
    }
  EXPECT_REFUSAL ("take_token");
  rook_directory_abort (fixture->service, NULL);
  g_test_assert_expected_messages ();
  g_assert_cmpuint (elsewhere.n_commits, ==, 1);
  g_assert_cmpuint (elsewhere.n_aborts, ==, 1);
}

/* Who prepared is who commits, however late; the plugin stays for as long as that takes. */
static void
test_outlived (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  RookPlugins *plugins = rook_server_get_plugins (fixture->server);
  gpointer token = prepare (fixture)->token, other = prepare (fixture)->token;

  g_assert_false (rook_plugins_remove_static (plugins, fixture->plugin, 10)); /* it is referred to */
  g_assert_cmpint (locate (fixture, "user/alice")->code, ==, ROOK_DIRECTORY_ERROR_UNAVAILABLE);
  g_assert_cmpint (commit (fixture, token)->code, ==, -1);
  g_assert_cmpuint (elsewhere.n_commits, ==, 1);
  rook_directory_abort (fixture->service, other);
  g_assert_cmpuint (elsewhere.n_aborts, ==, 1);
}

static void
ask_off_worker (gpointer data)
{
  Fixture *fixture = data;

  rook_directory_locate (fixture->service, "user/alice", located, &fixture->answer);
}

static void *
run_off_worker (void *data)
{
  ask_off_worker (data);
  return NULL;
}

static void
test_arguments (Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
  RookChange change = { .struct_size = sizeof change, .kind = ROOK_CHANGE_RENAME, .name = "user/alice" };
  RookChange small = { .struct_size = sizeof (gsize), .name = "user/alice" };
  pthread_t thread;

  EXPECT_REFUSAL ("name");
  rook_directory_locate (fixture->service, NULL, located, &fixture->answer);
  EXPECT_REFUSAL ("callback");
  rook_directory_locate (fixture->service, "user/alice", NULL, &fixture->answer);
  EXPECT_REFUSAL ("new_name");
  rook_directory_prepare (fixture->service, &change, prepared, &fixture->answer);
  EXPECT_REFUSAL ("ROOK_STRUCT_HAS");
  rook_directory_prepare (fixture->service, &small, prepared, &fixture->answer);
  EXPECT_REFUSAL ("rook_worker_current");
  g_assert_cmpint (pthread_create (&thread, NULL, run_off_worker, fixture), ==, 0);
  pthread_join (thread, NULL);
  g_test_assert_expected_messages ();
  g_assert_cmpuint (elsewhere.n_prepares, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, set_up_func, func) g_test_add ("/directory/" path, Fixture, NULL, set_up_func, func, tear_down)
  ADD ("local/says-here-and-agrees", set_up_alone, test_here);
  ADD ("plugin/takes-over", set_up, test_take_over);
  ADD ("plugin/there-is-but-one", set_up, test_but_one);
  ADD ("plugin/incomplete-one-is-refused", set_up_alone, test_incomplete);
  ADD ("plugin/gone-but-configured-is-unavailable", set_up, test_gone);
  g_test_add ("/directory/plugin/gone-and-dropped-is-local", Fixture, "[plugin other]\n", set_up, test_dropped,
              tear_down);
  g_test_add ("/directory/plugin/gone-and-switched-off-is-local", Fixture, "[plugin elsewhere]\nenabled=no\n", set_up,
              test_dropped, tear_down);
  ADD ("plugin/reload-leaves-it-alone", set_up, test_reconfigure_while_it_runs);
  ADD ("plugin/failed-is-unavailable", set_up_alone, test_failed);
  ADD ("plugin/failed-before-it-registered-is-unavailable", set_up_alone, test_failed_early);
  ADD ("plugin/is-remembered-over-restarts", set_up, test_remembered);
  ADD ("answer/is-checked", set_up, test_checked);
  ADD ("answer/comes-in-time-or-is-none", set_up_impatient, test_in_time);
  ADD ("answer/from-any-thread-on-the-callers-worker", set_up, test_any_thread);
  ADD ("answer/may-refuse", set_up, test_refusals);
  ADD ("change/is-copied", set_up, test_copied);
  ADD ("token/is-used-up-by-commit-and-abort", set_up, test_used_up);
  ADD ("token/outlives-the-plugin-in-force", set_up, test_outlived);
  ADD ("arguments/are-checked", set_up, test_arguments);
  return g_test_run ();
}
