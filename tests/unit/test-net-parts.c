/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parts of the network service that know no sockets: reader, output queue, filters, PROXY headers, addresses, limits.
 */
#include <string.h>

#include "net/address.h"
#include "net/filter.h"
#include "net/input.h"
#include "net/limits.h"
#include "net/output.h"
#include "net/proxy.h"

/* --- the reader ------------------------------------------------------------------------------------------------------------ */

/* Runs @text through a reader in pieces of @cut bytes and writes down what it gives: lines as [text/flags], data as
 * (text), its last piece with a bar. */
static char *
read_all (RookInputMode mode, guint64 length, gsize limit, const char *text, gsize total, gsize cut)
{
  GString *out = g_string_new (NULL);
  RookInput input;

  rook_input_init (&input, limit);
  rook_input_set_mode (&input, mode, length);
  for (gsize offset = 0; offset < total; offset += cut)
    {
      gsize n = MIN (cut, total - offset);
      g_autofree guint8 *window = g_memdup2 (text + offset, n);
      RookInputItem item;

      rook_input_attach (&input, window, n);
      while (rook_input_next (&input, &item))
        {
          if (item.is_line)
            {
              g_assert_cmpuint (item.data[item.length], ==, '\0');
              g_string_append_c (out, '[');
              g_string_append_len (out, (char *) item.data, item.length);
              g_string_append_printf (out, "/%u]", item.flags);
              continue;
            }
          g_string_append_len (out, (char *) item.data, item.length);
          if (item.last)
            g_string_append_c (out, '|');
        }
      rook_input_detach (&input);
    }
  rook_input_clear (&input);
  return g_string_free (out, FALSE);
}

#define CHECK(mode, length, limit, text, expected)                                         \
  for (gsize cut = 1; cut <= sizeof (text); cut++)                                         \
    {                                                                                      \
      g_autofree char *got = read_all (mode, length, limit, text, sizeof (text) - 1, cut); \
      g_assert_cmpstr (got, ==, expected);                                                 \
    }

static void
test_lines (void)
{
  CHECK (ROOK_INPUT_LINE, 0, 100, "one\r\n\r\ntwo words\r\nrest", "[one/0][/0][two words/0]");
}

static void
test_bare_ends (void)
{
  CHECK (ROOK_INPUT_LINE, 0, 100, "a\nb\r\r\nc\rd\r\n\n", "[a/1][b\r/2][c\rd/2][/1]");
}

static void
test_eight_bit (void)
{
  CHECK (ROOK_INPUT_LINE, 0, 100, "\xc3\xa9\r\nb\r\n", "[\xc3\xa9/16][b/0]");
}

static void
test_nul (void)
{
  static const char text[] = "a\0b\r\n";
  RookInputItem item;
  RookInput input;
  char copy[sizeof text];

  memcpy (copy, text, sizeof text);
  rook_input_init (&input, 100);
  rook_input_attach (&input, (guint8 *) copy, sizeof text - 1);
  g_assert_true (rook_input_next (&input, &item));
  g_assert_cmpmem (item.data, item.length, "a\0b", 3);
  g_assert_cmpuint (item.flags, ==, ROOK_LINE_NUL);
  rook_input_detach (&input);
  rook_input_clear (&input);
}

static void
test_too_long (void)
{
  CHECK (ROOK_INPUT_LINE, 0, 4, "1234\r\n12345\r\n123456789\r\n1234\n12345\nok\r\n",
         "[1234/0][1234/8][1234/8][1234/1][1234/9][ok/0]");
}

static void
test_endless_line_is_bounded (void)
{
  static char block[1000];
  RookInputItem item;
  RookInput input;

  memset (block, 'x', sizeof block);
  rook_input_init (&input, 512);
  for (guint i = 0; i < 1000; i++)
    {
      rook_input_attach (&input, (guint8 *) block, sizeof block);
      g_assert_false (rook_input_next (&input, &item));
      rook_input_detach (&input);
      g_assert_cmpuint (rook_input_get_held (&input), <=, 514);
    }
  block[0] = '\n';
  rook_input_attach (&input, (guint8 *) block, 1);
  g_assert_true (rook_input_next (&input, &item));
  g_assert_cmpuint (item.length, ==, 512);
  g_assert_cmpuint (item.flags, ==, ROOK_LINE_TOO_LONG | ROOK_LINE_BARE_LF);
  rook_input_detach (&input);
  g_assert_cmpuint (rook_input_get_held (&input), ==, 0);
  rook_input_clear (&input);
}

