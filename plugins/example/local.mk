# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md

if ENABLE_EXAMPLE
# The plugin without its registration: what unit tests link. Append sources and headers here.
noinst_LTLIBRARIES += plugins/example/libexample.la
plugins_example_libexample_la_SOURCES = %D%/notify.c %D%/notify.h %D%/session.c
plugins_example_libexample_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_example_libexample_la_CFLAGS = $(PLUGIN_CFLAGS)

# The module is registration alone.
plugin_LTLIBRARIES += plugins/example.la
plugins_example_la_SOURCES = %D%/example-plugin.c
plugins_example_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_example_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_example_la_LDFLAGS = $(PLUGIN_LDFLAGS)
plugins_example_la_LIBADD = plugins/example/libexample.la $(PLUGIN_LIBS)
endif
