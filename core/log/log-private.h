/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The log's insides: a record is what somebody said, a target is where it goes; log.c has the queue and thread between.
 */
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include "rookery/config.h"
#include "rookery/log.h"

G_BEGIN_DECLS

/* --- the service ------------------------------------------------------------------------------------------------- */

extern const RookConfigSchema rook_log_schemas[];
/* Without its thread: what is said waits for it. */
RookLog *rook_log_new (RookServer *server);
void rook_log_start (RookLog *log);
/* Writes what is queued, then ends the thread; one whose target is stuck is left behind after a while. */
void rook_log_free (RookLog *log);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookLog, rook_log_free)
void rook_log_check (RookConfig *config, GPtrArray *mistakes);
/* Also opens the file anew, whatever changed: this is how it is rotated. */
void rook_log_reconfigure (RookLog *log, RookConfig *config);

/* Until the next reload. */
void rook_log_set_level (RookLog *log, RookLogLevel level);
RookLogLevel rook_log_get_level (RookLog *log);
const char *rook_log_level_get_name (RookLogLevel level); /* "notice" */
gboolean rook_log_level_from_name (const char *name, RookLogLevel *out_level);
/* Waits until everything said before is written. Blocks; for the end of the process, and for tests. */
void rook_log_flush (RookLog *log);
guint64 rook_log_get_dropped (RookLog *log); /* lines, ever */

/* --- lines of somebody's doing: log-connection.c ------------------------------------------------------------------- */

/* As rook_log_event(), with the fields of whoever did it (conn, protocol, user) in front. @identity: (nullable) nobody who
 * logged in. Any thread. */
void rook_log_identity (RookLog *log, RookLogLevel level, const RookIdentity *identity, const char *event,
                        ...) G_GNUC_NULL_TERMINATED;

/* --- records ----------------------------------------------------------------------------------------------------- */

#define ROOK_LOG_VALUE_MAX 4096 /* bytes of one value; what is longer is cut */

typedef struct {
  gint64 time_us; /* g_get_real_time() */
  RookLogLevel level;
  GString *data; /* (owned) event, then key and value by turns, each ended by a NUL */
} RookLogRecord;

RookLogRecord *rook_log_record_new (RookLogLevel level, const char *event);
void rook_log_record_add (RookLogRecord *record, const char *key, const char *value);
void rook_log_record_free (RookLogRecord *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookLogRecord, rook_log_record_free)
/* Takes @record. */
void rook_log_take (RookLog *log, RookLogRecord *record);
/* Appends "event key=value ..." without a line end. */
void rook_log_record_append_text (const RookLogRecord *record, GString *line);
/* Appends "time level event key=value ...\n". */
void rook_log_record_append_line (const RookLogRecord *record, GString *line);
/* The record as journald's fields: "MESSAGE=...", "PRIORITY=...", "ROOKERY_EVENT=...", "ROOKERY_USER=..." ...
 * (element-type GString) */
GPtrArray *rook_log_record_to_fields (const RookLogRecord *record);

/* --- targets: the writing thread's alone --------------------------------------------------------------------------- */

typedef enum { ROOK_LOG_TO_STDERR, ROOK_LOG_TO_FILE, ROOK_LOG_TO_JOURNAL } RookLogKind;

typedef struct {
  RookLogKind kind;
  char *path; /* (owned) (nullable) */
  int fd;     /* of the file; -1: not open */
  uid_t uid;  /* whose file it is to be, as long as we are root; -1: nobody else's */
  gid_t gid;
  guint64 n_astray;    /* lines that went to standard error since the file failed */
  gint64 complaint_us; /* monotonic; when that was last told there */
} RookLogTarget;

RookLogTarget *rook_log_target_new (RookLogKind kind, const char *path, uid_t uid, gid_t gid);
void rook_log_target_free (RookLogTarget *target);
/* Writes @records. What can't go to its file goes to standard error, where that is told at first and then once a minute;
 * the file is told how many lines it lacks once it takes lines again. Blocks. */
void rook_log_target_write (RookLogTarget *target, RookLogRecord *const *records, guint n_records);
/* Whether the file could be opened, or made, by that user; does neither. */
gboolean rook_log_target_probe (const char *path, uid_t uid, gid_t gid, GError **error);
/* Whether standard error is journald's, as systemd tells its services (JOURNAL_STREAM). */
gboolean rook_log_stderr_is_journal (void);

G_END_DECLS
