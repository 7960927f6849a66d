/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Frames of the log read again while the store is open: for verify, and for what a copy lacks. All of them were written whole
 * by this opening or found whole by recovery, so one that is not there is damage. Upkeep's: no file goes meanwhile.
 */
#include "storage-gdbm/gs-store.h"

#include <fcntl.h>
#include <unistd.h>

#include "storage-gdbm/gs-bytes.h"

/* (element-type GsLogFile) those in which frames @from to @to lie */
static GArray *
choose_files (GsStore *store, guint64 from, guint64 to)
{
  GArray *files = g_array_new (FALSE, FALSE, sizeof (GsLogFile));
  g_autoptr (RookLocker) locker = rook_locker_new (&store->lock);

  for (guint i = 0; i < store->log_files->len; i++)
    {
      const GsLogFile *file = &g_array_index (store->log_files, GsLogFile, i);

      if (file->first_sequence <= to && file->end_sequence > from)
        g_array_append_val (files, *file);
    }
  return files;
}

/* (transfer full) the whole file */
static guint8 *
read_file (GsStore *store, const char *name, guint64 *out_size, GError **error)
{
  g_autofree guint8 *data = NULL;
  int fd = gs_io_open (store->io, store->dir, name, O_RDONLY, error);
  gboolean ok;

  if (fd < 0)
    return NULL;
  ok = gs_io_size (fd, out_size, name, error);
  if (ok)
    data = g_malloc (*out_size + 1);
  ok = ok && gs_io_pread (store->io, fd, data, *out_size, 0, name, error);
  close (fd);
  return ok ? g_steal_pointer (&data) : NULL;
}

/* Goes through one file. *@next: the frame that is to come. */
static gboolean
read_frames (GsStore *store, const GsLogFile *file, guint64 from, guint64 to, guint64 *next, GsFrameFunc func,
             gpointer data, GError **error)
{
  g_autofree char *name = gs_log_name (file->number);
  guint64 size = 0, sequence = file->first_sequence;
  g_autofree guint8 *bytes = read_file (store, name, &size, error);
  gsize at = GS_HEAD_SIZE;
  GsLogFrame frame;
  GsLogHead head;

  if (bytes == NULL)
    return FALSE;
  if (!gs_log_head_decode (bytes, size, &head, error) || head.number != file->number)
    {
      if (error != NULL && *error != NULL)
        g_prefix_error (error, "%s: ", name);
      else
        g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "%s is another file", name);
      return FALSE;
    }
  for (; sequence < file->end_sequence && sequence <= to; sequence++)
    {
      if (!gs_log_frame_decode (bytes + at, size - at, head.epoch, &frame) || frame.sequence != sequence)
        {
          g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT,
                       "%s is damaged at %" G_GSIZE_FORMAT ", in frame %" G_GUINT64_FORMAT, name, at, sequence);
          return FALSE;
        }
      if (sequence >= from && func != NULL)
        func (&frame, bytes + at + GS_LOG_FRAME_SIZE, data);
      at += (gsize) GS_PADDED (GS_LOG_FRAME_SIZE + frame.length);
    }
  *next = MAX (*next, sequence);
  return TRUE;
}

gboolean
gs_log_read (GsStore *store, guint64 from, guint64 to, GsFrameFunc func, gpointer data, GError **error)
{
  g_autoptr (GArray) files = choose_files (store, from, to);
  guint64 next = from;

  for (guint i = 0; i < files->len; i++)
    {
      const GsLogFile *file = &g_array_index (files, GsLogFile, i);

      if (file->first_sequence > next)
        break;
      if (!read_frames (store, file, from, to, &next, func, data, error))
        return FALSE;
    }
  if (next > to)
    return TRUE;
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "log frame %" G_GUINT64_FORMAT " is missing", next);
  return FALSE;
}
