/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening and closing: identity, the lock, what survives.
 */
#include "conformance-fixture.h"

static void
test_not_initialised_without_create (Fixture *f)
{
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = f->path };

  conformance_open_fails (f, &spec, ROOK_STORE_ERROR_IDENTITY);
  conformance_open (f);
}

static void
test_known_store_not_initialised (Fixture *f)
{
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = f->path, .create = TRUE, .store_id = "abc" };

  conformance_open_fails (f, &spec, ROOK_STORE_ERROR_IDENTITY);
}

static void
test_id_stays (Fixture *f)
{
  g_autofree char *id = NULL;

  conformance_open (f);
  id = g_strdup (rook_store_get_id (f->store));
  g_assert_cmpstr (id, !=, "");
  conformance_reopen (f);
  g_assert_cmpstr (rook_store_get_id (f->store), ==, id);
}

static void
test_foreign_refused (Fixture *f)
{
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = f->path, .create = TRUE, .store_id = "another" };

  conformance_open (f);
  rook_store_close (g_steal_pointer (&f->store));
  conformance_open_fails (f, &spec, ROOK_STORE_ERROR_IDENTITY);
}

static void
test_older_refused (Fixture *f)
{
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = f->path };

  conformance_open (f);
  spec.min_position = rook_store_get_position (f->store) + 1;
  rook_store_close (g_steal_pointer (&f->store));
  conformance_open_fails (f, &spec, ROOK_STORE_ERROR_IDENTITY);
  conformance_open (f);
}

static void
test_second_open_locked (Fixture *f)
{
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = f->path };

  conformance_open (f);
  conformance_open_fails (f, &spec, ROOK_STORE_ERROR_LOCKED);
}

static void
test_everything_survives (Fixture *f)
{
  RookBatch *batch;
  RookBlobId blob;

  conformance_open (f);
  batch = rook_batch_new (f->store);
  conformance_put (batch, 1, "key", "value");
  conformance_put (batch, 2, "key", "other");
  blob = conformance_blob (batch, NULL, "label", "body");
  conformance_commit (f, batch);
  for (int i = 0; i < 3; i++)
    {
      conformance_reopen (f);
      conformance_expect (f, 1, "key", "value");
      conformance_expect (f, 2, "key", "other");
      conformance_expect_blob (f, blob, "body");
    }
  conformance_expect_clean (f);
}

static void
test_position_grows (Fixture *f)
{
  guint64 before, position;

  conformance_open (f);
  before = rook_store_get_position (f->store);
  for (int i = 0; i < 6; i++)
    {
      RookBatch *batch = rook_batch_new (f->store);

      conformance_put (batch, 0, "key", "value");
      g_assert_true (rook_store_commit_wait (f->store, batch, &position, NULL));
      g_assert_cmpuint (position, >, before);
      g_assert_cmpuint (rook_store_get_position (f->store), ==, position);
      before = position;
      if (i % 2)
        conformance_reopen (f);
      g_assert_cmpuint (rook_store_get_position (f->store), ==, position);
    }
}

static void
test_upkeep_keeps_everything (Fixture *f)
{
  gboolean more = TRUE;
  RookBlobId blob = 0;

  conformance_open (f);
  for (int i = 0; i < 4; i++)
    {
      RookBatch *batch = rook_batch_new (f->store);

      conformance_put (batch, 1, i % 2 ? "odd" : "even", i % 2 ? "one" : "two");
      if (i == 0)
        blob = conformance_blob (batch, NULL, NULL, "body");
      conformance_commit (f, batch);
      g_assert_true (rook_store_checkpoint (f->store, NULL));
      if (i % 2)
        conformance_reopen (f);
    }
  for (int i = 0; more && i < 100; i++)
    g_assert_true (rook_store_compact (f->store, &more, NULL));
  g_assert_false (more);
  conformance_expect (f, 1, "odd", "one");
  conformance_expect (f, 1, "even", "two");
  conformance_expect_blob (f, blob, "body");
  conformance_expect_clean (f);
  g_variant_unref (g_variant_ref_sink (rook_store_stats (f->store)));
}

/* Says no when it is asked the nth time. */
typedef struct {
  guint nth, n_calls;
} Patience;

static gboolean
lose_patience (double percent, const char *text, gpointer data)
{
  Patience *patience = data;

  g_assert_cmpfloat (percent, >=, 0);
  g_assert_cmpfloat (percent, <=, 100);
  g_assert_nonnull (text);
  return ++patience->n_calls < patience->nth;
}

static void
no_fault (const RookStoreFault *fault, gpointer data G_GNUC_UNUSED)
{
  g_error ("fault: %s", fault->text);
}

static void
test_verify_stops_when_told (Fixture *f)
{
  Patience patience = { 1, 0 };
  gboolean done = FALSE;
  RookBatch *batch;
  RookBlobId blob;

  conformance_open (f);
  batch = rook_batch_new (f->store);
  conformance_put (batch, 1, "key", "value");
  blob = conformance_blob (batch, NULL, NULL, "body");
  conformance_commit (f, batch);
  for (; !done; patience = (Patience){ patience.nth + 1, 0 })
    {
      g_autoptr (GError) error = NULL;

      done = rook_store_verify (f->store, no_fault, NULL, lose_patience, &patience, &error);
      if (g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNSUPPORTED))
        return;
      g_assert_cmpuint (patience.n_calls, >, 0);
      g_assert_cmpuint (patience.n_calls, <=, patience.nth);
      if (done)
        g_assert_no_error (error);
      else
        g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CANCELLED);
      g_assert_true (done == (patience.n_calls < patience.nth));
    }
  conformance_expect (f, 1, "key", "value");
  conformance_expect_blob (f, blob, "body");
  conformance_expect_clean (f);
}

void
conformance_add_open_tests (const RookConformance *subject)
{
  conformance_add (subject, "open/not-initialised-without-create", test_not_initialised_without_create);
  conformance_add (subject, "open/known-store-not-initialised", test_known_store_not_initialised);
  conformance_add (subject, "open/id-stays", test_id_stays);
  conformance_add (subject, "open/foreign-refused", test_foreign_refused);
  conformance_add (subject, "open/older-refused", test_older_refused);
  conformance_add (subject, "open/second-open-locked", test_second_open_locked);
  conformance_add (subject, "open/everything-survives", test_everything_survives);
  conformance_add (subject, "open/position-grows", test_position_grows);
  conformance_add (subject, "open/upkeep-keeps-everything", test_upkeep_keeps_everything);
  conformance_add (subject, "open/verify-stops-when-told", test_verify_stops_when_told);
}
