# SPDX-License-Identifier: LGPL-2.1-or-later

one_thread += %D%/test-mime %D%/test-mime-bombs
check_PROGRAMS += %D%/test-mime-text

TESTS += %D%/check-mime-text.sh
EXTRA_DIST += %D%/check-mime-text.sh %D%/check-mime-text.py
