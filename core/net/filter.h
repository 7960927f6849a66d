/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Filters: what lies between a connection's plain bytes and its peer, in a stack. The socket is the lowest one; TLS, a
 * SASL security layer and DEFLATE go above it, in that order of need, and each knows only the one below.
 *
 * Reading pulls from above, so a filter decodes no more than somebody has room for: what a compressed stream expands to is
 * bounded by whoever reads, never by the stream. Writing pushes from above; a filter that can't pass on what it has
 * encoded keeps that little and takes no more.
 */
#pragma once

#include <sys/uio.h>

#include "rookery/net.h"

G_BEGIN_DECLS

typedef enum {
  ROOK_FILTER_OK,
  ROOK_FILTER_AGAIN, /* nothing now */
  ROOK_FILTER_EOF,   /* reading: the peer's end */
  ROOK_FILTER_ERROR  /* for good */
} RookFilterResult;

typedef struct RookFilter RookFilter;

typedef struct {
  const char *name;
  /* OK: 1 to @size bytes were put into @buffer. */
  RookFilterResult (*read) (RookFilter *filter, guint8 *buffer, gsize size, gsize *out_length, GError **error);
  /* OK: the first *@out_length bytes (over 0) were taken. After AGAIN the same bytes, or more, are offered again. */
  RookFilterResult (*write) (RookFilter *filter, const struct iovec *iov, int n, gsize *out_length, GError **error);
  /* Sends what is held back, if anything is. */
  RookFilterResult (*flush) (RookFilter *filter, GError **error);
  void (*shutdown) (
      RookFilter *filter);           /* (nullable) says good-bye in the filter's own terms, if that is possible now */
  void (*free) (RookFilter *filter); /* not the lower one */
} RookFilterClass;

struct RookFilter {
  const RookFilterClass *class;
  RookFilter *lower; /* (nullable) (unowned) the socket has none */
};

static inline RookFilterResult
rook_filter_read (RookFilter *filter, guint8 *buffer, gsize size, gsize *out_length, GError **error)
{
  return filter->class->read (filter, buffer, size, out_length, error);
}
static inline RookFilterResult
rook_filter_write (RookFilter *filter, const struct iovec *iov, int n, gsize *out_length, GError **error)
{
  return filter->class->write (filter, iov, n, out_length, error);
}
static inline RookFilterResult
rook_filter_flush (RookFilter *filter, GError **error)
{
  return filter->class->flush (filter, error);
}

/* --- the socket ---------------------------------------------------------------------------------------------------- */

typedef struct {
  RookFilter filter;
  int fd;           /* (owned) -1: not connected yet */
  gboolean drained; /* the last read took all there was: not worth asking again before the loop says so */
  gboolean blocked; /* the last write was not taken whole: wait for the loop */
  GBytes *unread;   /* (owned) (nullable) what was read too early, for whoever reads next */
  guint64 bytes_in, bytes_out;
} RookSocket;

void rook_socket_init (RookSocket *socket, int fd);
void rook_socket_clear (RookSocket *socket);
/* Gives back what was read but belongs to the next reader. @bytes: (transfer full) */
void rook_socket_unread (RookSocket *socket, GBytes *bytes);

/* --- bytes that an upper filter keeps until the lower one takes them ------------------------------------------------ */

typedef struct {
  guint8 *data; /* (owned) (nullable) */
  gsize start, end, size;
} RookFilterBuffer;

void rook_filter_buffer_clear (RookFilterBuffer *buffer);
void rook_filter_buffer_append (RookFilterBuffer *buffer, gconstpointer data, gsize length);
/* Passes on what is there. OK: nothing is left, and the memory is freed. */
RookFilterResult rook_filter_buffer_push (RookFilterBuffer *buffer, RookFilter *lower, GError **error);

/* --- DEFLATE, SASL -------------------------------------------------------------------------------------------------- */

/* @received: (transfer full): bytes that came already and are for this filter to decode */
RookFilter *rook_deflate_filter_new (RookFilter *lower, GBytes *received);

/* A SASL security layer as the authentication service hands it out. Both functions append to @out. */
typedef struct {
  gboolean (*encode) (gpointer data, const guint8 *in, gsize length, GByteArray *out, GError **error);
  gboolean (*decode) (gpointer data, const guint8 *in, gsize length, GByteArray *out, GError **error);
  gpointer data;
  GDestroyNotify destroy;
} RookSaslLayer;
/* @layer: (transfer full) contents; @received: (transfer full) */
RookFilter *rook_sasl_filter_new (RookFilter *lower, const RookSaslLayer *layer, GBytes *received);

G_END_DECLS
