/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rookery/mime-text.h: charsets, encoded words, parameters, transfer encodings, the text of parts; each sentence a test.
 *
 * Random tests take what they try from GLib's seed, which is printed; they go on for ROOKERY_TEST_SECONDS.
 */
#include <string.h>

#include "../lib/test-budget.h"
#include "../lib/test-calm.h"
#include "mime/mime-text-private.h"

#define FFFD "\xef\xbf\xbd"

/* --- charsets ----------------------------------------------------------------------------------------------------- */

static void
assert_text (const char *charset, const char *bytes, const char *expected)
{
  g_autoptr (RookCharsets) charsets = rook_charsets_new ();
  g_autofree char *got = rook_charset_to_utf8 (charsets, charset, bytes, strlen (bytes));

  g_assert_cmpstr (got, ==, expected);
}

static void
test_charset_converted (void)
{
  static const char *const cases[][3] = {
    { "utf-8", "gr\xc3\xbc\xc3\x9f", "grüß" },
    { "ISO-8859-2", "\xe8", "č" },
    { "iso-8859-7", "\xe1", "α" },
    { "koi8-r", "\xc1", "а" },
    { "windows-1251", "\xe0", "а" },
    { "shift_jis", "\x93\xfa\x96\x7b", "日本" },
    { "euc-jp", "\xc6\xfc\xcb\xdc", "日本" },
    { "iso-2022-jp", "\x1b$BF|K\\\x1b(B", "日本" },
    { "big5", "\xa4\xa4", "中" },
    { "gb18030", "\xd6\xd0", "中" },
    { "utf-7", "A+ImIDkQ.", "A≢Α." },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_text (cases[i][0], cases[i][1], cases[i][2]);
}

static void
test_charset_aliases (void)
{
  static const char *const known[] = {
    "UTF-8",
    "utf8",
    "us-ascii",
    "ANSI_X3.4-1968",
    "ISO_8859-1:1987",
    "iso8859-15",
    "latin1",
    "x-gbk",
    "cp1252",
    "x-cp1251",
    "windows-1258",
    "x-windows-949",
    "ISO-8859-8-I",
    "iso-8859-8-e",
    "gb2312",
    "csGB2312",
    "x-sjis",
    "MS_Kanji",
    "csISO2022JP",
    "csShiftJIS",
    "ks_c_5601-1987",
    "KSC5601",
    "euc-kr",
    "unicode-1-1-utf-7",
    "UNICODE-1-1-UTF-8",
    "x-mac-cyrillic",
    "x-mac-roman",
    "macintosh",
    "'utf-8'",
    "tis-620",
    "Big5-HKSCS",
    "windows-31j",
    "cp936",
    "KOI8-RU",
    "x-euc-jp",
  };
  static const char *const unknown[] = {
    "",
    "x",
    "x-unknown",
    "unknown-8bit",
    "cs",
    "-",
    "utf",
    "utf-81",
    "8",
    "iso-8859-1 utf-8",
    "iso-8859-12",
    "NONE",
    "ISO-2022-CN-EXT",
  };

  for (guint i = 0; i < G_N_ELEMENTS (known); i++)
    if (!rook_charset_is_known (known[i]))
      g_error ("%s is not known", known[i]);
  for (guint i = 0; i < G_N_ELEMENTS (unknown); i++)
    if (rook_charset_is_known (unknown[i]))
      g_error ("%s is known", unknown[i]);
  g_assert_false (rook_charset_is_known (NULL));
}

static void
test_charset_utf7 (void)
{
  assert_text ("utf-7", "Hi Mom -+Jjo--!", "Hi Mom -☺-!"); /* RFC 2152 */
  assert_text ("utf-7", "+ZeVnLIqe", "日本語");
  assert_text ("utf-7", "Item 3 is +AKM-1.", "Item 3 is £1.");
  assert_text ("utf-7", "+2D3eAA-+-+AGE-.+", "😀+a." FFFD);
  assert_text ("utf-7", "+2D0-x+3gA-y+IfffDkQ \xff", FFFD "x" FFFD "y⇷" FFFD " " FFFD);
}

static void
test_charset_supersets (void)
{
  assert_text ("gb2312", "\x81\x40", "丂");                   /* of GBK */
  assert_text ("iso-8859-1", "\x93x\x94", "“x”");             /* of windows-1252 */
  assert_text ("ks_c_5601-1987", "\xb0\xa1\x8c\x63", "가똠"); /* of cp949 */
  assert_text ("shift_jis", "\x87\x40", "①");                 /* of cp932 */
  assert_text ("iso-8859-9", "\x80", "€");                    /* of windows-1254 */
}

/* A path is no name; what the C library would have found by itself is not found; and every row is one it has. */
static void
test_charset_table_alone (void)
{
  static const char *const hostile[] = {
    "../../../tmp/utf-8", "/utf-8", "utf-8//TRANSLIT", "utf-8/", "IBM1364", "TSCII", "UTF-8,IGNORE"
  };
  g_autofree char *endless = g_strnfill (100000, 'u');

  for (guint i = 0; i < G_N_ELEMENTS (hostile); i++)
    g_assert_false (rook_charset_is_known (hostile[i]));
  g_assert_false (rook_charset_is_known (endless));
  for (guint i = 0; rook_charset_nth (i) != NULL; i++)
    {
      const RookCharset *charset = rook_charset_nth (i);
      g_auto (GStrv) names = g_strsplit (charset->names, " ", -1);

      for (guint k = 0; names[k] != NULL; k++)
        g_assert_true (rook_charset_find (names[k], strlen (names[k])) == charset);
      if (charset->how == ROOK_CHARSET_ICONV)
        {
          GIConv descriptor = g_iconv_open ("UTF-8", charset->iconv);

          if (descriptor == (GIConv) -1)
            g_error ("iconv has no %s", charset->iconv);
          g_iconv_close (descriptor);
        }
    }
}

static void
test_charset_unknown (void)
{
  static const char *const names[] = { NULL, "us-ascii", "x-unknown", "nonsense/../x", "" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      assert_text (names[i], "gr\xc3\xbc\xc3\x9f gr\xfc\xdf \x80\x81 \xe2\x82", "grüß grüß €" FFFD " â‚");
      assert_text (names[i], "plain", "plain");
    }
}

static void
test_charset_bad_bytes (void)
{
  assert_text ("utf-8", "a\xff\xc3z\xe2\x82", "a" FFFD FFFD "z" FFFD FFFD);
  assert_text ("utf-8", "\xed\xa0\x80\xc0\x80", FFFD FFFD FFFD FFFD FFFD);
  assert_text ("windows-1252", "\x81", FFFD);
  assert_text ("shift_jis", "a\x81", "a" FFFD);
  assert_text ("euc-kr",
               "\xff"
               "b\xb0",
               FFFD "b" FFFD);
  assert_text ("iso-8859-7", "\xff.", FFFD ".");
}

/* The descriptors that are open at a time are counted in table rows, not in texts. */
static void
test_charset_converters_kept (void)
{
  g_autoptr (RookCharsets) charsets = rook_charsets_new ();
  RookConverter *first, *second;
  guint n = 0;

  while (rook_charset_nth (n) != NULL)
    n++;
  g_assert_cmpuint (n, <, 64);
  /* Two at once in one charset have a descriptor each, and do not disturb each other. */
  first = rook_converter_new (charsets, "iso-2022-jp");
  second = rook_converter_new (charsets, "iso-2022-jp");
  {
    g_autoptr (GString) a = g_string_new (NULL);
    g_autoptr (GString) b = g_string_new (NULL);

    rook_converter_feed (first, "\x1b$BF|", 5, a);
    rook_converter_feed (second, "F|", 2, b);
    rook_converter_feed (first, "K\\", 2, a);
    g_assert_cmpstr (a->str, ==, "日本");
    g_assert_cmpstr (b->str, ==, "F|");
  }
  rook_converter_free (first);
  rook_converter_free (second);
  assert_text ("iso-2022-jp", "F|", "F|"); /* what is kept begins afresh */
}

static void
test_converter_as_new (void)
{
  static const char *const names[] = { "iso-2022-jp", "utf-8", "euc-jp" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (RookCharsets) charsets = rook_charsets_new ();
      g_autoptr (RookConverter) converter = rook_converter_new (charsets, names[i]);
      g_autoptr (GString) out = g_string_new (NULL);

      rook_converter_feed (converter, i == 0 ? "\x1b$B" : "\xe6", i == 0 ? 3 : 1, out);
      rook_converter_finish (converter, out);
      g_assert_cmpstr (out->str, ==, i == 0 ? "" : FFFD);
      g_string_truncate (out, 0);
      rook_converter_feed (converter, "F|", 2, out);
      rook_converter_finish (converter, out);
      g_assert_cmpstr (out->str, ==, "F|");
    }
}

/* Bytes of the kind that trouble decoders: escapes, lead bytes, quotes, and any. */
static char *
random_bytes (gsize *out_length)
{
  static const char *const pieces[] = { "\x1b$B",
                                        "\x1b(B",
                                        "\x1b$)C",
                                        "\x0e",
                                        "\x0f",
                                        "=?utf-8?q?",
                                        "?=",
                                        "=?iso-2022-jp?B?",
                                        "=",
                                        "=\r\n",
                                        " \t",
                                        "\r\n",
                                        "+AGE-",
                                        "\xff\xfe",
                                        "\xe2\x82\xac",
                                        "\xf0\x9f",
                                        "%e4",
                                        "*0*=",
                                        "\"",
                                        "abcd",
                                        "=3D",
                                        "'",
                                        ";" };
  GString *out = g_string_new (NULL);

  for (gint n = g_test_rand_int_range (0, 60); n > 0; n--)
    if (g_test_rand_int_range (0, 2) == 0)
      g_string_append (out, pieces[g_test_rand_int_range (0, G_N_ELEMENTS (pieces))]);
    else
      g_string_append_c (out, (char) g_test_rand_int_range (0, 256));
  *out_length = out->len;
  return g_string_free (out, FALSE);
}

static void
assert_clean (const char *text, gsize length, gsize given)
{
  g_assert_true (g_utf8_validate_len (text, length, NULL)); /* which refuses NUL */
  g_assert_cmpuint (length, <=, 4 * given + 64);
}

static void
test_converter_pieces (void)
{
  gint64 end = test_budget_end (0.25);

  do
    {
      g_autoptr (RookCharsets) charsets = rook_charsets_new ();

      for (guint i = 0; rook_charset_nth (i) != NULL; i++)
        {
          g_autoptr (RookConverter) converter = rook_converter_new_for (charsets, rook_charset_nth (i));
          g_autoptr (GString) whole = g_string_new (NULL);
          g_autoptr (GString) pieces = g_string_new (NULL);
          gsize length;
          g_autofree char *bytes = random_bytes (&length);

          rook_converter_feed (converter, bytes, length, whole);
          rook_converter_finish (converter, whole);
          for (gsize at = 0, n; at < length; at += n)
            {
              n = (gsize) g_test_rand_int_range (0, 5);
              n = MIN (length - at, n);
              rook_converter_feed (converter, bytes + at, n, pieces);
            }
          rook_converter_finish (converter, pieces);
          if (!g_string_equal (whole, pieces))
            {
              g_autofree char *quoted = g_strescape (bytes, NULL);

              g_error ("%s: %s: %s / %s", rook_charset_nth (i)->names, quoted, whole->str, pieces->str);
            }
          assert_clean (whole->str, whole->len, length);
        }
    }
  while (g_get_monotonic_time () < end);
}

static void
test_converter_waits_bounded (void)
{
  for (guint i = 0; rook_charset_nth (i) != NULL; i++)
    for (const char *byte = "a\x1b\x81\xf0"; *byte != '\0'; byte++)
      {
        g_autoptr (RookCharsets) charsets = rook_charsets_new ();
        g_autoptr (RookConverter) converter = rook_converter_new_for (charsets, rook_charset_nth (i));
        g_autoptr (GString) out = g_string_new (NULL);

        for (guint n = 1; n <= 1000; n++)
          {
            rook_converter_feed (converter, byte, 1, out);
            g_assert_cmpuint (4 * out->len + 32, >=, n); /* a character is four bytes at most */
          }
      }
}

/* --- transfer encodings ------------------------------------------------------------------------------------------- */

static char *
undo (const char *encoding, const char *text)
{
  g_autoptr (RookTransfer) transfer = rook_transfer_new (encoding);
  GString *out = g_string_new (NULL);

  rook_transfer_feed (transfer, text, strlen (text), out);
  rook_transfer_finish (transfer, out);
  return g_string_free (out, FALSE);
}

static void
check_transfer (const char *const (*cases)[3], guint n)
{
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *got = undo (cases[i][0], cases[i][1]);

      g_assert_cmpstr (got, ==, cases[i][2]);
    }
}

