/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clearing away what moves between partitions have left: the source of one that is done, what was copied by one that was not.
 *
 * The entry says where something may be left (RookEntry.left), from before the first byte of it was written until it was looked
 * for in vain. Each slice has its turn among the changes of names, so that nobody moves the mailbox back meanwhile.
 */
#include "log/log-private.h"
#include "mailbox/change.h"

#define SLICE_PAGES 64            /* in a turn: 4032 messages */
#define FIRST_WAIT_MS 50          /* before what failed is tried again; each time twice as long, */
#define LAST_WAIT_MS (600 * 1000) /* up to this */

/* --- \Seen of others: whose there is ---------------------------------------------------------------------------- */

typedef struct {
  RookMail *mail;     /* (unowned) */
  RookStore *store;   /* (unowned) */
  RookWorker *worker; /* (unowned) */
  GHashTable *found;
  GError *error;
  RookSeenScanDone done;
  gpointer data;
} Scan;

GHashTable *
rook_seen_rows_new (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_hash_table_unref);
}

void
rook_seen_rows_want (GHashTable *rows, const char *id)
{
  g_hash_table_replace (rows, g_strdup (id),
                        g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_bytes_unref));
}

static gboolean
look_at_row (RookTable table G_GNUC_UNUSED, GBytes *key, GBytes *value, gpointer data)
{
  Scan *scan = data;
  g_autofree char *id = NULL, *user = NULL;
  gboolean old, is_read = rook_seen_key_parse (key, &id, &user, &old);
  GHashTable *rows = is_read && !old ? g_hash_table_lookup (scan->found, id) : NULL;

  if (rows != NULL)
    g_hash_table_replace (rows, g_steal_pointer (&user), g_bytes_ref (value));
  return !rook_mail_is_closing (scan->mail);
}

static void
scan_end (const GError *error, gpointer data)
{
  Scan *scan = data;

  scan->done (scan->found, error, scan->data);
  g_hash_table_unref (scan->found);
  g_clear_error (&scan->error);
  g_free (scan);
}

static void
looked_through (gpointer data)
{
  Scan *scan = data;
  g_autoptr (GError) ours = NULL;

  if (scan->error != NULL)
    ours = rook_mail_error_from_store (scan->mail, scan->error);
  else if (rook_mail_is_closing (scan->mail))
    ours = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE, "the server is closing");
  scan_end (ours, scan);
}

/* On a pool thread. The answer is on its way before the stores may be closed. */
static void
look_through (gpointer data)
{
  Scan *scan = data;
  RookMail *mail = scan->mail;

  rook_store_foreach (scan->store, ROOK_PART_SEEN, look_at_row, scan, &scan->error);
  rook_worker_invoke (scan->worker, looked_through, scan, NULL);
  rook_mail_end_blocking (mail);
}

void
rook_seen_scan (RookMail *mail, RookStore *store, GHashTable *rows, RookSeenScanDone done, gpointer data)
{
  Scan *scan = g_new0 (Scan, 1);

  *scan = (Scan){ .mail = mail,
                  .store = store,
                  .worker = rook_worker_current (),
                  .found = g_hash_table_ref (rows),
                  .done = done,
                  .data = data };
  if (!rook_mail_begin_blocking (mail))
    rook_mail_answer_later (
        scan_end, scan, g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE, "the server is closing"));
  else if (!rook_pool_run (rook_server_get_pool (mail->server), 0, look_through, NULL, scan))
    {
      rook_mail_end_blocking (mail);
      rook_mail_answer_later (
          scan_end, scan,
          g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_TEMPORARY, "too busy, try again later"));
    }
}

GPtrArray *
rook_seen_rows_dup_users (GHashTable *rows, const char *id)
{
  GPtrArray *users = g_ptr_array_new_with_free_func (g_free);
  GHashTable *found = rows != NULL ? g_hash_table_lookup (rows, id) : NULL;
  GHashTableIter iter;
  gpointer user;

  if (found == NULL)
    return users;
  g_hash_table_iter_init (&iter, found);
  while (g_hash_table_iter_next (&iter, &user, NULL))
    g_ptr_array_add (users, g_strdup (user));
  return users;
}

