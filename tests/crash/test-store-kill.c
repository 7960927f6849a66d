/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * kill -9 of a process that commits from several threads, at random instants, again and again on one store: whatever it was
 * told is durable is there afterwards, whole, and verify finds nothing. Checkpoints and compaction go on meanwhile.
 * Goes on for ROOKERY_TEST_SECONDS, half of them with each settings.
 */
#include "../lib/test-budget.h"
#include "storage-gdbm/gs-store.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_THREADS 6
#define KEPT 40 /* records that a thread keeps: older ones are deleted and their blobs released */

typedef struct {
  RookStore *store;
  int pipe;
  guint thread;
} Writer;

/* What a record says: its number, and the blob that was written with it. */
typedef struct {
  guint64 number;
  RookBlobId blob;
} Record;

typedef struct {
  guint32 thread;
  guint32 zero;
  guint64 number;
} Acknowledged;

static RookStore *
open_store (const char *path, const GsSettings *settings)
{
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = path, .create = TRUE };
  g_autoptr (GError) error = NULL;
  RookStore *store = rook_store_open_backend (NULL, &gs_backend, (gpointer) settings, &spec, &error);

  g_assert_no_error (error);
  return store;
}

static GBytes *
number_key (guint thread)
{
  g_autofree char *text = g_strdup_printf ("thread %u", thread);

  return g_bytes_new (text, strlen (text));
}

static GBytes *
record_key (guint thread, guint64 number)
{
  g_autofree char *text = g_strdup_printf ("record %u %" G_GUINT64_FORMAT, thread, number);

  return g_bytes_new (text, strlen (text));
}

/* Every third body is the same for all threads. */
static GBytes *
body_of (guint thread, guint64 number)
{
  guint32 seed = (guint32) (number % 3 == 0 ? number : number * 31 + thread);
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  gsize size = seed % 17 == 0 ? 70000 : 100 + seed % 3000;
  guint32 *data = g_malloc (size / 4 * 4 + 4);

  for (gsize i = 0; i < size / 4 + 1; i++)
    data[i] = g_rand_int (rand);
  return g_bytes_new_take (data, size);
}

static gboolean
get (RookStore *store, RookTable table, GBytes *key, gpointer out, gsize size)
{
  g_autoptr (GBytes) value = NULL;
  g_autoptr (GError) error = NULL;

  rook_store_get_wait (store, table, key, &value, &error);
  g_assert_no_error (error);
  if (value == NULL)
    return FALSE;
  g_assert_cmpuint (g_bytes_get_size (value), ==, size);
  memcpy (out, g_bytes_get_data (value, NULL), size);
  return TRUE;
}

static guint64
last_number (RookStore *store, guint thread)
{
  g_autoptr (GBytes) key = number_key (thread);
  guint64 number = 0;

  get (store, 1, key, &number, sizeof number);
  return number;
}

/* --- the process that is killed --------------------------------------------------------------------------------------------- */

static void
drop_old (RookStore *store, RookBatch *batch, guint thread, guint64 number)
{
  g_autoptr (GBytes) key = record_key (thread, number);
  Record record;

  if (!get (store, 2, key, &record, sizeof record))
    return;
  rook_batch_delete (batch, 2, key);
  rook_batch_release (batch, record.blob);
}

static RookBatch *
make_batch (RookStore *store, guint thread, guint64 number)
{
  RookBatch *batch = rook_batch_new (store);
  g_autoptr (GBytes) key = record_key (thread, number);
  g_autoptr (GBytes) counter = number_key (thread);
  g_autoptr (GBytes) body = body_of (thread, number);
  g_autoptr (GBytes) content_key = number % 3 == 0 ? g_bytes_new (&number, sizeof number) : NULL;
  g_autoptr (GBytes) text = NULL;
  g_autoptr (GBytes) value = NULL;
  Record record = { number, 0 };

  record.blob = rook_batch_blob (batch, ROOK_BLOB_MAIL, content_key, key, body);
  value = g_bytes_new (&record, sizeof record);
  text = g_bytes_new (&number, sizeof number);
  rook_batch_put (batch, 2, key, value);
  rook_batch_patch (batch, 1, counter, 0, text);
  if (number > KEPT)
    drop_old (store, batch, thread, number - KEPT);
  return batch;
}

static gpointer
write_on (gpointer data)
{
  const Writer *writer = data;

  for (guint64 number = last_number (writer->store, writer->thread) + 1;; number++)
    {
      Acknowledged told = { writer->thread, 0, number };

      if (!rook_store_commit_wait (writer->store, make_batch (writer->store, writer->thread, number), NULL, NULL)
          || write (writer->pipe, &told, sizeof told) != sizeof told)
        _exit (1);
    }
  return NULL;
}

