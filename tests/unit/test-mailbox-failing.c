/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mailbox service on stores whose n-th call fails, for every n and every failure that the contract knows. What a script
 * leaves behind after each of its parts is written down first, in a run where nothing fails. Then, wherever the failure
 * falls: each call is answered once, one that fails with something a client may try again; what is there then, and after
 * the stores have been opened anew, is what was there before the part that failed, and what an unknown outcome made of
 * it may be there whole; the script goes on, and ends where it always ends.
 */
#include "mail-script.h"

#include "../lib/test-budget.h"

/* --- failing ------------------------------------------------------------------------------------------------------------ */

typedef struct {
  const char *disk;
  RookStoreError code;
  gboolean applied;
  guint turn; /* among the failures: see stride () */
  guint nth;
  GPtrArray *states;
} Fault;

/* What a client may be told of it: never that a mailbox, or a message, is not there. */
static void
assert_told (const Fault *fault, int code)
{
  gboolean damage = fault->code == ROOK_STORE_ERROR_CORRUPT || fault->code == ROOK_STORE_ERROR_NOT_FOUND;

  if (code != ROOK_MAIL_ERROR_FULL || fault->code != ROOK_STORE_ERROR_FULL)
    g_assert_cmpint (code, ==, damage ? ROOK_MAIL_ERROR_CORRUPT : ROOK_MAIL_ERROR_TEMPORARY);
}

/* A session that was there before is told the same, whatever it asks. */
static void
ask_through_session (Run *r, const Fault *fault)
{
  const Step flag = { .kind = FLAG, .uids = { 1 } };
  Answer *load = run_ask (r);

  if (r->view == NULL || rook_store_get_state (rook_view_get_mailbox (r->view)->place->store) == ROOK_STORE_OPEN)
    return;
  assert_told (fault, run_wait (run_append (r, rook_view_get_mailbox (r->view), 100, NULL)));
  if (rook_view_get_count (r->view) == 0)
    return;
  assert_told (fault, run_store_flags (r, r->view, &flag, ROOK_FLAG_ANSWERED));
  rook_view_load (r->view, 1, 1, on_mail, load);
  if (run_wait (load) != -1)
    assert_told (fault, code_of (load));
  if (run_fetch (r, r->view) != -1)
    assert_told (fault, run_fetch (r, r->view));
}

/* The state that is there, which is one of @first to @last. */
static guint
find_state (Run *r, const Fault *fault, guint first, guint last)
{
  g_autofree char *text = script_describe (r);

  for (guint i = first; i <= last; i++)
    if (g_str_equal (text, g_ptr_array_index (fault->states, i)))
      return i;
  g_error ("%s, call %u, code %d%s: neither state %u nor any up to %u, but\n%sfirst is\n%s", fault->disk, fault->nth,
           (int) fault->code, fault->applied ? ", applied" : "", first, last, text,
           (const char *) g_ptr_array_index (fault->states, first));
}

/* Part @state was begun, and it failed. Returns: the state that is there now, from which it can go on. */
static guint
make_up_for (Run *r, const Fault *fault, const Step *step, int code, guint state, guint done)
{
  gboolean unknown = fault->code == ROOK_STORE_ERROR_UNKNOWN;
  guint part = 0, last;

  script_locate (state, &part);
  g_assert_false (rook_memory_disk_will_fail (fixture_disk (r->f, fault->disk)));
  assert_told (fault, code);
  last = state + done + (step->kind == MOVE && part == 0) + (unknown && fault->applied);
  if (unknown)
    {
      ask_through_session (r, fault);
      run_restart (r);
    }
  else
    fixture_await_store (r->f, fault->disk);
  return find_state (r, fault, state + done, MIN (last, state + script_parts_of (step) - part));
}

