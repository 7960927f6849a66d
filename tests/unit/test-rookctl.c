/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rookctl: how answers are shown, and what it makes of the server's words.
 */
#include "rookctl-private.h"

#include <string.h>

static GVariant *
parse (const char *text)
{
  g_autoptr (GError) error = NULL;
  GVariant *value = g_variant_parse (NULL, text, NULL, NULL, &error);

  g_assert_no_error (error);
  return value;
}

static void
assert_text (const char *variant, const char *expected)
{
  g_autoptr (GVariant) value = parse (variant);
  g_autofree char *text = rookctl_show_text (value);

  g_assert_cmpstr (text, ==, expected);
}

static void
test_simple (void)
{
  g_autofree char *nothing = rookctl_show_text (NULL);

  g_assert_cmpstr (nothing, ==, "");
  assert_text ("'a\\nb'", "a\nb\n");
  assert_text ("'a\\n'", "a\n");
  assert_text ("uint64 42", "42\n");
  assert_text ("true", "yes\n");
  assert_text ("['a', 'b c']", "a\nb c\n");
  assert_text ("('a', 1)", "('a', 1)\n");
}

static void
test_dictionary (void)
{
  assert_text ("{'version': <'1.0'>, 'n': <5>, 'on': <false>, 'list': <['a', 'b']>}",
               "version: 1.0\nn: 5\non: no\nlist: a, b\n");
  assert_text ("{'a': <{'b': <1>}>, 'rows': <[{'x': <1>}]>}", "a:\n  b: 1\nrows:\n  X\n  1\n");
}

static void
test_table (void)
{
  assert_text (
      "[{'name': <'imap'>, 'size-bytes': <uint64 5>, 'n': <1>}, {'name': <'a longer one'>, 'n': <100>, 'more': "
      "<'x'>}]",
      "NAME             SIZE    N  MORE\n"
      "imap          5 bytes    1\n"
      "a longer one           100  x\n");
  assert_text ("@aa{sv} []", "(none)\n");
  assert_text ("[{'a': <'\xe6\x97\xa5\xe6\x9c\xac'>, 'b': <'x'>}, {'a': <'ab'>, 'b': <'y'>}]",
               "A     B\n\xe6\x97\xa5\xe6\x9c\xac  x\nab    y\n");
}

static void
assert_number (const char *key, guint64 n, const char *expected)
{
  g_autoptr (GVariant) value = g_variant_ref_sink (g_variant_new_uint64 (n));
  g_autofree char *text = rookctl_show_number (key, value);

  g_assert_cmpstr (text, ==, expected);
}

static void
test_numbers (void)
{
  g_setenv ("TZ", "UTC", TRUE);
  assert_number ("n", 5000000, "5000000");
  assert_number ("memory-bytes", 3 * 1024 * 1024, "3.0\xc2\xa0MiB");
  assert_number ("uptime-seconds", 59, "59s");
  assert_number ("uptime-seconds", 3599, "59m 59s");
  assert_number ("uptime-seconds", 7260, "2h 1m");
  assert_number ("uptime-seconds", 90000, "1d 1h");
  assert_number ("took-ms", 1234, "1234ms");
  assert_number ("took-ms", 61000, "1m 1s");
  assert_number ("last-time", 0, "never");
  assert_number ("last-time", G_GUINT64_CONSTANT (1136214245000000), "2006-01-02 15:04:05");
}

static void
test_terminal (void)
{
  assert_text ("'\\u001b[2J\\u0007'", "\\u001b[2J\\u0007\n");
  assert_text ("{'name': <'a\\nb\\u202e'>}", "name: a\\u000ab\\u202e\n");
}

static void
test_json (void)
{
  g_autoptr (GVariant) value = parse ("{'rows': <[{'a': <uint64 1>, 'b': <'x\"y'>}]>, 'memory-bytes': <uint64 5>}");
  g_autofree char *json = rookctl_show_json (value);
  g_autofree char *nothing = rookctl_show_json (NULL);

  g_assert_cmpstr (json, ==,
                   "{\n  \"rows\" : [\n    {\n      \"a\" : 1,\n      \"b\" : \"x\\\"y\"\n    }\n  ],\n"
                   "  \"memory-bytes\" : 5\n}");
  g_assert_cmpstr (nothing, ==, "null");
}

static void
test_progress (void)
{
  g_autofree char *half = rookctl_show_progress (50, "reading", 80);
  g_autofree char *narrow = rookctl_show_progress (100, "a long text\x1b", 30);
  const char *text;
  double percent;

  g_assert_cmpstr (half, ==, "[##########          ]  50% reading");
  g_assert_cmpstr (narrow, ==, "[####################] 100% a ");
  g_assert_true (rookctl_parse_progress ("progress 42 some text", &percent, &text));
  g_assert_cmpfloat (percent, ==, 42);
  g_assert_cmpstr (text, ==, "some text");
  g_assert_true (rookctl_parse_progress ("progress 7", &percent, &text));
  g_assert_cmpstr (text, ==, "");
  g_assert_false (rookctl_parse_progress ("ok", &percent, &text));
}

static void
test_status (void)
{
  static const char *const words[] = { "status", NULL };
  g_autoptr (GVariant) result = NULL;
  g_autofree char *message = NULL;

  g_assert_cmpint (rookctl_status_of_error ("usage: user add NAME PASSWORD"), ==, ROOKCTL_USAGE);
  g_assert_cmpint (rookctl_status_of_error ("unknown verb: see rookctl help"), ==, ROOKCTL_USAGE);
  g_assert_cmpint (rookctl_status_of_error ("no such user"), ==, ROOKCTL_REFUSED);
  g_assert_cmpint (rookctl_call ("/nowhere/control.sock", 1, words, NULL, NULL, &result, &message), ==,
                   ROOKCTL_UNREACHABLE);
  g_assert_cmpstr (message, ==, "cannot reach the server at /nowhere/control.sock: No such file or directory");
}

static void
test_password (void)
{
  static const char *const lacking[] = { "user", "add", "anna", NULL };
  static const char *const bare[] = { "user", "add", NULL };

  g_assert_true (rookctl_lacks_password ("usage: user add NAME PASSWORD", lacking));
  g_assert_false (rookctl_lacks_password ("usage: user add NAME PASSWORD", bare));
  g_assert_false (rookctl_lacks_password ("usage: user add NAME", lacking));
  g_assert_false (rookctl_lacks_password ("no PASSWORD", lacking));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/rookctl/show/text-number-strings", test_simple);
  g_test_add_func ("/rookctl/show/dictionary-as-lines", test_dictionary);
  g_test_add_func ("/rookctl/show/array-of-dictionaries-as-table", test_table);
  g_test_add_func ("/rookctl/show/numbers-by-their-keys-ending", test_numbers);
  g_test_add_func ("/rookctl/show/nothing-reaches-the-terminal-unescaped", test_terminal);
  g_test_add_func ("/rookctl/show/json-keeps-everything", test_json);
  g_test_add_func ("/rookctl/show/progress", test_progress);
  g_test_add_func ("/rookctl/call/exit-status", test_status);
  g_test_add_func ("/rookctl/call/asks-for-a-missing-password", test_password);
  return g_test_run ();
}
