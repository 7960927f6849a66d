# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md %D%/idle %D%/large %D%/locks %D%/many %D%/lock-times.c %D%/rookery.sh

# Built on demand: `make bench/load`, `make bench/store`.
EXTRA_PROGRAMS = %D%/load
bench_load_LDADD = $(GLIB_LIBS)
CLEANFILES += %D%/load
if ENABLE_STORAGE_GDBM
EXTRA_PROGRAMS += %D%/store
bench_store_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/plugins
bench_store_LDADD = plugins/storage-gdbm/libstorage-gdbm.la $(LDADD)
CLEANFILES += %D%/store
endif

# Loaded before a server, and linked with nothing of it: no sanitizer, no hardening.
%D%/lock-times.so: %D%/lock-times.c
	$(AM_V_CC)$(CC) -D_GNU_SOURCE -O2 -Wall -Wextra -shared -fPIC $(GLIB_CFLAGS) -o $@ $(srcdir)/bench/lock-times.c $(GLIB_LIBS) -ldl
CLEANFILES += %D%/lock-times.so
