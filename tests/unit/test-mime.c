/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rookery/mime.h: structure, IMAP's strings, header fields, the stored form, modified UTF-7; each sentence a test.
 */
#include <string.h>

#include "../lib/test-calm.h"
#include "mime/mime-private.h"

static RookMime *
parse (const char *text)
{
  g_autoptr (GBytes) bytes = g_bytes_new (text, strlen (text));

  return rook_mime_parse (bytes);
}

static char *
part_text (const char *message, const RookMimePart *part)
{
  g_assert_nonnull (part);
  return g_strndup (message + part->body_offset, part->body_length);
}

#define SIMPLE                                                                                 \
  "From: Ann <ann@example.org>\r\nSubject: hello\r\n there\r\nDate: Mon, 7 Feb 1994 21:52:25 " \
  "-0800\r\n\r\nhi\r\nthere\r\n"

static void
test_plain_offsets (void)
{
  g_autoptr (RookMime) mime = parse (SIMPLE);
  const RookMimePart *part = rook_mime_find_part (mime, "");
  g_autofree char *body = part_text (SIMPLE, part);

  g_assert_cmpuint (rook_mime_get_size (mime), ==, strlen (SIMPLE));
  g_assert_cmpuint (part->header_offset, ==, 0);
  g_assert_cmpuint (part->header_length, ==, strstr (SIMPLE, "hi\r") - SIMPLE);
  g_assert_cmpstr (body, ==, "hi\r\nthere\r\n");
  g_assert_cmpuint (part->body_lines, ==, 2);
  g_assert_cmpstr (part->type, ==, "TEXT");
  g_assert_cmpstr (part->subtype, ==, "PLAIN");
  g_assert_cmpstr (part->encoding, ==, "7BIT");
  g_assert_true (rook_mime_find_part (mime, "1") == part);
  g_assert_null (rook_mime_find_part (mime, "2"));
  g_assert_null (rook_mime_find_part (mime, "1.1"));
  g_assert_null (rook_mime_find_part (mime, "1."));
  g_assert_null (rook_mime_find_part (mime, "01"));
  g_assert_null (rook_mime_find_part (mime, "x"));
}

static void
test_envelope (void)
{
  g_autoptr (RookMime) mime = parse (SIMPLE);

  g_assert_cmpstr (
      rook_mime_get_envelope (mime), ==,
      "(\"Mon, 7 Feb 1994 21:52:25 -0800\" \"hello there\" ((\"Ann\" NIL \"ann\" \"example.org\")) "
      "((\"Ann\" NIL \"ann\" \"example.org\")) ((\"Ann\" NIL \"ann\" \"example.org\")) NIL NIL NIL NIL NIL)");
}

/* The example of RFC 3501 7.4.2. */
static void
test_envelope_rfc (void)
{
  g_autoptr (RookMime) mime =
      parse ("Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nSubject: IMAP4rev1 WG mtg summary and minutes\r\n"
             "From: Terry Gray <gray@cac.washington.edu>\r\nTo: imap@cac.washington.edu\r\n"
             "cc: minutes@CNRI.Reston.VA.US,\r\n John Klensin <KLENSIN@MIT.EDU>\r\nMessage-Id: "
             "<B27397-0100000@cac.washington.edu>\r\n\r\n");

  g_assert_cmpstr (
      rook_mime_get_envelope (mime), ==,
      "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev1 WG mtg summary and minutes\" "
      "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
      "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((NIL NIL \"imap\" \"cac.washington.edu\")) "
      "((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL "
      "\"<B27397-0100000@cac.washington.edu>\")");
}

static char *
addresses (const char *text)
{
  GString *out = g_string_new (NULL);
  guint left = G_MAXUINT;

  rook_address_append_list (out, (RookSpan){ text, strlen (text) }, &left);
  return g_string_free (out, FALSE);
}

