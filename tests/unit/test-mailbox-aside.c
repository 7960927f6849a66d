/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changes that wait: while a mailbox is held, and while somebody appends a lot to it aside. Nobody sees a part of that, readers
 * go on, and what was built on something that failed comes to nothing.
 */
#include "mail-fixture.h"

#define NO_CACHE "[mailbox]\npage-cache=0\n"
#define FLAG(uid_pointer, flag)                               \
  (&(RookStoreFlags){ .struct_size = sizeof (RookStoreFlags), \
                      .uids = (uid_pointer),                  \
                      .n_uids = 1,                            \
                      .mode = ROOK_STORE_ADD,                 \
                      .flags = (flag),                        \
                      .unchanged_since = G_MAXUINT64 })

static void
append (Box *box, Answer *answer)
{
  g_autoptr (GBytes) message = g_bytes_new_static (MESSAGE, strlen (MESSAGE));

  rook_mailbox_append (
      box->mailbox, box->f->alice,
      &(RookAppend){ .struct_size = sizeof (RookAppend), .message = message, .event = ROOK_EVENT_MESSAGE_APPEND },
      on_append, answer);
}

static void
copy_all (Box *box, const char *destination, Answer *answer)
{
  guint n = rook_view_get_count (box->view);
  g_autofree guint32 *uids = g_new (guint32, n);

  for (guint i = 0; i < n; i++)
    uids[i] = rook_view_get_uid (box->view, i + 1);
  rook_view_copy (box->view, uids, n, destination, FALSE, on_copy, answer);
}

static void
wait_for (Answer *answer)
{
  answer_wait (answer);
  g_assert_no_error (answer->error);
}

static void
hold (Box *box, guint *quiet)
{
  rook_mailbox_hold (box->mailbox, count, quiet);
  while (*quiet == 0)
    fixture_settle (box->f);
}

static RookCommit *
begin_aside (Box *box)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&box->mailbox->lock);
  g_autoptr (GError) error = NULL;
  RookCommit *commit = rook_commit_begin_aside (box->mailbox, &error);

  g_assert_no_error (error);
  return commit;
}

/* --- held ----------------------------------------------------------------------------------------------------------- */

