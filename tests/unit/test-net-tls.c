/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * TLS over real sockets: handshakes, certificates of both sides, and what a reload does to them.
 */
#include "net-tls.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/config-private.h"
#include "net/tls-context.h"
#include <glib/gstdio.h>

/* A client that trusts the certificate @name (nullable). */
static SSL_CTX *
client_ctx (const char *name)
{
  SSL_CTX *ctx = SSL_CTX_new (TLS_client_method ());
  g_autofree char *file = g_strconcat (name != NULL ? name : "a", ".pem", NULL);
  g_autofree char *path = g_build_filename (certificates, file, NULL);

  g_assert_cmpint (SSL_CTX_load_verify_file (ctx, path), ==, 1);
  if (name != NULL)
    SSL_CTX_set_verify (ctx, SSL_VERIFY_PEER, NULL);
  return ctx;
}

static void
test_implicit (void)
{
  g_autoptr (SSL_CTX) ctx = client_ctx ("a");
  g_autoptr (Fixture) fixture = tls_fixture_new ("");
  g_autoptr (Client) client = client_new (fixture, "secure");

  g_assert_true (client_start_tls (client, ctx, "a.example"));
  client_expect (client, "HELLO");
  client_send (client, "TLS\r\nSEND 20000000\r\nECHO x\r\n");
  client_expect (client, "TLSv1.3 -");
  client_skip (client, 20000000);
  client_expect (client, "SENT");
  client_expect (client, "x");
  client_send (client, "LOGIN a\r\nLIT 1000000\r\n");
  client_expect (client, "IN");
  {
    g_autofree char *block = g_malloc0 (1000000);

    client_send_bytes (client, block, 1000000);
  }
  client_expect (client, "GOT 1000000");
  client_send (client, "QUIT\r\n");
  client_expect (client, "BYE");
  client_expect_eof (client);
  g_assert_cmpint (SSL_get_shutdown (client->ssl), ==, SSL_RECEIVED_SHUTDOWN); /* properly closed, not cut */
}

static void
test_starttls (void)
{
  g_autoptr (SSL_CTX) ctx = client_ctx ("a");
  g_autoptr (Fixture) fixture = tls_fixture_new ("");
  g_autoptr (Client) client = client_greeted (fixture, "clear");
  g_autofree char *answer = NULL;

  client_send (client, "TLS\r\nSTARTTLS\r\n");
  client_expect (client, "clear -");
  client_expect (client, "BEGIN");
  g_assert_true (client_start_tls (client, ctx, NULL));
  client_send (client, "TLS\r\n");
  client_expect (client, "TLSv1.3 -");
  client_send (client, "STARTTLS\r\n");
  client_expect (client, "BEGIN");
  answer = client_read_line (client);
  g_assert_true (g_str_has_prefix (answer, "NO "));
  client_send (client, "ECHO still up\r\n");
  client_expect (client, "still up");
}

/* What somebody put behind STARTTLS in clear is never taken for what the client says under TLS. */
static void
test_starttls_injection (void)
{
  static const char *const injected[] = { "STARTTLS\r\nECHO injected\r\n", "STARTTLS\r\nECHO inj", "STARTTLS\r\n\r\n",
                                          "STARTTLS\r\nECHO a\r\nECHO b\r\nLIT 10\r\n" };
  g_autoptr (SSL_CTX) ctx = client_ctx ("a");
  g_autoptr (Fixture) fixture = tls_fixture_new ("");

  for (guint i = 0; i < G_N_ELEMENTS (injected); i++)
    {
      g_autoptr (Client) client = client_greeted (fixture, "clear");

      client_send (client, injected[i]);
      client_expect (client, "BEGIN");
      g_assert_true (client_start_tls (client, ctx, NULL));
      client_send (client, "ECHO mine\r\n");
      client_expect (client, "mine");
      g_assert_false (client_has_input (client, 20));
    }
}

