/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * saslauthd's socket, spoken directly: four counted strings there, one back. libsasl2 can do that too, but waits for as
 * long as saslauthd takes; here every wait ends at the check's own deadline, so a saslauthd that hangs holds a thread no
 * longer than that.
 */
#include "auth/auth-internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_REPLY 1024
#define RETRY_MS 10

typedef struct {
  const char *path;
  int fd;
  gint64 end_us;
} Call;

static gboolean
unavailable (const Call *call, const char *what, GError **error)
{
  g_set_error (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_UNAVAILABLE, "saslauthd (%s) %s", call->path, what);
  return FALSE;
}

static gboolean
failed_call (const Call *call, const char *what, int code, GError **error)
{
  g_autofree char *text = g_strdup_printf ("can't be %s: %s", what, g_strerror (code));

  return unavailable (call, text, error);
}

static int
left_ms (const Call *call)
{
  gint64 left = (call->end_us - g_get_monotonic_time () + 999) / 1000;

  return (int) CLAMP (left, 0, G_MAXINT);
}

static gboolean
wait_for (const Call *call, short events, GError **error)
{
  struct pollfd pfd = { .fd = call->fd, .events = events };
  int n;

  do
    n = poll (&pfd, 1, left_ms (call));
  while (n < 0 && errno == EINTR && left_ms (call) > 0);
  return n > 0 || unavailable (call, "does not answer in time", error);
}

/* A full backlog gives EAGAIN, and nothing to wait for. */
static gboolean
connect_to (Call *call, GError **error)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  if (strlen (call->path) >= sizeof address.sun_path)
    return unavailable (call, "has too long a path", error);
  strcpy (address.sun_path, call->path);
  call->fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (call->fd < 0)
    return failed_call (call, "reached", errno, error);
  while (connect (call->fd, (struct sockaddr *) &address, sizeof address) != 0)
    {
      if (errno != EAGAIN && errno != EINTR)
        return failed_call (call, "reached", errno, error);
      if (left_ms (call) == 0)
        return unavailable (call, "does not answer in time", error);
      g_usleep (RETRY_MS * 1000);
    }
  return TRUE;
}

static gboolean
send_all (const Call *call, const guint8 *data, gsize length, GError **error)
{
  while (length > 0)
    {
      ssize_t n = send (call->fd, data, length, MSG_NOSIGNAL);

      if (n >= 0)
        {
          data += n;
          length -= (gsize) n;
        }
      else if (errno != EAGAIN && errno != EINTR)
        return failed_call (call, "written to", errno, error);
      else if (!wait_for (call, POLLOUT, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
receive_all (const Call *call, guint8 *data, gsize length, GError **error)
{
  while (length > 0)
    {
      ssize_t n = recv (call->fd, data, length, 0);

      if (n > 0)
        {
          data += n;
          length -= (gsize) n;
        }
      else if (n == 0)
        return unavailable (call, "closed without an answer", error);
      else if (errno != EAGAIN && errno != EINTR)
        return failed_call (call, "read from", errno, error);
      else if (!wait_for (call, POLLIN, error))
        return FALSE;
    }
  return TRUE;
}

static void
append_counted (GByteArray *request, const char *text, gsize length)
{
  guint16 count = GUINT16_TO_BE ((guint16) length);

  g_byte_array_append (request, (const guint8 *) &count, sizeof count);
  g_byte_array_append (request, (const guint8 *) text, (guint) length);
}

static gboolean
read_reply (const Call *call, char reply[MAX_REPLY + 1], GError **error)
{
  guint16 count;
  gsize length;

  if (!receive_all (call, (guint8 *) &count, sizeof count, error))
    return FALSE;
  length = GUINT16_FROM_BE (count);
  if (length < 2 || length > MAX_REPLY)
    return unavailable (call, "gives an answer that is none", error);
  if (!receive_all (call, (guint8 *) reply, length, error))
    return FALSE;
  reply[length] = '\0';
  return TRUE;
}

static gboolean
contains_any (const char *text, const char *const *words)
{
  g_autofree char *lower = g_ascii_strdown (text, -1);

  for (; *words != NULL; words++)
    if (strstr (lower, *words) != NULL)
      return TRUE;
  return FALSE;
}

/* "OK", or "NO" with a reason in words, which are those of saslauthd's own mechanisms. */
static gboolean
judge (const Call *call, const char *reply, GError **error)
{
  static const char *const closed[] = { "expired", "locked", "disabled", "pam acct error", NULL };
  static const char *const broken[] = { "[alert]",        "internal", "pam start error", "insufficient permission",
                                        "principal name", NULL };

  if (g_str_has_prefix (reply, "OK"))
    return TRUE;
  if (!g_str_has_prefix (reply, "NO"))
    return unavailable (call, "gives an answer that is none", error);
  if (contains_any (reply, closed))
    g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_DISABLED, "Account locked or expired");
  else if (contains_any (reply, broken))
    return unavailable (call, "can't check passwords", error);
  else
    g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_FAILED, "Authentication failed");
  return FALSE;
}

static gboolean
converse (Call *call, const GByteArray *request, GError **error)
{
  char reply[MAX_REPLY + 1];

  return connect_to (call, error) && send_all (call, request->data, request->len, error)
         && read_reply (call, reply, error) && judge (call, reply, error);
}

gboolean
rook_saslauthd_check (const char *path, guint timeout_ms, const char *user, const char *password, gsize password_length,
                      const char *service, const char *realm, GError **error)
{
  Call call = { .path = path, .fd = -1, .end_us = g_get_monotonic_time () + (gint64) timeout_ms * 1000 };
  gsize size = strlen (user) + password_length + strlen (service) + strlen (realm) + 8;
  GByteArray *request;
  gboolean ok;

  if (strlen (user) > G_MAXUINT16 || password_length > G_MAXUINT16)
    {
      g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_FAILED, "Authentication failed");
      return FALSE;
    }
  /* Of its final size from the beginning: no copy of the password is left behind by growing. */
  request = g_byte_array_sized_new ((guint) size);
  append_counted (request, user, strlen (user));
  append_counted (request, password, password_length);
  append_counted (request, service, strlen (service));
  append_counted (request, realm, strlen (realm));

  ok = converse (&call, request, error);
  if (call.fd >= 0)
    close (call.fd);
  explicit_bzero (request->data, request->len);
  g_byte_array_unref (request);
  return ok;
}
