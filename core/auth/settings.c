/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `[auth]`: the table of its keys, and the immutable struct that everybody in this folder reads instead. An exchange
 * keeps the settings it began with, so a reload in the middle of one changes nothing under it.
 */
#include "auth/auth-internal.h"

static const RookConfigKey auth_keys[] = {
  { .name = "backend",
    .type = ROOK_CONFIG_STRING,
    .default_value = "saslauthd",
    .min = 1,
    .max = 64,
    .help = "Who checks passwords: saslauthd, sasldb, or the name of a checker that a plugin provides." },
  { .name = "mechanisms",
    .type = ROOK_CONFIG_LIST,
    .default_value = "PLAIN;LOGIN;SCRAM-SHA-256-PLUS;SCRAM-SHA-256;SCRAM-SHA-1-PLUS;SCRAM-SHA-1;EXTERNAL",
    .help = "SASL mechanisms that may be used. Offered are those of them that are installed, that the backend can "
            "complete (saslauthd and checkers: PLAIN and LOGIN) and that the connection allows (-PLUS: under TLS, to "
            "which the login is then bound: take these out where TLS is ended by something in front of the server and "
            "begun anew). Empty: nobody logs in by SASL." },
  { .name = "client-mechanisms",
    .type = ROOK_CONFIG_LIST,
    .default_value = "EXTERNAL;SCRAM-SHA-512;SCRAM-SHA-256;SCRAM-SHA-1;PLAIN;LOGIN",
    .help =
        "Mechanisms to log in with at other servers, the best first. SCRAM-SHA-256-PLUS and the like bind the login "
        "to the TLS connection; servers of Cyrus 3.6 can't do that under TLS 1.3." },
  { .name = "default-realm",
    .type = ROOK_CONFIG_STRING,
    .max = 253,
    .help = "The domain that user names without one belong to. Without it: the server's host name, as saslpasswd2 has "
            "it." },
  { .name = "realms", .type = ROOK_CONFIG_LIST, .default_value = "", .help = "Further domains that users may have." },
  { .name = "virtual-domains",
    .type = ROOK_CONFIG_BOOLEAN,
    .default_value = "false",
    .help = "Whether users may be of any domain; alice@a.example and alice@b.example are then two people." },
  { .name = "lower-case",
    .type = ROOK_CONFIG_BOOLEAN,
    .default_value = "true",
    .help =
        "Whether Alice and alice are one person, whose mailboxes are alice's: at login and for mail that comes in. "
        "sasldb has one password for both then. saslauthd and password checkers are asked for the name as the client "
        "spells it, for to them, as to the system, they may be two." },
  { .name = "admins",
    .type = ROOK_CONFIG_LIST,
    .default_value = "",
    .help = "Users (or group:NAME) who administer the server, and may act as any user." },
  { .name = "proxyservers",
    .type = ROOK_CONFIG_LIST,
    .default_value = "",
    .help = "Users (or group:NAME) who may act as any user without being administrators themselves: frontends." },
  { .name = "system-groups",
    .type = ROOK_CONFIG_BOOLEAN,
    .default_value = "true",
    .help = "Whether users are in the groups that the system has them in (group(5), LDAP by NSS)." },
  { .name = "groups-file",
    .type = ROOK_CONFIG_PATH,
    .help = "A file of more groups, a line each: NAME: USER, USER ... It is root's or the server's user's, and nobody "
            "else may "
            "write to it, since it may say who is an administrator." },
  { .name = "allow-plaintext-on-loopback",
    .type = ROOK_CONFIG_BOOLEAN,
    .default_value = "false",
    .help = "Whether passwords may be sent without TLS from this very machine." },
  { .name = "minimum-ssf",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "0",
    .max = 1024,
    .help = "Bits of encryption, by TLS or by the mechanism, below which nobody may log in." },
  { .name = "maximum-ssf",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "256",
    .max = 1024,
    .help = "The strongest security layer that a mechanism itself may bring (DIGEST-MD5, GSSAPI); 0: none. Under TLS "
            "there is never one." },
  { .name = "maximum-response",
    .type = ROOK_CONFIG_SIZE,
    .default_value = "16K",
    .min = 1024,
    .max = 1024 * 1024,
    .help = "The largest single answer of a client in an exchange, in base64." },
  { .name = "saslauthd-socket",
    .type = ROOK_CONFIG_PATH,
    .default_value = "/run/saslauthd/mux",
    .help = "The socket of saslauthd." },
  { .name = "saslauthd-timeout",
    .type = ROOK_CONFIG_DURATION,
    .default_value = "10s",
    .min = 10,
    .max = 600 * 1000,
    .unit = "s",
    .help = "How long saslauthd may think about one password." },
  { .name = "sasldb-path",
    .type = ROOK_CONFIG_PATH,
    .help =
        "The password file of backend sasldb, as saslpasswd2 -f has it. Default: sasldb2 in server/state-directory." },
  { .name = "threads",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "16",
    .min = 1,
    .max = 1024,
    .help = "How many passwords may be checked at once." },
  { .name = "queue",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "1024",
    .min = 1,
    .max = 1000000,
    .help = "How many logins may wait for a thread; more are told to try again later." },
  { .name = "queue-deadline",
    .type = ROOK_CONFIG_DURATION,
    .default_value = "10s",
    .min = 10,
    .max = 600 * 1000,
    .unit = "s",
    .help = "How long a login may wait for a thread before it is told to try again later." },
  { .name = "failure-delay",
    .type = ROOK_CONFIG_DURATION,
    .default_value = "1s",
    .max = 600 * 1000,
    .unit = "s",
    .help = "How long the next answer is held back after a failed login; 0: never." },
  { .name = "failure-delay-growth",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "200",
    .min = 100,
    .max = 1000,
    .help = "What each further failure makes of that, in per cent: 200 doubles it." },
  { .name = "failure-delay-cap",
    .type = ROOK_CONFIG_DURATION,
    .default_value = "30s",
    .max = 3600 * 1000,
    .unit = "s",
    .help = "The longest that an answer is held back." },
  { .name = "failure-memory",
    .type = ROOK_CONFIG_DURATION,
    .default_value = "30m",
    .min = 1000,
    .max = G_GINT64_CONSTANT (7) * 24 * 3600 * 1000,
    .unit = "s",
    .help = "After how long without another failure all is forgotten." },
  { .name = "failure-table",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "65536",
    .min = 16,
    .max = 10000000,
    .help = "How many addresses, and users by address, are remembered at most; the oldest go first." },
  { .name = "failure-address-tolerance",
    .type = ROOK_CONFIG_INTEGER,
    .default_value = "10",
    .max = 1000000,
    .help = "Failures that an address (of IPv6, a /64) has free before all of its users are slowed down. A user from "
            "that address has none." },
  { .name = "failure-delay-exempt",
    .type = ROOK_CONFIG_LIST,
    .default_value = "unix",
    .help = "Networks that are never slowed down." },
  { .name = "failure-delay-shared",
    .type = ROOK_CONFIG_LIST,
    .default_value = "127.0.0.0/8;::1",
    .help = "Networks behind whose addresses many people sit (webmail, frontends): there only a user from that address "
            "is slowed down, never the address." },
  { .name = NULL },
};

