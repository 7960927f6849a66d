# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md

if ENABLE_IMAP
# The plugin without its registration: what unit tests link. Append sources and headers here.
noinst_LTLIBRARIES += plugins/imap/libimap.la
plugins_imap_libimap_la_SOURCES = \
	%D%/call.c \
	%D%/call.h \
	%D%/capabilities.c \
	%D%/cmd-append.c \
	%D%/cmd-authenticate.c \
	%D%/cmd-capability.c \
	%D%/cmd-check.c \
	%D%/cmd-close.c \
	%D%/cmd-copy.c \
	%D%/cmd-create.c \
	%D%/cmd-delete.c \
	%D%/cmd-enable.c \
	%D%/cmd-expunge.c \
	%D%/cmd-fetch.c \
	%D%/cmd-id.c \
	%D%/cmd-idle.c \
	%D%/cmd-list.c \
	%D%/cmd-login.c \
	%D%/cmd-logout.c \
	%D%/cmd-namespace.c \
	%D%/cmd-noop.c \
	%D%/cmd-quota.c \
	%D%/cmd-rename.c \
	%D%/cmd-search.c \
	%D%/cmd-select.c \
	%D%/cmd-starttls.c \
	%D%/cmd-status.c \
	%D%/cmd-store.c \
	%D%/cmd-subscribe.c \
	%D%/cmd-unselect.c \
	%D%/commands.c \
	%D%/commands.h \
	%D%/common.c \
	%D%/fetch-items.c \
	%D%/fetch-items.h \
	%D%/fetch-section.c \
	%D%/fetch-section.h \
	%D%/imap.c \
	%D%/imap.h \
	%D%/input.c \
	%D%/input.h \
	%D%/interface.c \
	%D%/limits.h \
	%D%/locate.c \
	%D%/locate.h \
	%D%/login.c \
	%D%/names.c \
	%D%/names.h \
	%D%/parse-values.c \
	%D%/parse.c \
	%D%/parse.h \
	%D%/pattern.c \
	%D%/pattern.h \
	%D%/reply.c \
	%D%/reply.h \
	%D%/search-parse.c \
	%D%/search-private.h \
	%D%/search-scan.c \
	%D%/search-scan.h \
	%D%/search-text.c \
	%D%/search.c \
	%D%/search.h \
	%D%/sequence-view.c \
	%D%/sequence.c \
	%D%/sequence.h \
	%D%/session.c \
	%D%/session.h \
	%D%/updates.c \
	%D%/updates.h \
	%D%/write-mail.c \
	%D%/write.c \
	%D%/write.h
# What other plugins need to extend IMAP: #include "rookery/imap-1.h" once installed.
imapincludedir = $(includedir)/rookery-1/rookery
imapinclude_HEADERS = %D%/imap-1.h
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
