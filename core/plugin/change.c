/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From one set of plugins to another, at a reload: all or nothing.
 *
 * What can be refused without disturbing anybody is tried first: a plugin that came, and needs nothing of what goes, is
 * initialised before anything is drained. Only then those that go or start anew are ended, and the rest initialised. If
 * that fails all goes back: what was started is ended, what was ended is initialised with its former settings.
 */
#include "plugin/plugin-life.h"

#define UNDO_DEADLINE_MS 1000 /* for sessions of a plugin that was started a moment ago and has to go again */

typedef struct {
  RookPlugins *plugins;   /* (unowned) */
  RookPluginPlan *plan;   /* (owned) */
  RookPluginPlan *former; /* (owned) what to put back: an item for each handle there was */
  RookConfig *before;     /* (owned) */
  guint deadline_ms;
  GPtrArray *going;         /* (element-type RookPlugin) (owned) (unowned contents) */
  GHashTable *had_failed;   /* (element-type utf8) (owned) names */
  GHashTable *ran;          /* (element-type utf8) (owned) names of what is ended */
  GPtrArray *started;       /* (element-type RookPlugin) (owned) (unowned contents) */
  GPtrArray *changes;       /* (element-type utf8) (owned) */
  GPtrArray *lost;          /* (element-type utf8) (owned) what could not be put back */
  GError *error;            /* (owned) (nullable) */
  RookPluginsReady ready;   /* (nullable) */
  RookPluginsSettle settle; /* (nullable) */
  RookPluginsDone callback;
  gpointer data;
} Change;

static void
change_free (Change *change)
{
  rook_plugin_plan_free (change->plan);
  rook_plugin_plan_free (change->former);
  rook_config_unref (change->before);
  g_ptr_array_unref (change->going);
  g_hash_table_unref (change->had_failed);
  g_hash_table_unref (change->ran);
  g_ptr_array_unref (change->started);
  g_ptr_array_unref (change->changes);
  g_ptr_array_unref (change->lost);
  g_clear_error (&change->error);
  g_free (change);
}

static void
say (Change *change, const char *what, const char *name)
{
  g_ptr_array_add (change->changes, g_strdup_printf ("%s %s", what, name));
}

/* --- who goes ------------------------------------------------------------------------------------------------------ */

/* Whether a key of `[plugin NAME]` of this kind differs. A key that is only there afterwards is of a new module. */
static gboolean
has_changed (Change *change, const char *name, RookConfigChange kind)
{
  g_autoptr (GPtrArray) differences = rook_config_diff (change->before, change->plan->config);
  g_autofree char *title = g_strconcat ("plugin ", name, NULL);
  g_autofree char *prefix = g_strconcat (title, "/", NULL);

  for (guint i = 0; i < differences->len; i++)
    {
      const char *difference = g_ptr_array_index (differences, i);
      const RookConfigKey *key;

      if (!g_str_has_prefix (difference, prefix))
        continue;
      key = rook_config_find_key (change->plan->config, title, difference + strlen (prefix));
      if (key != NULL ? key->change == kind : kind == ROOK_CONFIG_PLUGIN_RESTART)
        return TRUE;
    }
  return FALSE;
}

static gboolean
must_go (Change *change, RookPlugin *plugin)
{
  const RookPlanItem *item = rook_plugin_plan_find (change->plan, plugin->name);

  return item == NULL || !item->enabled || item->error != NULL
         || !g_str_equal (item->module->name, plugin->module->name)
         || has_changed (change, plugin->name, ROOK_CONFIG_PLUGIN_RESTART);
}

static gboolean
needs_one_that_goes (Change *change, RookPlugin *plugin)
{
  for (guint i = 0; i < plugin->providers->len; i++)
    if (g_ptr_array_find (change->going, plugin->providers->pdata[i], NULL))
      return TRUE;
  return FALSE;
}

/* What is needed to put a plugin back: the same module, the former settings, the same providers; or why it did not run. */
static void
remember (Change *change, RookPlugin *plugin)
{
  RookPlanItem *item = rook_plugin_plan_add (change->former, plugin->name);

  item->enabled = plugin->state != ROOK_PLUGIN_DISABLED;
  item->required = plugin->required;
  item->error = plugin->error != NULL ? g_error_copy (plugin->error) : NULL;
  item->module = plugin->module != NULL ? rook_module_ref (plugin->module) : NULL;
  for (guint i = 0; i < plugin->providers->len; i++)
    g_ptr_array_add (item->providers,
                     rook_plugin_plan_find (change->former, ((RookPlugin *) plugin->providers->pdata[i])->name));
}

