/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rookeryd, the program: all of it is in the library.
 */
#include "rookery/server.h"

int
main (int argc, char **argv)
{
  return rook_server_main (argc, argv);
}