static void
test_literal (void)
{
  CHECK (ROOK_INPUT_LITERAL, 5, 100, "a\r\n\nbnext\r\n", "a\r\n\nb|[next/0]");
  CHECK (ROOK_INPUT_LITERAL, 0, 100, "next\r\n", "|[next/0]");
}

static void
test_dot (void)
{
  CHECK (ROOK_INPUT_DOT, 0, 100, "one\r\n..two\r\n.three\r\n\r\n.\r\nQUIT\r\n",
         "one\r\n.two\r\nthree\r\n\r\n|[QUIT/0]");
  CHECK (ROOK_INPUT_DOT, 0, 100, ".\r\nQUIT\r\n", "|[QUIT/0]");
}

/* Smuggling: nothing but CRLF "." CRLF ends the text. */
static void
test_dot_ends_by_crlf_only (void)
{
  CHECK (ROOK_INPUT_DOT, 0, 100, "a\n.\nb\n.\r\nc\r\n.\nd\r\n.\rX\r\n.\r\n", "a\n.\nb\n.\r\nc\r\n\nd\r\n\rX\r\n|");
  CHECK (ROOK_INPUT_DOT, 0, 100, "a\r.\r\nb\r\r\n.\r\n", "a\r.\r\nb\r\r\n|");
  CHECK (ROOK_INPUT_DOT, 0, 100, "\r\n.\r\r\n.\r\n", "\r\n\r\r\n|");
}

static void
test_raw (void)
{
  CHECK (ROOK_INPUT_RAW, 0, 100, "any\nthing\r\n.\r\n", "any\nthing\r\n.\r\n");
}

static void
test_rest_is_kept_and_stolen (void)
{
  char text[] = "one\r\ntwo\r\nthr";
  g_autoptr (GBytes) rest = NULL;
  RookInputItem item;
  RookInput input;

  rook_input_init (&input, 100);
  rook_input_attach (&input, (guint8 *) text, sizeof text - 1);
  g_assert_true (rook_input_next (&input, &item));
  rook_input_detach (&input); /* paused */
  memset (text, 'X', sizeof text);
  g_assert_cmpuint (rook_input_get_held (&input), ==, 8);
  g_assert_true (rook_input_next (&input, &item));
  g_assert_cmpstr ((char *) item.data, ==, "two");
  rest = rook_input_steal_rest (&input);
  g_assert_cmpmem (g_bytes_get_data (rest, NULL), g_bytes_get_size (rest), "thr", 3);
  rook_input_detach (&input);
  g_assert_cmpuint (rook_input_get_held (&input), ==, 0);
  rook_input_clear (&input);
}

static void
test_discard_forgets_all (void)
{
  char text[] = "one\r\ntwo\r\nthr";
  RookInputItem item;
  RookInput input;

  rook_input_init (&input, 100);
  rook_input_attach (&input, (guint8 *) text, sizeof text - 1);
  g_assert_true (rook_input_next (&input, &item));
  rook_input_discard (&input);
  g_assert_false (rook_input_next (&input, &item));
  rook_input_detach (&input);
  g_assert_cmpuint (rook_input_get_held (&input), ==, 0);
  rook_input_clear (&input);
}

/* --- the output queue ------------------------------------------------------------------------------------------------------ */

static void
test_output_gathers (void)
{
  RookOutput output = { 0 };
  struct iovec iov[4];

  for (guint i = 0; i < 10; i++)
    rook_output_write (&output, "0123456789", 10);
  g_assert_cmpint (rook_output_peek (&output, iov, 4), ==, 1);
  g_assert_cmpuint (iov[0].iov_len, ==, 100);
  rook_output_consume (&output, 95);
  g_assert_cmpuint (output.pending, ==, 5);
  g_assert_cmpint (rook_output_peek (&output, iov, 4), ==, 1);
  g_assert_cmpmem (iov[0].iov_base, iov[0].iov_len, "56789", 5);
  rook_output_consume (&output, 5);
  g_assert_null (output.head);
  g_assert_cmpint (rook_output_peek (&output, iov, 4), ==, 0);
}

