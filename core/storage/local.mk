# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md
core_libcore_la_SOURCES += %D%/batch.c %D%/memory.c %D%/memory.h %D%/plugin.c %D%/registry.c %D%/reply.c \
	%D%/storage-private.h %D%/store.c
