/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sockets that systemd opened and handed over (sd_listen_fds(3)), by the names that their units give them. They listen
 * from before we start until after we stop, so a restart turns nobody away; while we run and nobody serves one of them,
 * whoever comes is refused as at a port of our own instead of waiting for nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/listener.h"

#define FIRST_FD 3
#define MOST_FDS 1024

static void
systemd_socket_free (gpointer data)
{
  RookSystemdSocket *self = data;

  g_clear_pointer (&self->refusing, rook_watch_free);
  g_free (self);
}

/* Those that are meant for this process. Returns: how many. */
static guint
peek (GStrv *out_names)
{
  const char *pid = g_getenv ("LISTEN_PID");
  const char *count = g_getenv ("LISTEN_FDS");
  const char *names = g_getenv ("LISTEN_FDNAMES");
  guint64 n = 0;

  *out_names = g_strsplit (names != NULL ? names : "", ":", -1);
  if (pid != NULL && count != NULL && g_ascii_strtoull (pid, NULL, 10) == (guint64) getpid ())
    g_ascii_string_to_unsigned (count, 10, 0, MOST_FDS, &n, NULL);
  return n;
}

static const char *
name_of (GStrv names, guint i)
{
  return i < g_strv_length (names) && names[i][0] != '\0' ? names[i] : "unknown";
}

void
rook_systemd_take (RookListeners *self)
{
  g_auto (GStrv) names = NULL;
  guint n = peek (&names);

  self->systemd = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
  for (guint i = 0; i < n; i++)
    {
      const char *name = name_of (names, i);
      GPtrArray *list = g_hash_table_lookup (self->systemd, name);
      RookSystemdSocket *one = g_new0 (RookSystemdSocket, 1);

      *one = (RookSystemdSocket){ .owner = self, .fd = FIRST_FD + i };
      fcntl (one->fd, F_SETFD, FD_CLOEXEC);
      fcntl (one->fd, F_SETFL, fcntl (one->fd, F_GETFL) | O_NONBLOCK);
      if (list == NULL)
        {
          list = g_ptr_array_new_with_free_func (systemd_socket_free);
          g_hash_table_insert (self->systemd, g_strdup (name), list);
        }
      g_ptr_array_add (list, one);
    }
  g_unsetenv ("LISTEN_PID"); /* they are ours, not our children's */
  g_unsetenv ("LISTEN_FDS");
  g_unsetenv ("LISTEN_FDNAMES");
}

/* The descriptors stay open: the sockets live as long as we do. */
void
rook_systemd_free (RookListeners *self)
{
  g_hash_table_unref (self->systemd);
}

guint
rook_systemd_count (RookListeners *self, const char *name)
{
  GPtrArray *list = g_hash_table_lookup (self->systemd, name);

  return list != NULL ? list->len : 0;
}

/* --- names ----------------------------------------------------------------------------------------------------------- */

static void
set_missing (GString *others, const char *name, GError **error)
{
  g_set_error (error, ROOK_NET_ERROR, ROOK_NET_ERROR_IO,
               "systemd:%s: systemd handed over no socket of that name (LISTEN_FDNAMES), but %s; it is what"
               " FileDescriptorName= says in the socket's unit",
               name, others->len > 0 ? others->str : "none at all");
}

static void
add_name (GString *names, const char *name)
{
  g_string_append_printf (names, "%s%s", names->len > 0 ? ", " : "", name);
}

gboolean
rook_systemd_check (const char *name, GError **error)
{
  g_auto (GStrv) names = NULL;
  guint n = peek (&names);
  g_autoptr (GString) others = g_string_new (NULL);

  for (guint i = 0; i < n; i++)
    {
      if (g_str_equal (name_of (names, i), name))
        return TRUE;
      add_name (others, name_of (names, i));
    }
  if (n > 0)
    set_missing (others, name, error);
  return n == 0;
}

int
rook_systemd_dup (RookListeners *self, const RookPlace *place, GError **error)
{
  GPtrArray *list = g_hash_table_lookup (self->systemd, place->host);
  const RookSystemdSocket *one = list != NULL ? g_ptr_array_index (list, place->port) : NULL;
  int type = 0, listens = 0;
  socklen_t length = sizeof type;
  int fd;

  if (one == NULL)
    {
      g_autoptr (GList) names = g_list_sort (g_hash_table_get_keys (self->systemd), (GCompareFunc) strcmp);
      g_autoptr (GString) others = g_string_new (NULL);

      for (GList *l = names; l != NULL; l = l->next)
        add_name (others, l->data);
      set_missing (others, place->host, error);
      return -1;
    }
  if (getsockopt (one->fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM
      && getsockopt (one->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 && listens
      && (fd = fcntl (one->fd, F_DUPFD_CLOEXEC, FIRST_FD)) >= 0)
    return fd;
  g_set_error (error, ROOK_NET_ERROR, ROOK_NET_ERROR_IO,
               "systemd:%s: can't take it: it is no socket that listens (ListenStream=, Accept=no)", place->host);
  return -1;
}

/* --- nobody's --------------------------------------------------------------------------------------------------------- */

typedef enum { NOBODY, NOT_NOW, SERVED } Use;

static Use
find_use (RookListeners *self, const char *name, guint index)
{
  for (guint i = 0; i < self->sockets->len; i++)
    {
      const RookListenSocket *socket = g_ptr_array_index (self->sockets, i);

      if (socket->place.kind == ROOK_PLACE_SYSTEMD && socket->place.port == index
          && g_str_equal (socket->place.host, name))
        return socket->listening ? SERVED : NOT_NOW;
    }
  return NOBODY;
}

void
rook_systemd_update (RookListeners *self)
{
  /* Not before the start is done, nor when we stop: the next one of us will serve who comes then. */
  gboolean open = self->net->listening && !self->net->stopping;
  RookWorker *worker = rook_loop_get_main_worker (self->net->loop);
  GHashTableIter iter;
  gpointer name, value;

  g_hash_table_iter_init (&iter, self->systemd);
  while (g_hash_table_iter_next (&iter, &name, &value))
    for (guint i = 0; i < ((GPtrArray *) value)->len; i++)
      {
        RookSystemdSocket *one = g_ptr_array_index ((GPtrArray *) value, i);
        gboolean refusing = open && find_use (self, name, i) != SERVED;

        if (refusing && one->refusing == NULL)
          one->refusing = rook_watch_new (worker, one->fd, ROOK_IO_READ, rook_accept_refuse, one);
        else if (!refusing)
          g_clear_pointer (&one->refusing, rook_watch_free);
      }
}

void
rook_systemd_warn_unused (RookListeners *self)
{
  GHashTableIter iter;
  gpointer name;

  g_hash_table_iter_init (&iter, self->systemd);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    if (find_use (self, name, 0) == NOBODY)
      rook_log_message (self->net->log, ROOK_LOG_WARNING, "net.unserved",
                        "systemd handed over the socket \"%s\", which no listener has as its address (systemd:%s):"
                        " whoever comes there is turned away",
                        (const char *) name, (const char *) name);
}
