/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * storage-gdbm and damage: each bit of each file of a small store is turned over, files are taken away, whole directories
 * rolled back. What is read after that is right, or an error that is told; what both copies or the log still know is not lost.
 */
#include "../lib/test-budget.h"
#include "store-fixture.h"
#include "storage-gdbm/gs-bytes.h"
#include "storage-gdbm/gs-checksum.h"
#include "storage-gdbm/gs-store.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define N_KEYS 60
#define N_BLOBS 24

typedef struct {
  char *name;
  GByteArray *bytes;
} File;

typedef struct {
  GsSettings settings;
  char *path;
  RookStore *store;
  GPtrArray *image;          /* (element-type File) the directory as a process that was killed left it */
  GHashTable *values;        /* key (table 1) -> GBytes */
  RookBlobId blobs[N_BLOBS]; /* 0: released */
  GBytes *bodies[N_BLOBS];   /* (owned) */
  GString *told;             /* what the store has logged since it was opened */
} Fixture;

static int
remove_one (const char *path, const struct stat *st G_GNUC_UNUSED, int type G_GNUC_UNUSED,
            struct FTW *ftw G_GNUC_UNUSED)
{
  return remove (path);
}

/* --- what the store says ------------------------------------------------------------------------------------------------- */

static GMutex told_lock;
static GString *told; /* (unowned) of the running test: the store logs on threads of its own */

static void
take_message (const char *domain G_GNUC_UNUSED, GLogLevelFlags level G_GNUC_UNUSED, const char *message,
              gpointer data G_GNUC_UNUSED)
{
  g_mutex_lock (&told_lock);
  if (told != NULL && !g_str_has_prefix (message, "store.recovered"))
    g_string_append_printf (told, "%s\n", message);
  g_mutex_unlock (&told_lock);
}

static gboolean
was_told (const char *what)
{
  gboolean found;

  g_mutex_lock (&told_lock);
  found = strstr (told->str, what) != NULL;
  g_mutex_unlock (&told_lock);
  return found;
}

