/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The example plugin's registration: a protocol, a subscriber, a metric (in notify.c) and a control verb. A plugin of
 * yours can begin as a copy of this folder; see README.md.
 */
#include "notify.h"

/* Settings are checked before anything is registered; what is registered the core takes back by itself. */
static gboolean
example_init (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  RookLoop *loop = rook_server_get_loop (rook_plugin_get_server (self));
  Notify *notify;

  if (!rook_net_check_networks (rook_config_group_get_list (config, "allow-from"), error))
    return FALSE;
  notify = notify_new (self, config);
  rook_plugin_set_data (self, notify, notify_free);
  return rook_plugin_add_subscriber (self, rook_loop_get_main_worker (loop), &notify_subscriber, notify, error)
         && rook_plugin_add_control_verb (self, &notify_verb, notify, error)
         && rook_plugin_add_protocol (self, &notify_protocol, notify, error);
}

static void
example_reconfigure (RookPlugin *self, RookConfigGroup *config)
{
  notify_set_live (rook_plugin_get_data (self), config);
}

static const char *const protocols[] = { "notify", NULL };

ROOK_PLUGIN_DEFINE (.name = "example", .summary = "Tells whoever watches of new messages", .version = "1.0",
                    .license = "LGPL-2.1-or-later", .keys = notify_keys, .protocols = protocols, .init = example_init,
                    .reconfigure = example_reconfigure)
