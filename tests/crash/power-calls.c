/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See power.h. The program's own definitions of open(), write() and so on come before the C library's, for the libraries it
 * is linked with too; what they do is the system call, under one lock, so that the recording's order is the true one.
 * Syncs only note: nothing of the tests' own needs the real disk.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <gdbm.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "power-private.h"

#define BLOCK 4096
#define MAX_PARTS 64 /* of a write that is cut short */

/* In this thread libgdbm does more than was asked of it. */
static __thread gboolean unasked;

static gsize
count_bytes (const struct iovec *parts, int n_parts)
{
  gsize sum = 0;

  for (int i = 0; i < n_parts; i++)
    sum += parts[i].iov_len;
  return sum;
}

static int
do_open (int dirfd, const char *path, int flags, mode_t mode)
{
  g_autofree char *below = NULL;
  int fd;

  pthread_mutex_lock (&power_now.lock);
  below = power_path_below (dirfd, path);
  if (power_fails (below != NULL, flags & O_CREAT ? POWER_NAME : POWER_READ))
    fd = -1;
  else
    fd = (int) syscall (SYS_openat, dirfd, path, flags, mode);
  if (fd >= 0 && below != NULL)
    power_note_open (below, flags, fd);
  else if (fd >= 0 && power_now.recording != NULL)
    power_set_fd (fd, 0);
  pthread_mutex_unlock (&power_now.lock);
  return fd;
}

#define MODE_ARGUMENT(flags)                                          \
  va_list args;                                                       \
  mode_t mode;                                                        \
  va_start (args, flags);                                             \
  mode = (flags) & (O_CREAT | O_TMPFILE) ? va_arg (args, mode_t) : 0; \
  va_end (args)

int
open (const char *path, int flags, ...)
{
  MODE_ARGUMENT (flags);
  return do_open (AT_FDCWD, path, flags, mode);
}

int
openat (int dirfd, const char *path, int flags, ...)
{
  MODE_ARGUMENT (flags);
  return do_open (dirfd, path, flags, mode);
}

int __open_2 (const char *path, int flags);
int
__open_2 (const char *path, int flags)
{
  return do_open (AT_FDCWD, path, flags, 0);
}

int
close (int fd)
{
  int result;

  pthread_mutex_lock (&power_now.lock);
  if (power_node_of_fd (fd) != 0 && power_now.fds[fd].has_dirty)
    power_note ((Op){ .kind = OP_SYNC_FAILED, .node = power_node_of_fd (fd) - 1 });
  if (power_node_of_fd (fd) != 0)
    power_set_fd (fd, 0);
  result = (int) syscall (SYS_close, fd);
  pthread_mutex_unlock (&power_now.lock);
  return result;
}

ssize_t
write (int fd, const void *data, size_t length)
{
  struct iovec part = { (void *) data, length };
  ssize_t written = -1;
  off_t offset;

  pthread_mutex_lock (&power_now.lock);
  offset = power_node_of_fd (fd) != 0 ? lseek (fd, 0, SEEK_CUR) : 0;
  part.iov_len = power_allow_write (fd, length, (guint64) offset);
  if (part.iov_len > 0 || length == 0)
    written = syscall (SYS_write, fd, data, part.iov_len);
  power_note_write (fd, &part, 1, offset, written);
  pthread_mutex_unlock (&power_now.lock);
  return written;
}

ssize_t
pwritev (int fd, const struct iovec *parts, int n_parts, off_t offset)
{
  struct iovec some[MAX_PARTS];
  gsize whole = count_bytes (parts, n_parts), allowed;
  ssize_t written = -1;

  pthread_mutex_lock (&power_now.lock);
  allowed = power_allow_write (fd, whole, (guint64) offset);
  if (allowed > 0 && allowed < whole)
    {
      n_parts = MIN (n_parts, MAX_PARTS);
      memcpy (some, parts, (gsize) n_parts * sizeof (struct iovec));
      for (int i = 0; i < n_parts; i++)
        {
          some[i].iov_len = MIN (some[i].iov_len, allowed);
          allowed -= some[i].iov_len;
        }
      parts = some;
      allowed = 1;
    }
  if (allowed > 0 || whole == 0)
    written = syscall (SYS_pwritev, fd, parts, n_parts, offset, 0);
  power_note_write (fd, parts, n_parts, offset, written);
  pthread_mutex_unlock (&power_now.lock);
  return written;
}