/* `current` is in init order, so whoever needs one that goes comes after it. */
static void
find_going (Change *change)
{
  for (guint i = 0; i < change->plugins->current->len; i++)
    {
      RookPlugin *plugin = g_ptr_array_index (change->plugins->current, i);
      const RookPlanItem *item = rook_plugin_plan_find (change->plan, plugin->name);
      g_autofree char *pins = NULL;

      remember (change, plugin);
      if (plugin->state == ROOK_PLUGIN_FAILED && (item == NULL || !item->insisted))
        g_hash_table_add (change->had_failed, g_strdup (plugin->name));
      if (plugin->state != ROOK_PLUGIN_RUNNING || !(must_go (change, plugin) || needs_one_that_goes (change, plugin)))
        continue;
      g_ptr_array_add (change->going, plugin);
      g_hash_table_add (change->ran, g_strdup (plugin->name));
      pins = rook_plugin_dup_pins (plugin);
      if (pins != NULL && change->error == NULL)
        g_set_error (&change->error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_IN_USE,
                     "plugin '%s' can't be switched off or started anew: it is in use by %s", plugin->name, pins);
    }
}

/* --- who comes ----------------------------------------------------------------------------------------------------- */

static void
drop_record (RookPlugins *plugins, const char *name)
{
  RookPlugin *record = rook_plugins_find (plugins, name);

  if (record == NULL)
    return;
  g_assert (record->state == ROOK_PLUGIN_FAILED || record->state == ROOK_PLUGIN_DISABLED);
  rook_plugins_take (plugins, record);
  rook_plugin_free (record);
}

/* One that had failed before may fail again; any other refuses the change. */
static gboolean
start_item (Change *change, const RookPlanItem *item)
{
  gboolean had_failed = g_hash_table_contains (change->had_failed, item->name);
  RookPlugin *plugin;

  drop_record (change->plugins, item->name);
  plugin = rook_plugins_add (change->plugins, change->plan, item);
  if (plugin->state == ROOK_PLUGIN_RUNNING)
    {
      g_ptr_array_add (change->started, plugin);
      return TRUE;
    }
  if (plugin->state == ROOK_PLUGIN_DISABLED || (had_failed && !plugin->required))
    return TRUE;
  g_set_error (&change->error, plugin->error->domain, plugin->error->code, "plugin '%s': %s", plugin->name,
               plugin->error->message);
  return FALSE;
}

static gboolean
is_running (Change *change, const char *name)
{
  RookPlugin *plugin = rook_plugins_find (change->plugins, name);

  return plugin != NULL && plugin->state == ROOK_PLUGIN_RUNNING && !g_hash_table_contains (change->ran, name);
}

static gboolean
can_start_early (Change *change, const RookPlanItem *item)
{
  if (!item->enabled || item->error != NULL || is_running (change, item->name)
      || g_hash_table_contains (change->ran, item->name) || g_hash_table_contains (change->had_failed, item->name))
    return FALSE;
  for (guint i = 0; i < item->providers->len; i++)
    if (!is_running (change, ((RookPlanItem *) g_ptr_array_index (item->providers, i))->name))
      return FALSE;
  return TRUE;
}

/* A name that is taken may be free once those that go are gone: then it is tried again. */
static gboolean
start_early (Change *change)
{
  for (guint i = 0; i < change->plan->items->len; i++)
    {
      const RookPlanItem *item = g_ptr_array_index (change->plan->items, i);

      if (!can_start_early (change, item) || start_item (change, item))
        continue;
      if (change->going->len == 0 || !g_error_matches (change->error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT))
        return FALSE;
      g_clear_error (&change->error);
    }
  return TRUE;
}

static gboolean
start_rest (Change *change)
{
  for (guint i = 0; i < change->plan->items->len; i++)
    {
      const RookPlanItem *item = g_ptr_array_index (change->plan->items, i);
      RookPlugin *plugin = rook_plugins_find (change->plugins, item->name);

      if ((plugin == NULL || plugin->state != ROOK_PLUGIN_RUNNING) && !start_item (change, item))
        return FALSE;
    }
  return TRUE;
}

/* --- the end, one way or the other --------------------------------------------------------------------------------- */

static void
answer (gpointer data)
{
  Change *change = data;

  change->callback (change->error != NULL ? change->lost : change->changes, change->error, change->data);
  change_free (change);
}

static void
apply_live (Change *change, RookPlugin *plugin)
{
  const RookPlanItem *item = rook_plugin_plan_find (change->plan, plugin->name);
  gboolean changed = has_changed (change, plugin->name, ROOK_CONFIG_LIVE);
  RookConfig *before = plugin->config;

  plugin->required = item->required;
  plugin->config = rook_config_ref (change->plan->config);
  if (changed && plugin->module->descriptor->reconfigure != NULL)
    plugin->module->descriptor->reconfigure (plugin, rook_plugin_get_group (plugin));
  if (changed)
    say (change, "reconfigured", plugin->name);
  rook_config_unref (before);
}

/* Puts `current` into the plan's order, and drops records of what the plan does not name. */
static void
sort_current (RookPlugins *plugins, RookPluginPlan *plan)
{
  g_autoptr (GPtrArray) sorted = g_ptr_array_new ();

  for (guint i = 0; i < plan->items->len; i++)
    {
      RookPlugin *plugin = rook_plugins_find (plugins, ((RookPlanItem *) g_ptr_array_index (plan->items, i))->name);

      g_ptr_array_remove (plugins->current, plugin);
      g_ptr_array_add (sorted, plugin);
    }
  while (plugins->current->len > 0)
    drop_record (plugins, ((RookPlugin *) g_ptr_array_index (plugins->current, 0))->name);
  g_ptr_array_extend (plugins->current, sorted, NULL, NULL);
}

