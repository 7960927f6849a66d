/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Power cuts of a store: what it does is recorded (power.h), and every disk that a cut may leave is opened: each batch that
 * was acknowledged must be there whole, none that was told to have failed, no other half, and verify finds nothing. From the
 * making of the store over appends, streamed bodies, patches, releases, checkpoints and compaction to its close, and again
 * while it recovers from such a disk, at times less a copy of its tables. In every other recording syncs fail now and then.
 *
 * 2,000 different disks at least, 50,000 with --long, 200 where it is the package that is tested (ROOKERY_TEST_SECONDS below 2); the
 * number is told. Not under a sanitizer, which has its own ideas
 * of the functions that power.c stands in for.
 */
#include "../lib/test-budget.h"
#include "power.h"
#include "store-model.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "storage/storage-private.h"

#ifndef ROOK_SANITIZED

#define N_WRITERS 3

typedef struct {
  GsSettings settings;
  GHashTable *seen; /* (element-type guint64) hashes of the disks that were opened */
  guint target;
  gboolean failing; /* while the next recording is made, syncs fail now and then */
  guint32 seed;
  char *disk; /* (owned) the directory in which disks are made */
} Trial;

typedef struct {
  RookStore *store;
  guint writer;
  guint n_batches;
  gboolean failing;
} Writer;

/* Up to which number a writer's batches must be there, and may be. */
typedef struct {
  guint64 least[N_WRITERS], most[N_WRITERS];
} Bounds;

#define MUST G_GUINT64_CONSTANT (0)
#define MAY (G_GUINT64_CONSTANT (1) << 63)

/* --- what is recorded --------------------------------------------------------------------------------------------------------- */

static void
mark (const Writer *writer, guint64 kind, guint64 number)
{
  power_mark (kind | (guint64) writer->writer << 48 | number);
}

/* A batch that has failed is not there and will not be, unless nobody knows; and when the store is open again somebody does. */
static void
bear_failure (const Writer *w, guint64 number, const GError *error)
{
  g_assert_true (w->failing);
  if (!g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNKNOWN))
    mark (w, MAY, number);
  while (rook_store_get_state (w->store) != ROOK_STORE_OPEN || !rook_store_accepts (w->store))
    g_usleep (1000);
  mark (w, MAY, number);
}

static gpointer
write_some (gpointer data)
{
  const Writer *w = data;
  guint64 number = model_last (w->store, w->writer), end = number + w->n_batches, next_failure = number;

  mark (w, MUST, number); /* what recovery has shown once must stay */
  mark (w, MAY, number);
  while (number < end)
    {
      RookBatch *batch = model_batch (w->store, w->writer, number + 1);
      g_autoptr (GError) error = NULL;

      if (w->failing && number % 7 == w->writer && number >= next_failure)
        {
          power_fail (&(PowerFault){ .calls = POWER_SYNC, .error = EIO, .nth = 1 + (guint) (number % 5), .n = 1 });
          next_failure = number + 1; /* it is tried again */
        }
      mark (w, MAY, number + 1);
      if (rook_store_commit_wait (w->store, batch, NULL, &error))
        mark (w, MUST, ++number);
      else
        bear_failure (w, number, error);
    }
  return NULL;
}

/* Work of all writers, with upkeep between and beside it. */
static void
work (RookStore *store, guint n_batches, gboolean failing)
{
  Writer writers[N_WRITERS];
  GThread *threads[N_WRITERS];
  gboolean more = TRUE;

  for (guint i = 0; i < N_WRITERS; i++)
    {
      writers[i] = (Writer){ store, i, n_batches, failing };
      threads[i] = g_thread_new ("writer", write_some, &writers[i]);
    }
  g_assert_true (rook_store_checkpoint (store, NULL) || failing);
  for (guint i = 0; i < N_WRITERS; i++)
    g_thread_join (threads[i]);
  power_fail (NULL);
  for (guint slices = 0; more && slices < 20; slices++)
    g_assert_true (rook_store_compact (store, &more, NULL));
  g_assert_true (rook_store_checkpoint (store, NULL));
}

/* What happens to the store at @path, from its opening to its close. */
static PowerRecording *
record (Trial *trial, const char *path, guint n_batches)
{
  RookStore *store;

  power_begin (path);
  store = model_open (path, &trial->settings);
  work (store, n_batches, trial->failing);
  rook_store_close (store);
  trial->failing = !trial->failing;
  return power_end ();
}

/* --- what is found ------------------------------------------------------------------------------------------------------------- */

static void
note_mark (guint64 what, gpointer data)
{
  guint64 number = what & ((G_GUINT64_CONSTANT (1) << 48) - 1);
  guint writer = (guint) ((what & ~MAY) >> 48);
  Bounds *bounds = data;

  if (what & MAY)
    bounds->most[writer] = number;
  else
    bounds->least[writer] = number;
}

