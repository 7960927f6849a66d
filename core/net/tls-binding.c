/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Channel bindings. Two kinds name the connection, and need what keeps two connections from having the same master
 * secret: TLS 1.3, or the extended master secret of RFC 7627. The third names the server's certificate, for servers
 * whose TLS ends elsewhere.
 *
 * tls-unique is not defined for TLS 1.3. Cyrus's clients use it there all the same, as the first Finished message, so a
 * server takes it; our client does not offer it.
 */
#include "net/tls-binding.h"

#define EXPORTER_LABEL "EXPORTER-Channel-Binding"
#define EXPORTER_LENGTH 32

const char *const rook_tls_binding_names[ROOK_TLS_N_BINDINGS] = {
  [ROOK_TLS_UNIQUE] = "tls-unique",
  [ROOK_TLS_EXPORTER] = "tls-exporter",
  [ROOK_TLS_SERVER_END_POINT] = "tls-server-end-point",
};

static gboolean
is_unlike_any_other (SSL *ssl)
{
  return SSL_version (ssl) >= TLS1_3_VERSION || SSL_get_extms_support (ssl) == 1;
}

/* The client's Finished comes first, but in a resumed session the server's. */
static GBytes *
make_unique (SSL *ssl)
{
  guint8 data[EVP_MAX_MD_SIZE];
  gboolean ours = !SSL_is_server (ssl) == !SSL_session_reused (ssl);
  gsize length;

  if (!is_unlike_any_other (ssl) || (SSL_version (ssl) >= TLS1_3_VERSION && !SSL_is_server (ssl)))
    return NULL;
  length = ours ? SSL_get_finished (ssl, data, sizeof data) : SSL_get_peer_finished (ssl, data, sizeof data);
  return length > 0 && length <= sizeof data ? g_bytes_new (data, length) : NULL;
}

static GBytes *
make_exporter (SSL *ssl)
{
  guint8 data[EXPORTER_LENGTH];

  if (!is_unlike_any_other (ssl)
      || SSL_export_keying_material (ssl, data, sizeof data, EXPORTER_LABEL, strlen (EXPORTER_LABEL), NULL, 0, 1) != 1)
    return NULL;
  return g_bytes_new (data, sizeof data);
}

/* By the digest of the certificate's own signature, but for SHA-256 in place of MD5 and SHA-1; a signature that has
 * none (Ed25519) gives no binding. */
static GBytes *
make_server_end_point (SSL *ssl)
{
  X509 *certificate = SSL_is_server (ssl) ? SSL_get_certificate (ssl) : SSL_get0_peer_certificate (ssl);
  guint8 data[EVP_MAX_MD_SIZE];
  guint length = 0;
  int digest = NID_undef;

  if (certificate == NULL || X509_get_signature_info (certificate, &digest, NULL, NULL, NULL) != 1
      || digest == NID_undef)
    return NULL;
  if (digest == NID_md5 || digest == NID_sha1)
    digest = NID_sha256;
  if (EVP_get_digestbynid (digest) == NULL
      || X509_digest (certificate, EVP_get_digestbynid (digest), data, &length) != 1)
    return NULL;
  return g_bytes_new (data, length);
}

GBytes *
rook_tls_binding_new (SSL *ssl, RookTlsBinding kind)
{
  switch (kind)
    {
    case ROOK_TLS_UNIQUE:
      return make_unique (ssl);
    case ROOK_TLS_EXPORTER:
      return make_exporter (ssl);
    case ROOK_TLS_SERVER_END_POINT:
      return make_server_end_point (ssl);
    case ROOK_TLS_N_BINDINGS:
      break;
    }
  g_return_val_if_reached (NULL);
}
