/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The services of a server, in the order in which they are made: one table for start, stop, schema, check and
 * reconfiguration, so that a new service is one line here and can't be forgotten in one of them.
 *
 * Every service has a constructor and a destructor. What else it has (keys, checks, live settings) its line names.
 */
#include "auth/auth-private.h"
#include "control/control-private.h"
#include "daemon/server-private.h"
#include "delivery/delivery-private.h"
#include "directory/directory-private.h"
#include "event/event-private.h"
#include "log/log-private.h"
#include "loop/loop-private.h"
#include "mailbox/mailbox-private.h"
#include "metrics/metrics-private.h"
#include "net/net-private.h"
#include "schedule/schedule-private.h"
#include "storage/storage-private.h"

typedef struct {
  void (*start) (RookServer *server);
  void (*stop) (RookServer *server);
  const RookConfigSchema *schemas;                                              /* (nullable) */
  void (*check) (RookServer *running, RookConfig *config, GPtrArray *mistakes); /* (nullable) */
  void (*reconfigure) (RookServer *server, RookConfig *config);                 /* (nullable) */
} Service;

/* The functions of a service, which take its own type, as ones that take the server. */
#define ROOK_SERVICE(name)                      \
  static void start_##name (RookServer *server) \
  {                                             \
    server->name = rook_##name##_new (server);  \
  }                                             \
  static void stop_##name (RookServer *server)  \
  {                                             \
    if (server->name != NULL)                   \
      rook_##name##_free (server->name);        \
    server->name = NULL;                        \
  }
#define ROOK_SERVICE_CHECK(name)                                                                        \
  static void check_##name (RookServer *running G_GNUC_UNUSED, RookConfig *config, GPtrArray *mistakes) \
  {                                                                                                     \
    rook_##name##_check (config, mistakes);                                                             \
  }
#define ROOK_SERVICE_RECONFIGURE(name)                                    \
  static void reconfigure_##name (RookServer *server, RookConfig *config) \
  {                                                                       \
    if (server->name != NULL)                                             \
      rook_##name##_reconfigure (server->name, config);                   \
  }

ROOK_SERVICE_CHECK (server)
ROOK_SERVICE (log)
ROOK_SERVICE_CHECK (log)
ROOK_SERVICE_RECONFIGURE (log)
ROOK_SERVICE (metrics)
ROOK_SERVICE (control)
ROOK_SERVICE_CHECK (control)
ROOK_SERVICE_RECONFIGURE (control)
ROOK_SERVICE (schedule)
ROOK_SERVICE_CHECK (schedule)
ROOK_SERVICE_RECONFIGURE (schedule)
ROOK_SERVICE (event_bus)
ROOK_SERVICE (directory)
ROOK_SERVICE_RECONFIGURE (directory)
ROOK_SERVICE (auth)
ROOK_SERVICE_CHECK (auth)
ROOK_SERVICE_RECONFIGURE (auth)
ROOK_SERVICE (net)
ROOK_SERVICE_RECONFIGURE (net)
ROOK_SERVICE (delivery)
ROOK_SERVICE_RECONFIGURE (delivery)
ROOK_SERVICE (storage)
ROOK_SERVICE (mail)
ROOK_SERVICE_CHECK (mail)
ROOK_SERVICE_RECONFIGURE (mail)

static void
start_loop (RookServer *server)
{
  RookConfigGroup *group = rook_config_get_group (server->config, "server", NULL);

  server->loop = rook_loop_new_without_threads ((guint) rook_config_group_get_integer (group, "workers"));
  server->pool = rook_pool_new (server->loop, "pool", (guint) rook_config_group_get_integer (group, "pool-threads"),
                                (guint) rook_config_group_get_integer (group, "pool-queue"));
}

static void
stop_loop (RookServer *server)
{
  if (server->loop == NULL)
    return;
  g_clear_pointer (&server->pool, rook_pool_free);
  g_clear_pointer (&server->loop, rook_loop_free);
}

