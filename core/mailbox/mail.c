/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The service itself: made with the server, given its stores before the first connection, taken apart at the end.
 */
#include "mailbox/mail.h"

#include "auth/auth-private.h"
#include "loop/loop-private.h"
#include "mailbox/box.h"

#define CLOSE_WAIT_US (2 * G_USEC_PER_SEC) /* for changes in flight */

static void
add_metrics (RookMail *mail)
{
  RookMetrics *metrics = rook_server_get_metrics (mail->server);

  mail->appends = rook_metrics_counter (metrics, "mailbox.appends", NULL, NULL, "messages stored");
  mail->duplicates =
      rook_metrics_counter (metrics, "mailbox.duplicates", NULL, NULL, "deliveries not stored, being there already");
  mail->commits = rook_metrics_counter (metrics, "mailbox.commits", NULL, NULL, "changes handed to a store");
  mail->failures = rook_metrics_counter (metrics, "mailbox.store-failures", NULL, NULL, "errors of a store");
  mail->n_mailboxes = rook_metrics_gauge (metrics, "mailbox.mailboxes", NULL, NULL, "mailboxes that exist");
  mail->n_open = rook_metrics_gauge (metrics, "mailbox.open", NULL, NULL, "mailboxes in memory");
}

/* --- what authentication wants to know of mailboxes ----------------------------------------------------------------- */

static gboolean
has_inbox (gpointer data, const char *user)
{
  g_autofree char *inbox = rook_name_of_user (user);

  return rook_mail_exists (data, inbox);
}

typedef struct {
  void (*done) (const GError *error, gpointer user_data);
  gpointer user_data;
} Welcome;

static void
welcomed (const GError *error, gpointer data)
{
  g_autofree Welcome *self = data;

  self->done (error, self->user_data);
}

static void
welcome (gpointer data, const char *user, void (*done) (const GError *error, gpointer user_data), gpointer user_data)
{
  Welcome *self = g_new0 (Welcome, 1);

  self->done = done;
  self->user_data = user_data;
  if (rook_mail_user_may_exist (data, user, ROOK_ENSURE_LOGIN))
    rook_mail_ensure_user (data, user, ROOK_ENSURE_LOGIN, welcomed, self);
  else /* that the configuration wants no mailbox made is no failure */
    rook_mail_answer_later (welcomed, self, NULL);
}

static const RookAuthMailboxes for_auth = { .has_inbox = has_inbox, .welcome = welcome };

/* -------------------------------------------------------------------------------------------------------------------- */

RookMail *
rook_mail_new (RookServer *server)
{
  g_autoptr (RookConfig) config = rook_server_get_config (server);
  RookMail *mail = g_new0 (RookMail, 1);

  mail->server = server;
  rook_mutex_init (&mail->lock);
  rook_cond_init (&mail->unblocked);
  mail->settings = rook_mail_settings_new (config);
  mail->page_cache = (gsize) mail->settings->page_cache;
  mail->turns = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  mail->open = g_hash_table_new (g_str_hash, g_str_equal);
  mail->clearing = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  mail->doubtful = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  mail->vacating = g_hash_table_new (g_str_hash, g_str_equal);
  mail->sweeps = g_ptr_array_new ();
  g_queue_init (&mail->idle);
  mail->names = rook_names_new ();
  mail->quotas = rook_quotas_new ();
  mail->users = rook_users_new ();
  rook_mail_add_partitions (mail, config);
  add_metrics (mail);
  rook_mail_add_verbs (mail);
  rook_mail_add_jobs (mail);
  rook_mail_add_upkeep (mail);
  rook_mail_add_forget (mail);
  rook_mail_add_expire (mail);
  rook_mail_add_room (mail);
  rook_mail_add_verify (mail);
  rook_mail_add_partition_verbs (mail);
  rook_mail_add_reconstruct (mail);
  if (rook_server_get_auth (server) != NULL)
    rook_auth_set_mailboxes (rook_server_get_auth (server), &for_auth, mail);
  return mail;
}

gboolean
rook_mail_begin_blocking (RookMail *mail)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->lock);

  if (mail->closing)
    return FALSE;
  mail->n_blocking++;
  return TRUE;
}

