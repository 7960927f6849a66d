/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A plugin that starts once in a test, and never again.
 */
#include "module.h"

static const RookConfigKey keys[] = {
  { .name = "size",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "3",
    .change = ROOK_CONFIG_PLUGIN_RESTART,
    .help = "A number." },
  { .name = NULL },
};

static gboolean
init (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  (void) self;
  (void) config;
  test_trace ("once", "init");
  if (test_count_starts () == 1)
    return TRUE;
  g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_INIT, "once was enough");
  return FALSE;
}

ROOK_PLUGIN_DEFINE (.name = "once", .summary = "Starts once", .version = "1", .license = "LGPL-2.1-or-later",
                    .keys = keys, .init = init)
