/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text of a part, for those who search or index it: transfer encoding, then charset, a few kilobytes at a time.
 */
#include "mime/mime-text-private.h"

#define SLICE 8192 /* bytes that are between the two at a time */

struct RookPartText {
  RookTransfer *transfer;   /* (owned) */
  RookConverter *converter; /* (owned) */
  GString *bytes;           /* (owned) between the two */
};

RookPartText *
rook_part_text_new (RookCharsets *charsets, const RookMimePart *part)
{
  RookPartText *text;

  g_return_val_if_fail (charsets != NULL && part != NULL, NULL);
  text = g_new (RookPartText, 1);
  text->transfer = rook_transfer_new (part->encoding);
  text->converter = rook_converter_new (charsets, part->charset);
  text->bytes = g_string_sized_new (SLICE);
  return text;
}

void
rook_part_text_free (RookPartText *text)
{
  rook_transfer_free (text->transfer);
  rook_converter_free (text->converter);
  g_string_free (text->bytes, TRUE);
  g_free (text);
}

static void
pass_on (RookPartText *text, GString *out)
{
  rook_converter_feed (text->converter, text->bytes->str, text->bytes->len, out);
  g_string_truncate (text->bytes, 0);
}

void
rook_part_text_feed (RookPartText *text, const char *data, gsize length, GString *out)
{
  while (length > 0)
    {
      gsize slice = MIN (length, SLICE);

      rook_transfer_feed (text->transfer, data, slice, text->bytes);
      pass_on (text, out);
      data += slice;
      length -= slice;
    }
}

void
rook_part_text_finish (RookPartText *text, GString *out)
{
  rook_transfer_finish (text->transfer, text->bytes);
  pass_on (text, out);
  rook_converter_finish (text->converter, out);
}