/* Returns: whether there was an n-th call. */
static gboolean
play (const Fault *fault)
{
  Run *r = run_new ();
  RookMemoryDisk *disk = fixture_disk (r->f, fault->disk);
  guint state = 0, end = fault->states->len - 1, failures = 0;
  gboolean failed;

  rook_memory_disk_fail (disk, fault->nth, fault->code, fault->applied);
  while (state < end)
    {
      guint part = 0, done = 0;
      const Step *step = script_locate (state, &part);
      int code = script_perform (r, step, part, script_parts_of (step), &done);

      if (code == -1)
        state += script_parts_of (step) - part;
      else
        {
          g_assert_cmpuint (++failures, ==, 1);
          state = make_up_for (r, fault, step, code, state, done);
        }
    }
  fixture_settle (r->f);
  failed = !rook_memory_disk_will_fail (disk);
  rook_memory_disk_fail (disk, 0, fault->code, FALSE);
  run_restart (r);
  find_state (r, fault, end, end);
  run_free (r);
  return failed;
}

static const char *const disks[] = { "mailboxes", "default", "other" };

/* Every call fails in each way it can; under a sanitizer, which takes minutes for that, every third: the ways take turns. */
static guint
stride (void)
{
#ifdef ROOK_SANITIZED
  return test_budget_is_long () ? 1 : 3;
#else
  return 1;
#endif
}

static void
test_nth_call (gconstpointer data)
{
  Fault fault = *(const Fault *) data;
  guint n = 0;

  fault.states = script_write_down ();
  for (guint i = 0; i < G_N_ELEMENTS (disks); i++)
    {
      fault.disk = disks[i];
      fault.nth = 1 + fault.turn % stride ();
      for (; play (&fault); n++)
        fault.nth += stride ();
    }
  g_test_message ("%u calls failed, each once", n);
  g_assert_cmpuint (n, >, 0);
  g_ptr_array_unref (fault.states);
}

/* --- opening ------------------------------------------------------------------------------------------------------------ */

/* How many of the mailboxes named in SCRIPT_END can't be opened; and then it is said that they are not to be had now. */
static guint
count_unavailable (Run *r)
{
  g_autoptr (GPtrArray) names = run_list (r);
  guint n = 0;

  for (guint i = 0; i < names->len; i++)
    {
      RookView *view = NULL;

      if (run_open_view (r, NULL, g_ptr_array_index (names, i), &view) != -1)
        {
          g_assert_cmpint (code_of (g_ptr_array_index (r->answers, r->answers->len - 1)), ==,
                           ROOK_MAIL_ERROR_UNAVAILABLE);
          n++;
        }
      g_clear_pointer (&view, rook_view_free);
    }
  return n;
}

/* No failure is passed over: the server does not start, or goes without the partition. */
static gboolean
open_once (Run *r, const Fault *fault)
{
  RookMemoryDisk *disk = fixture_disk (r->f, fault->disk);
  g_autoptr (GError) error = NULL;
  RookView *view = NULL;
  gboolean opened, failed;

  g_clear_pointer (&r->view, rook_view_free);
  fixture_await_clearing (r->f);
  fixture_restart_without_stores (r->f); /* that an end can't note how far it came holds up nobody */
  rook_memory_disk_fail (disk, fault->nth, fault->code, fault->applied);
  opened = rook_mail_open_stores (r->f->mail, &error);
  failed = !rook_memory_disk_will_fail (disk);
  rook_memory_disk_fail (disk, 0, fault->code, FALSE);
  g_assert_true (opened == (error == NULL));
  if (!opened)
    g_assert_cmpint (run_open_view (r, NULL, INBOX, &view), ==, ROOK_MAIL_ERROR_UNAVAILABLE);
  else if (count_unavailable (r) == 0 && failed)
    g_assert_cmpstr (fault->disk, !=, "mailboxes");
  return failed;
}

static void
test_nth_call_of_opening (gconstpointer data)
{
  Fault fault = *(const Fault *) data;
  Run *r = run_new ();
  guint part = 0, done = 0, end = 0;

  for (const Step *step; (step = script_locate (end, &part)) != NULL; end++)
    g_assert_cmpint (script_perform (r, step, part, part + 1, &done), ==, -1);
  fault.states = g_ptr_array_new ();
  g_ptr_array_add (fault.states, (gpointer) SCRIPT_END);
  for (guint i = 0; i < G_N_ELEMENTS (disks); i++)
    {
      fault.disk = disks[i];
      fault.nth = 1;
      for (; open_once (r, &fault); fault.nth++)
        {
          run_restart (r);
          find_state (r, &fault, 0, 0);
        }
      g_assert_cmpuint (fault.nth, >, 1);
    }
  g_ptr_array_unref (fault.states);
  run_free (r);
}