static void
forget_told (void)
{
  g_mutex_lock (&told_lock);
  g_string_truncate (told, 0);
  g_mutex_unlock (&told_lock);
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

static GPtrArray *
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

static void
write_file (Fixture *f, const File *file)
{
  g_autofree char *path = g_build_filename (f->path, file->name, NULL);
  int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

  g_assert_cmpint (write (fd, file->bytes->data, file->bytes->len), ==, file->bytes->len);
  close (fd);
}

/* Makes the directory what @image says. */
static void
lay_out (Fixture *f, GPtrArray *image)
{
  nftw (f->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  g_assert_no_errno (g_mkdir_with_parents (f->path, 0700));
  for (guint i = 0; i < image->len; i++)
    write_file (f, g_ptr_array_index (image, i));
}

static File *
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

static void
remove_file (Fixture *f, const File *file)
{
  g_autofree char *path = g_build_filename (f->path, file->name, NULL);

  g_assert_no_errno (remove (path));
}

/* --- a small store ----------------------------------------------------------------------------------------------------------- */

static gboolean
try_open (Fixture *f, guint64 min_position, GError **error)
{
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = f->path, .min_position = min_position };

  forget_told ();
  f->store = rook_store_open_backend (NULL, &gs_backend, &f->settings, &spec, error);
  return f->store != NULL;
}

static void
open_store (Fixture *f)
{
  g_autoptr (GError) error = NULL;

  try_open (f, 0, &error);
  g_assert_no_error (error);
}

static void
close_store (Fixture *f)
{
  g_clear_pointer (&f->store, rook_store_close);
}

static GBytes *
filling (guint seed, gsize length)
{
  guint8 *data = g_malloc (length + 1);

  for (gsize i = 0; i < length; i++)
    data[i] = (guint8) (seed * 131 + i * 7 + (i >> 8));
  return g_bytes_new_take (data, length);
}

static void
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
static void
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

static void
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

static void
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

static void
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

static void
tear_down (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  close_store (f);
  nftw (f->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  g_mutex_lock (&told_lock);
  told = NULL;
  g_mutex_unlock (&told_lock);
  g_string_free (f->told, TRUE);
  g_ptr_array_unref (f->image);
  g_hash_table_unref (f->values);
  for (guint n = 0; n < N_BLOBS; n++)
    g_bytes_unref (f->bodies[n]);
  g_free (f->path);
}

/* --- is it all there? ---------------------------------------------------------------------------------------------------------- */

typedef struct {
  guint wrong;  /* what nobody may ever be given */
  guint errors; /* what can't be read, and is told so */
  guint faults; /* of verify */
} Outcome;

static void
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
static Outcome
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

static void
expect_all (Fixture *f)
{
  Outcome outcome = use_store (f);

  g_assert_cmpuint (outcome.wrong, ==, 0);
  g_assert_cmpuint (outcome.errors, ==, 0);
}

/* It goes on as if nothing had been: whole, through checkpoints and another opening. */
static void
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

/* --- bits ------------------------------------------------------------------------------------------------------------------------ */

/* What a flip may do. */
typedef enum {
  NO_LOSS,   /* all is there all the same */
  SOME_LOSS, /* what can't be read is told; the rest is right */
  NO_OPENING /* refused as damaged */
} Harm;

static Harm
harm_of (const File *file)
{
  if (strcmp (file->name, "IDENTITY") == 0)
    return NO_OPENING;
  if (g_str_has_prefix (file->name, "mail.") || g_str_has_prefix (file->name, "log."))
    return SOME_LOSS;
  return NO_LOSS;
}

static void
fail_flip (const File *file, guint64 bit, const char *what)
{
  g_error ("%s, bit %" G_GUINT64_FORMAT " of byte %" G_GUINT64_FORMAT ": %s\n%s", file->name, bit % 8, bit / 8, what,
           told->str);
}

static void
check_outcome (const File *file, guint64 bit, Harm harm, const Outcome *outcome)
{
  gboolean noticed = outcome->faults > 0 || told->len > 0, is_log = g_str_has_prefix (file->name, "log.");

  /* A frame that the log has lost was lost as it was told. */
  if (outcome->wrong > 0 && !(is_log && noticed))
    fail_flip (file, bit, "what was read is wrong");
  if (outcome->errors > 0 && harm == NO_LOSS)
    fail_flip (file, bit, "something was lost");
  if (outcome->errors > 0 && !noticed)
    fail_flip (file, bit, "what was lost was not told");
}

static gboolean
flip (Fixture *f, const File *file, guint64 bit, gboolean while_open)
{
  Harm harm = harm_of (file);
  g_autoptr (GError) error = NULL;
  Outcome outcome;
  gboolean noticed;

  lay_out (f, f->image);
  if (while_open)
    open_store (f);
  file->bytes->data[bit / 8] ^= (guint8) (1 << bit % 8);
  write_file (f, file);
  file->bytes->data[bit / 8] ^= (guint8) (1 << bit % 8);
  if (!while_open && !try_open (f, 0, &error))
    {
      if (harm != NO_OPENING)
        fail_flip (file, bit, error->message);
      return TRUE;
    }
  outcome = use_store (f);
  check_outcome (file, bit, harm, &outcome);
  noticed = outcome.faults > 0 || told->len > 0;
  close_store (f);
  return noticed;
}

/* What CURRENT says. (transfer full) */
static GsCurrent *
read_current (Fixture *f)
{
  GsCurrent *current = g_new0 (GsCurrent, 1);
  GsStore store = { .path = f->path, .dir = open (f->path, O_RDONLY | O_DIRECTORY) };

  g_assert_true (gs_current_read (&store, current, NULL));
  close (store.dir);
  return current;
}

/* The first frame of the last log file that no copy holds; others follow it. */
static guint64
find_needed_frame (Fixture *f, const File *log)
{
  g_autofree GsCurrent *current = read_current (f);
  guint64 held = MAX (current->copies[0].sequence, current->copies[1].sequence), at = GS_HEAD_SIZE;
  GsLogFrame frame;
  GsLogHead head;

  g_assert_true (gs_log_head_decode (log->bytes->data, log->bytes->len, &head, NULL));
  for (;; at += GS_PADDED (GS_LOG_FRAME_SIZE + frame.length))
    {
      g_assert_true (gs_log_frame_decode (log->bytes->data + at, log->bytes->len - at, head.epoch, &frame));
      if (frame.sequence > held)
        return at;
    }
}

/* Each bit of what is small and says what the rest is: the readers of it notice. */
static void
test_readers_notice_each_bit (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  const File *log = find_file (f, "log.", TRUE), *segment = find_file (f, "mail.", FALSE);
  guint64 frame = find_needed_frame (f, log), length = gs_get64 (log->bytes->data + frame + 32);
  guint32 head_length = gs_blob_frame_head_length (segment->bytes->data + GS_HEAD_SIZE);
  guint8 *p = log->bytes->data, *s = segment->bytes->data;
  GsSegmentHead segment_head;
  GsLogFrame log_frame;
  GsLogHead head;

  g_assert_true (gs_log_head_decode (p, log->bytes->len, &head, NULL));
#define EACH_BIT(bytes, from, to, read)               \
  for (guint64 bit = (from) *8; bit < (to) *8; bit++) \
    {                                                 \
      (bytes)[bit / 8] ^= (guint8) (1 << bit % 8);    \
      g_assert_false (read);                          \
      (bytes)[bit / 8] ^= (guint8) (1 << bit % 8);    \
    }                                                 \
  g_assert_true (read)
  {
    guint64 epoch = head.epoch;

    EACH_BIT (p, 0, 256, gs_log_head_decode (p, log->bytes->len, &head, NULL));
    EACH_BIT (p + frame, 0, GS_LOG_FRAME_SIZE + length,
              gs_log_frame_decode (p + frame, log->bytes->len - frame, epoch, &log_frame));
  }
  EACH_BIT (s, 0, 256, gs_segment_head_decode (s, segment->bytes->len, &segment_head, NULL));
  for (guint64 bit = 0; bit < head_length * 8; bit++)
    {
      g_auto (GsBlobFrame) blob_frame = { 0 };
      guint8 *at = s + GS_HEAD_SIZE;

      at[bit / 8] ^= (guint8) (1 << bit % 8);
      g_assert_false (gs_blob_frame_head_length (at) == head_length
                      && gs_blob_frame_decode (at, head_length, &blob_frame));
      at[bit / 8] ^= (guint8) (1 << bit % 8);
    }
}

/* A record of a copy, and the file CURRENT. */
static void
test_records_notice_each_bit (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  File *file = find_file (f, "CURRENT", FALSE);
  g_autofree GsCurrent *current = g_new0 (GsCurrent, 1);
  GsStore store = { .path = f->path, .dir = open (f->path, O_RDONLY | O_DIRECTORY) };
  guint8 record[64], key[] = { 0, 1, 'k' };
  gsize length;

  for (guint64 bit = 0; bit < file->bytes->len * 8; bit++)
    {
      g_autoptr (GError) error = NULL;

      file->bytes->data[bit / 8] ^= (guint8) (1 << bit % 8);
      write_file (f, file);
      file->bytes->data[bit / 8] ^= (guint8) (1 << bit % 8);
      g_assert_false (gs_current_read (&store, current, &error));
      g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT);
    }
  close (store.dir);
  g_assert_cmpuint (gs_record_size (50), ==, sizeof record);
  gs_record_encode (key, 3, "01234567890123456789012345678901234567890123456789", 50, record);
  EACH_BIT (record, 0, 9, gs_record_decode (key, 3, record, sizeof record, &length));
  EACH_BIT (record, GS_RECORD_HEAD, GS_RECORD_HEAD + 50, gs_record_decode (key, 3, record, sizeof record, &length));
  EACH_BIT (key, 0, 3, gs_record_decode (key, 3, record, sizeof record, &length));
}

/* The same in a store that is opened and used: whatever is hit, it is noticed. */
static void
test_small_things (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  const File *log = find_file (f, "log.", TRUE), *segment = find_file (f, "mail.", FALSE);
  const File *identity = find_file (f, "IDENTITY", FALSE), *current = find_file (f, "CURRENT", FALSE);
  guint64 frame = find_needed_frame (f, log);
  gint64 end = test_budget_end (0.3);
  guint n = 0;
  const struct {
    const File *file;
    guint64 from, length;
  } places[] = {
    { identity, 0, identity->bytes->len },
    { current, 0, current->bytes->len },
    { log, 0, 256 },
    { log, frame, GS_LOG_FRAME_SIZE + 8 }, /* with some of what it is the head of */
    { segment, 0, 256 },
    { segment, GS_HEAD_SIZE, GS_BLOB_FRAME_SIZE + 24 }, /* key and label too */
  };

  for (; n < G_N_ELEMENTS (places) || g_get_monotonic_time () < end; n++)
    {
      guint place = n % G_N_ELEMENTS (places);
      guint64 bit = places[place].from * 8 + (guint64) g_test_rand_int_range (0, (gint32) places[place].length * 8);

      if (!flip (f, places[place].file, bit, FALSE))
        fail_flip (places[place].file, bit, "nobody noticed");
    }
  g_test_message ("%u flips", n);
}

/* Any bit of any file, for as long as there is time: @data: while the store is open. */
static void
test_any_bit (Fixture *f, gconstpointer data)
{
  gboolean while_open = GPOINTER_TO_UINT (data);
  gint64 end = test_budget_end (0.35);
  guint n = 0, noticed = 0;

  do
    {
      const File *file = g_ptr_array_index (f->image, g_test_rand_int_range (0, (gint32) f->image->len));
      guint64 bit =
          (guint64) g_test_rand_int_range (0, (gint32) file->bytes->len) * 8 + (guint64) g_test_rand_int_range (0, 8);

      noticed += flip (f, file, bit, while_open);
      n++;
    }
  while (g_get_monotonic_time () < end);
  g_test_message ("%u flips, %u of them noticed; the others were in bytes that mean nothing", n, noticed);
}

/* --- whole files ------------------------------------------------------------------------------------------------------------------ */

/* @data: which copy; + 2: cut short; + 4: the other's bytes in its place */
static void
test_a_copy_lost_while_closed (Fixture *f, gconstpointer data)
{
  guint which = GPOINTER_TO_UINT (data);
  const File *copy = find_file (f, "table.", which % 2), *other = find_file (f, "table.", 1 - which % 2);
  File swapped = { copy->name, other->bytes };

  remove_file (f, copy);
  if (which & 2)
    {
      g_autofree char *path = g_build_filename (f->path, copy->name, NULL);

      write_file (f, copy);
      g_assert_no_errno (truncate (path, 5000));
    }
  if (which & 4)
    write_file (f, &swapped);
  open_store (f);
  g_assert_true (was_told ("can't be used"));
  expect_whole (f);
}

static void
test_a_copy_lost_while_open (Fixture *f, gconstpointer data)
{
  guint which = GPOINTER_TO_UINT (data);
  const File *copy = find_file (f, "table.", which % 2);

  open_store (f);
  set_value (f, 50, 9, 900); /* what the copies do not have yet */
  patch_value (f, 51);
  remove_file (f, copy);
  if (which & 2)
    {
      g_autoptr (GByteArray) zeros = g_byte_array_new ();
      File blank = { copy->name, zeros };

      gs_grow (zeros, copy->bytes->len);
      write_file (f, &blank);
    }
  expect_all (f);
  checkpoint (f);
  g_assert_true (was_told ("is made anew"));
  expect_whole (f);
}

/* All of what one copy has is damaged while the store is in use, and the other lacks what has changed since: what is asked for
 * is answered all the same. */
static void
test_damage_is_mended_for_whoever_asks (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree GsCurrent *current = read_current (f);
  g_autofree char *path = NULL;
  g_autofree char *content = NULL;
  gsize size, at = 0;
  guint spoilt = 0;

  open_store (f);
  path = g_strdup_printf ("%s/table.%u", f->path, current->current);
  g_assert_true (g_file_get_contents (path, &content, &size, NULL));
  for (; at + 64 < size; at++) /* patched values, before "HERE" was written into them */
    if (memcmp (content + at, "HERE", 4) == 0)
      {
        content[at] ^= 1;
        spoilt++;
      }
  g_assert_cmpuint (spoilt, >, 5);
  {
    int fd = open (path, O_WRONLY);

    g_assert_cmpint (pwrite (fd, content, size, 0), ==, (gssize) size);
    close (fd);
  }
  expect_all (f);
  g_assert_true (was_told ("nothing is lost"));
  expect_whole (f);
}

static void
test_current_lost (Fixture *f, gconstpointer data)
{
  const File *current = find_file (f, "CURRENT", FALSE);

  if (GPOINTER_TO_UINT (data))
    open_store (f);
  remove_file (f, current);
  if (GPOINTER_TO_UINT (data))
    {
      Outcome outcome = use_store (f);

      g_assert_cmpuint (outcome.faults, ==, 1);
      g_assert_true (was_told ("there is no CURRENT"));
    }
  else
    {
      open_store (f);
      g_assert_true (was_told ("the copies are asked"));
    }
  expect_whole (f);
}

static void
test_identity_lost (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;

  open_store (f);
  remove_file (f, find_file (f, "IDENTITY", FALSE));
  g_assert_cmpuint (use_store (f).faults, ==, 1);
  close_store (f);
  g_assert_false (try_open (f, 0, &error));
  g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY);
  g_assert_nonnull (strstr (error->message, "IDENTITY is missing"));
}

