/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The conformance suite on storage-gdbm: as it comes, and with everything so small that files are changed all the time.
 */
#include "conformance.h"
#include "storage-gdbm/gs-store.h"

#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

static GsSettings usual;
static GsSettings tiny;

static char *
make_place (void)
{
  char *path = g_dir_make_tmp ("rook-store-XXXXXX", NULL);

  g_assert_nonnull (path);
  return path;
}

static char *
place_new (gpointer *out_data)
{
  *out_data = &usual;
  return make_place ();
}

static char *
place_new_tiny (gpointer *out_data)
{
  *out_data = &tiny;
  return make_place ();
}

static int
remove_one (const char *path, const struct stat *st G_GNUC_UNUSED, int type G_GNUC_UNUSED,
            struct FTW *ftw G_GNUC_UNUSED)
{
  return remove (path);
}

static void
place_free (char *path, gpointer data G_GNUC_UNUSED)
{
  nftw (path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  g_free (path);
}

int
main (int argc, char **argv)
{
  const RookConformance subjects[] = {
    { "gdbm", &gs_backend, place_new, place_free },
    { "gdbm-tiny", &gs_backend, place_new_tiny, place_free },
  };

  g_test_init (&argc, &argv, NULL);
  usual = tiny = gs_default_settings;
  usual.log_size = 1024 * 1024;
  tiny.log_size = 16 * 1024;
  tiny.segment_size = 100 * 1024;
  tiny.memory_size = 64 * 1024;
  tiny.log_limit = 64 * 1024;
  for (guint i = 0; i < G_N_ELEMENTS (subjects); i++)
    rook_conformance_add_tests (&subjects[i]);
  return g_test_run ();
}
