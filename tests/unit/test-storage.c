/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The storage wrappers, on the in-memory backend: what a failure means to batches, what a get waits for. What every
 * backend must do is in tests/conformance.
 */
#include "store-fixture.h"

#include "storage/memory.h"
#include "storage/storage-private.h"

#include <string.h>

typedef struct {
  RookLoop *loop;
  RookMemoryDisk *disk;
  RookStore *store;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->loop = rook_loop_new (2);
  f->disk = rook_memory_disk_new ();
  f->store = rook_memory_open (f->disk);
}

static void
tear_down (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  if (f->store != NULL)
    rook_store_close (f->store);
  rook_loop_free (f->loop);
  rook_memory_disk_free (f->disk);
}

/* --- what is failed with a batch that fails ---------------------------------------------------------------------------- */

typedef struct {
  Fixture *f;
  guint n, settled, done;
  int codes[8];      /* of the callbacks, in order; -1: success */
  gboolean accepted; /* whether the store took a batch when the last callback ran */
} Outcome;

static void
note_settled (guint64 position G_GNUC_UNUSED, const GError *error G_GNUC_UNUSED, gpointer data)
{
  ((Outcome *) data)->settled++;
}

static void
quit_after (gpointer data)
{
  rook_loop_quit (data);
}

static void
note_done (guint64 position, const GError *error, gpointer data)
{
  Outcome *outcome = data;
  g_autoptr (RookBatch) probe = rook_batch_new (outcome->f->store);

  g_assert_true ((position == 0) == (error != NULL));
  outcome->codes[outcome->done++] = error != NULL ? error->code : -1;
  outcome->accepted = rook_batch_reserve (probe, 10, FALSE, NULL);
  if (outcome->done == outcome->n)
    rook_worker_invoke (rook_worker_current (), quit_after, outcome->f->loop, NULL);
}

static void
submit_three (gpointer data)
{
  Outcome *outcome = data;
  Fixture *f = outcome->f;

  rook_memory_disk_hold (f->disk, TRUE);
  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *key = g_strdup_printf ("key %u", i);
      RookBatch *batch = batch_with (f->store, key, "value");

      rook_batch_on_settled (batch, note_settled, outcome);
      rook_store_commit (f->store, batch, note_done, outcome);
    }
  rook_memory_disk_fail (f->disk, 2, ROOK_STORE_ERROR_IO, FALSE);
  rook_memory_disk_hold (f->disk, FALSE);
}

static void
test_fails_what_is_behind (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  Outcome outcome = { .f = f, .n = 3 };

  rook_worker_invoke (rook_loop_get_worker (f->loop, 0), submit_three, &outcome, NULL);
  rook_loop_run (f->loop);
  g_assert_cmpint (outcome.codes[0], ==, -1);
  g_assert_cmpint (outcome.codes[1], ==, ROOK_STORE_ERROR_IO);
  g_assert_cmpint (outcome.codes[2], ==, ROOK_STORE_ERROR_RECOVERING);
  g_assert_cmpuint (outcome.settled, ==, 3);
  g_assert_false (outcome.accepted); /* inside the last callback */
  expect (f->store, "key 0", "value");
  expect (f->store, "key 1", NULL);
  expect (f->store, "key 2", NULL);
  /* and now that the callbacks have returned: */
  wait_until_open (f->store);
  g_assert_true (rook_store_commit_wait (f->store, batch_with (f->store, "key 3", "value"), NULL, NULL));
}

static void
refused_full (gpointer data)
{
  Outcome *outcome = data;
  RookBatch *batch;

  rook_memory_disk_fail (outcome->f->disk, 1, ROOK_STORE_ERROR_FULL, FALSE);
  batch = batch_with (outcome->f->store, "key", "value");
  rook_batch_on_settled (batch, note_settled, outcome);
  rook_store_commit (outcome->f->store, batch, note_done, outcome);
  rook_store_commit (outcome->f->store, batch_with (outcome->f->store, "built on it", "value"), note_done, outcome);
}

static void
test_refusal_shuts_too (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  Outcome outcome = { .f = f, .n = 2 };

  rook_worker_invoke (rook_loop_get_worker (f->loop, 0), refused_full, &outcome, NULL);
  rook_loop_run (f->loop);
  g_assert_cmpint (outcome.codes[0], ==, ROOK_STORE_ERROR_FULL);
  g_assert_cmpint (outcome.codes[1], ==, ROOK_STORE_ERROR_RECOVERING);
  g_assert_cmpuint (outcome.settled, ==, 0);
  expect (f->store, "built on it", NULL);
  wait_until_open (f->store);
  g_assert_true (rook_store_commit_wait (f->store, batch_with (f->store, "key", "value"), NULL, NULL));
}