/* Also while the pages that it looks for are not in memory. */
static void
expunge_while_held (const char *config)
{
  Box box = box_new (config, 130);
  g_auto (Answer) expunged = { .f = box.f }, loaded = { .f = box.f };
  guint quiet = 0;

  must_store (box.f, box.view, 3, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_store (box.f, box.view, 100, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  update (box.view, TRUE);
  hold (&box, &quiet);
  rook_view_expunge (box.view, NULL, 0, on_mail, &expunged);
  for (guint i = 0; i < 5; i++)
    fixture_settle (box.f);
  g_assert_false (expunged.done);
  g_assert_cmpuint (status_of (box.f, "user/alice").messages, ==, 130);
  rook_mailbox_release (box.mailbox);
  wait_for (&expunged);
  update (box.view, TRUE);
  g_assert_cmpuint (rook_view_get_count (box.view), ==, 128);
  g_assert_cmpuint (rook_view_get_uid (box.view, 3), ==, 4);
  g_assert_cmpuint (rook_view_get_uid (box.view, 99), ==, 101);
  rook_view_load (box.view, 1, 128, on_mail, &loaded);
  wait_for (&loaded);
  box_clear (&box);
}

static void
test_expunge_while_held (void)
{
  expunge_while_held (NULL);
}

static void
test_expunge_while_held_and_hollow (void)
{
  expunge_while_held (NO_CACHE);
}

/* It is held between the slices of what expunges more than one: the rest waits, and nothing is left out. */
static void
test_held_between_slices (void)
{
  const guint n = 600;
  Box box = box_new (NULL, 75);
  g_auto (Answer) expunged = { .f = box.f };
  g_autofree guint32 *uids = g_new (guint32, n);
  guint quiet = 0;

  while (rook_view_get_count (box.view) < n)
    {
      g_auto (Answer) copied = { .f = box.f };

      copy_all (&box, "user/alice", &copied);
      wait_for (&copied);
      update (box.view, TRUE);
    }
  for (guint i = 0; i < n; i++)
    uids[i] = i + 1;
  rook_mailbox_expunge (box.mailbox, NULL, uids, n, FALSE, ROOK_EVENT_MESSAGE_EXPUNGE, on_mail, &expunged);
  rook_mailbox_hold (box.mailbox, count, &quiet);
  while (quiet == 0)
    fixture_settle (box.f);
  fixture_settle (box.f);
  g_assert_false (expunged.done);
  rook_mailbox_release (box.mailbox);
  wait_for (&expunged);
  g_assert_cmpuint (status_of (box.f, "user/alice").messages, ==, 0);
  box_clear (&box);
}

/* --- aside ---------------------------------------------------------------------------------------------------------- */

static void
test_writers_wait_and_readers_do_not (void)
{
  Box box = box_new (NO_CACHE, 130);
  g_auto (Answer) appended = { .f = box.f }, stored = { .f = box.f }, expunged = { .f = box.f };
  g_auto (Answer) copied = { .f = box.f }, loaded = { .f = box.f };
  const guint32 uid = 5;
  RookMessage message;
  RookCommit *commit;

  must_store (box.f, box.view, 3, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  update (box.view, TRUE);
  load_all (box.view); /* the last page has to be there */
  commit = begin_aside (&box);
  append (&box, &appended);
  rook_view_store_flags (box.view, FLAG (&uid, ROOK_FLAG_FLAGGED), on_store, &stored);
  rook_view_expunge (box.view, NULL, 0, on_mail, &expunged);
  copy_all (&box, "user/alice", &copied);
  rook_view_load (box.view, 1, 130, on_mail, &loaded);
  wait_for (&loaded);
  g_assert_true (rook_view_get_message (box.view, 70, &message));
  for (guint i = 0; i < 5; i++)
    fixture_settle (box.f);
  g_assert_false (appended.done || stored.done || expunged.done || copied.done);
  rook_commit_abandon (commit);
  wait_for (&appended);
  wait_for (&stored);
  wait_for (&expunged);
  wait_for (&copied);
  g_assert_cmpuint (status_of (box.f, "user/alice").uidnext, ==, 131 + 1 + copied.dest_uids->len);
  g_assert_cmpuint (status_of (box.f, "user/alice").messages, ==, 130 - 1 + 1 + copied.dest_uids->len);
  box_clear (&box);
}

/* Who moves it away waits until that is written, or given up. */
static void
test_hold_waits (void)
{
  Box box = box_new (NULL, 3);
  RookCommit *commit = begin_aside (&box);
  g_auto (Answer) appended = { .f = box.f };
  guint quiet = 0;

  rook_mailbox_hold (box.mailbox, count, &quiet);
  append (&box, &appended);
  for (guint i = 0; i < 5; i++)
    fixture_settle (box.f);
  g_assert_cmpuint (quiet, ==, 0);
  rook_commit_abandon (commit);
  while (quiet == 0)
    fixture_settle (box.f);
  g_assert_false (appended.done);
  rook_mailbox_release (box.mailbox);
  wait_for (&appended);
  g_assert_cmpuint (appended.uid, ==, 4);
  box_clear (&box);
}

/* At no time is there a part of it, for anybody. */
static void
test_all_or_nothing (void)
{
  Box box = box_new (NULL, 75);
  guint n = 75;

  for (guint round = 0; round < 4; round++, n *= 2)
    {
      g_auto (Answer) copied = { .f = box.f };

      copy_all (&box, "user/alice", &copied);
      while (!copied.done)
        {
          guint seen;

          fixture_settle (box.f);
          update (box.view, TRUE);
          seen = rook_view_get_count (box.view);
          g_assert_true (seen == n || seen == 2 * n);
          g_assert_cmpuint (status_of (box.f, "user/alice").messages, ==, seen);
        }
      g_assert_no_error (copied.error);
      update (box.view, TRUE);
      g_assert_cmpuint (rook_view_get_count (box.view), ==, 2 * n);
      g_assert_cmpuint (rook_view_get_uid (box.view, 2 * n), ==, 2 * n);
    }
  box_clear (&box);
}

/* A batch in flight fails, on which it was built. */
static void
test_stale (void)
{
  Box box = box_new (NULL, 3);
  RookMemoryDisk *disk = fixture_disk (box.f, "default");
  g_auto (Answer) stored = { .f = box.f };
  g_autoptr (GError) error = NULL;
  const guint32 uid = 2;
  gboolean submitted;
  RookCommit *commit;

  rook_memory_disk_hold (disk, TRUE);
  rook_view_store_flags (box.view, FLAG (&uid, ROOK_FLAG_FLAGGED), on_store, &stored);
  while (box.mailbox->in_flight == 0)
    fixture_settle (box.f);
  commit = begin_aside (&box);
  rook_memory_disk_fail (disk, 1, ROOK_STORE_ERROR_IO, FALSE);
  rook_memory_disk_hold (disk, FALSE);
  answer_wait (&stored);
  g_assert_nonnull (stored.error);
  rook_commit_seal (commit);
  rook_mutex_lock (&box.mailbox->lock);
  submitted = rook_commit_submit_aside (commit, NULL, NULL, &error);
  rook_mutex_unlock (&box.mailbox->lock);
  g_assert_false (submitted);
  g_assert_error (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_TEMPORARY);
  rook_commit_abandon (commit);
  fixture_await_store (box.f, "default");
  g_assert_cmpuint (must_append (box.f, box.mailbox, box.f->alice, MESSAGE), ==, 4);
  assert_view (box.view, "1:r 2:r 3:r");
  box_clear (&box);
}

/* --- to another partition ------------------------------------------------------------------------------------------- */

/* What is known of a message's structure goes along; where it is lost, it is found out anew. */
static void
test_structure_goes_along (void)
{
  Box box = box_new (NULL, 40);
  RookStore *from = box.mailbox->place->store;
  g_auto (Answer) made = { .f = box.f }, copied = { .f = box.f }, looked = { .f = box.f };
  RookBatch *batch = rook_batch_new (from);
  RookMailbox *dest;
  RookView *view;
  RookRecord record;

  g_assert_true (rook_view_get_record (box.view, 7, &record));
  rook_batch_release (batch, record.cache);
  g_assert_true (rook_store_commit_wait (from, batch, NULL, NULL));
  rook_mail_create (box.f->mail, box.f->admin, "user/alice/far",
                    &(RookCreateOptions){ .struct_size = sizeof (RookCreateOptions), .partition = "other" }, on_mail,
                    &made);
  wait_for (&made);
  copy_all (&box, "user/alice/far", &copied);
  wait_for (&copied);
  g_assert_cmpuint (copied.dest_uids->len, ==, 40);
  dest = must_open (box.f, box.f->alice, "user/alice/far");
  g_assert_true (dest->place->store != from);
  view = must_view (dest, box.f->alice);
  for (guint32 seq = 1; seq <= 40; seq++)
    {
      g_autoptr (GBytes) cache = NULL;

      g_assert_true (rook_view_get_record (view, seq, &record));
      cache = rook_store_read_wait (dest->place->store, record.cache, 0, G_MAXSIZE, NULL);
      g_assert_nonnull (cache);
    }
  rook_view_get_mime (view, 7, on_mime, &looked);
  wait_for (&looked);
  g_assert_nonnull (looked.mime);
  rook_view_free (view);
  rook_mailbox_unref (dest);
  box_clear (&box);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func ("/mailbox/" path, func)
  ADD ("held/expunge-waits", test_expunge_while_held);
  ADD ("held/expunge-waits-for-pages-too", test_expunge_while_held_and_hollow);
  ADD ("held/between-slices", test_held_between_slices);
  ADD ("aside/writers-wait-and-readers-do-not", test_writers_wait_and_readers_do_not);
  ADD ("aside/hold-waits", test_hold_waits);
  ADD ("aside/all-or-nothing", test_all_or_nothing);
  ADD ("aside/built-on-what-failed", test_stale);
  ADD ("copy/structure-goes-along", test_structure_goes_along);
  return g_test_run ();
}
