/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The stores: one for state, one a partition; each with the id it is known by. At the start, and by a reload that brought
 * their plugin, those that can be had are opened, what the state store says is read, and only then are they published.
 *
 * Nothing is initialised in silence: a new state store only where no partition holds anything, a new partition store
 * only for a partition that the state store does not know.
 */
#include <string.h>

#include "mailbox/codec.h"
#include "mailbox/mail.h"
#include "mailbox/record.h"
#include "storage/storage-private.h"

#define META_POSITIONS "positions"                        /* 8 bytes: no higher one was given */
#define TELL_US (3 * G_USEC_PER_SEC)                      /* between lines about an opening that takes long */
#define POSITIONS_RESERVED (G_GUINT64_CONSTANT (1) << 46) /* they follow the clock's microseconds: two years */

GBytes *
rook_bytes_of_text (const char *text)
{
  return g_bytes_new (text, strlen (text));
}

void
rook_mail_set_backend (RookMail *mail, const RookStorageBackend *backend, gpointer data)
{
  mail->test_backend = backend;
  mail->test_backend_data = data;
}

RookStore *
rook_mail_open_store (RookMail *mail, const char *backend, const RookStoreSpec *spec, GError **error)
{
  if (mail->test_backend != NULL)
    return rook_store_open_backend (mail->server, mail->test_backend, mail->test_backend_data, spec, error);
  return rook_store_open (mail->server, backend, spec, error);
}

gboolean
rook_is_empty_place (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);

  return dir == NULL || g_dir_read_name (dir) == NULL;
}

/* --- the state store -------------------------------------------------------------------------------------------- */

static gboolean
may_create_state (RookConfig *config)
{
  g_autoptr (GPtrArray) groups = rook_config_get_instances (config, "partition");

  for (guint i = 0; i < groups->len; i++)
    if (!rook_is_empty_place (rook_config_group_get_string (g_ptr_array_index (groups, i), "path")))
      return FALSE;
  return TRUE;
}

/* On a full disk too: who can't start can't delete. What the reservation refuses the commit refuses. */
static gboolean
put_meta (RookStore *state, const char *key, GBytes *value, GError **error)
{
  RookBatch *batch = rook_batch_new (state);
  g_autoptr (GBytes) key_bytes = rook_bytes_of_text (key);

  rook_batch_put (batch, ROOK_STATE_META, key_bytes, value);
  rook_batch_reserve (batch, 0, TRUE, NULL);
  return rook_store_commit_wait (state, batch, NULL, error);
}

/* A fresh state store is marked with its format, and one of an earlier; one of a newer format is refused, and one that was being
 * reconstructed. */
static gboolean
check_format (RookStore *state, gboolean may_create, GError **error)
{
  g_autoptr (GBytes) key = rook_bytes_of_text (ROOK_META_FORMAT), value = NULL;
  g_autoptr (GBytes) unfinished_key = rook_bytes_of_text (ROOK_META_RECONSTRUCTING), unfinished = NULL;
  guint8 format[4];

  if (!rook_store_get_wait (state, ROOK_STATE_META, key, &value, error)
      || !rook_store_get_wait (state, ROOK_STATE_META, unfinished_key, &unfinished, error))
    return FALSE;
  if (unfinished != NULL)
    {
      g_set_error_literal (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "its reconstruction was cut short");
      return FALSE;
    }
  if (value == NULL && !may_create)
    {
      g_set_error_literal (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "there is nothing in it");
      return FALSE;
    }
  if (value != NULL
      && (g_bytes_get_size (value) != 4 || rook_get32 (g_bytes_get_data (value, NULL)) > ROOK_STATE_FORMAT))
    {
      g_set_error_literal (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE,
                           "the state store was written by a newer version");
      return FALSE;
    }
  if (value != NULL && rook_get32 (g_bytes_get_data (value, NULL)) == ROOK_STATE_FORMAT)
    return TRUE;
  g_clear_pointer (&value, g_bytes_unref);
  rook_put32 (format, ROOK_STATE_FORMAT);
  value = g_bytes_new (format, sizeof format);
  return put_meta (state, ROOK_META_FORMAT, value, error);
}

const char *
rook_mail_get_state_backend (RookConfig *config)
{
  return rook_config_group_get_string (rook_config_get_group (config, "mailbox", NULL), "storage");
}