/* --- from mailbox to mailbox ------------------------------------------------------------------------------------ */

typedef struct {
  RookMail *mail;           /* (unowned) */
  RookPartition *partition; /* (unowned) */
  RookStore *store;         /* (unowned) */
  GPtrArray *ids;           /* (element-type utf8) */
  guint next;
  GHashTable *rows;  /* what others have seen of them, */
  gboolean has_rows; /* once it was looked for */
  /* Of the mailbox that it is at: */
  RookTurn *turn;         /* (nullable) */
  char *root;             /* of the turn */
  RookEntry *entry;       /* (owned) (nullable) as it was in the last slice */
  RookClearing *clearing; /* (nullable) */
  RookWorker *worker;     /* (unowned) */
  RookTimer timer;        /* runs before it is tried again */
  guint wait_ms;
} Sweep;

static void take_turn (Sweep *sweep);
static void rows_found (GHashTable *rows, const GError *error, gpointer data);

static void
sweep_free (Sweep *sweep)
{
  rook_mutex_lock (&sweep->mail->lock);
  g_ptr_array_remove_fast (sweep->mail->sweeps, sweep);
  rook_mutex_unlock (&sweep->mail->lock);
  rook_timer_stop (&sweep->timer);
  g_ptr_array_unref (sweep->ids);
  g_hash_table_unref (sweep->rows);
  g_free (sweep->root);
  g_free (sweep);
}

static const char *
id_of (Sweep *sweep)
{
  return g_ptr_array_index (sweep->ids, sweep->next);
}

static void
end_turn (Sweep *sweep)
{
  g_clear_pointer (&sweep->turn, rook_turn_end);
  g_clear_pointer (&sweep->root, g_free);
}

static void
next_mailbox (Sweep *sweep)
{
  end_turn (sweep);
  g_clear_pointer (&sweep->entry, rook_entry_unref);
  g_clear_pointer (&sweep->clearing, rook_clearing_free);
  sweep->next++;
  sweep->wait_ms = 0;
  take_turn (sweep);
}

static void
try_again (gpointer data)
{
  Sweep *sweep = data;

  if (sweep->has_rows || rook_mail_is_closing (sweep->mail))
    take_turn (sweep);
  else
    rook_seen_scan (sweep->mail, sweep->store, sweep->rows, rows_found, sweep);
}

/* What could not be cleared stays, and the entry says so. It is told once, and tried again until it is cleared, by this server
 * or by the next. */
static void
clear_later (Sweep *sweep, const GError *error)
{
  if (sweep->wait_ms == 0 && !rook_mail_is_closing (sweep->mail))
    rook_log_event (rook_server_get_log (sweep->mail->server), ROOK_LOG_WARNING, "mailbox.clear-later", "id",
                    id_of (sweep), "partition", sweep->partition->name, "reason", error->message, NULL);
  end_turn (sweep);
  g_clear_pointer (&sweep->clearing, rook_clearing_free);
  sweep->wait_ms = CLAMP (2 * sweep->wait_ms, FIRST_WAIT_MS, LAST_WAIT_MS);
  if (rook_mail_is_closing (sweep->mail))
    take_turn (sweep);
  else
    rook_timer_start (&sweep->timer, sweep->wait_ms);
}

/* (nullable) one of this worker's that waits before it is tried again */
static Sweep *
find_waiting (RookMail *mail)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->lock);

  for (guint i = 0; i < mail->sweeps->len; i++)
    {
      Sweep *sweep = g_ptr_array_index (mail->sweeps, i);

      if (sweep->worker == rook_worker_current () && rook_timer_is_running (&sweep->timer))
        return sweep;
    }
  return NULL;
}

static void
end_waiting (gpointer data)
{
  for (Sweep *sweep; (sweep = find_waiting (data)) != NULL;)
    {
      rook_timer_stop (&sweep->timer);
      take_turn (sweep);
    }
}

void
rook_mail_end_sweeps (RookMail *mail)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->lock);

  for (guint i = 0; i < mail->sweeps->len; i++)
    rook_worker_invoke (((Sweep *) g_ptr_array_index (mail->sweeps, i))->worker, end_waiting, mail, NULL);
}

