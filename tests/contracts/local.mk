# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md %D%/contracts.py %D%/auth.md %D%/config.md %D%/control.md %D%/delivery.md %D%/directory.md \
	%D%/event.md %D%/imap-1.md %D%/log.md %D%/loop.md %D%/macros.md %D%/mailbox.md %D%/metrics.md %D%/mime.md %D%/mime-text.md \
	%D%/net.md %D%/plugin.md %D%/schedule.md %D%/server.md %D%/storage.md %D%/thread.md

# After a change of a public header: rows follow its sentences; what is new says TODO until tests are named.
.PHONY: update-contracts
update-contracts:
	/usr/bin/python3 -B $(srcdir)/%D%/contracts.py update $(srcdir)
