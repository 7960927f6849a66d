/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The imap plugin's registration: the protocol, and the interface by which others extend it.
 */
#include "imap/imap.h"
#include "imap/session.h"

static gboolean
imap_init (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  RookImap *imap = imap_new (self, config);

  rook_plugin_set_data (self, imap, (GDestroyNotify) imap_unref);
  return rook_plugin_add_protocol (self, &imap_protocol, imap, error)
         && rook_plugin_provide (self, ROOK_IMAP_INTERFACE, &imap_interface, imap, error);
}

static void
imap_plugin_reconfigure (RookPlugin *self, RookConfigGroup *config)
{
  imap_reconfigure (rook_plugin_get_data (self), config);
}

static const char *const provides[] = { ROOK_IMAP_INTERFACE, NULL };

static const char *const protocols[] = { "imap", NULL };

ROOK_PLUGIN_DEFINE (.name = "imap", .summary = "Mail access by IMAP4rev1 (RFC 3501)", .version = PACKAGE_VERSION,
                    .license = "LGPL-2.1-or-later", .provides = provides, .protocols = protocols, .needs_store = TRUE,
                    .keys = imap_keys, .init = imap_init, .reconfigure = imap_plugin_reconfigure)