/* A start without stores has closed what it did not open. */
gboolean
rook_mail_begin_reconstruct (RookMail *mail)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->lock);

  if (mail->n_blocking > 0 || rook_mail_get_state (mail) != NULL)
    return FALSE;
  mail->closing = FALSE;
  mail->n_blocking++;
  return TRUE;
}

void
rook_mail_end_blocking (RookMail *mail)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->lock);

  if (--mail->n_blocking == 0)
    rook_cond_broadcast (&mail->unblocked);
}

gboolean
rook_mail_is_closing (RookMail *mail)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->lock);

  return mail->closing;
}

/* Lets go of what nobody uses. */
static void
drop_idle (RookMail *mail)
{
  GList *link;

  rook_mutex_lock (&mail->lock);
  mail->closing = TRUE;
  while (mail->n_blocking > 0)
    rook_cond_wait (&mail->unblocked, &mail->lock);
  while ((link = g_queue_pop_head_link (&mail->idle)) != NULL)
    {
      RookMailbox *mailbox = link->data;

      mailbox->is_idle = mailbox->is_listed = FALSE;
      g_hash_table_remove (mail->open, mailbox->id);
      rook_mutex_unlock (&mail->lock);
      rook_mailbox_free (mailbox);
      rook_mutex_lock (&mail->lock);
    }
  rook_mutex_unlock (&mail->lock);
}

/* Whether something is being cleared away or counted, which goes on from answer to answer without a mailbox. */
static gboolean
has_errands (RookMail *mail)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->lock);

  return mail->sweeps->len > 0 || g_hash_table_size (mail->clearing) > 0
         || g_atomic_int_get (&mail->quotas->n_busy) > 0;
}

/* A change in flight holds its mailbox until it has been answered, on the worker that asked, and the answer may lead to
 * more. Says how many mailboxes are still in use after that. */
static guint
wait_for_changes (RookMail *mail)
{
  RookLoop *loop = rook_server_get_loop (mail->server);
  gint64 give_up = g_get_monotonic_time () + CLOSE_WAIT_US;
  gint64 left;

  while (((left = rook_gauge_get (mail->n_open)) > 0 || has_errands (mail)) && g_get_monotonic_time () < give_up)
    {
      rook_loop_settle (loop);
      g_usleep (500);
    }
  rook_loop_settle (loop); /* the last may have gone on another worker a moment ago */
  return (guint) left;
}

static void
close_published (RookStore **place)
{
  RookStore *store = __atomic_exchange_n (place, NULL, __ATOMIC_ACQ_REL);

  if (store != NULL)
    rook_store_close (store);
}

void
rook_mail_close_stores (RookMail *mail)
{
  guint left;

  drop_idle (mail);
  rook_mail_end_sweeps (mail);
  left = wait_for_changes (mail);
  if (left > 0)
    rook_log_message (rook_server_get_log (mail->server), ROOK_LOG_WARNING, "mailbox.still-open",
                      "%u mailboxes are still in use", left);
  rook_mail_note_positions (mail);
  for (guint i = 0; i < mail->partitions->len; i++)
    close_published (&((RookPartition *) g_ptr_array_index (mail->partitions, i))->store);
  close_published (&mail->state);
  rook_loop_settle (rook_server_get_loop (mail->server)); /* what they still answered finds us here */
}

void
rook_mail_free (RookMail *mail)
{
  if (rook_server_get_auth (mail->server) != NULL)
    rook_auth_set_mailboxes (rook_server_get_auth (mail->server), NULL, NULL);
  g_assert (mail->opening == NULL); /* a stop waits for the end of a reload */
  if (rook_server_get_event_bus (mail->server) != NULL)
    rook_event_bus_clear_source (rook_server_get_event_bus (mail->server));
  rook_mail_close_stores (mail);
  rook_names_free (mail->names);
  rook_quotas_free (mail->quotas);
  rook_users_free (mail->users);
  g_hash_table_unref (mail->turns);
  g_hash_table_unref (mail->open);
  g_hash_table_unref (mail->clearing);
  g_hash_table_unref (mail->doubtful);
  g_hash_table_unref (mail->vacating);
  g_ptr_array_unref (mail->sweeps);
  g_ptr_array_unref (mail->partitions);
  rook_mail_settings_unref (mail->settings);
  g_free (mail->reason);
  rook_cond_clear (&mail->unblocked);
  rook_mutex_clear (&mail->lock);
  g_free (mail);
}

