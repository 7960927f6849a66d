# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md %D%/test_kill.py %D%/test_kill_mixed.py %D%/test_full_disk.py

if ENABLE_STORAGE_GDBM
check_PROGRAMS += tests/crash/test-store-kill tests/crash/test-store-power tests/crash/test-mail-power \
	tests/crash/test-mail-errors
tests_crash_test_store_kill_SOURCES = %D%/test-store-kill.c %D%/store-model.c %D%/store-model.h
tests_crash_test_store_kill_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/plugins
tests_crash_test_store_kill_LDADD = plugins/storage-gdbm/libstorage-gdbm.la $(LDADD)

power_sources = %D%/power.c %D%/power-calls.c %D%/power-disk.c %D%/power.h %D%/power-private.h %D%/store-model.c %D%/store-model.h
mail_disk_sources = %D%/mail-disk.c %D%/mail-disk.h tests/unit/mail-fixture.c tests/unit/mail-fixture.h \
	tests/unit/mail-script.c tests/unit/mail-script.h
# Its open(), write() ... are to be found by libraries.
power_cflags = $(AM_CFLAGS) -fvisibility=default
tests_crash_test_store_power_SOURCES = %D%/test-store-power.c $(power_sources)
tests_crash_test_store_power_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/plugins
tests_crash_test_store_power_CFLAGS = $(power_cflags)
tests_crash_test_store_power_LDADD = plugins/storage-gdbm/libstorage-gdbm.la $(LDADD)
tests_crash_test_mail_power_SOURCES = %D%/test-mail-power.c $(power_sources) $(mail_disk_sources)
tests_crash_test_mail_power_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/plugins
tests_crash_test_mail_power_CFLAGS = $(power_cflags)
tests_crash_test_mail_power_LDADD = plugins/storage-gdbm/libstorage-gdbm.la $(LDADD)
tests_crash_test_mail_errors_SOURCES = %D%/test-mail-errors.c $(power_sources) $(mail_disk_sources)
tests_crash_test_mail_errors_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/plugins
tests_crash_test_mail_errors_CFLAGS = $(power_cflags)
tests_crash_test_mail_errors_LDADD = plugins/storage-gdbm/libstorage-gdbm.la $(LDADD)
endif
