/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plugins that differ in their descriptor alone: built once for each set of -D flags.
 */
#include "module.h"

#ifndef MODULE_NEEDS
#define MODULE_NEEDS NULL
#endif
#ifndef MODULE_PROVIDES
#define MODULE_PROVIDES NULL
#endif

static const struct {
  gsize struct_size;
} table = { sizeof table };

static gboolean
init (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  const char *const provides[] = { MODULE_PROVIDES, NULL };

  (void) config;
  test_trace (MODULE_NAME, "init");
  return provides[0] == NULL || rook_plugin_provide (self, provides[0], &table, NULL, error);
}

static void
fini (RookPlugin *self)
{
  (void) self;
  test_trace (MODULE_NAME, "fini");
}

static const char *const needs_list[] = { MODULE_NEEDS, NULL };
static const char *const provides_list[] = { MODULE_PROVIDES, NULL };

ROOK_PLUGIN_DEFINE (.name = MODULE_NAME, .summary = "One of many", .version = "1", .license = "LGPL-2.1-or-later",
                    .needs = needs_list, .provides = provides_list, .init = init, .fini = fini)
