/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Quota: roots and their limits, what counts for them and what is refused, on stores in memory. That usage never drifts is for
 * test-mailbox-quota-model.c.
 */
#include "quota-fixture.h"

#include "mailbox/quota.h"

/* --- roots and limits --------------------------------------------------------------------------------------------------- */

static void
test_limits_last (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  assert_quota (f, "user/alice", "code 0");
  must_set_quota (f, "user/alice", 1000, 5, -1);
  assert_quota (f, "user/alice", "0/1000 0/5 1/- 0/-");
  must_set_quota (f, "user/alice", 2000, -1, 7);
  fixture_restart (f);
  assert_quota (f, "user/alice", "0/2000 0/- 1/7 0/-");
  must_set_quota (f, "user/alice", -1, -1, -1);
  assert_quota (f, "user/alice", "0/- 0/- 1/- 0/-");
  g_assert_cmpint (try_remove_quota (f, "user/alice"), ==, -1);
  assert_quota (f, "user/alice", "code 0");
  fixture_restart (f);
  assert_quota (f, "user/alice", "code 0");
}

static void
test_limits_are_for_admins (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  g_autofree char *alice = NULL, *bob = NULL, *by_mailbox = NULL, *not_mine = NULL;

  g_assert_cmpint (try_set_quota (f, f->alice, "user/alice", 1, -1, -1), ==, ROOK_MAIL_ERROR_NO_PERMISSION);
  g_assert_cmpint (try_set_quota (f, f->bob, "user/alice", 1, -1, -1), ==, ROOK_MAIL_ERROR_NOT_FOUND);
  g_assert_cmpint (try_set_quota (f, f->admin, "user/nobody", 1, -1, -1), ==, ROOK_MAIL_ERROR_NOT_FOUND);
  g_assert_cmpint (try_set_quota (f, f->admin, "user/alice", 1000, -1, -1), ==, -1);
  alice = quota_text (f, f->alice, "user/alice");
  g_assert_cmpstr (alice, ==, "0/1000 0/- 1/- 0/-");
  bob = quota_text (f, f->bob, "user/alice");
  g_assert_cmpstr (bob, ==, "code 0");
  by_mailbox = mailbox_quota_text (f, f->alice, "user/alice");
  g_assert_cmpstr (by_mailbox, ==, "user/alice 0/1000 0/- 1/- 0/-");
  not_mine = mailbox_quota_text (f, f->bob, "user/alice");
  g_assert_cmpstr (not_mine, ==, "code 0");
}

static void
test_nearest_root_counts (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  g_autofree char *deep = NULL, *none = NULL;

  must_create (f, NULL, "user/alice/Big");
  must_create (f, NULL, "user/alice/Big/deep/er");
  must_create (f, NULL, "user/alice/Bigger");
  must_set_quota (f, "user/alice", 10000, -1, -1);
  g_assert_cmpint (try_append (f, "user/alice/Big/deep/er", 300), ==, -1);
  g_assert_cmpint (try_append (f, "user/alice/Bigger", 400), ==, -1);
  assert_quota (f, "user/alice", "700/10000 2/- 5/- 0/-");
  must_set_quota (f, "user/alice/Big", 5000, -1, -1);
  assert_quota (f, "user/alice", "400/10000 1/- 2/- 0/-");
  assert_quota (f, "user/alice/Big", "300/5000 1/- 3/- 0/-");
  deep = mailbox_quota_text (f, NULL, "user/alice/Big/deep/er");
  g_assert_cmpstr (deep, ==, "user/alice/Big 300/5000 1/- 3/- 0/-");
  none = mailbox_quota_text (f, NULL, "user/bob");
  g_assert_cmpstr (none, ==, "none");
  g_assert_cmpint (try_remove_quota (f, "user/alice/Big"), ==, -1);
  assert_quota (f, "user/alice", "700/10000 2/- 5/- 0/-");
}

static void
add_name (const char *root, const gint64 *limits, gpointer text)
{
  g_string_append_printf (text, "%s=%" G_GINT64_FORMAT " ", root, limits[ROOK_QUOTA_STORAGE]);
}

