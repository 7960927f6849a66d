/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Exchanges against a password file that the real saslpasswd2 made: what a client sees of each step.
 */
#include "auth-fixture.h"

#include <string.h>

#define SASLDB "backend=sasldb\nsasldb-path=@SCRATCH@/sasldb2\nfailure-delay=0\n"

static AuthFixture *
with_alice (const char *more)
{
  g_autofree char *keys = g_strconcat (SASLDB, more, NULL);
  AuthFixture *fixture = auth_fixture_new (keys);

  auth_fixture_add_user (fixture, "mail.example.org", "alice", "wonder");
  auth_fixture_add_user (fixture, "mail.example.org", "boss", "chief");
  return fixture;
}

static void
test_plain (void)
{
  g_autoptr (AuthFixture) fixture = with_alice ("");
  g_auto (Answer) answer = { 0 };

  auth_fixture_plain (fixture, PEER_TLS, "", "alice", "wonder", &answer);
  assert_user (&answer, "alice");
  g_assert_cmpstr (rook_identity_get_authcid (answer.identity), ==, "alice");
  g_assert_false (rook_identity_is_admin (answer.identity));
  g_assert_false (rook_identity_is_proxied (answer.identity));
  auth_fixture_plain (fixture, PEER_TLS, "", "alice", "wrong", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
}

static void
test_plain_without_initial_response (void)
{
  g_autoptr (AuthFixture) fixture = with_alice ("");
  g_autoptr (RookAuthExchange) exchange = auth_fixture_exchange (fixture, PEER_TLS, "plain");
  g_auto (Answer) answer = { 0 };

  auth_fixture_step (fixture, exchange, NULL, 0, &answer);
  g_assert_nonnull (answer.challenge);
  g_assert_cmpuint (g_bytes_get_size (answer.challenge), ==, 0);
  auth_fixture_step (fixture, exchange, "\0alice\0wonder", 13, &answer);
  assert_user (&answer, "alice");
}

static void
test_login_command (void)
{
  g_autoptr (AuthFixture) fixture = with_alice ("");
  g_auto (Answer) answer = { 0 };

  auth_fixture_login (fixture, PEER_TLS, "alice", "wonder", NULL, &answer);
  assert_user (&answer, "alice");
  auth_fixture_login (fixture, PEER_TLS, "alice", "wrong", NULL, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
  auth_fixture_login (fixture, PEER_TLS, "nobody", "wonder", NULL, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
  auth_fixture_login (fixture, PEER_TLS, "", "", NULL, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
  auth_fixture_login (fixture, PEER_TLS, "alice", "", NULL, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
}

static void
test_same_answer (void)
{
  g_autoptr (AuthFixture) fixture = with_alice ("");
  g_auto (Answer) wrong = { 0 }, unknown = { 0 };

  auth_fixture_plain (fixture, PEER_TLS, "", "alice", "wrong", &wrong);
  auth_fixture_plain (fixture, PEER_TLS, "", "nobody", "wrong", &unknown);
  g_assert_cmpint (wrong.error->code, ==, unknown.error->code);
  g_assert_cmpstr (wrong.error->message, ==, unknown.error->message);
}

static void
test_mechanism_login (void)
{
  g_autoptr (AuthFixture) fixture = with_alice ("");
  g_autoptr (RookAuthExchange) exchange = auth_fixture_exchange (fixture, PEER_TLS, "LOGIN");
  g_auto (Answer) answer = { 0 };

  auth_fixture_step (fixture, exchange, NULL, 0, &answer);
  g_assert_nonnull (answer.challenge);
  auth_fixture_step (fixture, exchange, "alice", -1, &answer);
  g_assert_nonnull (answer.challenge);
  auth_fixture_step (fixture, exchange, "wonder", -1, &answer);
  assert_user (&answer, "alice");
}

/* Some clients send the name at once. What can be no answer ends it. */
static void
test_mechanism_login_odd (void)
{
  g_autoptr (AuthFixture) fixture = with_alice ("");
  g_autoptr (RookAuthExchange) at_once = auth_fixture_exchange (fixture, PEER_TLS, "LOGIN");
  g_autoptr (RookAuthExchange) nul = auth_fixture_exchange (fixture, PEER_TLS, "LOGIN");
  g_autoptr (RookAuthExchange) bad_name = auth_fixture_exchange (fixture, PEER_TLS, "LOGIN");
  g_auto (Answer) answer = { 0 };

  auth_fixture_step (fixture, at_once, "alice", -1, &answer);
  g_assert_nonnull (answer.challenge);
  auth_fixture_step (fixture, at_once, "wrong", -1, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
  auth_fixture_step (fixture, nul, "al\0ice", 6, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_PROTOCOL);
  auth_fixture_step (fixture, bad_name, "a/b", -1, &answer);
  auth_fixture_step (fixture, bad_name, "secret", -1, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
}

static void
test_privacy_first (void)
{
  g_autoptr (AuthFixture) fixture = with_alice ("");
  g_auto (Answer) answer = { 0 };

  auth_fixture_plain (fixture, PEER_CLEAR, "", "alice", "wonder", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_PRIVACY);
  auth_fixture_plain (fixture, PEER_LOOPBACK, "", "alice", "wonder", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_PRIVACY);
  auth_fixture_login (fixture, PEER_CLEAR, "alice", "wonder", NULL, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_PRIVACY);
}

static void
test_loopback_if_allowed (void)
{
  g_autoptr (AuthFixture) fixture = with_alice ("allow-plaintext-on-loopback=true\n");
  g_auto (Answer) answer = { 0 };

  auth_fixture_plain (fixture, PEER_LOOPBACK, "", "alice", "wonder", &answer);
  assert_user (&answer, "alice");
  auth_fixture_plain (fixture, PEER_UNIX, "", "alice", "wonder", &answer);
  assert_user (&answer, "alice");
  auth_fixture_login (fixture, PEER_LOOPBACK, "alice", "wonder", NULL, &answer);
  assert_user (&answer, "alice");
  auth_fixture_plain (fixture, PEER_CLEAR, "", "alice", "wonder", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_PRIVACY);
}

static void
test_proxy (void)
{
  g_autoptr (AuthFixture) fixture = with_alice ("admins=boss\n");
  g_auto (Answer) answer = { 0 };

  auth_fixture_plain (fixture, PEER_TLS, "alice", "boss", "chief", &answer);
  assert_user (&answer, "alice");
  g_assert_cmpstr (rook_identity_get_authcid (answer.identity), ==, "boss");
  g_assert_true (rook_identity_is_proxied (answer.identity));
  g_assert_false (rook_identity_is_admin (answer.identity));
  auth_fixture_plain (fixture, PEER_TLS, "boss", "alice", "wonder", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_NOT_AUTHORIZED);
  auth_fixture_plain (fixture, PEER_TLS, "alice", "alice", "wonder", &answer);
  assert_user (&answer, "alice");
  g_assert_false (rook_identity_is_proxied (answer.identity));
  auth_fixture_plain (fixture, PEER_TLS, "boss", "boss", "chief", &answer);
  assert_user (&answer, "boss");
  g_assert_true (rook_identity_is_admin (answer.identity));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/auth/exchange/plain", test_plain);
  g_test_add_func ("/auth/exchange/plain-without-initial-response", test_plain_without_initial_response);
  g_test_add_func ("/auth/exchange/login-command", test_login_command);
  g_test_add_func ("/auth/exchange/unknown-user-and-wrong-password-look-the-same", test_same_answer);
  g_test_add_func ("/auth/exchange/mechanism-login", test_mechanism_login);
  g_test_add_func ("/auth/exchange/mechanism-login-odd", test_mechanism_login_odd);
  g_test_add_func ("/auth/exchange/no-password-without-privacy", test_privacy_first);
  g_test_add_func ("/auth/exchange/loopback-if-allowed", test_loopback_if_allowed);
  g_test_add_func ("/auth/exchange/acting-as-another", test_proxy);
  return g_test_run ();
}
