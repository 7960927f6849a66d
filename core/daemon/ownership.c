/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owner and mode of what the server keeps. Who may write to its state can read everybody's mail; a file that was left to
 * somebody else (to root, by a command in a hurry) would fail at some later hour, and not at the start.
 */
#include "daemon/ownership.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/auth-private.h"
#include "mailbox/mailbox-private.h"

typedef struct {
  const RookPrivileges *who;
  RookConfigGroup *group; /* (unowned) */
  const char *key;        /* whose mistakes they are */
  GPtrArray *mistakes;
} Check;

static RookConfigGroup *
get_group (RookConfig *config)
{
  return rook_config_get_group (config, "server", NULL);
}

static void
add_wrong_owner (const Check *check, const char *path, uid_t uid)
{
  rook_config_add_mistake (check->mistakes, check->group, check->key, ROOK_CONFIG_ERROR_VALUE,
                           "%s: belongs to user %u, expected the server's user (%u): chown %u %s", path, (guint) uid,
                           (guint) check->who->uid, (guint) check->who->uid, path);
}

static void
add_wrong_mode (const Check *check, const char *path, mode_t mode, mode_t forbidden)
{
  rook_config_add_mistake (check->mistakes, check->group, check->key, ROOK_CONFIG_ERROR_VALUE,
                           "%s: mode %04o gives others too much: chmod %04o %s", path, (guint) mode & 07777,
                           (guint) (mode & 07777 & ~forbidden), path);
}

static void
add_error (const Check *check, const char *path, int code)
{
  rook_config_add_mistake (check->mistakes, check->group, check->key, ROOK_CONFIG_ERROR_VALUE, "%s: %s", path,
                           g_strerror (code));
}

/* --- directories and what is in them ------------------------------------------------------------------------------- */

/* One that is missing is made later, by who uses it. Returns: whether it is there. */
static gboolean
check_directory (const Check *check, const char *path, mode_t forbidden)
{
  struct stat info;

  if (stat (path, &info) != 0)
    {
      if (errno != ENOENT)
        add_error (check, path, errno);
      return FALSE;
    }
  if (!S_ISDIR (info.st_mode))
    {
      rook_config_add_mistake (check->mistakes, check->group, check->key, ROOK_CONFIG_ERROR_VALUE,
                               "%s: is no directory: move it away", path);
      return FALSE;
    }
  if (info.st_uid != check->who->uid)
    add_wrong_owner (check, path, info.st_uid);
  if ((info.st_mode & forbidden) != 0)
    add_wrong_mode (check, path, info.st_mode, forbidden);
  return TRUE;
}

/* The first with a fault, and how many there are. */
typedef struct {
  char *path; /* (owned) (nullable) */
  struct stat info;
  mode_t forbidden;
  guint n;
} Fault;

static void
note (Fault *fault, const char *path, const struct stat *info, mode_t forbidden)
{
  if (fault->n++ > 0)
    return;
  fault->path = g_strdup (path);
  fault->info = *info;
  fault->forbidden = forbidden;
}

static void
tell (const Check *check, const char *directory, Fault *fault, gboolean owner)
{
  if (fault->n > 0 && owner)
    add_wrong_owner (check, fault->path, fault->info.st_uid);
  else if (fault->n > 0)
    add_wrong_mode (check, fault->path, fault->info.st_mode, fault->forbidden);
  if (fault->n > 1 && owner)
    rook_config_add_mistake (check->mistakes, check->group, check->key, ROOK_CONFIG_ERROR_VALUE,
                             "%s: so do %u more in there: chown -R %u %s", directory, fault->n - 1,
                             (guint) check->who->uid, directory);
  else if (fault->n > 1)
    rook_config_add_mistake (check->mistakes, check->group, check->key, ROOK_CONFIG_ERROR_VALUE,
                             "%s: so do the modes of %u more in there: chmod -R g-w,o= %s", directory, fault->n - 1,
                             directory);
  g_free (fault->path);
}

/* What lies at the top of @directory: which is every file of a store, and those of the state directory. @except: (nullable)
 * a path with rules of its own. What a file system puts into its own top directory is not ours. */
