/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The log: a bounded queue that any thread puts records into, and one thread that writes them.
 *
 * Whoever logs pays for a copy of the text and a short lock; formatting, the disk and journald are the thread's.
 */
#include <pwd.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "log/log-private.h"
#include "rookery/thread.h"

#define QUEUE_BYTES (8 * 1024 * 1024) /* beyond this lines are dropped however few they are */
#define BATCH 256                     /* records written at once */
#define LAST_WORDS_SECONDS 10         /* how long a stop waits for a target that is stuck */

struct RookLog {
  gint level; /* atomic; RookLogLevel */
  pthread_t thread;
  gboolean started; /* else lines wait in the queue */

  RookMutex lock; /* guards what follows */
  RookCond wake;  /* the thread has something to do */
  RookCond idle;  /* records were written */
  GPtrArray *queue;
  gsize queue_bytes;
  guint queue_limit;
  guint64 n_queued, n_written; /* ever */
  guint64 n_dropped;           /* ever */
  guint64 n_dropped_untold;    /* since it was last logged */
  RookLogTarget *next_target;  /* (owned) (nullable) to be used from now on */
  gboolean closing;
};

/* --- settings ------------------------------------------------------------------------------------------------------ */

static const char *const level_choices[] = { "error", "warning", "notice", "info", "debug", NULL };
static const char *const target_choices[] = { "auto", "stderr", "file", "journal", NULL };
enum { TARGET_AUTO, TARGET_STDERR, TARGET_FILE, TARGET_JOURNAL };

static const RookConfigKey log_keys[] = {
  { .name = "level",
    .type = ROOK_CONFIG_CHOICE,
    .default_value = "info",
    .choices = level_choices,
    .help = "The least important lines that are written. `rookctl log level` changes it until the next reload." },
  { .name = "target",
    .type = ROOK_CONFIG_CHOICE,
    .default_value = "auto",
    .choices = target_choices,
    .help = "Where lines go. auto: to journald, with fields, when the daemon runs under systemd, else to standard "
            "error. journal: to "
            "journald, and to standard error as long as it is not there." },
  { .name = "file",
    .type = ROOK_CONFIG_PATH,
    .help = "The file for target=file. It is opened anew at each reload, so rotating it needs no more than that." },
  { .name = "queue",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "10000",
    .min = 100,
    .max = 1000000,
    .help =
        "How many lines may wait to be written. More are dropped and counted: the server never waits for its log." },
  { .name = NULL },
};

const RookConfigSchema rook_log_schemas[] = {
  { .struct_size = sizeof (RookConfigSchema),
    .name = "log",
    .keys = log_keys,
    .help = "What is logged, and where to." },
  { .name = NULL },
};

/* Who the daemon will be: whose a log file is to be. */
static void
find_user (RookConfig *config, uid_t *out_uid, gid_t *out_gid)
{
  RookConfigGroup *group = rook_config_get_group (config, "server", NULL);
  const char *user = group != NULL ? rook_config_group_get_string (group, "user") : NULL;
  struct passwd *entry = user != NULL && geteuid () == 0 ? getpwnam (user) : NULL;

  *out_uid = entry != NULL ? entry->pw_uid : (uid_t) -1;
  *out_gid = entry != NULL ? entry->pw_gid : (gid_t) -1;
}

void
rook_log_check (RookConfig *config, GPtrArray *mistakes)
{
  RookConfigGroup *group = rook_config_get_group (config, "log", NULL);
  const char *file = rook_config_group_get_string (group, "file");
  g_autoptr (GError) error = NULL;
  uid_t uid;
  gid_t gid;

  if (rook_config_group_get_choice (group, "target") != TARGET_FILE)
    return;
  if (file == NULL)
    {
      rook_config_add_mistake (mistakes, group, "target", ROOK_CONFIG_ERROR_MISSING, "needs a file: set file=");
      return;
    }
  find_user (config, &uid, &gid);
  if (!rook_log_target_probe (file, uid, gid, &error))
    rook_config_add_mistake (mistakes, group, "file", ROOK_CONFIG_ERROR_VALUE, "%s", error->message);
}

