/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rookery/mailbox.h: what holds of every call (who is answered when, what is copied, what costs nothing), and rights and
 * keywords in detail. What messages and names go through is in the other test-mailbox programs.
 */
#include <string.h>

#include "../lib/test-calm.h"
#include "mail-fixture.h"

static void
store (RookView *view, const guint32 *uids, guint n_uids, RookFlags flags, Answer *answer)
{
  rook_view_store_flags (view,
                         &(RookStoreFlags){ .struct_size = sizeof (RookStoreFlags),
                                            .uids = uids,
                                            .n_uids = n_uids,
                                            .mode = ROOK_STORE_ADD,
                                            .flags = flags,
                                            .unchanged_since = G_MAXUINT64 },
                         on_store, answer);
}

/* --- calls ------------------------------------------------------------------------------------------------------------ */

static void
test_call_outlives_its_view (void)
{
  Box box = box_new (NULL, 1);
  Fixture *f = box.f;
  RookView *view = must_view (box.mailbox, f->alice);
  g_auto (Answer) stored = { .f = f }, read = { .f = f };

  rook_memory_disk_hold (fixture_disk (f, "default"), TRUE);
  store (view, (guint32[]){ 1 }, 1, ROOK_FLAG_FLAGGED, &stored);
  rook_view_read (view, 1, 0, 4, on_read, &read);
  rook_view_free (view);
  g_assert_false (stored.done);
  rook_memory_disk_hold (fixture_disk (f, "default"), FALSE);
  answer_wait (&stored);
  answer_wait (&read);
  g_assert_no_error (stored.error);
  g_assert_no_error (read.error);
  g_assert_cmpmem (g_bytes_get_data (read.bytes, NULL), g_bytes_get_size (read.bytes), "From", 4);
  update (box.view, TRUE);
  assert_view (box.view, "1:Fr");
  box_clear (&box);
}

static void
test_arguments_are_copied (void)
{
  Box box = box_new (NULL, 2);
  Fixture *f = box.f;
  g_auto (Answer) appended = { .f = f }, stored = { .f = f };
  g_autofree char *keyword = g_strdup ("mine");
  const char *keywords[] = { keyword, NULL };
  g_autoptr (GBytes) message = g_bytes_new (MESSAGE, strlen (MESSAGE));
  guint32 uids[] = { 1 };

  rook_memory_disk_hold (fixture_disk (f, "default"), TRUE);
  rook_mailbox_append (box.mailbox, f->alice,
                       &(RookAppend){ .struct_size = sizeof (RookAppend), .message = message, .keywords = keywords },
                       on_append, &appended);
  store (box.view, uids, 1, ROOK_FLAG_FLAGGED, &stored);
  memset (keyword, 'x', strlen (keyword));
  keywords[0] = NULL;
  uids[0] = 2;
  rook_memory_disk_hold (fixture_disk (f, "default"), FALSE);
  answer_wait (&appended);
  answer_wait (&stored);
  update (box.view, TRUE);
  assert_view (box.view, "1:Fr 2:r 3:r+mine");
  box_clear (&box);
}

typedef struct {
  Fixture *f;
  RookWorker *worker;
  gboolean inside;
  gint n_answers; /* atomic */
} There;

static void
answered_there (const GError *error, gpointer data)
{
  There *there = data;

  g_assert_no_error (error);
  g_assert_true (rook_worker_current () == there->worker);
  g_assert_false (there->inside);
  g_atomic_int_inc (&there->n_answers);
  rook_loop_quit (rook_server_get_loop (there->f->server));
}

static void
create_there (gpointer data)
{
  There *there = data;

  there->inside = TRUE;
  rook_mail_create (there->f->mail, there->f->alice, "user/alice/there", NULL, answered_there, there);
  there->inside = FALSE;
}

static void
test_answered_once_on_the_worker_that_asked (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  There there = { .f = f, .worker = rook_loop_get_worker (rook_server_get_loop (f->server), 0) };

  rook_worker_invoke (there.worker, create_there, &there, NULL);
  while (g_atomic_int_get (&there.n_answers) == 0)
    rook_loop_run (rook_server_get_loop (f->server));
  fixture_settle (f);
  g_assert_cmpint (g_atomic_int_get (&there.n_answers), ==, 1);
  g_assert_true (rook_mail_exists (f->mail, "user/alice/there"));
}

