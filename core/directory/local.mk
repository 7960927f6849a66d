# SPDX-License-Identifier: LGPL-2.1-or-later

core_libcore_la_SOURCES += %D%/absent.c %D%/directory-private.h %D%/local.c %D%/owners.c %D%/service.c
EXTRA_DIST += %D%/README.md
