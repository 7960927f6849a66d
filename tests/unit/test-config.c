/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Configuration: which files are read in which order, what is syntax and what is a mistake in it.
 */
#include <string.h>
#include <sys/stat.h>

#include <glib/gstdio.h>

#include "config/config-private.h"

static const RookConfigKey box_keys[] = {
  { .name = "text", .type = ROOK_CONFIG_STRING, .help = "Any." },
  { .name = "number", .type = ROOK_CONFIG_INTEGER, .default_value = "7", .help = "Any." },
  { .name = "items", .type = ROOK_CONFIG_LIST, .help = "Any." },
  { .name = NULL },
};
static const RookConfigSchema box_schema = {
  .struct_size = sizeof (RookConfigSchema), .name = "box", .keys = box_keys, .help = "A box."
};
static const RookConfigSchema shelf_schema = {
  .struct_size = sizeof (RookConfigSchema), .name = "shelf", .instances = TRUE, .keys = box_keys, .help = "A shelf."
};

static RookConfig *
read_text (const char *text, GPtrArray **out_mistakes)
{
  RookConfig *config = rook_config_read_data ("main.conf", text, strlen (text), out_mistakes);

  rook_config_declare (config, &box_schema);
  rook_config_declare (config, &shelf_schema);
  rook_config_validate (config, *out_mistakes);
  return config;
}

static RookConfig *
read_good (const char *text)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  RookConfig *config = read_text (text, &mistakes);

  for (guint i = 0; i < mistakes->len; i++)
    g_test_message ("%s", ((RookConfigMistake *) mistakes->pdata[i])->message);
  g_assert_cmpuint (mistakes->len, ==, 0);
  return config;
}

/* What stands in [box] text= */
static void
assert_text (const char *text, const char *expected)
{
  g_autoptr (RookConfig) config = read_good (text);

  g_assert_cmpstr (rook_config_group_get_string (rook_config_get_group (config, "box", NULL), "text"), ==, expected);
}

static void
assert_mistakes (const char *text, const char *const *expected)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config G_GNUC_UNUSED = read_text (text, &mistakes);

  for (guint i = 0; i < mistakes->len; i++)
    {
      g_autofree char *line = rook_config_mistake_to_string (mistakes->pdata[i]);

      g_assert_cmpstr (line, ==, expected[i]);
    }
  g_assert_cmpuint (mistakes->len, ==, g_strv_length ((char **) expected));
}

#define ASSERT_MISTAKES(text, ...) assert_mistakes (text, (const char *const[]){ __VA_ARGS__, NULL })

/* --- files ------------------------------------------------------------------------------------------------------- */

typedef struct {
  char *dir, *main, *conf_d;
} Files;

static void
files_set_up (Files *files, gconstpointer data G_GNUC_UNUSED)
{
  files->dir = g_dir_make_tmp ("rookery-config-XXXXXX", NULL);
  files->main = g_build_filename (files->dir, "rookery.conf", NULL);
  files->conf_d = g_build_filename (files->dir, "conf.d", NULL);
  g_assert_no_errno (g_mkdir (files->conf_d, 0755));
}

static void
remove_all (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *child = g_build_filename (path, name, NULL);

      if (g_file_test (child, G_FILE_TEST_IS_DIR) && !g_file_test (child, G_FILE_TEST_IS_SYMLINK))
        remove_all (child);
      else
        g_unlink (child);
    }
  g_rmdir (path);
}

static void
files_tear_down (Files *files, gconstpointer data G_GNUC_UNUSED)
{
  remove_all (files->dir);
  g_free (files->dir);
  g_free (files->main);
  g_free (files->conf_d);
}

static void
put (Files *files, const char *name, const char *contents)
{
  g_autofree char *path = g_build_filename (files->dir, name, NULL);

  g_assert_true (g_file_set_contents (path, contents, -1, NULL));
}

