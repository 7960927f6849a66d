/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The log's files while the store runs: one being written, a spare one in advance, old ones until both copies hold what
 * they say. Files are filled with zeros before they are used, so that a frame neither finds the disk full nor makes the
 * file system write metadata. Reading them back is gs-recover.c.
 */
#include "storage-gdbm/gs-store.h"

#include <fcntl.h>
#include <unistd.h>

#include "storage-gdbm/gs-bytes.h"

#define FILL_STEP (1024 * 1024)

char *
gs_log_name (guint64 number)
{
  return g_strdup_printf ("log.%016" G_GINT64_MODIFIER "x", number);
}

/* Synced although a commit's own sync would do that too: then it would have to write the zeros first. */
static gboolean
fill (GsStore *store, int fd, guint64 from, guint64 to, const char *name, GError **error)
{
  g_autofree guint8 *zeros = g_malloc0 (MIN (FILL_STEP, to - from));

  for (guint64 at = from; at < to; at += FILL_STEP)
    if (!gs_io_pwrite (store->io, fd, zeros, (gsize) MIN (FILL_STEP, to - at), at, name, error))
      return FALSE;
  return gs_io_sync (store->io, fd, name, error);
}

gboolean
gs_log_make_spare (GsStore *store, GError **error)
{
  guint64 size = 0;
  gboolean ok;
  int fd;

  if (faccessat (store->dir, GS_LOG_SPARE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return TRUE;
  fd = gs_io_open (store->io, store->dir, "log.filling", O_RDWR | O_CREAT, error);
  if (fd < 0)
    return FALSE;
  ok = gs_io_size (fd, &size, "log.filling", error)
       && (size <= store->settings.log_size
           || gs_io_truncate (store->io, fd, store->settings.log_size, "log.filling", error))
       && fill (store, fd, MIN (size, store->settings.log_size), store->settings.log_size, "log.filling", error);
  close (fd);
  return ok && gs_io_rename (store->io, store->dir, "log.filling", GS_LOG_SPARE, error);
}

/* --- a new file --------------------------------------------------------------------------------------------------------- */

static gboolean
write_head (GsStore *store, int fd, const GsLogHead *head, const char *name, GError **error)
{
  g_autofree guint8 *data = g_malloc (GS_HEAD_SIZE);

  gs_log_head_encode (head, data);
  return gs_io_pwrite (store->io, fd, data, GS_HEAD_SIZE, 0, name, error) && gs_io_sync (store->io, fd, name, error)
         && gs_io_sync_dir (store->io, store->dir, error);
}

static int
open_new (GsStore *store, const GsLogHead *head, const char *name, guint64 *out_size, GError **error)
{
  int fd;

  /* Without a spare it is filled here, which takes longer. */
  gs_io_rename (store->io, store->dir, GS_LOG_SPARE, name, NULL);
  fd = gs_io_open (store->io, store->dir, name, O_RDWR | O_CREAT, error);
  if (fd < 0)
    return -1;
  if (gs_io_size (fd, out_size, name, error)
      && (*out_size >= store->settings.log_size || fill (store, fd, *out_size, store->settings.log_size, name, error))
      && write_head (store, fd, head, name, error))
    {
      *out_size = MAX (*out_size, store->settings.log_size);
      return fd;
    }
  close (fd);
  return -1;
}

static guint64
random64 (void)
{
  return (guint64) g_random_int () << 32 | g_random_int ();
}

/* Tells everybody: the file before ends here. */
static void
note_file (GsStore *store)
{
  GsLogFile file = { .number = store->log.head.number,
                     .first_sequence = store->log.sequence,
                     .end_sequence = G_MAXUINT64,
                     .bytes = store->log.size };

  rook_mutex_lock (&store->lock);
  if (store->log_files->len > 0)
    g_array_index (store->log_files, GsLogFile, store->log_files->len - 1).end_sequence = store->log.sequence;
  g_array_append_val (store->log_files, file);
  store->spare_wanted = TRUE;
  rook_cond_broadcast (&store->cond);
  rook_mutex_unlock (&store->lock);
}

/* CURRENT takes little room, and on a disk without any the new file, which has more than the next commits need, gives it. */
static gboolean
note_log (GsStore *store, int fd, guint64 *size, const char *name, guint64 number, GError **error)
{
  g_autoptr (GError) failed = NULL;

  if (gs_current_note_log (store, number, &failed))
    return TRUE;
  if (!g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_FULL) || *size < 4 * GS_HEAD_SIZE)
    {
      g_propagate_error (error, g_steal_pointer (&failed));
      return FALSE;
    }
  *size = *size / 2 / GS_HEAD_SIZE * GS_HEAD_SIZE;
  return gs_io_truncate (store->io, fd, *size, name, error) && gs_io_sync (store->io, fd, name, error)
         && gs_current_note_log (store, number, error);
}

gboolean
gs_log_start (GsStore *store, GError **error)
{
  GsLog *log = &store->log;
  GsLogHead head = { .number = log->head.number + 1,
                     .opening = store->opening,
                     .epoch = random64 (),
                     .first_sequence = log->sequence,
                     .previous_crc = log->previous_crc };
  g_autofree char *name = gs_log_name (head.number);
  guint64 size;
  int fd;

  g_strlcpy (head.store_id, store->id, sizeof head.store_id);
  head.first_position = store->position + 1;
  fd = open_new (store, &head, name, &size, error);
  if (fd >= 0
      && !note_log (store, fd, &size, name, head.number, error)) /* before it holds anything that could be missed */
    {
      close (fd);
      fd = -1;
    }
  if (fd < 0)
    {
      log->head.number++; /* the name may be there: the next attempt takes another */
      return FALSE;
    }
  gs_log_stop (store);
  log->fd = fd;
  log->name = g_steal_pointer (&name);
  log->head = head;
  log->offset = GS_HEAD_SIZE;
  log->size = size;
  log->unsure = FALSE;
  note_file (store);
  return TRUE;
}

void
gs_log_stop (GsStore *store)
{
  if (store->log.fd >= 0)
    close (store->log.fd);
  store->log.fd = -1;
  g_clear_pointer (&store->log.name, g_free);
}

/* --- frames --------------------------------------------------------------------------------------------------------------- */

/* Room for @size bytes: in this file, or in a new one, which is made larger if it must be. */
static gboolean
make_room (GsStore *store, guint64 size, GError **error)
{
  GsLog *log = &store->log;

  if (log->offset + size <= log->size)
    return TRUE;
  if (log->offset > GS_HEAD_SIZE && !gs_log_start (store, error))
    return FALSE;
  if (log->offset + size <= log->size)
    return TRUE;
  if (!fill (store, log->fd, log->size, log->offset + size, log->name, error))
    return FALSE;
  log->size = log->offset + size;
  return TRUE;
}

static void
advance (GsStore *store, const GsLogFrame *frame, guint64 size)
{
  store->log.offset += size;
  store->log.sequence = frame->sequence + 1;
  store->log.previous_crc = frame->crc;
}

gboolean
gs_log_write (GsStore *store, const GByteArray *payload, guint n_batches, guint64 first_position, gint64 *out_sync_us,
              GError **error)
{
  GsLog *log = &store->log;
  guint8 head[GS_LOG_FRAME_SIZE];
  guint64 size = GS_PADDED (GS_LOG_FRAME_SIZE + (guint64) payload->len);
  struct iovec parts[2] = { { head, sizeof head }, { payload->data, payload->len } };
  GsLogFrame frame;

  if (!make_room (store, size, error))
    return FALSE;
  frame = (GsLogFrame){ .epoch = log->head.epoch,
                        .sequence = log->sequence,
                        .first_position = first_position,
                        .length = payload->len,
                        .n_batches = n_batches,
                        .previous_crc = log->previous_crc };
  gs_log_frame_encode (&frame, payload->data, head);
  log->unsure = TRUE;
  if (!gs_io_pwritev (store->io, log->fd, parts, payload->len > 0 ? 2 : 1, log->offset, log->name, error))
    return FALSE;
  *out_sync_us = g_get_monotonic_time ();
  if (!gs_io_sync (store->io, log->fd, log->name, error))
    return FALSE;
  *out_sync_us = g_get_monotonic_time () - *out_sync_us;
  log->unsure = FALSE;
  advance (store, &frame, size);
  return TRUE;
}

/* --- old files ------------------------------------------------------------------------------------------------------------ */

/* With the lock: the first file, if nobody needs it any more. */
static gboolean
take_old (GsStore *store, guint64 sequence, GsLogFile *out_file)
{
  if (store->damaged || store->log_files->len < 2)
    return FALSE;
  *out_file = g_array_index (store->log_files, GsLogFile, 0);
  if (out_file->end_sequence > sequence + 1)
    return FALSE;
  g_array_remove_index (store->log_files, 0);
  return TRUE;
}

/* It becomes the next spare, or goes. What is in it can't be mistaken for new: each use has an epoch of its own. */
static void
recycle (GsStore *store, const GsLogFile *file)
{
  g_autofree char *name = gs_log_name (file->number);
  g_autoptr (GError) error = NULL;
  gboolean spare = faccessat (store->dir, GS_LOG_SPARE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;

  if (!spare && file->bytes == store->settings.log_size)
    gs_io_rename (store->io, store->dir, name, GS_LOG_SPARE, &error);
  else
    gs_io_unlink (store->io, store->dir, name, &error);
  if (error != NULL)
    gs_log_notice (store, ROOK_LOG_WARNING, "store.log", "%s", error->message);
}

void
gs_log_trim (GsStore *store, guint64 sequence)
{
  GsLogFile file;
  gboolean taken;

  do
    {
      rook_mutex_lock (&store->lock);
      taken = take_old (store, sequence, &file);
      rook_mutex_unlock (&store->lock);
      if (taken)
        recycle (store, &file);
    }
  while (taken);
}
