/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which bytes of a message a FETCH section means.
 */
#pragma once

#include "imap/fetch-items.h"

/* Whether the message's structure must be known to say so. */
gboolean imap_section_needs_mime (const ImapFetchItem *item);
/* @mime: (nullable) if it is not needed. For HEADER.FIELDS: the whole header. FALSE: there is no such part. */
gboolean imap_section_find (const ImapFetchItem *item, RookMime *mime, guint64 size, guint64 *out_offset,
                            guint64 *out_length);
/* Applies the partial to a range. */
void imap_section_cut (const ImapFetchItem *item, guint64 *offset, guint64 *length);
/* HEADER.FIELDS and .NOT of @header, the partial applied, as a literal. */
void imap_section_write_fields (GString *out, const ImapFetchItem *item, GBytes *header);
