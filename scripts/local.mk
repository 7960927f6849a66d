# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md %D%/check-options %D%/check-style %D%/deps %D%/list-symbols %D%/quick-libtool %D%/quickstart %D%/test
