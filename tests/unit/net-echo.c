/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of the network service stand on: a protocol that does what a line tells it to, and a client that works on
 * the test's own thread while it lets the main worker (which accepts) have its turns.
 *
 * ECHO text, LOGIN user, LOGOUT, LIT n, DOT, RAW, PAUSE ms, SEND n, STARTTLS, DEFLATE, WHO, TLS, QUIT, ABORT.
 */
#include "net-echo.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <glib-unix.h>
#include <glib/gstdio.h>

/* --- the protocol ----------------------------------------------------------------------------------------------------------- */

typedef struct {
  Fixture *fixture;
  RookConnection *connection;
  RookTimer timer;
  guint64 to_send, got, sum;
  guint pieces;
  gboolean raw;
} Session;

static gpointer
echo_open (RookConnection *connection, gpointer data)
{
  Session *session = g_new0 (Session, 1);

  session->fixture = data;
  session->connection = connection;
  rook_timer_init (&session->timer, rook_connection_get_worker (connection), (RookFunc) rook_connection_resume,
                   connection);
  g_atomic_int_inc (&session->fixture->opened);
  rook_connection_puts (connection, "HELLO\r\n");
  return session;
}

static void
note_pending (Session *session)
{
  gint pending = (gint) rook_connection_get_pending (session->connection);

  if (pending > g_atomic_int_get (&session->fixture->most_pending))
    g_atomic_int_set (&session->fixture->most_pending, pending);
}

static void
echo_send (Session *session)
{
  static const char block[4096] = { 0 };

  while (session->to_send > 0 && !rook_connection_is_full (session->connection))
    {
      gsize n = MIN (session->to_send, sizeof block);

      rook_connection_write (session->connection, block, n);
      note_pending (session);
      session->to_send -= n;
    }
  if (session->to_send == 0)
    {
      rook_connection_puts (session->connection, "SENT\r\n");
      rook_connection_resume (session->connection);
    }
}

static void
echo_login (Session *session, const char *user)
{
  g_autoptr (RookIdentity) identity = rook_identity_new (user, user, NULL, FALSE);
  gboolean good = rook_connection_set_identity (session->connection, identity, NULL);

  rook_connection_puts (session->connection, good ? "IN\r\n" : "FULL\r\n");
}

static void
echo_start_tls (Session *session)
{
  g_autoptr (GError) error = NULL;

  rook_connection_puts (session->connection, "BEGIN\r\n");
  if (!rook_connection_start_tls (session->connection, &error))
    rook_connection_printf (session->connection, "NO %s\r\n", error->message);
}

static void
echo_tls (RookConnection *connection)
{
  const char *name = rook_connection_get_tls_peer_name (connection);

  rook_connection_printf (connection, "%s %s\r\n",
                          rook_connection_has_tls (connection) ? rook_connection_get_tls_version (connection) : "clear",
                          name != NULL ? name : "-");
}

