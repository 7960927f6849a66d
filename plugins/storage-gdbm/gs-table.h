/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tables in memory: recent changes that the copies on disk do not hold yet. An entry knows its value, knows that there is
 * none, or knows only patches to a value that lies below. One lock protects a table: its owner's.
 */
#pragma once

#include "rookery/storage.h"

G_BEGIN_DECLS

/* A key in full: two bytes of table number, big-endian, then the key. 0 to 255 are the user's tables. */
#define GS_TABLE_BLOBS 256    /* blob id (8, big-endian): where it lies */
#define GS_TABLE_CONTENT 257  /* class, content key: blob id */
#define GS_TABLE_SEGMENTS 258 /* segment number (4, big-endian): live bytes */
#define GS_N_TABLES 259
#define GS_TABLE_MARK 259 /* not counted: what a copy says of itself */
#define GS_MAX_KEY (2 + ROOK_STORE_MAX_KEY)

typedef struct {
  guint8 length_high; /* keeps the struct free of padding: see gs_key_length() */
  guint8 length_low;
  guint8 bytes[GS_MAX_KEY];
} GsKey;

static inline guint
gs_key_length (const GsKey *key)
{
  return (guint) key->length_high << 8 | key->length_low;
}
void gs_key_set (GsKey *key, guint table, gconstpointer data, gsize length);
static inline guint
gs_key_table (const guint8 *bytes)
{
  return (guint) bytes[0] << 8 | bytes[1];
}

typedef enum { GS_BELOW, GS_ABSENT, GS_VALUE } GsBase;

typedef struct GsEntry GsEntry;
struct GsEntry {
  GsEntry *next; /* the table's */
  GsBase base;
  GBytes *value;   /* (owned) of VALUE */
  GArray *patches; /* (owned) (nullable) sorted, apart from each other; of BELOW, or of a large VALUE */
  guint64 extent;  /* the value is at least so long */
  guint32 hash;
  guint16 length;
  guint8 key[];
};

typedef struct GsTable GsTable;

GsTable *gs_table_new (void);
void gs_table_free (GsTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GsTable, gs_table_free)
guint gs_table_size (GsTable *table);    /* entries */
guint64 gs_table_bytes (GsTable *table); /* of memory, about */

void gs_table_put (GsTable *table, const guint8 *key, guint length, GBytes *value);
void gs_table_delete (GsTable *table, const guint8 *key, guint length);
void gs_table_patch (GsTable *table, const guint8 *key, guint length, guint64 offset, gconstpointer data, gsize size);
/* (nullable) (transfer none) */
const GsEntry *gs_table_lookup (GsTable *table, const guint8 *key, guint length);
/* What @upper says, over what the table says. */
void gs_table_merge_entry (GsTable *table, const GsEntry *upper);
/* The same, but @upper is the table's from now on. Returns: (transfer full) (nullable): what nobody needs any more. */
GsEntry *gs_table_lay (GsTable *table, GsEntry *upper);
/* Any entry, or that of a key, which is in the table no longer. Returns: (transfer full) (nullable) */
GsEntry *gs_table_take (GsTable *table);
GsEntry *gs_table_take_key (GsTable *table, const guint8 *key, guint length);

typedef void (*GsEntryFunc) (const GsEntry *entry, gpointer data);
void gs_table_foreach (GsTable *table, GsEntryFunc func, gpointer data);

/* Entries by themselves. */
GsEntry *gs_entry_copy (const GsEntry *entry);
void gs_entry_free (GsEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GsEntry, gs_entry_free)
/* What @upper says over what @entry says. */
void gs_entry_merge (GsEntry *entry, const GsEntry *upper);
/* Whether nothing below matters. */
static inline gboolean
gs_entry_is_whole (const GsEntry *entry)
{
  return entry->base != GS_BELOW;
}
/* The value, if what lies below is @below (nullable). Returns: (transfer full) (nullable) */
GBytes *gs_entry_resolve (const GsEntry *entry, GBytes *below);

G_END_DECLS
