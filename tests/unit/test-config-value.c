/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Configuration values: what each type takes, what it refuses and in which words.
 */
#include "config/config-private.h"

static const char *const colours[] = { "red", "green", "blue", NULL };

static RookConfigValue
parse_good (const RookConfigKey *key, const char *raw)
{
  g_autoptr (GError) error = NULL;
  RookConfigValue value = { 0 };

  g_assert_true (rook_config_value_parse (key, raw, &value, &error));
  g_assert_no_error (error);
  return value;
}

static void
assert_bad (const RookConfigKey *key, const char *raw, const char *message)
{
  g_autoptr (GError) error = NULL;
  RookConfigValue value = { .number = 42 };

  g_assert_false (rook_config_value_parse (key, raw, &value, &error));
  g_assert_error (error, ROOK_CONFIG_ERROR, ROOK_CONFIG_ERROR_VALUE);
  g_assert_cmpstr (error->message, ==, message);
  g_assert_cmpint (value.number, ==, 42);
}

static void
test_boolean (void)
{
  const RookConfigKey key = { .name = "b", .type = ROOK_CONFIG_BOOLEAN };
  static const char *const yes[] = { "true", "yes", "on", "1", "True", "YES" };
  static const char *const no[] = { "false", "no", "off", "0" };

  for (gsize i = 0; i < G_N_ELEMENTS (yes); i++)
    g_assert_cmpint (parse_good (&key, yes[i]).number, ==, TRUE);
  for (gsize i = 0; i < G_N_ELEMENTS (no); i++)
    g_assert_cmpint (parse_good (&key, no[i]).number, ==, FALSE);
  assert_bad (&key, "maybe", "\"maybe\" is not true or false");
  assert_bad (&key, "", "\"\" is not true or false");
  assert_bad (&key, "true # really", "\"true # really\" is not true or false (a comment must have a line of its own)");
}

static void
test_integer (void)
{
  const RookConfigKey any = { .name = "n", .type = ROOK_CONFIG_INTEGER };
  const RookConfigKey range = { .name = "n", .type = ROOK_CONFIG_INTEGER, .min = -5, .max = 10 };
  const RookConfigKey open = { .name = "n", .type = ROOK_CONFIG_INTEGER, .min = 3 };

  g_assert_cmpint (parse_good (&any, "9223372036854775807").number, ==, G_MAXINT64);
  g_assert_cmpint (parse_good (&any, "-9223372036854775808").number, ==, G_MININT64);
  assert_bad (&any, "9223372036854775808", "\"9223372036854775808\" is not a whole number");
  assert_bad (&any, "1.5", "\"1.5\" is not a whole number");
  assert_bad (&any, "0x10", "\"0x10\" is not a whole number");
  assert_bad (&any, "", "\"\" is not a whole number");
  g_assert_cmpint (parse_good (&range, "-5").number, ==, -5);
  g_assert_cmpint (parse_good (&range, "10").number, ==, 10);
  assert_bad (&range, "-6", "must be at least -5");
  assert_bad (&range, "11", "must be at most 10");
  /* A maximum below the minimum is none. */
  g_assert_cmpint (parse_good (&open, "1000000").number, ==, 1000000);
  assert_bad (&open, "2", "must be at least 3");
}