/* The same if it comes in a segment of its own: then the handshake fails. */
static void
test_starttls_late_injection (void)
{
  g_autoptr (Fixture) fixture = tls_fixture_new ("");
  g_autoptr (Client) client = client_greeted (fixture, "clear");

  client_send (client, "STARTTLS\r\n");
  client_expect (client, "BEGIN");
  client_send (client, "ECHO injected\r\n");
  fixture_wait (fixture, (client_has_input (client, 5), client->eof));
  g_assert_null (g_strstr_len (client->input->str, client->input->len, "injected"));
  g_clear_pointer (&client, client_free);
  fixture_wait (fixture, g_atomic_int_get (&fixture->closed) == 1);
  g_assert_cmpint (g_atomic_int_get (&fixture->last_reason), ==, ROOK_NET_ERROR_TLS);
}

static void
test_starttls_not_configured (void)
{
  g_autoptr (Fixture) fixture = tls_fixture_new ("");
  g_autoptr (Client) client = client_greeted (fixture, "plain");

  client_send (client, "STARTTLS\r\nECHO x\r\n");
  client_expect (client, "BEGIN");
  client_expect (client, "NO STARTTLS is not configured here");
  client_expect (client, "x");
}

/* A handshake that stops half-way ends with the login deadline, and never had a session. */
static void
test_half_handshake (void)
{
  static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
  g_autoptr (Fixture) fixture = tls_fixture_new ("[limits]\nlogin-timeout=1500ms\n");
  g_autoptr (Client) half = client_new (fixture, "secure");
  g_autoptr (Client) none = client_new (fixture, "secure");
  g_autoptr (Client) starttls = client_new (fixture, "clear");
  g_autoptr (Client) gone = client_new (fixture, "secure");

  client_send_bytes (half, hello, sizeof hello - 1);
  client_send_bytes (gone, hello, sizeof hello - 1);
  client_free (g_steal_pointer (&gone));
  client_send (starttls, "STARTTLS\r\n");
  client_expect (starttls, "HELLO");
  client_expect (starttls, "BEGIN");
  client_send_bytes (starttls, hello, sizeof hello - 1);
  fixture_wait (fixture, (client_has_input (half, 5), half->eof));
  client_expect_eof (none);
  fixture_wait (fixture, (client_has_input (starttls, 5), starttls->eof));
  g_clear_pointer (&half, client_free);
  g_clear_pointer (&none, client_free);
  g_clear_pointer (&starttls, client_free);
  g_clear_pointer (&gone, client_free);
  fixture_wait (fixture, rook_net_get_n_connections (fixture->net) == 0);
  g_assert_cmpint (g_atomic_int_get (&fixture->opened), ==, 1);
}

static void
test_old_versions_are_refused (void)
{
  g_autoptr (SSL_CTX) ctx = client_ctx ("a");
  g_autoptr (Fixture) fixture = NULL;

  SSL_CTX_set_security_level (ctx, 0);
  SSL_CTX_set_min_proto_version (ctx, TLS1_VERSION);
  SSL_CTX_set_max_proto_version (ctx, TLS1_1_VERSION);
  fixture = tls_fixture_new ("");
  {
    g_autoptr (Client) client = client_new (fixture, "secure");

    g_assert_false (client_start_tls (client, ctx, NULL));
    fixture_wait (fixture, rook_counter_get (fixture->net->metrics.handshakes_failed) == 1);
  }
  SSL_CTX_set_max_proto_version (ctx, TLS1_2_VERSION);
  {
    g_autoptr (Client) client = client_new (fixture, "secure");

    g_assert_true (client_start_tls (client, ctx, NULL));
    client_send (client, "TLS\r\n");
    client_expect (client, "HELLO");
    client_expect (client, "TLSv1.2 -");
  }
}

/* --- certificates ------------------------------------------------------------------------------------------------------------ */

static char *
shown_to (Fixture *fixture, const char *listener, const char *host)
{
  SSL_CTX *ctx = client_ctx (NULL);
  g_autoptr (Client) client = client_new (fixture, listener);
  char name[100] = "";
  X509 *certificate;

  g_assert_true (client_start_tls (client, ctx, host));
  certificate = SSL_get0_peer_certificate (client->ssl);
  X509_NAME_get_text_by_NID (X509_get_subject_name (certificate), NID_commonName, name, sizeof name);
  SSL_CTX_free (ctx);
  return g_strdup (name);
}

