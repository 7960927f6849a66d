/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lmtp plugin's registration.
 */
#include "lmtp/session.h"

static gboolean
lmtp_init (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  Lmtp *lmtp = lmtp_new (self, config, error);

  if (lmtp == NULL)
    return FALSE;
  rook_plugin_set_data (self, lmtp, (GDestroyNotify) lmtp_unref);
  return rook_plugin_add_protocol (self, &lmtp_protocol, lmtp, error);
}

static void
lmtp_plugin_reconfigure (RookPlugin *self, RookConfigGroup *config)
{
  lmtp_reconfigure (rook_plugin_get_data (self), config);
}

static const char *const protocols[] = { "lmtp", NULL };

ROOK_PLUGIN_DEFINE (.name = "lmtp", .summary = "Mail delivery by LMTP (RFC 2033)", .version = PACKAGE_VERSION,
                    .license = "LGPL-2.1-or-later", .protocols = protocols, .needs_store = TRUE, .keys = lmtp_keys,
                    .init = lmtp_init, .reconfigure = lmtp_plugin_reconfigure)
