/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The services of a server, in the order in which they are made: one table for start, stop, schema, check and
 * reconfiguration, so that a new service is one line here and can't be forgotten in one of them.
 *
 * Every service has a constructor and a destructor. Not every one has keys, checks or live settings: those functions are
 * weak, and left out where there are none.
 */
#include "daemon/server-private.h"

#define ROOK_WEAK __attribute__ ((weak))

/* Declares the five functions of a service, as its private header does, and wraps them into one type. */
#define ROOK_SERVICE(prefix, Type, member)                                               \
  extern const RookConfigSchema rook_##prefix##_schemas[] ROOK_WEAK;                     \
  extern Type *rook_##prefix##_new (RookServer *server);                                 \
  extern void rook_##prefix##_free (Type *self);                                         \
  extern void rook_##prefix##_check (RookConfig *config, GPtrArray *mistakes) ROOK_WEAK; \
  extern void rook_##prefix##_reconfigure (Type *self, RookConfig *config) ROOK_WEAK;    \
  static void start_##prefix (RookServer *server)                                        \
  {                                                                                      \
    server->member = rook_##prefix##_new (server);                                       \
  }                                                                                      \
  static void stop_##prefix (RookServer *server)                                         \
  {                                                                                      \
    if (server->member != NULL)                                                          \
      rook_##prefix##_free (server->member);                                             \
    server->member = NULL;                                                               \
  }                                                                                      \
  static void reconfigure_##prefix (RookServer *server, RookConfig *config)              \
  {                                                                                      \
    if (rook_##prefix##_reconfigure != NULL && server->member != NULL)                   \
      rook_##prefix##_reconfigure (server->member, config);                              \
  }

#define ROOK_SERVICE_LINE(prefix)                                                                       \
  {                                                                                                     \
    rook_##prefix##_schemas, rook_##prefix##_check, start_##prefix, stop_##prefix, reconfigure_##prefix \
  }

ROOK_SERVICE (log, RookLog, log)
ROOK_SERVICE (metrics, RookMetrics, metrics)
ROOK_SERVICE (control, RookControl, control)
ROOK_SERVICE (schedule, RookSchedule, schedule)
ROOK_SERVICE (event_bus, RookEventBus, event_bus)
ROOK_SERVICE (directory, RookDirectoryService, directory)
ROOK_SERVICE (auth, RookAuth, auth)
ROOK_SERVICE (net, RookNet, net)
ROOK_SERVICE (delivery, RookDelivery, delivery)
ROOK_SERVICE (storage, RookStorage, storage)
ROOK_SERVICE (mail, RookMail, mail)

static void
start_loop (RookServer *server)
{
  RookConfigGroup *group = rook_config_get_group (server->config, "server", NULL);

  server->loop = rook_loop_new ((guint) rook_config_group_get_integer (group, "workers"));
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

typedef struct {
  const RookConfigSchema *schemas; /* (nullable) */
  void (*check) (RookConfig *config, GPtrArray *mistakes);
  void (*start) (RookServer *server);
  void (*stop) (RookServer *server);
  void (*reconfigure) (RookServer *server, RookConfig *config);
} Service;

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

static const Service services[] = {
  { rook_server_schemas, NULL, start_loop, stop_loop, reconfigure_loop },
  ROOK_SERVICE_LINE (log),
  ROOK_SERVICE_LINE (metrics),
  ROOK_SERVICE_LINE (control),
  ROOK_SERVICE_LINE (schedule),
  ROOK_SERVICE_LINE (event_bus),
  ROOK_SERVICE_LINE (directory),
  ROOK_SERVICE_LINE (auth),
  { rook_net_schemas, rook_net_check, start_net_as_root, stop_net, reconfigure_net },
  ROOK_SERVICE_LINE (delivery),
  ROOK_SERVICE_LINE (storage),
  ROOK_SERVICE_LINE (mail),
};

void
rook_services_declare (RookConfig *config)
{
  for (guint i = 0; i < G_N_ELEMENTS (services); i++)
    for (const RookConfigSchema *schema = services[i].schemas; schema != NULL && schema->name != NULL; schema++)
      rook_config_declare (config, schema);
}

void
rook_services_check (RookConfig *config, GPtrArray *mistakes)
{
  for (guint i = 0; i < G_N_ELEMENTS (services); i++)
    if (services[i].check != NULL)
      services[i].check (config, mistakes);
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
rook_services_reconfigure (RookServer *server, RookConfig *config)
{
  for (guint i = 0; i < G_N_ELEMENTS (services); i++)
    services[i].reconfigure (server, config);
}

void
rook_services_stop (RookServer *server)
{
  for (guint i = G_N_ELEMENTS (services); i > 0; i--)
    services[i - 1].stop (server);
}

/* --- steps of a start, a stop and a reload that are not everybody's --------------------------------------------------- */

extern gboolean rook_net_bind (RookNet *net, GError **error);
extern void rook_net_listen (RookNet *net);
extern void rook_net_prepare (RookNet *net, RookConfig *config, GPtrArray *mistakes);
extern gboolean rook_net_prepare_late (RookNet *net, GError **error);
extern void rook_net_abandon (RookNet *net);
extern void rook_net_drain (RookNet *net);
extern void rook_net_abort_all (RookNet *net);
extern guint rook_net_get_n_connections (RookNet *net);
extern void rook_schedule_drain (RookSchedule *schedule);
extern const char *rook_control_get_problem (RookControl *control);
extern gboolean rook_mail_open_stores (RookMail *mail, GError **error);
extern void rook_mail_close_stores (RookMail *mail);

gboolean
rook_services_bind (RookServer *server, GError **error)
{
  return server->net == NULL || rook_net_bind (server->net, error);
}

/* Without a plugin that stores, whatever stores nothing serves all the same, and mail is answered "try again later". A
 * store that is there and can't be opened is another matter. */
gboolean
rook_services_open (RookServer *server, GError **error)
{
  const char *problem = server->control != NULL ? rook_control_get_problem (server->control) : NULL;
  g_autoptr (GError) reason = NULL;

  /* Without its socket a server could not be asked to reload, and most likely another one runs. */
  if (problem != NULL)
    {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "no control socket: %s", problem);
      return FALSE;
    }
  if (server->mail == NULL || rook_mail_open_stores (server->mail, &reason))
    return TRUE;
  if (!g_error_matches (reason, ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNSUPPORTED))
    {
      g_propagate_error (error, g_steal_pointer (&reason));
      return FALSE;
    }
  rook_mail_close_stores (server->mail);
  rook_log_event (server->log, ROOK_LOG_WARNING, "mail.unavailable", "reason", reason->message, NULL);
  return TRUE;
}

void
rook_services_listen (RookServer *server)
{
  if (server->net != NULL)
    rook_net_listen (server->net);
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

void
rook_services_close (RookServer *server)
{
  if (server->mail != NULL)
    rook_mail_close_stores (server->mail);
}
