/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The imap plugin's registration.
 */
#include "rookery/macros.h"

extern const char rook_plugin_descriptor[] __attribute__ ((visibility ("default")));
const char rook_plugin_descriptor[] = "imap";
