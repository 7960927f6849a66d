/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Modules: finds and opens a shared object, and checks its file and its descriptor before anything of it is run. What
 * is refused is named with its file, what was expected and what was found. It runs nothing but the module's
 * constructors, which the system's loader does.
 */
#include "plugin/plugin-life.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/elf.h"

/* The descriptor as ABI 1.0 had it: no plugin has less. */
#define DESCRIPTOR_SIZE_1_0 (G_STRUCT_OFFSET (RookPluginDescriptor, fini) + sizeof (((RookPluginDescriptor *) 0)->fini))

gboolean
rook_plugin_name_is_valid (const char *name)
{
  if (name == NULL || !g_ascii_islower (name[0]) || strlen (name) > 64)
    return FALSE;
  for (const char *p = name; *p != '\0'; p++)
    if (!g_ascii_islower (*p) && !g_ascii_isdigit (*p) && *p != '-')
      return FALSE;
  return TRUE;
}

gboolean
rook_plugin_parse_interface (const char *text, char **out_name, guint *out_version)
{
  const char *slash = text != NULL ? strchr (text, '/') : NULL;
  g_autofree char *name = NULL;
  guint64 version;

  if (slash == NULL || !g_ascii_string_to_unsigned (slash + 1, 10, 1, G_MAXUINT16, &version, NULL))
    return FALSE;
  name = g_strndup (text, (gsize) (slash - text));
  if (!rook_plugin_name_is_valid (name))
    return FALSE;
  *out_name = g_steal_pointer (&name);
  *out_version = (guint) version;
  return TRUE;
}

/* Whoever may write here decides what the daemon runs. */
static gboolean
check_owner_and_mode (const char *path, const struct stat *info, GError **error)
{
  if (info->st_uid != 0 && info->st_uid != geteuid ())
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_LOAD,
                   "%s: belongs to user %u, expected root or user %u: chown root %s", path, (guint) info->st_uid,
                   (guint) geteuid (), path);
      return FALSE;
    }
  if ((info->st_mode & (S_IWGRP | S_IWOTH)) != 0)
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_LOAD,
                   "%s: mode %04o lets others write to it, expected none: chmod go-w %s", path,
                   (guint) info->st_mode & 07777, path);
      return FALSE;
    }
  return TRUE;
}

static gboolean
check_place (int fd, const char *directory, const char *path, GError **error)
{
  struct stat info;

  if (fstat (fd, &info) != 0)
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_LOAD, "%s: %s", path, g_strerror (errno));
      return FALSE;
    }
  if (!S_ISREG (info.st_mode))
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_LOAD, "%s: not a regular file", path);
      return FALSE;
    }
  if (!check_owner_and_mode (path, &info, error))
    return FALSE;
  if (stat (directory, &info) != 0)
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_LOAD, "%s: %s", directory, g_strerror (errno));
      return FALSE;
    }
  return check_owner_and_mode (directory, &info, error);
}

/* Who may have written it first, then whether it is whole. */
static gboolean
check_file (const char *directory, const char *path, GError **error)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  gboolean good;

  if (fd < 0)
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_LOAD, "%s: %s", path, g_strerror (errno));
      return FALSE;
    }
  good = check_place (fd, directory, path, error) && rook_elf_check (fd, path, error);
  close (fd);
  return good;
}

static gboolean
check_abi (const char *path, const RookPluginDescriptor *descriptor, GError **error)
{
  gsize size = descriptor->struct_size;

  if (size < DESCRIPTOR_SIZE_1_0 || size > 65536)
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_ABI,
                   "%s: its descriptor says it has %" G_GSIZE_FORMAT " bytes, expected %" G_GSIZE_FORMAT
                   " or more: not made by ROOK_PLUGIN_DEFINE()?",
                   path, size, (gsize) DESCRIPTOR_SIZE_1_0);
      return FALSE;
    }
  if (descriptor->abi_major != ROOK_ABI_MAJOR || descriptor->abi_minor > ROOK_ABI_MINOR)
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_ABI,
                   "%s: built for plugin ABI %u.%u, expected %u.%u%s: build it against this version's headers", path,
                   descriptor->abi_major, descriptor->abi_minor, ROOK_ABI_MAJOR, ROOK_ABI_MINOR,
                   ROOK_ABI_MINOR > 0 ? " or an earlier minor one" : "");
      return FALSE;
    }
  if (size > sizeof (RookPluginDescriptor))
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_ABI,
                   "%s: its descriptor has %" G_GSIZE_FORMAT " bytes, more than the %" G_GSIZE_FORMAT
                   " that plugin ABI %u.%u knows",
                   path, size, sizeof (RookPluginDescriptor), ROOK_ABI_MAJOR, ROOK_ABI_MINOR);
      return FALSE;
    }
  return TRUE;
}

