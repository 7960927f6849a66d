/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server as a struct: what it holds, and the accessors by which services find each other. How it lives is in
 * services.c, life.c and reload.c.
 */
#include "daemon/server-private.h"

#include <unistd.h>

RookServer *
rook_server_new (RookConfig *config, const char *config_path)
{
  RookServer *server = g_new0 (RookServer, 1);
  RookConfigGroup *group = rook_config_get_group (config, "server", NULL);

  rook_mutex_init (&server->config_lock);
  server->plugins = rook_plugins_new (server);
  server->config = config;
  server->config_path = g_strdup (config_path);
  server->hostname = g_strdup (rook_config_group_get_string (group, "hostname"));
  if (server->hostname == NULL)
    server->hostname = g_strdup (g_get_host_name ());
  return server;
}

void
rook_server_free (RookServer *server)
{
  rook_services_stop (server);
  rook_plugins_free (server->plugins);
  rook_config_unref (server->config);
  rook_mutex_clear (&server->config_lock);
  g_free (server->config_path);
  g_free (server->hostname);
  g_free (server->scratch);
  g_free (server);
}

void
rook_server_set_config (RookServer *server, RookConfig *config)
{
  RookConfig *before;

  rook_mutex_lock (&server->config_lock);
  before = server->config;
  server->config = config;
  rook_mutex_unlock (&server->config_lock);
  rook_config_unref (before);
}

RookConfig *
rook_server_get_config (RookServer *server)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&server->config_lock);

  return rook_config_ref (server->config);
}

const char *
rook_server_get_version (void)
{
  return PACKAGE_VERSION;
}

const char *
rook_server_get_hostname (RookServer *server)
{
  return server->hostname;
}

static char *
dup_directory (RookServer *server, const char *key)
{
  g_autoptr (RookConfig) config = rook_server_get_config (server);

  return g_strdup (rook_config_group_get_string (rook_config_get_group (config, "server", NULL), key));
}

char *
rook_server_dup_run_directory (RookServer *server)
{
  return dup_directory (server, "run-directory");
}

char *
rook_server_dup_state_directory (RookServer *server)
{
  return dup_directory (server, "state-directory");
}

RookLoop *
rook_server_get_loop (RookServer *server)
{
  return server->loop;
}

RookPool *
rook_server_get_pool (RookServer *server)
{
  return server->pool;
}

RookLog *
rook_server_get_log (RookServer *server)
{
  return server->log;
}

RookMetrics *
rook_server_get_metrics (RookServer *server)
{
  return server->metrics;
}

RookControl *
rook_server_get_control (RookServer *server)
{
  return server->control;
}

RookSchedule *
rook_server_get_schedule (RookServer *server)
{
  return server->schedule;
}

RookEventBus *
rook_server_get_event_bus (RookServer *server)
{
  return server->event_bus;
}

RookDirectoryService *
rook_server_get_directory (RookServer *server)
{
  return server->directory;
}

RookAuth *
rook_server_get_auth (RookServer *server)
{
  return server->auth;
}

RookNet *
rook_server_get_net (RookServer *server)
{
  return server->net;
}

RookDelivery *
rook_server_get_delivery (RookServer *server)
{
  return server->delivery;
}

RookStorage *
rook_server_get_storage (RookServer *server)
{
  return server->storage;
}

RookMail *
rook_server_get_mail (RookServer *server)
{
  return server->mail;
}

RookPlugins *
rook_server_get_plugins (RookServer *server)
{
  return server->plugins;
}
