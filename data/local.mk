# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What is installed beside the programs. Paths are filled in when made, since configure keeps ${prefix} in them.

pkgconfigdir = $(libdir)/pkgconfig
nodist_pkgconfig_DATA = data/rookery-1.pc

systemdsystemunit_DATA = data/rookeryd.service
# Socket activation, one unit a listener; nothing is enabled by installing it.
dist_systemdsystemunit_DATA =
if ENABLE_IMAP
dist_systemdsystemunit_DATA += %D%/rookeryd-imap.socket %D%/rookeryd-imaps.socket
endif
if ENABLE_LMTP
dist_systemdsystemunit_DATA += %D%/rookeryd-lmtp.socket
endif

data_generated = data/rookery-1.pc data/rookeryd.service data/rookery.conf
CLEANFILES += $(data_generated)
data_substitute = $(AM_V_GEN)$(MKDIR_P) data && $(SED) -e 's|@prefix[@]|$(prefix)|g' -e 's|@exec_prefix[@]|$(exec_prefix)|g' \
	-e 's|@libdir[@]|$(libdir)|g' -e 's|@includedir[@]|$(includedir)|g' -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
	-e 's|@localstatedir[@]|$(localstatedir)|g' \
	-e 's|@datadir[@]|$(datadir)|g' -e 's|@sbindir[@]|$(sbindir)|g' -e 's|@bindir[@]|$(bindir)|g' \
	-e 's|@PACKAGE_VERSION[@]|$(PACKAGE_VERSION)|g'

data/rookery-1.pc: %D%/rookery-1.pc.in Makefile
	$(data_substitute) $(srcdir)/data/rookery-1.pc.in >$@
data/rookeryd.service: %D%/rookeryd.service.in Makefile
	$(data_substitute) $(srcdir)/data/rookeryd.service.in >$@
data/rookery.conf: %D%/rookery.conf.in Makefile
	$(data_substitute) $(srcdir)/data/rookery.conf.in >$@

# Samples, for whoever sets a machine up by hand; rookery.conf is put in place only where there is none yet.
pamsampledir = $(docdir)/pam
dist_pamsample_DATA = %D%/pam/imap
saslsampledir = $(docdir)/sasl
dist_saslsample_DATA = %D%/sasl/README.md %D%/sasl/saslauthd.default
confsampledir = $(docdir)/conf.d
dist_confsample_DATA =
if ENABLE_STORAGE_GDBM
dist_confsample_DATA += %D%/conf.d/storage-gdbm.conf
endif
if ENABLE_IMAP
dist_confsample_DATA += %D%/conf.d/imap.conf
endif
if ENABLE_LMTP
dist_confsample_DATA += %D%/conf.d/lmtp.conf
endif
if ENABLE_EXAMPLE
dist_confsample_DATA += %D%/conf.d/example.conf
endif

EXTRA_DIST += %D%/README.md %D%/rookery-1.pc.in %D%/rookeryd.service.in %D%/rookery.conf.in \
	%D%/rookery.sysusers %D%/rookery.tmpfiles %D%/conf.d %D%/messages %D%/pam/README.md COPYING.GPL-3

# sysusers.d and tmpfiles.d want the same file name, rookery.conf.
install-data-local: data/rookery.conf
	$(MKDIR_P) "$(DESTDIR)$(pkgsysconfdir)/conf.d" "$(DESTDIR)$(sysusersdir)" "$(DESTDIR)$(tmpfilesdir)"
	$(INSTALL_DATA) $(srcdir)/data/rookery.sysusers "$(DESTDIR)$(sysusersdir)/rookery.conf"
	$(INSTALL_DATA) $(srcdir)/data/rookery.tmpfiles "$(DESTDIR)$(tmpfilesdir)/rookery.conf"
	test -f "$(DESTDIR)$(pkgsysconfdir)/rookery.conf" || \
	  $(INSTALL_DATA) data/rookery.conf "$(DESTDIR)$(pkgsysconfdir)/rookery.conf"
# A configuration that somebody changed stays.
uninstall-local: data/rookery.conf
	rm -f "$(DESTDIR)$(sysusersdir)/rookery.conf" "$(DESTDIR)$(tmpfilesdir)/rookery.conf"
	if cmp -s data/rookery.conf "$(DESTDIR)$(pkgsysconfdir)/rookery.conf"; then \
	  rm -f "$(DESTDIR)$(pkgsysconfdir)/rookery.conf"; \
	fi
