/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Values of header fields: encoded words, parameters, file names, addresses. Whatever the bytes, what comes out is one line
 * of UTF-8, no longer than promised, and the same each time.
 */
#include <string.h>

#include "mime/mime-private.h"
#include "rookery/mime-text.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static void
check_line (const char *text, gsize given)
{
  g_assert (g_utf8_validate (text, -1, NULL));
  g_assert (strpbrk (text, "\r\n") == NULL);
  g_assert (strlen (text) <= 4 * given + 64);
}

static void
check_param (RookCharsets *charsets, const char *text, gsize size, const char *name)
{
  g_autofree char *value = rook_mime_decode_param (charsets, text, size, name);

  if (value != NULL)
    check_line (value, size);
}

static void
check_addresses (const char *text, gsize size, guint left)
{
  g_autoptr (GString) out = g_string_new (NULL);

  rook_address_append_list (out, (RookSpan){ text, size }, &left);
  g_assert (g_str_equal (out->str, "NIL") || (g_str_has_prefix (out->str, "((") && g_str_has_suffix (out->str, "))")));
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  const char *text = (const char *) data;
  g_autoptr (RookCharsets) charsets = rook_charsets_new ();
  g_autofree char *header = rook_mime_decode_header (charsets, text, size);
  g_autofree char *again = rook_mime_decode_header (charsets, text, size);
  g_autofree char *filename = rook_mime_decode_filename (charsets, text, size);

  check_line (header, size);
  g_assert (g_str_equal (header, again));
  if (filename != NULL)
    check_line (filename, size);
  check_param (charsets, text, size, "name");
  check_param (charsets, text, size, "filename");
  check_addresses (text, size, 3);
  check_addresses (text, size, G_MAXUINT);
  return 0;
}
