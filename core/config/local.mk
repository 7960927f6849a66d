# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md

core_libcore_la_SOURCES += \
	%D%/config.c \
	%D%/config-check.c \
	%D%/config-describe.c \
	%D%/config-diff.c \
	%D%/config-mistake.c \
	%D%/config-parse.c \
	%D%/config-private.h \
	%D%/config-value.c
