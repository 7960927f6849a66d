# SPDX-License-Identifier: LGPL-2.1-or-later

one_thread += %D%/test-config %D%/test-config-check %D%/test-config-value
