# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Each fuzz-NAME.c here becomes a program by itself, without being listed: with --enable-fuzzing a libFuzzer target,
# otherwise one that replays its corpus (corpus/NAME) in make check.

fuzz_targets_c = $(wildcard $(top_srcdir)/tests/fuzz/fuzz-*.c)
fuzz_targets = $(filter-out $(fuzz_without_imap) $(fuzz_without_lmtp) $(fuzz_without_storage_gdbm), \
	$(patsubst $(top_srcdir)/tests/fuzz/%.c,tests/fuzz/%,$(fuzz_targets_c)))

# A plugin that is left out takes its targets, fuzz-PLUGIN*.c, along.
if ENABLE_IMAP
fuzz_plugin_imap = plugins/imap/libimap.la
else
fuzz_without_imap = tests/fuzz/fuzz-imap%
endif
if ENABLE_LMTP
fuzz_plugin_lmtp = plugins/lmtp/liblmtp.la
else
fuzz_without_lmtp = tests/fuzz/fuzz-lmtp%
endif
if ENABLE_STORAGE_GDBM
fuzz_plugin_storage_gdbm = plugins/storage-gdbm/libstorage-gdbm.la
else
fuzz_without_storage_gdbm = tests/fuzz/fuzz-storage-gdbm%
endif
fuzz_plugins = $(fuzz_plugin_imap) $(fuzz_plugin_lmtp) $(fuzz_plugin_storage_gdbm)
fuzz_cppflags = $(AM_CPPFLAGS) -I$(top_srcdir)/plugins

if ENABLE_FUZZING
fuzz_engine =
else
fuzz_engine = tests/fuzz/replay.o
endif

tests/fuzz/%.o: %D%/%.c config.h
	$(AM_V_CC)$(MKDIR_P) tests/fuzz && $(CC) $(DEFS) $(fuzz_cppflags) $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) \
	  -MMD -MF $@.d -c -o $@ $<

tests/fuzz/fuzz-%: tests/fuzz/fuzz-%.o $(fuzz_engine) core/libcore.la $(fuzz_plugins)
	$(AM_V_CCLD)$(LIBTOOL) $(AM_V_lt) --tag=CC --mode=link $(CC) $(AM_CFLAGS) $(CFLAGS) $(AM_LDFLAGS) $(FUZZ_LDFLAGS) \
	  $(LDFLAGS) -o $@ $< $(fuzz_engine) $(fuzz_plugins) $(LDADD) $(LIBS)

-include $(fuzz_targets:=.o.d)
.PRECIOUS: tests/fuzz/%.o

# All of them, built and not run.
.PHONY: fuzz-programs
fuzz-programs: $(fuzz_targets)
check_DATA += $(fuzz_targets)

TESTS += %D%/replay.sh
EXTRA_DIST += %D%/README.md %D%/replay.sh %D%/replay.c %D%/corpus $(fuzz_targets_c)
mostlyclean-local:
	rm -f tests/fuzz/*.o tests/fuzz/*.o.d $(fuzz_targets)
