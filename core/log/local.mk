# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md

core_libcore_la_SOURCES += \
	%D%/log.c \
	%D%/log-connection.c \
	%D%/log-private.h \
	%D%/log-record.c \
	%D%/log-target.c
