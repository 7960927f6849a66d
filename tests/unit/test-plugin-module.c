/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Modules: which are loaded, which are refused and in which words; and the order of those that are loaded.
 */
#include <glib/gstdio.h>
#include <link.h>
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
  g_assert_true (g_str_has_suffix (message, ": not a shared object"));
  g_unlink (path);
  g_rmdir (directory);
}

/* --- a file that is not whole ---------------------------------------------------------------------------------------- */

typedef struct {
  char *directory, *path, *contents;
  gsize length;
} Copy;

static void
set_up_copy (Copy *copy, gconstpointer data)
{
  (void) data;
  copy->directory = g_dir_make_tmp ("modules-XXXXXX", NULL);
  copy->path = copy_module (copy->directory, "good");
  g_assert_true (g_file_get_contents (copy->path, &copy->contents, &copy->length, NULL));
}

static void
tear_down_copy (Copy *copy, gconstpointer data)
{
  (void) data;
  g_unlink (copy->path);
  g_rmdir (copy->directory);
  g_free (copy->directory);
  g_free (copy->path);
  g_free (copy->contents);
}

/* Writes what @contents are now, up to @length, and has it refused with a message that names the file. */
static void
refuse_copy (Copy *copy, gsize length, const char *pattern)
{
  g_autofree char *message = NULL;

  g_assert_true (g_file_set_contents (copy->path, copy->contents, (gssize) length, NULL));
  message = refuse (copy->directory, "good", ROOK_PLUGIN_ERROR_LOAD);
  if (!g_str_has_prefix (message, copy->path) || !g_pattern_match_simple (pattern, message + strlen (copy->path)))
    g_error ("%" G_GSIZE_FORMAT " bytes: %s", length, message);
}

static void
test_cut_short (Copy *copy, gconstpointer data)
{
  (void) data;
  refuse_copy (copy, 0, ": empty: install it again");
  refuse_copy (copy, 3, ": damaged or cut short: it has 3 bytes, *");
  refuse_copy (copy, sizeof (ElfW (Ehdr)) - 1, ": damaged or cut short: *header reaches to byte *");
  refuse_copy (copy, sizeof (ElfW (Ehdr)), ": damaged or cut short: *program headers reach to byte *");
  refuse_copy (copy, copy->length - 1, ": damaged or cut short: *section headers reach to byte *");
  for (gsize length = 512; length < copy->length; length += 512)
    refuse_copy (copy, length, ": damaged or cut short: *");
}

/* As a power cut leaves a file whose length was on the disk before its contents. */
static void
test_zeros (Copy *copy, gconstpointer data)
{
  (void) data;
  /* The very last section header, at least, is gone. */
  for (gsize length = (copy->length - sizeof (ElfW (Shdr))) / 512 * 512; length > 0; length -= 512)
    {
      memset (copy->contents + length, 0, copy->length - length);
      refuse_copy (copy, copy->length, ": damaged*: install it again");
    }
}

static ElfW (Phdr) * find_segment (Copy *copy, guint32 type)
{
  ElfW (Ehdr) *header = (gpointer) copy->contents;
  ElfW (Phdr) *segments = (gpointer) (copy->contents + header->e_phoff);

  for (guint i = 0; i < header->e_phnum; i++)
    if (segments[i].p_type == type)
      return &segments[i];
  g_assert_not_reached ();
}

static void
test_dynamic (Copy *copy, gconstpointer data)
{
  ElfW (Phdr) *dynamic = find_segment (copy, PT_DYNAMIC);

  (void) data;
  memset (copy->contents + dynamic->p_offset, 0, dynamic->p_filesz);
  refuse_copy (copy, copy->length, ": damaged: its dynamic section *");
  dynamic->p_type = PT_NULL;
  refuse_copy (copy, copy->length, ": damaged: it has no dynamic section*");
}

static void
test_segment (Copy *copy, gconstpointer data)
{
  ElfW (Phdr) *load = find_segment (copy, PT_LOAD);

  (void) data;
  load->p_offset = G_MAXLONG;
  refuse_copy (copy, copy->length, ": damaged*");
  load->p_offset = (ElfW (Off)) - 1;
  refuse_copy (copy, copy->length, ": damaged: its headers name places that no file has*");
}

static void
test_other_kind (Copy *copy, gconstpointer data)
{
  ElfW (Ehdr) *header = (gpointer) copy->contents;

  (void) data;
  header->e_machine ^= 1;
  refuse_copy (copy, copy->length, ": built for another kind of machine (*");
  header->e_machine ^= 1;
  header->e_ident[EI_CLASS] = header->e_ident[EI_CLASS] == ELFCLASS64 ? ELFCLASS32 : ELFCLASS64;
  refuse_copy (copy, copy->length, ": built for another kind of machine (*");
  refuse_copy (copy, 52, ": *"); /* as short as a 32-bit header */
  header->e_ident[EI_CLASS] = header->e_ident[EI_CLASS] == ELFCLASS64 ? ELFCLASS32 : ELFCLASS64;
  header->e_type = ET_EXEC;
  refuse_copy (copy, copy->length, ": not a shared object (ELF type 2, expected 3)");
}

/* -------------------------------------------------------------------------------------------------------------------- */

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

#define ABI G_STRINGIFY (ROOK_ABI_MAJOR)

static const Refusal refusals[] = {
  { "empty", ROOK_PLUGIN_ERROR_LOAD, ": has no symbol rook_plugin_descriptor: *" },
  { "bad-major", ROOK_PLUGIN_ERROR_ABI, ": built for plugin ABI ?.?, expected " ABI ".?*" },
  { "bad-minor", ROOK_PLUGIN_ERROR_ABI, ": built for plugin ABI " ABI ".*, expected " ABI ".*" },
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

#define COPY_TEST(path, func) g_test_add (path, Copy, NULL, set_up_copy, func, tear_down_copy)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/plugin/module/missing-is-refused", test_missing);
  g_test_add_func ("/plugin/module/name-that-is-none-is-refused", test_no_name);
  g_test_add_func ("/plugin/module/text-is-refused", test_not_a_module);
  COPY_TEST ("/plugin/module/cut-short-is-refused", test_cut_short);
  COPY_TEST ("/plugin/module/zeros-at-the-end-are-refused", test_zeros);
  COPY_TEST ("/plugin/module/dynamic-section-that-is-none-is-refused", test_dynamic);
  COPY_TEST ("/plugin/module/segment-beyond-the-file-is-refused", test_segment);
  COPY_TEST ("/plugin/module/another-machines-is-refused", test_other_kind);
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
