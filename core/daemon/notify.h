/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the daemon tells the service manager that started it, if one asked to be told.
 */
#pragma once

#include "rookery/loop.h"

G_BEGIN_DECLS

/* Sends lines like "READY=1\nSTATUS=..." to $NOTIFY_SOCKET; without it nothing happens. */
void rook_notify (const char *format, ...) G_GNUC_PRINTF (1, 2);

typedef struct RookWatchdog RookWatchdog;

/* Says that we are alive three times in $WATCHDOG_USEC, as long as every worker takes what it is given. (nullable) if
 * nobody asked. */
RookWatchdog *rook_watchdog_new (RookLoop *loop);
void rook_watchdog_stop (RookWatchdog *watchdog); /* while the loop is there */
void rook_watchdog_free (RookWatchdog *watchdog); /* when its workers have ended */

G_END_DECLS
