/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The plugin service: the plugins that the configuration names, those that would not go, and the start and end of all of
 * them. What happens between, at a reload, is in change.c.
 */
#include "plugin/plugin-life.h"

#include "directory/directory-private.h"

static void
interface_free (gpointer data)
{
  RookInterface *interface = data;

  g_free (interface->name);
  g_free (interface);
}

RookPlugins *
rook_plugins_new (RookServer *server)
{
  RookPlugins *self = g_new0 (RookPlugins, 1);

  self->refs = 1;
  self->server = server;
  rook_mutex_init (&self->lock);
  self->current = g_ptr_array_new ();
  self->resident = g_ptr_array_new ();
  self->stops = g_ptr_array_new ();
  self->interfaces = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, interface_free);
  return self;
}

static void
plugins_unref (gpointer data)
{
  RookPlugins *self = data;

  if (!g_atomic_int_dec_and_test (&self->refs))
    return;
  g_ptr_array_unref (self->current);
  g_ptr_array_unref (self->resident);
  g_ptr_array_unref (self->stops);
  g_hash_table_unref (self->interfaces);
  rook_mutex_clear (&self->lock);
  g_free (self);
}

/* What is still resident has code or data that somebody refers to: it is left alone, to the end of the process. */
void
rook_plugins_free (RookPlugins *self)
{
  rook_mutex_lock (&self->lock);
  self->finished = TRUE;
  rook_mutex_unlock (&self->lock);
  while (self->current->len > 0)
    {
      RookPlugin *plugin = g_ptr_array_index (self->current, self->current->len - 1);

      g_assert (plugin->state == ROOK_PLUGIN_FAILED || plugin->state == ROOK_PLUGIN_DISABLED);
      rook_plugins_take (self, plugin);
      rook_plugin_free (plugin);
    }
  plugins_unref (self);
}

RookPlugin *
rook_plugins_find (RookPlugins *self, const char *name)
{
  for (guint i = 0; i < self->current->len; i++)
    {
      RookPlugin *plugin = g_ptr_array_index (self->current, i);

      if (g_str_equal (plugin->name, name))
        return plugin;
    }
  return NULL;
}

void
rook_plugins_take (RookPlugins *self, RookPlugin *plugin)
{
  if (!g_ptr_array_remove (self->current, plugin))
    g_ptr_array_remove (self->resident, plugin);
}

/* --- what waits ---------------------------------------------------------------------------------------------------- */

static void
on_resident_gone (gpointer data)
{
  (void) data;
}

/* Ends what has become unused at last. */
static void
look_at_residents (RookPlugins *self)
{
  for (guint i = self->resident->len; i > 0; i--)
    {
      RookPlugin *plugin = g_ptr_array_index (self->resident, i - 1);
      g_autoptr (GPtrArray) set = NULL;

      if (plugin->stopping || !rook_plugin_is_unused (plugin))
        continue;
      set = g_ptr_array_new ();
      g_ptr_array_add (set, plugin);
      rook_plugin_stop_new (self, set, 0, on_resident_gone, NULL);
    }
}

static void
on_poke (gpointer data)
{
  RookPlugins *self = data;
  g_autoptr (GPtrArray) stops = NULL;

  rook_mutex_lock (&self->lock);
  self->poked = FALSE;
  rook_mutex_unlock (&self->lock);
  stops = g_ptr_array_copy (self->stops, NULL, NULL);
  for (guint i = 0; i < stops->len; i++)
    if (g_ptr_array_find (self->stops, stops->pdata[i], NULL))
      rook_plugin_stop_look (stops->pdata[i]);
  look_at_residents (self);
}

void
rook_plugins_poke (RookPlugins *self)
{
  if (self->poked || self->finished)
    return;
  self->poked = TRUE;
  g_atomic_int_inc (&self->refs);
  rook_worker_invoke (rook_loop_get_main_worker (rook_server_get_loop (self->server)), on_poke, self, plugins_unref);
}

void
rook_plugins_poke_unlocked (RookPlugins *self)
{
  rook_mutex_lock (&self->lock);
  rook_plugins_poke (self);
  rook_mutex_unlock (&self->lock);
}

/* --- start --------------------------------------------------------------------------------------------------------- */

void
rook_plugins_log (RookPlugins *self, RookLogLevel level, const char *event, RookPlugin *plugin, const char *key,
                  const char *value)
{
  RookLog *log = rook_server_get_log (self->server);

  if (log != NULL)
    rook_log_event (log, level, event, "plugin", plugin->name, key, value, NULL);
}

static void
log_outcome (RookPlugins *self, RookPlugin *plugin)
{
  if (plugin->state == ROOK_PLUGIN_RUNNING)
    rook_plugins_log (self, ROOK_LOG_INFO, "plugin.started", plugin, "version", plugin->version);
  else if (plugin->state == ROOK_PLUGIN_FAILED)
    rook_plugins_log (self, ROOK_LOG_ERROR, "plugin.failed", plugin, "reason", plugin->error->message);
}

/* The handles of whom it needs; all of them have had their turn. */
static gboolean
find_providers (RookPlugins *self, RookPlugin *plugin, const RookPlanItem *item, GError **error)
{
  for (guint i = 0; i < item->providers->len; i++)
    {
      const RookPlanItem *wanted = g_ptr_array_index (item->providers, i);
      RookPlugin *provider = rook_plugins_find (self, wanted->name);

      if (provider == NULL || provider->state != ROOK_PLUGIN_RUNNING)
        {
          g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_NEEDS, "needs plugin '%s', which does not run%s%s",
                       wanted->name, provider != NULL && provider->error != NULL ? ": " : "",
                       provider != NULL && provider->error != NULL ? provider->error->message : "");
          return FALSE;
        }
      g_ptr_array_add (plugin->providers, provider);
    }
  return TRUE;
}

