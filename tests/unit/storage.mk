# SPDX-License-Identifier: LGPL-2.1-or-later

STORE_FIXTURE = %D%/store-fixture.c %D%/store-fixture.h

check_PROGRAMS += %D%/test-storage %D%/test-storage-calls
tests_unit_test_storage_SOURCES = %D%/test-storage.c $(STORE_FIXTURE)
tests_unit_test_storage_calls_SOURCES = %D%/test-storage-calls.c $(STORE_FIXTURE)

if ENABLE_STORAGE_GDBM
check_PROGRAMS += %D%/test-storage-gdbm %D%/test-storage-gdbm-damage %D%/test-storage-gdbm-lost \
	%D%/test-storage-gdbm-memory %D%/test-mailbox-gdbm-damage
tests_unit_test_storage_gdbm_SOURCES = %D%/test-storage-gdbm.c $(STORE_FIXTURE)
tests_unit_test_storage_gdbm_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/plugins
tests_unit_test_storage_gdbm_LDADD = plugins/storage-gdbm/libstorage-gdbm.la $(LDADD)
tests_unit_test_storage_gdbm_memory_SOURCES = %D%/test-storage-gdbm-memory.c $(STORE_FIXTURE)
tests_unit_test_storage_gdbm_memory_CPPFLAGS = $(tests_unit_test_storage_gdbm_CPPFLAGS)
tests_unit_test_storage_gdbm_memory_LDADD = $(tests_unit_test_storage_gdbm_LDADD)
GDBM_DAMAGE = %D%/gdbm-damage.c %D%/gdbm-damage.h $(STORE_FIXTURE)
tests_unit_test_storage_gdbm_damage_SOURCES = %D%/test-storage-gdbm-damage.c $(GDBM_DAMAGE)
tests_unit_test_storage_gdbm_damage_CPPFLAGS = $(tests_unit_test_storage_gdbm_CPPFLAGS)
tests_unit_test_storage_gdbm_damage_LDADD = $(tests_unit_test_storage_gdbm_LDADD)
tests_unit_test_mailbox_gdbm_damage_SOURCES = %D%/test-mailbox-gdbm-damage.c %D%/mail-fixture.c %D%/mail-fixture.h
tests_unit_test_mailbox_gdbm_damage_CPPFLAGS = $(tests_unit_test_storage_gdbm_CPPFLAGS)
tests_unit_test_mailbox_gdbm_damage_LDADD = $(tests_unit_test_storage_gdbm_LDADD)
tests_unit_test_storage_gdbm_lost_SOURCES = %D%/test-storage-gdbm-lost.c $(GDBM_DAMAGE)
tests_unit_test_storage_gdbm_lost_CPPFLAGS = $(tests_unit_test_storage_gdbm_CPPFLAGS)
tests_unit_test_storage_gdbm_lost_LDADD = $(tests_unit_test_storage_gdbm_LDADD)
endif
