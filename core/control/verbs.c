/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verbs that every server has: help, status, stats, log level, config describe and config check.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/config-private.h"
#include "control/control-private.h"
#include "daemon/load.h"
#include "daemon/server-private.h"
#include "log/log-private.h"
#include "metrics/metrics-private.h"

/* --- help ---------------------------------------------------------------------------------------------------------- */

/* What is typed: a password is asked for. (transfer full) */
static char *
usage_of (const RookControlVerb *verb)
{
  char *usage = g_strdup (verb->arguments);

  if (g_str_has_suffix (usage, " PASSWORD"))
    usage[strlen (usage) - strlen (" PASSWORD")] = '\0';
  return usage;
}

static void
run_help (gpointer data, RookControlCall *call, const char *const *arguments)
{
  g_autoptr (GPtrArray) verbs = rook_control_list_verbs (data);
  g_autofree char *prefix = g_strjoinv (" ", (char **) arguments), *unknown = NULL;
  GVariantBuilder list;
  guint n = 0;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < verbs->len; i++)
    {
      const RookControlVerb *verb = ((RookVerbEntry *) verbs->pdata[i])->verb;

      if (!g_str_has_prefix (verb->name, prefix))
        continue;
      g_variant_builder_open (&list, G_VARIANT_TYPE_VARDICT);
      g_variant_builder_add (&list, "{sv}", "verb", g_variant_new_string (verb->name));
      g_variant_builder_add (&list, "{sv}", "arguments", g_variant_new_take_string (usage_of (verb)));
      g_variant_builder_add (&list, "{sv}", "help", g_variant_new_string (verb->help));
      g_variant_builder_close (&list);
      n++;
    }
  if (n > 0)
    rook_control_call_done (call, g_variant_builder_end (&list));
  else
    {
      g_variant_builder_clear (&list);
      unknown = rook_control_describe_unknown (data, arguments);
      rook_control_call_fail (call, "%s", unknown);
    }
}

/* --- status -------------------------------------------------------------------------------------------------------- */

static guint64
read_resident_bytes (void)
{
  unsigned long long size = 0, resident = 0;
  FILE *file = fopen ("/proc/self/statm", "re");

  if (file == NULL)
    return 0;
  if (fscanf (file, "%llu %llu", &size, &resident) != 2)
    resident = 0;
  fclose (file);
  return resident * (guint64) sysconf (_SC_PAGESIZE);
}

/* All metrics of @name with a label, as value: number. Returns: (nullable) (transfer floating) */
static GVariant *
collect_by_label (RookMetrics *metrics, const char *name)
{
  g_autoptr (GVariant) snapshot = g_variant_ref_sink (rook_metrics_snapshot (metrics));
  GVariantBuilder builder;
  GVariantIter iter;
  const char *metric, *label, *value, *unit;
  GVariant *number;
  guint n = 0;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_iter_init (&iter, snapshot);
  while (g_variant_iter_loop (&iter, "(&s&s&sv&s)", &metric, &label, &value, &number, &unit))
    if (strcmp (metric, name) == 0 && *label != '\0')
      {
        g_variant_builder_add (&builder, "{sv}", value, number);
        n++;
      }
  if (n > 0)
    return g_variant_builder_end (&builder);
  g_variant_builder_clear (&builder);
  return NULL;
}

static void
add_counted (GVariantBuilder *builder, RookMetrics *metrics, const char *title, const char *name)
{
  GVariant *value = collect_by_label (metrics, name);

  if (value != NULL)
    g_variant_builder_add (builder, "{sv}", title, value);
}

static void
add_server (GVariantBuilder *builder, RookControl *control)
{
  RookServer *server = rook_control_get_server (control);
  gint64 started_us = rook_control_get_started_us (control);

  g_variant_builder_add (builder, "{sv}", "version", g_variant_new_string (rook_server_get_version ()));
  g_variant_builder_add (builder, "{sv}", "hostname", g_variant_new_string (rook_server_get_hostname (server)));
  g_variant_builder_add (builder, "{sv}", "pid", g_variant_new_int32 ((gint32) getpid ()));
  if (server->config_path != NULL)
    g_variant_builder_add (builder, "{sv}", "config", g_variant_new_string (server->config_path));
  g_variant_builder_add (builder, "{sv}", "started-time", g_variant_new_int64 (started_us));
  g_variant_builder_add (builder, "{sv}", "uptime-seconds",
                         g_variant_new_int64 ((g_get_real_time () - started_us) / G_USEC_PER_SEC));
  g_variant_builder_add (builder, "{sv}", "workers",
                         g_variant_new_uint32 (rook_loop_get_n_workers (rook_server_get_loop (server))));
  g_variant_builder_add (builder, "{sv}", "memory-bytes", g_variant_new_uint64 (read_resident_bytes ()));
}

