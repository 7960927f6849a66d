/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a plugin registers a backend, and how the core takes it back.
 */
#include "plugin/plugin-private.h"
#include "storage/storage-private.h"

typedef struct {
  RookStorage *storage;
  const RookStorageBackend *backend;
} Registration;

static void
undo (gpointer data)
{
  Registration *registration = data;

  rook_storage_remove (registration->storage, registration->backend);
  g_free (registration);
}

gboolean
rook_plugin_add_storage (RookPlugin *self, const RookStorageBackend *backend, gpointer data, GError **error)
{
  RookStorage *storage = rook_server_get_storage (rook_plugin_get_server (self));
  Registration *registration;

  if (!rook_plugin_may_register (self, "a storage backend", error)
      || (backend->name != NULL && !rook_plugin_check_offer (self, ROOK_OFFER_STORAGE, backend->name, error))
      || !rook_storage_add (storage, self, backend, data, error))
    return FALSE;
  registration = g_new (Registration, 1);
  *registration = (Registration){ storage, backend };
  rook_plugin_on_undo (self, undo, registration);
  return TRUE;
}
