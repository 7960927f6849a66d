/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The checkpoint: brings the older copy from its own position to now, and makes it the current one. The copy in use is never
 * written; one that is being written is marked so before the first byte, and counts again only when it is synced.
 *
 * What it must be given are the changes since its own position: those that the other copy already has (only their keys are
 * kept, in `missed`), and those of the memory table, which is frozen at a batch boundary.
 */
#include "storage-gdbm/gs-store.h"

typedef struct {
  GsStore *store;
  GsWriter writer;
  GsReader reader; /* of the current copy */
  guint source, target;
  guint64 position, sequence; /* where the memory table was frozen */
  GsTable *frozen;            /* (unowned) the store's */
  GHashTable *missed;         /* (unowned) the store's */
  GArray *items;              /* (element-type Item) what is to be brought */
  GError **error;
  gboolean ok;
} Checkpoint;

/* --- begin ---------------------------------------------------------------------------------------------------------------- */

static gboolean
is_empty (GHashTable *set)
{
  return g_hash_table_size (set) == 0;
}

/* With the lock. FALSE: both copies hold everything. */
static gboolean
freeze (GsStore *store, Checkpoint *c)
{
  const GsCopyInfo *copies = store->current.copies;

  gs_memory_await (store); /* a group is in what is frozen, or in what comes after */
  if (gs_table_size (store->live) == 0 && is_empty (store->missed) && copies[0].clean && copies[1].clean
      && copies[0].sequence == store->sequence && copies[1].sequence == store->sequence)
    return FALSE;
  c->source = store->current.current;
  c->target = 1 - c->source;
  c->position = store->position;
  c->sequence = store->sequence;
  g_assert (store->frozen == NULL);
  store->frozen = store->live;
  store->live = gs_table_new ();
  store->log_bytes = 0;
  rook_cond_broadcast (&store->cond); /* writers may go on */
  c->frozen = store->frozen;
  c->missed = store->missed;
  return TRUE;
}

static gboolean
write_current (GsStore *store, const GsCurrent *fresh, GError **error)
{
  if (!gs_current_write (store, fresh, error))
    return FALSE;
  rook_mutex_lock (&store->lock);
  store->current = *fresh;
  rook_mutex_unlock (&store->lock);
  return TRUE;
}

/* --- compare: whether what is to be changed is the same in both ------------------------------------------------------------ */

/* GDBM does not notice when it has lost a key. What a checkpoint reads of one copy it writes to the other, so that the loss
 * would be in both: so it looks first, at all that it is going to touch, while nothing is written yet. */

typedef struct {
  GsStore *store;
  GsReader *reader;
  const GsCopyInfo *copies;
  GsCopyInfo sums[2]; /* of the missed keys, by copy */
  GError **error;
  gboolean ok;
} Compare;

static gboolean
fetch_both (Compare *compare, const guint8 *key, guint length, GBytes **out_values)
{
  for (guint i = 0; i < 2 && compare->ok; i++)
    {
      g_autoptr (GError) error = NULL;

      compare->ok = gs_copy_fetch (compare->store, compare->reader, i, key, length, &out_values[i], &error);
      if (g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
        gs_repair_want (compare->store, i, error->message);
      if (error != NULL)
        g_propagate_error (compare->error, g_steal_pointer (&error));
    }
  return compare->ok;
}

static void
differ (Compare *compare)
{
  gs_repair_want (compare->store, 0, "the copies differ in what they should have in common");
  g_set_error (compare->error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "the copies differ");
  compare->ok = FALSE;
}

static gboolean
is_same (GBytes *a, GBytes *b)
{
  return a == NULL || b == NULL ? a == b : g_bytes_equal (a, b);
}

static void
compare_missed (gpointer key, gpointer value G_GNUC_UNUSED, gpointer data)
{
  Compare *compare = data;
  GBytes *values[2] = { NULL, NULL };
  gsize length;
  const guint8 *bytes = g_bytes_get_data (key, &length);

  if (compare->ok)
    fetch_both (compare, bytes, (guint) length, values);
  for (guint i = 0; i < 2; i++)
    if (values[i] != NULL)
      {
        gsize size;
        gconstpointer content = g_bytes_get_data (values[i], &size);

        compare->sums[i].counts[gs_key_table (bytes)]++;
        compare->sums[i].digests[gs_key_table (bytes)] ^= gs_record_digest (bytes, (guint) length, content, size);
        g_bytes_unref (values[i]);
      }
}

static void
compare_changed (const GsEntry *entry, gpointer data)
{
  Compare *compare = data;
  GBytes *values[2] = { NULL, NULL };
  g_autoptr (GBytes) key = g_bytes_new_static (entry->key, entry->length);

  if (!compare->ok || g_hash_table_contains (compare->store->missed, key))
    return;
  if (fetch_both (compare, entry->key, entry->length, values) && !is_same (values[0], values[1]))
    differ (compare);
  g_clear_pointer (&values[0], g_bytes_unref);
  g_clear_pointer (&values[1], g_bytes_unref);
}

/* Apart from the missed keys both copies hold the same. */
static gboolean
compare_copies (Checkpoint *c, const GsCurrent *current)
{
  g_autofree Compare *compare = g_new0 (Compare, 1);

  *compare =
      (Compare){ .store = c->store, .reader = &c->reader, .copies = current->copies, .error = c->error, .ok = TRUE };
  g_hash_table_foreach (c->missed, compare_missed, compare);
  if (compare->ok)
    gs_table_foreach (c->frozen, compare_changed, compare);
  for (guint i = 0; i < GS_N_TABLES && compare->ok; i++)
    if (current->copies[0].counts[i] - compare->sums[0].counts[i]
            != current->copies[1].counts[i] - compare->sums[1].counts[i]
        || (current->copies[0].digests[i] ^ compare->sums[0].digests[i])
               != (current->copies[1].digests[i] ^ compare->sums[1].digests[i]))
      differ (compare);
  return compare->ok;
}

/* A copy that is the only one is looked at as a whole before it is what both are; if it is damaged there is no better one. That
 * it can't be read now says nothing of it. */
static gboolean
look_at_source (Checkpoint *c, const GsCurrent *current)
{
  g_autoptr (GError) error = NULL;

  if (gs_copy_check (c->store, c->source, &current->copies[c->source], NULL, NULL, &error))
    return TRUE;
  if (!g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
    {
      g_propagate_error (c->error, g_steal_pointer (&error));
      return FALSE;
    }
  gs_log_notice (c->store, ROOK_LOG_ERROR, "store.damaged", "copy %u, of which the other is made anew: %s", c->source,
                 error->message);
  return TRUE;
}

static gboolean
look_at_both (Checkpoint *c, const GsCurrent *current)
{
  if (gs_repair_look (c->store))
    return compare_copies (c, current);
  g_set_error (c->error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "a copy is damaged");
  return FALSE;
}

/* Who asked for the target before it was said to be written reads on to the end. */
static void
wait_for_readers (Checkpoint *c)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&c->store->lock);

  while (c->store->pins[c->target] > 0)
    rook_cond_wait (&c->store->cond, &c->store->lock);
  /* Only now: a handle that is opened while it is not written yet must not pass for one of what it becomes. */
  __atomic_add_fetch (&c->store->versions[c->target], 1, __ATOMIC_RELEASE);
}