static void
test_output_references_large_bytes (void)
{
  g_autofree guint8 *data = g_malloc0 (100000);
  g_autoptr (GBytes) bytes = g_bytes_new_static (data, 100000);
  RookOutput output = { 0 };
  struct iovec iov[4];

  rook_output_write (&output, "a", 1);
  rook_output_write_bytes (&output, bytes);
  rook_output_write (&output, "b", 1);
  g_assert_cmpint (rook_output_peek (&output, iov, 4), ==, 3);
  g_assert_true (iov[1].iov_base == data);
  g_assert_cmpuint (output.pending, ==, 100002);
  rook_output_clear (&output);
  g_assert_cmpuint (output.pending, ==, 0);
}

static void
test_output_marks (void)
{
  RookOutput output = { 0 };
  struct iovec iov[4];
  int mark;

  rook_output_write (&output, "a", 1);
  rook_output_mark (&output, &mark);
  rook_output_write (&output, "b", 1);
  g_assert_null (rook_output_take_mark (&output));
  g_assert_cmpint (rook_output_peek (&output, iov, 4), ==, 1);
  rook_output_consume (&output, 1);
  g_assert_cmpint (rook_output_peek (&output, iov, 4), ==, 0);
  g_assert_true (rook_output_take_mark (&output) == &mark);
  g_assert_cmpint (rook_output_peek (&output, iov, 4), ==, 1);
  rook_output_clear (&output);
}

/* --- filters, over a pipe in memory ------------------------------------------------------------------------------------------ */

typedef struct {
  RookFilter filter;
  GByteArray *in, *out; /* (owned) what can be read, what was written */
  gsize room;           /* how much more is taken */
  gsize at_once;
  gboolean end;
} Memory;

static RookFilterResult
memory_read (RookFilter *filter, guint8 *buffer, gsize size, gsize *out_length, GError **error G_GNUC_UNUSED)
{
  Memory *self = (Memory *) filter;
  gsize n = MIN (MIN (size, self->in->len), self->at_once);

  if (n == 0)
    return self->end ? ROOK_FILTER_EOF : ROOK_FILTER_AGAIN;
  memcpy (buffer, self->in->data, n);
  g_byte_array_remove_range (self->in, 0, n);
  *out_length = n;
  return ROOK_FILTER_OK;
}

static RookFilterResult
memory_write (RookFilter *filter, const struct iovec *iov, int n G_GNUC_UNUSED, gsize *out_length,
              GError **error G_GNUC_UNUSED)
{
  Memory *self = (Memory *) filter;
  gsize take = MIN (iov[0].iov_len, self->room);

  if (take == 0)
    return ROOK_FILTER_AGAIN;
  g_byte_array_append (self->out, iov[0].iov_base, take);
  self->room -= take;
  *out_length = take;
  return ROOK_FILTER_OK;
}

static RookFilterResult
memory_flush (RookFilter *filter G_GNUC_UNUSED, GError **error G_GNUC_UNUSED)
{
  return ROOK_FILTER_OK;
}

static const RookFilterClass memory_class = { "memory", memory_read, memory_write, memory_flush, NULL, NULL };

static void
memory_init (Memory *self)
{
  *self = (Memory){ .filter.class = &memory_class, .room = G_MAXSIZE, .at_once = G_MAXSIZE };
  self->in = g_byte_array_new ();
  self->out = g_byte_array_new ();
}

static void
memory_clear (Memory *self)
{
  g_byte_array_unref (self->in);
  g_byte_array_unref (self->out);
}

