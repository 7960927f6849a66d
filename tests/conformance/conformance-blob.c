/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Blobs: writing, reading, sharing, releasing, staging, listing.
 */
#include "conformance-fixture.h"

#include <string.h>

static void
test_read (Fixture *f)
{
  const struct {
    guint64 offset;
    gsize length;
    const char *expected;
  } reads[] = {
    { 0, 10, "0123456789" }, { 0, G_MAXSIZE, "0123456789" },
    { 0, 3, "012" },         { 4, 3, "456" },
    { 8, 100, "89" },        { 10, 5, "" },
    { 99, 5, "" },           { 3, 0, "" },
  };
  RookBatch *batch;
  RookBlobId blob;

  conformance_open (f);
  batch = rook_batch_new (f->store);
  blob = conformance_blob (batch, NULL, NULL, "0123456789");
  conformance_commit (f, batch);
  for (guint i = 0; i < G_N_ELEMENTS (reads); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GBytes) bytes = rook_store_read_wait (f->store, blob, reads[i].offset, reads[i].length, &error);
      g_autoptr (GBytes) at_once = NULL;

      g_assert_no_error (error);
      conformance_expect_bytes (bytes, reads[i].expected, strlen (reads[i].expected));
      at_once = rook_store_try_read (f->store, blob, reads[i].offset, reads[i].length);
      if (at_once != NULL)
        conformance_expect_bytes (at_once, reads[i].expected, strlen (reads[i].expected));
    }
  conformance_expect_blob (f, blob + 1000000, NULL);
}

static void
test_sizes (Fixture *f)
{
  static const gsize sizes[] = { 0, 1, 4095, 4096, 65535, 65536, 65537, 131072, 200001, 5000000 };
  RookBlobId blobs[G_N_ELEMENTS (sizes)];
  RookBatch *batch;

  conformance_open (f);
  batch = rook_batch_new (f->store);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr (GBytes) body = conformance_body (i, sizes[i]);

      blobs[i] = rook_batch_blob (batch, i % 2 ? ROOK_BLOB_MAIL : ROOK_BLOB_CACHE, NULL, NULL, body);
    }
  conformance_commit (f, batch);
  for (int round = 0; round < 2; round++)
    {
      for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
        {
          g_autoptr (GBytes) body = conformance_body (i, sizes[i]);
          g_autoptr (GBytes) found = rook_store_read_wait (f->store, blobs[i], 0, G_MAXSIZE, NULL);
          g_autoptr (GBytes) half = rook_store_read_wait (f->store, blobs[i], sizes[i] / 2, 70000, NULL);
          g_autoptr (GBytes) expected =
              g_bytes_new_from_bytes (body, sizes[i] / 2, MIN (70000, sizes[i] - sizes[i] / 2));

          g_assert_true (found != NULL && g_bytes_equal (found, body));
          g_assert_true (half != NULL && g_bytes_equal (half, expected));
        }
      conformance_reopen (f);
    }
}

static void
test_id_is_known_at_once (Fixture *f)
{
  RookBatch *batch;
  RookBlobId blob, found;
  g_autoptr (GBytes) key = conformance_bytes ("record");
  g_autoptr (GBytes) value = NULL;
  g_autoptr (GBytes) read = NULL;

  conformance_open (f);
  batch = rook_batch_new (f->store);
  blob = conformance_blob (batch, NULL, NULL, "body");
  value = g_bytes_new (&blob, sizeof blob);
  rook_batch_put (batch, 1, key, value);
  conformance_commit (f, batch);
  g_assert_true (rook_store_get_wait (f->store, 1, key, &read, NULL));
  memcpy (&found, g_bytes_get_data (read, NULL), sizeof found);
  conformance_expect_blob (f, found, "body");
}

static void
test_ids_never_given_again (Fixture *f)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);

  conformance_open (f);
  for (int i = 0; i < 40; i++)
    {
      RookBatch *batch = rook_batch_new (f->store);
      RookBlobId blob = conformance_blob (batch, NULL, NULL, "body");

      g_assert_cmpuint (blob, !=, 0);
      g_assert_true (g_hash_table_add (seen, g_memdup2 (&blob, sizeof blob)));
      if (i % 3 == 0)
        rook_batch_release (batch, blob);
      if (i % 2)
        conformance_commit (f, batch);
      else
        rook_batch_free (batch);
      if (i % 5 == 4)
        conformance_reopen (f);
    }
}

