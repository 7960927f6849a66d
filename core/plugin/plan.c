/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A plan: the plugins that a configuration wants, their modules loaded and checked, their tables declared, in the order
 * in which they are to be initialised. It runs nothing of theirs, so that making one and dropping it changes nothing:
 * that is what --check-config and the first half of a reload do.
 */
#include "plugin/plugin-life.h"

#include "config/config-private.h"

/* What `[plugin NAME]` may say of any plugin. */
static const RookConfigKey common_keys[] = {
  { .name = "enabled",
    .type = ROOK_CONFIG_BOOLEAN,
    .default_value = "true",
    .change = ROOK_CONFIG_PLUGIN_RESTART,
    .help = "Whether the plugin is loaded at all. The other keys of a plugin that is not are not checked." },
  { .name = "required",
    .type = ROOK_CONFIG_BOOLEAN,
    .default_value = "false",
    .change = ROOK_CONFIG_LIVE,
    .help = "Whether the server refuses to start without this plugin. Otherwise whatever does not need it runs." },
  { .name = "provides-directory",
    .type = ROOK_CONFIG_BOOLEAN,
    .default_value = "false",
    .change = ROOK_CONFIG_LIVE,
    .help =
        "That this plugin says where mailboxes live. Known by itself once its module has been loaded; said here, no "
        "mailbox is taken for a local one even if that fails." },
  { .name = "module",
    .type = ROOK_CONFIG_STRING,
    .min = 1,
    .max = 64,
    .change = ROOK_CONFIG_PLUGIN_RESTART,
    .help = "The module's file in server/plugin-directory, without .so. Default: the plugin's name." },
};

static void
plan_item_free (gpointer data)
{
  RookPlanItem *item = data;

  g_free (item->name);
  g_clear_pointer (&item->module, rook_module_unref);
  g_clear_error (&item->error);
  g_ptr_array_unref (item->providers);
  g_free (item);
}

void
rook_plugin_plan_free (RookPluginPlan *plan)
{
  g_ptr_array_unref (plan->items);
  rook_config_unref (plan->config);
  g_free (plan);
}

RookPlanItem *
rook_plugin_plan_find (RookPluginPlan *plan, const char *name)
{
  for (guint i = 0; i < plan->items->len; i++)
    {
      RookPlanItem *item = g_ptr_array_index (plan->items, i);

      if (g_str_equal (item->name, name))
        return item;
    }
  return NULL;
}

/* A common key before the group has been checked; a bad value is reported when it is. */
static gboolean
peek (RookConfigGroup *group, const char *name, RookConfigValue *out_value)
{
  const RookConfigEntry *entry = g_hash_table_lookup (group->by_name, name);

  for (guint i = 0; entry != NULL && i < G_N_ELEMENTS (common_keys); i++)
    if (g_str_equal (common_keys[i].name, name))
      return rook_config_value_parse (&common_keys[i], entry->raw, out_value, NULL);
  return FALSE;
}

static gboolean
peek_boolean (RookConfigGroup *group, const char *name, gboolean otherwise)
{
  RookConfigValue value = { 0 };
  gboolean result = peek (group, name, &value) ? value.number != 0 : otherwise;

  rook_config_value_clear (&value);
  return result;
}

static char *
peek_module (RookConfigGroup *group, const char *otherwise)
{
  RookConfigValue value = { 0 };
  char *result = g_strdup (peek (group, "module", &value) ? value.text : otherwise);

  rook_config_value_clear (&value);
  return result;
}

void
rook_plugin_plan_insist (RookPluginPlan *plan, const char *name)
{
  RookPlanItem *item = rook_plugin_plan_find (plan, name);

  if (item != NULL)
    item->insisted = TRUE;
}

static gboolean
is_forced (const char *const *force, char sign, const char *name)
{
  for (guint i = 0; force != NULL && force[i] != NULL; i++)
    if (force[i][0] == sign && g_str_equal (force[i] + 1, name))
      return TRUE;
  return FALSE;
}

/* Declares the plugin's own keys behind those of all plugins. @config copies the table. */
gboolean
rook_plugin_plan_declare (RookPlanItem *item, RookConfig *config, GError **error)
{
  g_autofree char *title = g_strconcat ("plugin ", item->name, NULL);
  g_autoptr (GArray) keys = g_array_new (TRUE, TRUE, sizeof (RookConfigKey));
  const RookConfigKey *own = item->module->descriptor->keys;
  RookConfigSchema schema = { .struct_size = sizeof (RookConfigSchema),
                              .name = title,
                              .help = item->module->descriptor->summary };
  g_autoptr (GError) reason = NULL;

  g_array_append_vals (keys, common_keys, G_N_ELEMENTS (common_keys));
  for (guint i = 0; own != NULL && own[i].name != NULL; i++)
    g_array_append_val (keys, own[i]);
  schema.keys = (const RookConfigKey *) (gpointer) keys->data;
  if (!rook_config_schema_check (&schema, &reason))
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT, "%s: %s", item->module->path, reason->message);
      return FALSE;
    }
  rook_config_declare (config, &schema);
  return TRUE;
}

