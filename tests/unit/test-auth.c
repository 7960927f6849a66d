/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parts of authentication that work on memory alone (and the file of groups): names, identities, groups, mechanisms
 * offered, base64, settings.
 */
#include "auth-fixture.h"

#include "daemon/server-private.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- names -------------------------------------------------------------------------------------------------------- */

static void
expect_name (const RookAuthSettings *settings, const char *name, const char *wanted)
{
  g_autofree char *user = NULL;
  g_autoptr (GError) error = NULL;
  gboolean ok = rook_auth_canonical (settings, name, -1, &user, &error);

  g_assert_cmpstr (user, ==, wanted);
  g_assert_cmpint (ok, ==, wanted != NULL);
  if (!ok)
    g_assert_error (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_FAILED);
}

static void
test_names (void)
{
  g_autoptr (RookAuthSettings) settings = auth_settings ("default-realm=Example.org\nrealms=Two.example\n");

  expect_name (settings, "alice", "alice");
  expect_name (settings, "Alice", "alice");
  expect_name (settings, "ALICE@Two.example", "alice@two.example");
  expect_name (settings, "J\xc3\x96RG", "j\xc3\xb6rg");
  expect_name (settings, "  alice ", "alice");
  expect_name (settings, "alice@EXAMPLE.org", "alice");
  expect_name (settings, "alice@two.EXAMPLE", "alice@two.example");
  expect_name (settings, "alice@three.example", NULL);
  expect_name (settings, "a.b", "a.b");
  expect_name (settings, "j\xc3\xb6rg", "j\xc3\xb6rg");
  expect_name (settings, "DOM\\alice", "dom\\alice");
}

static void
test_names_case_kept (void)
{
  g_autoptr (RookAuthSettings) settings = auth_settings ("lower-case=false\nrealms=two.example\n");
  g_autoptr (RookAuthSettings) lower = auth_settings ("");
  g_autofree char *user = NULL;

  expect_name (settings, "Alice", "Alice");
  expect_name (settings, "Alice@Two.example", "Alice@two.example");
  g_assert_true (rook_auth_spelled (lower, " Alice ", -1, &user, NULL));
  g_assert_cmpstr (user, ==, "Alice");
}

/* A name that grows beyond the limit in lower case is none. */
static void
test_names_that_grow (void)
{
  g_autoptr (RookAuthSettings) settings = auth_settings ("");
  g_autoptr (GString) name = g_string_new (NULL);

  for (guint i = 0; i < 127; i++)
    g_string_append (name, "\xc4\xb0"); /* U+0130, three bytes in lower case */
  expect_name (settings, name->str, NULL);
}

static void
test_bad_names (void)
{
  g_autoptr (RookAuthSettings) settings = auth_settings ("virtual-domains=true\n");
  static const char *const bad[] = { "",       " ",           "a/b",      "../etc",  "a..b",     ".a",
                                     "a.",     "a\tb",        "a\nb",     "a\x7f",   "a*",       "a%",
                                     "anyone", "Anyone",      "-alice",   "group:x", "@",        "@example.org",
                                     "alice@", "a@b@c.org",   "a@.b.org", "a@b..c",  "\xff\xfe", "a\xc2\x85",
                                     "a@b c",  "anyone@x.org" };
  g_autofree char *longest = g_strnfill (255, 'a'), *too_long = g_strnfill (256, 'a'), *user = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    expect_name (settings, bad[i], NULL);
  expect_name (settings, "a\xe2\x80\xae", NULL); /* U+202E: right to left */
  expect_name (settings, "\xe2\x80\x8b", NULL);  /* U+200B: of no width */
  expect_name (settings, longest, longest);
  expect_name (settings, too_long, NULL);
  g_assert_false (rook_auth_canonical (settings, "al\0ice", 6, &user, NULL));
  g_assert_null (user);
}

static void
test_virtual_domains (void)
{
  g_autoptr (RookAuthSettings) settings = auth_settings ("virtual-domains=true\n");

  expect_name (settings, "alice@any.example", "alice@any.example");
  expect_name (settings, "alice@mail.example.org", "alice");
}

/* --- identities --------------------------------------------------------------------------------------------------- */

