/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A SASL security layer as a filter. What the mechanism does is the authentication service's business: here are only
 * its two functions, called with pieces of the size that was negotiated.
 */
#include <string.h>

#include "net/filter.h"

#define IN_SIZE 8192
#define OUT_SIZE 16384

typedef struct {
  RookFilter filter;
  RookSaslLayer layer;
  GBytes *received;         /* (owned) (nullable) came before we were there */
  RookFilterBuffer decoded; /* not read yet */
  RookFilterBuffer out;     /* encoded, not taken by the lower filter yet */
} SaslFilter;

static RookFilterResult
fail (const char *what, GError *why, GError **error)
{
  g_set_error (error, ROOK_NET_ERROR, ROOK_NET_ERROR_FILTER, "SASL security layer: can't %s: %s", what, why->message);
  g_error_free (why);
  return ROOK_FILTER_ERROR;
}

static RookFilterResult
decode (SaslFilter *self, const guint8 *data, gsize length, GError **error)
{
  g_autoptr (GByteArray) plain = g_byte_array_new ();
  GError *why = NULL;

  if (!self->layer.decode (self->layer.data, data, length, plain, &why))
    return fail ("decode", why, error);
  rook_filter_buffer_append (&self->decoded, plain->data, plain->len);
  return ROOK_FILTER_OK;
}

static RookFilterResult
fill (SaslFilter *self, GError **error)
{
  g_autoptr (GBytes) received = g_steal_pointer (&self->received);
  guint8 room[IN_SIZE];
  gsize length;
  RookFilterResult result;

  rook_filter_buffer_clear (&self->decoded);
  if (received != NULL)
    return decode (self, g_bytes_get_data (received, NULL), g_bytes_get_size (received), error);
  result = rook_filter_read (self->filter.lower, room, sizeof room, &length, error);
  return result == ROOK_FILTER_OK ? decode (self, room, length, error) : result;
}

static RookFilterResult
sasl_read (RookFilter *filter, guint8 *buffer, gsize size, gsize *out_length, GError **error)
{
  SaslFilter *self = (SaslFilter *) filter;
  gsize take;

  while (self->decoded.start == self->decoded.end)
    {
      RookFilterResult result = fill (self, error);

      if (result != ROOK_FILTER_OK)
        return result;
    }
  take = MIN (size, self->decoded.end - self->decoded.start);
  memcpy (buffer, self->decoded.data + self->decoded.start, take);
  self->decoded.start += take;
  if (self->decoded.start == self->decoded.end)
    rook_filter_buffer_clear (&self->decoded);
  *out_length = take;
  return ROOK_FILTER_OK;
}

static RookFilterResult
sasl_write (RookFilter *filter, const struct iovec *iov, int n G_GNUC_UNUSED, gsize *out_length, GError **error)
{
  SaslFilter *self = (SaslFilter *) filter;
  gsize take = MIN (iov[0].iov_len, OUT_SIZE);
  RookFilterResult result = rook_filter_buffer_push (&self->out, filter->lower, error);
  g_autoptr (GByteArray) coded = NULL;
  GError *why = NULL;

  if (result != ROOK_FILTER_OK)
    return result;
  coded = g_byte_array_new ();
  if (!self->layer.encode (self->layer.data, iov[0].iov_base, take, coded, &why))
    return fail ("encode", why, error);
  rook_filter_buffer_append (&self->out, coded->data, coded->len);
  *out_length = take;
  return ROOK_FILTER_OK;
}

static RookFilterResult
sasl_flush (RookFilter *filter, GError **error)
{
  SaslFilter *self = (SaslFilter *) filter;
  RookFilterResult result = rook_filter_buffer_push (&self->out, filter->lower, error);

  return result == ROOK_FILTER_OK ? rook_filter_flush (filter->lower, error) : result;
}

static void
sasl_free (RookFilter *filter)
{
  SaslFilter *self = (SaslFilter *) filter;

  if (self->layer.destroy != NULL)
    self->layer.destroy (self->layer.data);
  g_clear_pointer (&self->received, g_bytes_unref);
  rook_filter_buffer_clear (&self->decoded);
  rook_filter_buffer_clear (&self->out);
  g_free (self);
}

static const RookFilterClass sasl_class = {
  .name = "sasl",
  .read = sasl_read,
  .write = sasl_write,
  .flush = sasl_flush,
  .free = sasl_free,
};

RookFilter *
rook_sasl_filter_new (RookFilter *lower, const RookSaslLayer *layer, GBytes *received)
{
  SaslFilter *self = g_new0 (SaslFilter, 1);

  self->filter.class = &sasl_class;
  self->filter.lower = lower;
  self->layer = *layer;
  self->received = received;
  if (g_bytes_get_size (received) == 0)
    g_clear_pointer (&self->received, g_bytes_unref);
  return &self->filter;
}
