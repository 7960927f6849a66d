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
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "power-private.h"

#define BLOCK 4096
#define MAX_PARTS 64 /* of a write that is cut short */

typedef struct {
  guint node;         /* + 1; 0: not ours */
  gboolean has_dirty; /* something was written by it and not synced */
} Handle;

/* What runs now. The lock is recursive for no one: the functions below never call each other. */
static struct {
  pthread_mutex_t lock;
  PowerRecording *recording; /* (nullable) */
  GHashTable *names;         /* path relative to the root to node + 1 */
  Handle *fds;               /* by descriptor */
  guint n_fds;
  PowerFault fault; /* nth: counted from now; 0: none */
  guint n_failed, n_calls;
  gboolean is_limited;
  gint64 space; /* left, if it is limited */
} now = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* In this thread libgdbm does more than was asked of it. */
static __thread gboolean unasked;

/* --- what is where ---------------------------------------------------------------------------------------------------------- */

static guint
add_node (PowerRecording *recording, gboolean is_dir)
{
  Node *node = g_new0 (Node, 1);

  node->is_dir = is_dir;
  node->data = g_byte_array_new ();
  g_ptr_array_add (recording->nodes, node);
  return recording->nodes->len - 1;
}

static void
node_free (gpointer data)
{
  Node *node = data;

  g_byte_array_unref (node->data);
  g_free (node);
}

static void
set_fd (int fd, guint node_plus_one)
{
  if ((guint) fd >= now.n_fds)
    {
      guint n = MAX (2 * now.n_fds, (guint) fd + 64);

      now.fds = g_renew (Handle, now.fds, n);
      memset (now.fds + now.n_fds, 0, (n - now.n_fds) * sizeof (Handle));
      now.n_fds = n;
    }
  now.fds[fd] = (Handle){ node_plus_one, FALSE };
}

static guint
node_of_fd (int fd)
{
  return now.recording != NULL && fd >= 0 && (guint) fd < now.n_fds ? now.fds[fd].node : 0;
}

static Node *
get_node (guint node_plus_one)
{
  return g_ptr_array_index (now.recording->nodes, node_plus_one - 1);
}

/* The name of a node that is there now. */
static const char *
path_of_node (guint node_plus_one)
{
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init (&iter, now.names);
  while (g_hash_table_iter_next (&iter, &key, &value))
    if (GPOINTER_TO_UINT (value) == node_plus_one)
      return key;
  return NULL;
}

/* Path relative to the root, "" for the root itself; %NULL: elsewhere. Free: g_free(). */
static char *
path_below (int dirfd, const char *path)
{
  gsize length;
  const char *dir;

  if (now.recording == NULL)
    return NULL;
  length = strlen (now.recording->root);
  if (*path == '/')
    {
      if (strncmp (path, now.recording->root, length) != 0 || (path[length] != '/' && path[length] != '\0'))
        return NULL;
      return g_strdup (path[length] == '/' ? path + length + 1 : "");
    }
  dir = dirfd != AT_FDCWD && node_of_fd (dirfd) != 0 ? path_of_node (node_of_fd (dirfd)) : NULL;
  if (dir == NULL)
    return NULL;
  if (g_str_equal (path, "."))
    return g_strdup (dir);
  return *dir == '\0' ? g_strdup (path) : g_strconcat (dir, "/", path, NULL);
}

static guint
node_at (const char *path)
{
  return GPOINTER_TO_UINT (g_hash_table_lookup (now.names, path));
}

/* The directory that @path lies in, and its name there. */
static guint
parent_of (const char *path, const char **out_name)
{
  const char *slash = strrchr (path, '/');
  g_autofree char *dir = slash != NULL ? g_strndup (path, (gsize) (slash - path)) : g_strdup ("");

  *out_name = slash != NULL ? slash + 1 : path;
  g_assert (node_at (dir) != 0);
  return node_at (dir) - 1;
}

/* --- noting ------------------------------------------------------------------------------------------------------------------- */

