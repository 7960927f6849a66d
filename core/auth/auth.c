/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The authentication service: its parts, their life, and what is counted and logged of an attempt. Three pools, so that
 * what hangs stays among its like: checks that ask somebody else, steps that read a file at most, changes of sasldb.
 */
#include "auth/auth-internal.h"

#include "control/control-private.h"
#include "rookery/server.h"

#include <sys/random.h>

G_DEFINE_QUARK (rook - auth - error - quark, rook_auth_error)

#define ADMIN_QUEUE 64
#define MARK_LENGTH 8 /* hexadecimal digits */

/* By RookAuthError; also what `reason` says in the log. */
static const char *const reasons[] = { "failed",   "unavailable", "mechanism", "privacy", "not-authorized",
                                       "protocol", "cancelled",   "disabled",  "weak" };

static RookAuth *
auth_new (RookLoop *loop, RookAuthSettings *settings)
{
  RookAuth *auth = g_new0 (RookAuth, 1);

  rook_mutex_init (&auth->lock);
  rook_cond_init (&auth->idle);
  rook_mutex_init (&auth->mailboxes_lock);
  auth->settings = settings;
  auth->pool = rook_pool_new (loop, "auth", settings->threads, settings->queue);
  auth->local_pool = rook_pool_new (loop, "auth-local", settings->threads, settings->queue);
  auth->admin_pool = rook_pool_new (loop, "auth-admin", 1, ADMIN_QUEUE);
  auth->checkers = rook_auth_checkers_new ();
  auth->throttle = rook_throttle_new ();
  if (getrandom (auth->log_key, sizeof auth->log_key, 0) != sizeof auth->log_key)
    g_error ("the system gives no random bytes");
  return auth;
}

RookAuth *
rook_auth_new_with (RookLoop *loop, RookAuthSettings *settings, RookLog *log, RookMetrics *metrics)
{
  RookAuth *auth = auth_new (loop, settings);

  auth->log = log;
  auth->metrics = metrics;
  if (metrics != NULL)
    auth->latency = rook_metrics_histogram (metrics, "auth.latency", NULL, NULL, "us",
                                            "From a client's last answer to the end of the check, delays left out");
  if (!rook_sasl_start () && log != NULL)
    rook_log_message (log, ROOK_LOG_ERROR, "auth.sasl", "libsasl2 does not start: nobody can log in");
  return auth;
}

/* For `rookctl status`. */
static GVariant *
describe (gpointer data)
{
  RookAuth *auth = data;
  g_autoptr (RookAuthSettings) settings = rook_auth_get_settings (auth);
  GVariantBuilder dict;

  g_variant_builder_init (&dict, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add_parsed (&dict, "{'backend', <%s>}", settings->backend_name);
  g_variant_builder_add_parsed (&dict, "{'checks-running', <%u>}", rook_pool_get_running (auth->pool));
  g_variant_builder_add_parsed (&dict, "{'checks-waiting', <%u>}", rook_pool_get_queued (auth->pool));
  g_variant_builder_add_parsed (&dict, "{'failures-remembered', <%u>}", rook_throttle_get_size (auth->throttle));
  return g_variant_builder_end (&dict);
}

RookAuth *
rook_auth_new (RookServer *server)
{
  g_autoptr (RookConfig) config = rook_server_get_config (server);
  RookAuthSettings *settings = rook_auth_settings_new (config, rook_server_get_hostname (server));
  RookAuth *auth = rook_auth_new_with (rook_server_get_loop (server), settings, rook_server_get_log (server),
                                       rook_server_get_metrics (server));

  auth->server = server;
  rook_auth_add_verbs (auth, rook_server_get_control (server));
  rook_control_add_status (rook_server_get_control (server), "auth", describe, auth);
  return auth;
}

/* What the pools hand back comes to the workers, this one's own among them: so it turns its context meanwhile. */
static void
wait_for_work (RookAuth *auth)
{
  RookWorker *worker = rook_worker_current ();
  gboolean busy = TRUE;

  while (busy)
    {
      if (worker != NULL)
        while (g_main_context_iteration (rook_worker_get_context (worker), FALSE))
          ;
      rook_mutex_lock (&auth->lock);
      if (auth->at_work > 0)
        rook_cond_wait_until (&auth->idle, &auth->lock, g_get_monotonic_time () + 10 * 1000);
      busy = auth->at_work > 0;
      rook_mutex_unlock (&auth->lock);
    }
}

void
rook_auth_free (RookAuth *auth)
{
  if (auth->server != NULL)
    rook_control_remove_status (rook_server_get_control (auth->server), "auth");
  rook_pool_free (auth->admin_pool);
  rook_pool_free (auth->local_pool);
  rook_pool_free (auth->pool);
  wait_for_work (auth);
  rook_auth_checkers_unref (auth->checkers);
  rook_throttle_free (auth->throttle);
  rook_auth_settings_unref (auth->settings);
  rook_mutex_clear (&auth->mailboxes_lock);
  rook_cond_clear (&auth->idle);
  rook_mutex_clear (&auth->lock);
  g_free (auth);
}

void
rook_auth_begin_work (RookAuth *auth)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&auth->lock);

  auth->at_work++;
}

void
rook_auth_end_work (RookAuth *auth)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&auth->lock);

  if (--auth->at_work == 0)
    rook_cond_signal (&auth->idle);
}

RookAuthSettings *
rook_auth_get_settings (RookAuth *auth)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&auth->lock);

  return rook_auth_settings_ref (auth->settings);
}

gboolean
rook_auth_has_backend (RookAuth *auth)
{
  g_autoptr (RookAuthSettings) settings = rook_auth_get_settings (auth);

  return settings->backend != ROOK_AUTH_CHECKER || rook_auth_checkers_has (auth->checkers, settings->backend_name);
}

