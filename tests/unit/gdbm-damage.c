/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See gdbm-damage.h.
 */
#include "gdbm-damage.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int
remove_one (const char *path, const struct stat *st G_GNUC_UNUSED, int type G_GNUC_UNUSED,
            struct FTW *ftw G_GNUC_UNUSED)
{
  return remove (path);
}

void
remove_directory (Fixture *f)
{
  nftw (f->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- what the store says ------------------------------------------------------------------------------------------------- */

static RookMutex told_lock; /* not a GMutex, which the thread sanitizer can't follow */
GString *told;              /* (unowned) of the running test: the store logs on threads of its own */

static void
take_message (const char *domain G_GNUC_UNUSED, GLogLevelFlags level G_GNUC_UNUSED, const char *message,
              gpointer data G_GNUC_UNUSED)
{
  rook_mutex_lock (&told_lock);
  if (told != NULL && !g_str_has_prefix (message, "store.recovered"))
    g_string_append_printf (told, "%s\n", message);
  rook_mutex_unlock (&told_lock);
}

gboolean
was_told (const char *what)
{
  gboolean found;

  rook_mutex_lock (&told_lock);
  found = strstr (told->str, what) != NULL;
  rook_mutex_unlock (&told_lock);
  return found;
}

void
forget_told (void)
{
  rook_mutex_lock (&told_lock);
  g_string_truncate (told, 0);
  rook_mutex_unlock (&told_lock);
}

/* --- the directory --------------------------------------------------------------------------------------------------------- */

static void
file_free (gpointer data)
{
  File *file = data;

  g_free (file->name);
  g_byte_array_unref (file->bytes);
  g_free (file);
}

static gboolean
is_of_the_store (const char *name)
{
  return strcmp (name, "log.spare") != 0 && strcmp (name, "log.filling") != 0 && strcmp (name, "lock") != 0;
}

GPtrArray *
take_image (Fixture *f)
{
  GPtrArray *image = g_ptr_array_new_with_free_func (file_free);
  g_autoptr (GDir) dir = g_dir_open (f->path, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (f->path, name, NULL);
      File *file;
      gsize size;
      char *data;

      if (!is_of_the_store (name))
        continue;
      g_assert_true (g_file_get_contents (path, &data, &size, NULL));
      file = g_new (File, 1);
      *file = (File){ g_strdup (name), g_byte_array_new_take ((guint8 *) data, size) };
      g_ptr_array_add (image, file);
    }
  return image;
}

void
write_file (Fixture *f, const File *file)
{
  g_autofree char *path = g_build_filename (f->path, file->name, NULL);
  int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

  g_assert_cmpint (write (fd, file->bytes->data, file->bytes->len), ==, file->bytes->len);
  close (fd);
}

/* Makes the directory what @image says. */
void
lay_out (Fixture *f, GPtrArray *image)
{
  remove_directory (f);
  g_assert_no_errno (g_mkdir_with_parents (f->path, 0700));
  for (guint i = 0; i < image->len; i++)
    write_file (f, g_ptr_array_index (image, i));
}

File *
find_file (Fixture *f, const char *prefix, gboolean last)
{
  File *found = NULL;

  for (guint i = 0; i < f->image->len; i++)
    {
      File *file = g_ptr_array_index (f->image, i);

      if (g_str_has_prefix (file->name, prefix)
          && (found == NULL || (strcmp (file->name, found->name) > 0) == (last != FALSE)))
        found = file;
    }
  g_assert_nonnull (found);
  return found;
}

void
remove_file (Fixture *f, const File *file)
{
  g_autofree char *path = g_build_filename (f->path, file->name, NULL);

  g_assert_no_errno (remove (path));
}

/* --- a small store ----------------------------------------------------------------------------------------------------------- */

static void
count_lost (const char *what, gpointer data)
{
  g_assert_nonnull (what);
  ((Fixture *) data)->n_lost++;
}

gboolean
try_open (Fixture *f, guint64 min_position, GError **error)
{
  RookStoreSpec spec = {
    .struct_size = sizeof spec, .path = f->path, .min_position = min_position, .lost = count_lost, .lost_data = f
  };

  f->n_lost = 0;
  forget_told ();
  f->store = rook_store_open_backend (NULL, &gs_backend, &f->settings, &spec, error);
  return f->store != NULL;
}

void
open_store (Fixture *f)
{
  g_autoptr (GError) error = NULL;

  try_open (f, 0, &error);
  g_assert_no_error (error);
}

void
close_store (Fixture *f)
{
  g_clear_pointer (&f->store, rook_store_close);
}

GBytes *
filling (guint seed, gsize length)
{
  guint8 *data = g_malloc (length + 1);

  for (gsize i = 0; i < length; i++)
    data[i] = (guint8) (seed * 131 + i * 7 + (i >> 8));
  return g_bytes_new_take (data, length);
}

void
set_value (Fixture *f, guint n, guint seed, gsize length)
{
  RookBatch *batch = rook_batch_new (f->store);
  g_autofree char *name = g_strdup_printf ("key %u", n);
  g_autoptr (GBytes) key = bytes_of (name), value = filling (seed, length);

  rook_batch_put (batch, 1, key, value);
  commit (f->store, batch);
  g_hash_table_insert (f->values, g_strdup (name), g_bytes_ref (value));
}

/* Four bytes of a value, as a flag change does. */
void
patch_value (Fixture *f, guint n)
{
  RookBatch *batch = rook_batch_new (f->store);
  g_autofree char *name = g_strdup_printf ("key %u", n);
  g_autoptr (GBytes) key = bytes_of (name), bytes = bytes_of ("HERE");
  GBytes *before = g_hash_table_lookup (f->values, name);
  gsize size;
  guint8 *data = g_memdup2 (g_bytes_get_data (before, &size), g_bytes_get_size (before));

  memcpy (data + 8, "HERE", 4);
  rook_batch_patch (batch, 1, key, 8, bytes);
  commit (f->store, batch);
  g_hash_table_insert (f->values, g_strdup (name), g_bytes_new_take (data, size));
}

void
delete_value (Fixture *f, guint n)
{
  RookBatch *batch = rook_batch_new (f->store);
  g_autofree char *name = g_strdup_printf ("key %u", n);
  g_autoptr (GBytes) key = bytes_of (name);

  rook_batch_delete (batch, 1, key);
  commit (f->store, batch);
  g_hash_table_remove (f->values, name);
}

/* Each third body is equal to one before. */
static void
add_blob (Fixture *f, guint n)
{
  RookBatch *batch = rook_batch_new (f->store);
  guint same = n % 3 == 2 ? n - 1 : n;
  g_autofree char *text = g_strdup_printf ("b%u", same), *name = g_strdup_printf ("label of %u", n);
  g_autoptr (GBytes) content = bytes_of (text), label = bytes_of (name);

  f->bodies[n] = filling (1000 + same, same % 7 == 1 ? 70000 : 100 + same * 61);
  f->blobs[n] = rook_batch_blob (batch, ROOK_BLOB_MAIL, content, label, f->bodies[n]);
  commit (f->store, batch);
}

static void
release_blob (Fixture *f, guint n)
{
  RookBatch *batch = rook_batch_new (f->store);

  rook_batch_release (batch, f->blobs[n]);
  f->blobs[n] = 0;
  commit (f->store, batch);
}

void
checkpoint (Fixture *f)
{
  g_autoptr (GError) error = NULL;

  rook_store_checkpoint (f->store, &error);
  g_assert_no_error (error);
}

/* Something in both copies, something in one, something in the log alone; several log files and segments. */
static void
fill_store (Fixture *f)
{
  for (guint n = 0; n < N_KEYS; n++)
    set_value (f, n, n, n * n);
  for (guint n = 0; n < N_BLOBS / 2; n++)
    add_blob (f, n);
  checkpoint (f);
  for (guint n = 20; n < 40; n += 2)
    patch_value (f, n);
  checkpoint (f);
  for (guint n = 10; n < 30; n += 3)
    set_value (f, n, n + 100, 40 + n);
  delete_value (f, 5);
  release_blob (f, 1);
  checkpoint (f);
  for (guint n = N_BLOBS / 2; n < N_BLOBS; n++)
    add_blob (f, n);
  for (guint n = 21; n < 60; n += 4)
    patch_value (f, n);
  delete_value (f, 6);
  release_blob (f, N_BLOBS / 2);
}

void
set_up (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  RookStoreSpec spec = { .struct_size = sizeof spec, .create = TRUE };

  told = f->told = g_string_new (NULL);
  f->settings = gs_default_settings;
  f->settings.log_size = 32 * 1024;
  f->settings.segment_size = 64 * 1024;
  f->settings.n_readers = 1;
  f->values = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_bytes_unref);
  f->path = g_dir_make_tmp ("rook-damage-XXXXXX", NULL);
  spec.path = f->path;
  f->store = rook_store_open_backend (NULL, &gs_backend, &f->settings, &spec, NULL);
  fill_store (f);
  f->image = take_image (f);
  close_store (f);
  lay_out (f, f->image);
}

void
tear_down (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  close_store (f);
  remove_directory (f);
  rook_mutex_lock (&told_lock);
  told = NULL;
  rook_mutex_unlock (&told_lock);
  g_string_free (f->told, TRUE);
  g_ptr_array_unref (f->image);
  g_hash_table_unref (f->values);
  for (guint n = 0; n < N_BLOBS; n++)
    g_bytes_unref (f->bodies[n]);
  g_free (f->path);
}

/* --- is it all there? ---------------------------------------------------------------------------------------------------------- */

void
count_fault (const RookStoreFault *fault, gpointer data)
{
  Outcome *outcome = data;

  outcome->faults++;
  take_message (NULL, 0, fault->text, NULL);
}

static void
read_values (Fixture *f, Outcome *outcome)
{
  for (guint n = 0; n < N_KEYS + 2; n++)
    {
      g_autofree char *name = g_strdup_printf ("key %u", n);
      g_autoptr (GBytes) key = bytes_of (name), value = NULL;
      GBytes *wanted = g_hash_table_lookup (f->values, name);

      if (!rook_store_get_wait (f->store, 1, key, &value, NULL))
        outcome->errors++;
      else if (value == NULL || wanted == NULL ? value != wanted : !g_bytes_equal (value, wanted))
        outcome->wrong++;
    }
}

static void
read_blobs (Fixture *f, Outcome *outcome)
{
  for (guint n = 0; n < N_BLOBS; n++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GBytes) body =
          f->blobs[n] != 0 ? rook_store_read_wait (f->store, f->blobs[n], 0, G_MAXSIZE, &error) : NULL;

      if (error != NULL && error->code == ROOK_STORE_ERROR_CORRUPT)
        outcome->errors++;
      else if (f->blobs[n] != 0 && (body == NULL || !g_bytes_equal (body, f->bodies[n])))
        outcome->wrong++;
    }
}

