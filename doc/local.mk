# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md %D%/architecture.md %D%/format.md %D%/limits.md %D%/log.md \
	%D%/admin-guide.md %D%/plugin-guide.md %D%/man/README.md \
	%D%/man/rookery.conf.5.in
dist_man_MANS += %D%/man/rookeryd.8 %D%/man/rookctl.8

# Built from the tables in the code: the list of groups and keys in rookery.conf(5), and a sample with all of them. All of
# the core has to be in the program, referred to or not.
noinst_PROGRAMS += doc/describe-config
doc_describe_config_SOURCES = %D%/describe-config.c
doc_describe_config_LDFLAGS = $(AM_LDFLAGS) -Wl,--whole-archive,core/.libs/libcore.a,--no-whole-archive
doc_describe_config_LDADD = $(CORE_LIBS)
doc_describe_config_DEPENDENCIES = core/libcore.la

nodist_man_MANS += doc/man/rookery.conf.5
nodist_doc_DATA = doc/rookery.conf.sample
CLEANFILES += doc/man/rookery.conf.5 doc/man/keys.roff doc/rookery.conf.sample
doc/man/rookery.conf.5: %D%/man/rookery.conf.5.in doc/man/keys.roff
	$(AM_V_GEN)$(SED) -e '/^@KEYS@$$/{r doc/man/keys.roff' -e 'd;}' $(srcdir)/doc/man/rookery.conf.5.in >$@
doc/man/keys.roff: doc/describe-config $(plugin_LTLIBRARIES)
	$(AM_V_GEN)$(MKDIR_P) doc/man && doc/describe-config man $(abs_top_builddir)/plugins/.libs >$@.new && mv $@.new $@
doc/rookery.conf.sample: doc/describe-config $(plugin_LTLIBRARIES)
	$(AM_V_GEN)doc/describe-config sample $(abs_top_builddir)/plugins/.libs >$@.new && mv $@.new $@