static void
test_release (Fixture *f)
{
  RookBatch *batch;
  RookBlobId blob, other;

  conformance_open (f);
  batch = rook_batch_new (f->store);
  blob = conformance_blob (batch, NULL, NULL, "body");
  other = conformance_blob (batch, NULL, NULL, "other");
  conformance_commit (f, batch);
  for (int i = 0; i < 2; i++) /* the second releases nothing */
    {
      batch = rook_batch_new (f->store);
      rook_batch_release (batch, blob);
      conformance_commit (f, batch);
      conformance_expect_blob (f, other, "other");
    }
  conformance_expect_blob (f, blob, NULL);
  conformance_reopen (f);
  conformance_expect_blob (f, blob, NULL);
  conformance_expect_blob (f, other, "other");
  g_assert_true (rook_store_checkpoint (f->store, NULL));
  conformance_expect_blob (f, blob, NULL);
  conformance_expect_blob (f, other, "other");
  conformance_expect_clean (f);
}

static void
test_share (Fixture *f)
{
  RookBatch *batch;
  RookBlobId blob, same_batch, later, nothing;

  conformance_open (f);
  batch = rook_batch_new (f->store);
  blob = conformance_blob (batch, NULL, "first", "body");
  same_batch = rook_batch_share (batch, blob, NULL);
  conformance_commit (f, batch);
  batch = rook_batch_new (f->store);
  later = rook_batch_share (batch, same_batch, NULL);
  nothing = rook_batch_share (batch, G_MAXUINT64 - 7, NULL);
  conformance_commit (f, batch);
  conformance_expect_blob (f, same_batch, "body");
  conformance_expect_blob (f, later, "body");
  conformance_expect_blob (f, nothing, NULL);
  batch = rook_batch_new (f->store);
  rook_batch_release (batch, blob);
  rook_batch_release (batch, same_batch);
  conformance_commit (f, batch);
  g_assert_true (rook_store_checkpoint (f->store, NULL));
  conformance_reopen (f);
  conformance_expect_blob (f, blob, NULL);
  conformance_expect_blob (f, same_batch, NULL);
  conformance_expect_blob (f, later, "body");
  conformance_expect_clean (f);
}

static void
test_content_key (Fixture *f)
{
  RookBatch *batch;
  RookBlobId blobs[6];

  conformance_open (f);
  batch = rook_batch_new (f->store);
  blobs[0] = conformance_blob (batch, "key", "a", "the same");
  blobs[1] = conformance_blob (batch, "key", "b", "the same");
  conformance_commit (f, batch);
  conformance_reopen (f);
  batch = rook_batch_new (f->store);
  blobs[2] = conformance_blob (batch, "key", "c", "the same");
  blobs[3] = conformance_blob (batch, "key", "d", "another!"); /* as long, not equal */
  blobs[4] = conformance_blob (batch, "key", "e", "longer than that");
  conformance_commit (f, batch);
  g_assert_true (rook_store_checkpoint (f->store, NULL));
  batch = rook_batch_new (f->store);
  for (int i = 0; i < 3; i++)
    rook_batch_release (batch, blobs[i]);
  conformance_commit (f, batch);
  batch = rook_batch_new (f->store);
  blobs[5] = conformance_blob (batch, "key", "f", "the same"); /* stored again */
  conformance_commit (f, batch);
  for (int i = 0; i < 2; i++)
    {
      conformance_expect_blob (f, blobs[0], NULL);
      conformance_expect_blob (f, blobs[2], NULL);
      conformance_expect_blob (f, blobs[3], "another!");
      conformance_expect_blob (f, blobs[4], "longer than that");
      conformance_expect_blob (f, blobs[5], "the same");
      conformance_reopen (f);
    }
  conformance_expect_clean (f);
}

static gboolean
collect_label (const RookBlobInfo *info, gpointer data)
{
  GHashTable *labels = data;
  g_autofree char *label = NULL;

  g_assert_cmpuint (info->length, ==, 4);
  if (info->label == NULL)
    return TRUE;
  label = g_strndup (g_bytes_get_data (info->label, NULL), g_bytes_get_size (info->label));
  g_assert_true (g_hash_table_insert (labels, g_memdup2 (&info->id, sizeof info->id), g_steal_pointer (&label)));
  return TRUE;
}

