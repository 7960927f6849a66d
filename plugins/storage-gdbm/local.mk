# SPDX-License-Identifier: GPL-3.0-or-later

EXTRA_DIST += %D%/README.md

if ENABLE_STORAGE_GDBM
# The plugin without its registration: what unit tests link. Append sources and headers here.
noinst_LTLIBRARIES += plugins/storage-gdbm/libstorage-gdbm.la
plugins_storage_gdbm_libstorage_gdbm_la_SOURCES =
plugins_storage_gdbm_libstorage_gdbm_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_storage_gdbm_libstorage_gdbm_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_storage_gdbm_libstorage_gdbm_la_LIBADD = $(GDBM_LIBS)
# The module is registration alone.
plugin_LTLIBRARIES += plugins/storage-gdbm.la
plugins_storage_gdbm_la_SOURCES = %D%/storage-gdbm-plugin.c
plugins_storage_gdbm_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_storage_gdbm_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_storage_gdbm_la_LDFLAGS = $(PLUGIN_LDFLAGS)
plugins_storage_gdbm_la_LIBADD = plugins/storage-gdbm/libstorage-gdbm.la $(PLUGIN_LIBS)
endif
