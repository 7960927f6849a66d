/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's life: start in the order that giving up root dictates, signals, and a stop that lets everybody finish
 * what he is doing.
 *
 * Stop is a chain of steps, each waiting for the one before: a reload that is under way ends, listeners close and
 * sessions finish, plugins go but for those that open stores stand on, stores close, those go too. The first SIGTERM
 * or SIGINT begins it with the drain deadline; a second one makes the deadline now.
 */
#include "daemon/life.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config-private.h"
#include "daemon/load.h"
#include "daemon/notify.h"
#include "daemon/ownership.h"
#include "daemon/privileges.h"
#include "daemon/reload.h"
#include "daemon/server-private.h"

#define DRAIN_LOOK_MS 20
#define ABORT_GRACE_MS 3000

typedef struct {
  RookServer *server;     /* (unowned) */
  RookReload *reload;     /* (owned) (nullable) */
  RookWatchdog *watchdog; /* (owned) (nullable) */
  int signal_fd;
  RookWatch *signals; /* (owned) (nullable) */
  RookTimer timer;    /* of the drain */
  gint64 deadline_us; /* monotonic; when sessions must have ended */
  gboolean stopping;
  gboolean hurried;
  gboolean aborted;
} Life;

/* --- stop ---------------------------------------------------------------------------------------------------------- */

static void
on_all_gone (gpointer data)
{
  Life *life = data;

  rook_loop_quit (life->server->loop);
}

static void
on_plugins_gone (gpointer data)
{
  Life *life = data;

  rook_services_close (life->server);
  rook_plugins_stop_all (life->server->plugins, TRUE, 1000, on_all_gone, life);
}

static void
stop_plugins (Life *life)
{
  gint64 left_ms = life->hurried ? 1 : (life->deadline_us - g_get_monotonic_time ()) / 1000;

  rook_plugins_stop_all (life->server->plugins, FALSE, (guint) MAX (left_ms, 1), on_plugins_gone, life);
}

static void
look_at_sessions (gpointer data)
{
  Life *life = data;
  guint left = rook_services_count_sessions (life->server);
  gint64 late_us = g_get_monotonic_time () - life->deadline_us;
  gboolean running = rook_services_run_commands (life->server);

  if ((left == 0 && !running) || late_us > ABORT_GRACE_MS * 1000)
    {
      stop_plugins (life);
      return;
    }
  if ((late_us >= 0 || life->hurried) && !life->aborted)
    {
      life->aborted = TRUE;
      life->deadline_us = MIN (life->deadline_us, g_get_monotonic_time ());
      rook_log_message (life->server->log, ROOK_LOG_WARNING, "server.drain-deadline", "ending %u sessions", left);
      rook_services_abort_sessions (life->server);
    }
  rook_timer_start (&life->timer, DRAIN_LOOK_MS);
}

static void
on_reload_idle (gpointer data)
{
  Life *life = data;

  rook_services_drain (life->server);
  look_at_sessions (life);
}

static void
hurry (Life *life)
{
  life->hurried = TRUE;
  rook_plugins_hurry (life->server->plugins);
  if (rook_timer_is_running (&life->timer))
    rook_timer_start (&life->timer, 0);
}

static void
begin_stop (Life *life, const char *why)
{
  g_autoptr (RookConfig) config = rook_server_get_config (life->server);
  RookConfigGroup *group = rook_config_get_group (config, "server", NULL);

  if (life->stopping)
    {
      hurry (life);
      return;
    }
  life->stopping = TRUE;
  life->deadline_us =
      g_get_monotonic_time () + (gint64) rook_config_group_get_duration_ms (group, "drain-timeout") * 1000;
  rook_notify ("STOPPING=1\nSTATUS=Finishing what is under way");
  rook_log_event (life->server->log, ROOK_LOG_NOTICE, "server.stopping", "reason", why, NULL);
  rook_reload_close (life->reload, on_reload_idle, life);
}

/* --- signals ------------------------------------------------------------------------------------------------------- */

/* Whoever asks for a reload can't know how far the start is: he gets it once it is done. */
void
rook_life_hold_hangup (void)
{
  sigset_t set;

  sigemptyset (&set);
  sigaddset (&set, SIGHUP);
  pthread_sigmask (SIG_BLOCK, &set, NULL);
}

/* Taken as a descriptor by the main worker. Blocked before there is a second thread, so that all threads inherit it. */
static void
block_signals (sigset_t *set)
{
  sigemptyset (set);
  sigaddset (set, SIGTERM);
  sigaddset (set, SIGINT);
  sigaddset (set, SIGHUP);
  pthread_sigmask (SIG_BLOCK, set, NULL);
  signal (SIGPIPE, SIG_IGN);
}