static void
test_transfer_undone (void)
{
  static const char *const cases[][3] = {
    { "BASE64", "aGVsbG8gd29ybGQ=", "hello world" },
    { "base64", "aGVs\r\nbG8=\r\n", "hello" },
    { "Quoted-Printable", "Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.",
      "Now's the time for all folk to come to the aid of their country." },
    { "quoted-printable", "a=3Db =c3=A4\r\n", "a=b ä\r\n" },
    { "quoted-printable", "a  \t\r\nb \n c ", "a\r\nb\n c" },
    { "quoted-printable", "a= \t\r\nb=\nc=", "abc" },
    { "7BIT", "a=3D\r\n", "a=3D\r\n" },
    { "8bit", "\xc3\xa4", "ä" },
    { "x-uuencode", "begin 644 a\n", "begin 644 a\n" },
    { NULL, "=41", "=41" },
  };

  check_transfer (cases, G_N_ELEMENTS (cases));
}

static void
test_transfer_garbage (void)
{
  static const char *const cases[][3] = {
    { "base64", "aGV*s\x80\r\n!bG8=", "hello" },
    { "base64", "aGVs=bG8=", "hello" },
    { "base64", "aGk=aGk=", "hihi" },
    { "base64", "aGVsbG8", "hello" },
    { "base64", "aGVsb", "hel" },
    { "base64", "====", "" },
    { "quoted-printable", "=XY =4 =4=41 ==41 100% =\rx", "=XY =4 =4A =A 100% =\rx" },
    { "quoted-printable", "=4", "=4" },
    { "quoted-printable", "a \rb\r\r\n", "a \rb\r\r\n" },
    { "quoted-printable", "=4\r\n=  x", "=4\r\n=  x" },
  };

  check_transfer (cases, G_N_ELEMENTS (cases));
}

