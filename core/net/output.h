/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What waits to be sent: a queue of chunks. Small writes are gathered into shared chunks, large GBytes are referenced.
 * Nothing is held while nothing waits.
 *
 * A mark in the queue says "from here on another filter": what stands before it goes out through the old one.
 */
#pragma once

#include <sys/uio.h>

#include "rookery/macros.h"

G_BEGIN_DECLS

typedef struct RookOutputChunk RookOutputChunk;
typedef struct {
  RookOutputChunk *head, *tail;
  gsize pending; /* bytes */
} RookOutput;

void rook_output_clear (RookOutput *output);
void rook_output_write (RookOutput *output, gconstpointer data, gsize length);
void rook_output_write_bytes (RookOutput *output, GBytes *bytes);
void rook_output_vprintf (RookOutput *output, const char *format, va_list args) G_GNUC_PRINTF (2, 0);
/* @mark: not NULL, the caller's */
void rook_output_mark (RookOutput *output, gpointer mark);
/* (nullable) The mark that stands first in the queue; it is taken out. */
gpointer rook_output_take_mark (RookOutput *output);
/* The bytes before the first mark, in at most @max pieces. Returns: how many pieces. */
int rook_output_peek (RookOutput *output, struct iovec *iov, int max);
/* @length bytes have gone. */
void rook_output_consume (RookOutput *output, gsize length);

G_END_DECLS