static void
test_list (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  g_autoptr (GString) text = g_string_new (NULL);

  must_create (f, NULL, "user/alice/x");
  must_set_quota (f, "user/bob", 3, -1, -1);
  must_set_quota (f, "user/alice/x", 2, -1, -1);
  must_set_quota (f, "user/alice", 1, -1, -1);
  g_assert_false (rook_mail_list_quota_roots (f->mail, f->admin, NULL, 0, add_name, text));
  g_assert_cmpstr (text->str, ==, "user/alice=1 user/alice/x=2 user/bob=3 ");
  g_string_truncate (text, 0);
  g_assert_true (rook_mail_list_quota_roots (f->mail, NULL, NULL, 2, add_name, text));
  g_assert_false (rook_mail_list_quota_roots (f->mail, NULL, "user/alice/x", 2, add_name, text));
  g_assert_cmpstr (text->str, ==, "user/alice=1 user/alice/x=2 user/bob=3 ");
  g_string_truncate (text, 0);
  g_assert_false (rook_mail_list_quota_roots (f->mail, f->alice, NULL, 0, add_name, text));
  g_assert_cmpstr (text->str, ==, "");
}

/* --- what is refused ---------------------------------------------------------------------------------------------------- */

static void
test_append (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  must_set_quota (f, "user/alice", 1000, 4, -1);
  g_assert_cmpint (try_append (f, "user/alice", 600), ==, -1);
  g_assert_cmpint (try_append (f, "user/alice", 401), ==, ROOK_MAIL_ERROR_QUOTA);
  g_assert_cmpint (try_append (f, "user/alice", 400), ==, -1);
  g_assert_cmpint (try_append (f, "user/alice", 100), ==, ROOK_MAIL_ERROR_QUOTA);
  assert_quota (f, "user/alice", "1000/1000 2/4 1/- 0/-");
  g_assert_cmpint (try_append_as (f, "user/alice", 100, TRUE, FALSE), ==, -1);
  assert_quota (f, "user/alice", "1100/1000 3/4 1/- 0/-");
  must_set_quota (f, "user/alice", -1, 4, -1);
  g_assert_cmpint (try_append (f, "user/alice", 5000), ==, -1);
  g_assert_cmpint (try_append (f, "user/alice", 100), ==, ROOK_MAIL_ERROR_QUOTA);
  must_set_quota (f, "user/alice", -1, -1, -1);
  g_assert_cmpint (try_append (f, "user/alice", 100), ==, -1);
  g_assert_cmpint (try_append (f, "user/bob", 100), ==, -1);
}

static void
test_one_may_overshoot (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  must_set_quota (f, "user/alice", 1000, -1, -1);
  g_assert_cmpint (try_append_as (f, "user/alice", 1000, FALSE, TRUE), ==, -1);
  g_assert_cmpint (try_append_as (f, "user/alice", 3000, FALSE, TRUE), ==, -1);
  g_assert_cmpint (try_append_as (f, "user/alice", 100, FALSE, TRUE), ==, ROOK_MAIL_ERROR_QUOTA);
  g_assert_cmpint (try_append_as (f, "user/alice", 100, TRUE, TRUE), ==, -1);
}

/* A caller of before there was such a member is held to the limit. */
static void
test_older_caller (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  RookMailbox *mailbox = must_open (f, NULL, "user/alice");
  g_auto (Answer) answer = { .f = f };
  g_autoptr (GBytes) message = message_of_size (200);

  must_set_quota (f, "user/alice", 100, -1, -1);
  rook_mailbox_append (mailbox, NULL,
                       &(RookAppend){ .struct_size = G_STRUCT_OFFSET (RookAppend, may_overshoot),
                                      .message = message,
                                      .may_overshoot = TRUE,
                                      .event = ROOK_EVENT_MESSAGE_APPEND },
                       on_append, &answer);
  answer_wait (&answer);
  g_assert_cmpint (code_of (&answer), ==, ROOK_MAIL_ERROR_QUOTA);
  rook_mailbox_unref (mailbox);
}

