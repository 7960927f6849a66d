/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A plugin's life: init and its failures, undo, interfaces, drain, residency; with descriptors in memory.
 */
#include "plugin-fixture.h"

#include "modules/module.h"

static void
undo (gpointer data)
{
  test_trace ("undo", data);
}

static void
free_data (gpointer data)
{
  test_trace ("free", data);
}

static gboolean
init_two (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  (void) config;
  (void) error;
  rook_plugin_set_data (self, (gpointer) "data", free_data);
  rook_plugin_on_undo (self, undo, (gpointer) "first");
  rook_plugin_on_undo (self, undo, (gpointer) "second");
  return TRUE;
}

static void
fini_trace (RookPlugin *self)
{
  g_assert_cmpstr (rook_plugin_get_data (self), ==, "data");
  test_trace ("fini", rook_plugin_get_name (self));
}

#define DESCRIPTOR(plugin, ...)                                                                             \
  {                                                                                                         \
    .struct_size = sizeof (RookPluginDescriptor), .abi_major = ROOK_ABI_MAJOR, .abi_minor = ROOK_ABI_MINOR, \
    .name = plugin, .summary = "A test", .version = "1", .license = "LGPL-2.1-or-later", __VA_ARGS__        \
  }

static const RookPluginDescriptor two = DESCRIPTOR ("test", .init = init_two, .fini = fini_trace);

static RookPlugin *
add (Fixture *fixture, const RookPluginDescriptor *descriptor)
{
  g_autoptr (GError) error = NULL;
  RookPlugin *plugin = rook_plugins_add_static (fixture->plugins, descriptor, NULL, &error);

  g_assert_no_error (error);
  g_assert_nonnull (plugin);
  return plugin;
}

static void
refuse (Fixture *fixture, const RookPluginDescriptor *descriptor, RookPluginError code, const char *part)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (rook_plugins_add_static (fixture->plugins, descriptor, NULL, &error));
  g_assert_error (error, ROOK_PLUGIN_ERROR, (gint) code);
  if (strstr (error->message, part) == NULL)
    g_error ("expected %s in: %s", part, error->message);
  fixture_wait (fixture, 20);
}

static void
test_undo (Fixture *fixture, gconstpointer data)
{
  RookPlugin *plugin = add (fixture, &two);

  (void) data;
  g_assert_cmpstr (rook_plugin_get_name (plugin), ==, "test");
  g_assert_true (rook_plugin_get_server (plugin) == fixture->server);
  g_assert_true (rook_plugins_remove_static (fixture->plugins, plugin, 100));
  assert_trace ("undo second, undo first, fini test, free data");
}

static gboolean
init_fails (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  init_two (self, config, error);
  g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "my own reason");
  return FALSE;
}

static void
test_init_fails (Fixture *fixture, gconstpointer data)
{
  const RookPluginDescriptor descriptor = DESCRIPTOR ("test", .init = init_fails, .fini = fini_trace);
  g_autoptr (GError) error = NULL;

  (void) data;
  g_assert_null (rook_plugins_add_static (fixture->plugins, &descriptor, NULL, &error));
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
  assert_trace ("undo second, undo first");
  fixture_await_trace (fixture, "free data");
}

static gboolean
init_says_no (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  (void) self;
  (void) config;
  (void) error;
  return FALSE;
}

static void
test_init_without_reason (Fixture *fixture, gconstpointer data)
{
  const RookPluginDescriptor descriptor = DESCRIPTOR ("test", .init = init_says_no);

  (void) data;
  refuse (fixture, &descriptor, ROOK_PLUGIN_ERROR_INIT, "init failed without saying why");
}

/* --- interfaces ---------------------------------------------------------------------------------------------------- */

static const struct {
  gsize struct_size;
} table = { sizeof table };
static const char *const offers_thing[] = { "thing/2", NULL };
static const char *const wants_thing[] = { "thing/1", NULL };

static gboolean
init_provide (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  (void) config;
  return rook_plugin_provide (self, "thing/2", &table, self, error);
}

