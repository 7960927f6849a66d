/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Recovery at open: a copy, and what the log says beyond it. A frame that is bad and last is a torn tail: its batches were
 * never reported as done. A bad frame with good ones behind it is damage: it is reported, and every frame that can be read
 * is kept. Writing goes on in a new file, whose head makes everything void that it did not see.
 */
#include "storage-gdbm/gs-store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "storage-gdbm/gs-bytes.h"

typedef struct {
  guint64 number;
  GsLogHead head;
  guint64 size;
  gboolean rebuilt; /* the head could not be read: it is what the first frame says */
} File;

typedef struct {
  GsStore *store;
  GArray *files;    /* (element-type File) by number */
  guint unread;     /* log files whose heads could not be read: each may have been another opening's */
  guint64 highest;  /* number of any log file */
  GArray *segments; /* (element-type guint64) class << 32 | number */
  guint64 base;     /* the copy in use holds up to this frame */
  guint64 other;    /* the other one up to this; G_MAXUINT64: it will be made afresh */
  guint64 missed;   /* what that lacks is known up to this frame */
  guint64 last;     /* frame that was read */
  guint32 last_crc;
  guint64 position;
  guint64 replayed;
  gboolean unreadable; /* a copy may be good, and the disk does not say */
  gboolean lost;       /* neither copy is good */
  gboolean gaps;       /* what was reported as durable is not all there */
} Recovery;

static void damage (Recovery *r, const char *format, ...) G_GNUC_PRINTF (2, 3);
static void lose (Recovery *r, const char *format, ...) G_GNUC_PRINTF (2, 3);
static void damage_valist (Recovery *r, const char *format, va_list args) G_GNUC_PRINTF (2, 0);

static void
damage_valist (Recovery *r, const char *format, va_list args)
{
  g_autofree char *text = g_strdup_vprintf (format, args);

  gs_log_notice (r->store, ROOK_LOG_ERROR, "store.damaged", "%s", text);
  r->store->damaged = TRUE;
}

static void
damage (Recovery *r, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  damage_valist (r, format, args);
  va_end (args);
}

/* Damage by which batches are gone. */
static void
lose (Recovery *r, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  damage_valist (r, format, args);
  va_end (args);
  r->gaps = TRUE;
}

/* --- what is there -------------------------------------------------------------------------------------------------------- */

static gint
compare_files (gconstpointer a, gconstpointer b)
{
  const File *x = a, *y = b;

  return x->number < y->number ? -1 : x->number > y->number;
}

static gboolean
parse_number (const char *text, gsize digits, guint64 *out_number)
{
  char *end;

  if (strlen (text) != digits || strspn (text, "0123456789abcdef") != digits)
    return FALSE;
  *out_number = g_ascii_strtoull (text, &end, 16);
  return TRUE;
}

/* What the head of @file said, by its first good frame, if it has one. */
static gboolean
rebuild_head (Recovery *r, int fd, const char *name, File *file, GError **error)
{
  gsize size = file->size > GS_HEAD_SIZE ? (gsize) (file->size - GS_HEAD_SIZE) : 0;
  g_autofree guint8 *data = g_malloc (size + 1);
  GsLogFrame frame;

  if (!gs_io_pread (r->store->io, fd, data, size, GS_HEAD_SIZE, name, error))
    return FALSE;
  for (gsize at = 0; !file->rebuilt && at + GS_LOG_FRAME_SIZE <= size; at += GS_ALIGN)
    if (gs_log_frame_decode (data + at, size - at, gs_get64 (data + at + 8), &frame) && frame.sequence > 0)
      {
        /* One that is not at the beginning had others before it. */
        file->head = (GsLogHead){ .number = file->number,
                                  .epoch = frame.epoch,
                                  .first_sequence = frame.sequence - (at > 0),
                                  .first_position = frame.first_position,
                                  .previous_crc = at > 0 ? 0 : frame.previous_crc };
        file->rebuilt = TRUE;
      }
  return TRUE;
}

/* A head that can't be read is of a file that was being made, or is damage: then there are frames. A good head that is another
 * file's is of one that was to be used again. A newer format is an error. */