static void
write_all (RookFilter *filter, Memory *memory, const guint8 *data, gsize length)
{
  RookFilterResult result;

  while (length > 0)
    {
      struct iovec iov = { (void *) data, length };
      gsize n;

      result = rook_filter_write (filter, &iov, 1, &n, NULL);
      g_assert_cmpint (result, !=, ROOK_FILTER_ERROR);
      if (result == ROOK_FILTER_AGAIN)
        {
          memory->room = 1000; /* the peer has read a little */
          continue;
        }
      data += n;
      length -= n;
    }
  while ((result = rook_filter_flush (filter, NULL)) == ROOK_FILTER_AGAIN)
    memory->room = 1000;
  g_assert_cmpint (result, ==, ROOK_FILTER_OK);
}

static GByteArray *
read_back (RookFilter *filter)
{
  GByteArray *all = g_byte_array_new ();
  guint8 room[777];
  gsize n;

  while (rook_filter_read (filter, room, sizeof room, &n, NULL) == ROOK_FILTER_OK)
    {
      g_assert_cmpuint (n, >, 0);
      g_byte_array_append (all, room, n);
    }
  return all;
}

static GBytes *
make_text (gsize length)
{
  guint8 *data = g_malloc (length);

  for (gsize i = 0; i < length; i++)
    data[i] = i % 7 == 0 ? g_test_rand_int () : "mail "[i % 5];
  return g_bytes_new_take (data, length);
}

static void
test_deflate_round_trip (void)
{
  g_autoptr (GBytes) text = make_text (300000);
  g_autoptr (GByteArray) got = NULL;
  Memory sender, receiver;
  RookFilter *out, *in;

  memory_init (&sender);
  memory_init (&receiver);
  sender.room = 0; /* a slow reader from the beginning */
  out = rook_deflate_filter_new (&sender.filter, g_bytes_new (NULL, 0));
  write_all (out, &sender, g_bytes_get_data (text, NULL), g_bytes_get_size (text));
  g_assert_cmpuint (sender.out->len, <, 200000);

  receiver.at_once = 100;
  g_byte_array_append (receiver.in, sender.out->data + 10, sender.out->len - 10);
  in = rook_deflate_filter_new (&receiver.filter, g_bytes_new (sender.out->data, 10)); /* some came early */
  got = read_back (in);
  g_assert_cmpmem (got->data, got->len, g_bytes_get_data (text, NULL), g_bytes_get_size (text));
  out->class->free (out);
  in->class->free (in);
  memory_clear (&sender);
  memory_clear (&receiver);
}

/* 100 MB of zeros in 100 KB: each read expands no further than its room, and leaves the rest below. */
static void
test_deflate_bomb_is_bounded (void)
{
  static guint8 zeros[1000000];
  Memory memory;
  RookFilter *filter;
  guint8 room[4096];
  gsize n, bomb;

  memory_init (&memory);
  filter = rook_deflate_filter_new (&memory.filter, g_bytes_new (NULL, 0));
  for (guint i = 0; i < 100; i++)
    write_all (filter, &memory, zeros, sizeof zeros);
  g_byte_array_append (memory.in, memory.out->data, memory.out->len);
  bomb = memory.in->len;
  g_assert_cmpuint (bomb, <, 400000);
  g_assert_cmpint (rook_filter_read (filter, room, sizeof room, &n, NULL), ==, ROOK_FILTER_OK);
  g_assert_cmpuint (n, ==, sizeof room);
  g_assert_cmpuint (memory.in->len, >=, bomb - 8192);
  filter->class->free (filter);
  memory_clear (&memory);
}

static void
test_deflate_rejects_garbage (void)
{
  g_autoptr (GError) error = NULL;
  Memory memory;
  RookFilter *filter;
  guint8 room[100];
  gsize n;

  memory_init (&memory);
  filter = rook_deflate_filter_new (&memory.filter, g_bytes_new ("\xff\xff\xff\xff\xff", 5));
  g_assert_cmpint (rook_filter_read (filter, room, sizeof room, &n, &error), ==, ROOK_FILTER_ERROR);
  g_assert_error (error, ROOK_NET_ERROR, ROOK_NET_ERROR_FILTER);
  filter->class->free (filter);
  memory_clear (&memory);
}

