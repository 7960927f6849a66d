/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The store of TLS contexts: see tls-context.h. Reading and checking the files is in tls-files.c.
 */
#include "net/tls-context.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "config/config-private.h"
#include "net/tls-files.h"
#include "rookery/net.h"
#include "rookery/thread.h"

#define TICKET_KEYS_SIZE 80
#define IDENTITY_SIZE 32 /* SHA-256, and as much as OpenSSL takes for a session id context */

typedef struct {
  char *name;       /* (owned) (nullable) NULL: [tls] */
  char **names;     /* (owned) host names that choose it by SNI; empty: those in the certificate */
  RookTlsPair pair; /* its ctx is the server side's; NULL: no usable certificate */
  SSL_CTX *client;  /* (owned) (nullable) made when first asked for, under the lock */
  char *ca;         /* (owned) (nullable) for the client side */
  int min_version;
  char *suites; /* (owned) (nullable) of TLS 1.3 */
  RookTlsName client_name;
  guint8 identity[IDENTITY_SIZE]; /* which sessions are ours: see set_identity() */
} Context;

struct RookTlsStore {
  gint ref_count;
  RookMutex lock;      /* guards the client contexts */
  GPtrArray *contexts; /* (element-type Context) (owned) in file order, [tls] first */
};

static void
context_free (gpointer data)
{
  Context *context = data;

  rook_tls_pair_clear (&context->pair);
  SSL_CTX_free (context->client);
  g_strfreev (context->names);
  g_free (context->name);
  g_free (context->ca);
  g_free (context->suites);
  g_free (context);
}

static Context *
find (RookTlsStore *store, const char *group)
{
  for (guint i = 0; store != NULL && i < store->contexts->len; i++)
    {
      Context *context = g_ptr_array_index (store->contexts, i);

      if (g_strcmp0 (context->name, group) == 0)
        return context;
    }
  return NULL;
}

/* --- callbacks of OpenSSL ----------------------------------------------------------------------------------------------- */

/* "*.example.org" stands for one label. */
static gboolean
name_matches (const char *pattern, const char *host)
{
  const char *dot;

  if (!g_str_has_prefix (pattern, "*."))
    return g_ascii_strcasecmp (pattern, host) == 0;
  dot = strchr (host, '.');
  return dot != NULL && dot != host && g_ascii_strcasecmp (pattern + 1, dot) == 0;
}

