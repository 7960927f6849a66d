/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The two GDBM files. GDBM is not crash-safe in place and does not notice damage, so it is never trusted: each record
 * carries a CRC over key and value, and a copy is only read when CURRENT says that its last write was finished. mmap is
 * off: with it a full or failing disk would be a signal and not an error.
 */
#include "storage-gdbm/gs-store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "storage-gdbm/gs-bytes.h"

#define BLOCK_SIZE 4096
#define FLAGS (GDBM_NOLOCK | GDBM_NOMMAP | GDBM_CLOEXEC)
#define WRITER_BUCKETS 4096
#define MARK_SIZE 24
#define CLONE_STEP (8 * 1024 * 1024)

static char *
copy_name (guint index)
{
  return g_strdup_printf ("table.%u", index);
}

char *
gs_copy_path (GsStore *store, guint index)
{
  return g_strdup_printf ("%s/table.%u", store->path, index);
}

static gboolean
gdbm_failed (GDBM_FILE dbf, const char *what, GError **error)
{
  int code = dbf != NULL ? gdbm_last_errno (dbf) : gdbm_errno, os = dbf != NULL ? gdbm_last_syserr (dbf) : errno;
  /* A number that is damaged makes GDBM seek to nowhere; and a file that is not there is not one that can't be read now. */
  gboolean system = gdbm_check_syserr (code) && os != 0 && os != EINVAL && os != EOVERFLOW && os != ENOENT;

  if (system)
    gs_set_errno (error, os, "%s: %s", what, gdbm_strerror (code));
  else
    g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "%s: %s", what, gdbm_strerror (code));
  return FALSE;
}

static GDBM_FILE
open_copy (GsStore *store, guint index, int mode, GError **error)
{
  g_autofree char *path = gs_copy_path (store, index);
  GDBM_FILE dbf = NULL;

  errno = 0;
  if (gs_io_allowed (store->io, mode == GDBM_READER ? GS_IO_READ : GS_IO_WRITE))
    dbf = gdbm_open (path, BLOCK_SIZE, mode | FLAGS, 0600, NULL);
  else
    gdbm_errno = GDBM_FILE_OPEN_ERROR; /* as GDBM says it of a call that failed */
  if (dbf == NULL && gdbm_errno == GDBM_FILE_OPEN_ERROR && errno == ENOENT)
    g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "table.%u is missing", index);
  else if (dbf == NULL)
    gdbm_failed (NULL, path, error);
  return dbf;
}

/* GDBM's hash of the key, whose highest bits are the number of its bucket. */
guint32
gs_copy_place (const guint8 *key, guint length)
{
  guint32 hash = 0x238f13afu * length;

  for (guint i = 0; i < length; i++)
    hash = (hash + ((guint32) (gint8) key[i] << (i * 5 % 24))) & G_MAXINT32;
  return (1103515243u * hash + 12345u) & G_MAXINT32;
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

void
gs_reader_clear (GsReader *reader)
{
  for (int i = 0; i < 2; i++)
    g_clear_pointer (&reader->dbf[i], gdbm_close);
}

static GDBM_FILE
reader_handle (GsStore *store, GsReader *reader, guint index, GError **error)
{
  /* The version can't change while the copy is pinned. */
  guint64 version = __atomic_load_n (&store->versions[index], __ATOMIC_ACQUIRE);

  if (reader->dbf[index] != NULL && reader->version[index] == version)
    return reader->dbf[index];
  g_clear_pointer (&reader->dbf[index], gdbm_close);
  reader->dbf[index] = open_copy (store, index, GDBM_READER, error);
  reader->version[index] = version;
  return reader->dbf[index];
}

static void
free_record (gpointer data)
{
  free (data);
}

/* Takes @content. */
static GBytes *
check_record (const guint8 *key, guint length, datum content)
{
  gsize size;
  g_autoptr (GBytes) record = NULL;

  if (!gs_record_decode (key, length, (const guint8 *) content.dptr, (gsize) content.dsize, &size))
    {
      free (content.dptr);
      return NULL;
    }
  record = g_bytes_new_with_free_func (content.dptr, (gsize) content.dsize, free_record, content.dptr);
  return g_bytes_new_from_bytes (record, GS_RECORD_HEAD, size);
}

static datum
key_datum (const guint8 *key, guint length)
{
  return (datum){ .dptr = (char *) key, .dsize = (int) length };
}

/* @out_found: whether there is such a record. */
static gboolean
fetch (GsStore *store, GDBM_FILE dbf, const guint8 *key, guint length, GBytes **out_value, GError **error)
{
  datum content = { NULL, 0 };

  *out_value = NULL;
  if (!gs_io_allowed (store->io, GS_IO_READ))
    {
      gs_set_errno (error, errno, "reading a table");
      return FALSE;
    }
  gdbm_errno = GDBM_NO_ERROR;
  content = gdbm_fetch (dbf, key_datum (key, length));
  if (content.dptr == NULL)
    return gdbm_errno == GDBM_ITEM_NOT_FOUND || gdbm_failed (dbf, "reading a table", error);
  *out_value = check_record (key, length, content);
  if (*out_value == NULL)
    g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "a record of table %u is damaged",
                 gs_key_table (key));
  return *out_value != NULL;
}

