/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The file CURRENT: which of the two copies counts, up to where each goes, and what must be in it. Replaced as a whole.
 */
#include "storage-gdbm/gs-store.h"

#include "storage-gdbm/gs-bytes.h"
#include "storage-gdbm/gs-checksum.h"

#define NAME "CURRENT"
#define MAGIC "RookCur\n"
#define HEAD_SIZE 64 /* magic (8), version (2), current (1), zeros, opening (4) at 16, segment (4), log (8); zeros */
#define COPY_SIZE 40 /* position, sequence, bytes, clean (1), zeros, number of tables (2) at 32; then the tables */
#define TABLE_SIZE 24
#define MAX_SIZE (HEAD_SIZE + 2 * (COPY_SIZE + GS_N_TABLES * TABLE_SIZE) + 4)

void
gs_copy_info_encode (const GsCopyInfo *info, GByteArray *out)
{
  guint at = out->len, n = 0;
  guint8 *p = gs_grow (out, COPY_SIZE);

  gs_put64 (p, info->position);
  gs_put64 (p + 8, info->sequence);
  gs_put64 (p + 16, info->bytes);
  p[24] = info->clean;
  for (guint i = 0; i < GS_N_TABLES; i++)
    {
      if (info->counts[i] == 0 && info->digests[i] == 0)
        continue;
      p = gs_grow (out, TABLE_SIZE);
      gs_put16 (p, (guint16) i);
      gs_put64 (p + 8, info->counts[i]);
      gs_put64 (p + 16, info->digests[i]);
      n++;
    }
  gs_put16 (out->data + at + 32, (guint16) n);
}

/* (transfer full) */
static GByteArray *
encode (const GsCurrent *current)
{
  GByteArray *out = g_byte_array_new ();
  guint8 *p = gs_grow (out, HEAD_SIZE);

  memcpy (p, MAGIC, 8);
  gs_put16 (p + 8, GS_FORMAT_VERSION);
  p[10] = (guint8) current->current;
  gs_put32 (p + 16, current->opening);
  gs_put32 (p + 20, current->next_segment);
  gs_put64 (p + 24, current->log_number);
  gs_copy_info_encode (&current->copies[0], out);
  gs_copy_info_encode (&current->copies[1], out);
  p = gs_grow (out, 4);
  gs_put32 (p, gs_crc32c (0, out->data, out->len - 4));
  return out;
}

/* With current_lock. */
static gboolean
write_it (GsStore *store, GsCurrent *current, GError **error)
{
  g_autoptr (GByteArray) out = NULL;

  rook_mutex_lock (&store->segments_lock);
  current->next_segment = MAX (current->next_segment, store->next_segment);
  rook_mutex_unlock (&store->segments_lock);
  out = encode (current);
  store->is_unsure = !gs_io_replace (store->io, store->dir, NAME, out->data, out->len, error);
  if (store->is_unsure)
    return FALSE;
  store->written = *current;
  return TRUE;
}

gboolean
gs_current_write (GsStore *store, const GsCurrent *current, GError **error)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->current_lock);
  g_autofree GsCurrent *fresh = g_memdup2 (current, sizeof *current);

  fresh->log_number = MAX (fresh->log_number, store->written.log_number);
  return write_it (store, fresh, error);
}

gboolean
gs_current_note_log (GsStore *store, guint64 number, GError **error)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->current_lock);
  g_autofree GsCurrent *fresh = g_memdup2 (&store->written, sizeof store->written);

  fresh->log_number = number;
  return write_it (store, fresh, error);
}

gboolean
gs_current_check (GsStore *store, GError **error)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&store->current_lock);
  g_autoptr (GBytes) found = gs_io_read_file (store->io, store->dir, NAME, MAX_SIZE, error);
  g_autoptr (GByteArray) wanted = encode (&store->written);

  if (found == NULL)
    return FALSE;
  if (store->is_unsure
      || (g_bytes_get_size (found) == wanted->len
          && memcmp (g_bytes_get_data (found, NULL), wanted->data, wanted->len) == 0))
    return TRUE;
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, NAME " is damaged");
  return FALSE;
}

gsize
gs_copy_info_decode (const guint8 *data, gsize left, GsCopyInfo *info)
{
  guint n;

  if (left < COPY_SIZE)
    return 0;
  *info = (GsCopyInfo){
    .position = gs_get64 (data), .sequence = gs_get64 (data + 8), .bytes = gs_get64 (data + 16), .clean = data[24]
  };
  n = gs_get16 (data + 32);
  if ((left - COPY_SIZE) / TABLE_SIZE < n)
    return 0;
  for (guint i = 0; i < n; i++)
    {
      const guint8 *p = data + COPY_SIZE + i * TABLE_SIZE;
      guint table = gs_get16 (p);

      if (table >= GS_N_TABLES)
        return 0;
      info->counts[table] = gs_get64 (p + 8);
      info->digests[table] = gs_get64 (p + 16);
    }
  return COPY_SIZE + n * TABLE_SIZE;
}

/* Of any version. */
static gboolean
is_sound (const guint8 *data, gsize size)
{
  return size >= HEAD_SIZE + 4 && memcmp (data, MAGIC, 8) == 0
         && gs_get32 (data + size - 4) == gs_crc32c (0, data, size - 4);
}

static gboolean
decode (const guint8 *data, gsize size, GsCurrent *out_current)
{
  gsize at = HEAD_SIZE;

  if (!is_sound (data, size))
    return FALSE;
  out_current->current = data[10];
  out_current->opening = gs_get32 (data + 16);
  out_current->next_segment = gs_get32 (data + 20);
  out_current->log_number = gs_get64 (data + 24);
  for (int i = 0; i < 2; i++)
    {
      gsize used = gs_copy_info_decode (data + at, size - 4 - at, &out_current->copies[i]);

      if (used == 0)
        return FALSE;
      at += used;
    }
  return at == size - 4 && out_current->current < 2;
}

gboolean
gs_current_read (GsStore *store, GsCurrent *out_current, GError **error)
{
  g_autoptr (GBytes) bytes = gs_io_read_file (store->io, store->dir, NAME, MAX_SIZE, error);
  gsize size;
  const guint8 *data;

  if (bytes == NULL)
    return FALSE;
  data = g_bytes_get_data (bytes, &size);
  if (is_sound (data, size) && gs_get16 (data + 8) > GS_FORMAT_VERSION)
    {
      g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_VERSION, "CURRENT has format %u", gs_get16 (data + 8));
      return FALSE;
    }
  if (decode (data, size, out_current))
    return TRUE;
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "CURRENT is damaged");
  return FALSE;
}
