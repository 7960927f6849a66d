# SPDX-License-Identifier: LGPL-2.1-or-later

# The modules resolve everything in the program that loads them, as a daemon with the core linked in would have it.
MODULE_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -rpath $(abs_builddir)/nowhere
EXTRA_DIST += %D%/modules/README.md

plugin_fixture = %D%/plugin-fixture.c %D%/plugin-fixture.h %D%/modules/module.h

check_PROGRAMS += %D%/test-plugin-module
tests_unit_test_plugin_module_SOURCES = %D%/test-plugin-module.c $(plugin_fixture)
tests_unit_test_plugin_module_LDFLAGS = $(AM_LDFLAGS) -export-dynamic -Wl,-u,rook_plugin_provide

check_PROGRAMS += %D%/test-plugin-life
tests_unit_test_plugin_life_SOURCES = %D%/test-plugin-life.c $(plugin_fixture)
tests_unit_test_plugin_life_LDFLAGS = $(AM_LDFLAGS) -export-dynamic -Wl,-u,rook_plugin_provide

check_PROGRAMS += %D%/test-plugin-change
tests_unit_test_plugin_change_SOURCES = %D%/test-plugin-change.c $(plugin_fixture)
tests_unit_test_plugin_change_LDFLAGS = $(AM_LDFLAGS) -export-dynamic -Wl,-u,rook_plugin_provide

test_modules =

