/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One call over the control socket: send a line, follow the progress, take the answer. Blocks: rookctl has nothing else
 * to do. See rookery/control.h for the protocol.
 */
#include "rookctl-private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A server that is stopped or hangs takes connections all the same: the system does. */
static int
silent (const char *path, guint silence_s, char **out_message)
{
  *out_message =
      g_strdup_printf ("the server at %s has said nothing for %u s: it hangs or is stopped; look at its process "
                       "and its log (--timeout=SECONDS waits longer, 0 for ever)",
                       path, silence_s);
  return ROOKCTL_UNREACHABLE;
}

static int
unreachable (const char *path, const char *why, char **out_message)
{
  *out_message = g_strdup_printf ("cannot reach the server at %s: %s", path, why);
  return ROOKCTL_UNREACHABLE;
}

/* Returns: a descriptor, or -1 with errno. */
static int
connect_to (const char *path, guint silence_s)
{
  const struct timeval silence = { .tv_sec = silence_s };
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd, code;

  if (strlen (path) >= sizeof address.sun_path)
    {
      errno = ENAMETOOLONG;
      return -1;
    }
  strcpy (address.sun_path, path);
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence) == 0
      && setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof silence) == 0
      && connect (fd, (struct sockaddr *) &address, sizeof address) == 0)
    return fd;
  code = errno;
  if (fd >= 0)
    close (fd);
  errno = code;
  return -1;
}

static GString *
make_request (const char *const *words)
{
  GString *line = g_string_new (NULL);

  for (gsize i = 0; words[i] != NULL; i++)
    {
      g_autofree char *quoted = g_shell_quote (words[i]);

      g_string_append_printf (line, "%s%s", i > 0 ? " " : "", quoted);
    }
  g_string_append_c (line, '\n');
  return line;
}

static gboolean
send_all (int fd, const GString *text)
{
  gsize sent = 0;

  while (sent < text->len)
    {
      ssize_t n = send (fd, text->str + sent, text->len - sent, MSG_NOSIGNAL);

      if (n < 0 && errno != EINTR)
        return FALSE;
      sent += n > 0 ? (gsize) n : 0;
    }
  return TRUE;
}

gboolean
rookctl_parse_progress (const char *line, double *out_percent, const char **out_text)
{
  char *end;

  if (!g_str_has_prefix (line, "progress "))
    return FALSE;
  *out_percent = CLAMP (g_ascii_strtod (line + strlen ("progress "), &end), 0.0, 100.0);
  *out_text = *end == ' ' ? end + 1 : end;
  return TRUE;
}

int
rookctl_status_of_error (const char *message)
{
  return g_str_has_prefix (message, "usage: ") || g_str_has_prefix (message, "unknown verb") ? ROOKCTL_USAGE
                                                                                             : ROOKCTL_REFUSED;
}

gboolean
rookctl_lacks_password (const char *message, const char *const *words)
{
  g_auto (GStrv) usage = NULL;

  if (!g_str_has_prefix (message, "usage: ") || !g_str_has_suffix (message, " PASSWORD"))
    return FALSE;
  usage = g_strsplit (message + strlen ("usage: "), " ", -1);
  return g_strv_length (usage) == g_strv_length ((char **) words) + 1;
}

/* Everything from here to the end of the stream, without the last line end. */
static char *
read_rest (FILE *stream)
{
  g_autoptr (GString) rest = g_string_new (NULL);
  char buffer[4096];
  size_t n;

  while ((n = fread (buffer, 1, sizeof buffer, stream)) > 0)
    g_string_append_len (rest, buffer, (gssize) n);
  if (rest->len > 0 && rest->str[rest->len - 1] == '\n')
    g_string_truncate (rest, rest->len - 1);
  return g_string_free (g_steal_pointer (&rest), FALSE);
}

static int
take_result (FILE *stream, GVariant **out_result, char **out_message)
{
  g_autofree char *text = read_rest (stream);
  g_autoptr (GError) error = NULL;

  *out_result = *text != '\0' ? g_variant_parse (NULL, text, NULL, NULL, &error) : NULL;
  if (error == NULL)
    return ROOKCTL_OK;
  *out_message = g_strdup_printf ("the server's answer makes no sense: %s", error->message);
  return ROOKCTL_UNREACHABLE;
}

static int
take_error (const char *line, FILE *stream, char **out_message)
{
  g_autofree char *rest = read_rest (stream);

  *out_message = *rest != '\0' ? g_strconcat (line, "\n", rest, NULL) : g_strdup (line);
  return rookctl_status_of_error (*out_message);
}

static int
read_answer (FILE *stream, const char *path, RookctlProgress progress, gpointer data, GVariant **out_result,
             char **out_message)
{
  char *line = NULL;
  size_t size = 0;
  ssize_t length;
  int status = -1;

  while (status < 0 && (length = getline (&line, &size, stream)) > 0)
    {
      const char *text;
      double percent;

      if (line[length - 1] == '\n')
        line[length - 1] = '\0';
      if (rookctl_parse_progress (line, &percent, &text))
        {
          if (progress != NULL)
            progress (percent, text, data);
        }
      else if (strcmp (line, "ok") == 0)
        status = take_result (stream, out_result, out_message);
      else if (g_str_has_prefix (line, "error "))
        status = take_error (line + strlen ("error "), stream, out_message);
    }
  free (line);
  return status >= 0 ? status : unreachable (path, "it ended without an answer", out_message);
}

static gboolean
is_timeout (int code)
{
  return code == EAGAIN || code == EWOULDBLOCK || code == EINPROGRESS;
}

/* It would end the request early. */
static gboolean
has_line_end (const char *const *words)
{
  for (; *words != NULL; words++)
    if (strchr (*words, '\n') != NULL)
      return TRUE;
  return FALSE;
}

static int
exchange (const char *socket_path, guint silence_s, const char *const *words, RookctlProgress progress, gpointer data,
          GVariant **out_result, char **out_message)
{
  g_autoptr (GString) request = make_request (words);
  int fd = connect_to (socket_path, silence_s), status;
  FILE *stream;

  if (fd < 0 && is_timeout (errno))
    return silent (socket_path, silence_s, out_message);
  if (fd < 0)
    return unreachable (socket_path, g_strerror (errno), out_message);
  /* A server that refuses at once may have closed already, and yet said why: so read in any case. */
  send_all (fd, request);
  stream = fdopen (fd, "r");
  status = read_answer (stream, socket_path, progress, data, out_result, out_message);
  if (ferror (stream) != 0 && is_timeout (errno))
    {
      g_clear_pointer (out_result, g_variant_unref);
      g_clear_pointer (out_message, g_free);
      status = silent (socket_path, silence_s, out_message);
    }
  fclose (stream);
  return status;
}

int
rookctl_call (const char *socket_path, guint silence_s, const char *const *words, RookctlProgress progress,
              gpointer data, GVariant **out_result, char **out_message)
{
  if (!has_line_end (words))
    return exchange (socket_path, silence_s, words, progress, data, out_result, out_message);
  *out_message = g_strdup ("no name and no other argument can have a line end in it");
  return ROOKCTL_USAGE;
}
