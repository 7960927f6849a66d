/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cutting a byte stream into lines, literals, dot-terminated text and raw pieces.
 *
 * Knows no sockets and calls nobody: the connection puts bytes in front of it (a window into a buffer that it may
 * write to) and takes items out. While nothing has come it holds only the beginning of an unfinished line, in a buffer
 * of that size.
 */
#pragma once

#include "rookery/net.h"

G_BEGIN_DECLS

typedef enum { ROOK_INPUT_LINE, ROOK_INPUT_LITERAL, ROOK_INPUT_DOT, ROOK_INPUT_RAW } RookInputMode;

typedef struct {
  RookInputMode mode;
  guint8 dot_state;
  gboolean release;  /* the partial line was given out with the last item */
  guint64 left;      /* of a literal */
  gsize limit;       /* of a line */
  guint8 *cur, *end; /* the window */
  guint8 *rest;      /* (owned) (nullable) whole bytes not looked at yet, kept while no window is there */
  gsize rest_length; /* */
  guint8 *partial;   /* (owned) (nullable) the beginning of a line, at most limit + 1 bytes of it */
  gsize partial_length, partial_size;
  guint64 partial_total; /* how long the line is so far, with what was dropped */
  guint8 partial_prev;   /* its last byte so far */
} RookInput;

typedef struct {
  gboolean is_line;
  gboolean last;
  RookLineFlags flags;
  guint8 *data; /* a line: writable and NUL-terminated; else read only. Valid until the next call */
  gsize length;
} RookInputItem;

void rook_input_init (RookInput *input, gsize line_limit);
void rook_input_clear (RookInput *input);
void rook_input_set_mode (RookInput *input, RookInputMode mode, guint64 length);

/* Puts @length bytes in front of it, after all before were taken. They must stay until rook_input_detach(). */
void rook_input_attach (RookInput *input, guint8 *data, gsize length);
/* Takes the next item. Returns: %FALSE: more bytes are needed. */
gboolean rook_input_next (RookInput *input, RookInputItem *out_item);
/* The window goes: what was not taken is copied. */
void rook_input_detach (RookInput *input);
/* Takes all bytes that were received and not looked at yet, for a filter that is put below now. (transfer full) */
GBytes *rook_input_steal_rest (RookInput *input);
/* Throws the same away, and the beginning of a line too. */
void rook_input_discard (RookInput *input);
gsize rook_input_get_held (const RookInput *input);

G_END_DECLS