void
rook_mail_reconfigure (RookMail *mail, RookConfig *config)
{
  RookMailSettings *settings = rook_mail_settings_new (config), *before;

  rook_mutex_lock (&mail->lock);
  before = mail->settings;
  mail->settings = settings;
  g_atomic_pointer_set (&mail->page_cache, (gsize) settings->page_cache);
  rook_mutex_unlock (&mail->lock);
  rook_mail_settings_unref (before);
  if (mail->opening != NULL)
    rook_opening_publish (g_steal_pointer (&mail->opening));
}

RookMailSettings *
rook_mail_ref_settings (RookMail *mail)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->lock);

  return rook_mail_settings_ref (mail->settings);
}

guint64
rook_mail_get_max_message_size (RookMail *mail)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->lock);

  return mail->settings->max_message_size;
}

RookStore *
rook_mail_get_state (RookMail *mail)
{
  return __atomic_load_n (&mail->state, __ATOMIC_ACQUIRE);
}

gboolean
rook_mail_is_available (RookMail *mail, GError **error)
{
  if (rook_mail_get_state (mail) != NULL)
    return TRUE;
  g_set_error_literal (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE, "the server is not ready");
  return FALSE;
}

RookStore *
rook_partition_get_store (RookPartition *partition)
{
  return __atomic_load_n (&partition->store, __ATOMIC_ACQUIRE);
}

RookPartition *
rook_mail_find_partition (RookMail *mail, const char *name)
{
  for (guint i = 0; i < mail->partitions->len; i++)
    {
      RookPartition *partition = g_ptr_array_index (mail->partitions, i);

      if (g_str_equal (partition->name, name))
        return partition;
    }
  return NULL;
}

RookStore *
rook_mail_get_store (RookMail *mail, const char *partition, GError **error)
{
  RookPartition *found = rook_mail_find_partition (mail, partition);
  RookStore *store = found != NULL ? rook_partition_get_store (found) : NULL;

  if (store == NULL)
    g_set_error_literal (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE, "the partition is not available");
  return store;
}

void
rook_mail_note_reason (RookMail *mail, RookPartition *partition, const char *reason)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->lock);

  rook_entry_set (partition != NULL ? &partition->reason : &mail->reason, reason);
}

char *
rook_mail_dup_reason (RookMail *mail, RookPartition *partition)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->lock);
  const char *reason = partition != NULL ? partition->reason : mail->reason;

  if (reason == NULL)
    reason = partition != NULL && rook_mail_get_state (mail) == NULL ? "there is no state store" : "it was not opened";
  return g_strdup (reason);
}

RookPosition
rook_mail_begin_position (RookMail *mail)
{
  RookEventBus *bus = rook_server_get_event_bus (mail->server);

  return bus != NULL ? rook_event_bus_begin (bus) : 0;
}

void
rook_mail_end_position (RookMail *mail, RookPosition position)
{
  if (position != 0)
    rook_event_bus_end (rook_server_get_event_bus (mail->server), position);
}

void
rook_mail_publish (RookMail *mail, RookEventType type, const RookEntry *entry, const char *old_name,
                   RookIdentity *identity, const char *detail)
{
  RookEventBus *bus = rook_server_get_event_bus (mail->server);
  RookEvent *event;

  if (bus == NULL || !rook_event_bus_wanted (bus, type, entry->id))
    return;
  event = rook_event_new (type);
  event->mailbox_id = g_strdup (entry->id);
  event->mailbox_name = g_strdup (entry->name);
  event->old_mailbox_name = g_strdup (old_name);
  event->user = identity != NULL ? g_strdup (rook_identity_get_user (identity)) : NULL;
  event->uidvalidity = entry->uidvalidity;
  event->detail = g_strdup (detail);
  rook_event_bus_publish (bus, event);
  rook_event_unref (event);
}
