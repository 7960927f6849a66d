# SPDX-License-Identifier: LGPL-2.1-or-later

check_PROGRAMS += %D%/test-build

TESTS += %D%/check-symbols.sh %D%/check-hardening.sh %D%/check-man.sh %D%/check-limits.sh %D%/check-contracts.sh \
	%D%/check-log.sh
EXTRA_DIST += %D%/check-symbols.sh %D%/check-hardening.sh %D%/check-man.sh %D%/check-limits.sh %D%/check-contracts.sh \
	%D%/check-log.sh %D%/check-log.py
