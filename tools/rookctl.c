/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rookctl, the administrator's tool.
 */
#include <glib.h>

int
main (void)
{
  g_print ("rookctl %s\n", PACKAGE_VERSION);
  return 0;
}
