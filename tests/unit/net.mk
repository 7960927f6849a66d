# SPDX-License-Identifier: LGPL-2.1-or-later

NET_ECHO = %D%/net-echo.c %D%/net-echo.h
NET_TLS = %D%/net-tls.c %D%/net-tls.h

check_PROGRAMS += %D%/test-net-parts
check_PROGRAMS += %D%/test-net
tests_unit_test_net_SOURCES = %D%/test-net.c $(NET_ECHO)
check_PROGRAMS += %D%/test-net-listen
tests_unit_test_net_listen_SOURCES = %D%/test-net-listen.c $(NET_ECHO)
check_PROGRAMS += %D%/test-net-tls
tests_unit_test_net_tls_SOURCES = %D%/test-net-tls.c $(NET_TLS) $(NET_ECHO)
check_PROGRAMS += %D%/test-net-connect
tests_unit_test_net_connect_SOURCES = %D%/test-net-connect.c $(NET_TLS) $(NET_ECHO)
check_PROGRAMS += %D%/test-net-calls
tests_unit_test_net_calls_SOURCES = %D%/test-net-calls.c $(NET_ECHO)
