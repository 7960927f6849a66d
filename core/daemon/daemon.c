/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon: command line, start, stop.
 */
#include "rookery/server.h"

int
rook_server_main (int argc, char **argv)
{
  gboolean version = FALSE;
  const GOptionEntry entries[] = {
    { "version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version and exit", NULL },
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    {
      g_printerr ("rookeryd: %s\n", error->message);
      return 2;
    }
  g_print ("rookeryd %s\n", PACKAGE_VERSION);
  return 0;
}
