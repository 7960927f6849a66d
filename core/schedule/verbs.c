/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `rookctl job list` and `rookctl job run`.
 */
#include "schedule/schedule-private.h"

static char *
describe_state (RookJobEntry *entry)
{
  g_autofree char *text = NULL;
  double percent;

  if (entry->run != NULL)
    {
      rook_job_run_get_progress (entry->run, &percent, &text);
      return g_strdup_printf ("running %.0f%%%s%s", percent, text != NULL ? " " : "", text != NULL ? text : "");
    }
  if (entry->state->start_us == 0)
    return g_strdup ("");
  if (entry->state->end_us == 0)
    return g_strdup ("interrupted");
  return g_strdup (entry->state->failed ? "failed" : "done");
}

static void
add_entry (GVariantBuilder *list, RookJobEntry *entry)
{
  RookJobState *state = entry->state;
  g_autofree char *shown = describe_state (entry);
  gint64 took = state->end_us > 0 ? (state->end_us - state->start_us) / 1000 : 0;

  g_variant_builder_open (list, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (list, "{sv}", "name", g_variant_new_string (entry->job->name));
  g_variant_builder_add (list, "{sv}", "when", g_variant_new_string (entry->when_text));
  g_variant_builder_add (list, "{sv}", "next-time", g_variant_new_int64 (entry->next_us));
  g_variant_builder_add (list, "{sv}", "last-time", g_variant_new_int64 (state->start_us));
  g_variant_builder_add (list, "{sv}", "took-ms", g_variant_new_int64 (MAX (took, 0)));
  g_variant_builder_add (list, "{sv}", "state", g_variant_new_string (shown));
  g_variant_builder_add (list, "{sv}", "runs", g_variant_new_uint64 (state->n_runs));
  g_variant_builder_add (list, "{sv}", "failed", g_variant_new_uint64 (state->n_failed));
  g_variant_builder_add (list, "{sv}", "skipped", g_variant_new_uint64 (state->n_skipped));
  g_variant_builder_add (list, "{sv}", "result", g_variant_new_string (state->summary != NULL ? state->summary : ""));
  g_variant_builder_add (list, "{sv}", "what", g_variant_new_string (entry->job->summary));
  g_variant_builder_close (list);
}

static void
run_list (gpointer data, RookControlCall *call, const char *const *arguments G_GNUC_UNUSED)
{
  g_autoptr (GPtrArray) entries = rook_schedule_list (data);
  GVariantBuilder list;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < entries->len; i++)
    add_entry (&list, entries->pdata[i]);
  rook_control_call_done (call, g_variant_builder_end (&list));
}

/* Answered when the job is done. If rookctl goes away the job goes on. */
static void
run_run (gpointer data, RookControlCall *call, const char *const *arguments)
{
  RookJobEntry *entry = rook_schedule_find (data, arguments[0]);
  RookJobRun *run;

  if (entry == NULL)
    {
      rook_control_call_fail (call, "there is no job %s: see rookctl job list", arguments[0]);
      return;
    }
  run = rook_schedule_start (entry);
  if (run == NULL)
    rook_control_call_fail (call, "job %s %s", arguments[0], entry->run != NULL ? "is running" : "is about to go");
  else
    rook_job_run_follow (run, call);
}

static const RookControlVerb verbs[] = {
  { .struct_size = sizeof (RookControlVerb),
    .name = "job list",
    .arguments = "",
    .help = "Shows the jobs: when they run next, when they last ran and how that went.",
    .run = run_list },
  { .struct_size = sizeof (RookControlVerb),
    .name = "job run",
    .arguments = "NAME",
    .help = "Runs a job now and waits for its end.",
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run_run },
};

void
rook_schedule_add_verbs (RookSchedule *schedule, RookControl *control)
{
  for (guint i = 0; i < G_N_ELEMENTS (verbs); i++)
    rook_control_add (control, &verbs[i], schedule);
}
