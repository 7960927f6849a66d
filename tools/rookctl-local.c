/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `config describe` without a server: from the tables of the core in this program and those of the modules in a folder.
 * The build makes the sample configuration and the manual page with it.
 */
#include "rookctl-private.h"

#include <string.h>

#include "config/config-private.h"
#include "daemon/server-private.h"
#include "plugin/plugin-private.h"

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* A configuration that wants every plugin of the folder. */
static char *
make_config_text (const char *modules)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GDir) dir = g_dir_open (modules, 0, NULL);
  GString *text = g_string_new ("[server]\n");
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_suffix (name, ".so"))
      g_ptr_array_add (names, g_strndup (name, strlen (name) - strlen (".so")));
  g_ptr_array_sort (names, compare_names);
  g_string_append_printf (text, "plugin-directory=%s\n", modules);
  for (guint i = 0; i < names->len; i++)
    g_string_append_printf (text, "[plugin %s]\n", (char *) names->pdata[i]);
  return g_string_free (text, FALSE);
}

GVariant *
rookctl_describe (const char *modules, const char *const *arguments)
{
  g_autofree char *folder = g_canonicalize_filename (modules, NULL);
  g_autofree char *text = make_config_text (folder);
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = rook_config_read_data ("modules", text, strlen (text), &mistakes);
  g_autoptr (RookPluginPlan) plan = NULL;
  gboolean as_data = g_strcmp0 (arguments[0], "--data") == 0;
  RookConfigFormat format = ROOK_CONFIG_DESCRIBE_TEXT;
  g_autofree char *title = NULL, *description = NULL;
  GVariant *result;

  rook_services_declare (config);
  plan = rook_plugin_plan_new (NULL, config, NULL);
  rook_plugin_plan_check (plan, NULL, mistakes);
  for (guint i = 0; i < mistakes->len; i++)
    g_printerr ("rookctl: %s\n", ((RookConfigMistake *) mistakes->pdata[i])->message);
  if (as_data || (arguments[0] != NULL && rook_config_format_from_option (arguments[0], &format)))
    arguments++;
  if (arguments[0] != NULL)
    title = g_strjoinv (" ", (char **) arguments);
  if (as_data)
    result = rook_config_describe_data (config, title);
  else
    {
      description = rook_config_describe (config, format, title);
      result = description != NULL ? g_variant_new_string (description) : NULL;
    }
  return result != NULL ? g_variant_ref_sink (result) : NULL;
}
