/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Configuration: tables against files, tables against their own rules, two readings against each other, descriptions.
 */
#include <string.h>

#include "config/config-private.h"

static const char *const modes[] = { "none", "starttls", "implicit", NULL };

static const RookConfigKey server_keys[] = {
  { .name = "workers", .type = ROOK_CONFIG_INTEGER, .default_value = "0", .max = 64, .help = "How many." },
  { .name = "directory",
    .type = ROOK_CONFIG_PATH,
    .default_value = "/var",
    .change = ROOK_CONFIG_SERVER_RESTART,
    .help = "Where." },
  { .name = NULL },
};
static const RookConfigKey listener_keys[] = {
  { .name = "protocol", .type = ROOK_CONFIG_STRING, .required = TRUE, .help = "What is spoken." },
  { .name = "tls", .type = ROOK_CONFIG_CHOICE, .default_value = "none", .choices = modes, .help = "How." },
  { .name = "limit", .type = ROOK_CONFIG_SIZE, .default_value = "64K", .min = 1, .help = "How much." },
  { .name = "password", .type = ROOK_CONFIG_STRING, .min = 8, .max = 20, .secret = TRUE, .help = "A secret." },
  { .name = NULL },
};
static const RookConfigKey imap_keys[] = {
  { .name = "idle",
    .type = ROOK_CONFIG_DURATION,
    .default_value = "30m",
    .unit = "s",
    .change = ROOK_CONFIG_PLUGIN_RESTART,
    .help = "How long." },
  { .name = "must", .type = ROOK_CONFIG_STRING, .required = TRUE, .help = "Needed." },
  { .name = NULL },
};
#define SCHEMA(n, i, k)                                                                          \
  {                                                                                              \
    .struct_size = sizeof (RookConfigSchema), .name = n, .instances = i, .keys = k, .help = "H." \
  }
static const RookConfigSchema schemas[] = {
  SCHEMA ("server", FALSE, server_keys), SCHEMA ("listener", TRUE, listener_keys), SCHEMA ("tls", FALSE, server_keys),
  SCHEMA ("tls", TRUE, server_keys),     SCHEMA ("plugin imap", FALSE, imap_keys),
};

static RookConfig *
read_text (const char *text, GPtrArray **out_mistakes)
{
  RookConfig *config = rook_config_read_data ("a.conf", text, strlen (text), out_mistakes);

  for (gsize i = 0; i < G_N_ELEMENTS (schemas); i++)
    rook_config_declare (config, &schemas[i]);
  return config;
}

static void
assert_mistakes (const char *text, const char *const *expected)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = read_text (text, &mistakes);

  rook_config_validate (config, mistakes);
  for (guint i = 0; i < mistakes->len; i++)
    {
      g_autofree char *line = rook_config_mistake_to_string (mistakes->pdata[i]);

      g_assert_cmpstr (line, ==, expected[i]);
    }
  g_assert_cmpuint (mistakes->len, ==, g_strv_length ((char **) expected));
}

#define ASSERT_MISTAKES(text, ...) assert_mistakes (text, (const char *const[]){ __VA_ARGS__, NULL })

static void
test_unknown (void)
{
  ASSERT_MISTAKES ("[servr]\n", "a.conf:1: unknown group \"servr\"; did you mean [server]?");
  ASSERT_MISTAKES ("[zebra]\nx=1\n", "a.conf:1: unknown group \"zebra\"");
  ASSERT_MISTAKES ("[server]\nworker=1\n", "a.conf:2: [server] unknown key \"worker\"; did you mean \"workers\"?");
  ASSERT_MISTAKES ("[server]\nzebra=1\n", "a.conf:2: [server] unknown key \"zebra\"");
  ASSERT_MISTAKES ("[server]\nlimit=1\n", "a.conf:2: [server] unknown key \"limit\"; it belongs to [listener NAME]");
  ASSERT_MISTAKES ("[listener]\n", "a.conf:1: [listener] needs a name: [listener NAME]");
  ASSERT_MISTAKES ("[server x]\n", "a.conf:1: [server] takes no name");
  ASSERT_MISTAKES ("[plugin imp]\n", "a.conf:1: unknown group \"plugin imp\"; did you mean [plugin imap]?");
}