static RookLogTarget *
make_target (RookConfig *config)
{
  RookConfigGroup *group = rook_config_get_group (config, "log", NULL);
  const char *file = rook_config_group_get_string (group, "file");
  RookLogKind kind = ROOK_LOG_TO_STDERR;
  uid_t uid;
  gid_t gid;

  switch (rook_config_group_get_choice (group, "target"))
    {
    case TARGET_AUTO:
      kind = rook_log_stderr_is_journal () ? ROOK_LOG_TO_JOURNAL : ROOK_LOG_TO_STDERR;
      break;
    case TARGET_FILE:
      kind = file != NULL ? ROOK_LOG_TO_FILE : ROOK_LOG_TO_STDERR;
      break;
    case TARGET_JOURNAL:
      kind = ROOK_LOG_TO_JOURNAL;
      break;
    }
  find_user (config, &uid, &gid);
  return rook_log_target_new (kind, file, uid, gid);
}

void
rook_log_reconfigure (RookLog *log, RookConfig *config)
{
  RookConfigGroup *group = rook_config_get_group (config, "log", NULL);
  RookLogTarget *target = make_target (config);
  RookLogTarget *unused;

  rook_log_set_level (log, (RookLogLevel) rook_config_group_get_choice (group, "level"));
  rook_mutex_lock (&log->lock);
  log->queue_limit = (guint) rook_config_group_get_integer (group, "queue");
  unused = log->next_target;
  log->next_target = target;
  rook_cond_signal (&log->wake);
  rook_mutex_unlock (&log->lock);
  if (unused != NULL)
    rook_log_target_free (unused);
}

/* --- the thread ---------------------------------------------------------------------------------------------------- */

static void
record_free (gpointer data)
{
  rook_log_record_free (data);
}

static gsize
record_bytes (const RookLogRecord *record)
{
  return sizeof *record + record->data->len;
}

/* Waits for work. Returns: %FALSE when there is none and will be none. */
static gboolean
take_work (RookLog *log, RookLogTarget **target, GPtrArray **out_records, guint64 *out_dropped)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&log->lock);

  while (log->queue->len == 0 && log->n_dropped_untold == 0 && log->next_target == NULL && !log->closing)
    rook_cond_wait (&log->wake, &log->lock);
  if (log->next_target != NULL)
    {
      g_clear_pointer (target, rook_log_target_free);
      *target = g_steal_pointer (&log->next_target);
    }
  *out_records = log->queue;
  *out_dropped = log->n_dropped_untold;
  log->queue = g_ptr_array_new_with_free_func (record_free);
  log->queue_bytes = 0;
  log->n_dropped_untold = 0;
  return (*out_records)->len > 0 || *out_dropped > 0 || !log->closing;
}

static void
tell_dropped (RookLogTarget *target, guint64 n)
{
  g_autoptr (RookLogRecord) record = rook_log_record_new (ROOK_LOG_WARNING, "log.dropped");
  g_autofree char *count = g_strdup_printf ("%" G_GUINT64_FORMAT, n);

  rook_log_record_add (record, "lines", count);
  rook_log_target_write (target, &record, 1);
}

static void
count_written (RookLog *log, guint n)
{
  rook_mutex_lock (&log->lock);
  log->n_written += n;
  rook_cond_broadcast (&log->idle);
  rook_mutex_unlock (&log->lock);
}

static gpointer
writer_thread (gpointer data)
{
  RookLog *log = data;
  RookLogTarget *target = NULL;
  gboolean more = TRUE;

  while (more)
    {
      g_autoptr (GPtrArray) records = NULL;
      guint64 dropped;

      more = take_work (log, &target, &records, &dropped);
      for (guint i = 0; i < records->len; i += BATCH)
        rook_log_target_write (target, (RookLogRecord *const *) &records->pdata[i], MIN (BATCH, records->len - i));
      if (dropped > 0)
        tell_dropped (target, dropped);
      count_written (log, records->len);
    }
  rook_log_target_free (target);
  return NULL;
}

