/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A plugin's handle: what it has registered, who refers to it, and the steps of its life. Which plugin takes which step
 * when is decided elsewhere (plugins.c, stop.c, change.c).
 */
#include "plugin/plugin-life.h"

GQuark
rook_plugin_error_quark (void)
{
  return g_quark_from_static_string ("rook-plugin-error-quark");
}

const char *
rook_plugin_state_get_name (RookPluginState state)
{
  static const char *const names[] = { "disabled", "loaded", "running", "draining", "stopped", "resident", "failed" };

  return names[state];
}

RookPlugin *
rook_plugin_new (RookPlugins *plugins, const char *name)
{
  RookPlugin *self = g_new0 (RookPlugin, 1);

  self->plugins = plugins;
  self->name = g_strdup (name);
  self->refs = 1;
  self->undos = g_array_new (FALSE, FALSE, sizeof (RookUndo));
  self->drains = g_array_new (FALSE, FALSE, sizeof (RookDrainHook));
  self->providers = g_ptr_array_new ();
  self->pins = g_ptr_array_new_with_free_func (g_free);
  return self;
}

void
rook_plugin_free (RookPlugin *self)
{
  g_assert (self->undos->len == 0);
  g_array_unref (self->undos);
  g_array_unref (self->drains);
  g_ptr_array_unref (self->providers);
  g_ptr_array_unref (self->pins);
  g_clear_error (&self->error);
  g_clear_pointer (&self->config, rook_config_unref);
  g_clear_pointer (&self->module, rook_module_unref);
  g_free (self->summary);
  g_free (self->version);
  g_free (self->name);
  g_free (self);
}

/* --- what a plugin may ask ----------------------------------------------------------------------------------------- */

const char *
rook_plugin_get_name (RookPlugin *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return self->name;
}

RookServer *
rook_plugin_get_server (RookPlugin *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return self->plugins->server;
}

void
rook_plugin_set_data (RookPlugin *self, gpointer data, GDestroyNotify destroy)
{
  gpointer before;
  GDestroyNotify destroy_before;

  g_return_if_fail (self != NULL);
  before = self->data;
  destroy_before = self->destroy;
  self->data = data;
  self->destroy = destroy;
  if (destroy_before != NULL && before != NULL && before != data)
    destroy_before (before);
}

gpointer
rook_plugin_get_data (RookPlugin *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  return self->data;
}

RookConfigGroup *
rook_plugin_get_group (RookPlugin *self)
{
  g_autofree char *title = g_strconcat ("plugin ", self->name, NULL);

  return rook_config_get_group (self->config, title, NULL);
}

/* --- references ---------------------------------------------------------------------------------------------------- */

RookPlugin *
rook_plugin_ref (RookPlugin *self)
{
  g_autoptr (RookLocker) locker = NULL;

  g_return_val_if_fail (self != NULL, NULL);
  locker = rook_locker_new (&self->plugins->lock);
  self->refs++;
  return self;
}

/* The service outlives every handle, the handle may be gone as soon as the lock is released. */
void
rook_plugin_unref (RookPlugin *self)
{
  RookPlugins *plugins;

  g_return_if_fail (self != NULL);
  plugins = self->plugins;
  rook_mutex_lock (&plugins->lock);
  g_assert (self->refs > 1);
  self->refs--;
  /* Both numbers are waited for: what a drain is to come down to, and nothing at all. */
  if (self->refs == 1 || self->refs == self->refs_at_rest)
    rook_plugins_poke (plugins);
  rook_mutex_unlock (&plugins->lock);
}

guint
rook_plugin_count_refs (RookPlugin *self)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->plugins->lock);

  return self->refs - 1;
}

void
rook_plugin_drained (RookPlugin *self)
{
  g_autoptr (RookLocker) locker = NULL;

  g_return_if_fail (self != NULL);
  locker = rook_locker_new (&self->plugins->lock);
  self->drained = TRUE;
  rook_plugins_poke (self->plugins);
}

void
rook_plugin_pin (RookPlugin *self, const char *why)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->plugins->lock);

  g_ptr_array_add (self->pins, g_strdup (why));
}

void
rook_plugin_unpin (RookPlugin *self, const char *why)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->plugins->lock);
  guint index;

  g_assert (g_ptr_array_find_with_equal_func (self->pins, why, g_str_equal, &index));
  g_ptr_array_remove_index_fast (self->pins, index);
}

char *
rook_plugin_dup_pins (RookPlugin *self)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->plugins->lock);
  g_autoptr (GString) text = NULL;

  if (self->pins->len == 0)
    return NULL;
  text = g_string_new (NULL);
  for (guint i = 0; i < self->pins->len; i++)
    g_string_append_printf (text, "%s%s", i > 0 ? ", " : "", (const char *) g_ptr_array_index (self->pins, i));
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* --- registrations ------------------------------------------------------------------------------------------------- */

