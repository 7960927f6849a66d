# SPDX-License-Identifier: GPL-3.0-or-later

EXTRA_DIST += %D%/README.md

if ENABLE_STORAGE_GDBM
# The plugin without its registration: what unit tests link. Append sources and headers here.
noinst_LTLIBRARIES += plugins/storage-gdbm/libstorage-gdbm.la
plugins_storage_gdbm_libstorage_gdbm_la_SOURCES = %D%/gs-backend.c %D%/gs-bytes.h %D%/gs-checkpoint.c \
	%D%/gs-checksum.c %D%/gs-checksum.h %D%/gs-commit.c %D%/gs-compact.c %D%/gs-compact.h %D%/gs-copy.c \
	%D%/gs-current.c %D%/gs-format-blob.c %D%/gs-format.c %D%/gs-format.h %D%/gs-group.c %D%/gs-io.c %D%/gs-io.h \
	%D%/gs-lock.c %D%/gs-log.c %D%/gs-log-read.c %D%/gs-memory.c %D%/gs-read.c %D%/gs-rebuild.c %D%/gs-recover.c %D%/gs-repair.c %D%/gs-scan.c \
	%D%/gs-segment.c %D%/gs-settings.c %D%/gs-settings.h %D%/gs-space.c %D%/gs-stage.c %D%/gs-store.h %D%/gs-table.c %D%/gs-table.h %D%/gs-upkeep.c %D%/gs-verify.c %D%/gs-witness.c
plugins_storage_gdbm_libstorage_gdbm_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_storage_gdbm_libstorage_gdbm_la_CFLAGS = $(PLUGIN_CFLAGS) $(OPENSSL_CFLAGS)
plugins_storage_gdbm_libstorage_gdbm_la_LIBADD = $(GDBM_LIBS) $(OPENSSL_LIBS)
# The module is registration alone.
plugin_LTLIBRARIES += plugins/storage-gdbm.la
plugins_storage_gdbm_la_SOURCES = %D%/storage-gdbm-plugin.c
plugins_storage_gdbm_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_storage_gdbm_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_storage_gdbm_la_LDFLAGS = $(PLUGIN_LDFLAGS)
plugins_storage_gdbm_la_LIBADD = plugins/storage-gdbm/libstorage-gdbm.la $(PLUGIN_LIBS)
endif
