# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md

core_libcore_la_SOURCES += \
	%D%/accept.c \
	%D%/address.c \
	%D%/address.h \
	%D%/connect.c \
	%D%/connection-api.c \
	%D%/connection-info.c \
	%D%/connection.c \
	%D%/connection.h \
	%D%/deadline.c \
	%D%/filter-deflate.c \
	%D%/filter-sasl.c \
	%D%/filter-socket.c \
	%D%/filter-tls.c \
	%D%/filter-tls.h \
	%D%/filter.h \
	%D%/input.c \
	%D%/input.h \
	%D%/internal.h \
	%D%/keys.c \
	%D%/limits.c \
	%D%/limits.h \
	%D%/listen-socket.c \
	%D%/listen-systemd.c \
	%D%/listener-check.c \
	%D%/listener.c \
	%D%/listener.h \
	%D%/net-private.h \
	%D%/net.c \
	%D%/output.c \
	%D%/output.h \
	%D%/proxy-header.c \
	%D%/proxy.c \
	%D%/proxy.h \
	%D%/pump.c \
	%D%/room.c \
	%D%/room.h \
	%D%/sasl-layer.c \
	%D%/sasl-layer.h \
	%D%/tls-binding.c \
	%D%/tls-binding.h \
	%D%/tls-context.c \
	%D%/tls-context.h \
	%D%/tls-files.c \
	%D%/tls-files.h \
	%D%/verbs.c