static gboolean
read_fails (int fd)
{
  gboolean result;

  if (__atomic_load_n (&power_now.recording, __ATOMIC_RELAXED) == NULL)
    return FALSE;
  pthread_mutex_lock (&power_now.lock);
  result = power_fails (power_node_of_fd (fd) != 0, POWER_READ);
  pthread_mutex_unlock (&power_now.lock);
  return result;
}

ssize_t
read (int fd, void *data, size_t length)
{
  return read_fails (fd) ? -1 : syscall (SYS_read, fd, data, length);
}

ssize_t
pread (int fd, void *data, size_t length, off_t offset)
{
  return read_fails (fd) ? -1 : syscall (SYS_pread64, fd, data, length, offset);
}

ssize_t
pwrite (int fd, const void *data, size_t length, off_t offset)
{
  struct iovec part = { (void *) data, length };

  return pwritev (fd, &part, 1, offset);
}

int
ftruncate (int fd, off_t size)
{
  int result;

  pthread_mutex_lock (&power_now.lock);
  if (power_fails (power_node_of_fd (fd) != 0, POWER_WRITE)
      || (power_node_of_fd (fd) != 0 && !power_take_room (power_node_of_fd (fd), (guint64) size)))
    result = -1;
  else
    result = power_note_size (fd, (guint64) size, FALSE, (int) syscall (SYS_ftruncate, fd, size));
  pthread_mutex_unlock (&power_now.lock);
  return result;
}

int
posix_fallocate (int fd, off_t offset, off_t length)
{
  guint64 end;
  guint node;
  int result;

  pthread_mutex_lock (&power_now.lock);
  node = power_node_of_fd (fd);
  end = (guint64) (offset + length);
  if (power_fails (node != 0, POWER_WRITE)
      || (node != 0 && !power_take_room (node, MAX (power_get_node (node)->size, end))))
    result = -1;
  else
    result = power_note_size (fd, end, TRUE, (int) syscall (SYS_fallocate, fd, 0, offset, length));
  pthread_mutex_unlock (&power_now.lock);
  return result == 0 ? 0 : errno;
}

/* Of a file that loses its name the room comes back, even if it is open still. */
static void
give_up (guint node)
{
  if (node != 0 && !power_get_node (node)->is_dir)
    power_take_room (node, 0);
}

int
renameat (int from_dir, const char *from, int to_dir, const char *to)
{
  g_autofree char *below = NULL, *below_to = NULL;
  int result;

  pthread_mutex_lock (&power_now.lock);
  below = power_path_below (from_dir, from);
  below_to = power_path_below (to_dir, to);
  if (power_fails (below != NULL, POWER_NAME))
    result = -1;
  else
    result = (int) syscall (SYS_renameat, from_dir, from, to_dir, to);
  g_assert ((below == NULL) == (below_to == NULL));
  if (result == 0 && below != NULL)
    {
      guint node = power_node_at (below);

      power_note_named (OP_RENAME, below_to, node - 1, below);
      give_up (power_node_at (below_to));
      g_hash_table_remove (power_now.names, below);
      g_hash_table_insert (power_now.names, g_strdup (below_to), GUINT_TO_POINTER (node));
    }
  pthread_mutex_unlock (&power_now.lock);
  return result;
}

int
rename (const char *from, const char *to)
{
  return renameat (AT_FDCWD, from, AT_FDCWD, to);
}