static gboolean
check_interfaces (const char *path, const char *member, const char *const *interfaces, GError **error)
{
  for (guint i = 0; interfaces != NULL && interfaces[i] != NULL; i++)
    {
      g_autofree char *name = NULL;
      guint version;

      if (!rook_plugin_parse_interface (interfaces[i], &name, &version))
        {
          g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT,
                       "%s: %s names '%s', expected a name and a version like imap/1", path, member, interfaces[i]);
          return FALSE;
        }
    }
  return TRUE;
}

static gboolean
check_members (const char *path, const RookPluginDescriptor *descriptor, GError **error)
{
  const struct {
    const char *member;
    gconstpointer value;
  } required[] = {
    { "name", descriptor->name },       { "summary", descriptor->summary }, { "version", descriptor->version },
    { "license", descriptor->license }, { "init", descriptor->init },
  };

  for (guint i = 0; i < G_N_ELEMENTS (required); i++)
    if (required[i].value == NULL)
      {
        g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT, "%s: its descriptor has no .%s", path,
                     required[i].member);
        return FALSE;
      }
  if (!rook_plugin_name_is_valid (descriptor->name))
    {
      g_autofree char *quoted = g_strescape (descriptor->name, NULL);

      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT,
                   "%s: calls itself '%s', expected a lower-case letter, then letters, digits and hyphens", path,
                   quoted);
      return FALSE;
    }
  return check_interfaces (path, ".provides", descriptor->provides, error)
         && check_interfaces (path, ".needs", descriptor->needs, error);
}

static gboolean
check_descriptor (RookModule *module, GError **error)
{
  const RookPluginDescriptor *descriptor = module->descriptor;

  if (!check_abi (module->path, descriptor, error) || !check_members (module->path, descriptor, error))
    return FALSE;
  if (!g_str_equal (descriptor->name, module->name))
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT,
                   "%s: calls itself '%s', expected '%s' as its file is named", module->path, descriptor->name,
                   module->name);
      return FALSE;
    }
  return TRUE;
}

/* Loader messages name the file themselves, mostly. */
static void
set_load_error (GError **error, const char *path)
{
  const char *message = g_module_error ();
  gboolean named = message != NULL && g_str_has_prefix (message, path);

  g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_LOAD, "%s%s%s", named ? "" : path, named ? "" : ": ",
               message != NULL ? message : "can't be loaded");
}

RookModule *
rook_module_open (const char *directory, const char *name, GError **error)
{
  g_autoptr (RookModule) module = g_new0 (RookModule, 1);
  gpointer symbol = NULL;

  module->refs = 1;
  module->name = g_strdup (name);
  module->path = g_strdup_printf ("%s/%s.so", directory, name);
  if (!rook_plugin_name_is_valid (name))
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_LOAD,
                   "'%s' can be no plugin's name: a lower-case letter, then letters, digits and hyphens", name);
      return NULL;
    }
  if (!check_file (directory, module->path, error))
    return NULL;
  module->handle = g_module_open (module->path, G_MODULE_BIND_LOCAL);
  if (module->handle == NULL)
    {
      set_load_error (error, module->path);
      return NULL;
    }
  if (!g_module_symbol (module->handle, ROOK_PLUGIN_SYMBOL, &symbol) || symbol == NULL)
    {
      g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_LOAD,
                   "%s: has no symbol " ROOK_PLUGIN_SYMBOL ": not a plugin of this server", module->path);
      return NULL;
    }
  module->descriptor = symbol;
  if (!check_descriptor (module, error))
    return NULL;
  return g_steal_pointer (&module);
}

RookModule *
rook_module_new_static (const RookPluginDescriptor *descriptor, GError **error)
{
  g_autoptr (RookModule) module = g_new0 (RookModule, 1);

  module->refs = 1;
  module->name = g_strdup (descriptor->name);
  module->path = g_strdup_printf ("(memory)/%s", descriptor->name);
  module->descriptor = descriptor;
  if (!check_descriptor (module, error))
    return NULL;
  return g_steal_pointer (&module);
}

RookModule *
rook_module_ref (RookModule *module)
{
  module->refs++;
  return module;
}

void
rook_module_unref (RookModule *module)
{
  if (--module->refs > 0)
    return;
  if (module->handle != NULL)
    g_module_close (module->handle);
  g_free (module->name);
  g_free (module->path);
  g_free (module);
}
