# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md

core_libcore_la_SOURCES += \
	%D%/change.c \
	%D%/elf.c \
	%D%/elf.h \
	%D%/interface.c \
	%D%/module.c \
	%D%/offers.c \
	%D%/order.c \
	%D%/plan.c \
	%D%/plugin.c \
	%D%/plugin-life.h \
	%D%/plugin-private.h \
	%D%/plugins.c \
	%D%/stop.c \
	%D%/test-plugins.c \
	%D%/verbs.c
