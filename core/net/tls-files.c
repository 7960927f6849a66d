/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading certificates and keys, checking who else may, and the name in a peer's certificate.
 */
#include "net/tls-files.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config-private.h"
#include "net/tls-context.h"
#include "rookery/net.h"

/* The user that the daemon runs as once it is up. */
static uid_t
future_uid (const char *user)
{
  struct passwd entry, *found = NULL;
  char room[4096];

  if (geteuid () != 0 || user == NULL || getpwnam_r (user, &entry, room, sizeof room, &found) != 0 || found == NULL)
    return geteuid ();
  return entry.pw_uid;
}

/* @secret: whether it is wrong too that everybody may read it. */
static gboolean
check_file (const char *path, const char *user, gboolean secret, GError **error)
{
  const char *modes = secret ? "chmod 0600 or 0640" : "chmod 0644 or less";
  g_autofree char *wrong = NULL;
  struct stat info;

  if (stat (path, &info) != 0)
    {
      g_set_error (error, ROOK_CONFIG_ERROR, ROOK_CONFIG_ERROR_READ, "%s: %s", path, g_strerror (errno));
      return FALSE;
    }
  if (!S_ISREG (info.st_mode))
    wrong = g_strdup ("is no regular file");
  else if (info.st_uid != 0 && info.st_uid != geteuid () && info.st_uid != future_uid (user))
    wrong = g_strdup ("belongs to somebody else: it must be root's or the server's user's");
  else if (info.st_mode & 022)
    wrong = g_strdup_printf ("can be written to by others (%s)", modes);
  else if (secret && info.st_mode & 007)
    wrong = g_strdup_printf ("can be read by everybody (%s)", modes);
  if (wrong == NULL)
    return TRUE;
  g_set_error (error, ROOK_CONFIG_ERROR, ROOK_CONFIG_ERROR_VALUE, "%s %s", path, wrong);
  return FALSE;
}

gboolean
rook_tls_check_key_file (const char *path, const char *user, GError **error)
{
  return check_file (path, user, TRUE, error);
}

gboolean
rook_tls_check_trusted_file (const char *path, const char *user, GError **error)
{
  return check_file (path, user, FALSE, error);
}

/* OpenSSL's last word, and its queue emptied. */
static const char *
openssl_reason (void)
{
  gulong code = ERR_peek_last_error ();
  const char *reason =
      ERR_GET_LIB (code) == ERR_LIB_SYS ? g_strerror (ERR_GET_REASON (code)) : ERR_reason_error_string (code);

  ERR_clear_error ();
  return reason != NULL ? reason : "unreadable";
}

/* Never asks on a terminal. @data: (nullable) a gboolean, to learn that there is something to ask for */
static int
no_passphrase (char *buffer G_GNUC_UNUSED, int size G_GNUC_UNUSED, int writing G_GNUC_UNUSED, void *data)
{
  gboolean *asked = data;

  if (asked != NULL)
    *asked = TRUE;
  return -1;
}

const char *
rook_tls_get_server_user (RookConfig *config)
{
  RookConfigGroup *server = rook_config_get_group (config, "server", NULL);

  return server != NULL && server->schema != NULL ? rook_config_group_get_string (server, "user") : NULL;
}

/* --- a certificate and its key ------------------------------------------------------------------------------------------- */

void
rook_tls_pair_init (RookTlsPair *pair, const char *certificate, const char *key)
{
  *pair = (RookTlsPair){ 0 };
  pair->certificate.path = g_strdup (certificate);
  pair->key.path = g_strdup (key != NULL ? key : certificate);
}

void
rook_tls_pair_clear (RookTlsPair *pair)
{
  g_free (pair->certificate.path);
  g_free (pair->key.path);
  SSL_CTX_free (pair->ctx);
}

gboolean
rook_tls_check_readable (const char *path, GError **error)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO must not hold us up */
  int code = errno;
  struct stat info;

  if (fd >= 0)
    {
      code = fstat (fd, &info) != 0 ? errno : S_ISREG (info.st_mode) ? 0 : EINVAL;
      close (fd);
    }
  if (code == EINVAL)
    g_set_error (error, ROOK_CONFIG_ERROR, ROOK_CONFIG_ERROR_VALUE, "%s is no regular file: name a PEM file", path);
  else if (code == EACCES)
    g_set_error (error, ROOK_CONFIG_ERROR, ROOK_CONFIG_ERROR_READ,
                 "%s: %s: let the server's user read it, through a group of its own say", path, g_strerror (code));
  else if (code != 0)
    g_set_error (error, ROOK_CONFIG_ERROR, ROOK_CONFIG_ERROR_READ, "%s: %s: put the file there, or name another", path,
                 g_strerror (code));
  return code == 0;
}