const RookConfigSchema rook_auth_schemas[] = {
  { .struct_size = sizeof (RookConfigSchema),
    .name = "auth",
    .keys = auth_keys,
    .help = "Who may log in, and how that is found out. All of it changes live." },
  { .name = NULL },
};

static void
people_init (RookAuthPeople *people, const RookAuthSettings *settings, const char *const *names)
{
  g_autoptr (GStrvBuilder) groups = g_strv_builder_new ();

  people->users = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (; *names != NULL; names++)
    {
      char *user;

      if (g_str_has_prefix (*names, "group:"))
        g_strv_builder_add (groups, *names + strlen ("group:"));
      else if (rook_auth_canonical (settings, *names, -1, &user, NULL))
        g_hash_table_add (people->users, user);
    }
  people->groups = g_strv_builder_end (groups);
}

static void
people_clear (RookAuthPeople *people)
{
  g_clear_pointer (&people->users, g_hash_table_unref);
  g_clear_pointer (&people->groups, g_strfreev);
}

static char **
upper_case (const char *const *names)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  for (; *names != NULL; names++)
    {
      g_autofree char *name = g_ascii_strup (*names, -1);

      g_strv_builder_add (builder, name);
    }
  return g_strv_builder_end (builder);
}

static void
read_realms (RookAuthSettings *self, RookConfigGroup *group, const char *hostname)
{
  const char *default_realm = rook_config_group_get_string (group, "default-realm");

  self->hostname = g_ascii_strdown (hostname, -1);
  self->default_realm = g_ascii_strdown (default_realm != NULL ? default_realm : "", -1);
  self->realm = g_strdup (*self->default_realm != '\0' ? self->default_realm : self->hostname);
  self->lower_case = rook_config_group_get_boolean (group, "lower-case");
  self->virtual_domains = rook_config_group_get_boolean (group, "virtual-domains");
  self->realms = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (const char *const *realm = rook_config_group_get_list (group, "realms"); *realm != NULL; realm++)
    g_hash_table_add (self->realms, g_ascii_strdown (*realm, -1));
}

static void
read_people (RookAuthSettings *self, RookConfigGroup *group)
{
  people_init (&self->admins, self, rook_config_group_get_list (group, "admins"));
  people_init (&self->proxyservers, self, rook_config_group_get_list (group, "proxyservers"));
  self->system_groups = rook_config_group_get_boolean (group, "system-groups");
  self->groups_file = g_strdup (rook_config_group_get_string (group, "groups-file"));
}

