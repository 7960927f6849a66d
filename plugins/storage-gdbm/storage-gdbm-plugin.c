/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The storage-gdbm plugin's registration.
 */
#include "storage-gdbm/gs-settings.h"

static gboolean
storage_gdbm_init (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  GsSettings *settings = gs_settings_new (config);

  rook_plugin_set_data (self, settings, g_free);
  return rook_plugin_add_storage (self, &gs_backend, settings, error);
}

static const char *const storages[] = { "gdbm", NULL };

ROOK_PLUGIN_DEFINE (.name = "storage-gdbm", .summary = "The embedded store: a log, segments and GDBM tables",
                    .version = PACKAGE_VERSION, .license = "GPL-3.0-or-later", .storages = storages, .keys = gs_keys,
                    .init = storage_gdbm_init)
