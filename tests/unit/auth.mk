# SPDX-License-Identifier: LGPL-2.1-or-later

check_LTLIBRARIES += %D%/libauth-fixture.la
tests_unit_libauth_fixture_la_SOURCES = %D%/auth-fixture.c %D%/auth-fixture.h

check_PROGRAMS += %D%/test-auth %D%/test-auth-binding %D%/test-auth-client %D%/test-auth-exchange %D%/test-auth-mechanisms %D%/test-auth-sasldb \
	%D%/test-auth-saslauthd %D%/test-auth-service %D%/test-auth-throttle
tests_unit_test_auth_LDADD = %D%/libauth-fixture.la $(LDADD)
tests_unit_test_auth_binding_LDADD = %D%/libauth-fixture.la $(LDADD)
tests_unit_test_auth_exchange_LDADD = %D%/libauth-fixture.la $(LDADD)
tests_unit_test_auth_mechanisms_LDADD = %D%/libauth-fixture.la $(LDADD)
tests_unit_test_auth_sasldb_LDADD = %D%/libauth-fixture.la $(LDADD)
tests_unit_test_auth_saslauthd_LDADD = %D%/libauth-fixture.la $(LDADD)
tests_unit_test_auth_service_LDADD = %D%/libauth-fixture.la $(LDADD)
tests_unit_test_auth_client_LDADD = %D%/libauth-fixture.la $(LDADD)
