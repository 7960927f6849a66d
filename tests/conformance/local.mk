# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md

# The suite itself: a backend's test links it and says where its places are.
conformance_sources = %D%/conformance.c %D%/conformance.h %D%/conformance-blob.c %D%/conformance-fixture.h \
	%D%/conformance-model.c %D%/conformance-open.c %D%/conformance-order.c %D%/conformance-value.c

check_LTLIBRARIES += tests/conformance/libconformance.la
tests_conformance_libconformance_la_SOURCES = $(conformance_sources)
tests_conformance_libconformance_la_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/lib
tests_conformance_libconformance_la_LIBADD =

check_PROGRAMS += tests/conformance/test-conformance-memory
tests_conformance_test_conformance_memory_LDADD = tests/conformance/libconformance.la $(LDADD)

if ENABLE_STORAGE_GDBM
check_PROGRAMS += tests/conformance/test-conformance-gdbm
tests_conformance_test_conformance_gdbm_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/plugins
tests_conformance_test_conformance_gdbm_LDADD = tests/conformance/libconformance.la \
	plugins/storage-gdbm/libstorage-gdbm.la $(LDADD)
endif

# For sites: the sources, how to build them, and as an example our own smallest backend with its test.
conformancedir = $(pkgdatadir)/conformance
dist_conformance_DATA = $(conformance_sources) %D%/conformance.mk tests/lib/test-budget.h
conformanceexampledir = $(conformancedir)/example
dist_conformanceexample_DATA = %D%/test-conformance-memory.c
conformancestoragedir = $(conformanceexampledir)/storage
dist_conformancestorage_DATA = core/storage/memory.c core/storage/memory.h