static void
note (Op op)
{
  GArray *ops = now.recording->ops, *instants = now.recording->instants;
  guint before = ops->len, after = ops->len + 1;

  if (op.kind == OP_SYNC)
    g_array_append_val (instants, before);
  g_array_append_val (ops, op);
  if (op.kind == OP_SYNC || op.kind == OP_SYNC_FAILED || op.kind == OP_MARK)
    g_array_append_val (instants, after);
}

static void
note_named (OpKind kind, const char *path, guint node, const char *old_path)
{
  const char *name, *old = NULL;
  guint dir = parent_of (path, &name);

  if (old_path != NULL)
    g_assert_cmpuint (parent_of (old_path, &old), ==, dir); /* between two directories nobody renames */
  note ((Op){ .kind = kind, .node = node, .dir = dir, .name = g_strdup (name), .old = g_strdup (old) });
}

static void
note_write (int fd, const struct iovec *parts, int n_parts, gint64 offset, gssize written)
{
  guint node = node_of_fd (fd);
  g_autoptr (GByteArray) data = g_byte_array_new ();

  if (node == 0 || written <= 0 || get_node (node)->is_dir)
    return; /* a number that closedir() gave back */
  for (int i = 0; i < n_parts; i++)
    g_byte_array_append (data, parts[i].iov_base, (guint) parts[i].iov_len);
  now.fds[fd].has_dirty = TRUE;
  note ((Op){ .kind = OP_WRITE,
              .node = node - 1,
              .offset = (guint64) offset,
              .data = g_bytes_new (data->data, (gsize) written) });
}

static int
note_size (int fd, guint64 size, gboolean grows, int result)
{
  guint node = node_of_fd (fd);

  if (node == 0 || result != 0)
    return result;
  now.fds[fd].has_dirty = TRUE;
  note ((Op){ .kind = OP_SIZE, .node = node - 1, .mark = size, .grows = grows });
  return result;
}

static void
note_open (const char *path, int flags, int fd)
{
  guint node = node_at (path);
  struct stat st;

  if (node == 0 && fstat (fd, &st) == 0)
    {
      node = add_node (now.recording, S_ISDIR (st.st_mode)) + 1;
      g_hash_table_insert (now.names, g_strdup (path), GUINT_TO_POINTER (node));
      note_named (OP_LINK, path, node - 1, NULL);
    }
  else if (flags & O_TRUNC)
    note ((Op){ .kind = OP_SIZE, .node = node - 1 });
  set_fd (fd, node);
}

/* --- what fails ------------------------------------------------------------------------------------------------------------------ */

/* Whether this call is one that fails. */
static gboolean
is_failing (PowerCalls call)
{
  PowerFault *fault = &now.fault;

  if (now.recording == NULL || (fault->calls & call) == 0)
    return FALSE;
  now.n_calls++;
  if (fault->nth == 0 || fault->n == 0)
    return FALSE;
  if (fault->nth > 1)
    {
      fault->nth--;
      return FALSE;
    }
  return TRUE;
}

static void
fail_once (void)
{
  now.n_failed++;
  if (now.fault.n != G_MAXUINT)
    now.fault.n--;
  errno = now.fault.error;
}

/* Whether a call on something below the root fails: then errno says how. */
static gboolean
fails (gboolean ours, PowerCalls call)
{
  if (!ours || !is_failing (call))
    return FALSE;
  fail_once ();
  return TRUE;
}

static gsize
count_bytes (const struct iovec *parts, int n_parts)
{
  gsize sum = 0;

  for (int i = 0; i < n_parts; i++)
    sum += parts[i].iov_len;
  return sum;
}

static gint64
blocks (guint64 size)
{
  return (gint64) (size / BLOCK + (size % BLOCK != 0)) * BLOCK;
}

/* Takes the room for a file to be @size bytes long, or gives it back. */
static gboolean
take_room (guint node_plus_one, guint64 size)
{
  Node *node = get_node (node_plus_one);
  gint64 more = blocks (size) - blocks (node->size);

  if (now.is_limited && more > 0 && more > now.space)
    {
      now.n_failed++;
      errno = ENOSPC;
      return FALSE;
    }
  now.space -= more;
  node->size = size;
  return TRUE;
}

