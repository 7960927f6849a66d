/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The state store made again of what partitions know: what stays, what is told, and that an attempt that was cut short is no
 * state store.
 */
#include "quota-fixture.h"

#include "mailbox/codec.h"
#include "mailbox/reconstruct.h"

#include <string.h>

typedef struct {
  GString *told;
  guint n_calls, stop_at; /* of progress; 0: never */
} Told;

static void
note_told (const char *text, gpointer data)
{
  g_string_append_printf (((Told *) data)->told, "%s\n", text);
}

static gboolean
note_progress (double percent, const char *text, gpointer data)
{
  Told *told = data;

  g_assert_nonnull (text);
  g_assert_true (percent >= 0 && percent <= 100);
  return ++told->n_calls != told->stop_at;
}

static const RookReconstructEvents events = { note_told, note_progress };

static void
told_clear (Told *told)
{
  g_string_free (told->told, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Told, told_clear)

/* The memory of stores outlives servers, and places look as they do with files: a partition that is there is not empty. */
static Fixture *
make (void)
{
  Fixture *f = fixture_new (NULL);

  must_create (f, NULL, "user/alice/Work");
  must_create (f, NULL, "user/alice/Work/Sub");
  must_create (f, NULL, "shared");
  must_set_acl (f, "user/alice/Work", "bob", "lrs");
  must_set_quota (f, "user/alice/Work/Sub", 7777, -1, -1);
  g_assert_cmpint (try_rename (f, f->alice, "user/alice/Work/Sub", "user/alice/Renamed", NULL), ==, -1);
  fixture_settle (f);
  return f;
}

static void
occupy (Fixture *f)
{
  g_autofree char *path = g_build_filename (f->server->scratch, "spool", "default", NULL);
  g_autofree char *file = g_build_filename (path, "store", NULL);

  g_assert_no_errno (g_mkdir_with_parents (path, 0700));
  g_assert_true (g_file_set_contents (file, "", 0, NULL));
}

/* Ends the server, takes the state store away and begins another, which has none. */
static void
lose_state (Fixture *f)
{
  g_autoptr (GError) error = NULL;

  fixture_restart_without_stores (f);
  g_hash_table_remove (f->disks, "mailboxes");
  occupy (f);
  g_assert_false (rook_mail_open_stores (f->mail, &error));
  g_assert_nonnull (strstr (error->message, "rookctl reconstruct --mailboxes"));
}

static gboolean
reconstruct (Fixture *f, Told *told, RookReconstructSums *sums)
{
  g_autoptr (GError) error = NULL;
  gboolean ok;

  if (told->told == NULL)
    told->told = g_string_new (NULL);
  g_string_truncate (told->told, 0);
  told->n_calls = 0;
  g_assert_true (rook_mail_begin_reconstruct (f->mail));
  ok = rook_mail_reconstruct (f->mail, &events, told, sums, &error);
  rook_mail_end_blocking (f->mail);
  if (!ok)
    g_string_append (told->told, error->message);
  return ok;
}

static gint
compare_lines (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/* All entries as one text. */
static char *
describe (Fixture *f)
{
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter iter;
  gpointer value;

  rook_mutex_lock (&f->mail->lock);
  g_hash_table_iter_init (&iter, f->mail->names->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const RookEntry *e = value;
      g_autofree char *history = e->history != NULL ? g_strjoinv (",", e->history) : g_strdup ("");

      g_ptr_array_add (lines,
                       g_strdup_printf ("%s %s %s [%s] %s %u %d %" G_GINT64_FORMAT " %" G_GINT64_FORMAT "\n", e->name,
                                        e->id, e->partition, e->acl, history, e->uidvalidity, e->deleted, e->created,
                                        e->quota != NULL ? e->quota[ROOK_QUOTA_STORAGE] : -2));
    }
  rook_mutex_unlock (&f->mail->lock);
  g_ptr_array_sort (lines, compare_lines);
  g_ptr_array_add (lines, NULL);
  return g_strjoinv ("", (char **) lines->pdata);
}

static void
serve_again (Fixture *f)
{
  fixture_open_stores (f);
  fixture_settle (f);
}

static void
put_in (Fixture *f, const char *disk, RookTable table, const char *key, GBytes *value)
{
  RookStore *store = rook_memory_disk_get_store (fixture_disk (f, disk));
  RookBatch *batch = rook_batch_new (store);
  g_autoptr (GBytes) key_bytes = rook_bytes_of_text (key);
  g_autoptr (GError) error = NULL;

  rook_batch_put (batch, table, key_bytes, value);
  rook_store_commit_wait (store, batch, NULL, &error);
  g_assert_no_error (error);
}

/* --- what stays ------------------------------------------------------------------------------------------------------- */

static void
test_what_partitions_know_stays (void)
{
  g_autoptr (Fixture) f = make ();
  g_autofree char *before = describe (f), *after = NULL;
  g_auto (Told) told = { 0 };
  RookReconstructSums sums;

  lose_state (f);
  g_assert_true (reconstruct (f, &told, &sums));
  g_assert_cmpuint (sums.n_mailboxes, ==, 5);
  g_assert_cmpuint (sums.n_partitions, ==, 2);
  g_assert_nonnull (strstr (told.told->str, "subscribed"));
  serve_again (f);
  after = describe (f);
  g_assert_cmpstr (after, ==, before);
  g_assert_true (rook_users_is_subscribed (f->mail->users, "alice", "user/alice/Work"));
  g_assert_false (rook_users_is_subscribed (f->mail->users, "bob", "user/alice/Work"));
}

/* bob's one message that he has seen in alice's INBOX, where @who looks now. */
static void
assert_seen (Fixture *f, RookIdentity *who, const char *expected)
{
  RookMailbox *mailbox = must_open (f, who, "user/alice");
  RookView *view = must_view (mailbox, who);

  load_all (view);
  assert_view (view, expected);
  rook_view_free (view);
  rook_mailbox_unref (mailbox);
}

static void
see (Fixture *f)
{
  RookMailbox *mailbox;
  RookView *view;

  must_set_acl (f, "user/alice", "anyone", "lrs");
  mailbox = must_open (f, f->bob, "user/alice");
  must_append (f, mailbox, f->alice, MESSAGE);
  view = must_view (mailbox, f->bob);
  must_store (f, view, 1, ROOK_STORE_ADD, ROOK_FLAG_SEEN, NULL);
  rook_view_free (view);
  rook_mailbox_unref (mailbox);
}

/* By whatever name the user has now; and not whoever has the name that they had. */
static void
test_what_users_have_seen_stays (void)
{
  g_autoptr (Fixture) f = make ();
  g_autoptr (RookIdentity) carol = rook_identity_new ("carol", "carol", NULL, FALSE);
  g_auto (Told) told = { 0 };
  RookReconstructSums sums;

  see (f);
  g_assert_cmpint (try_rename (f, f->admin, "user/bob", "user/carol", NULL), ==, -1);
  fixture_settle (f);
  lose_state (f);
  g_assert_true (reconstruct (f, &told, &sums));
  g_assert_null (strstr (told.told->str, "nobody"));
  g_assert_null (strstr (told.told->str, "had seen"));
  serve_again (f);
  assert_seen (f, carol, "1:S");
  assert_seen (f, f->bob, "1:");
  fixture_restart (f);
  assert_seen (f, carol, "1:S");
  assert_seen (f, f->bob, "1:");
}

static void
drop_copy (Fixture *f, guint64 id)
{
  RookStore *store = rook_memory_disk_get_store (fixture_disk (f, "default"));
  RookBatch *batch = rook_batch_new (store);
  g_autoptr (GBytes) key = rook_user_id_bytes (id);
  g_autoptr (GError) error = NULL;

  rook_batch_delete (batch, ROOK_PART_USERS, key);
  rook_store_commit_wait (store, batch, NULL, &error);
  g_assert_no_error (error);
}

/* Nobody gets it: not even who has the name. */
static void
test_users_that_nobody_can_name_are_told (void)
{
  g_autoptr (Fixture) f = make ();
  g_auto (Told) told = { 0 };
  RookReconstructSums sums;

  see (f);
  drop_copy (f, rook_user_key_parse (rook_users_find_key (f->mail->users, "bob")));
  lose_state (f);
  g_assert_true (reconstruct (f, &told, &sums));
  g_assert_nonnull (strstr (told.told->str, "is lost for 1 of them"));
  serve_again (f);
  assert_seen (f, f->bob, "1:");
  fixture_run_job (f, "forget-users");
  {
    g_autoptr (GArray) gone = rook_users_list_gone (f->mail->users);

    g_assert_cmpuint (gone->len, ==, 0);
  }
}

/* A copy of a name that was given to another since: the later counts. */
static void
test_of_two_users_of_a_name_the_later_has_it (void)
{
  g_autoptr (Fixture) f = make ();
  g_auto (Told) told = { 0 };
  g_autoptr (GBytes) value = NULL;
  RookReconstructSums sums;
  RookUserName stale = { 77, 1, (char *) "bob" };

  see (f);
  value = rook_user_row_encode (&stale);
  put_in (f, "other", ROOK_PART_USERS, "\1\1\1\1\1\1\1\1", value);
  lose_state (f);
  g_assert_true (reconstruct (f, &told, &sums));
  serve_again (f);
  assert_seen (f, f->bob, "1:S");
}

/* One whose contents were still being cleared away stays deleted, and is cleared. */
static void
test_a_tombstone_stays_one (void)
{
  g_autoptr (Fixture) f = make ();
  RookEntry *tombstone = rook_mail_ref_entry (f->mail, "shared");
  g_autofree char *id = g_strdup (tombstone->id);
  g_autoptr (RookEntry) entry = NULL;
  g_autoptr (GBytes) value = NULL;
  g_auto (Told) told = { 0 };
  RookReconstructSums sums;

  tombstone->deleted = TRUE;
  value = rook_entry_encode (tombstone);
  put_in (f, "default", ROOK_PART_ENTRIES, id, value);
  rook_entry_unref (tombstone);
  lose_state (f);
  g_assert_true (reconstruct (f, &told, &sums));
  g_assert_cmpuint (sums.n_tombstones, ==, 1);
  serve_again (f);
  g_assert_false (rook_mail_exists (f->mail, "shared"));
  do
    {
      fixture_settle (f);
      g_clear_pointer (&entry, rook_entry_unref);
      entry = rook_mail_ref_entry_by_id (f->mail, id);
      g_assert_true (entry->deleted);
    }
  while (!entry->cleared);
}

/* A move that was done, and whose source has not been cleared away: the partition of the entry counts, whatever the order. */
static void
test_a_moved_one_lies_where_it_went (void)
{
  static const char *const targets[] = { "other", "default" };

  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    {
      g_autoptr (Fixture) f = make ();
      g_autofree char *before = NULL, *after = NULL, *left = NULL;
      g_auto (Told) told = { 0 };
      RookReconstructSums sums;
      RookMailbox *mailbox;
      RookHeader header;
      g_autoptr (GBytes) stale = NULL, copy = NULL;
      g_autoptr (RookEntry) entry = NULL;
      guint8 image[ROOK_HEADER_SIZE];

      for (guint n = 0; n <= i; n++)
        g_assert_cmpint (try_rename (f, f->admin, "shared", "shared", targets[n]), ==, -1);
      fixture_await_clearing (f);
      before = describe (f);
      entry = rook_mail_ref_entry (f->mail, "shared");
      mailbox = must_open (f, NULL, "shared");
      header = mailbox->durable.header;
      rook_mailbox_unref (mailbox);
      rook_header_encode (&header, image);
      stale = g_bytes_new (image, sizeof image);
      copy = rook_entry_encode (entry);
      left = g_strdup (targets[1 - i]);
      put_in (f, left, ROOK_PART_HEADERS, entry->id, stale);
      put_in (f, left, ROOK_PART_ENTRIES, entry->id, copy);
      lose_state (f);
      g_assert_true (reconstruct (f, &told, &sums));
      g_assert_nonnull (strstr (told.told->str, "has something of it too, from a move"));
      serve_again (f);
      after = describe (f);
      g_assert_cmpstr (after, ==, before);
    }
}

/* --- what does not go together ------------------------------------------------------------------------------------------ */

/* A copy that was written before a rename, which the state store would have known. */
static void
test_names_that_are_there_twice_are_parted (void)
{
  g_autoptr (Fixture) f = make ();
  static const char *const names[] = { "user/alice/Work", "user/alice" };
  g_auto (Told) told = { 0 };
  RookReconstructSums sums;
  char *ids[2];

  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (RookEntry) entry = rook_mail_ref_entry (f->mail, names[i]);
      g_autoptr (RookEntry) older = rook_entry_new (entry);
      g_autoptr (GBytes) value = NULL, header = NULL;
      guint8 image[ROOK_HEADER_SIZE];
      RookHeader fresh;

      ids[i] = rook_entry_make_id ();
      older->change = entry->change - 1;
      older->uidvalidity = 16; /* of the two the higher counts */
      value = rook_entry_encode (older);
      rook_header_init (&fresh, 17);
      rook_header_encode (&fresh, image);
      header = g_bytes_new (image, sizeof image);
      put_in (f, "other", ROOK_PART_ENTRIES, ids[i], value);
      put_in (f, "other", ROOK_PART_HEADERS, ids[i], header);
    }
  lose_state (f);
  g_assert_true (reconstruct (f, &told, &sums));
  serve_again (f);
  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *name = g_strdup_printf (i == 0 ? "user/alice/Work-%.8s" : "user/alice/INBOX-%.8s", ids[i]);
      g_autoptr (RookEntry) entry = rook_mail_ref_entry (f->mail, name);

      g_assert_nonnull (strstr (told.told->str, name));
      g_assert_cmpstr (entry->id, ==, ids[i]);
      g_assert_cmpstr (entry->partition, ==, "other");
      g_assert_cmpuint (entry->uidvalidity, ==, 17);
      g_assert_cmpstr (entry->history[0], ==, names[i]);
      g_assert_true (rook_mail_exists (f->mail, names[i]));
      g_free (ids[i]);
    }
}

