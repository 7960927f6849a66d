/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which mechanism may be used where. A mechanism is offered if the configuration names it, libsasl2 has it, the backend
 * can complete it and the connection is fit for it: the same answer for the list as for the attempt.
 */
#include "auth/auth-internal.h"

#include <sasl/saslplug.h>

/* An address that is a UNIX socket is as private as any cipher. */
#define UNIX_BITS 256

static const struct {
  const char *name;
  guint traits;
} known[] = {
  { "PLAIN", ROOK_MECHANISM_PLAINTEXT },
  { "LOGIN", ROOK_MECHANISM_PLAINTEXT },
  { "EXTERNAL", ROOK_MECHANISM_EXTERNAL },
  { "ANONYMOUS", ROOK_MECHANISM_ANONYMOUS },
  { "SCRAM-SHA-1", ROOK_MECHANISM_SECRET },
  { "SCRAM-SHA-224", ROOK_MECHANISM_SECRET },
  { "SCRAM-SHA-256", ROOK_MECHANISM_SECRET },
  { "SCRAM-SHA-384", ROOK_MECHANISM_SECRET },
  { "SCRAM-SHA-512", ROOK_MECHANISM_SECRET },
  { "CRAM-MD5", ROOK_MECHANISM_SECRET },
  { "DIGEST-MD5", ROOK_MECHANISM_SECRET },
  { "NTLM", ROOK_MECHANISM_SECRET },
  { "SRP", ROOK_MECHANISM_SECRET },
  { "OTP", ROOK_MECHANISM_SECRET },
  { "PASSDSS-3DES-1", ROOK_MECHANISM_SECRET },
  { "GSSAPI", ROOK_MECHANISM_MAY_BLOCK },
  { "GS2-KRB5", ROOK_MECHANISM_MAY_BLOCK },
  { "GS2-IAKERB", ROOK_MECHANISM_MAY_BLOCK },
  { "GSS-SPNEGO", ROOK_MECHANISM_MAY_BLOCK },
};

/* "SCRAM-SHA-1-PLUS" is SCRAM-SHA-1 bound to the channel. */
static gsize
base_length (const char *name)
{
  return strlen (name) - (g_str_has_suffix (name, "-PLUS") ? strlen ("-PLUS") : 0);
}

guint
rook_mechanism_get_traits (const char *name)
{
  gsize length = base_length (name);
  guint traits = name[length] != '\0' ? ROOK_MECHANISM_BINDING : 0;

  for (guint i = 0; i < G_N_ELEMENTS (known); i++)
    if (strlen (known[i].name) == length && g_ascii_strncasecmp (known[i].name, name, length) == 0)
      return traits | known[i].traits;
  return traits;
}

gboolean
rook_mechanism_is_scram (const char *name)
{
  return g_ascii_strncasecmp (name, "SCRAM-", strlen ("SCRAM-")) == 0;
}

char *
rook_mechanism_dup_base (const char *name)
{
  return g_strndup (name, base_length (name));
}

typedef struct {
  const char *name;
  gboolean found;
} Search;

static void
look_at_mechanism (server_sasl_mechanism_t *mechanism, sasl_info_callback_stage_t stage, void *data)
{
  Search *search = data;
  gsize length = base_length (search->name);

  if (stage != SASL_INFO_LIST_MECH || mechanism->plug == NULL)
    return;
  if (strlen (mechanism->plug->mech_name) == length
      && g_ascii_strncasecmp (mechanism->plug->mech_name, search->name, length) == 0)
    search->found = TRUE;
}

gboolean
rook_mechanism_is_installed (const char *name)
{
  Search search = { name, FALSE };

  /* The binding of others (GSSAPI-PLUS) is not known here. */
  if ((rook_mechanism_get_traits (name) & ROOK_MECHANISM_BINDING) != 0 && !rook_mechanism_is_scram (name))
    return FALSE;
  /* This one is ours. */
  if (g_ascii_strcasecmp (name, "LOGIN") == 0)
    return rook_sasl_start ();
  return rook_sasl_start () && sasl_server_plugin_info (NULL, look_at_mechanism, &search) == SASL_OK && search.found;
}

gboolean
rook_auth_plaintext_permitted (const RookAuthSettings *settings, const RookAuthPeer *peer)
{
  return peer->has_tls || (peer->loopback && settings->plaintext_on_loopback);
}

static guint
bits_of (const RookAuthPeer *peer)
{
  if (peer->has_tls)
    return peer->tls_bits;
  return g_str_equal (peer->address, "unix") ? UNIX_BITS : 0;
}

static gboolean
fits_connection (const RookAuthSettings *settings, const RookAuthPeer *peer, guint traits, GError **error)
{
  gboolean own_layer = traits == ROOK_MECHANISM_SECRET || (traits & ROOK_MECHANISM_MAY_BLOCK) != 0;

  if (((traits & ROOK_MECHANISM_EXTERNAL) != 0 && peer->tls_name == NULL)
      || ((traits & ROOK_MECHANISM_BINDING) != 0 && !rook_binding_available (peer)))
    g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_MECHANISM, "Mechanism not possible here");
  else if ((traits & ROOK_MECHANISM_PLAINTEXT) != 0 && !rook_auth_plaintext_permitted (settings, peer))
    g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_PRIVACY, "Needs TLS first");
  else if (bits_of (peer) < settings->minimum_ssf && (!own_layer || settings->maximum_ssf < settings->minimum_ssf))
    g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_WEAK, "Encryption too weak");
  else
    return TRUE;
  return FALSE;
}

gboolean
rook_mechanism_permitted (const RookAuthSettings *settings, const RookAuthPeer *peer, const char *name, GError **error)
{
  guint traits = rook_mechanism_get_traits (name);

  if (!g_strv_contains ((const char *const *) settings->mechanisms, name)
      || ((traits & ROOK_MECHANISM_SECRET) != 0 && settings->backend != ROOK_AUTH_SASLDB)
      || !rook_mechanism_is_installed (name))
    {
      g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_MECHANISM, "Mechanism not offered");
      return FALSE;
    }
  return fits_connection (settings, peer, traits, error);
}

gboolean
rook_auth_login_permitted (const RookAuthSettings *settings, const RookAuthPeer *peer, GError **error)
{
  const char *const *names = (const char *const *) settings->mechanisms;

  if (g_strv_contains (names, "PLAIN") || g_strv_contains (names, "LOGIN"))
    return fits_connection (settings, peer, ROOK_MECHANISM_PLAINTEXT, error);
  g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_MECHANISM, "Mechanism not offered");
  return FALSE;
}

char **
rook_mechanism_list (const RookAuthSettings *settings, const RookAuthPeer *peer)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  for (char **name = settings->mechanisms; *name != NULL; name++)
    if (rook_mechanism_permitted (settings, peer, *name, NULL))
      g_strv_builder_add (builder, *name);
  return g_strv_builder_end (builder);
}

void
rook_auth_peer_clear (RookAuthPeer *peer)
{
  g_clear_pointer (&peer->id, g_free);
  g_clear_pointer (&peer->protocol, g_free);
  g_clear_pointer (&peer->service, g_free);
  g_clear_pointer (&peer->address, g_free);
  g_clear_pointer (&peer->local, g_free);
  g_clear_pointer (&peer->remote, g_free);
  g_clear_pointer (&peer->tls_name, g_free);
  for (guint i = 0; i < ROOK_TLS_N_BINDINGS; i++)
    g_clear_pointer (&peer->bindings[i], g_bytes_unref);
}
