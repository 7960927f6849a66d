# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md %D%/idle %D%/large %D%/rookery.sh

# Built on demand: `make bench/load`.
EXTRA_PROGRAMS = %D%/load
bench_load_LDADD = $(GLIB_LIBS)
CLEANFILES += %D%/load