/* A target whose last write did not finish begins as what the other copy is: then it has missed nothing. */
static gboolean
prepare_target (Checkpoint *c, GsCurrent *fresh)
{
  GsCopyInfo *info = &fresh->copies[c->target];
  gboolean clone = !info->clean;

  if (clone ? !look_at_source (c, fresh) : !look_at_both (c, fresh))
    return FALSE;
  info->clean = FALSE;
  if (!write_current (c->store, fresh, c->error))
    return FALSE;
  wait_for_readers (c);
  if (!clone)
    return TRUE;
  if (!gs_copy_clone (c->store, c->source, c->target, c->error))
    return FALSE;
  *info = fresh->copies[c->source];
  info->clean = FALSE;
  gs_miss_nothing (c->store);
  c->missed = c->store->missed;
  return TRUE;
}

/* --- write ---------------------------------------------------------------------------------------------------------------- */

static void
bring (Checkpoint *c, const guint8 *key, guint length, const GsEntry *entry)
{
  g_autoptr (GBytes) below = NULL;
  g_autoptr (GBytes) value = NULL;

  if (!c->ok)
    return;
  if (entry == NULL || !gs_entry_is_whole (entry))
    c->ok = gs_copy_fetch (c->store, &c->reader, c->source, key, length, &below, c->error);
  if (!c->ok)
    return;
  value = entry != NULL ? gs_entry_resolve (entry, below) : g_steal_pointer (&below);
  c->ok = gs_writer_set (&c->writer, key, length, value, c->error);
}

/* One key to bring. */
typedef struct {
  guint32 place;
  guint length;
  const guint8 *key;    /* (unowned) */
  const GsEntry *entry; /* (unowned) (nullable) NULL: what the source has */
} Item;

static void
add_item (Checkpoint *c, const guint8 *key, guint length, const GsEntry *entry)
{
  Item item = { gs_copy_place (key, length), length, key, entry };

  g_array_append_val (c->items, item);
}

static void
add_changed (const GsEntry *entry, gpointer data)
{
  add_item (data, entry->key, entry->length, entry);
}

static void
add_missed (gpointer key, gpointer value G_GNUC_UNUSED, gpointer data)
{
  Checkpoint *c = data;
  gsize length;
  const guint8 *bytes = g_bytes_get_data (key, &length);

  if (gs_table_lookup (c->frozen, bytes, (guint) length) == NULL)
    add_item (c, bytes, (guint) length, NULL);
}

static gint
compare_places (gconstpointer a, gconstpointer b)
{
  const Item *first = a, *second = b;

  return (first->place > second->place) - (first->place < second->place);
}

