/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mechanisms, spoken by libsasl2's own client: SCRAM, CRAM-MD5, DIGEST-MD5 with its security layer, EXTERNAL,
 * ANONYMOUS; and what is not what a mechanism expects.
 */
#include "../lib/test-budget.h"
#include "auth-fixture.h"

#include <string.h>

/* DIGEST-MD5 leaks by way of OpenSSL, whose frames the leak checker's fast way through the stack does not see: its
 * exception (tests/lib/lsan.supp) needs the slow one. */
extern const char *__asan_default_options (void) __attribute__ ((visibility ("default")));

const char *
__asan_default_options (void)
{
  return "fast_unwind_on_malloc=0";
}

#define SASLDB "backend=sasldb\nsasldb-path=@SCRATCH@/sasldb2\nfailure-delay=0\nadmins=boss\n"
#define ALL "mechanisms=PLAIN;LOGIN;SCRAM-SHA-256;SCRAM-SHA-1;EXTERNAL;CRAM-MD5;DIGEST-MD5;ANONYMOUS\n"

static AuthFixture *
with_users (const char *more)
{
  g_autofree char *keys = g_strconcat (SASLDB, more, NULL);
  AuthFixture *fixture = auth_fixture_new (keys);

  auth_fixture_add_user (fixture, "mail.example.org", "alice", "wonder");
  auth_fixture_add_user (fixture, "mail.example.org", "boss", "chief");
  auth_fixture_add_user (fixture, "two.example", "alice", "other");
  return fixture;
}

/* --- libsasl2's client -------------------------------------------------------------------------------------------- */

typedef struct {
  sasl_conn_t *sasl;
  sasl_callback_t callbacks[6];
  const char *authcid, *authzid, *realm;
  sasl_secret_t *secret;
} Client;

static int
client_name (void *context, int id, const char **result, unsigned *length)
{
  Client *client = context;

  *result = id == SASL_CB_USER ? client->authzid : client->authcid;
  if (length != NULL)
    *length = (unsigned) strlen (*result);
  return SASL_OK;
}

static int
client_secret (G_GNUC_UNUSED sasl_conn_t *conn, void *context, G_GNUC_UNUSED int id, sasl_secret_t **out_secret)
{
  Client *client = context;

  *out_secret = client->secret;
  return SASL_OK;
}

static int
client_realm (void *context, G_GNUC_UNUSED int id, G_GNUC_UNUSED const char **offered, const char **result)
{
  Client *client = context;

  *result = client->realm;
  return SASL_OK;
}

static Client *
client_new (const char *authcid, const char *password, const char *authzid, guint max_ssf)
{
  Client *client = g_new0 (Client, 1);
  sasl_security_properties_t properties = { .max_ssf = max_ssf, .maxbufsize = max_ssf > 0 ? 4096 : 0 };

  g_assert_true (rook_sasl_start ());
  client->authcid = authcid;
  client->authzid = authzid;
  client->realm = "mail.example.org";
  client->secret = g_malloc0 (sizeof (sasl_secret_t) + strlen (password) + 1);
  client->secret->len = strlen (password);
  memcpy (client->secret->data, password, strlen (password));
  client->callbacks[0] = (sasl_callback_t){ SASL_CB_USER, ROOK_SASL_PROC (client_name), client };
  client->callbacks[1] = (sasl_callback_t){ SASL_CB_AUTHNAME, ROOK_SASL_PROC (client_name), client };
  client->callbacks[2] = (sasl_callback_t){ SASL_CB_PASS, ROOK_SASL_PROC (client_secret), client };
  client->callbacks[3] = (sasl_callback_t){ SASL_CB_GETREALM, ROOK_SASL_PROC (client_realm), client };
  client->callbacks[4] = (sasl_callback_t){ SASL_CB_LOG, ROOK_SASL_PROC (rook_sasl_quiet), NULL };
  client->callbacks[5] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
  g_assert_cmpint (sasl_client_new ("imap", "mail.example.org", NULL, NULL, client->callbacks, 0, &client->sasl), ==,
                   SASL_OK);
  g_assert_cmpint (sasl_setprop (client->sasl, SASL_SEC_PROPS, &properties), ==, SASL_OK);
  return client;
}

