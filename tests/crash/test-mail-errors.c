/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The mailbox service on storage-gdbm where system calls fail (power.h), libgdbm's too: each kind of call in each way, once or until
 * somebody has been told, at an instant that is drawn from all there are in a script of everything that can be done (mail-script.h),
 * with checkpoints and compaction between its parts. Whoever is told of it is told to try again. Then nothing that was acknowledged
 * is lost, of what failed no half is there, reading goes on, the service takes the next call without a restart once the disk
 * works again, the script ends where it always ends, and all verifies clean, after a restart too.
 */
#include <errno.h>

#include "../lib/test-budget.h"
#include "mail-disk.h"
#include "power.h"
#include "store-model.h"

#ifndef ROOK_SANITIZED

#define BEGIN 2 /* where failures begin: there are INBOXes */

typedef struct {
  const char *path;
  PowerFault fault;
} Failing;

#define ALL_WRITES (POWER_WRITE | POWER_NAME)
#define ALL_SYNCS (POWER_SYNC | POWER_SYNC_DIR)

static const Failing kinds[] = {
  { "/crash/mail/full/once", { .calls = ALL_WRITES, .error = ENOSPC, .n = 1 } },
  { "/crash/mail/full/until-told", { .calls = ALL_WRITES, .error = ENOSPC, .n = G_MAXUINT } },
  { "/crash/mail/full/after-half-a-write", { .calls = POWER_WRITE, .error = ENOSPC, .n = 3, .is_short = TRUE } },
  { "/crash/mail/error/write", { .calls = ALL_WRITES, .error = EIO, .n = 1 } },
  { "/crash/mail/error/sync", { .calls = ALL_SYNCS, .error = EIO, .n = 1 } },
  { "/crash/mail/error/nothing-can-be-written", { .calls = ALL_WRITES | ALL_SYNCS, .error = EIO, .n = G_MAXUINT } },
  { "/crash/mail/error/read", { .calls = POWER_READ, .error = EIO, .n = 1 } },
  { "/crash/mail/error/nothing-can-be-read", { .calls = POWER_READ, .error = EIO, .n = G_MAXUINT } },
};

typedef struct {
  MailScript script;
  const Failing *kind;
  guint n_calls; /* of the kind, in a run where none fails */
  guint n_runs, n_told;
} Trial;

/* The session that was there before reads on, whatever can't be written. */
static void
read_on (Trial *trial, Run *run)
{
  if ((trial->kind->fault.calls & POWER_READ) != 0 || run->view == NULL || rook_view_is_gone (run->view))
    return;
  g_assert_cmpint (run_fetch (run, run->view), ==, -1);
}

/* A step failed that was at @progress for certain. Returns: where it is, once the disk works again. */
static guint
make_up_for (Trial *trial, Run *run, guint progress, guint next, int code)
{
  /* What was behind the one that found the disk full fails with it. */
  g_assert_true (code == ROOK_MAIL_ERROR_TEMPORARY
                 || (code == ROOK_MAIL_ERROR_FULL && trial->kind->fault.error == ENOSPC));
  g_assert_cmpuint (power_count_failed (), >, 0);
  read_on (trial, run);
  power_fail (NULL);
  trial->n_told++;
  mail_disk_await (run);
  return mail_disk_find (&trial->script, run, progress, next);
}

static void
perform_all (Trial *trial, Run *run, guint progress, guint end)
{
  while (progress < end)
    {
      guint next = mail_script_next (&trial->script, progress);
      int code = mail_script_perform (&trial->script, run, progress, &progress);

      if (code != -1)
        progress = make_up_for (trial, run, progress, next, code);
      mail_disk_keep_up (run->f->mail);
    }
}

/* @nth: 0: none fails. Returns: how many of the calls there were. */
static guint
play (Trial *trial, guint nth)
{
  g_autofree char *path = g_dir_make_tmp ("rook-errors-XXXXXX", NULL);
  MailDisk disk = { path, model_tiny_settings () };
  Run *run = run_new_on (mail_disk_get_backend (), &disk);
  PowerFault fault = trial->kind->fault;
  guint end = mail_script_end (&trial->script), n_calls;

  power_begin (path);
  fixture_open_stores (run->f);
  perform_all (trial, run, 0, BEGIN);
  fault.nth = nth != 0 ? nth : G_MAXUINT;
  power_fail (&fault);
  perform_all (trial, run, BEGIN, end);
  n_calls = power_count_calls ();
  power_fail (NULL);
  mail_disk_await (run);
  mail_disk_find (&trial->script, run, end, end);
  mail_disk_verify (run);
  run_restart (run);
  mail_disk_find (&trial->script, run, end, end);
  mail_disk_verify (run);
  run_free (run);
  power_recording_free (power_end ());
  model_remove (path);
  return n_calls;
}