/* A plugin whose init failed may still be referred to by what it had registered: its handle goes the way of all others,
 * and a record of the failure stays in its place. */
static RookPlugin *
replace_failed (RookPlugins *self, RookPlugin *plugin)
{
  RookPlugin *record = rook_plugin_new (self, plugin->name);
  guint index;

  record->required = plugin->required;
  record->version = g_strdup (plugin->version);
  record->summary = g_strdup (plugin->summary);
  rook_plugin_fail (record, g_error_copy (plugin->error));
  g_assert (g_ptr_array_find (self->current, plugin, &index));
  self->current->pdata[index] = record;
  g_ptr_array_add (self->resident, plugin);
  rook_plugins_poke_unlocked (self);
  return record;
}

RookPlugin *
rook_plugins_add (RookPlugins *self, RookPluginPlan *plan, const RookPlanItem *item)
{
  RookPlugin *plugin = rook_plugin_new (self, item->name);
  GError *error = NULL;

  plugin->required = item->required;
  g_ptr_array_add (self->current, plugin);
  /* Even if nothing comes of it: then nobody can say where mailboxes are. */
  if (item->module != NULL && item->enabled && rook_plugin_is_directory (item->module->descriptor)
      && rook_server_get_directory (self->server) != NULL)
    rook_directory_expect (rook_server_get_directory (self->server), item->name);
  if (item->module != NULL)
    {
      plugin->version = g_strdup (item->module->descriptor->version);
      plugin->summary = g_strdup (item->module->descriptor->summary);
    }
  if (item->error != NULL)
    rook_plugin_fail (plugin, g_error_copy (item->error));
  else if (!item->enabled)
    plugin->state = ROOK_PLUGIN_DISABLED;
  else if (!find_providers (self, plugin, item, &error))
    rook_plugin_fail (plugin, error);
  else
    {
      plugin->state = ROOK_PLUGIN_LOADED;
      plugin->module = rook_module_ref (item->module);
      plugin->config = rook_config_ref (plan->config);
      if (!rook_plugin_init (plugin))
        plugin = replace_failed (self, plugin);
    }
  log_outcome (self, plugin);
  return plugin;
}

gboolean
rook_plugins_start (RookPlugins *self, RookPluginPlan *plan, GError **error)
{
  for (guint i = 0; i < plan->items->len; i++)
    {
      RookPlugin *plugin = rook_plugins_add (self, plan, g_ptr_array_index (plan->items, i));

      if (plugin->state == ROOK_PLUGIN_FAILED && plugin->required)
        {
          g_set_error (error, plugin->error->domain, plugin->error->code, "plugin '%s' is required and failed: %s",
                       plugin->name, plugin->error->message);
          return FALSE;
        }
    }
  return TRUE;
}

/* --- end ----------------------------------------------------------------------------------------------------------- */

/* Pinned, or needed by one that is. */
static gboolean
is_held (RookPlugins *self, RookPlugin *plugin)
{
  g_autofree char *pins = rook_plugin_dup_pins (plugin);

  if (pins != NULL)
    return TRUE;
  for (guint i = 0; i < self->current->len; i++)
    {
      RookPlugin *other = g_ptr_array_index (self->current, i);

      if (g_ptr_array_find (other->providers, plugin, NULL) && is_held (self, other))
        return TRUE;
    }
  return FALSE;
}

void
rook_plugins_stop_all (RookPlugins *self, gboolean pinned_too, guint deadline_ms, RookFunc done, gpointer data)
{
  g_autoptr (GPtrArray) set = g_ptr_array_new ();

  for (guint i = 0; i < self->current->len; i++)
    {
      RookPlugin *plugin = g_ptr_array_index (self->current, i);

      if (plugin->state == ROOK_PLUGIN_RUNNING && (pinned_too || !is_held (self, plugin)))
        g_ptr_array_add (set, plugin);
    }
  if (pinned_too)
    for (guint i = 0; i < self->resident->len; i++)
      {
        RookPlugin *plugin = g_ptr_array_index (self->resident, i);

        if (!plugin->stopping)
          g_ptr_array_insert (set, 0, plugin);
      }
  rook_plugin_stop_new (self, set, deadline_ms, done, data);
}

void
rook_plugins_hurry (RookPlugins *self)
{
  g_autoptr (GPtrArray) stops = g_ptr_array_copy (self->stops, NULL, NULL);

  for (guint i = 0; i < stops->len; i++)
    if (g_ptr_array_find (self->stops, stops->pdata[i], NULL))
      rook_plugin_stop_hurry (stops->pdata[i]);
}

char **
rook_plugins_dup_failed (RookPlugins *self)
{
  g_autoptr (GStrvBuilder) names = g_strv_builder_new ();

  for (guint i = 0; i < self->current->len; i++)
    {
      const RookPlugin *plugin = g_ptr_array_index (self->current, i);

      if (plugin->state == ROOK_PLUGIN_FAILED)
        g_strv_builder_add (names, plugin->name);
    }
  return g_strv_builder_end (names);
}

gboolean
rook_plugins_is_busy (RookPlugins *self)
{
  return self->stops->len > 0;
}