static gboolean
read_log (Recovery *r, int fd, const char *name, File *file, gboolean *out_there, GError **error)
{
  g_autofree guint8 *data = g_malloc (GS_HEAD_SIZE);
  g_autoptr (GError) failed = NULL;
  gboolean ok = TRUE;

  if (gs_io_size (fd, &file->size, name, &failed)
      && gs_io_pread (r->store->io, fd, data, GS_HEAD_SIZE, 0, name, &failed)
      && gs_log_head_decode (data, GS_HEAD_SIZE, &file->head, &failed))
    *out_there = file->head.number == file->number && strcmp (file->head.store_id, r->store->id) == 0;
  else if (g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
    {
      r->unread++;
      ok = rebuild_head (r, fd, name, file, error);
      *out_there = file->rebuilt;
    }
  else
    {
      g_propagate_prefixed_error (error, g_steal_pointer (&failed), "%s: ", name);
      ok = FALSE;
    }
  return ok;
}

static gboolean
add_log (Recovery *r, const char *name, guint64 number, GError **error)
{
  File file = { .number = number };
  int fd = gs_io_open (r->store->io, r->store->dir, name, O_RDONLY, error);
  gboolean ok, there = FALSE;

  if (fd < 0)
    return FALSE;
  r->highest = MAX (r->highest, number);
  ok = read_log (r, fd, name, &file, &there, error);
  close (fd);
  if (ok && there)
    g_array_append_val (r->files, file);
  return ok;
}

/* Of heads that were rebuilt, those that frames of an earlier use of the file have misled: sequences grow with numbers. */
static void
check_rebuilt (Recovery *r)
{
  for (guint i = r->files->len; i-- > 0;)
    {
      const File *file = &g_array_index (r->files, File, i);

      if (!file->rebuilt)
        continue;
      if (i > 0 && file[-1].head.first_sequence >= file->head.first_sequence)
        g_array_remove_index (r->files, i);
      else
        damage (r, "the head of log %" G_GUINT64_FORMAT " is damaged; its frames are read without it", file->number);
    }
}

static gboolean
add_name (Recovery *r, const char *name, GError **error)
{
  guint64 number;

  if (g_str_has_prefix (name, "log.") && parse_number (name + 4, 16, &number))
    return add_log (r, name, number, error);
  if (g_str_has_prefix (name, "mail.") && parse_number (name + 5, 8, &number))
    g_array_append_val (r->segments, number);
  else if (g_str_has_prefix (name, "cache.") && parse_number (name + 6, 8, &number))
    {
      number |= (guint64) ROOK_BLOB_CACHE << 32;
      g_array_append_val (r->segments, number);
    }
  return TRUE;
}

static gboolean
list_files (Recovery *r, GError **error)
{
  int fd = openat (r->store->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd >= 0 ? fdopendir (fd) : NULL;
  struct dirent *entry;
  gboolean ok = TRUE;

  if (dir == NULL)
    {
      gs_set_errno (error, errno, "reading %s", r->store->path);
      return FALSE;
    }
  while (ok && (entry = readdir (dir)) != NULL)
    ok = add_name (r, entry->d_name, error);
  closedir (dir);
  g_array_sort (r->files, compare_files);
  check_rebuilt (r);
  return ok;
}

/* --- the copies ----------------------------------------------------------------------------------------------------------- */

/* Whether a copy that CURRENT calls clean says the same of itself. */
static gboolean
check_copy (GsStore *store, guint index, GError **error)
{
  const GsCopyInfo *info = &store->current.copies[index];
  gboolean there;
  GsCopyInfo mark;

  if (!info->clean)
    {
      g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "table.%u was being written", index);
      return FALSE;
    }
  if (!gs_copy_read_mark (store, index, &mark, &there, error))
    return FALSE;
  if (mark.sequence == info->sequence) /* a new one has no mark */
    return TRUE;
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "table.%u is not the one that CURRENT names", index);
  return FALSE;
}

/* Without CURRENT a copy is believed if all that is in it is what its own mark says: one that was being written is not. */
static void
believe_mark (GsStore *store, guint index)
{
  GsCopyInfo *info = &store->current.copies[index];
  g_autoptr (GError) failed = NULL;
  gboolean there;

  info->clean = gs_copy_read_mark (store, index, info, &there, &failed)
                && gs_copy_check (store, index, info, NULL, NULL, &failed);
  if (!info->clean)
    gs_log_notice (store, ROOK_LOG_ERROR, "store.damaged", "copy %u can't be used: %s", index, failed->message);
}

