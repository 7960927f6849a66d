/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A plugin that starts only while a file is missing, which it then makes: so not a second time. Built by test_reload.py.
 */
#include <fcntl.h>
#include <unistd.h>

#include "rookery/plugin.h"

static const RookConfigKey keys[] = {
  { .name = "marker", .type = ROOK_CONFIG_PATH, .change = ROOK_CONFIG_PLUGIN_RESTART, .help = "The file." },
  { .name = "size",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "3",
    .max = 10,
    .change = ROOK_CONFIG_PLUGIN_RESTART,
    .help = "A number." },
  { .name = NULL },
};

static gboolean
init (RookPlugin *self G_GNUC_UNUSED, RookConfigGroup *config, GError **error)
{
  int fd = open (rook_config_group_get_string (config, "marker"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

  if (fd < 0)
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_INIT, "once was enough");
      return FALSE;
    }
  close (fd);
  return TRUE;
}

ROOK_PLUGIN_DEFINE (.name = "once", .summary = "Starts once", .version = "1", .license = "LGPL-2.1-or-later",
                    .keys = keys, .init = init)