static void
test_every_mistake (void)
{
  ASSERT_MISTAKES ("[server]\nworkers=many\n\n[listener a]\ntls=maybe\nlimit=0\n[zebra]\n",
                   "a.conf:2: [server] workers: \"many\" is not a whole number",
                   "a.conf:4: [listener a] protocol must be set",
                   "a.conf:5: [listener a] tls: \"maybe\" is not one of none, starttls, implicit",
                   "a.conf:6: [listener a] limit: must be at least 1", "a.conf:7: unknown group \"zebra\"");
}

static void
test_required (void)
{
  ASSERT_MISTAKES ("[listener a]\n", "a.conf:1: [listener a] protocol must be set");
  ASSERT_MISTAKES ("[plugin imap]\n", "a.conf:1: [plugin imap] must must be set");
  /* What nobody opens lacks nothing. */
  ASSERT_MISTAKES ("[server]\n", NULL);
}

static void
test_secret (void)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = read_text ("[listener a]\nprotocol=x\npassword=hunter2\n", &mistakes);

  rook_config_validate (config, mistakes);
  g_assert_cmpuint (mistakes->len, ==, 1);
  g_assert_null (strstr (((RookConfigMistake *) mistakes->pdata[0])->message, "hunter2"));
}

/* Both [tls] and [tls NAME] may be declared. */
static void
test_kinds (void)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = read_text ("[tls]\nworkers=1\n[tls mail]\nworkers=2\n", &mistakes);

  rook_config_validate (config, mistakes);
  g_assert_cmpuint (mistakes->len, ==, 0);
  g_assert_cmpint (rook_config_group_get_integer (rook_config_get_group (config, "tls", NULL), "workers"), ==, 1);
  g_assert_cmpint (rook_config_group_get_integer (rook_config_get_group (config, "tls", "mail"), "workers"), ==, 2);
}

static void
test_getters (void)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config =
      read_text ("[listener a]\nprotocol=imap\ntls=implicit\nlimit=1M\n[plugin imap]\nidle=5\nmust=x\n", &mistakes);
  RookConfigGroup *listener = rook_config_get_group (config, "listener", "a");

  /* Declared is enough: the daemon asks for plugin-directory before plugins declare theirs. */
  g_assert_cmpstr (rook_config_group_get_string (listener, "protocol"), ==, "imap");
  g_assert_cmpuint (rook_config_group_get_choice (listener, "tls"), ==, 2);
  g_assert_cmpstr (rook_config_group_get_string (listener, "tls"), ==, "implicit");
  g_assert_cmpuint (rook_config_group_get_size (listener, "limit"), ==, 1 << 20);
  g_assert_cmpuint (rook_config_group_get_duration_ms (rook_config_get_group (config, "plugin", "imap"), "idle"), ==,
                    5000);
  g_assert_cmpstr (rook_config_group_get_string (rook_config_get_group (config, "server", NULL), "directory"), ==,
                   "/var");
}

/* A bad value leaves the default in place. */
static void
test_bad_value (void)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = read_text ("[listener a]\nprotocol=imap\nlimit=lots\n", &mistakes);

  g_assert_cmpuint (rook_config_group_get_size (rook_config_get_group (config, "listener", "a"), "limit"), ==, 65536);
}

static void
abort_undeclared (void)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = read_text ("", &mistakes);

  rook_config_group_get_integer (rook_config_get_group (config, "server", NULL), "wrkers");
}

static void
abort_other_type (void)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = read_text ("", &mistakes);

  rook_config_group_get_string (rook_config_get_group (config, "server", NULL), "workers");
}

static void
test_aborts (gconstpointer data)
{
  const char *message = data;

  if (g_test_subprocess ())
    {
      if (strstr (message, "another type") != NULL)
        abort_other_type ();
      else
        abort_undeclared ();
      return;
    }
  g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
  g_test_trap_assert_failed ();
  g_test_trap_assert_stderr (message);
}

