/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tables in memory. A patch of a value that is not here is kept as it is, so that a flag change reads nothing; patches that
 * touch are joined, so that their number is bounded by the value and not by how often it changed.
 *
 * They are changed under a lock that readers wait for, so nothing here takes long at once: a table grows by linear hashing
 * (W. Litwin, VLDB 1980), one bucket with each entry, and is merged into another entry by entry, which it gives away.
 */
#include "storage-gdbm/gs-table.h"

#include <string.h>

/* A value up to this size is patched by copying it, a larger one keeps its patches beside it. */
#define COPY_LIMIT 65536
#define ENTRY_OVERHEAD 120
#define SECTION 256 /* buckets that are allocated together; a power of two */

typedef struct {
  guint64 offset;
  GByteArray *bytes; /* (owned) */
} Patch;

struct GsTable {
  GPtrArray *sections; /* (element-type GsEntry **) of SECTION buckets each: chains of entries, which are owned */
  guint n_buckets;
  guint base; /* the greatest power of two in n_buckets: those from n_buckets - base to it are not split yet */
  guint n_entries;
  guint first; /* the buckets before it are empty */
  guint64 bytes;
};

void
gs_key_set (GsKey *key, guint table, gconstpointer data, gsize length)
{
  g_assert (length <= ROOK_STORE_MAX_KEY);
  key->length_high = (guint8) ((length + 2) >> 8);
  key->length_low = (guint8) ((length + 2) & 0xff);
  key->bytes[0] = (guint8) (table >> 8);
  key->bytes[1] = (guint8) (table & 0xff);
  memcpy (key->bytes + 2, data, length);
}

/* --- patches -------------------------------------------------------------------------------------------------------- */

static void
clear_patch (gpointer data)
{
  g_byte_array_unref (((Patch *) data)->bytes);
}

static guint64
patch_end (const Patch *patch)
{
  return patch->offset + patch->bytes->len;
}

static GArray *
patches_new (void)
{
  GArray *patches = g_array_new (FALSE, FALSE, sizeof (Patch));

  g_array_set_clear_func (patches, clear_patch);
  return patches;
}

/* Joins the new bytes with patches [first, last), which they touch or overlap. */
static Patch
join (GArray *patches, guint first, guint last, guint64 offset, gconstpointer data, gsize size)
{
  guint64 start = offset, end = offset + size;
  Patch joined;

  if (first < last)
    {
      start = MIN (start, g_array_index (patches, Patch, first).offset);
      end = MAX (end, patch_end (&g_array_index (patches, Patch, last - 1)));
    }
  joined.offset = start;
  joined.bytes = g_byte_array_sized_new ((guint) (end - start));
  g_byte_array_set_size (joined.bytes, (guint) (end - start));
  for (guint i = first; i < last; i++)
    {
      const Patch *old = &g_array_index (patches, Patch, i);

      memcpy (joined.bytes->data + (old->offset - start), old->bytes->data, old->bytes->len);
    }
  memcpy (joined.bytes->data + (offset - start), data, size);
  return joined;
}

static void
add_patch (GArray *patches, guint64 offset, gconstpointer data, gsize size)
{
  guint first = 0, last;
  Patch joined;

  if (size == 0)
    return;
  while (first < patches->len && patch_end (&g_array_index (patches, Patch, first)) < offset)
    first++;
  for (last = first; last < patches->len && g_array_index (patches, Patch, last).offset <= offset + size;)
    last++;
  joined = join (patches, first, last, offset, data, size);
  if (last > first)
    g_array_remove_range (patches, first, last - first);
  g_array_insert_val (patches, first, joined);
}

static gsize
patches_bytes (GArray *patches)
{
  gsize bytes = 0;

  for (guint i = 0; patches != NULL && i < patches->len; i++)
    bytes += g_array_index (patches, Patch, i).bytes->len + 48;
  return bytes;
}

/* @old (nullable) with @patches (nullable) over it, at least @extent long. */
static GBytes *
apply (GBytes *old, GArray *patches, guint64 extent)
{
  gsize old_size = old != NULL ? g_bytes_get_size (old) : 0, size = MAX (old_size, extent);
  guint8 *data = g_malloc (size + 1);

  if (old_size > 0)
    memcpy (data, g_bytes_get_data (old, NULL), old_size);
  memset (data + old_size, 0, size - old_size);
  for (guint i = 0; patches != NULL && i < patches->len; i++)
    {
      const Patch *patch = &g_array_index (patches, Patch, i);

      memcpy (data + patch->offset, patch->bytes->data, patch->bytes->len);
    }
  return g_bytes_new_take (data, size);
}

