/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading a whole configuration, and what of a new one a running server can't take.
 */
#include "daemon/load.h"

#include <string.h>

#include "config/config-private.h"
#include "daemon/ownership.h"
#include "mailbox/mailbox-private.h"

/* Without a file that can't be read everything that it says is missing: what would be said of that are consequences. */
static gboolean
is_unreadable (GPtrArray *mistakes)
{
  for (guint i = 0; i < mistakes->len; i++)
    if (((RookConfigMistake *) g_ptr_array_index (mistakes, i))->code == ROOK_CONFIG_ERROR_READ)
      return TRUE;
  return FALSE;
}

RookConfig *
rook_daemon_load (const char *path, RookServer *running, const char *const *force, RookPluginPlan **out_plan,
                  GPtrArray **out_mistakes)
{
  RookConfig *config = rook_config_read (path, out_mistakes);

  rook_services_declare (config);
  *out_plan = NULL;
  if (is_unreadable (*out_mistakes))
    return config;
  *out_plan = rook_plugin_plan_new (running != NULL ? running->plugins : NULL, config, force);
  rook_config_validate (config, *out_mistakes);
  rook_services_check (running, config, *out_mistakes);
  if (running == NULL)
    rook_ownership_check (config, *out_mistakes);
  return config;
}

void
rook_daemon_check_backend (RookPluginPlan *plan, GPtrArray *mistakes)
{
  static const char *const own[] = { "saslauthd", "sasldb", NULL };

  rook_plugin_plan_check_backend (plan, own, mistakes);
}

void
rook_daemon_warn (RookServer *running, RookConfig *config, RookPluginPlan *plan, GPtrArray *warnings)
{
  static const char *const own_jobs[] = { ROOK_MAIL_JOB_EXPIRE, ROOK_MAIL_JOB_FORGET, ROOK_MAIL_JOB_CHECKPOINT,
                                          ROOK_MAIL_JOB_COMPACT, NULL };

  rook_config_add_warnings (config, warnings);
  rook_daemon_check_backend (plan, warnings);
  rook_plugin_plan_check_jobs (plan, own_jobs, warnings);
  rook_plugin_plan_check_needs_store (plan, warnings);
  rook_services_warn (running, config, warnings);
}

void
rook_daemon_check_all (RookServer *running, RookConfig *config, RookPluginPlan *plan, GPtrArray *mistakes)
{
  rook_plugin_plan_check (plan, NULL, mistakes);
  rook_plugin_plan_check_listeners (plan, mistakes);
  rook_plugin_plan_check_stores (plan, mistakes);
  rook_daemon_warn (running, config, plan, mistakes);
}

void
rook_daemon_log_warnings (RookServer *server, GPtrArray *warnings)
{
  for (guint i = 0; i < warnings->len; i++)
    {
      g_autofree char *line = rook_config_mistake_to_string (g_ptr_array_index (warnings, i));

      rook_log_event (rook_server_get_log (server), ROOK_LOG_WARNING, "config.warning", "reason", line, NULL);
    }
}

/* --- what takes a restart ------------------------------------------------------------------------------------------ */

/* Whether a group of that title, as it came or went, has a key that only a restart changes. */
static gboolean
group_needs_restart (RookConfig *before, RookConfig *after, const char *title)
{
  RookConfig *const both[] = { before, after };

  for (guint side = 0; side < G_N_ELEMENTS (both); side++)
    {
      RookConfigGroup *group = rook_config_get_group (both[side], title, NULL);

      for (guint i = 0; group != NULL && group->file != NULL && i < group->entries->len; i++)
        {
          const RookConfigEntry *entry = g_ptr_array_index (group->entries, i);
          const RookConfigKey *key = rook_config_find_key (both[side], title, entry->name);

          if (key != NULL && key->change == ROOK_CONFIG_SERVER_RESTART)
            return TRUE;
        }
    }
  return FALSE;
}

/* @group: (nullable): one that went has no place any more */
static void
add_group_mistake (RookConfigGroup *group, const char *title, GPtrArray *mistakes)
{
  if (group != NULL && group->file != NULL)
    rook_config_add_mistake (mistakes, group, NULL, ROOK_CONFIG_ERROR_CONFLICT,
                             "has come, which a running server can't take: restart it");
  else
    rook_config_add_mistake_at (mistakes, NULL, 0, ROOK_CONFIG_ERROR_CONFLICT,
                                "[%s] has gone, which a running server can't take: restart it", title);
}

void
rook_daemon_check_restart (RookConfig *before, RookConfig *after, GPtrArray *mistakes)
{
  g_autoptr (GPtrArray) differences = rook_config_diff (before, after);

  for (guint i = 0; i < differences->len; i++)
    {
      const char *difference = g_ptr_array_index (differences, i);
      const char *slash = strrchr (difference, '/');
      g_autofree char *title =
          slash != NULL ? g_strndup (difference, (gsize) (slash - difference)) : g_strdup (difference);
      const RookConfigKey *key = slash != NULL ? rook_config_find_key (after, title, slash + 1) : NULL;
      RookConfigGroup *group = rook_config_get_group (after, title, NULL);

      if (key != NULL && key->change == ROOK_CONFIG_SERVER_RESTART)
        rook_config_add_mistake (mistakes, group, key->name, ROOK_CONFIG_ERROR_CONFLICT,
                                 "has changed, which a running server can't take: restart it");
      else if (slash == NULL && group_needs_restart (before, after, title))
        add_group_mistake (group, title, mistakes);
    }
}

/* --- what was changed ------------------------------------------------------------------------------------------------ */

void
rook_daemon_describe_changes (RookConfig *before, RookConfig *after, GPtrArray *changes)
{
  g_autoptr (GPtrArray) differences = rook_config_diff (before, after);

  for (guint i = 0; i < differences->len; i++)
    {
      const char *difference = g_ptr_array_index (differences, i);
      RookConfigGroup *group = rook_config_get_group (after, difference, NULL);
      const char *what = strchr (difference, '/') != NULL       ? "changed"
                         : group != NULL && group->file != NULL ? "added"
                                                                : "removed";

      if (!g_str_has_prefix (difference, "plugin ") && !g_str_has_prefix (difference, "listener "))
        g_ptr_array_add (changes, g_strdup_printf ("%s %s", what, difference));
    }
}

/* --- for people ---------------------------------------------------------------------------------------------------- */

static gint
compare_mistakes (gconstpointer a, gconstpointer b)
{
  const RookConfigMistake *left = *(RookConfigMistake *const *) a, *right = *(RookConfigMistake *const *) b;
  gint order = g_strcmp0 (left->file, right->file);

  return order != 0 ? order : (gint) left->line - (gint) right->line;
}

char *
rook_daemon_format_mistakes (GPtrArray *mistakes, const char *prefix)
{
  g_autoptr (GString) text = g_string_new (NULL);

  g_ptr_array_sort (mistakes, compare_mistakes);
  for (guint i = 0; i < mistakes->len; i++)
    {
      g_autofree char *line = rook_config_mistake_to_string (g_ptr_array_index (mistakes, i));

      g_string_append_printf (text, "%s%s%s", i > 0 ? "\n" : "", prefix, line);
    }
  return g_string_free (g_steal_pointer (&text), FALSE);
}
