/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rookery/storage.h: what the wrappers promise of a call whatever the backend does: who reads what when, where answers
 * come, what a reservation costs, what a backend may leave out. The backends here are the one in memory with a function
 * or two of their own.
 */
#include "../lib/test-calm.h"
#include "store-fixture.h"

#include <string.h>

#include "storage/memory.h"
#include "storage/storage-private.h"

typedef struct {
  RookLoop *loop;
  RookMemoryDisk *disk;
  RookStorageBackend backend;
  RookStore *store;
  GString *states; /* as notify told them */
  RookMutex lock;  /* of states */
} Fixture;

static void
note_state (RookStoreState state, gpointer data)
{
  Fixture *f = data;
  g_autoptr (RookLocker) locker = rook_locker_new (&f->lock);

  g_string_append_c (f->states, state == ROOK_STORE_OPEN ? 'o' : state == ROOK_STORE_RECOVERING ? 'r' : 'f');
}

static void
open_store (Fixture *f)
{
  RookStoreSpec spec = {
    .struct_size = sizeof spec, .path = "/nowhere", .create = TRUE, .notify = note_state, .notify_data = f
  };
  g_autoptr (GError) error = NULL;

  f->store = rook_store_open_backend (NULL, &f->backend, f->disk, &spec, &error);
  g_assert_no_error (error);
}

/* A test may change f->backend and then opens the store itself. */
static void
set_up_closed (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->loop = rook_loop_new (2);
  f->disk = rook_memory_disk_new ();
  f->backend = rook_memory_backend;
  f->states = g_string_new (NULL);
  rook_mutex_init (&f->lock);
}

static void
set_up (Fixture *f, gconstpointer data)
{
  set_up_closed (f, data);
  open_store (f);
}

static void
tear_down (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  if (f->store != NULL)
    rook_store_close (f->store);
  rook_loop_free (f->loop);
  rook_memory_disk_free (f->disk);
  g_string_free (f->states, TRUE);
  rook_mutex_clear (&f->lock);
}

static void
quit (gpointer data)
{
  rook_loop_quit (data);
}

/* Lets the test's own worker do what is due. */
static void
settle (Fixture *f)
{
  rook_worker_invoke (rook_loop_get_main_worker (f->loop), quit, f->loop, NULL);
  rook_loop_run (f->loop);
}

/* What an asynchronous call was answered with. */
typedef struct {
  gint done; /* atomic */
  guint64 position;
  int code; /* -1: success */
  GBytes *bytes;
  RookWorker *worker; /* where it came */
} Answer;

static void
on_commit (guint64 position, const GError *error, gpointer data)
{
  Answer *answer = data;

  answer->position = position;
  answer->code = error != NULL ? error->code : -1;
  answer->worker = rook_worker_current ();
  g_atomic_int_set (&answer->done, 1);
}

static void
on_value (GBytes *value, const GError *error, gpointer data)
{
  Answer *answer = data;

  answer->bytes = value != NULL ? g_bytes_ref (value) : NULL;
  on_commit (0, error, data);
}

static void
await (Fixture *f, Answer *answer)
{
  while (!g_atomic_int_get (&answer->done))
    settle (f);
}

/* --- who reads what when --------------------------------------------------------------------------------------------- */

static void
test_only_what_is_durable (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  Answer answer = { 0 }, got = { 0 };
  g_autoptr (GBytes) key = bytes_of ("key");
  g_autoptr (GBytes) at_once = NULL;
  g_autoptr (GBytes) fresh = bytes_of ("new");

  commit (f->store, batch_with (f->store, "key", "old"));
  rook_memory_disk_hold (f->disk, TRUE);
  rook_store_commit (f->store, batch_with (f->store, "key", "new"), on_commit, &answer);
  if (rook_store_try_get (f->store, 1, key, &at_once))
    g_assert_false (g_bytes_equal (at_once, fresh));
  rook_store_get (f->store, 1, key, on_value, &got);
  for (guint i = 0; i < 10; i++)
    settle (f);
  g_assert_false (g_atomic_int_get (&answer.done) || g_atomic_int_get (&got.done));
  rook_memory_disk_hold (f->disk, FALSE);
  await (f, &answer);
  await (f, &got);
  g_assert_true (g_bytes_equal (got.bytes, fresh));
  g_bytes_unref (got.bytes);
}

