# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md

core_libcore_la_SOURCES += \
	%D%/command.c \
	%D%/hook.c \
	%D%/run.c \
	%D%/schedule.c \
	%D%/schedule-private.h \
	%D%/state.c \
	%D%/verbs.c \
	%D%/when.c