/* CURRENT, or what can be said without it. */
static gboolean
read_current (GsStore *store, GError **error)
{
  g_autoptr (GError) failed = NULL;
  const GsCopyInfo *copies = store->current.copies;

  if (gs_current_read (store, &store->current, &failed))
    return TRUE;
  if (!g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT)
      && !g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY))
    {
      g_propagate_error (error, g_steal_pointer (&failed));
      return FALSE;
    }
  gs_log_notice (store, ROOK_LOG_ERROR, "store.damaged", "%s: the copies are asked what they are", failed->message);
  memset (&store->current, 0, sizeof store->current);
  believe_mark (store, 0);
  believe_mark (store, 1);
  store->current.current = copies[1].clean && (!copies[0].clean || copies[1].sequence > copies[0].sequence);
  return TRUE;
}

static void
note_bad_copy (GsStore *store, guint index, const GError *error)
{
  if (store->current.copies[index].clean)
    gs_log_notice (store, ROOK_LOG_ERROR, "store.damaged", "copy %u can't be used: %s", index, error->message);
  store->current.copies[index].clean = FALSE;
}

/* Neither copy is good. If the log goes back to the beginning it has all that was in them; else the opener may know how they
 * are made again of the segments. */
static gboolean
do_without_copies (Recovery *r, const RookStoreSpec *spec, GError **error)
{
  const File *first = r->files->len > 0 ? &g_array_index (r->files, File, 0) : NULL;

  if (r->unreadable)
    {
      g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IO, "%s: neither copy of the tables can be read",
                   r->store->path);
      return FALSE;
    }
  r->other = r->missed = G_MAXUINT64;
  if (first != NULL && first->head.first_sequence == 1)
    {
      gs_log_notice (
          r->store, ROOK_LOG_ERROR, "store.damaged",
          "both copies of the tables are lost: the log, which goes back to the beginning, has what was in them");
      memset (r->store->current.copies, 0, sizeof r->store->current.copies);
      r->store->current.copies[r->store->current.current].clean = TRUE;
      return gs_copy_create (r->store, r->store->current.current, error);
    }
  r->lost = spec->struct_size >= G_STRUCT_OFFSET (RookStoreSpec, lost) && spec->rebuild != NULL;
  if (r->lost && first != NULL)
    {
      r->last = first->head.first_sequence - 1;
      r->position = MAX (first->head.first_position, 1) - 1;
    }
  if (!r->lost)
    g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "%s: neither copy of the tables is good",
                 r->store->path);
  return r->lost;
}

/* The current copy if it is good, else the other. */
static gboolean
choose_copy (Recovery *r, const RookStoreSpec *spec, GError **error)
{
  GsStore *store = r->store;
  GsCurrent *current = &store->current;
  guint other;

  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GError) failed = NULL;

      if (!check_copy (store, i, &failed))
        {
          r->unreadable |= !g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT);
          note_bad_copy (store, i, failed);
        }
    }
  if (!current->copies[current->current].clean)
    current->current = 1 - current->current;
  if (!current->copies[current->current].clean)
    return do_without_copies (r, spec, error);
  other = 1 - current->current;
  r->base = r->last = current->copies[current->current].sequence;
  r->position = current->copies[current->current].position;
  if (current->copies[other].sequence > r->base) /* it is ahead of what is used: not as it should be */
    current->copies[other].clean = FALSE;
  r->other = current->copies[other].clean ? current->copies[other].sequence : G_MAXUINT64;
  r->missed = r->other;
  return TRUE;
}

/* --- replay --------------------------------------------------------------------------------------------------------------- */

/* What the older copy lacks can't be told: it is made afresh of the one in use, which has it. */
static void
give_up_other (Recovery *r)
{
  if (r->other == G_MAXUINT64)
    return;
  gs_log_notice (r->store, ROOK_LOG_ERROR, "store.damaged",
                 "copy %u lacks what the log does not say any more after frame %" G_GUINT64_FORMAT
                 ": it is made anew, and nothing is lost",
                 1 - r->store->current.current, r->missed);
  r->other = G_MAXUINT64;
}

