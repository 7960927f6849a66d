/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Channel binding of SCRAM: libsasl2's own client at the other end, and clients that say what they should not.
 */
#include "auth-fixture.h"

#include <string.h>

#define SASLDB                                                       \
  "backend=sasldb\nsasldb-path=@SCRATCH@/sasldb2\nfailure-delay=0\n" \
  "client-mechanisms=SCRAM-SHA-256-PLUS;SCRAM-SHA-1-PLUS;SCRAM-SHA-512-PLUS;SCRAM-SHA-256;PLAIN\n"
#define BARE "n=alice,r=fyko+d2lbbFgONRv9qkxdawL"

static AuthFixture *
with_alice (const char *more)
{
  g_autofree char *keys = g_strconcat (SASLDB, more, NULL);
  AuthFixture *fixture = auth_fixture_new (keys);

  auth_fixture_add_user (fixture, "mail.example.org", "alice", "wonder");
  return fixture;
}

/* Under TLS, with @data (nullable) as the binding of @kind. */
static RookAuthPeer
bound_peer (RookTlsBinding kind, const char *data)
{
  RookAuthPeer peer = auth_peer (PEER_TLS);

  if (data != NULL)
    peer.bindings[kind] = g_bytes_new (data, strlen (data));
  return peer;
}

static RookAuthExchange *
bound_exchange (AuthFixture *fixture, const char *mechanism, RookTlsBinding kind, const char *data)
{
  RookAuthPeer peer = bound_peer (kind, data);

  return rook_auth_exchange_new_for_peer (fixture->auth, rook_loop_get_main_worker (fixture->loop), &peer, mechanism);
}

static RookAuthClient *
bound_client (AuthFixture *fixture, const char *offered, RookTlsBinding kind, const char *data, GError **error)
{
  const char *const mechanisms[] = { offered, NULL };
  RookAuthPeer peer = bound_peer (kind, data);
  RookAuthClient *client = rook_auth_client_new_for_peer (fixture->auth, &peer, "imap", "mail.example.org", mechanisms,
                                                          "alice", NULL, "wonder", error);

  rook_auth_peer_clear (&peer);
  return client;
}

static void
converse (AuthFixture *fixture, const char *mechanism, RookTlsBinding kind, const char *client_data,
          const char *server_data, Answer *answer)
{
  RookAuthClient *client = bound_client (fixture, mechanism, kind, client_data, NULL);
  g_autoptr (RookAuthExchange) exchange = bound_exchange (fixture, mechanism, kind, server_data);
  GBytes *response = NULL;
  gboolean ok = rook_auth_client_step (client, NULL, &response, NULL);

  g_assert_cmpstr (rook_auth_client_get_mechanism (client), ==, mechanism);
  while (ok)
    {
      answer_clear (answer);
      rook_auth_exchange_step (exchange, response, answer_callback, answer);
      auth_fixture_wait (fixture, answer);
      g_clear_pointer (&response, g_bytes_unref);
      ok = answer->challenge != NULL && rook_auth_client_step (client, answer->challenge, &response, NULL);
    }
  g_assert_null (response);
  rook_auth_client_free (client);
}

static void
test_same_channel (void)
{
  static const char *const mechanisms[] = { "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS" };
  g_autoptr (AuthFixture) fixture = with_alice ("");
  g_auto (Answer) answer = { 0 };

  for (guint i = 0; i < G_N_ELEMENTS (mechanisms); i++)
    for (guint kind = 0; kind < ROOK_TLS_N_BINDINGS; kind++)
      {
        converse (fixture, mechanisms[i], kind, "the channel", "the channel", &answer);
        assert_user (&answer, "alice");
      }
}

