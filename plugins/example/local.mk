# SPDX-License-Identifier: LGPL-2.1-or-later

# Its source is for reading and copying: see data/plugin.mk.
examplesourcedir = $(docdir)/example
dist_examplesource_DATA = %D%/README.md %D%/example-plugin.c %D%/notify.c %D%/notify.h %D%/session.c data/plugin.mk

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
