/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See auth-fixture.h.
 */
#include "auth-fixture.h"

#include "daemon/server-private.h"

#include <glib/gstdio.h>
#include <string.h>

static RookConfig *
read_config (const char *keys)
{
  g_autofree char *text = g_strdup_printf ("[server]\nstate-directory=/nonexistent\n[auth]\n%s\n", keys);
  g_autoptr (GPtrArray) mistakes = NULL;
  RookConfig *config = rook_config_read_data ("test", text, strlen (text), &mistakes);

  for (const RookConfigSchema *schema = rook_server_schemas; schema->name != NULL; schema++)
    rook_config_declare (config, schema);
  rook_config_declare (config, &rook_auth_schemas[0]);
  rook_config_validate (config, mistakes);
  g_assert_cmpuint (mistakes->len, ==, 0);
  return config;
}

RookAuthSettings *
auth_settings (const char *keys)
{
  g_autoptr (RookConfig) config = read_config (keys);

  return rook_auth_settings_new (config, "Mail.Example.ORG");
}

AuthFixture *
auth_fixture_new (const char *keys)
{
  AuthFixture *fixture = g_new0 (AuthFixture, 1);
  g_autoptr (GString) text = g_string_new (keys);

  fixture->scratch = g_dir_make_tmp ("rookery-auth-XXXXXX", NULL);
  g_string_replace (text, "@SCRATCH@", fixture->scratch, 0);
  fixture->loop = rook_loop_new (1);
  fixture->auth = rook_auth_new_with (fixture->loop, auth_settings (text->str), NULL, NULL);
  return fixture;
}

static void
remove_tree (const char *path)
{
  GDir *dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *child = g_build_filename (path, name, NULL);

      remove_tree (child);
    }
  g_clear_pointer (&dir, g_dir_close);
  g_remove (path);
}

void
auth_fixture_free (AuthFixture *fixture)
{
  rook_auth_free (fixture->auth);
  rook_loop_free (fixture->loop);
  remove_tree (fixture->scratch);
  g_free (fixture->scratch);
  g_free (fixture);
}

void
auth_fixture_add_user (AuthFixture *fixture, const char *realm, const char *user, const char *password)
{
  g_autofree char *command =
      g_strdup_printf ("printf %%s '%s' | PATH=$PATH:/usr/sbin saslpasswd2 -p -c -f %s/sasldb2 -u %s '%s'", password,
                       fixture->scratch, realm, user);
  const char *argv[] = { "/bin/sh", "-c", command, NULL };
  int status = -1;

  g_assert_true (g_spawn_sync (NULL, (char **) argv, NULL, 0, NULL, NULL, NULL, NULL, &status, NULL));
  g_assert_cmpint (status, ==, 0);
}

RookAuthPeer
auth_peer_from (PeerKind kind, const char *address)
{
  return (RookAuthPeer){
    .id = g_strdup ("c1"),
    .protocol = g_strdup ("imap"),
    .service = g_strdup ("imap"),
    .address = g_strdup (address),
    .has_tls = kind == PEER_TLS,
    .tls_bits = kind == PEER_TLS ? 256 : 0,
    .loopback = kind == PEER_LOOPBACK || kind == PEER_UNIX,
    .delay_exempt = kind == PEER_UNIX,
    .delay_shared = kind == PEER_LOOPBACK,
  };
}

RookAuthPeer
auth_peer (PeerKind kind)
{
  return auth_peer_from (kind, kind == PEER_UNIX ? "unix" : kind == PEER_LOOPBACK ? "127.0.0.1" : "192.0.2.1");
}

void
answer_clear (Answer *answer)
{
  g_clear_pointer (&answer->challenge, g_bytes_unref);
  g_clear_pointer (&answer->identity, rook_identity_unref);
  g_clear_error (&answer->error);
  answer->came = FALSE;
}

void
answer_callback (GBytes *challenge, RookIdentity *identity, const GError *error, gpointer data)
{
  Answer *answer = data;

  g_assert_false (answer->came);
  g_assert_cmpint ((challenge != NULL) + (identity != NULL) + (error != NULL), ==, 1);
  answer->came = TRUE;
  answer->challenge = challenge != NULL ? g_bytes_ref (challenge) : NULL;
  answer->identity = identity != NULL ? rook_identity_ref (identity) : NULL;
  answer->error = error != NULL ? g_error_copy (error) : NULL;
}

void
auth_fixture_turn (AuthFixture *fixture, guint ms)
{
  GMainContext *context = rook_worker_get_context (rook_loop_get_main_worker (fixture->loop));
  gint64 end = g_get_monotonic_time () + (gint64) ms * 1000;

  while (g_get_monotonic_time () < end)
    if (!g_main_context_iteration (context, FALSE))
      g_usleep (1000);
}

void
auth_fixture_wait (AuthFixture *fixture, Answer *answer)
{
  gint64 end = g_get_monotonic_time () + 60 * G_USEC_PER_SEC;

  while (!answer->came && g_get_monotonic_time () < end)
    auth_fixture_turn (fixture, 1);
  g_assert_true (answer->came);
}

RookAuthExchange *
auth_fixture_exchange (AuthFixture *fixture, PeerKind kind, const char *mechanism)
{
  RookAuthPeer peer = auth_peer (kind);

  return rook_auth_exchange_new_for_peer (fixture->auth, rook_loop_get_main_worker (fixture->loop), &peer, mechanism);
}

void
auth_fixture_step (AuthFixture *fixture, RookAuthExchange *exchange, const char *data, gssize length, Answer *answer)
{
  g_autoptr (GBytes) bytes = NULL;

  answer_clear (answer);
  if (data != NULL)
    bytes = g_bytes_new (data, length < 0 ? strlen (data) : (gsize) length);
  rook_auth_exchange_step (exchange, bytes, answer_callback, answer);
  g_assert_false (answer->came);
  auth_fixture_wait (fixture, answer);
}

void
auth_fixture_plain (AuthFixture *fixture, PeerKind kind, const char *authzid, const char *user, const char *password,
                    Answer *answer)
{
  g_autoptr (RookAuthExchange) exchange = auth_fixture_exchange (fixture, kind, "PLAIN");
  g_autoptr (GString) text = g_string_new (authzid);

  g_string_append_c (text, '\0');
  g_string_append (text, user);
  g_string_append_c (text, '\0');
  g_string_append (text, password);
  auth_fixture_step (fixture, exchange, text->str, (gssize) text->len, answer);
}

void
auth_fixture_login (AuthFixture *fixture, PeerKind kind, const char *user, const char *password, const char *authzid,
                    Answer *answer)
{
  RookAuthPeer peer = auth_peer (kind);
  g_autoptr (RookAuthExchange) exchange = NULL;

  answer_clear (answer);
  exchange = rook_auth_login_for_peer (fixture->auth, rook_loop_get_main_worker (fixture->loop), &peer, user, password,
                                       authzid, answer_callback, answer);
  g_assert_false (answer->came);
  auth_fixture_wait (fixture, answer);
}
