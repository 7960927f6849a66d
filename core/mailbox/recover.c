/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * After opening: which deleted mailboxes have still to be cleared away, and the answer to "what changed since".
 *
 * Nothing of this looks through a partition before the server serves: the names, which are in memory, tell what was deleted and
 * is not cleared; and positions go on behind those that the state store has reserved (stores.c). Mailboxes that the state store
 * does not know are left where they are, for `rookctl mailbox verify` to tell: nothing is destroyed on the strength of not knowing.
 */
#include "mailbox/box.h"
#include "mailbox/change.h"

typedef struct {
  RookMail *mail;
  guint64 highest;
  guint64 since;
  GPtrArray *changed; /* (nullable) (element-type utf8) */
  GHashTable *known;  /* (nullable) of changed: its ids (unowned) */
} Looking;

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
    return TRUE;
  looking->highest = MAX (looking->highest, header.change);
  if (looking->changed != NULL && header.change > looking->since)
    add_changed (looking, id);
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

guint64
rook_opening_find_highest (RookOpening *opening)
{
  RookMail *mail = opening->mail;
  Looking looking = { .mail = mail };

  for (guint i = 0; i < mail->partitions->len; i++)
    if (opening->stores[i] != NULL)
      look_through (&looking, opening->stores[i]);
  if (opening->names != NULL)
    look_at_names (&looking, opening->names);
  return looking.highest;
}

/* Whether @opening brings the partition. */
static gboolean
is_new_partition (RookOpening *opening, const char *name)
{
  for (guint i = 0; i < opening->mail->partitions->len; i++)
    {
      const RookPartition *partition = g_ptr_array_index (opening->mail->partitions, i);

      if (g_str_equal (partition->name, name))
        return opening->stores[i] != NULL;
    }
  return FALSE;
}

static void
add_left (RookOpening *opening, const char *partition, const char *id)
{
  GPtrArray *ids = g_hash_table_lookup (opening->left, partition);

  if (ids == NULL)
    {
      ids = g_ptr_array_new_with_free_func (g_free);
      g_hash_table_insert (opening->left, g_strdup (partition), ids);
    }
  g_ptr_array_add (ids, g_strdup (id));
}

void
rook_opening_find_buried (RookOpening *opening)
{
  RookMail *mail = opening->mail;
  g_autoptr (RookLocker) locker = opening->names == NULL ? rook_locker_new (&mail->lock) : NULL;
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, (opening->names != NULL ? opening->names : mail->names)->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      RookEntry *entry = value;

      if (entry->deleted && !entry->cleared && is_new_partition (opening, entry->partition))
        g_ptr_array_add (opening->buried, rook_entry_ref (entry));
      for (guint i = 0; entry->left != NULL && entry->left[i] != NULL; i++)
        if (is_new_partition (opening, entry->left[i]))
          add_left (opening, entry->left[i], entry->id);
    }
}

void
rook_opening_go_on (RookOpening *opening)
{
  RookEventBus *bus = rook_server_get_event_bus (opening->mail->server);
  GHashTableIter iter;
  gpointer partition, ids;

  if (bus != NULL)
    rook_event_bus_set_source (bus, opening->highest, changed_since, opening->mail);
  for (guint i = 0; i < opening->buried->len; i++)
    rook_mail_clear_contents (opening->mail, g_ptr_array_index (opening->buried, i));
  g_hash_table_iter_init (&iter, opening->left);
  while (g_hash_table_iter_next (&iter, &partition, &ids))
    rook_mail_sweep (opening->mail, partition, ids, NULL);
}
