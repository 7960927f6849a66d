/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Giving up root, in three steps. At first only the effective user changes, so that services make their files as the
 * user, and sockets and keys can still be opened as root in between. Then, before any plugin's code runs or a client is
 * heard, all three ids change for good. What is left is CAP_NET_BIND_SERVICE of the main thread: a listener on port 143
 * that a reload switches off could not come back without it.
 */
#include "daemon/privileges.h"

#include "auth/auth-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void
rook_privileges_clear (RookPrivileges *self)
{
  g_clear_pointer (&self->user, g_free);
}

static void
set_error (GError **error, const char *what)
{
  int code = errno;

  g_set_error (error, G_FILE_ERROR, (gint) g_file_error_from_errno (code), "%s: %s", what, g_strerror (code));
}

static RookConfigGroup *
get_group (RookConfig *config)
{
  return rook_config_get_group (config, "server", NULL);
}

gboolean
rook_privileges_init (RookPrivileges *self, RookConfig *config, GError **error)
{
  const char *user = rook_config_group_get_string (get_group (config), "user");
  const struct passwd *entry;

  *self = (RookPrivileges){ .root = geteuid () == 0, .uid = geteuid (), .gid = getegid () };
  if (!self->root)
    return TRUE;
  entry = getpwnam (user);
  if (entry == NULL || entry->pw_uid == 0)
    {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_PERM, "server/user: %s '%s': %s",
                   entry == NULL ? "there is no user" : "will not serve as user", user,
                   entry == NULL ? "make it with useradd --system, or name another" : "name one without privileges");
      return FALSE;
    }
  self->user = g_strdup (user);
  self->uid = entry->pw_uid;
  self->gid = entry->pw_gid;
  return TRUE;
}

/* --- limits -------------------------------------------------------------------------------------------------------- */

void
rook_privileges_set_limits (RookConfig *config)
{
  RookConfigGroup *group = get_group (config);
  rlim_t wanted = (rlim_t) rook_config_group_get_integer (group, "max-open-files");
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) == 0)
    {
      if (wanted > limit.rlim_max && geteuid () == 0)
        limit.rlim_max = wanted;
      limit.rlim_cur = wanted > 0 ? MIN (wanted, limit.rlim_max) : limit.rlim_max;
      (void) setrlimit (RLIMIT_NOFILE, &limit);
    }
  if (!rook_config_group_get_boolean (group, "core-dumps") && getrlimit (RLIMIT_CORE, &limit) == 0)
    {
      limit.rlim_cur = 0;
      (void) setrlimit (RLIMIT_CORE, &limit);
    }
  (void) prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* --- directories --------------------------------------------------------------------------------------------------- */

typedef struct {
  const char *key;
  mode_t mode;      /* when made */
  mode_t forbidden; /* bits */
} Directory;

static const Directory directories[] = {
  { "state-directory", 0700, S_IWGRP | S_IWOTH | S_IROTH | S_IXOTH },
  { "run-directory", 0755, S_IWGRP | S_IWOTH },
};

static gboolean
make_directory (const RookPrivileges *self, const char *path, mode_t mode, GError **error)
{
  if (mkdir (path, mode) != 0)
    {
      set_error (error, path);
      g_prefix_error (error, "can't make ");
      return FALSE;
    }
  if (chmod (path, mode) != 0 || (self->root && chown (path, self->uid, self->gid) != 0))
    {
      set_error (error, path);
      g_rmdir (path);
      return FALSE;
    }
  return TRUE;
}

static gboolean
check_directory (const RookPrivileges *self, const char *path, mode_t forbidden, GError **error)
{
  struct stat info;

  if (stat (path, &info) != 0)
    {
      set_error (error, path);
      return FALSE;
    }
  if (!S_ISDIR (info.st_mode))
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOTDIR, "%s: is no directory: move it away", path);
  else if (info.st_uid != self->uid)
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_PERM,
                 "%s: belongs to user %u, expected the server's user (%u): chown %u %s", path, (guint) info.st_uid,
                 (guint) self->uid, (guint) self->uid, path);
  else if ((info.st_mode & forbidden) != 0)
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_PERM, "%s: mode %04o gives others too much: chmod %04o %s", path,
                 (guint) info.st_mode & 07777, (guint) (info.st_mode & 07777 & ~forbidden), path);
  else
    return TRUE;
  return FALSE;
}

gboolean
rook_privileges_prepare_directories (const RookPrivileges *self, RookConfig *config, gboolean create, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (directories); i++)
    {
      const char *path = rook_config_group_get_string (get_group (config), directories[i].key);
      gboolean missing = access (path, F_OK) != 0 && errno == ENOENT;

      if (missing && !create)
        continue;
      if ((missing && !make_directory (self, path, directories[i].mode, error))
          || !check_directory (self, path, directories[i].forbidden, error))
        {
          g_prefix_error (error, "server/%s: ", directories[i].key);
          return FALSE;
        }
    }
  return TRUE;
}

/* --- what the server keeps --------------------------------------------------------------------------------------- */

/* A directory that is there already; what is missing is made by who uses it, who also says what else is wrong. */
static void
check_kept_directory (const RookPrivileges *self, RookConfigGroup *group, const char *key, const char *path,
                      GPtrArray *mistakes)
{
  g_autoptr (GError) error = NULL;

  if (path != NULL && g_file_test (path, G_FILE_TEST_IS_DIR)
      && !check_directory (self, path, S_IWGRP | S_IWOTH, &error))
    rook_config_add_mistake (mistakes, group, key, ROOK_CONFIG_ERROR_VALUE, "%s", error->message);
}