static void
test_add_mistake (void)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = read_text ("\n[listener a]\nprotocol=imap\n", &mistakes);
  RookConfigGroup *group = rook_config_get_group (config, "listener", "a");
  static const char *const expected[] = { "a.conf:3: [listener a] protocol: no 1", "a.conf:2: [listener a] tls: no 2",
                                          "a.conf:2: [listener a] no 3", "[server] workers: no 4", "no 5" };

  rook_config_add_mistake (mistakes, group, "protocol", ROOK_CONFIG_ERROR_CONFLICT, "no %d", 1);
  rook_config_add_mistake (mistakes, group, "tls", ROOK_CONFIG_ERROR_CONFLICT, "no %d", 2);
  rook_config_add_mistake (mistakes, group, NULL, ROOK_CONFIG_ERROR_CONFLICT, "no %d", 3);
  rook_config_add_mistake (mistakes, rook_config_get_group (config, "server", NULL), "workers",
                           ROOK_CONFIG_ERROR_CONFLICT, "no %d", 4);
  rook_config_add_mistake (mistakes, NULL, NULL, ROOK_CONFIG_ERROR_CONFLICT, "no %d", 5);
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    {
      g_autofree char *line = rook_config_mistake_to_string (mistakes->pdata[i]);

      g_assert_cmpstr (line, ==, expected[i]);
      g_assert_cmpint (((RookConfigMistake *) mistakes->pdata[i])->code, ==, ROOK_CONFIG_ERROR_CONFLICT);
    }
}

static void
test_leave_unchecked (void)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = read_text ("[plugin broken]\nx=1\n", &mistakes);

  rook_config_leave_unchecked (config, rook_config_get_group (config, "plugin", "broken"));
  rook_config_validate (config, mistakes);
  g_assert_cmpuint (mistakes->len, ==, 0);
}

static void
test_find_key (void)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = read_text ("", &mistakes);

  g_assert_cmpint (rook_config_find_key (config, "server", "directory")->change, ==, ROOK_CONFIG_SERVER_RESTART);
  g_assert_cmpint (rook_config_find_key (config, "listener", "limit")->type, ==, ROOK_CONFIG_SIZE);
  g_assert_cmpint (rook_config_find_key (config, "listener imaps", "limit")->type, ==, ROOK_CONFIG_SIZE);
  g_assert_nonnull (rook_config_find_key (config, "plugin imap", "idle"));
  g_assert_null (rook_config_find_key (config, "plugin lmtp", "idle"));
  g_assert_null (rook_config_find_key (config, "server", "idle"));
}

/* A table may go with the module that brought it. */
static void
test_table_is_copied (void)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = rook_config_read_data ("a.conf", "", 0, &mistakes);
  char name[] = "plugin gone", key_name[] = "key", choice[] = "one";
  const char *choices[] = { choice, NULL };
  RookConfigKey keys[] = {
    { .name = key_name, .type = ROOK_CONFIG_CHOICE, .default_value = "one", .choices = choices, .help = "H." },
    { .name = NULL }
  };
  RookConfigSchema schema = SCHEMA (name, FALSE, keys);

  rook_config_declare (config, &schema);
  memset (name, 'x', sizeof name - 1);
  memset (key_name, 'x', sizeof key_name - 1);
  memset (choice, 'x', sizeof choice - 1);
  memset (keys, 0xff, sizeof keys);
  g_assert_cmpstr (rook_config_group_get_string (rook_config_get_group (config, "plugin", "gone"), "key"), ==, "one");
  g_assert_cmpstr (rook_config_find_key (config, "plugin gone", "key")->choices[0], ==, "one");
}

/* --- rules for tables -------------------------------------------------------------------------------------------- */

static void
assert_bad_table (const RookConfigKey *key, const char *message)
{
  const RookConfigKey keys[] = { *key, { .name = NULL } };
  const RookConfigSchema schema = SCHEMA ("plugin x", FALSE, keys);
  g_autoptr (GError) error = NULL;

  g_assert_false (rook_config_schema_check (&schema, &error));
  g_assert_cmpstr (error->message, ==, message);
}