static void
echo_line (RookConnection *connection, gpointer data, char *line, gsize length, RookLineFlags flags)
{
  Session *session = data;
  const char *argument = strchr (line, ' ') != NULL ? strchr (line, ' ') + 1 : "";
  guint64 number = g_ascii_strtoull (argument, NULL, 10);

  g_assert_cmpuint (strlen (line), <=, length);
  g_assert_true (rook_worker_current () == rook_connection_get_worker (connection));
  if (flags != ROOK_LINE_OK)
    rook_connection_printf (connection, "FLAGS %d %" G_GSIZE_FORMAT "\r\n", flags, length);
  else if (g_str_has_prefix (line, "ECHO"))
    {
      rook_connection_printf (connection, "%s\r\n", argument);
      note_pending (session);
    }
  else if (g_str_has_prefix (line, "LOGIN"))
    echo_login (session, argument);
  else if (g_str_equal (line, "LOGOUT"))
    rook_connection_set_identity (connection, NULL, NULL);
  else if (g_str_has_prefix (line, "LIT"))
    rook_connection_read_literal (connection, number);
  else if (g_str_equal (line, "DOT"))
    rook_connection_read_dot (connection);
  else if (g_str_equal (line, "RAW"))
    rook_connection_read_raw (connection);
  else if (g_str_has_prefix (line, "PAUSE"))
    {
      rook_connection_pause (connection);
      rook_timer_start (&session->timer, number);
    }
  else if (g_str_has_prefix (line, "SEND"))
    {
      session->to_send = number;
      rook_connection_pause (connection);
      echo_send (session);
    }
  else if (g_str_has_prefix (line, "IDLE"))
    rook_connection_set_idle_timeout (connection, number);
  else if (g_str_equal (line, "STARTTLS"))
    echo_start_tls (session);
  else if (g_str_equal (line, "DEFLATE"))
    {
      rook_connection_puts (connection, "BEGIN\r\n");
      g_assert_true (rook_connection_start_deflate (connection, NULL));
    }
  else if (g_str_equal (line, "WHO"))
    rook_connection_printf (connection, "%s %u %s\r\n", rook_connection_get_peer_address (connection),
                            rook_connection_get_peer_port (connection), rook_connection_get_local_address (connection));
  else if (g_str_equal (line, "ID"))
    rook_connection_printf (connection, "%s\r\n", rook_connection_get_id (connection));
  else if (g_str_equal (line, "LOOPBACK"))
    rook_connection_puts (connection, rook_connection_is_loopback (connection) ? "yes\r\n" : "no\r\n");
  else if (g_str_equal (line, "TLS"))
    echo_tls (connection);
  else if (g_str_equal (line, "QUIT"))
    {
      rook_connection_puts (connection, "BYE\r\n");
      rook_connection_close (connection);
    }
  else if (g_str_equal (line, "ABORT"))
    rook_connection_abort (connection, NULL);
  else
    rook_connection_puts (connection, "WHAT\r\n");
}

static void
echo_data (RookConnection *connection, gpointer data, const guint8 *bytes, gsize length, gboolean last)
{
  Session *session = data;

  session->got += length;
  session->pieces++;
  for (gsize i = 0; i < length; i++)
    session->sum = session->sum * 31 + bytes[i];
  g_assert_cmpuint (length, <=, 65536);
  if (!last)
    return;
  rook_connection_printf (connection, "GOT %" G_GUINT64_FORMAT "\r\n", session->got);
  session->got = 0;
}

static void
echo_drained (RookConnection *connection G_GNUC_UNUSED, gpointer data)
{
  Session *session = data;

  if (session->to_send > 0)
    echo_send (session);
}

static void
echo_expired (RookConnection *connection, gpointer data, RookDeadline deadline)
{
  Session *session = data;

  g_atomic_int_or ((guint *) &session->fixture->expired, 1u << deadline);
  rook_connection_puts (connection, "EXPIRED\r\n");
  if (!g_atomic_int_get (&session->fixture->keep_open))
    rook_connection_close (connection);
}

static void
echo_drain (RookConnection *connection, gpointer data)
{
  Session *session = data;

  g_atomic_int_inc (&session->fixture->drains);
  rook_connection_puts (connection, "DRAIN\r\n");
  if (!g_atomic_int_get (&session->fixture->keep_open))
    rook_connection_close (connection);
}

static void
echo_closed (RookConnection *connection, gpointer data, const GError *reason)
{
  Session *session = data;
  Fixture *fixture = session->fixture;

  rook_connection_puts (connection, "nobody hears this\r\n");
  rook_timer_stop (&session->timer);
  g_atomic_int_set (&fixture->last_reason, reason == NULL ? -1 : reason->code);
  g_free (session);
  g_atomic_int_inc (&fixture->closed);
}

static const char *
echo_refusal (RookRefusal reason)
{
  static const char *const texts[] = { "TOO MANY\r\n", "TOO MANY OF YOU\r\n", "GOING\r\n", "BAD PROXY\r\n" };

  return texts[reason];
}

#define ECHO_HANDLER                                                                                              \
  {                                                                                                               \
    .struct_size = sizeof (RookConnectionHandler), .line = echo_line, .data = echo_data, .drained = echo_drained, \
    .expired = echo_expired, .drain = echo_drain, .closed = echo_closed                                           \
  }

const RookProtocol echo_protocol = {
  .struct_size = sizeof (RookProtocol),
  .name = "echo",
  .sasl_service = "echo",
  .alpn = "echo",
  .handler = ECHO_HANDLER,
  .open = echo_open,
  .refusal = echo_refusal,
};

static const RookProtocol open_protocol = {
  .struct_size = sizeof (RookProtocol),
  .name = "open",
  .sasl_service = "open",
  .handler = ECHO_HANDLER,
  .open = echo_open,
  .refusal = echo_refusal,
  .no_login = TRUE,
};

