/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * storage-gdbm where the contract does not reach: its formats, what recovery makes of torn and damaged files, what a failed
 * write or sync means. What every backend must do is in tests/conformance.
 */
#include "store-fixture.h"

#include "../lib/test-budget.h"
#include "storage-gdbm/gs-bytes.h"
#include "storage-gdbm/gs-checksum.h"
#include "storage-gdbm/gs-store.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
  GsIo io;
  GsSettings settings;
  char *path;
  RookStore *store;
} Fixture;

static void
open_store (Fixture *f)
{
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = f->path, .create = TRUE };
  g_autoptr (GError) error = NULL;

  f->store = rook_store_open_backend (NULL, &gs_backend, &f->settings, &spec, &error);
  g_assert_no_error (error);
}

/* Until the spare log file is there, whose making would count as a call that may fail. */
static void
wait_for_spare (Fixture *f)
{
  g_autofree char *path = g_build_filename (f->path, GS_LOG_SPARE, NULL);

  while (!g_file_test (path, G_FILE_TEST_EXISTS))
    g_usleep (1000);
}

static void
close_store (Fixture *f)
{
  if (f->store != NULL)
    rook_store_close (f->store);
  f->store = NULL;
}

static void
set_up (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->settings = gs_default_settings;
  f->settings.log_size = 256 * 1024;
  gs_io_init (&f->io);
  f->settings.io = &f->io;
  f->path = g_dir_make_tmp ("rook-gdbm-XXXXXX", NULL);
  open_store (f);
}

static int
remove_one (const char *path, const struct stat *st G_GNUC_UNUSED, int type G_GNUC_UNUSED,
            struct FTW *ftw G_GNUC_UNUSED)
{
  return remove (path);
}

