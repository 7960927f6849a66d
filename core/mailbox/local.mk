# SPDX-License-Identifier: LGPL-2.1-or-later

EXTRA_DIST += %D%/README.md
core_libcore_la_SOURCES += %D%/mailbox-private.h %D%/mail.h %D%/box.h %D%/change.h %D%/codec.h %D%/entry.h %D%/expire.h \
	%D%/copy.h %D%/move.h %D%/nameset.h %D%/quota.h %D%/reconstruct.h %D%/record.h %D%/seen.h %D%/uids.h %D%/users.h %D%/verify.h \
	%D%/acl.c %D%/append.c %D%/change.c %D%/clear.c %D%/codec.c %D%/commit.c %D%/consent.c %D%/content.c \
	%D%/copy.c %D%/copy-write.c %D%/create.c %D%/damage.c %D%/delete.c %D%/entry.c %D%/error.c %D%/expire.c %D%/expunge.c %D%/flags.c %D%/forget.c %D%/head.c \
	%D%/header.c %D%/known.c %D%/label.c %D%/list.c %D%/load.c %D%/mail.c %D%/move.c %D%/move-page.c %D%/name.c %D%/names.c %D%/nameset.c %D%/namespace.c \
	%D%/open.c %D%/pages.c %D%/partition-verbs.c %D%/place.c %D%/prune.c %D%/quota.c %D%/quota-get.c %D%/quota-set.c %D%/quota-sum.c \
	%D%/rebuild.c %D%/reconstruct.c %D%/reconstruct-users.c %D%/record.c %D%/recover.c %D%/rename.c %D%/renew.c %D%/room.c %D%/seen.c %D%/settings.c \
	%D%/stores.c %D%/subscribe.c %D%/summary.c %D%/sweep.c %D%/turn.c \
	%D%/uids.c %D%/upkeep.c %D%/users.c %D%/users-codec.c %D%/users-open.c %D%/users-turn.c %D%/verbs.c %D%/verify.c %D%/verify-box.c %D%/view.c %D%/view-read.c %D%/view-update.c