static void
test_identity (void)
{
  static const char *const groups[] = { "staff", "users", NULL };
  g_autoptr (RookIdentity) identity = rook_identity_new ("alice", "boss", groups, TRUE);
  g_autoptr (RookIdentity) again = rook_identity_ref (identity);
  g_autoptr (RookIdentity) plain = rook_identity_new ("alice", "alice", NULL, FALSE);

  g_assert_cmpstr (rook_identity_get_user (again), ==, "alice");
  g_assert_cmpstr (rook_identity_get_authcid (again), ==, "boss");
  g_assert_true (rook_identity_is_admin (identity));
  g_assert_true (rook_identity_is_proxied (identity));
  g_assert_true (rook_identity_in_group (identity, "staff"));
  g_assert_false (rook_identity_in_group (identity, "wheel"));
  g_assert_cmpstr (rook_identity_get_groups (identity)[1], ==, "users");
  g_assert_false (rook_identity_is_proxied (plain));
  g_assert_null (rook_identity_get_groups (plain)[0]);
}

static void
expect_authorize (const RookAuthSettings *settings, const char *authcid, const char *user, gboolean admin)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (RookIdentity) identity = rook_auth_authorize (settings, authcid, user, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (rook_identity_get_user (identity), ==, user);
  g_assert_cmpstr (rook_identity_get_authcid (identity), ==, authcid);
  g_assert_cmpint (rook_identity_is_admin (identity), ==, admin);
  g_assert_cmpint (rook_identity_is_proxied (identity), ==, !g_str_equal (user, authcid));
}

static void
expect_refusal (const RookAuthSettings *settings, const char *authcid, const char *user)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (rook_auth_authorize (settings, authcid, user, &error));
  g_assert_error (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_NOT_AUTHORIZED);
}

static void
test_authorize (void)
{
  g_autofree char *path = g_build_filename (g_get_tmp_dir (), "groups", NULL);
  g_autofree char *keys = g_strdup_printf ("admins=boss@MAIL.example.org;group:wheel\nproxyservers=proxy;group:fronts\n"
                                           "system-groups=false\ngroups-file=%s\n",
                                           path);
  g_autoptr (RookAuthSettings) settings = auth_settings (keys);

  g_assert_true (g_file_set_contents (path, "wheel: walt\nfronts: f1 f2\n", -1, NULL));
  expect_authorize (settings, "alice", "alice", FALSE);
  expect_authorize (settings, "boss", "boss", TRUE);
  expect_authorize (settings, "boss", "alice", FALSE);
  expect_authorize (settings, "walt", "walt", TRUE);
  expect_authorize (settings, "walt", "alice", FALSE);
  expect_authorize (settings, "proxy", "proxy", FALSE);
  expect_authorize (settings, "proxy", "alice", FALSE);
  expect_authorize (settings, "proxy", "boss", TRUE);
  expect_authorize (settings, "f2", "alice", FALSE);
  expect_refusal (settings, "alice", "boss");
  expect_refusal (settings, "alice", "proxy");
  expect_refusal (settings, "alice@evil.example", "alice");
  g_assert_no_errno (g_unlink (path));
}

/* --- groups ------------------------------------------------------------------------------------------------------- */

static void
expect_groups (const RookAuthSettings *settings, const char *user, const char *wanted)
{
  g_auto (GStrv) groups = rook_auth_groups_of (settings, user);
  g_autofree char *joined = g_strjoinv (" ", groups);

  g_assert_cmpstr (joined, ==, wanted);
}

static void
test_groups_file (void)
{
  g_autofree char *path = g_build_filename (g_get_tmp_dir (), "groups", NULL);
  g_autofree char *keys = g_strdup_printf ("virtual-domains=true\nsystem-groups=false\ngroups-file=%s\n", path);
  g_autoptr (RookAuthSettings) settings = auth_settings (keys);

  expect_groups (settings, "alice", "");
  g_assert_true (g_file_set_contents (path,
                                      "# people\n\nstaff: alice, bob\nnobody:\nmail: bob\talice@MAIL.example.org\n"
                                      "others: alice@b.example\nno colon here\n",
                                      -1, NULL));
  g_assert_no_errno (chmod (path, 0666));
  expect_groups (settings, "alice", "");
  g_assert_no_errno (chmod (path, 0644));
  expect_groups (settings, "alice", "mail staff");
  expect_groups (settings, "bob", "mail staff");
  expect_groups (settings, "alice@b.example", "others");
  expect_groups (settings, "alice@c.example", "");
  g_assert_true (g_file_set_contents (path, "staff: bob\n", -1, NULL));
  expect_groups (settings, "alice", "");
  g_assert_no_errno (g_unlink (path));
  /* What is put in its place afterwards gives nobody a group, and holds nobody up. */
  g_assert_no_errno (mkfifo (path, 0600));
  expect_groups (settings, "bob", "");
  g_assert_no_errno (g_unlink (path));
}