/* Its messages' labels say what it was called; one without messages has no name, and is left where it is. */
static void
test_an_entry_that_is_lost_is_told (void)
{
  g_autoptr (Fixture) f = make ();
  RookMailbox *mailbox = must_open (f, f->alice, "user/alice/Work");
  g_autofree char *id = g_strdup (rook_mailbox_get_id (mailbox)), *nameless = NULL;
  g_autoptr (RookEntry) shared = rook_mail_ref_entry (f->mail, "shared");
  g_autoptr (GBytes) rubbish = g_bytes_new_static ("\001\001", 2);
  g_auto (Told) told = { 0 };
  RookReconstructSums sums;

  must_append (f, mailbox, f->alice, MESSAGE);
  rook_mailbox_unref (mailbox);
  nameless = g_strdup (shared->id);
  put_in (f, "default", ROOK_PART_ENTRIES, id, rubbish);
  put_in (f, "default", ROOK_PART_ENTRIES, nameless, rubbish);
  lose_state (f);
  g_assert_true (reconstruct (f, &told, &sums));
  g_assert_nonnull (strstr (told.told->str, "user/alice/Work: its entry is lost"));
  g_assert_nonnull (strstr (told.told->str, nameless));
  serve_again (f);
  g_assert_cmpuint (status_of (f, "user/alice/Work").messages, ==, 1);
  g_assert_false (rook_mail_exists (f->mail, "shared"));
}

