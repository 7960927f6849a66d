/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See store-fixture.h.
 */
#include "store-fixture.h"

#include <string.h>

#include "storage/storage-private.h"

GBytes *
bytes_of (const char *text)
{
  return g_bytes_new (text, strlen (text));
}

RookBatch *
batch_with (RookStore *store, const char *key, const char *value)
{
  RookBatch *batch = rook_batch_new (store);
  g_autoptr (GBytes) k = bytes_of (key);
  g_autoptr (GBytes) v = bytes_of (value);

  rook_batch_put (batch, 1, k, v);
  return batch;
}

void
commit (RookStore *store, RookBatch *batch)
{
  g_autoptr (GError) error = NULL;

  rook_store_commit_wait (store, batch, NULL, &error);
  g_assert_no_error (error);
}

void
put (RookStore *store, const char *key, const char *value)
{
  commit (store, batch_with (store, key, value));
}

int
try_put (RookStore *store, const char *key, const char *value)
{
  g_autoptr (GError) error = NULL;

  rook_store_commit_wait (store, batch_with (store, key, value), NULL, &error);
  return error != NULL ? error->code : -1;
}

static void
assert_is (GBytes *found, const char *value)
{
  g_assert_true ((found == NULL) == (value == NULL));
  if (value != NULL)
    g_assert_cmpmem (g_bytes_get_data (found, NULL), g_bytes_get_size (found), value, strlen (value));
}

void
expect (RookStore *store, const char *key, const char *value)
{
  g_autoptr (GBytes) k = bytes_of (key);
  g_autoptr (GBytes) found = NULL;
  g_autoptr (GBytes) at_once = NULL;
  g_autoptr (GError) error = NULL;

  rook_store_get_wait (store, 1, k, &found, &error);
  g_assert_no_error (error);
  assert_is (found, value);
  if (rook_store_try_get (store, 1, k, &at_once))
    assert_is (at_once, value);
}

void
wait_until_open (RookStore *store)
{
  while (rook_store_get_state (store) != ROOK_STORE_OPEN || !rook_store_accepts (store))
    g_usleep (1000);
}
