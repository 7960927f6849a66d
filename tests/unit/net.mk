# SPDX-License-Identifier: LGPL-2.1-or-later

check_PROGRAMS += %D%/test-net-parts
check_PROGRAMS += %D%/test-net
tests_unit_test_net_SOURCES = %D%/test-net.c %D%/net-echo.c %D%/net-echo.h