static void
test_errors (gconstpointer data)
{
  Trial trial = { .kind = data };
  gint64 end = test_budget_end (1.0 / G_N_ELEMENTS (kinds));

  mail_script_init (&trial.script);
  model_forbid_damage (TRUE);
  trial.n_calls = play (&trial, 0);
  do
    {
      guint nth = 1 + (guint) g_test_rand_int_range (0, (gint32) trial.n_calls);

      g_test_message ("call %u", nth);
      play (&trial, nth);
      trial.n_runs++;
    }
  while (g_get_monotonic_time () < end);
  g_test_message ("%u of %u calls failed, and %u times somebody was told", trial.n_runs, trial.n_calls, trial.n_told);
  mail_script_clear (&trial.script);
}

/* --- a start ------------------------------------------------------------------------------------------------------------ */

/* Nobody is told of anything that it is not there: it is not to be had now, or damaged. */
static void
ask_for_all (Run *run)
{
  static const char *const names[] = { INBOX, "user/bob", NULL };

  for (guint i = 0; names[i] != NULL; i++)
    {
      RookView *view = NULL;
      int code = run_open_view (run, NULL, names[i], &view);

      if (code == -1)
        code = run_fetch (run, view);
      g_assert_true (code == -1 || code == ROOK_MAIL_ERROR_UNAVAILABLE || code == ROOK_MAIL_ERROR_TEMPORARY
                     || code == ROOK_MAIL_ERROR_CORRUPT);
      g_clear_pointer (&view, rook_view_free);
    }
}

/* A start on which a call fails. What it could not read it may call damaged, until the next start, which finds everything. */
static void
start_failing (Trial *trial, Run *run, guint nth)
{
  PowerFault fault = trial->kind->fault;
  g_autoptr (GError) error = NULL;
  gboolean opened;

  g_test_message ("call %u of a start", nth);
  g_clear_pointer (&run->view, rook_view_free);
  fixture_await_clearing (run->f);
  model_forbid_damage (FALSE);
  fault.nth = nth;
  power_fail (&fault); /* it may be the end of the last run that it hits */
  opened = fixture_try_restart (run->f, &error);
  trial->n_told += !opened;
  ask_for_all (run);
  power_fail (NULL);
  if (opened)
    mail_disk_await (run);
  model_forbid_damage (TRUE);
  run_restart (run);
  mail_disk_find (&trial->script, run, mail_script_end (&trial->script), mail_script_end (&trial->script));
  mail_disk_verify (run);
  trial->n_runs++;
}

static void
test_start (gconstpointer data)
{
  Trial trial = { .kind = data };
  g_autofree char *path = g_dir_make_tmp ("rook-errors-XXXXXX", NULL);
  MailDisk disk = { path, model_tiny_settings () };
  PowerFault counting = trial.kind->fault;
  gint64 end = test_budget_end (0.5 / G_N_ELEMENTS (kinds));
  Run *run;

  mail_script_init (&trial.script);
  model_forbid_damage (TRUE);
  run = run_new_on (mail_disk_get_backend (), &disk);
  power_begin (path);
  fixture_open_stores (run->f);
  perform_all (&trial, run, 0, mail_script_end (&trial.script));
  counting.nth = G_MAXUINT;
  power_fail (&counting);
  run_restart (run);
  trial.n_calls = power_count_calls ();
  do
    start_failing (&trial, run, 1 + (guint) g_test_rand_int_range (0, (gint32) trial.n_calls));
  while (g_get_monotonic_time () < end);
  g_test_message ("%u of %u calls failed, and %u times there was no start", trial.n_runs, trial.n_calls, trial.n_told);
  run_free (run);
  power_recording_free (power_end ());
  model_remove (path);
  mail_script_clear (&trial.script);
}

/* --- a disk that is full ------------------------------------------------------------------------------------------------ */