/* As a mailer would: lines of 76, soft breaks, escapes for what needs them. */
static char *
encode_qp (const char *bytes, gsize length)
{
  GString *out = g_string_new (NULL);

  for (gsize i = 0, column = 0; i < length; i++)
    {
      guchar c = (guchar) bytes[i];

      if (column > 70)
        {
          g_string_append (out, g_test_rand_int_range (0, 2) == 0 ? "=\r\n" : "= \n");
          column = 0;
        }
      if (c > ' ' && c < 0x7f && c != '=')
        g_string_append_c (out, (char) c);
      else
        g_string_append_printf (out, "=%02X", c);
      column += 3;
    }
  return g_string_free (out, FALSE);
}

static void
feed_pieces (RookTransfer *transfer, const char *text, GString *out)
{
  gsize length = strlen (text);

  for (gsize at = 0, n; at < length; at += n)
    {
      n = (gsize) g_test_rand_int_range (0, 9);
      n = MIN (length - at, n);
      rook_transfer_feed (transfer, text + at, n, out);
    }
  rook_transfer_finish (transfer, out);
}

static void
test_transfer_pieces (void)
{
  gint64 end = test_budget_end (0.25);
  g_autoptr (RookTransfer) base64 = rook_transfer_new ("base64");
  g_autoptr (RookTransfer) qp = rook_transfer_new ("quoted-printable");

  do
    {
      gsize length;
      g_autofree char *bytes = random_bytes (&length);
      g_autofree char *in_base64 = g_base64_encode ((const guchar *) bytes, length);
      g_autofree char *in_qp = encode_qp (bytes, length);
      g_autofree char *raw = undo ("quoted-printable", bytes);
      g_autoptr (GString) out = g_string_new (NULL);

      feed_pieces (base64, in_base64, out);
      g_assert_cmpmem (out->str, out->len, bytes, length);
      g_string_truncate (out, 0);
      feed_pieces (qp, in_qp, out);
      g_assert_cmpmem (out->str, out->len, bytes, length);
      g_string_truncate (out, 0);
      feed_pieces (qp, bytes, out);
      g_assert_cmpstr (out->str, ==, raw);
    }
  while (g_get_monotonic_time () < end);
}