static void
test_system_groups (void)
{
  g_autoptr (RookAuthSettings) settings = auth_settings ("");
  g_auto (GStrv) root = rook_auth_groups_of (settings, "root");
  g_auto (GStrv) nobody = rook_auth_groups_of (settings, "no-such-user-here");
  g_auto (GStrv) elsewhere = rook_auth_groups_of (settings, "root@elsewhere.example");

  g_assert_true (g_strv_contains ((const char *const *) root, "root"));
  g_assert_null (nobody[0]);
  g_assert_null (elsewhere[0]);
}

/* --- mechanisms --------------------------------------------------------------------------------------------------- */

static void
expect_mechanisms (const char *keys, PeerKind kind, const char *wanted)
{
  g_autoptr (RookAuthSettings) settings = auth_settings (keys);
  RookAuthPeer peer = auth_peer (kind);
  g_auto (GStrv) list = rook_mechanism_list (settings, &peer);
  g_autofree char *joined = g_strjoinv (" ", list);

  g_assert_cmpstr (joined, ==, wanted);
  rook_auth_peer_clear (&peer);
}

static void
test_offered (void)
{
  expect_mechanisms ("backend=saslauthd\n", PEER_TLS, "PLAIN LOGIN");
  expect_mechanisms ("backend=saslauthd\n", PEER_CLEAR, "");
  expect_mechanisms ("backend=site\n", PEER_TLS, "PLAIN LOGIN");
  expect_mechanisms ("backend=sasldb\n", PEER_TLS, "PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-1");
  expect_mechanisms ("backend=sasldb\n", PEER_CLEAR, "SCRAM-SHA-256 SCRAM-SHA-1");
  expect_mechanisms ("backend=sasldb\n", PEER_LOOPBACK, "SCRAM-SHA-256 SCRAM-SHA-1");
  expect_mechanisms ("backend=sasldb\nallow-plaintext-on-loopback=true\n", PEER_LOOPBACK,
                     "PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-1");
  expect_mechanisms ("backend=sasldb\nallow-plaintext-on-loopback=true\n", PEER_CLEAR, "SCRAM-SHA-256 SCRAM-SHA-1");
  expect_mechanisms ("backend=saslauthd\nallow-plaintext-on-loopback=true\n", PEER_UNIX, "PLAIN LOGIN");
}

static void
test_named (void)
{
  expect_mechanisms ("backend=sasldb\nmechanisms=scram-sha-1;plain;no-such-thing\n", PEER_TLS, "SCRAM-SHA-1 PLAIN");
  expect_mechanisms ("backend=sasldb\nmechanisms=CRAM-MD5;DIGEST-MD5;ANONYMOUS;NTLM\n", PEER_CLEAR,
                     "CRAM-MD5 DIGEST-MD5 ANONYMOUS NTLM");
  expect_mechanisms ("backend=saslauthd\nmechanisms=CRAM-MD5;DIGEST-MD5;ANONYMOUS\n", PEER_CLEAR, "ANONYMOUS");
  expect_mechanisms ("backend=sasldb\nmechanisms=\n", PEER_TLS, "");
}

static void
test_external (void)
{
  g_autoptr (RookAuthSettings) settings = auth_settings ("");
  RookAuthPeer peer = auth_peer (PEER_TLS);
  g_autoptr (GError) error = NULL;

  g_assert_false (rook_mechanism_permitted (settings, &peer, "EXTERNAL", &error));
  g_assert_error (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_MECHANISM);
  peer.tls_name = g_strdup ("alice");
  g_assert_true (rook_mechanism_permitted (settings, &peer, "EXTERNAL", NULL));
  rook_auth_peer_clear (&peer);
}

