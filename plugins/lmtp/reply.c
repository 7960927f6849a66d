/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tables of replies. Codes are Cyrus's where it has one, so that MTAs' settings carry over.
 */
#include "lmtp/reply.h"

static const struct {
  RookDeliveryStatus status;
  const char *code, *text;
} deliveries[] = {
  { ROOK_DELIVERY_OK, "250 2.1.5", "Ok" },
  { ROOK_DELIVERY_UNKNOWN_USER, "550 5.1.1", "User unknown" },
  { ROOK_DELIVERY_NO_PERMISSION, "550 5.7.1", "Permission denied" },
  { ROOK_DELIVERY_OVER_QUOTA, "452 4.2.2", "Over quota" },
  { ROOK_DELIVERY_TOO_BIG, "552 5.2.3", "Message too large" },
  { ROOK_DELIVERY_BAD_ADDRESS, "501 5.1.3", "Invalid address" },
  { ROOK_DELIVERY_BAD_MESSAGE, "554 5.6.0", "Message can't be stored" },
  { ROOK_DELIVERY_REJECTED, "550 5.7.1", "Rejected" },
  { ROOK_DELIVERY_MOVED, "451 4.2.1", "Mailbox is on another server" },
  { ROOK_DELIVERY_TEMPORARY, "451 4.3.0", "Temporary failure" },
  { ROOK_DELIVERY_FULL, "452 4.3.1", "Insufficient system storage" },
};

char *
lmtp_reply_for_delivery (RookDeliveryStatus status, const char *text, gboolean permanent)
{
  if (status == ROOK_DELIVERY_OVER_QUOTA && permanent)
    return g_strdup_printf ("552 5.2.2 %s", text != NULL ? text : "Over quota");
  for (guint i = 0; i < G_N_ELEMENTS (deliveries); i++)
    if (deliveries[i].status == status)
      return g_strdup_printf ("%s %s", deliveries[i].code, text != NULL ? text : deliveries[i].text);
  g_return_val_if_reached (g_strdup ("451 4.3.0 Temporary failure"));
}

const char *
lmtp_reply_for_fault (LmtpMessageFault fault)
{
  static const char *const replies[] = {
    [LMTP_MESSAGE_OK] = "451 4.3.0 Temporary failure",
    [LMTP_MESSAGE_TOO_BIG] = "552 5.2.3 Message too large",
    [LMTP_MESSAGE_NUL] = "554 5.6.0 Message contains NUL characters",
    [LMTP_MESSAGE_BARE_LINE_END] = "554 5.6.0 Message contains bare newlines",
    [LMTP_MESSAGE_BAD_HEADER] = "554 5.6.0 Message contains an invalid header",
  };

  return replies[fault];
}

static const struct {
  RookAuthError error;
  const char *reply;
} auths[] = {
  { ROOK_AUTH_ERROR_FAILED, "535 5.7.8 Authentication failed" },
  { ROOK_AUTH_ERROR_UNAVAILABLE, "454 4.7.0 Authentication is not available now" },
  { ROOK_AUTH_ERROR_MECHANISM, "504 5.5.4 Mechanism is not offered" },
  { ROOK_AUTH_ERROR_PRIVACY, "538 5.7.11 Needs TLS" },
  { ROOK_AUTH_ERROR_NOT_AUTHORIZED, "535 5.7.8 May not act as that user" },
  { ROOK_AUTH_ERROR_PROTOCOL, "501 5.5.2 Invalid authentication exchange" },
  { ROOK_AUTH_ERROR_CANCELLED, "501 5.0.0 Authentication cancelled" },
  { ROOK_AUTH_ERROR_DISABLED, "535 5.7.8 Account is disabled" },
  { ROOK_AUTH_ERROR_WEAK, "534 5.7.9 Mechanism is too weak" },
};

const char *
lmtp_reply_for_auth (const GError *error)
{
  for (guint i = 0; i < G_N_ELEMENTS (auths); i++)
    if (g_error_matches (error, ROOK_AUTH_ERROR, (gint) auths[i].error))
      return auths[i].reply;
  return "454 4.7.0 Authentication is not available now";
}
