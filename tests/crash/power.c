/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See power.h: the recording that runs now, what is noted of it, and which calls fail. Who calls is power-calls.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "power-private.h"

#define BLOCK 4096

PowerNow power_now = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* --- what is where ---------------------------------------------------------------------------------------------------------- */

guint
power_add_node (PowerRecording *recording, gboolean is_dir)
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

void
power_set_fd (int fd, guint node_plus_one)
{
  if ((guint) fd >= power_now.n_fds)
    {
      guint n = MAX (2 * power_now.n_fds, (guint) fd + 64);

      power_now.fds = g_renew (Handle, power_now.fds, n);
      memset (power_now.fds + power_now.n_fds, 0, (n - power_now.n_fds) * sizeof (Handle));
      power_now.n_fds = n;
    }
  power_now.fds[fd] = (Handle){ node_plus_one, FALSE };
}

guint
power_node_of_fd (int fd)
{
  return power_now.recording != NULL && fd >= 0 && (guint) fd < power_now.n_fds ? power_now.fds[fd].node : 0;
}

Node *
power_get_node (guint node_plus_one)
{
  return g_ptr_array_index (power_now.recording->nodes, node_plus_one - 1);
}

/* The name of a node that is there power_now. */
static const char *
path_of_node (guint node_plus_one)
{
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init (&iter, power_now.names);
  while (g_hash_table_iter_next (&iter, &key, &value))
    if (GPOINTER_TO_UINT (value) == node_plus_one)
      return key;
  return NULL;
}

/* Path relative to the root, "" for the root itself; %NULL: elsewhere. Free: g_free(). */
char *
power_path_below (int dirfd, const char *path)
{
  gsize length;
  const char *dir;

  if (power_now.recording == NULL)
    return NULL;
  length = strlen (power_now.recording->root);
  if (*path == '/')
    {
      if (strncmp (path, power_now.recording->root, length) != 0 || (path[length] != '/' && path[length] != '\0'))
        return NULL;
      return g_strdup (path[length] == '/' ? path + length + 1 : "");
    }
  dir = dirfd != AT_FDCWD && power_node_of_fd (dirfd) != 0 ? path_of_node (power_node_of_fd (dirfd)) : NULL;
  if (dir == NULL)
    return NULL;
  if (g_str_equal (path, "."))
    return g_strdup (dir);
  return *dir == '\0' ? g_strdup (path) : g_strconcat (dir, "/", path, NULL);
}

guint
power_node_at (const char *path)
{
  return GPOINTER_TO_UINT (g_hash_table_lookup (power_now.names, path));
}

/* The directory that @path lies in, and its name there. */
static guint
parent_of (const char *path, const char **out_name)
{
  const char *slash = strrchr (path, '/');
  g_autofree char *dir = slash != NULL ? g_strndup (path, (gsize) (slash - path)) : g_strdup ("");

  *out_name = slash != NULL ? slash + 1 : path;
  g_assert (power_node_at (dir) != 0);
  return power_node_at (dir) - 1;
}

/* --- noting ------------------------------------------------------------------------------------------------------------------- */

void
power_note (Op op)
{
  GArray *ops = power_now.recording->ops, *instants = power_now.recording->instants;
  guint before = ops->len, after = ops->len + 1;

  if (op.kind == OP_SYNC)
    g_array_append_val (instants, before);
  g_array_append_val (ops, op);
  if (op.kind == OP_SYNC || op.kind == OP_SYNC_FAILED || op.kind == OP_MARK)
    g_array_append_val (instants, after);
}

void
power_note_named (OpKind kind, const char *path, guint node, const char *old_path)
{
  const char *name, *old = NULL;
  guint dir = parent_of (path, &name);

  if (old_path != NULL)
    g_assert_cmpuint (parent_of (old_path, &old), ==, dir); /* between two directories nobody renames */
  power_note ((Op){ .kind = kind, .node = node, .dir = dir, .name = g_strdup (name), .old = g_strdup (old) });
}

void
power_note_write (int fd, const struct iovec *parts, int n_parts, gint64 offset, gssize written)
{
  guint node = power_node_of_fd (fd);
  g_autoptr (GByteArray) data = g_byte_array_new ();

  if (node == 0 || written <= 0 || power_get_node (node)->is_dir)
    return; /* a number that closedir() gave back */
  for (int i = 0; i < n_parts; i++)
    g_byte_array_append (data, parts[i].iov_base, (guint) parts[i].iov_len);
  power_now.fds[fd].has_dirty = TRUE;
  power_note ((Op){ .kind = OP_WRITE,
                    .node = node - 1,
                    .offset = (guint64) offset,
                    .data = g_bytes_new (data->data, (gsize) written) });
}

int
power_note_size (int fd, guint64 size, gboolean grows, int result)
{
  guint node = power_node_of_fd (fd);

  if (node == 0 || result != 0)
    return result;
  power_now.fds[fd].has_dirty = TRUE;
  power_note ((Op){ .kind = OP_SIZE, .node = node - 1, .mark = size, .grows = grows });
  return result;
}