static void
apply_frame (Recovery *r, const GsLogFrame *frame, const guint8 *payload)
{
  g_autoptr (GError) error = NULL;
  gsize at = 0;
  GsLogOp op;

  while (gs_log_next (payload, frame->length, &at, &op, &error))
    if (frame->sequence > r->base)
      gs_log_apply (&op, r->store->live);
    else
      g_hash_table_add (r->store->missed, g_bytes_new (op.key, op.key_length));
  if (error == NULL)
    return;
  if (frame->sequence > r->base)
    lose (r, "frame %" G_GUINT64_FORMAT ": %s", frame->sequence, error->message);
  else
    {
      damage (r, "frame %" G_GUINT64_FORMAT ": %s", frame->sequence, error->message);
      give_up_other (r);
    }
}

static void
take_frame (Recovery *r, const GsLogFrame *frame, const guint8 *payload)
{
  if (frame->sequence > r->base)
    {
      if (frame->sequence != r->last + 1)
        lose (r, "log frames %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT " are missing", r->last + 1,
              frame->sequence - 1);
      else if (r->last_crc != 0 && frame->previous_crc != r->last_crc)
        damage (r, "log frame %" G_GUINT64_FORMAT " does not follow the one before it", frame->sequence);
      r->position = frame->first_position + frame->n_batches - 1;
      r->last = frame->sequence;
      r->store->log_bytes += frame->length;
      r->replayed++;
    }
  else if (r->other == G_MAXUINT64 || frame->sequence <= r->other)
    return;
  else if (frame->sequence != r->missed + 1)
    {
      give_up_other (r);
      return;
    }
  else
    r->missed = frame->sequence;
  r->last_crc = frame->crc;
  apply_frame (r, frame, payload);
}

/* The next good frame after a bad one: at any multiple of 8. */
static gboolean
find_frame (const guint8 *data, gsize size, const File *file, guint64 after, gsize *at, GsLogFrame *out_frame)
{
  for (gsize i = *at + GS_ALIGN; i + GS_LOG_FRAME_SIZE <= size; i += GS_ALIGN)
    if (gs_log_frame_decode (data + i, size - i, file->head.epoch, out_frame) && out_frame->sequence > after)
      {
        *at = i;
        return TRUE;
      }
  return FALSE;
}

static gsize
count_zeros_off (const guint8 *data, gsize at, gsize size)
{
  while (size > at && data[size - 1] == 0)
    size--;
  return size - at;
}

/* @limit: the first sequence number that is void here. */
static void
replay_data (Recovery *r, const File *file, const guint8 *data, gsize size, guint64 limit)
{
  guint64 sequence = file->head.first_sequence;
  gsize at = GS_HEAD_SIZE, bad;
  GsLogFrame frame;

  while (at < size)
    {
      bad = at;
      if (!gs_log_frame_decode (data + at, size - at, file->head.epoch, &frame) || frame.sequence != sequence)
        {
          if (!find_frame (data, size, file, sequence, &at, &frame) || frame.sequence >= limit)
            {
              if (count_zeros_off (data, bad, MIN (size, bad + GS_LOG_FRAME_SIZE)) > 0 && sequence < limit)
                gs_log_notice (r->store, ROOK_LOG_NOTICE, "store.torn-tail",
                               "log %" G_GUINT64_FORMAT ": %" G_GSIZE_FORMAT " bytes after frame %" G_GUINT64_FORMAT
                               " are not a whole frame and are dropped",
                               file->number, count_zeros_off (data, bad, size), sequence - 1);
              return;
            }
          damage (r, "log %" G_GUINT64_FORMAT " is damaged at %" G_GSIZE_FORMAT, file->number, bad);
        }
      if (frame.sequence >= limit)
        return;
      take_frame (r, &frame, data + at + GS_LOG_FRAME_SIZE);
      sequence = frame.sequence + 1;
      at += (gsize) GS_PADDED (GS_LOG_FRAME_SIZE + frame.length);
    }
}

static gboolean
replay_file (Recovery *r, const File *file, guint64 limit, GError **error)
{
  g_autofree char *name = gs_log_name (file->number);
  g_autofree guint8 *data = NULL;
  int fd = gs_io_open (r->store->io, r->store->dir, name, O_RDONLY, error);
  gboolean ok;

  if (fd < 0)
    return FALSE;
  data = g_malloc (file->size + 1);
  ok = gs_io_pread (r->store->io, fd, data, file->size, 0, name, error);
  close (fd);
  if (ok)
    replay_data (r, file, data, file->size, limit);
  return ok;
}

