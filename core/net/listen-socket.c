/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One listening socket: bound early, while that may still need root, and listening only while its protocol is there.
 *
 * A UNIX socket is made under another name, given its mode and group, and then renamed into place: nobody can connect
 * to it before its permissions are right, and one left over from a crash is replaced, while a living server's is not.
 *
 * A socket may be bound where one of ours is that the coming configuration has no more: both live side by side (TCP by
 * SO_REUSEPORT, which is for these two alone; UNIX under that other name) until it is sure which of them stays.
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
  /* Not known to be the same as another's. */
  if (place->has_port)
    return g_strdup_printf (v6 ? "[%s]:any (%s)" : "%s:any (%s)", place->host, listener->name);
  return g_strdup_printf (v6 ? "[%s]:%s%s (%s)" : "%s:%s%s (%s)", place->host, listener->protocol,
                          listener->tls == ROOK_TLS_IMPLICIT ? "s" : "", listener->name);
}

gboolean
rook_listen_socket_lies_at (const RookListenSocket *self, const char *path)
{
  struct stat info;

  return self->inode != 0 && lstat (path, &info) == 0 && info.st_ino == self->inode && info.st_dev == self->device;
}

gboolean
rook_listen_socket_fits (const RookListenSocket *self, const RookListener *listener)
{
  if (self->place.kind != ROOK_PLACE_UNIX)
    return TRUE;
  return self->listener->mode == listener->mode && g_strcmp0 (self->listener->socket_group, listener->socket_group) == 0
         && !rook_listen_socket_is_lost (self);
}

gboolean
rook_listen_socket_is_lost (const RookListenSocket *self)
{
  return self->place.kind == ROOK_PLACE_UNIX && self->inode != 0
         && !rook_listen_socket_lies_at (self, self->place.host);
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
  if (self->place.kind == ROOK_PLACE_UNIX && rook_listen_socket_lies_at (self, self->place.host))
    unlink (self->place.host);
  self->inode = 0;
}

