/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * MIME: the structure of a message with byte offsets, and what clients ask for, computed once.
 *
 * Parsing is one pass, linear in the message whatever it holds, bounded in parts (10,000) and depth (100): what lies
 * beyond is text of the part it is in. The message is not changed; offsets point into the bytes given. The summary (a
 * #RookMime) can be stored as a cache blob and read back without the message. Any thread; never blocks.
 */
#pragma once

#include "rookery/macros.h"

G_BEGIN_DECLS

typedef struct RookMime RookMime;

/* A part: offsets are of bytes in the message. */
typedef struct {
  guint64 header_offset, header_length; /* with the empty line that ends it */
  guint64 body_offset, body_length;     /* still transfer-encoded */
  guint32 body_lines;
  guint32 n_parts;            /* of a multipart; of message/rfc822: 1, the message inside */
  const char *type, *subtype; /* upper case */
  const char *encoding;       /* upper case; "7BIT" by default */
  const char *charset;        /* (nullable) as Content-Type says, if it does and in no more than 40 bytes */
} RookMimePart;

/* A field of a message's header (RFC 5322 2.2). */
typedef struct {
  const char *name;       /* lower case */
  guint64 offset, length; /* bytes in the message, with folded lines and the line end */
} RookMimeField;

/* @message: referenced. Never fails: bytes that are no message are a text/plain body. */
ROOK_EXPORT RookMime *rook_mime_parse (GBytes *message);
ROOK_EXPORT RookMime *rook_mime_ref (RookMime *mime);
ROOK_EXPORT void rook_mime_unref (RookMime *mime);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookMime, rook_mime_unref)

/* The cache form: versioned; %NULL from rook_mime_from_cache() if it is damaged or of another version. */
ROOK_EXPORT GBytes *rook_mime_to_cache (RookMime *mime);
ROOK_EXPORT RookMime *rook_mime_from_cache (GBytes *cache);

ROOK_EXPORT guint64 rook_mime_get_size (RookMime *mime);
/* As RFC 3501 7.4.2 writes them, ready to be sent. Valid as long as @mime. */
ROOK_EXPORT const char *rook_mime_get_envelope (RookMime *mime); /* "(...)" */
ROOK_EXPORT const char *rook_mime_get_body (RookMime *mime);     /* BODY: without extension data */
ROOK_EXPORT const char *rook_mime_get_bodystructure (RookMime *mime);
/* The part that a section's numbers name ("" is the message, "1.2" ...); %NULL: none such. */
ROOK_EXPORT const RookMimePart *rook_mime_find_part (RookMime *mime, const char *section);
/* Part @n (from 0) inside @part, which must be one of @mime's: of a multipart, or the message inside a message/rfc822.
 * %NULL: none such. A section names the part that holds a message ("2"); "2.HEADER" and "2.TEXT" are of its child 0. */
ROOK_EXPORT const RookMimePart *rook_mime_get_child (RookMime *mime, const RookMimePart *part, guint n);
/* The part behind @part in the message, whatever it is part of; %NULL: the first, which is the message. %NULL: @part was the
 * last one. */
ROOK_EXPORT const RookMimePart *rook_mime_next_part (RookMime *mime, const RookMimePart *part);

/* The fields of the message's own header, in their order, known from a cache too: so HEADER.FIELDS and SEARCH HEADER read what
 * they need of a message, or nothing. Valid as long as @mime. %NULL: there are more than 1,000, or one with a name of more than
 * 100 bytes, and the header has to be read. */
ROOK_EXPORT const RookMimeField *rook_mime_get_fields (RookMime *mime, guint *out_n);
/* The first field @name of the message's header, unfolded, raw otherwise. (nullable) (transfer full). Only fields in the
 * cached set (Date, From, To, Cc, Subject, Message-ID, References, In-Reply-To, ...) are known after from_cache. */
ROOK_EXPORT char *rook_mime_get_header (RookMime *mime, const char *name);

/* Whether rook_mime_get_header() knows @name from a cache. */
ROOK_EXPORT gboolean rook_mime_is_header_cached (const char *name);

/* Of a header block (with or without the empty line): the fields named (@negate: all others), verbatim, in their order,
 * followed by an empty line (RFC 3501 6.4.5, HEADER.FIELDS). */
ROOK_EXPORT GBytes *rook_mime_filter_header (const char *header, gsize length, const char *const *fields,
                                             gboolean negate);

/* IMAP's modified UTF-7 (RFC 3501 5.1.3). Refuses what is not canonical (a second spelling of the same name), and what
 * is not valid UTF-8: %NULL. (transfer full) */
ROOK_EXPORT char *rook_utf7_to_utf8 (const char *text);
ROOK_EXPORT char *rook_utf7_from_utf8 (const char *text);

G_END_DECLS