static void
test_blob_once_durable (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  RookBatch *batch = rook_batch_new (f->store);
  g_autoptr (GBytes) body = bytes_of ("body");
  RookBlobId blob = rook_batch_blob (batch, ROOK_BLOB_MAIL, NULL, NULL, body);
  g_autoptr (GBytes) found = NULL;
  g_autoptr (GError) error = NULL;
  Answer answer = { 0 };

  rook_memory_disk_hold (f->disk, TRUE);
  rook_store_commit (f->store, batch, on_commit, &answer);
  g_assert_null (rook_store_try_read (f->store, blob, 0, 10));
  rook_memory_disk_hold (f->disk, FALSE);
  await (f, &answer);
  found = rook_store_read_wait (f->store, blob, 0, 10, &error);
  g_assert_no_error (error);
  g_assert_true (g_bytes_equal (found, body));
}

static void
test_read_that_has_begun (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  RookBatch *batch = rook_batch_new (f->store);
  g_autoptr (GBytes) body = bytes_of ("body");
  RookBlobId blob = rook_batch_blob (batch, ROOK_BLOB_MAIL, NULL, NULL, body);
  Answer read = { 0 };
  g_autoptr (GError) error = NULL;

  commit (f->store, batch);
  rook_store_read (f->store, blob, 0, 10, on_value, &read);
  batch = rook_batch_new (f->store);
  rook_batch_release (batch, blob);
  commit (f->store, batch);
  await (f, &read);
  g_assert_true (read.bytes != NULL && g_bytes_equal (read.bytes, body));
  g_bytes_unref (read.bytes);
  g_assert_null (rook_store_read_wait (f->store, blob, 0, 10, &error));
  g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_NOT_FOUND);
}

/* --- where answers come ----------------------------------------------------------------------------------------------- */

static void
get_inside (gpointer self G_GNUC_UNUSED, RookTable table G_GNUC_UNUSED, GBytes *key, RookStoreReply *reply)
{
  rook_store_reply_value (reply, key);
}

static void
test_backend_that_answers_inside (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GBytes) key = bytes_of ("key");
  Answer answer = { 0 };

  f->backend.get = get_inside;
  f->backend.try_get = NULL;
  open_store (f);
  rook_store_get (f->store, 1, key, on_value, &answer);
  g_assert_false (g_atomic_int_get (&answer.done));
  await (f, &answer);
  g_assert_true (answer.worker == rook_worker_current ());
  g_assert_true (answer.bytes == key); /* referenced, not copied */
  g_bytes_unref (answer.bytes);
}

typedef struct {
  Fixture *f;
  Answer answer;
  gint submitted, go; /* atomic */
} Elsewhere;

/* Keeps its worker busy until the store has been closed. */
static void
submit_and_stay (gpointer data)
{
  Elsewhere *elsewhere = data;

  rook_store_commit (elsewhere->f->store, batch_with (elsewhere->f->store, "key", "value"), on_commit,
                     &elsewhere->answer);
  g_atomic_int_set (&elsewhere->submitted, 1);
  while (!g_atomic_int_get (&elsewhere->go))
    g_thread_yield ();
}

static void
test_close_posts_to_other_workers (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  Elsewhere elsewhere = { .f = f };
  RookWorker *worker = rook_loop_get_worker (f->loop, 0);

  rook_memory_disk_hold (f->disk, TRUE);
  rook_worker_invoke (worker, submit_and_stay, &elsewhere, NULL);
  while (!g_atomic_int_get (&elsewhere.submitted))
    g_thread_yield ();
  rook_memory_disk_hold (f->disk, FALSE);
  rook_store_close (f->store);
  f->store = NULL;
  g_assert_false (g_atomic_int_get (&elsewhere.answer.done));
  g_atomic_int_set (&elsewhere.go, 1);
  while (!g_atomic_int_get (&elsewhere.answer.done))
    g_thread_yield ();
  g_assert_cmpint (elsewhere.answer.code, ==, -1);
  g_assert_true (elsewhere.answer.worker == worker);
}

static void
test_position_of_a_failure (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  Answer good = { 0 }, bad = { .position = 7 };

  rook_store_commit (f->store, batch_with (f->store, "key", "value"), on_commit, &good);
  await (f, &good);
  g_assert_cmpuint (good.position, ==, rook_store_get_position (f->store));
  rook_memory_disk_fail (f->disk, 1, ROOK_STORE_ERROR_IO, FALSE);
  rook_store_commit (f->store, batch_with (f->store, "key", "value"), on_commit, &bad);
  await (f, &bad);
  g_assert_cmpint (bad.code, ==, ROOK_STORE_ERROR_IO);
  g_assert_cmpuint (bad.position, ==, 0);
}