static void
tear_down (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  gs_io_fail (&f->io, 0, 0, 0, FALSE);
  close_store (f);
  nftw (f->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  g_free (f->path);
  gs_io_clear (&f->io);
}

static void
count_fault (const RookStoreFault *fault, gpointer data)
{
  g_test_message ("fault: %s", fault->text);
  (*(guint *) data)++;
}

static guint
count_faults (Fixture *f)
{
  g_autoptr (GError) error = NULL;
  guint faults = 0;

  rook_store_verify (f->store, count_fault, &faults, NULL, NULL, &error);
  g_assert_no_error (error);
  return faults;
}

/* The state of the directory as a process that is killed now leaves it. */
static void
copy_as_killed (Fixture *f)
{
  g_autofree char *fresh = g_dir_make_tmp ("rook-gdbm-XXXXXX", NULL);
  /* Spare log files come and go by themselves, and say nothing. */
  g_autofree char *command = g_strdup_printf ("cd %s && for f in *; do case $f in log.spare|log.filling) ;; "
                                              "*) cp -a --sparse=always $f %s || exit 1;; esac; done",
                                              f->path, fresh);

  g_assert_cmpint (system (command), ==, 0);
  close_store (f);
  nftw (f->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  g_free (f->path);
  f->path = g_steal_pointer (&fresh);
}

/* The log file with the highest number. */
static char *
last_log (Fixture *f)
{
  g_autoptr (GDir) dir = g_dir_open (f->path, 0, NULL);
  g_autofree char *best = NULL;
  const char *name;

  while ((name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_prefix (name, "log.0") && (best == NULL || strcmp (name, best) > 0))
      {
        g_free (best);
        best = g_strdup (name);
      }
  return g_build_filename (f->path, best, NULL);
}

/* Where the @nth frame (from 0) of a log file begins, and how long it is. */
static guint64
find_frame (const char *path, guint nth, guint64 *out_size)
{
  g_autofree char *data = NULL;
  gsize size, at = GS_HEAD_SIZE;
  GsLogHead head;
  GsLogFrame frame;

  g_assert_true (g_file_get_contents (path, &data, &size, NULL));
  g_assert_true (gs_log_head_decode ((guint8 *) data, size, &head, NULL));
  for (guint i = 0;; i++)
    {
      g_assert_true (gs_log_frame_decode ((guint8 *) data + at, size - at, head.epoch, &frame));
      *out_size = GS_LOG_FRAME_SIZE + frame.length;
      if (i == nth)
        return at;
      at += GS_PADDED (*out_size);
    }
}

static void
flip (const char *path, guint64 offset)
{
  int fd = open (path, O_RDWR);
  guint8 byte;

  g_assert_cmpint (pread (fd, &byte, 1, (off_t) offset), ==, 1);
  byte ^= 0x10;
  g_assert_cmpint (pwrite (fd, &byte, 1, (off_t) offset), ==, 1);
  close (fd);
}

static guint64
file_size (const char *path)
{
  struct stat info;

  g_assert_cmpint (stat (path, &info), ==, 0);
  return (guint64) info.st_size;
}

/* --- formats ---------------------------------------------------------------------------------------------------------------- */

static void
test_checksums (void)
{
  guint8 zeros[32] = { 0 }, counting[15];

  /* RFC 3720 B.4, and the vector of SipHash's paper with a key of zeros */
  g_assert_cmphex (gs_crc32c (0, "123456789", 9), ==, 0xe3069283);
  g_assert_cmphex (gs_crc32c (0, zeros, 32), ==, 0x8a9136aa);
  g_assert_cmphex (gs_crc32c (gs_crc32c (0, "1234", 4), "56789", 5), ==, 0xe3069283);
  for (guint i = 0; i < 15; i++)
    counting[i] = (guint8) i;
  g_assert_cmphex (gs_siphash (counting, 0), ==, 0x1e924b9d737700d7);
  g_assert_cmphex (gs_siphash (counting, 15), !=, gs_siphash (counting, 14));
}

static void
test_record (void)
{
  static const guint8 key[] = { 0, 1, 'k' };

  for (gsize length = 0; length < 70000; length = length * 3 / 2 + 7)
    {
      gsize size = gs_record_size (length), found;
      g_autofree guint8 *record = g_malloc (size);
      g_autofree guint8 *value = g_malloc0 (length + 1);

      g_assert_cmpuint (size, >=, length + GS_RECORD_HEAD);
      g_assert_cmpuint (size, <=, MAX (32, (length + GS_RECORD_HEAD) * 5 / 4 + 32));
      gs_record_encode (key, 3, value, length, record);
      g_assert_true (gs_record_decode (key, 3, record, size, &found));
      g_assert_cmpuint (found, ==, length);
      g_assert_false (gs_record_decode (key, 2, record, size, &found));
      record[length / 2 + GS_RECORD_HEAD - 1] ^= 1;
      g_assert_false (gs_record_decode (key, 3, record, size, &found) && length > 0);
    }
}

/* Whatever bytes come, they are refused or read within their bounds. */
static void
test_readers_take_anything (void)
{
  guint8 data[300];
  gint64 end = test_budget_end (0.1);

  for (guint round = 0; round < 20000 || g_get_monotonic_time () < end; round++)
    {
      g_auto (GsBlobFrame) frame = { 0 };
      g_autoptr (GBytes) bytes = NULL;
      GsLogFrame log_frame;
      GsBlobEntry entry;
      GsLogOp op;
      gsize at = 0, size = (gsize) g_test_rand_int_range (0, sizeof data);

      for (gsize i = 0; i < size; i++)
        data[i] = (guint8) (g_test_rand_int () % (round % 2 ? 256 : 4));
      bytes = g_bytes_new (data, size);
      while (gs_log_next (g_bytes_get_data (bytes, NULL), size, &at, &op, NULL))
        g_assert_cmpuint (at, <=, size);
      gs_log_frame_decode (data, size, 0, &log_frame);
      gs_blob_entry_decode (bytes, &entry);
      gs_blob_frame_decode (data, size, &frame);
    }
}

/* --- recovery --------------------------------------------------------------------------------------------------------------- */

static void
test_torn_tail_dropped (Fixture *f, gconstpointer data)
{
  guint64 size, at;
  g_autofree char *log = NULL;

  put (f->store, "a", "1");
  put (f->store, "b", "2");
  put (f->store, "c", "3");
  copy_as_killed (f);
  log = last_log (f);
  at = find_frame (log, 2, &size);
  flip (log, at + (GPOINTER_TO_UINT (data) ? size - 1 : 20));
  open_store (f);
  expect (f->store, "a", "1");
  expect (f->store, "b", "2");
  expect (f->store, "c", NULL);
  put (f->store, "c", "again");
  copy_as_killed (f);
  open_store (f);
  expect (f->store, "c", "again");
  g_assert_cmpuint (count_faults (f), ==, 0);
}

static gboolean
is_damaged (Fixture *f)
{
  g_autoptr (GVariant) stats = g_variant_ref_sink (rook_store_stats (f->store));
  gboolean damaged;

  g_assert_true (g_variant_lookup (stats, "damaged", "b", &damaged));
  return damaged;
}

static void
test_damage_before_good_frames_is_kept_apart (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  guint64 size, at;
  g_autofree char *log = NULL;

  put (f->store, "a", "1");
  put (f->store, "b", "2");
  put (f->store, "c", "3");
  copy_as_killed (f);
  log = last_log (f);
  at = find_frame (log, 1, &size);
  flip (log, at + size - 1);
  open_store (f);
  g_assert_true (is_damaged (f));
  expect (f->store, "a", "1");
  expect (f->store, "b", NULL);
  expect (f->store, "c", "3");
}

/* A whole file's last frame is no torn tail: the next file's head knows better. */
static void
test_lost_frame_before_a_new_file_is_damage (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *log = NULL;
  guint64 size, at;

  put (f->store, "a", "1");
  put (f->store, "b", "2");
  log = last_log (f);
  copy_as_killed (f);
  g_free (log);
  log = last_log (f);
  open_store (f); /* begins a new file */
  copy_as_killed (f);
  {
    g_autofree char *name = g_path_get_basename (log);
    g_autofree char *path = g_build_filename (f->path, name, NULL);

    at = find_frame (path, 1, &size);
    flip (path, at + size - 1);
  }
  open_store (f);
  g_assert_true (is_damaged (f));
  expect (f->store, "a", "1");
}

/* What the head said, the first frame says again: nothing is lost, and it is not passed over in silence. @data: the first frame
 * is hit too, and is all that is missing. */
static void
test_damaged_log_head_is_reported (Fixture *f, gconstpointer data)
{
  g_autofree char *log = NULL;
  guint64 size, at;

  put (f->store, "a", "1");
  put (f->store, "b", "2");
  put (f->store, "c", "3");
  copy_as_killed (f);
  log = last_log (f);
  at = find_frame (log, 0, &size);
  flip (log, 90);
  if (GPOINTER_TO_UINT (data))
    flip (log, at + size - 1);
  for (int round = 0; round < 2; round++)
    {
      open_store (f);
      g_assert_true (is_damaged (f));
      expect (f->store, "a", GPOINTER_TO_UINT (data) ? NULL : "1");
      expect (f->store, "b", "2");
      expect (f->store, "c", "3");
      if (round > 0)
        expect (f->store, "d", "4");
      else
        put (f->store, "d", "4");
      copy_as_killed (f);
    }
}

static void
test_one_copy_is_enough (Fixture *f, gconstpointer data)
{
  guint which = GPOINTER_TO_UINT (data);
  g_autofree char *table = NULL;

  for (guint i = 0; i < 60; i++)
    {
      g_autofree char *key = g_strdup_printf ("key %u", i);

      put (f->store, key, key);
      if (i % 20 == 10)
        g_assert_true (rook_store_checkpoint (f->store, NULL));
    }
  copy_as_killed (f);
  table = g_strdup_printf ("%s/table.%u", f->path, which % 2);
  if (which < 2)
    g_assert_cmpint (remove (table), ==, 0);
  else
    g_assert_cmpint (truncate (table, 100), ==, 0);
  open_store (f);
  for (int round = 0; round < 3; round++)
    {
      for (guint i = 0; i < 60; i++)
        {
          g_autofree char *key = g_strdup_printf ("key %u", i);

          expect (f->store, key, key);
        }
      g_assert_true (rook_store_checkpoint (f->store, NULL));
      g_assert_cmpuint (count_faults (f), ==, 0);
      close_store (f);
      open_store (f);
    }
}

/* Bit flips in the copy in use: what is read is right, or an error, or the record is missing; verify sees it. */
/* A fault of a copy that verify has found is mended by the store itself. */
static void
wait_until_mended (Fixture *f)
{
  while (count_faults (f) > 0)
    g_usleep (1000);
  g_assert_true (rook_store_checkpoint (f->store, NULL));
  g_assert_true (rook_store_checkpoint (f->store, NULL));
}

static void
test_verify_sees_a_flipped_copy (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  guint seen = 0, rounds = 40;
  g_autofree char *table = NULL;

  for (guint i = 0; i < 200; i++)
    {
      g_autofree char *key = g_strdup_printf ("key %u", i);

      put (f->store, key, key);
    }
  table = g_strdup_printf ("%s/table.0", f->path);
  wait_until_mended (f);
  for (guint i = 0; i < rounds; i++)
    {
      guint64 at = (guint64) g_test_rand_int_range (0, (gint32) file_size (table));

      flip (table, at);
      if (count_faults (f) > 0)
        {
          seen++;
          wait_until_mended (f);
        }
      else
        flip (table, at);
    }
  g_test_message ("%u of %u flips were in bytes that matter", seen, rounds);
  g_assert_cmpuint (count_faults (f), ==, 0);
}

/* Inverts a byte of every place in the files "NAME..." at which @text stands. Returns: how many there were. */
static guint
spoil (Fixture *f, const char *name, const char *text)
{
  g_autoptr (GDir) dir = g_dir_open (f->path, 0, NULL);
  const char *file;
  guint n = 0;

  while ((file = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (f->path, file, NULL);
      g_autofree char *content = NULL;
      const char *found;
      gsize size;

      if (!g_str_has_prefix (file, name) || !g_file_get_contents (path, &content, &size, NULL))
        continue;
      for (found = content; (found = memmem (found, size - (gsize) (found - content), text, strlen (text))) != NULL;
           found++, n++)
        flip (path, (guint64) (found - content) + 1);
    }
  return n;
}

static void
test_damaged_body_is_not_answered (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  RookBatch *batch = rook_batch_new (f->store);
  g_autoptr (GBytes) body = g_bytes_new_static ("a body like no other", 20);
  RookBlobId blob = rook_batch_blob (batch, ROOK_BLOB_MAIL, NULL, NULL, body);
  g_autoptr (GBytes) found = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (rook_store_commit_wait (f->store, batch, NULL, NULL));
  close_store (f);
  g_assert_cmpuint (spoil (f, "", "a body like no other"), >, 0);
  open_store (f);
  found = rook_store_read_wait (f->store, blob, 0, 100, &error);
  g_assert_null (found);
  g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT);
  g_assert_cmpuint (count_faults (f), >, 0);
}

/* What is derivable may be gone, file and all. */
static void
test_cache_segment_that_is_gone (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  RookBatch *batch = rook_batch_new (f->store);
  g_autoptr (GBytes) body = bytes_of ("derived");
  RookBlobId blob = rook_batch_blob (batch, ROOK_BLOB_CACHE, NULL, NULL, body);
  g_autofree char *path = g_build_filename (f->path, "cache.00000001", NULL);
  g_autoptr (GBytes) found = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (rook_store_commit_wait (f->store, batch, NULL, NULL));
  close_store (f);
  g_assert_cmpint (remove (path), ==, 0);
  open_store (f);
  found = rook_store_read_wait (f->store, blob, 0, 100, &error);
  g_assert_null (found);
  g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_NOT_FOUND);
  g_assert_cmpuint (count_faults (f), ==, 0);
}

static gboolean
any_value (RookTable table G_GNUC_UNUSED, GBytes *key, GBytes *value, gpointer data G_GNUC_UNUSED)
{
  g_assert_cmpmem (g_bytes_get_data (key, NULL), g_bytes_get_size (key), "key", 3);
  g_assert_cmpmem (g_bytes_get_data (value, NULL), g_bytes_get_size (value), "a value like no other", 21);
  return TRUE;
}

static void
test_foreach_checks_values (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;

  put (f->store, "key", "a value like no other");
  g_assert_true (rook_store_checkpoint (f->store, NULL));
  g_assert_true (rook_store_checkpoint (f->store, NULL));
  g_assert_true (rook_store_foreach (f->store, 1, any_value, NULL, NULL));
  close_store (f);
  g_assert_cmpuint (spoil (f, "table.", "a value like no other"), >, 0);
  open_store (f);
  g_assert_false (rook_store_foreach (f->store, 1, any_value, NULL, &error));
  g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT);
}

static void
test_newer_format_is_refused (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *path = NULL;
  RookStoreSpec spec = { .struct_size = sizeof spec };
  g_autoptr (GError) error = NULL;
  g_autofree char *content = NULL;
  gsize size;

  close_store (f);
  path = last_log (f);
  spec.path = f->path;
  g_assert_true (g_file_get_contents (path, &content, &size, NULL));
  gs_put16 ((guint8 *) content + 8, GS_FORMAT_VERSION + 1);
  gs_put32 ((guint8 *) content + 252, gs_crc32c (0, content, 252));
  g_assert_true (g_file_set_contents (path, content, (gssize) size, NULL));
  g_assert_null (rook_store_open_backend (NULL, &gs_backend, &f->settings, &spec, &error));
  g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_VERSION);
}

