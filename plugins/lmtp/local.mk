# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md

if ENABLE_LMTP
# The plugin without its registration: what unit tests link. Append sources and headers here.
noinst_LTLIBRARIES += plugins/lmtp/liblmtp.la
plugins_lmtp_liblmtp_la_SOURCES = \
	%D%/cmd-auth.c \
	%D%/cmd-data.c \
	%D%/cmd-lhlo.c \
	%D%/cmd-mail.c \
	%D%/cmd-rcpt.c \
	%D%/cmd-simple.c \
	%D%/cmd-starttls.c \
	%D%/envelope.c \
	%D%/envelope.h \
	%D%/lmtp.c \
	%D%/lmtp.h \
	%D%/message.c \
	%D%/message.h \
	%D%/reply.c \
	%D%/reply.h \
	%D%/session.c \
	%D%/session.h
plugins_lmtp_liblmtp_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_lmtp_liblmtp_la_CFLAGS = $(PLUGIN_CFLAGS)

# The module is registration alone.
plugin_LTLIBRARIES += plugins/lmtp.la
plugins_lmtp_la_SOURCES = %D%/lmtp-plugin.c
plugins_lmtp_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_lmtp_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_lmtp_la_LDFLAGS = $(PLUGIN_LDFLAGS)
plugins_lmtp_la_LIBADD = plugins/lmtp/liblmtp.la $(PLUGIN_LIBS)
endif
