/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The directory: locked against a second process, known by its identity, made only where there is nothing.
 */
#include "storage-gdbm/gs-store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage-gdbm/gs-bytes.h"
#include "storage-gdbm/gs-checksum.h"

#define LOCK_NAME "lock"
#define IDENTITY_NAME "IDENTITY"
#define IDENTITY_MAGIC "RookStor"
#define IDENTITY_SIZE 512
/* Is there while a new store is being made: what an interrupted attempt left may be thrown away. */
#define BEGUN_NAME "initialising"

static gboolean
lock_directory (GsStore *store, GError **error)
{
  char text[32] = "";
  ssize_t n;

  store->lock_fd = openat (store->dir, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (store->lock_fd < 0)
    {
      gs_set_errno (error, errno, "opening %s/%s", store->path, LOCK_NAME);
      return FALSE;
    }
  if (flock (store->lock_fd, LOCK_EX | LOCK_NB) == 0)
    {
      g_snprintf (text, sizeof text, "%ld\n", (long) getpid ());
      n = pwrite (store->lock_fd, text, strlen (text), 0);
      if (n < 0 || ftruncate (store->lock_fd, n) != 0)
        gs_log_notice (store, ROOK_LOG_WARNING, "store.lock", "the lock file can't be written");
      return TRUE;
    }
  n = pread (store->lock_fd, text, sizeof text - 1, 0);
  g_strchomp (text);
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_LOCKED, "the store %s is in use by process %s", store->path,
               n > 0 ? text : "unknown");
  return FALSE;
}

gboolean
gs_directory_open (GsStore *store, gboolean create, GError **error)
{
  if (create && g_mkdir_with_parents (store->path, 0700) != 0)
    {
      gs_set_errno (error, errno, "making %s", store->path);
      return FALSE;
    }
  store->dir = open (store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (store->dir < 0 && errno == ENOENT)
    g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY, "there is no directory %s", store->path);
  else if (store->dir < 0)
    gs_set_errno (error, errno, "opening %s", store->path);
  return store->dir >= 0;
}

void
gs_directory_close (GsStore *store)
{
  if (store->lock_fd >= 0)
    close (store->lock_fd);
  if (store->dir >= 0)
    close (store->dir);
}

/* --- identity: magic (8), version (2), zeros, id (64) at 16, CRC at the end -------------------------------------------- */

/* @out_id: GS_ID_SIZE + 1 bytes */
static gboolean
identity_decode (GsStore *store, GBytes *bytes, char *out_id, GError **error)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);

  if (size != IDENTITY_SIZE || memcmp (data, IDENTITY_MAGIC, 8) != 0
      || gs_get32 (data + IDENTITY_SIZE - 4) != gs_crc32c (0, data, IDENTITY_SIZE - 4))
    {
      g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "%s/%s is damaged", store->path, IDENTITY_NAME);
      return FALSE;
    }
  if (gs_get16 (data + 8) > GS_FORMAT_VERSION)
    {
      g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_VERSION,
                   "%s has format %u, and this version knows formats up to %u", store->path, gs_get16 (data + 8),
                   GS_FORMAT_VERSION);
      return FALSE;
    }
  memcpy (out_id, data + 16, GS_ID_SIZE);
  out_id[GS_ID_SIZE] = '\0';
  return TRUE;
}

gboolean
gs_identity_check (GsStore *store, GError **error)
{
  g_autoptr (GBytes) bytes = gs_io_read_file (store->io, store->dir, IDENTITY_NAME, IDENTITY_SIZE, error);
  char id[GS_ID_SIZE + 1];

  if (bytes == NULL || !identity_decode (store, bytes, id, error))
    return FALSE;
  if (strcmp (id, store->id) == 0)
    return TRUE;
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "%s/%s is of another store", store->path,
               IDENTITY_NAME);
  return FALSE;
}

static gboolean
is_ours (const char *name)
{
  return g_str_has_prefix (name, "log.") || g_str_has_prefix (name, "mail.") || g_str_has_prefix (name, "cache.")
         || g_str_has_prefix (name, "table.") || g_str_has_prefix (name, "CURRENT")
         || g_str_has_prefix (name, IDENTITY_NAME ".");
}