static RookConfig *
read_files (Files *files, GPtrArray **out_mistakes)
{
  RookConfig *config = rook_config_read (files->main, out_mistakes);

  rook_config_declare (config, &box_schema);
  rook_config_declare (config, &shelf_schema);
  rook_config_validate (config, *out_mistakes);
  return config;
}

static void
test_order (Files *files, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = NULL;
  GPtrArray *read;

  put (files, "rookery.conf", "[box]\ntext=main\nnumber=1\n");
  put (files, "conf.d/20-b.conf", "[box]\ntext=second\n");
  put (files, "conf.d/10-a.conf", "[box]\ntext=first\nitems=a\n");
  config = read_files (files, &mistakes);
  g_assert_cmpuint (mistakes->len, ==, 0);
  read = rook_config_get_files (config);
  g_assert_cmpuint (read->len, ==, 3);
  g_assert_cmpstr (read->pdata[0], ==, files->main);
  g_assert_true (g_str_has_suffix (read->pdata[1], "/conf.d/10-a.conf"));
  g_assert_true (g_str_has_suffix (read->pdata[2], "/conf.d/20-b.conf"));
  /* A key set again later replaces the earlier value; a group may be continued. */
  g_assert_cmpstr (rook_config_group_get_string (rook_config_get_group (config, "box", NULL), "text"), ==, "second");
  g_assert_cmpint (rook_config_group_get_integer (rook_config_get_group (config, "box", NULL), "number"), ==, 1);
}

static void
test_only_conf (Files *files, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = NULL;

  put (files, "rookery.conf", "");
  put (files, "conf.d/.hidden.conf", "rubbish");
  put (files, "conf.d/a.conf.dpkg-old", "rubbish");
  put (files, "conf.d/README", "rubbish");
  config = read_files (files, &mistakes);
  g_assert_cmpuint (mistakes->len, ==, 0);
  g_assert_cmpuint (rook_config_get_files (config)->len, ==, 1);
}

static void
test_no_conf_d (Files *files, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = NULL;

  put (files, "rookery.conf", "");
  g_assert_no_errno (g_rmdir (files->conf_d));
  config = read_files (files, &mistakes);
  g_assert_cmpuint (mistakes->len, ==, 0);
}

static void
test_unreadable (Files *files, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = NULL;
  g_autofree char *fifo = g_build_filename (files->conf_d, "a.conf", NULL);
  g_autofree char *folder = g_build_filename (files->conf_d, "b.conf", NULL);
  const RookConfigMistake *mistake;

  g_assert_no_errno (mkfifo (fifo, 0644));
  g_assert_no_errno (g_mkdir (folder, 0755));
  config = read_files (files, &mistakes);
  g_assert_nonnull (config);
  g_assert_cmpuint (mistakes->len, ==, 3);
  for (guint i = 0; i < 3; i++)
    {
      mistake = mistakes->pdata[i];
      g_assert_cmpint (mistake->code, ==, ROOK_CONFIG_ERROR_READ);
      g_assert_cmpuint (mistake->line, ==, 0);
    }
  g_assert_cmpstr (((RookConfigMistake *) mistakes->pdata[0])->file, ==, files->main);
  g_assert_cmpstr (((RookConfigMistake *) mistakes->pdata[1])->file, ==, fifo);
  g_assert_cmpstr (((RookConfigMistake *) mistakes->pdata[2])->file, ==, folder);
}

static void
test_too_large (Files *files, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = NULL;
  g_autofree char *just = g_strnfill (ROOK_CONFIG_FILE_MAX, '#');
  g_autofree char *over = g_strnfill (ROOK_CONFIG_FILE_MAX + 1, '#');

  put (files, "rookery.conf", just);
  put (files, "conf.d/over.conf", over);
  config = read_files (files, &mistakes);
  g_assert_cmpuint (mistakes->len, ==, 1);
  g_assert_cmpint (((RookConfigMistake *) mistakes->pdata[0])->code, ==, ROOK_CONFIG_ERROR_SYNTAX);
  g_assert_true (g_str_has_suffix (((RookConfigMistake *) mistakes->pdata[0])->file, "over.conf"));
}