static void
test_last_log_lost (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  Outcome outcome;

  remove_file (f, find_file (f, "log.", TRUE));
  open_store (f);
  g_assert_true (was_told ("the last, is missing"));
  outcome = use_store (f);
  g_assert_cmpuint (outcome.errors, ==, 0);
  g_assert_cmpuint (outcome.wrong, >, 0); /* it is gone, and was said to be */
  set_value (f, 1, 2, 3);
  close_store (f);
  open_store (f);
  g_assert_false (was_told ("missing"));
}

/* Files that both copies do without are not missed; of others it is told which frames were in them. */
static void
test_middle_log_lost (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  GPtrArray *image;
  const File *middle;

  for (guint i = 0; i < 3; i++) /* files of a frame each */
    {
      open_store (f);
      set_value (f, 40 + i, 7 + i, 10);
      image = take_image (f);
      close_store (f);
      lay_out (f, image);
      g_ptr_array_unref (f->image);
      f->image = image;
    }
  middle = find_file (f, "log.", TRUE);
  for (guint i = 0; i < f->image->len; i++)
    {
      const File *file = g_ptr_array_index (f->image, i);

      if (g_str_has_prefix (file->name, "log.") && strcmp (file->name, find_file (f, "log.", TRUE)->name) < 0
          && (middle == find_file (f, "log.", TRUE) || strcmp (file->name, middle->name) > 0))
        middle = file;
    }
  remove_file (f, middle);
  open_store (f);
  g_assert_true (was_told ("are missing"));
  g_assert_cmpuint (use_store (f).errors, ==, 0);
}

