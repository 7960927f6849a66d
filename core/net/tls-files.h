/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Certificates and keys on disk.
 */
#pragma once

#include <openssl/ssl.h>

#include "rookery/config.h"

G_BEGIN_DECLS

/* Reads `certificate` and `private-key` of @group into @ctx. Returns: %FALSE, with mistakes added, if they can't be used. */
gboolean rook_tls_load_certificate (SSL_CTX *ctx, RookConfigGroup *group, GPtrArray *mistakes);

G_END_DECLS