static void
test_size (void)
{
  const RookConfigKey any = { .name = "s", .type = ROOK_CONFIG_SIZE };
  const RookConfigKey kilo = { .name = "s", .type = ROOK_CONFIG_SIZE, .unit = "K" };
  const RookConfigKey range = { .name = "s", .type = ROOK_CONFIG_SIZE, .min = 1024, .max = 1 << 20 };
  const char *expected = "\"12X\" is not a size (a whole number, then K, M, G or T if wanted)";

  g_assert_cmpuint (parse_good (&any, "0").amount, ==, 0);
  g_assert_cmpuint (parse_good (&any, "1023").amount, ==, 1023);
  g_assert_cmpuint (parse_good (&any, "64K").amount, ==, 65536);
  g_assert_cmpuint (parse_good (&any, "64 k").amount, ==, 65536);
  g_assert_cmpuint (parse_good (&any, "3M").amount, ==, 3 << 20);
  g_assert_cmpuint (parse_good (&any, "5G").amount, ==, G_GUINT64_CONSTANT (5) << 30);
  g_assert_cmpuint (parse_good (&any, "2T").amount, ==, G_GUINT64_CONSTANT (2) << 40);
  /* A number without suffix is in the key's unit. */
  g_assert_cmpuint (parse_good (&kilo, "3").amount, ==, 3072);
  g_assert_cmpuint (parse_good (&kilo, "3M").amount, ==, 3 << 20);
  assert_bad (&any, "12X", expected);
  assert_bad (&any, "99999999T", "\"99999999T\" is not a size (a whole number, then K, M, G or T if wanted)");
  assert_bad (&any, "-1", "\"-1\" is not a size (a whole number, then K, M, G or T if wanted)");
  assert_bad (&range, "1023", "must be at least 1K");
  assert_bad (&range, "1025K", "must be at most 1M");
}

static void
test_duration (void)
{
  const RookConfigKey any = { .name = "d", .type = ROOK_CONFIG_DURATION };
  const RookConfigKey seconds = { .name = "d", .type = ROOK_CONFIG_DURATION, .unit = "s", .min = 1000, .max = 3600000 };

  g_assert_cmpuint (parse_good (&any, "250").amount, ==, 250);
  g_assert_cmpuint (parse_good (&any, "250ms").amount, ==, 250);
  g_assert_cmpuint (parse_good (&any, "2s").amount, ==, 2000);
  g_assert_cmpuint (parse_good (&any, "3m").amount, ==, 180000);
  g_assert_cmpuint (parse_good (&any, "4h").amount, ==, 14400000);
  g_assert_cmpuint (parse_good (&any, "1d").amount, ==, 86400000);
  g_assert_cmpuint (parse_good (&any, "2w").amount, ==, 1209600000);
  g_assert_cmpuint (parse_good (&any, "never").amount, ==, 0);
  g_assert_cmpuint (parse_good (&any, "0").amount, ==, 0);
  g_assert_cmpuint (parse_good (&seconds, "30").amount, ==, 30000);
  g_assert_cmpuint (parse_good (&seconds, "1500ms").amount, ==, 1500);
  /* `never` or 0 is 0 only where the range allows it. */
  assert_bad (&seconds, "never", "must be at least 1s");
  assert_bad (&seconds, "0", "must be at least 1s");
  assert_bad (&seconds, "2h", "must be at most 1h");
  assert_bad (&any, "5 parsecs", "\"5 parsecs\" is not a duration (a whole number, then ms, s, m, h, d or w)");
}

static void
test_string (void)
{
  const RookConfigKey key = { .name = "t", .type = ROOK_CONFIG_STRING, .min = 2, .max = 3 };
  RookConfigValue value = parse_good (&key, "\xc3\xa4\xc3\xb6\xc3\xbc");

  g_assert_cmpstr (value.text, ==, "\xc3\xa4\xc3\xb6\xc3\xbc");
  rook_config_value_clear (&value);
  g_assert_null (value.text);
  assert_bad (&key, "a", "must be at least 2 characters");
  assert_bad (&key, "abcd", "must be at most 3 characters");
}

static void
test_choice (void)
{
  const RookConfigKey key = { .name = "c", .type = ROOK_CONFIG_CHOICE, .choices = colours };
  RookConfigValue value = parse_good (&key, "green");

  g_assert_cmpint (value.number, ==, 1);
  g_assert_cmpstr (value.text, ==, "green");
  rook_config_value_clear (&value);
  assert_bad (&key, "grene", "\"grene\" is not one of red, green, blue; did you mean \"green\"?");
  assert_bad (&key, "yellow", "\"yellow\" is not one of red, green, blue");
}

static void
assert_list (const RookConfigKey *key, const char *raw, const char *const *expected)
{
  RookConfigValue value = parse_good (key, raw);

  g_assert_cmpstrv (value.list, expected);
  rook_config_value_clear (&value);
}