char *
rook_mail_make_state_path (RookConfig *config)
{
  RookConfigGroup *group = rook_config_get_group (config, "server", NULL);

  return g_build_filename (rook_config_group_get_string (group, "state-directory"), ROOK_MAIL_STATE_STORE, NULL);
}

/* One that is lost or damaged is not made anew while partitions hold mail: what they know of it can be had back. */
static gboolean
open_state (RookOpening *opening, GError **error)
{
  g_autofree char *path = rook_mail_make_state_path (opening->config);
  gboolean may_create = may_create_state (opening->config);
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = path, .create = may_create };
  g_autoptr (GError) failed = NULL;

  opening->state = rook_mail_open_store (opening->mail, rook_mail_get_state_backend (opening->config), &spec, &failed);
  if (opening->state != NULL && check_format (opening->state, may_create, &failed))
    return TRUE;
  if (!may_create
      && (g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY)
          || g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT)))
    g_prefix_error (&failed,
                    "the state store %s is lost or damaged, and not made anew, for a partition holds mail; `rookctl "
                    "reconstruct --mailboxes` makes it of what the partitions know: ",
                    path);
  g_propagate_error (error, g_steal_pointer (&failed));
  return FALSE;
}

/* --- partitions ------------------------------------------------------------------------------------------------- */

static RookPartition *
partition_new (RookConfigGroup *group, RookConfig *config)
{
  RookPartition *partition = g_new0 (RookPartition, 1);
  const char *backend = rook_config_group_get_string (group, "storage");

  if (backend == NULL || *backend == '\0')
    backend = rook_mail_get_state_backend (config);
  partition->name = g_strdup (rook_config_group_get_instance (group));
  partition->path = g_strdup (rook_config_group_get_string (group, "path"));
  partition->backend = g_strdup (backend);
  return partition;
}

static void
partition_free (gpointer data)
{
  RookPartition *partition = data;

  g_assert (partition->store == NULL);
  g_free (partition->name);
  g_free (partition->path);
  g_free (partition->backend);
  g_free (partition->reason);
  g_free (partition);
}

void
rook_mail_add_partitions (RookMail *mail, RookConfig *config)
{
  g_autoptr (GPtrArray) groups = rook_config_get_instances (config, "partition");

  mail->partitions = g_ptr_array_new_with_free_func (partition_free);
  for (guint i = 0; i < groups->len; i++)
    g_ptr_array_add (mail->partitions, partition_new (g_ptr_array_index (groups, i), config));
}

typedef struct {
  RookMail *mail;
  RookPartition *partition;
  gint64 told_us; /* monotonic */
} Progress;

/* Of what takes long. */
static gboolean
note_progress (double percent, const char *text, gpointer data)
{
  Progress *progress = data;
  gint64 now_us = g_get_monotonic_time ();
  g_autofree char *how_far = NULL;

  if (now_us - progress->told_us < TELL_US)
    return TRUE;
  progress->told_us = now_us;
  how_far = g_strdup_printf ("%.0f%%: %s", percent, text);
  rook_log_event (rook_server_get_log (progress->mail->server), ROOK_LOG_NOTICE, "mailbox.opening", "partition",
                  progress->partition->name, "message", how_far, NULL);
  return TRUE;
}

static void
note_lost (const char *what, gpointer data)
{
  char **lost = data;

  g_free (*lost);
  *lost = g_strdup (what);
}

static guint32
next_uidvalidity (RookOpening *opening)
{
  guint32 now = (guint32) (g_get_real_time () / G_USEC_PER_SEC);

  if (opening->names == NULL)
    return rook_mail_next_uidvalidity (opening->mail);
  return opening->names->last_uidvalidity = MAX (now, opening->names->last_uidvalidity + 1);
}

/* @lost: (nullable) what is gone of it */
static gboolean
renew_partition (RookOpening *opening, RookPartition *partition, RookStore *store, const char *lost, GError **error)
{
  guint32 renewed;

  if (!rook_renewed_get (store, &renewed, error))
    return FALSE;
  if (lost != NULL)
    {
      renewed = next_uidvalidity (opening);
      if (!rook_renewed_put (store, renewed, error))
        return FALSE;
      rook_mail_log_renewed (opening->mail, partition->name, renewed, lost);
    }
  else if (opening->names != NULL)
    opening->names->last_uidvalidity = MAX (opening->names->last_uidvalidity, renewed);
  __atomic_store_n (&partition->renewed, renewed, __ATOMIC_RELAXED);
  return TRUE;
}

