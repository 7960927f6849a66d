/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records and pages: their bytes. See record.h for what they mean.
 */
#include "mailbox/record.h"

#include "mailbox/codec.h"

/* Where each field of a record lies. */
enum {
  AT_UID = 0,
  AT_ZONE = 4,
  AT_CREATED_MODSEQ = 8,
  AT_INTERNAL_DATE = 16,
  AT_SAVE_DATE = 24,
  AT_SIZE = 32,
  AT_GUID = 40,
  AT_BLOB_STORE = 60,
  AT_THREAD = 64,
  AT_BLOB = 72,
  AT_CACHE = 80,
  AT_MODSEQ = ROOK_RECORD_CHANGING,
  AT_UPDATED = 96,
  AT_FLAGS = 104,
  AT_RESERVED = 108,
  AT_KEYWORDS = 112,
};
G_STATIC_ASSERT (AT_KEYWORDS + ROOK_MAX_KEYWORDS / 8 == ROOK_RECORD_SIZE);
G_STATIC_ASSERT (ROOK_PAGE_HEAD + ROOK_PAGE_RECORDS * ROOK_RECORD_SIZE <= 8192);

void
rook_record_encode (const RookRecord *record, guint8 *out)
{
  rook_put32 (out + AT_UID, record->uid);
  rook_put16 (out + AT_ZONE, (guint16) record->zone_minutes);
  rook_put16 (out + AT_ZONE + 2, 0);
  rook_put64 (out + AT_CREATED_MODSEQ, record->created_modseq);
  rook_put64 (out + AT_INTERNAL_DATE, (guint64) record->internal_date);
  rook_put64 (out + AT_SAVE_DATE, (guint64) record->save_date);
  rook_put64 (out + AT_SIZE, record->size);
  memcpy (out + AT_GUID, record->guid, sizeof record->guid);
  rook_put32 (out + AT_BLOB_STORE, record->blob_store);
  rook_put64 (out + AT_THREAD, record->thread_id);
  rook_put64 (out + AT_BLOB, record->blob);
  rook_put64 (out + AT_CACHE, record->cache);
  rook_put64 (out + AT_MODSEQ, record->modseq);
  rook_put64 (out + AT_UPDATED, (guint64) record->last_updated);
  rook_put32 (out + AT_FLAGS, record->flags);
  rook_put32 (out + AT_RESERVED, 0);
  for (guint i = 0; i < G_N_ELEMENTS (record->keywords); i++)
    rook_put64 (out + AT_KEYWORDS + 8 * i, record->keywords[i]);
}

void
rook_record_decode (const guint8 *bytes, RookRecord *out)
{
  out->uid = rook_get32 (bytes + AT_UID);
  out->zone_minutes = (gint16) rook_get16 (bytes + AT_ZONE);
  out->created_modseq = rook_get64 (bytes + AT_CREATED_MODSEQ);
  out->internal_date = (gint64) rook_get64 (bytes + AT_INTERNAL_DATE);
  out->save_date = (gint64) rook_get64 (bytes + AT_SAVE_DATE);
  out->size = rook_get64 (bytes + AT_SIZE);
  memcpy (out->guid, bytes + AT_GUID, sizeof out->guid);
  out->blob_store = rook_get32 (bytes + AT_BLOB_STORE);
  out->thread_id = rook_get64 (bytes + AT_THREAD);
  out->blob = rook_get64 (bytes + AT_BLOB);
  out->cache = rook_get64 (bytes + AT_CACHE);
  out->modseq = rook_get64 (bytes + AT_MODSEQ);
  out->last_updated = (gint64) rook_get64 (bytes + AT_UPDATED);
  out->flags = rook_get32 (bytes + AT_FLAGS);
  for (guint i = 0; i < G_N_ELEMENTS (out->keywords); i++)
    out->keywords[i] = rook_get64 (bytes + AT_KEYWORDS + 8 * i);
}

/* --- pages ------------------------------------------------------------------------------------------------------ */

/* Of all pages there are: what a limit is for. */
static gsize memory;

static gsize
page_size (guint capacity)
{
  return sizeof (RookPage) + (capacity > 0 ? ROOK_PAGE_HEAD + (gsize) capacity * ROOK_RECORD_SIZE : 0);
}

gsize
rook_page_get_memory (void)
{
  return (gsize) g_atomic_pointer_get (&memory);
}

