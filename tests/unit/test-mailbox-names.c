/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rookery/mailbox.h: names, namespaces, rights; create, delete, rename, list, subscribe; configuration.
 */
#include "mail-fixture.h"

#include "config/config-private.h"

/* --- names ------------------------------------------------------------------------------------------------------ */

static void
test_valid_names (void)
{
  static const char *const good[] = { "user/a",   "user/a/b",       "x",     "a.b/c^d", "user/a@b.c/x",
                                      "\xc3\xa4", "user/a/x/INBOX", "userx", "%*" };
  static const char *const bad[] = {
    "",      "/",       "a/",   "/a",     "a//b", "user",          "user/", "user/a/inbox",
    "Inbox", "INBOX/x", "a\nb", "a\xffz", "\x7f", "user/a/INBOX/x"
  };
  g_autofree char *long_name = g_strnfill (1001, 'x');
  g_autoptr (GString) deep = g_string_new ("a");

  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    g_assert_true (rook_name_is_valid (good[i]));
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (rook_name_is_valid (bad[i]));
  g_assert_false (rook_name_is_valid (long_name));
  for (guint i = 0; i < 49; i++)
    g_string_append (deep, "/a");
  g_assert_true (rook_name_is_valid (deep->str));
  g_string_append (deep, "/a");
  g_assert_false (rook_name_is_valid (deep->str));
}

static void
test_owner (void)
{
  g_autofree char *a = rook_name_dup_owner ("user/joe/x"), *b = rook_name_dup_owner ("user/joe");

  g_assert_cmpstr (a, ==, "joe");
  g_assert_cmpstr (b, ==, "joe");
  g_assert_null (rook_name_dup_owner ("users/joe"));
}

static const char *const namespaces[] = { "[mailbox]\nseparator=/\nalt-namespace=false\n",
                                          "[mailbox]\nseparator=.\nalt-namespace=false\n",
                                          "[mailbox]\nseparator=/\nalt-namespace=true\n",
                                          "[mailbox]\nseparator=.\nalt-namespace=true\n" };

static void
check_name (RookNamespace *ns, const char *external, const char *internal)
{
  g_autofree char *to = rook_namespace_to_internal (ns, external, NULL);
  g_autofree char *from = rook_namespace_to_external (ns, internal);

  g_assert_cmpstr (to, ==, internal);
  g_assert_cmpstr (from, ==, external);
}