static void
check_content (const Check *check, const char *directory, const char *except)
{
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  Fault owner = { 0 }, mode = { 0 };
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (directory, name, NULL);
      mode_t forbidden = S_IWGRP | S_IWOTH;
      struct stat info;

      if (g_str_equal (name, "lost+found") || g_strcmp0 (path, except) == 0 || stat (path, &info) != 0)
        continue;
      if (S_ISREG (info.st_mode))
        forbidden |= S_IRWXO;
      if (info.st_uid != check->who->uid)
        note (&owner, path, &info, 0);
      if ((S_ISREG (info.st_mode) || S_ISDIR (info.st_mode)) && (info.st_mode & forbidden) != 0)
        note (&mode, path, &info, forbidden);
    }
  tell (check, directory, &owner, TRUE);
  tell (check, directory, &mode, FALSE);
}

/* --- the check ------------------------------------------------------------------------------------------------------ */

/* Passwords in the clear. A machine's own file is root's, and may be shared with a group. */
static void
check_sasldb (const Check *check, const char *path)
{
  struct stat info;

  if (path == NULL || stat (path, &info) != 0)
    return;
  if (info.st_uid != check->who->uid && info.st_uid != 0)
    rook_config_add_mistake (check->mistakes, check->group, check->key, ROOK_CONFIG_ERROR_VALUE,
                             "%s: belongs to user %u, expected the server's user (%u) or root: chown %u %s", path,
                             (guint) info.st_uid, (guint) check->who->uid, (guint) check->who->uid, path);
  if ((info.st_mode & S_IRWXO) != 0)
    add_wrong_mode (check, path, info.st_mode, S_IRWXO);
}

static void
check_all (const RookPrivileges *who, RookConfig *config, GPtrArray *mistakes)
{
  RookConfigGroup *group = get_group (config);
  const char *state = rook_config_group_get_string (group, "state-directory");
  g_autofree char *store = g_build_filename (state, ROOK_MAIL_STATE_STORE, NULL);
  g_autofree char *sasldb = rook_auth_dup_sasldb_path (config);
  g_autoptr (GPtrArray) partitions = rook_config_get_instances (config, "partition");
  const Check of_state = { who, group, "state-directory", mistakes };
  const Check of_run = { who, group, "run-directory", mistakes };
  const Check of_sasldb = { who, rook_config_get_group (config, "auth", NULL), "sasldb-path", mistakes };

  if (check_directory (&of_state, state, S_IWGRP | S_IWOTH | S_IROTH | S_IXOTH))
    check_content (&of_state, state, sasldb);
  if (g_file_test (store, G_FILE_TEST_IS_DIR))
    check_content (&of_state, store, NULL);
  check_directory (&of_run, rook_config_group_get_string (group, "run-directory"), S_IWGRP | S_IWOTH);
  for (guint i = 0; i < partitions->len; i++)
    {
      const Check of_partition = { who, g_ptr_array_index (partitions, i), "path", mistakes };
      const char *path = rook_config_group_get_string (of_partition.group, "path");

      if (path != NULL && check_directory (&of_partition, path, S_IWGRP | S_IWOTH))
        check_content (&of_partition, path, NULL);
    }
  check_sasldb (&of_sasldb, sasldb);
}

void
rook_ownership_check (RookConfig *config, GPtrArray *mistakes)
{
  RookPrivileges who = { 0 };
  g_autoptr (GError) error = NULL;

  if (!rook_privileges_init (&who, config, &error))
    rook_config_add_mistake (mistakes, get_group (config), "user", ROOK_CONFIG_ERROR_VALUE, "%s", error->message);
  else
    check_all (&who, config, mistakes);
  rook_privileges_clear (&who);
}

/* --- making them ---------------------------------------------------------------------------------------------------- */

static gboolean
make_directory (const RookPrivileges *self, const char *path, mode_t mode, GError **error)
{
  int code = 0;

  if (mkdir (path, mode) != 0)
    code = errno;
  else if (chmod (path, mode) != 0 || (self->root && chown (path, self->uid, self->gid) != 0))
    {
      code = errno;
      g_rmdir (path);
    }
  if (code == 0 || code == EEXIST)
    return TRUE;
  g_set_error (error, G_FILE_ERROR, (gint) g_file_error_from_errno (code), "can't make %s: %s", path,
               g_strerror (code));
  return FALSE;
}

gboolean
rook_ownership_prepare (const RookPrivileges *self, RookConfig *config, GError **error)
{
  RookConfigGroup *group = get_group (config);

  return make_directory (self, rook_config_group_get_string (group, "state-directory"), 0700, error)
         && make_directory (self, rook_config_group_get_string (group, "run-directory"), 0755, error);
}
