/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Prints every group and key there is, of the core and of all built plugins, for rookery.conf(5) and the sample
 * configuration. Run by the build and not installed: administrators have `rookctl config describe`.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "config/config-private.h"
#include "daemon/load.h"
#include "plugin/plugin-private.h"

/* A configuration that names every module of @directory, so that each is loaded and declares its keys. */
static char *
write_config (const char *directory, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  g_autoptr (GString) text = g_string_new ("[server]\n");
  g_autofree char *path = NULL;
  const char *name;
  int fd;

  g_string_append_printf (text, "plugin-directory=%s\n", directory);
  /* Where every plugin was left out, there is no such folder. */
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_suffix (name, ".so"))
      g_string_append_printf (text, "[plugin %.*s]\n", (int) strlen (name) - 3, name);
  fd = g_file_open_tmp ("rookery-XXXXXX.conf", &path, error);
  if (fd < 0 || !g_close (fd, error) || !g_file_set_contents (path, text->str, (gssize) text->len, error))
    return NULL;
  return g_steal_pointer (&path);
}

int
main (int argc, char **argv)
{
  RookConfigFormat format = ROOK_CONFIG_DESCRIBE_SAMPLE;
  /* Closes the modules, which hold the texts that the configuration points to: so it goes last. */
  g_autoptr (RookPluginPlan) plan = NULL;
  g_autoptr (RookConfig) config = NULL;
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *path = NULL;
  g_autofree char *text = NULL;

  if (argc != 3)
    {
      g_printerr ("usage: describe-config man|sample PLUGIN-DIRECTORY\n");
      return 2;
    }
  if (g_str_equal (argv[1], "man"))
    format = ROOK_CONFIG_DESCRIBE_MAN;
  path = write_config (argv[2], &error);
  if (path == NULL)
    {
      g_printerr ("describe-config: %s\n", error->message);
      return 1;
    }
  config = rook_daemon_load (path, NULL, NULL, &plan, &mistakes);
  text = rook_config_describe (config, format, NULL);
  g_print ("%s", text);
  g_unlink (path);
  return 0;
}