static void
test_list (void)
{
  const RookConfigKey any = { .name = "l", .type = ROOK_CONFIG_LIST };
  const RookConfigKey some = { .name = "l", .type = ROOK_CONFIG_LIST, .choices = colours, .min = 1, .max = 2 };

  assert_list (&any, "", (const char *const[]){ NULL });
  assert_list (&any, "a", (const char *const[]){ "a", NULL });
  assert_list (&any, "a;b c; d ;", (const char *const[]){ "a", "b c", "d", NULL });
  assert_list (&any, "a\\;b;c\\\\", (const char *const[]){ "a;b", "c\\", NULL });
  assert_bad (&any, "a;;b", "an empty item in the list");
  assert_bad (&any, ";", "an empty item in the list");
  assert_bad (&any, "a\\x", "an unknown escape (known: \\s \\n \\t \\r \\\\ \\;)");
  assert_list (&some, "red;blue", (const char *const[]){ "red", "blue", NULL });
  assert_bad (&some, "red;bleu", "\"bleu\" is not one of red, green, blue; did you mean \"blue\"?");
  assert_bad (&some, "", "must be at least 1 items");
  assert_bad (&some, "red;red;red", "must be at most 2 items");
}

static void
test_path (void)
{
  const RookConfigKey key = { .name = "p", .type = ROOK_CONFIG_PATH };
  g_autofree char *filler = g_strnfill (5000, 'a');
  g_autofree char *longest = g_strconcat ("/", filler, NULL);
  RookConfigValue value = parse_good (&key, "/var/spool/a\\sb");

  g_assert_cmpstr (value.text, ==, "/var/spool/a b");
  rook_config_value_clear (&value);
  assert_bad (&key, "var/spool", "\"var/spool\" is not an absolute path");
  assert_bad (&key, "", "\"\" is not an absolute path");
  assert_bad (&key, "/a\\nb", "a line end inside a path");
  assert_bad (&key, longest, "a path longer than the system allows");
}

static void
test_mode (void)
{
  const RookConfigKey key = { .name = "m", .type = ROOK_CONFIG_MODE };

  g_assert_cmpint (parse_good (&key, "0660").number, ==, 0660);
  g_assert_cmpint (parse_good (&key, "755").number, ==, 0755);
  g_assert_cmpint (parse_good (&key, "07777").number, ==, 07777);
  assert_bad (&key, "0888", "\"0888\" is not octal permissions such as 0660");
  assert_bad (&key, "10000", "\"10000\" is not octal permissions such as 0660");
  assert_bad (&key, "rw-", "\"rw-\" is not octal permissions such as 0660");
}

static void
test_format (void)
{
  static const struct {
    guint64 amount;
    const char *size, *duration;
  } cases[] = { { 0, "0", "0" },
                { 1, "1", "1ms" },
                { 1500, "1500", "1500ms" },
                { 65536, "64K", "65536ms" },
                { 3600000, "3600000", "1h" },
                { 5400000, "5400000", "90m" },
                { 1 << 30, "1G", "1073741824ms" } };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *size = rook_config_format_size (cases[i].amount);
      g_autofree char *duration = rook_config_format_duration (cases[i].amount);

      g_assert_cmpstr (size, ==, cases[i].size);
      g_assert_cmpstr (duration, ==, cases[i].duration);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/config/value/boolean", test_boolean);
  g_test_add_func ("/config/value/integer-with-range", test_integer);
  g_test_add_func ("/config/value/size-with-suffix-unit-and-range", test_size);
  g_test_add_func ("/config/value/duration-with-suffix-unit-and-never", test_duration);
  g_test_add_func ("/config/value/string-with-length-in-characters", test_string);
  g_test_add_func ("/config/value/choice-with-suggestion", test_choice);
  g_test_add_func ("/config/value/list-separated-by-semicolons", test_list);
  g_test_add_func ("/config/value/path-is-absolute", test_path);
  g_test_add_func ("/config/value/mode-is-octal", test_mode);
  g_test_add_func ("/config/value/shown-in-the-largest-unit", test_format);
  return g_test_run ();
}
