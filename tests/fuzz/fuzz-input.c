/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The line, literal and dot reader: whatever comes, cut wherever it is cut, it gives the same lines and text, keeps no
 * more than the limit allows, and writes to nothing but its window.
 *
 * Byte 0: mode; byte 1: how long the pieces are; byte 2: the line limit, or the length of a literal; the rest is input.
 */
#include <stdint.h>
#include <string.h>

#include "net/input.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
note (GByteArray *out, const RookInputItem *item, gsize limit)
{
  guint8 flags = item->flags;

  g_byte_array_append (out, item->data, item->length);
  if (!item->is_line && !item->last)
    return; /* text may be cut anywhere */
  if (item->is_line)
    {
      g_assert (item->data[item->length] == '\0');
      g_assert (item->length <= limit);
      g_assert (memchr (item->data, '\n', item->length) == NULL);
    }
  g_byte_array_append (out, (const guint8 *) "|", 1);
  g_byte_array_append (out, &flags, 1);
}

/* One mode until it ends, then lines; every seventh line begins it anew. */
static GByteArray *
run (RookInputMode mode, gsize parameter, const uint8_t *data, size_t size, gsize cut)
{
  GByteArray *out = g_byte_array_new ();
  gsize limit = MAX (parameter, 1);
  guint lines = 0;
  RookInput input;

  rook_input_init (&input, limit);
  rook_input_set_mode (&input, mode, parameter);
  for (gsize offset = 0; offset < size; offset += cut)
    {
      gsize n = MIN (cut, size - offset);
      g_autofree guint8 *window = g_memdup2 (data + offset, n); /* ends where ASan sees */
      RookInputItem item;

      rook_input_attach (&input, window, n);
      while (rook_input_next (&input, &item))
        {
          note (out, &item, limit);
          if (item.is_line && ++lines % 7 == 0)
            rook_input_set_mode (&input, mode, parameter);
        }
      rook_input_detach (&input);
      g_assert (rook_input_get_held (&input) <= limit + 2);
    }
  rook_input_clear (&input);
  return out;
}

static gboolean
same (const GByteArray *a, const GByteArray *b)
{
  return a->len == b->len && (a->len == 0 || memcmp (a->data, b->data, a->len) == 0);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GByteArray) whole = NULL;
  g_autoptr (GByteArray) single = NULL;
  g_autoptr (GByteArray) pieces = NULL;
  RookInputMode mode;
  gsize cut;

  if (size < 4)
    return 0;
  mode = data[0] % 4;
  cut = data[1] % 64 + 2;
  whole = run (mode, data[2], data + 3, size - 3, size);
  single = run (mode, data[2], data + 3, size - 3, 1);
  pieces = run (mode, data[2], data + 3, size - 3, cut);
  g_assert (same (whole, single));
  g_assert (same (whole, pieces));
  return 0;
}
