# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md

core_libcore_la_SOURCES += \
	%D%/daemon.c \
	%D%/keys.c \
	%D%/life.c \
	%D%/life.h \
	%D%/load.c \
	%D%/load.h \
	%D%/notify.c \
	%D%/notify.h \
	%D%/ownership.c \
	%D%/ownership.h \
	%D%/privileges.c \
	%D%/privileges.h \
	%D%/reload.c \
	%D%/reload.h \
	%D%/server.c \
	%D%/server-private.h \
	%D%/services.c \
	%D%/test-server.c

sbin_PROGRAMS += rookeryd
rookeryd_SOURCES = %D%/main.c
rookeryd_LDFLAGS = $(AM_LDFLAGS) $(ROOK_PROGRAM_LDFLAGS)
rookeryd_LDADD = core/librookery-core.la $(GLIB_LIBS)
