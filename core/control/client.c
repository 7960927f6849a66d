/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clients of the control socket: read one line, wait for its answer, write it, close. All on the main worker.
 *
 * A client has ten seconds to send its line and must go on reading its answer; what it does not read is bounded by the
 * one answer it asked for (progress is left out when it does not keep up).
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/control-private.h"

#define DEADLINE_MS 10000     /* to send the request; to take a piece of the answer */
#define BEAT_MS 5000          /* whoever waits hears of us, so that silence means that we hang */
#define PROGRESS_BACKLOG 4096 /* bytes unread, beyond which progress is left out */
#define READ_SIZE 4096

struct RookControlClient {
  RookControl *control;  /* (unowned) it outlives us */
  RookControlCall *call; /* (nullable) (unowned) under way */
  int fd;
  RookWatch *watch;
  RookTimer deadline;
  RookTimer beat;
  double percent; /* told last, and again at each beat */
  char *progress; /* (owned) (nullable) */
  GByteArray *request;
  GString *output;
  gsize written; /* of output */
  gboolean reading;
  gboolean closing; /* when all is written */
};

gboolean
rook_control_peer_is_allowed (int fd, uid_t *out_uid, pid_t *out_pid)
{
  struct ucred peer;
  socklen_t length = sizeof peer;

  if (getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
    return FALSE;
  *out_uid = peer.uid;
  *out_pid = peer.pid;
  return peer.uid == 0 || peer.uid == geteuid ();
}

/* Ends it and tells the service, which frees it. */
static void
leave (RookControlClient *client)
{
  rook_control_client_gone (client->control, client);
}

/* --- writing ------------------------------------------------------------------------------------------------------- */

/* Returns: %FALSE when the client is gone. */
static gboolean
write_some (RookControlClient *client)
{
  while (client->written < client->output->len)
    {
      ssize_t n =
          send (client->fd, client->output->str + client->written, client->output->len - client->written, MSG_NOSIGNAL);

      if (n >= 0)
        client->written += (gsize) n;
      else if (errno == EAGAIN)
        break;
      else if (errno != EINTR)
        return FALSE;
    }
  if (client->written == client->output->len)
    {
      g_string_truncate (client->output, 0);
      client->written = 0;
    }
  return TRUE;
}

static void
flush (RookControlClient *client)
{
  gboolean alive = write_some (client);

  if (!alive || (client->closing && client->output->len == 0))
    {
      leave (client);
      return;
    }
  rook_watch_set_events (client->watch, ROOK_IO_HANGUP | (client->reading ? ROOK_IO_READ : ROOK_IO_NONE)
                                            | (client->output->len > 0 ? ROOK_IO_WRITE : ROOK_IO_NONE));
  if (client->output->len > 0)
    rook_timer_start (&client->deadline, DEADLINE_MS);
  else if (!client->reading)
    rook_timer_stop (&client->deadline);
}

static void
tell_progress (RookControlClient *client)
{
  if (client->output->len - client->written > PROGRESS_BACKLOG)
    return;
  g_string_append_printf (client->output, "progress %.0f %s\n", client->percent,
                          client->progress != NULL ? client->progress : "");
  flush (client);
}

void
rook_control_client_progress (RookControlClient *client, double percent, const char *text)
{
  g_free (client->progress);
  client->progress = g_strdelimit (g_strdup (text), "\r\n", ' ');
  client->percent = percent;
  tell_progress (client);
}

static void
on_beat (gpointer data)
{
  RookControlClient *client = data;

  rook_timer_start (&client->beat, BEAT_MS);
  tell_progress (client); /* it may be gone after that */
}

void
rook_control_client_finish (RookControlClient *client, const char *head, const char *text)
{
  gboolean good = strcmp (head, "ok") == 0;

  g_string_append (client->output, head);
  g_string_append_c (client->output, good ? '\n' : ' ');
  if (text != NULL)
    g_string_append_printf (client->output, "%s\n", text);
  client->closing = TRUE;
  client->reading = FALSE;
  rook_timer_stop (&client->beat);
  flush (client);
}

void
rook_control_client_refuse (RookControlClient *client, const char *message)
{
  rook_control_client_finish (client, "error", message);
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

static void
take_request (RookControlClient *client, gsize length)
{
  g_autofree char *line = g_strndup ((const char *) client->request->data, length);

  /* g_strndup() stops at a NUL: give the parser the bytes themselves. */
  memcpy (line, client->request->data, length);
  client->reading = FALSE;
  rook_timer_stop (&client->deadline);
  rook_watch_set_events (client->watch, ROOK_IO_HANGUP);
  rook_control_run_request (client->control, client, line, length);
}

/* Returns: %FALSE when there is nothing to do but wait. */
static gboolean
look_for_line (RookControlClient *client)
{
  const guint8 *end = memchr (client->request->data, '\n', client->request->len);

  if (end != NULL && (gsize) (end - client->request->data) < ROOK_CONTROL_REQUEST_MAX)
    {
      take_request (client, (gsize) (end - client->request->data));
      return TRUE;
    }
  if (client->request->len >= ROOK_CONTROL_REQUEST_MAX)
    {
      rook_control_client_refuse (client, "the request is longer than 64 KiB");
      return TRUE;
    }
  return FALSE;
}

static void
read_some (RookControlClient *client)
{
  guint8 buffer[READ_SIZE];

  for (;;)
    {
      ssize_t n = recv (client->fd, buffer, sizeof buffer, 0);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0 && errno == EAGAIN)
        return;
      if (n <= 0)
        {
          leave (client);
          return;
        }
      g_byte_array_append (client->request, buffer, (guint) n);
      if (look_for_line (client))
        return;
    }
}

static void
on_ready (RookIo ready, gpointer data)
{
  RookControlClient *client = data;

  /* A request that came together with the hang-up is not carried out: nobody waits for it. */
  if (ready & ROOK_IO_HANGUP)
    leave (client);
  else if ((ready & ROOK_IO_READ) && client->reading)
    read_some (client);
  else if (ready & ROOK_IO_WRITE)
    flush (client);
}

static void
on_deadline (gpointer data)
{
  RookControlClient *client = data;

  if (client->reading)
    rook_control_client_refuse (client, "no request came");
  else
    leave (client);
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

RookControlClient *
rook_control_client_new (RookControl *control, RookWorker *worker, int fd)
{
  RookControlClient *client = g_new0 (RookControlClient, 1);

  client->control = control;
  client->fd = fd;
  client->request = g_byte_array_new ();
  client->output = g_string_new (NULL);
  client->reading = TRUE;
  client->watch = rook_watch_new (worker, fd, ROOK_IO_READ, on_ready, client);
  if (client->watch == NULL)
    {
      g_byte_array_unref (client->request);
      g_string_free (client->output, TRUE);
      g_free (client);
      return NULL;
    }
  rook_timer_init (&client->deadline, worker, on_deadline, client);
  rook_timer_init (&client->beat, worker, on_beat, client);
  rook_timer_start (&client->deadline, DEADLINE_MS);
  return client;
}

void
rook_control_client_free (RookControlClient *client)
{
  if (client->call != NULL)
    rook_control_call_cancel (client->call);
  rook_timer_stop (&client->deadline);
  rook_timer_stop (&client->beat);
  g_free (client->progress);
  rook_watch_free (client->watch);
  close (client->fd);
  g_byte_array_unref (client->request);
  g_string_free (client->output, TRUE);
  g_free (client);
}

void
rook_control_client_set_call (RookControlClient *client, RookControlCall *call)
{
  client->call = call;
  if (call != NULL)
    rook_timer_start (&client->beat, BEAT_MS);
  else
    rook_timer_stop (&client->beat);
}

RookControlCall *
rook_control_client_get_call (RookControlClient *client)
{
  return client->call;
}
