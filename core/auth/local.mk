# SPDX-License-Identifier: LGPL-2.1-or-later

core_libcore_la_SOURCES += \
	%D%/auth.c \
	%D%/auth-internal.h \
	%D%/auth-private.h \
	%D%/base64.c \
	%D%/binding.c \
	%D%/check.c \
	%D%/checker.c \
	%D%/client.c \
	%D%/connection.c \
	%D%/decoy.c \
	%D%/exchange.c \
	%D%/groups.c \
	%D%/identity.c \
	%D%/layer.c \
	%D%/mechanism.c \
	%D%/names.c \
	%D%/sasl.c \
	%D%/sasldb.c \
	%D%/sasldb-list.c \
	%D%/saslauthd.c \
	%D%/settings.c \
	%D%/step.c \
	%D%/throttle.c \
	%D%/user-verbs.c
EXTRA_DIST += %D%/README.md
