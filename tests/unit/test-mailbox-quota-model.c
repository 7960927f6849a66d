/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * That usage never drifts: whatever is done to mailboxes, by one or by many at once, and whatever of it fails, what each quota root
 * has in memory is what its mailboxes add up to; and no limit is passed by who is held to it. Anew for ROOKERY_TEST_SECONDS.
 */
#include "quota-fixture.h"

#include "../lib/test-budget.h"

#define N_STEPS 150

static const char *const names[] = { "user/alice",     "user/alice/a",   "user/alice/a/x", "user/alice/a/y",
                                     "user/alice/b",   "user/bob",       "user/bob/a",     "user/bob/a/x",
                                     "user/bob/b/c/d", "user/alice/a/z", "shared",         "shared/a" };

static const char *
any_name (GRand *rand)
{
  return names[g_rand_int_range (rand, 0, G_N_ELEMENTS (names))];
}

/* --- from scratch ------------------------------------------------------------------------------------------------------- */

typedef struct {
  char *name;
  guint64 size, messages, mailboxes;
} Root;

static void
add_root (const char *name, const gint64 *limits G_GNUC_UNUSED, gpointer data)
{
  Root root = { g_strdup (name), 0, 0, 0 };

  g_array_append_val (data, root);
}

static void
add_mailbox (const RookMailboxInfo *info, gpointer data)
{
  g_ptr_array_add (data, g_strdup (info->name));
}

static void
clear_root (gpointer data)
{
  g_free (((Root *) data)->name);
}

/* Adds the mailbox to the root with the longest name that is above it. */
static void
add_to_root (Fixture *f, GArray *roots, const char *name)
{
  RookMailboxStatus status = status_of (f, name);
  Root *nearest = NULL;

  for (guint i = 0; i < roots->len; i++)
    {
      Root *root = &g_array_index (roots, Root, i);

      if ((g_str_equal (name, root->name) || rook_name_is_below (name, root->name))
          && (nearest == NULL || strlen (root->name) > strlen (nearest->name)))
        nearest = root;
    }
  if (nearest == NULL)
    return;
  nearest->size += status.size;
  nearest->messages += status.messages;
  nearest->mailboxes++;
}

/* Usage without limits. */
static char *
usage_text (Fixture *f, const char *root)
{
  g_autofree char *text = quota_text (f, NULL, root);
  g_auto (GStrv) words = g_strsplit (text, " ", -1);

  g_assert_cmpuint (g_strv_length (words), ==, ROOK_QUOTA_N_RESOURCES);
  for (guint i = 0; i < ROOK_QUOTA_N_RESOURCES; i++)
    *strchr (words[i], '/') = '\0';
  return g_strdup_printf ("%s bytes, %s messages, %s mailboxes", words[0], words[1], words[2]);
}

static void
assert_nothing_claimed (Fixture *f, const char *name)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&f->mail->quotas->lock);
  const RookQuotaRoot *root = g_hash_table_lookup (f->mail->quotas->roots, name);

  for (guint i = 0; i < ROOK_QUOTA_N_RESOURCES; i++)
    g_assert_cmpuint (root->claimed[i], ==, 0);
}

/* Each root has what its mailboxes add up to, and nothing is taken for what is not on its way. */
static void
compare (Fixture *f)
{
  g_autoptr (GArray) roots = g_array_new (FALSE, FALSE, sizeof (Root));
  g_autoptr (GPtrArray) mailboxes = g_ptr_array_new_with_free_func (g_free);

  g_array_set_clear_func (roots, clear_root);
  rook_mail_list_quota_roots (f->mail, NULL, NULL, 0, add_root, roots);
  rook_mail_list (f->mail, NULL, NULL, add_mailbox, mailboxes);
  for (guint i = 0; i < mailboxes->len; i++)
    add_to_root (f, roots, g_ptr_array_index (mailboxes, i));
  for (guint i = 0; i < roots->len; i++)
    {
      const Root *root = &g_array_index (roots, Root, i);
      g_autofree char *usage = usage_text (f, root->name);
      g_autofree char *wrong = NULL;
      g_autofree char *sum = g_strdup_printf ("%" G_GUINT64_FORMAT " bytes, %" G_GUINT64_FORMAT
                                              " messages, %" G_GUINT64_FORMAT " mailboxes",
                                              root->size, root->messages, root->mailboxes);

      g_assert_cmpstr (usage, ==, sum);
      wrong = rook_quota_check_root (f->mail, root->name);
      g_assert_cmpstr (wrong, ==, NULL);
      assert_nothing_claimed (f, root->name);
    }
}

