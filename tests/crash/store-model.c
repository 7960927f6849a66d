/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See store-model.h. A batch of a writer: a record under its number with a body, every third one shared by all writers and
 * some streamed ahead, something derived from it for the cache, the number patched into a counter and into one slot of a
 * page, and the record of MODEL_KEPT numbers ago deleted.
 */
#include "store-model.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>

#define SLOTS 64
#define SLOT_SIZE 64
#define STREAMED 13 /* one in so many bodies is streamed ahead: each takes a file of its own */

/* What a record says: its number, and the blobs that were written with it. */
typedef struct {
  guint64 number;
  RookBlobId blob;
  RookBlobId cache;
} Record;

RookStore *
model_open (const char *path, const GsSettings *settings)
{
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = path, .create = TRUE };
  g_autoptr (GError) error = NULL;
  RookStore *store = rook_store_open_backend (NULL, &gs_backend, (gpointer) settings, &spec, &error);

  g_assert_no_error (error);
  return store;
}

static GBytes *
number_key (guint writer)
{
  g_autofree char *text = g_strdup_printf ("thread %u", writer);

  return g_bytes_new (text, strlen (text));
}

static GBytes *
record_key (guint writer, guint64 number)
{
  g_autofree char *text = g_strdup_printf ("record %u %" G_GUINT64_FORMAT, writer, number);

  return g_bytes_new (text, strlen (text));
}

/* Every third body is the same for all threads. */
static GBytes *
body_of (guint writer, guint64 number)
{
  guint32 seed = (guint32) (number % 3 == 0 ? number : number * 31 + writer);
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  gsize size = seed % 17 == 0 ? 70000 : 100 + seed % 3000;
  guint32 *data = g_malloc (size / 4 * 4 + 4);

  for (gsize i = 0; i < size / 4 + 1; i++)
    data[i] = g_rand_int (rand);
  return g_bytes_new_take (data, size);
}

/* What is derived from the body: its end. */
static GBytes *
cache_of (GBytes *body)
{
  gsize size = g_bytes_get_size (body), length = MIN (size, 700);

  return g_bytes_new_from_bytes (body, size - length, length);
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

guint64
model_last (RookStore *store, guint writer)
{
  g_autoptr (GBytes) key = number_key (writer);
  guint64 number = 0;

  get (store, 1, key, &number, sizeof number);
  return number;
}

static void
drop_old (RookStore *store, RookBatch *batch, guint writer, guint64 number)
{
  g_autoptr (GBytes) key = record_key (writer, number);
  Record record;

  if (!get (store, 2, key, &record, sizeof record))
    return;
  rook_batch_delete (batch, 2, key);
  rook_batch_release (batch, record.blob);
  rook_batch_release (batch, record.cache);
}

/* Returns: the stage; 0: the disk failed. */
static guint64
stream (RookStore *store, GBytes *body)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (body, &size);
  g_autoptr (GError) error = NULL;
  guint64 stage = 0;

  rook_store_stage_begin (store, ROOK_BLOB_MAIL, &stage, &error);
  g_assert_no_error (error);
  rook_store_stage_write (store, stage, data, size / 2, &error);
  g_assert_no_error (error);
  rook_store_stage_write (store, stage, data + size / 2, size - size / 2, &error);
  g_assert_no_error (error);
  if (rook_store_stage_finish (store, stage, &error))
    return stage;
  g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IO);
  rook_store_stage_drop (store, stage);
  return 0;
}

RookBatch *
model_batch (RookStore *store, guint writer, guint64 number)
{
  RookBatch *batch = rook_batch_new (store);
  g_autoptr (GBytes) key = record_key (writer, number);
  g_autoptr (GBytes) counter = number_key (writer);
  g_autoptr (GBytes) body = body_of (writer, number);
  g_autoptr (GBytes) content_key = number % 3 == 0 ? g_bytes_new (&number, sizeof number) : NULL;
  g_autoptr (GBytes) derived = cache_of (body);
  g_autoptr (GBytes) text = NULL;
  g_autoptr (GBytes) value = NULL;
  Record record = { number, 0, 0 };
  guint64 stage = number % STREAMED == 0 ? stream (store, body) : 0;

  record.blob = stage != 0 ? rook_batch_adopt (batch, ROOK_BLOB_MAIL, content_key, key, stage)
                           : rook_batch_blob (batch, ROOK_BLOB_MAIL, content_key, key, body);
  record.cache = rook_batch_blob (batch, ROOK_BLOB_CACHE, NULL, key, derived);
  value = g_bytes_new (&record, sizeof record);
  text = g_bytes_new (&number, sizeof number);
  rook_batch_put (batch, 2, key, value);
  rook_batch_patch (batch, 1, counter, 0, text);
  rook_batch_patch (batch, 3, counter, number % SLOTS * SLOT_SIZE, text);
  if (number > MODEL_KEPT)
    drop_old (store, batch, writer, number - MODEL_KEPT);
  return batch;
}

