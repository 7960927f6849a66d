/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The service manager: tells systemd how we are (sd_notify(3)'s protocol, which is one datagram) and that we are alive.
 * Written out here, since it is ten lines and works without libsystemd.
 */
#include "daemon/notify.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void
rook_notify (const char *format, ...)
{
  const char *path = g_getenv ("NOTIFY_SOCKET");
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  g_autofree char *text = NULL;
  va_list args;
  socklen_t length;
  int fd;

  if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen (path) >= sizeof address.sun_path)
    return;
  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  length = (socklen_t) (offsetof (struct sockaddr_un, sun_path) + strlen (path));
  if (path[0] == '@')
    address.sun_path[0] = '\0';
  fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return;
  /* Nothing hangs on it: a manager that does not listen will see for itself. */
  (void) !sendto (fd, text, strlen (text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *) &address, length);
  close (fd);
}

/* --- the watchdog -------------------------------------------------------------------------------------------------- */

struct RookWatchdog {
  RookLoop *loop; /* (unowned) */
  guint interval_ms;
  RookTimer timer;
  gint awaited; /* atomic: workers that have not come by in this round */
};

static void
on_worker (gpointer data)
{
  RookWatchdog *watchdog = data;

  g_atomic_int_dec_and_test (&watchdog->awaited);
}

static void
begin_round (RookWatchdog *watchdog)
{
  guint n = rook_loop_get_n_workers (watchdog->loop);

  g_atomic_int_set (&watchdog->awaited, (gint) n);
  for (guint i = 0; i < n; i++)
    rook_worker_invoke (rook_loop_get_worker (watchdog->loop, i), on_worker, watchdog, NULL);
}

/* Alive means: every worker has come by since the last time. One that has not keeps the round open. */
static void
on_time (gpointer data)
{
  RookWatchdog *watchdog = data;

  if (g_atomic_int_get (&watchdog->awaited) <= 0)
    {
      rook_notify ("WATCHDOG=1");
      begin_round (watchdog);
    }
  rook_timer_start (&watchdog->timer, watchdog->interval_ms);
}

RookWatchdog *
rook_watchdog_new (RookLoop *loop)
{
  const char *interval = g_getenv ("WATCHDOG_USEC");
  const char *pid = g_getenv ("WATCHDOG_PID");
  RookWatchdog *watchdog;
  guint64 us;

  if (interval == NULL || !g_ascii_string_to_unsigned (interval, 10, 1000, G_MAXINT32, &us, NULL))
    return NULL;
  if (pid != NULL && g_ascii_strtoll (pid, NULL, 10) != getpid ())
    return NULL;
  watchdog = g_new0 (RookWatchdog, 1);
  watchdog->loop = loop;
  watchdog->interval_ms = (guint) MAX (us / 3000, 1);
  rook_timer_init (&watchdog->timer, rook_loop_get_main_worker (loop), on_time, watchdog);
  rook_timer_start (&watchdog->timer, watchdog->interval_ms);
  begin_round (watchdog);
  return watchdog;
}

void
rook_watchdog_stop (RookWatchdog *watchdog)
{
  rook_timer_stop (&watchdog->timer);
}

void
rook_watchdog_free (RookWatchdog *watchdog)
{
  g_free (watchdog);
}
