/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client's side: which mechanism it takes, what it never sends, and whole exchanges with our own server side.
 */
#include "auth-fixture.h"

#include "../lib/test-calm.h"
#include <string.h>

#define SASLDB                                                                                                     \
  "backend=sasldb\nsasldb-path=@SCRATCH@/sasldb2\nfailure-delay=0\nadmins=boss\nallow-plaintext-on-loopback=yes\n" \
  "mechanisms=PLAIN;LOGIN;SCRAM-SHA-256;SCRAM-SHA-1;EXTERNAL;CRAM-MD5;DIGEST-MD5\n"                                \
  "client-mechanisms=EXTERNAL;SCRAM-SHA-256;SCRAM-SHA-1;DIGEST-MD5;CRAM-MD5;PLAIN;LOGIN\n"

static AuthFixture *
with_users (void)
{
  AuthFixture *fixture = auth_fixture_new (SASLDB);

  auth_fixture_add_user (fixture, "mail.example.org", "alice", "wonder");
  auth_fixture_add_user (fixture, "mail.example.org", "boss", "chief");
  return fixture;
}

static RookAuthClient *
client_new (AuthFixture *fixture, PeerKind kind, const char *offered, const char *authcid, const char *authzid,
            const char *password, GError **error)
{
  g_auto (GStrv) mechanisms = g_strsplit (offered, " ", -1);
  RookAuthPeer peer = auth_peer (kind);
  RookAuthClient *client =
      rook_auth_client_new_for_peer (fixture->auth, &peer, "imap", "mail.example.org", (const char *const *) mechanisms,
                                     authcid, authzid, password, error);

  rook_auth_peer_clear (&peer);
  return client;
}

static void
expect_choice (AuthFixture *fixture, PeerKind kind, const char *offered, const char *password, const char *wanted)
{
  g_autoptr (GError) error = NULL;
  RookAuthClient *client = client_new (fixture, kind, offered, "alice", NULL, password, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (rook_auth_client_get_mechanism (client), ==, wanted);
  rook_auth_client_free (client);
}

static void
expect_none (AuthFixture *fixture, PeerKind kind, const char *offered, const char *password, int code)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (client_new (fixture, kind, offered, "alice", NULL, password, &error));
  g_assert_error (error, ROOK_AUTH_ERROR, code);
}

static void
test_choice (void)
{
  g_autoptr (AuthFixture) fixture = with_users ();

  expect_choice (fixture, PEER_TLS, "PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256", "x", "SCRAM-SHA-256");
  expect_choice (fixture, PEER_TLS, "plain login scram-sha-1", "x", "SCRAM-SHA-1");
  expect_choice (fixture, PEER_TLS, "EXTERNAL PLAIN", "x", "PLAIN");
  expect_choice (fixture, PEER_TLS, "PLAIN EXTERNAL", NULL, "EXTERNAL");
  expect_choice (fixture, PEER_TLS, "GSSAPI SCRAM-SHA-256-PLUS LOGIN", "x", "LOGIN");
  expect_choice (fixture, PEER_LOOPBACK, "PLAIN", "x", "PLAIN");
  expect_choice (fixture, PEER_UNIX, "PLAIN", "x", "PLAIN");
  expect_choice (fixture, PEER_CLEAR, "PLAIN CRAM-MD5", "x", "CRAM-MD5");
  expect_none (fixture, PEER_CLEAR, "PLAIN LOGIN", "x", ROOK_AUTH_ERROR_PRIVACY);
  expect_none (fixture, PEER_TLS, "GSSAPI", "x", ROOK_AUTH_ERROR_MECHANISM);
  expect_none (fixture, PEER_TLS, "PLAIN", NULL, ROOK_AUTH_ERROR_MECHANISM);
  expect_none (fixture, PEER_TLS, "", "x", ROOK_AUTH_ERROR_MECHANISM);
}

