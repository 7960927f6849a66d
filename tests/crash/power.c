/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See power.h. The program's own definitions of open(), write() and so on come before the C library's, for the libraries it
 * is linked with too; what they do is the system call, under one lock, so that the recording's order is the true one.
 * Syncs only note: nothing of the tests' own needs the real disk.
 */
#include "power.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SECTOR 512
#define FULL_SUBSETS 5 /* pending operations of which every subset is tried */
#define SOME_SUBSETS 64

/* A file or a directory. Its number is its place in the recording's list. */
typedef struct {
  gboolean is_dir;
  GByteArray *data; /* (owned) of a file: as durable at the beginning */
} Node;

typedef enum { OP_WRITE, OP_SIZE, OP_LINK, OP_UNLINK, OP_RENAME, OP_SYNC, OP_SYNC_FAILED, OP_MARK } OpKind;

typedef struct {
  OpKind kind;
  guint node; /* whose data; of LINK and RENAME what is named; of SYNC what is synced */
  guint dir;  /* of names: the directory */
  char *name; /* (owned) (nullable) in @dir; of RENAME the new one */
  char *old;  /* (owned) (nullable) the former name, in the same directory */
  guint64 offset;
  GBytes *data; /* (owned) (nullable) of WRITE */
  guint64 mark; /* or the size of SIZE */
  gboolean grows;
} Op;

typedef struct {
  guint dir;
  char *name;
  guint node;
} Entry;

struct PowerRecording {
  char *root;
  GPtrArray *nodes; /* (element-type Node) 0: the root */
  GArray *entries;  /* (element-type Entry) names at the beginning */
  GArray *ops;      /* (element-type Op) */
  GArray *instants; /* (element-type guint) number of ops before the cut */
};

/* What runs now. The lock is recursive for no one: the functions below never call each other. */
static struct {
  pthread_mutex_t lock;
  PowerRecording *recording; /* (nullable) */
  GHashTable *names;         /* path relative to the root to node + 1 */
  guint *fds;                /* by descriptor: node + 1; 0: not ours */
  guint n_fds;
  guint failing_sync; /* the one that fails, counted from now; 0: none */
} now = { .lock = PTHREAD_MUTEX_INITIALIZER };

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

      now.fds = g_realloc (now.fds, n * sizeof (guint));
      memset (now.fds + now.n_fds, 0, (n - now.n_fds) * sizeof (guint));
      now.n_fds = n;
    }
  now.fds[fd] = node_plus_one;
}

static guint
node_of_fd (int fd)
{
  return now.recording != NULL && fd >= 0 && (guint) fd < now.n_fds ? now.fds[fd] : 0;
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

  if (node == 0 || written <= 0 || ((Node *) g_ptr_array_index (now.recording->nodes, node - 1))->is_dir)
    return; /* a number that closedir() gave back */
  for (int i = 0; i < n_parts; i++)
    g_byte_array_append (data, parts[i].iov_base, (guint) parts[i].iov_len);
  note ((Op){ .kind = OP_WRITE,
              .node = node - 1,
              .offset = (guint64) offset,
              .data = g_bytes_new (data->data, (gsize) written) });
}

