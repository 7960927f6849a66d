/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From outcomes of every layer to what LMTP says: one table each.
 */
#pragma once

#include "rookery/delivery.h"

#include "lmtp/message.h"

/* "550 5.1.1 User unknown", without line end. @text: (nullable) takes the place of the table's words.
 * @permanent: over quota is a permanent failure. (transfer full) */
char *lmtp_reply_for_delivery (RookDeliveryStatus status, const char *text, gboolean permanent);
/* How much of any reply is its two codes and the blanks behind them. */
#define LMTP_CODES_LENGTH 10
/* After DATA, for each recipient. Not for LMTP_MESSAGE_OK. */
const char *lmtp_reply_for_fault (LmtpMessageFault fault);
/* @error: a ROOK_AUTH_ERROR */
const char *lmtp_reply_for_auth (const GError *error);
