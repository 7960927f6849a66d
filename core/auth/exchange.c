/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An exchange as its worker sees it: a step goes to a pool, comes back, is held back if there were failures, and is told
 * to whoever asked. What happens in the pool is in step.c; the two never touch an exchange at the same time.
 *
 * Freed while a pool has it, an exchange lives on as an orphan until it comes back: its outcome is still counted, so
 * that hanging up early saves nobody a delay.
 */
#include "auth/auth-internal.h"

#include <string.h>

static void
clear_step (RookAuthExchange *self)
{
  g_clear_pointer (&self->input, g_bytes_unref);
  g_clear_pointer (&self->challenge, g_bytes_unref);
  g_clear_error (&self->error);
  g_clear_error (&self->check_error);
}

static void
exchange_destroy (RookAuthExchange *self)
{
  rook_timer_stop (&self->delay);
  if (self->sasl != NULL)
    sasl_dispose (&self->sasl);
  clear_step (self);
  g_clear_pointer (&self->identity, rook_identity_unref);
  rook_auth_peer_clear (&self->peer);
  g_free (self->mechanism);
  g_free (self->user);
  rook_auth_wipe_free (self->password);
  g_free (self->authzid);
  g_free (self->attempted);
  g_free (self->wanted);
  rook_auth_checkers_unref (self->checkers);
  rook_auth_settings_unref (self->settings);
  g_free (self);
}

/* The last thing done with an outcome: the callback may free us. */
static void
tell (gpointer data)
{
  RookAuthExchange *self = data;
  g_autoptr (GBytes) challenge = g_steal_pointer (&self->challenge);
  g_autoptr (RookIdentity) identity = NULL;
  g_autoptr (GError) error = g_steal_pointer (&self->error);
  RookAuthCallback callback = g_steal_pointer (&self->callback);

  if (self->state == ROOK_EXCHANGE_DONE)
    identity = rook_identity_ref (self->identity);
  self->over = self->state != ROOK_EXCHANGE_MORE;
  callback (challenge, identity, error, self->data);
}

/* Whether the outcome is a verdict on somebody, as opposed to a client or server that is not up to it. A right password
 * with a name that its owner may not act for is no guess, or one user's typing error would slow a proxy down for all of its
 * users; but its answer is as late as any, or it would tell at once what is held back of others. */
static gboolean
judges (RookAuthExchange *self, RookGuess *out_guess)
{
  const GError *error = self->error;

  if (self->state == ROOK_EXCHANGE_DONE)
    *out_guess = ROOK_GUESS_RIGHT;
  else if (g_error_matches (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_NOT_AUTHORIZED))
    *out_guess = ROOK_GUESS_NONE;
  else if (g_error_matches (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_FAILED)
           || g_error_matches (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_DISABLED))
    *out_guess = ROOK_GUESS_WRONG;
  else
    return FALSE;
  return TRUE;
}

/* Whatever came of it, nobody is told. */
static void
hide_outcome (RookAuthExchange *self)
{
  self->state = ROOK_EXCHANGE_FAILED;
  g_clear_pointer (&self->identity, rook_identity_unref);
  g_clear_pointer (&self->challenge, g_bytes_unref);
  g_clear_error (&self->error);
  g_set_error_literal (
      &self->error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_UNAVAILABLE,
      "Too many logins of the same user, or from the same address, wait for their answer after failed ones");
}

static guint
delay_of (RookAuthExchange *self)
{
  const RookAuthPeer *peer = &self->peer;
  RookGuess guess;
  guint delay;

  if (self->state == ROOK_EXCHANGE_MORE || peer->delay_exempt || !judges (self, &guess))
    return 0;
  delay =
      rook_throttle_settle (self->auth->throttle, &self->settings->delays, peer->delay_shared ? NULL : peer->address,
                            peer->address, self->attempted, guess, g_get_monotonic_time () / 1000);
  if (delay != ROOK_THROTTLE_FULL)
    return delay;
  hide_outcome (self);
  return self->settings->delays.cap_ms;
}

static const char *
mechanism_label (const RookAuthExchange *self)
{
  if (self->plain_login)
    return "login";
  return g_strv_contains ((const char *const *) self->settings->mechanisms, self->mechanism) ? self->mechanism
                                                                                             : "other";
}

static void
note (RookAuthExchange *self)
{
  RookAuthAttempt attempt = {
    .peer = &self->peer,
    .mechanism = mechanism_label (self),
    .user = self->attempted,
    .wanted = self->wanted,
    .identity = self->state == ROOK_EXCHANGE_DONE ? self->identity : NULL,
    .error = self->error,
    .began_us = self->began_us,
  };

  if (self->state != ROOK_EXCHANGE_MORE)
    rook_auth_note (self->auth, &attempt);
}

/* A step has its outcome. */
static void
settle (RookAuthExchange *self)
{
  guint delay;

  delay = delay_of (self);
  if (self->state == ROOK_EXCHANGE_DONE)
    rook_identity_set_origin (self->identity, self->peer.id, self->peer.protocol);
  note (self);
  self->at_work = FALSE;
  rook_auth_end_work (self->auth);
  if (self->orphan)
    rook_auth_exchange_drop (self);
  else if (delay > 0)
    rook_timer_start (&self->delay, delay);
  else
    tell (self);
}

static void
settle_invoked (gpointer data)
{
  settle (data);
}

static void
come_back (RookPoolOutcome outcome, gpointer data)
{
  RookAuthExchange *self = data;

  if (outcome != ROOK_POOL_RAN)
    {
      self->state = ROOK_EXCHANGE_FAILED;
      g_set_error_literal (&self->error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_UNAVAILABLE,
                           "No thread was free to check it in time");
    }
  settle (self);
}