typedef struct {
  Fixture *f;
  Outcome *outcome;
  guint n;
} Listing;

static gboolean
look_at_value (RookTable table G_GNUC_UNUSED, GBytes *key, GBytes *value, gpointer data)
{
  Listing *listing = data;
  g_autofree char *name = g_strndup (g_bytes_get_data (key, NULL), g_bytes_get_size (key));
  GBytes *wanted = g_hash_table_lookup (listing->f->values, name);

  listing->n++;
  if (wanted == NULL || !g_bytes_equal (value, wanted))
    listing->outcome->wrong++;
  return TRUE;
}

static void
list_values (Fixture *f, Outcome *outcome)
{
  Listing listing = { f, outcome, 0 };

  if (!rook_store_foreach (f->store, 1, look_at_value, &listing, NULL))
    outcome->errors++;
  else if (listing.n != g_hash_table_size (f->values))
    outcome->wrong++;
}

/* Uses all of it, then verifies it. */
Outcome
use_store (Fixture *f)
{
  Outcome outcome = { 0 };
  g_autoptr (GError) error = NULL;

  read_values (f, &outcome);
  read_blobs (f, &outcome);
  list_values (f, &outcome);
  rook_store_verify (f->store, count_fault, &outcome, NULL, NULL, &error);
  g_assert_no_error (error);
  return outcome;
}

