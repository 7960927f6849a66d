/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Modules that must be refused: each set of -D flags breaks one rule of the descriptor.
 */
#include "rookery/plugin.h"

#ifndef MODULE_SIZE
#define MODULE_SIZE sizeof (RookPluginDescriptor)
#endif
#ifndef MODULE_MAJOR
#define MODULE_MAJOR ROOK_ABI_MAJOR
#endif
#ifndef MODULE_MINOR
#define MODULE_MINOR ROOK_ABI_MINOR
#endif
#ifndef MODULE_INIT
#define MODULE_INIT init
#endif
#ifndef MODULE_PROVIDES
#define MODULE_PROVIDES NULL
#endif
#ifndef MODULE_KEY
#define MODULE_KEY "count"
#endif

static gboolean G_GNUC_UNUSED
init (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  (void) self;
  (void) config;
  (void) error;
  return TRUE;
}

static const char *const provides_list[] = { MODULE_PROVIDES, NULL };
static const RookConfigKey keys[] = {
  { .name = MODULE_KEY, .type = ROOK_CONFIG_INTEGER, .default_value = "1", .help = "A number." },
  { .name = NULL },
};

extern const RookPluginDescriptor rook_plugin_descriptor __attribute__ ((visibility ("default")));
const RookPluginDescriptor rook_plugin_descriptor = {
  .struct_size = MODULE_SIZE,
  .abi_major = MODULE_MAJOR,
  .abi_minor = MODULE_MINOR,
  .name = MODULE_NAME,
  .summary = "Not to be loaded",
  .version = "1",
  .license = "LGPL-2.1-or-later",
  .provides = provides_list,
  .keys = keys,
  .init = MODULE_INIT,
};
