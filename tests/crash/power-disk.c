/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See power.h: the disks that a recording may have left.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "power-private.h"

#define SECTOR 512
#define FULL_SUBSETS 5 /* pending operations of which every subset is tried */
#define SOME_SUBSETS 64

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