/* Mail that was there before counts at once, and by headers alone: no mailbox is loaded for it. */
static void
test_existing_mail_counts (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  must_create (f, NULL, "user/alice/a");
  must_create (f, NULL, "user/alice/b");
  g_assert_cmpint (try_append (f, "user/alice/a", 300), ==, -1);
  g_assert_cmpint (try_append (f, "user/alice/b", 500), ==, -1);
  g_assert_cmpint (try_append (f, "user/alice/b", 150), ==, -1);
  g_assert_cmpint (try_expunge (f, "user/alice/b", 1), ==, -1);
  fixture_restart (f);
  must_set_quota (f, "user/alice", 500, -1, -1);
  assert_quota (f, "user/alice", "450/500 2/- 3/- 0/-");
  g_assert_cmpint (rook_gauge_get (f->mail->n_open), ==, 0);
  g_assert_cmpint (try_append (f, "user/alice", 100), ==, ROOK_MAIL_ERROR_QUOTA);
  must_set_quota (f, "user/alice", 10, -1, -1);
  g_assert_cmpint (try_expunge (f, "user/alice/a", 1), ==, -1);
  assert_quota (f, "user/alice", "150/10 1/- 3/- 0/-");
}

static void
test_copy_and_move (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  must_create (f, NULL, "user/alice/a");
  g_assert_cmpint (try_append (f, "user/alice", 300), ==, -1);
  g_assert_cmpint (try_append (f, "user/alice", 200), ==, -1);
  must_set_quota (f, "user/alice", 999, -1, -1);
  g_assert_cmpint (try_copy (f, "user/alice", 2, "user/alice/a", FALSE), ==, ROOK_MAIL_ERROR_QUOTA);
  assert_quota (f, "user/alice", "500/999 2/- 2/- 0/-");
  g_assert_cmpint (try_copy (f, "user/alice", 2, "user/alice/a", TRUE), ==, -1);
  assert_quota (f, "user/alice", "500/999 2/- 2/- 0/-");
  must_set_quota (f, "user/bob", 499, -1, -1);
  g_assert_cmpint (try_copy (f, "user/alice/a", 2, "user/bob", TRUE), ==, ROOK_MAIL_ERROR_QUOTA);
  assert_quota (f, "user/alice", "500/999 2/- 2/- 0/-");
  must_set_quota (f, "user/bob", 500, -1, -1);
  g_assert_cmpint (try_copy (f, "user/alice/a", 2, "user/bob", TRUE), ==, -1);
  assert_quota (f, "user/alice", "0/999 0/- 2/- 0/-");
  assert_quota (f, "user/bob", "500/500 2/- 1/- 0/-");
}

typedef struct {
  Fixture *f;
  guint left, stored, refused;
} Crowd;

static void
one_answered (guint32 uidvalidity G_GNUC_UNUSED, guint32 uid G_GNUC_UNUSED, const GError *error, gpointer data)
{
  Crowd *crowd = data;

  if (error == NULL)
    crowd->stored++;
  else
    {
      g_assert_error (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_QUOTA);
      crowd->refused++;
    }
  if (--crowd->left == 0)
    rook_loop_quit (rook_server_get_loop (crowd->f->server));
}

/* While nothing has settled yet, room that was given is taken. */
static void
test_many_at_once (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  RookMailbox *mailbox = must_open (f, NULL, "user/alice");
  g_autoptr (GBytes) message = message_of_size (100);
  Crowd crowd = { f, 50, 0, 0 };

  must_set_quota (f, "user/alice", 1050, -1, -1);
  rook_memory_disk_hold (fixture_disk (f, "default"), TRUE);
  for (guint i = 0; i < 50; i++)
    rook_mailbox_append (
        mailbox, NULL,
        &(RookAppend){ .struct_size = sizeof (RookAppend), .message = message, .event = ROOK_EVENT_MESSAGE_APPEND },
        one_answered, &crowd);
  while (crowd.refused < 40)
    fixture_settle (f);
  g_assert_cmpuint (crowd.stored, ==, 0);
  rook_memory_disk_hold (fixture_disk (f, "default"), FALSE);
  while (crowd.left > 0)
    rook_loop_run (rook_server_get_loop (f->server));
  g_assert_cmpuint (crowd.stored, ==, 10);
  assert_quota (f, "user/alice", "1000/1050 10/- 1/- 0/-");
  rook_mailbox_unref (mailbox);
}

/* --- changes of names --------------------------------------------------------------------------------------------------- */