static void
test_namespace_forms (void)
{
  static const char *const cases[][6][2] = {
    { { "INBOX", "user/alice" },
      { "INBOX/a.b^c", "user/alice/a.b^c" },
      { "user/bob/x", "user/bob/x" },
      { "INBOX/Other Users/x", "user/alice/Other Users/x" },
      { "INBOX/Shared Folders", "user/alice/Shared Folders" },
      { "x/y", "x/y" } },
    { { "INBOX", "user/alice" },
      { "INBOX.a^b/c", "user/alice/a.b^c" },
      { "user.bob.x", "user/bob/x" },
      { "INBOX.Other Users.x", "user/alice/Other Users/x" },
      { "INBOX.Shared Folders", "user/alice/Shared Folders" },
      { "x.y", "x/y" } },
    { { "INBOX", "user/alice" },
      { "a.b^c", "user/alice/a.b^c" },
      { "Other Users/bob/x", "user/bob/x" },
      { "INBOX/Other Users/x", "user/alice/Other Users/x" },
      { "INBOX/Shared Folders", "user/alice/Shared Folders" },
      { "Shared Folders/x/y", "x/y" } },
    { { "INBOX", "user/alice" },
      { "a^b/c", "user/alice/a.b^c" },
      { "Other Users.bob.x", "user/bob/x" },
      { "INBOX.Other Users.x", "user/alice/Other Users/x" },
      { "INBOX.Shared Folders", "user/alice/Shared Folders" },
      { "Shared Folders.x.y", "x/y" } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (namespaces); i++)
    {
      g_autoptr (Fixture) f = fixture_new (namespaces[i]);
      g_autoptr (RookNamespace) ns = rook_mail_get_namespace (f->mail, f->alice);
      g_autofree char *alias = rook_namespace_to_internal (ns, "inbox", NULL);

      for (guint c = 0; c < G_N_ELEMENTS (cases[i]); c++)
        check_name (ns, cases[i][c][0], cases[i][c][1]);
      g_assert_cmpstr (alias, ==, "user/alice");
      g_assert_true (rook_namespace_is_inbox (ns, "user/alice"));
      g_assert_false (rook_namespace_is_inbox (ns, "user/bob"));
    }
}

/* Random names of the characters that matter come back byte for byte, whatever the configuration. */
static void
test_namespace_bijection (void)
{
  static const char *const parts[] = { "/",
                                       "/",
                                       ".",
                                       "^",
                                       "a",
                                       "INBOX",
                                       "user/alice",
                                       "user/",
                                       "\xc3\xa4",
                                       "a\xcc\x88",
                                       "&",
                                       "%",
                                       "\xf0\x9f\x98\x80",
                                       "Other Users",
                                       "Shared Folders",
                                       " " };
  guint n_round_trips = 0;

  for (guint i = 0; i < G_N_ELEMENTS (namespaces); i++)
    {
      g_autoptr (Fixture) f = fixture_new (namespaces[i]);
      g_autoptr (RookNamespace) ns = rook_mail_get_namespace (f->mail, f->alice);

      for (guint round = 0; round < 20000; round++)
        {
          g_autoptr (GString) name = g_string_new (NULL);
          g_autofree char *external = NULL, *back = NULL, *internal = NULL, *again = NULL;

          for (gint k = g_test_rand_int_range (1, 7); k > 0; k--)
            g_string_append (name, parts[g_test_rand_int_range (0, G_N_ELEMENTS (parts))]);
          external = rook_namespace_to_external (ns, name->str);
          g_assert_cmpint (external != NULL, ==, rook_name_is_valid (name->str)); /* none is without a form */
          back = external != NULL ? rook_namespace_to_internal (ns, external, NULL) : NULL;
          if (external != NULL)
            g_assert_cmpstr (back, ==, name->str);
          internal = rook_namespace_to_internal (ns, name->str, NULL);
          again = internal != NULL ? rook_namespace_to_external (ns, internal) : NULL;
          if (internal != NULL && !g_str_equal (again, name->str))
            g_assert_true (g_ascii_strncasecmp (name->str, "inbox", 5) == 0 || strstr (name->str, "user") != NULL
                           || strstr (name->str, "Other Users") != NULL);
          n_round_trips += external != NULL;
        }
    }
  g_assert_cmpuint (n_round_trips, >, 1000);
}

/* What is not the form in use is no name: each has one. */
static void
test_namespace_other_forms (void)
{
  static const char *const none[] = { "INBOX/x", "Other Users", "Shared Folders", "INBOX/Other Usersx", "INBOX/" };
  g_autoptr (Fixture) f = fixture_new (namespaces[2]);
  g_autoptr (RookNamespace) ns = rook_mail_get_namespace (f->mail, f->alice);

  for (guint i = 0; i < G_N_ELEMENTS (none); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (rook_namespace_to_internal (ns, none[i], &error));
      g_assert_error (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_BAD_NAME);
    }
}

static void
test_namespace_prefixes (void)
{
  g_autoptr (Fixture) f = fixture_new (namespaces[3]);
  g_autoptr (RookNamespace) alice = rook_mail_get_namespace (f->mail, f->alice);
  g_autoptr (RookNamespace) admin = rook_mail_get_namespace (f->mail, f->admin);

  g_assert_cmpstr (rook_namespace_get_personal_prefix (alice), ==, "");
  g_assert_cmpstr (rook_namespace_get_other_prefix (alice), ==, "Other Users.");
  g_assert_cmpstr (rook_namespace_get_shared_prefix (alice), ==, "Shared Folders.");
  g_assert_cmpint (rook_namespace_get_separator (alice), ==, '.');
  g_assert_cmpstr (rook_namespace_get_personal_prefix (admin), ==, "INBOX.");
  g_assert_cmpstr (rook_namespace_get_other_prefix (admin), ==, "user.");
  g_assert_cmpstr (rook_namespace_get_shared_prefix (admin), ==, "");
}

/* --- rights ------------------------------------------------------------------------------------------------------- */

static void
test_rights (void)
{
  const char *const groups[] = { "staff", NULL };
  g_autoptr (RookIdentity) carol = rook_identity_new ("carol", "carol", groups, FALSE);
  g_autoptr (RookIdentity) admin = rook_identity_new ("root", "root", NULL, TRUE);
  g_autoptr (RookEntry) entry = rook_entry_new (NULL);

  entry->name = g_strdup ("news");
  entry->acl = g_strdup ("anyone\tlr\tcarol\ts\tgroup:staff\tipw\t-carol\ti\t-anyone\tr\t");
  rook_entry_derive (entry);
  {
    g_autofree char *text = rook_rights_to_text (rook_entry_get_rights (entry, carol));
    g_autofree char *anonymous = rook_rights_to_text (rook_entry_get_anonymous_rights (entry));
    g_autofree char *admins = rook_rights_to_text (rook_entry_get_rights (entry, admin));

    g_assert_cmpstr (text, ==, "lswp");
    g_assert_cmpstr (anonymous, ==, "l");
    g_assert_cmpstr (admins, ==, "lkxca");
  }
  g_assert_cmpuint (rook_entry_get_rights (entry, NULL), ==, ROOK_RIGHTS_ALL);
}

static void
check_change (const char *acl, const char *identifier, const char *rights, const char *expected)
{
  g_autofree char *changed = rook_acl_change (acl, identifier, rights);

  g_assert_cmpstr (changed, ==, expected);
}

static void
test_acl_change (void)
{
  check_change ("", "joe", "lrs", "joe\tlrs\t");
  check_change ("joe\tlrs\tann\tl\t", "joe", "+wi", "joe\tlrswi\tann\tl\t");
  check_change ("joe\tlrs\tann\tl\t", "joe", "-rs", "joe\tl\tann\tl\t");
  check_change ("joe\tlrs\tann\tl\t", "joe", "", "ann\tl\t");
  check_change ("joe\tlrs\t", "-joe", "w", "joe\tlrs\t-joe\tw\t");
  check_change ("", "joe", "c", "joe\tkxc\t");
  check_change ("", "joe", "d", "joe\txtecd\t");
  check_change ("", "joe", "z", NULL);
  check_change ("", "j\toe", "l", NULL);
  check_change ("", "", "l", NULL);
}

/* --- create, delete, rename ---------------------------------------------------------------------------------------- */

static int
create (Fixture *f, RookIdentity *identity, const char *name)
{
  g_auto (Answer) answer = { .f = f };

  rook_mail_create (f->mail, identity, name, NULL, on_mail, &answer);
  g_assert_false (answer.done);
  answer_wait (&answer);
  return code_of (&answer);
}

static int delete (Fixture *f, RookIdentity *identity, const char *name)
{
  g_auto (Answer) answer = { .f = f };

  rook_mail_delete (f->mail, identity, name, on_mail, &answer);
  answer_wait (&answer);
  return code_of (&answer);
}

static void
add_name (const RookMailboxInfo *info, gpointer data)
{
  g_string_append_printf (data, "%s%s%s ", info->name, info->id == NULL ? "!" : "", info->has_children ? "+" : "");
}

static char *
list (Fixture *f, RookIdentity *identity, const char *prefix, gboolean subscribed)
{
  GString *out = g_string_new (NULL);

  g_assert_false (rook_mail_list (
      f->mail, identity,
      &(RookListQuery){ .struct_size = sizeof (RookListQuery), .prefix = prefix, .subscribed = subscribed }, add_name,
      out));
  return g_strchomp (g_string_free (out, FALSE));
}

static void
assert_list (Fixture *f, RookIdentity *identity, const char *expected)
{
  g_autofree char *names = list (f, identity, NULL, FALSE);

  g_assert_cmpstr (names, ==, expected);
}

static void
test_create (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  g_assert_cmpint (create (f, f->alice, "user/alice/x/y"), ==, -1);
  g_assert_cmpint (create (f, f->alice, "user/alice/x"), ==, ROOK_MAIL_ERROR_EXISTS);
  g_assert_cmpint (create (f, f->alice, "user/alice/INBOX"), ==, ROOK_MAIL_ERROR_BAD_NAME);
  g_assert_cmpint (create (f, f->alice, "user/bob/x"), ==, ROOK_MAIL_ERROR_NO_PERMISSION);
  g_assert_cmpint (create (f, f->alice, "shared"), ==, ROOK_MAIL_ERROR_NO_PERMISSION);
  g_assert_cmpint (create (f, f->admin, "shared/deep"), ==, -1);
  assert_list (f, f->alice, "user/alice+ user/alice/x+ user/alice/x/y shared/deep");
  assert_list (f, f->bob, "user/bob shared/deep");
  assert_list (f, f->admin, "shared/deep user/alice+ user/alice/x+ user/alice/x/y user/bob");
  fixture_restart (f);
  assert_list (f, f->alice, "user/alice+ user/alice/x+ user/alice/x/y shared/deep");
}

static void
test_create_options (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  g_auto (Answer) user = { .f = f }, admin = { .f = f }, unknown = { .f = f }, use = { .f = f };
  RookCreateOptions options = { .struct_size = sizeof options, .partition = "other" };
  g_autofree char *rights = NULL;

  rook_mail_create (f->mail, f->alice, "user/alice/a", &options, on_mail, &user);
  answer_wait (&user);
  g_assert_cmpint (code_of (&user), ==, ROOK_MAIL_ERROR_NO_PERMISSION);
  rook_mail_create (f->mail, f->admin, "user/alice/a", &options, on_mail, &admin);
  answer_wait (&admin);
  g_assert_no_error (admin.error);
  options.partition = "none";
  rook_mail_create (f->mail, f->admin, "user/alice/b", &options, on_mail, &unknown);
  answer_wait (&unknown);
  g_assert_cmpint (code_of (&unknown), ==, ROOK_MAIL_ERROR_NOT_ALLOWED);
  options.partition = NULL;
  options.special_use = "\\Sent";
  rook_mail_create (f->mail, f->alice, "user/alice/s", &options, on_mail, &use);
  answer_wait (&use);
  g_assert_no_error (use.error);
  {
    g_autoptr (RookEntry) sent = rook_mail_ref_entry (f->mail, "user/alice/s");
    g_autoptr (RookEntry) other = rook_mail_ref_entry (f->mail, "user/alice/a");

    g_assert_cmpstr (sent->special_use, ==, "\\Sent");
    g_assert_cmpstr (other->partition, ==, "other");
    g_assert_cmpuint (sent->uidvalidity, >, other->uidvalidity);
  }
  rights = rook_mail_get_rights (f->mail, f->alice, "user/alice/s");
  g_assert_cmpstr (rights, ==, "lrswipkxtecdan");
}

/* Several at once: one makes it, the others hear that it is there. */
static void
test_create_at_once (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  Answer answers[5];
  guint made = 0;

  for (guint i = 0; i < G_N_ELEMENTS (answers); i++)
    {
      answers[i] = (Answer){ .f = f };
      rook_mail_create (f->mail, f->alice, "user/alice/x", NULL, on_mail, &answers[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (answers); i++)
    {
      answer_wait (&answers[i]);
      made += answers[i].error == NULL;
      answer_clear (&answers[i]);
    }
  g_assert_cmpuint (made, ==, 1);
}

static void
test_delete (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  must_create (f, f->alice, "user/alice/x/y");
  g_assert_cmpint (delete (f, f->bob, "user/alice/x"), ==, ROOK_MAIL_ERROR_NOT_FOUND);
  g_assert_cmpint (delete (f, f->alice, "user/alice"), ==, ROOK_MAIL_ERROR_NOT_ALLOWED);
  g_assert_cmpint (delete (f, f->alice, "user/alice/none"), ==, ROOK_MAIL_ERROR_NOT_FOUND);
  g_assert_cmpint (delete (f, f->alice, "user/alice/x"), ==, -1);
  assert_list (f, f->alice, "user/alice+ user/alice/x/y");
  fixture_restart (f);
  assert_list (f, f->alice, "user/alice+ user/alice/x/y");
  g_assert_cmpint (delete (f, f->admin, "user/alice"), ==, -1);
  assert_list (f, f->alice, "");
  g_assert_false (rook_mail_exists (f->mail, "user/alice/x/y"));
}

/* What was being cleared away when the server stopped is cleared by the next start. */
static void
test_stop_while_clearing (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  must_create (f, f->alice, "user/alice/x");
  for (guint i = 0; i < 2; i++)
    {
      rook_memory_disk_hold (fixture_disk (f, "default"), TRUE);
      if (i == 0)
        g_assert_cmpint (delete (f, f->alice, "user/alice/x"), ==, -1);
      fixture_restart (f);
      assert_list (f, f->alice, "user/alice");
    }
}

static void
test_uidvalidity_grows (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  guint32 first, second;

  must_create (f, f->alice, "user/alice/x");
  first = status_of (f, "user/alice/x").uidvalidity;
  g_assert_cmpint (delete (f, f->alice, "user/alice/x"), ==, -1);
  fixture_restart (f);
  must_create (f, f->alice, "user/alice/x");
  second = status_of (f, "user/alice/x").uidvalidity;
  g_assert_cmpuint (second, >, first);
}

static void
test_rename (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  RookMailbox *mailbox;
  g_autofree char *name = NULL;
  guint32 before;

  must_create (f, f->alice, "user/alice/a/b");
  must_create (f, f->alice, "user/alice/c");
  before = status_of (f, "user/alice/a/b").uidvalidity;
  mailbox = must_open (f, f->alice, "user/alice/a/b");
  must_append (f, mailbox, f->alice, MESSAGE);
  g_assert_cmpint (try_rename (f, f->alice, "user/alice/a", "user/alice/c", NULL), ==, ROOK_MAIL_ERROR_EXISTS);
  g_assert_cmpint (try_rename (f, f->alice, "user/alice/a", "user/alice/a/z", NULL), ==, ROOK_MAIL_ERROR_NOT_ALLOWED);
  g_assert_cmpint (try_rename (f, f->alice, "user/alice/none", "user/alice/z", NULL), ==, ROOK_MAIL_ERROR_NOT_FOUND);
  g_assert_cmpint (try_rename (f, f->alice, "user/alice/a", "user/bob/z", NULL), ==, ROOK_MAIL_ERROR_NO_PERMISSION);
  g_assert_cmpint (try_rename (f, f->alice, "user/alice/a", "user/alice/p/q", NULL), ==, -1);
  assert_list (f, f->alice, "user/alice+ user/alice/c user/alice/p+ user/alice/p/q+ user/alice/p/q/b");
  name = rook_mailbox_dup_name (mailbox);
  g_assert_cmpstr (name, ==, "user/alice/p/q/b");
  rook_mailbox_unref (mailbox);
  fixture_restart (f);
  assert_list (f, f->alice, "user/alice+ user/alice/c user/alice/p+ user/alice/p/q+ user/alice/p/q/b");
  g_assert_cmpuint (status_of (f, "user/alice/p/q/b").uidvalidity, ==, before);
}

/* Whose a mailbox is only administrators change: an owner has rights that no list gives. */
static void
test_rename_keeps_owner (void)
{
  g_autoptr (Fixture) f = fixture_new ("[mailbox]\ndefault-acl=anyone lrkx\n");
  g_autofree char *acl = NULL;

  must_create (f, f->alice, "user/alice/a/secret");
  must_create (f, f->admin, "shared/a");
  must_create (f, f->admin, "shared/b");
  must_set_acl (f, "user/alice/a", "bob", "lx");
  g_assert_cmpint (try_rename (f, f->bob, "user/alice/a", "user/bob/a", NULL), ==, ROOK_MAIL_ERROR_NO_PERMISSION);
  g_assert_cmpint (try_rename (f, f->bob, "user/alice/a", "user/bob", NULL), ==, ROOK_MAIL_ERROR_NOT_ALLOWED);
  g_assert_cmpint (try_rename (f, f->bob, "user/alice/a", "shared/c", NULL), ==, ROOK_MAIL_ERROR_NO_PERMISSION);
  g_assert_cmpint (try_rename (f, f->alice, "user/alice/a", "shared/c", NULL), ==, ROOK_MAIL_ERROR_NO_PERMISSION);
  g_assert_cmpint (try_rename (f, f->bob, "shared/a", "user/bob/a", NULL), ==, ROOK_MAIL_ERROR_NO_PERMISSION);
  g_assert_cmpint (try_rename (f, f->bob, "shared/a", "shared/b/a", NULL), ==, -1);
  g_assert_cmpint (try_rename (f, f->admin, "user/alice/a", "user/bob/a", NULL), ==, -1);
  acl = rook_mail_get_acl (f->mail, NULL, "user/bob/a/secret", NULL);
  g_assert_cmpstr (acl, ==, "bob\tlrswipkxtecdan\t");
}

/* What goes along has to be let go too, and gives nobody a right. */
static void
test_rename_asks_children (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  g_autofree char *rights = NULL;

  must_create (f, f->alice, "user/alice/a/b/c");
  must_set_acl (f, "user/alice", "bob", "lk");
  must_set_acl (f, "user/alice/a", "bob", "lx");
  must_set_acl (f, "user/alice/a/b", "bob", "lx");
  g_assert_cmpint (try_rename (f, f->bob, "user/alice/a", "user/alice/z", NULL), ==, ROOK_MAIL_ERROR_NO_PERMISSION);
  assert_list (f, f->alice, "user/alice+ user/alice/a+ user/alice/a/b+ user/alice/a/b/c");
  must_set_acl (f, "user/alice/a/b/c", "bob", "x");
  g_assert_cmpint (try_rename (f, f->bob, "user/alice/a", "user/alice/z", NULL), ==, -1);
  assert_list (f, f->alice, "user/alice+ user/alice/z+ user/alice/z/b+ user/alice/z/b/c");
  rights = rook_mail_get_rights (f->mail, f->bob, "user/alice/z/b");
  g_assert_cmpstr (rights, ==, "lxc");
}

/* --- uidvalidity, under each name ------------------------------------------------------------------------------------ */

static guint32
uidvalidity_of (Fixture *f, const char *name)
{
  return status_of (f, name).uidvalidity;
}

typedef struct {
  guint32 own, highest;
} Buried;

/* user/alice/old, with children a and b; below user/alice/nm, which had greater ones, there was an a, and no b. */
static Buried
bury (Fixture *f)
{
  Buried buried;

  must_create (f, f->alice, "user/alice/old/a");
  must_create (f, f->alice, "user/alice/old/b");
  buried.own = uidvalidity_of (f, "user/alice/old/b");
  must_create (f, f->alice, "user/alice/nm");
  must_create (f, f->alice, "user/alice/nm/a");
  buried.highest = uidvalidity_of (f, "user/alice/nm/a");
  g_assert_cmpint (delete (f, f->alice, "user/alice/nm/a"), ==, -1);
  g_assert_cmpint (delete (f, f->alice, "user/alice/nm"), ==, -1);
  return buried;
}

static void
assert_risen (Fixture *f, const Buried *buried)
{
  g_assert_cmpuint (uidvalidity_of (f, "user/alice/nm"), >, buried->highest);
  g_assert_cmpuint (uidvalidity_of (f, "user/alice/nm/a"), >, buried->highest);
  g_assert_cmpuint (uidvalidity_of (f, "user/alice/nm/b"), ==, buried->own); /* nobody was called so */
}

/* To a name that had a greater uidvalidity: it gets one that is greater still, its children theirs, at once and for good, and
 * what is seen of it ends. @partition: (nullable) */
static void
check_rename_onto_buried (gboolean restart, const char *partition)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  Buried buried = bury (f);
  RookMailbox *mailbox;
  RookView *view;
  guint calls = 0;
  guint32 after;

  if (restart)
    fixture_restart (f);
  mailbox = must_open (f, f->alice, "user/alice/old");
  must_append (f, mailbox, f->alice, MESSAGE);
  view = rook_view_new (mailbox, f->alice, FALSE, count, &calls, NULL);
  g_assert_cmpint (try_rename (f, f->admin, "user/alice/old", "user/alice/nm", partition), ==, -1);
  fixture_settle (f);
  g_assert_cmpuint (calls, ==, 1);
  g_assert_true (rook_view_is_gone (view));
  rook_view_free (view);
  assert_risen (f, &buried);
  rook_mailbox_unref (mailbox);
  fixture_restart (f);
  assert_risen (f, &buried);
  after = uidvalidity_of (f, "user/alice/nm");
  mailbox = must_open (f, f->alice, "user/alice/nm");
  g_assert_cmpuint (must_append (f, mailbox, f->alice, MESSAGE), ==, 2);
  rook_mailbox_unref (mailbox);
  fixture_restart (f);
  assert_risen (f, &buried);
  g_assert_cmpint (try_rename (f, f->alice, "user/alice/nm", "user/alice/old", NULL), ==, -1);
  g_assert_cmpuint (uidvalidity_of (f, "user/alice/old"), ==, after); /* its own is no reason for another */
}

static void
test_uidvalidity_rises_onto_buried (void)
{
  check_rename_onto_buried (FALSE, NULL);
  check_rename_onto_buried (TRUE, NULL);
  check_rename_onto_buried (FALSE, "other");
}

/* What was on its way has been begun with the former one, and does not bring it back. */
static void
test_uidvalidity_rises_under_way (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  Buried buried = bury (f);
  RookMailbox *mailbox = must_open (f, f->alice, "user/alice/old");
  g_autoptr (GBytes) message = g_bytes_new_static (MESSAGE, strlen (MESSAGE));
  g_auto (Answer) appended = { .f = f };

  rook_memory_disk_hold (fixture_disk (f, "default"), TRUE);
  rook_mailbox_append (
      mailbox, f->alice,
      &(RookAppend){ .struct_size = sizeof (RookAppend), .message = message, .event = ROOK_EVENT_MESSAGE_APPEND },
      on_append, &appended);
  fixture_settle (f);
  g_assert_cmpint (try_rename (f, f->alice, "user/alice/old", "user/alice/nm", NULL), ==, -1);
  rook_memory_disk_hold (fixture_disk (f, "default"), FALSE);
  answer_wait (&appended);
  g_assert_no_error (appended.error);
  assert_risen (f, &buried);
  rook_mailbox_unref (mailbox);
  fixture_restart (f);
  assert_risen (f, &buried);
  g_assert_cmpuint (status_of (f, "user/alice/nm").messages, ==, 1);
}

/* A name may have been left by a rename too, longer ago than histories go back. */
static void
test_uidvalidity_rises_onto_left (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  g_autofree char *name = g_strdup ("user/alice/left");
  guint32 left;

  must_create (f, f->alice, "user/alice/old");
  must_create (f, f->alice, "user/alice/older");
  must_create (f, f->alice, name);
  left = uidvalidity_of (f, name);
  for (guint i = 0; i <= ROOK_ENTRY_MAX_HISTORY; i++)
    {
      char *next = g_strdup_printf ("user/alice/left-%u", i);

      g_assert_cmpint (try_rename (f, f->alice, name, next, NULL), ==, -1);
      g_assert_cmpuint (uidvalidity_of (f, next), ==, left);
      g_free (name);
      name = next;
    }
  g_assert_cmpint (try_rename (f, f->alice, "user/alice/old", "user/alice/left-3", NULL), ==, -1);
  g_assert_cmpuint (uidvalidity_of (f, "user/alice/left-3"), >, left);
  fixture_restart (f);
  g_assert_cmpint (try_rename (f, f->alice, "user/alice/older", "user/alice/left", NULL), ==, -1);
  g_assert_cmpuint (uidvalidity_of (f, "user/alice/left"), >, left);
}

static void
test_rename_inbox (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  RookMailbox *mailbox = must_open (f, f->alice, "user/alice");
  guint32 before = status_of (f, "user/alice").uidvalidity;

  must_append (f, mailbox, f->alice, MESSAGE);
  rook_mailbox_unref (mailbox);
  must_create (f, f->alice, "user/alice/x");
  g_assert_cmpint (try_rename (f, f->alice, "user/alice", "user/alice/old", NULL), ==, -1);
  assert_list (f, f->alice, "user/alice+ user/alice/old user/alice/x");
  g_assert_cmpuint (status_of (f, "user/alice").messages, ==, 0);
  g_assert_cmpuint (status_of (f, "user/alice/old").messages, ==, 1);
  g_assert_cmpuint (status_of (f, "user/alice").uidvalidity, >, before);
}

static void
test_rename_user (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  g_autoptr (RookIdentity) carol = rook_identity_new ("carol", "carol", NULL, FALSE);
  g_autofree char *rights = NULL;

  must_create (f, f->alice, "user/alice/x");
  g_assert_cmpint (try_rename (f, f->alice, "user/alice", "user/carol", NULL), ==, ROOK_MAIL_ERROR_NOT_ALLOWED);
  g_assert_cmpint (try_rename (f, f->admin, "user/alice", "user/carol", NULL), ==, -1);
  assert_list (f, carol, "user/carol+ user/carol/x");
  rights = rook_mail_get_rights (f->mail, carol, "user/carol/x");
  g_assert_cmpstr (rights, ==, "lrswipkxtecdan");
  assert_list (f, f->alice, "");
}

/* --- lists and subscriptions ---------------------------------------------------------------------------------------- */

static void
subscribe (Fixture *f, RookIdentity *identity, const char *name, gboolean subscribed)
{
  g_auto (Answer) answer = { .f = f };

  rook_mail_subscribe (f->mail, identity, name, subscribed, on_mail, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
}

static void
test_subscribe (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  g_autofree char *first = NULL, *second = NULL, *third = NULL;

  subscribe (f, f->alice, "user/alice", TRUE);
  subscribe (f, f->alice, "news/gone", TRUE);
  subscribe (f, f->alice, "news/other", TRUE);
  subscribe (f, f->alice, "news/other", FALSE);
  first = list (f, f->alice, NULL, TRUE);
  g_assert_cmpstr (first, ==, "user/alice news/gone!");
  second = list (f, f->bob, NULL, TRUE);
  g_assert_cmpstr (second, ==, "");
  fixture_restart (f);
  third = list (f, f->alice, NULL, TRUE);
  g_assert_cmpstr (third, ==, "user/alice news/gone!");
}

static void
test_list_goes_on (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  g_autoptr (GString) all = g_string_new (NULL);
  RookListQuery query = { .struct_size = sizeof query, .limit = 7 };
  gboolean more = TRUE;
  guint calls = 0;

  for (guint i = 0; i < 40; i++)
    {
      g_autofree char *name = g_strdup_printf ("user/alice/f%02u", i), *shared = g_strdup_printf ("s%02u", i);

      must_create (f, f->alice, name);
      must_create (f, f->admin, shared);
    }
  while (more)
    {
      g_autoptr (GString) piece = g_string_new (NULL);
      g_auto (GStrv) names = NULL;

      more = rook_mail_list (f->mail, f->alice, &query, add_name, piece);
      names = g_strsplit (g_strchomp (piece->str), " ", -1);
      g_assert_cmpuint (g_strv_length (names), <=, 7);
      g_string_append_printf (all, "%s ", piece->str);
      g_free ((char *) query.after);
      query.after = g_strdup (names[g_strv_length (names) - 1]);
      if (g_str_has_suffix (query.after, "+"))
        ((char *) query.after)[strlen (query.after) - 1] = '\0';
      calls++;
    }
  g_free ((char *) query.after);
  {
    g_autofree char *whole = list (f, f->alice, NULL, FALSE);

    g_strchomp (all->str);
    g_assert_cmpstr (all->str, ==, whole);
  }
  g_assert_cmpuint (calls, ==, 12);
}

static void
test_list_prefix_and_rights (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  g_auto (Answer) answer = { .f = f };
  g_autofree char *names = NULL;

  must_create (f, f->alice, "user/alice/x");
  must_create (f, f->alice, "user/alice/y");
  names = list (f, f->alice, "user/alice/x", FALSE);
  g_assert_cmpstr (names, ==, "user/alice/x");
  rook_mail_set_acl (f->mail, f->alice, "user/alice/y", "bob", "l", on_mail, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  assert_list (f, f->bob, "user/bob user/alice/y");
}

static void
test_acl_calls (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  g_auto (Answer) foreign = { .f = f }, bad = { .f = f }, good = { .f = f };
  g_autofree char *acl = NULL;
  g_autoptr (GError) error = NULL;

  rook_mail_set_acl (f->mail, f->bob, "user/alice", "bob", "lrs", on_mail, &foreign);
  answer_wait (&foreign);
  g_assert_cmpint (code_of (&foreign), ==, ROOK_MAIL_ERROR_NOT_FOUND);
  rook_mail_set_acl (f->mail, f->alice, "user/alice", "bob", "lq", on_mail, &bad);
  answer_wait (&bad);
  g_assert_cmpint (code_of (&bad), ==, ROOK_MAIL_ERROR_NOT_ALLOWED);
  rook_mail_set_acl (f->mail, f->alice, "user/alice", "bob", "lr", on_mail, &good);
  answer_wait (&good);
  fixture_restart (f);
  acl = rook_mail_get_acl (f->mail, f->alice, "user/alice", NULL);
  g_assert_cmpstr (acl, ==, "alice\tlrswipkxtecdan\tbob\tlr\t");
  g_assert_null (rook_mail_get_acl (f->mail, f->bob, "user/alice", &error));
  g_assert_error (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NO_PERMISSION);
}

/* --- users ------------------------------------------------------------------------------------------------------------ */

static int
ensure (Fixture *f, const char *user, RookEnsure occasion)
{
  g_auto (Answer) answer = { .f = f };

  rook_mail_ensure_user (f->mail, user, occasion, on_mail, &answer);
  g_assert_false (answer.done);
  answer_wait (&answer);
  return code_of (&answer);
}

static void
test_ensure_user (void)
{
  g_autoptr (Fixture) f = fixture_new ("[mailbox]\nautocreate=login\nautocreate-folders=Sent;a/b\n");
  g_autoptr (RookIdentity) dora = rook_identity_new ("dora", "dora", NULL, FALSE);
  g_autofree char *subscribed = NULL;

  g_assert_cmpint (ensure (f, "dora", ROOK_ENSURE_DELIVERY), ==, ROOK_MAIL_ERROR_NOT_FOUND);
  g_assert_false (rook_mail_user_may_exist (f->mail, "dora", ROOK_ENSURE_DELIVERY));
  g_assert_true (rook_mail_user_may_exist (f->mail, "dora", ROOK_ENSURE_LOGIN));
  g_assert_true (rook_mail_user_may_exist (f->mail, "alice", ROOK_ENSURE_DELIVERY));
  g_assert_false (rook_mail_user_may_exist (f->mail, "a/b", ROOK_ENSURE_LOGIN));
  g_assert_cmpint (ensure (f, "dora", ROOK_ENSURE_LOGIN), ==, -1);
  g_assert_cmpint (ensure (f, "dora", ROOK_ENSURE_LOGIN), ==, -1);
  assert_list (f, dora, "user/dora+ user/dora/Sent user/dora/a+ user/dora/a/b");
  subscribed = list (f, dora, NULL, TRUE);
  g_assert_cmpstr (subscribed, ==, "user/dora+ user/dora/Sent user/dora/a+ user/dora/a/b");
}

static void
test_ensure_never (void)
{
  g_autoptr (Fixture) f = fixture_new ("[mailbox]\nautocreate=never\n");

  g_assert_cmpint (ensure (f, "dora", ROOK_ENSURE_LOGIN), ==, ROOK_MAIL_ERROR_NOT_FOUND);
  g_assert_cmpint (ensure (f, "alice", ROOK_ENSURE_LOGIN), ==, -1);
}

/* --- configuration ------------------------------------------------------------------------------------------------------ */

static guint
count_mistakes (const char *text)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = rook_config_read_data ("test", text, strlen (text), &mistakes);

  rook_services_declare (config);
  rook_config_validate (config, mistakes);
  if (mistakes->len == 0)
    rook_mail_check (config, mistakes);
  return mistakes->len;
}

static void
test_check_partitions (void)
{
  g_assert_cmpuint (count_mistakes ("[partition default]\npath=/a/b\n[partition x]\npath=/a/c\n"), ==, 0);
  g_assert_cmpuint (count_mistakes ("[partition default]\npath=/a/b\n[partition x]\npath=/a/b\n"), ==, 1);
  g_assert_cmpuint (count_mistakes ("[partition default]\npath=/a/b\n[partition x]\npath=/a/./b/c\n"), ==, 1);
  g_assert_cmpuint (count_mistakes ("[partition default]\npath=/a/b\n[partition x]\npath=/a/bc\n"), ==, 0);
  g_assert_cmpuint (count_mistakes ("[partition default]\npath=a/b\n"), ==, 1);
  g_assert_cmpuint (count_mistakes ("[partition default]\npath=/a/../b\n"), ==, 1);
  g_assert_cmpuint (count_mistakes ("[partition other]\npath=/a\n"), ==, 1);
  g_assert_cmpuint (count_mistakes ("[mailbox]\ndefault-acl=anyone zzz\n[partition default]\npath=/a\n"), ==, 1);
  g_assert_cmpuint (count_mistakes ("[mailbox]\nseparator=x\n[partition default]\npath=/a\n"), ==, 1);
  g_assert_cmpuint (count_mistakes ("[partition default]\n"), ==, 1);
}

/* Who creates and deletes for ever: what is kept of names for their uidvalidities is bounded, and none may fall all the same. */
static void
test_past_names_are_bounded (void)
{
  RookNames *names = rook_names_new ();

  for (guint i = 1; i <= ROOK_NAMES_MAX_PAST + 10; i++)
    {
      g_autoptr (RookEntry) entry = rook_entry_new (NULL);

      entry->id = g_strdup_printf ("id%u", i);
      entry->name = g_strdup_printf ("user/alice/%u", i);
      entry->partition = g_strdup ("default");
      entry->acl = g_strdup ("");
      entry->uidvalidity = i;
      entry->deleted = TRUE;
      rook_entry_derive (entry);
      rook_names_add (names, entry);
    }
  g_assert_cmpuint (g_hash_table_size (names->past), ==, ROOK_NAMES_MAX_PAST);
  g_assert_cmpuint (names->past_unknown, ==, ROOK_NAMES_MAX_PAST + 10);
  g_assert_cmpuint (GPOINTER_TO_UINT (g_hash_table_lookup (names->past, "user/alice/7")), ==, 7);
  rook_names_free (names);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func ("/mailbox/" path, func)
  ADD ("name/valid", test_valid_names);
  ADD ("name/owner", test_owner);
  ADD ("namespace/forms", test_namespace_forms);
  ADD ("namespace/bijection", test_namespace_bijection);
  ADD ("namespace/other-forms", test_namespace_other_forms);
  ADD ("namespace/prefixes", test_namespace_prefixes);
  ADD ("acl/rights", test_rights);
  ADD ("acl/change", test_acl_change);
  ADD ("acl/calls", test_acl_calls);
  ADD ("create/rights-and-parents", test_create);
  ADD ("create/options", test_create_options);
  ADD ("create/at-once", test_create_at_once);
  ADD ("create/uidvalidity-grows", test_uidvalidity_grows);
  ADD ("uidvalidity/past-names-are-bounded", test_past_names_are_bounded);
  ADD ("delete/rights-and-inbox", test_delete);
  ADD ("delete/stop-while-clearing", test_stop_while_clearing);
  ADD ("rename/tree", test_rename);
  ADD ("rename/inbox", test_rename_inbox);
  ADD ("rename/user", test_rename_user);
  ADD ("rename/keeps-owner", test_rename_keeps_owner);
  ADD ("rename/asks-children", test_rename_asks_children);
  ADD ("uidvalidity/rises-onto-buried", test_uidvalidity_rises_onto_buried);
  ADD ("uidvalidity/rises-under-way", test_uidvalidity_rises_under_way);
  ADD ("uidvalidity/rises-onto-left", test_uidvalidity_rises_onto_left);
  ADD ("subscribe/list", test_subscribe);
  ADD ("list/goes-on", test_list_goes_on);
  ADD ("list/prefix-and-rights", test_list_prefix_and_rights);
  ADD ("user/ensure", test_ensure_user);
  ADD ("user/never", test_ensure_never);
  ADD ("config/partitions", test_check_partitions);
  return g_test_run ();
}
