/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can be found wrong with listeners without opening a socket, and what a new configuration makes of them.
 */
#include "net/listener.h"

#include <grp.h>
#include <string.h>

#include "config/config-private.h"

/* --- checking ---------------------------------------------------------------------------------------------------------- */

typedef struct {
  RookPlace place; /* (owned) */
  const char *text;
  const char *listener;
} Seen;

static void
seen_free (gpointer data)
{
  Seen *seen = data;

  rook_place_clear (&seen->place);
  g_free (seen);
}

static void
check_conflicts (RookConfigGroup *group, const Seen *one, GPtrArray *seen, GPtrArray *mistakes)
{
  for (guint i = 0; i < seen->len; i++)
    {
      const Seen *other = g_ptr_array_index (seen, i);

      if (!rook_places_overlap (&one->place, one->place.port, &other->place, other->place.port))
        continue;
      if (g_str_equal (one->text, other->text))
        rook_config_add_mistake (mistakes, group, "address", ROOK_CONFIG_ERROR_CONFLICT,
                                 "%s is the address of [listener %s] already", one->text, other->listener);
      else
        rook_config_add_mistake (mistakes, group, "address", ROOK_CONFIG_ERROR_CONFLICT,
                                 "%s overlaps with the address %s of [listener %s]", one->text, other->text,
                                 other->listener);
      return;
    }
}

static void
check_addresses (RookConfigGroup *group, GPtrArray *seen, GPtrArray *mistakes)
{
  const char *const *addresses = rook_config_group_get_list (group, "address");

  for (guint i = 0; addresses != NULL && addresses[i] != NULL; i++)
    {
      g_autoptr (GError) error = NULL;
      Seen *one = g_new0 (Seen, 1);

      one->text = addresses[i];
      one->listener = rook_config_group_get_instance (group);
      if (rook_place_parse (addresses[i], &one->place, &error))
        check_conflicts (group, one, seen, mistakes);
      if (error == NULL && one->place.kind == ROOK_PLACE_SYSTEMD)
        rook_systemd_check (one->place.host, &error);
      if (error != NULL)
        rook_config_add_mistake (mistakes, group, "address", ROOK_CONFIG_ERROR_VALUE, "%s", error->message);
      g_ptr_array_add (seen, one);
    }
}

static void
check_socket_group (RookConfigGroup *group, GPtrArray *mistakes)
{
  const char *name = rook_config_group_get_string (group, "socket-group");
  struct group entry, *found = NULL;
  char room[8192];

  if (name != NULL && (getgrnam_r (name, &entry, room, sizeof room, &found) != 0 || found == NULL))
    rook_config_add_mistake (mistakes, group, "socket-group", ROOK_CONFIG_ERROR_UNKNOWN, "there is no group %s", name);
}

static void
check_group (RookConfigGroup *group, RookTlsStore *store, GPtrArray *mistakes)
{
  const char *const *proxies = rook_config_group_get_list (group, "proxy-from");
  const char *tls_group = rook_config_group_get_string (group, "tls-group");
  g_autoptr (GError) error = NULL;

  if (proxies != NULL && !rook_net_check_networks (proxies, &error))
    rook_config_add_mistake (mistakes, group, "proxy-from", ROOK_CONFIG_ERROR_VALUE, "%s", error->message);
  if (tls_group != NULL && rook_config_get_group (group->config, "tls", tls_group) == NULL)
    rook_config_add_mistake (mistakes, group, "tls-group", ROOK_CONFIG_ERROR_UNKNOWN, "there is no [tls %s]",
                             tls_group);
  else if (rook_config_group_get_choice (group, "tls") != ROOK_TLS_NONE
           && !rook_tls_store_has_certificate (store, tls_group))
    rook_config_add_mistake (mistakes, group, "tls", ROOK_CONFIG_ERROR_MISSING,
                             "TLS needs a usable certificate in [tls%s%s]", tls_group != NULL ? " " : "",
                             tls_group != NULL ? tls_group : "");
}

void
rook_net_warn (RookNet *net, RookConfig *config, GPtrArray *warnings)
{
  g_autoptr (GPtrArray) mistakes = rook_config_mistakes_new (); /* rook_net_check() tells them */
  g_autoptr (RookTlsStore) store = rook_tls_store_new (config, net != NULL ? net->tls : NULL, mistakes);

  rook_tls_store_warn (store, config, warnings);
}

void
rook_net_check (RookNet *net, RookConfig *config, GPtrArray *mistakes)
{
  g_autoptr (RookTlsStore) store = rook_tls_store_new (config, net != NULL ? net->tls : NULL, mistakes);
  g_autoptr (GPtrArray) groups = rook_config_get_instances (config, "listener");
  g_autoptr (GPtrArray) seen = g_ptr_array_new_with_free_func (seen_free);
  RookConfigGroup *limits = rook_config_get_group (config, "limits", NULL);
  const char *const *exempt = rook_config_group_get_list (limits, "exempt-addresses");
  g_autoptr (GError) error = NULL;

  if (exempt != NULL && !rook_net_check_networks (exempt, &error))
    rook_config_add_mistake (mistakes, limits, "exempt-addresses", ROOK_CONFIG_ERROR_VALUE, "%s", error->message);
  for (guint i = 0; i < groups->len; i++)
    {
      RookConfigGroup *group = g_ptr_array_index (groups, i);

      if (!rook_config_group_get_boolean (group, "enabled"))
        continue;
      check_addresses (group, seen, mistakes);
      check_group (group, store, mistakes);
      check_socket_group (group, mistakes);
    }
}

/* --- what changes ------------------------------------------------------------------------------------------------------ */

static gboolean
is_there (RookConfig *config, const char *name)
{
  RookConfigGroup *group = rook_config_get_group (config, "listener", name);

  return group != NULL && rook_config_group_get_boolean (group, "enabled");
}

/* @difference: "listener NAME" or "listener NAME/key". */
static const char *
what_happened (RookConfig *before, RookConfig *after, const char *name, const char *key)
{
  gboolean was = is_there (before, name), is = is_there (after, name);

  if (was != is)
    return is ? "added" : "removed";
  if (!is)
    return NULL;
  return g_strcmp0 (key, "address") == 0 ? "moved" : "changed";
}

void
rook_net_describe_renewed (RookNet *net, GPtrArray *changes)
{
  if (net->next_tls != NULL)
    rook_tls_store_describe_renewed (net->next_tls, net->tls, changes);
}

/* Differences are sorted, so what is said of one listener stands together, and its address comes first. */
void
rook_net_describe_changes (RookConfig *before, RookConfig *after, GPtrArray *changes)
{
  g_autoptr (GPtrArray) differences = rook_config_diff (before, after);
  g_autofree char *last = NULL;

  for (guint i = 0; i < differences->len; i++)
    {
      const char *difference = g_ptr_array_index (differences, i);
      const char *slash = strrchr (difference, '/');
      g_autofree char *title = slash != NULL ? g_strndup (difference, slash - difference) : g_strdup (difference);
      const char *what;

      if (!g_str_has_prefix (title, "listener ") || g_strcmp0 (title, last) == 0)
        continue;
      what = what_happened (before, after, title + strlen ("listener "), slash != NULL ? slash + 1 : NULL);
      if (what != NULL)
        g_ptr_array_add (changes, g_strdup_printf ("%s %s", what, title));
      g_free (last);
      last = g_steal_pointer (&title);
    }
}
