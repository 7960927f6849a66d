/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Header fields as people read them: encoded words (RFC 2047), also where they may not stand but do.
 *
 * One pass; where the next "?=" is, is looked for once, so that beginnings without an end cost nothing. Words that follow
 * each other in one charset are one text, since many mailers cut characters in two.
 */
#include <string.h>

#include "mime/mime-text-private.h"

typedef struct {
  const RookCharset *charset; /* (nullable) */
  gboolean base64;
  RookSpan text;
  gsize end; /* behind "?=" */
} Word;

typedef struct {
  RookCharsets *charsets;
  RookSpan value;
  GString *out;
  gsize plain;              /* where what was not written yet begins */
  gsize closing;            /* where the first "?=" from here on is; the length: none */
  RookConverter *converter; /* (owned) (nullable) of the words that have just been read */
  const RookCharset *charset;
  GString *scratch;
} Reader;

/* --- one word ------------------------------------------------------------------------------------------------------- */

static gsize
find_closing (Reader *r, gsize from)
{
  const char *found;

  if (r->closing < from)
    {
      found = memmem (r->value.data + from, r->value.length - from, "?=", 2);
      r->closing = found != NULL ? (gsize) (found - r->value.data) : r->value.length;
    }
  return r->closing;
}

/* Of "charset" or "charset*language" at @start the end: where a "?" stands. 0: that is neither. */
static gsize
charset_end (RookSpan value, gsize start)
{
  gsize i = start;

  while (i < value.length && i - start <= 2 * ROOK_MAX_CHARSET_NAME && value.data[i] != '?')
    {
      if ((guchar) value.data[i] <= ' ' || (guchar) value.data[i] >= 0x7f)
        return 0;
      i++;
    }
  return i > start && i < value.length && value.data[i] == '?' ? i : 0;
}

/* "=?charset?B?text?=" at @start. */
static gboolean
read_word (Reader *r, gsize start, Word *out)
{
  RookSpan value = r->value;
  gsize name, name_end, text, closing;
  char encoding;

  if (value.length - start < 2 || value.data[start + 1] != '?')
    return FALSE;
  name = start + 2;
  name_end = charset_end (value, name);
  if (name_end == 0 || value.length - name_end < 3 || value.data[name_end + 2] != '?')
    return FALSE;
  encoding = g_ascii_toupper (value.data[name_end + 1]);
  text = name_end + 3;
  if ((encoding != 'B' && encoding != 'Q') || (closing = find_closing (r, text)) == value.length)
    return FALSE;
  for (gsize i = name; i < name_end; i++)
    if (value.data[i] == '*')
      name_end = i;
  out->charset = rook_charset_find (value.data + name, name_end - name);
  out->base64 = encoding == 'B';
  out->text = rook_span (value, text, closing - text);
  out->end = closing + 2;
  return TRUE;
}

static void
decode_q (RookSpan text, GString *out)
{
  for (gsize i = 0; i < text.length; i++)
    {
      char c = text.data[i];

      if (c == '_')
        c = ' ';
      else if (c == '=' && i + 2 < text.length && g_ascii_isxdigit (text.data[i + 1])
               && g_ascii_isxdigit (text.data[i + 2]))
        {
          c = (char) (g_ascii_xdigit_value (text.data[i + 1]) * 16 + g_ascii_xdigit_value (text.data[i + 2]));
          i += 2;
        }
      g_string_append_c (out, c);
    }
}

static void
decode_b (RookSpan text, GString *out)
{
  g_autoptr (RookTransfer) transfer = rook_transfer_new ("base64");

  rook_transfer_feed (transfer, text.data, text.length, out);
}

/* --- words and what is between them --------------------------------------------------------------------------------- */

static void
end_words (Reader *r)
{
  if (r->converter == NULL)
    return;
  rook_converter_finish (r->converter, r->out);
  g_clear_pointer (&r->converter, rook_converter_free);
}

static gboolean
is_blank (RookSpan text)
{
  for (gsize i = 0; i < text.length; i++)
    if (!rook_is_space (text.data[i]))
      return FALSE;
  return TRUE;
}

/* Writes what stands before @end and is no encoded word. */
static void
write_plain (Reader *r, gsize end)
{
  g_autoptr (RookConverter) guess = NULL;

  end_words (r);
  if (end == r->plain)
    return;
  guess = rook_converter_new_for (r->charsets, NULL);
  rook_converter_feed (guess, r->value.data + r->plain, end - r->plain, r->out);
  rook_converter_finish (guess, r->out);
}

static void
write_word (Reader *r, gsize start, const Word *word)
{
  if (r->converter == NULL || !is_blank (rook_span (r->value, r->plain, start - r->plain)))
    write_plain (r, start);
  else if (word->charset != r->charset || (word->charset != NULL && word->charset->stateful))
    end_words (r);
  if (r->converter == NULL)
    r->converter = rook_converter_new_for (r->charsets, word->charset);
  r->charset = word->charset;
  g_string_truncate (r->scratch, 0);
  if (word->base64)
    decode_b (word->text, r->scratch);
  else
    decode_q (word->text, r->scratch);
  rook_converter_feed (r->converter, r->scratch->str, r->scratch->len, r->out);
  r->plain = word->end;
}

char *
rook_text_to_line (GString *text)
{
  for (gsize i = 0; i < text->len; i++)
    if (text->str[i] == '\r' || text->str[i] == '\n')
      text->str[i] = ' ';
  return g_string_free (text, FALSE);
}

char *
rook_mime_decode_header (RookCharsets *charsets, const char *value, gsize length)
{
  g_autofree char *unfolded = rook_field_unfold ((RookSpan){ value, length });
  Reader r = { .charsets = charsets, .value = { unfolded, strlen (unfolded) } };
  const char *at = unfolded, *end = unfolded + r.value.length;
  Word word;

  g_return_val_if_fail (charsets != NULL, NULL);
  r.out = g_string_sized_new (r.value.length);
  r.scratch = g_string_new (NULL);
  while ((at = memchr (at, '=', (gsize) (end - at))) != NULL)
    {
      gsize start = (gsize) (at - unfolded);

      if (read_word (&r, start, &word))
        {
          write_word (&r, start, &word);
          at = unfolded + word.end;
        }
      else
        at++;
    }
  write_plain (&r, r.value.length);
  g_string_free (r.scratch, TRUE);
  return rook_text_to_line (r.out);
}
