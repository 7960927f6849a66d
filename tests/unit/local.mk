# SPDX-License-Identifier: LGPL-2.1-or-later
#
# One fragment an area. A test is `check_PROGRAMS += %D%/test-AREA` in it; its source is test-AREA.c, and it links all of
# the core unless it says otherwise. Each runs as TAP. Those in which no second thread ever runs are in one_thread instead: the
# thread sanitizer has nothing to find in them.

EXTRA_DIST += %D%/README.md

one_thread =

include $(top_srcdir)/tests/unit/loop.mk
include $(top_srcdir)/tests/unit/net.mk
include $(top_srcdir)/tests/unit/auth.mk
include $(top_srcdir)/tests/unit/config.mk
include $(top_srcdir)/tests/unit/plugin.mk
include $(top_srcdir)/tests/unit/event.mk
include $(top_srcdir)/tests/unit/control.mk
include $(top_srcdir)/tests/unit/log.mk
include $(top_srcdir)/tests/unit/metrics.mk
include $(top_srcdir)/tests/unit/schedule.mk
include $(top_srcdir)/tests/unit/delivery.mk
include $(top_srcdir)/tests/unit/directory.mk
include $(top_srcdir)/tests/unit/mailbox.mk
include $(top_srcdir)/tests/unit/mime.mk
include $(top_srcdir)/tests/unit/storage.mk
include $(top_srcdir)/tests/unit/imap.mk
include $(top_srcdir)/tests/unit/lmtp.mk
include $(top_srcdir)/tests/unit/build.mk

check_PROGRAMS += $(one_thread)
TESTS += $(check_PROGRAMS)
