# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md

if ENABLE_IMAP
# The plugin without its registration: what unit tests link. Append sources and headers here.
noinst_LTLIBRARIES += plugins/imap/libimap.la
plugins_imap_libimap_la_SOURCES = \
	%D%/fetch-items.c %D%/fetch-items.h \
	%D%/input.c %D%/input.h \
	%D%/limits.h \
	%D%/names.c %D%/names.h \
	%D%/parse.c %D%/parse-values.c %D%/parse.h \
	%D%/pattern.c %D%/pattern.h \
	%D%/sequence.c %D%/sequence-view.c %D%/sequence.h \
	%D%/write.c %D%/write-mail.c %D%/write.h
plugins_imap_libimap_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_imap_libimap_la_CFLAGS = $(PLUGIN_CFLAGS)

# The module is registration alone.
plugin_LTLIBRARIES += plugins/imap.la
plugins_imap_la_SOURCES = %D%/imap-plugin.c
plugins_imap_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_imap_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_imap_la_LDFLAGS = $(PLUGIN_LDFLAGS)
plugins_imap_la_LIBADD = plugins/imap/libimap.la $(PLUGIN_LIBS)
endif
