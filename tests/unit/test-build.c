/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the build itself promises to every other test.
 */
#include <glib.h>

#include "rookery/macros.h"

typedef struct {
  gsize struct_size;
  int first;
  int later;
} Grown;

static void
test_struct_has_member (void)
{
  Grown old = { .struct_size = G_STRUCT_OFFSET (Grown, later) };
  Grown young = { .struct_size = sizeof (Grown) };

  g_assert_true (ROOK_STRUCT_HAS (&old, Grown, first));
  g_assert_false (ROOK_STRUCT_HAS (&old, Grown, later));
  g_assert_true (ROOK_STRUCT_HAS (&young, Grown, later));
}

static void
test_version_is_known (void)
{
  g_assert_cmpstr (PACKAGE_VERSION, !=, "");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/build/struct/has-only-members-within-its-size", test_struct_has_member);
  g_test_add_func ("/build/version/is-known-without-an-include", test_version_is_known);
  return g_test_run ();
}
