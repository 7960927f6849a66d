/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of core/mime share: header fields, header values, IMAP strings, and the parsed message itself.
 */
#pragma once

#include "rookery/mime.h"

G_BEGIN_DECLS

#define ROOK_MIME_MAX_PARTS 10000
#define ROOK_MIME_MAX_DEPTH 100
#define ROOK_MIME_MAX_BOUNDARY 256     /* bytes; RFC 2046 allows 70 */
#define ROOK_MIME_MAX_PARAMS 64        /* of one field: more are left out */
#define ROOK_MIME_MAX_CHARSET 40       /* bytes of a charset's name */
#define ROOK_MIME_MAX_FIELDS 1000      /* whose places are kept, or those of none */
#define ROOK_MIME_MAX_FIELD_NAME 100   /* bytes */
#define ROOK_MIME_MAX_ADDRESSES 100000 /* in each of ENVELOPE, BODY and BODYSTRUCTURE: more are left out */

/* --- bytes that are not ours ------------------------------------------------------------------------------------ */

typedef struct {
  const char *data;
  gsize length;
} RookSpan;

static inline gboolean
rook_is_space (char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* --- header fields (field.c) ------------------------------------------------------------------------------------ */

typedef struct {
  RookSpan name;  /* without the colon */
  RookSpan value; /* behind the colon, still folded, without the last line end */
  RookSpan raw;   /* all of it, line end included */
} RookField;

/* Walks a header block. *@position starts at 0. A line that is no field is passed over. %FALSE: at its end. */
gboolean rook_field_next (RookSpan header, gsize *position, RookField *out_field);
gboolean rook_span_equal_nocase (RookSpan span, const char *text);
/* Folds undone, NUL and line ends dropped, space at both ends dropped. */
char *rook_field_unfold (RookSpan value);

/* --- values of MIME fields (value.c) ---------------------------------------------------------------------------- */

typedef struct {
  char *name; /* upper case */
  char *value;
  gboolean joined; /* of pieces (RFC 2231 3) */
} RookParam;

void rook_param_free (gpointer param);
RookParam *rook_param_copy (const RookParam *param);

/* "TOKEN[/TOKEN]; name=value; ..." */
typedef struct {
  char *type;        /* (nullable) upper case; NULL: there is none, or it is no token */
  char *subtype;     /* (nullable) upper case */
  GPtrArray *params; /* (element-type RookParam) */
} RookValue;

/* Pieces of parameters are put together, as far as there is a first one. */
RookValue *rook_value_parse (RookSpan value, gboolean with_subtype);
void rook_value_free (RookValue *value);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookValue, rook_value_free)
const char *rook_value_get_param (const RookValue *value, const char *name); /* (nullable) @name in upper case */
/* (param.c) */
void rook_value_join_params (RookValue *value);
/* Skips white space and comments from @i on. */
gsize rook_skip_cfws (RookSpan text, gsize i);

/* --- IMAP's strings (imap-string.c) ----------------------------------------------------------------------------- */

/* A quoted string if it can be one, else a literal; NUL bytes are dropped. */
void rook_imap_append_string (GString *out, const char *text, gsize length);
/* The same, NIL for NULL. */
void rook_imap_append_nstring (GString *out, const char *text);

/* --- addresses (address.c) -------------------------------------------------------------------------------------- */

/* An address list as ENVELOPE has it: "((name adl mailbox host) ...)" or "NIL". @left: how many addresses may still be
 * written, and then less those that were: each takes more room than it may have had in the message. */
void rook_address_append_list (GString *out, RookSpan value, guint *left);

/* --- a parsed message ------------------------------------------------------------------------------------------- */

typedef struct {
  RookMimePart part;
  guint32 end;      /* index behind the last part inside this one (parts lie in preorder) */
  guint16 depth;    /* 0: the message */
  guint32 children; /* where the indices of its n_parts children begin in the message's children */
} RookMimeNode;

struct RookMime {
  gint ref; /* atomic */
  guint64 size;
  GArray *nodes;         /* (owned) (element-type RookMimeNode) */
  GArray *children;      /* (owned) (element-type guint32) see RookMimeNode */
  guint addresses;       /* that may still be written, while it is being parsed */
  GArray *fields;        /* (owned) (element-type RookMimeField) of the message's header */
  gboolean all_fields;   /* none is missing there */
  GStringChunk *strings; /* (owned) what nodes and fields point to */
  GBytes *message;       /* (owned) (nullable) NULL: read from a cache */
  GBytes *cache;         /* (owned) (nullable) what it was read from */
  GPtrArray *headers;    /* (owned) (element-type utf8) name, value, name, value ... the cached set, lower-case names */
  char *envelope;        /* (owned) */
  char *body;            /* (owned) */
  char *bodystructure;   /* (owned) */
};

RookMime *rook_mime_alloc (void);
/* Once all nodes are there: makes the children known. */
void rook_mime_link_children (RookMime *mime);
static inline RookMimeNode *
rook_mime_node (RookMime *mime, guint index)
{
  return &g_array_index (mime->nodes, RookMimeNode, index);
}
/* Part structure of @data; of type, subtype and encoding the strings are in @mime->strings (parse.c). */
void rook_mime_parse_structure (RookMime *mime, RookSpan message);
/* (body.c, envelope.c) */
void rook_mime_append_envelope (GString *out, RookMime *mime, RookSpan header);
void rook_mime_append_body (GString *out, RookMime *mime, RookSpan message, guint index, gboolean extended);

static inline RookSpan
rook_span (RookSpan all, gsize offset, gsize length)
{
  return (RookSpan){ all.data + offset, length };
}

G_END_DECLS
