/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is kept for users beside mailboxes, \Seen of others and subscriptions: it is theirs whatever they are called, and nobody
 * else's. After renames and deletes, failures at each call, a start on stores of an earlier version; and that memory says what the
 * state store says, however many change it.
 */
#include "mail-fixture.h"

#include "mailbox/codec.h"

#include <string.h>

#define OPEN "[mailbox]\ndefault-acl=anyone lrsip\n"

static RookIdentity *
who (const char *name)
{
  return rook_identity_new (name, name, NULL, FALSE);
}

static int
subscribe (Fixture *f, const char *user, const char *name, gboolean subscribed)
{
  g_auto (Answer) answer = { .f = f };
  g_autoptr (RookIdentity) identity = who (user);

  rook_mail_subscribe (f->mail, identity, name, subscribed, on_mail, &answer);
  answer_wait (&answer);
  return code_of (&answer);
}

static void
add_name (const RookMailboxInfo *info, gpointer text)
{
  g_string_append_printf (text, "%s%s", ((GString *) text)->len > 0 ? " " : "", info->name);
}

static void
assert_subscribed (Fixture *f, const char *user, const char *expected)
{
  RookListQuery query = { .struct_size = sizeof query, .subscribed = TRUE };
  g_autoptr (RookIdentity) identity = who (user);
  g_autoptr (GString) text = g_string_new (NULL);

  g_assert_false (rook_mail_list (f->mail, identity, &query, add_name, text));
  g_assert_cmpstr (text->str, ==, expected);
}

/* What @user sees of the two messages of `shared`. */
static void
assert_seen (Fixture *f, const char *user, const char *expected)
{
  g_autoptr (RookIdentity) identity = who (user);
  RookMailbox *mailbox = must_open (f, identity, "shared");
  RookView *view = must_view (mailbox, identity);

  load_all (view);
  assert_view (view, expected);
  rook_view_free (view);
  rook_mailbox_unref (mailbox);
}

static void
see (Fixture *f, const char *user, guint32 uid)
{
  g_autoptr (RookIdentity) identity = who (user);
  RookMailbox *mailbox = must_open (f, identity, "shared");
  RookView *view = must_view (mailbox, identity);

  must_store (f, view, uid, ROOK_STORE_ADD, ROOK_FLAG_SEEN, NULL);
  rook_view_free (view);
  rook_mailbox_unref (mailbox);
}

/* `shared` with two messages, of which bob has seen the first; his subscriptions. */
static Fixture *
make (void)
{
  Fixture *f = fixture_new (OPEN);
  RookMailbox *mailbox;

  must_create (f, NULL, "shared");
  must_create (f, NULL, "user/bob/Sent");
  mailbox = must_open (f, f->admin, "shared");
  must_append (f, mailbox, f->admin, MESSAGE);
  must_append (f, mailbox, f->admin, MESSAGE);
  rook_mailbox_unref (mailbox);
  see (f, "bob", 1);
  g_assert_cmpint (subscribe (f, "bob", "user/bob", TRUE), ==, -1);
  g_assert_cmpint (subscribe (f, "bob", "user/bob/Sent", TRUE), ==, -1);
  g_assert_cmpint (subscribe (f, "bob", "shared", TRUE), ==, -1);
  return f;
}

static int delete (Fixture *f, const char *name)
{
  g_auto (Answer) answer = { .f = f };

  rook_mail_delete (f->mail, f->admin, name, on_mail, &answer);
  answer_wait (&answer);
  return code_of (&answer);
}

/* --- rows --------------------------------------------------------------------------------------------------------------- */

static gboolean
count_row (RookTable table G_GNUC_UNUSED, GBytes *key G_GNUC_UNUSED, GBytes *value G_GNUC_UNUSED, gpointer n)
{
  ++*(guint *) n;
  return TRUE;
}

static guint
count_rows (Fixture *f, const char *disk, RookTable table)
{
  guint n = 0;
  g_autoptr (GError) error = NULL;

  rook_store_foreach (rook_memory_disk_get_store (fixture_disk (f, disk)), table, count_row, &n, &error);
  g_assert_no_error (error);
  return n;
}

