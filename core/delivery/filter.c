/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The filters that plugins registered, in order of priority. Whoever takes the list holds their plugins in memory.
 */
#include "delivery/delivery-private.h"

#include "plugin/plugin-private.h"

static void
release_entry (gpointer data)
{
  RookFilterEntry *entry = data;
  RookPlugin *plugin = entry->plugin;

  if (g_atomic_int_dec_and_test (&entry->ref))
    g_free (entry);
  if (plugin != NULL)
    rook_plugin_unref (plugin);
}

GPtrArray *
rook_delivery_get_filters (RookDelivery *delivery)
{
  GPtrArray *filters = g_ptr_array_new_with_free_func (release_entry);
  g_autoptr (RookLocker) locker = rook_locker_new (&delivery->lock);

  for (guint i = 0; i < delivery->filters->len; i++)
    {
      RookFilterEntry *entry = g_ptr_array_index (delivery->filters, i);

      g_atomic_int_inc (&entry->ref);
      if (entry->plugin != NULL)
        rook_plugin_ref (entry->plugin);
      g_ptr_array_add (filters, entry);
    }
  return filters;
}

static gint
find_filter (RookDelivery *delivery, const char *name)
{
  for (guint i = 0; i < delivery->filters->len; i++)
    {
      RookFilterEntry *entry = g_ptr_array_index (delivery->filters, i);

      if (g_str_equal (entry->filter->name, name))
        return (gint) i;
    }
  return -1;
}

/* Behind all of the same priority. */
static void
insert (RookDelivery *delivery, RookFilterEntry *entry)
{
  guint i = 0;

  while (i < delivery->filters->len
         && ((RookFilterEntry *) g_ptr_array_index (delivery->filters, i))->filter->priority <= entry->filter->priority)
    i++;
  g_ptr_array_insert (delivery->filters, (gint) i, entry);
}

gboolean
rook_delivery_add_filter (RookDelivery *delivery, RookPlugin *plugin, const RookDeliveryFilter *filter, gpointer data,
                          GError **error)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&delivery->lock);
  RookFilterEntry *entry;

  if (!ROOK_STRUCT_HAS (filter, RookDeliveryFilter, filter) || filter->name == NULL || *filter->name == '\0'
      || filter->filter == NULL)
    {
      g_set_error_literal (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT,
                           "a delivery filter needs a name and a function");
      return FALSE;
    }
  if (find_filter (delivery, filter->name) >= 0)
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT, "delivery filter %s is there already",
                   filter->name);
      return FALSE;
    }
  entry = g_new0 (RookFilterEntry, 1);
  g_atomic_int_set (&entry->ref, 1);
  entry->filter = filter;
  entry->data = data;
  entry->plugin = plugin;
  insert (delivery, entry);
  return TRUE;
}

void
rook_delivery_remove_filter (RookDelivery *delivery, const char *name)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&delivery->lock);
  gint index = find_filter (delivery, name);

  if (index >= 0)
    g_ptr_array_remove_index (delivery->filters, (guint) index);
}

/* --- registration by plugins ------------------------------------------------------------------------------------ */

typedef struct {
  RookDelivery *delivery; /* (unowned) outlives all plugins */
  const char *name;       /* (unowned) constant */
} Registration;

static void
stop_filtering (gpointer data)
{
  Registration *registration = data;

  rook_delivery_remove_filter (registration->delivery, registration->name);
}

static void
take_back (gpointer data)
{
  stop_filtering (data);
  g_free (data);
}

gboolean
rook_plugin_add_delivery_filter (RookPlugin *self, const RookDeliveryFilter *filter, gpointer data, GError **error)
{
  RookDelivery *delivery = rook_server_get_delivery (rook_plugin_get_server (self));
  Registration *registration;

  if (!rook_plugin_may_register (self, "a delivery filter", error)
      || !rook_delivery_add_filter (delivery, self, filter, data, error))
    return FALSE;
  registration = g_new0 (Registration, 1);
  *registration = (Registration){ delivery, filter->name };
  rook_plugin_on_drain (self, stop_filtering, NULL, registration);
  rook_plugin_on_undo (self, take_back, registration);
  return TRUE;
}