/* --- one after the other, with failures ---------------------------------------------------------------------------------- */

static void
set_or_remove (Fixture *f, GRand *rand)
{
  const char *name = any_name (rand);

  if (g_rand_int_range (rand, 0, 3) == 0)
    try_remove_quota (f, name);
  else
    try_set_quota (f, NULL, name, g_rand_int_range (rand, -1, 20000), g_rand_int_range (rand, -1, 40),
                   g_rand_int_range (rand, -1, 20));
}

static void
take_step (Fixture *f, GRand *rand)
{
  const char *name = any_name (rand), *other = any_name (rand);
  guint n = (guint) g_rand_int_range (rand, 1, 5);
  RookIdentity *identity = g_rand_boolean (rand) ? f->alice : NULL;

  switch (g_rand_int_range (rand, 0, 10))
    {
    case 0:
      try_create (f, identity, name);
      break;
    case 1:
      try_delete (f, identity, name);
      break;
    case 2:
      try_rename (f, identity, name, other, NULL);
      break;
    case 3:
      try_copy (f, name, n, other, FALSE);
      break;
    case 4:
      try_copy (f, name, n, other, TRUE);
      break;
    case 5:
      try_expunge (f, name, n);
      break;
    case 6:
      set_or_remove (f, rand);
      break;
    default:
      try_append_as (f, name, (gsize) g_rand_int_range (rand, 100, 3000), g_rand_int_range (rand, 0, 5) == 0,
                     g_rand_boolean (rand));
      break;
    }
}

static void
fail_somewhere (Fixture *f, GRand *rand)
{
  static const RookStoreError codes[] = { ROOK_STORE_ERROR_IO, ROOK_STORE_ERROR_FULL, ROOK_STORE_ERROR_CORRUPT };
  const char *disk = g_rand_boolean (rand) ? "default" : "mailboxes";

  rook_memory_disk_fail (fixture_disk (f, disk), (guint) g_rand_int_range (rand, 1, 8),
                         codes[g_rand_int_range (rand, 0, G_N_ELEMENTS (codes))], FALSE);
}

static void
end_failures (Fixture *f)
{
  rook_memory_disk_fail (fixture_disk (f, "default"), 0, ROOK_STORE_ERROR_IO, FALSE);
  rook_memory_disk_fail (fixture_disk (f, "mailboxes"), 0, ROOK_STORE_ERROR_IO, FALSE);
  fixture_await_store (f, "default");
  fixture_await_store (f, "mailboxes");
}

static void
one_after_the_other (const char *config)
{
  g_autoptr (Fixture) f = fixture_new (config);
  GRand *rand = g_rand_new_with_seed ((guint32) g_test_rand_int ());

  must_set_acl (f, "user/bob", "alice", "lrswipkxtea");
  for (guint i = 0; i < N_STEPS; i++)
    {
      gboolean fails = g_rand_int_range (rand, 0, 6) == 0;

      if (fails)
        fail_somewhere (f, rand);
      take_step (f, rand);
      if (fails)
        end_failures (f);
      if (g_rand_int_range (rand, 0, 40) == 0)
        fixture_restart (f);
      if (!rook_mail_exists (f->mail, "user/alice"))
        try_create (f, NULL, "user/alice");
      compare (f);
    }
  g_rand_free (rand);
}

static void
test_one_after_the_other (gconstpointer config)
{
  gint64 end = test_budget_end (0.3);

  do
    one_after_the_other (config);
  while (g_get_monotonic_time () < end);
}

/* --- many at once --------------------------------------------------------------------------------------------------------- */

#define N_ACTORS 6

typedef struct Actor Actor;

typedef struct {
  Fixture *f;
  gboolean strict; /* nothing is moved, renamed or let by: no limit is ever passed */
  gint running;    /* atomic */
} Stage;

