/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can be wrong with `[auth]` beyond the form of its values. Changes nothing; reads the file of groups at most.
 */
#include "auth/auth-internal.h"

#include "rookery/net.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "auth/auth-private.h"
#include "config/config-private.h"
#include "net/tls-context.h"

typedef struct {
  RookConfigGroup *group;
  GPtrArray *mistakes;
  const RookAuthSettings *settings;
} Check;

static void
check_mechanisms (const Check *check, const char *key)
{
  const char *const *names = rook_config_group_get_list (check->group, key);

  for (; rook_config_group_is_set (check->group, key) && *names != NULL; names++)
    {
      g_autofree char *upper = g_ascii_strup (*names, -1);

      if (!rook_mechanism_is_installed (upper))
        rook_config_add_mistake (check->mistakes, check->group, key, ROOK_CONFIG_ERROR_VALUE,
                                 "libsasl2 has no mechanism %s here", *names);
    }
}

/* A backend that is asked for passwords, rather than knowing them, can't do what needs to know them. An empty list says that
 * nobody is to log in. */
static void
check_any_offered (const Check *check)
{
  const RookAuthSettings *settings = check->settings;

  if (settings->mechanisms[0] == NULL)
    return;
  for (char **name = settings->mechanisms; *name != NULL; name++)
    if (rook_mechanism_is_installed (*name)
        && ((rook_mechanism_get_traits (*name) & ROOK_MECHANISM_SECRET) == 0 || settings->backend == ROOK_AUTH_SASLDB))
      return;
  rook_config_add_mistake (check->mistakes, check->group, "mechanisms", ROOK_CONFIG_ERROR_CONFLICT,
                           "none of these can be offered with backend %s, so nobody could log in: name PLAIN and "
                           "LOGIN too, or set backend=sasldb",
                           settings->backend_name);
}

static void
check_people (const Check *check, const char *key)
{
  for (const char *const *name = rook_config_group_get_list (check->group, key); *name != NULL; name++)
    {
      g_autofree char *user = NULL;

      if (g_str_has_prefix (*name, "group:") ? (*name)[strlen ("group:")] == '\0'
                                             : !rook_auth_canonical (check->settings, *name, -1, &user, NULL))
        rook_config_add_mistake (check->mistakes, check->group, key, ROOK_CONFIG_ERROR_VALUE,
                                 "%s can be no user's name", *name);
    }
}

static void
check_networks (const Check *check, const char *key)
{
  g_autoptr (GError) error = NULL;

  if (!rook_net_check_networks (rook_config_group_get_list (check->group, key), &error))
    rook_config_add_mistake (check->mistakes, check->group, key, ROOK_CONFIG_ERROR_VALUE, "%s", error->message);
}

static void
check_realm (const Check *check, const char *key, const char *realm)
{
  g_autofree char *quoted = rook_config_quote (realm);

  if (!rook_auth_is_domain (realm))
    rook_config_add_mistake (check->mistakes, check->group, key, ROOK_CONFIG_ERROR_VALUE,
                             "%s can be no realm: no user's name could end in it", quoted);
}

static void
check_realms (const Check *check)
{
  const char *realm = rook_config_group_get_string (check->group, "default-realm");

  if (realm != NULL && *realm != '\0')
    check_realm (check, "default-realm", realm);
  for (const char *const *other = rook_config_group_get_list (check->group, "realms"); *other != NULL; other++)
    check_realm (check, "realms", *other);
}

static void
check_paths (const Check *check, const char *sasldb)
{
  const struct sockaddr_un address;
  const RookAuthSettings *settings = check->settings;

  if (settings->saslauthd_socket != NULL && strlen (settings->saslauthd_socket) >= sizeof address.sun_path)
    rook_config_add_mistake (check->mistakes, check->group, "saslauthd-socket", ROOK_CONFIG_ERROR_VALUE,
                             "the path is too long for a socket");
  if (sasldb != NULL && g_file_test (sasldb, G_FILE_TEST_EXISTS) && !rook_sasldb_is_file (sasldb))
    rook_config_add_mistake (check->mistakes, check->group, "sasldb-path", ROOK_CONFIG_ERROR_VALUE, "%s is no file",
                             sasldb);
}

static void
check_rest (const Check *check)
{
  const RookAuthSettings *settings = check->settings;

  if (settings->delays.first_ms > settings->delays.cap_ms)
    rook_config_add_mistake (check->mistakes, check->group, "failure-delay", ROOK_CONFIG_ERROR_CONFLICT,
                             "failure-delay is longer than failure-delay-cap");
}

/* Who may write to it says who is an administrator (group:NAME in auth/admins). */
static void
check_groups_file (const Check *check)
{
  const char *path = check->settings->groups_file;
  g_autoptr (GError) error = NULL;

  if (path == NULL)
    return;
  if (access (path, R_OK) != 0)
    rook_config_add_mistake (check->mistakes, check->group, "groups-file", ROOK_CONFIG_ERROR_VALUE,
                             "%s can't be read: %s", path, g_strerror (errno));
  else if (!rook_tls_check_trusted_file (path, rook_tls_get_server_user (check->group->config), &error))
    rook_config_add_mistake (check->mistakes, check->group, "groups-file", ROOK_CONFIG_ERROR_VALUE, "%s",
                             error->message);
}

void
rook_auth_check (RookConfig *config, GPtrArray *mistakes)
{
  g_autoptr (RookAuthSettings) settings = rook_auth_settings_new (config, "localhost");
  g_autofree char *sasldb = rook_auth_dup_sasldb_path (config);
  Check check = { rook_config_get_group (config, "auth", NULL), mistakes, settings };

  check_mechanisms (&check, "mechanisms");
  check_mechanisms (&check, "client-mechanisms");
  check_any_offered (&check);
  check_people (&check, "admins");
  check_people (&check, "proxyservers");
  check_networks (&check, "failure-delay-exempt");
  check_networks (&check, "failure-delay-shared");
  check_realms (&check);
  check_paths (&check, sasldb);
  check_rest (&check);
  check_groups_file (&check);
}