/* --- the server -------------------------------------------------------------------------------------------------------------- */

Fixture *
fixture_new (const char *config)
{
  Fixture *self = g_new0 (Fixture, 1);
  g_autoptr (GError) error = NULL;

  self->server = rook_server_new_for_test (config);
  self->net = rook_server_get_net (self->server);
  rook_net_add_protocol (self->net, &echo_protocol, self);
  rook_net_add_protocol (self->net, &open_protocol, self);
  rook_net_bind (self->net, &error);
  g_assert_no_error (error);
  rook_net_listen (self->net);
  return self;
}

void
fixture_free (Fixture *self)
{
  rook_server_free_for_test (self->server);
  g_assert_cmpint (self->opened, ==, self->closed);
  g_free (self);
}

void
fixture_iterate (Fixture *self)
{
  RookWorker *worker = rook_loop_get_main_worker (rook_server_get_loop (self->server));

  if (!g_main_context_iteration (rook_worker_get_context (worker), FALSE))
    g_usleep (500);
}

/* --- the client -------------------------------------------------------------------------------------------------------------- */

static Client *
client_on (Fixture *fixture, int fd)
{
  Client *self = g_new0 (Client, 1);

  g_assert_cmpint (fd, >=, 0);
  self->fixture = fixture;
  self->fd = fd;
  self->input = g_string_new (NULL);
  return self;
}

Client *
client_new (Fixture *fixture, const char *listener)
{
  struct sockaddr_in address = { .sin_family = AF_INET,
                                 .sin_port = htons (rook_net_get_port (fixture->net, listener)) };
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_assert_cmpuint (address.sin_port, !=, 0);
  address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  g_assert_no_errno (connect (fd, (struct sockaddr *) &address, sizeof address));
  return client_on (fixture, fd);
}

Client *
client_greeted (Fixture *fixture, const char *listener)
{
  Client *self = client_new (fixture, listener);

  client_expect (self, "HELLO");
  return self;
}

Client *
client_new_unix (Fixture *fixture, const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  g_assert_no_errno (connect (fd, (struct sockaddr *) &address, sizeof address));
  return client_on (fixture, fd);
}

void
client_free (Client *self)
{
  SSL_free (self->ssl);
  if (self->fd >= 0)
    close (self->fd);
  g_string_free (self->input, TRUE);
  g_free (self);
}

void
client_send_bytes (Client *self, gconstpointer data, gsize length)
{
  gint64 end = g_get_monotonic_time () + 60 * G_USEC_PER_SEC;
  const guint8 *from = data;

  while (length > 0 && g_get_monotonic_time () < end)
    {
      gssize n = self->ssl != NULL ? SSL_write (self->ssl, from, length)
                                   : send (self->fd, from, length, MSG_NOSIGNAL | MSG_DONTWAIT);

      if (n > 0)
        {
          from += n;
          length -= n;
        }
      else if (self->ssl == NULL && errno != EAGAIN)
        return; /* the peer has gone; what it said is to be read */
      fixture_iterate (self->fixture);
    }
  g_assert_cmpuint (length, ==, 0);
}

void
client_send (Client *self, const char *text)
{
  client_send_bytes (self, text, strlen (text));
}

/* Takes what is there. Returns: whether anything came. */
static gboolean
client_receive (Client *self)
{
  char room[65536];
  gssize n;

  fixture_iterate (self->fixture);
  if (self->ssl != NULL)
    {
      n = SSL_read (self->ssl, room, sizeof room);
      if (n <= 0 && SSL_get_error (self->ssl, n) == SSL_ERROR_WANT_READ)
        return FALSE;
    }
  else
    n = recv (self->fd, room, sizeof room, MSG_DONTWAIT);
  if (n < 0 && self->ssl == NULL && errno == EAGAIN)
    return FALSE;
  if (n <= 0)
    self->eof = TRUE;
  else
    g_string_append_len (self->input, room, n);
  return TRUE;
}

