/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Modules: which are loaded, which are refused and in which words; and the order of those that are loaded.
 */
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin-fixture.h"

/* --- the file ------------------------------------------------------------------------------------------------------ */

static char *
refuse (const char *directory, const char *name, RookPluginError code)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (rook_module_open (directory, name, &error));
  g_assert_error (error, ROOK_PLUGIN_ERROR, (gint) code);
  return g_strdup (error->message);
}

static char *
refuse_built (const char *name, RookPluginError code)
{
  g_autofree char *directory = fixture_dup_module_directory ();
  g_autofree char *path = g_strdup_printf ("%s/%s.so", directory, name);
  g_autofree char *message = refuse (directory, name, code);

  g_assert_true (g_str_has_prefix (message, path));
  return g_strdup (message + strlen (path));
}

static void
test_missing (void)
{
  g_autofree char *message = refuse_built ("nosuch", ROOK_PLUGIN_ERROR_LOAD);

  g_assert_cmpstr (message, ==, ": No such file or directory");
}

static void
test_no_name (void)
{
  g_autofree char *message = refuse ("/", "../etc/passwd", ROOK_PLUGIN_ERROR_LOAD);

  g_assert_nonnull (strstr (message, "can be no plugin's name"));
}

static char *
copy_module (const char *directory, const char *name)
{
  g_autofree char *modules = fixture_dup_module_directory ();
  g_autofree char *from = g_strdup_printf ("%s/%s.so", modules, name);
  char *to = g_strdup_printf ("%s/%s.so", directory, name);
  g_autofree char *contents = NULL;
  gsize length;

  g_assert_true (g_file_get_contents (from, &contents, &length, NULL));
  g_assert_true (g_file_set_contents (to, contents, (gssize) length, NULL));
  return to;
}

