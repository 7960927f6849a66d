# SPDX-License-Identifier: LGPL-2.1-or-later

one_thread += %D%/test-build

# Those that read texts, and run what was built for nothing but its own list.
text_checks = %D%/check-man.sh %D%/check-limits.sh %D%/check-contracts.sh %D%/check-log.sh %D%/check-format.sh
TESTS += %D%/check-symbols.sh %D%/check-hardening.sh $(text_checks)
EXTRA_DIST += %D%/check-symbols.sh %D%/check-hardening.sh %D%/check-man.sh %D%/check-limits.sh %D%/check-contracts.sh \
	%D%/check-log.sh %D%/check-log.py %D%/check-format.sh %D%/check-format.py
