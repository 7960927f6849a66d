/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reload, by SIGHUP or `rookctl reload`: first the whole new configuration is read and checked, modules of new plugins
 * are loaded, and sockets of new listeners bound; nothing that serves is touched by that. Then plugins change, and only
 * when that has gone well the services take their live keys, which can't fail. Whatever goes wrong, everything is as it
 * was, and everything that was wrong is told to whoever asked, and to the log; so is a plugin that had to be ended, and
 * then would not start again.
 *
 * `plugin enable` and `plugin disable` are reloads with one more opinion. They are not kept: the configuration is the
 * truth, and the next plain reload (or start) goes by it alone.
 */
#include "daemon/reload.h"

#include "auth/auth-private.h"
#include "config/config-private.h"
#include "daemon/load.h"
#include "daemon/notify.h"

typedef struct {
  RookControlCall *call; /* (nullable) */
  char *force;           /* (owned) (nullable) "+NAME" or "-NAME"; NULL: forget all of these */
} Request;

struct RookReload {
  RookServer *server;  /* (unowned) */
  GQueue requests;     /* of Request */
  Request *current;    /* (owned) (nullable) */
  GPtrArray *force;    /* (element-type utf8) (owned) what the administrator said since the last plain reload */
  GPtrArray *asked;    /* (element-type utf8) (owned) (nullable) the same, if the current request succeeds */
  RookConfig *config;  /* (owned) (nullable) the new one */
  GPtrArray *warnings; /* (element-type RookConfigMistake) (owned) (nullable) of the new one, if it comes into force */
  GPtrArray *changes;  /* (element-type utf8) (owned) (nullable) beside those of plugins, if it comes into force */
  gboolean closed;
  RookFunc idle;
  gpointer idle_data;
};

static void run_next (RookReload *reload);

