/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From errors of every layer to what IMAP says: one table (response codes of RFC 5530).
 */
#pragma once

#include <glib.h>

typedef struct {
  gboolean bad;     /* BAD, else NO */
  const char *code; /* (nullable) */
  const char *text;
  gboolean log; /* worth a line in the log: our trouble, not the client's */
} ImapReply;

/* @error's own text is used for parse errors only. Valid as long as @error. */
void imap_reply_for_error (const GError *error, ImapReply *out_reply);
