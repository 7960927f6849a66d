/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The directory of a server that stands alone: everything is here, and every change may be made.
 */
#include "directory/directory-private.h"

static void
local_locate (G_GNUC_UNUSED gpointer self, G_GNUC_UNUSED const char *name, RookLocateCallback callback, gpointer data)
{
  RookLocation here = { .local = TRUE };

  callback (&here, NULL, data);
}

static void
local_prepare (G_GNUC_UNUSED gpointer self, G_GNUC_UNUSED const RookChange *change, RookPrepareCallback callback,
               gpointer data)
{
  callback (NULL, NULL, data);
}

static void
local_commit (G_GNUC_UNUSED gpointer self, G_GNUC_UNUSED gpointer token, RookCommitCallback callback, gpointer data)
{
  callback (NULL, data);
}

static void
local_abort (G_GNUC_UNUSED gpointer self, G_GNUC_UNUSED gpointer token)
{
}

const RookDirectory rook_local_directory = {
  .struct_size = sizeof (RookDirectory),
  .name = "local",
  .locate = local_locate,
  .prepare = local_prepare,
  .commit = local_commit,
  .abort = local_abort,
};
