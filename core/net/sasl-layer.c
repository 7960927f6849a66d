/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Takes the security layer out of a finished exchange and gives it the shape of the filter's functions.
 */
#include "net/sasl-layer.h"

#include "auth/auth-private.h"

static gboolean
layer_encode (gpointer data, const guint8 *in, gsize length, GByteArray *out, GError **error)
{
  return rook_auth_layer_encode (data, in, length, out, error);
}

static gboolean
layer_decode (gpointer data, const guint8 *in, gsize length, GByteArray *out, GError **error)
{
  return rook_auth_layer_decode (data, in, length, out, error);
}

static void
layer_free (gpointer data)
{
  rook_auth_layer_free (data);
}

gboolean
rook_sasl_layer_take (RookAuthExchange *exchange, RookSaslLayer *out_layer)
{
  RookAuthLayer *layer = NULL;

  if (!rook_auth_exchange_get_layer (exchange, &layer))
    return FALSE;
  *out_layer = (RookSaslLayer){ layer_encode, layer_decode, layer, layer_free };
  return TRUE;
}