/* The store's end waits for nobody: what is not in a copy is in the log. */
static gboolean
may_go_on (Checkpoint *c)
{
  if (c->ok && g_atomic_int_get (&c->store->hurry))
    {
      c->ok = FALSE;
      g_set_error_literal (c->error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CANCELLED, "the store is being closed");
    }
  return c->ok;
}

/* Everything, in the order in which a copy keeps it: each part of the file is then read and written once, and not once a key. */
static void
bring_all (Checkpoint *c)
{
  c->items = g_array_new (FALSE, FALSE, sizeof (Item));
  g_hash_table_foreach (c->missed, add_missed, c);
  gs_table_foreach (c->frozen, add_changed, c);
  g_array_sort (c->items, compare_places);
  for (guint i = 0; i < c->items->len && may_go_on (c); i++)
    {
      const Item *item = &g_array_index (c->items, Item, i);

      bring (c, item->key, item->length, item->entry);
    }
  g_clear_pointer (&c->items, g_array_unref);
}

/* Nobody changes the frozen table or the missed keys now: they are read without the lock. */
static gboolean
write_target (Checkpoint *c, GsCurrent *fresh)
{
  GsCopyInfo *info = &fresh->copies[c->target];

  info->position = c->position;
  info->sequence = c->sequence;
  if (!gs_writer_open (&c->writer, c->store, c->target, info, c->error))
    return FALSE;
  c->ok = TRUE;
  bring_all (c);
  gs_reader_clear (&c->reader);
  if (c->ok)
    return gs_writer_finish (&c->writer, c->error);
  gs_writer_abandon (&c->writer);
  return FALSE;
}

/* --- end ------------------------------------------------------------------------------------------------------------------ */

static void
note_key (const GsEntry *entry, gpointer data)
{
  g_hash_table_add (data, g_bytes_new (entry->key, entry->length));
}

static void
succeed (Checkpoint *c)
{
  GsStore *store = c->store;
  g_autoptr (GHashTable) missed = gs_keys_new ();
  g_autoptr (GHashTable) old = NULL;
  g_autoptr (GsTable) frozen = NULL;

  gs_table_foreach (c->frozen, note_key, missed);
  rook_mutex_lock (&store->lock);
  gs_memory_await (store);
  frozen = g_steal_pointer (&store->frozen);
  old = store->missed;
  store->missed = g_steal_pointer (&missed);
  rook_cond_broadcast (&store->cond);
  rook_mutex_unlock (&store->lock);
  if (store->checkpoints != NULL)
    rook_counter_add (store->checkpoints, 1);
}

/* What was frozen lies below what has come since. */
static void
fail (Checkpoint *c)
{
  GsStore *store = c->store;

  rook_mutex_lock (&store->lock);
  gs_memory_await (store);
  gs_memory_lay (store, &store->frozen);
  store->log_bytes = store->settings.log_limit / 2; /* not again at once */
  rook_mutex_unlock (&store->lock);
  gs_memory_settle (store);
}

static guint64
oldest_sequence (const GsCurrent *current)
{
  /* A copy that is not clean will be made from the other. */
  if (!current->copies[0].clean)
    return current->copies[1].sequence;
  if (!current->copies[1].clean)
    return current->copies[0].sequence;
  return MIN (current->copies[0].sequence, current->copies[1].sequence);
}

static gboolean
make (Checkpoint *c, GsCurrent *fresh)
{
  if (!prepare_target (c, fresh) || !write_target (c, fresh))
    return FALSE;
  fresh->copies[c->target].clean = TRUE;
  fresh->current = c->target;
  fresh->opening = c->store->opening;
  return write_current (c->store, fresh, c->error);
}

guint64
gs_checkpoint_count (GsStore *store)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);

  const GsCopyInfo *source = &store->current.copies[store->current.current];
  guint64 n = gs_table_size (store->live) + g_hash_table_size (store->missed);

  if (!store->current.copies[1 - store->current.current].clean) /* it is made of the other: all records are brought */
    for (guint i = 0; i < G_N_ELEMENTS (source->counts); i++)
      n += source->counts[i];
  return n;
}

static gboolean
try_checkpoint (GsStore *store, GError **error)
{
  g_autofree GsCurrent *fresh = g_new (GsCurrent, 1);
  Checkpoint c = { .store = store, .error = error };
  gboolean work, ok;

  gs_upkeep_begin (store);
  rook_mutex_lock (&store->lock);
  work = freeze (store, &c);
  *fresh = store->current;
  rook_mutex_unlock (&store->lock);
  ok = !work || make (&c, fresh);
  gs_reader_clear (&c.reader);
  if (work && ok)
    succeed (&c);
  else if (work)
    fail (&c);
  if (ok)
    gs_log_trim (store, oldest_sequence (fresh));
  gs_upkeep_end (store);
  return ok;
}

gboolean
gs_checkpoint (GsStore *store, GError **error)
{
  g_autoptr (GError) failed = NULL;

  if (try_checkpoint (store, &failed))
    return TRUE;
  if (!g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT) || !gs_repair_is_due (store))
    {
      g_propagate_error (error, g_steal_pointer (&failed));
      return FALSE;
    }
  gs_repair (store);
  return try_checkpoint (store, error);
}
