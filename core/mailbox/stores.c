/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The stores: one for state, one a partition; opened once, each with the id it is known by.
 *
 * Nothing is initialised in silence: a new state store only where no partition holds anything, a new partition store
 * only for a partition that the state store does not know.
 */
#include <string.h>

#include "mailbox/codec.h"
#include "mailbox/mail.h"
#include "mailbox/record.h"

#define META_FORMAT "format"
#define META_PARTITION_PREFIX "partition/"
#define STATE_FORMAT 1

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

gboolean
rook_mail_uses_backend (RookMail *mail, const char *name)
{
  for (guint i = 0; i < mail->partitions->len; i++)
    if (g_str_equal (((RookPartition *) g_ptr_array_index (mail->partitions, i))->backend, name))
      return TRUE;
  return FALSE;
}

static RookStore *
open_store (RookMail *mail, const char *backend, const char *path, const char *id, gboolean create, GError **error)
{
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = path, .store_id = id, .create = create };

  if (mail->test_backend != NULL)
    return rook_store_open_backend (mail->server, mail->test_backend, mail->test_backend_data, &spec, error);
  return rook_store_open (mail->server, backend, &spec, error);
}

static gboolean
is_empty_place (const char *path)
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
    if (!is_empty_place (rook_config_group_get_string (g_ptr_array_index (groups, i), "path")))
      return FALSE;
  return TRUE;
}

static gboolean
put_meta (RookMail *mail, const char *key, GBytes *value, GError **error)
{
  RookBatch *batch = rook_batch_new (mail->state);
  g_autoptr (GBytes) key_bytes = rook_bytes_of_text (key);

  rook_batch_put (batch, ROOK_STATE_META, key_bytes, value);
  return rook_store_commit_wait (mail->state, batch, NULL, error);
}

/* A fresh state store is marked with its format; one of a newer format is refused. */
static gboolean
check_format (RookMail *mail, GError **error)
{
  g_autoptr (GBytes) key = rook_bytes_of_text (META_FORMAT), value = NULL;
  guint8 format[4];

  if (!rook_store_get_wait (mail->state, ROOK_STATE_META, key, &value, error))
    return FALSE;
  if (value != NULL && (g_bytes_get_size (value) != 4 || rook_get32 (g_bytes_get_data (value, NULL)) > STATE_FORMAT))
    {
      g_set_error_literal (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE,
                           "the state store was written by a newer version");
      return FALSE;
    }
  if (value != NULL)
    return TRUE;
  rook_put32 (format, STATE_FORMAT);
  value = g_bytes_new (format, sizeof format);
  return put_meta (mail, META_FORMAT, value, error);
}

static gboolean
open_state (RookMail *mail, RookConfig *config, GError **error)
{
  const char *directory =
      rook_config_group_get_string (rook_config_get_group (config, "server", NULL), "state-directory");
  const char *backend = rook_config_group_get_string (rook_config_get_group (config, "mailbox", NULL), "storage");
  g_autofree char *path = g_build_filename (directory, "mailboxes", NULL);
  gboolean may_create = may_create_state (config);

  mail->state = open_store (mail, backend, path, NULL, may_create, error);
  if (mail->state == NULL)
    {
      if (!may_create && is_empty_place (path))
        g_prefix_error (error, "%s is missing though a partition holds mail; it will not be made anew: ", path);
      return FALSE;
    }
  return check_format (mail, error);
}

/* --- partitions ------------------------------------------------------------------------------------------------- */

static RookPartition *
partition_new (RookMail *mail, RookConfigGroup *group, RookConfig *config)
{
  RookPartition *partition = g_new0 (RookPartition, 1);
  const char *backend = rook_config_group_get_string (group, "storage");

  (void) mail;
  if (backend == NULL || *backend == '\0')
    backend = rook_config_group_get_string (rook_config_get_group (config, "mailbox", NULL), "storage");
  partition->name = g_strdup (rook_config_group_get_instance (group));
  partition->path = g_strdup (rook_config_group_get_string (group, "path"));
  partition->backend = g_strdup (backend);
  return partition;
}

