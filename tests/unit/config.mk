# SPDX-License-Identifier: LGPL-2.1-or-later

check_PROGRAMS += %D%/test-config %D%/test-config-check %D%/test-config-value