static void
test_segment_lost (Fixture *f, gconstpointer data)
{
  const File *segment = find_file (f, "mail.", GPOINTER_TO_UINT (data) & 1);
  Outcome outcome;

  remove_file (f, segment);
  open_store (f);
  g_assert_true (was_told (segment->name));
  outcome = use_store (f);
  g_assert_cmpuint (outcome.wrong, ==, 0);
  g_assert_cmpuint (outcome.faults, >, 0); /* of the last, which has labels alone, these are all */
  g_assert_true (outcome.errors > 0 || GPOINTER_TO_UINT (data));
  g_assert_true (was_told ("its segment is missing"));
}

static void
test_rolled_back (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) before = NULL, after = NULL;
  guint64 position;

  open_store (f);
  set_value (f, 1, 2, 3);
  position = rook_store_get_position (f->store);
  close_store (f);
  lay_out (f, f->image);
  before = take_image (f);
  g_assert_false (try_open (f, position, &error));
  g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY);
  after = take_image (f);
  g_assert_cmpuint (before->len, ==, after->len); /* nothing was made of it */
  g_assert_true (try_open (f, position - 1, NULL));
  g_assert_cmpuint (use_store (f).faults, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_handler (NULL, G_LOG_LEVEL_DEBUG, take_message, NULL);
  g_log_set_handler ("rookery", G_LOG_LEVEL_DEBUG, take_message, NULL);
#define TEST(path, data, func) \
  g_test_add ("/storage-gdbm-damage/" path, Fixture, GUINT_TO_POINTER (data), set_up, func, tear_down)
  TEST ("flip/readers-notice-each-bit", 0, test_readers_notice_each_bit);
  TEST ("flip/records-notice-each-bit", 0, test_records_notice_each_bit);
  TEST ("flip/small-things", 0, test_small_things);
  TEST ("flip/any-bit-while-closed", 0, test_any_bit);
  TEST ("flip/any-bit-while-open", 1, test_any_bit);
  TEST ("copy/first-missing", 0, test_a_copy_lost_while_closed);
  TEST ("copy/second-missing", 1, test_a_copy_lost_while_closed);
  TEST ("copy/first-cut", 2, test_a_copy_lost_while_closed);
  TEST ("copy/second-cut", 3, test_a_copy_lost_while_closed);
  TEST ("copy/first-is-the-second", 4, test_a_copy_lost_while_closed);
  TEST ("copy/second-is-the-first", 5, test_a_copy_lost_while_closed);
  TEST ("copy/first-deleted-while-open", 0, test_a_copy_lost_while_open);
  TEST ("copy/second-deleted-while-open", 1, test_a_copy_lost_while_open);
  TEST ("copy/first-overwritten-while-open", 2, test_a_copy_lost_while_open);
  TEST ("copy/second-overwritten-while-open", 3, test_a_copy_lost_while_open);
  TEST ("copy/mended-for-whoever-asks", 0, test_damage_is_mended_for_whoever_asks);
  TEST ("file/current-missing", 0, test_current_lost);
  TEST ("file/current-deleted-while-open", 1, test_current_lost);
  TEST ("file/identity-missing", 0, test_identity_lost);
  TEST ("file/last-log-missing", 0, test_last_log_lost);
  TEST ("file/middle-log-missing", 0, test_middle_log_lost);
  TEST ("file/first-segment-missing", 0, test_segment_lost);
  TEST ("file/last-segment-missing", 1, test_segment_lost);
  TEST ("open/rolled-back-is-refused", 0, test_rolled_back);
  return g_test_run ();
}
