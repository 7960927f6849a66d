/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lists of uids against plain arrays: many holders of shared ones, which never see what others append or take out.
 */
#include "../lib/test-budget.h"

#include "mailbox/record.h"
#include "mailbox/uids.h"

#define N_HOLDERS 5

/* Somebody's list, and what it ought to be. */
typedef struct {
  RookUids uids;
  GArray *model; /* (element-type guint32) */
} Holder;

static void
holder_clear (Holder *holder)
{
  rook_uids_clear (&holder->uids);
  g_clear_pointer (&holder->model, g_array_unref);
}

static Holder
holder_copy (const Holder *holder)
{
  return (Holder){ rook_uids_copy (&holder->uids), g_array_copy (holder->model) };
}

static guint32
at (const Holder *holder, guint i)
{
  return g_array_index (holder->model, guint32, i);
}

static guint
model_find (const Holder *holder, guint32 uid)
{
  guint i = 0;

  while (i < holder->model->len && at (holder, i) < uid)
    i++;
  return i;
}

static void
assert_same (const Holder *holder, guint32 uidnext)
{
  guint32 uid = (guint32) g_test_rand_int_range (0, (gint) uidnext + 2);
  guint i = model_find (holder, uid);

  g_assert_cmpuint (holder->uids.n, ==, holder->model->len);
  for (guint k = 0; k < holder->model->len; k++)
    g_assert_cmpuint (rook_uids_get (&holder->uids, k), ==, at (holder, k));
  g_assert_cmpuint (rook_uids_get_last (&holder->uids), ==,
                    holder->model->len > 0 ? at (holder, holder->model->len - 1) : 0);
  g_assert_cmpuint (rook_uids_find (&holder->uids, uid), ==, i);
  g_assert_cmpint (rook_uids_contain (&holder->uids, uid), ==, i < holder->model->len && at (holder, i) == uid);
}

/* The head of a mailbox: it alone is appended to. */
typedef struct {
  Holder head;
  guint32 uidnext;
  guint n_records;
  Holder holders[N_HOLDERS]; /* views of it */
} World;

static void
append (World *world)
{
  guint32 gap = g_test_rand_int_range (0, 40) == 0 ? (guint32) g_test_rand_int_range (1, 50) : 0;

  for (gint n = g_test_rand_int_range (1, 100); n > 0; n--)
    {
      guint32 uid = world->uidnext + gap;

      rook_uids_append (&world->head.uids, world->n_records++ % ROOK_PAGE_RECORDS, uid);
      g_array_append_val (world->head.model, uid);
      world->uidnext = uid + 1;
      gap = 0;
    }
}

/* Sorted; one that is not there is among them now and then. */
static void
drop (World *world)
{
  g_autoptr (GArray) some = g_array_new (FALSE, FALSE, sizeof (guint32));
  Holder *head = &world->head;

  for (guint32 uid = (guint32) g_test_rand_int_range (1, 60); uid < world->uidnext && some->len < 70;
       uid += (guint32) g_test_rand_int_range (1, g_test_rand_bit () ? 3 : 90))
    g_array_append_val (some, uid);
  rook_uids_drop (&head->uids, (guint32 *) (gpointer) some->data, some->len);
  for (guint k = 0; k < some->len; k++)
    {
      guint i = model_find (head, g_array_index (some, guint32, k));

      if (i < head->model->len && at (head, i) == g_array_index (some, guint32, k))
        g_array_remove_index (head->model, i);
    }
}

/* A view is told all: what it is told is what happened. */
static void
tell (World *world, Holder *view)
{
  g_autoptr (GArray) gone = g_array_new (FALSE, FALSE, sizeof (guint32));
  g_autoptr (GArray) numbers = g_array_new (FALSE, FALSE, sizeof (guint32));

  rook_uids_compare (&view->uids, &world->head.uids, gone, numbers);
  g_assert_cmpuint (gone->len, ==, numbers->len);
  for (guint k = 0; k < gone->len; k++)
    {
      guint32 number = g_array_index (numbers, guint32, k);

      g_assert_cmpuint (number, >=, 1);
      g_assert_cmpuint (number, <=, view->model->len);
      g_assert_cmpuint (at (view, number - 1), ==, g_array_index (gone, guint32, k));
      g_array_remove_index (view->model, number - 1);
    }
  for (guint i = 0; i < view->model->len; i++)
    g_assert_cmpuint (at (view, i), ==, at (&world->head, i));
  holder_clear (view);
  *view = holder_copy (&world->head);
}