static void
test_foreign_directory_not_touched (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *other = g_dir_make_tmp ("rook-gdbm-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (other, "precious", NULL);
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = other, .create = TRUE };
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_set_contents (file, "x", 1, NULL));
  g_assert_null (rook_store_open_backend (NULL, &gs_backend, &f->settings, &spec, &error));
  g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY);
  g_assert_true (g_file_test (file, G_FILE_TEST_EXISTS));
  nftw (other, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Cut off at its very first file, the making of a store begins anew. */
static void
test_making_cut_at_once_begins_anew (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *fresh = g_dir_make_tmp ("rook-gdbm-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (fresh, "initialising.new", NULL);
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = fresh, .create = TRUE };
  g_autoptr (GError) error = NULL;
  RookStore *store;

  g_assert_true (g_file_set_contents (file, "", 0, NULL));
  store = rook_store_open_backend (NULL, &gs_backend, &f->settings, &spec, &error);
  g_assert_no_error (error);
  g_assert_false (g_file_test (file, G_FILE_TEST_EXISTS));
  rook_store_close (store);
  nftw (fresh, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- failures ---------------------------------------------------------------------------------------------------------------- */

static void
test_failed_sync_is_settled_by_a_new_log (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  wait_for_spare (f);
  put (f->store, "a", "1");
  gs_io_fail (&f->io, GS_IO_SYNC, EIO, 1, FALSE);
  g_assert_cmpint (try_put (f->store, "b", "2"), ==, ROOK_STORE_ERROR_IO);
  wait_until_open (f->store);
  put (f->store, "c", "3");
  expect (f->store, "b", NULL);
  copy_as_killed (f);
  open_store (f);
  expect (f->store, "a", "1");
  expect (f->store, "b", NULL); /* though its frame is whole on the disk */
  expect (f->store, "c", "3");
  g_assert_false (is_damaged (f));
}

static void
test_unknown_while_nothing_can_be_written (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  wait_for_spare (f);
  put (f->store, "a", "1");
  gs_io_fail (&f->io, GS_IO_SYNC, EIO, 1, TRUE);
  g_assert_cmpint (try_put (f->store, "b", "2"), ==, ROOK_STORE_ERROR_UNKNOWN);
  g_assert_cmpint (rook_store_get_state (f->store), ==, ROOK_STORE_RECOVERING);
  g_assert_cmpint (try_put (f->store, "c", "3"), ==, ROOK_STORE_ERROR_RECOVERING);
  expect (f->store, "a", "1");
  expect (f->store, "b", NULL);
  gs_io_fail (&f->io, 0, 0, 0, FALSE);
  wait_until_open (f->store);
  put (f->store, "c", "3");
  expect (f->store, "b", NULL);
  close_store (f);
  open_store (f);
  expect (f->store, "b", NULL);
  expect (f->store, "c", "3");
}

static void
test_full_disk_fails_and_goes_on (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GBytes) body = bytes_of ("body");
  g_autoptr (GError) error = NULL;
  RookBatch *batch;

  wait_for_spare (f);
  put (f->store, "a", "1");
  batch = batch_with (f->store, "b", "2");
  rook_batch_blob (batch, ROOK_BLOB_MAIL, NULL, NULL, body);
  gs_io_fail (&f->io, GS_IO_WRITE, ENOSPC, 1, FALSE);
  rook_store_commit_wait (f->store, batch, NULL, &error);
  g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_FULL);
  wait_until_open (f->store);
  put (f->store, "b", "3");
  expect (f->store, "b", "3");
  g_assert_cmpuint (count_faults (f), ==, 0);
}

static guint64
get_room (Fixture *f)
{
  g_autoptr (GVariant) stats = g_variant_ref_sink (rook_store_stats (f->store));
  guint64 bytes;

  g_assert_true (g_variant_lookup (stats, "room-bytes", "t", &bytes));
  return bytes;
}

/* Where there is less than the headroom there is room for nothing but what frees space. */
static void
test_room_is_told (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GBytes) key = bytes_of ("a");
  RookBatch *batch;

  g_assert_cmpuint (get_room (f), >, 0);
  put (f->store, "a", "1");
  close_store (f);
  f->settings.headroom = G_MAXUINT64 / 4;
  open_store (f);
  g_assert_cmpuint (get_room (f), ==, 0);
  g_assert_cmpint (try_put (f->store, "a", "2"), ==, ROOK_STORE_ERROR_FULL);
  batch = rook_batch_new (f->store);
  rook_batch_delete (batch, 1, key);
  g_assert_true (rook_batch_reserve (batch, 0, TRUE, NULL));
  commit (f->store, batch);
  expect (f->store, "a", NULL);
}