/* Rows of all tables that are about users. */
static void
assert_rows (Fixture *f, guint n_users, guint n_gone, guint n_subscriptions, guint n_seen, guint n_copies)
{
  fixture_settle (f);
  g_assert_cmpuint (count_rows (f, "mailboxes", ROOK_STATE_USERS), ==, n_users);
  g_assert_cmpuint (count_rows (f, "mailboxes", ROOK_STATE_GONE), ==, n_gone);
  g_assert_cmpuint (count_rows (f, "mailboxes", ROOK_STATE_SUBSCRIPTIONS), ==, n_subscriptions);
  g_assert_cmpuint (count_rows (f, "default", ROOK_PART_SEEN), ==, n_seen);
  g_assert_cmpuint (count_rows (f, "default", ROOK_PART_USERS), ==, n_copies);
}

/* --- names -------------------------------------------------------------------------------------------------------------- */

static void
assert_renamed (Fixture *f)
{
  assert_seen (f, "carol", "1:S 2:");
  assert_subscribed (f, "carol", "user/carol user/carol/Sent shared");
  assert_seen (f, "bob", "1: 2:");
  assert_subscribed (f, "bob", "");
}

static void
test_renamed_user_keeps_it_and_a_newcomer_has_none (void)
{
  g_autoptr (Fixture) f = make ();

  g_assert_cmpint (try_rename (f, f->admin, "user/bob", "user/carol", NULL), ==, -1);
  assert_renamed (f);
  must_create (f, NULL, "user/bob");
  assert_renamed (f);
  fixture_restart (f);
  assert_renamed (f);
  see (f, "bob", 2);
  g_assert_cmpint (subscribe (f, "bob", "user/bob", TRUE), ==, -1);
  fixture_restart (f);
  assert_seen (f, "carol", "1:S 2:");
  assert_seen (f, "bob", "1: 2:S");
  assert_subscribed (f, "bob", "user/bob");
  /* And back, over what the newcomer has. */
  g_assert_cmpint (delete (f, "user/bob"), ==, -1);
  g_assert_cmpint (try_rename (f, f->admin, "user/carol", "user/bob", NULL), ==, -1);
  assert_seen (f, "bob", "1:S 2:");
  assert_subscribed (f, "bob", "user/bob user/bob/Sent shared");
}

/* A user that has subscribed, and has no mailbox. */
static void
test_what_was_kept_under_the_new_name_is_given_up (void)
{
  g_autoptr (Fixture) f = make ();

  see (f, "carol", 2);
  g_assert_cmpint (subscribe (f, "carol", "news", TRUE), ==, -1);
  assert_rows (f, 3, 0, 4, 2, 2); /* of admin, too */
  g_assert_cmpint (try_rename (f, f->admin, "user/bob", "user/carol", NULL), ==, -1);
  assert_renamed (f);
  assert_rows (f, 3, 1, 4, 2, 2);
  fixture_restart (f);
  assert_renamed (f);
  fixture_run_job (f, "forget-users");
  assert_renamed (f);
  assert_rows (f, 3, 0, 3, 1, 1);
  fixture_restart (f);
  assert_renamed (f);
}

static void
test_a_user_without_any_does_not_get_the_other_ones (void)
{
  g_autoptr (Fixture) f = make ();

  g_assert_cmpint (subscribe (f, "carol", "news", TRUE), ==, -1);
  g_assert_cmpint (try_rename (f, f->admin, "user/alice", "user/carol", NULL), ==, -1);
  assert_subscribed (f, "carol", "");
  fixture_restart (f);
  assert_subscribed (f, "carol", "");
}

static void
test_deleted_user_leaves_a_newcomer_nothing (void)
{
  g_autoptr (Fixture) f = make ();

  assert_rows (f, 2, 0, 3, 1, 1);
  g_assert_cmpint (delete (f, "user/bob"), ==, -1);
  assert_subscribed (f, "bob", "");
  assert_seen (f, "bob", "1: 2:");
  fixture_restart (f);
  must_create (f, NULL, "user/bob");
  assert_subscribed (f, "bob", "");
  assert_seen (f, "bob", "1: 2:");
  see (f, "bob", 2);
  assert_rows (f, 2, 1, 3, 2, 1);
  fixture_run_job (f, "forget-users");
  assert_rows (f, 2, 0, 0, 1, 1);
  assert_seen (f, "bob", "1: 2:S");
}

