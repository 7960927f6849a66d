/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client's side, for proxies and replication: libsasl2's client with one mechanism that was chosen here, by the
 * order of auth/client-mechanisms. Mechanisms that would ask a third party (Kerberos) are left out, since a step may not
 * block; so are security layers, which TLS does better.
 */
#include "auth/auth-internal.h"

#include <sasl/saslplug.h>
#include <string.h>

struct RookAuthClient {
  RookAuthSettings *settings; /* (owned) */
  const char *mechanism;      /* (unowned) in the settings */
  sasl_conn_t *sasl;          /* (owned) */
  sasl_callback_t callbacks[7];
  RookSaslOptions options;
  RookAuthPeer peer;               /* (owned) its bindings alone */
  sasl_channel_binding_t binding;  /* libsasl2 keeps its address */
  char *authcid, *authzid, *realm; /* (owned) */
  sasl_secret_t *secret;           /* (owned) (nullable) wiped when freed */
  gboolean started, done;
};

/* --- what libsasl2 asks back -------------------------------------------------------------------------------------- */

static int
get_simple (void *context, int id, const char **result, unsigned *length)
{
  RookAuthClient *self = context;

  *result = id == SASL_CB_USER ? self->authzid : self->authcid;
  if (length != NULL)
    *length = (unsigned) strlen (*result);
  return SASL_OK;
}

static int
get_secret (G_GNUC_UNUSED sasl_conn_t *conn, void *context, G_GNUC_UNUSED int id, sasl_secret_t **out_secret)
{
  RookAuthClient *self = context;

  if (self->secret == NULL)
    return SASL_FAIL;
  *out_secret = self->secret;
  return SASL_OK;
}

/* The user's own domain if it is offered, else the server's first. */
static int
get_realm (void *context, G_GNUC_UNUSED int id, const char **offered, const char **result)
{
  RookAuthClient *self = context;

  *result = offered != NULL && *offered != NULL ? *offered : "";
  for (; offered != NULL && *offered != NULL; offered++)
    if (g_ascii_strcasecmp (*offered, self->realm) == 0)
      *result = *offered;
  return SASL_OK;
}

/* --- choice of the mechanism -------------------------------------------------------------------------------------- */

typedef struct {
  const char *name;
  gboolean found;
} Search;

static void
look_at_mechanism (client_sasl_mechanism_t *mechanism, sasl_info_callback_stage_t stage, void *data)
{
  Search *search = data;

  if (stage == SASL_INFO_LIST_MECH && mechanism->plug != NULL
      && g_ascii_strcasecmp (mechanism->plug->mech_name, search->name) == 0)
    search->found = TRUE;
}

static gboolean
is_installed (const char *name)
{
  g_autofree char *base = rook_mechanism_dup_base (name);
  Search search = { base, FALSE };

  return sasl_client_plugin_info (NULL, look_at_mechanism, &search) == SASL_OK && search.found;
}

static gboolean
is_offered (const char *const *mechanisms, const char *name)
{
  for (; *mechanisms != NULL; mechanisms++)
    if (g_ascii_strcasecmp (*mechanisms, name) == 0)
      return TRUE;
  return FALSE;
}

static gboolean
fits (const RookAuthPeer *peer, const char *name, gboolean has_password)
{
  guint traits = rook_mechanism_get_traits (name);

  if ((traits & ROOK_MECHANISM_MAY_BLOCK) != 0)
    return FALSE;
  if ((traits & ROOK_MECHANISM_BINDING) != 0 && !(rook_mechanism_is_scram (name) && rook_binding_available (peer)))
    return FALSE;
  if ((traits & ROOK_MECHANISM_EXTERNAL) != 0)
    return !has_password;
  return has_password || (traits & ROOK_MECHANISM_ANONYMOUS) != 0;
}

static const char *
choose (const RookAuthSettings *settings, const RookAuthPeer *peer, const char *const *offered, gboolean has_password,
        GError **error)
{
  gboolean private = FALSE;

  for (char **name = settings->client_mechanisms; *name != NULL; name++)
    {
      guint traits = rook_mechanism_get_traits (*name);

      if (!is_offered (offered, *name) || !fits (peer, *name, has_password) || !is_installed (*name))
        continue;
      if ((traits & ROOK_MECHANISM_PLAINTEXT) == 0 || peer->has_tls || peer->loopback)
        return *name;
      private = TRUE;
    }
  if (private)
    g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_PRIVACY, "No password goes out without TLS");
  else
    g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_MECHANISM, "The server offers no usable mechanism");
  return NULL;
}

/* To the first kind that there is: what RFC 5802 and RFC 9266 have as the default of each version of TLS comes first. */
static gboolean
bind_channel (RookAuthClient *self, const RookAuthPeer *peer)
{
  if ((rook_mechanism_get_traits (self->mechanism) & ROOK_MECHANISM_BINDING) == 0)
    return TRUE;
  for (guint i = 0; i < ROOK_TLS_N_BINDINGS; i++)
    if (peer->bindings[i] != NULL)
      {
        self->peer.bindings[i] = g_bytes_ref (peer->bindings[i]);
        return rook_binding_set (self->sasl, &self->binding, &self->peer, i);
      }
  return FALSE;
}

/* ------------------------------------------------------------------------------------------------------------------ */

static void
set_password (RookAuthClient *self, const char *password)
{
  gsize length = password != NULL ? strlen (password) : 0;

  if (password == NULL)
    return;
  self->secret = g_malloc0 (sizeof (sasl_secret_t) + length + 1);
  self->secret->len = length;
  memcpy (self->secret->data, password, length);
}

