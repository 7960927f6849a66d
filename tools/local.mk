# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md

bin_PROGRAMS += rookctl
rookctl_SOURCES = %D%/rookctl.c
rookctl_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
rookctl_LDFLAGS = $(AM_LDFLAGS) $(ROOK_PROGRAM_LDFLAGS)
rookctl_LDADD = core/libcore.la $(CORE_LIBS) $(JSON_LIBS)
