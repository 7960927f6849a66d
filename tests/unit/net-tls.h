/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What tests need that speak TLS to the server of net-echo.c: certificates, and listeners that show one.
 */
#pragma once

#include "net-echo.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC (SSL_CTX, SSL_CTX_free)

extern char *certificates; /* a directory with a.pem, a.key to d.pem, d.key, for all tests of a program */

void make_certificates (void);
void remove_certificates (void);

#define TLS_GROUP "[tls]\ncertificate=%s/a.pem\nprivate-key=%s/a.key\n"
#define LISTENERS                                                         \
  "[listener clear]\nprotocol=echo\naddress=127.0.0.1:0\ntls=starttls\n"  \
  "[listener secure]\nprotocol=echo\naddress=127.0.0.1:0\ntls=implicit\n" \
  "[listener plain]\nprotocol=echo\naddress=127.0.0.1:0\n"

/* The text with every "%s" standing for the directory of certificates. */
char *with_certificates (const char *text);
/* fixture_new() with certificate a, the listeners clear (STARTTLS), secure (implicit) and plain, and @more. */
Fixture *tls_fixture_new (const char *more);