static void
test_addresses (void)
{
  static const char *const cases[][2] = {
    { "", "NIL" },
    { " , ;", "NIL" },
    { "a@b", "((NIL NIL \"a\" \"b\"))" },
    { "a @ b . c", "((NIL NIL \"a\" \"b.c\"))" },
    { "a@b (A. B.)", "((\"A. B.\" NIL \"a\" \"b\"))" },
    { "\"X, \\\"Y\\\"\" <a@b>, c@d", "((\"X, \\\"Y\\\"\" NIL \"a\" \"b\")(NIL NIL \"c\" \"d\"))" },
    { "<@r1,@r2:a@b>", "((NIL \"@r1,@r2\" \"a\" \"b\"))" },
    { "alone", "((NIL NIL \"alone\" \"unspecified-domain\"))" },
    { "g: a@b, c@d;, e@f",
      "((NIL NIL \"g\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")(NIL NIL NIL NIL)(NIL NIL \"e\" \"f\"))" },
    { "undisclosed-recipients:;", "((NIL NIL \"undisclosed-recipients\" NIL)(NIL NIL NIL NIL))" },
    { "g: a@b", "((NIL NIL \"g\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL NIL NIL))" },
    { "<>", "NIL" },
    { "M\xc3\xbc <a@b>", "(({3}\r\nM\xc3\xbc NIL \"a\" \"b\"))" },
    { "a@b <c@d", "((NIL NIL \"a\" \"b\"))" },
    { "\"unclosed <a@b>", "((NIL NIL \"unclosed <a@b>\" \"unspecified-domain\"))" },
    { "a@[192.0.2.1]", "((NIL NIL \"a\" \"[192.0.2.1]\"))" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *got = addresses (cases[i][0]);

      g_assert_cmpstr (got, ==, cases[i][1]);
    }
}

#define MULTI                                                                                                      \
  "Content-Type: multipart/mixed; boundary=\"b1\"\r\n\r\npreamble\r\n--b1\r\n\r\nfirst\r\n--b1\r\n"                \
  "Content-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: multipart/alternative; boundary=b2\r\n\r\n" \
  "--b2\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\naGk=\r\n--b2\r\n"   \
  "Content-Type: text/html\r\nContent-ID: <x>\r\n\r\n<p>\r\n--b2--\r\nepilogue\r\n--b1\r\n"                        \
  "Content-Type: image/png; name=a.png\r\nContent-Disposition: attachment; filename=\"a b.png\"\r\n"               \
  "Content-Language: de, en\r\n\r\nPNG\r\n--b1--\r\nafter\r\n"

static void
test_multipart_parts (void)
{
  static const char *const cases[][2] = {
    { "1", "first" },
    { "2.1", "aGk=" },
    { "2.2", "<p>" },
    { "3", "PNG" },
  };
  g_autoptr (RookMime) mime = parse (MULTI);
  const RookMimePart *message = rook_mime_find_part (mime, "2");
  const RookMimePart *inner = rook_mime_get_child (mime, message, 0);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *text = part_text (MULTI, rook_mime_find_part (mime, cases[i][0]));

      g_assert_cmpstr (text, ==, cases[i][1]);
    }
  g_assert_cmpuint (rook_mime_find_part (mime, "")->n_parts, ==, 3);
  g_assert_null (rook_mime_find_part (mime, "4"));
  g_assert_null (rook_mime_find_part (mime, "1.1"));
  g_assert_null (rook_mime_find_part (mime, "2.3"));
  g_assert_cmpuint (message->n_parts, ==, 1);
  g_assert_nonnull (inner);
  g_assert_null (rook_mime_get_child (mime, message, 1));
  g_assert_true (g_str_has_prefix (&MULTI[inner->header_offset], "Subject: inner"));
  g_assert_cmpuint (inner->header_offset, ==, message->body_offset);
  g_assert_cmpuint (inner->n_parts, ==, 2);
}

/* What lies beyond is left out, and what was begun is ended. */
static void
test_addresses_bounded (void)
{
  g_autoptr (GString) out = g_string_new (NULL);
  g_autoptr (GString) text = g_string_new ("From: a@b\r\nTo: ");
  guint left = 3, n = 0;

  rook_address_append_list (out, (RookSpan){ "g: a@b, c@d, e@f", 16 }, &left);
  g_assert_cmpstr (out->str, ==, "((NIL NIL \"g\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")(NIL NIL NIL NIL))");
  g_assert_cmpuint (left, ==, 0);
  for (guint i = 0; i < ROOK_MIME_MAX_ADDRESSES + 10; i++)
    g_string_append (text, "x@y,");
  g_string_append (text, "\r\nCc: c@d\r\n\r\n");
  {
    g_autoptr (RookMime) mime = parse (text->str);

    /* By hand: under a sanitizer each strstr() would look at all that is left. */
    for (const char *at = rook_mime_get_envelope (mime); *at != '\0'; at++)
      n += at[0] == '"' && at[1] == 'x' && at[2] == '"';
    g_assert_cmpuint (n, ==, ROOK_MIME_MAX_ADDRESSES - 1);
    g_assert_true (g_str_has_suffix (rook_mime_get_envelope (mime), ") NIL NIL NIL NIL)"));
  }
}

