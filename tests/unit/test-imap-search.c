/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looking through the text of messages for a SEARCH program, in pieces.
 */
#include <string.h>

#include "imap/search-scan.h"

static const ImapLimits limits = { .literal = 100, .command = 10000, .arguments = 5000, .nesting = 10 };

static ImapSearch *
program_new (const char *text)
{
  g_autoptr (GPtrArray) parts = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  g_autoptr (GError) error = NULL;
  ImapParser parser;
  ImapSearch *program;

  g_ptr_array_add (parts, g_bytes_new (text, strlen (text)));
  imap_parser_init (&parser, &limits, parts);
  program = imap_search_parse (&parser, &error);
  g_assert_no_error (error);
  return program;
}

static ImapSearchVerdict
judge (ImapSearch *program, ImapSearchScan *scan)
{
  RookMessage message = { 0 };
  ImapSearchSubject subject = { .seq = 1, .message = &message, .scan = scan };
  ImapSearchLevel need;

  return imap_search_judge (program, &subject, &need);
}

/* Feeds the message in pieces of @piece. Returns: the bytes after which it was clear. */
static gsize
scan_in_pieces (ImapSearch *program, ImapSearchScan *scan, const char *text, gsize length, gsize piece)
{
  gsize pos = 0;

  imap_search_scan_reset (scan);
  while (pos < length && judge (program, scan) == IMAP_SEARCH_UNKNOWN)
    {
      gsize take = MIN (piece, length - pos);

      imap_search_scan_feed (scan, text + pos, take, pos + take == length);
      pos += take;
    }
  return pos;
}

static void
assert_search (const char *key, const char *text, gboolean expected)
{
  g_autoptr (ImapSearch) program = program_new (key);
  ImapSearchScan *scan = imap_search_scan_new (program);
  gsize length = strlen (text);

  for (gsize piece = length > 1000 ? 5000 : 1; piece <= length + 1; piece += length > 1000 ? length / 5 : 1)
    {
      scan_in_pieces (program, scan, text, length, piece);
      if (judge (program, scan) != (expected ? IMAP_SEARCH_YES : IMAP_SEARCH_NO))
        g_test_message ("%s in pieces of %" G_GSIZE_FORMAT, key, piece);
      g_assert_cmpint (judge (program, scan), ==, expected ? IMAP_SEARCH_YES : IMAP_SEARCH_NO);
    }
  imap_search_scan_free (scan);
}

#define MAIL                                                                                        \
  "Subject: =?utf-8?q?=C3=84pfel?= and\r\n pears\r\nX-Odd : strange =?iso-8859-1?q?=C9?= Value\r\n" \
  "X-Empty:\r\n\r\nFirst line\r\nsecond L\303\204RM line\r\nthird caf\351 line\r\n"

static void
test_header (void)
{
  assert_search ("HEADER X-Odd \"strange \303\251\"", MAIL, TRUE);
  assert_search ("HEADER x-odd value", MAIL, TRUE);
  assert_search ("HEADER X-Odd odd", MAIL, FALSE); /* the name is no value */
  assert_search ("HEADER X-Od value", MAIL, FALSE);
  assert_search ("HEADER X-Odd line", MAIL, FALSE);
  assert_search ("HEADER X-Odd \"\"", MAIL, TRUE);
  assert_search ("HEADER X-Empty \"\"", MAIL, TRUE);
  assert_search ("HEADER X-None \"\"", MAIL, FALSE);
  assert_search ("HEADER X-Odd x", "X-Odd: x", TRUE); /* a message that is all header */
}

static void
test_text (void)
{
  assert_search ("TEXT \"\303\244PFEL and pears\"", MAIL, TRUE);
  assert_search ("TEXT \"subject: \303\244pf\"", MAIL, TRUE);
  assert_search ("TEXT third", MAIL, TRUE);
  assert_search ("TEXT none", MAIL, FALSE);
  assert_search ("TEXT \"\"", MAIL, TRUE);
  assert_search ("TEXT \"pears x-odd\"", MAIL, FALSE);
  assert_search ("OR TEXT none NOT TEXT first", MAIL, FALSE);
}