static void
run_status (gpointer data, RookControlCall *call, const char *const *arguments G_GNUC_UNUSED)
{
  RookServer *server = rook_control_get_server (data);
  RookMetrics *metrics = rook_server_get_metrics (server);
  g_autoptr (GVariant) sections = g_variant_ref_sink (rook_control_get_status (data));
  GVariantBuilder builder;
  GVariantIter iter;
  const char *name;
  GVariant *value;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  add_server (&builder, data);
  g_variant_builder_add (
      &builder, "{sv}", "log-level",
      g_variant_new_string (rook_log_level_get_name (rook_log_get_level (rook_server_get_log (server)))));
  g_variant_builder_add (&builder, "{sv}", "log-dropped",
                         g_variant_new_uint64 (rook_log_get_dropped (rook_server_get_log (server))));
  add_counted (&builder, metrics, "connections", "net.connections");
  add_counted (&builder, metrics, "connected-since-start", "net.connected");
  add_counted (&builder, metrics, "deliveries", "delivery.recipients");
  g_variant_iter_init (&iter, sections);
  while (g_variant_iter_loop (&iter, "{&sv}", &name, &value))
    g_variant_builder_add (&builder, "{sv}", name, value);
  rook_control_call_done (call, g_variant_builder_end (&builder));
}

/* --- stats --------------------------------------------------------------------------------------------------------- */

static void
add_histogram (GVariantBuilder *list, GVariant *value)
{
  guint64 count, sum, p50, p90, p99, max;

  g_variant_get (value, "(tttttt)", &count, &sum, &p50, &p90, &p99, &max);
  g_variant_builder_add (list, "{sv}", "count", g_variant_new_uint64 (count));
  g_variant_builder_add (list, "{sv}", "mean", g_variant_new_uint64 (count > 0 ? sum / count : 0));
  g_variant_builder_add (list, "{sv}", "p50", g_variant_new_uint64 (p50));
  g_variant_builder_add (list, "{sv}", "p90", g_variant_new_uint64 (p90));
  g_variant_builder_add (list, "{sv}", "p99", g_variant_new_uint64 (p99));
  g_variant_builder_add (list, "{sv}", "max", g_variant_new_uint64 (max));
}

