/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text of messages as UTF-8: charsets, encoded words, parameters, transfer encodings.
 *
 * All text that comes out is valid UTF-8 without NUL, whatever went in, and nothing here fails. Time is linear in what is
 * given, and an output grows by at most four bytes for each byte given, and 64. Any thread, each object in one at a time;
 * never blocks, but that the C library may load the converter of a charset that the process meets for the first time.
 */
#pragma once

#include "rookery/mime.h"

G_BEGIN_DECLS

/* --- charsets ----------------------------------------------------------------------------------------------------- */

/* Converters that are open, kept for the next text: at most one for each charset there is a table row of, which are under 64.
 * Whoever decodes many texts (a search, an index) keeps one. It must outlive what is made of it. */
typedef struct RookCharsets RookCharsets;

ROOK_EXPORT RookCharsets *rook_charsets_new (void);
ROOK_EXPORT void rook_charsets_free (RookCharsets *charsets);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookCharsets, rook_charsets_free)

/* Whether @name (as mail writes it, in any case, "x-" before it or not; nullable) is a charset we convert. Aliases that mailers
 * use are known, and a charset is read as its superset where its name is used for that (gb2312 is gb18030, iso-8859-1 is
 * windows-1252, ks_c_5601-1987 is cp949). Only names of our own table ever reach iconv. */
ROOK_EXPORT gboolean rook_charset_is_known (const char *name);

/* Text that comes in pieces, in @charset, to UTF-8. Bytes that @charset does not have become U+FFFD, one each. An unknown
 * charset, us-ascii and %NULL are read as what they most often are: UTF-8 where that is valid, and any other byte as
 * windows-1252. */
typedef struct RookConverter RookConverter;

ROOK_EXPORT RookConverter *rook_converter_new (RookCharsets *charsets, const char *charset);
ROOK_EXPORT void rook_converter_free (RookConverter *converter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookConverter, rook_converter_free)
/* Appends to @out. Where the pieces are cut makes no difference; at most 32 bytes wait for the next one. */
ROOK_EXPORT void rook_converter_feed (RookConverter *converter, const char *data, gsize length, GString *out);
/* The text has ended: appends what waited. The converter is then as new. */
ROOK_EXPORT void rook_converter_finish (RookConverter *converter, GString *out);

/* The same for a text that is all there. (transfer full) */
ROOK_EXPORT char *rook_charset_to_utf8 (RookCharsets *charsets, const char *charset, const char *data, gsize length);

/* --- header fields ------------------------------------------------------------------------------------------------ */

/* The value of a field, folded or not, as it is meant to be read: unfolded, encoded words (RFC 2047, with the languages of
 * RFC 2231 5) decoded, also where they stand inside quotes or touch other text, which RFC 2047 does not allow and mailers do.
 * White space between two of them is left out; a character may be cut in two by them. What is no encoded word stays as it is;
 * bytes outside ASCII are read as if the charset were unknown. The result is one line: line ends that were encoded are
 * spaces. (transfer full) */
ROOK_EXPORT char *rook_mime_decode_header (RookCharsets *charsets, const char *value, gsize length);

/* Of the value of a Content-Type or Content-Disposition field the parameter @name: in pieces, in any order, with charset and
 * percent signs (RFC 2231 3 and 4), or as encoded words, which mailers do all the same. What RFC 2231 wrote comes before what
 * it did not, and of equal ones the first. One line, as above. %NULL: there is none among the first 64. (transfer full) */
ROOK_EXPORT char *rook_mime_decode_param (RookCharsets *charsets, const char *value, gsize length, const char *name);

/* The file name that a part's header block gives: of Content-Disposition, or else the name of Content-Type (RFC 2183 2.3).
 * %NULL: none. It may hold "/" or be "..": it is for people to read, and no path. (transfer full) */
ROOK_EXPORT char *rook_mime_decode_filename (RookCharsets *charsets, const char *header, gsize length);

/* --- bodies ------------------------------------------------------------------------------------------------------- */

/* A body that comes in pieces, its transfer encoding undone (RFC 2045 6): base64 and quoted-printable, in any case; any other
 * body stays as it is. Garbage is passed over in base64 and stays as it is in quoted-printable; base64 goes on behind "=". */
typedef struct RookTransfer RookTransfer;

ROOK_EXPORT RookTransfer *rook_transfer_new (const char *encoding);
ROOK_EXPORT void rook_transfer_free (RookTransfer *transfer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookTransfer, rook_transfer_free)
/* Appends bytes to @out. Where the pieces are cut makes no difference; at most 1,000 bytes wait for the next one. */
ROOK_EXPORT void rook_transfer_feed (RookTransfer *transfer, const char *data, gsize length, GString *out);
/* The body has ended: appends what waited. The object is then as new. */
ROOK_EXPORT void rook_transfer_finish (RookTransfer *transfer, GString *out);

/* The text of a part: its transfer encoding undone, its charset converted. @part is not kept. It is given the bytes of
 * the part's body as they are in the message, in pieces of any size, and needs a few kilobytes however long the body is. */
typedef struct RookPartText RookPartText;

ROOK_EXPORT RookPartText *rook_part_text_new (RookCharsets *charsets, const RookMimePart *part);
ROOK_EXPORT void rook_part_text_free (RookPartText *text);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookPartText, rook_part_text_free)
/* Appends text to @out, whose room is the caller's: it may be emptied between any two pieces. */
ROOK_EXPORT void rook_part_text_feed (RookPartText *text, const char *data, gsize length, GString *out);
ROOK_EXPORT void rook_part_text_finish (RookPartText *text, GString *out);

G_END_DECLS