/* The first start of all, which makes the stores: the next one finds what it can go on with. */
static void
test_nth_call_of_first_opening (gconstpointer data)
{
  const Fault *fault = data;

  for (guint i = 0; i < G_N_ELEMENTS (disks); i++)
    {
      gboolean failed = TRUE;

      for (guint nth = 1; failed; nth++)
        {
          g_autoptr (Fixture) f = fixture_new_without_stores (NULL);
          RookMemoryDisk *disk = fixture_disk (f, disks[i]);

          rook_memory_disk_fail (disk, nth, fault->code, fault->applied);
          rook_mail_open_stores (f->mail, NULL);
          failed = !rook_memory_disk_will_fail (disk);
          rook_memory_disk_fail (disk, 0, fault->code, FALSE);
          fixture_restart (f);
          must_create (f, NULL, INBOX);
          rook_mailbox_unref (must_open (f, f->alice, INBOX));
        }
    }
}

/* --- a deletion of which nobody knows whether it was done --------------------------------------------------------------- */

/* Nothing is taken into the mailbox and acknowledged that may go with it. */
static void
test_doubtful_deletion (void)
{
  for (guint applied = 0; applied < 2; applied++)
    {
      Run *r = run_new ();
      const Step create = { .kind = CREATE, .name = INBOX "/a" }, delete = { .kind = DELETE, .name = INBOX "/a" };
      RookView *view = NULL, *again = NULL;

      g_assert_cmpint (run_change_names (r, &create), ==, -1);
      g_assert_cmpint (run_open_view (r, r->f->alice, INBOX "/a", &view), ==, -1);
      rook_memory_disk_fail (fixture_disk (r->f, "mailboxes"), 1, ROOK_STORE_ERROR_UNKNOWN, applied);
      g_assert_cmpint (run_change_names (r, &delete), ==, ROOK_MAIL_ERROR_TEMPORARY);
      g_assert_cmpint (run_wait (run_append (r, rook_view_get_mailbox (view), 100, NULL)), ==,
                       ROOK_MAIL_ERROR_TEMPORARY);
      g_assert_true (rook_view_is_gone (view));
      g_assert_cmpint (run_open_view (r, r->f->alice, INBOX "/a", &again), ==, ROOK_MAIL_ERROR_TEMPORARY);
      g_assert_cmpint (run_take_session (r), ==, -1);
      g_assert_cmpint (run_wait (run_append (r, rook_view_get_mailbox (r->view), 100, NULL)), ==, -1);
      rook_view_free (view);
      run_restart (r);
      g_assert_true (rook_mail_exists (r->f->mail, INBOX "/a") == !applied);
      run_free (r);
    }
}

static const Fault faults[] = {
  { .turn = 0, .code = ROOK_STORE_ERROR_IO },      { .turn = 1, .code = ROOK_STORE_ERROR_FULL },
  { .turn = 2, .code = ROOK_STORE_ERROR_CORRUPT }, { .turn = 3, .code = ROOK_STORE_ERROR_NOT_FOUND },
  { .turn = 4, .code = ROOK_STORE_ERROR_UNKNOWN }, { .turn = 5, .code = ROOK_STORE_ERROR_UNKNOWN, .applied = TRUE },
};

int
main (int argc, char **argv)
{
  static const char *const paths[] = { "io", "full", "corrupt", "not-found", "unknown", "unknown-but-done" };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    {
      g_autofree char *path = g_strconcat ("/mailbox/failing/nth-call/", paths[i], NULL);

      g_test_add_data_func (path, &faults[i], test_nth_call);
    }
  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    {
      g_autofree char *path = g_strconcat ("/mailbox/failing/first-opening/", paths[i], NULL);

      g_test_add_data_func (path, &faults[i], test_nth_call_of_first_opening);
    }
  g_test_add_func ("/mailbox/failing/doubtful-deletion", test_doubtful_deletion);
  g_test_add_data_func ("/mailbox/failing/opening/io", &faults[0], test_nth_call_of_opening);
  g_test_add_data_func ("/mailbox/failing/opening/corrupt", &faults[2], test_nth_call_of_opening);
  return g_test_run ();
}