/* A session that is there when its user goes changes nothing of a newcomer's. */
static void
test_a_session_of_a_deleted_user_has_no_seen_any_more (void)
{
  g_autoptr (Fixture) f = make ();
  RookMailbox *mailbox = must_open (f, f->bob, "shared");
  RookView *view = must_view (mailbox, f->bob);
  guint32 uid = 2;
  RookStoreFlags request = {
    .struct_size = sizeof request, .uids = &uid, .n_uids = 1, .mode = ROOK_STORE_ADD, .flags = ROOK_FLAG_SEEN
  };
  g_auto (Answer) answer = { .f = f };

  load_all (view);
  g_assert_cmpint (delete (f, "user/bob"), ==, -1);
  assert_view (view, "1: 2:");
  rook_view_store_flags (view, &request, on_store, &answer);
  answer_wait (&answer);
  g_assert_cmpint (code_of (&answer), ==, ROOK_MAIL_ERROR_NO_PERMISSION);
  rook_view_free (view);
  rook_mailbox_unref (mailbox);
  assert_seen (f, "bob", "1: 2:");
}

static void
test_what_a_moved_mailbox_has_stays (void)
{
  g_autoptr (Fixture) f = make ();

  g_assert_cmpint (try_rename (f, f->admin, "shared", "shared", "other"), ==, -1);
  assert_seen (f, "bob", "1:S 2:");
  g_assert_cmpuint (count_rows (f, "other", ROOK_PART_USERS), ==, 1);
  g_assert_cmpint (try_rename (f, f->admin, "user/bob", "user/carol", NULL), ==, -1);
  fixture_restart (f);
  assert_renamed (f);
}

/* --- cut short ---------------------------------------------------------------------------------------------------------- */

/* Whatever becomes of the batch, both are renamed or neither. */
static void
test_a_rename_is_whole_or_not_at_all (void)
{
  for (guint nth = 1; nth <= 2; nth++)
    for (guint applied = 0; applied < 2; applied++)
      {
        g_autoptr (Fixture) f = make ();

        rook_memory_disk_fail (fixture_disk (f, "mailboxes"), nth, ROOK_STORE_ERROR_UNKNOWN, applied);
        try_rename (f, f->admin, "user/bob", "user/carol", NULL);
        rook_memory_disk_fail (fixture_disk (f, "mailboxes"), 0, ROOK_STORE_ERROR_UNKNOWN, FALSE);
        fixture_restart (f);
        if (rook_mail_exists (f->mail, "user/carol"))
          assert_renamed (f);
        else
          {
            assert_seen (f, "bob", "1:S 2:");
            assert_subscribed (f, "bob", "user/bob user/bob/Sent shared");
            assert_subscribed (f, "carol", "");
          }
      }
}

/* Whichever call fails, the next run does the rest. */
static void
test_forgetting_goes_on (void)
{
  static const char *const disks[] = { "mailboxes", "default", "other" };
  for (guint d = 0; d < G_N_ELEMENTS (disks); d++)
    for (guint nth = 1, failed = TRUE; failed; nth++)
      {
        g_autoptr (Fixture) f = make ();
        RookMemoryDisk *disk = fixture_disk (f, disks[d]);

        g_assert_cmpint (delete (f, "user/bob"), ==, -1);
        fixture_settle (f);
        rook_memory_disk_fail (disk, nth, ROOK_STORE_ERROR_UNKNOWN, FALSE);
        fixture_run_job (f, "forget-users");
        failed = !rook_memory_disk_will_fail (disk);
        rook_memory_disk_fail (disk, 0, ROOK_STORE_ERROR_UNKNOWN, FALSE);
        fixture_restart (f);
        fixture_run_job (f, "forget-users");
        assert_rows (f, 1, 0, 0, 0, 0);
      }
}

/* --- an earlier version's ----------------------------------------------------------------------------------------------- */

typedef struct {
  RookBatch *batch;
  Fixture *f;
} Ageing;

static gboolean
age_subscription (RookTable table, GBytes *key, GBytes *value, gpointer data)
{
  Ageing *ageing = data;
  g_autofree char *user = NULL, *packed = NULL, *name = NULL;
  g_autoptr (RookUserName) named = NULL;
  g_autoptr (GByteArray) old = g_byte_array_new ();
  g_autoptr (GBytes) old_key = NULL;
  guint64 id;

  g_assert_true (rook_subscription_key_parse (key, &id, &user, &packed));
  named = rook_users_dup_name (ageing->f->mail->users, id);
  name = rook_subscription_unpack (named->name, packed);
  g_byte_array_append (old, (const guint8 *) named->name, strlen (named->name) + 1);
  g_byte_array_append (old, (const guint8 *) name, strlen (name));
  old_key = g_bytes_new (old->data, old->len);
  rook_batch_delete (ageing->batch, table, key);
  rook_batch_put (ageing->batch, table, old_key, value);
  return TRUE;
}

