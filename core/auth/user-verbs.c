/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `rookctl user add|passwd|delete|list`: the users of sasldb, through the running daemon, which may write the file and is
 * the only one of us that does. rookctl reads the password itself and sends it over the control socket (0600) as the
 * last argument; it is in no argument list and in no log. While the daemon is down saslpasswd2 -f does the same.
 */
#include "auth/auth-internal.h"

#include <string.h>

#define QUEUE_MS 30000

typedef enum { USER_ADD, USER_PASSWD, USER_DELETE, USER_LIST } UserVerb;

typedef struct {
  RookAuth *auth; /* (unowned) waits for its work */
  RookControlCall *call;
  RookAuthSettings *settings; /* (owned) */
  UserVerb verb;
  char *name, *password; /* (owned) (nullable) */
  char **list;           /* (owned) (nullable) */
  GError *error;         /* (owned) (nullable) */
} UserJob;

static void
job_free (UserJob *job)
{
  rook_auth_settings_unref (job->settings);
  g_free (job->name);
  rook_auth_wipe_free (job->password);
  g_strfreev (job->list);
  g_clear_error (&job->error);
  g_free (job);
}

static void
work (gpointer data)
{
  static const RookSasldbChange changes[] = { ROOK_SASLDB_ADD, ROOK_SASLDB_PASSWORD, ROOK_SASLDB_DELETE };
  UserJob *job = data;

  if (job->verb == USER_LIST)
    job->list = rook_sasldb_list (job->settings, job->settings->sasldb_path, &job->error);
  else
    rook_sasldb_change (job->settings, changes[job->verb], job->name, job->password, &job->error);
}

static GVariant *
list_to_variant (char **list)
{
  GVariantBuilder rows;

  g_variant_builder_init (&rows, G_VARIANT_TYPE ("aa{sv}"));
  for (char **user = list; *user != NULL; user++)
    {
      g_variant_builder_open (&rows, G_VARIANT_TYPE ("a{sv}"));
      g_variant_builder_add (&rows, "{sv}", "user", g_variant_new_string (*user));
      g_variant_builder_close (&rows);
    }
  return g_variant_builder_end (&rows);
}

static void
log_change (const UserJob *job)
{
  static const char *const events[] = { "auth.user-added", "auth.password-set", "auth.user-deleted" };

  g_autofree char *user = NULL;

  if (job->auth->log != NULL && rook_auth_canonical (job->settings, job->name, -1, &user, NULL))
    rook_log_event (job->auth->log, ROOK_LOG_NOTICE, events[job->verb], "user", user, NULL);
}

/* The user can log in whatever became of the INBOX. */
static void
welcomed (const GError *error, gpointer data)
{
  UserJob *job = data;

  if (error != NULL)
    rook_control_call_fail (job->call, "user %s was added, but there is no INBOX yet: %s", job->name, error->message);
  else
    rook_control_call_done (job->call, NULL);
  job_free (job);
}

static gboolean
welcome (UserJob *job)
{
  g_autofree char *user = NULL;

  return job->verb == USER_ADD && rook_auth_canonical (job->settings, job->name, -1, &user, NULL)
         && rook_auth_welcome (job->auth, user, welcomed, job);
}

static void
done (RookPoolOutcome outcome, gpointer data)
{
  UserJob *job = data;

  rook_auth_end_work (job->auth);
  if (outcome != ROOK_POOL_RAN)
    rook_control_call_fail (job->call, "the server is busy or stopping: try again");
  else if (job->error != NULL)
    rook_control_call_fail (job->call, "%s", job->error->message);
  else if (job->verb == USER_LIST)
    rook_control_call_done (job->call, list_to_variant (job->list));
  else
    {
      log_change (job);
      if (welcome (job))
        return;
      rook_control_call_done (job->call, NULL);
    }
  job_free (job);
}

static void
run (RookAuth *auth, RookControlCall *call, UserVerb verb, const char *const *arguments)
{
  g_autoptr (RookAuthSettings) settings = rook_auth_get_settings (auth);
  UserJob *job;

  if (settings->backend != ROOK_AUTH_SASLDB && !settings->sasldb_named)
    {
      rook_control_call_fail (call, "users are kept by %s (auth/backend), not by sasldb", settings->backend_name);
      return;
    }
  job = g_new0 (UserJob, 1);
  job->auth = auth;
  job->call = call;
  job->settings = g_steal_pointer (&settings);
  job->verb = verb;
  if (verb != USER_LIST)
    job->name = g_strdup (arguments[0]);
  if (verb == USER_ADD || verb == USER_PASSWD)
    job->password = g_strdup (arguments[1]);
  rook_auth_begin_work (auth);
  if (!rook_pool_run (auth->admin_pool, QUEUE_MS, work, done, job))
    done (ROOK_POOL_EXPIRED, job);
}

static void
user_add (gpointer data, RookControlCall *call, const char *const *arguments)
{
  run (data, call, USER_ADD, arguments);
}

static void
user_passwd (gpointer data, RookControlCall *call, const char *const *arguments)
{
  run (data, call, USER_PASSWD, arguments);
}

static void
user_delete (gpointer data, RookControlCall *call, const char *const *arguments)
{
  run (data, call, USER_DELETE, arguments);
}

static void
user_list (gpointer data, RookControlCall *call, const char *const *arguments)
{
  run (data, call, USER_LIST, arguments);
}

static const RookControlVerb verbs[] = {
  { .struct_size = sizeof (RookControlVerb),
    .name = "user add",
    .arguments = "NAME PASSWORD",
    .help = "Adds a user to sasldb, and makes the INBOX (unless mailbox/autocreate is never). The password is asked "
            "for, or read from standard input.",
    .min_arguments = 2,
    .max_arguments = 2,
    .run = user_add },
  { .struct_size = sizeof (RookControlVerb),
    .name = "user passwd",
    .arguments = "NAME PASSWORD",
    .help = "Changes a user's password in sasldb. It is asked for, or read from standard input.",
    .min_arguments = 2,
    .max_arguments = 2,
    .run = user_passwd },
  { .struct_size = sizeof (RookControlVerb),
    .name = "user delete",
    .arguments = "NAME",
    .help = "Takes a user out of sasldb. Mail stays.",
    .min_arguments = 1,
    .max_arguments = 1,
    .run = user_delete },
  { .struct_size = sizeof (RookControlVerb),
    .name = "user list",
    .arguments = "",
    .help = "Lists the users of sasldb.",
    .run = user_list },
};

void
rook_auth_add_verbs (RookAuth *auth, RookControl *control)
{
  for (guint i = 0; i < G_N_ELEMENTS (verbs); i++)
    rook_control_add (control, &verbs[i], auth);
}
