/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What plugins offer by name, as their descriptors say: so a configuration that names what nobody offers is found before
 * anything of theirs runs, and init is held to the list.
 */
#include "plugin/plugin-life.h"

#include "config/config-private.h"

static const struct {
  const char *member;
  const char *what;
} offers[] = {
  [ROOK_OFFER_PROTOCOL] = { "protocols", "protocol" },
  [ROOK_OFFER_STORAGE] = { "storages", "storage backend" },
  [ROOK_OFFER_CHECKER] = { "checkers", "password checker" },
  [ROOK_OFFER_JOB] = { "jobs", "job" },
};

/* The descriptor's list, or none. %FALSE: one built for an older ABI can't say. */
static gboolean
get_list (const RookPluginDescriptor *descriptor, RookOffer offer, const char *const **out_list)
{
  static const char *const none[] = { NULL };
  const char *const *list = NULL;

  if (offer == ROOK_OFFER_PROTOCOL ? !ROOK_STRUCT_HAS (descriptor, RookPluginDescriptor, protocols)
                                   : !ROOK_STRUCT_HAS (descriptor, RookPluginDescriptor, jobs))
    return FALSE;
  switch (offer)
    {
    case ROOK_OFFER_PROTOCOL:
      list = descriptor->protocols;
      break;
    case ROOK_OFFER_STORAGE:
      list = descriptor->storages;
      break;
    case ROOK_OFFER_CHECKER:
      list = descriptor->checkers;
      break;
    case ROOK_OFFER_JOB:
      list = descriptor->jobs;
      break;
    }
  *out_list = list != NULL ? list : none;
  return TRUE;
}

gboolean
rook_plugin_check_offer (RookPlugin *self, RookOffer offer, const char *name, GError **error)
{
  const char *const *list;

  if (!get_list (self->module->descriptor, offer, &list) || g_strv_contains (list, name))
    return TRUE;
  g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT, "%s %s: its descriptor's .%s does not name it",
               offers[offer].what, name, offers[offer].member);
  return FALSE;
}

gboolean
rook_plugin_is_directory (const RookPluginDescriptor *descriptor)
{
  return ROOK_STRUCT_HAS (descriptor, RookPluginDescriptor, is_directory) && descriptor->is_directory;
}

/* --- a plan's ------------------------------------------------------------------------------------------------------ */

/* (nullable) (element-type utf8) (transfer container) Of all enabled plugins; %NULL if one can't say, or be loaded. */
static GPtrArray *
collect (RookPluginPlan *plan, RookOffer offer)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();

  for (guint i = 0; i < plan->items->len; i++)
    {
      const RookPlanItem *item = g_ptr_array_index (plan->items, i);
      const char *const *list;

      if (!item->enabled)
        continue;
      if (item->module == NULL || !get_list (item->module->descriptor, offer, &list))
        return NULL;
      for (; *list != NULL; list++)
        g_ptr_array_add (names, (gpointer) *list);
    }
  return g_steal_pointer (&names);
}

/* Adds a mistake if nobody offers @name, which @key of @group asks for. @offered: (nullable) nobody knows. */
static void
check_name (GPtrArray *offered, const char *what, const char *name, RookConfigGroup *group, const char *key,
            GPtrArray *mistakes)
{
  g_autofree char *quoted = name != NULL ? rook_config_quote (name) : NULL;
  const char *likely;

  if (offered == NULL || name == NULL || g_ptr_array_find_with_equal_func (offered, name, g_str_equal, NULL))
    return;
  likely = rook_config_suggest (name, (const char *const *) offered->pdata, offered->len);
  rook_config_add_mistake (mistakes, group, key, ROOK_CONFIG_ERROR_UNKNOWN, "no enabled plugin offers %s%s%s%s%s%s",
                           what, *what != '\0' ? " " : "", quoted, likely != NULL ? "; did you mean \"" : "",
                           likely != NULL ? likely : "", likely != NULL ? "\"?" : "");
}

void
rook_plugin_plan_check_listeners (RookPluginPlan *plan, GPtrArray *mistakes)
{
  g_autoptr (GPtrArray) offered = collect (plan, ROOK_OFFER_PROTOCOL);
  g_autoptr (GPtrArray) groups = rook_config_get_instances (plan->config, "listener");

  for (guint i = 0; i < groups->len; i++)
    {
      RookConfigGroup *group = g_ptr_array_index (groups, i);

      if (rook_config_group_get_boolean (group, "enabled"))
        check_name (offered, "", rook_config_group_get_string (group, "protocol"), group, "protocol", mistakes);
    }
}

void
rook_plugin_plan_check_stores (RookPluginPlan *plan, GPtrArray *mistakes)
{
  g_autoptr (GPtrArray) offered = collect (plan, ROOK_OFFER_STORAGE);
  g_autoptr (GPtrArray) partitions = rook_config_get_instances (plan->config, "partition");
  RookConfigGroup *mailbox = rook_config_get_group (plan->config, "mailbox", NULL);

  for (guint i = 0; i < partitions->len; i++)
    {
      RookConfigGroup *group = g_ptr_array_index (partitions, i);

      check_name (offered, "storage backend", rook_config_group_get_string (group, "storage"), group, "storage",
                  mistakes);
    }
  /* That of the state store too; where it is only the default, the first partition is the place to begin. */
  if (partitions->len > 0)
    check_name (offered, "storage backend", rook_config_group_get_string (mailbox, "storage"),
                rook_config_group_is_set (mailbox, "storage") ? mailbox : g_ptr_array_index (partitions, 0), "storage",
                mistakes);
}

static void
check_needs_store (RookPluginPlan *plan, GPtrArray *mistakes)
{
  g_autoptr (GPtrArray) partitions = rook_config_get_instances (plan->config, "partition");

  for (guint i = 0; partitions->len == 0 && i < plan->items->len; i++)
    {
      const RookPlanItem *item = g_ptr_array_index (plan->items, i);

      if (item->enabled && item->module != NULL
          && ROOK_STRUCT_HAS (item->module->descriptor, RookPluginDescriptor, needs_store)
          && item->module->descriptor->needs_store)
        rook_config_add_mistake (
            mistakes, item->group, NULL, ROOK_CONFIG_ERROR_MISSING,
            "serves mail, and there is no place for any: write a [partition default] with its path");
    }
}

void
rook_plugin_plan_check_names (RookPluginPlan *plan, const char *const *own_checkers, const char *const *own_jobs,
                              GPtrArray *mistakes)
{
  g_autoptr (GPtrArray) checkers = collect (plan, ROOK_OFFER_CHECKER), jobs = collect (plan, ROOK_OFFER_JOB);
  g_autoptr (GPtrArray) groups = rook_config_get_instances (plan->config, "job");
  RookConfigGroup *auth = rook_config_get_group (plan->config, "auth", NULL);

  for (; checkers != NULL && *own_checkers != NULL; own_checkers++)
    g_ptr_array_add (checkers, (gpointer) *own_checkers);
  for (; jobs != NULL && *own_jobs != NULL; own_jobs++)
    g_ptr_array_add (jobs, (gpointer) *own_jobs);
  check_name (checkers, "password checker", rook_config_group_get_string (auth, "backend"), auth, "backend", mistakes);
  for (guint i = 0; i < groups->len; i++)
    {
      RookConfigGroup *group = g_ptr_array_index (groups, i);

      check_name (jobs, "job", rook_config_group_get_instance (group), group, NULL, mistakes);
    }
  check_needs_store (plan, mistakes);
}