test_modules += %D%/modules/good.la
tests_unit_modules_good_la_SOURCES = %D%/modules/good.c
tests_unit_modules_good_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_modules_good_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_good_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/failing.la
tests_unit_modules_failing_la_SOURCES = %D%/modules/failing.c
tests_unit_modules_failing_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_modules_failing_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_failing_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/once.la
tests_unit_modules_once_la_SOURCES = %D%/modules/once.c
tests_unit_modules_once_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_modules_once_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_once_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/stubborn.la
tests_unit_modules_stubborn_la_SOURCES = %D%/modules/stubborn.c
tests_unit_modules_stubborn_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_modules_stubborn_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_stubborn_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/empty.la
tests_unit_modules_empty_la_SOURCES = %D%/modules/empty.c
tests_unit_modules_empty_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_modules_empty_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_empty_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/needs-good.la
tests_unit_modules_needs_good_la_SOURCES = %D%/modules/simple.c
tests_unit_modules_needs_good_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DMODULE_NAME=\"needs-good\" -DMODULE_NEEDS=\"good/1\"
tests_unit_modules_needs_good_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_needs_good_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/needs-newer.la
tests_unit_modules_needs_newer_la_SOURCES = %D%/modules/simple.c
tests_unit_modules_needs_newer_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DMODULE_NAME=\"needs-newer\" -DMODULE_NEEDS=\"good/3\"
tests_unit_modules_needs_newer_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_needs_newer_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/needs-none.la
tests_unit_modules_needs_none_la_SOURCES = %D%/modules/simple.c
tests_unit_modules_needs_none_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DMODULE_NAME=\"needs-none\" -DMODULE_NEEDS=\"nobody/1\"
tests_unit_modules_needs_none_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_needs_none_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/needs-needs.la
tests_unit_modules_needs_needs_la_SOURCES = %D%/modules/simple.c
tests_unit_modules_needs_needs_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DMODULE_NAME=\"needs-needs\" -DMODULE_NEEDS=\"chain/1\"
tests_unit_modules_needs_needs_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_needs_needs_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/chain.la
tests_unit_modules_chain_la_SOURCES = %D%/modules/simple.c
tests_unit_modules_chain_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DMODULE_NAME=\"chain\" -DMODULE_NEEDS=\"good/2\" -DMODULE_PROVIDES=\"chain/1\"
tests_unit_modules_chain_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_chain_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/second-good.la
tests_unit_modules_second_good_la_SOURCES = %D%/modules/simple.c
tests_unit_modules_second_good_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DMODULE_NAME=\"second-good\" -DMODULE_PROVIDES=\"good/1\"
tests_unit_modules_second_good_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_second_good_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/circle-a.la
tests_unit_modules_circle_a_la_SOURCES = %D%/modules/simple.c
tests_unit_modules_circle_a_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DMODULE_NAME=\"circle-a\" -DMODULE_NEEDS=\"circle-b/1\" -DMODULE_PROVIDES=\"circle-a/1\"
tests_unit_modules_circle_a_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_circle_a_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/circle-b.la
tests_unit_modules_circle_b_la_SOURCES = %D%/modules/simple.c
tests_unit_modules_circle_b_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DMODULE_NAME=\"circle-b\" -DMODULE_NEEDS=\"circle-a/1\" -DMODULE_PROVIDES=\"circle-b/1\"
tests_unit_modules_circle_b_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_circle_b_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/after-circle.la
tests_unit_modules_after_circle_la_SOURCES = %D%/modules/simple.c
tests_unit_modules_after_circle_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DMODULE_NAME=\"after-circle\" -DMODULE_NEEDS=\"circle-a/1\"
tests_unit_modules_after_circle_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_after_circle_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/bad-major.la
tests_unit_modules_bad_major_la_SOURCES = %D%/modules/bad.c
tests_unit_modules_bad_major_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DMODULE_NAME=\"bad-major\" -DMODULE_MAJOR=ROOK_ABI_MAJOR+1
tests_unit_modules_bad_major_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_bad_major_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/bad-minor.la
tests_unit_modules_bad_minor_la_SOURCES = %D%/modules/bad.c
tests_unit_modules_bad_minor_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DMODULE_NAME=\"bad-minor\" -DMODULE_MINOR=ROOK_ABI_MINOR+1
tests_unit_modules_bad_minor_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_bad_minor_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/bad-size.la
tests_unit_modules_bad_size_la_SOURCES = %D%/modules/bad.c
tests_unit_modules_bad_size_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DMODULE_NAME=\"bad-size\" -DMODULE_SIZE=8
tests_unit_modules_bad_size_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_bad_size_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/bad-large.la
tests_unit_modules_bad_large_la_SOURCES = %D%/modules/bad.c
tests_unit_modules_bad_large_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DMODULE_NAME=\"bad-large\" -DMODULE_SIZE=4096
tests_unit_modules_bad_large_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_bad_large_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/bad-init.la
tests_unit_modules_bad_init_la_SOURCES = %D%/modules/bad.c
tests_unit_modules_bad_init_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DMODULE_NAME=\"bad-init\" -DMODULE_INIT=NULL
tests_unit_modules_bad_init_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_bad_init_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/bad-name.la
tests_unit_modules_bad_name_la_SOURCES = %D%/modules/bad.c
tests_unit_modules_bad_name_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DMODULE_NAME=\"another-name\"
tests_unit_modules_bad_name_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_bad_name_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/bad-letters.la
tests_unit_modules_bad_letters_la_SOURCES = %D%/modules/bad.c
tests_unit_modules_bad_letters_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DMODULE_NAME=\"Bad_Letters\"
tests_unit_modules_bad_letters_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_bad_letters_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/bad-interface.la
tests_unit_modules_bad_interface_la_SOURCES = %D%/modules/bad.c
tests_unit_modules_bad_interface_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DMODULE_NAME=\"bad-interface\" -DMODULE_PROVIDES=\"unversioned\"
tests_unit_modules_bad_interface_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_bad_interface_la_LDFLAGS = $(MODULE_LDFLAGS)

test_modules += %D%/modules/bad-key.la
tests_unit_modules_bad_key_la_SOURCES = %D%/modules/bad.c
tests_unit_modules_bad_key_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DMODULE_NAME=\"bad-key\" -DMODULE_KEY=\"enabled\"
tests_unit_modules_bad_key_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_unit_modules_bad_key_la_LDFLAGS = $(MODULE_LDFLAGS)

check_LTLIBRARIES += $(test_modules)