/* A body that could not be looked up may be there: a batch that shares it fails, and nothing of it is done. */
static void
test_unread_source_fails_the_batch (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GBytes) body = bytes_of ("body"), read = NULL;
  g_autoptr (GError) error = NULL;
  RookBatch *batch = batch_with (f->store, "a", "1");
  RookBlobId source = rook_batch_blob (batch, ROOK_BLOB_MAIL, NULL, NULL, body), copy;

  g_assert_true (rook_store_commit_wait (f->store, batch, NULL, NULL));
  g_assert_true (rook_store_checkpoint (f->store, NULL)); /* into both copies, out of memory */
  put (f->store, "b", "1");
  g_assert_true (rook_store_checkpoint (f->store, NULL));
  batch = batch_with (f->store, "c", "1");
  rook_batch_share (batch, source, NULL);
  gs_io_fail (&f->io, GS_IO_READ, EIO, 1, TRUE);
  g_assert_false (rook_store_commit_wait (f->store, batch, NULL, &error));
  g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IO);
  gs_io_fail (&f->io, 0, 0, 0, FALSE);
  wait_until_open (f->store);
  expect (f->store, "c", NULL);
  batch = batch_with (f->store, "c", "2");
  copy = rook_batch_share (batch, source, NULL);
  g_assert_true (rook_store_commit_wait (f->store, batch, NULL, NULL));
  read = rook_store_read_wait (f->store, copy, 0, 100, NULL);
  g_assert_true (g_bytes_equal (read, body));
  g_assert_cmpuint (count_faults (f), ==, 0);
}

