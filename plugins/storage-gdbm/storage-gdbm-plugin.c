/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The storage-gdbm plugin's registration.
 */
#include "rookery/macros.h"

extern const char rook_plugin_descriptor[] __attribute__ ((visibility ("default")));
const char rook_plugin_descriptor[] = "storage-gdbm";
