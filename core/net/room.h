/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How many connections there are descriptors for. All of it belongs to the main worker.
 *
 * Stores, the log, password checks need descriptors too, and need them most when everybody is connected: a delivery whose
 * segment can't be opened is a delivery refused. So connections may use what the process may open (the soft limit) less
 * what else is open and a reserve; who comes when that is used up is turned away like anybody above limits/connections.
 */
#pragma once

#include "net/net-private.h"

G_BEGIN_DECLS


typedef struct {
  guint limit;                   /* descriptors that may be open at a time */
  guint others;                  /* open, and no connection of ours; when last counted */
  guint reserve;                 /* kept free for what they still will open */
  gint64 counted_ms;             /* when that was */
  guint told_wanted, told_limit; /* what was warned of last; 0: nothing */
} RookRoom;

/* Counts what is open. Reads /proc, a millisecond for a thousand or two. */
void rook_room_count (RookNet *net);
/* Whether there is room for one that has just been accepted, and counted. Counts anew now and then, when it gets tight. */
gboolean rook_room_has (RookNet *net);
/* Connections at a time for which there is room. */
guint rook_room_get (RookNet *net);
/* Logs what is to be done if limits/connections promises more; once, until that changes. */
void rook_room_warn (RookNet *net);

G_END_DECLS
