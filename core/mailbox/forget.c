/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A job of the schedule: clears away what lies under ids of users that were given up (users.h). The state store says which those
 * are until nothing is left, so whatever cuts it short, the next run goes on. Where none was given up nothing is looked through.
 *
 * All of it blocks, and is done on the pool; what goes, goes in batches of bounded size.
 */
#include "mailbox/codec.h"
#include "mailbox/mail.h"
#include "mailbox/record.h"
#include "mailbox/seen.h"
#include "rookery/schedule.h"

#define PIECE 1000    /* rows a batch */
#define AT_ONCE 50000 /* rows in memory */

typedef struct {
  RookMail *mail; /* (unowned) */
  RookJobRun *run;
  GArray *ids;         /* (element-type guint64) that are looked for, */
  GHashTable *gone;    /* and as a set */
  GPtrArray *rows;     /* (element-type GBytes) keys that were found */
  gboolean is_partial; /* some partition is not there */
  guint n_rows, n_users;
  GError *error; /* (nullable) */
} Forgetting;

static gboolean
go_on (Forgetting *f)
{
  return f->error == NULL && !rook_mail_is_closing (f->mail) && !rook_job_run_is_cancelled (f->run);
}

/* Frees @batch. */
static void
commit (Forgetting *f, RookStore *store, RookBatch *batch)
{
  rook_batch_reserve (batch, 0, TRUE, NULL); /* on a full disk too: what is refused here the commit refuses */
  rook_store_commit_wait (store, batch, NULL, &f->error);
}

static guint64
id_of_row (RookTable table, GBytes *key)
{
  g_autofree char *first = NULL, *second = NULL;
  gboolean old;
  guint64 id = 0;

  if (table == ROOK_STATE_SUBSCRIPTIONS)
    return rook_subscription_key_parse (key, &id, &first, &second) ? id : 0;
  return rook_seen_key_parse (key, &first, &second, &old) && !old ? rook_user_key_parse (second) : 0;
}

static gboolean
look_at_row (RookTable table, GBytes *key, GBytes *value G_GNUC_UNUSED, gpointer data)
{
  Forgetting *f = data;
  guint64 id = id_of_row (table, key);

  if (g_hash_table_contains (f->gone, &id))
    g_ptr_array_add (f->rows, g_bytes_ref (key));
  return f->rows->len < AT_ONCE && go_on (f);
}

static void
delete_rows (Forgetting *f, RookStore *store, RookTable table)
{
  while (f->rows->len > 0 && go_on (f))
    {
      RookBatch *batch = rook_batch_new (store);
      guint left = f->rows->len - MIN (f->rows->len, PIECE);

      for (guint i = left; i < f->rows->len; i++)
        rook_batch_delete (batch, table, g_ptr_array_index (f->rows, i));
      f->n_rows += f->rows->len - left;
      g_ptr_array_set_size (f->rows, (gint) left);
      commit (f, store, batch);
    }
}

/* All rows of @table that belong to those who are looked for. */
static void
clear_table (Forgetting *f, RookStore *store, RookTable table)
{
  gboolean more = TRUE;

  while (more && go_on (f))
    {
      rook_store_foreach (store, table, look_at_row, f, &f->error);
      more = f->rows->len >= AT_ONCE;
      delete_rows (f, store, table);
    }
}

/* A piece of the ids, from @first on: their rows in a table that has ids as keys. */
static void
delete_ids (Forgetting *f, RookStore *store, RookTable table, guint first)
{
  RookBatch *batch = rook_batch_new (store);

  for (guint i = first; i < MIN (first + PIECE, f->ids->len); i++)
    {
      g_autoptr (GBytes) key = rook_user_id_bytes (g_array_index (f->ids, guint64, i));

      rook_batch_delete (batch, table, key);
    }
  commit (f, store, batch);
}

static void
note_forgotten (Forgetting *f, guint first)
{
  for (guint i = first; i < MIN (first + PIECE, f->ids->len) && f->error == NULL; i++, f->n_users++)
    rook_users_forget (f->mail->users, g_array_index (f->ids, guint64, i));
}

/* Of those who were given up when this began. Each partition has to be there: else they are looked for again the next time. */
static void
clear_partitions (Forgetting *f)
{
  for (guint i = 0; i < f->mail->partitions->len && go_on (f); i++)
    {
      RookPartition *partition = g_ptr_array_index (f->mail->partitions, i);
      RookStore *store = rook_partition_get_store (partition);

      if (store != NULL)
        clear_table (f, store, ROOK_PART_SEEN);
      else
        f->is_partial = TRUE;
      for (guint n = 0; store != NULL && n < f->ids->len && go_on (f); n += PIECE)
        delete_ids (f, store, ROOK_PART_USERS, n);
    }
}

/* Last the state store's word that there is something. */
static void
forget (gpointer data)
{
  Forgetting *f = data;
  RookStore *state = rook_mail_get_state (f->mail);

  clear_partitions (f);
  if (go_on (f))
    clear_table (f, state, ROOK_STATE_SUBSCRIPTIONS);
  for (guint n = 0; !f->is_partial && n < f->ids->len && go_on (f); n += PIECE)
    {
      delete_ids (f, state, ROOK_STATE_GONE, n);
      note_forgotten (f, n);
    }
  rook_mail_end_blocking (f->mail);
}

static void
finish (RookPoolOutcome outcome G_GNUC_UNUSED, gpointer data)
{
  Forgetting *f = data;
  g_autofree char *summary = g_strdup_printf ("%u users forgotten, with %u rows", f->n_users, f->n_rows);
  g_autoptr (GError) error = f->error != NULL ? rook_mail_error_from_store (f->mail, f->error) : NULL;

  rook_job_run_done (f->run, summary, error);
  g_hash_table_unref (f->gone);
  g_array_unref (f->ids);
  g_ptr_array_unref (f->rows);
  g_clear_error (&f->error);
  g_free (f);
}

static void
run_forget (gpointer data, RookJobRun *run)
{
  RookMail *mail = data;
  Forgetting *f = g_new0 (Forgetting, 1);

  *f = (Forgetting){ .mail = mail,
                     .run = run,
                     .ids = rook_users_list_gone (mail->users),
                     .gone = g_hash_table_new (g_int64_hash, g_int64_equal),
                     .rows = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref) };
  for (guint i = 0; i < f->ids->len; i++)
    g_hash_table_add (f->gone, &g_array_index (f->ids, guint64, i));
  if (f->ids->len == 0 || !rook_mail_begin_blocking (mail))
    finish (ROOK_POOL_RAN, f);
  else if (!rook_pool_run (rook_server_get_pool (mail->server), 0, forget, finish, f))
    {
      rook_mail_end_blocking (mail);
      finish (ROOK_POOL_RAN, f);
    }
}

static const RookJob forget_job = { .struct_size = sizeof (RookJob),
                                    .name = ROOK_MAIL_JOB_USERS,
                                    .summary = "Clears away what deleted users had seen and were subscribed to.",
                                    .when = "daily 04:20",
                                    .run = run_forget };

void
rook_mail_add_forget (RookMail *mail)
{
  RookSchedule *schedule = rook_server_get_schedule (mail->server);

  if (schedule != NULL)
    rook_schedule_add (schedule, &forget_job, mail);
}
