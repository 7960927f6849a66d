/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ending plugins: drain, take back, wait until nothing refers to them, fini, close. Each step waits for the one before
 * without blocking the main worker, and each wait has an end: a plugin that will not go is left resident, with a word in
 * the log, and everything else goes on.
 *
 * Before fini every worker is asked to come by once: a thread that gave the last reference back may still have been on
 * its way out of the module's code.
 */
#include "plugin/plugin-life.h"

#define ABORT_GRACE_MS 2000  /* for sessions that were ended at the deadline to be gone */
#define UNUSED_GRACE_MS 2000 /* for references to go once all is taken back */

typedef enum { STOP_DRAIN, STOP_UNDO, STOP_WAIT, STOP_BARRIER, STOP_FINI, STOP_DONE } StopPhase;

struct RookPluginStop {
  RookPlugins *plugins; /* (unowned) */
  GPtrArray *set;       /* (element-type RookPlugin) (unowned) in init order; those behind `next` are done */
  guint next;           /* one past the plugin at work */
  StopPhase phase;
  gboolean begun;      /* the first look has come; nobody else's may end it before */
  gboolean drain_over; /* the deadline has passed, or there was nothing to wait for */
  gboolean late;       /* the phase's time is over */
  RookTimer timer;
  guint awaited; /* workers that have not come by yet */
  RookFunc done;
  gpointer data;
};

static void advance (RookPluginStop *stop);

static RookWorker *
get_main_worker (RookPluginStop *stop)
{
  return rook_loop_get_main_worker (rook_server_get_loop (stop->plugins->server));
}

static RookPlugin *
get_plugin (RookPluginStop *stop)
{
  return g_ptr_array_index (stop->set, stop->next - 1);
}

static void
on_late (gpointer data)
{
  RookPluginStop *stop = data;

  stop->late = TRUE;
  advance (stop);
}

static void
enter (RookPluginStop *stop, StopPhase phase, guint ms)
{
  stop->phase = phase;
  stop->late = FALSE;
  if (ms > 0)
    rook_timer_start (&stop->timer, ms);
  else
    rook_timer_stop (&stop->timer);
}

/* --- drain --------------------------------------------------------------------------------------------------------- */

static gboolean
all_drained (RookPluginStop *stop)
{
  for (guint i = 0; i < stop->set->len; i++)
    {
      RookPlugin *plugin = g_ptr_array_index (stop->set, i);

      if (plugin->state == ROOK_PLUGIN_DRAINING && !rook_plugin_is_drained (plugin))
        return FALSE;
    }
  return TRUE;
}

static void
abort_drains (RookPluginStop *stop)
{
  for (guint i = 0; i < stop->set->len; i++)
    {
      RookPlugin *plugin = g_ptr_array_index (stop->set, i);

      if (plugin->state != ROOK_PLUGIN_DRAINING || rook_plugin_is_drained (plugin))
        continue;
      rook_plugins_log (stop->plugins, ROOK_LOG_WARNING, "plugin.drain-deadline", plugin, NULL, NULL);
      rook_plugin_abort_drain (plugin);
    }
}

/* Returns: whether to go on. */
static gboolean
step_drain (RookPluginStop *stop)
{
  if (!all_drained (stop) && !stop->late)
    return FALSE;
  if (!all_drained (stop) && !stop->drain_over)
    {
      stop->drain_over = TRUE;
      enter (stop, STOP_DRAIN, ABORT_GRACE_MS);
      abort_drains (stop);
      return FALSE;
    }
  enter (stop, STOP_UNDO, 0);
  return TRUE;
}

/* --- one plugin's end ---------------------------------------------------------------------------------------------- */

static void
on_came_back (gpointer data)
{
  RookPluginStop *stop = data;

  if (--stop->awaited == 0)
    {
      enter (stop, STOP_FINI, 0);
      advance (stop);
    }
}

static void
on_came_by (gpointer data)
{
  rook_worker_invoke (get_main_worker (data), on_came_back, data, NULL);
}

static void
step_barrier (RookPluginStop *stop)
{
  RookLoop *loop = rook_server_get_loop (stop->plugins->server);

  enter (stop, STOP_BARRIER, 0);
  stop->awaited = rook_loop_get_n_workers (loop);
  for (guint i = 0; i < rook_loop_get_n_workers (loop); i++)
    rook_worker_invoke (rook_loop_get_worker (loop, i), on_came_by, stop, NULL);
}

