# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md %D%/test_kill.py

if ENABLE_STORAGE_GDBM
check_PROGRAMS += tests/crash/test-store-kill tests/crash/test-store-power
tests_crash_test_store_kill_SOURCES = %D%/test-store-kill.c %D%/store-model.c %D%/store-model.h
tests_crash_test_store_kill_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/plugins
tests_crash_test_store_kill_LDADD = plugins/storage-gdbm/libstorage-gdbm.la $(LDADD)
tests_crash_test_store_power_SOURCES = %D%/test-store-power.c %D%/power.c %D%/power.h %D%/store-model.c %D%/store-model.h
tests_crash_test_store_power_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/plugins
# Its open(), write() ... are to be found by libraries.
tests_crash_test_store_power_CFLAGS = $(AM_CFLAGS) -fvisibility=default
tests_crash_test_store_power_LDADD = plugins/storage-gdbm/libstorage-gdbm.la $(LDADD)
endif
