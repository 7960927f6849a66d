/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Uids, kept by page: see uids.h.
 */
#include "mailbox/uids.h"

#include <string.h>

/* --- one page ----------------------------------------------------------------------------------------------------- */

static RookSparse *
sparse_new (const guint32 *uids, guint n)
{
  RookSparse *sparse = g_malloc (sizeof (RookSparse) + n * sizeof (guint32));

  g_atomic_int_set (&sparse->ref, 1);
  sparse->n = n;
  memcpy (sparse->uids, uids, n * sizeof (guint32));
  return sparse;
}

static void
sparse_unref (RookSparse *sparse)
{
  if (g_atomic_int_dec_and_test (&sparse->ref))
    g_free (sparse);
}

static RookRun
run_copy (const RookRun *run)
{
  if (run->sparse != NULL)
    g_atomic_int_inc (&run->sparse->ref);
  return *run;
}

static guint
count_bits (guint64 bits)
{
  return (guint) __builtin_popcountll (bits);
}

static guint64
bits_below (guint slot)
{
  return slot < ROOK_RUN_SLOTS ? (G_GUINT64_CONSTANT (1) << slot) - 1 : G_MAXUINT64;
}

static guint32
uid_at (const RookRun *run, guint slot)
{
  return run->sparse != NULL ? run->sparse->uids[slot] : run->first_uid + slot;
}

/* The first record whose uid is >= @uid, there or not. */
static guint
find_slot (const RookRun *run, guint32 uid)
{
  guint slot = 0;

  if (uid <= run->first_uid)
    return 0;
  if (run->sparse == NULL)
    return MIN (uid - run->first_uid, ROOK_RUN_SLOTS);
  while (slot < run->sparse->n && run->sparse->uids[slot] < uid)
    slot++;
  return slot;
}

static guint
slot_of_message (const RookRun *run, guint index)
{
  guint64 live = run->live;

  for (; index > 0; index--)
    live &= live - 1;
  return (guint) __builtin_ctzll (live);
}

/* --- arrays ------------------------------------------------------------------------------------------------------- */

static RookRuns *
runs_new (guint capacity)
{
  RookRuns *runs = g_malloc (sizeof (RookRuns) + (gsize) capacity * sizeof (RookRun));

  g_atomic_int_set (&runs->ref, 1);
  runs->n = 0;
  runs->capacity = capacity;
  return runs;
}

/* Those from @n on are nobody's any more: what was appended was taken back. */
static void
runs_cut (RookRuns *runs, guint n)
{
  while (runs->n > n)
    g_clear_pointer (&runs->data[--runs->n].sparse, sparse_unref);
}

static void
runs_unref (RookRuns *runs)
{
  if (!g_atomic_int_dec_and_test (&runs->ref))
    return;
  runs_cut (runs, 0);
  g_free (runs);
}

/* Gives @uids an array of its own, with room for more. */
static void
own_runs (RookUids *uids)
{
  guint n = uids->n_runs > 0 ? uids->n_runs - 1 : 0;
  RookRuns *own = runs_new (n + n / 2 + 4);

  for (; own->n < n; own->n++)
    own->data[own->n] = run_copy (&uids->runs->data[own->n]);
  g_clear_pointer (&uids->runs, runs_unref);
  uids->runs = own;
}

/* The last is one of many now, and another comes behind it. */
static void
begin_run (RookUids *uids, guint32 first_uid)
{
  guint n = uids->n_runs;

  if (n > 0)
    {
      if (uids->runs == NULL || n > uids->runs->capacity)
        own_runs (uids);
      runs_cut (uids->runs, n - 1);
      uids->runs->data[uids->runs->n++] = uids->last;
    }
  uids->last = (RookRun){ .first_uid = first_uid, .before = uids->n };
  uids->n_runs++;
}

const RookRun *
rook_uids_run (const RookUids *uids, guint number)
{
  return number + 1 < uids->n_runs ? &uids->runs->data[number] : &uids->last;
}

RookUids
rook_uids_copy (const RookUids *uids)
{
  RookUids copy = *uids;

  if (copy.runs != NULL)
    g_atomic_int_inc (&copy.runs->ref);
  copy.last = run_copy (&uids->last);
  return copy;
}

void
rook_uids_clear (RookUids *uids)
{
  g_clear_pointer (&uids->runs, runs_unref);
  g_clear_pointer (&uids->last.sparse, sparse_unref);
  memset (uids, 0, sizeof *uids);
}

/* --- adding and taking away --------------------------------------------------------------------------------------- */

void
rook_uids_add_page (RookUids *uids, guint32 first_uid, guint64 live, const guint32 *sparse, guint n_slots)
{
  begin_run (uids, first_uid);
  uids->last.live = live;
  if (sparse != NULL)
    uids->last.sparse = sparse_new (sparse, n_slots);
  uids->n += count_bits (live);
}