/* Under the id that the state store knows it by, and no older than that knows it; one that it does not know is made, and made
 * known. (transfer full) */
static RookStore *
open_partition (RookOpening *opening, RookStore *state, RookPartition *partition, GError **error)
{
  RookMail *mail = opening->mail;
  Progress progress = { mail, partition, g_get_monotonic_time () };
  RookRebuildFor whom = { mail, partition, opening->names, opening->users };
  RookStoreSpec spec = { .struct_size = sizeof spec,
                         .path = partition->path,
                         .progress = note_progress,
                         .progress_data = &progress,
                         .rebuild = rook_mail_rebuild_partition,
                         .rebuild_data = &whom,
                         .lost = note_lost };
  g_autofree char *id = NULL, *lost = NULL;
  RookStore *store;
  RookBatch *batch;

  if (!rook_known_get (state, partition->name, &id, &spec.min_position, error))
    return NULL;
  spec.store_id = id;
  spec.create = id == NULL;
  spec.lost_data = &lost;
  store = rook_mail_open_store (mail, partition->backend, &spec, error);
  if (store == NULL)
    {
      if (g_error_matches (*error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY))
        g_prefix_error (error,
                        "this is not the partition as it was (is its disk mounted? If it is meant, `rookctl store "
                        "accept %s`): ",
                        partition->name);
      return NULL;
    }
  if (!renew_partition (opening, partition, store, lost, error))
    g_clear_pointer (&store, rook_store_close);
  if (store == NULL || (id != NULL && rook_store_get_position (store) <= spec.min_position))
    return store;
  batch = rook_batch_new (state);
  rook_known_put (batch, partition->name, rook_store_get_id (store), rook_store_get_position (store));
  rook_batch_reserve (batch, 0, TRUE, NULL); /* a start needs no room: see put_meta() */
  if (!rook_store_commit_wait (state, batch, NULL, error))
    g_clear_pointer (&store, rook_store_close);
  return store;
}

/* One that can't be had is unavailable, and the rest runs; but a reload is all or nothing: it takes only what was there to
 * be seen before. */
static gboolean
try_partition (RookOpening *opening, guint index, RookStore *state, GError **error)
{
  RookPartition *partition = g_ptr_array_index (opening->mail->partitions, index);
  g_autoptr (GError) reason = NULL;
  gboolean had_failed = partition->has_failed, no_plugin;

  opening->stores[index] = open_partition (opening, state, partition, &reason);
  if (reason == NULL && !rook_opening_bring_up_to_date (opening, opening->stores[index], &reason))
    g_clear_pointer (&opening->stores[index], rook_store_close);
  no_plugin = g_error_matches (reason, ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNSUPPORTED);
  if (reason != NULL)
    rook_mail_note_reason (opening->mail, partition, reason->message);
  if (reason == NULL || (opening->serving && no_plugin))
    return TRUE;
  if (opening->serving && !had_failed)
    {
      g_propagate_prefixed_error (error, g_steal_pointer (&reason),
                                  "partition %s (%s) can't be opened: ", partition->name, partition->path);
      return FALSE;
    }
  partition->has_failed = !no_plugin;
  rook_log_event (rook_server_get_log (opening->mail->server), ROOK_LOG_ERROR, "mailbox.partition-unavailable",
                  "partition", partition->name, "path", partition->path, "reason", reason->message, NULL);
  return TRUE;
}

static gboolean
open_partitions (RookOpening *opening, GError **error)
{
  RookStore *state = opening->state != NULL ? opening->state : rook_mail_get_state (opening->mail);

  for (guint i = 0; i < opening->mail->partitions->len; i++)
    if (rook_partition_get_store (g_ptr_array_index (opening->mail->partitions, i)) == NULL
        && !try_partition (opening, i, state, error))
      return FALSE;
  return TRUE;
}

/* --- names ------------------------------------------------------------------------------------------------------ */

typedef struct {
  RookNames *names;
  guint damaged;
} Reading;

static gboolean
read_mailbox (RookTable table, GBytes *key, GBytes *value, gpointer data)
{
  Reading *reading = data;
  g_autoptr (RookEntry) entry = rook_entry_decode (key, value);

  (void) table;
  if (entry == NULL)
    {
      reading->damaged++;
      return TRUE;
    }
  rook_names_add (reading->names, entry);
  return TRUE;
}

