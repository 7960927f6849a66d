/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Answers for programs: the GVariant as JSON, dictionaries as objects, nothing renamed, nothing rounded.
 */
#include "rookctl-private.h"

#include <json-glib/json-glib.h>

char *
rookctl_show_json (GVariant *value)
{
  g_autoptr (JsonNode) root = value != NULL ? json_gvariant_serialize (value) : json_node_new (JSON_NODE_NULL);
  g_autoptr (JsonGenerator) generator = json_generator_new ();

  json_generator_set_root (generator, root);
  json_generator_set_pretty (generator, TRUE);
  return json_generator_to_data (generator, NULL);
}
