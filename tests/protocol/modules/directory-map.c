/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A directory by which mailboxes whose name ends in "away" are on another server, "lost" are nobody knows where, and
 * "taken" can't be made; of those with "late" in their name it takes its time to say so, and of those with "silent" it
 * says nothing until it is asked about one with "wake". Built by test_directory.py.
 */
#include "rookery/directory.h"

#include <pthread.h>
#include <string.h>

#define LATE_US 100000

typedef struct {
  char *name; /* (owned) */
  RookLocateCallback callback;
  gpointer data;
} Late;

static void locate (gpointer self, const char *name, RookLocateCallback callback, gpointer data);

static void *
answer_late (void *data)
{
  Late *late = data;

  g_usleep (LATE_US);
  locate (NULL, late->name, late->callback, late->data);
  g_free (late->name);
  g_free (late);
  return NULL;
}

/* From a thread of its own, as a murder would: by then the client may have gone. */
static void
locate_late (gpointer self G_GNUC_UNUSED, const char *name, RookLocateCallback callback, gpointer data)
{
  Late *late = g_new (Late, 1);
  pthread_t thread;

  *late = (Late){ g_strdup (name), callback, data };
  g_assert (pthread_create (&thread, NULL, answer_late, late) == 0);
  pthread_detach (thread);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static GSList *silent; /* of Late */

static void
keep (const char *name, RookLocateCallback callback, gpointer data)
{
  Late *late = g_new (Late, 1);

  *late = (Late){ g_strdup (name), callback, data };
  pthread_mutex_lock (&lock);
  silent = g_slist_prepend (silent, late);
  pthread_mutex_unlock (&lock);
}

static void
wake (void)
{
  GSList *all;

  pthread_mutex_lock (&lock);
  all = g_steal_pointer (&silent);
  pthread_mutex_unlock (&lock);
  for (GSList *item = all; item != NULL; item = item->next)
    {
      Late *late = item->data;

      locate (NULL, late->name, late->callback, late->data);
      g_free (late->name);
      g_free (late);
    }
  g_slist_free (all);
}

static void
locate (gpointer self, const char *name, RookLocateCallback callback, gpointer data)
{
  RookLocation location = { .local = TRUE };
  g_autoptr (GError) error = NULL;

  if (self != NULL && strstr (name, "late") != NULL)
    {
      locate_late (self, name, callback, data);
      return;
    }
  if (self != NULL && strstr (name, "silent") != NULL)
    {
      keep (name, callback, data);
      return;
    }
  if (strstr (name, "wake") != NULL)
    wake ();
  if (g_str_has_suffix (name, "away"))
    location = (RookLocation){ .server = "mail2.example", .partition = "fast" };
  else if (g_str_has_suffix (name, "lost"))
    error = g_error_new (ROOK_DIRECTORY_ERROR, ROOK_DIRECTORY_ERROR_UNAVAILABLE, "the map can't be reached");
  else if (g_str_has_suffix (name, "none"))
    error = g_error_new (ROOK_DIRECTORY_ERROR, ROOK_DIRECTORY_ERROR_NOT_FOUND, "no such mailbox");
  callback (error == NULL ? &location : NULL, error, data);
}

static void
prepare (gpointer self G_GNUC_UNUSED, const RookChange *change, RookPrepareCallback callback, gpointer data)
{
  g_autoptr (GError) error = NULL;

  if (g_str_has_suffix (change->name, "taken"))
    error = g_error_new (ROOK_DIRECTORY_ERROR, ROOK_DIRECTORY_ERROR_CONFLICT, "another server has that name");
  callback (NULL, error, data);
}

static void
commit (gpointer self G_GNUC_UNUSED, gpointer token G_GNUC_UNUSED, RookCommitCallback callback, gpointer data)
{
  callback (NULL, data);
}

static void
undo (gpointer self G_GNUC_UNUSED, gpointer token G_GNUC_UNUSED)
{
}

static const RookDirectory map = {
  .struct_size = sizeof (RookDirectory),
  .name = "map",
  .locate = locate,
  .prepare = prepare,
  .commit = commit,
  .abort = undo,
};

static gboolean
map_init (RookPlugin *self, RookConfigGroup *config G_GNUC_UNUSED, GError **error)
{
  return rook_plugin_add_directory (self, &map, self, error);
}

ROOK_PLUGIN_DEFINE (.name = "directory-map", .summary = "Puts some mailboxes elsewhere, for a test", .version = "1",
                    .license = "LGPL-2.1-or-later", .init = map_init)