gboolean
gs_copy_fetch (GsStore *store, GsReader *reader, guint index, const guint8 *key, guint length, GBytes **out_value,
               GError **error)
{
  GDBM_FILE dbf = reader_handle (store, reader, index, error);

  if (dbf == NULL)
    return FALSE;
  if (fetch (store, dbf, key, length, out_value, error))
    return TRUE;
  g_clear_pointer (&reader->dbf[index], gdbm_close); /* after an error GDBM says of everything that it needs recovery */
  return FALSE;
}

gboolean
gs_copy_foreach (GsStore *store, guint index, GsCopyFunc func, gpointer data, GError **error)
{
  GDBM_FILE dbf = open_copy (store, index, GDBM_READER, error);
  gboolean ok = TRUE;
  datum key;

  if (dbf == NULL)
    return FALSE;
  gdbm_errno = GDBM_NO_ERROR;
  for (key = gdbm_firstkey (dbf); key.dptr != NULL;)
    {
      g_autoptr (GError) damaged = NULL;
      g_autoptr (GBytes) value = NULL;
      datum next;
      gboolean go_on = TRUE;

      if (!fetch (store, dbf, (const guint8 *) key.dptr, (guint) key.dsize, &value, &damaged)
          && !g_error_matches (damaged, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
        {
          g_propagate_error (error, g_steal_pointer (&damaged));
          go_on = ok = FALSE;
        }
      if (ok && key.dsize >= 2 && gs_key_table ((const guint8 *) key.dptr) != GS_TABLE_MARK)
        go_on = func ((const guint8 *) key.dptr, (guint) key.dsize, value, data);
      gdbm_errno = GDBM_NO_ERROR;
      next = go_on ? gdbm_nextkey (dbf, key) : (datum){ NULL, 0 };
      free (key.dptr);
      key = next;
    }
  if (ok && gdbm_errno != GDBM_NO_ERROR && gdbm_errno != GDBM_ITEM_NOT_FOUND)
    ok = gdbm_failed (dbf, "reading a table on", error);
  gdbm_close (dbf);
  return ok;
}

typedef struct {
  GsCopyInfo sums;
  gboolean damaged, stopped;
  GsCopyFunc func; /* (nullable) */
  gpointer data;
} Check;

static gboolean
check_one (const guint8 *key, guint length, GBytes *value, gpointer data)
{
  Check *check = data;
  guint table = gs_key_table (key);
  gsize size;
  gconstpointer bytes;

  if (value == NULL || table >= GS_N_TABLES)
    check->damaged = TRUE;
  else
    {
      bytes = g_bytes_get_data (value, &size);
      check->sums.counts[table]++;
      check->sums.digests[table] ^= gs_record_digest (key, length, bytes, size);
    }
  check->stopped = check->func != NULL && !check->func (key, length, value, check->data);
  return !check->stopped;
}

static gboolean
compare_sums (const Check *check, guint index, const GsCopyInfo *info, GError **error)
{
  for (guint i = 0; i < GS_N_TABLES; i++)
    if (check->sums.counts[i] != info->counts[i])
      {
        g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT,
                     "table.%u: table %u has %" G_GUINT64_FORMAT " records, and should have %" G_GUINT64_FORMAT, index,
                     i, check->sums.counts[i], info->counts[i]);
        return FALSE;
      }
    else if (check->sums.digests[i] != info->digests[i])
      {
        g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT,
                     "table.%u: table %u has other records than it should", index, i);
        return FALSE;
      }
  return TRUE;
}

gboolean
gs_copy_check (GsStore *store, guint index, const GsCopyInfo *info, GsCopyFunc func, gpointer data, GError **error)
{
  g_autofree Check *check = g_new0 (Check, 1);

  check->func = func;
  check->data = data;
  if (!gs_copy_foreach (store, index, check_one, check, error))
    return FALSE;
  if (check->stopped)
    g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CANCELLED, "stopped before it was done");
  else if (check->damaged)
    g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "table.%u has a damaged record", index);
  else
    return compare_sums (check, index, info, error);
  return FALSE;
}

/* --- the mark ------------------------------------------------------------------------------------------------------- */