/* A layer that turns every byte round and sends it twice. */
static gboolean
toy_encode (gpointer data G_GNUC_UNUSED, const guint8 *in, gsize length, GByteArray *out, GError **error G_GNUC_UNUSED)
{
  for (gsize i = 0; i < length; i++)
    {
      guint8 pair[2] = { ~in[i], ~in[i] };

      g_byte_array_append (out, pair, 2);
    }
  return TRUE;
}

static gboolean
toy_decode (gpointer data, const guint8 *in, gsize length, GByteArray *out, GError **error)
{
  guint *half = data; /* 256: none */

  for (gsize i = 0; i < length; i++)
    {
      guint8 byte = ~in[i];

      if (*half == 256)
        {
          *half = in[i];
          continue;
        }
      if (*half != in[i])
        {
          g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_PROTOCOL, "the two differ");
          return FALSE;
        }
      *half = 256;
      g_byte_array_append (out, &byte, 1);
    }
  return TRUE;
}

static RookFilter *
toy_filter (Memory *memory, GBytes *received)
{
  guint *half = g_new (guint, 1);
  const RookSaslLayer layer = { toy_encode, toy_decode, half, g_free };

  *half = 256;
  return rook_sasl_filter_new (&memory->filter, &layer, received);
}

static void
test_sasl_round_trip (void)
{
  g_autoptr (GBytes) text = make_text (100000);
  g_autoptr (GByteArray) got = NULL;
  Memory memory;
  RookFilter *filter;

  memory_init (&memory);
  memory.room = 0;
  filter = toy_filter (&memory, g_bytes_new (NULL, 0));
  write_all (filter, &memory, g_bytes_get_data (text, NULL), g_bytes_get_size (text));
  filter->class->free (filter);
  g_assert_cmpuint (memory.out->len, ==, 200000);
  g_byte_array_append (memory.in, memory.out->data + 3, memory.out->len - 3);
  memory.at_once = 1001;
  filter = toy_filter (&memory, g_bytes_new (memory.out->data, 3));
  got = read_back (filter);
  g_assert_cmpmem (got->data, got->len, g_bytes_get_data (text, NULL), g_bytes_get_size (text));
  filter->class->free (filter);
  memory_clear (&memory);
}

static void
test_sasl_forged_frame_ends_it (void)
{
  g_autoptr (GError) error = NULL;
  Memory memory;
  RookFilter *filter;
  guint8 room[10];
  gsize n;

  memory_init (&memory);
  filter = toy_filter (&memory, g_bytes_new ("ab", 2));
  g_assert_cmpint (rook_filter_read (filter, room, sizeof room, &n, &error), ==, ROOK_FILTER_ERROR);
  g_assert_error (error, ROOK_NET_ERROR, ROOK_NET_ERROR_FILTER);
  filter->class->free (filter);
  memory_clear (&memory);
}

/* --- PROXY ------------------------------------------------------------------------------------------------------------------- */

#define V2 "\r\n\r\n\0\r\nQUIT\n"

static void
check_proxy (const char *data, gsize length, RookProxyResult expected, const char *peer, guint port)
{
  RookAddress from, to;
  gsize used = 0;

  g_assert_cmpint (rook_proxy_parse ((const guint8 *) data, length, &used, &from, &to), ==, expected);
  if (expected == ROOK_PROXY_FOUND)
    {
      g_assert_cmpstr (from.text, ==, peer);
      g_assert_cmpuint (from.port, ==, port);
    }
  if (expected == ROOK_PROXY_FOUND || expected == ROOK_PROXY_LOCAL)
    for (gsize n = 0; n < used; n++) /* every beginning of it asks for more */
      g_assert_cmpint (rook_proxy_parse ((const guint8 *) data, n, &used, &from, &to), ==, ROOK_PROXY_MORE);
}

#define PROXY(text, result, peer, port) check_proxy (text, sizeof (text) - 1, result, peer, port)

