/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What storage-gdbm keeps in memory: its tables by themselves against a model, and that a group of batches, however large, is
 * seen whole or not at all by readers and scans, whatever checkpoints do meanwhile. Random tests go on for their share of
 * ROOKERY_TEST_SECONDS; under the thread sanitizer they also show that locks are where they must be.
 */
#include "store-fixture.h"

#include "../lib/test-budget.h"
#include "storage-gdbm/gs-bytes.h"
#include "storage-gdbm/gs-store.h"

#include "storage/storage-private.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>

/* --- tables by themselves ----------------------------------------------------------------------------------------------- */

static GBytes *
number_bytes (guint64 number)
{
  guint8 data[8];

  gs_put64 (data, number);
  return g_bytes_new (data, sizeof data);
}

static guint64
bytes_number (GBytes *bytes)
{
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, 8);
  return gs_get64 (g_bytes_get_data (bytes, NULL));
}

static void
number_key (GsKey *out_key, guint number)
{
  guint8 data[4];

  gs_put32 (data, number);
  gs_key_set (out_key, 1, data, sizeof data);
}

static void
table_put (GsTable *table, guint number, guint64 value)
{
  g_autoptr (GBytes) bytes = number_bytes (value);
  GsKey key;

  number_key (&key, number);
  gs_table_put (table, key.bytes, gs_key_length (&key), bytes);
}

static void
table_delete (GsTable *table, guint number)
{
  GsKey key;

  number_key (&key, number);
  gs_table_delete (table, key.bytes, gs_key_length (&key));
}

/* The lowest byte of the number. */
static void
table_patch (GsTable *table, guint number, guint8 byte)
{
  GsKey key;

  number_key (&key, number);
  gs_table_patch (table, key.bytes, gs_key_length (&key), 0, &byte, 1);
}

static void
count_entry (const GsEntry *entry, gpointer data)
{
  g_hash_table_add (data, GUINT_TO_POINTER (gs_get32 (entry->key + 2) + 1));
}

static void
check_model (GsTable *table, const guint64 *model, guint n)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  guint there = 0;

  for (guint i = 0; i < n; i++)
    {
      const GsEntry *entry;
      GsKey key;

      number_key (&key, i);
      entry = gs_table_lookup (table, key.bytes, gs_key_length (&key));
      g_assert_true ((entry != NULL) == (model[i] != 0));
      if (entry != NULL)
        g_assert_cmpuint (bytes_number (entry->value), ==, model[i]);
      there += entry != NULL;
    }
  gs_table_foreach (table, count_entry, seen);
  g_assert_cmpuint (g_hash_table_size (seen), ==, there);
  g_assert_cmpuint (gs_table_size (table), ==, there);
}

#define MODEL_KEYS 5000

/* Grows over many sections and is emptied again, by key and as it comes. */
static void
test_table_model (void)
{
  g_autofree guint64 *model = g_new0 (guint64, MODEL_KEYS);
  g_autoptr (GsTable) table = gs_table_new ();

  for (guint turn = 0; turn < 6; turn++)
    {
      for (guint i = 0; i < 2 * MODEL_KEYS; i++)
        {
          guint number = (guint) g_test_rand_int_range (0, MODEL_KEYS);
          GsKey key;

          number_key (&key, number);
          if (g_test_rand_int_range (0, 6) > (gint32) turn)
            table_put (table, number, model[number] = 1 + i);
          else
            {
              g_autoptr (GsEntry) entry = gs_table_take_key (table, key.bytes, gs_key_length (&key));

              g_assert_true ((entry != NULL) == (model[number] != 0));
              model[number] = 0;
            }
        }
      check_model (table, model, MODEL_KEYS);
    }
  while (gs_table_size (table) > 0)
    {
      g_autoptr (GsEntry) entry = gs_table_take (table);

      g_assert_cmpuint (model[gs_get32 (entry->key + 2)], ==, bytes_number (entry->value));
      model[gs_get32 (entry->key + 2)] = 0;
    }
  g_assert_null (gs_table_take (table));
  g_assert_cmpuint (gs_table_bytes (table), ==, 0);
  check_model (table, model, MODEL_KEYS);
}

/* --- a table that arrives ------------------------------------------------------------------------------------------------ */

#define ARRIVING 100000 /* no machine moves so many in one slice */