static void
set_callbacks (RookAuthClient *self)
{
  guint n = 0;

  self->options.settings = self->settings;
  self->callbacks[n++] = (sasl_callback_t){ SASL_CB_GETOPT, ROOK_SASL_PROC (rook_sasl_getopt), &self->options };
  self->callbacks[n++] = (sasl_callback_t){ SASL_CB_LOG, ROOK_SASL_PROC (rook_sasl_quiet), NULL };
  self->callbacks[n++] = (sasl_callback_t){ SASL_CB_USER, ROOK_SASL_PROC (get_simple), self };
  self->callbacks[n++] = (sasl_callback_t){ SASL_CB_AUTHNAME, ROOK_SASL_PROC (get_simple), self };
  self->callbacks[n++] = (sasl_callback_t){ SASL_CB_PASS, ROOK_SASL_PROC (get_secret), self };
  self->callbacks[n++] = (sasl_callback_t){ SASL_CB_GETREALM, ROOK_SASL_PROC (get_realm), self };
  self->callbacks[n] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
}

static gboolean
open_sasl (RookAuthClient *self, const RookAuthPeer *peer, const char *service, const char *host)
{
  sasl_security_properties_t properties = { .max_ssf = 0 };
  sasl_ssf_t bits = peer->has_tls ? peer->tls_bits : 0;

  return sasl_client_new (service, host, peer->local, peer->remote, self->callbacks, 0, &self->sasl) == SASL_OK
         && sasl_setprop (self->sasl, SASL_SEC_PROPS, &properties) == SASL_OK
         && sasl_setprop (self->sasl, SASL_SSF_EXTERNAL, &bits) == SASL_OK
         && sasl_setprop (self->sasl, SASL_AUTH_EXTERNAL, self->authcid) == SASL_OK && bind_channel (self, peer);
}

RookAuthClient *
rook_auth_client_new_for_peer (RookAuth *auth, const RookAuthPeer *peer, const char *service, const char *host,
                               const char *const *mechanisms, const char *authcid, const char *authzid,
                               const char *password, GError **error)
{
  g_autoptr (RookAuthSettings) settings = rook_auth_get_settings (auth);
  const char *mechanism;
  RookAuthClient *self;

  g_return_val_if_fail (service != NULL && host != NULL && mechanisms != NULL && authcid != NULL, NULL);
  if (!rook_sasl_start ())
    {
      g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_UNAVAILABLE, "libsasl2 does not start");
      return NULL;
    }
  mechanism = choose (settings, peer, mechanisms, password != NULL, error);
  if (mechanism == NULL)
    return NULL;

  self = g_new0 (RookAuthClient, 1);
  self->settings = g_steal_pointer (&settings);
  self->mechanism = mechanism;
  self->authcid = g_strdup (authcid);
  self->authzid = g_strdup (authzid != NULL ? authzid : "");
  self->realm = g_strdup (strrchr (authcid, '@') != NULL ? strrchr (authcid, '@') + 1 : "");
  set_password (self, password);
  set_callbacks (self);
  if (open_sasl (self, peer, service, host))
    return self;
  rook_auth_client_free (self);
  g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_UNAVAILABLE, "libsasl2 gives no client");
  return NULL;
}

void
rook_auth_client_free (RookAuthClient *client)
{
  if (client->sasl != NULL)
    sasl_dispose (&client->sasl);
  if (client->secret != NULL)
    explicit_bzero (client->secret->data, client->secret->len);
  g_free (client->secret);
  rook_auth_peer_clear (&client->peer);
  g_free (client->authcid);
  g_free (client->authzid);
  g_free (client->realm);
  rook_auth_settings_unref (client->settings);
  g_free (client);
}

const char *
rook_auth_client_get_mechanism (RookAuthClient *client)
{
  return client->mechanism;
}

static int
first_step (RookAuthClient *self, const char **out, unsigned *out_length)
{
  const char *chosen;

  self->started = TRUE;
  return sasl_client_start (self->sasl, self->mechanism, NULL, out, out_length, &chosen);
}

static int
next_step (RookAuthClient *self, GBytes *challenge, const char **out, unsigned *out_length)
{
  gsize length;
  const char *data = g_bytes_get_data (challenge, &length);
  g_autofree char *copy = g_malloc0 (length + 1);

  if (length > 0)
    memcpy (copy, data, length);
  return sasl_client_step (self->sasl, copy, (unsigned) length, NULL, out, out_length);
}

gboolean
rook_auth_client_step (RookAuthClient *client, GBytes *challenge, GBytes **out_response, GError **error)
{
  const char *out = NULL;
  unsigned length = 0;
  int result;

  g_return_val_if_fail (out_response != NULL && client->started == (challenge != NULL), FALSE);
  if (client->done)
    result = g_bytes_get_size (challenge) == 0 ? SASL_OK : SASL_BADPROT;
  else if (challenge == NULL)
    result = first_step (client, &out, &length);
  else
    result = next_step (client, challenge, &out, &length);

  client->done = client->done || result == SASL_OK;
  if (result != SASL_OK && result != SASL_CONTINUE)
    {
      g_set_error (error, ROOK_AUTH_ERROR, rook_sasl_error_code (result), "%s: %s", client->mechanism,
                   sasl_errstring (result, NULL, NULL));
      return FALSE;
    }
  *out_response = challenge == NULL && out == NULL ? NULL : rook_auth_secret_bytes (out, length);
  return TRUE;
}