/* Before it is read: what is put in its place meanwhile is then seen as a change. */
static void
remember (RookTlsFile *file)
{
  struct stat info;

  if (stat (file->path, &info) != 0)
    return;
  file->device = info.st_dev;
  file->inode = info.st_ino;
  file->size = info.st_size;
  file->changed = info.st_mtim;
}

static gboolean
is_renewed (const RookTlsFile *file, const RookTlsFile *before)
{
  return g_strcmp0 (file->path, before->path) == 0
         && (file->device != before->device || file->inode != before->inode || file->size != before->size
             || file->changed.tv_sec != before->changed.tv_sec || file->changed.tv_nsec != before->changed.tv_nsec);
}

gboolean
rook_tls_pair_is_renewed (const RookTlsPair *pair, const RookTlsPair *before)
{
  return is_renewed (&pair->certificate, &before->certificate) || is_renewed (&pair->key, &before->key);
}

static gboolean
has_changed (const RookTlsFile *file)
{
  struct stat info;

  return stat (file->path, &info) == 0
         && (info.st_dev != file->device || info.st_ino != file->inode || info.st_size != file->size
             || info.st_mtim.tv_sec != file->changed.tv_sec || info.st_mtim.tv_nsec != file->changed.tv_nsec);
}

typedef enum { FILE_READ, FILE_KEPT, FILE_UNUSABLE } FileFate;

static FileFate
find_fate (RookTlsFile *file, const RookTlsFile *before, GError **error)
{
  g_autoptr (GError) reason = NULL;
  gboolean same = before != NULL && g_strcmp0 (file->path, before->path) == 0;

  remember (file);
  if (rook_tls_check_readable (file->path, &reason))
    return FILE_READ;
  if (same && access (file->path, R_OK) != 0 && errno == EACCES)
    {
      if (!has_changed (before))
        {
          file->device = before->device;
          file->inode = before->inode;
          file->size = before->size;
          file->changed = before->changed;
          return FILE_KEPT;
        }
      g_prefix_error (&reason, "has changed since root read it, which takes a restart: ");
    }
  g_propagate_error (error, g_steal_pointer (&reason));
  return FILE_UNUSABLE;
}

gboolean
rook_tls_copy_certificate (SSL_CTX *to, SSL_CTX *from)
{
  STACK_OF (X509) *chain = NULL;

  SSL_CTX_get0_chain_certs (from, &chain);
  return SSL_CTX_use_cert_and_key (to, SSL_CTX_get0_certificate (from), SSL_CTX_get0_privatekey (from), chain, 1) == 1;
}

static gboolean
load_certificate (SSL_CTX *ctx, RookTlsFile *file, const RookTlsPair *before, GError **error)
{
  FileFate fate = find_fate (file, before != NULL ? &before->certificate : NULL, error);

  if (fate == FILE_KEPT)
    return rook_tls_copy_certificate (ctx, before->ctx);
  if (fate == FILE_UNUSABLE)
    return FALSE;
  if (SSL_CTX_use_certificate_chain_file (ctx, file->path) == 1)
    return TRUE;
  g_set_error (error, ROOK_CONFIG_ERROR, ROOK_CONFIG_ERROR_VALUE, "%s can't be read as a certificate: %s", file->path,
               openssl_reason ());
  return FALSE;
}

static void
set_key_error (const RookTlsPair *pair, gboolean certified, gboolean encrypted, GError **error)
{
  const char *key = pair->key.path;

  if (encrypted)
    g_set_error (error, ROOK_CONFIG_ERROR, ROOK_CONFIG_ERROR_VALUE,
                 "%s is encrypted with a passphrase, which nobody is asked for: name one that is not, as"
                 " `openssl pkey -in %s` writes it, in a file of mode 0600",
                 key, key);
  else if (!certified)
    g_set_error (error, ROOK_CONFIG_ERROR, ROOK_CONFIG_ERROR_VALUE, "%s can't be read as a key: %s", key,
                 openssl_reason ());
  else
    g_set_error (error, ROOK_CONFIG_ERROR, ROOK_CONFIG_ERROR_VALUE,
                 "%s is no key that belongs to the certificate %s: %s", key, pair->certificate.path, openssl_reason ());
  ERR_clear_error ();
}

/* @certified: whether the certificate is there to compare it with */
static gboolean
load_key (SSL_CTX *ctx, RookTlsPair *pair, const RookTlsPair *before, const char *user, gboolean certified,
          GError **error)
{
  FileFate fate = find_fate (&pair->key, before != NULL ? &before->key : NULL, error);
  gboolean loaded, encrypted = FALSE;

  if (fate == FILE_UNUSABLE || (fate == FILE_READ && !rook_tls_check_key_file (pair->key.path, user, error)))
    return FALSE;
  SSL_CTX_set_default_passwd_cb_userdata (ctx, &encrypted);
  loaded = fate == FILE_KEPT ? SSL_CTX_use_PrivateKey (ctx, SSL_CTX_get0_privatekey (before->ctx)) == 1
                             : SSL_CTX_use_PrivateKey_file (ctx, pair->key.path, SSL_FILETYPE_PEM) == 1;
  SSL_CTX_set_default_passwd_cb_userdata (ctx, NULL);
  if (loaded && (!certified || SSL_CTX_check_private_key (ctx) == 1))
    return TRUE;
  set_key_error (pair, certified, encrypted, error);
  return FALSE;
}

