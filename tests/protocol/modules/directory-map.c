/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A directory by which mailboxes whose name ends in "away" are on another server, "lost" are nobody knows where, and
 * "taken" can't be made. Built by test_directory.py.
 */
#include "rookery/directory.h"

static void
locate (gpointer self G_GNUC_UNUSED, const char *name, RookLocateCallback callback, gpointer data)
{
  RookLocation location = { .local = TRUE };
  g_autoptr (GError) error = NULL;

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
  return rook_plugin_add_directory (self, &map, NULL, error);
}

ROOK_PLUGIN_DEFINE (.name = "directory-map", .summary = "Puts some mailboxes elsewhere, for a test", .version = "1",
                    .license = "LGPL-2.1-or-later", .init = map_init)
