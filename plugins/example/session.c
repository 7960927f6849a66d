/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The protocol `notify`: one line a command, one line an answer, and `* ` lines as messages arrive.
 *
 *   WATCH              tells of every message from now on:  * MessageNew user/alice 12
 *   UNWATCH            no more
 *   PING               +OK
 *   QUIT               +OK, and the connection ends
 *
 * A session subscribes to the event bus on its own worker, so that its lines are written where the connection lives. A
 * client that does not read costs its output buffer: beyond that lines are left out, and it is told so.
 */
#include "notify.h"

typedef struct {
  Notify *notify;                 /* (unowned) the plugin's, which outlives its sessions */
  RookConnection *connection;     /* (unowned) we end with it */
  RookSubscription *subscription; /* (owned) (nullable) while watching */
  gboolean lost;                  /* lines were left out */
} Session;

/* --- watching ------------------------------------------------------------------------------------------------------ */

static void
tell (Session *session, const RookEvent *event)
{
  if (rook_connection_is_full (session->connection))
    session->lost = TRUE;
  else
    rook_connection_printf (session->connection, "* %s %s %u\r\n", rook_event_type_get_name (event->type),
                            event->mailbox_name != NULL ? event->mailbox_name : "?", event->last_uid);
}

static void
on_events (gpointer data, RookEvent *const *events, guint n_events)
{
  for (guint i = 0; i < n_events; i++)
    tell (data, events[i]);
  rook_connection_flush (((Session *) data)->connection);
}

static void
tell_lost (Session *session)
{
  session->lost = FALSE;
  rook_connection_puts (session->connection, "* LOST\r\n");
}

static void
on_overflow (gpointer data, const char *const *mailbox_ids G_GNUC_UNUSED, guint64 lost_others G_GNUC_UNUSED)
{
  tell_lost (data);
}

static void
watch (Session *session)
{
  const RookSubscriber subscriber = {
    .struct_size = sizeof (RookSubscriber),
    .name = "notify session",
    .types = notify_subscriber.types,
    .events = on_events,
    .overflow = on_overflow,
  };

  if (session->subscription != NULL)
    return;
  session->subscription =
      rook_event_bus_subscribe (rook_server_get_event_bus (session->notify->server),
                                rook_connection_get_worker (session->connection), &subscriber, session);
  g_atomic_int_inc (&session->notify->watchers);
  rook_connection_set_idle_timeout (session->connection, 0);
}

static void
unwatch (Session *session)
{
  if (session->subscription == NULL)
    return;
  rook_event_bus_unsubscribe (rook_server_get_event_bus (session->notify->server), session->subscription, NULL);
  session->subscription = NULL;
  g_atomic_int_add (&session->notify->watchers, -1);
}

/* --- the connection's handler -------------------------------------------------------------------------------------- */

static void
say_bye (RookConnection *connection, const char *why)
{
  rook_connection_printf (connection, "* BYE %s\r\n", why);
  rook_connection_close (connection);
}

static gpointer
session_open (RookConnection *connection, gpointer data)
{
  Session *session = g_new0 (Session, 1);

  session->notify = data;
  session->connection = connection;
  rook_connection_set_idle_timeout (connection, (guint) g_atomic_int_get (&session->notify->idle_ms));
  if (rook_connection_peer_in (connection, (const char *const *) session->notify->allow_from))
    rook_connection_printf (connection, "+OK %s notify\r\n", rook_server_get_hostname (session->notify->server));
  else
    say_bye (connection, "not from there");
  return session;
}

static void
run_command (Session *session, const char *command)
{
  if (g_ascii_strcasecmp (command, "WATCH") == 0)
    watch (session);
  else if (g_ascii_strcasecmp (command, "UNWATCH") == 0)
    unwatch (session);
  else if (g_ascii_strcasecmp (command, "PING") != 0 && g_ascii_strcasecmp (command, "QUIT") != 0)
    {
      rook_connection_puts (session->connection, "-ERR no such command\r\n");
      return;
    }
  rook_connection_puts (session->connection, "+OK\r\n");
  if (g_ascii_strcasecmp (command, "QUIT") == 0)
    rook_connection_close (session->connection);
}

static void
session_line (RookConnection *connection, gpointer session, char *line, gsize length G_GNUC_UNUSED, RookLineFlags flags)
{
  if ((flags & (ROOK_LINE_TOO_LONG | ROOK_LINE_NUL)) != 0)
    rook_connection_puts (connection, "-ERR no such line\r\n");
  else
    run_command (session, line);
}

static void
session_drained (RookConnection *connection G_GNUC_UNUSED, gpointer data)
{
  Session *session = data;

  if (session->lost)
    tell_lost (session);
}

static void
session_expired (RookConnection *connection, gpointer session G_GNUC_UNUSED, RookDeadline deadline G_GNUC_UNUSED)
{
  say_bye (connection, "idle for too long");
}

static void
session_drain (RookConnection *connection, gpointer session G_GNUC_UNUSED)
{
  say_bye (connection, "going down");
}

static void
session_closed (RookConnection *connection G_GNUC_UNUSED, gpointer session, const GError *reason G_GNUC_UNUSED)
{
  unwatch (session);
  g_free (session);
}

static const char *
refusal (RookRefusal reason)
{
  return reason == ROOK_REFUSAL_SHUTDOWN ? "* BYE going down\r\n" : "* BYE too many connections\r\n";
}

const RookProtocol notify_protocol = {
  .struct_size = sizeof (RookProtocol),
  .name = "notify",
  .sasl_service = "notify",
  .handler = { .struct_size = sizeof (RookConnectionHandler),
               .line = session_line,
               .drained = session_drained,
               .expired = session_expired,
               .drain = session_drain,
               .closed = session_closed },
  .open = session_open,
  .refusal = refusal,
  .no_login = TRUE,
};
