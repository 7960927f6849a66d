/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lines about a connection, or of what somebody does who came by one: its fields come in front, by the same names. Apart
 * from log.c since it is the only place that knows of connections and identities.
 */
#include "auth/auth-private.h"
#include "log/log-private.h"
#include "rookery/net.h"

static void
add_origin (RookLogRecord *record, const char *connection, const char *protocol, const char *user)
{
  rook_log_record_add (record, "conn", connection);
  rook_log_record_add (record, "protocol", protocol);
  rook_log_record_add (record, "user", user);
}

static void
add_pairs (RookLogRecord *record, va_list args)
{
  const char *key;

  while ((key = va_arg (args, const char *)) != NULL)
    rook_log_record_add (record, key, va_arg (args, const char *));
}

void
rook_log_connection (RookLog *log, RookLogLevel level, RookConnection *connection, const char *event, ...)
{
  const RookProtocol *protocol;
  const RookIdentity *identity;
  RookLogRecord *record;
  va_list args;

  if (!rook_log_enabled (log, level))
    return;
  protocol = rook_connection_get_protocol (connection);
  identity = rook_connection_get_identity (connection);
  record = rook_log_record_new (level, event);
  add_origin (record, rook_connection_get_id (connection), protocol != NULL ? protocol->name : NULL,
              identity != NULL ? rook_identity_get_user (identity) : NULL);
  rook_log_record_add (record, "address", rook_connection_get_peer_address (connection));
  va_start (args, event);
  add_pairs (record, args);
  va_end (args);
  rook_log_take (log, record);
}

void
rook_log_identity (RookLog *log, RookLogLevel level, const RookIdentity *identity, const char *event, ...)
{
  RookLogRecord *record;
  va_list args;

  if (!rook_log_enabled (log, level))
    return;
  record = rook_log_record_new (level, event);
  if (identity != NULL)
    add_origin (record, rook_identity_get_connection (identity), rook_identity_get_protocol (identity),
                rook_identity_get_user (identity));
  va_start (args, event);
  add_pairs (record, args);
  va_end (args);
  rook_log_take (log, record);
}
