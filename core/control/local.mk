# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md

core_libcore_la_SOURCES += \
	%D%/call.c \
	%D%/client.c \
	%D%/control.c \
	%D%/control-private.h \
	%D%/request.c \
	%D%/verbs.c