/* The last page's uids in full, @uid in record @slot behind them. */
static void
make_sparse (RookRun *last, guint slot, guint32 uid)
{
  guint32 all[ROOK_RUN_SLOTS];

  for (guint i = 0; i < slot; i++)
    all[i] = uid_at (last, i);
  all[slot] = uid;
  g_clear_pointer (&last->sparse, sparse_unref);
  last->sparse = sparse_new (all, slot + 1);
}

void
rook_uids_append (RookUids *uids, guint slot, guint32 uid)
{
  if (slot == 0)
    begin_run (uids, uid);
  if (uids->last.sparse != NULL || uid != uids->last.first_uid + slot)
    make_sparse (&uids->last, slot, uid);
  uids->last.live |= G_GUINT64_CONSTANT (1) << slot;
  uids->n++;
}

/* The last page that begins at or before @uid; 0: perhaps none does. */
static guint
run_of_uid (const RookUids *uids, guint32 uid)
{
  guint low = 0, high = uids->n_runs;

  while (low < high)
    {
      guint middle = low + (high - low) / 2;

      if (rook_uids_run (uids, middle)->first_uid <= uid)
        low = middle + 1;
      else
        high = middle;
    }
  return low > 0 ? low - 1 : 0;
}

static RookRun *
run_to_write (RookUids *uids, guint number)
{
  return number + 1 < uids->n_runs ? &uids->runs->data[number] : &uids->last;
}

static void
recount (RookUids *uids, guint from)
{
  guint before = run_to_write (uids, from)->before;

  for (guint i = from; i < uids->n_runs; i++)
    {
      run_to_write (uids, i)->before = before;
      before += count_bits (run_to_write (uids, i)->live);
    }
  uids->n = before;
}

void
rook_uids_drop (RookUids *uids, const guint32 *drop, guint n_drop)
{
  if (n_drop == 0 || uids->n_runs == 0)
    return;
  if (uids->n_runs > 1)
    own_runs (uids);
  for (guint i = 0; i < n_drop; i++)
    {
      RookRun *run = run_to_write (uids, run_of_uid (uids, drop[i]));
      guint slot = find_slot (run, drop[i]);

      if (slot < (run->sparse != NULL ? run->sparse->n : ROOK_RUN_SLOTS) && uid_at (run, slot) == drop[i])
        run->live &= ~(G_GUINT64_CONSTANT (1) << slot);
    }
  recount (uids, run_of_uid (uids, drop[0]));
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

guint
rook_uids_find_run (const RookUids *uids, guint index)
{
  guint low = 0, high = uids->n_runs;

  while (high - low > 1)
    {
      guint middle = low + (high - low) / 2;

      if (rook_uids_run (uids, middle)->before <= index)
        low = middle;
      else
        high = middle;
    }
  return low;
}

guint32
rook_uids_get (const RookUids *uids, guint index)
{
  const RookRun *run;

  g_assert (index < uids->n);
  run = rook_uids_run (uids, rook_uids_find_run (uids, index));
  return uid_at (run, slot_of_message (run, index - run->before));
}

guint32
rook_uids_get_last (const RookUids *uids)
{
  return uids->n > 0 ? rook_uids_get (uids, uids->n - 1) : 0;
}

guint
rook_uids_find (const RookUids *uids, guint32 uid)
{
  const RookRun *run;

  if (uids->n_runs == 0)
    return 0;
  run = rook_uids_run (uids, run_of_uid (uids, uid));
  return run->before + count_bits (run->live & bits_below (find_slot (run, uid)));
}

gboolean
rook_uids_contain (const RookUids *uids, guint32 uid)
{
  guint i = rook_uids_find (uids, uid);

  return i < uids->n && rook_uids_get (uids, i) == uid;
}

/* --- two states --------------------------------------------------------------------------------------------------- */

void
rook_uids_compare (const RookUids *before, const RookUids *now, GArray *gone, GArray *numbers)
{
  for (guint i = 0; i < before->n_runs; i++)
    {
      const RookRun *run = rook_uids_run (before, i);

      for (guint64 bits = run->live & ~rook_uids_run (now, i)->live; bits != 0; bits &= bits - 1)
        {
          guint slot = (guint) __builtin_ctzll (bits);
          guint32 uid = uid_at (run, slot);
          guint32 number = run->before + count_bits (run->live & bits_below (slot)) + 1 - gone->len;

          g_array_append_val (gone, uid);
          g_array_append_val (numbers, number);
        }
    }
}

/* A record that lives now and did not before is new: none comes back. */
void
rook_uids_join (RookUids *uids, const RookUids *now)
{
  RookUids joined = rook_uids_copy (now);

  if (joined.n_runs > 1)
    own_runs (&joined);
  for (guint i = 0; i < uids->n_runs; i++)
    run_to_write (&joined, i)->live |= rook_uids_run (uids, i)->live;
  if (joined.n_runs > 0)
    recount (&joined, 0);
  rook_uids_clear (uids);
  *uids = joined;
}
