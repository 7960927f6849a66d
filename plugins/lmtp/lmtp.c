/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Settings of the plugin.
 */
#include "lmtp/lmtp.h"

#include "rookery/net.h"
#include "rookery/thread.h"

#include "lmtp/session.h"

struct Lmtp {
  gatomicrefcount references;
  RookPlugin *plugin; /* (unowned) each session holds a reference */
  RookMutex lock;     /* protects what follows */
  LmtpLimits limits;
  GStrv trusted, believed; /* (owned) networks */
  RookHistogram *latency[LMTP_N_COMMANDS];
};

const RookConfigKey lmtp_keys[] = {
  { .name = "message-limit",
    .type = ROOK_CONFIG_SIZE,
    .default_value = "64M",
    .min = 1000,
    .max = G_MAXINT32,
    .help = "The largest message; a larger one is answered 552. Announced by SIZE." },
  { .name = "line-limit",
    .type = ROOK_CONFIG_SIZE,
    .default_value = "4K",
    .min = 512,
    .max = 1 << 20,
    .help = "The longest command line." },
  { .name = "recipient-limit",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "2000",
    .min = 100,
    .max = 1000000,
    .help = "Recipients of one message; more are answered 452, so that the MTA sends it again for the rest." },
  { .name = "bad-command-limit",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "20",
    .min = 1,
    .max = 1000000,
    .help = "Commands answered 5xx for their syntax or order after which the connection is closed." },
  { .name = "idle-timeout",
    .type = ROOK_CONFIG_DURATION,
    .default_value = "10m",
    .min = 1000,
    .max = 86400000,
    .unit = "s",
    .help = "A client that says nothing for so long is told 421." },
  { .name = "trusted-networks",
    .type = ROOK_CONFIG_LIST,
    .default_value = "unix;127.0.0.0/8;::1",
    .help = "Who may send mail without authenticating: networks, addresses, and `unix` for UNIX sockets." },
  { .name = "auth-networks",
    .type = ROOK_CONFIG_LIST,
    .default_value = "",
    .help = "Whose word for a message's sender (AUTH= of MAIL) counts for the right to post, as in trusted-networks. "
            "Of others it counts if they have authenticated, and is ignored if not." },
  { .name = "over-quota-is-permanent",
    .type = ROOK_CONFIG_BOOLEAN,
    .default_value = "false",
    .help = "Whether mail for a full mailbox is bounced at once (552) or tried again later by the MTA (452)." },
  { 0 },
};

static void
read_settings (Lmtp *self, RookConfigGroup *config)
{
  self->limits = (LmtpLimits){
    .message = rook_config_group_get_size (config, "message-limit"),
    .line = rook_config_group_get_size (config, "line-limit"),
    .recipients = (guint) rook_config_group_get_integer (config, "recipient-limit"),
    .bad_commands = (guint) rook_config_group_get_integer (config, "bad-command-limit"),
    .idle_ms = (guint) rook_config_group_get_duration_ms (config, "idle-timeout"),
    .over_quota_is_permanent = rook_config_group_get_boolean (config, "over-quota-is-permanent"),
  };
  g_strfreev (self->trusted);
  self->trusted = g_strdupv ((char **) rook_config_group_get_list (config, "trusted-networks"));
  g_strfreev (self->believed);
  self->believed = g_strdupv ((char **) rook_config_group_get_list (config, "auth-networks"));
}

static gboolean
check_networks (RookConfigGroup *config, GError **error)
{
  return rook_net_check_networks (rook_config_group_get_list (config, "trusted-networks"), error)
         && rook_net_check_networks (rook_config_group_get_list (config, "auth-networks"), error);
}

Lmtp *
lmtp_new (RookPlugin *plugin, RookConfigGroup *config, GError **error)
{
  Lmtp *self;
  RookMetrics *metrics = rook_server_get_metrics (rook_plugin_get_server (plugin));

  if (!check_networks (config, error))
    return NULL;
  self = g_new0 (Lmtp, 1);
  lmtp_envelope_error_quark (); /* before there is more than one thread to use it */
  g_atomic_ref_count_init (&self->references);
  rook_mutex_init (&self->lock);
  self->plugin = plugin;
  read_settings (self, config);
  for (guint i = 0; i < LMTP_N_COMMANDS; i++)
    self->latency[i] =
        rook_metrics_histogram (metrics, "lmtp.command", "command", lmtp_commands[i].name, "us",
                                "From the end of a command's line (of DATA: of the message) to its reply");
  return self;
}

Lmtp *
lmtp_ref (Lmtp *self)
{
  g_atomic_ref_count_inc (&self->references);
  return self;
}

void
lmtp_unref (Lmtp *self)
{
  if (!g_atomic_ref_count_dec (&self->references))
    return;
  g_strfreev (self->trusted);
  g_strfreev (self->believed);
  rook_mutex_clear (&self->lock);
  g_free (self);
}

RookPlugin *
lmtp_get_plugin (Lmtp *self)
{
  return self->plugin;
}

void
lmtp_reconfigure (Lmtp *self, RookConfigGroup *config)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->lock);

  if (check_networks (config, NULL))
    read_settings (self, config);
}

void
lmtp_get_limits (Lmtp *self, LmtpLimits *out_limits)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->lock);

  *out_limits = self->limits;
}

gboolean
lmtp_trusts (Lmtp *self, RookConnection *connection)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->lock);

  return rook_connection_peer_in (connection, (const char *const *) self->trusted);
}

gboolean
lmtp_believes (Lmtp *self, RookConnection *connection)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->lock);

  return rook_connection_peer_in (connection, (const char *const *) self->believed);
}

RookHistogram *
lmtp_get_latency (Lmtp *self, guint command)
{
  return self->latency[command];
}
