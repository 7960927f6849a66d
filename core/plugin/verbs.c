/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `rookctl plugin list`: every plugin of the configuration and every one that would not go, how it is, and why.
 */
#include "control/control-private.h"
#include "plugin/plugin-life.h"

static char *
describe_rest (RookPlugin *plugin)
{
  g_autofree char *pins = rook_plugin_dup_pins (plugin);
  guint refs = rook_plugin_count_refs (plugin);

  if (plugin->error != NULL)
    return g_strdup (plugin->error->message);
  if (plugin->state == ROOK_PLUGIN_RESIDENT)
    return g_strdup_printf ("still referred to: references %u, plugins that need it %u", refs, plugin->dependents);
  if (plugin->state == ROOK_PLUGIN_DRAINING)
    return g_strdup_printf ("waiting for references: %u", refs);
  if (pins != NULL)
    return g_strconcat ("in use by ", pins, NULL);
  return g_strdup ("");
}

static void
add_plugin (GVariantBuilder *list, RookPlugin *plugin)
{
  g_autofree char *rest = describe_rest (plugin);

  g_variant_builder_open (list, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (list, "{sv}", "name", g_variant_new_string (plugin->name));
  g_variant_builder_add (list, "{sv}", "state", g_variant_new_string (rook_plugin_state_get_name (plugin->state)));
  g_variant_builder_add (list, "{sv}", "version",
                         g_variant_new_string (plugin->version != NULL ? plugin->version : ""));
  g_variant_builder_add (list, "{sv}", "references", g_variant_new_uint32 (rook_plugin_count_refs (plugin)));
  g_variant_builder_add (list, "{sv}", "summary",
                         g_variant_new_string (plugin->summary != NULL ? plugin->summary : ""));
  g_variant_builder_add (list, "{sv}", "reason", g_variant_new_string (rest));
  g_variant_builder_close (list);
}

GVariant *
rook_plugins_list (RookPlugins *self)
{
  GVariantBuilder list;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < self->current->len; i++)
    add_plugin (&list, g_ptr_array_index (self->current, i));
  for (guint i = 0; i < self->resident->len; i++)
    add_plugin (&list, g_ptr_array_index (self->resident, i));
  return g_variant_builder_end (&list);
}

static void
run_list (gpointer data, RookControlCall *call, const char *const *arguments)
{
  (void) arguments;
  rook_control_call_done (call, rook_plugins_list (data));
}

static const RookControlVerb verb_list = {
  .struct_size = sizeof (RookControlVerb),
  .name = "plugin list",
  .arguments = "",
  .help = "Shows every plugin: its state, its version, and why it failed or can't be switched off.",
  .run = run_list,
};

/* For `rookctl status`: name and state of each. */
static GVariant *
make_status (gpointer data)
{
  RookPlugins *self = data;
  GVariantBuilder plugins;

  g_variant_builder_init (&plugins, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; i < self->current->len; i++)
    {
      RookPlugin *plugin = g_ptr_array_index (self->current, i);

      g_variant_builder_add (&plugins, "{sv}", plugin->name,
                             g_variant_new_string (rook_plugin_state_get_name (plugin->state)));
    }
  return g_variant_builder_end (&plugins);
}

void
rook_plugins_add_verbs (RookPlugins *self)
{
  RookControl *control = rook_server_get_control (self->server);

  if (control == NULL)
    return;
  rook_control_add (control, &verb_list, self);
  rook_control_add_status (control, "plugins", make_status, self);
}
