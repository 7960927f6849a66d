/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Transfer encodings undone (RFC 2045 6), in pieces: what can't be decided yet waits, and that is bounded.
 *
 * uuencode and other private encodings are left as they are: no text part that people search is in one.
 */
#include <string.h>

#include "mime/mime-text-private.h"

#define MAX_WAITING 1000 /* of white space that may be at the end of a line; RFC 2045 allows lines of 76 */

typedef enum { IDENTITY, BASE64, QUOTED_PRINTABLE } Encoding;

struct RookTransfer {
  Encoding encoding;
  guint32 bits; /* base64: of the four characters that make three bytes */
  guint n_bits;
  char waiting[MAX_WAITING]; /* quoted-printable: white space, or "=" and what may belong to it */
  gsize n_waiting;
};

RookTransfer *
rook_transfer_new (const char *encoding)
{
  RookTransfer *transfer = g_new (RookTransfer, 1);

  transfer->encoding = IDENTITY;
  transfer->bits = transfer->n_bits = 0;
  transfer->n_waiting = 0;
  if (encoding != NULL && g_ascii_strcasecmp (encoding, "base64") == 0)
    transfer->encoding = BASE64;
  else if (encoding != NULL && g_ascii_strcasecmp (encoding, "quoted-printable") == 0)
    transfer->encoding = QUOTED_PRINTABLE;
  return transfer;
}

void
rook_transfer_free (RookTransfer *transfer)
{
  g_free (transfer);
}

/* --- base64 ------------------------------------------------------------------------------------------------------- */

gint
rook_base64_value (guchar c)
{
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static void
feed_base64 (RookTransfer *transfer, const char *data, gsize length, GString *out)
{
  for (gsize i = 0; i < length; i++)
    {
      gint value = rook_base64_value ((guchar) data[i]);

      if (data[i] == '=') /* what the last four were short of; more may follow */
        transfer->n_bits = 0;
      if (value < 0)
        continue;
      transfer->bits = transfer->bits << 6 | (guint32) value;
      transfer->n_bits += 6;
      if (transfer->n_bits >= 8)
        {
          transfer->n_bits -= 8;
          g_string_append_c (out, (char) (transfer->bits >> transfer->n_bits & 0xff));
        }
    }
}

/* --- quoted-printable ----------------------------------------------------------------------------------------------- */

static void
release (RookTransfer *transfer, GString *out)
{
  g_string_append_len (out, transfer->waiting, (gssize) transfer->n_waiting);
  transfer->n_waiting = 0;
}

static void
hold (RookTransfer *transfer, char c, GString *out)
{
  if (transfer->n_waiting == sizeof transfer->waiting)
    release (transfer, out);
  transfer->waiting[transfer->n_waiting++] = c;
}

/* What may be at the end of a line. */
static gboolean
is_blank (char c)
{
  return c == ' ' || c == '\t' || c == '\r';
}

/* Behind "=", and perhaps more. %FALSE: @c does not belong to that. */
static gboolean
feed_escape (RookTransfer *transfer, char c, GString *out)
{
  char last = transfer->waiting[transfer->n_waiting - 1];

  if (g_ascii_isxdigit (last))
    {
      if (!g_ascii_isxdigit (c))
        return FALSE;
      g_string_append_c (out, (char) (g_ascii_xdigit_value (last) * 16 + g_ascii_xdigit_value (c)));
      transfer->n_waiting = 0;
    }
  else if (c == '\n')
    transfer->n_waiting = 0; /* a soft line break */
  else if (last == '=' ? g_ascii_isxdigit (c) || is_blank (c) : last != '\r' && is_blank (c))
    hold (transfer, c, out);
  else
    return FALSE;
  return TRUE;
}

static void
feed_plain (RookTransfer *transfer, char c, GString *out)
{
  gboolean line_end = transfer->n_waiting > 0 && transfer->waiting[transfer->n_waiting - 1] == '\r';

  if (c == '\n')
    {
      transfer->n_waiting = 0; /* white space at the end of a line was added on the way */
      g_string_append (out, line_end ? "\r\n" : "\n");
      return;
    }
  if (line_end || !is_blank (c))
    release (transfer, out);
  if (is_blank (c) || c == '=')
    hold (transfer, c, out);
  else
    g_string_append_c (out, c);
}

static void
feed_quoted_printable (RookTransfer *transfer, const char *data, gsize length, GString *out)
{
  for (gsize i = 0; i < length; i++)
    {
      if (transfer->n_waiting > 0 && transfer->waiting[0] == '=')
        {
          if (feed_escape (transfer, data[i], out))
            continue;
          release (transfer, out);
        }
      feed_plain (transfer, data[i], out);
    }
}

/* ------------------------------------------------------------------------------------------------------------------ */

void
rook_transfer_feed (RookTransfer *transfer, const char *data, gsize length, GString *out)
{
  if (transfer->encoding == BASE64)
    feed_base64 (transfer, data, length, out);
  else if (transfer->encoding == QUOTED_PRINTABLE)
    feed_quoted_printable (transfer, data, length, out);
  else
    g_string_append_len (out, data, (gssize) length);
}

void
rook_transfer_finish (RookTransfer *transfer, GString *out)
{
  if (transfer->n_waiting > 0 && g_ascii_isxdigit (transfer->waiting[transfer->n_waiting - 1]))
    release (transfer, out); /* half of an escape; else white space at the end of a line, or a soft line break */
  transfer->n_waiting = 0;
  transfer->bits = transfer->n_bits = 0;
}
