/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The plugin's own object: its settings and its commands' metrics.
 */
#pragma once

#include "rookery/metrics.h"
#include "rookery/plugin.h"

#define LMTP_N_COMMANDS 10

typedef struct Lmtp Lmtp;

typedef struct {
  guint64 message;    /* bytes (message-limit) */
  gsize line;         /* bytes (line-limit) */
  guint recipients;   /* of one message (recipient-limit) */
  guint bad_commands; /* until the connection is closed (bad-command-limit) */
  guint idle_ms;      /* idle-timeout */
  gboolean over_quota_is_permanent;
} LmtpLimits;

extern const RookConfigKey lmtp_keys[];

/* NULL with an error: networks are malformed. */
Lmtp *lmtp_new (RookPlugin *plugin, RookConfigGroup *config, GError **error);
Lmtp *lmtp_ref (Lmtp *self);
void lmtp_unref (Lmtp *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Lmtp, lmtp_unref)
RookPlugin *lmtp_get_plugin (Lmtp *self);
void lmtp_reconfigure (Lmtp *self, RookConfigGroup *config);
void lmtp_get_limits (Lmtp *self, LmtpLimits *out_limits);
/* Whether the peer may send mail without having authenticated. */
gboolean lmtp_trusts (Lmtp *self, RookConnection *connection);
/* Whether who the peer says a message is from counts, without its having authenticated. */
gboolean lmtp_believes (Lmtp *self, RookConnection *connection);
RookHistogram *lmtp_get_latency (Lmtp *self, guint command);
