/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text of a part: two lines say its transfer encoding and its charset, then come a byte for the size of pieces and
 * its body. What comes out is UTF-8, no longer than promised, and the same in pieces as at once.
 */
#include <string.h>

#include "rookery/mime-text.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

/* A line of at most 40 bytes; %NULL: there is none. (transfer full) */
static char *
take_line (const guint8 **data, gsize *size)
{
  const guint8 *end = *size > 0 ? memchr (*data, '\n', MIN (*size, 41)) : NULL;
  char *line;

  if (end == NULL)
    return NULL;
  line = g_strndup ((const char *) *data, (gsize) (end - *data));
  *size -= (gsize) (end + 1 - *data);
  *data = end + 1;
  return line;
}

static GString *
decode (RookPartText *text, const char *body, gsize length, gsize piece)
{
  GString *out = g_string_new (NULL);

  for (gsize at = 0; at < length; at += piece)
    rook_part_text_feed (text, body + at, MIN (piece, length - at), out);
  rook_part_text_finish (text, out);
  return out;
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autofree char *encoding = take_line (&data, &size);
  g_autofree char *charset = take_line (&data, &size);
  RookMimePart part = { .encoding = encoding, .charset = charset };
  g_autoptr (RookCharsets) charsets = rook_charsets_new ();
  g_autoptr (RookPartText) text = rook_part_text_new (charsets, &part);
  g_autoptr (GString) whole = NULL;
  g_autoptr (GString) pieces = NULL;

  if (size == 0)
    return 0;
  whole = decode (text, (const char *) data + 1, size - 1, size);
  pieces = decode (text, (const char *) data + 1, size - 1, 1 + data[0] % 40);
  g_assert (g_string_equal (whole, pieces));
  g_assert (g_utf8_validate_len (whole->str, whole->len, NULL));
  g_assert (whole->len <= 4 * size + 64);
  return 0;
}
