# SPDX-License-Identifier: LGPL-2.1-or-later

check_PROGRAMS += %D%/test-delivery
tests_unit_test_delivery_SOURCES = %D%/test-delivery.c %D%/mail-fixture.c %D%/mail-fixture.h