static void
test_foreach_blob (Fixture *f)
{
  RookBatch *batch;
  RookBlobId one, two, gone;

  conformance_open (f);
  batch = rook_batch_new (f->store);
  one = conformance_blob (batch, "key", "label one", "body");
  two = rook_batch_share (batch, one, NULL);
  two = conformance_blob (batch, "key", "label two", "body");
  gone = conformance_blob (batch, NULL, "label three", "gone");
  conformance_commit (f, batch);
  batch = rook_batch_new (f->store);
  rook_batch_release (batch, gone);
  conformance_commit (f, batch);
  for (int i = 0; i < 3; i++)
    {
      g_autoptr (GHashTable) labels = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, g_free);
      g_autoptr (GError) error = NULL;

      if (!rook_store_foreach_blob (f->store, collect_label, labels, &error)
          && g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNSUPPORTED))
        return;
      g_assert_no_error (error);
      g_assert_cmpuint (g_hash_table_size (labels), ==, 2);
      g_assert_cmpstr (g_hash_table_lookup (labels, &one), ==, "label one");
      g_assert_cmpstr (g_hash_table_lookup (labels, &two), ==, "label two");
      if (i == 0)
        conformance_reopen (f);
      else
        g_assert_true (rook_store_checkpoint (f->store, NULL));
    }
}

/* %FALSE if the backend can't. */
static gboolean
begin_stage (Fixture *f, guint64 *out_stage)
{
  g_autoptr (GError) error = NULL;

  if (rook_store_stage_begin (f->store, ROOK_BLOB_MAIL, out_stage, &error))
    return TRUE;
  g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNSUPPORTED);
  g_test_skip ("no staging");
  return FALSE;
}

static guint64
write_stage (Fixture *f, guint64 stage, GBytes *body)
{
  gsize size = g_bytes_get_size (body);
  const guint8 *data = g_bytes_get_data (body, NULL);

  for (gsize at = 0; at < size; at += 100000)
    g_assert_true (rook_store_stage_write (f->store, stage, data + at, MIN (100000, size - at), NULL));
  g_assert_true (rook_store_stage_finish (f->store, stage, NULL));
  return stage;
}

static void
test_stage (Fixture *f)
{
  g_autoptr (GBytes) body = conformance_body (1, 3000000);
  g_autoptr (GBytes) content_key = conformance_bytes ("key");
  RookBatch *batch;
  guint64 stage, second;
  RookBlobId blob, again, copy;

  conformance_open (f);
  if (!begin_stage (f, &stage) || !begin_stage (f, &second))
    return;
  write_stage (f, stage, body);
  batch = rook_batch_new (f->store);
  blob = rook_batch_adopt (batch, ROOK_BLOB_MAIL, content_key, NULL, stage);
  copy = rook_batch_share (batch, blob, NULL);
  conformance_commit (f, batch);
  write_stage (f, second, body);
  batch = rook_batch_new (f->store);
  again = rook_batch_adopt (batch, ROOK_BLOB_MAIL, content_key, NULL, second);
  rook_batch_release (batch, blob);
  conformance_commit (f, batch);
  for (int i = 0; i < 2; i++)
    {
      g_autoptr (GBytes) found = rook_store_read_wait (f->store, again, 0, G_MAXSIZE, NULL);
      g_autoptr (GBytes) part = rook_store_read_wait (f->store, copy, 1234567, 10, NULL);

      g_assert_true (found != NULL && g_bytes_equal (found, body));
      conformance_expect_bytes (part, (const guint8 *) g_bytes_get_data (body, NULL) + 1234567, 10);
      conformance_expect_blob (f, blob, NULL);
      conformance_reopen (f);
    }
  conformance_expect_clean (f);
}

static void
test_stage_dropped (Fixture *f)
{
  guint64 stage;

  conformance_open (f);
  if (!begin_stage (f, &stage))
    return;
  g_assert_true (rook_store_stage_write (f->store, stage, "half", 4, NULL));
  rook_store_stage_drop (f->store, stage);
  if (!begin_stage (f, &stage)) /* left to the close */
    return;
  g_assert_true (rook_store_stage_write (f->store, stage, "half", 4, NULL));
  conformance_reopen (f);
  conformance_expect_clean (f);
}

void
conformance_add_blob_tests (const RookConformance *subject)
{
  conformance_add (subject, "blob/read", test_read);
  conformance_add (subject, "blob/sizes", test_sizes);
  conformance_add (subject, "blob/id-is-known-at-once", test_id_is_known_at_once);
  conformance_add (subject, "blob/ids-never-given-again", test_ids_never_given_again);
  conformance_add (subject, "blob/release", test_release);
  conformance_add (subject, "blob/share", test_share);
  conformance_add (subject, "blob/content-key", test_content_key);
  conformance_add (subject, "blob/foreach", test_foreach_blob);
  conformance_add (subject, "blob/stage", test_stage);
  conformance_add (subject, "blob/stage-dropped", test_stage_dropped);
}
