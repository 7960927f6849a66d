/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plugins for unit tests: from a descriptor in memory, started and ended while the test waits.
 */
#include "plugin/plugin-life.h"

static RookConfig *
make_config (RookPlanItem *item, const char *settings, GError **error)
{
  g_autofree char *text = g_strdup_printf ("[plugin %s]\n%s\n", item->name, settings != NULL ? settings : "");
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = rook_config_read_data ("test", text, strlen (text), &mistakes);

  if (!rook_plugin_plan_declare (item, config, error))
    return NULL;
  rook_config_validate (config, mistakes);
  if (mistakes->len == 0)
    return g_steal_pointer (&config);
  g_set_error_literal (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT,
                       ((RookConfigMistake *) g_ptr_array_index (mistakes, 0))->message);
  return NULL;
}

/* Whom of those that run it needs. */
static void
add_providers (RookPlugins *self, RookPluginPlan *plan, RookPlanItem *item)
{
  const char *const *needs = item->module->descriptor->needs;

  for (guint i = 0; needs != NULL && needs[i] != NULL; i++)
    {
      g_autofree char *name = NULL;
      const RookInterface *interface;
      guint version = 0;

      g_assert (rook_plugin_parse_interface (needs[i], &name, &version));
      interface = g_hash_table_lookup (self->interfaces, name);
      if (interface != NULL)
        g_ptr_array_add (item->providers, rook_plugin_plan_add (plan, interface->plugin->name));
    }
}

RookPlugin *
rook_plugins_add_static (RookPlugins *self, const RookPluginDescriptor *descriptor, const char *settings,
                         GError **error)
{
  g_autoptr (RookConfig) nothing = rook_server_get_config (self->server);
  g_autoptr (RookPluginPlan) plan = rook_plugin_plan_new_empty (nothing);
  RookPlanItem *item = rook_plugin_plan_add (plan, descriptor->name != NULL ? descriptor->name : "nameless");
  RookConfig *config;
  RookPlugin *plugin;

  item->enabled = TRUE;
  item->module = rook_module_new_static (descriptor, error);
  config = item->module != NULL ? make_config (item, settings, error) : NULL;
  if (config == NULL)
    return NULL;
  rook_config_unref (plan->config);
  plan->config = config;
  add_providers (self, plan, item);
  plugin = rook_plugins_add (self, plan, item);
  if (plugin->state == ROOK_PLUGIN_RUNNING)
    return plugin;
  g_propagate_error (error, g_steal_pointer (&plugin->error));
  rook_plugins_take (self, plugin);
  rook_plugin_free (plugin);
  return NULL;
}

static void
quit (gpointer data)
{
  rook_loop_quit (data);
}

gboolean
rook_plugins_remove_static (RookPlugins *self, RookPlugin *plugin, guint deadline_ms)
{
  RookLoop *loop = rook_server_get_loop (self->server);
  g_autoptr (GPtrArray) set = g_ptr_array_new ();

  g_ptr_array_add (set, plugin);
  rook_plugin_stop_new (self, set, deadline_ms, quit, loop);
  rook_loop_run (loop);
  return !g_ptr_array_find (self->resident, plugin, NULL);
}

void
rook_plugins_remove_all (RookPlugins *self)
{
  RookLoop *loop = rook_server_get_loop (self->server);

  rook_plugins_stop_all (self, TRUE, 1000, quit, loop);
  rook_loop_run (loop);
}
