/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keys and values: put, delete, patch, foreach. Each is seen at once, after a checkpoint, and after opening anew.
 */
#include "conformance-fixture.h"

#include <string.h>

static void
test_put (Fixture *f)
{
  RookBatch *batch;

  conformance_open (f);
  conformance_expect (f, 1, "key", NULL);
  batch = rook_batch_new (f->store);
  conformance_put (batch, 1, "key", "value");
  conformance_put (batch, 1, "empty", "");
  conformance_put (batch, 255, "key", "of another table");
  conformance_commit (f, batch);
  conformance_expect (f, 1, "key", "value");
  conformance_expect (f, 1, "empty", "");
  conformance_expect (f, 255, "key", "of another table");
  conformance_expect (f, 2, "key", NULL);
  batch = rook_batch_new (f->store);
  conformance_put (batch, 1, "key", "a longer value than before");
  conformance_commit (f, batch);
  conformance_expect (f, 1, "key", "a longer value than before");
}

static void
test_delete (Fixture *f)
{
  g_autoptr (GBytes) key = conformance_bytes ("key");
  RookBatch *batch;

  conformance_open (f);
  batch = rook_batch_new (f->store);
  conformance_put (batch, 1, "key", "value");
  conformance_commit (f, batch);
  g_assert_true (rook_store_checkpoint (f->store, NULL));
  for (int i = 0; i < 2; i++) /* the second deletes nothing */
    {
      batch = rook_batch_new (f->store);
      rook_batch_delete (batch, 1, key);
      conformance_commit (f, batch);
      conformance_expect (f, 1, "key", NULL);
    }
  conformance_reopen (f);
  conformance_expect (f, 1, "key", NULL);
  g_assert_true (rook_store_checkpoint (f->store, NULL));
  conformance_expect (f, 1, "key", NULL);
}

static void
test_order_in_batch (Fixture *f)
{
  g_autoptr (GBytes) key = conformance_bytes ("b");
  RookBatch *batch;

  conformance_open (f);
  batch = rook_batch_new (f->store);
  conformance_put (batch, 1, "a", "first");
  conformance_patch (batch, 1, "a", 0, "F");
  conformance_put (batch, 1, "b", "value");
  rook_batch_delete (batch, 1, key);
  conformance_patch (batch, 1, "b", 1, "x");
  rook_batch_delete (batch, 1, key);
  conformance_put (batch, 1, "b", "last");
  conformance_commit (f, batch);
  conformance_expect (f, 1, "a", "First");
  conformance_expect (f, 1, "b", "last");
  conformance_reopen (f);
  conformance_expect (f, 1, "a", "First");
  conformance_expect (f, 1, "b", "last");
}

static void
test_empty_batch (Fixture *f)
{
  conformance_open (f);
  conformance_commit (f, rook_batch_new (f->store));
}

/* Applies patches with nothing, a checkpoint or a new open before each, and compares with the same done in memory. */
static void
test_patch (Fixture *f)
{
  static const struct {
    guint64 offset;
    const char *bytes;
    const char *result;
  } steps[] = {
    { 0, "abc", "abc" },       { 1, "X", "aXc" },       { 3, "def", "aXcdef" },      { 5, "FGH", "aXcdeFGH" },
    { 8, "", "aXcdeFGH" },     { 0, "12", "12cdeFGH" }, { 2, "345678", "12345678" }, { 4, "--", "1234--78" },
    { 3, "++++", "123++++8" }, { 8, "9", "123++++89" },
  };
  const char *keys[] = { "plain", "checkpoint", "reopen" };

  conformance_open (f);
  for (guint k = 0; k < G_N_ELEMENTS (keys); k++)
    for (guint i = 0; i < G_N_ELEMENTS (steps); i++)
      {
        RookBatch *batch = rook_batch_new (f->store);

        if (k == 1)
          g_assert_true (rook_store_checkpoint (f->store, NULL));
        conformance_patch (batch, 7, keys[k], steps[i].offset, steps[i].bytes);
        conformance_commit (f, batch);
        if (k == 2)
          conformance_reopen (f);
        conformance_expect (f, 7, keys[k], steps[i].result);
      }
  g_assert_true (rook_store_checkpoint (f->store, NULL));
  for (guint k = 0; k < G_N_ELEMENTS (keys); k++)
    conformance_expect (f, 7, keys[k], "123++++89");
}

