/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which plugins have provided the directory, over restarts: while one of them is configured, "here" is no answer, whether
 * it runs or not. A small file, replaced as a whole when a plugin is new to it, or dropped from the configuration.
 */
#include "directory/directory-private.h"
#include "plugin/plugin-private.h"

#define FORMAT 1 /* of the file */

struct RookDirectoryOwners {
  char *path;        /* (owned) */
  RookLog *log;      /* (unowned) */
  GHashTable *names; /* (element-type utf8) (owned) */
};

static void
complain (RookDirectoryOwners *owners, const char *what)
{
  rook_log_event (owners->log, ROOK_LOG_ERROR, "directory.state", "path", owners->path, "message", what, NULL);
}

static void
load (RookDirectoryOwners *owners)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = NULL;

  if (!g_key_file_load_from_file (file, owners->path, G_KEY_FILE_NONE, &error))
    {
      if (!g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        complain (owners, error->message);
      return;
    }
  if (g_key_file_get_integer (file, "directory", "format", NULL) != FORMAT)
    complain (owners, "its format is not known: taken as empty");
  else
    names = g_key_file_get_string_list (file, "directory", "plugins", NULL, NULL);
  for (guint i = 0; names != NULL && names[i] != NULL; i++)
    g_hash_table_add (owners->names, g_strdup (names[i]));
}

static void
save (RookDirectoryOwners *owners)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree const char **names = NULL;
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  guint n = 0;

  names = (const char **) g_hash_table_get_keys_as_array (owners->names, &n);
  g_key_file_set_integer (file, "directory", "format", FORMAT);
  g_key_file_set_string_list (file, "directory", "plugins", names, n);
  text = g_key_file_to_data (file, NULL, NULL);
  if (!g_file_set_contents_full (owners->path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE,
                                 0600, &error))
    complain (owners, error->message);
}

RookDirectoryOwners *
rook_directory_owners_new (const char *path, RookLog *log)
{
  RookDirectoryOwners *owners = g_new0 (RookDirectoryOwners, 1);

  owners->path = g_strdup (path);
  owners->log = log;
  owners->names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  load (owners);
  return owners;
}

void
rook_directory_owners_free (RookDirectoryOwners *owners)
{
  g_hash_table_unref (owners->names);
  g_free (owners->path);
  g_free (owners);
}

void
rook_directory_owners_add (RookDirectoryOwners *owners, const char *name)
{
  if (g_hash_table_add (owners->names, g_strdup (name)))
    save (owners);
}

static gboolean
is_dropped (gpointer name, gpointer value G_GNUC_UNUSED, gpointer config)
{
  return !rook_plugin_is_wanted (config, name);
}

void
rook_directory_owners_keep_wanted (RookDirectoryOwners *owners, RookConfig *config)
{
  if (g_hash_table_foreach_remove (owners->names, is_dropped, config) > 0)
    save (owners);
}

gboolean
rook_directory_owners_is_empty (RookDirectoryOwners *owners)
{
  return g_hash_table_size (owners->names) == 0;
}