/* Passwords in the clear. A machine's own file is root's, and may be shared with a group. */
static void
check_sasldb (const RookPrivileges *self, RookConfig *config, GPtrArray *mistakes)
{
  RookConfigGroup *group = rook_config_get_group (config, "auth", NULL);
  g_autofree char *path = rook_auth_dup_sasldb_path (config);
  struct stat info;

  if (path == NULL || stat (path, &info) != 0)
    return;
  if (info.st_uid != self->uid && info.st_uid != 0)
    rook_config_add_mistake (mistakes, group, "sasldb-path", ROOK_CONFIG_ERROR_VALUE,
                             "%s: belongs to user %u, expected the server's user (%u) or root: chown %u %s", path,
                             (guint) info.st_uid, (guint) self->uid, (guint) self->uid, path);
  if ((info.st_mode & S_IRWXO) != 0)
    rook_config_add_mistake (mistakes, group, "sasldb-path", ROOK_CONFIG_ERROR_VALUE,
                             "%s: mode %04o gives others too much: chmod %04o %s", path, (guint) info.st_mode & 07777,
                             (guint) (info.st_mode & 07770), path);
}

static void
check_kept (const RookPrivileges *self, RookConfig *config, GPtrArray *mistakes)
{
  g_autoptr (GPtrArray) partitions = rook_config_get_instances (config, "partition");
  g_autofree char *store =
      g_build_filename (rook_config_group_get_string (get_group (config), "state-directory"), "mailboxes", NULL);

  check_kept_directory (self, get_group (config), "state-directory", store, mistakes);
  for (guint i = 0; i < partitions->len; i++)
    {
      RookConfigGroup *group = g_ptr_array_index (partitions, i);

      check_kept_directory (self, group, "path", rook_config_group_get_string (group, "path"), mistakes);
    }
  check_sasldb (self, config, mistakes);
}

void
rook_privileges_check (RookConfig *config, GPtrArray *mistakes)
{
  RookPrivileges self = { 0 };
  g_autoptr (GError) error = NULL;

  if (!rook_privileges_init (&self, config, &error))
    rook_config_add_mistake (mistakes, get_group (config), "user", ROOK_CONFIG_ERROR_VALUE, "%s", error->message);
  else if (!rook_privileges_prepare_directories (&self, config, FALSE, &error))
    rook_config_add_mistake (mistakes, get_group (config), NULL, ROOK_CONFIG_ERROR_VALUE, "%s", error->message);
  else
    check_kept (&self, config, mistakes);
  rook_privileges_clear (&self);
}

/* --- root no more -------------------------------------------------------------------------------------------------- */

gboolean
rook_privileges_lower (const RookPrivileges *self, GError **error)
{
  if (!self->root)
    return TRUE;
  if (initgroups (self->user, self->gid) == 0 && setegid (self->gid) == 0 && seteuid (self->uid) == 0)
    return TRUE;
  set_error (error, "can't work as the server's user");
  return FALSE;
}

gboolean
rook_privileges_raise (const RookPrivileges *self, gboolean files, GError **error)
{
  if (!self->root)
    return TRUE;
  if (seteuid (0) != 0)
    {
      set_error (error, "can't be root again for a moment");
      return FALSE;
    }
  if (!files)
    {
      /* Of this thread alone, and says nothing about how it went: the next call returns what is in force. */
      (void) setfsuid (self->uid);
      (void) setfsgid (self->gid);
    }
  return TRUE;
}

/* Of the calling thread; others have lost everything with the change of user ids. */
static gboolean
keep_bind_capability (void)
{
  struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
  struct __user_cap_data_struct data[2] = { { 0, 0, 0 }, { 0, 0, 0 } };

  data[0].effective = data[0].permitted = 1u << CAP_NET_BIND_SERVICE;
  return syscall (SYS_capset, &header, data) == 0;
}

static gboolean
drop_ids (const RookPrivileges *self)
{
  return initgroups (self->user, self->gid) == 0 && setresgid (self->gid, self->gid, self->gid) == 0
         && prctl (PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 && setresuid (self->uid, self->uid, self->uid) == 0
         && prctl (PR_SET_KEEPCAPS, 0, 0, 0, 0) == 0 && keep_bind_capability ();
}

/* Trying is the proof: none of the ways back may work. */
static gboolean
can_regain (void)
{
  uid_t real, effective, saved;

  if (setuid (0) == 0 || seteuid (0) == 0 || setresuid (0, 0, 0) == 0 || setgid (0) == 0 || setgroups (0, NULL) == 0)
    return TRUE;
  return getresuid (&real, &effective, &saved) != 0 || real == 0 || effective == 0 || saved == 0;
}

gboolean
rook_privileges_drop (const RookPrivileges *self, GError **error)
{
  if (!self->root)
    return TRUE;
  if (!rook_privileges_raise (self, TRUE, error))
    return FALSE;
  if (!drop_ids (self))
    {
      set_error (error, "can't give up root");
      return FALSE;
    }
  if (can_regain ())
    {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_PERM, "gave up root, but could have it back: will not run so");
      return FALSE;
    }
  return TRUE;
}
