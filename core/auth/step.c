/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One step of an exchange on a thread of the pool: libsasl2 and everything it asks back. It may block, and touches
 * nothing but the exchange it was given, whose worker leaves it alone meanwhile.
 */
#include "auth/auth-internal.h"

#include <string.h>
#include <unistd.h>

#define LAYER_BUFFER 65536
#define MAX_ANSWER 1024

/* What clients may be told, by RookAuthError: never which of two things was wrong. */
static const char *
message_of (RookAuthError code)
{
  switch (code)
    {
    case ROOK_AUTH_ERROR_FAILED:
      return "Authentication failed";
    case ROOK_AUTH_ERROR_UNAVAILABLE:
      return "Authentication is not available now";
    case ROOK_AUTH_ERROR_MECHANISM:
      return "Mechanism not offered";
    case ROOK_AUTH_ERROR_PRIVACY:
      return "Needs TLS first";
    case ROOK_AUTH_ERROR_NOT_AUTHORIZED:
      return "May not act as that user";
    case ROOK_AUTH_ERROR_PROTOCOL:
      return "Not what the mechanism expects";
    case ROOK_AUTH_ERROR_CANCELLED:
      return "Cancelled by the client";
    case ROOK_AUTH_ERROR_DISABLED:
      return "Account locked or expired";
    case ROOK_AUTH_ERROR_WEAK:
      return "Password or mechanism too weak";
    }
  return "Authentication failed";
}

static void
fail (RookAuthExchange *self, RookAuthError code)
{
  self->state = ROOK_EXCHANGE_FAILED;
  g_clear_error (&self->error);
  g_set_error_literal (&self->error, ROOK_AUTH_ERROR, code, message_of (code));
}

/* Whom the attempt is for: the canonical name, or what there was, cut to a sane length. */
static void
remember_attempted (RookAuthExchange *self, const char *name, gsize length)
{
  g_free (self->attempted);
  if (!rook_auth_canonical (self->settings, name, (gssize) length, &self->attempted, NULL))
    self->attempted = g_strndup (name, MIN (length, 255));
}

/* --- what libsasl2 asks back -------------------------------------------------------------------------------------- */

/* Under which name the password is looked up. saslauthd and checkers are asked for the name as it is spelled, for to them alice
 * and Alice may be two. sasldb is ours: there it is the canonical one, unless the file has the spelling itself, which another
 * program has written. (transfer full) (nullable) */
static char *
lookup_name (RookAuthExchange *self, const char *in, gsize length)
{
  const RookAuthSettings *settings = self->settings;
  g_autofree char *spelled = NULL, *user = NULL;

  if (!rook_auth_spelled (settings, in, (gssize) length, &spelled, NULL))
    return NULL;
  if (settings->backend != ROOK_AUTH_SASLDB || !rook_auth_canonical (settings, in, (gssize) length, &user, NULL)
      || g_str_equal (user, spelled) || rook_sasldb_has (settings, spelled))
    return g_steal_pointer (&spelled);
  return g_steal_pointer (&user);
}

static int
canon_user (G_GNUC_UNUSED sasl_conn_t *conn, void *context, const char *in, unsigned length, unsigned flags,
            G_GNUC_UNUSED const char *realm, char *out, unsigned out_max, unsigned *out_length)
{
  RookAuthExchange *self = context;
  g_autofree char *user = NULL;

  if (length == 0)
    length = (unsigned) strlen (in);
  if ((flags & SASL_CU_AUTHID) != 0)
    remember_attempted (self, in, length);
  /* proxy_policy() makes it canonical. */
  if ((flags & SASL_CU_AUTHID) != 0)
    user = lookup_name (self, in, length);
  else
    rook_auth_spelled (self->settings, in, length, &user, NULL);
  if (user == NULL || strlen (user) >= out_max)
    return (flags & SASL_CU_AUTHID) != 0 ? SASL_BADAUTH : SASL_NOAUTHZ;
  strcpy (out, user);
  *out_length = (unsigned) strlen (user);
  return SASL_OK;
}