static GsStore *
memory_new (void)
{
  GsStore *store = g_new0 (GsStore, 1);

  rook_mutex_init (&store->lock);
  rook_cond_init (&store->cond);
  store->live = gs_table_new ();
  store->missed = gs_keys_new ();
  store->cache = g_new0 (GsCacheSlot, GS_CACHE_SLOTS);
  return store;
}

static void
memory_free (GsStore *store)
{
  g_clear_pointer (&store->arriving, gs_table_free);
  g_clear_pointer (&store->held, gs_table_free);
  gs_table_free (store->live);
  g_hash_table_unref (store->missed);
  g_free (store->cache);
  rook_cond_clear (&store->cond);
  rook_mutex_clear (&store->lock);
  g_free (store);
}

/* Of four kinds: new, changed, deleted, patched. */
static void
fill (GsTable *live, GsTable *arriving)
{
  for (guint i = 0; i < ARRIVING; i++)
    {
      if (i % 4 != 0)
        table_put (live, i, 0x100);
      if (i % 4 < 2)
        table_put (arriving, i, 0x200);
      else if (i % 4 == 2)
        table_delete (arriving, i);
      else
        table_patch (arriving, i, 0x33);
    }
}

static void
check_arrived (GsStore *store, guint number)
{
  static const guint64 expected[] = { 0x200, 0x200, 0, 0x133 };
  g_autoptr (GsEntry) entry = NULL;
  g_autoptr (GBytes) value = NULL;
  GsKey key;

  number_key (&key, number);
  rook_mutex_lock (&store->lock);
  entry = gs_memory_find (store, NULL, key.bytes, gs_key_length (&key));
  rook_mutex_unlock (&store->lock);
  g_assert_true (entry != NULL && gs_entry_is_whole (entry));
  value = gs_entry_resolve (entry, NULL);
  g_assert_cmpuint (value != NULL ? bytes_number (value) : 0, ==, expected[number % 4]);
}

static void *
settle_thread (void *store)
{
  gs_memory_settle (store);
  return NULL;
}

static gboolean
something_arrives (GsStore *store)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);

  return store->arriving != NULL;
}

/* The lock is given up in the middle, and what is said of a key is the same before it is moved, after, and at the end. */
static void
test_arrive_in_slices (void)
{
  GsStore *store = memory_new ();
  GsTable *arriving = gs_table_new ();
  pthread_t thread;

  fill (store->live, arriving);
  rook_mutex_lock (&store->lock);
  gs_memory_arrive (store, arriving);
  g_assert_nonnull (store->arriving);
  g_assert_cmpuint (gs_table_size (store->arriving), >, 0);
  rook_mutex_unlock (&store->lock);
  for (guint i = 0; i < ARRIVING; i++)
    check_arrived (store, i);
  g_assert_cmpint (pthread_create (&thread, NULL, settle_thread, store), ==, 0);
  while (something_arrives (store))
    check_arrived (store, (guint) g_test_rand_int_range (0, ARRIVING));
  pthread_join (thread, NULL);
  for (guint i = 0; i < ARRIVING; i++)
    check_arrived (store, i);
  g_assert_cmpuint (gs_table_size (store->live), ==, ARRIVING);
  memory_free (store);
}

/* A small one is settled under the very lock, and what the cache of places knew of it is forgotten. */
static void
test_arrive_at_once (void)
{
  GsStore *store = memory_new ();
  GsTable *arriving = gs_table_new ();
  g_autoptr (GBytes) value = number_bytes (1);
  GsKey key;

  gs_blob_key (&key, 77);
  gs_table_put (arriving, key.bytes, gs_key_length (&key), value);
  store->cache[77].id = 77;
  rook_mutex_lock (&store->lock);
  gs_memory_arrive (store, arriving);
  g_assert_null (store->arriving);
  rook_mutex_unlock (&store->lock);
  g_assert_cmpuint (gs_table_size (store->live), ==, 1);
  g_assert_cmpuint (store->cache[77].id, ==, 0);
  g_assert_cmpuint (store->cache[77].version, ==, 1);
  memory_free (store);
}

