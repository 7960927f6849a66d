/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the mailbox service reads back from a store: pages, headers, entries, seen sets; and addresses of deliveries. The
 * first byte says which.
 */
#include "delivery/delivery-private.h"
#include "mailbox/box.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static void
read_page (GBytes *bytes, guint n)
{
  g_autoptr (RookPage) page = rook_page_from_bytes (bytes, n);
  g_autoptr (RookPage) copy = NULL;
  RookRecord record;

  if (page == NULL)
    return;
  copy = rook_page_copy (page, page->n);
  g_assert (page->n == n && page->summary.first_uid > 0);
  for (guint i = 0; i < n; i++)
    {
      const guint8 *stored = rook_page_record (page, i), *again = rook_page_record (copy, i);

      rook_record_decode (stored, &record);
      g_assert (rook_page_find (page, record.uid) == (gint) i && record.modseq <= page->summary.max_modseq);
      rook_page_set (copy, i, &record);
      /* but for what is not named */
      g_assert (memcmp (again, stored, 6) == 0 && memcmp (again + 8, stored + 8, 100) == 0);
      g_assert (memcmp (again + 112, stored + 112, ROOK_RECORD_SIZE - 112) == 0);
    }
}

/* What is taken for a summary is written as it was read, and fits what is behind it: changes keep it whole. */
static void
read_summary (GBytes *bytes, guint n)
{
  RookRecord record = { .uid = 7, .modseq = 9, .flags = ROOK_FLAG_DELETED };
  RookSummary summary, back;
  guint8 again[ROOK_SUMMARY_SIZE];

  n = n % ROOK_PAGE_RECORDS;
  if (g_bytes_get_size (bytes) < ROOK_SUMMARY_SIZE
      || !rook_summary_decode (g_bytes_get_data (bytes, NULL), n, &summary))
    return;
  rook_summary_encode (&summary, again);
  g_assert (memcmp (again, g_bytes_get_data (bytes, NULL), sizeof again) == 0);
  rook_summary_note (&summary, n, NULL, &record);
  rook_summary_encode (&summary, again);
  g_assert (rook_summary_decode (again, n + 1, &back) && rook_summary_equal (&summary, &back));
}

static void
read_header (GBytes *bytes)
{
  guint8 first[ROOK_HEADER_SIZE], second[ROOK_HEADER_SIZE];
  g_autoptr (GBytes) again = NULL;
  RookHeader header, back;

  if (!rook_header_decode (bytes, &header))
    return;
  rook_header_encode (&header, first);
  again = g_bytes_new_static (first, sizeof first);
  g_assert (rook_header_decode (again, &back) && back.uidnext == header.uidnext && back.change == header.change);
  rook_header_encode (&back, second);
  g_assert (memcmp (first, second, sizeof first) == 0);
}

static void
read_entry (GBytes *bytes)
{
  g_autoptr (GBytes) key = g_bytes_new_static ("id", 2);
  g_autoptr (RookEntry) entry = rook_entry_decode (key, bytes);
  g_autoptr (GBytes) again = entry != NULL ? rook_entry_encode (entry) : NULL;
  g_autoptr (RookEntry) back = again != NULL ? rook_entry_decode (key, again) : NULL;

  g_assert ((entry == NULL) == (back == NULL));
  if (entry != NULL)
    {
      g_autoptr (RookIdentity) identity = rook_identity_new ("joe", "joe", NULL, FALSE);

      g_assert (g_str_equal (entry->name, back->name));
      g_assert (rook_entry_get_rights (entry, identity) == rook_entry_get_rights (back, identity));
    }
}

/* Ranges ascend and do not touch, and what is in one is in the set. */
static void
check_seen (const RookSeenSet *set)
{
  guint64 behind = 0;

  for (guint i = 0; i < set->ranges->len; i += 2)
    {
      guint32 first = g_array_index (set->ranges, guint32, i), last = g_array_index (set->ranges, guint32, i + 1);

      g_assert (first > behind && first <= last);
      g_assert (rook_seen_set_contains (set, first) && rook_seen_set_contains (set, last));
      behind = (guint64) last + 1;
    }
}

static void
read_seen (GBytes *bytes)
{
  RookSeenSet *set = rook_seen_set_decode ("joe", bytes), *more, *less;
  g_autoptr (GBytes) again = NULL;

  if (set == NULL)
    return;
  again = rook_seen_set_encode (set);
  g_assert (g_bytes_equal (again, bytes));
  more = rook_seen_set_change (set, (guint32[]){ 1, 5, 7, G_MAXUINT32 }, 4, TRUE, 1);
  less = rook_seen_set_change (more, (guint32[]){ 5, G_MAXUINT32 }, 2, FALSE, 2);
  check_seen (set);
  check_seen (more);
  check_seen (less);
  g_assert (rook_seen_set_contains (more, 5) && rook_seen_set_contains (more, G_MAXUINT32));
  g_assert (!rook_seen_set_contains (less, 5) && !rook_seen_set_contains (less, G_MAXUINT32));
  rook_seen_set_unref (less);
  rook_seen_set_unref (more);
  rook_seen_set_unref (set);
}

static void
read_address (const guint8 *data, gsize size)
{
  g_autofree char *text = g_strndup ((const char *) data, size);
  RookAddress address = { NULL, NULL };

  if (rook_address_split (text, &address))
    g_assert (*address.local != '\0' && g_utf8_validate (address.local, -1, NULL));
  rook_address_clear (&address);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autoptr (GBytes) bytes = NULL;

  if (size < 2)
    return 0;
  bytes = g_bytes_new (data + 2, size - 2);
  switch (data[0] % 6)
    {
    case 0:
      read_page (bytes, data[1]);
      break;
    case 1:
      read_header (bytes);
      break;
    case 2:
      read_entry (bytes);
      break;
    case 3:
      read_seen (bytes);
      break;
    case 4:
      read_summary (bytes, data[1]);
      break;
    default:
      read_address (data + 2, size - 2);
      break;
    }
  return 0;
}