void
power_note_open (const char *path, int flags, int fd)
{
  guint node = power_node_at (path);
  struct stat st;

  if (node == 0 && fstat (fd, &st) == 0)
    {
      node = power_add_node (power_now.recording, S_ISDIR (st.st_mode)) + 1;
      g_hash_table_insert (power_now.names, g_strdup (path), GUINT_TO_POINTER (node));
      power_note_named (OP_LINK, path, node - 1, NULL);
    }
  else if (flags & O_TRUNC)
    power_note ((Op){ .kind = OP_SIZE, .node = node - 1 });
  power_set_fd (fd, node);
}

/* --- what fails ------------------------------------------------------------------------------------------------------------------ */

/* Whether this call is one that fails. */
static gboolean
is_failing (PowerCalls call)
{
  PowerFault *fault = &power_now.fault;

  if (power_now.recording == NULL || (fault->calls & call) == 0)
    return FALSE;
  power_now.n_calls++;
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
  power_now.n_failed++;
  if (power_now.fault.n != G_MAXUINT)
    power_now.fault.n--;
  errno = power_now.fault.error;
}

/* Whether a call on something below the root fails: then errno says how. */
gboolean
power_fails (gboolean ours, PowerCalls call)
{
  if (!ours || !is_failing (call))
    return FALSE;
  fail_once ();
  return TRUE;
}

static gint64
blocks (guint64 size)
{
  return (gint64) (size / BLOCK + (size % BLOCK != 0)) * BLOCK;
}

/* Takes the room for a file to be @size bytes long, or gives it back. */
gboolean
power_take_room (guint node_plus_one, guint64 size)
{
  Node *node = power_get_node (node_plus_one);
  gint64 more = blocks (size) - blocks (node->size);

  if (power_now.is_limited && more > 0 && more > power_now.space)
    {
      power_now.n_failed++;
      errno = ENOSPC;
      return FALSE;
    }
  power_now.space -= more;
  node->size = size;
  return TRUE;
}

/* How many of @length bytes a write may write: 0: it fails, and errno says how. */
gsize
power_allow_write (int fd, gsize length, guint64 offset)
{
  guint node = power_node_of_fd (fd);

  if (node == 0 || power_get_node (node)->is_dir || length == 0)
    return length;
  if (is_failing (POWER_WRITE))
    {
      if (power_now.fault.is_short && length > 1)
        {
          power_now.fault.is_short = FALSE; /* and the next one fails */
          length /= 2;
        }
      else
        {
          fail_once ();
          return 0;
        }
    }
  return power_take_room (node, MAX (power_get_node (node)->size, offset + length)) ? length : 0;
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
      Entry entry = { dir, g_strdup (name), power_add_node (recording, is_dir) };
      g_autofree char *text = NULL;
      gsize length;

      g_array_append_val (recording->entries, entry);
      g_hash_table_insert (power_now.names, g_strdup (child_below), GUINT_TO_POINTER (entry.node + 1));
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

  g_assert_null (power_now.recording);
  recording->root = g_strdup (root);
  recording->nodes = g_ptr_array_new_with_free_func (node_free);
  recording->entries = g_array_new (FALSE, TRUE, sizeof (Entry));
  recording->ops = g_array_new (FALSE, TRUE, sizeof (Op));
  recording->instants = g_array_new (FALSE, TRUE, sizeof (guint));
  power_now.names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_hash_table_insert (power_now.names, g_strdup (""), GUINT_TO_POINTER (power_add_node (recording, TRUE) + 1));
  take_in (recording, 0, root, "");
  pthread_mutex_lock (&power_now.lock);
  power_now.recording = recording;
  pthread_mutex_unlock (&power_now.lock);
}

void
power_mark (guint64 what)
{
  pthread_mutex_lock (&power_now.lock);
  if (power_now.recording != NULL)
    power_note ((Op){ .kind = OP_MARK, .mark = what });
  pthread_mutex_unlock (&power_now.lock);
}

void
power_fail (const PowerFault *fault)
{
  pthread_mutex_lock (&power_now.lock);
  power_now.fault = fault != NULL ? *fault : (PowerFault){ 0 };
  power_now.n_failed = power_now.n_calls = 0;
  pthread_mutex_unlock (&power_now.lock);
}

guint
power_count_failed (void)
{
  guint n;

  pthread_mutex_lock (&power_now.lock);
  n = power_now.n_failed;
  pthread_mutex_unlock (&power_now.lock);
  return n;
}

guint
power_count_calls (void)
{
  guint n;

  pthread_mutex_lock (&power_now.lock);
  n = power_now.n_calls;
  pthread_mutex_unlock (&power_now.lock);
  return n;
}

void
power_set_space (gint64 bytes)
{
  pthread_mutex_lock (&power_now.lock);
  power_now.is_limited = bytes >= 0;
  power_now.space = bytes;
  pthread_mutex_unlock (&power_now.lock);
}

gint64
power_get_space (void)
{
  gint64 space;

  pthread_mutex_lock (&power_now.lock);
  space = power_now.space;
  pthread_mutex_unlock (&power_now.lock);
  return space;
}

PowerRecording *
power_end (void)
{
  PowerRecording *recording;

  pthread_mutex_lock (&power_now.lock);
  recording = power_now.recording;
  power_now.recording = NULL;
  g_clear_pointer (&power_now.names, g_hash_table_unref);
  g_clear_pointer (&power_now.fds, g_free);
  power_now.n_fds = 0;
  pthread_mutex_unlock (&power_now.lock);
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