static void
test_bad_tables (void)
{
  const RookConfigKey bad_name = { .name = "Key", .help = "H." };
  const RookConfigKey no_help = { .name = "key" };
  const RookConfigKey no_choices = { .name = "key", .type = ROOK_CONFIG_CHOICE, .help = "H." };
  const RookConfigKey bad_default = {
    .name = "key", .type = ROOK_CONFIG_SIZE, .default_value = "2M", .min = 1, .max = 1024, .help = "H."
  };
  const RookConfigKey bad_unit = { .name = "key", .type = ROOK_CONFIG_SIZE, .unit = "s", .help = "H." };
  const RookConfigKey both = { .name = "key", .default_value = "x", .required = TRUE, .help = "H." };
  const RookConfigKey bad_type = { .name = "key", .type = 99, .help = "H." };

  assert_bad_table (&bad_name, "plugin x/Key: not a key name: lower case letters, digits and -, at most 40");
  assert_bad_table (&no_help, "plugin x/key: has no help");
  assert_bad_table (&no_choices, "plugin x/key: a choice without choices");
  assert_bad_table (&bad_default, "plugin x/key: must be at most 1K");
  assert_bad_table (&bad_unit, "plugin x/key: not a unit of its type");
  assert_bad_table (&both, "plugin x/key: required, and yet with a default");
  assert_bad_table (&bad_type, "plugin x/key: unknown type or change");
}

/* --- differences ------------------------------------------------------------------------------------------------- */

static void
assert_diff (const char *before, const char *after, const char *expected)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (GPtrArray) more = NULL;
  g_autoptr (RookConfig) a = read_text (before, &mistakes);
  g_autoptr (RookConfig) b = read_text (after, &more);
  g_autoptr (GPtrArray) diff = rook_config_diff (a, b);
  g_autofree char *all = NULL;

  g_ptr_array_add (diff, NULL);
  all = g_strjoinv (" ", (char **) diff->pdata);
  g_assert_cmpstr (all, ==, expected);
}

static void
test_diff (void)
{
  assert_diff ("", "", "");
  assert_diff ("[server]\nworkers=1\n", "[server]\nworkers=2\n", "server/workers");
  assert_diff ("[server]\nworkers=1\ndirectory=/a\n", "", "server/directory server/workers");
  /* In value, not in spelling; a default written out is the default. */
  assert_diff ("[listener a]\nlimit=1024\n", "[listener a]\nlimit=1K\n", "");
  assert_diff ("[server]\nworkers=0\n", "", "");
  /* Groups that come and go. */
  assert_diff ("", "[listener b]\nprotocol=x\n[listener a]\n", "listener a listener b");
  assert_diff ("[plugin imap]\nmust=x\n", "", "plugin imap");
  assert_diff ("[listener a]\ntls=none\n", "[listener a]\ntls=implicit\n", "listener a/tls");
  assert_diff ("[zebra]\na=1\nb=2\n", "[zebra]\na=1\nb=3\n", "zebra/b");
}

/* --- descriptions ------------------------------------------------------------------------------------------------ */

static void
test_describe_text (void)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = read_text ("", &mistakes);
  g_autofree char *text = rook_config_describe (config, ROOK_CONFIG_DESCRIBE_TEXT, "listener");
  g_autofree char *all = rook_config_describe (config, ROOK_CONFIG_DESCRIBE_TEXT, NULL);

  g_assert_true (g_str_has_prefix (text, "[listener NAME]\n  H.\n\n  protocol\n      What is spoken.\n"
                                         "      text; must be set; acts at reload\n"));
  g_assert_nonnull (strstr (text, "one of none, starttls, implicit; default none; acts at reload"));
  g_assert_nonnull (strstr (text, "size, at least 1; default 64K; acts at reload"));
  g_assert_nonnull (strstr (text, "text, 8 to 20 characters; no default; acts at reload; secret"));
  g_assert_null (strstr (text, "[server]"));
  g_assert_nonnull (strstr (all, "[server]"));
  g_assert_nonnull (strstr (all, "duration, in s if no unit is written; default 30m; reload restarts the plugin"));
  g_assert_null (rook_config_describe (config, ROOK_CONFIG_DESCRIBE_TEXT, "zebra"));
}