static void
test_bodystructure (void)
{
  g_autoptr (RookMime) mime = parse (MULTI);

  g_assert_cmpstr (rook_mime_get_body (mime), ==,
                   "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" 5 0)"
                   "(\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 229 (NIL \"inner\" NIL NIL NIL NIL NIL NIL NIL NIL) "
                   "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"utf-8\") NIL NIL \"BASE64\" 4 0)"
                   "(\"TEXT\" \"HTML\" NIL \"<x>\" NIL \"7BIT\" 3 0) \"ALTERNATIVE\") 14)"
                   "(\"IMAGE\" \"PNG\" (\"NAME\" \"a.png\") NIL NIL \"7BIT\" 3) \"MIXED\")");
  g_assert_nonnull (strstr (rook_mime_get_bodystructure (mime),
                            "\"7BIT\" 3 NIL (\"ATTACHMENT\" (\"FILENAME\" \"a b.png\")) (\"de\" \"en\") NIL)"));
  g_assert_true (
      g_str_has_suffix (rook_mime_get_bodystructure (mime), " \"MIXED\" (\"BOUNDARY\" \"b1\") NIL NIL NIL)"));
}

static void
test_anything_is_a_message (void)
{
  static const char *const cases[] = { "",     "\r\n",     "\n",          "no header at all",
                                       "a: b", "a: b\r\n", ": x\r\n\r\n", "--\r\n--\r\n" };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (RookMime) mime = parse (cases[i]);

      g_assert_cmpstr (rook_mime_find_part (mime, "1")->type, ==, "TEXT");
      g_assert_true (g_str_has_prefix (rook_mime_get_envelope (mime), "("));
    }
}

static void
test_multipart_without_parts_is_text (void)
{
  g_autoptr (RookMime) mime = parse ("Content-Type: multipart/mixed; boundary=x\r\n\r\nnothing\r\n");
  g_autoptr (RookMime) no_boundary = parse ("Content-Type: multipart/mixed\r\n\r\nnothing\r\n");

  g_assert_cmpstr (rook_mime_get_body (mime), ==,
                   "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" 9 1)");
  g_assert_cmpstr (rook_mime_get_body (no_boundary), ==, rook_mime_get_body (mime));
}

static void
test_boundary_of_outer_part_ends_inner (void)
{
  const char *text =
      "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n"
      "--i\r\n\r\nx\r\n--o\r\n\r\ny\r\n--o--\r\n";
  g_autoptr (RookMime) mime = parse (text);
  g_autofree char *first = part_text (text, rook_mime_find_part (mime, "1.1"));
  g_autofree char *second = part_text (text, rook_mime_find_part (mime, "2"));

  g_assert_cmpstr (first, ==, "x");
  g_assert_cmpstr (second, ==, "y");
}

static void
test_equal_boundaries_nest (void)
{
  const char *text =
      "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
      "--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\ny\r\n--b--\r\n";
  g_autoptr (RookMime) mime = parse (text);
  g_autofree char *first = part_text (text, rook_mime_find_part (mime, "1.1"));
  g_autofree char *second = part_text (text, rook_mime_find_part (mime, "2"));

  g_assert_cmpstr (first, ==, "x");
  g_assert_cmpstr (second, ==, "y");
}

static void
test_digest_holds_messages (void)
{
  g_autoptr (RookMime) mime =
      parse ("Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: s\r\n\r\nb\r\n--d--\r\n");

  g_assert_cmpstr (rook_mime_find_part (mime, "1")->type, ==, "MESSAGE");
  g_assert_nonnull (rook_mime_find_part (mime, "1.1"));
}