static void
test_mistake_place (Files *files, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = NULL;
  g_autofree char *first = NULL;
  g_autofree char *second = NULL;

  put (files, "rookery.conf", "[box]\nnumber=1\n");
  put (files, "conf.d/a.conf", "# hello\n\n[box]\nnumber=one\n");
  put (files, "conf.d/b.conf", "[box]\r\n\r\nnumbr=1\r\n");
  config = read_files (files, &mistakes);
  g_assert_cmpuint (mistakes->len, ==, 2);
  first = rook_config_mistake_to_string (mistakes->pdata[0]);
  second = rook_config_mistake_to_string (mistakes->pdata[1]);
  g_assert_nonnull (strstr (first, "/conf.d/a.conf:4: [box] number: \"one\" is not a whole number"));
  g_assert_nonnull (strstr (second, "/conf.d/b.conf:3: [box] unknown key \"numbr\"; did you mean \"number\"?"));
}

/* --- syntax ------------------------------------------------------------------------------------------------------ */

static void
test_blanks_and_comments (void)
{
  assert_text ("# comment\n\n  # another\n[box]\ntext=a\n", "a");
  assert_text ("[box]\n  text \t=\t a b \t\n", "a b");
  assert_text ("\xef\xbb\xbf[box]\r\ntext=a\r\n", "a");
  assert_text ("[box]\ntext=a # b", "a # b");
  assert_text ("[box] \ntext=", "");
  assert_text ("[box]\ntext=a=b", "a=b");
}

static void
test_escapes (void)
{
  assert_text ("[box]\ntext=\\sa\\tb\\nc\\\\d\\re\\s\n", " a\tb\nc\\d\re ");
  ASSERT_MISTAKES ("[box]\ntext=a\\qb\n", "main.conf:2: [box] text: an unknown escape (known: \\s \\n \\t \\r \\\\)");
  ASSERT_MISTAKES ("[box]\ntext=a\\\n", "main.conf:2: [box] text: a backslash at the end (write \\\\ for one)");
}

static void
test_same_as_key_file (void)
{
  static const char *const texts[] = {
    "[box]\ntext=plain\n",
    "[box]\n text = a b\n",
    "[box]\ntext=\\s\\tx\\n\\\\\n",
    "[box]\r\ntext=x\r\n",
    "[box]\ntext=\xc3\xa4\xe2\x82\xac\n",
    "[box]\ntext=1\n[shelf a]\n[box]\nnumber=3\n",
  };

  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr (GKeyFile) file = g_key_file_new ();
      g_autofree char *value = NULL;

      g_assert_true (g_key_file_load_from_data (file, texts[i], (gsize) -1, G_KEY_FILE_NONE, NULL));
      value = g_key_file_get_string (file, "box", "text", NULL);
      assert_text (texts[i], value);
    }
}

static void
test_syntax_mistakes (void)
{
  ASSERT_MISTAKES ("text=1\nnumber=2\n[box]\n", "main.conf:1: a key before the first [group]: \"text\"");
  ASSERT_MISTAKES ("[box]\nhello\n", "main.conf:2: neither key=value, [group] nor # comment: \"hello\"");
  ASSERT_MISTAKES ("[box]\n;hello\n", "main.conf:2: neither key=value, [group] nor # comment: \";hello\"");
  ASSERT_MISTAKES ("[box]\n=hello\n", "main.conf:2: not a key name before the =: \"\"");
  ASSERT_MISTAKES ("[box]\ntext[de]=hallo\n", "main.conf:2: not a key name before the =: \"text[de]\"");
  ASSERT_MISTAKES ("[box\n", "main.conf:1: a group line must end with ]: \"[box\"");
  ASSERT_MISTAKES ("[bo]x]\n", "main.conf:1: a bracket inside a group's name: \"bo]x\"");
  ASSERT_MISTAKES ("[box]\ntext=\x1b[2J\n", "main.conf:2: a control character: \"text=\\u001b[2J\"");
}