/* Opens the disk and looks at everything on it. @before: what held before the recording began. */
static void
check_disk (const Trial *trial, PowerRecording *recording, guint instant, const Bounds *before)
{
  Bounds bounds = *before;
  RookStore *store;

  power_recording_foreach_mark (recording, instant, note_mark, &bounds);
  store = model_open (trial->disk, &trial->settings);
  model_check (store, N_WRITERS, bounds.least, bounds.most);
  rook_store_close (store);
}

static guint
random_below (guint n)
{
  return (guint) g_test_rand_int_range (0, (gint32) n);
}

/* Disks of all parts of the recording: @n, less those that were there before. */
static void
try_disks (Trial *trial, PowerRecording *recording, const Bounds *before, guint n)
{
  guint n_instants = power_recording_count_instants (recording), first = random_below (n_instants);

  for (guint i = 0; i < n; i++)
    {
      guint instant = (first + (guint) ((guint64) i * n_instants / n)) % n_instants;
      guint pick = random_below (power_recording_count_disks (recording, instant));
      guint64 hash = power_recording_make_disk (recording, instant, pick, trial->seed, trial->disk);

      if (!g_hash_table_add (trial->seen, g_memdup2 (&hash, sizeof hash)))
        continue;
      g_test_message ("instant %u, disk %u", instant, pick);
      check_disk (trial, recording, instant, before);
    }
}

/* The copy of the tables that is not in use goes, as CURRENT will have it: another is made of the other. */
static void
lose_copy (Trial *trial, const char *path)
{
  GsStore place = { .dir = open (path, O_RDONLY | O_DIRECTORY) };
  g_autofree char *name = NULL;
  RookStore *store = model_open (path, &trial->settings);
  GsCurrent current;

  rook_store_close (store);
  g_assert_true (gs_current_read (&place, &current, NULL));
  current.copies[1 - current.current].clean = FALSE;
  g_assert_true (gs_current_write (&place, &current, NULL));
  name = g_strdup_printf ("table.%u", 1 - current.current);
  g_assert_cmpint (unlinkat (place.dir, name, 0), ==, 0);
  close (place.dir);
}

/* A disk that a cut of @recording left is recovered, and the power goes again. */
static void
cut_recovery (Trial *trial, PowerRecording *recording, gboolean lose, guint n)
{
  g_autofree char *path = g_dir_make_tmp ("rook-power-XXXXXX", NULL);
  guint instant = random_below (power_recording_count_instants (recording));
  guint pick = random_below (power_recording_count_disks (recording, instant));
  Bounds before = { { 0 }, { 0 } };
  g_autoptr (PowerRecording) again = NULL;

  power_recording_make_disk (recording, instant, pick, trial->seed, path);
  power_recording_foreach_mark (recording, instant, note_mark, &before);
  g_test_message ("recovery of instant %u, disk %u%s", instant, pick, lose ? ", less a copy" : "");
  if (lose)
    lose_copy (trial, path);
  again = record (trial, path, 4);
  try_disks (trial, again, &before, n);
  model_remove (path);
}

static Trial
trial_new (void)
{
  return (Trial){ .settings = model_tiny_settings (),
                  .seen = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL),
                  .target = test_budget_is_long ()       ? 50000
                            : test_budget_seconds () < 2 ? 200
                                                         : 2000,
                  .seed = (guint32) g_test_rand_int (),
                  .disk = g_dir_make_tmp ("rook-power-XXXXXX", NULL) };
}

static void
test_power_cut (void)
{
  Trial trial = trial_new ();
  const Bounds nothing = { { 0 }, { 0 } };
  gint64 end = test_budget_end (1);

  model_forbid_damage (TRUE);
  while (g_hash_table_size (trial.seen) < trial.target || g_get_monotonic_time () < end)
    {
      g_autofree char *path = g_dir_make_tmp ("rook-power-XXXXXX", NULL);
      g_autoptr (PowerRecording) recording = record (&trial, path, 30);

      model_remove (path);
      try_disks (&trial, recording, &nothing, 300);
      for (guint i = 0; i < 6; i++)
        cut_recovery (&trial, recording, i % 3 == 2, 50);
    }
  g_test_message ("%u different disks", g_hash_table_size (trial.seen));
  g_hash_table_unref (trial.seen);
  model_remove (trial.disk);
  g_free (trial.disk);
}

#else

static void
test_power_cut (void)
{
  g_test_skip ("a sanitizer has its own write()");
}
#endif

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/crash/store/power-cut", test_power_cut);
  return g_test_run ();
}