/* What is held stays as it is, below what comes; released, all is live. */
static void
test_hold (void)
{
  GsStore *store = memory_new ();
  GsTable *arriving = gs_table_new (), *before = store->live;

  fill (store->live, arriving);
  rook_mutex_lock (&store->lock);
  gs_memory_hold (store);
  g_assert_true (store->held == before);
  gs_memory_arrive (store, arriving);
  rook_mutex_unlock (&store->lock);
  gs_memory_settle (store);
  g_assert_cmpuint (gs_table_size (before), ==, ARRIVING - ARRIVING / 4);
  for (guint i = 0; i < ARRIVING; i += 7)
    check_arrived (store, i);
  gs_memory_release (store);
  g_assert_true (store->held == NULL && store->arriving == NULL && store->live == before);
  for (guint i = 0; i < ARRIVING; i += 7)
    check_arrived (store, i);
  g_assert_cmpuint (gs_table_size (store->live), ==, ARRIVING);
  memory_free (store);
}

/* --- a store under large groups ------------------------------------------------------------------------------------------- */

#define GROUP_KEYS 4000
#define N_READERS 2

typedef struct {
  GsSettings settings;
  char *path;
  RookStore *store;
  gint stop; /* atomic */
  gboolean failing;
  GArray *blobs; /* (element-type RookBlobId) */
} Fixture;

static void
open_store (Fixture *f)
{
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = f->path, .create = TRUE };
  g_autoptr (GError) error = NULL;

  f->store = rook_store_open_backend (NULL, &gs_backend, &f->settings, &spec, &error);
  g_assert_no_error (error);
}

static void
set_up (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->settings = gs_default_settings;
  f->path = g_dir_make_tmp ("rook-gdbm-XXXXXX", NULL);
  f->blobs = g_array_new (FALSE, FALSE, sizeof (RookBlobId));
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
  rook_store_close (f->store);
  nftw (f->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  g_array_unref (f->blobs);
  g_free (f->path);
}

/* The group's number, as the value of each of its keys. */
static void
commit_group (Fixture *f, guint64 group)
{
  RookBatch *batch = rook_batch_new (f->store);

  for (guint i = 0; i < GROUP_KEYS; i++)
    {
      g_autoptr (GBytes) key = number_bytes (i), value = number_bytes (group);

      rook_batch_put (batch, 1, key, value);
    }
  commit (f->store, batch);
}

static GBytes *
get (Fixture *f, RookTable table, guint number)
{
  g_autoptr (GBytes) key = number_bytes (number);
  g_autoptr (GError) error = NULL;
  GBytes *value = NULL;

  if (!rook_store_try_get (f->store, table, key, &value))
    rook_store_get_wait (f->store, table, key, &value, &error);
  g_assert_no_error (error);
  return value;
}

static guint64
get_number (Fixture *f, guint number)
{
  g_autoptr (GBytes) value = get (f, 1, number);

  return value != NULL ? bytes_number (value) : 0;
}

static gboolean
goes_on (Fixture *f)
{
  return g_atomic_int_get (&f->stop) == 0;
}

/* Once a group is seen at one key it is seen at all. */
static void *
reader_thread (void *data)
{
  Fixture *f = data;
  guint64 seen = 0;

  for (guint number = 1; goes_on (f); number = (number * 7919 + 1) % GROUP_KEYS)
    {
      guint64 group = get_number (f, number);

      g_assert_cmpuint (group, >=, seen);
      seen = group;
    }
  return NULL;
}

typedef struct {
  guint64 group;
  guint n;
} Seen;

static gboolean
see (RookTable table G_GNUC_UNUSED, GBytes *key G_GNUC_UNUSED, GBytes *value, gpointer data)
{
  Seen *seen = data;

  if (seen->n++ == 0)
    seen->group = bytes_number (value);
  g_assert_cmpuint (bytes_number (value), ==, seen->group);
  return TRUE;
}

/* Returns: the group that the scan saw: all of it, and of no other. */
static guint64
scan (Fixture *f)
{
  g_autoptr (GError) error = NULL;
  Seen seen = { 0, 0 };

  rook_store_foreach (f->store, 1, see, &seen, &error);
  g_assert_no_error (error);
  g_assert_true (seen.n == 0 || seen.n == GROUP_KEYS);
  return seen.group;
}

static void *
scanner_thread (void *data)
{
  Fixture *f = data;
  guint64 seen = 0;

  while (goes_on (f))
    {
      guint64 group = scan (f);

      g_assert_cmpuint (group, >=, seen);
      seen = group;
    }
  return NULL;
}

/* Some of the checkpoints give up in the middle, as at a store's end. */
static void *
checkpoint_thread (void *data)
{
  Fixture *f = data;
  GsStore *store = f->store->self;

  for (guint i = 0; goes_on (f); i++)
    {
      g_autoptr (GError) error = NULL;

      g_atomic_int_set (&store->hurry, f->failing && i % 3 != 0);
      if (!rook_store_checkpoint (f->store, &error))
        g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CANCELLED);
    }
  g_atomic_int_set (&store->hurry, FALSE);
  return NULL;
}