static gboolean
ask_backend (RookAuthExchange *self, const char *user, const char *password, gsize length, GError **error)
{
  const RookAuthSettings *settings = self->settings;
  g_autofree char *name = NULL, *realm = NULL;

  rook_auth_split (user, &name, &realm);
  if (settings->backend == ROOK_AUTH_CHECKER)
    return rook_auth_checkers_check (self->checkers, settings->backend_name, self->peer.service, name, realm, password,
                                     error);
  return rook_saslauthd_check (settings->saslauthd_socket, settings->saslauthd_timeout_ms, name, password, length,
                               self->peer.service, *realm != '\0' ? realm : settings->default_realm, error);
}

/* SASL_CB_SERVER_USERDB_CHECKPASS: the verdict is kept beside, since libsasl2 goes on to other ways after a refusal. An
 * empty password is refused here: to some directories a login without one is a success. */
static int
check_password (G_GNUC_UNUSED sasl_conn_t *conn, void *context, const char *name, const char *password, unsigned length,
                G_GNUC_UNUSED struct propctx *props)
{
  RookAuthExchange *self = context;
  g_autofree char *user = NULL;
  char *copy;
  gboolean ok;

  g_clear_error (&self->check_error);
  if (!rook_auth_spelled (self->settings, name, -1, &user, &self->check_error))
    return SASL_BADAUTH;
  if (length == 0 || memchr (password, '\0', length) != NULL)
    {
      g_set_error_literal (&self->check_error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_FAILED,
                           message_of (ROOK_AUTH_ERROR_FAILED));
      return SASL_BADAUTH;
    }
  copy = g_strndup (password, length);
  ok = ask_backend (self, user, copy, length, &self->check_error);
  rook_auth_wipe_free (copy);
  return ok ? SASL_OK : SASL_BADAUTH;
}

static int
proxy_policy (G_GNUC_UNUSED sasl_conn_t *conn, void *context, const char *requested, unsigned requested_length,
              const char *authid, unsigned authid_length, G_GNUC_UNUSED const char *realm,
              G_GNUC_UNUSED unsigned realm_length, G_GNUC_UNUSED struct propctx *props)
{
  RookAuthExchange *self = context;
  g_autofree char *user = NULL, *authcid = NULL;

  if (!rook_auth_canonical (self->settings, authid, authid_length, &authcid, NULL))
    return SASL_BADAUTH;
  g_clear_pointer (&self->identity, rook_identity_unref);
  if (rook_auth_canonical (self->settings, requested, requested_length, &user, NULL))
    self->identity = rook_auth_authorize (self->settings, authcid, user, NULL);
  if (self->identity != NULL)
    return SASL_OK;
  g_free (self->wanted);
  self->wanted = user != NULL ? g_steal_pointer (&user) : g_strndup (requested, MIN (requested_length, 255));
  return SASL_NOAUTHZ; /* the password was right */
}

/* --- the SASL connection ------------------------------------------------------------------------------------------ */

static void
set_callbacks (RookAuthExchange *self)
{
  guint n = 0;

  self->options =
      (RookSaslOptions){ .settings = self->settings, .secrets = self->settings->backend == ROOK_AUTH_SASLDB };
  self->callbacks[n++] = (sasl_callback_t){ SASL_CB_GETOPT, ROOK_SASL_PROC (rook_sasl_getopt), &self->options };
  self->callbacks[n++] = (sasl_callback_t){ SASL_CB_LOG, ROOK_SASL_PROC (rook_sasl_quiet), NULL };
  self->callbacks[n++] = (sasl_callback_t){ SASL_CB_CANON_USER, ROOK_SASL_PROC (canon_user), self };
  self->callbacks[n++] = (sasl_callback_t){ SASL_CB_PROXY_POLICY, ROOK_SASL_PROC (proxy_policy), self };
  if (!self->options.secrets)
    self->callbacks[n++] = (sasl_callback_t){ SASL_CB_SERVER_USERDB_CHECKPASS, ROOK_SASL_PROC (check_password), self };
  self->callbacks[n] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
}