static gboolean
mark_decode (GsStore *store, GBytes *mark, GsCopyInfo *out_info)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (mark, &size);

  if (size < MARK_SIZE + GS_ID_SIZE || strncmp ((const char *) data + MARK_SIZE, store->id, GS_ID_SIZE) != 0)
    return FALSE;
  *out_info = (GsCopyInfo){ .position = gs_get64 (data + 8), .sequence = gs_get64 (data + 16) };
  size -= MARK_SIZE + GS_ID_SIZE; /* an older one ends there, and says nothing of what is in the copy */
  return size == 0 || gs_copy_info_decode (data + MARK_SIZE + GS_ID_SIZE, size, out_info) == size;
}

/* @out_mark: (nullable) a new copy has none */
static gboolean
fetch_mark (GsStore *store, guint index, GBytes **out_mark, GError **error)
{
  GsReader reader = { { NULL, NULL }, { 0, 0 } };
  gboolean ok;
  GsKey key;

  gs_key_set (&key, GS_TABLE_MARK, "", 0);
  ok = gs_copy_fetch (store, &reader, index, key.bytes, gs_key_length (&key), out_mark, error);
  gs_reader_clear (&reader);
  return ok;
}

gboolean
gs_copy_read_id (GsStore *store, guint index, char *out_id, GError **error)
{
  g_autoptr (GBytes) mark = NULL;
  gsize size;
  const guint8 *data;

  if (!fetch_mark (store, index, &mark, error))
    return FALSE;
  data = mark != NULL ? g_bytes_get_data (mark, &size) : NULL;
  out_id[0] = out_id[GS_ID_SIZE] = '\0';
  if (data != NULL && size >= MARK_SIZE + GS_ID_SIZE)
    memcpy (out_id, data + MARK_SIZE, GS_ID_SIZE);
  return TRUE;
}

gboolean
gs_copy_read_mark (GsStore *store, guint index, GsCopyInfo *out_info, gboolean *out_there, GError **error)
{
  g_autoptr (GBytes) mark = NULL;

  if (!fetch_mark (store, index, &mark, error))
    return FALSE;
  *out_there = mark != NULL;
  if (mark == NULL)
    memset (out_info, 0, sizeof *out_info);
  else if (!mark_decode (store, mark, out_info))
    {
      g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "table.%u is of another store", index);
      return FALSE;
    }
  return TRUE;
}

gboolean
gs_copy_check_mark (GsStore *store, guint index, const GsCopyInfo *info, GError **error)
{
  GsCopyInfo mark;
  gboolean there;

  if (!gs_copy_read_mark (store, index, &mark, &there, error))
    return FALSE;
  if (mark.sequence == info->sequence)
    return TRUE;
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "table.%u is not the one that CURRENT names", index);
  return FALSE;
}

/* --- making --------------------------------------------------------------------------------------------------------- */

gboolean
gs_copy_create (GsStore *store, guint index, GError **error)
{
  GDBM_FILE dbf = open_copy (store, index, GDBM_NEWDB, error);

  if (dbf == NULL)
    return FALSE;
  if (!gs_io_allowed (store->io, GS_IO_SYNC) || gdbm_sync (dbf) != 0)
    {
      gdbm_failed (dbf, "making a table", error);
      gdbm_close (dbf);
      return FALSE;
    }
  return gdbm_close (dbf) == 0 || gdbm_failed (NULL, "making a table", error);
}

static gboolean
copy_bytes (GsStore *store, int from, int to, GError **error)
{
  g_autofree guint8 *buffer = g_malloc (CLONE_STEP);
  guint64 size, at = 0;

  if (!gs_io_size (from, &size, "a table", error))
    return FALSE;
  while (at < size)
    {
      gsize step = (gsize) MIN (CLONE_STEP, size - at);

      if (g_atomic_int_get (&store->hurry))
        {
          g_set_error_literal (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CANCELLED, "the store is being closed");
          return FALSE;
        }
      if (!gs_io_pread (store->io, from, buffer, step, at, "a table", error)
          || !gs_io_pwrite (store->io, to, buffer, step, at, "a table", error))
        return FALSE;
      at += step;
    }
  return gs_io_sync (store->io, to, "a table", error);
}

/* The bytes are synced once more by gs_writer_finish(), before CURRENT names the copy; the directory is for a copy that was
 * not there, whose name must not come after CURRENT's. */
