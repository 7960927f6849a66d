/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random operations by several threads against a model kept beside them; then opened anew, everything is compared; and on,
 * for ROOKERY_TEST_SECONDS. The seed is g_test's, so that a failure can be repeated with --seed.
 */
#include "conformance-fixture.h"
#include "test-budget.h"

#include <string.h>

#define N_THREADS 4
#define N_BATCHES 100 /* of a thread, before it is all compared */
#define N_KEYS 40
#define N_BLOBS 60

typedef struct {
  Fixture *f;
  GRand *rand;                /* (owned) */
  RookTable table;            /* its own */
  GByteArray *values[N_KEYS]; /* (owned) (nullable) */
  RookBlobId blobs[N_BLOBS];
  guint32 seeds[N_BLOBS]; /* of the body */
} Model;

static GBytes *
key_of (guint key)
{
  g_autofree char *text = g_strdup_printf ("key %u", key);

  return conformance_bytes (text);
}

static gsize
body_size (guint32 seed)
{
  return seed % 7 == 0 ? 100000 + seed % 1000 : seed % 3000;
}

static void
model_put (Model *m, RookBatch *batch, guint k)
{
  g_autoptr (GBytes) key = key_of (k);
  g_autoptr (GBytes) value = conformance_body (g_rand_int (m->rand), (gsize) g_rand_int_range (m->rand, 0, 2000));

  rook_batch_put (batch, m->table, key, value);
  g_clear_pointer (&m->values[k], g_byte_array_unref);
  m->values[k] = g_byte_array_new ();
  g_byte_array_append (m->values[k], g_bytes_get_data (value, NULL), (guint) g_bytes_get_size (value));
}

static void
model_patch (Model *m, RookBatch *batch, guint k)
{
  g_autoptr (GBytes) key = key_of (k);
  g_autoptr (GBytes) value = conformance_body (g_rand_int (m->rand), (gsize) g_rand_int_range (m->rand, 0, 60));
  guint size = (guint) g_bytes_get_size (value), old_size, offset;

  if (m->values[k] == NULL)
    m->values[k] = g_byte_array_new ();
  old_size = m->values[k]->len;
  offset = (guint) g_rand_int_range (m->rand, 0, (gint32) old_size + 20);
  rook_batch_patch (batch, m->table, key, offset, value);
  if (offset + size > old_size)
    {
      g_byte_array_set_size (m->values[k], offset + size);
      memset (m->values[k]->data + old_size, 0, offset + size - old_size);
    }
  if (size > 0)
    memcpy (m->values[k]->data + offset, g_bytes_get_data (value, NULL), size);
}

static void
model_delete (Model *m, RookBatch *batch, guint k)
{
  g_autoptr (GBytes) key = key_of (k);

  rook_batch_delete (batch, m->table, key);
  g_clear_pointer (&m->values[k], g_byte_array_unref);
}

/* Half of the bodies come from a few seeds, with the seed as their content key: they are shared. */
static void
model_blob (Model *m, RookBatch *batch, guint b)
{
  gboolean shared = g_rand_boolean (m->rand);
  guint32 seed = shared ? (guint32) g_rand_int_range (m->rand, 0, 8) : g_rand_int (m->rand);
  g_autoptr (GBytes) body = conformance_body (seed, body_size (seed));
  g_autoptr (GBytes) content_key = shared ? g_bytes_new (&seed, sizeof seed) : NULL;

  if (m->blobs[b] != 0)
    rook_batch_release (batch, m->blobs[b]);
  m->blobs[b] = rook_batch_blob (batch, ROOK_BLOB_MAIL, content_key, NULL, body);
  m->seeds[b] = seed;
}

static void
model_copy (Model *m, RookBatch *batch, guint b)
{
  guint from = (guint) g_rand_int_range (m->rand, 0, N_BLOBS);

  if (m->blobs[from] == 0 || from == b)
    return;
  if (m->blobs[b] != 0)
    rook_batch_release (batch, m->blobs[b]);
  m->blobs[b] = rook_batch_share (batch, m->blobs[from], NULL);
  m->seeds[b] = m->seeds[from];
}

static void
model_release (Model *m, RookBatch *batch, guint b)
{
  if (m->blobs[b] != 0)
    rook_batch_release (batch, m->blobs[b]);
  m->blobs[b] = 0;
}

