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

static int
open_file (const RookLogTarget *target)
{
  gboolean as_other = target->uid != (uid_t) -1 && geteuid () == 0;
  int fd, code;

  if (as_other)
    {
      setfsgid (target->gid);
      setfsuid (target->uid);
    }
  fd = open (target->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
  code = errno;
  if (as_other)
    {
      setfsuid (0);
      setfsgid (0);
    }
  errno = code;
  return fd;
}

static void
complain (const RookLogTarget *target)
{
  g_autoptr (RookLogRecord) record = rook_log_record_new (ROOK_LOG_ERROR, "log.file-failed");
  g_autoptr (GString) line = g_string_new (NULL);

  rook_log_record_add (record, "path", target->path);
  rook_log_record_add (record, "message", g_strerror (errno));
  rook_log_record_append_line (record, line);
  write_all (STDERR_FILENO, line->str, line->len);
}

static void
write_text (RookLogTarget *target, const GString *text)
{
  if (target->kind == ROOK_LOG_TO_FILE)
    {
      /* A file that failed is tried again: room may come back. */
      if (target->fd < 0)
        target->fd = open_file (target);
      if (target->fd >= 0 && write_all (target->fd, text->str, text->len))
        return;
      complain (target);
      if (target->fd >= 0)
        close (target->fd);
      target->fd = -1;
    }
  write_all (STDERR_FILENO, text->str, text->len);
}

/* --- journald ------------------------------------------------------------------------------------------------------ */

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

  for (guint i = 0; i < n_records; i++)
    if (target->kind != ROOK_LOG_TO_JOURNAL || !send_record (records[i]))
      rook_log_record_append_line (records[i], text);
  if (text->len > 0)
    write_text (target, text);
}