/* The sample is a good configuration, and still one when all defaults are uncommented. */
static void
test_describe_sample (void)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (GPtrArray) more = NULL;
  g_autoptr (RookConfig) config = read_text ("", &mistakes);
  g_autofree char *sample = rook_config_describe (config, ROOK_CONFIG_DESCRIBE_SAMPLE, NULL);
  g_autofree char *live = rook_config_describe (config, ROOK_CONFIG_DESCRIBE_SAMPLE, "server");
  g_autoptr (RookConfig) again = read_text (sample, &more);
  g_autoptr (GString) uncommented = g_string_new (live);

  rook_config_validate (again, more);
  g_assert_cmpuint (more->len, ==, 0);
  g_string_replace (uncommented, "\n#workers", "\nworkers", 0);
  g_string_replace (uncommented, "\n#directory", "\ndirectory", 0);
  assert_diff (uncommented->str, "", "");
  assert_mistakes (uncommented->str, (const char *const[]){ NULL });
}

static void
test_describe_man (void)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = read_text ("", &mistakes);
  g_autofree char *man = rook_config_describe (config, ROOK_CONFIG_DESCRIBE_MAN, "server");

  g_assert_cmpstr (man, ==,
                   ".SS \"[server]\"\nH.\n.TP\n.B workers\nHow many.\n.br\nnumber, 0 to 64; default 0; acts at "
                   "reload\n.TP\n.B directory\nWhere.\n.br\npath; default /var; needs a restart of the server\n");
}

static void
test_quote (void)
{
  static const char *const cases[][2] = { { "a\"b", "\"a\"b\"" },
                                          { "\x1b[31m", "\"\\u001b[31m\"" },
                                          { "a\xe2\x80\xae"
                                            "b",
                                            "\"a\\u202eb\"" } };
  g_autofree char *filler = g_strnfill (200, 'y');
  g_autofree char *cut = rook_config_quote (filler);

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *quoted = rook_config_quote (cases[i][0]);

      g_assert_cmpstr (quoted, ==, cases[i][1]);
    }
  g_assert_cmpuint (strlen (cut), ==, 64 + 5);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/config/check/unknown-group-or-key-with-suggestion", test_unknown);
  g_test_add_func ("/config/check/every-mistake-in-file-order", test_every_mistake);
  g_test_add_func ("/config/check/required-keys", test_required);
  g_test_add_func ("/config/check/a-secret-is-never-printed", test_secret);
  g_test_add_func ("/config/check/one-word-with-and-without-instances", test_kinds);
  g_test_add_func ("/config/get/typed-as-soon-as-declared", test_getters);
  g_test_add_func ("/config/get/default-in-place-of-a-bad-value", test_bad_value);
  g_test_add_data_func ("/config/get/undeclared-key-aborts", "*server/wrkers was not declared*", test_aborts);
  g_test_add_data_func ("/config/get/other-type-aborts", "*server/workers was declared with another type*",
                        test_aborts);
  g_test_add_func ("/config/check/services-add-mistakes-at-a-key", test_add_mistake);
  g_test_add_func ("/config/check/a-group-may-be-left-to-its-owner", test_leave_unchecked);
  g_test_add_func ("/config/table/find-key", test_find_key);
  g_test_add_func ("/config/table/is-copied", test_table_is_copied);
  g_test_add_func ("/config/table/must-keep-its-own-rules", test_bad_tables);
  g_test_add_func ("/config/diff/names-groups-and-keys", test_diff);
  g_test_add_func ("/config/describe/text", test_describe_text);
  g_test_add_func ("/config/describe/sample-is-a-good-configuration", test_describe_sample);
  g_test_add_func ("/config/describe/man", test_describe_man);
  g_test_add_func ("/config/mistakes/quoted-text-is-harmless", test_quote);
  return g_test_run ();
}