/* --- entries -------------------------------------------------------------------------------------------------------- */

static GsEntry *
entry_new (const guint8 *key, guint length, guint32 hash)
{
  GsEntry *entry = g_malloc0 (sizeof *entry + length);

  entry->hash = hash;
  entry->length = (guint16) length;
  memcpy (entry->key, key, length);
  return entry;
}

static void
entry_clear (GsEntry *entry)
{
  g_clear_pointer (&entry->value, g_bytes_unref);
  g_clear_pointer (&entry->patches, g_array_unref);
  entry->extent = 0;
}

void
gs_entry_free (GsEntry *entry)
{
  entry_clear (entry);
  g_free (entry);
}

static gsize
entry_bytes (const GsEntry *entry)
{
  return ENTRY_OVERHEAD + entry->length + (entry->value != NULL ? g_bytes_get_size (entry->value) : 0)
         + patches_bytes (entry->patches);
}

static void
entry_set (GsEntry *entry, GsBase base, GBytes *value)
{
  GBytes *kept = value != NULL ? g_bytes_ref (value) : NULL;

  entry_clear (entry);
  entry->base = base;
  entry->value = kept;
}

static void
entry_patch (GsEntry *entry, guint64 offset, gconstpointer data, gsize size)
{
  entry->extent = MAX (entry->extent, offset + size);
  if (entry->patches == NULL)
    entry->patches = patches_new ();
  add_patch (entry->patches, offset, data, size);
  if (entry->base == GS_BELOW || (entry->value != NULL && g_bytes_get_size (entry->value) > COPY_LIMIT))
    return;
  if (entry->extent <= COPY_LIMIT || entry->base == GS_ABSENT)
    {
      g_autoptr (GBytes) value = apply (entry->value, entry->patches, entry->extent);

      entry_set (entry, GS_VALUE, value);
    }
}

void
gs_entry_merge (GsEntry *entry, const GsEntry *upper)
{
  if (gs_entry_is_whole (upper))
    entry_set (entry, upper->base, upper->value);
  if (upper->patches != NULL) /* an empty one makes the key be there */
    entry_patch (entry, upper->extent, "", 0);
  for (guint i = 0; upper->patches != NULL && i < upper->patches->len; i++)
    {
      const Patch *patch = &g_array_index (upper->patches, Patch, i);

      entry_patch (entry, patch->offset, patch->bytes->data, patch->bytes->len);
    }
}

GsEntry *
gs_entry_copy (const GsEntry *entry)
{
  GsEntry *copy = entry_new (entry->key, entry->length, entry->hash);

  gs_entry_merge (copy, entry);
  return copy;
}

GBytes *
gs_entry_resolve (const GsEntry *entry, GBytes *below)
{
  GBytes *base = gs_entry_is_whole (entry) ? entry->value : below;

  if (entry->patches == NULL && (base == NULL || g_bytes_get_size (base) >= entry->extent))
    return base != NULL ? g_bytes_ref (base) : NULL;
  return apply (base, entry->patches, entry->extent);
}

/* --- tables --------------------------------------------------------------------------------------------------------- */

static guint32
hash_key (const guint8 *key, guint length)
{
  guint64 hash = 0xcbf29ce484222325;

  for (guint i = 0; i < length; i++)
    hash = (hash ^ key[i]) * 0x100000001b3;
  return (guint32) (hash ^ hash >> 32);
}

static GsEntry **
bucket (GsTable *table, guint number)
{
  return (GsEntry **) g_ptr_array_index (table->sections, number / SECTION) + number % SECTION;
}

static guint
bucket_number (GsTable *table, guint32 hash)
{
  guint number = hash & (2 * table->base - 1);

  return number < table->n_buckets ? number : hash & (table->base - 1);
}

GsTable *
gs_table_new (void)
{
  GsTable *table = g_new0 (GsTable, 1);

  table->sections = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (table->sections, g_new0 (GsEntry *, SECTION));
  table->n_buckets = table->base = SECTION;
  return table;
}

void
gs_table_free (GsTable *table)
{
  GsEntry *entry;

  while ((entry = gs_table_take (table)) != NULL)
    gs_entry_free (entry);
  g_ptr_array_unref (table->sections);
  g_free (table);
}

guint
gs_table_size (GsTable *table)
{
  return table->n_entries;
}

guint64
gs_table_bytes (GsTable *table)
{
  return table->bytes;
}

