/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text in a charset to UTF-8, in pieces: UTF-8, UTF-7, ASCII and Latin-1 by ourselves, all else by iconv.
 *
 * Each byte is given to a converter a bounded number of times. Open iconv descriptors are kept in a RookCharsets: opening one
 * may load a module, so that a text which changes its charset with each word would cost a load each.
 */
#include <errno.h>
#include <string.h>

#include "mime/mime-text-private.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define MAX_WAITING 16             /* bytes that may be the beginning of a character */
#define NONE ((GIConv) -1)

struct RookCharsets {
  GIConv idle[ROOK_MAX_CHARSETS]; /* NONE: none, or in use */
};

struct RookConverter {
  RookCharsets *charsets;     /* (unowned) outlives us */
  const RookCharset *charset; /* (nullable) NULL: guess */
  RookCharsetHow how;
  GIConv descriptor; /* NONE if not ICONV */
  RookUtf7 utf7;
  char waiting[2 * MAX_WAITING];
  gsize n_waiting;
};

/* --- what is open ------------------------------------------------------------------------------------------------- */

RookCharsets *
rook_charsets_new (void)
{
  RookCharsets *charsets = g_new (RookCharsets, 1);

  for (guint i = 0; i < ROOK_MAX_CHARSETS; i++)
    charsets->idle[i] = NONE;
  return charsets;
}

void
rook_charsets_free (RookCharsets *charsets)
{
  for (guint i = 0; i < ROOK_MAX_CHARSETS; i++)
    if (charsets->idle[i] != NONE)
      g_iconv_close (charsets->idle[i]);
  g_free (charsets);
}

/* NONE: this C library does not have it. */
static GIConv
take_descriptor (RookCharsets *charsets, const RookCharset *charset)
{
  GIConv *slot = &charsets->idle[rook_charset_index (charset)];
  GIConv taken = *slot;

  *slot = NONE;
  return taken != NONE ? taken : g_iconv_open ("UTF-8", charset->iconv);
}

static void
give_descriptor (RookCharsets *charsets, const RookCharset *charset, GIConv descriptor)
{
  GIConv *slot = &charsets->idle[rook_charset_index (charset)];

  g_iconv (descriptor, NULL, NULL, NULL, NULL);
  if (*slot == NONE)
    *slot = descriptor;
  else
    g_iconv_close (descriptor);
}

RookConverter *
rook_converter_new_for (RookCharsets *charsets, const RookCharset *charset)
{
  RookConverter *converter = g_new (RookConverter, 1);

  converter->charsets = charsets;
  converter->charset = charset;
  converter->how = charset != NULL ? charset->how : ROOK_CHARSET_GUESS;
  converter->descriptor = NONE;
  converter->utf7 = (RookUtf7){ .shifted = FALSE };
  converter->n_waiting = 0;
  if (converter->how == ROOK_CHARSET_ICONV)
    {
      converter->descriptor = take_descriptor (charsets, charset);
      if (converter->descriptor == NONE)
        converter->how = ROOK_CHARSET_GUESS;
    }
  return converter;
}

RookConverter *
rook_converter_new (RookCharsets *charsets, const char *charset)
{
  g_return_val_if_fail (charsets != NULL, NULL);
  return rook_converter_new_for (charsets, charset != NULL ? rook_charset_find (charset, strlen (charset)) : NULL);
}

void
rook_converter_free (RookConverter *converter)
{
  if (converter->descriptor != NONE)
    give_descriptor (converter->charsets, converter->charset, converter->descriptor);
  g_free (converter);
}

/* --- by ourselves ------------------------------------------------------------------------------------------------- */

static void
append_windows_1252 (GString *out, guchar c)
{
  /* 0x80 to 0x9f; 0: none */
  static const guint16 upper[32] = {
    0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017d, 0,      0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178,
  };
  gunichar wide = c >= 0x80 && c < 0xa0 ? upper[c - 0x80] : c;

  if (c < 0x80)
    g_string_append_c (out, (char) c);
  else
    g_string_append_unichar (out, wide != 0 ? wide : 0xfffd);
}

/* These three return how much was read: what is left may be the beginning of a character, and with @final nothing is. */
static gsize
convert_windows_1252 (const char *data, gsize length, GString *out)
{
  for (gsize i = 0; i < length; i++)
    if (data[i] != '\0')
      append_windows_1252 (out, (guchar) data[i]);
  return length;
}

