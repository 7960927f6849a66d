/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection's deadlines. They share one timer, which is left alone while it fires early enough: activity only notes
 * the time, so that a busy connection never touches the timer wheel.
 */
#include "net/connection.h"

gint64
rook_connection_now (RookConnection *self)
{
  return rook_worker_get_now_ms (self->home->worker);
}

static void
on_timer (gpointer data)
{
  RookConnection *self = data;

  self->armed_ms = 0;
  rook_connection_run (self);
}

void
rook_deadline_init (RookConnection *self)
{
  rook_timer_init (&self->timer, self->home->worker, on_timer, self);
  self->since_ms = self->active_ms = rook_connection_now (self);
}

void
rook_deadline_touch (RookConnection *self)
{
  self->active_ms = rook_connection_now (self);
}

static gboolean
idles (RookConnection *self)
{
  return self->idle_ms > 0 && self->phase == ROOK_PHASE_OPEN && !self->paused && !self->tls_wanted
         && self->delay_due == 0;
}

void
rook_deadline_expire (RookConnection *self, RookDeadline deadline, RookNetError code, const char *message)
{
  if (self->phase == ROOK_PHASE_OPEN && self->opened && deadline != ROOK_DEADLINE_WRITE
      && self->handler->expired != NULL)
    self->handler->expired (self, self->session, deadline);
  if (self->phase != ROOK_PHASE_CLOSING || deadline == ROOK_DEADLINE_WRITE)
    rook_connection_fail_with (self, code, message);
}

static gboolean
passed (gint64 *due, gint64 now)
{
  if (*due == 0 || *due > now)
    return FALSE;
  *due = 0;
  return TRUE;
}

void
rook_deadline_check (RookConnection *self)
{
  gint64 now = rook_connection_now (self);

  passed (&self->delay_due, now);
  if (passed (&self->connect_due, now))
    rook_connection_fail_with (self, ROOK_NET_ERROR_TIMEOUT, "could not connect in time");
  else if (passed (&self->drain_due, now))
    rook_connection_fail_with (self, ROOK_NET_ERROR_SHUTDOWN, self->farewell);
  else if (passed (&self->write_due, now))
    rook_deadline_expire (self, ROOK_DEADLINE_WRITE, ROOK_NET_ERROR_TIMEOUT, "the peer does not read");
  else if (passed (&self->login_due, now))
    rook_deadline_expire (self, ROOK_DEADLINE_LOGIN, ROOK_NET_ERROR_TIMEOUT, "not logged in in time");
  else if (idles (self) && now >= self->active_ms + self->idle_ms)
    {
      self->active_ms = now;
      rook_deadline_expire (self, ROOK_DEADLINE_IDLE, ROOK_NET_ERROR_TIMEOUT, "idle for too long");
    }
}

static void
nearer (gint64 *next, gint64 due)
{
  if (due != 0 && (*next == 0 || due < *next))
    *next = due;
}

void
rook_deadline_update (RookConnection *self)
{
  gint64 now = rook_connection_now (self);
  gint64 next = 0;

  if (self->phase == ROOK_PHASE_LINGERING)
    next = self->linger_due;
  else
    {
      nearer (&next, self->login_due);
      nearer (&next, self->write_due);
      nearer (&next, self->delay_due);
      nearer (&next, self->connect_due);
      nearer (&next, self->drain_due);
      nearer (&next, idles (self) ? self->active_ms + self->idle_ms : 0);
    }
  if (next == 0 || (self->armed_ms != 0 && self->armed_ms <= next))
    return;
  rook_timer_start (&self->timer, CLAMP (next - now, 1, G_MAXINT));
  self->armed_ms = next;
}