static void
test_proxy_v1 (void)
{
  PROXY ("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nNEXT", ROOK_PROXY_FOUND, "192.0.2.1", 56324);
  PROXY ("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", ROOK_PROXY_FOUND, "2001:db8::1", 1);
  PROXY ("PROXY UNKNOWN\r\n", ROOK_PROXY_LOCAL, NULL, 0);
  PROXY ("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", ROOK_PROXY_LOCAL, NULL, 0);
  PROXY ("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\n", ROOK_PROXY_BAD, NULL, 0);
  PROXY ("PROXY TCP4 192.0.2.1 198.51.100.2 56324 65536\r\n", ROOK_PROXY_BAD, NULL, 0);
  PROXY ("PROXY TCP4 192.0.2.1 198.51.100.2 056324 443\r\n", ROOK_PROXY_BAD, NULL, 0);
  PROXY ("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 \r\n", ROOK_PROXY_BAD, NULL, 0);
  PROXY ("PROXY TCP4 2001:db8::1 198.51.100.2 56324 443\r\n", ROOK_PROXY_BAD, NULL, 0);
  PROXY ("PROXY TCP6 192.0.2.1 2001:db8::2 1 2\r\n", ROOK_PROXY_BAD, NULL, 0);
  PROXY ("PROXY TCP4 192.0.2.1  198.51.100.2 56324 443\r\n", ROOK_PROXY_BAD, NULL, 0);
  PROXY ("PROXY\r\n", ROOK_PROXY_BAD, NULL, 0);
  PROXY ("EHLO x\r\n", ROOK_PROXY_BAD, NULL, 0);
  PROXY (
      "PROXY TCP4 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      "\r\n",
      ROOK_PROXY_BAD, NULL, 0);
}

static void
test_proxy_v2 (void)
{
  PROXY (V2 "\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\x04\x01\xbb"
            "NEXT",
         ROOK_PROXY_FOUND, "192.0.2.1", 56324);
  PROXY (V2 "\x21\x11\0\x10\xc0\0\2\1\xc6\x33\x64\2\xdc\x04\x01\xbb\x04\0\1x", ROOK_PROXY_FOUND, "192.0.2.1", 56324);
  PROXY (V2 "\x21\x21\0\x24\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\0\1\0\2",
         ROOK_PROXY_FOUND, "2001:db8::1", 1);
  PROXY (V2 "\x20\0\0\0", ROOK_PROXY_LOCAL, NULL, 0);
  PROXY (V2 "\x20\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\x04\x01\xbb", ROOK_PROXY_LOCAL, NULL, 0);
  PROXY (V2 "\x21\0\0\0", ROOK_PROXY_LOCAL, NULL, 0);
  PROXY (V2 "\x21\x11\0\x0b\xc0\0\2\1\xc6\x33\x64\2\xdc\x04\x01", ROOK_PROXY_BAD, NULL, 0); /* too short */
  PROXY (V2 "\x11\x11\0\0", ROOK_PROXY_BAD, NULL, 0);                                       /* version 1 in binary */
  PROXY (V2 "\x22\x11\0\0", ROOK_PROXY_BAD, NULL, 0);                                       /* command 2 */
  PROXY (V2 "\x21\x12\0\0", ROOK_PROXY_BAD, NULL, 0);                                       /* UDP */
  PROXY (V2 "\x21\x11\xff\xff", ROOK_PROXY_BAD, NULL, 0);                                   /* too long */
}

static void
test_proxy_v2_unix (void)
{
  char data[16 + 216] = V2 "\x21\x31\0\xd8";

  check_proxy (data, sizeof data, ROOK_PROXY_FOUND, "unix", 0);
}

/* --- addresses ----------------------------------------------------------------------------------------------------------------- */

static gboolean
contains (const char *network, const char *text)
{
  const char *const list[] = { network, NULL };
  g_autoptr (RookNetworks) networks = rook_networks_new (list, NULL);
  RookAddress address;

  g_assert_nonnull (networks);
  if (g_str_equal (text, "unix"))
    rook_address_set (&address, AF_UNIX, NULL, 0);
  else
    g_assert_true (rook_address_parse (&address, text, 1));
  return rook_networks_contain (networks, &address);
}

