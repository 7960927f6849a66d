# SPDX-License-Identifier: LGPL-2.1-or-later

if ENABLE_IMAP
check_PROGRAMS += %D%/test-imap %D%/test-imap-search
tests_unit_test_imap_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/plugins
tests_unit_test_imap_LDADD = plugins/imap/libimap.la $(LDADD)
tests_unit_test_imap_search_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/plugins
tests_unit_test_imap_search_LDADD = plugins/imap/libimap.la $(LDADD)
endif