static void
check_body (const char *fields, const char *body, const char *expected)
{
  g_autofree char *text = g_strconcat (fields, "\r\n", body, NULL);
  g_autoptr (RookMime) mime = parse (text);

  g_assert_cmpstr (rook_mime_get_body (mime), ==, expected);
}

/* Messages that hold something else than a message are what they say they are (RFC 3501 9, media-basic). */
static void
test_other_messages (void)
{
  check_body ("Content-Type: message/delivery-status\r\n", "Reporting-MTA: dns; x\r\n\r\n",
              "(\"MESSAGE\" \"DELIVERY-STATUS\" NIL NIL NIL \"7BIT\" 25)");
  check_body ("Content-Type: message/external-body; access-type=URL\r\n", "x",
              "(\"MESSAGE\" \"EXTERNAL-BODY\" (\"ACCESS-TYPE\" \"URL\") NIL NIL \"7BIT\" 1)");
  /* IMAP4rev1 has an envelope for message/rfc822 alone. */
  check_body ("Content-Type: message/global\r\n", "Subject: i\r\n\r\nx",
              "(\"MESSAGE\" \"GLOBAL\" NIL NIL NIL \"7BIT\" 15)");
  check_body ("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n", "U3ViamVjdDogaQ0KDQp4",
              "(\"APPLICATION\" \"OCTET-STREAM\" NIL NIL NIL \"BASE64\" 20)");
}

/* RFC 2231 6: pieces are put together, and stay as they are where the first one is missing; clients do the rest. */
static void
test_params_in_pieces (void)
{
  static const char *const cases[][2] = {
    { "name*1=b; name*0=a; x=y", "(\"NAME\" \"ab\" \"X\" \"y\")" },
    { "name*0*=utf-8''%e2; x=y; name*1*=%82%ac; name*2=\"c'd\"", "(\"NAME*\" \"utf-8''%e2%82%acc%27d\" \"X\" \"y\")" },
    { "name*0=\"a%\"; name*1*=%62", "(\"NAME*\" \"''a%25%62\")" },
    { "name*=utf-8''%e2", "(\"NAME*\" \"utf-8''%e2\")" },
    { "name*1=b; name*2*=c", "(\"NAME*1\" \"b\" \"NAME*2*\" \"c\")" },
    { "name*0=a; name*2=c", "(\"NAME\" \"a\")" },
    { "name=\"=?utf-8?q?=C3=BC?=\"", "(\"NAME\" \"=?utf-8?q?=C3=BC?=\")" },
    { "name=\xc3\xbc", "(\"NAME\" {2}\r\n\xc3\xbc)" },
    { "*0=x; na*me*0=z", "(\"*0\" \"x\" \"NA*ME*0\" \"z\")" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *fields = g_strdup_printf ("Content-Type: image/png; %s\r\n", cases[i][0]);
      g_autofree char *expected = g_strdup_printf ("(\"IMAGE\" \"PNG\" %s NIL NIL \"7BIT\" 1)", cases[i][1]);

      check_body (fields, "x", expected);
    }
}

static void
test_boundaries_that_are_written_oddly (void)
{
  static const char *const cases[] = { "boundary*1=c; boundary*0=\"b \"", "boundary=\"b c  \"",
                                       "boundary=\"b c\" (d)" };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *text =
          g_strdup_printf ("Content-Type: multipart/mixed; %s\r\n\r\n--b c \r\n\r\nx\r\n--b c-- \r\n", cases[i]);
      g_autoptr (RookMime) mime = parse (text);
      g_autofree char *body = part_text (text, rook_mime_find_part (mime, "1"));

      g_assert_cmpuint (rook_mime_find_part (mime, "")->n_parts, ==, 1);
      g_assert_cmpstr (body, ==, "x");
    }
}

static void
test_depth_and_parts_bounded (void)
{
  GString *deep = g_string_new (NULL), *wide = g_string_new ("Content-Type: multipart/mixed; boundary=w\r\n\r\n");

  for (guint i = 0; i < 500; i++)
    g_string_append_printf (deep, "Content-Type: multipart/mixed; boundary=b%u\r\n\r\n--b%u\r\n", i, i);
  for (guint i = 0; i < 20000; i++)
    g_string_append (wide, "--w\r\n\r\nx\r\n");
  {
    g_autoptr (RookMime) a = parse (deep->str);
    g_autoptr (RookMime) b = parse (wide->str);

    g_assert_cmpuint (a->nodes->len, <=, ROOK_MIME_MAX_DEPTH);
    g_assert_cmpuint (b->nodes->len, ==, ROOK_MIME_MAX_PARTS);
    g_assert_cmpuint (rook_mime_find_part (b, "")->n_parts, ==, ROOK_MIME_MAX_PARTS - 1);
  }
  g_string_free (deep, TRUE);
  g_string_free (wide, TRUE);
}

