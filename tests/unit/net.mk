# SPDX-License-Identifier: LGPL-2.1-or-later

NET_ECHO = %D%/net-echo.c %D%/net-echo.h

check_PROGRAMS += %D%/test-net-parts
check_PROGRAMS += %D%/test-net
tests_unit_test_net_SOURCES = %D%/test-net.c $(NET_ECHO)
check_PROGRAMS += %D%/test-net-listen
tests_unit_test_net_listen_SOURCES = %D%/test-net-listen.c $(NET_ECHO)
check_PROGRAMS += %D%/test-net-tls
tests_unit_test_net_tls_SOURCES = %D%/test-net-tls.c $(NET_ECHO)
