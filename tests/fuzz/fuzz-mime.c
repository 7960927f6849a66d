/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The MIME parser: whatever the bytes, offsets lie within them, what goes to a protocol's line is one well-formed list,
 * and the stored form says the same as the parsed one.
 */
#include <string.h>

#include "rookery/mime.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

/* Behind one value of IMAP's: a string, a number or NIL, or a list of values. Aborts if it is none. */
static const char *
skip_value (const char *at)
{
  guint depth = 0;

  do
    {
      if (*at == '(')
        depth++;
      else if (*at == ')')
        {
          g_assert (depth > 0);
          depth--;
        }
      else if (*at == '"')
        for (at++; *at != '"'; at++)
          {
            g_assert (*at != '\0' && *at != '\r' && *at != '\n' && (guchar) *at < 0x80);
            if (*at == '\\')
              at++;
          }
      else if (*at == '{')
        {
          char *end;
          guint64 length = g_ascii_strtoull (at + 1, &end, 10);

          g_assert (g_str_has_prefix (end, "}\r\n"));
          g_assert (strnlen (end + 3, length) == length);
          at = end + 2 + length;
        }
      else
        g_assert (*at == ' ' || g_ascii_isalnum (*at));
      at++;
    }
  while (depth > 0);
  return at;
}

static void
check_part (RookMime *mime, const RookMimePart *part, guint depth)
{
  guint64 size = rook_mime_get_size (mime);

  g_assert (depth < 200);
  g_assert (part->header_offset <= size && part->header_length <= size - part->header_offset);
  g_assert (part->body_offset <= size && part->body_length <= size - part->body_offset);
  g_assert (rook_mime_get_child (mime, part, part->n_parts) == NULL);
  for (guint i = 0; i < MIN (part->n_parts, 100u); i++)
    check_part (mime, rook_mime_get_child (mime, part, i), depth + 1);
}

static void
check_strings (RookMime *mime)
{
  g_assert (*skip_value (rook_mime_get_envelope (mime)) == '\0');
  g_assert (*skip_value (rook_mime_get_body (mime)) == '\0');
  g_assert (*skip_value (rook_mime_get_bodystructure (mime)) == '\0');
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  static const char *const fields[] = { "subject", "to", NULL };
  g_autoptr (GBytes) bytes = g_bytes_new (data, size);
  g_autoptr (RookMime) mime = rook_mime_parse (bytes);
  g_autoptr (GBytes) cache = rook_mime_to_cache (mime);
  g_autoptr (RookMime) back = rook_mime_from_cache (cache);
  g_autoptr (RookMime) any = rook_mime_from_cache (bytes);
  G_GNUC_UNUSED g_autoptr (GBytes) filtered = rook_mime_filter_header ((const char *) data, size, fields, FALSE);
  G_GNUC_UNUSED g_autofree char *subject = rook_mime_get_header (mime, "subject");
  G_GNUC_UNUSED g_autofree char *other = rook_mime_get_header (mime, "x-other");

  check_strings (mime);
  check_part (mime, rook_mime_find_part (mime, ""), 0);
  g_assert (back != NULL && g_str_equal (rook_mime_get_body (back), rook_mime_get_body (mime)));
  check_part (back, rook_mime_find_part (back, ""), 0);
  rook_mime_find_part (mime, "1.2.1");
  if (any != NULL)
    check_part (any, rook_mime_find_part (any, ""), 0);
  return 0;
}