static void
reconfigure_loop (RookServer *server, RookConfig *config)
{
  RookConfigGroup *group = rook_config_get_group (config, "server", NULL);

  if (server->pool != NULL)
    rook_pool_set_limits (server->pool, (guint) rook_config_group_get_integer (group, "pool-threads"),
                          (guint) rook_config_group_get_integer (group, "pool-queue"));
}

/* Reads keys that only root may read, if it is still root that reads them. */
static void
start_net_as_root (RookServer *server)
{
  g_autoptr (GError) error = NULL;

  if (server->privileges == NULL)
    start_net (server);
  else if (rook_privileges_raise (server->privileges, TRUE, &error))
    {
      start_net (server);
      if (!rook_privileges_lower (server->privileges, &error))
        g_error ("%s", error->message);
    }
  else
    g_error ("%s", error->message);
}

static void
check_net (RookServer *running, RookConfig *config, GPtrArray *mistakes)
{
  rook_net_check (running != NULL ? running->net : NULL, config, mistakes);
}

static const Service services[] = {
  { start_loop, stop_loop, rook_server_schemas, check_server, reconfigure_loop },
  { start_log, stop_log, rook_log_schemas, check_log, reconfigure_log },
  { start_metrics, stop_metrics, NULL, NULL, NULL },
  { start_control, stop_control, NULL, check_control, reconfigure_control },
  { start_schedule, stop_schedule, rook_schedule_schemas, check_schedule, reconfigure_schedule },
  { start_event_bus, stop_event_bus, NULL, NULL, NULL },
  { start_directory, stop_directory, rook_directory_schemas, NULL, reconfigure_directory },
  { start_auth, stop_auth, rook_auth_schemas, check_auth, reconfigure_auth },
  { start_net_as_root, stop_net, rook_net_schemas, check_net, reconfigure_net },
  { start_delivery, stop_delivery, rook_delivery_schemas, NULL, reconfigure_delivery },
  { start_storage, stop_storage, NULL, NULL, NULL },
  { start_mail, stop_mail, rook_mail_schemas, check_mail, reconfigure_mail },
};

void
rook_services_declare (RookConfig *config)
{
  for (guint i = 0; i < G_N_ELEMENTS (services); i++)
    for (const RookConfigSchema *schema = services[i].schemas; schema != NULL && schema->name != NULL; schema++)
      rook_config_declare (config, schema);
}

void
rook_services_check (RookServer *running, RookConfig *config, GPtrArray *mistakes)
{
  for (guint i = 0; i < G_N_ELEMENTS (services); i++)
    if (services[i].check != NULL)
      services[i].check (running, config, mistakes);
}

void
rook_services_warn (RookServer *running, RookConfig *config, GPtrArray *warnings)
{
  rook_net_warn (running != NULL ? running->net : NULL, config, warnings);
  rook_schedule_warn (config, warnings);
}

void
rook_services_remark (RookConfig *config, GPtrArray *remarks)
{
  rook_mail_warn (config, remarks);
}

/* G_DEFINE_QUARK sets its variable at first use without a thought for other threads: so each is used before there are any. */
static void
name_error_domains (void)
{
  rook_auth_error_quark ();
  rook_config_error_quark ();
  rook_directory_error_quark ();
  rook_mail_error_quark ();
  rook_net_error_quark ();
  rook_plugin_error_quark ();
  rook_store_error_quark ();
}

void
rook_services_start (RookServer *server)
{
  name_error_domains ();
  for (guint i = 0; i < G_N_ELEMENTS (services); i++)
    services[i].start (server);
}

void
rook_services_start_threads (RookServer *server)
{
  rook_log_start (server->log);
  rook_loop_start (server->loop);
  rook_pool_start (server->pool);
}

void
rook_services_reconfigure (RookServer *server, RookConfig *config)
{
  for (guint i = 0; i < G_N_ELEMENTS (services); i++)
    if (services[i].reconfigure != NULL)
      services[i].reconfigure (server, config);
}

