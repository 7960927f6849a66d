/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the administrator may ask: which listeners and connections there are, and that one ends.
 */
#include "net/connection.h"
#include "net/listener.h"
#include "rookery/control.h"

#define CLOSE_MS 5000 /* for the good-bye of one that is closed */

typedef struct {
  RookControlCall *call;
  RookMutex lock;  /* guards the rows */
  GPtrArray *rows; /* (element-type GVariant) (owned) */
  char *id;        /* (owned) (nullable) the one to close */
  gint found;      /* atomic */
} Request;

static Request *
request_new (RookControlCall *call, const char *id)
{
  Request *request = g_new0 (Request, 1);

  request->call = call;
  request->id = g_strdup (id);
  request->rows = g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref);
  rook_mutex_init (&request->lock);
  return request;
}

static void
request_free (Request *request)
{
  g_ptr_array_unref (request->rows);
  g_free (request->id);
  rook_mutex_clear (&request->lock);
  g_free (request);
}

static void
describe_one (RookConnection *connection, gpointer data)
{
  static const char *const phases[] = { "connecting", "proxy", "handshake", NULL, "closing", "closing", "closing" };
  Request *request = data;
  const char *phase = phases[connection->phase];
  const char *tls = rook_connection_get_tls_version (connection);
  GVariantBuilder row;
  GVariant *variant;

  if (connection->phase >= ROOK_PHASE_LINGERING)
    return;
  g_variant_builder_init (&row, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add_parsed (&row, "{'id', <%s>}", connection->id);
  g_variant_builder_add_parsed (&row, "{'protocol', <%s>}",
                                connection->protocol != NULL ? connection->protocol->name : "outbound");
  g_variant_builder_add_parsed (&row, "{'listener', <%s>}",
                                connection->listener != NULL ? connection->listener->name : "");
  g_variant_builder_add_parsed (&row, "{'user', <%s>}",
                                connection->identity != NULL ? rook_identity_get_user (connection->identity) : "");
  g_variant_builder_add_parsed (&row, "{'address', <%s>}", connection->peer.text);
  g_variant_builder_add_parsed (&row, "{'tls', <%s>}", tls != NULL ? tls : "");
  g_variant_builder_add_parsed (&row, "{'activity', <%s>}", phase != NULL ? phase : connection->activity);
  g_variant_builder_add_parsed (&row, "{'seconds', <%t>}",
                                (guint64) (rook_connection_now (connection) - connection->since_ms) / 1000);
  g_variant_builder_add_parsed (&row, "{'pending', <%t>}", (guint64) connection->output.pending);
  variant = g_variant_ref_sink (g_variant_builder_end (&row));
  rook_mutex_lock (&request->lock);
  g_ptr_array_add (request->rows, variant);
  rook_mutex_unlock (&request->lock);
}

static void
answer_list (gpointer data)
{
  Request *request = data;

  rook_control_call_done (
      request->call,
      g_variant_new_array (G_VARIANT_TYPE_VARDICT, (GVariant *const *) request->rows->pdata, request->rows->len));
  request_free (request);
}

static void
list_connections (gpointer data, RookControlCall *call, const char *const *arguments G_GNUC_UNUSED)
{
  rook_net_each_connection (data, describe_one, request_new (call, NULL), answer_list);
}

static void
close_one (RookConnection *connection, gpointer data)
{
  Request *request = data;

  if (!g_str_equal (connection->id, request->id) || connection->phase >= ROOK_PHASE_LINGERING)
    return;
  g_atomic_int_set (&request->found, TRUE);
  if (connection->protocol == NULL) /* whoever called out has no good-bye to say */
    {
      rook_connection_fail_with (connection, ROOK_NET_ERROR_SHUTDOWN, "closed by the administrator");
      return;
    }
  if (connection->reason == NULL)
    connection->reason = g_error_new_literal (ROOK_NET_ERROR, ROOK_NET_ERROR_SHUTDOWN, "closed by the administrator");
  connection->drain_due = rook_connection_now (connection) + CLOSE_MS;
  rook_connection_drain (connection, "Closed by the administrator");
}

static void
answer_close (gpointer data)
{
  Request *request = data;

  if (g_atomic_int_get (&request->found))
    rook_control_call_done (request->call, NULL);
  else
    rook_control_call_fail (request->call, "there is no connection %s", request->id);
  request_free (request);
}

static void
close_connection (gpointer data, RookControlCall *call, const char *const *arguments)
{
  rook_net_each_connection (data, close_one, request_new (call, arguments[0]), answer_close);
}

static void
list_listeners (gpointer data, RookControlCall *call, const char *const *arguments G_GNUC_UNUSED)
{
  RookNet *net = data;

  rook_control_call_done (call, rook_listeners_describe (net->listeners));
}

static const RookControlVerb verbs[] = {
  { .struct_size = sizeof (RookControlVerb),
    .name = "connection list",
    .arguments = "",
    .help = "Shows who is connected, and what they are doing.",
    .run = list_connections },
  { .struct_size = sizeof (RookControlVerb),
    .name = "connection close",
    .arguments = "ID",
    .help = "Ends one connection, as `connection list` names it.",
    .min_arguments = 1,
    .max_arguments = 1,
    .run = close_connection },
  { .struct_size = sizeof (RookControlVerb),
    .name = "listener list",
    .arguments = "",
    .help = "Shows where connections are taken, and where they would be if a plugin ran.",
    .run = list_listeners },
};

void
rook_net_add_verbs (RookNet *net)
{
  RookControl *control = rook_server_get_control (net->server);

  for (guint i = 0; i < G_N_ELEMENTS (verbs); i++)
    rook_control_add (control, &verbs[i], net);
}
