# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md %D%/test_kill.py

if ENABLE_STORAGE_GDBM
check_PROGRAMS += tests/crash/test-store-kill
tests_crash_test_store_kill_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/plugins
tests_crash_test_store_kill_LDADD = plugins/storage-gdbm/libstorage-gdbm.la $(LDADD)
endif
