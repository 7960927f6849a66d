/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Order: where and when callbacks run, what a get sees, in which order batches are settled.
 */
#include "conformance-fixture.h"

#include <string.h>

#define N_BATCHES 200

typedef struct {
  Fixture *f;
  RookWorker *worker;
  gboolean inside; /* a call is being made: nothing may be answered now */
  guint answered;
  guint64 position;
} Run;

static void
on_worker_answer (Run *run)
{
  g_assert_true (rook_worker_current () == run->worker);
  g_assert_false (run->inside);
  if (++run->answered == 3)
    conformance_done ();
}

static void
committed (guint64 position, const GError *error, gpointer data)
{
  g_assert_no_error (error);
  g_assert_cmpuint (position, >, 0);
  on_worker_answer (data);
}

static void
got (GBytes *value, const GError *error, gpointer data)
{
  g_assert_no_error (error);
  conformance_expect_bytes (value, "value", 5);
  on_worker_answer (data);
}

static void
not_read (GBytes *bytes, const GError *error, gpointer data)
{
  g_assert_null (bytes);
  g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_NOT_FOUND);
  on_worker_answer (data);
}

static void
call_all (gpointer data)
{
  Run *run = data;
  RookBatch *batch = rook_batch_new (run->f->store);
  g_autoptr (GBytes) key = conformance_bytes ("key");

  run->worker = rook_worker_current ();
  run->inside = TRUE;
  conformance_put (batch, 1, "key", "value");
  rook_store_commit (run->f->store, batch, committed, run);
  rook_store_get (run->f->store, 1, key, got, run);
  rook_store_read (run->f->store, G_MAXUINT64, 0, 10, not_read, run);
  run->inside = FALSE;
}

static void
test_answered_on_own_worker (Fixture *f)
{
  Run run = { .f = f };

  conformance_open (f);
  conformance_on_worker (f, call_all, &run);
  g_assert_cmpuint (run.answered, ==, 3);
}

/* --- a thread's batches are settled and completed in the order of submission ----------------------------------------- */

typedef struct {
  Fixture *f;
  guint settled, completed, seen;
  guint64 position;
} Sequence;

typedef struct {
  Sequence *sequence;
  guint index;
  gboolean settled; /* atomic */
} Step;

static void
step_settled (guint64 position, const GError *error, gpointer data)
{
  Step *step = data;

  g_assert_no_error (error);
  g_assert_cmpuint (step->sequence->settled, ==, step->index);
  g_assert_cmpuint (position, >, step->sequence->position);
  step->sequence->settled++;
  step->sequence->position = position;
  __atomic_store_n (&step->settled, TRUE, __ATOMIC_RELEASE);
}

static void
step_completed (guint64 position, const GError *error, gpointer data)
{
  Step *step = data;

  g_assert_no_error (error);
  g_assert_cmpuint (position, >, 0);
  g_assert_true (__atomic_load_n (&step->settled, __ATOMIC_ACQUIRE));
  g_assert_cmpuint (step->sequence->completed, ==, step->index);
  if (++step->sequence->completed == N_BATCHES && step->sequence->seen == N_BATCHES)
    conformance_done ();
  g_free (step);
}

static void
step_seen (GBytes *value, const GError *error, gpointer data)
{
  Step *step = data;
  guint32 number;

  g_assert_no_error (error);
  g_assert_cmpuint (g_bytes_get_size (value), ==, sizeof number);
  memcpy (&number, g_bytes_get_data (value, NULL), sizeof number);
  g_assert_cmpuint (number, >=, step->index); /* its own batch, or a later one */
  if (++step->sequence->seen == N_BATCHES && step->sequence->completed == N_BATCHES)
    conformance_done ();
  g_free (step);
}

static void
submit_all (gpointer data)
{
  Sequence *sequence = data;
  g_autoptr (GBytes) key = conformance_bytes ("number");

  for (guint32 i = 0; i < N_BATCHES; i++)
    {
      RookBatch *batch = rook_batch_new (sequence->f->store);
      Step *step = g_new0 (Step, 1), *get = g_new0 (Step, 1);
      g_autoptr (GBytes) value = g_bytes_new (&i, sizeof i);

      step->sequence = get->sequence = sequence;
      step->index = get->index = i;
      rook_batch_put (batch, 1, key, value);
      rook_batch_on_settled (batch, step_settled, step);
      rook_store_commit (sequence->f->store, batch, step_completed, step);
      rook_store_get (sequence->f->store, 1, key, step_seen, get);
    }
}

