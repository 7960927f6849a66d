/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a start finds out without looking through partitions: where positions go on, and what has still to be cleared away.
 */
#include "mail-fixture.h"

#include "mailbox/codec.h"

static guint64
position_of_append (Fixture *f)
{
  RookMailbox *mailbox = must_open (f, f->alice, "user/alice");
  guint64 position;

  must_append (f, mailbox, f->alice, MESSAGE);
  position = mailbox->durable.header.change;
  rook_mailbox_unref (mailbox);
  return position;
}

/* Each start's are higher than all before, those of mailboxes that nobody opened included. */
static void
test_positions_rise_over_starts (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  guint64 last = 0;

  for (guint start = 0; start < 3; start++)
    {
      guint64 first = position_of_append (f), second = position_of_append (f);

      g_assert_cmpuint (first, >, last);
      g_assert_cmpuint (second, >, first);
      last = second;
      fixture_restart (f);
    }
}

/* What is reserved lies above what is given, also by the first start of all. */
static void
test_reserved_positions_are_above_all_given (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  RookStore *state = rook_memory_disk_get_store (fixture_disk (f, "mailboxes"));
  g_autoptr (GBytes) key = rook_bytes_of_text ("positions");

  for (guint start = 0; start < 2; start++)
    {
      guint64 given = position_of_append (f);
      g_autoptr (GBytes) value = NULL;
      g_autoptr (GError) error = NULL;

      g_assert_true (rook_store_get_wait (state, ROOK_STATE_META, key, &value, &error));
      g_assert_cmpuint (g_bytes_get_size (value), ==, 8);
      g_assert_cmpuint (rook_get64 (g_bytes_get_data (value, NULL)), >, given + (G_GUINT64_CONSTANT (1) << 45));
      fixture_restart (f);
      state = rook_memory_disk_get_store (fixture_disk (f, "mailboxes"));
    }
}

/* A state store that has none reserved: those of its mailboxes count. */
static void
test_positions_of_an_older_store (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  guint64 before = position_of_append (f);
  RookStore *state = rook_memory_disk_get_store (fixture_disk (f, "mailboxes"));
  RookBatch *batch = rook_batch_new (state);
  g_autoptr (GBytes) key = rook_bytes_of_text ("positions");
  g_autoptr (GError) error = NULL;

  rook_batch_delete (batch, ROOK_STATE_META, key);
  g_assert_true (rook_store_commit_wait (state, batch, NULL, &error));
  fixture_restart (f);
  g_assert_cmpuint (position_of_append (f), >, before);
}

static RookEntry *
entry_of (Fixture *f, const char *id)
{
  RookEntry *entry = rook_mail_ref_entry_by_id (f->mail, id);

  g_assert_nonnull (entry);
  g_assert_true (entry->deleted);
  return entry;
}

/* Deletes a mailbox with a message and waits until nothing is left of it. Returns: its id. */
static char *
delete_and_clear (Fixture *f)
{
  g_auto (Answer) answer = { .f = f };
  RookMailbox *mailbox;
  g_autoptr (RookEntry) entry = NULL;
  char *id;

  must_create (f, f->alice, "user/alice/Old");
  mailbox = must_open (f, f->alice, "user/alice/Old");
  must_append (f, mailbox, f->alice, MESSAGE);
  id = g_strdup (rook_mailbox_get_id (mailbox));
  rook_mailbox_unref (mailbox);
  rook_mail_delete (f->mail, f->alice, "user/alice/Old", on_mail, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  do
    {
      fixture_settle (f);
      g_clear_pointer (&entry, rook_entry_unref);
      entry = entry_of (f, id);
    }
  while (!entry->cleared);
  return id;
}

static gboolean
has_header (Fixture *f, const char *id)
{
  RookStore *store = rook_memory_disk_get_store (fixture_disk (f, "default"));
  g_autoptr (GBytes) key = rook_bytes_of_text (id), value = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (rook_store_get_wait (store, ROOK_PART_HEADERS, key, &value, &error));
  return value != NULL;
}

static void
test_tombstone_knows_that_nothing_is_left (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  g_autofree char *id = delete_and_clear (f);
  g_autoptr (RookEntry) entry = NULL;

  g_assert_false (has_header (f, id));
  fixture_restart (f);
  entry = entry_of (f, id);
  g_assert_true (entry->cleared);
}

/* As a crash leaves it: the tombstone is there, and contents. */
static void
test_clearing_goes_on_at_the_next_start (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  g_autofree char *id = delete_and_clear (f);
  RookStore *state = rook_memory_disk_get_store (fixture_disk (f, "mailboxes"));
  RookStore *store = rook_memory_disk_get_store (fixture_disk (f, "default"));
  g_autoptr (RookEntry) entry = entry_of (f, id), uncleared = rook_entry_new (entry);
  g_autoptr (GBytes) key = rook_bytes_of_text (id), tombstone = rook_entry_encode (uncleared), value = NULL;
  RookBatch *names = rook_batch_new (state), *contents = rook_batch_new (store);
  g_autoptr (GError) error = NULL;
  guint8 image[ROOK_HEADER_SIZE];
  RookHeader header;

  rook_header_init (&header, 1);
  rook_header_encode (&header, image);
  value = g_bytes_new (image, sizeof image);
  rook_batch_put (names, ROOK_STATE_MAILBOXES, key, tombstone);
  rook_batch_put (contents, ROOK_PART_HEADERS, key, value);
  g_assert_true (rook_store_commit_wait (state, names, NULL, &error));
  g_assert_true (rook_store_commit_wait (store, contents, NULL, &error));
  fixture_restart (f);
  do
    {
      fixture_settle (f);
      g_clear_pointer (&entry, rook_entry_unref);
      entry = entry_of (f, id);
    }
  while (!entry->cleared);
  g_assert_false (has_header (f, id));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func ("/mailbox/recover/" path, func)
  ADD ("positions-rise-over-starts", test_positions_rise_over_starts);
  ADD ("reserved-positions-are-above-all-given", test_reserved_positions_are_above_all_given);
  ADD ("positions-of-an-older-store", test_positions_of_an_older_store);
  ADD ("tombstone-knows-that-nothing-is-left", test_tombstone_knows_that_nothing_is_left);
  ADD ("clearing-goes-on-at-the-next-start", test_clearing_goes_on_at_the_next_start);
  return g_test_run ();
}