#define SHOWN(listener, host, expected)                             \
  do                                                                \
    {                                                               \
      g_autofree char *shown_ = shown_to (fixture, listener, host); \
      g_assert_cmpstr (shown_, ==, expected);                       \
    }                                                               \
  while (0)

static void
test_sni (void)
{
  g_autoptr (Fixture) fixture =
      tls_fixture_new ("[tls b]\ncertificate=%s/b.pem\nprivate-key=%s/b.key\n"
                       "[tls c]\ncertificate=%s/c.pem\nprivate-key=%s/c.key\nnames=*.wild.example;c.other\n"
                       "[listener own]\nprotocol=echo\naddress=127.0.0.1:0\ntls=implicit\ntls-group=b\n");

  SHOWN ("secure", NULL, "a");
  SHOWN ("secure", "a.example", "a");
  SHOWN ("secure", "b.example", "b"); /* by what is in it */
  SHOWN ("secure", "B.EXAMPLE", "b");
  SHOWN ("secure", "x.wild.example", "c"); /* by names */
  SHOWN ("secure", "y.x.wild.example", "a");
  SHOWN ("secure", "wild.example", "a");
  SHOWN ("secure", "c.other", "c");
  SHOWN ("secure", "c.example", "a"); /* names say all */
  SHOWN ("secure", "unknown.example", "a");
  SHOWN ("own", NULL, "b");
  SHOWN ("own", "unknown.example", "b");
  SHOWN ("own", "a.example", "a");
}

static void
test_alpn (void)
{
  static const guint8 ours[] = "\x08http/1.1\x04"
                               "echo";
  static const guint8 others[] = "\x08http/1.1";
  g_autoptr (SSL_CTX) ctx = client_ctx ("a");
  const guint8 *chosen = NULL;
  guint length = 0;
  g_autoptr (Fixture) fixture = tls_fixture_new ("");

  SSL_CTX_set_alpn_protos (ctx, ours, sizeof ours - 1);
  {
    g_autoptr (Client) client = client_new (fixture, "secure");

    g_assert_true (client_start_tls (client, ctx, NULL));
    SSL_get0_alpn_selected (client->ssl, &chosen, &length);
    g_assert_cmpmem (chosen, length, "echo", 4);
  }
  SSL_CTX_set_alpn_protos (ctx, others, sizeof others - 1);
  {
    g_autoptr (Client) client = client_new (fixture, "secure");

    g_assert_false (client_start_tls (client, ctx, NULL));
  }
}

static void
use_certificate (SSL_CTX *ctx, const char *name)
{
  g_autofree char *certificate = g_strdup_printf ("%s/%s.pem", certificates, name);
  g_autofree char *key = g_strdup_printf ("%s/%s.key", certificates, name);

  g_assert_cmpint (SSL_CTX_use_certificate_file (ctx, certificate, SSL_FILETYPE_PEM), ==, 1);
  g_assert_cmpint (SSL_CTX_use_PrivateKey_file (ctx, key, SSL_FILETYPE_PEM), ==, 1);
}

static void
test_client_certificate (void)
{
  g_autoptr (SSL_CTX) ctx = client_ctx ("a");
  g_autoptr (Fixture) fixture = tls_fixture_new ("[tls]\nclient-ca=%s/b.pem\n");
  g_autoptr (Client) client = client_new (fixture, "secure");

  g_assert_true (client_start_tls (client, ctx, NULL));
  client_send (client, "TLS\r\n");
  client_expect (client, "HELLO");
  client_expect (client, "TLSv1.3 -"); /* asked, not forced */
  g_clear_pointer (&client, client_free);
  use_certificate (ctx, "b");
  client = client_new (fixture, "secure");
  g_assert_true (client_start_tls (client, ctx, NULL));
  client_send (client, "TLS\r\n");
  client_expect (client, "HELLO");
  client_expect (client, "TLSv1.3 b");
  g_clear_pointer (&client, client_free);
  use_certificate (ctx, "c"); /* which nobody vouches for */
  client = client_new (fixture, "secure");
  client_start_tls (client, ctx, NULL);
  fixture_wait (fixture, rook_counter_get (fixture->net->metrics.handshakes_failed) == 1);
}

