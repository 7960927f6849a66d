# SPDX-License-Identifier: LGPL-2.1-or-later

# The whole folder: pytest finds what is in it.
EXTRA_DIST += %D%