static void
leave_resident (RookPluginStop *stop, RookPlugin *plugin)
{
  g_autofree char *refs = g_strdup_printf ("%u", rook_plugin_count_refs (plugin));

  if (plugin->state != ROOK_PLUGIN_FAILED)
    plugin->state = ROOK_PLUGIN_RESIDENT;
  plugin->stopping = FALSE;
  rook_plugins_take (stop->plugins, plugin);
  g_ptr_array_add (stop->plugins->resident, plugin);
  rook_plugins_log (stop->plugins, ROOK_LOG_WARNING, "plugin.resident", plugin, "references", refs);
}

static void
end_plugin (RookPluginStop *stop, RookPlugin *plugin)
{
  if (plugin->state != ROOK_PLUGIN_FAILED)
    rook_plugins_log (stop->plugins, ROOK_LOG_INFO, "plugin.stopped", plugin, NULL, NULL);
  rook_plugin_fini (plugin);
  rook_plugins_take (stop->plugins, plugin);
  rook_plugin_free (plugin);
  /* A provider may have become unused by that. */
  rook_plugins_poke_unlocked (stop->plugins);
}

static gboolean
next_plugin (RookPluginStop *stop)
{
  stop->next--;
  enter (stop, stop->next > 0 ? STOP_UNDO : STOP_DONE, 0);
  return TRUE;
}

static gboolean
step_wait (RookPluginStop *stop)
{
  RookPlugin *plugin = get_plugin (stop);

  if (rook_plugin_is_unused (plugin))
    {
      step_barrier (stop);
      return FALSE;
    }
  if (!stop->late)
    return FALSE;
  leave_resident (stop, plugin);
  return next_plugin (stop);
}

static gboolean
step_fini (RookPluginStop *stop)
{
  RookPlugin *plugin = get_plugin (stop);

  if (!rook_plugin_is_unused (plugin))
    {
      enter (stop, STOP_WAIT, UNUSED_GRACE_MS);
      return TRUE;
    }
  end_plugin (stop, plugin);
  return next_plugin (stop);
}

/* --- the whole ----------------------------------------------------------------------------------------------------- */

static void
finish (RookPluginStop *stop)
{
  g_ptr_array_remove (stop->plugins->stops, stop);
  rook_timer_stop (&stop->timer);
  stop->done (stop->data);
  g_ptr_array_unref (stop->set);
  g_free (stop);
}

static gboolean
step (RookPluginStop *stop)
{
  switch (stop->phase)
    {
    case STOP_DRAIN:
      return step_drain (stop);
    case STOP_UNDO:
      rook_plugin_undo (get_plugin (stop));
      enter (stop, STOP_WAIT, UNUSED_GRACE_MS);
      return TRUE;
    case STOP_WAIT:
      return step_wait (stop);
    case STOP_FINI:
      return step_fini (stop);
    case STOP_BARRIER:
    case STOP_DONE:
    default:
      return FALSE;
    }
}

static void
advance (RookPluginStop *stop)
{
  if (!stop->begun)
    return;
  while (step (stop))
    ;
  if (stop->phase == STOP_DONE)
    finish (stop);
}

void
rook_plugin_stop_look (RookPluginStop *stop)
{
  advance (stop);
}

void
rook_plugin_stop_hurry (RookPluginStop *stop)
{
  if (stop->phase == STOP_DRAIN || stop->phase == STOP_WAIT)
    on_late (stop);
}

static void
first_look (gpointer data)
{
  RookPluginStop *stop = data;

  stop->begun = TRUE;
  advance (stop);
}

RookPluginStop *
rook_plugin_stop_new (RookPlugins *self, GPtrArray *plugins, guint deadline_ms, RookFunc done, gpointer data)
{
  RookPluginStop *stop = g_new0 (RookPluginStop, 1);

  stop->plugins = self;
  stop->set = g_ptr_array_ref (plugins);
  stop->next = plugins->len;
  stop->done = done;
  stop->data = data;
  rook_timer_init (&stop->timer, get_main_worker (stop), on_late, stop);
  for (guint i = 0; i < plugins->len; i++)
    {
      RookPlugin *plugin = g_ptr_array_index (plugins, i);

      plugin->stopping = TRUE;
      if (plugin->state == ROOK_PLUGIN_RUNNING)
        rook_plugin_begin_drain (plugin);
    }
  g_ptr_array_add (self->stops, stop);
  enter (stop, plugins->len > 0 ? STOP_DRAIN : STOP_DONE, plugins->len > 0 ? MAX (deadline_ms, 1) : 0);
  rook_worker_invoke (get_main_worker (stop), first_look, stop, NULL);
  return stop;
}