static void
entry_told (guint64 position G_GNUC_UNUSED, const GError *error, gpointer data)
{
  Sweep *sweep = data;
  g_autoptr (GError) ours = NULL;
  RookMailbox *mailbox;

  if (error != NULL)
    {
      ours = rook_mail_error_from_store (sweep->mail, error);
      clear_later (sweep, ours);
      return;
    }
  rook_mutex_lock (&sweep->mail->lock);
  rook_names_put (sweep->mail, sweep->entry);
  rook_mutex_unlock (&sweep->mail->lock);
  mailbox = rook_mail_ref_open (sweep->mail, sweep->entry->id);
  if (mailbox != NULL)
    rook_mailbox_set_entry (mailbox, sweep->entry);
  g_clear_pointer (&mailbox, rook_mailbox_unref);
  next_mailbox (sweep);
}

static void
tell_entry (Sweep *sweep)
{
  RookStore *state = rook_mail_get_state (sweep->mail);
  RookEntry *swept = rook_entry_new (sweep->entry);
  g_autoptr (GBytes) key = rook_bytes_of_text (swept->id), value = NULL;
  RookBatch *batch = rook_batch_new (state);

  rook_entry_set_remove (&swept->left, sweep->partition->name);
  swept->cleared = sweep->entry->cleared;
  rook_entry_derive (swept);
  rook_entry_unref (sweep->entry);
  sweep->entry = swept;
  value = rook_entry_encode (swept);
  rook_batch_put (batch, ROOK_STATE_MAILBOXES, key, value);
  rook_batch_reserve (batch, 0, TRUE, NULL); /* what that refuses the commit refuses */
  rook_store_commit (state, batch, entry_told, sweep);
}

static void
slice_cleared (RookClearing *clearing G_GNUC_UNUSED, gboolean more, const GError *error, gpointer data)
{
  Sweep *sweep = data;

  if (error != NULL)
    clear_later (sweep, error);
  else if (more)
    {
      end_turn (sweep);
      take_turn (sweep);
    }
  else
    tell_entry (sweep);
}

static void
clear_slice (Sweep *sweep, RookEntry *entry)
{
  /* Whoever changed the entry between two slices may have left more: it is looked at anew. */
  if (entry != sweep->entry)
    g_clear_pointer (&sweep->clearing, rook_clearing_free);
  g_clear_pointer (&sweep->entry, rook_entry_unref);
  sweep->entry = rook_entry_ref (entry);
  if (sweep->clearing == NULL)
    {
      g_autoptr (GPtrArray) users = rook_seen_rows_dup_users (sweep->rows, entry->id);

      sweep->clearing = rook_clearing_new (sweep->mail, sweep->store, entry->id, users);
    }
  rook_clearing_run (sweep->clearing, entry, SLICE_PAGES, slice_cleared, sweep);
}

static void
my_turn (RookTurn *turn, gpointer data)
{
  Sweep *sweep = data;
  g_autoptr (RookEntry) entry = rook_mail_ref_entry_by_id (sweep->mail, id_of (sweep));
  g_autofree char *root = entry != NULL ? rook_name_dup_root (entry->name) : NULL;

  sweep->turn = turn;
  if (root != NULL && !g_str_equal (root, sweep->root))
    {
      end_turn (sweep); /* it has been renamed meanwhile */
      take_turn (sweep);
    }
  else if (entry == NULL || rook_mail_is_closing (sweep->mail)
           || !rook_entry_set_contains (entry->left, sweep->partition->name)
           || g_str_equal (entry->partition, sweep->partition->name))
    next_mailbox (sweep);
  else
    clear_slice (sweep, entry);
}

static void
take_turn (Sweep *sweep)
{
  g_autoptr (RookEntry) entry = NULL;

  while (sweep->next < sweep->ids->len && !rook_mail_is_closing (sweep->mail))
    {
      entry = rook_mail_ref_entry_by_id (sweep->mail, id_of (sweep));
      if (entry != NULL)
        break;
      sweep->next++;
    }
  if (entry == NULL)
    {
      g_clear_pointer (&sweep->entry, rook_entry_unref);
      g_clear_pointer (&sweep->clearing, rook_clearing_free);
      sweep_free (sweep);
      return;
    }
  sweep->root = rook_name_dup_root (entry->name);
  rook_turn_take (sweep->mail, entry->name, NULL, my_turn, sweep);
}