static void
model_step (Model *m, RookBatch *batch)
{
  guint k = (guint) g_rand_int_range (m->rand, 0, N_KEYS), b = (guint) g_rand_int_range (m->rand, 0, N_BLOBS);

  switch (g_rand_int_range (m->rand, 0, 10))
    {
    case 0:
    case 1:
      model_put (m, batch, k);
      break;
    case 2:
    case 3:
    case 4:
    case 5:
      model_patch (m, batch, k);
      break;
    case 6:
      model_delete (m, batch, k);
      break;
    case 7:
      model_blob (m, batch, b);
      break;
    case 8:
      model_copy (m, batch, b);
      break;
    default:
      model_release (m, batch, b);
      break;
    }
}

static void
model_check_key (Model *m, guint k)
{
  g_autoptr (GBytes) key = key_of (k);
  g_autoptr (GBytes) value = NULL;
  g_autoptr (GError) error = NULL;

  rook_store_get_wait (m->f->store, m->table, key, &value, &error);
  g_assert_no_error (error);
  g_assert_true ((value != NULL) == (m->values[k] != NULL));
  if (value != NULL)
    conformance_expect_bytes (value, m->values[k]->data, m->values[k]->len);
}

static void
model_check_blob (Model *m, guint b)
{
  g_autoptr (GBytes) body = NULL;
  g_autoptr (GBytes) found = NULL;
  g_autoptr (GError) error = NULL;

  if (m->blobs[b] == 0)
    return;
  body = conformance_body (m->seeds[b], body_size (m->seeds[b]));
  found = rook_store_read_wait (m->f->store, m->blobs[b], 0, G_MAXSIZE, &error);
  g_assert_no_error (error);
  g_assert_true (g_bytes_equal (found, body));
}

static void
model_check (Model *m)
{
  for (guint k = 0; k < N_KEYS; k++)
    model_check_key (m, k);
  for (guint b = 0; b < N_BLOBS; b++)
    model_check_blob (m, b);
}

static gpointer
model_run (gpointer data)
{
  Model *m = data;

  for (guint i = 0; i < N_BATCHES; i++)
    {
      RookBatch *batch = rook_batch_new (m->f->store);

      for (int n = g_rand_int_range (m->rand, 0, 6); n > 0; n--)
        model_step (m, batch);
      conformance_commit (m->f, batch);
      if (g_rand_int_range (m->rand, 0, 60) == 0)
        g_assert_true (rook_store_checkpoint (m->f->store, NULL));
      if (g_rand_int_range (m->rand, 0, 60) == 0)
        g_assert_true (rook_store_compact (m->f->store, NULL, NULL));
      model_check_key (m, (guint) g_rand_int_range (m->rand, 0, N_KEYS));
      model_check_blob (m, (guint) g_rand_int_range (m->rand, 0, N_BLOBS));
    }
  return NULL;
}

static void
model_clear (Model *m)
{
  for (guint k = 0; k < N_KEYS; k++)
    g_clear_pointer (&m->values[k], g_byte_array_unref);
  g_rand_free (m->rand);
}

static void
test_random (Fixture *f)
{
  Model models[N_THREADS];
  GThread *threads[N_THREADS];
  gint64 end = test_budget_end (0.5);

  conformance_open (f);
  for (guint i = 0; i < N_THREADS; i++)
    models[i] = (Model){ .f = f, .rand = g_rand_new_with_seed ((guint32) g_test_rand_int ()), .table = i };
  for (guint round = 0; round < 3 || g_get_monotonic_time () < end; round++)
    {
      for (guint i = 0; i < N_THREADS; i++)
        threads[i] = g_thread_new ("model", model_run, &models[i]);
      for (guint i = 0; i < N_THREADS; i++)
        g_thread_join (threads[i]);
      conformance_reopen (f);
      for (guint i = 0; i < N_THREADS; i++)
        model_check (&models[i]);
      conformance_expect_clean (f);
    }
  for (guint i = 0; i < N_THREADS; i++)
    model_clear (&models[i]);
}

void
conformance_add_model_tests (const RookConformance *subject)
{
  conformance_add (subject, "model/random", test_random);
}