static void
test_body (void)
{
  assert_search ("BODY pears", MAIL, FALSE);
  assert_search ("BODY \"SECOND l\303\244rm\"", MAIL, TRUE);
  assert_search ("BODY \"caf\303\211 line\"", MAIL, TRUE); /* that line is Latin-1, the one before is not */
  assert_search ("BODY First", "\r\nFirst", TRUE);
  assert_search ("BODY x", "X: x\r\n\r\n", FALSE);
  assert_search ("BODY \"\"", "X: x\r\n\r\n", TRUE);
  assert_search ("BODY x", "\r\n\r", FALSE);
}

/* A line of a megabyte is cut, but never within a character, and never between a needle's halves. */
static void
test_long_lines (void)
{
  g_autoptr (GString) text = g_string_new ("X: x\r\n\r\n");

  for (guint i = 0; i < 60000; i++)
    g_string_append (text, "\303\204x\342\202\254y");
  g_string_append (text, "needle\r\n");
  for (guint i = 0; i < 100000; i++)
    g_string_append (text, "\351");
  assert_search ("BODY \"\303\244X\342\202\254Y\303\204X\342\202\254YNEEDLE\"", text->str, TRUE);
  assert_search ("BODY \"\357\277\275\"", text->str, FALSE);
  assert_search ("BODY \"\303\211\303\211\303\211\"", text->str, TRUE);
}

/* Of a field its first megabyte is compared, and the next field is found again. */
static void
test_long_fields (void)
{
  g_autoptr (GString) text = g_string_new ("A: begin ");

  for (guint i = 0; i < 1 << 20; i++)
    g_string_append (text, i % 100 == 99 ? "\r\n " : "xx");
  g_string_append (text, " end\r\nX-Odd: odd\r\n\r\nbody\r\n");
  assert_search ("HEADER A begin", text->str, TRUE);
  assert_search ("HEADER A end", text->str, FALSE);
  assert_search ("HEADER X-Odd odd", text->str, TRUE);
  assert_search ("BODY body", text->str, TRUE);
  assert_search ("BODY end", text->str, FALSE);
}

static void
test_stops_when_it_is_clear (void)
{
  g_autoptr (ImapSearch) program = program_new ("TEXT subject HEADER X-Odd value");
  g_autoptr (GString) text = g_string_new (MAIL);
  ImapSearchScan *scan = imap_search_scan_new (program);

  for (guint i = 0; i < 10000; i++)
    g_string_append (text, "more\r\n");
  g_assert_cmpuint (scan_in_pieces (program, scan, text->str, text->len, 10), <, strlen (MAIL));
  g_assert_cmpint (judge (program, scan), ==, IMAP_SEARCH_YES);
  imap_search_scan_free (scan);
}

/* A piece's work is bounded whatever the program, and so is what is kept. */
static void
test_pieces_are_bounded (void)
{
  g_autoptr (GString) keys = g_string_new ("NOT TEXT q");
  g_autoptr (ImapSearch) few = program_new (keys->str), many = NULL;
  ImapSearchScan *one = imap_search_scan_new (few), *thousand;

  for (guint i = 0; i < 500; i++)
    g_string_append_printf (keys, " NOT TEXT q%u", i);
  many = program_new (keys->str);
  thousand = imap_search_scan_new (many);
  g_assert_cmpuint (imap_search_scan_get_piece_size (one), ==, 256 * 1024);
  g_assert_cmpuint (imap_search_scan_get_piece_size (thousand) * 501, <=, 16 * 1024 * 1024);
  g_assert_true (imap_search_scan_is_cheap (one, 10000));
  g_assert_false (imap_search_scan_is_cheap (thousand, 10000));
  imap_search_scan_free (one);
  imap_search_scan_free (thousand);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/imap/search/header", test_header);
  g_test_add_func ("/imap/search/text", test_text);
  g_test_add_func ("/imap/search/body", test_body);
  g_test_add_func ("/imap/search/long-lines", test_long_lines);
  g_test_add_func ("/imap/search/long-fields", test_long_fields);
  g_test_add_func ("/imap/search/stops-when-it-is-clear", test_stops_when_it_is_clear);
  g_test_add_func ("/imap/search/pieces-are-bounded", test_pieces_are_bounded);
  return g_test_run ();
}
