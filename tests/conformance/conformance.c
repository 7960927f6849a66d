/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The frame of the conformance suite: a fixture with a loop and an empty place, and short words for what tests say.
 */
#include "conformance-fixture.h"

#include <string.h>

typedef struct {
  const RookConformance *subject;
  ConformanceFunc func;
} Case;

static void
run_case (gconstpointer data)
{
  const Case *one = data;
  Fixture f = { .subject = one->subject };

  f.loop = rook_loop_new (2);
  f.path = f.subject->place_new (&f.data);
  one->func (&f);
  if (f.store != NULL)
    rook_store_close (f.store);
  rook_loop_free (f.loop);
  f.subject->place_free (f.path, f.data);
}

void
conformance_add (const RookConformance *subject, const char *path, ConformanceFunc func)
{
  g_autofree char *full = g_strdup_printf ("/conformance/%s/%s", subject->name, path);
  Case *one = g_new (Case, 1);

  *one = (Case){ subject, func };
  g_test_add_data_func_full (full, one, run_case, g_free);
}

void
rook_conformance_add_tests (const RookConformance *subject)
{
  conformance_add_open_tests (subject);
  conformance_add_value_tests (subject);
  conformance_add_order_tests (subject);
  conformance_add_blob_tests (subject);
  conformance_add_model_tests (subject);
}

void
conformance_open (Fixture *f)
{
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = f->path, .create = TRUE };
  g_autoptr (GError) error = NULL;

  f->store = rook_store_open_backend (NULL, f->subject->backend, f->data, &spec, &error);
  g_assert_no_error (error);
  g_assert_nonnull (f->store);
}

void
conformance_reopen (Fixture *f)
{
  rook_store_close (f->store);
  conformance_open (f);
}

void
conformance_open_fails (Fixture *f, const RookStoreSpec *spec, RookStoreError code)
{
  g_autoptr (GError) error = NULL;
  RookStore *store = rook_store_open_backend (NULL, f->subject->backend, f->data, spec, &error);

  g_assert_null (store);
  g_assert_error (error, ROOK_STORE_ERROR, (int) code);
}

void
conformance_commit (Fixture *f, RookBatch *batch)
{
  g_autoptr (GError) error = NULL;
  gboolean ok = rook_store_commit_wait (f->store, batch, NULL, &error);

  g_assert_no_error (error);
  g_assert_true (ok);
}

GBytes *
conformance_bytes (const char *text)
{
  return g_bytes_new (text, strlen (text));
}

void
conformance_put (RookBatch *batch, RookTable table, const char *key, const char *value)
{
  g_autoptr (GBytes) k = conformance_bytes (key);
  g_autoptr (GBytes) v = conformance_bytes (value);

  rook_batch_put (batch, table, k, v);
}

void
conformance_patch (RookBatch *batch, RookTable table, const char *key, guint64 offset, const char *bytes)
{
  g_autoptr (GBytes) k = conformance_bytes (key);
  g_autoptr (GBytes) v = conformance_bytes (bytes);

  rook_batch_patch (batch, table, k, offset, v);
}

void
conformance_expect_bytes (GBytes *bytes, gconstpointer data, gsize length)
{
  g_assert_nonnull (bytes);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), data, length);
}

void
conformance_expect (Fixture *f, RookTable table, const char *key, const char *value)
{
  g_autoptr (GBytes) k = conformance_bytes (key);
  g_autoptr (GBytes) found = NULL;
  g_autoptr (GError) error = NULL;
  gboolean ok = rook_store_get_wait (f->store, table, k, &found, &error);

  g_assert_no_error (error);
  g_assert_true (ok);
  if (value == NULL)
    g_assert_null (found);
  else
    conformance_expect_bytes (found, value, strlen (value));
}

void
conformance_expect_blob (Fixture *f, RookBlobId blob, const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = rook_store_read_wait (f->store, blob, 0, G_MAXSIZE, &error);

  if (text == NULL)
    {
      g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_NOT_FOUND);
      return;
    }
  g_assert_no_error (error);
  conformance_expect_bytes (bytes, text, strlen (text));
}

RookBlobId
conformance_blob (RookBatch *batch, const char *content_key, const char *label, const char *body)
{
  g_autoptr (GBytes) k = content_key != NULL ? conformance_bytes (content_key) : NULL;
  g_autoptr (GBytes) l = label != NULL ? conformance_bytes (label) : NULL;
  g_autoptr (GBytes) b = conformance_bytes (body);

  return rook_batch_blob (batch, ROOK_BLOB_MAIL, k, l, b);
}

GBytes *
conformance_body (guint32 seed, gsize length)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  guint8 *data = g_malloc (length + 1);

  for (gsize i = 0; i < length; i++)
    data[i] = (guint8) g_rand_int (rand);
  return g_bytes_new_take (data, length);
}

static void
report_fault (const RookStoreFault *fault, gpointer data)
{
  guint *faults = data;

  g_test_message ("fault: %s", fault->text);
  (*faults)++;
}

void
conformance_expect_clean (Fixture *f)
{
  g_autoptr (GError) error = NULL;
  guint faults = 0;

  if (!rook_store_verify (f->store, report_fault, &faults, NULL, NULL, &error)
      && g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNSUPPORTED))
    return;
  g_assert_no_error (error);
  g_assert_cmpuint (faults, ==, 0);
}

/* --- workers -------------------------------------------------------------------------------------------------------- */

void
conformance_on_worker (Fixture *f, RookFunc func, gpointer data)
{
  rook_worker_invoke (rook_loop_get_worker (f->loop, 0), func, data, NULL);
  rook_loop_run (f->loop);
}

void
conformance_done (void)
{
  rook_loop_quit (rook_worker_get_loop (rook_worker_current ()));
}