static void
test_transfer_waits_bounded (void)
{
  g_autoptr (RookTransfer) transfer = rook_transfer_new ("quoted-printable");
  g_autoptr (GString) out = g_string_new (NULL);

  rook_transfer_feed (transfer, "=", 1, out);
  for (guint i = 1; i <= 5000; i++)
    {
      rook_transfer_feed (transfer, " ", 1, out);
      g_assert_cmpuint (out->len + 1000, >=, i);
    }
  rook_transfer_feed (transfer, "x", 1, out);
  g_assert_cmpuint (out->len, ==, 5002);
}

static void
test_transfer_as_new (void)
{
  g_autoptr (RookTransfer) transfer = rook_transfer_new ("base64");
  g_autoptr (GString) out = g_string_new (NULL);

  rook_transfer_feed (transfer, "aGV", 3, out);
  rook_transfer_finish (transfer, out);
  rook_transfer_feed (transfer, "aGk=", 4, out);
  g_assert_cmpstr (out->str, ==, "hehi");
}

/* --- encoded words -------------------------------------------------------------------------------------------------- */

static void
check_headers (const char *const (*cases)[2], guint n)
{
  g_autoptr (RookCharsets) charsets = rook_charsets_new ();

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *got = rook_mime_decode_header (charsets, cases[i][0], strlen (cases[i][0]));

      g_assert_cmpstr (got, ==, cases[i][1]);
    }
}