static void
test_client_certificate_required (void)
{
  g_autoptr (SSL_CTX) ctx = client_ctx ("a");
  g_autoptr (Fixture) fixture =
      tls_fixture_new ("[tls]\nclient-ca=%s/b.pem\nrequire-client-certificate=yes\nclient-name=dns\n");
  g_autoptr (Client) client = client_new (fixture, "secure");

  client_start_tls (client, ctx, NULL);
  fixture_wait (fixture, rook_counter_get (fixture->net->metrics.handshakes_failed) == 1);
  g_clear_pointer (&client, client_free);
  use_certificate (ctx, "b");
  client = client_new (fixture, "secure");
  g_assert_true (client_start_tls (client, ctx, NULL));
  client_send (client, "TLS\r\n");
  client_expect (client, "HELLO");
  client_expect (client, "TLSv1.3 b.example");
}

/* Comes to @listener by the name @host, with the certificate @own (nullable). @expected: (nullable) the name that the
 * session has then; NULL: it is refused. @authority: (nullable) who the client is told may vouch for it. */
static void
assert_known_as (Fixture *fixture, const char *listener, const char *host, const char *own, const char *authority,
                 const char *expected)
{
  guint64 failed = rook_counter_get (fixture->net->metrics.handshakes_failed);
  g_autofree char *answer = g_strconcat ("TLSv1.3 ", expected, NULL);
  g_autoptr (Client) client = client_new (fixture, listener);
  g_autoptr (SSL_CTX) ctx = client_ctx (NULL);
  const STACK_OF (X509_NAME) * names;
  char name[100] = "";

  g_test_message ("%s, %s, %s", listener, host, own != NULL ? own : "no certificate");
  if (own != NULL)
    use_certificate (ctx, own);
  client_start_tls (client, ctx, host);
  names = SSL_get0_peer_CA_list (client->ssl);
  if (sk_X509_NAME_num (names) > 0)
    X509_NAME_get_text_by_NID (sk_X509_NAME_value (names, 0), NID_commonName, name, sizeof name);
  g_assert_cmpstr (name, ==, authority != NULL ? authority : "");
  if (expected == NULL)
    fixture_wait (fixture, rook_counter_get (fixture->net->metrics.handshakes_failed) == failed + 1);
  else
    {
      client_send (client, "TLS\r\n");
      client_expect (client, "HELLO");
      client_expect (client, answer);
    }
}

/* The name that a client asks for chooses what it is shown, never whom the listener trusts. */
static void
test_sni_and_client_certificates (void)
{
  static const char *const hosts[] = { "a.example", "b.example", "c.example" };
  g_autoptr (Fixture) fixture =
      tls_fixture_new ("[tls]\nclient-ca=%s/b.pem\nrequire-client-certificate=yes\n"
                       "[tls c]\ncertificate=%s/c.pem\nprivate-key=%s/c.key\nclient-ca=%s/d.pem\nclient-name=dns\n"
                       "[tls open]\ncertificate=%s/b.pem\nprivate-key=%s/b.key\n"
                       "[listener other]\nprotocol=echo\naddress=127.0.0.1:0\ntls=implicit\ntls-group=c\n"
                       "[listener open]\nprotocol=echo\naddress=127.0.0.1:0\ntls=implicit\ntls-group=open\n");

  for (guint i = 0; i < G_N_ELEMENTS (hosts); i++)
    {
      assert_known_as (fixture, "secure", hosts[i], "b", "b", "b");
      assert_known_as (fixture, "secure", hosts[i], "d", "b", NULL);
      assert_known_as (fixture, "secure", hosts[i], NULL, "b", NULL);
      assert_known_as (fixture, "other", hosts[i], "d", "d", "d.example");
      assert_known_as (fixture, "other", hosts[i], "b", "d", NULL);
      assert_known_as (fixture, "other", hosts[i], NULL, "d", "-");
      assert_known_as (fixture, "open", hosts[i], "b", NULL, "-"); /* not asked for */
      assert_known_as (fixture, "open", hosts[i], NULL, NULL, "-");
    }
  SHOWN ("other", "b.example", "b");
}

