/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * kill -9 of a process that commits from several threads, at random instants, again and again on one store: whatever it was
 * told is durable is there afterwards, whole, and verify finds nothing. Checkpoints and compaction go on meanwhile.
 * Goes on for ROOKERY_TEST_SECONDS, half of them with each settings.
 */
#include "../lib/test-budget.h"
#include "store-model.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_THREADS 6

typedef struct {
  RookStore *store;
  int pipe;
  guint thread;
} Writer;

typedef struct {
  guint32 thread;
  guint32 zero;
  guint64 number;
} Acknowledged;

/* --- the process that is killed --------------------------------------------------------------------------------------------- */

static gpointer
write_on (gpointer data)
{
  const Writer *writer = data;

  for (guint64 number = model_last (writer->store, writer->thread) + 1;; number++)
    {
      Acknowledged told = { writer->thread, 0, number };

      if (!rook_store_commit_wait (writer->store, model_batch (writer->store, writer->thread, number), NULL, NULL)
          || write (writer->pipe, &told, sizeof told) != sizeof told)
        _exit (1);
    }
  return NULL;
}

static void
run_child (const char *path, const GsSettings *settings, int fd)
{
  RookStore *store = model_open (path, settings);
  Writer writers[N_THREADS];

  for (guint i = 0; i < N_THREADS; i++)
    {
      writers[i] = (Writer){ store, fd, i };
      g_thread_new ("writer", write_on, &writers[i]);
    }
  while (TRUE)
    pause ();
}

/* --- the one that looks afterwards ------------------------------------------------------------------------------------------ */

static void
read_acknowledged (int fd, guint64 *acknowledged)
{
  Acknowledged told;
  ssize_t n;

  while ((n = read (fd, &told, sizeof told)) > 0)
    {
      g_assert_cmpint (n, ==, sizeof told);
      acknowledged[told.thread] = told.number;
    }
}

static void
run_round (const char *path, const GsSettings *settings, guint64 *acknowledged)
{
  int fds[2], status;
  pid_t child;

  g_assert_cmpint (pipe (fds), ==, 0);
  child = fork ();
  g_assert_cmpint (child, >=, 0);
  if (child == 0)
    {
      close (fds[0]);
      run_child (path, settings, fds[1]);
    }
  close (fds[1]);
  g_usleep ((gulong) g_test_rand_int_range (1000, 150 * 1000));
  kill (child, SIGKILL);
  read_acknowledged (fds[0], acknowledged);
  close (fds[0]);
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFSIGNALED (status));
}

/* @data: the settings. Only every third round is looked at by an opening that is closed well; the others are killed too. */
static void
test_kill (gconstpointer data)
{
  const GsSettings *settings = data;
  g_autofree char *path = g_dir_make_tmp ("rook-kill-XXXXXX", NULL);
  guint64 acknowledged[N_THREADS] = { 0 }, most[N_THREADS], total = 0;
  gint64 end = test_budget_end (0.5);
  guint rounds = 0;

  for (; rounds < 3 || g_get_monotonic_time () < end; rounds += 3)
    {
      RookStore *store;

      for (guint i = 0; i < 3; i++)
        run_round (path, settings, acknowledged);
      store = model_open (path, settings);
      for (guint i = 0; i < N_THREADS; i++)
        most[i] = acknowledged[i] + 3; /* each kill may have cut one off before it was told */
      model_check (store, N_THREADS, acknowledged, most);
      rook_store_close (store);
    }
  for (guint i = 0; i < N_THREADS; i++)
    total += acknowledged[i];
  g_test_message ("%u kills, %" G_GUINT64_FORMAT " batches", rounds, total);
  model_remove (path);
}

int
main (int argc, char **argv)
{
  GsSettings usual, tiny;

  g_test_init (&argc, &argv, NULL);
  usual = gs_default_settings;
  usual.log_size = 1024 * 1024;
  tiny = model_tiny_settings ();
  g_test_add_data_func ("/crash/store/kill", &usual, test_kill);
  g_test_add_data_func ("/crash/store/kill-with-much-upkeep", &tiny, test_kill);
  return g_test_run ();
}