static gboolean
age_seen (RookTable table, GBytes *key, GBytes *value, gpointer data)
{
  Ageing *ageing = data;
  g_autofree char *id = NULL, *user = NULL;
  g_autoptr (RookUserName) named = NULL;
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autoptr (GBytes) old_key = NULL;
  gboolean old;

  g_assert_true (rook_seen_key_parse (key, &id, &user, &old));
  named = rook_users_dup_name (ageing->f->mail->users, rook_user_key_parse (user));
  g_byte_array_append (bytes, (const guint8 *) id, strlen (id) + 1);
  g_byte_array_append (bytes, (const guint8 *) named->name, strlen (named->name));
  old_key = g_bytes_new (bytes->data, bytes->len);
  rook_batch_delete (ageing->batch, table, key);
  rook_batch_put (ageing->batch, table, old_key, value);
  return TRUE;
}

static gboolean
drop_row (RookTable table, GBytes *key, GBytes *value G_GNUC_UNUSED, gpointer data)
{
  rook_batch_delete (((Ageing *) data)->batch, table, key);
  return TRUE;
}

static void
age_store (Fixture *f, const char *disk, RookTable rows, RookStoreForeach func, RookTable users)
{
  RookStore *store = rook_memory_disk_get_store (fixture_disk (f, disk));
  Ageing ageing = { rook_batch_new (store), f };
  g_autoptr (GBytes) key = rook_bytes_of_text ("format"), one = g_bytes_new_static ("\0\0\0\1", 4);
  g_autoptr (GError) error = NULL;

  g_assert_true (rook_store_foreach (store, rows, func, &ageing, NULL));
  g_assert_true (rook_store_foreach (store, users, drop_row, &ageing, NULL));
  if (users == ROOK_STATE_USERS)
    rook_batch_put (ageing.batch, ROOK_STATE_META, key, one);
  else
    rook_batch_delete (ageing.batch, ROOK_PART_META, key);
  rook_store_commit_wait (store, ageing.batch, NULL, &error);
  g_assert_no_error (error);
}

/* What is there becomes what an earlier version would have written; that a name has eight bytes is no id. */
static Fixture *
make_old (void)
{
  Fixture *f = make ();

  see (f, "user0001", 2);
  g_assert_cmpint (subscribe (f, "user0001", "shared", TRUE), ==, -1);
  fixture_settle (f);
  age_store (f, "default", ROOK_PART_SEEN, age_seen, ROOK_PART_USERS);
  age_store (f, "mailboxes", ROOK_STATE_SUBSCRIPTIONS, age_subscription, ROOK_STATE_USERS);
  return f;
}

static void
assert_brought_up_to_date (Fixture *f)
{
  assert_rows (f, 2, 0, 4, 2, 2);
  assert_seen (f, "bob", "1:S 2:");
  assert_seen (f, "user0001", "1: 2:S");
  assert_subscribed (f, "bob", "user/bob user/bob/Sent shared");
  assert_subscribed (f, "user0001", "shared");
  g_assert_cmpint (try_rename (f, f->admin, "user/bob", "user/carol", NULL), ==, -1);
  assert_renamed (f);
  fixture_restart (f);
  assert_renamed (f);
}

static void
test_stores_of_an_earlier_version (void)
{
  g_autoptr (Fixture) f = make_old ();

  fixture_restart (f);
  assert_brought_up_to_date (f);
}

/* Whichever call fails, the next start goes on where it was. */
static void
test_a_start_on_them_that_is_cut_short (void)
{
  static const char *const disks[] = { "mailboxes", "default" };

  for (guint d = 0; d < G_N_ELEMENTS (disks); d++)
    for (guint nth = 1, failed = TRUE; failed; nth++)
      {
        g_autoptr (Fixture) f = make_old ();
        RookMemoryDisk *disk = fixture_disk (f, disks[d]);
        g_autoptr (GError) error = NULL;

        fixture_restart_without_stores (f);
        rook_memory_disk_fail (disk, nth, ROOK_STORE_ERROR_UNKNOWN, nth % 2 == 0);
        rook_mail_open_stores (f->mail, &error);
        failed = !rook_memory_disk_will_fail (disk);
        rook_memory_disk_fail (disk, 0, ROOK_STORE_ERROR_UNKNOWN, FALSE);
        fixture_restart (f);
        assert_brought_up_to_date (f);
      }
}

