/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The registry of storage backends: who offers what, and how many stores of each are open. A store that is open keeps
 * its plugin's module in memory.
 */
#include "storage/storage-private.h"

#include "plugin/plugin-private.h"

#include <string.h>

typedef struct {
  gint refs;          /* atomic: the registry's and one an open store */
  RookPlugin *plugin; /* (owned reference) (nullable) */
  const RookStorageBackend *backend;
  gpointer data;
} Entry;

struct RookStorage {
  RookMutex lock;
  GPtrArray *entries; /* (element-type Entry) (owned) */
};

static void
entry_unref (gpointer data)
{
  Entry *entry = data;

  if (__atomic_fetch_sub (&entry->refs, 1, __ATOMIC_ACQ_REL) != 1)
    return;
  if (entry->plugin != NULL)
    rook_plugin_unref (entry->plugin);
  g_free (entry);
}

RookStorage *
rook_storage_new (RookServer *server G_GNUC_UNUSED)
{
  RookStorage *self = g_new0 (RookStorage, 1);

  rook_mutex_init (&self->lock);
  self->entries = g_ptr_array_new_with_free_func (entry_unref);
  return self;
}

void
rook_storage_free (RookStorage *self)
{
  g_ptr_array_unref (self->entries);
  rook_mutex_clear (&self->lock);
  g_free (self);
}

/* With the lock. */
static Entry *
find (RookStorage *self, const char *name)
{
  for (guint i = 0; i < self->entries->len; i++)
    {
      Entry *entry = g_ptr_array_index (self->entries, i);

      if (strcmp (entry->backend->name, name) == 0)
        return entry;
    }
  return NULL;
}

/* The first required function that is missing, or %NULL. */
static const char *
missing_function (const RookStorageBackend *backend)
{
  const struct {
    const char *name;
    gboolean there;
  } needs[] = {
    { "open", backend->open != NULL },
    { "close", backend->close != NULL },
    { "get_id", backend->get_id != NULL },
    { "get_position", backend->get_position != NULL },
    { "new_blob_id", backend->new_blob_id != NULL },
    { "unreserve", backend->unreserve != NULL || backend->reserve == NULL },
    { "commit", backend->commit != NULL },
    { "get", backend->get != NULL },
    { "read", backend->read != NULL },
    { "foreach", backend->foreach != NULL },
    { "stage_write", backend->stage_write != NULL || backend->stage_begin == NULL },
    { "stage_finish", backend->stage_finish != NULL || backend->stage_begin == NULL },
    { "stage_drop", backend->stage_drop != NULL || backend->stage_begin == NULL },
  };

  for (guint i = 0; i < G_N_ELEMENTS (needs); i++)
    if (!needs[i].there)
      return needs[i].name;
  return NULL;
}

static gboolean
check_backend (const RookStorageBackend *backend, GError **error)
{
  const char *missing;

  if (backend->struct_size < sizeof (RookStorageBackend) || backend->name == NULL)
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT, "a storage backend without name or size");
      return FALSE;
    }
  missing = missing_function (backend);
  if (missing != NULL)
    g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT, "storage backend %s has no function %s",
                 backend->name, missing);
  return missing == NULL;
}

gboolean
rook_storage_add (RookStorage *self, RookPlugin *plugin, const RookStorageBackend *backend, gpointer data,
                  GError **error)
{
  g_autoptr (RookLocker) locker = NULL;
  Entry *entry;

  if (!check_backend (backend, error))
    return FALSE;
  locker = rook_locker_new (&self->lock);
  if (find (self, backend->name) != NULL)
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT, "there is a storage backend %s already",
                   backend->name);
      return FALSE;
    }
  entry = g_new0 (Entry, 1);
  *entry = (Entry){
    .refs = 1, .plugin = plugin != NULL ? rook_plugin_ref (plugin) : NULL, .backend = backend, .data = data
  };
  g_ptr_array_add (self->entries, entry);
  return TRUE;
}

void
rook_storage_remove (RookStorage *self, const RookStorageBackend *backend)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->lock);
  Entry *entry = find (self, backend->name);

  if (entry != NULL && entry->backend == backend)
    g_ptr_array_remove (self->entries, entry);
}

gboolean
rook_storage_has (RookStorage *self, const char *name)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->lock);

  return find (self, name) != NULL;
}

gboolean
rook_storage_in_use (RookStorage *self, const RookStorageBackend *backend)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->lock);
  Entry *entry = find (self, backend->name);

  return entry != NULL && entry->backend == backend && __atomic_load_n (&entry->refs, __ATOMIC_ACQUIRE) > 1;
}

static Entry *
use (RookStorage *self, const char *name)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&self->lock);
  Entry *entry = find (self, name);

  if (entry != NULL)
    __atomic_fetch_add (&entry->refs, 1, __ATOMIC_RELAXED);
  return entry;
}

/* What an open store holds: its backend, whose plugin can't be switched off meanwhile. */
typedef struct {
  Entry *entry; /* (owned reference) */
  char *why;    /* (owned) */
} Use;

static void
end_use (gpointer data)
{
  Use *held = data;

  if (held->entry->plugin != NULL)
    rook_plugin_unpin (held->entry->plugin, held->why);
  entry_unref (held->entry);
  g_free (held->why);
  g_free (held);
}

static Use *
begin_use (Entry *entry, const char *path)
{
  Use *held = g_new (Use, 1);

  *held = (Use){ entry, g_strconcat ("the store in ", path, NULL) };
  if (entry->plugin != NULL)
    rook_plugin_pin (entry->plugin, held->why);
  return held;
}

RookStore *
rook_store_open (RookServer *server, const char *backend, const RookStoreSpec *spec, GError **error)
{
  Entry *entry;
  RookStore *store;

  g_return_val_if_fail (server != NULL && backend != NULL, NULL);
  entry = use (rook_server_get_storage (server), backend);
  if (entry == NULL)
    {
      g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNSUPPORTED, "no plugin offers the storage backend %s",
                   backend);
      return NULL;
    }
  store = rook_store_open_backend (server, entry->backend, entry->data, spec, error);
  if (store == NULL)
    {
      entry_unref (entry);
      return NULL;
    }
  store->closed = end_use;
  store->closed_data = begin_use (entry, spec->path);
  return store;
}