static void
request_free (Request *request)
{
  g_free (request->force);
  g_free (request);
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

static void
finish (RookReload *reload)
{
  g_clear_pointer (&reload->config, rook_config_unref);
  g_clear_pointer (&reload->asked, g_ptr_array_unref);
  g_clear_pointer (&reload->changes, g_ptr_array_unref);
  g_clear_pointer (&reload->warnings, g_ptr_array_unref);
  g_clear_pointer (&reload->current, request_free);
  if (!reload->closed)
    rook_notify ("READY=1\nSTATUS=Serving");
  run_next (reload);
}

/* @lost: (nullable) (element-type utf8) what is not as it was, in spite of us */
static void
fail (RookReload *reload, GPtrArray *mistakes, GPtrArray *lost)
{
  g_autofree char *text = rook_daemon_format_mistakes (mistakes, "");
  RookLog *log = rook_server_get_log (reload->server);

  for (guint i = 0; i < mistakes->len; i++)
    {
      g_autofree char *line = rook_config_mistake_to_string (g_ptr_array_index (mistakes, i));

      rook_log_event (log, ROOK_LOG_ERROR, "server.reload-refused", "reason", line, NULL);
    }
  if (reload->current->call != NULL && (lost == NULL || lost->len == 0))
    rook_control_call_fail (reload->current->call, "nothing was changed:\n%s", text);
  else if (reload->current->call != NULL)
    {
      g_autofree char *losses = NULL;

      g_ptr_array_add (lost, NULL);
      losses = g_strjoinv ("\n", (char **) lost->pdata);
      rook_control_call_fail (reload->current->call, "refused, but not everything could be put back:\n%s\n%s", text,
                              losses);
    }
  finish (reload);
}

static void
succeed (RookReload *reload, GPtrArray *changes)
{
  g_autofree char *text = NULL;
  GVariantBuilder result;

  g_ptr_array_add (changes, NULL);
  text = changes->len > 1 ? g_strjoinv (", ", (char **) changes->pdata) : g_strdup ("none");
  rook_log_event (rook_server_get_log (reload->server), ROOK_LOG_NOTICE, "server.reloaded", "changes", text, NULL);
  if (reload->current->call != NULL)
    {
      g_variant_builder_init (&result, G_VARIANT_TYPE_VARDICT);
      g_variant_builder_add (&result, "{sv}", "changes", g_variant_new_strv ((const char *const *) changes->pdata, -1));
      rook_control_call_done (reload->current->call, g_variant_builder_end (&result));
    }
  finish (reload);
}

/* --- the work ------------------------------------------------------------------------------------------------------ */

static gboolean
on_ready (gpointer data, GError **error)
{
  RookReload *reload = data;

  return rook_services_prepare_late (reload->server, error);
}

static void
on_settle (RookPluginsAnswer answer, gpointer change, gpointer data)
{
  RookReload *reload = data;

  rook_services_settle (reload->server, answer, change);
}

static void
on_changed (GPtrArray *changes, const GError *error, gpointer data)
{
  RookReload *reload = data;
  g_autoptr (GPtrArray) mistakes = NULL;

  if (error == NULL)
    {
      g_clear_pointer (&reload->force, g_ptr_array_unref);
      reload->force = g_steal_pointer (&reload->asked);
      rook_services_describe_opened (reload->server, reload->changes);
      rook_services_reconfigure (reload->server, reload->config);
      rook_daemon_log_warnings (reload->server, reload->warnings);
      g_ptr_array_extend_and_steal (changes, g_steal_pointer (&reload->changes));
      succeed (reload, changes);
      return;
    }
  rook_services_abandon (reload->server);
  mistakes = rook_config_mistakes_new ();
  rook_config_add_mistake_at (mistakes, NULL, 0, ROOK_CONFIG_ERROR_CONFLICT, "%s", error->message);
  fail (reload, mistakes, changes);
}

/* What was forced so far, and now. */
static GPtrArray *
collect_force (RookReload *reload)
{
  GPtrArray *force = g_ptr_array_new_with_free_func (g_free);
  const char *now = reload->current->force;

  for (guint i = 0; now != NULL && i < reload->force->len; i++)
    if (reload->force->pdata[i] != NULL && !g_str_equal ((char *) reload->force->pdata[i] + 1, now + 1))
      g_ptr_array_add (force, g_strdup (reload->force->pdata[i]));
  if (now != NULL)
    g_ptr_array_add (force, g_strdup (now));
  g_ptr_array_add (force, NULL);
  return force;
}

static void
check_named (RookReload *reload, RookConfig *config, GPtrArray *mistakes)
{
  const char *force = reload->current->force;

  if (force != NULL && rook_config_get_group (config, "plugin", force + 1) == NULL)
    rook_config_add_mistake_at (mistakes, NULL, 0, ROOK_CONFIG_ERROR_UNKNOWN, "the configuration has no [plugin %s]",
                                force + 1);
}

static void
run (RookReload *reload)
{
  RookServer *server = reload->server;
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookPluginPlan) plan = NULL;
  g_auto (GStrv) failed = rook_plugins_dup_failed (server->plugins);
  guint64 deadline;

  rook_notify ("RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT "\nSTATUS=Reloading", g_get_monotonic_time ());
  reload->asked = collect_force (reload);
  reload->config =
      rook_daemon_load (server->config_path, server, (const char *const *) reload->asked->pdata, &plan, &mistakes);
  if (plan != NULL)
    {
      if (reload->current->force != NULL && reload->current->force[0] == '+')
        rook_plugin_plan_insist (plan, reload->current->force + 1);
      rook_plugin_plan_check (plan, (const char *const *) failed, mistakes);
      check_named (reload, reload->config, mistakes);
      if (rook_auth_has_backend (server->auth)) /* else nobody can log in as it is, and nothing gets worse */
        rook_daemon_check_backend (plan, mistakes);
      rook_daemon_check_restart (server->config, reload->config, mistakes);
    }
  if (mistakes->len == 0)
    rook_services_prepare (server, reload->config, mistakes);
  if (mistakes->len > 0)
    {
      rook_services_abandon (server);
      fail (reload, mistakes, NULL);
      return;
    }
  reload->warnings = rook_config_mistakes_new ();
  rook_daemon_warn (server, reload->config, plan, reload->warnings);
  reload->changes = g_ptr_array_new_with_free_func (g_free);
  rook_net_describe_changes (server->config, reload->config, reload->changes);
  rook_daemon_describe_changes (server->config, reload->config, reload->changes);
  if (server->net != NULL)
    rook_net_describe_renewed (server->net, reload->changes);
  deadline =
      rook_config_group_get_duration_ms (rook_config_get_group (reload->config, "server", NULL), "drain-timeout");
  rook_plugins_change (server->plugins, g_steal_pointer (&plan), server->config, (guint) deadline, on_ready, on_settle,
                       on_changed, reload);
}

static void
run_next (RookReload *reload)
{
  if (reload->current != NULL)
    return;
  if (reload->closed)
    {
      RookFunc idle = reload->idle;

      reload->idle = NULL;
      if (idle != NULL)
        idle (reload->idle_data);
      return;
    }
  reload->current = g_queue_pop_head (&reload->requests);
  if (reload->current != NULL)
    run (reload);
}

static void
push (RookReload *reload, RookControlCall *call, char *force)
{
  Request *request, *last;

  if (reload->closed)
    {
      if (call != NULL)
        rook_control_call_fail (call, "the server is stopping");
      g_free (force);
      return;
    }
  last = g_queue_peek_tail (&reload->requests);
  if (call == NULL && force == NULL && last != NULL && last->force == NULL)
    return; /* one that is still to begin sees what this one would: a storm of signals is a reload or two */
  request = g_new0 (Request, 1);
  request->call = call;
  request->force = force;
  g_queue_push_tail (&reload->requests, request);
  run_next (reload);
}

void
rook_reload_request (RookReload *reload, RookControlCall *call)
{
  push (reload, call, NULL);
}

gboolean
rook_reload_is_busy (RookReload *reload)
{
  return reload->current != NULL;
}

void
rook_reload_close (RookReload *reload, RookFunc idle, gpointer data)
{
  Request *request;

  reload->closed = TRUE;
  reload->idle = idle;
  reload->idle_data = data;
  while ((request = g_queue_pop_head (&reload->requests)) != NULL)
    {
      if (request->call != NULL)
        rook_control_call_fail (request->call, "the server is stopping");
      request_free (request);
    }
  run_next (reload);
}

/* --- verbs --------------------------------------------------------------------------------------------------------- */

static void
run_reload (gpointer data, RookControlCall *call, const char *const *arguments)
{
  (void) arguments;
  push (data, call, NULL);
}

static void
run_enable (gpointer data, RookControlCall *call, const char *const *arguments)
{
  push (data, call, g_strconcat ("+", arguments[0], NULL));
}

static void
run_disable (gpointer data, RookControlCall *call, const char *const *arguments)
{
  push (data, call, g_strconcat ("-", arguments[0], NULL));
}

static const RookControlVerb verbs[] = {
  { .struct_size = sizeof (RookControlVerb),
    .name = "reload",
    .arguments = "",
    .help = "Reads the configuration again and applies it, all or nothing.",
    .run = run_reload },
  { .struct_size = sizeof (RookControlVerb),
    .name = "plugin enable",
    .arguments = "NAME",
    .help = "Reloads with this plugin switched on, until the next plain reload.",
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run_enable },
  { .struct_size = sizeof (RookControlVerb),
    .name = "plugin disable",
    .arguments = "NAME",
    .help = "Reloads with this plugin switched off, until the next plain reload.",
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run_disable },
};

RookReload *
rook_reload_new (RookServer *server)
{
  RookReload *reload = g_new0 (RookReload, 1);

  reload->server = server;
  reload->force = g_ptr_array_new_with_free_func (g_free);
  g_queue_init (&reload->requests);
  for (guint i = 0; i < G_N_ELEMENTS (verbs); i++)
    if (rook_server_get_control (server) != NULL)
      rook_control_add (rook_server_get_control (server), &verbs[i], reload);
  return reload;
}

void
rook_reload_free (RookReload *reload)
{
  g_assert (reload->current == NULL);
  g_ptr_array_unref (reload->force);
  g_free (reload);
}