/* As after all tables were lost and made again of segments and log, which knows \Seen and no names. */
static void
test_names_are_noted_again_in_tables_made_again (void)
{
  g_autoptr (Fixture) f = make ();
  RookStore *store = rook_memory_disk_get_store (fixture_disk (f, "default"));
  Ageing ageing = { rook_batch_new (store), f };
  g_autoptr (GBytes) key = rook_bytes_of_text ("format");

  g_assert_true (rook_store_foreach (store, ROOK_PART_USERS, drop_row, &ageing, NULL));
  rook_batch_delete (ageing.batch, ROOK_PART_META, key);
  g_assert_true (rook_store_commit_wait (store, ageing.batch, NULL, NULL));
  assert_rows (f, 2, 0, 3, 1, 0);
  fixture_restart (f);
  assert_rows (f, 2, 0, 3, 1, 1);
  assert_seen (f, "bob", "1:S 2:");
}

static void
test_a_newer_version_is_refused (void)
{
  g_autoptr (Fixture) f = make ();
  RookStore *store = rook_memory_disk_get_store (fixture_disk (f, "default"));
  RookBatch *batch = rook_batch_new (store);
  g_autoptr (GBytes) key = rook_bytes_of_text ("format"), three = g_bytes_new_static ("\0\0\0\3", 4);
  g_auto (Answer) answer = { .f = f };
  g_autoptr (GError) error = NULL;

  rook_batch_put (batch, ROOK_PART_META, key, three);
  g_assert_true (rook_store_commit_wait (store, batch, NULL, &error));
  fixture_restart (f);
  rook_mail_open (f->mail, f->bob, "shared", on_open, &answer);
  answer_wait (&answer);
  g_assert_cmpint (code_of (&answer), ==, ROOK_MAIL_ERROR_UNAVAILABLE);
}

/* --- limits, memory, order ---------------------------------------------------------------------------------------------- */

static void
test_limit_of_subscriptions (void)
{
  g_autoptr (Fixture) f = fixture_new ("[mailbox]\nmax-subscriptions=2\n");

  g_assert_cmpint (subscribe (f, "bob", "a", TRUE), ==, -1);
  g_assert_cmpint (subscribe (f, "bob", "b", TRUE), ==, -1);
  g_assert_cmpint (subscribe (f, "bob", "c", TRUE), ==, ROOK_MAIL_ERROR_LIMIT);
  g_assert_cmpint (subscribe (f, "bob", "b", TRUE), ==, -1); /* it is there */
  g_assert_cmpint (subscribe (f, "alice", "c", TRUE), ==, -1);
  g_assert_cmpint (subscribe (f, "bob", "a", FALSE), ==, -1);
  g_assert_cmpint (subscribe (f, "bob", "c", TRUE), ==, -1);
  assert_subscribed (f, "bob", "b c");
}

/* Against a table of all names that there may be. */
static void
test_name_set (void)
{
  g_auto (GStrv) names = g_strsplit ("a a/b a-b user/ user//x user/bob user/bob/x z é é/x", " ", -1);
  guint n_names = g_strv_length (names);
  RookNameSet set = { 0 };
  gboolean model[16] = { FALSE };

  for (guint step = 0; step < 20000; step++)
    {
      guint i = (guint) g_test_rand_int_range (0, (gint32) n_names), n = 0;
      gboolean add = g_test_rand_bit ();

      g_assert_cmpint ((add ? rook_name_set_add : rook_name_set_remove) (&set, names[i]), ==, model[i] != add);
      model[i] = add;
      for (guint k = 0; k < n_names; k++)
        {
          n += model[k];
          g_assert_cmpint (rook_name_set_contains (&set, names[k]), ==, model[k]);
        }
      g_assert_cmpuint (set.n, ==, n);
      for (guint k = 1; k < set.n; k++)
        g_assert_cmpint (rook_name_compare (rook_name_set_get (&set, k - 1), rook_name_set_get (&set, k), NULL), <, 0);
      g_assert_cmpuint (set.size, <=, 2 * (set.size - set.dead) + 512); /* what was taken away does not pile up */
    }
  rook_name_set_clear (&set);
}

/* doc/limits.md says what one costs. */
static void
test_what_a_subscription_costs (void)
{
  RookNameSet set = { 0 };
  gsize bytes = 0;

  for (guint i = 0; i < 1000; i++)
    {
      g_autofree char *name = g_strdup_printf ("user//a folder of %u letters", i);

      bytes += strlen (name) + 1 + 4;
      rook_name_set_append (&set, name);
    }
  rook_name_set_sort (&set);
  g_assert_cmpuint (set.n, ==, 1000);
  g_assert_cmpuint (rook_name_set_get_memory (&set), ==, bytes + sizeof set);
  rook_name_set_clear (&set);
}

