/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The security layer that DIGEST-MD5 or GSSAPI leaves behind: bytes in, frames out, and back. It keeps its exchange
 * alive, since libsasl2's connection is of one piece with it. Memory work only; on the connection's worker.
 */
#include "auth/auth-internal.h"

struct RookAuthLayer {
  RookAuthExchange *exchange; /* (owned) a hold */
  gsize max_plain;
  guint ssf;
};

gboolean
rook_auth_exchange_get_layer (RookAuthExchange *exchange, RookAuthLayer **out_layer)
{
  const void *value = NULL;
  RookAuthLayer *layer;
  guint ssf;

  g_return_val_if_fail (out_layer != NULL, FALSE);
  if (exchange->state != ROOK_EXCHANGE_DONE || exchange->sasl == NULL || exchange->layered
      || sasl_getprop (exchange->sasl, SASL_SSF, &value) != SASL_OK || (ssf = *(const sasl_ssf_t *) value) == 0)
    return FALSE;
  layer = g_new0 (RookAuthLayer, 1);
  layer->ssf = ssf;
  layer->max_plain = 4096;
  if (sasl_getprop (exchange->sasl, SASL_MAXOUTBUF, &value) == SASL_OK && *(const unsigned *) value > 0)
    layer->max_plain = *(const unsigned *) value;
  layer->exchange = rook_auth_exchange_hold (exchange);
  exchange->layered = TRUE;
  *out_layer = layer;
  return TRUE;
}

void
rook_auth_layer_free (RookAuthLayer *layer)
{
  rook_auth_exchange_drop (layer->exchange);
  g_free (layer);
}

gsize
rook_auth_layer_get_max_plain (const RookAuthLayer *layer)
{
  return layer->max_plain;
}

guint
rook_auth_layer_get_ssf (const RookAuthLayer *layer)
{
  return layer->ssf;
}

static gboolean
broken (GError **error)
{
  g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_PROTOCOL, "Security layer broken");
  return FALSE;
}

gboolean
rook_auth_layer_encode (RookAuthLayer *layer, const guint8 *data, gsize length, GByteArray *out, GError **error)
{
  while (length > 0)
    {
      gsize piece = MIN (length, layer->max_plain);
      const char *coded;
      unsigned coded_length;

      if (sasl_encode (layer->exchange->sasl, (const char *) data, (unsigned) piece, &coded, &coded_length) != SASL_OK)
        return broken (error);
      g_byte_array_append (out, (const guint8 *) coded, coded_length);
      data += piece;
      length -= piece;
    }
  return TRUE;
}

gboolean
rook_auth_layer_decode (RookAuthLayer *layer, const guint8 *data, gsize length, GByteArray *out, GError **error)
{
  while (length > 0)
    {
      gsize piece = MIN (length, 65536);
      const char *plain;
      unsigned plain_length;

      if (sasl_decode (layer->exchange->sasl, (const char *) data, (unsigned) piece, &plain, &plain_length) != SASL_OK)
        return broken (error);
      g_byte_array_append (out, (const guint8 *) plain, plain_length);
      data += piece;
      length -= piece;
    }
  return TRUE;
}