static void
client_free (Client *client)
{
  sasl_dispose (&client->sasl);
  g_free (client->secret);
  g_free (client);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Client, client_free)

/* The whole exchange; @answer is how it ended. Returns: how many challenges there were. */
static guint
converse (AuthFixture *fixture, RookAuthExchange *exchange, Client *client, const char *mechanism, Answer *answer)
{
  const char *out = NULL, *chosen;
  unsigned length = 0;
  guint n = 0;

  g_assert_cmpint (sasl_client_start (client->sasl, mechanism, NULL, &out, &length, &chosen), >=, SASL_OK);
  auth_fixture_step (fixture, exchange, out, (gssize) length, answer);
  while (answer->challenge != NULL)
    {
      gsize size;
      const char *data = g_bytes_get_data (answer->challenge, &size);
      g_autofree char *copy = g_strndup (size > 0 ? data : "", size);

      n++;
      out = NULL;
      length = 0;
      if (sasl_client_step (client->sasl, copy, (unsigned) size, NULL, &out, &length) < SASL_OK)
        return n;
      auth_fixture_step (fixture, exchange, out != NULL ? out : "", (gssize) length, answer);
    }
  return n;
}

static guint
attempt (AuthFixture *fixture, PeerKind kind, const char *mechanism, const char *user, const char *password,
         const char *authzid, Answer *answer)
{
  g_autoptr (Client) client = client_new (user, password, authzid, 0);
  g_autoptr (RookAuthExchange) exchange = auth_fixture_exchange (fixture, kind, mechanism);

  return converse (fixture, exchange, client, mechanism, answer);
}

/* --- SCRAM and other shared secrets ------------------------------------------------------------------------------- */