/* The keys below a group line with a mistake are not told one by one. */
static void
test_bad_group_line (void)
{
  ASSERT_MISTAKES (
      "[Box]\ntext=1\nnumber=2\n[box]\ntext=3\n",
      "main.conf:1: not a group name (lower case letters, digits and -, as in [server] or [listener imap]): "
      "\"Box\"");
  ASSERT_MISTAKES ("[shelf  a]\ntext=1\n",
                   "main.conf:1: write [kind name] with one space between and none in the name: \" a\"");
  ASSERT_MISTAKES ("[shelf a b]\n",
                   "main.conf:1: write [kind name] with one space between and none in the name: \"a b\"");
  ASSERT_MISTAKES ("[]\n", "main.conf:1: not a group name (lower case letters, digits and -, as in [server] or "
                           "[listener imap]): \"\"");
}

static void
test_bad_bytes (void)
{
  static const char nul[] = "[box]\ntext=a\0b\n";
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config G_GNUC_UNUSED = rook_config_read_data ("main.conf", nul, sizeof nul - 1, &mistakes);
  g_autofree char *line = NULL;

  g_assert_cmpuint (mistakes->len, ==, 1);
  line = rook_config_mistake_to_string (mistakes->pdata[0]);
  g_assert_cmpstr (line, ==, "main.conf:2: a NUL byte");
  ASSERT_MISTAKES ("[box]\n\n\ntext=\xff\n", "main.conf:4: not UTF-8");
}

/* Every mistake is reported, not just the first; but nobody is flooded. */
static void
test_all_and_bounded (void)
{
  g_autoptr (GString) text = g_string_new ("[box]\n");
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = NULL;

  for (guint i = 0; i < 100000; i++)
    g_string_append (text, i % 2 ? "rubbish\n" : "a=1\n");
  config = read_text (text->str, &mistakes);
  g_assert_cmpuint (mistakes->len, ==, ROOK_CONFIG_MISTAKES_MAX + 1);
  g_assert_cmpstr (((RookConfigMistake *) mistakes->pdata[ROOK_CONFIG_MISTAKES_MAX])->message, ==,
                   "more mistakes follow, which are not shown");
}

/* --- groups ------------------------------------------------------------------------------------------------------ */

static void
test_set_twice (void)
{
  g_autoptr (RookConfig) config = read_good ("[shelf a]\ntext=1\n[box]\ntext=1\n[shelf a]\ntext=2\n[box]\ntext=3\n");
  g_autoptr (GPtrArray) warnings = rook_config_mistakes_new ();
  g_autofree char *first = NULL, *second = NULL;

  rook_config_add_warnings (config, warnings);
  g_assert_cmpuint (warnings->len, ==, 2);
  first = rook_config_mistake_to_string (warnings->pdata[0]);
  second = rook_config_mistake_to_string (warnings->pdata[1]);
  g_assert_cmpstr (first, ==, "main.conf:6: [shelf a] text: line 2 sets it already: take one of the two out");
  g_assert_cmpstr (second, ==, "main.conf:8: [box] text: line 4 sets it already: take one of the two out");
  g_assert_cmpstr (rook_config_group_get_string (rook_config_get_group (config, "box", NULL), "text"), ==, "3");
  g_assert_cmpstr (rook_config_group_get_string (rook_config_get_group (config, "shelf", "a"), "text"), ==, "2");
}

