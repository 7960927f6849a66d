/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * System calls on files, whole or an error. Nothing here retries a sync that failed.
 */
#include "storage-gdbm/gs-io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void
gs_set_errno (GError **error, int code, const char *format, ...)
{
  gboolean full = code == ENOSPC || code == EDQUOT || code == EFBIG;
  g_autofree char *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, ROOK_STORE_ERROR, full ? ROOK_STORE_ERROR_FULL : ROOK_STORE_ERROR_IO, "%s: %s", what,
               g_strerror (code));
}

void
gs_io_init (GsIo *io)
{
  *io = (GsIo){ 0 };
  rook_mutex_init (&io->lock);
}

void
gs_io_clear (GsIo *io)
{
  rook_mutex_clear (&io->lock);
}

void
gs_io_fail (GsIo *io, guint kinds, int error, guint countdown, gboolean forever)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&io->lock);

  io->kinds = kinds;
  io->error = error;
  io->countdown = countdown;
  io->forever = forever;
}

gboolean
gs_io_allowed (GsIo *io, GsIoKind kind)
{
  g_autoptr (RookLocker) locker = io != NULL ? rook_locker_new (&io->lock) : NULL;

  if (io == NULL || !(io->kinds & kind) || io->countdown == 0)
    return TRUE;
  if (io->countdown > 1)
    {
      io->countdown--;
      return TRUE;
    }
  if (!io->forever)
    io->countdown = 0;
  errno = io->error;
  return FALSE;
}

gboolean
gs_io_pread (GsIo *io, int fd, gpointer buffer, gsize length, guint64 offset, const char *name, GError **error)
{
  guint8 *at = buffer;

  while (length > 0)
    {
      ssize_t n = gs_io_allowed (io, GS_IO_READ) ? pread (fd, at, MIN (length, SSIZE_MAX), (off_t) offset) : -1;

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        {
          gs_set_errno (error, errno, "reading %s at %" G_GUINT64_FORMAT, name, offset);
          return FALSE;
        }
      if (n == 0)
        {
          g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT,
                       "%s ends at %" G_GUINT64_FORMAT ", which is too early", name, offset);
          return FALSE;
        }
      at += n;
      offset += (guint64) n;
      length -= (gsize) n;
    }
  return TRUE;
}

gboolean
gs_io_pwrite (GsIo *io, int fd, gconstpointer data, gsize length, guint64 offset, const char *name, GError **error)
{
  struct iovec part = { (gpointer) data, length };

  return gs_io_pwritev (io, fd, &part, 1, offset, name, error);
}

gboolean
gs_io_pwritev (GsIo *io, int fd, struct iovec *parts, guint n_parts, guint64 offset, const char *name, GError **error)
{
  while (n_parts > 0)
    {
      ssize_t n =
          gs_io_allowed (io, GS_IO_WRITE) ? pwritev (fd, parts, (int) MIN (n_parts, IOV_MAX), (off_t) offset) : -1;

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        {
          gs_set_errno (error, errno, "writing %s at %" G_GUINT64_FORMAT, name, offset);
          return FALSE;
        }
      offset += (guint64) n;
      for (; n_parts > 0 && (gsize) n >= parts->iov_len; parts++, n_parts--)
        n -= (ssize_t) parts->iov_len;
      if (n_parts > 0)
        {
          parts->iov_base = (guint8 *) parts->iov_base + n;
          parts->iov_len -= (gsize) n;
        }
    }
  return TRUE;
}

gboolean
gs_io_sync (GsIo *io, int fd, const char *name, GError **error)
{
  if (gs_io_allowed (io, GS_IO_SYNC) && fdatasync (fd) == 0)
    return TRUE;
  gs_set_errno (error, errno, "syncing %s", name);
  return FALSE;
}

gboolean
gs_io_sync_dir (GsIo *io, int dir, GError **error)
{
  if (gs_io_allowed (io, GS_IO_SYNC) && fsync (dir) == 0)
    return TRUE;
  gs_set_errno (error, errno, "syncing the directory");
  return FALSE;
}