/* It is told what came, and not what is gone. */
static void
join (World *world, Holder *view)
{
  guint32 last = view->model->len > 0 ? at (view, view->model->len - 1) : 0;

  rook_uids_join (&view->uids, &world->head.uids);
  for (guint i = model_find (&world->head, last + 1); i < world->head.model->len; i++)
    g_array_append_val (view->model, g_array_index (world->head.model, guint32, i));
}

/* What was appended fails: the head is what it was, and goes on from there. */
static void
append_and_go_back (World *world)
{
  Holder before = holder_copy (&world->head);
  guint32 uidnext = world->uidnext;
  guint n_records = world->n_records;

  append (world);
  holder_clear (&world->head);
  world->head = before;
  world->uidnext = uidnext;
  world->n_records = n_records;
}

/* As when a mailbox is opened: page by page. */
static void
load (World *world)
{
  RookUids loaded = { 0 };

  for (guint i = 0; i < world->head.uids.n_runs; i++)
    {
      const RookRun *run = rook_uids_run (&world->head.uids, i);

      rook_uids_add_page (&loaded, run->first_uid, run->live, run->sparse != NULL ? run->sparse->uids : NULL,
                          run->sparse != NULL ? run->sparse->n : 0);
    }
  rook_uids_clear (&world->head.uids);
  world->head.uids = loaded;
}

static void
take_step (World *world)
{
  Holder *view = &world->holders[g_test_rand_int_range (0, N_HOLDERS)];

  switch (g_test_rand_int_range (0, 10))
    {
    case 0:
    case 1:
    case 2:
      append (world);
      break;
    case 3:
    case 4:
      drop (world);
      break;
    case 5:
      append_and_go_back (world);
      break;
    case 6:
      load (world);
      break;
    case 7:
    case 8:
      join (world, view);
      break;
    default:
      tell (world, view);
      break;
    }
}

static void
against_model (void)
{
  World world = { .head = { .model = g_array_new (FALSE, FALSE, sizeof (guint32)) }, .uidnext = 1 };

  for (guint i = 0; i < N_HOLDERS; i++)
    world.holders[i] = holder_copy (&world.head);
  for (guint step = 0; step < 120; step++)
    {
      take_step (&world);
      assert_same (&world.head, world.uidnext);
      for (guint i = 0; i < N_HOLDERS; i++)
        assert_same (&world.holders[i], world.uidnext);
    }
  holder_clear (&world.head);
  for (guint i = 0; i < N_HOLDERS; i++)
    holder_clear (&world.holders[i]);
}

static void
test_against_model (void)
{
  gint64 end = test_budget_end (0.2);

  do
    against_model ();
  while (g_get_monotonic_time () < end);
}

/* What one holder knows is not copied for another, nor for what is appended. */
static void
test_shared (void)
{
  RookUids uids = { 0 }, view;

  for (guint i = 0; i < 200; i++)
    rook_uids_append (&uids, i % ROOK_PAGE_RECORDS, i + 1);
  view = rook_uids_copy (&uids);
  g_assert_true (view.runs == uids.runs);
  for (guint i = 200; i < 260; i++)
    rook_uids_append (&uids, i % ROOK_PAGE_RECORDS, i + 1);
  g_assert_true (view.runs == uids.runs);
  g_assert_cmpuint (view.n, ==, 200);
  rook_uids_drop (&uids, (guint32[]){ 2, 3, 500 }, 3);
  g_assert_cmpuint (uids.n, ==, 258);
  g_assert_cmpuint (rook_uids_get (&uids, 1), ==, 4);
  g_assert_cmpuint (rook_uids_get (&view, 1), ==, 2);
  rook_uids_clear (&uids);
  rook_uids_clear (&view);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/mailbox/uids/shared", test_shared);
  g_test_add_func ("/mailbox/uids/against-model", test_against_model);
  return g_test_run ();
}
