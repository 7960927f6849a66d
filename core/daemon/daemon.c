/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's command line.
 */
#include <fcntl.h>
#include <locale.h>
#include <unistd.h>

#include "daemon/life.h"
#include "installdirs.h"
#include "rookery/server.h"

enum { EXIT_USAGE = 2 };

/* Where standard input, output or error was closed the next thing opened would take its number, and be read, or written to
 * by the log. */
static void
fill_standard_streams (void)
{
  int fd;

  do
    fd = open ("/dev/null", O_RDWR);
  while (fd >= STDIN_FILENO && fd <= STDERR_FILENO);
  if (fd > STDERR_FILENO)
    close (fd);
}

int
rook_server_main (int argc, char **argv)
{
  gboolean version = FALSE, check = FALSE;
  g_autofree char *config = NULL;
  const GOptionEntry entries[] = {
    { "config", 'c', 0, G_OPTION_ARG_FILENAME, &config, "Read this file (" ROOK_SYSCONFDIR "/rookery.conf)", "FILE" },
    { "check-config", 0, 0, G_OPTION_ARG_NONE, &check, "Check the configuration, print every mistake, and exit", NULL },
    { "version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version and exit", NULL },
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  g_autofree char *path = NULL;

  rook_life_hold_hangup ();
  fill_standard_streams ();
  setlocale (LC_ALL, "C.UTF-8");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error) || argc > 1)
    {
      g_printerr ("rookeryd: %s\n", error != NULL ? error->message : "takes no arguments but options");
      return EXIT_USAGE;
    }
  if (version)
    {
      g_print ("rookeryd %s\n", rook_server_get_version ());
      return 0;
    }
  /* The daemon may be anywhere when it reloads. */
  path = g_canonicalize_filename (config != NULL ? config : ROOK_SYSCONFDIR "/rookery.conf", NULL);
  return check ? rook_life_check (path) : rook_life_run (path);
}
