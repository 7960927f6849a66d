/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors for connections, and for everything else: see room.h.
 */
#include "net/room.h"

#include <sys/resource.h>

#include "net/internal.h"

#define RESERVE_LEAST 64
#define RESERVE_PERCENT 5
#define COUNT_EVERY_MS 10000

/* Connections in both directions, a descriptor each. */
static guint
count_connections (RookNet *net)
{
  return rook_net_get_n_connections (net) + (guint) MAX (rook_gauge_get (net->metrics.outbound_now), 0);
}

/* Returns: 0 if the system does not say. */
static guint
count_open (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (dir != NULL && g_dir_read_name (dir) != NULL)
    n++;
  return n > 0 ? n - 1 : 0; /* one is the folder's */
}

static guint
reserve_of (guint limit)
{
  return MAX (RESERVE_LEAST, (guint) ((guint64) limit * RESERVE_PERCENT / 100));
}

void
rook_room_count (RookNet *net)
{
  RookRoom *room = &net->room;
  guint connections = count_connections (net);
  guint open = count_open ();
  struct rlimit limit;

  room->limit = getrlimit (RLIMIT_NOFILE, &limit) == 0 ? (guint) MIN (limit.rlim_cur, G_MAXINT) : G_MAXINT;
  if (open > 0)
    room->others = open - MIN (connections, open);
  /* Where there is little it is shared, so that somebody can be served at all. */
  room->reserve = MIN (reserve_of (room->limit), (room->limit - MIN (room->others, room->limit)) / 2);
  room->counted_ms = rook_worker_get_now_ms (rook_loop_get_main_worker (net->loop));
}

guint
rook_room_get (RookNet *net)
{
  const RookRoom *room = &net->room;

  return room->limit - MIN (room->others + room->reserve, room->limit);
}

/* What else is open grows slowly (a segment, a reader's tables): it is looked at again only when it may matter. */
gboolean
rook_room_has (RookNet *net)
{
  guint connections = count_connections (net);
  gint64 now = rook_worker_get_now_ms (rook_loop_get_main_worker (net->loop));

  if (connections > rook_room_get (net) / 2 && now - net->room.counted_ms >= COUNT_EVERY_MS)
    rook_room_count (net);
  return connections <= rook_room_get (net);
}

void
rook_room_warn (RookNet *net)
{
  RookRoom *room = &net->room;
  guint wanted = net->settings->connections;
  guint needed = wanted + room->others + room->reserve;
  gboolean fits = wanted <= rook_room_get (net), told = room->told_wanted == wanted && room->told_limit == room->limit;

  room->told_wanted = fits ? 0 : wanted;
  room->told_limit = fits ? 0 : room->limit;
  if (fits || told)
    return;
  needed = MAX (needed, wanted + room->others + reserve_of (needed));
  rook_log_message (
      net->log, ROOK_LOG_WARNING, "net.few-descriptors",
      "limits/connections is %u, but of the %u descriptors that server/max-open-files and the system allow "
      "(ulimit -Hn, LimitNOFILE=) %u are in use already and %u are kept for stores: there is room for %u "
      "connections. Allow %u, or lower limits/connections",
      wanted, room->limit, room->others, room->reserve, rook_room_get (net), needed);
}