gboolean
rook_tls_load_certificate (SSL_CTX *ctx, RookConfigGroup *group, RookTlsPair *pair, const RookTlsPair *before,
                           GPtrArray *mistakes)
{
  gboolean two_files = rook_config_group_get_string (group, "private-key") != NULL;
  g_autoptr (GError) bad_certificate = NULL, bad_key = NULL;
  gboolean certified;

  if (before != NULL && before->ctx == NULL)
    before = NULL;
  SSL_CTX_set_default_passwd_cb (ctx, no_passphrase);
  ERR_clear_error ();
  certified = load_certificate (ctx, &pair->certificate, before, &bad_certificate);
  if (!certified)
    rook_config_add_mistake (mistakes, group, "certificate", ROOK_CONFIG_ERROR_VALUE, "%s", bad_certificate->message);
  /* One file that can't be read is told once. */
  if ((certified || two_files)
      && !load_key (ctx, pair, before, rook_tls_get_server_user (group->config), certified, &bad_key))
    rook_config_add_mistake (mistakes, group, two_files ? "private-key" : "certificate", ROOK_CONFIG_ERROR_VALUE, "%s",
                             bad_key->message);
  return certified && bad_key == NULL;
}

static char *
format_date (const ASN1_TIME *date)
{
  struct tm parts = { 0 };
  char text[64];

  if (ASN1_TIME_to_tm (date, &parts) != 1 || strftime (text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts) == 0)
    return g_strdup ("a date that can't be read");
  return g_strdup (text);
}

char *
rook_tls_dup_date_problem (X509 *certificate)
{
  const ASN1_TIME *from = X509_get0_notBefore (certificate), *until = X509_get0_notAfter (certificate);
  g_autofree char *from_text = format_date (from), *until_text = format_date (until);

  if (X509_cmp_current_time (until) < 0)
    return g_strdup_printf ("has expired (%s), so that clients refuse it: put a new one there", until_text);
  if (X509_cmp_current_time (from) > 0)
    return g_strdup_printf ("is not valid before %s, so that clients refuse it: is the clock right?", from_text);
  return NULL;
}

/* --- names ---------------------------------------------------------------------------------------------------------------- */

/* (nullable) (transfer full) @string as text, unless it has bytes that a name can't have. */
static char *
plain_text (const ASN1_STRING *string)
{
  guchar *utf8 = NULL;
  int length = ASN1_STRING_to_UTF8 (&utf8, string);
  g_autofree char *text = length > 0 ? g_strndup ((const char *) utf8, length) : NULL;

  OPENSSL_free (utf8);
  if (text == NULL || strlen (text) != (gsize) length || !g_utf8_validate (text, -1, NULL))
    return NULL;
  for (const char *p = text; *p != '\0'; p++)
    if (g_ascii_iscntrl (*p))
      return NULL;
  return g_steal_pointer (&text);
}

static char *
common_name (X509 *certificate)
{
  X509_NAME *subject = X509_get_subject_name (certificate);
  int index = X509_NAME_get_index_by_NID (subject, NID_commonName, -1);

  if (index < 0 || X509_NAME_get_index_by_NID (subject, NID_commonName, index) >= 0)
    return NULL; /* none, or more than one */
  return plain_text (X509_NAME_ENTRY_get_data (X509_NAME_get_entry (subject, index)));
}

static char *
alternative_name (X509 *certificate, int type)
{
  GENERAL_NAMES *names = X509_get_ext_d2i (certificate, NID_subject_alt_name, NULL, NULL);
  char *text = NULL;

  for (int i = 0; text == NULL && i < sk_GENERAL_NAME_num (names); i++)
    {
      const GENERAL_NAME *name = sk_GENERAL_NAME_value (names, i);

      if (name->type == type)
        text = plain_text (name->d.ia5);
    }
  GENERAL_NAMES_free (names);
  return text;
}

char *
rook_tls_peer_name (SSL *ssl, RookTlsName kind)
{
  X509 *certificate = SSL_get0_peer_certificate (ssl);

  if (certificate == NULL || SSL_get_verify_result (ssl) != X509_V_OK || !(SSL_get_verify_mode (ssl) & SSL_VERIFY_PEER))
    return NULL;
  switch (kind)
    {
    case ROOK_TLS_NAME_EMAIL:
      return alternative_name (certificate, GEN_EMAIL);
    case ROOK_TLS_NAME_DNS:
      return alternative_name (certificate, GEN_DNS);
    default:
      return common_name (certificate);
    }
}