static void
on_signal (RookIo ready, gpointer data)
{
  Life *life = data;
  struct signalfd_siginfo info;

  (void) ready;
  while (read (life->signal_fd, &info, sizeof info) == (ssize_t) sizeof info)
    {
      if (info.ssi_signo == SIGHUP)
        rook_reload_request (life->reload, NULL);
      else
        begin_stop (life, info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
    }
}

/* --- start --------------------------------------------------------------------------------------------------------- */

static gboolean
become_user (RookServer *server, const RookPrivileges *privileges, GError **error)
{
  gboolean bound = rook_privileges_raise (privileges, FALSE, error) && rook_services_bind (server, error);

  g_autoptr (GError) problem = NULL;

  /* Also after a failure, since what is undone then may take threads. */
  if (!rook_privileges_drop (privileges, &problem))
    {
      g_printerr ("rookeryd: %s\n", problem->message);
      _exit (3); /* nothing of ours may go on as root */
    }
  rook_services_start_threads (server);
  return bound;
}

/* A reload reads everything again as the user: what only root can read is told now, and not in the night in which a
 * certificate runs out. */
static void
warn_of_reload (RookServer *server)
{
  g_autoptr (RookPluginPlan) plan = NULL;
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config G_GNUC_UNUSED = rook_daemon_load (server->config_path, server, NULL, &plan, &mistakes);
  g_autofree char *text = NULL;

  if (mistakes->len == 0)
    return;
  text = rook_daemon_format_mistakes (mistakes, "");
  rook_log_event (server->log, ROOK_LOG_WARNING, "server.reload-will-fail", "reason", text, NULL);
}

static gboolean
open_for_business (RookServer *server, RookPluginPlan *plan, GError **error)
{
  /* Bound again: the ports that only plugins know. */
  if (!rook_plugins_start (server->plugins, plan, error) || !rook_services_bind (server, error)
      || !rook_services_open (server, error))
    return FALSE;
  rook_services_listen (server);
  return TRUE;
}

static void
serve (Life *life)
{
  RookServer *server = life->server;

  life->signals =
      rook_watch_new (rook_loop_get_main_worker (server->loop), life->signal_fd, ROOK_IO_READ, on_signal, life);
  life->watchdog = rook_watchdog_new (server->loop);
  rook_log_event (server->log, ROOK_LOG_NOTICE, "server.started", "version", PACKAGE_VERSION, NULL);
  rook_notify ("READY=1\nSTATUS=Serving\nMAINPID=%d", (int) getpid ());
  rook_loop_run (server->loop);
  rook_watch_free (life->signals);
  rook_timer_stop (&life->timer);
  if (life->watchdog != NULL)
    rook_watchdog_stop (life->watchdog);
}

/* After a start that failed half-way: nothing serves yet, so nobody has to be waited for. */
static void
undo_start (Life *life)
{
  life->hurried = TRUE;
  rook_plugins_stop_all (life->server->plugins, FALSE, 1, on_plugins_gone, life);
  rook_loop_run (life->server->loop);
}

static gboolean
run_services (Life *life, const RookPrivileges *privileges, RookPluginPlan *plan, GError **error)
{
  RookServer *server = life->server;
  g_autoptr (GPtrArray) warnings = rook_config_mistakes_new ();

  rook_daemon_warn (server, server->config, plan, warnings);
  rook_timer_init (&life->timer, rook_loop_get_main_worker (server->loop), look_at_sessions, life);
  rook_plugins_add_verbs (server->plugins);
  life->reload = rook_reload_new (server);
  if (become_user (server, privileges, error) && open_for_business (server, plan, error))
    {
      rook_daemon_log_warnings (server, warnings);
      if (privileges->root)
        warn_of_reload (server);
      serve (life);
      return TRUE;
    }
  undo_start (life);
  return FALSE;
}

static gboolean
run (const char *path, RookConfig *config, RookPluginPlan *plan, GError **error)
{
  RookPrivileges privileges = { 0 };
  Life life = { .signal_fd = -1 };
  sigset_t set;
  gboolean ok;

  umask (0027);
  rook_privileges_set_limits (config);
  ok = rook_privileges_init (&privileges, config, error) && rook_ownership_prepare (&privileges, config, error)
       && rook_privileges_lower (&privileges, error);
  if (ok)
    {
      block_signals (&set);
      life.signal_fd = signalfd (-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
      life.server = rook_server_new (rook_config_ref (config), path);
      life.server->privileges = &privileges;
      rook_services_start (life.server);
      ok = run_services (&life, &privileges, plan, error);
      rook_services_stop (life.server);
      g_clear_pointer (&life.reload, rook_reload_free);
      g_clear_pointer (&life.watchdog, rook_watchdog_free);
      rook_server_free (life.server);
      close (life.signal_fd);
    }
  rook_privileges_clear (&privileges);
  return ok;
}

int
rook_life_run (const char *path)
{
  g_autoptr (RookPluginPlan) plan = NULL;
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = rook_daemon_load (path, NULL, NULL, &plan, &mistakes);
  g_autoptr (GError) error = NULL;

  if (mistakes->len > 0)
    {
      g_autofree char *text = rook_daemon_format_mistakes (mistakes, "");

      g_printerr ("%s\n", text);
      return 1;
    }
  if (run (path, config, plan, &error))
    return 0;
  g_printerr ("rookeryd: %s\n", error->message);
  return 3;
}

static void
print_remarks (RookConfig *config)
{
  g_autoptr (GPtrArray) remarks = rook_config_mistakes_new ();
  g_autofree char *text = NULL;

  rook_services_remark (config, remarks);
  text = rook_daemon_format_mistakes (remarks, "");
  if (remarks->len > 0)
    g_printerr ("%s\n", text);
}

int
rook_life_check (const char *path)
{
  g_autoptr (RookPluginPlan) plan = NULL;
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = rook_daemon_load (path, NULL, NULL, &plan, &mistakes);
  g_autofree char *text = NULL;

  if (plan != NULL)
    rook_daemon_check_all (NULL, config, plan, mistakes);
  if (mistakes->len == 0)
    {
      g_print ("%s: good\n", path);
      print_remarks (config);
      return 0;
    }
  text = rook_daemon_format_mistakes (mistakes, "");
  g_printerr ("%s\n", text);
  return 1;
}