static RookConfig *
read_config (const char *text)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autofree char *own = with_certificates (text);
  RookConfig *config = rook_config_read_data ("test", own, strlen (own), &mistakes);

  rook_services_declare (config);
  rook_config_validate (config, mistakes);
  g_assert_cmpuint (mistakes->len, ==, 0);
  return config;
}

static SSL_SESSION *
get_ticket (Fixture *fixture, SSL_CTX *ctx)
{
  g_autoptr (Client) client = client_new (fixture, "secure");

  g_assert_true (client_start_tls (client, ctx, NULL));
  client_expect (client, "HELLO"); /* the ticket has come by then */
  SSL_shutdown (client->ssl);      /* else OpenSSL takes the session for a bad one */
  return SSL_get1_session (client->ssl);
}

/* Whether @session goes on. @name: (nullable) what the client is known as then. */
static gboolean
resumes (Fixture *fixture, SSL_CTX *ctx, SSL_SESSION *session, const char *name)
{
  g_autoptr (Client) client = client_new (fixture, "secure");
  SSL *ssl = SSL_new (ctx);
  int code;

  SSL_set_session (ssl, session);
  SSL_set_fd (ssl, client->fd);
  client->ssl = ssl;
  g_assert_true (g_unix_set_fd_nonblocking (client->fd, TRUE, NULL));
  while ((code = SSL_connect (ssl)) != 1 && SSL_get_error (ssl, code) == SSL_ERROR_WANT_READ)
    fixture_iterate (fixture);
  g_assert_cmpint (code, ==, 1);
  client_expect (client, "HELLO");
  client_send (client, "TLS\r\n");
  {
    g_autofree char *known = client_read_line (client);

    g_assert_true (name == NULL || g_str_has_suffix (known, name));
  }
  SSL_shutdown (ssl);
  return SSL_session_reused (ssl);
}