static void
test_networks (void)
{
  g_assert_true (contains ("192.0.2.0/24", "192.0.2.255"));
  g_assert_false (contains ("192.0.2.0/24", "192.0.3.0"));
  g_assert_true (contains ("192.0.2.128/25", "192.0.2.129"));
  g_assert_false (contains ("192.0.2.128/25", "192.0.2.127"));
  g_assert_true (contains ("0.0.0.0/0", "8.8.8.8"));
  g_assert_false (contains ("0.0.0.0/0", "::1"));
  g_assert_true (contains ("192.0.2.1", "::ffff:192.0.2.1"));
  g_assert_true (contains ("2001:db8::/33", "2001:db8:7fff::1"));
  g_assert_false (contains ("2001:db8::/33", "2001:db8:8000::1"));
  g_assert_true (contains ("::1", "::1"));
  g_assert_true (contains ("unix", "unix"));
  g_assert_false (contains ("unix", "127.0.0.1"));
}

static void
test_networks_refused (void)
{
  static const char *const wrong[] = { "",     "192.0.2.0/33", "192.0.2.0/", "::/129",
                                       "host", "192.0.2.0/-1", "1.2.3/8",    NULL };
  g_autoptr (RookNetworks) all_wrong = NULL;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; wrong[i] != NULL; i++)
    {
      const char *const list[] = { "::1", wrong[i], NULL };

      g_clear_error (&error);
      g_assert_false (rook_net_check_networks (list, &error));
      g_assert_error (error, ROOK_CONFIG_ERROR, ROOK_CONFIG_ERROR_VALUE);
      g_assert_true (g_str_has_suffix (error->message, "is no network: write an address, address/bits, or unix"));
    }
  g_clear_error (&error);
  all_wrong = rook_networks_new (wrong + 4, &error);
  g_assert_null (all_wrong);
  g_assert_true (g_str_has_prefix (error->message, "\"host\", \"192.0.2.0/-1\" and \"1.2.3/8\" are no networks: "));
}

static void
check_place (const char *text, gint kind, const char *host, gint port)
{
  g_auto (RookPlace) place = { 0 };
  gboolean good = rook_place_parse (text, &place, NULL);

  g_assert_cmpint (good, ==, kind >= 0);
  if (!good)
    return;
  g_assert_cmpint (place.kind, ==, kind);
  g_assert_cmpstr (place.host, ==, host);
  g_assert_cmpint (place.has_port ? place.port : -1, ==, port);
}

static void
test_places (void)
{
  check_place ("127.0.0.1:143", ROOK_PLACE_TCP, "127.0.0.1", 143);
  check_place ("[::1]:143", ROOK_PLACE_TCP, "::1", 143);
  check_place ("[::1]", ROOK_PLACE_TCP, "::1", -1);
  check_place ("*:993", ROOK_PLACE_TCP, "*", 993);
  check_place ("*", ROOK_PLACE_TCP, "*", -1);
  check_place ("/run/x.sock", ROOK_PLACE_UNIX, "/run/x.sock", -1);
  check_place ("systemd:imap", ROOK_PLACE_SYSTEMD, "imap", -1);
  check_place ("systemd:", -1, NULL, 0);
  check_place ("localhost:143", -1, NULL, 0);
  check_place ("127.0.0.1:65536", -1, NULL, 0);
  check_place ("127.0.0.1:imap", -1, NULL, 0);
  check_place ("::1:143", -1, NULL, 0);
  check_place ("[::1:143", -1, NULL, 0);
  check_place ("[::1]143", -1, NULL, 0);
  check_place ("", -1, NULL, 0);
  check_place ("/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
               -1, NULL, 0);
}

static void
test_address_keys (void)
{
  char a[ROOK_ADDRESS_KEY_SIZE], b[ROOK_ADDRESS_KEY_SIZE];
  RookAddress address;

  rook_address_parse (&address, "2001:db8:1:2:3:4:5:6", 0);
  rook_address_key (&address, a);
  rook_address_parse (&address, "2001:db8:1:2::1", 0);
  rook_address_key (&address, b);
  g_assert_cmpstr (a, ==, b);
  rook_address_parse (&address, "2001:db8:1:3::1", 0);
  rook_address_key (&address, b);
  g_assert_cmpstr (a, !=, b);
  rook_address_parse (&address, "192.0.2.1", 0);
  rook_address_key (&address, a);
  g_assert_cmpstr (a, ==, "192.0.2.1");
}

