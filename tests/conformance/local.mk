# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md

# The suite itself: a backend's test links it and says where its places are.
check_LTLIBRARIES += tests/conformance/libconformance.la
tests_conformance_libconformance_la_SOURCES = %D%/conformance.c %D%/conformance.h %D%/conformance-blob.c \
	%D%/conformance-model.c %D%/conformance-open.c %D%/conformance-order.c %D%/conformance-value.c
tests_conformance_libconformance_la_LIBADD =

check_PROGRAMS += tests/conformance/test-conformance-memory
tests_conformance_test_conformance_memory_LDADD = tests/conformance/libconformance.la $(LDADD)

if ENABLE_STORAGE_GDBM
check_PROGRAMS += tests/conformance/test-conformance-gdbm
tests_conformance_test_conformance_gdbm_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/plugins
tests_conformance_test_conformance_gdbm_LDADD = tests/conformance/libconformance.la \
	plugins/storage-gdbm/libstorage-gdbm.la $(LDADD)
endif