/* The head of a file says what was durable before it: a frame lost there is not a torn tail. */
static void
check_file (Recovery *r, const File *file)
{
  guint64 first = file->head.first_sequence;

  if (first > r->last + 1)
    {
      lose (r, "log frames %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT " are missing", r->last + 1, first - 1);
      r->last = first - 1;
      r->position = MAX (r->position, file->head.first_position - 1);
      r->last_crc = 0;
    }
  if (first == r->last + 1 && r->last_crc != 0 && r->last_crc != file->head.previous_crc)
    damage (r, "log %" G_GUINT64_FORMAT " does not follow the one before it", file->number);
  if (first == r->last + 1)
    r->last_crc = file->head.previous_crc;
}

static gboolean
replay (Recovery *r, const RookStoreSpec *spec, GError **error)
{
  guint64 needed = MIN (r->base, r->other) + 1;

  for (guint i = 0; i < r->files->len; i++)
    {
      const File *file = &g_array_index (r->files, File, i);
      guint64 limit = i + 1 < r->files->len ? g_array_index (r->files, File, i + 1).head.first_sequence : G_MAXUINT64;
      GsLogFile known = { file->number, file->head.first_sequence, limit, file->size };

      g_array_append_val (r->store->log_files, known);
      if (spec->progress != NULL && !spec->progress (100.0 * i / r->files->len, "reading the log", spec->progress_data))
        {
          g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CANCELLED, "recovery was stopped");
          return FALSE;
        }
      check_file (r, file);
      if (limit > needed && !replay_file (r, file, limit, error))
        return FALSE;
    }
  if (r->missed < r->base)
    give_up_other (r);
  if (r->store->current.log_number > r->highest)
    lose (r,
          "log %" G_GUINT64_FORMAT ", the last, is missing: what was committed after batch %" G_GUINT64_FORMAT
          " is lost, if anything was",
          r->store->current.log_number, r->position);
  return TRUE;
}

/* --- segments --------------------------------------------------------------------------------------------------------------- */

/* A segment that no durable batch knows holds nothing that anybody was told of. */
static gboolean
open_segment (Recovery *r, guint64 packed, GsReader *reader, GError **error)
{
  GsStore *store = r->store;
  RookBlobClass blob_class = (RookBlobClass) (packed >> 32), known;
  guint32 number = (guint32) packed;
  g_autofree char *name = gs_segment_name (number, blob_class);
  g_autoptr (GError) failed = NULL;
  g_autoptr (GBytes) value = NULL;
  g_autoptr (GsSegment) segment = NULL;
  guint64 live;
  GsKey key;

  store->next_segment = MAX (store->next_segment, number + 1);
  gs_segment_key (&key, number);
  if (!gs_lookup (store, reader, NULL, key.bytes, gs_key_length (&key), &value, error))
    return FALSE;
  if (value == NULL)
    return store->damaged || gs_io_unlink (store->io, store->dir, name, error);
  segment = gs_segment_open (store, number, blob_class, &failed);
  if (segment == NULL)
    damage (r, "segment %s: %s", name, failed->message);
  else if (gs_segment_value_decode (value, &known, &live))
    segment->live = live;
  return TRUE;
}

/* @number has no file: is there to be one? */
static gboolean
look_for_segment (Recovery *r, guint32 number, GsReader *reader, GError **error)
{
  RookBlobClass blob_class;
  g_autoptr (GBytes) value = NULL;
  guint64 live;
  GsKey key;

  gs_segment_key (&key, number);
  if (!gs_lookup (r->store, reader, NULL, key.bytes, gs_key_length (&key), &value, error))
    return FALSE;
  if (value != NULL && gs_segment_value_decode (value, &blob_class, &live) && live > 0)
    {
      g_autofree char *name = gs_segment_name (number, blob_class);

      damage (r, "segment %s is missing, with %" G_GUINT64_FORMAT " bytes", name, live);
    }
  return TRUE;
}

static void
note_segment (const GsEntry *entry, gpointer data)
{
  guint32 *next = data;

  if (gs_key_table (entry->key) == GS_TABLE_SEGMENTS && entry->length == 6)
    *next = MAX (*next, gs_segment_number (entry->key) + 1);
}