/* Every name but those that a place may have and still count as empty. */
static GPtrArray *
list_names (GsStore *store, gboolean *out_begun, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  int fd = openat (store->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd >= 0 ? fdopendir (fd) : NULL;
  struct dirent *entry;

  if (dir == NULL)
    {
      gs_set_errno (error, errno, "reading %s", store->path);
      return NULL;
    }
  *out_begun = FALSE;
  while ((entry = readdir (dir)) != NULL)
    if (strcmp (entry->d_name, BEGUN_NAME) == 0)
      *out_begun = TRUE;
    else if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0
             && strcmp (entry->d_name, LOCK_NAME) != 0 && strcmp (entry->d_name, "lost+found") != 0)
      g_ptr_array_add (names, g_strdup (entry->d_name));
  closedir (dir);
  return g_steal_pointer (&names);
}

/* The place counts as empty; what an interrupted attempt left is removed. */
static gboolean
check_empty (GsStore *store, GError **error)
{
  gboolean begun;
  g_autoptr (GPtrArray) names = list_names (store, &begun, error);

  if (names == NULL)
    return FALSE;
  for (guint i = 0; i < names->len; i++)
    {
      const char *name = g_ptr_array_index (names, i);

      /* BEGUN_NAME itself may have been on its way in: before it there was nothing of ours. */
      if (strcmp (name, BEGUN_NAME ".new") != 0 && (!begun || !is_ours (name)))
        {
          g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY,
                       is_ours (name) ? "%s holds %s, and its " IDENTITY_NAME " is missing: it is not touched"
                                      : "%s holds %s and is not a store: it is not touched",
                       store->path, name);
          return FALSE;
        }
      if (!gs_io_unlink (store->io, store->dir, name, error))
        return FALSE;
    }
  return TRUE;
}

gboolean
gs_identity_read (GsStore *store, gboolean *out_there, GError **error)
{
  g_autoptr (GError) missing = NULL;
  g_autoptr (GBytes) bytes = NULL;

  if (!lock_directory (store, error))
    return FALSE;
  bytes = gs_io_read_file (store->io, store->dir, IDENTITY_NAME, IDENTITY_SIZE, &missing);
  *out_there = bytes != NULL;
  if (bytes != NULL && identity_decode (store, bytes, store->id, &missing))
    return TRUE;
  if (g_error_matches (missing, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
    return gs_witness_ask (store, error);
  if (bytes == NULL && g_error_matches (missing, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY))
    return check_empty (store, error);
  g_propagate_error (error, g_steal_pointer (&missing));
  return FALSE;
}

static gboolean
write_identity (GsStore *store, GError **error)
{
  guint8 data[IDENTITY_SIZE] = { 0 };

  memcpy (data, IDENTITY_MAGIC, 8);
  gs_put16 (data + 8, GS_FORMAT_VERSION);
  memcpy (data + 16, store->id, strlen (store->id));
  gs_put32 (data + IDENTITY_SIZE - 4, gs_crc32c (0, data, IDENTITY_SIZE - 4));
  return gs_io_replace (store->io, store->dir, IDENTITY_NAME, data, sizeof data, error);
}

void
gs_identity_repair (GsStore *store)
{
  g_autoptr (GError) error = NULL;

  if (write_identity (store, &error))
    gs_log_notice (store, ROOK_LOG_NOTICE, "store.repaired",
                   IDENTITY_NAME " was damaged, and is written anew: %u other files say that this is store %s. Nothing "
                                 "is lost",
                   store->n_witnesses, store->id);
  else
    gs_log_notice (store, ROOK_LOG_ERROR, "store.damaged", IDENTITY_NAME " is damaged, and can't be written anew: %s",
                   error->message);
}

/* Syncs the directory that holds the store's: else a new store could be gone with its name. */
static gboolean
sync_parent (GsStore *store, GError **error)
{
  g_autofree char *parent = g_path_get_dirname (store->path);
  int fd = open (parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  gboolean ok;

  if (fd < 0)
    {
      gs_set_errno (error, errno, "opening %s", parent);
      return FALSE;
    }
  ok = gs_io_sync_dir (store->io, fd, error);
  close (fd);
  return ok;
}

gboolean
gs_identity_make (GsStore *store, GError **error)
{
  g_autofree char *id = g_uuid_string_random ();
  GsCurrent fresh = { .current = 0 };

  g_strlcpy (store->id, id, sizeof store->id);
  fresh.copies[0].clean = fresh.copies[1].clean = TRUE;
  return gs_io_replace (store->io, store->dir, BEGUN_NAME, "", 0, error) && gs_copy_create (store, 0, error)
         && gs_copy_create (store, 1, error) && gs_current_write (store, &fresh, error) && sync_parent (store, error)
         && write_identity (store, error) && gs_io_unlink (store->io, store->dir, BEGUN_NAME, error);
}