static void
test_in_order_of_submission (Fixture *f)
{
  Sequence sequence = { .f = f };

  conformance_open (f);
  conformance_on_worker (f, submit_all, &sequence);
  g_assert_cmpuint (sequence.settled, ==, N_BATCHES);
}

/* --- settled in one order over all threads, which is the order of effects ---------------------------------------------- */

typedef struct {
  Fixture *f;
  guint8 letter;
  guint64 *last_position;
  guint8 *last_letter;
} Rival;

static void
rival_settled (guint64 position, const GError *error, gpointer data)
{
  Rival *rival = data;

  /* One at a time: no lock here. */
  g_assert_no_error (error);
  g_assert_cmpuint (position, >, *rival->last_position);
  *rival->last_position = position;
  *rival->last_letter = rival->letter;
}

static gpointer
compete (gpointer data)
{
  Rival *rival = data;
  g_autoptr (GBytes) key = conformance_bytes ("key");
  g_autoptr (GBytes) value = g_bytes_new (&rival->letter, 1);

  for (int i = 0; i < 50; i++)
    {
      RookBatch *batch = rook_batch_new (rival->f->store);

      rook_batch_patch (batch, 1, key, 0, value);
      rook_batch_on_settled (batch, rival_settled, rival);
      conformance_commit (rival->f, batch);
    }
  return NULL;
}

static void
test_one_order_over_all (Fixture *f)
{
  guint64 last_position = 0;
  guint8 last_letter = 0;
  Rival rivals[4];
  GThread *threads[4];
  char text[2] = { 0, 0 };

  conformance_open (f);
  for (guint i = 0; i < 4; i++)
    {
      rivals[i] = (Rival){ f, (guint8) ('a' + i), &last_position, &last_letter };
      threads[i] = g_thread_new ("rival", compete, &rivals[i]);
    }
  for (guint i = 0; i < 4; i++)
    g_thread_join (threads[i]);
  text[0] = (char) last_letter;
  conformance_expect (f, 1, "key", text);
  conformance_reopen (f);
  conformance_expect (f, 1, "key", text);
}

/* --- closing ------------------------------------------------------------------------------------------------------- */

typedef struct {
  Fixture *f;
  guint completed;
} Closing;

static void
count_completed (guint64 position G_GNUC_UNUSED, const GError *error, gpointer data)
{
  g_assert_no_error (error);
  ((Closing *) data)->completed++;
}

static void
submit_and_leave (gpointer data)
{
  Closing *closing = data;

  for (guint i = 0; i < 50; i++)
    {
      RookBatch *batch = rook_batch_new (closing->f->store);
      g_autofree char *key = g_strdup_printf ("key %u", i);

      conformance_put (batch, 1, key, "value");
      rook_store_commit (closing->f->store, batch, count_completed, closing);
    }
  conformance_done ();
}

static void
leave (gpointer data G_GNUC_UNUSED)
{
  conformance_done ();
}

static void
test_close_commits_what_was_submitted (Fixture *f)
{
  Closing closing = { .f = f };

  conformance_open (f);
  conformance_on_worker (f, submit_and_leave, &closing);
  conformance_reopen (f);
  conformance_expect (f, 1, "key 0", "value");
  conformance_expect (f, 1, "key 49", "value");
  conformance_on_worker (f, leave, NULL); /* behind the callbacks */
  g_assert_cmpuint (closing.completed, ==, 50);
}

void
conformance_add_order_tests (const RookConformance *subject)
{
  conformance_add (subject, "order/answered-on-own-worker-never-inside-the-call", test_answered_on_own_worker);
  conformance_add (subject, "order/settled-and-completed-in-order-of-submission", test_in_order_of_submission);
  conformance_add (subject, "order/settled-in-one-order-over-all-threads", test_one_order_over_all);
  conformance_add (subject, "order/close-commits-what-was-submitted", test_close_commits_what_was_submitted);
}