static void
test_not_a_module (void)
{
  g_autofree char *directory = g_dir_make_tmp ("modules-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (directory, "text.so", NULL);
  g_autofree char *message = NULL;

  g_assert_true (g_file_set_contents (path, "no module\n", -1, NULL));
  message = refuse (directory, "text", ROOK_PLUGIN_ERROR_LOAD);
  g_assert_true (g_str_has_prefix (message, path));
  g_unlink (path);
  g_rmdir (directory);
}

static void
test_writable (void)
{
  g_autofree char *directory = g_dir_make_tmp ("modules-XXXXXX", NULL);
  g_autofree char *path = copy_module (directory, "good");
  g_autofree char *message = NULL, *directory_message = NULL;

  g_assert_no_errno (g_chmod (path, 0664));
  message = refuse (directory, "good", ROOK_PLUGIN_ERROR_LOAD);
  g_assert_nonnull (strstr (message, "mode 0664 lets others write to it"));
  g_assert_nonnull (strstr (message, "chmod go-w"));
  g_assert_no_errno (g_chmod (path, 0644));
  g_assert_no_errno (g_chmod (directory, 0777));
  directory_message = refuse (directory, "good", ROOK_PLUGIN_ERROR_LOAD);
  g_assert_true (g_str_has_prefix (directory_message, directory));
  g_unlink (path);
  g_rmdir (directory);
}

static void
test_foreign (void)
{
  g_autofree char *directory = g_dir_make_tmp ("modules-XXXXXX", NULL);
  g_autofree char *path = copy_module (directory, "good");
  g_autofree char *message = NULL;

  if (geteuid () != 0)
    g_test_skip ("needs root to give a file away");
  else
    {
      g_assert_no_errno (chown (path, 12345, 12345));
      message = refuse (directory, "good", ROOK_PLUGIN_ERROR_LOAD);
      g_assert_nonnull (strstr (message, "belongs to user 12345, expected root"));
    }
  g_unlink (path);
  g_rmdir (directory);
}

static void
test_good (void)
{
  g_autofree char *directory = fixture_dup_module_directory ();
  g_autoptr (GError) error = NULL;
  g_autoptr (RookModule) module = rook_module_open (directory, "good", &error);

  g_assert_no_error (error);
  g_assert_cmpstr (module->descriptor->version, ==, "1.2.3");
}

/* --- the descriptor ------------------------------------------------------------------------------------------------ */

typedef struct {
  const char *name;
  RookPluginError code;
  const char *message; /* a pattern */
} Refusal;

static const Refusal refusals[] = {
  { "empty", ROOK_PLUGIN_ERROR_LOAD, ": has no symbol rook_plugin_descriptor: *" },
  { "bad-major", ROOK_PLUGIN_ERROR_ABI, ": built for plugin ABI 2.?, expected 1.?*" },
  { "bad-minor", ROOK_PLUGIN_ERROR_ABI, ": built for plugin ABI 1.*, expected 1.*" },
  { "bad-size", ROOK_PLUGIN_ERROR_ABI, ": its descriptor says it has 8 bytes, expected *" },
  { "bad-large", ROOK_PLUGIN_ERROR_ABI, ": its descriptor has 4096 bytes, more than *" },
  { "bad-init", ROOK_PLUGIN_ERROR_CONTRACT, ": its descriptor has no .init" },
  { "bad-name", ROOK_PLUGIN_ERROR_CONTRACT, ": calls itself 'another-name', expected 'bad-name' as its file is named" },
  { "bad-letters", ROOK_PLUGIN_ERROR_CONTRACT, ": calls itself 'Bad_Letters', expected a lower-case letter*" },
  { "bad-interface", ROOK_PLUGIN_ERROR_CONTRACT, ": .provides names 'unversioned', expected *" },
};

static void
test_refused (gconstpointer data)
{
  const Refusal *refusal = data;
  g_autofree char *message = refuse_built (refusal->name, refusal->code);

  if (!g_pattern_match_simple (refusal->message, message))
    g_error ("%s: %s", refusal->name, message);
}

/* --- plans --------------------------------------------------------------------------------------------------------- */

static char *
plan_order (Fixture *fixture, const char *groups)
{
  g_autoptr (RookPluginPlan) plan = NULL;
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config G_GNUC_UNUSED = fixture_configure (fixture, groups, NULL, &plan, &mistakes);
  g_autoptr (GString) text = g_string_new (NULL);

  g_assert_cmpuint (mistakes->len, ==, 0);
  for (guint i = 0; i < plan->items->len; i++)
    {
      const RookPlanItem *item = g_ptr_array_index (plan->items, i);

      g_string_append_printf (text, "%s%s%s", i > 0 ? " " : "", item->error != NULL ? "!" : "", item->name);
    }
  return g_string_free (g_steal_pointer (&text), FALSE);
}

static char *
plan_mistake (Fixture *fixture, const char *groups, const char *name, RookPluginError code)
{
  g_autoptr (RookPluginPlan) plan = NULL;
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config G_GNUC_UNUSED = fixture_configure (fixture, groups, NULL, &plan, &mistakes);
  RookPlanItem *item = rook_plugin_plan_find (plan, name);

  g_assert_nonnull (item);
  g_assert_error (item->error, ROOK_PLUGIN_ERROR, (gint) code);
  return g_strdup (item->error->message);
}

static void
test_order (Fixture *fixture, gconstpointer data)
{
  g_autofree char *needs =
      plan_order (fixture, "[plugin needs-needs]\n[plugin needs-good]\n[plugin chain]\n[plugin good]");
  g_autofree char *free_order = plan_order (fixture, "[plugin stubborn]\n[plugin good]\n[plugin failing]");

  (void) data;
  g_assert_cmpstr (needs, ==, "good chain needs-needs needs-good");
  g_assert_cmpstr (free_order, ==, "stubborn good failing");
}

static void
test_circle (Fixture *fixture, gconstpointer data)
{
  const char *groups = "[plugin after-circle]\n[plugin circle-a]\n[plugin circle-b]\n[plugin good]";
  g_autofree char *order = plan_order (fixture, groups);
  g_autofree char *first = plan_mistake (fixture, groups, "circle-a", ROOK_PLUGIN_ERROR_NEEDS);
  g_autofree char *after = plan_mistake (fixture, groups, "after-circle", ROOK_PLUGIN_ERROR_NEEDS);

  (void) data;
  g_assert_cmpstr (order, ==, "!circle-b !circle-a !after-circle good");
  g_assert_cmpstr (first, ==, "plugins need one another in a circle: circle-a -> circle-b -> circle-a");
  g_assert_true (g_str_has_prefix (after, "needs plugin 'circle-a', which can't run: plugins need"));
}

static void
test_needs (Fixture *fixture, gconstpointer data)
{
  g_autofree char *none = plan_mistake (fixture, "[plugin needs-none]", "needs-none", ROOK_PLUGIN_ERROR_NEEDS);
  g_autofree char *newer =
      plan_mistake (fixture, "[plugin good]\n[plugin needs-newer]", "needs-newer", ROOK_PLUGIN_ERROR_NEEDS);
  g_autofree char *off =
      plan_mistake (fixture, "[plugin good]\nenabled=no\n[plugin needs-good]", "needs-good", ROOK_PLUGIN_ERROR_NEEDS);

  (void) data;
  g_assert_cmpstr (none, ==, "needs interface 'nobody/1', which no enabled plugin provides");
  g_assert_cmpstr (newer, ==, "needs interface 'good/3', but plugin 'good' provides 'good/2'");
  g_assert_cmpstr (off, ==, "needs interface 'good/1', which no enabled plugin provides");
}

static void
test_second_provider (Fixture *fixture, gconstpointer data)
{
  g_autofree char *message =
      plan_mistake (fixture, "[plugin good]\n[plugin second-good]", "second-good", ROOK_PLUGIN_ERROR_CONTRACT);

  (void) data;
  g_assert_cmpstr (message, ==, "provides interface 'good', which plugin 'good' provides already");
}

static void
test_table (Fixture *fixture, gconstpointer data)
{
  g_autofree char *message = plan_mistake (fixture, "[plugin bad-key]", "bad-key", ROOK_PLUGIN_ERROR_CONTRACT);

  (void) data;
  g_assert_nonnull (strstr (message, "enabled"));
  g_assert_nonnull (strstr (message, "bad-key.so"));
}

static guint
count_mistakes (Fixture *fixture, const char *groups, const char *const *except)
{
  g_autoptr (RookPluginPlan) plan = NULL;
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config G_GNUC_UNUSED = fixture_configure (fixture, groups, NULL, &plan, &mistakes);

  rook_plugin_plan_check (plan, except, mistakes);
  return mistakes->len;
}

static void
test_mistakes (Fixture *fixture, gconstpointer data)
{
  const char *const except[] = { "nosuch", NULL };

  (void) data;
  g_assert_cmpuint (count_mistakes (fixture, "[plugin good]\nsize=4", NULL), ==, 0);
  g_assert_cmpuint (count_mistakes (fixture, "[plugin nosuch]\nwhatever=1\n[plugin bad-major]", NULL), ==, 2);
  g_assert_cmpuint (count_mistakes (fixture, "[plugin nosuch]", except), ==, 0);
  g_assert_cmpuint (count_mistakes (fixture, "[plugin nosuch]\nrequired=true", except), ==, 1);
  g_assert_cmpuint (count_mistakes (fixture, "[plugin nosuch]\nenabled=false\nwhatever=1", NULL), ==, 0);
  g_assert_cmpuint (count_mistakes (fixture, "[plugin other]\nmodule=good\nsize=4", NULL), ==, 0);
  g_assert_cmpuint (count_mistakes (fixture, "[plugin good]\nsize=99\nnonsense=1", NULL), ==, 2);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/plugin/module/missing-is-refused", test_missing);
  g_test_add_func ("/plugin/module/name-that-is-none-is-refused", test_no_name);
  g_test_add_func ("/plugin/module/text-is-refused", test_not_a_module);
  g_test_add_func ("/plugin/module/writable-by-others-is-refused", test_writable);
  g_test_add_func ("/plugin/module/somebody-elses-is-refused", test_foreign);
  g_test_add_func ("/plugin/module/good-is-opened", test_good);
  for (guint i = 0; i < G_N_ELEMENTS (refusals); i++)
    {
      g_autofree char *path = g_strdup_printf ("/plugin/descriptor/%s-is-refused", refusals[i].name);

      g_test_add_data_func (path, &refusals[i], test_refused);
    }
  FIXTURE_TEST ("/plugin/order/needs-come-first", test_order);
  FIXTURE_TEST ("/plugin/order/circle-is-named", test_circle);
  FIXTURE_TEST ("/plugin/order/missing-need-is-named", test_needs);
  FIXTURE_TEST ("/plugin/order/second-provider-is-refused", test_second_provider);
  FIXTURE_TEST ("/plugin/plan/table-that-breaks-its-rules-is-refused", test_table);
  FIXTURE_TEST ("/plugin/plan/mistakes-are-told", test_mistakes);
  return g_test_run ();
}