struct Actor {
  Stage *stage;
  RookWorker *worker;
  GRand *rand;
  guint left;
  RookMailbox *mailbox;
  RookView *view;
  GArray *uids;
};

static void next_step (Actor *actor);

/* What may be answered where many do what they like. */
static void
check_answer (const GError *error)
{
  static const RookMailError may_be[] = { ROOK_MAIL_ERROR_QUOTA,       ROOK_MAIL_ERROR_NOT_FOUND,
                                          ROOK_MAIL_ERROR_EXISTS,      ROOK_MAIL_ERROR_NO_PERMISSION,
                                          ROOK_MAIL_ERROR_NOT_ALLOWED, ROOK_MAIL_ERROR_EXPUNGED };

  for (guint i = 0; error != NULL && i < G_N_ELEMENTS (may_be); i++)
    if (g_error_matches (error, ROOK_MAIL_ERROR, (gint) may_be[i]))
      return;
  g_assert_no_error (error);
}

static void
step_done (Actor *actor, const GError *error)
{
  check_answer (error);
  g_clear_pointer (&actor->view, rook_view_free);
  g_clear_pointer (&actor->mailbox, rook_mailbox_unref);
  next_step (actor);
}

static void
mail_done (const GError *error, gpointer data)
{
  step_done (data, error);
}

static void
append_done (guint32 uidvalidity G_GNUC_UNUSED, guint32 uid G_GNUC_UNUSED, const GError *error, gpointer data)
{
  step_done (data, error);
}

static void
copy_done (guint32 uidvalidity G_GNUC_UNUSED, GArray *from G_GNUC_UNUSED, GArray *to G_GNUC_UNUSED, const GError *error,
           gpointer data)
{
  step_done (data, error);
}

static void
quota_told (const RookQuota *quota, const GError *error, gpointer data)
{
  Actor *actor = data;

  for (guint i = 0; quota != NULL && actor->stage->strict && i < ROOK_QUOTA_N_RESOURCES; i++)
    if (quota->limits[i] >= 0)
      g_assert_cmpuint (quota->usage[i], <=, (guint64) quota->limits[i]);
  step_done (actor, error);
}

static void
append_to (Actor *actor)
{
  g_autoptr (GBytes) message = message_of_size ((gsize) g_rand_int_range (actor->rand, 100, 2000));

  rook_mailbox_append (actor->mailbox, NULL,
                       &(RookAppend){ .struct_size = sizeof (RookAppend),
                                      .message = message,
                                      .ignore_quota = !actor->stage->strict && g_rand_boolean (actor->rand),
                                      .event = ROOK_EVENT_MESSAGE_APPEND },
                       append_done, actor);
}

static void
pick_uids (Actor *actor)
{
  guint count = rook_view_get_count (actor->view), n = (guint) g_rand_int_range (actor->rand, 1, 6);

  g_array_set_size (actor->uids, 0);
  for (guint seq = count > n ? count - n + 1 : 1; seq <= count; seq++)
    {
      guint32 uid = rook_view_get_uid (actor->view, seq);

      g_array_append_val (actor->uids, uid);
    }
}

static void
opened (RookMailbox *mailbox, const GError *error, gpointer data)
{
  Actor *actor = data;
  guint32 *uids;

  actor->mailbox = mailbox;
  if (mailbox != NULL && g_rand_int_range (actor->rand, 0, 3) > 0)
    {
      append_to (actor);
      return;
    }
  actor->view = mailbox != NULL ? rook_view_new (mailbox, NULL, FALSE, NULL, NULL, NULL) : NULL;
  if (actor->view == NULL)
    {
      step_done (actor, error);
      return;
    }
  pick_uids (actor);
  uids = (guint32 *) (gpointer) actor->uids->data;
  if (g_rand_boolean (actor->rand))
    rook_mailbox_expunge (mailbox, NULL, uids, actor->uids->len, FALSE, ROOK_EVENT_MESSAGE_EXPUNGE, mail_done, actor);
  else
    rook_view_copy (actor->view, uids, actor->uids->len, any_name (actor->rand),
                    !actor->stage->strict && g_rand_boolean (actor->rand), copy_done, actor);
}