/* With all signals blocked: they are the main thread's. */
void
rook_log_start (RookLog *log)
{
  sigset_t all, before;
  int code;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  code = pthread_create (&log->thread, NULL, writer_thread, log);
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  if (code != 0)
    g_error ("log: no thread to be had: %s", g_strerror (code));
  log->started = TRUE;
}

RookLog *
rook_log_new (RookServer *server)
{
  g_autoptr (RookConfig) config = rook_server_get_config (server);
  RookLog *log = g_new0 (RookLog, 1);

  rook_mutex_init (&log->lock);
  rook_cond_init (&log->wake);
  rook_cond_init (&log->idle);
  log->queue = g_ptr_array_new_with_free_func (record_free);
  rook_log_reconfigure (log, config);
  return log;
}

static gboolean
join_in_time (pthread_t thread)
{
  struct timespec end;

  clock_gettime (CLOCK_REALTIME, &end);
  end.tv_sec += LAST_WORDS_SECONDS;
  return pthread_timedjoin_np (thread, NULL, &end) == 0;
}

void
rook_log_free (RookLog *log)
{
  rook_mutex_lock (&log->lock);
  log->closing = TRUE;
  rook_cond_signal (&log->wake);
  rook_mutex_unlock (&log->lock);
  if (!log->started)
    writer_thread (log);
  else if (!join_in_time (log->thread))
    return; /* its target takes nothing more: the process ends without its last lines, and everything is the thread's */
  g_clear_pointer (&log->next_target, rook_log_target_free);
  g_ptr_array_unref (log->queue);
  rook_cond_clear (&log->idle);
  rook_cond_clear (&log->wake);
  rook_mutex_clear (&log->lock);
  g_free (log);
}

/* --- saying something ---------------------------------------------------------------------------------------------- */

void
rook_log_take (RookLog *log, RookLogRecord *record)
{
  gsize bytes = record_bytes (record);
  gboolean dropped;

  rook_mutex_lock (&log->lock);
  dropped = log->queue->len >= log->queue_limit || log->queue_bytes + bytes > QUEUE_BYTES;
  if (dropped)
    {
      log->n_dropped++;
      log->n_dropped_untold++;
    }
  else
    {
      g_ptr_array_add (log->queue, record);
      log->queue_bytes += bytes;
      log->n_queued++;
      rook_cond_signal (&log->wake);
    }
  rook_mutex_unlock (&log->lock);
  if (dropped)
    rook_log_record_free (record);
}

gboolean
rook_log_enabled (RookLog *log, RookLogLevel level)
{
  g_return_val_if_fail (log != NULL, FALSE);
  return (gint) level <= g_atomic_int_get (&log->level);
}

void
rook_log_event (RookLog *log, RookLogLevel level, const char *event, ...)
{
  RookLogRecord *record;
  const char *key;
  va_list args;

  if (!rook_log_enabled (log, level))
    return;
  record = rook_log_record_new (level, event);
  va_start (args, event);
  while ((key = va_arg (args, const char *)) != NULL)
    rook_log_record_add (record, key, va_arg (args, const char *));
  va_end (args);
  rook_log_take (log, record);
}

void
rook_log_message (RookLog *log, RookLogLevel level, const char *event, const char *format, ...)
{
  g_autofree char *message = NULL;
  RookLogRecord *record;
  va_list args;

  if (!rook_log_enabled (log, level))
    return;
  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  record = rook_log_record_new (level, event);
  rook_log_record_add (record, "message", message);
  rook_log_take (log, record);
}

/* --- for the rest of the core -------------------------------------------------------------------------------------- */

void
rook_log_set_level (RookLog *log, RookLogLevel level)
{
  g_atomic_int_set (&log->level, (gint) level);
}

RookLogLevel
rook_log_get_level (RookLog *log)
{
  return (RookLogLevel) g_atomic_int_get (&log->level);
}

void
rook_log_flush (RookLog *log)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&log->lock);
  guint64 goal = log->n_queued;

  while (log->n_written < goal)
    rook_cond_wait (&log->idle, &log->lock);
}

guint64
rook_log_get_dropped (RookLog *log)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&log->lock);

  return log->n_dropped;
}