static void
test_state_is_told (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  Answer answer = { 0 };

  rook_memory_disk_fail (f->disk, 1, ROOK_STORE_ERROR_IO, FALSE);
  rook_store_commit (f->store, batch_with (f->store, "key", "value"), on_commit, &answer);
  await (f, &answer);
  while (!rook_store_accepts (f->store))
    settle (f);
  rook_mutex_lock (&f->lock);
  g_assert_cmpstr (f->states->str, ==, "ro");
  rook_mutex_unlock (&f->lock);
}

/* --- batches ------------------------------------------------------------------------------------------------------------ */

static void
test_referenced_not_copied (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (RookBatch) batch = rook_batch_new (f->store);
  g_autoptr (GBytes) key = bytes_of ("key");
  g_autoptr (GBytes) value = bytes_of ("value");
  g_autoptr (GBytes) label = bytes_of ("label");
  g_autoptr (GBytes) body = bytes_of ("body");
  const RookOp *ops;
  guint n_ops;

  rook_batch_put (batch, 1, key, value);
  rook_batch_blob (batch, ROOK_BLOB_MAIL, key, label, body);
  ops = rook_batch_get_ops (batch, &n_ops);
  g_assert_cmpuint (n_ops, ==, 2);
  g_assert_true (ops[0].key == key && ops[0].value == value);
  g_assert_true (ops[1].key == key && ops[1].label == label && ops[1].value == body);
}

/* What a patch is charged with does not grow with the value. */
static void
test_patch_costs_its_bytes (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *large = g_strnfill (1000000, 'x');
  g_autoptr (RookBatch) patch = rook_batch_new (f->store);
  RookBatch *put = batch_with (f->store, "key", large);
  g_autoptr (GBytes) key = bytes_of ("key");
  g_autoptr (GBytes) few = bytes_of ("few");

  g_assert_cmpuint (rook_batch_get_size (put), >=, 1000000);
  commit (f->store, put);
  rook_batch_patch (patch, 1, key, 999000, few);
  g_assert_cmpuint (rook_batch_get_size (patch), >=, 6);
  g_assert_cmpuint (rook_batch_get_size (patch), <, 1000);
}

static void
test_arguments_are_within_limits (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  if (g_test_subprocess ())
    {
      g_autoptr (RookBatch) batch = rook_batch_new (f->store);
      g_autoptr (GBytes) value = bytes_of ("value");
      g_autoptr (GBytes) empty = bytes_of ("");
      g_autoptr (GBytes) too_long = g_bytes_new_take (g_malloc0 (ROOK_STORE_MAX_KEY + 1), ROOK_STORE_MAX_KEY + 1);
      guint n_ops;

      g_log_set_always_fatal (G_LOG_FATAL_MASK);
      rook_batch_put (batch, 1, empty, value);
      rook_batch_put (batch, 1, too_long, value);
      rook_batch_put (batch, ROOK_STORE_MAX_TABLE + 1, value, value);
      rook_batch_patch (batch, 1, value, ROOK_STORE_MAX_VALUE, value);
      g_assert_cmpuint (rook_batch_blob (batch, ROOK_BLOB_MAIL, empty, NULL, value), ==, 0);
      rook_batch_get_ops (batch, &n_ops);
      g_assert_cmpuint (n_ops, ==, 0);
      return;
    }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stderr ("*CRITICAL*is_good_key*");
}

/* --- reservations ------------------------------------------------------------------------------------------------------- */

static gint64 reserved; /* bytes, as the backend below counts them; touched by one thread */
static guint64 room;

static gboolean
count_reserve (gpointer self G_GNUC_UNUSED, guint64 size, gboolean frees, GError **error)
{
  if (!frees && (guint64) reserved + size > room)
    {
      g_set_error_literal (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_FULL, "no room");
      return FALSE;
    }
  reserved += (gint64) size;
  return TRUE;
}

static void
count_unreserve (gpointer self G_GNUC_UNUSED, guint64 size)
{
  reserved -= (gint64) size;
}

static void
open_counting (Fixture *f, guint64 bytes_of_room)
{
  reserved = 0;
  room = bytes_of_room;
  f->backend.reserve = count_reserve;
  f->backend.unreserve = count_unreserve;
  open_store (f);
}

