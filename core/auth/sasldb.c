/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changes to the password file of backend sasldb, by libsasl2's own sasl_setpass(), so that saslpasswd2 and
 * sasldblistusers2 agree with us. The file is changed as a copy in a folder beside it, synced, and put in its place by a
 * rename: readers see the old file or the new, also after a power cut. Changes of ours come one at a time (a pool of one
 * thread); one that saslpasswd2 makes in that very moment is lost.
 *
 * libsasl2 has no way to list users. sasldblistusers2 has, for whichever database libsasl2 was built with, so it is run.
 */
#include "auth/auth-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_PASSWORD 1024

typedef struct {
  const RookAuthSettings *settings;
  char *folder; /* (owned) */
  char *file;   /* (owned) in it */
  RookSaslOptions options;
  sasl_callback_t callbacks[3];
} Change;

static gboolean failed (GError **error, RookAuthError code, const char *format, ...) G_GNUC_PRINTF (3, 4);

static gboolean
failed (GError **error, RookAuthError code, const char *format, ...)
{
  va_list arguments;

  va_start (arguments, format);
  if (error != NULL)
    *error = g_error_new_valist (ROOK_AUTH_ERROR, (int) code, format, arguments);
  va_end (arguments);
  return FALSE;
}

static gboolean
failed_file (GError **error, const char *path)
{
  return failed (error, ROOK_AUTH_ERROR_UNAVAILABLE, "%s: %s", path, g_strerror (errno));
}

/* The copy has the owner and mode that the file has, as far as we may. */
static gboolean
copy_file (const char *from, const char *to, GError **error)
{
  g_autofree char *data = NULL;
  gsize length;
  struct stat st;
  int fd;
  gboolean ok;

  if (stat (from, &st) != 0)
    return errno == ENOENT || failed_file (error, from);
  if (!g_file_get_contents (from, &data, &length, NULL))
    return failed_file (error, from);
  fd = open (to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, st.st_mode & 0660);
  if (fd < 0)
    return failed_file (error, to);
  ok = write (fd, data, length) == (ssize_t) length && fchmod (fd, st.st_mode & 0660) == 0;
  if (ok && (st.st_uid != geteuid () || st.st_gid != getegid ()))
    ok = fchown (fd, st.st_uid, st.st_gid) == 0 || errno == EPERM;
  ok = ok || failed_file (error, to);
  close (fd);
  explicit_bzero (data, length);
  return ok;
}

static gboolean
sync_path (const char *path, GError **error)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  gboolean ok = fd >= 0 && fsync (fd) == 0;

  if (!ok)
    failed_file (error, path);
  if (fd >= 0)
    close (fd);
  return ok;
}

static gboolean
put_in_place (const Change *change, GError **error)
{
  const char *path = change->settings->sasldb_path;
  g_autofree char *parent = g_path_get_dirname (path);

  if (access (path, F_OK) != 0 && chmod (change->file, 0600) != 0)
    return failed_file (error, change->file);
  if (!sync_path (change->file, error))
    return FALSE;
  if (rename (change->file, path) != 0)
    return failed_file (error, path);
  return sync_path (parent, error);
}

/* --- with libsasl2 ------------------------------------------------------------------------------------------------ */

static sasl_conn_t *
open_sasl (Change *change, GError **error)
{
  const RookAuthSettings *settings = change->settings;
  sasl_conn_t *sasl = NULL;

  change->options =
      (RookSaslOptions){ .settings = settings, .sasldb_path = change->file, .secrets = TRUE, .admin = TRUE };
  change->callbacks[0] = (sasl_callback_t){ SASL_CB_GETOPT, ROOK_SASL_PROC (rook_sasl_getopt), &change->options };
  change->callbacks[1] = (sasl_callback_t){ SASL_CB_LOG, ROOK_SASL_PROC (rook_sasl_quiet), NULL };
  change->callbacks[2] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
  if (!rook_sasl_start ()
      || sasl_server_new ("rookery", settings->hostname, settings->realm, NULL, NULL, change->callbacks, 0, &sasl)
             != SASL_OK)
    failed (error, ROOK_AUTH_ERROR_UNAVAILABLE, "libsasl2 does not start");
  return sasl;
}

static gboolean
right_time (sasl_conn_t *sasl, const char *user, RookSasldbChange what, GError **error)
{
  int result = sasl_user_exists (sasl, NULL, NULL, user);

  if (result != SASL_OK && result != SASL_NOUSER)
    return failed (error, ROOK_AUTH_ERROR_UNAVAILABLE, "the password file can't be read: %s",
                   sasl_errstring (result, NULL, NULL));
  if (what == ROOK_SASLDB_ADD && result == SASL_OK)
    return failed (error, ROOK_AUTH_ERROR_FAILED, "user %s is there already", user);
  if (what != ROOK_SASLDB_ADD && result == SASL_NOUSER)
    return failed (error, ROOK_AUTH_ERROR_FAILED, "there is no user %s", user);
  return TRUE;
}