static void
run_child (const char *path, const GsSettings *settings, int fd)
{
  RookStore *store = open_store (path, settings);
  Writer writers[N_THREADS];

  for (guint i = 0; i < N_THREADS; i++)
    {
      writers[i] = (Writer){ store, fd, i };
      g_thread_new ("writer", write_on, &writers[i]);
    }
  while (TRUE)
    pause ();
}

/* --- the one that looks afterwards ------------------------------------------------------------------------------------------ */

static void
report_fault (const RookStoreFault *fault, gpointer data G_GNUC_UNUSED)
{
  g_error ("verify: %s", fault->text);
}

static void
check_record (RookStore *store, guint thread, guint64 number)
{
  g_autoptr (GBytes) key = record_key (thread, number);
  g_autoptr (GBytes) expected = body_of (thread, number);
  g_autoptr (GBytes) found = NULL;
  g_autoptr (GError) error = NULL;
  Record record;

  g_assert_true (get (store, 2, key, &record, sizeof record));
  g_assert_cmpuint (record.number, ==, number);
  found = rook_store_read_wait (store, record.blob, 0, G_MAXSIZE, &error);
  g_assert_no_error (error);
  g_assert_true (g_bytes_equal (found, expected));
}

static void
check_store (RookStore *store, const guint64 *acknowledged, guint kills)
{
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < N_THREADS; i++)
    {
      guint64 last = last_number (store, i);
      g_autoptr (GBytes) gone = record_key (i, last > KEPT ? last - KEPT : 0);
      g_autoptr (GBytes) next = record_key (i, last + 1);
      Record record;

      g_assert_cmpuint (last, >=, acknowledged[i]);
      g_assert_cmpuint (last, <=, acknowledged[i] + kills); /* each may have cut one off before it was told */
      g_assert_false (get (store, 2, gone, &record, sizeof record));
      g_assert_false (get (store, 2, next, &record, sizeof record));
      for (guint64 n = last > KEPT ? last - KEPT + 1 : 1; n <= last; n++)
        check_record (store, i, n);
    }
  rook_store_verify (store, report_fault, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
}

static void
read_acknowledged (int fd, guint64 *acknowledged)
{
  Acknowledged told;
  ssize_t n;

  while ((n = read (fd, &told, sizeof told)) > 0)
    {
      g_assert_cmpint (n, ==, sizeof told);
      acknowledged[told.thread] = told.number;
    }
}

static void
run_round (const char *path, const GsSettings *settings, guint64 *acknowledged)
{
  int fds[2], status;
  pid_t child;

  g_assert_cmpint (pipe (fds), ==, 0);
  child = fork ();
  g_assert_cmpint (child, >=, 0);
  if (child == 0)
    {
      close (fds[0]);
      run_child (path, settings, fds[1]);
    }
  close (fds[1]);
  g_usleep ((gulong) g_test_rand_int_range (1000, 150 * 1000));
  kill (child, SIGKILL);
  read_acknowledged (fds[0], acknowledged);
  close (fds[0]);
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFSIGNALED (status));
}

static int
remove_one (const char *path, const struct stat *st G_GNUC_UNUSED, int type G_GNUC_UNUSED,
            struct FTW *ftw G_GNUC_UNUSED)
{
  return remove (path);
}

/* @data: the settings. Only every third round is looked at by an opening that is closed well; the others are killed too. */
static void
test_kill (gconstpointer data)
{
  const GsSettings *settings = data;
  g_autofree char *path = g_dir_make_tmp ("rook-kill-XXXXXX", NULL);
  guint64 acknowledged[N_THREADS] = { 0 }, total = 0;
  gint64 end = test_budget_end (0.5);
  guint rounds = 0;

  for (; rounds < 3 || g_get_monotonic_time () < end; rounds += 3)
    {
      RookStore *store;

      for (guint i = 0; i < 3; i++)
        run_round (path, settings, acknowledged);
      store = open_store (path, settings);
      check_store (store, acknowledged, 3);
      rook_store_close (store);
    }
  for (guint i = 0; i < N_THREADS; i++)
    total += acknowledged[i];
  g_test_message ("%u kills, %" G_GUINT64_FORMAT " batches", rounds, total);
  nftw (path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int
main (int argc, char **argv)
{
  GsSettings usual, tiny;

  g_test_init (&argc, &argv, NULL);
  usual = tiny = gs_default_settings;
  usual.log_size = 1024 * 1024;
  tiny.log_size = 32 * 1024;
  tiny.segment_size = 200 * 1024;
  tiny.memory_size = 100 * 1024;
  tiny.log_limit = 100 * 1024;
  g_test_add_data_func ("/crash/store/kill", &usual, test_kill);
  g_test_add_data_func ("/crash/store/kill-with-much-upkeep", &tiny, test_kill);
  return g_test_run ();
}