static void
test_reserve_gives_back (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  RookBatch *batch;

  open_counting (f, 10000);
  batch = batch_with (f->store, "key", "value");
  g_assert_true (rook_batch_reserve (batch, 1000, FALSE, NULL));
  g_assert_cmpint (reserved, >=, 1008);
  rook_batch_free (batch);
  g_assert_cmpint (reserved, ==, 0);
  batch = batch_with (f->store, "key", "value");
  g_assert_true (rook_batch_reserve (batch, 1000, FALSE, NULL));
  commit (f->store, batch);
  g_assert_cmpint (reserved, ==, 0);
}

static void
reserve (gpointer data)
{
  for (guint i = 0; i < 100; i++)
    {
      RookBatch *batch = batch_with (data, "key", "value");

      g_assert_true (rook_batch_reserve (batch, 10 * i, FALSE, NULL));
      rook_batch_free (batch);
    }
}

static void
test_reserve_is_memory_only (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  open_counting (f, 1000000);
  g_assert_true (test_is_calm (reserve, f->store));
  g_assert_cmpint (reserved, ==, 0);
}

static void
test_full_is_found_out_by_reserve (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  RookBatch *batch;
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) by_commit = NULL;

  open_counting (f, 500);
  batch = batch_with (f->store, "key", "value");
  g_assert_false (rook_batch_reserve (batch, 1000, FALSE, &error));
  g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_FULL);
  g_assert_cmpint (reserved, ==, 0);
  g_assert_true (rook_batch_reserve (batch, 1000, TRUE, NULL)); /* the room kept for what frees */
  commit (f->store, batch);
  room = 0;
  g_assert_false (rook_store_commit_wait (f->store, batch_with (f->store, "other", "value"), NULL, &by_commit));
  g_assert_error (by_commit, ROOK_STORE_ERROR, ROOK_STORE_ERROR_FULL);
  expect (f->store, "other", NULL);
  g_assert_cmpint (reserved, ==, 0);
}

/* --- stages ---------------------------------------------------------------------------------------------------------------- */

static void
test_stage_is_consumed_by_a_failure (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  RookBatch *batch = rook_batch_new (f->store);
  RookBlobId blob;
  guint64 stage;

  g_assert_true (rook_store_stage_begin (f->store, ROOK_BLOB_MAIL, &stage, NULL));
  g_assert_true (rook_store_stage_write (f->store, stage, "body", 4, NULL));
  g_assert_true (rook_store_stage_finish (f->store, stage, NULL));
  blob = rook_batch_adopt (batch, ROOK_BLOB_MAIL, NULL, NULL, stage);
  rook_memory_disk_fail (f->disk, 1, ROOK_STORE_ERROR_IO, FALSE);
  g_assert_false (rook_store_commit_wait (f->store, batch, NULL, NULL));
  while (!rook_store_accepts (f->store))
    settle (f);
  g_assert_null (rook_store_read_wait (f->store, blob, 0, 10, NULL));
  g_assert_cmpuint (rook_memory_disk_count_stages (f->disk), ==, 0);
}

/* --- what a backend may leave out ---------------------------------------------------------------------------------------------- */

static gboolean
any_blob (const RookBlobInfo *info G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
  return TRUE;
}

static void
any_fault (const RookStoreFault *fault G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
  g_assert_not_reached ();
}

static void
test_backend_with_the_least (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GBytes) key = bytes_of ("key");
  g_autoptr (GBytes) value = NULL;
  g_autoptr (GVariant) stats = NULL;
  g_autoptr (GError) no_blobs = NULL;
  g_autoptr (GError) no_stage = NULL;
  g_autoptr (GError) no_verify = NULL;
  gboolean more = TRUE;
  guint64 stage;

  f->backend.reserve = NULL;
  f->backend.unreserve = NULL;
  f->backend.try_get = NULL;
  f->backend.try_read = NULL;
  f->backend.foreach_blob = NULL;
  f->backend.stage_begin = NULL;
  f->backend.checkpoint = NULL;
  f->backend.compact = NULL;
  f->backend.verify = NULL;
  f->backend.stats = NULL;
  open_store (f);
  commit (f->store, batch_with (f->store, "key", "value"));
  expect (f->store, "key", "value");
  g_assert_false (rook_store_try_get (f->store, 1, key, &value));
  g_assert_null (rook_store_try_read (f->store, 1, 0, 1));
  g_assert_true (rook_store_checkpoint (f->store, NULL));
  g_assert_true (rook_store_compact (f->store, &more, NULL));
  g_assert_false (more);
  stats = g_variant_ref_sink (rook_store_stats (f->store));
  g_assert_cmpuint (g_variant_n_children (stats), ==, 0);
  g_assert_false (rook_store_foreach_blob (f->store, any_blob, NULL, &no_blobs));
  g_assert_error (no_blobs, ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNSUPPORTED);
  g_assert_false (rook_store_stage_begin (f->store, ROOK_BLOB_MAIL, &stage, &no_stage));
  g_assert_error (no_stage, ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNSUPPORTED);
  g_assert_false (rook_store_verify (f->store, any_fault, NULL, NULL, NULL, &no_verify));
  g_assert_error (no_verify, ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNSUPPORTED);
}