/* Where the entry is linked, or would be. */
static GsEntry **
find (GsTable *table, const guint8 *key, guint length, guint32 hash)
{
  GsEntry **link = bucket (table, bucket_number (table, hash));

  g_assert (length <= GS_MAX_KEY);
  while (*link != NULL
         && ((*link)->hash != hash || (*link)->length != length || memcmp ((*link)->key, key, length) != 0))
    link = &(*link)->next;
  return link;
}

const GsEntry *
gs_table_lookup (GsTable *table, const guint8 *key, guint length)
{
  return *find (table, key, length, hash_key (key, length));
}

/* One bucket more: some of the entries of the one that it is split from are its own. */
static void
split_one (GsTable *table)
{
  guint fresh = table->n_buckets++;
  GsEntry **link = bucket (table, fresh - table->base), **to;

  if (fresh % SECTION == 0)
    g_ptr_array_add (table->sections, g_new0 (GsEntry *, SECTION));
  to = bucket (table, fresh);
  if (table->n_buckets == 2 * table->base)
    table->base *= 2;
  while (*link != NULL)
    {
      GsEntry *entry = *link;

      if (bucket_number (table, entry->hash) != fresh)
        {
          link = &entry->next;
          continue;
        }
      *link = entry->next;
      entry->next = NULL;
      *to = entry;
      to = &entry->next;
    }
}

/* @link: what find() said of it. */
static void
link_entry (GsTable *table, GsEntry **link, GsEntry *entry)
{
  table->first = MIN (table->first, bucket_number (table, entry->hash));
  entry->next = NULL;
  *link = entry;
  if (++table->n_entries > table->n_buckets)
    split_one (table);
}

static GsEntry *
unlink_entry (GsTable *table, GsEntry **link)
{
  GsEntry *entry = *link;

  *link = entry->next;
  entry->next = NULL;
  table->n_entries--;
  table->bytes -= entry_bytes (entry);
  return entry;
}

/* The entry to change, made if it is missing. Its size is taken off the table's, to be added again by changed(). */
static GsEntry *
change (GsTable *table, const guint8 *key, guint length)
{
  guint32 hash = hash_key (key, length);
  GsEntry **link = find (table, key, length, hash), *entry = *link;

  if (entry == NULL)
    {
      entry = entry_new (key, length, hash);
      link_entry (table, link, entry);
      return entry;
    }
  table->bytes -= entry_bytes (entry);
  return entry;
}

static void
changed (GsTable *table, const GsEntry *entry)
{
  table->bytes += entry_bytes (entry);
}

void
gs_table_put (GsTable *table, const guint8 *key, guint length, GBytes *value)
{
  GsEntry *entry = change (table, key, length);

  entry_set (entry, GS_VALUE, value);
  changed (table, entry);
}

void
gs_table_delete (GsTable *table, const guint8 *key, guint length)
{
  GsEntry *entry = change (table, key, length);

  entry_set (entry, GS_ABSENT, NULL);
  changed (table, entry);
}

void
gs_table_patch (GsTable *table, const guint8 *key, guint length, guint64 offset, gconstpointer data, gsize size)
{
  GsEntry *entry = change (table, key, length);

  entry_patch (entry, offset, data, size);
  changed (table, entry);
}

void
gs_table_merge_entry (GsTable *table, const GsEntry *upper)
{
  GsEntry *entry = change (table, upper->key, upper->length);

  gs_entry_merge (entry, upper);
  changed (table, entry);
}

GsEntry *
gs_table_lay (GsTable *table, GsEntry *upper)
{
  GsEntry **link = find (table, upper->key, upper->length, upper->hash), *entry = *link;

  if (entry == NULL)
    {
      link_entry (table, link, upper);
      changed (table, upper);
      return NULL;
    }
  table->bytes -= entry_bytes (entry);
  if (!gs_entry_is_whole (upper))
    {
      gs_entry_merge (entry, upper);
      changed (table, entry);
      return upper;
    }
  upper->next = g_steal_pointer (&entry->next);
  *link = upper;
  changed (table, upper);
  return entry;
}

GsEntry *
gs_table_take (GsTable *table)
{
  if (table->n_entries == 0)
    return NULL;
  while (*bucket (table, table->first) == NULL)
    table->first++;
  return unlink_entry (table, bucket (table, table->first));
}

GsEntry *
gs_table_take_key (GsTable *table, const guint8 *key, guint length)
{
  GsEntry **link = find (table, key, length, hash_key (key, length));

  return *link != NULL ? unlink_entry (table, link) : NULL;
}

void
gs_table_foreach (GsTable *table, GsEntryFunc func, gpointer data)
{
  for (guint i = table->first; i < table->n_buckets; i++)
    for (const GsEntry *entry = *bucket (table, i); entry != NULL; entry = entry->next)
      func (entry, data);
}
