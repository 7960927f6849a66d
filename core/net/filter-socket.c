/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lowest filter: the socket. It saves system calls: a read that came back short is not followed by another, and
 * neither is a write, before the loop reports the socket ready.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/filter.h"

static RookFilterResult
fail (const char *what, GError **error)
{
  g_set_error (error, ROOK_NET_ERROR, ROOK_NET_ERROR_IO, "%s: %s", what, g_strerror (errno));
  return ROOK_FILTER_ERROR;
}

static RookFilterResult
read_unread (RookSocket *self, guint8 *buffer, gsize size, gsize *out_length)
{
  g_autoptr (GBytes) bytes = g_steal_pointer (&self->unread);
  gsize length;
  const guint8 *data = g_bytes_get_data (bytes, &length);
  gsize take = MIN (size, length);

  memcpy (buffer, data, take);
  if (take < length)
    self->unread = g_bytes_new_from_bytes (bytes, take, length - take);
  *out_length = take;
  return ROOK_FILTER_OK;
}

static RookFilterResult
socket_read (RookFilter *filter, guint8 *buffer, gsize size, gsize *out_length, GError **error)
{
  RookSocket *self = (RookSocket *) filter;
  gssize n;

  if (self->unread != NULL)
    return read_unread (self, buffer, size, out_length);
  if (self->drained)
    return ROOK_FILTER_AGAIN;
  while ((n = recv (self->fd, buffer, size, 0)) < 0 && errno == EINTR)
    continue;
  self->drained = n < 0 || (n > 0 && (gsize) n < size);
  if (n == 0)
    return ROOK_FILTER_EOF;
  if (n < 0)
    return errno == EAGAIN || errno == EWOULDBLOCK ? ROOK_FILTER_AGAIN : fail ("read", error);
  self->bytes_in += n;
  *out_length = n;
  return ROOK_FILTER_OK;
}

static RookFilterResult
socket_write (RookFilter *filter, const struct iovec *iov, int n, gsize *out_length, GError **error)
{
  RookSocket *self = (RookSocket *) filter;
  struct msghdr message = { .msg_iov = (struct iovec *) iov, .msg_iovlen = n };
  gsize wanted = 0;
  gssize sent;

  if (self->blocked)
    return ROOK_FILTER_AGAIN;
  for (int i = 0; i < n; i++)
    wanted += iov[i].iov_len;
  while ((sent = sendmsg (self->fd, &message, MSG_NOSIGNAL)) < 0 && errno == EINTR)
    continue;
  if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
    return fail ("write", error);
  self->blocked = sent < (gssize) wanted;
  if (sent <= 0)
    return ROOK_FILTER_AGAIN;
  self->bytes_out += sent;
  *out_length = sent;
  return ROOK_FILTER_OK;
}

static RookFilterResult
socket_flush (RookFilter *filter G_GNUC_UNUSED, GError **error G_GNUC_UNUSED)
{
  return ROOK_FILTER_OK;
}

static const RookFilterClass socket_class = {
  .name = "socket",
  .read = socket_read,
  .write = socket_write,
  .flush = socket_flush,
};

void
rook_socket_init (RookSocket *socket, int fd)
{
  *socket = (RookSocket){ .filter.class = &socket_class, .fd = fd };
}

void
rook_socket_clear (RookSocket *socket)
{
  g_clear_pointer (&socket->unread, g_bytes_unref);
  if (socket->fd >= 0)
    close (socket->fd);
  socket->fd = -1;
}

void
rook_socket_unread (RookSocket *socket, GBytes *bytes)
{
  g_assert (socket->unread == NULL);
  if (g_bytes_get_size (bytes) > 0)
    socket->unread = bytes;
  else
    g_bytes_unref (bytes);
}

/* --- a buffer for the filters above ---------------------------------------------------------------------------------- */

void
rook_filter_buffer_clear (RookFilterBuffer *buffer)
{
  g_clear_pointer (&buffer->data, g_free);
  buffer->start = buffer->end = buffer->size = 0;
}

void
rook_filter_buffer_append (RookFilterBuffer *buffer, gconstpointer data, gsize length)
{
  if (length == 0)
    return;
  if (buffer->size - buffer->end < length)
    {
      buffer->size = MAX (buffer->end + length, 2 * buffer->size);
      buffer->data = g_realloc (buffer->data, buffer->size);
    }
  memcpy (buffer->data + buffer->end, data, length);
  buffer->end += length;
}

RookFilterResult
rook_filter_buffer_push (RookFilterBuffer *buffer, RookFilter *lower, GError **error)
{
  while (buffer->start < buffer->end)
    {
      struct iovec iov = { buffer->data + buffer->start, buffer->end - buffer->start };
      gsize length;
      RookFilterResult result = rook_filter_write (lower, &iov, 1, &length, error);

      if (result != ROOK_FILTER_OK)
        return result;
      buffer->start += length;
    }
  rook_filter_buffer_clear (buffer);
  return ROOK_FILTER_OK;
}
