# SPDX-License-Identifier: LGPL-2.1-or-later
#
# libcore is everything, for the tests; librookery-core is the same with only the public functions exported.

noinst_LTLIBRARIES += core/libcore.la
core_libcore_la_SOURCES =
core_libcore_la_LIBADD = $(CORE_LIBS)

lib_LTLIBRARIES += core/librookery-core.la
core_librookery_core_la_SOURCES =
core_librookery_core_la_LIBADD = core/libcore.la
core_librookery_core_la_LDFLAGS = $(AM_LDFLAGS) -version-info $(LIBROOKERY_CORE_VERSION_INFO) -no-undefined \
	-export-symbols $(top_srcdir)/core/librookery-core.sym
EXTRA_core_librookery_core_la_DEPENDENCIES = core/librookery-core.sym
EXTRA_DIST += core/librookery-core.sym core/README.md core/include/README.md

# After a public function was added to a header: makes the list of exported symbols anew (tests/unit/check-symbols.sh).
.PHONY: update-symbols
update-symbols:
	$(top_srcdir)/scripts/list-symbols $(rookinclude_HEADERS:%=$(top_srcdir)/%) >$(top_srcdir)/core/librookery-core.sym

rookincludedir = $(includedir)/rookery-1/rookery
rookinclude_HEADERS =

include $(top_srcdir)/core/include/rookery/local.mk
include $(top_srcdir)/core/loop/local.mk
include $(top_srcdir)/core/net/local.mk
include $(top_srcdir)/core/auth/local.mk
include $(top_srcdir)/core/mailbox/local.mk
include $(top_srcdir)/core/mime/local.mk
include $(top_srcdir)/core/delivery/local.mk
include $(top_srcdir)/core/directory/local.mk
include $(top_srcdir)/core/event/local.mk
include $(top_srcdir)/core/schedule/local.mk
include $(top_srcdir)/core/control/local.mk
include $(top_srcdir)/core/log/local.mk
include $(top_srcdir)/core/metrics/local.mk
include $(top_srcdir)/core/config/local.mk
include $(top_srcdir)/core/plugin/local.mk
include $(top_srcdir)/core/storage/local.mk
include $(top_srcdir)/core/daemon/local.mk