static void
fault (const RookStoreFault *fault, gpointer data G_GNUC_UNUSED)
{
  g_error ("%s", fault->text);
}

/* At once after a group: what it changed may not all be where it belongs yet. */
static void
check_reopened (Fixture *f, guint64 group)
{
  g_autoptr (GError) error = NULL;

  rook_store_close (f->store);
  open_store (f);
  for (guint i = 0; i < GROUP_KEYS; i++)
    g_assert_cmpuint (get_number (f, i), ==, group);
  g_assert_cmpuint (scan (f), ==, group);
  rook_store_verify (f->store, fault, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
}

static void
run (Fixture *f, void *(*beside) (void *) )
{
  pthread_t readers[N_READERS], other;
  gint64 end = test_budget_end (0.2);
  guint64 group = 0;

  for (guint i = 0; i < N_READERS; i++)
    g_assert_cmpint (pthread_create (&readers[i], NULL, reader_thread, f), ==, 0);
  g_assert_cmpint (pthread_create (&other, NULL, beside, f), ==, 0);
  while (group < 5 || g_get_monotonic_time () < end)
    commit_group (f, ++group);
  g_atomic_int_set (&f->stop, 1);
  for (guint i = 0; i < N_READERS; i++)
    pthread_join (readers[i], NULL);
  pthread_join (other, NULL);
  commit_group (f, ++group);
  check_reopened (f, group);
}

static void
test_seen_by_scans (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  run (f, scanner_thread);
}

static void
test_seen_while_checkpoints (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  run (f, checkpoint_thread);
}

static void
test_seen_while_checkpoints_fail (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->failing = TRUE;
  run (f, checkpoint_thread);
}

static void *
checkpoints_and_scans_thread (void *data)
{
  pthread_t scanner;

  g_assert_cmpint (pthread_create (&scanner, NULL, scanner_thread, data), ==, 0);
  checkpoint_thread (data);
  pthread_join (scanner, NULL);
  return NULL;
}

static void
test_scans_while_checkpoints_fail (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->failing = TRUE;
  run (f, checkpoints_and_scans_thread);
}

/* --- blobs and what names them -------------------------------------------------------------------------------------------- */

#define N_BLOBS 2000

static gboolean
is_there (Fixture *f, RookBlobId id)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) body = rook_store_read_wait (f->store, id, 0, G_MAXSIZE, &error);

  if (body == NULL)
    g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_NOT_FOUND);
  return body != NULL;
}

static gboolean
is_named (Fixture *f, guint number)
{
  g_autoptr (GBytes) value = get (f, 2, number);

  return value != NULL;
}

/* A body that is gone is named no more, and one that is named no more is gone, whatever the cache of places knows. */
static void *
blob_reader_thread (void *data)
{
  Fixture *f = data;

  for (guint number = 1; goes_on (f); number = (number * 7919 + 1) % N_BLOBS)
    {
      RookBlobId id = g_array_index (f->blobs, RookBlobId, number);

      if (number % 2 == 0 && !is_there (f, id))
        g_assert_false (is_named (f, number));
      if (number % 2 == 1 && !is_named (f, number))
        g_assert_false (is_there (f, id));
    }
  return NULL;
}

/* What is not in memory goes through the cache of places. */
static void
commit_blobs (Fixture *f)
{
  RookBatch *batch = rook_batch_new (f->store);
  g_autoptr (GError) error = NULL;

  g_array_set_size (f->blobs, 0);
  for (guint i = 0; i < N_BLOBS; i++)
    {
      g_autoptr (GBytes) key = number_bytes (i), body = number_bytes (i);
      RookBlobId id = rook_batch_blob (batch, ROOK_BLOB_MAIL, NULL, NULL, body);

      g_array_append_val (f->blobs, id);
      rook_batch_put (batch, 2, key, body);
    }
  commit (f->store, batch);
  rook_store_checkpoint (f->store, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < N_BLOBS; i++)
    g_assert_true (is_there (f, g_array_index (f->blobs, RookBlobId, i)));
}