static void
test_secret_mechanism (gconstpointer data)
{
  const char *mechanism = data;
  g_autoptr (AuthFixture) fixture = with_users (ALL "virtual-domains=true\n");
  g_auto (Answer) answer = { 0 };

  attempt (fixture, PEER_CLEAR, mechanism, "alice", "wonder", "", &answer);
  assert_user (&answer, "alice");
  attempt (fixture, PEER_CLEAR, mechanism, "alice", "wrong", "", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
  attempt (fixture, PEER_CLEAR, mechanism, "nobody", "wonder", "", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
  attempt (fixture, PEER_TLS, mechanism, "boss", "chief", "", &answer);
  assert_user (&answer, "boss");
  g_assert_true (rook_identity_is_admin (answer.identity));
}

static void
test_scram_other_realm (void)
{
  g_autoptr (AuthFixture) fixture = with_users ("virtual-domains=true\n");
  g_auto (Answer) answer = { 0 };

  attempt (fixture, PEER_CLEAR, "SCRAM-SHA-256", "alice@two.example", "other", "", &answer);
  assert_user (&answer, "alice@two.example");
  attempt (fixture, PEER_CLEAR, "SCRAM-SHA-256", "alice@two.example", "wonder", "", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
  attempt (fixture, PEER_CLEAR, "SCRAM-SHA-256", "alice@mail.example.org", "wonder", "", &answer);
  assert_user (&answer, "alice");
}

static void
test_scram_acting_as_another (void)
{
  g_autoptr (AuthFixture) fixture = with_users ("");
  g_auto (Answer) answer = { 0 };

  attempt (fixture, PEER_CLEAR, "SCRAM-SHA-1", "boss", "chief", "alice", &answer);
  assert_user (&answer, "alice");
  g_assert_true (rook_identity_is_proxied (answer.identity));
  attempt (fixture, PEER_CLEAR, "SCRAM-SHA-1", "alice", "wonder", "boss", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_NOT_AUTHORIZED);
  attempt (fixture, PEER_CLEAR, "SCRAM-SHA-1", "alice", "wonder", "alice", &answer);
  assert_user (&answer, "alice");
}

/* Ten minutes would be held back after a counted one: nobody would wait. A wrong password counts whatever the name. */
static void
test_refused_authzid_is_no_guess (gconstpointer data)
{
  static const char *const refused[] = { "boss", "a/b", "nobody" };
  const char *mechanism = data;
  g_autoptr (AuthFixture) fixture = auth_fixture_new ("backend=sasldb\nsasldb-path=@SCRATCH@/sasldb2\n"
                                                      "failure-delay=10m\nfailure-delay-cap=1h\nadmins=boss\n");
  g_auto (Answer) answer = { 0 };

  auth_fixture_add_user (fixture, "mail.example.org", "alice", "wonder");
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++)
    {
      attempt (fixture, PEER_TLS, mechanism, "alice", "wonder", refused[i], &answer);
      assert_failed (&answer, ROOK_AUTH_ERROR_NOT_AUTHORIZED);
      auth_fixture_login (fixture, PEER_TLS, "alice", "wonder", refused[i], &answer);
      assert_failed (&answer, ROOK_AUTH_ERROR_NOT_AUTHORIZED);
    }
  attempt (fixture, PEER_TLS, mechanism, "alice", "wonder", "", &answer);
  assert_user (&answer, "alice");
  g_assert_cmpuint (rook_throttle_get_size (fixture->auth->throttle), ==, 0);
  attempt (fixture, PEER_TLS, mechanism, "alice", "wrong", "boss", &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_FAILED);
  g_assert_cmpuint (rook_throttle_get_size (fixture->auth->throttle), ==, 2);
}

/* The server's first message: "r=...,s=SALT,i=4096". */
static char *
scram_challenge (AuthFixture *fixture, const char *user)
{
  g_autoptr (RookAuthExchange) exchange = auth_fixture_exchange (fixture, PEER_CLEAR, "SCRAM-SHA-256");
  g_autofree char *first = g_strdup_printf ("n,,n=%s,r=nonce", user);
  g_auto (Answer) answer = { 0 };

  auth_fixture_step (fixture, exchange, first, -1, &answer);
  g_assert_nonnull (answer.challenge);
  return g_strndup (g_bytes_get_data (answer.challenge, NULL), g_bytes_get_size (answer.challenge));
}

static void
test_scram_hides_who_exists (void)
{
  g_autoptr (AuthFixture) fixture = with_users ("");
  g_autofree char *alice = scram_challenge (fixture, "alice"), *nobody = scram_challenge (fixture, "nobody");
  g_autofree char *again = scram_challenge (fixture, "nobody");
  g_auto (Answer) answer = { 0 };

  g_assert_cmpuint (strlen (alice), ==, strlen (nobody));
  /* A user's salt is the same each time; one that changed would tell. */
  g_assert_cmpstr (strstr (nobody, ",s="), ==, strstr (again, ",s="));
  g_assert_cmpstr (strstr (alice, ",s="), !=, strstr (nobody, ",s="));
  g_assert_cmpuint (attempt (fixture, PEER_CLEAR, "SCRAM-SHA-256", "nobody", "x", "", &answer), ==, 1);
}

/* --- security layers ---------------------------------------------------------------------------------------------- */

static RookAuthLayer *
digest_layer (AuthFixture *fixture, Client *client, PeerKind kind)
{
  g_autoptr (RookAuthExchange) exchange = auth_fixture_exchange (fixture, kind, "DIGEST-MD5");
  g_auto (Answer) answer = { 0 };
  RookAuthLayer *layer = NULL, *second = NULL;

  converse (fixture, exchange, client, "DIGEST-MD5", &answer);
  assert_user (&answer, "alice");
  g_assert_cmpint (rook_auth_exchange_get_layer (exchange, &layer), ==, layer != NULL);
  g_assert_false (rook_auth_exchange_get_layer (exchange, &second));
  return layer;
}

/* Our side and the client's, both ways, with wire data cut anywhere. The exchange is gone already. */
static void
test_layer (void)
{
  g_autoptr (AuthFixture) fixture = with_users (ALL);
  g_autoptr (Client) client = client_new ("alice", "wonder", "", 128);
  g_autoptr (RookAuthLayer) layer = digest_layer (fixture, client, PEER_CLEAR);
  g_autoptr (GByteArray) wire = g_byte_array_new (), plain = g_byte_array_new ();
  g_autofree char *text = g_strnfill (100000, 'x');
  const char *out;
  unsigned length;

  g_assert_cmpuint (rook_auth_layer_get_ssf (layer), ==, 128);
  g_assert_cmpuint (rook_auth_layer_get_max_plain (layer), <=, 4096);
  g_assert_true (rook_auth_layer_encode (layer, (const guint8 *) text, strlen (text), wire, NULL));
  g_assert_null (memmem (wire->data, wire->len, "xxxxxxxx", 8));
  for (guint i = 0; i < wire->len; i += 1000)
    {
      g_assert_cmpint (sasl_decode (client->sasl, (char *) wire->data + i, MIN (1000, wire->len - i), &out, &length),
                       ==, SASL_OK);
      g_byte_array_append (plain, (const guint8 *) out, length);
    }
  g_assert_cmpmem (plain->data, plain->len, text, strlen (text));

  g_byte_array_set_size (plain, 0);
  g_assert_cmpint (sasl_encode (client->sasl, "a1 NOOP\r\n", 9, &out, &length), ==, SASL_OK);
  for (unsigned i = 0; i < length; i++)
    g_assert_true (rook_auth_layer_decode (layer, (const guint8 *) out + i, 1, plain, NULL));
  g_assert_cmpmem (plain->data, plain->len, "a1 NOOP\r\n", 9);
}

static void
test_forged_frame (void)
{
  g_autoptr (AuthFixture) fixture = with_users (ALL);
  g_autoptr (Client) client = client_new ("alice", "wonder", "", 128);
  g_autoptr (RookAuthLayer) layer = digest_layer (fixture, client, PEER_CLEAR);
  g_autoptr (GByteArray) plain = g_byte_array_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *copy = NULL;
  const char *out;
  unsigned length;

  g_assert_cmpint (sasl_encode (client->sasl, "a1 NOOP\r\n", 9, &out, &length), ==, SASL_OK);
  copy = g_memdup2 (out, length);
  copy[6] ^= 1;
  g_assert_false (rook_auth_layer_decode (layer, (const guint8 *) copy, length, plain, &error));
  g_assert_error (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_PROTOCOL);
  g_assert_cmpuint (plain->len, ==, 0);
}

static void
test_huge_frame (void)
{
  static const guint8 header[] = { 0x7f, 0xff, 0xff, 0xff, 0, 0 };
  g_autoptr (AuthFixture) fixture = with_users (ALL);
  g_autoptr (Client) client = client_new ("alice", "wonder", "", 128);
  g_autoptr (RookAuthLayer) layer = digest_layer (fixture, client, PEER_CLEAR);
  g_autoptr (GByteArray) plain = g_byte_array_new ();
  g_autoptr (GError) error = NULL;

  g_assert_false (rook_auth_layer_decode (layer, header, sizeof header, plain, &error));
  g_assert_error (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_PROTOCOL);
}

static void
test_no_layer (void)
{
  g_autoptr (AuthFixture) fixture = with_users (ALL);
  g_autoptr (AuthFixture) without G_GNUC_UNUSED = NULL;
  g_autoptr (Client) strong = client_new ("alice", "wonder", "", 128), weak = client_new ("alice", "wonder", "", 0);
  g_autoptr (RookAuthExchange) exchange = auth_fixture_exchange (fixture, PEER_TLS, "PLAIN");
  g_auto (Answer) answer = { 0 };
  RookAuthLayer *layer = NULL;

  g_assert_null (digest_layer (fixture, strong, PEER_TLS));
  g_assert_null (digest_layer (fixture, weak, PEER_CLEAR));
  auth_fixture_step (fixture, exchange, "\0alice\0wonder", 13, &answer);
  g_assert_false (rook_auth_exchange_get_layer (exchange, &layer));
}

/* --- EXTERNAL and ANONYMOUS --------------------------------------------------------------------------------------- */

static void
external (AuthFixture *fixture, const char *name, const char *response, gssize length, Answer *answer)
{
  RookAuthPeer peer = auth_peer (PEER_TLS);
  g_autoptr (RookAuthExchange) exchange = NULL;

  peer.tls_name = g_strdup (name);
  exchange =
      rook_auth_exchange_new_for_peer (fixture->auth, rook_loop_get_main_worker (fixture->loop), &peer, "EXTERNAL");
  auth_fixture_step (fixture, exchange, response, length, answer);
}

static void
test_external (void)
{
  g_autoptr (AuthFixture) fixture = auth_fixture_new ("admins=boss\nfailure-delay=0\n");
  g_auto (Answer) answer = { 0 };

  external (fixture, "alice", "", -1, &answer);
  assert_user (&answer, "alice");
  external (fixture, "alice@MAIL.example.org", "alice", -1, &answer);
  assert_user (&answer, "alice");
  external (fixture, "alice", "boss", -1, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_NOT_AUTHORIZED);
  external (fixture, "boss", "alice", -1, &answer);
  assert_user (&answer, "alice");
  g_assert_true (rook_identity_is_proxied (answer.identity));
  external (fixture, NULL, "", -1, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_MECHANISM);
  external (fixture, "boss", "alice\0x", 7, &answer);
  g_assert_null (answer.identity);
  external (fixture, "../etc", "", -1, &answer);
  g_assert_null (answer.identity);
}

static void
test_anonymous (void)
{
  g_autoptr (AuthFixture) fixture = with_users (ALL);
  g_autoptr (RookAuthExchange) exchange = auth_fixture_exchange (fixture, PEER_CLEAR, "ANONYMOUS");
  g_auto (Answer) answer = { 0 };

  auth_fixture_step (fixture, exchange, "trace@example", -1, &answer);
  assert_user (&answer, "anonymous");
}

static void
test_not_offered (void)
{
  static const char *const never[] = { "ANONYMOUS", "SRP", "OTP", "NTLM", "CRAM-MD5", "DIGEST-MD5", "NO-SUCH", "" };
  g_autoptr (AuthFixture) fixture = with_users ("");
  g_auto (Answer) answer = { 0 };

  for (guint i = 0; i < G_N_ELEMENTS (never); i++)
    {
      g_autoptr (RookAuthExchange) exchange = auth_fixture_exchange (fixture, PEER_TLS, never[i]);

      auth_fixture_step (fixture, exchange, NULL, 0, &answer);
      assert_failed (&answer, ROOK_AUTH_ERROR_MECHANISM);
    }
}

/* --- not what is expected ----------------------------------------------------------------------------------------- */

static void
base64_step (AuthFixture *fixture, const char *mechanism, const char *text, gboolean initial, Answer *answer)
{
  g_autoptr (RookAuthExchange) exchange = auth_fixture_exchange (fixture, PEER_TLS, mechanism);

  answer_clear (answer);
  rook_auth_exchange_step_base64 (exchange, text, initial, answer_callback, answer);
  g_assert_false (answer->came);
  auth_fixture_wait (fixture, answer);
}

static void
test_base64_steps (void)
{
  g_autoptr (AuthFixture) fixture = with_users ("maximum-response=1K\n");
  g_autofree char *long_text = g_strnfill (1028, 'A');
  g_auto (Answer) answer = { 0 };

  base64_step (fixture, "PLAIN", "AGFsaWNlAHdvbmRlcg==", TRUE, &answer);
  assert_user (&answer, "alice");
  base64_step (fixture, "PLAIN", "AGFsaWNlAHdvbmRlcg=", TRUE, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_PROTOCOL);
  base64_step (fixture, "PLAIN", "*", FALSE, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_CANCELLED);
  base64_step (fixture, "PLAIN", "*", TRUE, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_CANCELLED);
  base64_step (fixture, "PLAIN", "=", FALSE, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_PROTOCOL);
  base64_step (fixture, "PLAIN", "=", TRUE, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_PROTOCOL);
  base64_step (fixture, "PLAIN", long_text, TRUE, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_PROTOCOL);
  base64_step (fixture, "SCRAM-SHA-256", "bm90IHNjcmFt", TRUE, &answer);
  assert_failed (&answer, ROOK_AUTH_ERROR_PROTOCOL);
}

static void
test_garbage (void)
{
  static const char *const mechanisms[] = {
    "PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "DIGEST-MD5"
  };
  g_autoptr (AuthFixture) fixture = with_users (ALL);
  gint64 end = test_budget_end (0.1);

  for (guint i = 0; i < 300 || g_get_monotonic_time () < end; i++)
    {
      const char *mechanism = mechanisms[i % G_N_ELEMENTS (mechanisms)];
      g_autoptr (RookAuthExchange) exchange = auth_fixture_exchange (fixture, PEER_TLS, mechanism);
      g_auto (Answer) answer = { 0 };

      if (i % 2 == 0)
        auth_fixture_step (fixture, exchange, NULL, 0, &answer);
      for (guint step = 0; step < 4 && (step == 0 || answer.challenge != NULL); step++)
        {
          char bytes[64];

          for (guint j = 0; j < sizeof bytes; j++)
            bytes[j] = (char) g_test_rand_int ();
          auth_fixture_step (fixture, exchange, bytes, g_test_rand_int_range (0, sizeof bytes), &answer);
          g_assert_null (answer.identity);
        }
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/auth/mechanism/scram-sha-256", "SCRAM-SHA-256", test_secret_mechanism);
  g_test_add_data_func ("/auth/mechanism/scram-sha-1", "SCRAM-SHA-1", test_secret_mechanism);
  g_test_add_data_func ("/auth/mechanism/cram-md5", "CRAM-MD5", test_secret_mechanism);
  g_test_add_data_func ("/auth/mechanism/digest-md5", "DIGEST-MD5", test_secret_mechanism);
  g_test_add_func ("/auth/mechanism/scram-of-another-realm", test_scram_other_realm);
  g_test_add_func ("/auth/mechanism/scram-acting-as-another", test_scram_acting_as_another);
  g_test_add_data_func ("/auth/delay/refused-authzid-is-no-guess/plain", "PLAIN", test_refused_authzid_is_no_guess);
  g_test_add_data_func ("/auth/delay/refused-authzid-is-no-guess/scram", "SCRAM-SHA-256",
                        test_refused_authzid_is_no_guess);
  g_test_add_func ("/auth/mechanism/scram-hides-who-exists", test_scram_hides_who_exists);
  g_test_add_func ("/auth/layer/both-ways", test_layer);
  g_test_add_func ("/auth/layer/forged-frame", test_forged_frame);
  g_test_add_func ("/auth/layer/huge-frame", test_huge_frame);
  g_test_add_func ("/auth/layer/none-under-tls-or-unless-asked", test_no_layer);
  g_test_add_func ("/auth/mechanism/external", test_external);
  g_test_add_func ("/auth/mechanism/anonymous-if-named", test_anonymous);
  g_test_add_func ("/auth/mechanism/not-offered", test_not_offered);
  g_test_add_func ("/auth/exchange/base64", test_base64_steps);
  g_test_add_func ("/auth/exchange/garbage", test_garbage);
  return g_test_run ();
}