/* Linear whatever it holds: were any of these shapes quadratic, the whole would cross the program's deadline by far. */
static void
test_linear (void)
{
  static const char *const unit[] = {
    "--",        "(", "a,", "\r\n--x", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n",
    "To: a\r\n", "<", "\"", ": ;"
  };
  static const char *const start[] = { "", "To: ", "From: x\r\nTo: g:",
                                       "Content-Type: multipart/mixed; boundary=x\r\n\r\n" };

  for (guint i = 0; i < G_N_ELEMENTS (unit); i++)
    for (guint j = 0; j < G_N_ELEMENTS (start); j++)
      {
        GString *text = g_string_new (start[j]);

        while (text->len < 500000)
          g_string_append (text, unit[i]);
        {
          g_autoptr (RookMime) mime = parse (text->str);

          g_assert_nonnull (mime);
        }
        g_string_free (text, TRUE);
      }
}

static void
test_cache_round_trip (void)
{
  g_autoptr (RookMime) mime = parse (MULTI);
  g_autoptr (GBytes) cache = rook_mime_to_cache (mime);
  g_autoptr (RookMime) back = rook_mime_from_cache (cache);

  g_assert_nonnull (back);
  g_assert_cmpstr (rook_mime_get_envelope (back), ==, rook_mime_get_envelope (mime));
  g_assert_cmpstr (rook_mime_get_body (back), ==, rook_mime_get_body (mime));
  g_assert_cmpstr (rook_mime_get_bodystructure (back), ==, rook_mime_get_bodystructure (mime));
  g_assert_cmpuint (rook_mime_find_part (back, "2.2")->body_offset, ==, rook_mime_find_part (mime, "2.2")->body_offset);
  g_assert_cmpstr (rook_mime_find_part (back, "2.2")->subtype, ==, "HTML");
  g_assert_cmpuint (rook_mime_get_size (back), ==, rook_mime_get_size (mime));
}

static void
test_cache_damaged (void)
{
  g_autoptr (RookMime) mime = parse (MULTI);
  g_autoptr (GBytes) cache = rook_mime_to_cache (mime);
  gsize length;
  const guint8 *data = g_bytes_get_data (cache, &length);

  for (gsize i = 0; i < length; i++)
    {
      g_autofree guint8 *copy = g_memdup2 (data, length);
      g_autoptr (GBytes) damaged = NULL;
      g_autoptr (RookMime) back = NULL;

      copy[i] ^= 0x41;
      damaged = g_bytes_new (copy, length);
      back = rook_mime_from_cache (damaged); /* any answer but a crash or an offset outside */
      if (i < 4)
        g_assert_null (back);
      if (back != NULL)
        g_assert_cmpuint (rook_mime_find_part (back, "")->body_offset, <=, rook_mime_get_size (back));
    }
}

static void
test_header (void)
{
  g_autoptr (RookMime) mime = parse ("X-Other: o\r\nSubject: a\r\n\tb\r\nsubject: second\r\n\r\nSubject: body\r\n");
  g_autoptr (GBytes) cache = rook_mime_to_cache (mime);
  g_autoptr (RookMime) back = rook_mime_from_cache (cache);
  g_autofree char *subject = rook_mime_get_header (mime, "SUBJECT");
  g_autofree char *other = rook_mime_get_header (mime, "x-other");
  g_autofree char *cached = rook_mime_get_header (back, "Subject");

  g_assert_cmpstr (subject, ==, "a\tb");
  g_assert_cmpstr (other, ==, "o");
  g_assert_cmpstr (cached, ==, "a\tb");
  g_assert_null (rook_mime_get_header (back, "x-other"));
  g_assert_null (rook_mime_get_header (mime, "nothing"));
  g_assert_true (rook_mime_is_header_cached ("Subject"));
  g_assert_false (rook_mime_is_header_cached ("X-Other"));
}

