/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libsasl2, started once for the process: it has global state of its own, which is why this file alone of the core has
 * some too. It reads no configuration file: it is started without an application's name, and each option it asks for
 * is answered here, from the settings of the exchange at hand. It is never shut down, since unloading its plugins under
 * threads that may still be in them has nothing to give.
 */
#include "auth/auth-internal.h"

#include "rookery/thread.h"

#include <string.h>

static void *
mutex_new (void)
{
  RookMutex *mutex = g_new0 (RookMutex, 1);

  rook_mutex_init (mutex);
  return mutex;
}

static int
mutex_lock (void *mutex)
{
  rook_mutex_lock (mutex);
  return SASL_OK;
}

static int
mutex_unlock (void *mutex)
{
  rook_mutex_unlock (mutex);
  return SASL_OK;
}

static void
mutex_free (void *mutex)
{
  rook_mutex_clear (mutex);
  g_free (mutex);
}

/* Its messages say what the results say already, some with names of users that do not exist. */
int
rook_sasl_quiet (G_GNUC_UNUSED void *context, G_GNUC_UNUSED int level, G_GNUC_UNUSED const char *message)
{
  return SASL_OK;
}

static const char *
option_value (const RookSaslOptions *options, const char *option)
{
  gboolean secrets = options != NULL && options->secrets;

  if (g_str_equal (option, "pwcheck_method"))
    return "auxprop";
  if (g_str_equal (option, "auxprop_plugin"))
    return !secrets ? ROOK_SASL_NOTHING : options->admin ? "sasldb" : "sasldb " ROOK_SASL_DECOY;
  if (g_str_equal (option, "sasldb_path"))
    return !secrets                       ? "/nonexistent"
           : options->sasldb_path != NULL ? options->sasldb_path
                                          : options->settings->sasldb_path;
  if (g_str_equal (option, "canon_user_plugin"))
    return "INTERNAL";
  if (g_str_equal (option, "log_level"))
    return "1";
  if (g_str_equal (option, "auto_transition"))
    return "no";
  return NULL;
}

int
rook_sasl_getopt (void *context, G_GNUC_UNUSED const char *plugin, const char *option, const char **result,
                  unsigned *length)
{
  const char *value = option_value (context, option);

  if (value == NULL)
    return SASL_FAIL;
  *result = value;
  if (length != NULL)
    *length = (unsigned) strlen (value);
  return SASL_OK;
}

static const sasl_callback_t global_callbacks[] = {
  { SASL_CB_GETOPT, ROOK_SASL_PROC (rook_sasl_getopt), NULL },
  { SASL_CB_LOG, ROOK_SASL_PROC (rook_sasl_quiet), NULL },
  { SASL_CB_LIST_END, NULL, NULL },
};

static pthread_once_t started = PTHREAD_ONCE_INIT;
static gboolean runs;

static void
start (void)
{
  sasl_set_mutex (mutex_new, mutex_lock, mutex_unlock, mutex_free);
  runs = sasl_server_init (global_callbacks, NULL) == SASL_OK && rook_sasl_add_plugins () == SASL_OK
         && sasl_client_init (global_callbacks) == SASL_OK;
}

gboolean
rook_sasl_start (void)
{
  pthread_once (&started, start);
  return runs;
}

RookAuthError
rook_sasl_error_code (int result)
{
  switch (result)
    {
    case SASL_BADAUTH:
    case SASL_NOUSER:
    case SASL_NOVERIFY:
    case SASL_TRANS:
    case SASL_BADBINDING:
      return ROOK_AUTH_ERROR_FAILED;
    case SASL_NOAUTHZ:
      return ROOK_AUTH_ERROR_NOT_AUTHORIZED;
    case SASL_NOMECH:
      return ROOK_AUTH_ERROR_MECHANISM;
    case SASL_ENCRYPT:
      return ROOK_AUTH_ERROR_PRIVACY;
    case SASL_TOOWEAK:
    case SASL_WEAKPASS:
      return ROOK_AUTH_ERROR_WEAK;
    case SASL_EXPIRED:
    case SASL_DISABLED:
    case SASL_PWLOCK:
      return ROOK_AUTH_ERROR_DISABLED;
    case SASL_BADPROT:
    case SASL_BADPARAM:
    case SASL_BADSERV:
      return ROOK_AUTH_ERROR_PROTOCOL;
    default:
      return ROOK_AUTH_ERROR_UNAVAILABLE;
    }
}