static void
test_binding (void)
{
  g_autoptr (RookAuthSettings) settings = auth_settings ("backend=sasldb\nmechanisms=SCRAM-SHA-256-PLUS\n");
  g_autoptr (RookAuthSettings) unnamed = auth_settings ("backend=sasldb\nmechanisms=SCRAM-SHA-256\n");
  RookAuthPeer peer = auth_peer (PEER_TLS);

  g_assert_false (rook_mechanism_permitted (settings, &peer, "SCRAM-SHA-256-PLUS", NULL));
  peer.bindings[ROOK_TLS_SERVER_END_POINT] = g_bytes_new_static ("x", 1);
  g_assert_true (rook_mechanism_permitted (settings, &peer, "SCRAM-SHA-256-PLUS", NULL));
  g_assert_false (rook_mechanism_permitted (unnamed, &peer, "SCRAM-SHA-256-PLUS", NULL));
  rook_auth_peer_clear (&peer);
}

static void
test_minimum_ssf (void)
{
  g_autoptr (RookAuthSettings) settings =
      auth_settings ("backend=sasldb\nminimum-ssf=128\nmechanisms=PLAIN;CRAM-MD5;DIGEST-MD5\n");
  RookAuthPeer clear = auth_peer (PEER_CLEAR), tls = auth_peer (PEER_TLS), weak = auth_peer (PEER_TLS);
  g_autoptr (GError) error = NULL;

  weak.tls_bits = 56;
  g_assert_true (rook_auth_login_permitted (settings, &tls, NULL));
  g_assert_false (rook_auth_login_permitted (settings, &weak, &error));
  g_assert_error (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_WEAK);
  g_assert_true (rook_mechanism_permitted (settings, &clear, "DIGEST-MD5", NULL));
  rook_auth_peer_clear (&clear);
  rook_auth_peer_clear (&tls);
  rook_auth_peer_clear (&weak);
}

static void
test_login_permitted (void)
{
  g_autoptr (RookAuthSettings) settings = auth_settings ("");
  g_autoptr (RookAuthSettings) no_plain = auth_settings ("mechanisms=EXTERNAL\n");
  RookAuthPeer tls = auth_peer (PEER_TLS), clear = auth_peer (PEER_CLEAR);
  g_autoptr (GError) error = NULL, other = NULL;

  g_assert_true (rook_auth_login_permitted (settings, &tls, NULL));
  g_assert_false (rook_auth_login_permitted (settings, &clear, &error));
  g_assert_error (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_PRIVACY);
  g_assert_false (rook_auth_login_permitted (no_plain, &tls, &other));
  g_assert_error (other, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_MECHANISM);
  rook_auth_peer_clear (&tls);
  rook_auth_peer_clear (&clear);
}

/* --- base64 ------------------------------------------------------------------------------------------------------- */

static void
expect_decoded (const char *text, const char *wanted)
{
  g_autoptr (GBytes) bytes = rook_auth_base64_decode (text, strlen (text));

  if (wanted == NULL)
    g_assert_null (bytes);
  else
    g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), wanted, strlen (wanted));
}

static void
test_base64 (void)
{
  static const char *const bad[] = { "A",     "AB",   "ABC",      "====", "A===",     "QQ=A",
                                     "QR==",  "QUJ=", "QUJD\r\n", "QU D", "QQ==QQ==", "Q\xffJD",
                                     "QUJD=", "=QUJ", "QUJDA",    "*",    "-_-_" };

  /* RFC 4648 10 */
  expect_decoded ("", "");
  expect_decoded ("Zg==", "f");
  expect_decoded ("Zm8=", "fo");
  expect_decoded ("Zm9v", "foo");
  expect_decoded ("Zm9vYg==", "foob");
  expect_decoded ("Zm9vYmE=", "fooba");
  expect_decoded ("Zm9vYmFy", "foobar");
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    expect_decoded (bad[i], NULL);
}

