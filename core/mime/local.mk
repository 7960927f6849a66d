# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md
core_libcore_la_SOURCES += %D%/mime-private.h %D%/mime.c %D%/parse.c %D%/field.c %D%/value.c %D%/address.c \
	%D%/envelope.c %D%/body.c %D%/cache.c %D%/imap-string.c %D%/utf7.c %D%/mime-text-private.h \
	%D%/charset-table.c %D%/charset.c %D%/charset-utf7.c %D%/transfer.c %D%/words.c %D%/param.c %D%/text.c