gboolean
gs_copy_clone (GsStore *store, guint from, guint to, GError **error)
{
  g_autofree char *from_name = copy_name (from);
  g_autofree char *to_name = copy_name (to);
  int in = gs_io_open (store->io, store->dir, from_name, O_RDONLY, error), out = -1;
  gboolean ok;

  if (in >= 0)
    out = gs_io_open (store->io, store->dir, to_name, O_WRONLY | O_CREAT | O_TRUNC, error);
  ok = out >= 0 && copy_bytes (store, in, out, error) && gs_io_sync_dir (store->io, store->dir, error);
  if (in >= 0)
    close (in);
  if (out >= 0)
    close (out);
  return ok;
}

/* --- writing -------------------------------------------------------------------------------------------------------- */

gboolean
gs_writer_open (GsWriter *writer, GsStore *store, guint index, GsCopyInfo *info, GError **error)
{
  int buckets = WRITER_BUCKETS;

  *writer = (GsWriter){ .store = store, .info = info };
  writer->dbf = open_copy (store, index, GDBM_WRITER, error);
  if (writer->dbf == NULL)
    return FALSE;
  gdbm_setopt (writer->dbf, GDBM_SETCACHESIZE, &buckets, sizeof buckets);
  return TRUE;
}

/* Takes one record out of the sums, or puts it in. */
static void
count (GsCopyInfo *info, const guint8 *key, guint length, GBytes *value, int sign)
{
  gsize size;
  gconstpointer data = g_bytes_get_data (value, &size);
  guint table = gs_key_table (key);

  info->counts[table] += (guint64) sign;
  info->bytes += (guint64) sign * (length + gs_record_size (size));
  info->digests[table] ^= gs_record_digest (key, length, data, size);
}

static gboolean
write_record (GsWriter *writer, const guint8 *key, guint length, GBytes *value, GError **error)
{
  gsize size, record_size;
  gconstpointer data = g_bytes_get_data (value, &size);
  g_autofree guint8 *record = NULL;

  record_size = gs_record_size (size);
  record = g_malloc (record_size);
  gs_record_encode (key, length, data, size, record);
  if (!gs_io_allowed (writer->store->io, GS_IO_WRITE))
    {
      gs_set_errno (error, errno, "writing a table");
      return FALSE;
    }
  return gdbm_store (writer->dbf, key_datum (key, length),
                     (datum){ .dptr = (char *) record, .dsize = (int) record_size }, GDBM_REPLACE)
             == 0
         || gdbm_failed (writer->dbf, "writing a table", error);
}

gboolean
gs_writer_set (GsWriter *writer, const guint8 *key, guint length, GBytes *value, GError **error)
{
  g_autoptr (GBytes) old = NULL;

  if (!fetch (writer->store, writer->dbf, key, length, &old, error))
    return FALSE;
  if (old != NULL && value != NULL && g_bytes_equal (old, value))
    return TRUE;
  if (old != NULL)
    count (writer->info, key, length, old, -1);
  if (value == NULL)
    return old == NULL || gdbm_delete (writer->dbf, key_datum (key, length)) == 0
           || gdbm_failed (writer->dbf, "writing a table", error);
  count (writer->info, key, length, value, 1);
  return write_record (writer, key, length, value, error);
}

/* What the copy says of itself: that it is of this store, where it goes to, and what is in it. */
static gboolean
write_mark (GsWriter *writer, GError **error)
{
  g_autoptr (GByteArray) mark = g_byte_array_new ();
  guint8 *p = gs_grow (mark, MARK_SIZE + GS_ID_SIZE);
  g_autoptr (GBytes) value = NULL;
  GsKey key;

  gs_key_set (&key, GS_TABLE_MARK, "", 0);
  p[0] = GS_FORMAT_VERSION;
  gs_put64 (p + 8, writer->info->position);
  gs_put64 (p + 16, writer->info->sequence);
  memcpy (p + MARK_SIZE, writer->store->id, strlen (writer->store->id));
  gs_copy_info_encode (writer->info, mark);
  value = g_bytes_new (mark->data, mark->len);
  return write_record (writer, key.bytes, gs_key_length (&key), value, error);
}

/* gdbm_close() syncs as well (1.23), of which its manual says nothing. */
gboolean
gs_writer_finish (GsWriter *writer, GError **error)
{
  if (!write_mark (writer, error))
    {
      gs_writer_abandon (writer);
      return FALSE;
    }
  if (!gs_io_allowed (writer->store->io, GS_IO_SYNC) || gdbm_sync (writer->dbf) != 0)
    {
      gdbm_failed (writer->dbf, "syncing a table", error);
      gs_writer_abandon (writer);
      return FALSE;
    }
  return gdbm_close (g_steal_pointer (&writer->dbf)) == 0 || gdbm_failed (NULL, "closing a table", error);
}

void
gs_writer_abandon (GsWriter *writer)
{
  g_clear_pointer (&writer->dbf, gdbm_close);
}