/* --- cut short ------------------------------------------------------------------------------------------------------------ */

static void
expect_no_state (Fixture *f, const char *why)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (rook_mail_open_stores (f->mail, &error));
  g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT);
  g_assert_nonnull (strstr (error->message, why));
}

static void
test_an_attempt_cut_short_is_begun_anew (void)
{
  g_autoptr (Fixture) f = make ();
  g_autofree char *before = describe (f), *after = NULL;
  g_auto (Told) told = { .stop_at = 1 };
  g_autoptr (GBytes) one = rook_bytes_of_text ("1"), rubbish = rook_bytes_of_text ("left over");
  RookReconstructSums sums;

  lose_state (f);
  g_assert_false (reconstruct (f, &told, &sums));
  g_assert_nonnull (strstr (told.told->str, "stopped"));
  expect_no_state (f, "cut short");
  {
    RookStoreSpec spec = { .struct_size = sizeof spec, .path = "/nowhere" };
    RookStore *store = rook_store_open_backend (NULL, &rook_memory_backend, fixture_disk (f, "mailboxes"), &spec, NULL);

    put_in (f, "mailboxes", ROOK_STATE_MAILBOXES, "of an attempt before", rubbish);
    put_in (f, "mailboxes", ROOK_STATE_SUBSCRIPTIONS, "x", one);
    rook_store_close (store);
  }
  told.stop_at = 0;
  g_assert_true (reconstruct (f, &told, &sums));
  serve_again (f);
  after = describe (f);
  g_assert_cmpstr (after, ==, before);
}

