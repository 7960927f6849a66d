/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Certificates and keys on disk.
 */
#pragma once

#include <openssl/ssl.h>
#include <sys/stat.h>

#include "rookery/config.h"

G_BEGIN_DECLS

/* A file, and how it looked when it was read. */
typedef struct {
  char *path; /* (owned) */
  dev_t device;
  ino_t inode;
  off_t size;
  struct timespec changed;
} RookTlsFile;

/* A certificate and its key: where they come from (which may be one file), and what was made of them. */
typedef struct {
  RookTlsFile certificate, key;
  SSL_CTX *ctx; /* (owned) (nullable) holds both */
} RookTlsPair;

/* @certificate: (nullable): there is none. @key: (nullable): it stands in the same file. */
void rook_tls_pair_init (RookTlsPair *pair, const char *certificate, const char *key);
/* Whether the same files have another content than @before, as far as can be seen. */
gboolean rook_tls_pair_is_renewed (const RookTlsPair *pair, const RookTlsPair *before);
void rook_tls_pair_clear (RookTlsPair *pair);

/**
 * rook_tls_load_certificate:
 * @pair: its files are read into @ctx
 * @before: (nullable): what an earlier configuration read
 *
 * A file that we may not read (any more: a key of root's, since we gave root up) is taken as it was @before, if that is
 * the same file, unchanged as far as can be seen.
 *
 * Returns: %FALSE, with mistakes added, if they can't be used.
 */
gboolean rook_tls_load_certificate (SSL_CTX *ctx, RookConfigGroup *group, RookTlsPair *pair, const RookTlsPair *before,
                                    GPtrArray *mistakes);
/* The certificate, its chain and its key, as @from has them. */
gboolean rook_tls_copy_certificate (SSL_CTX *to, SSL_CTX *from);
/* (nullable) Why clients will refuse it now: it has expired, or is not valid yet. */
char *rook_tls_dup_date_problem (X509 *certificate);
/* A regular file that we may read. */
gboolean rook_tls_check_readable (const char *path, GError **error);

G_END_DECLS
