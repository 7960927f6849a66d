/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of authentication share: a service made from a few lines of `[auth]`, peers to log in from, a password
 * file made by the real saslpasswd2, and a way to wait for an answer.
 */
#pragma once

#include "auth/auth-internal.h"

typedef struct {
  char *scratch;
  RookLoop *loop;
  RookAuth *auth;
} AuthFixture;

/* @keys: lines of [auth]; @SCRATCH@ in it stands for the fixture's directory. */
RookAuthSettings *auth_settings (const char *keys);
AuthFixture *auth_fixture_new (const char *keys);
void auth_fixture_free (AuthFixture *fixture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (AuthFixture, auth_fixture_free)
/* Puts @user with @password into scratch/sasldb2 by saslpasswd2. */
void auth_fixture_add_user (AuthFixture *fixture, const char *realm, const char *user, const char *password);

typedef enum { PEER_CLEAR, PEER_TLS, PEER_LOOPBACK, PEER_UNIX } PeerKind;
RookAuthPeer auth_peer (PeerKind kind);
RookAuthPeer auth_peer_from (PeerKind kind, const char *address);

/* How a step ended. */
typedef struct {
  gboolean came;
  GBytes *challenge;
  RookIdentity *identity;
  GError *error;
} Answer;
void answer_clear (Answer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Answer, answer_clear)
void answer_callback (GBytes *challenge, RookIdentity *identity, const GError *error, gpointer data);
/* Turns the main worker until @answer came; a minute at most. */
void auth_fixture_wait (AuthFixture *fixture, Answer *answer);
void auth_fixture_turn (AuthFixture *fixture, guint ms);

RookAuthExchange *auth_fixture_exchange (AuthFixture *fixture, PeerKind kind, const char *mechanism);
/* A step with @length raw bytes (-1: a string, %NULL data: none), waited for. */
void auth_fixture_step (AuthFixture *fixture, RookAuthExchange *exchange, const char *data, gssize length,
                        Answer *answer);
/* PLAIN in one step: "authzid NUL user NUL password". */
void auth_fixture_plain (AuthFixture *fixture, PeerKind kind, const char *authzid, const char *user,
                         const char *password, Answer *answer);
void auth_fixture_login (AuthFixture *fixture, PeerKind kind, const char *user, const char *password,
                         const char *authzid, Answer *answer);

#define assert_user(answer, name)                                            \
  G_STMT_START                                                               \
  {                                                                          \
    g_assert_no_error ((answer)->error);                                     \
    g_assert_nonnull ((answer)->identity);                                   \
    g_assert_cmpstr (rook_identity_get_user ((answer)->identity), ==, name); \
  }                                                                          \
  G_STMT_END
#define assert_failed(answer, wanted)                          \
  G_STMT_START                                                 \
  {                                                            \
    g_assert_null ((answer)->identity);                        \
    g_assert_null ((answer)->challenge);                       \
    g_assert_error ((answer)->error, ROOK_AUTH_ERROR, wanted); \
  }                                                            \
  G_STMT_END
