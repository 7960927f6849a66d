/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which store this is, if IDENTITY is damaged: the heads of logs and segments and the marks of both copies say it too. They are
 * believed if all that can be read say the same; one of another store, or nobody who says it, and the place stays shut.
 */
#include "storage-gdbm/gs-store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define ADVICE "put IDENTITY back from a backup, however old: it never changes"

typedef struct {
  GsStore *store; /* whose id is what the first one said */
  char *first;    /* (owned) (nullable) its name */
  guint n;
} Witnesses;

static gboolean
hear (Witnesses *witnesses, const char *name, const char *id, GError **error)
{
  GsStore *store = witnesses->store;

  if (witnesses->n++ == 0)
    {
      witnesses->first = g_strdup (name);
      g_strlcpy (store->id, id, sizeof store->id);
    }
  if (strcmp (store->id, id) == 0)
    return TRUE;
  g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT,
               "%s/IDENTITY is damaged, and %s is of store %s, %s of store %s: take away what is foreign, or " ADVICE,
               store->path, witnesses->first, store->id, name, id);
  return FALSE;
}

/* One that is damaged itself says nothing. */
static gboolean
may_pass (GError *failed, GError **error)
{
  if (failed == NULL)
    return TRUE;
  if (g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT)
      || g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY))
    {
      g_error_free (failed);
      return TRUE;
    }
  g_propagate_error (error, failed);
  return FALSE;
}

static gboolean
ask_file (Witnesses *witnesses, const char *name, GError **error)
{
  gboolean is_log = g_str_has_prefix (name, "log.");
  g_autofree guint8 *data = NULL;
  GError *failed = NULL;
  GsSegmentHead segment;
  GsLogHead log;
  int fd;

  if ((!is_log && !g_str_has_prefix (name, "mail.") && !g_str_has_prefix (name, "cache."))
      || strcmp (name, "log.spare") == 0 || strcmp (name, "log.filling") == 0)
    return TRUE;
  fd = gs_io_open (witnesses->store->io, witnesses->store->dir, name, O_RDONLY, error);
  if (fd < 0)
    return FALSE;
  data = g_malloc (GS_HEAD_SIZE);
  if (gs_io_pread (witnesses->store->io, fd, data, GS_HEAD_SIZE, 0, name, &failed)
      && (is_log ? gs_log_head_decode (data, GS_HEAD_SIZE, &log, &failed)
                 : gs_segment_head_decode (data, GS_HEAD_SIZE, &segment, &failed)))
    {
      close (fd);
      return hear (witnesses, name, is_log ? log.store_id : segment.store_id, error);
    }
  close (fd);
  return may_pass (failed, error);
}

static gboolean
ask_copy (Witnesses *witnesses, guint index, GError **error)
{
  g_autofree char *name = g_strdup_printf ("table.%u", index);
  char id[GS_ID_SIZE + 1];
  GError *failed = NULL;

  if (gs_copy_read_id (witnesses->store, index, id, &failed) && *id != '\0')
    return hear (witnesses, name, id, error);
  return may_pass (failed, error);
}

static gboolean
ask_directory (Witnesses *witnesses, GError **error)
{
  int fd = openat (witnesses->store->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd >= 0 ? fdopendir (fd) : NULL;
  struct dirent *entry;
  gboolean ok = TRUE;

  if (dir == NULL)
    {
      gs_set_errno (error, errno, "reading %s", witnesses->store->path);
      return FALSE;
    }
  while (ok && (entry = readdir (dir)) != NULL)
    ok = ask_file (witnesses, entry->d_name, error);
  closedir (dir);
  return ok && ask_copy (witnesses, 0, error) && ask_copy (witnesses, 1, error);
}

gboolean
gs_witness_ask (GsStore *store, GError **error)
{
  Witnesses witnesses = { .store = store };
  gboolean ok = ask_directory (&witnesses, error);

  store->n_witnesses = witnesses.n;
  g_free (witnesses.first);
  if (ok && witnesses.n == 0)
    g_set_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT,
                 "%s/IDENTITY is damaged, and no other file says which store this is: " ADVICE, store->path);
  return ok && witnesses.n > 0;
}
