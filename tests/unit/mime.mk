# SPDX-License-Identifier: LGPL-2.1-or-later

check_PROGRAMS += %D%/test-mime
check_PROGRAMS += %D%/test-mime-bombs