gboolean
rook_plugin_may_register (RookPlugin *self, const char *what, GError **error)
{
  g_return_val_if_fail (self != NULL, FALSE);
  if (self->in_init)
    return TRUE;
  g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT,
               "plugin '%s' registers %s outside its init, expected in it", self->name, what);
  return FALSE;
}

void
rook_plugin_on_undo (RookPlugin *self, RookFunc undo, gpointer data)
{
  const RookUndo entry = { undo, data };

  g_return_if_fail (self != NULL && undo != NULL);
  g_return_if_fail (self->in_init);
  g_array_append_val (self->undos, entry);
}

void
rook_plugin_on_drain (RookPlugin *self, RookFunc drain, RookFunc abort_func, gpointer data)
{
  const RookDrainHook hook = { drain, abort_func, data };

  g_return_if_fail (self != NULL && drain != NULL);
  g_return_if_fail (self->in_init);
  g_array_append_val (self->drains, hook);
}

void
rook_plugin_undo (RookPlugin *self)
{
  g_array_set_size (self->drains, 0);
  while (self->undos->len > 0)
    {
      RookUndo entry = g_array_index (self->undos, RookUndo, self->undos->len - 1);

      g_array_set_size (self->undos, self->undos->len - 1);
      entry.undo (entry.data);
    }
}

/* --- its life ------------------------------------------------------------------------------------------------------ */

void
rook_plugin_fail (RookPlugin *self, GError *error)
{
  g_clear_error (&self->error);
  self->error = error;
  self->state = ROOK_PLUGIN_FAILED;
}

static gboolean
provides_all (RookPlugin *self, GError **error)
{
  const char *const *provides = self->module->descriptor->provides;

  for (guint i = 0; provides != NULL && provides[i] != NULL; i++)
    {
      g_autofree char *name = NULL;
      RookInterface *interface;
      guint version = 0;

      g_assert (rook_plugin_parse_interface (provides[i], &name, &version));
      interface = g_hash_table_lookup (self->plugins->interfaces, name);
      if (interface == NULL || interface->plugin != self)
        {
          g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT,
                       "names '%s' in .provides, expected rook_plugin_provide() of it in its init", provides[i]);
          return FALSE;
        }
    }
  return TRUE;
}

static void
set_providers_dependents (RookPlugin *self, gint step)
{
  for (guint i = 0; i < self->providers->len; i++)
    {
      RookPlugin *provider = g_ptr_array_index (self->providers, i);

      provider->dependents += (guint) step;
    }
}

static void
drop_data (RookPlugin *self)
{
  rook_plugin_set_data (self, NULL, NULL);
}

gboolean
rook_plugin_init (RookPlugin *self)
{
  g_autoptr (GError) error = NULL;
  gboolean ok;

  g_assert (self->state == ROOK_PLUGIN_LOADED);
  self->in_init = TRUE;
  ok = self->module->descriptor->init (self, rook_plugin_get_group (self), &error);
  if (ok && error != NULL)
    {
      g_critical ("plugin '%s': init succeeded with an error set: %s", self->name, error->message);
      ok = FALSE;
    }
  ok = ok && provides_all (self, &error);
  self->in_init = FALSE;
  if (ok)
    {
      set_providers_dependents (self, 1);
      self->refs_at_rest = rook_plugin_count_refs (self) + 1;
      self->state = ROOK_PLUGIN_RUNNING;
      return TRUE;
    }
  if (error == NULL)
    g_set_error (&error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_INIT, "init failed without saying why");
  rook_plugin_undo (self);
  rook_plugin_fail (self, g_steal_pointer (&error));
  return FALSE;
}

void
rook_plugin_begin_drain (RookPlugin *self)
{
  void (*drain) (RookPlugin *) = self->module->descriptor->drain;

  self->state = ROOK_PLUGIN_DRAINING;
  for (guint i = 0; i < self->drains->len; i++)
    {
      RookDrainHook hook = g_array_index (self->drains, RookDrainHook, i);

      hook.drain (hook.data);
    }
  if (drain != NULL)
    drain (self);
  else
    rook_plugin_drained (self);
}

gboolean
rook_plugin_is_drained (RookPlugin *self)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->plugins->lock);

  return self->drained && self->refs <= self->refs_at_rest;
}

void
rook_plugin_abort_drain (RookPlugin *self)
{
  if (self->aborted)
    return;
  self->aborted = TRUE;
  for (guint i = 0; i < self->drains->len; i++)
    {
      RookDrainHook hook = g_array_index (self->drains, RookDrainHook, i);

      if (hook.abort != NULL)
        hook.abort (hook.data);
    }
}

gboolean
rook_plugin_is_unused (RookPlugin *self)
{
  return rook_plugin_count_refs (self) == 0 && self->dependents == 0;
}

void
rook_plugin_fini (RookPlugin *self)
{
  if (self->state != ROOK_PLUGIN_FAILED)
    {
      if (self->module->descriptor->fini != NULL)
        self->module->descriptor->fini (self);
      set_providers_dependents (self, -1);
      self->state = ROOK_PLUGIN_STOPPED;
    }
  drop_data (self);
}
