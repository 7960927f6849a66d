# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md

# rookctl without its command line: what unit tests link too.
noinst_LTLIBRARIES += tools/librookctl.la
tools_librookctl_la_SOURCES = \
	%D%/rookctl-call.c \
	%D%/rookctl-json.c \
	%D%/rookctl-local.c \
	%D%/rookctl-private.h \
	%D%/rookctl-show.c
tools_librookctl_la_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)

bin_PROGRAMS += rookctl
rookctl_SOURCES = %D%/rookctl.c
# All of the core has to be in the program, referred to or not: `config describe --local` tells of all its tables.
rookctl_LDFLAGS = $(AM_LDFLAGS) $(ROOK_PROGRAM_LDFLAGS) -Wl,--whole-archive,core/.libs/libcore.a,--no-whole-archive
rookctl_LDADD = tools/librookctl.la $(CORE_LIBS) $(JSON_LIBS)
rookctl_DEPENDENCIES = tools/librookctl.la core/libcore.la
