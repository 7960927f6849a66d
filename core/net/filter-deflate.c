/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * DEFLATE in both directions (RFC 4978: raw, each flush a sync flush).
 *
 * What comes in is expanded only into the room the reader has, so a bomb is read at the reader's pace and costs no
 * memory. The compressor's window is 8 KiB and not the largest, which saves 192 KiB a connection and costs a few
 * percent of size for mail.
 */
#include <zlib.h>

#include "net/filter.h"

#define IN_SIZE 8192
#define OUT_SIZE 16384
#define DEFLATE_BITS (-13)
#define DEFLATE_MEMORY 6

typedef struct {
  RookFilter filter;
  z_stream inflate, deflate;
  RookFilterBuffer in;  /* compressed, not expanded yet */
  RookFilterBuffer out; /* compressed, not taken by the lower filter yet */
  gboolean unflushed;   /* the compressor holds something */
  gboolean more;        /* the last expansion filled the reader's room: there may be more without further input */
  gboolean ended;       /* the peer finished its stream */
} DeflateFilter;

static RookFilterResult
fill (DeflateFilter *self, GError **error)
{
  guint8 room[IN_SIZE];
  gsize length;
  RookFilterResult result = rook_filter_read (self->filter.lower, room, sizeof room, &length, error);

  if (result == ROOK_FILTER_OK)
    {
      rook_filter_buffer_clear (&self->in);
      rook_filter_buffer_append (&self->in, room, length);
    }
  return result;
}

/* Expands what is there. OK may come with nothing expanded. */
static RookFilterResult
expand (DeflateFilter *self, guint8 *buffer, gsize size, gsize *out_length, GError **error)
{
  int code;

  self->inflate.next_in = self->in.data != NULL ? self->in.data + self->in.start : (guint8 *) "";
  self->inflate.avail_in = self->in.end - self->in.start;
  self->inflate.next_out = buffer;
  self->inflate.avail_out = MIN (size, G_MAXINT);
  code = inflate (&self->inflate, Z_SYNC_FLUSH);
  self->in.start = self->in.end - self->inflate.avail_in;
  *out_length = MIN (size, G_MAXINT) - self->inflate.avail_out;
  self->more = self->inflate.avail_out == 0;
  self->ended = code == Z_STREAM_END;
  if (code == Z_OK || code == Z_BUF_ERROR || code == Z_STREAM_END)
    return ROOK_FILTER_OK;
  g_set_error (error, ROOK_NET_ERROR, ROOK_NET_ERROR_FILTER, "DEFLATE: %s",
               self->inflate.msg != NULL ? self->inflate.msg : "invalid stream");
  return ROOK_FILTER_ERROR;
}

static RookFilterResult
deflate_read (RookFilter *filter, guint8 *buffer, gsize size, gsize *out_length, GError **error)
{
  DeflateFilter *self = (DeflateFilter *) filter;
  RookFilterResult result;

  for (;;)
    {
      if (self->ended)
        return ROOK_FILTER_EOF;
      if (self->in.start < self->in.end || self->more)
        {
          result = expand (self, buffer, size, out_length, error);
          if (result != ROOK_FILTER_OK || *out_length > 0)
            return result;
        }
      rook_filter_buffer_clear (&self->in);
      result = fill (self, error);
      if (result != ROOK_FILTER_OK)
        return result;
    }
}

/* Runs the compressor over @data; its output is appended to what waits. */
static void
compress_data (DeflateFilter *self, const void *data, gsize length, int flush)
{
  guint8 room[OUT_SIZE];

  self->deflate.next_in = (guint8 *) data;
  self->deflate.avail_in = length;
  do
    {
      self->deflate.next_out = room;
      self->deflate.avail_out = sizeof room;
      g_assert (deflate (&self->deflate, flush) != Z_STREAM_ERROR);
      rook_filter_buffer_append (&self->out, room, sizeof room - self->deflate.avail_out);
    }
  while (self->deflate.avail_out == 0);
}

static RookFilterResult
deflate_write (RookFilter *filter, const struct iovec *iov, int n G_GNUC_UNUSED, gsize *out_length, GError **error)
{
  DeflateFilter *self = (DeflateFilter *) filter;
  gsize take = MIN (iov[0].iov_len, OUT_SIZE);
  RookFilterResult result = rook_filter_buffer_push (&self->out, filter->lower, error);

  if (result != ROOK_FILTER_OK)
    return result;
  compress_data (self, iov[0].iov_base, take, Z_NO_FLUSH);
  self->unflushed = TRUE;
  *out_length = take;
  return ROOK_FILTER_OK;
}

static RookFilterResult
deflate_flush (RookFilter *filter, GError **error)
{
  DeflateFilter *self = (DeflateFilter *) filter;
  RookFilterResult result;

  if (self->unflushed)
    {
      compress_data (self, "", 0, Z_SYNC_FLUSH);
      self->unflushed = FALSE;
    }
  result = rook_filter_buffer_push (&self->out, filter->lower, error);
  return result == ROOK_FILTER_OK ? rook_filter_flush (filter->lower, error) : result;
}

static void
deflate_free (RookFilter *filter)
{
  DeflateFilter *self = (DeflateFilter *) filter;

  inflateEnd (&self->inflate);
  deflateEnd (&self->deflate);
  rook_filter_buffer_clear (&self->in);
  rook_filter_buffer_clear (&self->out);
  g_free (self);
}

static const RookFilterClass deflate_class = {
  .name = "deflate",
  .read = deflate_read,
  .write = deflate_write,
  .flush = deflate_flush,
  .free = deflate_free,
};

RookFilter *
rook_deflate_filter_new (RookFilter *lower, GBytes *received)
{
  DeflateFilter *self = g_new0 (DeflateFilter, 1);

  self->filter.class = &deflate_class;
  self->filter.lower = lower;
  g_assert (inflateInit2 (&self->inflate, -15) == Z_OK);
  g_assert (
      deflateInit2 (&self->deflate, Z_DEFAULT_COMPRESSION, Z_DEFLATED, DEFLATE_BITS, DEFLATE_MEMORY, Z_DEFAULT_STRATEGY)
      == Z_OK);
  rook_filter_buffer_append (&self->in, g_bytes_get_data (received, NULL), g_bytes_get_size (received));
  g_bytes_unref (received);
  return &self->filter;
}
