/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the mailbox service writes: records, pages, headers, entries, seen sets; and the CRCs, by vectors taken from the
 * server whose replication we speak.
 */
#include <string.h>

#include "../lib/test-budget.h"
#include "mailbox/box.h"
#include "mailbox/codec.h"

static RookRecord
make_record (guint32 uid)
{
  RookRecord record = { .uid = uid,
                        .zone_minutes = -330,
                        .created_modseq = 7,
                        .internal_date = -5,
                        .save_date = 1795436800,
                        .size = G_GUINT64_CONSTANT (5000000000),
                        .blob_store = 3,
                        .thread_id = 99,
                        .blob = 0x1122334455667788,
                        .cache = 42,
                        .modseq = 9,
                        .last_updated = 1795436801,
                        .flags = ROOK_FLAG_SEEN | ROOK_RECORD_EXPUNGED,
                        .keywords = { 5, G_GUINT64_CONSTANT (1) << 63 } };

  for (guint i = 0; i < sizeof record.guid; i++)
    record.guid[i] = (guint8) (i * 7);
  return record;
}

static void
test_record_round_trip (void)
{
  RookRecord record, back;
  guint8 bytes[ROOK_RECORD_SIZE];

  memset (&record, 0, sizeof record);
  memset (&back, 0, sizeof back);
  record = make_record (12);
  rook_record_encode (&record, bytes);
  rook_record_decode (bytes, &back);
  g_assert_cmpuint (back.uid, ==, 12);
  g_assert_cmpint (back.zone_minutes, ==, -330);
  g_assert_cmpint (back.internal_date, ==, -5);
  g_assert_cmpuint (back.size, ==, record.size);
  g_assert_cmpmem (back.guid, 20, record.guid, 20);
  g_assert_cmpuint (back.blob_store, ==, 3);
  g_assert_cmpuint (back.blob, ==, record.blob);
  g_assert_cmpuint (back.cache, ==, 42);
  g_assert_cmpuint (back.thread_id, ==, 99);
  g_assert_cmpuint (back.modseq, ==, 9);
  g_assert_cmpuint (back.flags, ==, record.flags);
  g_assert_cmpmem (back.keywords, 16, record.keywords, 16);
}

/* A flag change touches nothing before ROOK_RECORD_CHANGING. */
static void
test_record_changing_part (void)
{
  RookRecord record = make_record (12);
  guint8 before[ROOK_RECORD_SIZE], after[ROOK_RECORD_SIZE];

  rook_record_encode (&record, before);
  record.flags ^= 0x1f;
  record.modseq++;
  record.last_updated++;
  record.keywords[0] = record.keywords[1] = 0;
  rook_record_encode (&record, after);
  g_assert_cmpmem (before, ROOK_RECORD_CHANGING, after, ROOK_RECORD_CHANGING);
}

static void
test_page (void)
{
  g_autoptr (RookPage) page = rook_page_new (ROOK_PAGE_RECORDS);
  g_autoptr (RookPage) back = NULL;
  g_autoptr (GBytes) bytes = NULL;

  for (guint i = 0; i < 10; i++)
    {
      RookRecord record = make_record (10 + 3 * i);

      record.modseq = 100 + i;
      rook_page_set (page, i, &record);
    }
  g_assert_cmpint (rook_page_find (page, 10), ==, 0);
  g_assert_cmpint (rook_page_find (page, 37), ==, 9);
  g_assert_cmpint (rook_page_find (page, 11), ==, -1);
  g_assert_cmpint (rook_page_find (page, 38), ==, -1);
  bytes = g_bytes_new (page->data, ROOK_PAGE_HEAD + 10 * ROOK_RECORD_SIZE);
  back = rook_page_from_bytes (bytes, 10);
  g_assert_nonnull (back);
  g_assert_cmpuint (back->summary.first_uid, ==, 10);
  g_assert_cmpuint (back->summary.max_modseq, ==, 109);
  g_assert_null (rook_page_from_bytes (bytes, 11));
}