static char *
sasldb_path (RookConfigGroup *group, RookConfigGroup *server)
{
  const char *path = rook_config_group_get_string (group, "sasldb-path");

  if (path != NULL)
    return g_strdup (path);
  return g_build_filename (rook_config_group_get_string (server, "state-directory"), "sasldb2", NULL);
}

char *
rook_auth_dup_sasldb_path (RookConfig *config)
{
  RookConfigGroup *group = rook_config_get_group (config, "auth", NULL);

  if (!g_str_equal (rook_config_group_get_string (group, "backend"), "sasldb")
      && !rook_config_group_is_set (group, "sasldb-path"))
    return NULL;
  return sasldb_path (group, rook_config_get_group (config, "server", NULL));
}

static void
read_backend (RookAuthSettings *self, RookConfigGroup *group, RookConfigGroup *server)
{
  self->backend_name = g_strdup (rook_config_group_get_string (group, "backend"));
  self->backend = ROOK_AUTH_CHECKER;
  if (g_str_equal (self->backend_name, "saslauthd"))
    self->backend = ROOK_AUTH_SASLAUTHD;
  else if (g_str_equal (self->backend_name, "sasldb"))
    self->backend = ROOK_AUTH_SASLDB;
  self->saslauthd_socket = g_strdup (rook_config_group_get_string (group, "saslauthd-socket"));
  self->saslauthd_timeout_ms = (guint) rook_config_group_get_duration_ms (group, "saslauthd-timeout");
  self->sasldb_named = rook_config_group_get_string (group, "sasldb-path") != NULL;
  self->sasldb_path = sasldb_path (group, server);
}

static void
read_delays (RookAuthSettings *self, RookConfigGroup *group)
{
  RookAuthDelays *delays = &self->delays;

  delays->first_ms = (guint) rook_config_group_get_duration_ms (group, "failure-delay");
  delays->growth = (guint) rook_config_group_get_integer (group, "failure-delay-growth");
  delays->cap_ms = (guint) rook_config_group_get_duration_ms (group, "failure-delay-cap");
  delays->memory_ms = (guint) rook_config_group_get_duration_ms (group, "failure-memory");
  delays->table = (guint) rook_config_group_get_integer (group, "failure-table");
  delays->tolerance = (guint) rook_config_group_get_integer (group, "failure-address-tolerance");
  self->delay_exempt = g_strdupv ((char **) rook_config_group_get_list (group, "failure-delay-exempt"));
  self->delay_shared = g_strdupv ((char **) rook_config_group_get_list (group, "failure-delay-shared"));
}

RookAuthSettings *
rook_auth_settings_new (RookConfig *config, const char *hostname)
{
  RookAuthSettings *self = g_new0 (RookAuthSettings, 1);
  RookConfigGroup *group = rook_config_get_group (config, "auth", NULL);

  self->references = 1;
  self->mechanisms = upper_case (rook_config_group_get_list (group, "mechanisms"));
  self->client_mechanisms = upper_case (rook_config_group_get_list (group, "client-mechanisms"));
  read_realms (self, group, hostname);
  read_people (self, group);
  self->plaintext_on_loopback = rook_config_group_get_boolean (group, "allow-plaintext-on-loopback");
  self->minimum_ssf = (guint) rook_config_group_get_integer (group, "minimum-ssf");
  self->maximum_ssf = (guint) rook_config_group_get_integer (group, "maximum-ssf");
  self->maximum_response = rook_config_group_get_size (group, "maximum-response");
  read_backend (self, group, rook_config_get_group (config, "server", NULL));
  self->threads = (guint) rook_config_group_get_integer (group, "threads");
  self->queue = (guint) rook_config_group_get_integer (group, "queue");
  self->queue_ms = (guint) rook_config_group_get_duration_ms (group, "queue-deadline");
  read_delays (self, group);
  return self;
}

RookAuthSettings *
rook_auth_settings_ref (RookAuthSettings *settings)
{
  g_atomic_int_inc (&settings->references);
  return settings;
}

void
rook_auth_settings_unref (RookAuthSettings *settings)
{
  if (!g_atomic_int_dec_and_test (&settings->references))
    return;
  g_free (settings->backend_name);
  g_strfreev (settings->mechanisms);
  g_strfreev (settings->client_mechanisms);
  g_free (settings->hostname);
  g_free (settings->default_realm);
  g_free (settings->realm);
  g_hash_table_unref (settings->realms);
  people_clear (&settings->admins);
  people_clear (&settings->proxyservers);
  g_free (settings->groups_file);
  g_free (settings->saslauthd_socket);
  g_free (settings->sasldb_path);
  g_strfreev (settings->delay_exempt);
  g_strfreev (settings->delay_shared);
  g_free (settings);
}
