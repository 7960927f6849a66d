# SPDX-License-Identifier: LGPL-2.1-or-later

check_PROGRAMS += %D%/test-wheel %D%/test-loop %D%/test-pool %D%/test-thread