static void
test_create (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  must_set_quota (f, "user/alice", -1, -1, 3);
  g_assert_cmpint (try_create (f, f->alice, "user/alice/a/b"), ==, -1);
  assert_quota (f, "user/alice", "0/- 0/- 3/3 0/-");
  g_assert_cmpint (try_create (f, f->alice, "user/alice/c"), ==, ROOK_MAIL_ERROR_QUOTA);
  g_assert_false (rook_mail_exists (f->mail, "user/alice/c"));
  g_assert_cmpint (try_delete (f, f->alice, "user/alice/a/b"), ==, -1);
  g_assert_cmpint (try_create (f, f->alice, "user/alice/c/d"), ==, ROOK_MAIL_ERROR_QUOTA);
  g_assert_cmpint (try_create (f, f->alice, "user/alice/c"), ==, -1);
  g_assert_cmpint (try_create (f, f->admin, "user/alice/d"), ==, -1);
  assert_quota (f, "user/alice", "0/- 0/- 4/3 0/-");
}

static void
test_delete (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  must_create (f, NULL, "user/alice/a");
  must_create (f, NULL, "user/alice/a/b");
  must_set_quota (f, "user/alice", 5000, -1, -1);
  must_set_quota (f, "user/alice/a", 5000, -1, -1);
  g_assert_cmpint (try_append (f, "user/alice/a", 500), ==, -1);
  g_assert_cmpint (try_append (f, "user/alice/a/b", 300), ==, -1);
  assert_quota (f, "user/alice/a", "800/5000 2/- 2/- 0/-");
  assert_quota (f, "user/alice", "0/5000 0/- 1/- 0/-");
  /* The root goes with its mailbox, and what is below counts for the one above: only an administrator lifts a limit. */
  g_assert_cmpint (try_delete (f, f->alice, "user/alice/a"), ==, ROOK_MAIL_ERROR_NOT_ALLOWED);
  g_assert_cmpint (try_delete (f, f->admin, "user/alice/a"), ==, -1);
  assert_quota (f, "user/alice/a", "code 0");
  assert_quota (f, "user/alice", "300/5000 1/- 2/- 0/-");
  g_assert_cmpint (try_delete (f, NULL, "user/alice"), ==, -1);
  assert_quota (f, "user/alice", "code 0");
  must_create (f, NULL, "user/alice");
  assert_quota (f, "user/alice", "code 0");
  g_assert_cmpuint (g_hash_table_size (f->mail->quotas->totals), ==, 0);
}

/* Of a root that goes without one above nothing is left behind. */
static void
test_nothing_is_left (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  must_create (f, NULL, "user/alice/a");
  must_set_quota (f, "user/alice", 5000, -1, -1);
  assert_quota (f, "user/alice", "0/5000 0/- 2/- 0/-");
  g_assert_cmpuint (g_hash_table_size (f->mail->quotas->totals), ==, 2);
  g_assert_cmpint (try_remove_quota (f, "user/alice"), ==, -1);
  while (g_hash_table_size (f->mail->quotas->totals) > 0)
    fixture_settle (f);
}

static void
test_rename (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  must_create (f, NULL, "user/alice/q");
  must_create (f, NULL, "user/alice/a");
  must_create (f, NULL, "user/alice/a/x");
  must_set_quota (f, "user/alice/q", 999, -1, -1);
  g_assert_cmpint (try_append (f, "user/alice/a", 500), ==, -1);
  g_assert_cmpint (try_append (f, "user/alice/a/x", 500), ==, -1);
  g_assert_cmpint (try_rename (f, f->alice, "user/alice/a", "user/alice/q/a", NULL), ==, ROOK_MAIL_ERROR_QUOTA);
  g_assert_true (rook_mail_exists (f->mail, "user/alice/a"));
  assert_quota (f, "user/alice/q", "0/999 0/- 1/- 0/-");
  must_set_quota (f, "user/alice/q", 999, -1, 2);
  g_assert_cmpint (try_rename (f, f->alice, "user/alice/a", "user/alice/q/a", NULL), ==, ROOK_MAIL_ERROR_QUOTA);
  must_set_quota (f, "user/alice/q", 1000, 2, 3);
  g_assert_cmpint (try_rename (f, f->alice, "user/alice/a", "user/alice/q/a", NULL), ==, -1);
  assert_quota (f, "user/alice/q", "1000/1000 2/2 3/3 0/-");
  /* Below one root it brings nothing. */
  g_assert_cmpint (try_rename (f, NULL, "user/alice/q/a", "user/alice/q/b", NULL), ==, -1);
  g_assert_cmpint (try_rename (f, f->alice, "user/alice/q/b", "user/alice/q/c", NULL), ==, -1);
  assert_quota (f, "user/alice/q", "1000/1000 2/2 3/3 0/-");
  g_assert_cmpint (try_rename (f, f->admin, "user/alice/q/c", "user/alice/c", NULL), ==, -1);
  assert_quota (f, "user/alice/q", "0/1000 0/2 1/3 0/-");
}

