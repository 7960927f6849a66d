/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Password checkers that plugins registered, by name. A check runs on the auth pool with a reference to its plugin, so
 * the plugin's drain waits for it; a checker that is gone, or not there yet, is "try again later".
 */
#include "auth/auth-internal.h"

#include "plugin/plugin-private.h"
#include "rookery/thread.h"

typedef struct {
  const RookPasswordChecker *checker; /* (unowned) constant */
  gpointer data;
  RookPlugin *plugin; /* (nullable) (unowned) */
} Entry;

struct RookAuthCheckers {
  gint references;   /* atomic */
  RookMutex lock;    /* guards entries */
  GHashTable *names; /* (owned) of Entry, by name */
};

RookAuthCheckers *
rook_auth_checkers_new (void)
{
  RookAuthCheckers *self = g_new0 (RookAuthCheckers, 1);

  self->references = 1;
  rook_mutex_init (&self->lock);
  self->names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return self;
}

RookAuthCheckers *
rook_auth_checkers_ref (RookAuthCheckers *checkers)
{
  g_atomic_int_inc (&checkers->references);
  return checkers;
}

void
rook_auth_checkers_unref (RookAuthCheckers *checkers)
{
  if (!g_atomic_int_dec_and_test (&checkers->references))
    return;
  g_hash_table_unref (checkers->names);
  rook_mutex_clear (&checkers->lock);
  g_free (checkers);
}

static gboolean
is_good (const RookPasswordChecker *checker)
{
  return ROOK_STRUCT_HAS (checker, RookPasswordChecker, check) && checker->name != NULL && *checker->name != '\0'
         && checker->check != NULL && !g_str_equal (checker->name, "saslauthd")
         && !g_str_equal (checker->name, "sasldb");
}

gboolean
rook_auth_checkers_add (RookAuthCheckers *checkers, const RookPasswordChecker *checker, gpointer data,
                        RookPlugin *plugin, GError **error)
{
  Entry *entry;
  gboolean taken;

  if (!is_good (checker))
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT,
                   "a password checker needs a function and a name other than saslauthd and sasldb");
      return FALSE;
    }
  entry = g_new0 (Entry, 1);
  *entry = (Entry){ checker, data, plugin };
  rook_mutex_lock (&checkers->lock);
  taken = g_hash_table_contains (checkers->names, checker->name);
  if (!taken)
    g_hash_table_insert (checkers->names, g_strdup (checker->name), g_steal_pointer (&entry));
  rook_mutex_unlock (&checkers->lock);
  g_free (entry);
  if (taken)
    g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT, "password checker %s is there already",
                 checker->name);
  return !taken;
}

void
rook_auth_checkers_remove (RookAuthCheckers *checkers, const char *name)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&checkers->lock);

  g_hash_table_remove (checkers->names, name);
}

gboolean
rook_auth_checkers_has (RookAuthCheckers *checkers, const char *name)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&checkers->lock);

  return g_hash_table_contains (checkers->names, name);
}

/* A copy of the entry, with a reference to its plugin. */
static gboolean
take (RookAuthCheckers *checkers, const char *name, Entry *out_entry)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&checkers->lock);
  const Entry *entry = g_hash_table_lookup (checkers->names, name);

  if (entry == NULL)
    return FALSE;
  *out_entry = *entry;
  if (entry->plugin != NULL)
    rook_plugin_ref (entry->plugin);
  return TRUE;
}

/* What the checker says of itself is held to its contract: one of three errors, or success without one. */
static gboolean
judge (const char *name, gboolean ok, GError *said, GError **error)
{
  if (ok && said == NULL)
    return TRUE;
  if (!ok
      && (g_error_matches (said, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_FAILED)
          || g_error_matches (said, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_UNAVAILABLE)
          || g_error_matches (said, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_DISABLED)))
    {
      g_propagate_error (error, said);
      return FALSE;
    }
  g_set_error (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_UNAVAILABLE, "password checker %s breaks its contract: %s", name,
               said != NULL ? said->message : "no error");
  g_clear_error (&said);
  return FALSE;
}

gboolean
rook_auth_checkers_check (RookAuthCheckers *checkers, const char *name, const char *service, const char *user,
                          const char *realm, const char *password, GError **error)
{
  Entry entry;
  GError *said = NULL;
  gboolean ok;

  if (!take (checkers, name, &entry))
    {
      g_set_error (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_UNAVAILABLE, "no plugin provides password checker %s", name);
      return FALSE;
    }
  ok = entry.checker->check (entry.data, service, user, realm, password, &said);
  if (entry.plugin != NULL)
    rook_plugin_unref (entry.plugin);
  return judge (name, ok, said, error);
}

/* --- registration by plugins -------------------------------------------------------------------------------------- */

typedef struct {
  RookAuthCheckers *checkers; /* (owned) */
  char *name;                 /* (owned) */
} Registration;

/* What is at work finishes; whoever comes later is told to try again. */
static void
stop_checking (gpointer data)
{
  Registration *registration = data;

  rook_auth_checkers_remove (registration->checkers, registration->name);
}

static void
take_back (gpointer data)
{
  Registration *registration = data;

  stop_checking (registration);
  rook_auth_checkers_unref (registration->checkers);
  g_free (registration->name);
  g_free (registration);
}

gboolean
rook_plugin_add_password_checker (RookPlugin *self, const RookPasswordChecker *checker, gpointer data, GError **error)
{
  RookAuth *auth = rook_server_get_auth (rook_plugin_get_server (self));
  Registration *registration;

  g_return_val_if_fail (checker != NULL, FALSE);
  if (!rook_plugin_may_register (self, "password checker", error)
      || (checker->name != NULL && !rook_plugin_check_offer (self, ROOK_OFFER_CHECKER, checker->name, error))
      || !rook_auth_checkers_add (auth->checkers, checker, data, self, error))
    return FALSE;
  registration = g_new0 (Registration, 1);
  registration->checkers = rook_auth_checkers_ref (auth->checkers);
  registration->name = g_strdup (checker->name);
  rook_plugin_on_drain (self, stop_checking, NULL, registration);
  rook_plugin_on_undo (self, take_back, registration);
  return TRUE;
}
