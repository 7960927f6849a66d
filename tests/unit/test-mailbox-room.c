/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What goes for good, and when: expunged messages that sessions have not been told of, and those that are purged before
 * their time where the disk is nearly full; and what was deleted and could not be cleared away.
 */
#include <string.h>

#include "mail-fixture.h"
#include "mailbox/box.h"
#include "schedule/schedule-private.h"

#define BODY_SIZE 1000

static char *
make_body (void)
{
  GString *text = g_string_new ("Subject: s\r\n\r\n");

  while (text->len < BODY_SIZE - 2)
    g_string_append_c (text, 'x');
  return g_string_free (g_string_append (text, "\r\n"), FALSE);
}

/* What reading message @seq is answered with; -1: its bytes. */
static int
try_read (Fixture *f, RookView *view, guint seq)
{
  g_auto (Answer) answer = { .f = f };

  load_all (view);
  rook_view_read (view, seq, 0, G_MAXSIZE, on_read, &answer);
  answer_wait (&answer);
  return code_of (&answer);
}

/* A mailbox of one message, which is expunged, and a session that has not been told of it. */
static RookView *
expunge_behind (Fixture *f, const char *name)
{
  g_autofree char *body = make_body ();
  g_autoptr (RookMailbox) mailbox = must_open (f, f->alice, name);
  RookView *behind;
  g_autoptr (RookView) view = NULL;

  must_append (f, mailbox, f->alice, body);
  behind = must_view (mailbox, f->alice);
  view = must_view (mailbox, f->alice);
  must_store (f, view, 1, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_expunge (f, view);
  update (view, TRUE);
  return behind;
}

/* For a session that has not been told it is there, as long as it is pinned, whatever the jobs do. */
static void
test_pinned (void)
{
  g_autoptr (Fixture) f = fixture_new ("[mailbox]\nkeep-expunged=0s\n");
  g_autoptr (RookView) view = expunge_behind (f, "user/alice");

  rook_memory_disk_set_size (fixture_disk (f, "default"), 1);
  fixture_run_job (f, ROOK_MAIL_JOB_EXPIRE);
  fixture_run_job (f, ROOK_MAIL_JOB_ROOM);
  g_assert_cmpint (try_read (f, view, 1), ==, -1);
  update (view, FALSE); /* this tells it nothing */
  fixture_run_job (f, ROOK_MAIL_JOB_EXPIRE);
  g_assert_cmpint (try_read (f, view, 1), ==, -1);
}

static void
test_pinned_no_longer (void)
{
  g_autoptr (Fixture) f = fixture_new ("[mailbox]\nkeep-expunged=0s\npin-limit=0s\n");
  g_autoptr (RookView) view = expunge_behind (f, "user/alice");

  fixture_run_job (f, ROOK_MAIL_JOB_EXPIRE);
  g_assert_cmpint (try_read (f, view, 1), ==, ROOK_MAIL_ERROR_EXPUNGED);
}

static void
test_told (void)
{
  g_autoptr (Fixture) f = fixture_new ("[mailbox]\nkeep-expunged=0s\n");
  g_autoptr (RookView) view = expunge_behind (f, "user/alice");

  update (view, TRUE);
  fixture_run_job (f, ROOK_MAIL_JOB_EXPIRE);
  g_assert_cmpuint (rook_memory_disk_count_blobs (fixture_disk (f, "default")), ==, 0);
}

/* Expunges in the folders one after the other, so that it is not the same second. */
static void
expunge_in_turn (Fixture *f, const char *const *names)
{
  for (guint i = 0; names[i] != NULL; i++)
    {
      gint64 second = g_get_real_time () / G_USEC_PER_SEC;

      must_create (f, f->alice, names[i]);
      rook_view_free (expunge_behind (f, names[i]));
      while (g_get_real_time () / G_USEC_PER_SEC <= second + 1)
        g_usleep (10000);
    }
}

static guint
count_kept (Fixture *f, const char *name)
{
  g_autoptr (RookMailbox) mailbox = must_open (f, f->alice, name);
  g_autoptr (RookLocker) locker = rook_locker_new (&mailbox->lock);

  return rook_head_page (&mailbox->durable, 0)->summary.n_kept;
}

static void
test_oldest_first (void)
{
  static const char *const names[] = { "user/alice/z", "user/alice/a", "user/alice/m", NULL };
  g_autoptr (Fixture) f = fixture_new ("[mailbox]\npurge-early-below=1500\n");
  RookMemoryDisk *disk = fixture_disk (f, "default");

  expunge_in_turn (f, names);
  fixture_run_job (f, ROOK_MAIL_JOB_ROOM); /* it does not say how much room there is */
  rook_memory_disk_set_size (disk, 5000);
  fixture_run_job (f, ROOK_MAIL_JOB_ROOM); /* there is enough */
  for (guint i = 0; names[i] != NULL; i++)
    g_assert_cmpuint (count_kept (f, names[i]), ==, 1);
  rook_memory_disk_set_size (disk, 3600);
  fixture_run_job (f, ROOK_MAIL_JOB_ROOM); /* one has to go */
  g_assert_cmpuint (count_kept (f, names[0]), ==, 0);
  g_assert_cmpuint (count_kept (f, names[1]), ==, 1);
  g_assert_cmpuint (count_kept (f, names[2]), ==, 1);
  rook_memory_disk_set_size (disk, 100);
  fixture_run_job (f, ROOK_MAIL_JOB_ROOM); /* all that can go goes */
  for (guint i = 0; names[i] != NULL; i++)
    g_assert_cmpuint (count_kept (f, names[i]), ==, 0);
}

/* Messages that are not expunged are none of its business, however little room there is; nor is another partition's mail. */
static void
test_no_more_than_it_may (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  g_autoptr (RookMailbox) mailbox = must_open (f, f->alice, "user/alice");
  g_autofree char *body = make_body ();
  RookCreateOptions elsewhere = { .struct_size = sizeof elsewhere, .partition = "other" };
  g_auto (Answer) answer = { .f = f };

  must_append (f, mailbox, f->alice, body);
  rook_mail_create (f->mail, f->admin, "user/alice/o", &elsewhere, on_mail, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  rook_view_free (expunge_behind (f, "user/alice/o"));
  rook_memory_disk_set_size (fixture_disk (f, "default"), 10);
  fixture_run_job (f, ROOK_MAIL_JOB_ROOM);
  g_assert_cmpuint (rook_memory_disk_count_blobs (fixture_disk (f, "default")), ==, 1);
  g_assert_cmpuint (count_kept (f, "user/alice/o"), ==, 1);
}

/* What is left of a deleted mailbox is tried again. */
static void
test_clears_the_rest (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  RookMemoryDisk *disk = fixture_disk (f, "default");
  g_auto (Answer) answer = { .f = f };
  g_autofree char *body = make_body ();
  RookMailbox *mailbox;

  must_create (f, f->alice, "user/alice/a");
  mailbox = must_open (f, f->alice, "user/alice/a");
  must_append (f, mailbox, f->alice, body);
  rook_mailbox_unref (mailbox);
  rook_memory_disk_fail (disk, 2, ROOK_STORE_ERROR_IO, FALSE);
  rook_mail_delete (f->mail, f->alice, "user/alice/a", on_mail, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  while (rook_memory_disk_will_fail (disk))
    fixture_settle (f);
  fixture_await_store (f, "default");
  g_assert_cmpuint (rook_memory_disk_count_blobs (disk), ==, 1);
  fixture_run_job (f, ROOK_MAIL_JOB_ROOM);
  fixture_await_clearing (f);
  g_assert_cmpuint (rook_memory_disk_count_blobs (disk), ==, 0);
}

/* --- a body that is not there ------------------------------------------------------------------------------------------- */

static void
on_lost (guint64 position G_GNUC_UNUSED, const GError *error, gpointer data)
{
  on_mail (error, data);
}

static void
lose_bodies (Fixture *f, RookMailbox *mailbox)
{
  RookBatch *batch = rook_batch_new (mailbox->place->store);
  g_auto (Answer) answer = { .f = f };
  RookRecord record;
  guint page, slot;

  rook_mutex_lock (&mailbox->lock);
  for (guint32 uid = 1; rook_head_find (&mailbox->durable, uid, &page, &slot); uid++)
    {
      rook_head_get (&mailbox->durable, page, slot, &record);
      rook_batch_release (batch, record.blob);
      rook_batch_release (batch, record.cache);
    }
  rook_mutex_unlock (&mailbox->lock);
  rook_store_commit (mailbox->place->store, batch, on_lost, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
}

static void
on_explained (const GError *error, gpointer data)
{
  g_assert_nonnull (error);
  on_mail (error, data);
}

static int
explain (Fixture *f, const char *name, guint32 uid)
{
  g_autoptr (RookMailbox) mailbox = must_open (f, f->alice, name);
  g_autoptr (GError) missing = g_error_new_literal (ROOK_STORE_ERROR, ROOK_STORE_ERROR_NOT_FOUND, "no such blob");
  g_auto (Answer) answer = { .f = f };

  rook_mailbox_explain_read (mailbox, mailbox->place->store, uid, missing, on_explained, &answer);
  answer_wait (&answer);
  return code_of (&answer);
}

/* Of an expunged message too, whether its page is in memory or not; once it is purged its body may be missing. */
static void
test_missing_is_damage (void)
{
  g_autoptr (Fixture) f = fixture_new ("[mailbox]\nkeep-expunged=0s\npage-cache=0\nopen-cache=0\n");
  g_autoptr (RookView) view = expunge_behind (f, "user/alice");

  lose_bodies (f, rook_view_get_mailbox (view));
  g_assert_cmpint (try_read (f, view, 1), ==, ROOK_MAIL_ERROR_CORRUPT);
  g_assert_cmpint (explain (f, "user/alice", 1), ==, ROOK_MAIL_ERROR_CORRUPT);
  g_clear_pointer (&view, rook_view_free);
  g_assert_cmpint (explain (f, "user/alice", 1), ==, ROOK_MAIL_ERROR_CORRUPT);
  fixture_run_job (f, ROOK_MAIL_JOB_EXPIRE);
  g_assert_cmpint (explain (f, "user/alice", 1), ==, ROOK_MAIL_ERROR_EXPUNGED);
}

static gboolean
is_changing (RookMailbox *mailbox)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mailbox->lock);

  return mailbox->in_flight > 0;
}

/* The store is ahead of what the mailbox knows: what is on its way is waited for. */
static void
test_missing_while_it_is_purged (void)
{
  g_autoptr (Fixture) f = fixture_new ("[mailbox]\nkeep-expunged=0s\npin-limit=0s\n");
  RookMemoryDisk *disk = fixture_disk (f, "default");
  RookJobEntry *job = rook_schedule_find (rook_server_get_schedule (f->server), ROOK_MAIL_JOB_EXPIRE);
  g_autoptr (RookView) view = expunge_behind (f, "user/alice");
  g_autoptr (GError) missing = g_error_new_literal (ROOK_STORE_ERROR, ROOK_STORE_ERROR_NOT_FOUND, "no such blob");
  RookMailbox *mailbox = rook_view_get_mailbox (view);
  g_auto (Answer) answer = { .f = f };

  rook_memory_disk_hold (disk, TRUE);
  g_assert_nonnull (rook_schedule_start (job));
  while (!is_changing (mailbox))
    fixture_settle (f);
  rook_mailbox_explain_read (mailbox, mailbox->place->store, 1, missing, on_explained, &answer);
  fixture_settle (f);
  g_assert_false (answer.done);
  rook_memory_disk_hold (disk, FALSE);
  answer_wait (&answer);
  g_assert_cmpint (code_of (&answer), ==, ROOK_MAIL_ERROR_EXPUNGED);
  while (job->run != NULL)
    fixture_settle (f);
}

/* --- a refusal has room made ---------------------------------------------------------------------------------------------- */

static guint64
count_runs (Fixture *f)
{
  return rook_schedule_find (rook_server_get_schedule (f->server), ROOK_MAIL_JOB_ROOM)->state->n_runs;
}

static int
try_append (Fixture *f, RookMailbox *mailbox)
{
  g_autofree char *body = make_body ();
  g_autoptr (GBytes) message = g_bytes_new (body, strlen (body));
  RookAppend append = { .struct_size = sizeof append, .message = message };
  g_auto (Answer) answer = { .f = f };

  rook_mailbox_append (mailbox, f->alice, &append, on_append, &answer);
  answer_wait (&answer);
  return code_of (&answer);
}

/* It does not wait for its time, but comes once, however much is refused. */
static void
test_comes_when_it_is_wanted (void)
{
  g_autoptr (Fixture) f = fixture_new ("[mailbox]\npin-limit=0s\n");
  g_autoptr (RookMailbox) mailbox = must_open (f, f->alice, "user/alice");
  RookMemoryDisk *disk = fixture_disk (f, "default");

  rook_view_free (expunge_behind (f, "user/alice"));
  rook_memory_disk_set_size (disk, 100);
  g_assert_cmpuint (count_runs (f), ==, 0);
  for (guint i = 0; i < 5; i++)
    {
      rook_memory_disk_fail (disk, 1, ROOK_STORE_ERROR_FULL, FALSE);
      g_assert_cmpint (try_append (f, mailbox), ==, ROOK_MAIL_ERROR_FULL);
      fixture_await_store (f, "default");
      while (count_runs (f) == 0)
        fixture_settle (f);
    }
  g_assert_cmpuint (count_runs (f), ==, 1);
  g_assert_cmpuint (count_kept (f, "user/alice"), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/mailbox/pin/not-told-can-read", test_pinned);
  g_test_add_func ("/mailbox/pin/ends-with-its-limit", test_pinned_no_longer);
  g_test_add_func ("/mailbox/pin/told-pins-nothing", test_told);
  g_test_add_func ("/mailbox/room/oldest-first-and-no-more-than-needed", test_oldest_first);
  g_test_add_func ("/mailbox/room/only-what-is-expunged-where-it-is-short", test_no_more_than_it_may);
  g_test_add_func ("/mailbox/room/clears-what-could-not-be", test_clears_the_rest);
  g_test_add_func ("/mailbox/room/comes-when-something-is-refused", test_comes_when_it_is_wanted);
  g_test_add_func ("/mailbox/missing-body/is-damage-unless-purged", test_missing_is_damage);
  g_test_add_func ("/mailbox/missing-body/waits-for-what-may-purge-it", test_missing_while_it_is_purged);
  return g_test_run ();
}