static void
report_fault (const RookStoreFault *fault, gpointer data G_GNUC_UNUSED)
{
  g_error ("verify: %s", fault->text);
}

/* Each slot of the page says the last number that was patched into it. */
static void
check_page (RookStore *store, guint writer, guint64 last)
{
  g_autoptr (GBytes) key = number_key (writer);
  g_autoptr (GBytes) page = NULL;
  g_autoptr (GError) error = NULL;

  rook_store_get_wait (store, 3, key, &page, &error);
  g_assert_no_error (error);
  g_assert_true ((page != NULL) == (last > 0));
  for (guint slot = 0; page != NULL && slot < SLOTS; slot++)
    {
      guint64 found = 0, expected = last < slot ? 0 : last - (last - slot) % SLOTS;

      if (slot * SLOT_SIZE + sizeof found <= g_bytes_get_size (page))
        memcpy (&found, (const char *) g_bytes_get_data (page, NULL) + slot * SLOT_SIZE, sizeof found);
      g_assert_cmpuint (found, ==, expected);
    }
}

/* A cut may take what is derived, and must not make anything else of it. */
static void
check_cache (RookStore *store, RookBlobId cache, GBytes *body)
{
  g_autoptr (GBytes) expected = cache_of (body);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) found = rook_store_read_wait (store, cache, 0, G_MAXSIZE, &error);

  if (found != NULL)
    g_assert_true (g_bytes_equal (found, expected));
  else
    g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_NOT_FOUND);
}

static void
check_record (RookStore *store, guint writer, guint64 number)
{
  g_autoptr (GBytes) key = record_key (writer, number);
  g_autoptr (GBytes) expected = body_of (writer, number);
  g_autoptr (GBytes) found = NULL;
  g_autoptr (GError) error = NULL;
  Record record;

  g_assert_true (get (store, 2, key, &record, sizeof record));
  g_assert_cmpuint (record.number, ==, number);
  found = rook_store_read_wait (store, record.blob, 0, G_MAXSIZE, &error);
  g_assert_no_error (error);
  g_assert_true (g_bytes_equal (found, expected));
  check_cache (store, record.cache, expected);
}

/* What a cut leaves is no damage, or the store would keep everything until somebody has looked at it. */
static void
check_not_damaged (RookStore *store)
{
  g_autoptr (GVariant) stats = g_variant_ref_sink (rook_store_stats (store));
  gboolean damaged;

  g_assert_true (g_variant_lookup (stats, "damaged", "b", &damaged));
  g_assert_false (damaged);
}

void
model_check (RookStore *store, guint n_writers, const guint64 *least, const guint64 *most)
{
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < n_writers; i++)
    {
      guint64 last = model_last (store, i);
      g_autoptr (GBytes) gone = record_key (i, last > MODEL_KEPT ? last - MODEL_KEPT : 0);
      g_autoptr (GBytes) next = record_key (i, last + 1);
      Record record;

      g_assert_cmpuint (last, >=, least[i]);
      g_assert_cmpuint (last, <=, most[i]);
      check_page (store, i, last);
      g_assert_false (get (store, 2, gone, &record, sizeof record));
      g_assert_false (get (store, 2, next, &record, sizeof record));
      for (guint64 n = last > MODEL_KEPT ? last - MODEL_KEPT + 1 : 1; n <= last; n++)
        check_record (store, i, n);
    }
  check_not_damaged (store);
  rook_store_verify (store, report_fault, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
}

GsSettings
model_tiny_settings (void)
{
  GsSettings tiny = gs_default_settings;

  tiny.log_size = 32 * 1024;
  tiny.segment_size = 200 * 1024;
  tiny.memory_size = 100 * 1024;
  tiny.log_limit = 100 * 1024;
  return tiny;
}

/* @forbid: not NULL */
static void
look_for_damage (const char *domain, GLogLevelFlags level, const char *text, gpointer forbid)
{
  if (g_str_has_prefix (text, "store.damaged") && forbid != NULL)
    g_error ("%s", text);
  if (!g_str_has_prefix (text, "store."))
    g_log_default_handler (domain, level, text, NULL);
}

void
model_forbid_damage (gboolean forbid)
{
  g_log_set_handler (G_LOG_DOMAIN, G_LOG_LEVEL_DEBUG, look_for_damage, GINT_TO_POINTER (forbid));
}

static int
remove_one (const char *path, const struct stat *st G_GNUC_UNUSED, int type G_GNUC_UNUSED,
            struct FTW *ftw G_GNUC_UNUSED)
{
  return remove (path);
}

void
model_remove (const char *path)
{
  nftw (path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