/* An administrator brings more than fits. */
static void
test_rename_by_admin (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  must_create (f, NULL, "user/alice/a");
  must_set_quota (f, "user/alice", 9999, -1, -1);
  must_set_quota (f, "user/bob", 10, -1, 1);
  g_assert_cmpint (try_append (f, "user/alice/a", 500), ==, -1);
  g_assert_cmpint (try_rename (f, f->admin, "user/alice/a", "user/bob/a", NULL), ==, -1);
  assert_quota (f, "user/alice", "0/9999 0/- 1/- 0/-");
  assert_quota (f, "user/bob", "500/10 1/- 2/1 0/-");
}

/* Limits go where their mailbox goes. */
static void
test_root_is_renamed (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  must_create (f, NULL, "user/alice/a");
  must_create (f, NULL, "user/alice/a/x");
  must_set_quota (f, "user/alice", 5000, -1, -1);
  must_set_quota (f, "user/alice/a/x", 700, -1, -1);
  g_assert_cmpint (try_append (f, "user/alice/a", 300), ==, -1);
  g_assert_cmpint (try_append (f, "user/alice/a/x", 600), ==, -1);
  assert_quota (f, "user/alice/a/x", "600/700 1/- 1/- 0/-");
  g_assert_cmpint (try_rename (f, f->alice, "user/alice/a", "user/alice/b", NULL), ==, -1);
  assert_quota (f, "user/alice/a/x", "code 0");
  assert_quota (f, "user/alice/b/x", "600/700 1/- 1/- 0/-");
  assert_quota (f, "user/alice", "300/5000 1/- 2/- 0/-");
  g_assert_cmpint (try_append (f, "user/alice/b/x", 101), ==, ROOK_MAIL_ERROR_QUOTA);
  g_assert_cmpint (try_rename (f, f->admin, "user/alice", "user/carol", NULL), ==, -1);
  assert_quota (f, "user/carol/b/x", "600/700 1/- 1/- 0/-");
  assert_quota (f, "user/carol", "300/5000 1/- 2/- 0/-");
  assert_quota (f, "user/alice", "code 0");
  fixture_restart (f);
  assert_quota (f, "user/carol", "300/5000 1/- 2/- 0/-");
}

/* Mailboxes that stayed where another was deleted count for the root that comes in its place. */
static void
test_root_comes_above_others (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  must_create (f, NULL, "user/alice/a");
  must_create (f, NULL, "user/bob/a/x");
  g_assert_cmpint (try_append (f, "user/bob/a/x", 300), ==, -1);
  g_assert_cmpint (try_delete (f, NULL, "user/bob/a"), ==, -1);
  must_set_quota (f, "user/alice/a", 1000, -1, -1);
  must_set_quota (f, "user/bob", 2000, -1, -1);
  assert_quota (f, "user/alice/a", "0/1000 0/- 1/- 0/-");
  assert_quota (f, "user/bob", "300/2000 1/- 2/- 0/-");
  g_assert_cmpint (try_rename (f, NULL, "user/alice/a", "user/bob/a", NULL), ==, -1);
  assert_quota (f, "user/bob", "0/2000 0/- 1/- 0/-");
  assert_quota (f, "user/bob/a", "300/1000 1/- 2/- 0/-");
}

/* An INBOX that gives its messages to another mailbox keeps its limits. */
static void
test_inbox_is_renamed (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  must_set_quota (f, "user/alice", 700, -1, 2);
  g_assert_cmpint (try_append (f, "user/alice", 600), ==, -1);
  g_assert_cmpint (try_rename (f, f->alice, "user/alice", "user/alice/old", NULL), ==, -1);
  assert_quota (f, "user/alice/old", "code 0");
  assert_quota (f, "user/alice", "600/700 1/- 2/2 0/-");
  g_assert_cmpint (try_append (f, "user/alice", 101), ==, ROOK_MAIL_ERROR_QUOTA);
  g_assert_cmpint (try_rename (f, f->alice, "user/alice", "user/alice/older", NULL), ==, ROOK_MAIL_ERROR_QUOTA);
}

/* --- events --------------------------------------------------------------------------------------------------------------- */

typedef struct {
  GString *text;
} Heard;

