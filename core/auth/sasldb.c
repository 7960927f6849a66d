/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changes to the password file of backend sasldb, by libsasl2's own sasl_setpass(), so that saslpasswd2 and
 * sasldblistusers2 agree with us. The file is changed as a copy in a folder beside it, synced, and put in its place by a
 * rename: readers see the old file or the new, also after a power cut. Changes of ours come one at a time (a pool of one
 * thread); one that saslpasswd2 makes in that very moment is lost.
 *
 * A change is a person's, not a spelling's: whoever may log in as alice, be it as Alice, is one person with one password, which
 * is kept under the canonical name. saslpasswd2 knows nothing of that and may have left several spellings.
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
  if (!S_ISREG (st.st_mode))
    return failed (error, ROOK_AUTH_ERROR_UNAVAILABLE, "%s is no file", from);
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

/* Those users of the file who are the person @user. */
static char **
find_spellings (const Change *change, const char *user, GError **error)
{
  g_autofree char *person = NULL;
  g_auto (GStrv) list = rook_sasldb_list (change->settings, change->file, error);
  g_autoptr (GStrvBuilder) found = g_strv_builder_new ();

  if (list == NULL || !rook_auth_canonical (change->settings, user, -1, &person, error))
    return NULL;
  for (char **name = list; *name != NULL; name++)
    {
      g_autofree char *canonical = NULL;

      if (rook_auth_canonical (change->settings, *name, -1, &canonical, NULL) && g_str_equal (canonical, person))
        g_strv_builder_add (found, *name);
    }
  return g_strv_builder_end (found);
}

static gboolean
is_there_already (const char *user, char **spellings, GError **error)
{
  if (g_strv_contains ((const char *const *) spellings, user))
    return failed (error, ROOK_AUTH_ERROR_FAILED, "user %s is there already", user);
  return failed (error, ROOK_AUTH_ERROR_FAILED,
                 "user %s is there already, as %s: both are one person (auth/lower-case)", user, spellings[0]);
}

static gboolean
set_password (sasl_conn_t *sasl, const char *user, const char *password, GError **error)
{
  int result = password != NULL
                   ? sasl_setpass (sasl, user, password, (unsigned) strlen (password), NULL, 0, SASL_SET_CREATE)
                   : sasl_setpass (sasl, user, NULL, 0, NULL, 0, SASL_SET_DISABLE);

  return result == SASL_OK
         || failed (error, ROOK_AUTH_ERROR_UNAVAILABLE, "the password file can't be changed: %s",
                    sasl_errstring (result, NULL, NULL));
}

gboolean
rook_sasldb_has (const RookAuthSettings *settings, const char *user)
{
  Change lookup = { .settings = settings, .file = settings->sasldb_path };
  sasl_conn_t *sasl = open_sasl (&lookup, NULL);
  gboolean found = sasl != NULL && sasl_user_exists (sasl, NULL, NULL, user) == SASL_OK;

  if (sasl != NULL)
    sasl_dispose (&sasl);
  return found;
}

static gboolean
apply (Change *change, const char *user, const char *password, RookSasldbChange what, GError **error)
{
  g_auto (GStrv) spellings = find_spellings (change, user, error);
  g_autofree char *person = NULL;
  sasl_conn_t *sasl;
  gboolean ok = TRUE;

  if (spellings == NULL || !rook_auth_canonical (change->settings, user, -1, &person, error))
    return FALSE;
  if (what == ROOK_SASLDB_ADD && spellings[0] != NULL)
    return is_there_already (user, spellings, error);
  if (what != ROOK_SASLDB_ADD && spellings[0] == NULL)
    return failed (error, ROOK_AUTH_ERROR_FAILED, "there is no user %s", user);
  sasl = open_sasl (change, error);
  if (sasl == NULL)
    return FALSE;
  if (what != ROOK_SASLDB_DELETE) /* whoever spells it in no way that is there is looked for under this one */
    ok = set_password (sasl, person, password, error);
  for (char **name = spellings; ok && *name != NULL; name++)
    ok = set_password (sasl, *name, what == ROOK_SASLDB_DELETE ? NULL : password, error);
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
    {
      g_autofree char *escaped = g_strescape (name, NULL); /* it may turn the line around */

      return failed (error, ROOK_AUTH_ERROR_FAILED, "%s can be no user's name here", escaped);
    }
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
