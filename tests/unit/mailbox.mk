# SPDX-License-Identifier: LGPL-2.1-or-later

check_PROGRAMS += %D%/test-mailbox %D%/test-mailbox-names %D%/test-mailbox-format
tests_unit_test_mailbox_SOURCES = %D%/test-mailbox.c %D%/mail-fixture.c %D%/mail-fixture.h
tests_unit_test_mailbox_names_SOURCES = %D%/test-mailbox-names.c %D%/mail-fixture.c %D%/mail-fixture.h

check_PROGRAMS += %D%/test-mailbox-threads
tests_unit_test_mailbox_threads_SOURCES = %D%/test-mailbox-threads.c %D%/mail-fixture.c %D%/mail-fixture.h

check_PROGRAMS += %D%/test-mailbox-view
tests_unit_test_mailbox_view_SOURCES = %D%/test-mailbox-view.c %D%/mail-fixture.c %D%/mail-fixture.h

check_PROGRAMS += %D%/test-mailbox-calls
tests_unit_test_mailbox_calls_SOURCES = %D%/test-mailbox-calls.c %D%/mail-fixture.c %D%/mail-fixture.h

check_PROGRAMS += %D%/test-mailbox-failing
tests_unit_test_mailbox_failing_SOURCES = %D%/test-mailbox-failing.c %D%/mail-fixture.c %D%/mail-fixture.h \
	%D%/mail-script.c %D%/mail-script.h

check_PROGRAMS += %D%/test-mailbox-verify
tests_unit_test_mailbox_verify_SOURCES = %D%/test-mailbox-verify.c %D%/mail-fixture.c %D%/mail-fixture.h

check_PROGRAMS += %D%/test-mailbox-pages
tests_unit_test_mailbox_pages_SOURCES = %D%/test-mailbox-pages.c %D%/mail-fixture.c %D%/mail-fixture.h

check_PROGRAMS += %D%/test-mailbox-aside
tests_unit_test_mailbox_aside_SOURCES = %D%/test-mailbox-aside.c %D%/mail-fixture.c %D%/mail-fixture.h

check_PROGRAMS += %D%/test-mailbox-uids
tests_unit_test_mailbox_uids_SOURCES = %D%/test-mailbox-uids.c

check_PROGRAMS += %D%/test-mailbox-recover
tests_unit_test_mailbox_recover_SOURCES = %D%/test-mailbox-recover.c %D%/mail-fixture.c %D%/mail-fixture.h

check_PROGRAMS += %D%/test-mailbox-quota
tests_unit_test_mailbox_quota_SOURCES = %D%/test-mailbox-quota.c %D%/quota-fixture.c %D%/quota-fixture.h %D%/mail-fixture.c \
	%D%/mail-fixture.h

check_PROGRAMS += %D%/test-mailbox-quota-model
tests_unit_test_mailbox_quota_model_SOURCES = %D%/test-mailbox-quota-model.c %D%/quota-fixture.c %D%/quota-fixture.h \
	%D%/mail-fixture.c %D%/mail-fixture.h

check_PROGRAMS += %D%/test-mailbox-reconstruct
tests_unit_test_mailbox_reconstruct_SOURCES = %D%/test-mailbox-reconstruct.c %D%/quota-fixture.c %D%/quota-fixture.h \
	%D%/mail-fixture.c %D%/mail-fixture.h

check_PROGRAMS += %D%/test-mailbox-room
tests_unit_test_mailbox_room_SOURCES = %D%/test-mailbox-room.c %D%/mail-fixture.c %D%/mail-fixture.h

check_PROGRAMS += %D%/test-mailbox-move
tests_unit_test_mailbox_move_SOURCES = %D%/test-mailbox-move.c %D%/mail-fixture.c %D%/mail-fixture.h

check_PROGRAMS += %D%/test-mailbox-users
tests_unit_test_mailbox_users_SOURCES = %D%/test-mailbox-users.c %D%/mail-fixture.c %D%/mail-fixture.h