/* The module that runs already, if it is the same: what is open is not looked at again. */
static RookModule *
find_loaded (RookPlugins *plugins, const char *module_name)
{
  for (guint i = 0; plugins != NULL && i < plugins->current->len; i++)
    {
      RookPlugin *plugin = g_ptr_array_index (plugins->current, i);

      if (plugin->module != NULL && plugin->module->handle != NULL && g_str_equal (plugin->module->name, module_name))
        return rook_module_ref (plugin->module);
    }
  return NULL;
}

static void
load (RookPlanItem *item, RookPlugins *plugins, RookConfig *config)
{
  RookConfigGroup *server = rook_config_get_group (config, "server", NULL);
  g_autofree char *module_name = peek_module (item->group, item->name);
  g_autoptr (GError) error = NULL;

  item->module = find_loaded (plugins, module_name);
  if (item->module == NULL)
    item->module = rook_module_open (rook_config_group_get_string (server, "plugin-directory"), module_name, &error);
  if (item->module != NULL && !rook_plugin_plan_declare (item, config, &error))
    g_clear_pointer (&item->module, rook_module_unref);
  if (item->module == NULL)
    {
      item->error = g_steal_pointer (&error);
      rook_config_leave_unchecked (config, item->group);
    }
}

RookPluginPlan *
rook_plugin_plan_new_empty (RookConfig *config)
{
  RookPluginPlan *plan = g_new0 (RookPluginPlan, 1);

  plan->config = rook_config_ref (config);
  plan->items = g_ptr_array_new_with_free_func (plan_item_free);
  return plan;
}

RookPlanItem *
rook_plugin_plan_add (RookPluginPlan *plan, const char *name)
{
  RookPlanItem *item = g_new0 (RookPlanItem, 1);

  item->name = g_strdup (name);
  item->providers = g_ptr_array_new ();
  g_ptr_array_add (plan->items, item);
  return item;
}

static void
fill_item (RookPlanItem *item, RookPlugins *plugins, RookConfig *config, RookConfigGroup *group,
           const char *const *force)
{
  item->group = group;
  item->required = peek_boolean (group, "required", FALSE);
  item->enabled = (peek_boolean (group, "enabled", TRUE) || is_forced (force, '+', item->name))
                  && !is_forced (force, '-', item->name);
  if (!rook_plugin_name_is_valid (item->name))
    {
      item->enabled = TRUE;
      g_set_error (&item->error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_LOAD,
                   "this can be no plugin's name: a lower-case letter, then letters, digits and hyphens");
      rook_config_leave_unchecked (config, group);
    }
  else if (item->enabled)
    load (item, plugins, config);
  else
    rook_config_leave_unchecked (config, group);
}

gboolean
rook_plugin_is_wanted (RookConfig *config, const char *name)
{
  RookConfigGroup *group = rook_config_get_group (config, "plugin", name);

  return group != NULL && peek_boolean (group, "enabled", TRUE);
}

gboolean
rook_plugin_wants_directory (RookConfig *config)
{
  g_autoptr (GPtrArray) groups = rook_config_get_instances (config, "plugin");

  for (guint i = 0; i < groups->len; i++)
    {
      RookConfigGroup *group = g_ptr_array_index (groups, i);

      if (peek_boolean (group, "enabled", TRUE) && peek_boolean (group, "provides-directory", FALSE))
        return TRUE;
    }
  return FALSE;
}

RookPluginPlan *
rook_plugin_plan_new (RookPlugins *plugins, RookConfig *config, const char *const *force)
{
  RookPluginPlan *plan = rook_plugin_plan_new_empty (config);
  g_autoptr (GPtrArray) groups = rook_config_get_instances (config, "plugin");

  for (guint i = 0; i < groups->len; i++)
    {
      RookConfigGroup *group = g_ptr_array_index (groups, i);

      fill_item (rook_plugin_plan_add (plan, rook_config_group_get_instance (group)), plugins, config, group, force);
    }
  rook_plugin_plan_order (plan);
  return plan;
}

void
rook_plugin_plan_check (RookPluginPlan *plan, const char *const *except, GPtrArray *mistakes)
{
  for (guint i = 0; i < plan->items->len; i++)
    {
      const RookPlanItem *item = g_ptr_array_index (plan->items, i);
      RookConfigError code = ROOK_CONFIG_ERROR_CONFLICT;

      if (item->error == NULL
          || (except != NULL && !item->required && !item->insisted && g_strv_contains (except, item->name)))
        continue;
      if (g_error_matches (item->error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_LOAD))
        code = ROOK_CONFIG_ERROR_UNKNOWN;
      rook_config_add_mistake (mistakes, item->group, NULL, code, "%s", item->error->message);
    }
}
