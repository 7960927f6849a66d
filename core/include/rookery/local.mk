# SPDX-License-Identifier: LGPL-2.1-or-later

rookinclude_HEADERS += \
	%D%/auth.h \
	%D%/config.h \
	%D%/control.h \
	%D%/delivery.h \
	%D%/directory.h \
	%D%/event.h \
	%D%/log.h \
	%D%/loop.h \
	%D%/macros.h \
	%D%/mailbox.h \
	%D%/metrics.h \
	%D%/mime.h \
	%D%/mime-text.h \
	%D%/net.h \
	%D%/plugin.h \
	%D%/schedule.h \
	%D%/server.h \
	%D%/storage.h \
	%D%/thread.h

EXTRA_DIST += %D%/README.md
