/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The schedule's insides: times, jobs and their runs, and what is remembered of them over restarts.
 */
#pragma once

#include "rookery/config.h"
#include "rookery/control.h"
#include "rookery/loop.h"
#include "rookery/schedule.h"

G_BEGIN_DECLS

/* --- the service -------------------------------------------------------------------------------------------------- */

extern const RookConfigSchema rook_schedule_schemas[];
RookSchedule *rook_schedule_new (RookServer *server);
void rook_schedule_free (RookSchedule *schedule);
void rook_schedule_check (RookConfig *config, GPtrArray *mistakes);
/* What works, and is hardly meant: programs of hooks that are not there. */
void rook_schedule_warn (RookConfig *config, GPtrArray *warnings);
void rook_schedule_reconfigure (RookSchedule *schedule, RookConfig *config);
/* The server is there for everybody: hooks come from the configuration, after the jobs of services and plugins. */
void rook_schedule_add_hooks (RookSchedule *schedule, RookConfig *config);
/* The server is about to stop: nothing is started any more, what runs is asked to stop early. */
void rook_schedule_drain (RookSchedule *schedule);
/* Whether programs run that were asked to end. */
gboolean rook_schedule_has_commands (RookSchedule *schedule);

/* --- times: when.c, no state ---------------------------------------------------------------------------------------- */

typedef enum { ROOK_WHEN_NEVER, ROOK_WHEN_EVERY, ROOK_WHEN_DAILY, ROOK_WHEN_WEEKLY } RookWhenKind;

typedef struct {
  RookWhenKind kind;
  gint64 interval_us; /* EVERY */
  gint weekday;       /* WEEKLY: 1 Monday to 7 Sunday */
  gint hour, minute;  /* DAILY, WEEKLY; local time */
} RookWhen;

gboolean rook_when_parse (const char *text, RookWhen *out_when, GError **error);
/* The first moment after @from_us (real time) that @when names; 0: none. */
gint64 rook_when_next (const RookWhen *when, gint64 from_us);

/* --- what is remembered: state.c -------------------------------------------------------------------------------------- */

typedef struct {
  gint64 since_us;         /* first seen: an interval counts from here until the first run */
  gint64 start_us, end_us; /* of the last run; 0: there was none; end_us 0: it did not end */
  gboolean failed;
  char *summary; /* (owned) (nullable) of the last run: what it said, or why it failed */
  guint64 n_runs, n_failed, n_skipped;
} RookJobState;

void rook_job_state_free (RookJobState *state);
/* All jobs ever seen by name (char * to RookJobState). An unreadable file is like none, and told by @error. */
GHashTable *rook_schedule_load_state (const char *path, GError **error);
char *rook_schedule_format_state (GHashTable *states);
/* Replaces the file at @path, durably or not at all. Blocks. */
gboolean rook_schedule_save_state (const char *path, const char *text, GError **error);

/* --- programs: command.c --------------------------------------------------------------------------------------------- */

#define ROOK_COMMAND_LINE_MAX 1000 /* bytes of a line; the rest is dropped */

typedef struct RookCommand RookCommand;

/* Called on the worker that started it. */
typedef struct {
  void (*line) (gpointer data, const char *text); /* of what it prints: UTF-8, never empty, without its end */
  /* Once; the command is gone then. @error: (nullable) why it was never started; else @status as of waitpid(). */
  void (*ended) (gpointer data, const GError *error, int status);
} RookCommandEvents;

/* Runs the program @argv[0] in a group of its own. Returns: (nullable): %NULL if @pool is full. @events is constant. */
RookCommand *rook_command_start (RookPool *pool, const char *const *argv, const char *const *environment,
                                 const RookCommandEvents *events, gpointer data);
/* SIGTERM to its group, and after a while SIGKILL; its end is told as ever. */
void rook_command_stop (RookCommand *command);
/* SIGKILL, and nothing is told any more. May take a moment. */
void rook_command_abandon (RookCommand *command);

/* --- hooks: hook.c ------------------------------------------------------------------------------------------------- */

typedef struct RookHook RookHook;

/* (nullable): what makes a hook of a group. */
const char *rook_hook_get_command (RookConfigGroup *group);
void rook_hook_check (RookConfigGroup *group, GPtrArray *mistakes);
void rook_hook_warn (RookConfigGroup *group, GPtrArray *warnings);
RookHook *rook_hook_new (RookServer *server, RookConfigGroup *group);
void rook_hook_free (RookHook *hook); /* a run is killed */
/* Takes what the group says; a run under way goes on as it began. */
void rook_hook_configure (RookHook *hook, RookConfigGroup *group);
const RookJob *rook_hook_get_job (RookHook *hook); /* whose data is the hook */
gboolean rook_hook_is_running (RookHook *hook);
void rook_hook_stop (RookHook *hook);

/* --- jobs: schedule.c --------------------------------------------------------------------------------------------------- */

typedef struct {
  RookSchedule *schedule; /* (unowned) */
  const RookJob *job;
  gpointer data;
  RookPlugin *plugin;  /* (nullable) (unowned) whose it is */
  RookHook *hook;      /* (nullable) (owned) */
  RookJobState *state; /* (unowned) of the table of states */
  RookWhen when;
  char *when_text;
  gint64 next_us;  /* 0: never */
  RookJobRun *run; /* (nullable) (unowned) under way */
  gboolean closed; /* starts no more */
} RookJobEntry;

/* Starts it now. Returns: (nullable) (unowned): the run; %NULL if it runs already or is closed. */
RookJobRun *rook_schedule_start (RookJobEntry *entry);
/* Has it come at once, or when @pause_ms have passed since it last began: its time moves forward, never back. One that is
 * running, or that never comes (`never`), stays as it is. @name is constant. Any thread. */
void rook_schedule_hasten (RookServer *server, const char *name, guint pause_ms);
RookJobEntry *rook_schedule_find (RookSchedule *schedule, const char *name);
gboolean rook_schedule_is_job_name (const char *name);
GPtrArray *rook_schedule_list (RookSchedule *schedule); /* (element-type RookJobEntry) by name (transfer container) */
void rook_schedule_finish (RookJobEntry *entry, const char *summary, const char *problem);
void rook_schedule_add_verbs (RookSchedule *schedule, RookControl *control); /* verbs.c */

/* --- runs: run.c -------------------------------------------------------------------------------------------------------- */

RookJobRun *rook_job_run_new (RookJobEntry *entry, RookWorker *worker);
void rook_job_run_cancel (RookJobRun *run);
/* The job goes while it runs: its end concerns nobody. */
void rook_job_run_detach (RookJobRun *run);
/* @call is answered at the end, and told of progress. */
void rook_job_run_follow (RookJobRun *run, RookControlCall *call);
void rook_job_run_get_progress (RookJobRun *run, double *out_percent, char **out_text);

G_END_DECLS