static void
test_base64_like_glib (void)
{
  for (gsize length = 0; length < 300; length++)
    {
      guint8 data[300];
      g_autofree char *text = NULL;
      g_autoptr (GBytes) bytes = NULL;

      for (gsize i = 0; i < length; i++)
        data[i] = (guint8) g_test_rand_int ();
      text = g_base64_encode (data, length);
      bytes = rook_auth_base64_decode (text, strlen (text));
      g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), data, length);
    }
}

/* --- settings ----------------------------------------------------------------------------------------------------- */

static void
expect_mistakes (const char *keys, guint n)
{
  g_autofree char *text = g_strdup_printf ("[auth]\n%s\n", keys);
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = rook_config_read_data ("test", text, strlen (text), &mistakes);

  rook_config_declare (config, &rook_server_schemas[0]);
  rook_config_declare (config, &rook_auth_schemas[0]);
  rook_config_validate (config, mistakes);
  g_assert_cmpuint (mistakes->len, ==, 0);
  rook_auth_check (config, mistakes);
  g_assert_cmpuint (mistakes->len, ==, n);
}

static void
test_check (void)
{
  expect_mistakes ("", 0);
  expect_mistakes ("mechanisms=PLAIN;scram-sha-1\n", 0);
  expect_mistakes ("mechanisms=PLAIN;PLANE;KERBEROS\n", 2);
  expect_mistakes ("client-mechanisms=NOTHING\n", 1);
  expect_mistakes ("admins=alice;a/b;group:\n", 2);
  expect_mistakes ("proxyservers=..\n", 1);
  expect_mistakes ("failure-delay=1m\nfailure-delay-cap=30s\n", 1);
  expect_mistakes ("groups-file=/nonexistent/groups\n", 1);
  expect_mistakes ("groups-file=/dev/zero\n", 1);
  expect_mistakes ("groups-file=/tmp\n", 1);
  expect_mistakes ("default-realm=example.org\nrealms=two.example;EXAMPLE\n", 0);
  expect_mistakes ("default-realm=a@b\n", 1);
  expect_mistakes ("realms=a b;.a;a/b;x\n", 3);
  expect_mistakes ("sasldb-path=/dev/zero\n", 1);
}

static void
test_defaults (void)
{
  g_autoptr (RookAuthSettings) settings = auth_settings ("");
  g_autofree char *mechanisms = g_strjoinv (" ", settings->mechanisms);

  g_assert_cmpint (settings->backend, ==, ROOK_AUTH_SASLAUTHD);
  g_assert_cmpstr (mechanisms, ==,
                   "PLAIN LOGIN SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 EXTERNAL");
  g_assert_false (settings->plaintext_on_loopback);
  g_assert_cmpstr (settings->realm, ==, "mail.example.org");
  g_assert_cmpstr (settings->sasldb_path, ==, "/nonexistent/sasldb2");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/auth/names/one-spelling-a-person", test_names);
  g_test_add_func ("/auth/names/case-kept", test_names_case_kept);
  g_test_add_func ("/auth/names/lower-case-within-the-limit", test_names_that_grow);
  g_test_add_func ("/auth/names/what-can-be-no-user", test_bad_names);
  g_test_add_func ("/auth/names/virtual-domains", test_virtual_domains);
  g_test_add_func ("/auth/identity/says-what-it-was-made-of", test_identity);
  g_test_add_func ("/auth/identity/who-may-act-as-whom", test_authorize);
  g_test_add_func ("/auth/groups/of-a-file", test_groups_file);
  g_test_add_func ("/auth/groups/of-the-system", test_system_groups);
  g_test_add_func ("/auth/mechanism/offered-by-backend-and-privacy", test_offered);
  g_test_add_func ("/auth/mechanism/only-what-is-named", test_named);
  g_test_add_func ("/auth/mechanism/external-needs-a-certificate", test_external);
  g_test_add_func ("/auth/mechanism/plus-needs-a-channel", test_binding);
  g_test_add_func ("/auth/mechanism/minimum-ssf", test_minimum_ssf);
  g_test_add_func ("/auth/mechanism/plain-login", test_login_permitted);
  g_test_add_func ("/auth/base64/one-right-spelling", test_base64);
  g_test_add_func ("/auth/base64/round-trip", test_base64_like_glib);
  g_test_add_func ("/auth/settings/check", test_check);
  g_test_add_func ("/auth/settings/defaults", test_defaults);
  return g_test_run ();
}