/* The examples of RFC 2047 8, and of its 2 and RFC 2231 5. */
static void
test_words_rfc (void)
{
  static const char *const cases[][2] = {
    { "=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>" },
    { "=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>", "Keld Jørn Simonsen <keld@dkuug.dk>" },
    { "=?ISO-8859-1?Q?Andr=E9?= Pirard <PIRARD@vm1.ulg.ac.be>", "André Pirard <PIRARD@vm1.ulg.ac.be>" },
    { "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
      "If you can read this you understand the example." },
    { "=?ISO-8859-1?Q?Olle_J=E4rnefors?= <ojarnef@admin.kth.se>", "Olle Järnefors <ojarnef@admin.kth.se>" },
    { "=?ISO-8859-1?Q?Patrik_F=E4ltstr=F6m?= <paf@nada.kth.se>", "Patrik Fältström <paf@nada.kth.se>" },
    { "Nathaniel Borenstein <nsb@thumper.bellcore.com>\r\n (=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=)",
      "Nathaniel Borenstein <nsb@thumper.bellcore.com> (םולש ןב ילטפנ)" },
    { "(=?ISO-8859-1?Q?a?=)", "(a)" },
    { "(=?ISO-8859-1?Q?a?= b)", "(a b)" },
    { "(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)" },
    { "(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)" },
    { "(=?ISO-8859-1?Q?a?=\r\n       =?ISO-8859-1?Q?b?=)", "(ab)" },
    { "(=?ISO-8859-1?Q?a_b?=)", "(a b)" },
    { "(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)" },
    { "=?US-ASCII*EN?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>" },
  };

  check_headers (cases, G_N_ELEMENTS (cases));
}

static void
test_words_where_they_may_not_be (void)
{
  static const char *const cases[][2] = {
    { "\"=?utf-8?q?J=C3=B8rn?=\" <j@x>", "\"Jørn\" <j@x>" },
    { "a=?utf-8?q?b?=c", "abc" },
    { "=?utf-8?q?a?==?utf-8?q?b?=", "ab" },
    { "=?utf-8?q?two words?=", "two words" },
    { "=?utf-8?q?what?"
      "?=",
      "what?" },
    { "=?utf-8?b?YQ==?= x =?utf-8?b?Yg?=", "a x b" },
    { "=?utf-8?q?=C3=BC?=\tplain", "ü\tplain" },
  };

  check_headers (cases, G_N_ELEMENTS (cases));
}

static void
test_words_split_characters (void)
{
  static const char *const cases[][2] = {
    { "=?utf-8?q?=e2=82?= =?UTF-8?b?rA==?=", "€" },
    { "=?utf-8?q?=f0?= =?utf-8?q?=9f?= =?utf-8*en?q?=98?=\r\n =?utf-8?q?=80?=", "😀" },
    { "=?gb2312?b?1g==?= =?gbk?b?0A==?=", "中" },
    { "=?euc-kr?b?sA==?= x", FFFD " x" },
    { "=?utf-8?q?=e2?= =?iso-8859-2?q?=e8?=", FFFD "č" },
    { "=?iso-2022-jp?b?GyRCRnw=?= =?iso-2022-jp?b?YWJj?=", "日abc" }, /* each begins in ASCII */
  };

  check_headers (cases, G_N_ELEMENTS (cases));
}

static void
test_words_others_stay (void)
{
  static const char *const cases[][2] = {
    { "=?utf-8?x?abc?=", "=?utf-8?x?abc?=" },
    { "=?utf-8?q?abc", "=?utf-8?q?abc" },
    { "=??q?abc?=", "=??q?abc?=" },
    { "=?a b?q?abc?=", "=?a b?q?abc?=" },
    { "=?utf-8?qq?abc?=", "=?utf-8?qq?abc?=" },
    { "=?", "=?" },
    { "=", "=" },
    { "=?x?q?", "=?x?q?" },
    { "=?=?utf-8?q?a?=", "=?a" },
    { "=?utf-8?q?a=4=zz=?=", "a=4=zz=" },
    { "=?utf-8?x?b?=  =?utf-8?q?c?=", "=?utf-8?x?b?=  c" },
    { "", "" },
  };

  check_headers (cases, G_N_ELEMENTS (cases));
}

static void
test_words_raw_bytes (void)
{
  static const char *const cases[][2] = {
    { "gr\xc3\xbc\xc3\x9f gr\xfc\xdf", "grüß grüß" },
    { "=?x-unknown?q?gr=FC=C3=9F?= =?nonsense?q?=C3?= =?other?q?=9F?=", "grüßß" },
  };

  check_headers (cases, G_N_ELEMENTS (cases));
}