int
gs_io_open (GsIo *io, int dir, const char *name, int flags, GError **error)
{
  int fd = gs_io_allowed (io, flags & O_CREAT ? GS_IO_NAME : GS_IO_READ)
               ? openat (dir, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600)
               : -1;

  if (fd < 0)
    gs_set_errno (error, errno, "opening %s", name);
  return fd;
}

gboolean
gs_io_rename (GsIo *io, int dir, const char *from, const char *to, GError **error)
{
  if (gs_io_allowed (io, GS_IO_NAME) && renameat (dir, from, dir, to) == 0)
    return TRUE;
  gs_set_errno (error, errno, "renaming %s to %s", from, to);
  return FALSE;
}

gboolean
gs_io_unlink (GsIo *io, int dir, const char *name, GError **error)
{
  if (gs_io_allowed (io, GS_IO_NAME) && (unlinkat (dir, name, 0) == 0 || errno == ENOENT))
    return TRUE;
  gs_set_errno (error, errno, "removing %s", name);
  return FALSE;
}

gboolean
gs_io_allocate (GsIo *io, int fd, guint64 offset, guint64 length, const char *name, GError **error)
{
  int code = gs_io_allowed (io, GS_IO_WRITE) ? posix_fallocate (fd, (off_t) offset, (off_t) length) : errno;

  if (code != 0)
    gs_set_errno (error, code, "making room in %s", name);
  return code == 0;
}

gboolean
gs_io_truncate (GsIo *io, int fd, guint64 length, const char *name, GError **error)
{
  if (gs_io_allowed (io, GS_IO_WRITE) && ftruncate (fd, (off_t) length) == 0)
    return TRUE;
  gs_set_errno (error, errno, "cutting %s", name);
  return FALSE;
}

gboolean
gs_io_size (int fd, guint64 *out_size, const char *name, GError **error)
{
  struct stat st;

  if (fstat (fd, &st) != 0)
    {
      gs_set_errno (error, errno, "looking at %s", name);
      return FALSE;
    }
  *out_size = (guint64) st.st_size;
  return TRUE;
}

/* --- small files as a whole ------------------------------------------------------------------------------------------ */

static gboolean
write_new (GsIo *io, int dir, const char *name, gconstpointer data, gsize length, GError **error)
{
  int fd = gs_io_open (io, dir, name, O_WRONLY | O_CREAT | O_TRUNC, error);
  gboolean ok;

  if (fd < 0)
    return FALSE;
  ok = gs_io_pwrite (io, fd, data, length, 0, name, error) && gs_io_sync (io, fd, name, error);
  close (fd);
  return ok;
}

gboolean
gs_io_replace (GsIo *io, int dir, const char *name, gconstpointer data, gsize length, GError **error)
{
  g_autofree char *fresh = g_strconcat (name, ".new", NULL);

  return write_new (io, dir, fresh, data, length, error) && gs_io_rename (io, dir, fresh, name, error)
         && gs_io_sync_dir (io, dir, error);
}

static GBytes *
read_whole (GsIo *io, int fd, const char *name, gsize max_length, GError **error)
{
  g_autofree guint8 *data = NULL;
  guint64 size;

  if (!gs_io_size (fd, &size, name, error))
    return NULL;
  if (size > max_length)
    {
      g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "%s is too large", name);
      return NULL;
    }
  data = g_malloc (size + 1);
  if (!gs_io_pread (io, fd, data, size, 0, name, error))
    return NULL;
  return g_bytes_new_take (g_steal_pointer (&data), size);
}

GBytes *
gs_io_read_file (GsIo *io, int dir, const char *name, gsize max_length, GError **error)
{
  int fd = openat (dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  GBytes *bytes;

  if (fd < 0 && errno == ENOENT)
    g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY, "there is no %s", name);
  else if (fd < 0)
    gs_set_errno (error, errno, "opening %s", name);
  if (fd < 0)
    return NULL;
  bytes = read_whole (io, fd, name, max_length, error);
  close (fd);
  return bytes;
}
