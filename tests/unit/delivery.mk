# SPDX-License-Identifier: LGPL-2.1-or-later

check_PROGRAMS += %D%/test-delivery
tests_unit_test_delivery_SOURCES = %D%/test-delivery.c %D%/mail-fixture.c %D%/mail-fixture.h

check_PROGRAMS += %D%/test-delivery-answers
tests_unit_test_delivery_answers_SOURCES = %D%/test-delivery-answers.c %D%/quota-fixture.c %D%/quota-fixture.h %D%/mail-fixture.c \
	%D%/mail-fixture.h