static void
on_events (gpointer data, RookEvent *const *events, guint n_events)
{
  for (guint i = 0; i < n_events; i++)
    g_string_append_printf (((Heard *) data)->text, "%s %s (%s)\n", rook_event_type_get_name (events[i]->type),
                            events[i]->mailbox_name, events[i]->detail);
}

static void
on_overflow (gpointer data G_GNUC_UNUSED, const char *const *ids G_GNUC_UNUSED, guint64 others G_GNUC_UNUSED)
{
  g_assert_not_reached ();
}

static void
test_events (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  Heard heard = { g_string_new (NULL) };
  RookEventBus *bus = rook_server_get_event_bus (f->server);
  RookSubscription *subscription = rook_event_bus_subscribe (
      bus, rook_worker_current (),
      &(RookSubscriber){ .struct_size = sizeof (RookSubscriber),
                         .name = "test",
                         .types = ROOK_EVENT_MASK (ROOK_EVENT_QUOTA_EXCEED) | ROOK_EVENT_MASK (ROOK_EVENT_QUOTA_WITHIN)
                                  | ROOK_EVENT_MASK (ROOK_EVENT_QUOTA_CHANGE),
                         .events = on_events,
                         .overflow = on_overflow },
      &heard);

  must_create (f, NULL, "user/alice/a");
  must_set_quota (f, "user/alice", 500, -1, -1);
  g_assert_cmpint (try_append (f, "user/alice/a", 300), ==, -1);
  g_assert_cmpint (try_expunge (f, "user/alice/a", 1), ==, -1); /* it was within all the while */
  g_assert_cmpint (try_append (f, "user/alice/a", 500), ==, -1);
  g_assert_cmpint (try_append (f, "user/alice/a", 100), ==, ROOK_MAIL_ERROR_QUOTA);
  g_assert_cmpint (try_expunge (f, "user/alice/a", 1), ==, -1);
  g_assert_cmpint (try_append_as (f, "user/alice/a", 800, TRUE, FALSE), ==, -1);
  g_assert_cmpint (try_delete (f, NULL, "user/alice/a"), ==, -1);
  g_assert_cmpint (try_remove_quota (f, "user/alice"), ==, -1);
  fixture_settle (f);
  g_assert_cmpstr (heard.text->str, ==,
                   "QuotaChange user/alice (user/alice)\n"
                   "QuotaExceed user/alice/a (user/alice)\n"
                   "QuotaWithin user/alice (user/alice)\n"
                   "QuotaWithin user/alice (user/alice)\n"
                   "QuotaChange user/alice (user/alice)\n");
  rook_event_bus_unsubscribe (bus, subscription, NULL);
  g_string_free (heard.text, TRUE);
}

/* --- failures ------------------------------------------------------------------------------------------------------------- */

static gboolean
is_total_known (Fixture *f, const char *id)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&f->mail->quotas->lock);

  return ((RookQuotaTotal *) g_hash_table_lookup (f->mail->quotas->totals, id))->is_known;
}

/* What fails gives its room back. Where nobody knows what became of it the store is asked. */
static void
test_failed_append (gconstpointer code)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  RookMailbox *mailbox = must_open (f, NULL, "user/alice");
  RookMemoryDisk *disk = fixture_disk (f, "default");
  g_autoptr (GBytes) message = message_of_size (900);
  g_auto (Answer) answer = { .f = f };

  must_set_quota (f, "user/alice", 1000, -1, -1);
  assert_quota (f, "user/alice", "0/1000 0/- 1/- 0/-");
  rook_memory_disk_fail (disk, 1, (RookStoreError) GPOINTER_TO_INT (code), FALSE);
  rook_mailbox_append (
      mailbox, NULL,
      &(RookAppend){ .struct_size = sizeof (RookAppend), .message = message, .event = ROOK_EVENT_MESSAGE_APPEND },
      on_append, &answer);
  answer_wait (&answer);
  g_assert_cmpint (code_of (&answer), ==,
                   GPOINTER_TO_INT (code) == ROOK_STORE_ERROR_FULL ? ROOK_MAIL_ERROR_FULL : ROOK_MAIL_ERROR_TEMPORARY);
  g_assert_cmpint (is_total_known (f, rook_mailbox_get_id (mailbox)), ==,
                   GPOINTER_TO_INT (code) != ROOK_STORE_ERROR_UNKNOWN);
  rook_mailbox_unref (mailbox);
  assert_quota (f, "user/alice", "0/1000 0/- 1/- 0/-");
  if (GPOINTER_TO_INT (code) == ROOK_STORE_ERROR_UNKNOWN)
    fixture_restart (f);
  else
    fixture_await_store (f, "default");
  assert_quota (f, "user/alice", "0/1000 0/- 1/- 0/-");
  g_assert_cmpint (try_append (f, "user/alice", 1000), ==, -1);
}

