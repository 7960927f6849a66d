/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How the mailbox service writes its values: big-endian numbers at fixed places, and lists of tagged fields.
 *
 * Tagged: one version byte, then fields of tag (1 byte), length (4 bytes) and bytes. A reader passes over tags it does
 * not know, so that a value may grow; a version it does not know it refuses.
 */
#pragma once

#include <string.h>

#include "rookery/macros.h"

G_BEGIN_DECLS

static inline void
rook_put16 (guint8 *at, guint16 value)
{
  value = GUINT16_TO_BE (value);
  memcpy (at, &value, sizeof value);
}
static inline void
rook_put32 (guint8 *at, guint32 value)
{
  value = GUINT32_TO_BE (value);
  memcpy (at, &value, sizeof value);
}
static inline void
rook_put64 (guint8 *at, guint64 value)
{
  value = GUINT64_TO_BE (value);
  memcpy (at, &value, sizeof value);
}
static inline guint16
rook_get16 (const guint8 *at)
{
  guint16 value;

  memcpy (&value, at, sizeof value);
  return GUINT16_FROM_BE (value);
}
static inline guint32
rook_get32 (const guint8 *at)
{
  guint32 value;

  memcpy (&value, at, sizeof value);
  return GUINT32_FROM_BE (value);
}
static inline guint64
rook_get64 (const guint8 *at)
{
  guint64 value;

  memcpy (&value, at, sizeof value);
  return GUINT64_FROM_BE (value);
}

GByteArray *rook_tags_new (guint8 version);
void rook_tags_add (GByteArray *out, guint8 tag, gconstpointer data, gsize length);
void rook_tags_add_text (GByteArray *out, guint8 tag, const char *text); /* @text: (nullable) nothing is added */
void rook_tags_add_number (GByteArray *out, guint8 tag, guint64 value);

typedef struct {
  const guint8 *at, *end;
  guint8 tag;
  const guint8 *data;
  guint32 length;
} RookTagReader;
/* %FALSE: empty, or of a version above @max_version. */
gboolean rook_tag_reader_init (RookTagReader *reader, GBytes *bytes, guint8 max_version);
/* The next field. %FALSE: the end, or damage: see rook_tag_reader_is_whole(). */
gboolean rook_tag_reader_next (RookTagReader *reader);
gboolean rook_tag_reader_is_whole (RookTagReader *reader);
char *rook_tag_reader_dup_text (RookTagReader *reader);
guint64 rook_tag_reader_get_number (RookTagReader *reader);

G_END_DECLS