static gsize
convert_utf8 (const char *data, gsize length, gboolean final, gboolean guess, GString *out)
{
  const char *at = data, *end = data + length, *good;

  while (at < end)
    {
      g_utf8_validate_len (at, (gsize) (end - at), &good);
      g_string_append_len (out, at, good - at);
      at = good;
      if (at == end)
        break;
      /* A beginning that the end cuts off. */
      if (!final && end - at < (gssize) g_utf8_skip[(guchar) *at]
          && g_utf8_get_char_validated (at, end - at) == (gunichar) -2)
        break;
      if (*at != '\0' && guess)
        append_windows_1252 (out, (guchar) *at);
      else if (*at != '\0')
        g_string_append (out, REPLACEMENT);
      at++;
    }
  return (gsize) (at - data);
}

/* --- by iconv ----------------------------------------------------------------------------------------------------- */

static void
append_without_nul (GString *out, const char *text, gsize length)
{
  const char *end = text + length, *nul;

  while ((nul = memchr (text, '\0', (gsize) (end - text))) != NULL)
    {
      g_string_append_len (out, text, nul - text);
      text = nul + 1;
    }
  g_string_append_len (out, text, end - text);
}

static gsize
convert_iconv (RookConverter *converter, const char *data, gsize length, gboolean final, GString *out)
{
  gsize unit = MAX (converter->charset->unit, 1), left = length;
  char *in = (char *) data;

  while (left > 0)
    {
      char buffer[4096], *to = buffer;
      gsize room = sizeof buffer, before = left, done;
      int error;

      done = g_iconv (converter->descriptor, &in, &left, &to, &room);
      error = done == (gsize) -1 ? errno : 0;
      append_without_nul (out, buffer, (gsize) (to - buffer));
      if (error == EINVAL && !final && left <= MAX_WAITING)
        break;
      if (error == EILSEQ || error == EINVAL || (left == before && to == buffer))
        {
          gsize skip = MIN (unit, left);

          g_string_append (out, REPLACEMENT);
          in += skip;
          left -= skip;
        }
    }
  return length - left;
}

static void
flush_iconv (RookConverter *converter, GString *out)
{
  char buffer[256], *to = buffer;
  gsize room = sizeof buffer;

  g_iconv (converter->descriptor, NULL, NULL, &to, &room);
  append_without_nul (out, buffer, (gsize) (to - buffer));
}

/* --- pieces ------------------------------------------------------------------------------------------------------- */

static gsize
convert (RookConverter *converter, const char *data, gsize length, gboolean final, GString *out)
{
  switch (converter->how)
    {
    case ROOK_CHARSET_WINDOWS_1252:
      return convert_windows_1252 (data, length, out);
    case ROOK_CHARSET_ICONV:
      return convert_iconv (converter, data, length, final, out);
    case ROOK_CHARSET_UTF7:
      rook_utf7_feed (&converter->utf7, data, length, out);
      return length;
    case ROOK_CHARSET_UTF8:
    case ROOK_CHARSET_GUESS:
      break;
    }
  return convert_utf8 (data, length, final, converter->how == ROOK_CHARSET_GUESS, out);
}

/* What waits is tried with some of what came, until it waits no longer. Returns how much of @data that took. */
static gsize
feed_waiting (RookConverter *converter, const char *data, gsize length, GString *out)
{
  gsize taken = 0;

  while (converter->n_waiting > 0 && taken < length)
    {
      gsize had = converter->n_waiting, more = MIN (length - taken, sizeof converter->waiting - had), used;

      memcpy (converter->waiting + had, data + taken, more);
      used = convert (converter, converter->waiting, had + more, FALSE, out);
      if (used >= had)
        {
          converter->n_waiting = 0;
          taken += used - had;
        }
      else
        {
          converter->n_waiting = had + more - used;
          memmove (converter->waiting, converter->waiting + used, converter->n_waiting);
          taken += more;
        }
    }
  return taken;
}

void
rook_converter_feed (RookConverter *converter, const char *data, gsize length, GString *out)
{
  gsize done = feed_waiting (converter, data, length, out);

  if (done == length)
    return;
  done += convert (converter, data + done, length - done, FALSE, out);
  g_assert (length - done <= MAX_WAITING);
  memcpy (converter->waiting, data + done, length - done);
  converter->n_waiting = length - done;
}

void
rook_converter_finish (RookConverter *converter, GString *out)
{
  convert (converter, converter->waiting, converter->n_waiting, TRUE, out);
  converter->n_waiting = 0;
  rook_utf7_finish (&converter->utf7, out);
  if (converter->how == ROOK_CHARSET_ICONV)
    flush_iconv (converter, out);
}

char *
rook_charset_to_utf8 (RookCharsets *charsets, const char *charset, const char *data, gsize length)
{
  g_autoptr (RookConverter) converter = rook_converter_new (charsets, charset);
  GString *out = g_string_sized_new (length);

  rook_converter_feed (converter, data, length, out);
  rook_converter_finish (converter, out);
  return g_string_free (out, FALSE);
}