static void
run_step (gpointer data)
{
  rook_exchange_run_step (data);
}

/* Whether this step may ask somebody who hangs. */
static RookPool *
pool_for (RookAuthExchange *self)
{
  guint traits = rook_mechanism_get_traits (self->mechanism);

  if (self->settings->backend != ROOK_AUTH_SASLDB && (self->plain_login || (traits & ROOK_MECHANISM_PLAINTEXT) != 0))
    return self->auth->pool;
  return self->auth->local_pool;
}

/* Ends the step with @error, but never inside the call that began it. */
static void
fail_step (RookAuthExchange *self, GError *error)
{
  self->state = ROOK_EXCHANGE_FAILED;
  self->error = error;
  rook_worker_invoke (self->worker, settle_invoked, self, NULL);
}

static gboolean
may_begin (RookAuthExchange *self, GError **error)
{
  if (self->plain_login)
    return rook_auth_login_permitted (self->settings, &self->peer, error);
  return rook_mechanism_permitted (self->settings, &self->peer, self->mechanism, error);
}

/* Takes @input and @error. */
static void
begin_step (RookAuthExchange *self, GBytes *input, GError *error, RookAuthCallback callback, gpointer data)
{
  clear_step (self);
  self->input = input;
  self->callback = callback;
  self->data = data;
  self->began_us = g_get_monotonic_time ();
  self->at_work = TRUE;
  rook_auth_begin_work (self->auth);

  if (error == NULL && !self->started)
    may_begin (self, &error);
  if (error == NULL && input != NULL && g_bytes_get_size (input) > self->settings->maximum_response)
    g_set_error_literal (&error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_PROTOCOL, "Answer too long");
  if (error == NULL && !rook_pool_run (pool_for (self), self->settings->queue_ms, run_step, come_back, self))
    g_set_error_literal (&error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_UNAVAILABLE, "Too many are logging in");
  if (error != NULL)
    fail_step (self, error);
}

static RookAuthExchange *
exchange_new (RookAuth *auth, RookWorker *worker, RookAuthPeer *peer)
{
  RookAuthExchange *self = g_new0 (RookAuthExchange, 1);

  self->auth = auth;
  self->settings = rook_auth_get_settings (auth);
  self->checkers = rook_auth_checkers_ref (auth->checkers);
  self->worker = worker;
  self->holds = 1;
  self->peer = *peer;
  memset (peer, 0, sizeof *peer);
  rook_timer_init (&self->delay, worker, tell, self);
  return self;
}

/* @peer is emptied. */
RookAuthExchange *
rook_auth_exchange_new_for_peer (RookAuth *auth, RookWorker *worker, RookAuthPeer *peer, const char *mechanism)
{
  RookAuthExchange *self = exchange_new (auth, worker, peer);

  self->mechanism = g_ascii_strup (mechanism, -1);
  return self;
}

RookAuthExchange *
rook_auth_login_for_peer (RookAuth *auth, RookWorker *worker, RookAuthPeer *peer, const char *user,
                          const char *password, const char *authzid, RookAuthCallback callback, gpointer data)
{
  RookAuthExchange *self = exchange_new (auth, worker, peer);

  self->mechanism = g_strdup ("PLAIN");
  self->plain_login = TRUE;
  self->user = g_strdup (user);
  self->password = g_strdup (password);
  self->authzid = g_strdup (authzid);
  begin_step (self, NULL, NULL, callback, data);
  return self;
}

void
rook_auth_exchange_free (RookAuthExchange *exchange)
{
  exchange->callback = NULL;
  rook_timer_stop (&exchange->delay);
  if (exchange->at_work)
    exchange->orphan = TRUE;
  else
    rook_auth_exchange_drop (exchange);
}

RookAuthExchange *
rook_auth_exchange_hold (RookAuthExchange *exchange)
{
  exchange->holds++;
  return exchange;
}

void
rook_auth_exchange_drop (RookAuthExchange *exchange)
{
  if (--exchange->holds == 0)
    exchange_destroy (exchange);
}

void
rook_auth_exchange_step (RookAuthExchange *exchange, GBytes *response, RookAuthCallback callback, gpointer data)
{
  g_return_if_fail (callback != NULL && !exchange->plain_login);
  g_return_if_fail (exchange->callback == NULL && !exchange->over);

  begin_step (exchange, response != NULL ? g_bytes_ref (response) : NULL, NULL, callback, data);
}

static GBytes *
decode (RookAuthExchange *self, const char *response, gboolean initial, GError **error)
{
  gsize length = strlen (response);
  GBytes *bytes = NULL;

  if (g_str_equal (response, "*"))
    g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_CANCELLED, "Cancelled by the client");
  else if (length > self->settings->maximum_response)
    g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_PROTOCOL, "Answer too long");
  else if (initial && g_str_equal (response, "="))
    bytes = rook_auth_secret_bytes (NULL, 0);
  else if ((bytes = rook_auth_base64_decode (response, length)) == NULL)
    g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_PROTOCOL, "Not base64");
  return bytes;
}

void
rook_auth_exchange_step_base64 (RookAuthExchange *exchange, const char *response, gboolean initial,
                                RookAuthCallback callback, gpointer data)
{
  GError *error = NULL;
  GBytes *input;

  g_return_if_fail (response != NULL && callback != NULL && !exchange->plain_login);
  g_return_if_fail (exchange->callback == NULL && !exchange->over);

  input = decode (exchange, response, initial, &error);
  begin_step (exchange, input, error, callback, data);
}
