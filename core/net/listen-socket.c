/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One listening socket: bound early, while that may still need root, and listening only while its protocol is there.
 *
 * A UNIX socket is made under another name, given its mode and group, and then renamed into place: nobody can connect
 * to it before its permissions are right, and one left over from a crash is replaced, while a living server's is not.
 */
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

char *
rook_listen_socket_key (const RookListener *listener, const RookPlace *place)
{
  gboolean v6 = strchr (place->host, ':') != NULL;

  if (place->kind == ROOK_PLACE_UNIX)
    return g_strdup (place->host);
  if (place->kind == ROOK_PLACE_SYSTEMD && place->port == 0)
    return g_strconcat ("systemd:", place->host, NULL);
  if (place->kind == ROOK_PLACE_SYSTEMD)
    return g_strdup_printf ("systemd:%s %u", place->host, place->port);
  if (place->has_port && place->port > 0)
    return g_strdup_printf (v6 ? "[%s]:%u" : "%s:%u", place->host, place->port);
  return g_strdup_printf (v6 ? "[%s]:%s %s" : "%s:%s %s", place->host, place->has_port ? "any" : "default",
                          listener->name); /* not known to be the same as another's */
}

RookListenSocket *
rook_listen_socket_new (RookListeners *owner, RookListener *listener, const RookPlace *place)
{
  RookListenSocket *self = g_new0 (RookListenSocket, 1);

  self->owner = owner;
  self->listener = rook_listener_ref (listener);
  self->place = *place;
  self->place.host = g_strdup (place->host);
  self->key = rook_listen_socket_key (listener, place);
  self->fd = -1;
  return self;
}

/* Takes our UNIX socket's file away, unless somebody has put another in its place. */
static void
unlink_ours (RookListenSocket *self)
{
  struct stat info;

  if (self->place.kind == ROOK_PLACE_UNIX && self->inode != 0 && lstat (self->place.host, &info) == 0
      && info.st_ino == self->inode && info.st_dev == self->device)
    unlink (self->place.host);
  self->inode = 0;
}

static void
close_socket (RookListenSocket *self)
{
  g_clear_pointer (&self->watch, rook_watch_free);
  unlink_ours (self);
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
  self->listening = FALSE;
}

void
rook_listen_socket_free (RookListenSocket *self)
{
  close_socket (self);
  rook_listener_unref (self->listener);
  rook_place_clear (&self->place);
  g_free (self->key);
  g_free (self);
}

static gboolean
fail (RookListenSocket *self, const char *what, GError **error)
{
  int code = errno;

  self->optional = self->place.kind == ROOK_PLACE_TCP && strchr (self->place.host, ':') != NULL
                   && (code == EAFNOSUPPORT || (code == EADDRNOTAVAIL && g_str_equal (self->place.host, "::1")));
  g_set_error (error, ROOK_NET_ERROR, ROOK_NET_ERROR_IO, "%s: can't %s: %s", self->key, what, g_strerror (code));
  return FALSE;
}

/* --- TCP ------------------------------------------------------------------------------------------------------------------ */

/* What accepted sockets inherit is set here, once. */
static void
set_options (int fd, gboolean v6)
{
  const int on = 1;

  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt (fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (v6)
    setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
}

static gboolean
bind_tcp (RookListenSocket *self, guint16 port, GError **error)
{
  struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons (port) };
  struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons (port) };
  gboolean v6 = inet_pton (AF_INET6, self->place.host, &in6.sin6_addr) == 1;
  int fd = socket (v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  if (fd < 0)
    return fail (self, "open a socket", error);
  self->fd = fd;
  set_options (fd, v6);
  if (!v6)
    inet_pton (AF_INET, self->place.host, &in.sin_addr);
  if (bind (fd, v6 ? (struct sockaddr *) &in6 : (struct sockaddr *) &in, v6 ? sizeof in6 : sizeof in) == 0)
    return TRUE;
  fail (self, "bind", error);
  close_socket (self);
  return FALSE;
}

/* --- UNIX ----------------------------------------------------------------------------------------------------------------- */

static void
fill_unix (struct sockaddr_un *address, const char *path)
{
  *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
  g_strlcpy (address->sun_path, path, sizeof address->sun_path);
}