static gboolean
init_provide_twice (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  return init_provide (self, config, error) && init_provide (self, config, error);
}

static gboolean
init_lookup (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  gpointer provider = NULL;
  gconstpointer found = rook_plugin_lookup (self, "thing/1", &provider, error);

  (void) config;
  if (found == NULL)
    return FALSE;
  g_assert_true (found == &table);
  g_assert_cmpstr (rook_plugin_get_name (provider), ==, "provider");
  return TRUE;
}

static const RookPluginDescriptor provider = DESCRIPTOR ("provider", .init = init_provide, .provides = offers_thing);
static const RookPluginDescriptor user = DESCRIPTOR ("user", .init = init_lookup, .needs = wants_thing);

static void
test_lookup (Fixture *fixture, gconstpointer data)
{
  (void) data;
  refuse (fixture, &user, ROOK_PLUGIN_ERROR_NEEDS, "needs interface 'thing/1', which nobody provides");
  add (fixture, &provider);
  add (fixture, &user);
}

static void
test_lookup_unnamed (Fixture *fixture, gconstpointer data)
{
  const RookPluginDescriptor descriptor = DESCRIPTOR ("user", .init = init_lookup);

  (void) data;
  add (fixture, &provider);
  refuse (fixture, &descriptor, ROOK_PLUGIN_ERROR_CONTRACT, ".needs does not name");
}

static void
test_provide_rules (Fixture *fixture, gconstpointer data)
{
  const RookPluginDescriptor unnamed = DESCRIPTOR ("test", .init = init_provide);
  const RookPluginDescriptor twice = DESCRIPTOR ("test", .init = init_provide_twice, .provides = offers_thing);
  const RookPluginDescriptor never = DESCRIPTOR ("test", .init = init_two, .provides = offers_thing);

  (void) data;
  refuse (fixture, &unnamed, ROOK_PLUGIN_ERROR_CONTRACT, ".provides does not name");
  refuse (fixture, &twice, ROOK_PLUGIN_ERROR_CONTRACT, "provides already");
  refuse (fixture, &never, ROOK_PLUGIN_ERROR_CONTRACT, "expected rook_plugin_provide()");
  add (fixture, &provider);
  refuse (fixture, &(RookPluginDescriptor) DESCRIPTOR ("test", .init = init_provide, .provides = offers_thing),
          ROOK_PLUGIN_ERROR_CONTRACT, "which plugin 'provider' provides already");
}

static void
test_late_registration (Fixture *fixture, gconstpointer data)
{
  RookPlugin *plugin = add (fixture, &two);
  g_autoptr (GError) error = NULL;

  (void) data;
  g_assert_false (rook_plugin_may_register (plugin, "protocol x", &error));
  g_assert_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT);
  g_assert_cmpstr (error->message, ==, "plugin 'test' registers protocol x outside its init, expected in it");
}

/* --- drain --------------------------------------------------------------------------------------------------------- */

static void *
say_drained (void *data)
{
  g_usleep (30000);
  test_trace ("drained", rook_plugin_get_name (data));
  rook_plugin_drained (data);
  return NULL;
}

static void
drain_in_thread (RookPlugin *self)
{
  pthread_t thread;

  test_trace ("drain", rook_plugin_get_name (self));
  g_assert_cmpint (pthread_create (&thread, NULL, say_drained, self), ==, 0);
  pthread_detach (thread);
}

static void
test_drain (Fixture *fixture, gconstpointer data)
{
  const RookPluginDescriptor descriptor =
      DESCRIPTOR ("test", .init = init_two, .drain = drain_in_thread, .fini = fini_trace);

  (void) data;
  g_assert_true (rook_plugins_remove_static (fixture->plugins, add (fixture, &descriptor), 10000));
  assert_trace ("drain test, drained test, undo second, undo first, fini test, free data");
}

static void
hook_drain (gpointer data)
{
  test_trace ("hook drain", rook_plugin_get_name (data));
}

static void
hook_abort (gpointer data)
{
  test_trace ("hook abort", rook_plugin_get_name (data));
  rook_plugin_unref (data);
}