static gboolean
apply (Change *change, const char *user, const char *password, RookSasldbChange what, GError **error)
{
  sasl_conn_t *sasl = open_sasl (change, error);
  gboolean ok = FALSE;
  int result = SASL_OK;

  if (sasl == NULL)
    return FALSE;
  if (right_time (sasl, user, what, error))
    {
      if (what == ROOK_SASLDB_DELETE)
        result = sasl_setpass (sasl, user, NULL, 0, NULL, 0, SASL_SET_DISABLE);
      else
        result = sasl_setpass (sasl, user, password, (unsigned) strlen (password), NULL, 0, SASL_SET_CREATE);
      ok = result == SASL_OK
           || failed (error, ROOK_AUTH_ERROR_UNAVAILABLE, "the password file can't be changed: %s",
                      sasl_errstring (result, NULL, NULL));
    }
  sasl_dispose (&sasl);
  return ok;
}

/* ------------------------------------------------------------------------------------------------------------------ */

static gboolean
is_good_password (const char *password, GError **error)
{
  if (*password == '\0')
    return failed (error, ROOK_AUTH_ERROR_WEAK, "an empty password is none");
  if (strlen (password) > MAX_PASSWORD)
    return failed (error, ROOK_AUTH_ERROR_WEAK, "a password has at most %d bytes", MAX_PASSWORD);
  return TRUE;
}

gboolean
rook_sasldb_change (const RookAuthSettings *settings, RookSasldbChange what, const char *name, const char *password,
                    GError **error)
{
  Change change = { .settings = settings };
  g_autofree char *user = NULL;
  gboolean ok;

  if (!rook_auth_spelled (settings, name, -1, &user, NULL))
    return failed (error, ROOK_AUTH_ERROR_FAILED, "%s can be no user's name here", name);
  if (what != ROOK_SASLDB_DELETE && !is_good_password (password, error))
    return FALSE;
  change.folder = g_strconcat (settings->sasldb_path, ".XXXXXX", NULL);
  if (g_mkdtemp_full (change.folder, 0700) == NULL)
    {
      failed_file (error, change.folder);
      g_free (change.folder);
      return FALSE;
    }
  change.file = g_build_filename (change.folder, "sasldb2", NULL);
  ok = copy_file (settings->sasldb_path, change.file, error) && apply (&change, user, password, what, error)
       && put_in_place (&change, error);
  unlink (change.file);
  rmdir (change.folder);
  g_free (change.file);
  g_free (change.folder);
  return ok;
}

static int
compare (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* "alice@mail.example.org: userPassword", a line each property. */
static char **
parse_list (const RookAuthSettings *settings, const char *text)
{
  g_autoptr (GHashTable) users = g_hash_table_new (g_str_hash, g_str_equal);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  char **list;
  guint n;

  for (char **line = lines; *line != NULL; line++)
    {
      char *colon = strrchr (*line, ':'), *user;

      if (colon == NULL)
        continue;
      *colon = '\0';
      if (rook_auth_spelled (settings, *line, -1, &user, NULL))
        g_hash_table_add (users, user);
      else
        g_hash_table_add (users, g_strdup (*line));
    }
  list = (char **) g_hash_table_get_keys_as_array (users, &n);
  qsort (list, n, sizeof *list, compare);
  return list;
}

char **
rook_sasldb_list (const RookAuthSettings *settings, GError **error)
{
  const char *argv[] = { "sasldblistusers2", "-f", settings->sasldb_path, NULL };
  g_autofree char *output = NULL, *program = g_find_program_in_path (argv[0]);
  g_autoptr (GError) local = NULL;
  int status;

  if (access (settings->sasldb_path, F_OK) != 0)
    return g_new0 (char *, 1);
  if (program == NULL)
    program = g_strdup ("/usr/sbin/sasldblistusers2");
  argv[0] = program;
  if (!g_spawn_sync ("/", (char **) argv, NULL, G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &output, NULL, &status, &local)
      || !g_spawn_check_wait_status (status, &local))
    {
      failed (error, ROOK_AUTH_ERROR_UNAVAILABLE, "users are listed by sasldblistusers2 (of package sasl2-bin): %s",
              local->message);
      return NULL;
    }
  return parse_list (settings, output);
}
