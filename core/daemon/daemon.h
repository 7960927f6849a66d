/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's whole life as one function of the library, so that the program rookeryd and the plugins it loads share
 * one copy of the core. Not a public header: it is exported for rookeryd alone.
 */
#pragma once

#include "rookery/macros.h"

/* Parses the command line, runs until told to stop. Returns: the program's exit status. */
ROOK_EXPORT int rook_daemon_main (int argc, char **argv);
