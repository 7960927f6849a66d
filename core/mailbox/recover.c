/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * After opening: one look through the headers of every partition, and the answer to "what changed since".
 *
 * A header whose mailbox the state store has buried is cleared away now. One that the state store does not know is left
 * where it is and logged: nothing is destroyed on the strength of not knowing.
 */
#include "mailbox/box.h"
#include "mailbox/change.h"

typedef struct {
  RookMail *mail;
  RookNames *names; /* (nullable) those that are not published yet */
  guint64 highest;
  guint64 since;
  GPtrArray *buried;  /* (nullable) (element-type RookEntry) */
  GPtrArray *changed; /* (nullable) (element-type utf8) */
  GHashTable *known;  /* (nullable) of changed: its ids (unowned) */
  guint unknown, damaged;
} Looking;

static void
look_at_entry (Looking *looking, const char *id)
{
  g_autoptr (RookEntry) entry = NULL;

  if (looking->names == NULL)
    entry = rook_mail_ref_entry_by_id (looking->mail, id);
  else if (g_hash_table_contains (looking->names->by_id, id))
    entry = rook_entry_ref (g_hash_table_lookup (looking->names->by_id, id));
  if (entry == NULL)
    looking->unknown++;
  else if (entry->deleted)
    g_ptr_array_add (looking->buried, g_steal_pointer (&entry));
}

static void
add_changed (Looking *looking, const char *id)
{
  char *copy;

  if (g_hash_table_contains (looking->known, id))
    return;
  copy = g_strdup (id);
  g_ptr_array_add (looking->changed, copy);
  g_hash_table_add (looking->known, copy);
}

static gboolean
look_at_header (RookTable table, GBytes *key, GBytes *value, gpointer data)
{
  Looking *looking = data;
  gsize length;
  const char *text = g_bytes_get_data (key, &length);
  g_autofree char *id = g_strndup (text, length);
  RookHeader header;

  (void) table;
  if (!rook_header_decode (value, &header))
    {
      looking->damaged++;
      return TRUE;
    }
  looking->highest = MAX (looking->highest, header.change);
  if (looking->changed != NULL && header.change > looking->since)
    add_changed (looking, id);
  else if (looking->buried != NULL)
    look_at_entry (looking, id);
  return TRUE;
}

/* %FALSE: it could not be looked through. */
static gboolean
look_through (Looking *looking, RookStore *store)
{
  g_autoptr (GError) error = NULL;

  if (store == NULL)
    return FALSE;
  if (rook_store_foreach (store, ROOK_PART_HEADERS, look_at_header, looking, &error))
    return TRUE;
  g_error_free (rook_mail_error_from_store (looking->mail, error));
  return FALSE;
}

/* %FALSE: a partition could not be looked through. */
static gboolean
look_everywhere (Looking *looking)
{
  GPtrArray *partitions = looking->mail->partitions;
  gboolean whole = TRUE;

  for (guint i = 0; i < partitions->len; i++)
    whole &= look_through (looking, rook_partition_get_store (g_ptr_array_index (partitions, i)));
  return whole;
}

/* Adds what the names know: mailboxes made, renamed, deleted. */
static void
look_at_names (Looking *looking, RookNames *names)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, names->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      RookEntry *entry = value;

      looking->highest = MAX (looking->highest, entry->change);
      if (looking->changed != NULL && entry->change > looking->since)
        add_changed (looking, entry->id);
    }
}

static char **
changed_since (RookPosition position, gpointer data)
{
  g_autoptr (GHashTable) known = g_hash_table_new (g_str_hash, g_str_equal);
  Looking looking = {
    .mail = data, .known = known, .since = position, .changed = g_ptr_array_new_with_free_func (g_free)
  };
  gboolean whole;

  if (!rook_mail_begin_blocking (looking.mail))
    {
      g_ptr_array_unref (looking.changed);
      return NULL;
    }
  whole = look_everywhere (&looking);
  rook_mail_end_blocking (looking.mail);
  if (!whole)
    {
      g_ptr_array_unref (looking.changed);
      return NULL;
    }
  rook_mutex_lock (&looking.mail->lock);
  look_at_names (&looking, looking.mail->names);
  rook_mutex_unlock (&looking.mail->lock);
  g_ptr_array_add (looking.changed, NULL);
  return (char **) g_ptr_array_free (looking.changed, FALSE);
}

void
rook_opening_look_through (RookOpening *opening)
{
  RookMail *mail = opening->mail;
  Looking looking = { .mail = mail, .names = opening->names, .buried = opening->buried };

  for (guint i = 0; i < mail->partitions->len; i++)
    if (opening->stores[i] != NULL)
      look_through (&looking, opening->stores[i]);
  if (opening->names != NULL)
    look_at_names (&looking, opening->names);
  if (looking.unknown + looking.damaged > 0)
    rook_log_message (rook_server_get_log (mail->server), ROOK_LOG_WARNING, "mailbox.unknown-headers",
                      "%u mailboxes on partitions are unknown to the state store, %u headers do not read",
                      looking.unknown, looking.damaged);
  opening->highest = looking.highest;
}

void
rook_opening_go_on (RookOpening *opening)
{
  RookEventBus *bus = rook_server_get_event_bus (opening->mail->server);

  if (bus != NULL)
    rook_event_bus_set_source (bus, opening->highest, changed_since, opening->mail);
  for (guint i = 0; i < opening->buried->len; i++)
    rook_mail_clear_contents (opening->mail, g_ptr_array_index (opening->buried, i));
}
