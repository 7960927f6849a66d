/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server: what holds the services together, and the daemon's life.
 *
 * Start: read and validate the configuration, loading the modules of its plugins; make the services; bind listeners;
 * drop privileges; initialise plugins; open the stores; listen. Stop (SIGTERM, SIGINT): refuse connections, drain
 * sessions (server/drain-timeout), stop jobs, close the stores, finish; a second signal makes the deadline now. SIGHUP and
 * `rookctl reload`: a new configuration, all or nothing. Each service is reached by the accessor in its own header
 * (rook_server_get_loop() ...).
 */
#pragma once

#include "rookery/macros.h"

G_BEGIN_DECLS

/* The daemon: reads its arguments, runs until stopped. Returns: the exit status (0; 1: configuration; 2: usage;
 * 3: could not start). */
ROOK_EXPORT int rook_server_main (int argc, char **argv);

ROOK_EXPORT const char *rook_server_get_version (void);                /* of the library */
ROOK_EXPORT const char *rook_server_get_hostname (RookServer *server); /* server/hostname, or the machine's */

G_END_DECLS