static int
set_security (RookAuthExchange *self)
{
  const RookAuthSettings *settings = self->settings;
  const RookAuthPeer *peer = &self->peer;
  gboolean anonymous = (rook_mechanism_get_traits (self->mechanism) & ROOK_MECHANISM_ANONYMOUS) != 0;
  sasl_ssf_t bits = peer->has_tls ? peer->tls_bits : g_str_equal (peer->address, "unix") ? settings->minimum_ssf : 0;
  sasl_security_properties_t properties = {
    .min_ssf = settings->minimum_ssf,
    .max_ssf = peer->has_tls ? 0 : settings->maximum_ssf,
    .maxbufsize = peer->has_tls || settings->maximum_ssf == 0 ? 0 : LAYER_BUFFER,
    .security_flags = (anonymous ? 0 : SASL_SEC_NOANONYMOUS)
                      | (rook_auth_plaintext_permitted (settings, peer) ? 0 : SASL_SEC_NOPLAINTEXT),
  };
  int result = sasl_setprop (self->sasl, SASL_SEC_PROPS, &properties);

  if (result == SASL_OK)
    result = sasl_setprop (self->sasl, SASL_SSF_EXTERNAL, &bits);
  if (result == SASL_OK && peer->tls_name != NULL)
    result = sasl_setprop (self->sasl, SASL_AUTH_EXTERNAL, peer->tls_name);
  return result;
}

static gboolean
backend_is_there (RookAuthExchange *self)
{
  if (!rook_sasl_start ())
    return FALSE;
  if (!self->options.secrets
      || (rook_sasldb_is_file (self->settings->sasldb_path) && access (self->settings->sasldb_path, R_OK) == 0))
    return TRUE;
  g_set_error (&self->error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_UNAVAILABLE, "%s can't be read",
               self->settings->sasldb_path);
  return FALSE;
}

static gboolean
open_sasl (RookAuthExchange *self)
{
  const RookAuthSettings *settings = self->settings;
  const RookAuthPeer *peer = &self->peer;

  if (self->sasl != NULL)
    return TRUE;
  set_callbacks (self);
  if (backend_is_there (self)
      && sasl_server_new (peer->service, settings->hostname, settings->realm, peer->local, peer->remote,
                          self->callbacks, 0, &self->sasl)
             == SASL_OK
      && set_security (self) == SASL_OK)
    return TRUE;
  self->state = ROOK_EXCHANGE_FAILED;
  if (self->error == NULL)
    fail (self, ROOK_AUTH_ERROR_UNAVAILABLE);
  return FALSE;
}

static void
conclude (RookAuthExchange *self, int result)
{
  if (result == SASL_CONTINUE)
    self->state = ROOK_EXCHANGE_MORE;
  else if (result == SASL_OK && self->identity != NULL)
    self->state = ROOK_EXCHANGE_DONE;
  else if (self->check_error != NULL)
    {
      self->state = ROOK_EXCHANGE_FAILED;
      self->error = g_steal_pointer (&self->check_error);
    }
  else if (result == SASL_BADPROT && self->binding.data != NULL)
    fail (self, ROOK_AUTH_ERROR_FAILED); /* bound to another connection, and that is all that libsasl2 says of it */
  else
    fail (self, result == SASL_OK ? ROOK_AUTH_ERROR_UNAVAILABLE : rook_sasl_error_code (result));
}

/* Whether the client's first message may be given to libsasl2 as it is bound. */
static gboolean
settle_binding (RookAuthExchange *self, const char *data, gsize length)
{
  const char *wrong;

  if (self->judged || length == 0 || !rook_mechanism_is_scram (self->mechanism))
    return TRUE;
  self->judged = TRUE;
  wrong = rook_binding_judge (self, data, length);
  if (wrong == NULL)
    return TRUE;
  self->state = ROOK_EXCHANGE_FAILED;
  g_set_error_literal (&self->error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_FAILED, wrong);
  return FALSE;
}

static int
give_to_libsasl (RookAuthExchange *self, const char *data, gsize length, const char **out, unsigned *out_length)
{
  g_autofree char *name = rook_mechanism_dup_base (self->mechanism);

  if (!self->started)
    return sasl_server_start (self->sasl, name, data, (unsigned) length, out, out_length);
  return sasl_server_step (self->sasl, data != NULL ? data : "", (unsigned) length, out, out_length);
}

