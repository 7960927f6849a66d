/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The directory of a server whose own has gone, or has not come yet: nobody can say where anything is, and no change may
 * be made. Answering "here" instead would make mailboxes twice.
 */
#include "directory/directory-private.h"

static GError *
make_error (void)
{
  return g_error_new_literal (ROOK_DIRECTORY_ERROR, ROOK_DIRECTORY_ERROR_UNAVAILABLE,
                              "the plugin that provides the directory does not run");
}

static void
absent_locate (G_GNUC_UNUSED gpointer self, G_GNUC_UNUSED const char *name, RookLocateCallback callback, gpointer data)
{
  g_autoptr (GError) error = make_error ();

  callback (NULL, error, data);
}

static void
absent_prepare (G_GNUC_UNUSED gpointer self, G_GNUC_UNUSED const RookChange *change, RookPrepareCallback callback,
                gpointer data)
{
  g_autoptr (GError) error = make_error ();

  callback (NULL, error, data);
}

/* Of nothing that was prepared here. */
static void
absent_commit (G_GNUC_UNUSED gpointer self, G_GNUC_UNUSED gpointer token, G_GNUC_UNUSED RookCommitCallback callback,
               G_GNUC_UNUSED gpointer data)
{
  g_assert_not_reached ();
}

static void
absent_abort (G_GNUC_UNUSED gpointer self, G_GNUC_UNUSED gpointer token)
{
  g_assert_not_reached ();
}

const RookDirectory rook_absent_directory = {
  .struct_size = sizeof (RookDirectory),
  .name = "unavailable",
  .locate = absent_locate,
  .prepare = absent_prepare,
  .commit = absent_commit,
  .abort = absent_abort,
};