static gboolean
somebody_listens (const char *path)
{
  struct sockaddr_un address;
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  gboolean answered;

  fill_unix (&address, path);
  answered = fd >= 0 && (connect (fd, (struct sockaddr *) &address, sizeof address) == 0 || errno == EAGAIN);
  if (fd >= 0)
    close (fd);
  return answered;
}

static gboolean
set_permissions (RookListenSocket *self, const char *path, GError **error)
{
  const RookListener *listener = self->listener;
  struct group entry, *found = NULL;
  char room[8192];

  if (listener->socket_group != NULL)
    {
      if (getgrnam_r (listener->socket_group, &entry, room, sizeof room, &found) != 0 || found == NULL)
        {
          errno = ENOENT;
          return fail (self, "find its socket-group", error);
        }
      if (chown (path, -1, entry.gr_gid) != 0)
        return fail (self, "give it its socket-group", error);
    }
  return chmod (path, listener->mode) == 0 ? TRUE : fail (self, "give it its socket-mode", error);
}

static gboolean
put_in_place (RookListenSocket *self, const char *path, GError **error)
{
  struct stat info;

  if (!set_permissions (self, path, error))
    return FALSE;
  if (lstat (self->place.host, &info) == 0 && !S_ISSOCK (info.st_mode))
    {
      errno = EEXIST;
      return fail (self, "put it in place of something that is no socket", error);
    }
  if (lstat (path, &info) != 0 || rename (path, self->place.host) != 0)
    return fail (self, "put it in place", error);
  self->device = info.st_dev;
  self->inode = info.st_ino;
  return TRUE;
}

static gboolean
bind_unix (RookListenSocket *self, GError **error)
{
  g_autofree char *path = g_strdup_printf ("%s.%04x", self->place.host, g_random_int () & 0xffff);
  struct sockaddr_un address;

  if (somebody_listens (self->place.host))
    {
      errno = EADDRINUSE;
      return fail (self, "bind", error);
    }
  fill_unix (&address, path);
  self->fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (self->fd < 0 || bind (self->fd, (struct sockaddr *) &address, sizeof address) != 0)
    {
      fail (self, "bind", error);
      close_socket (self);
      return FALSE;
    }
  if (put_in_place (self, path, error))
    return TRUE;
  unlink (path);
  close_socket (self);
  return FALSE;
}

/* --- systemd -------------------------------------------------------------------------------------------------------------- */

#define FIRST_SYSTEMD_FD 3

static void
add_systemd_socket (GHashTable *sockets, const char *name, int fd)
{
  GArray *list = g_hash_table_lookup (sockets, name);

  if (list == NULL)
    {
      list = g_array_new (FALSE, FALSE, sizeof (int));
      g_hash_table_insert (sockets, g_strdup (name), list);
    }
  fcntl (fd, F_SETFD, FD_CLOEXEC);
  fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) | O_NONBLOCK);
  g_array_append_val (list, fd);
}

GHashTable *
rook_listen_take_systemd_sockets (void)
{
  GHashTable *sockets = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_array_unref);
  const char *pid = g_getenv ("LISTEN_PID");
  const char *count = g_getenv ("LISTEN_FDS");
  g_auto (GStrv) names = g_strsplit (g_getenv ("LISTEN_FDNAMES") != NULL ? g_getenv ("LISTEN_FDNAMES") : "", ":", -1);
  guint n_names = g_strv_length (names);
  guint64 n = 0;

  if (pid != NULL && count != NULL && g_ascii_strtoull (pid, NULL, 10) == (guint64) getpid ())
    g_ascii_string_to_unsigned (count, 10, 0, 1024, &n, NULL);
  for (guint i = 0; i < n; i++)
    add_systemd_socket (sockets, i < n_names ? names[i] : "unknown", FIRST_SYSTEMD_FD + i);
  g_unsetenv ("LISTEN_PID"); /* they are ours, not our children's */
  g_unsetenv ("LISTEN_FDS");
  g_unsetenv ("LISTEN_FDNAMES");
  return sockets;
}

guint
rook_listen_count_systemd_sockets (RookListeners *listeners, const char *name)
{
  GArray *list = g_hash_table_lookup (listeners->systemd, name);

  return list != NULL ? list->len : 0;
}

