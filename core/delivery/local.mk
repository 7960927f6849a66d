# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md
core_libcore_la_SOURCES += %D%/delivery-private.h %D%/address.c %D%/answer.c %D%/deliver.c %D%/delivery.c %D%/filter.c %D%/item.c \
	%D%/resolve.c %D%/status.c
