/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The IMAP plugin's parsers and writers, without a session: input, arguments, sequence sets, FETCH items.
 */
#include <string.h>

#include "imap/fetch-items.h"
#include "imap/input.h"
#include "imap/pattern.h"
#include "imap/sequence.h"
#include "imap/write.h"

static const ImapLimits limits = {
  .line = 1000,
  .literal = 100,
  .command = 400,
  .message = 5000,
  .arguments = 20,
  .nesting = 4,
};

/* --- a parser over one line ----------------------------------------------------------------------------------------- */

typedef struct {
  GPtrArray *parts;
  ImapParser parser;
} Fixture;

/* Text and literals in turn, ended by NULL. */
static void
fixture_init (Fixture *self, const char *text, ...)
{
  va_list args;

  self->parts = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  va_start (args, text);
  for (; text != NULL; text = va_arg (args, const char *))
    g_ptr_array_add (self->parts, g_bytes_new (text, strlen (text)));
  va_end (args);
  imap_parser_init (&self->parser, &limits, self->parts);
}

static void
fixture_clear (Fixture *self)
{
  g_ptr_array_unref (self->parts);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

static void
assert_astring (const char *text, const char *expected)
{
  g_auto (Fixture) f;
  g_autofree char *string = NULL;
  g_autoptr (GError) error = NULL;

  fixture_init (&f, text, NULL);
  if (expected == NULL)
    {
      g_assert_false (imap_parse_astring (&f.parser, &string, &error));
      g_assert_error (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_SYNTAX);
      g_assert_null (string);
      return;
    }
  g_assert_true (imap_parse_astring (&f.parser, &string, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (string, ==, expected);
}

static void
test_astring (void)
{
  assert_astring ("INBOX rest", "INBOX");
  assert_astring ("a]b", "a]b");
  assert_astring ("\"\"", "");
  assert_astring ("\"a \\\"b\\\\\"", "a \"b\\");
  assert_astring ("\"caf\xc3\xa9\"", "caf\xc3\xa9");
  assert_astring ("", NULL);
  assert_astring ("(x)", NULL);
  assert_astring ("\"open", NULL);
  assert_astring ("\"\\n\"", NULL);
  assert_astring ("\"end\\", NULL);
  assert_astring ("caf\xc3\xa9*", "caf"); /* stops at 8-bit: what follows is refused */
}

static void
test_literal (void)
{
  g_auto (Fixture) f;
  g_autofree char *string = NULL;
  g_autoptr (GError) error = NULL;

  fixture_init (&f, "{3}", "a\"b", " {0+}", "", "", NULL);
  g_assert_true (imap_parse_astring (&f.parser, &string, &error));
  g_assert_cmpstr (string, ==, "a\"b");
  g_assert_true (imap_parse_space (&f.parser, &error));
  g_clear_pointer (&string, g_free);
  g_assert_true (imap_parse_astring (&f.parser, &string, &error));
  g_assert_cmpstr (string, ==, "");
  g_assert_true (imap_parse_end (&f.parser, &error));
}

static void
test_literal_refuses_nul (void)
{
  g_auto (Fixture) f;
  g_autofree char *string = NULL;
  g_autoptr (GError) error = NULL;

  fixture_init (&f, "{3}", NULL);
  g_ptr_array_add (f.parts, g_bytes_new ("a\0b", 3));
  g_ptr_array_add (f.parts, g_bytes_new ("", 0));
  g_assert_false (imap_parse_astring (&f.parser, &string, &error));
  g_assert_error (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_SYNTAX);
}

static void
test_numbers (void)
{
  g_auto (Fixture) f;
  g_autoptr (GError) error = NULL;
  guint32 number = 7;

  fixture_init (&f, "4294967295 4294967296", NULL);
  g_assert_true (imap_parse_number (&f.parser, &number, &error));
  g_assert_cmpuint (number, ==, G_MAXUINT32);
  g_assert_true (imap_parse_space (&f.parser, &error));
  g_assert_false (imap_parse_number (&f.parser, &number, &error));
  g_assert_error (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_SYNTAX);
  g_assert_cmpuint (number, ==, G_MAXUINT32);
}

static void
test_nz_number_refuses_zero (void)
{
  g_auto (Fixture) f;
  g_autoptr (GError) error = NULL;
  guint32 number;

  fixture_init (&f, "0", NULL);
  g_assert_false (imap_parse_nz_number (&f.parser, &number, &error));
}

static void
test_words (void)
{
  g_auto (Fixture) f;

  fixture_init (&f, "header.fields]", NULL);
  g_assert_false (imap_parse_try_word (&f.parser, "HEADER"));
  g_assert_true (imap_parse_try_word (&f.parser, "HEADER.FIELDS"));
  g_assert_cmpint (imap_parser_peek (&f.parser), ==, ']');
}

static void
test_argument_limit (void)
{
  g_auto (Fixture) f;
  g_autoptr (GError) error = NULL;
  g_autoptr (GArray) set = NULL;

  fixture_init (&f, "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21", NULL);
  g_assert_false (imap_parse_sequence_set (&f.parser, &set, &error));
  g_assert_error (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_LIMIT);
}

static void
test_nesting_limit (void)
{
  g_auto (Fixture) f;
  g_autoptr (GError) error = NULL;

  fixture_init (&f, "(((((", NULL);
  for (guint i = 0; i < limits.nesting; i++)
    g_assert_true (imap_parse_open (&f.parser, &error));
  g_assert_false (imap_parse_open (&f.parser, &error));
  g_assert_error (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_LIMIT);
}

/* --- flags and dates ------------------------------------------------------------------------------------------------- */

static void
test_flags (void)
{
  g_auto (Fixture) f;
  g_auto (ImapFlags) flags = { 0 };
  g_autoptr (GError) error = NULL;

  fixture_init (&f, "(\\seen $Forwarded \\Deleted)", NULL);
  g_assert_true (imap_parse_flags (&f.parser, &flags, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (flags.flags, ==, ROOK_FLAG_SEEN | ROOK_FLAG_DELETED);
  g_assert_cmpuint (flags.keywords->len, ==, 2);
  g_assert_cmpstr (flags.keywords->pdata[0], ==, "$Forwarded");
}

static void
test_flags_may_be_empty_in_a_list_only (void)
{
  g_auto (Fixture) empty, nothing;
  g_auto (ImapFlags) flags = { 0 };
  g_autoptr (GError) error = NULL;

  fixture_init (&empty, "()", NULL);
  g_assert_true (imap_parse_flags (&empty.parser, &flags, &error));
  g_assert_cmpuint (flags.flags, ==, 0);
  imap_flags_clear (&flags);
  fixture_init (&nothing, "", NULL);
  g_assert_false (imap_parse_flags (&nothing.parser, &flags, &error));
}

static void
test_recent_cannot_be_set (void)
{
  g_auto (Fixture) f;
  g_auto (ImapFlags) flags = { 0 };
  g_autoptr (GError) error = NULL;

  fixture_init (&f, "(\\Recent)", NULL);
  g_assert_false (imap_parse_flags (&f.parser, &flags, &error));
}

static void
test_date_time (void)
{
  static const struct {
    const char *text;
    gint64 time;
    gint zone;
  } cases[] = {
    { "\"17-Jul-1996 02:44:25 -0700\"", 837596665, -420 },
    { "\" 1-Jan-1970 00:00:00 +0000\"", 0, 0 },
    { "\"29-feb-2024 23:59:59 +0530\"", 1709231399, 330 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_auto (Fixture) f;
      g_autoptr (GError) error = NULL;
      gint64 time;
      gint16 zone;

      fixture_init (&f, cases[i].text, NULL);
      g_assert_true (imap_parse_date_time (&f.parser, &time, &zone, &error));
      g_assert_cmpint (time, ==, cases[i].time);
      g_assert_cmpint (zone, ==, cases[i].zone);
      g_assert_true (imap_parse_end (&f.parser, &error));
    }
}

static void
test_date_time_refuses (void)
{
  static const char *const cases[] = {
    "\"30-Feb-2024 00:00:00 +0000\"", "\"1-Jan-1970 00:00:00 +0000\"", "\"01-Foo-1970 00:00:00 +0000\"",
    "\"01-Jan-1970 24:00:00 +0000\"", "\"01-Jan-1970 00:00:00 0000\"", "\"01-Jan-1970 00:00:00 +0000",
    "01-Jan-1970 00:00:00 +0000",
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_auto (Fixture) f;
      g_autoptr (GError) error = NULL;
      gint64 time;
      gint16 zone;

      fixture_init (&f, cases[i], NULL);
      g_assert_false (imap_parse_date_time (&f.parser, &time, &zone, &error));
      g_assert_error (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_SYNTAX);
    }
}

static void
test_date (void)
{
  g_auto (Fixture) bare, quoted;
  g_autoptr (GError) error = NULL;
  gint32 day;

  fixture_init (&bare, "2-Jan-1970", NULL);
  g_assert_true (imap_parse_date (&bare.parser, &day, &error));
  g_assert_cmpint (day, ==, 1);
  fixture_init (&quoted, "\"31-Dec-1969\"", NULL);
  g_assert_true (imap_parse_date (&quoted.parser, &day, &error));
  g_assert_cmpint (day, ==, -1);
}

static void
test_date_time_is_written_as_it_is_read (void)
{
  g_autoptr (GString) out = g_string_new (NULL);

  imap_write_date_time (out, 837596665, -420);
  g_assert_cmpstr (out->str, ==, "\"17-Jul-1996 02:44:25 -0700\"");
  g_string_truncate (out, 0);
  imap_write_date_time (out, 0, 330);
  g_assert_cmpstr (out->str, ==, "\" 1-Jan-1970 05:30:00 +0530\"");
}

/* --- sequence sets ------------------------------------------------------------------------------------------------------ */

static void
assert_set (const char *text, guint32 largest, const char *expected)
{
  g_auto (Fixture) f;
  g_autoptr (GError) error = NULL;
  g_autoptr (GArray) set = NULL, ranges = NULL;
  g_autoptr (GString) out = g_string_new (NULL);

  fixture_init (&f, text, NULL);
  g_assert_true (imap_parse_sequence_set (&f.parser, &set, &error));
  g_assert_no_error (error);
  ranges = imap_sequence_normalise (set, largest);
  for (guint i = 0; i < ranges->len; i++)
    {
      const ImapRange *range = &g_array_index (ranges, ImapRange, i);

      g_string_append_printf (out, "%s%u:%u", i > 0 ? "," : "", range->first, range->last);
    }
  g_assert_cmpstr (out->str, ==, expected);
}

static void
test_sets (void)
{
  assert_set ("1", 10, "1:1");
  assert_set ("5:3", 10, "3:5");
  assert_set ("1:3,4,2:6,9", 10, "1:6,9:9");
  assert_set ("*", 10, "10:10");
  assert_set ("8:*", 10, "8:10");
  assert_set ("*:8", 10, "8:10");
  assert_set ("12:*", 10, "10:10"); /* RFC 3501: the last message always */
  assert_set ("11:12", 10, "");
  assert_set ("*", 0, "");
  assert_set ("1:4294967295", 10, "1:10");
  assert_set ("4294967295", 10, "");
}

static void
test_sets_refuse (void)
{
  static const char *const cases[] = { "", "0", "1:", ",1", "1,", "a", "1:0", "4294967296" };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_auto (Fixture) f;
      g_autoptr (GError) error = NULL;
      g_autoptr (GArray) set = NULL;

      fixture_init (&f, cases[i], NULL);
      g_assert_false (imap_parse_sequence_set (&f.parser, &set, &error));
      g_assert_error (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_SYNTAX);
    }
}

static void
test_set_contains (void)
{
  ImapRange ranges[] = { { 1, 3 }, { 7, 7 }, { 9, 20 } };
  g_autoptr (GArray) set = g_array_new (FALSE, FALSE, sizeof (ImapRange));

  g_array_append_vals (set, ranges, G_N_ELEMENTS (ranges));
  for (guint32 i = 0; i < 25; i++)
    g_assert_cmpint (imap_sequence_contains (set, i), ==, (i >= 1 && i <= 3) || i == 7 || (i >= 9 && i <= 20));
}

static void
test_set_is_written_short (void)
{
  guint32 numbers[] = { 1, 2, 3, 7, 9, 10 };
  g_autoptr (GString) out = g_string_new (NULL);

  imap_sequence_write (out, numbers, G_N_ELEMENTS (numbers));
  g_assert_cmpstr (out->str, ==, "1:3,7,9:10");
}

/* --- FETCH items --------------------------------------------------------------------------------------------------------- */

static void
assert_items (const char *text, const char *expected)
{
  g_auto (Fixture) f;
  g_auto (ImapFetchItems) items = { 0 };
  g_autoptr (GError) error = NULL;
  g_autoptr (GString) out = g_string_new (NULL);

  fixture_init (&f, text, NULL);
  if (expected == NULL)
    {
      g_assert_false (imap_parse_fetch_items (&f.parser, &items, &error) && imap_parse_end (&f.parser, &error));
      g_assert_error (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_SYNTAX);
      return;
    }
  g_assert_true (imap_parse_fetch_items (&f.parser, &items, &error));
  g_assert_no_error (error);
  g_assert_true (imap_parse_end (&f.parser, &error));
  for (guint i = 0; i < items.items->len; i++)
    {
      const ImapFetchItem *item = &g_array_index (items.items, ImapFetchItem, i);

      if (item->kind == IMAP_FETCH_SECTION)
        g_string_append_printf (out, "%s%s", item->label, item->peek ? "." : "!");
      else
        g_string_append_printf (out, "%d", item->kind);
      g_string_append_c (out, ' ');
    }
  g_assert_cmpstr (out->str, ==, expected);
}

static void
test_fetch_items (void)
{
  assert_items ("FAST", "0 2 3 ");
  assert_items ("full", "0 2 3 4 5 ");
  assert_items ("(FLAGS UID FLAGS)", "0 1 ");
  assert_items ("BODY", "5 ");
  assert_items ("BODY[]", "BODY[]! ");
  assert_items ("body.peek[1.2.MIME]<0.10>", "BODY[1.2.MIME]<0>. ");
  assert_items ("BODY[header.fields (From \"To\")]", "BODY[HEADER.FIELDS (From To)]! ");
  assert_items ("BODY.PEEK[1.HEADER.FIELDS.NOT (\"a b\")]", "BODY[1.HEADER.FIELDS.NOT (\"a b\")]. ");
  assert_items ("(RFC822 RFC822.HEADER RFC822.TEXT)", "RFC822! RFC822.HEADER. RFC822.TEXT! ");
  assert_items ("BODY[TEXT]", "BODY[TEXT]! ");
  assert_items ("(BODYSTRUCTURE ENVELOPE)", "6 4 ");
}

static void
test_fetch_items_refuse (void)
{
  assert_items ("", NULL);
  assert_items ("()", NULL);
  assert_items ("(FLAGS", NULL);
  assert_items ("(FAST)", NULL);
  assert_items ("FLAGGS", NULL);
  assert_items ("BODY.PEEK", NULL);
  assert_items ("BODY[MIME]", NULL);
  assert_items ("BODY[1.]", NULL);
  assert_items ("BODY[0]", NULL);
  assert_items ("BODY[HEADER.FIELDS ()]", NULL);
  assert_items ("BODY[HEADER.FIELDS]", NULL);
  assert_items ("BODY[]<0.0>", NULL);
  assert_items ("BODY[]<1>", NULL);
  assert_items ("BODY[1.2.3.4.5.6]", NULL); /* over the nesting limit */
}

/* --- input ---------------------------------------------------------------------------------------------------------------- */

static ImapInputResult
feed (ImapInput *input, const char *line, gboolean message)
{
  return imap_input_line (input, &limits, line, strlen (line), message);
}

static void
test_input_line (void)
{
  ImapInput input;

  imap_input_init (&input);
  g_assert_true (imap_input_is_empty (&input));
  g_assert_cmpint (feed (&input, "a NOOP", FALSE), ==, IMAP_INPUT_COMPLETE);
  g_assert_cmpuint (input.parts->len, ==, 1);
  imap_input_reset (&input);
  g_assert_cmpint (feed (&input, "a X {}", FALSE), ==, IMAP_INPUT_COMPLETE);
  imap_input_reset (&input);
  g_assert_cmpint (feed (&input, "5}", FALSE), ==, IMAP_INPUT_COMPLETE);
  imap_input_clear (&input);
}

static void
test_input_literals (void)
{
  ImapInput input;

  imap_input_init (&input);
  g_assert_cmpint (feed (&input, "a LOGIN {2}", FALSE), ==, IMAP_INPUT_LITERAL_SYNC);
  g_assert_cmpuint (input.expected, ==, 2);
  imap_input_data (&input, (const guint8 *) "u", 1);
  imap_input_data (&input, (const guint8 *) "v", 1);
  g_assert_cmpint (feed (&input, " {0+}", FALSE), ==, IMAP_INPUT_LITERAL);
  imap_input_data (&input, (const guint8 *) "", 0);
  g_assert_cmpint (feed (&input, "", FALSE), ==, IMAP_INPUT_COMPLETE);
  g_assert_no_error (input.error);
  g_assert_cmpuint (input.parts->len, ==, 5);
  imap_input_clear (&input);
}

static void
test_input_refuses_a_synchronising_literal_at_once (void)
{
  ImapInput input;

  imap_input_init (&input);
  g_assert_cmpint (feed (&input, "a LOGIN {101}", FALSE), ==, IMAP_INPUT_COMPLETE);
  g_assert_error (input.error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_LIMIT);
  imap_input_clear (&input);
}

static void
test_input_swallows_what_crosses_a_limit (void)
{
  ImapInput input;
  guint8 data[101] = { 0 };

  imap_input_init (&input);
  g_assert_cmpint (feed (&input, "a LOGIN {101+}", FALSE), ==, IMAP_INPUT_LITERAL);
  g_assert_cmpuint (input.expected, ==, 101);
  imap_input_data (&input, data, 101);
  g_assert_null (input.bytes);
  g_assert_cmpint (feed (&input, " x", FALSE), ==, IMAP_INPUT_COMPLETE);
  g_assert_error (input.error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_LIMIT);
  g_assert_cmpuint (input.parts->len, ==, 1);
  imap_input_clear (&input);
}

static void
test_input_holds_messages_to_their_own_limit (void)
{
  ImapInput input;

  imap_input_init (&input);
  g_assert_cmpint (feed (&input, "a APPEND x {5000}", TRUE), ==, IMAP_INPUT_LITERAL_SYNC);
  imap_input_reset (&input);
  g_assert_cmpint (feed (&input, "a APPEND x {5001}", TRUE), ==, IMAP_INPUT_COMPLETE);
  g_assert_cmpstr (input.code, ==, "TOOBIG");
  imap_input_clear (&input);
}

static void
assert_message_place (const char *first, const char *second, gboolean taken)
{
  ImapInput input;
  guint8 data[5] = { 0 };

  imap_input_init (&input);
  if (second != NULL)
    {
      g_assert_cmpint (feed (&input, first, TRUE), ==, IMAP_INPUT_LITERAL);
      imap_input_data (&input, data, input.expected);
    }
  feed (&input, second != NULL ? second : first, TRUE);
  g_assert_cmpint (input.error == NULL, ==, taken);
  imap_input_clear (&input);
}

/* 5000 bytes are too much for a literal, and a whole command, that is no message. */
static void
test_input_knows_a_message_by_its_place (void)
{
  assert_message_place ("a APPEND x {5000+}", NULL, TRUE);
  assert_message_place ("a APPEND x () {5000+}", NULL, TRUE);
  assert_message_place ("a APPEND {5+}", " {5000+}", TRUE);
  assert_message_place ("a APPEND {5+}", " (\\Seen) {5000+}", TRUE);
  assert_message_place ("a APPEND {5000+}", NULL, FALSE);
  assert_message_place ("a APPEND x{5000+}", NULL, FALSE);
  assert_message_place ("a {5000+}", NULL, FALSE);
  assert_message_place ("a APPEND {5+}", "{5000+}", FALSE);
}

static void
test_input_takes_one_message (void)
{
  ImapInput input;
  guint8 data[5000] = { 0 };

  imap_input_init (&input);
  g_assert_cmpint (feed (&input, "a APPEND x {5000+}", TRUE), ==, IMAP_INPUT_LITERAL);
  imap_input_data (&input, data, sizeof data);
  g_assert_cmpuint (input.parts->len, ==, 2);
  g_assert_cmpint (feed (&input, " {101+}", TRUE), ==, IMAP_INPUT_LITERAL);
  g_assert_error (input.error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_LIMIT);
  g_assert_cmpuint (input.parts->len, ==, 1); /* the message is let go */
  imap_input_data (&input, data, 101);
  g_assert_null (input.bytes);
  g_assert_cmpint (feed (&input, " {101}", TRUE), ==, IMAP_INPUT_COMPLETE); /* not asked for */
  imap_input_reset (&input);
  g_assert_cmpint (feed (&input, "b APPEND x {5000+}", TRUE), ==, IMAP_INPUT_LITERAL);
  g_assert_no_error (input.error);
  imap_input_clear (&input);
}

static void
test_input_gives_up_on_endless_literals (void)
{
  ImapInput input;

  imap_input_init (&input);
  g_assert_cmpint (feed (&input, "a LOGIN {99999999999999999999999+}", FALSE), ==, IMAP_INPUT_HOPELESS);
  imap_input_clear (&input);
}

static void
test_input_limits_the_whole_command (void)
{
  ImapInput input;
  ImapInputResult result = IMAP_INPUT_LITERAL;
  guint8 data[90] = { 0 };

  imap_input_init (&input);
  for (guint i = 0; i < 6 && result == IMAP_INPUT_LITERAL; i++)
    {
      result = feed (&input, "a {90+}", FALSE);
      if (result == IMAP_INPUT_LITERAL)
        imap_input_data (&input, data, sizeof data);
    }
  g_assert_error (input.error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_LIMIT);
  g_assert_cmpuint (input.parts->len, <, 10);
  imap_input_clear (&input);
}

static void
assert_peek (const char *line, const char *tag, const char *name, gboolean uid)
{
  g_autofree char *found_tag = NULL, *found_name = NULL;
  gboolean found_uid;

  imap_input_peek (line, strlen (line), &found_tag, &found_name, &found_uid);
  g_assert_cmpstr (found_tag, ==, tag);
  g_assert_cmpstr (found_name, ==, name);
  g_assert_cmpint (found_uid, ==, uid);
}

static void
test_input_peek (void)
{
  assert_peek ("a1 noop", "a1", "NOOP", FALSE);
  assert_peek ("a1 uid fetch 1:*", "a1", "FETCH", TRUE);
  assert_peek ("a1 UID", "a1", "UID", FALSE);
  assert_peek ("a1 ", "a1", NULL, FALSE);
  assert_peek ("a1", NULL, NULL, FALSE);
  assert_peek ("", NULL, NULL, FALSE);
}

/* --- writers ---------------------------------------------------------------------------------------------------------------- */

static void
assert_written (void (*write) (GString *, const char *), const char *text, const char *expected)
{
  g_autoptr (GString) out = g_string_new (NULL);

  write (out, text);
  g_assert_cmpstr (out->str, ==, expected);
}

static void
test_write_strings (void)
{
  assert_written (imap_write_string, "a\"b\\c", "\"a\\\"b\\\\c\"");
  assert_written (imap_write_string, "a\nb", "{3}\r\na\nb");
  assert_written (imap_write_string, "caf\xc3\xa9", "{5}\r\ncaf\xc3\xa9");
  assert_written (imap_write_string, "", "\"\"");
  assert_written (imap_write_astring, "INBOX/Sent", "INBOX/Sent");
  assert_written (imap_write_astring, "a b", "\"a b\"");
  assert_written (imap_write_astring, "", "\"\"");
  assert_written (imap_write_astring, "nil", "\"nil\"");
}

/* --- LIST patterns ----------------------------------------------------------------------------------------------------------- */

static void
assert_match (const char *pattern, const char *name, gboolean expected)
{
  g_autoptr (ImapPattern) compiled = imap_pattern_new (pattern, '/');

  if (imap_pattern_matches (compiled, name) != expected)
    g_error ("%s against %s", pattern, name);
}

static void
test_patterns (void)
{
  assert_match ("INBOX", "INBOX", TRUE);
  assert_match ("inbox", "INBOX", TRUE);
  assert_match ("inbox/%", "INBOX/Sent", TRUE);
  assert_match ("inboxes", "INBOXes", FALSE);
  assert_match ("*", "a/b/c", TRUE);
  assert_match ("%", "a/b", FALSE);
  assert_match ("%", "a", TRUE);
  assert_match ("a/%", "a/b", TRUE);
  assert_match ("a/%", "a/b/c", FALSE);
  assert_match ("a/%/c", "a/b/c", TRUE);
  assert_match ("a*c", "a/b/c", TRUE);
  assert_match ("a*", "a", TRUE);
  assert_match ("a%*", "a/b", TRUE);
  assert_match ("", "", TRUE);
  assert_match ("", "a", FALSE);
  assert_match ("abc", "ab", FALSE);
  assert_match ("*b*d", "abcbd", TRUE);
}

static void
test_pattern_cannot_be_made_slow (void)
{
  g_autoptr (GString) pattern = g_string_new (NULL), name = g_string_new (NULL);

  for (guint i = 0; i < 200; i++)
    g_string_append (pattern, "*a");
  g_string_append (pattern, "b");
  for (guint i = 0; i < 1000; i++)
    g_string_append_c (name, 'a');
  /* Were it slow it would take longer than the world has stood. */
  assert_match (pattern->str, name->str, FALSE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/imap/parse/astring", test_astring);
  g_test_add_func ("/imap/parse/literal", test_literal);
  g_test_add_func ("/imap/parse/literal-refuses-nul", test_literal_refuses_nul);
  g_test_add_func ("/imap/parse/numbers", test_numbers);
  g_test_add_func ("/imap/parse/nz-number-refuses-zero", test_nz_number_refuses_zero);
  g_test_add_func ("/imap/parse/words", test_words);
  g_test_add_func ("/imap/parse/argument-limit", test_argument_limit);
  g_test_add_func ("/imap/parse/nesting-limit", test_nesting_limit);
  g_test_add_func ("/imap/parse/flags", test_flags);
  g_test_add_func ("/imap/parse/flags-may-be-empty-in-a-list-only", test_flags_may_be_empty_in_a_list_only);
  g_test_add_func ("/imap/parse/recent-cannot-be-set", test_recent_cannot_be_set);
  g_test_add_func ("/imap/parse/date-time", test_date_time);
  g_test_add_func ("/imap/parse/date-time-refuses", test_date_time_refuses);
  g_test_add_func ("/imap/parse/date", test_date);
  g_test_add_func ("/imap/write/date-time-as-it-is-read", test_date_time_is_written_as_it_is_read);
  g_test_add_func ("/imap/write/strings", test_write_strings);
  g_test_add_func ("/imap/sequence/sets", test_sets);
  g_test_add_func ("/imap/sequence/refuses", test_sets_refuse);
  g_test_add_func ("/imap/sequence/contains", test_set_contains);
  g_test_add_func ("/imap/sequence/is-written-short", test_set_is_written_short);
  g_test_add_func ("/imap/fetch/items", test_fetch_items);
  g_test_add_func ("/imap/fetch/items-refuse", test_fetch_items_refuse);
  g_test_add_func ("/imap/input/line", test_input_line);
  g_test_add_func ("/imap/input/literals", test_input_literals);
  g_test_add_func ("/imap/input/refuses-a-synchronising-literal-at-once",
                   test_input_refuses_a_synchronising_literal_at_once);
  g_test_add_func ("/imap/input/swallows-what-crosses-a-limit", test_input_swallows_what_crosses_a_limit);
  g_test_add_func ("/imap/input/holds-messages-to-their-own-limit", test_input_holds_messages_to_their_own_limit);
  g_test_add_func ("/imap/input/knows-a-message-by-its-place", test_input_knows_a_message_by_its_place);
  g_test_add_func ("/imap/input/takes-one-message", test_input_takes_one_message);
  g_test_add_func ("/imap/input/gives-up-on-endless-literals", test_input_gives_up_on_endless_literals);
  g_test_add_func ("/imap/input/limits-the-whole-command", test_input_limits_the_whole_command);
  g_test_add_func ("/imap/input/peek", test_input_peek);
  g_test_add_func ("/imap/pattern/matches", test_patterns);
  g_test_add_func ("/imap/pattern/cannot-be-made-slow", test_pattern_cannot_be_made_slow);
  return g_test_run ();
}