#define DISK_SIZE (3 * 1024 * 1024)
#define HEADROOM (512 * 1024)
#define MESSAGE_SIZE 60000
#define FOLDER INBOX "/a"

static const Step full_steps[] = {
  { .kind = CREATE, .name = INBOX },
  { .kind = CREATE, .name = FOLDER },
};

/* Appends until there is no room, each message of another size: equal ones take room once. Returns: how many went in. */
static guint
fill (Run *run, const char *name, gsize *size)
{
  RookView *view = NULL;
  guint n = 0;

  g_assert_cmpint (run_open_view (run, run->f->alice, name, &view), ==, -1);
  while (run_wait (run_append (run, rook_view_get_mailbox (view), ++*size, NULL)) == -1)
    g_assert_cmpuint (++n * MESSAGE_SIZE, <, DISK_SIZE);
  g_assert_cmpint (code_of (g_ptr_array_index (run->answers, run->answers->len - 1)), ==, ROOK_MAIL_ERROR_FULL);
  rook_view_free (view);
  return n;
}

static void
expunge_one (Run *run, guint32 uid)
{
  const Step step = { .kind = FLAG, .uids = { uid } };
  Answer *expunge = run_ask (run);

  g_assert_cmpint (run_take_session (run), ==, -1);
  g_assert_cmpint (run_store_flags (run, run->view, &step, ROOK_FLAG_DELETED), ==, -1);
  rook_view_expunge (run->view, NULL, 0, on_mail, expunge);
  g_assert_cmpint (run_wait (expunge), ==, -1);
  g_assert_cmpint (run_take_session (run), ==, -1);
}

/* What can be deleted and expunged is, while nothing else fits, and makes room again, without a restart. */
static void
test_full_disk (void)
{
  g_autofree char *path = g_dir_make_tmp ("rook-errors-XXXXXX", NULL);
  MailDisk disk = { path, model_tiny_settings () };
  Run *run = run_new_on (mail_disk_get_backend (), &disk);
  const Step delete = { .kind = DELETE, .name = FOLDER };
  gsize size = MESSAGE_SIZE;
  guint n, n_again;

  disk.settings.headroom = HEADROOM;
  power_begin (path);
  power_set_space (DISK_SIZE / 2);
  fixture_open_stores (run->f);
  for (guint i = 0; i < G_N_ELEMENTS (full_steps); i++)
    g_assert_cmpint (run_change_names (run, &full_steps[i]), ==, -1);
  fill (run, FOLDER, &size);
  power_set_space (power_get_space () + DISK_SIZE / 2);
  n = fill (run, INBOX, &size);
  g_assert_cmpint (power_get_space (), >, HEADROOM / 2); /* no write has found the disk full */
  for (guint32 uid = 1; uid <= n / 2; uid++)
    expunge_one (run, uid);
  g_assert_cmpuint (rook_view_get_count (run->view), ==, n - n / 2);
  g_assert_cmpint (run_change_names (run, &delete), ==, -1);
  fixture_await_clearing (run->f);
  fixture_run_job (run->f, ROOK_MAIL_JOB_ROOM);
  n_again = fill (run, INBOX, &size);
  g_assert_cmpuint (n_again, >, n / 2);
  mail_disk_verify (run);
  run_restart (run);
  g_assert_cmpint (run_take_session (run), ==, -1);
  g_assert_cmpuint (rook_view_get_count (run->view), ==, n - n / 2 + n_again);
  g_assert_cmpint (run_fetch (run, run->view), ==, -1);
  power_set_space (0); /* somebody else takes the rest: for a while the log has room still */
  expunge_one (run, rook_view_get_uid (run->view, 1));
  power_set_space (-1);
  run_free (run);
  power_recording_free (power_end ());
  model_remove (path);
}

#else

static void
test_errors (gconstpointer data G_GNUC_UNUSED)
{
  g_test_skip ("a sanitizer has its own write()");
}
#endif

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#ifndef ROOK_SANITIZED
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autofree char *start = g_strconcat (kinds[i].path, "/as-it-starts", NULL);

      g_test_add_data_func (kinds[i].path, &kinds[i], test_errors);
      g_test_add_data_func (start, &kinds[i], test_start);
    }
  g_test_add_func ("/crash/mail/full/deletes-and-expunges-make-room", test_full_disk);
#else
  g_test_add_data_func ("/crash/mail/errors", NULL, test_errors);
#endif
  return g_test_run ();
}