static void
check_filter (const char *header, gboolean negate, const char *expected)
{
  const char *const fields[] = { "to", "Subject", NULL };
  g_autoptr (GBytes) got = rook_mime_filter_header (header, strlen (header), fields, negate);
  gsize length;
  const char *data = g_bytes_get_data (got, &length);
  g_autofree char *text = g_strndup (data, length);

  g_assert_cmpstr (text, ==, expected);
}

static void
test_filter_header (void)
{
  const char *header = "To: a,\r\n b\r\nFrom: c\r\nSUBJECT:d\r\nnonsense\r\nTo : e\r\n\r\n";

  check_filter (header, FALSE, "To: a,\r\n b\r\nSUBJECT:d\r\nTo : e\r\n\r\n");
  check_filter (header, TRUE, "From: c\r\n\r\n");
  check_filter ("To: x", FALSE, "To: x\r\n\r\n");
  check_filter ("", FALSE, "\r\n");
}

static void
test_utf7_known (void)
{
  static const char *const cases[][2] = {
    { "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "~peter/mail/&U,BTFw-/&ZeVnLIqe-" },
    { "a&b", "a&-b" },
    { "\xc3\xa4", "&AOQ-" },
    { "x\xf0\x9f\x98\x80y", "x&2D3eAA-y" },
    { "", "" },
    { "\t", "&AAk-" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *to = rook_utf7_from_utf8 (cases[i][0]);
      g_autofree char *back = rook_utf7_to_utf8 (cases[i][1]);

      g_assert_cmpstr (to, ==, cases[i][1]);
      g_assert_cmpstr (back, ==, cases[i][0]);
    }
}

static void
test_utf7_refused (void)
{
  static const char *const cases[] = { "&",     "&AGE-",      "&AOQ",   "&AOR-", "\xc3\xa4", "a\tb",  "&2D0-",
                                       "&3gA-", "&AOQ-&AOQ-", "&AOQA-", "&A-",   "&!!!-",    "&AAA-", "&AOQAYQ-" };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *got = rook_utf7_to_utf8 (cases[i]);

      g_assert_null (got);
    }
  g_assert_null (rook_utf7_from_utf8 ("\xff"));
}

/* Every character there is, alone and between others, comes back; the text is ASCII. */
static void
test_utf7_bijection (void)
{
  for (gunichar c = 1; c <= 0x10ffff; c++)
    {
      char text[16] = "a";
      g_autofree char *there = NULL, *back = NULL;

      if (!g_unichar_validate (c))
        continue;
      text[1 + g_unichar_to_utf8 (c, text + 1)] = c % 3 == 0 ? 'z' : '\0';
      there = rook_utf7_from_utf8 (text);
      back = rook_utf7_to_utf8 (there);
      g_assert_cmpstr (back, ==, text);
    }
}

static void
test_message_is_referenced (void)
{
  static const char text[] = "Subject: s\r\nX-Raw: a\r\n  b\r\n\r\nbody\r\n";
  g_autofree char *copy = g_strdup (text);
  GBytes *message = g_bytes_new_static (copy, sizeof text - 1);
  RookMime *mime = rook_mime_parse (message);
  g_autofree char *header = NULL;

  g_bytes_unref (message); /* it has a reference of its own */
  header = rook_mime_get_header (mime, "X-Raw");
  g_assert_cmpstr (header, ==, "a  b");
  rook_mime_unref (mime);
  g_assert_cmpstr (copy, ==, text);
}

/* What is not in the cached set can be asked of a parsed message alone, and rook_mime_is_header_cached() knows. */
static void
test_cached_headers (void)
{
  static const char *const cached[] = {
    "Date", "From", "To", "Cc", "Subject", "Message-ID", "References", "In-Reply-To"
  };
  g_autoptr (GString) text = g_string_new ("X-Other: other\r\n");
  g_autoptr (RookMime) mime = NULL;
  g_autoptr (RookMime) again = NULL;
  g_autoptr (GBytes) cache = NULL;
  g_autofree char *parsed = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (cached); i++)
    g_string_append_printf (text, "%s: value %u\r\n", cached[i], i);
  g_string_append (text, "\r\nbody\r\n");
  mime = parse (text->str);
  cache = rook_mime_to_cache (mime);
  again = rook_mime_from_cache (cache);
  for (guint i = 0; i < G_N_ELEMENTS (cached); i++)
    {
      g_autofree char *expected = g_strdup_printf ("value %u", i);
      g_autofree char *lower = g_ascii_strdown (cached[i], -1);
      g_autofree char *found = rook_mime_get_header (again, lower);

      g_assert_true (rook_mime_is_header_cached (lower));
      g_assert_cmpstr (found, ==, expected);
    }
  parsed = rook_mime_get_header (mime, "X-Other");
  g_assert_cmpstr (parsed, ==, "other");
  g_assert_false (rook_mime_is_header_cached ("X-Other"));
  g_assert_null (rook_mime_get_header (again, "X-Other"));
}

