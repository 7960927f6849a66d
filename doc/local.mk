# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md %D%/architecture.md %D%/man/rookery.conf.5.in
dist_man_MANS += %D%/man/rookeryd.8 %D%/man/rookctl.8

# The list of groups and keys comes from the tables in the code.
nodist_man_MANS += doc/man/rookery.conf.5
CLEANFILES += doc/man/rookery.conf.5 doc/man/keys.roff
doc/man/rookery.conf.5: %D%/man/rookery.conf.5.in doc/man/keys.roff
	$(AM_V_GEN)$(SED) -e '/^@KEYS@$$/{r doc/man/keys.roff' -e 'd;}' $(srcdir)/doc/man/rookery.conf.5.in >$@
doc/man/keys.roff: rookeryd
	$(AM_V_GEN)$(MKDIR_P) doc/man && touch $@