static void
test_page_refuses_damage (void)
{
  g_autoptr (RookPage) page = rook_page_new (4);
  RookRecord first = make_record (5), second = make_record (5);
  g_autoptr (GBytes) disorder = NULL, version = NULL, empty = g_bytes_new_static ("", 0);

  rook_page_set (page, 0, &first);
  rook_page_set (page, 1, &second);
  disorder = g_bytes_new (page->data, ROOK_PAGE_HEAD + 2 * ROOK_RECORD_SIZE);
  g_assert_null (rook_page_from_bytes (disorder, 2));
  page->data[1] = 99;
  version = g_bytes_new (page->data, ROOK_PAGE_HEAD + ROOK_RECORD_SIZE);
  g_assert_null (rook_page_from_bytes (version, 1));
  g_assert_null (rook_page_from_bytes (empty, 1));
}

static void
test_header_round_trip (void)
{
  RookHeader header, back;
  guint8 bytes[ROOK_HEADER_SIZE];
  g_autoptr (GBytes) value = NULL, short_value = NULL;

  memset (&header, 0, sizeof header);
  rook_header_init (&header, 77);
  header.uidnext = 1000;
  header.n_records = 999;
  header.exists = 5;
  header.size = G_GUINT64_CONSTANT (1) << 40;
  header.recent_uid = 4;
  header.last_append = -1;
  header.sequence = 12;
  header.change = 34;
  rook_header_encode (&header, bytes);
  value = g_bytes_new (bytes, sizeof bytes);
  memset (&back, 0, sizeof back);
  g_assert_true (rook_header_decode (value, &back));
  g_assert_cmpuint (back.uidvalidity, ==, 77);
  g_assert_cmpuint (back.uidnext, ==, 1000);
  g_assert_cmpuint (back.n_records, ==, 999);
  g_assert_cmpuint (back.exists, ==, 5);
  g_assert_cmpuint (back.size, ==, header.size);
  g_assert_cmpint (back.last_append, ==, -1);
  g_assert_cmpuint (back.sequence, ==, 12);
  g_assert_cmpuint (back.change, ==, 34);
  short_value = g_bytes_new (bytes, 100);
  g_assert_false (rook_header_decode (short_value, &back));
}

static GPtrArray *
keyword_list (const char *name)
{
  GPtrArray *keywords = g_ptr_array_new_with_free_func (g_free);

  g_ptr_array_add (keywords, g_strdup (name));
  return keywords;
}

static void
set_guid (RookRecord *record, const char *hex)
{
  for (guint i = 0; i < 20; i++)
    record->guid[i] = (guint8) (g_ascii_xdigit_value (hex[2 * i]) << 4 | g_ascii_xdigit_value (hex[2 * i + 1]));
}

static void
test_crc_vectors (void)
{
  g_autoptr (GPtrArray) keywords = keyword_list ("$Foo");
  RookRecord a = { .uid = 1,
                   .modseq = 2,
                   .last_updated = 1795436800,
                   .internal_date = 1795436700,
                   .flags = ROOK_FLAG_SEEN,
                   .keywords = { 1 },
                   .save_date = 1795436800,
                   .created_modseq = 2 };
  RookRecord b = { .uid = 2, .modseq = 3, .last_updated = 1795436801, .internal_date = 1795436701 };

  set_guid (&a, "779a172aa6e40fde8dbec6080f863f4eeb6430d2");
  set_guid (&b, "779a172aa6e40fde8dbec6080f863f4eeb6430d2");
  g_assert_cmpuint (rook_record_crc (&a, keywords), ==, 517320894u);
  g_assert_cmpuint (rook_record_crc (&b, keywords), ==, 453276693u);
  g_assert_cmpuint (rook_record_crc (&a, keywords) ^ rook_record_crc (&b, keywords), ==, 97633451u);
  g_assert_cmpuint (rook_record_crc_annot (&a), ==, 280350434u ^ 365805277u);
  g_assert_cmpuint (ROOK_CRC_ANNOT_START ^ rook_record_crc_annot (&a), ==, 96735601u);
}

