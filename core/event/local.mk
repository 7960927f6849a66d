# SPDX-License-Identifier: LGPL-2.1-or-later

core_libcore_la_SOURCES += %D%/bus.c %D%/cursors.c %D%/event-private.h %D%/subscription.c %D%/types.c
EXTRA_DIST += %D%/README.md