static void
test_other_channel (void)
{
  g_autoptr (AuthFixture) fixture = with_alice ("");
  g_auto (Answer) answer = { 0 };

  converse (fixture, "SCRAM-SHA-256-PLUS", ROOK_TLS_EXPORTER, "to the thief", "from the thief", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
  converse (fixture, "SCRAM-SHA-256-PLUS", ROOK_TLS_EXPORTER, "short", "longer", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
}

static void
expect_first (AuthFixture *fixture, const char *mechanism, const char *server_data, const char *first, gboolean goes_on)
{
  g_autoptr (RookAuthExchange) at_once = bound_exchange (fixture, mechanism, ROOK_TLS_EXPORTER, server_data);
  g_autoptr (RookAuthExchange) asked = bound_exchange (fixture, mechanism, ROOK_TLS_EXPORTER, server_data);
  g_auto (Answer) answer = { 0 };

  auth_fixture_step (fixture, at_once, first, -1, &answer);
  g_assert_true ((answer.challenge != NULL) == goes_on);
  if (!goes_on)
    assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
  auth_fixture_step (fixture, asked, NULL, 0, &answer);
  g_assert_nonnull (answer.challenge);
  auth_fixture_step (fixture, asked, first, -1, &answer);
  g_assert_true ((answer.challenge != NULL) == goes_on);
}

static void
test_thinks_none_was_offered (void)
{
  g_autoptr (AuthFixture) fixture = with_alice ("");

  expect_first (fixture, "SCRAM-SHA-256", "channel", "y,," BARE, FALSE);
  expect_first (fixture, "SCRAM-SHA-256", NULL, "y,," BARE, TRUE);
  expect_first (fixture, "SCRAM-SHA-256", "channel", "n,," BARE, TRUE);
}

static void
test_none_was_offered (void)
{
  g_autoptr (AuthFixture) fixture = with_alice ("mechanisms=SCRAM-SHA-256;SCRAM-SHA-1-PLUS\n");

  expect_first (fixture, "SCRAM-SHA-256", "channel", "y,," BARE, TRUE);
  expect_first (fixture, "SCRAM-SHA-256", "channel", "p=tls-exporter,," BARE, FALSE);
}

static void
test_plus_and_binding_go_together (void)
{
  g_autoptr (AuthFixture) fixture = with_alice ("");

  expect_first (fixture, "SCRAM-SHA-256-PLUS", "channel", "p=tls-exporter,," BARE, TRUE);
  expect_first (fixture, "SCRAM-SHA-256-PLUS", "channel", "n,," BARE, FALSE);
  expect_first (fixture, "SCRAM-SHA-256-PLUS", "channel", "y,," BARE, FALSE);
  expect_first (fixture, "SCRAM-SHA-256", "channel", "p=tls-exporter,," BARE, TRUE); /* as libsasl2 has it */
  expect_first (fixture, "SCRAM-SHA-256", "channel", "p=tls-unique,," BARE, FALSE);
  expect_first (fixture, "SCRAM-SHA-256", NULL, "p=tls-exporter,," BARE, FALSE);
}

static void
test_other_kind (void)
{
  static const char *const firsts[] = { "p=tls-unique,," BARE,
                                        "p=tls-server-end-point,," BARE,
                                        "p=tls-exporte,," BARE,
                                        "p=tls-exporters,," BARE,
                                        "p=,," BARE,
                                        "p=tls-exporter",
                                        "p,," BARE,
                                        "ptls-exporter,," BARE,
                                        "p=" };
  g_autoptr (AuthFixture) fixture = with_alice ("");

  for (guint i = 0; i < G_N_ELEMENTS (firsts); i++)
    expect_first (fixture, "SCRAM-SHA-256-PLUS", "channel", firsts[i], FALSE);
}

/* Both must be given the same answer, or a client could ask who exists. */
static void
test_unknown_user (void)
{
  g_autoptr (AuthFixture) fixture = with_alice ("");

  expect_first (fixture, "SCRAM-SHA-256-PLUS", "channel", "p=tls-exporter,,n=nobody,r=fyko+d2lbbFgONRv9qkxdawL", TRUE);
  expect_first (fixture, "SCRAM-SHA-256", "channel", "y,,n=nobody,r=fyko+d2lbbFgONRv9qkxdawL", FALSE);
}

static void
test_client_needs_a_channel (void)
{
  g_autoptr (AuthFixture) fixture = with_alice ("");
  g_autoptr (GError) error = NULL;
  RookAuthClient *client = bound_client (fixture, "scram-sha-256-plus", ROOK_TLS_EXPORTER, "channel", &error);

  g_assert_no_error (error);
  g_assert_cmpstr (rook_auth_client_get_mechanism (client), ==, "SCRAM-SHA-256-PLUS");
  rook_auth_client_free (client);
  g_assert_null (bound_client (fixture, "SCRAM-SHA-256-PLUS", ROOK_TLS_EXPORTER, NULL, &error));
  g_assert_error (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_MECHANISM);
}

static void
test_binding_is_scram_s (void)
{
  g_assert_true (rook_mechanism_is_installed ("SCRAM-SHA-256-PLUS"));
  g_assert_false (rook_mechanism_is_installed ("PLAIN-PLUS"));
  g_assert_false (rook_mechanism_is_installed ("GSSAPI-PLUS"));
  g_assert_false (rook_mechanism_is_installed ("LOGIN-PLUS"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/auth/binding/same-channel", test_same_channel);
  g_test_add_func ("/auth/binding/another-channel-is-refused", test_other_channel);
  g_test_add_func ("/auth/binding/client-that-thinks-none-was-offered-is-refused", test_thinks_none_was_offered);
  g_test_add_func ("/auth/binding/client-that-knows-none-was-offered-goes-on", test_none_was_offered);
  g_test_add_func ("/auth/binding/plus-and-binding-go-together", test_plus_and_binding_go_together);
  g_test_add_func ("/auth/binding/another-kind-is-refused", test_other_kind);
  g_test_add_func ("/auth/binding/unknown-user-looks-the-same", test_unknown_user);
  g_test_add_func ("/auth/binding/client-needs-a-channel", test_client_needs_a_channel);
  g_test_add_func ("/auth/binding/is-for-scram-alone", test_binding_is_scram_s);
  return g_test_run ();
}