static void
test_words_one_line (void)
{
  static const char *const cases[][2] = {
    { " folded\r\n\ttext\r\n here ", "folded\ttext here" },
    { "=?utf-8?q?a=0D=0ABcc:_x=00y?=", "a  Bcc: xy" },
    { "=?utf-16be?b?AGEACgBi?=", "a b" },
  };

  check_headers (cases, G_N_ELEMENTS (cases));
}

/* --- parameters --------------------------------------------------------------------------------------------------- */

static void
check_params (const char *const (*cases)[2], guint n, const char *name)
{
  g_autoptr (RookCharsets) charsets = rook_charsets_new ();

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *got = rook_mime_decode_param (charsets, cases[i][0], strlen (cases[i][0]), name);

      g_assert_cmpstr (got, ==, cases[i][1]);
    }
}

/* The examples of RFC 2231 3 and 4. */
static void
test_params_rfc (void)
{
  static const char *const url[][2] = {
    { "message/external-body; access-type=URL;\r\n URL*0=\"ftp://\";\r\n "
      "URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"",
      "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar" },
  };
  static const char *const title[][2] = {
    { "application/x-stuff;\r\n title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", "This is ***fun***" },
    { "application/x-stuff;\r\n    title*0*=us-ascii'en'This%20is%20even%20more%20;\r\n    "
      "title*1*=%2A%2A%2Afun%2A%2A%2A%20;\r\n"
      "    title*2=\"isn't it!\"",
      "This is even more ***fun*** isn't it!" },
  };

  check_params (url, G_N_ELEMENTS (url), "url");
  check_params (title, G_N_ELEMENTS (title), "TITLE");
}

static void
test_params_order (void)
{
  static const char *const cases[][2] = {
    { "a; n*1=b; n*0=a; n*2=c", "abc" },
    { "a; n*1*=%C3%9F; n*0*=utf-8''%c3%bc", "üß" },
    { "a; n*0*=utf-8''%e2%82; n*1*=%ac", "€" },
    { "a; n*0=a%20; n*1*=%41", "a%20A" },
    { "a; n=plain; n*=utf-8''ext", "ext" },
    { "a; n=plain; n*0=pie; n*1=ces", "pieces" },
    { "a; n*0=pieces; n*=utf-8''one", "one" },
    { "a; n=first; n=second", "first" },
    { "a; n*=utf-8''first; n*=utf-8''second", "first" },
    { "a; n*0=x; n*0*=utf-8''y; n*2=z", "y" },
    { "a; n*=100%zz", "100%zz" },
    { "a; n*=no-quotes%20'here", "no-quotes 'here" },
    { "a; n*=gb2312''%D6%D0", "中" },
    { "a; n*=x-unknown''%FC", "ü" },
    { "a; n*=utf-8''a%0D%0Ab%00", "a  b" },
    { "a; n*00=x; n=y", "y" },
    { "a; n*1=x", NULL },
    { "a; nn=x; m*0=n", NULL },
    { "a", NULL },
    { "", NULL },
  };

  check_params (cases, G_N_ELEMENTS (cases), "n");
}

static void
test_params_words (void)
{
  static const char *const cases[][2] = {
    { "a; n=\"=?utf-8?q?gr=C3=BC=C3=9F=2Epdf?=\"", "grüß.pdf" },
    { "a; n==?utf-8?b?w7w=?=", "ü" },
    { "a; n=\"=?utf-8?b?4oI=?=\r\n =?utf-8?b?rC5wZGY=?=\"", "€.pdf" },
    { "a; n*0=\"=?utf-8?b?4oI=?= \"; n*1=\"=?utf-8?b?rA==?=\"", "€" },
    { "a; n=\"gr\xfc\xdf\"", "grüß" },
    { "a; n*0*=utf-8''=?utf-8?q?a?=", "=?utf-8?q?a?=" },
  };

  check_params (cases, G_N_ELEMENTS (cases), "N");
}

static void
test_params_bounded (void)
{
  g_autoptr (RookCharsets) charsets = rook_charsets_new ();
  g_autoptr (GString) value = g_string_new ("a");
  g_autofree char *got = NULL;

  for (guint i = 0; i < 64; i++)
    g_string_append_printf (value, "; x%u=y", i);
  g_string_append (value, "; last=z");
  got = rook_mime_decode_param (charsets, value->str, value->len, "x63");
  g_assert_cmpstr (got, ==, "y");
  g_assert_null (rook_mime_decode_param (charsets, value->str, value->len, "last"));
}

