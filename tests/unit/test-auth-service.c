/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The service under strain and over time: checkers that take long, hang or break their contract, full queues, owners
 * that go away, delays, reload, metrics.
 */
#include "auth-fixture.h"

#include "../lib/test-calm.h"
#include "daemon/server-private.h"
#include "rookery/thread.h"

#include <string.h>

#define SITE "backend=site\nfailure-delay=0\n"

/* --- a checker that does as it is told ---------------------------------------------------------------------------- */

typedef struct {
  RookMutex lock;
  RookCond changed;
  gboolean hold;   /* checks wait until this ends */
  guint n_inside;  /* checks that are waiting */
  guint n_checked; /* ever */
  char *seen;      /* (owned) "service user realm password" of the last */
} Checker;

static void
checker_init (Checker *checker)
{
  memset (checker, 0, sizeof *checker);
  rook_mutex_init (&checker->lock);
  rook_cond_init (&checker->changed);
}

static void
checker_clear (Checker *checker)
{
  rook_cond_clear (&checker->changed);
  rook_mutex_clear (&checker->lock);
  g_free (checker->seen);
}

static gboolean
check (gpointer data, const char *service, const char *user, const char *realm, const char *password, GError **error)
{
  Checker *checker = data;

  rook_mutex_lock (&checker->lock);
  checker->n_checked++;
  checker->n_inside++;
  g_free (checker->seen);
  checker->seen = g_strjoin (" ", service, user, realm, password, NULL);
  rook_cond_broadcast (&checker->changed);
  while (checker->hold)
    rook_cond_wait (&checker->changed, &checker->lock);
  checker->n_inside--;
  rook_cond_broadcast (&checker->changed);
  rook_mutex_unlock (&checker->lock);

  if (g_str_equal (password, "wonder"))
    return TRUE;
  if (g_str_equal (password, "disabled"))
    g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_DISABLED, "locked");
  else if (g_str_equal (password, "down"))
    g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_UNAVAILABLE, "down");
  else if (g_str_equal (password, "odd"))
    g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_PRIVACY, "odd");
  else if (!g_str_equal (password, "silent"))
    g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_FAILED, "wrong");
  return FALSE;
}

static const RookPasswordChecker site = { .struct_size = sizeof (RookPasswordChecker), .name = "site", .check = check };

static void
set_hold (Checker *checker, gboolean hold)
{
  rook_mutex_lock (&checker->lock);
  checker->hold = hold;
  rook_cond_broadcast (&checker->changed);
  rook_mutex_unlock (&checker->lock);
}

static void
wait_inside (Checker *checker, guint n)
{
  rook_mutex_lock (&checker->lock);
  while (checker->n_inside != n)
    rook_cond_wait (&checker->changed, &checker->lock);
  rook_mutex_unlock (&checker->lock);
}

static AuthFixture *
with_checker (Checker *checker, const char *keys)
{
  AuthFixture *fixture = auth_fixture_new (keys);

  checker_init (checker);
  g_assert_true (rook_auth_checkers_add (fixture->auth->checkers, &site, checker, NULL, NULL));
  return fixture;
}

static RookAuthExchange *
begin_login (AuthFixture *fixture, PeerKind kind, const char *user, const char *password, Answer *answer)
{
  RookAuthPeer peer = auth_peer (kind);

  return rook_auth_login_for_peer (fixture->auth, rook_loop_get_main_worker (fixture->loop), &peer, user, password,
                                   NULL, answer_callback, answer);
}

/* --- checkers ----------------------------------------------------------------------------------------------------- */

static void
expect_login (AuthFixture *fixture, const char *password, int code)
{
  g_auto (Answer) answer = { 0 }, plain = { 0 };

  auth_fixture_login (fixture, PEER_TLS, "alice", password, NULL, &answer);
  auth_fixture_plain (fixture, PEER_TLS, "", "alice", password, &plain);
  if (code < 0)
    {
      assert_user (&answer, "alice");
      assert_user (&plain, "alice");
      return;
    }
  assert_failed (&answer, code);
  assert_failed (&plain, code);
}

