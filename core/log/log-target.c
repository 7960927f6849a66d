/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where lines go: standard error, a file, journald. Used by the log's own thread, which may block.
 *
 * A file is opened as the user the daemon will be, even while it is still root: so it can be opened again after the drop,
 * and nobody who may write to the log's folder can make root write elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_LIBSYSTEMD
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#endif

#include "log/log-private.h"

RookLogTarget *
rook_log_target_new (RookLogKind kind, const char *path, uid_t uid, gid_t gid)
{
  RookLogTarget *target = g_new0 (RookLogTarget, 1);

  target->kind = kind;
  target->path = g_strdup (path);
  target->fd = -1;
  target->uid = uid;
  target->gid = gid;
  return target;
}

void
rook_log_target_free (RookLogTarget *target)
{
  if (target->fd >= 0)
    close (target->fd);
  g_free (target->path);
  g_free (target);
}

gboolean
rook_log_stderr_is_journal (void)
{
  const char *stream = g_getenv ("JOURNAL_STREAM");
  struct stat info;
  guint64 device, inode;
  char *end;

  if (stream == NULL || fstat (STDERR_FILENO, &info) != 0)
    return FALSE;
  device = g_ascii_strtoull (stream, &end, 10);
  if (*end != ':')
    return FALSE;
  inode = g_ascii_strtoull (end + 1, NULL, 10);
  return info.st_dev == device && info.st_ino == inode;
}

/* --- bytes --------------------------------------------------------------------------------------------------------- */

static gboolean
write_all (int fd, const char *data, gsize length)
{
  while (length > 0)
    {
      ssize_t n = write (fd, data, length);

      if (n >= 0)
        {
          data += n;
          length -= (gsize) n;
        }
      else if (errno == EAGAIN)
        {
          struct pollfd wait = { .fd = fd, .events = POLLOUT };

          poll (&wait, 1, -1);
        }
      else if (errno != EINTR)
        return FALSE;
    }
  return TRUE;
}

/* The file system takes this thread for that user's, if we are root. */
static gboolean
act_as (uid_t uid, gid_t gid)
{
  if (uid == (uid_t) -1 || geteuid () != 0)
    return FALSE;
  setfsgid (gid);
  setfsuid (uid);
  return TRUE;
}

static void
act_as_root (void)
{
  setfsuid (0);
  setfsgid (0);
}

