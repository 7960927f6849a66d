/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files that make text of a message share: the table of charsets, converters, transfer decoders.
 */
#pragma once

#include "mime/mime-private.h"
#include "rookery/mime-text.h"

G_BEGIN_DECLS

#define ROOK_MAX_CHARSETS 64 /* rows of the table */
#define ROOK_MAX_CHARSET_NAME ROOK_MIME_MAX_CHARSET

typedef enum {
  ROOK_CHARSET_ICONV,
  ROOK_CHARSET_UTF8,
  ROOK_CHARSET_WINDOWS_1252,
  ROOK_CHARSET_UTF7,
  ROOK_CHARSET_GUESS, /* UTF-8 where it is that, else windows-1252 */
} RookCharsetHow;

typedef struct {
  RookCharsetHow how;
  const char *iconv;
  const char *names; /* letters and digits only, a space between them */
  guint unit;        /* bytes to pass over where there is no character; 0 is 1 */
  gboolean stateful; /* each encoded word begins afresh */
} RookCharset;

/* (nullable) NULL: not known */
const RookCharset *rook_charset_find (const char *name, gsize length);
guint rook_charset_index (const RookCharset *charset);
const RookCharset *rook_charset_nth (guint n); /* (nullable) */

/* @charset: %NULL is GUESS. */
RookConverter *rook_converter_new_for (RookCharsets *charsets, const RookCharset *charset);

/* (charset-utf7.c) */
typedef struct {
  gboolean shifted; /* behind "+" */
  gboolean empty;   /* nothing came since */
  guint32 bits;
  guint n_bits;
  guint high; /* a surrogate that waits for its other half */
} RookUtf7;

void rook_utf7_feed (RookUtf7 *self, const char *data, gsize length, GString *out);
void rook_utf7_finish (RookUtf7 *self, GString *out);

gint rook_base64_value (guchar c); /* -1: none */

/* Line ends become spaces. */
char *rook_text_to_line (GString *text); /* (transfer full) of @text too */

G_END_DECLS
