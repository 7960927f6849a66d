# SPDX-License-Identifier: LGPL-2.1-or-later

core_libcore_la_SOURCES += %D%/loop.c %D%/loop-private.h %D%/pool.c %D%/thread.c %D%/wheel.c %D%/worker.c
EXTRA_DIST += %D%/README.md
