/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The plugin's keys, and the settings that they make.
 */
#include "storage-gdbm/gs-settings.h"

const RookConfigKey gs_keys[] = {
  { .name = "log-size",
    .type = ROOK_CONFIG_SIZE,
    .default_value = "8M",
    .min = 64 * 1024,
    .max = G_GINT64_CONSTANT (1) << 30,
    .change = ROOK_CONFIG_PLUGIN_RESTART,
    .help = "The size of a log file. Two or more of them exist for each store, filled in advance." },
  { .name = "log-limit",
    .type = ROOK_CONFIG_SIZE,
    .default_value = "64M",
    .min = 1024 * 1024,
    .max = G_GINT64_CONSTANT (1) << 34,
    .change = ROOK_CONFIG_PLUGIN_RESTART,
    .help =
        "A checkpoint is made when so much log has been written since the last: what is read again after a crash." },
  { .name = "memory-table",
    .type = ROOK_CONFIG_SIZE,
    .default_value = "32M",
    .min = 1024 * 1024,
    .max = G_GINT64_CONSTANT (1) << 34,
    .change = ROOK_CONFIG_PLUGIN_RESTART,
    .help = "A checkpoint is made when changes take so much memory; at twice that, writers are slowed." },
  { .name = "segment-size",
    .type = ROOK_CONFIG_SIZE,
    .default_value = "64M",
    .min = 1024 * 1024,
    .max = G_GINT64_CONSTANT (1) << 32,
    .change = ROOK_CONFIG_PLUGIN_RESTART,
    .help = "The size of the files that hold messages. Larger messages have a file of their own." },
  { .name = "headroom",
    .type = ROOK_CONFIG_SIZE,
    .default_value = "64M",
    .min = 0,
    .max = G_GINT64_CONSTANT (1) << 40,
    .change = ROOK_CONFIG_PLUGIN_RESTART,
    .help = "Space on the disk that is kept for what frees space: deletes, expunges, checkpoints." },
  { .name = "readers",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "2",
    .min = 1,
    .max = 64,
    .change = ROOK_CONFIG_PLUGIN_RESTART,
    .help = "Threads a store that read what is not in memory." },
  { .name = NULL },
};

GsSettings *
gs_settings_new (RookConfigGroup *config)
{
  GsSettings *settings = g_new0 (GsSettings, 1);

  settings->log_size = rook_config_group_get_size (config, "log-size");
  settings->log_limit = rook_config_group_get_size (config, "log-limit");
  settings->memory_size = rook_config_group_get_size (config, "memory-table");
  settings->segment_size = rook_config_group_get_size (config, "segment-size");
  settings->headroom = rook_config_group_get_size (config, "headroom");
  settings->n_readers = (guint) rook_config_group_get_integer (config, "readers");
  return settings;
}