static void
expect_gap (Fixture *f)
{
  g_autoptr (GBytes) key = conformance_bytes ("gap");
  g_autoptr (GBytes) value = NULL;

  g_assert_true (rook_store_get_wait (f->store, 1, key, &value, NULL));
  conformance_expect_bytes (value, "ab\0\0\0cd\0\0e", 10);
}

static void
test_patch_past_the_end (Fixture *f)
{
  const struct {
    guint64 offset;
    const char *bytes;
  } steps[] = { { 0, "ab" }, { 5, "cd" }, { 9, "e" } };

  conformance_open (f);
  for (guint i = 0; i < G_N_ELEMENTS (steps); i++)
    {
      RookBatch *batch = rook_batch_new (f->store);

      conformance_patch (batch, 1, "gap", steps[i].offset, steps[i].bytes);
      conformance_commit (f, batch);
      if (i == 0)
        g_assert_true (rook_store_checkpoint (f->store, NULL));
    }
  expect_gap (f);
  conformance_reopen (f);
  expect_gap (f);
  g_assert_true (rook_store_checkpoint (f->store, NULL));
  expect_gap (f);
}

static void
test_patch_after_delete (Fixture *f)
{
  g_autoptr (GBytes) key = conformance_bytes ("key");
  RookBatch *batch;

  conformance_open (f);
  batch = rook_batch_new (f->store);
  conformance_put (batch, 1, "key", "a long value of old");
  conformance_commit (f, batch);
  g_assert_true (rook_store_checkpoint (f->store, NULL));
  batch = rook_batch_new (f->store);
  rook_batch_delete (batch, 1, key);
  conformance_commit (f, batch);
  batch = rook_batch_new (f->store);
  conformance_patch (batch, 1, "key", 0, "new");
  conformance_commit (f, batch);
  conformance_expect (f, 1, "key", "new");
  conformance_reopen (f);
  conformance_expect (f, 1, "key", "new");
}

static void
test_large (Fixture *f)
{
  g_autoptr (GBytes) key = conformance_body (1, ROOK_STORE_MAX_KEY);
  g_autoptr (GBytes) value = conformance_body (2, ROOK_STORE_MAX_VALUE);
  g_autoptr (GBytes) found = NULL;
  g_autoptr (GBytes) again = NULL;
  RookBatch *batch;

  conformance_open (f);
  batch = rook_batch_new (f->store);
  rook_batch_put (batch, 0, key, value);
  conformance_commit (f, batch);
  g_assert_true (rook_store_get_wait (f->store, 0, key, &found, NULL));
  g_assert_true (g_bytes_equal (found, value));
  conformance_reopen (f);
  g_assert_true (rook_store_checkpoint (f->store, NULL));
  conformance_reopen (f);
  g_assert_true (rook_store_get_wait (f->store, 0, key, &again, NULL));
  g_assert_true (g_bytes_equal (again, value));
}

static gboolean
count_pair (RookTable table, GBytes *key, GBytes *value, gpointer data)
{
  GHashTable *seen = data;

  g_assert_cmpuint (table, ==, 3);
  g_assert_true (g_hash_table_insert (seen, g_bytes_ref (key), g_bytes_ref (value)));
  return TRUE;
}

static GHashTable *
collect (Fixture *f)
{
  GHashTable *seen = g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref,
                                            (GDestroyNotify) g_bytes_unref);
  g_autoptr (GError) error = NULL;

  rook_store_foreach (f->store, 3, count_pair, seen, &error);
  g_assert_no_error (error);
  return seen;
}

static gboolean
stop_at_once (RookTable table G_GNUC_UNUSED, GBytes *key G_GNUC_UNUSED, GBytes *value G_GNUC_UNUSED, gpointer data)
{
  (*(guint *) data)++;
  return FALSE;
}