/* --- limits -------------------------------------------------------------------------------------------------------------------- */

static void
test_tally (void)
{
  RookTally *tally = rook_tally_new ();

  g_assert_true (rook_tally_take (tally, "a", 2));
  g_assert_true (rook_tally_take (tally, "a", 2));
  g_assert_false (rook_tally_take (tally, "a", 2));
  g_assert_true (rook_tally_take (tally, "b", 2));
  g_assert_true (rook_tally_take (tally, "a", 0));
  g_assert_cmpuint (rook_tally_get (tally, "a"), ==, 3);
  for (guint i = 0; i < 3; i++)
    rook_tally_give_back (tally, "a");
  g_assert_cmpuint (rook_tally_get (tally, "a"), ==, 0);
  g_assert_true (rook_tally_take (tally, "a", 1));
  rook_tally_free (tally);
}

static void
test_bucket (void)
{
  RookBucket bucket = { 0 };
  guint taken = 0;

  while (rook_bucket_take (&bucket, 10, 1000) == 0)
    taken++;
  g_assert_cmpuint (taken, ==, 20); /* and one in advance */
  g_assert_cmpuint (rook_bucket_take (&bucket, 10, 1100), ==, 100);
  g_assert_cmpuint (rook_bucket_take (&bucket, 10, 1150), ==, 150);
  g_assert_cmpuint (rook_bucket_take (&bucket, 10, 1400), ==, 0);
  g_assert_cmpuint (rook_bucket_take (&bucket, 1000000, 100000), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/input/lines", test_lines);
  g_test_add_func ("/net/input/tells-bare-line-ends", test_bare_ends);
  g_test_add_func ("/net/input/tells-eight-bit", test_eight_bit);
  g_test_add_func ("/net/input/tells-nul", test_nul);
  g_test_add_func ("/net/input/cuts-lines-at-the-limit", test_too_long);
  g_test_add_func ("/net/input/endless-line-is-bounded", test_endless_line_is_bounded);
  g_test_add_func ("/net/input/literal", test_literal);
  g_test_add_func ("/net/input/dot-is-unstuffed", test_dot);
  g_test_add_func ("/net/input/dot-ends-by-crlf-only", test_dot_ends_by_crlf_only);
  g_test_add_func ("/net/input/raw", test_raw);
  g_test_add_func ("/net/input/rest-is-kept-and-stolen", test_rest_is_kept_and_stolen);
  g_test_add_func ("/net/input/discard-forgets-all", test_discard_forgets_all);
  g_test_add_func ("/net/output/gathers", test_output_gathers);
  g_test_add_func ("/net/output/references-large-bytes", test_output_references_large_bytes);
  g_test_add_func ("/net/output/marks", test_output_marks);
  g_test_add_func ("/net/deflate/round-trip", test_deflate_round_trip);
  g_test_add_func ("/net/deflate/bomb-is-bounded", test_deflate_bomb_is_bounded);
  g_test_add_func ("/net/deflate/rejects-garbage", test_deflate_rejects_garbage);
  g_test_add_func ("/net/sasl/round-trip", test_sasl_round_trip);
  g_test_add_func ("/net/sasl/forged-frame-ends-it", test_sasl_forged_frame_ends_it);
  g_test_add_func ("/net/proxy/v1", test_proxy_v1);
  g_test_add_func ("/net/proxy/v2", test_proxy_v2);
  g_test_add_func ("/net/proxy/v2-unix", test_proxy_v2_unix);
  g_test_add_func ("/net/address/networks", test_networks);
  g_test_add_func ("/net/address/networks-refused", test_networks_refused);
  g_test_add_func ("/net/address/places", test_places);
  g_test_add_func ("/net/address/counted-by-64-bits", test_address_keys);
  g_test_add_func ("/net/limits/tally", test_tally);
  g_test_add_func ("/net/limits/bucket", test_bucket);
  return g_test_run ();
}