static void
close_socket (RookListenSocket *self)
{
  g_clear_pointer (&self->watch, rook_watch_free);
  unlink_ours (self);
  if (self->staged != NULL)
    unlink (self->staged);
  g_clear_pointer (&self->staged, g_free);
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

/* What accepted sockets inherit is set here, once. (V6ONLY is no matter once it is bound.) */
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

static void
set_sharing (RookListenSocket *self, gboolean sharing)
{
  const int value = sharing;

  self->sharing = sharing;
  setsockopt (self->fd, SOL_SOCKET, SO_REUSEPORT, &value, sizeof value);
}

gboolean
rook_listen_socket_overlaps (RookListenSocket *a, RookListenSocket *b)
{
  return a->place.kind == ROOK_PLACE_TCP
         && rook_places_overlap (&a->place, rook_listen_socket_get_port (a), &b->place,
                                 rook_listen_socket_get_port (b));
}

/* Those of ours that are going are not in the way. */
static void
make_way (RookListenSocket *self, guint16 port)
{
  GPtrArray *sockets = self->owner->sockets;

  for (guint i = 0; i < sockets->len; i++)
    {
      RookListenSocket *other = g_ptr_array_index (sockets, i);

      if (!other->going
          || !rook_places_overlap (&self->place, port, &other->place, rook_listen_socket_get_port (other)))
        continue;
      set_sharing (other, TRUE);
      set_sharing (self, TRUE);
    }
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
  make_way (self, port);
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
put_in_place (RookListenSocket *self, GError **error)
{
  struct stat info;

  if (lstat (self->staged, &info) != 0 || rename (self->staged, self->place.host) != 0)
    return fail (self, "put it in place", error);
  g_clear_pointer (&self->staged, g_free);
  self->device = info.st_dev;
  self->inode = info.st_ino;
  return TRUE;
}

/* Nobody may be there but ours that is going, and nothing that is no socket. */
static gboolean
check_place (RookListenSocket *self, gboolean ours, GError **error)
{
  struct stat info;

  errno = EADDRINUSE;
  if (rook_listeners_hold (self->owner, self) || (!ours && somebody_listens (self->place.host)))
    return fail (self, "bind", error);
  errno = EEXIST;
  if (lstat (self->place.host, &info) == 0 && !S_ISSOCK (info.st_mode))
    return fail (self, "put it in place of something that is no socket", error);
  return TRUE;
}

static gboolean
make_staged (RookListenSocket *self, GError **error)
{
  struct sockaddr_un address;

  self->staged = g_strdup_printf ("%s.%04x", self->place.host, g_random_int () & 0xffff);
  fill_unix (&address, self->staged);
  self->fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (self->fd >= 0 && bind (self->fd, (struct sockaddr *) &address, sizeof address) == 0)
    return set_permissions (self, self->staged, error);
  fail (self, "bind", error);
  g_clear_pointer (&self->staged, g_free); /* there may be another's */
  return FALSE;
}

/* @ours: whether what lies there already is ours. @at_once: whether it may go now. */
static gboolean
bind_unix (RookListenSocket *self, gboolean ours, gboolean at_once, GError **error)
{
  if (check_place (self, ours, error) && make_staged (self, error) && (!at_once || put_in_place (self, error)))
    return TRUE;
  close_socket (self);
  return FALSE;
}

static gboolean
is_place_of_ours (RookListenSocket *self)
{
  GPtrArray *sockets = self->owner->sockets;

  for (guint i = 0; i < sockets->len; i++)
    {
      const RookListenSocket *other = g_ptr_array_index (sockets, i);

      if (other != self && other->fd >= 0 && other->going && rook_listen_socket_lies_at (other, self->place.host))
        return TRUE;
    }
  return FALSE;
}

/* A UNIX socket that has been shut down is of no more use: a fresh one takes its place. */
static void
renew_unix (RookListenSocket *self)
{
  g_autoptr (GError) error = NULL;
  int fd = self->fd;

  self->fd = -1;
  if (!bind_unix (self, TRUE, TRUE, &error))
    rook_log_message (self->owner->net->log, ROOK_LOG_ERROR, "net.listen", "[listener %s] %s", self->listener->name,
                      error->message);
  close (fd);
}

/* --- all of them ------------------------------------------------------------------------------------------------------------ */

gboolean
rook_listen_socket_bind (RookListenSocket *self, GError **error)
{
  guint16 port = self->place.port;
  gboolean ours;

  if (self->fd >= 0)
    return TRUE;
  if (self->place.kind == ROOK_PLACE_UNIX)
    {
      ours = is_place_of_ours (self);
      return bind_unix (self, ours, !ours, error);
    }
  if (self->place.kind == ROOK_PLACE_SYSTEMD)
    {
      self->fd = rook_systemd_dup (self->owner, &self->place, error);
      set_options (self->fd, FALSE); /* which says nothing to a UNIX socket */
      return self->fd >= 0;
    }
  if (!self->place.has_port)
    port = rook_listener_default_port (self->owner->net, self->listener);
  if (self->place.has_port || port != 0)
    return bind_tcp (self, port, error);
  if (rook_net_find_protocol (self->owner->net, self->listener->protocol) == NULL)
    return TRUE;
  g_set_error (error, ROOK_NET_ERROR, ROOK_NET_ERROR_IO, "%s: its protocol has no default port", self->key);
  return FALSE;
}

void
rook_listen_socket_set_listener (RookListenSocket *self, RookListener *listener)
{
  RookListener *before = self->listener;

  self->listener = rook_listener_ref (listener);
  if (self->listening && listener->backlog != before->backlog)
    listen (self->fd, listener->backlog);
  if (!g_str_equal (listener->protocol, before->protocol) && self->listening)
    rook_listen_socket_stop (self); /* and start again once it is seen whether the other one is there */
  rook_listener_unref (before);
}

gboolean
rook_listen_socket_start (RookListenSocket *self, GError **error)
{
  if (!rook_listen_socket_bind (self, error))
    return FALSE;
  g_assert (self->fd >= 0); /* its protocol is there, and so is its port */
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
  return self->staged == NULL || put_in_place (self, error);
}

void
rook_listen_socket_stop (RookListenSocket *self)
{
  g_clear_pointer (&self->watch, rook_watch_free);
  self->listening = FALSE;
  if (self->place.kind == ROOK_PLACE_UNIX)
    renew_unix (self);
  else if (self->place.kind == ROOK_PLACE_TCP)
    shutdown (self->fd, SHUT_RD); /* Linux: no longer listens, stays bound, and may listen again */
}

void
rook_listen_socket_settle (RookListenSocket *self)
{
  g_autoptr (GError) error = NULL;

  self->going = FALSE;
  if (self->sharing)
    set_sharing (self, FALSE);
  if (self->staged != NULL && !put_in_place (self, &error))
    rook_log_message (self->owner->net->log, ROOK_LOG_ERROR, "net.listen", "[listener %s] %s", self->listener->name,
                      error->message);
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
