/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the example plugin knows as a whole: its settings, how many messages have arrived, and how many sessions watch.
 */
#include "notify.h"

const RookConfigKey notify_keys[] = {
  { .name = "allow-from",
    .type = ROOK_CONFIG_LIST,
    .default_value = "unix;127.0.0.0/8;::1",
    .change = ROOK_CONFIG_PLUGIN_RESTART,
    .help = "Networks that may connect: the lines tell names of mailboxes, and there is no login." },
  { .name = "idle-timeout",
    .type = ROOK_CONFIG_DURATION,
    .default_value = "30m",
    .min = 1000,
    .max = 86400000,
    .unit = "s",
    .change = ROOK_CONFIG_LIVE,
    .help = "How long a client may say nothing while it does not watch." },
  { .name = NULL },
};

void
notify_set_live (Notify *notify, RookConfigGroup *config)
{
  g_atomic_int_set (&notify->idle_ms, (gint) rook_config_group_get_duration_ms (config, "idle-timeout"));
}

Notify *
notify_new (RookPlugin *self, RookConfigGroup *config)
{
  Notify *notify = g_new0 (Notify, 1);
  RookMetrics *metrics;

  notify->server = rook_plugin_get_server (self);
  notify->allow_from = g_strdupv ((char **) rook_config_group_get_list (config, "allow-from"));
  metrics = rook_server_get_metrics (notify->server);
  notify->arrived =
      rook_metrics_counter (metrics, "notify.messages", NULL, NULL, "messages that watchers could hear of");
  notify_set_live (notify, config);
  return notify;
}

void
notify_free (gpointer data)
{
  Notify *notify = data;

  g_strfreev (notify->allow_from);
  g_free (notify);
}

/* --- the subscriber: on the main worker ---------------------------------------------------------------------------- */

static void
count_events (gpointer data, RookEvent *const *events G_GNUC_UNUSED, guint n_events)
{
  Notify *notify = data;

  notify->seen += n_events;
  rook_counter_add (notify->arrived, n_events);
}

/* Some were lost: at least one arrived in each mailbox. */
static void
count_lost (gpointer data, const char *const *mailbox_ids, guint64 lost_others G_GNUC_UNUSED)
{
  count_events (data, NULL, g_strv_length ((char **) mailbox_ids));
}

const RookSubscriber notify_subscriber = {
  .struct_size = sizeof (RookSubscriber),
  .name = "notify",
  .types = ROOK_EVENT_MASK (ROOK_EVENT_MESSAGE_NEW) | ROOK_EVENT_MASK (ROOK_EVENT_MESSAGE_APPEND),
  .events = count_events,
  .overflow = count_lost,
};

/* --- the verb ------------------------------------------------------------------------------------------------------ */

static void
run_status (gpointer data, RookControlCall *call, const char *const *arguments G_GNUC_UNUSED)
{
  Notify *notify = data;
  GVariantBuilder result;

  g_variant_builder_init (&result, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&result, "{sv}", "messages", g_variant_new_uint64 (notify->seen));
  g_variant_builder_add (&result, "{sv}", "watchers",
                         g_variant_new_uint32 ((guint32) g_atomic_int_get (&notify->watchers)));
  rook_control_call_done (call, g_variant_builder_end (&result));
}

const RookControlVerb notify_verb = {
  .struct_size = sizeof (RookControlVerb),
  .name = "notify status",
  .arguments = "",
  .help = "Shows how many messages arrived since the plugin was started, and how many sessions watch.",
  .run = run_status,
};
