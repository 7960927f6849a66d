/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * TLS over the filter below, by way of a BIO of ours: OpenSSL reads straight into its record buffer and writes straight
 * from it, and what the lower filter says about blocking and errors is kept. OpenSSL gives its record buffers back
 * while nothing is in them.
 *
 * An RSA handshake takes its worker about a millisecond of computing; it is not handed to another thread.
 */
#include "net/filter-tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

typedef struct {
  RookFilter filter;
  RookTlsStore *store; /* (owned) keeps the contexts */
  SSL *ssl;            /* (owned) */
  BIO_METHOD *method;  /* (owned) */
  const char *alpn;    /* (nullable) (unowned) constant */
  RookTlsName name_kind;
  char *peer_name; /* (owned) (nullable) */
  gboolean up, eof;
  GError *lower_error; /* (owned) (nullable) of the lower filter, on its way through OpenSSL */
} TlsFilter;

/* --- the BIO ---------------------------------------------------------------------------------------------------------- */

static int
bio_read (BIO *bio, char *data, size_t size, size_t *out_length)
{
  TlsFilter *self = BIO_get_data (bio);
  RookFilterResult result;

  BIO_clear_retry_flags (bio);
  g_clear_error (&self->lower_error);
  result = rook_filter_read (self->filter.lower, (guint8 *) data, size, out_length, &self->lower_error);
  if (result == ROOK_FILTER_OK)
    return 1;
  if (result == ROOK_FILTER_AGAIN)
    BIO_set_retry_read (bio);
  self->eof |= result == ROOK_FILTER_EOF;
  *out_length = 0;
  return 0;
}

static int
bio_write (BIO *bio, const char *data, size_t length, size_t *out_length)
{
  TlsFilter *self = BIO_get_data (bio);
  struct iovec iov = { (void *) data, length };
  RookFilterResult result;

  BIO_clear_retry_flags (bio);
  g_clear_error (&self->lower_error);
  result = rook_filter_write (self->filter.lower, &iov, 1, out_length, &self->lower_error);
  if (result == ROOK_FILTER_OK)
    return 1;
  if (result == ROOK_FILTER_AGAIN)
    BIO_set_retry_write (bio);
  *out_length = 0;
  return 0;
}

static long
bio_ctrl (BIO *bio, int command, long number G_GNUC_UNUSED, void *pointer G_GNUC_UNUSED)
{
  TlsFilter *self = BIO_get_data (bio);

  if (command == BIO_CTRL_EOF)
    return self->eof;
  return command == BIO_CTRL_FLUSH;
}

static void
attach_bio (TlsFilter *self)
{
  BIO *bio;

  self->method = BIO_meth_new (BIO_TYPE_SOURCE_SINK | 127, "rookery filter");
  g_assert (self->method != NULL);
  BIO_meth_set_read_ex (self->method, bio_read);
  BIO_meth_set_write_ex (self->method, bio_write);
  BIO_meth_set_ctrl (self->method, bio_ctrl);
  bio = BIO_new (self->method);
  g_assert (bio != NULL);
  BIO_set_data (bio, self);
  BIO_set_init (bio, 1);
  SSL_set_bio (self->ssl, bio, bio);
}

/* --- results ---------------------------------------------------------------------------------------------------------- */

static RookFilterResult
tls_error (TlsFilter *self, GError **error)
{
  long verify = SSL_get_verify_result (self->ssl);
  gulong code = ERR_get_error ();
  char text[256] = "protocol error";

  if (self->lower_error != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&self->lower_error));
      return ROOK_FILTER_ERROR;
    }
  if (code != 0)
    g_strlcpy (text, ERR_reason_error_string (code) != NULL ? ERR_reason_error_string (code) : "error", sizeof text);
  if (verify != X509_V_OK && !self->up)
    g_set_error (error, ROOK_NET_ERROR, ROOK_NET_ERROR_CERTIFICATE, "certificate of the peer: %s",
                 X509_verify_cert_error_string (verify));
  else
    g_set_error (error, ROOK_NET_ERROR, ROOK_NET_ERROR_TLS, "TLS: %s", text);
  ERR_clear_error ();
  return ROOK_FILTER_ERROR;
}

/* What an SSL function's return says. */
static RookFilterResult
judge (TlsFilter *self, int returned, GError **error)
{
  switch (SSL_get_error (self->ssl, returned))
    {
    case SSL_ERROR_NONE:
      return ROOK_FILTER_OK;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return ROOK_FILTER_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
      return ROOK_FILTER_EOF;
    case SSL_ERROR_SYSCALL:
      if (self->lower_error == NULL && ERR_peek_error () == 0)
        return ROOK_FILTER_EOF;
      return tls_error (self, error);
    default:
      return tls_error (self, error);
    }
}

static RookFilterResult
tls_read (RookFilter *filter, guint8 *buffer, gsize size, gsize *out_length, GError **error)
{
  TlsFilter *self = (TlsFilter *) filter;

  ERR_clear_error ();
  return judge (self, SSL_read_ex (self->ssl, buffer, size, out_length), error);
}