static gboolean
serves (const Context *context, const char *host)
{
  X509 *certificate;

  if (context->pair.ctx == NULL)
    return FALSE;
  for (guint i = 0; context->names[i] != NULL; i++)
    if (name_matches (context->names[i], host))
      return TRUE;
  if (context->names[0] != NULL)
    return FALSE;
  certificate = SSL_CTX_get0_certificate (context->pair.ctx);
  return X509_check_host (certificate, host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

/* Goes on with another group: its certificate, and all else that it says. Whom the listener trusts does not change with the
 * name that a client asks for: the verification mode and the list of authorities are the connection's own, but OpenSSL
 * takes the new context's trust. */
static void
take_instead (SSL *ssl, const Context *other)
{
  SSL_CTX *ctx = other->pair.ctx;
  X509_STORE *trust = NULL;

  SSL_get0_verify_cert_store (ssl, &trust); /* the listener's: see rook_tls_store_new_server() */
  SSL_set_SSL_CTX (ssl, ctx);
  SSL_set1_verify_cert_store (ssl, trust);
  /* What a connection got when it was made, and keeps otherwise. */
  SSL_set_min_proto_version (ssl, other->min_version);
  SSL_set_ciphersuites (ssl, other->suites != NULL ? other->suites : TLS_DEFAULT_CIPHERSUITES);
  SSL_clear_options (ssl, SSL_OP_NO_TICKET);
  SSL_set_options (ssl, SSL_CTX_get_options (ctx) & SSL_OP_NO_TICKET);
  SSL_set_num_tickets (ssl, SSL_CTX_get_num_tickets (ctx));
}

/* (nullable) The group that a client means: the listener's own if it will do, else the first that has the name. */
static const Context *
find_by_name (RookTlsStore *store, SSL_CTX *own, const char *host)
{
  const Context *found = NULL;

  for (guint i = 0; i < store->contexts->len; i++)
    {
      const Context *context = g_ptr_array_index (store->contexts, i);

      if (!serves (context, host))
        continue;
      if (context->pair.ctx == own)
        return context;
      if (found == NULL)
        found = context;
    }
  return found;
}

/* (nullable) (transfer full) RFC 6066 3: the length of the list, and in it a type, a length and a name. */
static char *
dup_name_asked_for (SSL *ssl)
{
  const guchar *list;
  gsize length, name;

  if (SSL_client_hello_get0_ext (ssl, TLSEXT_TYPE_server_name, &list, &length) != 1 || length < 5
      || list[2] != TLSEXT_NAMETYPE_host_name)
    return NULL;
  name = (gsize) list[3] << 8 | list[4];
  if (name == 0 || name > length - 5 || memchr (list + 5, '\0', name) != NULL)
    return NULL; /* OpenSSL refuses what is malformed */
  return g_strndup ((const char *) list + 5, name);
}

/* Before anything is agreed on, so that the group decides on the version too. A name that nobody has is served as the
 * listener's own group (a client that knows us by another name may still accept it). */
static int
choose_by_name (SSL *ssl, int *alert G_GNUC_UNUSED, void *data)
{
  g_autofree char *host = dup_name_asked_for (ssl);
  SSL_CTX *own = SSL_get_SSL_CTX (ssl);
  const Context *chosen = host != NULL ? find_by_name (data, own, host) : NULL;

  if (chosen != NULL && chosen->pair.ctx != own)
    take_instead (ssl, chosen);
  return SSL_CLIENT_HELLO_SUCCESS;
}

/* Whether the client is told that its name was looked at. */
static int
acknowledge_name (SSL *ssl, int *alert G_GNUC_UNUSED, void *data)
{
  const char *host = SSL_get_servername (ssl, TLSEXT_NAMETYPE_host_name);

  return host != NULL && find_by_name (data, SSL_get_SSL_CTX (ssl), host) != NULL ? SSL_TLSEXT_ERR_OK
                                                                                  : SSL_TLSEXT_ERR_NOACK;
}

/* A client that names protocols must name ours: so nobody can lead a browser's connection to us (RFC 7301 3.2). */
static int
choose_protocol (SSL *ssl, const guchar **out, guchar *out_length, const guchar *offered, guint length,
                 void *data G_GNUC_UNUSED)
{
  const char *alpn = SSL_get_app_data (ssl);
  gsize want = alpn != NULL ? strlen (alpn) : 0;

  if (alpn == NULL)
    return SSL_TLSEXT_ERR_NOACK;
  for (guint i = 0; i < length && i + 1 + offered[i] <= length; i += 1 + offered[i])
    if (offered[i] == want && memcmp (offered + i + 1, alpn, want) == 0)
      {
        *out = offered + i + 1;
        *out_length = want;
        return SSL_TLSEXT_ERR_OK;
      }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* --- making contexts ------------------------------------------------------------------------------------------------------ */

static SSL_CTX *
new_ctx (const SSL_METHOD *method, int min_version)
{
  SSL_CTX *ctx = SSL_CTX_new (method);

  g_assert (ctx != NULL);
  SSL_CTX_set_min_proto_version (ctx, min_version);
  SSL_CTX_set_mode (ctx,
                    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_clear_mode (ctx, SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_options (ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF
                                | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_read_ahead (ctx, 1);
  return ctx;
}

static void
set_client_certificates (SSL_CTX *ctx, RookConfigGroup *group, GPtrArray *mistakes)
{
  const char *path = rook_config_group_get_string (group, "client-ca");
  g_autoptr (GError) error = NULL;
  STACK_OF (X509_NAME) * names;

  if (path == NULL && rook_config_group_get_boolean (group, "require-client-certificate"))
    rook_config_add_mistake (mistakes, group, "require-client-certificate", ROOK_CONFIG_ERROR_CONFLICT,
                             "there is no client-ca to check certificates with: set it, or leave this out");
  if (path == NULL)
    return;
  if (!rook_tls_check_readable (path, &error))
    {
      rook_config_add_mistake (mistakes, group, "client-ca", ROOK_CONFIG_ERROR_VALUE, "%s", error->message);
      return;
    }
  names = SSL_load_client_CA_file (path);
  if (names == NULL || SSL_CTX_load_verify_file (ctx, path) != 1)
    {
      sk_X509_NAME_pop_free (names, X509_NAME_free);
      rook_config_add_mistake (mistakes, group, "client-ca", ROOK_CONFIG_ERROR_VALUE,
                               "%s can't be read as a list of certificates", path);
      return;
    }
  SSL_CTX_set_client_CA_list (ctx, names);
  SSL_CTX_set_verify (
      ctx,
      SSL_VERIFY_PEER
          | (rook_config_group_get_boolean (group, "require-client-certificate") ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
      NULL);
}

static void
set_ciphers (SSL_CTX *ctx, RookConfigGroup *group, GPtrArray *mistakes)
{
  const char *ciphers = rook_config_group_get_string (group, "ciphers");
  const char *suites = rook_config_group_get_string (group, "cipher-suites");

  if (ciphers != NULL && SSL_CTX_set_cipher_list (ctx, ciphers) != 1)
    rook_config_add_mistake (mistakes, group, "ciphers", ROOK_CONFIG_ERROR_VALUE, "\"%s\" names no cipher", ciphers);
  if (suites != NULL && SSL_CTX_set_ciphersuites (ctx, suites) != 1)
    rook_config_add_mistake (mistakes, group, "cipher-suites", ROOK_CONFIG_ERROR_VALUE, "\"%s\" names no cipher suite",
                             suites);
}

/* A session stands for a client that was verified once: it may go on only in the group that did so, and for as long as
 * that group would verify it in the same way. So the sessions' identity is made of the group's name, the authorities (as
 * they were read, wherever they come from) and what else decides on a certificate. It is never empty: OpenSSL ends the
 * handshakes of those who resume where certificates are asked for without one. */
static void
set_identity (SSL_CTX *ctx, Context *context, RookConfigGroup *group)
{
  const STACK_OF (X509_OBJECT) *trusted = X509_STORE_get0_objects (SSL_CTX_get_cert_store (ctx));
  const char *name = context->name != NULL ? context->name : "";
  const guint8 choices[] = { context->name != NULL, context->client_name,
                             rook_config_group_get_boolean (group, "require-client-certificate") };
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  gsize size = sizeof context->identity;

  g_checksum_update (sum, choices, sizeof choices);
  g_checksum_update (sum, (const guchar *) name, strlen (name) + 1);
  for (int i = 0; i < sk_X509_OBJECT_num (trusted); i++)
    {
      X509 *authority = X509_OBJECT_get0_X509 (sk_X509_OBJECT_value (trusted, i));
      guint8 digest[EVP_MAX_MD_SIZE];
      guint length = 0;

      if (authority != NULL && X509_digest (authority, EVP_sha256 (), digest, &length) == 1)
        g_checksum_update (sum, digest, length);
    }
  g_checksum_get_digest (sum, context->identity, &size);
  SSL_CTX_set_session_id_context (ctx, context->identity, sizeof context->identity);
}

/* The keys of @before (nullable) are gone on with if it trusted the same clients. */
static void
set_tickets (SSL_CTX *ctx, const Context *context, RookConfigGroup *group, const Context *before)
{
  guint8 keys[TICKET_KEYS_SIZE];
  gboolean tickets = rook_config_group_get_boolean (group, "session-tickets");

  SSL_CTX_set_session_cache_mode (ctx, SSL_SESS_CACHE_OFF); /* the tickets are the cache, and the client keeps them */
  SSL_CTX_set_num_tickets (ctx, tickets ? 1 : 0);
  if (!tickets)
    SSL_CTX_set_options (ctx, SSL_OP_NO_TICKET);
  else if (before != NULL && before->pair.ctx != NULL
           && memcmp (before->identity, context->identity, IDENTITY_SIZE) == 0
           && SSL_CTX_get_tlsext_ticket_keys (before->pair.ctx, keys, sizeof keys) == 1)
    SSL_CTX_set_tlsext_ticket_keys (ctx, keys, sizeof keys);
  OPENSSL_cleanse (keys, sizeof keys);
}

static SSL_CTX *
make_server (RookTlsStore *store, Context *context, RookConfigGroup *group, const Context *before, GPtrArray *mistakes)
{
  SSL_CTX *ctx = new_ctx (TLS_server_method (), context->min_version);
  gboolean usable =
      rook_tls_load_certificate (ctx, group, &context->pair, before != NULL ? &before->pair : NULL, mistakes);

  /* All that is wrong is told at once. */
  set_ciphers (ctx, group, mistakes);
  set_client_certificates (ctx, group, mistakes);
  if (!usable)
    {
      SSL_CTX_free (ctx);
      return NULL;
    }
  set_identity (ctx, context, group);
  set_tickets (ctx, context, group, before);
  SSL_CTX_set_client_hello_cb (ctx, choose_by_name, store);
  SSL_CTX_set_tlsext_servername_callback (ctx, acknowledge_name);
  SSL_CTX_set_tlsext_servername_arg (ctx, store);
  SSL_CTX_set_alpn_select_cb (ctx, choose_protocol, NULL);
  return ctx;
}

/* Letters, digits and hyphens between dots (RFC 1123 2.1), an underscore for those who have one; "*." stands for one label. */
static gboolean
is_host_pattern (const char *name)
{
  g_auto (GStrv) labels = g_strsplit (g_str_has_prefix (name, "*.") ? name + 2 : name, ".", -1);

  for (guint i = 0; labels[i] != NULL; i++)
    {
      gsize length = strlen (labels[i]);

      if (length == 0 || length > 63 || labels[i][0] == '-' || labels[i][length - 1] == '-')
        return FALSE;
      for (const char *c = labels[i]; *c != '\0'; c++)
        if (!g_ascii_isalnum (*c) && *c != '-' && *c != '_')
          return FALSE;
    }
  return *name != '\0' && strlen (name) <= 253;
}

static void
check_names (const Context *context, RookConfigGroup *group, GPtrArray *mistakes)
{
  for (guint i = 0; context->names[i] != NULL; i++)
    {
      g_autofree char *quoted = rook_config_quote (context->names[i]);

      if (!is_host_pattern (context->names[i]))
        rook_config_add_mistake (mistakes, group, "names", ROOK_CONFIG_ERROR_VALUE,
                                 "%s is no host name: write mail.example.org, or *.example.org for all of a domain",
                                 quoted);
    }
}

static void
add_context (RookTlsStore *store, RookConfigGroup *group, RookTlsStore *before, GPtrArray *mistakes)
{
  static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
  Context *context = g_new0 (Context, 1);
  g_autoptr (GError) error = NULL;

  context->name = g_strdup (rook_config_group_get_instance (group));
  context->names = g_strdupv ((char **) rook_config_group_get_list (group, "names"));
  if (context->names == NULL)
    context->names = g_new0 (char *, 1);
  context->ca = g_strdup (rook_config_group_get_string (group, "ca"));
  rook_tls_pair_init (&context->pair, rook_config_group_get_string (group, "certificate"),
                      rook_config_group_get_string (group, "private-key"));
  context->client_name = rook_config_group_get_choice (group, "client-name");
  context->suites = g_strdup (rook_config_group_get_string (group, "cipher-suites"));
  context->min_version = versions[rook_config_group_get_choice (group, "min-version")];
  if (context->ca != NULL && !rook_tls_check_readable (context->ca, &error))
    rook_config_add_mistake (mistakes, group, "ca", ROOK_CONFIG_ERROR_VALUE, "%s", error->message);
  check_names (context, group, mistakes);
  if (context->pair.certificate.path != NULL)
    context->pair.ctx = make_server (store, context, group, find (before, context->name), mistakes);
  g_ptr_array_add (store->contexts, context);
}

RookTlsStore *
rook_tls_store_new (RookConfig *config, RookTlsStore *before, GPtrArray *mistakes)
{
  RookTlsStore *store = g_new0 (RookTlsStore, 1);
  RookConfigGroup *own = rook_config_get_group (config, "tls", NULL);
  g_autoptr (GPtrArray) groups = rook_config_get_instances (config, "tls");

  store->ref_count = 1;
  rook_mutex_init (&store->lock);
  store->contexts = g_ptr_array_new_with_free_func (context_free);
  if (own != NULL)
    add_context (store, own, before, mistakes);
  for (guint i = 0; i < groups->len; i++)
    if (rook_config_group_get_instance (g_ptr_array_index (groups, i)) != NULL)
      add_context (store, g_ptr_array_index (groups, i), before, mistakes);
  ERR_clear_error ();
  return store;
}

void
rook_tls_store_describe_renewed (RookTlsStore *store, RookTlsStore *before, GPtrArray *changes)
{
  for (guint i = 0; i < store->contexts->len; i++)
    {
      const Context *context = g_ptr_array_index (store->contexts, i), *former = find (before, context->name);

      if (former != NULL && rook_tls_pair_is_renewed (&context->pair, &former->pair))
        g_ptr_array_add (changes, g_strdup_printf ("renewed certificate of [tls%s%s]", context->name != NULL ? " " : "",
                                                   context->name != NULL ? context->name : ""));
    }
}

RookTlsStore *
rook_tls_store_ref (RookTlsStore *store)
{
  g_atomic_int_inc (&store->ref_count);
  return store;
}

void
rook_tls_store_unref (RookTlsStore *store)
{
  if (!g_atomic_int_dec_and_test (&store->ref_count))
    return;
  g_ptr_array_unref (store->contexts);
  rook_mutex_clear (&store->lock);
  g_free (store);
}

gboolean
rook_tls_store_has_certificate (RookTlsStore *store, const char *group)
{
  Context *context = find (store, group);

  return context != NULL && context->pair.ctx != NULL;
}

/* What only goes with a certificate: whoever sets it without one means something that does not happen. */
static void
check_unused (RookConfigGroup *group, GPtrArray *warnings)
{
  static const char *const keys[] = {
    "private-key", "names", "ciphers", "cipher-suites", "session-tickets", "client-ca", "require-client-certificate",
    "client-name"
  };

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    if (rook_config_group_is_set (group, keys[i]))
      rook_config_add_mistake (warnings, group, keys[i], ROOK_CONFIG_ERROR_CONFLICT,
                               "has no effect, since this group names no certificate");
}

void
rook_tls_store_warn (RookTlsStore *store, RookConfig *config, GPtrArray *warnings)
{
  for (guint i = 0; i < store->contexts->len; i++)
    {
      const Context *context = g_ptr_array_index (store->contexts, i);
      RookConfigGroup *group = rook_config_get_group (config, "tls", context->name);
      g_autofree char *reason =
          context->pair.ctx != NULL ? rook_tls_dup_date_problem (SSL_CTX_get0_certificate (context->pair.ctx)) : NULL;

      if (reason != NULL)
        rook_config_add_mistake (warnings, group, "certificate", ROOK_CONFIG_ERROR_VALUE, "%s %s",
                                 context->pair.certificate.path, reason);
      if (context->pair.certificate.path == NULL)
        check_unused (group, warnings);
    }
}

RookTlsName
rook_tls_store_get_client_name (RookTlsStore *store, const char *group)
{
  Context *context = find (store, group);

  return context != NULL ? context->client_name : ROOK_TLS_NAME_COMMON;
}

SSL *
rook_tls_store_new_server (RookTlsStore *store, const char *group, GError **error)
{
  Context *context = find (store, group);
  SSL *ssl;

  if (context == NULL || context->pair.ctx == NULL)
    {
      g_set_error (error, ROOK_NET_ERROR, ROOK_NET_ERROR_TLS, "[tls%s%s] has no certificate", group != NULL ? " " : "",
                   group != NULL ? group : "");
      return NULL;
    }
  ssl = SSL_new (context->pair.ctx);
  if (ssl == NULL)
    {
      g_set_error_literal (error, ROOK_NET_ERROR, ROOK_NET_ERROR_TLS, "no memory for TLS");
      return NULL;
    }
  /* The connection's own from the beginning, so that no choice by name (and there may be two of them, if the client has
   * to say hello again) can put another group's in their place. */
  SSL_set1_verify_cert_store (ssl, SSL_CTX_get_cert_store (context->pair.ctx));
  SSL_set_client_CA_list (ssl, SSL_dup_CA_list (SSL_CTX_get_client_CA_list (context->pair.ctx)));
  return ssl;
}

static SSL_CTX *
make_client (const Context *context, GError **error)
{
  SSL_CTX *ctx = new_ctx (TLS_client_method (), context->min_version);
  const char *wrong = NULL;

  SSL_CTX_set_session_cache_mode (ctx, SSL_SESS_CACHE_OFF);
  if (context->ca != NULL ? SSL_CTX_load_verify_file (ctx, context->ca) != 1
                          : SSL_CTX_set_default_verify_paths (ctx) != 1)
    wrong = context->ca != NULL ? context->ca : "the system's list of authorities";
  else if (context->pair.certificate.path != NULL
           && (context->pair.ctx == NULL || !rook_tls_copy_certificate (ctx, context->pair.ctx)))
    wrong = context->pair.certificate.path;
  ERR_clear_error ();
  if (wrong == NULL)
    return ctx;
  SSL_CTX_free (ctx);
  g_set_error (error, ROOK_NET_ERROR, ROOK_NET_ERROR_TLS, "%s can't be used", wrong);
  return NULL;
}

SSL *
rook_tls_store_new_client (RookTlsStore *store, const char *group, GError **error)
{
  Context *context = find (store, group);
  SSL_CTX *made = NULL;
  SSL_CTX *ctx;

  if (context == NULL)
    {
      g_set_error (error, ROOK_NET_ERROR, ROOK_NET_ERROR_TLS, "there is no [tls %s]", group);
      return NULL;
    }
  rook_mutex_lock (&store->lock);
  ctx = context->client;
  rook_mutex_unlock (&store->lock);
  if (ctx == NULL) /* two threads may both read the files: one result is dropped */
    {
      made = make_client (context, error);
      if (made == NULL)
        return NULL;
      rook_mutex_lock (&store->lock);
      if (context->client == NULL)
        context->client = g_steal_pointer (&made);
      ctx = context->client;
      rook_mutex_unlock (&store->lock);
      SSL_CTX_free (made);
    }
  return SSL_new (ctx);
}
