/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The order of plugins: each after those whose interfaces it needs, otherwise as the configuration names them. Whoever
 * needs what nobody provides, provides what another provides already, or is part of a circle, fails here by name, and
 * so does whoever needs him.
 */
#include "plugin/plugin-life.h"

/* --- who provides what --------------------------------------------------------------------------------------------- */

static guint
version_provided (const RookPlanItem *item, const char *interface)
{
  const char *const *provides = item->module != NULL ? item->module->descriptor->provides : NULL;

  for (guint i = 0; provides != NULL && provides[i] != NULL; i++)
    {
      g_autofree char *name = NULL;
      guint version = 0;

      if (rook_plugin_parse_interface (provides[i], &name, &version) && g_str_equal (name, interface))
        return version;
    }
  return 0;
}

/* @before: (nullable): only among the items before it */
static RookPlanItem *
find_provider (RookPluginPlan *plan, const char *interface, const RookPlanItem *before)
{
  for (guint i = 0; i < plan->items->len; i++)
    {
      RookPlanItem *item = g_ptr_array_index (plan->items, i);

      if (item == before)
        return NULL;
      if (item->enabled && version_provided (item, interface) > 0
          && !g_error_matches (item->error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT))
        return item;
    }
  return NULL;
}

static void
refuse_second_providers (RookPluginPlan *plan, RookPlanItem *item)
{
  const char *const *provides = item->module->descriptor->provides;

  for (guint i = 0; provides != NULL && provides[i] != NULL && item->error == NULL; i++)
    {
      g_autofree char *name = NULL;
      const RookPlanItem *first;
      guint version = 0;

      if (!rook_plugin_parse_interface (provides[i], &name, &version))
        continue;
      first = find_provider (plan, name, item);
      if (first != NULL)
        g_set_error (&item->error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT,
                     "provides interface '%s', which plugin '%s' provides already", name, first->name);
    }
}

static void
resolve_need (RookPluginPlan *plan, RookPlanItem *item, const char *need)
{
  g_autofree char *name = NULL;
  RookPlanItem *provider;
  guint version = 0, provided;

  if (!rook_plugin_parse_interface (need, &name, &version))
    return;
  provider = find_provider (plan, name, NULL);
  provided = provider != NULL ? version_provided (provider, name) : 0;
  if (provider == NULL)
    g_set_error (&item->error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_NEEDS,
                 "needs interface '%s', which no enabled plugin provides", need);
  else if (provided < version)
    g_set_error (&item->error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_NEEDS,
                 "needs interface '%s', but plugin '%s' provides '%s/%u'", need, provider->name, name, provided);
  else if (provider != item && !g_ptr_array_find (item->providers, provider, NULL))
    g_ptr_array_add (item->providers, provider);
}

static void
resolve_needs (RookPluginPlan *plan, RookPlanItem *item)
{
  const char *const *needs = item->module->descriptor->needs;

  for (guint i = 0; needs != NULL && needs[i] != NULL && item->error == NULL; i++)
    resolve_need (plan, item, needs[i]);
}

/* --- circles, and the order ---------------------------------------------------------------------------------------- */

enum { MARK_NEW, MARK_OPEN, MARK_DONE };

/* @path ends with the one that is needed again: what comes after its first occurrence is the circle. */
static void
fail_circle (GPtrArray *path, const RookPlanItem *again)
{
  g_autoptr (GString) text = g_string_new (NULL);
  guint first = path->len;

  while (first > 0 && g_ptr_array_index (path, first - 1) != again)
    first--;
  g_assert (first > 0);
  for (guint i = first - 1; i < path->len; i++)
    g_string_append_printf (text, "%s -> ", ((RookPlanItem *) g_ptr_array_index (path, i))->name);
  g_string_append (text, again->name);
  for (guint i = first - 1; i < path->len; i++)
    {
      RookPlanItem *item = g_ptr_array_index (path, i);

      if (item->error == NULL)
        g_set_error (&item->error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_NEEDS,
                     "plugins need one another in a circle: %s", text->str);
    }
}

/* Depth first; recursion is as deep as the longest chain of needs, at most the number of plugins. */
static void
visit (RookPlanItem *item, GPtrArray *path, GPtrArray *ordered)
{
  item->mark = MARK_OPEN;
  g_ptr_array_add (path, item);
  for (guint i = 0; i < item->providers->len; i++)
    {
      RookPlanItem *provider = g_ptr_array_index (item->providers, i);

      if (provider->mark == MARK_NEW)
        visit (provider, path, ordered);
      else if (provider->mark == MARK_OPEN)
        fail_circle (path, provider);
    }
  g_ptr_array_remove_index (path, path->len - 1);
  item->mark = MARK_DONE;
  g_ptr_array_add (ordered, item);
}

static void
fail_dependents (GPtrArray *ordered)
{
  for (guint i = 0; i < ordered->len; i++)
    {
      RookPlanItem *item = g_ptr_array_index (ordered, i);

      for (guint j = 0; j < item->providers->len && item->error == NULL; j++)
        {
          const RookPlanItem *provider = g_ptr_array_index (item->providers, j);

          if (provider->error != NULL)
            g_set_error (&item->error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_NEEDS,
                         "needs plugin '%s', which can't run: %s", provider->name, provider->error->message);
        }
    }
}

void
rook_plugin_plan_order (RookPluginPlan *plan)
{
  g_autoptr (GPtrArray) ordered = g_ptr_array_new ();
  g_autoptr (GPtrArray) path = g_ptr_array_new ();

  for (guint i = 0; i < plan->items->len; i++)
    {
      RookPlanItem *item = g_ptr_array_index (plan->items, i);

      if (item->module != NULL)
        refuse_second_providers (plan, item);
    }
  for (guint i = 0; i < plan->items->len; i++)
    {
      RookPlanItem *item = g_ptr_array_index (plan->items, i);

      if (item->module != NULL)
        resolve_needs (plan, item);
    }
  for (guint i = 0; i < plan->items->len; i++)
    {
      RookPlanItem *item = g_ptr_array_index (plan->items, i);

      if (item->mark == MARK_NEW)
        visit (item, path, ordered);
    }
  fail_dependents (ordered);
  for (guint i = 0; i < ordered->len; i++)
    plan->items->pdata[i] = g_ptr_array_index (ordered, i);
}
