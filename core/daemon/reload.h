/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reload: a new configuration, all or nothing.
 */
#pragma once

#include "daemon/server-private.h"

G_BEGIN_DECLS

typedef struct RookReload RookReload;

/* Registers the verbs `reload`, `plugin enable` and `plugin disable`. */
RookReload *rook_reload_new (RookServer *server);
void rook_reload_free (RookReload *reload);
/* One more, after those that wait. @call: (nullable) who is to be told; the log is told in any case. */
void rook_reload_request (RookReload *reload, RookControlCall *call);
/* Whether one is under way. */
gboolean rook_reload_is_busy (RookReload *reload);
/* The server stops: refuses those that wait and those that come; calls @idle (at once or later) when none is under way. */
void rook_reload_close (RookReload *reload, RookFunc idle, gpointer data);

G_END_DECLS