static void
test_checker (void)
{
  Checker checker;
  AuthFixture *fixture = with_checker (&checker, SITE "virtual-domains=yes\n");
  g_auto (Answer) answer = { 0 };

  expect_login (fixture, "wonder", -1);
  g_assert_cmpstr (checker.seen, ==, "imap alice  wonder");
  expect_login (fixture, "wrong", ROOK_AUTH_ERROR_FAILED);
  expect_login (fixture, "disabled", ROOK_AUTH_ERROR_DISABLED);
  expect_login (fixture, "down", ROOK_AUTH_ERROR_UNAVAILABLE);
  expect_login (fixture, "odd", ROOK_AUTH_ERROR_UNAVAILABLE);
  expect_login (fixture, "silent", ROOK_AUTH_ERROR_UNAVAILABLE);
  auth_fixture_plain (fixture, PEER_TLS, "", "bob@Two.example", "wonder", &answer);
  assert_user (&answer, "bob@two.example");
  g_assert_cmpstr (checker.seen, ==, "imap bob two.example wonder");
  auth_fixture_free (fixture);
  checker_clear (&checker);
}

static void
test_checker_not_asked_in_vain (void)
{
  Checker checker;
  AuthFixture *fixture = with_checker (&checker, SITE);
  g_auto (Answer) answer = { 0 };

  auth_fixture_login (fixture, PEER_TLS, "alice", "", NULL, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
  auth_fixture_plain (fixture, PEER_TLS, "", "alice", "", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
  auth_fixture_plain (fixture, PEER_CLEAR, "", "alice", "wonder", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_PRIVACY);
  auth_fixture_plain (fixture, PEER_TLS, "", "../alice", "wonder", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
  g_assert_cmpuint (checker.n_checked, ==, 0);
  auth_fixture_free (fixture);
  checker_clear (&checker);
}

static void
test_no_checker (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SITE);
  g_auto (Answer) answer = { 0 };

  auth_fixture_login (fixture, PEER_TLS, "alice", "wonder", NULL, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_UNAVAILABLE);
}

static void
test_checker_names (void)
{
  RookPasswordChecker nameless = site, reserved = site, empty = site;
  RookAuthCheckers *checkers = rook_auth_checkers_new ();
  g_autoptr (GError) twice = NULL;

  nameless.name = NULL;
  reserved.name = "sasldb";
  empty.check = NULL;
  g_assert_false (rook_auth_checkers_add (checkers, &nameless, NULL, NULL, NULL));
  g_assert_false (rook_auth_checkers_add (checkers, &reserved, NULL, NULL, NULL));
  g_assert_false (rook_auth_checkers_add (checkers, &empty, NULL, NULL, NULL));
  g_assert_true (rook_auth_checkers_add (checkers, &site, NULL, NULL, NULL));
  g_assert_false (rook_auth_checkers_add (checkers, &site, NULL, NULL, &twice));
  g_assert_error (twice, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT);
  rook_auth_checkers_remove (checkers, "site");
  g_assert_true (rook_auth_checkers_add (checkers, &site, NULL, NULL, NULL));
  rook_auth_checkers_unref (checkers);
}

/* --- what hangs --------------------------------------------------------------------------------------------------- */

static void
test_queue_deadline (void)
{
  Checker checker;
  AuthFixture *fixture = with_checker (&checker, SITE "threads=1\nqueue-deadline=50ms\n");
  g_auto (Answer) stuck = { 0 }, late = { 0 };
  RookAuthExchange *first, *second;

  set_hold (&checker, TRUE);
  first = begin_login (fixture, PEER_TLS, "alice", "wonder", &stuck);
  wait_inside (&checker, 1);
  second = begin_login (fixture, PEER_TLS, "bob", "wonder", &late);
  auth_fixture_wait (fixture, &late);
  assert_failed (&late, ROOK_AUTH_ERROR_UNAVAILABLE);
  g_assert_false (stuck.came);
  set_hold (&checker, FALSE);
  auth_fixture_wait (fixture, &stuck);
  assert_user (&stuck, "alice");
  rook_auth_exchange_free (first);
  rook_auth_exchange_free (second);
  auth_fixture_free (fixture);
  checker_clear (&checker);
}

static void
test_queue_full (void)
{
  Checker checker;
  AuthFixture *fixture = with_checker (&checker, SITE "threads=1\nqueue=1\n");
  g_auto (Answer) a = { 0 }, b = { 0 }, c = { 0 };
  RookAuthExchange *first, *second, *third;

  set_hold (&checker, TRUE);
  first = begin_login (fixture, PEER_TLS, "alice", "wonder", &a);
  wait_inside (&checker, 1);
  second = begin_login (fixture, PEER_TLS, "bob", "wonder", &b);
  third = begin_login (fixture, PEER_TLS, "carol", "wonder", &c);
  g_assert_false (c.came);
  auth_fixture_wait (fixture, &c);
  assert_failed (&c, ROOK_AUTH_ERROR_UNAVAILABLE);
  set_hold (&checker, FALSE);
  auth_fixture_wait (fixture, &a);
  auth_fixture_wait (fixture, &b);
  assert_user (&b, "bob");
  rook_auth_exchange_free (first);
  rook_auth_exchange_free (second);
  rook_auth_exchange_free (third);
  auth_fixture_free (fixture);
  checker_clear (&checker);
}

static void
test_others_go_on (void)
{
  Checker checker;
  AuthFixture *fixture = with_checker (&checker, SITE "threads=1\n");
  RookAuthPeer peer = auth_peer (PEER_TLS);
  g_auto (Answer) stuck = { 0 }, external = { 0 };
  RookAuthExchange *first, *second;

  set_hold (&checker, TRUE);
  first = begin_login (fixture, PEER_TLS, "alice", "wonder", &stuck);
  wait_inside (&checker, 1);
  peer.tls_name = g_strdup ("bob");
  second =
      rook_auth_exchange_new_for_peer (fixture->auth, rook_loop_get_main_worker (fixture->loop), &peer, "EXTERNAL");
  auth_fixture_step (fixture, second, "", 0, &external);
  assert_user (&external, "bob");
  g_assert_false (stuck.came);
  set_hold (&checker, FALSE);
  rook_auth_exchange_free (first);
  rook_auth_exchange_free (second);
  auth_fixture_free (fixture);
  checker_clear (&checker);
}

/* --- owners that go away ------------------------------------------------------------------------------------------ */

static void
test_freed_at_work (void)
{
  Checker checker;
  AuthFixture *fixture = with_checker (&checker, "backend=site\nfailure-delay=50ms\n");
  g_auto (Answer) gone = { 0 };

  set_hold (&checker, TRUE);
  rook_auth_exchange_free (begin_login (fixture, PEER_TLS, "alice", "wrong", &gone));
  wait_inside (&checker, 1);
  set_hold (&checker, FALSE);
  wait_inside (&checker, 0);
  auth_fixture_turn (fixture, 100);
  g_assert_false (gone.came);
  /* Its failure counts all the same: the user's and the address's. */
  g_assert_cmpuint (rook_throttle_get_size (fixture->auth->throttle), ==, 2);
  auth_fixture_free (fixture);
  checker_clear (&checker);
}

static void
test_freed_before_it_is_told (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new (SITE);
  g_auto (Answer) gone = { 0 };

  rook_auth_exchange_free (begin_login (fixture, PEER_CLEAR, "alice", "wonder", &gone));
  auth_fixture_turn (fixture, 50);
  g_assert_false (gone.came);
}

static void
test_service_waits_for_orphans (void)
{
  Checker checker;
  AuthFixture *fixture = with_checker (&checker, SITE);
  g_auto (Answer) gone = { 0 };

  for (guint i = 0; i < 40; i++)
    rook_auth_exchange_free (begin_login (fixture, PEER_TLS, "alice", "wonder", &gone));
  auth_fixture_free (fixture);
  g_assert_false (gone.came);
  checker_clear (&checker);
}

static void
free_in_callback (G_GNUC_UNUSED GBytes *challenge, G_GNUC_UNUSED RookIdentity *identity,
                  G_GNUC_UNUSED const GError *error, gpointer data)
{
  RookAuthExchange **exchange = data;

  g_clear_pointer (exchange, rook_auth_exchange_free);
}

static void
test_freed_in_its_callback (void)
{
  Checker checker;
  AuthFixture *fixture = with_checker (&checker, SITE);
  RookAuthPeer peer = auth_peer (PEER_TLS);
  RookAuthExchange *exchange = NULL;

  exchange = rook_auth_login_for_peer (fixture->auth, rook_loop_get_main_worker (fixture->loop), &peer, "alice",
                                       "wonder", NULL, free_in_callback, &exchange);
  while (exchange != NULL)
    auth_fixture_turn (fixture, 1);
  auth_fixture_free (fixture);
  checker_clear (&checker);
}

/* --- delays ------------------------------------------------------------------------------------------------------- */

static gint64
time_login (AuthFixture *fixture, PeerKind kind, const char *user, const char *password)
{
  g_auto (Answer) answer = { 0 };
  gint64 began = g_get_monotonic_time ();

  auth_fixture_login (fixture, kind, user, password, NULL, &answer);
  return (g_get_monotonic_time () - began) / 1000;
}

static void
test_delay (void)
{
  Checker checker;
  AuthFixture *fixture = with_checker (&checker, "backend=site\nfailure-delay=200ms\nthreads=4\n"
                                                 "allow-plaintext-on-loopback=yes\n");

  time_login (fixture, PEER_TLS, "alice", "wrong");
  g_assert_cmpint (time_login (fixture, PEER_TLS, "alice", "wrong"), >=, 200);
  g_assert_cmpint (time_login (fixture, PEER_TLS, "alice", "wonder"), >=, 400);
  auth_fixture_free (fixture);
  checker_clear (&checker);
}

/* A UNIX socket is exempt, and what does not come from a wrong guess costs nothing: nobody would wait for ten minutes. */
static void
test_no_delay (void)
{
  Checker checker;
  AuthFixture *fixture = with_checker (&checker, "backend=site\nfailure-delay=10m\nfailure-delay-cap=1h\nthreads=4\n"
                                                 "allow-plaintext-on-loopback=yes\n");

  time_login (fixture, PEER_UNIX, "carol", "wrong");
  time_login (fixture, PEER_UNIX, "carol", "wonder");
  time_login (fixture, PEER_TLS, "dave", "down");
  time_login (fixture, PEER_TLS, "dave", "wonder");
  auth_fixture_free (fixture);
  checker_clear (&checker);
}

static void
test_freed_while_held_back (void)
{
  Checker checker;
  AuthFixture *fixture = with_checker (&checker, "backend=site\nfailure-delay=100ms\n");
  g_auto (Answer) gone = { 0 };
  RookAuthExchange *exchange;

  time_login (fixture, PEER_TLS, "alice", "wrong");
  exchange = begin_login (fixture, PEER_TLS, "alice", "wrong", &gone);
  wait_inside (&checker, 0);
  auth_fixture_turn (fixture, 50);
  rook_auth_exchange_free (exchange);
  auth_fixture_turn (fixture, 150);
  g_assert_false (gone.came);
  auth_fixture_free (fixture);
  checker_clear (&checker);
}

/* --- in a server -------------------------------------------------------------------------------------------------- */

static void
wait_server (RookServer *server, Answer *answer)
{
  while (!answer->came)
    g_main_context_iteration (rook_worker_get_context (rook_loop_get_main_worker (rook_server_get_loop (server))),
                              TRUE);
}

static void
server_login (RookServer *server, const char *password, Answer *answer)
{
  RookAuthPeer peer = auth_peer (PEER_TLS);
  g_autoptr (RookAuthExchange) exchange = NULL;

  answer_clear (answer);
  exchange = rook_auth_login_for_peer (rook_server_get_auth (server),
                                       rook_loop_get_main_worker (rook_server_get_loop (server)), &peer, "alice",
                                       password, NULL, answer_callback, answer);
  wait_server (server, answer);
}

static void
test_metrics (void)
{
  RookServer *server = rook_server_new_for_test ("[auth]\nbackend=site\nfailure-delay=0\n[log]\nlevel=error\n");
  RookMetrics *metrics = rook_server_get_metrics (server);
  Checker checker;
  g_auto (Answer) answer = { 0 };

  checker_init (&checker);
  rook_auth_checkers_add (rook_server_get_auth (server)->checkers, &site, &checker, NULL, NULL);
  server_login (server, "wonder", &answer);
  assert_user (&answer, "alice");
  server_login (server, "wrong", &answer);
  server_login (server, "wrong", &answer);
  g_assert_cmpuint (rook_counter_get (rook_metrics_counter (metrics, "auth.attempts", "mechanism", "login", NULL)), ==,
                    3);
  g_assert_cmpuint (rook_counter_get (rook_metrics_counter (metrics, "auth.results", "result", "ok", NULL)), ==, 1);
  g_assert_cmpuint (rook_counter_get (rook_metrics_counter (metrics, "auth.results", "result", "failed", NULL)), ==, 2);
  rook_auth_checkers_remove (rook_server_get_auth (server)->checkers, "site");
  rook_server_free_for_test (server);
  checker_clear (&checker);
}

/* --- by a plugin -------------------------------------------------------------------------------------------------- */

static gboolean
site_init (RookPlugin *self, G_GNUC_UNUSED RookConfigGroup *config, GError **error)
{
  Checker *checker = g_new (Checker, 1);

  checker_init (checker);
  rook_plugin_set_data (self, checker, NULL);
  return rook_plugin_add_password_checker (self, &site, checker, error);
}

/* Checks must not come after this. */
static void
site_fini (RookPlugin *self)
{
  Checker *checker = rook_plugin_get_data (self);

  g_assert_cmpuint (checker->n_inside, ==, 0);
  checker_clear (checker);
  g_free (checker);
}

static const char *const site_checkers[] = { "site", NULL };

static const RookPluginDescriptor site_plugin = { .struct_size = sizeof (RookPluginDescriptor),
                                                  .abi_major = ROOK_ABI_MAJOR,
                                                  .abi_minor = ROOK_ABI_MINOR,
                                                  .name = "site",
                                                  .summary = "Checks passwords",
                                                  .version = "1",
                                                  .license = "LGPL-2.1-or-later",
                                                  .checkers = site_checkers,
                                                  .init = site_init,
                                                  .fini = site_fini };

static gpointer
release_soon (gpointer data)
{
  g_usleep (50000);
  set_hold (data, FALSE);
  return NULL;
}

/* A plugin that goes waits for its checks; who comes later is told to try again. */
static void
test_checker_of_plugin (void)
{
  RookServer *server = rook_server_new_for_test ("[auth]\nbackend=site\nfailure-delay=0\n[log]\nlevel=error\n");
  RookPlugins *plugins = rook_server_get_plugins (server);
  RookPlugin *plugin = rook_plugins_add_static (plugins, &site_plugin, NULL, NULL);
  Checker *checker = rook_plugin_get_data (plugin);
  RookAuthPeer peer = auth_peer (PEER_TLS);
  g_auto (Answer) answer = { 0 }, last = { 0 };
  RookAuthExchange *exchange;
  g_autoptr (GError) late = NULL;
  GThread *thread;

  server_login (server, "wonder", &answer);
  assert_user (&answer, "alice");
  g_assert_false (rook_plugin_add_password_checker (plugin, &site, checker, &late));
  g_assert_error (late, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT);

  set_hold (checker, TRUE);
  exchange = rook_auth_login_for_peer (rook_server_get_auth (server),
                                       rook_loop_get_main_worker (rook_server_get_loop (server)), &peer, "alice",
                                       "wonder", NULL, answer_callback, &last);
  wait_inside (checker, 1);
  thread = g_thread_new ("release", release_soon, checker);
  g_assert_true (rook_plugins_remove_static (plugins, plugin, 10000));
  g_thread_join (thread);
  wait_server (server, &last);
  assert_user (&last, "alice");
  rook_auth_exchange_free (exchange);
  server_login (server, "wonder", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_UNAVAILABLE);
  rook_server_free_for_test (server);
}

/* An exchange goes on with the settings that it began with; the next has the new ones. */
static void
test_reconfigure (void)
{
  static const char text[] = "[auth]\nbackend=site\nmechanisms=EXTERNAL\ndefault-realm=new.example\n";
  RookServer *server = rook_server_new_for_test ("[auth]\nbackend=site\nfailure-delay=0\n[log]\nlevel=error\n");
  RookAuth *auth = rook_server_get_auth (server);
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = rook_config_read_data ("test", text, strlen (text), &mistakes);
  g_auto (Answer) answer = { 0 };
  g_autofree char *user = NULL;

  rook_services_declare (config);
  rook_config_validate (config, mistakes);
  g_assert_false (rook_auth_canonical_user (auth, "alice@new.example", &user, NULL));
  rook_auth_reconfigure (auth, config);
  g_assert_true (rook_auth_canonical_user (auth, "alice@new.example", &user, NULL));
  g_assert_cmpstr (user, ==, "alice");
  server_login (server, "wonder", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_MECHANISM);
  rook_server_free_for_test (server);
}

static void
name_canonically (gpointer data)
{
  static const char *const names[] = { "alice", " Alice@Example.ORG ", "group:x", "a/b", "al\xff", "" };

  for (guint i = 0; i < 100 * G_N_ELEMENTS (names); i++)
    {
      g_autofree char *user = NULL;

      rook_auth_canonical_user (data, names[i % G_N_ELEMENTS (names)], &user, NULL);
    }
}

static void
test_names_do_not_block (void)
{
  RookServer *server = rook_server_new_for_test ("[auth]\nbackend=site\n[log]\nlevel=error\n");

  g_assert_true (test_is_calm (name_canonically, rook_server_get_auth (server)));
  rook_server_free_for_test (server);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/auth/checker/is-asked", test_checker);
  g_test_add_func ("/auth/checker/is-not-asked-in-vain", test_checker_not_asked_in_vain);
  g_test_add_func ("/auth/checker/not-there", test_no_checker);
  g_test_add_func ("/auth/checker/names", test_checker_names);
  g_test_add_func ("/auth/service/queue-deadline", test_queue_deadline);
  g_test_add_func ("/auth/service/queue-full", test_queue_full);
  g_test_add_func ("/auth/service/others-go-on-while-checks-hang", test_others_go_on);
  g_test_add_func ("/auth/exchange/freed-at-work", test_freed_at_work);
  g_test_add_func ("/auth/exchange/freed-before-it-is-told", test_freed_before_it_is_told);
  g_test_add_func ("/auth/exchange/freed-in-its-callback", test_freed_in_its_callback);
  g_test_add_func ("/auth/service/waits-for-orphans", test_service_waits_for_orphans);
  g_test_add_func ("/auth/delay/holds-answers-back", test_delay);
  g_test_add_func ("/auth/delay/costs-nobody-else", test_no_delay);
  g_test_add_func ("/auth/delay/freed-while-held-back", test_freed_while_held_back);
  g_test_add_func ("/auth/checker/of-a-plugin", test_checker_of_plugin);
  g_test_add_func ("/auth/service/metrics", test_metrics);
  g_test_add_func ("/auth/service/reconfigure", test_reconfigure);
  g_test_add_func ("/auth/service/names-never-block", test_names_do_not_block);
  return g_test_run ();
}