static void
test_entry_round_trip (void)
{
  const gint64 limits[ROOK_QUOTA_N_RESOURCES] = { G_MAXINT64, 0, -1, 7 };
  g_autoptr (RookEntry) entry = rook_entry_new (NULL);
  g_autoptr (RookEntry) back = NULL, damaged = NULL;
  g_autoptr (GBytes) key = NULL, value = NULL, cut = NULL;

  entry->id = rook_entry_make_id ();
  entry->name = g_strdup ("user/joe/a");
  entry->partition = g_strdup ("default");
  entry->acl = g_strdup ("joe\tlrs\tanyone\tl\t");
  entry->special_use = g_strdup ("\\Sent");
  entry->uidvalidity = 12;
  entry->quota = g_memdup2 (limits, sizeof limits);
  rook_entry_derive (entry);
  rook_entry_rename (entry, "user/joe/b");
  rook_entry_rename (entry, "user/joe/c");
  key = rook_bytes_of_text (entry->id);
  value = rook_entry_encode (entry);
  back = rook_entry_decode (key, value);
  g_assert_cmpstr (back->id, ==, entry->id);
  g_assert_cmpmem (back->quota, sizeof limits, limits, sizeof limits);
  g_assert_cmpstr (back->name, ==, "user/joe/c");
  g_assert_cmpstr (back->history[1], ==, "user/joe/b");
  g_assert_cmpstr (back->special_use, ==, "\\Sent");
  g_assert_cmpstr (back->owner, ==, "joe");
  g_assert_true (back->for_others);
  g_assert_cmpuint (back->uidvalidity, ==, 12);
  cut = g_bytes_new_from_bytes (value, 0, g_bytes_get_size (value) - 1);
  damaged = rook_entry_decode (key, cut);
  g_assert_null (damaged);
}

/* A random series of changes against a plain set. */
static void
seen_against_model (void)
{
  RookSeenSet *set = rook_seen_set_new ("joe");
  gboolean model[300] = { FALSE };

  for (guint round = 0; round < 500; round++)
    {
      guint32 uids[20];
      guint n = 0;
      gboolean add = g_test_rand_bit ();
      RookSeenSet *next;

      for (guint32 uid = (guint32) g_test_rand_int_range (1, 20); uid < 300 && n < 20;
           uid += (guint32) g_test_rand_int_range (1, 30))
        uids[n++] = uid;
      for (guint i = 0; i < n; i++)
        model[uids[i]] = add;
      next = rook_seen_set_change (set, uids, n, add, round);
      rook_seen_set_unref (set);
      {
        g_autoptr (GBytes) bytes = rook_seen_set_encode (next);

        set = rook_seen_set_decode ("joe", bytes);
        g_assert_cmpuint (set->ranges->len, ==, next->ranges->len);
      }
      rook_seen_set_unref (next);
      for (guint32 uid = 1; uid < 300; uid++)
        g_assert_cmpint (rook_seen_set_contains (set, uid), ==, model[uid]);
    }
  rook_seen_set_unref (set);
}

static void
test_seen_against_model (void)
{
  gint64 end = test_budget_end (0.1);

  do
    seen_against_model ();
  while (g_get_monotonic_time () < end);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func ("/mailbox/" path, func)
  ADD ("record/round-trip", test_record_round_trip);
  ADD ("record/changing-part", test_record_changing_part);
  ADD ("page/round-trip", test_page);
  ADD ("page/refuses-damage", test_page_refuses_damage);
  ADD ("header/round-trip", test_header_round_trip);
  ADD ("crc/vectors", test_crc_vectors);
  ADD ("entry/round-trip", test_entry_round_trip);
  ADD ("seen/against-model", test_seen_against_model);
  return g_test_run ();
}