static void
test_filename (void)
{
  static const char *const cases[][2] = {
    { "Content-Type: a/b; name=n\r\nContent-Disposition: attachment; filename=f\r\n\r\n", "f" },
    { "Content-Type: a/b; name=n\r\nContent-Disposition: attachment\r\n\r\n", "n" },
    { "content-disposition : inline;\r\n filename*=utf-8''%e2%82%ac\r\nContent-Disposition: x; filename=2\r\n", "€" },
    { "Content-Type: a/b; name=\"../n\"\r\n", "../n" },
    { "Content-Type: a/b\r\n\r\n", NULL },
    { "", NULL },
  };
  g_autoptr (RookCharsets) charsets = rook_charsets_new ();

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *got = rook_mime_decode_filename (charsets, cases[i][0], strlen (cases[i][0]));

      g_assert_cmpstr (got, ==, cases[i][1]);
    }
}

/* --- parts -------------------------------------------------------------------------------------------------------- */

#define MIXED                                                                                                \
  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=ISO-8859-2\r\n" \
  "Content-Transfer-Encoding: quoted-printable\r\n\r\n=E8=\r\n=E8 \r\n--b\r\nContent-Type: text/html; "      \
  "charset=utf-8\r\n"                                                                                        \
  "Content-Transfer-Encoding: base64\r\n\r\n4oKs4o\r\nKs\r\n--b\r\n\r\nbare \xfc\r\n--b--\r\n"

/* By pieces of @size bytes. */
static char *
part_text (RookCharsets *charsets, const char *message, const RookMimePart *part, gsize size)
{
  g_autoptr (RookPartText) text = rook_part_text_new (charsets, part);
  GString *out = g_string_new (NULL);

  for (gsize at = 0; at < part->body_length; at += size)
    rook_part_text_feed (text, message + part->body_offset + at, MIN (size, part->body_length - at), out);
  rook_part_text_finish (text, out);
  return g_string_free (out, FALSE);
}

static void
test_part_text (void)
{
  static const char *const expected[] = { "čč", "€€", "bare ü" };
  g_autoptr (RookCharsets) charsets = rook_charsets_new ();
  g_autoptr (GBytes) bytes = g_bytes_new_static (MIXED, strlen (MIXED));
  g_autoptr (RookMime) parsed = rook_mime_parse (bytes);
  g_autoptr (GBytes) cache = rook_mime_to_cache (parsed);
  g_autoptr (RookMime) mime = rook_mime_from_cache (cache);
  const RookMimePart *part = rook_mime_next_part (mime, NULL);
  guint n = 0;

  while ((part = rook_mime_next_part (mime, part)) != NULL)
    {
      for (gsize size = 1; size < 30; size++)
        {
          g_autofree char *got = part_text (charsets, MIXED, part, size);

          g_assert_cmpstr (got, ==, expected[n]);
        }
      n++;
    }
  g_assert_cmpuint (n, ==, 3);
}

static void
test_part_text_keeps_no_part (void)
{
  g_autoptr (RookCharsets) charsets = rook_charsets_new ();
  g_autofree char *encoding = g_strdup ("BASE64");
  g_autofree char *charset = g_strdup ("x-koi8-r");
  RookMimePart part = { .encoding = encoding, .charset = charset };
  g_autoptr (RookPartText) text = rook_part_text_new (charsets, &part);
  g_autoptr (GString) out = g_string_new (NULL);

  memset (encoding, 'x', strlen (encoding));
  memset (charset, 'x', strlen (charset));
  memset (&part, 0, sizeof part);
  rook_part_text_feed (text, "wQ==", 4, out);
  rook_part_text_finish (text, out);
  g_assert_cmpstr (out->str, ==, "а");
}

typedef struct {
  RookPartText *text;
  GString *out;
  char piece[4096];
} Stream;

static void
feed_much (gpointer data)
{
  Stream *stream = data;

  for (guint i = 0; i < 5000; i++) /* 20 MB */
    {
      rook_part_text_feed (stream->text, stream->piece, sizeof stream->piece, stream->out);
      g_string_truncate (stream->out, 0);
    }
}

static void
test_part_text_room (void)
{
  g_autoptr (RookCharsets) charsets = rook_charsets_new ();
  RookMimePart part = { .encoding = "QUOTED-PRINTABLE", .charset = "shift_jis" };
  Stream stream = { .text = rook_part_text_new (charsets, &part), .out = g_string_sized_new (64 * 1024) };

  memset (stream.piece, ' ', sizeof stream.piece);
  g_assert_cmpuint (test_heap_taken (feed_much, &stream), <, 64 * 1024);
  rook_part_text_free (stream.text);
  g_string_free (stream.out, TRUE);
}

/* --- all of it ------------------------------------------------------------------------------------------------------ */

