# SPDX-License-Identifier: LGPL-2.1-or-later

check_PROGRAMS += %D%/test-storage %D%/test-storage-calls

if ENABLE_STORAGE_GDBM
check_PROGRAMS += %D%/test-storage-gdbm
tests_unit_test_storage_gdbm_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/plugins
tests_unit_test_storage_gdbm_LDADD = plugins/storage-gdbm/libstorage-gdbm.la $(LDADD)
endif
