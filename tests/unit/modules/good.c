/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A plugin that does everything right: provides an interface, has keys of each kind of change, says what happens to it.
 */
#include "module.h"

static const RookConfigKey keys[] = {
  { .name = "greeting",
    .type = ROOK_CONFIG_STRING,
    .default_value = "hello",
    .change = ROOK_CONFIG_LIVE,
    .help = "A word." },
  { .name = "size",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "3",
    .min = 1,
    .max = 10,
    .change = ROOK_CONFIG_PLUGIN_RESTART,
    .help = "A number. 10 is one that init refuses." },
  { .name = NULL },
};

static const struct {
  gsize struct_size;
} table = { sizeof table };

static void
undo (gpointer data)
{
  test_trace ("good", data);
}

static void
free_data (gpointer data)
{
  test_trace ("good", "data");
  g_free (data);
}

static gboolean
init (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  rook_plugin_set_data (self, g_strdup (rook_config_group_get_string (config, "greeting")), free_data);
  rook_plugin_on_undo (self, undo, (gpointer) "undo 1");
  if (!rook_plugin_provide (self, "good/2", &table, rook_plugin_get_data (self), error))
    return FALSE;
  rook_plugin_on_undo (self, undo, (gpointer) "undo 2");
  if (rook_config_group_get_integer (config, "size") == 10)
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_INIT, "10 is too much for me");
      return FALSE;
    }
  test_trace ("good", rook_plugin_get_data (self));
  return TRUE;
}

static void
reconfigure (RookPlugin *self, RookConfigGroup *config)
{
  (void) self;
  test_trace ("good reconfigure", rook_config_group_get_string (config, "greeting"));
}

static void
drain (RookPlugin *self)
{
  test_trace ("good", "drain");
  rook_plugin_drained (self);
}

static void
fini (RookPlugin *self)
{
  (void) self;
  test_trace ("good", "fini");
}

static const char *const provides[] = { "good/2", NULL };

ROOK_PLUGIN_DEFINE (.name = "good", .summary = "Does everything right", .version = "1.2.3",
                    .license = "LGPL-2.1-or-later", .provides = provides, .keys = keys, .init = init,
                    .reconfigure = reconfigure, .drain = drain, .fini = fini)