static void
test_next_part (void)
{
  static const char *const subtypes[] = { "MIXED", "PLAIN", "RFC822", "ALTERNATIVE", "PLAIN", "HTML", "PNG" };
  static const char *const charsets[] = { NULL, NULL, NULL, NULL, "utf-8", NULL, NULL };
  g_autoptr (RookMime) mime = parse (MULTI);
  g_autoptr (GBytes) cache = rook_mime_to_cache (mime);
  g_autoptr (RookMime) back = rook_mime_from_cache (cache);
  const RookMimePart *part = NULL, *cached = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (subtypes); i++)
    {
      part = rook_mime_next_part (mime, part);
      cached = rook_mime_next_part (back, cached);
      g_assert_cmpstr (part->subtype, ==, subtypes[i]);
      g_assert_cmpstr (part->charset, ==, charsets[i]);
      g_assert_cmpstr (cached->charset, ==, charsets[i]);
    }
  g_assert_null (rook_mime_next_part (mime, part));
  g_assert_null (rook_mime_next_part (back, cached));
}

static void
check_charset (const char *value, const char *expected)
{
  g_autofree char *text = g_strdup_printf ("Content-Type: text/plain; charset=%s\r\n\r\n", value);
  g_autoptr (RookMime) mime = parse (text);

  g_assert_cmpstr (rook_mime_find_part (mime, "")->charset, ==, expected);
}

static void
test_charset_of_part (void)
{
  g_autofree char *longest = g_strnfill (40, 'c');
  g_autofree char *longer = g_strnfill (41, 'c');

  check_charset ("ISO-8859-1 (Latin)", "ISO-8859-1");
  check_charset ("\"Utf-8\"", "Utf-8");
  check_charset ("", NULL);
  check_charset (longest, longest);
  check_charset (longer, NULL);
}

static void
check_fields (RookMime *mime, const char *message)
{
  static const char *const names[] = { "x-a", "subject", "to", "x-a" };
  static const char *const texts[] = { "X-A: 1\r\n", "SUBJECT : a\r\n\tb\r\n", "To: x\n", "x-a:" };
  const RookMimeField *fields;
  guint n;

  fields = rook_mime_get_fields (mime, &n);
  g_assert_cmpuint (n, ==, G_N_ELEMENTS (names));
  for (guint i = 0; i < n; i++)
    {
      g_assert_cmpstr (fields[i].name, ==, names[i]);
      g_assert_cmpmem (message + fields[i].offset, fields[i].length, texts[i], strlen (texts[i]));
    }
}

static void
test_fields (void)
{
  const char *text = "X-A: 1\r\nSUBJECT : a\r\n\tb\r\nnonsense\r\nTo: x\nx-a:";
  g_autoptr (RookMime) mime = parse (text);
  g_autoptr (GBytes) cache = rook_mime_to_cache (mime);
  g_autoptr (RookMime) back = rook_mime_from_cache (cache);
  g_autoptr (RookMime) none = parse ("\r\nTo: x\r\n");
  guint n = 1;

  check_fields (mime, text);
  check_fields (back, text);
  g_assert_nonnull (rook_mime_get_fields (none, &n));
  g_assert_cmpuint (n, ==, 0);
}

static void
check_fields_kept (const char *text, gboolean kept)
{
  g_autoptr (RookMime) mime = parse (text);
  g_autoptr (GBytes) cache = rook_mime_to_cache (mime);
  g_autoptr (RookMime) back = rook_mime_from_cache (cache);
  guint n;

  g_assert_true ((rook_mime_get_fields (mime, &n) != NULL) == kept);
  g_assert_true ((rook_mime_get_fields (back, &n) != NULL) == kept);
}