static RookPage *
page_alloc (guint capacity)
{
  RookPage *page = g_malloc0 (page_size (capacity));

  g_atomic_pointer_add (&memory, (gssize) page_size (capacity));
  g_atomic_int_set (&page->ref, 1);
  page->capacity = capacity;
  return page;
}

RookPage *
rook_page_new (guint capacity)
{
  RookPage *page = page_alloc (capacity);

  rook_put16 (page->data, ROOK_PAGE_VERSION);
  rook_put16 (page->data + 2, ROOK_RECORD_SIZE);
  return page;
}

RookPage *
rook_page_copy (const RookPage *page, guint capacity)
{
  RookPage *copy = page_alloc (MAX (capacity, page->n));

  copy->n = page->n;
  copy->summary = page->summary;
  memcpy (copy->data, page->data, ROOK_PAGE_HEAD + (gsize) page->n * ROOK_RECORD_SIZE);
  return copy;
}

RookPage *
rook_page_new_hollow (const RookSummary *summary, guint n)
{
  RookPage *page = page_alloc (0);

  page->n = n;
  page->summary = *summary;
  return page;
}

/* Ascending uids, as every search in the page takes for granted. */
static gboolean
page_is_ordered (const RookPage *page)
{
  guint32 last = 0;

  for (guint i = 0; i < page->n; i++)
    {
      guint32 uid = rook_get32 (rook_page_record (page, i));

      if (uid <= last)
        return FALSE;
      last = uid;
    }
  return TRUE;
}

RookPage *
rook_page_from_bytes (GBytes *bytes, guint n)
{
  gsize length, wanted = ROOK_PAGE_HEAD + (gsize) n * ROOK_RECORD_SIZE;
  const guint8 *data = g_bytes_get_data (bytes, &length);
  g_autoptr (RookPage) page = NULL;

  if (n == 0 || n > ROOK_PAGE_RECORDS || length < wanted || rook_get16 (data) != ROOK_PAGE_VERSION
      || rook_get16 (data + 2) != ROOK_RECORD_SIZE)
    return NULL;
  page = page_alloc (n);
  page->n = n;
  memcpy (page->data, data, wanted);
  if (!page_is_ordered (page))
    return NULL;
  for (guint i = 0; i < n; i++)
    {
      RookRecord record;

      rook_record_decode (rook_page_record (page, i), &record);
      rook_summary_note (&page->summary, i, NULL, &record);
    }
  return g_steal_pointer (&page);
}

guint
rook_page_count_records (GBytes *value)
{
  gsize length = g_bytes_get_size (value);

  return length < ROOK_PAGE_HEAD ? 0 : (guint) MIN ((length - ROOK_PAGE_HEAD) / ROOK_RECORD_SIZE, ROOK_PAGE_RECORDS);
}

RookPage *
rook_page_ref (RookPage *page)
{
  g_atomic_int_inc (&page->ref);
  return page;
}

void
rook_page_unref (RookPage *page)
{
  if (!g_atomic_int_dec_and_test (&page->ref))
    return;
  g_atomic_pointer_add (&memory, -(gssize) page_size (page->capacity));
  g_free (page);
}

guint32
rook_page_uid (const RookPage *page, guint slot)
{
  return rook_get32 (rook_page_record (page, slot) + AT_UID);
}

void
rook_page_set (RookPage *page, guint slot, const RookRecord *record)
{
  guint32 before = 0;

  g_assert (slot <= page->n && slot < page->capacity);
  if (slot < page->n)
    before = rook_get32 (rook_page_record (page, slot) + AT_FLAGS);
  rook_summary_note (&page->summary, slot, slot < page->n ? &before : NULL, record);
  page->n = MAX (page->n, slot + 1);
  rook_record_encode (record, page->data + ROOK_PAGE_HEAD + (gsize) slot * ROOK_RECORD_SIZE);
}

gint
rook_page_find (const RookPage *page, guint32 uid)
{
  guint low = 0, high = page->n;

  while (low < high)
    {
      guint middle = (low + high) / 2;
      guint32 found = rook_get32 (rook_page_record (page, middle));

      if (found == uid)
        return (gint) middle;
      if (found < uid)
        low = middle + 1;
      else
        high = middle;
    }
  return -1;
}

GBytes *
rook_page_key (const char *id, guint32 number)
{
  gsize length = strlen (id);
  guint8 *key = g_malloc (length + 5);

  memcpy (key, id, length + 1);
  rook_put32 (key + length + 1, number);
  return g_bytes_new_take (key, length + 5);
}
