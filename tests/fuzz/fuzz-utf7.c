/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Modified UTF-7: what is accepted has one spelling, and every UTF-8 text comes back.
 */
#include "rookery/mime.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autofree char *text = g_strndup ((const char *) data, size);
  g_autofree char *decoded = rook_utf7_to_utf8 (text);
  g_autofree char *encoded = rook_utf7_from_utf8 (text);

  if (decoded != NULL)
    {
      g_autofree char *again = rook_utf7_from_utf8 (decoded);

      g_assert (g_str_equal (again, text));
    }
  g_assert ((encoded != NULL) == g_utf8_validate (text, -1, NULL));
  if (encoded != NULL)
    {
      g_autofree char *back = rook_utf7_to_utf8 (encoded);

      g_assert (back != NULL && g_str_equal (back, text));
    }
  return 0;
}
