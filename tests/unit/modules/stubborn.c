/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A plugin that never says that it is drained.
 */
#include "module.h"

static gboolean
init (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  (void) self;
  (void) config;
  (void) error;
  return TRUE;
}

static void
drain (RookPlugin *self)
{
  (void) self;
  test_trace ("stubborn", "drain");
}

static void
fini (RookPlugin *self)
{
  (void) self;
  test_trace ("stubborn", "fini");
}

ROOK_PLUGIN_DEFINE (.name = "stubborn", .summary = "Never drained", .version = "1", .license = "LGPL-2.1-or-later",
                    .init = init, .drain = drain, .fini = fini)