static void
release_blobs (Fixture *f)
{
  RookBatch *batch = rook_batch_new (f->store);

  for (guint i = 0; i < N_BLOBS; i++)
    {
      g_autoptr (GBytes) key = number_bytes (i);

      rook_batch_release (batch, g_array_index (f->blobs, RookBlobId, i));
      rook_batch_delete (batch, 2, key);
    }
  commit (f->store, batch);
}

static void
test_blobs_go_with_their_names (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  gint64 end = test_budget_end (0.2);

  do
    {
      pthread_t readers[N_READERS];

      commit_blobs (f);
      g_atomic_int_set (&f->stop, 0);
      for (guint i = 0; i < N_READERS; i++)
        g_assert_cmpint (pthread_create (&readers[i], NULL, blob_reader_thread, f), ==, 0);
      release_blobs (f);
      for (guint i = 0; i < N_BLOBS; i += 50)
        g_assert_false (is_there (f, g_array_index (f->blobs, RookBlobId, i)));
      g_atomic_int_set (&f->stop, 1);
      for (guint i = 0; i < N_READERS; i++)
        pthread_join (readers[i], NULL);
    }
  while (g_get_monotonic_time () < end);
}

/* --- in the middle of a move ------------------------------------------------------------------------------------------------ */

/* A group that is visible, and of which most is not moved yet: it is large, and nobody goes on with it. */
static void
let_arrive (GsStore *store, GsTable *table)
{
  for (guint i = 0; i < ARRIVING / 2; i++)
    table_put (table, i, i);
  rook_mutex_lock (&store->lock);
  gs_memory_arrive (store, table);
  g_assert_nonnull (store->arriving);
  g_assert_cmpuint (gs_table_size (store->arriving), >, ARRIVING / 4);
  rook_mutex_unlock (&store->lock);
}

/* It is in a checkpoint as a whole: else it would lack there, and the log would be thrown away. */
static void
test_checkpoint_in_the_middle (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  GsStore *store = f->store->self;
  g_autoptr (GError) error = NULL;
  pthread_t thread;

  let_arrive (store, gs_table_new ());
  g_assert_cmpint (pthread_create (&thread, NULL, settle_thread, store), ==, 0);
  rook_store_checkpoint (f->store, &error);
  g_assert_no_error (error);
  pthread_join (thread, NULL);
  g_assert_cmpuint (gs_table_size (store->live), ==, 0);
  g_assert_cmpuint (store->current.copies[store->current.current].counts[1], ==, ARRIVING / 2);
}

/* What the cache knows of places is no answer any more, though most of it is not forgotten yet. */
static void
test_cache_in_the_middle (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  GsTable *table = gs_table_new ();

  commit_blobs (f);
  for (guint i = 0; i < N_BLOBS; i++)
    {
      GsKey key;

      gs_blob_key (&key, g_array_index (f->blobs, RookBlobId, i));
      gs_table_delete (table, key.bytes, gs_key_length (&key));
    }
  let_arrive (f->store->self, table);
  for (guint i = 0; i < N_BLOBS; i++)
    g_assert_false (is_there (f, g_array_index (f->blobs, RookBlobId, i)));
  gs_memory_settle (f->store->self);
  for (guint i = 0; i < N_BLOBS; i++)
    g_assert_false (is_there (f, g_array_index (f->blobs, RookBlobId, i)));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/storage-gdbm/table/model", test_table_model);
  g_test_add_func ("/storage-gdbm/memory/arrives-in-slices", test_arrive_in_slices);
  g_test_add_func ("/storage-gdbm/memory/arrives-at-once", test_arrive_at_once);
  g_test_add_func ("/storage-gdbm/memory/held", test_hold);
#define ADD(path, func) g_test_add ("/storage-gdbm/groups/" path, Fixture, NULL, set_up, func, tear_down)
  ADD ("whole-for-scans", test_seen_by_scans);
  ADD ("whole-while-checkpoints-are-made", test_seen_while_checkpoints);
  ADD ("whole-while-checkpoints-fail", test_seen_while_checkpoints_fail);
  ADD ("whole-for-scans-while-checkpoints-fail", test_scans_while_checkpoints_fail);
  ADD ("blobs-go-with-their-names", test_blobs_go_with_their_names);
  ADD ("checkpoint-in-the-middle", test_checkpoint_in_the_middle);
  ADD ("cache-in-the-middle", test_cache_in_the_middle);
#undef ADD
  return g_test_run ();
}