static gboolean
init_hook (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  (void) config;
  (void) error;
  rook_plugin_on_drain (self, hook_drain, hook_abort, self);
  return TRUE;
}

static void
test_deadline (Fixture *fixture, gconstpointer data)
{
  const RookPluginDescriptor descriptor = DESCRIPTOR ("test", .init = init_hook);
  RookPlugin *plugin = rook_plugin_ref (add (fixture, &descriptor));
  gint64 before = g_get_monotonic_time ();

  (void) data;
  g_assert_true (rook_plugins_remove_static (fixture->plugins, plugin, 100));
  g_assert_cmpint (g_get_monotonic_time () - before, >=, 100000);
  g_assert_cmpint (g_get_monotonic_time () - before, <, 1500000);
  assert_trace ("hook drain test, hook abort test");
}

static gboolean
init_keeps (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  init_two (self, config, error);
  rook_plugin_ref (self);
  rook_plugin_on_undo (self, (RookFunc) rook_plugin_unref, self);
  return TRUE;
}

/* A service's registration may hold a reference for as long as it lasts: that is nothing to wait for. */
static void
test_reference_at_rest (Fixture *fixture, gconstpointer data)
{
  const RookPluginDescriptor descriptor = DESCRIPTOR ("test", .init = init_keeps, .fini = fini_trace);
  gint64 before = g_get_monotonic_time ();

  (void) data;
  g_assert_true (rook_plugins_remove_static (fixture->plugins, add (fixture, &descriptor), 10000));
  g_assert_cmpint (g_get_monotonic_time () - before, <, 1000000);
}

static void
test_resident (Fixture *fixture, gconstpointer data)
{
  RookPlugin *plugin = rook_plugin_ref (add (fixture, &two));

  (void) data;
  g_assert_false (rook_plugins_remove_static (fixture->plugins, plugin, 10));
  g_assert_cmpint (plugin->state, ==, ROOK_PLUGIN_RESIDENT);
  assert_trace ("undo second, undo first");
  rook_plugin_unref (plugin);
  fixture_await_trace (fixture, "fini test, free data");
  while (fixture->plugins->resident->len > 0)
    fixture_wait (fixture, 2);
}

static void
test_list (Fixture *fixture, gconstpointer data)
{
  RookPlugin *plugin = rook_plugin_ref (add (fixture, &two));
  g_autoptr (GVariant) list = g_variant_ref_sink (rook_plugins_list (fixture->plugins));
  g_autofree char *text = g_variant_print (list, FALSE);

  (void) data;
  g_assert_cmpstr (text, ==,
                   "[{'name': <'test'>, 'state': <'running'>, 'version': <'1'>, 'references': <uint32 1>, "
                   "'summary': <'A test'>, 'reason': <''>}]");
  rook_plugin_unref (plugin);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/plugin/undo/comes-in-reverse-and-before-fini", test_undo);
  FIXTURE_TEST ("/plugin/init/failure-is-undone", test_init_fails);
  FIXTURE_TEST ("/plugin/init/failure-without-reason-has-one", test_init_without_reason);
  FIXTURE_TEST ("/plugin/interface/is-found-with-its-data", test_lookup);
  FIXTURE_TEST ("/plugin/interface/unnamed-need-is-refused", test_lookup_unnamed);
  FIXTURE_TEST ("/plugin/interface/provides-what-the-descriptor-says", test_provide_rules);
  FIXTURE_TEST ("/plugin/registration/outside-init-is-refused", test_late_registration);
  FIXTURE_TEST ("/plugin/drain/waits-for-drained-from-any-thread", test_drain);
  FIXTURE_TEST ("/plugin/drain/deadline-aborts-what-is-in-flight", test_deadline);
  FIXTURE_TEST ("/plugin/drain/references-of-registrations-do-not-count", test_reference_at_rest);
  FIXTURE_TEST ("/plugin/resident/until-the-last-reference-goes", test_resident);
  FIXTURE_TEST ("/plugin/list/says-how-it-is", test_list);
  return g_test_run ();
}
