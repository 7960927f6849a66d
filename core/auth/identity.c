/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Identities: who somebody is, as whom they act, in which groups; and the one place that decides who may act as whom.
 */
#include "auth/auth-internal.h"

struct RookIdentity {
  gint references;  /* atomic */
  char *user;       /* (owned) */
  char *authcid;    /* (owned) */
  char **groups;    /* (owned) sorted */
  char *connection; /* (owned) (nullable) its id */
  char *protocol;   /* (owned) (nullable) */
  gboolean admin, proxied;
};

RookIdentity *
rook_identity_new_full (const char *user, const char *authcid, const char *const *groups, gboolean admin,
                        gboolean proxied)
{
  static const char *const none[] = { NULL };
  RookIdentity *identity = g_new0 (RookIdentity, 1);

  identity->references = 1;
  identity->user = g_strdup (user);
  identity->authcid = g_strdup (authcid);
  identity->groups = g_strdupv ((char **) (groups != NULL ? groups : none));
  identity->admin = admin;
  identity->proxied = proxied;
  return identity;
}

RookIdentity *
rook_identity_new (const char *user, const char *authcid, const char *const *groups, gboolean admin)
{
  g_return_val_if_fail (user != NULL && authcid != NULL, NULL);

  return rook_identity_new_full (user, authcid, groups, admin, !g_str_equal (user, authcid));
}

RookIdentity *
rook_identity_ref (RookIdentity *identity)
{
  g_atomic_int_inc (&identity->references);
  return identity;
}

void
rook_identity_unref (RookIdentity *identity)
{
  if (!g_atomic_int_dec_and_test (&identity->references))
    return;
  g_free (identity->user);
  g_free (identity->authcid);
  g_strfreev (identity->groups);
  g_free (identity->connection);
  g_free (identity->protocol);
  g_free (identity);
}

void
rook_identity_set_origin (RookIdentity *identity, const char *connection, const char *protocol)
{
  g_return_if_fail (identity->connection == NULL && identity->protocol == NULL);

  identity->connection = g_strdup (connection);
  identity->protocol = g_strdup (protocol);
}

const char *
rook_identity_get_connection (const RookIdentity *identity)
{
  return identity->connection;
}

const char *
rook_identity_get_protocol (const RookIdentity *identity)
{
  return identity->protocol;
}

const char *
rook_identity_get_user (const RookIdentity *identity)
{
  return identity->user;
}

const char *
rook_identity_get_authcid (const RookIdentity *identity)
{
  return identity->authcid;
}

gboolean
rook_identity_is_admin (const RookIdentity *identity)
{
  return identity->admin;
}

gboolean
rook_identity_is_proxied (const RookIdentity *identity)
{
  return identity->proxied;
}

gboolean
rook_identity_in_group (const RookIdentity *identity, const char *group)
{
  return g_strv_contains ((const char *const *) identity->groups, group);
}

const char *const *
rook_identity_get_groups (const RookIdentity *identity)
{
  return (const char *const *) identity->groups;
}

static gboolean
may_act_as_others (const RookAuthSettings *settings, const char *authcid)
{
  g_auto (GStrv) groups = rook_auth_groups_of (settings, authcid);
  const char *const *list = (const char *const *) groups;

  return rook_auth_people_have (&settings->admins, authcid, list)
         || rook_auth_people_have (&settings->proxyservers, authcid, list);
}

RookIdentity *
rook_auth_authorize (const RookAuthSettings *settings, const char *authcid, const char *user, GError **error)
{
  gboolean proxied = !g_str_equal (authcid, user);
  g_auto (GStrv) groups = NULL;
  const char *const *list;

  if (proxied && !may_act_as_others (settings, authcid))
    {
      g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_NOT_AUTHORIZED, "May not act as that user");
      return NULL;
    }
  groups = rook_auth_groups_of (settings, user);
  list = (const char *const *) groups;
  return rook_identity_new_full (user, authcid, list, rook_auth_people_have (&settings->admins, user, list), proxied);
}
