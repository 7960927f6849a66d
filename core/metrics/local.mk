# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md

core_libcore_la_SOURCES += %D%/histogram.c %D%/metrics.c %D%/metrics-private.h
