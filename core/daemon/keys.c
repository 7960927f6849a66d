/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The keys of `[server]`: where the daemon lives, as whom it runs, how much it takes.
 */
#include <string.h>

#include "config/config-private.h"
#include "daemon/server-private.h"
#include "installdirs.h"

static const RookConfigKey server_keys[] = {
  { .name = "state-directory",
    .type = ROOK_CONFIG_PATH,
    .default_value = ROOK_STATEDIR,
    .change = ROOK_CONFIG_SERVER_RESTART,
    .help = "Where the server keeps what must survive: the state store, job times, cursors. Made if missing, for the"
            " server's user alone." },
  { .name = "run-directory",
    .type = ROOK_CONFIG_PATH,
    .default_value = ROOK_RUNDIR,
    .change = ROOK_CONFIG_SERVER_RESTART,
    .help = "Where the control socket lies. Made if missing." },
  { .name = "plugin-directory",
    .type = ROOK_CONFIG_PATH,
    .default_value = ROOK_PLUGINDIR,
    .change = ROOK_CONFIG_SERVER_RESTART,
    .help = "Where plugin modules are looked for." },
  { .name = "user",
    .type = ROOK_CONFIG_STRING,
    .default_value = "rookery",
    .min = 1,
    .max = 64,
    .change = ROOK_CONFIG_SERVER_RESTART,
    .help = "The user to run as when started as root; its groups come with it. Without meaning otherwise." },
  { .name = "hostname",
    .type = ROOK_CONFIG_STRING,
    .min = 1,
    .max = 255,
    .change = ROOK_CONFIG_SERVER_RESTART,
    .help = "The name to greet with and to know oneself by. Default: the machine's." },
  { .name = "workers",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "0",
    .max = 1024,
    .change = ROOK_CONFIG_SERVER_RESTART,
    .help = "Threads that serve connections; 0 for one a core." },
  { .name = "pool-threads",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "16",
    .min = 1,
    .max = 1024,
    .change = ROOK_CONFIG_LIVE,
    .help = "Threads at most for disk reads, name lookups and other work that may block." },
  { .name = "pool-queue",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "10000",
    .min = 1,
    .max = 10000000,
    .change = ROOK_CONFIG_LIVE,
    .help = "How many pieces of such work may wait before more is refused for now." },
  { .name = "drain-timeout",
    .type = ROOK_CONFIG_DURATION,
    .default_value = "30s",
    .max = 86400000,
    .unit = "s",
    .change = ROOK_CONFIG_LIVE,
    .help = "How long sessions may finish what they are doing when a plugin or the server stops." },
  { .name = "max-open-files",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "0",
    .max = 100000000,
    .change = ROOK_CONFIG_SERVER_RESTART,
    .help = "Descriptors that the server may have open; 0 for as many as the system's hard limit allows."
            " Connections leave 5% of them, and at least 64, to stores and whatever else needs some." },
  { .name = "core-dumps",
    .type = ROOK_CONFIG_BOOLEAN,
    .default_value = "false",
    .change = ROOK_CONFIG_SERVER_RESTART,
    .help = "Whether a crash may leave a core file, which holds mail and passwords that were in memory." },
  { .name = NULL },
};

/* A domain name, or an address in brackets: it is sent to clients, in lines. */
static gboolean
is_host_name (const char *name)
{
  const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  gboolean literal = name[0] == '[' && g_str_has_suffix (name, "]");
  g_autofree char *inner = literal ? g_strndup (name + 1, strlen (name) - 2) : g_strdup (name);
  g_autofree char *allowed = g_strconcat (letters, literal ? "-.:" : "-._", NULL);

  return *inner != '\0' && inner[strspn (inner, allowed)] == '\0' && *inner != '.' && strstr (inner, "..") == NULL;
}

void
rook_server_check (RookConfig *config, GPtrArray *mistakes)
{
  RookConfigGroup *group = rook_config_get_group (config, "server", NULL);
  const char *hostname = group != NULL ? rook_config_group_get_string (group, "hostname") : NULL;

  if (hostname != NULL && !is_host_name (hostname))
    rook_config_add_mistake (mistakes, group, "hostname", ROOK_CONFIG_ERROR_VALUE,
                             "can be no host's name: letters, digits, hyphens and single dots make one");
}

const RookConfigSchema rook_server_schemas[] = {
  { .struct_size = sizeof (RookConfigSchema),
    .name = "server",
    .keys = server_keys,
    .help = "The daemon: its places, its user, its size." },
  { .name = NULL },
};
