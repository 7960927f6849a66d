/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A server for unit tests: all services, no plugins, directories of its own. Part of the library, since every area's
 * tests want it; nothing outside tests calls it.
 */
#include "daemon/server-private.h"

#include <glib/gstdio.h>
#include <string.h>

#include "config/config-private.h"

/* Two files: what the test's own says stands above ours. */
static RookConfig *
make_config (const char *scratch, const char *config_text, GPtrArray **out_mistakes)
{
  g_autoptr (GString) own = g_string_new (config_text);
  g_autofree char *ours = g_strdup_printf ("[server]\n"
                                           "state-directory=%s/state\n"
                                           "run-directory=%s/run\n"
                                           "plugin-directory=%s/plugins\n"
                                           "workers=2\n"
                                           "[log]\n"
                                           "target=stderr\n"
                                           "level=warning\n",
                                           scratch, scratch, scratch);
  RookConfig *config = rook_config_read_data ("default", ours, strlen (ours), out_mistakes);

  g_string_replace (own, "@SCRATCH@", scratch, 0);
  rook_config_parse (config, "test", own->str, own->len, *out_mistakes);
  return config;
}

static void
make_directories (const char *scratch)
{
  static const char *const names[] = { "state", "run", "plugins", "spool" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = g_build_filename (scratch, names[i], NULL);

      g_assert_no_errno (g_mkdir_with_parents (path, 0700));
    }
}

static void
expect_none (GPtrArray *mistakes)
{
  for (guint i = 0; i < mistakes->len; i++)
    {
      const RookConfigMistake *mistake = g_ptr_array_index (mistakes, i);

      g_printerr ("%s:%u: %s\n", mistake->file != NULL ? mistake->file : "?", mistake->line, mistake->message);
    }
  g_assert_cmpuint (mistakes->len, ==, 0);
}

RookServer *
rook_server_new_for_test (const char *config_text)
{
  g_autofree char *scratch = g_dir_make_tmp ("rookery-test-XXXXXX", NULL);
  g_autoptr (GPtrArray) mistakes = NULL;
  RookConfig *config;
  RookServer *server;

  g_assert_nonnull (scratch);
  make_directories (scratch);
  config = make_config (scratch, config_text, &mistakes);
  rook_services_declare (config);
  rook_config_validate (config, mistakes);
  expect_none (mistakes);

  server = rook_server_new (config, NULL);
  server->scratch = g_steal_pointer (&scratch);
  rook_services_start (server);
  rook_services_start_threads (server);
  rook_plugins_add_verbs (server->plugins);
  return server;
}

static void
remove_tree (const char *path)
{
  GDir *dir = g_file_test (path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *child = g_build_filename (path, name, NULL);

      remove_tree (child);
    }
  g_clear_pointer (&dir, g_dir_close);
  g_remove (path);
}

void
rook_server_free_for_test (RookServer *server)
{
  g_autofree char *scratch = g_steal_pointer (&server->scratch);

  rook_plugins_remove_all (server->plugins);
  rook_server_free (server);
  remove_tree (scratch);
}