static void
test_fields_bounded (void)
{
  g_autoptr (GString) many = g_string_new (NULL);
  g_autofree char *name = g_strnfill (100, 'n');
  g_autofree char *longest = g_strconcat ("a: b\r\n", name, ": c\r\n\r\n", NULL);
  g_autofree char *longer = g_strconcat ("a: b\r\nn", name, ": c\r\n\r\n", NULL);

  for (guint i = 0; i < 1000; i++)
    g_string_append (many, "a: b\r\n");
  check_fields_kept (many->str, TRUE);
  g_string_append (many, "a: b\r\n");
  check_fields_kept (many->str, FALSE);
  check_fields_kept (longest, TRUE);
  check_fields_kept (longer, FALSE);
}

static void
parse_and_ask (gpointer data)
{
  g_autoptr (RookMime) mime = parse (data);
  g_autoptr (GBytes) cache = rook_mime_to_cache (mime);
  g_autoptr (RookMime) back = rook_mime_from_cache (cache);

  g_assert_nonnull (rook_mime_get_envelope (back));
  g_assert_nonnull (rook_mime_get_bodystructure (back));
  g_assert_nonnull (rook_mime_find_part (mime, "2.2"));
}

static void
test_never_blocks (void)
{
  g_assert_true (test_is_calm (parse_and_ask, (gpointer) MULTI));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/mime/parse/plain-offsets", test_plain_offsets);
  g_test_add_func ("/mime/parse/multipart-parts", test_multipart_parts);
  g_test_add_func ("/mime/parse/anything-is-a-message", test_anything_is_a_message);
  g_test_add_func ("/mime/parse/multipart-without-parts-is-text", test_multipart_without_parts_is_text);
  g_test_add_func ("/mime/parse/boundary-of-outer-part-ends-inner", test_boundary_of_outer_part_ends_inner);
  g_test_add_func ("/mime/parse/equal-boundaries-nest", test_equal_boundaries_nest);
  g_test_add_func ("/mime/parse/digest-holds-messages", test_digest_holds_messages);
  g_test_add_func ("/mime/parse/boundaries-written-oddly", test_boundaries_that_are_written_oddly);
  g_test_add_func ("/mime/parse/depth-and-parts-bounded", test_depth_and_parts_bounded);
  g_test_add_func ("/mime/parse/linear", test_linear);
  g_test_add_func ("/mime/parse/never-blocks", test_never_blocks);
  g_test_add_func ("/mime/envelope/fields", test_envelope);
  g_test_add_func ("/mime/envelope/rfc-example", test_envelope_rfc);
  g_test_add_func ("/mime/envelope/addresses", test_addresses);
  g_test_add_func ("/mime/envelope/addresses-bounded", test_addresses_bounded);
  g_test_add_func ("/mime/body/structure", test_bodystructure);
  g_test_add_func ("/mime/body/other-messages", test_other_messages);
  g_test_add_func ("/mime/body/params-in-pieces", test_params_in_pieces);
  g_test_add_func ("/mime/cache/round-trip", test_cache_round_trip);
  g_test_add_func ("/mime/cache/damaged", test_cache_damaged);
  g_test_add_func ("/mime/header/first-unfolded", test_header);
  g_test_add_func ("/mime/parse/message-is-referenced-and-not-changed", test_message_is_referenced);
  g_test_add_func ("/mime/header/cached-set-and-no-other-after-from-cache", test_cached_headers);
  g_test_add_func ("/mime/header/filter", test_filter_header);
  g_test_add_func ("/mime/parse/next-part-in-order", test_next_part);
  g_test_add_func ("/mime/parse/charset-of-part", test_charset_of_part);
  g_test_add_func ("/mime/header/fields-lie-where-they-say", test_fields);
  g_test_add_func ("/mime/header/fields-beyond-the-limits", test_fields_bounded);
  g_test_add_func ("/mime/utf7/known", test_utf7_known);
  g_test_add_func ("/mime/utf7/refused", test_utf7_refused);
  g_test_add_func ("/mime/utf7/bijection", test_utf7_bijection);
  return g_test_run ();
}
