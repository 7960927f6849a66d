/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the mailbox service's errors to how a delivery went: one table.
 */
#include "delivery/delivery-private.h"

static const struct {
  RookMailError error;
  RookDeliveryStatus status;
} by_error[] = {
  { ROOK_MAIL_ERROR_NOT_FOUND, ROOK_DELIVERY_UNKNOWN_USER },
  { ROOK_MAIL_ERROR_BAD_NAME, ROOK_DELIVERY_UNKNOWN_USER },
  { ROOK_MAIL_ERROR_NO_PERMISSION, ROOK_DELIVERY_NO_PERMISSION },
  { ROOK_MAIL_ERROR_NOT_ALLOWED, ROOK_DELIVERY_NO_PERMISSION },
  { ROOK_MAIL_ERROR_QUOTA, ROOK_DELIVERY_OVER_QUOTA },
  { ROOK_MAIL_ERROR_TOO_BIG, ROOK_DELIVERY_TOO_BIG },
  { ROOK_MAIL_ERROR_BAD_MESSAGE, ROOK_DELIVERY_BAD_MESSAGE },
  { ROOK_MAIL_ERROR_REMOTE, ROOK_DELIVERY_MOVED },
  { ROOK_MAIL_ERROR_FULL, ROOK_DELIVERY_FULL },
};

RookDeliveryStatus
rook_delivery_status_from_error (const GError *error)
{
  if (error == NULL)
    return ROOK_DELIVERY_OK;
  for (guint i = 0; error->domain == ROOK_MAIL_ERROR && i < G_N_ELEMENTS (by_error); i++)
    if ((gint) by_error[i].error == error->code)
      return by_error[i].status;
  return ROOK_DELIVERY_TEMPORARY;
}

gboolean
rook_delivery_status_is_temporary (RookDeliveryStatus status)
{
  return status == ROOK_DELIVERY_TEMPORARY || status == ROOK_DELIVERY_FULL;
}

const char *
rook_delivery_status_get_name (RookDeliveryStatus status)
{
  static const char *const names[] = { "ok",      "unknown-user", "no-permission", "over-quota",
                                       "too-big", "bad-address",  "bad-message",   "rejected",
                                       "moved",   "temporary",    "full" };

  G_STATIC_ASSERT (G_N_ELEMENTS (names) == ROOK_DELIVERY_FULL + 1);
  return names[status];
}
