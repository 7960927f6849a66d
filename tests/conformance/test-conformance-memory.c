/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The conformance suite on the in-memory backend.
 */
#include "conformance.h"
#include "storage/memory.h"

static char *
place_new (gpointer *out_data)
{
  *out_data = rook_memory_disk_new ();
  return g_strdup ("/nowhere");
}

static void
place_free (char *path, gpointer data)
{
  rook_memory_disk_free (data);
  g_free (path);
}

int
main (int argc, char **argv)
{
  const RookConformance subject = { "memory", &rook_memory_backend, place_new, place_free };

  g_test_init (&argc, &argv, NULL);
  rook_conformance_add_tests (&subject);
  return g_test_run ();
}
