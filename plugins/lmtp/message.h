/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A message as it comes in after DATA: gathered, checked, and given its trace headers. Knows no session.
 */
#pragma once

#include <glib.h>

/* Bytes beyond the limit that are still read and thrown away, so that a client that means well hears 552. */
#define LMTP_SWALLOW_MAX (G_GUINT64_CONSTANT (64) << 20)

typedef enum {
  LMTP_MESSAGE_OK,
  LMTP_MESSAGE_TOO_BIG, /* beyond the limit; what came after was thrown away */
  LMTP_MESSAGE_NUL,
  LMTP_MESSAGE_BARE_LINE_END, /* LF without CR or CR without LF */
  LMTP_MESSAGE_BAD_HEADER
} LmtpMessageFault;

typedef struct {
  GByteArray *bytes;       /* (owned) the message; grows with what really comes */
  guint64 limit, received; /* of the client's bytes */
  LmtpMessageFault fault;  /* the first one found */
  gboolean after_cr;
  gsize line;          /* where the first line begins that was not whole yet; of the header only */
  guint n_fields;      /* begun up to there, trace included */
  gboolean dropping;   /* the last of them is taken out */
  gboolean bad_header; /* a line of it was no field's */
  gboolean in_body;    /* the header has come to its end */
  guint64 swallowed;   /* bytes thrown away since it was too big */
} LmtpMessage;

/* @trace: what goes in front of the message's own header, with CRLF at its end. */
void lmtp_message_init (LmtpMessage *self, guint64 limit, const char *trace);
void lmtp_message_clear (LmtpMessage *self);
void lmtp_message_add (LmtpMessage *self, const guint8 *data, gsize length);
/* Whether it is so far beyond its limit that its end is not worth waiting for. */
gboolean lmtp_message_is_endless (const LmtpMessage *self);
/* All has come; the header was checked, and has lost an older Return-Path. (transfer full) (nullable) NULL: see fault */
GBytes *lmtp_message_end (LmtpMessage *self);

typedef struct {
  const char *sender;
  const char *lhlo;     /* what the client called itself */
  const char *address;  /* the client's, or "unix" */
  const char *hostname; /* ours */
  const char *version;
  const char *protocol; /* "LMTP", "LMTPS", "LMTPA", "LMTPSA" (RFC 3848) */
  const char *id;       /* of the connection */
  gint64 time;          /* seconds since 1970 */
} LmtpTrace;
/* Return-Path and Received. (transfer full) */
char *lmtp_message_make_trace (const LmtpTrace *trace);