/* Both sides to the end. Returns: %FALSE if the client gave up. */
static gboolean
converse (AuthFixture *fixture, RookAuthClient *client, PeerKind kind, Answer *answer)
{
  g_autoptr (RookAuthExchange) exchange =
      auth_fixture_exchange (fixture, kind, rook_auth_client_get_mechanism (client));
  GBytes *response = NULL;
  gboolean ok = rook_auth_client_step (client, NULL, &response, NULL);

  g_assert_true (ok);
  do
    {
      answer_clear (answer);
      rook_auth_exchange_step (exchange, response, answer_callback, answer);
      auth_fixture_wait (fixture, answer);
      g_clear_pointer (&response, g_bytes_unref);
      if (answer->challenge != NULL)
        ok = rook_auth_client_step (client, answer->challenge, &response, NULL);
    }
  while (ok && answer->challenge != NULL);
  g_clear_pointer (&response, g_bytes_unref);
  return ok;
}

static void
test_both_sides (gconstpointer data)
{
  const char *mechanism = data;
  g_autoptr (AuthFixture) fixture = with_users ();
  RookAuthClient *good = client_new (fixture, PEER_LOOPBACK, mechanism, "alice", NULL, "wonder", NULL);
  RookAuthClient *bad = client_new (fixture, PEER_LOOPBACK, mechanism, "alice", NULL, "wrong", NULL);
  g_auto (Answer) answer = { 0 };

  g_assert_true (converse (fixture, good, PEER_LOOPBACK, &answer));
  assert_user (&answer, "alice");
  converse (fixture, bad, PEER_LOOPBACK, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
  rook_auth_client_free (good);
  rook_auth_client_free (bad);
}

static void
test_acting_as_another (gconstpointer data)
{
  const char *mechanism = data;
  g_autoptr (AuthFixture) fixture = with_users ();
  RookAuthClient *client = client_new (fixture, PEER_TLS, mechanism, "boss", "alice", "chief", NULL);
  g_auto (Answer) answer = { 0 };

  g_assert_true (converse (fixture, client, PEER_TLS, &answer));
  assert_user (&answer, "alice");
  g_assert_cmpstr (rook_identity_get_authcid (answer.identity), ==, "boss");
  rook_auth_client_free (client);
}

/* An initial response is there for the mechanisms that have one, and none for those in which the server begins. */
static void
test_first_step (void)
{
  g_autoptr (AuthFixture) fixture = with_users ();
  RookAuthClient *plain = client_new (fixture, PEER_TLS, "PLAIN", "alice", NULL, "wonder", NULL);
  RookAuthClient *cram = client_new (fixture, PEER_TLS, "CRAM-MD5", "alice", NULL, "wonder", NULL);
  RookAuthClient *external = client_new (fixture, PEER_TLS, "EXTERNAL", "alice", NULL, NULL, NULL);
  GBytes *first = NULL, *none = NULL, *empty = NULL;

  g_assert_true (rook_auth_client_step (plain, NULL, &first, NULL));
  g_assert_cmpmem (g_bytes_get_data (first, NULL), g_bytes_get_size (first), "\0alice\0wonder", 13);
  g_assert_true (rook_auth_client_step (cram, NULL, &none, NULL));
  g_assert_null (none);
  g_assert_true (rook_auth_client_step (external, NULL, &empty, NULL));
  g_assert_nonnull (empty);
  g_assert_cmpuint (g_bytes_get_size (empty), ==, 0);
  g_bytes_unref (first);
  g_bytes_unref (empty);
  rook_auth_client_free (plain);
  rook_auth_client_free (cram);
  rook_auth_client_free (external);
}

/* A server that does not know the password can't pass for one that does. */
static void
test_false_server (void)
{
  g_autoptr (AuthFixture) fixture = with_users ();
  RookAuthClient *client = client_new (fixture, PEER_TLS, "SCRAM-SHA-256", "alice", NULL, "wonder", NULL);
  g_autoptr (RookAuthExchange) exchange = auth_fixture_exchange (fixture, PEER_TLS, "SCRAM-SHA-256");
  g_autoptr (GBytes) forged = g_bytes_new_static ("v=bm90IHRoZSBzaWduYXR1cmUgb2YgYW55Ym9keSBhdCBhbGw=", 50);
  g_autoptr (GError) error = NULL;
  g_auto (Answer) answer = { 0 };
  GBytes *response = NULL;

  g_assert_true (rook_auth_client_step (client, NULL, &response, NULL));
  rook_auth_exchange_step (exchange, response, answer_callback, &answer);
  auth_fixture_wait (fixture, &answer);
  g_clear_pointer (&response, g_bytes_unref);
  g_assert_true (rook_auth_client_step (client, answer.challenge, &response, NULL));
  g_clear_pointer (&response, g_bytes_unref);
  g_assert_false (rook_auth_client_step (client, forged, &response, &error));
  g_assert_nonnull (error);
  g_assert_null (response);
  rook_auth_client_free (client);
}

/* A server without initial responses asks with nothing after the client is done: nothing is the answer; anything else
 * that it asks then is not of the mechanism. */
static void
test_after_the_end (void)
{
  g_autoptr (AuthFixture) fixture = with_users ();
  RookAuthClient *client = client_new (fixture, PEER_TLS, "PLAIN", "alice", NULL, "wonder", NULL);
  g_autoptr (GBytes) nothing = g_bytes_new_static ("", 0), more = g_bytes_new_static ("more", 4);
  g_autoptr (GError) error = NULL;
  GBytes *response = NULL;

  g_assert_true (rook_auth_client_step (client, NULL, &response, NULL));
  g_clear_pointer (&response, g_bytes_unref);
  g_assert_true (rook_auth_client_step (client, nothing, &response, NULL));
  g_assert_cmpuint (g_bytes_get_size (response), ==, 0);
  g_clear_pointer (&response, g_bytes_unref);
  g_assert_false (rook_auth_client_step (client, more, &response, &error));
  g_assert_error (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_PROTOCOL);
  rook_auth_client_free (client);
}

static void
begin_and_forget (gpointer data)
{
  static const char *const mechanisms[] = { "PLAIN", "LOGIN", "SCRAM-SHA-256", "CRAM-MD5" };

  for (guint i = 0; i < G_N_ELEMENTS (mechanisms); i++)
    {
      RookAuthClient *client = client_new (data, PEER_TLS, mechanisms[i], "alice", NULL, "wonder", NULL);
      GBytes *response = NULL;

      g_assert_true (rook_auth_client_step (client, NULL, &response, NULL));
      g_clear_pointer (&response, g_bytes_unref);
      rook_auth_client_free (client);
    }
}

static void
test_steps_do_not_block (void)
{
  g_autoptr (AuthFixture) fixture = with_users ();

  g_assert_true (test_is_calm (begin_and_forget, fixture));
}

int
main (int argc, char **argv)
{
  static const char *const mechanisms[] = {
    "PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "DIGEST-MD5"
  };
  static const char *const proxying[] = { "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-1", "DIGEST-MD5" };

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/auth/client/choice", test_choice);
  for (guint i = 0; i < G_N_ELEMENTS (mechanisms); i++)
    {
      g_autofree char *path = g_strconcat ("/auth/client/both-sides/", mechanisms[i], NULL);

      g_test_add_data_func (path, mechanisms[i], test_both_sides);
    }
  for (guint i = 0; i < G_N_ELEMENTS (proxying); i++)
    {
      g_autofree char *path = g_strconcat ("/auth/client/acting-as-another/", proxying[i], NULL);

      g_test_add_data_func (path, proxying[i], test_acting_as_another);
    }
  g_test_add_func ("/auth/client/first-step", test_first_step);
  g_test_add_func ("/auth/client/steps-do-not-block", test_steps_do_not_block);
  g_test_add_func ("/auth/client/false-server", test_false_server);
  g_test_add_func ("/auth/client/after-the-end", test_after_the_end);
  return g_test_run ();
}