static gboolean
read_uidvalidity (RookOpening *opening, GError **error)
{
  g_autoptr (GBytes) key = rook_bytes_of_text (ROOK_META_UIDVALIDITY), value = NULL;

  if (!rook_store_get_wait (opening->state, ROOK_STATE_META, key, &value, error))
    return FALSE;
  if (value != NULL && g_bytes_get_size (value) == 4)
    opening->names->last_uidvalidity =
        MAX (opening->names->last_uidvalidity, rook_get32 (g_bytes_get_data (value, NULL)));
  return TRUE;
}

static gboolean
read_names (RookOpening *opening, GError **error)
{
  Reading reading = { .names = rook_names_new () };

  opening->names = reading.names;
  if (!rook_store_foreach (opening->state, ROOK_STATE_MAILBOXES, read_mailbox, &reading, error)
      || !rook_opening_read_users (opening, &reading.damaged, error) || !read_uidvalidity (opening, error))
    return FALSE;
  if (reading.damaged > 0)
    rook_log_message (rook_server_get_log (opening->mail->server), ROOK_LOG_ERROR, "mailbox.state-damaged",
                      "%u entries of the state store do not read", reading.damaged);
  return TRUE;
}

/* --- positions ------------------------------------------------------------------------------------------------------ */

/* Whether all that may hold positions is there. */
static gboolean
has_all_partitions (const RookOpening *opening)
{
  for (guint i = 0; i < opening->mail->partitions->len; i++)
    if (opening->stores[i] == NULL
        && rook_partition_get_store (g_ptr_array_index (opening->mail->partitions, i)) == NULL)
      return FALSE;
  return TRUE;
}

/* Each start reserves more positions than a server gives in its life, so that the next need not look for the highest. Where
 * none were reserved (a state store of an older version), and until all partitions are there, they are looked through. */
static gboolean
reserve_positions (RookOpening *opening, GError **error)
{
  RookStore *state = opening->state != NULL ? opening->state : rook_mail_get_state (opening->mail);
  g_autoptr (GBytes) key = rook_bytes_of_text (META_POSITIONS), value = NULL, next = NULL;
  guint8 bytes[8];

  if (!rook_store_get_wait (state, ROOK_STATE_META, key, &value, error))
    return FALSE;
  if (value != NULL && g_bytes_get_size (value) == sizeof bytes)
    opening->highest = opening->state != NULL ? rook_get64 (g_bytes_get_data (value, NULL)) : 0;
  else
    opening->highest = rook_opening_find_highest (opening);
  if (value != NULL ? opening->state == NULL : !has_all_partitions (opening))
    return TRUE;
  rook_put64 (bytes, MAX (opening->highest, (guint64) g_get_real_time ()) + POSITIONS_RESERVED);
  next = g_bytes_new (bytes, sizeof bytes);
  return put_meta (state, META_POSITIONS, next, error);
}

/* --- all of them -------------------------------------------------------------------------------------------------- */

static RookOpening *
opening_new (RookMail *mail, gboolean serving)
{
  RookOpening *opening = g_new0 (RookOpening, 1);

  opening->mail = mail;
  opening->config = rook_server_get_config (mail->server);
  opening->serving = serving;
  opening->stores = g_new0 (RookStore *, mail->partitions->len + 1);
  opening->buried = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_entry_unref);
  opening->left = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
  return opening;
}

static void
close_all (RookOpening *opening)
{
  for (guint i = 0; i < opening->mail->partitions->len; i++)
    g_clear_pointer (&opening->stores[i], rook_store_close);
  g_clear_pointer (&opening->state, rook_store_close);
}

void
rook_opening_free (RookOpening *opening)
{
  close_all (opening);
  g_clear_pointer (&opening->names, rook_names_free);
  g_clear_pointer (&opening->users, rook_users_free);
  g_ptr_array_unref (opening->buried);
  g_hash_table_unref (opening->left);
  rook_config_unref (opening->config);
  g_clear_error (&opening->error);
  g_free (opening->stores);
  g_free (opening);
}

static gboolean
open_names (RookOpening *opening, GError **error)
{
  g_autoptr (GError) reason = NULL;

  if (open_state (opening, &reason) && read_names (opening, &reason))
    return TRUE;
  rook_mail_note_reason (opening->mail, NULL, reason->message);
  g_propagate_error (error, g_steal_pointer (&reason));
  return FALSE;
}

static gboolean
open_all (RookOpening *opening, GError **error)
{
  if (rook_mail_get_state (opening->mail) == NULL && !open_names (opening, error))
    return FALSE;
  if (!open_partitions (opening, error))
    return FALSE;
  if (!reserve_positions (opening, error))
    return FALSE;
  rook_opening_find_buried (opening);
  return TRUE;
}

