/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A job of the schedule: forgets deliveries that are older than mailbox/duplicate-lifetime.
 *
 * Looking through the marks blocks and is done on the pool; what is found is deleted on the main worker, a piece at a time.
 */
#include "mailbox/codec.h"
#include "mailbox/mail.h"
#include "mailbox/record.h"
#include "rookery/schedule.h"

#define PIECE 1000 /* marks a batch */

typedef struct {
  RookMail *mail; /* (unowned) */
  RookJobRun *run;
  guint64 before_us; /* marks older than this go */
  guint partition;   /* which is being looked through, then pruned */
  GPtrArray *old;    /* (element-type GPtrArray of GBytes) one list a partition */
  guint n_forgotten;
  GError *error; /* (nullable) the first */
} Pruning;

static gboolean
look_at_mark (RookTable table, GBytes *key, GBytes *value, gpointer data)
{
  Pruning *p = data;
  gboolean readable = g_bytes_get_size (value) >= 8;

  (void) table;
  if (!readable || rook_get64 (g_bytes_get_data (value, NULL)) < p->before_us)
    g_ptr_array_add (g_ptr_array_index (p->old, p->partition), g_bytes_ref (key));
  return !rook_job_run_is_cancelled (p->run);
}

static void
look_through (gpointer data)
{
  Pruning *p = data;

  for (; !rook_mail_is_closing (p->mail) && p->partition < p->mail->partitions->len && p->error == NULL; p->partition++)
    {
      RookStore *store = rook_partition_get_store (g_ptr_array_index (p->mail->partitions, p->partition));

      g_ptr_array_add (p->old, g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref));
      if (store != NULL)
        rook_store_foreach (store, ROOK_PART_DUPLICATES, look_at_mark, p, &p->error);
    }
  rook_mail_end_blocking (p->mail);
}

static void
finish (Pruning *p)
{
  g_autofree char *summary = g_strdup_printf ("%u deliveries forgotten", p->n_forgotten);

  rook_job_run_done (p->run, summary, p->error);
  g_ptr_array_unref (p->old);
  g_clear_error (&p->error);
  g_free (p);
}

static void forget_some (Pruning *p);

static void
forgotten (guint64 position, const GError *error, gpointer data)
{
  Pruning *p = data;

  (void) position;
  if (error != NULL && p->error == NULL)
    p->error = rook_mail_error_from_store (p->mail, error);
  forget_some (p);
}

/* One batch for the first partition that still has old marks. */
static void
forget_some (Pruning *p)
{
  for (guint i = 0; p->error == NULL && !rook_job_run_is_cancelled (p->run) && i < p->old->len; i++)
    {
      RookStore *store = rook_partition_get_store (g_ptr_array_index (p->mail->partitions, i));
      GPtrArray *keys = g_ptr_array_index (p->old, i);
      guint n = MIN (keys->len, PIECE);
      RookBatch *batch;

      if (n == 0 || store == NULL) /* none is open any more once the server stops */
        continue;
      batch = rook_batch_new (store);
      for (guint k = 0; k < n; k++)
        rook_batch_delete (batch, ROOK_PART_DUPLICATES, g_ptr_array_index (keys, keys->len - 1 - k));
      g_ptr_array_set_size (keys, (gint) (keys->len - n));
      p->n_forgotten += n;
      rook_batch_reserve (batch, 0, TRUE, NULL); /* on a full disk too: what is refused here the commit refuses */
      rook_store_commit (store, batch, forgotten, p);
      return;
    }
  finish (p);
}

static void
looked_through (RookPoolOutcome outcome, gpointer data)
{
  Pruning *p = data;

  if (outcome == ROOK_POOL_RAN)
    forget_some (p);
  else
    finish (p);
}

static void
run_prune (gpointer data, RookJobRun *run)
{
  RookMail *mail = data;
  g_autoptr (RookMailSettings) settings = rook_mail_ref_settings (mail);
  Pruning *p = g_new0 (Pruning, 1);

  *p = (Pruning){ .mail = mail,
                  .run = run,
                  .before_us = (guint64) g_get_real_time () - settings->duplicate_life * 1000,
                  .old = g_ptr_array_new_with_free_func ((GDestroyNotify) g_ptr_array_unref) };
  if (!rook_mail_begin_blocking (mail))
    finish (p);
  else if (!rook_pool_run (rook_server_get_pool (mail->server), 0, look_through, looked_through, p))
    {
      rook_mail_end_blocking (mail);
      finish (p);
    }
}

static const RookJob prune_job = { .struct_size = sizeof (RookJob),
                                   .name = ROOK_MAIL_JOB_FORGET,
                                   .summary = "Forgets deliveries that are too old to be duplicated.",
                                   .when = "daily 04:10",
                                   .run = run_prune };

void
rook_mail_add_jobs (RookMail *mail)
{
  RookSchedule *schedule = rook_server_get_schedule (mail->server);

  if (schedule != NULL)
    rook_schedule_add (schedule, &prune_job, mail);
}
