/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * storage-gdbm and what is lost: files that are taken away, while it is closed and while it is open, directories that are rolled
 * back, and tables that are made again.
 */
#include "gdbm-damage.h"
#include "storage-gdbm/gs-bytes.h"
#include "storage-gdbm/gs-checksum.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

/* --- an IDENTITY that is damaged -------------------------------------------------------------------------------------------------- */

static void
spoil_identity (Fixture *f)
{
  File *identity = find_file (f, "IDENTITY", FALSE);

  identity->bytes->data[g_test_rand_int_range (0, (gint32) identity->bytes->len)] ^= 8;
  write_file (f, identity);
}

/* Nothing was made of it, and what to do is said. */
static void
expect_refused (Fixture *f, const RookStoreSpec *spec, RookStoreError code, const char *why)
{
  g_autoptr (GPtrArray) before = take_image (f), after = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_null (rook_store_open_backend (NULL, &gs_backend, &f->settings, spec, &error));
  g_assert_error (error, ROOK_STORE_ERROR, (int) code);
  g_assert_nonnull (strstr (error->message, why));
  after = take_image (f);
  g_assert_cmpuint (before->len, ==, after->len);
  for (guint i = 0; i < before->len; i++)
    {
      const File *file = g_ptr_array_index (before, i);
      g_autofree char *path = g_build_filename (f->path, file->name, NULL), *bytes = NULL;
      gsize size;

      g_assert_true (g_file_get_contents (path, &bytes, &size, NULL));
      if (strcmp (file->name, "lock") != 0)
        g_assert_cmpmem (bytes, size, file->bytes->data, file->bytes->len);
    }
}

static void
test_identity_damaged (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *id = NULL;

  open_store (f);
  id = g_strdup (rook_store_get_id (f->store));
  close_store (f);
  lay_out (f, f->image);
  spoil_identity (f);
  open_store (f);
  g_assert_true (was_told ("IDENTITY was damaged, and is written anew"));
  g_assert_cmpstr (rook_store_get_id (f->store), ==, id);
  expect_whole (f);
  close_store (f);
  open_store (f);
  g_assert_false (was_told ("IDENTITY"));
}

/* One head of another store's is enough. */
static void
test_identity_damaged_and_disputed (Fixture *f, gconstpointer data)
{
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = f->path };
  File *foreign = find_file (f, GPOINTER_TO_UINT (data) ? "mail." : "log.", FALSE);
  guint8 *head = foreign->bytes->data;

  head[20] ^= 1; /* of the store id */
  gs_put32 (head + 252, gs_crc32c (0, head, 252));
  write_file (f, foreign);
  spoil_identity (f);
  expect_refused (f, &spec, ROOK_STORE_ERROR_CORRUPT, "take away what is foreign");
}

static void
test_identity_damaged_and_nobody_else_knows (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  static const char *const prefixes[] = { "log.", "mail.", "cache.", "table." };
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = f->path };

  for (guint i = 0; i < f->image->len; i++)
    for (guint p = 0; p < G_N_ELEMENTS (prefixes); p++)
      if (g_str_has_prefix (((File *) g_ptr_array_index (f->image, i))->name, prefixes[p]))
        remove_file (f, g_ptr_array_index (f->image, i));
  spoil_identity (f);
  expect_refused (f, &spec, ROOK_STORE_ERROR_CORRUPT, "put IDENTITY back from a backup");
}

/* What the others say is no way round who the store must be, and how far. */
static void
test_identity_damaged_of_another (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  RookStoreSpec foreign = { .struct_size = sizeof foreign, .path = f->path, .store_id = "another" };
  RookStoreSpec older = { .struct_size = sizeof older, .path = f->path, .min_position = 1000000 };

  spoil_identity (f);
  expect_refused (f, &foreign, ROOK_STORE_ERROR_IDENTITY, "not another");
  expect_refused (f, &older, ROOK_STORE_ERROR_IDENTITY, "older than");
}

/* --- logs and segments ------------------------------------------------------------------------------------------------------------ */

static void
test_last_log_lost (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  Outcome outcome;

  remove_file (f, find_file (f, "log.", TRUE));
  open_store (f);
  g_assert_true (was_told ("the last, is missing"));
  g_assert_cmpuint (f->n_lost, ==, 1);
  outcome = use_store (f);
  g_assert_cmpuint (outcome.errors, ==, 0);
  g_assert_cmpuint (outcome.wrong, >, 0); /* it is gone, and was said to be */
  set_value (f, 1, 2, 3);
  close_store (f);
  open_store (f);
  g_assert_false (was_told ("missing"));
  g_assert_cmpuint (f->n_lost, ==, 0);
}

