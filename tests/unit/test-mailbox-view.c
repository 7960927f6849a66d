/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rookery/mailbox.h: views. What a session sees of its own and others' doing, and reading through it.
 */
#include "mail-fixture.h"

#include "../lib/test-calm.h"

/* --- views ------------------------------------------------------------------------------------------------------ */

static void
test_view_numbers_change_in_update_only (void)
{
  Box box = box_new (NULL, 4);
  RookView *other = must_view (box.mailbox, box.f->alice);
  g_autoptr (RookViewChanges) changes = NULL;

  must_store (box.f, other, 2, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_store (box.f, other, 3, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_expunge (box.f, other);
  must_append (box.f, box.mailbox, NULL, MESSAGE);
  assert_view (box.view, "1:r 2:Drx 3:Drx 4:r");
  changes = rook_view_update (box.view, FALSE);
  g_assert_nonnull (changes);
  g_assert_cmpuint (changes->expunged->len, ==, 0);
  g_assert_true (changes->exists_changed);
  g_assert_cmpuint (changes->exists, ==, 5);
  assert_view (box.view, "1:r 2:Drx 3:Drx 4:r 5:r");
  g_clear_pointer (&changes, rook_view_changes_free);
  changes = rook_view_update (box.view, TRUE);
  g_assert_cmpuint (changes->expunged->len, ==, 2);
  g_assert_cmpuint (g_array_index (changes->expunged, guint32, 0), ==, 2);
  g_assert_cmpuint (g_array_index (changes->expunged, guint32, 1), ==, 2);
  g_assert_cmpuint (g_array_index (changes->expunged_uids, guint32, 1), ==, 3);
  g_assert_cmpuint (changes->exists, ==, 3);
  assert_view (box.view, "1:r 4:r 5:r");
  g_assert_null (rook_view_update (box.view, TRUE));
  rook_view_free (other);
  box_clear (&box);
}

static void
test_view_reports_changes (void)
{
  Box box = box_new (NULL, 3);
  RookView *other = must_view (box.mailbox, box.f->alice);
  RookViewChanges *changes;

  must_store (box.f, box.view, 2, ROOK_STORE_ADD, ROOK_FLAG_FLAGGED, NULL);
  changes = rook_view_update (other, TRUE);
  g_assert_cmpuint (changes->changed->len, ==, 1);
  g_assert_cmpuint (g_array_index (changes->changed, guint32, 0), ==, 2);
  g_assert_false (changes->exists_changed);
  rook_view_changes_free (changes);
  changes = rook_view_update (box.view, TRUE);
  g_assert_cmpuint (changes->changed->len, ==, 1); /* its own too, unless it is to be silent */
  rook_view_changes_free (changes);
  rook_view_free (other);
  box_clear (&box);
}

static void
test_view_silent (void)
{
  Box box = box_new (NULL, 2);
  g_auto (Answer) answer = { .f = box.f };
  RookView *other = must_view (box.mailbox, box.f->alice);
  RookViewChanges *changes;

  rook_view_store_flags (box.view,
                         &(RookStoreFlags){ .struct_size = sizeof (RookStoreFlags),
                                            .uids = (guint32[]){ 1 },
                                            .n_uids = 1,
                                            .mode = ROOK_STORE_ADD,
                                            .flags = ROOK_FLAG_SEEN,
                                            .unchanged_since = G_MAXUINT64,
                                            .silent = TRUE },
                         on_store, &answer);
  answer_wait (&answer);
  g_assert_null (rook_view_update (box.view, TRUE));
  changes = rook_view_update (other, TRUE);
  g_assert_cmpuint (changes->changed->len, ==, 1);
  rook_view_changes_free (changes);
  must_store (box.f, other, 1, ROOK_STORE_ADD, ROOK_FLAG_FLAGGED, NULL);
  changes = rook_view_update (box.view, TRUE);
  g_assert_cmpuint (changes->changed->len, ==, 1);
  rook_view_changes_free (changes);
  rook_view_free (other);
  box_clear (&box);
}

static void
test_view_modseq_never_ahead (void)
{
  Box box = box_new (NULL, 2);
  RookView *other = must_view (box.mailbox, box.f->alice);
  RookViewChanges *changes;
  RookMailboxStatus start, now;

  rook_mailbox_get_status (box.mailbox, box.f->alice, &start);
  must_store (box.f, other, 2, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_expunge (box.f, other);
  must_append (box.f, box.mailbox, NULL, MESSAGE);
  changes = rook_view_update (box.view, FALSE);
  g_assert_cmpuint (changes->highest_modseq, ==, start.highest_modseq);
  rook_view_changes_free (changes);
  changes = rook_view_update (box.view, TRUE);
  rook_mailbox_get_status (box.mailbox, box.f->alice, &now);
  g_assert_cmpuint (changes->highest_modseq, ==, now.highest_modseq);
  rook_view_changes_free (changes);
  rook_view_free (other);
  box_clear (&box);
}

static void
test_view_changed_once_until_update (void)
{
  Box box = box_new (NULL, 0);
  guint calls = 0;
  RookView *view = rook_view_new (box.mailbox, box.f->alice, FALSE, count, &calls, NULL);

  must_append (box.f, box.mailbox, NULL, MESSAGE);
  must_append (box.f, box.mailbox, NULL, MESSAGE);
  fixture_settle (box.f);
  g_assert_cmpuint (calls, ==, 1);
  update (view, TRUE);
  must_append (box.f, box.mailbox, NULL, MESSAGE);
  fixture_settle (box.f);
  g_assert_cmpuint (calls, ==, 2);
  update (view, TRUE);
  rook_mutex_lock (&box.mailbox->lock);
  rook_view_wake (view);
  rook_mutex_unlock (&box.mailbox->lock);
  rook_view_free (view);
  fixture_settle (box.f);
  g_assert_cmpuint (calls, ==, 2);
  box_clear (&box);
}

static void
test_view_recent_is_one_sessions (void)
{
  Box box = box_new (NULL, 2);
  RookView *examine = rook_view_new (box.mailbox, box.f->alice, TRUE, NULL, NULL, NULL);
  RookView *second = must_view (box.mailbox, box.f->alice);

  g_assert_cmpuint (rook_view_get_recent (box.view), ==, 2);
  g_assert_cmpuint (rook_view_get_recent (second), ==, 0);
  must_append (box.f, box.mailbox, NULL, MESSAGE);
  update (examine, TRUE);
  g_assert_cmpuint (rook_view_get_recent (examine), ==, 1); /* shown, not claimed */
  update (second, TRUE);
  update (box.view, TRUE);
  g_assert_cmpuint (rook_view_get_recent (second), ==, 1);
  g_assert_cmpuint (rook_view_get_recent (box.view), ==, 2);
  rook_view_free (second);
  rook_view_free (examine);
  g_clear_pointer (&box.view, rook_view_free);
  g_clear_pointer (&box.mailbox, rook_mailbox_unref);
  fixture_restart (box.f);
  box.mailbox = must_open (box.f, box.f->alice, "user/alice");
  box.view = must_view (box.mailbox, box.f->alice);
  g_assert_cmpuint (rook_view_get_recent (box.view), ==, 0);
  box_clear (&box);
}

static void
test_view_find (void)
{
  Box box = box_new (NULL, 3);

  must_store (box.f, box.view, 2, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_expunge (box.f, box.view);
  update (box.view, TRUE);
  g_assert_cmpuint (rook_view_find_uid (box.view, 1), ==, 1);
  g_assert_cmpuint (rook_view_find_uid (box.view, 2), ==, 2);
  g_assert_cmpuint (rook_view_find_uid (box.view, 3), ==, 2);
  g_assert_cmpuint (rook_view_find_uid (box.view, 4), ==, 3);
  g_assert_cmpuint (rook_view_get_uid (box.view, 2), ==, 3);
  box_clear (&box);
}

static void
test_view_read_only (void)
{
  Box box = box_new (NULL, 1);
  RookView *view = rook_view_new (box.mailbox, box.f->alice, TRUE, NULL, NULL, NULL);
  g_auto (Answer) store = { .f = box.f }, expunge = { .f = box.f };

  g_assert_true (rook_view_is_read_only (view));
  rook_view_store_flags (
      view,
      &(RookStoreFlags){
          .struct_size = sizeof (RookStoreFlags), .uids = (guint32[]){ 1 }, .n_uids = 1, .flags = ROOK_FLAG_SEEN },
      on_store, &store);
  answer_wait (&store);
  g_assert_cmpint (code_of (&store), ==, ROOK_MAIL_ERROR_READ_ONLY);
  rook_view_expunge (view, NULL, 0, on_mail, &expunge);
  answer_wait (&expunge);
  g_assert_cmpint (code_of (&expunge), ==, ROOK_MAIL_ERROR_READ_ONLY);
  rook_view_free (view);
  box_clear (&box);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static void
check_read (Box *box, guint32 seq, guint64 offset, gsize length, const char *expected)
{
  g_auto (Answer) answer = { .f = box->f };

  rook_view_read (box->view, seq, offset, length, on_read, &answer);
  g_assert_false (answer.done);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  g_assert_cmpmem (g_bytes_get_data (answer.bytes, NULL), g_bytes_get_size (answer.bytes), expected, strlen (expected));
}

static void
test_read_bytes (void)
{
  Box box = box_new (NULL, 1);

  check_read (&box, 1, 0, G_MAXSIZE, MESSAGE);
  check_read (&box, 1, 6, 5, "a@exa");
  check_read (&box, 1, strlen (MESSAGE) - 2, 100, "\r\n");
  check_read (&box, 1, 1000, 100, "");
  box_clear (&box);
}

static void
test_read_expunged_elsewhere (void)
{
  Box box = box_new (NULL, 2);
  RookView *other = must_view (box.mailbox, box.f->alice);

  must_store (box.f, other, 1, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_expunge (box.f, other);
  check_read (&box, 1, 0, G_MAXSIZE, MESSAGE);
  rook_view_free (other);
  box_clear (&box);
}

static void
test_read_mime (void)
{
  Box box = box_new (NULL, 1);
  g_auto (Answer) answer = { .f = box.f };

  rook_view_get_mime (box.view, 1, on_mime, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  g_assert_nonnull (strstr (rook_mime_get_envelope (answer.mime), "\"s\""));
  g_assert_cmpuint (rook_mime_get_size (answer.mime), ==, strlen (MESSAGE));
  box_clear (&box);
}

static void
test_load_answers (void)
{
  Box box = box_new (NULL, 1);
  g_auto (Answer) answer = { .f = box.f };

  rook_view_load (box.view, 1, 1, on_mail, &answer);
  g_assert_false (answer.done);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  box_clear (&box);
}

static void
look_at_view (gpointer data)
{
  Box *box = data;
  RookMessage message;

  for (guint32 uid = 1; uid <= 200; uid++)
    g_assert_cmpuint (rook_view_find_uid (box->view, uid), ==, uid);
  for (guint32 seq = 1; seq <= 200; seq++)
    g_assert_true (rook_view_get_message (box->view, seq, &message));
}

static void
test_view_looks_at_memory (void)
{
  Box box = box_new (NULL, 200);
  g_auto (Answer) answer = { .f = box.f };

  rook_view_load (box.view, 1, 200, on_mail, &answer);
  answer_wait (&answer);
  g_assert_true (test_is_calm (look_at_view, &box));
  g_assert_cmpuint (test_heap_taken (look_at_view, &box), ==, 0);
  box_clear (&box);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func ("/mailbox/" path, func)
  ADD ("view/numbers-change-in-update-only", test_view_numbers_change_in_update_only);
  ADD ("view/reports-changes", test_view_reports_changes);
  ADD ("view/silent", test_view_silent);
  ADD ("view/modseq-never-ahead", test_view_modseq_never_ahead);
  ADD ("view/changed-once-until-update", test_view_changed_once_until_update);
  ADD ("view/recent-is-one-sessions", test_view_recent_is_one_sessions);
  ADD ("view/find", test_view_find);
  ADD ("view/looks-at-memory", test_view_looks_at_memory);
  ADD ("view/read-only", test_view_read_only);
  ADD ("read/bytes", test_read_bytes);
  ADD ("read/expunged-elsewhere", test_read_expunged_elsewhere);
  ADD ("read/mime", test_read_mime);
  ADD ("read/load-answers", test_load_answers);
  return g_test_run ();
}
