# SPDX-License-Identifier: LGPL-2.1-or-later

if ENABLE_LMTP
check_PROGRAMS += %D%/test-lmtp
tests_unit_test_lmtp_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/plugins
tests_unit_test_lmtp_LDADD = plugins/lmtp/liblmtp.la $(LDADD)
endif
