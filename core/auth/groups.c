/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which groups a user is in: the system's (by NSS, so LDAP and the like too), and those of a file of our own. Asked once
 * a login, on the pool, since NSS may take its time. Names are of the default realm unless they say a domain; a name
 * with a domain is asked of NSS whole, so alice@elsewhere never gets what alice has.
 */
#include "auth/auth-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE (4 * 1024 * 1024)
#define MAX_GROUPS 65536

static gid_t
primary_group (const char *user)
{
  char buffer[16384];
  struct passwd entry, *found = NULL;

  if (getpwnam_r (user, &entry, buffer, sizeof buffer, &found) != 0 || found == NULL)
    return (gid_t) -1;
  return found->pw_gid;
}

static void
add_group_name (GHashTable *names, gid_t gid)
{
  struct group entry, *found = NULL;
  gsize size = 4096;
  g_autofree char *buffer = g_malloc (size);

  if (gid == (gid_t) -1)
    return;
  while (getgrgid_r (gid, &entry, buffer, size, &found) == ERANGE && size < MAX_FILE)
    {
      size *= 4;
      buffer = g_realloc (buffer, size);
    }
  if (found != NULL)
    g_hash_table_add (names, g_strdup (found->gr_name));
}

static void
add_system_groups (GHashTable *names, const char *user)
{
  gid_t primary = primary_group (user);
  int n = 64;
  g_autofree gid_t *gids = g_new (gid_t, n);

  while (getgrouplist (user, primary, gids, &n) < 0 && n < MAX_GROUPS)
    {
      n = MAX (n, 64) * 2;
      gids = g_renew (gid_t, gids, n);
    }
  for (int i = 0; i < MIN (n, MAX_GROUPS); i++)
    add_group_name (names, gids[i]);
}

static gboolean
line_names (const RookAuthSettings *settings, const char *members, const char *user)
{
  g_auto (GStrv) words = g_strsplit_set (members, ", \t", -1);

  for (char **word = words; *word != NULL; word++)
    {
      g_autofree char *name = NULL;

      if (**word != '\0' && rook_auth_canonical (settings, *word, -1, &name, NULL) && g_str_equal (name, user))
        return TRUE;
    }
  return FALSE;
}

/* Who may write to it makes administrators: see rook_auth_check(). */
static gboolean
is_trusted (const struct stat *status)
{
  return S_ISREG (status->st_mode) && (status->st_uid == 0 || status->st_uid == geteuid ())
         && (status->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* (nullable) (transfer full) Only of a file that can be trusted, and no more than it may have: whoever opens a FIFO waits. */
static char *
read_file (const char *path)
{
  int fd = open (path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  g_autofree char *text = NULL;
  struct stat status;
  gssize length;

  if (fd < 0)
    return NULL;
  if (fstat (fd, &status) == 0 && is_trusted (&status) && status.st_size <= MAX_FILE)
    {
      text = g_malloc ((gsize) status.st_size + 1);
      length = read (fd, text, (gsize) status.st_size);
      if (length < 0)
        g_clear_pointer (&text, g_free);
      else
        text[length] = '\0';
    }
  close (fd);
  return g_steal_pointer (&text);
}

/* Read anew at each login, so that a change acts at once; a file that can't be read gives nobody a group. */
static void
add_file_groups (GHashTable *names, const RookAuthSettings *settings, const char *user)
{
  g_autofree char *text = read_file (settings->groups_file);
  g_auto (GStrv) lines = NULL;

  if (text == NULL)
    return;
  lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line != NULL; line++)
    {
      char *colon = strchr (g_strchomp (*line), ':');

      if (**line == '#' || colon == NULL)
        continue;
      *colon = '\0';
      if (line_names (settings, colon + 1, user))
        g_hash_table_add (names, g_strdup (g_strstrip (*line)));
    }
}

static int
compare (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

char **
rook_auth_groups_of (const RookAuthSettings *settings, const char *user)
{
  g_autoptr (GHashTable) names = g_hash_table_new (g_str_hash, g_str_equal);
  guint n;
  char **list;

  if (settings->system_groups)
    add_system_groups (names, user);
  if (settings->groups_file != NULL)
    add_file_groups (names, settings, user);
  list = (char **) g_hash_table_get_keys_as_array (names, &n);
  qsort (list, n, sizeof *list, compare);
  return list;
}

gboolean
rook_auth_people_have (const RookAuthPeople *people, const char *user, const char *const *groups)
{
  if (g_hash_table_contains (people->users, user))
    return TRUE;
  for (char **group = people->groups; *group != NULL; group++)
    if (g_strv_contains (groups, *group))
      return TRUE;
  return FALSE;
}