/* Each call of the operating system fails once, in turn: no lie, and nothing that was said is lost. */
static void
test_any_call_may_fail (Fixture *f, gconstpointer data)
{
  guint kinds = GPOINTER_TO_UINT (data);
  guint64 good = 0;

  for (guint nth = 1; nth < 40; nth++)
    {
      g_autofree char *value = g_strdup_printf ("%u", nth);
      g_autofree char *expected = NULL;

      gs_io_fail (&f->io, kinds, EIO, nth, FALSE);
      if (try_put (f->store, "key", value) == -1)
        good = nth;
      rook_store_checkpoint (f->store, NULL);
      gs_io_fail (&f->io, 0, 0, 0, FALSE);
      wait_until_open (f->store);
      expected = good > 0 ? g_strdup_printf ("%" G_GUINT64_FORMAT, good) : NULL;
      expect (f->store, "key", expected);
      g_assert_true (rook_store_checkpoint (f->store, NULL));
      g_assert_cmpuint (count_faults (f), ==, 0);
      if (nth % 8 == 0)
        {
          copy_as_killed (f);
          open_store (f);
          expect (f->store, "key", expected);
        }
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define TEST(path, data, func) \
  g_test_add ("/storage-gdbm/" path, Fixture, GUINT_TO_POINTER (data), set_up, func, tear_down)
  g_test_add_func ("/storage-gdbm/format/checksums", test_checksums);
  g_test_add_func ("/storage-gdbm/format/record", test_record);
  g_test_add_func ("/storage-gdbm/format/readers-take-anything", test_readers_take_anything);
  TEST ("recovery/torn-head-dropped", 0, test_torn_tail_dropped);
  TEST ("recovery/torn-payload-dropped", 1, test_torn_tail_dropped);
  TEST ("recovery/damage-before-good-frames", 0, test_damage_before_good_frames_is_kept_apart);
  TEST ("recovery/lost-frame-before-a-new-file", 0, test_lost_frame_before_a_new_file_is_damage);
  TEST ("recovery/damaged-log-head", 0, test_damaged_log_head_is_reported);
  TEST ("recovery/damaged-log-head-and-first-frame", 1, test_damaged_log_head_is_reported);
  TEST ("recovery/first-copy-missing", 0, test_one_copy_is_enough);
  TEST ("recovery/second-copy-missing", 1, test_one_copy_is_enough);
  TEST ("recovery/first-copy-cut", 2, test_one_copy_is_enough);
  TEST ("recovery/second-copy-cut", 3, test_one_copy_is_enough);
  TEST ("verify/sees-a-flipped-copy", 0, test_verify_sees_a_flipped_copy);
  TEST ("read/damaged-body-is-not-answered", 0, test_damaged_body_is_not_answered);
  TEST ("read/cache-segment-that-is-gone", 0, test_cache_segment_that_is_gone);
  TEST ("read/foreach-checks-values", 0, test_foreach_checks_values);
  TEST ("open/newer-format-is-refused", 0, test_newer_format_is_refused);
  TEST ("open/foreign-directory-not-touched", 0, test_foreign_directory_not_touched);
  TEST ("open/making-cut-at-once-begins-anew", 0, test_making_cut_at_once_begins_anew);
  TEST ("failure/sync-settled-by-a-new-log", 0, test_failed_sync_is_settled_by_a_new_log);
  TEST ("failure/unknown-while-nothing-can-be-written", 0, test_unknown_while_nothing_can_be_written);
  TEST ("failure/full-disk", 0, test_full_disk_fails_and_goes_on);
  TEST ("space/room-is-told", 0, test_room_is_told);
  TEST ("failure/unread-source-fails-the-batch", 0, test_unread_source_fails_the_batch);
  TEST ("failure/any-sync", GS_IO_SYNC, test_any_call_may_fail);
  TEST ("failure/any-write", GS_IO_WRITE, test_any_call_may_fail);
  TEST ("failure/any-name", GS_IO_NAME, test_any_call_may_fail);
  return g_test_run ();
}