static void
test_reload (void)
{
  g_autoptr (SSL_CTX) ctx = client_ctx (NULL);
  SSL_SESSION *session;
  g_autoptr (Fixture) fixture = tls_fixture_new ("");

  session = get_ticket (fixture, ctx);
  g_assert_true (resumes (fixture, ctx, session, NULL));
  {
    g_autoptr (RookConfig) config = read_config ("[tls]\ncertificate=%s/b.pem\nprivate-key=%s/b.key\n" LISTENERS);
    g_autoptr (Client) before = client_new (fixture, "secure");

    g_assert_true (client_start_tls (before, ctx, NULL));
    SHOWN ("secure", NULL, "a");
    rook_net_reconfigure (fixture->net, config);
    SHOWN ("secure", NULL, "b");
    SHOWN ("secure", "a.example", "b");
    client_send (before, "ECHO x\r\n");
    client_expect (before, "HELLO");
    client_expect (before, "x");
    g_assert_true (resumes (fixture, ctx, session, NULL)); /* the ticket keys have been taken over */
  }
  SSL_SESSION_free (session);
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

/* Where certificates are asked for, a session is resumed too, and its client is still known. */
static void
test_client_certificate_resumes (void)
{
  g_autoptr (Fixture) fixture = tls_fixture_new ("[tls]\nclient-ca=%s/b.pem\nrequire-client-certificate=yes\n");

  for (guint i = 0; i < G_N_ELEMENTS (versions); i++)
    {
      SSL_CTX *ctx = client_ctx ("a");
      SSL_SESSION *session;

      use_certificate (ctx, "b");
      SSL_CTX_set_max_proto_version (ctx, versions[i]);
      session = get_ticket (fixture, ctx);
      g_assert_true (resumes (fixture, ctx, session, " b"));
      SSL_SESSION_free (session);
      SSL_CTX_free (ctx);
    }
}

static void
reload (Fixture *fixture, const char *tls)
{
  g_autofree char *text = g_strconcat (TLS_GROUP, tls, "\n" LISTENERS, NULL);
  g_autoptr (RookConfig) config = read_config (text);

  rook_net_reconfigure (fixture->net, config);
}

/* The file list.pem: these certificates. */
static void
save_list (const char *first, const char *second)
{
  g_autofree char *command =
      g_strdup_printf ("sh -c 'cd %s && cat %s.pem %s.pem >list.pem'", certificates, first, second);

  g_assert_true (g_spawn_command_line_sync (command, NULL, NULL, NULL, NULL));
}

/* Whether a session of before the reload is resumed after it, by a client with @own (nullable). The file list.pem has
 * the authorities b and d at first, c and d after. */
static gboolean
survives (Fixture *fixture, int version, const char *before, const char *after, const char *own)
{
  SSL_CTX *ctx = client_ctx (NULL), *later = client_ctx (NULL);
  SSL_SESSION *session;
  gboolean resumed;

  g_test_message ("%s, then %s", before, after);
  use_certificate (ctx, "b");
  SSL_CTX_set_max_proto_version (ctx, version);
  SSL_CTX_set_max_proto_version (later, version);
  if (own != NULL)
    use_certificate (later, own);
  save_list ("b", "d");
  reload (fixture, before);
  session = get_ticket (fixture, ctx);
  g_assert_true (resumes (fixture, ctx, session, NULL));
  save_list ("c", "d");
  reload (fixture, after);
  resumed = resumes (fixture, later, session, NULL);
  SSL_SESSION_free (session);
  SSL_CTX_free (ctx);
  SSL_CTX_free (later);
  return resumed;
}

/* A session outlives no trust: whoever was verified in another way shows a certificate again. */
static void
test_reload_of_trust (void)
{
  static const char list[] = "client-ca=%s/list.pem", only_b[] = "client-ca=%s/b.pem", only_d[] = "client-ca=%s/d.pem";
  g_autoptr (Fixture) fixture = tls_fixture_new ("");

  for (guint i = 0; i < G_N_ELEMENTS (versions); i++)
    {
      g_assert_false (survives (fixture, versions[i], list, list, NULL)); /* the same path, others in it */
      g_assert_true (survives (fixture, versions[i], only_b, only_b, NULL));
      g_assert_true (survives (fixture, versions[i], "", "ca=%s/b.pem", NULL));
      g_assert_false (survives (fixture, versions[i], only_b, only_d, NULL));
      g_assert_false (survives (fixture, versions[i], list, only_b, "b")); /* fewer */
      g_assert_false (survives (fixture, versions[i], only_b, "", NULL));
      g_assert_false (survives (fixture, versions[i], "", only_b, NULL));
      g_assert_false (survives (fixture, versions[i], only_b, "client-ca=%s/b.pem\nclient-name=dns", "b"));
      g_assert_false (
          survives (fixture, versions[i], only_b, "client-ca=%s/b.pem\nrequire-client-certificate=yes", "b"));
    }
}

static guint
mistakes_in (const char *text, const char *word)
{
  g_autoptr (GPtrArray) mistakes = rook_config_mistakes_new ();
  g_autoptr (RookConfig) config = read_config (text);

  rook_net_check (NULL, config, mistakes);
  for (guint i = 0; i < mistakes->len; i++)
    {
      const RookConfigMistake *mistake = g_ptr_array_index (mistakes, i);

      if (word != NULL && strstr (mistake->message, word) == NULL)
        g_test_message ("“%s” lacks “%s”", mistake->message, word);
      g_assert_true (word == NULL || strstr (mistake->message, word) != NULL);
    }
  return mistakes->len;
}

static void
test_check (void)
{
  g_autofree char *open_key = g_build_filename (certificates, "open.key", NULL);
  g_autofree char *key = g_build_filename (certificates, "a.key", NULL);
  g_autofree char *garbage = g_build_filename (certificates, "garbage.pem", NULL);
  g_autofree char *content = NULL;
  gsize length;

  g_assert_true (g_file_get_contents (key, &content, &length, NULL));
  g_assert_true (g_file_set_contents_full (open_key, content, length, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  g_assert_true (g_file_set_contents (garbage, "garbage", -1, NULL));
  g_assert_cmpuint (mistakes_in (TLS_GROUP LISTENERS, NULL), ==, 0);
  g_assert_cmpuint (mistakes_in ("[tls]\ncertificate=%s/a.pem\nprivate-key=%s/open.key\n", NULL), ==, 0);
  g_assert_no_errno (g_chmod (open_key, 0644));
  g_assert_cmpuint (mistakes_in ("[tls]\ncertificate=%s/a.pem\nprivate-key=%s/open.key\n", "open.key"), ==, 1);
  g_assert_no_errno (g_chmod (open_key, 0620));
  g_assert_cmpuint (mistakes_in ("[tls]\ncertificate=%s/a.pem\nprivate-key=%s/open.key\n", "open.key"), ==, 1);
  g_assert_no_errno (g_chmod (open_key, 0640));
  g_assert_cmpuint (mistakes_in ("[tls]\ncertificate=%s/a.pem\nprivate-key=%s/open.key\n", NULL), ==, 0);
  if (geteuid () == 0)
    {
      g_assert_no_errno (chown (open_key, 12345, -1));
      g_assert_cmpuint (mistakes_in ("[tls]\ncertificate=%s/a.pem\nprivate-key=%s/open.key\n", "open.key"), ==, 1);
    }
  g_assert_cmpuint (mistakes_in ("[tls]\ncertificate=%s/a.pem\nprivate-key=%s/b.key\n", "b.key"), ==, 1);
  g_assert_cmpuint (mistakes_in ("[tls]\ncertificate=%s/none.pem\nprivate-key=%s/a.key\n", "none.pem"), ==, 1);
  g_assert_cmpuint (mistakes_in ("[tls]\ncertificate=%s/garbage.pem\nprivate-key=%s/a.key\n", "garbage.pem"), ==, 1);
  g_assert_cmpuint (mistakes_in ("[tls]\ncertificate=%s/a.pem\n", "a.pem"), >, 0); /* no key in it */
  g_assert_cmpuint (mistakes_in (TLS_GROUP "client-ca=%s/garbage.pem\n", "garbage.pem"), ==, 1);
  g_assert_cmpuint (mistakes_in (TLS_GROUP "ciphers=nonsense\n", "nonsense"), ==, 1);
  g_assert_cmpuint (mistakes_in (TLS_GROUP "require-client-certificate=yes\n", "client-ca"), ==,
                    1); /* nobody would be asked */
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  make_certificates ();
  g_test_add_func ("/net/tls/implicit", test_implicit);
  g_test_add_func ("/net/tls/starttls", test_starttls);
  g_test_add_func ("/net/tls/starttls-injection", test_starttls_injection);
  g_test_add_func ("/net/tls/starttls-late-injection", test_starttls_late_injection);
  g_test_add_func ("/net/tls/starttls-not-configured", test_starttls_not_configured);
  g_test_add_func ("/net/tls/half-handshake", test_half_handshake);
  g_test_add_func ("/net/tls/old-versions-are-refused", test_old_versions_are_refused);
  g_test_add_func ("/net/tls/sni", test_sni);
  g_test_add_func ("/net/tls/alpn", test_alpn);
  g_test_add_func ("/net/tls/client-certificate", test_client_certificate);
  g_test_add_func ("/net/tls/client-certificate-required", test_client_certificate_required);
  g_test_add_func ("/net/tls/sni-does-not-change-whom-is-trusted", test_sni_and_client_certificates);
  g_test_add_func ("/net/tls/reload", test_reload);
  g_test_add_func ("/net/tls/client-certificate-resumes", test_client_certificate_resumes);
  g_test_add_func ("/net/tls/reload-of-trust-ends-sessions", test_reload_of_trust);
  g_test_add_func ("/net/tls/check", test_check);
  status = g_test_run ();
  remove_certificates ();
  return status;
}