int
unlinkat (int dirfd, const char *path, int flags)
{
  g_autofree char *below = NULL;
  int result;

  pthread_mutex_lock (&power_now.lock);
  below = power_path_below (dirfd, path);
  if (power_fails (below != NULL, POWER_NAME))
    result = -1;
  else
    result = (int) syscall (SYS_unlinkat, dirfd, path, flags);
  if (result == 0 && below != NULL)
    {
      give_up (power_node_at (below));
      power_note_named (OP_UNLINK, below, power_node_at (below) - 1, NULL);
      g_hash_table_remove (power_now.names, below);
    }
  pthread_mutex_unlock (&power_now.lock);
  return result;
}

int
unlink (const char *path)
{
  return unlinkat (AT_FDCWD, path, 0);
}

int
mkdirat (int dirfd, const char *path, mode_t mode)
{
  g_autofree char *below = NULL;
  int result;

  pthread_mutex_lock (&power_now.lock);
  below = power_path_below (dirfd, path);
  if (power_fails (below != NULL, POWER_NAME))
    result = -1;
  else
    result = (int) syscall (SYS_mkdirat, dirfd, path, mode);
  if (result == 0 && below != NULL)
    {
      guint node = power_add_node (power_now.recording, TRUE);

      g_hash_table_insert (power_now.names, g_strdup (below), GUINT_TO_POINTER (node + 1));
      power_note_named (OP_LINK, below, node, NULL);
    }
  pthread_mutex_unlock (&power_now.lock);
  return result;
}

int
mkdir (const char *path, mode_t mode)
{
  return mkdirat (AT_FDCWD, path, mode);
}

/* Even while nothing is recorded: the disks that are made need to outlive no cut. */
int
fsync (int fd)
{
  guint node;
  int result = 0;

  pthread_mutex_lock (&power_now.lock);
  node = unasked ? 0 : power_node_of_fd (fd);
  if (power_fails (node != 0, node != 0 && power_get_node (node)->is_dir ? POWER_SYNC_DIR : POWER_SYNC))
    {
      power_note ((Op){ .kind = OP_SYNC_FAILED, .node = node - 1 });
      result = -1;
    }
  else if (node != 0)
    {
      power_note ((Op){ .kind = OP_SYNC, .node = node - 1 });
      power_now.fds[fd].has_dirty = FALSE;
    }
  pthread_mutex_unlock (&power_now.lock);
  return result;
}

int
fdatasync (int fd)
{
  return fsync (fd);
}

int
fstatvfs (int fd, struct statvfs *st)
{
  int result;

  pthread_mutex_lock (&power_now.lock);
  result = ((int (*) (int, struct statvfs *)) dlsym (RTLD_NEXT, "fstatvfs")) (fd, st);
  if (result == 0 && power_node_of_fd (fd) != 0 && power_now.is_limited)
    {
      st->f_frsize = st->f_bsize = BLOCK;
      st->f_bavail = st->f_bfree = (fsblkcnt_t) (power_now.space / BLOCK);
    }
  pthread_mutex_unlock (&power_now.lock);
  return result;
}

/* GDBM 1.23 syncs a new file, and as it closes one. Its manual does not say so: only what gdbm_sync() does counts. */
GDBM_FILE
gdbm_open (const char *path, int block_size, int flags, int mode, void (*fatal) (const char *))
{
  __typeof__ (&gdbm_open) real = (__typeof__ (&gdbm_open)) dlsym (RTLD_NEXT, "gdbm_open");
  GDBM_FILE dbf;

  unasked = TRUE;
  dbf = real (path, block_size, flags, mode, fatal);
  unasked = FALSE;
  return dbf;
}

int
gdbm_close (GDBM_FILE dbf)
{
  __typeof__ (&gdbm_close) real = (__typeof__ (&gdbm_close)) dlsym (RTLD_NEXT, "gdbm_close");
  int result;

  unasked = TRUE;
  result = real (dbf);
  unasked = FALSE;
  return result;
}
