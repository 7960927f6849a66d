/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The arguments of MAIL and RCPT (RFC 5321 4.1.2): a path and parameters. Knows no session.
 */
#pragma once

#include <glib.h>

#define LMTP_ENVELOPE_ERROR (lmtp_envelope_error_quark ())
GQuark lmtp_envelope_error_quark (void);
typedef enum {
  LMTP_ENVELOPE_ERROR_SYNTAX,   /* no path, or no parameter */
  LMTP_ENVELOPE_ERROR_PARAMETER /* unknown, or with a bad value */
} LmtpEnvelopeError;

#define LMTP_PATH_MAX 1000 /* bytes; RFC 5321 asks for 256 */

typedef struct {
  char *address;         /* (owned) without <> and route; "" for <> */
  guint64 size;          /* SIZE=, or 0 */
  gboolean eight_bit;    /* BODY=8BITMIME */
  char *auth;            /* (owned) (nullable) AUTH=, decoded; NULL: none or <> */
  gboolean ignore_quota; /* IGNOREQUOTA (RCPT) */
} LmtpEnvelope;

void lmtp_envelope_clear (LmtpEnvelope *envelope);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (LmtpEnvelope, lmtp_envelope_clear)

/* What follows "MAIL " and "RCPT ": "FROM:<...> SIZE=..." and "TO:<...> IGNOREQUOTA". */
gboolean lmtp_envelope_parse_mail (const char *arguments, LmtpEnvelope *out_envelope, GError **error);
gboolean lmtp_envelope_parse_rcpt (const char *arguments, LmtpEnvelope *out_envelope, GError **error);