/* How many of @length bytes a write may write: 0: it fails, and errno says how. */
static gsize
allow_write (int fd, gsize length, guint64 offset)
{
  guint node = node_of_fd (fd);

  if (node == 0 || get_node (node)->is_dir || length == 0)
    return length;
  if (is_failing (POWER_WRITE))
    {
      if (now.fault.is_short && length > 1)
        {
          now.fault.is_short = FALSE; /* and the next one fails */
          length /= 2;
        }
      else
        {
          fail_once ();
          return 0;
        }
    }
  return take_room (node, MAX (get_node (node)->size, offset + length)) ? length : 0;
}

/* --- instead of the C library ---------------------------------------------------------------------------------------------------- */

static int
do_open (int dirfd, const char *path, int flags, mode_t mode)
{
  g_autofree char *below = NULL;
  int fd;

  pthread_mutex_lock (&now.lock);
  below = path_below (dirfd, path);
  if (fails (below != NULL, flags & O_CREAT ? POWER_NAME : POWER_READ))
    fd = -1;
  else
    fd = (int) syscall (SYS_openat, dirfd, path, flags, mode);
  if (fd >= 0 && below != NULL)
    note_open (below, flags, fd);
  else if (fd >= 0 && now.recording != NULL)
    set_fd (fd, 0);
  pthread_mutex_unlock (&now.lock);
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

  pthread_mutex_lock (&now.lock);
  if (node_of_fd (fd) != 0 && now.fds[fd].has_dirty)
    note ((Op){ .kind = OP_SYNC_FAILED, .node = node_of_fd (fd) - 1 });
  if (node_of_fd (fd) != 0)
    set_fd (fd, 0);
  result = (int) syscall (SYS_close, fd);
  pthread_mutex_unlock (&now.lock);
  return result;
}

ssize_t
write (int fd, const void *data, size_t length)
{
  struct iovec part = { (void *) data, length };
  ssize_t written = -1;
  off_t offset;

  pthread_mutex_lock (&now.lock);
  offset = node_of_fd (fd) != 0 ? lseek (fd, 0, SEEK_CUR) : 0;
  part.iov_len = allow_write (fd, length, (guint64) offset);
  if (part.iov_len > 0 || length == 0)
    written = syscall (SYS_write, fd, data, part.iov_len);
  note_write (fd, &part, 1, offset, written);
  pthread_mutex_unlock (&now.lock);
  return written;
}

ssize_t
pwritev (int fd, const struct iovec *parts, int n_parts, off_t offset)
{
  struct iovec some[MAX_PARTS];
  gsize whole = count_bytes (parts, n_parts), allowed;
  ssize_t written = -1;

  pthread_mutex_lock (&now.lock);
  allowed = allow_write (fd, whole, (guint64) offset);
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
  note_write (fd, parts, n_parts, offset, written);
  pthread_mutex_unlock (&now.lock);
  return written;
}

static gboolean
read_fails (int fd)
{
  gboolean result;

  if (__atomic_load_n (&now.recording, __ATOMIC_RELAXED) == NULL)
    return FALSE;
  pthread_mutex_lock (&now.lock);
  result = fails (node_of_fd (fd) != 0, POWER_READ);
  pthread_mutex_unlock (&now.lock);
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

  pthread_mutex_lock (&now.lock);
  if (fails (node_of_fd (fd) != 0, POWER_WRITE)
      || (node_of_fd (fd) != 0 && !take_room (node_of_fd (fd), (guint64) size)))
    result = -1;
  else
    result = note_size (fd, (guint64) size, FALSE, (int) syscall (SYS_ftruncate, fd, size));
  pthread_mutex_unlock (&now.lock);
  return result;
}

int
posix_fallocate (int fd, off_t offset, off_t length)
{
  guint64 end;
  guint node;
  int result;

  pthread_mutex_lock (&now.lock);
  node = node_of_fd (fd);
  end = (guint64) (offset + length);
  if (fails (node != 0, POWER_WRITE) || (node != 0 && !take_room (node, MAX (get_node (node)->size, end))))
    result = -1;
  else
    result = note_size (fd, end, TRUE, (int) syscall (SYS_fallocate, fd, 0, offset, length));
  pthread_mutex_unlock (&now.lock);
  return result == 0 ? 0 : errno;
}