static int
open_file (const RookLogTarget *target)
{
  gboolean acting = act_as (target->uid, target->gid);
  int fd = open (target->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
  int code = errno;

  if (acting)
    act_as_root ();
  errno = code;
  return fd;
}

gboolean
rook_log_target_probe (const char *path, uid_t uid, gid_t gid, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  gboolean acting = act_as (uid, gid);
  int fd = open (path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  const char *what = path;
  int code = fd >= 0 || errno == ENXIO ? 0 : errno; /* a FIFO may yet find its reader */

  if (code == ENOENT)
    {
      what = folder;
      code = faccessat (AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0 ? 0 : errno;
    }
  if (acting)
    act_as_root ();
  if (fd >= 0)
    close (fd);
  if (code == 0)
    return TRUE;
  g_set_error (error, G_FILE_ERROR, (gint) g_file_error_from_errno (code), "%s can't be written to by the server: %s%s",
               what, g_strerror (code), code == EACCES ? ": chown it to the server's user, or name another" : "");
  return FALSE;
}

/* --- a target that fails ---------------------------------------------------------------------------------------------- */

#define COMPLAINT_US (60 * G_USEC_PER_SEC)

/* Whether it is time to say so (again). */
static gboolean
is_news (RookLogTarget *target)
{
  gint64 now_us = g_get_monotonic_time ();

  if (target->n_astray > 0 && now_us < target->complaint_us + COMPLAINT_US)
    return FALSE;
  target->complaint_us = now_us;
  return TRUE;
}

static void
write_complaint (RookLogRecord *record)
{
  g_autoptr (GString) line = g_string_new (NULL);

  rook_log_record_append_line (record, line);
  write_all (STDERR_FILENO, line->str, line->len);
}

static void
complain (RookLogTarget *target, int code)
{
  g_autoptr (RookLogRecord) record = NULL;

  if (!is_news (target))
    return;
  record = rook_log_record_new (ROOK_LOG_ERROR, "log.file-failed");
  rook_log_record_add (record, "path", target->path);
  rook_log_record_add (record, "message", g_strerror (code));
  write_complaint (record);
}

/* The file takes lines again: it is told first how many went elsewhere. */
static gboolean
write_recovered (RookLogTarget *target)
{
  g_autoptr (RookLogRecord) record = rook_log_record_new (ROOK_LOG_WARNING, "log.file-recovered");
  g_autofree char *count = g_strdup_printf ("%" G_GUINT64_FORMAT, target->n_astray);
  g_autoptr (GString) line = g_string_new (NULL);

  rook_log_record_add (record, "path", target->path);
  rook_log_record_add (record, "lines", count);
  rook_log_record_add (record, "message", "so many lines went to standard error");
  rook_log_record_append_line (record, line);
  if (!write_all (target->fd, line->str, line->len))
    return FALSE;
  write_all (STDERR_FILENO, line->str, line->len);
  target->n_astray = 0;
  return TRUE;
}

static gboolean
write_to_file (RookLogTarget *target, const GString *text)
{
  int code;

  if (target->fd < 0)
    target->fd = open_file (target);
  if (target->fd >= 0 && (target->n_astray == 0 || write_recovered (target))
      && write_all (target->fd, text->str, text->len))
    return TRUE;
  code = errno;
  if (target->fd >= 0)
    close (target->fd);
  target->fd = -1;
  complain (target, code);
  return FALSE;
}

/* A file that failed is tried again each time: room may come back. */
static void
write_text (RookLogTarget *target, const GString *text, guint n_lines)
{
  if (target->kind == ROOK_LOG_TO_FILE)
    {
      if (write_to_file (target, text))
        return;
      target->n_astray += n_lines;
    }
  write_all (STDERR_FILENO, text->str, text->len);
}

/* --- journald ------------------------------------------------------------------------------------------------------ */

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static void
complain_of_journal (RookLogTarget *target, int code)
{
  g_autoptr (RookLogRecord) record = NULL;

  if (!is_news (target))
    return;
  record = rook_log_record_new (ROOK_LOG_ERROR, "log.no-journal");
  rook_log_record_add (record, "path", JOURNAL_SOCKET);
  rook_log_record_add (record, "message", g_strerror (code));
  write_complaint (record);
}

/* libsystemd takes it for a success if nobody is there to take a line. */
static gboolean
journal_is_there (RookLogTarget *target, guint n_records)
{
  if (access (JOURNAL_SOCKET, F_OK) == 0)
    {
      target->n_astray = 0;
      return TRUE;
    }
  complain_of_journal (target, errno);
  target->n_astray += n_records;
  return FALSE;
}

#ifdef HAVE_LIBSYSTEMD
static gboolean
send_fields (GPtrArray *fields)
{
  g_autofree struct iovec *vector = g_new (struct iovec, fields->len);

  for (guint i = 0; i < fields->len; i++)
    {
      GString *field = fields->pdata[i];

      vector[i].iov_base = field->str;
      vector[i].iov_len = field->len;
    }
  return sd_journal_sendv (vector, (int) fields->len) >= 0;
}
#else
static gboolean
send_fields (GPtrArray *fields)
{
  g_autofree GLogField *converted = g_new (GLogField, fields->len);
  gboolean sent;

  for (guint i = 0; i < fields->len; i++)
    {
      GString *field = fields->pdata[i];
      char *equals = strchr (field->str, '=');

      *equals = '\0';
      converted[i].key = field->str;
      converted[i].value = equals + 1;
      converted[i].length = (gssize) (field->str + field->len - (equals + 1));
    }
  sent = g_log_writer_journald (G_LOG_LEVEL_MESSAGE, converted, fields->len, NULL) == G_LOG_WRITER_HANDLED;
  return sent;
}
#endif

static gboolean
send_record (const RookLogRecord *record)
{
  g_autoptr (GPtrArray) fields = rook_log_record_to_fields (record);

  return send_fields (fields);
}

void
rook_log_target_write (RookLogTarget *target, RookLogRecord *const *records, guint n_records)
{
  g_autoptr (GString) text = g_string_new (NULL);
  gboolean journal = target->kind == ROOK_LOG_TO_JOURNAL && journal_is_there (target, n_records);

  for (guint i = 0; i < n_records; i++)
    if (!journal || !send_record (records[i]))
      rook_log_record_append_line (records[i], text);
  if (text->len > 0)
    write_text (target, text, n_records);
}
