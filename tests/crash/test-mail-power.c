/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Power cuts of the mailbox service: a script of all that can be done with mailboxes (mail-script.h) is recorded (power.h) on a state
 * store and two partitions, while checkpoints and compaction never end, and the service is opened on every disk that a cut may
 * leave. What was acknowledged must be there, of what was not no half; stores and mailboxes verify without a fault, and no store
 * calls itself damaged. From the first start over names, messages, flags, copies and expunges to the end, and again while it
 * starts on such a disk and goes on with the script from where that is.
 *
 * 600 different disks at least, beside the 2,000 of test-store-power; 20,000 with --long, 100 where it is the package that is tested
 * (ROOKERY_TEST_SECONDS below 2); the number is told. Processes share the work. Not under a sanitizer, which has its own ideas of the functions that power.c stands in for.
 */
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/test-budget.h"
#include "mail-disk.h"
#include "power.h"
#include "store-model.h"

#ifndef ROOK_SANITIZED

#define N_PROCESSES 2
#define DISKS_OF_A_RUN 75
#define RECOVERIES 3
#define DISKS_OF_A_RECOVERY 25

typedef struct {
  MailScript script;
  GsSettings settings;
  GHashTable *seen; /* (element-type guint64) hashes of the disks that were opened */
  guint target;
  gint64 end; /* monotonic: it goes on until then */
  guint32 seed;
  char *disk; /* (owned) the directory in which disks are made */
} Trial;

/* Up to which part of the script all is there, and may be. */
typedef struct {
  guint least, most;
} Bounds;

#define MUST G_GUINT64_CONSTANT (0)
#define MAY (G_GUINT64_CONSTANT (1) << 63)

/* --- what is recorded --------------------------------------------------------------------------------------------------- */

static void
play (Trial *trial, Run *run, guint progress, guint n_steps)
{
  while (n_steps-- > 0 && progress < mail_script_end (&trial->script))
    {
      power_mark (MAY | mail_script_next (&trial->script, progress));
      g_assert_cmpint (mail_script_perform (&trial->script, run, progress, &progress), ==, -1);
      power_mark (MUST | progress);
    }
}

/* What happens to the stores at @path from the start on. @before: which progress they may show. */
static PowerRecording *
record (Trial *trial, const char *path, const Bounds *before, guint n_steps)
{
  MailDisk disk = { path, trial->settings };
  Run *run = run_new_on (mail_disk_get_backend (), &disk);
  MailUpkeep *upkeep;
  guint progress;

  power_begin (path);
  fixture_open_stores (run->f);
  progress = mail_disk_find (&trial->script, run, before->least, before->most);
  power_mark (MUST | progress); /* what was shown once must stay */
  power_mark (MAY | progress);
  upkeep = mail_upkeep_start (run);
  play (trial, run, progress, n_steps);
  mail_upkeep_stop (upkeep);
  run_free (run);
  return power_end ();
}

/* --- what is found ------------------------------------------------------------------------------------------------------ */

static void
note_mark (guint64 what, gpointer data)
{
  Bounds *bounds = data;

  if (what & MAY)
    bounds->most = (guint) (what & ~MAY);
  else
    bounds->least = (guint) what;
}

static Bounds
bounds_at (PowerRecording *recording, guint instant, const Bounds *before)
{
  Bounds bounds = *before;

  power_recording_foreach_mark (recording, instant, note_mark, &bounds);
  return bounds;
}

static void
check_disk (Trial *trial, PowerRecording *recording, guint instant, const Bounds *before)
{
  Bounds bounds = bounds_at (recording, instant, before);
  MailDisk disk = { trial->disk, trial->settings };
  Run *run = run_new_on (mail_disk_get_backend (), &disk);

  fixture_open_stores (run->f);
  mail_disk_find (&trial->script, run, bounds.least, bounds.most);
  mail_disk_verify (run);
  run_free (run);
}

static gboolean
is_enough (const Trial *trial)
{
  return g_hash_table_size (trial->seen) >= trial->target && g_get_monotonic_time () >= trial->end;
}

static guint
random_below (guint n)
{
  return (guint) g_test_rand_int_range (0, (gint32) n);
}

