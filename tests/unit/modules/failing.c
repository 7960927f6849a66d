/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A plugin whose init registers something and then says no, without saying why.
 */
#include "module.h"

static void
undo (gpointer data)
{
  (void) data;
  test_trace ("failing", "undo");
}

static gboolean
init (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  (void) config;
  (void) error;
  rook_plugin_on_undo (self, undo, NULL);
  test_trace ("failing", "init");
  return FALSE;
}

static void
fini (RookPlugin *self)
{
  (void) self;
  test_trace ("failing", "fini");
}

ROOK_PLUGIN_DEFINE (.name = "failing", .summary = "Says no", .version = "1", .license = "LGPL-2.1-or-later",
                    .init = init, .fini = fini)
