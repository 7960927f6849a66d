/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * UTF-7 (RFC 2152) to UTF-8, a byte at a time. By ourselves, since glibc's converter gives other text for bad input when it
 * comes in other pieces. Not the modified UTF-7 of mailbox names, which is utf7.c.
 */
#include "mime/mime-text-private.h"

static void
append_unit (RookUtf7 *self, guint unit, GString *out)
{
  gboolean high = unit >= 0xd800 && unit < 0xdc00, low = unit >= 0xdc00 && unit < 0xe000;

  if (self->high != 0 && low)
    g_string_append_unichar (out, 0x10000 + ((self->high - 0xd800) << 10) + (unit - 0xdc00));
  else if (self->high != 0 || low)
    g_string_append_unichar (out, 0xfffd);
  if (!high && !low && unit != 0)
    g_string_append_unichar (out, unit);
  self->high = high ? unit : 0;
}

/* What a shift has left open: half a pair, or nothing at all behind "+". */
static void
end_shift (RookUtf7 *self, gboolean minus, GString *out)
{
  if (self->empty && minus)
    g_string_append_c (out, '+');
  else if (self->empty || self->high != 0)
    g_string_append_unichar (out, 0xfffd);
  *self = (RookUtf7){ .shifted = FALSE };
}

static void
append_direct (RookUtf7 *self, guchar c, GString *out)
{
  if (c == '+')
    self->shifted = self->empty = TRUE;
  else if (c >= 0x80)
    g_string_append_unichar (out, 0xfffd);
  else if (c != '\0')
    g_string_append_c (out, (char) c);
}

void
rook_utf7_feed (RookUtf7 *self, const char *data, gsize length, GString *out)
{
  for (gsize i = 0; i < length; i++)
    {
      gint value = self->shifted ? rook_base64_value ((guchar) data[i]) : -1;

      if (value >= 0)
        {
          self->empty = FALSE;
          self->bits = self->bits << 6 | (guint32) value;
          self->n_bits += 6;
          if (self->n_bits >= 16)
            {
              self->n_bits -= 16;
              append_unit (self, self->bits >> self->n_bits & 0xffff, out);
            }
          continue;
        }
      if (self->shifted)
        {
          end_shift (self, data[i] == '-', out);
          if (data[i] == '-')
            continue;
        }
      append_direct (self, (guchar) data[i], out);
    }
}

void
rook_utf7_finish (RookUtf7 *self, GString *out)
{
  if (self->shifted)
    end_shift (self, FALSE, out);
}
