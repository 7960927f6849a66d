/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A plugin that does nothing, but has SIGHUP sent to the server as its module is loaded, which is while the configuration
 * is read. Built by test_reload.py.
 */
#include <signal.h>

#include "rookery/plugin.h"

__attribute__ ((constructor)) static void
start (void)
{
  raise (SIGHUP);
}

static gboolean
init (RookPlugin *self G_GNUC_UNUSED, RookConfigGroup *config G_GNUC_UNUSED, GError **error G_GNUC_UNUSED)
{
  return TRUE;
}

ROOK_PLUGIN_DEFINE (.name = "hangup", .summary = "Has the server told to reload before it runs", .version = "1",
                    .license = "LGPL-2.1-or-later", .init = init)
