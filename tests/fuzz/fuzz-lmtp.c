/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LMTP: any bytes as the arguments of MAIL and RCPT, and as a message that comes in pieces.
 */
#include <string.h>

#include "lmtp/envelope.h"
#include "lmtp/message.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static void
read_envelopes (const char *text)
{
  g_auto (LmtpEnvelope) mail = { 0 }, rcpt = { 0 };

  if (lmtp_envelope_parse_mail (text, &mail, NULL))
    g_assert (mail.address != NULL && strlen (mail.address) <= LMTP_PATH_MAX);
  if (lmtp_envelope_parse_rcpt (text, &rcpt, NULL))
    g_assert (rcpt.address != NULL && rcpt.address[0] != '\0');
}

static void
read_message (const guint8 *data, gsize size, gsize piece)
{
  static const char trace[] = "Return-Path: <>\r\n";
  LmtpMessage message;
  g_autoptr (GBytes) bytes = NULL;

  lmtp_message_init (&message, 2000, trace);
  for (gsize i = 0; i < size; i += piece)
    lmtp_message_add (&message, data + i, MIN (piece, size - i));
  bytes = lmtp_message_end (&message);
  g_assert ((bytes != NULL) == (message.fault == LMTP_MESSAGE_OK));
  if (bytes != NULL)
    g_assert (g_bytes_get_size (bytes) >= strlen (trace)
              && memcmp (g_bytes_get_data (bytes, NULL), trace, strlen (trace)) == 0);
  lmtp_message_clear (&message);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autofree char *text = g_strndup ((const char *) data, size);

  read_envelopes (text);
  read_message (data, size, size > 0 ? data[0] % 50 + 1 : 1);
  return 0;
}
