/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can be wrong with `[auth]` beyond the form of its values. Changes nothing; reads the file of groups at most.
 */
#include "auth/auth-internal.h"

#include "rookery/net.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>


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
check_rest (const Check *check)
{
  const RookAuthSettings *settings = check->settings;

  if (settings->delays.first_ms > settings->delays.cap_ms)
    rook_config_add_mistake (check->mistakes, check->group, "failure-delay", ROOK_CONFIG_ERROR_CONFLICT,
                             "failure-delay is longer than failure-delay-cap");
  struct stat status;

  if (settings->groups_file == NULL)
    return;
  if (access (settings->groups_file, R_OK) != 0 || stat (settings->groups_file, &status) != 0)
    rook_config_add_mistake (check->mistakes, check->group, "groups-file", ROOK_CONFIG_ERROR_VALUE,
                             "%s can't be read: %s", settings->groups_file, g_strerror (errno));
  else if (!S_ISREG (status.st_mode))
    rook_config_add_mistake (check->mistakes, check->group, "groups-file", ROOK_CONFIG_ERROR_VALUE, "%s is no file",
                             settings->groups_file);
}

void
rook_auth_check (RookConfig *config, GPtrArray *mistakes)
{
  g_autoptr (RookAuthSettings) settings = rook_auth_settings_new (config, "localhost");
  Check check = { rook_config_get_group (config, "auth", NULL), mistakes, settings };

  check_mechanisms (&check, "mechanisms");
  check_mechanisms (&check, "client-mechanisms");
  check_any_offered (&check);
  check_people (&check, "admins");
  check_people (&check, "proxyservers");
  check_networks (&check, "failure-delay-exempt");
  check_networks (&check, "failure-delay-shared");
  check_rest (&check);
}
