/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's whole life, and the check of a configuration instead of one. Both return the exit status.
 */
#pragma once

#include "rookery/server.h"

G_BEGIN_DECLS

/* First of all: from here on SIGHUP waits until there is somebody to take it, and does not end the process. */
void rook_life_hold_hangup (void);
int rook_life_run (const char *path);
int rook_life_check (const char *path);

G_END_DECLS
