/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The registry of interfaces: named, versioned tables of functions that one plugin provides and others look up. Who may
 * provide and who may look up is what their descriptors say.
 */
#include "plugin/plugin-life.h"

static gboolean
is_listed (const char *const *list, const char *name)
{
  return list != NULL && g_strv_contains (list, name);
}

typedef struct {
  RookPlugins *plugins; /* (unowned) */
  char *name;
} Withdrawal;

static void
withdraw (gpointer data)
{
  Withdrawal *withdrawal = data;

  rook_mutex_lock (&withdrawal->plugins->lock);
  g_hash_table_remove (withdrawal->plugins->interfaces, withdrawal->name);
  rook_mutex_unlock (&withdrawal->plugins->lock);
  g_free (withdrawal->name);
  g_free (withdrawal);
}

static gboolean
check_provide (RookPlugin *self, const char *name, gconstpointer interface, GError **error)
{
  g_autofree char *what = g_strdup_printf ("interface %s", name);

  if (!rook_plugin_may_register (self, what, error))
    return FALSE;
  if (!is_listed (self->module->descriptor->provides, name))
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT,
                   "provides interface '%s', which its descriptor's .provides does not name", name);
      return FALSE;
    }
  if (*(const gsize *) interface < sizeof (gsize))
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT,
                   "the table of interface '%s' does not begin with its struct_size", name);
      return FALSE;
    }
  return TRUE;
}

gboolean
rook_plugin_provide (RookPlugin *self, const char *name, gconstpointer interface, gpointer data, GError **error)
{
  g_autofree char *base = NULL;
  RookInterface *before, *entry;
  Withdrawal *withdrawal;
  guint version = 0;

  g_return_val_if_fail (self != NULL && name != NULL && interface != NULL, FALSE);
  if (!check_provide (self, name, interface, error))
    return FALSE;
  g_assert (rook_plugin_parse_interface (name, &base, &version));
  before = g_hash_table_lookup (self->plugins->interfaces, base);
  if (before != NULL)
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT,
                   "provides interface '%s', which plugin '%s' provides already", base, before->plugin->name);
      return FALSE;
    }
  entry = g_new0 (RookInterface, 1);
  *entry = (RookInterface){ g_strdup (base), version, self, interface, data };
  rook_mutex_lock (&self->plugins->lock);
  g_hash_table_insert (self->plugins->interfaces, entry->name, entry);
  rook_mutex_unlock (&self->plugins->lock);
  withdrawal = g_new0 (Withdrawal, 1);
  *withdrawal = (Withdrawal){ self->plugins, g_steal_pointer (&base) };
  rook_plugin_on_undo (self, withdraw, withdrawal);
  return TRUE;
}

gconstpointer
rook_plugin_lookup (RookPlugin *self, const char *name, gpointer *out_data, GError **error)
{
  g_autofree char *base = NULL;
  g_autoptr (RookLocker) locker = NULL;
  const RookInterface *entry;
  guint version = 0;

  g_return_val_if_fail (self != NULL && name != NULL, NULL);
  if (!is_listed (self->module->descriptor->needs, name))
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT,
                   "looks interface '%s' up, which its descriptor's .needs does not name", name);
      return NULL;
    }
  g_assert (rook_plugin_parse_interface (name, &base, &version));
  locker = rook_locker_new (&self->plugins->lock);
  entry = g_hash_table_lookup (self->plugins->interfaces, base);
  if (entry == NULL || entry->version < version)
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_NEEDS, "needs interface '%s', which nobody provides",
                   name);
      return NULL;
    }
  if (out_data != NULL)
    *out_data = entry->data;
  return entry->table;
}
