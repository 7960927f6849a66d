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

/* What all enabled plugins offer of a kind. */
typedef struct {
  const char *what;
  GPtrArray *names; /* (element-type utf8) (owned) */
  GPtrArray
      *unloaded;    /* (element-type utf8) (owned) plugins that can't be loaded: each may be the one that offers more */
  gboolean unknown; /* one of them can't say */
} Offered;

static void
offered_clear (Offered *offered)
{
  g_ptr_array_unref (offered->names);
  g_ptr_array_unref (offered->unloaded);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Offered, offered_clear)

/* @own: (nullable): the core's */
static void
collect (RookPluginPlan *plan, RookOffer offer, const char *const *own, Offered *out)
{
  *out = (Offered){ .what = offers[offer].what, .names = g_ptr_array_new (), .unloaded = g_ptr_array_new () };
  for (; own != NULL && *own != NULL; own++)
    g_ptr_array_add (out->names, (gpointer) *own);
  for (guint i = 0; i < plan->items->len; i++)
    {
      const RookPlanItem *item = g_ptr_array_index (plan->items, i);
      const char *const *list;

      if (!item->enabled)
        continue;
      if (item->module == NULL)
        g_ptr_array_add (out->unloaded, item->name);
      else if (!get_list (item->module->descriptor, offer, &list))
        out->unknown = TRUE;
      else
        for (; *list != NULL; list++)
          g_ptr_array_add (out->names, (gpointer) *list);
    }
}

/* (transfer full) "" if nobody else can offer it. */
static char *
describe_doubt (const Offered *offered)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < offered->unloaded->len; i++)
    g_string_append_printf (text, "%s%s", i == 0 ? " (unless plugin " : " or ",
                            (const char *) offered->unloaded->pdata[i]);
  g_string_append (text, text->len > 0 ? " does)" : "");
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* Adds a mistake if nobody offers @name (nullable), which @key of @group asks for. */
static void
check_name (const Offered *offered, const char *name, RookConfigGroup *group, const char *key, GPtrArray *mistakes)
{
  g_autofree char *quoted = name != NULL ? rook_config_quote (name) : NULL;
  g_autofree char *doubt = NULL;
  const char *likely;

  if (offered->unknown || name == NULL || g_ptr_array_find_with_equal_func (offered->names, name, g_str_equal, NULL))
    return;
  doubt = describe_doubt (offered);
  likely = rook_config_suggest (name, (const char *const *) offered->names->pdata, offered->names->len);
  if (g_strcmp0 (key, "backend") == 0 && g_str_equal (name, "pam"))
    likely = "saslauthd"; /* which asks it */
  rook_config_add_mistake (mistakes, group, key, ROOK_CONFIG_ERROR_UNKNOWN, "no enabled plugin offers %s %s%s%s%s%s",
                           offered->what, quoted, doubt, likely != NULL ? "; did you mean \"" : "",
                           likely != NULL ? likely : "", likely != NULL ? "\"?" : "");
}

void
rook_plugin_plan_check_listeners (RookPluginPlan *plan, GPtrArray *mistakes)
{
  g_auto (Offered) offered = { 0 };
  g_autoptr (GPtrArray) groups = rook_config_get_instances (plan->config, "listener");

  collect (plan, ROOK_OFFER_PROTOCOL, NULL, &offered);
  for (guint i = 0; i < groups->len; i++)
    {
      RookConfigGroup *group = g_ptr_array_index (groups, i);

      if (rook_config_group_get_boolean (group, "enabled"))
        check_name (&offered, rook_config_group_get_string (group, "protocol"), group, "protocol", mistakes);
    }
}

static gboolean
needs_store (const RookPlanItem *item)
{
  return item->enabled && item->module != NULL
         && ROOK_STRUCT_HAS (item->module->descriptor, RookPluginDescriptor, needs_store)
         && item->module->descriptor->needs_store;
}

static gboolean
anyone_needs_store (RookPluginPlan *plan)
{
  for (guint i = 0; i < plan->items->len; i++)
    if (needs_store (g_ptr_array_index (plan->items, i)))
      return TRUE;
  return FALSE;
}

void
rook_plugin_plan_check_stores (RookPluginPlan *plan, GPtrArray *mistakes)
{
  g_auto (Offered) offered = { 0 };
  g_autoptr (GPtrArray) partitions = rook_config_get_instances (plan->config, "partition");
  RookConfigGroup *mailbox = rook_config_get_group (plan->config, "mailbox", NULL);
  gboolean is_set = rook_config_group_is_set (mailbox, "storage");

  collect (plan, ROOK_OFFER_STORAGE, NULL, &offered);
  for (guint i = 0; i < partitions->len; i++)
    {
      RookConfigGroup *group = g_ptr_array_index (partitions, i);

      check_name (&offered, rook_config_group_get_string (group, "storage"), group, "storage", mistakes);
    }
  /* That of the state store too; where it is only the default, the first partition is the place to begin, and without
   * anybody that serves mail it does not matter. */
  if (partitions->len > 0 && (is_set || anyone_needs_store (plan)))
    check_name (&offered, rook_config_group_get_string (mailbox, "storage"),
                is_set ? mailbox : g_ptr_array_index (partitions, 0), "storage", mistakes);
}

void
rook_plugin_plan_check_needs_store (RookPluginPlan *plan, GPtrArray *mistakes)
{
  g_autoptr (GPtrArray) partitions = rook_config_get_instances (plan->config, "partition");

  for (guint i = 0; partitions->len == 0 && i < plan->items->len; i++)
    {
      const RookPlanItem *item = g_ptr_array_index (plan->items, i);

      if (needs_store (item))
        rook_config_add_mistake (
            mistakes, item->group, NULL, ROOK_CONFIG_ERROR_MISSING,
            "serves mail, and there is no place for any: write a [partition default] with its path");
    }
}

void
rook_plugin_plan_check_backend (RookPluginPlan *plan, const char *const *own, GPtrArray *mistakes)
{
  g_auto (Offered) offered = { 0 };
  RookConfigGroup *auth = rook_config_get_group (plan->config, "auth", NULL);

  collect (plan, ROOK_OFFER_CHECKER, own, &offered);
  check_name (&offered, rook_config_group_get_string (auth, "backend"), auth, "backend", mistakes);
}

void
rook_plugin_plan_check_jobs (RookPluginPlan *plan, const char *const *own, GPtrArray *mistakes)
{
  g_auto (Offered) offered = { 0 };
  g_autoptr (GPtrArray) groups = rook_config_get_instances (plan->config, "job");

  collect (plan, ROOK_OFFER_JOB, own, &offered);
  for (guint i = 0; i < groups->len; i++)
    {
      RookConfigGroup *group = g_ptr_array_index (groups, i);
      const char *name = rook_config_group_get_instance (group);

      if (rook_config_group_get_string (group, "command") == NULL)
        check_name (&offered, name, group, NULL, mistakes);
      else if (g_ptr_array_find_with_equal_func (offered.names, name, g_str_equal, NULL))
        rook_config_add_mistake (mistakes, group, "command", ROOK_CONFIG_ERROR_CONFLICT,
                                 "the server or a plugin has a job of this name, which runs no command");
    }
}
