/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A delivery filter that files by the subject: what test_log.py looks for in the log. Built by it.
 */
#include <string.h>

#include "rookery/config.h"
#include "rookery/delivery.h"

static gboolean
is_about (RookDeliveryItem *item, const char *subject)
{
  gsize length;
  const char *message = g_bytes_get_data (rook_delivery_item_get_message (item), &length);
  g_autofree char *line = g_strconcat ("Subject: ", subject, NULL);

  return g_strstr_len (message, (gssize) length, line) != NULL;
}

static void
filter (gpointer data, RookDeliveryItem *item)
{
  gboolean discard = is_about (item, "discard");

  (void) data;
  if (is_about (item, "archive") || is_about (item, "both"))
    rook_delivery_item_file_into (item, "user/alice/Archive", NULL);
  if (is_about (item, "both"))
    rook_delivery_item_file_into (item, "user/alice", NULL);
  if (is_about (item, "missing"))
    rook_delivery_item_file_into (item, "user/alice/missing", NULL);
  rook_delivery_item_done (item, discard ? ROOK_FILTER_DISCARD : ROOK_FILTER_CONTINUE, NULL);
}

static const RookDeliveryFilter file_filter = {
  .struct_size = sizeof (RookDeliveryFilter), .name = "file", .priority = 100, .filter = filter
};

static gboolean
file_init (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  (void) config;
  return rook_plugin_add_delivery_filter (self, &file_filter, NULL, error);
}

ROOK_PLUGIN_DEFINE (.name = "filter-file", .summary = "Files by the subject, for a test", .version = "1",
                    .license = "LGPL-2.1-or-later", .init = file_init)