static void
rows_found (GHashTable *rows G_GNUC_UNUSED, const GError *error, gpointer data)
{
  Sweep *sweep = data;

  sweep->has_rows = error == NULL;
  if (error == NULL)
    take_turn (sweep);
  else
    clear_later (sweep, error);
}

void
rook_mail_sweep (RookMail *mail, const char *partition, GPtrArray *ids, GHashTable *rows)
{
  RookStore *store = rook_mail_get_store (mail, partition, NULL);
  Sweep *sweep;

  if (store == NULL || rook_mail_is_closing (mail))
    return; /* the next start does it */
  sweep = g_new0 (Sweep, 1);
  *sweep = (Sweep){ .mail = mail,
                    .partition = rook_mail_find_partition (mail, partition),
                    .store = store,
                    .ids = g_ptr_array_ref (ids),
                    .rows = rows != NULL ? g_hash_table_ref (rows) : rook_seen_rows_new (),
                    .has_rows = rows != NULL,
                    .worker = rook_worker_current () };
  rook_timer_init (&sweep->timer, sweep->worker, try_again, sweep);
  rook_mutex_lock (&mail->lock);
  g_ptr_array_add (mail->sweeps, sweep);
  rook_mutex_unlock (&mail->lock);
  if (rows != NULL)
    {
      take_turn (sweep);
      return;
    }
  for (guint i = 0; i < ids->len; i++)
    rook_seen_rows_want (sweep->rows, g_ptr_array_index (ids, i));
  rook_seen_scan (mail, store, sweep->rows, rows_found, sweep);
}

/* --- places that are left --------------------------------------------------------------------------------------- */

/* Waits for the last who reads there. */
typedef struct {
  RookMail *mail; /* (unowned) */
  char *key;      /* in RookMail.vacating */
  char *id, *partition;
  GHashTable *rows;   /* (owned) */
  RookWorker *worker; /* (unowned) (nullable) who waits for that, instead of the sweep: */
  RookFunc func;
  gpointer data;
} Vacating;

static char *
vacating_key (const char *id, const char *partition)
{
  return g_strconcat (partition, "/", id, NULL);
}

static void
vacated (gpointer data)
{
  Vacating *vacating = data;
  g_autoptr (GPtrArray) ids = g_ptr_array_new_with_free_func (g_free);

  rook_mutex_lock (&vacating->mail->lock);
  g_hash_table_remove (vacating->mail->vacating, vacating->key);
  rook_mutex_unlock (&vacating->mail->lock);
  g_ptr_array_add (ids, g_strdup (vacating->id));
  if (vacating->worker != NULL)
    rook_worker_invoke (vacating->worker, vacating->func, vacating->data, NULL);
  else
    rook_mail_sweep (vacating->mail, vacating->partition, ids, vacating->rows);
  g_hash_table_unref (vacating->rows);
  g_free (vacating->key);
  g_free (vacating->id);
  g_free (vacating->partition);
  g_free (vacating);
}

void
rook_mail_vacate (RookMail *mail, const char *id, RookPlace *place, GHashTable *rows)
{
  Vacating *vacating = g_new0 (Vacating, 1);

  *vacating = (Vacating){ .mail = mail,
                          .key = vacating_key (id, place->partition->name),
                          .id = g_strdup (id),
                          .partition = g_strdup (place->partition->name),
                          .rows = g_hash_table_ref (rows) };
  place->worker = rook_worker_current ();
  place->left = vacated;
  place->data = vacating;
  rook_mutex_lock (&mail->lock);
  g_hash_table_replace (mail->vacating, vacating->key, vacating);
  rook_mutex_unlock (&mail->lock);
}

gboolean
rook_mail_await_vacant (RookMail *mail, const char *id, const char *partition, RookFunc func, gpointer data)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->lock);
  g_autofree char *key = vacating_key (id, partition);
  Vacating *vacating = g_hash_table_lookup (mail->vacating, key);

  if (vacating == NULL)
    return FALSE;
  vacating->func = func;
  vacating->data = data;
  vacating->worker = rook_worker_current ();
  return TRUE;
}
