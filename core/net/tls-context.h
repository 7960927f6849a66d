/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Certificates and TLS settings: what [tls] and [tls NAME] of one configuration say, read and ready to use. A reload
 * makes a new store; connections keep the one they began with.
 */
#pragma once

#include <openssl/ssl.h>

#include "rookery/config.h"

G_BEGIN_DECLS

/* Which of a client certificate's names counts. */
typedef enum { ROOK_TLS_NAME_COMMON, ROOK_TLS_NAME_EMAIL, ROOK_TLS_NAME_DNS } RookTlsName;

typedef struct RookTlsStore RookTlsStore;

/* @before: (nullable): whose ticket keys are taken over, so that clients can resume across the reload, but not those of a
 * group that trusts other clients now, by its authorities or otherwise; and whose certificates and keys are, where the
 * same files can't be read any more. What can't be used becomes a mistake, and its group has no certificate then. Blocks
 * (disk). */
RookTlsStore *rook_tls_store_new (RookConfig *config, RookTlsStore *before, GPtrArray *mistakes);
RookTlsStore *rook_tls_store_ref (RookTlsStore *store);
void rook_tls_store_unref (RookTlsStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookTlsStore, rook_tls_store_unref)

/* Adds those certificates whose files, under the names they had @before, have changed. @changes: (element-type utf8) (owned) */
void rook_tls_store_describe_renewed (RookTlsStore *store, RookTlsStore *before, GPtrArray *changes);
/* Adds what is wrong with the dates of certificates, as of now, and what has no effect for want of one. */
void rook_tls_store_warn (RookTlsStore *store, RookConfig *config, GPtrArray *warnings);
/* @group: (nullable) NULL: [tls] */
gboolean rook_tls_store_has_certificate (RookTlsStore *store, const char *group);
RookTlsName rook_tls_store_get_client_name (RookTlsStore *store, const char *group);
/* The client may be shown another group's certificate, by the name it asks for (SNI); whether it is asked for one of its
 * own, and who may vouch for that, is what @group says, whatever the name. */
SSL *rook_tls_store_new_server (RookTlsStore *store, const char *group, GError **error);
/* Reads the CA file of the group, or the system's, when first called for it: may block (disk). Any thread. */
SSL *rook_tls_store_new_client (RookTlsStore *store, const char *group, GError **error);

/* (nullable) (transfer full) The verified peer's name; %NULL if there is none, or it has control characters. */
char *rook_tls_peer_name (SSL *ssl, RookTlsName kind);

/* Whether the file may hold a secret: a regular file of root's or of the user we run as (or will, if we are root), that
 * nobody else can write to and that others than owner and group can't read. */
gboolean rook_tls_check_key_file (const char *path, const char *user, GError **error);
/* The same of a file that everybody may read, but on which it depends who may do what. */
gboolean rook_tls_check_trusted_file (const char *path, const char *user, GError **error);
/* (nullable) Whom [server] names: the user of both. */
const char *rook_tls_get_server_user (RookConfig *config);

G_END_DECLS
