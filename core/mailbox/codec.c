/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lists of tagged fields: see codec.h. Knows nothing of what the fields mean.
 */
#include "mailbox/codec.h"

GByteArray *
rook_tags_new (guint8 version)
{
  GByteArray *out = g_byte_array_new ();

  g_byte_array_append (out, &version, 1);
  return out;
}

void
rook_tags_add (GByteArray *out, guint8 tag, gconstpointer data, gsize length)
{
  guint8 head[5] = { tag };

  g_assert (length <= G_MAXINT32);
  rook_put32 (head + 1, (guint32) length);
  g_byte_array_append (out, head, sizeof head);
  g_byte_array_append (out, data, (guint) length);
}

void
rook_tags_add_text (GByteArray *out, guint8 tag, const char *text)
{
  if (text != NULL)
    rook_tags_add (out, tag, text, strlen (text));
}

void
rook_tags_add_number (GByteArray *out, guint8 tag, guint64 value)
{
  guint8 bytes[8];

  rook_put64 (bytes, value);
  rook_tags_add (out, tag, bytes, sizeof bytes);
}

gboolean
rook_tag_reader_init (RookTagReader *reader, GBytes *bytes, guint8 max_version)
{
  gsize length;
  const guint8 *data = g_bytes_get_data (bytes, &length);

  if (length == 0 || data[0] == 0 || data[0] > max_version)
    return FALSE;
  *reader = (RookTagReader){ .at = data + 1, .end = data + length };
  return TRUE;
}

gboolean
rook_tag_reader_next (RookTagReader *reader)
{
  guint32 length;

  if (reader->end - reader->at < 5)
    return FALSE;
  length = rook_get32 (reader->at + 1);
  if (length > (gsize) (reader->end - reader->at - 5))
    return FALSE;
  reader->tag = reader->at[0];
  reader->data = reader->at + 5;
  reader->length = length;
  reader->at = reader->data + length;
  return TRUE;
}

gboolean
rook_tag_reader_is_whole (RookTagReader *reader)
{
  return reader->at == reader->end;
}

char *
rook_tag_reader_dup_text (RookTagReader *reader)
{
  return g_strndup ((const char *) reader->data, reader->length);
}

guint64
rook_tag_reader_get_number (RookTagReader *reader)
{
  return reader->length == 8 ? rook_get64 (reader->data) : 0;
}
