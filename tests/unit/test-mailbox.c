/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rookery/mailbox.h: open mailboxes. Append, flags, expunge, copy, shared mailboxes, what a failing store does to it.
 */
#include "mail-fixture.h"

/* --- append ----------------------------------------------------------------------------------------------------- */

static void
test_append_gives_ascending_uids (void)
{
  Box box = box_new (NULL, 3);
  RookMailboxStatus status;

  assert_view (box.view, "1:r 2:r 3:r");
  rook_mailbox_get_status (box.mailbox, box.f->alice, &status);
  g_assert_cmpuint (status.messages, ==, 3);
  g_assert_cmpuint (status.uidnext, ==, 4);
  g_assert_cmpuint (status.unseen, ==, 3);
  g_assert_cmpuint (status.first_unseen, ==, 1);
  g_assert_cmpuint (status.size, ==, 3 * strlen (MESSAGE));
  g_assert_cmpuint (status.uidvalidity, !=, 0);
  box_clear (&box);
}

static void
test_append_keeps_what_it_is_given (void)
{
  Box box = box_new (NULL, 0);
  g_auto (Answer) answer = { .f = box.f };
  g_autoptr (GBytes) message = g_bytes_new (MESSAGE, strlen (MESSAGE));
  const char *const keywords[] = { "$Label1", "other", NULL };
  RookMessage got;

  rook_mailbox_append (box.mailbox, box.f->alice,
                       &(RookAppend){ .struct_size = sizeof (RookAppend),
                                      .message = message,
                                      .flags = ROOK_FLAG_SEEN | ROOK_FLAG_DRAFT | ROOK_FLAG_RECENT,
                                      .keywords = keywords,
                                      .internal_date = 1234567890,
                                      .zone_minutes = -90,
                                      .event = ROOK_EVENT_MESSAGE_APPEND },
                       on_append, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  update (box.view, TRUE);
  assert_view (box.view, "1:STr+$Label1+other");
  g_assert_true (rook_view_get_message (box.view, 1, &got));
  g_assert_cmpint (got.internal_date, ==, 1234567890);
  g_assert_cmpint (got.zone_minutes, ==, -90);
  g_assert_cmpuint (got.size, ==, strlen (MESSAGE));
  g_assert_cmpuint (got.modseq, >, 0);
  box_clear (&box);
}

static int
try_append (Box *box, RookIdentity *identity, const char *bytes, gsize length)
{
  g_auto (Answer) answer = { .f = box->f };
  g_autoptr (GBytes) message = g_bytes_new (bytes, length);

  rook_mailbox_append (
      box->mailbox, identity,
      &(RookAppend){ .struct_size = sizeof (RookAppend), .message = message, .event = ROOK_EVENT_MESSAGE_APPEND },
      on_append, &answer);
  g_assert_false (answer.done);
  answer_wait (&answer);
  return code_of (&answer);
}

static void
test_append_errors (void)
{
  Box box = box_new ("[mailbox]\nmax-message-size=1024\n", 0);
  g_autofree char *large = g_strnfill (2000, 'x');

  g_assert_cmpint (try_append (&box, box.f->alice, "", 0), ==, ROOK_MAIL_ERROR_BAD_MESSAGE);
  g_assert_cmpint (try_append (&box, box.f->alice, "a\0b", 3), ==, ROOK_MAIL_ERROR_BAD_MESSAGE);
  g_assert_cmpint (try_append (&box, box.f->alice, large, 2000), ==, ROOK_MAIL_ERROR_TOO_BIG);
  g_assert_cmpint (try_append (&box, box.f->bob, MESSAGE, strlen (MESSAGE)), ==, ROOK_MAIL_ERROR_NO_PERMISSION);
  g_assert_cmpint (try_append (&box, NULL, MESSAGE, strlen (MESSAGE)), ==, -1);
  box_clear (&box);
}

static void
test_append_large_goes_over_the_pool (void)
{
  Box box = box_new (NULL, 0);
  g_autofree char *large = g_strnfill (300000, 'x');

  g_assert_cmpint (try_append (&box, box.f->alice, large, 300000), ==, -1);
  update (box.view, TRUE);
  assert_view (box.view, "1:r");
  box_clear (&box);
}

static void
test_append_answers_when_durable (void)
{
  Box box = box_new (NULL, 1);
  g_auto (Answer) answer = { .f = box.f };
  g_autoptr (GBytes) message = g_bytes_new (MESSAGE, strlen (MESSAGE));
  RookMailboxStatus status;

  rook_memory_disk_hold (fixture_disk (box.f, "default"), TRUE);
  rook_mailbox_append (
      box.mailbox, box.f->alice,
      &(RookAppend){ .struct_size = sizeof (RookAppend), .message = message, .event = ROOK_EVENT_MESSAGE_APPEND },
      on_append, &answer);
  fixture_settle (box.f);
  g_assert_false (answer.done);
  rook_mailbox_get_status (box.mailbox, box.f->alice, &status);
  g_assert_cmpuint (status.messages, ==, 1); /* readers see what is durable */
  rook_memory_disk_hold (fixture_disk (box.f, "default"), FALSE);
  answer_wait (&answer);
  g_assert_cmpuint (answer.uid, ==, 2);
  rook_mailbox_get_status (box.mailbox, box.f->alice, &status);
  g_assert_cmpuint (status.messages, ==, 2);
  box_clear (&box);
}

static guint32
deliver (Box *box, const char *key)
{
  g_auto (Answer) answer = { .f = box->f };
  g_autoptr (GBytes) message = g_bytes_new (MESSAGE, strlen (MESSAGE));

  rook_mailbox_append (box->mailbox, NULL,
                       &(RookAppend){ .struct_size = sizeof (RookAppend),
                                      .message = message,
                                      .duplicate_key = key,
                                      .event = ROOK_EVENT_MESSAGE_NEW },
                       on_append, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  return answer.uid;
}

static void
test_append_duplicates (void)
{
  Box box = box_new (NULL, 0);

  g_assert_cmpuint (deliver (&box, "k1"), ==, 1);
  g_assert_cmpuint (deliver (&box, "k1"), ==, 0);
  g_assert_cmpuint (deliver (&box, "k2"), ==, 2);
  g_clear_pointer (&box.view, rook_view_free);
  g_clear_pointer (&box.mailbox, rook_mailbox_unref);
  fixture_restart (box.f);
  box.mailbox = must_open (box.f, box.f->alice, "user/alice");
  g_assert_cmpuint (deliver (&box, "k1"), ==, 0);
  box_clear (&box);
}

/* A duplicate of a delivery in flight waits for its outcome; if that fails it goes in its place. */
static void
test_append_duplicate_in_flight (void)
{
  Box box = box_new (NULL, 0);
  RookMemoryDisk *disk = fixture_disk (box.f, "default");
  g_autoptr (GBytes) message = g_bytes_new (MESSAGE, strlen (MESSAGE));
  RookAppend append = {
    .struct_size = sizeof (RookAppend), .message = message, .duplicate_key = "k", .event = ROOK_EVENT_MESSAGE_NEW
  };

  for (guint fails = 0; fails < 2; fails++)
    {
      g_auto (Answer) first = { .f = box.f }, second = { .f = box.f };

      rook_memory_disk_hold (disk, TRUE);
      if (fails)
        append.duplicate_key = "l";
      rook_mailbox_append (box.mailbox, NULL, &append, on_append, &first);
      rook_mailbox_append (box.mailbox, NULL, &append, on_append, &second);
      fixture_settle (box.f);
      g_assert_false (first.done || second.done);
      if (fails)
        rook_memory_disk_fail (disk, 1, ROOK_STORE_ERROR_IO, FALSE);
      rook_memory_disk_hold (disk, FALSE);
      answer_wait (&first);
      answer_wait (&second);
      g_assert_cmpint (code_of (&first), ==, fails ? ROOK_MAIL_ERROR_TEMPORARY : -1);
      if (!fails)
        g_assert_cmpuint (second.uid, ==, 0);
    }
  box_clear (&box);
}

/* --- durability over a restart ---------------------------------------------------------------------------------- */

static void
test_restart_keeps_everything (void)
{
  Box box = box_new (NULL, 200);
  g_autofree char *before = NULL, *after = NULL;
  RookMailboxStatus status, again;

  must_store (box.f, box.view, 70, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_store (box.f, box.view, 71, ROOK_STORE_ADD, ROOK_FLAG_SEEN | ROOK_FLAG_FLAGGED, "work");
  must_store (box.f, box.view, 200, ROOK_STORE_ADD, ROOK_FLAG_ANSWERED, "Work");
  must_expunge (box.f, box.view);
  g_clear_pointer (&box.view, rook_view_free);
  box.view = must_view (box.mailbox, box.f->alice);
  before = view_text (box.view);
  rook_mailbox_get_status (box.mailbox, box.f->alice, &status);
  g_clear_pointer (&box.view, rook_view_free);
  g_clear_pointer (&box.mailbox, rook_mailbox_unref);
  fixture_restart (box.f);
  box.mailbox = must_open (box.f, box.f->alice, "user/alice");
  box.view = must_view (box.mailbox, box.f->alice);
  after = view_text (box.view);
  rook_mailbox_get_status (box.mailbox, box.f->alice, &again);
  g_assert_cmpstr (before, ==, after);
  g_assert_nonnull (strstr (after, " 71:SF+work "));
  g_assert_true (g_str_has_suffix (after, " 200:A+work"));
  g_assert_cmpuint (status.uidvalidity, ==, again.uidvalidity);
  g_assert_cmpuint (status.uidnext, ==, again.uidnext);
  g_assert_cmpuint (status.messages, ==, again.messages);
  g_assert_cmpuint (status.recent, ==, again.recent);
  g_assert_cmpuint (status.unseen, ==, again.unseen);
  g_assert_cmpuint (status.highest_modseq, ==, again.highest_modseq);
  g_assert_cmpuint (status.size, ==, again.size);
  g_assert_cmpuint (status.messages, ==, 199);
  box_clear (&box);
}

/* The running CRCs are those of the records. */
static void
test_crc_follows_records (void)
{
  Box box = box_new (NULL, 70);
  guint32 crc = 0, annot = ROOK_CRC_ANNOT_START;

  must_store (box.f, box.view, 3, ROOK_STORE_ADD, ROOK_FLAG_SEEN, "$Foo");
  must_store (box.f, box.view, 4, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_store (box.f, box.view, 3, ROOK_STORE_REMOVE, ROOK_FLAG_SEEN, NULL);
  must_expunge (box.f, box.view);
  update (box.view, TRUE);
  for (guint seq = 1; seq <= rook_view_get_count (box.view); seq++)
    {
      RookRecord record;

      g_assert_true (rook_view_get_record (box.view, seq, &record));
      crc ^= rook_record_crc (&record, box.mailbox->keywords);
      annot ^= rook_record_crc_annot (&record);
    }
  g_assert_cmpuint (box.mailbox->durable.header.sync_crc, ==, crc);
  g_assert_cmpuint (box.mailbox->durable.header.sync_crc_annot, ==, annot);
  box_clear (&box);
}

/* --- flags ------------------------------------------------------------------------------------------------------ */

static void
test_flags_modes (void)
{
  Box box = box_new (NULL, 1);

  must_store (box.f, box.view, 1, ROOK_STORE_ADD, ROOK_FLAG_SEEN | ROOK_FLAG_FLAGGED, "a");
  assert_view (box.view, "1:SFr+a");
  must_store (box.f, box.view, 1, ROOK_STORE_REMOVE, ROOK_FLAG_FLAGGED, "a");
  assert_view (box.view, "1:Sr");
  must_store (box.f, box.view, 1, ROOK_STORE_SET, ROOK_FLAG_ANSWERED, "b");
  assert_view (box.view, "1:Ar+b");
  must_store (box.f, box.view, 1, ROOK_STORE_REMOVE, 0, "never-used");
  g_assert_null (rook_mailbox_get_keyword (box.mailbox, 2));
  box_clear (&box);
}

static void
test_flags_unchanged_since (void)
{
  Box box = box_new (NULL, 3);
  const guint32 uids[] = { 1, 2, 3, 99 };
  g_auto (Answer) answer = { .f = box.f };
  guint64 since;
  RookMailboxStatus status;

  rook_mailbox_get_status (box.mailbox, box.f->alice, &status);
  since = status.highest_modseq;
  must_store (box.f, box.view, 2, ROOK_STORE_ADD, ROOK_FLAG_SEEN, NULL);
  rook_view_store_flags (box.view,
                         &(RookStoreFlags){ .struct_size = sizeof (RookStoreFlags),
                                            .uids = uids,
                                            .n_uids = 4,
                                            .mode = ROOK_STORE_ADD,
                                            .flags = ROOK_FLAG_FLAGGED,
                                            .unchanged_since = since },
                         on_store, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  g_assert_cmpuint (answer.uids->len, ==, 1);
  g_assert_cmpuint (g_array_index (answer.uids, guint32, 0), ==, 2);
  assert_view (box.view, "1:Fr 2:Sr 3:Fr");
  box_clear (&box);
}

static void
test_flags_set_already_change_no_modseq (void)
{
  Box box = box_new (NULL, 1);
  RookMailboxStatus before, after;

  must_store (box.f, box.view, 1, ROOK_STORE_ADD, ROOK_FLAG_SEEN, "k");
  rook_mailbox_get_status (box.mailbox, box.f->alice, &before);
  must_store (box.f, box.view, 1, ROOK_STORE_ADD, ROOK_FLAG_SEEN, "K");
  rook_mailbox_get_status (box.mailbox, box.f->alice, &after);
  g_assert_cmpuint (before.highest_modseq, ==, after.highest_modseq);
  box_clear (&box);
}

static void
test_flags_many_in_slices (void)
{
  Box box = box_new (NULL, 0);
  g_autofree guint32 *uids = g_new (guint32, 700);
  g_auto (Answer) answer = { .f = box.f };
  RookMailboxStatus status;

  for (guint i = 0; i < 700; i++)
    uids[i] = must_append (box.f, box.mailbox, box.f->alice, MESSAGE);
  rook_view_store_flags (box.view,
                         &(RookStoreFlags){ .struct_size = sizeof (RookStoreFlags),
                                            .uids = uids,
                                            .n_uids = 700,
                                            .mode = ROOK_STORE_ADD,
                                            .flags = ROOK_FLAG_SEEN | ROOK_FLAG_DELETED,
                                            .unchanged_since = G_MAXUINT64 },
                         on_store, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  rook_mailbox_get_status (box.mailbox, box.f->alice, &status);
  g_assert_cmpuint (status.unseen, ==, 0);
  g_assert_cmpuint (status.deleted, ==, 700);
  update (box.view, TRUE);
  must_expunge (box.f, box.view);
  update (box.view, TRUE);
  g_assert_cmpuint (rook_view_get_count (box.view), ==, 0);
  box_clear (&box);
}

static void
test_flags_too_many_keywords (void)
{
  Box box = box_new (NULL, 1);
  g_auto (Answer) answer = { .f = box.f };
  const char *const one_more[] = { "one-more", NULL };

  for (guint i = 0; i < ROOK_MAX_KEYWORDS; i++)
    {
      g_autofree char *name = g_strdup_printf ("k%u", i);

      must_store (box.f, box.view, 1, ROOK_STORE_ADD, 0, name);
    }
  rook_view_store_flags (box.view,
                         &(RookStoreFlags){ .struct_size = sizeof (RookStoreFlags),
                                            .uids = (guint32[]){ 1 },
                                            .n_uids = 1,
                                            .mode = ROOK_STORE_ADD,
                                            .keywords = one_more,
                                            .unchanged_since = G_MAXUINT64 },
                         on_store, &answer);
  answer_wait (&answer);
  g_assert_cmpint (code_of (&answer), ==, ROOK_MAIL_ERROR_LIMIT);
  must_store (box.f, box.view, 1, ROOK_STORE_ADD, ROOK_FLAG_SEEN, "K127");
  box_clear (&box);
}

/* --- copy ------------------------------------------------------------------------------------------------------- */

static void
copy (Box *box, const guint32 *uids, guint n, const char *destination, gboolean move, Answer *answer)
{
  rook_view_copy (box->view, uids, n, destination, move, on_copy, answer);
  g_assert_false (answer->done);
  answer_wait (answer);
}

static void
check_copy (Box *box, const char *destination, gboolean move)
{
  g_auto (Answer) answer = { .f = box->f };
  const guint32 uids[] = { 1, 2, 77 };
  RookMailbox *mailbox;
  RookView *view;

  copy (box, uids, 3, destination, move, &answer);
  g_assert_no_error (answer.error);
  g_assert_cmpuint (answer.uids->len, ==, 2);
  g_assert_cmpuint (answer.dest_uids->len, ==, 2);
  g_assert_cmpuint (g_array_index (answer.uids, guint32, 1), ==, 2);
  g_assert_cmpuint (g_array_index (answer.dest_uids, guint32, 1), ==, 2);
  mailbox = must_open (box->f, box->f->alice, destination);
  view = must_view (mailbox, box->f->alice);
  assert_view (view, "1:r 2:SFr+k");
  {
    g_auto (Answer) read = { .f = box->f };

    rook_view_read (view, 2, 0, G_MAXSIZE, on_read, &read);
    answer_wait (&read);
    g_assert_cmpuint (g_bytes_get_size (read.bytes), ==, strlen (MESSAGE));
  }
  rook_view_free (view);
  rook_mailbox_unref (mailbox);
}

static void
test_copy (void)
{
  Box box = box_new (NULL, 3);

  must_create (box.f, box.f->alice, "user/alice/a");
  must_store (box.f, box.view, 2, ROOK_STORE_ADD, ROOK_FLAG_SEEN | ROOK_FLAG_FLAGGED, "k");
  check_copy (&box, "user/alice/a", FALSE);
  assert_view (box.view, "1:r 2:SFr+k 3:r");
  box_clear (&box);
}

static void
test_copy_to_other_partition (void)
{
  Box box = box_new (NULL, 3);
  g_auto (Answer) answer = { .f = box.f };

  rook_mail_create (box.f->mail, NULL, "user/alice/b",
                    &(RookCreateOptions){ .struct_size = sizeof (RookCreateOptions), .partition = "other" }, on_mail,
                    &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  must_store (box.f, box.view, 2, ROOK_STORE_ADD, ROOK_FLAG_SEEN | ROOK_FLAG_FLAGGED, "k");
  check_copy (&box, "user/alice/b", FALSE);
  box_clear (&box);
}

static void
test_move (void)
{
  Box box = box_new (NULL, 3);

  must_create (box.f, box.f->alice, "user/alice/a");
  must_store (box.f, box.view, 2, ROOK_STORE_ADD, ROOK_FLAG_SEEN | ROOK_FLAG_FLAGGED, "k");
  check_copy (&box, "user/alice/a", TRUE);
  update (box.view, TRUE);
  assert_view (box.view, "3:r");
  box_clear (&box);
}

static void
test_copy_errors (void)
{
  Box box = box_new (NULL, 1);
  g_auto (Answer) missing = { .f = box.f }, foreign = { .f = box.f }, nothing = { .f = box.f };

  copy (&box, (guint32[]){ 1 }, 1, "user/alice/none", FALSE, &missing);
  g_assert_cmpint (code_of (&missing), ==, ROOK_MAIL_ERROR_NOT_FOUND);
  copy (&box, (guint32[]){ 1 }, 1, "user/bob", FALSE, &foreign);
  g_assert_cmpint (code_of (&foreign), ==, ROOK_MAIL_ERROR_NOT_FOUND);
  copy (&box, (guint32[]){ 9 }, 1, "user/alice", FALSE, &nothing);
  g_assert_no_error (nothing.error);
  g_assert_cmpuint (nothing.uidvalidity, ==, 0);
  box_clear (&box);
}

static void
test_copy_into_itself (void)
{
  Box box = box_new (NULL, 1);
  g_auto (Answer) answer = { .f = box.f };

  copy (&box, (guint32[]){ 1 }, 1, "user/alice", FALSE, &answer);
  g_assert_no_error (answer.error);
  update (box.view, TRUE);
  assert_view (box.view, "1:r 2:r");
  box_clear (&box);
}

/* --- shared mailboxes ------------------------------------------------------------------------------------------- */

static void
test_seen_is_each_users_own (void)
{
  Box box = box_new (NULL, 2);
  RookMailbox *same;
  RookView *bobs;
  RookMailboxStatus status;

  must_set_acl (box.f, "user/alice", "bob", "lrsw");
  same = must_open (box.f, box.f->bob, "user/alice");
  g_assert_true (same == box.mailbox);
  bobs = must_view (same, box.f->bob);
  must_store (box.f, box.view, 1, ROOK_STORE_ADD, ROOK_FLAG_SEEN, NULL);
  must_store (box.f, bobs, 2, ROOK_STORE_ADD, ROOK_FLAG_SEEN | ROOK_FLAG_FLAGGED, NULL);
  assert_view (box.view, "1:Sr 2:Fr");
  assert_view (bobs, "1: 2:SF");
  rook_mailbox_get_status (box.mailbox, box.f->bob, &status);
  g_assert_cmpuint (status.unseen, ==, 1);
  g_assert_cmpuint (status.first_unseen, ==, 1);
  rook_view_free (bobs);
  rook_mailbox_unref (same);
  g_clear_pointer (&box.view, rook_view_free);
  g_clear_pointer (&box.mailbox, rook_mailbox_unref);
  fixture_restart (box.f);
  box.mailbox = must_open (box.f, box.f->bob, "user/alice");
  box.view = must_view (box.mailbox, box.f->bob);
  assert_view (box.view, "1: 2:SF");
  must_store (box.f, box.view, 2, ROOK_STORE_REMOVE, ROOK_FLAG_SEEN, NULL);
  assert_view (box.view, "1: 2:F");
  box_clear (&box);
}

static void
test_rights_are_checked (void)
{
  Box box = box_new (NULL, 1);
  RookView *bobs;
  RookMailbox *same;
  g_auto (Answer) answer = { .f = box.f };
  g_autoptr (GError) error = NULL;

  must_set_acl (box.f, "user/alice", "bob", "lrs");
  same = must_open (box.f, box.f->bob, "user/alice");
  bobs = must_view (same, box.f->bob);
  must_store (box.f, bobs, 1, ROOK_STORE_ADD, ROOK_FLAG_SEEN | ROOK_FLAG_DELETED | ROOK_FLAG_FLAGGED, "k");
  assert_view (bobs, "1:S");
  rook_view_store_flags (bobs,
                         &(RookStoreFlags){ .struct_size = sizeof (RookStoreFlags),
                                            .uids = (guint32[]){ 1 },
                                            .n_uids = 1,
                                            .mode = ROOK_STORE_ADD,
                                            .flags = ROOK_FLAG_DELETED,
                                            .unchanged_since = G_MAXUINT64 },
                         on_store, &answer);
  answer_wait (&answer);
  g_assert_cmpint (code_of (&answer), ==, ROOK_MAIL_ERROR_NO_PERMISSION);
  rook_view_free (bobs);
  must_set_acl (box.f, "user/alice", "bob", "lp");
  g_assert_null (rook_view_new (same, box.f->bob, FALSE, NULL, NULL, &error));
  g_assert_error (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NO_PERMISSION);
  rook_mailbox_unref (same);
  box_clear (&box);
}

/* --- deleting under sessions -------------------------------------------------------------------------------------- */

static void
test_deleted_mailbox_is_gone (void)
{
  Box box = box_new (NULL, 0);
  RookMailbox *mailbox;
  RookView *view;
  guint calls = 0;
  g_auto (Answer) answer = { .f = box.f };

  must_create (box.f, box.f->alice, "user/alice/a");
  mailbox = must_open (box.f, box.f->alice, "user/alice/a");
  must_append (box.f, mailbox, box.f->alice, MESSAGE);
  view = rook_view_new (mailbox, box.f->alice, FALSE, count, &calls, NULL);
  rook_mail_delete (box.f->mail, box.f->alice, "user/alice/a", on_mail, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  fixture_settle (box.f);
  g_assert_cmpuint (calls, ==, 1);
  g_assert_true (rook_view_is_gone (view));
  {
    g_auto (Answer) read = { .f = box.f }, append = { .f = box.f };
    g_autoptr (GBytes) message = g_bytes_new (MESSAGE, strlen (MESSAGE));

    rook_view_read (view, 1, 0, 10, on_read, &read);
    answer_wait (&read);
    g_assert_cmpint (code_of (&read), ==, ROOK_MAIL_ERROR_NOT_FOUND);
    rook_mailbox_append (mailbox, box.f->alice, &(RookAppend){ .struct_size = sizeof (RookAppend), .message = message },
                         on_append, &append);
    answer_wait (&append);
    g_assert_cmpint (code_of (&append), ==, ROOK_MAIL_ERROR_NOT_FOUND);
  }
  must_create (box.f, box.f->alice, "user/alice/a");
  rook_view_free (view);
  rook_mailbox_unref (mailbox);
  mailbox = must_open (box.f, box.f->alice, "user/alice/a");
  view = must_view (mailbox, box.f->alice);
  assert_view (view, "");
  rook_view_free (view);
  rook_mailbox_unref (mailbox);
  box_clear (&box);
}

/* --- a failing store ------------------------------------------------------------------------------------------------ */

/* A failed batch leaves everything as it was, and the next one builds on that. */
static void
test_failure_changes_nothing (void)
{
  static const struct {
    RookStoreError store;
    RookMailError told;
  } codes[] = { { ROOK_STORE_ERROR_IO, ROOK_MAIL_ERROR_TEMPORARY }, { ROOK_STORE_ERROR_FULL, ROOK_MAIL_ERROR_FULL } };

  for (guint i = 0; i < G_N_ELEMENTS (codes); i++)
    {
      Box box = box_new (NULL, 2);

      rook_memory_disk_fail (fixture_disk (box.f, "default"), 1, codes[i].store, FALSE);
      g_assert_cmpint (try_append (&box, box.f->alice, MESSAGE, strlen (MESSAGE)), ==, (int) codes[i].told);
      g_assert_null (rook_view_update (box.view, TRUE));
      fixture_await_store (box.f, "default");
      g_assert_cmpuint (must_append (box.f, box.mailbox, box.f->alice, MESSAGE), ==, 3);
      update (box.view, TRUE);
      assert_view (box.view, "1:r 2:r 3:r");
      box_clear (&box);
    }
}

/* All that was built on a batch that fails fails with it; nobody was told otherwise. */
static void
test_failure_takes_what_was_built_on_it (void)
{
  Box box = box_new (NULL, 1);
  RookMemoryDisk *disk = fixture_disk (box.f, "default");
  g_autoptr (GBytes) message = g_bytes_new (MESSAGE, strlen (MESSAGE));
  RookAppend append = { .struct_size = sizeof (RookAppend), .message = message };
  g_auto (Answer) first = { .f = box.f }, second = { .f = box.f };

  rook_memory_disk_hold (disk, TRUE);
  rook_mailbox_append (box.mailbox, box.f->alice, &append, on_append, &first);
  rook_mailbox_append (box.mailbox, box.f->alice, &append, on_append, &second);
  fixture_settle (box.f);
  rook_memory_disk_fail (disk, 1, ROOK_STORE_ERROR_IO, FALSE);
  rook_memory_disk_hold (disk, FALSE);
  answer_wait (&first);
  answer_wait (&second);
  g_assert_cmpint (code_of (&first), ==, ROOK_MAIL_ERROR_TEMPORARY);
  g_assert_cmpint (code_of (&second), ==, ROOK_MAIL_ERROR_TEMPORARY);
  fixture_await_store (box.f, "default");
  g_assert_cmpuint (must_append (box.f, box.mailbox, box.f->alice, MESSAGE), ==, 2);
  box_clear (&box);
}

static void
test_unknown_outcome_ends_views (void)
{
  for (guint applied = 0; applied < 2; applied++)
    {
      Box box = box_new (NULL, 1);

      rook_memory_disk_fail (fixture_disk (box.f, "default"), 1, ROOK_STORE_ERROR_UNKNOWN, applied);
      g_assert_cmpint (try_append (&box, box.f->alice, MESSAGE, strlen (MESSAGE)), ==, ROOK_MAIL_ERROR_TEMPORARY);
      g_assert_true (rook_view_is_gone (box.view));
      g_clear_pointer (&box.view, rook_view_free);
      g_clear_pointer (&box.mailbox, rook_mailbox_unref);
      fixture_restart (box.f);
      box.mailbox = must_open (box.f, box.f->alice, "user/alice");
      box.view = must_view (box.mailbox, box.f->alice);
      g_assert_cmpuint (rook_view_get_count (box.view), ==, 1 + applied);
      box_clear (&box);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func ("/mailbox/" path, func)
  ADD ("append/ascending-uids", test_append_gives_ascending_uids);
  ADD ("append/keeps-what-it-is-given", test_append_keeps_what_it_is_given);
  ADD ("append/errors", test_append_errors);
  ADD ("append/large-goes-over-the-pool", test_append_large_goes_over_the_pool);
  ADD ("append/answers-when-durable", test_append_answers_when_durable);
  ADD ("append/duplicates", test_append_duplicates);
  ADD ("append/duplicate-in-flight", test_append_duplicate_in_flight);
  ADD ("store/restart-keeps-everything", test_restart_keeps_everything);
  ADD ("store/crc-follows-records", test_crc_follows_records);
  ADD ("flags/modes", test_flags_modes);
  ADD ("flags/unchanged-since", test_flags_unchanged_since);
  ADD ("flags/set-already-change-no-modseq", test_flags_set_already_change_no_modseq);
  ADD ("flags/many-in-slices", test_flags_many_in_slices);
  ADD ("flags/too-many-keywords", test_flags_too_many_keywords);
  ADD ("copy/within-a-store", test_copy);
  ADD ("copy/to-other-partition", test_copy_to_other_partition);
  ADD ("copy/move", test_move);
  ADD ("copy/errors", test_copy_errors);
  ADD ("copy/into-itself", test_copy_into_itself);
  ADD ("shared/seen-is-each-users-own", test_seen_is_each_users_own);
  ADD ("shared/rights-are-checked", test_rights_are_checked);
  ADD ("delete/is-gone", test_deleted_mailbox_is_gone);
  ADD ("failure/changes-nothing", test_failure_changes_nothing);
  ADD ("failure/takes-what-was-built-on-it", test_failure_takes_what_was_built_on_it);
  ADD ("failure/unknown-outcome-ends-views", test_unknown_outcome_ends_views);
  return g_test_run ();
}