void
expect_all (Fixture *f)
{
  Outcome outcome = use_store (f);

  g_assert_cmpuint (outcome.wrong, ==, 0);
  g_assert_cmpuint (outcome.errors, ==, 0);
}

/* It goes on as if nothing had been: whole, through checkpoints and another opening. */
void
expect_whole (Fixture *f)
{
  Outcome outcome;

  expect_all (f);
  set_value (f, 3, 77, 500);
  checkpoint (f);
  checkpoint (f);
  outcome = use_store (f);
  if (outcome.faults > 0)
    g_test_message ("%s", told->str);
  g_assert_cmpuint (outcome.faults, ==, 0);
  close_store (f);
  open_store (f);
  outcome = use_store (f);
  g_assert_cmpuint (outcome.wrong + outcome.errors + outcome.faults, ==, 0);
}

/* What CURRENT says. (transfer full) */
GsCurrent *
read_current (Fixture *f)
{
  GsCurrent *current = g_new0 (GsCurrent, 1);
  GsStore store = { .path = f->path, .dir = open (f->path, O_RDONLY | O_DIRECTORY) };

  g_assert_true (gs_current_read (&store, current, NULL));
  close (store.dir);
  return current;
}

void
listen_to_stores (void)
{
  rook_mutex_init (&told_lock);
  g_log_set_handler (NULL, G_LOG_LEVEL_DEBUG, take_message, NULL);
  g_log_set_handler ("rookery", G_LOG_LEVEL_DEBUG, take_message, NULL);
}