/* A mailbox on a partition that is not there: who asks is told so, and mail for the others is let in by what they hold. */
static void
test_unavailable_partition (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  g_auto (Answer) answer = { .f = f };
  RookCreateOptions options = { .struct_size = sizeof options, .partition = "other" };

  rook_mail_create (f->mail, NULL, "user/alice/old", &options, on_mail, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  g_assert_cmpint (try_append (f, "user/alice/old", 700), ==, -1);
  g_assert_cmpint (try_append (f, "user/alice", 200), ==, -1);
  must_set_quota (f, "user/alice", 1000, -1, -1);
  rook_memory_disk_fail (fixture_disk (f, "other"), 1, ROOK_STORE_ERROR_IO, FALSE);
  fixture_restart (f);
  assert_quota (f, "user/alice", "code 12");
  g_assert_cmpint (try_append (f, "user/alice", 300), ==, -1);
  g_assert_cmpint (try_append (f, "user/alice", 501), ==, ROOK_MAIL_ERROR_QUOTA);
  fixture_restart (f);
  assert_quota (f, "user/alice", "1200/1000 3/- 2/- 0/-");
  g_assert_cmpint (try_append (f, "user/alice", 100), ==, ROOK_MAIL_ERROR_QUOTA);
}

/* A header that can't be read, or does not read: who asks is told, and mail goes on. */
static void
test_usage_not_to_be_had (gconstpointer damage)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  g_autoptr (RookEntry) entry = NULL;

  must_create (f, NULL, "user/alice/a");
  must_set_quota (f, "user/alice", 1000, -1, -1);
  fixture_restart (f);
  entry = rook_mail_ref_entry (f->mail, "user/alice/a");
  if (damage != NULL)
    {
      RookStore *store = rook_memory_disk_get_store (fixture_disk (f, "default"));
      RookBatch *batch = rook_batch_new (store);
      g_autoptr (GBytes) key = rook_bytes_of_text (entry->id), value = rook_bytes_of_text ("nonsense");

      rook_batch_put (batch, ROOK_PART_HEADERS, key, value);
      g_assert_true (rook_store_commit_wait (store, batch, NULL, NULL));
      assert_quota (f, "user/alice", "code 11");
    }
  else
    {
      rook_memory_disk_fail (fixture_disk (f, "default"), 1, ROOK_STORE_ERROR_IO, FALSE);
      assert_quota (f, "user/alice", "code 13");
    }
  g_assert_cmpint (try_append (f, "user/alice", 900), ==, -1);
  g_assert_cmpint (try_append (f, "user/alice", 101), ==, ROOK_MAIL_ERROR_QUOTA);
  assert_quota (f, "user/alice", damage != NULL ? "code 11" : "900/1000 1/- 2/- 0/-");
}

typedef struct {
  Fixture *f;
  guint left;
} Askers;

static void
asker_answered (const RookQuota *quota, const GError *error, gpointer data)
{
  Askers *askers = data;

  g_assert_no_error (error);
  g_assert_cmpuint (quota->usage[ROOK_QUOTA_MAILBOX], ==, 21);
  if (--askers->left == 0)
    rook_loop_quit (rook_server_get_loop (askers->f->server));
}

/* Who asks while it is being summed waits for that: each header is read once. */
static void
test_one_summing_for_all (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  Askers askers = { NULL, 30 };
  guint before, after;

  for (guint i = 0; i < 20; i++)
    {
      g_autofree char *name = g_strdup_printf ("user/alice/%u", i);

      must_create (f, NULL, name);
    }
  must_set_quota (f, "user/alice", 1000, -1, -1);
  fixture_restart (f);
  fixture_settle (f);
  askers.f = f;
  before = rook_memory_disk_get_calls (fixture_disk (f, "default"));
  for (guint i = 0; i < 30; i++)
    rook_mail_get_quota (f->mail, NULL, "user/alice", asker_answered, &askers);
  while (askers.left > 0)
    rook_loop_run (rook_server_get_loop (f->server));
  after = rook_memory_disk_get_calls (fixture_disk (f, "default"));
  g_assert_cmpuint (after - before, ==, 21);
  askers.left = 1;
  rook_mail_get_quota (f->mail, NULL, "user/alice", asker_answered, &askers);
  while (askers.left > 0)
    rook_loop_run (rook_server_get_loop (f->server));
  g_assert_cmpuint (rook_memory_disk_get_calls (fixture_disk (f, "default")), ==, after);
}