static void
test_group_names (void)
{
  g_autoptr (RookConfig) config = read_good ("[shelf b]\n[shelf a]\n[shelf \xc3\xa4/1]\n[shelf b]\ntext=x\n");
  g_autoptr (GPtrArray) shelves = rook_config_get_instances (config, "shelf");
  RookConfigGroup *group = rook_config_get_group (config, "shelf", "b");

  g_assert_cmpstr (rook_config_group_get_name (group), ==, "shelf");
  g_assert_cmpstr (rook_config_group_get_instance (group), ==, "b");
  g_assert_null (rook_config_group_get_instance (rook_config_get_group (config, "box", NULL)));
  g_assert_null (rook_config_get_group (config, "shelf", "c"));
  g_assert_null (rook_config_get_group (config, "shelf", NULL));
  /* In file order, each once. */
  g_assert_cmpuint (shelves->len, ==, 3);
  g_assert_true (shelves->pdata[0] == group);
  g_assert_cmpstr (rook_config_group_get_instance (shelves->pdata[1]), ==, "a");
}

static void
test_group_without_lines (void)
{
  g_autoptr (RookConfig) config = read_good ("");
  RookConfigGroup *group = rook_config_get_group (config, "box", NULL);

  g_assert_nonnull (group);
  g_assert_cmpint (rook_config_group_get_integer (group, "number"), ==, 7);
  g_assert_null (rook_config_group_get_string (group, "text"));
  g_assert_null (rook_config_group_get_list (group, "items")[0]);
  g_assert_false (rook_config_group_is_set (group, "number"));
}

static void
test_is_set (void)
{
  g_autoptr (RookConfig) config = read_good ("[box]\nnumber=7\n");
  RookConfigGroup *group = rook_config_get_group (config, "box", NULL);

  g_assert_true (rook_config_group_is_set (group, "number"));
  g_assert_false (rook_config_group_is_set (group, "text"));
}

static void
test_references (void)
{
  RookConfig *config = read_good ("");

  g_assert_true (rook_config_ref (config) == config);
  rook_config_unref (config);
  g_assert_nonnull (rook_config_get_group (config, "box", NULL));
  rook_config_unref (config);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/config/read/key-twice-in-a-file-is-a-warning-and-the-last-counts", test_set_twice);
#define FILES(path, func) g_test_add (path, Files, NULL, files_set_up, func, files_tear_down)
  FILES ("/config/files/order-is-main-then-conf-d-by-name-and-later-wins", test_order);
  FILES ("/config/files/only-conf-files-and-no-hidden-ones", test_only_conf);
  FILES ("/config/files/conf-d-may-be-missing", test_no_conf_d);
  FILES ("/config/files/unreadable-ones-are-mistakes-and-never-null", test_unreadable);
  FILES ("/config/files/over-one-mebibyte-is-a-mistake", test_too_large);
  FILES ("/config/files/mistakes-have-file-and-line", test_mistake_place);
  g_test_add_func ("/config/syntax/blanks-comments-line-ends", test_blanks_and_comments);
  g_test_add_func ("/config/syntax/escapes", test_escapes);
  g_test_add_func ("/config/syntax/same-as-key-file", test_same_as_key_file);
  g_test_add_func ("/config/syntax/mistakes-have-a-line", test_syntax_mistakes);
  g_test_add_func ("/config/syntax/keys-of-a-bad-group-are-skipped", test_bad_group_line);
  g_test_add_func ("/config/syntax/nul-bytes-and-bad-utf-8-are-refused", test_bad_bytes);
  g_test_add_func ("/config/mistakes/every-one-is-reported-but-bounded", test_all_and_bounded);
  g_test_add_func ("/config/groups/names-and-instances-in-file-order", test_group_names);
  g_test_add_func ("/config/groups/a-declared-one-without-instances-always-exists", test_group_without_lines);
  g_test_add_func ("/config/groups/is-set-tells-file-from-default", test_is_set);
  g_test_add_func ("/config/reading/is-reference-counted", test_references);
  return g_test_run ();
}