static void
test_unknown (Fixture *f, gconstpointer data)
{
  gboolean applied = GPOINTER_TO_INT (data);
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) refused = NULL;

  rook_memory_disk_fail (f->disk, 1, ROOK_STORE_ERROR_UNKNOWN, applied);
  g_assert_false (rook_store_commit_wait (f->store, batch_with (f->store, "key", "value"), NULL, &error));
  g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNKNOWN);
  g_assert_cmpint (rook_store_get_state (f->store), ==, ROOK_STORE_RECOVERING);
  g_assert_false (rook_store_commit_wait (f->store, batch_with (f->store, "other", "value"), NULL, &refused));
  g_assert_error (refused, ROOK_STORE_ERROR, ROOK_STORE_ERROR_RECOVERING);
  rook_store_close (f->store);
  f->store = rook_memory_open (f->disk);
  expect (f->store, "key", applied ? "value" : NULL);
  expect (f->store, "other", NULL);
}

/* --- gets ----------------------------------------------------------------------------------------------------------- */

typedef struct {
  Fixture *f;
  gboolean committed, got;
} Waits;

static void
wait_committed (guint64 position G_GNUC_UNUSED, const GError *error, gpointer data)
{
  g_assert_no_error (error);
  ((Waits *) data)->committed = TRUE;
}

static void
wait_got (GBytes *value, const GError *error, gpointer data)
{
  Waits *waits = data;

  g_assert_no_error (error);
  g_assert_nonnull (value);
  waits->got = TRUE;
  if (waits->committed)
    rook_loop_quit (waits->f->loop);
}

static void
other_got (GBytes *value, const GError *error, gpointer data)
{
  Waits *waits = data;

  /* The key that nobody writes did not wait. */
  g_assert_no_error (error);
  g_assert_null (value);
  g_assert_false (waits->committed);
  g_assert_false (waits->got);
  rook_memory_disk_hold (waits->f->disk, FALSE);
}

static void
submit_and_get (gpointer data)
{
  Waits *waits = data;
  Fixture *f = waits->f;
  g_autoptr (GBytes) key = g_bytes_new_static ("key", 3);
  g_autoptr (GBytes) other = g_bytes_new_static ("other", 5);

  rook_memory_disk_hold (f->disk, TRUE);
  rook_store_commit (f->store, batch_with (f->store, "key", "value"), wait_committed, waits);
  rook_store_get (f->store, 1, key, wait_got, waits);
  rook_store_get (f->store, 1, other, other_got, waits);
}

static void
test_get_waits_for_its_key (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  Waits waits = { f, FALSE, FALSE };

  rook_worker_invoke (rook_loop_get_worker (f->loop, 0), submit_and_get, &waits, NULL);
  rook_loop_run (f->loop);
  g_assert_true (waits.got);
}

/* --- every call can fail, and nothing leaks or hangs -------------------------------------------------------------------- */

static void
use_everything (Fixture *f)
{
  g_autoptr (GBytes) key = g_bytes_new_static ("key", 3);
  g_autoptr (GBytes) value = NULL;
  g_autoptr (GBytes) body = NULL;
  RookBatch *batch = batch_with (f->store, "key", "value");
  RookBlobId blob = rook_batch_blob (batch, ROOK_BLOB_MAIL, NULL, NULL, key);
  guint64 stage;

  if (rook_store_stage_begin (f->store, ROOK_BLOB_MAIL, &stage, NULL))
    {
      if (rook_store_stage_write (f->store, stage, "body", 4, NULL) && rook_store_stage_finish (f->store, stage, NULL))
        rook_batch_adopt (batch, ROOK_BLOB_MAIL, NULL, NULL, stage);
      else
        rook_store_stage_drop (f->store, stage);
    }
  rook_store_commit_wait (f->store, batch, NULL, NULL);
  rook_store_get_wait (f->store, 1, key, &value, NULL);
  body = rook_store_read_wait (f->store, blob, 0, 100, NULL);
}

static void
test_any_call_may_fail (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  for (guint nth = 1; nth < 10; nth++)
    {
      rook_memory_disk_fail (f->disk, nth, ROOK_STORE_ERROR_IO, FALSE);
      use_everything (f);
      use_everything (f);
    }
}

static void
test_state_is_told (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (rook_store_get_state (f->store), ==, ROOK_STORE_OPEN);
}

static void
test_dropped_batch_is_nothing (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  RookBatch *batch = batch_with (f->store, "key", "value");

  g_assert_true (rook_batch_reserve (batch, 100, FALSE, NULL));
  rook_batch_free (batch);
  expect (f->store, "key", NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define TEST(path, data, func) g_test_add ("/storage/" path, Fixture, data, set_up, func, tear_down)
  TEST ("failure/fails-what-was-submitted-behind", NULL, test_fails_what_is_behind);
  TEST ("failure/refusal-shuts-the-store-too", NULL, test_refusal_shuts_too);
  TEST ("failure/unknown-and-there", GINT_TO_POINTER (TRUE), test_unknown);
  TEST ("failure/unknown-and-not-there", GINT_TO_POINTER (FALSE), test_unknown);
  TEST ("failure/any-call-may-fail", NULL, test_any_call_may_fail);
  TEST ("get/waits-for-batches-on-its-key-alone", NULL, test_get_waits_for_its_key);
  TEST ("store/state", NULL, test_state_is_told);
  TEST ("batch/dropped-is-nothing", NULL, test_dropped_batch_is_nothing);
  return g_test_run ();
}
