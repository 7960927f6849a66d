/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The log: one line an event, `time level event key=value ...`, or journald fields when the daemon runs under systemd.
 *
 * An event has a dotted name ("imap.login", "store.recovered"), and fields of printable text; values with spaces,
 * quotes or control characters are quoted and escaped, so that nobody can forge a line. Never logged: passwords, SASL
 * exchanges, message bodies. Lines are written by a thread of the log's own from a bounded queue; when it is full the
 * line is dropped, counted, and the count is logged once there is room. Any thread; never blocks.
 */
#pragma once

#include "rookery/macros.h"

G_BEGIN_DECLS

typedef struct RookLog RookLog;

typedef enum { ROOK_LOG_ERROR, ROOK_LOG_WARNING, ROOK_LOG_NOTICE, ROOK_LOG_INFO, ROOK_LOG_DEBUG } RookLogLevel;

ROOK_EXPORT RookLog *rook_server_get_log (RookServer *server);

/**
 * rook_log_event:
 * @event: dotted name, constant
 * @...: pairs of a constant key ([a-z-]+) and a string value (%NULL: the pair is left out), ended by %NULL
 */
ROOK_EXPORT void rook_log_event (RookLog *log, RookLogLevel level, const char *event, ...) G_GNUC_NULL_TERMINATED;
/* The same with a sentence for people in the field `message`, as its last argument's printf. */
ROOK_EXPORT void rook_log_message (RookLog *log, RookLogLevel level, const char *event, const char *format, ...)
    G_GNUC_PRINTF (4, 5);
/* With the connection's own fields (conn, protocol, user, address) in front. @connection must be on its own thread. */
ROOK_EXPORT void rook_log_connection (RookLog *log, RookLogLevel level, RookConnection *connection, const char *event,
                                      ...) G_GNUC_NULL_TERMINATED;
/* Whether a line of @level would be written: for whoever has to work to make one. */
ROOK_EXPORT gboolean rook_log_enabled (RookLog *log, RookLogLevel level);

G_END_DECLS