char *
client_read_line (Client *self)
{
  gint64 end = g_get_monotonic_time () + 60 * G_USEC_PER_SEC;
  char *lf = NULL;
  char *line;

  while ((lf = memchr (self->input->str, '\n', self->input->len)) == NULL && !self->eof
         && g_get_monotonic_time () < end)
    client_receive (self);
  if (lf == NULL)
    return g_strdup_printf ("(no line: %s after “%s”)", self->eof ? "end" : "silence", self->input->str);
  g_assert_true (lf > self->input->str && lf[-1] == '\r');
  line = g_strndup (self->input->str, lf - self->input->str - 1);
  g_string_erase (self->input, 0, lf + 1 - self->input->str);
  return line;
}

void
client_expect (Client *self, const char *line)
{
  g_autofree char *got = client_read_line (self);

  g_assert_cmpstr (got, ==, line);
}

void
client_expect_eof (Client *self)
{
  fixture_wait (self->fixture, (client_receive (self), self->eof));
  g_assert_cmpstr (self->input->str, ==, "");
}

char *
client_read_all (Client *self)
{
  fixture_wait (self->fixture, (client_receive (self), self->eof));
  return g_strdup (self->input->str);
}

void
client_skip (Client *self, gsize n)
{
  gint64 end = g_get_monotonic_time () + 60 * G_USEC_PER_SEC;

  while (n > 0 && !self->eof && g_get_monotonic_time () < end)
    {
      gsize take = MIN (n, self->input->len);

      g_string_erase (self->input, 0, take);
      n -= take;
      if (n > 0)
        client_receive (self);
    }
  g_assert_cmpuint (n, ==, 0);
}

gboolean
client_has_input (Client *self, guint ms)
{
  gint64 end = g_get_monotonic_time () + ms * 1000;

  while (self->input->len == 0 && !self->eof && g_get_monotonic_time () < end)
    client_receive (self);
  return self->input->len > 0 || self->eof;
}

gboolean
client_start_tls (Client *self, SSL_CTX *ctx, const char *host)
{
  gint64 end = g_get_monotonic_time () + 60 * G_USEC_PER_SEC;
  int code = 0;

  self->ssl = SSL_new (ctx);
  SSL_set_fd (self->ssl, self->fd);
  if (host != NULL)
    SSL_set_tlsext_host_name (self->ssl, host);
  g_assert_true (g_unix_set_fd_nonblocking (self->fd, TRUE, NULL));
  while ((code = SSL_connect (self->ssl)) != 1 && SSL_get_error (self->ssl, code) == SSL_ERROR_WANT_READ
         && g_get_monotonic_time () < end)
    fixture_iterate (self->fixture);
  return code == 1;
}

/* --- certificates -------------------------------------------------------------------------------------------------------------- */

static void
save (const char *dir, const char *file, const char *suffix, EVP_PKEY *key, X509 *certificate)
{
  g_autofree char *name = g_strconcat (file, suffix, NULL);
  g_autofree char *path = g_build_filename (dir, name, NULL);
  FILE *out = g_fopen (path, "w");

  g_assert_nonnull (out);
  if (key != NULL)
    PEM_write_PrivateKey (out, key, NULL, NULL, 0, NULL, NULL);
  else
    PEM_write_X509 (out, certificate);
  fclose (out);
  g_assert_no_errno (g_chmod (path, 0600));
}

void
make_certificate (const char *dir, const char *file, const char *common_name, const char *names)
{
  EVP_PKEY *key = EVP_EC_gen ("P-256");
  X509 *certificate = X509_new ();
  X509_NAME *name = X509_get_subject_name (certificate);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid (NULL, NULL, NID_subject_alt_name, names);

  ASN1_INTEGER_set (X509_get_serialNumber (certificate), g_random_int_range (1, G_MAXINT));
  X509_set_version (certificate, X509_VERSION_3);
  X509_gmtime_adj (X509_getm_notBefore (certificate), -3600);
  X509_gmtime_adj (X509_getm_notAfter (certificate), 3600);
  X509_set_pubkey (certificate, key);
  X509_NAME_add_entry_by_txt (name, "CN", MBSTRING_UTF8, (const guchar *) common_name, -1, -1, 0);
  X509_set_issuer_name (certificate, name);
  X509_add_ext (certificate, extension, -1);
  g_assert_cmpint (X509_sign (certificate, key, EVP_sha256 ()), >, 0);
  save (dir, file, ".key", key, NULL);
  save (dir, file, ".pem", NULL, certificate);
  X509_EXTENSION_free (extension);
  X509_free (certificate);
  EVP_PKEY_free (key);
}
