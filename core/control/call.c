/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls: one verb being carried out for one client. A call outlives its client (who may go away) and its verb's function
 * (which may answer later, from any thread); it ends with its answer.
 */
#include "control/control-private.h"
#include "rookery/thread.h"

#define PROGRESS_MS 100 /* at most one line in that time: who reports each message must not flood anybody */

struct RookControlCall {
  RookWorker *worker;        /* (unowned) the main one */
  RookControlClient *client; /* (nullable) (unowned) NULL when it is gone; main worker only */
  RookPlugin *plugin;        /* (nullable) (owned) a reference: its code is needed until the end */
  gint cancelled, ended;     /* atomic */
  RookMutex lock;            /* guards next_progress_us */
  gint64 next_progress_us;
  guint n_options; /* of its arguments, those before a "--" */
};

typedef struct {
  RookControlCall *call;
  const char *head; /* "ok" or "error"; NULL: progress */
  double percent;
  char *text;
} Message;

RookControlCall *
rook_control_call_new (RookWorker *worker, RookControlClient *client, RookPlugin *plugin)
{
  RookControlCall *call = g_new0 (RookControlCall, 1);

  call->worker = worker;
  call->client = client;
  call->plugin = plugin != NULL ? rook_plugin_ref (plugin) : NULL;
  rook_mutex_init (&call->lock);
  return call;
}

void
rook_control_call_cancel (RookControlCall *call)
{
  g_atomic_int_set (&call->cancelled, TRUE);
  call->client = NULL;
}

void
rook_control_call_set_n_options (RookControlCall *call, guint n_options)
{
  call->n_options = n_options;
}

guint
rook_control_call_get_n_options (RookControlCall *call)
{
  return call->n_options;
}

RookPlugin *
rook_control_call_get_plugin (RookControlCall *call)
{
  return call->plugin;
}

static void
call_free (RookControlCall *call)
{
  if (call->plugin != NULL)
    rook_plugin_unref (call->plugin);
  rook_mutex_clear (&call->lock);
  g_free (call);
}

/* On the main worker. */
static void
deliver (gpointer data)
{
  Message *message = data;
  RookControlClient *client = message->call->client;

  if (client == NULL)
    return;
  if (message->head == NULL)
    {
      rook_control_client_progress (client, message->percent, message->text);
      return;
    }
  rook_control_client_set_call (client, NULL);
  rook_control_client_finish (client, message->head, message->text);
}

/* Also if it could not be delivered: the last message of a call ends it. */
static void
message_free (gpointer data)
{
  Message *message = data;

  if (message->head != NULL)
    call_free (message->call);
  g_free (message->text);
  g_free (message);
}

static void
send_message (RookControlCall *call, const char *head, double percent, char *text)
{
  Message *message = g_new0 (Message, 1);

  message->call = call;
  message->head = head;
  message->percent = percent;
  message->text = text;
  rook_worker_invoke (call->worker, deliver, message, message_free);
}

static gboolean
is_time_for_progress (RookControlCall *call)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&call->lock);
  gint64 now = g_get_monotonic_time ();

  if (now < call->next_progress_us)
    return FALSE;
  call->next_progress_us = now + PROGRESS_MS * 1000;
  return TRUE;
}

void
rook_control_call_progress (RookControlCall *call, double percent, const char *text)
{
  g_return_if_fail (call != NULL && text != NULL);
  if (!g_atomic_int_get (&call->cancelled) && is_time_for_progress (call))
    send_message (call, NULL, CLAMP (percent, 0.0, 100.0), g_strdup (text));
}

gboolean
rook_control_call_is_cancelled (RookControlCall *call)
{
  return g_atomic_int_get (&call->cancelled);
}

/* Returns: whether the caller may answer: nobody did so far. */
static gboolean
end (RookControlCall *call)
{
  gboolean first = g_atomic_int_compare_and_exchange (&call->ended, FALSE, TRUE);

  g_return_val_if_fail (first, FALSE);
  return TRUE;
}

void
rook_control_call_done (RookControlCall *call, GVariant *result)
{
  g_autoptr (GVariant) sunk = result != NULL ? g_variant_ref_sink (result) : NULL;

  if (end (call))
    send_message (call, "ok", 0, sunk != NULL ? g_variant_print (sunk, TRUE) : NULL);
}

void
rook_control_call_fail (RookControlCall *call, const char *format, ...)
{
  va_list args;
  char *text;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  if (end (call))
    send_message (call, "error", 0, text);
  else
    g_free (text);
}