static RookFilterResult
tls_write (RookFilter *filter, const struct iovec *iov, int n, gsize *out_length, GError **error)
{
  TlsFilter *self = (TlsFilter *) filter;
  gsize total = 0;

  for (int i = 0; i < n; i++)
    for (gsize offset = 0; offset < iov[i].iov_len;)
      {
        gsize written = 0;
        RookFilterResult result;

        ERR_clear_error ();
        result = judge (
            self, SSL_write_ex (self->ssl, (guint8 *) iov[i].iov_base + offset, iov[i].iov_len - offset, &written),
            total > 0 ? NULL : error);
        if (result != ROOK_FILTER_OK)
          {
            *out_length = total; /* an error comes again with the next write */
            return total > 0 ? ROOK_FILTER_OK : result == ROOK_FILTER_EOF ? tls_error (self, error) : result;
          }
        offset += written;
        total += written;
      }
  *out_length = total;
  return ROOK_FILTER_OK;
}

static RookFilterResult
tls_flush (RookFilter *filter, GError **error)
{
  return rook_filter_flush (filter->lower, error);
}

static void
tls_shutdown (RookFilter *filter)
{
  TlsFilter *self = (TlsFilter *) filter;

  ERR_clear_error ();
  if (self->up)
    SSL_shutdown (self->ssl);
  ERR_clear_error ();
}

static void
tls_free (RookFilter *filter)
{
  TlsFilter *self = (TlsFilter *) filter;

  SSL_free (self->ssl);
  BIO_meth_free (self->method);
  rook_tls_store_unref (self->store);
  g_clear_error (&self->lower_error);
  g_free (self->peer_name);
  g_free (self);
}

static const RookFilterClass tls_class = {
  .name = "tls",
  .read = tls_read,
  .write = tls_write,
  .flush = tls_flush,
  .shutdown = tls_shutdown,
  .free = tls_free,
};

/* --- making one --------------------------------------------------------------------------------------------------------- */

static TlsFilter *
new_filter (RookFilter *lower, RookTlsStore *store, SSL *ssl)
{
  TlsFilter *self = g_new0 (TlsFilter, 1);

  self->filter.class = &tls_class;
  self->filter.lower = lower;
  self->store = rook_tls_store_ref (store);
  self->ssl = ssl;
  attach_bio (self);
  return self;
}

RookFilter *
rook_tls_filter_new_server (RookFilter *lower, RookTlsStore *store, const char *group, const char *alpn, GError **error)
{
  SSL *ssl = rook_tls_store_new_server (store, group, error);
  TlsFilter *self;

  if (ssl == NULL)
    return NULL;
  self = new_filter (lower, store, ssl);
  self->alpn = alpn;
  self->name_kind = rook_tls_store_get_client_name (store, group);
  SSL_set_app_data (ssl, (void *) alpn); /* for the store's ALPN callback */
  SSL_set_accept_state (ssl);
  return &self->filter;
}

RookFilter *
rook_tls_filter_new_client (RookFilter *lower, RookTlsStore *store, const char *group, const char *host,
                            gboolean no_verify, GError **error)
{
  SSL *ssl = rook_tls_store_new_client (store, group, error);
  X509_VERIFY_PARAM *param;
  TlsFilter *self;

  if (ssl == NULL)
    return NULL;
  self = new_filter (lower, store, ssl);
  param = SSL_get0_param (ssl);
  if (X509_VERIFY_PARAM_set1_ip_asc (param, host) != 1)
    {
      X509_VERIFY_PARAM_set1_host (param, host, 0);
      X509_VERIFY_PARAM_set_hostflags (param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
      SSL_set_tlsext_host_name (ssl, host);
    }
  SSL_set_verify (ssl, no_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
  SSL_set_connect_state (ssl);
  return &self->filter;
}

RookFilterResult
rook_tls_filter_handshake (RookFilter *filter, GError **error)
{
  TlsFilter *self = (TlsFilter *) filter;
  RookFilterResult result;

  ERR_clear_error ();
  result = judge (self, SSL_do_handshake (self->ssl), error);
  if (result == ROOK_FILTER_EOF)
    {
      g_set_error_literal (error, ROOK_NET_ERROR, ROOK_NET_ERROR_TLS, "the peer left during the TLS handshake");
      return ROOK_FILTER_ERROR;
    }
  if (result == ROOK_FILTER_OK && !self->up)
    {
      self->up = TRUE;
      self->peer_name = rook_tls_peer_name (self->ssl, self->name_kind);
    }
  return result;
}

const char *
rook_tls_filter_get_version (RookFilter *filter)
{
  return SSL_get_version (((TlsFilter *) filter)->ssl);
}

const char *
rook_tls_filter_get_cipher (RookFilter *filter)
{
  return SSL_get_cipher_name (((TlsFilter *) filter)->ssl);
}

guint
rook_tls_filter_get_bits (RookFilter *filter)
{
  return SSL_get_cipher_bits (((TlsFilter *) filter)->ssl, NULL);
}

GBytes *
rook_tls_filter_get_binding (RookFilter *filter, RookTlsBinding kind)
{
  return rook_tls_binding_new (((TlsFilter *) filter)->ssl, kind);
}

gboolean
rook_tls_filter_is_resumed (RookFilter *filter)
{
  return SSL_session_reused (((TlsFilter *) filter)->ssl);
}

const char *
rook_tls_filter_get_peer_name (RookFilter *filter)
{
  return ((TlsFilter *) filter)->peer_name;
}