static void
test_valid_whatever_went_in (void)
{
  gint64 end = test_budget_end (0.25);
  g_autoptr (RookCharsets) charsets = rook_charsets_new ();

  do
    {
      gsize length;
      g_autofree char *bytes = random_bytes (&length);
      g_autofree char *header = rook_mime_decode_header (charsets, bytes, length);
      g_autofree char *param = rook_mime_decode_param (charsets, bytes, length, "x");
      g_autofree char *filename = rook_mime_decode_filename (charsets, bytes, length);
      g_autofree char *text = rook_charset_to_utf8 (charsets, "utf-7", bytes, length);

      assert_clean (header, strlen (header), length);
      g_assert_null (strpbrk (header, "\r\n"));
      assert_clean (text, strlen (text), length);
      if (param != NULL)
        assert_clean (param, strlen (param), length);
      if (filename != NULL)
        assert_clean (filename, strlen (filename), length);
    }
  while (g_get_monotonic_time () < end);
}

static void
decode_all (gpointer data)
{
  static const char words[] = "=?iso-8859-2?q?=e8?= =?gb2312?b?1tA=?=";
  g_autofree char *header = rook_mime_decode_header (data, words, sizeof words - 1);
  g_autofree char *text = rook_charset_to_utf8 (data, "shift_jis", "\x93\xfa", 2);

  g_assert_cmpstr (header, ==, "č中");
  g_assert_cmpstr (text, ==, "日");
}

static void
test_never_blocks (void)
{
  g_autoptr (RookCharsets) charsets = rook_charsets_new ();

  decode_all (charsets); /* loads the converters */
  g_assert_true (test_is_calm (decode_all, charsets));
}

static gpointer
decode_in_thread (gpointer data)
{
  g_autoptr (RookCharsets) charsets = rook_charsets_new ();

  for (guint i = 0; i < 200; i++)
    decode_all (charsets);
  return data;
}

static void
test_any_thread (void)
{
  GThread *threads[4];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new (NULL, decode_in_thread, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/mime/charset/converted", test_charset_converted);
  g_test_add_func ("/mime/charset/aliases-of-mailers", test_charset_aliases);
  g_test_add_func ("/mime/charset/utf-7", test_charset_utf7);
  g_test_add_func ("/mime/charset/supersets", test_charset_supersets);
  g_test_add_func ("/mime/charset/only-names-of-the-table", test_charset_table_alone);
  g_test_add_func ("/mime/charset/unknown-is-utf-8-or-windows-1252", test_charset_unknown);
  g_test_add_func ("/mime/charset/bad-bytes-are-replaced", test_charset_bad_bytes);
  g_test_add_func ("/mime/charset/converters-are-kept-one-a-charset", test_charset_converters_kept);
  g_test_add_func ("/mime/converter/as-new-after-finish", test_converter_as_new);
  g_test_add_func ("/mime/converter/pieces-make-no-difference", test_converter_pieces);
  g_test_add_func ("/mime/converter/what-waits-is-bounded", test_converter_waits_bounded);
  g_test_add_func ("/mime/transfer/undone", test_transfer_undone);
  g_test_add_func ("/mime/transfer/garbage", test_transfer_garbage);
  g_test_add_func ("/mime/transfer/pieces-make-no-difference", test_transfer_pieces);
  g_test_add_func ("/mime/transfer/what-waits-is-bounded", test_transfer_waits_bounded);
  g_test_add_func ("/mime/transfer/as-new-after-finish", test_transfer_as_new);
  g_test_add_func ("/mime/words/rfc-examples", test_words_rfc);
  g_test_add_func ("/mime/words/where-they-may-not-be", test_words_where_they_may_not_be);
  g_test_add_func ("/mime/words/split-characters", test_words_split_characters);
  g_test_add_func ("/mime/words/others-stay", test_words_others_stay);
  g_test_add_func ("/mime/words/raw-bytes", test_words_raw_bytes);
  g_test_add_func ("/mime/words/one-line", test_words_one_line);
  g_test_add_func ("/mime/params/rfc-examples", test_params_rfc);
  g_test_add_func ("/mime/params/order-and-first", test_params_order);
  g_test_add_func ("/mime/params/encoded-words", test_params_words);
  g_test_add_func ("/mime/params/first-64", test_params_bounded);
  g_test_add_func ("/mime/params/filename", test_filename);
  g_test_add_func ("/mime/part-text/decoded", test_part_text);
  g_test_add_func ("/mime/part-text/part-is-not-kept", test_part_text_keeps_no_part);
  g_test_add_func ("/mime/part-text/few-kilobytes-however-long", test_part_text_room);
  g_test_add_func ("/mime/text/valid-whatever-went-in", test_valid_whatever_went_in);
  g_test_add_func ("/mime/text/never-blocks", test_never_blocks);
  g_test_add_func ("/mime/text/any-thread", test_any_thread);
  return g_test_run ();
}
