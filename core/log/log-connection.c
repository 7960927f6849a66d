/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lines about a connection: its own fields come in front. Apart from log.c since it is the only place that knows of
 * connections.
 */
#include "log/log-private.h"
#include "rookery/net.h"

void
rook_log_connection (RookLog *log, RookLogLevel level, RookConnection *connection, const char *event, ...)
{
  const RookProtocol *protocol;
  const RookIdentity *identity;
  RookLogRecord *record;
  const char *key;
  va_list args;

  if (!rook_log_enabled (log, level))
    return;
  protocol = rook_connection_get_protocol (connection);
  identity = rook_connection_get_identity (connection);
  record = rook_log_record_new (level, event);
  rook_log_record_add (record, "conn", rook_connection_get_id (connection));
  rook_log_record_add (record, "protocol", protocol != NULL ? protocol->name : NULL);
  rook_log_record_add (record, "user", identity != NULL ? rook_identity_get_user (identity) : NULL);
  rook_log_record_add (record, "address", rook_connection_get_peer_address (connection));
  va_start (args, event);
  while ((key = va_arg (args, const char *)) != NULL)
    rook_log_record_add (record, key, va_arg (args, const char *));
  va_end (args);
  rook_log_take (log, record);
}
