/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A protocol for tests of the network service, a server that speaks it, and a plain client: see net-echo.c.
 */
#pragma once

#include <glib-unix.h>
#include <openssl/ssl.h>

#include "daemon/server-private.h"
#include "net/internal.h"

typedef struct {
  RookServer *server;
  RookNet *net;
  gint opened, closed; /* atomic: sessions */
  gint expired;        /* atomic: a bit a RookDeadline */
  gint drains;         /* atomic */
  gint last_reason;    /* atomic: RookNetError of the last end, -1: none */
  gint keep_open;      /* atomic: do not close on expired, or drain */
  gint most_pending;   /* atomic: the most output that waited on any connection */
} Fixture;

extern const RookProtocol echo_protocol; /* its data is the fixture */

/* A server with @config, the protocols "echo" (with login) and "open" (without), bound and listening. */
Fixture *fixture_new (const char *config);
/* Stops it: asserts that every session was closed. */
void fixture_free (Fixture *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Fixture, fixture_free)
/* Lets the main worker work until @condition holds (60 s at most). */
#define fixture_wait(self, condition)                              \
  do                                                               \
    {                                                              \
      gint64 end_ = g_get_monotonic_time () + 60 * G_USEC_PER_SEC; \
      while (!(condition) && g_get_monotonic_time () < end_)       \
        fixture_iterate (self);                                    \
      g_assert_true (condition);                                   \
    }                                                              \
  while (0)
void fixture_iterate (Fixture *self);

typedef struct {
  Fixture *fixture;
  int fd;
  SSL *ssl;       /* (owned) (nullable) */
  GString *input; /* received and not expected yet */
  gboolean eof;
} Client;

Client *client_new (Fixture *fixture, const char *listener);
/* The same, and it has been told HELLO. */
Client *client_greeted (Fixture *fixture, const char *listener);
Client *client_new_unix (Fixture *fixture, const char *path);
void client_free (Client *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Client, client_free)
void client_send (Client *self, const char *text);
void client_send_bytes (Client *self, gconstpointer data, gsize length);
/* The next line is exactly @line (CRLF left out). */
void client_expect (Client *self, const char *line);
void client_expect_eof (Client *self);
char *client_read_line (Client *self);
/* All that comes until the end. */
char *client_read_all (Client *self);
/* Reads @n bytes. */
void client_skip (Client *self, gsize n);
/* Whether something can be read within @ms. */
gboolean client_has_input (Client *self, guint ms);
/* A TLS handshake as the client, with SNI @host. Returns: whether it succeeded. */
gboolean client_start_tls (Client *self, SSL_CTX *ctx, const char *host);

/* A self-signed certificate and key for @names ("DNS:a,DNS:b,IP:127.0.0.1"), in the directory @dir as NAME.pem and
 * NAME.key. */
void make_certificate (const char *dir, const char *file, const char *common_name, const char *names);