static int
note_size (int fd, guint64 size, gboolean grows, int result)
{
  guint node = node_of_fd (fd);

  if (node != 0 && result == 0)
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

/* --- instead of the C library ---------------------------------------------------------------------------------------------------- */

static int
do_open (int dirfd, const char *path, int flags, mode_t mode)
{
  g_autofree char *below = NULL;
  int fd;

  pthread_mutex_lock (&now.lock);
  below = path_below (dirfd, path);
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
  if (node_of_fd (fd) != 0)
    now.fds[fd] = 0;
  result = (int) syscall (SYS_close, fd);
  pthread_mutex_unlock (&now.lock);
  return result;
}

ssize_t
write (int fd, const void *data, size_t length)
{
  struct iovec part = { (void *) data, length };
  ssize_t written;
  off_t offset;

  pthread_mutex_lock (&now.lock);
  offset = node_of_fd (fd) != 0 ? lseek (fd, 0, SEEK_CUR) : 0;
  written = syscall (SYS_write, fd, data, length);
  note_write (fd, &part, 1, offset, written);
  pthread_mutex_unlock (&now.lock);
  return written;
}

ssize_t
pwritev (int fd, const struct iovec *parts, int n_parts, off_t offset)
{
  ssize_t written;

  pthread_mutex_lock (&now.lock);
  written = syscall (SYS_pwritev, fd, parts, n_parts, offset, 0);
  note_write (fd, parts, n_parts, offset, written);
  pthread_mutex_unlock (&now.lock);
  return written;
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
  result = note_size (fd, (guint64) size, FALSE, (int) syscall (SYS_ftruncate, fd, size));
  pthread_mutex_unlock (&now.lock);
  return result;
}

int
posix_fallocate (int fd, off_t offset, off_t length)
{
  int result;

  pthread_mutex_lock (&now.lock);
  result = note_size (fd, (guint64) (offset + length), TRUE, (int) syscall (SYS_fallocate, fd, 0, offset, length));
  pthread_mutex_unlock (&now.lock);
  return result == 0 ? 0 : errno;
}

int
renameat (int from_dir, const char *from, int to_dir, const char *to)
{
  g_autofree char *below = NULL, *below_to = NULL;
  int result;

  pthread_mutex_lock (&now.lock);
  below = path_below (from_dir, from);
  below_to = path_below (to_dir, to);
  result = (int) syscall (SYS_renameat, from_dir, from, to_dir, to);
  g_assert ((below == NULL) == (below_to == NULL));
  if (result == 0 && below != NULL)
    {
      guint node = node_at (below);

      note_named (OP_RENAME, below_to, node - 1, below);
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
  result = (int) syscall (SYS_unlinkat, dirfd, path, flags);
  if (result == 0 && below != NULL)
    {
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

static gboolean
sync_fails (guint node)
{
  if (((Node *) g_ptr_array_index (now.recording->nodes, node))->is_dir || now.failing_sync == 0)
    return FALSE;
  return --now.failing_sync == 0;
}

/* Even while nothing is recorded: the disks that are made need to outlive no cut. */
int
fsync (int fd)
{
  guint node;
  int result = 0;

  pthread_mutex_lock (&now.lock);
  node = node_of_fd (fd);
  if (node != 0 && sync_fails (node - 1))
    {
      note ((Op){ .kind = OP_SYNC_FAILED, .node = node - 1 });
      errno = EIO;
      result = -1;
    }
  else if (node != 0)
    note ((Op){ .kind = OP_SYNC, .node = node - 1 });
  pthread_mutex_unlock (&now.lock);
  return result;
}

int
fdatasync (int fd)
{
  return fsync (fd);
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
        g_byte_array_append (((Node *) g_ptr_array_index (recording->nodes, entry.node))->data, (guint8 *) text,
                             (guint) length);
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
power_fail_sync (guint countdown)
{
  pthread_mutex_lock (&now.lock);
  now.failing_sync = countdown;
  pthread_mutex_unlock (&now.lock);
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

/* --- disks ------------------------------------------------------------------------------------------------------------------------ */

static gboolean
is_name_op (const Op *op)
{
  return op->kind == OP_LINK || op->kind == OP_UNLINK || op->kind == OP_RENAME;
}

static gboolean
can_be_lost (const Op *op)
{
  return op->kind != OP_SYNC && op->kind != OP_SYNC_FAILED && op->kind != OP_MARK;
}

/* For each operation before @end: whether a sync after it has made it durable. */
static gboolean *
find_durable (PowerRecording *recording, guint end)
{
  gboolean *durable = g_new0 (gboolean, end + 1), *synced = g_new0 (gboolean, recording->nodes->len);

  for (guint i = end; i-- > 0;)
    {
      const Op *op = &g_array_index (recording->ops, Op, i);

      if (op->kind == OP_SYNC || op->kind == OP_SYNC_FAILED)
        synced[op->node] = op->kind == OP_SYNC;
      else
        durable[i] = op->kind == OP_MARK || synced[is_name_op (op) ? op->dir : op->node];
    }
  g_free (synced);
  return durable;
}

static gboolean
can_tear (const Op *op)
{
  return op->kind == OP_WRITE && op->offset / SECTOR != (op->offset + g_bytes_get_size (op->data) - 1) / SECTOR;
}

typedef struct {
  guint n_pending, n_torn;
} Choice;

static Choice
look_at (PowerRecording *recording, guint index)
{
  guint end = g_array_index (recording->instants, guint, index);
  g_autofree gboolean *durable = find_durable (recording, end);
  Choice choice = { 0, 0 };

  for (guint i = 0; i < end; i++)
    {
      const Op *op = &g_array_index (recording->ops, Op, i);

      if (!can_be_lost (op) || durable[i])
        continue;
      choice.n_pending++;
      choice.n_torn += can_tear (op);
    }
  return choice;
}

guint
power_recording_count_pending (PowerRecording *recording, guint index)
{
  return look_at (recording, index).n_pending;
}

static guint
count_subsets (Choice choice)
{
  return choice.n_pending <= FULL_SUBSETS ? 1u << choice.n_pending : SOME_SUBSETS;
}

guint
power_recording_count_disks (PowerRecording *recording, guint index)
{
  Choice choice = look_at (recording, index);

  return count_subsets (choice) * (choice.n_torn > 0 ? 2 : 1);
}

/* A disk being made. */
typedef struct {
  PowerRecording *recording;
  GByteArray **data;      /* by node; %NULL: as at the beginning */
  GHashTable **directory; /* by node: name to node + 1; %NULL: a file */
} Disk;

static GByteArray *
writable (Disk *disk, guint node)
{
  const GByteArray *before = ((Node *) g_ptr_array_index (disk->recording->nodes, node))->data;

  if (disk->data[node] == NULL)
    {
      disk->data[node] = g_byte_array_sized_new (before->len);
      g_byte_array_append (disk->data[node], before->data, before->len);
    }
  return disk->data[node];
}

static void
set_size (GByteArray *data, guint size)
{
  guint before = data->len;

  g_byte_array_set_size (data, size);
  if (size > before)
    memset (data->data + before, 0, size - before);
}

/* Bytes @from to @to of the write. */
static void
put (Disk *disk, const Op *op, gsize from, gsize to)
{
  GByteArray *data = writable (disk, op->node);

  if (data->len < op->offset + to)
    set_size (data, (guint) (op->offset + to));
  memcpy (data->data + op->offset + from, (const guint8 *) g_bytes_get_data (op->data, NULL) + from, to - from);
}

/* Each sector by itself is there or not. */
static void
put_torn (Disk *disk, const Op *op, GRand *rand)
{
  gsize length = g_bytes_get_size (op->data), at = 0;
  /* A disk more often stops somewhere than it leaves holes. */
  gboolean prefix = g_rand_boolean (rand);
  gsize stop = prefix ? (gsize) (g_rand_double (rand) * (double) length) : length;

  while (at < length)
    {
      gsize end = MIN (length, at + SECTOR - (gsize) ((op->offset + at) % SECTOR));

      if (prefix ? end <= stop : g_rand_boolean (rand))
        put (disk, op, at, end);
      at = end;
    }
}

static void
apply (Disk *disk, const Op *op, GRand *torn)
{
  GHashTable *names = is_name_op (op) ? disk->directory[op->dir] : NULL;

  switch (op->kind)
    {
    case OP_WRITE:
      if (torn != NULL && g_rand_boolean (torn))
        put_torn (disk, op, torn);
      else
        put (disk, op, 0, g_bytes_get_size (op->data));
      break;
    case OP_SIZE:
      if (!op->grows || writable (disk, op->node)->len < op->mark)
        set_size (writable (disk, op->node), (guint) op->mark);
      break;
    case OP_RENAME:
      if (GPOINTER_TO_UINT (g_hash_table_lookup (names, op->old)) == op->node + 1)
        g_hash_table_remove (names, op->old);
      g_hash_table_insert (names, g_strdup (op->name), GUINT_TO_POINTER (op->node + 1));
      break;
    case OP_LINK:
      g_hash_table_insert (names, g_strdup (op->name), GUINT_TO_POINTER (op->node + 1));
      break;
    case OP_UNLINK:
      if (GPOINTER_TO_UINT (g_hash_table_lookup (names, op->name)) == op->node + 1)
        g_hash_table_remove (names, op->name);
      break;
    case OP_SYNC:
    case OP_SYNC_FAILED:
    case OP_MARK:
    default:
      break;
    }
}

static void
disk_init (Disk *disk, PowerRecording *recording)
{
  *disk =
      (Disk){ recording, g_new0 (GByteArray *, recording->nodes->len), g_new0 (GHashTable *, recording->nodes->len) };
  for (guint i = 0; i < recording->nodes->len; i++)
    if (((Node *) g_ptr_array_index (recording->nodes, i))->is_dir)
      disk->directory[i] = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < recording->entries->len; i++)
    {
      const Entry *entry = &g_array_index (recording->entries, Entry, i);

      g_hash_table_insert (disk->directory[entry->dir], g_strdup (entry->name), GUINT_TO_POINTER (entry->node + 1));
    }
}

static void
disk_clear (Disk *disk)
{
  for (guint i = 0; i < disk->recording->nodes->len; i++)
    {
      g_clear_pointer (&disk->data[i], g_byte_array_unref);
      g_clear_pointer (&disk->directory[i], g_hash_table_unref);
    }
  g_free (disk->data);
  g_free (disk->directory);
}

static void
remove_below (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *child = g_build_filename (path, name, NULL);

      remove_below (child);
      remove (child);
    }
}

static guint64
mix (guint64 hash, const void *data, gsize length)
{
  const guint8 *bytes = data;

  while (length > 0)
    {
      guint64 word = 0;
      gsize step = MIN (length, sizeof word);

      memcpy (&word, bytes, step);
      hash = (hash ^ word) * G_GUINT64_CONSTANT (1099511628211);
      hash ^= hash >> 32; /* what is multiplied only moves up */
      bytes += step;
      length -= step;
    }
  return hash;
}

static void
write_file (const char *path, const GByteArray *data)
{
  int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (write (fd, data->data, data->len), ==, data->len);
  close (fd);
}

/* Writes a directory out. Returns: a hash that does not depend on the order of names. */
static guint64
write_out (Disk *disk, guint dir, const char *path)
{
  GHashTableIter iter;
  gpointer key, value;
  guint64 sum = 0;

  g_hash_table_iter_init (&iter, disk->directory[dir]);
  while (g_hash_table_iter_next (&iter, &key, &value))
    {
      guint node = GPOINTER_TO_UINT (value) - 1;
      g_autofree char *child = g_build_filename (path, key, NULL);
      const GByteArray *data = disk->data[node] != NULL
                                   ? disk->data[node]
                                   : ((Node *) g_ptr_array_index (disk->recording->nodes, node))->data;
      guint64 hash = mix (G_GUINT64_CONSTANT (14695981039346656037), key, strlen (key) + 1);

      if (disk->directory[node] != NULL)
        {
          g_assert_cmpint (mkdir (child, 0700), ==, 0);
          hash ^= write_out (disk, node, child);
        }
      else
        {
          write_file (child, data);
          hash = mix (hash, data->data, data->len);
        }
      sum += hash;
    }
  return sum;
}

guint64
power_recording_make_disk (PowerRecording *recording, guint index, guint pick, guint32 seed, const char *dir)
{
  guint end = g_array_index (recording->instants, guint, index);
  g_autofree gboolean *durable = find_durable (recording, end);
  Choice choice = look_at (recording, index);
  guint subset = pick % count_subsets (choice), pending = 0;
  const guint32 seeds[] = { seed, index, pick };
  GRand *rand = g_rand_new_with_seed_array (seeds, G_N_ELEMENTS (seeds));
  double keep = choice.n_pending <= FULL_SUBSETS ? 0 : 0.05 + 0.9 * g_rand_double (rand);
  Disk disk;
  guint64 hash;

  disk_init (&disk, recording);
  for (guint i = 0; i < end; i++)
    {
      const Op *op = &g_array_index (recording->ops, Op, i);
      gboolean there = durable[i];

      if (can_be_lost (op) && !durable[i])
        {
          there = choice.n_pending <= FULL_SUBSETS ? subset >> pending & 1 : g_rand_double (rand) < keep;
          pending++;
        }
      if (there)
        apply (&disk, op, !durable[i] && pick >= count_subsets (choice) ? rand : NULL);
    }
  remove_below (dir);
  hash = write_out (&disk, 0, dir);
  disk_clear (&disk);
  g_rand_free (rand);
  return hash;
}