/* Disks of all parts of the recording. */
static void
try_disks (Trial *trial, PowerRecording *recording, const Bounds *before, guint n)
{
  guint n_instants = power_recording_count_instants (recording), first = random_below (n_instants);

  for (guint i = 0; i < n && !is_enough (trial); i++)
    {
      guint instant = (first + (guint) ((guint64) i * n_instants / n)) % n_instants;
      guint pick = random_below (power_recording_count_disks (recording, instant));
      guint64 hash = power_recording_make_disk (recording, instant, pick, trial->seed, trial->disk);

      if (!g_hash_table_add (trial->seen, g_memdup2 (&hash, sizeof hash)))
        continue;
      g_test_message ("instant %u, disk %u", instant, pick);
      check_disk (trial, recording, instant, before);
    }
}

/* A disk that a cut of @recording left is started on, and the power goes again. */
static void
cut_recovery (Trial *trial, PowerRecording *recording, const Bounds *before)
{
  g_autofree char *path = g_dir_make_tmp ("rook-power-XXXXXX", NULL);
  guint instant = random_below (power_recording_count_instants (recording));
  guint pick = random_below (power_recording_count_disks (recording, instant));
  Bounds bounds = bounds_at (recording, instant, before);
  g_autoptr (PowerRecording) again = NULL;

  power_recording_make_disk (recording, instant, pick, trial->seed, path);
  g_test_message ("start on instant %u, disk %u", instant, pick);
  again = record (trial, path, &bounds, 3);
  try_disks (trial, again, &bounds, DISKS_OF_A_RECOVERY);
  model_remove (path);
}

static void
go_on (Trial *trial)
{
  const Bounds nothing = { 0, 0 };

  trial->end = test_budget_end (0.5);
  while (!is_enough (trial))
    {
      g_autofree char *path = g_dir_make_tmp ("rook-power-XXXXXX", NULL);
      g_autoptr (PowerRecording) recording = record (trial, path, &nothing, G_MAXUINT);

      model_remove (path);
      try_disks (trial, recording, &nothing, DISKS_OF_A_RUN);
      for (guint i = 0; i < RECOVERIES && !is_enough (trial); i++)
        cut_recovery (trial, recording, &nothing);
    }
}

/* --- processes ---------------------------------------------------------------------------------------------------------- */

static void
work (guint32 seed, int out)
{
  Trial trial = { .settings = model_tiny_settings (),
                  .seen = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL),
                  .target = (test_budget_is_long ()       ? 20000
                             : test_budget_seconds () < 2 ? 100
                                                          : 600)
                            / N_PROCESSES,
                  .seed = seed,
                  .disk = g_dir_make_tmp ("rook-power-XXXXXX", NULL) };
  GHashTableIter iter;
  gpointer hash;

  trial.settings.n_readers = 1;
  mallopt (M_MMAP_THRESHOLD, 256 * 1024); /* what a store has in plenty and hardly touches costs nothing then */
  model_forbid_damage (TRUE);
  mail_script_init (&trial.script);
  go_on (&trial);
  model_remove (trial.disk);
  g_hash_table_iter_init (&iter, trial.seen);
  while (g_hash_table_iter_next (&iter, &hash, NULL))
    if (write (out, hash, sizeof (guint64)) != sizeof (guint64))
      g_error ("the pipe is gone");
}

static void
test_power_cut (void)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  pid_t pids[N_PROCESSES];
  int fds[2], status;
  guint64 hash;

  g_assert_cmpint (pipe (fds), ==, 0);
  for (guint i = 0; i < N_PROCESSES; i++)
    {
      guint32 seed = (guint32) g_test_rand_int ();

      pids[i] = fork ();
      if (pids[i] == 0)
        {
          work (seed, fds[1]);
          _exit (0);
        }
    }
  close (fds[1]);
  while (read (fds[0], &hash, sizeof hash) == sizeof hash)
    g_hash_table_add (seen, g_memdup2 (&hash, sizeof hash));
  close (fds[0]);
  for (guint i = 0; i < N_PROCESSES; i++)
    {
      g_assert_cmpint (waitpid (pids[i], &status, 0), ==, pids[i]);
      g_assert_cmpint (status, ==, 0);
    }
  g_test_message ("%u different disks", g_hash_table_size (seen));
}

#else

static void
test_power_cut (void)
{
  g_test_skip ("a sanitizer has its own write()");
}
#endif

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/crash/mail/power-cut", test_power_cut);
  return g_test_run ();
}
