/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * IMAP's modified UTF-7 (RFC 3501 5.1.3), canonical in both directions: one text for one name.
 *
 * What another encoder would have written differently is refused when read: printable ASCII in base64, needless shifts,
 * padding bits that are not zero, lone surrogates, bytes that are not ASCII.
 */
#include <string.h>

#include "mime/mime-private.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static gboolean
is_direct (gunichar c)
{
  return c >= 0x20 && c <= 0x7e;
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

typedef struct {
  GString *out;
  guint32 bits;
  guint n_bits;
} Base64Writer;

static void
write_unit (Base64Writer *w, guint unit)
{
  w->bits = (w->bits << 16 | unit) & 0xffffff;
  w->n_bits += 16;
  while (w->n_bits >= 6)
    {
      w->n_bits -= 6;
      g_string_append_c (w->out, alphabet[(w->bits >> w->n_bits) & 0x3f]);
    }
}

static void
finish_shift (Base64Writer *w)
{
  if (w->n_bits > 0)
    g_string_append_c (w->out, alphabet[(w->bits << (6 - w->n_bits)) & 0x3f]);
  w->n_bits = 0;
  g_string_append_c (w->out, '-');
}

static void
write_char (Base64Writer *w, gunichar c)
{
  if (c < 0x10000)
    {
      write_unit (w, c);
      return;
    }
  c -= 0x10000;
  write_unit (w, 0xd800 + (c >> 10));
  write_unit (w, 0xdc00 + (c & 0x3ff));
}

char *
rook_utf7_from_utf8 (const char *text)
{
  Base64Writer w = { .out = g_string_new (NULL) };
  gboolean shifted = FALSE;

  if (!g_utf8_validate (text, -1, NULL))
    {
      g_string_free (w.out, TRUE);
      return NULL;
    }
  for (; *text != '\0'; text = g_utf8_next_char (text))
    {
      gunichar c = g_utf8_get_char (text);

      if (is_direct (c) && shifted)
        finish_shift (&w);
      if (!is_direct (c) && !shifted)
        g_string_append_c (w.out, '&');
      shifted = !is_direct (c);
      if (shifted)
        write_char (&w, c);
      else
        g_string_append (w.out, c == '&' ? "&-" : (char[]){ (char) c, '\0' });
    }
  if (shifted)
    finish_shift (&w);
  return g_string_free (w.out, FALSE);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* Adds one UTF-16 unit; @high holds a surrogate that waits for its other half. %FALSE: not canonical. */
static gboolean
read_unit (GString *out, guint unit, guint *high)
{
  if (*high != 0)
    {
      if (unit < 0xdc00 || unit > 0xdfff)
        return FALSE;
      g_string_append_unichar (out, 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00));
      *high = 0;
      return TRUE;
    }
  if (unit >= 0xdc00 && unit <= 0xdfff)
    return FALSE;
  if (unit >= 0xd800 && unit <= 0xdbff)
    {
      *high = unit;
      return TRUE;
    }
  if (is_direct (unit) || unit == 0)
    return FALSE;
  g_string_append_unichar (out, unit);
  return TRUE;
}

/* @text behind "&". Returns what follows the "-"; %NULL: refused. */
static const char *
read_shift (GString *out, const char *text)
{
  guint32 bits = 0;
  guint n_bits = 0, high = 0, n = 0;

  for (; *text != '-'; text++, n++)
    {
      const char *at = *text != '\0' ? strchr (alphabet, *text) : NULL;

      if (at == NULL)
        return NULL;
      bits = (bits << 6 | (guint32) (at - alphabet)) & 0xffffff;
      n_bits += 6;
      if (n_bits >= 16)
        {
          n_bits -= 16;
          if (!read_unit (out, (bits >> n_bits) & 0xffff, &high))
            return NULL;
        }
    }
  if (n == 0)
    g_string_append_c (out, '&');
  else if (high != 0 || n_bits >= 6 || (bits & ((1u << n_bits) - 1)) != 0)
    return NULL;
  text++;
  /* Two shifts in a row would have been one. */
  if (n > 0 && *text == '&' && text[1] != '-')
    return NULL;
  return text;
}

char *
rook_utf7_to_utf8 (const char *text)
{
  g_autoptr (GString) out = g_string_new (NULL);

  while (text != NULL && *text != '\0')
    {
      if (!is_direct ((guchar) *text))
        return NULL;
      if (*text == '&')
        text = read_shift (out, text + 1);
      else
        g_string_append_c (out, *text++);
    }
  return text != NULL ? g_string_free (g_steal_pointer (&out), FALSE) : NULL;
}