#define N_SESSIONS 6
#define N_NAMES 8
#define N_CHANGES 200

typedef struct {
  Fixture *f;
  RookIdentity *identity;
  RookWorker *worker;
  guint left;
  GRand *rand;
  gint *running; /* atomic */
} Session;

static void change_one (gpointer data);

static void
changed (const GError *error, gpointer data)
{
  g_assert_no_error (error);
  change_one (data);
}

static void
change_one (gpointer data)
{
  Session *s = data;
  g_autofree char *name = g_strdup_printf ("race%d", g_rand_int_range (s->rand, 0, N_NAMES));

  if (s->left-- > 0)
    rook_mail_subscribe (s->f->mail, s->identity, name, g_rand_boolean (s->rand), changed, s);
  else if (g_atomic_int_dec_and_test (s->running))
    rook_loop_quit (rook_server_get_loop (s->f->server));
}

static char *
list_races (Fixture *f)
{
  g_autoptr (GPtrArray) names = rook_users_list_subscriptions (f->mail->users, "bob", NULL, NULL, 100);

  g_ptr_array_add (names, NULL);
  return g_strjoinv (" ", (char **) names->pdata);
}

/* What sessions on several workers change at once is the same in memory and in the state store. */
static void
test_memory_says_what_the_state_store_says (void)
{
  g_autoptr (Fixture) f = fixture_new ("[server]\nworkers=3\n");
  RookLoop *loop = rook_server_get_loop (f->server);
  Session sessions[N_SESSIONS];

  for (guint round = 0; round < 5; round++)
    {
      gint running = N_SESSIONS;
      g_autofree char *before = NULL, *after = NULL;

      loop = rook_server_get_loop (f->server);
      for (guint i = 0; i < N_SESSIONS; i++)
        {
          sessions[i] = (Session){ .f = f,
                                   .identity = f->bob,
                                   .worker = rook_loop_get_worker (loop, i % rook_loop_get_n_workers (loop)),
                                   .left = N_CHANGES,
                                   .rand = g_rand_new_with_seed ((guint32) g_test_rand_int ()),
                                   .running = &running };
          rook_worker_invoke (sessions[i].worker, change_one, &sessions[i], NULL);
        }
      rook_loop_run (loop);
      before = list_races (f);
      fixture_restart (f);
      after = list_races (f);
      g_assert_cmpstr (before, ==, after);
      for (guint i = 0; i < N_SESSIONS; i++)
        g_rand_free (sessions[i].rand);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func ("/mailbox/users/" path, func)
  ADD ("renamed-user-keeps-it-and-a-newcomer-has-none", test_renamed_user_keeps_it_and_a_newcomer_has_none);
  ADD ("what-was-kept-under-the-new-name-is-given-up", test_what_was_kept_under_the_new_name_is_given_up);
  ADD ("a-user-without-any-does-not-get-the-other-ones", test_a_user_without_any_does_not_get_the_other_ones);
  ADD ("deleted-user-leaves-a-newcomer-nothing", test_deleted_user_leaves_a_newcomer_nothing);
  ADD ("a-session-of-a-deleted-user-has-no-seen-any-more", test_a_session_of_a_deleted_user_has_no_seen_any_more);
  ADD ("what-a-moved-mailbox-has-stays", test_what_a_moved_mailbox_has_stays);
  ADD ("a-rename-is-whole-or-not-at-all", test_a_rename_is_whole_or_not_at_all);
  ADD ("forgetting-goes-on", test_forgetting_goes_on);
  ADD ("stores-of-an-earlier-version", test_stores_of_an_earlier_version);
  ADD ("a-start-on-them-that-is-cut-short", test_a_start_on_them_that_is_cut_short);
  ADD ("names-are-noted-again-in-tables-made-again", test_names_are_noted_again_in_tables_made_again);
  ADD ("a-newer-version-is-refused", test_a_newer_version_is_refused);
  ADD ("limit-of-subscriptions", test_limit_of_subscriptions);
  ADD ("name-set", test_name_set);
  ADD ("what-a-subscription-costs", test_what_a_subscription_costs);
  ADD ("memory-says-what-the-state-store-says", test_memory_says_what_the_state_store_says);
  return g_test_run ();
}
