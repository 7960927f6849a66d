/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A delivery filter that thinks for as long as a file is missing, and then flags what it had. Built by
 * test_delivery_filter.py.
 */
#include "rookery/config.h"
#include "rookery/delivery.h"
#include "rookery/loop.h"

#define LOOK_MS 20

typedef struct {
  char *gate; /* (owned) the file; that something is held is told by another, with ".held" behind its name */
  char *held; /* (owned) */
} Slow;

typedef struct {
  const Slow *slow; /* (unowned) stays while an item is held, as the module does */
  RookDeliveryItem *item;
  RookTimer timer;
} Held;

static void
look (gpointer data)
{
  Held *self = data;

  if (!g_file_test (self->slow->gate, G_FILE_TEST_EXISTS))
    {
      rook_timer_start (&self->timer, LOOK_MS);
      return;
    }
  rook_delivery_item_add_flag (self->item, "\\Flagged");
  rook_delivery_item_done (self->item, ROOK_FILTER_CONTINUE, NULL);
  g_free (self);
}

static void
filter (gpointer data, RookDeliveryItem *item)
{
  Held *self = g_new0 (Held, 1);

  self->slow = data;
  self->item = item;
  rook_timer_init (&self->timer, rook_worker_current (), look, self);
  g_file_set_contents (self->slow->held, "", 0, NULL);
  look (self);
}

static const RookDeliveryFilter slow_filter = {
  .struct_size = sizeof (RookDeliveryFilter), .name = "slow", .priority = 100, .filter = filter
};

static void
slow_free (gpointer data)
{
  Slow *slow = data;

  g_free (slow->gate);
  g_free (slow->held);
  g_free (slow);
}

static gboolean
slow_init (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  Slow *slow = g_new0 (Slow, 1);

  slow->gate = g_strdup (rook_config_group_get_string (config, "gate"));
  slow->held = g_strconcat (slow->gate, ".held", NULL);
  rook_plugin_set_data (self, slow, slow_free);
  return rook_plugin_add_delivery_filter (self, &slow_filter, slow, error);
}

static const RookConfigKey keys[] = {
  { .name = "gate", .type = ROOK_CONFIG_PATH, .default_value = "/nonexistent", .help = "The file that is waited for." },
  { .name = NULL },
};

ROOK_PLUGIN_DEFINE (.name = "filter-slow", .summary = "Holds deliveries up, for a test", .version = "1",
                    .license = "LGPL-2.1-or-later", .keys = keys, .init = slow_init)