static void
told_of_the_end (const RookQuota *quota, const GError *error, gpointer data)
{
  g_assert_true (quota != NULL || error->code == ROOK_MAIL_ERROR_UNAVAILABLE);
  ++*(guint *) data;
}

/* The server stops in the midst of a summing that takes its time: who waits is told. */
static void
test_stop_while_it_is_summed (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  guint n_told = 0;

  for (guint i = 0; i < 600; i++)
    {
      g_autofree char *name = g_strdup_printf ("user/alice/%u", i);

      must_create (f, NULL, name);
    }
  must_set_quota (f, "user/alice", 1000, -1, -1);
  fixture_restart (f);
  for (guint i = 0; i < 3; i++)
    rook_mail_get_quota (f->mail, NULL, "user/alice", told_of_the_end, &n_told);
  rook_mail_close_stores (f->mail);
  g_assert_cmpuint (n_told, ==, 3);
  g_assert_cmpint (g_atomic_int_get (&f->mail->quotas->n_busy), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/mailbox/quota/limits-last", test_limits_last);
  g_test_add_func ("/mailbox/quota/limits-are-for-admins", test_limits_are_for_admins);
  g_test_add_func ("/mailbox/quota/nearest-root-counts", test_nearest_root_counts);
  g_test_add_func ("/mailbox/quota/list", test_list);
  g_test_add_func ("/mailbox/quota/append", test_append);
  g_test_add_func ("/mailbox/quota/one-may-overshoot", test_one_may_overshoot);
  g_test_add_func ("/mailbox/quota/older-caller", test_older_caller);
  g_test_add_func ("/mailbox/quota/existing-mail-counts", test_existing_mail_counts);
  g_test_add_func ("/mailbox/quota/copy-and-move", test_copy_and_move);
  g_test_add_func ("/mailbox/quota/many-at-once", test_many_at_once);
  g_test_add_func ("/mailbox/quota/create", test_create);
  g_test_add_func ("/mailbox/quota/delete", test_delete);
  g_test_add_func ("/mailbox/quota/nothing-is-left", test_nothing_is_left);
  g_test_add_func ("/mailbox/quota/rename", test_rename);
  g_test_add_func ("/mailbox/quota/rename-by-admin", test_rename_by_admin);
  g_test_add_func ("/mailbox/quota/root-is-renamed", test_root_is_renamed);
  g_test_add_func ("/mailbox/quota/root-comes-above-others", test_root_comes_above_others);
  g_test_add_func ("/mailbox/quota/inbox-is-renamed", test_inbox_is_renamed);
  g_test_add_func ("/mailbox/quota/events", test_events);
  g_test_add_data_func ("/mailbox/quota/failed-append/io", GINT_TO_POINTER (ROOK_STORE_ERROR_IO), test_failed_append);
  g_test_add_data_func ("/mailbox/quota/failed-append/full", GINT_TO_POINTER (ROOK_STORE_ERROR_FULL),
                        test_failed_append);
  g_test_add_data_func ("/mailbox/quota/failed-append/unknown", GINT_TO_POINTER (ROOK_STORE_ERROR_UNKNOWN),
                        test_failed_append);
  g_test_add_func ("/mailbox/quota/unavailable-partition", test_unavailable_partition);
  g_test_add_data_func ("/mailbox/quota/usage-not-to-be-had/io", NULL, test_usage_not_to_be_had);
  g_test_add_data_func ("/mailbox/quota/usage-not-to-be-had/damage", "damage", test_usage_not_to_be_had);
  g_test_add_func ("/mailbox/quota/one-summing-for-all", test_one_summing_for_all);
  g_test_add_func ("/mailbox/quota/stop-while-it-is-summed", test_stop_while_it_is_summed);
  return g_test_run ();
}