/* Some mechanisms read on to a NUL byte, which the bytes of a response need not have. */
static void
step_mechanism (RookAuthExchange *self)
{
  gsize length = 0;
  const char *data = self->input != NULL ? g_bytes_get_data (self->input, &length) : NULL;
  char *copy = self->input != NULL ? g_malloc0 (length + 1) : NULL;
  const char *out = NULL;
  unsigned out_length = 0;
  int result;

  if (!settle_binding (self, data, length))
    {
      g_free (copy);
      return;
    }
  if (length > 0)
    memcpy (copy, data, length);
  result = give_to_libsasl (self, copy, length, &out, &out_length);
  self->started = TRUE;
  if (copy != NULL)
    explicit_bzero (copy, length);
  g_free (copy);
  conclude (self, result);
  if (self->state == ROOK_EXCHANGE_MORE)
    self->challenge = g_bytes_new (out, out_length);
}

/* The checked user may want to act as somebody else. */
static void
authorize_login (RookAuthExchange *self)
{
  g_autofree char *authcid = g_strdup (rook_identity_get_authcid (self->identity));
  g_autofree char *user = NULL;

  if (self->authzid == NULL || *self->authzid == '\0')
    return;
  g_clear_pointer (&self->identity, rook_identity_unref);
  if (rook_auth_canonical (self->settings, self->authzid, -1, &user, NULL))
    self->identity = rook_auth_authorize (self->settings, authcid, user, NULL);
  if (self->identity != NULL)
    return;
  g_free (self->wanted);
  self->wanted = user != NULL ? g_steal_pointer (&user) : g_strndup (self->authzid, 255);
  fail (self, ROOK_AUTH_ERROR_NOT_AUTHORIZED);
}

static void
step_login (RookAuthExchange *self)
{
  int result;

  remember_attempted (self, self->user, strlen (self->user));
  self->started = TRUE;
  if (*self->user == '\0' || *self->password == '\0')
    {
      fail (self, ROOK_AUTH_ERROR_FAILED);
      return;
    }
  result = sasl_checkpass (self->sasl, self->user, (unsigned) strlen (self->user), self->password,
                           (unsigned) strlen (self->password));
  explicit_bzero (self->password, strlen (self->password));
  conclude (self, result);
  if (self->state == ROOK_EXCHANGE_DONE)
    authorize_login (self);
}

/* --- LOGIN --------------------------------------------------------------------------------------------------------- */

/* The answer to a prompt, as a string; %NULL (and failed) if it can be none. */
static char *
take_answer (RookAuthExchange *self)
{
  gsize length = 0;
  const char *data = self->input != NULL ? g_bytes_get_data (self->input, &length) : NULL;

  if (length <= MAX_ANSWER && (length == 0 || memchr (data, '\0', length) == NULL))
    return length > 0 ? g_strndup (data, length) : g_strdup ("");
  fail (self, ROOK_AUTH_ERROR_PROTOCOL);
  return NULL;
}

static void
prompt (RookAuthExchange *self, const char *text)
{
  self->state = ROOK_EXCHANGE_MORE;
  self->challenge = g_bytes_new_static (text, strlen (text));
}

/* The mechanism LOGIN is done here and not by libsasl2's plugin, which never frees (nor wipes) a password that came with
 * a name it can't make canonical: anybody could have the server's memory that way. The name may come with the first
 * step, as some clients send it. */
static void
step_login_mechanism (RookAuthExchange *self)
{
  gboolean first = !self->started;

  self->started = TRUE;
  if (first && self->input == NULL)
    prompt (self, "Username:");
  else if (self->user == NULL)
    {
      self->user = take_answer (self);
      if (self->user != NULL)
        prompt (self, "Password:");
    }
  else
    {
      self->password = take_answer (self);
      if (self->password != NULL)
        step_login (self);
    }
}

void
rook_exchange_run_step (RookAuthExchange *exchange)
{
  if (!open_sasl (exchange))
    return;
  if (exchange->plain_login)
    step_login (exchange);
  else if (g_str_equal (exchange->mechanism, "LOGIN"))
    step_login_mechanism (exchange);
  else
    step_mechanism (exchange);
}
