/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Giving up root, in three steps, all of them before there is a second thread. At first only the effective user changes,
 * so that services make their files as the user, and sockets and keys can still be opened as root in between. Then,
 * before any plugin's code runs or a client is heard, all three ids change for good. What is left is CAP_NET_BIND_SERVICE
 * of the main thread: a listener on port 143 that a reload switches off could not come back without it.
 */
#include "daemon/privileges.h"

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

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined __SANITIZE_THREAD__ || __has_feature(thread_sanitizer)
#define THREAD_SANITIZED
#endif

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
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_PERM, "%s '%s': %s",
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

/* --- root no more -------------------------------------------------------------------------------------------------- */

/* The C library gives ids to all threads: what another one made meanwhile would be root's. (The thread sanitizer has one
 * of its own, which makes nothing.) */
static gboolean
is_alone (void)
{
#ifdef THREAD_SANITIZED
  return TRUE;
#else
  g_autoptr (GDir) tasks = g_dir_open ("/proc/self/task", 0, NULL);

  return tasks == NULL || (g_dir_read_name (tasks) != NULL && g_dir_read_name (tasks) == NULL);
#endif
}

gboolean
rook_privileges_lower (const RookPrivileges *self, GError **error)
{
  if (!self->root)
    return TRUE;
  if (!is_alone ())
    {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_PERM,
                   "there is a second thread while the server is root: a plugin's module starts it as it is loaded");
      return FALSE;
    }
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
  g_assert (is_alone ());
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