void
rook_services_stop (RookServer *server)
{
  if (server->control != NULL) /* whose verbs are of all the others */
    rook_control_close (server->control);
  if (server->schedule != NULL) /* and whose jobs are, too */
    rook_schedule_drain (server->schedule);
  for (guint i = G_N_ELEMENTS (services); i > 0; i--)
    services[i - 1].stop (server);
}

/* --- steps of a start, a stop and a reload that are not everybody's --------------------------------------------------- */

gboolean
rook_services_bind (RookServer *server, GError **error)
{
  return server->net == NULL || rook_net_bind (server->net, error);
}

/* Without a plugin that stores, whatever stores nothing serves all the same, and mail is answered "try again later"; so it is
 * with a state store that is lost, which the administrator has made again while the server runs (rookctl reconstruct). A
 * store that is there and can't be opened is another matter. */
gboolean
rook_services_open (RookServer *server, GError **error)
{
  const char *problem = server->control != NULL ? rook_control_get_problem (server->control) : NULL;
  g_autoptr (GError) reason = NULL;
  gboolean no_plugin;

  /* Without its socket a server could not be asked to reload, and most likely another one runs. */
  if (problem != NULL)
    {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "no control socket: %s", problem);
      return FALSE;
    }
  if (server->mail == NULL || rook_mail_open_stores (server->mail, &reason))
    return TRUE;
  no_plugin = g_error_matches (reason, ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNSUPPORTED);
  if (!no_plugin && !g_error_matches (reason, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY)
      && !g_error_matches (reason, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
    {
      g_propagate_error (error, g_steal_pointer (&reason));
      return FALSE;
    }
  rook_mail_close_stores (server->mail);
  rook_log_event (server->log, no_plugin ? ROOK_LOG_WARNING : ROOK_LOG_ERROR, "mail.unavailable", "reason",
                  reason->message, NULL);
  return TRUE;
}

void
rook_services_listen (RookServer *server)
{
  if (server->net != NULL)
    rook_net_listen (server->net);
  rook_schedule_add_hooks (server->schedule, server->config);
}

void
rook_services_prepare (RookServer *server, RookConfig *config, GPtrArray *mistakes)
{
  if (server->net != NULL)
    rook_net_prepare (server->net, config, mistakes);
}

gboolean
rook_services_prepare_late (RookServer *server, GError **error)
{
  return server->net == NULL || rook_net_prepare_late (server->net, error);
}

void
rook_services_abandon (RookServer *server)
{
  if (server->net != NULL)
    rook_net_abandon (server->net);
  if (server->directory != NULL) /* a plugin that came and went again may have taken it */
    rook_directory_reconfigure (server->directory, server->config);
}

void
rook_services_settle (RookServer *server, RookPluginsAnswer answer, gpointer data)
{
  if (server->mail != NULL)
    rook_mail_prepare (server->mail, answer, data);
  else
    answer (NULL, data);
}

void
rook_services_describe_opened (RookServer *server, GPtrArray *changes)
{
  if (server->mail != NULL)
    rook_mail_describe_opened (server->mail, changes);
}

void
rook_services_drain (RookServer *server)
{
  if (server->schedule != NULL)
    rook_schedule_drain (server->schedule);
  if (server->net != NULL)
    rook_net_drain (server->net);
}

void
rook_services_abort_sessions (RookServer *server)
{
  if (server->net != NULL)
    rook_net_abort_all (server->net);
}

guint
rook_services_count_sessions (RookServer *server)
{
  return server->net != NULL ? rook_net_get_n_connections (server->net) : 0;
}

gboolean
rook_services_run_commands (RookServer *server)
{
  return server->schedule != NULL && rook_schedule_has_commands (server->schedule);
}

void
rook_services_close (RookServer *server)
{
  if (server->mail != NULL)
    rook_mail_close_stores (server->mail);
}
