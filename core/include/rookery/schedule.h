/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The schedule: work that comes round (expire, checkpoint, compact, backup hooks) and how it last went.
 *
 * A job has a default time which `[job NAME]` overrides: `every 1h`, `daily 03:30`, `weekly sun 04:00` (local time),
 * `never`. A job never runs twice at once: one that is still running when its time comes is skipped and counted. The last
 * start, end, duration and result are kept over restarts; one that was due while the server was down runs soon after start
 * (spread over a minute). `rookctl job list` and `rookctl job run NAME` show and start them. A
 * `[job NAME]` with a `command` is a job of the administrator's; a plugin that brings one of that name is refused.
 */
#pragma once

#include "rookery/plugin.h"

G_BEGIN_DECLS

typedef struct RookSchedule RookSchedule;
typedef struct RookJobRun RookJobRun;

typedef struct {
  gsize struct_size;
  const char *name;
  const char *summary;
  const char *when; /* the default */
  /* Starts the work, on the main worker, must not block; ends with rook_job_run_done(), from any thread. */
  void (*run) (gpointer data, RookJobRun *run);
} RookJob;

ROOK_EXPORT gboolean rook_plugin_add_job (RookPlugin *self, const RookJob *job, gpointer data, GError **error);

/* For `rookctl job list` and the log: 0 to 100, and a word or two. Any thread. */
ROOK_EXPORT void rook_job_run_progress (RookJobRun *run, double percent, const char *text);
/* The run is to stop early, and to go on at its next time: the server or the plugin goes. Any thread. */
ROOK_EXPORT gboolean rook_job_run_is_cancelled (RookJobRun *run);
/* @error: (nullable) %NULL: it went well. @summary: (nullable) a sentence for the list. Any thread, exactly once. */
ROOK_EXPORT void rook_job_run_done (RookJobRun *run, const char *summary, const GError *error);

ROOK_EXPORT RookSchedule *rook_server_get_schedule (RookServer *server);
/* The same for a service of the core, for as long as the server runs. @job is constant. */
ROOK_EXPORT void rook_schedule_add (RookSchedule *schedule, const RookJob *job, gpointer data);
/* Whether @when is well-formed. @from_us, @out_next_us (out) (optional): when it comes next after that real time; 0: never. */
ROOK_EXPORT gboolean rook_schedule_parse (const char *when, gint64 from_us, gint64 *out_next_us, GError **error);

G_END_DECLS