/* Of a file that loses its name the room comes back, even if it is open still. */
static void
give_up (guint node)
{
  if (node != 0 && !get_node (node)->is_dir)
    take_room (node, 0);
}

int
renameat (int from_dir, const char *from, int to_dir, const char *to)
{
  g_autofree char *below = NULL, *below_to = NULL;
  int result;

  pthread_mutex_lock (&now.lock);
  below = path_below (from_dir, from);
  below_to = path_below (to_dir, to);
  if (fails (below != NULL, POWER_NAME))
    result = -1;
  else
    result = (int) syscall (SYS_renameat, from_dir, from, to_dir, to);
  g_assert ((below == NULL) == (below_to == NULL));
  if (result == 0 && below != NULL)
    {
      guint node = node_at (below);

      note_named (OP_RENAME, below_to, node - 1, below);
      give_up (node_at (below_to));
      g_hash_table_remove (now.names, below);
      g_hash_table_insert (now.names, g_strdup (below_to), GUINT_TO_POINTER (node));
    }
  pthread_mutex_unlock (&now.lock);
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

  pthread_mutex_lock (&now.lock);
  below = path_below (dirfd, path);
  if (fails (below != NULL, POWER_NAME))
    result = -1;
  else
    result = (int) syscall (SYS_unlinkat, dirfd, path, flags);
  if (result == 0 && below != NULL)
    {
      give_up (node_at (below));
      note_named (OP_UNLINK, below, node_at (below) - 1, NULL);
      g_hash_table_remove (now.names, below);
    }
  pthread_mutex_unlock (&now.lock);
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

  pthread_mutex_lock (&now.lock);
  below = path_below (dirfd, path);
  if (fails (below != NULL, POWER_NAME))
    result = -1;
  else
    result = (int) syscall (SYS_mkdirat, dirfd, path, mode);
  if (result == 0 && below != NULL)
    {
      guint node = add_node (now.recording, TRUE);

      g_hash_table_insert (now.names, g_strdup (below), GUINT_TO_POINTER (node + 1));
      note_named (OP_LINK, below, node, NULL);
    }
  pthread_mutex_unlock (&now.lock);
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

  pthread_mutex_lock (&now.lock);
  node = unasked ? 0 : node_of_fd (fd);
  if (fails (node != 0, node != 0 && get_node (node)->is_dir ? POWER_SYNC_DIR : POWER_SYNC))
    {
      note ((Op){ .kind = OP_SYNC_FAILED, .node = node - 1 });
      result = -1;
    }
  else if (node != 0)
    {
      note ((Op){ .kind = OP_SYNC, .node = node - 1 });
      now.fds[fd].has_dirty = FALSE;
    }
  pthread_mutex_unlock (&now.lock);
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

  pthread_mutex_lock (&now.lock);
  result = ((int (*) (int, struct statvfs *)) dlsym (RTLD_NEXT, "fstatvfs")) (fd, st);
  if (result == 0 && node_of_fd (fd) != 0 && now.is_limited)
    {
      st->f_frsize = st->f_bsize = BLOCK;
      st->f_bavail = st->f_bfree = (fsblkcnt_t) (now.space / BLOCK);
    }
  pthread_mutex_unlock (&now.lock);
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

/* --- recordings ------------------------------------------------------------------------------------------------------------------ */

static void
take_in (PowerRecording *recording, guint dir, const char *path, const char *below)
{
  g_autoptr (GDir) handle = g_dir_open (path, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (handle)) != NULL)
    {
      g_autofree char *child = g_build_filename (path, name, NULL);
      g_autofree char *child_below = *below != '\0' ? g_strconcat (below, "/", name, NULL) : g_strdup (name);
      gboolean is_dir = g_file_test (child, G_FILE_TEST_IS_DIR);
      Entry entry = { dir, g_strdup (name), add_node (recording, is_dir) };
      g_autofree char *text = NULL;
      gsize length;

      g_array_append_val (recording->entries, entry);
      g_hash_table_insert (now.names, g_strdup (child_below), GUINT_TO_POINTER (entry.node + 1));
      if (is_dir)
        take_in (recording, entry.node, child, child_below);
      else if (g_file_get_contents (child, &text, &length, NULL))
        {
          Node *node = g_ptr_array_index (recording->nodes, entry.node);

          g_byte_array_append (node->data, (guint8 *) text, (guint) length);
          node->size = length;
        }
    }
}