static void
say_stopped (Change *change)
{
  GHashTableIter iter;
  gpointer name;

  g_hash_table_iter_init (&iter, change->ran);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    {
      RookPlugin *plugin = rook_plugins_find (change->plugins, name);

      if (plugin == NULL || plugin->state != ROOK_PLUGIN_RUNNING)
        say (change, "stopped", name);
    }
}

static void
commit (Change *change)
{
  sort_current (change->plugins, change->plan);
  for (guint i = 0; i < change->plugins->current->len; i++)
    {
      RookPlugin *plugin = g_ptr_array_index (change->plugins->current, i);

      if (plugin->state != ROOK_PLUGIN_RUNNING)
        continue;
      if (!g_ptr_array_find (change->started, plugin, NULL))
        apply_live (change, plugin);
      else
        say (change, g_hash_table_contains (change->ran, plugin->name) ? "restarted" : "started", plugin->name);
    }
  say_stopped (change);
  answer (change);
}

/* Who ran before and does not now. All or nothing could not be kept then, which nobody must have to find out. */
static void
tell_lost (Change *change)
{
  for (guint i = 0; i < change->former->items->len; i++)
    {
      const char *name = ((RookPlanItem *) g_ptr_array_index (change->former->items, i))->name;
      RookPlugin *plugin = rook_plugins_find (change->plugins, name);

      if (plugin->state == ROOK_PLUGIN_RUNNING || !g_hash_table_contains (change->ran, name))
        continue;
      rook_plugins_log (change->plugins, ROOK_LOG_ERROR, "plugin.not-put-back", plugin, "reason",
                        plugin->error->message);
      g_ptr_array_add (change->lost, g_strdup_printf ("lost %s: %s", name, plugin->error->message));
    }
}

/* Everything that does not run is made anew from what was remembered, so that the list says what it said. */
static void
put_back (gpointer data)
{
  Change *change = data;
  GPtrArray *current = change->plugins->current;

  rook_server_set_config (change->plugins->server, rook_config_ref (change->before));
  for (guint i = current->len; i > 0; i--)
    {
      RookPlugin *plugin = g_ptr_array_index (current, i - 1);

      if (plugin->state != ROOK_PLUGIN_RUNNING)
        drop_record (change->plugins, plugin->name);
    }
  for (guint i = 0; i < change->former->items->len; i++)
    {
      const RookPlanItem *item = g_ptr_array_index (change->former->items, i);

      if (rook_plugins_find (change->plugins, item->name) == NULL)
        rook_plugins_add (change->plugins, change->former, item);
    }
  sort_current (change->plugins, change->former);
  tell_lost (change);
  answer (change);
}

static void
roll_back (Change *change)
{
  rook_plugin_stop_new (change->plugins, change->started, UNDO_DEADLINE_MS, put_back, change);
}

static gboolean
is_ready (Change *change)
{
  return change->ready == NULL || change->ready (change->data, &change->error);
}

static void
on_settled (const GError *error, gpointer data)
{
  Change *change = data;

  if (error == NULL)
    commit (change);
  else
    {
      change->error = g_error_copy (error);
      roll_back (change);
    }
}

static void
on_gone (gpointer data)
{
  Change *change = data;

  if (!start_rest (change) || !is_ready (change))
    roll_back (change);
  else if (change->settle != NULL)
    change->settle (on_settled, change, change->data);
  else
    commit (change);
}

static Change *
change_new (RookPlugins *self, RookPluginPlan *plan, RookConfig *before)
{
  Change *change = g_new0 (Change, 1);

  change->plugins = self;
  change->plan = plan;
  change->before = rook_config_ref (before);
  change->former = rook_plugin_plan_new_empty (before);
  change->going = g_ptr_array_new ();
  change->started = g_ptr_array_new ();
  change->changes = g_ptr_array_new_with_free_func (g_free);
  change->lost = g_ptr_array_new_with_free_func (g_free);
  change->had_failed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  change->ran = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return change;
}

void
rook_plugins_change (RookPlugins *self, RookPluginPlan *plan, RookConfig *before, guint deadline_ms,
                     RookPluginsReady ready, RookPluginsSettle settle, RookPluginsDone callback, gpointer data)
{
  Change *change = change_new (self, plan, before);

  change->ready = ready;
  change->settle = settle;
  change->callback = callback;
  change->data = data;
  find_going (change);
  if (change->error != NULL)
    {
      rook_worker_invoke (rook_loop_get_main_worker (rook_server_get_loop (self->server)), answer, change, NULL);
      return;
    }
  rook_server_set_config (self->server, rook_config_ref (plan->config));
  if (!start_early (change) || !is_ready (change))
    roll_back (change);
  else
    rook_plugin_stop_new (self, change->going, deadline_ms, on_gone, change);
}
