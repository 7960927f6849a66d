# SPDX-License-Identifier: LGPL-2.1-or-later

check_PROGRAMS += %D%/test-control %D%/test-rookctl
tests_unit_test_control_LDADD = tools/librookctl.la $(LDADD) $(JSON_LIBS)
tests_unit_test_control_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tools
tests_unit_test_rookctl_LDADD = tools/librookctl.la $(LDADD) $(JSON_LIBS)
tests_unit_test_rookctl_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tools