/* What was made, and not begun. */
static void
test_an_empty_state_store_is_none (void)
{
  g_autoptr (Fixture) f = make ();
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = "/nowhere", .create = TRUE };
  g_auto (Told) told = { 0 };
  RookReconstructSums sums;

  lose_state (f);
  rook_store_close (rook_store_open_backend (NULL, &rook_memory_backend, fixture_disk (f, "mailboxes"), &spec, NULL));
  expect_no_state (f, "nothing in it");
  g_assert_true (reconstruct (f, &told, &sums));
  g_assert_false (reconstruct (f, &told, &sums)); /* which is whole now, and not touched */
  serve_again (f);
  g_assert_false (rook_mail_begin_reconstruct (f->mail));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func ("/mailbox/reconstruct/" path, func)
  ADD ("what-partitions-know-stays", test_what_partitions_know_stays);
  ADD ("a-moved-one-lies-where-it-went", test_a_moved_one_lies_where_it_went);
  ADD ("a-tombstone-stays-one", test_a_tombstone_stays_one);
  ADD ("names-that-are-there-twice-are-parted", test_names_that_are_there_twice_are_parted);
  ADD ("an-entry-that-is-lost-is-told", test_an_entry_that_is_lost_is_told);
  ADD ("what-users-have-seen-stays", test_what_users_have_seen_stays);
  ADD ("users-that-nobody-can-name-are-told", test_users_that_nobody_can_name_are_told);
  ADD ("of-two-users-of-a-name-the-later-has-it", test_of_two_users_of_a_name_the_later_has_it);
  ADD ("an-attempt-cut-short-is-begun-anew", test_an_attempt_cut_short_is_begun_anew);
  ADD ("an-empty-state-store-is-none", test_an_empty_state_store_is_none);
  return g_test_run ();
}
