/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Between move.c, which moves mailboxes to another partition, and move-page.c, which brings their pages there.
 */
#pragma once

#include "mailbox/box.h"

G_BEGIN_DECLS

/* @page: (nullable) as it is there now, with @error NULL. On the worker that asked; perhaps inside the call if it fails. */
typedef void (*RookPageMoved) (const RookPage *page, const GError *error, gpointer data);
/* Brings page @number of @mailbox, as it is when it is looked at, to @to. @is_there: something of it is there from before, by
 * this same move. */
void rook_page_move (RookMailbox *mailbox, guint number, RookPlace *to, gboolean is_there, RookPageMoved done,
                     gpointer data);

G_END_DECLS