static void
test_foreach (Fixture *f)
{
  guint count = 0;

  conformance_open (f);
  for (guint i = 0; i < 300; i++)
    {
      RookBatch *batch = rook_batch_new (f->store);
      g_autofree char *key = g_strdup_printf ("key %u", i % 200);
      g_autofree char *value = g_strdup_printf ("value %u", i);

      conformance_put (batch, 3, key, value);
      conformance_put (batch, 4, key, "of another table");
      if (i % 10 == 5)
        {
          g_autoptr (GBytes) gone = conformance_bytes (key);

          rook_batch_delete (batch, 3, gone);
        }
      conformance_commit (f, batch);
      if (i == 150)
        g_assert_true (rook_store_checkpoint (f->store, NULL));
    }
  for (int round = 0; round < 3; round++)
    {
      g_autoptr (GHashTable) seen = collect (f);
      g_autoptr (GBytes) key = conformance_bytes ("key 42");

      g_assert_cmpuint (g_hash_table_size (seen), ==, 180);
      conformance_expect_bytes (g_hash_table_lookup (seen, key), "value 242", 9);
      if (round == 0)
        conformance_reopen (f);
      else
        g_assert_true (rook_store_checkpoint (f->store, NULL));
    }
  g_assert_true (rook_store_foreach (f->store, 3, stop_at_once, &count, NULL));
  g_assert_cmpuint (count, ==, 1);
}

typedef struct {
  Fixture *f;
  gboolean stop; /* atomic */
} Writer;

static gpointer
write_on (gpointer data)
{
  Writer *writer = data;

  for (guint i = 0; !__atomic_load_n (&writer->stop, __ATOMIC_RELAXED); i++)
    {
      RookBatch *batch = rook_batch_new (writer->f->store);
      g_autofree char *key = g_strdup_printf ("new %u", i % 50);

      conformance_put (batch, 3, key, "value");
      conformance_put (batch, 3, "both", i % 2 ? "odd" : "even");
      conformance_commit (writer->f, batch);
      if (i % 20 == 19)
        g_assert_true (rook_store_checkpoint (writer->f->store, NULL));
    }
  return NULL;
}

static void
test_foreach_while_writing (Fixture *f)
{
  Writer writer = { f, FALSE };
  GThread *thread;
  RookBatch *batch;

  conformance_open (f);
  batch = rook_batch_new (f->store);
  for (guint i = 0; i < 100; i++)
    {
      g_autofree char *key = g_strdup_printf ("old %u", i);

      conformance_put (batch, 3, key, "value");
    }
  conformance_put (batch, 3, "both", "even");
  conformance_commit (f, batch);
  thread = g_thread_new ("writer", write_on, &writer);
  for (int round = 0; round < 10; round++)
    {
      g_autoptr (GHashTable) seen = collect (f);
      g_autoptr (GBytes) both = conformance_bytes ("both");

      for (guint i = 0; i < 100; i++)
        {
          g_autofree char *text = g_strdup_printf ("old %u", i);
          g_autoptr (GBytes) key = conformance_bytes (text);

          g_assert_nonnull (g_hash_table_lookup (seen, key));
        }
      g_assert_nonnull (g_hash_table_lookup (seen, both));
    }
  __atomic_store_n (&writer.stop, TRUE, __ATOMIC_RELAXED);
  g_thread_join (thread);
}

void
conformance_add_value_tests (const RookConformance *subject)
{
  conformance_add (subject, "value/put", test_put);
  conformance_add (subject, "value/delete", test_delete);
  conformance_add (subject, "value/order-in-batch", test_order_in_batch);
  conformance_add (subject, "value/empty-batch", test_empty_batch);
  conformance_add (subject, "value/patch", test_patch);
  conformance_add (subject, "value/patch-past-the-end-fills-with-zeros", test_patch_past_the_end);
  conformance_add (subject, "value/patch-after-delete", test_patch_after_delete);
  conformance_add (subject, "value/large", test_large);
  conformance_add (subject, "value/foreach", test_foreach);
  conformance_add (subject, "value/foreach-while-writing", test_foreach_while_writing);
}