/* A copy of the descriptor: the socket itself stays systemd's and ours, whatever the configuration becomes. */
static gboolean
take_systemd (RookListenSocket *self, GError **error)
{
  GArray *list = g_hash_table_lookup (self->owner->systemd, self->place.host);
  int type = 0;
  socklen_t length = sizeof type;

  if (list == NULL)
    {
      errno = ENOENT;
      return fail (self, "find it among the sockets that systemd handed over (LISTEN_FDS)", error);
    }
  self->fd = fcntl (g_array_index (list, int, self->place.port), F_DUPFD_CLOEXEC, FIRST_SYSTEMD_FD);
  if (self->fd >= 0 && getsockopt (self->fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM)
    return TRUE;
  errno = self->fd < 0 ? errno : ENOTSOCK;
  fail (self, "take it", error);
  close_socket (self);
  return FALSE;
}

/* --- all of them ------------------------------------------------------------------------------------------------------------ */

gboolean
rook_listen_socket_bind (RookListenSocket *self, GError **error)
{
  guint16 port = self->place.port;

  if (self->fd >= 0)
    return TRUE;
  if (self->place.kind == ROOK_PLACE_UNIX)
    return bind_unix (self, error);
  if (self->place.kind == ROOK_PLACE_SYSTEMD)
    return take_systemd (self, error);
  if (!self->place.has_port)
    {
      port = rook_listener_default_port (self->owner->net, self->listener);
      if (port == 0)
        return TRUE;
    }
  return bind_tcp (self, port, error);
}

void
rook_listen_socket_set_listener (RookListenSocket *self, RookListener *listener)
{
  RookListener *before = self->listener;
  gboolean again = listener->mode != before->mode || g_strcmp0 (listener->socket_group, before->socket_group) != 0;
  g_autoptr (GError) error = NULL;

  self->listener = rook_listener_ref (listener);
  if (self->listening && listener->backlog != before->backlog)
    listen (self->fd, listener->backlog);
  if (!g_str_equal (listener->protocol, before->protocol) && self->listening)
    rook_listen_socket_stop (self); /* and start again once it is seen whether the other one is there */
  if (again && self->fd >= 0 && self->place.kind == ROOK_PLACE_UNIX
      && !set_permissions (self, self->place.host, &error))
    rook_log_message (self->owner->net->log, ROOK_LOG_ERROR, "net.listen", "%s", error->message);
  rook_listener_unref (before);
}

gboolean
rook_listen_socket_start (RookListenSocket *self, GError **error)
{
  if (!rook_listen_socket_bind (self, error))
    return FALSE;
  if (self->fd < 0)
    {
      g_set_error (error, ROOK_NET_ERROR, ROOK_NET_ERROR_IO, "%s: its protocol has no default port", self->key);
      return FALSE;
    }
  if (self->place.kind != ROOK_PLACE_SYSTEMD && listen (self->fd, self->listener->backlog) != 0)
    return fail (self, "listen", error);
  self->watch = rook_watch_new (rook_loop_get_main_worker (self->owner->net->loop), self->fd, ROOK_IO_READ,
                                rook_accept_ready, self);
  if (self->watch == NULL)
    {
      errno = ENOMEM;
      return fail (self, "watch", error);
    }
  self->listening = TRUE;
  return TRUE;
}

void
rook_listen_socket_stop (RookListenSocket *self)
{
  g_clear_pointer (&self->watch, rook_watch_free);
  self->listening = FALSE;
  if (self->place.kind == ROOK_PLACE_UNIX)
    close_socket (self);
  else if (self->place.kind == ROOK_PLACE_TCP)
    shutdown (self->fd, SHUT_RD); /* Linux: no longer listens, stays bound, and may listen again */
}

guint16
rook_listen_socket_get_port (RookListenSocket *self)
{
  struct sockaddr_storage storage;
  socklen_t length = sizeof storage;
  RookAddress address;

  if (self->fd < 0 || getsockname (self->fd, (struct sockaddr *) &storage, &length) != 0)
    return 0;
  rook_address_from_sockaddr (&address, (struct sockaddr *) &storage);
  return address.port;
}