/* It is older than is known of it, and that is said. */
static void
test_last_log_lost_and_known (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;

  remove_file (f, find_file (f, "log.", TRUE));
  try_open (f, 1000, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (f->n_lost, ==, 1);
  g_assert_cmpuint (rook_store_get_position (f->store), >=, 1000);
  set_value (f, 1, 2, 3);
  close_store (f);
  try_open (f, 1001, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (f->n_lost, ==, 0);
}

static guint
count_log_files (Fixture *f)
{
  g_autoptr (GDir) dir = g_dir_open (f->path, 0, NULL);
  const char *name;
  guint n = 0;

  while ((name = g_dir_read_name (dir)) != NULL)
    n += g_str_has_prefix (name, "log.0");
  return n;
}

/* A server that is killed again and again: each start begins a log file. */
static void
test_many_starts_leave_few_logs (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  const guint limit = 4;

  for (guint i = 0; i < 3 * limit; i++)
    {
      open_store (f);
      set_value (f, 1, i, 100);
      g_ptr_array_unref (f->image);
      f->image = take_image (f);
      close_store (f);
      lay_out (f, f->image);
    }
  g_assert_cmpuint (count_log_files (f), >=, 3 * limit);
  f->settings.log_limit = limit * f->settings.log_size;
  open_store (f);
  while (count_log_files (f) > limit)
    g_usleep (1000);
  expect_all (f);
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

/* --- both copies ------------------------------------------------------------------------------------------------------------------- */

/* Takes both away; @with_log: the log still goes back to the beginning. */
static void
lose_copies (Fixture *f, gboolean with_log)
{
  if (!with_log)
    {
      for (guint i = 0; i < 3; i++)
        {
          open_store (f);
          set_value (f, 1, 40 + i, 60);
          checkpoint (f);
          close_store (f);
        }
      open_store (f);
      patch_value (f, 1); /* this alone is in the log, */
      patch_value (f, 22);
      set_value (f, 2, 50, 70); /* and this */
      g_ptr_array_unref (f->image);
      f->image = take_image (f);
      close_store (f);
      lay_out (f, f->image);
    }
  remove_file (f, find_file (f, "table.", FALSE));
  remove_file (f, find_file (f, "table.", TRUE));
}

static void
test_a_whole_log_is_enough (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  GPtrArray *image;

  /* A store whose log was never trimmed. */
  close_store (f);
  remove_directory (f);
  {
    RookStoreSpec spec = { .struct_size = sizeof spec, .path = f->path, .create = TRUE };

    g_hash_table_remove_all (f->values);
    f->store = rook_store_open_backend (NULL, &gs_backend, &f->settings, &spec, NULL);
    for (guint n = 0; n < N_KEYS; n++)
      set_value (f, n, n, 5 * n);
    delete_value (f, 7);
    memset (f->blobs, 0, sizeof f->blobs);
    image = take_image (f);
    close_store (f);
    lay_out (f, image);
    g_ptr_array_unref (f->image);
    f->image = image;
  }
  lose_copies (f, TRUE);
  open_store (f);
  g_assert_true (was_told ("goes back to the beginning"));
  expect_whole (f);
}

static void
test_without_anybody_who_knows (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;

  lose_copies (f, FALSE);
  g_assert_false (try_open (f, 0, &error));
  g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT);
}

typedef struct {
  Fixture *f;
  guint n_blobs, n_calls, n_progress;
  gboolean refuse;
  const RookStoreRebuilder *rebuilder;
} Rebuilding;

static gboolean
keep_blob (const RookBlobInfo *info, gpointer data)
{
  Rebuilding *rebuilding = data;

  g_assert_nonnull (info->label);
  rebuilding->n_blobs++;
  for (guint n = 0; n < N_BLOBS - 1; n++) /* the last one nobody names */
    if (rebuilding->f->blobs[n] == info->id)
      {
        g_autofree char *label = g_strdup_printf ("label of %u", n);

        g_assert_cmpmem (label, strlen (label), g_bytes_get_data (info->label, NULL), g_bytes_get_size (info->label));
        g_assert_cmpuint (info->length, ==, g_bytes_get_size (rebuilding->f->bodies[n]));
        rebuilding->rebuilder->keep (rebuilding->rebuilder->self, info->id);
      }
  return TRUE;
}

/* Key 1 is known to the log in part, 2 in full, 22 in part and not to us. */
static gboolean
rebuild (const RookStoreRebuilder *rebuilder, gpointer data, GError **error)
{
  Rebuilding *rebuilding = data;
  g_autoptr (GBytes) one = bytes_of ("key 1"), two = bytes_of ("key 2"), ours = bytes_of ("ours");
  g_autoptr (GBytes) base = filling (42, 60), value = NULL, in_full = NULL, nothing = NULL;

  g_assert_cmpuint (rebuilder->struct_size, ==, sizeof *rebuilder);
  rebuilding->n_calls++;
  rebuilding->rebuilder = rebuilder;
  rebuilder->foreach_blob (rebuilder->self, keep_blob, rebuilding);
  value = rebuilder->recall (rebuilder->self, 1, one, base);
  g_assert_cmpmem ((const char *) g_bytes_get_data (value, NULL) + 8, 4, "HERE", 4);
  rebuilder->put (rebuilder->self, 1, one, value);
  in_full = rebuilder->recall (rebuilder->self, 1, two, NULL);
  g_assert_cmpuint (g_bytes_get_size (in_full), ==, 70);
  nothing = rebuilder->recall (rebuilder->self, 1, ours, NULL);
  g_assert_null (nothing);
  rebuilder->put (rebuilder->self, 1, ours, ours);
  if (!rebuilding->refuse)
    return TRUE;
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CANCELLED, "not today");
  return FALSE;
}

static gboolean
count_progress (double percent, const char *text, gpointer data)
{
  g_assert_true (percent >= 0 && percent <= 100);
  g_assert_nonnull (text);
  ((Rebuilding *) data)->n_progress++;
  return TRUE;
}

static gboolean
open_rebuilding (Fixture *f, Rebuilding *rebuilding, GError **error)
{
  RookStoreSpec spec = { .struct_size = sizeof spec,
                         .path = f->path,
                         .min_position = 1000,
                         .progress = count_progress,
                         .progress_data = rebuilding,
                         .rebuild = rebuild,
                         .rebuild_data = rebuilding };

  forget_told ();
  f->store = rook_store_open_backend (NULL, &gs_backend, &f->settings, &spec, error);
  return f->store != NULL;
}

static void
test_tables_are_made_again (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  Rebuilding rebuilding = { .f = f, .refuse = TRUE };
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) lost = NULL;
  Outcome outcome = { 0 };

  lose_copies (f, FALSE);
  g_assert_false (open_rebuilding (f, &rebuilding, &error)); /* which has changed nothing */
  g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CANCELLED);
  rebuilding = (Rebuilding){ .f = f };
  g_assert_true (open_rebuilding (f, &rebuilding, NULL));
  g_assert_cmpuint (rebuilding.n_calls, ==, 1);
  g_assert_cmpuint (rebuilding.n_blobs, >=, N_BLOBS - 2);
  g_assert_cmpuint (rebuilding.n_progress, >, 3);
  g_assert_cmpuint (rook_store_get_position (f->store), >=, 1000);
  g_assert_true (was_told ("made again"));
  for (guint turn = 0; turn < 3; turn++)
    {
      expect (f->store, "ours", "ours");
      for (guint n = 0; n < N_BLOBS; n++)
        {
          g_autoptr (GBytes) body =
              f->blobs[n] != 0 ? rook_store_read_wait (f->store, f->blobs[n], 0, G_MAXSIZE, NULL) : NULL;

          g_assert_true ((body != NULL) == (f->blobs[n] != 0 && n < N_BLOBS - 1));
          g_assert_true (body == NULL || g_bytes_equal (body, f->bodies[n]));
        }
      outcome = (Outcome){ 0 };
      rook_store_verify (f->store, count_fault, &outcome, NULL, NULL, NULL);
      g_assert_cmpuint (outcome.faults, ==, 0);
      if (turn == 0)
        checkpoint (f);
      close_store (f);
      g_assert_true (open_rebuilding (f, &rebuilding, NULL)); /* is not asked again */
      g_assert_cmpuint (rebuilding.n_calls, ==, 1);
    }
  {
    g_autoptr (GBytes) key = bytes_of ("key 22"), other = bytes_of ("key 2"), found = NULL;

    g_assert_true (rook_store_get_wait (f->store, 1, key, &lost, NULL));
    g_assert_null (lost);
    g_assert_true (rook_store_get_wait (f->store, 1, other, &found, NULL));
    g_assert_true (g_bytes_equal (found, g_hash_table_lookup (f->values, "key 2")));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  listen_to_stores ();
#define TEST(path, data, func) DAMAGE_TEST ("/storage-gdbm-lost/" path, data, func)
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
  TEST ("identity/damaged-is-written-anew", 0, test_identity_damaged);
  TEST ("identity/damaged-beside-a-foreign-log", 0, test_identity_damaged_and_disputed);
  TEST ("identity/damaged-beside-a-foreign-segment", 1, test_identity_damaged_and_disputed);
  TEST ("identity/damaged-and-nobody-else-knows", 0, test_identity_damaged_and_nobody_else_knows);
  TEST ("identity/damaged-of-another-or-older-store", 0, test_identity_damaged_of_another);
  TEST ("file/last-log-missing", 0, test_last_log_lost);
  TEST ("file/last-log-missing-and-known", 0, test_last_log_lost_and_known);
  TEST ("open/many-starts-leave-few-logs", 0, test_many_starts_leave_few_logs);
  TEST ("file/middle-log-missing", 0, test_middle_log_lost);
  TEST ("file/first-segment-missing", 0, test_segment_lost);
  TEST ("file/last-segment-missing", 1, test_segment_lost);
  TEST ("open/rolled-back-is-refused", 0, test_rolled_back);
  TEST ("both/a-whole-log-is-enough", 0, test_a_whole_log_is_enough);
  TEST ("both/without-anybody-who-knows", 0, test_without_anybody_who_knows);
  TEST ("both/tables-are-made-again", 0, test_tables_are_made_again);
  return g_test_run ();
}
