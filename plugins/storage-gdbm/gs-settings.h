/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The keys of [plugin storage-gdbm].
 */
#pragma once

#include "rookery/config.h"
#include "storage-gdbm/gs-store.h"

G_BEGIN_DECLS

extern const RookConfigKey gs_keys[];
GsSettings *gs_settings_new (RookConfigGroup *config);

G_END_DECLS