/* One metric as a row of the table: every row has the same columns in front. */
static void
add_metric (GVariantBuilder *list, const char *name, const char *label, const char *value, GVariant *number,
            const char *unit)
{
  gboolean is_histogram = g_variant_is_of_type (number, G_VARIANT_TYPE_TUPLE);

  g_variant_builder_open (list, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (list, "{sv}", "metric", g_variant_new_string (name));
  g_variant_builder_add (list, "{sv}", "label", g_variant_new_string (label));
  g_variant_builder_add (list, "{sv}", "of", g_variant_new_string (value));
  if (is_histogram)
    add_histogram (list, number);
  else
    g_variant_builder_add (list, "{sv}", "count", number);
  if (*unit != '\0')
    g_variant_builder_add (list, "{sv}", "unit", g_variant_new_string (unit));
  g_variant_builder_close (list);
}

/* The metrics, with what is not counted but looked at. */
static RookMetrics *
get_metrics (RookControl *control)
{
  RookMetrics *metrics = rook_server_get_metrics (rook_control_get_server (control));

  rook_gauge_set (rook_metrics_gauge (metrics, "process.memory", NULL, NULL, "bytes of memory in use now"),
                  (gint64) read_resident_bytes ());
  return metrics;
}

static void
run_stats (gpointer data, RookControlCall *call, const char *const *arguments)
{
  RookMetrics *metrics = get_metrics (data);
  g_autoptr (GVariant) snapshot = g_variant_ref_sink (rook_metrics_snapshot (metrics));
  const char *prefix = arguments[0] != NULL ? arguments[0] : "";
  const char *name, *label, *value, *unit;
  GVariantBuilder list;
  GVariantIter iter;
  GVariant *number;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  g_variant_iter_init (&iter, snapshot);
  while (g_variant_iter_loop (&iter, "(&s&s&sv&s)", &name, &label, &value, &number, &unit))
    if (g_str_has_prefix (name, prefix))
      add_metric (&list, name, label, value, number, unit);
  rook_control_call_done (call, g_variant_builder_end (&list));
}

static void
run_stats_describe (gpointer data, RookControlCall *call, const char *const *arguments G_GNUC_UNUSED)
{
  RookMetrics *metrics = get_metrics (data);
  g_autoptr (GVariant) description = g_variant_ref_sink (rook_metrics_describe (metrics));
  const char *name, *unit, *help;
  GVariantBuilder list;
  GVariantIter iter;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  g_variant_iter_init (&iter, description);
  while (g_variant_iter_loop (&iter, "(&s&s&s)", &name, &unit, &help))
    {
      g_variant_builder_open (&list, G_VARIANT_TYPE_VARDICT);
      g_variant_builder_add (&list, "{sv}", "metric", g_variant_new_string (name));
      g_variant_builder_add (&list, "{sv}", "unit", g_variant_new_string (unit));
      g_variant_builder_add (&list, "{sv}", "counts", g_variant_new_string (help));
      g_variant_builder_close (&list);
    }
  rook_control_call_done (call, g_variant_builder_end (&list));
}

/* --- log level ----------------------------------------------------------------------------------------------------- */

static void
run_log_level (gpointer data, RookControlCall *call, const char *const *arguments)
{
  RookLog *log = rook_server_get_log (rook_control_get_server (data));
  RookLogLevel level;

  if (arguments[0] == NULL)
    rook_control_call_done (call, g_variant_new_string (rook_log_level_get_name (rook_log_get_level (log))));
  else if (!rook_log_level_from_name (arguments[0], &level))
    rook_control_call_fail (call, "a level is one of error, warning, notice, info, debug");
  else
    {
      rook_log_set_level (log, level);
      rook_log_event (log, ROOK_LOG_NOTICE, "log.level", "level", arguments[0], NULL);
      rook_control_call_done (call, NULL);
    }
}

/* --- config -------------------------------------------------------------------------------------------------------- */

static void
run_config_describe (gpointer data, RookControlCall *call, const char *const *arguments)
{
  g_autoptr (RookConfig) config = rook_server_get_config (rook_control_get_server (data));
  gboolean may_be_option = rook_control_call_get_n_options (call) > 0;
  gboolean as_data = may_be_option && g_strcmp0 (arguments[0], "--data") == 0;
  RookConfigFormat format = ROOK_CONFIG_DESCRIBE_TEXT;
  g_autofree char *title = NULL, *text = NULL;
  GVariant *result = NULL;

  if (as_data || (may_be_option && rook_config_format_from_option (arguments[0], &format)))
    arguments++;
  if (arguments[0] != NULL)
    title = g_strjoinv (" ", (char **) arguments);
  if (as_data)
    result = rook_config_describe_data (config, title);
  else if ((text = rook_config_describe (config, format, title)) != NULL)
    result = g_variant_new_string (g_strchomp (text));
  if (result != NULL)
    rook_control_call_done (call, result);
  else
    rook_control_call_fail (call, "there is no group [%s]", title);
}

/* What a reload would say, without the reload. */
static void
run_config_check (gpointer data, RookControlCall *call, const char *const *arguments G_GNUC_UNUSED)
{
  RookServer *server = rook_control_get_server (data);
  g_autoptr (RookPluginPlan) plan = NULL;
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = NULL;
  g_autofree char *text = NULL;

  if (server->config_path == NULL)
    {
      rook_control_call_fail (call, "this server's configuration has no file");
      return;
    }
  config = rook_daemon_load (server->config_path, server, NULL, &plan, &mistakes);
  if (plan != NULL)
    {
      rook_daemon_check_all (server, config, plan, mistakes);
      rook_daemon_check_restart (server->config, config, mistakes);
    }
  text = rook_daemon_format_mistakes (mistakes, "");
  if (mistakes->len > 0)
    rook_control_call_fail (call, "%s", text);
  else
    rook_control_call_done (call, g_variant_new_take_string (g_strdup_printf ("%s: good", server->config_path)));
}

/* ------------------------------------------------------------------------------------------------------------------- */

static const RookControlVerb verbs[] = {
  { .struct_size = sizeof (RookControlVerb),
    .name = "help",
    .arguments = "[VERB]",
    .help = "Lists the verbs, or those that begin with VERB.",
    .max_arguments = 3,
    .run = run_help },
  { .struct_size = sizeof (RookControlVerb),
    .name = "status",
    .arguments = "",
    .help = "Shows version, uptime, memory, connections, deliveries, plugins.",
    .run = run_status },
  { .struct_size = sizeof (RookControlVerb),
    .name = "stats",
    .arguments = "[PREFIX]",
    .help = "Shows all counters and latencies, or those whose names begin with PREFIX.",
    .max_arguments = 1,
    .run = run_stats },
  { .struct_size = sizeof (RookControlVerb),
    .name = "stats describe",
    .arguments = "",
    .help = "Says what each of them counts, and in which unit.",
    .run = run_stats_describe },
  { .struct_size = sizeof (RookControlVerb),
    .name = "log level",
    .arguments = "[LEVEL]",
    .help = "Shows the level of the log, or sets it until the next reload.",
    .max_arguments = 1,
    .run = run_log_level },
  { .struct_size = sizeof (RookControlVerb),
    .name = "config describe",
    .arguments = "[--sample|--man|--data] [GROUP]",
    .help = "Describes every setting, or those of one group, such as \"listener\" or \"plugin imap\".",
    .max_arguments = 3,
    .run = run_config_describe },
  { .struct_size = sizeof (RookControlVerb),
    .name = "config check",
    .arguments = "",
    .help = "Reads the configuration as a reload would, tells every mistake, and changes nothing.",
    .run = run_config_check },
};

void
rook_control_add_builtin_verbs (RookControl *control)
{
  for (guint i = 0; i < G_N_ELEMENTS (verbs); i++)
    rook_control_add (control, &verbs[i], control);
}