/* The copies know none above what CURRENT says, and what has come since is in memory. */
static gboolean
look_for_segments (Recovery *r, GsReader *reader, GError **error)
{
  GsStore *store = r->store;
  g_autoptr (GHashTable) found = g_hash_table_new (NULL, NULL);
  guint32 next = MAX (store->next_segment, store->current.next_segment);

  for (guint i = 0; i < r->segments->len; i++)
    g_hash_table_add (found, GUINT_TO_POINTER ((guint32) g_array_index (r->segments, guint64, i)));
  gs_table_foreach (store->live, note_segment, &next);
  for (guint32 number = 1; number < next; number++)
    if (!g_hash_table_contains (found, GUINT_TO_POINTER (number)) && !look_for_segment (r, number, reader, error))
      return FALSE;
  store->next_segment = next;
  return TRUE;
}

static gboolean
open_segments (Recovery *r, GError **error)
{
  GsReader reader = { { NULL, NULL }, { 0, 0 } };
  gboolean ok;

  ok = look_for_segments (r, &reader, error);
  for (guint i = 0; ok && i < r->segments->len; i++)
    ok = open_segment (r, g_array_index (r->segments, guint64, i), &reader, error);
  gs_reader_clear (&reader);
  return ok;
}

/* --- all of it -------------------------------------------------------------------------------------------------------------- */

static void
settle (Recovery *r)
{
  GsStore *store = r->store;

  store->position = r->position;
  store->sequence = r->last;
  store->log.sequence = r->last + 1;
  store->log.previous_crc = r->last_crc;
  store->log.head.number = MAX (r->highest, store->current.log_number);
  store->written = store->current;
  store->opening = store->current.opening;
  for (guint i = 0; i < r->files->len; i++)
    store->opening = MAX (store->opening, g_array_index (r->files, File, i).head.opening);
  store->opening += 1 + r->unread;
  if (r->other == G_MAXUINT64)
    {
      store->current.copies[1 - store->current.current].clean = FALSE;
      g_hash_table_remove_all (store->missed);
    }
}

static gboolean
recover (Recovery *r, const RookStoreSpec *spec, GError **error)
{
  GsStore *store = r->store;
  gint64 start = g_get_monotonic_time ();

  if (!read_current (store, error) || !list_files (r, error) || !choose_copy (r, spec, error)
      || !replay (r, spec, error))
    return FALSE;
  settle (r);
  if (r->lost || r->gaps) /* it is older, and says so */
    store->position = MAX (store->position, spec->min_position);
  if (r->lost && !gs_rebuild (store, spec, r->segments, error))
    return FALSE;
  store->opening = MAX (store->opening, store->current.opening + 1);
  if (store->position < spec->min_position) /* before anything is changed: the wrappers say it again */
    {
      g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY,
                   "%s is at position %" G_GUINT64_FORMAT ", older than %" G_GUINT64_FORMAT, store->path,
                   store->position, spec->min_position);
      return FALSE;
    }
  if (!open_segments (r, error))
    return FALSE;
  if (r->gaps && spec->struct_size >= sizeof *spec && spec->lost != NULL) /* before a new log file hides it */
    spec->lost ("a part of its log is lost", spec->lost_data);
  if (!gs_log_start (store, error))
    return FALSE;
  gs_log_notice (store, ROOK_LOG_INFO, "store.recovered",
                 "position %" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT " log frames replayed in %.3f s", store->position,
                 r->replayed, (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC);
  /* Each opening begins a log file, however little the one before has written; none goes before both copies have it. */
  if (store->log_files->len * store->settings.log_size > store->settings.log_limit)
    gs_upkeep_want_both (store);
  else if (!store->current.copies[0].clean || !store->current.copies[1].clean)
    gs_upkeep_want (store);
  return TRUE;
}

gboolean
gs_recover (GsStore *store, const RookStoreSpec *spec, GError **error)
{
  g_autoptr (GArray) files = g_array_new (FALSE, FALSE, sizeof (File));
  g_autoptr (GArray) segments = g_array_new (FALSE, FALSE, sizeof (guint64));
  Recovery r = { .store = store, .files = files, .segments = segments };

  return recover (&r, spec, error);
}