static void
change_names (Actor *actor)
{
  RookMail *mail = actor->stage->f->mail;
  const char *name = any_name (actor->rand);
  gint64 limits[ROOK_QUOTA_N_RESOURCES] = { g_rand_int_range (actor->rand, -1, 90000), -1, -1, -1 };

  switch (g_rand_int_range (actor->rand, 0, 4))
    {
    case 0:
      rook_mail_create (mail, NULL, name, NULL, mail_done, actor);
      break;
    case 1:
      rook_mail_delete (mail, NULL, name, mail_done, actor);
      break;
    case 2:
      rook_mail_rename (mail, g_rand_boolean (actor->rand) ? NULL : actor->stage->f->alice, name,
                        any_name (actor->rand), NULL, mail_done, actor);
      break;
    default:
      rook_mail_set_quota (mail, NULL, name, g_rand_boolean (actor->rand) ? limits : NULL, mail_done, actor);
      break;
    }
}

static void
actor_ends (Actor *actor)
{
  g_rand_free (actor->rand);
  g_array_unref (actor->uids);
  if (g_atomic_int_dec_and_test (&actor->stage->running))
    rook_loop_quit (rook_server_get_loop (actor->stage->f->server));
}

static void
next_step (Actor *actor)
{
  if (actor->left-- == 0)
    actor_ends (actor);
  else if (g_rand_int_range (actor->rand, 0, 5) == 0)
    rook_mail_get_mailbox_quota (actor->stage->f->mail, NULL, any_name (actor->rand), quota_told, actor);
  else if (!actor->stage->strict && g_rand_int_range (actor->rand, 0, 5) == 0)
    change_names (actor);
  else
    rook_mail_open (actor->stage->f->mail, NULL, any_name (actor->rand), opened, actor);
}

static void
actor_begins (gpointer data)
{
  next_step (data);
}

static void
run_stage (Stage *stage)
{
  RookLoop *loop = rook_server_get_loop (stage->f->server);
  Actor actors[N_ACTORS];

  stage->running = N_ACTORS;
  for (guint i = 0; i < N_ACTORS; i++)
    {
      actors[i] = (Actor){ .stage = stage,
                           .worker = rook_loop_get_worker (loop, i % rook_loop_get_n_workers (loop)),
                           .rand = g_rand_new_with_seed ((guint32) g_test_rand_int ()),
                           .left = N_STEPS,
                           .uids = g_array_new (FALSE, FALSE, sizeof (guint32)) };
      rook_worker_invoke (actors[i].worker, actor_begins, &actors[i], NULL);
    }
  while (g_atomic_int_get (&stage->running) > 0)
    rook_loop_run (loop);
}

static void
many_at_once (gboolean strict)
{
  Stage stage = { .f = fixture_new ("[mailbox]\nopen-cache=2\n"), .strict = strict };

  must_set_acl (stage.f, "user/bob", "alice", "lrswipkxtea");
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    try_create (stage.f, NULL, names[i]);
  must_set_quota (stage.f, "user/alice", 30000, 25, 50);
  must_set_quota (stage.f, "user/alice/a", 20000, -1, -1);
  must_set_quota (stage.f, "user/bob", 25000, 30, -1);
  must_set_quota (stage.f, "shared", -1, 20, -1);
  run_stage (&stage);
  fixture_settle (stage.f);
  compare (stage.f);
  fixture_free (stage.f);
}

static void
test_many_at_once (gconstpointer strict)
{
  gint64 end = test_budget_end (0.3);

  do
    many_at_once (GPOINTER_TO_INT (strict));
  while (g_get_monotonic_time () < end);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/mailbox/quota-model/one-after-the-other", NULL, test_one_after_the_other);
  /* No mailbox stays in memory, so that what is summed comes from the store. */
  g_test_add_data_func ("/mailbox/quota-model/nothing-stays-open", "[mailbox]\nopen-cache=0\npage-cache=0\n",
                        test_one_after_the_other);
  g_test_add_data_func ("/mailbox/quota-model/many-at-once", GINT_TO_POINTER (FALSE), test_many_at_once);
  g_test_add_data_func ("/mailbox/quota-model/no-limit-is-passed", GINT_TO_POINTER (TRUE), test_many_at_once);
  return g_test_run ();
}