void
power_begin (const char *root)
{
  PowerRecording *recording = g_new0 (PowerRecording, 1);

  g_assert_null (now.recording);
  recording->root = g_strdup (root);
  recording->nodes = g_ptr_array_new_with_free_func (node_free);
  recording->entries = g_array_new (FALSE, TRUE, sizeof (Entry));
  recording->ops = g_array_new (FALSE, TRUE, sizeof (Op));
  recording->instants = g_array_new (FALSE, TRUE, sizeof (guint));
  now.names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_hash_table_insert (now.names, g_strdup (""), GUINT_TO_POINTER (add_node (recording, TRUE) + 1));
  take_in (recording, 0, root, "");
  pthread_mutex_lock (&now.lock);
  now.recording = recording;
  pthread_mutex_unlock (&now.lock);
}

void
power_mark (guint64 what)
{
  pthread_mutex_lock (&now.lock);
  if (now.recording != NULL)
    note ((Op){ .kind = OP_MARK, .mark = what });
  pthread_mutex_unlock (&now.lock);
}

void
power_fail (const PowerFault *fault)
{
  pthread_mutex_lock (&now.lock);
  now.fault = fault != NULL ? *fault : (PowerFault){ 0 };
  now.n_failed = now.n_calls = 0;
  pthread_mutex_unlock (&now.lock);
}

guint
power_count_failed (void)
{
  guint n;

  pthread_mutex_lock (&now.lock);
  n = now.n_failed;
  pthread_mutex_unlock (&now.lock);
  return n;
}

guint
power_count_calls (void)
{
  guint n;

  pthread_mutex_lock (&now.lock);
  n = now.n_calls;
  pthread_mutex_unlock (&now.lock);
  return n;
}

void
power_set_space (gint64 bytes)
{
  pthread_mutex_lock (&now.lock);
  now.is_limited = bytes >= 0;
  now.space = bytes;
  pthread_mutex_unlock (&now.lock);
}

gint64
power_get_space (void)
{
  gint64 space;

  pthread_mutex_lock (&now.lock);
  space = now.space;
  pthread_mutex_unlock (&now.lock);
  return space;
}

PowerRecording *
power_end (void)
{
  PowerRecording *recording;

  pthread_mutex_lock (&now.lock);
  recording = now.recording;
  now.recording = NULL;
  g_clear_pointer (&now.names, g_hash_table_unref);
  g_clear_pointer (&now.fds, g_free);
  now.n_fds = 0;
  pthread_mutex_unlock (&now.lock);
  g_array_append_val (recording->instants, recording->ops->len);
  return recording;
}

void
power_recording_free (PowerRecording *recording)
{
  for (guint i = 0; i < recording->ops->len; i++)
    {
      Op *op = &g_array_index (recording->ops, Op, i);

      g_free (op->name);
      g_free (op->old);
      g_clear_pointer (&op->data, g_bytes_unref);
    }
  for (guint i = 0; i < recording->entries->len; i++)
    g_free (g_array_index (recording->entries, Entry, i).name);
  g_array_unref (recording->ops);
  g_array_unref (recording->entries);
  g_array_unref (recording->instants);
  g_ptr_array_unref (recording->nodes);
  g_free (recording->root);
  g_free (recording);
}

guint
power_recording_count_instants (PowerRecording *recording)
{
  return recording->instants->len;
}

void
power_recording_foreach_mark (PowerRecording *recording, guint index, void (*func) (guint64 what, gpointer data),
                              gpointer data)
{
  guint end = g_array_index (recording->instants, guint, index);

  for (guint i = 0; i < end; i++)
    if (g_array_index (recording->ops, Op, i).kind == OP_MARK)
      func (g_array_index (recording->ops, Op, i).mark, data);
}