static void
test_server_may_do_everything (void)
{
  Box box = box_new (NULL, 1);
  RookView *view;

  must_set_acl (box.f, "user/alice", "alice", "");
  view = must_view (box.mailbox, NULL);
  must_store (box.f, view, 1, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_expunge (box.f, view);
  update (view, TRUE);
  assert_view (view, "");
  rook_view_free (view);
  box_clear (&box);
}

static void
test_ensure_costs_nothing (void)
{
  g_autoptr (Fixture) f = fixture_new ("[mailbox]\nautocreate=login\n");
  g_auto (Answer) answer = { .f = f };
  guint state = rook_memory_disk_get_calls (fixture_disk (f, "mailboxes"));
  guint partition = rook_memory_disk_get_calls (fixture_disk (f, "default"));

  rook_mail_ensure_user (f->mail, "alice", ROOK_ENSURE_LOGIN, on_mail, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  g_assert_cmpuint (rook_memory_disk_get_calls (fixture_disk (f, "mailboxes")), ==, state);
  g_assert_cmpuint (rook_memory_disk_get_calls (fixture_disk (f, "default")), ==, partition);
}

static void
test_one_object_serves_all (void)
{
  Box box = box_new (NULL, 0);
  RookMailbox *again = must_open (box.f, box.f->alice, "user/alice");
  RookMailbox *others;

  must_set_acl (box.f, "user/alice", "bob", "lr");
  others = must_open (box.f, box.f->bob, "user/alice");
  g_assert_true (again == box.mailbox && others == box.mailbox);
  rook_mailbox_unref (again);
  rook_mailbox_unref (others);
  box_clear (&box);
}

/* --- what is told before it is durable: nothing ----------------------------------------------------------------------------- */

static void
test_status_is_of_the_durable_head (void)
{
  Box box = box_new (NULL, 1);
  g_auto (Answer) answer = { .f = box.f };
  g_autoptr (GBytes) message = g_bytes_new (MESSAGE, strlen (MESSAGE));

  rook_memory_disk_hold (fixture_disk (box.f, "default"), TRUE);
  rook_mailbox_append (box.mailbox, box.f->alice,
                       &(RookAppend){ .struct_size = sizeof (RookAppend), .message = message }, on_append, &answer);
  fixture_settle (box.f);
  g_assert_cmpuint (status_of (box.f, "user/alice").messages, ==, 1);
  rook_memory_disk_hold (fixture_disk (box.f, "default"), FALSE);
  answer_wait (&answer);
  g_assert_cmpuint (status_of (box.f, "user/alice").messages, ==, 2);
  box_clear (&box);
}

/* --- keywords ------------------------------------------------------------------------------------------------------------------ */

static void
test_keywords (void)
{
  Box box = box_new (NULL, 2);
  const char *first;

  must_store (box.f, box.view, 1, ROOK_STORE_ADD, 0, "Work");
  first = rook_mailbox_get_keyword (box.mailbox, 0);
  g_assert_cmpstr (first, ==, "Work");
  must_store (box.f, box.view, 2, ROOK_STORE_ADD, 0, "wORK");
  must_store (box.f, box.view, 2, ROOK_STORE_ADD, 0, "other");
  g_assert_true (rook_mailbox_get_keyword (box.mailbox, 0) == first);
  g_assert_cmpstr (rook_mailbox_get_keyword (box.mailbox, 1), ==, "other");
  g_assert_null (rook_mailbox_get_keyword (box.mailbox, 2));
  must_store (box.f, box.view, 1, ROOK_STORE_REMOVE, 0, "WORK");
  must_store (box.f, box.view, 2, ROOK_STORE_REMOVE, 0, "work");
  g_assert_cmpstr (rook_mailbox_get_keyword (box.mailbox, 0), ==, "Work"); /* nobody has it, and it keeps its bit */
  update (box.view, TRUE);
  assert_view (box.view, "1:r 2:r+other");
  box_clear (&box);
}

/* --- rights -------------------------------------------------------------------------------------------------------------------- */

static void
test_append_leaves_out_flags (void)
{
  Box box = box_new (NULL, 0);
  g_auto (Answer) answer = { .f = box.f }, refused = { .f = box.f };
  g_autoptr (GBytes) message = g_bytes_new (MESSAGE, strlen (MESSAGE));
  const char *const keywords[] = { "k", NULL };
  const RookAppend append = { .struct_size = sizeof append,
                              .message = message,
                              .flags = ROOK_FLAG_SEEN | ROOK_FLAG_DELETED | ROOK_FLAG_FLAGGED,
                              .keywords = keywords };

  must_set_acl (box.f, "user/alice", "bob", "lrit");
  rook_mailbox_append (box.mailbox, box.f->bob, &append, on_append, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  update (box.view, TRUE);
  assert_view (box.view, "1:Dr");
  must_set_acl (box.f, "user/alice", "bob", "lrswt");
  rook_mailbox_append (box.mailbox, box.f->bob, &append, on_append, &refused);
  answer_wait (&refused);
  g_assert_cmpint (code_of (&refused), ==, ROOK_MAIL_ERROR_NO_PERMISSION);
  box_clear (&box);
}

static int
copy (Fixture *f, RookView *view, const char *destination, gboolean move)
{
  g_auto (Answer) answer = { .f = f };

  rook_view_copy (view, (guint32[]){ 1 }, 1, destination, move, on_copy, &answer);
  answer_wait (&answer);
  return code_of (&answer);
}

static void
test_copy_needs_rights (void)
{
  Box box = box_new (NULL, 1);
  Fixture *f = box.f;
  RookView *view;

  must_create (f, f->admin, "shared");
  must_set_acl (f, "shared", "anyone", "lr");
  must_set_acl (f, "user/alice", "bob", "lrs");
  view = must_view (box.mailbox, f->bob);
  g_assert_cmpint (copy (f, view, "shared", FALSE), ==, ROOK_MAIL_ERROR_NO_PERMISSION); /* `i` there */
  must_set_acl (f, "shared", "bob", "lri");
  g_assert_cmpint (copy (f, view, "shared", FALSE), ==, -1);
  g_assert_cmpint (copy (f, view, "shared", TRUE), ==, ROOK_MAIL_ERROR_NO_PERMISSION); /* `t`, `e` here */
  must_set_acl (f, "user/alice", "bob", "lrst");
  g_assert_cmpint (copy (f, view, "shared", TRUE), ==, ROOK_MAIL_ERROR_NO_PERMISSION);
  must_set_acl (f, "user/alice", "bob", "lrste");
  g_assert_cmpint (copy (f, view, "shared", TRUE), ==, -1);
  update (view, TRUE);
  assert_view (view, "");
  rook_view_free (view);
  box_clear (&box);
}

static void
assert_acl (Fixture *f, const char *name, const char *expected)
{
  g_autofree char *acl = rook_mail_get_acl (f->mail, NULL, name, NULL);

  g_assert_cmpstr (acl, ==, expected);
}

static void
test_acl_of_a_new_one (void)
{
  g_autoptr (Fixture) f = fixture_new ("[mailbox]\ndefault-acl=anyone lrs\n");

  must_create (f, f->admin, "shared");
  assert_acl (f, "shared", "anyone\tlrs\t");
  must_set_acl (f, "user/alice", "bob", "lr");
  must_create (f, f->alice, "user/alice/a/b"); /* the parent between is made too */
  g_assert_true (rook_mail_exists (f->mail, "user/alice/a"));
  {
    g_autofree char *inbox = rook_mail_get_acl (f->mail, NULL, "user/alice", NULL);

    g_assert_nonnull (strstr (inbox, "bob\tlr\t"));
    g_assert_nonnull (strstr (inbox, "alice\tlrswipkxtecdan\t"));
    assert_acl (f, "user/alice/a", inbox);
    assert_acl (f, "user/alice/a/b", inbox);
  }
}

static void
test_rights_of_an_open_one (void)
{
  Box box = box_new (NULL, 0);
  g_autofree char *none = rook_mailbox_get_rights (box.mailbox, box.f->bob);
  g_autofree char *some = NULL;
  g_autofree char *by_name = NULL;

  g_assert_cmpstr (none, ==, "");
  g_assert_null (rook_mail_get_rights (box.f->mail, box.f->bob, "user/alice")); /* may not look it up */
  g_assert_null (rook_mail_get_rights (box.f->mail, box.f->alice, "user/alice/none"));
  must_set_acl (box.f, "user/alice", "bob", "tsrl");
  some = rook_mailbox_get_rights (box.mailbox, box.f->bob);
  by_name = rook_mail_get_rights (box.f->mail, box.f->bob, "user/alice");
  g_assert_cmpstr (some, ==, by_name);
  g_assert_true (g_str_has_prefix (some, "lrst"));
  box_clear (&box);
}

/* Whose right to read is taken away sees nothing more of it, of what came before neither. */
static void
assert_refused (Fixture *f, RookView *view)
{
  Answer answers[6] = { { .f = f }, { .f = f }, { .f = f }, { .f = f }, { .f = f }, { .f = f } };
  RookMailboxStatus status;
  RookMessage message;

  rook_mailbox_get_status (rook_view_get_mailbox (view), f->bob, &status);
  g_assert_cmpuint (status.uidvalidity + status.messages + status.uidnext + status.unseen, ==, 0);
  g_assert_null (rook_view_update (view, TRUE));
  g_assert_false (rook_view_get_message (view, 1, &message));
  rook_view_load (view, 1, 2, on_mail, &answers[0]);
  rook_view_read (view, 1, 0, 4, on_read, &answers[1]);
  rook_view_get_mime (view, 1, on_mime, &answers[2]);
  store (view, (guint32[]){ 1 }, 1, ROOK_FLAG_FLAGGED, &answers[3]);
  rook_view_expunge (view, NULL, 0, on_mail, &answers[4]);
  rook_view_copy (view, (guint32[]){ 1 }, 1, "user/bob", FALSE, on_copy, &answers[5]);
  for (guint i = 0; i < G_N_ELEMENTS (answers); i++)
    {
      answer_wait (&answers[i]);
      g_assert_cmpint (code_of (&answers[i]), ==, ROOK_MAIL_ERROR_NO_PERMISSION);
      answer_clear (&answers[i]);
    }
  g_assert_cmpuint (rook_view_get_count (view), ==, 2); /* what it was told */
  g_assert_false (rook_view_is_gone (view));
}

static void
test_rights_taken_away (void)
{
  Box box = box_new (NULL, 2);
  Fixture *f = box.f;
  static const char *const without[] = { "", "lswte" };
  guint calls = 0;
  RookView *view;

  must_set_acl (f, "user/alice", "bob", "lrswte");
  view = rook_view_new (box.mailbox, f->bob, FALSE, count, &calls, NULL);
  load_all (view);
  for (guint i = 0; i < G_N_ELEMENTS (without); i++)
    {
      must_set_acl (f, "user/alice", "bob", without[i]);
      must_append (f, box.mailbox, f->alice, MESSAGE);
      must_store (f, box.view, 1, ROOK_STORE_ADD, i == 0 ? ROOK_FLAG_FLAGGED : ROOK_FLAG_DRAFT, NULL);
      assert_refused (f, view);
    }
  calls = 0;
  must_set_acl (f, "user/alice", "bob", "lr");
  fixture_settle (f);
  g_assert_cmpuint (calls, ==, 1); /* there is something to be told */
  update (view, TRUE);
  assert_view (view, "1:FT 2: 3:r 4:r");
  rook_view_free (view);
  box_clear (&box);
}

/* Who may not look it up does not learn from it that it is there. */
static void
test_view_of_a_hidden_one (void)
{
  Box box = box_new (NULL, 0);
  g_autoptr (GError) hidden = NULL, seen = NULL;

  must_set_acl (box.f, "user/alice", "bob", "i");
  g_assert_null (rook_view_new (box.mailbox, box.f->bob, FALSE, NULL, NULL, &hidden));
  g_assert_error (hidden, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_FOUND);
  must_set_acl (box.f, "user/alice", "bob", "li");
  g_assert_null (rook_view_new (box.mailbox, box.f->bob, FALSE, NULL, NULL, &seen));
  g_assert_error (seen, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NO_PERMISSION);
  box_clear (&box);
}

/* Lists show `c` and `d` for what they follow from; reading them back must not give what else they stand for. */
static void
test_one_right_gives_no_other (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  static const char *const cases[][2] = { { "lr", "lr" },   { "lx", "lxc" }, { "lk", "lkc" },
                                          { "lt", "ltd" },  { "le", "led" }, { "ld", "lxtecd" },
                                          { "lc", "lkxc" }, { "la", "la" },  { "ln", "ln" } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *rights = NULL;

      must_set_acl (f, "user/alice", "bob", cases[i][0]);
      must_set_acl (f, "user/alice", "carol", "lr"); /* the whole list is read and written again */
      rights = rook_mail_get_rights (f->mail, f->bob, "user/alice");
      g_assert_cmpstr (rights, ==, cases[i][1]);
    }
}

static void
test_expunge_needs_e (void)
{
  Box box = box_new (NULL, 1);
  g_auto (Answer) answer = { .f = box.f };
  RookView *view;

  must_store (box.f, box.view, 1, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_set_acl (box.f, "user/alice", "bob", "lrst");
  view = must_view (box.mailbox, box.f->bob);
  rook_view_expunge (view, NULL, 0, on_mail, &answer);
  answer_wait (&answer);
  g_assert_cmpint (code_of (&answer), ==, ROOK_MAIL_ERROR_NO_PERMISSION);
  update (view, TRUE);
  assert_view (view, "1:D");
  rook_view_free (view);
  box_clear (&box);
}

/* Of the uids given, those with \Deleted and no other. */
static void
test_expunge_uids (void)
{
  Box box = box_new (NULL, 4);
  g_auto (Answer) answer = { .f = box.f };

  for (guint32 uid = 1; uid <= 3; uid++)
    must_store (box.f, box.view, uid, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  rook_view_expunge (box.view, (guint32[]){ 2, 4, 9 }, 3, on_mail, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  g_assert_cmpuint (rook_view_get_count (box.view), ==, 4); /* until rook_view_update() */
  update (box.view, TRUE);
  assert_view (box.view, "1:Dr 3:Dr 4:r");
  box_clear (&box);
}

static void
test_store_passes_over_what_is_not_there (void)
{
  Box box = box_new (NULL, 2);
  g_auto (Answer) answer = { .f = box.f };

  store (box.view, (guint32[]){ 2, 7, 4000000000 }, 3, ROOK_FLAG_SEEN, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  g_assert_null (answer.uids);
  update (box.view, TRUE);
  assert_view (box.view, "1:r 2:Sr");
  box_clear (&box);
}

/* --- while there is no state store --------------------------------------------------------------------------------------- */

static void
count_listed (const RookMailboxInfo *info, gpointer data)
{
  (void) info;
  count (data);
}

typedef enum {
  ENSURE_LOGIN,
  ENSURE_DELIVERY,
  OPEN,
  CREATE,
  DELETE,
  RENAME,
  SUBSCRIBE,
  UNSUBSCRIBE,
  SET_ACL,
  N_CALLS
} Call;

/* Returns: the code that @call for carol's INBOX was answered with. */
static int
call_for_carol (Fixture *f, Call call)
{
  g_auto (Answer) answer = { .f = f };
  g_autoptr (RookIdentity) carol = rook_identity_new ("carol", "carol", NULL, FALSE);

  switch (call)
    {
    case ENSURE_LOGIN:
    case ENSURE_DELIVERY:
      rook_mail_ensure_user (f->mail, "carol", call == ENSURE_LOGIN ? ROOK_ENSURE_LOGIN : ROOK_ENSURE_DELIVERY, on_mail,
                             &answer);
      break;
    case OPEN:
      rook_mail_open (f->mail, carol, "user/carol", on_open, &answer);
      break;
    case CREATE:
      rook_mail_create (f->mail, carol, "user/carol/a", NULL, on_mail, &answer);
      break;
    case DELETE:
      rook_mail_delete (f->mail, f->admin, "user/carol", on_mail, &answer);
      break;
    case RENAME:
      rook_mail_rename (f->mail, f->admin, "user/carol", "user/dora", NULL, on_mail, &answer);
      break;
    case SUBSCRIBE:
    case UNSUBSCRIBE:
      rook_mail_subscribe (f->mail, carol, "user/carol", call == SUBSCRIBE, on_mail, &answer);
      break;
    case SET_ACL:
    default:
      rook_mail_set_acl (f->mail, carol, "user/carol", "bob", "l", on_mail, &answer);
      break;
    }
  answer_wait (&answer);
  return code_of (&answer);
}

static void
assert_nothing_is_known (Fixture *f)
{
  g_autoptr (GError) error = NULL, acl_error = NULL;

  g_assert_false (rook_mail_is_available (f->mail, &error));
  g_assert_error (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE);
  for (Call call = 0; call < N_CALLS; call++)
    g_assert_cmpint (call_for_carol (f, call), ==, ROOK_MAIL_ERROR_UNAVAILABLE);
  g_assert_null (rook_mail_get_acl (f->mail, NULL, "user/carol", &acl_error));
  g_assert_error (acl_error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE);
}

static void
check_unavailable (const char *autocreate)
{
  g_autofree char *config = g_strdup_printf ("[mailbox]\nautocreate=%s\n", autocreate);
  g_autoptr (Fixture) f = fixture_new_without_stores (config);
  guint n_listed = 0;

  assert_nothing_is_known (f);
  g_assert_false (rook_mail_list (f->mail, NULL, NULL, count_listed, &n_listed));
  g_assert_cmpuint (n_listed, ==, 0);
  g_assert_false (rook_mail_exists (f->mail, "user/carol"));
  g_assert_null (rook_mail_get_rights (f->mail, NULL, "user/carol"));
  fixture_open_stores (f);
  g_assert_true (rook_mail_is_available (f->mail, NULL));
  g_assert_cmpint (call_for_carol (f, OPEN), ==, ROOK_MAIL_ERROR_NOT_FOUND);
  must_create (f, NULL, "user/carol");
  g_assert_cmpint (call_for_carol (f, ENSURE_DELIVERY), ==, -1);
}

static void
test_unavailable (void)
{
  check_unavailable ("never");
  check_unavailable ("login");
  check_unavailable ("delivery");
}

/* The moment in which a store's names are there and the store is not: those who are found are there, the others unknown. */
static void
test_found_while_unavailable (void)
{
  g_autoptr (Fixture) f = fixture_new ("[mailbox]\nautocreate=never\n");
  g_auto (Answer) answer = { .f = f };

  g_assert_cmpint (call_for_carol (f, ENSURE_LOGIN), ==, ROOK_MAIL_ERROR_NOT_FOUND);
  rook_mail_close_stores (f->mail);
  assert_nothing_is_known (f);
  rook_mail_ensure_user (f->mail, "alice", ROOK_ENSURE_DELIVERY, on_mail, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
}

static void
look_for_users (gpointer data)
{
  Fixture *f = data;

  for (guint i = 0; i < 100; i++)
    {
      g_autofree char *rights = rook_mail_get_rights (f->mail, f->alice, "user/alice");

      g_assert_nonnull (rights);
      g_assert_true (rook_mail_is_available (f->mail, NULL));
      g_assert_true (rook_mail_exists (f->mail, "user/alice"));
      g_assert_true (rook_mail_user_may_exist (f->mail, "alice", ROOK_ENSURE_DELIVERY));
      rook_mail_user_may_exist (f->mail, "nobody", ROOK_ENSURE_DELIVERY);
    }
}

static void
test_questions_are_answered_from_memory (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  g_assert_true (test_is_calm (look_for_users, f));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func ("/mailbox/" path, func)
  ADD ("call/goes-on-without-its-view", test_call_outlives_its_view);
  ADD ("call/arguments-are-copied", test_arguments_are_copied);
  ADD ("call/questions-are-answered-from-memory", test_questions_are_answered_from_memory);
  ADD ("call/answered-once-on-the-worker-that-asked", test_answered_once_on_the_worker_that_asked);
  ADD ("call/server-itself-may-do-everything", test_server_may_do_everything);
  ADD ("unavailable/nothing-is-known", test_unavailable);
  ADD ("unavailable/who-is-found-is-there", test_found_while_unavailable);
  ADD ("user/ensure-costs-nothing-when-it-is-there", test_ensure_costs_nothing);
  ADD ("open/one-object-serves-all", test_one_object_serves_all);
  ADD ("status/is-of-the-durable-head", test_status_is_of_the_durable_head);
  ADD ("keyword/keeps-its-bit-and-the-case-of-its-first-use", test_keywords);
  ADD ("append/leaves-out-flags-without-right", test_append_leaves_out_flags);
  ADD ("copy/needs-rights-here-and-there", test_copy_needs_rights);
  ADD ("acl/rights-of-an-open-one-and-none", test_rights_of_an_open_one);
  ADD ("acl/rights-taken-away", test_rights_taken_away);
  ADD ("acl/view-of-a-hidden-one", test_view_of_a_hidden_one);
  ADD ("acl/one-right-gives-no-other", test_one_right_gives_no_other);
  ADD ("expunge/needs-e", test_expunge_needs_e);
  ADD ("expunge/those-of-the-uids-that-are-deleted", test_expunge_uids);
  ADD ("flags/uids-that-are-not-there-are-passed-over", test_store_passes_over_what_is_not_there);
  ADD ("create/acl-is-the-parents-or-the-default", test_acl_of_a_new_one);
  return g_test_run ();
}
