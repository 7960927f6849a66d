/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Checksums: CRC-32C (RFC 3720 B.4) for what a disk may damage, SipHash-2-4 with a key of zeros for the digests of
 * tables, SHA-256 for whether two bodies are equal.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* @crc: 0 to begin with, or what an earlier part gave. */
guint32 gs_crc32c (guint32 crc, gconstpointer data, gsize length);
guint64 gs_siphash (gconstpointer data, gsize length);
void gs_sha256 (gconstpointer data, gsize length, guint8 out_digest[32]);

G_END_DECLS