static gboolean
verify_finds (gpointer self G_GNUC_UNUSED, RookStoreReport report, gpointer data, RookStoreProgress progress,
              gpointer progress_data, GError **error G_GNUC_UNUSED)
{
  RookStoreFault fault = { .struct_size = sizeof fault, .text = "rotten" };

  report (&fault, data);
  report (&fault, data);
  if (progress != NULL)
    progress (100, "done", progress_data);
  return TRUE;
}

static void
count_fault (const RookStoreFault *fault, gpointer data)
{
  g_assert_cmpstr (fault->text, ==, "rotten");
  ++*(guint *) data;
}

static void
test_verify_counts_faults_apart (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  guint n_faults = 0;

  f->backend.verify = verify_finds;
  open_store (f);
  g_assert_true (rook_store_verify (f->store, count_fault, &n_faults, NULL, NULL, NULL));
  g_assert_cmpuint (n_faults, ==, 2);
}

static gboolean
stop_at_once (double percent G_GNUC_UNUSED, const char *text G_GNUC_UNUSED, gpointer data)
{
  ++*(guint *) data;
  return FALSE;
}

/* A backend that goes on all the same is held to what was said. */
static gboolean
verify_deaf (gpointer self G_GNUC_UNUSED, RookStoreReport report G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED,
             RookStoreProgress progress, gpointer progress_data, GError **error G_GNUC_UNUSED)
{
  for (guint i = 0; i < 3; i++)
    g_assert_false (progress (i, "deaf", progress_data));
  return TRUE;
}

static void
test_verify_is_stopped_once (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;
  guint n_calls = 0;

  f->backend.verify = verify_deaf;
  open_store (f);
  g_assert_false (rook_store_verify (f->store, any_fault, NULL, stop_at_once, &n_calls, &error));
  g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CANCELLED);
  g_assert_cmpuint (n_calls, ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define OPEN(path, func) g_test_add ("/storage/" path, Fixture, NULL, set_up, func, tear_down)
#define CLOSED(path, func) g_test_add ("/storage/" path, Fixture, NULL, set_up_closed, func, tear_down)
  OPEN ("read/only-what-is-durable", test_only_what_is_durable);
  OPEN ("read/blob-once-its-batch-is-durable", test_blob_once_durable);
  OPEN ("read/one-that-has-begun-is-finished", test_read_that_has_begun);
  CLOSED ("answer/never-inside-even-if-the-backend-answers-there", test_backend_that_answers_inside);
  OPEN ("close/posts-to-other-workers", test_close_posts_to_other_workers);
  OPEN ("commit/position-and-0-on-failure", test_position_of_a_failure);
  OPEN ("state/changes-are-told", test_state_is_told);
  OPEN ("batch/references-and-copies-nothing", test_referenced_not_copied);
  OPEN ("batch/patch-costs-its-bytes", test_patch_costs_its_bytes);
  OPEN ("batch/arguments-are-within-limits", test_arguments_are_within_limits);
  CLOSED ("reserve/memory-only", test_reserve_is_memory_only);
  CLOSED ("reserve/gives-back-when-completed-or-freed", test_reserve_gives_back);
  CLOSED ("reserve/full-is-found-out-here-or-by-commit", test_full_is_found_out_by_reserve);
  OPEN ("stage/is-consumed-even-by-a-failure", test_stage_is_consumed_by_a_failure);
  CLOSED ("backend/may-leave-out-what-is-nullable", test_backend_with_the_least);
  CLOSED ("verify/faults-are-no-failure", test_verify_counts_faults_apart);
  CLOSED ("verify/who-said-stop-is-asked-no-more", test_verify_is_stopped_once);
  return g_test_run ();
}