/* Last the state store, without which nothing is asked of the rest. */
void
rook_opening_publish (RookOpening *opening)
{
  RookMail *mail = opening->mail;

  rook_mutex_lock (&mail->lock);
  mail->closing = FALSE;
  rook_mutex_unlock (&mail->lock);
  for (guint i = 0; i < mail->partitions->len; i++)
    if (opening->stores[i] != NULL)
      __atomic_store_n (&((RookPartition *) g_ptr_array_index (mail->partitions, i))->store,
                        g_steal_pointer (&opening->stores[i]), __ATOMIC_RELEASE);
  if (opening->users != NULL)
    rook_users_publish (mail->users, g_steal_pointer (&opening->users));
  if (opening->names != NULL)
    rook_names_publish (mail, g_steal_pointer (&opening->names));
  if (opening->state != NULL)
    __atomic_store_n (&mail->state, g_steal_pointer (&opening->state), __ATOMIC_RELEASE);
  __atomic_store_n (&mail->noted_us, g_get_monotonic_time (), __ATOMIC_RELAXED);
  rook_quota_note_stores (mail);
  rook_opening_go_on (opening);
  if (opening->serving)
    rook_log_message (rook_server_get_log (mail->server), ROOK_LOG_NOTICE, "mail.available", "stores were opened");
  rook_opening_free (opening);
}

gboolean
rook_mail_open_stores (RookMail *mail, GError **error)
{
  RookOpening *opening = opening_new (mail, FALSE);

  if (!open_all (opening, error))
    {
      rook_opening_free (opening);
      return FALSE;
    }
  rook_opening_publish (opening);
  return TRUE;
}

/* --- in a reload ---------------------------------------------------------------------------------------------------- */

static gboolean
is_offered (RookMail *mail, const char *backend)
{
  return mail->test_backend != NULL || rook_storage_has (rook_server_get_storage (mail->server), backend);
}

/* Whether something is not open that could be. */
static gboolean
lacks_stores (RookMail *mail, RookConfig *config)
{
  if (rook_mail_get_state (mail) == NULL)
    return is_offered (mail, rook_mail_get_state_backend (config));
  for (guint i = 0; i < mail->partitions->len; i++)
    {
      RookPartition *partition = g_ptr_array_index (mail->partitions, i);

      if (rook_partition_get_store (partition) == NULL && is_offered (mail, partition->backend))
        return TRUE;
    }
  return FALSE;
}

static void
prepare_work (gpointer data)
{
  RookOpening *opening = data;

  if (!open_all (opening, &opening->error))
    close_all (opening);
}

static void
prepared (RookPoolOutcome outcome, gpointer data)
{
  RookOpening *opening = data;
  RookMailPrepared callback = opening->callback;
  gpointer callback_data = opening->data;
  g_autoptr (GError) error = g_steal_pointer (&opening->error);

  if (outcome == ROOK_POOL_RAN && error == NULL)
    opening->mail->opening = opening;
  else
    rook_opening_free (opening);
  if (outcome != ROOK_POOL_CANCELLED)
    callback (error, callback_data);
}

void
rook_mail_prepare (RookMail *mail, RookMailPrepared callback, gpointer data)
{
  RookOpening *opening = opening_new (mail, TRUE);
  g_autoptr (GError) error = NULL;

  g_assert (mail->opening == NULL);
  opening->callback = callback;
  opening->data = data;
  if (lacks_stores (mail, opening->config))
    {
      if (rook_pool_run (rook_server_get_pool (mail->server), 0, prepare_work, prepared, opening))
        return;
      g_set_error_literal (&error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE,
                           "no thread is free to open the stores (server/pool-queue): try again");
    }
  rook_opening_free (opening);
  callback (error, data);
}

void
rook_mail_describe_opened (RookMail *mail, GPtrArray *changes)
{
  if (mail->opening == NULL)
    return;
  if (mail->opening->state != NULL)
    g_ptr_array_add (changes, g_strdup ("opened the state store"));
  for (guint i = 0; i < mail->partitions->len; i++)
    if (mail->opening->stores[i] != NULL)
      g_ptr_array_add (changes, g_strconcat ("opened partition ",
                                             ((RookPartition *) g_ptr_array_index (mail->partitions, i))->name, NULL));
}
