/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The output queue: see output.h. It knows no sockets; the marks for back-pressure are the connection's.
 */
#include "net/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_FIRST 1000 /* most replies fit */
#define CHUNK_MORE 16300 /* about a TLS record */
#define COPY_UP_TO 2048  /* smaller GBytes are gathered with their neighbours */
#define PRINTF_ROOM 256

struct RookOutputChunk {
  RookOutputChunk *next;
  GBytes *bytes; /* (owned) (nullable) what base points into, if it is not our own memory */
  gpointer mark; /* (nullable) a mark, without bytes */
  const guint8 *base;
  gsize start, end, size; /* size 0: nothing can be appended */
  guint8 own[];
};

static void
push (RookOutput *output, RookOutputChunk *chunk)
{
  if (output->tail != NULL)
    output->tail->next = chunk;
  else
    output->head = chunk;
  output->tail = chunk;
}

static void
pop (RookOutput *output)
{
  RookOutputChunk *chunk = output->head;

  output->head = chunk->next;
  if (output->head == NULL)
    output->tail = NULL;
  if (chunk->bytes != NULL)
    g_bytes_unref (chunk->bytes);
  g_free (chunk);
}

void
rook_output_clear (RookOutput *output)
{
  while (output->head != NULL)
    pop (output);
  output->pending = 0;
}

/* The last chunk, if it has room, else a new one. */
static RookOutputChunk *
chunk_with_room (RookOutput *output)
{
  RookOutputChunk *chunk = output->tail;
  gsize size;

  if (chunk != NULL && chunk->end < chunk->size)
    return chunk;
  size = chunk == NULL ? CHUNK_FIRST : CHUNK_MORE;
  chunk = g_malloc (sizeof (RookOutputChunk) + size);
  *chunk = (RookOutputChunk){ .size = size };
  chunk->base = chunk->own;
  push (output, chunk);
  return chunk;
}

void
rook_output_write (RookOutput *output, gconstpointer data, gsize length)
{
  const guint8 *from = data;

  output->pending += length;
  while (length > 0)
    {
      RookOutputChunk *chunk = chunk_with_room (output);
      gsize take = MIN (length, chunk->size - chunk->end);

      memcpy (chunk->own + chunk->end, from, take);
      chunk->end += take;
      from += take;
      length -= take;
    }
}

void
rook_output_write_bytes (RookOutput *output, GBytes *bytes)
{
  gsize length;
  const guint8 *data = g_bytes_get_data (bytes, &length);
  RookOutputChunk *chunk;

  if (length <= COPY_UP_TO)
    {
      rook_output_write (output, data, length);
      return;
    }
  chunk = g_new0 (RookOutputChunk, 1);
  chunk->bytes = g_bytes_ref (bytes);
  chunk->base = data;
  chunk->end = length;
  output->pending += length;
  push (output, chunk);
}

void
rook_output_vprintf (RookOutput *output, const char *format, va_list args)
{
  char room[PRINTF_ROOM];
  g_autofree char *text = NULL;
  va_list again;
  int length;

  va_copy (again, args);
  length = vsnprintf (room, sizeof room, format, args);
  g_assert (length >= 0);
  if ((gsize) length >= sizeof room)
    text = g_strdup_vprintf (format, again);
  va_end (again);
  rook_output_write (output, text != NULL ? text : room, length);
}

void
rook_output_mark (RookOutput *output, gpointer mark)
{
  RookOutputChunk *chunk = g_new0 (RookOutputChunk, 1);

  chunk->mark = mark;
  push (output, chunk);
}

gpointer
rook_output_take_mark (RookOutput *output)
{
  gpointer mark = output->head != NULL ? output->head->mark : NULL;

  if (mark != NULL)
    pop (output);
  return mark;
}

int
rook_output_peek (RookOutput *output, struct iovec *iov, int max)
{
  int n = 0;

  for (RookOutputChunk *chunk = output->head; chunk != NULL && chunk->mark == NULL && n < max; chunk = chunk->next)
    iov[n++] = (struct iovec){ (void *) (chunk->base + chunk->start), chunk->end - chunk->start };
  return n;
}

void
rook_output_consume (RookOutput *output, gsize length)
{
  output->pending -= length;
  while (length > 0)
    {
      RookOutputChunk *chunk = output->head;
      gsize take = MIN (length, chunk->end - chunk->start);

      chunk->start += take;
      length -= take;
      if (chunk->start == chunk->end)
        pop (output);
    }
}