static void
set_settings (RookAuth *auth, RookAuthSettings *settings)
{
  RookAuthSettings *before;

  rook_pool_set_limits (auth->pool, settings->threads, settings->queue);
  rook_pool_set_limits (auth->local_pool, settings->threads, settings->queue);
  rook_mutex_lock (&auth->lock);
  before = auth->settings;
  auth->settings = settings;
  rook_mutex_unlock (&auth->lock);
  rook_auth_settings_unref (before);
}

void
rook_auth_reconfigure (RookAuth *auth, RookConfig *config)
{
  set_settings (auth, rook_auth_settings_new (config, rook_server_get_hostname (auth->server)));
}

gboolean
rook_auth_canonical_user (RookAuth *auth, const char *name, char **out_user, GError **error)
{
  g_autoptr (RookAuthSettings) settings = rook_auth_get_settings (auth);

  g_return_val_if_fail (name != NULL && out_user != NULL, FALSE);
  return rook_auth_canonical (settings, name, -1, out_user, error);
}

/* --- mailboxes ------------------------------------------------------------------------------------------------------ */

void
rook_auth_set_mailboxes (RookAuth *auth, const RookAuthMailboxes *mailboxes, gpointer data)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&auth->mailboxes_lock);

  auth->mailboxes = mailboxes;
  auth->mailboxes_data = data;
}

gboolean
rook_auth_has_inbox (RookAuth *auth, const char *user)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&auth->mailboxes_lock);

  return auth->mailboxes != NULL && auth->mailboxes->has_inbox (auth->mailboxes_data, user);
}

gboolean
rook_auth_welcome (RookAuth *auth, const char *user, void (*done) (const GError *error, gpointer user_data),
                   gpointer user_data)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&auth->mailboxes_lock);

  if (auth->mailboxes != NULL)
    auth->mailboxes->welcome (auth->mailboxes_data, user, done, user_data);
  return auth->mailboxes != NULL;
}

/* --- what is counted and logged -------------------------------------------------------------------------------------- */

static const char *
reason_of (const GError *error)
{
  return error->domain == ROOK_AUTH_ERROR && (guint) error->code < G_N_ELEMENTS (reasons) ? reasons[error->code]
                                                                                          : "unavailable";
}

static void
count (RookAuth *auth, const RookAuthAttempt *attempt)
{
  const char *result = attempt->error != NULL ? reason_of (attempt->error) : "ok";

  rook_counter_add (rook_metrics_counter (auth->metrics, "auth.attempts", "mechanism", attempt->mechanism,
                                          "Logins attempted, by mechanism"),
                    1);
  rook_counter_add (
      rook_metrics_counter (auth->metrics, "auth.results", "result", result, "How attempts to log in ended"), 1);
  rook_histogram_add (auth->latency, (guint64) (g_get_monotonic_time () - attempt->began_us));
}

/* Whether @name is the name of somebody here, as far as memory can tell. What else was typed in its place may be a
 * password. */
static gboolean
is_known (RookAuth *auth, const char *name)
{
  g_autoptr (RookAuthSettings) settings = rook_auth_get_settings (auth);
  g_autofree char *user = NULL;

  if (!rook_auth_canonical (settings, name, -1, &user, NULL) || !g_str_equal (user, name))
    return FALSE;
  return g_hash_table_contains (settings->admins.users, user)
         || g_hash_table_contains (settings->proxyservers.users, user) || rook_auth_has_inbox (auth, user);
}

/* The same for the same name until the server stops; nobody can guess the name from it. (transfer full) */
static char *
mark_of (RookAuth *auth, const char *name)
{
  char *mark = g_compute_hmac_for_string (G_CHECKSUM_SHA256, auth->log_key, sizeof auth->log_key, name, -1);

  mark[MARK_LENGTH] = '\0';
  return mark;
}

static void
log_failure (RookAuth *auth, const RookAuthAttempt *attempt)
{
  const RookAuthPeer *peer = attempt->peer;
  gboolean named = attempt->user != NULL && *attempt->user != '\0';
  gboolean known = named && is_known (auth, attempt->user);
  gboolean ours = g_error_matches (attempt->error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_UNAVAILABLE);
  g_autofree char *mark = named && !known ? mark_of (auth, attempt->user) : NULL;
  const char *wanted = attempt->wanted;

  if (wanted != NULL && !is_known (auth, wanted))
    wanted = "?";

  rook_log_event (auth->log, ours ? ROOK_LOG_WARNING : ROOK_LOG_NOTICE, "auth.failed", "conn", peer->id, "protocol",
                  peer->protocol, "user",
                  known   ? attempt->user
                  : named ? "?"
                          : NULL,
                  "tried", mark, "authzid", wanted, "address", peer->address, "mechanism", attempt->mechanism, "reason",
                  reason_of (attempt->error), "detail", attempt->error->message, NULL);
}

void
rook_auth_note (RookAuth *auth, const RookAuthAttempt *attempt)
{
  const RookAuthPeer *peer = attempt->peer;

  if (auth->metrics != NULL)
    count (auth, attempt);
  if (auth->log == NULL)
    return;
  if (attempt->error != NULL)
    log_failure (auth, attempt);
  else
    rook_log_event (auth->log, ROOK_LOG_INFO, "auth.ok", "conn", peer->id, "protocol", peer->protocol, "user",
                    rook_identity_get_user (attempt->identity), "authcid",
                    rook_identity_is_proxied (attempt->identity) ? rook_identity_get_authcid (attempt->identity) : NULL,
                    "address", peer->address, "mechanism", attempt->mechanism, "tls", peer->has_tls ? "yes" : "no",
                    NULL);
}