static gboolean
open_partition (RookMail *mail, RookPartition *partition, GError **error)
{
  g_autofree char *meta = g_strconcat (META_PARTITION_PREFIX, partition->name, NULL);
  g_autoptr (GBytes) key = rook_bytes_of_text (meta), known = NULL;
  g_autofree char *id = NULL;

  if (!rook_store_get_wait (mail->state, ROOK_STATE_META, key, &known, error))
    return FALSE;
  if (known != NULL)
    id = g_strndup (g_bytes_get_data (known, NULL), g_bytes_get_size (known));
  partition->store = open_store (mail, partition->backend, partition->path, id, id == NULL, error);
  if (partition->store == NULL)
    return FALSE;
  if (id == NULL)
    {
      g_autoptr (GBytes) value = rook_bytes_of_text (rook_store_get_id (partition->store));

      if (!put_meta (mail, meta, value, error))
        {
          g_clear_pointer (&partition->store, rook_store_close);
          return FALSE;
        }
    }
  return TRUE;
}

static void
open_partitions (RookMail *mail, RookConfig *config)
{
  g_autoptr (GPtrArray) groups = rook_config_get_instances (config, "partition");

  for (guint i = 0; i < groups->len; i++)
    {
      RookPartition *partition = partition_new (mail, g_ptr_array_index (groups, i), config);
      g_autoptr (GError) error = NULL;

      g_ptr_array_add (mail->partitions, partition);
      if (!open_partition (mail, partition, &error))
        rook_log_event (rook_server_get_log (mail->server), ROOK_LOG_ERROR, "mailbox.partition-unavailable",
                        "partition", partition->name, "path", partition->path, "reason", error->message, NULL);
    }
}

/* --- names ------------------------------------------------------------------------------------------------------ */

typedef struct {
  RookMail *mail;
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
  rook_mutex_lock (&reading->mail->lock);
  rook_names_put (reading->mail, entry);
  rook_mutex_unlock (&reading->mail->lock);
  return TRUE;
}

GBytes *
rook_subscription_key (const char *user, const char *name)
{
  GByteArray *key = g_byte_array_new ();

  g_byte_array_append (key, (const guint8 *) user, strlen (user) + 1);
  g_byte_array_append (key, (const guint8 *) name, strlen (name));
  return g_byte_array_free_to_bytes (key);
}

static gboolean
read_subscription (RookTable table, GBytes *key, GBytes *value, gpointer data)
{
  Reading *reading = data;
  gsize length;
  const char *text = g_bytes_get_data (key, &length);
  gsize user = strnlen (text, length);
  g_autofree char *name = user < length ? g_strndup (text + user + 1, length - user - 1) : NULL;

  (void) table;
  (void) value;
  if (name == NULL)
    {
      reading->damaged++;
      return TRUE;
    }
  rook_mutex_lock (&reading->mail->lock);
  rook_names_set_subscribed (reading->mail, text, name, TRUE);
  rook_mutex_unlock (&reading->mail->lock);
  return TRUE;
}

static void
read_uidvalidity (RookMail *mail)
{
  g_autoptr (GBytes) key = rook_bytes_of_text (ROOK_META_UIDVALIDITY), value = NULL;

  if (rook_store_get_wait (mail->state, ROOK_STATE_META, key, &value, NULL) && value != NULL
      && g_bytes_get_size (value) == 4)
    mail->last_uidvalidity = MAX (mail->last_uidvalidity, rook_get32 (g_bytes_get_data (value, NULL)));
}

gboolean
rook_mail_read_names (RookMail *mail, GError **error)
{
  Reading reading = { .mail = mail };

  if (!rook_store_foreach (mail->state, ROOK_STATE_MAILBOXES, read_mailbox, &reading, error)
      || !rook_store_foreach (mail->state, ROOK_STATE_SUBSCRIPTIONS, read_subscription, &reading, error))
    return FALSE;
  read_uidvalidity (mail);
  if (reading.damaged > 0)
    rook_log_message (rook_server_get_log (mail->server), ROOK_LOG_ERROR, "mailbox.state-damaged",
                      "%u entries of the state store do not read", reading.damaged);
  return TRUE;
}

gboolean
rook_mail_open_stores (RookMail *mail, GError **error)
{
  g_autoptr (RookConfig) config = rook_server_get_config (mail->server);

  mail->closing = FALSE;
  if (!open_state (mail, config, error))
    return FALSE;
  open_partitions (mail, config);
  if (!rook_mail_read_names (mail, error))
    return FALSE;
  rook_mail_recover (mail);
  return TRUE;
}
